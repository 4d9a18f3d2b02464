package wasm

import "fmt"

// rare checks the instructions that code from most compilers has few of:
// exceptions, references, tables, bulk memory, and those after them.
func (v *Validator) rare(in *Instr) {
	switch in.Op {
	case OpCallIndirect, OpReturnCall, OpReturnCallIndirect, OpCallRef, OpReturnCallRef:
		v.call(in)
	case OpCatch, OpCatchAll, OpDelegate, OpThrow, OpRethrow, OpThrowRef:
		v.exceptions(in)
	case OpTableGet, OpTableSet, OpTableGrow, OpTableSize, OpTableFill, OpTableInit, OpTableCopy, OpElemDrop:
		v.tableOp(in)
	case OpMemoryInit, OpMemoryCopy, OpMemoryFill, OpMemoryDiscard, OpDataDrop:
		v.bulk(in)
	case OpRefNull, OpRefIsNull, OpRefFunc, OpRefEq, OpRefAsNonNull, OpBrOnNull, OpBrOnNonNull:
		v.reference(in)
	case OpContNew, OpContBind, OpSuspend, OpResume, OpResumeThrow, OpResumeThrowRef, OpSwitch:
		v.stackSwitching(in)
	default:
		if in.Op>>16 == prefixAtomic {
			v.sharedAtomic(in)
			return
		}
		v.gc(in)
	}
}

// call checks calls other than the plain one.
func (v *Validator) call(in *Instr) {
	f, tail := sig{}, false
	switch in.Op {
	case OpReturnCall:
		var ok bool
		if f, ok = v.function(in.X); !ok {
			return
		}
		tail = true
	case OpCallIndirect, OpReturnCallIndirect:
		t, ok := v.table(in.Y)
		if !ok || !v.typeIndex(in.X, FormFunc) {
			return
		}
		elem := v.module.canonical(t.Elem)
		if want := FuncRef | elem&typeShared; !v.module.matches(elem, want) && !v.module.shared(elem) {
			v.mismatch(FuncRef, elem)
		}
		v.expect(t.address())
		f, tail = v.module.sigs[in.X], in.Op == OpReturnCallIndirect
	default:
		if !v.typeIndex(in.X, FormFunc) {
			return
		}
		v.refToType(in.X)
		f, tail = v.module.sigs[in.X], in.Op == OpReturnCallRef
	}
	v.popList(f.ins())
	if !tail {
		v.pushList(f.outs())
		return
	}
	results := v.results(&v.blocks[0])
	v.spend(len(results))
	if !v.module.allMatch(f.outs(), results) {
		v.fail(fmt.Errorf("%w: a tail call leaves other results than the function", ErrType))
	}
	v.unreachable()
}

func (v *Validator) exceptions(in *Instr) {
	switch in.Op {
	case OpThrow:
		v.popList(v.exception(in.X))
		v.unreachable()
	case OpThrowRef:
		v.expect(ExnRef)
		v.unreachable()
	case OpRethrow:
		if b := v.target(in.X); b.op != OpCatch && b.op != OpCatchAll {
			v.fail(fmt.Errorf("%w %d", ErrRethrow, in.X))
		}
		v.unreachable()
	case OpDelegate:
		if v.blocks[len(v.blocks)-1].op != OpTry {
			v.fail(fmt.Errorf("%w: delegate without try", ErrMismatch))
			return
		}
		b := v.close()
		v.target(in.X)
		v.pushList(v.results(&b))
	default:
		if op := v.blocks[len(v.blocks)-1].op; op != OpTry && op != OpCatch {
			v.fail(fmt.Errorf("%w: %v without try", ErrMismatch, in.Op))
			return
		}
		var caught []ValType
		if in.Op == OpCatch {
			caught = v.exception(in.X)
		}
		b := v.close()
		v.open(in.Op, b.is())
		v.pushList(caught)
	}
}

func (v *Validator) table(i uint32) (TableType, bool) {
	if int64(i) >= int64(len(v.module.m.Tables)) {
		v.fail(fmt.Errorf("%w %d", ErrUnknownTable, i))
		return TableType{}, false
	}
	return v.module.m.Tables[i], true
}

// element gives the type of element segment i.
func (v *Validator) elem(i uint32) (ValType, bool) {
	if int64(i) >= int64(len(v.module.m.Elems)) {
		v.fail(fmt.Errorf("%w %d", ErrUnknownElem, i))
		return 0, false
	}
	return v.module.canonical(v.module.m.Elems[i].Type), true
}

