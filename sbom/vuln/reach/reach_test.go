package reach

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/wreg-project/wreg/inspect/wasm"
	"github.com/wreg-project/wreg/sbom/evidence"
)

var program = map[string]string{
	"go.mod": "module example.com/p\n\ngo 1.24\n",
	"main.go": `package main

import (
	"fmt"

	"example.com/p/inner.v2"
	"example.com/p/lib"
)

//go:noinline
func step() { lib.Called() }

func main() {
	step()
	inner.Use()
	var s fmt.Stringer = lib.New()
	fmt.Println(s)
}
`,
	"lib/lib.go": `package lib

type T struct{ n int }

func New() *T { return &T{1} }

func (t *T) String() string { return text(t.n) }

//go:noinline
func text(n int) string { return "text"[:n] }

//go:noinline
func Called() { println("called") }

//go:noinline
func Never() { println("never") }
`,
	"inner.v2/inner.go": `package inner

import "os"

func Use() { println(Small(len(os.Args)), 1) }

func Small(n int) int { return n<<5 ^ n>>7 }
`,
	"unused/unused.go": "package unused\n\nfunc F() {}\n",
}

// build gives the program, stripped.
func build(t testing.TB) *wasm.Binary {
	t.Helper()
	dir := t.TempDir()
	for name, text := range program {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	out := filepath.Join(dir, "p.wasm")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", out, ".")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "GOFLAGS=", "GOWORK=off")
	if msg, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, msg)
	}
	return open(t, out)
}

func open(t testing.TB, path string) *wasm.Binary {
	t.Helper()
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b, err := wasm.Parse(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestQueryOfStrippedGo(t *testing.T) {
	const lib = "example.com/p/lib"
	ask := func(pkg string, symbols ...string) Query {
		return Query{Ecosystem: evidence.Go, Package: pkg, Symbols: symbols}
	}
	tests := []struct {
		name  string
		query Query
		want  Result
	}{
		{
			name: "a function that main calls", query: ask(lib, "Called", "Never"),
			want: Result{
				Level: Reachable, Conclusive: true, Symbols: []string{"Called"}, Functions: []string{lib + ".Called"},
				Path: []string{"main.main", "main.step", lib + ".Called"},
			},
		},
		{
			name: "a method that is called through an interface", query: ask(lib, "T.String"),
			want: Result{
				Level: Reachable, Conclusive: true, Dynamic: true, Symbols: []string{"T.String"}, Functions: []string{lib + ".(*T).String"},
				Path: []string{lib + ".(*T).String"},
			},
		},
		{
			name: "what such a method calls", query: ask(lib, "text"),
			want: Result{
				Level: Reachable, Conclusive: true, Dynamic: true, Symbols: []string{"text"}, Functions: []string{lib + ".text"},
				Path: []string{lib + ".(*T).String", lib + ".text"},
			},
		},
		{
			name: "a function that is nowhere but inlined", query: ask("example.com/p/inner.v2", "Small"),
			want: Result{
				Level: Reachable, Conclusive: true, Symbols: []string{"Small"}, Functions: []string{"main.main"},
				Path: []string{"main.main"},
			},
		},
		{name: "a function that the linker removed", query: ask(lib, "Never"), want: Result{Level: Linked, Conclusive: true}},
		{name: "a package that nothing imports", query: ask("example.com/p/unused", "F"), want: Result{Level: Present, Conclusive: true}},
		{
			name: "the main package by its path", query: ask("example.com/p", "step"),
			want: Result{
				Level: Reachable, Conclusive: true, Symbols: []string{"step"}, Functions: []string{"main.step"},
				Path: []string{"main.main", "main.step"},
			},
		},
		{
			name: "another platform", query: Query{Ecosystem: evidence.Go, Package: lib, OS: []string{"windows"}},
			want: Result{Level: Present, Conclusive: true},
		},
		{name: "a crate", query: Query{Ecosystem: evidence.Cargo, Package: "rustls"}, want: Result{}},
		{name: "an ecosystem without names", query: Query{Ecosystem: evidence.NPM, Package: "lodash"}, want: Result{}},
	}
	a := New(build(t), Options{Main: "example.com/p"})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := a.Query([]Query{tt.query})[0]
			if diff := cmp.Diff(tt.want, got, cmpopts.IgnoreFields(Result{}, "Reason")); diff != "" {
				t.Errorf("Query(%+v) (-want +got):\n%s", tt.query, diff)
			}
			if got.Reason == "" {
				t.Errorf("Query(%+v) gives no reason", tt.query)
			}
		})
	}
	t.Run("a whole package", func(t *testing.T) {
		got := a.Query([]Query{ask(lib)})[0]
		if got.Level != Reachable || got.Dynamic || !slices.Contains(got.Functions, lib+".Called") {
			t.Errorf("Query(%s) = %+v, want its functions", lib, got)
		}
	})
}

