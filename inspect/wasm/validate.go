package wasm

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
)

// Validate checks a whole binary from [Parse], with everything nested in it, by
// the rules of the core specification ("Validation") and of the component
// model, and gives the features a host needs for it. Bodies are checked on as
// many cores as there are. The error is an [*Error]: the one of the earliest
// section, and among functions that of the lowest index.
func Validate(b *Binary) (Features, error) {
	if b.Kind == KindComponent {
		return validateComponent(b, Validate)
	}
	v, err := NewValidator(b)
	if err != nil {
		return 0, err
	}
	return v.all()
}

// ValidateDeclarations is Validate without the bodies of functions, for who wants
// to see their instructions: it calls module for each core module in b, itself or
// nested, with a validator that has checked everything else. The features are
// those found so far; the validators' forks find those of the bodies.
func ValidateDeclarations(b *Binary, module func(*Binary, *Validator)) (Features, error) {
	check := func(m *Binary) (Features, error) {
		v, err := NewValidator(m)
		if err != nil {
			return 0, err
		}
		module(m, v)
		return v.Features(), nil
	}
	if b.Kind == KindComponent {
		return validateComponent(b, check)
	}
	return check(b)
}

// A Validator checks the bodies of one module, one after the other. It reads
// each in one pass and hands on the instructions, so that an analysis can share
// it. It is for one goroutine; Fork makes another one.
type Validator struct {
	module *validModule
	code   Code
	in     Instr

	stack  []ValType // operands
	height int       // of the stack where the innermost block begins
	dead   bool      // whether the rest of the innermost block cannot be reached
	blocks []block

	locals locals

	memory0 ValType // of the addresses of memory 0, which nearly all accesses are to; 0 without one

	// constant is whether a constant expression is being checked, and globals
	// how many globals it may refer to.
	constant bool
	globals  int

	// work is what may still be spent on comparing lists of types one by one:
	// two bytes of code can ask for thousands of comparisons.
	work int

	used Features
	err  error
}

// NewValidator checks everything about a module from [Parse] but the bodies of
// its functions.
func NewValidator(b *Binary) (*Validator, error) {
	if b.Kind != KindModule || b.file == nil {
		return nil, &Error{Offset: b.Offset, Doing: "validation", Err: errors.New("not a module read from memory")}
	}
	m := b.Module
	mod := &validModule{b: b, m: m, declared: newIndexSet(len(m.Functions)), exact: newIndexSet(len(m.Functions))}
	v := &Validator{module: mod}
	if err := mod.checkTypes(); err != nil {
		return nil, err
	}
	for _, im := range m.Imports {
		mod.imported[im.Kind]++
	}
	for _, i := range m.exact {
		mod.exact.set(i)
	}
	mod.used |= m.used
	for _, check := range []func() error{
		mod.imports, mod.functions, v.tables, mod.memories, mod.tags, v.initialisers, mod.exports, mod.start, v.elements, v.data,
	} {
		if err := check(); err != nil {
			return nil, err
		}
	}
	return v.Fork(), nil
}

// Fork gives another validator of the same module.
func (v *Validator) Fork() *Validator {
	w := &Validator{module: v.module}
	if m := v.module.m.Memories; len(m) > 0 {
		w.memory0 = m[0].address()
	}
	return w
}

// Features are those that the declarations and the bodies checked so far by this
// validator need.
func (v *Validator) Features() Features { return (v.module.used | v.used).settle() }

// Body checks the body of defined function i, counted from 0, and calls visit,
// which may be nil, for each instruction once it is checked. What visit gets is
// valid until it returns.
func (v *Validator) Body(i int, visit func(*Instr)) error {
	m := v.module.m
	body := m.Code[i]
	f := v.module.sigs[m.Functions[m.Imported()+i]]
	v.begin(int(body.Size))
	v.in.Offset = body.Offset // for faults of the locals
	v.code.Reset(v.module.b, body)
	v.declare(f.ins())
	v.open(OpBlock, BlockType{Index: int32(m.Functions[m.Imported()+i])})
	for v.err == nil && v.code.Next(&v.in) {
		if len(v.blocks) == 0 {
			v.fail(fmt.Errorf("%w: instructions after the end of the function", ErrMismatch))
			break
		}
		v.step(&v.in)
		if v.err == nil && visit != nil {
			visit(&v.in)
		}
	}
	return v.finish(body.Offset + body.Size)
}

// begin makes the validator ready for an expression of size bytes.
func (v *Validator) begin(size int) {
	v.stack, v.blocks = v.stack[:0], v.blocks[:0]
	v.height, v.dead, v.err = 0, false, nil
	v.work = 1024 + MaxWork*size
}

// finish gives the error of the expression that ends at end, if there is one.
func (v *Validator) finish(end int64) error {
	if v.err == nil {
		v.err = v.code.Err()
	}
	if v.err == nil && len(v.blocks) > 0 {
		v.err = &Error{Offset: end, Doing: v.module.b.place(end - 1), Err: fmt.Errorf("%w: %d blocks not ended", ErrTruncated, len(v.blocks))}
	}
	return v.err
}

// fail records the first error, which is one of the present instruction.
func (v *Validator) fail(err error) {
	if v.err == nil {
		v.err = &Error{Offset: v.in.Offset, Doing: v.module.b.place(v.in.Offset), Err: err}
	}
}

// all checks the bodies in parallel.
func (v *Validator) all() (Features, error) {
	bodies := len(v.module.m.Code)
	workers := min(runtime.GOMAXPROCS(0), (bodies+63)/64)
	if workers <= 1 {
		for i := range bodies {
			if err := v.Body(i, nil); err != nil {
				return 0, err
			}
		}
		return v.Features(), nil
	}
	var (
		next  atomic.Int64
		used  atomic.Uint64
		group sync.WaitGroup
		mu    sync.Mutex
		first = bodies // with an error
		cause error
	)
	for range workers {
		group.Go(func() {
			w := v.Fork()
			defer func() { used.Or(uint64(w.used)) }()
			for {
				from := int(next.Add(chunk)) - chunk
				for i := from; i < min(from+chunk, bodies); i++ {
					if err := w.Body(i, nil); err != nil {
						mu.Lock()
						if i < first {
							first, cause = i, err
						}
						mu.Unlock()
						next.Store(int64(bodies)) // chunks are handed out in order, so all lower ones are in work
						return
					}
				}
				if from >= bodies {
					return
				}
			}
		})
	}
	group.Wait()
	v.used |= Features(used.Load())
	return v.Features(), cause
}

// chunk is how many bodies a worker takes at once.
const chunk = 64
