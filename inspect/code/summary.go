package code

import (
	"cmp"
	"slices"

	"github.com/wreg-project/wreg/inspect/wasm"
)

// A Summary is what a report says of a module's functions, all but the table of
// them.
type Summary struct {
	Imported  int    `json:"imported"` // functions
	Totals    Totals `json:"totals"`
	Truncated bool   `json:"truncated,omitempty"` // see Module.Truncated

	// Distributions over the defined functions.
	Bytes        Distribution `json:"bytes"`
	Instructions Distribution `json:"instructions"`
	Complexity   Distribution `json:"complexity"`
	Nesting      Distribution `json:"nesting"`
	Frame        Distribution `json:"frame"` // bytes, of the functions that have one

	Largest     []Ranked `json:"largest"`
	MostComplex []Ranked `json:"mostComplex"`
	Retaining   []Ranked `json:"retaining"` // by retained bytes, see Module.Retained

	Graph     GraphSummary `json:"graph"`
	Recursion Recursion    `json:"recursion"`
	Indirect  Indirect     `json:"indirect"`
}

// A Distribution of a number over functions. The percentiles are values that
// occur: the least one that the given part of the functions does not exceed.
type Distribution struct {
	Median uint32 `json:"p50"`
	P95    uint32 `json:"p95"`
	Max    uint32 `json:"max"`
}

// Ranked is one function of a list of extremes.
type Ranked struct {
	Index        uint32 `json:"index"`
	Name         string `json:"name,omitempty"`
	Bytes        uint32 `json:"bytes"`
	Instructions uint32 `json:"instructions"`
	Complexity   uint32 `json:"complexity"`
	Retained     uint32 `json:"retained"`
}

// A GraphSummary says how the functions of a module hang together.
type GraphSummary struct {
	Calls int `json:"calls"` // pairs of a function and one it calls directly

	// Roots are numbers of functions and tables that can be called from
	// outside, by reason.
	Roots struct {
		Export int `json:"export"`
		Start  int `json:"start"`
		Table  int `json:"table"`
		Global int `json:"global"`
	} `json:"roots"`

	// Direct, Indirect and Dead divide the defined functions by how they can
	// be reached; DeadBytes is the size of the bodies of the dead ones.
	Direct    int   `json:"direct"`
	Indirect  int   `json:"indirect"`
	Dead      int   `json:"dead"`
	DeadBytes int64 `json:"deadBytes"`

	Leaves      int  `json:"leaves"`      // defined functions that call nothing
	ImportsUsed int  `json:"importsUsed"` // imported functions that can be reached
	Truncated   bool `json:"truncated,omitempty"`
}

// Recursion tells of functions that may call themselves.
type Recursion struct {
	// Direct counts the functions that lie on a cycle of call instructions, and
	// Possible those on a cycle of calls of any kind.
	Direct   int `json:"direct"`
	Possible int `json:"possible"`

	// Groups are the largest sets of functions that call each other, by call
	// instructions. There are Count of them.
	Count  int              `json:"count"`
	Groups []RecursionGroup `json:"groups"`

	// Truncated says that there are too many functions for the size of the
	// module to look for any.
	Truncated bool `json:"truncated,omitempty"`
}

// A RecursionGroup is functions each of which can reach every other.
type RecursionGroup struct {
	Size      int      `json:"size"`
	Functions []uint32 `json:"functions"` // the first ones, in ascending order
}

// Indirect tells what indirect calls can reach.
type Indirect struct {
	Tables []Table  `json:"tables"`
	Types  []Target `json:"types"` // those of most calls
	Count  int      `json:"count"` // of types that are called indirectly

	// Mean is the number of functions that an indirect call may reach, on
	// average over the call_indirect and call_ref of the module: what is left
	// to choose from for whoever controls the index.
	Mean float64 `json:"mean"`
}

// A Table is a table of functions.
type Table struct {
	Index    int    `json:"index"`
	Type     string `json:"type"`
	Imported bool   `json:"imported,omitempty"`
	Exported bool   `json:"exported,omitempty"`
	Written  bool   `json:"written,omitempty"` // by instructions

	// Functions is how many functions the table may hold. If it is imported,
	// exported or written to, that is each that a reference is taken of, and
	// those of other modules besides.
	Functions int `json:"functions"`
}

// A Target is the functions that indirect calls of one type may reach.
type Target struct {
	Type      int    `json:"type"` // index
	Signature string `json:"signature"`
	Calls     int64  `json:"calls"`     // instructions
	Functions int    `json:"functions"` // of all tables
}

// Options for reports.
type Options struct {
	// Name gives the name of a function, "" if it has none. It may be nil.
	Name func(index uint32) string

	// Package gives the package, crate or namespace that a function belongs
	// to, "" if it is not known. It may be nil.
	Package func(index uint32) string

	// Top is how long lists of extremes are; 0 is 20.
	Top int
}

