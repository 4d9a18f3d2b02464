// Package glob matches names with patterns, in bounded time.
package glob

import (
	"errors"
	"strings"
	"unicode/utf8"
)

// maxSteps bounds what one Matcher may spend, in steps of a few nanoseconds.
const maxSteps = 4 << 20

// ErrTooMuch says that the bound on matching was not enough.
var ErrTooMuch = errors.New("there is too much text to match these patterns with")

// A Matcher matches patterns within bounds. Once its steps are used up it has
// nothing but ErrTooMuch to say: ask Err before an answer is relied on. It is for
// one question, and one goroutine.
type Matcher struct{ steps int }

// New makes a Matcher.
func New() *Matcher { return &Matcher{steps: maxSteps} }

// Err is ErrTooMuch if what was said so far is not to be relied on.
func (m *Matcher) Err() error {
	if m.steps < 0 {
		return ErrTooMuch
	}
	return nil
}

// Step counts one step of who goes through a list of patterns. It is false when
// there are none left.
func (m *Matcher) Step() bool {
	m.steps--
	return m.steps >= 0
}

// Name is Match for names of repositories: "prod/**" is prod, too.
func (m *Matcher) Name(name, pattern string) bool {
	if base, ok := strings.CutSuffix(pattern, "/**"); ok && m.Match(name, base) {
		return true
	}
	return m.Match(name, pattern)
}

// Match reports whether pattern matches all of text: "*" stands for any characters
// but a slash, "**" for any characters, "?" for one character but a slash. Every
// other character stands for itself.
func (m *Matcher) Match(text, pattern string) bool {
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
