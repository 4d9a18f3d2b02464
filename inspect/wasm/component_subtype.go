package wasm

import "fmt"

// A match compares types of components where something of one type is given for
// something of another ("Subtyping" in Explainer.md). Instances may export more
// than they are asked for, and components import less; value and function types
// must be equal, as they must for the engines there are.
type match struct {
	d *componentDecoder

	// bound has what the resources that a component type imports or exports
	// stand for in this comparison, nil for nothing.
	bound map[*TypeDef]*TypeDef

	// renamed has what the types that a component imports are in the component
	// that instantiates it, nil for nothing.
	renamed map[*TypeDef]*TypeDef
}

// A typePair are two types that were found to fit. That holds for as long as the
// same resources are bound, which is what generations number.
type typePair struct {
	a, b       *TypeDef
	generation int
}

// match begins a comparison in which nothing is bound.
func (d *componentDecoder) match() *match {
	if d.shared.binds {
		d.shared.generation++
		d.shared.binds = false
	}
	return &match{d: d}
}

// fits is whether two types were found to fit.
func (s *componentShare) fits(a, b *TypeDef) bool {
	_, ok := s.equal[typePair{a, b, s.generation}]
	return ok
}

// fit notes that two types fit.
func (s *componentShare) fit(a, b *TypeDef) {
	if len(s.equal) >= maxPairs {
		clear(s.equal)
	}
	if s.equal == nil {
		s.equal = make(map[typePair]struct{})
	}
	s.equal[typePair{a, b, s.generation}] = struct{}{}
}

// put adds to a map that may be nil.
func put(to *map[*TypeDef]*TypeDef, k, v *TypeDef) {
	if *to == nil {
		*to = make(map[*TypeDef]*TypeDef)
	}
	(*to)[k] = v
}

// resource follows what a resource stands for. The chain is as long as component
// types are nested; one that is longer leads in a circle, and to nothing.
func (m *match) resource(t *TypeDef) *TypeDef {
	t = t.Resource()
	for range MaxNesting + MaxTypeNesting {
		next, ok := m.bound[t]
		if !ok {
			return t
		}
		t = next.Resource()
	}
	return nil
}

// mismatch is the error for types of different kinds.
func mismatch(want, have string) error {
	return fmt.Errorf("%w: expected %s, found %s", ErrType, want, have)
}

// extern fails unless what a is may be given for b.
func (m *match) extern(a, b *ComponentExtern) error {
	if a.Sort != b.Sort {
		return mismatch(b.Sort.String(), a.Sort.String())
	}
	return m.types(a.Type, b.Type)
}

// types fails unless something of type a may be given for something of type b.
func (m *match) types(a, b *TypeDef) error {
	if a == b || a == nil || b == nil || !m.d.shared.step(1) {
		return nil
	}
	// What has no parts is compared faster than it is found.
	simple := len(a.Args) == 0 && a.Scope == nil
	if !simple && m.d.shared.fits(a, b) {
		return nil
	}
	generation := m.d.shared.generation
	if err := m.differ(a, b); err != nil {
		return err
	}
	if !simple && generation == m.d.shared.generation {
		m.d.shared.fit(a, b)
	}
	return nil
}

func (m *match) differ(a, b *TypeDef) error {
	switch {
	case a.Op == TypeResource && b.Op == TypeResource:
		if x, y := m.resource(a), m.resource(b); x == nil || x != y {
			return fmt.Errorf("%w: resource types are not the same", ErrResource)
		}
		return nil
	case a.Op != b.Op:
		return mismatch(b.kind(), a.kind())
	case a.Op == TypeInstance:
		return m.exports(a.Scope, b.Scope)
	case a.Op == TypeComponent:
		return m.components(a.Scope, b.Scope)
	case a.Op == TypeModule:
		return m.d.moduleMatch(a, b)
	}
	return m.parts(a, b)
}

// kind names the kind of a type for an error message.
func (t *TypeDef) kind() string {
	if name := primitives[t.Op]; name != "" {
		return name
	}
	if t.Op == TypeModule {
		return "core module"
	}
	return constructors[t.Op]
}

