// Package managed finds what programs of managed languages say of themselves in
// a core module: assemblies of .NET that are wrapped as webcil, and packages of
// Haskell in the names that GHC gives to their modules.
package managed

import (
	"github.com/wreg-project/wreg/inspect/text"
	"github.com/wreg-project/wreg/inspect/wasm"
	"github.com/wreg-project/wreg/sbom/evidence"
)

// How sure the kinds of evidence are.
const (
	sureAssembly  = 1.0
	sureReference = 0.7 // the name of an assembly need not be that of its package
	sureUnit      = 0.95
)

// Extract adds the assemblies and packages of b, a core module from
// [wasm.Parse], to c.
func Extract(b *wasm.Binary, c *evidence.Collector) {
	if b.Module == nil {
		return
	}
	for segment := range text.Segments(b) {
		webcil(segment.Bytes, segment.Offset, c)
	}
	var h haskell
	for span := range text.Spans(text.Segments(b)) {
		h.scan(span)
	}
	if !h.sure {
		return
	}
	for span := range text.Spans(text.Segments(b)) {
		h.wholes(span)
	}
	h.add(c)
}
