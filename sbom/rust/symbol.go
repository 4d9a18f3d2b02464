package rust

import (
	"bytes"
	"encoding/binary"
	"maps"
	"slices"
	"strings"

	"github.com/wreg-project/wreg/inspect/symbol"
	"github.com/wreg-project/wreg/inspect/wasm"
	"github.com/wreg-project/wreg/sbom/evidence"
)

// minShare is one over the share of the names of a module that must be Rust's
// beyond doubt: a handful may be anything.
const minShare = 100

// addSymbols adds the crates of the names of functions, of what is not known yet.
func addSymbols(b *wasm.Binary, c *evidence.Collector, known names) {
	var tally symbol.Tally
	for _, name := range b.Module.Names.Funcs() {
		tally.Add(name)
	}
	n := tally.Count(symbol.RustLegacy) + tally.Count(symbol.RustV0)
	if n == 0 || n*minShare < tally.Total() {
		return
	}
	found := symbolCrates(b, tally.Context(), known)
	for _, crate := range slices.Sorted(maps.Keys(found)) {
		c.Add(evidence.Component{
			Ecosystem: evidence.Cargo, Name: crate, Class: evidence.Named,
			Evidence: []evidence.Evidence{found[crate]},
		})
	}
}

// symbolCrates gives the first name of each crate. The names of functions stand in
// the name section in the order of their indices, so that one pass over its bytes
// finds where they are.
func symbolCrates(b *wasm.Binary, ctx symbol.Context, known names) map[string]evidence.Evidence {
	found := map[string]evidence.Evidence{}
	section, at := nameSection(b)
	for _, name := range b.Module.Names.Funcs() {
		if s := ctx.Scheme(name); s != symbol.RustLegacy && s != symbol.RustV0 {
			continue
		}
		crate := ctx.Package(name)
		if _, ok := found[crate]; ok || !isLibraryName(crate) || stdFamily[canonical(crate)] || known.has(crate) ||
			packages[crate] != "" && known.has(packages[crate]) {
			continue
		}
		if len(found) >= evidence.MaxComponents {
			break
		}
		place := int64(-1)
		entry := binary.AppendUvarint(nil, uint64(len(name)))
		if i := bytes.Index(section, append(entry, name...)); i >= 0 {
			section, at = section[i:], at+int64(i)
			place = at + int64(len(entry))
		} else {
			section = nil // lengths are not written in the usual way: to search on would take the square of the time
		}
		found[strings.Clone(crate)] = evidence.Evidence{
			Method: evidence.Symbol, Section: "name", Offset: place, Text: ctx.Parse(name).Text, Confidence: sureSymbol,
		}
	}
	return found
}

func nameSection(b *wasm.Binary) (contents []byte, offset int64) {
	for _, s := range b.Sections {
		if s.ID == wasm.SectionCustom && s.Name == "name" {
			return b.Bytes(s.Body, s.Size), s.Body
		}
	}
	return nil, 0
}

// packages are those of well-known libraries that have another name.
var packages = map[string]string{"webpki": "rustls-webpki", "pki_types": "rustls-pki-types", "md5": "md-5", "sha1": "sha-1"}

// primitives are types that may stand where a path has its crate.
var primitives = set("bool", "char", "str", "slice", "array", "tuple", "never", "pointer", "reference", "fn", "unit", "self",
	"u8", "u16", "u32", "u64", "u128", "usize", "i8", "i16", "i32", "i64", "i128", "isize", "f16", "f32", "f64", "f128")

// isLibraryName reports whether s can be the name of a crate in a path of Rust: an
// identifier, by which cargo has put underscores for hyphens.
func isLibraryName(s string) bool {
	return isCrateName(s) && !strings.Contains(s, "-") && !primitives[strings.ToLower(s)]
}
