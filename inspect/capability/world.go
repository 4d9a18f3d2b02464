package capability

import (
	"slices"

	"github.com/wreg-project/wreg/inspect/wasm"
)

// A world is the call graph of a whole component: the functions of all its
// modules, and the host's.
type world struct {
	l     *linker
	first []uint32 // of each unit, the node of its function 0
	funcs uint32   // nodes from here on are the host's
	nodes uint32

	up   []uint32 // whence a node was reached; see reach
	root map[uint32]string
}

const (
	unseen  = ^uint32(0)
	topmost = unseen >> 1
	crooked = 1 << 31 // an indirect call was needed
)

func newWorld(l *linker) *world {
	w := &world{l: l, root: make(map[uint32]string)}
	for _, u := range l.units {
		w.first = append(w.first, w.funcs)
		w.funcs += uint32(len(u.m.Functions))
	}
	w.nodes = w.funcs + uint32(len(l.hosts))
	return w
}

func (w *world) node(t target) uint32 {
	if t.unit == hostUnit {
		return w.funcs + t.fn
	}
	return w.first[t.unit] + t.fn
}

// at gives the function of a node; its unit is hostUnit for one of the host.
func (w *world) at(node uint32) target {
	if node >= w.funcs {
		return target{hostUnit, node - w.funcs}
	}
	u, ok := slices.BinarySearch(w.first, node)
	if !ok {
		u--
	}
	for u+1 < len(w.first) && w.first[u+1] == node {
		u++ // units without functions
	}
	return target{int32(u), node - w.first[u]}
}

// roots marks what the outside can call: the functions behind the exports, start
// functions, and what canonical definitions call on the way.
func (w *world) roots() {
	l := w.l
	for _, s := range l.scopes {
		if !s.live {
			continue
		}
		for _, e := range s.c.Exports {
			if i, ok := s.exported(e.Sort, e.Name); ok && s.open {
				w.rootEntry(s, e.Sort, i, e.Name, 0)
			}
		}
		for _, a := range s.handed {
			w.rootEntry(s, a.Sort, a.Index, "(imported component)", 0)
		}
		w.rootOptions(s)
	}
	for _, t := range l.escaped {
		w.mark(t, "(imported module)")
	}
	for u, unit := range l.units {
		if !unit.live {
			continue
		}
		if unit.m.Start >= 0 {
			w.mark(target{int32(u), uint32(unit.m.Start)}, "(start)")
		}
		for _, e := range unit.m.Exports {
			if e.Kind == wasm.ExternFunc && destructor(e.Name) {
				w.mark(target{int32(u), e.Index}, shorten(e.Name))
			}
		}
	}
}

func (w *world) rootInstance(v instance, name string, depth int) {
	if depth > wasm.MaxTypeNesting {
		w.l.complete = false
		return
	}
	switch {
	case v.bag:
		for _, a := range v.inline {
			w.rootEntry(v.scope, a.Sort, a.Index, name+"#"+a.Name, depth)
		}
	case v.scope != nil:
		for _, e := range v.scope.c.Exports {
			if i, ok := v.scope.exported(e.Sort, e.Name); ok {
				w.rootEntry(v.scope, e.Sort, i, name+"#"+e.Name, depth)
			}
		}
	}
}

func (w *world) rootEntry(s *scope, sort wasm.Sort, i uint32, name string, depth int) {
	if !w.l.step(0) {
		return
	}
	switch sort {
	case wasm.SortFunc:
		w.rootFunction(s, i, name)
	case wasm.SortInstance:
		for _, v := range w.l.instances(s, i) {
			w.rootInstance(v, name, depth+1)
		}
	default: // not called
	}
}

func (w *world) rootFunction(s *scope, i uint32, name string) {
	for _, f := range w.l.functions(s, i) {
		for _, t := range w.l.implementation(f) {
			w.mark(t, shorten(name))
		}
	}
}

// rootOptions marks the start function of a component, and those that the host
// calls for canonical definitions.
func (w *world) rootOptions(s *scope) {
	if s.c.Start != nil {
		w.rootFunction(s, s.c.Start.Func, "(start)")
	}
	for _, c := range s.c.Canons {
		if o := c.Options; o != nil {
			w.markCore(s, o.Realloc, "(realloc)")
			w.markCore(s, o.PostReturn, "(post-return)")
			w.markCore(s, o.Callback, "(callback)")
		}
	}
}

func (w *world) markCore(s *scope, i int64, name string) {
	if i < 0 {
		return
	}
	for _, t := range w.l.coreFuncs(s, uint32(i)) {
		w.mark(t, name)
	}
}

