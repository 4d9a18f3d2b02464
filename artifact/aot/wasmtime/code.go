package wasmtime

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/wreg-project/wreg/artifact/aot/wasmtime/wire"
	"github.com/wreg-project/wreg/artifact/variant"
	"github.com/wreg-project/wreg/inspect/precompiled"
)

// ErrCode is of a file that is not native code as wasmtime writes it.
var ErrCode = errors.New("not code of wasmtime")

// Code is what the head of such code says of itself. It tells what the code is
// meant for and nothing about whether it may be trusted.
type Code struct {
	Kind     string // wire.Module or wire.Component
	Arch     string // "amd64", "arm64" or variant.Pulley64
	CompatID string // "sha256:…" of its section .wasmtime.engine
}

// ReadCode reads the head of native code in the first size bytes of r. Its error
// is ErrCode.
func ReadCode(r io.ReaderAt, size int64) (*Code, error) {
	c, ok := precompiled.Read(r, size)
	switch {
	case !ok || c.Runtime != precompiled.Wasmtime:
		return nil, fmt.Errorf("%w: it does not begin as such code does", ErrCode)
	case c.Form != wire.Module && c.Form != wire.Component:
		return nil, fmt.Errorf("%w: it is neither a module nor a component", ErrCode)
	case c.Arch != "amd64" && c.Arch != "arm64" && c.Arch != variant.Pulley64:
		return nil, fmt.Errorf("%w: it is for the machine %q", ErrCode, c.Arch)
	case len(c.Settings) == 0:
		return nil, fmt.Errorf("%w: it has no section .wasmtime.engine", ErrCode)
	}
	sum := sha256.Sum256(c.Settings)
	return &Code{Kind: c.Form, Arch: c.Arch, CompatID: "sha256:" + hex.EncodeToString(sum[:])}, nil
}
