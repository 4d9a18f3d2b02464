package code

import (
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wreg-project/wreg/inspect/wasm"
)

func TestSizes(t *testing.T) {
	// Functions 0 and 1 are exported; 0 calls 2 and 3, 1 calls 3, 2 calls 4.
	// Function 5 is dead.
	bin := module(
		section(wasm.SectionType, vec(op(0x60, 0, 0))),
		section(wasm.SectionFunction, vec(op(0), op(0), op(0), op(0), op(0), op(0))),
		section(wasm.SectionMemory, vec(op(0, 1))),
		section(wasm.SectionExport, vec(op(1, 'a', 0, 0), op(1, 'b', 0, 1))),
		section(wasm.SectionCode, vec(
			body(op(0x10, 2, 0x10, 3, 0x0b)), // 6 bytes
			body(op(0x10, 3, 0x0b)),          // 4
			body(op(0x10, 4, 0x01, 0x0b)),    // 5
			body(op(0x01, 0x01, 0x0b)),       // 4
			body(op(0x01, 0x0b)),             // 3
			body(op(0x0b)),                   // 2
		)),
		section(wasm.SectionData, vec(op(0, 0x41, 8, 0x0b, 2, 1, 2), op(1, 3, 1, 2, 3), op(0, 0x41, 0x78, 0x0b, 1, 1))),
		custom("mine", []byte("12345")),
	)
	m := analyse(t, bin)
	if diff := cmp.Diff([]uint32{6 + 5 + 3, 4, 5 + 3, 4, 3, 2}, m.Retained); diff != "" {
		t.Errorf("Retained: -want +got\n%s", diff)
	}
	packages := []string{"app", "app", "app", "lib", "lib", ""}
	got := m.Sizes(Options{Package: func(f uint32) string { return packages[f] }})
	want := Sizes{
		Sections: []SectionSize{
			{"type", 6},
			{"function", 9},
			{"memory", 5},
			{"export", 11},
			{"code", 2 + 1 + 6 + 24},
			{"data", 2 + 1 + 7 + 5 + 6},
			{"mine", 2 + 5 + 5},
		},
		Data: []SegmentSize{
			{Index: 1, Bytes: 3, Address: -1},
			{Index: 0, Bytes: 2, Address: 8},
			{Index: 2, Bytes: 1, Address: 1<<32 - 8},
		},
		Packages: []PackageSize{
			{Name: "app", Functions: 3, Bytes: 15, Retained: 6 + 5 + 3 + 4},
			{Name: "lib", Functions: 2, Bytes: 7, Retained: 7},
			{Name: "", Functions: 1, Bytes: 2, Retained: 2},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Sizes: -want +got\n%s", diff)
	}
	total := int64(8)
	for _, s := range got.Sections {
		total += s.Bytes
	}
	if total != int64(len(bin)) {
		t.Errorf("header and sections have %d bytes, the module %d", total, len(bin))
	}
}

// What a function retains is what becomes unreachable without it, and what
// a package retains is that of those of its functions that no other of it
// dominates.
func TestRetainedIsWhatBecomesUnreachable(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	for range 200 {
		n := 2 + r.IntN(20)
		m := randomModule(t, r, n)
		g := m.Graph
		roots := g.rootNodes()
		reached := closure(g.all(), roots, none)
		lost := func(f int) (list []int) {
			without := closure(g.all(), roots, uint32(f))
			for i := range n {
				if reached[i] && !without[i] {
					list = append(list, i)
				}
			}
			return list
		}
		for f := range n {
			want := m.Functions[f].Bytes
			for _, i := range lost(f) {
				if i != f {
					want += m.Functions[i].Bytes
				}
			}
			if m.Retained[f] != want {
				t.Fatalf("Retained[%d] = %d, want %d; graph %v, roots %v", f, m.Retained[f], want, g.digraph, roots)
			}
		}
		names := []string{"x", "y", "z"}
		of := func(f uint32) string { return names[f%3] }
		for _, p := range m.Sizes(Options{Package: of}).Packages {
			in := make(map[int]bool)
			for f := range n {
				if of(uint32(f)) != p.Name {
					continue
				}
				in[f] = true
				for _, i := range lost(f) {
					in[i] = true
				}
			}
			want := int64(0)
			for f := range in {
				want += int64(m.Functions[f].Bytes)
			}
			if p.Retained != want {
				t.Fatalf("package %s retains %d bytes, want %d; graph %v, roots %v", p.Name, p.Retained, want, g.digraph, roots)
			}
		}
	}
}

// randomModule has n functions of random calls, direct and indirect, and
// exports some of them.
func randomModule(t *testing.T, r *rand.Rand, n int) *Module {
	t.Helper()
	var functions, bodies, exports [][]byte
	element := []byte{}
	for f := range n {
		functions = append(functions, op(byte(r.IntN(2))))
		var code []byte
		for range r.IntN(4) {
			switch r.IntN(6) {
			case 0:
				code = append(code, 0x41, 0, 0x11, byte(r.IntN(2)), 0)
			case 1:
				code = append(code, 0xd2, byte(r.IntN(n)), 0x1a)
			default:
				code = append(code, 0x10, byte(r.IntN(n)))
			}
		}
		bodies = append(bodies, body(append(code, 0x0b)))
		if r.IntN(n) < 2 {
			exports = append(exports, op(1, 'a'+byte(f), 0, byte(f)))
		}
		if r.IntN(4) == 0 {
			element = append(element, byte(f))
		}
	}
	return analyse(t, module(
		section(wasm.SectionType, vec(op(0x60, 0, 0), op(0x60, 0, 1, 0x7f))),
		section(wasm.SectionFunction, vec(functions...)),
		section(wasm.SectionTable, vec(op(0x70, 0, 30))),
		section(wasm.SectionExport, vec(exports...)),
		section(wasm.SectionElement, vec(cat(op(0, 0x41, 0, 0x0b), leb(uint64(len(element))), element))),
		section(wasm.SectionCode, vec(bodies...)),
	))
}

// Reach and Path agree with a search that knows nothing of how they are made.
func TestReachIsThatOfANaiveSearch(t *testing.T) {
	r := rand.New(rand.NewPCG(13, 14))
	for range 300 {
		n := 1 + r.IntN(25)
		m := randomModule(t, r, n)
		g := m.Graph
		direct := closure(g.direct(g.funcs), g.rootNodes(), none)
		all := closure(g.all(), g.rootNodes(), none)
		for f := range uint32(n) {
			want := Unreachable
			switch {
			case direct[f]:
				want = Directly
			case all[f]:
				want = Indirectly
			}
			if got := g.Reach(f); got != want {
				t.Fatalf("Reach(%d) = %v, want %v; graph %v, roots %v", f, got, want, g.digraph, g.Roots)
			}
			path := g.Path(f)
			if (path == nil) != (want == Unreachable) {
				t.Fatalf("Path(%d) = %v, reach %v", f, path, want)
			}
			for i, v := range path {
				if i == 0 {
					if m.Graph.Reach(v) == Unreachable || !isRoot(g, v) {
						t.Fatalf("Path(%d) = %v does not begin with a root of %v", f, path, g.Roots)
					}
					continue
				}
				if !leads(g, path[i-1], v, want == Directly) {
					t.Fatalf("Path(%d) = %v: %d does not call %d; graph %v", f, path, path[i-1], v, g.digraph)
				}
			}
			if before, ok := g.Before(f); ok != (len(path) > 1) || ok && before != path[len(path)-2] {
				t.Fatalf("Before(%d) = %d, %v; Path %v", f, before, ok, path)
			}
			if len(path) > 0 && path[len(path)-1] != f {
				t.Fatalf("Path(%d) = %v ends elsewhere", f, path)
			}
		}
	}
}

func isRoot(g *Graph, f uint32) bool {
	for _, r := range g.Roots {
		if r.Node == f {
			return true
		}
	}
	return false
}

// leads is whether a calls b, directly or else through a set.
func leads(g *Graph, a, b uint32, direct bool) bool {
	for _, t := range g.row(a) {
		if t == b || !direct && t == b|reference {
			return true
		}
		if direct || t < g.funcs || t >= reference {
			continue
		}
		if _, members := g.Set(int(t - g.funcs)); contains(members, b) {
			return true
		}
	}
	return false
}

func contains(list []uint32, v uint32) bool {
	for _, x := range list {
		if x == v {
			return true
		}
	}
	return false
}
