package wasm

import (
	"fmt"
	"math"
	"slices"
)

// This file is the algorithm of the core specification's appendix "Validation
// Algorithm": a stack of operand types and one of blocks, and for each
// instruction what it takes and leaves. Types on the stack are canonical.

// A block is an entry of the control stack.
type block struct {
	op     Opcode     // that opened it, or that began its present arm
	typ    int32      // index of its type, -1 without one
	one    [1]ValType // the result that it has without an index, as a list; 0 for none
	height int32      // of the operand stack below its parameters
	inits  int32      // of the stack of initialised locals
	dead   bool       // while a block inside is open: what Validator.dead was
	seen   bool       // by the br_table at hand
}

// params are the operands that a block takes.
func (v *Validator) params(b *block) []ValType {
	if b.typ < 0 {
		return nil
	}
	return v.module.sigs[b.typ].ins()
}

// results are the operands that a block leaves.
func (v *Validator) results(b *block) []ValType {
	switch {
	case b.typ >= 0:
		return v.module.sigs[b.typ].outs()
	case b.one[0] != 0:
		return b.one[:]
	}
	return nil
}

// label gives the operands that a branch to the block takes with it.
func (v *Validator) label(b *block) []ValType {
	if b.op == OpLoop {
		return v.params(b)
	}
	return v.results(b)
}

// target finds the block that label l means.
func (v *Validator) target(l uint32) *block {
	if int64(l) >= int64(len(v.blocks)) {
		v.fail(fmt.Errorf("%w %d", ErrUnknownLabel, l))
		return &v.blocks[0]
	}
	return &v.blocks[len(v.blocks)-1-int(l)]
}

// open begins a block. Its parameters are still to be pushed.
func (v *Validator) open(op Opcode, t BlockType) {
	if n := len(v.blocks); n > 0 {
		if n >= MaxBlocks {
			v.fail(fmt.Errorf("%w: more than %d blocks inside each other", ErrLimit, MaxBlocks))
			return
		}
		v.blocks[n-1].dead = v.dead
	}
	v.height, v.dead = len(v.stack), false
	if n := len(v.blocks); n == cap(v.blocks) {
		v.blocks = slices.Grow(v.blocks, min(max(n, 32), MaxBlocks-n))
	}
	v.blocks = append(v.blocks, block{
		op: op, typ: t.Index, one: [1]ValType{t.Type}, height: int32(v.height), inits: int32(len(v.locals.inits)),
	})
}

// is gives the type of a block again.
func (b *block) is() BlockType { return BlockType{Index: b.typ, Type: b.one[0]} }

// close ends the innermost block, or an arm of it, and checks what it leaves,
// which it takes from the stack.
func (v *Validator) close() block {
	b := &v.blocks[len(v.blocks)-1]
	v.popList(v.results(b))
	if len(v.stack) != v.height {
		v.fail(fmt.Errorf("%w: %d values remaining on the stack at the end of a block", ErrType, len(v.stack)-v.height))
	}
	closed := *b
	v.locals.undo(int(b.inits))
	v.blocks = v.blocks[:len(v.blocks)-1]
	if n := len(v.blocks); n > 0 {
		v.height, v.dead = int(v.blocks[n-1].height), v.blocks[n-1].dead
	}
	return closed
}

// unreachable says that the rest of the innermost block cannot be reached.
func (v *Validator) unreachable() {
	v.stack = v.stack[:v.height]
	v.dead = true
}

func (v *Validator) push(t ValType) {
	if len(v.stack) == cap(v.stack) {
		v.room(1)
	}
	v.stack = append(v.stack, t)
}

// room makes the stack larger, by n operands at least. A stack of too many is
// noticed when it has to grow.
func (v *Validator) room(n int) {
	if len(v.stack)+n > MaxOperands {
		v.fail(fmt.Errorf("%w: more than %d operands on the stack", ErrLimit, MaxOperands))
		return
	}
	v.stack = slices.Grow(v.stack, min(max(n, len(v.stack), 64), MaxOperands-len(v.stack)))
}

// pop takes an operand of any type.
func (v *Validator) pop() ValType {
	if n := len(v.stack) - 1; n >= v.height {
		t := v.stack[n]
		v.stack = v.stack[:n]
		return t
	}
	if !v.dead {
		v.fail(fmt.Errorf("%w: an operand expected, but nothing is on the stack", ErrType))
	}
	return bottom
}

// expect takes an operand of the given type.
func (v *Validator) expect(want ValType) {
	if n := len(v.stack) - 1; n >= v.height && v.stack[n] == want {
		v.stack = v.stack[:n]
		return
	}
	v.expectSlow(want)
}

