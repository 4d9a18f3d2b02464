package code

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"iter"
	"slices"

	"github.com/wreg-project/wreg/inspect/wasm"
)

// A Worker sees the instructions of one function after another. It is for one
// goroutine; it allocates nothing for an instruction.
type Worker struct {
	*tally

	bl       *Builder
	memories bool // more than one

	// Of the function at hand.
	index  int
	f      Function
	depth  int32
	state  frameState
	taken  uint64 // the constant that state waits to see subtracted
	copied uint32 // local that has the stack pointer, none if there is no such
	row    []uint32

	recursive bool // has called itself

	names ordinals
	seen  []uint64 // bits of the labels of a br_table
	print sketch
	code  wasm.Code // for locals

	// stream is the part of the canonical stream that has not been hashed yet.
	stream  [streamSize]byte
	n       uint
	flushed bool // some of it has been
	digest  hash.Hash
	sum     []byte
	encoded []byte // the row at hand
}

// A tally is what a worker keeps of all functions of one module.
type tally struct {
	bl      *Builder
	totals  Totals
	chunks  [][]byte // rows of edges: see endRow
	written tables
	sites   []uint32
}

// tables is a set of tables: their indices, and anyTable for all above.
type tables [(tableMask + 1) / 64]uint64

func (t *tables) add(i uint32) {
	i = min(i, anyTable)
	t[i/64] |= 1 << (i % 64)
}

func (t *tables) has(i uint32) bool {
	i = min(i, anyTable)
	return t[i/64]&(1<<(i%64)) != 0
}

const (
	streamSize = 16 << 10 // a power of two
	maxPut     = 64       // what one instruction puts into the stream at most, but for lists
)

// Turn makes the worker one of another builder. What it saw before remains
// known to the one it had, and the memory to see more is used again: of a hundred
// kilobytes there should not be some for each of a thousand small modules. It may
// be called while other workers of the builders are at work.
func (w *Worker) Turn(bl *Builder) {
	w.tally = &tally{
		bl: bl, sites: make([]uint32, min(int64(len(bl.m.Types)), maxSites, max(bl.room/bytesPerSite, leastListed))),
	}
	w.bl, w.memories = bl, len(bl.m.Memories) > 1
	bl.mu.Lock()
	defer bl.mu.Unlock()
	bl.workers = append(bl.workers, w.tally)
}

// maxSites bounds the types of which indirect calls are counted one by one.
const maxSites = 1 << 16

// Begin starts defined function i: m.Code[i].
func (w *Worker) Begin(i int) {
	w.index = i
	w.f = Function{Bytes: uint32(w.bl.m.Code[i].Size), Complexity: 1}
	w.depth, w.state, w.copied, w.n = 0, frameStart, none, 0
	w.row, w.recursive = w.row[:0], false
	w.names.reset()
	w.print.reset()
	w.flushed = false
	w.beginStream(i)
}

// End completes the function and keeps what was found.
func (w *Worker) End() {
	m := w.bl.m
	body := m.Code[w.index]
	exact := sha256.Sum256(w.bl.b.Bytes(body.Offset, body.Size))
	w.f.Exact = Hash(exact[:len(Hash{})])
	w.f.Normal = w.normal()
	w.f.Fuzzy = w.print.sum()
	if w.index < len(w.bl.functions) {
		w.bl.functions[w.index] = w.f
	}
	t := Totals{
		Functions: 1, Bytes: int64(w.f.Bytes), Instructions: int64(w.f.Instructions), Loops: int64(w.f.Loops),
		Calls: int64(w.f.Calls), Indirect: int64(w.f.Indirect),
	}
	if w.f.Frame > 0 {
		t.WithFrame = 1
	}
	w.totals.add(t)
	w.endRow()
}

// normal gives the hash of the stream.
func (w *Worker) normal() Hash {
	if !w.flushed {
		sum := sha256.Sum256(w.stream[:w.n])
		return Hash(sum[:len(Hash{})])
	}
	w.flush()
	w.sum = w.digest.Sum(w.sum[:0])
	return Hash(w.sum[:len(Hash{})])
}

// flush hashes the stream so far, which is only needed of the largest functions.
func (w *Worker) flush() {
	if !w.flushed {
		w.digest.Reset()
		w.flushed = true
	}
	w.digest.Write(w.stream[:w.n])
	w.n = 0
}

// put adds a byte to the canonical stream.
func (w *Worker) put(b byte) {
	w.stream[w.n&(streamSize-1)] = b
	w.n++
}

// number adds a number to the stream, in seven bits a byte.
func (w *Worker) number(v uint64) {
	n := w.n
	for ; v >= 0x80; v >>= 7 {
		w.stream[n&(streamSize-1)] = byte(v) | 0x80
		n++
	}
	w.stream[n&(streamSize-1)] = byte(v)
	w.n = n + 1
}

