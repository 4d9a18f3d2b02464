package reach

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/wreg-project/wreg/inspect/wasm"
	"github.com/wreg-project/wreg/sbom/evidence"
)

// realRust gives a program of testdata.
func realRust(t testing.TB, name string) *wasm.Binary {
	t.Helper()
	packed, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	file, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	b, err := wasm.Parse(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// What rustc made of testdata/named, whose source says which function calls which:
// without optimisation, and with it.
func TestQueryOfRealRust(t *testing.T) {
	const (
		decompress = "lz4_flex::block::decompress_into"
		parse      = "time::Date::parse"
	)
	linked := Result{Level: Linked}
	tests := []struct {
		name             string
		crate, symbol    string
		plain, optimised Result
	}{
		{
			name:  "a function that an export calls, and that was inlined into it with its whole crate",
			crate: "lz4_flex", symbol: decompress,
			plain: Result{
				Level: Reachable, Conclusive: true, Symbols: []string{decompress},
				Functions: []string{"lz4_flex::block::decompress_safe::decompress_into"},
				Path:      []string{"run", "lz4_flex::block::decompress_safe::decompress_into"},
			},
			optimised: Result{Level: Present},
		},
		{
			name: "one that is called through a table, and was inlined into a function of the program", crate: "time", symbol: parse,
			plain: Result{
				Level: Reachable, Conclusive: true, Dynamic: true, Symbols: []string{parse},
				Functions: []string{"time::date::Date::parse"},
				Path:      []string{"run", "<named::Dates as named::Step>::step", "time::date::Date::parse"},
			},
			optimised: linked,
		},
		{
			name: "one of the same name that is not used", crate: "time", symbol: "time::OffsetDateTime::parse",
			plain: linked, optimised: linked,
		},
		{
			name: "one that is not used of a crate that is", crate: "anyhow", symbol: "anyhow::Error::downcast_mut",
			plain: linked, optimised: linked,
		},
		{
			name: "a crate that is not there", crate: "rustls", symbol: "rustls::ConnectionCommon::complete_io",
			plain: Result{Level: Present}, optimised: Result{Level: Present},
		},
	}
	plain := same(t, New(realRust(t, "named.wasm.gz"), Options{}))
	optimised := same(t, New(realRust(t, "named-optimised.wasm.gz"), Options{}))
	for _, tt := range tests {
		q := Query{Ecosystem: evidence.Cargo, Package: tt.crate, Symbols: []string{tt.symbol}}
		for _, of := range []struct {
			build string
			table *Table
			want  Result
		}{{"plain", plain, tt.plain}, {"optimised", optimised, tt.optimised}} {
			got := of.table.Query([]Query{q})[0]
			if diff := cmp.Diff(of.want, got, cmpopts.IgnoreFields(Result{}, "Reason")); diff != "" {
				t.Errorf("%s: Query(%s) of the %s build (-want +got):\n%s", tt.name, tt.symbol, of.build, diff)
			}
		}
	}
}
