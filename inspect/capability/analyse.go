package capability

import (
	"cmp"
	"slices"

	"github.com/wreg-project/wreg/inspect/code"
	"github.com/wreg-project/wreg/inspect/wasm"
)

// Analyse says what the binary b may do, which must come from [wasm.Parse].
// Graph gives the call graph of each core module in it, b itself or nested; it
// may give nil, and everything in that module then counts as reachable.
func Analyse(b *wasm.Binary, graph func(*wasm.Binary) *code.Graph) *Result {
	r := &Result{Capabilities: []Capability{}, Unresolved: []string{}, Modules: []Module{}, Notes: []string{}}
	switch {
	case b.Module != nil:
		r.module(newUnit(b, graph(b)))
	case b.Component != nil:
		r.component(b, graph)
	}
	return r
}

// module fills in the result of a core module by itself.
func (r *Result) module(u *unit) {
	switch {
	case u.crowded:
		r.Notes = append(r.Notes, "too many imports to look at each: one of each meaning is kept, and all count as reachable")
	case !u.trusted():
		r.Notes = append(r.Notes, "the call graph is not known: every import counts as reachable")
	}
	u.traceArguments()
	way := func(use *use) code.Reach {
		if !u.trusted() {
			return code.Indirectly
		}
		return u.g.Reach(use.fn)
	}
	for _, use := range u.uses {
		if !use.meaning.Known() && len(r.Unresolved) < MaxUnresolved {
			r.Unresolved = append(r.Unresolved, shorten(use.module)+"."+shorten(use.name))
		}
	}
	level := func(use *use) Level {
		if way(use) == code.Unreachable {
			return Declared
		}
		return Reachable
	}
	t := newTally()
	for _, p := range u.place(level) {
		t.add(p, key{fn: p.use.fn}, func(e *Evidence) { u.witness(p.use, way(p.use), e) })
	}
	r.Capabilities = t.list()
}

// witness tells by what way an import is reached.
func (u *unit) witness(use *use, way code.Reach, e *Evidence) {
	if !u.trusted() || way == code.Unreachable {
		return
	}
	e.Via = way.String()
	path := u.g.Path(use.fn)
	if len(path) == 0 {
		return
	}
	e.Root = u.root(path[0])
	e.Path = abridge(path[:len(path)-1], u.name)
}

// root names the way in that leads to function f from outside.
func (u *unit) root(f uint32) string {
	for _, e := range u.m.Exports {
		if e.Kind == wasm.ExternFunc && e.Index == f {
			return shorten(e.Name)
		}
	}
	if u.m.Start == int64(f) {
		return "(start)"
	}
	return "(table)"
}

// A placed claim is one with the level and origin of the import behind it.
type placed struct {
	claim
	level  Level
	origin Origin
}

// place works out the claims of a unit's imports. The same rules run over growing
// sets of imports, so that a call that can never happen does not change what
// another one means.
func (u *unit) place(level func(*use) Level) []placed {
	owners := u.owners()
	var all, reached, asked []*use
	for i, use := range u.uses {
		use.owned = owners != nil && !owners[i]
		all = append(all, use)
		if level(use) < Reachable {
			continue
		}
		reached = append(reached, use)
		if !use.owned {
			asked = append(asked, use)
		}
	}
	var list []placed
	for _, c := range claims(u.meant(asked, owners != nil)) {
		if c.use.of != nil {
			c.use = c.use.of
		}
		list = append(list, placed{c, Reachable, Program})
	}
	for _, c := range claims(reached) {
		list = append(list, placed{c, Reachable, Runtime})
	}
	for _, c := range claims(all) {
		if level(c.use) < Reachable {
			list = append(list, placed{c, Declared, Program})
		}
	}
	return list
}

// meant gives the uses that a program asks for, with what its names tell of the
// arguments. Those must not decide what it can do, only what it means to.
func (u *unit) meant(uses []*use, named bool) []*use {
	if !named || !slices.ContainsFunc(uses, func(u *use) bool { return u.meaning.role == roleOpen && !u.args.rights.known }) {
		return uses
	}
	r, ok := u.goRights()
	if !ok {
		return uses
	}
	meant := slices.Clone(uses)
	for i, use := range meant {
		if use.meaning.role == roleOpen {
			opener := *use
			opener.args.rights, opener.of = r, use
			meant[i] = &opener
		}
	}
	return meant
}

// A tally gathers claims into capabilities.
type tally map[ID]*gathered

func newTally() tally { return make(tally) }

// gathered is what was claimed of one capability. Its access is that of the
// claims of the highest level and origin.
type gathered struct {
	level    Level
	origin   Origin
	certain  bool
	access   []string
	evidence []Evidence
	have     map[key]bool
}

// A key tells imports apart: functions of one module, or of the host.
type key struct {
	host
	fn uint32
}

// add adds a claim. Fill completes new evidence for it.
func (t tally) add(p placed, k key, fill func(*Evidence)) {
	g := t[p.id]
	if g == nil {
		g = &gathered{level: p.level, origin: p.origin, have: make(map[key]bool)}
		t[p.id] = g
	}
	if p.level > g.level || p.level == g.level && p.origin > g.origin {
		g.level, g.origin, g.certain, g.access = p.level, p.origin, false, nil
	}
	if p.level == g.level && p.origin == g.origin {
		g.certain = g.certain || !p.possible
		if p.access != "" && !holds(g.access, p.access) {
			g.access = append(g.access, p.access)
		}
	}
	if g.have[k] {
		return
	}
	g.have[k] = true
	if len(g.evidence) < MaxEvidence {
		e := Evidence{Module: shorten(p.use.module), Name: shorten(p.use.name), Level: p.level, Origin: p.origin}
		if fill != nil && p.level > Declared {
			fill(&e)
		}
		g.evidence = append(g.evidence, e)
	}
}

// list gives the capabilities in their order.
func (t tally) list() []Capability {
	list := []Capability{}
	for _, info := range infos {
		g := t[info.ID]
		if g == nil {
			continue
		}
		slices.Sort(g.access)
		slices.SortStableFunc(g.evidence, func(a, b Evidence) int {
			return cmp.Or(cmp.Compare(b.Level, a.Level), cmp.Compare(b.Origin, a.Origin))
		})
		list = append(list, Capability{
			ID: info.ID, Severity: info.Severity, Level: g.level, Origin: g.origin, Possible: !g.certain,
			Access: append([]string{}, g.access...), Evidence: g.evidence, Imports: len(g.have),
		})
	}
	return list
}
