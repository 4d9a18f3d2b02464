package crates

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/Masterminds/semver/v3"

	"github.com/wreg-project/wreg/sbom/crates/internal/db"
	"github.com/wreg-project/wreg/sbom/evidence"
)

// A graph is what is certain of a build: which crates took part, in which versions
// they may have, with which features at least. Each of these only ever becomes
// more certain, so that the order in which it grows does not matter, nor does it
// harm to stop.
type graph struct {
	db     *db.DB
	on     db.Platforms
	crates map[string]*crate
	byKey  map[string]*node
	nodes  []*node // in the order in which they were met
	queue  []*node
}

// A crate is one of the database, its versions understood.
type crate struct {
	db.Crate
	numbers []*semver.Version // nil where it is no version
	allowed map[string][]int  // by requirement, the versions that Cargo would take
}

// A node is a crate in one range of compatible versions. Cargo takes no more than
// one version of each (The Cargo Book, "Dependency Resolution"), so everything
// that is required of the range holds for that version.
type node struct {
	name, version, requirement string // the version if it is proven
	crate                      *crate
	candidates                 []int // versions that it may have, sorted
	features                   map[string]bool
	queued                     bool
}

// A want is a dependency that a node has, whatever version it is.
type want struct {
	name         string
	requirements []string        // of which one holds, sorted
	features     map[string]bool // at least
	optional     bool            // it is there because of a feature
}

// shown is the requirement if there is one.
func (w *want) shown() string {
	if len(w.requirements) == 1 {
		return w.requirements[0]
	}
	return "*"
}

func newGraph(d *db.DB, on db.Platforms) *graph {
	return &graph{db: d, on: on, crates: map[string]*crate{}, byKey: map[string]*node{}}
}

// find gives a crate, or one without versions if it is not known or this part of
// the file is corrupt.
func (g *graph) find(name string) *crate {
	key := db.Key(name)
	c := g.crates[key]
	if c == nil {
		c = &crate{allowed: map[string][]int{}}
		if found, err := g.db.Find(key); err == nil {
			c.Crate = found
		}
		for _, v := range c.Versions {
			number, err := semver.StrictNewVersion(v.Number)
			if err != nil {
				number = nil
			}
			c.numbers = append(c.numbers, number)
		}
		g.crates[key] = c
	}
	return c
}

// fit gives the versions that one of several requirements allows.
func (c *crate) fit(requirements []string) (all []int) {
	for _, r := range requirements {
		some, ok := c.allowed[r]
		if !ok {
			for i, number := range c.numbers {
				if number != nil && db.Matches(r, number) {
					some = append(some, i)
				}
			}
			c.allowed[r] = some
		}
		all = append(all, some...)
	}
	if len(requirements) > 1 {
		slices.Sort(all)
		all = slices.Compact(all)
	}
	return all
}

// seed adds a component that is certain.
func (g *graph) seed(c *evidence.Component) {
	n := &node{name: c.Name, version: c.Version, requirement: c.Requirement}
	if c.Class == evidence.Inferred {
		n.crate = g.find(c.Name)
		n.candidates = n.crate.fit([]string{c.Requirement})
		g.meet(n, nil)
		return
	}
	want, err := semver.StrictNewVersion(c.Version)
	if err != nil {
		return // no exact version, and so nothing that is certain
	}
	n.crate = g.find(c.Name)
	if i := slices.IndexFunc(n.crate.numbers, func(v *semver.Version) bool { return v != nil && v.Equal(want) }); i >= 0 {
		n.candidates = []int{i}
		g.meet(n, nil)
	}
}

// grow follows what is certain until nothing new is.
func (g *graph) grow() {
	for i := 0; i < len(g.queue) && i < maxSteps; i++ {
		n := g.queue[i]
		n.queued = false
		for _, w := range g.wants(n) {
			c := g.find(w.name)
			g.meet(&node{name: w.name, requirement: w.shown(), crate: c, candidates: c.fit(w.requirements)}, w.features)
		}
	}
}

