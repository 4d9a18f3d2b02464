package code

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/wreg-project/wreg/inspect/wasm"
)

// BenchmarkCorpus measures the pass over the instructions of real modules, of
// those that test/corpus has fetched: validation alone, validation that visits,
// and what comes after all functions have been seen.
func BenchmarkCorpus(b *testing.B) {
	for _, name := range []string{"sqlite3", "esbuild", "biome", "pandoc-ghc"} {
		bin, err := os.ReadFile(filepath.Join("../../.cache/corpus", name+".wasm"))
		if err != nil {
			b.Log(err)
			continue
		}
		parsed, err := wasm.Parse(bin)
		if err != nil {
			b.Fatal(err)
		}
		size := parsed.Module.CodeSize
		b.Run(name+"/validate", func(b *testing.B) {
			b.SetBytes(size)
			for b.Loop() {
				each(b, parsed, func(int) {}, nil, func() {})
			}
		})
		b.Run(name+"/visit", func(b *testing.B) {
			b.SetBytes(size)
			for b.Loop() {
				w := NewBuilder(parsed).Worker()
				each(b, parsed, w.Begin, w.Visit, w.End)
			}
		})
		b.Run(name+"/finish", func(b *testing.B) {
			b.SetBytes(size)
			for b.Loop() {
				b.StopTimer()
				bl := NewBuilder(parsed)
				w := bl.Worker()
				each(b, parsed, w.Begin, w.Visit, w.End)
				b.StartTimer()
				bl.Finish().Summary(Options{})
			}
		})
	}
}

// each validates all bodies.
func each(b *testing.B, bin *wasm.Binary, begin func(int), visit func(*wasm.Instr), end func()) {
	b.Helper()
	v, err := wasm.NewValidator(bin)
	if err != nil {
		b.Fatal(err)
	}
	for i := range bin.Module.Code {
		begin(i)
		if err := v.Body(i, visit); err != nil {
			b.Fatal(err)
		}
		end()
	}
}
