//go:build cgo && (linux || darwin)

package engine

import (
	"os"
	"testing"

	"github.com/wreg-project/wreg/artifact/aot/wasmtime/wire"
	"github.com/wreg-project/wreg/artifact/variant"
)

// benchmarked is the native code that is measured: a program of BENCH_CODE for
// BENCH_TARGET, else one that does nothing.
func benchmarked(b *testing.B) (*Engine, string) {
	b.Helper()
	file, text := os.Getenv("BENCH_CODE"), os.Getenv("BENCH_TARGET")
	if file == "" {
		e := open(b, Options{Target: host(b)})
		return e, compiled(b, e, `(module (memory (export "memory") 1) (func (export "_start")))`)
	}
	target, err := variant.Parse(text)
	if err != nil {
		b.Fatal(err)
	}
	return open(b, Options{Target: target}), file
}

// What code costs before it can be run, once for each program.
func BenchmarkLoad(b *testing.B) {
	e, file := benchmarked(b)
	b.ReportAllocs()
	for b.Loop() {
		c, err := e.Load(file, wire.Module)
		if err != nil {
			b.Fatal(err)
		}
		c.Close()
	}
}

// What an instance costs, from its store to its end. The program's own work is in it.
func BenchmarkRun(b *testing.B) {
	e, file := benchmarked(b)
	c := load(b, e, file, wire.Module)
	spec := &wire.Spec{Args: []string{"benchmark"}}
	b.ReportAllocs()
	for b.Loop() {
		if status, err := c.Run(spec); status != 0 || err != nil {
			b.Fatalf("Run(%+v) = %d, %v", spec, status, err)
		}
	}
}
