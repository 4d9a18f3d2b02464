package wasm

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// A coreType is a core type with the place where the type indices in it lead. It
// is a module type if def has the code of one.
type coreType struct {
	sub   *SubType
	space *coreSpace
	def   *TypeDef // of a module type
}

// A coreSpace is a type index space of the core: of a module, a module type or a
// scope.
type coreSpace struct {
	module *Module // its types, or else
	types  []coreType
}

func (s *coreSpace) at(i uint32) (coreType, bool) {
	switch {
	case s == nil:
		return coreType{}, false
	case s.module != nil:
		if int64(i) >= int64(len(s.module.Types)) {
			return coreType{}, false
		}
		return coreType{sub: &s.module.Types[i], space: s}, true
	case int64(i) >= int64(len(s.types)):
		return coreType{}, false
	}
	return s.types[i], true
}

// A coreItem is something that a module exports or imports, by its type.
type coreItem struct {
	kind   ExternKind
	global GlobalType
	table  *TableType
	memory *MemoryType
	fn     *SubType   // of a function or tag
	space  *coreSpace // of the type indices in it
}

// item is the entry of a module's index space, false if there is none.
func (m *Module) item(space *coreSpace, kind ExternKind, index uint32) (coreItem, bool) {
	item, i := coreItem{kind: kind, space: space}, int64(index)
	types := m.Functions
	switch kind {
	case ExternTable:
		if i < int64(len(m.Tables)) {
			item.table = &m.Tables[i]
			return item, true
		}
		return item, false
	case ExternMemory:
		if i < int64(len(m.Memories)) {
			item.memory = &m.Memories[i]
			return item, true
		}
		return item, false
	case ExternGlobal:
		if i < int64(len(m.Globals)) {
			item.global = m.Globals[i]
			return item, true
		}
		return item, false
	case ExternTag:
		types = m.Tags
	case ExternFunc:
	}
	if i >= int64(len(types)) {
		return item, false
	}
	t, ok := space.at(types[i])
	item.fn, item.space = t.sub, t.space
	return item, ok && t.sub != nil
}

func (c coreItem) String() string {
	switch {
	case c.table != nil:
		return c.table.String()
	case c.memory != nil:
		return c.memory.String()
	case c.fn != nil:
		return c.kind.String() + " " + c.fn.String()
	case c.kind == ExternGlobal:
		return c.global.String()
	}
	return c.kind.String()
}

// coreMatch fails unless a may be given where b is asked for ("Import Matching"
// of the core specification; types of globals and tables must be the same).
func (d *componentDecoder) coreMatch(a, b coreItem) error {
	same := a.kind == b.kind
	if same {
		switch a.kind {
		case ExternFunc:
			same = d.coreSubtype(coreType{sub: a.fn, space: a.space}, coreType{sub: b.fn, space: b.space})
		case ExternTag:
			same = d.coreEqual(coreType{sub: a.fn, space: a.space}, coreType{sub: b.fn, space: b.space})
		case ExternTable:
			same = limitsMatch(a.table.Limits, b.table.Limits) && d.coreValEqual(a.table.Elem, a.space, b.table.Elem, b.space, 0)
		case ExternMemory:
			same = limitsMatch(a.memory.Limits, b.memory.Limits) && a.memory.PageSize == b.memory.PageSize
		case ExternGlobal:
			same = a.global.Mutable == b.global.Mutable && a.global.Shared == b.global.Shared &&
				d.coreValEqual(a.global.Type, a.space, b.global.Type, b.space, 0)
		}
	}
	if !same {
		return fmt.Errorf("%w: %v is asked for, %v is given", ErrType, b, a)
	}
	return nil
}

func limitsMatch(a, b Limits) bool {
	return a.Shared == b.Shared && a.Is64 == b.Is64 && a.Min >= b.Min && (!b.HasMax || a.HasMax && a.Max <= b.Max)
}

// coreSubtype is whether a is b or one of its declared supertypes is.
func (d *componentDecoder) coreSubtype(a, b coreType) bool {
	for range MaxSupertypes {
		if d.coreEqual(a, b) {
			return true
		}
		if a.sub == nil || a.sub.Super == NoType {
			return false
		}
		next, ok := a.space.at(a.sub.Super)
		if !ok {
			return false
		}
		a = next
	}
	return false
}

func (d *componentDecoder) coreEqual(a, b coreType) bool { return d.coreTypesEqual(a, b, 0) }

