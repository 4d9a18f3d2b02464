package scan_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"github.com/wreg-project/wreg/inspect/wasm"
	"github.com/wreg-project/wreg/sbom"
	"github.com/wreg-project/wreg/sbom/evidence"
	"github.com/wreg-project/wreg/sbom/vuln/reach"
	"github.com/wreg-project/wreg/sbom/vuln/scan"
)

// symbolsOf gives the parts of a file.
func symbolsOf(t testing.TB, file []byte) (*scan.Binary, *sbom.Document, []byte) {
	t.Helper()
	b, err := wasm.Parse(file)
	if err != nil {
		t.Fatal(err)
	}
	d, err := sbom.Extract(b, sbom.Options{})
	if err != nil {
		t.Fatal(err)
	}
	c := scan.CodeOf(b)
	text, err := c.Symbols(d)
	if err != nil {
		t.Fatal(err)
	}
	return c, d, text
}

// packer is shared, since to make one takes longer than to use it.
var packer = sync.OnceValues(func() (*zstd.Encoder, error) { return zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1)) })

func compress(t testing.TB, text []byte) []byte {
	t.Helper()
	w, err := packer()
	if err != nil {
		t.Fatal(err)
	}
	return w.EncodeAll(text, nil)
}

func expand(t testing.TB, text []byte) []byte {
	t.Helper()
	r, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	b, err := r.DecodeAll(text, nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestSymbols(t *testing.T) {
	ask := []reach.Query{
		{Ecosystem: evidence.Cargo, Package: "time", Symbols: []string{"time::now"}},
		{Ecosystem: evidence.Cargo, Package: "other"},
		{Ecosystem: evidence.Go, Package: "fmt"},
	}
	tests := []struct {
		name string
		file []byte
		want reach.Level
	}{
		{"an exported function", module(path, now, true), reach.Reachable},
		{"one that nothing calls", module(path, now, false), reach.SymbolLinked},
		{"a crate without names of functions", module(path, "", false), reach.Unknown},
		{"a module of neither Go nor Rust", module("text", "memcpy", true), reach.Unknown},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			binary, d, text := symbolsOf(t, tt.file)
			if _, _, again := symbolsOf(t, tt.file); !bytes.Equal(text, again) {
				t.Errorf("Symbols() = %x and then %x", text, again)
			}
			symbols, err := scan.ReadSymbols(text)
			if err != nil {
				t.Fatal(err)
			}
			got := symbols.Query(d.Root, ask)
			if diff := cmp.Diff(binary.Query(d.Root, ask), got); diff != "" {
				t.Errorf("Query of symbols (-binary +symbols):\n%s", diff)
			}
			if got[0].Level != tt.want || got[0].Reason == "" {
				t.Errorf("Query(%+v) = %+v; want %v", ask[0], got[0], tt.want)
			}
		})
	}
}

// What is not about Go or Rust needs nothing.
func TestSymbolsOfOthersAreTiny(t *testing.T) {
	_, _, text := symbolsOf(t, module("text", "memcpy", true))
	if len(text) > 64 {
		t.Errorf("Symbols() takes %d bytes for a module without crates; want 64 at most", len(text))
	}
}

func TestSymbolsOfAnotherUnit(t *testing.T) {
	_, _, text := symbolsOf(t, module(path, now, true))
	symbols, err := scan.ReadSymbols(text)
	if err != nil {
		t.Fatal(err)
	}
	got := symbols.Query(&sbom.Unit{Offset: 1, Size: 2}, make([]reach.Query, 2))
	if len(got) != 2 || got[0].Level != reach.Unknown || got[0].Reason == "" {
		t.Errorf("Query of a unit that is not there = %+v; want two that say why", got)
	}
}

func TestReadSymbolsRefuses(t *testing.T) {
	_, _, text := symbolsOf(t, module(path, now, true))
	plain := expand(t, text)
	head := len("wregsym\x01")
	newer := slices.Clone(plain)
	newer[head-1]++
	tests := []struct {
		name string
		in   []byte
	}{
		{"nothing", nil},
		{"what is not compressed", plain},
		{"something else", compress(t, []byte("{}"))},
		{"a later version", compress(t, newer)},
		{"a module twice", compress(t, append(slices.Clone(plain), plain[head:]...))},
		{"cut short", text[:len(text)-1]},
		{"cut short before it was compressed", compress(t, plain[:len(plain)-1])},
		{"a bomb", compress(t, append(slices.Clone(plain[:head]), make([]byte, scan.MaxSymbols)...))},
		{"a table longer than the rest", compress(t, append(slices.Clone(plain[:head]), 0, 8, 200))},
		{"a place that is none", compress(t, append(slices.Clone(plain[:head]), bytes.Repeat([]byte{0xff}, 12)...))},
	}
	for _, tt := range tests {
		if got, err := scan.ReadSymbols(tt.in); !errors.Is(err, scan.ErrSymbols) {
			t.Errorf("%s: ReadSymbols of %d bytes = %v, %v; want %v", tt.name, len(tt.in), got, err, scan.ErrSymbols)
		}
	}
}

// seeds are the files of testdata/symbols, of real programs.
func seeds(t testing.TB) [][]byte {
	t.Helper()
	list, err := filepath.Glob(filepath.Join("testdata", "symbols", "*.zst"))
	if err != nil || len(list) != 3 {
		t.Fatalf("%d symbols of real programs, %v; want 3", len(list), err)
	}
	var texts [][]byte
	for _, path := range list {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, text)
	}
	return texts
}

// Files that were written before are read, as long as the version is the same.
func TestReadSymbolsOfRealPrograms(t *testing.T) {
	for i, text := range seeds(t) {
		if _, err := scan.ReadSymbols(text); err != nil {
			t.Errorf("ReadSymbols of program %d = %v", i, err)
		}
	}
}

// Whatever the bytes, reading them ends, in symbols or in ErrSymbols, and what
// was read answers.
func FuzzReadSymbols(f *testing.F) {
	for _, text := range seeds(f) {
		f.Add(expand(f, text), true)
		f.Add(text, false)
	}
	f.Add([]byte("wregsym\x01"), true)
	f.Fuzz(func(t *testing.T, in []byte, plain bool) {
		if plain {
			in = compress(t, in)
		}
		s, err := scan.ReadSymbols(in)
		if err != nil {
			if !errors.Is(err, scan.ErrSymbols) {
				t.Fatalf("ReadSymbols = %v; want %v", err, scan.ErrSymbols)
			}
			return
		}
		got := s.Query(&sbom.Unit{Size: 272188}, []reach.Query{{Ecosystem: evidence.Go, Package: "fmt"}})
		if len(got) != 1 || got[0].Reason == "" {
			t.Fatalf("Query = %+v; want one answer with a reason", got)
		}
	})
}
