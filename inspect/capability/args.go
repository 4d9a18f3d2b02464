package capability

import (
	"slices"

	"github.com/wreg-project/wreg/inspect/wasm"
)

// arguments is what the calls of an import show of the arguments its meaning
// depends on.
type arguments struct {
	rights      rights
	descriptors descriptors
}

// anything is what is known without looking at calls: nothing.
var anything = arguments{
	rights:      rights{read: true, write: true, create: true},
	descriptors: descriptors{any: true},
}

// rights are what files are opened for.
type rights struct {
	read, write bool
	create      bool // or cut off
	known       bool // every call has constants
}

func (r rights) union(o rights) rights {
	return rights{r.read || o.read, r.write || o.write, r.create || o.create, r.known && o.known}
}

// descriptors are those that calls are about.
type descriptors struct {
	streams byte // bit n: the constant n, for standard input, output and error
	other   bool // another constant
	any     bool // not a constant
}

func (d descriptors) has(n int) bool      { return d.streams>>n&1 != 0 }
func (d descriptors) beyondStreams() bool { return d.any || d.other }

func (d *descriptors) add(v value) {
	switch {
	case v.kind != constant:
		d.any = true
	case v.bits <= 2:
		d.streams |= 1 << v.bits
	default:
		d.other = true
	}
}

// Rights and flags of path_open, and of the calls that take its place
// (typenames.witx of WASI 0.1, wasi:filesystem/types, and fcntl.h as Emscripten
// has it).
const (
	rightRead    = 1 << 1
	rightWrite   = 1 << 6
	rightReaddir = 1 << 14
	rightAlloc   = 1 << 8
	rightSetSize = 1 << 22

	oflagCreate = 1 << 0
	oflagTrunc  = 1 << 3

	wasiRead    = 1 << 0
	wasiWrite   = 1 << 1
	wasiMutate  = 1 << 5
	posixAccess = 3
	posixCreate = 0o100
	posixTrunc  = 0o1000
)

// An opener says where an import that opens files takes its flags: the
// parameter that says what the file is opened for, and the one that says
// whether it is created.
type opener struct {
	mode, flags int
	read        func(mode, flags uint64) rights
}

var openers = map[string]opener{
	"path_open":                  {5, 4, wasiRights},
	"path_open2":                 {5, 4, wasiRights},
	"[method]descriptor.open-at": {5, 4, componentRights},
	"__syscall_openat":           {2, 2, posixRights},
	"__syscall_open":             {1, 1, posixRights},
}

func wasiRights(mode, flags uint64) rights {
	return rights{
		read:   mode&(rightRead|rightReaddir) != 0,
		write:  mode&(rightWrite|rightAlloc|rightSetSize) != 0,
		create: flags&(oflagCreate|oflagTrunc) != 0,
		known:  true,
	}
}

func componentRights(mode, flags uint64) rights {
	return rights{
		read:   mode&wasiRead != 0,
		write:  mode&(wasiWrite|wasiMutate) != 0,
		create: flags&(oflagCreate|oflagTrunc) != 0,
		known:  true,
	}
}

func posixRights(mode, _ uint64) rights {
	access := mode & posixAccess
	return rights{
		read:   access == 0 || access == 2,
		write:  access == 1 || access == 2,
		create: mode&(posixCreate|posixTrunc) != 0,
		known:  true,
	}
}

// A value is what is known of an operand.
type value struct {
	kind kind
	bits uint64 // of a constant; of a parameter its index
}

type kind byte

const (
	unknown kind = iota
	constant
	parameter
)

// maxWrappers is how many functions that hand a parameter on may stand between
// an import and the constant.
const maxWrappers = 4

// maxSites bounds the calls that are looked at for one import; with more of
// them the arguments count as unknown.
const maxSites = 4096

// A tracer finds the arguments of calls. It reads the few bodies that call
// something of interest, and no others.
type tracer struct {
	b       *wasm.Binary
	m       *wasm.Module
	callers *callers
	tabled  func(f uint32) bool // whether f may be called other than by call instructions
	budget  int64               // bytes of bodies that may still be read
}

// interest is a function with those of its parameters that matter.
type interest struct {
	fn     uint32
	params []int
}

