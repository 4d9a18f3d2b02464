package wasm

import (
	"fmt"
	"slices"
	"strconv"
)

// IDs of the sections of a core module.
const (
	SectionCustom    = 0
	SectionType      = 1
	SectionImport    = 2
	SectionFunction  = 3
	SectionTable     = 4
	SectionMemory    = 5
	SectionGlobal    = 6
	SectionExport    = 7
	SectionStart     = 8
	SectionElement   = 9
	SectionCode      = 10
	SectionData      = 11
	SectionDataCount = 12
	SectionTag       = 13
)

// coreSections names the sections of a module and says in which order they
// stand; custom ones stand anywhere.
var coreSections = [...]struct {
	name  string
	order int
}{
	SectionCustom: {"custom", 0}, SectionType: {"type", 1}, SectionImport: {"import", 2}, SectionFunction: {"function", 3},
	SectionTable: {"table", 4}, SectionMemory: {"memory", 5}, SectionTag: {"tag", 6}, SectionGlobal: {"global", 7},
	SectionExport: {"export", 8}, SectionStart: {"start", 9}, SectionElement: {"element", 10},
	SectionDataCount: {"data count", 11}, SectionCode: {"code", 12}, SectionData: {"data", 13},
}

// SectionName gives the specification's word for a section of a binary of kind
// k, "section 99" for an unknown id.
func SectionName(k Kind, id byte) string {
	switch {
	case k == KindModule && int(id) < len(coreSections):
		return coreSections[id].name
	case k == KindComponent && int(id) < len(componentSections):
		return componentSections[id]
	}
	return "section " + strconv.Itoa(int(id))
}

// A Module is what a core module declares. The slices of functions, tables,
// memories, globals and tags are whole index spaces: the imported ones first.
type Module struct {
	Types     []SubType
	Imports   []Import
	Exports   []Export
	Functions []uint32 // index of each function's type
	Tables    []TableType
	Memories  []MemoryType
	Globals   []GlobalType
	Tags      []uint32 // index of each tag's type

	// Start is the index of the start function, -1 without one.
	Start int64

	// Defined is the number of functions that are not imported, and Segments
	// and Elements those of the data and element segments.
	Defined  int
	Elements int
	Segments int

	// DataCount is what the data count section says, -1 without one.
	DataCount int64

	// CodeSize and DataSize are the sizes of the code and data sections in
	// bytes.
	CodeSize int64
	DataSize int64

	// What follows is there after [Parse] only. Code has the bodies of the
	// defined functions, Inits the initialisers of the defined globals and
	// TableInits those of the defined tables, which mostly have none.
	Code       []Body
	Data       []Data
	Elems      []Element
	Inits      []ConstExpr
	TableInits []ConstExpr
	Names      Names

	file  []byte   // the whole file, as in Binary
	used  Features // that show in the encoding only
	exact []uint32 // the imported functions that are of no subtype of their type
}

// Imported is the number of functions that are imported; those defined in the
// module follow them in the index space.
func (m *Module) Imported() int { return len(m.Functions) - m.Defined }

// A Body is an entry of the code section: the locals and instructions of one
// function.
type Body struct {
	Offset int64 // of the first byte of the locals in the file
	Size   int64 // bytes
}

// An ExternKind says what is imported or exported; the values are those of the
// format.
type ExternKind byte

// The kinds of imports and exports of a core module.
const (
	ExternFunc   ExternKind = 0
	ExternTable  ExternKind = 1
	ExternMemory ExternKind = 2
	ExternGlobal ExternKind = 3
	ExternTag    ExternKind = 4

	// externExact is an import of a function of exactly its type, of the
	// custom-descriptors proposal.
	externExact = 0x20
)

func (k ExternKind) String() string {
	switch k {
	case ExternFunc:
		return "func"
	case ExternTable:
		return "table"
	case ExternMemory:
		return "memory"
	case ExternGlobal:
		return "global"
	case ExternTag:
		return "tag"
	}
	return "extern " + strconv.Itoa(int(k))
}

// An Import is one entry of the import section.
type Import struct {
	Module string
	Name   string
	Kind   ExternKind
	Index  uint32 // into the index space of the kind
}

