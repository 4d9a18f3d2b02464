//go:build corpus

package signal

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wreg-project/wreg/inspect/wasm"
	"github.com/wreg-project/wreg/test/corpus"
)

// Real programs of good reputation get no signal of high severity. Those of medium
// severity were checked by hand; they are what the file really has.
func TestCorpus(t *testing.T) {
	medium := map[string][]string{
		// Ruby's gems have the tests of its WebAssembly bindings among them.
		"ruby-3.4.wasm": {"embedded-wasm"},
		// So has the full library, and RubyGems signs requests to S3 with
		// credentials of the metadata service.
		"ruby-3.4-debug-stdlib.wasm": {"embedded-wasm", "private-host"},
	}
	interpreters := map[string]string{
		"fastly-starlingmonkey.wasm":    "JavaScript (SpiderMonkey)",
		"starlingmonkey-embedding.wasm": "JavaScript (SpiderMonkey)",
		"javy-chainlink-plugin.wasm":    "JavaScript (QuickJS)",
		"quickjs.wasm":                  "JavaScript (QuickJS)",
		"php-8.4.wasm":                  "PHP",
		"ruby-3.4.wasm":                 "Ruby",
		"ruby-3.4-debug-stdlib.wasm":    "Ruby",
		"pandoc-ghc.wasm":               "Lua",
	}
	algorithms := map[string]string{
		"pqc-kyber.wasm":         "ML-KEM (Kyber)",
		"matrix-sdk-crypto.wasm": "Curve25519",
		"7zz.wasm":               "AES",
		"esbuild.wasm":           "SHA-256",
	}
	dir, entries, err := corpus.Fetched()
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		t.Run(e.File, func(t *testing.T) {
			bin, err := os.ReadFile(filepath.Join(dir, e.File))
			if err != nil {
				t.Fatal(err)
			}
			res := analyse(t, bin)
			var got []string
			for _, s := range res.Signals {
				switch s.Severity {
				case High:
					t.Errorf("%s is of high severity: %+v", s.ID, s.Finds)
				case Medium:
					got = append(got, s.ID)
				case Low, Info:
				}
			}
			if diff := cmp.Diff(medium[e.File], got, cmp.Transformer("set", set)); diff != "" {
				t.Errorf("signals of medium severity, want -, got +:\n%s", diff)
			}
			engine := ""
			if s := res.find("interpreter"); s != nil {
				engine, _, _ = strings.Cut(s.Finds[0].Evidence, ", by")
			}
			if engine != interpreters[e.File] {
				t.Errorf("the interpreter is %q, want %q", engine, interpreters[e.File])
			}
			names := map[string]bool{}
			for _, a := range res.Algorithms {
				names[a.Name] = true
			}
			if want := algorithms[e.File]; want != "" && !names[want] {
				t.Errorf("algorithms are %+v, want %s among them", res.Algorithms, want)
			}
		})
	}
}

func set(list []string) map[string]bool {
	m := map[string]bool{}
	for _, s := range list {
		m[s] = true
	}
	return m
}

// BenchmarkCorpus measures the passes over the data and the code of real modules.
func BenchmarkCorpus(b *testing.B) {
	dir, _, err := corpus.Fetched()
	if err != nil {
		b.Fatal(err)
	}
	for _, file := range []string{"esbuild", "biome", "ruby-3.4", "pandoc-ghc", "duckdb-eh"} {
		bin, err := os.ReadFile(filepath.Join(dir, file+".wasm"))
		if err != nil {
			b.Fatal(err)
		}
		m, err := wasm.Parse(bin)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(file+"/data", func(b *testing.B) {
			b.SetBytes(m.Module.DataSize)
			for b.Loop() {
				Data(m, nil, nil)
			}
		})
		v := NewVisitor(m, nil)
		for _, step := range []struct {
			name  string
			visit func(*wasm.Instr)
		}{{"decode", func(*wasm.Instr) {}}, {"visit", v.Visit}} {
			b.Run(file+"/"+step.name, func(b *testing.B) {
				b.SetBytes(m.Module.CodeSize)
				var c wasm.Code
				var instr wasm.Instr
				n := 0
				for b.Loop() {
					n = 0
					for i, body := range m.Module.Code {
						c.Reset(m, body)
						v.Begin(i)
						for c.Next(&instr) {
							step.visit(&instr)
							n++
						}
						v.End()
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/instr")
			})
		}
	}
}