// trace gives, for each call that leads to function fn, the values of its
// parameters params. It is false if some are out of sight: calls through
// tables, from outside, or too many of them.
func (t *tracer) trace(fn uint32, params []int) ([][]value, bool) {
	var found [][]value
	complete := t.follow(interest{fn, params}, maxWrappers, func(vs []value) bool {
		found = append(found, slices.Clone(vs))
		return len(found) < maxSites
	})
	return found, complete
}

func (t *tracer) follow(in interest, wrappers int, yield func([]value) bool) bool {
	if t.tabled(in.fn) {
		return false
	}
	for _, caller := range t.callers.of(in.fn) {
		ok := t.sites(caller, in, func(vs []value) bool {
			if !slices.ContainsFunc(vs, func(v value) bool { return v.kind == parameter }) {
				return yield(vs)
			}
			if wrappers == 0 {
				return yield(forget(vs))
			}
			return t.through(caller, vs, wrappers-1, yield)
		})
		if !ok {
			return false
		}
	}
	return true
}

// through asks the callers of a function that hands parameters on for their
// values.
func (t *tracer) through(fn uint32, vs []value, wrappers int, yield func([]value) bool) bool {
	var params []int
	for _, v := range vs {
		if v.kind == parameter {
			params = append(params, int(v.bits))
		}
	}
	complete := t.follow(interest{fn, params}, wrappers, func(outer []value) bool {
		full, i := slices.Clone(vs), 0
		for j := range full {
			if full[j].kind == parameter {
				full[j] = outer[i]
				i++
			}
		}
		return yield(full)
	})
	if !complete {
		return yield(forget(vs))
	}
	return true
}

func forget(vs []value) []value {
	vs = slices.Clone(vs)
	for i := range vs {
		if vs[i].kind == parameter {
			vs[i] = value{}
		}
	}
	return vs
}

// sites reads the body of caller and reports the arguments of its calls of
// in.fn. It is false if there is no reading it, or yield said so.
//
// It follows operands along a stretch of code without branches, and gives up on
// them where control flow joins, so that what it calls a constant is one.
func (t *tracer) sites(caller uint32, in interest, yield func([]value) bool) bool {
	imported := len(t.m.Functions) - len(t.m.Code)
	body := t.m.Code[int(caller)-imported]
	if t.budget -= body.Size; t.budget < 0 {
		return false
	}
	s := newStretch(t.m, caller)
	var c wasm.Code
	var i wasm.Instr
	for c.Reset(t.b, body); c.Next(&i); {
		if i.Op == wasm.OpLocalSet || i.Op == wasm.OpLocalTee {
			s.assigned[i.X] = true
		}
	}
	for c.Reset(t.b, body); c.Next(&i); {
		if (i.Op == wasm.OpCall || i.Op == wasm.OpReturnCall) && i.X == in.fn {
			args := s.arguments(t.m, i.X)
			vs := make([]value, len(in.params))
			for j, p := range in.params {
				if p < len(args) {
					vs[j] = args[p]
				}
			}
			if !yield(vs) {
				return false
			}
		}
		s.step(t.m, &i)
	}
	return c.Err() == nil
}

// A stretch is the state of the operands along straight code.
type stretch struct {
	params   int
	stack    []value
	locals   map[uint32]value
	assigned map[uint32]bool // anywhere in the function
}

func newStretch(m *wasm.Module, f uint32) *stretch {
	params, _ := signature(m, f)
	return &stretch{params: params, locals: map[uint32]value{}, assigned: map[uint32]bool{}}
}

// signature gives the numbers of parameters and results of function f, zero if
// the module is broken.
func signature(m *wasm.Module, f uint32) (params, results int) {
	if int64(f) < int64(len(m.Functions)) {
		if t := m.Functions[f]; int64(t) < int64(len(m.Types)) {
			return len(m.Types[t].Params()), len(m.Types[t].Results())
		}
	}
	return 0, 0
}

func (s *stretch) push(v value) { s.stack = append(s.stack, v) }

// pop takes the topmost operand; what lies below the stretch is unknown.
func (s *stretch) pop() value {
	if len(s.stack) == 0 {
		return value{}
	}
	v := s.stack[len(s.stack)-1]
	s.stack = s.stack[:len(s.stack)-1]
	return v
}

// arguments gives the operands that a call of f would take.
func (s *stretch) arguments(m *wasm.Module, f uint32) []value {
	n, _ := signature(m, f)
	args := make([]value, n)
	for i := 1; i <= min(n, len(s.stack)); i++ {
		args[n-i] = s.stack[len(s.stack)-i]
	}
	return args
}

