package search

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/wreg-project/wreg/registry/advisories"
	"github.com/wreg-project/wreg/sbom/evidence"
	"github.com/wreg-project/wreg/sbom/version"
	"github.com/wreg-project/wreg/sbom/vuln"
	"github.com/wreg-project/wreg/storage/meta"
)

// An Index is what a search reads.
type Index interface {
	meta.Documents

	// Coordinates is that of [meta.Components]: a range of versions stands for
	// those that some file has.
	Coordinates(ctx context.Context, ranges []meta.PackageRange, class string) ([]meta.StoredCoordinate, error)
}

// indexedClasses are those of the components that documents have terms for.
var indexedClasses = []string{string(evidence.Proven), advisories.Declared}

// purlScheme begins a package URL.
const purlScheme = "pkg:"

// A candidate is a component that a query may mean.
type candidate struct {
	ecosystem evidence.Ecosystem
	name      string
}

// A versionRange is versions of a candidate.
type versionRange struct {
	candidate
	versions version.Range
}

// ecosystems are those that a name may be of, by the types of their package URLs;
// interfaces have none of their own.
var ecosystems = []evidence.Ecosystem{
	evidence.Cargo, evidence.Go, evidence.NPM, evidence.PyPI, evidence.Gem, evidence.Hackage, evidence.NuGet, evidence.Composer,
	evidence.Generic, evidence.WIT,
}

// dependency reads "pkg:cargo/serde", "pkg:cargo/serde@1.0.190",
// "pkg:cargo/serde@<1.0.200", or the same with a name alone, which is of any
// ecosystem.
func (p *parser) dependency(op operator, v value, s span) (node, error) {
	name, wanted, versioned := cutVersion(v.text)
	if versioned && isRange(wanted) {
		of, err := p.candidates(op, v, name)
		if err != nil {
			return nil, err
		}
		n, err := p.versions(v, s, of, wanted)
		if err != nil {
			return nil, err
		}
		return n, nil
	}
	text, begins, err := p.beginning(v)
	if err != nil {
		return nil, err
	}
	n := &termNode{span: s, op: op, begins: begins}
	if begins {
		return n, p.dependencyBeginning(n, v, text)
	}
	of, err := p.candidates(op, v, name)
	switch {
	case err != nil:
		return nil, err
	case !versioned && len(of) == len(ecosystems):
		return n, p.setTerm(n, v, fold(name))
	case !versioned:
		return n, p.setTerm(n, v, fold(dependency(of[0].ecosystem, of[0].name)))
	case wanted == "":
		return nil, p.fail(v.at+len(v.text), "a version is missing behind the @", example(op))
	}
	n.any = true
	for _, c := range of {
		for _, spelling := range spellings(c.ecosystem, wanted) {
			n.terms = append(n.terms, term(op.prefix(), fold(dependency(c.ecosystem, c.name)+"@"+spelling)))
		}
	}
	slices.Sort(n.terms)
	n.terms = slices.Compact(n.terms)
	return n, nil
}

// cutVersion cuts a component's name and its version or range apart, at the last
// "@" that begins no part of the name: scopes of npm begin with one. The
// qualifiers and the subpath of a package URL tell nothing that is indexed.
func cutVersion(text string) (name, wanted string, versioned bool) {
	text, _, _ = strings.Cut(text, "#")
	text, _, _ = strings.Cut(text, "?")
	i := strings.LastIndexByte(text, '@')
	if i <= 0 || text[i-1] == '/' {
		return text, "", false
	}
	return text[:i], strings.TrimSpace(unescape(text[i+1:])), true
}

// isRange reports whether what stands behind an "@" is more than one version.
func isRange(s string) bool {
	return s == "*" || strings.HasSuffix(s, ".*") || strings.ContainsAny(s, ", |") || s != "" && strings.IndexByte("<>=^~!", s[0]) >= 0
}

// unescape undoes percent-encoding; what is none stays.
func unescape(s string) string {
	if u, err := url.PathUnescape(s); err == nil {
		return u
	}
	return s
}

