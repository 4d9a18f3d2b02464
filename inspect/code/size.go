package code

import (
	"cmp"
	"slices"
	"strings"

	"github.com/wreg-project/wreg/inspect/wasm"
)

// Sizes say what the bytes of a module are spent on.
type Sizes struct {
	Sections []SectionSize `json:"sections"` // in the order of the module
	Data     []SegmentSize `json:"data"`     // the largest
	Packages []PackageSize `json:"packages"` // by bytes; one of them "" for what is not known, and "…" for those beyond a bound
}

// SectionSize is the size of one section.
type SectionSize struct {
	Name  string `json:"name"`  // "code", or the name of a custom section
	Bytes int64  `json:"bytes"` // with its header
}

// SegmentSize is the size of one data segment.
type SegmentSize struct {
	Index int    `json:"index"`
	Name  string `json:"name,omitempty"`
	Bytes int64  `json:"bytes"`

	// Address is where the segment goes in memory, -1 if that is not known.
	Address int64 `json:"address"`
}

// PackageSize is the size of the functions of a package.
type PackageSize struct {
	Name      string `json:"name"`
	Functions int    `json:"functions"`
	Bytes     int64  `json:"bytes"`

	// Retained is the size of all functions that nothing would lead to without
	// one of the package, its own included. What only several functions of the
	// package keep together, each without need of the others, is not in it.
	Retained int64 `json:"retained"`
}

// maxSections is how many sections are listed; the ones behind are summed up.
const maxSections = 1000

// Sizes attributes the bytes of the module.
func (m *Module) Sizes(o Options) Sizes {
	return Sizes{Sections: m.sectionSizes(), Data: m.segmentSizes(o.top()), Packages: m.packageSizes(o.Package)}
}

func (m *Module) sectionSizes() []SectionSize {
	list := []SectionSize{}
	for _, s := range m.bin.Sections {
		name := s.Name
		if s.ID != wasm.SectionCustom {
			name = wasm.SectionName(wasm.KindModule, s.ID)
		}
		if len(list) == maxSections {
			list = append(list, SectionSize{Name: "…"})
		}
		if len(list) > maxSections {
			list[maxSections].Bytes += s.End() - s.Offset
			continue
		}
		list = append(list, SectionSize{name, s.End() - s.Offset})
	}
	return list
}

func (m *Module) segmentSizes(top int) []SegmentSize {
	order := make([]int, len(m.wasm.Data))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(m.wasm.Data[b].Size, m.wasm.Data[a].Size) })
	list := []SegmentSize{}
	for _, i := range order[:min(len(order), top)] {
		d := &m.wasm.Data[i]
		s := SegmentSize{Index: i, Name: m.wasm.Names.Data(uint32(i)), Bytes: d.Size, Address: -1}
		if d.Mode == wasm.SegmentActive && d.Init.Kind == wasm.ConstNumber {
			s.Address = int64(uint32(d.Init.Value))
			if int64(d.Memory) < int64(len(m.wasm.Memories)) && m.wasm.Memories[d.Memory].Is64 {
				s.Address = int64(d.Init.Value)
			}
		}
		list = append(list, s)
	}
	return list
}

// packageSizes sums functions up by the package that of gives. Of a module of
// more packages than its share of memory is good for, which takes one of a name
// every few bytes, the ones that come last are summed up as one more.
func (m *Module) packageSizes(of func(uint32) string) []PackageSize {
	list := []PackageSize{}
	if of == nil {
		return list
	}
	const others = "…"
	room := max(m.room, leastListed*bytesPerPackage)
	ids := make(map[string]uint32)
	owner := make([]uint32, len(m.Functions))
	for i := range m.Functions {
		name := of(uint32(m.Imported + i))
		id, ok := ids[name]
		if !ok && room < 0 {
			name = others
			id, ok = ids[name]
		}
		if !ok {
			room -= bytesPerPackage + int64(len(name))
			// The name of the package is a part of that of the function.
			name = strings.Clone(name)
			id = uint32(len(list))
			ids[name] = id
			list = append(list, PackageSize{Name: name})
		}
		owner[i] = id
		list[id].Functions++
		list[id].Bytes += int64(m.Functions[i].Bytes)
	}
	m.retainedBy(owner, list)
	slices.SortFunc(list, func(a, b PackageSize) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.Name, b.Name))
	})
	return list
}

// retainedBy adds up, for each owner, what the functions retain that no function
// of the same owner dominates.
func (m *Module) retainedBy(owner []uint32, list []PackageSize) {
	if m.idom == nil {
		for i := range list {
			list[i].Retained = list[i].Bytes
		}
		return
	}
	defined := func(v uint32) bool { return v >= uint32(m.Imported) && v < m.Graph.funcs }
	// Children of each node in the dominator tree, as chains of siblings.
	n := uint32(len(m.idom))
	child, sibling := make([]uint32, n), make([]uint32, n)
	var tops []uint32
	for i := range child {
		child[i] = none
	}
	for _, v := range m.order {
		if up := m.idom[v]; up < n {
			sibling[v], child[up] = child[up], v
		} else {
			tops = append(tops, v)
		}
	}
	within := make([]uint32, len(list)) // how many functions of each owner are above
	enter := func(v uint32) {
		if !defined(v) {
			return
		}
		i := v - uint32(m.Imported)
		if within[owner[i]] == 0 {
			list[owner[i]].Retained += int64(m.Retained[i])
		}
		within[owner[i]]++
	}
	leave := func(v uint32) {
		if defined(v) {
			within[owner[v-uint32(m.Imported)]]--
		}
	}
	for _, start := range tops {
		v := start
		enter(v)
		for {
			if c := child[v]; c != none {
				child[v] = sibling[c] // which leaves those still to visit
				v = c
				enter(v)
				continue
			}
			leave(v)
			if v == start {
				break
			}
			v = m.idom[v]
		}
	}
	for i, id := range owner {
		if v := m.Imported + i; m.idom[v] == none {
			list[id].Retained += int64(m.Functions[i].Bytes)
		}
	}
}
