package signal

import (
	"encoding/binary"
	"fmt"
	"math/bits"

	"github.com/wreg-project/wreg/inspect/text"
	"github.com/wreg-project/wreg/inspect/wasm"
)

// A Visitor looks at the instructions of some functions of one module, in the
// order in which a validator or decoder meets them. Each goroutine has its own.
// It allocates nothing while it looks at a function.
type Visitor struct {
	m        *wasm.Binary
	pointers *text.Pointers
	f        Findings
	shape    shape

	index int // of the body at hand
	fn    function
	loops []int32 // depths at which the loops begin that are open
}

// A function is what was counted in one function.
type function struct {
	instructions int
	depth        int32
	blocks       int
	calls        int
	plain        bool // nothing but calls, locals, globals and constants

	// recent are the last eight one-byte opcodes, the latest lowest. What adds
	// up to a constant or to nothing stands there as such, so that splitting
	// constants and inserting nothings hides little.
	recent    uint64
	locals    [2]uint32 // of the last local.get instructions, the latest first
	constants [2]uint64 // the last ones, the latest first

	dead, deadDepth, unreachable int // behind an unconditional branch: whether, open blocks, instructions

	loopWork, loopBits int // operations in loops, and those on bits
	scratchpad         int // constants that mask addresses of 2 MiB, in loops

	targets  int // of the largest br_table in a loop
	selector int64
	settings int // constants given to the selector

	constant int // conditions
	padded   int // numbers with unusual padding
	paddedAt int64

	marks [algoCount][2]uint64 // which constants of each algorithm were seen
	seen  uint64               // bit set of algorithms in marks
}

// A shape is what is known of all functions of one module together.
type shape struct {
	module    int64
	functions int // of which the rest was seen
	wrappers  int
	tables    int   // functions with a loop that dispatches on a local
	flat      tally // functions whose control flow is flattened
	bodies    int   // of the module
}

// NewVisitor makes a visitor for functions of m. The numbers in the code that
// are addresses of data are added to p, which may be nil.
func NewVisitor(m *wasm.Binary, p *text.Pointers) *Visitor {
	prepare()
	return &Visitor{
		m: m, pointers: p, f: Findings{module: m.Offset}, shape: shape{module: m.Offset, bodies: len(m.Module.Code)},
	}
}

// Begin turns to body i of the code section.
func (v *Visitor) Begin(i int) {
	v.index = i
	marks, seen := v.fn.marks, v.fn.seen
	v.fn = function{plain: true, selector: -1}
	if seen != 0 {
		for a := range marks {
			marks[a] = [2]uint64{}
		}
	}
	v.fn.marks = marks
	v.loops = v.loops[:0]
}

// The classes of instructions.
const (
	classOther = iota
	classBits  // xor, and, or, shifts, rotations, addition
	classI32
	classI64
	classOpen
	classLoop
	classIf
	classElse
	classEnd
	classJump // never goes on behind it
	classTable
	classCond
	classCall
	classGet
	classSet
	classNeutral // moves values about
	classDrop
	classNop
)

// Two constants in a row, as recent has them.
const (
	twoI32 = uint16(wasm.OpI32Const)<<8 | uint16(wasm.OpI32Const)
	twoI64 = uint16(wasm.OpI64Const)<<8 | uint16(wasm.OpI64Const)
)

