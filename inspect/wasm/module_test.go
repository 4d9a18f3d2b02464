package wasm

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// parse reads a module that must be well formed.
func parse(t *testing.T, in []byte) *Module {
	t.Helper()
	b, err := Parse(in)
	if err != nil {
		t.Fatalf("Parse = %v", err)
	}
	return b.Module
}

func TestParseReadsElements(t *testing.T) {
	m := parse(t, module(
		section(4, 1, 0x70, 0, 9),
		section(9, 6,
			0, 0x41, 5, 0x0b, 2, 7, 8, // active, by index
			1, 0, 1, 3, // passive
			3, 0, 0, // declared
			4, 0x41, 0, 0x0b, 2, 0xd2, 4, 0x0b, 0xd0, 0x70, 0x0b, // active, by expression
			6, 1, 0x23, 2, 0x0b, 0x6f, 1, 0x23, 0, 0x0b, // active in table 1, a global
			7, 0x64, 0x70, 1, 0xd2, 6, 0x0b), // declared, by expression
	))
	type want struct {
		mode  SegmentMode
		table uint32
		typ   ValType
		init  ConstValue
		funcs []int64
	}
	number := func(n uint64) ConstValue { return ConstValue{Kind: ConstNumber, Value: n} }
	wants := []want{
		{SegmentActive, 0, anyRef | HeapFunc, number(5), []int64{7, 8}},
		{SegmentPassive, 0, anyRef | HeapFunc, ConstValue{}, []int64{3}},
		{SegmentDeclared, 0, anyRef | HeapFunc, ConstValue{}, nil},
		{SegmentActive, 0, FuncRef, number(0), []int64{4, -1}},
		{SegmentActive, 1, ExternRef, ConstValue{Kind: ConstGlobal, Index: 2}, []int64{-1}},
		{SegmentDeclared, 0, anyRef | HeapFunc, ConstValue{}, []int64{6}},
	}
	if len(m.Elems) != len(wants) || m.Elements != len(wants) {
		t.Fatalf("%d segments, counted %d; want %d", len(m.Elems), m.Elements, len(wants))
	}
	for i, w := range wants {
		s := &m.Elems[i]
		var funcs []int64
		for _, f := range m.ElementFuncs(s) {
			funcs = append(funcs, f)
		}
		got := want{s.Mode, s.Table, s.Type, s.Init, funcs}
		if diff := cmp.Diff(w, got, cmp.AllowUnexported(want{})); diff != "" {
			t.Errorf("segment %d (-want +got):\n%s", i, diff)
		}
	}
}

func TestParseReadsData(t *testing.T) {
	in := module(
		section(5, 1, 0, 1),
		section(12, 3),
		section(11, 3, 0, 0x41, 8, 0x0b, 2, 'h', 'i', 1, 3, 'y', 'o', 'u', 2, 4, 0x42, 0x7f, 0x0b, 0),
	)
	b, err := Parse(in)
	if err != nil {
		t.Fatalf("Parse = %v", err)
	}
	m := b.Module
	if len(m.Data) != 3 || m.DataCount != 3 || m.Segments != 3 {
		t.Fatalf("%d segments, %d promised, %d counted; want 3", len(m.Data), m.DataCount, m.Segments)
	}
	wants := []struct {
		mode     SegmentMode
		memory   uint32
		init     ConstValue
		contents string
	}{
		{SegmentActive, 0, ConstValue{Kind: ConstNumber, Value: 8}, "hi"},
		{SegmentPassive, 0, ConstValue{}, "you"},
		{SegmentActive, 4, ConstValue{Kind: ConstNumber, Value: 1<<64 - 1}, ""},
	}
	for i, want := range wants {
		s := m.Data[i]
		contents := string(b.Bytes(s.Offset, s.Size))
		if s.Mode != want.mode || s.Memory != want.memory || s.Init != want.init || contents != want.contents {
			t.Errorf("segment %d is %+v with %q; want %+v", i, s, contents, want)
		}
	}
}

