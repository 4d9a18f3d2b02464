package capability

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/wreg-project/wreg/inspect/code"
	"github.com/wreg-project/wreg/inspect/wasm"
)

// A linker follows the definitions of a component from what its core modules
// import to what satisfies that: another module, or the host.
//
// It does not tell apart the instances of one module or component: what any of
// them is given, all of them are. So its work is bounded by the size of the file
// and not by the number of instances, and its results are a superset.
type linker struct {
	graph  func(*wasm.Binary) *code.Graph
	scopes []*scope
	units  []*unit

	hosts   []host
	hostIDs map[host]uint32

	// escaped are functions that are handed to modules and components that the
	// host provides, which may call them.
	escaped []target

	tables tables

	// work is how many steps may still be taken. With none left, complete is
	// false and everything has to count as reachable.
	work     int64
	complete bool

	// crowded says that a module has more imports than can be looked at. Nothing
	// is linked then.
	crowded bool
}

// A host is a function that the host provides: one that the outermost component
// imports, in an interface or by itself.
type host struct{ module, name string }

// A scope is one component of the file.
type scope struct {
	c        *wasm.Component
	parent   *scope
	children []*scope         // of c.Components
	units    []int            // of c.Modules
	uses     []instantiation  // instantiations of it
	live     bool             // instantiated, or open
	open     bool             // the host instantiates it: the outermost one, and those it exports
	handed   []wasm.Argument  // of components that the host provides
	exports  []exported       // by sort and name; made when first needed
	busy     map[busyKey]bool // definitions that are being followed
}

// A instantiation is an instantiation of a component: an entry of InstanceDefs.
type instantiation struct {
	in       *scope
	instance uint32
}

type busyKey struct {
	sort  wasm.Sort
	core  bool
	index uint32
}

// A target is what an import of a core module is satisfied by: function fn of a
// unit, or if unit is hostUnit, host fn.
type target struct {
	unit int32
	fn   uint32
}

const hostUnit = -1

// rootModule is the module name under which component tools import functions
// that are in no interface.
const rootModule = "$root"

// A lifted function is a function of a component: one of the host, or a core
// function of a scope that a canonical definition lifts.
type lifted struct {
	host  int64 // index, or -1
	scope *scope
	canon uint32
}

// An instance is what an entry of the instance index space stands for: an
// interface of the host, a component's exports, or exports put together.
type instance struct {
	host   string
	scope  *scope
	inline []wasm.Argument
	bag    bool // inline holds, in scope
}

// newLinker reads the structure of the component b.
func newLinker(b *wasm.Binary, graph func(*wasm.Binary) *code.Graph) *linker {
	l := &linker{graph: graph, hostIDs: make(map[host]uint32), work: 1<<20 + 4*b.Size, complete: true}
	top := l.scope(b.Component, nil, "")
	top.live, top.open = true, true
	l.instantiate(top)
	for _, e := range top.c.Exports {
		i, ok := top.exported(e.Sort, e.Name)
		if !ok || e.Sort != wasm.SortComponent {
			continue
		}
		for _, c := range l.components(top, i) {
			c.live, c.open = true, true
			l.instantiate(c)
		}
	}
	return l
}

func (l *linker) scope(c *wasm.Component, parent *scope, path string) *scope {
	s := &scope{c: c, parent: parent, busy: make(map[busyKey]bool)}
	l.scopes = append(l.scopes, s)
	for i, m := range c.Modules {
		u := newUnit(m, l.graph(m))
		u.where = fmt.Sprintf("%smodule %d", path, i)
		if u.crowded {
			l.crowded, l.complete = true, false
		}
		u.targets = make([][]target, len(u.uses))
		s.units = append(s.units, len(l.units))
		l.units = append(l.units, u)
	}
	for i, child := range c.Components {
		s.children = append(s.children, l.scope(child.Component, s, fmt.Sprintf("%scomponent %d, ", path, i)))
	}
	return s
}

// step takes n steps of the work, and reports whether they were left.
func (l *linker) step(n int) bool {
	if l.work -= int64(n) + 1; l.work < 0 {
		l.complete = false
	}
	return l.work >= 0
}

