package golang

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wreg-project/wreg/artifact/build"
	"github.com/wreg-project/wreg/inspect"
)

const mod = "module example.com/hello\n\ngo 1.24\n"

// project writes files to a new folder.
func project(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestDetect(t *testing.T) {
	tests := []struct {
		name  string
		files map[string]string
		sub   string
		want  bool
	}{
		{name: "a module", files: map[string]string{"go.mod": mod}, want: true},
		{
			name:  "a package below a module",
			files: map[string]string{"go.mod": mod, "cmd/[x]/main.go": "package main"}, sub: "cmd/[x]", want: true,
		},
		{name: "a folder without Go below a module", files: map[string]string{"go.mod": mod, "docs/a.md": ""}, sub: "docs"},
		{name: "a folder named go.mod", files: map[string]string{"go.mod/x": ""}},
		{name: "nothing of Go", files: map[string]string{"Cargo.toml": ""}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := filepath.Join(project(t, tt.files), tt.sub)
			got, err := Builder{}.Detect(dir)
			if got != tt.want || err != nil {
				t.Fatalf("Detect(%s) = %t, %v; want %t", dir, got, err, tt.want)
			}
		})
	}
}

// The same source in two folders gives the same bytes.
func TestBuildIsReproducible(t *testing.T) {
	files := map[string]string{"go.mod": mod, "main.go": "package main\n\nfunc main() { println(\"hello\") }\n"}
	var sums [2][32]byte
	for i := range sums {
		dir := project(t, files)
		out := filepath.Join(t.TempDir(), "hello.wasm")
		if err := (Builder{}).Build(context.Background(), build.Options{Dir: dir, Output: out}); err != nil {
			t.Fatalf("Build(%s) = %v", dir, err)
		}
		data, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(data, []byte(dir)) {
			t.Errorf("the module names the folder %s", dir)
		}
		sums[i] = sha256.Sum256(data)
	}
	if sums[0] != sums[1] {
		t.Fatalf("two builds of the same source are %x and %x", sums[0], sums[1])
	}
}

func TestBuildMakesReactors(t *testing.T) {
	dir := project(t, map[string]string{
		"go.mod":  mod,
		"main.go": "package main\n\n//go:wasmexport add\nfunc add(a, b int32) int32 { return a + b }\n\nfunc main() {}\n",
	})
	out := filepath.Join(dir, "add.wasm")
	if err := (Builder{}).Build(context.Background(), build.Options{Dir: dir, Output: out, Reactor: true, Strip: true}); err != nil {
		t.Fatalf("Build(%s) = %v", dir, err)
	}
	f, err := os.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	rep, err := inspect.Describe(f, fi.Size())
	if err != nil {
		t.Fatalf("Inspect(%s) = %v", out, err)
	}
	exports := map[string]string{}
	for _, e := range rep.Exports {
		exports[e.Name] = e.Type
	}
	if exports["add"] != "(func (param i32 i32) (result i32))" || exports["_initialize"] == "" || exports["_start"] != "" {
		t.Fatalf("exports are %v; want add and _initialize, and no _start", exports)
	}
	if rep.WASI != inspect.WASIP1 {
		t.Errorf("WASI is %q, want %q", rep.WASI, inspect.WASIP1)
	}
}

func TestBuildRefuses(t *testing.T) {
	tests := []struct {
		name    string
		source  string
		command string
		want    error
		text    string
	}{
		{
			name:   "source that does not compile, in the compiler's words",
			source: "package main\n\nfunc main() { x }\n", text: "main.go:3:15: undefined: x",
		},
		{name: "a library", source: "package hello\n", want: ErrNotMain, text: "cmd/NAME"},
		{name: "a missing compiler", source: "package main\n", command: "no-such-go", want: build.ErrToolchain, text: "install Go"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := project(t, map[string]string{"go.mod": mod, "main.go": tt.source})
			out := filepath.Join(t.TempDir(), "out.wasm")
			var log strings.Builder
			err := Builder{Command: tt.command}.Build(context.Background(), build.Options{Dir: dir, Output: out, Log: &log})
			if err == nil || tt.want != nil && !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.text) {
				t.Fatalf("Build = %v; want %v with %q", err, tt.want, tt.text)
			}
			left, rerr := os.ReadDir(filepath.Dir(out))
			if rerr != nil || len(left) != 0 {
				t.Errorf("a failed build left %v, %v", left, rerr)
			}
		})
	}
}

func TestBuildStops(t *testing.T) {
	dir := project(t, map[string]string{"go.mod": mod, "main.go": "package main\n\nfunc main() {}\n"})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	err := Builder{}.Build(ctx, build.Options{Dir: dir, Output: filepath.Join(t.TempDir(), "out.wasm")})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("Build with a cancelled context = %v, want %v", err, context.Canceled)
	}
}
