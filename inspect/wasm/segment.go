package wasm

import "iter"

// A SegmentMode says what becomes of a data or element segment.
type SegmentMode byte

// The modes of segments.
const (
	SegmentActive   SegmentMode = iota // copied when the module is instantiated
	SegmentPassive                     // copied by an instruction
	SegmentDeclared                    // of elements: only lets functions be referred to
)

func (m SegmentMode) String() string {
	switch m {
	case SegmentPassive:
		return "passive"
	case SegmentDeclared:
		return "declared"
	default:
		return "active"
	}
}

// A Data is a data segment. Its contents are Size bytes of the file from Offset
// on.
type Data struct {
	Init   ConstValue // address of an active one
	Offset int64
	Size   int64
	expr   int64 // offset of the expression of the address in the file
	Memory uint32
	Mode   SegmentMode
}

// An Element is an element segment. [Module.ElementFuncs] gives its contents.
type Element struct {
	Init   ConstValue // position in the table of an active one
	Offset int64      // of the entries in the file
	Size   int64      // of the entries, bytes
	expr   int64      // offset of the expression of the position in the file
	Count  int        // of entries
	Table  uint32
	Type   ValType
	Mode   SegmentMode
	exprs  bool // the entries are expressions, not function indices
	typed  bool // the segment says its type
}

// flags of segments in the format.
const (
	segmentNotActive = 1 << iota // passive, or declared with the next
	segmentIndexed               // has an index of a table or memory, or is declared
	segmentExprs                 // entries of an element segment are expressions
)

func (r *reader) dataSegment() Data {
	start := r.off
	var s Data
	flags := r.u32()
	if flags > segmentIndexed {
		r.fail(start, codeError(uint64(flags), "a data segment"))
	}
	if flags == segmentNotActive {
		s.Mode = SegmentPassive
	} else {
		if flags == segmentIndexed {
			s.Memory = r.u32()
		}
		e := r.constExpr()
		s.Init, s.expr = e.Value, e.Offset
	}
	size := r.u32()
	s.Offset, s.Size = r.base+int64(r.off), int64(size)
	r.bytes(int(size))
	return s
}

func (r *reader) element() Element {
	start := r.off
	flags := r.u32()
	if flags > 7 {
		r.fail(start, codeError(uint64(flags), "an element segment"))
	}
	s := Element{Type: FuncRef, exprs: flags&segmentExprs != 0}
	switch {
	case flags&segmentNotActive == 0:
		if flags&segmentIndexed != 0 {
			s.Table = r.u32()
		}
		e := r.constExpr()
		s.Init, s.expr = e.Value, e.Offset
	case flags&segmentIndexed != 0:
		s.Mode = SegmentDeclared
	default:
		s.Mode = SegmentPassive
	}
	if flags&(segmentNotActive|segmentIndexed) != 0 {
		s.typed = true
		s.Type = r.elementType(s.exprs)
	} else if !s.exprs {
		// Indices of functions are references that are never null, whatever
		// the type of the table says.
		s.Type = anyRef | HeapFunc
	}
	r.entries(&s)
	return s
}

// elementType reads the type of expressions, or the kind of indices, of which
// there is one.
func (r *reader) elementType(exprs bool) ValType {
	if exprs {
		return r.refType()
	}
	if b := r.u8(); b != 0 {
		r.code("the kind of elements", b)
	}
	return anyRef | HeapFunc
}

// entries steps over the contents of an element segment.
func (r *reader) entries(s *Element) {
	minSize := 1
	if s.exprs {
		minSize = 2
	}
	s.Count = r.count(minSize, 10_000_000)
	s.Offset = r.base + int64(r.off)
	for i := 0; i < s.Count && r.err == nil; i++ {
		if s.exprs {
			r.constExpr()
		} else {
			r.u32()
		}
	}
	s.Size = r.base + int64(r.off) - s.Offset
}

// ElementFuncs gives the entries of an element segment of m: positions, counted
// from 0, and indices of functions, -1 for a null reference and for a value that
// is not known before the module runs.
func (m *Module) ElementFuncs(s *Element) iter.Seq2[int, int64] {
	return func(yield func(int, int64) bool) {
		r := m.at(s.Offset, s.Size)
		for i := range s.Count {
			f := int64(-1)
			if !s.exprs {
				f = int64(r.u32())
			} else if v := r.constExpr().Value; v.Kind == ConstFunc {
				f = int64(v.Index)
			}
			if r.err != nil || !yield(i, f) {
				return
			}
		}
	}
}

// at gives a reader of a part of the file that has been read before.
func (m *Module) at(off, size int64) reader {
	return reader{buf: m.file[off : off+size], base: off, entry: -1, budget: new(budget)}
}
