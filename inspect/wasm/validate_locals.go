package wasm

import (
	"fmt"
	"slices"
)

// locals are the parameters and locals of a function.
type locals struct {
	// first are the types of the first ones, nearly always of all. The others
	// are kept as runs: 7 bytes declare 50,000 locals.
	first []ValType
	runs  []localRun
	count uint32

	// lazy is whether there are locals that cannot be read before they are
	// written, unset which, and inits which of them have been, in order.
	lazy  bool
	unset indexSet
	inits []uint32
}

// A localRun is a run of locals of one type up to index end.
type localRun struct {
	end uint32
	typ ValType
}

// maxFirst is how many locals are kept one by one.
const maxFirst = 1024

func (l *locals) reset() {
	l.first, l.runs, l.inits = l.first[:0], l.runs[:0], l.inits[:0]
	l.count, l.lazy = 0, false
}

func (l *locals) add(n uint32, t ValType) {
	l.count += n
	for ; n > 0 && len(l.first) < maxFirst; n-- {
		l.first = append(l.first, t)
	}
	if n > 0 {
		l.runs = append(l.runs, localRun{l.count, t})
	}
}

// at gives the type of local i, 0 if there is none.
func (l *locals) at(i uint32) ValType {
	if int64(i) < int64(len(l.first)) {
		return l.first[i]
	}
	k, _ := slices.BinarySearchFunc(l.runs, i, func(r localRun, i uint32) int {
		if r.end <= i {
			return -1
		}
		return 1
	})
	if k == len(l.runs) {
		return 0
	}
	return l.runs[k].typ
}

// undo forgets that locals were initialised since the stack of them had height
// n.
func (l *locals) undo(n int) {
	for _, i := range l.inits[n:] {
		l.unset.set(i)
	}
	l.inits = l.inits[:n]
}

// declare sets the locals of a function with the given parameters up.
func (v *Validator) declare(params []ValType) {
	l := &v.locals
	l.reset()
	l.first = append(l.first, params...) // at most MaxParams, fewer than maxFirst
	l.count = uint32(len(params))
	for _, d := range v.code.Locals() {
		t := v.valType(d.Type)
		from := l.count
		l.add(d.Count, t)
		if t.IsRef() && !t.Nullable() {
			v.withhold(from, l.count)
		}
	}
	if l.count > MaxLocals {
		v.fail(fmt.Errorf("%w: too many locals, more than %d", ErrLimit, MaxLocals))
	}
}

// withhold says that locals have no value until one is written.
func (v *Validator) withhold(from, to uint32) {
	l := &v.locals
	if !l.lazy {
		l.lazy = true
		clear(l.unset)
	}
	if n := int(to+63) / 64; len(l.unset) < n {
		l.unset = append(l.unset, make(indexSet, n-len(l.unset))...)
	}
	l.unset.setRange(from, to)
}

// local gives the type of a local that is read.
func (v *Validator) local(i uint32) ValType {
	l := &v.locals
	t := l.at(i)
	if t == 0 {
		v.fail(fmt.Errorf("%w %d", ErrUnknownLocal, i))
		return 0
	}
	if l.lazy && int(i/64) < len(l.unset) && l.unset.has(i) {
		v.fail(fmt.Errorf("%w: %d", ErrUninitialized, i))
	}
	return t
}

// assign gives the type of a local that is written.
func (v *Validator) assign(i uint32) ValType {
	l := &v.locals
	t := l.at(i)
	if t == 0 {
		v.fail(fmt.Errorf("%w %d", ErrUnknownLocal, i))
		return 0
	}
	if l.lazy && int(i/64) < len(l.unset) && l.unset.has(i) {
		l.unset[i/64] &^= 1 << (i % 64)
		l.inits = append(l.inits, i)
	}
	return t
}
