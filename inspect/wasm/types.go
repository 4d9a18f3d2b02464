package wasm

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A ValType is a value type of the core specification: a number, a vector, or a
// reference to a heap type. It is small and comparable; equal types of one
// module that refer to the same type index are equal values. The zero value is
// no type.
type ValType uint32

// The parts of a ValType, from the lowest bit: the index of a type or the code
// of an abstract heap type, flags, and the code.
const (
	typeIndex    ValType = 1<<20 - 1
	typeConcrete ValType = 1 << 20 // the index is that of a type
	typeShared   ValType = 1 << 21
	typeExact    ValType = 1 << 22
	typeNull     ValType = 1 << 23
	codeShift            = 24
	fieldMutable ValType = 1 << 31 // in the list of a structure's fields only
)

// Codes of value types, as in the binary format. I8 and I16 are storage types
// and occur in fields only; references are all RefCode.
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

// Types that have no parts, and the nullable references to abstract types.
const (
	I32  ValType = I32Code << codeShift
	I64  ValType = I64Code << codeShift
	F32  ValType = F32Code << codeShift
	F64  ValType = F64Code << codeShift
	V128 ValType = V128Code << codeShift
	I8   ValType = I8Code << codeShift
	I16  ValType = I16Code << codeShift

	FuncRef   = nullRef | HeapFunc
	ExternRef = nullRef | HeapExtern
	AnyRef    = nullRef | HeapAny
	ExnRef    = nullRef | HeapExn

	anyRef            = ValType(RefCode) << codeShift // to be completed by a heap type
	nullRef           = anyRef | typeNull
	bottom    ValType = 2 << codeShift // of unreachable code: every type
	bottomRef ValType = 3 << codeShift // every reference: what is known of bottom once it was taken for one
)

// Codes of the abstract heap types.
const (
	HeapNoCont   = 0x75
	HeapNoExn    = 0x74
	HeapNoFunc   = 0x73
	HeapNoExtern = 0x72
	HeapNone     = 0x71
	HeapFunc     = 0x70
	HeapExtern   = 0x6f
	HeapAny      = 0x6e
	HeapEq       = 0x6d
	HeapI31      = 0x6c
	HeapStruct   = 0x6b
	HeapArray    = 0x6a
	HeapExn      = 0x69
	HeapCont     = 0x68
)

// Code is the code of the type in the binary format, RefCode for all references.
func (v ValType) Code() byte { return byte(v >> codeShift) }

// IsRef is whether values of the type are references.
func (v ValType) IsRef() bool { return v.Code() == RefCode }

// Nullable is whether a reference may be null.
func (v ValType) Nullable() bool { return v&typeNull != 0 }

// Heap is what a reference refers to.
func (v ValType) Heap() HeapType {
	h := HeapType{Shared: v&typeShared != 0, Exact: v&typeExact != 0}
	if v&typeConcrete != 0 {
		h.Index = uint32(v & typeIndex)
	} else {
		h.Code = byte(v)
	}
	return h
}

// TypeIndex is the index of the type that a reference refers to, -1 if v is
// anything else.
func (v ValType) TypeIndex() int {
	if v&typeConcrete == 0 {
		return -1
	}
	return int(v & typeIndex)
}

// withIndex is a reference like v to type i.
func (v ValType) withIndex(i uint32) ValType { return v&^typeIndex | ValType(i) }

// refTo is a reference to type i that is never null.
func refTo(i uint32) ValType { return anyRef | typeConcrete | ValType(i) }

// A HeapType is what a reference refers to: an abstract type, told by its Code,
// or, where Code is zero, the type at Index.
type HeapType struct {
	Index  uint32
	Code   byte
	Shared bool // shared-everything-threads
	Exact  bool // custom-descriptors
}

// abstract names the abstract heap types by their codes.
var abstract = [256]string{
	HeapNoCont: "nocont", HeapNoExn: "noexn", HeapNoFunc: "nofunc", HeapNoExtern: "noextern", HeapNone: "none",
	HeapFunc: "func", HeapExtern: "extern", HeapAny: "any", HeapEq: "eq", HeapI31: "i31", HeapStruct: "struct",
	HeapArray: "array", HeapExn: "exn", HeapCont: "cont",
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
	switch v.Code() {
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
	case RefCode:
		return v.refString()
	case bottomRef.Code():
		return "(ref bottom)"
	}
	return "bottom"
}

