//go:build aot && linux && (amd64 || arm64)

package wasmtime

import (
	"bytes"
	"context"
	"errors"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/wreg-project/wreg/artifact/aot"
	"github.com/wreg-project/wreg/test/corpus/hostile"
)

// Whatever a module asks of the compiler ends within limits: with code, of the
// fast tier if need be, or with an error that says which limit it was. The limits
// of time are shortened, since it is their keeping that is tested.
func TestBurdensEndWithinLimits(t *testing.T) {
	path := filepath.Join(t.TempDir(), Program)
	build := exec.Command("go", "build", "-o", path, "github.com/wreg-project/wreg/cmd/wpkg-engine")
	build.Env = append(build.Environ(), "CGO_ENABLED=1")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", build, err, out)
	}
	c := New(path)
	c.optimising, c.fast = 5*time.Second, 15*time.Second
	for _, b := range hostile.Burdens() {
		t.Run(b.Name, func(t *testing.T) {
			var out bytes.Buffer
			file, begin := b.Make(), time.Now()
			config, err := c.Compile(context.Background(), job(t, file, "linux/amd64/v1"), &out)
			took := time.Since(begin)
			switch {
			case err == nil && int64(out.Len()) == config.Output.Size:
				t.Logf("%d bytes became %d in %v, %s", len(file), out.Len(), took, config.Compiler.Tier)
			case errors.Is(err, aot.ErrLimit) && b.Long && out.Len() == 0:
				t.Logf("%d bytes gave in %v: %v", len(file), took, err)
			default:
				t.Errorf("Compile of %d bytes wrote %d: %v; want code, or %v", len(file), out.Len(), err, aot.ErrLimit)
			}
			if most := c.optimising + c.fast + 10*time.Second; took > most {
				t.Errorf("it took %v, at most %v are allowed", took, most)
			}
		})
	}
}
