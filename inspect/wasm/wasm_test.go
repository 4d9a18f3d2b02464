package wasm

import (
	"archive/zip"
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func newReader(b []byte) *reader {
	return &reader{buf: b, doing: "test", entry: -1, budget: newBudget(int64(len(b)))}
}

func TestIntegers(t *testing.T) {
	unsigned := func(bits int) func(*reader) int64 {
		return func(r *reader) int64 { return int64(r.uleb(bits)) }
	}
	signed := func(bits int) func(*reader) int64 {
		return func(r *reader) int64 { return r.sleb(bits) }
	}
	tests := []struct {
		name string
		read func(*reader) int64
		in   []byte
		want int64
		err  error
	}{
		{name: "two bytes", read: unsigned(32), in: []byte{0xe5, 0x0e}, want: 1893},
		{name: "padded to five bytes", read: unsigned(32), in: []byte{0x83, 0x80, 0x80, 0x80, 0x00}, want: 3},
		{name: "the largest of 32 bits", read: unsigned(32), in: []byte{0xff, 0xff, 0xff, 0xff, 0x0f}, want: 1<<32 - 1},
		{name: "bit 33", read: unsigned(32), in: []byte{0xff, 0xff, 0xff, 0xff, 0x1f}, err: ErrTooLarge},
		{name: "six bytes", read: unsigned(32), in: []byte{0x80, 0x80, 0x80, 0x80, 0x80, 0x00}, err: ErrTooLong},
		{name: "the largest of 64 bits", read: unsigned(64), in: append(bytes.Repeat([]byte{0xff}, 9), 0x01), want: -1},
		{name: "bit 65", read: unsigned(64), in: append(bytes.Repeat([]byte{0xff}, 9), 0x02), err: ErrTooLarge},
		{name: "cut short", read: unsigned(32), in: []byte{0x80}, err: ErrTruncated},
		{name: "minus one", read: signed(33), in: []byte{0x7f}, want: -1},
		{name: "minus 64", read: signed(32), in: []byte{0x40}, want: -64},
		{name: "64 needs a second byte", read: signed(32), in: []byte{0xc0, 0x00}, want: 64},
		{name: "the largest of 33 bits", read: signed(33), in: []byte{0xff, 0xff, 0xff, 0xff, 0x0f}, want: 1<<32 - 1},
		{name: "the smallest of 33 bits", read: signed(33), in: []byte{0x80, 0x80, 0x80, 0x80, 0x70}, want: -1 << 32},
		{name: "the smallest of 64 bits", read: signed(64), in: append(bytes.Repeat([]byte{0x80}, 9), 0x7f), want: -1 << 63},
		{name: "bits beyond 32 that are no sign", read: signed(32), in: []byte{0x80, 0x80, 0x80, 0x80, 0x70}, err: ErrTooLarge},
		{name: "a sign without its repetition", read: signed(32), in: []byte{0xff, 0xff, 0xff, 0xff, 0x4f}, err: ErrTooLarge},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newReader(tt.in)
			got := tt.read(r)
			if !errors.Is(r.err, tt.err) || got != tt.want {
				t.Fatalf("reading % x gave %d, %v; want %d, %v", tt.in, got, r.err, tt.want, tt.err)
			}
		})
	}
}

// A spec is one binary of the official suites with its verdict.
type spec struct {
	Path        string
	Kind        string
	Message     string
	Source      string
	Line        int
	Features    []string
	OnlyWithout []string `json:"only_without"`
	data        []byte
}

