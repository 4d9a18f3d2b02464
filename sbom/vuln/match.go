package vuln

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/wreg-project/wreg/sbom/evidence"
	"github.com/wreg-project/wreg/sbom/version"
)

// A Finding is one vulnerability of one component. Advisories of several databases
// about it are one Finding.
type Finding struct {
	// ID is the name in the ecosystem's own database (GO-…, RUSTSEC-…), else
	// GitHub's, else the CVE's; Aliases are all others, sorted.
	ID      string   `json:"id"`
	Aliases []string `json:"aliases,omitempty"`

	// Component is the index into the components that Match was given. The rest
	// says which it is without them.
	Component   int    `json:"-"`
	PURL        string `json:"purl"`
	Name        string `json:"name"`
	Version     string `json:"version,omitempty"`
	Requirement string `json:"requirement,omitempty"`

	// Reason says, for people, why a possible finding is not more than that. It is
	// "" of a finding that is present.
	Reason string `json:"reason,omitempty"`

	Summary       string    `json:"summary,omitempty"`
	Severity      Severity  `json:"severity,omitzero"`
	Informational string    `json:"informational,omitempty"` // see Advisory
	Fixed         []string  `json:"fixed,omitempty"`         // the nearest versions with a fix
	Published     time.Time `json:"published,omitzero"`
	Modified      time.Time `json:"modified,omitzero"`
	References    []string  `json:"references,omitempty"`

	EPSS *EPSS `json:"epss,omitempty"`
	KEV  *KEV  `json:"kev,omitempty"`

	// Affected are the entries that match, with the code at fault, for the
	// analysis of what can be reached.
	Affected []Affected `json:"-"`
}

// Names are the id and the aliases.
func (f *Finding) Names() []string { return append([]string{f.ID}, f.Aliases...) }

// A Result is what is known of the vulnerabilities of a binary.
type Result struct {
	// Findings are present: a component that is proven to be in the binary has a
	// version that an advisory names.
	Findings []Finding `json:"findings"`

	// Possible findings would be true if something were that is not known, which
	// their Reason says. No policy should take them for facts.
	Possible []Finding `json:"possible,omitempty"`
}

// Reasons of possible findings.
const (
	reasonInferred = "the component is inferred, and versions that its requirement allows are affected"
	reasonRuntime  = "the component came inside another one, whose maker may have changed it"
	reasonVersion  = "the version cannot be compared with those of the advisory"
	reasonCustom   = "the advisory names releases that the module proxy does not know"
	reasonTarget   = "the advisory is about other operating systems or processors"
)

// Match gives the advisories of a source that hold for components, in the order of
// the components and then of ids. Withdrawn advisories hold for nothing. The copies
// of crates in Rust's standard library are not looked at, since they have no
// releases of their own; neither is what has neither version nor requirement.
func Match(ctx context.Context, components []evidence.Component, src Source) (Result, error) {
	res := Result{Findings: []Finding{}}
	by, err := lookup(ctx, components, src)
	if err != nil {
		return res, err
	}
	for i, c := range components {
		if !matchable(c) {
			continue
		}
		var present, possible []hit
		for _, p := range packagesOf(c) {
			for _, a := range by[p] {
				if h, ok := judge(a, p, c); ok && h.reason == "" {
					present = append(present, h)
				} else if ok {
					possible = append(possible, h)
				}
			}
		}
		found := merge(i, c, present)
		res.Findings = append(res.Findings, found...)
		for _, f := range merge(i, c, possible) {
			if !slices.ContainsFunc(found, f.same) {
				res.Possible = append(res.Possible, f)
			}
		}
	}
	return res, nil
}

// same reports whether both have a name in common.
func (f *Finding) same(o Finding) bool {
	return slices.ContainsFunc(f.Names(), func(n string) bool { return n == o.ID || slices.Contains(o.Aliases, n) })
}

// standard marks what came with Rust's standard library.
const standard = "std"

func matchable(c evidence.Component) bool {
	if c.Part == standard {
		return false
	}
	return c.Class != evidence.Named && (c.Version != "" || c.Requirement != "" || c.Commit != "")
}

// packagesOf are the packages that an advisory may name a component by.
func packagesOf(c evidence.Component) []Package {
	list := []Package{PackageOf(c)}
	if c.Commit != "" && c.Source != "" {
		list = append(list, Package{Git, Name(Git, c.Source)})
	}
	return list
}

