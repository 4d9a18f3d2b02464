package search

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Bounds of terms, in bytes.
const (
	maxWord = 80  // longer runs of letters are no words
	maxTerm = 200 // of a whole term; what is longer ends in a hash
	keptOf  = 150 // of such a term
)

// fold is the form in which values are stored and looked for: compatible
// characters are one (NFKC), letters are small, white space is a hyphen, and
// control characters, which some databases do not store, are U+FFFD.
func fold(s string) string {
	ascii := true
	for i := range len(s) {
		if b := s[i]; b >= utf8.RuneSelf || b <= ' ' || b == 0x7f || 'A' <= b && b <= 'Z' {
			ascii = false
			break
		}
	}
	if ascii {
		return s
	}
	s = norm.NFKC.String(strings.ToValidUTF8(strings.TrimSpace(s), "\ufffd"))
	var b strings.Builder
	b.Grow(len(s))
	space := false
	for _, r := range s {
		switch {
		case unicode.IsSpace(r):
			space = true
			continue
		case unicode.IsControl(r):
			r = unicode.ReplacementChar
		}
		if space {
			b.WriteByte('-')
			space = false
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// term is a term of the index. Long ones are cut and end in a hash of all of
// them, so that they are found whole or by their beginning.
func term(prefix, value string) string {
	text := prefix + value
	if len(text) <= maxTerm {
		return text
	}
	n := keptOf
	for !utf8.RuneStart(text[n]) {
		n--
	}
	sum := sha256.Sum256([]byte(text))
	return text[:n] + "…" + hex.EncodeToString(sum[:16])
}

// joins reports whether r holds the parts of an identifier together.
func joins(r rune) bool {
	switch r {
	case '_', '-', '/', ':', '.', '@', '+', '#':
		return true
	}
	return false
}

func isLetter(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.IsMark(r) }

// tokens calls yield for each identifier of a text, until it says no: the whole
// and its parts, folded. "wasm-bindgen" has the parts "wasm" and "bindgen", and
// "fooBar2" has "foo" and "bar2"; of one word the only part is itself.
func tokens(text string, yield func(whole string, parts []string) bool) {
	text = norm.NFKC.String(strings.ToValidUTF8(text, " "))
	for text != "" {
		start := strings.IndexFunc(text, isLetter)
		if start < 0 {
			return
		}
		text = text[start:]
		end := strings.IndexFunc(text, func(r rune) bool { return !isLetter(r) && !joins(r) })
		if end < 0 {
			end = len(text)
		}
		// "C++" and "C#" are names; a full stop or hyphen at the end is none's.
		whole := strings.TrimRight(text[:end], "_-/:.@")
		text = text[end:]
		if parts := split(whole); !yield(strings.ToLower(whole), parts) {
			return
		}
	}
}

// split cuts an identifier at what joins it, and where a capital follows a small
// letter. Plus and hash signs at its end stay: "C++" is not "C".
func split(whole string) []string {
	core := strings.TrimRight(whole, "+#")
	var parts []string
	start, last := 0, rune(0)
	add := func(end int) {
		if end > start {
			parts = append(parts, strings.ToLower(whole[start:end]))
		}
	}
	for i, r := range core {
		switch {
		case joins(r):
			add(i)
			start = i + utf8.RuneLen(r)
		case unicode.IsUpper(r) && unicode.IsLower(last):
			add(i)
			start = i
		}
		last = r
	}
	add(len(whole))
	parts = slices.DeleteFunc(parts, func(p string) bool { return len(p) > maxWord })
	if len(parts) > 1 {
		parts = slices.DeleteFunc(parts, func(p string) bool { return utf8.RuneCountInString(p) < 2 })
	}
	if len(parts) == 0 {
		parts = []string{strings.ToLower(whole)}
	}
	slices.Sort(parts)
	return slices.Compact(parts)
}
