package wit

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSyntaxErrors(t *testing.T) {
	const name = " is no name: words of letters and digits, all lower or all upper case, joined by single dashes"
	tests := []struct {
		name string
		in   string
		want string
	}{
		{"a sign that means nothing", "package a:b; #", `1:14: syntax error: unexpected '#'`},
		{"a keyword as a name", "interface use {}", `1:11: syntax error: a name expected, not "use"`},
		{"two cases in one word", "interface aB {}", `1:11: syntax error: "aB"` + name},
		{"a dash at the end", "interface a- {}", `1:11: syntax error: "a-"` + name},
		{"a block without end", "interface a {\n  f: func();", `2:13: syntax error: "}" expected, not "the end"`},
		{"a comment without end", "interface a /* {}", `1:13: syntax error: comment without end`},
		{"a version of two numbers", "package a:b@1.2;", `1:16: syntax error: a version is three numbers joined by dots`},
		{"a version with a zero before it", "package a:b@1.02.3;", `1:13: syntax error: "1.02.3" is no version`},
		{"a gate nobody knows", "@when(x) interface a {}", `1:7: syntax error: unknown gate "when"`},
		{"a result of only a gap", "interface a { type t = result<_>; }", `1:31: syntax error: 1 types for result`},
		{"a list of two types", "interface a { type t = list<u8, u8>; }", `1:29: syntax error: 2 types for list`},
		{"a map of one type", "interface a { type t = map<u8>; }", `1:28: syntax error: 1 types for map`},
		{"a list too long", "interface a { type t = list<u8, 4294967296>; }", `1:33: syntax error: 4294967296 is no length of a list`},
		{"a field without type", "interface a { record r { x } }", `1:28: syntax error: ":" expected, not "}"`},
		{
			"an interface inside an interface", "interface a { interface b {} }",
			`1:15: syntax error: a type, a function or "use" expected, not "interface"`,
		},
		{"a function outside", "f: func();", `1:1: syntax error: "interface", "world", "use" or "package" expected, not "f"`},
		{
			"a package inside a package", "package a:b { package c:d {} }",
			`1:15: syntax error: "interface", "world", "use" or "package" expected, not "package"`,
		},
		{"text that runs backwards", "interface a {} // \u202e", `1:19: syntax error: character U+202E is not allowed`},
		{"malformed UTF-8", "interface a {} // \xff", `1:19: syntax error: malformed UTF-8`},
		{"a string without end", "@external-id(\"a", `1:14: syntax error: string without end`},
		{"an escape nobody knows", `@external-id("\q") interface a {}`, `1:15: syntax error: unknown escape \q`},
		{"a surrogate", `@external-id("\u{d800}") interface a {}`, `1:15: syntax error: no character after \u`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse(tt.in)
			var at *SyntaxError
			if !errors.As(err, &at) || !errors.Is(err, ErrSyntax) || err.Error() != tt.want {
				t.Errorf("Parse(%q) = %v, want %s", tt.in, err, tt.want)
			}
		})
	}
}

func TestParseIsBounded(t *testing.T) {
	deep := "interface a { type t = " + strings.Repeat("list<", 101) + "u8" + strings.Repeat(">", 101) + "; }"
	if _, err := Parse(deep); !errors.Is(err, ErrLimit) {
		t.Errorf("Parse of types 101 deep = %v, want ErrLimit", err)
	}
	if _, err := Parse(strings.Repeat(" ", MaxText+1)); !errors.Is(err, ErrLimit) {
		t.Errorf("Parse of too much = %v, want ErrLimit", err)
	}
}

// What is written in other ways than Print does means the same.
func TestParseOfOtherForms(t *testing.T) {
	tests := []struct {
		name string
		in   string
		want string
	}{
		{"one line", "package a:b;interface i{f:func(a:u8,)->u8;}", "package a:b;\n\ninterface i {\n  f: func(a: u8) -> u8;\n}\n\n"},
		{"line ends of two characters", "package a:b;\r\n/// x\r\ninterface i {\r\n}\r\n", "package a:b;\n\n/// x\ninterface i {\n}\n\n"},
		{"a mark of byte order", "\ufeffpackage a:b;", "package a:b;\n\n"},
		{"comments that are no documentation", "// a\n/* b */\ninterface i { /* /* c */ */ }", "interface i {\n}\n\n"},
		{"a block of documentation", "/**\n   one\n     two\n */\ninterface i {}", "/// one\n///      two\ninterface i {\n}\n\n"},
		{"without a package", "interface i {}", "interface i {\n}\n\n"},
		{"only nested packages", "package a:b { interface i {} }", "package a:b {\n  interface i {\n  }\n}\n"},
		{"a use of a pre-release", "interface i { use a:b/c@1.0.0-rc.1.{d as e}; }", "interface i {\n  use a:b/c@1.0.0-rc.1.{d as e};\n}\n\n"},
		{
			"functions before interfaces", "world w { import f: func(); import i; export j: a:b/c; import d:e/f@1.2.3; }",
			"world w {\n  import i;\n  import d:e/f@1.2.3;\n  import f: func();\n\n  export j: a:b/c;\n}\n",
		},
		{"escapes of names", "interface %use { %type: func(%list: %float32); }", "interface %use {\n  %type: func(%list: %float32);\n}\n\n"},
		{
			"escapes in strings", `@external-id("\u{1F600}\68i \\\"") interface i {}`,
			`@external-id("\u{1f600}hi \\\"")` + "\ninterface i {\n}\n\n",
		},
		{
			"a use outside", "package a:b; use c:d/e@1.2.3 as f; world w { import f; }",
			"package a:b;\n\nuse c:d/e@1.2.3 as f;\n\nworld w {\n  import f;\n}\n",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d, err := Parse(tt.in)
			if err != nil {
				t.Fatalf("Parse(%q): %v", tt.in, err)
			}
			got, err := Print(d)
			if diff := cmp.Diff(tt.want, got); err != nil || diff != "" {
				t.Errorf("Print(Parse(%q)), %v (-want +got):\n%s", tt.in, err, diff)
			}
		})
	}
}

// What Parse accepts, Print writes so that it is read as the same.
func FuzzParse(f *testing.F) {
	for _, text := range seeds(f, "parse", 16) {
		f.Add(string(text))
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := Parse(text)
		if err != nil {
			var at *SyntaxError
			if !errors.As(err, &at) || at.Offset < 0 || at.Offset > len(text) || at.Line < 1 || at.Column < 1 {
				t.Fatalf("Parse(%q) = %v, which tells no place in the text", text, err)
			}
			return
		}
		printed, err := Print(d)
		if err != nil {
			t.Fatalf("Print: %v", err)
		}
		back, err := Parse(printed)
		if err != nil {
			t.Fatalf("Parse of %q, printed of %q: %v", printed, text, err)
		}
		if !reflect.DeepEqual(d, back) {
			t.Fatalf("%q printed as %q (-parsed +parsed again):\n%s", text, printed, cmp.Diff(d, back))
		}
		c, err := Compare(d, back)
		if err != nil && !errors.Is(err, ErrLimit) && !errors.Is(err, ErrNotWIT) || err == nil && len(c.Changes) > 0 {
			t.Fatalf("Compare of %q with itself = %v, %v", text, c, err)
		}
	})
}

// seeds reads the n seeds of a fuzz target.
func seeds(f *testing.F, dir string, n int) [][]byte {
	f.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "fuzz", dir, "*"))
	if err != nil || len(files) != n {
		f.Fatalf("%d seeds in %s, %v; want %d", len(files), dir, err, n)
	}
	var all [][]byte
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		all = append(all, b)
	}
	return all
}
