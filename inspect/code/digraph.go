package code

// A digraph keeps the edges of nodes 0 to n-1 in compressed rows: the targets of
// node v are to[off[v]:off[v+1]].
type digraph struct {
	off []uint32
	to  []uint32
}

func (g digraph) nodes() int { return max(len(g.off)-1, 0) }

// row is nil of a graph that has been left out.
func (g digraph) row(v uint32) []uint32 {
	if int64(v)+1 >= int64(len(g.off)) {
		return nil
	}
	return g.to[g.off[v]:g.off[v+1]]
}

// A view is a digraph of which some edges are left out: a target is taken
// without the bits outside mask, and not at all if that is limit or more.
type view struct {
	digraph
	mask  uint32
	limit uint32
}

// reference marks an edge that is no call: taking a reference to a function.
const reference = 1 << 31

// all sees every edge, direct only those of call instructions: nodes from funcs
// on stand for sets of functions that an indirect call may reach, and marked
// edges compare as greater than any node.
func (g digraph) all() view                { return view{g, reference - 1, reference} }
func (g digraph) direct(funcs uint32) view { return view{g, ^uint32(0), funcs} }
func (g view) next(v, i uint32) (uint32, uint32) {
	for end := g.off[v+1]; i < end; i++ {
		if t := g.to[i] & g.mask; t < g.limit {
			return t, i + 1
		}
	}
	return none, i
}

// none is no node.
const none = ^uint32(0)

// components finds the strongly connected components of g by Tarjan's algorithm
// with a stack of its own: a chain of calls in a hostile module is as long as
// the module. It gives each node the number of its component; a component has a
// greater number than those it reaches. The second result is their number.
func components(g view) (comp []uint32, count int) {
	n := g.nodes()
	var (
		index = make([]uint32, n) // 1 + order of discovery, 0 if not seen
		low   = make([]uint32, n)
		at    = make([]uint32, n) // the next edge to look at
		stack []uint32            // nodes whose component is open
		calls []uint32            // the path from the start of the search
		next  uint32
	)
	comp = make([]uint32, n)
	open := func(v uint32) {
		next++
		index[v], low[v], at[v], comp[v] = next, next, g.off[v], none
		stack = append(stack, v)
		calls = append(calls, v)
	}
	for start := range uint32(n) {
		if index[start] != 0 {
			continue
		}
		open(start)
		for len(calls) > 0 {
			v := calls[len(calls)-1]
			var t uint32
			if t, at[v] = g.next(v, at[v]); t != none {
				switch {
				case index[t] == 0:
					open(t)
				case comp[t] == none:
					low[v] = min(low[v], index[t])
				}
				continue
			}
			calls = calls[:len(calls)-1]
			if len(calls) > 0 {
				up := calls[len(calls)-1]
				low[up] = min(low[up], low[v])
			}
			if low[v] != index[v] {
				continue
			}
			for {
				t := stack[len(stack)-1]
				stack = stack[:len(stack)-1]
				comp[t] = uint32(count)
				if t == v {
					break
				}
			}
			count++
		}
	}
	return comp, count
}

// dominators gives the immediate dominator of each node that roots reach: the
// last node that every path from outside passes before it. It is n, the number
// of nodes, for one that several roots reach by paths of nothing in common, and
// none for one out of reach. The second result lists the nodes reached so that
// each comes after its dominator.
//
// It is the algorithm of Lengauer and Tarjan with path compression, whose time
// is within a logarithm of linear for any graph.
func dominators(g view, roots []uint32) (idom, order []uint32) {
	n := uint32(g.nodes())
	d := &dominance{
		g:      g,
		number: make([]uint32, n),
		vertex: make([]uint32, 1, n+1),
		parent: make([]uint32, 1, n+1),
	}
	d.vertex[0] = n
	for _, r := range roots {
		d.search(r)
	}
	d.solve(roots)
	idom = d.number // by now of no other use
	for v := range idom {
		if num := idom[v]; num == 0 {
			idom[v] = none
		} else {
			idom[v] = d.vertex[d.idom[num]]
		}
	}
	return idom, d.vertex[1:]
}

