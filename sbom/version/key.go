package version

import "strings"

// A key is a sort key in the making. What can follow at one place starts with a
// byte that orders the alternatives; numbers and words are written so that none
// is a prefix of another.
type key []byte

// Marks at places where a list may go on or end. A list that ends is before one
// that goes on, except where the rules of an ecosystem say otherwise.
const (
	markEnd   = 0x01
	markLess  = 0x02 // the lesser of two kinds of what may come next
	markMore  = 0x03
	markNever = 0xff // nothing where something would have made the version earlier
)

func (k *key) mark(b byte) { *k = append(*k, b) }

// number writes decimal digits, as many as there may be: how many are
// significant, then those.
func (k *key) number(digits string) {
	digits = strings.TrimLeft(digits, "0")
	*k = append(append(*k, byte(min(len(digits), MaxLen-1))), digits...)
}

// word writes letters, digits and punctuation, which are all above 0x00.
func (k *key) word(s string) { *k = append(append(*k, s...), 0) }

func digit(c byte) bool  { return '0' <= c && c <= '9' }
func letter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

// digits is how many digits s starts with.
func digits(s string) int {
	n := 0
	for n < len(s) && digit(s[n]) {
		n++
	}
	return n
}

// letters is how many letters s starts with.
func letters(s string) int {
	n := 0
	for n < len(s) && letter(s[n]) {
		n++
	}
	return n
}

// number cuts a decimal number off the start of s, "" if there is none.
func number(s string) (num, rest string) {
	n := digits(s)
	return s[:n], s[n:]
}

// numbers cuts from one to most numbers with dots between off the start of s.
func numbers(s string, most int) (list []string, rest string) {
	for {
		num, after := number(s)
		if num == "" {
			return list, s
		}
		list, rest = append(list, num), after
		if len(list) == most || len(rest) < 2 || rest[0] != '.' || !digit(rest[1]) {
			return list, rest
		}
		s = rest[1:]
	}
}

// fixed writes exactly n numbers; those that are not in the list are 0.
func (k *key) fixed(list []string, n int) {
	for i := range n {
		if i < len(list) {
			k.number(list[i])
		} else {
			k.number("")
		}
	}
}

// A part is a number or a word of a version whose length is open. In a zero
// number text is "".
type part struct {
	rank byte // how it stands to the other parts: see the marks of padded
	text string
}

// Ranks of parts of a padded list. Zero numbers stand for nothing.
const (
	rankBefore = 0x01 // a word that comes before the release: rc
	rankZero   = 0x02
	rankLetter = 0x03 // a word that comes after the release: 1.1.1t
	rankNumber = 0x04
)

// padded writes a list of parts as if zeros without end followed it, so that 1.0
// and 1.0.0 are one. A run of zeros is written by what ends it: before a word
// that comes before the release a longer run is later, before anything else
// earlier.
func (k *key) padded(list []part) {
	zeros := 0
	for _, p := range list {
		switch p.rank {
		case rankZero:
			zeros++
			continue
		case rankBefore:
			*k = append(*k, rankBefore, byte(zeros))
		default:
			*k = append(*k, rankLetter, byte(MaxLen-1-zeros), p.rank)
		}
		zeros = 0
		if p.rank == rankNumber {
			k.number(p.text)
		} else {
			k.word(p.text)
		}
	}
	k.mark(rankZero)
}

// numberPart is the part of a decimal number.
func numberPart(num string) part {
	if num = strings.TrimLeft(num, "0"); num == "" {
		return part{rank: rankZero}
	}
	return part{rankNumber, num}
}
