package wasm

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// body gives a module with one function of type [] -> [] that has the given
// locals and instructions.
func body(code ...byte) []byte {
	return module(section(1, 1, 0x60, 0, 0), section(3, 1, 0), section(10, append([]byte{1, byte(len(code))}, code...)...))
}

// describe writes an instruction down with the immediates of its kind.
func describe(in *Instr) string {
	s := in.Op.String()
	switch in.Imm {
	case ImmNone, ImmFence:
	case ImmBlock:
		s += fmt.Sprintf(" index %d type %v", in.Block.Index, in.Block.Type)
	case ImmLabels:
		s += fmt.Sprint(" ", slices.Collect(in.Targets()))
	case ImmTryTable:
		s += fmt.Sprintf(" index %d %+v", in.Block.Index, slices.Collect(in.Catches()))
	case ImmI32, ImmI64:
		s += fmt.Sprint(" ", int64(in.Value))
	case ImmF32, ImmF64:
		s += fmt.Sprintf(" %#x", in.Value)
	case ImmMemArg:
		s += fmt.Sprintf(" memory %d align %d offset %d", in.X, in.Align, in.Value)
	case ImmMemArgLane:
		s += fmt.Sprintf(" memory %d align %d offset %d lane %d", in.X, in.Align, in.Value, in.Y)
	case ImmV128, ImmShuffle:
		s += fmt.Sprintf(" % x", in.Bytes)
	case ImmSelect, ImmHeap:
		s += " " + in.Type.String()
	case ImmCast:
		s += fmt.Sprintf(" %d %v %v", in.X, in.Type, in.Type2)
	case ImmResume, ImmResumeThrow:
		s += fmt.Sprintf(" %d %d %+v", in.X, in.Value, slices.Collect(in.Handlers()))
	default:
		s += fmt.Sprintf(" %d %d", in.X, in.Y)
	}
	return s
}

