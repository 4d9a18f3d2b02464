package text

import (
	"encoding/binary"
	"iter"
	"sync/atomic"
)

// Pointers are the addresses in the data of memory 0 that the program mentions:
// where a literal begins that no terminator sets apart. Its methods may be
// called concurrently.
type Pointers struct {
	base uint64
	size uint64
	bits []atomic.Uint64
}

// sparse bounds the range of addresses that is watched, in multiples of the
// bytes of data: two segments four gigabytes apart must not cost half a
// gigabyte.
const sparse = 2

// NewPointers collects the words in the data that are addresses of data, at
// four-byte boundaries. A program whose data lies too far apart gets none.
func NewPointers(segments iter.Seq[Segment]) *Pointers {
	var first, end, total uint64
	for s := range segments {
		n := uint64(len(s.Bytes))
		if !s.Placed || s.Memory != 0 || n == 0 || s.Address+n < s.Address {
			continue
		}
		if total == 0 {
			first = s.Address
		}
		first, end, total = min(first, s.Address), max(end, s.Address+n), total+n
	}
	if total == 0 || end-first > sparse*total+4096 {
		return &Pointers{}
	}
	p := &Pointers{base: first, size: end - first, bits: make([]atomic.Uint64, (end-first+63)/64)}
	for s := range segments {
		if s.Placed && s.Memory == 0 {
			p.words(s)
		}
	}
	return p
}

func (p *Pointers) words(s Segment) {
	b := s.Bytes
	if skip := int(-s.Address & 3); skip < len(b) {
		b = b[skip:]
	}
	for ; len(b) >= 4; b = b[4:] {
		p.Add(uint64(binary.LittleEndian.Uint32(b)))
	}
}

// Add notes that the program mentions v, an address or any other number.
func (p *Pointers) Add(v uint64) {
	v -= p.base
	if v >= p.size {
		return
	}
	if w, bit := &p.bits[v/64], uint64(1)<<(v%64); w.Load()&bit == 0 {
		w.Or(bit)
	}
}

func (p *Pointers) has(address uint64) bool {
	v := address - p.base
	return v < p.size && p.bits[v/64].Load()&(1<<(v%64)) != 0
}

// terminated bounds the length, in bytes, up to which text between two zeros is
// taken for one literal of C, addresses of whose middle mean that it serves as
// the tail of another.
const terminated = 512

// Strings gives the literals of a span of at least least characters: its runs,
// cut where p says that something begins. Without pointers, p may be nil.
func Strings(s *Span, least int, p *Pointers) iter.Seq[Run] {
	return func(yield func(Run) bool) {
		for r := range s.Runs(least) {
			if !p.Cut(s, r, least, yield) {
				return
			}
		}
	}
}

// Cut yields the literals of one run, those of at least least characters, until
// yield wants no more, which makes it false.
func (p *Pointers) Cut(s *Span, r Run, least int, yield func(Run) bool) bool {
	least = max(least, MinRun)
	for start := r.Start; start < r.End; {
		end := p.End(s, r, start)
		piece := Run{Start: start, End: end, Encoding: r.Encoding}
		if (end == r.End && start == r.Start || atLeast(s.Bytes[start:end], least)) && !yield(piece) {
			return false
		}
		start = end
	}
	return true
}

// End gives the end of the literal of run r that covers byte i of the span: the
// end of the run, or where p says that the next one begins.
func (p *Pointers) End(s *Span, r Run, i int) int {
	if p == nil || p.size == 0 || !s.Placed || s.Memory != 0 || r.Encoding != UTF8 || s.isTerminated(r) {
		return r.End
	}
	for j := i + MinRun; j < r.End; j++ {
		if p.has(s.Address+uint64(j)) && class[s.Bytes[j]] != trail {
			return j
		}
	}
	return r.End
}

// Begins reports whether the program mentions the address of byte i of the span.
func (p *Pointers) Begins(s *Span, i int) bool {
	return p != nil && p.size > 0 && s.Placed && s.Memory == 0 && p.has(s.Address+uint64(i))
}

func (s *Span) isTerminated(r Run) bool {
	return r.End-r.Start <= terminated &&
		(r.Start == 0 || s.Bytes[r.Start-1] == 0) && r.End < len(s.Bytes) && s.Bytes[r.End] == 0
}

// atLeast reports whether valid text has n characters.
func atLeast(b []byte, n int) bool {
	for _, c := range b {
		if class[c] != trail {
			if n--; n <= 0 {
				return true
			}
		}
	}
	return false
}
