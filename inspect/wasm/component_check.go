package wasm

import (
	"fmt"
	"slices"
)

// An enclosure is what is known of a scope while it is being read, besides what
// stays in it.
type enclosure struct {
	kind byte // TypeComponent, TypeInstance, or concrete

	modules []*TypeDef // the index space of core modules
	core    coreSpace
	items   [ExternTag + 1][]coreItem // the other index spaces of the core
	inline  map[uint32]map[string]int // exports of core instances put together, by name
	context ValType                   // of context.get and context.set
	values  []bool                    // whether a value has been used

	imports externNames
	exports externNames
	locals  bool // whether there are resources that are not imported
}

// concrete is the kind of the enclosure of a component, not of the type of one.
const concrete = 0

// externNames are the names of the imports or exports of a scope.
type externNames struct {
	keys map[string]struct{} // those that are taken, by their keys

	// resources has the names of the types that are resources.
	resources map[*TypeDef]string
	known     map[string]struct{}

	// types are those that may be used in a type that is visible outside.
	types map[*TypeDef]bool
}

func (n *externNames) addType(t *TypeDef) {
	if n.types == nil {
		n.types = make(map[*TypeDef]bool)
	}
	n.types[t] = true
}

func (n *externNames) addResource(name string, t *TypeDef) {
	if n.resources == nil {
		n.resources = make(map[*TypeDef]string)
		n.known = make(map[string]struct{})
	}
	n.resources[t] = name
	n.known[name] = struct{}{}
}

// take notes a name by its key, false if it is taken.
func (n *externNames) take(key string) bool {
	if _, taken := n.keys[key]; taken {
		return false
	}
	if n.keys == nil {
		n.keys = make(map[string]struct{})
	}
	n.keys[key] = struct{}{}
	return true
}

// inlineExport finds the position of an export of core instance i.
func (e *enclosure) inlineExport(i uint32, exports []Export, name string) (int, bool) {
	if len(exports) <= fewNames {
		k := slices.IndexFunc(exports, func(e Export) bool { return e.Name == name })
		return k, k >= 0
	}
	index := e.inline[i]
	if index == nil {
		index = make(map[string]int, len(exports))
		for k, ex := range exports {
			index[ex.Name] = k
		}
		if e.inline == nil {
			e.inline = make(map[uint32]map[string]int)
		}
		e.inline[i] = index
	}
	k, ok := index[name]
	return k, ok
}

// A componentShare is what the decoders of all components of a file share.
type componentShare struct {
	verdict verdict
	work    int64 // steps that checks may still take
	spaces  map[*Module]*coreSpace
	exports map[*Module]map[string]int
	imports map[*Module]map[[2]string]int
	budget  *budget
	funcs   map[string]*SubType // of canonical definitions

	args []ComponentExtern // of the instantiation that is being checked

	equal      map[typePair]struct{}
	generation int
	binds      bool // whether resources have been bound in this generation
}

func newComponentShare(size int64, budget *budget) *componentShare {
	return &componentShare{
		budget: budget, imports: make(map[*Module]map[[2]string]int),
		work: MaxComponentWork*size + ComponentWorkAnyway, spaces: make(map[*Module]*coreSpace),
		exports: make(map[*Module]map[string]int), funcs: make(map[string]*SubType),
	}
}

// step takes n steps, false if there are none left.
func (s *componentShare) step(n int) bool {
	s.work -= int64(n)
	return s.work >= 0
}

// space is where the type indices of a module lead.
func (s *componentShare) space(m *Module) *coreSpace {
	if s.spaces[m] == nil {
		s.spaces[m] = &coreSpace{module: m}
	}
	return s.spaces[m]
}

// export finds an export of a module.
func (s *componentShare) export(m *Module, name string) (coreItem, bool) {
	index := s.exports[m]
	if index == nil {
		s.budget.bytes -= int64(len(m.Exports) * costIndexed)
		index = make(map[string]int, len(m.Exports))
		for i, ex := range m.Exports {
			index[ex.Name] = i
		}
		s.exports[m] = index
	}
	i, ok := index[name]
	if !ok {
		return coreItem{}, false
	}
	return m.item(s.space(m), m.Exports[i].Kind, m.Exports[i].Index)
}

// importOf finds an import of a module.
func (s *componentShare) importOf(m *Module, module, name string) (*Import, bool) {
	index := s.imports[m]
	if index == nil {
		s.budget.bytes -= int64(len(m.Imports) * costIndexed * 2)
		index = make(map[[2]string]int, len(m.Imports))
		for i, im := range m.Imports {
			index[[2]string{im.Module, im.Name}] = i
		}
		s.imports[m] = index
	}
	i, ok := index[[2]string{module, name}]
	if !ok {
		return nil, false
	}
	return &m.Imports[i], true
}

