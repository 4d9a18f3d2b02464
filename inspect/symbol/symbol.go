// Package symbol reads the names of functions as they stand in the name
// sections of WebAssembly modules: which compiler's scheme a name follows, what
// it says to a person, and which package of source code it belongs to.
//
// Linkers write these names in several dialects. LLVM's linker demangles what
// it can, wasm-bindgen demangles Rust's names in its own way, Go's replaces
// every byte outside [A-Za-z0-9_.] by an underscore. Names such as
// "runtime.alloc" or "fmt::write" fit several languages; a [Tally] over all
// names of a module settles them in a [Context], whose methods read single
// names. The functions of the package are those of the zero Context, which
// leaves such names undecided.
//
// All functions are pure, bounded in time and memory by the length of the name,
// and safe for hostile input: a name longer than [MaxDemangle] is not demangled.
package symbol

import (
	"strings"

	"github.com/ianlancetaylor/demangle"
)

// A Symbol is what a name says.
type Symbol struct {
	Scheme Scheme `json:"scheme"`

	// Text is the name for people: demangled where the scheme is known and the
	// name well formed, otherwise the name as it is. At most MaxText bytes.
	Text string `json:"text"`

	// Package is the unit of source code that the function comes from, "" where
	// the name does not tell; see [Context.Package].
	Package string `json:"package,omitempty"`
}

const (
	// MaxDemangle is the length in bytes from which on a name is not demangled.
	// Template code makes names of a few thousand bytes; the time that
	// demangling takes grows faster than the name.
	MaxDemangle = 4096

	// MaxText bounds Symbol.Text in bytes: substitutions let a short mangled
	// name stand for a very long one.
	MaxText = 1 << maxTextLog

	maxTextLog = 13
)

// A Context is what the other names of a module say about an ambiguous one. The
// zero Context says nothing. A Context may be copied and used concurrently.
type Context struct {
	dotted Scheme // of names like "runtime.alloc": Go, TinyGo, Zig, Kotlin, Dart or Unknown
	paths  Scheme // of names like "fmt::write": RustLegacy, RustV0, CPlusPlus or Unknown

	goModules []goModule
}

// Parse reads name without a context.
func Parse(name string) Symbol { return Context{}.Parse(name) }

// Package gives the package of name without a context.
func Package(name string) string { return Context{}.Package(name) }

// Parse reads name.
func (c Context) Parse(name string) Symbol {
	name = trimPass(name)
	s := Symbol{Scheme: c.Scheme(name)}
	s.Package = c.packageOf(s.Scheme, name)
	s.Text = c.text(s.Scheme, name)
	if len(s.Text) > MaxText {
		s.Text = strings.Clone(cut(s.Text, MaxText)) // the rest may be long
	}
	return s
}

// Package gives the unit of source code that a function of this name comes
// from, without demangling the whole name:
//
//   - Rust: the crate. A method of an impl block belongs to the crate that
//     holds the block where the name tells (v0), otherwise to the crate of the
//     self type, or to that of the trait if the type is built in, or to core if
//     there is no trait. An instance of a generic function belongs to the crate
//     that defines the function.
//   - Go: the import path, as far as the linker has left it; see
//     [Context.WithGoModules].
//   - C++: the outermost namespace, or the class of a method outside any.
//   - Swift: the module. Kotlin and D: the package or module.
//   - AssemblyScript: the source file without its extension.
//   - Zig: the namespace of the function, its file.
//   - Haskell: package and module, "containers-0.6.7:Data.Map.Internal".
//
// It is "" where the name does not tell, as in C.
func (c Context) Package(name string) string {
	name = trimPass(name)
	return c.packageOf(c.Scheme(name), name)
}

// trimPass takes off what passes of Binaryen put before the name of the function
// that they change. A merged function has the name of one of several.
func trimPass(name string) string {
	if name == "" || strings.IndexByte("blo", name[0]) < 0 {
		return name
	}
	for _, p := range [...]string{"byn$mgfn-shared$", "legalstub$", "legalfunc$", "orig$"} {
		if rest, ok := strings.CutPrefix(name, p); ok {
			return rest
		}
	}
	return name
}

func (c Context) packageOf(s Scheme, name string) string {
	switch s {
	case RustV0:
		return rustV0Crate(name)
	case RustLegacy:
		return rustLegacyCrate(name)
	case CPlusPlus:
		return itaniumNamespace(name)
	case Swift:
		return swiftModule(name)
	case Go:
		return c.goPackage(name)
	case TinyGo:
		return tinyGoPackage(name)
	case AssemblyScript:
		return assemblyScriptFile(name)
	case Zig:
		return zigNamespace(name)
	case Kotlin:
		return kotlinPackage(name)
	case D:
		return dModule(name)
	case Haskell:
		return haskellModule(name)
	case MoonBit:
		return moonBitPackage(name)
	case Unknown, C, Dart, OCaml, Grain, Java:
	}
	return ""
}

func (c Context) text(s Scheme, name string) string {
	if len(name) > MaxDemangle {
		return name
	}
	switch s {
	case RustV0, RustLegacy, CPlusPlus:
		return demangled(s, name)
	case Swift:
		return swiftText(name)
	case Go:
		return c.goText(name)
	case D:
		return dText(name)
	case Haskell:
		return haskellText(name)
	case Unknown, C, TinyGo, AssemblyScript, Zig, Kotlin, Dart, MoonBit, OCaml, Grain, Java:
	}
	return name
}

// demangled uses the library for the two schemes of Rust and for C++, and only
// takes the hash off names that are demangled already.
func demangled(s Scheme, name string) string {
	if !isMangled(name) {
		if s == RustLegacy && strings.Contains(name, "$") {
			return legacyText(cutHash(name))
		}
		if s == RustLegacy {
			return cutHash(name)
		}
		return name
	}
	// LLVM's own underscore before every symbol of some targets survives in a
	// few toolchains; the library wants one.
	if strings.HasPrefix(name, "__R") || strings.HasPrefix(name, "__Z") {
		name = name[1:]
	}
	text, err := demangle.ToString(name, demangle.MaxLength(maxTextLog))
	if err != nil {
		return name
	}
	return text
}

// cut shortens s to at most n bytes, at the start of a character.
func cut(s string, n int) string {
	for n > 0 && s[n]&0xc0 == 0x80 {
		n--
	}
	return s[:n]
}
