package main

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/wreg-project/wreg/sbom/crates/internal/db"
)

// build keeps of the index what may be certain of a build for Wasm: of each
// version the normal dependencies whose target is true on one of Wasm's platforms
// at least, and that are known to be no procedural macro in any version that the
// requirement allows. Of those that are optional, and of the features, it keeps
// what another crate of the index turns on.
func build(index map[string][]release, kinds map[string]map[string]bool) []db.Crate {
	libs := librarian{index: index, libraries: map[string]map[string]bool{}}
	for name, releases := range index {
		libs.libraries[name] = libraries(releases, kinds[name])
	}
	all := graph{}
	for name, releases := range index {
		slices.SortFunc(releases, func(a, b release) int { return a.version.Compare(b.version) })
		for i := range releases {
			all[name] = append(all[name], &node{edges: libs.edges(&releases[i]), features: releases[i].Features})
		}
	}
	all.dropUnasked()
	all.dropIdle()
	var list []db.Crate
	for name, releases := range index {
		list = append(list, crate(name, releases, all[name]))
	}
	return list
}

// crate puts releases that need the same together.
func crate(name string, releases []release, nodes []*node) db.Crate {
	c := db.Crate{Name: name}
	number := map[string]int{}
	for i, n := range nodes {
		r := n.record()
		text, err := json.Marshal(r)
		if err != nil {
			panic(err) // texts and numbers alone
		}
		at, ok := number[string(text)]
		if !ok {
			at = len(c.Records)
			number[string(text)] = at
			c.Records = append(c.Records, r)
		}
		version, _, _ := strings.Cut(releases[i].Vers, "+")
		c.Versions = append(c.Versions, db.Version{Number: version, Record: at})
	}
	return c
}

func (n *node) record() db.Record {
	r := db.Record{Edges: n.edges}
	for _, name := range slices.Sorted(maps.Keys(n.features)) {
		enables := slices.Clone(n.features[name])
		slices.Sort(enables)
		r.Features = append(r.Features, db.Feature{Name: name, Enables: slices.Compact(enables)})
	}
	return r
}

// A librarian tells libraries from procedural macros.
type librarian struct {
	index     map[string][]release
	libraries map[string]map[string]bool // by name and version: certainly no procedural macro
}

func (l *librarian) edges(r *release) (edges []db.Edge) {
	for i := range r.Deps {
		d := &r.Deps[i]
		on := platformsOf(d.Target)
		if !d.normal() || on == 0 || d.Registry != "" || !l.library(d.crate(), d.Req) {
			continue
		}
		e := db.Edge{
			Name: d.crate(), Requirement: d.Req, Optional: d.Optional, Default: d.Default, Features: d.Features, Platforms: on,
		}
		if d.Name != e.Name {
			e.As = d.Name
		}
		edges = append(edges, e)
	}
	slices.SortStableFunc(edges, func(a, b db.Edge) int {
		return strings.Compare(a.Name+" "+a.As+" "+a.Requirement, b.Name+" "+b.As+" "+b.Requirement)
	})
	return edges
}

// library reports whether a crate is known, and no version of it that the
// requirement allows may be a procedural macro.
func (l *librarian) library(name, requirement string) bool {
	known := false
	for _, r := range l.index[db.Key(name)] {
		if !db.Matches(requirement, r.version) {
			continue
		}
		if known = l.libraries[db.Key(name)][r.Vers]; !known {
			return false
		}
	}
	return known
}

// libraries tells which versions of a crate are certainly no procedural macros.
// The index does not say; the manifests of the versions that were downloaded do.
// A version that was not downloaded is judged by those that were: it is a library
// if all of them are, and if it does not build on the crates for writing macros
// where they do not.
func libraries(releases []release, kinds map[string]bool) map[string]bool {
	macro, writes := len(kinds) == 0, false
	for _, r := range releases {
		if isMacro, ok := kinds[r.Vers]; ok {
			macro = macro || isMacro
			writes = writes || r.writesMacros()
		}
	}
	certain := map[string]bool{}
	for _, r := range releases {
		isMacro, ok := kinds[r.Vers]
		certain[r.Vers] = ok && !isMacro || !ok && !macro && (writes || !r.writesMacros())
	}
	return certain
}

// writesMacros reports whether the release builds on what procedural macros are
// written with.
func (r release) writesMacros() bool {
	return slices.ContainsFunc(r.Deps, func(d dependency) bool {
		switch d.crate() {
		case "syn", "quote", "proc-macro2", "proc-macro-error", "proc-macro-hack", "synstructure", "darling":
			return d.normal()
		}
		return false
	})
}
