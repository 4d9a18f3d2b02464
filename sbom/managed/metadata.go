package managed

import (
	"bytes"
	"fmt"
	"math/bits"
)

// Tables of the metadata (ECMA-335, partition II, clause 22).
const (
	tableTypeRef         = 0x01
	tableMemberRef       = 0x0a
	tableCustomAttribute = 0x0c
	tableAssembly        = 0x20
	tableAssemblyRef     = 0x23
	tables               = 0x2d
)

// A column of a table is a number of two or four bytes, an index into a heap, or
// one into a table or a choice of tables.
type column struct {
	size  int   // in bytes; 0 of an index
	heap  byte  // bit of HeapSizes that makes the index wide; 0 of one into tables
	among []int // the tables an index goes to; several need tag bits
}

var (
	two    = column{size: 2}
	four   = column{size: 4}
	str    = column{heap: 1}
	guid   = column{heap: 2}
	blob   = column{heap: 4}
	toAny  = func(t ...int) column { return column{among: t} }
	none   = -1 // a tag that stands for no table
	scopes = toAny(0x00, 0x1a, 0x23, 0x01)
	types  = toAny(0x02, 0x01, 0x1b)
	method = toAny(0x06, 0x0a)

	attributed = toAny(0x06, 0x04, 0x01, 0x02, 0x08, 0x09, 0x0a, 0x00, 0x0e, 0x17, 0x14,
		0x11, 0x1a, 0x1b, 0x20, 0x23, 0x26, 0x27, 0x28, 0x2a, 0x2c, 0x2b)
)

// columns are those of each table up to the last that is read, in their order
// (clauses 22.2 to 22.39). A table without columns is not one that files have.
var columns = [tables][]column{
	0x00: {two, str, guid, guid, guid},                            // Module
	0x01: {scopes, str, str},                                      // TypeRef
	0x02: {four, str, str, types, toAny(4), toAny(6)},             // TypeDef
	0x03: {toAny(4)},                                              // FieldPtr
	0x04: {two, str, blob},                                        // Field
	0x05: {toAny(6)},                                              // MethodPtr
	0x06: {four, two, two, str, blob, toAny(8)},                   // MethodDef
	0x07: {toAny(8)},                                              // ParamPtr
	0x08: {two, two, str},                                         // Param
	0x09: {toAny(2), types},                                       // InterfaceImpl
	0x0a: {toAny(0x02, 0x01, 0x1a, 0x06, 0x1b), str, blob},        // MemberRef
	0x0b: {two, toAny(0x04, 0x08, 0x17), blob},                    // Constant
	0x0c: {attributed, toAny(none, none, 0x06, 0x0a, none), blob}, // CustomAttribute
	0x0d: {toAny(0x04, 0x08), blob},                               // FieldMarshal
	0x0e: {two, toAny(0x02, 0x06, 0x20), blob},                    // DeclSecurity
	0x0f: {two, four, toAny(2)},                                   // ClassLayout
	0x10: {four, toAny(4)},                                        // FieldLayout
	0x11: {blob},                                                  // StandAloneSig
	0x12: {toAny(2), toAny(0x14)},                                 // EventMap
	0x13: {toAny(0x14)},                                           // EventPtr
	0x14: {two, str, types},                                       // Event
	0x15: {toAny(2), toAny(0x17)},                                 // PropertyMap
	0x16: {toAny(0x17)},                                           // PropertyPtr
	0x17: {two, str, blob},                                        // Property
	0x18: {two, toAny(6), toAny(0x14, 0x17)},                      // MethodSemantics
	0x19: {toAny(2), method, method},                              // MethodImpl
	0x1a: {str},                                                   // ModuleRef
	0x1b: {blob},                                                  // TypeSpec
	0x1c: {two, toAny(0x04, 0x06), str, toAny(0x1a)},              // ImplMap
	0x1d: {four, toAny(4)},                                        // FieldRVA
	0x1e: {four, four},                                            // EncLog
	0x1f: {four},                                                  // EncMap
	0x20: {four, two, two, two, two, four, blob, str, str},        // Assembly
	0x21: {four},                                                  // AssemblyProcessor
	0x22: {four, four, four},                                      // AssemblyOS
	0x23: {two, two, two, two, four, blob, str, str, blob},        // AssemblyRef
}

// metadata is that of one assembly, its tables laid out.
type metadata struct {
	reader
	strings, blobs []byte
	heaps          byte // HeapSizes
	rows           [tables]uint32
	start, width   [tables]int // of the first row, and of each, in bytes
}

// readMetadata reads the root and the heads of the tables (clauses 24.2.1 and
// 24.2.6).
func readMetadata(root []byte) (*metadata, bool) {
	m := &metadata{reader: reader{b: root}}
	if m.u32(0) != 0x424a5342 { // BSJB
		return nil, false
	}
	at := 16 + int(min(m.u32(12), 256))
	head := -1
	streams := m.u16(at + 2)
	at += 4
	for range min(streams, 16) {
		start, size := int(m.u32(at)), int(m.u32(at+4))
		name := m.b[min(at+8, len(m.b)):min(at+40, len(m.b))]
		n := bytes.IndexByte(name, 0)
		if m.bad || n < 0 || start > len(root) || size > len(root)-start {
			return nil, false
		}
		switch string(name[:n]) {
		case "#~", "#-":
			head = start
		case "#Strings":
			m.strings = root[start : start+size]
		case "#Blob":
			m.blobs = root[start : start+size]
		}
		at += 8 + (n+4)&^3
	}
	return m, head >= 0 && m.layOut(head)
}