// function gives a function type; there is one for each signature.
func (s *componentShare) function(params, results []ValType) *SubType {
	key := fmt.Sprint(len(params), params, results)
	if s.funcs[key] == nil {
		types := slices.Concat(params, results)
		s.funcs[key] = &SubType{
			Form: FormFunc, Final: true, Super: NoType, Descriptor: NoType, Describes: NoType, Cont: NoType,
			params: uint32(len(params)), types: types,
		}
	}
	return s.funcs[key]
}

// sound is whether nothing has been wrong so far. After the first fault, the
// rest of a file is read for what it declares, and judged no more.
func (d *componentDecoder) sound(r *reader) bool {
	return r.err == nil && d.shared.verdict.fault == nil
}

// invalid records a violation of a rule of validation by what begins at the byte
// at (an index into the bytes of r), if it is the first.
func (d *componentDecoder) invalid(r *reader, at int, err error) {
	if !d.sound(r) {
		return
	}
	doing := r.doing
	if r.entry >= 0 {
		doing = fmt.Sprintf("%s, entry %d", doing, r.entry)
	}
	d.shared.verdict.fault = &Error{Offset: r.base + int64(at), Doing: doing, Err: err}
}

// check is invalid for an error that may be nil.
func (d *componentDecoder) check(r *reader, at int, err error) {
	if err != nil {
		d.invalid(r, at, err)
	}
}

// use notes that a host needs a feature.
func (d *componentDecoder) use(f Features) { d.shared.verdict.features |= f }

// settle ends an entry: a file whose checks take too long is refused.
func (d *componentDecoder) settle(r *reader) {
	if d.shared.work < 0 {
		r.fail(r.off, fmt.Errorf("%w: the types take too long to check", ErrLimit))
	}
	r.charge(0) // fails for an index that took too much
}

// lookup gives entry i of the index space of a sort, and is invalid without one.
func (d *componentDecoder) lookup(r *reader, at int, s *Scope, sort Sort, i uint32) *TypeDef {
	def := s.entry(sort, i)
	if def == nil {
		d.invalid(r, at, fmt.Errorf("%w %d: %v index out of bounds", unknownSort(sort), i, sort))
	}
	return def
}

func unknownSort(sort Sort) error {
	switch sort {
	case SortFunc:
		return ErrUnknownFunc
	case SortValue:
		return ErrUnknownValue
	case SortComponent:
		return ErrUnknownComponent
	case SortInstance:
		return ErrUnknownInstance
	case SortModule:
		return ErrUnknownModule
	default:
		return ErrUnknownType
	}
}

// checkExtern checks an import (0) or export (1) of a scope: that its type uses
// no types without a name, and that its name may be that of its type and is not
// taken. It is for after the entry was added to the index spaces.
func (d *componentDecoder) checkExtern(r *reader, at int, s *Scope, e *ComponentExtern, export bool) {
	if !d.sound(r) || e.Type == nil {
		return
	}
	names := &s.in.imports
	if export {
		names = &s.in.exports
	}
	if e.Sort == SortType && e.Type.Op == TypeResource {
		names.addResource(e.Name, e.Type)
	}
	if s.in.kind != TypeInstance && !d.visible(s, e, export) {
		d.invalid(r, at, fmt.Errorf("%w: the %v %q; import or export that type first, and use it by its new index",
			ErrVisible, e.Sort, short(e.Name)))
		return
	}
	d.check(r, at, d.checkName(names, e, export))
}

// checkName checks the name of an import or export, and takes it.
func (d *componentDecoder) checkName(names *externNames, e *ComponentExtern, export bool) error {
	n, err := parseName(e.Name)
	if err != nil {
		return err
	}
	if export && n.kind >= nameDependency {
		return fmt.Errorf("%w %q for an export: only imports are of that form", ErrName, short(e.Name))
	}
	if err := d.checkAttributes(&n, e); err != nil {
		return err
	}
	if n.nested {
		d.use(FeatureCMNestedNames)
	}
	if err := names.checkFunction(&n, e); err != nil {
		return fmt.Errorf("%q: %w", short(e.Name), err)
	}
	if !names.take(n.key) {
		return fmt.Errorf("%w: %q, or what differs from it by case and hyphens only, is taken", ErrConflict, short(e.Name))
	}
	return nil
}

