package text

import (
	"bytes"
	"hash/maphash"
	"slices"
	"unicode/utf8"
)

// A Kind says what a string looks like. The kinds are ranked: a person who
// reads a few strings of a program wants the first ones first.
type Kind string

// The kinds of strings, in the order of their rank.
const (
	KindURL     Kind = "url"     // has "://" in it
	KindPath    Kind = "path"    // names a file: "/etc/passwd", "C:\x", "src/lib.rs"
	KindMessage Kind = "message" // words with spaces between
	KindName    Kind = "name"    // one word, identifier or dotted name
	KindOther   Kind = "other"   // anything else with letters: formats, lists, code
	KindNoise   Kind = "noise"   // mostly no letters: tables that happen to be printable
)

// kinds holds the kinds by rank, each with its share of a list in percent. What
// one kind leaves of its share goes to the next.
var kinds = [...]struct {
	kind  Kind
	share int
}{
	{KindURL, 20},
	{KindPath, 20},
	{KindMessage, 30},
	{KindName, 20},
	{KindOther, 8},
	{KindNoise, 2},
}

// A String is a piece of text in a data segment.
type String struct {
	Offset   int64    `json:"offset"`            // bytes from the start of the file
	Address  *uint64  `json:"address,omitempty"` // in memory, if the file says so
	Memory   uint32   `json:"memory,omitempty"`
	Segment  int      `json:"segment"`
	Length   int      `json:"length"` // bytes it takes in memory
	Encoding Encoding `json:"encoding"`
	Kind     Kind     `json:"kind"`

	// Value is the text, in UTF-8, cut to MaxValue bytes.
	Value string `json:"value"`
}

// MaxValue bounds the text kept of one string, in bytes; Length tells the whole.
const MaxValue = 240

// maxMasked bounds the text that a mask is given, in bytes.
const maxMasked = 4096

// String describes r, which is in s. A mask that is not nil rewrites the text to
// blank out secrets; it gets up to 4 KiB of it, so that it sees whole what is then
// cut.
func (s *Span) String(r Run, mask func([]byte) []byte) String {
	segment, offset := s.Place(r.Start)
	v := String{
		Offset: offset, Memory: s.Memory, Segment: segment, Length: r.End - r.Start, Encoding: r.Encoding,
		Value: s.value(r, mask),
	}
	if s.Placed {
		a := s.Address + uint64(r.Start)
		v.Address = &a
	}
	v.Kind = kinds[rank([]byte(v.Value))].kind
	return v
}

// value gives the first MaxValue bytes of a run, without half a character.
func (s *Span) value(r Run, mask func([]byte) []byte) string {
	r.End = min(r.End, r.Start+maxMasked)
	v := s.AppendUTF8(nil, r)
	if mask != nil {
		v = mask(v)
	}
	v = v[:min(len(v), MaxValue)]
	for len(v) > 0 {
		if c, n := utf8.DecodeLastRune(v); c != utf8.RuneError || n != 1 {
			break
		}
		v = v[:len(v)-1]
	}
	return string(v)
}

// rank gives the index into kinds of the text that begins with head.
func rank(head []byte) int {
	letters, spaces, slashes, other := 0, 0, 0, 0
	for _, c := range head {
		switch {
		case c|0x20 >= 'a' && c|0x20 <= 'z', c >= 0x80:
			letters++
		case c == ' ', c == '\n':
			spaces++
		case c == '/', c == '\\':
			slashes++
		case c >= '0' && c <= '9', c == '_', c == '.', c == '-', c == ':':
		default:
			other++
		}
	}
	switch {
	case slashes >= 2 && bytes.Contains(head, []byte("://")):
		return 0
	case 3*letters < len(head) || len(head) < 8 && other > 0:
		return 5
	case slashes > 0 && spaces == 0 && other == 0:
		return 1
	case spaces > 0 && 10*other < len(head):
		return 2
	case spaces == 0 && other == 0:
		return 3
	}
	return 4
}

// A Result is the strings of a file: a bounded list of them, and how many there are.
type Result struct {
	Total int `json:"total"` // strings
	Bytes int `json:"bytes"` // that all of them take in memory

	// Kinds counts the strings of each kind.
	Kinds map[Kind]int `json:"kinds"`

	// Strings are the first ones of each kind, by rank and then in the order of
	// the file.
	Strings []String `json:"strings"`
}

// A List keeps the strings that are most worth reading.
type List struct {
	most int
	mask func([]byte) []byte

	total, bytes int
	counts       [len(kinds)]int
	kept         [len(kinds)][]String
	seen         map[uint64]struct{} // hashes of the texts that are kept
	buf          []byte
}

// seed makes the hashes of texts unpredictable, so that none can be made to hide
// another.
var seed = maphash.MakeSeed()

// NewList makes a list of at most most strings. The mask is that of
// [Span.String].
func NewList(most int, mask func([]byte) []byte) *List {
	return &List{most: most, mask: mask, seen: map[uint64]struct{}{}}
}

// Add counts a string of s, and keeps it if there is room among its kind. One
// that is kept already is only counted.
func (l *List) Add(s *Span, r Run) {
	l.total++
	l.bytes += r.End - r.Start
	head := s.Bytes[r.Start:min(r.End, r.Start+MaxValue)]
	if r.Encoding == UTF16 {
		l.buf = s.AppendUTF8(l.buf[:0], Run{r.Start, r.Start + len(head), UTF16})
		head = l.buf
	}
	k := rank(head)
	l.counts[k]++
	if len(l.kept[k]) >= l.most {
		return
	}
	h := maphash.Bytes(seed, head)
	if _, ok := l.seen[h]; ok {
		return
	}
	l.seen[h] = struct{}{}
	v := s.String(r, l.mask)
	v.Kind = kinds[k].kind
	l.kept[k] = append(l.kept[k], v)
}

// Result gives what was added so far.
func (l *List) Result() Result {
	res := Result{Total: l.total, Bytes: l.bytes, Kinds: map[Kind]int{}, Strings: []String{}}
	var take [len(kinds)]int
	left := l.most
	for pass := range 2 {
		for k, kind := range kinds {
			n := left
			if pass == 0 {
				n = l.most * kind.share / 100
			}
			n = min(n, left, len(l.kept[k])-take[k])
			take[k] += n
			left -= n
		}
	}
	for k, kind := range kinds {
		if l.counts[k] > 0 {
			res.Kinds[kind.kind] = l.counts[k]
		}
		list := l.kept[k][:take[k]]
		slices.SortFunc(list, func(a, b String) int { return int(min(1, max(-1, a.Offset-b.Offset))) })
		res.Strings = append(res.Strings, list...)
	}
	return res
}