func TestQueryWithoutNames(t *testing.T) {
	b, err := wasm.Parse([]byte("\x00asm\x01\x00\x00\x00"))
	if err != nil {
		t.Fatal(err)
	}
	got := New(b, Options{}).Query([]Query{{Ecosystem: evidence.Cargo, Package: "rustls"}})
	want := []Result{{Reason: "the binary has no names of functions"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Query() (-want +got):\n%s", diff)
	}
}

func TestJoin(t *testing.T) {
	tests := []struct {
		name string
		in   []Result
		want Result
	}{
		{
			name: "the highest level", in: []Result{{Level: Present, Conclusive: true}, {Level: Linked, Conclusive: true}},
			want: Result{Level: Linked, Conclusive: true},
		},
		{name: "a part that is not certain", in: []Result{{Level: Linked, Conclusive: true}, {Level: Unknown}}, want: Result{Level: Linked}},
		{
			name: "reachable beside what is not certain", in: []Result{{}, {Level: Reachable, Conclusive: true}},
			want: Result{Level: Reachable, Conclusive: true},
		},
		{
			name: "by calls rather than dynamically",
			in:   []Result{{Level: Reachable, Dynamic: true}, {Level: Reachable}}, want: Result{Level: Reachable, Conclusive: true},
		},
	}
	for _, tt := range tests {
		if diff := cmp.Diff(tt.want, Join(tt.in...)); diff != "" {
			t.Errorf("%s: Join(%+v) (-want +got):\n%s", tt.name, tt.in, diff)
		}
	}
	if got := Join(); got.Level != Unknown || got.Conclusive {
		t.Errorf("Join() = %+v, want unknown", got)
	}
}

func TestGoMatches(t *testing.T) {
	tests := []struct {
		name, symbol string
		want         bool
	}{
		{"Reader.Read", "Reader.Read", true},
		{"Reader.Read.func1", "Reader.Read", true},
		{"Reader.Read.func1.2", "Reader.Read", true},
		{"Reader.Read-fm", "Reader.Read", true},
		{"Reader.Read.gowrap2", "Reader.Read", true},
		{"Reader.ReadAt", "Reader.Read", false},
		{"Reader.Read", "Reader", false},
		{"Read", "Reader.Read", false},
		{"Read", "", false},
	}
	for _, tt := range tests {
		if got := goMatches(tt.name, tt.symbol); got != tt.want {
			t.Errorf("goMatches(%q, %q) = %t, want %t", tt.name, tt.symbol, got, tt.want)
		}
	}
}

func TestRustSymbol(t *testing.T) {
	const advised = "rustls::ConnectionCommon::complete_io"
	tests := []struct {
		path, symbol string
		want         bool
	}{
		{"rustls::conn::ConnectionCommon<Data>::complete_io", advised, true},
		{"<rustls::conn::ConnectionCommon<T> as std::io::Read>::complete_io", advised, true},
		{"rustls::conn::ConnectionCommon<T>::complete_io::{{closure}}", advised, true},
		{"rustls::conn::Other::complete_io", advised, false},
		{"rustls::conn::ConnectionCommon::read_tls", advised, false},
		{"lz4_flex::block::decompress::decompress_into", "lz4_flex::decompress_into", true},
		{"", advised, false},
	}
	for _, tt := range tests {
		if got := rustSymbol(tt.symbol)(tt.path); got != tt.want {
			t.Errorf("rustSymbol(%q)(%q) = %t, want %t", tt.symbol, tt.path, got, tt.want)
		}
	}
}

func TestLevelText(t *testing.T) {
	for l := Unknown; l <= Reachable; l++ {
		text, err := l.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		var back Level
		if err := back.UnmarshalText(text); err != nil || back != l {
			t.Errorf("UnmarshalText(%s) = %v, %v; want %v", text, back, err, l)
		}
	}
	var l Level
	if err := l.UnmarshalText([]byte("near")); err == nil {
		t.Error(`UnmarshalText("near") accepts it`)
	}
}