// word adds eight bytes to the stream. There is always room: see maxPut.
func (w *Worker) word(v uint64) {
	binary.LittleEndian.PutUint64(w.stream[w.n:], v)
	w.n += 8
}

// Visit sees the next instruction of the function.
func (w *Worker) Visit(in *wasm.Instr) {
	w.f.Instructions++
	n := w.n
	if n > streamSize-maxPut {
		w.flush()
		n = 0
	}
	op := in.Op
	if op > 0xff {
		w.stream[n&(streamSize-1)] = byte(op >> 16)
		w.stream[(n+1)&(streamSize-1)] = byte(op >> 8)
		n += 2
		op ^= op>>8 ^ op>>16
	}
	w.stream[n&(streamSize-1)] = byte(op)
	w.n = n + 1
	w.print.add(byte(op))
	if w.state > frameIdle {
		w.prologue(in)
	}
	switch in.Imm {
	case wasm.ImmNone:
		switch in.Op {
		case wasm.OpEnd:
			w.depth--
		case wasm.OpCatchAll:
			w.f.Complexity++
		default:
		}
	case wasm.ImmLocal:
		if in.X == w.copied && in.Op == wasm.OpLocalGet && w.state == frameStart {
			w.state = frameBase
		}
		w.number(uint64(in.X))
	case wasm.ImmI32, wasm.ImmI64:
		w.constant(in)
	case wasm.ImmMemArg:
		w.access(in)
	case wasm.ImmGlobal:
		if in.X == w.bl.stack && in.Op == wasm.OpGlobalGet && w.state == frameStart {
			w.state = frameBase
		}
		w.global(in.X)
	case wasm.ImmLabel:
		w.label(in)
	case wasm.ImmBlock:
		w.block(in)
	case wasm.ImmFunc:
		w.call(in)
	default:
		w.rare(in)
	}
}

// label sees an instruction with one label.
func (w *Worker) label(in *wasm.Instr) {
	w.number(uint64(in.X))
	switch in.Op {
	case wasm.OpBrIf, wasm.OpBrOnNull, wasm.OpBrOnNonNull:
		w.f.Complexity++
	case wasm.OpDelegate:
		w.depth--
	default:
	}
}

// block opens a block, loop, if or try.
func (w *Worker) block(in *wasm.Instr) {
	w.depth++
	w.f.Nesting = max(w.f.Nesting, uint32(max(w.depth, 0)))
	switch in.Op {
	case wasm.OpIf:
		w.f.Complexity++
	case wasm.OpLoop:
		w.f.Loops++
	default:
	}
	w.blockType(in.Block)
}

func (w *Worker) call(in *wasm.Instr) {
	if in.Op == wasm.OpRefFunc {
		w.function(in.X)
		if _, fresh := w.names.number(kindRef, in.X); fresh {
			w.edge(edgeRef | in.X&typeMask)
		}
		return
	}
	w.f.Calls++
	fresh := w.function(in.X)
	if in.X == uint32(w.bl.imported+w.index) {
		// The stream began with the function itself.
		fresh, w.recursive = !w.recursive, true
	}
	if fresh {
		w.edge(edgeCall | in.X&typeMask)
	}
}

func (w *Worker) callIndirect(typ, table uint32) {
	w.f.Indirect++
	if int64(typ) < int64(len(w.sites)) {
		w.sites[typ]++
	}
	w.typ(typ)
	w.ordinal(kindTable, table)
	word := edgeIndirect | min(table, anyTable)<<typeBits | typ&typeMask
	if _, fresh := w.names.number(kindIndirect, word); fresh {
		w.edge(word)
	}
}

func (w *Worker) callRef(typ uint32) {
	w.f.Indirect++
	w.typ(typ)
	w.other(typ & typeMask)
}

// other notes an edge that is neither to a function nor a call_indirect.
func (w *Worker) other(word uint32) {
	if _, fresh := w.names.number(kindIndirect, edgeOther|word); fresh {
		w.edge(edgeOther | word)
	}
}

// branches sees a br_table.
func (w *Worker) branches(in *wasm.Instr) {
	w.number(uint64(in.Y))
	distinct := uint32(0)
	for label := range in.Targets() {
		if w.n > streamSize-maxPut {
			w.flush()
		}
		w.number(uint64(label))
		i := int(label / 64)
		if i >= len(w.seen) {
			// Labels are below the depth of a valid function; no deeper one
			// is counted.
			if int64(label) > int64(w.depth) {
				continue
			}
			w.seen = append(w.seen, make([]uint64, i+1-len(w.seen))...)
		}
		if bit := uint64(1) << (label % 64); w.seen[i]&bit == 0 {
			w.seen[i] |= bit
			distinct++
		}
	}
	for label := range in.Targets() {
		if i := int(label / 64); i < len(w.seen) {
			w.seen[i] = 0
		}
	}
	w.f.Complexity += max(distinct, 1) - 1
}