func (s *stretch) step(m *wasm.Module, in *wasm.Instr) {
	switch in.Op {
	case wasm.OpI32Const:
		s.push(value{constant, uint64(uint32(in.Value))})
	case wasm.OpI64Const:
		s.push(value{constant, in.Value})
	case wasm.OpLocalGet:
		s.push(s.local(in.X))
	case wasm.OpLocalSet:
		s.locals[in.X] = s.pop()
	case wasm.OpLocalTee:
		v := s.pop()
		s.locals[in.X] = v
		s.push(v)
	case wasm.OpDrop, wasm.OpGlobalSet:
		s.pop()
	case wasm.OpGlobalGet, wasm.OpMemorySize:
		s.push(value{})
	case wasm.OpCall:
		s.call(signature(m, in.X))
	case wasm.OpNop:
	case wasm.OpI32And, wasm.OpI64And, wasm.OpI32Or, wasm.OpI64Or, wasm.OpI32Add, wasm.OpI64Add, wasm.OpI32Sub, wasm.OpI64Sub:
		b, a := s.pop(), s.pop()
		s.push(fold(in.Op, a, b))
	default:
		s.other(in)
	}
}

// other handles what is not evaluated. Instructions that only compute leave the
// operands below theirs alone. Where control flow joins, everything is forgotten;
// br_if joins nothing, and what begins a block or the first branch of an if is
// reached from above alone.
func (s *stretch) other(in *wasm.Instr) {
	switch op := in.Op; {
	case op == wasm.OpSelect:
		s.pop()
		b, a := s.pop(), s.pop()
		if a != b {
			a = value{}
		}
		s.push(a)
	case op == wasm.OpBrIf, op == wasm.OpIf:
		s.pop()
	case op == wasm.OpBlock:
	case op <= 0xff && pops[op] > 0: // computes one value, or stores one
		for range pops[op] {
			s.pop()
		}
		if op < firstStore || op > lastStore {
			s.push(value{})
		}
	default:
		s.stack = s.stack[:0]
		clear(s.locals)
	}
}

const (
	firstStore = 0x36
	lastStore  = 0x3e
)

// pops says how many operands the instructions that access memory or compute
// take, zero for others ("Numeric Instructions" in the binary format).
var pops = func() (n [256]byte) {
	ranges := []struct{ from, to, operands byte }{
		{0x28, 0x35, 1}, {firstStore, lastStore, 2}, // loads, stores
		{0x45, 0x45, 1}, {0x46, 0x4f, 2}, {0x50, 0x50, 1}, {0x51, 0x5a, 2}, {0x5b, 0x66, 2}, // comparisons
		{0x67, 0x69, 1}, {0x6a, 0x78, 2}, {0x79, 0x7b, 1}, {0x7c, 0x8a, 2}, // integers
		{0x8b, 0x91, 1}, {0x92, 0x98, 2}, {0x99, 0x9f, 1}, {0xa0, 0xa6, 2}, // floats
		{0xa7, 0xc4, 1}, // conversions
	}
	for _, r := range ranges {
		for op := int(r.from); op <= int(r.to); op++ {
			n[op] = r.operands
		}
	}
	return n
}()

func (s *stretch) call(params, results int) {
	for range params {
		s.pop()
	}
	for range results {
		s.push(value{})
	}
}

// local gives a local's value: one assigned on this stretch, or a parameter
// that is assigned nowhere.
func (s *stretch) local(i uint32) value {
	if v, ok := s.locals[i]; ok {
		return v
	}
	if int64(i) < int64(s.params) && !s.assigned[i] {
		return value{parameter, uint64(i)}
	}
	return value{}
}

func fold(op wasm.Opcode, a, b value) value {
	if a.kind != constant || b.kind != constant {
		return value{}
	}
	v := value{kind: constant}
	switch op {
	case wasm.OpI32And, wasm.OpI64And:
		v.bits = a.bits & b.bits
	case wasm.OpI32Or, wasm.OpI64Or:
		v.bits = a.bits | b.bits
	case wasm.OpI32Add:
		v.bits = uint64(uint32(a.bits + b.bits))
	case wasm.OpI64Add:
		v.bits = a.bits + b.bits
	case wasm.OpI32Sub:
		v.bits = uint64(uint32(a.bits - b.bits))
	case wasm.OpI64Sub:
		v.bits = a.bits - b.bits
	default:
		return value{}
	}
	return v
}
