// Package build makes WebAssembly of source code, with the compilers that are
// installed on the machine.
//
// A Builder knows one kind of project; [Detect] finds the one for a folder.
// Builders promise that the same source and compiler give the same bytes, in
// whatever folder they lie, and that a failed build leaves no output.
package build

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/wreg-project/wreg/inspect/wasm"
)

// Options are what to build and how. Dir and Output are needed.
type Options struct {
	Dir    string // folder of the project
	Output string // the .wasm file to write; its folder exists

	// Reactor makes a module whose exports are called, with _initialize instead
	// of a start function. By default it is a command that runs once.
	Reactor bool

	// Strip leaves out names and debug information. They are kept by default:
	// what is in a module is told by them.
	Strip bool

	// Env are further variables for the compiler, "NAME=value".
	Env []string

	// Log receives what the compiler says while it works; nil discards it.
	Log io.Writer
}

// A Builder builds one kind of project.
type Builder interface {
	// Name is the word for the kind, "go".
	Name() string

	// Detect reports whether dir is such a project.
	Detect(dir string) (bool, error)

	// Build writes Output. A compiler that is not installed is ErrToolchain,
	// source that does not compile an [*Error].
	Build(ctx context.Context, o Options) error
}

// Errors of builds, usually wrapped; test with [errors.Is].
var (
	ErrUnknown   = errors.New("no known kind of project")
	ErrAmbiguous = errors.New("more than one kind of project")
	ErrToolchain = errors.New("compiler not found")
)

// An Error is a compiler's refusal, in its own words.
type Error struct {
	Builder string
	Dir     string
	Text    string // what the compiler said, at most MaxText bytes
	Err     error
}

func (e *Error) Error() string {
	s := fmt.Sprintf("build %s project %s: %v", e.Builder, e.Dir, e.Err)
	if text := strings.TrimSpace(e.Text); text != "" {
		s += "\n" + text
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }

// MaxText bounds the compiler's words in an Error, in bytes: some print a line
// for each of ten thousand faults.
const MaxText = 64 << 10

// Detect finds the builder for the project in dir. ErrUnknown and ErrAmbiguous
// say which kinds were tried or found.
func Detect(builders []Builder, dir string) (Builder, error) {
	fi, err := os.Stat(dir)
	if err != nil {
		return nil, err
	}
	if !fi.IsDir() {
		return nil, fmt.Errorf("%s: %w: not a folder", dir, ErrUnknown)
	}
	var found Builder
	var names []string
	for _, b := range builders {
		ok, err := b.Detect(dir)
		if err != nil {
			return nil, fmt.Errorf("look for a %s project in %s: %w", b.Name(), dir, err)
		}
		names = append(names, b.Name())
		if ok && found != nil {
			return nil, fmt.Errorf("%s: %w: %s and %s", dir, ErrAmbiguous, found.Name(), b.Name())
		}
		if ok {
			found = b
		}
	}
	if found == nil {
		return nil, fmt.Errorf("%s: %w (%s)", dir, ErrUnknown, strings.Join(names, ", "))
	}
	return found, nil
}

// ErrNotWasm is the output of a compiler that is no module, as of a library.
var ErrNotWasm = errors.New("the compiler wrote no WebAssembly module")

// Place has compile write a file in a temporary folder beside output, checks
// that it is a WebAssembly binary, and gives it its name. Builders use it so
// that a failed build leaves nothing. An output that exists and is no regular
// file, such as a folder or a device, is refused.
func Place(output string, compile func(temp string) error) error {
	if fi, err := os.Stat(output); err == nil && !fi.Mode().IsRegular() {
		return fmt.Errorf("%s: it is no regular file, and is not replaced by one", output)
	}
	dir, err := os.MkdirTemp(filepath.Dir(output), ".build-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	temp := filepath.Join(dir, "out.wasm")
	if err := compile(temp); err != nil {
		return err
	}
	if err := checkWasm(temp); err != nil {
		return err
	}
	if err := os.Chmod(temp, 0o644); err != nil {
		return err
	}
	return os.Rename(temp, output)
}

func checkWasm(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return ErrNotWasm
	}
	if err != nil {
		return err
	}
	defer f.Close()
	var head [8]byte
	n, err := io.ReadFull(f, head[:])
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	if _, err := wasm.Header(head[:n]); err != nil {
		return fmt.Errorf("%w: %w", ErrNotWasm, err)
	}
	return nil
}

// A Tail keeps the last MaxText bytes written to it, and passes everything on.
// Compilers print the cause of a failure at the end.
type Tail struct {
	Next io.Writer // may be nil
	buf  []byte
}

// Write never fails: a log that does is no reason to stop a build.
func (t *Tail) Write(p []byte) (int, error) {
	t.buf = append(t.buf, p...)
	if over := len(t.buf) - MaxText; over > 0 {
		t.buf = append(t.buf[:0], t.buf[over:]...)
	}
	if t.Next != nil {
		_, _ = t.Next.Write(p)
	}
	return len(p), nil
}

func (t *Tail) String() string { return strings.ToValidUTF8(string(t.buf), "\uFFFD") }
