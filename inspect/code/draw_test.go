package code

import (
	"encoding/json"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wreg-project/wreg/inspect/code/graphdraw"
)

func TestDrawFunctions(t *testing.T) {
	m := analyseFile(t, "opentable")
	names := map[uint32]string{3: "in open", 4: "in passive", 5: "in closed"}
	got := m.Draw(Options{Name: func(f uint32) string { return names[f] }}, GroupAuto)
	want := &graphdraw.Graph{
		Nodes: []graphdraw.Node{
			{Label: "env.a", Kind: graphdraw.Import},
			{Label: "env.b", Kind: graphdraw.Import},
			{Label: "env.c", Kind: graphdraw.Import},
			{Label: "in open", Kind: graphdraw.Plain, Bytes: 4},
			{Label: "in passive", Kind: graphdraw.Plain, Bytes: 4},
			{Label: "in closed", Kind: graphdraw.Plain, Bytes: 4},
			{Label: "function 6", Kind: graphdraw.Root, Bytes: 17},
			{Label: "any function (func)", Kind: graphdraw.Set},
		},
		Edges: []graphdraw.Edge{
			{From: 3, To: 0, Count: 1},
			{From: 4, To: 1, Count: 1},
			{From: 5, To: 2, Count: 1},
			{From: 6, To: 7, Count: 1, Indirect: true},
			{From: 7, To: 3, Count: 1, Indirect: true},
			{From: 7, To: 4, Count: 1, Indirect: true},
			{From: 7, To: 5, Count: 1, Indirect: true},
			{From: 7, To: 6, Count: 1, Indirect: true},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Draw: -want +got\n%s", diff)
	}
}

func TestDrawPackages(t *testing.T) {
	m := analyseFile(t, "graph")
	packages := func(f uint32) string {
		switch {
		case f < 11:
			return "app"
		case f < 15:
			return "lib"
		}
		return ""
	}
	got := m.Draw(Options{Package: packages}, GroupPackages)
	want := &graphdraw.Graph{
		Nodes: []graphdraw.Node{
			{Label: "env", Kind: graphdraw.Import, Functions: 7},
			{Label: "app", Kind: graphdraw.Root, Functions: 4, Bytes: 29},
			{Label: "unknown package", Kind: graphdraw.Root, Functions: 4, Bytes: 18},
			{Label: "lib", Kind: graphdraw.Plain, Functions: 4, Bytes: 18},
			{Label: "table 0", Kind: graphdraw.Set},
		},
		Edges: []graphdraw.Edge{
			{From: 1, To: 0, Count: 1},
			{From: 1, To: 3, Count: 1, Indirect: true},
			{From: 1, To: 4, Count: 1, Indirect: true},
			{From: 2, To: 0, Count: 2},
			{From: 3, To: 0, Count: 1},
			{From: 4, To: 0, Count: 1, Indirect: true},
			{From: 4, To: 3, Count: 1, Indirect: true},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Draw: -want +got\n%s", diff)
	}
}

func TestDrawingsOfLargeModulesAreBounded(t *testing.T) {
	m := analyse(t, hostile(1 << 18)["functions that call themselves"])
	for by, most := range map[Grouping]int{GroupAuto: maxFunctions, GroupPackages: maxPackages + maxModules + 2} {
		got := m.Draw(Options{Package: func(f uint32) string { return string(rune(0x4e00 + f%5000)) }}, by)
		if len(got.Nodes) > max(most, maxPackages+maxModules+2) {
			t.Errorf("Draw(%d): %d nodes, want at most %d", by, len(got.Nodes), most)
		}
		functions := got.Omitted
		for _, n := range got.Nodes {
			functions += max(n.Functions, 1)
		}
		if functions < m.Defined {
			t.Errorf("Draw(%d) accounts for %d functions of %d", by, functions, m.Defined)
		}
	}
}

// The same module gives the same drawing, whatever the order of maps.
func TestDrawingsAreDeterministic(t *testing.T) {
	r := rand.New(rand.NewPCG(15, 16))
	m := randomModule(t, r, 25)
	var first string
	for range 20 {
		text, err := json.Marshal(m.Draw(Options{Package: func(f uint32) string { return string(rune('a' + f%7)) }}, GroupPackages))
		if err != nil {
			t.Fatal(err)
		}
		if first == "" {
			first = string(text)
		}
		if string(text) != first {
			t.Fatalf("Draw gives %s and %s", first, text)
		}
	}
}
