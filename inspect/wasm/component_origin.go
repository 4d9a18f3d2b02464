package wasm

import "fmt"

// An Origin says where an entry of a component's index space comes from. It is
// always something earlier in the file, or in a component around this one, so
// that following origins ends.
type Origin struct {
	Kind OriginKind

	// Index depends on the kind, which says of what.
	Index uint32

	// Depth is how many components out an outer alias reaches, 0 for this one.
	Depth uint32

	// Name is the export that an alias names.
	Name string
}

// An OriginKind tells the origins apart.
type OriginKind byte

// The kinds of origins.
const (
	// OriginUnknown is that of an entry whose definition is broken, which no
	// valid component has.
	OriginUnknown OriginKind = iota

	// OriginImport is an import: Index is the position in Imports.
	OriginImport

	// OriginNested is a module or component inside this one: Index is the
	// position in Modules or Components.
	OriginNested

	// OriginAlias is an export of an instance, called Name. Index is the instance
	// in Instances; for core functions, tables, memories, globals and tags, it is
	// the one in CoreInstances.
	OriginAlias

	// OriginOuter is an entry of a component around this one, Depth levels out:
	// Index is its index there, in the space of the same sort.
	OriginOuter

	// OriginExport is the entry that an export adds, which is the exported one
	// again: Index is the index of that, in the same space.
	OriginExport

	// OriginCanon is a canonical definition: Index is the position in Canons.
	OriginCanon

	// OriginInstance is a definition of an instance, by the fields beside the
	// origin.
	OriginInstance
)

func (k OriginKind) String() string {
	names := [...]string{"unknown", "import", "nested", "alias", "outer", "export", "canon", "instance"}
	if int(k) < len(names) {
		return names[k]
	}
	return fmt.Sprintf("origin %d", byte(k))
}

// An Argument is a name with a definition: what the instantiation of a component
// passes in ("with"), or an export of an instance that is put together from
// definitions at hand.
type Argument struct {
	Name  string
	Sort  Sort
	Index uint32 // in the index space of the sort
}

// An Instance is an entry of the instance index space. If its origin is
// OriginInstance and Inline is not set, it is the Component of that index,
// instantiated with Args; with Inline, it is Exports and nothing else.
type Instance struct {
	Origin
	Inline    bool
	Component uint32
	Args      []Argument
	Exports   []Argument
}

// A CoreArgument is a core instance under the module name by which the imports
// of an instantiated module ask for it.
type CoreArgument struct {
	Name     string
	Instance uint32 // in CoreInstances
}

// A CoreInstance is an entry of the core instance index space: the module of
// that index in CoreModules, instantiated with Args, or, with Inline, Exports
// and nothing else. The indices of Exports lie in the component's CoreFuncs,
// CoreTables, CoreMemories, CoreGlobals and CoreTags, according to their kinds.
type CoreInstance struct {
	Inline  bool
	Module  uint32
	Args    []CoreArgument
	Exports []Export
}

// A Canon is a canonical definition: a function lifted from, or a core function
// lowered to, the core, or one that the host provides.
type Canon struct {
	Op CanonOp

	// Index is the core function that is lifted (in CoreFuncs) or the function
	// that is lowered (in Functions); the index of the type of resource, stream
	// and future functions and of those that start threads; the slot of a
	// context; or the memory into which events are written.
	Index uint32

	// Table is the table out of which a thread's function comes.
	Table uint32

	// Type is the type of the function that is lifted or lowered, or of the
	// resource, stream or future; nil if there is none or it is not known.
	Type *TypeDef

	// Result is what task.return takes.
	Result TypeRef

	// Async is the immediate of the cancelling functions, Cancellable of those
	// that wait, and Shared of those that start threads.
	Async       bool
	Cancellable bool
	Shared      bool

	// Options is nil if there are none.
	Options *CanonOptions
}

// CanonOptions are the options of a canonical definition. Indices are -1 where
// the option is absent.
type CanonOptions struct {
	Encoding   StringEncoding
	Async      bool
	GC         bool
	Memory     int64 // in CoreMemories
	Realloc    int64 // in CoreFuncs, like the next two
	PostReturn int64
	Callback   int64
	CoreType   int64

	twice string // an option that was given more than once
}

// A StringEncoding is how strings lie in memory.
type StringEncoding byte

// The encodings of strings; without the option, it is UTF-8. CompactUTF16 is
// what the format calls latin1+utf16.
const (
	EncodingDefault StringEncoding = iota
	EncodingUTF8
	EncodingUTF16
	EncodingCompactUTF16
)

// A CanonOp tells the canonical definitions apart; the values are those of the
// format.
type CanonOp byte

