package wasm

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"
)

// vec writes a vector: a count of five bytes and the entries.
func vec(entries ...[]byte) []byte { return append(padded(len(entries)), slices.Concat(entries...)...) }

// big builds a section of any size.
func big(id byte, contents []byte) []byte {
	return append(append([]byte{id}, padded(len(contents))...), contents...)
}

// sized puts the size of a body in front of it.
func sized(code []byte) []byte { return append(padded(len(code)), code...) }

func TestValidateSaysWhatIsWrongWhere(t *testing.T) {
	tests := []struct {
		name string
		in   []byte
		want string
	}{
		{
			"an operand of another type", body(0, 0x44, 0, 0, 0, 0, 0, 0, 0, 0, 0x41, 1, 0x6a, 0x1a, 0x0b),
			"function 0 at byte 34 (0x22): type mismatch: expected i32, found f64",
		},
		{
			"an operand that is missing", body(0, 0x6a, 0x1a, 0x0b),
			"function 0 at byte 23 (0x17): type mismatch: expected i32, but nothing is on the stack",
		},
		{
			"a value too many", body(0, 0x41, 0, 0x0b),
			"function 0 at byte 25 (0x19): type mismatch: 1 values remaining on the stack at the end of a block",
		},
		{
			"what dead code took for a reference, as a number", body(0, 0x00, 0xd4, 0x45, 0x1a, 0x0b), // unreachable, ref.as_non_null, i32.eqz
			"function 0 at byte 25 (0x19): type mismatch: expected i32, found (ref bottom)",
		},
		{
			"the same in a select without a type", body(0, 0x00, 0xd4, 0x41, 0, 0x1b, 0x1a, 0x0b),
			"function 0 at byte 27 (0x1b): type mismatch: select of a reference must name its type",
		},
		{"a local that is not there", body(1, 1, 0x7f, 0x20, 1, 0x1a, 0x0b), "function 0 at byte 25 (0x19): unknown local 1"},
		{"a label that is not there", body(0, 0x0c, 1, 0x0b), "function 0 at byte 23 (0x17): unknown label 1"},
		{"a block that is not ended", body(0, 0x02, 0x40, 0x0b), "function 0 at byte 26 (0x1a): unexpected end: 1 blocks not ended"},
		{
			"instructions after the end", body(0, 0x0b, 0x01),
			"function 0 at byte 24 (0x18): counts or sizes disagree: instructions after the end of the function",
		},
		{
			"a local that has no value yet", body(1, 1, 0x64, 0x70, 0x20, 0, 0x1a, 0x0b),
			"function 0 at byte 26 (0x1a): uninitialized local: 0",
		},
		{
			"a local of a type that is not there, in the second function",
			module(section(1, 1, 0x60, 0, 0), section(3, 2, 0, 0), section(10, 2, 2, 0, 0x0b, 5, 1, 1, 0x63, 9, 0x0b)),
			"function 1 at byte 26 (0x1a): unknown type 9",
		},
		{
			"a global of another type", module(section(6, 2, 0x7f, 0, 0x41, 0, 0x0b, 0x7e, 0, 0x41, 1, 0x0b)),
			"global section, entry 1 at byte 20 (0x14): type mismatch: expected i64, found i32",
		},
		{
			"a second export of a name", module(section(1, 1, 0x60, 0, 0), section(3, 1, 0),
				section(7, 2, 1, 'a', 0, 0, 1, 'a', 0, 0), section(10, 1, 2, 0, 0x0b)),
			`export section, entry 1 at byte 25 (0x19): duplicate export name "a"`,
		},
		{
			"a supertype that is final", module(section(1, 2, 0x5f, 0, 0x50, 1, 0, 0x5f, 0)),
			"type section, entry 1 at byte 13 (0xd): sub type does not match super type: type 1 has the final type 0 above it",
		},
		{"a start function with a result", module(section(1, 1, 0x60, 0, 1, 0x7f), section(3, 1, 0), section(8, 0),
			section(10, 1, 4, 0, 0x41, 0, 0x0b)), "start section at byte 21 (0x15): start function 0 has parameters or results"},
		{
			"memory that is too large", module(section(5, 1, 0, 0x81, 0x80, 0x04)),
			"memory section, entry 0 at byte 11 (0xb): memory size must be at most 65536 pages of 65536 bytes",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := validate(tt.in); err == nil || err.Error() != tt.want {
				t.Errorf("Validate = %v\nwant %s", err, tt.want)
			}
		})
	}
}

