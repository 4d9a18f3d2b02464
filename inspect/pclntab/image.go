package pclntab

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/wreg-project/wreg/inspect/text"
	"github.com/wreg-project/wreg/inspect/wasm"
)

// An image is the memory that active data segments fill, from the first byte
// that one does on. Go's linker leaves out every run of eight zeros, so a table
// lies in thousands of segments.
type image struct {
	base  uint64
	bytes []byte
}

const (
	// maxSparse is how many times the bytes of its segments an image may have. A
	// program of 4 MB has half again as many, most of which are in its tables.
	maxSparse = 4

	// sparseAnyway is what a small module may have besides, in bytes.
	sparseAnyway = 1 << 20
)

// hasMagic reports whether a segment has the first bytes of a table, which no
// linker tears apart: there is no run of zeros in them. But for their first byte
// those of all formats are the same. Most modules are not of Go, and need no
// memory to find out.
func hasMagic(b *wasm.Binary) bool {
	rest := formats[0].begin()[1:]
	for s := range segments(b) {
		if bytes.Contains(s.Bytes, rest) {
			return true
		}
	}
	return false
}

func newImage(b *wasm.Binary) (image, error) {
	lo, hi, sum := ^uint64(0), uint64(0), uint64(0)
	for s := range segments(b) {
		n := uint64(len(s.Bytes))
		if s.Address > 1<<48 {
			return image{}, fmt.Errorf("%w: data segment %d lies at address %#x", ErrLimit, s.Index, s.Address)
		}
		lo, hi, sum = min(lo, s.Address), max(hi, s.Address+n), sum+n
	}
	if sum == 0 {
		return image{}, ErrNone
	}
	lo &^= wordSize - 1
	hi = (hi + wordSize - 1) &^ (wordSize - 1) // zeros at the end are left out, too
	if hi-lo > maxSparse*sum+sparseAnyway {
		return image{}, fmt.Errorf("%w: %d bytes of data are spread over %d bytes of memory", ErrLimit, sum, hi-lo)
	}
	m := image{base: lo, bytes: make([]byte, hi-lo)}
	for s := range segments(b) {
		copy(m.bytes[s.Address-lo:], s.Bytes)
	}
	return m, nil
}

func (m image) word(at int) (uint64, bool) {
	if at < 0 || at > len(m.bytes)-wordSize {
		return 0, false
	}
	return binary.LittleEndian.Uint64(m.bytes[at:]), true
}

// u32 is 0 beyond the end.
func (m image) u32(at int) uint32 {
	if at < 0 || at > len(m.bytes)-4 {
		return 0
	}
	return binary.LittleEndian.Uint32(m.bytes[at:])
}

// entry reads a number of four or eight bytes.
func (m image) entry(at, size int) uint64 {
	if size == wordSize {
		w, _ := m.word(at)
		return w
	}
	return uint64(m.u32(at))
}

// offset gives the offset of an address.
func (m image) offset(address uint64) (int, bool) {
	if address < m.base || address-m.base >= uint64(len(m.bytes)) {
		return 0, false
	}
	return int(address - m.base), true
}

// segments gives what lies in the first memory at a known address.
func segments(b *wasm.Binary) func(yield func(text.Segment) bool) {
	return func(yield func(text.Segment) bool) {
		for s := range text.Segments(b) {
			if s.Placed && s.Memory == 0 && len(s.Bytes) > 0 && !yield(s) {
				return
			}
		}
	}
}
