package origin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wreg-project/wreg/inspect/wasm"
)

func TestProducers(t *testing.T) {
	tests := []struct {
		name       string
		producers  []string
		languages  []string
		toolchains []string
	}{
		{
			"rustc with its commit",
			[]string{"producer language|Rust|", "producer processed-by|rustc|1.98.1 (48a229cea 2026-09-01)"},
			[]string{"Rust"},
			[]string{"rustc 1.98.1 (48a229cea)"},
		},
		{
			"a nightly rustc",
			[]string{"producer processed-by|rustc|1.73.0-nightly (1065d876c 2023-07-09)"},
			[]string{"Rust"},
			[]string{"rustc 1.73.0-nightly (1065d876c)"},
		},
		{
			"clang of the WASI SDK",
			[]string{"producer language|C11|", "producer processed-by|clang|18.1.2-wasi-sdk (https://github.com/llvm/llvm-project)"},
			[]string{"C"},
			[]string{"clang 18.1.2-wasi-sdk", "wasi-sdk"},
		},
		{
			"clang of a distribution",
			[]string{"producer processed-by|Ubuntu clang|18.1.3 (1ubuntu1)"},
			nil,
			[]string{"clang 18.1.3"},
		},
		{
			"C++ with the year of its standard",
			[]string{"producer language|C_plus_plus_14|"},
			[]string{"C++"},
			nil,
		},
		{
			"TinyGo, whose C library is C",
			[]string{"producer language|C99|", "producer processed-by|TinyGo|0.40.1"},
			[]string{"Go", "C"},
			[]string{"TinyGo 0.40.1"},
		},
		{
			"Go",
			[]string{"producer language|Go|go1.26.5", "producer processed-by|Go cmd/compile|go1.26.5"},
			[]string{"Go"},
			[]string{"Go cmd/compile go1.26.5"},
		},
		{
			"one tool in two versions",
			[]string{"producer processed-by|wit-component|0.244.0", "producer processed-by|wit-component|0.245.1"},
			nil,
			[]string{"wit-component 0.244.0", "wit-component 0.245.1"},
		},
		{
			"a tool nobody knows",
			[]string{"producer processed-by|acme-wasm|7"},
			nil,
			[]string{"acme-wasm 7"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := detect(t, tt.producers...)
			if d := cmp.Diff(tt.languages, titles(o.Languages)); d != "" {
				t.Errorf("languages of %q (-want +got):\n%s", tt.producers, d)
			}
			if d := cmp.Diff(tt.toolchains, titles(o.Toolchains)); d != "" {
				t.Errorf("toolchains of %q (-want +got):\n%s", tt.producers, d)
			}
		})
	}
}

func titles(list []Finding) (out []string) {
	for _, f := range list {
		out = append(out, strings.TrimSpace(f.Name+" "+f.Version))
	}
	return out
}

func TestVersionsFromData(t *testing.T) {
	tests := []struct{ name, data, want string }{
		{"a release of rustc", "/rustc/ded5c06cf21d2b93bffd5d884aa6e96934ee4234/library", "rustc 1.92.0 (ded5c06cf)"},
		{"a commit that is no release", "/rustc/00000000021d2b93bffd5d884aa6e96934ee4234/library", "rustc (000000000)"},
		{"what is no commit", "/rustc/library/core/src/fmt/mod.rs which is long enough for a commit", "rustc"},
		{"a commit cut short", "/rustc/ded5c06cf21d2b93bffd5d88", "rustc"},
		{"debugging information of rustc", "rustc version 1.92.0 (ded5c06cf 2025-12-08)", "rustc 1.92.0 (ded5c06cf)"},
		{"debugging information of clang", "clang version 21.0.0git (https:/github.com/llvm/llvm-project 553da96)", "clang 21.0.0git"},
		{"CRuby", "\x00ruby 3.4.1 (2024-12-25 revision 48d4efcb85) [wasm32-wasi]", "CRuby 3.4.1"},
		{"PHP", "X-Powered-By: PHP/8.4.25\r\n", "PHP 8.4.25"},
		{"Perl", "This is perl 5, version 42, subversion 0 (%-p) built", "Perl 5.42.0"},
		{"Lua", "$LuaVersion: Lua 5.4.6  Copyright", "Lua 5.4.6"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := detect(t, "data "+tt.data)
			if got := titles(o.Toolchains); !slices.Contains(got, tt.want) {
				t.Fatalf("toolchains of data %q = %q, want %q among them", tt.data, got, tt.want)
			}
		})
	}
}

