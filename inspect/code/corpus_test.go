package code

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/wreg-project/wreg/inspect/wasm"
)

// BenchmarkCorpus measures the pass over the instructions of real modules, of
// those that test/corpus has fetched: decoding alone, decoding and visiting, and
// what comes after all functions have been seen.
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
		b.Run(name+"/decode", func(b *testing.B) {
			b.SetBytes(size)
			for b.Loop() {
				each(parsed, func(int) {}, func(*wasm.Instr) {}, func() {})
			}
		})
		b.Run(name+"/visit", func(b *testing.B) {
			b.SetBytes(size)
			for b.Loop() {
				w := NewBuilder(parsed).Worker()
				each(parsed, w.Begin, w.Visit, w.End)
			}
		})
		b.Run(name+"/finish", func(b *testing.B) {
			b.SetBytes(size)
			for b.Loop() {
				b.StopTimer()
				bl := NewBuilder(parsed)
				w := bl.Worker()
				each(parsed, w.Begin, w.Visit, w.End)
				b.StartTimer()
				bl.Finish().Summary(Options{})
			}
		})
	}
}

// each decodes all bodies.
func each(b *wasm.Binary, begin func(int), visit func(*wasm.Instr), end func()) {
	var c wasm.Code
	var in wasm.Instr
	for i, body := range b.Module.Code {
		c.Reset(b, body)
		begin(i)
		for c.Next(&in) {
			visit(&in)
		}
		end()
	}
}