func TestBytesLieInTheFile(t *testing.T) {
	in := module()
	b, err := Parse(in)
	if err != nil {
		t.Fatalf("Parse = %v", err)
	}
	if got := b.Bytes(1, 3); string(got) != "asm" || cap(got) != 3 {
		t.Errorf("Bytes(1, 3) = %q with room for %d; want asm with room for 3", got, cap(got))
	}
	for _, at := range [][2]int64{{-1, 2}, {0, -1}, {7, 2}, {1 << 62, 1 << 62}, {9, 0}} {
		if got := b.Bytes(at[0], at[1]); got != nil {
			t.Errorf("Bytes(%d, %d) of 8 = % x; want nil", at[0], at[1], got)
		}
	}
	decoded, err := Decode(bytes.NewReader(in), 8)
	if err != nil || decoded.Bytes(0, 4) != nil {
		t.Errorf("Bytes of what was decoded = % x, %v; want nil", decoded.Bytes(0, 4), err)
	}
}

func TestConstantExpressionsAreWorkedOut(t *testing.T) {
	tests := []struct {
		name string
		in   []byte
		want ConstValue
	}{
		{"a number", []byte{0x41, 0x7f}, ConstValue{Kind: ConstNumber, Value: 1<<64 - 1}},
		{"a global", []byte{0x23, 3}, ConstValue{Kind: ConstGlobal, Index: 3}},
		{"a global and a number", []byte{0x23, 3, 0x41, 16, 0x6a}, ConstValue{Kind: ConstGlobal, Index: 3, Value: 16}},
		{"a number and a global", []byte{0x41, 16, 0x23, 3, 0x6a}, ConstValue{Kind: ConstGlobal, Index: 3, Value: 16}},
		{"a global less a number", []byte{0x23, 3, 0x41, 1, 0x6b}, ConstValue{Kind: ConstGlobal, Index: 3, Value: 1<<64 - 1}},
		{"a number less a global", []byte{0x41, 1, 0x23, 3, 0x6b}, ConstValue{}},
		{"two globals", []byte{0x23, 3, 0x23, 4, 0x6a}, ConstValue{}},
		{"a product", []byte{0x42, 6, 0x42, 7, 0x7e}, ConstValue{Kind: ConstNumber, Value: 42}},
		{"a sum beyond 32 bits", []byte{0x41, 0xff, 0xff, 0xff, 0xff, 7, 0x41, 1, 0x6a}, ConstValue{Kind: ConstNumber, Value: 1<<64 - 1<<31}},
		{"a sum of nothing", []byte{0x6a}, ConstValue{}},
		{"a function", []byte{0xd2, 9}, ConstValue{Kind: ConstFunc, Index: 9}},
		{"null", []byte{0xd0, 0x70}, ConstValue{Kind: ConstNull}},
		{"a float", []byte{0x43, 0, 0, 0, 0}, ConstValue{}},
		{"more numbers than are followed", bytes.Repeat([]byte{0x41, 1}, 9), ConstValue{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := parse(t, module(section(6, slices.Concat([]byte{1, 0x7f, 0}, tt.in, []byte{0x0b})...)))
			if got := m.Inits[0].Value; got != tt.want {
				t.Errorf("value of % x = %+v; want %+v", tt.in, got, tt.want)
			}
			if got := int(m.Inits[0].Size); got != len(tt.in)+1 {
				t.Errorf("% x takes %d bytes; want %d", tt.in, got, len(tt.in)+1)
			}
		})
	}
}

