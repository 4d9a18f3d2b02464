package signal

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/wreg-project/wreg/inspect/wasm"
)

// Precompiled reports on a file that is native code made of WebAssembly ahead of
// time, in place of WebAssembly: the output of wasmtime, WAMR, wasmer or
// WasmEdge. It is false of every other file. Head must hold the beginning of the
// file; of wasmtime's 4 KiB are enough, of a WasmEdge library all of it is
// needed.
func Precompiled(head []byte) (*Findings, bool) {
	what := precompiled(head)
	if what == "" {
		return nil, false
	}
	f := &Findings{}
	f.add(rulePrecompiledFile, 95, Place{}, func() string { return what })
	return f, true
}

func precompiled(b []byte) string {
	switch {
	case bytes.HasPrefix(b, []byte("\x7fELF")):
		return precompiledELF(b)
	case bytes.HasPrefix(b, []byte("\x00aot")):
		what, _ := checkWAMR(b)
		return what
	case bytes.HasPrefix(b, []byte("wasmer-universal")):
		what, _ := checkWasmer(b)
		return what
	case bytes.HasPrefix(b, []byte("WASMER\x00\x00")):
		return "program compiled by wasmer"
	}
	return ""
}

func precompiledELF(b []byte) string {
	what, _ := checkELF(b)
	switch {
	case what == "":
		return ""
	case b[7] == osabiWasmtime && len(b) >= 52:
		return what + wasmtimeKind(binary.LittleEndian.Uint32(b[48:]))
	case bytes.Contains(b, []byte("WASMER\x00\x00")) || bytes.Contains(b, []byte("\x00WASMER_METADATA\x00")):
		return "library compiled by wasmer"
	case bytes.Contains(b, []byte("\x00wasm.code\x00")) || bytes.Contains(b, []byte("\x00wasm.size\x00")):
		return "library compiled by WasmEdge"
	}
	return ""
}

// wasmtimeKind reads the flags of the ELF header.
func wasmtimeKind(flags uint32) string {
	kind := ", a module"
	if flags&2 != 0 {
		kind = ", a component"
	}
	if flags&(4|8) != 0 {
		kind += " for Pulley"
	}
	return kind
}

// wasmEdge reports on WasmEdge's section: valid WebAssembly with native code of
// the same program beside it.
func (f *Findings) wasmEdge(s wasm.Section, b []byte) {
	version, n := binary.Uvarint(b[:min(len(b), 5)])
	what := fmt.Sprintf("section wasmedge of %d bytes", s.Size)
	if n > 0 && len(b) >= n+2 {
		what = fmt.Sprintf("program compiled by WasmEdge (version %d, %s, %s), %d bytes", version,
			pick(b[n], "unknown system", "linux", "macos", "windows"),
			pick(b[n+1], "unknown machine", "x86-64", "aarch64", "riscv64", "arm", "s390x"), s.Size)
	}
	f.add(rulePrecompiledSection, 95, Place{Offset: s.Offset, Section: s.Name}, func() string { return what })
}

// pick gives the name of code i, the first one if there is none.
func pick(i byte, names ...string) string {
	if int(i) < len(names) {
		return names[i]
	}
	return names[0]
}
