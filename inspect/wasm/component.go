package wasm

import (
	"fmt"
)

// IDs of the sections of a component whose contents are other binaries.
const (
	sectionCoreModule = 1
	sectionComponent  = 4
)

// componentSections names the sections of a component, which stand in any
// order and any number ("Component Definitions" in the component model's
// Binary.md).
var componentSections = [...]string{
	"custom", "core module", "core instance", "core type", "component", "instance", "alias", "type", "canonical function",
	"start", "import", "export", "value",
}

// A Component is what a component declares.
type Component struct {
	Scope

	// Modules are the core modules and Components the components inside it, in
	// the order of the file.
	Modules    []*Binary
	Components []*Binary

	// The index spaces of the core, whole. The names of exports, arguments and
	// aliases lead from the imports of a nested module to what satisfies them:
	// the Args of its CoreInstance name another core instance, whose export is
	// that of a module again or, in an inline one, an entry of CoreFuncs, which
	// a Canon may have lowered from one of Functions, and so on.
	CoreModules   []Origin
	CoreInstances []CoreInstance
	CoreFuncs     []Origin
	CoreTables    []Origin
	CoreMemories  []Origin
	CoreGlobals   []Origin
	CoreTags      []Origin

	// Functions, InstanceDefs and ComponentDefs say of each entry of Funcs,
	// Instances and ComponentTypes where it comes from.
	Functions     []Origin
	InstanceDefs  []Instance
	ComponentDefs []Origin

	Canons []Canon

	// Values counts the values that are defined; Starts is whether there is a
	// start definition.
	Values int
	Starts bool
}

// A Scope is the inside of a component, a component type or an instance type:
// what it imports and exports, and the index spaces they refer to.
type Scope struct {
	Imports []ComponentExtern
	Exports []ComponentExtern

	// Types, Funcs, ComponentTypes and Instances are index spaces; of the last
	// three, by the types of the entries. An entry is nil where its definition
	// lies behind something that is not tracked.
	Types          []*TypeDef
	Funcs          []*TypeDef
	ComponentTypes []*TypeDef
	Instances      []*TypeDef

	outer *Scope
	index map[exportKey]*TypeDef // of Exports, made when first needed
}

// A Sort says what a component imports, exports or aliases; the values are
// those of the format.
type Sort byte

// The sorts of a component. SortModule is the core sort that may be imported
// and exported; it is written with a prefix in the file.
const (
	SortCore      Sort = 0x00
	SortFunc      Sort = 0x01
	SortValue     Sort = 0x02
	SortType      Sort = 0x03
	SortComponent Sort = 0x04
	SortInstance  Sort = 0x05
	SortModule    Sort = 0x11
)

func (s Sort) String() string {
	switch s {
	case SortFunc:
		return "func"
	case SortValue:
		return "value"
	case SortType:
		return "type"
	case SortComponent:
		return "component"
	case SortInstance:
		return "instance"
	case SortModule:
		return "core module"
	default:
		return "core"
	}
}

// An ComponentExtern is an import or export of a component.
type ComponentExtern struct {
	Name string
	Sort Sort

	// Implements names the interface that an instance of another name has, and
	// ExternalID is what the name means outside ("name attributes" of
	// Binary.md). VersionSuffix completes a version cut down to its
	// compatible part.
	Implements    string
	VersionSuffix string
	ExternalID    string

	// Type is the type of it, nil if it is not known.
	Type *TypeDef
}

// A TypeDef is an entry of a component's type index space.
type TypeDef struct {
	Op byte // one of the Type codes

	// Labels are the names of parameters, fields, cases or flags; Args the
	// types that belong to them, or the arguments of list, option and so on.
	Labels []string
	Args   []TypeRef
	Result TypeRef // of a function
	Len    uint32  // of a list of fixed length

	Scope *Scope // of component and instance types

	// Of is the type that this entry is another name for, if an import or export
	// with the bound "eq" or an alias made it. The rest is a copy of it.
	Of *TypeDef

	// With are the arguments of the instantiation that made this instance. Its
	// Scope is the component's, so that what the scope's imports stand for is
	// found here by name. In is the instance that an entry was aliased out of,
	// if that has such arguments, which hold for the entry as well.
	With []ComponentExtern
	In   *TypeDef
}

