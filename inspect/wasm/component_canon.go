package wasm

import "fmt"

// canon reads a canonical definition ("Canonical Definitions" in Binary.md). All
// but lift define core functions.
func (d *componentDecoder) canon(r *reader) {
	start := r.off
	c := Canon{Op: CanonOp(r.u8())}
	typ := d.canonBody(r, &c)
	if r.err != nil {
		return
	}
	o := Origin{Kind: OriginCanon, Index: uint32(len(d.c.Canons))}
	d.c.Canons = append(d.c.Canons, c)
	var f *SubType
	if d.sound(r) {
		f = d.checkCanon(r, start, &c, typ)
	}
	if c.Op == CanonLift {
		d.add(SortFunc, 0, c.Type, o)
		return
	}
	d.add(SortCore, byte(ExternFunc), nil, o)
	items := &d.c.in.items[ExternFunc]
	*items = append(*items, coreItem{kind: ExternFunc, fn: f, space: &d.c.in.core})
}

// canonBody reads the immediates of a canonical definition. Its result is the
// core type of a context.
func (d *componentDecoder) canonBody(r *reader, c *Canon) (typ ValType) {
	switch c.Op {
	case CanonLift, CanonLower:
		d.liftBody(r, c)
	case CanonTaskCancel, CanonSubtaskDrop, CanonErrorContextDrop, CanonWaitableSetNew, CanonWaitableSetDrop,
		CanonWaitableJoin, CanonBackpressureInc, CanonBackpressureDec, CanonThreadIndex, CanonThreadResumeLater:
	case CanonSubtaskCancel:
		c.Async = r.flag("whether a function is async")
	case CanonThreadYield, CanonThreadSuspend, CanonThreadSuspendResume, CanonThreadYieldResume,
		CanonThreadSuspendPromote, CanonThreadYieldPromote:
		c.Cancellable = r.flag("whether a function is cancellable")
	case CanonTaskReturn:
		c.Result = d.resultList(r, &d.c.Scope)
		c.Options = r.canonOptions()
	case CanonContextGet, CanonContextSet:
		typ = r.valType(false)
		c.Index = r.u32()
	case CanonErrorContextNew, CanonErrorContextMessage:
		c.Options = r.canonOptions()
	case CanonWaitableSetWait, CanonWaitableSetPoll:
		c.Cancellable = r.flag("whether a function is cancellable")
		c.Index = r.u32()
	case CanonThreadNewIndirect:
		c.Index, c.Table = r.u32(), r.u32()
	case CanonThreadSpawnRef:
		c.Shared = r.flag("whether a thread is shared")
		c.Index = r.u32()
	case CanonThreadSpawnIndirect:
		c.Shared = r.flag("whether a thread is shared")
		c.Index, c.Table = r.u32(), r.u32()
	case CanonAvailableParallelism:
		c.Shared = r.flag("whether a thread is shared")
	default:
		d.typedBody(r, c)
	}
	return typ
}

func (d *componentDecoder) liftBody(r *reader, c *Canon) {
	start := r.off
	if b := r.u8(); b != 0 {
		r.code("a canonical function "+c.Op.String(), b)
	}
	c.Index = r.u32()
	c.Options = r.canonOptions()
	if c.Op == CanonLift {
		c.Type = d.typeOf(r, start, &d.c.Scope, r.u32(), "a function type", isFunc)
	} else if r.err == nil {
		c.Type = d.lookup(r, start, &d.c.Scope, SortFunc, c.Index)
	}
}

// typedBody reads what has the index of a resource, stream or future type.
func (d *componentDecoder) typedBody(r *reader, c *Canon) {
	if c.Op > maxCanonOp || canonNames[c.Op] == "" {
		r.code("a canonical function", byte(c.Op))
		return
	}
	start := r.off
	c.Index = r.u32()
	what, want := "a resource type", byte(TypeResource)
	switch {
	case c.Op >= CanonFutureNew:
		what, want = "a future type", TypeFuture
	case c.Op >= CanonStreamNew:
		what, want = "a stream type", TypeStream
	}
	c.Type = d.typeOf(r, start, &d.c.Scope, c.Index, what, func(op byte) bool { return op == want })
	switch c.Op {
	case CanonStreamRead, CanonStreamWrite, CanonFutureRead, CanonFutureWrite:
		c.Options = r.canonOptions()
	case CanonStreamCancelRead, CanonStreamCancelWrite, CanonFutureCancelRead, CanonFutureCancelWrite:
		c.Async = r.flag("whether a function is async")
	default: // have nothing more
	}
}