// extern is the kind and type of an import as it stands in the file.
type extern struct {
	kind   ExternKind
	typ    uint32 // type index of a function or tag
	exact  bool   // of a function: of no subtype of the type
	table  TableType
	memory MemoryType
	global GlobalType
}

// An Export is one entry of the export section.
type Export struct {
	Name  string
	Kind  ExternKind
	Index uint32 // into the index space of the kind
}

// ImportType gives the type of im as the text format writes it.
func (m *Module) ImportType(im Import) string { return m.typeOf(im.Kind, im.Index) }

// ExportType gives the type of ex as the text format writes it, "" if its index
// is out of range, which no valid module has.
func (m *Module) ExportType(ex Export) string { return m.typeOf(ex.Kind, ex.Index) }

func (m *Module) typeOf(kind ExternKind, index uint32) string {
	i := int64(index)
	switch kind {
	case ExternFunc:
		if i < int64(len(m.Functions)) {
			return m.funcType(m.Functions[i])
		}
	case ExternTable:
		if i < int64(len(m.Tables)) {
			return m.Tables[i].String()
		}
	case ExternMemory:
		if i < int64(len(m.Memories)) {
			return m.Memories[i].String()
		}
	case ExternGlobal:
		if i < int64(len(m.Globals)) {
			return m.Globals[i].String()
		}
	case ExternTag:
		if i < int64(len(m.Tags)) {
			return m.tagType(m.Tags[i])
		}
	}
	return ""
}

func (m *Module) funcType(i uint32) string {
	if int64(i) < int64(len(m.Types)) && m.Types[i].Form == FormFunc {
		return m.Types[i].String()
	}
	return ""
}

func (m *Module) tagType(i uint32) string {
	s := m.funcType(i)
	if s == "" {
		return ""
	}
	return "(tag" + s[len("(func"):]
}

// A moduleDecoder fills a Module, section by section.
type moduleDecoder struct {
	*decoder
	m      *Module
	order  int // of the last section
	bodies int // entries of the code section

	// expanded counts the bytes that the module names of compact imports would
	// take if written out: 14 bytes must not become a report of a gigabyte.
	expanded int

	lastEnd int64
}

func (d *moduleDecoder) section(s Section) error {
	doing := SectionName(KindModule, s.ID) + " section"
	d.lastEnd = s.End()
	if int(s.ID) >= len(coreSections) {
		return &Error{Offset: s.Offset, Doing: "section header", Err: fmt.Errorf("%w %d for a section", ErrCode, s.ID)}
	}
	if order := coreSections[s.ID].order; order <= d.order {
		return &Error{Offset: s.Offset, Doing: doing, Err: ErrOrder}
	} else {
		d.order = order
	}
	large := s.ID == SectionElement || s.ID == SectionCode || s.ID == SectionData
	if large && d.file == nil {
		return d.skipped(doing, s)
	}
	read := d.reader
	if !large {
		read = func(doing string, s Section) (*reader, error) { return d.body(doing, s, MaxSectionBytes) }
	}
	r, err := read(doing, s)
	if err != nil {
		return err
	}
	d.decode(r, s.ID)
	r.end()
	return r.err
}

// skipped reads the number of entries of a section and leaves the rest.
func (d *moduleDecoder) skipped(doing string, s Section) error {
	head, err := d.at(s.Body, s.End(), 5)
	if err != nil {
		return err
	}
	r := reader{buf: head, base: s.Body, doing: doing, entry: -1, budget: d.budget}
	n := int64(r.u32())
	if r.err == nil && n > s.Size {
		r.fail(0, fmt.Errorf("%w: %d entries in %d bytes", ErrTruncated, n, s.Size))
	}
	switch s.ID {
	case SectionElement:
		d.m.Elements = int(n)
	case SectionCode:
		d.bodies, d.m.CodeSize = int(n), s.Size
	case SectionData:
		d.m.Segments, d.m.DataSize = int(n), s.Size
	}
	return r.err
}

// decode reads the contents of a section: one number, or a vector.
func (d *moduleDecoder) decode(r *reader, id byte) {
	m := d.m
	switch id {
	case SectionStart:
		m.Start = int64(r.u32())
	case SectionDataCount:
		m.DataCount = int64(r.u32())
		d.m.used |= FeatureBulkMemory
	default:
		if id == SectionTag { // which engines without the proposal refuse, even empty
			d.m.used |= featureTags
		}
		n := d.prepare(r, id)
		r.each(n, func(int) { d.entry(r, id) })
	}
	d.m.used |= r.used
}

