package wasm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"sort"
)

// An Instr is one instruction of a function body or constant expression. The
// kind of its immediates, Imm, says which of the fields after End are set; the
// others may hold what an earlier instruction left there.
type Instr struct {
	Op  Opcode
	Imm Imm

	// Offset is that of the instruction's first byte in the file and End that
	// of the first byte after its immediates.
	Offset int64
	End    int64

	X, Y  uint32 // indices, in the order of the format; 0 where there are none
	Value uint64
	Align uint32 // logarithm of the alignment of an access to memory
	Block BlockType
	Type  ValType
	Type2 ValType
	Bytes []byte // a part of the file

	info *opInfo
}

// A BlockType is the type of a block: that of a function without name, of one
// result or of none.
type BlockType struct {
	Index int32   // of a function type, -1 without one
	Type  ValType // the result, 0 without one or with an index
}

// Targets gives the labels of a br_table, the default last.
func (in *Instr) Targets() iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		for p := in.Bytes; len(p) > 0; {
			var l uint32
			for shift := 0; ; shift += 7 { // read before, so there is an end
				b := p[0]
				p = p[1:]
				l |= uint32(b&0x7f) << shift
				if b < 0x80 {
					break
				}
			}
			if !yield(l) {
				return
			}
		}
		yield(in.X)
	}
}

// A Catch is a clause of a try_table. Tag means nothing where All is set.
type Catch struct {
	Label uint32
	Tag   uint32
	All   bool // catches every exception
	Ref   bool // hands on a reference to the exception
}

// Catches gives the clauses of a try_table.
func (in *Instr) Catches() iter.Seq[Catch] {
	return func(yield func(Catch) bool) {
		r := reader{buf: in.Bytes}
		for range in.Y {
			if !yield(r.catch()) {
				return
			}
		}
	}
}

// Codes of the clauses of try_table.
const (
	catchRef = 1
	catchAll = 2
)

func (r *reader) catch() Catch {
	b := r.u8()
	if b > catchAll|catchRef {
		r.code("a catch clause", b)
	}
	c := Catch{All: b&catchAll != 0, Ref: b&catchRef != 0}
	if !c.All {
		c.Tag = r.u32()
	}
	c.Label = r.u32()
	return c
}

// A Handler is a clause of a resume instruction. Label means nothing where
// Switch is set.
type Handler struct {
	Tag    uint32
	Label  uint32
	Switch bool
}

// Handlers gives the clauses of a resume instruction.
func (in *Instr) Handlers() iter.Seq[Handler] {
	return func(yield func(Handler) bool) {
		r := reader{buf: in.Bytes}
		for range in.Y {
			if !yield(r.handler()) {
				return
			}
		}
	}
}

func (r *reader) handler() Handler {
	b := r.u8()
	if b > 1 {
		r.code("a clause of resume", b)
	}
	h := Handler{Tag: r.u32(), Switch: b == 1}
	if !h.Switch {
		h.Label = r.u32()
	}
	return h
}

// Locals is a number of locals of one type, as functions declare them.
type Locals struct {
	Count uint32
	Type  ValType
}

// Code reads the instructions of one body after another, without allocating
// once it has seen the largest ones. It takes the format at its word and does
// not check that blocks are closed or indices exist; [Validator] does. The zero
// value is ready for Reset.
type Code struct {
	r      reader
	b      *Binary
	locals []Locals
	limit  budget
}

// Reset turns to a body of the module b, which must come from [Parse], and reads
// the declarations of its locals.
func (c *Code) Reset(b *Binary, body Body) {
	c.b = b
	c.limit = budget{bytes: 1 << 62}
	c.r = reader{buf: b.Bytes(body.Offset, body.Size), base: body.Offset, entry: -1, budget: &c.limit}
	c.locals = c.locals[:0]
	total := uint64(0)
	for range c.r.count(2, MaxLocals) {
		start := c.r.off
		l := Locals{Count: c.r.u32(), Type: c.r.valType(false)}
		total += uint64(l.Count)
		if total > MaxLocals {
			c.r.fail(start, fmt.Errorf("%w: too many locals, more than %d", ErrLimit, MaxLocals))
		}
		if c.r.err != nil {
			return
		}
		c.locals = append(c.locals, l)
	}
}

// Locals gives the declared locals of the body, which follow the parameters. It
// is valid until the next Reset.
func (c *Code) Locals() []Locals { return c.locals }

// Err is the error that ended the instructions early, an [*Error].
func (c *Code) Err() error {
	if c.r.err == nil {
		return nil
	}
	var at *Error
	if c.b != nil && errors.As(c.r.err, &at) && at.Doing == "" {
		at.Doing = c.b.place(at.Offset)
	}
	return c.r.err
}