// canonOptions reads the options of a canonical definition. One that is given
// twice is remembered, for it is no fault of the form.
func (r *reader) canonOptions() *CanonOptions {
	n := r.count(1, maxCanonOptions)
	if n == 0 {
		return nil
	}
	o := &CanonOptions{Memory: -1, Realloc: -1, PostReturn: -1, Callback: -1, CoreType: -1}
	index := func(what *int64, name string) {
		if *what >= 0 {
			o.twice = name
		}
		*what = int64(r.u32())
	}
	flag := func(what *bool, name string) {
		if *what {
			o.twice = name
		}
		*what = true
	}
	for range n {
		switch b := r.u8(); b {
		case 0x00, 0x01, 0x02:
			if o.Encoding != EncodingDefault {
				o.twice = "string encoding"
			}
			o.Encoding = StringEncoding(b + 1)
		case 0x03:
			index(&o.Memory, "memory")
		case 0x04:
			index(&o.Realloc, "realloc")
		case 0x05:
			index(&o.PostReturn, "post-return")
		case 0x06:
			flag(&o.Async, "async")
		case 0x07:
			index(&o.Callback, "callback")
		case 0x08:
			index(&o.CoreType, "core type")
		case 0x09:
			flag(&o.GC, "gc")
		default:
			r.code("an option of a canonical function", b)
		}
	}
	return o
}

// canonOptions are options that were looked up and found to fit each other.
type canonOptions struct {
	CanonOptions
	pointer ValType // of the memory; i32 without one
	core    *SubType
}

// need fails unless there is a memory, and, if asked for, what allocates in it.
func (o *canonOptions) need(realloc bool) error {
	if o.GC {
		return nil
	}
	if o.Memory < 0 {
		return fmt.Errorf("%w: canonical option `memory` is required", ErrOption)
	}
	if realloc && o.Realloc < 0 {
		return fmt.Errorf("%w: canonical option `realloc` is required", ErrOption)
	}
	return nil
}

// options looks up the options of a canonical definition.
func (d *componentDecoder) options(c *Canon) (*canonOptions, error) {
	o := &canonOptions{pointer: I32}
	if c.Options == nil {
		o.CanonOptions = CanonOptions{Memory: -1, Realloc: -1, PostReturn: -1, Callback: -1, CoreType: -1}
		return o, nil
	}
	o.CanonOptions = *c.Options
	switch {
	case o.twice != "":
		return nil, fmt.Errorf("%w: %s is specified more than once, or conflicts with another", ErrOption, o.twice)
	case o.Callback >= 0 && !o.Async:
		return nil, fmt.Errorf("%w: cannot specify `callback` without `async`", ErrOption)
	case o.PostReturn >= 0 && o.Async:
		return nil, fmt.Errorf("%w: cannot specify `post-return` with `async`", ErrOption)
	case o.CoreType >= 0 && !o.GC:
		return nil, fmt.Errorf("%w: cannot specify `core-type` without `gc`", ErrOption)
	case o.Realloc >= 0 && o.Memory < 0:
		return nil, fmt.Errorf("%w: canonical option `realloc` requires `memory` to also be specified", ErrOption)
	}
	if o.Async {
		d.use(FeatureCMAsync)
	}
	if o.Memory >= 0 {
		pointer, err := d.memory(o.Memory)
		if err != nil {
			return nil, err
		}
		o.pointer = pointer
	}
	return o, d.functionOptions(o)
}