// lookup asks the source once for all components.
func lookup(ctx context.Context, components []evidence.Component, src Source) (map[Package][]*Advisory, error) {
	by := map[Package][]*Advisory{}
	var all []Package
	for _, c := range components {
		if !matchable(c) {
			continue
		}
		for _, p := range packagesOf(c) {
			if _, seen := by[p]; !seen {
				by[p] = nil
				all = append(all, p)
			}
		}
	}
	if len(all) == 0 {
		return by, nil
	}
	advisories, err := src.Advisories(ctx, all)
	if err != nil {
		return nil, err
	}
	for _, a := range advisories {
		for _, p := range a.Packages() {
			if list, wanted := by[p]; wanted {
				by[p] = append(list, a)
			}
		}
	}
	return by, nil
}

// A hit is an advisory that holds, or may hold, for a component.
type hit struct {
	advisory *Advisory
	affected []Affected
	fixed    []string
	reason   string
}

// judge says whether an advisory about a package holds for a component of it.
func judge(a *Advisory, p Package, c evidence.Component) (hit, bool) {
	h := hit{advisory: a}
	if !a.Withdrawn.IsZero() {
		return h, false
	}
	sure := false
	for _, f := range a.Affected {
		if f.Package != p {
			continue
		}
		v := f.about(c)
		if !v.affected {
			continue
		}
		if v.reason == "" && !sure {
			sure, h = true, hit{advisory: a} // what is certain displaces what may be
		}
		if v.reason == "" || !sure {
			h.affected, h.reason = append(h.affected, f), v.reason
			if v.fixed != "" {
				h.fixed = append(h.fixed, v.fixed)
			}
		}
	}
	return h, len(h.affected) > 0
}

// A verdict says whether a component is affected; with a reason it may be.
type verdict struct {
	affected bool
	fixed    string
	reason   string
}

// about judges a component by one entry of an advisory.
func (a Affected) about(c evidence.Component) verdict {
	var v verdict
	switch {
	case a.Ecosystem == Git:
		v = a.commit(c.Commit)
	case c.Class == evidence.Inferred:
		v = a.requirement(c)
	default:
		v = a.version(c.Version)
	}
	if !v.affected || v.reason != "" {
		return v
	}
	switch {
	case !a.wasm():
		v.reason = reasonTarget
	case c.Part != "":
		v.reason = reasonRuntime
	case len(a.Custom) > 0 && !(Affected{Package: a.Package, Ranges: a.Custom}).version(c.Version).affected:
		v.reason = reasonCustom
	}
	return v
}

// wasm reports whether the targets that an entry names can be WebAssembly.
func (a Affected) wasm() bool {
	systems := []string{"wasi", "wasm", "wasip1", "wasip2", "emscripten", "unknown", "none"}
	return (len(a.OS) == 0 || slices.ContainsFunc(a.OS, func(s string) bool { return slices.Contains(systems, s) })) &&
		(len(a.Arch) == 0 || slices.ContainsFunc(a.Arch, func(s string) bool { return strings.HasPrefix(s, "wasm") }))
}

// version judges an exact version.
func (a Affected) version(v string) verdict {
	if v == "" {
		return verdict{}
	}
	key, ok := version.Key(a.Ecosystem, v)
	if slices.Contains(a.Versions, v) || ok && slices.ContainsFunc(a.Versions, func(o string) bool {
		other, isVersion := version.Key(a.Ecosystem, o)
		return isVersion && string(other) == string(key)
	}) {
		return verdict{affected: true, fixed: a.fixAfter(key)}
	}
	unknown := false
	for _, r := range a.Ranges {
		spans, readable := r.spans(a.Ecosystem)
		unknown = unknown || !readable
		for _, s := range spans {
			switch {
			case ok && s.Contains(key), s.Lo == nil && s.Hi == nil:
				return verdict{affected: true, fixed: s.fixed}
			case !ok:
				unknown = true
			}
		}
	}
	if unknown || len(a.Ranges) == 0 && len(a.Versions) == 0 {
		return verdict{affected: true, reason: reasonVersion}
	}
	return verdict{}
}

// fixAfter is the first version with a fix after a key, for versions that only the
// list has.
func (a Affected) fixAfter(key []byte) string {
	best, fixed := []byte(nil), ""
	for _, r := range a.Ranges {
		for _, e := range r.Events {
			if k, ok := version.Key(a.Ecosystem, e.Fixed); ok && string(k) > string(key) && (best == nil || string(k) < string(best)) {
				best, fixed = k, e.Fixed
			}
		}
	}
	return fixed
}