// place names the function in whose body a byte of the file lies.
func (b *Binary) place(off int64) string {
	code := b.Module.Code
	i := sort.Search(len(code), func(i int) bool { return code[i].Offset > off }) - 1
	return fmt.Sprintf("function %d", b.Module.Imported()+max(i, 0))
}

// Next reads one instruction into in. It is false at the end of the body and at
// the first byte that makes no sense, which Err tells apart.
func (c *Code) Next(in *Instr) bool {
	r := &c.r
	if r.off >= len(r.buf) {
		return false
	}
	b := r.buf[r.off]
	in.Offset = r.base + int64(r.off)
	r.off++
	info := &plainOps[b]
	in.Op = Opcode(b)
	in.info, in.Imm = info, info.imm
	in.X, in.Y = 0, 0
	switch info.imm {
	case ImmNone:
	case ImmLocal, ImmLabel, ImmFunc, ImmGlobal, ImmTag, ImmType, ImmTable, ImmMemory, ImmElem, ImmData:
		// This is u32, which the compiler does not copy here by itself.
		if r.off < len(r.buf) && r.buf[r.off] < 0x80 {
			in.X = uint32(r.buf[r.off])
			r.off++
		} else {
			in.X = uint32(r.uleb(32))
		}
	case ImmI32:
		in.Value = uint64(r.s32())
	case ImmMemArg:
		r.memArg(in)
	case ImmBlock:
		in.Block = r.blockType()
	case ImmI64:
		in.Value = uint64(r.sleb(64))
	case ImmF32:
		if p := r.bytes(4); p != nil {
			in.Value = uint64(binary.LittleEndian.Uint32(p))
		}
	case ImmF64:
		if p := r.bytes(8); p != nil {
			in.Value = binary.LittleEndian.Uint64(p)
		}
	case immMore:
		r.twoPart(in, b)
	default:
		r.immediates(in)
	}
	in.End = r.base + int64(r.off)
	return r.err == nil
}

// An OpSet is a set of opcodes of one byte, for [Code.Seek].
type OpSet [256]bool

// Seek goes on to the next instruction whose opcode is in the set and reads it
// into in, or reads one that has a rare kind of immediates. It passes over the
// others faster than Next would, but is otherwise like it.
func (c *Code) Seek(set *OpSet, in *Instr) bool {
	r := &c.r
	for r.off < len(r.buf) {
		b := r.buf[r.off]
		if set[b] {
			break
		}
		n := r.after(r.off+1, plainOps[b].imm)
		if n < 0 {
			break
		}
		r.off = n
	}
	return c.Next(in)
}

// after gives where immediates end that begin at an offset, -1 if it takes more to
// tell or something is wrong with them.
func (r *reader) after(at int, imm Imm) int {
	switch imm {
	case ImmNone:
		return at
	case ImmLocal, ImmLabel, ImmFunc, ImmGlobal:
		return r.afterShort(at)
	case ImmMemArg:
		if at >= len(r.buf) || r.buf[at] >= 0x40 {
			return -1
		}
		return r.afterShort(at + 1)
	case ImmBlock:
		if at < len(r.buf) && (r.buf[at] == 0x40 || r.buf[at] >= F64Code && r.buf[at] <= I32Code) {
			return at + 1
		}
		return -1
	default:
		return -1
	}
}

// afterShort passes over a number of up to four bytes, which cannot be too large.
func (r *reader) afterShort(at int) int {
	for end := min(at+4, len(r.buf)); at < end; at++ {
		if r.buf[at] < 0x80 {
			return at + 1
		}
	}
	return -1
}

// twoPart reads the rest of an instruction whose first byte is b: the number
// after a prefix, and the immediates.
func (r *reader) twoPart(in *Instr, b byte) {
	start := r.off - 1
	if b >= prefixGC && b <= prefixAtomic {
		in.Op = Opcode(b)<<16 | Opcode(min(r.u32(), 0xffff))
	}
	info := in.Op.info()
	if info == nil {
		r.fail(start, fmt.Errorf("%w %v", ErrOpcode, in.Op))
		return
	}
	in.info, in.Imm = info, info.imm
	switch info.imm {
	case ImmNone:
	case ImmMemArg:
		r.memArg(in)
	case ImmType, ImmTable, ImmMemory, ImmElem, ImmData:
		in.X = r.u32()
	default:
		r.immediates(in)
	}
}

