// Package rust finds the crates that a WebAssembly module was made of.
//
// The list that cargo-auditable embeds is the whole truth where it is there, and
// hardly any module has it. What nearly all have are the messages of panics: each
// names the source file of its call, and that file lies in a directory that cargo
// has named after the crate and its version. Stripping and wasm-opt leave them
// alone. They show about a third of the crates of a program, since a crate that
// cannot panic, or is all generic code, has no message of its own. Names of
// functions show a few more, without a version. See [Extract] for the classes and
// confidences.
//
// [Edges] gives the dependencies that an embedded list states, [Toolchain] the
// compilers whose library is in the module.
package rust

import (
	"strings"

	"github.com/wreg-project/wreg/inspect/wasm"
	"github.com/wreg-project/wreg/sbom/evidence"
)

// How sure each kind of evidence is. A registry path is not certain: that a crate's
// text is there need not mean that its code is.
const (
	sureList      = 1.0  // a list of cargo-auditable
	sureBindgen   = 0.97 // an import of wasm-bindgen's glue
	sureRegistry  = 0.9  // a path in cargo's cache of a registry
	sureVersioned = 0.7  // a path in a directory of vendored crates, with a version
	sureCheckout  = 0.6  // a path in a git checkout: the name is that of the repository
	sureVendored  = 0.5  // a path in a directory of vendored crates, without a version
	sureSymbol    = 0.3  // the crate of a function's name
)

// PartStd is the part of crates that came inside Rust's standard library: they
// are as old as the compiler, whatever version the program itself depends on.
const PartStd = "std"

// Extract adds the crates of b, which comes from [wasm.Parse], to c:
//
//   - proven, with a version: what an embedded list says is in the program, and
//     crates whose source files in a registry's cache or a directory of vendored
//     crates are named by panic messages or debugging information;
//   - proven, in the part "std": the same of the standard library's own
//     dependencies;
//   - inferred: wasm-bindgen, if the imports are those of its glue;
//   - named, without a version: vendored directories and git checkouts, whose name
//     is that of the repository and whose commit is abbreviated as cargo does it;
//     and crates of functions' names. What is proven in some version is not named
//     again, and next to an embedded list nothing is. The name of a function has
//     underscores where that of the package may have hyphens.
//
// A list that cannot be read counts as none; [ReadAuditable] tells why. Of a
// component only custom sections are read. Extract keeps memory by the number of
// different crates, which is bounded, and not by the size of the file.
func Extract(b *wasm.Binary, c *evidence.Collector) {
	listed := addList(b, c)
	if b.Module == nil {
		return
	}
	known := addPaths(b, c, listed)
	if !listed {
		addBindgen(b, c, known)
		addSymbols(b, c, known)
	}
}

// names are the crates that are known, by their canonical names.
type names map[string]bool

func (n names) add(name string)      { n[canonical(name)] = true }
func (n names) has(name string) bool { return n[canonical(name)] }

// canonical is the form by which the registry tells crates apart.
func canonical(name string) string {
	return strings.ReplaceAll(strings.ToLower(name), "-", "_")
}