func (o *Options) top() int {
	if o.Top <= 0 {
		return 20
	}
	return o.Top
}

func (o *Options) name(f uint32) string {
	if o.Name == nil {
		return ""
	}
	return o.Name(f)
}

// Summary sums m up.
func (m *Module) Summary(o Options) Summary {
	s := Summary{Imported: m.Imported, Totals: m.Totals, Truncated: m.Truncated()}
	var q quantiles
	q.of(m.Functions, func(f *Function) (uint32, bool) { return f.Bytes, true }, &s.Bytes)
	q.of(m.Functions, func(f *Function) (uint32, bool) { return f.Instructions, true }, &s.Instructions)
	q.of(m.Functions, func(f *Function) (uint32, bool) { return f.Complexity, true }, &s.Complexity)
	q.of(m.Functions, func(f *Function) (uint32, bool) { return f.Nesting, true }, &s.Nesting)
	q.of(m.Functions, func(f *Function) (uint32, bool) { return f.Frame, f.Frame > 0 }, &s.Frame)
	s.Largest = m.ranked(&o, func(i int) uint32 { return m.Functions[i].Bytes })
	s.MostComplex = m.ranked(&o, func(i int) uint32 { return m.Functions[i].Complexity })
	s.Retaining = m.ranked(&o, func(i int) uint32 { return m.Retained[i] })
	s.Graph = m.graphSummary()
	s.Recursion = m.recursion(&o)
	s.Indirect = m.indirect(&o)
	return s
}

// quantiles is the memory to work out distributions in.
type quantiles struct {
	values []uint32
	count  [1 << 11]uint32
}

// of describes a number of each function, or of those that number reports to
// have it.
func (q *quantiles) of(functions []Function, number func(*Function) (uint32, bool), d *Distribution) {
	q.values = slices.Grow(q.values[:0], len(functions))
	for i := range functions {
		if v, ok := number(&functions[i]); ok {
			q.values = append(q.values, v)
		}
	}
	n := len(q.values)
	if n == 0 {
		return
	}
	d.Median, d.P95, d.Max = q.rank((n+1)/2-1), q.rank((n*95+99)/100-1), slices.Max(q.values)
}

// rank gives the value that would be at place k of the sorted values: it counts
// them by their highest bits, those of the ones at hand by the next, and so on.
func (q *quantiles) rank(k int) uint32 {
	const width = 11
	var found uint32
	for shift := 2 * width; shift >= 0; shift -= width {
		clear(q.count[:])
		for _, v := range q.values {
			if v>>shift>>width == found {
				q.count[v>>shift&(1<<width-1)]++
			}
		}
		digit := uint32(0)
		for k >= int(q.count[digit]) {
			k -= int(q.count[digit])
			digit++
		}
		found = found<<width | digit
	}
	return found
}

// ranked lists the functions with the greatest values, ties by index.
func (m *Module) ranked(o *Options, value func(i int) uint32) []Ranked {
	n := o.top()
	best := make([]int, 0, n+1)
	for i := range m.Functions {
		v := value(i)
		if len(best) == n && v <= value(best[n-1]) {
			continue
		}
		at, _ := slices.BinarySearchFunc(best, v, func(j int, v uint32) int {
			if value(j) >= v {
				return -1
			}
			return 1
		})
		best = slices.Insert(best, at, i)
		best = best[:min(len(best), n)]
	}
	list := make([]Ranked, len(best))
	for i, j := range best {
		f := &m.Functions[j]
		index := uint32(m.Imported + j)
		list[i] = Ranked{index, o.name(index), f.Bytes, f.Instructions, f.Complexity, m.Retained[j]}
	}
	return list
}

func (m *Module) graphSummary() (s GraphSummary) {
	g := m.Graph
	s.Truncated = g.Truncated
	for _, r := range g.Roots {
		switch r.Why {
		case RootExport:
			s.Roots.Export++
		case RootStart:
			s.Roots.Start++
		case RootTable:
			s.Roots.Table++
		case RootGlobal:
			s.Roots.Global++
		}
	}
	for f := range g.funcs {
		reach := g.Reach(f)
		if f < g.imported {
			if reach != Unreachable {
				s.ImportsUsed++
			}
			continue
		}
		for _, t := range g.row(f) {
			if t < g.funcs {
				s.Calls++
			}
		}
		if len(g.row(f)) == 0 && !g.Truncated {
			s.Leaves++
		}
		switch reach {
		case Directly:
			s.Direct++
		case Indirectly:
			s.Indirect++
		case Unreachable:
			s.Dead++
			s.DeadBytes += m.wasm.Code[f-g.imported].Size
		}
	}
	return s
}

