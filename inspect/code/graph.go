package code

import (
	"cmp"
	"iter"
	"math/bits"
	"slices"

	"github.com/wreg-project/wreg/inspect/wasm"
)

// A Graph says who may call whom. Its nodes are the functions, by their index,
// and behind them sets of functions: an indirect call leads to the set of the
// functions of its type that its table may hold, so that there are no more edges
// than calls and elements.
//
// It leaves out no call that can happen, but for those that other modules make
// of functions they got elsewhere:
//
//   - A call_indirect reaches the functions of its type in the element segments
//     of its table. If the table is imported or exported, or written to by
//     instructions, it may hold whatever function a reference is taken of
//     anywhere, and so may what call_ref calls.
//   - Types are the same if their structure is, and a subtype counts as the
//     type it was derived from first.
//   - A function that takes a reference to another, by ref.func or from a table,
//     leads to it, as though by an indirect call.
//   - A global of references leads to the functions in its initial value, also
//     those inside structures, and who reads it leads to the global.
//   - Roots are what the outside can call: exported functions, the start
//     function, all of an imported or exported table, and what is in an exported
//     global.
type Graph struct {
	// Roots are in the order of their nodes.
	Roots []Root

	// Truncated says that the module has more functions or calls than its share
	// of memory is good for, about a function for 40 bytes or a call for 8. The
	// graph then has no edges, everything counts as reachable by indirect calls,
	// and nothing dominates anything.
	Truncated bool

	digraph
	funcs    uint32 // nodes from here on are sets
	imported uint32
	sets     []Set
	up       []uint32 // of each node, whence it was first reached, with indirectly, or none or top
}

// A Set is functions that one indirect call may reach, or that can be got from
// one place.
type Set struct {
	Kind SetKind

	// Index is that of the table or global, 0 for SetReferences.
	Index int

	// Type is the index of a type the functions have, AnyType if they have
	// several.
	Type int
}

// AnyType is the type of a [Set] of functions of several types.
const AnyType = -1

// A SetKind says where the functions of a [Set] are.
type SetKind byte

// Kinds of sets.
const (
	SetReferences SetKind = iota // everything that a reference is taken of
	SetTable                     // in a table that the outside cannot write to
	SetGlobal                    // in the initial value of a global
)

// A Root is a node that can be called from outside.
type Root struct {
	Node uint32
	Why  RootKind
}

// A RootKind says why a node is a root. The least one is kept for a node with
// several reasons.
type RootKind byte

// Kinds of roots.
const (
	RootExport RootKind = iota // an exported function
	RootStart                  // the start function
	RootTable                  // the contents of an imported or exported table
	RootGlobal                 // the initial value of an exported global
)

func (k RootKind) String() string {
	return [...]string{"export", "start", "table", "global"}[k]
}

// Edges are written down by workers as words whose two highest bits say what the
// others are.
const (
	edgeCall     = 0 << 30 // index of the function
	edgeRef      = 1 << 30 // index of the function
	edgeIndirect = 2 << 30 // table in ten bits, type in twenty
	edgeOther    = 3 << 30 // a type of call_ref; tableAll and a table; edgeGlobal and a global
	edgeTag      = 3 << 30

	tableAll   = 1 << 29
	edgeGlobal = 1 << 28
	typeBits   = 20
	typeMask   = 1<<typeBits - 1
	tableMask  = 1<<10 - 1

	// anyTable stands for all tables that the ten bits have no room for.
	anyTable = tableMask
)

// graph makes the graph of the edges that the workers noted.
func (bl *Builder) graph(p *pools) *Graph {
	g := &Graph{funcs: uint32(len(bl.m.Functions)), imported: uint32(bl.imported)}
	if bl.edges.Load() > bl.maxEdges || !p.fill() {
		p.sets, p.keys = nil, nil
		g.Truncated = true
		return g
	}
	bl.link(g, p)
	for _, w := range bl.workers {
		w.chunks = nil
	}
	g.Roots = bl.roots(g, p)
	g.reach()
	return g
}

