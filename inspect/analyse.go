package inspect

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"github.com/wreg-project/wreg/inspect/capability"
	"github.com/wreg-project/wreg/inspect/code"
	"github.com/wreg-project/wreg/inspect/origin"
	"github.com/wreg-project/wreg/inspect/signal"
	"github.com/wreg-project/wreg/inspect/text"
	"github.com/wreg-project/wreg/inspect/wasm"
	"github.com/wreg-project/wreg/inspect/wit"
)

// Options choose how much of a binary a report tells.
type Options struct {
	// Strings bounds the strings that are listed; 0 is 200, and less than 0
	// none. They are counted in any case.
	Strings int

	// Functions asks for the table of all functions, which of a large module
	// is most of the report.
	Functions bool

	// Workers bounds the goroutines that analyse; 0 is runtime.GOMAXPROCS.
	Workers int
}

// Inspect reports on a binary in full: it validates it, and analyses its code
// and data in the same pass. What is no valid binary is refused with the
// [*wasm.Error] that says where. The report does not keep file.
func Inspect(file []byte, o Options) (*Report, error) {
	b, err := wasm.Parse(file)
	if err != nil {
		return nil, err
	}
	return Binary(b, o)
}

// Binary is Inspect for who has parsed the file already: b comes from
// [wasm.Parse], and is left as it was.
func Binary(b *wasm.Binary, o Options) (*Report, error) {
	a, err := analyse(b, o)
	if err != nil {
		return nil, err
	}
	return a.report(), nil
}

// An analysis is the state of one Inspect.
type analysis struct {
	o        Options
	b        *wasm.Binary
	room     *room
	features wasm.Features
	units    []*unit // in the order of walk
	origin   *origin.Origin
	found    signal.Findings // in code
	result   signal.Result
	can      *capability.Result
}

// A unit is one core module under analysis.
type unit struct {
	b        *wasm.Binary
	builder  *code.Builder
	pointers *text.Pointers
	list     *text.List
	names    namer

	validator *wasm.Validator
	next      atomic.Int64 // the first body that no worker has taken
	mu        sync.Mutex
	failed    int // the lowest body that is not valid, or len(Code)
	err       error
	used      wasm.Features

	module *code.Module
}

// analyse makes two passes, each on all cores: one over the code, which also
// collects the addresses that code mentions, and one over the data, which needs
// them to tell where strings begin.
func analyse(b *wasm.Binary, o Options) (*analysis, error) {
	a, err := validate(b, o)
	if err != nil {
		return nil, err
	}
	if err := a.code(); err != nil {
		return nil, err
	}
	a.data()
	return a, nil
}

// parse reads a binary and validates its declarations.
func parse(file []byte) (*analysis, error) {
	b, err := wasm.Parse(file)
	if err != nil {
		return nil, err
	}
	return validate(b, Options{})
}

// validate validates the declarations of a binary.
func validate(b *wasm.Binary, o Options) (*analysis, error) {
	a := &analysis{o: o, b: b, room: newRoom(b)}
	var err error
	a.features, err = a.declarations()
	return a, err
}

// defaultStrings is how many strings a report lists unless told otherwise.
const defaultStrings = 200

func (o Options) strings() int {
	if o.Strings == 0 {
		return defaultStrings
	}
	return max(o.Strings, 0)
}

// workers is how many goroutines work at a time. What each keeps must not add
// up to more than a small file may take, which one alone is soon done with.
func (a *analysis) workers() int {
	n := a.o.Workers
	if n <= 0 {
		n = runtime.GOMAXPROCS(0)
	}
	return int(min(int64(n), 1+a.b.Size/bytesPerWorker))
}

// bytesPerWorker is of how many bytes of a file there is one worker.
const bytesPerWorker = 256 << 10

// each runs f on every worker at once and waits for all. A panic in one of them
// becomes one of the caller, who can do something about it.
func (a *analysis) each(f func()) {
	var wg sync.WaitGroup
	var fault atomic.Pointer[workerPanic]
	for range a.workers() {
		wg.Go(func() {
			defer func() {
				if p := recover(); p != nil {
					fault.CompareAndSwap(nil, &workerPanic{p, debug.Stack()})
				}
			}()
			f()
		})
	}
	wg.Wait()
	if p := fault.Load(); p != nil {
		panic(p)
	}
}

