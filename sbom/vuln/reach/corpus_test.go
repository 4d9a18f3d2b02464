//go:build corpus

package reach

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wreg-project/wreg/sbom/evidence"
	"github.com/wreg-project/wreg/test/corpus"
)

// The packages and symbols are those of advisories of the Go project about the
// versions that the two programs were built with.
func TestCorpus(t *testing.T) {
	dir, entries, err := corpus.Fetched()
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		file, advisory string
		pkg            string
		symbols        []string
		want           Level
	}{
		{"hcl2json.wasm", "GO-2022-1039", "regexp/syntax", []string{"Parse", "parser.push", "parser.repeat"}, Reachable},
		{"hcl2json.wasm", "GO-2023-1840", "runtime", nil, Reachable},
		{"hcl2json.wasm", "GO-2026-5970", "golang.org/x/text/unicode/norm", []string{"Form.String", "nextComposed"}, Reachable},
		{"hcl2json.wasm", "GO-2023-2186", "path/filepath", []string{"IsLocal"}, Linked},
		{"hcl2json.wasm", "GO-2022-1038", "net/http/httputil", []string{"ReverseProxy.ServeHTTP"}, Present},
		{"esbuild.wasm", "GO-2026-6218", "net/url", []string{"URL.ResolveReference", "resolvePath"}, Reachable},
		{"esbuild.wasm", "GO-2026-6090", "crypto/tls", []string{"Conn.Handshake"}, Linked},
	}
	analyses := map[string]*Analysis{}
	for _, tt := range tests {
		a, ok := analyses[tt.file]
		if !ok {
			if !slices.ContainsFunc(entries, func(e corpus.Entry) bool { return e.File == tt.file }) {
				t.Fatalf("%s is not in the list of real binaries", tt.file)
			}
			b := open(t, filepath.Join(dir, tt.file))
			start := time.Now()
			a = New(b, Options{})
			a.Query([]Query{{Ecosystem: evidence.Go, Package: "runtime"}})
			t.Logf("%s: names and ways of %d functions in %v", tt.file, len(b.Module.Functions), time.Since(start))
			analyses[tt.file] = a
		}
		got := a.Query([]Query{{Ecosystem: evidence.Go, Package: tt.pkg, Symbols: tt.symbols}})[0]
		if got.Level != tt.want || !got.Conclusive {
			t.Errorf("%s: %s: Query(%s, %q) = %+v, want %v", tt.file, tt.advisory, tt.pkg, tt.symbols, got, tt.want)
		}
	}
}

// What is kept of a real program gives the answers that the program gives.
func TestTablesOfTheCorpus(t *testing.T) {
	dir, entries, err := corpus.Fetched()
	if err != nil {
		t.Fatal(err)
	}
	named := map[bool]int{}
	for _, e := range entries {
		b := open(t, filepath.Join(dir, e.File))
		if b.Module == nil {
			continue
		}
		a := New(b, Options{})
		a.name()
		queries := everything(&a.table)
		stride := 1 + len(queries)/256
		some := make([]Query, 0, 256)
		for i := 0; i < len(queries); i += stride {
			some = append(some, queries[i])
		}
		if len(a.table.names.packages) > 1 {
			named[a.table.golang]++
		}
		want, got := a.Query(some), again(t, a.Table()).Query(some)
		for i, q := range some {
			if diff := cmp.Diff(want[i], got[i]); diff != "" {
				t.Fatalf("%s: Query(%+v) of the table (-analysis +table):\n%s", e.File, q, diff)
			}
		}
	}
	if named[true] < 2 || named[false] < 5 {
		t.Errorf("%d programs of Go and %d others have names; want 2 and 5 at least", named[true], named[false])
	}
}