// named gives a new entry of an index space that is equal to t, which may be
// nil: two entries with names of their own remain apart.
func (t *TypeDef) named() *TypeDef {
	if t == nil {
		return nil
	}
	n := *t
	n.Of, n.In = t, nil
	return &n
}

// seen is the entry that an alias gives of t, an export of the instance.
func (t *TypeDef) seen(instance *TypeDef) *TypeDef {
	if t == nil || instance.With == nil && instance.In == nil {
		return t
	}
	n := t.named()
	n.In = instance
	return n
}

// Codes of component types, as in the format. A TypeDef of a primitive type has
// the code of the primitive.
const (
	TypeResource   = 0x3f
	TypeFunc       = 0x40
	TypeComponent  = 0x41
	TypeInstance   = 0x42
	TypeAsyncFunc  = 0x43
	TypeMap        = 0x63
	TypeFuture     = 0x65
	TypeStream     = 0x66
	TypeFixedList  = 0x67
	TypeBorrow     = 0x68
	TypeOwn        = 0x69
	TypeResult     = 0x6a
	TypeOption     = 0x6b
	TypeEnum       = 0x6d
	TypeFlags      = 0x6e
	TypeTuple      = 0x6f
	TypeList       = 0x70
	TypeVariant    = 0x71
	TypeRecord     = 0x72
	primErrContext = 0x64
	primString     = 0x73
	primBool       = 0x7f
)

// A TypeRef refers to a type: a primitive by its code, or another entry of the
// index space the referring type lies in. The zero value is no type, as of a
// function without result.
type TypeRef struct {
	Prim byte
	Def  *TypeDef // nil for a primitive, and for a type that is not known
	Set  bool     // whether there is a type
}

// A componentDecoder fills a Component.
type componentDecoder struct {
	*decoder
	c     *Component
	depth int // of the component in the file
	types int // depth of component and instance types
}

func (d *componentDecoder) finish() error { return nil }

func (d *componentDecoder) section(s Section) error {
	if int(s.ID) >= len(componentSections) {
		return &Error{Offset: s.Offset, Doing: "section header", Err: fmt.Errorf("%w %d for a section", ErrCode, s.ID)}
	}
	doing := SectionName(KindComponent, s.ID) + " section"
	if s.ID == sectionCoreModule || s.ID == sectionComponent {
		return d.nested(doing, s)
	}
	r, err := d.body(doing, s, MaxSectionBytes)
	if err != nil {
		return err
	}
	d.decode(r, s.ID)
	r.end()
	return r.err
}

func (d *componentDecoder) nested(doing string, s Section) error {
	if d.depth >= MaxNesting {
		return &Error{Offset: s.Offset, Doing: doing, Err: fmt.Errorf("%w: nested deeper than %d", ErrLimit, MaxNesting)}
	}
	head, err := d.at(s.Body, s.End(), 8)
	if err != nil {
		return err
	}
	want := KindModule
	if s.ID == sectionComponent {
		want = KindComponent
	}
	if kind, err := Header(head); err == nil && kind != want {
		return &Error{Offset: s.Body, Doing: doing, Err: fmt.Errorf("%w: a %v where a %v belongs", ErrVersion, kind, want)}
	}
	b, err := d.nestedBinary(s)
	if err != nil {
		return err
	}
	if want == KindModule {
		d.c.from(SortModule, 0, Origin{Kind: OriginNested, Index: uint32(len(d.c.Modules))})
		d.c.Modules = append(d.c.Modules, b)
	} else {
		d.c.from(SortComponent, 0, Origin{Kind: OriginNested, Index: uint32(len(d.c.Components))})
		d.c.Components = append(d.c.Components, b)
		d.c.define(SortComponent, &TypeDef{Op: TypeComponent, Scope: &b.Component.Scope})
	}
	return nil
}

func (d *componentDecoder) nestedBinary(s Section) (*Binary, error) {
	if s.Size == 0 {
		return nil, &Error{Offset: s.Body, Doing: "header", Err: ErrTruncated}
	}
	return d.binary(s.Body, s.End(), d.depth+1, &d.c.Scope)
}