// parts compares value and function types of the same kind.
func (m *match) parts(a, b *TypeDef) error {
	if len(a.Labels) != len(b.Labels) || len(a.Args) != len(b.Args) {
		return fmt.Errorf("%w: expected a %s type of %d parts, found %d",
			ErrType, b.kind(), max(len(b.Labels), len(b.Args)), max(len(a.Labels), len(a.Args)))
	}
	if a.Len != b.Len {
		return fmt.Errorf("%w: expected a list of %d elements, found %d", ErrType, b.Len, a.Len)
	}
	m.d.shared.step(len(a.Labels) + len(a.Args))
	for i := range a.Labels {
		if a.Labels[i] != b.Labels[i] && labelKey(a.Labels[i]) != labelKey(b.Labels[i]) {
			return fmt.Errorf("%w: expected part %[3]q of a %[2]s type, found %[4]q", ErrType, b.kind(), short(b.Labels[i]), short(a.Labels[i]))
		}
	}
	for i := range a.Args {
		if err := m.values(a.Args[i], b.Args[i]); err != nil {
			return fmt.Errorf("part %s of a %s type: %w", partName(a, i), a.kind(), err)
		}
	}
	if err := m.values(a.Result, b.Result); err != nil {
		return fmt.Errorf("result of a function: %w", err)
	}
	return nil
}

func partName(t *TypeDef, i int) string {
	if i < len(t.Labels) {
		return fmt.Sprintf("%q", short(t.Labels[i]))
	}
	return fmt.Sprint(i)
}

func (m *match) values(a, b TypeRef) error {
	if a.Set != b.Set {
		if b.Set {
			return fmt.Errorf("%w: expected a type, found none", ErrType)
		}
		return fmt.Errorf("%w: expected no type, found one", ErrType)
	}
	return m.types(a.def(), b.def())
}

// exports compares the exports of instances.
func (m *match) exports(a, b *Scope) error {
	m.d.shared.step(len(b.exports()))
	for i := range b.exports() {
		want := &b.Exports[i]
		have, ok := a.Export(want.Name)
		if !ok {
			return fmt.Errorf("%w: missing expected export %q", ErrMissing, short(want.Name))
		}
		if err := m.extern(have, want); err != nil {
			return fmt.Errorf("export %q: %w", short(want.Name), err)
		}
	}
	return nil
}

// components compares component types: what b imports must do for the imports of
// a, and what a then exports for the exports of b.
func (m *match) components(a, b *Scope) error {
	if a == nil || b == nil {
		return nil
	}
	before := m.bound
	m.bound = make(map[*TypeDef]*TypeDef, len(before))
	for k, v := range before {
		m.bound[k] = v
	}
	m.d.shared.step(len(before))
	m.d.shared.generation++
	defer func() {
		m.bound = before
		m.d.shared.generation++
	}()
	imports := make(map[string]*ComponentExtern, len(b.Imports))
	for i := range b.Imports {
		imports[b.Imports[i].Name] = &b.Imports[i]
	}
	have := func(name string) (*ComponentExtern, bool) {
		e, ok := imports[name]
		return e, ok
	}
	if err := m.open(a.Imports, a, "import", have); err != nil {
		return err
	}
	return m.open(b.Exports, b, "export", a.Export)
}

// open fails unless have gives something for each of the imports or exports of
// owner that want is. The resources that owner imports or defines there stand
// for those that are given, from then on.
func (m *match) open(want []ComponentExtern, owner *Scope, what string, have func(string) (*ComponentExtern, bool)) error {
	m.d.shared.step(2 * len(want))
	for i := range want {
		if e, ok := have(want[i].Name); ok {
			m.bind(e, &want[i], owner, what == "import")
		}
	}
	for i := range want {
		e, ok := have(want[i].Name)
		if !ok {
			return fmt.Errorf("%w: missing %s named %q", ErrMissing, what, short(want[i].Name))
		}
		if err := m.extern(e, &want[i]); err != nil {
			return fmt.Errorf("%s %q: %w", what, short(want[i].Name), err)
		}
	}
	return nil
}

