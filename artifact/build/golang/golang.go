// Package golang builds Go projects for WASI preview 1 with the installed Go.
package golang

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/wreg-project/wreg/artifact/build"
)

// Builder builds the main package in a folder that belongs to a Go module.
type Builder struct {
	// Command is the go command, by default "go" of the PATH.
	Command string
}

var _ build.Builder = Builder{}

// Name implements build.Builder.
func (Builder) Name() string { return "go" }

// Detect reports whether dir has a go.mod, or Go files below one.
func (Builder) Detect(dir string) (bool, error) {
	if ok, err := isFile(filepath.Join(dir, "go.mod")); ok || err != nil {
		return ok, err
	}
	files, err := filepath.Glob(filepath.Join(escape(dir), "*.go"))
	if err != nil || len(files) == 0 {
		return false, err
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return false, err
	}
	for parent := filepath.Dir(abs); ; parent = filepath.Dir(parent) {
		if ok, err := isFile(filepath.Join(parent, "go.mod")); ok || err != nil {
			return ok, err
		}
		if parent == filepath.Dir(parent) {
			return false, nil
		}
	}
}

func isFile(path string) (bool, error) {
	fi, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && fi.Mode().IsRegular(), err
}

// escape takes the meaning from the characters that Glob gives one.
func escape(dir string) string {
	if filepath.Separator == '\\' {
		return dir // there is no escape on Windows
	}
	var b []byte
	for i := range len(dir) {
		if c := dir[i]; c == '*' || c == '?' || c == '[' || c == '\\' {
			b = append(b, '\\')
		}
		b = append(b, dir[i])
	}
	return string(b)
}

// Build implements build.Builder. Paths, version control and build identifiers
// are left out of the module and the environment's GOFLAGS, GOWASM and
// GOEXPERIMENT are ignored, so the same source and Go release give the same
// bytes anywhere; o.Env can bring them back. The network is used only for
// dependencies that are not in the module cache.
func (b Builder) Build(ctx context.Context, o build.Options) error {
	command := b.Command
	if command == "" {
		command = "go"
	}
	path, err := exec.LookPath(command)
	if err != nil {
		return fmt.Errorf("%w: %s is needed for a go project; install Go from https://go.dev/dl/: %w", build.ErrToolchain, command, err)
	}
	output, err := filepath.Abs(o.Output)
	if err != nil {
		return err
	}
	return build.Place(output, func(temp string) error {
		tail := &build.Tail{Next: o.Log}
		c := exec.CommandContext(ctx, path, arguments(o, temp)...)
		c.Dir = o.Dir
		c.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0", "GOFLAGS=", "GOWASM=", "GOEXPERIMENT=")
		c.Env = append(c.Env, o.Env...)
		c.Stdout, c.Stderr = tail, tail
		c.WaitDelay = 5 * time.Second // for compilers that the go command started
		err := c.Run()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err == nil {
			err = checkMain(temp)
		}
		if err != nil {
			return &build.Error{Builder: b.Name(), Dir: o.Dir, Text: tail.String(), Err: err}
		}
		return nil
	})
}

func arguments(o build.Options, output string) []string {
	flags := "-buildid="
	if o.Strip {
		flags += " -s -w"
	}
	args := []string{"build", "-trimpath", "-buildvcs=false", "-ldflags=" + flags, "-o", output}
	if o.Reactor {
		args = append(args, "-buildmode=c-shared")
	}
	return append(args, ".")
}

// ErrNotMain is a folder whose package is a library.
var ErrNotMain = errors.New("the folder has no main package; name the one that has, such as cmd/NAME")

// checkMain tells a linked module from the archive that the go command writes
// for a library.
func checkMain(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return ErrNotMain
	}
	if err != nil {
		return err
	}
	defer f.Close()
	var head [8]byte
	if n, _ := f.Read(head[:]); string(head[:n]) == "!<arch>\n" {
		return ErrNotMain
	}
	return nil
}
