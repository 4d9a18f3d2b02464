//go:build corpus

package scan_test

import (
	"archive/zip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wreg-project/wreg/inspect/wasm"
	"github.com/wreg-project/wreg/sbom"
	"github.com/wreg-project/wreg/sbom/evidence"
	"github.com/wreg-project/wreg/sbom/vuln"
	"github.com/wreg-project/wreg/sbom/vuln/reach"
	"github.com/wreg-project/wreg/sbom/vuln/scan"
	"github.com/wreg-project/wreg/test/corpus"
)

func parse(t testing.TB, path string) (*wasm.Binary, *sbom.Document) {
	t.Helper()
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b, err := wasm.Parse(file)
	if err != nil {
		t.Fatal(err)
	}
	d, err := sbom.Extract(b, sbom.Options{Name: filepath.Base(path), SHA256: fmt.Sprintf("%064d", 0)})
	if err != nil {
		t.Fatal(err)
	}
	return b, d
}

// advisories reads the records of an archive of OSV's.
func advisories(t testing.TB, files []*zip.File) (list []*vuln.Advisory) {
	t.Helper()
	for _, f := range files {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		a, err := vuln.Parse(text)
		if err != nil {
			t.Fatalf("%s: %v", f.Name, err)
		}
		list = append(list, a)
	}
	return list
}

// advised gives what the advisories of test/data/osv ask, by ecosystem.
func advised(t testing.TB) map[evidence.Ecosystem][]reach.Query {
	t.Helper()
	queries := map[evidence.Ecosystem][]reach.Query{}
	for name, eco := range map[string]evidence.Ecosystem{"go.zip": evidence.Go, "crates.io.zip": evidence.Cargo} {
		z, err := zip.OpenReader(filepath.Join("..", "..", "..", "test", "data", "osv", name))
		if err != nil {
			t.Fatal(err)
		}
		defer z.Close()
		for _, a := range advisories(t, z.File) {
			for _, af := range a.Affected {
				for _, im := range af.Imports {
					queries[eco] = append(queries[eco], reach.Query{
						Ecosystem: eco, Package: im.Path, Symbols: im.Symbols, OS: im.GOOS, Arch: im.GOARCH,
					})
				}
				queries[eco] = append(queries[eco], reach.Query{Ecosystem: eco, Package: af.Package.Name, Symbols: af.Functions})
			}
		}
	}
	return queries
}

// seedOf says of which programs the symbols are in testdata/symbols.
var seedOf = []string{"hcl2json.wasm", "wasip1-adapter-reactor.wasm", "sh-syntax.wasm"}

// keepSeed writes symbols to testdata if UPDATE is set.
func keepSeed(t *testing.T, file string, text []byte) {
	t.Helper()
	if os.Getenv("UPDATE") == "" || !slices.Contains(seedOf, file) {
		return
	}
	if err := os.WriteFile(filepath.Join("testdata", "symbols", file+".zst"), text, 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestSymbolsAnswerAsTheBinary(t *testing.T) {
	dir, entries, err := corpus.Fetched()
	if err != nil {
		t.Fatal(err)
	}
	queries := advised(t)
	asked := 0
	for _, e := range entries {
		b, d := parse(t, filepath.Join(dir, e.File))
		code := scan.CodeOf(b)
		start := time.Now()
		text, err := code.Symbols(d)
		if err != nil {
			t.Errorf("%s: Symbols() = %v", e.File, err)
			continue
		}
		made := time.Since(start)
		keepSeed(t, e.File, text)
		start = time.Now()
		symbols, err := scan.ReadSymbols(text)
		if err != nil {
			t.Errorf("%s: ReadSymbols() = %v", e.File, err)
			continue
		}
		t.Logf("%s: %d bytes, %.2f %% of %d, made in %v, read in %v", e.File, len(text), 100*float64(len(text))/float64(b.Size), b.Size,
			made.Round(time.Millisecond/10), time.Since(start).Round(time.Millisecond/100))
		whole := scan.CodeOf(b)
		for u := range d.Units() {
			for _, eco := range []evidence.Ecosystem{evidence.Go, evidence.Cargo} {
				if !slices.ContainsFunc(u.Components, func(c evidence.Component) bool { return c.Ecosystem == eco }) {
					continue
				}
				want := whole.Query(u, queries[eco])
				got := symbols.Query(u, queries[eco])
				for i := range want {
					if diff := cmp.Diff(want[i], got[i]); diff != "" {
						t.Fatalf("%s: %s: Query(%+v) of symbols (-binary +symbols):\n%s", e.File, u.Path, queries[eco][i], diff)
					}
					if want[i].Level >= reach.SymbolLinked {
						asked++
					}
				}
			}
		}
	}
	if asked < 50 {
		t.Errorf("%d answers were of affected functions, too few to compare", asked)
	}
}
