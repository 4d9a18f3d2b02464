package wasm

import "fmt"

// typeDef reads a component type in scope s.
func (d *componentDecoder) typeDef(r *reader, s *Scope) *TypeDef {
	start := r.off
	t := &TypeDef{Op: r.u8()}
	switch t.Op {
	case TypeResource:
		d.resource(r, s, t)
	case TypeFunc, TypeAsyncFunc:
		d.labelled(r, s, t, MaxParams)
		d.result(r, s, t)
	case TypeComponent, TypeInstance:
		d.scoped(r, s, t)
	case TypeRecord:
		d.labelled(r, s, t, MaxParts)
	case TypeVariant:
		d.cases(r, s, t)
	case TypeFlags, TypeEnum:
		n := r.keepOf(1, MaxParts, costLabel)
		t.Labels = make([]string, 0, n)
		for range n {
			t.Labels = append(t.Labels, r.name())
		}
	case TypeTuple:
		n := r.keepOf(1, MaxParts, costTypeRef)
		t.Args = make([]TypeRef, 0, n)
		for range n {
			t.Args = append(t.Args, d.valType(r, s))
		}
	default:
		d.constructed(r, s, t)
	}
	if r.err == nil {
		d.checkType(r, start, s, t)
	}
	return t
}

// constructed reads the arguments of a type constructor.
func (d *componentDecoder) constructed(r *reader, s *Scope, t *TypeDef) {
	if primitive(t.Op) {
		return
	}
	r.charge(2 * costTypeRef)
	switch t.Op {
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
		start := r.off
		i := r.u32()
		t.Args = []TypeRef{{Def: d.typeOf(r, start, s, i, "a resource type", func(op byte) bool { return op == TypeResource }), Set: true}}
	default:
		r.code("a component type", t.Op)
	}
}

// resource reads the definition of a resource.
func (d *componentDecoder) resource(r *reader, s *Scope, t *TypeDef) {
	start := r.off
	rep := r.valType(false)
	t.flags, t.Scope = flagVaries|flagLocal, s.id()
	s.in.locals = true
	switch {
	case r.err != nil:
		return
	case s.in.kind != concrete:
		d.invalid(r, start, fmt.Errorf("%w: resources can only be defined within a concrete component", ErrDefinition))
	case rep == I64:
		d.use(FeatureCM64)
		t.flags |= flagRep64
	case rep != I32:
		d.invalid(r, start, fmt.Errorf("%w: resources can only be represented by i32 or i64, not by %v", ErrDefinition, rep))
	}
	if !r.flag("the destructor of a resource") {
		return
	}
	i := r.u32()
	if !d.sound(r) {
		return
	}
	f := d.coreFunc(int64(i))
	switch {
	case f == nil:
		d.invalid(r, start, fmt.Errorf("%w %d: function index out of bounds", ErrUnknownFunc, i))
	case !hasSignature(f, []ValType{rep}, nil):
		d.invalid(r, start, fmt.Errorf("%w: core function %d has the wrong signature for a destructor: %v", ErrType, i, f))
	}
}

// hasSignature is whether f is a function type with these parameters and
// results, all of which are numbers.
func hasSignature(f *SubType, params, results []ValType) bool {
	if f.Form != FormFunc || len(f.Params()) != len(params) || len(f.Results()) != len(results) {
		return false
	}
	for i, t := range f.Params() {
		if t != params[i] {
			return false
		}
	}
	for i, t := range f.Results() {
		if t != results[i] {
			return false
		}
	}
	return true
}

// labelled reads parameters or fields.
func (d *componentDecoder) labelled(r *reader, s *Scope, t *TypeDef, maximum int) {
	n := r.keepOf(2, maximum, costLabel+costTypeRef)
	t.Labels = make([]string, 0, n)
	t.Args = make([]TypeRef, 0, n)
	for range n {
		t.Labels = append(t.Labels, r.name())
		t.Args = append(t.Args, d.valType(r, s))
	}
}

