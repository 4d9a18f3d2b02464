package symbol

import "strings"

// hasV0Prefix recognises the v0 scheme: "_R", an optional version, and the tag
// of a path, which is an upper-case letter.
func hasV0Prefix(name string) bool {
	i := 2
	switch {
	case strings.HasPrefix(name, "_R"):
	case strings.HasPrefix(name, "__R"):
		i = 3
	default:
		return false
	}
	for i < len(name) && isDigit(name[i]) {
		i++
	}
	return i+1 < len(name) && strings.IndexByte("CMXYNIB", name[i]) >= 0
}

// v0Hops bounds the steps from a v0 path to its crate: each tag, nested path and
// back reference is one. The compiler's own paths have a dozen; a chain of back
// references could otherwise be walked for ever.
const v0Hops = 256

// rustV0Crate follows the path of a v0 name down to its crate root.
func rustV0Crate(name string) string {
	if !isMangled(name) {
		return rustTextCrate(name)
	}
	s := name[strings.IndexByte(name, 'R')+1:] // back references count from here
	p := 0
	for p < len(s) && isDigit(s[p]) {
		p++
	}
	for range v0Hops {
		if p >= len(s) {
			return ""
		}
		tag := s[p]
		p++
		switch tag {
		case 'C': // [disambiguator] identifier
			return v0Identifier(s, v0Disambiguator(s, p))
		case 'N': // namespace path identifier
			p++
		case 'I': // path generic-args "E"
		case 'M', 'X': // an impl block's own path stands first
			p = v0Disambiguator(s, p)
		case 'Y': // a trait's own method: type, trait
		case 'R', 'Q', 'P', 'O', 'S', 'A': // references, pointers, slices, arrays: the type inside
			if p < len(s) && s[p] == 'L' {
				_, p = base62(s, p+1)
			}
		case 'B':
			at, end := base62(s, p)
			if at < 0 || at >= p-1 || end > len(s) {
				return ""
			}
			p = at
		default:
			if tag >= 'a' && tag <= 'z' {
				continue // a built-in type: the trait comes next
			}
			// Tuples, functions and trait objects, which stand before their
			// trait: rare, so the whole name is demangled.
			return rustTextCrate(demangledShort(name))
		}
	}
	return ""
}

// demangledShort is the demangled text of a name that is not too long.
func demangledShort(name string) string {
	if len(name) > MaxDemangle {
		return ""
	}
	text := demangled(RustV0, name)
	if text == name {
		return ""
	}
	return text
}

// v0Disambiguator steps over an optional "s" base-62-number.
func v0Disambiguator(s string, p int) int {
	if p < len(s) && s[p] == 's' {
		_, p = base62(s, p+1)
	}
	return p
}

// base62 reads a base-62 number, "_" being 0, "0_" 1 and so on, and gives the
// offset after it. A malformed or huge one is -1.
func base62(s string, p int) (value, end int) {
	n := 0
	for start := p; p < len(s); p++ {
		b := s[p]
		d := 0
		switch {
		case b == '_':
			if p > start {
				n++
			}
			return n, p + 1
		case isDigit(b):
			d = int(b - '0')
		case b >= 'a' && b <= 'z':
			d = int(b-'a') + 10
		case b >= 'A' && b <= 'Z':
			d = int(b-'A') + 36
		default:
			return -1, len(s)
		}
		if n = n*62 + d; n > 1<<40 {
			// Hashes of crates are larger: they only have to be stepped over.
			n = 1 << 40
		}
	}
	return -1, len(s)
}

// v0Identifier reads ["u"] decimal ["_"] bytes.
func v0Identifier(s string, p int) string {
	if p < len(s) && s[p] == 'u' {
		p++
	}
	n, p := decimal(s, p)
	if p < len(s) && s[p] == '_' {
		p++
	}
	if n <= 0 || n > len(s)-p {
		return ""
	}
	return s[p : p+n]
}

// decimal reads digits from p on, -1 if there are none or too many.
func decimal(s string, p int) (n, end int) {
	start := p
	for p < len(s) && isDigit(s[p]) {
		if n = n*10 + int(s[p]-'0'); n > MaxDemangle*16 {
			return -1, len(s)
		}
		p++
	}
	if p == start {
		return -1, p
	}
	return n, p
}

// isRustLegacy recognises the hash at the end of a legacy name, "17h", sixteen
// hexadecimal digits and "E", before any suffix that LLVM has added.
func isRustLegacy(name string) bool {
	if i := strings.Index(name, "E."); i >= 0 && i >= len(name)-64 {
		name = name[:i+1]
	} else if i := strings.LastIndex(name, "E.llvm."); i >= 0 {
		name = name[:i+1]
	}
	n := len(name)
	return n > 23 && name[n-1] == 'E' && name[n-20:n-17] == "17h" && isHex(name[n-17:n-1])
}