// A workerPanic carries a panic out of the goroutine it happened in.
type workerPanic struct {
	value any
	stack []byte
}

func (p *workerPanic) Error() string {
	return fmt.Sprintf("panic in a worker: %v\n\n%s", p.value, p.stack)
}

// tasks runs functions that are independent of each other, several at a time.
func (a *analysis) tasks(list ...func()) {
	var next atomic.Int64
	a.each(func() {
		for i := next.Add(1) - 1; i < int64(len(list)); i = next.Add(1) - 1 {
			list[i]()
		}
	})
}

// declarations validates everything but bodies, and makes a unit of each core
// module.
func (a *analysis) declarations() (wasm.Features, error) {
	// A third of the room is for what the report keeps of functions. The rest
	// is for call graphs at first, and then for lists.
	share := code.NewShare(a.room.left, a.b.Size)
	if a.room.modules > 0 {
		a.room.left -= a.room.left / 3
	}
	return wasm.ValidateDeclarations(a.b, func(b *wasm.Binary, v *wasm.Validator) {
		a.units = append(a.units, &unit{
			b: b, validator: v, builder: share.NewBuilder(b), pointers: text.NewPointers(text.Segments(b)),
			failed: len(b.Module.Code),
		})
	})
}

// code validates and analyses the bodies of all units. The error is that of the
// first body in the file that is not valid.
func (a *analysis) code() error {
	var mu sync.Mutex
	a.each(func() {
		var w worker
		for _, u := range a.units {
			w.work(u)
		}
		mu.Lock()
		defer mu.Unlock()
		a.found.Add(&w.found)
	})
	for _, u := range a.units {
		u.validator = nil
		if u.err != nil {
			return u.err
		}
		a.features |= u.used
	}
	return nil
}

// chunk is how many bodies a worker takes at a time: few enough that none waits
// long for the last one, and enough that taking costs nothing.
const chunk = 64

// A worker analyses bodies of one unit after another.
type worker struct {
	metrics *code.Worker // made when there is work
	found   signal.Findings
}

// work takes bodies of u until none is left.
func (w *worker) work(u *unit) {
	var v *wasm.Validator // and its companions are made when there is work
	var signals *signal.Visitor
	var visit func(*wasm.Instr)
	for {
		first := int(u.next.Add(chunk)) - chunk
		last := min(first+chunk, len(u.b.Module.Code))
		if first >= last || u.isBeyond(first) {
			break
		}
		if v == nil {
			v, signals = u.validator.Fork(), signal.NewVisitor(u.b, u.pointers)
			if w.metrics == nil {
				w.metrics = u.builder.Worker()
			} else {
				w.metrics.Turn(u.builder)
			}
			visit = func(in *wasm.Instr) {
				w.metrics.Visit(in)
				signals.Visit(in)
			}
		}
		for i := first; i < last; i++ {
			w.metrics.Begin(i)
			signals.Begin(i)
			if err := v.Body(i, visit); err != nil {
				u.fail(i, err)
				return
			}
			w.metrics.End()
			signals.End()
		}
	}
	if v == nil {
		return
	}
	w.found.Add(signals.Findings())
	u.mu.Lock()
	defer u.mu.Unlock()
	u.used |= v.Features()
}

// fail notes that body i is not valid. The lowest one counts, whichever worker
// comes first.
func (u *unit) fail(i int, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if i < u.failed {
		u.failed, u.err = i, err
	}
}

// isBeyond reports whether bodies from i on need not be looked at any more.
func (u *unit) isBeyond(i int) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return i > u.failed
}

// data analyses what is not code, and what follows from the code.
func (a *analysis) data() {
	var structure *signal.Findings
	var data signal.Findings
	tasks := []func(){
		// One after the other, as what is found in many modules takes more memory
		// than what is kept of all.
		func() {
			for _, u := range a.units {
				u.list = text.NewList(a.o.strings(), signal.Mask)
				data.Add(signal.Data(u.b, u.pointers, u.list.Add))
				u.pointers = nil
			}
		},
		func() {
			a.origin = origin.Detect(a.b)
			structure = signal.Structure(a.b, forgeries(a.origin))
		},
	}
	for _, u := range a.units {
		tasks = append(tasks, u.graph)
	}
	a.tasks(tasks...)

	graphs := make(map[*wasm.Binary]*code.Graph, len(a.units))
	for _, u := range a.units {
		graphs[u.b] = u.module.Graph
	}
	a.tasks(
		func() { a.result = signal.Merge(structure, &a.found, &data) },
		func() { a.can = capability.Analyse(a.b, func(b *wasm.Binary) *code.Graph { return graphs[b] }) },
	)
}