// rounds is how often instantiations are looked for again because the last
// round found some: components that are arguments of components only come to
// light that way.
const rounds = 8

// instantiate finds the instantiations of components, from the outermost one on.
func (l *linker) instantiate(top *scope) {
	for range rounds {
		changed := false
		for queue, seen := []*scope{top}, map[*scope]bool{top: true}; len(queue) > 0; {
			s := queue[0]
			queue = queue[1:]
			for i, def := range s.c.InstanceDefs {
				if def.Kind != wasm.OriginInstance || def.Inline || !l.step(0) {
					continue
				}
				found := l.components(s, def.Component)
				if len(found) == 0 {
					s.handed = append(s.handed, def.Args...)
				}
				for _, c := range found {
					if u := (instantiation{s, uint32(i)}); !slices.Contains(c.uses, u) {
						c.uses, c.live, changed = append(c.uses, u), true, true
					}
					if !seen[c] {
						seen[c] = true
						queue = append(queue, c)
					}
				}
			}
		}
		if !changed {
			return
		}
	}
	l.complete = false
}

// enter marks a definition as being followed; it is false for one that is
// already, or if there is no work left. What is followed comes from earlier in
// the file, but arguments of instantiations may lead round in a circle.
func (l *linker) enter(s *scope, k busyKey) bool {
	if s == nil || s.busy[k] || !l.step(4) {
		return false
	}
	s.busy[k] = true
	return true
}

func at[T any](list []T, i uint32) (v T, ok bool) {
	if int64(i) >= int64(len(list)) {
		return v, false
	}
	return list[i], true
}

// outward is the component depth levels around s.
func (s *scope) outward(depth uint32) *scope {
	for ; depth > 0 && s != nil; depth-- {
		s = s.parent
	}
	return s
}

// arguments calls f with what the instantiations of s pass for import i.
func (l *linker) arguments(s *scope, i uint32, sort wasm.Sort, f func(in *scope, index uint32)) {
	im, ok := at(s.c.Imports, i)
	if !ok {
		return
	}
	for _, u := range s.uses {
		for _, a := range u.in.c.InstanceDefs[u.instance].Args {
			if l.step(0) && a.Name == im.Name && a.Sort == sort {
				f(u.in, a.Index)
			}
		}
	}
}

// export calls f with the entry of an index space that an instance exports.
func (l *linker) export(v instance, sort wasm.Sort, name string, f func(in *scope, index uint32)) {
	switch {
	case v.bag:
		for _, a := range v.inline {
			if l.step(0) && a.Name == name && a.Sort == sort {
				f(v.scope, a.Index)
			}
		}
	case v.scope != nil:
		if i, ok := v.scope.exported(sort, name); ok {
			f(v.scope, i)
		}
	}
}

// An exported is an export of a component, and the index in its space of what it
// exports.
type exported struct{ export, index uint32 }

// exported finds the index of what a component exports. The entries that exports
// add stand in their index space in the order of the exports.
func (s *scope) exported(sort wasm.Sort, name string) (uint32, bool) {
	if s.exports == nil {
		s.exports = make([]exported, 0, len(s.c.Exports))
		spaces := map[wasm.Sort][]uint32{
			wasm.SortFunc:      indicesOf(s.c.Functions),
			wasm.SortComponent: indicesOf(s.c.ComponentDefs),
			wasm.SortModule:    indicesOf(s.c.CoreModules),
		}
		for i, d := range s.c.InstanceDefs {
			if d.Kind == wasm.OriginExport {
				spaces[wasm.SortInstance] = append(spaces[wasm.SortInstance], uint32(i))
			}
		}
		for i, e := range s.c.Exports {
			if space := spaces[e.Sort]; len(space) > 0 {
				s.exports = append(s.exports, exported{uint32(i), space[0]})
				spaces[e.Sort] = space[1:]
			}
		}
		slices.SortFunc(s.exports, func(a, b exported) int {
			x, y := &s.c.Exports[a.export], &s.c.Exports[b.export]
			return cmp.Or(cmp.Compare(x.Sort, y.Sort), strings.Compare(x.Name, y.Name))
		})
	}
	i, ok := slices.BinarySearchFunc(s.exports, name, func(e exported, name string) int {
		x := &s.c.Exports[e.export]
		return cmp.Or(cmp.Compare(x.Sort, sort), strings.Compare(x.Name, name))
	})
	if !ok {
		return 0, false
	}
	return s.exports[i].index, true
}

