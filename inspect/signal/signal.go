// Package signal points at what deserves a second look in a binary: secrets and
// paths that were shipped by mistake, code that hides in data, constants of
// ciphers, shapes of code that people rarely write.
//
// A signal is never a verdict. It says what was seen, where, and on a scale of
// 0 to 100 how much it would interest a person who must decide whether to trust
// the binary; most signals of most files have an innocent reason. The rules are
// listed in docs/spec/signals.md, and their ids are stable.
//
// Four passes find things, each a pure function that can run beside the others:
// [Structure] looks at sections and declarations, [Data] at the contents of data
// segments and custom sections, a [Visitor] at instructions as a validator meets
// them, and [Precompiled] at files that are no WebAssembly at all. Each gives
// [Findings]; [Merge] makes the [Result] of them. Memory and the size of results
// are bounded whatever the input, and counts are exact beyond the bounds.
package signal

import (
	"cmp"
	"slices"
)

// A Severity sorts signals by what they may mean at worst.
type Severity string

// The severities.
const (
	Info   Severity = "info"   // worth knowing
	Low    Severity = "low"    // untidy, or a step towards something worse
	Medium Severity = "medium" // a person should look
	High   Severity = "high"   // a person should look before anyone runs it
)

// A Place is where something is. Offsets count bytes from the start of the file.
type Place struct {
	Offset   int64   `json:"offset"`
	Section  string  `json:"section,omitempty"`  // "data", "code", or the name of a custom section
	Segment  *int    `json:"segment,omitempty"`  // index of the data segment
	Function *uint32 `json:"function,omitempty"` // index, imported functions included
	Module   int64   `json:"module,omitempty"`   // offset of the nested module it lies in
}

// A Find is one place where a signal was seen.
type Find struct {
	Place
	Score    int    `json:"score"`    // 0 to 100
	Evidence string `json:"evidence"` // what was seen, secrets masked
}

// A Signal is all that one rule found.
type Signal struct {
	ID       string   `json:"id"`
	Severity Severity `json:"severity"`
	Score    int      `json:"score"` // of the most interesting find
	Title    string   `json:"title"`
	Count    int      `json:"count"` // of finds, exact

	// Finds are the most interesting ones, at most MaxFinds.
	Finds []Find `json:"finds"`
}

// MaxFinds bounds the finds kept of one rule.
const MaxFinds = 20

// A Result is what all passes found.
type Result struct {
	// Signals are sorted by falling score, then id.
	Signals []Signal `json:"signals"`

	// Endpoints are the names and addresses of other machines in the data.
	Endpoints Endpoints `json:"endpoints"`

	// Algorithms are the cryptographic algorithms and checksums whose constants
	// are in the data or the code, sorted by name.
	Algorithms []Algorithm `json:"algorithms"`
}

// Findings is what one pass found. The zero value is empty. It is not safe for
// concurrent use; give each goroutine its own and Merge them.
type Findings struct {
	rules      [ruleCount]tally
	endpoints  endpointSet
	algorithms [len(algorithms)]use
	miner      [minerHints]Find // the first of each, its Score 0 if there is none
	shapes     []shape          // of the modules whose code was seen
	module     int64
}

// A tally is the finds of one rule so far, by falling score and rising offset.
type tally struct {
	count int
	kept  []Find
}

// add counts a find, and keeps it if it is among the most interesting. Evidence
// is asked for only then.
func (f *Findings) add(r rule, score int, p Place, evidence func() string) {
	t := &f.rules[r]
	t.count++
	p.Module = f.module
	v := Find{Place: p, Score: score}
	if len(t.kept) == MaxFinds && compareFinds(v, t.kept[MaxFinds-1]) >= 0 {
		return
	}
	v.Evidence = excerpt(evidence())
	t.insert(v)
}

func (t *tally) insert(v Find) {
	i, _ := slices.BinarySearchFunc(t.kept, v, compareFinds)
	t.kept = slices.Insert(t.kept, i, v)
	if len(t.kept) > MaxFinds {
		t.kept = t.kept[:MaxFinds]
	}
}

func compareFinds(a, b Find) int {
	return cmp.Or(cmp.Compare(b.Score, a.Score), cmp.Compare(a.Offset, b.Offset))
}

// Add adds what o found. Of several that are added, the order does not matter
// as long as no two of them are of data.
func (f *Findings) Add(o *Findings) {
	for i := range f.rules {
		f.rules[i].count += o.rules[i].count
		for _, v := range o.rules[i].kept {
			f.rules[i].insert(v)
		}
	}
	f.endpoints.merge(&o.endpoints)
	for i := range f.algorithms {
		f.algorithms[i].merge(&o.algorithms[i])
	}
	for _, s := range o.shapes {
		f.addShape(s)
	}
	for i, v := range o.miner {
		if v.Score > 0 && (f.miner[i].Score == 0 || v.Offset < f.miner[i].Offset) {
			f.miner[i] = v
		}
	}
}

// Merge puts together what the passes over one file found. The order of its
// arguments does not matter.
func Merge(passes ...*Findings) Result {
	var f Findings
	for _, p := range passes {
		f.Add(p)
	}
	f.weighMiner()
	f.weighShapes()
	res := Result{Signals: []Signal{}, Endpoints: f.endpoints.result(), Algorithms: f.usedAlgorithms()}
	for i, t := range f.rules {
		if t.count == 0 {
			continue
		}
		r := rules[i]
		res.Signals = append(res.Signals, Signal{
			ID: r.ID, Severity: r.severity(t.kept[0].Score), Score: t.kept[0].Score, Title: r.Title, Count: t.count, Finds: t.kept,
		})
	}
	slices.SortFunc(res.Signals, func(a, b Signal) int {
		return cmp.Or(cmp.Compare(b.Score, a.Score), cmp.Compare(a.ID, b.ID))
	})
	return res
}

// maxEvidence bounds the text of one find in bytes.
const maxEvidence = 160

// excerpt makes evidence fit to print: bounded, without control characters.
func excerpt(s string) string {
	out := make([]rune, 0, min(len(s), maxEvidence))
	n := 0
	for _, r := range s {
		if r < 0x20 || r >= 0x7f && r < 0xa0 || r == '\ufffd' || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			r = '.'
		}
		if n += len(string(r)); n > maxEvidence {
			return string(out) + "…"
		}
		out = append(out, r)
	}
	return string(out)
}
