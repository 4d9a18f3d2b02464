package reach

import (
	"fmt"
	"slices"
	"strings"

	"github.com/wreg-project/wreg/sbom/evidence"
)

// A Table answers queries about one core module without the module: it has the
// names of its functions by package, what was inlined where, and of each function
// whether and how it is reached. It gives the answers that an [Analysis] of the
// module gives. A Table does not change, and is safe for concurrent use.
type Table struct {
	golang bool
	main   string // import path of Go's package main
	reason string // why there are no names
	whole  bool   // what has no name is not there
	hint   string // why not

	names names
	ways  *ways // nil in an Analysis until needed
}

// Query answers queries, in their order.
func (t *Table) Query(queries []Query) []Result {
	return t.answers(queries, func() *ways { return t.ways })
}

func (t *Table) answers(queries []Query, walk func() *ways) []Result {
	results := make([]Result, len(queries))
	for i, q := range queries {
		results[i] = t.answer(q, walk)
	}
	return results
}

// answer asks for the ways only if there is an affected function.
func (t *Table) answer(q Query, walk func() *ways) Result {
	switch {
	case t.reason != "":
		return Result{Reason: t.reason}
	case (q.Ecosystem == evidence.Go) != t.golang, q.Ecosystem != evidence.Go && q.Ecosystem != evidence.Cargo:
		return Result{Reason: "the names in the binary are not of the package's language"}
	case q.elsewhere():
		list := slices.Concat(q.OS, q.Arch)
		reason := "only other platforms are affected: " + strings.Join(list[:min(len(list), MaxListed)], ", ")
		return Result{Level: Present, Conclusive: true, Reason: evidence.Clean(reason, maxText)}
	}
	r := Result{Level: Present, Conclusive: t.whole}
	found := t.find(q)
	if found.linked == 0 {
		r.Reason = t.because("no function of the package is in the binary")
		return r
	}
	r.Level = Linked
	if len(found.targets) == 0 {
		r.Reason = t.because(fmt.Sprintf("the package is in the binary, with %d functions, but no affected one is", found.linked))
		return r
	}
	r.Level, r.Symbols = SymbolLinked, found.symbols[:min(len(found.symbols), MaxListed)]
	for _, n := range found.targets[:min(len(found.targets), MaxListed)] {
		r.Functions = append(r.Functions, t.names.shown(n))
	}
	t.trace(&r, found.targets, walk())
	return r
}

// because qualifies what was not found.
func (t *Table) because(text string) string {
	switch {
	case t.whole:
		return text
	case t.hint != "":
		return text + " by name; " + t.hint
	}
	return text + " by name; it may be without a name where it was inlined"
}

// trace looks for the nearest of the targets.
func (t *Table) trace(r *Result, targets []uint32, w *ways) {
	if w.failed != "" {
		r.Conclusive, r.Reason = false, w.failed
		return
	}
	best, ok := w.nearest(targets)
	if !ok {
		r.Reason = "an affected function is in the binary, but nothing that can be called from outside leads to it"
		return
	}
	r.Level, r.Conclusive, r.Dynamic = Reachable, true, w.dynamic[best]
	r.Reason = "calls lead to an affected function"
	if r.Dynamic {
		r.Reason = "an affected function may be called through an interface, a function value or a table"
	}
	path := w.path(best)
	if len(path) > MaxPath {
		r.Omitted = len(path) - MaxPath
		path = slices.Concat(path[:MaxPath/2], path[len(path)-MaxPath/2:])
	}
	for _, n := range path {
		r.Path = append(r.Path, t.names.shown(n))
	}
}

// prune gives the table with those functions only that a query can find or that
// are on the way to one, and names that need no demangling.
func (t *Table) prune() *Table {
	small := *t
	if t.reason != "" {
		return &small
	}
	keep := t.kept()
	number := make([]uint32, len(keep)) // new numbers of nodes
	var nodes []uint32
	for n, k := range keep {
		if k {
			number[n] = uint32(len(nodes))
			nodes = append(nodes, uint32(n))
		}
	}
	small.names = t.names.prune(nodes, number)
	small.ways = t.ways.prune(nodes, number)
	return &small
}

// kept says which functions are needed.
func (t *Table) kept() []bool {
	keep := make([]bool, t.names.nodes())
	for _, p := range t.names.packages {
		if p.name == "" {
			continue
		}
		for _, n := range t.names.hosts[t.names.begin[p.first]:t.names.begin[p.end]] {
			for !keep[n] {
				keep[n] = true
				n = t.ways.before(n)
			}
		}
	}
	return keep
}