func (d *componentDecoder) cases(r *reader, s *Scope, t *TypeDef) {
	n := r.keepOf(3, MaxParts, costLabel+costTypeRef)
	t.Labels = make([]string, 0, n)
	t.Args = make([]TypeRef, 0, n)
	for range n {
		t.Labels = append(t.Labels, r.name())
		t.Args = append(t.Args, d.optional(r, s))
		if b := r.u8(); b != 0 {
			r.code("the end of a case", b)
		}
	}
}

// result reads the result of a function: one type, or none, which is written as
// an empty list. That list was one of names and types before 2025.
func (d *componentDecoder) result(r *reader, s *Scope, t *TypeDef) { t.Result = d.resultList(r, s) }

func (d *componentDecoder) resultList(r *reader, s *Scope) TypeRef {
	if !r.flag("the result of a function") {
		return d.valType(r, s)
	}
	if b := r.u8(); b != 0 {
		r.code("the number of named results, which functions no longer have", b)
	}
	return TypeRef{}
}

func (d *componentDecoder) optional(r *reader, s *Scope) TypeRef {
	if !r.flag("an optional type") {
		return TypeRef{}
	}
	return d.valType(r, s)
}

// valType reads a reference to a value type.
func (d *componentDecoder) valType(r *reader, s *Scope) TypeRef {
	if b := r.peek(); primitive(b) {
		r.u8()
		if b == primErrContext {
			d.use(FeatureCMErrorContext)
		}
		return TypeRef{Prim: b, Set: true}
	}
	start := r.off
	i := r.sleb(33)
	if i < 0 {
		r.fail(start, fmt.Errorf("%w for a value type", ErrCode))
		return TypeRef{}
	}
	return TypeRef{Def: d.typeOf(r, start, s, uint32(i), "a defined type", isValue), Set: true}
}

// scoped reads the declarations of a component or instance type.
func (d *componentDecoder) scoped(r *reader, outer *Scope, t *TypeDef) {
	if d.types >= MaxTypeNesting {
		r.fail(r.off, fmt.Errorf("%w: types nested deeper than %d", ErrLimit, MaxTypeNesting))
		return
	}
	d.types++
	defer func() { d.types-- }()
	r.charge(costScope)
	s := &Scope{outer: outer, in: &enclosure{kind: t.Op}}
	t.Scope = s
	for range r.count(2, MaxItems) {
		d.declaration(r, s, t.Op)
		if d.settle(r); r.err != nil {
			return
		}
	}
	d.checkCoreTypes(r, r.off, &s.in.core)
	if t.Op == TypeComponent {
		d.checkLocals(r, r.off, s)
	} else if s.in.locals {
		t.flags |= flagBinds
	}
	s.seal()
	s.in = nil
}

func (d *componentDecoder) declaration(r *reader, s *Scope, op byte) {
	switch b := r.u8(); {
	case b == 0x00:
		r.charge(costCoreType)
		d.coreTypeDef(r, s)
	case b == 0x01:
		r.charge(costTypeDef)
		s.Types = append(s.Types, d.typeDef(r, s))
	case b == 0x02:
		r.charge(costOrigin)
		d.alias(r, s)
	case b == 0x03 && op == TypeComponent:
		r.charge(costExtern + costDeclared)
		d.importDecl(r, s)
	case b == 0x04:
		r.charge(costExtern + costDeclared)
		d.exportDecl(r, s)
	default:
		r.code("a declaration of a component or instance type", b)
	}
}

