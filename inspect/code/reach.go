package code

import (
	"fmt"
	"slices"

	"github.com/wreg-project/wreg/inspect/wasm"
)

// A Reach says how a function can be reached from outside the module.
type Reach byte

// The ways to reach a function.
const (
	Unreachable Reach = iota
	Indirectly        // not without an indirect call, or a reference taken to a function
	Directly          // by call instructions alone, from an export or the start function
)

func (r Reach) String() string {
	return [...]string{"unreachable", "indirect", "direct"}[r]
}

// MarshalText gives the text of String.
func (r Reach) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads the text of String.
func (r *Reach) UnmarshalText(text []byte) error {
	for k := range Directly + 1 {
		if k.String() == string(text) {
			*r = k
			return nil
		}
	}
	return fmt.Errorf("%.40q is no way to reach a function", text)
}

// Marks of the entries of Graph.up.
const (
	indirectly = 1 << 31
	top        = indirectly - 2 // a root has no node above it; with the mark it is not none
)

// reach finds the first way to each node: breadth first by calls alone, then by
// all edges from whatever that has reached.
func (g *Graph) reach() {
	g.up = make([]uint32, g.nodes())
	for i := range g.up {
		g.up[i] = none
	}
	queue := make([]uint32, 0, g.nodes())
	start := func(mark uint32, kinds ...RootKind) {
		for _, r := range g.Roots {
			if g.up[r.Node] == none && slices.Contains(kinds, r.Why) {
				g.up[r.Node] = top | mark
				queue = append(queue, r.Node)
			}
		}
	}
	walk := func(v view, mark uint32) {
		for i := 0; i < len(queue); i++ {
			for _, t := range v.row(queue[i]) {
				if t &= v.mask; t < v.limit && g.up[t] == none {
					g.up[t] = queue[i] | mark
					queue = append(queue, t)
				}
			}
		}
	}
	start(0, RootExport, RootStart)
	walk(g.direct(g.funcs), 0)
	start(indirectly, RootTable, RootGlobal)
	walk(g.all(), indirectly)
}

// Reach says whether and how function f can be reached. In a truncated graph
// nothing is unreachable.
func (g *Graph) Reach(f uint32) Reach {
	switch {
	case f >= g.funcs:
		return Unreachable
	case g.Truncated:
		return Indirectly
	case g.up[f] == none:
		return Unreachable
	case g.up[f]&indirectly != 0:
		return Indirectly
	}
	return Directly
}

// Path gives a way from a root to function to, both included: functions of which
// each calls the next, or may do so by an indirect call. It is the shortest one
// that needs no indirect call, if there is any. It is nil if the function is not
// reachable or the graph is truncated. The first function of a path that begins
// with a table or a global is the one that those hold.
func (g *Graph) Path(to uint32) []uint32 {
	if to >= g.funcs || g.Truncated || g.up[to] == none {
		return nil
	}
	var path []uint32
	for v := to; v != top; v = g.up[v] &^ indirectly {
		if v < g.funcs {
			path = append(path, v)
		}
	}
	slices.Reverse(path)
	return path
}

// Before gives the function before f on the way that [Graph.Path] gives, and false
// if the way begins with f, or there is none.
func (g *Graph) Before(f uint32) (uint32, bool) {
	if f >= g.funcs || g.Truncated || g.up[f] == none {
		return 0, false
	}
	for v := g.up[f] &^ indirectly; v != top; v = g.up[v] &^ indirectly {
		if v < g.funcs {
			return v, true
		}
	}
	return 0, false
}

// Callees lists the functions that function f calls by call instructions, each
// once unless f calls thousands, in the order of their first calls.
func (g *Graph) Callees(f uint32) []uint32 {
	var list []uint32
	if int(f) >= g.nodes() {
		return nil
	}
	for _, t := range g.row(f) {
		if t < g.funcs {
			list = append(list, t)
		}
	}
	return list
}

// Sets lists the sets of functions that function f may call one of, by their
// numbers, for [Graph.Set].
func (g *Graph) Sets(f uint32) []int {
	var list []int
	if f >= g.funcs || int(f) >= g.nodes() {
		return nil
	}
	for _, t := range g.row(f) {
		if t >= g.funcs && t < reference {
			list = append(list, int(t-g.funcs))
		}
	}
	return list
}

// Set describes set i and lists the functions in it.
func (g *Graph) Set(i int) (Set, []uint32) {
	s := g.sets[i]
	if s.Type != AnyType {
		return s, g.row(g.funcs + uint32(i))
	}
	var all []uint32
	for _, t := range g.row(g.funcs + uint32(i)) {
		all = append(all, g.row(t)...)
	}
	return s, all
}

// rootNodes are the nodes of the roots.
func (g *Graph) rootNodes() []uint32 {
	nodes := make([]uint32, len(g.Roots))
	for i, r := range g.Roots {
		nodes[i] = r.Node
	}
	return nodes
}

// ReachedBy says, for each of up to 64 targets, which exported functions lead
// to it by whatever calls: bit i of the value at e is set if targets[i] can be
// reached from m.Exports[e]. More targets than 64 are left out; of a truncated
// graph every function leads everywhere.
func (g *Graph) ReachedBy(m *wasm.Module, targets []uint32) []uint64 {
	found := make([]uint64, len(m.Exports))
	targets = targets[:min(len(targets), 64)]
	masks, comp := g.masks(targets)
	for i, e := range m.Exports {
		switch {
		case e.Kind != wasm.ExternFunc || e.Index >= g.funcs:
		case g.Truncated:
			found[i] = 1<<len(targets) - 1
		default:
			found[i] = masks[comp[e.Index]]
		}
	}
	return found
}

// masks gives each component the set of targets that it reaches.
func (g *Graph) masks(targets []uint32) (masks []uint64, comp []uint32) {
	if g.Truncated {
		return nil, nil
	}
	v := g.all()
	comp, count := components(v)
	masks = make([]uint64, count)
	for i, t := range targets {
		if t < g.funcs {
			masks[comp[t]] |= 1 << i
		}
	}
	// Components are numbered from the leaves on, so that a pass over the nodes
	// by component has the targets' masks ready.
	for _, node := range byValue(comp, count) {
		for _, t := range v.row(node) {
			masks[comp[node]] |= masks[comp[t&v.mask]]
		}
	}
	return masks, comp
}

// byValue lists the indices of values, which are less than n, by value.
func byValue(values []uint32, n int) []uint32 {
	at := make([]uint32, n+1)
	for _, v := range values {
		at[v+1]++
	}
	for i := 1; i <= n; i++ {
		at[i] += at[i-1]
	}
	list := make([]uint32, len(values))
	for i, v := range values {
		list[at[v]] = uint32(i)
		at[v]++
	}
	return list
}
