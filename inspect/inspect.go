// Package inspect says what a WebAssembly binary is, from its bytes alone: the
// Report is a pure function of them, in a form that is stored, indexed, shown
// and compared.
//
// [Describe] reads declarations only, which is enough to pack a file; [Inspect]
// validates it and analyses code and data as well, all cores at work. It never
// runs or compiles anything and touches no file or network. Decoding is the work
// of package wasm, whose bounds and errors hold here, and each analysis has a
// package of its own. The JSON form is described in docs/spec/report.md and its
// schema.
package inspect

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/wreg-project/wreg/inspect/capability"
	"github.com/wreg-project/wreg/inspect/code"
	"github.com/wreg-project/wreg/inspect/origin"
	"github.com/wreg-project/wreg/inspect/signal"
	"github.com/wreg-project/wreg/inspect/text"
	"github.com/wreg-project/wreg/inspect/wasm"
	"github.com/wreg-project/wreg/inspect/wit"
)

// MediaType and SchemaVersion identify the JSON form of a Report. The version
// grows when a field changes its meaning or goes; new fields come without.
const (
	MediaType     = "application/vnd.wreg.report.v1+json"
	SchemaVersion = 1
)

// A Kind is what a binary is to its users.
type Kind string

// The kinds of binaries. A WIT package is a component by its encoding, but has
// nothing in it that could run.
const (
	KindModule     Kind = "module"
	KindComponent  Kind = "component"
	KindWITPackage Kind = "wit-package"
)

// A WASI is a generation of the WebAssembly System Interface.
type WASI string

// The generations, told by what is imported and exported.
const (
	WASINone WASI = "none"
	WASIP1   WASI = "wasip1" // core modules: wasi_snapshot_preview1, wasi_unstable
	WASIP2   WASI = "wasip2" // components: wasi:*@0.2
	WASIP3   WASI = "wasip3" // components: wasi:*@0.3
)

// A Report says what one binary is. Lists are sorted where the order of the
// file means nothing, and never null in JSON.
type Report struct {
	SchemaVersion int    `json:"schemaVersion"`
	MediaType     string `json:"mediaType"`
	Kind          Kind   `json:"kind"`
	Size          int64  `json:"size"` // bytes
	WASI          WASI   `json:"wasi"`

	Metadata  Metadata   `json:"metadata"`
	Producers []Producer `json:"producers"`
	Features  []string   `json:"features"` // target_features, each with its prefix: "+simd128"

	// Complete tells a report of Inspect from one of Describe, in which what
	// follows here, Analysis, is missing.
	Complete bool `json:"complete"`
	Analysis

	// Imports and Exports are those of the outermost binary, in the order of
	// the file.
	Imports []Import `json:"imports"`
	Exports []Export `json:"exports"`

	Sections []Section `json:"sections"`

	// Module is set for a core module, Component for a component and a WIT
	// package.
	Module    *Module    `json:"module,omitempty"`
	Component *Component `json:"component,omitempty"`

	// Problems are faults of custom sections, which hide something but make no
	// binary invalid.
	Problems []Problem `json:"problems"`

	// Truncated names the lists that hold fewer entries than there are. Only a
	// file that is made for it has any, as one of nothing but exports.
	Truncated []Cut `json:"truncated,omitempty"`

	// Functions are the tables of all functions, one for each of CoreModules, if
	// they were asked for. They are by far the longest part, and the last one, so
	// that WriteJSON can write them as it goes.
	Functions []*code.FunctionTable `json:"functions,omitempty"`
}

// An Analysis is what only Inspect finds out.
type Analysis struct {
	// Requires are the features beyond the first version of the specification
	// that a host must have, found by validation, as [wasm.Features] names them.
	Requires []string `json:"requires,omitempty"`

	// Origin is where the binary comes from, and for which hosts it is.
	Origin *origin.Origin `json:"origin,omitempty"`

	// Capabilities are what it may do to the world around it.
	Capabilities *capability.Result `json:"capabilities,omitempty"`

	// WIT is the interface of a component or WIT package.
	WIT *wit.Summary `json:"wit,omitempty"`

	// Signals are what deserves a second look.
	Signals *signal.Result `json:"signals,omitempty"`

	// Strings are the texts in its data.
	Strings *text.Result `json:"strings,omitempty"`
}

