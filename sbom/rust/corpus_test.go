//go:build corpus

package rust

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wreg-project/wreg/inspect/wasm"
	"github.com/wreg-project/wreg/sbom/evidence"
	"github.com/wreg-project/wreg/test/corpus"
)

// What the real files of the corpus that are here give is what
// testdata/corpus.txt says; UPDATE=1 writes it anew.
func TestCorpus(t *testing.T) {
	dir, entries, err := corpus.Fetched()
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) == 0 {
		t.Fatalf("no file of the corpus in %s", dir)
	}
	var got strings.Builder
	for _, e := range entries {
		file, err := os.ReadFile(filepath.Join(dir, e.File))
		if err != nil {
			t.Fatal(err)
		}
		b, err := wasm.Parse(file)
		if err != nil {
			t.Fatalf("Parse(%s): %v", e.File, err)
		}
		var c evidence.Collector
		eachModule(b, func(m *wasm.Binary) { Extract(m, &c) })
		if list := c.Components(); len(list) > 0 {
			fmt.Fprintf(&got, "%s\n%s", e.File, summary(list))
		}
	}
	const golden = "testdata/corpus.txt"
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(golden, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got.String()); d != "" {
		t.Fatalf("crates of the corpus (-want +got):\n%s", d)
	}
}

func eachModule(b *wasm.Binary, yield func(*wasm.Binary)) {
	if b.Component == nil {
		yield(b)
		return
	}
	for _, m := range b.Component.Modules {
		eachModule(m, yield)
	}
	for _, c := range b.Component.Components {
		eachModule(c, yield)
	}
}

// summary has a line for each class and part.
func summary(list []evidence.Component) string {
	groups := map[string][]string{}
	for _, c := range list {
		k := strings.TrimSpace(string(c.Class) + " " + c.Part)
		what := c.Name
		switch {
		case c.Version != "":
			what += " " + c.Version
		case c.Commit != "":
			what += " @" + c.Commit
		}
		groups[k] = append(groups[k], what)
	}
	var s strings.Builder
	for _, k := range []string{"proven", "proven std", "inferred", "named", "named std"} {
		if len(groups[k]) > 0 {
			fmt.Fprintf(&s, "\t%s (%d): %s\n", k, len(groups[k]), strings.Join(groups[k], ", "))
		}
	}
	return s.String()
}

func BenchmarkCorpus(b *testing.B) {
	dir, entries, err := corpus.Fetched()
	if err != nil {
		b.Fatal(err)
	}
	for _, e := range entries {
		file, err := os.ReadFile(filepath.Join(dir, e.File))
		if err != nil {
			b.Fatal(err)
		}
		bin, err := wasm.Parse(file)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(e.File, func(b *testing.B) {
			b.SetBytes(int64(len(file)))
			b.ReportAllocs()
			for b.Loop() {
				var c evidence.Collector
				eachModule(bin, func(m *wasm.Binary) { Extract(m, &c) })
			}
		})
	}
}