func TestCodeReadsInstructions(t *testing.T) {
	vector := []byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}
	tests := []struct {
		name string
		in   []byte
		want string
	}{
		{"no immediates", []byte{0x6a}, "i32.add 0 0"},
		{"an index of two bytes", []byte{0x20, 0x80, 0x01}, "local.get 128 0"},
		{"an index padded to five bytes", []byte{0x10, 0x83, 0x80, 0x80, 0x80, 0}, "call 3 0"},
		{"type and table of an indirect call", []byte{0x11, 7, 1}, "call_indirect 7 1"},
		{"a block without type", []byte{0x02, 0x40}, "block index -1 type bottom"},
		{"a block with a result", []byte{0x03, 0x7e}, "loop index -1 type i64"},
		{"a block that gives a reference", []byte{0x04, 0x63, 5}, "if index -1 type (ref null 5)"},
		{"a block of a type", []byte{0x02, 0xc0, 0x00}, "block index 64 type bottom"},
		{"the table of a branch", []byte{0x0e, 3, 1, 0x82, 0x01, 0, 9}, "br_table [1 130 0 9]"},
		{"the smallest 32-bit constant", []byte{0x41, 0x80, 0x80, 0x80, 0x80, 0x78}, "i32.const -2147483648"},
		{"a negative 32-bit constant of one byte", []byte{0x41, 0x7f}, "i32.const -1"},
		{"the largest positive constant of one byte", []byte{0x41, 0x3f}, "i32.const 63"},
		{"a 64-bit constant", []byte{0x42, 0xff, 0xff, 0xff, 0xff, 0x1f}, "i64.const 8589934591"},
		{"a float", []byte{0x43, 0, 0, 0x80, 0x3f}, "f32.const 0x3f800000"},
		{"a double", []byte{0x44, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f}, "f64.const 0x3ff0000000000000"},
		{"a load", []byte{0x28, 2, 0x90, 0x03}, "i32.load memory 0 align 2 offset 400"},
		{"a store to another memory", []byte{0x37, 0x43, 2, 8}, "i64.store memory 2 align 3 offset 8"},
		{
			"an offset of 64 bits", append(append([]byte{0x2d, 0}, bytes.Repeat([]byte{0xff}, 9)...), 1),
			"i32.load8_u memory 0 align 0 offset 18446744073709551615",
		},
		{"a lane of memory", []byte{0xfd, 0x54, 0, 4, 15}, "v128.load8_lane memory 0 align 0 offset 4 lane 15"},
		{"a vector", append([]byte{0xfd, 0x0c}, vector...), "v128.const 00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f"},
		{"a relaxed vector instruction", []byte{0xfd, 0x80, 0x02}, "i8x16.relaxed_swizzle"},
		{"a lane", []byte{0xfd, 0x15, 3}, "i8x16.extract_lane_s 3 0"},
		{"a typed select", []byte{0x1c, 1, 0x6f}, "select externref"},
		{"a null reference", []byte{0xd0, 0x71}, "ref.null nullref"},
		{"a null reference to an exact type", []byte{0xd0, 0x62, 3}, "ref.null (ref null (exact 3))"},
		{"a copy between memories", []byte{0xfc, 10, 1, 2}, "memory.copy 1 2"},
		{"an initialisation of a table", []byte{0xfc, 12, 4, 1}, "table.init 4 1"},
		{"a field", []byte{0xfb, 2, 6, 7}, "struct.get 6 7"},
		{"a cast that branches", []byte{0xfb, 24, 1, 2, 0x6e, 4}, "br_on_cast 2 anyref (ref 4)"},
		{"a cast by descriptor", []byte{0xfb, 36, 9}, "ref.cast_desc_eq null (ref null 9)"},
		{
			"a try with clauses",
			[]byte{0x1f, 0x40, 4, 0, 5, 1, 1, 6, 2, 2, 3, 3, 4},
			"try_table index -1 [{Label:1 Tag:5 All:false Ref:false} {Label:2 Tag:6 All:false Ref:true} " +
				"{Label:3 Tag:0 All:true Ref:false} {Label:4 Tag:0 All:true Ref:true}]",
		},
		{
			"a resume",
			[]byte{0xe3, 2, 2, 0, 1, 3, 1, 4},
			"resume 2 0 [{Tag:1 Label:3 Switch:false} {Tag:4 Label:0 Switch:true}]",
		},
		{"an atomic access", []byte{0xfe, 0x1e, 2, 0}, "i32.atomic.rmw.add memory 0 align 2 offset 0"},
		{"a fence", []byte{0xfe, 3, 0}, "atomic.fence"},
		{"an access to a shared global", []byte{0xfe, 0x4f, 1, 8}, "global.atomic.get 8 1"},
		{"wide arithmetic", []byte{0xfc, 0x15}, "i64.mul_wide_s"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bin, err := Parse(body(append([]byte{0}, tt.in...)...))
			if err != nil {
				t.Fatalf("Parse = %v", err)
			}
			var c Code
			var in Instr
			c.Reset(bin, bin.Module.Code[0])
			if !c.Next(&in) {
				t.Fatalf("Next(% x) = false, %v", tt.in, c.Err())
			}
			if got := describe(&in); strings.TrimSuffix(got, " 0 0") != strings.TrimSuffix(tt.want, " 0 0") {
				t.Errorf("Next(% x) reads %s; want %s", tt.in, got, tt.want)
			}
			if in.End-in.Offset != int64(len(tt.in)) {
				t.Errorf("Next(% x) reads %d bytes; want %d", tt.in, in.End-in.Offset, len(tt.in))
			}
			if c.Next(&in) || c.Err() != nil {
				t.Errorf("after the end, Next reads %v, %v", in.Op, c.Err())
			}
		})
	}
}