// Bodies are checked in any order on several cores; the error is always that of
// the lowest function.
func TestValidateReportsTheFirstFunction(t *testing.T) {
	const functions, broken = 2000, 700
	types, code := make([][]byte, functions), make([][]byte, functions)
	for i := range functions {
		types[i], code[i] = []byte{0}, sized([]byte{0, 0x0b})
		if i >= broken {
			code[i] = sized([]byte{0, 0x6a, 0x0b})
		}
	}
	file := module(section(1, 1, 0x60, 0, 0), big(3, vec(types...)), big(10, vec(code...)))
	for range 20 {
		_, err := validate(file)
		var at *Error
		if !errors.As(err, &at) || at.Doing != fmt.Sprint("function ", broken) {
			t.Fatalf("Validate = %v; want the error of function %d", err, broken)
		}
	}
}

// Visitors see each instruction of a body once, in order, from the end of the
// locals to the end of the body.
func TestBodyVisitsEveryInstruction(t *testing.T) {
	visited := 0
	for _, s := range suite(t, "core-spec.zip", coreCases) {
		if s.Kind != "valid" {
			continue
		}
		bin, err := Parse(s.data)
		if err != nil {
			t.Fatalf("Parse(%s) = %v", s.Path, err)
		}
		v, err := NewValidator(bin)
		if err != nil {
			t.Fatalf("NewValidator(%s) = %v", s.Path, err)
		}
		for i, body := range bin.Module.Code {
			next := int64(-1)
			err := v.Body(i, func(in *Instr) {
				if next >= 0 && in.Offset != next {
					t.Errorf("%s: %v at byte %d follows one that ends at %d", s.Path, in.Op, in.Offset, next)
				}
				next = in.End
				visited++
			})
			if err != nil || next != body.Offset+body.Size {
				t.Errorf("Body(%d) of %s = %v, ended at byte %d; want %d", i, s.Path, err, next, body.Offset+body.Size)
			}
		}
	}
	if visited < 40_000 {
		t.Errorf("%d instructions seen, want at least 40,000", visited)
	}
}