var opClass = func() (t [256]uint8) {
	set := func(class uint8, ops ...wasm.Opcode) {
		for _, op := range ops {
			t[op] = class
		}
	}
	set(classBits, wasm.OpI32Add, wasm.OpI32And, wasm.OpI32Or, wasm.OpI32Xor, wasm.OpI32Shl, wasm.OpI32ShrS, wasm.OpI32ShrU,
		wasm.OpI32Rotl, wasm.OpI32Rotr, wasm.OpI64Add, wasm.OpI64And, wasm.OpI64Or, wasm.OpI64Xor, wasm.OpI64Shl, wasm.OpI64ShrS,
		wasm.OpI64ShrU, wasm.OpI64Rotl, wasm.OpI64Rotr)
	set(classI32, wasm.OpI32Const)
	set(classI64, wasm.OpI64Const)
	set(classOpen, wasm.OpBlock, wasm.OpTry, wasm.OpTryTable)
	set(classLoop, wasm.OpLoop)
	set(classIf, wasm.OpIf)
	set(classElse, wasm.OpElse, wasm.OpCatch, wasm.OpCatchAll)
	set(classEnd, wasm.OpEnd, wasm.OpDelegate)
	set(classJump, wasm.OpBr, wasm.OpReturn, wasm.OpUnreachable, wasm.OpThrow, wasm.OpRethrow, wasm.OpThrowRef,
		wasm.OpReturnCall, wasm.OpReturnCallIndirect, wasm.OpReturnCallRef)
	set(classTable, wasm.OpBrTable)
	set(classCond, wasm.OpBrIf)
	set(classCall, wasm.OpCall, wasm.OpCallIndirect, wasm.OpCallRef)
	set(classGet, wasm.OpLocalGet)
	set(classSet, wasm.OpLocalSet, wasm.OpLocalTee)
	set(classDrop, wasm.OpDrop)
	set(classNeutral, wasm.OpSelect, wasm.OpGlobalGet, wasm.OpGlobalSet)
	set(classNop, wasm.OpNop)
	return t
}()

// Visit looks at the next instruction of the body.
func (v *Visitor) Visit(in *wasm.Instr) {
	fn := &v.fn
	fn.instructions++
	if in.End-in.Offset > 2 {
		v.width(in)
	}
	if fn.dead != 0 {
		fn.unreachable++
	}
	if in.Op > 0xff {
		v.prefixed(in)
		fn.recent <<= 8
		return
	}
	switch opClass[in.Op] {
	case classOther:
		fn.plain = false
		if len(v.loops) > 0 {
			fn.loopWork++
		}
	case classBits:
		fn.plain = false
		if len(v.loops) > 0 {
			fn.loopWork++
			fn.loopBits++
		}
		if r := uint16(fn.recent); (r == twoI32 || r == twoI64) && v.fold(in.Op) {
			return
		}
	case classI32:
		fn.constants[0], fn.constants[1] = in.Value, fn.constants[0]
		v.constant32(uint32(in.Value))
	case classI64:
		fn.constants[0], fn.constants[1] = in.Value, fn.constants[0]
		v.constant64(in.Value)
	case classOpen:
		v.open()
	case classLoop:
		v.loops = append(v.loops, fn.depth)
		v.open()
	case classIf:
		v.condition()
		v.open()
	case classElse:
		if fn.deadDepth == 0 {
			fn.dead = 0
		}
	case classEnd:
		v.end()
	case classJump:
		if in.Op == wasm.OpReturnCall || in.Op == wasm.OpReturnCallIndirect {
			fn.calls++
		}
		fn.dead = 1
	case classTable:
		fn.plain = false
		v.table(in)
		fn.dead = 1
	case classCond:
		fn.plain = false
		v.condition()
	case classCall:
		fn.calls++
	case classGet:
		fn.locals[0], fn.locals[1] = in.X, fn.locals[0]
	case classSet:
		if int64(in.X) == fn.selector {
			v.setting()
		}
	case classDrop:
		if op := wasm.Opcode(fn.recent & 0xff); op == wasm.OpLocalGet || op == wasm.OpI32Const || op == wasm.OpI64Const {
			fn.recent >>= 8
			if op == wasm.OpLocalGet {
				fn.locals[0] = fn.locals[1]
			}
			return
		}
	case classNop:
		return
	}
	fn.recent = fn.recent<<8 | uint64(in.Op)
}

func (v *Visitor) open() {
	fn := &v.fn
	fn.plain = false
	fn.depth++
	fn.blocks++
	if fn.dead != 0 {
		fn.deadDepth++
	}
}

func (v *Visitor) end() {
	fn := &v.fn
	fn.depth--
	if n := len(v.loops); n > 0 && v.loops[n-1] == fn.depth {
		v.loops = v.loops[:n-1]
	}
	if fn.dead == 0 {
		return
	}
	if fn.deadDepth == 0 {
		fn.dead = 0
		fn.unreachable-- // the end itself is no part of what is dead
		return
	}
	fn.deadDepth--
}

