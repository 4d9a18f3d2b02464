//go:build cgo

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wreg-project/wreg/artifact/aot/wasmtime/wire"
)

// TestOneProcessor links the program as the Makefile does.
func TestOneProcessor(t *testing.T) {
	linked := filepath.Join(t.TempDir(), self)
	build := exec.Command("go", "build", "-ldflags", `-linkmode external -extldflags "-static -no-pie -Wl,--wrap=main -Wl,--no-warnings"`, "-o", linked, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=1")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", build, err, out)
	}
	spec := of("c")
	spec.InheritEnv = []string{"FIRST", "GOMAXPROCS", "LAST", "TOKIO_WORKER_THREADS"}
	file := write(t, spec, t.TempDir(), "spec")
	spec.TimeoutMS = 50 // long enough for Go's runtime to speak of itself
	loop := write(t, spec, t.TempDir(), "spec")
	for _, tt := range []struct {
		name  string
		env   []string
		guest string // what of it the guest has
		says  string // Go's runtime of itself
	}{
		{"no environment", nil, "", "gomaxprocs=1 "},
		{"others", []string{"FIRST=1", "LAST=2"}, "FIRST=1\nLAST=2\n", "gomaxprocs=1 "},
		{"one of a longer name", []string{"GOMAXPROCSES=3", "LAST=2"}, "LAST=2\n", "gomaxprocs=1 "},
		{"what the user set", []string{"FIRST=1", "GOMAXPROCS=3", "LAST=2"}, "FIRST=1\nGOMAXPROCS=3\nLAST=2\n", "gomaxprocs=3 "},
		{"threads of the user", []string{"LAST=2", "TOKIO_WORKER_THREADS=2"}, "LAST=2\nTOKIO_WORKER_THREADS=2\n", "gomaxprocs=1 "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			run := exec.Command(linked, "run", "--spec", file, "--", "env")
			run.Env = append([]string{}, tt.env...) // nil would be that of the test
			if out, err := run.CombinedOutput(); err != nil || string(out) != tt.guest {
				t.Errorf("%s: the guest has %q, %v; want %q", run, out, err, tt.guest)
			}
			run = exec.Command(linked, "run", "--spec", loop, "--", "loop")
			run.Env = append([]string{"GODEBUG=schedtrace=1"}, tt.env...)
			if out, _ := run.CombinedOutput(); run.ProcessState.ExitCode() != wire.ExitTimeout || !strings.Contains(string(out), tt.says) {
				t.Errorf("%s: status %d, Go's runtime says %.200q; want %d and %q", run, run.ProcessState.ExitCode(), out, wire.ExitTimeout, tt.says)
			}
		})
	}
}
