package wasm

import "fmt"

// A ConstExpr is a constant expression: the initial value of a global or table,
// or the offset of a segment.
type ConstExpr struct {
	Value  ConstValue
	Offset int64 // of its first byte in the file; 0 where there is no expression
	Size   int32 // bytes, end included
}

// A ConstKind says what is known of the value of a constant expression.
type ConstKind byte

// The kinds of constant values.
const (
	ConstUnknown ConstKind = iota // a float, a vector, an aggregate, or a sum of more than one global
	ConstNumber                   // Value, of i32 or i64 and then sign-extended
	ConstGlobal                   // the value of global Index plus Value, which mostly is 0
	ConstFunc                     // a reference to function Index
	ConstNull                     // a null reference
)

// A ConstValue is what a constant expression gives, as far as it is known
// without the imports.
type ConstValue struct {
	Value uint64
	Index uint32
	Kind  ConstKind
}

// constExpr steps over a constant expression and works out its value.
// Instructions other than those the core specification lists under "Constant
// Expressions" and those of the extended-const, GC and custom-descriptors
// proposals are ErrConstExpr.
func (r *reader) constExpr() ConstExpr {
	var fold folder
	var in Instr
	c := Code{r: *r}
	start := r.off
	for c.Next(&in) && in.Op != OpEnd {
		if !in.Op.constant() {
			c.r.off = len(c.r.buf)
			c.r.fail(int(in.Offset-r.base), fmt.Errorf("%w, not %v", ErrConstExpr, in.Op))
			break
		}
		fold.step(&in)
	}
	if c.r.err == nil && (c.r.off == start || in.Op != OpEnd) {
		c.r.short()
	}
	r.off, r.err = c.r.off, c.r.err
	return ConstExpr{Value: fold.value(), Offset: r.base + int64(start), Size: int32(r.off - start)}
}

// constant is whether the instruction may occur in a constant expression.
func (op Opcode) constant() bool {
	switch op {
	case OpI32Const, OpI64Const, OpF32Const, OpF64Const, OpV128Const, OpGlobalGet, OpRefFunc, OpRefNull,
		OpI32Add, OpI32Sub, OpI32Mul, OpI64Add, OpI64Sub, OpI64Mul,
		OpStructNew, OpStructNewDefault, OpStructNewDesc, OpStructNewDefDesc,
		OpArrayNew, OpArrayNewDefault, OpArrayNewFixed, OpRefI31, opRefI31Shared, OpAnyConvertExtern, OpExternConvertAny:
		return true
	default:
		return false
	}
}

// A folder evaluates numbers on a small stack. What it does not understand
// leaves it without a value.
type folder struct {
	stack [8]ConstValue
	n     int
	lost  bool
}

func (f *folder) push(v ConstValue) {
	if f.n == len(f.stack) {
		f.lost = true
		return
	}
	f.stack[f.n] = v
	f.n++
}

func (f *folder) value() ConstValue {
	if f.lost || f.n != 1 {
		return ConstValue{}
	}
	return f.stack[0]
}

func (f *folder) step(in *Instr) {
	switch in.Op {
	case OpI32Const, OpI64Const:
		f.push(ConstValue{Kind: ConstNumber, Value: in.Value})
	case OpGlobalGet:
		f.push(ConstValue{Kind: ConstGlobal, Index: in.X})
	case OpRefFunc:
		f.push(ConstValue{Kind: ConstFunc, Index: in.X})
	case OpRefNull:
		f.push(ConstValue{Kind: ConstNull})
	case OpI32Add, OpI32Sub, OpI32Mul, OpI64Add, OpI64Sub, OpI64Mul:
		if f.n < 2 {
			f.lost = true
			return
		}
		f.n--
		v := combine(in.Op, f.stack[f.n-1], f.stack[f.n])
		if in.Op == OpI32Add || in.Op == OpI32Sub || in.Op == OpI32Mul {
			v.Value = uint64(int64(int32(v.Value)))
		}
		f.stack[f.n-1] = v
	default:
		f.lost = true
	}
}

func combine(op Opcode, a, b ConstValue) ConstValue {
	numbers := a.Kind == ConstNumber && b.Kind == ConstNumber
	switch {
	case (op == OpI32Add || op == OpI64Add) && (numbers || a.Kind == ConstGlobal && b.Kind == ConstNumber):
		a.Value += b.Value
		return a
	case (op == OpI32Add || op == OpI64Add) && a.Kind == ConstNumber && b.Kind == ConstGlobal:
		b.Value += a.Value
		return b
	case (op == OpI32Sub || op == OpI64Sub) && b.Kind == ConstNumber && (numbers || a.Kind == ConstGlobal):
		a.Value -= b.Value
		return a
	case (op == OpI32Mul || op == OpI64Mul) && numbers:
		a.Value *= b.Value
		return a
	}
	return ConstValue{}
}