func (d *componentDecoder) decode(r *reader, id byte) {
	c := d.c
	switch id {
	case 2:
		r.each(r.keep(2, MaxItems), func(int) { c.CoreInstances = append(c.CoreInstances, d.coreInstance(r)) })
	case 3:
		r.each(r.keep(2, MaxTypes), func(int) { r.coreType() })
	case 5:
		r.each(r.keep(2, MaxItems), func(int) {
			def, t := d.instance(r)
			c.Instances, c.InstanceDefs = append(c.Instances, t), append(c.InstanceDefs, def)
		})
	case 6:
		r.each(r.keep(4, MaxItems), func(int) { d.alias(r, &c.Scope, c) })
	case 7:
		r.each(r.keep(1, MaxTypes), func(int) { c.Types = append(c.Types, d.typeDef(r, &c.Scope)) })
	case 8:
		r.each(r.keep(1, MaxItems), func(int) { d.canon(r) })
	case 9:
		d.start(r)
	case 10:
		r.each(r.keep(4, MaxImports), func(int) {
			c.from(d.importDecl(r, &c.Scope), 0, Origin{Kind: OriginImport, Index: uint32(len(c.Imports) - 1)})
		})
	case 11:
		r.each(r.keep(5, MaxExports), func(int) { d.export(r) })
	case 12:
		r.each(r.count(2, MaxItems), func(int) { d.valType(r, &c.Scope); r.bytes(int(r.u32())); c.Values++ })
	}
}

func (d *componentDecoder) start(r *reader) {
	r.u32()
	for range r.count(1, MaxParams) {
		r.u32()
	}
	r.u32()
	d.c.Starts = true
}

// from adds the origin of a definition to the index space of its sort; core
// tells the core sorts apart.
func (c *Component) from(sort Sort, core byte, o Origin) {
	switch sort {
	case SortFunc:
		c.Functions = append(c.Functions, o)
	case SortComponent:
		c.ComponentDefs = append(c.ComponentDefs, o)
	case SortInstance:
		c.InstanceDefs = append(c.InstanceDefs, Instance{Origin: o})
	case SortModule:
		c.CoreModules = append(c.CoreModules, o)
	case SortCore:
		if space := c.coreSpace(core); space != nil {
			*space = append(*space, o)
		}
	case SortType, SortValue: // have no origins
	}
}

// coreSpace is the index space of a core sort, nil if that has no origins.
func (c *Component) coreSpace(core byte) *[]Origin {
	switch core {
	case byte(ExternFunc):
		return &c.CoreFuncs
	case byte(ExternTable):
		return &c.CoreTables
	case byte(ExternMemory):
		return &c.CoreMemories
	case byte(ExternGlobal):
		return &c.CoreGlobals
	case byte(ExternTag):
		return &c.CoreTags
	case byte(SortModule):
		return &c.CoreModules
	}
	return nil
}

// coreInstance reads an instantiation of a module, or exports put together.
func (d *componentDecoder) coreInstance(r *reader) (c CoreInstance) {
	switch b := r.u8(); b {
	case 0x00:
		c.Module = r.u32()
		for range r.keep(3, MaxItems) {
			arg := CoreArgument{Name: r.name()}
			if b := r.u8(); b != 0x12 {
				r.code("an argument of an instantiation", b)
			}
			arg.Instance = r.u32()
			c.Args = append(c.Args, arg)
		}
	case 0x01:
		c.Inline = true
		for range r.keep(3, MaxItems) {
			c.Exports = append(c.Exports, r.export())
		}
	default:
		r.code("a core instance", b)
	}
	return c
}

func (r *reader) coreSort() byte {
	b := r.u8()
	if b > 0x04 && (b < 0x10 || b > 0x12) {
		r.code("a core sort", b)
	}
	return b
}

// sort reads a sort; the core ones are told apart by the second result.
func (r *reader) sort() (Sort, byte) {
	s := Sort(r.u8())
	if s > SortInstance {
		r.code("a sort", byte(s))
	}
	if s == SortCore {
		return s, r.coreSort()
	}
	return s, 0
}

