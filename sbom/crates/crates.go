// Package crates knows which crates a Rust crate needs in a build for Wasm, and
// so finds crates that left no byte of their own in a binary.
//
// A crate that is proven at an exact version names its dependencies in the
// registry's index. Those of kind normal that are for the platform of the build,
// that are no procedural macros, and that are not optional or are turned on by a
// feature that another crate of the build asks for, took part in it for certain;
// whether the linker kept code of theirs is not known. That is why [Infer] gives
// them the class [evidence.Inferred] and a requirement instead of a version. What
// the program itself asks for is not known, so its choice of features proves
// nothing; Cargo only ever adds features, so it takes nothing away either. The
// knowledge is embedded (crates.db, see README.md) and is read when it is first
// needed, a few crates at a time.
package crates

import (
	_ "embed"
	"fmt"
	"sync"

	"github.com/wreg-project/wreg/sbom/crates/internal/db"
	"github.com/wreg-project/wreg/sbom/evidence"
)

// How sure an inferred component is: one that the proven version itself names,
// and one that a crate names of which only a requirement is known.
const (
	direct   = 0.97
	indirect = 0.9
)

// What a binary may make an inference do: large programs have 500 crates, and
// each is looked at twice or so.
const (
	maxNodes = 1 << 12 // crates of a graph
	maxSteps = 1 << 13 // looks at one
)

//go:embed crates.db
var embedded []byte

// open reads the table of the embedded file. The tests read all of it; if it is
// corrupt all the same, nothing is inferred.
var open = sync.OnceValues(func() (*db.DB, error) { return db.Open(embedded) })

// Infer gives the crates that those of components need in every build for the
// platforms that are possible, each once, in the order of their names, without
// those that are proven or inferred already.
//
// Only Cargo components count that are no part of the standard library, and are
// proven at an exact version of the registry or inferred with a requirement. From
// an inferred crate it goes on where every version that its requirements allow
// needs the same crate. RequiredBy has no more than 64 crates, Evidence no more
// than [evidence.MaxEvidence]. A crate with several requirements has the one that
// was found first, by the surest path; "*" stands for one that is not the same in
// all versions.
func Infer(components []evidence.Component, on Platforms) []evidence.Component {
	d, err := open()
	if err != nil {
		return nil
	}
	return infer(d, components, on)
}

func infer(d *db.DB, components []evidence.Component, on Platforms) []evidence.Component {
	g := newGraph(d, on)
	known := map[string]bool{}
	for i := range components {
		c := &components[i]
		if c.Ecosystem != evidence.Cargo || c.Class == evidence.Named || c.Part != "" {
			continue
		}
		known[db.Key(c.Name)] = true
		if c.Source == "" && c.Commit == "" {
			g.seed(c)
		}
	}
	g.grow()
	var found evidence.Collector
	for _, n := range g.nodes {
		for _, w := range g.wants(n) {
			if !known[db.Key(w.name)] {
				found.Add(n.inferred(w))
			}
		}
	}
	return found.Components()
}

// inferred is the component that a node wants.
func (n *node) inferred(w want) evidence.Component {
	parent := evidence.Component{Ecosystem: evidence.Cargo, Name: n.name, Version: n.version}
	by, sure := n.version, direct
	if by == "" {
		by, sure = n.requirement, indirect
	}
	text := fmt.Sprintf("%s %s requires %s %s", n.name, by, w.name, w.shown())
	if w.optional {
		text += ", by a feature"
	}
	return evidence.Component{
		Ecosystem: evidence.Cargo, Name: w.name, Class: evidence.Inferred,
		Requirement: w.shown(), RequiredBy: []string{parent.PURL()},
		Evidence: []evidence.Evidence{{Method: evidence.Dependency, Offset: -1, Confidence: sure, Text: text}},
	}
}
