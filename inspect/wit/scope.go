package wit

import (
	"cmp"
	"fmt"
	"slices"
)

// A book finds the interfaces of a document and the types that names in them
// stand for.
type book struct {
	doc    *Document
	scopes map[Path]*scope
}

// A scope is an interface or world, in which names of types mean something.
type scope struct {
	pkg   PackageName
	path  Path // zero for an interface in its place
	types map[string]*TypeDef
	uses  map[string]origin
	funcs map[string]*Func // of an interface; those of resources as "resource.name"
	iface *Interface
}

// An origin is a type of another interface.
type origin struct {
	path Path
	name string
}

// A definition is a type where it is defined.
type definition struct {
	in *scope
	t  *TypeDef
}

func newBook(d *Document) *book {
	b := &book{doc: d, scopes: map[Path]*scope{}}
	for _, p := range append([]*Package{d.Package}, d.Nested...) {
		for _, i := range p.Interfaces {
			s := newScope(p.Name, i.Uses, i.Types)
			s.path, s.iface = Path{Package: p.Name, Name: i.Name}, i
			s.addFuncs(i.Funcs)
			b.scopes[s.path] = s
		}
	}
	return b
}

func newScope(pkg PackageName, uses []Use, types []*TypeDef) *scope {
	s := &scope{pkg: pkg, types: map[string]*TypeDef{}, uses: map[string]origin{}, funcs: map[string]*Func{}}
	for _, u := range uses {
		for _, n := range u.Names {
			s.uses[n.local()] = origin{u.Path, n.Name}
		}
	}
	for _, t := range types {
		s.types[t.Name] = t
		for _, f := range t.Funcs {
			s.funcs[t.Name+"."+f.label()] = f
		}
	}
	return s
}

func (s *scope) addFuncs(funcs []*Func) {
	for _, f := range funcs {
		s.funcs[f.Name] = f
	}
}

// label is the function's name, of a constructor "constructor".
func (f *Func) label() string {
	if f.Kind == FuncConstructor {
		return string(FuncConstructor)
	}
	return f.Name
}

// inline is the scope of an interface that stands in a world.
func inline(pkg PackageName, i *Interface) *scope {
	s := newScope(pkg, i.Uses, i.Types)
	s.iface = i
	s.addFuncs(i.Funcs)
	return s
}

// full completes a path that is written within a package.
func (p Path) full(pkg PackageName) Path {
	if p.Package == (PackageName{}) {
		p.Package = pkg
	}
	return p
}

// find gives the definition that a name stands for in s, through uses and
// through names for other names; ok is false if it is not in the document.
func (b *book) find(s *scope, name string) (definition, bool) {
	for range MaxTypeDepth {
		if t := s.types[name]; t != nil {
			if t.Kind == DefType && t.Type != nil && t.Type.Kind == KindName {
				name = t.Type.Name
				continue
			}
			return definition{s, t}, true
		}
		u, ok := s.uses[name]
		if !ok {
			return definition{}, false
		}
		if s, name = b.scopes[u.path.full(s.pkg)], u.name; s == nil {
			return definition{}, false
		}
	}
	return definition{}, false
}

// checkNames refuses a document in which a name stands for two things: it can
// be printed, but not understood.
func checkNames(d *Document) error {
	packages := names{}
	for _, p := range append([]*Package{d.Package}, d.Nested...) {
		packages.add(p.Name.String())
		items := names{}
		for _, i := range p.Interfaces {
			items.add(i.Name)
			if err := i.checkNames(); err != nil {
				return fmt.Errorf("%s: %w", Path{p.Name, i.Name}, err)
			}
		}
		for _, w := range p.Worlds {
			items.add(w.Name)
			if err := w.checkNames(p.Name); err != nil {
				return fmt.Errorf("%s: %w", Path{p.Name, w.Name}, err)
			}
		}
		if err := items.twice(); err != nil {
			return fmt.Errorf("%s: %w", p.Name, err)
		}
	}
	return packages.twice()
}

// names counts how often each name is there.
type names map[string]int

func (n names) add(name string) { n[name]++ }

// twice tells of the first name in order that is there more than once.
func (n names) twice() error {
	first := ""
	for name, count := range n {
		if count > 1 && (first == "" || name < first) {
			first = name
		}
	}
	if first == "" {
		return nil
	}
	return notWIT("%q is there %d times", first, n[first])
}

func (i *Interface) checkNames() error {
	n := names{}
	for _, f := range i.Funcs {
		n.add(f.Name)
	}
	return n.addTypes(i.Uses, i.Types)
}

func (w *World) checkNames(pkg PackageName) error {
	n := names{}
	exports := names{}
	for _, e := range w.Imports {
		n.add(e.full(pkg))
	}
	for _, e := range w.Exports {
		exports.add(e.full(pkg))
	}
	for _, e := range slices.Concat(w.Imports, w.Exports) {
		if e.Interface != nil {
			if err := e.Interface.checkNames(); err != nil {
				return fmt.Errorf("%s: %w", e.Name, err)
			}
		}
	}
	return cmp.Or(n.addTypes(w.Uses, w.Types), exports.twice())
}

// addTypes adds the names of types, and checks them all.
func (n names) addTypes(uses []Use, types []*TypeDef) error {
	for _, u := range uses {
		for _, name := range u.Names {
			n.add(name.local())
		}
	}
	for _, t := range types {
		n.add(t.Name)
		inner := names{}
		for _, i := range t.Items {
			inner.add(i.Name)
		}
		for _, f := range t.Funcs {
			inner.add(f.label())
		}
		if err := inner.twice(); err != nil {
			return fmt.Errorf("%s: %w", t.Name, err)
		}
	}
	return n.twice()
}