// instance reads an instance: that of a component, whose exports are the
// component's, or exports put together.
func (d *componentDecoder) instance(r *reader) (Instance, *TypeDef) {
	s := &d.c.Scope
	t := &TypeDef{Op: TypeInstance}
	def := Instance{Origin: Origin{Kind: OriginInstance}}
	switch b := r.u8(); b {
	case 0x00:
		def.Component = r.u32()
		if c := s.entry(SortComponent, def.Component); c != nil {
			t.Scope = c.Scope
		}
		for range r.keep(3, MaxItems) {
			arg := r.argument(r.name())
			def.Args = append(def.Args, arg)
			t.With = append(t.With, ComponentExtern{Name: arg.Name, Sort: arg.Sort, Type: s.entry(arg.Sort, arg.Index)})
		}
	case 0x01:
		def.Inline = true
		t.Scope = &Scope{}
		for range r.keep(4, MaxExports) {
			e := r.externName()
			arg := r.argument(e.Name)
			e.Sort, e.Type = arg.Sort, s.entry(arg.Sort, arg.Index)
			def.Exports = append(def.Exports, arg)
			t.Scope.Exports = append(t.Scope.Exports, e)
		}
	default:
		r.code("an instance", b)
	}
	return def, t
}

// argument reads the sort and index of what has a name.
func (r *reader) argument(name string) Argument {
	sort, core := r.sort()
	if sort == SortCore {
		if core != byte(SortModule) {
			r.code("the sort of an argument or export", core)
		}
		sort = SortModule
	}
	return Argument{Name: name, Sort: sort, Index: r.u32()}
}

// alias reads an alias and adds what it names to the index spaces of s, and of
// c, which is nil inside a type.
func (d *componentDecoder) alias(r *reader, s *Scope, c *Component) {
	sort, core := r.sort()
	var def *TypeDef
	var o Origin
	switch b := r.u8(); b {
	case 0x00:
		o = Origin{Kind: OriginAlias, Index: r.u32(), Name: r.name()}
		def = s.entry(SortInstance, o.Index).export(sort, o.Name)
	case 0x01:
		o = Origin{Kind: OriginAlias, Index: r.u32(), Name: r.name()}
	case 0x02:
		if sort != SortType && sort != SortComponent && (sort != SortCore || core != 0x10 && core != 0x11) {
			r.code("the sort of an outer alias", byte(sort))
		}
		o = Origin{Kind: OriginOuter, Depth: r.u32(), Index: r.u32()}
		def = s.outward(o.Depth).entry(sort, o.Index)
	default:
		r.code("the target of an alias", b)
	}
	s.define(sort, def)
	if c != nil {
		c.from(sort, core, o)
	}
}

// export finds the type of an export of an instance; t may be nil.
func (t *TypeDef) export(sort Sort, name string) *TypeDef {
	if t == nil || t.Scope == nil {
		return nil
	}
	return t.Scope.exported(sort, name).seen(t)
}

// exported finds the type of an export of a complete scope by an index: a file
// may hold as many aliases as exports.
func (s *Scope) exported(sort Sort, name string) *TypeDef {
	if s.index == nil {
		s.index = make(map[exportKey]*TypeDef, len(s.Exports))
		for _, e := range s.Exports {
			s.index[exportKey{e.Sort, e.Name}] = e.Type
		}
	}
	return s.index[exportKey{sort, name}]
}

type exportKey struct {
	sort Sort
	name string
}

// outward is the scope n levels out, nil beyond the outermost one.
func (s *Scope) outward(n uint32) *Scope {
	for ; n > 0 && s != nil; n-- {
		s = s.outer
	}
	return s
}

func (s *Scope) typeAt(i uint32) *TypeDef { return s.entry(SortType, i) }

// define adds a definition to the index space of its sort, if that is tracked.
func (s *Scope) define(sort Sort, def *TypeDef) {
	switch sort {
	case SortType:
		s.Types = append(s.Types, def)
	case SortFunc:
		s.Funcs = append(s.Funcs, def)
	case SortComponent:
		s.ComponentTypes = append(s.ComponentTypes, def)
	case SortInstance:
		s.Instances = append(s.Instances, def)
	default: // what this form does not follow
	}
}

// at gives entry i of an index space, nil if there is none.
func at(space []*TypeDef, i uint32) *TypeDef {
	if int64(i) >= int64(len(space)) {
		return nil
	}
	return space[i]
}

// entry gives entry i of the index space of a sort.
func (s *Scope) entry(sort Sort, i uint32) *TypeDef {
	if s == nil {
		return nil
	}
	switch sort {
	case SortType:
		return at(s.Types, i)
	case SortFunc:
		return at(s.Funcs, i)
	case SortComponent:
		return at(s.ComponentTypes, i)
	case SortInstance:
		return at(s.Instances, i)
	default:
		return nil
	}
}