func (v ValType) refString() string {
	h := v.Heap()
	if !v.Nullable() {
		return "(ref " + h.String() + ")"
	}
	if name := abstract[h.Code]; name != "" && !h.Shared && !h.Exact {
		if s, ok := shorthand[name]; ok {
			return s
		}
		return name + "ref"
	}
	return "(ref null " + h.String() + ")"
}

// NoType stands where a [SubType] could name another type and names none.
const NoType = 1<<32 - 1

// A SubType is one entry of the type index space.
type SubType struct {
	Form   Form
	Final  bool
	Shared bool

	// Super is the declared supertype. Descriptor and Describes are the types
	// named in the clauses of the custom-descriptors proposal. Cont is the
	// function type of a continuation. Each is NoType where there is none.
	Super      uint32
	Descriptor uint32
	Describes  uint32
	Cont       uint32

	// Group is the index of the first type of the recursive group that the
	// type belongs to.
	Group uint32

	params uint32    // how many of types are parameters
	types  []ValType // of parameters and results, or of fields
}

// Params are the types of a function's parameters.
func (t *SubType) Params() []ValType { return t.types[:t.params] }

// Results are the types of a function's results.
func (t *SubType) Results() []ValType {
	if t.Form != FormFunc {
		return nil
	}
	return t.types[t.params:]
}

// Fields is the number of fields of a structure; an array has one, the type of
// its elements, and other types have none.
func (t *SubType) Fields() int {
	if t.Form != FormStruct && t.Form != FormArray {
		return 0
	}
	return len(t.types)
}

// Field gives field i of a structure.
func (t *SubType) Field(i int) FieldType {
	return FieldType{Type: t.types[i] &^ fieldMutable, Mutable: t.types[i]&fieldMutable != 0}
}

// A FieldType is a field of a structure or the element of an array.
type FieldType struct {
	Type    ValType
	Mutable bool
}

// unpacked is the type of the values that a field's storage type is read as.
func (f FieldType) unpacked() ValType {
	if f.packed() {
		return I32
	}
	return f.Type
}

func (f FieldType) packed() bool { return f.Type == I8 || f.Type == I16 }

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
func (t *SubType) String() string {
	var b text
	switch t.Form {
	case FormFunc:
		b.add("(func")
		b.list("param", t.Params())
		b.list("result", t.Results())
		b.add(")")
	case FormStruct:
		b.add("(struct")
		for i := range t.Fields() {
			b.add(" (field ", t.Field(i).String(), ")")
		}
		b.add(")")
	case FormArray:
		b.add("(array ", t.Field(0).String(), ")")
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
	case b >= V128Code && b <= I32Code, storage && (b == I8Code || b == I16Code):
		return ValType(b) << codeShift
	case b == 0x63:
		return nullRef | r.heapType()
	case b == RefCode:
		return anyRef | r.heapType()
	case b == codeShared:
		return nullRef | typeShared | r.abstract()
	case abstract[b] != "":
		return nullRef | ValType(b)
	}
	r.code("a value type", b)
	return 0
}

// Codes that stand before a heap type.
const (
	codeExact  = 0x62
	codeShared = 0x65
)

// heapType reads a heap type and gives its part of a ValType.
func (r *reader) heapType() ValType {
	switch b := r.peek(); {
	case b == codeExact:
		r.u8()
		start := r.off
		return typeExact | r.index(start, int64(r.u32()))
	case b == codeShared:
		r.u8()
		return typeShared | r.abstract()
	case abstract[b] != "":
		r.u8()
		return ValType(b)
	}
	start := r.off
	return r.index(start, r.sleb(33))
}

