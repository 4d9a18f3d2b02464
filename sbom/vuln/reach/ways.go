package reach

import (
	"fmt"
	"slices"
	"strings"

	"github.com/wreg-project/wreg/inspect/code"
	"github.com/wreg-project/wreg/inspect/pclntab"
	"github.com/wreg-project/wreg/inspect/wasm"
)

// ways lead from what can be called from outside to functions, which are nodes of
// names.
type ways struct {
	failed  string   // why there are none
	blind   bool     // everything may be reached, on ways that are not known
	up      []uint32 // whence a node was first reached, itself of one where a way begins, none if it was not
	dynamic []bool   // not without what is called through an interface, a function value or a table
	depth   []uint32 // of nodes on the way before this one
}

const none = ^uint32(0)

// nearest gives the target at the end of the shortest way, of those that are not
// dynamic if there are any.
func (w *ways) nearest(targets []uint32) (best uint32, ok bool) {
	for _, t := range targets {
		switch {
		case w.up[t] == none:
		case !ok, w.dynamic[best] && !w.dynamic[t], w.dynamic[best] == w.dynamic[t] && w.depth[t] < w.depth[best]:
			best, ok = t, true
		}
	}
	return best, ok
}

// before is the node before n, n itself if there is none.
func (w *ways) before(n uint32) uint32 {
	if w.failed != "" || w.up[n] == none {
		return n
	}
	return w.up[n]
}

// path is the way to a node that is reached.
func (w *ways) path(n uint32) []uint32 {
	if w.blind {
		return nil
	}
	path := []uint32{n}
	for ; w.up[n] != n; n = w.up[n] {
		path = append(path, w.up[n])
	}
	slices.Reverse(path)
	return path
}

// measure fills in depth. It is false if some way has no begin.
func (w *ways) measure() bool {
	const walking = none - 1
	w.depth = slices.Repeat([]uint32{none}, len(w.up))
	var stack []uint32
	for n := range w.up {
		v := uint32(n)
		if w.up[v] == none {
			continue
		}
		for stack = stack[:0]; w.depth[v] == none && w.up[v] != v; v = w.up[v] {
			if w.up[v] == none {
				return false
			}
			w.depth[v] = walking
			stack = append(stack, v)
		}
		if w.depth[v] == walking {
			return false
		}
		if w.up[v] == v {
			w.depth[v] = 0
		}
		for _, s := range slices.Backward(stack) {
			w.depth[s] = w.depth[w.up[s]] + 1
		}
	}
	return true
}

// prune keeps the nodes listed, which get new numbers.
func (w *ways) prune(nodes, number []uint32) *ways {
	small := &ways{failed: w.failed, blind: w.blind}
	if w.failed != "" {
		return small
	}
	small.up = make([]uint32, len(nodes))
	small.dynamic = make([]bool, len(nodes))
	small.depth = make([]uint32, len(nodes))
	for i, n := range nodes {
		small.up[i], small.dynamic[i], small.depth[i] = none, w.dynamic[n], w.depth[n]
		if w.up[n] != none {
			small.up[i] = number[w.up[n]]
		}
	}
	return small
}

// graph gives the ways of the module.
func (a *Analysis) graph() (*ways, error) {
	if a.pcln != nil {
		return goWays(a.b, a.pcln)
	}
	m, err := code.Analyse(a.b)
	if err != nil {
		return nil, err
	}
	return graphWays(m.Graph, len(a.b.Module.Functions)), nil
}

// graphWays are those of a call graph.
func graphWays(g *code.Graph, n int) *ways {
	w := &ways{blind: g.Truncated, up: make([]uint32, n), dynamic: make([]bool, n)}
	for f := range w.up {
		r := g.Reach(uint32(f))
		w.dynamic[f] = r == code.Indirectly
		switch before, ok := g.Before(uint32(f)); {
		case r == code.Unreachable:
			w.up[f] = none
		case ok:
			w.up[f] = before
		default:
			w.up[f] = uint32(f)
		}
	}
	w.measure() // has no cycles
	return w
}