// Metadata is what the binary's author and tools wrote into custom sections.
type Metadata struct {
	Name        string `json:"name,omitempty"`
	BuildID     string `json:"buildId,omitempty"` // hexadecimal
	Authors     string `json:"authors,omitempty"`
	Description string `json:"description,omitempty"`
	Licenses    string `json:"licenses,omitempty"` // SPDX expression, unchecked
	Source      string `json:"source,omitempty"`
	Homepage    string `json:"homepage,omitempty"`
	Revision    string `json:"revision,omitempty"`
	Version     string `json:"version,omitempty"`
}

// A Producer is a tool or language that took part; of a component, those of its
// nested modules and components are among them.
type Producer struct {
	Field   string `json:"field"` // "language", "processed-by" or "sdk"
	Name    string `json:"name"`
	Version string `json:"version"`
}

// An Import is something the binary needs. Module is empty for components,
// whose names say both: "wasi:cli/stdout@0.2.0".
type Import struct {
	Module string `json:"module,omitempty"`
	Name   string `json:"name"`
	Kind   string `json:"kind"` // "func", "table", "memory", "global", "tag"; of components "func", "instance", "type", …
	Type   string `json:"type,omitempty"`
}

// An Export is something the binary offers.
type Export struct {
	Name string `json:"name"`
	Kind string `json:"kind"`
	Type string `json:"type,omitempty"`
}

// A Section is a part of the file. Name is the specification's word, or a custom
// section's own name; Size counts its contents, without the header.
type Section struct {
	ID     int    `json:"id"`
	Name   string `json:"name"`
	Custom bool   `json:"custom,omitempty"`
	Offset int64  `json:"offset"` // bytes from the start of the file
	Size   int64  `json:"size"`   // bytes
}

// A Module describes a core module; one inside a component has an Offset.
type Module struct {
	Name      string   `json:"name,omitempty"`
	Offset    int64    `json:"offset"` // bytes from the start of the file
	Size      int64    `json:"size"`   // bytes
	Functions int      `json:"functions"`
	Imported  int      `json:"importedFunctions"`
	Types     int      `json:"types"`
	Globals   int      `json:"globals"`
	Elements  int      `json:"elementSegments"`
	Segments  int      `json:"dataSegments"`
	CodeSize  int64    `json:"codeSize"` // bytes
	DataSize  int64    `json:"dataSize"` // bytes
	Start     *uint32  `json:"start,omitempty"`
	Memories  []Memory `json:"memories"`
	Tables    []Table  `json:"tables"`

	// Imports are the names of the modules it imports from, sorted.
	Imports []string `json:"importModules"`

	// Code sums up its functions; only Inspect looks at them.
	Code *Code `json:"code,omitempty"`
}

// Code is the analysis of a module's functions.
type Code struct {
	code.Summary

	// Sizes attributes bytes to sections, data segments, and to the packages,
	// crates and namespaces that the names of functions tell.
	Sizes code.Sizes `json:"sizes"`
}

// CoreModules are the core modules of the binary at any depth: the binary itself
// if it is one.
func (rep *Report) CoreModules() []*Module {
	switch {
	case rep.Module != nil:
		return []*Module{rep.Module}
	case rep.Component == nil:
		return nil
	}
	list := make([]*Module, len(rep.Component.Modules))
	for i := range list {
		list[i] = &rep.Component.Modules[i]
	}
	return list
}

