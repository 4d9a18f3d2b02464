package testenv

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Engine builds wpkg-engine of this module for a test, and returns the path of the
// program.
func Engine(t testing.TB) (path string, err error) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "wpkg-engine")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", path, "github.com/wreg-project/wreg/cmd/wpkg-engine")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", errors.Join(fmt.Errorf("build wpkg-engine: %w", err), errors.New(string(out)))
	}
	return path, nil
}
