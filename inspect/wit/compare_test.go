package wit

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

// Each file of testdata/compare has an old and a new text and what Compare says
// of them; its first line says what it is about.
func TestCompare(t *testing.T) {
	files, err := filepath.Glob("testdata/compare/*.txt")
	if err != nil || len(files) != 14 {
		t.Fatalf("%d files, %v; want 14", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			ar, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			text := map[string]string{}
			for _, f := range ar.Files {
				text[f.Name] = string(f.Data)
			}
			got := table(compareTexts(t, text["old.wit"], text["new.wit"]))
			if os.Getenv("UPDATE") != "" {
				ar.Files = append(ar.Files[:2], txtar.File{Name: "want", Data: []byte(got)})
				if err := os.WriteFile(file, txtar.Format(ar), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(text["want"], got); diff != "" {
				t.Errorf("Compare (-want +got):\n%s", diff)
			}
		})
	}
}

func compareTexts(t *testing.T, older, newer string) *Comparison {
	t.Helper()
	a, err := Parse(older)
	if err != nil {
		t.Fatal(err)
	}
	b, err := Parse(newer)
	if err != nil {
		t.Fatal(err)
	}
	c, err := Compare(a, b)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// table writes a comparison in lines.
func table(c *Comparison) string {
	var b strings.Builder
	for _, ch := range c.Changes {
		breaks := "breaks nobody"
		if len(ch.Breaks) > 0 {
			breaks = fmt.Sprint("breaks ", ch.Breaks)
		}
		if ch.Unstable {
			breaks += " (unstable)"
		}
		fmt.Fprintf(&b, "%s %s: %s %s; %s\n", ch.Bump, ch.Kind, ch.Path, ch.Text, breaks)
	}
	fmt.Fprintf(&b, "= %s, compatible %v, required %q, enough %v\n", c.Bump, c.Compatible, c.Required, c.Enough)
	return b.String()
}

func TestCompareWithItself(t *testing.T) {
	for _, file := range binaries(t) {
		d := decodeFile(t, file)
		c, err := Compare(d, d)
		if err != nil || len(c.Changes) != 0 || c.Bump != BumpNone || !c.Compatible {
			t.Errorf("Compare(%s, %[1]s) = %v, %v; want no changes", file, c, err)
		}
	}
}

// Types that are made of two others each, many deep, are as many types as there
// are atoms if they are taken apart one by one.
func TestCompareOfTypesThatDouble(t *testing.T) {
	double := func(leaf string) string {
		var b strings.Builder
		fmt.Fprintf(&b, "package t:t; interface i { type t0 = %s;\n", leaf)
		for i := range 64 {
			fmt.Fprintf(&b, "type t%d = tuple<t%d, t%d>;\n", i+1, i, i)
		}
		b.WriteString("f: func(a: t64); }")
		return b.String()
	}
	c := compareTexts(t, double("u8"), double("u16"))
	if len(c.Changes) != 1 || c.Changes[0].Path != "t:t/i.t0" {
		t.Errorf("Compare = %v, want one change of t0", table(c))
	}
	a, err := Parse(strings.Replace(double("u8"), "t:t;", "t:t@1.0.0;", 1))
	if err != nil {
		t.Fatal(err)
	}
	use := func(version string) *Document {
		return &Document{
			Package: &Package{Name: PackageName{"x", "y", ""}, Interfaces: []*Interface{{
				Name: "j", Uses: []Use{{Path: Path{PackageName{"t", "t", version}, "i"}, Names: []UseName{{Name: "t64"}}}},
				Funcs: []*Func{{Name: "f", Params: []Param{{"a", &Type{Kind: KindName, Name: "t64"}}}}},
			}}},
			Nested: []*Package{{Name: PackageName{"t", "t", version}, Interfaces: a.Package.Interfaces}},
		}
	}
	if c, err := Compare(use("1.0.0"), use("1.0.0")); err != nil || len(c.Changes) > 0 {
		t.Errorf("Compare = %v, %v; want nothing", c, err)
	}
}

func TestCompareOfNamesThatAreThereTwice(t *testing.T) {
	for _, text := range []string{
		"interface i {} interface i {}",
		"interface i {} world i {}",
		"interface i { f: func(); f: func(); }",
		"interface i { type t = u8; t: func(); }",
		"interface i { use j.{t}; type t = u8; }",
		"interface i { record r { a: u8, a: u8 } }",
		"interface i { resource r { f: func(); f: static func(); } }",
		"world w { import f: func(); type f = u8; }",
		"world w { export i; export i; }",
		"world w { import j: interface { f: func(); f: func(); } }",
		"package a:b { } package a:b { }",
	} {
		d, err := Parse(text)
		if err != nil {
			t.Fatalf("Parse(%q): %v", text, err)
		}
		if c, err := Compare(d, d); !errors.Is(err, ErrNotWIT) {
			t.Errorf("Compare of %q = %v, %v; want ErrNotWIT", text, c, err)
		}
	}
}

func TestNextVersion(t *testing.T) {
	tests := []struct {
		was  string
		bump Bump
		want string
	}{
		{"1.2.3", BumpNone, "1.2.3"},
		{"1.2.3", BumpPatch, "1.2.4"},
		{"1.2.3", BumpMinor, "1.3.0"},
		{"1.2.3+b", BumpMajor, "2.0.0"},
		{"0.2.3", BumpPatch, "0.2.4"},
		{"0.2.3", BumpMinor, "0.2.4"},
		{"0.2.3", BumpMajor, "0.3.0"},
		{"0.0.3", BumpPatch, "0.0.4"},
		{"0.0.3", BumpMajor, "0.0.4"},
		{"1.0.0-rc.1", BumpMajor, "1.0.0-rc.1"},
	}
	for _, tt := range tests {
		if got := next(tt.was, tt.bump); got != tt.want {
			t.Errorf("next(%s, %s) = %s, want %s", tt.was, tt.bump, got, tt.want)
		}
	}
}

func TestVersionsInOrder(t *testing.T) {
	ordered := strings.Fields(`0.1.0 0.2.0 0.10.0 1.0.0-alpha 1.0.0-alpha.1 1.0.0-alpha.beta 1.0.0-beta 1.0.0-beta.2
		1.0.0-beta.11 1.0.0-rc.1 1.0.0 1.0.1 2.0.0`)
	for i, a := range ordered {
		for j, b := range ordered {
			got := compareVersions(a, b)
			if (got < 0) != (i < j) || (got > 0) != (i > j) {
				t.Errorf("compareVersions(%s, %s) = %d", a, b, got)
			}
		}
	}
}

func TestComparisonAsJSON(t *testing.T) {
	c := compareTexts(t, "package t:t@1.0.0; interface i { f: func(); }", "package t:t@1.0.0; interface i {}")
	got, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"changes":[{"kind":"function-removed","path":"t:t/i.f","text":"is no longer there","old":"func()",` +
		`"breaks":["consumer"],"bump":"major"}],"bump":"major","compatible":false,"required":"2.0.0"}`
	if string(got) != want {
		t.Errorf("Marshal = %s\nwant %s", got, want)
	}
	same := compareTexts(t, "package t:t;", "package t:t;")
	if got, err := json.Marshal(same); err != nil || string(got) != `{"changes":[],"bump":"none","compatible":true}` {
		t.Errorf("Marshal of no changes = %s, %v", got, err)
	}
}