// A Memory is a linear memory, imported or not. Sizes are counted in pages.
type Memory struct {
	Min      uint64  `json:"min"`
	Max      *uint64 `json:"max,omitempty"`
	PageSize uint64  `json:"pageSize"` // bytes
	Shared   bool    `json:"shared,omitempty"`
	Memory64 bool    `json:"memory64,omitempty"`
}

// A Table is a table of references. Sizes are counted in elements.
type Table struct {
	Element string  `json:"element"`
	Min     uint64  `json:"min"`
	Max     *uint64 `json:"max,omitempty"`
	Table64 bool    `json:"table64,omitempty"`
}

// A Component describes a component or WIT package by the names it is known by.
type Component struct {
	// Imports and Exports are sorted names: interfaces "ns:pkg/iface@1.2.3" and
	// plain ones. A WIT package has no imports, and exports its interfaces and
	// worlds.
	Imports []string `json:"imports"`
	Exports []string `json:"exports"`

	// Target is the world it fits if that follows from its imports and exports,
	// "wasi:cli/command@0.2.0".
	Target string `json:"target,omitempty"`

	// Package, Worlds and Interfaces are those of a WIT package.
	Package    string   `json:"package,omitempty"`
	Worlds     []string `json:"worlds"`
	Interfaces []string `json:"interfaces"`

	// Modules are the core modules at any depth, Components counts the nested
	// components.
	Modules    []Module `json:"modules"`
	Components int      `json:"components"`
}

// A Problem is a fault at a byte of the file.
type Problem struct {
	Offset  int64  `json:"offset"`
	Message string `json:"message"`
}

// Describe reports what the binary in the first size bytes of r declares, without
// reading its code and data: enough to pack it, and no memory that grows with
// them. What is no binary is refused with the [*wasm.Error] that says where.
func Describe(r io.ReaderAt, size int64) (*Report, error) {
	b, err := wasm.Decode(r, size)
	if err != nil {
		return nil, err
	}
	return describe(b, size, newRoom(b)), nil
}

// describe is the part of a report that declarations give, within a room.
func describe(b *wasm.Binary, size int64, r *room) *Report {
	rep := &Report{
		SchemaVersion: SchemaVersion,
		MediaType:     MediaType,
		Kind:          KindModule,
		Size:          size,
		Metadata:      metadata(b.Metadata),
		Producers:     producers(b, r),
		Features:      features(b, r),
		Sections:      sections(b, r),
		Problems:      problems(b, r),
	}
	if b.Kind == wasm.KindModule {
		rep.module(b, r)
	} else {
		rep.component(b, r)
	}
	rep.WASI, rep.Truncated = generation(b, rep), r.cuts
	return rep
}

// Sizes in bytes of the entries of lists; a test compares them with the
// compiler's.
const (
	sizeImport   = 64
	sizeExport   = 48
	sizeSection  = 48
	sizeProducer = 48
	sizeProblem  = 24
	sizeMemory   = 32 + 8 // with the maximum
	sizeTable    = 40 + 8
)

func (rep *Report) module(b *wasm.Binary, r *room) {
	m := describeModule(b, r)
	rep.Module = &m
	p := printer{room: r}
	rep.Imports = listOf(r, "imports", sizeImport, b.Module.Imports, func(im wasm.Import) Import {
		t := p.print(func() string { return b.Module.ImportType(im) })
		return Import{Module: im.Module, Name: im.Name, Kind: im.Kind.String(), Type: t}
	})
	rep.Exports = listOf(r, "exports", sizeExport, b.Module.Exports, func(ex wasm.Export) Export {
		t := p.print(func() string { return b.Module.ExportType(ex) })
		return Export{Name: ex.Name, Kind: ex.Kind.String(), Type: t}
	})
}

