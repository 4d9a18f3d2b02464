// Package precompiled recognises native code that was made of WebAssembly ahead
// of time, by what the runtimes write: wasmtime, WAMR, wasmer and WasmEdge. It
// says what a file claims to be, and nothing of what is in it: native code cannot
// be verified by looking.
package precompiled

import (
	"bytes"
	"encoding/binary"
	"io"
	"strconv"
)

// Runtimes, as they are called in artifact types.
const (
	Wasmtime = "wasmtime"
	WAMR     = "wamr"
	Wasmer   = "wasmer"
	WasmEdge = "wasmedge"
)

// Forms of a file.
const (
	Module    = "module"
	Component = "component"
	Universal = "universal" // native code beside or around the WebAssembly
	Library   = "library"   // an ordinary shared library
)

// Code is what a file says of itself. What it does not say is empty.
type Code struct {
	Runtime string
	Form    string
	// Version is that of the format, which each runtime counts in its own way:
	// wasmtime 39, WAMR 6, wasmer's metadata 17, WasmEdge 3.
	Version string
	OS      string // of Go's names
	Arch    string // of Go's names, or "pulley64"; that of the file if there is no name
	Triple  string // of wasmtime
	// Flags are those of the processor that wasmtime was allowed to use.
	Flags []string
	// Settings is the section that wasmtime compares before it loads the code: the
	// whole of .wasmtime.engine, at most MaxSettings bytes.
	Settings []byte
}

// MaxSettings bounds Code.Settings in bytes; wasmtime 39 writes 980.
const MaxSettings = 64 << 10

// maxLibrary is how much of a shared library is searched for the names by which
// its runtime is known.
const maxLibrary = 64 << 20

// Read tells what native code a file is, of size bytes. It is false of all else,
// WebAssembly with native code beside it too: see [Section]. It reads headers, of
// wasmtime's files the settings, and of a shared library up to 64 MiB, a piece at
// a time. A file that cannot be read is none.
func Read(r io.ReaderAt, size int64) (*Code, bool) {
	head := make([]byte, min(size, headerSize))
	if n, _ := r.ReadAt(head, 0); n < len(head) {
		return nil, false
	}
	c, ok := Header(head)
	if !ok {
		if library(head) {
			return readLibrary(r, size)
		}
		return nil, false
	}
	if c.Runtime == Wasmtime {
		if settings := section(r, size, head, ".wasmtime.engine"); len(settings) > 0 {
			c.Settings = settings
			c.engine(settings)
		}
	}
	return c, true
}

// headerSize is how much of a file Header needs at most.
const headerSize = 128

// Header tells what a file is by its first 128 bytes alone, in constant time. Of
// wasmtime's files it knows no version and no settings, and it knows no shared
// libraries.
func Header(head []byte) (*Code, bool) {
	switch {
	case bytes.HasPrefix(head, []byte("\x7fELF")):
		return readELF(head)
	case bytes.HasPrefix(head, []byte("\x00aot")):
		return readWAMR(head)
	case bytes.HasPrefix(head, []byte(wasmerUniversal)):
		return readWasmer(head[len(wasmerUniversal):])
	case bytes.HasPrefix(head, []byte(wasmerMetadata)):
		return readWasmer(head)
	}
	return nil, false
}

// readWAMR reads the target section, which comes first (AOT file format of WAMR:
// magic, version, then section 0 with the kinds of the binary and its machine).
func readWAMR(b []byte) (*Code, bool) {
	const section, arch, width = 16, 16 + 32, 16
	if len(b) < section+2 {
		return nil, false
	}
	version, id, size := binary.LittleEndian.Uint32(b[4:]), binary.LittleEndian.Uint32(b[8:]), binary.LittleEndian.Uint32(b[12:])
	if version == 0 || version > 100 || id != 0 || size < 32 || size > 256 {
		return nil, false
	}
	c := &Code{Runtime: WAMR, Form: Module, Version: strconv.FormatUint(uint64(version), 10)}
	if len(b) >= arch+width {
		name, _, _ := bytes.Cut(b[arch:arch+width], []byte{0})
		c.Arch = goArch(word(name))
	}
	return c, true
}

