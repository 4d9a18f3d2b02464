package capability

import (
	"slices"
	"strings"

	"github.com/wreg-project/wreg/inspect/code"
	"github.com/wreg-project/wreg/inspect/wasm"
)

// Roles of a [Module].
const (
	roleMain    = "main"
	roleAdapter = "adapter"
	roleShim    = "shim"
	roleUnused  = "unused"
)

// component fills in the result of a component.
//
// What counts is what its main modules ask for and are given. A module that asks
// in the terms of WASI 0.1 gets them from an adapter, whose own imports are of
// WASI 0.2 and serve every program alike; so the meaning of the call of the main
// module decides, as far as the adapter passes it on to the host at all.
func (r *Result) component(b *wasm.Binary, graph func(*wasm.Binary) *code.Graph) {
	l := newLinker(b, graph)
	if !l.crowded {
		l.link()
		l.through()
	}
	a := newAssembly(l)
	if followed := l.complete; a.run() != followed {
		// The work ran out on the way: what was found first may be too little.
		a = newAssembly(l)
		a.run()
	}
	r.Capabilities, r.Unresolved, r.Modules = a.t.list(), a.unresolved, a.modules
	if !l.complete {
		r.Notes = append(r.Notes, "calls cannot be followed through all of the component: every import counts as reachable")
	}
	for _, u := range l.units {
		if !u.trusted() && !l.crowded {
			r.Notes = append(r.Notes, u.where+": the call graph is not known: every import counts as reachable")
		}
	}
}

// An assembly puts together the capabilities of a component.
type assembly struct {
	l *linker
	w *world
	t tally

	unresolved []string
	modules    []Module
}

func newAssembly(l *linker) *assembly {
	return &assembly{l: l, t: newTally(), unresolved: []string{}, modules: []Module{}}
}

// run fills the assembly, and says whether everything could be followed.
func (a *assembly) run() bool {
	declared := a.declared()
	if !a.l.crowded {
		a.w = newWorld(a.l)
		a.w.roots()
		a.w.reach()
		a.rename()
		a.roles()
		a.list()
		a.adapters()
	}
	level := Declared
	if !a.l.complete {
		level = Reachable
	}
	for _, c := range claims(declared) {
		a.t.add(placed{c, level, Program}, key{host: host{c.use.module, c.use.name}}, nil)
	}
	a.served()
	return a.l.complete
}

// declared lists what the component imports, as uses of an imaginary module.
func (a *assembly) declared() []*use {
	var list []*use
	add := func(module, name string) {
		a.l.host(module, name)
		u := &use{module: module, name: name, meaning: Lookup(module, name), args: anything}
		if !u.meaning.Known() && len(a.unresolved) < MaxUnresolved {
			a.unresolved = append(a.unresolved, shorten(module)+"."+shorten(name))
		}
		list = append(list, u)
	}
	for _, im := range a.l.scopes[0].c.Imports {
		switch {
		case im.Sort == wasm.SortFunc:
			add("$root", im.Name)
		case im.Sort == wasm.SortInstance && im.Type != nil && im.Type.Scope != nil:
			for _, e := range im.Type.Scope.Exports {
				if e.Sort == wasm.SortFunc && a.l.step(0) {
					add(im.Name, e.Name)
				}
			}
		}
	}
	return list
}

// rename gives imports that are functions of the host the meaning of those. The
// names by which a module knows them are of no consequence: the component says
// what they stand for.
func (a *assembly) rename() {
	for _, u := range a.l.units {
		for _, use := range u.uses {
			renamed := false
			for _, t := range u.targets[use.fn] {
				if t.unit != hostUnit {
					continue
				}
				h := a.l.hosts[t.fn]
				m := Lookup(h.module, h.name)
				if !renamed {
					use.meaning, renamed = m, true
					continue
				}
				use.meaning.Grants = slices.Concat(use.meaning.Grants, m.Grants)
			}
		}
	}
}