func suite(t testing.TB, name string, want int) []spec {
	t.Helper()
	z, err := zip.OpenReader("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	read := func(name string) []byte {
		f, err := z.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		b, err := io.ReadAll(f)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	var list []spec
	for lines := bufio.NewScanner(bytes.NewReader(read("index.jsonl"))); lines.Scan(); {
		var s spec
		if err := json.Unmarshal(lines.Bytes(), &s); err != nil {
			t.Fatal(err)
		}
		s.data = read(s.Path)
		list = append(list, s)
	}
	if len(list) != want {
		t.Fatalf("%s holds %d binaries, want %d", name, len(list), want)
	}
	return list
}

// checkError holds every error to its promise: a place inside the file.
func checkError(t *testing.T, err error, size int) {
	t.Helper()
	if err == nil {
		return
	}
	var at *Error
	if !errors.As(err, &at) || at.Offset < 0 || at.Offset > int64(size) || at.Doing == "" {
		t.Errorf("error %#v of %d bytes has no place in them", err, size)
	}
}

// section builds a section of a binary.
func section(id byte, body ...byte) []byte { return append([]byte{id, byte(len(body))}, body...) }

func module(sections ...[]byte) []byte {
	return append([]byte("\x00asm\x01\x00\x00\x00"), slices.Concat(sections...)...)
}

func component(sections ...[]byte) []byte {
	return append([]byte("\x00asm\x0d\x00\x01\x00"), slices.Concat(sections...)...)
}

func TestDecodeRefuses(t *testing.T) {
	many := []byte{0xff, 0xff, 0xff, 0xff, 0x0f}
	deep := component()
	for range MaxNesting + 1 {
		deep = component(append([]byte{sectionComponent}, append(padded(len(deep)), deep...)...))
	}
	tests := []struct {
		name   string
		in     []byte
		err    error
		offset int64
	}{
		{name: "nothing", in: nil, err: ErrTruncated},
		{name: "half a header", in: []byte("\x00asm\x01"), err: ErrTruncated, offset: 5},
		{name: "an ELF file, as compiled ahead of time", in: []byte("\x7fELF\x02\x01\x01\x00"), err: ErrPrecompiled},
		{name: "the text format", in: []byte("\n(module)"), err: ErrText},
		{name: "a comment of the text format", in: []byte(";; add\n(module)"), err: ErrText},
		{name: "something else", in: []byte("hello world"), err: ErrMagic},
		{name: "version 2", in: []byte("\x00asm\x02\x00\x00\x00"), err: ErrVersion, offset: 4},
		{name: "a section without end", in: module([]byte{1, 5, 0}), err: ErrTruncated, offset: 9},
		{name: "sections out of order", in: module(section(3, 0), section(1, 0)), err: ErrOrder, offset: 11},
		{name: "an unknown section", in: module(section(14, 0)), err: ErrCode, offset: 8},
		{name: "a count beyond the section", in: module(section(1, many...)), err: ErrTruncated, offset: 10},
		{name: "a name beyond the section", in: module(section(2, 1, 0x70, 0, 0, 0)), err: ErrTruncated, offset: 11},
		{name: "bytes after the entries", in: module(section(1, 0, 0)), err: ErrMismatch, offset: 11},
		{name: "functions without code", in: module(section(1, 1, 0x60, 0, 0), section(3, 1, 0)), err: ErrMismatch, offset: 18},
		{name: "a custom name that is no text", in: module(section(0, 1, 0xff)), err: ErrUTF8, offset: 10},
		{name: "a component inside a component beyond the bound", in: deep, err: ErrLimit},
		{name: "types inside types beyond the bound", in: component(append([]byte{7}, nestedTypes(MaxTypeNesting+1)...)), err: ErrLimit},
		{
			name: "a component where a module belongs", in: component(append([]byte{sectionCoreModule, 8}, component()...)),
			err: ErrVersion, offset: 10,
		},
		{
			name: "a recursive group of four billion types",
			in:   module(section(1, append([]byte{1, 0x4e}, many...)...)), err: ErrTruncated, offset: 12,
		},
		{
			name: "a compact import section with a long module name",
			in:   module(append([]byte{2}, compactBomb()...)), err: ErrLimit,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Decode(bytes.NewReader(tt.in), int64(len(tt.in)))
			checkError(t, err, len(tt.in))
			var at *Error
			if !errors.Is(err, tt.err) || !errors.As(err, &at) || tt.offset != 0 && at.Offset != tt.offset {
				t.Fatalf("Decode = %v; want %v at byte %d", err, tt.err, tt.offset)
			}
		})
	}
}

// padded encodes n in five bytes.
func padded(n int) []byte {
	return []byte{byte(n)&0x7f | 0x80, byte(n>>7)&0x7f | 0x80, byte(n>>14)&0x7f | 0x80, byte(n>>21)&0x7f | 0x80, 0}
}

// nestedTypes is a type section with n instance types inside each other.
func nestedTypes(n int) []byte {
	body := []byte{1}
	for range n {
		body = append(body, TypeInstance, 1, 0x01)
	}
	body = append(body, TypeInstance, 0)
	return append(padded(len(body)), body...)
}

