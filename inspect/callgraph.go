package inspect

import (
	"fmt"

	"github.com/wreg-project/wreg/inspect/code"
	"github.com/wreg-project/wreg/inspect/code/graphdraw"
)

// CallGraph draws who calls whom in a core module of the binary: that of index
// module in [Report.CoreModules], or with -1 the one of most code. Errors are
// those of Inspect, and one if there is no such module.
func CallGraph(file []byte, module int, by code.Grouping) (*graphdraw.Graph, error) {
	a, err := parse(file)
	if err != nil {
		return nil, err
	}
	u, err := a.unit(module)
	if err != nil {
		return nil, err
	}
	a.each(func() {
		var w worker
		w.work(u)
	})
	if u.err != nil {
		return nil, u.err
	}
	u.graph()
	return u.module.Draw(code.Options{Name: u.names.name, Package: u.names.pkg}, by), nil
}

// unit gives the core module of an index, or with -1 the one of most code.
func (a *analysis) unit(index int) (*unit, error) {
	if index >= len(a.units) || index < -1 {
		return nil, fmt.Errorf("there is no core module %d: the binary has %d of them", index, len(a.units))
	}
	if index >= 0 {
		return a.units[index], nil
	}
	var largest *unit
	for _, u := range a.units {
		if largest == nil || u.b.Module.CodeSize > largest.b.Module.CodeSize {
			largest = u
		}
	}
	if largest == nil {
		return nil, fmt.Errorf("there is no core module in the binary")
	}
	return largest, nil
}
