package wasm

import (
	"os"
	"path/filepath"
	"testing"
)

// corpus gives a large real module if the corpus has been fetched, and else one
// of the suite's.
func corpus(b *testing.B, name string) []byte {
	b.Helper()
	file, err := os.ReadFile(filepath.Join("..", "..", ".cache", "corpus", name))
	if err == nil {
		return file
	}
	var largest []byte
	for _, s := range suite(b, "core-spec.zip", coreCases) {
		if s.Kind == "valid" && len(s.data) > len(largest) {
			largest = s.data
		}
	}
	return largest
}

// BenchmarkDecode reads every instruction of a file.
func BenchmarkDecode(b *testing.B) {
	for _, name := range []string{"biome.wasm", "esbuild.wasm"} {
		file := corpus(b, name)
		b.Run(name, func(b *testing.B) {
			bin, err := Parse(file)
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(bin.Module.CodeSize)
			b.ReportAllocs()
			var c Code
			for b.Loop() {
				decodeAll(b, bin, &c)
			}
		})
	}
}

func decodeAll(t testing.TB, bin *Binary, c *Code) {
	var in Instr
	for _, body := range bin.Module.Code {
		c.Reset(bin, body)
		for c.Next(&in) {
		}
		if err := c.Err(); err != nil {
			t.Fatal(err)
		}
	}
}

// BenchmarkValidate validates a whole file on one core; the rate is that of its
// code.
func BenchmarkValidate(b *testing.B) {
	for _, name := range []string{"biome.wasm", "esbuild.wasm"} {
		file := corpus(b, name)
		b.Run(name, func(b *testing.B) {
			bin, err := Parse(file)
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(bin.Module.CodeSize)
			b.ReportAllocs()
			for b.Loop() {
				v, err := NewValidator(bin)
				if err != nil {
					b.Fatal(err)
				}
				for i := range bin.Module.Code {
					if err := v.Body(i, nil); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}