// candidates are what a name, or a package URL without a version, may mean. All
// of those of one package URL have the same term.
func (p *parser) candidates(op operator, v value, text string) ([]candidate, error) {
	kind, name, isURL := cutPURL(text)
	if !isURL {
		of := make([]candidate, len(ecosystems))
		for i, eco := range ecosystems {
			of[i] = candidate{eco, text}
		}
		return of, nil
	}
	if err := p.checkKind(v, kind); err != nil {
		return nil, err
	}
	if name == "" {
		return nil, p.fail(v.at, "a package URL without a name", example(op))
	}
	of := []candidate{{kind, name}}
	if kind == evidence.Generic && strings.Count(name, "/") == 1 {
		of = append(of, candidate{evidence.WIT, strings.Replace(name, "/", ":", 1)})
	}
	return of, nil
}

// cutPURL cuts the type and the rest of a package URL apart.
func cutPURL(text string) (kind evidence.Ecosystem, name string, ok bool) {
	if len(text) < len(purlScheme) || !strings.EqualFold(text[:len(purlScheme)], purlScheme) {
		return "", "", false
	}
	first, rest, _ := strings.Cut(strings.TrimLeft(text[len(purlScheme):], "/"), "/")
	return evidence.Ecosystem(fold(first)), unescape(rest), true
}

// checkKind refuses types of package URLs that no component has.
func (p *parser) checkKind(v value, kind evidence.Ecosystem) error {
	if kind != evidence.WIT && slices.Contains(ecosystems, kind) {
		return nil
	}
	var known []string
	for _, eco := range ecosystems {
		if eco != evidence.WIT {
			known = append(known, string(eco))
		}
	}
	return p.fail(v.at, fmt.Sprintf("no component has package URLs of type %q", cut(string(kind))), "types are "+strings.Join(known, ", "))
}

// dependencyBeginning looks for what begins with a text.
func (p *parser) dependencyBeginning(n *termNode, v value, text string) error {
	kind, rest, isURL := cutPURL(text)
	if !isURL || !strings.Contains(text, "/") {
		return p.setTerm(n, v, fold(text))
	}
	if err := p.checkKind(v, kind); err != nil {
		return err
	}
	if rest == "" {
		// Documents have a term for it: no need to go through all that begin so.
		n.begins = false
		rest = "*"
	}
	return p.setTerm(n, v, fold(purlScheme+string(kind)+"/"+rest))
}

// spellings are the ways in which a version may be written: Go's releases have
// none before it, versions of modules have a v.
func spellings(eco evidence.Ecosystem, v string) []string {
	if eco != evidence.Go {
		return []string{v}
	}
	bare := strings.TrimPrefix(v, "v")
	return []string{bare, "v" + bare}
}

// versions reads a range, of those ecosystems in which it is one.
func (p *parser) versions(v value, s span, of []candidate, wanted string) (*versionsNode, error) {
	n := &versionsNode{span: s}
	var first error
	for _, c := range of {
		r, err := version.ParseRange(c.ecosystem, wanted)
		if err != nil {
			if first == nil {
				first = err
			}
			continue
		}
		n.ranges = append(n.ranges, versionRange{c, r})
	}
	if len(n.ranges) == 0 {
		return nil, p.fail(v.at, fmt.Sprintf("%q is no range of versions: %s", cut(wanted), cut(first.Error())),
			"write <1.2, >=1,<2, ^1.2 or ~1.2.3")
	}
	return n, nil
}

// expandVersions gives for each range of a query the terms of the versions that
// the registry has. It is done before the rest, which reads one state of the
// index: a version that comes in between is not found yet.
func expandVersions(ctx context.Context, index Index, q *Query) (map[*versionsNode][]string, error) {
	if q == nil {
		return nil, nil
	}
	out := map[*versionsNode][]string{}
	for n := range ranges(q.root) {
		var asked []meta.PackageRange
		for _, r := range n.ranges {
			asked = append(asked, r.stored()...)
		}
		found, err := index.Coordinates(ctx, asked, "")
		if err != nil {
			return nil, err
		}
		terms := n.terms(found)
		if len(terms) > MaxExpansion {
			p := parser{text: q.text}
			return nil, p.fail(n.from, fmt.Sprintf("more than %d versions are in this range", MaxExpansion), "write a narrower range, or no version")
		}
		out[n] = terms
	}
	return out, nil
}

// ranges are the versionsNodes of a tree.
func ranges(n node) func(yield func(*versionsNode) bool) {
	return func(yield func(*versionsNode) bool) { eachRange(n, yield) }
}

func eachRange(n node, yield func(*versionsNode) bool) bool {
	switch n := n.(type) {
	case *versionsNode:
		return yield(n)
	case *allOf:
		return eachOf(n.parts, yield)
	case *anyOf:
		return eachOf(n.parts, yield)
	case *notOf:
		return eachRange(n.part, yield)
	}
	return true
}

