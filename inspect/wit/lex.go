package wit

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A SyntaxError says what is wrong in a WIT text and where. Line and Column
// count from 1, Column and Offset in bytes. It is an ErrSyntax or ErrLimit.
type SyntaxError struct {
	Offset       int
	Line, Column int
	Err          error
}

func (e *SyntaxError) Error() string { return fmt.Sprintf("%d:%d: %v", e.Line, e.Column, e.Err) }

func (e *SyntaxError) Unwrap() error { return e.Err }

// A token is a word, a number, a string or a sign.
type token struct {
	kind byte   // one of the tok constants, or the sign itself
	text string // without the "%" of an escaped name; of a string, as it stands
	off  int
	docs []string // lines of the comments before it
}

const (
	tokEnd     byte = 0
	tokWord    byte = 'a'
	tokEscaped byte = '%'
	tokNumber  byte = '0'
	tokString  byte = '"'
	tokArrow   byte = '>' | 0x80
)

// A lexer cuts a text into tokens. After the first error there is only tokEnd.
type lexer struct {
	src string
	off int
	err error
}

// fail records the first error.
func (l *lexer) fail(off int, err error) {
	if l.err != nil {
		return
	}
	before := l.src[:off]
	l.err = &SyntaxError{
		Offset: off, Line: strings.Count(before, "\n") + 1, Column: off - strings.LastIndexByte(before, '\n'), Err: err,
	}
}

func (l *lexer) syntax(off int, format string, args ...any) {
	l.fail(off, fmt.Errorf("%w: %s", ErrSyntax, fmt.Sprintf(format, args...)))
}

// checkText refuses characters that make a text look like another one, or do
// more than that on a terminal.
func (l *lexer) checkText() {
	if len(l.src) > MaxText {
		l.fail(0, fmt.Errorf("%w: text of %d bytes, more than %d", ErrLimit, len(l.src), MaxText))
		return
	}
	for i, c := range l.src {
		if c == utf8.RuneError {
			if _, n := utf8.DecodeRuneInString(l.src[i:]); n == 1 {
				l.syntax(i, "malformed UTF-8")
				return
			}
		}
		if forbidden(c) {
			l.syntax(i, "character U+%04X is not allowed", c)
			return
		}
	}
}

// forbidden are control characters, those that override the direction of
// writing, and some that Unicode deprecates ("Lexical structure" of WIT.md).
func forbidden(c rune) bool {
	switch {
	case c == '\n' || c == '\r' || c == '\t':
		return false
	case c < ' ' || c >= 0x7f && c < 0xa0:
		return true
	case c >= 0x202a && c <= 0x202e || c >= 0x2066 && c <= 0x2069:
		return true
	}
	switch c {
	case 0x149, 0x673, 0xf77, 0xf79, 0x17a3, 0x17a4, 0x17b4, 0x17b5:
		return true
	}
	return false
}

// next cuts off a token.
func (l *lexer) next() token {
	docs := l.space()
	t := token{off: l.off, docs: docs}
	if l.err != nil || l.off == len(l.src) {
		return t
	}
	c := rune(l.src[l.off])
	switch {
	case isLetter(c):
		t.kind, t.text = tokWord, l.word()
	case c == '%':
		l.off++
		t.kind, t.text = tokEscaped, l.word()
	case isDigit(c):
		t.kind, t.text = tokNumber, l.take(isDigit)
	case c == '"':
		t.kind, t.text = tokString, l.str()
	case strings.HasPrefix(l.src[l.off:], "->"):
		l.off += 2
		t.kind = tokArrow
	case strings.ContainsRune("=,:.;(){}<>@/_", c):
		l.off++
		t.kind = byte(c)
	default:
		c, _ := utf8.DecodeRuneInString(l.src[l.off:])
		l.syntax(l.off, "unexpected %q", c)
	}
	if l.err != nil {
		t.kind = tokEnd
	}
	return t
}

func (l *lexer) take(is func(rune) bool) string {
	start := l.off
	for l.off < len(l.src) && is(rune(l.src[l.off])) {
		l.off++
	}
	return l.src[start:l.off]
}

func (l *lexer) word() string {
	start := l.off
	w := l.take(func(c rune) bool { return isLetter(c) || isDigit(c) || c == '-' })
	if !kebab(w) {
		l.syntax(start, "%q is no name: words of letters and digits, all lower or all upper case, joined by single dashes", w)
	}
	return w
}

// kebab reports whether s is a label: words joined by dashes, each of one case,
// the first of which begins with a letter ("label" of Explainer.md).
func kebab(s string) bool {
	first := true
	for w := range strings.SplitSeq(s, "-") {
		if w == "" || first && isDigit(rune(w[0])) {
			return false
		}
		first = false
		var lower, upper bool
		for _, c := range w {
			lower = lower || c >= 'a' && c <= 'z'
			upper = upper || c >= 'A' && c <= 'Z'
			if !isLetter(c) && !isDigit(c) {
				return false
			}
		}
		if lower && upper {
			return false
		}
	}
	return true
}

