package code

import (
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wreg-project/wreg/inspect/wasm"
)

// analyseFile gives the analysis of a module in testdata, which wat2wasm made of
// the text beside it.
func analyseFile(t *testing.T, name string) *Module {
	t.Helper()
	bin, err := os.ReadFile(filepath.Join("testdata", name+".wasm"))
	if err != nil {
		t.Fatal(err)
	}
	return analyse(t, bin)
}

func analyse(t testing.TB, bin []byte) *Module {
	t.Helper()
	b, err := wasm.Parse(bin)
	if err != nil {
		t.Fatalf("Parse: %v", err)
	}
	m, err := Analyse(b)
	if err != nil {
		t.Fatalf("Analyse: %v", err)
	}
	return m
}

// exported gives the exported functions of m by name.
func exported(m *Module) map[string]uint32 {
	list := make(map[string]uint32)
	for _, e := range m.wasm.Exports {
		if e.Kind == wasm.ExternFunc {
			list[e.Name] = e.Index
		}
	}
	return list
}

func TestFunctions(t *testing.T) {
	tests := []struct {
		name string
		want Function
	}{
		{"empty", Function{Bytes: 2, Instructions: 1, Complexity: 1}},
		{"straight", Function{Bytes: 10, Instructions: 5, Complexity: 1, Calls: 2}},
		{"choice", Function{Bytes: 12, Instructions: 7, Complexity: 2, Nesting: 1}},
		{"select", Function{Bytes: 9, Instructions: 5, Complexity: 1}},
		{"loops", Function{Bytes: 38, Instructions: 21, Complexity: 4, Nesting: 2, Loops: 3}},
		{"switch", Function{Bytes: 35, Instructions: 18, Complexity: 4, Nesting: 4}},
		{"one way switch", Function{Bytes: 12, Instructions: 5, Complexity: 1, Nesting: 1}},
		{"handlers", Function{Bytes: 13, Instructions: 8, Complexity: 3, Nesting: 1}},
		{"delegate", Function{Bytes: 12, Instructions: 8, Complexity: 2, Nesting: 2}},
		{"indirect", Function{Bytes: 9, Instructions: 4, Complexity: 1, Indirect: 1}},
		{"tail", Function{Bytes: 6, Instructions: 3, Complexity: 1, Calls: 1}},
		{"tail indirect", Function{Bytes: 9, Instructions: 4, Complexity: 1, Indirect: 1}},
		{"frame", Function{Bytes: 20, Instructions: 10, Complexity: 1, Frame: 48}},
		{"frame by addition", Function{Bytes: 9, Instructions: 5, Complexity: 1, Frame: 64}},
		{"frame of unoptimised code", Function{Bytes: 18, Instructions: 9, Complexity: 1, Frame: 16}},
		{"frame after an early return", Function{Bytes: 22, Instructions: 12, Complexity: 2, Nesting: 1, Frame: 65536}},
		{"frame from a copy", Function{Bytes: 26, Instructions: 13, Complexity: 2, Nesting: 1, Loops: 1, Frame: 24}},
		{"no frame: another global", Function{Bytes: 9, Instructions: 5, Complexity: 1}},
		{"no frame: an epilogue", Function{Bytes: 9, Instructions: 5, Complexity: 1}},
		{"no frame: something between", Function{Bytes: 9, Instructions: 6, Complexity: 1}},
	}
	m := analyseFile(t, "metrics")
	list := exported(m)
	if len(list) != len(tests) {
		t.Errorf("metrics.wasm exports %d functions, %d tests", len(list), len(tests))
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			i, ok := list[tt.name]
			if !ok {
				t.Fatal("no such export")
			}
			got := m.Functions[int(i)-m.Imported]
			got.Exact, got.Normal, got.Fuzzy = Hash{}, Hash{}, 0
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

// What text formats of the tools at hand cannot say is assembled by hand.
func TestComplexityOfNewerInstructions(t *testing.T) {
	const anyref = 0x6e
	tests := []struct {
		name string
		body []byte
		want Function
	}{
		{
			"a try_table counts its clauses",
			cat(op(0x02, 0x40, 0x1f, 0x40, 2, 0, 0, 0, 2, 0), op(0x0b, 0x0b, 0x0b)),
			Function{Instructions: 5, Complexity: 3, Nesting: 2},
		},
		{
			"a try_table without clauses is no decision",
			op(0x1f, 0x40, 0, 0x0b, 0x0b),
			Function{Instructions: 3, Complexity: 1, Nesting: 1},
		},
		{
			"br_on_null decides",
			op(0x02, 0x40, 0xd0, 0x70, 0xd5, 0, 0x1a, 0x0b, 0x0b),
			Function{Instructions: 6, Complexity: 2, Nesting: 1},
		},
		{
			"br_on_cast decides",
			op(0x02, anyref, 0xd0, 0x6e, 0xfb, 0x18, 3, 0, 0x6e, 0x6d, 0x0b, 0x1a, 0x0b),
			Function{Instructions: 6, Complexity: 2, Nesting: 1},
		},
		{
			"ref.test decides nothing",
			op(0xd0, 0x6e, 0xfb, 0x14, 0x6d, 0x1a, 0x0b),
			Function{Instructions: 4, Complexity: 1},
		},
		{
			"call_ref is an indirect call",
			op(0xd0, 0x00, 0x14, 0x00, 0x0b),
			Function{Instructions: 3, Complexity: 1, Indirect: 1},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := analyse(t, module(
				section(wasm.SectionType, vec(op(0x60, 0, 0))),
				section(wasm.SectionFunction, vec(op(0))),
				section(wasm.SectionTag, vec(op(0, 0))),
				section(wasm.SectionCode, vec(body(tt.body))),
			))
			got := m.Functions[0]
			tt.want.Bytes = uint32(1 + len(tt.body))
			got.Exact, got.Normal, got.Fuzzy = Hash{}, Hash{}, 0
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("Functions[0]: -want +got\n%s", diff)
			}
		})
	}
}

