//go:build unix

package sandbox_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/wreg-project/wreg/internal/sandbox"
)

func TestOnPath(t *testing.T) {
	first, second := t.TempDir(), t.TempDir()
	for path, mode := range map[string]fs.FileMode{
		filepath.Join(first, "text"): 0o644, filepath.Join(second, "text"): 0o755, filepath.Join(second, "tool"): 0o755,
	} {
		if err := os.WriteFile(path, nil, mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(first, "tool"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Chdir(second)
	t.Setenv("PATH", first+":"+second)
	for _, name := range []string{"text", "tool"} { // of which first has no program
		want := filepath.Join(second, name)
		if got, err := sandbox.OnPath(name); err != nil || got != want {
			t.Errorf("OnPath(%s) = %s, %v; want %s", name, got, err, want)
		}
	}
	t.Setenv("PATH", first+"::.")
	if got, err := sandbox.OnPath("tool"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("OnPath(tool) = %s, %v; want %v, since that is in the working folder alone", got, err, fs.ErrNotExist)
	}
}
