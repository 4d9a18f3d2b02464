package vuln

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wreg-project/wreg/sbom/evidence"
)

var loadAll = sync.OnceValues(func() (*DB, error) {
	db, stats, err := Load(context.Background(), "../../test/data/osv")
	if err == nil && stats.Refused > 0 {
		err = fmt.Errorf("%d records refused: %v", stats.Refused, stats.Problems)
	}
	return db, err
})

func all(t testing.TB) *DB {
	t.Helper()
	db, err := loadAll()
	if err != nil {
		t.Fatal(err)
	}
	return db
}

func components(t testing.TB, name string) []evidence.Component {
	t.Helper()
	data, err := os.ReadFile("testdata/components/" + name + ".txt")
	if err != nil {
		t.Fatal(err)
	}
	var list []evidence.Component
	for row := range strings.Lines(string(data)) {
		f := append(strings.Fields(row), "", "", "")
		list = append(list, evidence.Component{Ecosystem: evidence.Ecosystem(f[0]), Name: f[1], Version: f[2], Part: f[3], Class: evidence.Proven})
	}
	return list
}

// The counts of Go, and the ids of epoxy, were found by an independent program over
// the same data.
func TestHits(t *testing.T) {
	tests := []struct {
		name   string
		file   string
		counts map[string]int // by the name of the component
		ids    string         // some of those, with their versions
	}{
		{
			"Go 1.18.5 and an old x/text", "hcl2json",
			map[string]int{"stdlib": 96, "golang.org/x/text": 1},
			"GO-2026-5970:golang.org/x/text@v0.21.0",
		},
		{"Go 1.26.5, written with its prefix", "esbuild", map[string]int{"stdlib": 8}, ""},
		{"Go 1.22.12 without a v, and a pseudo-version", "astro", map[string]int{"stdlib": 52, "golang.org/x/net": 19}, ""},
		{
			"crates of a proxy", "epoxy",
			map[string]int{"bytes": 1, "h2": 2, "ring": 1, "rustls": 1, "rustls-webpki": 4},
			"RUSTSEC-2024-0336:rustls@0.22.2 RUSTSEC-2024-0332:h2@0.4.3 RUSTSEC-2026-0258:h2@0.4.3 RUSTSEC-2025-0009:ring@0.17.8 RUSTSEC-2026-0007:bytes@1.6.0",
		},
		{
			"crates of a password manager", "1password",
			map[string]int{"rsa": 1, "time": 1, "rustls-webpki": 4},
			"RUSTSEC-2023-0071:rsa@0.9.10 RUSTSEC-2026-0009:time@0.3.46",
		},
		{"all crates of c2pa", "c2pa", map[string]int{"rsa": 1}, "RUSTSEC-2023-0071:rsa@0.9.10"},
		{
			"crates of a messenger", "matrix-14.2",
			map[string]int{"matrix-sdk-crypto": 1, "tracing-subscriber": 1},
			"RUSTSEC-2025-0041:matrix-sdk-crypto@0.11.0 RUSTSEC-2025-0055:tracing-subscriber@0.3.19",
		},
		{"all crates of a Parquet reader", "parquet-0.7.2", map[string]int{"bytes": 1, "lz4_flex": 1}, "RUSTSEC-2026-0041:lz4_flex@0.11.5"},
		{"all crates of Tailwind", "tailwind-oxide", map[string]int{"crossbeam-epoch": 1}, "RUSTSEC-2026-0204:crossbeam-epoch@0.9.18"},
		{"nothing but an unmaintained crate", "html-rewriter", map[string]int{"safemem": 1}, ""},
		{"std's hashbrown is not looked at", "jco-wasm-tools.core", map[string]int{}, ""},
	}
	db := all(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			res, err := Match(t.Context(), components(t, tt.file), db)
			if err != nil {
				t.Fatal(err)
			}
			counts, ids := map[string]int{}, map[string]bool{}
			for _, f := range res.Findings {
				counts[f.Name]++
				ids[f.ID+":"+f.Name+"@"+f.Version] = true
			}
			if diff := cmp.Diff(tt.counts, counts); diff != "" {
				t.Errorf("findings by component (-want +got):\n%s", diff)
			}
			for id := range strings.FieldsSeq(tt.ids) {
				if !ids[id] {
					t.Errorf("%s is not among %v", id, ids)
				}
			}
			if len(res.Possible) > 0 {
				t.Errorf("possible findings of exact versions: %v", res.Possible)
			}
		})
	}
}

func BenchmarkMatch(b *testing.B) {
	db := all(b)
	for _, name := range []string{"hcl2json", "c2pa"} {
		list := components(b, name)
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := Match(b.Context(), list, db); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkLoad(b *testing.B) {
	for b.Loop() {
		if _, _, err := Load(b.Context(), "../../test/data/osv"); err != nil {
			b.Fatal(err)
		}
	}
}
