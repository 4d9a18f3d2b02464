package diff

import (
	"cmp"
	"slices"

	"github.com/wreg-project/wreg/inspect"
	"github.com/wreg-project/wreg/inspect/code"
)

// Functions say which functions are the same. Two are if their normalised hashes
// are: a relink does not tell them apart. Of the others, two of one name are one
// that changed.
type Functions struct {
	Old  int `json:"old"`
	New  int `json:"new"`
	Same int `json:"same"` // by normalised hash

	// Exact counts those of Same whose bodies are equal to the byte.
	Exact int `json:"exact"`

	// Counts of all, and the largest MaxFunctions of each.
	AddedCount   int              `json:"addedCount"`
	RemovedCount int              `json:"removedCount"`
	ChangedCount int              `json:"changedCount"`
	Added        []Function       `json:"added"`
	Removed      []Function       `json:"removed"`
	Changed      []FunctionChange `json:"changed"`

	// Truncated says that the report of one side does not hold all functions.
	Truncated bool `json:"truncated,omitempty"`
}

// MaxFunctions bounds each list of functions.
const MaxFunctions = 200

// A Function is one that only one side has.
type Function struct {
	Index uint32 `json:"index"`
	Name  string `json:"name,omitempty"`
	Bytes uint32 `json:"bytes"`
}

// A FunctionChange is a function that is another one now.
type FunctionChange struct {
	Name     string `json:"name,omitempty"`
	OldIndex uint32 `json:"oldIndex"`
	NewIndex uint32 `json:"newIndex"`
	OldBytes uint32 `json:"oldBytes"`
	NewBytes uint32 `json:"newBytes"`
}

func (f Functions) same() bool { return f.Old == f.New && f.Exact == f.Old }

// A body is a function of either side on its way through the comparison.
type body struct {
	Function
	f *code.Function
}

func functions(old, now *inspect.Report) Functions {
	d := Functions{Added: []Function{}, Removed: []Function{}, Changed: []FunctionChange{}}
	before, after := d.bodies(old), d.bodies(now)
	d.Old, d.New = len(before), len(after)
	before, after = d.match(before, after)
	before, after = d.rename(before, after)
	d.RemovedCount, d.AddedCount, d.ChangedCount = len(before), len(after), len(d.Changed)
	slices.SortFunc(d.Changed, func(a, b FunctionChange) int {
		return cmp.Or(cmp.Compare(max(b.OldBytes, b.NewBytes), max(a.OldBytes, a.NewBytes)), cmp.Compare(a.NewIndex, b.NewIndex))
	})
	d.Changed = d.Changed[:min(len(d.Changed), MaxFunctions)]
	d.Removed, d.Added = largest(before), largest(after)
	return d
}

func (d *Functions) bodies(rep *inspect.Report) (list []body) {
	for _, t := range rep.Functions {
		d.Truncated = d.Truncated || t.Truncated
		for i := range t.Functions {
			b := body{f: &t.Functions[i]}
			b.Index, b.Bytes = t.First+uint32(i), t.Functions[i].Bytes
			if t.Names != nil {
				b.Name = t.Names[i]
			}
			list = append(list, b)
		}
	}
	return list
}

// match takes out the functions that both sides have: first those equal to the
// byte, then those of one normalised hash.
func (d *Functions) match(old, now []body) (oldLeft, nowLeft []body) {
	oldLeft, nowLeft = pair(old, now, func(b body) (code.Hash, bool) { return b.f.Exact, true }, nil)
	d.Exact = len(old) - len(oldLeft)
	oldLeft, nowLeft = pair(oldLeft, nowLeft, func(b body) (code.Hash, bool) { return b.f.Normal, true }, nil)
	d.Same = len(old) - len(oldLeft)
	return oldLeft, nowLeft
}

// rename pairs what is left by name.
func (d *Functions) rename(old, now []body) (oldLeft, nowLeft []body) {
	byName := func(b body) (string, bool) { return b.Name, b.Name != "" }
	return pair(old, now, byName, func(a, b body) {
		d.Changed = append(d.Changed, FunctionChange{b.Name, a.Index, b.Index, a.Bytes, b.Bytes})
	})
}

// pair takes out of both lists what has the same key, one for one, in the order
// of the lists.
func pair[K comparable](old, now []body, key func(body) (K, bool), found func(a, b body)) (oldLeft, nowLeft []body) {
	waiting := make(map[K][]int, len(old))
	for i, b := range old {
		if k, ok := key(b); ok {
			waiting[k] = append(waiting[k], i)
		}
	}
	taken := make([]bool, len(old))
	for _, b := range now {
		k, ok := key(b)
		if list := waiting[k]; ok && len(list) > 0 {
			waiting[k], taken[list[0]] = list[1:], true
			if found != nil {
				found(old[list[0]], b)
			}
			continue
		}
		nowLeft = append(nowLeft, b)
	}
	for i, b := range old {
		if !taken[i] {
			oldLeft = append(oldLeft, b)
		}
	}
	return oldLeft, nowLeft
}

func largest(list []body) []Function {
	slices.SortFunc(list, func(a, b body) int { return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.Index, b.Index)) })
	out := []Function{}
	for _, b := range list[:min(len(list), MaxFunctions)] {
		out = append(out, b.Function)
	}
	return out
}
