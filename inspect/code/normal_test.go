package code

import (
	"testing"

	"github.com/wreg-project/wreg/inspect/wasm"
)

// program is a module around the body of its last function, which is of type
// () → (). before says how many functions, types and globals stand before those
// that the body uses, so that all of their indices are other ones: it uses
// types before and before+1, globals before and before+1 and functions before
// and before+1.
func program(before byte, code []byte) []byte {
	types, globals, functions, bodies := [][]byte{}, [][]byte{}, [][]byte{}, [][]byte{}
	for range before {
		types = append(types, op(0x60, 0, 1, 0x7d))
		globals = append(globals, op(0x7e, 0, 0x42, 0, 0x0b))
		functions = append(functions, op(before))
		bodies = append(bodies, body(op(0x0b)))
	}
	types = append(types, op(0x60, 0, 0), op(0x60, 1, 0x7f, 1, 0x7f))
	globals = append(globals, op(0x7f, 1, 0x41, 0, 0x0b), op(0x7f, 1, 0x41, 0, 0x0b))
	functions = append(functions, op(before), op(before), op(before))
	bodies = append(bodies, body(op(0x0b)), body(op(0x01, 0x0b)), body(code))
	return module(
		section(wasm.SectionType, vec(types...)),
		section(wasm.SectionFunction, vec(functions...)),
		section(wasm.SectionTable, vec(op(0x70, 0, 20))),
		section(wasm.SectionMemory, vec(op(0, 1))),
		section(wasm.SectionGlobal, vec(globals...)),
		section(wasm.SectionCode, vec(bodies...)),
	)
}

func lastHash(t *testing.T, bin []byte) Hash {
	t.Helper()
	m := analyse(t, bin)
	return m.Functions[len(m.Functions)-1].Normal
}

func TestNormalisedHash(t *testing.T) {
	tests := []struct {
		name  string
		a, b  []byte // bodies; of the second one indices are by three greater
		equal bool
	}{
		{"callees by other indices", op(0x10, 0, 0x10, 1, 0x0b), op(0x10, 3, 0x10, 4, 0x0b), true},
		{"two callees and one twice", op(0x10, 0, 0x10, 1, 0x0b), op(0x10, 3, 0x10, 3, 0x0b), false},
		{"another function and the function itself", op(0x10, 0, 0x0b), op(0x10, 5, 0x0b), false},
		{"globals by other indices", op(0x23, 0, 0x24, 1, 0x0b), op(0x23, 3, 0x24, 4, 0x0b), true},
		{"globals of other types", op(0x23, 0, 0x1a, 0x0b), op(0x23, 0, 0x1a, 0x0b), false},
		{"types by other indices", op(0x41, 5, 0x11, 0, 0, 0x0b), op(0x41, 5, 0x11, 3, 0, 0x0b), true},
		{"other types", op(0x41, 5, 0x11, 0, 0, 0x0b), op(0x41, 5, 0x11, 4, 0, 0x0b), false},
		{"a block type by index and in place", op(0x02, 0, 0x0b, 0x0b), op(0x02, 0x40, 0x0b, 0x0b), true},
		{"block types by other indices", op(0x41, 7, 0x02, 1, 0x0b, 0x1a, 0x0b), op(0x41, 7, 0x02, 4, 0x0b, 0x1a, 0x0b), true},
		{"a call in more bytes", op(0x10, 0, 0x0b), op(0x10, 0x83, 0x80, 0x80, 0x80, 0x00, 0x0b), true},
		{"a constant in more bytes", op(0x41, 0x2a, 0x1a, 0x0b), op(0x41, 0xaa, 0x80, 0x00, 0x1a, 0x0b), true},
		{"small constants", op(0x41, 0x2a, 0x1a, 0x0b), op(0x41, 0x2b, 0x1a, 0x0b), false},
		{"negative constants", op(0x41, 0x7e, 0x1a, 0x0b), op(0x41, 0x7f, 0x1a, 0x0b), false},
		{"addresses", op(0x41, 0x80, 0x20, 0x1a, 0x0b), op(0x41, 0x84, 0xa0, 0x02, 0x1a, 0x0b), true}, // 4096 and 36868
		{"the last number and the first address", op(0x41, 0xff, 0x07, 0x1a, 0x0b), op(0x41, 0x80, 0x08, 0x1a, 0x0b), false},
		{
			"numbers beyond addresses", // 0x10000000 and the next
			op(0x41, 0x80, 0x80, 0x80, 0x80, 0x01, 0x1a, 0x0b), op(0x41, 0x81, 0x80, 0x80, 0x80, 0x01, 0x1a, 0x0b), false,
		},
		{
			"places in the table as linkers fill them in", // 1 and 2 in five bytes
			op(0x41, 0x81, 0x80, 0x80, 0x80, 0x00, 0x1a, 0x0b), op(0x41, 0x82, 0x80, 0x80, 0x80, 0x00, 0x1a, 0x0b), true,
		},
		{
			"numbers beyond the table in five bytes", // 21 and 22
			op(0x41, 0x95, 0x80, 0x80, 0x80, 0x00, 0x1a, 0x0b), op(0x41, 0x96, 0x80, 0x80, 0x80, 0x00, 0x1a, 0x0b), false,
		},
		{
			"addresses in offsets", // 1024 and 2048
			op(0x41, 0, 0x28, 2, 0x80, 0x08, 0x1a, 0x0b), op(0x41, 0, 0x28, 2, 0x80, 0x10, 0x1a, 0x0b), true,
		},
		{"fields in offsets", op(0x41, 0, 0x28, 2, 4, 0x1a, 0x0b), op(0x41, 0, 0x28, 2, 8, 0x1a, 0x0b), false},
		{"other alignment", op(0x41, 0, 0x28, 2, 4, 0x1a, 0x0b), op(0x41, 0, 0x28, 1, 4, 0x1a, 0x0b), false},
		{"other instructions", op(0x41, 1, 0x45, 0x1a, 0x0b), op(0x41, 1, 0x67, 0x1a, 0x0b), false},
		{"other instructions of two bytes", op(0x43, 0, 0, 0, 0, 0xfc, 0, 0x1a, 0x0b), op(0x43, 0, 0, 0, 0, 0xfc, 1, 0x1a, 0x0b), false},
		{"other labels", op(0x02, 0x40, 0x0c, 0, 0x0b, 0x0b), op(0x02, 0x40, 0x0c, 1, 0x0b, 0x0b), false},
		{
			"other orders of labels",
			op(0x02, 0x40, 0x41, 0, 0x0e, 1, 0, 1, 0x0b, 0x0b), op(0x02, 0x40, 0x41, 0, 0x0e, 1, 1, 0, 0x0b, 0x0b), false,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, b := lastHash(t, program(0, tt.a)), lastHash(t, program(3, tt.b))
			if (a == b) != tt.equal {
				t.Errorf("hashes %v and %v, equal: %v, want %v", a, b, a == b, tt.equal)
			}
		})
	}
}