func (v *Validator) expectSlow(want ValType) {
	if len(v.stack) == v.height && !v.dead {
		v.fail(fmt.Errorf("%w: expected %v, but nothing is on the stack", ErrType, want))
		return
	}
	if got := v.pop(); !v.module.matches(got, want) {
		v.mismatch(want, got)
	}
}

func (v *Validator) mismatch(want, got ValType) {
	v.fail(fmt.Errorf("%w: expected %v, found %v", ErrType, want, got))
}

// ref takes a reference and gives its type, which in dead code may be bottomRef.
func (v *Validator) ref() ValType {
	t := v.pop()
	if t == bottom {
		return bottomRef
	}
	if t != bottomRef && !t.IsRef() {
		v.fail(fmt.Errorf("%w: expected a reference, found %v", ErrType, t))
	}
	return t
}

// refTo takes a reference, which may be null, to an abstract heap type, shared
// or not, and gives its type.
func (v *Validator) refTo(heap byte) ValType {
	t := v.ref()
	want := nullRef | ValType(heap)
	if t == bottomRef || v.err != nil {
		return t
	}
	if v.module.shared(t) {
		want |= typeShared
	}
	if !v.module.matches(t, want) {
		v.mismatch(want, t)
	}
	return t
}

// refToType takes a reference, which may be null, to type i.
func (v *Validator) refToType(i uint32) ValType {
	n := len(v.stack)
	t := bottom
	if n > v.height {
		t = v.stack[n-1]
	}
	v.expect(v.module.canonical(refTo(i) | typeNull))
	return t
}

// popList takes operands of the given types, the last from the top.
func (v *Validator) popList(types []ValType) {
	n := len(v.stack) - len(types)
	if n >= v.height && slices.Equal(v.stack[n:], types) {
		v.stack = v.stack[:n]
		return
	}
	v.spend(len(types))
	for i := len(types) - 1; i >= 0 && v.err == nil; i-- {
		if v.dead && len(v.stack) == v.height {
			return // every operand is there
		}
		v.expect(types[i])
	}
}

// peekList checks that operands of the given types are on the stack and leaves
// them there.
func (v *Validator) peekList(types []ValType) {
	n := len(v.stack) - len(types)
	if n >= v.height && slices.Equal(v.stack[n:], types) {
		return
	}
	v.spend(len(types))
	for i, want := range types {
		switch at := n + i; {
		case at >= v.height:
			if !v.module.matches(v.stack[at], want) {
				v.mismatch(want, v.stack[at])
			}
		case !v.dead:
			v.fail(fmt.Errorf("%w: expected %v, but nothing is on the stack", ErrType, want))
		}
	}
}

// pushList leaves operands of the given types.
func (v *Validator) pushList(types []ValType) {
	if len(v.stack)+len(types) > MaxOperands {
		v.fail(fmt.Errorf("%w: more than %d operands on the stack", ErrLimit, MaxOperands))
		return
	}
	v.stack = append(v.stack, types...)
}

// spend draws n comparisons from the work of the function.
func (v *Validator) spend(n int) {
	if v.work -= n; v.work < 0 {
		v.fail(fmt.Errorf("%w: too many operands for the bytes of the function", ErrLimit))
	}
}

// valType checks a type named by an instruction and makes it canonical.
func (v *Validator) valType(t ValType) ValType {
	if t.TypeIndex() >= len(v.module.list) {
		v.fail(fmt.Errorf("%w %d", ErrUnknownType, t.TypeIndex()))
		return bottom
	}
	v.used |= v.module.featuresOf(t)
	return v.module.canonical(t)
}

// typeIndex checks that type i exists and has the form.
func (v *Validator) typeIndex(i uint32, form Form) bool {
	if int64(i) >= int64(len(v.module.list)) || v.module.list[i].Form != form {
		v.fail(fmt.Errorf("%w %d", ErrUnknownType, i))
		return false
	}
	return true
}

// step checks one instruction.
func (v *Validator) step(in *Instr) {
	info := in.info
	v.used |= info.feature
	if !info.fixed {
		v.special(in)
		return
	}
	switch info.imm {
	case ImmNone, ImmI32, ImmI64, ImmF32, ImmF64:
	case ImmMemArg, ImmMemArgLane:
		v.access(in)
		return
	default:
		v.lanes(in)
	}
	switch info.npop {
	case 0:
	case 1:
		v.expect(ValType(info.pops[0]) << codeShift)
	case 2:
		v.expect(ValType(info.pops[1]) << codeShift)
		v.expect(ValType(info.pops[0]) << codeShift)
	default:
		for i := int(info.npop) - 1; i >= 0; i-- {
			v.expect(ValType(info.pops[i]) << codeShift)
		}
	}
	if info.npush > 0 {
		v.push(ValType(info.push[0]) << codeShift)
		if info.npush > 1 {
			v.push(ValType(info.push[1]) << codeShift)
		}
	}
}

