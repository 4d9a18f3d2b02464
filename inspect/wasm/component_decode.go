package wasm

import (
	"fmt"
	"slices"
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

// A componentDecoder fills a Component. What it reads it checks at once, as far
// as the rules of validation go: a definition only ever refers to earlier ones.
// A violation does not end the reading; the first one is kept for [Validate].
type componentDecoder struct {
	*decoder
	c      *Component
	shared *componentShare
	depth  int   // of the component in the file
	types  int   // depth of component and instance types
	end    int64 // of what was read last, an offset in the file
}

// component makes the decoder of a component in a scope, nil for the outermost.
func (d *decoder) component(depth int, outer *Scope) *componentDecoder {
	if d.share == nil {
		d.share = newComponentShare(d.size, d.budget)
	}
	c := &Component{Scope: Scope{outer: outer, in: new(enclosure)}, verdict: &d.share.verdict}
	d.share.verdict.features |= FeatureComponentModel
	return &componentDecoder{decoder: d, c: c, shared: d.share, depth: depth}
}

// finish checks what can be said only at the end of a component.
func (d *componentDecoder) finish() error {
	r := &reader{base: d.end, doing: "end of a component", entry: -1, budget: d.budget}
	d.checkLocals(r, 0, &d.c.Scope)
	d.checkCoreTypes(r, 0, &d.c.in.core)
	for i, used := range d.c.in.values {
		if !used {
			d.invalid(r, 0, fmt.Errorf("%w: value %d is neither passed to anything nor exported", ErrUsed, i))
		}
	}
	d.c.seal()
	d.c.in = nil
	d.settle(r)
	return r.err
}

func (d *componentDecoder) section(s Section) error {
	d.end = s.End()
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

// nested reads a module or component inside the component.
func (d *componentDecoder) nested(doing string, s Section) error {
	if d.depth >= MaxNesting {
		return &Error{Offset: s.Offset, Doing: doing, Err: fmt.Errorf("%w: nested deeper than %d", ErrLimit, MaxNesting)}
	}
	if s.Size == 0 {
		return &Error{Offset: s.Body, Doing: "header", Err: ErrTruncated}
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
	r := &reader{base: s.Body, doing: doing, entry: -1, budget: d.budget}
	if r.charge(costNested); r.err != nil {
		return r.err
	}
	b, err := d.binary(s.Body, s.End(), d.depth+1, &d.c.Scope)
	if err != nil {
		return err
	}
	if want == KindModule {
		d.addModule(r, b)
	} else {
		d.addComponent(r, b)
	}
	d.settle(r)
	return r.err
}

func (d *componentDecoder) addModule(r *reader, b *Binary) {
	def := &TypeDef{Op: TypeModule, Module: b.Module, size: 1}
	d.add(SortModule, 0, def, Origin{Kind: OriginNested, Index: uint32(len(d.c.Modules))})
	d.c.Modules = append(d.c.Modules, b)
	d.checkImportNames(r, 0, b.Module)
}

func (d *componentDecoder) addComponent(r *reader, b *Binary) {
	def := &TypeDef{Op: TypeComponent, Scope: &b.Component.Scope}
	d.measure(r, 0, def)
	d.add(SortComponent, 0, def, Origin{Kind: OriginNested, Index: uint32(len(d.c.Components))})
	d.c.Components = append(d.c.Components, b)
}

// add adds a definition to the index space of its sort, where it has the origin
// o; core tells the core sorts apart.
func (d *componentDecoder) add(sort Sort, core byte, def *TypeDef, o Origin) {
	c := d.c
	c.define(sort, def)
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

// coreSpace is the index space of origins of a core sort, nil if it has none.
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
	}
	return nil
}

func (d *componentDecoder) decode(r *reader, id byte) {
	each := func(n int, f func()) {
		r.each(n, func(int) {
			f()
			d.settle(r)
		})
	}
	c := d.c
	switch id {
	case 2:
		n := r.keepOf(2, MaxItems, costCoreInstance)
		c.CoreInstances = slices.Grow(c.CoreInstances, n)
		each(n, func() { c.CoreInstances = append(c.CoreInstances, d.coreInstance(r)) })
	case 3:
		each(r.keepOf(2, MaxTypes, costCoreType), func() { d.coreTypeDef(r, &c.Scope) })
	case 5:
		n := r.keepOf(2, MaxItems, costInstance)
		c.Instances, c.InstanceDefs = slices.Grow(c.Instances, n), slices.Grow(c.InstanceDefs, n)
		each(n, func() { d.instance(r) })
	case 6:
		each(r.keepOf(4, MaxItems, costOrigin), func() { d.alias(r, &c.Scope) })
	case 7:
		n := r.keepOf(1, MaxTypes, costTypeDef)
		c.Types = slices.Grow(c.Types, n)
		each(n, func() { c.Types = append(c.Types, d.typeDef(r, &c.Scope)) })
	case 8:
		n := r.keepOf(1, MaxItems, costCanon)
		c.Canons = slices.Grow(c.Canons, n)
		each(n, func() { d.canon(r) })
	case 9:
		d.start(r)
	case 10:
		n := r.keepOf(4, MaxImports, costExtern+costOrigin+costNamed)
		c.Imports = slices.Grow(c.Imports, n)
		each(n, func() { d.importDecl(r, &c.Scope) })
	case 11:
		n := r.keepOf(5, MaxExports, costExtern+costOrigin+costNamed)
		c.Exports = slices.Grow(c.Exports, n)
		each(n, func() { d.export(r) })
	case 12:
		each(r.keepOf(2, MaxItems, costOrigin), func() { d.value(r) })
	}
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

// itemSort reads the sort of what may be imported and exported.
func (r *reader) itemSort() Sort {
	sort, core := r.sort()
	if sort != SortCore {
		return sort
	}
	if core != byte(SortModule) {
		r.code("the sort of an argument, import or export", core)
	}
	return SortModule
}

// instance reads an instance: that of a component, whose exports are the
// component's, or exports put together.
func (d *componentDecoder) instance(r *reader) {
	start := r.off
	def := Instance{Origin: Origin{Kind: OriginInstance}}
	var t *TypeDef
	switch b := r.u8(); b {
	case 0x00:
		def.Component = r.u32()
		n := r.keepOf(3, MaxItems, costArgument)
		def.Args = make([]Argument, 0, n)
		for range n {
			def.Args = append(def.Args, Argument{Name: r.name(), Sort: r.itemSort(), Index: r.u32()})
		}
		if r.err != nil {
			return
		}
		if c := d.lookup(r, start, &d.c.Scope, SortComponent, def.Component); c != nil && c.Scope != nil {
			t = d.instantiate(r, start, c, def.Args)
		}
	case 0x01:
		def.Inline = true
		t = d.inlineInstance(r, &def)
	default:
		r.code("an instance", b)
	}
	d.c.define(SortInstance, t)
	d.c.InstanceDefs = append(d.c.InstanceDefs, def)
}

// inlineInstance reads the exports of an instance that is put together.
func (d *componentDecoder) inlineInstance(r *reader, def *Instance) *TypeDef {
	at, s := r.off, &d.c.Scope
	r.charge(costTypeDef + costScope)
	t := &TypeDef{Op: TypeInstance, Scope: &Scope{}}
	n := r.keepOf(4, MaxExports, costExtern+costArgument)
	def.Exports = make([]Argument, 0, n)
	t.Scope.Exports = make([]ComponentExtern, 0, n)
	var names externNames
	for range n {
		start := r.off
		e := d.externName(r)
		e.Sort = r.itemSort()
		i := r.u32()
		if r.err != nil {
			return t
		}
		e.Type = d.lookup(r, start, s, e.Sort, i)
		if e.Sort == SortValue {
			d.takeValue(r, start, s, i)
		}
		if d.sound(r) {
			d.check(r, start, d.checkName(&names, &e, true))
		}
		def.Exports = append(def.Exports, Argument{Name: e.Name, Sort: e.Sort, Index: i})
		t.Scope.Exports = append(t.Scope.Exports, e)
	}
	t.Scope.seal()
	d.measure(r, at, t)
	return t
}

// alias reads an alias and adds what it names to the index spaces of s.
func (d *componentDecoder) alias(r *reader, s *Scope) {
	start := r.off
	sort, core := r.sort()
	switch b := r.u8(); b {
	case 0x00:
		if sort == SortCore && core != byte(SortModule) {
			r.code("the sort of an alias", core)
		} else if sort == SortCore {
			sort = SortModule
		}
		d.aliasExport(r, start, s, sort)
	case 0x01:
		if sort != SortCore || core > byte(ExternTag) {
			r.code("the sort of an alias of a core export", byte(sort))
		}
		o := Origin{Kind: OriginAlias, Index: r.u32(), Name: r.name()}
		if s.in.kind != concrete {
			d.invalid(r, start, fmt.Errorf("%w: aliases in a type may only refer to types or instances", ErrOuter))
		} else if r.err == nil {
			d.aliasCore(r, start, ExternKind(core), o.Index, o.Name)
			d.add(SortCore, core, nil, o)
		}
	case 0x02:
		d.aliasOuter(r, start, s, sort, core)
	default:
		r.code("the target of an alias", b)
	}
}

// aliasExport reads the alias of an export of an instance.
func (d *componentDecoder) aliasExport(r *reader, start int, s *Scope, sort Sort) {
	o := Origin{Kind: OriginAlias, Index: r.u32(), Name: r.name()}
	if r.err != nil {
		return
	}
	if s.in.kind != concrete && sort != SortType && sort != SortInstance {
		d.invalid(r, start, fmt.Errorf("%w: aliases in a type may only refer to types or instances", ErrOuter))
	}
	var def *TypeDef
	if t := d.lookup(r, start, s, SortInstance, o.Index); t != nil {
		e, ok := d.findExport(r, t.Scope, o.Name)
		switch {
		case !ok:
			d.invalid(r, start, fmt.Errorf("%w: instance %d has no export named %q", ErrUnknownExport, o.Index, short(o.Name)))
		case e.Sort != sort:
			d.invalid(r, start, fmt.Errorf("%w: export %q of instance %d is not a %v but a %v", ErrType, short(o.Name), o.Index, sort, e.Sort))
		default:
			def = e.Type
		}
	}
	d.addTo(s, sort, def, o)
	if sort == SortValue {
		s.in.values = append(s.in.values, false)
	}
}

// findExport finds an export, at the cost of an index when there are many.
func (d *componentDecoder) findExport(r *reader, s *Scope, name string) (*ComponentExtern, bool) {
	if s != nil && s.names != nil && s.names.at == nil {
		r.charge(len(s.Exports) * costIndexed)
	}
	if r.err != nil {
		return nil, false
	}
	return s.Export(name)
}

// addTo is add for a scope that need not be that of a component.
func (d *componentDecoder) addTo(s *Scope, sort Sort, def *TypeDef, o Origin) {
	if s == &d.c.Scope {
		d.add(sort, 0, def, o)
		return
	}
	s.define(sort, def)
}

// aliasOuter reads the alias of an entry of a scope further out.
func (d *componentDecoder) aliasOuter(r *reader, start int, s *Scope, sort Sort, core byte) {
	switch {
	case sort == SortType, sort == SortComponent, sort == SortCore && core == coreSortType:
	case sort == SortCore && core == byte(SortModule):
		sort = SortModule
	default:
		r.code("the sort of an outer alias", byte(sort))
	}
	o := Origin{Kind: OriginOuter, Depth: r.u32(), Index: r.u32()}
	if r.err != nil {
		return
	}
	if s.in.kind != concrete && sort != SortType && sort != SortCore {
		d.invalid(r, start, fmt.Errorf("%w: aliases in a type may only refer to types or instances", ErrOuter))
	}
	outer := s.outward(o.Depth)
	if outer == nil {
		d.invalid(r, start, fmt.Errorf("%w count of %d: there are fewer scopes around it", ErrOuter, o.Depth))
	}
	if sort == SortCore {
		d.aliasCoreType(r, start, s, outer, o.Index)
		return
	}
	var def *TypeDef
	if outer != nil {
		def = d.lookup(r, start, outer, sort, o.Index)
	}
	if sort == SortType && def != nil && o.Depth > 0 && d.sound(r) {
		// The scope that is left first on the way from there to here.
		if inside := s.outward(o.Depth - 1); inside.in.kind == concrete && !d.closed(def) {
			d.invalid(r, start, fmt.Errorf("%w: type %d of outside transitively refers to resources that are not of this component",
				ErrResource, o.Index))
		}
	}
	d.addTo(s, sort, def, o)
}

const coreSortType = 0x10

func (d *componentDecoder) aliasCoreType(r *reader, start int, s, outer *Scope, index uint32) {
	if outer == nil {
		return
	}
	t, ok := outer.in.core.at(index)
	if !ok {
		d.invalid(r, start, fmt.Errorf("%w %d: type index out of bounds", ErrUnknownType, index))
		return
	}
	r.charge(costCoreType)
	s.in.core.types = append(s.in.core.types, t)
}

// externName reads an import or export name with its attributes.
func (d *componentDecoder) externName(r *reader) ComponentExtern {
	start := r.off
	form := r.u8()
	e := ComponentExtern{Name: r.name()}
	switch form {
	case 0x00, 0x01:
	case 0x02:
		for range r.count(2, maxAttributes) {
			at := r.off
			b := r.u8()
			value := r.name()
			switch b {
			case 0x00:
				e.Implements = value
			case 0x01:
				e.VersionSuffix = value
			case 0x02:
				e.ExternalID = value
			default:
				r.fail(at, codeError(uint64(b), "a name attribute"))
				return e
			}
			if e.attributes&(1<<b) != 0 {
				d.invalid(r, at, fmt.Errorf("%w: a name attribute is given twice", ErrConflict))
			}
			e.attributes |= 1 << b
		}
	default:
		r.fail(start, codeError(uint64(form), "a name"))
	}
	return e
}

func (d *componentDecoder) importDecl(r *reader, s *Scope) {
	start := r.off
	e := d.externName(r)
	d.externDesc(r, start, s, &e, true)
	if r.err != nil {
		return
	}
	if e.Sort == SortInstance {
		e.Type = d.introduce(r, s, e.Type, true)
	}
	if e.Sort == SortValue {
		s.in.values = append(s.in.values, s.in.kind != concrete)
	}
	d.addTo(s, e.Sort, e.Type, Origin{Kind: OriginImport, Index: uint32(len(s.Imports))})
	s.Imports = append(s.Imports, e)
	d.checkExtern(r, start, s, &e, false)
}

// exportDecl reads an export of a component or instance type.
func (d *componentDecoder) exportDecl(r *reader, s *Scope) {
	start := r.off
	e := d.externName(r)
	d.externDesc(r, start, s, &e, false)
	if r.err != nil {
		return
	}
	if e.Sort == SortInstance {
		e.Type = d.introduce(r, s, e.Type, false)
	}
	s.define(e.Sort, e.Type)
	s.Exports = append(s.Exports, e)
	d.checkExtern(r, start, s, &e, true)
}

// externDesc reads the sort and type of an import or export.
func (d *componentDecoder) externDesc(r *reader, start int, s *Scope, e *ComponentExtern, imported bool) {
	e.Sort = Sort(r.u8())
	switch e.Sort {
	case SortCore:
		if b := r.u8(); b != byte(SortModule) {
			r.code("a core import or export", b)
		}
		e.Sort = SortModule
		e.Type = d.moduleTypeAt(r, start, s, r.u32())
	case SortFunc:
		e.Type = d.typeOf(r, start, s, r.u32(), "a function type", isFunc)
	case SortComponent:
		e.Type = d.typeOf(r, start, s, r.u32(), "a component type", func(op byte) bool { return op == TypeComponent })
	case SortInstance:
		e.Type = d.typeOf(r, start, s, r.u32(), "an instance type", func(op byte) bool { return op == TypeInstance })
	case SortValue:
		d.use(FeatureCMValues)
		if r.flag("the bound of a value") {
			e.Type = d.valType(r, s).def()
		} else {
			e.Type = d.lookup(r, start, s, SortValue, r.u32())
		}
	case SortType:
		if r.flag("the bound of a type") {
			e.Type = d.newResource(r, s, imported)
			return
		}
		if i := r.u32(); r.err == nil {
			e.Type = d.rename(r, start, d.lookup(r, start, s, SortType, i))
		}
	default:
		r.code("an import or export", byte(e.Sort))
	}
}

// typeOf looks up a type that must be of some kind.
func (d *componentDecoder) typeOf(r *reader, start int, s *Scope, i uint32, what string, is func(byte) bool) *TypeDef {
	if r.err != nil {
		return nil
	}
	t := d.lookup(r, start, s, SortType, i)
	if t != nil && !is(t.Op) {
		d.invalid(r, start, fmt.Errorf("%w: type index %d is not %s", ErrType, i, what))
		return nil
	}
	return t
}

func (d *componentDecoder) moduleTypeAt(r *reader, start int, s *Scope, i uint32) *TypeDef {
	t, ok := s.in.core.at(i)
	switch {
	case r.err != nil:
	case !ok:
		d.invalid(r, start, fmt.Errorf("%w %d: type index out of bounds", ErrUnknownType, i))
	case t.def == nil:
		d.invalid(r, start, fmt.Errorf("%w: core type index %d is not a module type", ErrType, i))
	}
	return t.def
}

// export reads an entry of the export section.
func (d *componentDecoder) export(r *reader) {
	start, s := r.off, &d.c.Scope
	e := d.externName(r)
	e.Sort = r.itemSort()
	i := r.u32()
	if r.err != nil {
		return
	}
	e.Type = d.lookup(r, start, s, e.Sort, i)
	if e.Sort == SortValue {
		d.takeValue(r, start, s, i)
		s.in.values = append(s.in.values, true)
	}
	if e.Sort == SortType {
		e.Type = d.rename(r, start, e.Type)
	}
	if r.flag("the type of an export") {
		d.ascribe(r, start, &e)
	}
	if r.err != nil {
		return
	}
	if e.Sort == SortInstance {
		e.Type = d.introduce(r, s, e.Type, false)
	}
	d.add(e.Sort, 0, e.Type, Origin{Kind: OriginExport, Index: i})
	s.Exports = append(s.Exports, e)
	d.checkExtern(r, start, s, &e, true)
}

// ascribe reads the type that an export is given, which its own must be a
// subtype of.
func (d *componentDecoder) ascribe(r *reader, start int, e *ComponentExtern) {
	typed := ComponentExtern{}
	d.externDesc(r, start, &d.c.Scope, &typed, false)
	if typed.Type == nil || !d.sound(r) {
		return
	}
	if err := d.match().extern(e, &typed); err != nil {
		d.invalid(r, start, fmt.Errorf("ascribed type of export is not compatible with the item's type: %w", err))
		return
	}
	e.Type = typed.Type
}

// start reads the start definition.
func (d *componentDecoder) start(r *reader) {
	start := r.off
	d.use(FeatureCMValues)
	s := &Start{Func: r.u32()}
	n := r.keepOf(1, MaxParams, 4)
	for range n {
		s.Args = append(s.Args, r.u32())
	}
	s.Results = r.u32()
	if r.err != nil {
		return
	}
	if d.c.Start != nil {
		d.invalid(r, start, fmt.Errorf("%w: a component cannot have more than one start function", ErrStart))
	}
	d.c.Start = s
	t := d.lookup(r, start, &d.c.Scope, SortFunc, s.Func)
	if t == nil || !d.sound(r) {
		return
	}
	results := uint32(0)
	if t.Result.Set {
		results = 1
	}
	if len(t.Args) != n || results != s.Results {
		d.invalid(r, start, fmt.Errorf("%w: it takes %d and gives %d values, not %d and %d", ErrStart, len(t.Args), results, n, s.Results))
		return
	}
	for i, arg := range s.Args {
		have := d.lookup(r, start, &d.c.Scope, SortValue, arg)
		d.takeValue(r, start, &d.c.Scope, arg)
		if d.sound(r) {
			d.check(r, start, d.match().types(have, t.Args[i].def()))
		}
	}
	if results == 1 {
		d.c.define(SortValue, t.Result.def())
		d.c.in.values = append(d.c.in.values, false)
	}
}

// takeValue notes the use of a value: each must be used exactly once.
func (d *componentDecoder) takeValue(r *reader, at int, s *Scope, i uint32) {
	d.use(FeatureCMValues)
	if int64(i) >= int64(len(s.in.values)) {
		return
	}
	if s.in.values[i] {
		d.invalid(r, at, fmt.Errorf("%w: value %d cannot be used more than once", ErrUsed, i))
	}
	s.in.values[i] = true
}