func (u *unit) graph() {
	u.module, u.builder = u.builder.Finish(), nil
	u.names = newNamer(u.b)
}

// report puts the results together.
func (a *analysis) report() *Report {
	codes := make(map[int64]*Code, len(a.units))
	tables := make(map[int64]*code.FunctionTable)
	for _, u := range a.units {
		codes[u.b.Offset] = u.code(a.room)
		if a.o.Functions {
			tables[u.b.Offset] = u.table(a.room)
		}
		u.module = nil // so that the graph makes room
	}
	strings := a.texts()
	rep := describe(a.b, a.b.Size, a.room)
	rep.Complete = true
	rep.Requires = a.features.List()
	rep.Origin, rep.Capabilities, rep.Signals, rep.Strings = a.origin, a.can, &a.result, strings
	rep.interfaces(a.b, a.room)
	for _, m := range rep.CoreModules() {
		m.Code = codes[m.Offset]
		if a.o.Functions {
			rep.Functions = append(rep.Functions, tables[m.Offset])
		}
	}
	return rep
}

// interfaces reads the WIT of a binary that has it. What WIT cannot express is
// a problem, and hides nothing else.
//
// Real packages are the most dense of all files: the types of 24 kB take 590 kB
// when they are decoded, and half as much as WIT. So there is always some room.
func (rep *Report) interfaces(b *wasm.Binary, r *room) {
	s, err := wit.SummarizeWithin(b, max(r.left, leastWIT))
	switch {
	case errors.Is(err, wit.ErrNoWIT):
	case err != nil:
		rep.Problems = append(rep.Problems, Problem{Message: "interface: " + err.Error()})
	default:
		rep.WIT = s
	}
}

// texts puts the strings of all units together.
func (a *analysis) texts() *text.Result {
	all := text.Result{Kinds: map[text.Kind]int{}, Strings: []text.String{}}
	for _, u := range a.units {
		one := u.list.Result()
		all.Total += one.Total
		all.Bytes += one.Bytes
		for kind, n := range one.Kinds {
			all.Kinds[kind] += n
		}
		all.Strings = append(all.Strings, one.Strings...)
		u.list = nil
	}
	all.Strings = all.Strings[:min(len(all.Strings), a.o.strings())]
	return &all
}

func (u *unit) code(r *room) *Code {
	u.names.room = r
	opts := code.Options{Name: u.names.name, Package: u.names.pkg}
	c := &Code{Summary: u.module.Summary(opts), Sizes: u.module.Sizes(opts)}
	for _, p := range c.Sizes.Packages {
		r.left -= sizePackage + int64(len(p.Name))
	}
	for _, s := range c.Sizes.Sections {
		r.left -= header + int64(len(s.Name))
	}
	r.note("code.name", u.names.given, u.names.given+u.names.left)
	return c
}

// sizePackage is the size of the entry of a package, in bytes.
const sizePackage = 40

// table gives the table of the functions, their names as far as half of the room
// allows.
func (u *unit) table(r *room) *code.FunctionTable {
	const list = "functions.name"
	floor := r.left / 2
	r.left -= header * int64(len(u.module.Functions))
	if r.left < floor {
		r.note(list, 0, len(u.module.Functions))
		return u.module.Table(nil)
	}
	listed, total := 0, 0
	t := u.module.Table(func(i uint32) string {
		name := u.names.raw(i)
		if name == "" {
			return ""
		}
		total++
		if r.left -= int64(len(name)); r.left < floor {
			return ""
		}
		listed++
		return name
	})
	r.note(list, listed, total)
	return t
}

// forgeries are the findings about the origin that signals are made of.
func forgeries(o *origin.Origin) []signal.Forgery {
	var list []signal.Forgery
	for _, c := range o.Conflicts {
		list = append(list, signal.Forgery{Offset: c.Offset, Claim: c.Claimed, Trace: c.Found, Sure: c.Kind == "language"})
	}
	return list
}
