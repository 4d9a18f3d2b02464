//go:build linux && (amd64 || arm64) && !race

package sandbox_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/wreg-project/wreg/internal/sandbox"
)

// The race detector takes terabytes of the address space for itself, so that a
// child with it has none left to allocate.
func TestAChildThatUsesUpItsMemoryIsTold(t *testing.T) {
	c := command(t, "allocate")
	c.In = strings.NewReader("input")
	c.Limits.AddressSpace = 2 << 30
	out, u, err := run(t, c)
	if !errors.Is(err, sandbox.ErrMemory) || !strings.Contains(err.Error(), "out of memory") {
		t.Errorf("Run = %v, want %v", err, sandbox.ErrMemory)
	}
	if strings.Contains(out, "input") || u == nil || u.Wall == 0 {
		t.Errorf("Run = %q, usage %+v; want none of its input, and what was used", out, u)
	}
}
