// Package golang finds the modules that a Go program in WebAssembly is made of.
//
// Go's linker puts no build information where `go version -m` looks for it, but
// the text is in the data all the same, as the variable runtime.modinfo, between
// two markers of 16 bytes: every module that the program links packages of, with
// version, checksum and replacement. It stays there when symbols are stripped. So
// for these programs the list is complete, and the version of the standard
// library is that of the compiler.
//
// TinyGo keeps no such list. Its programs tell packages by the names of functions,
// without versions.
package golang

import (
	"github.com/wreg-project/wreg/inspect/wasm"
	"github.com/wreg-project/wreg/sbom/evidence"
)

// Stdlib is the name of the component that stands for Go's standard library and
// runtime, as in Go's advisories. Its version has no "v" and no "go" before it.
const Stdlib = "stdlib"

// How sure the kinds of evidence are.
const (
	sureBuildInfo = 1.0
	sureProducers = 0.95
	sureVersion   = 0.9 // runtime.buildVersion, found by its pointer
	sureSymbol    = 0.3
)

// Extract adds to c what the core module b, which [wasm.Parse] made, tells of Go:
// the main module, the modules it links and the standard library. It says in c
// whether that is all, and adds nothing for a module that is not made by Go.
func Extract(b *wasm.Binary, c *evidence.Collector) {
	if b.Module == nil {
		return
	}
	img := newImage(b)
	switch info := img.moduleInfo(); {
	case info != nil:
		info.add(c)
		img.addStdlib(c, info)
		c.State(info.completeness())
	case madeByTinyGo(b):
		addNamed(b, c)
		c.State(evidence.Completeness{
			Ecosystem: evidence.Go,
			Reason:    "TinyGo leaves no list of modules; packages are known by the names of functions alone",
		})
	case madeByGo(b):
		img.addStdlib(c, nil)
		c.State(evidence.Completeness{
			Ecosystem: evidence.Go,
			Reason:    "the program was built without a list of modules",
		})
	}
}