func TestCodeRefuses(t *testing.T) {
	tests := []struct {
		name   string
		in     []byte
		err    error
		offset int64 // from the first instruction
	}{
		{name: "an opcode that is none", in: []byte{0x01, 0x27}, err: ErrOpcode, offset: 1},
		{name: "a second part that is none", in: []byte{0xfd, 0x9a, 0x01}, err: ErrOpcode},
		{name: "a second part beyond all", in: []byte{0xfc, 0xff, 0xff, 0xff, 0xff, 0x0f}, err: ErrOpcode},
		{name: "a prefix at the end", in: []byte{0xfb}, err: ErrTruncated, offset: 1},
		{name: "a constant cut short", in: []byte{0x44, 0, 0}, err: ErrTruncated, offset: 1},
		{name: "a table longer than the body", in: []byte{0x0e, 0x80, 0x01, 0}, err: ErrTruncated, offset: 1},
		{name: "alignment with an unknown flag", in: []byte{0x28, 0x80, 0x01, 0}, err: ErrCode, offset: 1},
		{name: "a block of a type below zero", in: []byte{0x02, 0x80, 0x7f}, err: ErrCode, offset: 1},
		{name: "cast flags that are none", in: []byte{0xfb, 24, 4, 0, 0, 0}, err: ErrCode, offset: 2},
		{name: "a fence of another order", in: []byte{0xfe, 3, 1}, err: ErrCode, offset: 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bin, err := Parse(body(append([]byte{0}, tt.in...)...))
			if err != nil {
				t.Fatalf("Parse = %v", err)
			}
			var c Code
			var in Instr
			c.Reset(bin, bin.Module.Code[0])
			for c.Next(&in) {
			}
			var at *Error
			want := bin.Module.Code[0].Offset + 1 + tt.offset
			if err := c.Err(); !errors.Is(err, tt.err) || !errors.As(err, &at) || at.Offset != want || at.Doing != "function 0" {
				t.Errorf("Err after % x = %v; want %v of function 0 at byte %d", tt.in, err, tt.err, want)
			}
			if got := seekAll(bin, bin.Module.Code[0], new(OpSet)); got.err != fmt.Sprint(c.Err()) {
				t.Errorf("Seek in % x ends with %s; Next with %v", tt.in, got.err, c.Err())
			}
		})
	}
}

// sought is what was found of a set of opcodes, and how that ended.
type sought struct {
	count, offsets int64
	values         uint64
	err            string
}

func (s *sought) add(in *Instr) {
	s.count++
	s.offsets = s.offsets*31 + in.Offset
	s.values = s.values*31 + uint64(in.X)
	if in.Imm == ImmI32 {
		s.values += in.Value
	}
}

func seekAll(b *Binary, body Body, set *OpSet) (s sought) {
	var c Code
	var in Instr
	c.Reset(b, body)
	for c.Seek(set, &in) {
		if in.Op < 256 && set[in.Op] {
			s.add(&in)
		}
	}
	s.err = fmt.Sprint(c.Err())
	return s
}

func TestSeek(t *testing.T) {
	bin, err := Parse(body(
		0,
		0x20, 0x81, 0x01, // local.get 129
		0x41, 5, // i32.const 5
		0x28, 2, 0x90, 0x80, 0x04, // i32.load
		0x0e, 1, 0, 0, // br_table
		0x02, 0x40, 0x10, 0x10, 0x0b, // a call of function 16 in a block
		0x44, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, // f64.const
		0x0b,
	))
	if err != nil {
		t.Fatalf("Parse = %v", err)
	}
	var c Code
	var in Instr
	c.Reset(bin, bin.Module.Code[0])
	var got []string
	for set := (OpSet{OpCall: true, OpI32Const: true}); c.Seek(&set, &in); {
		if in.Op < 256 && set[in.Op] {
			got = append(got, describe(&in))
		}
	}
	if diff := cmp.Diff([]string{"i32.const 5", "call 16 0"}, got); diff != "" || c.Err() != nil {
		t.Errorf("Seek finds (-want +got):\n%s\n%v", diff, c.Err())
	}
}

func TestCodeReadsLocals(t *testing.T) {
	bin, err := Parse(body(3, 2, 0x7f, 0, 0x7e, 1, 0x6f, 0x0b))
	if err != nil {
		t.Fatalf("Parse = %v", err)
	}
	var c Code
	c.Reset(bin, bin.Module.Code[0])
	if diff := cmp.Diff([]Locals{{2, I32}, {0, I64}, {1, ExternRef}}, c.Locals()); diff != "" || c.Err() != nil {
		t.Errorf("Locals (-want +got):\n%s\n%v", diff, c.Err())
	}
	bin, err = Parse(body(1, 0xd1, 0x86, 0x03, 0x7f, 0x0b)) // 50,001
	if err != nil {
		t.Fatalf("Parse = %v", err)
	}
	if c.Reset(bin, bin.Module.Code[0]); !errors.Is(c.Err(), ErrLimit) {
		t.Errorf("Reset for 50,001 locals: %v; want %v", c.Err(), ErrLimit)
	}
}