func TestValidatorAllocatesNothingForBodies(t *testing.T) {
	bin, err := Parse(largest(t))
	if err != nil {
		t.Fatalf("Parse = %v", err)
	}
	v, err := NewValidator(bin)
	if err != nil {
		t.Fatalf("NewValidator = %v", err)
	}
	all := func() {
		for i := range bin.Module.Code {
			if err := v.Body(i, nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	all()
	if n := testing.AllocsPerRun(10, all); n > 0 {
		t.Errorf("checking all bodies allocates %v times", n)
	}
}

func TestNewValidatorWantsAParsedModule(t *testing.T) {
	file := body(0, 0x0b)
	decoded, err := Decode(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatalf("Decode = %v", err)
	}
	if _, err := NewValidator(decoded); err == nil {
		t.Error("NewValidator accepts a module that was not read from memory")
	}
	parsed, err := Parse(component())
	if err != nil {
		t.Fatalf("Parse = %v", err)
	}
	if _, err := NewValidator(parsed); err == nil {
		t.Error("NewValidator accepts a component")
	}
}

// repeat is n times the same bytes.
func repeat(n int, b ...byte) [][]byte { return slices.Repeat([][]byte{b}, n) }

// wide is a function type of n parameters and n results.
func wide(n int, param, result byte) []byte {
	return slices.Concat([]byte{0x60}, vec(repeat(n, param)...), vec(repeat(n, result)...))
}

// bombs are files of a megabyte or less that ask for as much as they can.
func bombs() map[string][]byte {
	code := func(types []byte, code ...byte) []byte {
		code = append(append([]byte{0}, code...), 0x0b)
		return module(big(1, types), section(3, 1, 0), big(10, vec(sized(code))))
	}
	deep := func(op byte) []byte { return slices.Concat(repeat(100_000, op, 0x40)...) }
	names := slices.Concat([]byte("\x04name\x01"), padded(1_000_004), vec(repeat(500_000, 1, 0)...))
	empty := section(1, 1, 0x60, 0, 0) // the type of a function of nothing
	nullary := []byte{1, 0x60, 0, 0}
	many := func(param, result byte, block ...byte) []byte {
		types := vec([]byte{0x60, 0, 0}, wide(1000, param, result))
		return code(types, append([]byte{0x00}, bytes.Repeat(block, 100_000)...)...)
	}
	locals := func(n int) []byte {
		return module(empty, big(3, vec(repeat(n, 0)...)), big(10, vec(repeat(n, 6, 1, 0xd0, 0x86, 0x03, 0x7f, 0x0b)...)))
	}
	functions := func(n int) []byte {
		return module(empty, big(3, vec(repeat(n, 0)...)), big(10, vec(repeat(n, 2, 0, 0x0b)...)))
	}
	group := append(append(padded(1), 0x4e), vec(repeat(300_000, 0x60, 0, 0)...)...)
	table := slices.Concat([]byte{0x41, 0, 0x0e}, padded(900_000), make([]byte, 900_001))
	return map[string][]byte{
		"types of three bytes":              module(big(1, vec(repeat(300_000, 0x60, 0, 0)...))),
		"types of one group":                module(big(1, group)),
		"imports without names":             module(empty, big(2, vec(repeat(200_000, 0, 0, 0, 0)...))),
		"functions without instructions":    functions(250_000),
		"globals":                           module(big(6, vec(repeat(200_000, 0x7f, 0, 0x41, 0, 0x0b)...))),
		"tables":                            module(big(4, vec(repeat(90_000, 0x70, 0, 0)...))),
		"empty sections":                    module(slices.Concat(repeat(90_000, 0, 1, 0)...)),
		"passive data":                      module(big(11, vec(repeat(100_000, 1, 0)...))),
		"passive elements":                  module(big(9, vec(repeat(100_000, 1, 0, 0)...))),
		"names of nothing":                  module(big(0, names)),
		"blocks inside blocks":              code(nullary, deep(0x02)...),
		"loops inside loops":                code(nullary, deep(0x03)...),
		"blocks of a thousand results":      many(0x7f, 0x7f, 0x02, 1, 0x0b),
		"casts of a thousand operands":      many(0x6e, 0x6b, 0x02, 1, 0x00, 0x0b),
		"fifty thousand locals in 6 bytes":  locals(50_000),
		"a br_table of a million labels":    code(nullary, table...),
		"an if in an if, each with an else": code(nullary, bytes.Repeat([]byte{0x41, 0, 0x04, 0x40, 0x05}, 50_000)...),
	}
}

// maxCPU is what validation may take, in seconds for each megabyte: one, and as
// much again for a machine whose cores are shared.
const maxCPU = 2

// What a parse keeps is within the rule, however much a file asks for, and so is
// all that it allocates on the way, garbage included.
func TestBombsStayWithinTheMemoryRule(t *testing.T) {
	for name, file := range bombs() {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			bin, err := Parse(file)
			runtime.GC()
			runtime.ReadMemStats(&after)
			kept := int64(after.HeapAlloc) - int64(before.HeapAlloc)
			limit := int64(KeptPerByte*len(file) + KeptAnyway + 64<<10)
			if kept > limit {
				t.Errorf("Parse of %d bytes keeps %d, more than %d (%v)", len(file), kept, limit, err)
			}
			if spent := int64(after.TotalAlloc - before.TotalAlloc); spent > limit*detector {
				t.Errorf("Parse of %d bytes allocates %d, more than %d (%v)", len(file), spent, limit, err)
			}
			if err == nil {
				start := processTime(t)
				_, err = Validate(bin)
				if spent := processTime(t) - start; spent > detector*maxCPU*float64(len(file))/1e6 {
					t.Errorf("Validate of %d bytes takes %.1f s of CPU (%v)", len(file), spent, err)
				}
			}
			checkError(t, err, len(file))
			runtime.KeepAlive(bin)
		})
	}
}

func TestValidateBounds(t *testing.T) {
	calls := func(param, result byte, n int) []byte {
		types := vec([]byte{0x60, 0, 0}, wide(1000, param, result), append([]byte{0x60, 0}, vec(repeat(1000, result)...)...))
		code := slices.Concat([]byte{0, 0x10, 2}, slices.Concat(repeat(n, 0x10, 1)...), []byte{0x00, 0x0b})
		stubs := sized([]byte{0, 0x00, 0x0b})
		return module(big(1, types), section(3, 3, 0, 1, 2), big(10, vec(sized(code), stubs, stubs)))
	}
	results := append([]byte{0x60, 0}, vec(repeat(1000, 0x7f)...)...)
	stack := slices.Concat([]byte{0}, slices.Concat(repeat(100, 0x10, 1)...), []byte{0x00, 0x0b})
	tests := []struct {
		name string
		in   []byte
		err  error
	}{
		{"calls whose operands are what the last left", calls(0x7f, 0x7f, 1000), nil},
		{"calls whose operands are subtypes, one by one", calls(0x6e, 0x6b, 1000), ErrLimit},
		{
			"a stack of more than 65,536 operands",
			module(big(1, vec([]byte{0x60, 0, 0}, results)), section(3, 2, 0, 1), big(10, vec(sized(stack), sized([]byte{0, 0x00, 0x0b})))),
			ErrLimit,
		},
		{"as many blocks as may be", nested(MaxBlocks - 1), nil},
		{"more blocks than may be", nested(MaxBlocks), ErrLimit},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := validate(tt.in); !errors.Is(err, tt.err) {
				t.Errorf("Validate = %v; want %v", err, tt.err)
			}
		})
	}
}

