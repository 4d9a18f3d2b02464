// Package diff says what changed from one binary to another, out of their
// reports: what it asks of a host and offers to it, what it may do, which WIT
// changes break whom, where bytes went, which functions are new.
package diff

import (
	"cmp"
	"maps"
	"slices"

	"github.com/wreg-project/wreg/inspect"
	"github.com/wreg-project/wreg/inspect/capability"
	"github.com/wreg-project/wreg/inspect/signal"
	"github.com/wreg-project/wreg/inspect/wit"
)

// A Diff is the difference of two reports. Lists are sorted, and never null in
// JSON.
type Diff struct {
	// Equal is whether nothing that reports tell is different.
	Equal bool `json:"equal"`

	Kind Change `json:"kind"`
	WASI Change `json:"wasi"`
	Size Sizes  `json:"size"`

	Imports  Externs `json:"imports"`
	Exports  Externs `json:"exports"`
	Features Names   `json:"features"` // that a host must have
	Made     Names   `json:"made"`     // languages and tools, "rustc 1.98.1"

	Capabilities Capabilities `json:"capabilities"`
	Functions    Functions    `json:"functions"`
	Signals      Signals      `json:"signals"`

	// WIT is what changed in the interface, of binaries that both have one.
	WIT *wit.Comparison `json:"wit,omitempty"`

	// Truncated says that a list in the report of one side does not hold all, so
	// that what seems to have come or gone may have been there, or be there still.
	Truncated bool `json:"truncated,omitempty"`
}

// A Change is a value before and after.
type Change struct {
	Old string `json:"old"`
	New string `json:"new"`
}

// Names are members of a set that one side alone has.
type Names struct {
	Added   []string `json:"added"`
	Removed []string `json:"removed"`
}

func (n Names) empty() bool { return len(n.Added)+len(n.Removed) == 0 }

// Externs are imports or exports that came, went or have another type.
type Externs struct {
	Added   []Extern       `json:"added"`
	Removed []Extern       `json:"removed"`
	Changed []ExternChange `json:"changed"`
}

// An Extern is an import or export.
type Extern struct {
	Module string `json:"module,omitempty"`
	Name   string `json:"name"`
	Kind   string `json:"kind"`
	Type   string `json:"type,omitempty"`
}

// An ExternChange is an import or export whose type is another one.
type ExternChange struct {
	Extern
	OldType string `json:"oldType"`
}

// Capabilities are what the binary may do now and could not, and the other way
// round.
type Capabilities struct {
	Gained  []Capability `json:"gained"`
	Lost    []Capability `json:"lost"`
	Changed []Capability `json:"changed"` // in their level or access
}

// A Capability is one that changed; of one gained the old half is empty, of one
// lost the new half.
type Capability struct {
	ID        capability.ID       `json:"id"`
	Severity  capability.Severity `json:"severity"`
	OldLevel  string              `json:"oldLevel,omitempty"`
	NewLevel  string              `json:"newLevel,omitempty"`
	OldAccess []string            `json:"oldAccess,omitempty"`
	NewAccess []string            `json:"newAccess,omitempty"`
}

// Signals are those of one side alone.
type Signals struct {
	Gained []Signal `json:"gained"`
	Lost   []Signal `json:"lost"`
}

// A Signal is one that came or went, or of which there are more or fewer finds.
type Signal struct {
	ID       string          `json:"id"`
	Severity signal.Severity `json:"severity"`
	Title    string          `json:"title"`
	Old      int             `json:"old"` // finds
	New      int             `json:"new"`
}

// Compare gives what changed from one report to the other, which should both be
// complete and hold the tables of functions.
func Compare(old, now *inspect.Report) *Diff {
	d := &Diff{
		Kind:         Change{string(old.Kind), string(now.Kind)},
		WASI:         Change{string(old.WASI), string(now.WASI)},
		Size:         sizes(old, now),
		Imports:      externs(imports(old), imports(now)),
		Exports:      externs(exports(old), exports(now)),
		Features:     names(old.Requires, now.Requires),
		Made:         names(made(old), made(now)),
		Capabilities: capabilities(old, now),
		WIT:          interfaces(old, now),
		Functions:    functions(old, now),
		Signals:      signals(old, now),
		Truncated:    len(old.Truncated)+len(now.Truncated) > 0,
	}
	d.Equal = d.Kind.Old == d.Kind.New && d.WASI.Old == d.WASI.New && d.Size.Old == d.Size.New &&
		d.Imports.empty() && d.Exports.empty() && d.Features.empty() && d.Made.empty() &&
		d.Capabilities.empty() && (d.WIT == nil || len(d.WIT.Changes) == 0) && d.Functions.same() && d.Signals.empty()
	return d
}

// interfaces compares the WIT of both sides. One that is too long or too
// intricate for that gives nothing: the imports and exports still tell of it.
func interfaces(old, now *inspect.Report) *wit.Comparison {
	var docs [2]*wit.Document
	for i, rep := range []*inspect.Report{old, now} {
		if rep.WIT == nil || rep.WIT.Truncated {
			return nil
		}
		var err error
		if docs[i], err = wit.Parse(rep.WIT.Text); err != nil {
			return nil
		}
	}
	c, err := wit.Compare(docs[0], docs[1])
	if err != nil {
		return nil
	}
	return c
}

