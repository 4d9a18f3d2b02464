package symbol

import (
	"fmt"
	"strings"
)

// A Scheme is a way of making names.
type Scheme uint8

// The schemes that are told apart.
const (
	Unknown        Scheme = iota
	C                     // plain names, and those of the C runtime and Emscripten
	RustV0                // "_RNv…", RFC 2603, also demangled
	RustLegacy            // "_ZN…17h<hash>E", also demangled with or without the hash
	CPlusPlus             // the Itanium ABI, "_Z…", also demangled
	Swift                 // "$s…"
	Go                    // Go's own linker: everything but [A-Za-z0-9_.] made an underscore
	TinyGo                // "(*sync.Mutex).Lock", import paths with their slashes
	AssemblyScript        // "~lib/rt/itcms/__new"
	Zig                   // "mem.eql__anon_1234"
	Kotlin                // "kotlin.collections.ArrayList.add"
	Dart                  // "_GrowableList.add"
	D                     // "_D3std5stdio…"
	Haskell               // z-encoded, "base_GHCziBase_map_info"
	MoonBit               // "_M0…", "@moonbitlang/core/…"
	OCaml                 // "caml_…"
	Grain                 // "GRAIN$…"
	Java                  // J2CL and TeaVM
)

// schemes is how many there are.
const schemes = int(Java) + 1

var schemeNames = [schemes]string{
	"unknown", "c", "rust-v0", "rust-legacy", "c++", "swift", "go", "tinygo", "assemblyscript", "zig", "kotlin", "dart",
	"d", "haskell", "moonbit", "ocaml", "grain", "java",
}

// String gives the scheme's name as reports have it.
func (s Scheme) String() string {
	if int(s) < schemes {
		return schemeNames[s]
	}
	return fmt.Sprintf("scheme %d", uint8(s))
}

// MarshalText implements [encoding.TextMarshaler].
func (s Scheme) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (s *Scheme) UnmarshalText(text []byte) error {
	for i, name := range schemeNames {
		if name == string(text) {
			*s = Scheme(i)
			return nil
		}
	}
	return fmt.Errorf("unknown symbol scheme %q", text)
}

// Scheme tells which scheme name follows, Unknown if several would do and the
// context does not settle it.
func (c Context) Scheme(name string) Scheme {
	s, form := classify(trimPass(name))
	switch {
	case s != Unknown:
		return s
	case form == formDotted:
		return c.dotted
	case form == formPaths:
		return c.paths
	}
	return Unknown
}

// A form is the shape of a name that several schemes share.
type form uint8

const (
	formNone   form = iota
	formDotted      // "a.b"
	formPaths       // "a::b"
)

// classify looks at the marks that only one scheme makes.
func classify(name string) (Scheme, form) {
	if name == "" {
		return Unknown, formNone
	}
	switch name[0] {
	case '_':
		if s := classifyUnderscore(name); s != Unknown {
			return s, formNone
		}
	case '$':
		if isSwift(name) {
			return Swift, formNone
		}
	case '~':
		if strings.HasPrefix(name, "~lib/") {
			return AssemblyScript, formNone
		}
	case '@':
		if strings.HasPrefix(name, "@moonbitlang/") {
			return MoonBit, formNone
		}
	}
	return classifyPlain(name)
}

// classifyUnderscore reads the prefixes that compilers put before a mangled
// name.
func classifyUnderscore(name string) Scheme {
	switch {
	case hasV0Prefix(name):
		return RustV0
	case strings.HasPrefix(name, "_Z") || strings.HasPrefix(name, "__Z"):
		if isRustLegacy(name) {
			return RustLegacy
		}
		return CPlusPlus
	case strings.HasPrefix(name, "_$s") || strings.HasPrefix(name, "_$S") || strings.HasPrefix(name, "_T0"):
		return Swift
	case len(name) > 2 && name[1] == 'D' && isDigit(name[2]):
		return D
	case strings.HasPrefix(name, "_M0"):
		return MoonBit
	}
	return Unknown
}

func isMangled(name string) bool {
	return len(name) > 2 && name[0] == '_' &&
		(name[1] == 'Z' || name[1] == 'R' || name[1] == '_' && (name[2] == 'Z' || name[2] == 'R'))
}

// shape is what one pass over a name finds.
type shape struct {
	dot, paths, slash, paren, angle, space, hash, other bool
}

func shapeOf(name string) (sh shape) {
	for i := 0; i < len(name); i++ {
		switch b := name[i]; {
		case b == '_' || b|0x20 >= 'a' && b|0x20 <= 'z' || isDigit(b):
		case b == '.':
			sh.dot = true
		case b == ':':
			sh.paths = sh.paths || i+1 < len(name) && name[i+1] == ':'
		case b == '/':
			sh.slash = true
		case b == '(':
			sh.paren = true
		case b == '<':
			sh.angle = true
		case b == ' ':
			sh.space = true
		case b == '#':
			sh.hash = true
		default:
			sh.other = true
		}
	}
	return sh
}