func indicesOf(space []wasm.Origin) []uint32 {
	var list []uint32
	for i, o := range space {
		if o.Kind == wasm.OriginExport {
			list = append(list, uint32(i))
		}
	}
	return list
}

// components gives the components that an entry of the index space may be.
func (l *linker) components(s *scope, i uint32) (list []*scope) {
	k := busyKey{sort: wasm.SortComponent, index: i}
	if !l.enter(s, k) {
		return nil
	}
	defer delete(s.busy, k)
	add := func(in *scope, index uint32) { list = append(list, l.components(in, index)...) }
	o, _ := at(s.c.ComponentDefs, i)
	switch o.Kind {
	case wasm.OriginNested:
		if c, ok := at(s.children, o.Index); ok {
			list = append(list, c)
		}
	case wasm.OriginOuter:
		add(s.outward(o.Depth), o.Index)
	case wasm.OriginExport:
		add(s, o.Index)
	case wasm.OriginImport:
		l.arguments(s, o.Index, wasm.SortComponent, add)
	case wasm.OriginAlias:
		for _, v := range l.instances(s, o.Index) {
			l.export(v, wasm.SortComponent, o.Name, add)
		}
	default: // nothing else defines components
	}
	return list
}

// modules gives the units that an entry of the core module index space may be.
func (l *linker) modules(s *scope, i uint32) (list []int) {
	k := busyKey{sort: wasm.SortModule, index: i}
	if !l.enter(s, k) {
		return nil
	}
	defer delete(s.busy, k)
	add := func(in *scope, index uint32) { list = append(list, l.modules(in, index)...) }
	o, _ := at(s.c.CoreModules, i)
	switch o.Kind {
	case wasm.OriginNested:
		if u, ok := at(s.units, o.Index); ok {
			list = append(list, u)
		}
	case wasm.OriginOuter:
		add(s.outward(o.Depth), o.Index)
	case wasm.OriginExport:
		add(s, o.Index)
	case wasm.OriginImport:
		l.arguments(s, o.Index, wasm.SortModule, add)
	case wasm.OriginAlias:
		for _, v := range l.instances(s, o.Index) {
			l.export(v, wasm.SortModule, o.Name, add)
		}
	default: // nothing else defines modules
	}
	return list
}

// instances gives what an entry of the instance index space may be.
func (l *linker) instances(s *scope, i uint32) (list []instance) {
	k := busyKey{sort: wasm.SortInstance, index: i}
	if !l.enter(s, k) {
		return nil
	}
	defer delete(s.busy, k)
	add := func(in *scope, index uint32) { list = append(list, l.instances(in, index)...) }
	def, _ := at(s.c.InstanceDefs, i)
	switch def.Kind {
	case wasm.OriginInstance:
		if def.Inline {
			return []instance{{scope: s, inline: def.Exports, bag: true}}
		}
		for _, c := range l.components(s, def.Component) {
			list = append(list, instance{scope: c})
		}
	case wasm.OriginExport:
		add(s, def.Index)
	case wasm.OriginImport:
		if im, ok := at(s.c.Imports, def.Index); ok && s.open {
			list = append(list, instance{host: im.Name})
		}
		l.arguments(s, def.Index, wasm.SortInstance, add)
	case wasm.OriginAlias:
		for _, v := range l.instances(s, def.Index) {
			if v.host != "" {
				list = append(list, instance{host: v.host + "/" + def.Name})
			}
			l.export(v, wasm.SortInstance, def.Name, add)
		}
	default: // nothing else defines instances
	}
	return list
}

