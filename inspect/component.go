package inspect

import (
	"slices"
	"strings"

	"github.com/wreg-project/wreg/inspect/wasm"
)

func (rep *Report) component(b *wasm.Binary, r *room) {
	c := b.Component
	d := &Component{Worlds: []string{}, Interfaces: []string{}, Modules: []Module{}}
	rep.Component = d
	walk(b, func(nested *wasm.Binary) {
		switch {
		case nested.Module != nil:
			d.Modules = append(d.Modules, describeModule(nested, r))
		case nested != b:
			d.Components++
		}
	})
	d.Imports = namesOf(r, "component.imports", c.Imports, func(im wasm.ComponentExtern) string { return im.Name })
	d.Exports = namesOf(r, "component.exports", c.Exports, func(ex wasm.ComponentExtern) string { return ex.Name })
	whole := len(r.cuts) == 0
	p := printer{room: r}
	rep.Imports = listOf(r, "imports", sizeImport, c.Imports, func(im wasm.ComponentExtern) Import {
		return Import{Name: im.Name, Kind: im.Sort.String(), Type: p.print(im.Type.String)}
	})
	rep.Exports = listOf(r, "exports", sizeExport, c.Exports, func(ex wasm.ComponentExtern) Export {
		return Export{Name: ex.Name, Kind: ex.Sort.String(), Type: p.print(ex.Type.String)}
	})
	rep.Kind = KindComponent
	if d.witPackage(c) {
		rep.Kind = KindWITPackage
	}
	for _, list := range []*[]string{&d.Exports, &d.Worlds, &d.Interfaces} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	if rep.Kind == KindComponent && whole {
		d.Target = target(d.Imports, d.Exports)
	}
}

// witPackage recognises a WIT package: nothing is imported, nothing could run,
// and every export is a component type whose exports are interfaces and worlds
// of one package under their full names ("ns:pkg/name@version"): one each, or, as
// written before 2024, all in one. It fills in what the package holds and
// reports whether it is one.
func (d *Component) witPackage(c *wasm.Component) bool {
	if len(c.Imports) > 0 || len(c.Exports) == 0 || len(c.Modules) > 0 || len(c.Components) > 0 || len(c.Canons) > 0 {
		return false
	}
	var pkg string
	var worlds, interfaces []string
	for _, ex := range c.Exports {
		if ex.Sort != wasm.SortType || ex.Type == nil || ex.Type.Op != wasm.TypeComponent || len(ex.Type.Scope.Exports) == 0 {
			return false
		}
		for _, inner := range ex.Type.Scope.Exports {
			switch inner.Sort {
			case wasm.SortInstance:
				interfaces = append(interfaces, inner.Name)
			case wasm.SortComponent:
				worlds = append(worlds, inner.Name)
			default:
				return false
			}
			owner, ok := packageOf(inner.Name)
			if !ok || pkg != "" && pkg != owner {
				return false
			}
			pkg = owner
		}
	}
	d.Package, d.Worlds, d.Interfaces = pkg, append(d.Worlds, worlds...), append(d.Interfaces, interfaces...)
	// What a WIT package offers are the full names; the outer ones are labels.
	d.Exports = append(slices.Clone(worlds), interfaces...)
	return true
}

// packageOf cuts the item out of "ns:pkg/item@version", nested namespaces and
// projections included, and gives "ns:pkg@version".
func packageOf(name string) (string, bool) {
	path, version, versioned := strings.Cut(name, "@")
	colon := strings.IndexByte(path, ':')
	slash := strings.LastIndexByte(path, '/')
	if colon <= 0 || slash < colon {
		return "", false
	}
	pkg := path[:slash]
	if versioned {
		pkg += "@" + version
	}
	return pkg, true
}

// A world of the standard, told by its one export and the packages or
// interfaces it may import. WASI 0.2 and 0.3 name them differently, so that
// versions need no table here.
type world struct {
	name    string // package and world
	export  string
	imports []string // prefixes of names without version
}

var worlds = []world{
	{
		name: "wasi:cli/command", export: "wasi:cli/run",
		imports: []string{"wasi:cli/", "wasi:clocks/", "wasi:filesystem/", "wasi:io/", "wasi:random/", "wasi:sockets/"},
	},
	{
		name: "wasi:http/proxy", export: "wasi:http/incoming-handler",
		imports: []string{
			"wasi:cli/stdin", "wasi:cli/stdout", "wasi:cli/stderr", "wasi:clocks/", "wasi:io/", "wasi:random/",
			"wasi:http/types", "wasi:http/outgoing-handler",
		},
	},
	{
		name: "wasi:http/service", export: "wasi:http/handler",
		imports: []string{
			"wasi:cli/stdin", "wasi:cli/stdout", "wasi:cli/stderr", "wasi:cli/types", "wasi:clocks/", "wasi:random/",
			"wasi:http/types", "wasi:http/client",
		},
	},
}

// target names the standard world whose export is the component's only one and
// whose imports cover the component's. A component does not say for which world
// it was made, so any other is not derivable.
func target(imports, exports []string) string {
	if len(exports) != 1 {
		return ""
	}
	export, version, ok := strings.Cut(exports[0], "@")
	if !ok {
		return ""
	}
	for _, w := range worlds {
		if w.export == export && w.covers(imports) {
			return w.name + "@" + version
		}
	}
	return ""
}

func (w world) covers(imports []string) bool {
	for _, im := range imports {
		name, _, _ := strings.Cut(im, "@")
		ok := slices.ContainsFunc(w.imports, func(p string) bool {
			return name == p || strings.HasSuffix(p, "/") && strings.HasPrefix(name, p)
		})
		if !ok {
			return false
		}
	}
	return true
}

// generation tells which WASI a binary speaks. A component that uses both 0.2
// and 0.3 needs the newer one. The lists of rep may have been cut.
func generation(b *wasm.Binary, rep *Report) WASI {
	if b.Module != nil {
		for _, im := range b.Module.Imports {
			if im.Module == "wasi_snapshot_preview1" || im.Module == "wasi_unstable" {
				return WASIP1
			}
		}
		return WASINone
	}
	found := WASINone
	see := func(name string) {
		path, version, _ := strings.Cut(name, "@")
		switch {
		case !strings.HasPrefix(path, "wasi:"):
		case strings.HasPrefix(version, "0.3"):
			found = WASIP3
		case strings.HasPrefix(version, "0.2") && found == WASINone:
			found = WASIP2
		}
	}
	for _, im := range b.Component.Imports {
		see(im.Name)
	}
	if rep.Kind == KindWITPackage {
		for _, name := range rep.Component.Exports {
			see(name)
		}
		return found
	}
	for _, ex := range b.Component.Exports {
		see(ex.Name)
	}
	return found
}
