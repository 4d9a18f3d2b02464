package policy

import (
	"errors"
	"unicode/utf8"
)

// maxMatching bounds what one call of a function or one question about a scope
// may spend on matching, in steps of a few nanoseconds.
const maxMatching = 4 << 20

// errMatching says that maxMatching was not enough.
var errMatching = errors.New("there is too much text to match these patterns with")

// A matcher matches patterns within bounds. Once its steps are used up it has
// nothing but errMatching to say.
type matcher struct{ steps int }

func newMatcher() *matcher { return &matcher{steps: maxMatching} }

// err is errMatching if what was said so far is not to be relied on.
func (m *matcher) err() error {
	if m.steps < 0 {
		return errMatching
	}
	return nil
}

// glob reports whether pattern matches all of text: "*" stands for any characters
// but a slash, "**" for any characters, "?" for one character but a slash. Every
// other character stands for itself.
func (m *matcher) glob(text, pattern string) bool {
	// Where to go on after a mismatch: behind the last star of each kind, with one
	// more character taken by it. A later star can take what an earlier one of its
	// kind would, so that only the last one is worth going back to.
	type mark struct{ text, pattern int }
	none := mark{-1, -1}
	star, deep := none, none
	t, p := 0, 0
	for t < len(text) || p < len(pattern) {
		if m.steps--; m.steps < 0 {
			return false
		}
		if p < len(pattern) {
			switch c := pattern[p]; {
			case c == '*' && p+1 < len(pattern) && pattern[p+1] == '*':
				p += 2
				deep, star = mark{t, p}, none
				continue
			case c == '*':
				p++
				star = mark{t, p}
				continue
			case t < len(text) && c == '?' && text[t] != '/':
				t, p = t+width(text[t:]), p+1
				continue
			case t < len(text) && c == text[t]:
				t, p = t+1, p+1
				continue
			}
		}
		switch {
		case star != none && star.text < len(text) && text[star.text] != '/':
			star.text += width(text[star.text:])
			t, p = star.text, star.pattern
		case deep != none && deep.text < len(text):
			deep.text += width(text[deep.text:])
			t, p = deep.text, deep.pattern
			star = none
		default:
			return false
		}
	}
	return true
}

// width is the length of the first character in bytes.
func width(text string) int {
	_, n := utf8.DecodeRuneInString(text)
	return n
}
