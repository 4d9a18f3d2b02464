package code

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wreg-project/wreg/inspect/wasm"
)

// Whatever decodes can be analysed, valid or not: no function is of two minds
// about how it is reached, sums agree with what they sum up, and the table of
// functions reads back.
func FuzzAnalyse(f *testing.F) {
	seeds, err := filepath.Glob("testdata/*.wasm")
	if err != nil || len(seeds) != 3 {
		f.Fatalf("%d seeds, %v; want 3", len(seeds), err)
	}
	for _, name := range seeds {
		bin, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(bin)
	}
	for _, bin := range hostile(1 << 10) {
		if len(bin) < 1<<14 {
			f.Add(bin)
		}
	}
	f.Fuzz(func(t *testing.T, bin []byte) {
		b, err := wasm.Parse(bin)
		if err != nil || b.Module == nil {
			return
		}
		m, err := Analyse(b)
		if err != nil {
			return
		}
		s := m.Summary(Options{})
		if n := s.Graph.Direct + s.Graph.Indirect + s.Graph.Dead; n != m.Defined {
			t.Errorf("%d functions are reached in one way or none, of %d", n, m.Defined)
		}
		for i := range m.Functions {
			index := uint32(m.Imported + i)
			path := m.Graph.Path(index)
			if (path == nil) != (m.Graph.Reach(index) == Unreachable) && !m.Graph.Truncated {
				t.Errorf("Reach(%d) = %v, Path = %v", index, m.Graph.Reach(index), path)
			}
			if m.Retained[i] < m.Functions[i].Bytes || int64(m.Retained[i]) > m.Totals.Bytes {
				t.Errorf("function %d of %d bytes retains %d of %d", index, m.Functions[i].Bytes, m.Retained[i], m.Totals.Bytes)
			}
		}
		total := int64(0)
		for _, p := range m.Sizes(Options{Package: func(i uint32) string { return string(rune('a' + i%3)) }}).Packages {
			total += p.Bytes
		}
		if len(m.Functions) == m.Defined && total != m.Totals.Bytes {
			t.Errorf("packages have %d bytes, functions %d", total, m.Totals.Bytes)
		}
		m.Imports()
		m.Draw(Options{}, GroupAuto).AppendSVG(nil)
		want, got := m.Table(nil), &FunctionTable{}
		if err := json.Unmarshal(want.AppendJSON(nil), got); err != nil {
			t.Fatalf("table: %v", err)
		}
		if len(want.Functions) > 0 && !cmp.Equal(want, got) {
			t.Errorf("table: -written +read\n%s", cmp.Diff(want, got))
		}
	})
}
