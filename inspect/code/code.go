// Package code analyses the functions of a core module: how large and how
// intricate each is, what makes two of them the same function, who calls whom,
// and which of them are of any use.
//
// It shares the one pass over the instructions that validation makes. A
// [Builder] is made for a decoded module; each goroutine that validates takes a
// [Worker] from it and tells it the instructions it sees; [Builder.Finish] gives
// the [Module]. Results do not depend on how the functions were spread over
// workers. [Analyse] does all of it, without validation, in one call.
//
// The module should be valid. One that is not gives numbers of no meaning, but
// no panic, and no more memory than a valid one: what is kept for each function
// and each call has a bound, a [Share] of what the whole file may take, and
// results beyond that are marked as truncated.
package code

import (
	"crypto/sha256"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/wreg-project/wreg/inspect/wasm"
)

// A Function is what is known of one defined function from its own body.
type Function struct {
	// Bytes is the size of the body: its locals and instructions, without the
	// field that tells the size.
	Bytes uint32

	// Instructions counts opcodes, else and end included.
	Instructions uint32

	// Complexity is the cyclomatic complexity: one, and one more for each if,
	// br_if and br_on_…, for each handler of an exception (a clause of
	// try_table, a catch or catch_all), and for each label of a br_table beyond
	// the first, equal ones counted once. A select chooses a value and not a
	// path, and counts nothing.
	Complexity uint32

	// Nesting is the greatest depth of blocks, loops, ifs and tries within one
	// another, and Loops the number of loops.
	Nesting uint32
	Loops   uint32

	// Frame is how many bytes of linear memory the prologue takes from the
	// stack pointer, 0 if there is no such prologue. Memory taken later, as by
	// alloca, is not seen.
	Frame uint32

	// Calls counts call and return_call, Indirect all calls through a table or
	// a reference.
	Calls    uint32
	Indirect uint32

	// Exact is a hash of the body, Normal one of what a linker leaves alone of
	// it: Normal stays the same when the function is linked into another
	// program, by other indices and at other addresses. It does not tell apart
	// functions that differ only in a number from 1,024 up to the range of
	// addresses, or in which function of a type they call.
	Exact  Hash
	Normal Hash

	// Fuzzy tells how much alike two functions are; see [Fingerprint].
	Fuzzy Fingerprint
}

// A Hash is the first 128 bits of a SHA-256.
type Hash [16]byte

func (h Hash) String() string { return fmt.Sprintf("%x", h[:]) }

// A Builder gathers the analyses of one module.
type Builder struct {
	b *wasm.Binary
	m *wasm.Module

	imported int
	shapes   shapes // of types, for hashes
	stack    uint32 // global that is the stack pointer, or none
	lo, hi   uint64 // constants from lo up to hi may be addresses
	elements uint64 // of the largest table

	functions []Function // of as many defined functions as the share lets keep
	room      int64      // bytes of memory for the graph, and as many for going through it
	maxEdges  int64      // less than 0 if there is no room for any graph
	edges     atomic.Int64

	mu      sync.Mutex
	workers []*tally
}

// NewBuilder prepares the analysis of the core module b, which must come from
// [wasm.Parse], on its own.
func NewBuilder(b *wasm.Binary) *Builder { return usual(b.Size).NewBuilder(b) }

// NewBuilder prepares the analysis of the core module b, which must come from
// [wasm.Parse], as one of the modules that have the share.
func (s *Share) NewBuilder(b *wasm.Binary) *Builder {
	m := b.Module
	bl := &Builder{b: b, m: m, imported: len(m.Functions) - len(m.Code)}
	bl.shapes = newShapes(m)
	bl.stack = stackPointer(m)
	bl.lo, bl.hi = addresses(m)
	bl.elements = tableSize(m)
	defined := int64(len(m.Code))
	records := s.grant(s.records, &s.spareRecords, b.Size, defined*bytesPerFunction)
	bl.functions = make([]Function, min(defined, records/bytesPerFunction))
	bl.room = s.grant(s.graph, &s.spareGraph, b.Size, graphNeed(m))
	bl.maxEdges = -1
	if left := bl.room - int64(len(m.Functions))*bytesPerNode; left > 0 {
		bl.maxEdges = left / bytesPerEdge
	}
	return bl
}