// link fills in the rows of functions and sets.
func (bl *Builder) link(g *Graph, p *pools) {
	for _, s := range p.sets {
		g.sets = append(g.sets, s.Set)
	}
	n := int(g.funcs) + len(p.sets)
	g.off = make([]uint32, n+2)
	each := func(f func(from, to uint32)) {
		for _, w := range bl.workers {
			for i, words := range w.rows() {
				for _, word := range words {
					if to := p.target(word); to != none {
						f(uint32(bl.imported+i), to)
					}
				}
			}
		}
	}
	for i, s := range p.sets {
		g.off[int(g.funcs)+i+2] = uint32(len(s.members))
	}
	each(func(from, _ uint32) { g.off[from+2]++ })
	for i := 2; i < len(g.off); i++ {
		g.off[i] += g.off[i-1]
	}
	g.to = make([]uint32, g.off[n+1])
	each(func(from, to uint32) {
		g.to[g.off[from+1]] = to
		g.off[from+1]++
	})
	for i, s := range p.sets {
		v := int(g.funcs) + i
		copy(g.to[g.off[v+1]:], s.members)
		g.off[v+1] += uint32(len(s.members))
		p.sets[i].members = nil
	}
	g.off = g.off[:n+1]
}

// roots lists what can be called from outside.
func (bl *Builder) roots(g *Graph, p *pools) []Root {
	var list []Root
	m := bl.m
	// One function may be exported a thousand times. Its first reason counts,
	// and they come in the order of their kinds.
	seen := make([]uint64, (g.nodes()+63)/64)
	add := func(node uint32, why RootKind) {
		if node < uint32(g.nodes()) && seen[node/64]&(1<<(node%64)) == 0 {
			seen[node/64] |= 1 << (node % 64)
			list = append(list, Root{node, why})
		}
	}
	for _, e := range m.Exports {
		if e.Kind == wasm.ExternFunc && e.Index < g.funcs {
			add(e.Index, RootExport)
		}
	}
	if m.Start >= 0 && m.Start < int64(g.funcs) {
		add(uint32(m.Start), RootStart)
	}
	for t := range p.open {
		if p.open[t] {
			add(p.target(edgeOther|tableAll|uint32(min(t, anyTable))), RootTable)
		}
	}
	for _, e := range m.Exports {
		if e.Kind == wasm.ExternGlobal {
			add(p.target(edgeOther|edgeGlobal|e.Index&typeMask), RootGlobal)
		}
	}
	slices.SortFunc(list, func(a, b Root) int { return cmp.Compare(a.Node, b.Node) })
	return list
}

// pools make the sets of functions that indirect calls reach. A pool is what a
// table may hold; a pool's functions of one type are a set, and all of its sets
// together are one more.
type pools struct {
	bl    *Builder
	class []uint32 // of each type: the type that stands for it
	pool  []int32  // of each table: 0 is all that a reference is taken of, t+1 table t
	open  []bool   // of each table: whether the outside has it, too
	sets  []poolSet
	keys  []uint64 // of sets: pool, and class or none; globals come last as though one more pool
	left  int64    // edges that may still be made

	written tables // by instructions
}

// edgesPerSet is as how many edges a set counts: what is kept of it takes as
// much memory.
const edgesPerSet = 12

type poolSet struct {
	Set
	members []uint32 // functions, or other sets as nodes
}

func newPools(bl *Builder) *pools {
	m := bl.m
	p := &pools{bl: bl, class: bl.shapes.classes(m), pool: make([]int32, len(m.Tables)), open: make([]bool, len(m.Tables))}
	for _, w := range bl.workers {
		for t, written := range w.written {
			p.written[t] |= written
		}
	}
	for _, im := range m.Imports {
		if im.Kind == wasm.ExternTable {
			p.open[im.Index] = true
		}
	}
	for _, e := range m.Exports {
		if e.Kind == wasm.ExternTable && int64(e.Index) < int64(len(p.open)) {
			p.open[e.Index] = true
		}
	}
	for t := range p.pool {
		if t < anyTable && !p.written.has(uint32(t)) && !p.open[t] {
			p.pool[t] = int32(t + 1)
		}
	}
	return p
}

