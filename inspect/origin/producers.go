package origin

import (
	"strings"

	"github.com/wreg-project/wreg/internal/lazy"
)

// producerRule is the id of what the producers section says.
const producerRule = "producers"

// producerWeight is how much an entry of the producers section weighs: the tool
// itself wrote it in most files, but anyone can.
const producerWeight = 0.8

// compilerWeight is that of a compiler of one language for the language. It is
// more than that of a language in the section: LLVM names those of the C library
// too.
const compilerWeight = 0.85

// A producerName is how a name of the producers section is reported.
type producerName struct {
	glob string
	role Role
	name string // "" leaves it as it is
	lang string // the language that the tool compiles, if it is one
}

// producerTools are the names that tools give themselves as "processed-by" or
// "sdk".
var producerTools = []producerName{
	{"rustc", RoleCompiler, "", "Rust"},
	{"* clang", RoleCompiler, "clang", ""},
	{"clang*", RoleCompiler, "clang", ""},
	{"Go cmd/compile", RoleCompiler, "", "Go"},
	{"TinyGo", RoleCompiler, "", "Go"},
	{"AssemblyScript", RoleCompiler, "", "AssemblyScript"},
	{"Swift*", RoleCompiler, "Swift", "Swift"},
	{"swiftlang", RoleCompiler, "Swift", "Swift"},
	{"ghc*", RoleCompiler, "GHC", "Haskell"},
	{"GHC*", RoleCompiler, "GHC", "Haskell"},
	{"zig", RoleCompiler, "Zig", "Zig"},
	{"kotlin*", RoleCompiler, "Kotlin", "Kotlin"},
	{"Kotlin*", RoleCompiler, "Kotlin", "Kotlin"},
	{"dart2wasm", RoleCompiler, "", "Dart"},
	{"moonc", RoleCompiler, "MoonBit", "MoonBit"},
	{"MoonBit*", RoleCompiler, "MoonBit", "MoonBit"},
	{"grainc", RoleCompiler, "Grain", "Grain"},
	{"LFortran", RoleCompiler, "", "Fortran"},
	{"LLD", RoleLinker, "", ""},
	{"wasm-ld", RoleLinker, "LLD", ""},
	{"binaryen", RoleOptimiser, "Binaryen", ""},
	{"Binaryen*", RoleOptimiser, "Binaryen", ""},
	{"wasm-opt", RoleOptimiser, "Binaryen", ""},
	{"walrus", RoleOptimiser, "", ""},
	{"wizer*", RoleOptimiser, "Wizer", ""},
	{"wasm-bindgen", RoleBindings, "", ""},
	{"wit-bindgen*", RoleBindings, "", ""},
	{"Emscripten", RoleSDK, "", ""},
	{"emscripten", RoleSDK, "Emscripten", ""},
	{"wit-component", RolePackager, "", ""},
	{"wit", RolePackager, "", ""},
	{"wit-parser", RolePackager, "", ""},
	{"wac*", RolePackager, "wac", ""},
	{"wasm-compose*", RolePackager, "wasm-compose", ""},
	{"cargo-component", RolePackager, "", ""},
	{"componentize-js", RolePackager, "ComponentizeJS", ""},
	{"ComponentizeJS", RolePackager, "", ""},
	{"componentize-py", RolePackager, "", ""},
	{"component-init*", RolePackager, "", ""},
	{"wasi-virt", RolePackager, "", ""},
	{"wasm-tools*", RolePackager, "wasm-tools", ""},
	{"javy*", RolePackager, "Javy", ""},
	{"Javy*", RolePackager, "Javy", ""},
}

// producerLanguages maps the names of languages: those of C and C++ are the
// ones of DWARF, with the year of the standard.
var producerLanguages = []producerName{
	{"C_plus_plus*", RoleCompiled, "C++", ""},
	{"C++*", RoleCompiled, "C++", ""},
	{"ObjC*", RoleCompiled, "Objective-C", ""},
	{"Fortran*", RoleCompiled, "Fortran", ""},
	{"TinyGo", RoleCompiled, "Go", ""},
	{"Wat", RoleCompiled, "WebAssembly text", ""},
	{"wat", RoleCompiled, "WebAssembly text", ""},
}

// cStandards are the names of C with or without a year.
var cStandards = lazy.Regexp(`^C(\d\d)?$`)

func languageName(name string) string {
	if cStandards().MatchString(name) {
		return "C"
	}
	for _, p := range producerLanguages {
		if glob(p.glob, name) {
			return p.name
		}
	}
	return name
}

// toolName gives the entry for a name, one of role RoleTool if it is unknown.
func toolName(name string) producerName {
	for _, p := range producerTools {
		if glob(p.glob, name) {
			if p.name == "" {
				p.name = name
			}
			return p
		}
	}
	return producerName{role: RoleTool, name: name}
}

// rustcVersions match "1.98.1 (48a229cea 2026-09-01)".
var rustcVersions = lazy.Regexp(`^(\S+) \(([0-9a-f]{9}) \d{4}-\d\d-\d\d\)`)

// producerVersion keeps the version of a tool and drops what follows it in
// parentheses, which for rustc is a commit worth keeping.
func producerVersion(tool, v string) string {
	if m := rustcVersions().FindStringSubmatch(v); tool == "rustc" && m != nil {
		return m[1] + " (" + m[2] + ")"
	}
	v, _, _ = strings.Cut(v, " (")
	return clip(strings.TrimSpace(v))
}

// maxProducers bounds the entries looked at. Composed components keep a section
// for each module, of a few entries.
const maxProducers = 100

// producers adds what the producers section says.
func (c *collector) producers(o *observer, size int64) {
	list := o.b.Metadata.Producers
	at := o.findCustomSection("producers")
	for _, p := range list[:min(len(list), maxProducers)] {
		ev := Evidence{
			Rule: producerRule, Kind: KindProducers, What: clip(strings.TrimSpace(p.Field + " " + p.Name + " " + p.Version)), Offset: at,
		}
		switch p.Field {
		case "language":
			c.add(lang(clip(languageName(p.Name)), producerWeight), "", producerRule, size, ev)
		case "processed-by", "sdk":
			t := toolName(p.Name)
			v := producerVersion(t.name, p.Version)
			c.add(tool(t.role, clip(t.name), producerWeight), v, producerRule, size, ev)
			if t.lang != "" {
				c.add(lang(t.lang, compilerWeight), "", producerRule, size, ev)
			}
			if strings.HasSuffix(v, "-wasi-sdk") {
				c.add(tool(RoleSDK, "wasi-sdk", producerWeight), "", producerRule, size, ev)
			}
		}
	}
}

// findCustomSection gives the place of the first custom section of a name, -1
// without one.
func (o *observer) findCustomSection(name string) int64 {
	for _, s := range o.b.Sections {
		if s.ID == 0 && s.Name == name {
			return s.Offset
		}
	}
	return -1
}
