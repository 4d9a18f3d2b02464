package wasm

import "fmt"

// structType gives the fields of structure type i, and arrayType the elements
// of array type i.
func (v *Validator) structType(i uint32) (*SubType, bool) {
	if !v.typeIndex(i, FormStruct) {
		return nil, false
	}
	return &v.module.list[i], true
}

func (v *Validator) arrayType(i uint32) (FieldType, bool) {
	if !v.typeIndex(i, FormArray) {
		return FieldType{}, false
	}
	return v.module.field(i, 0), true
}

// field gives field k of type i, canonical.
func (t *types) field(i uint32, k int) FieldType {
	f := t.sigs[i].list[k]
	return FieldType{Type: f &^ fieldMutable, Mutable: f&fieldMutable != 0}
}

// made pushes a reference to a new value of type i.
func (v *Validator) made(i uint32) { v.push(v.module.canonical(refTo(i)) | typeExact) }

// gc checks the instructions of garbage collection.
func (v *Validator) gc(in *Instr) {
	switch in.Op {
	case OpStructNew, OpStructNewDefault, OpStructNewDesc, OpStructNewDefDesc:
		v.structNew(in)
	case OpStructGet, OpStructGetS, OpStructGetU, OpStructSet:
		v.structField(in)
	case OpArrayNew, OpArrayNewDefault, OpArrayNewFixed, OpArrayNewData, OpArrayNewElem:
		v.arrayNew(in)
	case OpArrayGet, OpArrayGetS, OpArrayGetU, OpArraySet, OpArrayFill, OpArrayCopy, OpArrayInitData, OpArrayInitElem:
		v.arrayOp(in)
	case OpArrayLen:
		v.refTo(HeapArray)
		v.push(I32)
	case OpRefTest, OpRefTestNull, OpRefCast, OpRefCastNull, OpRefCastDescEq, OpRefCastDescEqNull:
		v.cast(in)
	case OpBrOnCast, OpBrOnCastFail, OpBrOnCastDescEq, OpBrOnCastDescEqFail:
		v.brOnCast(in)
	case OpRefGetDesc:
		v.getDesc(in)
	case OpAnyConvertExtern:
		v.convert(HeapExtern, HeapAny)
	case OpExternConvertAny:
		v.convert(HeapAny, HeapExtern)
	case OpRefI31:
		v.expect(I32)
		v.push(anyRef | HeapI31)
	case OpI31GetS, OpI31GetU:
		v.refTo(HeapI31)
		v.push(I32)
	default:
		v.fail(fmt.Errorf("%w %v", ErrOpcode, in.Op)) // in no table, so never decoded
	}
}

// convert checks a conversion between references of the host and of the module.
func (v *Validator) convert(from, to byte) {
	t := v.refTo(from)
	result := anyRef | ValType(to)
	if t != bottomRef {
		result |= t&typeNull | ValType(flag(v.module.shared(t)))*typeShared
	}
	v.push(result)
}

func (v *Validator) structNew(in *Instr) {
	t, ok := v.structType(in.X)
	if !ok {
		return
	}
	withDesc := in.Op == OpStructNewDesc || in.Op == OpStructNewDefDesc
	switch {
	case withDesc && t.Descriptor == NoType:
		v.fail(fmt.Errorf("type without %w requires non-descriptor allocation: type %d", ErrDescriptor, in.X))
		return
	case !withDesc && t.Descriptor != NoType:
		v.fail(fmt.Errorf("type with %w requires descriptor allocation: type %d", ErrDescriptor, in.X))
		return
	case withDesc:
		v.expect(v.module.canonical(refTo(t.Descriptor)) | typeNull | typeExact)
	}
	fields := t.Fields()
	v.spend(fields)
	for k := fields - 1; k >= 0 && v.err == nil; k-- {
		f := v.module.field(in.X, k)
		if in.Op == OpStructNew || in.Op == OpStructNewDesc {
			v.expect(f.unpacked())
		} else if !defaultable(f.Type) {
			v.fail(fmt.Errorf("%w: field %d of %v has no default value", ErrType, k, f.Type))
		}
	}
	v.made(in.X)
}