// roles finds out which modules serve others.
func (a *assembly) roles() {
	for _, u := range a.l.units {
		switch {
		case !u.live:
			u.role = roleUnused
		case shim(u):
			u.role = roleShim
		default:
			u.role = roleMain
		}
	}
	for i, u := range a.l.units {
		if u.role != roleMain {
			continue
		}
		for _, use := range u.uses {
			if !use.meaning.Known() || use.meaning.Host == componentHost {
				continue
			}
			for _, t := range a.behind(u.targets[use.fn], 0) {
				if t.unit != hostUnit && int(t.unit) != i && a.l.units[t.unit].role == roleMain {
					a.l.units[t.unit].role = roleAdapter
				}
			}
		}
	}
}

// shim recognises the modules that component tools put in between: every
// function they have is one call through a shared table, or they have none and
// only fill such a table.
func shim(u *unit) bool {
	if len(u.m.Code) == 0 {
		return len(u.m.Elems) > 0 && len(u.m.Data) == 0
	}
	for i := range u.m.Code {
		if len(u.through[uint32(len(u.uses)+i)]) == 0 || u.m.Code[i].Size > maxShim {
			return false
		}
	}
	return true
}

// maxShim is the size in bytes of a function that hands its parameters on: 1,000
// of them at three bytes each, and the call.
const maxShim = 4096

// behind follows targets through shims to who really serves.
func (a *assembly) behind(list []target, depth int) []target {
	var found []target
	for _, t := range list {
		if t.unit == hostUnit || depth > maxWrappers || !a.l.step(1) {
			found = append(found, t)
			continue
		}
		u := a.l.units[t.unit]
		switch {
		case int(t.fn) < len(u.uses):
			found = append(found, a.behind(u.targets[t.fn], depth+1)...)
		case u.role == roleShim:
			found = append(found, a.behind(u.through[t.fn], depth+1)...)
		default:
			found = append(found, t)
		}
	}
	return found
}

// list lists all modules with what they ask for, and adds what the host
// grants of that to main ones.
func (a *assembly) list() {
	for i, u := range a.l.units {
		mod := Module{Path: u.where, Name: shorten(u.b.Metadata.Name), Role: u.role}
		if u.live {
			u.traceArguments()
		}
		t := newTally()
		served := make(map[uint32]service)
		for _, p := range u.place(func(use *use) Level { return a.level(i, use) }) {
			node := a.w.first[i] + p.use.fn
			s, ok := served[p.use.fn]
			if !ok {
				s = a.service(u, node, p.use)
				served[p.use.fn] = s
			}
			if u.role == roleShim || !p.use.meaning.Known() && !s.direct {
				continue // calls of other modules of the component
			}
			t.add(p, key{fn: p.use.fn}, func(e *Evidence) { a.witness(node, e) })
			if u.role == roleMain && p.level == Reachable {
				a.grant(p, s, node)
				a.unexplained(p, s, node)
			}
		}
		mod.Capabilities = t.list()
		a.modules = append(a.modules, mod)
	}
}

// level is that of an import of unit i within the component.
func (a *assembly) level(i int, use *use) Level {
	if a.l.units[i].live && a.seen(a.w.first[i]+use.fn) {
		return Reachable
	}
	return Declared
}

// seen is whether a node counts as reachable.
func (a *assembly) seen(node uint32) bool { return a.w.seen(node) || !a.l.complete }

// A service is what stands behind an import of a main module: the functions of
// the host that it leads to, by the capabilities they give.
type service struct {
	direct bool // the import is the host's function
	hosts  map[ID][]uint32
}

// service follows an import of u to the host.
func (a *assembly) service(u *unit, node uint32, use *use) service {
	s := service{hosts: make(map[ID][]uint32)}
	list := a.w.hostsOf(node)
	for _, t := range a.behind(u.targets[use.fn], 0) {
		s.direct = s.direct || t.unit == hostUnit
	}
	for _, h := range list {
		for _, id := range a.l.hosts[h].gives() {
			s.hosts[id] = append(s.hosts[id], h)
		}
	}
	return s
}

// gives lists the capabilities to which a function of the host may contribute.
func (h host) gives() []ID {
	m := Lookup(h.module, h.name)
	var list []ID
	for _, g := range m.Grants {
		list = append(list, g.ID)
	}
	switch {
	case !m.Known():
		return []ID{UnknownHostCall}
	case m.role == roleOpen:
		return []ID{FilesRead, FilesWrite}
	case m.role == roleSocket:
		return []ID{NetOutbound, NetInbound}
	case m.role == roleDescriptor:
		return []ID{Stdio}
	}
	return list
}