// compactBomb is an import section that repeats a long module name 10,000 times
// in a few bytes each.
func compactBomb() []byte {
	body := append([]byte{1}, padded(MaxName)...)
	body = append(body, bytes.Repeat([]byte{'m'}, MaxName)...)
	body = append(body, 0, compactNames, 0x00, 0)
	body = append(body, padded(10_000)...)
	body = append(body, make([]byte, 10_000)...)
	return append(padded(len(body)), body...)
}

func TestDecodeReadsAModule(t *testing.T) {
	in := module(
		section(0, append([]byte{4}, "name\x00\x06\x05hello"...)...),
		section(1, 2, 0x60, 2, 0x7f, 0x64, 0x6e, 1, 0x7e, 0x5f, 1, 0x78, 1),
		section(2, 3,
			3, 'e', 'n', 'v', 1, 'f', 0, 0,
			3, 'e', 'n', 'v', 0, 0x7f, 2, 1, 'g', 3, 0x70, 1, 1, 't', 1, 0x6f, 1, 1, 9,
			1, 'm', 0, 0x7e, 2, 5, 1, 2, 2, 1, 'x', 1, 'y'),
		section(3, 1, 0),
		section(5, 1, 8, 1, 0),
		section(6, 1, 0x7f, 0, 0x41, 0x2a, 0x0b),
		section(7, 3, 1, 'a', 0, 1, 1, 'b', 2, 2, 1, 'c', 3, 1),
		section(8, 1),
		section(10, 1, 2, 0, 0x0b),
		section(0, append([]byte{9}, "producers\x01\x08language\x01\x02Go\x031.2"...)...),
		section(0, append([]byte{15}, "target_features\x02+\x04simd-\x03foo"...)...),
		section(0, append([]byte{8}, "licenses MIT "...)...),
		section(0, append([]byte{8}, "build_id\x02\xca\xfe"...)...),
	)
	b, err := Decode(bytes.NewReader(in), int64(len(in)))
	if err != nil {
		t.Fatalf("Decode = %v", err)
	}
	var imports, exports []string
	for _, im := range b.Module.Imports {
		imports = append(imports, im.Module+"."+im.Name+" "+b.Module.ImportType(im))
	}
	for _, ex := range b.Module.Exports {
		exports = append(exports, ex.Name+" "+b.Module.ExportType(ex))
	}
	want := []string{
		"env.f (func (param i32 (ref any)) (result i64))", "env.g (global (mut funcref))", "env.t (table 1 9 externref)",
		"m.x (memory i64 1 2)", "m.y (memory i64 1 2)",
	}
	if diff := cmp.Diff(want, imports); diff != "" {
		t.Errorf("imports (-want +got):\n%s", diff)
	}
	want = []string{"a (func (param i32 (ref any)) (result i64))", "b (memory 1 (pagesize 1))", "c (global i32)"}
	if diff := cmp.Diff(want, exports); diff != "" {
		t.Errorf("exports (-want +got):\n%s", diff)
	}
	if got, want := b.Module.Types[1].String(), "(struct (field (mut i8)))"; got != want {
		t.Errorf("type 1 is %s, want %s", got, want)
	}
	meta := Metadata{
		Name: "hello", Licenses: "MIT", BuildID: []byte{0xca, 0xfe},
		Producers: []Producer{{"language", "Go", "1.2"}}, Features: []Feature{{'+', "simd"}, {'-', "foo"}},
	}
	if diff := cmp.Diff(meta, b.Metadata); diff != "" || len(b.Problems) != 0 {
		t.Errorf("metadata (-want +got):\n%s\nproblems %v", diff, b.Problems)
	}
	if m := b.Module; m.Start != 1 || m.Defined != 1 || m.CodeSize != 4 {
		t.Errorf("start %d, %d functions, %d bytes of code; want 1, 1, 4", m.Start, m.Defined, m.CodeSize)
	}
}

// A broken custom section hides its contents, and no more.
func TestCustomSectionsMakeNothingInvalid(t *testing.T) {
	in := module(
		section(0, append([]byte{9}, "producers\x01\x08language\x09"...)...),
		section(0, append([]byte{7}, "authors\xff"...)...),
		section(0, append([]byte{11}, "descriptiontwo words"...)...),
	)
	b, err := Decode(bytes.NewReader(in), int64(len(in)))
	if err != nil || b.Metadata.Description != "two words" {
		t.Fatalf("Decode = %+v, %v", b, err)
	}
	if len(b.Problems) != 2 || !errors.Is(b.Problems[0], ErrTruncated) || !errors.Is(b.Problems[1], ErrUTF8) {
		t.Fatalf("problems are %v, want a truncated one and one of UTF-8", b.Problems)
	}
}

