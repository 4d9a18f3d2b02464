package reach

import (
	"fmt"
	"slices"
	"strings"

	"github.com/wreg-project/wreg/inspect/code"
	"github.com/wreg-project/wreg/inspect/pclntab"
	"github.com/wreg-project/wreg/inspect/wasm"
)

// ways lead from what can be called from outside to functions.
type ways interface {
	reached(f uint32) (ok, dynamic bool)
	path(f uint32) []uint32
}

// graph gives the ways of the module.
func (a *Analysis) graph() (ways, error) {
	if a.table != nil {
		return newGoWays(a.b, a.table)
	}
	g := a.opts.Graph
	if g == nil {
		m, err := code.Analyse(a.b)
		if err != nil {
			return nil, err
		}
		g = m.Graph
	}
	return graphWays{g}, nil
}

// graphWays are those of a call graph.
type graphWays struct{ g *code.Graph }

func (w graphWays) reached(f uint32) (ok, dynamic bool) {
	r := w.g.Reach(f)
	return r != code.Unreachable, r == code.Indirectly
}

func (w graphWays) path(f uint32) []uint32 { return w.g.Path(f) }

// goWays are those of a Go program: from each function to those it calls or
// takes the value of, in compressed rows.
type goWays struct {
	off, to []uint32
	up      []uint32 // whence a function was first reached, itself of a root, none if it was not
	dynamic []bool   // reached from what is called dynamically only
}

const none = ^uint32(0)

// newGoWays reads all instructions of the program once.
func newGoWays(b *wasm.Binary, t *pclntab.Table) (*goWays, error) {
	m := b.Module
	n := len(m.Functions)
	w := &goWays{off: make([]uint32, n+1), up: make([]uint32, n), dynamic: make([]bool, n)}
	seen := make([]uint32, n) // the last function that leads there, plus one
	first := uint32(m.Imported())
	var c wasm.Code
	var in wasm.Instr
	for i, body := range m.Code {
		from := first + uint32(i)
		w.off[from] = uint32(len(w.to))
		c.Reset(b, body)
		for c.Next(&in) {
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
	return w, nil
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
func (w *goWays) walk(m *wasm.Module, t *pclntab.Table) {
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
func (w *goWays) spread(queue []uint32, from int, dynamic bool) []uint32 {
	for i := from; i < len(queue); i++ {
		v := queue[i]
		for _, t := range w.to[w.off[v]:w.off[v+1]] {
			if w.up[t] == none {
				w.up[t], w.dynamic[t] = v, dynamic
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

func (w *goWays) reached(f uint32) (ok, dynamic bool) {
	return w.up[f] != none, w.dynamic[f]
}

func (w *goWays) path(f uint32) []uint32 {
	path := []uint32{f}
	for w.up[f] != f {
		f = w.up[f]
		path = append(path, f)
	}
	slices.Reverse(path)
	return path
}