// classifyPlain reads names that are not mangled, or demangled already.
func classifyPlain(name string) (Scheme, form) {
	sh := shapeOf(name)
	switch {
	case sh.paths:
		return classifyPaths(name)
	case isAssemblyScript(name, sh):
		return AssemblyScript, formNone
	case isTinyGo(name, sh):
		return TinyGo, formNone
	case sh.dot:
		return classifyDotted(name, sh)
	case isHaskell(name):
		return Haskell, formNone
	case strings.HasPrefix(name, "caml_"):
		return OCaml, formNone
	case strings.HasPrefix(name, "GRAIN$"):
		return Grain, formNone
	case strings.HasPrefix(name, "moonbit."):
		return MoonBit, formNone
	case strings.Contains(name, "__anon_"):
		return Zig, formNone
	case sh.paren && isFunctionText(name):
		return CPlusPlus, formNone
	case sh.paren || sh.slash || sh.angle || sh.space || sh.hash || sh.other:
		return Unknown, formNone
	}
	return C, formNone
}

// isFunctionText recognises what LLVM demangles C++ functions outside any
// namespace to, "main(int, char**)". Names that wasm-bindgen makes for its shims
// have parentheses too, "Ref(String) -> Externref".
func isFunctionText(name string) bool {
	return strings.HasSuffix(name, ")") && !strings.ContainsAny(name, "{}[]\"") && !strings.Contains(name, "->")
}

// classifyDotted reads names like "runtime.alloc".
func classifyDotted(name string, sh shape) (Scheme, form) {
	switch {
	case isZig(name):
		return Zig, formNone
	case strings.HasPrefix(name, "kotlin."), strings.Contains(name, ".<init>"), strings.HasPrefix(name, "kotlinx."):
		return Kotlin, formNone
	case strings.HasPrefix(name, "moonbit."):
		return MoonBit, formNone
	case isCloneSuffix(name):
		return C, formNone
	case isGo(name):
		return Go, formNone
	case sh.other || sh.slash:
		return Unknown, formDotted
	}
	return Unknown, formDotted
}

// isCloneSuffix recognises what LLVM appends to copies of a plain function:
// "memcpy.llvm.1234", "foo.1", "bar.cold", and to imports of one name.
func isCloneSuffix(name string) bool {
	dot := strings.IndexByte(name, '.')
	if dot <= 0 {
		return false
	}
	rest := name[dot+1:]
	for _, s := range [...]string{"llvm.", "cold", "part.", "constprop.", "isra.", "specialized.", "command_export"} {
		if strings.HasPrefix(rest, s) {
			return true
		}
	}
	return allDigits(rest)
}

func allDigits(s string) bool {
	for i := 0; i < len(s); i++ {
		if !isDigit(s[i]) {
			return false
		}
	}
	return s != ""
}

// classifyPaths reads names like "a::b", which Rust and C++ share.
func classifyPaths(name string) (Scheme, form) {
	switch {
	case hashStart(name) >= 0:
		return RustLegacy, formNone
	case strings.Contains(name, "{closure#") || strings.Contains(name, "{impl#") || hasDisambiguator(name):
		return RustV0, formNone
	case strings.Contains(name, "{{closure}}") || strings.Contains(name, " as ") || strings.Contains(name, "<impl "):
		// The library and LLVM print v0 closures with a number.
		return RustLegacy, formNone
	case strings.HasSuffix(name, ")") || strings.HasSuffix(name, ") const"), strings.Contains(name, "::operator"),
		strings.HasPrefix(name, "std::__"), strings.Contains(name, "[abi:"), strings.Contains(name, "::~"),
		strings.Contains(name, "(anonymous namespace)"):
		return CPlusPlus, formNone
	case strings.HasPrefix(name, "core::"), strings.HasPrefix(name, "alloc::"), strings.HasPrefix(name, "std::panicking::"),
		strings.HasPrefix(name, "std::sys::"), strings.HasPrefix(name, "std::io::"), strings.HasPrefix(name, "compiler_builtins::"):
		return RustLegacy, formNone
	}
	return Unknown, formPaths
}

func isDigit(b byte) bool { return b >= '0' && b <= '9' }

// A Tally counts the names of a module by scheme. The zero Tally is ready to
// use.
type Tally struct {
	counts [schemes]int
	forms  [3]int
	total  int
}

// Add counts name, and gives its scheme as far as the name alone tells.
func (t *Tally) Add(name string) Scheme {
	s, form := classify(trimPass(name))
	t.total++
	t.counts[s]++
	if s == Unknown {
		t.forms[form]++
	}
	return s
}

// Total is how many names were added.
func (t *Tally) Total() int { return t.total }

// Count is how many of the names follow s beyond doubt, or, with the ambiguous
// ones settled by the others, most likely.
func (t *Tally) Count(s Scheme) int {
	c := t.Context()
	n := t.counts[s]
	if s == Unknown {
		n = t.forms[formNone]
	}
	if s == c.dotted {
		n += t.forms[formDotted]
	}
	if s == c.paths {
		n += t.forms[formPaths]
	}
	return n
}

// Context settles ambiguous names in favour of the scheme that most of the
// unambiguous ones follow.
func (t *Tally) Context() Context {
	return Context{
		dotted: t.most(Go, TinyGo, Zig, Kotlin, Dart, MoonBit),
		paths:  t.most(RustLegacy, RustV0, CPlusPlus),
	}
}

// most gives the most frequent of the schemes, the first one listed of equals,
// and Unknown if none occurs.
func (t *Tally) most(schemes ...Scheme) Scheme {
	best := Unknown
	for _, s := range schemes {
		if t.counts[s] > 0 && (best == Unknown || t.counts[s] > t.counts[best]) {
			best = s
		}
	}
	return best
}
