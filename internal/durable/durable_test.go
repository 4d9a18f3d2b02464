package durable_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wreg-project/wreg/internal/durable"
)

// names lists the folder, temporary files included.
func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatalf("ReadDir(%s): %v", dir, err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	return got
}

func wantFile(t *testing.T, path, want string) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil || string(got) != want {
		t.Fatalf("ReadFile(%s) = %q, %v; want %q", path, got, err, want)
	}
}

func TestWriteFileReplacesWhole(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	for _, content := range []string{"the first, longer content", "second", ""} {
		if err := durable.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatalf("WriteFile(%q): %v", content, err)
		}
		wantFile(t, path, content)
	}
	if diff := cmp.Diff([]string{"f"}, names(t, dir)); diff != "" {
		t.Errorf("the folder holds something else (-want +got):\n%s", diff)
	}
	fi, err := os.Stat(path)
	if err != nil || fi.Mode() != 0o600 {
		t.Errorf("Stat = %v, %v; want mode 0600", fi.Mode(), err)
	}
}

func TestFileIsInvisibleBeforeCommit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if err := durable.WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := durable.Create(path, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte("new")); err != nil {
		t.Fatal(err)
	}
	wantFile(t, path, "old")
	if err := f.Commit(); err != nil {
		t.Fatalf("Commit: %v", err)
	}
	wantFile(t, path, "new")
	if err := f.Abort(); err != nil {
		t.Errorf("Abort after Commit: %v; want nil", err)
	}
	wantFile(t, path, "new")
	if err := f.Commit(); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("second Commit: %v; want %v", err, fs.ErrClosed)
	}
}

func TestAbortLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	f, err := durable.Create(filepath.Join(dir, "f"), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := f.Abort(); err != nil {
		t.Fatalf("Abort: %v", err)
	}
	if err := f.Abort(); err != nil {
		t.Errorf("second Abort: %v; want nil", err)
	}
	if got := names(t, dir); len(got) != 0 {
		t.Errorf("the folder holds %q; want nothing", got)
	}
}

func TestFailedCommitLeavesThePathAsItWas(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	if err := os.MkdirAll(filepath.Join(path, "in the way"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := durable.WriteFile(path, []byte("x"), 0o600); err == nil {
		t.Fatal("WriteFile over a folder succeeded")
	}
	if diff := cmp.Diff([]string{"f"}, names(t, dir)); diff != "" {
		t.Errorf("a temporary file stayed (-want +got):\n%s", diff)
	}
}

func TestCreateInAnAbsentFolder(t *testing.T) {
	_, err := durable.Create(filepath.Join(t.TempDir(), "absent", "f"), 0o600)
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Create: %v; want %v", err, fs.ErrNotExist)
	}
}

func TestMkdirAll(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, dir string
		fails     bool
	}{
		{name: "one that exists", dir: dir},
		{name: "three levels", dir: filepath.Join(dir, "a", "b", "c")},
		{name: "with a trailing slash", dir: filepath.Join(dir, "d", "e") + "/"},
		{name: "below a file", dir: filepath.Join(dir, "file", "x"), fails: true},
		{name: "over a file", dir: filepath.Join(dir, "file"), fails: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := durable.MkdirAll(tt.dir, 0o700)
			if (err != nil) != tt.fails {
				t.Fatalf("MkdirAll(%s) = %v; want an error: %t", tt.dir, err, tt.fails)
			}
			fi, serr := os.Stat(tt.dir)
			if made := serr == nil && fi.IsDir(); made == tt.fails {
				t.Errorf("%s is a folder: %t (%v); want %t", tt.dir, made, serr, !tt.fails)
			}
		})
	}
}

func TestMkdirAllOfARelativePath(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := durable.MkdirAll("a/b", 0o700); err != nil {
		t.Fatalf("MkdirAll(a/b): %v", err)
	}
	if fi, err := os.Stat("a/b"); err != nil || !fi.IsDir() || fi.Mode().Perm() != 0o700 {
		t.Errorf("Stat(a/b) = %v, %v; want a folder of mode 0700", fi, err)
	}
}

func TestRemove(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time it is absent
		if err := durable.Remove(path); err != nil {
			t.Fatalf("Remove(%s): %v", path, err)
		}
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Fatalf("Stat after Remove: %v; want %v", err, fs.ErrNotExist)
		}
	}
	if err := durable.Remove(filepath.Join(dir, "absent", "f")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Remove in an absent folder: %v; want %v", err, fs.ErrNotExist)
	}
}

func TestSyncDirOfAnAbsentFolder(t *testing.T) {
	if err := durable.SyncDir(filepath.Join(t.TempDir(), "absent")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("SyncDir: %v; want %v", err, fs.ErrNotExist)
	}
}

func TestSyncDataOfAClosedFile(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "f"))
	if err != nil {
		t.Fatal(err)
	}
	if err := durable.SyncData(f); err != nil {
		t.Errorf("SyncData: %v", err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := durable.SyncData(f); err == nil {
		t.Error("SyncData of a closed file succeeded")
	}
}

func TestWriteNewReplacesNothing(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "key")
	if err := durable.WriteNew(path, []byte("first"), 0o600); err != nil {
		t.Fatalf("WriteNew of an absent file = %v", err)
	}
	if err := durable.WriteNew(path, []byte("second"), 0o600); !errors.Is(err, fs.ErrExist) {
		t.Fatalf("WriteNew of a file that exists = %v, want fs.ErrExist", err)
	}
	wantFile(t, path, "first")
	info, err := os.Stat(path)
	if err != nil || runtime.GOOS != "windows" && info.Mode() != 0o600 {
		t.Fatalf("mode of the file = %v, %v; want 0600", info.Mode(), err)
	}
	if err := durable.WriteNew(filepath.Join(dir, "absent", "key"), nil, 0o600); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("WriteNew in an absent folder = %v, want fs.ErrNotExist", err)
	}
}
