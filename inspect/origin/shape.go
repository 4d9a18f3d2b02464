package origin

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/wreg-project/wreg/inspect/wasm"
)

// shapes are what rules say about a binary as a whole. Each says what it saw,
// and where.
var shapes = map[string]func(b *wasm.Binary) (what string, offset int64, ok bool){
	"minified imports":       minifiedImports,
	"padded call indices":    paddedCalls,
	"garbage-collected":      collected,
	"webcil payload":         webcil,
	"no imports":             noImports,
	"nested":                 nested,
	"component":              isComponent,
	"component without code": noCode,
}

// minifiedImports recognises what Emscripten makes of the names of imports at
// -O2 and above: one module "a", names of one to three characters.
func minifiedImports(b *wasm.Binary) (string, int64, bool) {
	m := b.Module
	if m == nil || len(m.Imports) == 0 {
		return "", 0, false
	}
	for i := range m.Imports {
		if im := &m.Imports[i]; im.Module != "a" || len(im.Name) > 3 {
			return "", 0, false
		}
	}
	return fmt.Sprintf("all %d imports have short names of module %q", len(m.Imports), "a"), sectionOffset(b, wasm.SectionImport), true
}

// maxCallScan is how far into the code calls are looked for, in bytes.
const maxCallScan = 1 << 16

// minPadded is how many calls in a row must have padded indices: one could be
// part of another instruction.
const minPadded = 3

// paddedCalls recognises calls whose index takes five bytes where fewer would
// do. LLVM's linker leaves room to patch it; tools that rewrite modules don't.
func paddedCalls(b *wasm.Binary) (string, int64, bool) {
	if b.Module == nil {
		return "", 0, false
	}
	n, first := 0, int64(0)
	for _, body := range b.Module.Code {
		if body.Offset-b.Module.Code[0].Offset > maxCallScan {
			break
		}
		code := b.Bytes(body.Offset, min(body.Size, maxCallScan))
		for i := 0; i+5 < len(code); i++ {
			if code[i] != 0x10 || code[i+1]&0x80 == 0 || code[i+2]&0x80 == 0 || code[i+3]&0x80 == 0 || code[i+4] != 0x80 || code[i+5] != 0 {
				continue
			}
			if n++; n == 1 {
				first = body.Offset + int64(i)
			}
			if n == minPadded {
				return "calls with padded indices", first, true
			}
		}
	}
	return "", 0, false
}

// collected recognises types of the garbage collector.
func collected(b *wasm.Binary) (string, int64, bool) {
	if b.Module == nil {
		return "", 0, false
	}
	n := 0
	for i := range b.Module.Types {
		if f := b.Module.Types[i].Form; f == wasm.FormStruct || f == wasm.FormArray {
			n++
		}
	}
	if n == 0 {
		return "", 0, false
	}
	return fmt.Sprintf("%d structure and array types", n), sectionOffset(b, wasm.SectionType), true
}

// webcil recognises an assembly of .NET wrapped in a module: a data segment that
// begins with the magic of the format.
func webcil(b *wasm.Binary) (string, int64, bool) {
	if b.Module == nil {
		return "", 0, false
	}
	for _, d := range b.Module.Data[:min(len(b.Module.Data), 4)] {
		if head := b.Bytes(d.Offset, min(d.Size, 4)); bytes.Equal(head, []byte("WbIL")) {
			return "a data segment begins with WbIL", d.Offset, true
		}
	}
	return "", 0, false
}

// nested recognises a module or component inside a component.
func nested(b *wasm.Binary) (string, int64, bool) {
	return "it lies in a component", b.Offset, b.Offset > 0
}

// noImports looks at the code of a module and at what a component wants.
func noImports(b *wasm.Binary) (string, int64, bool) {
	_, _, types := noCode(b)
	empty := b.Module != nil && len(b.Module.Imports) == 0 || b.Component != nil && len(b.Component.Imports) == 0 && !types
	return "there are no imports", b.Offset, empty
}

func isComponent(b *wasm.Binary) (string, int64, bool) {
	_, _, types := noCode(b)
	return "it is a component", b.Offset, b.Component != nil && !types
}

// noCode recognises WIT packages, which are components that only export types.
func noCode(b *wasm.Binary) (string, int64, bool) {
	c := b.Component
	if c == nil || len(c.Modules) > 0 || len(c.Components) > 0 || len(c.Exports) == 0 {
		return "", 0, false
	}
	return "it exports types and holds no module", b.Offset, true
}

func sectionOffset(b *wasm.Binary, id byte) int64 {
	for _, s := range b.Sections {
		if s.ID == id {
			return s.Offset
		}
	}
	return b.Offset
}

// versions read the version that follows a string of the rules; "" if there is
// none.
var versions = map[string]func(tail []byte) string{
	"/rustc/":                  rustcVersion,
	"X-Powered-By: PHP/":       number,
	"This is perl 5, version ": func(t []byte) string { return join("5.", number(t), perlSubversion(t)) },
	"$LuaVersion: Lua ":        number,
	"clang version ":           word,
	"rustc version ":           rustcBanner,
	"Swift version ":           number,
	"libpython":                number,
	"\x00ruby 3.":              func(t []byte) string { return join("3.", number(t), "") },
}

func join(before, v, after string) string {
	if v == "" {
		return ""
	}
	return before + v + after
}

// number reads digits and dots.
func number(tail []byte) string {
	i := 0
	for i < len(tail) && i < 32 && (tail[i] >= '0' && tail[i] <= '9' || i > 0 && tail[i] == '.') {
		i++
	}
	return strings.TrimRight(string(tail[:i]), ".")
}

// word reads a version with its suffix, "18.1.2-wasi-sdk".
func word(tail []byte) string {
	i := bytes.IndexAny(tail, " (\x00\n\"")
	if i < 0 || len(tail) == 0 || tail[0] < '0' || tail[0] > '9' {
		return ""
	}
	return strings.ToValidUTF8(string(tail[:i]), "")
}

// rustcBanner reads "1.92.0 (ded5c06cf 2025-12-08)".
func rustcBanner(tail []byte) string {
	end := bytes.IndexByte(tail, ')')
	if end < 0 || tail[0] < '0' || tail[0] > '9' {
		return ""
	}
	return producerVersion("rustc", strings.ToValidUTF8(string(tail[:end+1]), ""))
}

func perlSubversion(tail []byte) string {
	_, after, ok := bytes.Cut(tail, []byte(", subversion "))
	if !ok {
		return ""
	}
	return join(".", number(after), "")
}

// rustcVersion looks the commit up that the paths of Rust's library name.
func rustcVersion(tail []byte) string {
	const full, short = 40, 9
	if len(tail) <= full || tail[full] != '/' {
		return ""
	}
	for _, b := range tail[:full] {
		if (b < '0' || b > '9') && (b < 'a' || b > 'f') {
			return ""
		}
	}
	commit := string(tail[:short])
	if v := rustReleases[commit]; v != "" {
		return v + " (" + commit + ")"
	}
	return "(" + commit + ")"
}