const (
	wasmerUniversal = "wasmer-universal"
	wasmerMetadata  = "WASMER\x00\x00"
)

// readWasmer reads the header of the metadata.
func readWasmer(b []byte) (*Code, bool) {
	if len(b) < len(wasmerMetadata)+8 || !bytes.HasPrefix(b, []byte(wasmerMetadata)) {
		return nil, false
	}
	version := binary.LittleEndian.Uint32(b[len(wasmerMetadata):])
	if version == 0 || version > 1000 {
		return nil, false
	}
	return &Code{Runtime: Wasmer, Form: Universal, Version: strconv.FormatUint(uint64(version), 10)}, true
}

// SectionName is that of the custom section in which WasmEdge keeps native code
// inside of valid WebAssembly.
const SectionName = "wasmedge"

// String says it in words: "module compiled by wasmtime 39 for
// x86_64-unknown-linux-gnu".
func (c *Code) String() string {
	form := c.Form
	if form == Universal {
		form = "program"
	}
	s := form + " compiled by " + c.Runtime
	if c.Version != "" {
		s += " " + c.Version
	}
	switch {
	case c.Triple != "":
		s += " for " + c.Triple
	case c.OS != "" && c.Arch != "":
		s += " for " + c.OS + "/" + c.Arch
	case c.Arch != "":
		s += " for " + c.Arch
	}
	return s
}

// Section reads the beginning of that section's content: the version of the
// format, a system and a machine.
func Section(content []byte) (*Code, bool) {
	version, n := binary.Uvarint(content[:min(len(content), 5)])
	if n <= 0 || version == 0 || len(content) < n+2 {
		return nil, false
	}
	return &Code{
		Runtime: WasmEdge, Form: Universal, Version: strconv.FormatUint(version, 10),
		OS:   pick(content[n], "", "linux", "darwin", "windows"),
		Arch: pick(content[n+1], "", "amd64", "arm64", "riscv64", "arm", "s390x"),
	}, true
}

// pick gives the name of code i, the first one if there is none.
func pick(i byte, names ...string) string {
	if int(i) < len(names) {
		return names[i]
	}
	return names[0]
}

// word is b if it is a name that can be printed, else "".
func word(b []byte) string {
	if len(b) > 64 {
		return ""
	}
	for _, c := range b {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' && c != '-' && c != '.' {
			return ""
		}
	}
	return string(b)
}

// goArch is Go's name of an architecture, or the name itself.
func goArch(name string) string {
	switch name {
	case "x86_64":
		return "amd64"
	case "aarch64", "aarch64v8", "arm64":
		return "arm64"
	case "i386", "x86":
		return "386"
	}
	return name
}

// maxInside bounds the sections that Inside looks at. Real modules have a few
// dozen; object files a few hundred.
const maxInside = 10_000

// Inside tells which native code WasmEdge put into a file of WebAssembly of size
// bytes. It reads the headers of sections alone. Where they are broken it ends.
func Inside(r io.ReaderAt, size int64) (*Code, bool) {
	head := make([]byte, 8)
	if n, _ := r.ReadAt(head, 0); n < len(head) || string(head[:4]) != "\x00asm" {
		return nil, false
	}
	at := int64(len(head))
	for range maxInside {
		b := make([]byte, min(32, max(size-at, 0)))
		if n, _ := r.ReadAt(b, at); n < len(b) || len(b) < 2 {
			return nil, false
		}
		length, n := binary.Uvarint(b[1:min(len(b), 6)])
		if n <= 0 || length > uint64(size-at-1-int64(n)) {
			return nil, false
		}
		content := b[1+n:]
		content = content[:min(uint64(len(content)), length)]
		if name := "\x08" + SectionName; b[0] == 0 && bytes.HasPrefix(content, []byte(name)) {
			if c, ok := Section(content[len(name):]); ok {
				return c, true
			}
		}
		at += 1 + int64(n) + int64(length)
	}
	return nil, false
}
