package wit

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSummaryOfComponent(t *testing.T) {
	s, err := Summarize(parseFile(t, "component.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	if s.Package != "root:component" || s.Version != "" || len(s.Worlds) != 1 || s.Worlds[0].Name != "root" {
		t.Errorf("Summarize = package %q, version %q, worlds %v", s.Package, s.Version, s.Worlds)
	}
	const version = "1.2.3-rc.1+build.5"
	wantImports := []ExternSummary{
		{Name: "test:words/other@" + version, Package: "test:words", Interface: "other", Version: version, Kind: "interface"},
		{Name: "test:words/types@" + version, Package: "test:words", Interface: "types", Version: version, Kind: "interface"},
		{Name: "second", Package: "test:words", Interface: "other", Version: version, Kind: "interface"},
		{Name: "inner", Kind: "interface"},
		{Name: "log", Kind: "function", Type: "func(msg: string)"},
		{Name: "now", Kind: "function", Type: "func() -> u64"},
	}
	less := func(w WorldSummary) map[string]ExternSummary {
		m := map[string]ExternSummary{}
		for _, e := range w.Imports {
			m[e.Name] = e
		}
		return m
	}
	want := less(WorldSummary{Imports: wantImports})
	if diff := cmp.Diff(want, less(s.Worlds[0])); diff != "" {
		t.Errorf("imports (-want +got):\n%s", diff)
	}
	if len(s.Worlds[0].Exports) != 4 || len(s.Packages) != 1 || s.Truncated || !strings.HasPrefix(s.Text, "package root:component;\n") {
		t.Errorf("Summarize = exports %v, packages %v, truncated %v, text %.40q", s.Worlds[0].Exports, s.Packages, s.Truncated, s.Text)
	}
}

func TestSummaryOfPackage(t *testing.T) {
	s, err := Summarize(parseFile(t, "wasi-random@0.3.0.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	s.Text = s.Text[:strings.IndexByte(s.Text, '\n')]
	got, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	extern := func(name string) string {
		return `{"name":"wasi:random/` + name + `@0.3.0","package":"wasi:random","interface":"` + name +
			`","version":"0.3.0","kind":"interface"}`
	}
	want := `{"package":"wasi:random@0.3.0","version":"0.3.0","worlds":[{"name":"imports","imports":[` + extern("random") + "," +
		extern("insecure") + "," + extern("insecure-seed") + `],"exports":[]}],"interfaces":["wasi:random/insecure-seed@0.3.0",` +
		`"wasi:random/insecure@0.3.0","wasi:random/random@0.3.0"],"packages":[],"text":"package wasi:random@0.3.0;","problems":[]}`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("Summarize as JSON (-want +got):\n%s", diff)
	}
}

// A text that is too long ends with a whole line.
func TestSummaryOfMuch(t *testing.T) {
	i := &Interface{Name: "i"}
	for range 40_000 {
		i.Funcs = append(i.Funcs, &Func{Name: "some-function", Meta: Meta{Docs: "A comment."}})
	}
	d := &Document{Package: &Package{Name: PackageName{"t", "t", ""}, Interfaces: []*Interface{i}}}
	s := d.Summary()
	if !s.Truncated || len(s.Text) > MaxSummaryText || len(s.Text) < MaxSummaryText-100 || !strings.HasSuffix(s.Text, "\n") {
		t.Errorf("Summary has a text of %d bytes that ends in %q, truncated %v", len(s.Text), s.Text[len(s.Text)-20:], s.Truncated)
	}
}
