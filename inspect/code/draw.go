package code

import (
	"cmp"
	"slices"
	"strconv"

	"github.com/wreg-project/wreg/inspect/code/graphdraw"
	"github.com/wreg-project/wreg/inspect/wasm"
)

// Grouping says what the boxes of a drawing are.
type Grouping int

// Groupings. By default a drawing shows functions if there are few, else
// packages if they are known, else the functions that retain most.
const (
	GroupAuto Grouping = iota
	GroupFunctions
	GroupPackages
)

// Bounds of a drawing: boxes of functions and of packages, and of modules that
// functions are imported from. GroupAuto shows up to fewFunctions.
const (
	fewFunctions = 60
	maxFunctions = 150
	maxPackages  = 60
	maxModules   = 20
)

// Draw gives the call graph as a drawing. Imported functions are shown by their
// module, unless functions are. A dashed arrow is an indirect call; it leads
// through a box for the table, where there is one.
func (m *Module) Draw(o Options, by Grouping) *graphdraw.Graph {
	d := &drawing{m: m, o: &o, group: make([]int, m.Graph.funcs), sets: make(map[Set]int), edges: make(map[edgeKey]int)}
	switch {
	case by == GroupFunctions, by == GroupAuto && (m.Graph.funcs <= fewFunctions || o.Package == nil):
		d.byFunction()
	default:
		d.byPackage()
	}
	d.connect()
	return d.graph()
}

// A drawing is one being made.
type drawing struct {
	m       *Module
	o       *Options
	group   []int // box of each function, -1 without one
	single  bool  // boxes are functions
	nodes   []graphdraw.Node
	sets    map[Set]int // boxes of sets
	edges   map[edgeKey]int
	omitted int
}

type edgeKey struct {
	from, to int
	indirect bool
}

func (d *drawing) node(label string, kind graphdraw.Kind) int {
	d.nodes = append(d.nodes, graphdraw.Node{Label: label, Kind: kind})
	return len(d.nodes) - 1
}

// join puts function f into box i.
func (d *drawing) join(f uint32, i int) {
	d.group[f] = i
	n := &d.nodes[i]
	n.Functions++
	if k := int(f) - d.m.Imported; k >= 0 && k < len(d.m.Functions) {
		n.Bytes += int64(d.m.Functions[k].Bytes)
	}
}

// byFunction makes a box for each function, those that retain most if there are
// too many.
func (d *drawing) byFunction() {
	d.single = true
	g := d.m.Graph
	order := make([]uint32, g.funcs)
	for i := range order {
		order[i] = uint32(i)
		d.group[i] = -1
	}
	retained := func(f uint32) uint32 {
		if k := int(f) - d.m.Imported; k >= 0 && k < len(d.m.Retained) {
			return d.m.Retained[k]
		}
		return 0
	}
	if len(order) > maxFunctions {
		slices.SortStableFunc(order, func(a, b uint32) int { return cmp.Compare(retained(b), retained(a)) })
		d.omitted = len(order) - maxFunctions
		order = order[:maxFunctions]
		slices.Sort(order)
	}
	roots := make(map[uint32]bool)
	for _, r := range g.Roots {
		roots[r.Node] = true
	}
	imports := d.importNames(order)
	for _, f := range order {
		kind := graphdraw.Plain
		switch {
		case f < g.imported:
			kind = graphdraw.Import
		case roots[f]:
			kind = graphdraw.Root
		case g.Reach(f) == Unreachable:
			kind = graphdraw.Dead
		}
		label := imports[f]
		if label == "" {
			label = d.o.name(f)
		}
		if label == "" {
			label = "function " + strconv.FormatUint(uint64(f), 10)
		}
		i := d.node(label, kind)
		d.join(f, i)
		d.nodes[i].Functions = 0 // there is one, as everywhere
	}
}

// importNames names the imported functions among order.
func (d *drawing) importNames(order []uint32) map[uint32]string {
	names := make(map[uint32]string)
	for _, im := range d.m.wasm.Imports {
		if im.Kind == wasm.ExternFunc {
			if _, ok := slices.BinarySearch(order, im.Index); ok {
				names[im.Index] = im.Module + "." + im.Name
			}
		}
	}
	return names
}