func eachOf(parts []node, yield func(*versionsNode) bool) bool {
	for _, n := range parts {
		if !eachRange(n, yield) {
			return false
		}
	}
	return true
}

// stored are the stretches of the index of components that the range is in.
func (r versionRange) stored() []meta.PackageRange {
	return r.candidate.stored(r.versions.Intervals()...)
}

// stored are stretches of the versions of a component, under the names that it
// may be stored by.
func (c candidate) stored(intervals ...version.Interval) []meta.PackageRange {
	names := []string{c.name}
	if folded := vuln.Name(c.ecosystem, c.name); folded != c.name {
		names = append(names, folded)
	}
	var out []meta.PackageRange
	for _, name := range names {
		for _, i := range intervals {
			out = append(out, meta.PackageRange{
				EcosystemPackage: meta.EcosystemPackage{Ecosystem: string(c.ecosystem), Name: name}, Low: i.Lo, High: i.Hi,
			})
		}
	}
	return out
}

// terms are those of the coordinates that a range really has: versions without a
// place in an order are in every stretch of the index.
func (n *versionsNode) terms(found []meta.StoredCoordinate) []string {
	var terms []string
	for _, c := range found {
		eco := evidence.Ecosystem(c.Ecosystem)
		if slices.Contains(indexedClasses, c.Class) && inRange(n.ranges, eco, c.Version) {
			terms = append(terms, term("dep:", fold(dependency(eco, c.Name)+"@"+c.Version)))
		}
	}
	slices.Sort(terms)
	return slices.Compact(terms)
}

// A Dependency is a component as the operator dep: takes it, with its versions.
type Dependency struct {
	of     []candidate
	wanted string // an exact version
	ranges []versionRange
}

// ParseDependency reads what may stand behind dep:, but for a "*" at the end.
// Errors are [*SyntaxError]s.
func ParseDependency(text string) (Dependency, error) {
	p := &parser{text: text}
	op, _ := lookUp("dep")
	v := value{text: text, quoted: true}
	switch i := invalidAt(text); {
	case i >= 0:
		return Dependency{}, p.fail(i, "not valid UTF-8, or a control character", "")
	case strings.TrimSpace(text) == "":
		return Dependency{}, p.fail(0, "a component is missing", example(op))
	case len(text) > maxValue:
		return Dependency{}, p.fail(maxValue, fmt.Sprintf("a value of more than %d bytes", maxValue), "")
	}
	name, wanted, versioned := cutVersion(text)
	d := Dependency{wanted: wanted}
	var err error
	if d.of, err = p.candidates(op, v, name); err != nil {
		return Dependency{}, err
	}
	switch {
	case versioned && wanted == "":
		return Dependency{}, p.fail(len(text), "a version is missing behind the @", example(op))
	case isRange(wanted):
		n, err := p.versions(v, span{}, d.of, wanted)
		if err != nil {
			return Dependency{}, err
		}
		d.ranges = n.ranges
	}
	return d, nil
}

// Stored are the stretches of the index of components in which all versions of
// the dependency are, and perhaps others: Has tells them apart.
func (d Dependency) Stored() []meta.PackageRange {
	var out []meta.PackageRange
	for _, r := range d.ranges {
		out = append(out, r.stored()...)
	}
	if d.ranges == nil {
		for _, c := range d.of {
			out = append(out, c.stored(version.Interval{})...)
		}
	}
	return out
}

// Has reports whether a component that is stored is a version of the dependency.
func (d Dependency) Has(c meta.Coordinate) bool {
	eco := evidence.Ecosystem(c.Ecosystem)
	switch {
	case d.ranges != nil:
		return inRange(d.ranges, eco, c.Version)
	case d.wanted == "":
		return true
	}
	return slices.Contains(spellings(eco, d.wanted), c.Version)
}

// inRange reports whether a version is in one of the ranges of its ecosystem.
func inRange(ranges []versionRange, eco evidence.Ecosystem, v string) bool {
	return v != "" && slices.ContainsFunc(ranges, func(r versionRange) bool { return r.ecosystem == eco && r.versions.Contains(v) })
}

// PURL is the package URL of a stored component.
func PURL(c meta.Coordinate) string {
	return evidence.Component{Ecosystem: evidence.Ecosystem(c.Ecosystem), Name: c.Name, Version: c.Version}.PURL()
}
