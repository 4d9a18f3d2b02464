//go:build cgo && (linux || darwin)

package engine

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// structs are those of capi.h with the fields that it has in common with
// wasmtime's: what it calls room is only there for the size.
var structs = map[string][]string{
	"wasm_byte_vec_t":               {"size", "data"},
	"wasm_valtype_vec_t":            {"size", "data"},
	"wasmtime_instance_t":           {"store_id", "__private"},
	"wasmtime_func_t":               {"store_id", "__private"},
	"wasmtime_extern_t":             {"kind", "of", "of.func"},
	"wasmtime_val_t":                {"kind", "of", "of.i32", "of.i64", "of.f32", "of.f64"},
	"wasmtime_component_instance_t": {"store_id", "__private"},
	"wasmtime_component_func_t":     {"store_id", "__private1", "__private2"},
	"wasmtime_component_val_t":      {"kind", "of", "of.boolean", "of.s64", "of.result", "of.result.is_ok", "of.result.val"},
	"wasmtime_component_valtype_t":  {"kind", "of"},
}

func TestHeaderIsThatOfTheLibrary(t *testing.T) {
	headers, own := include(t), readFile(t, "capi.h")

	// Both together: a prototype or an opaque type that differs does not compile.
	together := "#include <wasm.h>\n#include <wasi.h>\n#include <wasmtime.h>\n#include \"capi.h\"\n"
	if out, err := cc(t, headers, together, own, "-c"); err != nil {
		t.Fatalf("capi.h differs from wasmtime's headers: %v\n%s", err, out)
	}
	// And that is seen, for every kind of difference there may be.
	for _, change := range [][2]string{
		{"const wasmtime_error_t *, int *", "wasmtime_error_t *, int *"},
		{"int64_t memory_size,", "int32_t memory_size,"},
		{"wasmtime_engine_increment_epoch(wasm_engine_t *)", "wasmtime_engine_increment_epoch(wasmtime_store_t *)"},
	} {
		changed := strings.Replace(own, change[0], change[1], 1)
		if changed == own {
			t.Errorf("capi.h has no %q to change", change[0])
		} else if _, err := cc(t, headers, together, changed, "-c"); err == nil {
			t.Errorf("capi.h with %q instead of %q compiles too", change[1], change[0])
		}
	}

	// Each alone: sizes, offsets and constants.
	ours := layout(t, headers, "#include \"capi.h\"\n", own)
	theirs := layout(t, headers, "#include <wasm.h>\n#include <wasi.h>\n#include <wasmtime.h>\n", own)
	if ours != theirs || !strings.Contains(ours, "wasmtime_val_t 32\n") {
		t.Errorf("sizes, offsets and constants of capi.h:\n%s\nof wasmtime:\n%s", ours, theirs)
	}
}

// The lists above leave out nothing that capi.h defines.
func TestHeaderHasOnlyTheStructsThatAreCompared(t *testing.T) {
	for _, m := range regexp.MustCompile(`(?m)^} (\w+);`).FindAllStringSubmatch(readFile(t, "capi.h"), -1) {
		if structs[m[1]] == nil {
			t.Errorf("capi.h defines %s, which the test does not compare", m[1])
		}
	}
}

func TestVersionIsThatOfTheModule(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Version}}", "github.com/bytecodealliance/wasmtime-go/v39").Output()
	if got := strings.TrimSpace(string(out)); err != nil || got != "v"+Version {
		t.Fatalf("go list -m says %s, %v; Version is %s", got, err, Version)
	}
}

// include is the folder of wasmtime's headers.
func include(t *testing.T) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/bytecodealliance/wasmtime-go/v39").Output()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(strings.TrimSpace(string(out)), "build", "include")
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// cc compiles a program that may include capi.h, of the given content.
func cc(t *testing.T, headers, program, capi string, flags ...string) (string, error) {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{"main.c": program, "capi.h": capi} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	args := append(flags, "-I", headers, "-I", dir, "-o", filepath.Join(dir, "out"), filepath.Join(dir, "main.c"))
	out, err := exec.CommandContext(t.Context(), "cc", args...).CombinedOutput()
	if err != nil || slices.Contains(flags, "-c") {
		return string(out), err
	}
	out, err = exec.CommandContext(t.Context(), filepath.Join(dir, "out")).Output()
	return string(out), err
}

// layout is what a program prints of the structs and constants it includes.
func layout(t *testing.T, headers, includes, capi string) string {
	t.Helper()
	var b strings.Builder
	b.WriteString(includes + "#include <stdio.h>\nint main(void) {\n")
	names := make([]string, 0, len(structs))
	for name := range structs {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Fprintf(&b, "printf(\"%s %%zu\\n\", sizeof(%s));\n", name, name)
		for _, field := range structs[name] {
			fmt.Fprintf(&b, "printf(\"%s.%s %%zu\\n\", offsetof(%s, %s));\n", name, field, name, field)
		}
	}
	for _, m := range regexp.MustCompile(`(?m)^#define (WASM\w+) \d`).FindAllStringSubmatch(capi, -1) {
		fmt.Fprintf(&b, "printf(\"%s %%d\\n\", %s);\n", m[1], m[1])
	}
	b.WriteString("}\n")
	out, err := cc(t, headers, b.String(), capi)
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, out, b.String())
	}
	return out
}