func (v *Validator) tableOp(in *Instr) {
	switch in.Op {
	case OpElemDrop:
		v.elem(in.X)
		return
	case OpTableInit:
		v.tableInit(in)
		return
	case OpTableCopy:
		v.tableCopy(in)
		return
	default: // the others do not come here
	}
	t, ok := v.table(in.X)
	if !ok {
		return
	}
	elem, address := v.module.canonical(t.Elem), t.address()
	switch in.Op {
	case OpTableGet:
		v.expect(address)
		v.push(elem)
	case OpTableSet:
		v.expect(elem)
		v.expect(address)
	case OpTableGrow:
		v.expect(address)
		v.expect(elem)
		v.push(address)
	case OpTableSize:
		v.push(address)
	case OpTableFill:
		v.expect(address)
		v.expect(elem)
		v.expect(address)
	default: // the others do not come here
	}
}

func (v *Validator) tableInit(in *Instr) {
	t, ok := v.table(in.Y)
	from, known := v.elem(in.X)
	if !ok || !known {
		return
	}
	if to := v.module.canonical(t.Elem); !v.module.matches(from, to) {
		v.mismatch(to, from)
	}
	v.expect(I32)
	v.expect(I32)
	v.expect(t.address())
}

func (v *Validator) tableCopy(in *Instr) {
	to, ok := v.table(in.X)
	from, known := v.table(in.Y)
	if !ok || !known {
		return
	}
	if a, b := v.module.canonical(from.Elem), v.module.canonical(to.Elem); !v.module.matches(a, b) {
		v.mismatch(b, a)
	}
	v.expect(smaller(to.address(), from.address()))
	v.expect(from.address())
	v.expect(to.address())
}

// smaller is the type of a length that lies within both ranges of addresses.
func smaller(a, b ValType) ValType {
	if a == I64 && b == I64 {
		return I64
	}
	return I32
}

// dataIndex checks that data segment i exists, as far as that is known before
// the code section: by the data count.
func (v *Validator) dataIndex(i uint32) {
	switch n := v.module.m.DataCount; {
	case n < 0:
		v.fail(ErrDataCount)
	case int64(i) >= n:
		v.fail(fmt.Errorf("%w %d", ErrUnknownData, i))
	}
}

func (v *Validator) bulk(in *Instr) {
	switch in.Op {
	case OpDataDrop:
		v.dataIndex(in.X)
	case OpMemoryInit:
		address := v.memory(in.Y)
		v.dataIndex(in.X)
		v.expect(I32)
		v.expect(I32)
		v.expect(address)
	case OpMemoryCopy:
		to, from := v.memory(in.X), v.memory(in.Y)
		v.expect(smaller(to, from))
		v.expect(from)
		v.expect(to)
	case OpMemoryFill:
		address := v.memory(in.X)
		v.expect(address)
		v.expect(I32)
		v.expect(address)
	case OpMemoryDiscard:
		address := v.memory(in.X)
		v.expect(address)
		v.expect(address)
	default: // the others do not come here
	}
}

func (v *Validator) reference(in *Instr) {
	switch in.Op {
	case OpRefNull:
		v.push(v.valType(in.Type))
	case OpRefIsNull:
		v.ref()
		v.push(I32)
	case OpRefFunc:
		v.refFunc(in.X)
	case OpRefEq:
		v.refTo(HeapEq)
		v.refTo(HeapEq)
		v.push(I32)
	case OpRefAsNonNull:
		v.push(nonNull(v.ref()))
	case OpBrOnNull:
		t := v.ref()
		v.branch(v.label(v.target(in.X)))
		v.push(nonNull(t))
	case OpBrOnNonNull:
		t := v.ref()
		label := v.label(v.target(in.X))
		n := len(label) - 1
		if n < 0 || !label[n].IsRef() {
			v.fail(fmt.Errorf("%w: label %d takes no reference", ErrType, in.X))
			return
		}
		if t = nonNull(t); !v.module.matches(t, label[n]) {
			v.mismatch(label[n], t)
		}
		v.branch(label[:n])
	default: // the others do not come here
	}
}

// nonNull is reference t without null; bottomRef stays what it is.
func nonNull(t ValType) ValType {
	if t == bottomRef {
		return t
	}
	return t &^ typeNull
}

// refFunc checks ref.func. In constant expressions it declares the function, in
// code it needs one that is declared.
func (v *Validator) refFunc(i uint32) {
	m := v.module.m
	if int64(i) >= int64(len(m.Functions)) {
		v.fail(fmt.Errorf("%w %d", ErrUnknownFunc, i))
		return
	}
	if !v.constant && !v.module.declared.has(i) {
		v.fail(fmt.Errorf("%w to function %d", ErrUndeclared, i))
		return
	}
	t := v.module.canonical(refTo(m.Functions[i]))
	if int(i) >= m.Imported() || v.module.exact.has(i) {
		t |= typeExact
	}
	v.push(t)
}
