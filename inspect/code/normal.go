package code

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"

	"github.com/wreg-project/wreg/inspect/wasm"
)

// The normalised hash is taken of a canonical stream, in which everything that a
// linker decides is replaced by something that it does not:
//
//   - A function is told by the order of its first mention in the body, and then
//     its type; the function itself is always 0. Globals, tags, tables, memories
//     and segments are told likewise, by themselves.
//   - A type is told by its structure.
//   - A constant or an offset of a memory access that may be an address is told
//     only to be that: one from 1,024, where linkers begin to lay out data, up
//     to 64 MiB or the end of the module's data, whichever is more. The range
//     does not depend on the size of the data of ordinary modules, or else
//     a number would be an address in one program and a number in the other.
//   - An i32.const of five bytes where fewer would do, as linkers write
//     what they filled in, that is an index of a table, is an address, too.
//   - Numbers are written in the shortest form, whatever form the body has, and
//     adjacent declarations of locals of one type are one.
//
// So two bodies of the same normalised hash may differ in a number in that
// range, and in which function of a type they call; those of different hash do
// differ in more than that.

// An ordinalKind tells apart what is numbered by first mention.
type ordinalKind uint64

const (
	kindFunc ordinalKind = iota
	kindGlobal
	kindTag
	kindTable
	kindMemory
	kindElem
	kindData
	kindRef      // functions, for edges
	kindIndirect // words of edges
	kinds
)

// ordinals numbers what a function mentions, by kind, in the order of first
// mentions. It is a hash table that remembers maxOrdinals of them; anything
// after those has the same number.
type ordinals struct {
	slots [4 * maxOrdinals]slot
	next  [kinds]uint32
	used  int
	epoch uint32 // slots of another are free
	full  bool
}

type slot struct {
	key   uint64
	epoch uint32
	num   uint32
}

const maxOrdinals = 1 << 10

func (o *ordinals) reset() {
	if o.epoch++; o.epoch == 0 {
		o.slots = [len(o.slots)]slot{}
		o.epoch = 1
	}
	o.next = [kinds]uint32{}
	o.used, o.full = 0, false
}

// number gives the ordinal of an index, and whether this is its first mention,
// which it may be again once the table is full.
func (o *ordinals) number(kind ordinalKind, index uint32) (num uint32, fresh bool) {
	key := uint64(kind)<<32 | uint64(index)
	for i := key * 0x9e3779b97f4a7c15 >> 40; ; i++ {
		s := &o.slots[i%uint64(len(o.slots))]
		if s.epoch != o.epoch {
			if o.used == maxOrdinals {
				o.full = true
				return maxOrdinals, true
			}
			o.used++
			*s = slot{key: key, epoch: o.epoch, num: o.next[kind]}
			o.next[kind]++
			return s.num, true
		}
		if s.key == key {
			return s.num, false
		}
	}
}

// ordinal adds the number of an index to the stream.
func (w *Worker) ordinal(kind ordinalKind, index uint32) bool {
	num, fresh := w.names.number(kind, index)
	w.number(uint64(num))
	return fresh
}

// function adds a function to the stream, and reports its first mention.
func (w *Worker) function(f uint32) bool {
	fresh := w.ordinal(kindFunc, f)
	if fresh && int64(f) < int64(len(w.bl.m.Functions)) {
		w.typ(w.bl.m.Functions[f])
	}
	return fresh
}

func (w *Worker) global(g uint32) {
	if !w.ordinal(kindGlobal, g) || int64(g) >= int64(len(w.bl.m.Globals)) {
		return
	}
	t := w.bl.m.Globals[g]
	if t.Type.IsRef() {
		w.edge(edgeOther | edgeGlobal | g&typeMask)
	}
	w.valType(t.Type)
	w.put(flags(t.Mutable, t.Shared))
}

func (w *Worker) tag(t uint32) {
	if w.ordinal(kindTag, t) && int64(t) < int64(len(w.bl.m.Tags)) {
		w.typ(w.bl.m.Tags[t])
	}
}

func (w *Worker) typ(t uint32) {
	if int64(t) < int64(len(w.bl.shapes)) {
		w.word(w.bl.shapes[t])
	}
}

