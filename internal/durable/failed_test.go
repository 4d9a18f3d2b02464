package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func TestFailedWriteLosesTheFile(t *testing.T) {
	dir := t.TempDir()
	f, err := Create(filepath.Join(dir, "f"), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	good := f.f
	bad, err := os.Open(good.Name()) // cannot be written to
	if err != nil {
		t.Fatal(err)
	}
	f.f = bad
	_, werr := f.Write([]byte("x"))
	if werr == nil {
		t.Fatal("Write to a file opened for reading succeeded")
	}
	f.f = good
	if _, err := f.Write([]byte("x")); !errors.Is(err, werr) {
		t.Errorf("Write after a failed one = %v; want %v", err, werr)
	}
	if err := f.Commit(); !errors.Is(err, werr) {
		t.Errorf("Commit after a failed Write = %v; want %v", err, werr)
	}
	for _, name := range []string{f.path, good.Name()} {
		if _, err := os.Stat(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Stat(%s) = %v; want %v", name, err, fs.ErrNotExist)
		}
	}
	if err := bad.Close(); err != nil {
		t.Error(err)
	}
}
