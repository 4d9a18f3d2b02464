package corpus

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func entry(file, pkg, path, content string) Entry {
	sum := sha256.Sum256([]byte(content))
	return Entry{File: file, Package: pkg, Path: path, Size: int64(len(content)), SHA256: hex.EncodeToString(sum[:])}
}

func zip(t *testing.T, content []byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	z := gzip.NewWriter(&buf)
	if _, err := z.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// tarball is a package of name, content, name, content…
func tarball(t *testing.T, files ...string) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for i := 0; i < len(files); i += 2 {
		if err := w.WriteHeader(&tar.Header{Name: files[i], Mode: 0o644, Size: int64(len(files[i+1]))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(files[i+1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return zip(t, buf.Bytes())
}

// packages stands for npm and the registry behind it.
type packages struct {
	mu       sync.Mutex
	tarballs map[string][]byte
	asked    []string
}

func (p *packages) npm(_ context.Context, spec, dir string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = append(p.asked, spec)
	content, ok := p.tarballs[spec]
	if !ok {
		return errors.New("no such package")
	}
	return os.WriteFile(filepath.Join(dir, "some-name.tgz"), content, 0o644)
}

// files gives the folder's files by name, hidden ones included.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, f := range list {
		content, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		got[f.Name()] = string(content)
	}
	return got
}

func TestFetch(t *testing.T) {
	p := &packages{tarballs: map[string][]byte{
		"@s/two@1.0.0": tarball(t, "package/README.md", "read me", "package/d/a.wasm", "first", "package/b.wasm", "second"),
		"one@2.0.0":    tarball(t, "one/c.wasm.gz", string(zip(t, []byte("third")))),
	}}
	entries := []Entry{
		entry("a.wasm", "@s/two@1.0.0", "d/a.wasm", "first"),
		entry("b2.wasm", "@s/two@1.0.0", "b.wasm", "second"),
		entry("c.wasm", "one@2.0.0", "c.wasm.gz", "third"),
		entry("fixture.wasm", "git:owner/repository@0123", "x.wasm", "none"),
	}
	want := map[string]string{"a.wasm": "first", "b2.wasm": "second", "c.wasm": "third"}
	dir := filepath.Join(t.TempDir(), "new")
	var progress []int
	o := Options{Parallel: 1, npm: p.npm, Done: func(_ string, files int, _ error) { progress = append(progress, files) }}

	if err := Fetch(t.Context(), dir, entries, o); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, files(t, dir)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	if len(progress) != 2 || progress[1] != 3 {
		t.Errorf("progress %v, want two steps, the last of them 3 files", progress)
	}

	t.Run("asks for nothing that is there", func(t *testing.T) {
		p.asked = nil
		if err := Fetch(t.Context(), dir, entries, o); err != nil || len(p.asked) != 0 {
			t.Errorf("Fetch again = %v and asked for %q, want nothing", err, p.asked)
		}
	})
	t.Run("replaces a file that is damaged", func(t *testing.T) {
		p.asked = nil
		if err := os.WriteFile(filepath.Join(dir, "c.wasm"), []byte("thorn"), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := Fetch(t.Context(), dir, entries, o); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"one@2.0.0"}, p.asked); diff != "" {
			t.Errorf("asked for (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(want, files(t, dir)); diff != "" {
			t.Errorf("files (-want +got):\n%s", diff)
		}
	})
}

func TestFetchKeepsNothingElse(t *testing.T) {
	tests := []struct {
		name    string
		tarball []byte
		want    string
	}{
		{"other bytes of the same size", tarball(t, "package/a.wasm", "fjrst"), "SHA-256"},
		{"a longer file", tarball(t, "package/a.wasm", "first and more"), "6 bytes, want 5"},
		{"a package without the file", tarball(t, "package/b.wasm", "first"), "no a.wasm in the package"},
		{"a tarball that is cut short", tarball(t, "package/a.wasm", "first")[:30], "unexpected EOF"},
		{"no gzip", []byte("<html>first</html>"), "gzip: invalid header"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := &packages{tarballs: map[string][]byte{
				"bad@1.0.0":  tt.tarball,
				"good@1.0.0": tarball(t, "package/good.wasm", "good"),
			}}
			entries := []Entry{entry("a.wasm", "bad@1.0.0", "a.wasm", "first"), entry("good.wasm", "good@1.0.0", "good.wasm", "good")}
			dir := t.TempDir()
			err := Fetch(t.Context(), dir, entries, Options{Parallel: 3, npm: p.npm})
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "bad@1.0.0") {
				t.Errorf("Fetch = %v, want an error with %q and the package's name", err, tt.want)
			}
			if diff := cmp.Diff(map[string]string{"good.wasm": "good"}, files(t, dir)); diff != "" {
				t.Errorf("files (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFetchGivesUpWithoutNetwork(t *testing.T) {
	p := &packages{}
	var entries []Entry
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		entries = append(entries, entry(name+".wasm", name+"@1.0.0", "a.wasm", "first"))
	}
	err := Fetch(t.Context(), t.TempDir(), entries, Options{Parallel: 2, npm: p.npm})
	if err == nil || len(p.asked) < 2 || len(p.asked) > 3 {
		t.Errorf("Fetch = %v and asked for %q, want an error after two or three packages", err, p.asked)
	}
}

func TestFetchStops(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	p := &packages{}
	err := Fetch(ctx, t.TempDir(), []Entry{entry("a.wasm", "a@1.0.0", "a.wasm", "first")}, Options{npm: p.npm})
	if !errors.Is(err, context.Canceled) || len(p.asked) != 0 {
		t.Errorf("Fetch of a cancelled context = %v and asked for %q", err, p.asked)
	}
}

func TestComplaintIsOneLine(t *testing.T) {
	const stderr = "npm error code ECONNREFUSED\nnpm error request to x failed\nnpm error     at f (index.js:130:14)\nnpm error }\n"
	const want = "code ECONNREFUSED; request to x failed"
	if got := complaint(stderr); got != want {
		t.Errorf("complaint(%q) = %q, want %q", stderr, got, want)
	}
}