func (w *Worker) valType(v wasm.ValType) {
	t := w.bl.shapes.value(v)
	w.put(t.code)
	if t.code == wasm.RefCode {
		w.put(t.flags)
		w.word(t.heap)
	}
}

// blockType adds the type of a block: a value type as such even if it was
// written as the index of a function type.
func (w *Worker) blockType(b wasm.BlockType) {
	result := b.Type
	if b.Index >= 0 && int(b.Index) < len(w.bl.m.Types) {
		t := &w.bl.m.Types[b.Index]
		switch results := t.Results(); {
		case len(t.Params()) > 0 || len(results) > 1:
			w.put(0)
			w.typ(uint32(b.Index))
			return
		case len(results) == 1:
			result = results[0]
		}
	}
	if result == 0 {
		w.put(0x40)
		return
	}
	w.valType(result)
}

func (w *Worker) catches(in *wasm.Instr) {
	for c := range in.Catches() {
		if w.n > streamSize-maxPut {
			w.flush()
		}
		w.put(flags(c.All, c.Ref))
		if !c.All {
			w.tag(c.Tag)
		}
		w.number(uint64(c.Label))
	}
}

// beginStream adds the type and the locals of function i.
func (w *Worker) beginStream(i int) {
	self := uint32(w.bl.imported + i)
	w.function(self)
	var run uint64
	var of wasm.ValType
	put := func() {
		if run > 0 {
			w.number(run)
			w.valType(of)
		}
	}
	w.code.Reset(w.bl.b, w.bl.m.Code[i])
	for _, l := range w.code.Locals() {
		if w.n > streamSize-maxPut {
			w.flush()
		}
		if l.Count == 0 {
			continue
		}
		if l.Type != of {
			put()
			run, of = 0, l.Type
		}
		run += uint64(l.Count)
	}
	put()
	w.number(0)
	if len(w.code.Locals()) > manyLocals {
		w.code = wasm.Code{} // whose list of them is as long
	}
}

// manyLocals is more declarations of locals than functions have that are not made
// for it: there is one for each type, or a few.
const manyLocals = 1 << 10

// Addresses have the form that no number is written in.
func (w *Worker) address() {
	w.put(0x80)
	w.put(0x00)
}

// constant adds an i32.const or i64.const.
func (w *Worker) constant(in *wasm.Instr) {
	v := in.Value
	if v >= w.bl.lo && v < w.bl.hi || in.Op == wasm.OpI32Const && in.End-in.Offset == 6 && v != 0 && v < w.bl.elements {
		w.address()
		return
	}
	// The sign goes to the lowest bit: minus one is one byte.
	w.number(v<<1 ^ uint64(int64(v)>>63))
}

// access adds the immediates of an access to memory.
func (w *Worker) access(in *wasm.Instr) {
	w.put(byte(in.Align))
	if in.Value >= w.bl.lo && in.Value < w.bl.hi {
		w.address()
	} else {
		w.number(in.Value)
	}
	if w.memories {
		w.ordinal(kindMemory, in.X)
	}
}

// addresses gives the range of numbers that may be addresses.
func addresses(m *wasm.Module) (lo, hi uint64) {
	lo, hi = 1024, 64<<20
	for _, d := range m.Data {
		if d.Mode == wasm.SegmentActive && d.Init.Kind == wasm.ConstNumber && d.Init.Value < 1<<48 {
			hi = max(hi, d.Init.Value+uint64(d.Size))
		}
	}
	return lo, hi
}

// tableSize is the number of elements of the largest table.
func tableSize(m *wasm.Module) uint64 {
	n := uint64(0)
	for _, t := range m.Tables {
		n = max(n, t.Min)
	}
	return n
}

// stackPointer finds the global that is the stack pointer of linear memory: the
// one of that name, or else the first that can change and is an i32 or i64,
// where linkers put it.
func stackPointer(m *wasm.Module) uint32 {
	const name = "__stack_pointer"
	for _, im := range m.Imports {
		if im.Kind == wasm.ExternGlobal && im.Name == name {
			return im.Index
		}
	}
	for _, e := range m.Exports {
		if e.Kind == wasm.ExternGlobal && e.Name == name {
			return e.Index
		}
	}
	first := none
	for i, g := range m.Globals {
		if !g.Mutable || g.Type != wasm.I32 && g.Type != wasm.I64 {
			continue
		}
		if n := m.Names.Global(uint32(i)); n == name || n == "~lib/memory/__stack_pointer" {
			return uint32(i)
		}
		if first == none {
			first = uint32(i)
		}
	}
	return first
}