// memory checks that memory i may be one of canonical functions, and gives the
// type of its addresses.
func (d *componentDecoder) memory(i int64) (ValType, error) {
	items := d.c.in.items[ExternMemory]
	if i >= int64(len(items)) || items[i].memory == nil {
		return 0, fmt.Errorf("%w %d: memory index out of bounds", ErrUnknownMemory, i)
	}
	m := items[i].memory
	if m.Shared {
		return 0, fmt.Errorf("%w: mismatch in the shared flag for memories", ErrType)
	}
	if m.Is64 {
		d.use(FeatureCM64)
		return I64, nil
	}
	return I32, nil
}

func (d *componentDecoder) functionOptions(o *canonOptions) error {
	p := o.pointer
	if o.Realloc >= 0 {
		f := d.coreFunc(o.Realloc)
		if f == nil {
			return fmt.Errorf("%w %d: function index out of bounds", ErrUnknownFunc, o.Realloc)
		}
		if !hasSignature(f, []ValType{p, p, p, p}, []ValType{p}) {
			return fmt.Errorf("%w: canonical option `realloc` uses a core function with an incorrect signature: %v", ErrOption, f)
		}
	}
	for _, i := range []int64{o.PostReturn, o.Callback} {
		if i >= 0 && d.coreFunc(i) == nil {
			return fmt.Errorf("%w %d: function index out of bounds", ErrUnknownFunc, i)
		}
	}
	if o.GC {
		d.use(FeatureCMGC)
	}
	if o.CoreType >= 0 {
		t, ok := d.c.in.core.at(uint32(o.CoreType))
		if !ok {
			return fmt.Errorf("%w %d: type index out of bounds", ErrUnknownType, o.CoreType)
		}
		if t.sub == nil || t.sub.Form != FormFunc {
			return fmt.Errorf("%w: `core-type` must be a core function type", ErrOption)
		}
		o.core = t.sub
	}
	return nil
}

// checkCanon checks a canonical definition and gives the type of the core
// function that it defines.
func (d *componentDecoder) checkCanon(r *reader, at int, c *Canon, typ ValType) *SubType {
	d.useCanon(c)
	var f *SubType
	var err error
	switch c.Op {
	case CanonLift:
		err = d.checkLift(c)
	case CanonLower:
		f, err = d.checkLower(c)
	case CanonResourceNew, CanonResourceRep, CanonResourceDrop:
		f, err = d.checkResource(c)
	case CanonTaskReturn:
		f, err = d.checkTaskReturn(c)
	case CanonContextGet, CanonContextSet:
		f, err = d.checkContext(c, typ)
	case CanonStreamRead, CanonStreamWrite, CanonFutureRead, CanonFutureWrite:
		f, err = d.checkTransfer(c)
	case CanonErrorContextNew, CanonErrorContextMessage:
		f, err = d.checkErrorContext(c)
	case CanonWaitableSetWait, CanonWaitableSetPoll:
		var pointer ValType
		if pointer, err = d.memory(int64(c.Index)); err == nil {
			f = d.shared.function([]ValType{I32, pointer}, []ValType{I32})
		}
	case CanonThreadNewIndirect, CanonThreadSpawnRef, CanonThreadSpawnIndirect:
		f, err = d.checkThread(c)
	default:
		s := builtins[c.Op]
		f = d.shared.function(s.params, s.results)
	}
	d.check(r, at, err)
	return f
}