// fill makes the sets, and reports whether there was room for them.
func (p *pools) fill() bool {
	if p.fillFrom(p.pool) {
		return true
	}
	clear(p.pool) // one pool for all tables has each function once
	return p.fillFrom(p.pool)
}

func (p *pools) fillFrom(pool []int32) bool {
	p.sets, p.keys = nil, nil
	p.left = p.bl.maxEdges
	m := p.bl.m
	seen := make([]uint64, (len(m.Functions)+63)/64)
	if !p.add(0, seen, p.referenced) {
		return false
	}
	var segments []uint32 // active ones, by table
	for i := range m.Elems {
		if m.Elems[i].Mode == wasm.SegmentActive {
			segments = append(segments, uint32(i))
		}
	}
	slices.SortStableFunc(segments, func(a, b uint32) int { return cmp.Compare(m.Elems[a].Table, m.Elems[b].Table) })
	for t, q := range pool {
		first := 0
		for first < len(segments) && int64(m.Elems[segments[first]].Table) < int64(t) {
			first++
		}
		segments = segments[first:]
		if q == 0 {
			continue
		}
		members := func(yield func(uint32) bool) {
			for _, i := range segments {
				if int64(m.Elems[i].Table) > int64(t) {
					break
				}
				for _, f := range m.ElementFuncs(&m.Elems[i]) {
					if f >= 0 && f < int64(len(m.Functions)) && !yield(uint32(f)) {
						return
					}
				}
			}
			if first := len(m.Tables) - len(m.TableInits); t >= first {
				v := m.TableInits[t-first].Value
				if v.Kind == wasm.ConstFunc && int64(v.Index) < int64(len(m.Functions)) {
					yield(v.Index)
				}
			}
		}
		if !p.add(int(q), seen, members) {
			return false
		}
	}
	return p.globals()
}

// referenced yields the functions that a reference is taken of, some of them
// more than once.
func (p *pools) referenced(yield func(uint32) bool) {
	m, b := p.bl.m, p.bl.b
	known := func(f int64) bool { return f >= 0 && f < int64(len(m.Functions)) }
	for i := range m.Elems {
		e := &m.Elems[i]
		for _, f := range m.ElementFuncs(e) {
			if known(f) && !yield(uint32(f)) {
				return
			}
		}
		if isFuncRef(m, e.Type) {
			continue
		}
		for r := range references(b.Bytes(e.Offset, e.Size)) {
			if !r.global && known(int64(r.index)) && !yield(r.index) {
				return
			}
		}
	}
	for _, e := range m.Exports {
		if e.Kind == wasm.ExternFunc && known(int64(e.Index)) && !yield(e.Index) {
			return
		}
	}
	for _, list := range [][]wasm.ConstExpr{m.Inits, m.TableInits} {
		for _, init := range list {
			for r := range references(b.Bytes(init.Offset, int64(init.Size))) {
				if !r.global && known(int64(r.index)) && !yield(r.index) {
					return
				}
			}
		}
	}
}

// isFuncRef is whether values of type t are null or functions.
func isFuncRef(m *wasm.Module, t wasm.ValType) bool {
	if i := t.TypeIndex(); i >= 0 {
		return i < len(m.Types) && m.Types[i].Form == wasm.FormFunc
	}
	h := t.Heap()
	return t.IsRef() && (h.Code == wasm.HeapFunc || h.Code == wasm.HeapNoFunc)
}

// globals makes a set for each global whose initial value has references to
// functions or to other globals, which come before it.
func (p *pools) globals() bool {
	m, b := p.bl.m, p.bl.b
	pool := uint64(len(m.Tables)+1) << 32
	first := len(m.Globals) - len(m.Inits)
	for i, init := range m.Inits {
		if first+i < 0 || !m.Globals[first+i].Type.IsRef() {
			continue
		}
		var members []uint32
		for r := range references(b.Bytes(init.Offset, int64(init.Size))) {
			to := r.index
			if r.global {
				to = p.node(pool | uint64(to))
			}
			if to != none && (r.global || int64(to) < int64(len(m.Functions))) {
				members = append(members, to)
				p.left--
			}
		}
		if members != nil {
			p.left -= edgesPerSet
		}
		if p.left < 0 {
			return false
		}
		if members != nil {
			p.sets = append(p.sets, poolSet{Set{SetGlobal, first + i, AnyType}, members})
			p.keys = append(p.keys, pool|uint64(first+i))
		}
	}
	return true
}

