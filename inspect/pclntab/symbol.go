package pclntab

import (
	"encoding/hex"
	"strings"
)

// A Symbol is the name of a function taken apart.
type Symbol struct {
	// Package is the import path, "main" of the program's own package and "" of
	// what the compiler made for types.
	Package string

	// Name is the rest without type arguments and the parentheses of a pointer
	// receiver: "Do", "Client.Do", "Client.Do.func1".
	Name string

	// Method is true of methods and functions made for them.
	Method bool
}

// Parse takes the name of a function apart, "a.com/b/c.(*T[go.shape.int]).M".
// Dots in the last element of the path are %2e in a name.
func Parse(name string) Symbol {
	name = withoutArguments(name)
	path := name
	if i := strings.IndexByte(path, '('); i >= 0 {
		path = path[:i]
	}
	slash := strings.LastIndexByte(path, '/') + 1
	dot := strings.IndexByte(path[slash:], '.')
	if dot <= 0 || strings.IndexByte(path[:slash+dot], ':') >= 0 {
		return Symbol{Name: name} // "go:buildid", "type:.eq.…", "memcmp"
	}
	s := Symbol{Package: path[:slash+dot], Name: name[slash+dot+1:]}
	s.Package = unescape(s.Package)
	if receiver, rest, ok := strings.Cut(strings.TrimPrefix(s.Name, "("), ")."); ok && s.Name[0] == '(' {
		s.Name, s.Method = strings.TrimPrefix(receiver, "*")+"."+rest, true
		return s
	}
	_, second, _ := strings.Cut(s.Name, ".")
	s.Method = second != "" && !IsInner(second)
	return s
}

// unescape puts back the bytes that the linker writes as a percent sign and two
// hexadecimal digits.
func unescape(path string) string {
	head, rest, ok := strings.Cut(path, "%")
	if !ok {
		return path
	}
	var b strings.Builder
	for ; ok; head, rest, ok = strings.Cut(rest, "%") {
		b.WriteString(head)
		if len(rest) < 2 {
			return path
		}
		c, err := hex.DecodeString(rest[:2])
		if err != nil {
			return path
		}
		b.WriteByte(c[0])
		rest = rest[2:]
	}
	b.WriteString(head)
	return b.String()
}

// IsInner reports whether what follows the name of a function and a dot stands
// for a part of it: a function literal, or what go and defer statements, loops
// over functions and initialisers are made into.
func IsInner(rest string) bool {
	for _, p := range [...]string{"func", "gowrap", "deferwrap", ""} {
		if digits, ok := strings.CutPrefix(rest, p); ok && digits != "" && digits[0] >= '0' && digits[0] <= '9' {
			return true
		}
	}
	return strings.HasPrefix(rest, ".func") // of glob..func1
}

// withoutArguments takes out type arguments, which have dots and slashes of
// their own.
func withoutArguments(name string) string {
	if strings.IndexByte(name, '[') < 0 {
		return name
	}
	var b strings.Builder
	depth := 0
	for i := range len(name) {
		switch c := name[i]; {
		case c == '[':
			depth++
		case c == ']':
			depth = max(depth-1, 0)
		case depth == 0:
			b.WriteByte(c)
		}
	}
	return b.String()
}
