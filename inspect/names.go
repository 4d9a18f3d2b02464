package inspect

import (
	"github.com/wreg-project/wreg/inspect/symbol"
	"github.com/wreg-project/wreg/inspect/wasm"
)

// A namer gives the functions of a module names for people and the packages
// they belong to.
type namer struct {
	m       *wasm.Module
	symbols symbol.Context
	exports map[uint32]string // of functions without a name of their own
	imports []string          // by function index
}

func newNamer(b *wasm.Binary) namer {
	n := namer{m: b.Module, exports: map[uint32]string{}}
	var t symbol.Tally
	for i := range b.Module.Functions {
		if name := n.m.Names.Func(uint32(i)); name != "" {
			t.Add(name)
		}
	}
	n.symbols = t.Context()
	for _, im := range n.m.Imports {
		if im.Kind == wasm.ExternFunc {
			n.imports = append(n.imports, im.Module+"."+im.Name)
		}
	}
	for _, ex := range n.m.Exports {
		if _, ok := n.exports[ex.Index]; ex.Kind == wasm.ExternFunc && !ok {
			n.exports[ex.Index] = ex.Name
		}
	}
	return n
}

// name gives function i its name for people: that of the name section,
// demangled, else that under which it is exported or imported, else "".
func (n *namer) name(i uint32) string {
	if raw := n.raw(i); raw != "" {
		return n.symbols.Parse(raw).Text
	}
	if int64(i) < int64(len(n.imports)) {
		return n.imports[i]
	}
	return ""
}

// raw gives the name that the file has for function i.
func (n *namer) raw(i uint32) string {
	if name := n.m.Names.Func(i); name != "" {
		return name
	}
	return n.exports[i]
}

// pkg gives the package of function i, "" if its name does not tell.
func (n *namer) pkg(i uint32) string { return n.symbols.Package(n.m.Names.Func(i)) }
