package graphdraw

import (
	"cmp"
	"slices"
)

// A layout places nodes in columns.
type layout struct {
	column  []int   // of each node
	columns [][]int // nodes from top to bottom
	back    []bool  // of each edge: it leads to its own column or one before
}

// arrange puts each node one column behind the last of those that lead to it,
// once edges that close a cycle are left out, and orders the columns so that
// edges cross little.
func arrange(n int, edges []Edge) *layout {
	l := &layout{column: make([]int, n), back: make([]bool, len(edges))}
	out := make([][]int, n) // edges by the node they leave
	for i, e := range edges {
		out[e.From] = append(out[e.From], i)
	}
	order := l.cut(edges, out)
	for _, v := range order {
		for _, i := range out[v] {
			if !l.back[i] {
				to := edges[i].To
				l.column[to] = max(l.column[to], l.column[v]+1)
			}
		}
	}
	last := 0
	for _, c := range l.column {
		last = max(last, c)
	}
	l.columns = make([][]int, last+1)
	for v, c := range l.column {
		l.columns[c] = append(l.columns[c], v)
	}
	l.untangle(edges)
	return l
}

// cut marks edges whose removal leaves no cycle, and gives the nodes in an order
// that all other edges follow. It searches depth first, beginning with the
// nodes that nothing leads to.
func (l *layout) cut(edges []Edge, out [][]int) []int {
	n := len(out)
	into := make([]int, n)
	for _, e := range edges {
		if e.From != e.To {
			into[e.To]++
		}
	}
	starts := make([]int, n)
	for v := range starts {
		starts[v] = v
	}
	slices.SortStableFunc(starts, func(a, b int) int { return cmp.Compare(into[a], into[b]) })
	const (
		open = 1 + iota
		done
	)
	state, next := make([]int, n), make([]int, n)
	var order, stack []int
	for _, start := range starts {
		if state[start] != 0 {
			continue
		}
		stack = append(stack, start)
		for len(stack) > 0 {
			v := stack[len(stack)-1]
			state[v] = open
			if next[v] == len(out[v]) {
				state[v] = done
				order = append(order, v)
				stack = stack[:len(stack)-1]
				continue
			}
			i := out[v][next[v]]
			next[v]++
			switch state[edges[i].To] {
			case open:
				l.back[i] = true
			case 0:
				stack = append(stack, edges[i].To)
			}
		}
	}
	slices.Reverse(order)
	return order
}

// untangle sorts each column by the mean place of the neighbours, a few times
// from left to right and back.
func (l *layout) untangle(edges []Edge) {
	n := len(l.column)
	near := make([][]int, n)
	for i, e := range edges {
		if !l.back[i] {
			near[e.From] = append(near[e.From], e.To)
			near[e.To] = append(near[e.To], e.From)
		}
	}
	place := make([]float64, n)
	number := func(column []int) {
		for i, v := range column {
			// Columns are centred, so what counts is the distance from the middle.
			place[v] = float64(i) - float64(len(column)-1)/2
		}
	}
	for _, c := range l.columns {
		number(c)
	}
	mean := make([]float64, n)
	sweep := func(column []int, left bool) {
		for _, v := range column {
			sum, count := 0.0, 0
			for _, u := range near[v] {
				if left == (l.column[u] < l.column[v]) {
					sum += place[u]
					count++
				}
			}
			mean[v] = place[v]
			if count > 0 {
				mean[v] = sum / float64(count)
			}
		}
		slices.SortStableFunc(column, func(a, b int) int { return cmp.Compare(mean[a], mean[b]) })
		number(column)
	}
	for range 4 {
		for _, c := range l.columns {
			sweep(c, true)
		}
		for i := len(l.columns) - 1; i >= 0; i-- {
			sweep(l.columns[i], false)
		}
	}
}
