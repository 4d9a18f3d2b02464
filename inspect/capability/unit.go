package capability

import (
	"fmt"
	"slices"
	"strings"

	"github.com/wreg-project/wreg/inspect/code"
	"github.com/wreg-project/wreg/inspect/wasm"
)

// A unit is one core module of the binary: the binary itself, or one inside a
// component.
type unit struct {
	b    *wasm.Binary
	m    *wasm.Module
	g    *code.Graph // nil if its calls are not known
	uses []*use      // its imported functions, in their order: the index is the function's

	// crowded says that there are more imports than can be looked at; uses are
	// then one of each meaning.
	crowded bool

	back *callers // made when first needed

	// Of a module in a component.
	where   string
	live    bool                // it is instantiated
	targets [][]target          // what satisfies each of uses
	through map[uint32][]target // calls through tables that it shares with others
	exports map[coreKey]uint32  // made when first needed
	role    string              // as in Module
}

// An import costs a few bytes in a file, and what is kept of it here many more:
// beyond baseUses of them and one for usesPer bytes of the file, only one import
// of each meaning is kept. The largest known module has 2,000.
const (
	baseUses = 2048
	usesPer  = 1024
)

func newUnit(b *wasm.Binary, g *code.Graph) *unit {
	u := &unit{b: b, m: b.Module, g: g}
	u.crowded = int64(len(b.Module.Functions)-len(b.Module.Code)) > baseUses+b.Size/usesPer
	short := minified(b.Module)
	type kind struct {
		host   string
		role   role
		grants *Grant
	}
	seen := make(map[kind]bool)
	for _, im := range b.Module.Imports {
		if im.Kind != wasm.ExternFunc {
			continue
		}
		m := Lookup(im.Module, im.Name)
		if short && !m.Known() {
			m = minifiedMeaning
		}
		if u.crowded {
			k := kind{host: m.Host, role: m.role}
			if len(m.Grants) > 0 {
				k.grants = &m.Grants[0]
			}
			if seen[k] {
				continue
			}
			seen[k] = true
		}
		u.uses = append(u.uses, &use{module: im.Module, name: im.Name, fn: im.Index, args: anything, meaning: m})
	}
	return u
}

// minifiedMeaning is that of an import whose name is lost.
var minifiedMeaning = Meaning{Host: "Emscripten", Grants: []Grant{{HostJavaScript, []string{"minified"}}}}

// minified recognises the imports of an Emscripten build whose names were
// replaced by short ones: one module of one letter, and names of up to three.
func minified(m *wasm.Module) bool {
	n := 0
	for _, im := range m.Imports {
		if len(im.Module) != 1 || len(im.Name) > 3 {
			return false
		}
		n++
	}
	return n > 0
}

// trusted is whether the call graph says something: without one, or with one
// that had to leave its edges out, everything counts as reachable.
func (u *unit) trusted() bool { return u.g != nil && !u.g.Truncated && !u.crowded }

// callers gives the reversed graph.
func (u *unit) callers() *callers {
	if u.back == nil {
		u.back = reverse(u.g, len(u.m.Functions))
	}
	return u.back
}

// name gives function f its name for a path.
func (u *unit) name(f uint32) string {
	if int(f) < len(u.uses) {
		return u.uses[f].module + "." + u.uses[f].name
	}
	if n := u.m.Names.Func(f); n != "" {
		return shorten(n)
	}
	for _, e := range u.m.Exports {
		if e.Kind == wasm.ExternFunc && e.Index == f {
			return shorten(e.Name)
		}
	}
	return fmt.Sprintf("func %d", f)
}

// maxName bounds names in results, in bytes.
const maxName = 256

func shorten(s string) string {
	if len(s) <= maxName {
		return s
	}
	return strings.ToValidUTF8(s[:maxName], "") + "…"
}