func describeModule(b *wasm.Binary, r *room) Module {
	m := b.Module
	d := Module{
		Name: b.Metadata.Name, Offset: b.Offset, Size: b.Size,
		Functions: m.Defined, Imported: len(m.Functions) - m.Defined, Types: len(m.Types), Globals: len(m.Globals),
		Elements: m.Elements, Segments: m.Segments, CodeSize: m.CodeSize, DataSize: m.DataSize,
	}
	if m.Start >= 0 {
		start := uint32(m.Start)
		d.Start = &start
	}
	d.Memories = listOf(r, "memories", sizeMemory, m.Memories, func(mem wasm.MemoryType) Memory {
		return Memory{Min: mem.Min, Max: maximum(mem.Limits), PageSize: mem.PageSize, Shared: mem.Shared, Memory64: mem.Is64}
	})
	d.Tables = listOf(r, "tables", sizeTable, m.Tables, func(t wasm.TableType) Table {
		return Table{Element: t.Elem.String(), Min: t.Min, Max: maximum(t.Limits), Table64: t.Is64}
	})
	d.Imports = namesOf(r, "importModules", m.Imports, func(im wasm.Import) string { return im.Module })
	return d
}

func maximum(l wasm.Limits) *uint64 {
	if !l.HasMax {
		return nil
	}
	return &l.Max
}

func metadata(m wasm.Metadata) Metadata {
	return Metadata{
		Name: m.Name, BuildID: hex.EncodeToString(m.BuildID), Authors: m.Authors, Description: m.Description,
		Licenses: m.Licenses, Source: m.Source, Homepage: m.Homepage, Revision: m.Revision, Version: m.Version,
	}
}

func sections(b *wasm.Binary, r *room) []Section {
	return listOf(r, "sections", sizeSection, b.Sections, func(s wasm.Section) Section {
		d := Section{ID: int(s.ID), Name: s.Name, Custom: s.ID == 0, Offset: s.Offset, Size: s.Size}
		if !d.Custom {
			d.Name = wasm.SectionName(b.Kind, s.ID)
		}
		return d
	})
}

// walk calls f for b and every binary inside it.
func walk(b *wasm.Binary, f func(*wasm.Binary)) {
	f(b)
	if b.Component == nil {
		return
	}
	for _, m := range b.Component.Modules {
		walk(m, f)
	}
	for _, c := range b.Component.Components {
		walk(c, f)
	}
}

// gather puts the lists of b and every binary inside it together.
func gather[T any](b *wasm.Binary, of func(*wasm.Binary) []T) []T {
	var lists [][]T
	walk(b, func(b *wasm.Binary) {
		if list := of(b); len(list) > 0 {
			lists = append(lists, list)
		}
	})
	if len(lists) == 1 {
		return lists[0]
	}
	return slices.Concat(lists...)
}

func producers(b *wasm.Binary, r *room) []Producer {
	all := gather(b, func(b *wasm.Binary) []wasm.Producer { return b.Metadata.Producers })
	list := listOf(r, "producers", sizeProducer, all, func(p wasm.Producer) Producer { return Producer(p) })
	slices.SortFunc(list, func(a, b Producer) int {
		return cmp.Or(strings.Compare(a.Field, b.Field), strings.Compare(a.Name, b.Name), strings.Compare(a.Version, b.Version))
	})
	return slices.Compact(list)
}

func features(b *wasm.Binary, r *room) []string {
	all := gather(b, func(b *wasm.Binary) []wasm.Feature { return b.Metadata.Features })
	list := listOf(r, "features", header, all, func(f wasm.Feature) string {
		s := string(rune(f.Prefix)) + f.Name
		r.text(s)
		return s
	})
	slices.Sort(list)
	return slices.Compact(list)
}

func problems(b *wasm.Binary, r *room) []Problem {
	all := gather(b, func(b *wasm.Binary) []*wasm.Error { return b.Problems })
	list := listOf(r, "problems", sizeProblem, all, func(p *wasm.Error) Problem {
		s := fmt.Sprintf("%s: %v", p.Doing, p.Err)
		r.text(s)
		return Problem{Offset: p.Offset, Message: s}
	})
	slices.SortStableFunc(list, func(a, b Problem) int { return cmp.Compare(a.Offset, b.Offset) })
	return list
}