// checkType checks a type that was read, and notes what uses of it need to know.
func (d *componentDecoder) checkType(r *reader, start int, s *Scope, t *TypeDef) {
	switch t.Op {
	case TypeRecord, TypeVariant, TypeFlags, TypeEnum:
		if len(t.Labels) == 0 {
			d.invalid(r, start, fmt.Errorf("%w: a type %s must have at least one part", ErrDefinition, t.kind()))
		}
		if t.Op == TypeFlags && len(t.Labels) > MaxFlags {
			d.invalid(r, start, fmt.Errorf("%w: cannot have more than %d flags", ErrDefinition, MaxFlags))
		}
	case TypeTuple:
		if len(t.Args) == 0 {
			d.invalid(r, start, fmt.Errorf("%w: a tuple must have at least one type", ErrDefinition))
		}
	case TypeFixedList:
		d.use(FeatureCMFixedLengthLists)
		if t.Len == 0 || t.Len > MaxFixedList {
			d.invalid(r, start, fmt.Errorf("%w: a list of %d elements, which must be 1 to %d", ErrDefinition, t.Len, MaxFixedList))
		}
	case TypeMap:
		d.use(FeatureCMMap)
	case TypeAsyncFunc, TypeFuture:
		d.use(FeatureCMAsync)
	case TypeStream:
		d.use(FeatureCMAsync)
		if t.Args[0].code() == primChar {
			d.invalid(r, start, fmt.Errorf("%w: stream<char> is not valid; use stream<u8> with an encoding", ErrDefinition))
		}
	case primErrContext:
		d.use(FeatureCMErrorContext)
	}
	d.checkLabels(r, start, t)
	d.measure(r, start, t)
	if t.Result.Set {
		if def := t.Result.def(); def != nil && def.flags&flagBorrow != 0 {
			d.invalid(r, start, fmt.Errorf("%w: a function result cannot contain a borrow type", ErrDefinition))
		}
	}
}

// checkLabels checks that the labels of a type are ones, and strongly unique.
func (d *componentDecoder) checkLabels(r *reader, start int, t *TypeDef) {
	if len(t.Labels) == 0 || !d.sound(r) {
		return
	}
	var seen map[string]struct{}
	if len(t.Labels) > fewNames {
		seen = make(map[string]struct{}, len(t.Labels))
	}
	for i, label := range t.Labels {
		if err := checkLabel(label); err != nil {
			d.invalid(r, start, fmt.Errorf("part %d of a %s type: %w", i, t.kind(), err))
			return
		}
		key := labelKey(label)
		taken := false
		if seen != nil {
			_, taken = seen[key]
			seen[key] = struct{}{}
		} else {
			for _, other := range t.Labels[:i] {
				taken = taken || labelKey(other) == key
			}
		}
		if taken {
			d.invalid(r, start, fmt.Errorf("%w: part %q of a %s type", ErrConflict, short(label), t.kind()))
			return
		}
	}
}

// measure notes how large a type is, and what is in it.
func (d *componentDecoder) measure(r *reader, start int, t *TypeDef) {
	size, depth := uint64(1), 0
	add := func(p *TypeDef) {
		if p == nil {
			return
		}
		size += uint64(p.size)
		depth = max(depth, int(p.depth)+1)
		t.flags |= p.flags & (flagBorrow | flagPointer | flagVaries)
	}
	for _, a := range t.Args {
		add(a.def())
	}
	add(t.Result.def())
	if t.Scope != nil && t.Op != TypeResource {
		for i := range t.Scope.Imports {
			add(t.Scope.Imports[i].Type)
		}
		for i := range t.Scope.Exports {
			add(t.Scope.Exports[i].Type)
		}
		t.flags &^= flagBorrow | flagPointer
	}
	if depth > MaxTypeDepth || size > MaxTypeSize {
		r.fail(start, fmt.Errorf("%w: a type of %d levels and %d parts, more than %d or %d", ErrLimit, depth, size, MaxTypeDepth, MaxTypeSize))
		return
	}
	t.size, t.depth = uint32(size), uint8(depth)
	if isValue(t.Op) {
		d.measureValue(r, start, t)
	}
}

// measureValue notes how values of a type are passed.
func (d *componentDecoder) measureValue(r *reader, start int, t *TypeDef) {
	switch t.Op {
	case TypeBorrow:
		t.flags |= flagBorrow
	case TypeList, TypeMap, primString:
		t.flags |= flagPointer
	case TypeStream, TypeFuture:
		t.flags &^= flagPointer
	}
	a, size := abiOf(t)
	if size >= MaxValueSize {
		d.invalid(r, start, fmt.Errorf("%w: a value of %d bytes exceeds the maximum byte size of %d", ErrDefinition, size, MaxValueSize))
		size = MaxValueSize
	}
	a.size = uint32(size)
	t.abi = a
}
