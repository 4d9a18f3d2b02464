package spdx

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/spdx/tools-golang/spdx/v2/common"
	"github.com/spdx/tools-golang/spdx/v2/v2_3"

	"github.com/wreg-project/wreg/sbom"
	"github.com/wreg-project/wreg/sbom/evidence"
	"github.com/wreg-project/wreg/sbom/licence"
)

const (
	noAssertion = "NOASSERTION"

	maxText  = 2048 // bytes of a text in the output
	maxUnits = 256  // modules and components within each other
)

// The names of the lines for programs in comments; see property.go of
// sbom/cyclonedx for their meaning.
const (
	lineClass       = "io.wreg:class"
	linePURL        = "io.wreg:purl"
	lineEcosystem   = "io.wreg:ecosystem"
	lineRequirement = "io.wreg:requirement"
	lineRequiredBy  = "io.wreg:required-by"
	linePart        = "io.wreg:part"
	lineChecksum    = "io.wreg:checksum"
	lineReplaces    = "io.wreg:replaces"
	lineCommit      = "io.wreg:commit"
	lineSource      = "io.wreg:source"
	lineRevision    = "io.wreg:revision"
	linePath        = "io.wreg:path"
	lineKind        = "io.wreg:kind"
	lineOffset      = "io.wreg:offset"
	lineSize        = "io.wreg:size"
)

var errNested = errors.New("modules and components are nested too deeply")

// markers end or begin a text in tag-value, wherever they stand.
var markers = strings.NewReplacer("<text>", "(text)", "</text>", "(/text)")

// clean makes a text fit for a line of either format. Tag-value has no space at
// the end of a line.
func clean(s string) string { return strings.TrimSpace(markers.Replace(evidence.Clean(s, maxText))) }

func orUnnamed(s string) string { return cmp.Or(clean(s), "unnamed") }
func orUnknown(s string) string { return cmp.Or(s, "unknown") }

// lines are a comment.
type lines []string

func (l *lines) add(name, value string) {
	if value = clean(value); value != "" {
		*l = append(*l, name+"="+value)
	}
}

func (l lines) text() string { return strings.Join(l, "\n") }

// A builder fills one document.
type builder struct {
	doc   *v2_3.Document
	taken map[string]int // how often an identifier was asked for
	terms map[string]bool
}

// id makes an identifier of a readable part and what tells it apart. SPDX allows
// letters, digits, dots and hyphens (clause 7.2).
func (b *builder) id(readable string, apart ...string) common.ElementID {
	sum := sha256.Sum256([]byte(strings.Join(append(apart, readable), "\x00")))
	readable = strings.Map(func(r rune) rune {
		if (r >= 'a' && r <= 'z') || (r >= 'A' && r <= 'Z') || (r >= '0' && r <= '9') || r == '.' || r == '-' {
			return r
		}
		return '-'
	}, evidence.Clean(readable, 64))
	id := readable + "-" + hex.EncodeToString(sum[:6])
	b.taken[id]++
	if n := b.taken[id]; n > 1 {
		id += "." + strconv.Itoa(n) // the hash has no dots, so that this is taken by nothing else
	}
	return common.ElementID(id)
}

func (b *builder) relate(from common.ElementID, kind string, to common.ElementID, comment string) {
	b.doc.Relationships = append(b.doc.Relationships, &v2_3.Relationship{
		RefA: common.DocElementID{ElementRefID: from}, Relationship: kind, RefB: common.DocElementID{ElementRefID: to},
		RelationshipComment: comment,
	})
}

// file fills in the subject and everything in it.
func (b *builder) file(d *sbom.Document) error {
	s := d.Subject
	p := b.newPackage(b.id("file", s.SHA256), s.Name, s.Version, "APPLICATION")
	if sum, err := hex.DecodeString(s.SHA256); err == nil && len(sum) == 32 {
		p.PackageChecksums = []common.Checksum{{Algorithm: common.SHA256, Value: strings.ToLower(s.SHA256)}}
	}
	p.PackageDescription = clean(s.Metadata.Description)
	p.PackageHomePage = webAddress(s.Metadata.Homepage)
	if authors := clean(s.Metadata.Authors); authors != "" {
		p.PackageOriginator = &common.Originator{OriginatorType: "Person", Originator: authors}
	}
	if source := webAddress(s.Metadata.Source); source != "" {
		p.PackageSourceInfo = "source: " + source
	}
	if s.Metadata.Licenses != "" {
		b.license(p, []string{s.Metadata.Licenses})
	}
	b.relate("DOCUMENT", common.TypeRelationshipDescribe, p.PackageSPDXIdentifier, "")
	var comment lines
	comment.add(lineRevision, s.Metadata.Revision)
	var completeness []string
	if err := b.unit(d.Root, p, comment, &completeness, 0); err != nil {
		return err
	}
	b.doc.DocumentComment = strings.Join(completeness, "\n")
	return nil
}

