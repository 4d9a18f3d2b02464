package sbom

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wreg-project/wreg/inspect/wasm"
	"github.com/wreg-project/wreg/sbom/evidence"
)

// read gives a committed binary of the inspector's tests.
func read(t *testing.T, path string) []byte {
	t.Helper()
	file, err := os.ReadFile(filepath.Join("..", "inspect", path))
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func extract(t *testing.T, file []byte) *Document {
	t.Helper()
	b, err := wasm.Parse(file)
	if err != nil {
		t.Fatalf("wasm.Parse: %v", err)
	}
	d, err := Extract(b, Options{Name: "test"})
	if err != nil {
		t.Fatalf("Extract: %v", err)
	}
	return d
}

// sum shows a document as one line for each unit, component, tool and statement.
func sum(d *Document) []string {
	out := []string{d.Subject.Kind}
	for u := range d.Units() {
		out = append(out, fmt.Sprintf("%q %s", u.Path, u.Kind))
		for _, c := range u.Components {
			line := string(c.Class) + " " + c.PURL()
			if c.Main {
				line += " main"
			}
			out = append(out, line)
		}
		for _, t := range u.Tools {
			out = append(out, strings.TrimSpace("tool "+t.Role+" "+t.Name+" "+t.Version))
		}
		for _, s := range u.Completeness {
			out = append(out, fmt.Sprintf("%s complete %t", s.Ecosystem, s.Complete))
		}
	}
	return out
}

func TestExtract(t *testing.T) {
	tests := []struct {
		name, file string
		want       []string
	}{
		{
			name: "a WIT package", file: "wit/testdata/wasi-http@0.3.0.wasm",
			want: []string{
				"wit-package", `"" component`, "proven pkg:generic/wasi/cli@0.3.0", "proven pkg:generic/wasi/clocks@0.3.0",
				"proven pkg:generic/wasi/http@0.3.0 main", "proven pkg:generic/wasi/random@0.3.0",
				"tool processed-by wit-component 0.259.0", "wit complete true",
			},
		},
		{
			name: "a component with modules inside", file: "wit/testdata/component.wasm",
			want: []string{
				"component", `"" component`, "proven pkg:generic/test/words@1.2.3-rc.1%2Bbuild.5",
				"tool processed-by wit-component 0.259.0", "wit complete true",
				`"module[0]" module`, "tool processed-by wit-component 0.259.0", "generic complete false",
				`"module[1]" module`, "tool processed-by wit-component 0.259.0", "generic complete false",
				`"module[2]" module`, "tool processed-by wit-component 0.259.0", "generic complete false",
				`"component[0]" component`, `"component[1]" component`,
			},
		},
		{
			name: "a composed component", file: "wit/testdata/composed.wasm",
			want: []string{
				"component", `"" component`, "proven pkg:generic/test/c@1.0.0", "wit complete true",
				`"component[0]" component`, "proven pkg:generic/test/c@1.0.0", "wit complete true",
				`"component[0]/component[0]" component`,
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := sum(extract(t, read(t, tt.file)))
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Fatalf("Extract(%s) (-want +got):\n%s", tt.file, d)
			}
		})
	}
}

func TestExtractNeedsTheBytes(t *testing.T) {
	file := read(t, "testdata/app.component.wasm")
	b, err := wasm.Decode(strings.NewReader(string(file)), int64(len(file)))
	if err != nil {
		t.Fatalf("wasm.Decode: %v", err)
	}
	if _, err := Extract(b, Options{}); !errors.Is(err, ErrNotParsed) {
		t.Fatalf("Extract of a decoded binary = %v, want %v", err, ErrNotParsed)
	}
}

func TestExtractIsDeterministic(t *testing.T) {
	for _, file := range []string{"testdata/app.component.wasm", "wit/testdata/component.wasm", "wit/testdata/wasi-cli@0.3.0.wasm"} {
		var first string
		for range 5 {
			got, err := json.Marshal(extract(t, read(t, file)))
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(got), ":null") {
				t.Errorf("document of %s has null: %s", file, got)
			}
			if first == "" {
				first = string(got)
			}
			if d := cmp.Diff(first, string(got)); d != "" {
				t.Fatalf("document of %s differs between runs (-first +later):\n%s", file, d)
			}
		}
	}
}

// nest makes a component that holds the parts, each with the id of its section.
func nest(id byte, parts ...[]byte) []byte {
	out := []byte("\x00asm\x0d\x00\x01\x00")
	for _, p := range parts {
		out = append(append(append(out, id), leb(len(p))...), p...)
	}
	return out
}

func leb(n int) []byte {
	b := lebString(string(make([]byte, n)))
	return b[:len(b)-n]
}