// externName reads an import or export name with its attributes.
func (r *reader) externName() ComponentExtern {
	form := r.u8()
	e := ComponentExtern{Name: r.name()}
	switch form {
	case 0x00, 0x01:
	case 0x02:
		for range r.count(2, 3) {
			switch b := r.u8(); b {
			case 0x00:
				e.Implements = r.name()
			case 0x01:
				e.VersionSuffix = r.name()
			case 0x02:
				e.ExternalID = r.name()
			default:
				r.code("a name attribute", b)
			}
		}
	default:
		r.fail(r.off, fmt.Errorf("%w 0x%02x for a name", ErrCode, form))
	}
	return e
}

func (d *componentDecoder) importDecl(r *reader, s *Scope) Sort {
	e := r.externName()
	d.externDesc(r, s, &e)
	s.Imports = append(s.Imports, e)
	s.define(e.Sort, e.Type)
	return e.Sort
}

func (d *componentDecoder) exportDecl(r *reader, s *Scope) {
	e := r.externName()
	d.externDesc(r, s, &e)
	s.Exports = append(s.Exports, e)
	s.define(e.Sort, e.Type)
}

func (d *componentDecoder) externDesc(r *reader, s *Scope, e *ComponentExtern) {
	e.Sort = Sort(r.u8())
	switch e.Sort {
	case SortCore:
		if b := r.u8(); b != byte(SortModule) {
			r.code("a core import or export", b)
		}
		e.Sort = SortModule
		r.u32()
	case SortFunc, SortComponent, SortInstance:
		e.Type = s.typeAt(r.u32())
	case SortValue:
		if r.flag("the bound of a value") {
			d.valType(r, s)
		} else {
			r.u32()
		}
	case SortType:
		if r.flag("the bound of a type") {
			e.Type = &TypeDef{Op: TypeResource}
		} else {
			e.Type = s.typeAt(r.u32()).named()
		}
	default:
		r.code("an import or export", byte(e.Sort))
	}
}

// export reads an entry of the export section.
func (d *componentDecoder) export(r *reader) {
	s := &d.c.Scope
	e := r.externName()
	sort, core := r.sort()
	i := r.u32()
	e.Sort = sort
	e.Type = s.entry(sort, i)
	if sort == SortType {
		e.Type = e.Type.named()
	}
	if sort == SortCore {
		if core != byte(SortModule) {
			r.code("the sort of an export", core)
		}
		e.Sort = SortModule
	}
	if r.flag("the type of an export") {
		typed := ComponentExtern{}
		d.externDesc(r, s, &typed)
		if typed.Type != nil {
			e.Type = typed.Type
		}
	}
	s.Exports = append(s.Exports, e)
	s.define(e.Sort, e.Type)
	d.c.from(e.Sort, 0, Origin{Kind: OriginExport, Index: i})
}

// typeDef reads a component type in scope s.
func (d *componentDecoder) typeDef(r *reader, s *Scope) *TypeDef {
	t := &TypeDef{Op: r.u8()}
	switch t.Op {
	case TypeResource:
		r.valType(false)
		if r.flag("the destructor of a resource") {
			r.u32()
		}
	case TypeFunc, TypeAsyncFunc:
		d.labelled(r, s, t, MaxParams)
		d.result(r, s, t)
	case TypeComponent, TypeInstance:
		d.scoped(r, s, t)
	case TypeRecord:
		d.labelled(r, s, t, MaxItems)
	case TypeVariant:
		for range r.keep(3, MaxItems) {
			t.Labels = append(t.Labels, r.name())
			t.Args = append(t.Args, d.optional(r, s))
			if b := r.u8(); b != 0 {
				r.code("the end of a case", b)
			}
		}
	case TypeFlags, TypeEnum:
		for range r.keep(1, MaxItems) {
			t.Labels = append(t.Labels, r.name())
		}
	case TypeTuple:
		for range r.keep(1, MaxItems) {
			t.Args = append(t.Args, d.valType(r, s))
		}
	case TypeList, TypeOption:
		t.Args = []TypeRef{d.valType(r, s)}
	case TypeFixedList:
		t.Args = []TypeRef{d.valType(r, s)}
		t.Len = r.u32()
	case TypeMap:
		t.Args = []TypeRef{d.valType(r, s), d.valType(r, s)}
	case TypeResult:
		t.Args = []TypeRef{d.optional(r, s), d.optional(r, s)}
	case TypeStream, TypeFuture:
		t.Args = []TypeRef{d.optional(r, s)}
	case TypeOwn, TypeBorrow:
		t.Args = []TypeRef{{Def: s.typeAt(r.u32()), Set: true}}
	default:
		if !primitive(t.Op) {
			r.code("a component type", t.Op)
		}
	}
	return t
}