// access checks a load, store or atomic access.
func (v *Validator) access(in *Instr) {
	info := in.info
	address := v.memory(in.X)
	switch {
	case in.Align > uint32(info.size):
		v.fail(fmt.Errorf("%w: 2^%d, natural is 2^%d", ErrAlignment, in.Align, info.size))
	case in.Op>>16 == prefixAtomic && in.Align != uint32(info.size):
		v.fail(fmt.Errorf("%w, nor smaller for an atomic access: 2^%d", ErrAlignment, in.Align))
	case address == I32 && in.Value > math.MaxUint32:
		v.fail(fmt.Errorf("%w: %d", ErrOffset, in.Value))
	case info.imm == ImmMemArgLane && in.Y >= 16>>info.size:
		v.fail(fmt.Errorf("%w %d", ErrLane, in.Y))
	}
	for i := int(info.npop) - 1; i > 0; i-- {
		v.expect(ValType(info.pops[i]) << codeShift)
	}
	v.expect(address)
	if info.npush > 0 {
		v.push(ValType(info.push[0]) << codeShift)
	}
}

// memory gives the type of addresses of memory i.
func (v *Validator) memory(i uint32) ValType {
	if i == 0 && v.memory0 != 0 {
		return v.memory0
	}
	if int64(i) >= int64(len(v.module.m.Memories)) {
		v.fail(fmt.Errorf("%w %d", ErrUnknownMemory, i))
		return I32
	}
	return v.module.m.Memories[i].address()
}

// lanes checks the lanes that an instruction names.
func (v *Validator) lanes(in *Instr) {
	switch in.Imm {
	case ImmLane:
		if in.X >= uint32(in.info.size) {
			v.fail(fmt.Errorf("%w %d", ErrLane, in.X))
		}
	case ImmShuffle:
		for _, lane := range in.Bytes {
			if lane >= 32 {
				v.fail(fmt.Errorf("%w %d", ErrLane, lane))
				return
			}
		}
	default: // the others do not come here
	}
}

// special checks an instruction whose operands depend on its immediates.
func (v *Validator) special(in *Instr) {
	switch in.Op {
	case OpLocalGet:
		if t := v.local(in.X); t != 0 {
			v.push(t)
		}
	case OpLocalSet:
		if t := v.assign(in.X); t != 0 {
			v.expect(t)
		}
	case OpLocalTee:
		if t := v.assign(in.X); t != 0 {
			v.expect(t)
			v.push(t)
		}
	case OpGlobalGet:
		if g, ok := v.global(in.X); ok {
			v.push(v.module.canonical(g.Type))
		}
	case OpGlobalSet:
		if g, ok := v.global(in.X); ok {
			if !g.Mutable {
				v.fail(fmt.Errorf("%w global %d", ErrImmutable, in.X))
			}
			v.expect(v.module.canonical(g.Type))
		}
	case OpCall:
		if f, ok := v.function(in.X); ok {
			v.popList(f.ins())
			v.pushList(f.outs())
		}
	case OpEnd:
		v.end()
	case OpBlock, OpLoop, OpIf, OpTry, OpTryTable:
		v.enter(in)
	case OpElse:
		v.otherwise()
	case OpBr:
		v.popList(v.label(v.target(in.X)))
		v.unreachable()
	case OpBrIf:
		v.expect(I32)
		v.branch(v.label(v.target(in.X)))
	case OpBrTable:
		v.brTable(in)
	case OpReturn:
		v.popList(v.results(&v.blocks[0]))
		v.unreachable()
	case OpUnreachable:
		v.unreachable()
	case OpDrop:
		v.pop()
	case OpSelect:
		v.selectAny()
	case OpSelectTyped:
		v.selectTyped(in)
	case OpMemorySize:
		v.push(v.memory(in.X))
	case OpMemoryGrow:
		t := v.memory(in.X)
		v.expect(t)
		v.push(t)
	default:
		v.rare(in)
	}
}

// branch checks a branch that may not be taken. What stays on the stack is what
// the label says, not what was found.
func (v *Validator) branch(types []ValType) {
	if len(types) > 0 {
		v.popList(types)
		v.pushList(types)
	}
}

func (v *Validator) global(i uint32) (GlobalType, bool) {
	if int64(i) >= int64(len(v.module.m.Globals)) {
		v.fail(fmt.Errorf("%w %d", ErrUnknownGlobal, i))
		return GlobalType{}, false
	}
	return v.module.m.Globals[i], true
}