// builtins are the types of the canonical functions that depend on nothing.
var builtins = map[CanonOp]signature{
	CanonTaskCancel: {}, CanonBackpressureInc: {}, CanonBackpressureDec: {},
	CanonSubtaskDrop: {params: []ValType{I32}}, CanonErrorContextDrop: {params: []ValType{I32}},
	CanonWaitableSetDrop: {params: []ValType{I32}}, CanonThreadResumeLater: {params: []ValType{I32}},
	CanonStreamDropReadable: {params: []ValType{I32}}, CanonStreamDropWritable: {params: []ValType{I32}},
	CanonFutureDropReadable: {params: []ValType{I32}}, CanonFutureDropWritable: {params: []ValType{I32}},
	CanonSubtaskCancel:       {[]ValType{I32}, []ValType{I32}},
	CanonStreamCancelRead:    {[]ValType{I32}, []ValType{I32}},
	CanonStreamCancelWrite:   {[]ValType{I32}, []ValType{I32}},
	CanonFutureCancelRead:    {[]ValType{I32}, []ValType{I32}},
	CanonFutureCancelWrite:   {[]ValType{I32}, []ValType{I32}},
	CanonStreamNew:           {results: []ValType{I64}},
	CanonFutureNew:           {results: []ValType{I64}},
	CanonWaitableSetNew:      {results: []ValType{I32}},
	CanonWaitableJoin:        {params: []ValType{I32, I32}},
	CanonThreadIndex:         {results: []ValType{I32}},
	CanonThreadSuspend:       {results: []ValType{I32}},
	CanonThreadYield:         {results: []ValType{I32}},
	CanonThreadSuspendResume: {[]ValType{I32}, []ValType{I32}}, CanonThreadYieldResume: {[]ValType{I32}, []ValType{I32}},
	CanonThreadSuspendPromote: {[]ValType{I32}, []ValType{I32}}, CanonThreadYieldPromote: {[]ValType{I32}, []ValType{I32}},
	CanonAvailableParallelism: {results: []ValType{I32}},
}

// useCanon notes the feature that a canonical function is part of.
func (d *componentDecoder) useCanon(c *Canon) {
	switch {
	case c.Op <= CanonResourceRep:
	case c.Op >= CanonThreadSpawnRef:
		d.use(FeatureSharedEverything | FeatureCMThreading)
	case c.Op >= CanonThreadIndex:
		d.use(FeatureCMThreading)
	case c.Op >= CanonErrorContextNew && c.Op <= CanonErrorContextDrop:
		d.use(FeatureCMErrorContext)
	default:
		d.use(FeatureCMAsync)
	}
}

// checkLift checks that a core function has the type that the function lifted
// from it is flattened to.
func (d *componentDecoder) checkLift(c *Canon) error {
	f := d.coreFunc(int64(c.Index))
	if f == nil {
		return fmt.Errorf("%w %d: function index out of bounds", ErrUnknownFunc, c.Index)
	}
	o, err := d.options(c)
	if err != nil {
		return err
	}
	if err := d.checkLiftOptions(c, o, f); err != nil {
		return err
	}
	if o.GC {
		if len(f.Params()) != len(c.Type.Args) {
			return fmt.Errorf("%w: the core function takes %d parameters, not %d", ErrType, len(f.Params()), len(c.Type.Args))
		}
		return nil
	}
	sig, err := flatten(c.Type, o, true)
	if err != nil {
		return err
	}
	if !hasSignature(f, sig.params, nil) && !hasSignature(f, sig.params, f.Results()) {
		return fmt.Errorf("%w: lowered parameter types %v do not match parameter types %v of core function %d",
			ErrType, sig.params, f.Params(), c.Index)
	}
	if !hasSignature(f, sig.params, sig.results) {
		return fmt.Errorf("%w: lowered result types %v do not match result types %v of core function %d",
			ErrType, sig.results, f.Results(), c.Index)
	}
	return nil
}

func (d *componentDecoder) checkLiftOptions(c *Canon, o *canonOptions, f *SubType) error {
	if err := checkAsync(c, o); err != nil {
		return err
	}
	if o.PostReturn >= 0 && !hasSignature(d.coreFunc(o.PostReturn), f.Results(), nil) {
		return fmt.Errorf("%w: canonical option `post-return` uses a core function with an incorrect signature", ErrOption)
	}
	if o.core != nil {
		return fmt.Errorf("%w: canonical option `core-type` is not allowed in `canon lift`", ErrOption)
	}
	if o.Async && o.Callback < 0 {
		d.use(FeatureCMAsyncStackful)
	}
	if o.Callback >= 0 && !hasSignature(d.coreFunc(o.Callback), []ValType{I32, I32, I32}, []ValType{I32}) {
		return fmt.Errorf("%w: canonical option `callback` uses a core function with an incorrect signature", ErrOption)
	}
	return nil
}

