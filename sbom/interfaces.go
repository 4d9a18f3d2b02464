package sbom

import (
	"strings"

	"github.com/wreg-project/wreg/inspect/wasm"
	"github.com/wreg-project/wreg/sbom/evidence"
)

// IDs of the sections of a component that name what it imports and exports
// (component model, Binary.md, "Import and Export Definitions").
const (
	componentImports = 10
	componentExports = 11
)

// interfaces adds the WIT packages whose interfaces b imports or exports. What a
// WIT package itself exports is its own: that one is the main component.
func interfaces(b *wasm.Binary, c *evidence.Collector) {
	if b.Module != nil {
		at := search{b: b, id: wasm.SectionImport}
		last := ""
		for _, im := range b.Module.Imports {
			// The functions of an interface stand together.
			if im.Module != last {
				last = im.Module
				addInterface(c, &at, "import", im.Module)
			}
		}
		return
	}
	at := search{b: b, id: componentImports}
	for _, im := range b.Component.Imports {
		addInterface(c, &at, "import", im.Name)
	}
	at = search{b: b, id: componentExports}
	if isPackage(b) {
		for _, ex := range b.Component.Exports {
			packageExport(c, ex, at.next(ex.Name))
		}
		return
	}
	for _, ex := range b.Component.Exports {
		addInterface(c, &at, "export", ex.Name)
	}
}

// packageExport adds the package that an export of a WIT package belongs to, and
// those that its interfaces and worlds refer to.
func packageExport(c *evidence.Collector, ex wasm.ComponentExtern, offset int64) {
	refer := func(list []wasm.ComponentExtern) {
		for _, e := range list {
			addPackage(c, "export", e.Name, offset, false)
		}
	}
	refer(ex.Type.Scope.Imports)
	for _, inner := range ex.Type.Scope.Exports {
		addPackage(c, "export", inner.Name, offset, true)
		if t := inner.Type; t != nil && t.Op == wasm.TypeComponent {
			refer(t.Scope.Imports)
			refer(t.Scope.Exports)
		}
	}
}

func addInterface(c *evidence.Collector, at *search, section, name string) {
	if _, _, ok := packageOf(name); ok {
		addPackage(c, section, name, at.next(name), false)
	}
}

func addPackage(c *evidence.Collector, section, name string, offset int64, main bool) {
	pkg, version, ok := packageOf(name)
	if !ok {
		return
	}
	c.Add(evidence.Component{
		Ecosystem: evidence.WIT, Name: pkg, Version: version, Main: main,
		Evidence: []evidence.Evidence{{
			Method: evidence.Interface, Section: section, Offset: offset, Text: name, Confidence: 1,
		}},
	})
}

// packageOf gives the package of "ns:pkg/item@version", nested namespaces and
// projections included (component model, Explainer.md, "Import and Export
// Definitions"). ok is false of a plain name, of a bare package, and of names in
// brackets or with a link, "locked-dep=<…>".
func packageOf(name string) (pkg, version string, ok bool) {
	path, version, _ := strings.Cut(name, "@")
	colon, slash := strings.IndexByte(path, ':'), strings.LastIndexByte(path, '/')
	if colon <= 0 || slash <= colon+1 || slash == len(path)-1 {
		return "", "", false
	}
	for i := range len(path) {
		b := path[i]
		if (b < 'a' || b > 'z') && (b < 'A' || b > 'Z') && (b < '0' || b > '9') && b != '-' && b != ':' && b != '/' {
			return "", "", false
		}
	}
	return path[:slash], version, true
}

// isPackage recognises a WIT package: nothing is imported, nothing could run, and
// every export is a component type whose exports are the interfaces and worlds of
// one package under their full names.
func isPackage(b *wasm.Binary) bool {
	c := b.Component
	if c == nil || len(c.Imports)+len(c.Modules)+len(c.Components)+len(c.Canons) > 0 || len(c.Exports) == 0 {
		return false
	}
	owner := ""
	for _, ex := range c.Exports {
		if ex.Sort != wasm.SortType || ex.Type == nil || ex.Type.Op != wasm.TypeComponent || len(ex.Type.Scope.Exports) == 0 {
			return false
		}
		for _, inner := range ex.Type.Scope.Exports {
			pkg, version, ok := packageOf(inner.Name)
			if pkg += "@" + version; !ok || owner != "" && owner != pkg {
				return false
			}
			owner = pkg
		}
	}
	return true
}
