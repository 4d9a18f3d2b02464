package reach

import (
	"errors"

	"github.com/wreg-project/wreg/inspect/pclntab"
	"github.com/wreg-project/wreg/inspect/wasm"
	"github.com/wreg-project/wreg/sbom/evidence"
)

// An Analysis answers queries about one core module. It makes what it answers
// from when a query first needs it. It is not safe for concurrent use.
type Analysis struct {
	b    *wasm.Binary
	pcln *pclntab.Table // nil outside Go

	table Table
	named bool // the table has names
}

// New reads the names of the core module b, which must come from [wasm.Parse].
func New(b *wasm.Binary, o Options) *Analysis {
	a := &Analysis{b: b, table: Table{main: o.Main}}
	pcln, err := pclntab.Read(b)
	switch {
	case err == nil:
		a.pcln, a.table.golang = pcln, true
	case !errors.Is(err, pclntab.ErrNone):
		a.table.reason = evidence.Clean(err.Error(), maxText)
	case b.Module == nil || b.Module.Names.CountFuncs() == 0:
		a.table.reason = "the binary has no names of functions"
	}
	return a
}

// Query answers queries, in their order.
func (a *Analysis) Query(queries []Query) []Result {
	a.name()
	return a.table.answers(queries, a.walk)
}

// Table gives what the answers to all queries rest on, apart from the module.
func (a *Analysis) Table() *Table {
	a.name()
	t := a.table
	if t.reason == "" {
		t.ways = a.walk()
	}
	return t.prune()
}

// name fills in the names.
func (a *Analysis) name() {
	switch {
	case a.named || a.table.reason != "":
		return
	case a.pcln != nil:
		a.goNames()
	default:
		a.rustNames()
	}
	a.named = true
}

// walk gives the ways of the module.
func (a *Analysis) walk() *ways {
	if a.table.ways == nil {
		w, err := a.graph()
		if err != nil {
			w = &ways{failed: evidence.Clean("no call graph: "+err.Error(), maxText)}
		}
		a.table.ways = w
	}
	return a.table.ways
}