// table looks at a br_table: whether it dispatches in a loop, and on what.
func (v *Visitor) table(in *wasm.Instr) {
	fn := &v.fn
	if len(v.loops) == 0 || int(in.Y) <= fn.targets {
		return
	}
	fn.targets, fn.selector = int(in.Y), -1
	if wasm.Opcode(fn.recent&0xff) == wasm.OpLocalGet {
		fn.selector = int64(fn.locals[0])
	}
}

// setting counts what the selector of the dispatcher is set to: a constant, or
// one of two.
func (v *Visitor) setting() {
	switch wasm.Opcode(v.fn.recent & 0xff) {
	case wasm.OpI32Const, wasm.OpI64Const:
		v.fn.settings++
	case wasm.OpSelect:
		v.fn.settings += 2
	default:
	}
}

const (
	opI32Eqz  = 0x45
	opI64Eqz  = 0x50
	opI32RemS = 0x6f
	opI32RemU = 0x70
)

// condition looks at what the condition of a branch is made of: a constant, or
// a product modulo two.
func (v *Visitor) condition() {
	r := v.fn.recent
	if op := r & 0xff; op == opI32Eqz || op == opI64Eqz {
		r >>= 8
	}
	a, b, c := wasm.Opcode(r&0xff), wasm.Opcode(r>>8&0xff), wasm.Opcode(r>>16&0xff)
	switch {
	case a == wasm.OpI32Const || a == wasm.OpI64Const:
		v.fn.constant++
	case (a == wasm.OpI32And || a == opI32RemS || a == opI32RemU) && b == wasm.OpI32Const && c == wasm.OpI32Mul:
		v.fn.constant++
	}
}

// small is the distance from zero within which numbers are too common to mean
// anything.
const small = 1 << 16

func (v *Visitor) constant32(n uint32) {
	if v.pointers != nil {
		v.pointers.Add(uint64(n))
	}
	if n+small < 2*small {
		return
	}
	v.lookUp(uint64(n), false)
}

func (v *Visitor) constant64(n uint64) {
	if v.pointers != nil {
		v.pointers.Add(n)
	}
	if n+small < 2*small {
		return
	}
	v.lookUp(n, true)
	if high := n >> 32; high == 0 || high == 1<<32-1 {
		v.lookUp(n&(1<<32-1), false) // compilers without 32-bit arithmetic, as Go's
	}
}

// fold puts the result of an operation in the place of the two constants before
// it. Compilers do that themselves; tools that hide constants split them so.
func (v *Visitor) fold(op wasm.Opcode) bool {
	fn := &v.fn
	a, b := fn.constants[1], fn.constants[0]
	switch op {
	case wasm.OpI32Xor, wasm.OpI64Xor:
		a ^= b
	case wasm.OpI32Add, wasm.OpI64Add:
		a += b
	case wasm.OpI32Or, wasm.OpI64Or:
		a |= b
	case wasm.OpI32And, wasm.OpI64And:
		a &= b
	default:
		return false
	}
	if wasm.Opcode(fn.recent&0xff) == wasm.OpI32Const {
		v.lookUp(uint64(uint32(a)), false)
	} else {
		v.lookUp(a, true)
	}
	fn.constants[0] = a
	fn.recent >>= 8
	return true
}

// prefixed looks at an instruction of two parts.
func (v *Visitor) prefixed(in *wasm.Instr) {
	fn := &v.fn
	fn.plain = false
	if in.Op == wasm.OpV128Const {
		if b := in.Bytes; len(b) == 16 {
			for i := 0; i < 16; i += 8 {
				n := binary.LittleEndian.Uint64(b[i:])
				v.lookUp(n, true)
				v.lookUp(n&(1<<32-1), false)
				v.lookUp(n>>32, false)
			}
		}
		return
	}
	if len(v.loops) > 0 {
		fn.loopWork++
		if isVectorBits(in.Op) {
			fn.loopBits++
		}
	}
}

