package graphdraw

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// sample has a cycle, a node that nothing leads to, and labels that want to
// escape.
func sample() *Graph {
	return &Graph{
		Nodes: []Node{
			{Label: "main", Kind: Root, Functions: 1, Bytes: 1234},
			{Label: `a "quoted" \ name`, Kind: Plain, Bytes: 1},
			{Label: "<script>alert(1)</script>&amp;", Kind: Plain, Functions: 12},
			{Label: "table 0", Kind: Set},
			{Label: "wasi_snapshot_preview1.fd_write", Kind: Import},
			{Label: "never\x00\n called", Kind: Dead},
			{Label: "odd kind", Kind: `"><b>`},
		},
		Edges: []Edge{
			{0, 1, 1, false},
			{0, 3, 40, true},
			{1, 2, 3, false},
			{2, 1, 1, false},
			{3, 4, 2, true},
			{1, 4, 1000, false},
			{5, 5, 1, false},
			{0, 6, 1, false},
		},
		Omitted: 3,
	}
}

func TestGoldens(t *testing.T) {
	g := sample()
	for name, got := range map[string][]byte{"sample.dot": g.AppendDOT(nil), "sample.svg": g.AppendSVG(nil)} {
		path := "testdata/" + name
		if os.Getenv("UPDATE") != "" {
			if err := os.WriteFile(path, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s: -want +got\n%s", name, diff)
		}
	}
}

// elements counts the elements of an SVG picture by name, and fails if it is not
// well-formed.
func elements(t *testing.T, svg []byte) map[string]int {
	t.Helper()
	count := make(map[string]int)
	d := xml.NewDecoder(bytes.NewReader(svg))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return count
		}
		if err != nil {
			t.Fatalf("AppendSVG: not well-formed: %v", err)
		}
		if start, ok := token.(xml.StartElement); ok {
			count[start.Name.Local]++
		}
	}
}

func TestPictureHasABoxForEachNodeAndNoMarkupOfLabels(t *testing.T) {
	count := elements(t, sample().AppendSVG(nil))
	want := map[string]int{"svg": 1, "style": 1, "marker": 1, "g": 7, "rect": 7, "path": 8 + 1, "title": 7 + 8, "text": 7 + 3 + 1}
	if diff := cmp.Diff(want, count); diff != "" {
		t.Errorf("elements: -want +got\n%s", diff)
	}
}

func TestBoundsHold(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	g := &Graph{}
	for i := range 3 * MaxNodes {
		g.Nodes = append(g.Nodes, Node{Label: strings.Repeat(fmt.Sprint(i, "<&>"), 1000), Kind: Plain})
	}
	for range 20 * MaxEdges {
		g.Edges = append(g.Edges, Edge{From: r.IntN(len(g.Nodes)), To: r.IntN(len(g.Nodes)) - 2, Count: r.IntN(50)})
	}
	svg := g.AppendSVG(nil)
	count := elements(t, svg)
	if count["rect"] != MaxNodes || count["path"] != MaxEdges+1 {
		t.Errorf("%d boxes and %d arrows, want %d and %d", count["rect"], count["path"]-1, MaxNodes, MaxEdges)
	}
	const most = 8 << 20
	if dot := g.AppendDOT(nil); len(svg) > most || len(dot) > most {
		t.Errorf("%d bytes of SVG and %d of DOT, want at most %d", len(svg), len(dot), most)
	}
	if again := g.AppendSVG(nil); !bytes.Equal(svg, again) {
		t.Error("AppendSVG gives another picture the second time")
	}
}

// Every edge that is not one of a cycle leads from a column to a later one, and
// no two boxes are in one place.
func TestColumns(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for range 300 {
		n := 1 + r.IntN(30)
		var edges []Edge
		for range r.IntN(60) {
			edges = append(edges, Edge{From: r.IntN(n), To: r.IntN(n)})
		}
		l := arrange(n, edges)
		seen := make([]int, n)
		for c, column := range l.columns {
			for _, v := range column {
				seen[v]++
				if l.column[v] != c {
					t.Fatalf("arrange(%d, %v): node %d in column %d and %d", n, edges, v, l.column[v], c)
				}
			}
		}
		if slices.Max(seen) != 1 || slices.Min(seen) != 1 {
			t.Fatalf("arrange(%d, %v): nodes stand in columns %v times", n, edges, seen)
		}
		for i, e := range edges {
			if !l.back[i] && l.column[e.From] >= l.column[e.To] {
				t.Fatalf("arrange(%d, %v): edge %v leads from column %d to %d", n, edges, e, l.column[e.From], l.column[e.To])
			}
			if l.back[i] && e.From != e.To && !reaches(e.To, e.From, edges) {
				t.Fatalf("arrange(%d, %v): edge %v is drawn backwards and closes no cycle", n, edges, e)
			}
		}
	}
}

func reaches(from, to int, edges []Edge) bool {
	seen := map[int]bool{from: true}
	for grown := true; grown; {
		grown = false
		for _, e := range edges {
			if seen[e.From] && !seen[e.To] {
				seen[e.To], grown = true, true
			}
		}
	}
	return seen[to]
}
