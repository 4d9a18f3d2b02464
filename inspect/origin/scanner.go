package origin

import "fmt"

// MinPattern is the length in bytes of the shortest pattern that a Scanner
// takes. How far it can jump over bytes that match nothing grows with it.
const MinPattern = 7

// A Scanner searches for many strings in one pass over some bytes. It is safe
// for concurrent use.
//
// It is Wu and Manber's search with blocks of two bytes: table tells, by the two
// bytes at the end of a window of MinPattern bytes, how far the window may move
// at the least before a pattern can begin in it, or, from bucket on, which
// patterns it may hold.
type Scanner struct {
	patterns []string
	table    [1 << 16]uint16
	buckets  [][]uint16 // indices of patterns, by the entry of table less bucket
}

// bucket is the least entry of a Scanner's table that is no distance.
const bucket = MinPattern

// NewScanner makes a Scanner. A pattern shorter than MinPattern bytes is an
// error.
func NewScanner(patterns ...string) (*Scanner, error) {
	s := &Scanner{patterns: patterns}
	if len(patterns) > maxPatterns {
		return nil, fmt.Errorf("%d patterns, more than %d", len(patterns), maxPatterns)
	}
	for i := range s.table {
		s.table[i] = MinPattern - 1
	}
	for _, p := range patterns {
		if len(p) < MinPattern {
			return nil, fmt.Errorf("pattern %q is shorter than %d bytes", p, MinPattern)
		}
		for end := 1; end < MinPattern-1; end++ {
			b := block(p[end-1], p[end])
			s.table[b] = min(s.table[b], uint16(MinPattern-1-end))
		}
	}
	// Windows that end like a pattern's beginning are looked at, whatever the
	// distances are.
	seen := map[uint16]bool{}
	for i, p := range patterns {
		b := block(p[MinPattern-2], p[MinPattern-1])
		if !seen[b] {
			seen[b] = true
			s.table[b] = uint16(bucket + len(s.buckets))
			s.buckets = append(s.buckets, nil)
		}
		n := s.table[b] - bucket
		s.buckets[n] = append(s.buckets[n], uint16(i))
	}
	return s, nil
}

// maxPatterns leaves room for the distances in a Scanner's table.
const maxPatterns = 1<<16 - bucket

func block(a, b byte) uint16 { return uint16(a)<<8 | uint16(b) }

// Scan calls found for every place in data where a pattern stands, in ascending
// order of the offset, with the pattern's index. It stops when found returns
// false.
func (s *Scanner) Scan(data []byte, found func(pattern, offset int) bool) {
	for end := MinPattern - 1; end < len(data); {
		n := s.table[block(data[end-1], data[end])]
		if n < bucket {
			end += int(n)
			continue
		}
		start := end - (MinPattern - 1)
		for _, i := range s.buckets[n-bucket] {
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