// functions gives what an entry of the function index space may be.
func (l *linker) functions(s *scope, i uint32) (list []lifted) {
	k := busyKey{sort: wasm.SortFunc, index: i}
	if !l.enter(s, k) {
		return nil
	}
	defer delete(s.busy, k)
	add := func(in *scope, index uint32) { list = append(list, l.functions(in, index)...) }
	o, _ := at(s.c.Functions, i)
	switch o.Kind {
	case wasm.OriginCanon:
		list = append(list, lifted{host: -1, scope: s, canon: o.Index})
	case wasm.OriginExport:
		add(s, o.Index)
	case wasm.OriginImport:
		if im, ok := at(s.c.Imports, o.Index); ok && s.open {
			list = append(list, lifted{host: l.host(rootModule, im.Name)})
		}
		l.arguments(s, o.Index, wasm.SortFunc, add)
	case wasm.OriginAlias:
		for _, v := range l.instances(s, o.Index) {
			if v.host != "" {
				list = append(list, lifted{host: l.host(v.host, o.Name)})
			}
			l.export(v, wasm.SortFunc, o.Name, add)
		}
	default: // nothing else defines functions
	}
	return list
}

func (l *linker) host(module, name string) int64 {
	h := host{module, name}
	i, ok := l.hostIDs[h]
	if !ok {
		i = uint32(len(l.hosts))
		l.hostIDs[h], l.hosts = i, append(l.hosts, h)
	}
	return int64(i)
}

// coreFuncs gives what an entry of the core function index space may be. The
// built-in functions of the component model are nothing: they reach no host.
func (l *linker) coreFuncs(s *scope, i uint32) (list []target) {
	k := busyKey{sort: wasm.SortFunc, core: true, index: i}
	if !l.enter(s, k) {
		return nil
	}
	defer delete(s.busy, k)
	o, _ := at(s.c.CoreFuncs, i)
	switch o.Kind {
	case wasm.OriginAlias:
		l.coreExport(s, o.Index, wasm.ExternFunc, o.Name, func(t target) { list = append(list, t) })
	case wasm.OriginCanon:
		c, _ := at(s.c.Canons, o.Index)
		switch c.Op {
		case wasm.CanonThreadNewIndirect, wasm.CanonThreadSpawnIndirect, wasm.CanonThreadSpawnRef:
			// What a thread begins with comes out of a table at run time.
			l.complete = false
			return []target{{hostUnit, uint32(l.host(rootModule, "["+c.Op.String()+"]"))}}
		case wasm.CanonLower:
		default:
			return nil
		}
		for _, f := range l.functions(s, c.Index) {
			list = append(list, l.implementation(f)...)
		}
	default: // nothing else defines core functions
	}
	return list
}

// implementation gives the functions behind a component's function.
func (l *linker) implementation(f lifted) []target {
	if f.host >= 0 {
		return []target{{hostUnit, uint32(f.host)}}
	}
	if c, ok := at(f.scope.c.Canons, f.canon); ok && c.Op == wasm.CanonLift {
		return l.coreFuncs(f.scope, c.Index)
	}
	return nil
}

// coreTables gives the tables that an entry of the core table index space may
// be.
func (l *linker) coreTables(s *scope, i uint32) (list []target) {
	k := busyKey{sort: wasm.SortCore, core: true, index: i}
	if !l.enter(s, k) {
		return nil
	}
	defer delete(s.busy, k)
	if o, _ := at(s.c.CoreTables, i); o.Kind == wasm.OriginAlias {
		l.coreExport(s, o.Index, wasm.ExternTable, o.Name, func(t target) { list = append(list, t) })
	}
	return list
}

// coreExport calls f with what a core instance exports: functions or tables.
func (l *linker) coreExport(s *scope, i uint32, kind wasm.ExternKind, name string, f func(target)) {
	ci, ok := at(s.c.CoreInstances, i)
	if !ok {
		return
	}
	if !ci.Inline {
		for _, u := range l.modules(s, ci.Module) {
			if index, ok := l.units[u].export(kind, name); ok {
				f(target{int32(u), index})
			}
		}
		return
	}
	for _, e := range ci.Exports {
		if !l.step(0) || e.Name != name || e.Kind != kind {
			continue
		}
		list := l.coreFuncs
		if kind == wasm.ExternTable {
			list = l.coreTables
		}
		for _, t := range list(s, e.Index) {
			f(t)
		}
	}
}

