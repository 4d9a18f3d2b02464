package wit

import (
	"math"
	"strings"

	"github.com/wreg-project/wreg/inspect/wasm"
)

// MaxSummaryText bounds the text of a Summary in bytes.
const MaxSummaryText = 1 << 20

// A Summary is what a report shows of a binary's interface. Lists are never
// null, and in the order of the binary.
type Summary struct {
	// Package is "ns:name@version", for a component "root:component".
	Package string `json:"package"`
	Version string `json:"version,omitempty"`

	// Worlds are those of the package. A component has one called "root".
	Worlds []WorldSummary `json:"worlds"`

	// Interfaces are those of the package by their full names, and Packages
	// those that are referred to.
	Interfaces []string `json:"interfaces"`
	Packages   []string `json:"packages"`

	// Text is all of it as WIT, cut off before the line that does not fit if
	// Truncated.
	Text      string `json:"text"`
	Truncated bool   `json:"truncated,omitempty"`

	// Problems says what was wrong with comments and gates.
	Problems []string `json:"problems"`
}

// A WorldSummary lists what a world imports and exports.
type WorldSummary struct {
	Name    string          `json:"name"`
	Imports []ExternSummary `json:"imports"`
	Exports []ExternSummary `json:"exports"`
}

// An ExternSummary is one import or export.
type ExternSummary struct {
	// Name is the name in the binary: "wasi:http/types@0.2.0", or a plain one.
	// Package, Interface and Version are its parts, empty for a plain name.
	Name      string `json:"name"`
	Package   string `json:"package,omitempty"`
	Interface string `json:"interface,omitempty"`
	Version   string `json:"version,omitempty"`

	Kind string `json:"kind"`           // "interface" or "function"
	Type string `json:"type,omitempty"` // of a function, as WIT
	Docs string `json:"docs,omitempty"` // first line of the comment
}

// Summarize decodes a binary and sums it up; errors are those of FromBinary.
func Summarize(b *wasm.Binary) (*Summary, error) { return SummarizeWithin(b, math.MaxInt64) }

// SummarizeWithin is Summarize in about room bytes of memory: what needs more is
// ErrLimit. The text may have a third.
func SummarizeWithin(b *wasm.Binary, room int64) (*Summary, error) {
	d, problems, err := fromBinary(b, room/3*2)
	if err != nil {
		return nil, err
	}
	s := d.summary(int(min(room/3/2, MaxSummaryText))) // it is moved while it grows
	s.Problems = append(s.Problems, problems...)
	return s, nil
}

// Summary sums up the document.
func (d *Document) Summary() *Summary { return d.summary(MaxSummaryText) }

func (d *Document) summary(maxText int) *Summary {
	p := d.Package
	s := &Summary{
		Package: p.Name.String(), Version: p.Name.Version,
		Worlds: []WorldSummary{}, Interfaces: []string{}, Packages: []string{}, Problems: []string{},
	}
	for _, w := range p.Worlds {
		s.Worlds = append(s.Worlds, WorldSummary{
			Name: w.Name, Imports: sumUp(p.Name, w.Imports), Exports: sumUp(p.Name, w.Exports),
		})
	}
	for _, i := range p.Interfaces {
		s.Interfaces = append(s.Interfaces, Path{p.Name, i.Name}.String())
	}
	for _, n := range d.Nested {
		s.Packages = append(s.Packages, n.Name.String())
	}
	s.Text, s.Truncated = clipped(d, maxText)
	return s
}

// clipped prints a document up to a bound, in whole lines.
func clipped(d *Document, most int) (text string, cut bool) {
	p := &printer{max: most}
	p.document(d)
	text = p.b.String()
	if p.full {
		text = text[:strings.LastIndexByte(text, '\n')+1]
	}
	return text, p.full
}

func sumUp(pkg PackageName, externs []Extern) []ExternSummary {
	out := make([]ExternSummary, 0, len(externs))
	for _, e := range externs {
		s := ExternSummary{Name: e.full(pkg), Kind: "interface"}
		s.Docs, _, _ = strings.Cut(e.Docs, "\n")
		switch {
		case e.Func != nil:
			s.Kind, s.Type = "function", e.Func.String()
			s.Docs, _, _ = strings.Cut(e.Func.Docs, "\n")
		case e.Interface == nil:
			p := e.Path.full(pkg)
			s.Package, s.Interface, s.Version = p.Package.Unversioned(), p.Name, p.Package.Version
		}
		out = append(out, s)
	}
	return out
}
