package code

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// randomGraph makes a graph of up to maxNodes nodes, the edges among which are
// of all three sorts.
func randomGraph(r *rand.Rand, maxNodes int) (g digraph, funcs uint32, roots []uint32) {
	n := 1 + r.IntN(maxNodes)
	g.off = make([]uint32, n+1)
	density := r.Float64() * 3
	for v := range n {
		for range int(density * r.Float64() * 2) {
			t := uint32(r.IntN(n))
			if r.IntN(8) == 0 {
				t |= reference
			}
			g.to = append(g.to, t)
		}
		g.off[v+1] = uint32(len(g.to))
	}
	for range 1 + r.IntN(3) {
		roots = append(roots, uint32(r.IntN(n)))
	}
	return g, uint32(1 + r.IntN(n)), roots
}

// closure gives which nodes are reached from which, themselves included, the
// slow way; without leaves one node out.
func closure(g view, from []uint32, without uint32) []bool {
	seen := make([]bool, g.nodes())
	queue := []uint32{}
	add := func(v uint32) {
		if v != without && !seen[v] {
			seen[v] = true
			queue = append(queue, v)
		}
	}
	for _, v := range from {
		add(v)
	}
	for len(queue) > 0 {
		v := queue[0]
		queue = queue[1:]
		for _, t := range g.row(v) {
			if t &= g.mask; t < g.limit {
				add(t)
			}
		}
	}
	return seen
}

func TestComponentsAreThoseOfMutualReachability(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		g, funcs, _ := randomGraph(r, 30)
		for name, v := range map[string]view{"all": g.all(), "direct": g.direct(funcs)} {
			comp, count := components(v)
			if top := slices.Max(comp); int(top)+1 != count {
				t.Fatalf("components(%s of %v) numbers up to %d, counts %d", name, g, top, count)
			}
			reach := make([][]bool, g.nodes())
			for i := range reach {
				reach[i] = closure(v, []uint32{uint32(i)}, none)
			}
			for a := range reach {
				for b := range reach {
					want := reach[a][b] && reach[b][a]
					if got := comp[a] == comp[b]; got != want {
						t.Fatalf("components(%s of %v): %d and %d together: %v, want %v", name, g, a, b, got, want)
					}
					if reach[a][b] && comp[a] < comp[b] {
						t.Fatalf("components(%s of %v): %d reaches %d, components %d and %d", name, g, a, b, comp[a], comp[b])
					}
				}
			}
		}
	}
}

// A node dominates another if nothing reaches the other without it; the
// immediate one is dominated by all others.
func TestDominatorsAreThoseOfTheDefinition(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 1000 {
		g, _, roots := randomGraph(r, 25)
		v, n := g.all(), uint32(g.nodes())
		idom, order := dominators(v, roots)

		reached := closure(v, roots, none)
		want := make([]uint32, n)
		doms := make([][]uint32, n)
		for x := range n {
			want[x] = none
			if !reached[x] {
				continue
			}
			for d := range n {
				if d != x && reached[d] && !closure(v, roots, d)[x] {
					doms[x] = append(doms[x], d)
				}
			}
		}
		for x := range n {
			if !reached[x] {
				continue
			}
			want[x] = n
			for _, d := range doms[x] {
				if len(doms[d]) == len(doms[x])-1 {
					want[x] = d
				}
			}
		}
		if diff := cmp.Diff(want, idom); diff != "" {
			t.Fatalf("dominators(%v, %v): -want +got\n%s", g, roots, diff)
		}
		place := map[uint32]int{n: -1}
		for i, x := range order {
			if up, ok := place[idom[x]]; !ok || up >= i {
				t.Fatalf("dominators(%v, %v): order %v has %d before its dominator %d", g, roots, order, x, idom[x])
			}
			place[x] = i
		}
		if len(place) != 1+len(slices.DeleteFunc(slices.Clone(reached), func(b bool) bool { return !b })) {
			t.Fatalf("dominators(%v, %v): order %v, reached %v", g, roots, order, reached)
		}
	}
}

// Long chains, ladders and nests of loops are what makes naive algorithms
// recurse deep or run in quadratic time; the test's own time limit is the proof.
func TestHostileGraphsTakeNearLinearTime(t *testing.T) {
	const n = 400_000
	shapes := map[string]func(v uint32) []uint32{
		"chain":                 func(v uint32) []uint32 { return []uint32{(v + 1) % n} },
		"chain with way back":   func(v uint32) []uint32 { return []uint32{(v + 1) % n, v / 2} },
		"chain with leaps back": func(v uint32) []uint32 { return []uint32{min(v+1, n-1), v - v/3} },
		"ladder":                func(v uint32) []uint32 { return []uint32{(v + 2) % n, (v ^ 1 + 2) % n, v ^ 1} },
		"all return to the top": func(v uint32) []uint32 { return []uint32{0, min(v+1, n-1), n - 1 - v} },
	}
	for name, edges := range shapes {
		t.Run(name, func(t *testing.T) {
			g := digraph{off: make([]uint32, n+1)}
			for v := range uint32(n) {
				g.to = append(g.to, edges(v)...)
				g.off[v+1] = uint32(len(g.to))
			}
			if _, order := dominators(g.all(), []uint32{0}); len(order) < n/2 {
				t.Errorf("dominators reach %d nodes of %d", len(order), n)
			}
			if comp, count := components(g.all()); len(comp) != n || count < 1 {
				t.Errorf("components: %d numbers, %d components", len(comp), count)
			}
		})
	}
}
