//go:build cgo && (linux || darwin)

// Package engine is wasmtime: it compiles WebAssembly to native code, loads such
// code and runs it. cmd/wpkg-engine is the only program that may link it.
//
// Three things follow from what wasmtime is. A bug in it, or too little memory,
// ends the process by SIGABRT, so [Engine.Compile] belongs into a child process
// within limits (package sandbox). Loaded code does as it likes, so [Engine.Load]
// is for files whose maker is known (package aot). And a guest runs on a thread
// that nothing but the end of the process stops while it waits for input or a
// timer, see [Code.Run].
//
// All is done with one set of settings, aot.Profile: wasmtime's defaults, with
// interruption by epochs. Everything an engine made is closed before it.
package engine

// #include "capi.h"
// #include <stdlib.h>
import "C"

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"unsafe"

	_ "github.com/bytecodealliance/wasmtime-go/v39" // libwasmtime.a and how it is linked

	"github.com/wreg-project/wreg/artifact/variant"
)

// Version is the version of wasmtime, in full: what it loads is told apart by
// the major alone, but faults of a compiler are mended in patches.
const Version = "39.0.1"

// Errors of this package, each wrapped with what happened and what to do.
var (
	ErrInput       = errors.New("wasmtime refuses it")
	ErrLimit       = errors.New("too much for wasmtime")
	ErrUnsupported = errors.New("not possible here")
)

// Options are the settings of an Engine.
type Options struct {
	// Target is what the engine compiles for and loads code of: one of
	// [Targets]. Code of a lower level than Target loads too.
	Target variant.Target
	// Fast makes Compile take time in proportion to its input, for larger and
	// slower code (aot.Fast).
	Fast bool
	// Leave has [Code.Run] and [Code.Invoke] free nothing, for a process that ends
	// after one of them: the system frees all of it at once, and sooner.
	Leave bool
}

// An Engine compiles and loads. It is not for concurrent use.
type Engine struct {
	c      *C.wasm_engine_t
	target variant.Target
	leave  bool
}

// quiet keeps Rust from adding stacks of its own to every error.
var quiet = sync.OnceFunc(func() {
	for _, name := range []string{"RUST_BACKTRACE", "RUST_LIB_BACKTRACE"} {
		c := C.CString(name)
		C.unsetenv(c)
		C.free(unsafe.Pointer(c))
	}
})

// New makes an engine. A target of another machine is ErrUnsupported.
func New(o Options) (*Engine, error) {
	s, err := settingsOf(o.Target)
	if err != nil {
		return nil, err
	}
	quiet()
	config := C.wasm_config_new()
	C.wasmtime_config_epoch_interruption_set(config, true)
	C.wasmtime_config_parallel_compilation_set(config, false)
	var names arena
	defer names.free()
	if err := failure(C.wasmtime_config_target_set(config, names.str(s.triple))); err != nil {
		C.wasm_config_delete(config)
		return nil, fmt.Errorf("%s: %w: %w", o.Target, ErrUnsupported, err)
	}
	for _, flag := range s.flags {
		C.wasmtime_config_cranelift_flag_enable(config, names.str(flag))
	}
	if o.Fast {
		C.wasmtime_config_cranelift_opt_level_set(config, C.WASMTIME_OPT_LEVEL_NONE)
		C.wasmtime_config_cranelift_flag_set(config, names.str("regalloc_algorithm"), names.str("single_pass"))
	}
	return &Engine{c: C.wasm_engine_new_with_config(config), target: o.Target, leave: o.Leave}, nil
}

// Close frees the engine.
func (e *Engine) Close() { C.wasm_engine_delete(e.c) }

// settings are those that a target is compiled with. Each flag is one that
// Cranelift knows: another would abort the process.
type settings struct {
	triple string
	flags  []string
}

// flagsOf are the flags of Cranelift for a level of the x86-64 psABI. Like all of
// this package they are no map, which would be made at each start.
func flagsOf(level string) (flags []string, known bool) {
	switch level {
	case "v1":
		return nil, true
	case "v2":
		return []string{"has_cmpxchg16b", "has_sse3", "has_ssse3", "has_sse41", "has_sse42", "has_popcnt"}, true
	case "v3":
		return []string{
			"has_cmpxchg16b", "has_sse3", "has_ssse3", "has_sse41", "has_sse42", "has_popcnt",
			"has_avx", "has_avx2", "has_bmi1", "has_bmi2", "has_fma", "has_lzcnt",
		}, true
	}
	return nil, false
}

