package wasm

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// cpu is the CPU time the process has used, in seconds. Rates by it hold on a
// machine that others use, too.
func cpu(b *testing.B) float64 {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}

// measure runs f, which goes over size bytes.
func measure(b *testing.B, size int64, f func()) {
	b.SetBytes(size)
	b.ReportAllocs()
	start := cpu(b)
	for b.Loop() {
		f()
	}
	b.ReportMetric(float64(size)*float64(b.N)/1e6/(cpu(b)-start), "MB/cpu-s")
}

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
			var c Code
			measure(b, bin.Module.CodeSize, func() { decodeAll(b, bin, &c) })
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
			measure(b, bin.Module.CodeSize, func() {
				v, err := NewValidator(bin)
				if err != nil {
					b.Fatal(err)
				}
				for i := range bin.Module.Code {
					if err := v.Body(i, nil); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}