// nested is a module with a function of n blocks inside each other.
func nested(n int) []byte {
	code := slices.Concat([]byte{0}, slices.Concat(repeat(n, 0x02, 0x40)...), bytes.Repeat([]byte{0x0b}, n+1))
	return module(section(1, 1, 0x60, 0, 0), section(3, 1, 0), big(10, vec(sized(code))))
}

// The budget of a decode is in the sizes of what it keeps.
func TestCostsAreSizes(t *testing.T) {
	tests := []struct {
		name string
		cost int
		size int
	}{
		{"section", costSection, costGrown * int(unsafe.Sizeof(Section{}))},
		{"type", costType, int(unsafe.Sizeof(SubType{})+unsafe.Sizeof(sig{})+unsafe.Sizeof(span{})) + 5 + 24}, // and canon, depth and groups
		{"value type", costValType, int(unsafe.Sizeof(I32))},
		{"import", costImport, int(unsafe.Sizeof(Import{})) + costGrown*int(unsafe.Sizeof(GlobalType{}))},
		{"export", costExport, int(unsafe.Sizeof(Export{}))},
		{"function", costFunction, int(unsafe.Sizeof(uint32(0)))},
		{"table", costTable, int(unsafe.Sizeof(TableType{}))},
		{"memory", costMemory, int(unsafe.Sizeof(MemoryType{}))},
		{"global", costGlobal, int(unsafe.Sizeof(GlobalType{}))},
		{"constant expression", costExpr, int(unsafe.Sizeof(ConstExpr{}))},
		{"body", costBody, int(unsafe.Sizeof(Body{}))},
		{"element segment", costElement, int(unsafe.Sizeof(Element{}))},
		{"data segment", costData, int(unsafe.Sizeof(Data{}))},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.cost < tt.size || tt.cost > tt.size+tt.size/4+8 {
				t.Errorf("%s costs %d bytes in the budget, but takes %d", tt.name, tt.cost, tt.size)
			}
		})
	}
}

func TestFeaturesPrint(t *testing.T) {
	f := FeatureSIMD | FeatureGC | FeatureCM64
	if got, want := f.String(), "simd, gc, cm64"; got != want {
		t.Errorf("String of %b = %q; want %q", f, got, want)
	}
	if diff := cmp.Diff([]string{}, Features(0).List()); diff != "" {
		t.Errorf("List of none (-want +got):\n%s", diff)
	}
	names := map[string]bool{}
	for _, name := range featureNames {
		names[name] = true
		if name != strings.ToLower(name) || strings.ContainsAny(name, " _") {
			t.Errorf("feature %q is not written like the others", name)
		}
	}
	if next := Features(1) << len(names); next != featureTags {
		t.Errorf("%d different names, but the features end before %b", len(names), featureTags)
	}
}