// shapes are hashes of types by their structure: where a type refers to others,
// their structure down to a small depth counts and not their indices.
type shapes []uint64

// shapeDepth is how deep types within types are looked at.
const shapeDepth = 4

func newShapes(m *wasm.Module) shapes {
	s := make(shapes, len(m.Types))
	rounds := 1
	for i := range m.Types {
		if refers(&m.Types[i]) {
			rounds = shapeDepth
		}
	}
	var buf []byte
	for range rounds {
		next := make(shapes, len(s))
		for i := range m.Types {
			buf = s.appendType(buf[:0], &m.Types[i])
			sum := sha256.Sum256(buf)
			next[i] = binary.LittleEndian.Uint64(sum[:])
		}
		s = next
	}
	return s
}

// refers is whether a type names another.
func refers(t *wasm.SubType) bool {
	is := func(v wasm.ValType) bool { return v.TypeIndex() >= 0 }
	if t.Super != wasm.NoType || t.Cont != wasm.NoType || slices.ContainsFunc(t.Params(), is) || slices.ContainsFunc(t.Results(), is) {
		return true
	}
	for i := range t.Fields() {
		if is(t.Field(i).Type) {
			return true
		}
	}
	return false
}

func (s shapes) appendType(b []byte, t *wasm.SubType) []byte {
	b = append(b, byte(t.Form), flags(t.Final, t.Shared))
	b = s.appendIndex(b, t.Super)
	b = s.appendIndex(b, t.Cont)
	b = binary.AppendUvarint(b, uint64(len(t.Params())))
	for _, v := range t.Params() {
		b = s.appendValue(b, v)
	}
	b = binary.AppendUvarint(b, uint64(len(t.Results())))
	for _, v := range t.Results() {
		b = s.appendValue(b, v)
	}
	for i := range t.Fields() {
		f := t.Field(i)
		b = append(s.appendValue(b, f.Type), flags(f.Mutable, false))
	}
	return b
}

func (s shapes) appendIndex(b []byte, i uint32) []byte {
	if int64(i) >= int64(len(s)) {
		return append(b, 0)
	}
	return binary.LittleEndian.AppendUint64(append(b, 1), s[i])
}

func (s shapes) appendValue(b []byte, v wasm.ValType) []byte {
	t := s.value(v)
	b = append(b, t.code, t.flags)
	return binary.LittleEndian.AppendUint64(b, t.heap)
}

// A valueShape is a value type without indices.
type valueShape struct {
	code, flags byte
	heap        uint64 // of a reference: code, or shape
}

func (s shapes) value(v wasm.ValType) valueShape {
	t := valueShape{code: v.Code()}
	if !v.IsRef() {
		return t
	}
	h := v.Heap()
	t.flags = flags(v.Nullable(), h.Shared)
	t.heap = uint64(h.Code)
	if h.Code == 0 && int64(h.Index) < int64(len(s)) {
		t.heap = s[h.Index]
	}
	return t
}

func flags(a, b bool) (f byte) {
	if a {
		f |= 1
	}
	if b {
		f |= 2
	}
	return f
}

// classes gives, for each type, the first of those that an indirect call cannot
// tell from it: types of the same structure, and subtypes of one type.
func (s shapes) classes(m *wasm.Module) []uint32 {
	order := make([]uint32, len(s))
	for i := range order {
		order[i] = uint32(i)
	}
	slices.SortFunc(order, func(a, b uint32) int {
		switch {
		case s[a] < s[b]:
			return -1
		case s[a] > s[b]:
			return 1
		}
		return int(a) - int(b)
	})
	class := make([]uint32, len(s))
	for i, t := range order {
		class[t] = t
		if i > 0 && s[order[i-1]] == s[t] {
			class[t] = class[order[i-1]]
		}
	}
	// A supertype stands before its subtypes.
	for i := range class {
		if up := m.Types[i].Super; int64(up) < int64(i) {
			class[i] = class[up]
		}
	}
	return class
}