func TestConflicts(t *testing.T) {
	rust := "producer language|Rust|"
	rustc := "producer processed-by|rustc|1.98.1 (48a229cea 2026-09-01)"
	goRuntime := []string{"export run", "export resume", "export getsp"}
	tests := []struct {
		name   string
		things []string
		want   []string
	}{
		{"nothing said", goRuntime, nil},
		{"Go says Go", append([]string{"producer language|Go|go1.26.5"}, goRuntime...), nil},
		{"Go says Rust", append([]string{rust}, goRuntime...), []string{"language: Rust, but Go"}},
		{
			"AssemblyScript says C",
			[]string{"producer language|C99|", "export __pin", "export __unpin"},
			[]string{"language: C, but AssemblyScript"},
		},
		{"Rust with C in it says C", []string{"producer language|C99|", "data /rustc/ded5c06cf21d2b93bffd5d884aa6e96934ee4234/library"}, nil},
		{"the release that is there", []string{rustc, "data /rustc/48a229ceaefd4985c50990b14116b6d856af0985/library"}, nil},
		{
			"another release",
			[]string{rustc, "data /rustc/ded5c06cf21d2b93bffd5d884aa6e96934ee4234/library"},
			[]string{"version: rustc 1.98.1 (48a229cea), but rustc 1.92.0 (ded5c06cf)"},
		},
		{
			"another release beside it",
			[]string{rustc, "data /rustc/48a229ceaefd4985c50990b14116b6d856af0985/a", "data /rustc/ded5c06cf21d2b93bffd5d884aa6e96934ee4234/a"},
			nil,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, c := range detect(t, tt.things...).Conflicts {
				got = append(got, fmt.Sprintf("%s: %s, but %s", c.Kind, c.Claimed, c.Found))
				if len(c.Evidence) == 0 || c.Offset <= 0 {
					t.Errorf("conflict %+v has no evidence or place", c)
				}
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Fatalf("conflicts of %q (-want +got):\n%s", tt.things, d)
			}
		})
	}
}