// defaultable is whether a type has a value to begin with.
func defaultable(t ValType) bool { return !t.IsRef() || t.Nullable() }

func (v *Validator) structField(in *Instr) {
	t, ok := v.structType(in.X)
	if !ok {
		return
	}
	if int64(in.Y) >= int64(t.Fields()) {
		v.fail(fmt.Errorf("%w %d", ErrUnknownField, in.Y))
		return
	}
	f := v.module.field(in.X, int(in.Y))
	if in.Op == OpStructSet {
		if !f.Mutable {
			v.fail(fmt.Errorf("%w field %d", ErrImmutable, in.Y))
		}
		v.expect(f.unpacked())
		v.refToType(in.X)
		return
	}
	v.extension(in.Op != OpStructGet, f)
	v.refToType(in.X)
	v.push(f.unpacked())
}

// extension checks that an instruction says how to extend a value where, and
// only where, the field is packed.
func (v *Validator) extension(given bool, f FieldType) {
	if given != f.packed() {
		v.fail(fmt.Errorf("%w: field of %v", ErrType, f.Type))
	}
}

func (v *Validator) arrayNew(in *Instr) {
	f, ok := v.arrayType(in.X)
	if !ok {
		return
	}
	switch in.Op {
	case OpArrayNew:
		v.expect(I32)
		v.expect(f.unpacked())
	case OpArrayNewDefault:
		if !defaultable(f.Type) {
			v.fail(fmt.Errorf("%w: elements of %v have no default value", ErrType, f.Type))
		}
		v.expect(I32)
	case OpArrayNewFixed:
		v.arrayFixed(in, f)
	case OpArrayNewData:
		v.numeric(f)
		v.dataIndex(in.Y)
		v.expect(I32)
		v.expect(I32)
	case OpArrayNewElem:
		v.fromElem(in.Y, f)
		v.expect(I32)
		v.expect(I32)
	default: // the others do not come here
	}
	v.made(in.X)
}

func (v *Validator) arrayFixed(in *Instr, f FieldType) {
	if in.Y > MaxFields {
		v.fail(fmt.Errorf("%w: array of %d elements, more than %d", ErrLimit, in.Y, MaxFields))
		return
	}
	v.spend(int(in.Y))
	for i := uint32(0); i < in.Y && v.err == nil; i++ {
		v.expect(f.unpacked())
	}
}

// numeric checks that elements can be made of bytes.
func (v *Validator) numeric(f FieldType) {
	if f.Type.IsRef() {
		v.fail(fmt.Errorf("%w: array type is not numeric or vector: %v", ErrType, f.Type))
	}
}

// fromElem checks that an element segment fits the elements of an array.
func (v *Validator) fromElem(i uint32, f FieldType) {
	if t, ok := v.elem(i); ok && !v.module.matches(t, f.Type) {
		v.mismatch(f.Type, t)
	}
}

func (v *Validator) arrayOp(in *Instr) {
	f, ok := v.arrayType(in.X)
	if !ok {
		return
	}
	get := in.Op == OpArrayGet || in.Op == OpArrayGetS || in.Op == OpArrayGetU
	if !get && !f.Mutable {
		v.fail(fmt.Errorf("%w array of type %d", ErrImmutable, in.X))
	}
	switch in.Op {
	case OpArrayGet, OpArrayGetS, OpArrayGetU:
		v.extension(in.Op != OpArrayGet, f)
		v.expect(I32)
		v.refToType(in.X)
		v.push(f.unpacked())
	case OpArraySet:
		v.expect(f.unpacked())
		v.expect(I32)
		v.refToType(in.X)
	case OpArrayFill:
		v.expect(I32)
		v.expect(f.unpacked())
		v.expect(I32)
		v.refToType(in.X)
	case OpArrayCopy:
		v.arrayCopy(in, f)
	case OpArrayInitData:
		v.numeric(f)
		v.dataIndex(in.Y)
		v.arrayInit(in.X)
	case OpArrayInitElem:
		v.fromElem(in.Y, f)
		v.arrayInit(in.X)
	default: // the others do not come here
	}
}