// coreTypesEqual compares types of two modules by their structure, down to
// maxCoreDepth: types that differ only further down, in a recursion of that
// length, pass for equal.
func (d *componentDecoder) coreTypesEqual(a, b coreType, depth int) bool {
	switch {
	case a.sub == nil || b.sub == nil:
		return false
	case a.sub == b.sub || depth > maxCoreDepth:
		return true
	case !d.shared.step(1 + len(a.sub.types)):
		return true
	}
	x, y := a.sub, b.sub
	if x.Form != y.Form || x.Final != y.Final || x.Shared != y.Shared || x.params != y.params || len(x.types) != len(y.types) {
		return false
	}
	for i := range x.types {
		if !d.coreValEqual(x.types[i], a.space, y.types[i], b.space, depth+1) {
			return false
		}
	}
	return d.coreIndexEqual(x.Super, a.space, y.Super, b.space, depth+1) && d.coreIndexEqual(x.Cont, a.space, y.Cont, b.space, depth+1)
}

func (d *componentDecoder) coreValEqual(a ValType, as *coreSpace, b ValType, bs *coreSpace, depth int) bool {
	if a.TypeIndex() < 0 || b.TypeIndex() < 0 {
		return a == b
	}
	return a&^typeIndex == b&^typeIndex && d.coreIndexEqual(a.Heap().Index, as, b.Heap().Index, bs, depth)
}

func (d *componentDecoder) coreIndexEqual(a uint32, as *coreSpace, b uint32, bs *coreSpace, depth int) bool {
	if a == NoType || b == NoType {
		return a == b
	}
	x, ok := as.at(a)
	y, ok2 := bs.at(b)
	return ok && ok2 && d.coreTypesEqual(x, y, depth)
}

// moduleMatch fails unless a module of type a may be given where one of type b
// is asked for: it may export more and import less.
func (d *componentDecoder) moduleMatch(a, b *TypeDef) error {
	as, bs := d.shared.space(a.Module), d.shared.space(b.Module)
	d.shared.step(len(a.Module.Imports) + len(b.Module.Exports))
	for _, im := range a.Module.Imports {
		given, ok := d.shared.importOf(b.Module, im.Module, im.Name)
		if !ok {
			return fmt.Errorf("%w: the module imports %q from %q, which its type has not", ErrMissing, short(im.Name), short(im.Module))
		}
		have, _ := b.Module.item(bs, given.Kind, given.Index)
		want, _ := a.Module.item(as, im.Kind, im.Index)
		if err := d.coreMatch(have, want); err != nil {
			return fmt.Errorf("import %q from %q: %w", short(im.Name), short(im.Module), err)
		}
	}
	for _, ex := range b.Module.Exports {
		have, ok := d.shared.export(a.Module, ex.Name)
		if !ok {
			return fmt.Errorf("%w: the module does not export %q", ErrMissing, short(ex.Name))
		}
		want, _ := b.Module.item(bs, ex.Kind, ex.Index)
		if err := d.coreMatch(have, want); err != nil {
			return fmt.Errorf("export %q: %w", short(ex.Name), err)
		}
	}
	return nil
}

// coreTypeDef reads a core type of a scope: a recursive group, or the type of a
// module. A subtype that is not final, whose code is that of a module type, is
// written with 0x00 before it.
func (d *componentDecoder) coreTypeDef(r *reader, s *Scope) {
	switch r.peek() {
	case 0x00:
		r.u8()
		if b := r.peek(); b != 0x50 {
			r.fail(r.off, codeError(uint64(b), "a subtype"))
		}
		d.coreRec(r, &s.in.core)
	case TypeModule:
		r.u8()
		r.charge(costModuleType)
		def := &TypeDef{Op: TypeModule, Module: &Module{Start: -1, DataCount: -1}, size: 1}
		d.moduleType(r, s, def.Module)
		s.in.core.types = append(s.in.core.types, coreType{def: def})
	default:
		d.coreRec(r, &s.in.core)
	}
}

// coreRec reads a recursive group into an index space.
func (d *componentDecoder) coreRec(r *reader, space *coreSpace) {
	start, first := r.off, uint32(len(space.types))
	group := r.recType(nil)
	r.charge(len(group) * costSubType)
	if r.err != nil {
		return
	}
	for i := range group {
		group[i].Group = first
		space.types = append(space.types, coreType{sub: &group[i], space: space})
	}
	for i := range group {
		d.checkCoreSub(r, start, space, &group[i])
	}
}

