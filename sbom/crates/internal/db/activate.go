package db

import (
	"slices"
	"strings"
)

// An Activation is what a record needs when some of its features are on (The
// Cargo Book, "Features").
type Activation struct {
	on        Platforms
	any       bool
	features  map[string]bool
	deps      map[string]bool     // optional dependencies that are on, by alias
	requested map[string][]string // features of dependencies, by alias
	weak      map[string][]string // the same, if the dependency is on
}

// Activate turns features on. A dependency counts that is there on all of
// platforms, or, where any is true, on one of them. Features that the record
// does not have are passed over.
func Activate(r Record, features map[string]bool, platforms Platforms, any bool) *Activation {
	a := &Activation{
		on: platforms, any: any, features: map[string]bool{},
		deps: map[string]bool{}, requested: map[string][]string{}, weak: map[string][]string{},
	}
	if len(features) == 0 {
		return a
	}
	var queue []string
	for f := range features {
		queue = append(queue, f)
	}
	for len(queue) > 0 {
		f := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		if a.features[f] {
			continue
		}
		at, ok := slices.BinarySearchFunc(r.Features, f, func(x Feature, name string) int { return strings.Compare(x.Name, name) })
		if !ok {
			a.deps[f] = true // an optional dependency is a feature, unless a list hides it
			continue
		}
		a.features[f] = true
		for _, item := range r.Features[at].Enables {
			if f, ok := a.item(item); ok {
				queue = append(queue, f)
			}
		}
	}
	return a
}

// item turns on what an item of a feature says, but for a feature of the same
// crate, which it gives.
func (a *Activation) item(item string) (feature string, ok bool) {
	if alias, ok := strings.CutPrefix(item, "dep:"); ok {
		a.deps[alias] = true
		return "", false
	}
	alias, feature, ok := strings.Cut(item, "/")
	if !ok {
		return item, true
	}
	if weak, ok := strings.CutSuffix(alias, "?"); ok {
		a.weak[weak] = append(a.weak[weak], feature)
		return "", false
	}
	a.deps[alias] = true
	a.requested[alias] = append(a.requested[alias], feature)
	return "", false
}

// Has reports whether a feature is on.
func (a *Activation) Has(feature string) bool { return a.features[feature] }

// Wants reports whether a dependency of the record is needed, and gives the
// features that it is wanted with, "default" among them, in no order and perhaps
// more than once.
func (a *Activation) Wants(e *Edge) (features []string, on bool) {
	alias := e.Alias()
	there := e.Platforms&a.on == a.on || a.any && e.Platforms&a.on != 0
	if !there || e.Optional && !a.deps[alias] {
		return nil, false
	}
	features = slices.Concat(e.Features, a.requested[alias], a.weak[alias])
	if e.Default {
		features = append(features, "default")
	}
	return features, true
}