func TestConstantExpressionsAreRefused(t *testing.T) {
	tests := []struct {
		name string
		in   []byte
		err  error
	}{
		{"an instruction that runs", []byte{0x10, 0, 0x0b}, ErrConstExpr},
		{"an opcode that is none", []byte{0x27, 0x0b}, ErrOpcode},
		{"no end", []byte{0x41, 0}, ErrTruncated},
		{"nothing", nil, ErrTruncated},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := module(section(6, append([]byte{1, 0x7f, 0}, tt.in...)...))
			for name, read := range map[string]func() error{
				"Parse":  func() error { _, err := Parse(in); return err },
				"Decode": func() error { _, err := Decode(bytes.NewReader(in), int64(len(in))); return err },
			} {
				if err := read(); !errors.Is(err, tt.err) {
					t.Errorf("%s of % x = %v; want %v", name, tt.in, err, tt.err)
				}
			}
		})
	}
}

// nameSection is a module with the given subsections of its name section.
func nameSection(subsections ...byte) []byte {
	return module(section(0, append([]byte("\x04name"), subsections...)...))
}

func TestNames(t *testing.T) {
	m := parse(t, nameSection(
		0, 2, 1, 'm',
		1, 10, 3, 0, 1, 'f', 2, 1, 'g', 0x80, 0x01, 0,
		2, 10, 1, 2, 2, 0, 1, 'p', 5, 2, 'q', 'q',
		3, 6, 1, 2, 1, 0, 1, 'l',
		4, 4, 1, 0, 1, 't', 5, 4, 1, 0, 1, 'T', 6, 4, 1, 0, 1, 'M', 7, 4, 1, 3, 1, 'G',
		8, 4, 1, 0, 1, 'e', 9, 4, 1, 1, 1, 'd',
		10, 6, 1, 1, 1, 2, 1, 'F',
		11, 4, 1, 0, 1, 'E',
	))
	n := &m.Names
	got := []string{
		n.Func(0), n.Func(1), n.Func(2), n.Func(128), n.Func(1 << 31), n.Local(2, 0), n.Local(2, 5), n.Local(2, 1), n.Local(0, 0),
		n.Label(2, 0), n.Type(0), n.Table(0), n.Memory(0), n.Global(3), n.Elem(0), n.Data(1), n.Field(1, 2), n.Tag(0),
	}
	want := []string{"f", "", "g", "", "", "p", "qq", "", "", "l", "t", "T", "M", "G", "e", "d", "F", "E"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
	var indices []uint32
	for i := range n.Funcs() {
		indices = append(indices, i)
	}
	if diff := cmp.Diff([]uint32{0, 2, 128}, indices); diff != "" || n.CountFuncs() != 3 {
		t.Errorf("named functions (-want +got):\n%s\nCountFuncs = %d", diff, n.CountFuncs())
	}
}

// Names that the specification would not have in this order are found all the
// same, and of two for one function the first.
func TestNamesNeedNoOrder(t *testing.T) {
	m := parse(t, nameSection(1, 13, 4, 7, 1, 'a', 3, 1, 'b', 7, 1, 'c', 1, 1, 'd'))
	n := &m.Names
	got := []string{n.Func(1), n.Func(3), n.Func(7)}
	if diff := cmp.Diff([]string{"d", "b", "a"}, got); diff != "" || n.CountFuncs() != 3 {
		t.Errorf("names (-want +got):\n%s\nCountFuncs = %d", diff, n.CountFuncs())
	}
}

// A subsection that is broken leaves the others, and the module is as good as
// before.
func TestBrokenNamesAreAProblem(t *testing.T) {
	b, err := Parse(nameSection(1, 4, 1, 0, 1, 'f', 7, 4, 1, 0, 1, 0xff, 9, 4, 1, 0, 1, 'd', 11, 9))
	if err != nil {
		t.Fatalf("Parse = %v", err)
	}
	n := &b.Module.Names
	if got := n.Func(0) + n.Data(0); got != "fd" {
		t.Errorf("Func(0) and Data(0) = %q; want fd", got)
	}
	if got := b.Module.Names.Global(0); got != "" {
		t.Errorf("Global(0) = %q; want none", got)
	}
	if len(b.Problems) != 1 || !errors.Is(b.Problems[0], ErrUTF8) {
		t.Errorf("problems are %v; want one of UTF-8", b.Problems)
	}
}
