//go:build corpus

package spdx

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/wreg-project/wreg/inspect/wasm"
	"github.com/wreg-project/wreg/sbom"
	"github.com/wreg-project/wreg/test/corpus"
)

// The bills of materials of all real files follow the official schema, are the
// same the second time, and are read again.
func TestCorpus(t *testing.T) {
	dir, entries, err := corpus.Fetched()
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) == 0 {
		t.Fatal("no file of the corpus is here")
	}
	schema := compile(t)
	for _, e := range entries {
		t.Run(e.File, func(t *testing.T) {
			bin, err := os.ReadFile(filepath.Join(dir, e.File))
			if err != nil {
				t.Fatal(err)
			}
			b, err := wasm.Parse(bin)
			if err != nil {
				t.Fatal(err)
			}
			d, err := sbom.Extract(b, sbom.Options{Name: e.File})
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range []Format{JSON, TagValue} {
				out := write(t, d, Options{Format: f})
				if !bytes.Equal(out, write(t, d, Options{Format: f})) {
					t.Errorf("%s: other bytes the second time", f)
				}
				if _, err := Read(bytes.NewReader(out), Limits{MaxBytes: 64 << 20, MaxObjects: 1 << 21}); err != nil {
					t.Errorf("%s: Read: %v", f, err)
				}
				if f == JSON {
					if err := schema.Validate(value(t, out)); err != nil {
						t.Errorf("%#v", err)
					}
				}
			}
		})
	}
}