func checkAsync(c *Canon, o *canonOptions) error {
	if o.Async && c.Type.Op != TypeAsyncFunc {
		return fmt.Errorf("%w: the `async` canonical option requires an async function type", ErrOption)
	}
	return nil
}

// checkLowered checks the options of what the core calls.
func checkLowered(o *canonOptions) error {
	switch {
	case o.PostReturn >= 0:
		return fmt.Errorf("%w: canonical option `post-return` cannot be specified for lowerings", ErrOption)
	case o.Callback >= 0:
		return fmt.Errorf("%w: canonical option `callback` cannot be specified for lowerings", ErrOption)
	case o.GC && o.core == nil:
		return fmt.Errorf("%w: cannot specify `gc` without a `core-type` for lowerings", ErrOption)
	}
	return nil
}

// lowered gives the type of a core function that the component model defines:
// the declared one, which must be that, if there is one.
func (d *componentDecoder) lowered(o *canonOptions, sig signature) (*SubType, error) {
	if o.core == nil {
		return d.shared.function(sig.params, sig.results), nil
	}
	if !hasSignature(o.core, sig.params, sig.results) {
		return nil, fmt.Errorf("%w: `core-type` is %v, but the function takes %v and gives %v", ErrType, o.core, sig.params, sig.results)
	}
	return o.core, nil
}

func (d *componentDecoder) checkLower(c *Canon) (*SubType, error) {
	o, err := d.options(c)
	if err == nil {
		err = checkLowered(o)
	}
	if err == nil {
		err = checkAsync(c, o)
	}
	if err != nil {
		return nil, err
	}
	if o.GC {
		results := 0
		if c.Type.Result.Set {
			results = 1
		}
		if len(o.core.Params()) != len(c.Type.Args) || len(o.core.Results()) != results {
			return nil, fmt.Errorf("%w: `core-type` is %v for a function of %d parameters", ErrType, o.core, len(c.Type.Args))
		}
		return o.core, nil
	}
	sig, err := flatten(c.Type, o, false)
	if err != nil {
		return nil, err
	}
	return d.lowered(o, sig)
}

func (d *componentDecoder) checkResource(c *Canon) (*SubType, error) {
	if c.Op == CanonResourceDrop {
		return d.shared.function([]ValType{I32}, nil), nil
	}
	res := c.Type.Resource()
	if res.flags&flagLocal == 0 || res.bound() != d.c.id() {
		return nil, fmt.Errorf("%w: type %d is not a local resource", ErrResource, c.Index)
	}
	rep := I32
	if res.flags&flagRep64 != 0 {
		rep = I64
	}
	if c.Op == CanonResourceNew {
		return d.shared.function([]ValType{rep}, []ValType{I32}), nil
	}
	return d.shared.function([]ValType{I32}, []ValType{rep}), nil
}

// checkTaskReturn checks what passes the result of an async function: it takes
// it like the parameter of a function that is lowered.
func (d *componentDecoder) checkTaskReturn(c *Canon) (*SubType, error) {
	o, err := d.options(c)
	switch {
	case err != nil:
		return nil, err
	case o.Realloc >= 0, o.Async:
		return nil, fmt.Errorf("%w: cannot specify `realloc` or `async` on `task.return`", ErrOption)
	}
	if err := checkLowered(o); err != nil {
		return nil, err
	}
	f := &TypeDef{Op: TypeFunc}
	if c.Result.Set {
		f.Args = []TypeRef{c.Result}
	}
	if o.GC {
		return o.core, nil
	}
	sig, err := flatten(f, o, false)
	if err != nil {
		return nil, err
	}
	return d.lowered(o, sig)
}

