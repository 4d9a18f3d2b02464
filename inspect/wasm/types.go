package wasm

import (
	"strconv"
	"strings"
)

// A ValType is a value type of the core specification: a number, a vector, or a
// reference to a heap type. The zero value is no type.
type ValType struct {
	Code byte // one of the codes below; references are all RefCode
	Null bool // of a reference: whether it may be null
	Heap HeapType
}

// Codes of value types, as in the binary format. I8 and I16 are storage types
// and occur in fields only.
const (
	I32Code  = 0x7f
	I64Code  = 0x7e
	F32Code  = 0x7d
	F64Code  = 0x7c
	V128Code = 0x7b
	I8Code   = 0x78
	I16Code  = 0x77
	RefCode  = 0x64
)

// A HeapType is what a reference refers to: an abstract type, told by its Code,
// or, where Code is zero, the type at Index.
type HeapType struct {
	Code   byte
	Index  uint32
	Shared bool // shared-everything-threads
	Exact  bool // custom-descriptors
}

// abstract names the abstract heap types by their codes.
var abstract = map[byte]string{
	0x75: "nocont", 0x74: "noexn", 0x73: "nofunc", 0x72: "noextern", 0x71: "none", 0x70: "func", 0x6f: "extern",
	0x6e: "any", 0x6d: "eq", 0x6c: "i31", 0x6b: "struct", 0x6a: "array", 0x69: "exn", 0x68: "cont",
}

// shorthand names the nullable references to abstract types that the text
// format abbreviates otherwise than by appending "ref".
var shorthand = map[string]string{
	"none": "nullref", "nofunc": "nullfuncref", "noextern": "nullexternref", "noexn": "nullexnref", "nocont": "nullcontref",
}

func (h HeapType) String() string {
	s := abstract[h.Code]
	if h.Code == 0 {
		s = strconv.FormatUint(uint64(h.Index), 10)
	}
	if h.Shared {
		s = "(shared " + s + ")"
	}
	if h.Exact {
		s = "(exact " + s + ")"
	}
	return s
}

// String gives the type as the text format writes it: "i32", "funcref",
// "(ref null 3)".
func (v ValType) String() string {
	switch v.Code {
	case I32Code:
		return "i32"
	case I64Code:
		return "i64"
	case F32Code:
		return "f32"
	case F64Code:
		return "f64"
	case V128Code:
		return "v128"
	case I8Code:
		return "i8"
	case I16Code:
		return "i16"
	}
	if !v.Null {
		return "(ref " + v.Heap.String() + ")"
	}
	if name := abstract[v.Heap.Code]; name != "" && !v.Heap.Shared {
		if s, ok := shorthand[name]; ok {
			return s
		}
		return name + "ref"
	}
	return "(ref null " + v.Heap.String() + ")"
}

// A SubType is one entry of the type index space.
type SubType struct {
	Form    Form
	Final   bool
	Shared  bool
	Supers  []uint32
	Params  []ValType // of a function
	Results []ValType
	Fields  []FieldType // of a structure; an array has one
	Cont    uint32      // function type of a continuation
}

// A FieldType is a field of a structure or the element of an array.
type FieldType struct {
	Type    ValType
	Mutable bool
}

// A Form tells the composite types apart; the values are those of the format.
type Form byte

// The forms of composite types.
const (
	FormFunc   Form = 0x60
	FormStruct Form = 0x5f
	FormArray  Form = 0x5e
	FormCont   Form = 0x5d
)

// String gives the type as the text format writes it, without names; very long
// ones end in an ellipsis.
func (t SubType) String() string {
	var b text
	switch t.Form {
	case FormFunc:
		b.add("(func")
		b.list("param", t.Params)
		b.list("result", t.Results)
		b.add(")")
	case FormStruct:
		b.add("(struct")
		for _, f := range t.Fields {
			b.add(" (field ", f.String(), ")")
		}
		b.add(")")
	case FormArray:
		b.add("(array ", t.Fields[0].String(), ")")
	case FormCont:
		b.add("(cont ", strconv.FormatUint(uint64(t.Cont), 10), ")")
	}
	return b.String()
}