// meet joins what is known of a crate to what was, and has it looked at again if
// that is news.
func (g *graph) meet(n *node, features map[string]bool) {
	if len(n.candidates) == 0 {
		return // not known, or newer than the database
	}
	key := n.key()
	have, met := g.byKey[key]
	if !met {
		if len(g.nodes) == maxNodes {
			return
		}
		n.features = map[string]bool{}
		have, g.byKey[key], g.nodes = n, n, append(g.nodes, n)
	}
	both := intersect(have.candidates, n.candidates)
	if len(both) == 0 {
		return // Cargo would not take both: what is known of the first stands
	}
	news := !met || len(both) < len(have.candidates)
	have.candidates = both
	for f := range features {
		if !have.features[f] {
			have.features[f], news = true, true
		}
	}
	if news && !have.queued {
		have.queued = true
		g.queue = append(g.queue, have)
	}
}

// key is the range of compatible versions that a node is of. One that may be of
// several stands for itself.
func (n *node) key() string {
	first := series(n.crate.numbers[n.candidates[0]])
	for _, i := range n.candidates[1:] {
		if series(n.crate.numbers[i]) != first {
			return fmt.Sprint(n.crate.Name, " ", n.candidates)
		}
	}
	return fmt.Sprint(n.crate.Name, " ", first)
}

// series is a version up to its first number that is not zero: versions that
// share it are compatible.
func series(v *semver.Version) [3]uint64 {
	switch {
	case v.Major() > 0:
		return [3]uint64{v.Major()}
	case v.Minor() > 0:
		return [3]uint64{0, v.Minor()}
	}
	return [3]uint64{0, 0, v.Patch() + 1} // 0.0.0 is not the whole of 0
}

// intersect gives what two sorted lists share.
func intersect(a, b []int) []int {
	var both []int
	for len(a) > 0 && len(b) > 0 {
		switch cmp.Compare(a[0], b[0]) {
		case -1:
			a = a[1:]
		case 1:
			b = b[1:]
		default:
			both = append(both, a[0])
			a, b = a[1:], b[1:]
		}
	}
	return both
}

// wants gives what all versions need that a node may have, in the order of names.
func (g *graph) wants(n *node) []want {
	var shared map[string]want
	seen := map[int]bool{}
	for _, i := range n.candidates {
		r := n.crate.Versions[i].Record
		if seen[r] {
			continue
		}
		seen[r] = true
		needs := g.needs(n.crate.Records[r], n.features)
		if len(seen) == 1 {
			shared = needs
			continue
		}
		maps.DeleteFunc(shared, func(key string, _ want) bool { _, ok := needs[key]; return !ok })
		for key, w := range shared {
			shared[key] = either(w, needs[key])
		}
		if len(shared) == 0 {
			break
		}
	}
	var list []want
	for _, key := range slices.Sorted(maps.Keys(shared)) {
		list = append(list, shared[key])
	}
	return list
}

// needs gives what a record needs with some features, by name and alias.
func (g *graph) needs(r db.Record, features map[string]bool) map[string]want {
	a := db.Activate(r, features, g.on, false)
	needs := map[string]want{}
	for i := range r.Edges {
		e := &r.Edges[i]
		list, on := a.Wants(e)
		if !on {
			continue
		}
		key := e.Name + " " + e.As
		w, ok := needs[key]
		if !ok {
			w = want{name: e.Name, requirements: []string{e.Requirement}, features: map[string]bool{}, optional: e.Optional}
		}
		for _, f := range list {
			w.features[f] = true
		}
		needs[key] = w
	}
	return needs
}

// either is what holds if one of two does.
func either(a, b want) want {
	both := want{name: a.name, features: map[string]bool{}, optional: a.optional || b.optional}
	both.requirements = slices.Concat(a.requirements, b.requirements)
	slices.Sort(both.requirements)
	both.requirements = slices.Compact(both.requirements)
	for f := range a.features {
		if b.features[f] {
			both.features[f] = true
		}
	}
	return both
}
