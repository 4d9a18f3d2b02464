//go:build linux && (amd64 || arm64)

package sandbox_test

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/wreg-project/wreg/internal/sandbox"
)

func TestMain(m *testing.M) {
	if act := acts[os.Getenv("ACT")]; act != nil {
		act()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// command runs this test program in the part of a child.
func command(t *testing.T, act string) sandbox.Command {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return sandbox.Command{
		Path: self, Env: []string{"ACT=" + act}, Confined: true, Namespaces: true,
		Limits: sandbox.Limits{Wall: 30 * time.Second, OutputBytes: 1 << 20},
	}
}

// run runs a command and gives what it wrote.
func run(t *testing.T, c sandbox.Command) (string, *sandbox.Usage, error) {
	t.Helper()
	var out strings.Builder
	c.Out = &out
	u, err := sandbox.Run(context.Background(), c)
	return out.String(), u, err
}
