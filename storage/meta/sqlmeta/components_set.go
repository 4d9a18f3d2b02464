package sqlmeta

import (
	"encoding/binary"
	"fmt"
	"iter"
	"math/bits"
)

// fileSegment is how many files share a row of component_postings.
const (
	fileSegment = 2048
	fileWords   = fileSegment / 64
	fileBytes   = fileSegment / 8
)

// A fileSet is such a row unpacked: which files of the segment have a coordinate.
// It is stored as 16-bit numbers in ascending order if these are fewer bytes than
// fileBytes, else as bits.
type fileSet [fileWords]uint64

func (s *fileSet) set(i uint32)   { s[i/64] |= 1 << (i % 64) }
func (s *fileSet) clear(i uint32) { s[i/64] &^= 1 << (i % 64) }

// add makes s the union of both.
func (s *fileSet) add(o *fileSet) {
	for i, w := range o {
		s[i] |= w
	}
}

// all gives the places in ascending order.
func (s *fileSet) all() iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		for i, w := range s {
			for ; w != 0; w &= w - 1 {
				if !yield(uint32(i*64 + bits.TrailingZeros64(w))) {
					return
				}
			}
		}
	}
}

// encode gives nil for the empty set.
func (s *fileSet) encode() []byte {
	n := 0
	for _, w := range s {
		n += bits.OnesCount64(w)
	}
	if n == 0 {
		return nil
	}
	if 2*n < fileBytes {
		buf := make([]byte, 0, 2*n)
		for place := range s.all() {
			buf = binary.LittleEndian.AppendUint16(buf, uint16(place))
		}
		return buf
	}
	buf := make([]byte, 0, fileBytes)
	for _, w := range s {
		buf = binary.LittleEndian.AppendUint64(buf, w)
	}
	return buf
}

func (s *fileSet) decode(buf []byte) error {
	*s = fileSet{}
	switch {
	case len(buf) == fileBytes:
		for i := range s {
			s[i] = binary.LittleEndian.Uint64(buf[8*i:])
		}
		return nil
	case len(buf) == 0 || len(buf) > fileBytes || len(buf)%2 != 0:
		return fmt.Errorf("%w: %d bytes of files", errPacked, len(buf))
	}
	for i := 0; i < len(buf); i += 2 {
		place := binary.LittleEndian.Uint16(buf[i:])
		if place >= fileSegment {
			return fmt.Errorf("%w: a file beyond its segment", errPacked)
		}
		s.set(uint32(place))
	}
	return nil
}
