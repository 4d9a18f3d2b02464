package code

import (
	"testing"

	"github.com/wreg-project/wreg/inspect/wasm"
)

// Languages with garbage collection keep tables of methods in structures that
// globals are initialised with. Whoever reads the global can get at them.
func TestFunctionsInGlobalsAreReachedByWhoReadsThem(t *testing.T) {
	bin := module(
		section(wasm.SectionType, vec(
			op(0x60, 0, 0),                   // 0: a method
			op(0x5f, 1, 0x64, 0, 0),          // 1: structure of a reference to a method
			op(0x60, 0, 1, 0x64, 0),          // 2: function that gives one
			op(0x5f, 1, 0x64, 1, 0),          // 3: structure of a structure
			op(0x50, 0, 0x60, 1, 0x7f, 0),    // 4: may have subtypes
			op(0x50, 1, 4, 0x60, 1, 0x7f, 0), // 5: a subtype of 4
		)),
		section(wasm.SectionFunction, vec(op(0), op(0), op(0), op(2), op(0), op(4), op(5), op(0))),
		section(wasm.SectionTable, vec(op(0x70, 0, 3))),
		section(wasm.SectionGlobal, vec(
			cat(op(0x64, 1, 0), op(0xd2, 0, 0xfb, 0, 1, 0x0b)), // 0: has function 0
			cat(op(0x64, 1, 0), op(0xd2, 1, 0xfb, 0, 1, 0x0b)), // 1: has function 1
			cat(op(0x64, 3, 0), op(0x23, 0, 0xfb, 0, 3, 0x0b)), // 2: has global 0
			cat(op(0x64, 1, 0), op(0xd2, 2, 0xfb, 0, 1, 0x0b)), // 3: exported, has function 2
		)),
		section(wasm.SectionExport, vec(op(1, 'm', 0, 4), op(1, 'g', 3, 3))),
		section(wasm.SectionElement, vec(op(0, 0x41, 0, 0x0b, 2, 5, 6))),
		section(wasm.SectionCode, vec(
			body(op(0x0b)),
			body(op(0x0b)),
			body(op(0x0b)),
			body(op(0x23, 2, 0xfb, 2, 3, 0, 0xfb, 2, 1, 0, 0x0b)), // 3: reads global 2
			body(op(0x10, 3, 0x1a, 0x10, 7, 0x0b)),                // 4: reads it through 3
			body(op(0x0b)),
			body(op(0x0b)),
			body(op(0x41, 0, 0x41, 1, 0x11, 4, 0, 0x0b)), // 7: calls by type 4
		)),
	)
	b, err := wasm.Parse(bin)
	if err != nil {
		t.Fatal(err)
	}
	v, err := wasm.NewValidator(b)
	if err != nil {
		t.Fatalf("NewValidator: %v", err)
	}
	bl := NewBuilder(b)
	w := bl.Worker()
	for i := range b.Module.Code {
		w.Begin(i)
		if err := v.Body(i, w.Visit); err != nil {
			t.Fatalf("Body(%d): %v", i, err)
		}
		w.End()
	}
	m := bl.Finish()
	want := []Reach{
		Indirectly,  // in global 0, which is in global 2
		Unreachable, // in a global that nothing reads
		Indirectly,  // in a global that the outside has
		Directly, Directly,
		Indirectly, // in the table, of the type called
		Indirectly, // in the table, of a subtype of it
		Directly,
	}
	for f, want := range want {
		if got := m.Graph.Reach(uint32(f)); got != want {
			t.Errorf("Reach(%d) = %v, want %v", f, got, want)
		}
	}
}