// The canonical definitions ("Canonical Definitions" in Binary.md).
const (
	CanonLift                 CanonOp = 0x00
	CanonLower                CanonOp = 0x01
	CanonResourceNew          CanonOp = 0x02
	CanonResourceDrop         CanonOp = 0x03
	CanonResourceRep          CanonOp = 0x04
	CanonTaskCancel           CanonOp = 0x05
	CanonSubtaskCancel        CanonOp = 0x06
	CanonTaskReturn           CanonOp = 0x09
	CanonContextGet           CanonOp = 0x0a
	CanonContextSet           CanonOp = 0x0b
	CanonThreadYield          CanonOp = 0x0c
	CanonSubtaskDrop          CanonOp = 0x0d
	CanonStreamNew            CanonOp = 0x0e
	CanonStreamRead           CanonOp = 0x0f
	CanonStreamWrite          CanonOp = 0x10
	CanonStreamCancelRead     CanonOp = 0x11
	CanonStreamCancelWrite    CanonOp = 0x12
	CanonStreamDropReadable   CanonOp = 0x13
	CanonStreamDropWritable   CanonOp = 0x14
	CanonFutureNew            CanonOp = 0x15
	CanonFutureRead           CanonOp = 0x16
	CanonFutureWrite          CanonOp = 0x17
	CanonFutureCancelRead     CanonOp = 0x18
	CanonFutureCancelWrite    CanonOp = 0x19
	CanonFutureDropReadable   CanonOp = 0x1a
	CanonFutureDropWritable   CanonOp = 0x1b
	CanonErrorContextNew      CanonOp = 0x1c
	CanonErrorContextMessage  CanonOp = 0x1d
	CanonErrorContextDrop     CanonOp = 0x1e
	CanonWaitableSetNew       CanonOp = 0x1f
	CanonWaitableSetWait      CanonOp = 0x20
	CanonWaitableSetPoll      CanonOp = 0x21
	CanonWaitableSetDrop      CanonOp = 0x22
	CanonWaitableJoin         CanonOp = 0x23
	CanonBackpressureInc      CanonOp = 0x24
	CanonBackpressureDec      CanonOp = 0x25
	CanonThreadIndex          CanonOp = 0x26
	CanonThreadNewIndirect    CanonOp = 0x27
	CanonThreadResumeLater    CanonOp = 0x28
	CanonThreadSuspend        CanonOp = 0x29
	CanonThreadSuspendResume  CanonOp = 0x2a
	CanonThreadYieldResume    CanonOp = 0x2b
	CanonThreadSuspendPromote CanonOp = 0x2c
	CanonThreadYieldPromote   CanonOp = 0x2d
	CanonThreadSpawnRef       CanonOp = 0x40
	CanonThreadSpawnIndirect  CanonOp = 0x41
	CanonAvailableParallelism CanonOp = 0x42
	maxCanonOp                CanonOp = 0x42
)

// canonNames names the canonical definitions as the text format does.
var canonNames = [maxCanonOp + 1]string{
	CanonLift: "lift", CanonLower: "lower", CanonResourceNew: "resource.new", CanonResourceDrop: "resource.drop",
	CanonResourceRep: "resource.rep", CanonTaskCancel: "task.cancel", CanonSubtaskCancel: "subtask.cancel",
	CanonTaskReturn: "task.return", CanonContextGet: "context.get", CanonContextSet: "context.set",
	CanonThreadYield: "thread.yield", CanonSubtaskDrop: "subtask.drop", CanonStreamNew: "stream.new",
	CanonStreamRead: "stream.read", CanonStreamWrite: "stream.write", CanonStreamCancelRead: "stream.cancel-read",
	CanonStreamCancelWrite: "stream.cancel-write", CanonStreamDropReadable: "stream.drop-readable",
	CanonStreamDropWritable: "stream.drop-writable", CanonFutureNew: "future.new", CanonFutureRead: "future.read",
	CanonFutureWrite: "future.write", CanonFutureCancelRead: "future.cancel-read",
	CanonFutureCancelWrite: "future.cancel-write", CanonFutureDropReadable: "future.drop-readable",
	CanonFutureDropWritable: "future.drop-writable", CanonErrorContextNew: "error-context.new",
	CanonErrorContextMessage: "error-context.debug-message", CanonErrorContextDrop: "error-context.drop",
	CanonWaitableSetNew: "waitable-set.new", CanonWaitableSetWait: "waitable-set.wait",
	CanonWaitableSetPoll: "waitable-set.poll", CanonWaitableSetDrop: "waitable-set.drop",
	CanonWaitableJoin: "waitable.join", CanonBackpressureInc: "backpressure.inc",
	CanonBackpressureDec: "backpressure.dec", CanonThreadIndex: "thread.index",
	CanonThreadNewIndirect: "thread.new-indirect", CanonThreadResumeLater: "thread.resume-later",
	CanonThreadSuspend: "thread.suspend", CanonThreadSuspendResume: "thread.suspend-then-resume",
	CanonThreadYieldResume: "thread.yield-then-resume", CanonThreadSuspendPromote: "thread.suspend-then-promote",
	CanonThreadYieldPromote: "thread.yield-then-promote", CanonThreadSpawnRef: "thread.spawn-ref",
	CanonThreadSpawnIndirect: "thread.spawn-indirect", CanonAvailableParallelism: "thread.available-parallelism",
}

// String gives the name in the text format, "lower" or "resource.drop".
func (op CanonOp) String() string {
	if op <= maxCanonOp && canonNames[op] != "" {
		return canonNames[op]
	}
	return fmt.Sprintf("canon 0x%02x", byte(op))
}
