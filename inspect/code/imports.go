package code

import "github.com/wreg-project/wreg/inspect/wasm"

// An ImportUse says whether an imported function can be called.
type ImportUse struct {
	Function uint32 `json:"function"` // index
	Module   string `json:"module"`
	Name     string `json:"name"`
	Reach    Reach  `json:"reach"`

	// Path is one way from an export, or another root, to the import: indices
	// of functions, the import last. See [Graph.Path].
	Path []uint32 `json:"path"`

	// Callers counts the functions with a call instruction for it.
	Callers int `json:"callers"`
}

// Imports tells of the imported functions, in their order.
func (m *Module) Imports() []ImportUse {
	callers := make([]int, m.Imported)
	for f := m.Imported; f < m.Imported+m.Defined; f++ {
		for _, t := range m.Graph.row(uint32(f)) {
			if t < uint32(len(callers)) {
				callers[t]++
			}
		}
	}
	list := make([]ImportUse, 0, m.Imported)
	for _, im := range m.wasm.Imports {
		if im.Kind != wasm.ExternFunc {
			continue
		}
		u := ImportUse{
			Function: im.Index, Module: im.Module, Name: im.Name,
			Reach: m.Graph.Reach(im.Index), Path: m.Graph.Path(im.Index), Callers: callers[im.Index],
		}
		if u.Path == nil {
			u.Path = []uint32{}
		}
		list = append(list, u)
	}
	return list
}
