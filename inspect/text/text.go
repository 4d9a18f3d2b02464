// Package text finds the text in the data segments of a module: what a program
// can show, open, connect to or ask for.
//
// Only data segments count. A search through the raw file returns import names,
// bytes of instructions and pieces of debug information, and tears apart what a
// linker spread over several segments; here each find has the place in the file
// and, where the segment says so, the address it has in memory.
//
// [Spans] gives the data as stretches of memory, [Span.Runs] the runs of text in
// one, [Strings] cuts runs that hold many literals without a terminator, as Rust
// and Go lay them out, and a [List] keeps the ones most worth reading. All of it
// needs memory for one span at a time, whatever the file's size.
package text

import (
	"iter"
	"slices"

	"github.com/wreg-project/wreg/inspect/wasm"
)

// A Segment is the contents of a data segment and where they go.
type Segment struct {
	Index   int    // in the data section
	Offset  int64  // of the contents, bytes from the start of the file
	Bytes   []byte // the contents
	Memory  uint32 // index of the memory, of an active segment
	Address uint64 // in that memory, if Placed

	// Placed is true of an active segment whose offset is a constant.
	Placed bool
}

// A Span is a stretch of memory that one or several segments fill.
type Span struct {
	Bytes   []byte
	Memory  uint32
	Address uint64 // of the first byte, if Placed
	Placed  bool

	pieces []piece
}

// A piece says which segment filled a span from start on.
type piece struct {
	offset  int64
	start   uint32 // in the span
	segment int32
	size    uint32
}

const (
	// maxGap is the widest gap of untouched memory, in bytes, that is taken as
	// zeros of one stretch. Linkers leave out runs of zeros to save space, from
	// 8 bytes (wasm-ld) and 16 (Go) up, and the header of an embedded program
	// has up to 60 in a row.
	maxGap = 256

	// maxJoined bounds the memory in which small segments are put together, in
	// bytes. A segment larger than a quarter of it is scanned where it lies.
	maxJoined = 1 << 20

	// maxPieces bounds the segments that are put together. Those of Go, which
	// leave out every run of zeros, have 70 bytes on average.
	maxPieces = 1 << 14
)

// Spans gives the contents of segments as stretches of memory, in the order of
// the file. Neighbours in memory are put together, since a linker may cut
// anywhere: Go's leaves thousands of segments. A span is valid until the next
// one is asked for.
func Spans(segments iter.Seq[Segment]) iter.Seq[*Span] {
	return func(yield func(*Span) bool) {
		var j joiner
		for s := range segments {
			if len(s.Bytes) > 0 && !j.add(s, yield) {
				return
			}
		}
		j.flush(yield)
	}
}

// A joiner puts segments together.
type joiner struct {
	span  Span
	first Segment // the only one so far, not yet copied
	held  int     // segments in span
	buf   []byte
}

// add takes the next segment, and yields what it does not belong to.
func (j *joiner) add(s Segment, yield func(*Span) bool) bool {
	if j.held > 0 && !j.follows(s) && !j.flush(yield) {
		return false
	}
	if j.held == 0 {
		j.first, j.held = s, 1
		j.span = Span{Memory: s.Memory, Address: s.Address, Placed: s.Placed, pieces: j.span.pieces[:0]}
		j.span.Bytes = s.Bytes
		j.span.pieces = append(j.span.pieces, pieceOf(s, 0))
		return true
	}
	if j.held == 1 {
		j.buf = append(j.buf[:0], j.first.Bytes...)
	}
	var zeros [maxGap]byte
	j.buf = append(j.buf, zeros[:s.Address-(j.span.Address+uint64(len(j.buf)))]...)
	j.span.pieces = append(j.span.pieces, pieceOf(s, len(j.buf)))
	j.buf = append(j.buf, s.Bytes...)
	j.span.Bytes = j.buf
	j.held++
	return true
}

// follows reports whether s continues the span: in the same memory, after at
// most maxGap bytes, and with room left.
func (j *joiner) follows(s Segment) bool {
	if !s.Placed || !j.span.Placed || s.Memory != j.span.Memory {
		return false
	}
	end := j.span.Address + uint64(len(j.span.Bytes))
	return s.Address >= end && end > j.span.Address && s.Address-end <= maxGap &&
		max(len(s.Bytes), len(j.first.Bytes)) <= maxJoined/4 &&
		len(j.span.Bytes)+maxGap+len(s.Bytes) <= maxJoined && len(j.span.pieces) < maxPieces
}

// pieceOf is s as the part of a span that begins at start. A segment is smaller
// than the file's section of them, which has 32 bits for its size.
func pieceOf(s Segment, start int) piece {
	return piece{start: uint32(start), segment: int32(s.Index), offset: s.Offset, size: uint32(len(s.Bytes))}
}

func (j *joiner) flush(yield func(*Span) bool) bool {
	if j.held == 0 {
		return true
	}
	j.held = 0
	return yield(&j.span)
}

// At gives the bytes from an offset of the file on, which belong to no segment,
// as a span.
func At(offset int64, b []byte) *Span {
	return &Span{Bytes: b, pieces: []piece{pieceOf(Segment{Index: -1, Offset: offset, Bytes: b}, 0)}}
}

// Segments gives the data segments of m in the order of the file. It must come
// from [wasm.Parse].
func Segments(m *wasm.Binary) iter.Seq[Segment] {
	return func(yield func(Segment) bool) {
		for i, d := range m.Module.Data {
			s := Segment{Index: i, Offset: d.Offset, Bytes: m.Bytes(d.Offset, d.Size), Memory: d.Memory}
			if d.Mode == wasm.SegmentActive && d.Init.Kind == wasm.ConstNumber {
				s.Address, s.Placed = d.Init.Value, true
				if mems := m.Module.Memories; int(d.Memory) < len(mems) && !mems[d.Memory].Is64 {
					s.Address = uint64(uint32(s.Address))
				}
			}
			if !yield(s) {
				return
			}
		}
	}
}

// Place gives the segment that holds byte i of the span, and its offset in the
// file, -1 of bytes that belong to none. A byte of a gap belongs to the segment before it.
func (s *Span) Place(i int) (segment int, offset int64) {
	n, found := slices.BinarySearchFunc(s.pieces, i, func(p piece, i int) int { return int(p.start) - i })
	if !found {
		n--
	}
	p := s.pieces[n]
	return int(p.segment), p.offset + int64(min(i-int(p.start), int(p.size)))
}
