//go:build cgo && (linux || darwin)

package engine

// #include "capi.h"
import "C"

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/wreg-project/wreg/artifact/aot/wasmtime/wire"
)

// Errors of code that does not load here, each wrapped with the file, what
// wasmtime said, and what to do.
var (
	ErrArch     = errors.New("the code is for another kind of machine")
	ErrCPU      = errors.New("the code needs what this CPU lacks")
	ErrVersion  = errors.New("the code is of another version of wasmtime")
	ErrSettings = errors.New("the code was compiled with other settings")
	ErrKind     = errors.New("the code is of the other kind, module or component")
	ErrDamaged  = errors.New("not code of wasmtime, or damaged")
)

// Code is native code, mapped into memory. It is not for concurrent use.
type Code struct {
	e         *Engine
	module    *C.wasmtime_module_t
	component *C.wasmtime_component_t
}

// Load maps the code in a file. **Nothing in it is verified**: code runs with
// the rights of this process, whatever it does. The file must not be changed as
// long as the Code is open; to remove it is harmless.
func (e *Engine) Load(path, kind string) (*Code, error) {
	var names arena
	defer names.free()
	if strings.ContainsRune(path, 0) {
		return nil, fmt.Errorf("%q is not a path", path)
	}
	c := &Code{e: e}
	var err error
	if kind == wire.Component {
		err = failure(C.wasmtime_component_deserialize_file(e.c, names.str(path), &c.component))
	} else {
		err = failure(C.wasmtime_module_deserialize_file(e.c, names.str(path), &c.module))
	}
	if err != nil {
		return nil, notLoaded(path, err)
	}
	return c, nil
}

// Close frees the code.
func (c *Code) Close() {
	if c.component != nil {
		C.wasmtime_component_delete(c.component)
	} else {
		C.wasmtime_module_delete(c.module)
	}
}

// reasons why code does not load, by what wasmtime says of it.
var reasons = []struct {
	says   string
	err    error
	advice string
}{
	{"compiled for architecture", ErrArch, "compile it for this machine"},
	{"compiled for operating system", ErrArch, "compile it for this machine"},
	{"not available on the host", ErrCPU, "use code for a lower level of the CPU (linux/amd64/v1 runs everywhere)"},
	{"incompatible Wasmtime version", ErrVersion, "compile it again with this one, " + Version},
	{"incompatible object file format", ErrKind, "say which of both it is"},
	{"Module was compiled with", ErrSettings, "compile it again"},
	{"Module was compiled without", ErrSettings, "compile it again"},
	{"compilation settings", ErrSettings, "compile it again"},
	{"WebAssembly features", ErrSettings, "compile it again"},
}

func notLoaded(path string, err error) error {
	if _, missing := os.Stat(path); missing != nil {
		return missing
	}
	text := causes(err)
	for _, r := range reasons {
		if strings.Contains(text, r.says) {
			return fmt.Errorf("%s: %w; %s (%s)", path, r.err, r.advice, text)
		}
	}
	return fmt.Errorf("%s: %w; compile it again (%s)", path, ErrDamaged, text)
}