// bind lets the resources of owner that want names stand for those that have
// names by the same names. Whether the two fit otherwise shows later.
func (m *match) bind(have, want *ComponentExtern, owner *Scope, imported bool) {
	if have.Sort != want.Sort || have.Type == nil || want.Type == nil || !m.d.shared.step(1) {
		return
	}
	switch want.Sort {
	case SortType:
		w, h := want.Type.Resource(), have.Type.Resource()
		if w != nil && h != nil && w.bound() == owner.id() && (w.flags&flagImported != 0) == imported && w != m.resource(h) {
			if _, ok := m.bound[w]; !ok {
				put(&m.bound, w, have.Type)
				m.d.shared.generation++
				m.d.shared.binds = true
			}
		}
		if want.Type != have.Type {
			put(&m.renamed, want.Type, have.Type)
		}
	case SortInstance:
		if want.Type == have.Type {
			return
		}
		for i := range want.Type.Scope.exports() {
			w := &want.Type.Scope.Exports[i]
			if h, ok := have.Type.Scope.Export(w.Name); ok {
				m.bind(h, w, owner, imported)
			}
		}
	default:
	}
}

// A substitution makes copies of types in which resources, and types with names,
// are others. What it has made, and what it leaves as it is, is in to.
type substitution struct {
	d  *componentDecoder
	r  *reader
	to map[*TypeDef]*TypeDef

	// fresh makes a new resource for one that is to be another each time, and
	// gives nil for the rest.
	fresh func(resource *TypeDef) *TypeDef
}

func (s *substitution) apply(t *TypeDef) *TypeDef {
	if t == nil || t.flags&flagVaries == 0 {
		return t
	}
	if n, ok := s.to[t]; ok {
		return n
	}
	if !s.d.shared.step(1) || s.r.err != nil {
		return t
	}
	n := s.copy(t)
	s.charged(t, n)
	return n
}

// charged notes what a type becomes. The note is charged for, as it may be one
// of many in a file of many instances.
func (s *substitution) charged(t, n *TypeDef) {
	if n != t {
		s.r.charge(costNote)
	}
	put(&s.to, t, n)
}

func (s *substitution) copy(t *TypeDef) *TypeDef {
	if t.Op == TypeResource {
		return s.resource(t)
	}
	of := s.apply(t.Of)
	args, changed := s.args(t.Args)
	result := TypeRef{Def: s.apply(t.Result.Def), Prim: t.Result.Prim, Set: t.Result.Set}
	scope := s.scope(t.Scope)
	if of == t.Of && !changed && result == t.Result && scope == t.Scope {
		return t
	}
	s.r.charge(costTypeDef)
	n := *t
	n.Of, n.Args, n.Result, n.Scope = of, args, result, scope
	return &n
}

// resource copies a resource or another name of one.
func (s *substitution) resource(t *TypeDef) *TypeDef {
	root := t.Resource()
	if root == t {
		if n := s.fresh(t); n != nil {
			return n
		}
		return t
	}
	to := s.apply(root).Resource()
	if to == root {
		return t
	}
	s.r.charge(costTypeDef)
	n := *t
	n.Of, n.root, n.Scope, n.flags = s.apply(t.Of), to, to.Scope, to.flags
	return &n
}

func (s *substitution) args(args []TypeRef) ([]TypeRef, bool) {
	changed := false
	s.d.shared.step(len(args))
	for i, a := range args {
		n := s.apply(a.Def)
		if n == a.Def {
			continue
		}
		if !changed {
			s.r.charge(len(args) * costTypeRef)
			args = append([]TypeRef(nil), args...)
			changed = true
		}
		args[i].Def = n
	}
	return args, changed
}

func (s *substitution) scope(scope *Scope) *Scope {
	if scope == nil {
		return nil
	}
	imports, changed := s.externs(scope.Imports)
	exports, also := s.externs(scope.Exports)
	if !changed && !also {
		return scope
	}
	s.r.charge(costScope)
	n := &Scope{Imports: imports, Exports: exports, ident: scope.id()}
	n.seal()
	return n
}

func (s *substitution) externs(list []ComponentExtern) ([]ComponentExtern, bool) {
	changed := false
	s.d.shared.step(len(list))
	for i := range list {
		n := s.apply(list[i].Type)
		if n == list[i].Type {
			continue
		}
		if !changed {
			s.r.charge(len(list) * costExtern)
			if s.r.err != nil {
				return list, false
			}
			list = append([]ComponentExtern(nil), list...)
			changed = true
		}
		list[i].Type = n
	}
	return list, changed
}