// What evidence says lies where it says.
func TestEvidenceIsWhereItSays(t *testing.T) {
	bin := build(t, "import env emscripten_resize_heap", "export __wasm_call_ctors", "section dylink.0",
		"symbol _RNvNtCs4fqI2P2rA04_4core3fmt5write", "data some /rustc/ded5c06cf21d2b93bffd5d884aa6e96934ee4234/library")
	want := map[string]string{
		"emscripten-imports": "\x03env\x16emscripten_resize_heap",
		"wasm-ld":            "\x11__wasm_call_ctors",
		"dynamic-linking":    "\x00\x09\x08dylink.0",
		"rust-symbols":       "\x23_RNv",
		"rust-library-path":  "/rustc/ded5c06cf",
	}
	got := map[string]string{}
	o := detectBytes(t, bin)
	for _, f := range slices.Concat(o.Languages, o.Toolchains, o.Hosts) {
		for _, e := range f.Evidence {
			if w := want[e.Rule]; w != "" {
				got[e.Rule] = string(bin[e.Offset:][:len(w)])
			}
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Fatalf("bytes at the offsets of evidence (-want +got):\n%s", d)
	}
}

func TestNothingIsNoList(t *testing.T) {
	got, err := json.Marshal(detect(t, "import x y"))
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"languages":[],"toolchains":[],"hosts":[],"conflicts":[]}`; string(got) != want {
		t.Fatalf("JSON of what tells nothing = %s, want %s", got, want)
	}
}

// A component's hosts are those of the component: the adapter inside it imports
// what the component provides.
func TestHostsOfModulesInComponentsDoNotCount(t *testing.T) {
	o := detect(t, "shape nested", "import wasi_snapshot_preview1 fd_write", "data /rustc/ded5c06cf21d2b93bffd5d884aa6e96934ee4234/library")
	if d := cmp.Diff([]string{"component model", "none"}, titles(o.Hosts)); d != "" {
		t.Errorf("hosts (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]string{"Rust"}, titles(o.Languages)); d != "" {
		t.Errorf("languages (-want +got):\n%s", d)
	}
}

func TestReportIsBounded(t *testing.T) {
	var things []string
	for i := range 500 {
		things = append(things, fmt.Sprintf("producer processed-by|tool%d|%d", i, i))
	}
	long := strings.Repeat("é", maxWhat)
	things = append(things, "import env emscripten_"+long, "producer language|"+long+"|")
	o := detect(t, things...)
	if n := len(o.Toolchains) + len(o.Languages) + len(o.Hosts); n > maxFindings {
		t.Errorf("%d findings, want at most %d", n, maxFindings)
	}
	for _, f := range slices.Concat(o.Languages, o.Toolchains, o.Hosts) {
		if len(f.Name) > maxWhat {
			t.Errorf("a name of %d bytes, want at most %d", len(f.Name), maxWhat)
		}
		for _, e := range f.Evidence {
			if len(e.What) > maxWhat {
				t.Errorf("evidence of %d bytes, want at most %d", len(e.What), maxWhat)
			}
		}
	}
}

// Every module of a component is held against all rules, which must not take
// longer than its bytes are worth.
func BenchmarkManyModules(b *testing.B) {
	empty := section(1, []byte(header))
	bin := append([]byte(componentHeader), bytes.Repeat(empty, 200)...)
	m, err := wasm.Parse(bin)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(bin)))
	for b.Loop() {
		Detect(m)
	}
}

func TestGlob(t *testing.T) {
	tests := []struct {
		pattern, in string
		want        bool
	}{
		{"a", "a", true},
		{"a", "ab", false},
		{"a*", "a", true},
		{"a*", "abc", true},
		{"a*", "ba", false},
		{"*a", "ba", true},
		{"*a", "ab", false},
		{"a*c", "abc", true},
		{"a*c", "ab", false},
		{"a*b*c", "axbyc", true},
		{"a*b*c", "acb", false},
		{"*", "", true},
		{"a*a", "a", false},
		{"wasi:*@0.2.*", "wasi:cli/run@0.2.0", true},
		{"wasi:*@0.2.*", "wasi:cli/run@0.3.0", false},
	}
	for _, tt := range tests {
		if got := glob(tt.pattern, tt.in); got != tt.want {
			t.Errorf("glob(%q, %q) = %v, want %v", tt.pattern, tt.in, got, tt.want)
		}
	}
}

// Whatever parses is described the same way twice, with offsets in the file and
// confidences that are chances.
func FuzzDetect(f *testing.F) {
	n := 0
	for _, ex := range examples {
		f.Add(build(&testing.T{}, ex.with...))
		n++
	}
	if n < 100 {
		f.Fatalf("%d seeds, want at least 100", n)
	}
	f.Fuzz(func(t *testing.T, bin []byte) {
		b, err := wasm.Parse(bin)
		if err != nil {
			return
		}
		o := Detect(b)
		first, err := json.Marshal(o)
		if err != nil {
			t.Fatalf("json.Marshal: %v", err)
		}
		second, err := json.Marshal(Detect(b))
		if err != nil || !bytes.Equal(first, second) {
			t.Fatalf("Detect twice gave\n%s\n%s, %v", first, second, err)
		}
		for _, found := range slices.Concat(o.Languages, o.Toolchains, o.Hosts) {
			if found.Confidence <= 0 || found.Confidence > 0.99 || len(found.Evidence) == 0 || len(found.Evidence) > MaxEvidence {
				t.Fatalf("finding %+v", found)
			}
			for _, e := range found.Evidence {
				if e.Offset < -1 || e.Offset > int64(len(bin)) {
					t.Fatalf("evidence %+v in a file of %d bytes", e, len(bin))
				}
			}
		}
	})
}