// checkAttributes checks the attributes of a name, and the version that one of
// them completes.
func (d *componentDecoder) checkAttributes(n *externName, e *ComponentExtern) error {
	if e.Implements != "" || e.attributes&attrImplements != 0 {
		d.use(FeatureCMImplements)
		if n.kind != namePlain {
			return fmt.Errorf("%w: %q with \"implements\" is not a plain name", ErrName, short(e.Name))
		}
		if e.Sort != SortInstance {
			return fmt.Errorf("%w: only instances can implement an interface, and %q is a %v", ErrName, short(e.Name), e.Sort)
		}
		i, err := parseName(e.Implements)
		if err == nil && i.kind != nameInterface {
			err = fmt.Errorf("%w: %q must be that of an interface", ErrName, short(e.Implements))
		}
		if err == nil && i.version != "" {
			err = checkVersion(i.version + e.VersionSuffix)
		}
		if err != nil {
			return err
		}
	}
	if e.attributes&attrVersionSuffix != 0 && e.Sort != SortInstance {
		return fmt.Errorf("%w: only instances have a version, and %q is a %v", ErrName, short(e.Name), e.Sort)
	}
	if e.attributes != 0 {
		d.use(FeatureCMImplements)
	}
	if n.version != "" {
		return checkVersion(n.version + e.VersionSuffix)
	}
	return nil
}

// checkFunction checks that the item with the name of a constructor, method or
// static function is one.
func (names *externNames) checkFunction(n *externName, e *ComponentExtern) error {
	if n.kind != nameConstructor && n.kind != nameMethod && n.kind != nameStatic {
		return nil
	}
	t := e.Type
	if e.Sort != SortFunc || !isFunc(t.Op) {
		return fmt.Errorf("%w: it is not a func", ErrName)
	}
	if n.kind == nameStatic {
		if _, ok := names.known[n.resource]; !ok {
			return fmt.Errorf("%w: no resource here is named %q", ErrName, short(n.resource))
		}
		return nil
	}
	if n.kind == nameConstructor {
		return names.checkConstructor(n, t)
	}
	if len(t.Args) == 0 || t.Labels[0] != "self" || t.Args[0].code() != TypeBorrow {
		return fmt.Errorf("%w: a method takes a first argument named \"self\" of (borrow $T)", ErrName)
	}
	return names.checkOwner(n, t.Args[0].Def)
}

func (names *externNames) checkConstructor(n *externName, t *TypeDef) error {
	if t.Op == TypeAsyncFunc {
		return fmt.Errorf("%w: a constructor cannot be async", ErrName)
	}
	if !t.Result.Set {
		return fmt.Errorf("%w: a constructor should return one value", ErrName)
	}
	own := t.Result.Def
	if own != nil && own.Op == TypeResult {
		own = own.Args[0].Def
	}
	if own == nil || own.Op != TypeOwn {
		return fmt.Errorf("%w: a constructor should return (own $T) or (result (own $T))", ErrName)
	}
	return names.checkOwner(n, own)
}

// checkOwner checks that the resource of a handle has the name that is part of
// the function's.
func (names *externNames) checkOwner(n *externName, handle *TypeDef) error {
	switch name, ok := names.resources[handle.Args[0].Def]; {
	case !ok:
		return fmt.Errorf("%w: the resource does not have a name in this context", ErrName)
	case name != n.resource:
		return fmt.Errorf("%w: the function does not match the resource name %q", ErrName, short(name))
	}
	return nil
}

// visible is whether all types that an import or export uses have names, and
// gives them to those that it names.
func (d *componentDecoder) visible(s *Scope, e *ComponentExtern, export bool) bool {
	if !d.shared.step(1) || e.Type == nil {
		return true
	}
	names := &s.in.imports
	if export {
		names = &s.in.exports
	}
	switch e.Sort {
	case SortType:
		t := e.Type
		if t.Of != nil {
			t = t.Of
		}
		if !d.partsNamed(t, names) {
			return false
		}
		names.addType(e.Type)
		if !export {
			s.in.exports.addType(e.Type)
		}
	case SortInstance:
		for i := range e.Type.Scope.exports() {
			if !d.visible(s, &e.Type.Scope.Exports[i], export) {
				return false
			}
		}
	case SortFunc:
		return d.partsNamed(e.Type, names)
	case SortValue:
		return d.named(e.Type, names)
	default: // components and modules stand for themselves
	}
	return true
}

// exports are those of a scope that may be nil.
func (s *Scope) exports() []ComponentExtern {
	if s == nil {
		return nil
	}
	return s.Exports
}