// seal makes a scope that is complete ready for looking up exports.
func (s *Scope) seal() {
	if len(s.Exports) > fewNames {
		s.names = new(nameIndex)
	}
}

// introduce gives the type of an instance that a scope imports or exports: the
// resources of the instance type t become resources of the scope.
func (d *componentDecoder) introduce(r *reader, s *Scope, t *TypeDef, imported bool) *TypeDef {
	if t == nil || t.Scope == nil || t.flags&flagBinds == 0 || !d.sound(r) {
		return t
	}
	from := t.Scope.id()
	sub := &substitution{d: d, r: r, fresh: func(old *TypeDef) *TypeDef {
		if old.bound() != from {
			return nil
		}
		return d.newResource(r, s, imported)
	}}
	scope := sub.scope(t.Scope)
	if scope == t.Scope {
		return t
	}
	r.charge(costTypeDef)
	n := *t
	n.Scope, n.flags = scope, t.flags&^flagBinds
	n.Scope.ident = nil
	return &n
}

// newResource makes a resource that belongs to scope s.
func (d *componentDecoder) newResource(r *reader, s *Scope, imported bool) *TypeDef {
	r.charge(costTypeDef)
	t := &TypeDef{Op: TypeResource, Scope: s.id(), flags: flagVaries, size: 1}
	if imported {
		t.flags |= flagImported
	} else {
		s.in.locals = true
	}
	return t
}

// instantiate gives the type of an instance of component type t: its exports,
// with the arguments put for its imports, and resources of its own.
func (d *componentDecoder) instantiate(r *reader, at int, t *TypeDef, args []Argument) *TypeDef {
	r.charge(costTypeDef + costScope)
	n := &TypeDef{Op: TypeInstance, size: t.size, depth: t.depth, flags: t.flags & flagVaries}
	n.Scope = &Scope{Exports: t.Scope.Exports, names: t.Scope.names}
	given, ok := d.arguments(r, at, args)
	if !ok {
		return n
	}
	m := d.match()
	if err := m.open(t.Scope.Imports, t.Scope, "import", given.find); err != nil {
		d.invalid(r, at, err)
		return n
	}
	for k, v := range m.bound {
		if _, ok := m.renamed[k]; !ok {
			put(&m.renamed, k, v)
		}
	}
	from := t.Scope.id()
	sub := &substitution{d: d, r: r, to: m.renamed, fresh: func(old *TypeDef) *TypeDef {
		if old.bound() != from {
			return nil
		}
		return d.newResource(r, &d.c.Scope, false)
	}}
	exports, changed := sub.externs(t.Scope.Exports)
	if changed {
		n.Scope.Exports = exports
		n.Scope.names = nil
		n.Scope.seal()
	}
	return n
}

// A givenArgs are the arguments of an instantiation. The index is there when
// they are many.
type givenArgs struct {
	list  []ComponentExtern
	index map[string]int
}

func (g *givenArgs) find(name string) (*ComponentExtern, bool) {
	if g.index != nil {
		i, ok := g.index[name]
		if !ok {
			return nil, false
		}
		return &g.list[i], true
	}
	for i := range g.list {
		if g.list[i].Name == name {
			return &g.list[i], true
		}
	}
	return nil, false
}

// arguments looks up the arguments of an instantiation. They are valid until the
// next call.
func (d *componentDecoder) arguments(r *reader, at int, args []Argument) (given givenArgs, ok bool) {
	if !d.sound(r) {
		return given, false
	}
	if len(args) > fewNames {
		r.charge(len(args) * costNote)
		given.index = make(map[string]int, len(args))
	}
	given.list = d.shared.args[:0]
	for i, a := range args {
		e := ComponentExtern{Name: a.Name, Sort: a.Sort, Type: d.lookup(r, at, &d.c.Scope, a.Sort, a.Index)}
		if a.Sort == SortValue {
			d.takeValue(r, at, &d.c.Scope, a.Index)
		}
		if _, twice := given.find(a.Name); twice {
			d.invalid(r, at, fmt.Errorf("%w: instantiation argument %q is given twice", ErrConflict, short(a.Name)))
		}
		given.list = append(given.list, e)
		if given.index != nil {
			given.index[a.Name] = i
		}
	}
	d.shared.args = given.list
	return given, d.sound(r)
}
