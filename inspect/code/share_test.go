package code

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wreg-project/wreg/inspect/wasm"
)

// A module has what its part of the file gives it, and more while there is some
// to spare.
func TestShareGrants(t *testing.T) {
	s := NewShare(1200, 1000)
	if s.records != 300 || s.spareRecords != 100 {
		t.Fatalf("a share of 1,200 bytes has %d for records and %d to spare, want 300 and 100", s.records, s.spareRecords)
	}
	for _, tt := range []struct {
		name                    string
		size, need, want, spare int64
	}{
		{"of what it does not need, all is its own", 100, 10, 30, 100},
		{"what it needs more is spared", 100, 70, 70, 60},
		{"until nothing is", 200, 500, 120, 0},
		{"and then it has its own", 500, 500, 150, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := s.grant(s.records, &s.spareRecords, tt.size, tt.need); got != tt.want || s.spareRecords != tt.spare {
				t.Errorf("grant(%d of 1000, need %d) = %d and leaves %d, want %d and %d", tt.size, tt.need, got, s.spareRecords, tt.want, tt.spare)
			}
		})
	}
	if s := NewShare(-5, 0); s.grant(s.graph, &s.spareGraph, 10, 10) != 0 {
		t.Error("a share of nothing gives something")
	}
}

// Many modules of dense code in one file do not have each what one has.
func TestModulesShare(t *testing.T) {
	bin := hostile(64 << 10)["empty functions"]
	const modules = 16
	s := usual(int64(modules * len(bin)))
	records := 0
	var first, last *Module
	for range modules {
		b, err := wasm.Parse(bin)
		if err != nil {
			t.Fatal(err)
		}
		last = s.NewBuilder(b).Finish()
		records += len(last.Functions)
		if first == nil {
			first = last
		}
	}
	if n := int64(records * bytesPerFunction); n > int64(modules*len(bin)+slack) {
		t.Errorf("%d modules of %d bytes have %d bytes of records", modules, len(bin), n)
	}
	if len(first.Functions) < len(last.Functions) || !last.Truncated() {
		t.Errorf("%d records of the first module and %d of the last, truncated %v", len(first.Functions), len(last.Functions), last.Truncated())
	}
}

// A shim of a component is a small part of the file, and all of it is calls
// through a table and functions to be called so.
func TestSmallModulesHaveWhatTheyNeed(t *testing.T) {
	var types, functions, bodies [][]byte
	elements := leb(64)
	for i := range byte(64) {
		// Types of no to 15 parameters.
		types = append(types, cat(op(0x60, i%16), make32(int(i%16)), op(0)))
		functions = append(functions, op(i))
		bodies = append(bodies, body(cat(op(0x00, 0x41, i, 0x11, i, 0, 0x0b))))
		elements = append(elements, i)
	}
	bin := module(
		section(wasm.SectionType, vec(types...)),
		section(wasm.SectionFunction, vec(functions...)),
		section(wasm.SectionTable, vec(op(0x70, 0, 64))),
		section(wasm.SectionElement, vec(cat(op(0, 0x41, 0, 0x0b), elements))),
		section(wasm.SectionCode, vec(bodies...)),
	)
	b, err := wasm.Parse(bin)
	if err != nil {
		t.Fatal(err)
	}
	const file = 3 << 20
	s := NewShare(3*file, file)
	for i := range 20 {
		bl := s.NewBuilder(b)
		w := bl.Worker()
		var c wasm.Code
		var in wasm.Instr
		for k, body := range b.Module.Code {
			c.Reset(b, body)
			w.Begin(k)
			for c.Next(&in) {
				w.Visit(&in)
			}
			w.End()
		}
		if m := bl.Finish(); m.Truncated() || m.idom == nil || m.Summary(Options{}).Recursion.Truncated {
			t.Fatalf("module %d of %d bytes in %d is truncated", i, len(bin), file)
		}
	}
}

// make32 is n value types of 32 bits.
func make32(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = 0x7f
	}
	return b
}

// A worker that turns to another module leaves what it saw with the first.
func TestWorkersTurn(t *testing.T) {
	bin := hostile(4 << 10)["functions that call 127 others"]
	want := analyse(t, bin)
	b, err := wasm.Parse(bin)
	if err != nil {
		t.Fatal(err)
	}
	first, second := NewBuilder(b), NewBuilder(b)
	w := first.Worker()
	for i, bl := range []*Builder{first, second} {
		if i > 0 {
			w.Turn(bl)
		}
		var c wasm.Code
		var in wasm.Instr
		for k, body := range b.Module.Code {
			c.Reset(b, body)
			w.Begin(k)
			for c.Next(&in) {
				w.Visit(&in)
			}
			w.End()
		}
	}
	for i, bl := range []*Builder{first, second} {
		m := bl.Finish()
		if diff := cmp.Diff(want.Summary(Options{}), m.Summary(Options{})); diff != "" {
			t.Errorf("module %d: -one worker +one that turns\n%s", i, diff)
		}
		if diff := cmp.Diff(want.Functions, m.Functions); diff != "" {
			t.Errorf("functions of module %d: -one worker +one that turns\n%s", i, diff)
		}
	}
}
