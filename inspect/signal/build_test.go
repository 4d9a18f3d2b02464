package signal

import (
	"encoding/binary"
	"slices"
	"testing"

	"github.com/wreg-project/wreg/inspect/text"
	"github.com/wreg-project/wreg/inspect/wasm"
)

// A builder makes small modules.
type builder struct {
	types, imports, tables, memories, globals, exports [][]byte
	functions                                          [][]byte
	bodies                                             [][]byte
	data                                               [][]byte
	start                                              []byte
	first, last                                        []byte // custom sections
}

func uleb(n uint64) []byte { return binary.AppendUvarint(nil, n) }

// padded writes n in size bytes.
func padded(n uint64, size int) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(n)&0x7f | 0x80
		n >>= 7
	}
	b[size-1] &= 0x7f
	return b
}

func sleb(n int64) []byte {
	var b []byte
	for {
		c := byte(n & 0x7f)
		n >>= 7
		if n == 0 && c&0x40 == 0 || n == -1 && c&0x40 != 0 {
			return append(b, c)
		}
		b = append(b, c|0x80)
	}
}

func name(s string) []byte { return append(uleb(uint64(len(s))), s...) }

func cat(parts ...[]byte) []byte { return slices.Concat(parts...) }

func section(id byte, body []byte) []byte {
	return cat([]byte{id}, uleb(uint64(len(body))), body)
}

func vector(id byte, entries [][]byte) []byte {
	if len(entries) == 0 {
		return nil
	}
	return section(id, cat(uleb(uint64(len(entries))), slices.Concat(entries...)))
}

func custom(title string, body string) []byte { return section(0, append(name(title), body...)) }

const header = "\x00asm\x01\x00\x00\x00"

func (b *builder) bytes() []byte {
	out := cat([]byte(header), b.first, vector(1, b.types), vector(2, b.imports), vector(3, b.functions), vector(4, b.tables),
		vector(5, b.memories), vector(6, b.globals), vector(7, b.exports))
	if b.start != nil {
		out = append(out, section(8, b.start)...)
	}
	return cat(out, vector(10, b.bodies), vector(11, b.data), b.last)
}

// function adds a function without parameters and results; the end is added.
func (b *builder) function(code ...[]byte) *builder { return b.functionOf([]byte{0}, code...) }

// functionOf adds one with declarations of locals.
func (b *builder) functionOf(locals []byte, code ...[]byte) *builder {
	if len(b.types) == 0 {
		b.types = [][]byte{{0x60, 0, 0}}
	}
	body := cat(locals, cat(code...), []byte{0x0b})
	b.functions = append(b.functions, []byte{0})
	b.bodies = append(b.bodies, cat(uleb(uint64(len(body))), body))
	return b
}

// memory gives the module a memory of 100 pages at most and exactly.
func (b *builder) memory() *builder {
	if len(b.memories) == 0 {
		b.memories = [][]byte{{1, 100, 100}}
	}
	return b
}

// segment adds an active data segment.
func (b *builder) segment(at int64, contents string) *builder {
	b.memory()
	b.data = append(b.data, cat([]byte{0, 0x41}, sleb(at), []byte{0x0b}, name(contents)))
	return b
}

// in makes a module with s in its data, between zeros.
func in(s string) []byte {
	return new(builder).segment(1024, "\x00\x00\x00"+s+"\x00\x00").bytes()
}

// analyse runs all passes over a binary, as package inspect does, and validates
// it on the way.
func analyse(t testing.TB, bin []byte) Result {
	t.Helper()
	b, err := wasm.Parse(bin)
	if err != nil {
		t.Fatalf("Parse: %v", err)
	}
	passes := []*Findings{Structure(b, nil)}
	eachModule(b, func(m *wasm.Binary) {
		p := text.NewPointers(text.Segments(m))
		v := NewVisitor(m, p)
		visit(t, m, v)
		passes = append(passes, v.Findings(), Data(m, p, nil))
	})
	return Merge(passes...)
}

func eachModule(b *wasm.Binary, f func(*wasm.Binary)) {
	if b.Kind == wasm.KindModule {
		f(b)
		return
	}
	for _, m := range b.Component.Modules {
		eachModule(m, f)
	}
	for _, c := range b.Component.Components {
		eachModule(c, f)
	}
}

func visit(t testing.TB, m *wasm.Binary, v *Visitor) {
	t.Helper()
	var c wasm.Code
	var instr wasm.Instr
	for i, body := range m.Module.Code {
		c.Reset(m, body)
		v.Begin(i)
		for c.Next(&instr) {
			v.Visit(&instr)
		}
		if err := c.Err(); err != nil {
			t.Fatalf("function %d: %v", i, err)
		}
		v.End()
	}
}

// find gives the signal of an id, nil if there is none.
func (r Result) find(id string) *Signal {
	for i := range r.Signals {
		if r.Signals[i].ID == id {
			return &r.Signals[i]
		}
	}
	return nil
}

// score is that of the signal of an id, -1 if there is none.
func (r Result) score(id string) int {
	if s := r.find(id); s != nil {
		return s.Score
	}
	return -1
}