// rare sees the instructions that few modules have.
func (w *Worker) rare(in *wasm.Instr) {
	switch in.Imm {
	case wasm.ImmCallIndirect:
		w.callIndirect(in.X, in.Y)
	case wasm.ImmLabels:
		w.branches(in)
	case wasm.ImmMemArgLane:
		w.access(in)
		w.put(byte(in.Y))
	case wasm.ImmLane:
		w.put(byte(in.X))
	case wasm.ImmF32, wasm.ImmF64:
		w.word(in.Value)
	case wasm.ImmV128, wasm.ImmShuffle:
		for _, b := range in.Bytes {
			w.put(b)
		}
	case wasm.ImmSelect:
		w.number(uint64(in.X))
		w.valType(in.Type)
	case wasm.ImmHeap:
		w.valType(in.Type)
	case wasm.ImmCast:
		if in.Op == wasm.OpBrOnCast || in.Op == wasm.OpBrOnCastFail || in.Op == wasm.OpBrOnCastDescEq || in.Op == wasm.OpBrOnCastDescEqFail {
			w.f.Complexity++
		}
		w.number(uint64(in.X))
		w.valType(in.Type)
		w.valType(in.Type2)
	case wasm.ImmTryTable:
		w.depth++
		w.f.Nesting = max(w.f.Nesting, uint32(max(w.depth, 0)))
		w.f.Complexity += in.Y
		w.blockType(in.Block)
		w.catches(in)
	case wasm.ImmTag:
		if in.Op == wasm.OpCatch {
			w.f.Complexity++
		}
		w.tag(in.X)
	default:
		w.typed(in)
	}
}

// typed sees the instructions on types, tables, segments and memories.
func (w *Worker) typed(in *wasm.Instr) {
	switch in.Imm {
	case wasm.ImmType:
		if in.Op == wasm.OpCallRef || in.Op == wasm.OpReturnCallRef {
			w.callRef(in.X)
			return
		}
		w.typ(in.X)
	case wasm.ImmTypes:
		w.typ(in.X)
		w.typ(in.Y)
	case wasm.ImmTypeTag:
		w.typ(in.X)
		w.tag(in.Y)
	case wasm.ImmTypeField, wasm.ImmTypeCount:
		w.typ(in.X)
		w.number(uint64(in.Y))
	case wasm.ImmTypeData:
		w.typ(in.X)
		w.ordinal(kindData, in.Y)
	case wasm.ImmTypeElem:
		w.other(tableAll | anyTable)
		w.typ(in.X)
		w.ordinal(kindElem, in.Y)
	case wasm.ImmTable, wasm.ImmOrderTable:
		w.table(in)
	case wasm.ImmTables:
		w.writes(in.X)
		w.ordinal(kindTable, in.X)
		w.ordinal(kindTable, in.Y)
	case wasm.ImmElem:
		w.ordinal(kindElem, in.X)
	case wasm.ImmElemTable:
		w.writes(in.Y)
		w.ordinal(kindElem, in.X)
		w.ordinal(kindTable, in.Y)
	case wasm.ImmData:
		w.ordinal(kindData, in.X)
	case wasm.ImmDataMemory:
		w.ordinal(kindData, in.X)
		w.ordinal(kindMemory, in.Y)
	case wasm.ImmMemory:
		w.ordinal(kindMemory, in.X)
	case wasm.ImmMemories:
		w.ordinal(kindMemory, in.X)
		w.ordinal(kindMemory, in.Y)
	case wasm.ImmOrderGlobal:
		w.number(uint64(in.Y))
		w.global(in.X)
	case wasm.ImmOrderType:
		w.number(uint64(in.Y))
		w.typ(in.X)
	case wasm.ImmOrderField:
		w.number(in.Value)
		w.typ(in.X)
		w.number(uint64(in.Y))
	case wasm.ImmResume, wasm.ImmResumeThrow:
		w.resume(in)
	default:
		// A fence has nothing to tell.
	}
}

// resume sees a resume instruction with its handlers.
func (w *Worker) resume(in *wasm.Instr) {
	w.typ(in.X)
	if in.Imm == wasm.ImmResumeThrow {
		w.tag(uint32(in.Value))
	}
	w.number(uint64(in.Y))
	for h := range in.Handlers() {
		if w.n > streamSize-maxPut {
			w.flush()
		}
		w.put(flags(h.Switch, false))
		w.tag(h.Tag)
		if !h.Switch {
			w.number(uint64(h.Label))
		}
	}
}

