package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWasmFilesOfAFolder(t *testing.T) {
	dir := t.TempDir()
	outside := t.TempDir()
	write(t, filepath.Join(outside, "secret.wasm"), "x")
	for _, name := range []string{"b.wasm", "a/z.WASM", "a/b/c.wasm", "a/readme.md", "wasm"} {
		write(t, filepath.Join(dir, filepath.FromSlash(name)), name)
	}
	for link, target := range map[string]string{
		"link.wasm": filepath.Join(outside, "secret.wasm"), "inside.wasm": "b.wasm", "folder": outside, "loop": ".",
	} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	f, err := openFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	got, err := f.wasmFiles(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a/b/c.wasm", "a/z.WASM", "b.wasm"}, got); diff != "" {
		t.Errorf("wasmFiles (-want +got):\n%s", diff)
	}
	w, err := f.load("a/b/c.wasm")
	if err != nil || string(w.data) != "a/b/c.wasm" {
		t.Errorf("load(a/b/c.wasm) = %+v, %v", w, err)
	}
	if _, err := f.load("link.wasm"); err == nil || !strings.Contains(err.Error(), "it is no file") {
		t.Errorf("load of a link gives %v", err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.wasmFiles(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("wasmFiles of a cancelled context gives %v", err)
	}
}

func TestAFolderThatIsTooDeepIsAnError(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, strings.Repeat("d/", maxFolderDepth+1)), 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := openFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if names, err := f.wasmFiles(t.Context()); !errors.Is(err, errFolder) {
		t.Errorf("wasmFiles = %q, %v; want errFolder", names, err)
	}
}

func write(t *testing.T, name, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}
