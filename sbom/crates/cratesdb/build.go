package main

import (
	"slices"
	"strings"

	"github.com/wreg-project/wreg/sbom/crates/internal/db"
)

// build keeps of the index what every build for Wasm needs: of each version the
// normal dependencies that are not optional, whose target is true on all of
// Wasm's platforms, and that are known to be no procedural macro in any version
// that the requirement allows.
func build(index map[string][]release, kinds map[string]map[string]bool) []db.Crate {
	b := builder{index: index, libraries: map[string]map[string]bool{}}
	for name, releases := range index {
		b.libraries[name] = libraries(releases, kinds[name])
	}
	var list []db.Crate
	for name, releases := range index {
		slices.SortFunc(releases, func(a, b release) int { return a.version.Compare(b.version) })
		c := db.Crate{Name: name}
		for _, r := range releases {
			number, _, _ := strings.Cut(r.Vers, "+")
			c.Versions = append(c.Versions, db.Version{Number: number, Edges: b.edges(r)})
		}
		list = append(list, c)
	}
	return list
}

type builder struct {
	index     map[string][]release
	libraries map[string]map[string]bool // by name and version: certainly no procedural macro
}

func (b *builder) edges(r release) (edges []db.Edge) {
	for _, d := range r.Deps {
		if d.normal() && !d.Optional && d.Registry == "" && onAllWasm(d.Target) && b.library(d.crate(), d.Req) {
			edges = append(edges, db.Edge{Name: d.crate(), Requirement: d.Req})
		}
	}
	slices.SortFunc(edges, func(a, b db.Edge) int {
		return strings.Compare(a.Name+" "+a.Requirement, b.Name+" "+b.Requirement)
	})
	return slices.Compact(edges)
}

// library reports whether a crate is known, and no version of it that the
// requirement allows may be a procedural macro.
func (b *builder) library(name, requirement string) bool {
	known := false
	for _, r := range b.index[db.Key(name)] {
		if !db.Matches(requirement, r.version) {
			continue
		}
		if known = b.libraries[db.Key(name)][r.Vers]; !known {
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
