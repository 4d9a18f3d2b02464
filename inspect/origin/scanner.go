package origin

import "fmt"

// MinPattern is the length in bytes of the shortest pattern that a Scanner
// takes. How far it can jump over bytes that match nothing grows with it.
const MinPattern = 7

// A Scanner searches for many strings in one pass over some bytes. It is safe
// for concurrent use.
//
// It is Wu and Manber's search with blocks of two bytes: shift tells, by the two
// bytes at the end of a window of MinPattern bytes, how far the window may move
// at the least before a pattern can begin in it.
type Scanner struct {
	patterns []string
	shift    [1 << 16]uint8
	bucket   map[uint16][]uint16 // patterns by the two bytes at the end of their first MinPattern
}

// NewScanner makes a Scanner. A pattern shorter than MinPattern bytes is an
// error.
func NewScanner(patterns ...string) (*Scanner, error) {
	s := &Scanner{patterns: patterns, bucket: make(map[uint16][]uint16, len(patterns))}
	if len(patterns) > 1<<16 {
		return nil, fmt.Errorf("%d patterns, more than %d", len(patterns), 1<<16)
	}
	for i := range s.shift {
		s.shift[i] = MinPattern - 1
	}
	for i, p := range patterns {
		if len(p) < MinPattern {
			return nil, fmt.Errorf("pattern %q is shorter than %d bytes", p, MinPattern)
		}
		for end := 1; end < MinPattern; end++ {
			b := block(p[end-1], p[end])
			s.shift[b] = min(s.shift[b], uint8(MinPattern-1-end))
		}
		last := block(p[MinPattern-2], p[MinPattern-1])
		s.bucket[last] = append(s.bucket[last], uint16(i))
	}
	return s, nil
}

func block(a, b byte) uint16 { return uint16(a)<<8 | uint16(b) }

// Scan calls found for every place in data where a pattern stands, in ascending
// order of the offset, with the pattern's index. It stops when found returns
// false.
func (s *Scanner) Scan(data []byte, found func(pattern, offset int) bool) {
	for end := MinPattern - 1; end < len(data); {
		b := block(data[end-1], data[end])
		if n := int(s.shift[b]); n > 0 {
			end += n
			continue
		}
		start := end - (MinPattern - 1)
		for _, i := range s.bucket[b] {
			p := s.patterns[i]
			if len(p) <= len(data)-start && string(data[start:start+len(p)]) == p && !found(int(i), start) {
				return
			}
		}
		end++
	}
}

// First gives the offset of the first place of each pattern in data, -1 for one
// that does not occur.
func (s *Scanner) First(data []byte) []int {
	first := make([]int, len(s.patterns))
	for i := range first {
		first[i] = -1
	}
	left := len(first)
	s.Scan(data, func(p, off int) bool {
		if first[p] < 0 {
			first[p] = off
			left--
		}
		return left > 0
	})
	return first
}