// newPackage adds a package of which only the names are known.
func (b *builder) newPackage(id common.ElementID, name, version, purpose string) *v2_3.Package {
	p := &v2_3.Package{
		PackageName: orUnnamed(name), PackageSPDXIdentifier: id, PackageVersion: clean(evidence.Clean(version, evidence.MaxVersion)),
		PackageDownloadLocation: noAssertion, IsFilesAnalyzedTagPresent: true,
		PackageLicenseConcluded: noAssertion, PackageLicenseDeclared: noAssertion, PackageCopyrightText: noAssertion,
		PrimaryPackagePurpose: purpose,
	}
	b.doc.Packages = append(b.doc.Packages, p)
	return p
}

// unit adds what was found in a module or component, of which p is the package.
func (b *builder) unit(u *sbom.Unit, p *v2_3.Package, comment lines, completeness *[]string, depth int) error {
	if depth > maxUnits {
		return fmt.Errorf("%.64q: %w", u.Path, errNested)
	}
	comment.add(linePath, u.Path)
	comment.add(lineKind, u.Kind)
	comment.add(lineOffset, strconv.FormatInt(u.Offset, 10))
	comment.add(lineSize, strconv.FormatInt(u.Size, 10))
	for _, c := range u.Completeness {
		state := "incomplete"
		if c.Complete {
			state = "complete"
		}
		line := clean("Completeness of " + string(c.Ecosystem) + ": " + state + ". " + c.Reason)
		comment = append(comment, line)
		*completeness = append(*completeness, clean(cmp.Or(u.Path, "The file itself"))+": "+line)
	}
	if u.Omitted > 0 {
		line := fmt.Sprintf("Modules and components within that were not looked at: %d.", u.Omitted)
		comment = append(comment, line)
		*completeness = append(*completeness, clean(cmp.Or(u.Path, "The file itself"))+": "+line)
	}
	p.PackageComment = comment.text()
	unit := p.PackageSPDXIdentifier

	own := make([]common.ElementID, len(u.Components))
	for i := range u.Components {
		c := &u.Components[i]
		own[i] = b.component(c, u.Path)
		b.place(c, unit, own[i])
	}
	b.depend(u.Edges, own)
	for _, t := range u.Tools {
		id := b.id("tool-"+t.Name, u.Path, t.Version, t.Role)
		tool := b.newPackage(id, t.Name, t.Version, "APPLICATION")
		tool.PackageComment = clean("Took part in the build and is not in the file: " + t.Role)
		b.relate(id, common.TypeRelationshipBuildToolOf, unit, "")
	}
	for _, nested := range u.Units {
		name := cmp.Or(nested.Name, nested.Path)
		q := b.newPackage(b.id("unit-"+nested.Path), name, "", "FILE")
		b.relate(unit, common.TypeRelationshipContains, q.PackageSPDXIdentifier, "")
		if err := b.unit(nested, q, nil, completeness, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// place relates a component to the unit in which it was found.
func (b *builder) place(c *evidence.Component, unit, id common.ElementID) {
	switch {
	case c.Class == evidence.Inferred:
		comment := "inferred"
		if len(c.RequiredBy) > 0 {
			comment += ": required by " + strings.Join(c.RequiredBy, ", ")
		}
		b.relate(unit, common.TypeRelationshipDependsOn, id, clean(comment))
	case isExternal(c):
		b.relate(unit, common.TypeRelationshipDynamicLink, id, "")
	default:
		b.relate(unit, common.TypeRelationshipContains, id, "")
	}
	if c.Main {
		b.relate(unit, common.TypeRelationshipGeneratedFrom, id, "")
	}
}

// isExternal reports whether the linker looks for the component outside of the
// file.
func isExternal(c *evidence.Component) bool {
	return len(c.Evidence) > 0 && !slices.ContainsFunc(c.Evidence, func(e evidence.Evidence) bool { return e.Method != evidence.Link })
}

func (b *builder) depend(edges []sbom.Edge, own []common.ElementID) {
	for _, e := range edges {
		if e.From >= 0 && e.To >= 0 && e.From < len(own) && e.To < len(own) && e.From != e.To {
			b.relate(own[e.From], common.TypeRelationshipDependsOn, own[e.To], "")
		}
	}
}

// component adds one find.
func (b *builder) component(c *evidence.Component, path string) common.ElementID {
	class, version := cmp.Or(c.Class, evidence.Proven), c.Version
	if class == evidence.Inferred {
		version = ""
	}
	p := b.newPackage(b.id(string(c.Ecosystem)+"-"+c.Name, path, c.Version, string(c.Class), c.Part), c.Name, version, "LIBRARY")
	var comment lines
	comment.add(lineClass, string(class))
	comment.add(lineEcosystem, string(c.Ecosystem))
	if purl := c.PURL(); class == evidence.Proven && c.Version != "" && c.Part == "" && len(purl) <= maxText {
		p.PackageExternalReferences = []*v2_3.PackageExternalReference{{
			Category: common.CategoryPackageManager, RefType: common.TypePackageManagerPURL, Locator: clean(purl),
		}}
	} else {
		comment.add(linePURL, purl)
	}
	comment.add(lineRequirement, c.Requirement)
	for _, by := range c.RequiredBy {
		comment.add(lineRequiredBy, by)
	}
	comment.add(linePart, c.Part)
	comment.add(lineChecksum, c.Checksum)
	comment.add(lineReplaces, c.Replaces)
	comment.add(lineCommit, c.Commit)
	if source := webAddress(c.Source); source != "" && c.Commit != "" {
		p.PackageDownloadLocation = "git+" + source + "@" + url.PathEscape(clean(c.Commit))
	} else {
		comment.add(lineSource, c.Source)
	}
	for _, e := range c.Evidence {
		comment = append(comment, describe(e))
	}
	p.PackageComment = comment.text()
	b.license(p, c.Licenses)
	return p.PackageSPDXIdentifier
}

// describe is an evidence in a line for people.
func describe(e evidence.Evidence) string {
	s := fmt.Sprintf("Evidence: %s, confidence %.2f", e.Method, e.Confidence)
	if e.Offset >= 0 {
		s += fmt.Sprintf(", section %q, byte %d of the file", e.Section, e.Offset)
	}
	if e.Text != "" {
		s += ": " + e.Text
	}
	return clean(s)
}

// license declares an expression if all the licences can be read, and otherwise
// says in a comment what stood there.
func (b *builder) license(p *v2_3.Package, list []string) {
	expression, all := licence.Join(list)
	if all && expression != "" && !strings.Contains(expression, "DocumentRef-") {
		p.PackageLicenseDeclared = expression
		b.define(expression)
		return
	}
	if len(list) > 0 {
		p.PackageLicenseComments = clean("stated: " + strings.Join(list, "; "))
	}
}

// define adds the references that an expression uses: a document must have their
// text (clause 10), which a binary does not.
func (b *builder) define(expression string) {
	e, err := licence.Parse(expression)
	if err != nil {
		return // Join made it
	}
	for _, l := range e.Licences() {
		id, _, _ := strings.Cut(l, " ")
		if !strings.HasPrefix(id, "LicenseRef-") || b.terms[id] {
			continue
		}
		if b.terms == nil {
			b.terms = map[string]bool{}
		}
		b.terms[id] = true
		b.doc.OtherLicenses = append(b.doc.OtherLicenses, &v2_3.OtherLicense{
			LicenseIdentifier: id, LicenseName: noAssertion, ExtractedText: "The file names this licence without its text.",
		})
	}
}

// webAddress is the address, or "" if s is none.
func webAddress(s string) string {
	u, err := url.Parse(s)
	if err != nil || len(s) > maxText || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
		return ""
	}
	return clean(u.String())
}