// space steps over white space and comments and gives the lines of those that
// are documentation.
func (l *lexer) space() []string {
	var docs []string
	for l.err == nil && l.off < len(l.src) {
		switch c := l.src[l.off]; {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			l.off++
		case strings.HasPrefix(l.src[l.off:], "//"):
			line := l.src[l.off:]
			if i := strings.IndexByte(line, '\n'); i >= 0 {
				line = line[:i]
			}
			l.off += len(line)
			if strings.HasPrefix(line, "///") {
				docs = append(docs, strings.TrimLeft(line, "/"))
			}
		case strings.HasPrefix(l.src[l.off:], "/*"):
			docs = append(docs, l.comment()...)
		default:
			return docs
		}
	}
	return docs
}

// comment steps over a block comment, in which others may nest.
func (l *lexer) comment() []string {
	start := l.off
	for depth := 0; ; {
		rest := l.src[l.off:]
		switch {
		case rest == "":
			l.syntax(start, "comment without end")
			return nil
		case strings.HasPrefix(rest, "/*"):
			depth++
			l.off += 2
		case strings.HasPrefix(rest, "*/"):
			depth--
			l.off += 2
		default:
			l.off++
		}
		if depth == 0 {
			break
		}
	}
	text, ok := strings.CutPrefix(l.src[start:l.off], "/**")
	if !ok || len(text) < len("*/") {
		return nil // no documentation, or "/**/"
	}
	return strings.Split(strings.TrimSpace(strings.TrimSuffix(text, "*/")), "\n")
}

// cleanDocs puts the lines of comments together: without the space that all of
// them begin with, that at their ends, and empty lines at the end. The result
// is one that comments can hold: what Print writes of it is read as the same.
func cleanDocs(lines []string) string {
	indent := -1
	for i, line := range lines {
		line = strings.Map(func(c rune) rune {
			if c != '\t' && forbidden(c) {
				return unicode.ReplacementChar
			}
			return c
		}, strings.ReplaceAll(line, "\t", "    "))
		line = strings.TrimRightFunc(line, unicode.IsSpace)
		lines[i] = line
		if lead := len(line) - len(strings.TrimLeft(line, " ")); line != "" && (indent < 0 || lead < indent) {
			indent = lead
		}
	}
	for i, line := range lines {
		if line != "" {
			lines[i] = line[indent:]
		}
	}
	return strings.TrimRight(strings.Join(lines, "\n"), "\n")
}

// version cuts off a semantic version. A dot belongs to it only if a part of
// the version follows, as in "use a:b/c@1.0.0-rc.{d}".
func (l *lexer) version() string {
	l.space()
	start := l.off
	for i := range 3 {
		if i > 0 && !l.eat('.') || l.take(isDigit) == "" {
			l.syntax(l.off, "a version is three numbers joined by dots")
			return ""
		}
	}
	for _, sign := range []byte{'-', '+'} {
		if !l.eat(sign) {
			continue
		}
		for {
			l.take(isVersion)
			if rest := l.src[l.off:]; len(rest) < 2 || rest[0] != '.' || !isVersion(rune(rest[1])) {
				break
			}
			l.off++
		}
	}
	v := l.src[start:l.off]
	if !validVersion(v) {
		l.syntax(start, "%q is no version", v)
	}
	return v
}

func isVersion(c rune) bool { return isLetter(c) || isDigit(c) || c == '-' }

func (l *lexer) eat(c byte) bool {
	if l.off < len(l.src) && l.src[l.off] == c {
		l.off++
		return true
	}
	return false
}

// validVersion checks a semantic version 2.0.0, whose numbers fit into 64 bits.
func validVersion(v string) bool {
	v, build, hasBuild := strings.Cut(v, "+")
	core, pre, hasPre := strings.Cut(v, "-")
	numbers := strings.Split(core, ".")
	for _, n := range numbers {
		if !number(n) {
			return false
		}
	}
	identifiers := func(s string, numeric bool) bool {
		for id := range strings.SplitSeq(s, ".") {
			if strings.TrimFunc(id, isVersion) != "" || id == "" || numeric && isNumber(id) && !number(id) {
				return false
			}
		}
		return true
	}
	return len(numbers) == 3 && (!hasPre || identifiers(pre, true)) && (!hasBuild || identifiers(build, false))
}

func isNumber(s string) bool { return s != "" && strings.TrimFunc(s, isDigit) == "" }

// number reports whether s is a number without leading zeros and of a length
// that cannot overflow.
func number(s string) bool {
	return isNumber(s) && len(s) <= 19 && (s == "0" || s[0] != '0')
}

// str steps over a string literal and gives it with its quotes.
func (l *lexer) str() string {
	start := l.off
	for l.off++; l.off < len(l.src); l.off++ {
		switch l.src[l.off] {
		case '\n':
			l.syntax(l.off, "line break in a string")
			return ""
		case '\\':
			l.off++
		case '"':
			l.off++
			return l.src[start:l.off]
		}
	}
	l.off = len(l.src)
	l.syntax(start, "string without end")
	return ""
}
