package symbol

import "strings"

// stdSubstitutions are the abbreviations of the Itanium ABI for std and what is
// in it ("Compression", 5.1.10).
const stdSubstitutions = "tabsiod"

// itaniumNamespace gives the outermost namespace of a C++ name, or its class.
func itaniumNamespace(name string) string {
	if !isMangled(name) {
		return cppTextNamespace(name)
	}
	s := name[strings.IndexByte(name, 'Z')+1:]
	s = skipSpecial(s)
	for range 64 { // local names nest: _ZZZ…
		if !strings.HasPrefix(s, "Z") {
			break
		}
		s = skipSpecial(s[1:])
	}
	if strings.HasPrefix(s, "N") {
		return nestedHead(s[1:])
	}
	if len(s) > 1 && s[0] == 'S' && strings.IndexByte(stdSubstitutions, s[1]) >= 0 {
		return "std"
	}
	return "" // a function outside any namespace
}

// skipSpecial steps over the codes of tables, guards and thunks, which stand
// before the name they are for.
func skipSpecial(s string) string {
	switch {
	case len(s) > 2 && s[0] == 'T' && strings.IndexByte("VTISWH", s[1]) >= 0,
		len(s) > 2 && s[0] == 'G' && strings.IndexByte("VR", s[1]) >= 0:
		return s[2:]
	case strings.HasPrefix(s, "Th"), strings.HasPrefix(s, "Tv"), strings.HasPrefix(s, "Tc"):
		return skipOffsets(s[1:])
	}
	return s
}

// skipOffsets steps over the call offsets of a thunk: "h" number "_", "v"
// number "_" number "_", and "c" with two of these.
func skipOffsets(s string) string {
	calls := 1
	if s[0] == 'c' {
		calls, s = 2, s[1:]
	}
	for range calls {
		numbers := 1
		if strings.HasPrefix(s, "v") {
			numbers = 2
		}
		for range numbers {
			_, after, ok := strings.Cut(s, "_")
			if !ok {
				return ""
			}
			s = after
		}
	}
	return s
}

// nestedHead reads the first element of a nested name, after its qualifiers.
// An anonymous namespace says nothing, so what is in it counts.
func nestedHead(s string) string {
	p := 0
	for p < len(s) && strings.IndexByte("rVKROL", s[p]) >= 0 {
		p++
	}
	if strings.HasPrefix(s[p:], "H") { // an explicit object parameter
		p++
	}
	if p+1 < len(s) && s[p] == 'S' && strings.IndexByte(stdSubstitutions, s[p+1]) >= 0 {
		return "std"
	}
	for range 8 { // anonymous namespaces in anonymous namespaces
		n, at := decimal(s, p)
		if n <= 0 || n > len(s)-at {
			return ""
		}
		head := s[at : at+n]
		if !strings.HasPrefix(head, "_GLOBAL__N") {
			return head
		}
		p = at + n
	}
	return ""
}

// cppTextNamespace finds the outermost namespace in a demangled name, which may
// begin with a return type: "void foo::bar<int>(int)".
func cppTextNamespace(s string) string {
	for _, p := range [...]string{
		"vtable for ", "typeinfo for ", "typeinfo name for ", "guard variable for ", "non-virtual thunk to ",
		"virtual thunk to ", "VTT for ",
	} {
		s = strings.TrimPrefix(s, p)
	}
	s = s[qualifiedStart(s):]
	for range 8 {
		t := strings.TrimPrefix(s, "(anonymous namespace)::")
		if t == s {
			break
		}
		s = t
	}
	i := 0
	for i < len(s) && isIdent(s[i]) {
		i++
	}
	// The arguments of a class template may stand between its name and "::".
	rest := s[i:]
	if strings.HasPrefix(rest, "<") {
		rest = rest[closing(rest):]
	}
	if i == 0 || !strings.HasPrefix(rest, "::") {
		return ""
	}
	return s[:i]
}

// qualifiedStart is the offset of the function's own name: after the last space
// outside of brackets before its parameters.
func qualifiedStart(s string) int {
	depth, start := 0, 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '<', '[', '{':
			depth++
		case '>', ']', '}':
			depth--
		case '(':
			if strings.HasPrefix(s[i:], "(anonymous namespace)") {
				i += len("(anonymous namespace)") - 1
				continue
			}
			if depth == 0 {
				return start
			}
			depth++
		case ')':
			depth--
		case ' ':
			if depth == 0 && !strings.HasSuffix(s[:i], "operator") && !strings.HasPrefix(s[i+1:], "[abi:") {
				start = i + 1
			}
		}
	}
	return start
}

// closing is the offset after the bracket that closes the one s begins with,
// the length of s without one.
func closing(s string) int {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '<':
			depth++
		case '>':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return len(s)
}
