package notation

import (
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// SubjectPrefix is how Notation's trust policies begin a subject. ParseSubject takes
// it or leaves it.
const SubjectPrefix = "x509.subject:"

// Bounds of a subject.
const (
	maxSubject   = 4 << 10 // bytes
	maxNameParts = 32
)

// A Subject is a distinguished name as a set of attributes: values by type, of
// which each is there once.
type Subject map[string]string

// ParseSubject reads a distinguished name in the form of RFC 4514, as
// "C=US, ST=WA, O=Acme". As in Notation's trust policies no type is there twice,
// no part has several attributes, and S is ST.
func ParseSubject(text string) (Subject, error) {
	if len(text) > maxSubject {
		return nil, fmt.Errorf("a subject of %d bytes, and at most %d are read", len(text), maxSubject)
	}
	rest := strings.TrimPrefix(strings.TrimLeft(text, " "), SubjectPrefix)
	s := Subject{}
	for {
		part, tail, more := cutUnescaped(rest)
		kind, value, ok := strings.Cut(part, "=")
		kind = strings.ToUpper(strings.TrimSpace(kind))
		if kind == "S" {
			kind = "ST"
		}
		if !ok || kind == "" || strings.Trim(kind, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-") != "" {
			return nil, fmt.Errorf("subject: %.80q is not TYPE=VALUE", part)
		}
		value, err := unescape(strings.TrimLeft(value, " "))
		switch {
		case err != nil:
			return nil, fmt.Errorf("subject: %s: %w", kind, err)
		case value == "":
			return nil, fmt.Errorf("subject: %s has no value", kind)
		case s[kind] != "":
			return nil, fmt.Errorf("subject: %s is there twice", kind)
		case len(s) == maxNameParts:
			return nil, fmt.Errorf("subject: more than %d parts", maxNameParts)
		}
		s[kind] = value
		if !more {
			return s, nil
		}
		rest = tail
	}
}

// cutUnescaped cuts at the first comma that is none of a value.
func cutUnescaped(text string) (before, after string, found bool) {
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case ',':
			return text[:i], text[i+1:], true
		}
	}
	return text, "", false
}

// unescape reads a value (RFC 4514, section 2.4) and drops the spaces behind it.
func unescape(text string) (string, error) {
	var b strings.Builder
	end := 0 // of what is no space that may be dropped
	for i := 0; i < len(text); i++ {
		switch c := text[i]; c {
		case '+', '"', ';', '<', '>':
			return "", fmt.Errorf("%q is to be written \\%c", c, c)
		case '\\':
			if i++; i == len(text) {
				return "", errors.New("a backslash at its end")
			}
			if two, err := hex.DecodeString(text[i:min(i+2, len(text))]); err == nil && len(two) == 1 {
				b.WriteByte(two[0])
				i++
			} else {
				b.WriteByte(text[i])
			}
			end = b.Len()
		default:
			b.WriteByte(c)
			if c != ' ' {
				end = b.Len()
			}
		}
	}
	return b.String()[:end], nil
}

// Within is nil if every attribute of s is one of other too, with the same value,
// else it says which is not.
func (s Subject) Within(other Subject) error {
	for _, kind := range slices.Sorted(maps.Keys(s)) {
		if got := other[kind]; got != s[kind] {
			return fmt.Errorf("%s is %.200q, and has to be %q", kind, got, s[kind])
		}
	}
	return nil
}