// table sees an instruction that reads or writes elements of a table. Whoever
// reads one may do with it whatever they like, calling it included.
func (w *Worker) table(in *wasm.Instr) {
	w.ordinal(kindTable, in.X)
	switch in.Op {
	case wasm.OpTableSize:
		return
	case wasm.OpTableGet:
	default:
		w.writes(in.X)
		if in.Imm == wasm.ImmTable {
			return
		}
	}
	w.other(tableAll | min(in.X, anyTable))
}

func (w *Worker) writes(table uint32) { w.written.add(table) }

// edge notes an edge of the function at hand.
func (w *Worker) edge(word uint32) {
	if w.bl.edges.Load() > w.bl.maxEdges {
		return // the graph will not be made
	}
	if w.names.full && len(w.row) == cap(w.row) {
		w.compact()
		if len(w.row) >= maxRow {
			w.endRow()
		}
		w.row = slices.Grow(w.row, len(w.row)+1)
	}
	w.row = append(w.row, word)
}

// maxRow is how many edges of a function are held before they are kept. Of a
// function that calls more, some may be kept twice.
const maxRow = 16 << 10

// compact drops edges noted twice, which happens if there are too many to
// remember.
func (w *Worker) compact() {
	slices.Sort(w.row)
	w.row = slices.Compact(w.row)
}

// endRow keeps the edges of the function at hand. Most functions call few
// others, which are near them, so that a row is best kept as bytes: the
// function, the number of edges, and for each the tag and what the tag says of,
// a function as its distance from the one before.
func (w *Worker) endRow() {
	if w.names.full {
		w.compact()
	}
	if len(w.row) == 0 {
		return
	}
	if w.bl.edges.Add(int64(len(w.row))+1) > w.bl.maxEdges {
		w.row, w.chunks = w.row[:0], nil
		return
	}
	b := binary.AppendUvarint(w.encoded[:0], uint64(w.index))
	b = binary.AppendUvarint(b, uint64(len(w.row)))
	last := int64(w.bl.imported + w.index)
	for _, word := range w.row {
		v := int64(word &^ edgeTag)
		if word&edgeTag == edgeCall || word&edgeTag == edgeRef {
			v, last = v-last, v
		}
		b = binary.AppendUvarint(b, uint64(v<<1^v>>63)<<2|uint64(word>>30))
	}
	w.encoded, w.row = b, w.row[:0]
	end := len(w.chunks) - 1
	if end < 0 || cap(w.chunks[end])-len(w.chunks[end]) < len(b) {
		const smallest, largest = 1 << 9, 1 << 16
		end++
		w.chunks = append(w.chunks, make([]byte, 0, max(min(smallest<<end, largest), len(b))))
	}
	w.chunks[end] = append(w.chunks[end], b...)
}

// rows gives the edges of each of the worker's functions that has any, those of
// a function with very many in several rows. A row is valid until the next.
func (w *tally) rows() iter.Seq2[int, []uint32] {
	return func(yield func(int, []uint32) bool) {
		var row []uint32
		for _, c := range w.chunks {
			next := func() uint64 {
				v, n := binary.Uvarint(c)
				c = c[n:]
				return v
			}
			for len(c) > 0 {
				index, n := int(next()), next()
				last := int64(w.bl.imported + index)
				row = row[:0]
				for range n {
					u := next()
					word, v := uint32(u&3)<<30, int64(u>>3)^-int64(u>>2&1)
					if word == edgeCall || word == edgeRef {
						v += last
						last = v
					}
					row = append(row, word|uint32(v))
				}
				if !yield(index, row) {
					return
				}
			}
		}
	}
}

// A frameState is how much of the prologue that takes a stack frame has been
// seen: global.get of the stack pointer or local.get of a copy, a constant, and
// the subtraction, or the addition of a negative constant, with nothing but moves
// of locals between. Go's compiler copies the stack pointer and uses the copy
// some blocks later.
type frameState byte

const (
	frameStart frameState = iota // nothing
	frameIdle                    // found: nothing more to look for
	frameBase                    // the stack pointer
	frameSize                    // and a constant
)

func (w *Worker) prologue(in *wasm.Instr) {
	switch {
	case in.Imm == wasm.ImmLocal:
		if w.state == frameBase && w.copied == none && in.Op != wasm.OpLocalGet {
			w.copied = in.X
		}
	case w.state == frameBase && (in.Op == wasm.OpI32Const || in.Op == wasm.OpI64Const):
		w.state, w.taken = frameSize, in.Value
	case w.state == frameSize:
		n := int64(w.taken)
		switch in.Op {
		case wasm.OpI32Add, wasm.OpI64Add:
			n = -n
		case wasm.OpI32Sub, wasm.OpI64Sub:
		default:
			n = 0
		}
		w.state = frameStart
		if n > 0 && n < 1<<32 {
			w.f.Frame, w.state = uint32(n), frameIdle
		}
	default:
		w.state = frameStart
	}
}