func primitive(b byte) bool { return b >= primString && b <= primBool || b == primErrContext }

func (d *componentDecoder) labelled(r *reader, s *Scope, t *TypeDef, maximum int) {
	for range r.keep(2, maximum) {
		t.Labels = append(t.Labels, r.name())
		t.Args = append(t.Args, d.valType(r, s))
	}
}

// result reads the result of a function: one type, or none, which is written
// as an empty list. Binaries of before 2025 may name results in that list.
func (d *componentDecoder) result(r *reader, s *Scope, t *TypeDef) {
	if !r.flag("the result of a function") {
		t.Result = d.valType(r, s)
		return
	}
	for range r.keep(2, MaxResults) {
		r.name()
		t.Result = d.valType(r, s)
	}
}

func (d *componentDecoder) optional(r *reader, s *Scope) TypeRef {
	if !r.flag("an optional type") {
		return TypeRef{}
	}
	return d.valType(r, s)
}

func (d *componentDecoder) valType(r *reader, s *Scope) TypeRef {
	if b := r.peek(); primitive(b) {
		r.u8()
		return TypeRef{Prim: b, Set: true}
	}
	start := r.off
	i := r.sleb(33)
	if i < 0 {
		r.fail(start, fmt.Errorf("%w for a value type", ErrCode))
	}
	return TypeRef{Def: s.typeAt(uint32(i)), Set: true}
}

// scoped reads the declarations of a component or instance type.
func (d *componentDecoder) scoped(r *reader, outer *Scope, t *TypeDef) {
	if d.types >= MaxTypeNesting {
		r.fail(r.off, fmt.Errorf("%w: types nested deeper than %d", ErrLimit, MaxTypeNesting))
		return
	}
	d.types++
	defer func() { d.types-- }()
	t.Scope = &Scope{outer: outer}
	for range r.keep(2, MaxItems) {
		switch b := r.u8(); {
		case b == 0x00:
			r.coreType()
		case b == 0x01:
			t.Scope.Types = append(t.Scope.Types, d.typeDef(r, t.Scope))
		case b == 0x02:
			d.alias(r, t.Scope, nil)
		case b == 0x03 && t.Op == TypeComponent:
			d.importDecl(r, t.Scope)
		case b == 0x04:
			d.exportDecl(r, t.Scope)
		default:
			r.code("a declaration of a component or instance type", b)
		}
		if r.err != nil {
			return
		}
	}
}

// coreType steps over a core type of a component: a recursive group, or the
// type of a module. A subtype that is not final, whose code is that of a module
// type, is written with 0x00 before it.
func (r *reader) coreType() {
	switch r.peek() {
	case 0x00:
		r.u8()
		if b := r.peek(); b != 0x50 {
			r.fail(r.off, fmt.Errorf("%w 0x%02x for a subtype", ErrCode, b))
		}
		r.recType(nil)
	case 0x50:
		r.u8()
		for range r.count(2, MaxItems) {
			r.moduleDecl()
			if r.err != nil {
				return
			}
		}
	default:
		r.recType(nil)
	}
}

func (r *reader) moduleDecl() {
	switch b := r.u8(); b {
	case 0x00:
		r.name()
		r.name()
		r.extern()
	case 0x01:
		r.recType(nil)
	case 0x02:
		if b := r.u8(); b != 0x10 {
			r.code("the sort of an alias", b)
		}
		if b := r.u8(); b != 0x01 {
			r.code("the target of an alias", b)
		}
		r.u32()
		r.u32()
	case 0x03:
		r.name()
		r.extern()
	default:
		r.code("a declaration of a module type", b)
	}
}