// abridge writes a chain of functions down, the middle left out if it is long.
func abridge(path []uint32, name func(uint32) string) []string {
	names := make([]string, 0, min(len(path), MaxPath+1))
	for i, f := range path {
		switch middle := len(path) > MaxPath && i >= MaxPath/2 && i < len(path)-MaxPath/2; {
		case middle && i == MaxPath/2:
			names = append(names, "…")
		case !middle:
			names = append(names, name(f))
		}
	}
	return names
}

// traceArguments finds the constants that calls of the imports pass, for those
// whose meaning depends on it.
func (u *unit) traceArguments() {
	if !u.trusted() {
		return
	}
	tabled := u.tabled()
	moves := slices.ContainsFunc(u.uses, func(use *use) bool { return movers[use.name] })
	var t *tracer
	for _, use := range u.uses {
		if r := use.meaning.role; r != roleOpen && r != roleRead && r != roleWrite {
			continue
		}
		if t == nil {
			t = &tracer{b: u.b, m: u.m, callers: u.callers(), tabled: tabled, budget: 2*u.b.Size + 64<<10}
		}
		use.args = t.arguments(use)
		use.args.descriptors.any = use.args.descriptors.any || moves
	}
}

// movers give a descriptor the number of another one, so that a standard stream
// may turn into a file.
var movers = map[string]bool{
	"fd_renumber": true, "fd_dup2": true, "__syscall_dup2": true, "__syscall_dup3": true,
}

// arguments looks at the calls of one import.
func (t *tracer) arguments(use *use) arguments {
	if use.meaning.role != roleOpen {
		sites, complete := t.trace(use.fn, []int{0})
		if !complete || len(sites) == 0 {
			return anything
		}
		a := arguments{rights: anything.rights}
		for _, vs := range sites {
			a.descriptors.add(vs[0])
		}
		return a
	}
	_, name := normalise(use.module, use.name)
	o, ok := openers[name]
	if !ok {
		return anything
	}
	sites, complete := t.trace(use.fn, []int{o.mode, o.flags})
	if !complete || len(sites) == 0 {
		return anything
	}
	a := arguments{rights: rights{known: true}, descriptors: anything.descriptors}
	for _, vs := range sites {
		a.rights = a.rights.union(o.rights(vs[0], vs[1]))
	}
	return a
}

// rights combines what is known of the two arguments of an opener: either may
// be a constant without the other.
func (o opener) rights(mode, flags value) rights {
	r := rights{known: mode.kind == constant && flags.kind == constant}
	if mode.kind == constant {
		c := o.read(mode.bits, 0)
		r.read, r.write = c.read, c.write
	} else {
		r.read, r.write = true, true
	}
	r.create = true
	switch {
	case o.mode == o.flags && mode.kind == constant:
		r.create = o.read(mode.bits, 0).create
	case flags.kind == constant:
		r.create = o.read(0, flags.bits).create
	}
	return r
}

// tabled gives the test whether a function may be called by other ways than
// call instructions inside the module.
func (u *unit) tabled() func(uint32) bool {
	set := make([]uint64, (len(u.m.Functions)+63)/64)
	mark := func(f uint32) {
		if int64(f) < int64(len(u.m.Functions)) {
			set[f/64] |= 1 << (f % 64)
		}
	}
	for i := range u.m.Elems {
		for _, f := range u.m.ElementFuncs(&u.m.Elems[i]) {
			if f >= 0 {
				mark(uint32(f))
			}
		}
	}
	for _, e := range u.m.Exports {
		if e.Kind == wasm.ExternFunc {
			mark(e.Index)
		}
	}
	for _, c := range u.m.Inits {
		if c.Value.Kind == wasm.ConstFunc {
			mark(c.Value.Index)
		}
	}
	if u.m.Start >= 0 {
		mark(uint32(u.m.Start))
	}
	return func(f uint32) bool { return int(f/64) >= len(set) || set[f/64]>>(f%64)&1 != 0 }
}
