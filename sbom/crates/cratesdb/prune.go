package main

import (
	"maps"
	"slices"
	"strings"

	"github.com/wreg-project/wreg/sbom/crates/internal/db"
)

// A graph has the releases of each crate, by the key of its name.
type graph map[string][]*node

// A node is a release, as far as it is kept.
type node struct {
	edges    []db.Edge
	features map[string][]string
}

// dropUnasked drops the optional dependencies and the features that no
// dependency of any crate turns on: what the program itself may ask for is not
// known, so they are never certain.
func (g graph) dropUnasked() {
	records := map[*node]db.Record{}
	for _, nodes := range g {
		for _, n := range nodes {
			records[n] = n.record()
		}
	}
	asked := map[string]map[string]bool{}
	queue := slices.Collect(maps.Keys(g))
	for len(queue) > 0 {
		name := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		for _, n := range g[name] {
			a := db.Activate(records[n], asked[name], db.AllPlatforms, true)
			for i := range n.edges {
				e := &n.edges[i]
				wants, on := a.Wants(e)
				child := db.Key(e.Name)
				if on && g[child] != nil && add(asked, child, wants) {
					queue = append(queue, child)
				}
			}
		}
	}
	for name, nodes := range g {
		for _, n := range nodes {
			a := db.Activate(records[n], asked[name], db.AllPlatforms, true)
			n.edges = slices.DeleteFunc(n.edges, func(e db.Edge) bool { _, on := a.Wants(&e); return !on })
			kept := map[string][]string{}
			for f, enables := range n.features {
				if a.Has(f) {
					kept[f] = enables
				}
			}
			n.features = kept
		}
	}
}

// add adds words to a set of a map, and reports whether there were new ones.
func add(sets map[string]map[string]bool, key string, words []string) (grown bool) {
	for _, w := range words {
		if !sets[key][w] {
			if sets[key] == nil {
				sets[key] = map[string]bool{}
			}
			sets[key][w], grown = true, true
		}
	}
	return grown
}

// dropIdle drops the features that turn no dependency on, of their crate or of
// another, wherever they are named. They are most of all.
func (g graph) dropIdle() {
	useful := map[string]map[string]bool{}
	for grown := true; grown; {
		grown = false
		for name, nodes := range g {
			for _, n := range nodes {
				grown = n.markUseful(useful, name) || grown
			}
		}
	}
	for name, nodes := range g {
		for _, n := range nodes {
			n.keepUseful(useful, name)
		}
	}
}

func (n *node) markUseful(useful map[string]map[string]bool, name string) (grown bool) {
	for i := range n.edges {
		if e := &n.edges[i]; e.Optional {
			grown = add(useful, name, []string{e.Alias()}) || grown
		}
	}
	for f, enables := range n.features {
		if !useful[name][f] && slices.ContainsFunc(enables, func(item string) bool { return n.isUseful(useful, name, item) }) {
			grown = add(useful, name, []string{f}) || grown
		}
	}
	return grown
}

// isUseful reports whether an item of a feature turns something on.
func (n *node) isUseful(useful map[string]map[string]bool, name, item string) bool {
	if alias, ok := strings.CutPrefix(item, "dep:"); ok {
		return n.optional(alias)
	}
	alias, feature, ok := strings.Cut(item, "/")
	if !ok {
		return useful[name][item] && (n.features[item] != nil || n.optional(item))
	}
	strong := !strings.HasSuffix(alias, "?")
	alias = strings.TrimSuffix(alias, "?")
	if strong && n.optional(alias) {
		return true
	}
	return slices.ContainsFunc(n.edges, func(e db.Edge) bool { return e.Alias() == alias && useful[db.Key(e.Name)][feature] })
}

func (n *node) optional(alias string) bool {
	return slices.ContainsFunc(n.edges, func(e db.Edge) bool { return e.Optional && e.Alias() == alias })
}

func (n *node) keepUseful(useful map[string]map[string]bool, name string) {
	for f, enables := range n.features {
		enables = slices.DeleteFunc(slices.Clone(enables), func(item string) bool { return !n.isUseful(useful, name, item) })
		if len(enables) == 0 {
			delete(n.features, f)
		} else {
			n.features[f] = enables
		}
	}
	for i := range n.edges {
		e := &n.edges[i]
		of := useful[db.Key(e.Name)]
		e.Default = e.Default && of["default"]
		e.Features = slices.DeleteFunc(slices.Clone(e.Features), func(f string) bool { return !of[f] })
		slices.Sort(e.Features)
	}
}
