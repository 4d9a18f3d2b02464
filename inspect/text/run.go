package text

import (
	"encoding/binary"
	"fmt"
	"iter"
	"unicode"
	"unicode/utf8"
)

// An Encoding is how text is written in memory.
type Encoding byte

// The encodings that are recognised. Text of UTF-16 is that of AssemblyScript
// and .NET; it is found where it begins with a printable ASCII character.
const (
	UTF8 Encoding = iota
	UTF16
)

func (e Encoding) String() string {
	if e == UTF16 {
		return "utf-16le"
	}
	return "utf-8"
}

// MarshalText writes the encoding as String does.
func (e Encoding) MarshalText() ([]byte, error) { return []byte(e.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (e *Encoding) UnmarshalText(text []byte) error {
	switch string(text) {
	case UTF8.String():
		*e = UTF8
	case UTF16.String():
		*e = UTF16
	default:
		return fmt.Errorf("%.40q is no encoding of text", text)
	}
	return nil
}

// A Run is text without a break, bytes Start to End of a span.
type Run struct {
	Start, End int
	Encoding   Encoding
}

// MinRun is the least number of characters a run may be asked to have: fewer
// are found all over machine code and tables.
const MinRun = 4

// UsualRun is a number of characters below which most runs mean nothing.
const UsualRun = 6

// Runs gives the runs of at least least characters, MinRun or more. A character
// is what Unicode calls printable, a tab or an end of line.
func (s *Span) Runs(least int) iter.Seq[Run] {
	least = max(least, MinRun)
	return func(yield func(Run) bool) {
		for at := 0; at < len(s.Bytes); {
			r, ok := nextRun(s.Bytes, at, least)
			if !ok || !yield(r) {
				return
			}
			at = r.End
		}
	}
}

// The classes of bytes. What is maybe text begins or continues a character of
// more than one byte.
const (
	notText = iota
	plain
	lead
	trail
)

var class = func() (t [256]byte) {
	for b := range t {
		switch {
		case b >= 0x20 && b < 0x7f, b == '\t', b == '\n', b == '\r':
			t[b] = plain
		case b >= 0x80 && b < 0xc0:
			t[b] = trail
		case b >= 0xc2 && b < 0xf5:
			t[b] = lead
		}
	}
	return t
}()

// couples is a bit set of the pairs of bytes that can stand side by side in text.
var couples = func() (t [1 << 10]uint64) {
	var before [trail + 1][4]uint64 // by the class of the second byte, the first ones
	for b := range before {
		for first, a := range class {
			if a != notText && b != notText && (a != plain || b != trail) && (a != lead || b == trail) {
				before[b][first>>6] |= 1 << (first & 63)
			}
		}
	}
	for second, b := range class {
		copy(t[second<<2:], before[b][:])
	}
	return t
}()

func isCouple(w uint64) bool { return couples[w>>6&0x3ff]>>(w&63)&1 != 0 }

// nextRun finds the first run at or after at. A run has four bytes at least, so
// where two bytes cannot be in one, as many are stepped over as a run that begins
// there would have before them; and zeros, which is most of what is no text, eight
// at once.
func nextRun(b []byte, at, least int) (Run, bool) {
	floor := at // where text of the previous run ends
	for at+8 <= len(b) {
		w := binary.LittleEndian.Uint64(b[at:])
		if w == 0 {
			at += 8
			continue
		}
		if class[b[at+3]] == notText {
			if w&0xff00ff00ff00ff00 == 0 || w&0x00ff00ff00ff00ff == 0 {
				if r, ok := wideRun(b, floor, at, least); ok {
					return r, true
				}
			}
			at += 4
			continue
		}
		switch {
		case !isCouple(w >> 16):
			at += 3
			continue
		case !isCouple(w >> 8):
			at += 2
			continue
		case !isCouple(w) || class[b[at]] == trail:
			at++
			continue
		}
		end, chars := extend(b, at)
		if chars >= least {
			return Run{Start: at, End: end}, true
		}
		at = max(end, at+1)
	}
	for ; at < len(b); at++ {
		if end, chars := extend(b, at); chars >= least {
			return Run{Start: at, End: end}, true
		}
	}
	return Run{}, false
}

// extend gives the end of the run that begins at at, and its characters.
func extend(b []byte, at int) (end, chars int) {
	for at < len(b) {
		for at+8 <= len(b) && allPlain(binary.LittleEndian.Uint64(b[at:])) {
			at += 8
			chars += 8
		}
		if at == len(b) {
			break
		}
		switch class[b[at]] {
		case plain:
			at++
		case lead:
			r, n := utf8.DecodeRune(b[at:])
			if r == utf8.RuneError || !unicode.IsPrint(r) {
				return at, chars
			}
			at += n
		default:
			return at, chars
		}
		chars++
	}
	return at, chars
}

// allPlain reports whether eight bytes are printable ASCII, spaces included.
func allPlain(w uint64) bool {
	const ones, high = 0x0101010101010101, 0x8080808080808080
	below := (w - 0x20*ones) &^ w // the high bit of a byte below 0x20
	del := w ^ 0x7f*ones
	del = (del - ones) &^ del
	return (w|below|del)&high == 0
}

// wideRun finds the UTF-16 text that covers the byte at, or begins behind it,
// after floor.
func wideRun(b []byte, floor, at, least int) (Run, bool) {
	if b[at] == 0 {
		at++ // the high half of a character
	}
	for at-2 >= floor && b[at-1] == 0 && class[b[at-2]] == plain {
		at -= 2
	}
	end, chars := at, 0
	for end+1 < len(b) {
		r := rune(b[end]) | rune(b[end+1])<<8
		switch {
		case r < 0x80 && class[r] != plain:
			return Run{at, end, UTF16}, chars >= least
		case r >= 0x80 && (chars == 0 || !unicode.IsLetter(r)):
			return Run{at, end, UTF16}, chars >= least
		}
		end += 2
		chars++
	}
	return Run{at, end, UTF16}, chars >= least
}

// AppendUTF8 appends the text of a run to dst.
func (s *Span) AppendUTF8(dst []byte, r Run) []byte {
	if r.Encoding == UTF8 {
		return append(dst, s.Bytes[r.Start:r.End]...)
	}
	for i := r.Start; i+1 < r.End; i += 2 {
		dst = utf8.AppendRune(dst, rune(binary.LittleEndian.Uint16(s.Bytes[i:])))
	}
	return dst
}