// index makes a heap type of a type index read at start.
func (r *reader) index(start int, n int64) ValType {
	switch {
	case n < 0:
		r.fail(start, fmt.Errorf("%w for a heap type", ErrCode))
		return 0
	case n > int64(typeIndex):
		r.fail(start, fmt.Errorf("%w %d", ErrUnknownType, n))
		return 0
	}
	return typeConcrete | ValType(n)
}

func (r *reader) abstract() ValType {
	b := r.u8()
	if abstract[b] == "" {
		r.code("an abstract heap type", b)
	}
	return ValType(b)
}

func (r *reader) refType() ValType {
	start := r.off
	v := r.valType(false)
	if r.err == nil && !v.IsRef() {
		r.fail(start, fmt.Errorf("%w for a reference type", ErrCode))
	}
	return v
}

// valTypes reads a vector of value types and appends them to list.
func (r *reader) valTypes(list []ValType, maximum int) []ValType {
	n := r.keepOf(1, maximum, costValType)
	if n == 0 {
		return list
	}
	list = slices.Grow(list, n)
	for range n {
		list = append(list, r.valType(false))
	}
	return list
}

// recType reads a recursive group, or the single type that stands for one, and
// appends its members to types.
func (r *reader) recType(types []SubType) []SubType {
	group := uint32(len(types))
	n := 1
	if r.peek() == 0x4e {
		r.u8()
		r.used |= FeatureGC
		n = r.count(1, MaxTypes-len(types))
		r.charge((n - 1) * costType) // the entry of the section counts as one
		types = grow(r, types, n)
	} else if len(types) >= MaxTypes {
		r.fail(r.off, fmt.Errorf("%w: more than %d types", ErrLimit, MaxTypes))
	}
	for range n {
		if r.err != nil {
			break
		}
		t := r.subType()
		t.Group = group
		types = append(types, t)
	}
	return types
}

func (r *reader) subType() SubType {
	t := SubType{Final: true, Super: NoType, Descriptor: NoType, Describes: NoType, Cont: NoType}
	if b := r.peek(); b == 0x50 || b == 0x4f {
		t.Final = r.u8() == 0x4f
		start := r.off
		switch r.count(1, MaxSupertypes) {
		case 0:
		case 1:
			t.Super = r.u32()
		default:
			r.fail(start, fmt.Errorf("%w: more than one supertype", ErrSubType))
		}
	}
	if r.peek() == codeShared {
		r.u8()
		t.Shared = true
	}
	if r.peek() == 0x4c {
		r.u8()
		t.Describes = r.u32()
	}
	if r.peek() == 0x4d {
		r.u8()
		t.Descriptor = r.u32()
	}
	t.Form = Form(r.u8())
	switch t.Form {
	case FormFunc:
		t.types = r.valTypes(nil, MaxParams)
		t.params = uint32(len(t.types))
		t.types = r.valTypes(t.types, MaxResults)
	case FormStruct:
		n := r.keepOf(2, MaxFields, costValType)
		t.types = make([]ValType, 0, n)
		for range n {
			t.types = append(t.types, r.fieldType())
		}
	case FormArray:
		r.charge(costValType)
		t.types = []ValType{r.fieldType()}
	case FormCont:
		start := r.off
		t.Cont = uint32(r.index(start, r.sleb(33)) & typeIndex)
	default:
		r.code("a composite type", byte(t.Form))
	}
	return t
}

// fieldType reads a field, with its mutability in the topmost bit.
func (r *reader) fieldType() ValType {
	v := r.valType(true)
	if r.flag("mutability") {
		v |= fieldMutable
	}
	return v
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
	// The format has 64 bits for all; validation knows the smaller bounds.
	l = Limits{Min: r.uleb(64), Shared: flags&limitShared != 0, Is64: flags&limit64 != 0}
	if flags&limitMax != 0 {
		l.Max, l.HasMax = r.uleb(64), true
	}
	return l, flags
}

func (r *reader) memoryType() MemoryType {
	l, flags := r.limits(limitMax | limitShared | limit64 | limitPageSize)
	m := MemoryType{Limits: l, PageSize: DefaultPageSize}
	if flags&limitPageSize != 0 {
		r.used |= FeatureCustomPageSizes
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
