package signal

import (
	"bytes"
	"fmt"

	"github.com/wreg-project/wreg/inspect/precompiled"
	"github.com/wreg-project/wreg/inspect/wasm"
)

// Precompiled reports on a file that is native code made of WebAssembly ahead of
// time, in place of WebAssembly: the output of wasmtime, WAMR, wasmer or
// WasmEdge. It is false of every other file. Of a file that is cut short it says
// what its beginning says; a library of wasmer or WasmEdge may not be recognised
// then.
func Precompiled(file []byte) (*Findings, bool) {
	c, ok := precompiled.Read(bytes.NewReader(file), int64(len(file)))
	if !ok {
		return nil, false
	}
	f := &Findings{}
	f.add(rulePrecompiledFile, 95, Place{}, c.String)
	return f, true
}

// wasmEdge reports on WasmEdge's section: valid WebAssembly with native code of
// the same program beside it.
func (f *Findings) wasmEdge(s wasm.Section, b []byte) {
	what := "section " + precompiled.SectionName
	if c, ok := precompiled.Section(b); ok {
		what = c.String()
	}
	f.add(rulePrecompiledSection, 95, Place{Offset: s.Offset, Section: s.Name}, func() string { return fmt.Sprintf("%s, %d bytes", what, s.Size) })
}

// checkCode is about native code inside of something else. It reads no more than
// a header: a file may have a million of them.
func checkCode(b []byte) (string, int) {
	c, ok := precompiled.Header(b)
	if !ok {
		return "", 0
	}
	return c.String(), 0
}
