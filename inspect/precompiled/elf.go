package precompiled

import (
	"bytes"
	"encoding/binary"
	"io"
	"strings"
)

// osabiWasmtime is the operating system that wasmtime's ELF files name.
const osabiWasmtime = 200

// The flags of their headers.
const (
	flagModule    = 1
	flagComponent = 2
	flagPulley32  = 4
	flagPulley64  = 8
)

// Bounds of what is read of an ELF file.
const (
	maxSections = 4096
	maxNames    = 64 << 10 // bytes of the names of sections
	maxFlags    = 256
)

// readELF reads the header of wasmtime's own kind of file.
func readELF(head []byte) (*Code, bool) {
	// 64 bits, little endian, version 1, and a header and entries of sections of
	// 64 bytes.
	if len(head) < 64 || head[4] != 2 || head[5] != 1 || head[6] != 1 || head[7] != osabiWasmtime || head[52] != 64 || head[53] != 0 {
		return nil, false
	}
	flags := binary.LittleEndian.Uint32(head[48:])
	c := &Code{Runtime: Wasmtime, Arch: machine(binary.LittleEndian.Uint16(head[18:]))}
	switch flags & (flagModule | flagComponent) {
	case flagModule:
		c.Form = Module
	case flagComponent:
		c.Form = Component
	}
	switch {
	case flags&flagPulley64 != 0 && flags&flagPulley32 != 0:
		c.Arch = ""
	case flags&flagPulley64 != 0:
		c.Arch = "pulley64"
	case flags&flagPulley32 != 0:
		c.Arch = "pulley32"
	}
	return c, true
}

func machine(m uint16) string {
	switch m {
	case 3:
		return "386"
	case 40:
		return "arm"
	case 62:
		return "amd64"
	case 183:
		return "arm64"
	case 243:
		return "riscv64"
	case 22:
		return "s390x"
	}
	return ""
}

// section gives the content of the first section of that name, nil if there is
// none or it is not in the file, or too large.
func section(r io.ReaderAt, size int64, head []byte, name string) []byte {
	const entry = 64 // bytes of a header of a section
	table := binary.LittleEndian.Uint64(head[40:])
	width, count, namesAt := binary.LittleEndian.Uint16(head[58:]), int(binary.LittleEndian.Uint16(head[60:])), int(binary.LittleEndian.Uint16(head[62:]))
	if width != entry || count > maxSections || namesAt >= count {
		return nil
	}
	headers := piece(r, size, table, uint64(count)*entry, maxSections*entry)
	if headers == nil {
		return nil
	}
	content := func(i int, limit uint64) []byte {
		h := headers[i*entry:]
		return piece(r, size, binary.LittleEndian.Uint64(h[24:]), binary.LittleEndian.Uint64(h[32:]), limit)
	}
	names := content(namesAt, maxNames)
	for i := range count {
		at := uint64(binary.LittleEndian.Uint32(headers[i*entry:]))
		if at >= uint64(len(names)) {
			continue
		}
		if rest := names[at:]; len(rest) > len(name) && string(rest[:len(name)]) == name && rest[len(name)] == 0 {
			return content(i, MaxSettings)
		}
	}
	return nil
}

// piece reads n bytes of a file from an offset on, nil if they are more than the
// limit or not all in it.
func piece(r io.ReaderAt, size int64, off, n, limit uint64) []byte {
	if n > limit || off > uint64(size) || n > uint64(size)-off {
		return nil
	}
	b := make([]byte, n)
	if read, _ := r.ReadAt(b, int64(off)); read < len(b) {
		return nil
	}
	return b
}

// engine reads the settings: a zero, the version, and then in the encoding of
// postcard the target, the settings that all targets share and those of this one.
// What cannot be read ends it; a later version may write something else.
func (c *Code) engine(b []byte) {
	p := postcard{b: b}
	if len(b) < 2 || b[0] != 0 || int(b[1]) > len(b)-2 {
		return
	}
	version := word(b[2 : 2+int(b[1])])
	p.b = b[2+int(b[1]):]
	triple := word(p.text())
	if version == "" || triple == "" {
		return
	}
	c.Version, c.Triple = version, triple
	c.OS = tripleOS(triple)
	p.settings()
	flags := p.settings()
	if !p.bad {
		c.Flags = flags
	}
}

// tripleOS is Go's name of the operating system of a triple.
func tripleOS(triple string) string {
	for part := range strings.SplitSeq(triple, "-") {
		switch part {
		case "linux", "windows", "freebsd", "android":
			return part
		case "darwin", "macosx":
			return "darwin"
		}
	}
	return ""
}

// postcard reads numbers and texts until one of them is bad.
type postcard struct {
	b   []byte
	bad bool
}

func (p *postcard) number() uint64 {
	v, n := binary.Uvarint(p.b[:min(len(p.b), 10)])
	if n <= 0 {
		p.bad, p.b = true, nil
		return 0
	}
	p.b = p.b[n:]
	return v
}

func (p *postcard) text() []byte {
	n := p.number()
	if n > uint64(len(p.b)) {
		p.bad, p.b = true, nil
		return nil
	}
	s := p.b[:n]
	p.b = p.b[n:]
	return s
}

// settings reads a list of names with values, and gives those that are true. A
// value is one of a few words, a number, or true or false.
func (p *postcard) settings() []string {
	count := p.number()
	if count > maxFlags {
		p.bad = true
	}
	var on []string
	for range count {
		name := word(p.text())
		switch kind := p.number(); {
		case kind == 0:
			p.text()
		case kind <= 2 && len(p.b) > 0:
			if kind == 2 && p.b[0] == 1 && name != "" {
				on = append(on, name)
			}
			p.b = p.b[1:]
		default:
			p.bad = true
		}
		if p.bad {
			return nil
		}
	}
	return on
}

// library reports whether a file begins as a shared library does: ELF, Mach-O or
// PE.
func library(head []byte) bool {
	return bytes.HasPrefix(head, []byte("\x7fELF")) || bytes.HasPrefix(head, []byte("\xcf\xfa\xed\xfe")) || bytes.HasPrefix(head, []byte("MZ"))
}

// names are what runtimes export from libraries that they compile.
var names = []struct {
	name    string
	runtime string
}{
	{wasmerMetadata, Wasmer},
	{"WASMER_METADATA\x00", Wasmer},
	{"\x00wasm.code\x00", WasmEdge},
	{"\x00wasm.size\x00", WasmEdge},
}

// readLibrary looks for those names, in pieces that overlap by the longest.
func readLibrary(r io.ReaderAt, size int64) (*Code, bool) {
	const overlap = 32
	buf := make([]byte, min(size, 1<<20))
	for at := int64(0); at < min(size, maxLibrary); at += int64(len(buf)) - overlap {
		n, err := r.ReadAt(buf, at)
		for _, known := range names {
			if bytes.Contains(buf[:n], []byte(known.name)) {
				return &Code{Runtime: known.runtime, Form: Library}, true
			}
		}
		if err != nil || n < len(buf) || len(buf) <= overlap {
			return nil, false
		}
	}
	return nil, false
}