func TestGraph(t *testing.T) {
	m := analyseFile(t, "graph")
	type want struct {
		reach Reach
		path  []uint32
	}
	index := exported(m)
	main, other := index["main"], index["other"]
	a, b := main+1, main+2
	even, odd, hidden, taken, start, dead, self := other+1, other+2, other+3, other+4, other+5, other+6, other+8
	wants := map[string]want{
		"direct":       {Directly, []uint32{other, b, 0}},
		"indirect":     {Indirectly, []uint32{main, 1}},
		"other type":   {Unreachable, []uint32{}},
		"unused":       {Unreachable, []uint32{}},
		"dead caller":  {Unreachable, []uint32{}},
		"at start":     {Directly, []uint32{start, 5}},
		"by reference": {Indirectly, []uint32{other, taken, 6}},
	}
	for _, u := range m.Imports() {
		got := want{u.Reach, u.Path}
		if diff := cmp.Diff(wants[u.Name], got, cmp.AllowUnexported(want{})); diff != "" {
			t.Errorf("import %q: -want +got\n%s", u.Name, diff)
		}
	}
	for f, want := range map[uint32]Reach{
		main: Directly, a: Directly, b: Directly, other: Directly, start: Directly,
		even: Indirectly, odd: Indirectly, taken: Indirectly,
		hidden: Unreachable, dead: Unreachable, dead + 1: Unreachable, self: Unreachable,
	} {
		if got := m.Graph.Reach(f); got != want {
			t.Errorf("Reach(%d) = %v, want %v", f, got, want)
		}
	}
	if got, want := m.Graph.Callees(main), []uint32{a}; !slices.Equal(got, want) {
		t.Errorf("Callees(main) = %v, want %v", got, want)
	}
	s := m.Summary(Options{})
	if want := (Totals{Functions: 12, Bytes: s.Totals.Bytes, Instructions: 33, Calls: 13, Indirect: 1}); s.Totals != want {
		t.Errorf("Totals = %+v, want %+v", s.Totals, want)
	}
	var graph GraphSummary
	graph.Calls, graph.Direct, graph.Indirect, graph.Dead, graph.Leaves, graph.ImportsUsed = 12, 5, 3, 4, 1, 4
	graph.DeadBytes = 2 + 6 + 4 + 4
	graph.Roots.Export, graph.Roots.Start = 2, 1
	if diff := cmp.Diff(graph, s.Graph); diff != "" {
		t.Errorf("Graph: -want +got\n%s", diff)
	}
	recursion := Recursion{Direct: 5, Possible: 5, Count: 3, Groups: []RecursionGroup{
		{2, []uint32{even, odd}}, {2, []uint32{dead, dead + 1}}, {1, []uint32{self}},
	}}
	if diff := cmp.Diff(recursion, s.Recursion); diff != "" {
		t.Errorf("Recursion: -want +got\n%s", diff)
	}
	indirect := Indirect{
		Count: 1, Mean: 2,
		Types: []Target{{Type: 1, Signature: "(func (param i32) (result i32))", Calls: 1, Functions: 2}},
		Tables: []Table{
			{Index: 0, Type: "(table 8 funcref)", Functions: 3},
			{Index: 1, Type: "(table 2 funcref)", Functions: 1},
		},
	}
	if diff := cmp.Diff(indirect, s.Indirect); diff != "" {
		t.Errorf("Indirect: -want +got\n%s", diff)
	}
}

