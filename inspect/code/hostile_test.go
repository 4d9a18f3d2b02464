package code

import (
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/wreg-project/wreg/inspect/wasm"
)

// hostile are modules of about n bytes each of which has as much as possible of
// something that is kept or has to be gone through.
func hostile(n int) map[string][]byte {
	fill := func(n int, entry []byte) []byte { return append(leb(uint64(n)), slices.Repeat(entry, n)...) }
	simple := func(code []byte) []byte {
		return module(
			section(wasm.SectionType, vec(op(0x60, 0, 0))),
			section(wasm.SectionFunction, vec(op(0))),
			section(wasm.SectionTable, vec(op(0x70, 0, 0))),
			section(wasm.SectionCode, vec(body(code))),
		)
	}
	// functions makes n/size functions of the same body.
	functions := func(code []byte, more ...[]byte) []byte {
		code = append(slices.Repeat(op(0x01), max(0, 12-len(code))), code...)
		k := n / (len(code) + 3)
		return module(
			section(wasm.SectionType, vec(op(0x60, 0, 0))),
			section(wasm.SectionFunction, fill(k, op(0))),
			cat(more...),
			section(wasm.SectionCode, fill(k, body(code))),
		)
	}
	calls := []byte{}
	for i := range 127 {
		calls = append(calls, 0x10, byte(i))
	}
	elements := []byte{}
	for i := range 128 {
		elements = append(elements, byte(i))
	}
	segment := cat(op(0, 0x41, 0, 0x0b, 0x80, 0x01), elements)
	labels := append(leb(uint64(n/8)), slices.Repeat(op(0), n/8+1)...)
	return map[string][]byte{
		"empty functions":                functions(op(0x0b)),
		"functions that call 127 others": functions(append(calls, 0x0b)),
		"functions that call themselves": functions(op(0x10, 0, 0x0b)),
		"one function of calls":          simple(append(slices.Repeat(op(0x10, 0), n/2), 0x0b)),
		"one function of nested blocks":  simple(cat(slices.Repeat(op(0x02, 0x40), n/3), slices.Repeat(op(0x0b), n/3+1))),
		"one function of long br_tables": simple(cat(slices.Repeat(cat(op(0x41, 0, 0x0e), labels), 8), op(0x0b))),
		"one function of constants":      simple(append(slices.Repeat(op(0x41, 0, 0x1a), n/3), 0x0b)),
		"br_tables in deep nests": simple(cat(
			slices.Repeat(op(0x02, 0x40), n/6),
			slices.Repeat(cat(op(0x41, 0, 0x0e, 0), leb(uint64(n/6))), n/8),
			slices.Repeat(op(0x0b), n/6+1),
		)),
		"indirect calls": simple(append(slices.Repeat(op(0x41, 0, 0x11, 0, 0), n/5), 0x0b)),
		"element segments of few functions": functions(
			op(0x0b),
			section(wasm.SectionTable, vec(op(0x70, 0, 0))),
			section(wasm.SectionElement, fill(n/len(segment), segment)),
		),
		"tables each with a segment of many": functions(
			op(0x41, 0, 0x11, 0, 0, 0x0b),
			section(wasm.SectionTable, fill(1000, op(0x70, 0, 0))),
			section(wasm.SectionElement, manySegments(1000, elements)),
		),
		"types": module(
			section(wasm.SectionType, fill(n/40, op(0x60, 1, 0x7f, 0))),
			section(wasm.SectionFunction, vec(op(0))),
			section(wasm.SectionCode, vec(body(op(0x0b)))),
			custom("padding", make([]byte, n)),
		),
		"types that refer to types": module(
			section(wasm.SectionType, vec(cat(op(0x4e), fill(n/40, op(0x60, 1, 0x64, 0, 0))))),
			section(wasm.SectionFunction, vec(op(0))),
			section(wasm.SectionCode, vec(body(op(0xd0, 0x70, 0x1a, 0x0b)))),
			custom("padding", make([]byte, n)),
		),
		"exports": functions(op(0x0b), section(wasm.SectionExport, manyExports(n/40))),
	}
}

func manySegments(tables int, elements []byte) []byte {
	list := leb(uint64(tables))
	for t := range tables {
		list = cat(list, op(2), leb(uint64(t)), op(0x41, 0, 0x0b, 0), leb(uint64(len(elements))), elements)
	}
	return list
}

func manyExports(n int) []byte {
	list := leb(uint64(n))
	for i := range n {
		list = cat(list, op(3, 'a'+byte(i%26), 'a'+byte(i/26%26), 'a'+byte(i/676%26), 0), leb(uint64(i%100)))
	}
	return list
}

// Memory that the analysis keeps, and all that it ever asks for, is bounded by
// the size of the module, and its time is not more than linear.
func TestHostileModulesAreBounded(t *testing.T) {
	const size = 1 << 20
	for name, bin := range hostile(size) {
		t.Run(name, func(t *testing.T) {
			b, err := wasm.Parse(bin)
			if err != nil {
				t.Fatalf("Parse of %d bytes: %v", len(bin), err)
			}
			var before, after, kept runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			start := time.Now()
			m, err := Analyse(b)
			if err != nil {
				t.Fatalf("Analyse: %v", err)
			}
			m.Summary(Options{})
			took := time.Since(start)
			runtime.ReadMemStats(&after)
			runtime.GC()
			runtime.ReadMemStats(&kept)
			runtime.KeepAlive(m)
			runtime.KeepAlive(b)
			stays, limit := int64(kept.HeapAlloc)-int64(before.HeapAlloc), int64(3*len(bin)+1<<20)
			if stays > limit {
				t.Errorf("%d bytes are kept of a module of %d, more than %d", stays, len(bin), limit)
			}
			// The sum over time of what is never all there at once.
			all, most := after.TotalAlloc-before.TotalAlloc, uint64(12*len(bin)+2<<20)
			if all > most {
				t.Errorf("%d bytes are allocated for a module of %d, more than %d", all, len(bin), most)
			}
			// Measured on its own it is milliseconds. The limit is one that
			// a busy machine keeps and a quadratic algorithm does not.
			if limit := 15 * time.Second; took > limit {
				t.Errorf("Analyse takes %v of a module of %d bytes, more than %v", took, len(bin), limit)
			}
		})
	}
}

// What is left out of a module beyond the bounds is marked, and reachability
// errs on the side of what can happen.
func TestTruncatedGraphCallsNothingUnreachable(t *testing.T) {
	m := analyse(t, hostile(1 << 20)["functions that call 127 others"])
	if !m.Graph.Truncated || !m.Truncated() {
		t.Fatalf("Graph.Truncated = %v, Truncated = %v, want both", m.Graph.Truncated, m.Truncated())
	}
	last := uint32(m.Imported + m.Defined - 1)
	if got := m.Graph.Reach(last); got != Indirectly {
		t.Errorf("Reach(%d) = %v, want %v", last, got, Indirectly)
	}
	if path := m.Graph.Path(last); path != nil {
		t.Errorf("Path(%d) = %v, want none", last, path)
	}
	s := m.Summary(Options{})
	if s.Graph.Dead != 0 || !s.Graph.Truncated || !s.Recursion.Truncated {
		t.Errorf("Summary: %d dead, truncated: graph %v, recursion %v; want 0, true, true",
			s.Graph.Dead, s.Graph.Truncated, s.Recursion.Truncated)
	}
	if size := m.bin.Size; int64(len(m.Functions)) != min(int64(m.Defined), (size+slack)/bytesPerFunction) {
		t.Errorf("%d records of %d functions in %d bytes", len(m.Functions), m.Defined, size)
	}
}
