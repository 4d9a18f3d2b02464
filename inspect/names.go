package inspect

import (
	"cmp"
	"slices"

	"github.com/wreg-project/wreg/inspect/symbol"
	"github.com/wreg-project/wreg/inspect/wasm"
)

// A namer gives the functions of a module names for people and the packages
// they belong to.
type namer struct {
	m       *wasm.Module
	symbols symbol.Context
	exports []uint32 // the first export of each function without a name of its own, by function
	imports []uint32 // of each imported function its import

	// room is what the names may take, no bound if it is nil; given and left
	// count those that had some and those that had none.
	room        *room
	given, left int
}

func newNamer(b *wasm.Binary) namer {
	n := namer{m: b.Module}
	var t symbol.Tally
	exported := make([]uint64, (len(n.m.Functions)+63)/64) // or has a name
	mark := func(i uint32) bool {
		if int64(i) >= int64(len(n.m.Functions)) {
			return false
		}
		bit := uint64(1) << (i % 64)
		fresh := exported[i/64]&bit == 0
		exported[i/64] |= bit
		return fresh
	}
	for i, name := range n.m.Names.Funcs() {
		if name != "" && mark(i) {
			t.Add(name)
		}
	}
	n.symbols = t.Context()
	imported := len(n.m.Functions) - len(n.m.Code)
	n.imports = make([]uint32, 0, imported)
	for i, im := range n.m.Imports {
		if im.Kind == wasm.ExternFunc {
			n.imports = append(n.imports, uint32(i))
		}
	}
	for i, ex := range n.m.Exports {
		if ex.Kind == wasm.ExternFunc && mark(ex.Index) {
			n.exports = append(n.exports, uint32(i))
		}
	}
	slices.SortFunc(n.exports, func(a, b uint32) int { return cmp.Compare(n.m.Exports[a].Index, n.m.Exports[b].Index) })
	return n
}

// name gives function i its name for people: that of the name section,
// demangled, else that under which it is exported or imported, else "", as if
// there is no room for it.
func (n *namer) name(i uint32) string {
	s := n.text(i)
	if s == "" || n.room == nil {
		return s
	}
	if !n.room.text(s) {
		n.left++
		return ""
	}
	n.given++
	return s
}

func (n *namer) text(i uint32) string {
	if raw := n.raw(i); raw != "" {
		return n.symbols.Parse(raw).Text
	}
	if int64(i) < int64(len(n.imports)) {
		im := &n.m.Imports[n.imports[i]]
		return im.Module + "." + im.Name
	}
	return ""
}

// raw gives the name that the file has for function i.
func (n *namer) raw(i uint32) string {
	if name := n.m.Names.Func(i); name != "" {
		return name
	}
	k, ok := slices.BinarySearchFunc(n.exports, i, func(e, i uint32) int { return cmp.Compare(n.m.Exports[e].Index, i) })
	if !ok {
		return ""
	}
	return n.m.Exports[n.exports[k]].Name
}

// pkg gives the package of function i, "" if its name does not tell.
func (n *namer) pkg(i uint32) string { return n.symbols.Package(n.m.Names.Func(i)) }
