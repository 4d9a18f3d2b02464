// Package crates knows which crates a Rust crate needs in every build for Wasm,
// and so finds crates that left no byte of their own in a binary.
//
// A crate that is proven at an exact version names its dependencies in the
// registry's index. Those of kind normal that are neither optional nor for other
// machines, and that are no procedural macros, took part in the build for
// certain; whether the linker kept code of theirs is not known. That is why
// [Infer] gives them the class [evidence.Inferred] and a requirement instead of
// a version. The knowledge is embedded (crates.db, see README.md) and is read
// when it is first needed, a few crates at a time.
package crates

import (
	_ "embed"
	"fmt"
	"sync"

	"github.com/Masterminds/semver/v3"

	"github.com/wreg-project/wreg/sbom/crates/internal/db"
	"github.com/wreg-project/wreg/sbom/evidence"
)

// How sure an inferred component is: one that the proven version itself names,
// and one that a crate names of which only a requirement is known.
const (
	direct   = 0.97
	indirect = 0.9
)

// maxSteps bounds the crates that an inference goes through.
const maxSteps = 1 << 15

//go:embed crates.db
var embedded []byte

var open = sync.OnceValues(func() (*db.DB, error) { return db.Open(embedded) })

// Infer gives the crates that those of components need in every build for Wasm,
// each once, in the order of their names, without those that are proven already.
//
// Only Cargo components count that are proven at an exact version of the registry
// and are no part of the standard library. From an inferred crate it goes on
// where every version that its requirement allows needs the same crate.
// RequiredBy has no more than 64 crates, Evidence no more than
// [evidence.MaxEvidence]. A crate with several requirements has the one that was
// found first, by the surest path; "*" stands for one that is not the same in all
// versions.
func Infer(components []evidence.Component) []evidence.Component {
	d, err := open()
	if err != nil {
		panic(err) // the tests read all of the file that is embedded
	}
	return infer(d, components)
}

func infer(d *db.DB, components []evidence.Component) []evidence.Component {
	in := inference{db: d, proven: map[string]bool{}, seen: map[step]bool{}}
	for i := range components {
		if c := &components[i]; c.Ecosystem == evidence.Cargo && c.Class == evidence.Proven && c.Part == "" {
			in.proven[db.Key(c.Name)] = true
		}
	}
	for i := range components {
		in.from(&components[i])
	}
	for i := 0; i < len(in.queue) && i < maxSteps; i++ {
		in.through(in.queue[i])
	}
	return in.found.Components()
}

// An inference goes breadth first, so that the surest evidence comes first.
type inference struct {
	db     *db.DB
	proven map[string]bool
	seen   map[step]bool
	queue  []step
	found  evidence.Collector
}

// A step is a crate to go through, of which only a requirement is known.
type step struct{ name, requirement string }

// from adds what a proven component needs.
func (in *inference) from(c *evidence.Component) {
	if c.Ecosystem != evidence.Cargo || c.Class != evidence.Proven || c.Part != "" || c.Source != "" || c.Commit != "" {
		return
	}
	want, err := semver.StrictNewVersion(c.Version)
	if err != nil {
		return // no exact version, and so nothing that is certain
	}
	crate, err := in.db.Find(c.Name)
	if err != nil {
		return // this part of the file is corrupt, and tells nothing
	}
	for _, v := range crate.Versions {
		if have, err := semver.StrictNewVersion(v.Number); err == nil && have.Equal(want) {
			in.add(v.Edges, *c, direct)
			return
		}
	}
}

// through adds what every version needs that the step's requirement allows.
func (in *inference) through(s step) {
	crate, err := in.db.Find(s.name)
	if err != nil {
		return
	}
	parent := evidence.Component{Ecosystem: evidence.Cargo, Name: s.name, Requirement: s.requirement}
	in.add(common(crate, s.requirement), parent, indirect)
}

// common are the edges that all versions of a crate share that a requirement
// allows. Where they do not share the requirement, it is "*".
func common(crate db.Crate, requirement string) []db.Edge {
	var shared []db.Edge
	any := false
	for _, v := range crate.Versions {
		number, err := semver.StrictNewVersion(v.Number)
		if err != nil || !db.Matches(requirement, number) {
			continue
		}
		if !any {
			shared, any = v.Edges, true
			continue
		}
		shared = intersect(shared, v.Edges)
	}
	return shared
}

func intersect(a, b []db.Edge) (both []db.Edge) {
	for _, e := range a {
		for _, o := range b {
			if e.Name != o.Name {
				continue
			}
			if e.Requirement != o.Requirement {
				e.Requirement = "*"
			}
			both = append(both, e)
			break
		}
	}
	return both
}

func (in *inference) add(edges []db.Edge, parent evidence.Component, confidence float64) {
	for _, e := range edges {
		if in.proven[db.Key(e.Name)] {
			continue
		}
		by := parent.Version
		if by == "" {
			by = parent.Requirement
		}
		in.found.Add(evidence.Component{
			Ecosystem: evidence.Cargo, Name: e.Name, Class: evidence.Inferred,
			Requirement: e.Requirement, RequiredBy: []string{parent.PURL()},
			Evidence: []evidence.Evidence{{
				Method: evidence.Dependency, Offset: -1, Confidence: confidence,
				Text: fmt.Sprintf("%s %s requires %s %s", parent.Name, by, e.Name, e.Requirement),
			}},
		})
		if s := (step{e.Name, e.Requirement}); e.Requirement != "*" && !in.seen[s] {
			in.seen[s] = true
			in.queue = append(in.queue, s)
		}
	}
}