func TestNormalisedHashOfLocals(t *testing.T) {
	hash := func(locals []byte) Hash {
		return lastHash(t, module(
			section(wasm.SectionType, vec(op(0x60, 0, 0))),
			section(wasm.SectionFunction, vec(op(0))),
			section(wasm.SectionCode, vec(sized(nil, cat(locals, op(0x0b))))),
		))
	}
	two := hash(op(1, 2, 0x7f))
	for name, tt := range map[string]struct {
		locals []byte
		equal  bool
	}{
		"declared one by one":   {op(2, 1, 0x7f, 1, 0x7f), true},
		"with none of another":  {op(3, 1, 0x7f, 0, 0x7e, 1, 0x7f), true},
		"one more":              {op(1, 3, 0x7f), false},
		"of another type":       {op(1, 2, 0x7e), false},
		"one of each of two":    {op(2, 1, 0x7f, 1, 0x7e), false},
		"the other way round":   {op(2, 1, 0x7e, 1, 0x7f), false},
		"none":                  {op(0), false},
		"in more bytes than it": {op(1, 0x82, 0x00, 0x7f), true},
	} {
		if got := hash(tt.locals); (got == two) != tt.equal {
			t.Errorf("%s: equal to two i32: %v, want %v", name, got == two, tt.equal)
		}
	}
}

// A function with more distinct callees than are numbered keeps its hash when
// they move, and its calls.
func TestManyCallees(t *testing.T) {
	const n = 2 * maxOrdinals
	build := func(before int) *Module {
		var functions, bodies [][]byte
		for range before + n {
			functions = append(functions, op(0))
			bodies = append(bodies, body(op(0x0b)))
		}
		var code []byte
		for i := range n {
			code = cat(code, op(0x10), leb(uint64(before+i)), op(0x10), leb(uint64(before+n-1-i)))
		}
		return analyse(t, module(
			section(wasm.SectionType, vec(op(0x60, 0, 0))),
			section(wasm.SectionFunction, vec(append(functions, op(0))...)),
			section(wasm.SectionCode, vec(append(bodies, body(append(code, 0x0b)))...)),
		))
	}
	a, b := build(0), build(700)
	if got, want := a.Functions[n].Normal, b.Functions[700+n].Normal; got != want {
		t.Errorf("normalised hash %v, moved by 700 %v", got, want)
	}
	if got := len(a.Graph.Callees(n)); got != n {
		t.Errorf("Callees = %d functions, want %d", got, n)
	}
}

func TestFingerprint(t *testing.T) {
	sketchOf := func(ops []byte) Fingerprint {
		var s sketch
		s.reset()
		for _, o := range ops {
			s.add(o)
		}
		return s.sum()
	}
	random := func(seed, n int) []byte {
		ops := make([]byte, n)
		x := uint64(seed)
		for i := range ops {
			x = x*6364136223846793005 + 1442695040888963407
			ops[i] = 0x41 + byte(x>>33)%40
		}
		return ops
	}
	base := random(1, 600)
	edited := append([]byte{}, base...)
	copy(edited[300:], random(2, 15))
	if d := sketchOf(base).Distance(sketchOf(base)); d != 0 {
		t.Errorf("distance to itself = %d, want 0", d)
	}
	if d := sketchOf(base).Distance(sketchOf(edited)); d == 0 || d > 8 {
		t.Errorf("distance after a change of 15 of 600 opcodes = %d, want 1 to 8", d)
	}
	total := 0
	for i := range 50 {
		d := sketchOf(base).Distance(sketchOf(random(100+i, 600)))
		if total += d; d < 16 {
			t.Errorf("distance to function %d of random opcodes = %d, want about 32", i, d)
		}
	}
	if mean := total / 50; mean < 29 || mean > 35 {
		t.Errorf("mean distance of unrelated functions = %d, want about 32", mean)
	}
	if a, b := sketchOf(random(1, 5)), sketchOf(random(2, 5)); a.Distance(b) < 16 {
		t.Errorf("distance of short unrelated functions = %d, want about 32", a.Distance(b))
	}
}
