//go:build corpus

package scan_test

import (
	"archive/zip"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/wreg-project/wreg/sbom/vuln"
	"github.com/wreg-project/wreg/sbom/vuln/scan"
	"github.com/wreg-project/wreg/test/corpus"
)

// measured are programs of several kinds: Go's, Rust's without names and with
// them, and C++.
var measured = []string{
	"hcl2json.wasm", "esbuild.wasm", "html-rewriter.wasm", "parquet-0.7.2.wasm", "sharp-libvips.wasm", "matrix-sdk-crypto.wasm", "biome.wasm",
}

// database gives the advisories of test/data/osv.
func database(t testing.TB) *vuln.DB {
	t.Helper()
	db := &vuln.DB{}
	for _, name := range []string{"go.zip", "crates.io.zip", "npm.zip"} {
		z, err := zip.OpenReader(filepath.Join("..", "..", "..", "test", "data", "osv", name))
		if err != nil {
			t.Fatal(err)
		}
		defer z.Close()
		for _, a := range advisories(t, z.File) {
			db.Put(a)
		}
	}
	return db
}

// spent gives the processor time of this process, collection of garbage included,
// which is what a busy machine does not change.
func spent(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// loop runs a benchmark and adds the processor time of one run.
func loop(b *testing.B, run func()) {
	b.Helper()
	b.ReportAllocs()
	run() // what is made once and shared
	start := spent(b)
	for b.Loop() {
		run()
	}
	b.ReportMetric(float64(spent(b)-start)/1e6/float64(b.N), "cpu-ms/op")
}

// A package is scanned after inspection, so that its binary is parsed and its
// document made.
func BenchmarkScan(b *testing.B) {
	dir, _, err := corpus.Fetched()
	if err != nil {
		b.Fatal(err)
	}
	db := database(b)
	for _, name := range measured {
		bin, d := parse(b, filepath.Join(dir, name))
		run := func(b *testing.B, open func() scan.Code) {
			findings := 0
			loop(b, func() {
				r, err := scan.Scan(b.Context(), d, open(), db)
				if err != nil {
					b.Fatal(err)
				}
				findings = len(r.Findings)
			})
			b.ReportMetric(float64(findings), "findings")
		}
		b.Run("of=binary/"+name, func(b *testing.B) { run(b, func() scan.Code { return scan.CodeOf(bin) }) })
		b.Run("of=symbols/"+name, func(b *testing.B) {
			text, err := scan.CodeOf(bin).Symbols(d)
			if err != nil {
				b.Fatal(err)
			}
			run(b, func() scan.Code {
				s, err := scan.ReadSymbols(text)
				if err != nil {
					b.Fatal(err)
				}
				return s
			})
		})
	}
}

func BenchmarkSymbols(b *testing.B) {
	dir, _, err := corpus.Fetched()
	if err != nil {
		b.Fatal(err)
	}
	for _, name := range measured {
		bin, d := parse(b, filepath.Join(dir, name))
		b.Run(name, func(b *testing.B) {
			b.SetBytes(bin.Size)
			size := 0
			loop(b, func() {
				text, err := scan.CodeOf(bin).Symbols(d)
				if err != nil {
					b.Fatal(err)
				}
				size = len(text)
			})
			b.ReportMetric(float64(size), "bytes")
		})
	}
}

func BenchmarkReadSymbols(b *testing.B) {
	dir, _, err := corpus.Fetched()
	if err != nil {
		b.Fatal(err)
	}
	for _, name := range measured {
		bin, d := parse(b, filepath.Join(dir, name))
		text, err := scan.CodeOf(bin).Symbols(d)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			loop(b, func() {
				if _, err := scan.ReadSymbols(text); err != nil {
					b.Fatal(err)
				}
			})
		})
	}
}
