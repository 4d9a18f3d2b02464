package wasmtime

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/wreg-project/wreg/artifact/aot/wasmtime/wire"
	"github.com/wreg-project/wreg/internal/sandbox"
	"github.com/wreg-project/wreg/internal/term"
)

// Program is the name of the program with the engine, and Variable that of the
// environment variable with the path of another one.
const (
	Program  = "wpkg-engine"
	Variable = "WPKG_ENGINE"
)

// ErrNotInstalled is of a machine without the engine.
var ErrNotInstalled = errors.New("wpkg-engine, which compiles and runs packages, is not installed: put the one from the release " +
	"of this wpkg beside it, or, with a C compiler, go install github.com/wreg-project/wreg/cmd/wpkg-engine@latest")

// Find gives the path of wpkg-engine: what the variable WPKG_ENGINE says, or the
// one beside this program, or the first on the PATH. Without one its error is
// ErrNotInstalled.
func Find() (string, error) {
	if path := os.Getenv(Variable); path != "" {
		if err := executable(path); err != nil {
			return "", fmt.Errorf("%s: %w", Variable, err)
		}
		return path, nil
	}
	if self, err := os.Executable(); err == nil {
		if real, err := filepath.EvalSymlinks(self); err == nil {
			self = real
		}
		if path := filepath.Join(filepath.Dir(self), Program+suffix); executable(path) == nil {
			return path, nil
		}
	}
	if path := onPath(Program); path != "" {
		return path, nil
	}
	return "", ErrNotInstalled
}

// suffix of programs.
var suffix = map[string]string{"windows": ".exe"}[runtime.GOOS]

// onPath gives the first program of that name in an absolute folder of PATH: one
// in the working folder may have come with a download. It is "" without one.
func onPath(name string) string {
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		if path := filepath.Join(dir, name+suffix); filepath.IsAbs(dir) && executable(path) == nil {
			return path
		}
	}
	return ""
}

// executable tells why a file cannot be started.
func executable(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() || runtime.GOOS != "windows" && info.Mode()&0o111 == 0 {
		return fmt.Errorf("%s: %w", path, fs.ErrPermission)
	}
	return nil
}

// idsLimit is how long wpkg-engine may take to say what it can do: it takes
// 20 ms, and under an emulator a second.
const idsLimit = 20 * time.Second

// known has the answers of programs of this process, as long as their files do
// not change.
var known = struct {
	sync.Mutex
	ids map[identity]*wire.IDs
}{ids: map[identity]*wire.IDs{}}

type identity struct {
	emulator, path string
	size           int64
	modified       time.Time
}

// IDs asks the wpkg-engine at path what it can do, once for each file and
// process; the answer is shared and must not be changed. The error is
// [wire.ErrProtocol] for a program of another release.
func IDs(ctx context.Context, path string) (*wire.IDs, error) {
	return program{path: path}.ids(ctx)
}

// program is wpkg-engine, perhaps one that is emulated.
type program struct {
	path     string
	emulator string // that runs it; "" if it runs by itself
}

// command is a command of the program.
func (p program) command(args ...string) sandbox.Command {
	if p.emulator == "" {
		return sandbox.Command{Path: p.path, Args: args}
	}
	c := sandbox.Command{Path: p.emulator, Args: append([]string{p.path}, args...), Foreign: true}
	c.Limits.FileBytes = emulatorFile
	return c
}

// emulatorFile is the size of files that qemu may write, in bytes: it answers
// questions about /proc/self with temporary files of its own.
const emulatorFile = 64 << 10

func (p program) ids(ctx context.Context) (*wire.IDs, error) {
	info, err := os.Stat(p.path)
	if err != nil {
		return nil, err
	}
	id := identity{emulator: p.emulator, path: p.path, size: info.Size(), modified: info.ModTime()}
	known.Lock()
	ids := known.ids[id]
	known.Unlock()
	if ids != nil {
		return ids, nil
	}
	if ids, err = p.ask(ctx); err != nil {
		return nil, fmt.Errorf("%s ids: %w", p.path, err)
	}
	known.Lock()
	known.ids[id] = ids
	known.Unlock()
	return ids, nil
}

func (p program) ask(ctx context.Context) (*wire.IDs, error) {
	var out strings.Builder
	c := p.command("ids")
	c.Out = &out
	c.Limits.Wall, c.Limits.OutputBytes = idsLimit, 64<<10
	u, err := sandbox.Run(ctx, c)
	if _, ended := errors.AsType[*sandbox.ExitError](err); ended && len(u.Stderr) > 0 {
		return nil, errors.New(said(u.Stderr)) // as of one that was built without the engine
	}
	if err != nil {
		return nil, err
	}
	var ids wire.IDs
	if err := json.Unmarshal([]byte(out.String()), &ids); err != nil {
		return nil, fmt.Errorf("%w: %w", wire.ErrProtocol, err)
	}
	if ids.Protocol != wire.Protocol {
		return nil, fmt.Errorf("%w (wpkg-engine %s speaks protocol %d, this is %d)",
			wire.ErrProtocol, term.Clean(ids.Version), ids.Protocol, wire.Protocol)
	}
	return &ids, nil
}

// said is what a program wrote, as one line that a terminal may print.
func said(stderr []byte) string {
	text, _, _ := strings.Cut(string(stderr), "\n\nStack backtrace:")
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > maxSaid {
		text = strings.ToValidUTF8(text[:maxSaid], "") + "…"
	}
	return term.Clean(text)
}

// maxSaid is as much of it as fits into a message, in bytes.
const maxSaid = 600