// maxGroup is how many functions of a group of recursive ones are listed.
const maxGroup = 16

func (m *Module) recursion(o *Options) (r Recursion) {
	g := m.Graph
	r.Groups = []RecursionGroup{}
	// A search takes five words a node, and its result two.
	if r.Truncated = g.Truncated || !m.affordable(28, 0); r.Truncated {
		return r
	}
	comp, count := components(g.all())
	r.Possible = len(cycles(g, g.all(), comp, count).nodes)
	comp, count = components(g.direct(g.funcs))
	c := cycles(g, g.direct(g.funcs), comp, count)
	r.Direct = len(c.nodes)
	for i := 0; i < len(c.nodes); {
		j := i
		for j < len(c.nodes) && comp[c.nodes[j]] == comp[c.nodes[i]] {
			j++
		}
		r.Count++
		r.Groups = append(r.Groups, RecursionGroup{Size: j - i, Functions: c.nodes[i:min(j, i+maxGroup)]})
		i = j
	}
	slices.SortStableFunc(r.Groups, func(a, b RecursionGroup) int {
		return cmp.Or(b.Size-a.Size, cmp.Compare(a.Functions[0], b.Functions[0]))
	})
	r.Groups = slices.Clone(r.Groups[:min(len(r.Groups), o.top())])
	return r
}

type onCycle struct{ nodes []uint32 }

// cycles lists the functions that lie on a cycle, by component.
func cycles(g *Graph, v view, comp []uint32, count int) (c onCycle) {
	size := make([]uint32, count)
	for _, k := range comp {
		size[k]++
	}
	for _, node := range byValue(comp, count) {
		if node >= g.funcs {
			continue
		}
		self := false
		if size[comp[node]] == 1 {
			for t, i := v.next(node, v.off[node]); t != none && !self; t, i = v.next(node, i) {
				self = t == node
			}
		}
		if self || size[comp[node]] > 1 {
			c.nodes = append(c.nodes, node)
		}
	}
	return c
}

func (m *Module) indirect(o *Options) Indirect {
	g := m.Graph
	s := Indirect{Tables: m.tables(), Types: []Target{}}
	// The functions an indirect call may reach, by what stands for its type.
	targets := make(map[uint32]int)
	for i, set := range g.sets {
		if set.Type != AnyType {
			targets[uint32(set.Type)] = max(targets[uint32(set.Type)], len(g.row(g.funcs+uint32(i))))
		}
	}
	calls := make(map[uint32]int64)
	for t, n := range m.sites {
		calls[m.class[t]] += int64(n)
	}
	var sum, sites int64
	for t, n := range calls {
		s.Types = append(s.Types, Target{Type: int(t), Calls: n, Functions: targets[t]})
		sum += n * int64(targets[t])
		sites += n
	}
	s.Count = len(s.Types)
	if sites > 0 {
		s.Mean = float64(sum) / float64(sites)
	}
	slices.SortFunc(s.Types, func(a, b Target) int { return cmp.Or(cmp.Compare(b.Calls, a.Calls), a.Type-b.Type) })
	s.Types = slices.Clone(s.Types[:min(len(s.Types), o.top())])
	for i := range s.Types {
		s.Types[i].Signature = m.wasm.Types[s.Types[i].Type].String()
	}
	return s
}

// maxTables bounds the list of tables: components have up to a few dozen.
const maxTables = 100

func (m *Module) tables() []Table {
	list := []Table{}
	for i, t := range m.wasm.Tables[:min(len(m.wasm.Tables), maxTables)] {
		if !isFuncRef(m.wasm, t.Elem) {
			continue
		}
		list = append(list, Table{Index: i, Type: t.String(), Written: m.written.has(uint32(i)), Functions: m.holds(i)})
	}
	mark := func(i uint32, what func(*Table)) {
		for j := range list {
			if list[j].Index == int(i) {
				what(&list[j])
			}
		}
	}
	for _, im := range m.wasm.Imports {
		if im.Kind == wasm.ExternTable {
			mark(im.Index, func(t *Table) { t.Imported = true })
		}
	}
	for _, e := range m.wasm.Exports {
		if e.Kind == wasm.ExternTable {
			mark(e.Index, func(t *Table) { t.Exported = true })
		}
	}
	return list
}

// holds counts the functions that a table may hold.
func (m *Module) holds(table int) int {
	want := Set{Kind: SetReferences, Type: AnyType}
	if m.pool[table] > 0 {
		want = Set{Kind: SetTable, Index: table, Type: AnyType}
	}
	if i := slices.Index(m.Graph.sets, want); i >= 0 {
		_, functions := m.Graph.Set(i)
		return len(functions)
	}
	return 0
}
