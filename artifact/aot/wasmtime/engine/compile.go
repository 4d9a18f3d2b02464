//go:build cgo && (linux || darwin)

package engine

// #include "capi.h"
import "C"

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"unsafe"

	"github.com/wreg-project/wreg/artifact/aot/wasmtime/wire"
	"github.com/wreg-project/wreg/artifact/variant"
	"github.com/wreg-project/wreg/inspect/precompiled"
)

// Preambles of binaries: the magic bytes, then version and layer.
const (
	preambleModule    = "\x00asm\x01\x00\x00\x00"
	preambleComponent = "\x00asm\x0d\x00\x01\x00"
)

// kindOf tells by its first bytes whether a binary is a module or a component;
// "" is neither.
func kindOf(wasm []byte) string {
	switch {
	case bytes.HasPrefix(wasm, []byte(preambleModule)):
		return wire.Module
	case bytes.HasPrefix(wasm, []byte(preambleComponent)):
		return wire.Component
	}
	return ""
}

// Compile writes the native code of a module or component to out, the same bytes
// every time. What wasmtime does not accept is ErrInput or ErrLimit; a target
// above the level of this machine is ErrUnsupported. It runs on one core, and
// ends the process if wasmtime crashes or memory runs out.
func (e *Engine) Compile(wasm []byte, out io.Writer) error {
	var code C.wasm_byte_vec_t
	var err error
	switch kindOf(wasm) {
	case wire.Module:
		err = e.module(wasm, &code)
	case wire.Component:
		err = e.component(wasm, &code)
	default:
		return fmt.Errorf("%w: neither a WebAssembly module nor a component", ErrInput)
	}
	if err != nil {
		return e.refused(err)
	}
	defer C.wasm_byte_vec_delete(&code)
	_, err = out.Write(unsafe.Slice((*byte)(unsafe.Pointer(code.data)), code.size))
	return err
}

func (e *Engine) module(wasm []byte, code *C.wasm_byte_vec_t) error {
	var m *C.wasmtime_module_t
	if err := failure(C.wasmtime_module_new(e.c, data(wasm), C.size_t(len(wasm)), &m)); err != nil {
		return err
	}
	defer C.wasmtime_module_delete(m)
	return failure(C.wasmtime_module_serialize(m, code))
}

func (e *Engine) component(wasm []byte, code *C.wasm_byte_vec_t) error {
	var c *C.wasmtime_component_t
	if err := failure(C.wasmtime_component_new(e.c, data(wasm), C.size_t(len(wasm)), &c)); err != nil {
		return err
	}
	defer C.wasmtime_component_delete(c)
	return failure(C.wasmtime_component_serialize(c, code))
}

func data(b []byte) *C.uint8_t { return (*C.uint8_t)(unsafe.Pointer(unsafe.SliceData(b))) }

// refused says which kind of error an error of the compiler is.
func (e *Engine) refused(err error) error {
	text := causes(err)
	switch {
	case strings.Contains(text, "not compatible with the native host"), strings.Contains(text, "does not match the host"):
		return fmt.Errorf("%s: %w, since this machine could not load it: %s", e.target, ErrUnsupported, text)
	case strings.Contains(text, "mplementation limit"), strings.Contains(text, "too large"):
		return fmt.Errorf("%w: %s", ErrLimit, text)
	}
	return fmt.Errorf("%w: %s", ErrInput, text)
}

// Targets are those that this machine compiles for and loads, the one it runs
// best first, the portable one last. It tries each, which takes a few
// milliseconds.
func Targets() ([]wire.Support, error) {
	var all []wire.Support
	for _, t := range candidates() {
		s, err := settingsOf(t)
		if err != nil {
			return nil, err
		}
		id, err := compatID(Options{Target: t})
		fast := ""
		if err == nil {
			fast, err = compatID(Options{Target: t, Fast: true})
		}
		switch {
		case err == nil:
			all = append(all, wire.Support{Target: t.String(), Triple: s.triple, ISAFlags: s.flags, CompatID: id, FastID: fast})
		case t == variant.Portable || t.Level == "" || t.Level == "v1":
			return nil, err // every machine can
		}
	}
	return all, nil
}

// compatID identifies the settings of code that an engine with these options
// makes: the digest of the section .wasmtime.engine, which wasmtime compares before
// it loads. It does not depend on what was compiled.
func compatID(o Options) (string, error) {
	e, err := New(o)
	if err != nil {
		return "", err
	}
	defer e.Close()
	var code bytes.Buffer
	if err := e.Compile([]byte(preambleModule), &code); err != nil {
		return "", err
	}
	made, ok := precompiled.Read(bytes.NewReader(code.Bytes()), int64(code.Len()))
	if !ok || len(made.Settings) == 0 {
		return "", errors.New("code of the empty module has no section .wasmtime.engine")
	}
	sum := sha256.Sum256(made.Settings)
	return "sha256:" + hex.EncodeToString(sum[:]), nil
}

// candidates are the targets of a machine like this one, best first.
func candidates() []variant.Target {
	if runtime.GOARCH == "amd64" {
		var all []variant.Target
		for _, level := range []string{"v3", "v2", "v1"} {
			all = append(all, variant.Target{OS: runtime.GOOS, Arch: runtime.GOARCH, Level: level})
		}
		return append(all, variant.Portable)
	}
	return []variant.Target{{OS: runtime.GOOS, Arch: runtime.GOARCH}, variant.Portable}
}