func (f FieldType) String() string {
	if f.Mutable {
		return "(mut " + f.Type.String() + ")"
	}
	return f.Type.String()
}

// text is a builder that stops at MaxTypeText.
type text struct {
	b    strings.Builder
	full bool
}

func (t *text) add(parts ...string) {
	for _, p := range parts {
		if t.full {
			return
		}
		if t.b.Len()+len(p) > MaxTypeText {
			t.b.WriteString("…")
			t.full = true
			return
		}
		t.b.WriteString(p)
	}
}

func (t *text) list(word string, types []ValType) {
	if len(types) == 0 {
		return
	}
	t.add(" (", word)
	for _, v := range types {
		t.add(" ", v.String())
	}
	t.add(")")
}

func (t *text) String() string { return t.b.String() }

// Limits are the bounds of a memory, in pages, or of a table, in elements.
type Limits struct {
	Min    uint64
	Max    uint64 // when HasMax
	HasMax bool
	Shared bool
	Is64   bool // addressed by i64
}

func (l Limits) String() string {
	s := ""
	if l.Is64 {
		s = "i64 "
	}
	s += strconv.FormatUint(l.Min, 10)
	if l.HasMax {
		s += " " + strconv.FormatUint(l.Max, 10)
	}
	if l.Shared {
		s += " shared"
	}
	return s
}

// DefaultPageSize is the size of a page of memory in bytes, unless the memory
// says otherwise.
const DefaultPageSize = 1 << 16

// A MemoryType describes a linear memory.
type MemoryType struct {
	Limits
	PageSize uint64 // bytes
}

func (m MemoryType) String() string {
	s := "(memory " + m.Limits.String()
	if m.PageSize != DefaultPageSize {
		s += " (pagesize " + strconv.FormatUint(m.PageSize, 10) + ")"
	}
	return s + ")"
}

// A TableType describes a table of references.
type TableType struct {
	Limits
	Elem ValType
}

func (t TableType) String() string {
	return "(table " + t.Limits.String() + " " + t.Elem.String() + ")"
}

// A GlobalType describes a global variable.
type GlobalType struct {
	Type    ValType
	Mutable bool
	Shared  bool
}

func (g GlobalType) String() string {
	s := g.Type.String()
	if g.Shared {
		s = "shared " + s
	}
	if g.Mutable {
		s = "(mut " + s + ")"
	}
	return "(global " + s + ")"
}

// valType reads a value type. Storage types are taken only where asked.
func (r *reader) valType(storage bool) ValType {
	b := r.u8()
	switch {
	case b >= V128Code && b <= I32Code:
		return ValType{Code: b}
	case storage && (b == I8Code || b == I16Code):
		return ValType{Code: b}
	case b == 0x63 || b == RefCode:
		return ValType{Code: RefCode, Null: b == 0x63, Heap: r.heapType()}
	case b == 0x65:
		return ValType{Code: RefCode, Null: true, Heap: HeapType{Code: r.abstract(), Shared: true}}
	case abstract[b] != "":
		return ValType{Code: RefCode, Null: true, Heap: HeapType{Code: b}}
	}
	r.code("a value type", b)
	return ValType{}
}

func (r *reader) heapType() HeapType {
	switch b := r.peek(); {
	case b == 0x62:
		r.u8()
		return HeapType{Index: r.u32(), Exact: true}
	case b == 0x65:
		r.u8()
		return HeapType{Code: r.abstract(), Shared: true}
	case abstract[b] != "":
		r.u8()
		return HeapType{Code: b}
	}
	start := r.off
	n := r.sleb(33)
	if n < 0 {
		r.fail(start, ErrCode)
	}
	return HeapType{Index: uint32(n)}
}

func (r *reader) abstract() byte {
	b := r.u8()
	if abstract[b] == "" {
		r.code("an abstract heap type", b)
	}
	return b
}

