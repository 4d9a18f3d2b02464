//go:build corpus

package cyclonedx

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

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
	schemas := map[Version]*jsonschema.Schema{V1_6: compile(t, V1_6), V1_7: compile(t, V1_7)}
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
			for version, schema := range schemas {
				for _, f := range []Format{JSON, XML} {
					o := Options{Version: version, Format: f}
					out := write(t, d, o)
					if !bytes.Equal(out, write(t, d, o)) {
						t.Errorf("%+v: other bytes the second time", o)
					}
					if _, err := Read(bytes.NewReader(out), Limits{MaxBytes: 64 << 20, MaxObjects: 1 << 21}); err != nil {
						t.Errorf("%+v: Read: %v", o, err)
					}
					if f == XML {
						continue
					}
					value, err := jsonschema.UnmarshalJSON(bytes.NewReader(out))
					if err != nil {
						t.Fatal(err)
					}
					if err := schema.Validate(value); err != nil {
						t.Errorf("%+v: %#v", o, err)
					}
				}
			}
		})
	}
}