// graphNeed is how many bytes the graph of a module takes, rather more than less:
// few have a call for eight bytes of code. Of one that only passes calls on to
// a table, most is sets.
func graphNeed(m *wasm.Module) int64 {
	edges := m.CodeSize / 8
	for i := range m.Elems {
		edges += 2 * int64(m.Elems[i].Count) // by table, and with all that may be referred to
	}
	sets := 2*int64(min(len(m.Types), len(m.Functions))) + int64(len(m.Tables)) + 1
	return int64(len(m.Functions))*dominatorNode + sets*(dominatorNode+edgesPerSet*bytesPerEdge) + edges*bytesPerEdge
}

// Worker gives a new worker, for one goroutine. It may be called from several.
func (bl *Builder) Worker() *Worker {
	w := &Worker{digest: sha256.New(), sum: make([]byte, 0, sha256.Size)}
	w.Turn(bl)
	return w
}

// Finish gives the results, once every function has been visited and all
// workers are idle. The builder and its workers are then spent.
func (bl *Builder) Finish() *Module {
	mod := &Module{
		bin: bl.b, wasm: bl.m, room: bl.room,
		Imported: bl.imported, Defined: len(bl.m.Code),
		Functions: bl.functions,
		sites:     make(map[uint32]uint32),
	}
	for _, w := range bl.workers {
		mod.Totals.add(w.totals)
		for t, n := range w.sites {
			if n > 0 {
				mod.sites[uint32(t)] += n
			}
		}
	}
	p := newPools(bl)
	mod.Graph, mod.class, mod.pool, mod.written = bl.graph(p), p.class, p.pool, p.written
	bl.workers = nil
	mod.analyse()
	return mod
}

// Analyse decodes and analyses the functions of the core module b. Bodies that
// do not decode are an error; whether they are valid is not looked at.
func Analyse(b *wasm.Binary) (*Module, error) {
	bl := NewBuilder(b)
	w := bl.Worker()
	var c wasm.Code
	var in wasm.Instr
	for i, body := range bl.m.Code {
		c.Reset(b, body)
		w.Begin(i)
		for c.Next(&in) {
			w.Visit(&in)
		}
		w.End()
		if err := c.Err(); err != nil {
			return nil, fmt.Errorf("function %d: %w", bl.imported+i, err)
		}
	}
	return bl.Finish(), nil
}

// A Module is the analysis of a module's functions.
type Module struct {
	bin  *wasm.Binary
	wasm *wasm.Module
	room int64 // bytes of memory for going through the graph

	// Imported and Defined count functions; the index of the first defined one
	// is Imported.
	Imported int
	Defined  int

	// Functions are the defined ones, in the order of the module. There are
	// fewer than Defined if the module has more than its share of memory is good
	// for, about one for 80 bytes.
	Functions []Function

	// Totals are sums over all defined functions, kept or not.
	Totals Totals

	// Graph is who calls whom.
	Graph *Graph

	// Retained is, for each of Functions, how many bytes of bodies would be
	// dead without it, its own included; see [Graph].
	Retained []uint32

	sites   map[uint32]uint32 // indirect calls of each type
	class   []uint32          // of each type: the one that stands for it
	pool    []int32           // of each table: see pools
	written tables

	// The dominator tree, nil if it would take too much memory: of each node
	// the immediate dominator, and the nodes, dominators first.
	idom, order []uint32
}

// Totals are sums over functions.
type Totals struct {
	Functions    int64 `json:"functions"`
	Bytes        int64 `json:"bytes"`
	Instructions int64 `json:"instructions"`
	Loops        int64 `json:"loops"`
	Calls        int64 `json:"calls"`
	Indirect     int64 `json:"indirectCalls"`
	WithFrame    int64 `json:"withFrame"` // functions that take memory from the stack pointer
}

func (t *Totals) add(u Totals) {
	t.Functions += u.Functions
	t.Bytes += u.Bytes
	t.Instructions += u.Instructions
	t.Loops += u.Loops
	t.Calls += u.Calls
	t.Indirect += u.Indirect
	t.WithFrame += u.WithFrame
}

// Truncated reports whether there are more functions than records of them, or
// more calls than the graph may keep.
func (m *Module) Truncated() bool { return len(m.Functions) < m.Defined || m.Graph.Truncated }