func (r *reader) refType() ValType {
	start := r.off
	v := r.valType(false)
	if r.err == nil && v.Code != RefCode {
		r.fail(start, ErrCode)
	}
	return v
}

func (r *reader) valTypes(maximum int) []ValType {
	n := r.keep(1, maximum)
	if n == 0 {
		return nil
	}
	list := make([]ValType, 0, n)
	for range n {
		list = append(list, r.valType(false))
	}
	return list
}

// recType reads a recursive group, or the single type that stands for one, and
// appends its members to types.
func (r *reader) recType(types []SubType) []SubType {
	if r.peek() != 0x4e {
		return append(types, r.subType())
	}
	r.u8()
	for range r.keep(1, MaxTypes-len(types)) {
		types = append(types, r.subType())
		if r.err != nil {
			break
		}
	}
	return types
}

func (r *reader) subType() SubType {
	t := SubType{Final: true}
	if b := r.peek(); b == 0x50 || b == 0x4f {
		t.Final = r.u8() == 0x4f
		for range r.keep(1, MaxSupertypes) {
			t.Supers = append(t.Supers, r.u32())
		}
	}
	if r.peek() == 0x65 {
		r.u8()
		t.Shared = true
	}
	// The clauses of the custom-descriptors proposal link two types; they add
	// nothing that is printed.
	for _, clause := range []byte{0x4c, 0x4d} {
		if r.peek() == clause {
			r.u8()
			r.u32()
		}
	}
	t.Form = Form(r.u8())
	switch t.Form {
	case FormFunc:
		t.Params = r.valTypes(MaxParams)
		t.Results = r.valTypes(MaxResults)
	case FormStruct:
		for range r.keep(2, MaxFields) {
			t.Fields = append(t.Fields, r.fieldType())
		}
	case FormArray:
		t.Fields = []FieldType{r.fieldType()}
	case FormCont:
		t.Cont = uint32(r.sleb(33))
	default:
		r.code("a composite type", byte(t.Form))
	}
	return t
}

func (r *reader) fieldType() FieldType {
	return FieldType{Type: r.valType(true), Mutable: r.flag("mutability")}
}

// flag reads a byte that is 0 or 1.
func (r *reader) flag(what string) bool {
	b := r.u8()
	if b > 1 {
		r.code(what, b)
	}
	return b == 1
}

const (
	limitMax      = 1 << iota // a maximum follows
	limitShared               // threads
	limit64                   // memory64
	limitPageSize             // custom-page-sizes
)

func (r *reader) limits(allowed byte) (l Limits, flags byte) {
	flags = r.u8()
	if flags&^allowed != 0 {
		r.code("limits", flags)
		return l, flags
	}
	bits := 32
	if flags&limit64 != 0 {
		bits = 64
	}
	l = Limits{Min: r.uleb(bits), Shared: flags&limitShared != 0, Is64: bits == 64}
	if flags&limitMax != 0 {
		l.Max, l.HasMax = r.uleb(bits), true
	}
	return l, flags
}

func (r *reader) memoryType() MemoryType {
	l, flags := r.limits(limitMax | limitShared | limit64 | limitPageSize)
	m := MemoryType{Limits: l, PageSize: DefaultPageSize}
	if flags&limitPageSize != 0 {
		start := r.off
		log := r.u32()
		if log > 63 {
			r.fail(start, ErrCode)
			return m
		}
		m.PageSize = 1 << log
	}
	return m
}

func (r *reader) tableType() TableType {
	elem := r.refType()
	l, _ := r.limits(limitMax | limitShared | limit64)
	return TableType{Limits: l, Elem: elem}
}

func (r *reader) globalType() GlobalType {
	v := r.valType(false)
	b := r.u8()
	if b > 3 {
		r.code("mutability", b)
	}
	return GlobalType{Type: v, Mutable: b&1 != 0, Shared: b&2 != 0}
}
