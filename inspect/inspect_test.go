package inspect

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/wreg-project/wreg/inspect/capability"
	"github.com/wreg-project/wreg/inspect/wasm"
)

// asJSON gives a report as it is stored, checked against the published schema.
func asJSON(t *testing.T, rep *Report) []byte {
	t.Helper()
	data, err := json.MarshalIndent(rep, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	schema, err := jsonschema.NewCompiler().Compile(filepath.Join("..", "docs", "spec", "report.v1.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if err := schema.Validate(value); err != nil {
		t.Fatalf("the report does not fit its schema: %v\n%s", err, data)
	}
	return append(data, '\n')
}

// golden compares got with a file, or writes the file with UPDATE=1.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if os.Getenv("UPDATE") == "1" {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Fatalf("%s (-want +got):\n%s", path, diff)
	}
}

func TestReportOfAComponent(t *testing.T) {
	data, err := os.ReadFile("testdata/app.component.wasm")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "app.component.json", asJSON(t, inspectBytes(t, data)))
}

func TestReportOfAModule(t *testing.T) {
	custom := func(name, text string) []byte { return section(0, str(name), []byte(text)) }
	in := binary(modulePreamble,
		section(1, []byte{1, 0x60, 1, 0x7f, 0}),
		section(2, []byte{1}, str("wasi_snapshot_preview1"), str("proc_exit"), []byte{0, 0}),
		section(3, []byte{1, 0}),
		section(4, []byte{1, 0x70, 1, 1, 8}),
		section(5, []byte{1, 3, 1, 2}),
		section(7, []byte{2}, str("memory"), []byte{2, 0}, str("_start"), []byte{0, 1}),
		section(8, []byte{1}),
		section(10, []byte{1, 2, 0, 0x0b}),
		custom("version", "1.2.3"), custom("licenses", "MIT"), custom("authors", "A. Author <a@example.com>"),
		custom("source", "\xff"), custom("mine", "whatever"),
	)
	golden(t, "module.json", asJSON(t, inspectBytes(t, in)))
}