func isHex(s string) bool {
	for i := 0; i < len(s); i++ {
		if b := s[i]; !isDigit(b) && (b < 'a' || b > 'f') {
			return false
		}
	}
	return true
}

// hashStart finds the "::h<16 hex digits>" at the end of a demangled legacy
// name, -1 without one.
func hashStart(name string) int {
	if i := strings.Index(name, ".llvm."); i >= 0 {
		name = strings.TrimSuffix(name[:i], " (") // LLVM's demangler puts suffixes in parentheses
	}
	i := len(name) - 19
	if i > 0 && name[i:i+3] == "::h" && isHex(name[i+3:]) {
		return i
	}
	return -1
}

func cutHash(name string) string {
	if i := hashStart(name); i >= 0 {
		return name[:i]
	}
	return name
}

// hasDisambiguator recognises the "core[846817f741e54dfd]::fmt" of demanglers
// that print crate hashes.
func hasDisambiguator(name string) bool {
	for from := 0; ; {
		i := strings.Index(name[from:], "]::")
		if i < 0 {
			return false
		}
		i += from
		open := strings.LastIndexByte(name[:i], '[')
		if n := i - open - 1; open > 0 && n >= 8 && n <= 16 && isHex(name[open+1:i]) {
			return true
		}
		from = i + 3
		if from > MaxDemangle {
			return false
		}
	}
}

// rustLegacyCrate reads the first element of the path, which for an impl block
// is an escaped "<Type as Trait>".
func rustLegacyCrate(name string) string {
	if !isMangled(name) {
		if strings.Contains(name, "$") {
			name = legacyText(name)
		}
		return rustTextCrate(name)
	}
	p := strings.Index(name, "ZN") + 2
	n, p := decimal(name, p)
	if n <= 0 || n > len(name)-p {
		return ""
	}
	first := name[p : p+n]
	if !strings.Contains(first, "$") {
		return first
	}
	return rustTextCrate(legacyText(first))
}

var legacyEscapes = strings.NewReplacer("$LT$", "<", "$GT$", ">", "$RF$", "&", "$BP$", "*", "$LP$", "(", "$RP$", ")",
	"$C$", ",", "$u20$", " ", "$u7b$", "{", "$u7d$", "}", "$u5b$", "[", "$u5d$", "]", "$u27$", "'", "$u3b$", ";", "..", "::")

// legacyText undoes the escapes of a legacy name, which demanglers for C++ leave.
func legacyText(s string) string {
	if strings.HasPrefix(s, "_$") { // no identifier begins with "$"
		s = s[1:]
	}
	return legacyEscapes.Replace(s)
}

// rustTextCrate finds the crate in a demangled path: that of the path itself,
// or of the self type of "<Type as Trait>", or of the trait.
func rustTextCrate(s string) string {
	for range 16 { // <<A as B>::C as D>: each level of nesting is a step
		switch {
		case strings.HasPrefix(s, "<impl "):
			if _, after, ok := strings.Cut(s, " for "); ok {
				if crate := typeCrate(after); crate != "" {
					return crate
				}
			}
			return typeCrate(s[len("<impl "):])
		case strings.HasPrefix(s, "<"):
			s = s[1:]
			if crate := typeCrate(s); crate != "" {
				return crate
			}
			_, after, ok := strings.Cut(s, " as ")
			if !ok {
				return "core" // only the library adds methods to built-in types
			}
			s = after
		default:
			return typeCrate(s)
		}
	}
	return ""
}

// typeCrate reads the crate off the front of a type: "" for what is built in,
// a type parameter, or nested in another impl.
func typeCrate(s string) string {
	for {
		t := strings.TrimLeft(s, "&*([<")
		for _, word := range [...]string{"mut ", "const ", "dyn ", "impl "} {
			t = strings.TrimPrefix(t, word)
		}
		if strings.HasPrefix(t, "'") { // a lifetime
			_, t, _ = strings.Cut(t, " ")
		}
		if t == s {
			break
		}
		s = t
	}
	i := 0
	for i < len(s) && isIdent(s[i]) {
		i++
	}
	rest := s[i:]
	if strings.HasPrefix(rest, "[") { // a crate's disambiguator
		if end := strings.IndexByte(rest, ']'); end > 0 {
			rest = rest[end+1:]
		}
	}
	if i == 0 || !strings.HasPrefix(rest, "::") {
		return ""
	}
	return s[:i]
}

func isIdent(b byte) bool {
	return b == '_' || b|0x20 >= 'a' && b|0x20 <= 'z' || isDigit(b) || b >= 0x80
}
