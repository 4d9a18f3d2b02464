package signal

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/wreg-project/wreg/inspect/text"
	"github.com/wreg-project/wreg/inspect/wasm"
)

// Data looks at the contents of the data segments of one module, which must
// come from [wasm.Parse]. Each literal is given to each, if that is not nil, so
// that one pass over the text serves both; p tells where literals begin and may
// be nil.
func Data(m *wasm.Binary, p *text.Pointers, each func(*text.Span, text.Run)) *Findings {
	f := &Findings{module: m.Offset}
	s := newScanner(f, p)
	s.each = each
	for span := range text.Spans(text.Segments(m)) {
		s.span = span
		s.binary()
		s.entropy()
		s.text()
	}
	s.finish()
	return f
}

// A scanner looks at the bytes of spans. One serves many spans.
type scanner struct {
	f        *Findings
	span     *text.Span
	section  string // "" for data segments
	pointers *text.Pointers
	each     func(*text.Span, text.Run)

	run  text.Run // the one at hand
	b    []byte   // its text, in UTF-8
	wide []byte   // of UTF-16 text

	hidden *[]extent // the secrets of the run, if they are wanted

	nested  int         // where the module ends that was found last in the span
	extents []extent    // known contents of the span, for entropy
	engines [][]hint    // of each interpreter
	hist    [4][256]int // of the window at hand
}

func newScanner(f *Findings, p *text.Pointers) *scanner {
	prepare()
	return &scanner{f: f, pointers: p, engines: make([][]hint, len(interpreters))}
}

// place is where byte i of the span is.
func (s *scanner) place(i int) Place {
	segment, offset := s.span.Place(i)
	p := Place{Offset: offset, Section: s.section}
	if s.section == "" {
		p.Section = "data"
	}
	if segment >= 0 {
		p.Segment = &segment
	}
	return p
}

// at is where byte i of the text of the run is.
func (s *scanner) at(i int) Place {
	if s.run.Encoding == text.UTF16 {
		i *= 2
	}
	return s.place(min(s.run.Start+i, s.run.End-1))
}

// binary looks for tables of constants and the beginnings of embedded files,
// eight bytes at a time: a table is long enough to have one of its first eight
// windows of eight bytes there, and a magic number one of its first two windows
// of two bytes at an even place.
func (s *scanner) binary() {
	s.extents, s.nested = s.extents[:0], 0
	b := s.span.Bytes
	for i := 0; i+8 <= len(b); i += 8 {
		w := binary.LittleEndian.Uint64(b[i:])
		if w == 0 {
			continue
		}
		if tableFilter.has(w) {
			s.tables(w, i)
		}
		if magicPairs[uint16(w)]|magicPairs[uint16(w>>16)]|magicPairs[uint16(w>>32)]|magicPairs[uint16(w>>48)] == 0 {
			continue
		}
		for j := i; j < i+8; j += 2 {
			if magicPairs[binary.LittleEndian.Uint16(b[j:])] != 0 {
				s.magics(j)
			}
		}
	}
	for j := len(b) &^ 7; j+2 <= len(b); j += 2 {
		if magicPairs[binary.LittleEndian.Uint16(b[j:])] != 0 {
			s.magics(j)
		}
	}
}

// tables looks for the tables one of whose windows is w, at i.
func (s *scanner) tables(w uint64, i int) {
	for k := tableSlot(w); tableIndex[k].window != 0; k = (k + 1) % len(tableIndex) {
		e := tableIndex[k]
		if e.window != w {
			continue
		}
		start, want := i-int(e.at), tables[e.table].bytes
		if start < 0 || start+len(want) > len(s.span.Bytes) || !slices.Equal(s.span.Bytes[start:start+len(want)], want) {
			continue
		}
		t := &tables[e.table]
		if t.algo == algoCount {
			if len(s.extents) == maxExtents {
				continue
			}
			s.extents = append(s.extents, extent{start: start, end: start + t.size, what: t.what, harmless: true})
			continue
		}
		u := &s.f.algorithms[t.algo]
		u.tables++
		p := s.place(start)
		p.Module = s.f.module
		u.add(p)
	}
}

// windows is how many windows of a table are indexed: one for each place that
// a search by eight bytes may meet.
const windows = 8

// A window is eight bytes of a table.
type window struct {
	window uint64
	table  uint16
	at     uint8
}

// A filter says quickly that a word is none of a few hundred.
type filter [1 << 10]uint64

func (f *filter) has(w uint64) bool {
	h := hash(w)
	return f[h>>6%uint64(len(f))]>>(h&63)&1 != 0
}

func (f *filter) add(w uint64) {
	h := hash(w)
	f[h>>6%uint64(len(f))] |= 1 << (h & 63)
}

// hash spreads w over 16 bits.
func hash(w uint64) uint64 { return w * 0x9e3779b97f4a7c15 >> 48 }

func tableSlot(w uint64) int { return int(hash(w)) % len(tableIndex) }

var (
	tableIndex  [4096]window
	tableFilter filter

	// magicPairs gives, for each pair of bytes, the index into magicsByPair of
	// the magic numbers that begin with it or have it next, 0 for none.
	magicPairs   [1 << 16]uint8
	magicsByPair [][]magicAt
)

func prepareTables() {
	tables = makeTables()
	for i, t := range tables {
		if len(t.bytes) < windows+7 {
			panic(fmt.Sprintf("signal: table %d is too short", i))
		}
		for at := range windows {
			w := binary.LittleEndian.Uint64(t.bytes[at:])
			k := tableSlot(w)
			for tableIndex[k].window != 0 {
				k = (k + 1) % len(tableIndex)
			}
			tableIndex[k] = window{w, uint16(i), uint8(at)}
			tableFilter.add(w)
		}
	}
	magicsByPair = make([][]magicAt, 1, 2*len(magics)+1)
	for i, m := range magics {
		for at := range 2 {
			pair := binary.LittleEndian.Uint16([]byte(m.magic[at:]))
			if magicPairs[pair] == 0 {
				magicPairs[pair] = uint8(len(magicsByPair))
				magicsByPair = append(magicsByPair, nil)
			}
			k := magicPairs[pair]
			magicsByPair[k] = append(magicsByPair[k], magicAt{i, at})
		}
	}
}

// A magicAt is a magic number, by its index, and where in it a pair of bytes is.
type magicAt struct{ magic, at int }