func TestReachedBySaysWhichExportsLeadToAnImport(t *testing.T) {
	m := analyseFile(t, "graph")
	got := m.Graph.ReachedBy(m.wasm, []uint32{0, 1, 6, 3})
	if want := []uint64{0b0011, 0b0101}; !slices.Equal(got, want) { // of main, of other
		t.Errorf("ReachedBy = %b, want %b", got, want)
	}
}

func TestTablesThatOthersSeeHoldMore(t *testing.T) {
	m := analyseFile(t, "opentable")
	for _, u := range m.Imports() {
		// The outside may put every function that a reference is taken of into
		// the exported table, and so the one that calls c.
		if u.Reach != Indirectly {
			t.Errorf("import %s: %v, want %v", u.Name, u.Reach, Indirectly)
		}
	}
	tables := []Table{
		{Index: 0, Type: "(table 2 funcref)", Exported: true, Functions: 4},
		{Index: 1, Type: "(table 2 funcref)", Written: true, Functions: 4},
		{Index: 2, Type: "(table 2 funcref)", Functions: 1},
	}
	if diff := cmp.Diff(tables, m.Summary(Options{}).Indirect.Tables); diff != "" {
		t.Errorf("tables: -want +got\n%s", diff)
	}
}

// The functions of a program, spread over several workers in any way, give
// the same results.
func TestResultsDoNotDependOnWorkers(t *testing.T) {
	bin := linked(t, compiled(t, "-O1"), "b", []string{"bytes.o", "map.o", "calc.o", "list.o"})
	want := analyse(t, bin)
	b, err := wasm.Parse(bin)
	if err != nil {
		t.Fatal(err)
	}
	bl := NewBuilder(b)
	const workers = 3
	var wg sync.WaitGroup
	for k := range workers {
		wg.Go(func() {
			w := bl.Worker()
			var c wasm.Code
			var in wasm.Instr
			for i := k; i < len(b.Module.Code); i += workers {
				c.Reset(b, b.Module.Code[i])
				w.Begin(i)
				for c.Next(&in) {
					w.Visit(&in)
				}
				w.End()
			}
		})
	}
	wg.Wait()
	got := bl.Finish()
	if diff := cmp.Diff(want.Functions, got.Functions); diff != "" {
		t.Errorf("Functions: -one worker +three\n%s", diff)
	}
	if diff := cmp.Diff(want.Summary(Options{}), got.Summary(Options{})); diff != "" {
		t.Errorf("Summary: -one worker +three\n%s", diff)
	}
	if diff := cmp.Diff(want.Imports(), got.Imports()); diff != "" {
		t.Errorf("Imports: -one worker +three\n%s", diff)
	}
	for f := range uint32(len(b.Module.Functions)) {
		if diff := cmp.Diff(want.Graph.row(f), got.Graph.row(f)); diff != "" {
			t.Errorf("edges of %d: -one worker +three\n%s", f, diff)
		}
	}
}
