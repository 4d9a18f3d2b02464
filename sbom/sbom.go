// Package sbom derives a bill of materials from a WebAssembly binary alone, with
// evidence for each entry and a statement of how complete it is.
//
// [Extract] reads a file that package wasm has parsed. The packages of the
// ecosystems look at each core module, sbom/crates adds what their finds
// require, and the tree of modules and components stays visible, so that the
// parts of a composed component each keep their own list. sbom/cyclonedx and
// sbom/spdx write a [Document] and read those of others; sbom/vuln matches it
// with advisories.
package sbom

import (
	"cmp"
	"iter"

	"github.com/wreg-project/wreg/sbom/evidence"
)

// MediaType and SchemaVersion identify the JSON form of a Document.
const (
	MediaType     = "application/vnd.wreg.sbom.v1+json"
	SchemaVersion = 1
)

// A Document is what one file is made of.
type Document struct {
	SchemaVersion int     `json:"schemaVersion"`
	MediaType     string  `json:"mediaType"`
	Subject       Subject `json:"subject"`

	// Root is the file itself, with what is nested in it.
	Root *Unit `json:"root"`
}

// A Subject says which file a document is about, and by which name.
type Subject struct {
	Name    string `json:"name,omitempty"`
	Version string `json:"version,omitempty"`
	Kind    string `json:"kind"`   // "module", "component" or "wit-package"
	SHA256  string `json:"sha256"` // hexadecimal
	Size    int64  `json:"size"`   // bytes

	Metadata Metadata `json:"metadata"`
}

// Metadata is what the author wrote into custom sections.
type Metadata struct {
	Authors     string `json:"authors,omitempty"`
	Description string `json:"description,omitempty"`
	Licenses    string `json:"licenses,omitempty"`
	Source      string `json:"source,omitempty"`
	Homepage    string `json:"homepage,omitempty"`
	Revision    string `json:"revision,omitempty"`
}

// A Unit is a core module or component with what was found in it, without what
// was found in its own parts.
type Unit struct {
	// Path tells the units of a file apart: "" of the file itself,
	// "component[2]/module[0]" of the first module of its third component.
	Path   string `json:"path"`
	Kind   string `json:"kind"` // "module" or "component"
	Name   string `json:"name,omitempty"`
	Offset int64  `json:"offset"` // bytes from the start of the file
	Size   int64  `json:"size"`   // bytes

	Components []evidence.Component `json:"components"`

	// Edges say which component of the unit requires which, as indices into
	// Components, sorted; as far as the evidence tells.
	Edges []Edge `json:"edges,omitempty"`

	// Tools took part in the build and are not in the binary: compilers, linkers,
	// generators of bindings.
	Tools []Tool `json:"tools"`

	// Completeness says how much of the truth Components are, by ecosystem.
	Completeness []Completeness `json:"completeness"`

	Units []*Unit `json:"units,omitempty"`

	// Omitted is how many modules and components in this one were not looked at,
	// because a document has room for MaxUnits.
	Omitted int `json:"omitted,omitempty"`
}

// An Edge is a dependency between two components of a unit.
type Edge struct {
	From int `json:"from"`
	To   int `json:"to"`
}

func (e Edge) compare(o Edge) int {
	return cmp.Or(cmp.Compare(e.From, o.From), cmp.Compare(e.To, o.To))
}

// A Tool took part in a build.
type Tool struct {
	Name    string `json:"name"`
	Version string `json:"version,omitempty"`
	Role    string `json:"role"` // "language", "processed-by" or "sdk"
}

func (t Tool) compare(o Tool) int {
	return cmp.Or(cmp.Compare(t.Role, o.Role), cmp.Compare(t.Name, o.Name), cmp.Compare(t.Version, o.Version))
}

// A Completeness says whether a list has everything of one ecosystem that is in
// the unit, and why or why not.
type Completeness = evidence.Completeness

// All gives every component with the unit that holds it, outer units first.
func (d *Document) All() iter.Seq2[*Unit, *evidence.Component] {
	return func(yield func(*Unit, *evidence.Component) bool) {
		for u := range d.Units() {
			for i := range u.Components {
				if !yield(u, &u.Components[i]) {
					return
				}
			}
		}
	}
}

// Units gives every unit, outer ones first.
func (d *Document) Units() iter.Seq[*Unit] {
	return func(yield func(*Unit) bool) {
		queue := []*Unit{d.Root}
		for len(queue) > 0 {
			u := queue[0]
			if queue = append(queue[1:], u.Units...); !yield(u) {
				return
			}
		}
	}
}