// A meter counts what is read.
type meter struct {
	r     *bytes.Reader
	bytes int
}

func (m *meter) ReadAt(p []byte, off int64) (int, error) {
	n, err := m.r.ReadAt(p, off)
	m.bytes += n
	return n, err
}

// Code and data are stepped over, whatever their size.
func TestDecodeSkipsBodies(t *testing.T) {
	const size = 20 << 20
	in := module(section(1, 1, 0x60, 0, 0), section(3, 1, 0))
	in = append(in, SectionCode)
	in = append(in, padded(size)...)
	in = append(in, 1)
	in = append(in, make([]byte, size-1)...)
	in = append(in, section(0, append([]byte{7}, "version1.0.0"...)...)...)
	m := &meter{r: bytes.NewReader(in)}
	b, err := Decode(m, int64(len(in)))
	if err != nil || b.Metadata.Version != "1.0.0" || b.Module.CodeSize != size {
		t.Fatalf("Decode = %+v, %v", b, err)
	}
	if m.bytes > 64<<10 {
		t.Errorf("Decode of %d bytes read %d", len(in), m.bytes)
	}
}

func TestReaderFails(t *testing.T) {
	boom := errors.New("boom")
	_, err := Decode(broken{boom}, 100)
	if !errors.Is(err, boom) {
		t.Fatalf("Decode of a broken reader = %v, want %v", err, boom)
	}
	in := module()
	if _, err := Decode(bytes.NewReader(in), 100); !errors.Is(err, ErrTruncated) {
		t.Fatalf("Decode of less than promised = %v, want %v", err, ErrTruncated)
	}
}

type broken struct{ err error }

func (b broken) ReadAt([]byte, int64) (int, error) { return 0, b.err }

// allocated is the memory in bytes that f allocates, whether it is kept or not.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// Whatever the bytes, Decode ends, needs memory in proportion to them, places
// its errors inside them, and finds sections that follow each other.
func FuzzDecode(f *testing.F) {
	list, err := os.ReadDir("testdata/fuzz/FuzzDecode")
	if err != nil || len(list) < 40 {
		f.Fatalf("%d seeds, %v; want at least 40", len(list), err)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		var b *Binary
		var err error
		used := allocated(func() { b, err = Decode(bytes.NewReader(in), int64(len(in))) })
		if limit := uint64(len(in))*2048 + 128<<10; used > limit {
			t.Fatalf("Decode of %d bytes allocated %d, more than %d", len(in), used, limit)
		}
		checkError(t, err, len(in))
		if err == nil {
			checkSections(t, b)
		}
	})
}

func checkSections(t *testing.T, b *Binary) {
	t.Helper()
	next := b.Offset + 8
	for _, s := range b.Sections {
		if s.Offset != next || s.Body < s.Offset+2 || s.Size < 0 {
			t.Fatalf("section %+v does not follow byte %d", s, next)
		}
		next = s.End()
	}
	if next != b.Offset+b.Size {
		t.Fatalf("sections end at byte %d of a binary that ends at %d", next, b.Offset+b.Size)
	}
	if b.Component == nil {
		for _, im := range b.Module.Imports {
			checkText(t, b.Module.ImportType(im))
		}
		return
	}
	for _, im := range b.Component.Imports {
		checkText(t, im.Type.String())
	}
	for _, nested := range slices.Concat(b.Component.Modules, b.Component.Components) {
		checkSections(t, nested)
	}
}

func checkText(t *testing.T, s string) {
	t.Helper()
	if len(s) > MaxTypeText+len("…") {
		t.Fatalf("a type of %d bytes: %s", len(s), s[:80])
	}
}

// Types that share their parts print in bounded time and space.
func TestPrintingIsBounded(t *testing.T) {
	leaf := &TypeDef{Op: primBool}
	for range 60 {
		leaf = &TypeDef{Op: TypeResult, Args: []TypeRef{{Def: leaf, Set: true}, {Def: leaf, Set: true}}}
	}
	s := leaf.String()
	checkText(t, s)
	if !strings.HasSuffix(s, "…") {
		t.Fatalf("a type of 2^60 parts ends in %q", s[len(s)-10:])
	}
}