func names(old, now []string) Names {
	return Names{Added: without(now, old), Removed: without(old, now)}
}

// without gives the sorted members of a that are not in b.
func without(a, b []string) []string {
	have := make(map[string]bool, len(b))
	for _, s := range b {
		have[s] = true
	}
	list := []string{}
	for _, s := range a {
		if !have[s] {
			list = append(list, s)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

func made(rep *inspect.Report) (list []string) {
	if rep.Origin == nil {
		return nil
	}
	for _, f := range slices.Concat(rep.Origin.Languages, rep.Origin.Toolchains) {
		name := f.Name
		if f.Version != "" {
			name += " " + f.Version
		}
		list = append(list, name)
	}
	return list
}

func imports(rep *inspect.Report) []Extern {
	var list []Extern
	for _, im := range rep.Imports {
		list = append(list, Extern{im.Module, im.Name, im.Kind, im.Type})
	}
	return list
}

func exports(rep *inspect.Report) []Extern {
	var list []Extern
	for _, ex := range rep.Exports {
		list = append(list, Extern{"", ex.Name, ex.Kind, ex.Type})
	}
	return list
}

func (e Externs) empty() bool { return len(e.Added)+len(e.Removed)+len(e.Changed) == 0 }

func externs(old, now []Extern) Externs {
	type key struct{ module, name, kind string }
	index := func(list []Extern) map[key]Extern {
		m := make(map[key]Extern, len(list))
		for _, e := range list {
			m[key{e.Module, e.Name, e.Kind}] = e
		}
		return m
	}
	before, after := index(old), index(now)
	d := Externs{Added: []Extern{}, Removed: []Extern{}, Changed: []ExternChange{}}
	for k, e := range after {
		was, ok := before[k]
		switch {
		case !ok:
			d.Added = append(d.Added, e)
		case was.Type != e.Type:
			d.Changed = append(d.Changed, ExternChange{Extern: e, OldType: was.Type})
		}
	}
	for k, e := range before {
		if _, ok := after[k]; !ok {
			d.Removed = append(d.Removed, e)
		}
	}
	slices.SortFunc(d.Added, compareExterns)
	slices.SortFunc(d.Removed, compareExterns)
	slices.SortFunc(d.Changed, func(a, b ExternChange) int { return compareExterns(a.Extern, b.Extern) })
	return d
}

func compareExterns(a, b Extern) int {
	return cmp.Or(cmp.Compare(a.Module, b.Module), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Kind, b.Kind))
}

func (c Capabilities) empty() bool { return len(c.Gained)+len(c.Lost)+len(c.Changed) == 0 }

func capabilities(old, now *inspect.Report) Capabilities {
	d := Capabilities{Gained: []Capability{}, Lost: []Capability{}, Changed: []Capability{}}
	if old.Capabilities == nil || now.Capabilities == nil {
		return d
	}
	for _, c := range now.Capabilities.Capabilities {
		was, ok := old.Capabilities.Find(c.ID)
		v := Capability{ID: c.ID, Severity: c.Severity, NewLevel: c.Level.String(), NewAccess: c.Access}
		if !ok {
			d.Gained = append(d.Gained, v)
			continue
		}
		v.OldLevel, v.OldAccess = was.Level.String(), was.Access
		if was.Level != c.Level || !slices.Equal(was.Access, c.Access) {
			d.Changed = append(d.Changed, v)
		}
	}
	for _, c := range old.Capabilities.Capabilities {
		if _, ok := now.Capabilities.Find(c.ID); !ok {
			d.Lost = append(d.Lost, Capability{ID: c.ID, Severity: c.Severity, OldLevel: c.Level.String(), OldAccess: c.Access})
		}
	}
	return d
}

func (s Signals) empty() bool { return len(s.Gained)+len(s.Lost) == 0 }

func signals(old, now *inspect.Report) Signals {
	d := Signals{Gained: []Signal{}, Lost: []Signal{}}
	if old.Signals == nil || now.Signals == nil {
		return d
	}
	all := map[string]*Signal{}
	add := func(list []signal.Signal, count func(*Signal) *int) {
		for _, s := range list {
			v := all[s.ID]
			if v == nil {
				v = &Signal{ID: s.ID, Severity: s.Severity, Title: s.Title}
				all[s.ID] = v
			}
			*count(v) += s.Count
		}
	}
	add(old.Signals.Signals, func(s *Signal) *int { return &s.Old })
	add(now.Signals.Signals, func(s *Signal) *int { return &s.New })
	for _, id := range slices.Sorted(maps.Keys(all)) {
		switch s := all[id]; {
		case s.New > s.Old:
			d.Gained = append(d.Gained, *s)
		case s.New < s.Old:
			d.Lost = append(d.Lost, *s)
		}
	}
	return d
}