// grant adds a claim of a main module as far as the host stands behind it.
func (a *assembly) grant(p placed, s service, node uint32) {
	for _, h := range s.hosts[p.id] {
		q := p
		q.use = &use{module: a.l.hosts[h].module, name: a.l.hosts[h].name}
		a.t.add(q, key{host: a.l.hosts[h]}, func(e *Evidence) { a.witness(node, e) })
	}
}

// unexplained adds what an adapter does for a call that the name of the call does
// not account for: then it is no adapter to be trusted.
func (a *assembly) unexplained(p placed, s service, node uint32) {
	for id := range s.hosts {
		if s.direct || p.use.meaning.explains(id) {
			continue
		}
		q := p
		q.id, q.access, q.possible = id, "", false
		a.grant(q, s, node)
	}
}

// explains is whether a call of this meaning may be expected to make use of a
// capability of the host. Adapters end the program with a message when something
// goes wrong, and list the opened directories before they use one.
func (m Meaning) explains(id ID) bool {
	if m.gives(id) {
		return true
	}
	switch id {
	case Stdio, Exit, Terminal, Preopens:
		return true
	case FilesRead, FilesWrite:
		return m.role != roleNone
	case NetInbound, NetOutbound:
		return m.role == roleSocket || m.role == roleSend || m.role == roleReceive || m.role == roleRead || m.role == roleWrite
	case Clock, Poll:
		return m.role != roleNone || m.gives(Clock) || m.gives(Poll)
	default:
		return false
	}
}

func (m Meaning) gives(id ID) bool {
	return slices.ContainsFunc(m.Grants, func(g Grant) bool { return g.ID == id })
}

// witness tells by what way a node is reached.
func (a *assembly) witness(node uint32, e *Evidence) {
	path := a.w.path(node)
	if len(path) == 0 {
		return
	}
	e.Via = code.Directly.String()
	if a.w.crooked(node) {
		e.Via = code.Indirectly.String()
	}
	e.Root = a.w.root[path[0]]
	last := a.w.at(path[len(path)-1])
	if last.unit != hostUnit {
		e.In = a.l.units[last.unit].where
	}
	e.Path = abridge(path[:len(path)-1], a.name)
}

// name gives a node its name for a path.
func (a *assembly) name(node uint32) string {
	t := a.w.at(node)
	return a.l.units[t.unit].name(t.fn)
}

// adapters adds what adapters can come to without being asked by a main module,
// as reachable, and the rest of what they can come to as held back.
func (a *assembly) adapters() {
	own := a.w.reachable(func(t target) bool {
		u := a.l.units[t.unit]
		return u.role == roleMain && int(t.fn) < len(u.uses)
	})
	for i, u := range a.l.units {
		if u.role != roleAdapter {
			continue
		}
		for _, p := range u.place(func(use *use) Level { return a.level(i, use) }) {
			node := a.w.first[i] + p.use.fn
			if p.level != Reachable {
				continue
			}
			if p.origin = Runtime; !own[node] {
				p.level = Adapted
			}
			a.grant(p, a.service(u, node, p.use), node)
		}
	}
}

// served adds what the component is there for by what it exports.
func (a *assembly) served() {
	for _, e := range a.l.scopes[0].c.Exports {
		module, _, _ := strings.Cut(e.Name, "@")
		id, ok := services[module]
		if !ok {
			continue
		}
		u := &use{module: e.Name, name: "(export)"}
		a.t.add(placed{claim{id: id, use: u}, Reachable, Program}, key{host: host{e.Name, u.name}}, func(ev *Evidence) {
			ev.Root = shorten(e.Name)
		})
	}
}

// services are the interfaces whose export makes a component serve the host.
var services = map[string]ID{
	"wasi:http/incoming-handler":      HTTPServer,
	"wasi:http/handler":               HTTPServer,
	"fermyon:spin/inbound-http":       HTTPServer,
	"fermyon:spin/inbound-redis":      Messaging,
	"wasi:messaging/incoming-handler": Messaging,
	"wasmcloud:messaging/handler":     Messaging,
}