// export finds an export of a unit.
func (u *unit) export(kind wasm.ExternKind, name string) (uint32, bool) {
	if u.exports == nil {
		u.exports = make(map[coreKey]uint32, len(u.m.Exports))
		for _, e := range u.m.Exports {
			if e.Kind == wasm.ExternFunc && !u.has(e.Index) {
				continue // of a module that is not valid
			}
			u.exports[coreKey{e.Kind, e.Name}] = e.Index
		}
	}
	i, ok := u.exports[coreKey{kind, name}]
	return i, ok
}

// has is whether there is a function f.
func (u *unit) has(f uint32) bool { return int64(f) < int64(len(u.m.Functions)) }

type coreKey struct {
	kind wasm.ExternKind
	name string
}

// link satisfies the imports of every module that is instantiated.
func (l *linker) link() {
	l.tables = newTables(l.units)
	for _, s := range l.scopes {
		for i := range s.c.CoreInstances {
			ci := &s.c.CoreInstances[i]
			if !s.live || ci.Inline {
				continue
			}
			args := make(map[string]uint32, len(ci.Args))
			for _, a := range ci.Args {
				args[a.Name] = a.Instance
			}
			units := l.modules(s, ci.Module)
			for _, u := range units {
				l.satisfy(s, u, args)
			}
			for _, a := range ci.Args {
				if len(units) == 0 {
					l.escape(s, a.Instance)
				}
			}
		}
	}
	l.exportedModules()
}

// escape notes that the functions of a core instance are handed to a module that
// the host provides.
func (l *linker) escape(s *scope, i uint32) {
	ci, ok := at(s.c.CoreInstances, i)
	if !ok {
		return
	}
	if ci.Inline {
		for _, e := range ci.Exports {
			if e.Kind == wasm.ExternFunc && l.step(0) {
				l.escaped = append(l.escaped, l.coreFuncs(s, e.Index)...)
			}
		}
		return
	}
	for _, u := range l.modules(s, ci.Module) {
		l.escapeUnit(u)
	}
}

func (l *linker) escapeUnit(u int) {
	for _, e := range l.units[u].m.Exports {
		if e.Kind == wasm.ExternFunc && l.units[u].has(e.Index) && l.step(0) {
			l.escaped = append(l.escaped, target{int32(u), e.Index})
		}
	}
}

// exportedModules treats the core modules that the component exports as ones
// that the host instantiates.
func (l *linker) exportedModules() {
	top := l.scopes[0]
	for _, e := range top.c.Exports {
		i, ok := top.exported(e.Sort, e.Name)
		if !ok || e.Sort != wasm.SortModule {
			continue
		}
		for _, u := range l.modules(top, i) {
			unit := l.units[u]
			unit.live = true
			l.escapeUnit(u)
			for f, use := range unit.uses {
				unit.targets[f] = append(unit.targets[f], target{hostUnit, uint32(l.host(use.module, use.name))})
			}
		}
	}
}

func (l *linker) satisfy(s *scope, u int, args map[string]uint32) {
	unit := l.units[u]
	unit.live = true
	for _, im := range unit.m.Imports {
		arg, ok := args[im.Module]
		if !ok || !l.step(4) {
			continue
		}
		switch im.Kind {
		case wasm.ExternFunc:
			l.coreExport(s, arg, im.Kind, im.Name, func(t target) {
				if !slices.Contains(unit.targets[im.Index], t) && l.step(len(unit.targets[im.Index])) {
					unit.targets[im.Index] = append(unit.targets[im.Index], t)
				}
			})
		case wasm.ExternTable:
			l.coreExport(s, arg, im.Kind, im.Name, func(t target) {
				l.tables.join(target{int32(u), im.Index}, t)
			})
		default: // calls lead through functions and tables alone
		}
	}
}

// destructor recognises the exports that the host calls when a resource is
// dropped.
func destructor(name string) bool { return strings.Contains(name, "[dtor]") }