// goHello is a module of the real Go compiler, made on the spot.
func goHello(t *testing.T) []byte {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod": "module example.com/hello\n\ngo 1.24\n", "main.go": "package main\n\nfunc main() { println(\"hello\") }\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c := exec.CommandContext(t.Context(), "go", "build", "-o", "hello.wasm", ".")
	c.Dir = dir
	c.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	data, err := os.ReadFile(filepath.Join(dir, "hello.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestReportOfGo(t *testing.T) {
	data := goHello(t)
	rep := inspectBytes(t, data)
	asJSON(t, rep)
	if rep.Kind != KindModule || rep.WASI != WASIP1 || rep.Size != int64(len(data)) {
		t.Errorf("kind %q, WASI %q, %d bytes; want %q, %q, %d", rep.Kind, rep.WASI, rep.Size, KindModule, WASIP1, len(data))
	}
	if p := (Producer{"language", "Go", runtime.Version()}); !slices.Contains(rep.Producers, p) {
		t.Errorf("producers are %v, without %v", rep.Producers, p)
	}
	if e := (Export{"_start", "func", "(func)"}); !slices.Contains(rep.Exports, e) {
		t.Errorf("exports are %v, without %v", rep.Exports, e)
	}
	if len(rep.Module.Memories) != 1 || rep.Module.CodeSize == 0 || rep.Module.DataSize == 0 || rep.Module.Functions < 100 {
		t.Errorf("module is %+v; want a memory, code, data and its functions", rep.Module)
	}
}

func full(t *testing.T, file []byte, o Options) *Report {
	t.Helper()
	rep, err := Inspect(file, o)
	if err != nil {
		t.Fatal(err)
	}
	return rep
}

func TestFullReportOfAComponent(t *testing.T) {
	file, err := os.ReadFile("testdata/app.component.wasm")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "app.component.full.json", asJSON(t, full(t, file, Options{Functions: true})))
}

// What a Go program that only prints may do, asks for and is made of.
func TestFullReportOfGo(t *testing.T) {
	rep := full(t, goHello(t), Options{})
	asJSON(t, rep)
	if len(rep.Origin.Languages) == 0 || rep.Origin.Languages[0].Name != "Go" {
		t.Errorf("languages are %+v, want Go first", rep.Origin.Languages)
	}
	if _, ok := rep.Capabilities.Find(capability.Stdio); !ok {
		t.Errorf("capabilities are %+v, without %s", rep.Capabilities.Capabilities, capability.Stdio)
	}
	if c, ok := rep.Capabilities.Find(capability.FilesWrite); ok {
		t.Errorf("it may write files: %+v", c)
	}
	c := rep.Module.Code
	if int(c.Totals.Functions) != rep.Module.Functions || len(c.Sizes.Packages) == 0 || c.Sizes.Packages[0].Name != "runtime" {
		t.Errorf("code is of %d functions, packages %+v; want %d, and runtime as the largest",
			c.Totals.Functions, c.Sizes.Packages, rep.Module.Functions)
	}
	if !slices.Contains(rep.Requires, "sign-extension") {
		t.Errorf("it requires %v, without sign-extension", rep.Requires)
	}
	if rep.Strings.Total < 100 || len(rep.Strings.Strings) != defaultStrings {
		t.Errorf("%d strings, %d of them listed; want at least 100, and %d", rep.Strings.Total, len(rep.Strings.Strings), defaultStrings)
	}
}

// However the work is spread, the report is the same to the byte, and WriteJSON
// writes what json.Marshal does.
func TestReportDoesNotDependOnWorkers(t *testing.T) {
	file := goHello(t)
	var first []byte
	for _, workers := range []int{1, 2, 7} {
		rep := full(t, file, Options{Functions: true, Workers: workers})
		var b bytes.Buffer
		if err := rep.WriteJSON(&b); err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = b.Bytes()
			var back, same Report
			if err := json.Unmarshal(first, &back); err != nil {
				t.Fatal(err)
			}
			data, err := json.Marshal(rep)
			if err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(data, &same); err != nil || !cmp.Equal(back, same) {
				t.Fatalf("json.Marshal gives another report than WriteJSON: %v\n%s", err, cmp.Diff(back, same))
			}
		}
		if !bytes.Equal(b.Bytes(), first) {
			t.Errorf("with %d workers the report differs", workers)
		}
	}
}

// The body of the lowest index is blamed, whichever worker comes to one first.
func TestInspectBlamesTheFirstInvalidBody(t *testing.T) {
	const n = 1000
	types := bytes.Repeat([]byte{0}, n)
	bodies := bytes.Repeat([]byte{2, 0, 0x0b}, n) // of no locals and no instructions
	for i := 300; i < n; i += 3 {
		copy(bodies[3*i:], []byte{2, 0, 0x1a}) // drop, and no end
	}
	count := []byte{n&0x7f | 0x80, n >> 7}
	in := binary(modulePreamble, section(1, []byte{1, 0x60, 0, 0}), section(3, count, types), section(10, count, bodies))
	for range 20 {
		_, err := Inspect(in, Options{Workers: 8})
		if err == nil || !strings.Contains(err.Error(), "function 300 ") {
			t.Fatalf("Inspect = %v, want function 300 blamed", err)
		}
	}
}

func TestInspectRefuses(t *testing.T) {
	tests := []struct {
		name string
		in   string
		err  error
		text string
	}{
		{
			name: "precompiled code",
			in:   "\x7fELF\x02\x01\x01\x00", err: wasm.ErrPrecompiled, text: "header at byte 0 (0x0): precompiled code (ELF), not WebAssembly",
		},
		{name: "an empty file", in: "", err: wasm.ErrTruncated, text: "unexpected end"},
		{name: "a text file", in: "hello", err: wasm.ErrMagic, text: "not a WebAssembly binary"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rep, err := Describe(strings.NewReader(tt.in), int64(len(tt.in)))
			if rep != nil || !errors.Is(err, tt.err) || !strings.Contains(err.Error(), tt.text) {
				t.Fatalf("Describe(%q) = %v, %v; want %v with %q", tt.in, rep, err, tt.err, tt.text)
			}
			rep, err = Inspect([]byte(tt.in), Options{})
			if rep != nil || !errors.Is(err, tt.err) || !strings.Contains(err.Error(), tt.text) {
				t.Fatalf("Inspect(%q) = %v, %v; want %v with %q", tt.in, rep, err, tt.err, tt.text)
			}
		})
	}
}

// null is a null value and not the same text inside a string.
var null = regexp.MustCompile(`[^\\]":null`)

// Any bytes give an error with a place in them, or reports that hold their
// promises: no null lists, a JSON form that can be read back, the same report
// again. What Inspect takes, Describe takes too.
func FuzzInspect(f *testing.F) {
	list, err := os.ReadDir("testdata/fuzz/FuzzInspect")
	if err != nil || len(list) < 10 {
		f.Fatalf("%d seeds, %v; want at least 10", len(list), err)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		described, derr := Describe(bytes.NewReader(in), int64(len(in)))
		checkReport(t, in, described, derr)
		rep, err := Inspect(in, Options{Functions: true, Workers: 2})
		checkReport(t, in, rep, err)
		if err == nil && derr != nil {
			t.Fatalf("Inspect takes what Describe refuses: %v", derr)
		}
		if again, err := Inspect(in, Options{Functions: true, Workers: 1}); err == nil && !cmp.Equal(rep, again) {
			t.Fatalf("a second report differs:\n%s", cmp.Diff(rep, again))
		}
	})
}

func checkReport(t *testing.T, in []byte, rep *Report, err error) {
	t.Helper()
	if err != nil {
		var at *wasm.Error
		if !errors.As(err, &at) || at.Offset < 0 || at.Offset > int64(len(in)) {
			t.Fatalf("the error is %v, which has no place in %d bytes", err, len(in))
		}
		return
	}
	var b bytes.Buffer
	if err := rep.WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	if null.Match(b.Bytes()) {
		t.Fatalf("the report has a null: %s", b.Bytes())
	}
	var back Report
	if err := json.Unmarshal(b.Bytes(), &back); err != nil {
		t.Fatal(err)
	}
}