// s32 is sleb(32); most constants take one byte.
func (r *reader) s32() int64 {
	if r.off < len(r.buf) && r.buf[r.off] < 0x80 {
		r.off++
		return int64(int8(r.buf[r.off-1]<<1) >> 1)
	}
	return r.sleb(32)
}

// immediates reads those that are rare.
func (r *reader) immediates(in *Instr) {
	switch in.Imm {
	case ImmLabels:
		r.targets(in)
	case ImmTryTable:
		in.Block = r.blockType()
		in.Y = uint32(r.count(2, MaxLabels))
		start := r.off
		for range in.Y {
			r.catch()
		}
		in.Bytes = r.buf[start:r.off]
	case ImmCallIndirect, ImmTypes, ImmTypeTag, ImmTypeField, ImmTypeCount, ImmTypeData, ImmTypeElem,
		ImmTables, ImmElemTable, ImmDataMemory, ImmMemories:
		in.X = r.u32()
		in.Y = r.u32()
	case ImmMemArgLane:
		r.memArg(in)
		in.Y = uint32(r.u8())
	case ImmV128, ImmShuffle:
		in.Bytes = r.bytes(16)
	case ImmLane:
		in.X = uint32(r.u8())
	case ImmSelect:
		in.X = uint32(r.count(1, MaxResults))
		in.Type = 0
		for range in.X {
			in.Type = r.valType(false)
		}
	case ImmHeap:
		in.Type = anyRef | r.heapType()
		if in.info.size != 0 {
			in.Type |= typeNull
		}
	case ImmCast:
		r.cast(in)
	case ImmFence:
		if b := r.u8(); b != 0 {
			r.code("the order of a fence", b)
		}
	case ImmOrderGlobal, ImmOrderTable, ImmOrderType:
		in.Y = r.order()
		in.X = r.u32()
	case ImmOrderField:
		in.Value = uint64(r.order())
		in.X = r.u32()
		in.Y = r.u32()
	case ImmResume, ImmResumeThrow:
		r.resume(in)
	default: // the others do not come here
	}
}

// targets reads the labels of br_table.
func (r *reader) targets(in *Instr) {
	n := r.count(1, MaxLabels)
	start := r.off
	for range n {
		r.u32()
	}
	in.Bytes = r.buf[start:r.off]
	in.X, in.Y = r.u32(), uint32(n)
}

func (r *reader) cast(in *Instr) {
	flags := r.u8()
	if flags > 3 {
		r.code("the flags of a cast", flags)
	}
	in.X = r.u32()
	in.Type, in.Type2 = anyRef|r.heapType(), anyRef|r.heapType()
	if flags&1 != 0 {
		in.Type |= typeNull
	}
	if flags&2 != 0 {
		in.Type2 |= typeNull
	}
}

// order reads a memory order: sequentially consistent, or acquire and release.
func (r *reader) order() uint32 {
	b := r.u8()
	if b > 1 {
		r.code("a memory order", b)
	}
	return uint32(b)
}

func (r *reader) resume(in *Instr) {
	in.X = r.u32()
	if in.Imm == ImmResumeThrow {
		in.Value = uint64(r.u32())
	}
	in.Y = uint32(r.count(2, MaxLabels))
	start := r.off
	for range in.Y {
		r.handler()
	}
	in.Bytes = r.buf[start:r.off]
}

// memArg reads the immediates of an access to memory: alignment and offset, and
// where bit 6 of the alignment is set the memory between them.
func (r *reader) memArg(in *Instr) {
	start := r.off
	flags := r.u32()
	if flags >= 0x80 {
		r.fail(start, fmt.Errorf("%w 0x%x: malformed memop flags", ErrCode, flags))
	}
	if flags&0x40 != 0 {
		in.X = r.u32()
		flags &^= 0x40
	}
	in.Align = flags
	if r.off < len(r.buf) && r.buf[r.off] < 0x80 {
		in.Value = uint64(r.buf[r.off])
		r.off++
		return
	}
	in.Value = r.uleb(64)
}

func (r *reader) blockType() BlockType {
	switch b := r.peek(); {
	case b == 0x40:
		r.u8()
		return BlockType{Index: -1}
	case b >= V128Code && b <= I32Code, b == 0x63, b == RefCode, b == codeShared, abstract[b] != "":
		return BlockType{Index: -1, Type: r.valType(false)}
	}
	start := r.off
	n := r.sleb(33)
	switch {
	case n < 0:
		r.fail(start, fmt.Errorf("%w for a block type", ErrCode))
	case n >= MaxTypes:
		r.fail(start, fmt.Errorf("%w %d", ErrUnknownType, n))
	}
	return BlockType{Index: int32(n)}
}