// prepare reads the number of entries of a section and makes room for them.
func (d *moduleDecoder) prepare(r *reader, id byte) (n int) {
	m := d.m
	switch id {
	case SectionType:
		n = r.count(1, MaxTypes)
		r.charge(n * costType)
		m.Types = grow(r, m.Types, n)
	case SectionImport:
		n = r.keepOf(3, MaxImports, costImport)
		m.Imports = grow(r, m.Imports, n)
	case SectionFunction:
		n = r.count(1, MaxFunctions-len(m.Functions))
		r.charge(n * costFunction)
		m.Defined = n
		m.Functions = grow(r, m.Functions, n)
	case SectionTable:
		n = r.keepOf(3, MaxTables, costTable+costExpr)
		m.Tables = grow(r, m.Tables, n)
		m.TableInits = grow(r, m.TableInits, n)
	case SectionMemory:
		n = r.keepOf(2, MaxMemories, costMemory)
	case SectionTag:
		n = r.keepOf(2, MaxTags, costTag)
	case SectionGlobal:
		n = r.keepOf(3, MaxGlobals, costGlobal+costExpr)
		m.Globals = grow(r, m.Globals, n)
		m.Inits = grow(r, m.Inits, n)
	case SectionExport:
		n = r.keepOf(3, MaxExports, costExport)
		m.Exports = grow(r, m.Exports, n)
	case SectionElement:
		n = r.keepOf(3, MaxElements, costElement)
		m.Elements = n
		m.Elems = grow(r, m.Elems, n)
	case SectionCode:
		n = r.count(2, MaxFunctions)
		r.charge(n * costBody)
		d.bodies, m.CodeSize = n, int64(len(r.buf))
		m.Code = grow(r, m.Code, n)
	case SectionData:
		n = r.keepOf(2, MaxData, costData)
		m.Segments, m.DataSize = n, int64(len(r.buf))
		m.Data = grow(r, m.Data, n)
	}
	return n
}

// grow makes room for n more entries, unless the reader has failed or only
// passes over them.
func grow[T any](r *reader, list []T, n int) []T {
	if r.err != nil || r.passing {
		return list
	}
	return slices.Grow(list, n)
}

// entry reads one entry of a section.
func (d *moduleDecoder) entry(r *reader, id byte) {
	m := d.m
	switch id {
	case SectionType:
		m.Types = r.recType(m.Types)
	case SectionImport:
		d.imports(r)
	case SectionFunction:
		m.Functions = append(m.Functions, r.u32())
	case SectionTable:
		t, init := r.table()
		m.Tables = append(m.Tables, t)
		m.TableInits = append(m.TableInits, init)
	case SectionMemory:
		m.Memories = append(m.Memories, r.memoryType())
	case SectionTag:
		m.Tags = append(m.Tags, r.tagType())
	case SectionGlobal:
		m.Globals = append(m.Globals, r.globalType())
		m.Inits = append(m.Inits, r.constExpr())
	case SectionExport:
		m.Exports = append(m.Exports, r.export())
	case SectionElement:
		m.Elems = append(m.Elems, r.element())
	case SectionCode:
		m.Code = append(m.Code, r.functionBody())
	case SectionData:
		m.Data = append(m.Data, r.dataSegment())
	}
}

// functionBody finds a body and steps over it.
func (r *reader) functionBody() Body {
	start := r.off
	size := r.u32()
	if int64(size) > int64(r.left()) {
		r.fail(start, fmt.Errorf("%w: body of %d bytes, %d left", ErrTruncated, size, r.left()))
		return Body{}
	}
	b := Body{Offset: r.base + int64(r.off), Size: int64(size)}
	r.off += int(size)
	return b
}

// finish compares what sections say about each other.
func (d *moduleDecoder) finish() error {
	fail := func(doing string, a, b int) error {
		return &Error{Offset: d.lastEnd, Doing: doing, Err: fmt.Errorf("%w: %d and %d", ErrMismatch, a, b)}
	}
	if d.bodies != d.m.Defined {
		return fail("numbers of function and code entries", d.m.Defined, d.bodies)
	}
	if d.m.DataCount >= 0 && d.m.DataCount != int64(d.m.Segments) {
		return fail("data count and number of data segments", int(d.m.DataCount), d.m.Segments)
	}
	return nil
}