// checkCoreSub checks that the indices in a type lead to types.
func (d *componentDecoder) checkCoreSub(r *reader, start int, space *coreSpace, t *SubType) {
	known := func(i uint32) {
		if i == NoType {
			return
		}
		if u, ok := space.at(i); !ok || u.sub == nil {
			d.invalid(r, start, fmt.Errorf("%w %d: type index out of bounds", ErrUnknownType, i))
		}
	}
	for _, v := range t.types {
		if i := v.TypeIndex(); i >= 0 {
			known(uint32(i))
		}
	}
	known(t.Super)
	known(t.Cont)
}

// moduleType reads the declarations of a module type into m, as a module that
// has nothing but types, imports and exports.
func (d *componentDecoder) moduleType(r *reader, s *Scope, m *Module) {
	begin, space := r.off, &coreSpace{}
	d.shared.spaces[m] = space
	md := &moduleDecoder{decoder: d.decoder, m: m}
	for range r.count(2, MaxItems) {
		start := r.off
		switch b := r.u8(); b {
		case 0x00:
			r.charge(costImport)
			md.imports(r)
		case 0x01:
			if r.peek() == TypeModule {
				r.code("a type in a module type", TypeModule)
			}
			d.coreRec(r, space)
		case 0x02:
			d.coreAlias(r, s, space)
		case 0x03:
			r.charge(costImport + costExport)
			name := r.name()
			e := r.extern()
			n := len(m.Imports)
			md.addImport(r, "", name, e)
			if r.err == nil {
				m.Exports = append(m.Exports, Export{Name: name, Kind: e.kind, Index: m.Imports[n].Index})
				m.Imports = m.Imports[:n]
			}
		default:
			r.code("a declaration of a module type", b)
		}
		if r.err != nil {
			return
		}
		d.checkModuleDecl(r, start, m, space)
	}
	for _, t := range space.types {
		m.Types = append(m.Types, *t.sub)
	}
	r.charge(len(space.types) * costType)
	d.checkModuleType(r, begin, m, space)
	d.checkImportNames(r, begin, m)
	d.checkExportNames(r, begin, m)
}

// checkModuleDecl checks the types of the import or export that was read last.
func (d *componentDecoder) checkModuleDecl(r *reader, start int, m *Module, space *coreSpace) {
	check := func(kind ExternKind, index uint32) {
		item, ok := m.item(space, kind, index)
		switch {
		case !ok:
			d.invalid(r, start, fmt.Errorf("%w: type index out of bounds", ErrUnknownType))
		case kind == ExternFunc && item.fn.Form != FormFunc, kind == ExternTag && item.fn.Form != FormFunc:
			d.invalid(r, start, fmt.Errorf("%w: the type of a %v is not a function type", ErrType, kind))
		}
	}
	if n := len(m.Imports); n > 0 {
		check(m.Imports[n-1].Kind, m.Imports[n-1].Index)
	}
	if n := len(m.Exports); n > 0 {
		check(m.Exports[n-1].Kind, m.Exports[n-1].Index)
	}
}

// checkModuleType checks the types in a module type as those of a module are.
func (d *componentDecoder) checkModuleType(r *reader, at int, m *Module, space *coreSpace) {
	types := d.checkCoreTypes(r, at, space)
	if types == nil {
		return
	}
	v := &validModule{types: types, m: m}
	for _, t := range m.Memories {
		d.check(r, at, v.memory(t))
	}
	for _, t := range m.Tables {
		d.check(r, at, v.table(t))
	}
	for _, t := range m.Globals {
		d.check(r, at, v.global(t))
	}
	d.use(v.used)
}

// checkCoreTypes checks the types of a space by the rules of the core for
// recursive groups and subtypes. It is nil if that is impossible.
func (d *componentDecoder) checkCoreTypes(r *reader, at int, space *coreSpace) *types {
	if !d.sound(r) {
		return nil
	}
	list, whole := space.list()
	if !whole {
		return nil
	}
	d.shared.step(len(list))
	types, used, _, err := checkTypes(list)
	d.use(used)
	d.check(r, at, err)
	return types
}

// list gives the types of a space for those who check a module's. It is whole
// unless a type from outside refers to others, which are not in the space.
func (s *coreSpace) list() (list []SubType, whole bool) {
	for i, t := range s.types {
		sub := SubType{Form: FormFunc, Final: true, Super: NoType, Descriptor: NoType, Describes: NoType, Cont: NoType, Group: uint32(i)}
		if t.sub != nil {
			if t.space != s && t.sub.refers() {
				return nil, false
			}
			sub = *t.sub
		}
		if t.space != s {
			sub.Group = uint32(i)
		}
		list = append(list, sub)
	}
	return list, true
}

