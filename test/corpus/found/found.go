// Package found compares what an extractor of components finds in the real
// binaries of the corpus with a golden file.
package found

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wreg-project/wreg/inspect/wasm"
	"github.com/wreg-project/wreg/sbom/evidence"
	"github.com/wreg-project/wreg/test/corpus"
)

// Golden fails the test unless each file has the components that golden says, and
// no others: one on a line, with the surest evidence. UPDATE=1 writes golden anew.
func Golden(t *testing.T, golden string, extract func(*wasm.Binary, *evidence.Collector)) {
	t.Helper()
	dir, entries, err := corpus.Fetched()
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, e := range entries {
		file, err := os.ReadFile(filepath.Join(dir, e.File))
		if err != nil {
			t.Fatal(err)
		}
		b, err := wasm.Parse(file)
		if err != nil {
			t.Fatalf("%s: %v", e.File, err)
		}
		eachModule(b, func(m *wasm.Binary) {
			var c evidence.Collector
			extract(m, &c)
			for _, found := range c.Components() {
				best := found.Evidence[0]
				lines = append(lines, fmt.Sprintf("%s\t%s\t%s\t%s %.2f %q",
					e.File, found.PURL(), found.Class, best.Method, best.Confidence, best.Text))
			}
		})
	}
	slices.Sort(lines)
	got := strings.Join(lines, "\n") + "\n"
	if os.Getenv("UPDATE") == "1" {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Fatalf("components of the corpus (-want +got):\n%s", d)
	}
}

func eachModule(b *wasm.Binary, visit func(*wasm.Binary)) {
	if b.Module != nil {
		visit(b)
		return
	}
	for _, n := range slices.Concat(b.Component.Modules, b.Component.Components) {
		eachModule(n, visit)
	}
}