// checkContext checks an access to the storage of a thread: two slots, which
// have one type in a component.
func (d *componentDecoder) checkContext(c *Canon, typ ValType) (*SubType, error) {
	switch {
	case typ != I32 && typ != I64:
		return nil, fmt.Errorf("%w: %v only supports i32 or i64, not %v", ErrType, c.Op, typ)
	case c.Index > 1:
		return nil, fmt.Errorf("%w: %v immediate must be zero or one: %d", ErrOption, c.Op, c.Index)
	case d.c.in.context != 0 && d.c.in.context != typ:
		return nil, fmt.Errorf("%w: %v type must match the previous context type %v", ErrType, c.Op, d.c.in.context)
	}
	if c.Index == 1 {
		d.use(FeatureCMThreading)
	}
	if typ == I64 {
		d.use(FeatureCM64)
	}
	d.c.in.context = typ
	if c.Op == CanonContextGet {
		return d.shared.function(nil, []ValType{typ}), nil
	}
	return d.shared.function([]ValType{typ}, nil), nil
}

// checkTransfer checks reads and writes of streams and futures.
func (d *componentDecoder) checkTransfer(c *Canon) (*SubType, error) {
	o, err := d.options(c)
	if err == nil {
		err = checkLowered(o)
	}
	if err == nil && c.Type.Args[0].Set {
		read := c.Op == CanonStreamRead || c.Op == CanonFutureRead
		err = o.need(read && c.Type.Args[0].points())
	}
	if err != nil {
		return nil, err
	}
	sig := signature{params: []ValType{I32, o.pointer}, results: []ValType{I32}}
	if c.Op == CanonStreamRead || c.Op == CanonStreamWrite {
		sig.params = append(sig.params, o.pointer)
	}
	return d.lowered(o, sig)
}

func (d *componentDecoder) checkErrorContext(c *Canon) (*SubType, error) {
	o, err := d.options(c)
	if err == nil && o.Async {
		err = fmt.Errorf("%w: cannot specify `async` on `%v`", ErrOption, c.Op)
	}
	if err == nil {
		err = o.need(c.Op == CanonErrorContextMessage)
	}
	if err == nil {
		err = checkLowered(o)
	}
	if err != nil {
		return nil, err
	}
	if c.Op == CanonErrorContextNew {
		return d.lowered(o, signature{params: []ValType{o.pointer, o.pointer}, results: []ValType{I32}})
	}
	return d.lowered(o, signature{params: []ValType{I32, o.pointer}})
}

// checkThread checks what starts a thread: the type of its function, and the
// table that it is in.
func (d *componentDecoder) checkThread(c *Canon) (*SubType, error) {
	t, ok := d.c.in.core.at(c.Index)
	switch {
	case !ok:
		return nil, fmt.Errorf("%w %d: type index out of bounds", ErrUnknownType, c.Index)
	case t.sub == nil || t.sub.Form != FormFunc:
		return nil, fmt.Errorf("%w: a start function needs a core function type", ErrType)
	case !hasSignature(t.sub, []ValType{I32}, nil):
		return nil, fmt.Errorf("%w: a start function must take a single i32 argument and return nothing, not %v", ErrType, t.sub)
	case c.Op != CanonThreadNewIndirect && !t.sub.Shared:
		return nil, fmt.Errorf("%w: spawn type must be shared", ErrType)
	}
	if c.Op == CanonThreadSpawnRef {
		ref := nullRef | typeConcrete | ValType(c.Index)
		return d.shared.function([]ValType{ref, t.sub.Params()[0]}, []ValType{I32}), nil
	}
	tables := d.c.in.items[ExternTable]
	if int64(c.Table) >= int64(len(tables)) || tables[c.Table].table == nil {
		return nil, fmt.Errorf("%w %d: table index out of bounds", ErrUnknownTable, c.Table)
	}
	elem := FuncRef
	if c.Op == CanonThreadSpawnIndirect {
		elem |= typeShared
	}
	if table := tables[c.Table].table; table.Elem != elem || table.Shared != (c.Op == CanonThreadSpawnIndirect) {
		return nil, fmt.Errorf("%w: the table is not one of %v but %v", ErrType, elem, table)
	}
	return d.shared.function([]ValType{I32, t.sub.Params()[0]}, []ValType{I32}), nil
}