// refers is whether there are indices of other types in a type.
func (t *SubType) refers() bool {
	return t.Super != NoType || t.Cont != NoType || t.Descriptor != NoType || t.Describes != NoType ||
		slices.ContainsFunc(t.types, func(v ValType) bool { return v.TypeIndex() >= 0 })
}

// checkImportNames checks that a module imports nothing twice, which is no fault
// of a module by itself.
func (d *componentDecoder) checkImportNames(r *reader, at int, m *Module) {
	if !d.sound(r) {
		return
	}
	i, twice := repeated(len(m.Imports), func(i, j int) int {
		a, b := &m.Imports[i], &m.Imports[j]
		return cmp.Or(strings.Compare(a.Module, b.Module), strings.Compare(a.Name, b.Name))
	})
	if twice {
		im := &m.Imports[i]
		d.invalid(r, at, fmt.Errorf("%w: a component cannot tell two imports %q from %q apart",
			ErrConflict, short(im.Name), short(im.Module)))
	}
}

// checkExportNames checks that a module type exports no name twice.
func (d *componentDecoder) checkExportNames(r *reader, at int, m *Module) {
	if !d.sound(r) {
		return
	}
	i, twice := repeated(len(m.Exports), func(i, j int) int { return strings.Compare(m.Exports[i].Name, m.Exports[j].Name) })
	if twice {
		d.invalid(r, at, fmt.Errorf("%w: export name %q already defined", ErrDuplicateExport, short(m.Exports[i].Name)))
	}
}

// repeated finds one of n entries that is equal to another one. It sorts their
// numbers, as a map of the names of a large module would be larger than it.
func repeated(n int, compare func(i, j int) int) (int, bool) {
	order := make([]int32, n)
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortFunc(order, func(i, j int32) int { return compare(int(i), int(j)) })
	for k := 1; k < n; k++ {
		if compare(int(order[k-1]), int(order[k])) == 0 {
			return int(order[k]), true
		}
	}
	return 0, false
}

// coreAlias reads an alias in a module type: a type further out.
func (d *componentDecoder) coreAlias(r *reader, s *Scope, space *coreSpace) {
	start := r.off
	if b := r.u8(); b != 0x10 {
		r.code("the sort of an alias", b)
	}
	if b := r.u8(); b != 0x01 {
		r.code("the target of an alias", b)
	}
	depth, index := r.u32(), r.u32()
	r.charge(costCoreType)
	from := space
	if depth > 0 {
		outer := s.outward(depth - 1)
		if outer == nil || outer.in == nil {
			d.invalid(r, start, fmt.Errorf("%w count of %d", ErrOuter, depth))
			return
		}
		from = &outer.in.core
	}
	t, ok := from.at(index)
	switch {
	case !ok:
		d.invalid(r, start, fmt.Errorf("%w %d: type index out of bounds", ErrUnknownType, index))
	case t.sub == nil:
		d.invalid(r, start, fmt.Errorf("%w: type %d is that of a module", ErrType, index))
	default:
		space.types = append(space.types, t)
	}
}

// coreInstance reads an instantiation of a module, or exports put together.
func (d *componentDecoder) coreInstance(r *reader) (c CoreInstance) {
	start := r.off
	switch b := r.u8(); b {
	case 0x00:
		c.Module = r.u32()
		n := r.keepOf(3, MaxItems, costArgument+costNote)
		c.Args = make([]CoreArgument, 0, n)
		for range n {
			arg := CoreArgument{Name: r.name()}
			if b := r.u8(); b != 0x12 {
				r.code("an argument of an instantiation", b)
			}
			arg.Instance = r.u32()
			c.Args = append(c.Args, arg)
		}
		d.checkInstantiate(r, start, &c)
	case 0x01:
		c.Inline = true
		n := r.keepOf(3, MaxItems, costArgument+costNote)
		c.Exports = make([]Export, 0, n)
		for range n {
			c.Exports = append(c.Exports, r.export())
		}
		d.checkCoreExports(r, start, &c)
	default:
		r.code("a core instance", b)
	}
	return c
}

// checkCoreExports checks the exports of an instance that is put together.
func (d *componentDecoder) checkCoreExports(r *reader, start int, c *CoreInstance) {
	if !d.sound(r) {
		return
	}
	seen := make(map[string]struct{}, len(c.Exports))
	for _, ex := range c.Exports {
		if int64(ex.Index) >= int64(len(d.c.in.items[ex.Kind])) {
			d.invalid(r, start, fmt.Errorf("%w %d: %v index out of bounds", unknownCore[ex.Kind], ex.Index, ex.Kind))
			return
		}
		if _, ok := seen[ex.Name]; ok {
			d.invalid(r, start, fmt.Errorf("%w: export name %q already defined", ErrDuplicateExport, short(ex.Name)))
			return
		}
		seen[ex.Name] = struct{}{}
	}
}

