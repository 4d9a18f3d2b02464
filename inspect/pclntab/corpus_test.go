//go:build corpus

package pclntab

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/wreg-project/wreg/test/corpus"
)

// Both programs are stripped, and were made by Go 1.18 and 1.26.
func TestCorpus(t *testing.T) {
	dir, entries, err := corpus.Fetched()
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		file, version string
		funcs         int
		pkg           string
		inlined       int // at least
	}{
		{file: "hcl2json.wasm", version: "1.18", funcs: 3058, pkg: "github.com/hashicorp/hcl/v2/hclsyntax", inlined: 7570},
		{file: "esbuild.wasm", version: "1.20", funcs: 5307, pkg: "github.com/evanw/esbuild/internal/js_parser", inlined: 19393},
	}
	for _, tt := range tests {
		if !slices.ContainsFunc(entries, func(e corpus.Entry) bool { return e.File == tt.file }) {
			t.Errorf("%s is not in the list of real binaries", tt.file)
			continue
		}
		file, err := os.ReadFile(filepath.Join(dir, tt.file))
		if err != nil {
			t.Fatal(err)
		}
		table, err := Read(parse(t, file))
		if err != nil {
			t.Errorf("%s: Read() = %v", tt.file, err)
			continue
		}
		if table.Len() != tt.funcs || table.Version() != tt.version {
			t.Errorf("%s: %d functions, version %s; want %d, %s", tt.file, table.Len(), table.Version(), tt.funcs, tt.version)
		}
		if !slices.Contains(table.Packages(), tt.pkg) {
			t.Errorf("%s: Packages() has no %s", tt.file, tt.pkg)
		}
		n := 0
		if err := table.Inlined(func(uint32, string) { n++ }); err != nil || n < tt.inlined {
			t.Errorf("%s: Inlined() visits %d functions, %v; want at least %d", tt.file, n, err, tt.inlined)
		}
		t.Logf("%s: %d functions inlined", tt.file, n)
	}
}

func BenchmarkRead(b *testing.B) {
	dir, _, err := corpus.Fetched()
	if err != nil {
		b.Fatal(err)
	}
	file, err := os.ReadFile(filepath.Join(dir, "esbuild.wasm"))
	if err != nil {
		b.Fatal(err)
	}
	m := parse(b, file)
	b.SetBytes(m.Module.DataSize)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Read(m); err != nil {
			b.Fatal(err)
		}
	}
}