// arrayInit takes the operands of array.init_data and array.init_elem.
func (v *Validator) arrayInit(i uint32) {
	v.expect(I32)
	v.expect(I32)
	v.expect(I32)
	v.refToType(i)
}

func (v *Validator) arrayCopy(in *Instr, to FieldType) {
	from, ok := v.arrayType(in.Y)
	if !ok {
		return
	}
	if !v.module.matches(from.Type, to.Type) {
		v.fail(fmt.Errorf("%w: %v and %v", ErrArrayType, from.Type, to.Type))
	}
	v.expect(I32)
	v.expect(I32)
	v.refToType(in.Y)
	v.expect(I32)
	v.refToType(in.X)
}

// castTarget checks the type that a reference is cast to.
func (v *Validator) castTarget(t ValType) ValType {
	t = v.valType(t)
	if t != bottom && byte(v.module.top(t)) == HeapCont {
		v.fail(fmt.Errorf("%w: a cast to %v, a continuation", ErrType, t))
	}
	return t
}

// descriptor takes the operand of a cast that compares descriptors.
func (v *Validator) descriptor(t ValType) {
	i := t.TypeIndex()
	if i < 0 || v.module.list[i].Descriptor == NoType {
		v.fail(fmt.Errorf("type %v does not have a %w", t.Heap(), ErrDescriptor))
		return
	}
	v.expect(v.module.canonical(refTo(v.module.list[i].Descriptor)) | typeNull | t&typeExact)
}

// cast checks ref.test and the forms of ref.cast.
func (v *Validator) cast(in *Instr) {
	t := v.castTarget(in.Type)
	if v.err != nil {
		return
	}
	if in.Op == OpRefCastDescEq || in.Op == OpRefCastDescEqNull {
		v.descriptor(t)
	}
	v.expect(v.module.top(t))
	if in.Op == OpRefTest || in.Op == OpRefTestNull {
		t = I32
	}
	v.push(t)
}

func (v *Validator) brOnCast(in *Instr) {
	from, to := v.castTarget(in.Type), v.castTarget(in.Type2)
	label := v.label(v.target(in.X))
	if v.err != nil {
		return
	}
	if v.module.top(from) != v.module.top(to) {
		v.mismatch(from, to)
		return
	}
	if !v.module.matches(to, from) {
		v.used |= FeatureCustomDescriptors // which lets the two have nothing but the top in common
	}
	if in.Op == OpBrOnCastDescEq || in.Op == OpBrOnCastDescEqFail {
		v.descriptor(to)
	}
	rest := from
	if to.Nullable() {
		rest = nonNull(from)
	}
	taken, falls := to, rest
	if in.Op == OpBrOnCastFail || in.Op == OpBrOnCastDescEqFail {
		taken, falls = rest, to
	}
	n := len(label) - 1
	if n < 0 || !v.module.matches(taken, label[n]) {
		v.fail(fmt.Errorf("%w: label %d takes no %v", ErrType, in.X, taken))
		return
	}
	v.expect(from)
	v.branch(label[:n])
	v.push(falls)
}

func (v *Validator) getDesc(in *Instr) {
	t, ok := v.structType(in.X)
	if !ok {
		return
	}
	if t.Descriptor == NoType {
		v.fail(fmt.Errorf("type %d does not have a %w", in.X, ErrDescriptor))
		return
	}
	// The descriptor is as exactly known as the type it describes.
	given := v.refToType(in.X)
	result := v.module.canonical(refTo(t.Descriptor))
	if v.module.matches(given, v.module.canonical(refTo(in.X))|typeNull|typeExact) {
		result |= typeExact
	}
	v.push(result)
}
