package code

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/wreg-project/wreg/inspect/stream"
)

// A FunctionTable is the defined functions of a module as a report keeps them:
// in JSON an object with one array of numbers and strings for each function, in
// the order of "columns". Functions, Retained, Reach and, if there are any,
// Names are of one length.
type FunctionTable struct {
	First     uint32 // index of the first
	Functions []Function
	Retained  []uint32
	Reach     []Reach
	Names     []string // nil if the table has no names
	Truncated bool     // there are more functions
}

// Table gives the table of the module's functions. name may be nil.
func (m *Module) Table(name func(index uint32) string) *FunctionTable {
	t := &FunctionTable{
		First: uint32(m.Imported), Functions: m.Functions, Retained: m.Retained,
		Reach: make([]Reach, len(m.Functions)), Truncated: len(m.Functions) < m.Defined,
	}
	for i := range t.Reach {
		t.Reach[i] = m.Graph.Reach(t.First + uint32(i))
	}
	if name != nil {
		t.Names = make([]string, len(m.Functions))
		for i := range t.Names {
			t.Names[i] = name(t.First + uint32(i))
		}
	}
	return t
}

// columns are the numbers of a row, which are followed by the two hashes and the
// fingerprint in hexadecimal digits and, in a table with names, the name.
const columns = `"bytes","instructions","complexity","nesting","loops","frame","calls","indirectCalls","retained","reach",` +
	`"exact","normalised","fuzzy"`

const numbers = 10

// row gives the numbers of row i, in the order of columns.
func (t *FunctionTable) row(i int) [numbers]uint32 {
	f := &t.Functions[i]
	return [...]uint32{
		f.Bytes, f.Instructions, f.Complexity, f.Nesting, f.Loops, f.Frame, f.Calls, f.Indirect, t.Retained[i], uint32(t.Reach[i]),
	}
}

// AppendJSON appends the table in JSON to dst.
func (t *FunctionTable) AppendJSON(dst []byte) []byte {
	dst = t.appendHead(dst)
	for i := range t.Functions {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = t.appendRow(dst, i)
	}
	return append(dst, "]}"...)
}

// appendHead appends all that stands before the rows.
func (t *FunctionTable) appendHead(dst []byte) []byte {
	dst = append(dst, `{"first":`...)
	dst = strconv.AppendUint(dst, uint64(t.First), 10)
	if t.Truncated {
		dst = append(dst, `,"truncated":true`...)
	}
	dst = append(dst, `,"columns":[`+columns...)
	if t.Names != nil {
		dst = append(dst, `,"name"`...)
	}
	return append(dst, `],"rows":[`...)
}

func (t *FunctionTable) appendRow(dst []byte, i int) []byte {
	f := &t.Functions[i]
	dst = append(dst, '[')
	for _, n := range t.row(i) {
		dst = append(appendNumber(dst, n), ',')
	}
	dst = append(dst, '"')
	dst = hex.AppendEncode(dst, f.Exact[:])
	dst = append(dst, '"', ',', '"')
	dst = hex.AppendEncode(dst, f.Normal[:])
	dst = append(dst, '"', ',', '"')
	for shift := 56; shift >= 0; shift -= 8 {
		const digits = "0123456789abcdef"
		b := byte(f.Fuzzy >> shift)
		dst = append(dst, digits[b>>4], digits[b&15])
	}
	dst = append(dst, '"')
	if t.Names != nil {
		dst = stream.AppendString(append(dst, ','), t.Names[i])
	}
	return append(dst, ']')
}

// appendNumber is strconv.AppendUint with a short way for the short numbers that
// most are.
func appendNumber(dst []byte, n uint32) []byte {
	if n < 10 {
		return append(dst, '0'+byte(n))
	}
	return strconv.AppendUint(dst, uint64(n), 10)
}

// MarshalJSON is AppendJSON to a new slice.
func (t *FunctionTable) MarshalJSON() ([]byte, error) {
	return t.AppendJSON(make([]byte, 0, 256+160*len(t.Functions))), nil
}

