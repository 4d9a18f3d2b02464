package crates

import (
	"strings"

	"github.com/wreg-project/wreg/inspect/wasm"
	"github.com/wreg-project/wreg/sbom/crates/internal/db"
)

// Platforms is a set of Rust's targets for Wasm: dependencies may be for some of
// them alone.
type Platforms = db.Platforms

// AllPlatforms is the set for who knows nothing of the target.
const AllPlatforms = db.AllPlatforms

// PlatformsOf gives the targets that a module may have been built for, by its
// imports: those that wasm-bindgen writes are of wasm32-unknown-unknown, those of
// WASI's first system interface of the wasm32-wasi ones. Where there are both, or
// what Emscripten leaves, nothing is certain.
func PlatformsOf(b *wasm.Binary) Platforms {
	if b.Module == nil {
		return AllPlatforms
	}
	var bindgen, wasi bool
	for i := range b.Module.Imports {
		im := &b.Module.Imports[i]
		wasi = wasi || strings.HasPrefix(im.Module, "wasi_")
		bindgen = bindgen || im.Module == "wbg" || im.Module == "__wbindgen_placeholder__" ||
			strings.HasPrefix(im.Name, "__wbindgen_") || strings.HasPrefix(im.Name, "__wbg_")
		if im.Module == "a" || im.Module == "env" {
			return AllPlatforms
		}
	}
	for i := range b.Module.Exports {
		if strings.Contains(b.Module.Exports[i].Name, "emscripten_") {
			return AllPlatforms
		}
	}
	switch {
	case bindgen && !wasi:
		return db.Unknown
	case wasi && !bindgen:
		return db.WASIp1 | db.WASIp2
	}
	return AllPlatforms
}