// A goGraph leads from each function of a Go program to those it calls or takes
// the value of, in compressed rows.
type goGraph struct {
	off, to []uint32
	ways
}

// goWays reads all instructions of the program once.
func goWays(b *wasm.Binary, t *pclntab.Table) (*ways, error) {
	m := b.Module
	n := len(m.Functions)
	w := &goGraph{off: make([]uint32, n+1), ways: ways{up: make([]uint32, n), dynamic: make([]bool, n), depth: make([]uint32, n)}}
	seen := make([]uint32, n) // the last function that leads there, plus one
	first := uint32(m.Imported())
	var c wasm.Code
	var in wasm.Instr
	for i, body := range m.Code {
		from := first + uint32(i)
		w.off[from] = uint32(len(w.to))
		c.Reset(b, body)
		for c.Seek(&leading, &in) {
			f, ok := leads(&in, t)
			if ok && int(f) < n && seen[f] != from+1 {
				seen[f] = from + 1
				w.to = append(w.to, f)
			}
		}
		if err := c.Err(); err != nil {
			return nil, fmt.Errorf("function %d: %w", from, err)
		}
	}
	w.off[n] = uint32(len(w.to))
	w.walk(m, t)
	ways := w.ways // apart from the graph, which is not needed any more
	return &ways, nil
}

// leading are the instructions that leads is about.
var leading = wasm.OpSet{
	wasm.OpCall: true, wasm.OpReturnCall: true, wasm.OpRefFunc: true, wasm.OpI64Const: true, wasm.OpI32Const: true,
}

// leads gives the function that an instruction calls or refers to.
func leads(in *wasm.Instr, t *pclntab.Table) (f uint32, ok bool) {
	switch in.Op {
	case wasm.OpCall, wasm.OpReturnCall, wasm.OpRefFunc:
		return in.X, true
	case wasm.OpI64Const:
		return t.Value(in.Value)
	case wasm.OpI32Const:
		return t.Value(uint64(uint32(in.Value)))
	default:
		return 0, false
	}
}

// walk goes breadth first from what is certain to be called, then on from what
// may be.
func (w *goGraph) walk(m *wasm.Module, t *pclntab.Table) {
	for i := range w.up {
		w.up[i] = none
	}
	queue := make([]uint32, 0, len(w.up))
	dynamic := false
	root := func(f uint32) {
		if int(f) < len(w.up) && w.up[f] == none {
			w.up[f], w.dynamic[f] = f, dynamic
			queue = append(queue, f)
		}
	}
	for _, e := range m.Exports {
		if e.Kind == wasm.ExternFunc {
			root(e.Index)
		}
	}
	if m.Start >= 0 {
		root(uint32(m.Start))
	}
	for f := range t.Funcs() {
		if starts(f.Name) {
			root(f.Index)
		}
	}
	next := w.spread(queue, 0, false)
	dynamic = true
	queue = next
	from := len(queue)
	for f := range t.Held() {
		root(f)
	}
	for f := range t.Funcs() {
		if s := pclntab.Parse(f.Name); s.Method || s.Package == "" {
			root(f.Index)
		}
	}
	w.spread(queue, from, true)
}

// spread follows the queue from an index on and returns it with what it found.
func (w *goGraph) spread(queue []uint32, from int, dynamic bool) []uint32 {
	for i := from; i < len(queue); i++ {
		v := queue[i]
		for _, t := range w.to[w.off[v]:w.off[v+1]] {
			if w.up[t] == none {
				w.up[t], w.dynamic[t], w.depth[t] = v, dynamic, w.depth[v]+1
				queue = append(queue, t)
			}
		}
	}
	return queue
}

// starts reports whether the runtime calls a function when the program starts.
func starts(name string) bool {
	if name == "main.main" || name == "runtime.main" {
		return true
	}
	i := strings.LastIndexByte(name, '/') + 1
	_, rest, _ := strings.Cut(name[i:], ".")
	number, ok := strings.CutPrefix(rest, "init.")
	return rest == "init" || ok && number != "" && strings.Trim(number, "0123456789") == ""
}