// partsNamed is whether the types that t is made of have names, itself aside.
func (d *componentDecoder) partsNamed(t *TypeDef, names *externNames) bool {
	switch t.Op {
	case TypeResource, TypeComponent, TypeModule:
		return true
	case TypeInstance:
		for i := range t.Scope.exports() {
			e := &t.Scope.Exports[i]
			if e.Type == nil || e.Sort == SortComponent || e.Sort == SortModule {
				continue
			}
			if !d.partsNamed(e.Type, names) {
				return false
			}
		}
		return true
	case TypeOwn, TypeBorrow:
		return t.Args[0].Def == nil || names.types[t.Args[0].Def]
	}
	d.shared.step(len(t.Args))
	for _, a := range t.Args {
		if !d.named(a.Def, names) {
			return false
		}
	}
	return d.named(t.Result.Def, names)
}

// named is whether a value type has a name, or needs none and its parts have. A
// type that was seen to is noted as if it had a name of its own.
func (d *componentDecoder) named(t *TypeDef, names *externNames) bool {
	if t == nil || primitive(t.Op) || names.types[t] || !d.shared.step(1) {
		return true
	}
	switch t.Op {
	case TypeFlags, TypeEnum, TypeRecord, TypeVariant:
		return false
	}
	if !d.partsNamed(t, names) {
		return false
	}
	names.addType(t)
	return true
}

// A freeWalk calls found for every resource in a type that is bound outside of
// the type.
type freeWalk struct {
	d     *componentDecoder
	seen  map[*TypeDef]struct{}
	found func(resource *TypeDef)
}

func (d *componentDecoder) freeWalk(found func(*TypeDef)) *freeWalk {
	return &freeWalk{d: d, seen: make(map[*TypeDef]struct{}), found: found}
}

func (w *freeWalk) walk(t *TypeDef) {
	if t == nil || t.flags&flagVaries == 0 {
		return
	}
	if _, ok := w.seen[t]; ok || !w.d.shared.step(1) {
		return
	}
	w.seen[t] = struct{}{}
	if t.Op == TypeResource {
		w.found(t.Resource())
		return
	}
	w.d.shared.step(len(t.Args))
	for _, a := range t.Args {
		w.walk(a.Def)
	}
	w.walk(t.Result.Def)
	if t.Scope == nil {
		return
	}
	outer := w.found
	w.found = func(r *TypeDef) {
		if r.bound() != t.Scope.id() {
			outer(r)
		}
	}
	w.externs(t.Scope.Imports)
	w.externs(t.Scope.Exports)
	w.found = outer
}

func (w *freeWalk) externs(list []ComponentExtern) {
	w.d.shared.step(len(list))
	for i := range list {
		w.walk(list[i].Type)
	}
}

// closed is whether a type uses no resource that is bound outside of it.
func (d *componentDecoder) closed(t *TypeDef) bool {
	closed := true
	d.freeWalk(func(*TypeDef) { closed = false }).walk(t)
	return closed
}

// checkLocals checks, at the end of a component or the type of one, that its own
// resources are not used in imports, and in exports only if they are exported.
func (d *componentDecoder) checkLocals(r *reader, at int, s *Scope) {
	if !s.in.locals || !d.sound(r) {
		return
	}
	local := func(t *TypeDef) bool { return t.bound() == s.id() && t.flags&flagImported == 0 }
	d.freeWalk(func(t *TypeDef) {
		if local(t) {
			d.invalid(r, at, fmt.Errorf("%w: an import uses a resource that the component defines itself", ErrResource))
		}
	}).externs(s.Imports)
	exported := make(map[*TypeDef]struct{})
	d.exportedResources(s.Exports, exported)
	d.freeWalk(func(t *TypeDef) {
		if _, ok := exported[t]; !ok && local(t) {
			d.invalid(r, at, fmt.Errorf("%w: an export uses a resource that is not exported itself", ErrResource))
		}
	}).externs(s.Exports)
}

// exportedResources collects the resources that are exported as types.
func (d *componentDecoder) exportedResources(list []ComponentExtern, found map[*TypeDef]struct{}) {
	for i := range list {
		e := &list[i]
		if !d.shared.step(1) || e.Type == nil || e.Type.flags&flagVaries == 0 {
			continue
		}
		switch e.Sort {
		case SortType:
			if t := e.Type.Resource(); t != nil {
				found[t] = struct{}{}
			}
		case SortInstance:
			d.exportedResources(e.Type.Scope.exports(), found)
		default:
		}
	}
}
