package golang

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"iter"
	"slices"
	"sort"

	"github.com/wreg-project/wreg/inspect/text"
	"github.com/wreg-project/wreg/inspect/wasm"
)

// An image is the memory that the data segments of a module fill, without a copy
// of it: Go's linker leaves out every run of zeros, and other tools cut again, so
// that what is one text in memory may lie in many segments, in any order.
type image struct {
	b      *wasm.Binary
	chunks []chunk // in the order of place
}

// A chunk is a segment that is not empty.
type chunk struct {
	at     place
	offset int64 // in the file
	size   uint64
}

// A place is an address in one of the spaces of an image: the memories of the
// module, and one space for each segment that has no known address.
type place struct {
	space, address uint64
}

// loose is added to the index of a segment without an address to make its space.
const loose = 1 << 32

func newImage(b *wasm.Binary) *image {
	img := &image{b: b, chunks: make([]chunk, 0, len(b.Module.Data))}
	for s := range text.Segments(b) {
		if len(s.Bytes) == 0 {
			continue
		}
		c := chunk{at: place{uint64(s.Memory), s.Address}, offset: s.Offset, size: uint64(len(s.Bytes))}
		if !s.Placed || s.Address+c.size < s.Address {
			c.at = place{loose + uint64(s.Index), 0}
		}
		img.chunks = append(img.chunks, c)
	}
	if !slices.IsSortedFunc(img.chunks, chunk.compare) {
		slices.SortStableFunc(img.chunks, chunk.compare)
	}
	return img
}

func (c chunk) compare(o chunk) int {
	return cmp.Or(cmp.Compare(c.at.space, o.at.space), cmp.Compare(c.at.address, o.at.address))
}

func (c chunk) end() uint64 { return c.at.address + c.size }

func (m *image) bytes(c chunk) []byte { return m.b.Bytes(c.offset, int64(c.size)) }

// find gives the places where pattern begins, in order, also where it goes on in
// the next chunk.
func (m *image) find(pattern []byte) iter.Seq[place] {
	return func(yield func(place) bool) {
		keep := len(pattern) - 1
		var tail []byte // the last bytes before the chunk, at most keep
		var next place  // where they end
		for _, c := range m.chunks {
			data := m.bytes(c)
			if c.at != next {
				tail = tail[:0]
			}
			joint := append(tail, data[:min(keep, len(data))]...)
			for i := range indices(joint, pattern) {
				if i < len(tail) && !yield(place{c.at.space, c.at.address - uint64(len(tail)-i)}) {
					return
				}
			}
			for i := range indices(data, pattern) {
				if !yield(place{c.at.space, c.at.address + uint64(i)}) {
					return
				}
			}
			if len(data) >= keep {
				tail = append(tail[:0], data[len(data)-keep:]...)
			} else {
				tail = append(tail[:0], joint[max(0, len(joint)-keep):]...)
			}
			next = place{c.at.space, c.end()}
		}
	}
}

// indices gives where pattern begins in b; finds may overlap.
func indices(b, pattern []byte) iter.Seq[int] {
	return func(yield func(int) bool) {
		for at := 0; ; at++ {
			i := bytes.Index(b[at:], pattern)
			if i < 0 {
				return
			}
			if at += i; !yield(at) {
				return
			}
		}
	}
}

// chunkAt gives the index of the last chunk of p's space that begins at p or
// before, -1 without one.
func (m *image) chunkAt(p place) int {
	i := sort.Search(len(m.chunks), func(i int) bool {
		at := m.chunks[i].at
		return at.space > p.space || at.space == p.space && at.address > p.address
	}) - 1
	if i < 0 || m.chunks[i].at.space != p.space {
		return -1
	}
	return i
}

// offset gives the place in the file of the byte at p, -1 if no segment has it.
func (m *image) offset(p place) int64 {
	i := m.chunkAt(p)
	if i < 0 || p.address >= m.chunks[i].end() {
		return -1
	}
	return m.chunks[i].offset + int64(p.address-m.chunks[i].at.address)
}

// maxGap is the widest gap between chunks, in bytes, that is read as zeros. A
// text has none; the markers around it have one zero byte.
const maxGap = 16

// read gives up to n bytes from p on, fewer where nothing more follows.
func (m *image) read(p place, n int) []byte {
	i := m.chunkAt(p)
	if i < 0 || p.address >= m.chunks[i].end() {
		return nil
	}
	c := m.chunks[i]
	if data := m.bytes(c)[p.address-c.at.address:]; len(data) >= n {
		return data[:n]
	}
	out := append(make([]byte, 0, min(n, 4096)), m.bytes(c)[p.address-c.at.address:]...)
	for i++; len(out) < n && i < len(m.chunks); i++ {
		c, end := m.chunks[i], p.address+uint64(len(out))
		if c.at.space != p.space || c.at.address < end || c.at.address-end > maxGap {
			break
		}
		out = append(out, make([]byte, c.at.address-end)...)
		data := m.bytes(c)
		out = append(out, data[:min(len(data), max(0, n-len(out)))]...)
	}
	return out[:min(len(out), n)]
}

// findString gives the places of the headers of strings, as Go's compiler lays
// them out in WebAssembly: an address and a length of eight bytes each, little
// endian, aligned. The zeros at their end need not be in any segment.
func (m *image) findString(address, length uint64) iter.Seq[place] {
	var header [16]byte
	binary.LittleEndian.PutUint64(header[:], address)
	binary.LittleEndian.PutUint64(header[8:], length)
	return func(yield func(place) bool) {
		for at := range m.find(bytes.TrimRight(header[:], "\x00")) {
			if got := m.read(at, len(header)); at.address%8 == 0 && bytes.HasPrefix(header[:], got) && !yield(at) {
				return
			}
		}
	}
}