// byPackage makes a box for each of the largest packages and importing modules,
// and one for the rest of either.
func (d *drawing) byPackage() {
	g := d.m.Graph
	reserved := make([]string, g.funcs)
	for _, im := range d.m.wasm.Imports {
		if im.Kind == wasm.ExternFunc {
			reserved[im.Index] = im.Module
		}
	}
	of := func(f uint32) string {
		if f < g.imported || d.o.Package == nil {
			return reserved[f]
		}
		return d.o.Package(f)
	}
	d.boxes(0, g.imported, of, maxModules, graphdraw.Import, "other modules", "?")
	d.boxes(g.imported, g.funcs, of, maxPackages, graphdraw.Plain, "other packages", "unknown package")
	for _, r := range g.Roots {
		if r.Node < g.funcs && r.Node >= g.imported {
			d.nodes[d.group[r.Node]].Kind = graphdraw.Root
		}
	}
}

// boxes makes boxes for the functions from first to before end by the name that
// of gives, at most n.
func (d *drawing) boxes(first, end uint32, of func(uint32) string, n int, kind graphdraw.Kind, rest, unknown string) {
	type pack struct {
		name  string
		bytes int64
		box   int
	}
	var packs []pack
	ids := make(map[string]int)
	for f := first; f < end; f++ {
		name := of(f)
		id, ok := ids[name]
		if !ok {
			id = len(packs)
			ids[name] = id
			packs = append(packs, pack{name: name})
		}
		d.group[f] = id
		packs[id].bytes++
		if k := int(f) - d.m.Imported; k >= 0 && k < len(d.m.Functions) {
			packs[id].bytes += int64(d.m.Functions[k].Bytes)
		}
	}
	order := make([]int, len(packs))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(packs[b].bytes, packs[a].bytes), cmp.Compare(packs[a].name, packs[b].name))
	})
	other := -1
	for place, id := range order {
		switch label := cmp.Or(packs[id].name, unknown); {
		case place < n:
			packs[id].box = d.node(label, kind)
		default:
			if other < 0 {
				other = d.node(rest, kind)
			}
			packs[id].box = other
		}
	}
	for f := first; f < end; f++ {
		d.join(f, packs[d.group[f]].box)
	}
}

// connect adds the edges between boxes.
func (d *drawing) connect() {
	g := d.m.Graph
	called := make(map[int]bool) // sets, by number
	for f := range g.funcs {
		from := d.group[f]
		if from < 0 {
			continue
		}
		for _, t := range g.row(f) {
			switch {
			case t < g.funcs:
				d.edge(from, d.group[t], false)
			case t >= reference:
				d.edge(from, d.group[t&^reference], true)
			default:
				called[int(t-g.funcs)] = true
				d.edge(from, d.set(g.sets[t-g.funcs]), true)
			}
		}
	}
	for i := range g.sets {
		if !called[i] {
			continue
		}
		s, members := g.Set(i)
		for _, f := range members {
			if f < g.funcs {
				d.edge(d.set(s), d.group[f], true)
			}
		}
	}
}

// set gives the box of a set: one for each type if boxes are functions.
func (d *drawing) set(s Set) int {
	if !d.single {
		s.Type = AnyType
	}
	if i, ok := d.sets[s]; ok {
		return i
	}
	label := "any function"
	switch s.Kind {
	case SetTable:
		label = "table " + strconv.Itoa(s.Index)
	case SetGlobal:
		label = "global " + strconv.Itoa(s.Index)
	case SetReferences:
	}
	if s.Type != AnyType {
		label += " " + d.m.wasm.Types[s.Type].String()
	}
	d.sets[s] = d.node(label, graphdraw.Set)
	return d.sets[s]
}

func (d *drawing) edge(from, to int, indirect bool) {
	switch {
	case from < 0 || to < 0:
		d.omitted++
	case from == to && !d.single:
	default:
		d.edges[edgeKey{from, to, indirect}]++
	}
}

func (d *drawing) graph() *graphdraw.Graph {
	g := &graphdraw.Graph{Nodes: d.nodes, Edges: make([]graphdraw.Edge, 0, len(d.edges)), Omitted: d.omitted}
	for k, n := range d.edges {
		g.Edges = append(g.Edges, graphdraw.Edge{From: k.from, To: k.to, Count: n, Indirect: k.indirect})
	}
	slices.SortFunc(g.Edges, func(a, b graphdraw.Edge) int {
		return cmp.Or(a.From-b.From, a.To-b.To, cmp.Compare(strconv.FormatBool(a.Indirect), strconv.FormatBool(b.Indirect)))
	})
	return g
}