// Modules make no more units than a document may have, and it says how many are
// left out.
func TestExtractBoundsTheUnits(t *testing.T) {
	const modules = MaxUnits + 10
	// The parser grants what it keeps by the size of the file.
	const padding = 3000
	padded := append([]byte("\x00asm\x01\x00\x00\x00\x00"), leb(padding+1)...)
	padded = append(padded, make([]byte, padding+1)...)
	parts := make([][]byte, modules)
	for i := range parts {
		parts[i] = padded
	}
	d := extract(t, nest(1, parts...))
	if got := len(d.Root.Units) + 1; got != MaxUnits || d.Root.Omitted != modules+1-MaxUnits {
		t.Fatalf("Extract of %d modules = %d units and %d omitted, want %d and %d", modules, got, d.Root.Omitted, MaxUnits, modules+1-MaxUnits)
	}
}

func TestPathsOfUnits(t *testing.T) {
	empty := []byte("\x00asm\x01\x00\x00\x00")
	d := extract(t, nest(4, nest(1, empty), nest(4, nest(1, empty, empty))))
	var got []string
	for u := range d.Units() {
		got = append(got, u.Path)
	}
	want := []string{
		"", "component[0]", "component[1]", "component[0]/module[0]", "component[1]/component[0]",
		"component[1]/component[0]/module[0]", "component[1]/component[0]/module[1]",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Fatalf("paths of units (-want +got):\n%s", d)
	}
}

func TestEdges(t *testing.T) {
	a := evidence.Component{Ecosystem: evidence.Cargo, Name: "a", Version: "1.0.0", Class: evidence.Proven}
	list := []evidence.Component{
		a,
		{Ecosystem: evidence.Cargo, Name: "b", Class: evidence.Inferred, RequiredBy: []string{a.PURL(), "pkg:cargo/absent@1.0.0"}},
		{Ecosystem: evidence.Cargo, Name: "c", Class: evidence.Inferred, RequiredBy: []string{a.PURL(), a.PURL()}},
	}
	if d := cmp.Diff([]Edge{{0, 1}, {0, 2}}, edges(list, nil)); d != "" {
		t.Fatalf("edges (-want +got):\n%s", d)
	}
}

func TestPackageOf(t *testing.T) {
	tests := []struct {
		in, pkg, version string
		ok               bool
	}{
		{in: "wasi:cli/run@0.2.0", pkg: "wasi:cli", version: "0.2.0", ok: true},
		{in: "a:b/c", pkg: "a:b", ok: true},
		{in: "ns:nested:pkg/item/sub@1.0.0-rc.1", pkg: "ns:nested:pkg/item", version: "1.0.0-rc.1", ok: true},
		{in: "wasi_snapshot_preview1"},
		{in: "run"},
		{in: "wasi:cli@0.2.0"},
		{in: "locked-dep=<a:b/c@1.0.0>"},
		{in: "[constructor]a:b/c"},
		{in: "url=<https://example.com/a>"},
		{in: ":/"},
	}
	for _, tt := range tests {
		pkg, version, ok := packageOf(tt.in)
		if ok != tt.ok || ok && (pkg != tt.pkg || version != tt.version) {
			t.Errorf("packageOf(%q) = %q, %q, %t; want %q, %q, %t", tt.in, pkg, version, ok, tt.pkg, tt.version, tt.ok)
		}
	}
}

// FuzzExtract holds a document to what its readers rely on: places inside the
// file, and text that can be shown.
func FuzzExtract(f *testing.F) {
	for _, file := range []string{
		"testdata/app.component.wasm", "wit/testdata/composed.wasm", "wit/testdata/component.wasm", "wit/testdata/core.wasm",
		"wit/testdata/wasi-io@0.2.10.wasm",
	} {
		seed, err := os.ReadFile(filepath.Join("..", "inspect", file))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		b, err := wasm.Parse(file)
		if err != nil {
			return
		}
		d, err := Extract(b, Options{})
		if err != nil {
			t.Fatalf("Extract: %v", err)
		}
		for u, c := range d.All() {
			if c.Name == "" || len(c.Evidence) == 0 {
				t.Fatalf("%q has %+v, a component without name or evidence", u.Path, c)
			}
			for _, e := range c.Evidence {
				if e.Offset < -1 || e.Offset > int64(len(file)) || e.Confidence <= 0 || e.Confidence > 1 {
					t.Fatalf("evidence of %s is %+v in a file of %d bytes", c.Name, e, len(file))
				}
			}
		}
		for u := range d.Units() {
			for _, e := range u.Edges {
				if e.From < 0 || e.To < 0 || max(e.From, e.To) >= len(u.Components) {
					t.Fatalf("edge %+v of %d components", e, len(u.Components))
				}
			}
		}
	})
}
