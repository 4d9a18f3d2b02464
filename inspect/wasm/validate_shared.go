package wasm

import "fmt"

// sharedAtomic checks the atomic accesses of the shared-everything-threads
// proposal to globals, tables, structures and arrays.
func (v *Validator) sharedAtomic(in *Instr) {
	switch op := in.Op; {
	case op == opRefI31Shared:
		v.expect(I32)
		v.push(anyRef | typeShared | HeapI31)
	case op >= opGlobalAtomicGet && op <= opGlobalAtomicCmpxchg:
		if g, ok := v.global(in.X); ok {
			f := FieldType{Type: v.module.canonical(g.Type), Mutable: g.Mutable}
			v.atomic(globalAtomics[op-opGlobalAtomicGet], f, func() {})
		}
	case op >= opTableAtomicGet && op <= opTableAtomicCmpxchg:
		if t, ok := v.table(in.X); ok {
			f := FieldType{Type: v.module.canonical(t.Elem), Mutable: true}
			v.atomic(tableAtomics[op-opTableAtomicGet], f, func() { v.expect(t.address()) })
		}
	case op >= opStructAtomicGet && op <= opStructAtomicCmpxchg:
		t, ok := v.structType(in.X)
		if !ok {
			return
		}
		if int64(in.Y) >= int64(t.Fields()) {
			v.fail(fmt.Errorf("%w %d", ErrUnknownField, in.Y))
			return
		}
		v.atomic(fieldAtomics[op-opStructAtomicGet], v.module.field(in.X, int(in.Y)), func() { v.refToType(in.X) })
	case op >= opArrayAtomicGet && op <= opArrayAtomicCmpxchg:
		if f, ok := v.arrayType(in.X); ok {
			v.atomic(fieldAtomics[op-opArrayAtomicGet], f, func() { v.expect(I32); v.refToType(in.X) })
		}
	}
}

// An access is what an atomic instruction does to its place.
type access byte

const (
	accessGet access = iota
	accessExtend
	accessSet
	accessCompute
	accessExchange
	accessCompare
)

// The accesses in the order of their opcodes.
var (
	globalAtomics = [...]access{
		accessGet, accessSet, accessCompute, accessCompute, accessCompute, accessCompute, accessCompute, accessExchange, accessCompare,
	}
	tableAtomics = [...]access{accessGet, accessSet, accessExchange, accessCompare}
	fieldAtomics = [...]access{
		accessGet, accessExtend, accessExtend, accessSet,
		accessCompute, accessCompute, accessCompute, accessCompute, accessCompute, accessExchange, accessCompare,
	}
)

// atomic checks an access to f, whose place the operands that place takes say.
func (v *Validator) atomic(a access, f FieldType, place func()) {
	t := f.unpacked()
	switch a {
	case accessGet, accessExtend:
		v.extension(a == accessExtend, f)
		v.atomicType(f, HeapAny)
	case accessSet, accessExchange:
		v.atomicType(f, HeapAny)
		v.expect(t)
	case accessCompute:
		v.atomicType(f, 0)
		v.expect(t)
	case accessCompare:
		v.atomicType(f, HeapEq)
		v.expect(t)
		if want := nullRef | HeapEq | t&typeShared; t.IsRef() {
			if v.module.shared(t) {
				want |= typeShared
			}
			v.expect(want)
		} else {
			v.expect(t)
		}
	}
	if a > accessExtend && !f.Mutable {
		v.fail(ErrImmutable)
	}
	place()
	if a != accessSet {
		v.push(t)
	}
}

// atomicType checks that values of f can be accessed at once: numbers of 32 and
// 64 bits, packed ones where they are fields, and references below heap, if
// there are any.
func (v *Validator) atomicType(f FieldType, heap byte) {
	switch {
	case f.Type == I32 || f.Type == I64 || f.packed() && heap == HeapAny:
		return
	case heap != 0 && f.Type.IsRef():
		want := nullRef | ValType(heap)
		if v.module.shared(f.Type) {
			want |= typeShared
		}
		if v.module.matches(f.Type, want) {
			return
		}
	}
	v.fail(fmt.Errorf("%w: no atomic access to %v", ErrType, f.Type))
}
