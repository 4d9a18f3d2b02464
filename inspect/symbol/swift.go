package symbol

import "strings"

// swiftPrefix gives the length of the mangling prefix: "$s" since Swift 5, "$S"
// in 4.2, "_T0" in 4.0, each also after an underscore; 0 without one.
func swiftPrefix(name string) int {
	for _, p := range [...]string{"$s", "_$s", "$S", "_$S", "_T0"} {
		if strings.HasPrefix(name, p) && len(name) > len(p) {
			return len(p)
		}
	}
	return 0
}

// isSwift recognises the prefix before a module: an identifier, a substitution
// of the standard library, or "s", which is the library itself.
func isSwift(name string) bool {
	n := swiftPrefix(name)
	if n == 0 {
		return false
	}
	b := name[n]
	return isDigit(b) || b == 's' || b == 'S' || b|0x20 >= 'a' && b|0x20 <= 'z'
}

// swiftModule reads the first module of a Swift name.
func swiftModule(name string) string {
	n := swiftPrefix(name)
	if n == 0 {
		return ""
	}
	m, _ := swiftHead(name[n:])
	return m
}

// swiftHead reads the module that a mangling begins with, and gives the rest. A
// mangling that begins with a type of the standard library belongs to it,
// "So" and "SC" stand for what is imported from C.
func swiftHead(s string) (module, rest string) {
	switch {
	case strings.HasPrefix(s, "So"), strings.HasPrefix(s, "SC"):
		return "__C", s[2:]
	case len(s) > 1 && s[0] == 'S' && (s[1]|0x20 >= 'a' && s[1]|0x20 <= 'z'):
		return "Swift", s[2:]
	case strings.HasPrefix(s, "s"):
		return "Swift", s[1:]
	}
	id, rest := swiftIdentifier(s)
	if id == "" {
		return "", s
	}
	return id, rest
}

// swiftIdentifier reads decimal bytes. One that begins with 0 has substituted
// words, which begin with lower-case letters naming earlier words; those are
// not resolved, and what is spelled out is returned.
func swiftIdentifier(s string) (id, rest string) {
	p := 0
	if strings.HasPrefix(s, "0") {
		// "0", letters, of which the last is upper case, then maybe a spelled part.
		p++
		for p < len(s) && s[p] >= 'a' && s[p] <= 'z' {
			p++
		}
		if p < len(s) && s[p] >= 'A' && s[p] <= 'Z' {
			p++
		}
	}
	n, at := decimal(s, p)
	if n <= 0 || n > len(s)-at {
		return "", s
	}
	return s[at : at+n], s[at+n:]
}

// swiftKinds are the codes that end a nominal type.
const swiftKinds = "VCOPa" // structure, class, enumeration, protocol, type alias

// swiftText gives module, types and the name of the function, as far as they
// are spelled out: "Foundation.Data.append".
func swiftText(name string) string {
	n := swiftPrefix(name)
	module, rest := swiftHead(name[n:])
	if module == "" {
		return name
	}
	parts := []string{module}
	for range 32 {
		id, after := swiftIdentifier(rest)
		if id == "" {
			break
		}
		parts = append(parts, id)
		rest = after
		for rest != "" && strings.IndexByte(swiftKinds, rest[0]) >= 0 {
			rest = rest[1:]
		}
		rest = strings.TrimPrefix(rest, "E") // the end of an extension's context
	}
	if len(parts) == 1 {
		return name
	}
	return strings.Join(parts, ".")
}