// UnmarshalJSON reads what AppendJSON writes.
func (t *FunctionTable) UnmarshalJSON(data []byte) error {
	var v struct {
		First     uint32   `json:"first"`
		Truncated bool     `json:"truncated"`
		Columns   []string `json:"columns"`
		Rows      rows     `json:"rows"`
	}
	if err := json.Unmarshal(data, &v); err != nil {
		return fmt.Errorf("table of functions: %w", err)
	}
	*t = FunctionTable{
		First: v.First, Truncated: v.Truncated,
		Functions: v.Rows.Functions, Retained: v.Rows.Retained, Reach: v.Rows.Reach, Names: v.Rows.Names,
	}
	if t.Names != nil && len(t.Names) != len(t.Functions) {
		return errors.New("table of functions: some rows have a name, others have none")
	}
	return nil
}

// rows reads the rows of a table.
type rows FunctionTable

func (t *rows) UnmarshalJSON(data []byte) error {
	s := rowScanner{buf: data}
	s.expect('[')
	for s.err == nil && !s.accept(']') {
		if len(t.Functions) > 0 {
			s.expect(',')
		}
		t.row(&s)
		if s.err != nil {
			return fmt.Errorf("row %d: %w", len(t.Functions), s.err)
		}
	}
	return s.err
}

func (t *rows) row(s *rowScanner) {
	var n [numbers]uint32
	s.expect('[')
	for i := range n {
		n[i] = s.number()
		s.expect(',')
	}
	f := Function{
		Bytes: n[0], Instructions: n[1], Complexity: n[2], Nesting: n[3], Loops: n[4], Frame: n[5], Calls: n[6], Indirect: n[7],
	}
	var fuzzy [8]byte
	s.hex(f.Exact[:])
	s.expect(',')
	s.hex(f.Normal[:])
	s.expect(',')
	s.hex(fuzzy[:])
	for _, b := range fuzzy {
		f.Fuzzy = f.Fuzzy<<8 | Fingerprint(b)
	}
	if s.accept(',') {
		t.Names = append(t.Names, s.text())
	}
	s.expect(']')
	if n[9] > uint32(Directly) {
		s.fail("no way to reach a function")
	}
	t.Functions = append(t.Functions, f)
	t.Retained = append(t.Retained, n[8])
	t.Reach = append(t.Reach, Reach(n[9]))
}

// A rowScanner reads JSON that has been found to be well-formed.
type rowScanner struct {
	buf []byte
	err error
}

func (s *rowScanner) fail(what string) {
	if s.err == nil {
		s.err = fmt.Errorf("%s at %.20q", what, s.buf)
	}
	s.buf = nil
}

func (s *rowScanner) accept(b byte) bool {
	for len(s.buf) > 0 && (s.buf[0] == ' ' || s.buf[0] == '\n' || s.buf[0] == '\t' || s.buf[0] == '\r') {
		s.buf = s.buf[1:]
	}
	if len(s.buf) == 0 || s.buf[0] != b {
		return false
	}
	s.buf = s.buf[1:]
	return true
}

func (s *rowScanner) expect(b byte) {
	if s.err == nil && !s.accept(b) {
		s.fail("no " + strconv.QuoteRune(rune(b)))
	}
}

func (s *rowScanner) number() uint32 {
	s.accept(0) // spaces
	n, i := uint64(0), 0
	for ; i < len(s.buf) && s.buf[i] >= '0' && s.buf[i] <= '9' && n < 1<<32; i++ {
		n = n*10 + uint64(s.buf[i]-'0')
	}
	if i == 0 || n >= 1<<32 {
		s.fail("no number of 32 bits")
		return 0
	}
	s.buf = s.buf[i:]
	return uint32(n)
}

// string reads a string with its quotes.
func (s *rowScanner) string() []byte {
	s.accept(0)
	if len(s.buf) > 0 && s.buf[0] == '"' {
		for i := 1; i < len(s.buf); i++ {
			switch s.buf[i] {
			case '\\':
				i++
			case '"':
				quoted := s.buf[:i+1]
				s.buf = s.buf[i+1:]
				return quoted
			}
		}
	}
	s.fail("no string")
	return nil
}

func (s *rowScanner) hex(dst []byte) {
	quoted := s.string()
	if s.err != nil {
		return
	}
	if len(quoted) != 2+2*len(dst) {
		s.fail(fmt.Sprintf("not %d hexadecimal digits", 2*len(dst)))
		return
	}
	if _, err := hex.Decode(dst, quoted[1:len(quoted)-1]); err != nil {
		s.fail(err.Error())
	}
}

func (s *rowScanner) text() string {
	quoted := s.string()
	if s.err != nil {
		return ""
	}
	var text string
	if err := json.Unmarshal(quoted, &text); err != nil {
		s.fail(err.Error())
	}
	return text
}