func (w *world) mark(t target, name string) {
	if t.unit == hostUnit || int64(t.fn) >= int64(len(w.l.units[t.unit].m.Functions)) {
		return // the host calls its own functions without us
	}
	n := w.node(t)
	if _, ok := w.root[n]; !ok {
		w.root[n] = name
	}
}

// A walk goes along the edges of a world.
type walk struct {
	w        *world
	indirect bool                  // take indirect calls, too
	stop     func(target) bool     // do not go on from this function; may be nil
	sets     map[[2]int]bool       // sets of functions that were walked into
	visit    func(from, to uint32) // of an edge
}

// from calls visit for each edge of a node.
func (k *walk) from(node uint32) {
	t := k.w.at(node)
	if t.unit == hostUnit || k.stop != nil && k.stop(t) {
		return
	}
	u := k.w.l.units[t.unit]
	if int(t.fn) < len(u.uses) {
		for _, to := range u.targets[t.fn] {
			k.visit(node, k.w.node(to))
		}
		return
	}
	for _, to := range u.through[t.fn] {
		k.visit(node, k.w.node(to))
	}
	first := k.w.first[t.unit]
	if !u.trusted() {
		for i := range u.uses {
			k.visit(node, first+uint32(i))
		}
		return
	}
	for _, f := range u.g.Callees(t.fn) {
		k.visit(node, first+f)
	}
	if !k.indirect {
		return
	}
	for _, s := range u.g.Sets(t.fn) {
		if id := [2]int{int(t.unit), s}; !k.sets[id] {
			k.sets[id] = true
			_, members := u.g.Set(s)
			for _, f := range members {
				k.visit(node, first+f)
			}
		}
	}
}

// reach finds the first way to each node: by calls alone, then by any.
func (w *world) reach() {
	w.up = make([]uint32, w.nodes)
	for i := range w.up {
		w.up[i] = unseen
	}
	var queue []uint32
	for n := range w.nodes {
		if _, ok := w.root[n]; ok {
			w.up[n] = topmost
			queue = append(queue, n)
		}
	}
	var flag uint32
	k := &walk{w: w, sets: make(map[[2]int]bool)}
	k.visit = func(from, to uint32) {
		if w.up[to] == unseen {
			w.up[to] = from | flag
			queue = append(queue, to)
		}
	}
	for range 2 {
		for i := 0; i < len(queue); i++ {
			k.from(queue[i])
		}
		k.indirect, flag = true, crooked
	}
}

// seen is whether a node can be reached.
func (w *world) seen(node uint32) bool { return w.up[node] != unseen }

// crooked is whether it takes an indirect call to reach a node.
func (w *world) crooked(node uint32) bool { return w.seen(node) && w.up[node]&crooked != 0 }

// path is a way to a node, from a root on, both included.
func (w *world) path(node uint32) []uint32 {
	var list []uint32
	for n := node; w.seen(n); n = w.up[n] &^ crooked {
		list = append(list, n)
		if w.up[n]&^crooked == topmost {
			break
		}
	}
	slices.Reverse(list)
	return list
}

// hostsOf gives the functions of the host that can be reached from a node: all of
// them if there is no work left to find out.
func (w *world) hostsOf(node uint32) []uint32 {
	var hosts []uint32
	seen := map[uint32]bool{node: true}
	queue := []uint32{node}
	k := &walk{w: w, indirect: true, sets: make(map[[2]int]bool)}
	k.visit = func(_, to uint32) {
		if !w.l.step(0) || seen[to] {
			return
		}
		seen[to] = true
		if to >= w.funcs {
			hosts = append(hosts, to-w.funcs)
			return
		}
		queue = append(queue, to)
	}
	for i := 0; i < len(queue); i++ {
		k.from(queue[i])
	}
	if !w.l.step(0) {
		hosts = hosts[:0]
		for h := range w.nodes - w.funcs {
			hosts = append(hosts, h)
		}
	}
	slices.Sort(hosts)
	return hosts
}

// reachable is the set of nodes that can be reached without going on from
// functions where stop says so.
func (w *world) reachable(stop func(target) bool) []bool {
	seen := make([]bool, w.nodes)
	var queue []uint32
	k := &walk{w: w, indirect: true, stop: stop, sets: make(map[[2]int]bool)}
	k.visit = func(_, to uint32) {
		if !seen[to] {
			seen[to] = true
			queue = append(queue, to)
		}
	}
	for n := range w.nodes {
		if _, ok := w.root[n]; ok {
			k.visit(n, n)
		}
	}
	for i := 0; i < len(queue); i++ {
		k.from(queue[i])
	}
	return seen
}