var unknownCore = [...]error{
	ExternFunc: ErrUnknownFunc, ExternTable: ErrUnknownTable, ExternMemory: ErrUnknownMemory, ExternGlobal: ErrUnknownGlobal,
	ExternTag: ErrUnknownTag,
}

// checkInstantiate checks that the arguments of an instantiation have what the
// module imports.
func (d *componentDecoder) checkInstantiate(r *reader, start int, c *CoreInstance) {
	if !d.sound(r) {
		return
	}
	def := d.c.entry(SortModule, c.Module)
	if def == nil {
		d.invalid(r, start, fmt.Errorf("%w %d: module index out of bounds", ErrUnknownModule, c.Module))
		return
	}
	args := make(map[string]uint32, len(c.Args))
	for _, a := range c.Args {
		if int64(a.Instance) >= int64(len(d.c.CoreInstances)) {
			d.invalid(r, start, fmt.Errorf("%w %d: core instance index out of bounds", ErrUnknownInstance, a.Instance))
			return
		}
		if _, ok := args[a.Name]; ok {
			d.invalid(r, start, fmt.Errorf("%w: duplicate module instantiation argument named %q", ErrConflict, short(a.Name)))
			return
		}
		args[a.Name] = a.Instance
	}
	space := d.shared.space(def.Module)
	d.shared.step(len(def.Module.Imports))
	for _, im := range def.Module.Imports {
		i, ok := args[im.Module]
		if !ok {
			d.invalid(r, start, fmt.Errorf("%w: missing module instantiation argument named %q", ErrMissing, short(im.Module)))
			return
		}
		have, ok := d.coreExport(i, im.Name)
		if !ok {
			d.invalid(r, start, fmt.Errorf("%w: the argument %q does not export an item named %q", ErrMissing, short(im.Module), short(im.Name)))
			return
		}
		want, ok := def.Module.item(space, im.Kind, im.Index)
		if !ok {
			return // the module itself is invalid, and is said to be
		}
		if err := d.coreMatch(have, want); err != nil {
			d.invalid(r, start, fmt.Errorf("import %q from %q: %w", short(im.Name), short(im.Module), err))
			return
		}
	}
}

// coreExport finds an export of core instance i, which there is.
func (d *componentDecoder) coreExport(i uint32, name string) (coreItem, bool) {
	c := &d.c.CoreInstances[i]
	if !c.Inline {
		def := d.c.entry(SortModule, c.Module)
		if def == nil {
			return coreItem{}, false
		}
		return d.shared.export(def.Module, name)
	}
	k, ok := d.c.in.inlineExport(i, c.Exports, name)
	if !ok {
		return coreItem{}, false
	}
	e := c.Exports[k]
	items := d.c.in.items[e.Kind]
	if int64(e.Index) >= int64(len(items)) {
		return coreItem{}, false
	}
	return items[e.Index], true
}

// aliasCore adds an export of a core instance to the index space of its kind.
func (d *componentDecoder) aliasCore(r *reader, start int, kind ExternKind, instance uint32, name string) {
	r.charge(costCoreItem)
	var item coreItem
	switch {
	case kind > ExternTag:
		d.invalid(r, start, fmt.Errorf("%w: nothing of that sort is exported by core instances", ErrUnknownExport))
		return
	case int64(instance) >= int64(len(d.c.CoreInstances)):
		d.invalid(r, start, fmt.Errorf("%w %d: core instance index out of bounds", ErrUnknownInstance, instance))
	default:
		found, ok := d.coreExport(instance, name)
		switch {
		case !ok:
			d.invalid(r, start, fmt.Errorf("%w: core instance %d has no export named %q", ErrUnknownExport, instance, short(name)))
		case found.kind != kind:
			d.invalid(r, start, fmt.Errorf("%w: export %q of core instance %d is not a %v but a %v",
				ErrType, short(name), instance, kind, found.kind))
		default:
			item = found
		}
	}
	item.kind = kind
	d.c.in.items[kind] = append(d.c.in.items[kind], item)
}

// coreFunc is the type of core function i, nil if it is unknown.
func (d *componentDecoder) coreFunc(i int64) *SubType {
	items := d.c.in.items[ExternFunc]
	if i < 0 || i >= int64(len(items)) {
		return nil
	}
	return items[i].fn
}