// requirement judges a requirement: it may be affected if it allows a version that
// is.
func (a Affected) requirement(c evidence.Component) verdict {
	req, err := version.ParseRequirement(a.Ecosystem, cmp.Or(c.Requirement, c.Version))
	if err != nil {
		return verdict{}
	}
	intervals, _ := a.Intervals()
	if !req.Overlaps(intervals) {
		return verdict{}
	}
	return verdict{affected: true, reason: reasonInferred}
}

// minCommit is how many hexadecimal digits name a commit well enough.
const minCommit = 7

// commit judges a commit. Without the history of the repository only the commits
// that a range names can be judged.
func (a Affected) commit(commit string) verdict {
	if len(commit) < minCommit {
		return verdict{}
	}
	for _, r := range a.Ranges {
		for _, e := range r.Events {
			if strings.HasPrefix(e.Introduced, commit) || strings.HasPrefix(e.LastAffected, commit) {
				return verdict{affected: true}
			}
		}
	}
	return verdict{}
}

// merge makes one finding of the hits that have a name in common.
func merge(index int, c evidence.Component, hits []hit) []Finding {
	slices.SortFunc(hits, func(a, b hit) int { return byName(a.advisory.ID, b.advisory.ID) })
	group := map[string]int{} // name: index into groups
	var groups [][]hit
	for _, h := range hits {
		at := len(groups)
		groups = append(groups, []hit{h})
		for _, name := range h.advisory.Names() {
			if other, ok := group[name]; ok && other != at {
				// All that was known by the names of the later group is now
				// known by those of the earlier one.
				low, high := min(other, at), max(other, at)
				groups[low], groups[high] = append(groups[low], groups[high]...), nil
				for n, g := range group {
					if g == high {
						group[n] = low
					}
				}
				at = low
			}
			group[name] = at
		}
	}
	var list []Finding
	for _, g := range groups {
		if len(g) > 0 {
			list = append(list, finding(index, c, g))
		}
	}
	slices.SortFunc(list, func(a, b Finding) int { return strings.Compare(a.ID, b.ID) })
	return list
}

// byName orders ids by how much their database knows of the ecosystem, then by the
// alphabet.
func byName(a, b string) int {
	rank := func(id string) int {
		switch {
		case strings.HasPrefix(id, "CVE-"):
			return 2
		case strings.HasPrefix(id, "GHSA-"):
			return 1
		}
		return 0
	}
	return cmp.Or(cmp.Compare(rank(a), rank(b)), strings.Compare(a, b))
}

// finding puts the hits of one vulnerability together.
func finding(index int, c evidence.Component, hits []hit) Finding {
	slices.SortStableFunc(hits, func(a, b hit) int { return byName(a.advisory.ID, b.advisory.ID) })
	f := Finding{
		ID: hits[0].advisory.ID, Component: index, PURL: c.PURL(), Name: c.Name, Version: c.Version, Requirement: c.Requirement,
		Informational: hits[0].advisory.Informational, Reason: hits[0].reason,
	}
	for _, h := range hits {
		a := h.advisory
		f.Aliases = append(f.Aliases, a.Names()...)
		f.Summary = cmp.Or(f.Summary, a.Summary)
		f.Severity = f.Severity.worse(a.Severity)
		f.Fixed = append(f.Fixed, h.fixed...)
		f.References = append(f.References, a.References...)
		f.Affected = append(f.Affected, h.affected...)
		if f.Published.IsZero() || !a.Published.IsZero() && a.Published.Before(f.Published) {
			f.Published = a.Published
		}
		if a.Modified.After(f.Modified) {
			f.Modified = a.Modified
		}
		if a.Informational == "" {
			f.Informational = "" // a database takes it for a vulnerability
		}
	}
	f.Aliases = unique(f.Aliases)
	f.Aliases = slices.DeleteFunc(f.Aliases, func(n string) bool { return n == f.ID })
	f.References = unique(f.References)
	f.Fixed = unique(f.Fixed)
	slices.SortStableFunc(f.Fixed, func(a, b string) int {
		order, _ := version.Compare(c.Ecosystem, a, b) // both have been read before
		return order
	})
	return f
}

func unique(list []string) []string {
	slices.Sort(list)
	return slices.Compact(list)
}