// add makes the sets of one pool. The bits of seen are zero before and after.
func (p *pools) add(pool int, seen []uint64, members iter.Seq[uint32]) bool {
	for f := range members {
		seen[f/64] |= 1 << (f % 64)
	}
	count := 0
	for _, word := range seen {
		count += bits.OnesCount64(word)
	}
	if int64(count) > p.left {
		clear(seen)
		return false
	}
	typed := make([]uint64, 0, count)
	for i, word := range seen {
		seen[i] = 0
		for ; word != 0; word &= word - 1 {
			f := uint32(i*64 + bits.TrailingZeros64(word))
			if t := p.bl.m.Functions[f]; int64(t) < int64(len(p.class)) {
				typed = append(typed, uint64(p.class[t])<<32|uint64(f))
			}
		}
	}
	p.left -= int64(count)
	slices.Sort(typed)
	first := len(p.sets)
	of := Set{Kind: SetReferences}
	if pool > 0 {
		of = Set{Kind: SetTable, Index: pool - 1}
	}
	all := make([]uint32, len(typed))
	for i, v := range typed {
		all[i] = uint32(v)
	}
	for i := 0; i < len(typed); {
		j := i
		for j < len(typed) && typed[j]>>32 == typed[i]>>32 {
			j++
		}
		if p.left -= edgesPerSet; p.left < 0 {
			return false
		}
		class := typed[i] >> 32
		of.Type = int(class)
		p.sets = append(p.sets, poolSet{of, all[i:j]})
		p.keys = append(p.keys, uint64(pool)<<32|class)
		i = j
	}
	if p.left -= edgesPerSet; p.left < 0 {
		return false
	}
	// Last among the keys of the pool, as no type has that index.
	of.Type = AnyType
	whole := poolSet{Set: of}
	for i := first; i < len(p.sets); i++ {
		whole.members = append(whole.members, uint32(len(p.bl.m.Functions)+i))
	}
	p.sets = append(p.sets, whole)
	p.keys = append(p.keys, uint64(pool)<<32|uint64(none))
	return true
}

// target gives the node of an edge as a worker noted it, none if no function
// can be at its end.
func (p *pools) target(word uint32) uint32 {
	switch f := word &^ edgeTag; word & edgeTag {
	case edgeCall, edgeRef:
		if int64(f) >= int64(len(p.bl.m.Functions)) {
			return none // of a module that is not valid
		}
		if word&edgeTag == edgeRef {
			return f | reference
		}
		return f
	case edgeIndirect:
		return p.set(word>>typeBits&tableMask, p.classOf(word&typeMask))
	}
	switch {
	case word&tableAll != 0:
		return p.set(word&tableMask, none)
	case word&edgeGlobal != 0:
		return p.node(uint64(len(p.pool)+1)<<32 | uint64(word&typeMask))
	}
	return p.set(anyTable, p.classOf(word&typeMask))
}

func (p *pools) classOf(typ uint32) uint32 {
	if int64(typ) < int64(len(p.class)) {
		return p.class[typ]
	}
	return none - 1
}

func (p *pools) set(table, class uint32) uint32 {
	pool := 0
	if table != anyTable && int64(table) < int64(len(p.pool)) {
		pool = int(p.pool[table])
	}
	return p.node(uint64(pool)<<32 | uint64(class))
}

// node is that of the set of a key, none if there is no such set.
func (p *pools) node(key uint64) uint32 {
	i, ok := slices.BinarySearch(p.keys, key)
	if !ok {
		return none
	}
	return uint32(len(p.bl.m.Functions) + i)
}
