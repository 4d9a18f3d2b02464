package rust

import (
	"bytes"
	"strings"

	"github.com/wreg-project/wreg/inspect/wasm"
	"github.com/wreg-project/wreg/sbom/evidence"
)

// The imports of wasm-bindgen's glue are declared by the crate of that name, and
// all releases of the crate that a program of today can be built with are of one
// series.
const (
	bindgen       = "wasm-bindgen"
	bindgenSeries = "^0.2"
)

// addBindgen adds the crate that every import of wasm-bindgen's glue comes of: it
// is certain, in a version that is not known.
func addBindgen(b *wasm.Binary, c *evidence.Collector, known names) {
	if known.has(bindgen) {
		return
	}
	for i := range b.Module.Imports {
		im := &b.Module.Imports[i]
		if !strings.HasPrefix(im.Name, "__wbindgen_") && !strings.HasPrefix(im.Name, "__wbg_") {
			continue
		}
		c.Add(evidence.Component{
			Ecosystem: evidence.Cargo, Name: bindgen, Class: evidence.Inferred, Requirement: bindgenSeries,
			Evidence: []evidence.Evidence{{
				Method: evidence.Symbol, Section: "import", Offset: placeOfImport(b, im.Name), Text: im.Name, Confidence: sureBindgen,
			}},
		})
		known.add(bindgen)
		return
	}
}

// placeOfImport gives the offset in the file of the name of an import.
func placeOfImport(b *wasm.Binary, name string) int64 {
	for _, s := range b.Sections {
		if s.ID == wasm.SectionImport {
			if i := bytes.Index(b.Bytes(s.Body, s.Size), []byte(name)); i >= 0 {
				return s.Body + int64(i)
			}
		}
	}
	return -1
}