// isVectorBits reports whether op is v128.and, andnot, or, xor, or a shift or
// addition of lanes of 32 or 64 bits.
func isVectorBits(op wasm.Opcode) bool {
	const vector = 0xfd << 16
	switch n := op - vector; {
	case op < vector || op > vector|0xffff:
		return false
	case n >= 0x4e && n <= 0x51, n >= 0xab && n <= 0xae, n >= 0xcb && n <= 0xce:
		return true
	}
	return false
}

// lookUp notes the algorithms that n is a constant of.
func (v *Visitor) lookUp(n uint64, wide bool) {
	h := numberSlot(n, wide)
	if numberFilter[h>>6]>>(h&63)&1 == 0 {
		return
	}
	for k := h % len(numberIndex); numberIndex[k].value != 0; k = (k + 1) % len(numberIndex) {
		e := &numberIndex[k]
		if e.value != n || e.wide != wide {
			continue
		}
		v.fn.marks[e.algo][e.bit>>6] |= 1 << (e.bit & 63)
		v.fn.seen |= 1 << e.algo
		if e.algo == algoCryptoNight && len(v.loops) > 0 {
			v.fn.scratchpad++
		}
	}
}

// numberIndex finds numbers by value, numberFilter says quickly that a value is
// none of them.
var (
	numberIndex  [2048]number
	numberFilter [1 << 10]uint64
)

// numberSlot spreads a constant over 16 bits.
func numberSlot(n uint64, wide bool) int {
	if wide {
		n ^= 0x5555
	}
	return int(hash(n))
}

func prepareNumbers() {
	numbers = makeNumbers()
	for _, n := range numbers {
		h := numberSlot(n.value, n.wide)
		numberFilter[h>>6] |= 1 << (h & 63)
		k := h % len(numberIndex)
		for numberIndex[k].value != 0 {
			k = (k + 1) % len(numberIndex)
		}
		numberIndex[k] = n
	}
}

// width looks for numbers in more bytes than they need. Linkers reserve five
// bytes for what they fill in, ten of a 64-bit address, and nothing else does.
func (v *Visitor) width(in *wasm.Instr) {
	size, odd := int(in.End-in.Offset)-1, false
	switch in.Imm {
	case wasm.ImmLocal, wasm.ImmLabel:
		odd = size != unsignedSize(uint64(in.X))
	case wasm.ImmFunc, wasm.ImmGlobal, wasm.ImmTable, wasm.ImmTag, wasm.ImmType:
		// Go writes the index of what is called as a signed number.
		odd = in.Op <= 0xff && size != 5 && size != unsignedSize(uint64(in.X)) && size != signedSize(int64(in.X))
	case wasm.ImmI32:
		odd = size != 5 && size != signedSize(int64(in.Value))
	case wasm.ImmI64:
		odd = size != 5 && size != 10 && size != signedSize(int64(in.Value))
	case wasm.ImmMemArg:
		if in.Op <= 0xff && in.X == 0 {
			size--
			odd = size != 5 && size != 10 && size != unsignedSize(in.Value)
		}
	default:
	}
	if odd {
		if v.fn.padded == 0 {
			v.fn.paddedAt = in.Offset
		}
		v.fn.padded++
	}
}

// unsignedSize and signedSize are the bytes that a number needs in LEB128.
func unsignedSize(n uint64) int { return (bits.Len64(n|1) + 6) / 7 }
func signedSize(n int64) int    { return (bits.Len64(uint64(n^n>>63)) + 7) / 7 }

// Limits from which the shape of a function is remarkable.
const (
	flatTargets       = 8   // of the dispatcher
	dispatcherTargets = 64  // of one that is no sign of disguise
	wrapperSize       = 12  // instructions at most
	constantLimit     = 8   // branches
	deadLimit         = 256 // instructions
	loopLimit         = 200 // operations in loops
)