// triple is that of the machines that this wpkg-engine is built for. That one is
// given keeps wasmtime from using whatever else the CPU at hand can do.
func triple() string {
	arch := "x86_64"
	if runtime.GOARCH == "arm64" {
		arch = "aarch64"
	}
	if runtime.GOOS == "darwin" {
		return arch + "-apple-darwin"
	}
	return arch + "-unknown-linux-gnu"
}

func settingsOf(t variant.Target) (settings, error) {
	if t == variant.Portable {
		return settings{triple: variant.Pulley64}, nil
	}
	flags, known := flagsOf(t.Level)
	if t.OS != runtime.GOOS || t.Arch != runtime.GOARCH || known != (t.Arch == "amd64") {
		return settings{}, fmt.Errorf("%s: %w: this wpkg-engine is for %s/%s and %s; use one built for that machine, natively or under qemu",
			t, ErrUnsupported, runtime.GOOS, runtime.GOARCH, variant.Pulley64)
	}
	return settings{triple: triple(), flags: flags}, nil
}

// failure is the error that wasmtime returned, nil for none. It frees it.
func failure(c *C.wasmtime_error_t) error {
	if c == nil {
		return nil
	}
	defer C.wasmtime_error_delete(c)
	var text C.wasm_byte_vec_t
	C.wasmtime_error_message(c, &text)
	return message(&text)
}

// message is an error with a text of wasmtime's, which it frees.
func message(text *C.wasm_byte_vec_t) error {
	defer C.wasm_byte_vec_delete(text)
	return errors.New(shorten(unsafe.Slice((*byte)(unsafe.Pointer(text.data)), int(text.size))))
}

// What is kept of an error of wasmtime's, in bytes from its beginning and its end. A
// stack that overflowed has a line for each of 16,000 calls, with a name in it that
// the guest chose and that has up to 100,000 bytes.
const textHead, textTail = 6 << 10, 2 << 10

// shorten gives the text of an error without the stack of the engine behind it, and
// if that is long, without what is in the middle of it.
func shorten(text []byte) string {
	text, _, _ = bytes.Cut(text, []byte("\n\nStack backtrace:"))
	text = bytes.TrimRight(text, "\x00\n")
	if len(text) <= textHead+textTail {
		return string(text)
	}
	head, tail := text[:textHead], text[len(text)-textTail:]
	if i := bytes.LastIndexByte(head, '\n'); i >= 0 {
		head = head[:i]
	}
	if i := bytes.IndexByte(tail, '\n'); i >= 0 {
		tail = tail[i+1:]
	}
	return fmt.Sprintf("%s\n    … %d bytes …\n%s", head, len(text)-len(head)-len(tail), tail)
}

// causes writes an error of wasmtime's, which has a line for each cause, on one.
func causes(err error) string {
	var parts []string
	for line := range strings.Lines(err.Error()) {
		line = strings.TrimSpace(line)
		if number, rest, found := strings.Cut(line, ": "); found && len(number) < 3 && strings.Trim(number, "0123456789") == "" {
			line = rest
		}
		if line != "" && line != "Caused by:" {
			parts = append(parts, line)
		}
	}
	return strings.Join(parts, ": ")
}

// arena holds strings of C until free.
type arena []unsafe.Pointer

func (a *arena) str(s string) *C.char {
	c := C.CString(s)
	*a = append(*a, unsafe.Pointer(c))
	return c
}

// list is an array of strings, one entry longer so that it is never empty.
func (a *arena) list(ss []string) **C.char {
	size := unsafe.Sizeof((*C.char)(nil))
	p := C.malloc(C.size_t(len(ss)+1) * C.size_t(size))
	*a = append(*a, p)
	for i, s := range ss {
		*(**C.char)(unsafe.Add(p, uintptr(i)*size)) = a.str(s)
	}
	return (**C.char)(p)
}

func (a *arena) free() {
	for _, p := range *a {
		C.free(p)
	}
	*a = nil
}
