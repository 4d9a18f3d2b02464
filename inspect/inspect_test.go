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

// A module of the real Go compiler, made on the spot.
func TestReportOfGo(t *testing.T) {
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
		})
	}
}

// null is a null value and not the same text inside a string.
var null = regexp.MustCompile(`[^\\]":null`)

// A report of any bytes fits its schema's promises: no null lists, the same
// report again, and a JSON form in proportion to the input.
func FuzzInspect(f *testing.F) {
	list, err := os.ReadDir("testdata/fuzz/FuzzInspect")
	if err != nil || len(list) < 10 {
		f.Fatalf("%d seeds, %v; want at least 10", len(list), err)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		rep, err := Describe(bytes.NewReader(in), int64(len(in)))
		if err != nil {
			var at *wasm.Error
			if !errors.As(err, &at) || at.Offset > int64(len(in)) {
				t.Fatalf("Inspect = %v, which has no place in %d bytes", err, len(in))
			}
			return
		}
		data, err := json.Marshal(rep)
		if err != nil {
			t.Fatal(err)
		}
		if null.Match(data) {
			t.Fatalf("the report has a null: %s", data)
		}
		var back Report
		if err := json.Unmarshal(data, &back); err != nil {
			t.Fatal(err)
		}
		again, err := Describe(bytes.NewReader(in), int64(len(in)))
		if diff := cmp.Diff(rep, again); err != nil || diff != "" {
			t.Fatalf("a second report differs: %v\n%s", err, diff)
		}
	})
}