// End finishes the function.
func (v *Visitor) End() {
	fn := &v.fn
	v.shape.functions++
	if fn.plain && fn.calls == 1 && fn.instructions <= wrapperSize {
		v.shape.wrappers++
	}
	v.algorithms()
	v.dispatcher()
	if fn.constant >= constantLimit {
		v.add(ruleConstantCondition, min(30, 10+fn.constant/2), "%d branches on constants of %d instructions", fn.constant, fn.instructions)
	}
	if fn.unreachable >= deadLimit && 10*fn.unreachable >= fn.instructions {
		v.add(ruleDeadInstructions, min(25, 10+fn.unreachable/100), "%d of %d instructions", fn.unreachable, fn.instructions)
	}
	if fn.loopWork >= loopLimit && 10*fn.loopBits >= 6*fn.loopWork {
		v.add(ruleHashLoop, 10, "%d of %d operations in loops are on bits", fn.loopBits, fn.loopWork)
	}
	if fn.padded > 0 {
		p := v.place()
		p.Offset = fn.paddedAt
		n := fn.padded
		v.f.add(rulePaddedNumber, min(30, 10+n), p, func() string { return fmt.Sprintf("%d numbers in the function", n) })
	}
}

func (v *Visitor) place() Place {
	f := uint32(v.m.Module.Imported() + v.index)
	return Place{Offset: v.m.Module.Code[v.index].Offset, Section: "code", Function: &f}
}

func (v *Visitor) add(r rule, score int, format string, args ...any) {
	v.f.add(r, score, v.place(), func() string { return fmt.Sprintf(format, args...) })
}

// algorithms counts the algorithms of which the function has enough constants.
func (v *Visitor) algorithms() {
	for left := v.fn.seen; left != 0; left &= left - 1 {
		a := algo(bits.TrailingZeros64(left))
		marks := v.fn.marks[a]
		n := bits.OnesCount64(marks[0]) + bits.OnesCount64(marks[1])
		if n < algorithms[a].need || a == algoCryptoNight && v.fn.scratchpad < 2 {
			continue
		}
		u := &v.f.algorithms[a]
		u.functions++
		p := v.place()
		p.Module = v.m.Offset
		u.add(p)
	}
}

// dispatcher tells flattened control flow, whose state is set to constants by
// the code it leads to, from loops that read what to do from memory.
func (v *Visitor) dispatcher() {
	fn := &v.fn
	if fn.selector >= 0 {
		v.shape.tables++
	}
	switch {
	case fn.targets >= flatTargets && 2*fn.settings >= fn.targets && 2*fn.targets >= fn.blocks:
		p := v.place()
		p.Module = v.m.Offset
		v.shape.flat.count++
		v.shape.flat.insert(Find{
			Place: p, Score: min(50, 30+fn.targets/8),
			Evidence: fmt.Sprintf("%d targets, %d constants for the selector, %d blocks", fn.targets, fn.settings, fn.blocks),
		})
	case fn.targets >= dispatcherTargets:
		v.add(ruleDispatcher, 10, "br_table of %d targets in a loop", fn.targets)
	}
}

// Findings gives what was found in the functions seen so far.
func (v *Visitor) Findings() *Findings {
	f := v.f
	f.shapes = []shape{v.shape}
	return &f
}

// addShape adds what another visitor saw of a module.
func (f *Findings) addShape(s shape) {
	for i := range f.shapes {
		t := &f.shapes[i]
		if t.module == s.module {
			t.functions += s.functions
			t.wrappers += s.wrappers
			t.tables += s.tables
			t.flat.count += s.flat.count
			for _, v := range s.flat.kept {
				t.flat.insert(v)
			}
			return
		}
	}
	s.flat.kept = append([]Find(nil), s.flat.kept...)
	f.shapes = append(f.shapes, s)
}

// weighShapes reports what only all functions of a module tell.
func (f *Findings) weighShapes() {
	const few = 200
	for _, s := range f.shapes {
		// What many functions have in common is the compiler's work.
		if 10*s.tables <= s.bodies || s.tables < 3 {
			f.rules[ruleFlattened].count += s.flat.count
			for _, v := range s.flat.kept {
				f.rules[ruleFlattened].insert(v)
			}
		}
		if s.bodies >= few && 5*s.wrappers > 2*s.bodies {
			f.module = s.module
			f.add(ruleWrappers, 15, Place{Section: "code"}, func() string {
				return fmt.Sprintf("%d of %d functions", s.wrappers, s.bodies)
			})
		}
	}
}
