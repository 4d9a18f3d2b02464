package sbom

import (
	"cmp"
	"slices"
	"strings"

	"github.com/wreg-project/wreg/sbom/evidence"
)

// A Difference is what a publisher's bill of materials and that of the binary say
// differently. Lists are sorted, and are never nil.
type Difference struct {
	// NotFound are declared and left no trace in the binary.
	NotFound []NotFound `json:"notFound"`

	// NotDeclared are proven by the binary and not declared under any version.
	NotDeclared []evidence.Component `json:"notDeclared"`

	// Versions are in both, in versions of which none is the same.
	Versions []VersionDifference `json:"versions"`
}

// Empty reports whether the two agree.
func (d *Difference) Empty() bool { return len(d.NotFound)+len(d.NotDeclared)+len(d.Versions) == 0 }

// A NotFound is a component that only the publisher names. It is no proof of a
// wrong declaration unless it is Certain: most ecosystems leave a trace of some
// components only, and a declaration may list those of tests and of the build.
type NotFound struct {
	Component evidence.Component `json:"component"`

	// Certain is true where the binary's own list is complete.
	Certain bool   `json:"certain"`
	Reason  string `json:"reason,omitempty"` // why it is or is not, for people
}

// A VersionDifference is a component whose versions differ. Each list is sorted.
type VersionDifference struct {
	Ecosystem evidence.Ecosystem `json:"ecosystem"`
	Name      string             `json:"name"`
	Declared  []string           `json:"declared"`
	Found     []string           `json:"found"`
}

// Compare holds what was derived from a binary against what its publisher
// declares. Components of all units count together, since declarations rarely tell
// them apart.
//
// What is inferred or known by name alone confirms a declaration and is never
// reported as undeclared. Parts that came inside something else, interfaces, and
// what the binary itself is, need not be declared.
func Compare(derived, declared *Document) *Difference {
	d := &Difference{NotFound: []NotFound{}, NotDeclared: []evidence.Component{}, Versions: []VersionDifference{}}
	found, said := index(derived), index(declared)
	for k, s := range said {
		f, ok := found[k]
		switch {
		case !ok:
			d.NotFound = append(d.NotFound, notFound(derived, s)...)
		case f.differs(s):
			d.Versions = append(d.Versions, VersionDifference{
				Ecosystem: k.ecosystem, Name: s.first.Name, Declared: s.versions, Found: f.versions,
			})
		}
	}
	for k, f := range found {
		if _, ok := said[k]; !ok {
			d.NotDeclared = append(d.NotDeclared, f.proven...)
		}
	}
	d.sort()
	return d
}

func (d *Difference) sort() {
	slices.SortFunc(d.NotFound, func(a, b NotFound) int { return evidence.Compare(a.Component, b.Component) })
	slices.SortFunc(d.NotDeclared, evidence.Compare)
	slices.SortFunc(d.Versions, func(a, b VersionDifference) int {
		return cmp.Or(cmp.Compare(a.Ecosystem, b.Ecosystem), strings.Compare(a.Name, b.Name))
	})
}

// An identity is what a component is called, written one way.
type identity struct {
	ecosystem evidence.Ecosystem
	name      string
}

func identify(c *evidence.Component) identity {
	id := identity{c.Ecosystem, c.Name}
	switch c.Ecosystem {
	case evidence.PyPI:
		// PEP 503: runs of "-", "_" and "." are one dash, case does not count.
		id.name = strings.Join(strings.FieldsFunc(strings.ToLower(c.Name), func(r rune) bool {
			return r == '-' || r == '_' || r == '.'
		}), "-")
	case evidence.Cargo:
		// The registry takes no two names that differ in these alone.
		id.name = strings.ReplaceAll(strings.ToLower(c.Name), "_", "-")
	case evidence.NuGet, evidence.Generic, evidence.Composer:
		id.name = strings.ToLower(c.Name)
	case evidence.Go:
		if c.Name == "std" { // what cyclonedx-gomod calls it
			id.name = "stdlib"
		}
	case evidence.NPM, evidence.Gem, evidence.Hackage, evidence.WIT:
	}
	return id
}

// A group is what one document says of one name.
type group struct {
	first    evidence.Component
	proven   []evidence.Component // what must be declared, one for each version
	versions []string             // those that are known, sorted
	open     bool                 // some entry has no exact version
}

// index groups the components of a document. The main ones are the subject, which
// both documents are about.
func index(d *Document) map[identity]*group {
	all := map[identity]*group{}
	for _, c := range d.All() {
		if c.Main || c.Ecosystem == evidence.WIT {
			continue
		}
		id := identify(c)
		g := all[id]
		if g == nil {
			g = &group{first: *c}
			all[id] = g
		}
		if c.Version == "" {
			g.open = true
		} else if v := plainVersion(c); !slices.Contains(g.versions, v) {
			g.versions = append(g.versions, v)
			slices.Sort(g.versions)
		}
		if c.Class == evidence.Proven && c.Part == "" &&
			!slices.ContainsFunc(g.proven, func(p evidence.Component) bool { return p.Version == c.Version }) {
			g.proven = append(g.proven, *c)
		}
	}
	return all
}

// plainVersion is the version without what only some tools write before it.
func plainVersion(c *evidence.Component) string {
	if c.Ecosystem == evidence.Go {
		return strings.TrimPrefix(strings.TrimPrefix(c.Version, "go"), "v")
	}
	return c.Version
}

// differs reports whether both know versions and share none.
func (g *group) differs(o *group) bool {
	if g.open || o.open || len(g.versions) == 0 || len(o.versions) == 0 {
		return false
	}
	return !slices.ContainsFunc(g.versions, func(v string) bool { return slices.Contains(o.versions, v) })
}

// notFound are the components of a group that the binary has nothing of.
func notFound(derived *Document, g *group) []NotFound {
	certain, reason := certainty(derived, g.first.Ecosystem)
	list := make([]NotFound, 0, len(g.proven))
	for _, c := range g.proven {
		list = append(list, NotFound{Component: c, Certain: certain, Reason: reason})
	}
	return list
}

// certainty reports whether every unit of d that says something of an ecosystem
// has all of it, and at least one does.
func certainty(d *Document, e evidence.Ecosystem) (certain bool, reason string) {
	for u := range d.Units() {
		for _, s := range u.Completeness {
			switch {
			case s.Ecosystem != e:
			case !s.Complete:
				return false, s.Reason
			default:
				certain, reason = true, s.Reason
			}
		}
		if u.Omitted > 0 {
			return false, "not every module of the file was looked at"
		}
	}
	return certain, reason
}