// dominance is the state of one run of dominators. Nodes are told by their
// number in preorder of a depth-first search from an imagined node 0 that calls
// all roots.
type dominance struct {
	g      view
	number []uint32 // of a node, 0 if not reached
	vertex []uint32 // node of a number
	parent []uint32 // in the search tree

	semi, idom, ancestor, label []uint32

	path []uint32
}

func (d *dominance) search(root uint32) {
	if d.number[root] != 0 {
		return
	}
	// Edges are walked in order with a stack of (node, next edge).
	type frame struct{ num, v, at uint32 }
	visit := func(v, parent uint32) frame {
		num := uint32(len(d.vertex))
		d.number[v] = num
		d.vertex = append(d.vertex, v)
		d.parent = append(d.parent, parent)
		return frame{num, v, d.g.off[v]}
	}
	stack := []frame{visit(root, 0)}
	for len(stack) > 0 {
		top := &stack[len(stack)-1]
		t, at := d.g.next(top.v, top.at)
		top.at = at
		switch {
		case t == none:
			stack = stack[:len(stack)-1]
		case d.number[t] == 0:
			stack = append(stack, visit(t, top.num))
		}
	}
}

func (d *dominance) solve(roots []uint32) {
	n := uint32(len(d.vertex))
	preds := d.predecessors(roots)
	buf := make([]uint32, 6*n)
	cut := func() []uint32 { s := buf[:n:n]; buf = buf[n:]; return s }
	d.semi, d.idom, d.ancestor, d.label = cut(), cut(), cut(), cut()
	bucket, link := cut(), cut() // chains of the nodes of one semidominator; 0 ends them
	for v := range n {
		d.semi[v], d.label[v] = v, v
		d.ancestor[v] = none
	}
	for w := n - 1; w > 0; w-- {
		for _, v := range preds.row(w) {
			d.semi[w] = min(d.semi[w], d.semi[d.eval(v)])
		}
		link[w], bucket[d.semi[w]] = bucket[d.semi[w]], w
		p := d.parent[w]
		d.ancestor[w] = p
		for v := bucket[p]; v != 0; v = link[v] {
			d.idom[v] = p
			if u := d.eval(v); d.semi[u] < p {
				d.idom[v] = u
			}
		}
		bucket[p] = 0
	}
	for w := uint32(1); w < n; w++ {
		if d.idom[w] != d.semi[w] {
			d.idom[w] = d.idom[d.idom[w]]
		}
	}
}

// eval gives the node of least semidominator on the path from v up to, and
// without, the root of its tree in the forest of linked nodes, and shortens that
// path.
func (d *dominance) eval(v uint32) uint32 {
	if d.ancestor[v] == none {
		return d.label[v]
	}
	path := d.path[:0]
	for a := v; d.ancestor[d.ancestor[a]] != none; a = d.ancestor[a] {
		path = append(path, a)
	}
	d.path = path
	for i := len(path) - 1; i >= 0; i-- {
		x := path[i]
		a := d.ancestor[x]
		if d.semi[d.label[a]] < d.semi[d.label[x]] {
			d.label[x] = d.label[a]
		}
		d.ancestor[x] = d.ancestor[a]
	}
	return d.label[v]
}

// predecessors reverses the edges among the nodes reached, by number.
func (d *dominance) predecessors(roots []uint32) digraph {
	n := len(d.vertex)
	r := digraph{off: make([]uint32, n+2)}
	each := func(f func(from, to uint32)) {
		for _, v := range roots {
			f(0, d.number[v])
		}
		for num := uint32(1); num < uint32(n); num++ {
			v := d.vertex[num]
			for t, i := d.g.next(v, d.g.off[v]); t != none; t, i = d.g.next(v, i) {
				f(num, d.number[t])
			}
		}
	}
	// Counts stand two places on, so that filling leaves offsets in place.
	each(func(_, to uint32) { r.off[to+2]++ })
	for i := 2; i < len(r.off); i++ {
		r.off[i] += r.off[i-1]
	}
	r.to = make([]uint32, r.off[n+1])
	each(func(from, to uint32) {
		r.to[r.off[to+1]] = from
		r.off[to+1]++
	})
	r.off = r.off[:n+1]
	return r
}
