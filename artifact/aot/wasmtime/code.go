package wasmtime

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/wreg-project/wreg/artifact/aot/wasmtime/wire"
	"github.com/wreg-project/wreg/artifact/variant"
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

// The parts of ELF that are read (System V ABI, "Object Files"), and what
// wasmtime puts there (environ/src/obj.rs in its source).
const (
	headerSize  = 64
	sectionSize = 64

	osABI         = 200
	flagModule    = 1 << 0
	flagComponent = 1 << 1
	flagPulley32  = 1 << 2
	flagPulley64  = 1 << 3

	machineAMD64 = 62
	machineARM64 = 183

	engineSection = ".wasmtime.engine"
)

// Limits of the reader. Real files have a dozen sections, 300 bytes of names and
// a kilobyte about the engine.
const (
	maxSections = 64
	maxNames    = 4 << 10
	maxEngine   = 64 << 10
)

// ReadCode reads the head of native code in the first size bytes of r: the ELF
// header, the list of sections, their names and the section about the engine,
// which is at most 80 KiB. Its error is ErrCode or of r.
func ReadCode(r io.ReaderAt, size int64) (*Code, error) {
	f := &objectFile{r: r, size: size}
	h, err := f.bytes("header", 0, headerSize)
	if err != nil {
		return nil, err
	}
	if string(h[:7]) != "\x7fELF\x02\x01\x01" || h[7] != osABI {
		return nil, fmt.Errorf("%w: it does not begin as such code does", ErrCode)
	}
	c := new(Code)
	if c.Kind, c.Arch, err = flags(binary.LittleEndian.Uint16(h[18:]), binary.LittleEndian.Uint32(h[48:])); err != nil {
		return nil, err
	}
	engine, err := f.section(h, engineSection)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(engine)
	c.CompatID = "sha256:" + hex.EncodeToString(sum[:])
	return c, nil
}

// flags reads what kind of code it is and which machine it is for.
func flags(machine uint16, flags uint32) (kind, arch string, err error) {
	switch flags & (flagModule | flagComponent) {
	case flagModule:
		kind = wire.Module
	case flagComponent:
		kind = wire.Component
	default:
		return "", "", fmt.Errorf("%w: flags %#x are neither of a module nor of a component", ErrCode, flags)
	}
	switch {
	case flags&flagPulley64 != 0 && flags&flagPulley32 == 0:
		return kind, variant.Pulley64, nil
	case flags&(flagPulley64|flagPulley32) != 0:
	case machine == machineAMD64:
		return kind, "amd64", nil
	case machine == machineARM64:
		return kind, "arm64", nil
	}
	return "", "", fmt.Errorf("%w: it is for no machine that is known (%d, flags %#x)", ErrCode, machine, flags)
}

// objectFile is an ELF file of 64 bits, little-endian.
type objectFile struct {
	r    io.ReaderAt
	size int64
}

// section finds the one section of that name by the file header h.
func (f *objectFile) section(h []byte, name string) ([]byte, error) {
	if n := binary.LittleEndian.Uint16(h[58:]); n != sectionSize {
		return nil, fmt.Errorf("%w: entries of sections have %d bytes, not %d", ErrCode, n, sectionSize)
	}
	n, at := int(binary.LittleEndian.Uint16(h[60:])), int(binary.LittleEndian.Uint16(h[62:]))
	if n > maxSections || at >= n {
		return nil, fmt.Errorf("%w: %d sections, of which number %d has the names; at most %d are read", ErrCode, n, at, maxSections)
	}
	list, err := f.bytes("list of sections", binary.LittleEndian.Uint64(h[40:]), uint64(n)*sectionSize)
	if err != nil {
		return nil, err
	}
	entry := func(i int) (name uint32, off, size uint64) {
		e := list[i*sectionSize:]
		return binary.LittleEndian.Uint32(e), binary.LittleEndian.Uint64(e[24:]), binary.LittleEndian.Uint64(e[32:])
	}
	_, off, size := entry(at)
	if size > maxNames {
		return nil, fmt.Errorf("%w: %d bytes of names, at most %d are read", ErrCode, size, maxNames)
	}
	names, err := f.bytes("names of sections", off, size)
	if err != nil {
		return nil, err
	}
	var found []byte
	for i := range n {
		start, off, size := entry(i)
		if uint64(start) >= uint64(len(names)) || !bytes.HasPrefix(names[start:], []byte(name+"\x00")) {
			continue
		}
		if found != nil || size == 0 || size > maxEngine {
			return nil, fmt.Errorf("%w: section %s is there twice or has %d bytes, of at most %d", ErrCode, name, size, maxEngine)
		}
		if found, err = f.bytes(name, off, size); err != nil {
			return nil, err
		}
	}
	if found == nil {
		return nil, fmt.Errorf("%w: it has no section %s", ErrCode, name)
	}
	return found, nil
}

// bytes reads n bytes, which the caller has bounded.
func (f *objectFile) bytes(what string, off, n uint64) ([]byte, error) {
	if size := uint64(max(f.size, 0)); off > size || n > size-off {
		return nil, fmt.Errorf("%w: the %s at %d, of %d bytes, is outside of the file of %d", ErrCode, what, off, n, f.size)
	}
	b := make([]byte, n)
	if _, err := f.r.ReadAt(b, int64(off)); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return b, nil
}