// layOut finds where each table begins.
func (m *metadata) layOut(head int) bool {
	m.heaps = byte(m.u16(head + 6)) // one byte, and one that is reserved
	valid := m.u64(head + 8)
	at := head + 24
	for t := range tables {
		if valid>>t&1 != 0 {
			m.rows[t] = m.u32(at)
			at += 4
		}
	}
	at += 4 * bits.OnesCount64(valid>>tables)
	for t := range tables {
		for _, c := range columns[t] {
			m.width[t] += m.size(c)
		}
		m.start[t] = at
		if int64(m.rows[t])*int64(m.width[t]) > int64(len(m.b)) {
			return false
		}
		at += int(m.rows[t]) * m.width[t]
		if t == tableAssemblyRef {
			break
		}
	}
	return !m.bad && at <= len(m.b)
}

// size is the width of a column in bytes: an index takes two unless what it goes
// to, with its tag, needs more.
func (m *metadata) size(c column) int {
	switch {
	case c.size > 0:
		return c.size
	case c.heap > 0 && m.heaps&c.heap != 0:
		return 4
	case c.heap > 0:
		return 2
	}
	limit := uint32(1) << (16 - bits.Len(uint(len(c.among)-1)))
	for _, t := range c.among {
		if t != none && m.rows[t] >= limit {
			return 4
		}
	}
	return 2
}

// cell gives column c of row i, counted from 0, of table t.
func (m *metadata) cell(t int, i uint32, c int) uint32 {
	at := m.start[t] + int(i)*m.width[t]
	for _, before := range columns[t][:c] {
		at += m.size(before)
	}
	if m.size(columns[t][c]) == 4 {
		return m.u32(at)
	}
	return uint32(m.u16(at))
}

// text gives the text at an index of the heap of strings.
func (m *metadata) text(i uint32) string {
	if int64(i) >= int64(len(m.strings)) {
		return ""
	}
	s := m.strings[i:min(len(m.strings), int(i)+1024)]
	n := bytes.IndexByte(s, 0)
	if n < 0 {
		return ""
	}
	return string(s[:n])
}

// blob gives the bytes at an index of the heap of blobs (clause 24.2.4).
func (m *metadata) blob(i uint32) []byte {
	if int64(i) >= int64(len(m.blobs)) {
		return nil
	}
	return packed(m.blobs[i:])
}

// packed gives the bytes after a length of one, two or four bytes that they
// begin with (clause 23.2).
func packed(b []byte) []byte {
	n, skip := 0, 0
	switch {
	case len(b) > 0 && b[0]&0x80 == 0:
		n, skip = int(b[0]), 1
	case len(b) > 1 && b[0]&0xc0 == 0x80:
		n, skip = int(b[0]&0x3f)<<8|int(b[1]), 2
	case len(b) > 3 && b[0]&0xe0 == 0xc0:
		n, skip = int(b[0]&0x1f)<<24|int(b[1])<<16|int(b[2])<<8|int(b[3]), 4
	default:
		return nil
	}
	if n > len(b)-skip {
		return nil
	}
	return b[skip : skip+n]
}

// assembly reads the tables Assembly and AssemblyRef.
func (m *metadata) assembly() (a assembly, ok bool) {
	if m.rows[tableAssembly] == 0 {
		return a, false
	}
	a.reference = m.reference(tableAssembly, 0, 1, 7)
	a.informational = m.informational()
	for i := range min(m.rows[tableAssemblyRef], maxReferences) {
		if r := m.reference(tableAssemblyRef, i, 0, 6); r.name != "" {
			a.references = append(a.references, r)
		}
	}
	return a, !m.bad && a.name != ""
}

// reference reads the name and the four parts of a version of a row.
func (m *metadata) reference(t int, i uint32, version, name int) reference {
	return reference{
		name: m.text(m.cell(t, i, name)),
		version: fmt.Sprintf("%d.%d.%d.%d", m.cell(t, i, version), m.cell(t, i, version+1),
			m.cell(t, i, version+2), m.cell(t, i, version+3)),
		offset: m.start[t] + int(i)*m.width[t],
	}
}

// informational is the value of the attribute of that name on the assembly.
func (m *metadata) informational() string {
	const (
		onAssembly = 1<<5 | 14 // row 1 of Assembly, as HasCustomAttribute
		memberRef  = 3         // as CustomAttributeType, of three bits
		typeRef    = 1         // as MemberRefParent, of three bits
	)
	for i := range m.rows[tableCustomAttribute] {
		if m.cell(tableCustomAttribute, i, 0) != onAssembly {
			continue
		}
		kind := m.cell(tableCustomAttribute, i, 1)
		row := kind>>3 - 1
		if kind&7 != memberRef || row >= m.rows[tableMemberRef] {
			continue
		}
		class := m.cell(tableMemberRef, row, 0)
		row = class>>3 - 1
		if class&7 != typeRef || row >= m.rows[tableTypeRef] ||
			m.text(m.cell(tableTypeRef, row, 1)) != "AssemblyInformationalVersionAttribute" {
			continue
		}
		// A prologue of two bytes, then the one argument (clause 23.3).
		if value := m.blob(m.cell(tableCustomAttribute, i, 2)); len(value) > 2 && value[0] == 1 && value[1] == 0 {
			return string(packed(value[2:]))
		}
	}
	return ""
}
