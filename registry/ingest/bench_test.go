//go:build unix

package ingest_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"github.com/wreg-project/wreg/inspect"
	"github.com/wreg-project/wreg/inspect/wasm"
	"github.com/wreg-project/wreg/registry"
	"github.com/wreg-project/wreg/registry/ingest"
	"github.com/wreg-project/wreg/registry/ociapi"
	"github.com/wreg-project/wreg/registry/policy"
	"github.com/wreg-project/wreg/sbom"
	"github.com/wreg-project/wreg/sbom/vuln/scan"
	"github.com/wreg-project/wreg/storage/blob/fs"
	"github.com/wreg-project/wreg/test/corpus"
)

// typical is a component of 3.1 MB.
func typical(b *testing.B) []byte {
	b.Helper()
	dir, err := corpus.Dir()
	if err != nil {
		b.Fatal(err)
	}
	return readFile(b, filepath.Join(dir, "arcjet-analyze.component.wasm"))
}

// distinct is file with a custom section that makes it another one.
func distinct(file []byte, n int) []byte {
	out := append(bytes.Clone(file), 0, 10, 1, 'n')
	return binary.LittleEndian.AppendUint64(out, uint64(n))
}

// What inspection adds to a push of a typical module, seen by the client: the
// blob, the config and the manifest.
func BenchmarkPush(b *testing.B) {
	network := ""
	for _, p := range policy.Ready() {
		if p.Name == "no-network" {
			network = string(p.Source)
		}
	}
	tests := []struct {
		name     string
		admit    bool
		policies map[string]string
	}{
		{name: "without inspection"},
		{name: "refusing broken Wasm", admit: true},
		{name: "under an enforced policy", admit: true, policies: map[string]string{"no-network": network}},
	}
	file := typical(b)
	for _, tt := range tests {
		b.Run(tt.name, func(b *testing.B) {
			blobs, err := fs.Open(b.TempDir(), fs.Options{})
			if err != nil {
				b.Fatal(err)
			}
			e := newEnv(b, setup{blobs: blobs, stopped: !tt.admit})
			for name, source := range tt.policies {
				e.policy(name, source)
			}
			if !tt.admit {
				e.plain()
			}
			alice := e.as("alice")
			var put time.Duration
			n, used := 0, cpu()
			for b.Loop() {
				n++
				m := alice.pack("team/app", layer{typeWasm, distinct(file, n), ""})
				began := time.Now()
				r, _ := alice.put("team/app", fmt.Sprintf("1.0.%d", n), m)
				put += time.Since(began)
				alice.want(r, http.StatusCreated)
			}
			b.ReportMetric(float64(put.Milliseconds())/float64(n), "ms/manifest")
			b.ReportMetric(float64((cpu()-used).Milliseconds())/float64(n), "ms-CPU/push")
			if tt.admit {
				e.wait()
			}
		})
	}
}

// plain replaces the registry by one that nobody inspects for.
func (e *env) plain() {
	reg := registry.New(registry.Options{Blobs: e.blobs, Meta: e.db})
	srv := httptest.NewServer(ociapi.New(ociapi.Options{Registry: reg, Auth: names{}}))
	e.Cleanup(func() {
		srv.Close()
		if err := reg.Close(); err != nil {
			e.Errorf("Close() = %v", err)
		}
	})
	e.url = srv.URL
}

// What the stages cost beyond the analysis: every repository gets the same module,
// which is analysed once. With attestations, those that every package gets.
func BenchmarkIngest(b *testing.B) {
	file, k := component(b), newKey(b)
	for name, o := range map[string]ingest.Options{"plain": {}, "attested": signingWith(k, ingest.Attestations()...)} {
		b.Run(name, func(b *testing.B) {
			e := newEnv(b, setup{stopped: true, options: o})
			e.policy("titles", warnAll)
			alice := e.as("alice")
			n := 0
			for b.Loop() {
				n++
				m := alice.pack(fmt.Sprintf("team/app%d", n), layer{typeWasm, file, "app.wasm"})
				r, _ := alice.put(fmt.Sprintf("team/app%d", n), "1.0.0", m)
				alice.want(r, http.StatusCreated)
			}
			began, used := time.Now(), cpu()
			e.start()
			for done := int64(0); done < int64(n); done = e.svc.Runner().Counts()[ingest.JobIngest].Done {
				<-time.After(10 * time.Millisecond)
			}
			b.ReportMetric(float64((cpu()-used).Microseconds())/float64(n), "µs-CPU/ingest")
			b.ReportMetric(float64(time.Since(began).Microseconds())/float64(n), "µs/ingest")
		})
	}
}

// What the bill of materials adds to the analysis of a file: extraction, symbols,
// and what is kept of them in memory.
func BenchmarkBill(b *testing.B) {
	dir, err := corpus.Dir()
	if err != nil {
		b.Fatal(err)
	}
	for _, name := range []string{"arcjet-analyze.component.wasm", "hcl2json.wasm", "esbuild.wasm", "ruby-3.4.wasm"} {
		file := readFile(b, filepath.Join(dir, name))
		b.Run(name, func(b *testing.B) {
			var inspected, extracted, symbols time.Duration
			var bill, kept int
			n := 0
			for b.Loop() {
				n++
				parsed, err := wasm.Parse(file)
				if err != nil {
					b.Fatal(err)
				}
				used := cpu()
				if _, err := inspect.Binary(parsed, inspect.Options{Functions: true}); err != nil {
					b.Fatal(err)
				}
				inspected += cpu() - used
				used = cpu()
				d, err := sbom.Extract(parsed, sbom.Options{})
				if err != nil {
					b.Fatal(err)
				}
				text, err := json.Marshal(d)
				if err != nil {
					b.Fatal(err)
				}
				extracted += cpu() - used
				used = cpu()
				table, err := scan.CodeOf(parsed).Symbols(d)
				if err != nil {
					b.Fatal(err)
				}
				symbols += cpu() - used
				bill, kept = len(text), len(table)
			}
			b.ReportMetric(float64(inspected.Microseconds())/float64(n)/1000, "ms-CPU/inspect")
			b.ReportMetric(float64(extracted.Microseconds())/float64(n)/1000, "ms-CPU/extract")
			b.ReportMetric(float64(symbols.Microseconds())/float64(n)/1000, "ms-CPU/symbols")
			b.ReportMetric(float64(bill), "bill-bytes")
			b.ReportMetric(float64(kept), "symbol-bytes")
		})
	}
}
