package diff

import (
	"cmp"
	"slices"

	"github.com/wreg-project/wreg/inspect"
)

// Sizes say where bytes came and went.
type Sizes struct {
	Old int64 `json:"old"`
	New int64 `json:"new"`

	// Sections and Packages are those that differ, the largest difference
	// first; a package is summed up over all core modules.
	Sections []Delta `json:"sections"`
	Packages []Delta `json:"packages"`
}

// A Delta is a size in bytes before and after, 0 where there is nothing.
type Delta struct {
	Name string `json:"name"`
	Old  int64  `json:"old"`
	New  int64  `json:"new"`
}

func sizes(old, now *inspect.Report) Sizes {
	sections, packages := deltas{}, deltas{}
	for _, s := range old.Sections {
		sections.at(s.Name).Old += s.Size
	}
	for _, s := range now.Sections {
		sections.at(s.Name).New += s.Size
	}
	eachPackage(old, func(name string, bytes int64) { packages.at(name).Old += bytes })
	eachPackage(now, func(name string, bytes int64) { packages.at(name).New += bytes })
	return Sizes{Old: old.Size, New: now.Size, Sections: sections.list(), Packages: packages.list()}
}

func eachPackage(rep *inspect.Report, f func(name string, bytes int64)) {
	for _, m := range rep.CoreModules() {
		if m.Code == nil {
			continue
		}
		for _, p := range m.Code.Sizes.Packages {
			f(p.Name, p.Bytes)
		}
	}
}

// deltas gathers sizes by name.
type deltas map[string]*Delta

func (d deltas) at(name string) *Delta {
	v := d[name]
	if v == nil {
		v = &Delta{Name: name}
		d[name] = v
	}
	return v
}

// list gives those that differ, the largest difference first.
func (d deltas) list() []Delta {
	list := []Delta{}
	for _, v := range d {
		if v.Old != v.New {
			list = append(list, *v)
		}
	}
	slices.SortFunc(list, func(a, b Delta) int {
		return cmp.Or(cmp.Compare(b.distance(), a.distance()), cmp.Compare(a.Name, b.Name))
	})
	return list
}

func (d Delta) distance() int64 { return max(d.New-d.Old, d.Old-d.New) }
