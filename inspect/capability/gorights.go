package capability

import "github.com/wreg-project/wreg/inspect/wasm"

// goOpeners are the functions of Go's standard library that open files, with the
// place of the flags among the arguments, which lie on Go's own stack: bytes from
// the first argument. Each calls the next or syscall.openat.
var goOpeners = map[string]uint64{
	"os.OpenFile": 16, "os.openFileNolog": 16, "os.open": 16, "syscall.Open": 16, "syscall.Openat": 24,
}

// goInner are those that only the openers call.
var goInner = map[string]bool{"syscall.path_open": true, "syscall.openat": true}

// goRights finds out what a Go program opens files for, from the flags that it
// passes to the standard library. It is false if some of them are no constants,
// or names do not tell.
//
// WASI's rights are worked out of the flags at run time, so that the call of
// path_open itself shows nothing.
func (u *unit) goRights() (rights, bool) {
	places := make(map[uint32]uint64)
	inner := make(map[uint32]bool)
	for f, name := range u.m.Names.Funcs() {
		if off, ok := goOpeners[name]; ok {
			places[f] = off
		}
		if goInner[name] {
			inner[f] = true
		}
	}
	back := u.callers()
	r, sites := rights{known: true}, 0
	for f := range inner {
		for _, c := range back.of(f) {
			if _, ok := places[c]; !ok && !inner[c] {
				return rights{}, false
			}
		}
	}
	for f, off := range places {
		for _, c := range back.of(f) {
			if _, ok := places[c]; ok || inner[c] {
				continue
			}
			ok := u.goFlags(c, f, off, func(flags uint64) {
				r = r.union(posixRights(flags, 0))
				sites++
			})
			if !ok {
				return rights{}, false
			}
		}
	}
	return r, sites > 0
}

// goFlags reads the body of caller and reports the constants that it stores at
// off for its calls of f. It is false if one is no constant.
func (u *unit) goFlags(caller, f uint32, off uint64, yield func(uint64)) bool {
	body, ok := at(u.m.Code, caller-uint32(len(u.uses)))
	if !ok {
		return false
	}
	s := goFrame{slots: make(map[uint64]uint64)}
	var c wasm.Code
	var in wasm.Instr
	for c.Reset(u.b, body); c.Next(&in); {
		if in.Op == wasm.OpCall && in.X == f {
			flags, ok := s.slots[off]
			if !ok {
				return false
			}
			yield(flags)
		}
		s.step(&in)
	}
	return c.Err() == nil
}

// A goFrame follows what a Go function writes into its own frame, along code
// without branches. Go keeps the stack pointer in global 0 and, within a
// function, a copy of it in local 1.
type goFrame struct {
	stack []goValue
	slots map[uint64]uint64 // constants by their offsets from the stack pointer
}

// A goValue is an operand: a constant, or the stack pointer and a constant.
type goValue struct {
	known, frame bool
	bits         uint64
}

const goCopy = 1 // the local with the copy of the stack pointer

func (s *goFrame) push(v goValue) { s.stack = append(s.stack, v) }

func (s *goFrame) pop() goValue {
	if len(s.stack) == 0 {
		return goValue{}
	}
	v := s.stack[len(s.stack)-1]
	s.stack = s.stack[:len(s.stack)-1]
	return v
}

func (s *goFrame) step(in *wasm.Instr) {
	switch op := in.Op; {
	case op == wasm.OpI32Const, op == wasm.OpI64Const:
		s.push(goValue{known: true, bits: in.Value})
	case op == wasm.OpLocalGet, op == wasm.OpGlobalGet:
		frame := op == wasm.OpLocalGet && in.X == goCopy || op == wasm.OpGlobalGet && in.X == 0
		s.push(goValue{known: frame, frame: frame})
	case op == wasm.OpI32Add, op == wasm.OpI64Add:
		b, a := s.pop(), s.pop()
		s.push(goValue{known: a.known && b.known && !b.frame, frame: a.frame, bits: a.bits + b.bits})
	case op == wrap, op == extend: // Go adds offsets as 64-bit numbers
	case op == wasm.OpLocalSet, op == wasm.OpDrop, op == wasm.OpGlobalSet:
		s.pop()
	case op == wasm.OpLocalTee:
		v := s.pop()
		s.push(v)
	case op >= firstStore && op <= lastStore:
		s.store(s.pop(), s.pop(), in.Value)
	case op <= 0xff && pops[op] > 0:
		for range pops[op] {
			s.pop()
		}
		s.push(goValue{})
	default:
		s.stack = s.stack[:0]
		clear(s.slots)
	}
}

const (
	wrap   wasm.Opcode = 0xa7 // i32.wrap_i64
	extend wasm.Opcode = 0xad // i64.extend_i32_u
)

func (s *goFrame) store(v, address goValue, offset uint64) {
	switch at := address.bits + offset; {
	case !address.known || !address.frame: // elsewhere
	case v.known && !v.frame:
		s.slots[at] = v.bits
	default:
		delete(s.slots, at)
	}
}