// Opcodes of the tables have names, and no two the same but for select.
func TestOpcodesHaveNames(t *testing.T) {
	seen := map[string]Opcode{}
	count := 0
	for prefix, table := range map[Opcode][]opInfo{
		0: plainOps[:], prefixGC: gcOps[:], prefixMisc: miscOps[:], prefixVector: vectorOps[:], prefixAtomic: atomicOps[:],
	} {
		for i := range table {
			op := prefix<<16 | Opcode(i)
			if table[i].name == "" {
				if got := op.String(); !strings.HasPrefix(got, "opcode 0x") {
					t.Errorf("opcode %#x is called %s, but is none", uint32(op), got)
				}
				continue
			}
			count++
			if other, ok := seen[op.String()]; ok && op != OpSelectTyped && other != OpSelectTyped {
				t.Errorf("%#x and %#x are both called %s", uint32(op), uint32(other), op)
			}
			seen[op.String()] = op
		}
	}
	if count != 627 {
		t.Errorf("the tables have %d instructions, want 627", count)
	}
}

// Reading instructions allocates nothing, however many bodies are read.
func TestCodeAllocatesNothing(t *testing.T) {
	bin, err := Parse(largest(t))
	if err != nil {
		t.Fatalf("Parse = %v", err)
	}
	var c Code
	decodeAll(t, bin, &c)
	if n := testing.AllocsPerRun(10, func() { decodeAll(t, bin, &c) }); n > 0 {
		t.Errorf("reading all code allocates %v times", n)
	}
}

// largest is the largest valid module of the suite.
func largest(t testing.TB) []byte {
	t.Helper()
	var found []byte
	for _, s := range suite(t, "core-spec.zip", coreCases) {
		if s.Kind == "valid" && len(s.data) > len(found) {
			found = s.data
		}
	}
	return found
}

// processTime is the CPU time the process has used, in seconds. Rates by it hold
// on a machine that others use, too.
func processTime(t testing.TB) float64 {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}

// measure runs f, which goes over size bytes.
func measure(b *testing.B, size int64, f func()) {
	b.SetBytes(size)
	b.ReportAllocs()
	start := processTime(b)
	for b.Loop() {
		f()
	}
	b.ReportMetric(float64(size)*float64(b.N)/1e6/(processTime(b)-start), "MB/cpu-s")
}

// corpus gives a large real module if the corpus has been fetched, and else one
// of the suite's.
func corpus(b *testing.B, name string) []byte {
	b.Helper()
	file, err := os.ReadFile(filepath.Join("..", "..", ".cache", "corpus", name))
	if err == nil {
		return file
	}
	return largest(b)
}

// BenchmarkDecode reads every instruction of a file.
func BenchmarkDecode(b *testing.B) {
	for _, name := range []string{"biome.wasm", "esbuild.wasm"} {
		file := corpus(b, name)
		b.Run(name, func(b *testing.B) {
			bin, err := Parse(file)
			if err != nil {
				b.Fatal(err)
			}
			var c Code
			measure(b, bin.Module.CodeSize, func() { decodeAll(b, bin, &c) })
		})
	}
}

func decodeAll(t testing.TB, bin *Binary, c *Code) {
	var in Instr
	for _, body := range bin.Module.Code {
		c.Reset(bin, body)
		for c.Next(&in) {
		}
		if err := c.Err(); err != nil {
			t.Fatal(err)
		}
	}
}

// BenchmarkValidate validates a whole file on one core; the rate is that of its
// code.
func BenchmarkValidate(b *testing.B) {
	for _, name := range []string{"biome.wasm", "esbuild.wasm"} {
		file := corpus(b, name)
		b.Run(name, func(b *testing.B) {
			bin, err := Parse(file)
			if err != nil {
				b.Fatal(err)
			}
			measure(b, bin.Module.CodeSize, func() {
				v, err := NewValidator(bin)
				if err != nil {
					b.Fatal(err)
				}
				for i := range bin.Module.Code {
					if err := v.Body(i, nil); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}