// imports reads one entry of the import section: an import, or a group in one of
// the two forms of the compact-import-section proposal, which stand where the
// kind would after an empty name.
func (d *moduleDecoder) imports(r *reader) {
	module, name := r.name(), r.name()
	if b := r.peek(); name != "" || b != compactKinds && b != compactNames {
		d.addImport(r, module, name, r.extern())
		return
	}
	r.used |= FeatureCompactImports
	if r.u8() == compactKinds {
		for range r.keepOf(2, MaxImports-len(d.m.Imports), costImport) {
			name := r.name()
			d.addImport(r, module, name, r.extern())
			d.expand(r, module)
		}
		return
	}
	shared := r.extern()
	for range r.keepOf(1, MaxImports-len(d.m.Imports), costImport) {
		d.addImport(r, module, r.name(), shared)
		d.expand(r, module)
	}
}

// expand draws on the bound of repeated module names.
func (d *moduleDecoder) expand(r *reader, module string) {
	if d.expanded += len(module); d.expanded > MaxSectionBytes {
		r.fail(r.off, fmt.Errorf("%w: more than %d bytes of repeated module names", ErrLimit, MaxSectionBytes))
	}
}

const (
	compactKinds = 0x7f // a vector of names, each with its type
	compactNames = 0x7e // a type, and a vector of names
)

func (d *moduleDecoder) addImport(r *reader, module, name string, e extern) {
	if r.err != nil {
		return
	}
	m, n := d.m, 0
	switch e.kind {
	case ExternFunc:
		n, m.Functions = len(m.Functions), append(m.Functions, e.typ)
		m.setExact(n, e.exact)
	case ExternTable:
		n, m.Tables = len(m.Tables), append(m.Tables, e.table)
	case ExternMemory:
		n, m.Memories = len(m.Memories), append(m.Memories, e.memory)
	case ExternGlobal:
		n, m.Globals = len(m.Globals), append(m.Globals, e.global)
	case ExternTag:
		n, m.Tags = len(m.Tags), append(m.Tags, e.typ)
	}
	m.Imports = append(m.Imports, Import{Module: module, Name: name, Kind: e.kind, Index: uint32(n)})
}

// setExact notes whether imported function i is of exactly its type.
func (m *Module) setExact(i int, exact bool) {
	if exact {
		m.exact = append(m.exact, uint32(i))
	}
}

func (r *reader) extern() extern {
	e := extern{kind: ExternKind(r.u8())}
	switch e.kind {
	case ExternFunc:
		e.typ = r.u32()
	case externExact:
		e.kind, e.typ, e.exact = ExternFunc, r.u32(), true
		r.used |= FeatureCustomDescriptors
	case ExternTable:
		r.charge(costGrown * costTable)
		e.table = r.tableType()
	case ExternMemory:
		r.charge(costGrown * costMemory)
		e.memory = r.memoryType()
	case ExternGlobal:
		e.global = r.globalType()
	case ExternTag:
		e.typ = r.tagType()
	default:
		r.code("the kind of an import", byte(e.kind))
	}
	return e
}

func (r *reader) export() Export {
	e := Export{Name: r.name(), Kind: ExternKind(r.u8())}
	if e.Kind > ExternTag {
		r.code("the kind of an export", byte(e.Kind))
	}
	e.Index = r.u32()
	return e
}

// tagType reads an attribute, which is zero, and a type index.
func (r *reader) tagType() uint32 {
	if b := r.u8(); b != 0 {
		r.code("the attribute of a tag", b)
	}
	return r.u32()
}

// table reads a defined table, which may begin with 0x40 0x00 and then has an
// initial value.
func (r *reader) table() (TableType, ConstExpr) {
	if r.peek() != 0x40 {
		return r.tableType(), ConstExpr{}
	}
	r.u8()
	if b := r.u8(); b != 0 {
		r.code("a table with an initial value", b)
	}
	r.used |= FeatureFunctionReferences
	t := r.tableType()
	return t, r.constExpr()
}
