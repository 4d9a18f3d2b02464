//go:build corpus

package cyclonedx

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/wreg-project/wreg/inspect/wasm"
	"github.com/wreg-project/wreg/sbom"
	"github.com/wreg-project/wreg/test/corpus"
	"github.com/wreg-project/wreg/test/schema"
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
	written := map[Version][]string{}
	tmp := t.TempDir()
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
						name := filepath.Join(tmp, e.File+"-"+string(version)+".xml")
						if err := os.WriteFile(name, out, 0o644); err != nil {
							t.Fatal(err)
						}
						written[version] = append(written[version], name)
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
	for version, files := range written {
		if len(files) != len(entries) {
			t.Errorf("XML of %s: %d files of %d", version, len(files), len(entries))
		}
		if out, err := lint(t, version, files...); err != nil {
			t.Errorf("XML of %s against the official schema: %v\n%.4000s", version, err, out)
		}
	}
}

// lint holds XML against the official schema by libxml2.
func lint(t *testing.T, version Version, files ...string) ([]byte, error) {
	t.Helper()
	xsd, err := schema.CycloneDXXML(t.TempDir(), string(version))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "xmllint", append([]string{"--nonet", "--noout", "--huge", "--schema", xsd}, files...)...)
	out, err := cmd.CombinedOutput()
	if missing := new(exec.Error); errors.As(err, &missing) {
		t.Fatalf("%v: test/setup.sh installs it", err)
	}
	return out, err
}

// The XML schema must refuse something, or the test above shows nothing; and what
// the tests without real files write must pass it.
func TestXMLSchema(t *testing.T) {
	for _, version := range []Version{V1_6, V1_7} {
		var files []string
		for name, d := range documents {
			file := filepath.Join(t.TempDir(), "bom.xml")
			out := write(t, d(), Options{Version: version, Format: XML, ToolVersion: "v1.0.0", Created: time.Unix(1700000000, 0)})
			if err := os.WriteFile(file, out, 0o644); err != nil {
				t.Fatal(err)
			}
			files = append(files, file)
			if name != "rich" {
				continue
			}
			wrong := filepath.Join(t.TempDir(), "bom.xml")
			if err := os.WriteFile(wrong, bytes.Replace(out, []byte(`"library"`), []byte(`"librarian"`), 1), 0o644); err != nil {
				t.Fatal(err)
			}
			if out, err := lint(t, version, wrong); err == nil {
				t.Errorf("a component of type librarian is valid by %s; want an error: %s", version, out)
			}
		}
		if out, err := lint(t, version, files...); err != nil {
			t.Errorf("XML of %s against the official schema: %v\n%.4000s", version, err, out)
		}
	}
}