// canon reads a canonical definition ("Canonical Definitions" in Binary.md). All
// but lift define core functions.
func (d *componentDecoder) canon(r *reader) {
	c := Canon{Op: CanonOp(r.u8())}
	d.canonBody(r, &c)
	o := Origin{Kind: OriginCanon, Index: uint32(len(d.c.Canons))}
	d.c.Canons = append(d.c.Canons, c)
	if c.Op == CanonLift {
		d.c.define(SortFunc, c.Type)
		d.c.from(SortFunc, 0, o)
		return
	}
	d.c.from(SortCore, byte(ExternFunc), o)
}

func (d *componentDecoder) canonBody(r *reader, c *Canon) {
	switch c.Op {
	case CanonLift, CanonLower:
		if s := r.u8(); s != 0 {
			r.code("a canonical function", s)
		}
		c.Index = r.u32()
		c.Options = r.canonOptions()
		if c.Op == CanonLift {
			c.Type = d.c.typeAt(r.u32())
		} else {
			c.Type = d.c.entry(SortFunc, c.Index)
		}
	case CanonTaskCancel, CanonSubtaskDrop, CanonErrorContextDrop, CanonWaitableSetNew, CanonWaitableSetDrop,
		CanonWaitableJoin, CanonBackpressureInc, CanonBackpressureDec, CanonThreadIndex, CanonThreadResumeLater:
	case CanonSubtaskCancel:
		c.Async = r.flag("whether a function is async")
	case CanonThreadYield, CanonThreadSuspend, CanonThreadSuspendResume, CanonThreadYieldResume,
		CanonThreadSuspendPromote, CanonThreadYieldPromote:
		c.Cancellable = r.flag("whether a function is cancellable")
	case CanonTaskReturn:
		if !r.flag("a result") {
			c.Result = d.valType(r, &d.c.Scope)
		} else if n := r.u32(); n != 0 {
			r.fail(r.off-1, ErrCode)
		}
		c.Options = r.canonOptions()
	case CanonContextGet, CanonContextSet:
		r.valType(false)
		c.Index = r.u32()
	case CanonErrorContextNew, CanonErrorContextMessage:
		c.Options = r.canonOptions()
	case CanonWaitableSetWait, CanonWaitableSetPoll:
		c.Cancellable = r.flag("whether a function is cancellable")
		c.Index = r.u32()
	case CanonThreadNewIndirect:
		c.Index, c.Table = r.u32(), r.u32()
	case CanonThreadSpawnRef:
		c.Index = r.u32()
	case CanonThreadSpawnIndirect:
		c.Index, c.Table = r.u32(), r.u32()
	case CanonAvailableParallelism:
	default:
		d.canonTyped(r, c)
	}
}

// canonTyped reads what has the index of a resource, stream or future type.
func (d *componentDecoder) canonTyped(r *reader, c *Canon) {
	if canonNames[min(c.Op, maxCanonOp)] == "" || c.Op > maxCanonOp {
		r.code("a canonical function", byte(c.Op))
		return
	}
	c.Index = r.u32()
	c.Type = d.c.typeAt(c.Index)
	switch c.Op {
	case CanonStreamRead, CanonStreamWrite, CanonFutureRead, CanonFutureWrite:
		c.Options = r.canonOptions()
	case CanonStreamCancelRead, CanonStreamCancelWrite, CanonFutureCancelRead, CanonFutureCancelWrite:
		c.Async = r.flag("whether a function is async")
	}
}

func (r *reader) canonOptions() *CanonOptions {
	n := r.count(1, maxCanonOptions)
	if n == 0 {
		return nil
	}
	o := &CanonOptions{Memory: -1, Realloc: -1, PostReturn: -1, Callback: -1, CoreType: -1}
	for range n {
		switch b := r.u8(); b {
		case 0x00, 0x01, 0x02:
			o.Encoding = StringEncoding(b + 1)
		case 0x03:
			o.Memory = int64(r.u32())
		case 0x04:
			o.Realloc = int64(r.u32())
		case 0x05:
			o.PostReturn = int64(r.u32())
		case 0x06:
			o.Async = true
		case 0x07:
			o.Callback = int64(r.u32())
		case 0x08:
			o.CoreType = int64(r.u32())
		case 0x09:
			o.GC = true
		default:
			r.code("an option of a canonical function", b)
		}
	}
	return o
}

// maxCanonOptions bounds the options of a canonical definition: there are ten,
// none of which may be repeated.
const maxCanonOptions = 10