func (v *Validator) function(i uint32) (sig, bool) {
	if int64(i) >= int64(len(v.module.m.Functions)) {
		v.fail(fmt.Errorf("%w %d", ErrUnknownFunc, i))
		return sig{}, false
	}
	return v.module.sigs[v.module.m.Functions[i]], true
}

// enter checks an instruction that opens a block.
func (v *Validator) enter(in *Instr) {
	t := in.Block
	if t.Index >= 0 {
		v.used |= FeatureMultiValue
		if !v.typeIndex(uint32(t.Index), FormFunc) {
			return
		}
	}
	if t.Type != 0 {
		t.Type = v.valType(t.Type)
	}
	if in.Op == OpIf {
		v.expect(I32)
	}
	var params []ValType
	if t.Index >= 0 {
		params = v.module.sigs[t.Index].ins()
	}
	v.popList(params)
	if in.Op == OpTryTable {
		for c := range in.Catches() {
			v.catches(c)
		}
	}
	v.open(in.Op, t)
	v.pushList(params)
}

// catches checks a clause of try_table against the label it branches to.
func (v *Validator) catches(c Catch) {
	if v.err != nil {
		return
	}
	var caught []ValType
	if !c.All {
		caught = v.exception(c.Tag)
	}
	label := v.label(v.target(c.Label))
	if v.err != nil {
		return
	}
	if c.Ref {
		if n := len(label) - 1; n >= 0 && v.module.matches(anyRef|HeapExn, label[n]) {
			label = label[:n]
		} else {
			v.fail(fmt.Errorf("%w: a clause hands on a reference to the exception, which label %d does not take", ErrType, c.Label))
			return
		}
	}
	v.spend(len(label))
	if !v.module.allMatch(caught, label) {
		v.fail(fmt.Errorf("%w: a clause hands on other values than label %d takes", ErrType, c.Label))
	}
}

// tag gives the type of tag i.
func (v *Validator) tag(i uint32) (sig, bool) {
	if int64(i) >= int64(len(v.module.m.Tags)) {
		v.fail(fmt.Errorf("%w %d", ErrUnknownTag, i))
		return sig{}, false
	}
	return v.module.sigs[v.module.m.Tags[i]], true
}

// exception gives what is thrown with tag i.
func (v *Validator) exception(i uint32) []ValType {
	tag, ok := v.tag(i)
	if !ok {
		return nil
	}
	if len(tag.outs()) > 0 {
		v.fail(fmt.Errorf("%w: tag %d has results and cannot be thrown", ErrType, i))
	}
	return tag.ins()
}

func (v *Validator) otherwise() {
	if v.blocks[len(v.blocks)-1].op != OpIf {
		v.fail(fmt.Errorf("%w: else without if", ErrMismatch))
		return
	}
	b := v.close()
	v.open(OpElse, b.is())
	v.pushList(v.params(&v.blocks[len(v.blocks)-1]))
}

func (v *Validator) end() {
	if b := &v.blocks[len(v.blocks)-1]; b.op == OpIf && (b.typ >= 0 || b.one[0] != 0) {
		// An if without else is one whose else does nothing.
		v.otherwise()
	}
	b := v.close()
	if len(v.blocks) > 0 && v.err == nil {
		v.pushList(v.results(&b))
	}
}

// brTable checks each label once, however often the table names it.
func (v *Validator) brTable(in *Instr) {
	v.expect(I32)
	arity := len(v.label(v.target(in.X)))
	for l := range in.Targets() {
		b := v.target(l)
		if v.err != nil {
			break
		}
		if b.seen {
			continue
		}
		b.seen = true
		types := v.label(b)
		if len(types) != arity {
			v.fail(fmt.Errorf("%w: labels of br_table take %d and %d operands", ErrType, arity, len(types)))
			break
		}
		v.peekList(types)
	}
	for l := range in.Targets() {
		if v.err != nil {
			return
		}
		v.target(l).seen = false
	}
	v.unreachable()
}

// selectAny is select without a type, for numbers and vectors.
func (v *Validator) selectAny() {
	v.expect(I32)
	a, b := v.pop(), v.pop()
	switch {
	case a.IsRef() || b.IsRef() || a == bottomRef || b == bottomRef:
		v.fail(fmt.Errorf("%w: select of a reference must name its type", ErrType))
	case a != b && a != bottom && b != bottom:
		v.mismatch(b, a)
	case a == bottom:
		v.push(b)
	default:
		v.push(a)
	}
}

func (v *Validator) selectTyped(in *Instr) {
	if in.X != 1 {
		v.fail(fmt.Errorf("%w: select of %d types", ErrArity, in.X))
		return
	}
	t := v.valType(in.Type)
	v.expect(I32)
	v.expect(t)
	v.expect(t)
	v.push(t)
}
