package signal

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/wreg-project/wreg/inspect/precompiled"
	"github.com/wreg-project/wreg/inspect/text"
	"github.com/wreg-project/wreg/inspect/wasm"
)

// A Forgery is what an analysis of the origin of a binary found to disagree: what
// its producers section claims and what its code shows.
type Forgery struct {
	Offset int64 // of the section in the file
	Claim  string
	Trace  string
	Sure   bool
}

// Structure looks at the sections and declarations of b and of all binaries in
// it, and at the contents of custom sections. B must come from [wasm.Parse].
func Structure(b *wasm.Binary, forged []Forgery) *Findings {
	f := &Findings{}
	for _, g := range forged {
		score := 30
		if g.Sure {
			score = 50
		}
		f.add(ruleProducers, score, Place{Offset: g.Offset, Section: "producers"}, func() string {
			return "claims " + g.Claim + ", shows " + g.Trace
		})
	}
	w := &walker{f, newScanner(f, nil)}
	w.walk(b, 0)
	return f
}

// A walker goes through nested binaries. It has one scanner for all custom
// sections, of which there may be a hundred thousand.
type walker struct {
	*Findings
	scanner *scanner
}

func (w *walker) walk(b *wasm.Binary, depth int) {
	w.module = 0
	if depth > 0 {
		w.module = b.Offset
	}
	w.sections(b)
	if b.Kind == wasm.KindModule {
		w.sizes(b)
		w.memories(b)
		w.exposed(b)
		w.stack(b)
		if b.Module.Start >= 0 {
			fn := uint32(b.Module.Start)
			w.add(ruleStart, 5, Place{Offset: sectionOffset(b, wasm.SectionStart), Section: "start", Function: &fn}, func() string {
				return fmt.Sprintf("function %d", fn)
			})
		}
		return
	}
	for _, m := range b.Component.Modules {
		w.walk(m, depth+1)
	}
	for _, c := range b.Component.Components {
		w.walk(c, depth+1)
	}
}

// sectionOffset is where the first section of an id begins.
func sectionOffset(b *wasm.Binary, id byte) int64 {
	for _, s := range b.Sections {
		if s.ID == id {
			return s.Offset
		}
	}
	return b.Offset
}

// sections looks at how the sections are written and at custom ones.
func (w *walker) sections(b *wasm.Binary) {
	seen := map[string]int{}
	for i, s := range b.Sections {
		w.header(b, s)
		if s.ID != wasm.SectionCustom {
			continue
		}
		p := Place{Offset: s.Offset, Section: s.Name}
		if uniqueSections[s.Name] && seen[s.Name] > 0 {
			w.add(ruleDuplicateCustom, 25, p, func() string { return fmt.Sprintf("%s, for the %dth time", s.Name, seen[s.Name]+1) })
		}
		if uniqueSections[s.Name] {
			seen[s.Name]++
		}
		if b.Kind == wasm.KindModule {
			w.misplaced(b, s, i)
		}
		w.custom(b, s)
	}
	for _, e := range b.Problems {
		w.add(ruleMalformedCustom, 20, Place{Offset: e.Offset}, e.Error)
	}
}

// header looks at the size of a section, for which linkers reserve five bytes.
func (f *Findings) header(b *wasm.Binary, s wasm.Section) {
	head := b.Bytes(s.Offset+1, min(10, s.End()-s.Offset-1))
	size, n := binary.Uvarint(head)
	if n > 0 && n != unsignedSize(size) && n != 5 {
		f.add(rulePaddedSize, 20, Place{Offset: s.Offset, Section: sectionName(b, s)}, func() string {
			return fmt.Sprintf("size %d in %d bytes", size, n)
		})
	}
}

func sectionName(b *wasm.Binary, s wasm.Section) string {
	if s.ID == wasm.SectionCustom {
		return s.Name
	}
	return wasm.SectionName(b.Kind, s.ID)
}

// uniqueSections are the custom sections of which a binary has one.
var uniqueSections = map[string]bool{
	"name": true, "producers": true, "target_features": true, "dylink": true, "dylink.0": true, "linking": true, "build_id": true,
	"sourceMappingURL": true, "external_debug_info": true, "component-name": true, "package-docs": true,
	"authors": true, "description": true, "licenses": true, "source": true, "homepage": true, "revision": true, "version": true,
	precompiled.SectionName: true,
}

// misplaced checks the order that the core specification wants of the name
// section, and the tool conventions of dylink.0.
func (f *Findings) misplaced(b *wasm.Binary, s wasm.Section, i int) {
	p := Place{Offset: s.Offset, Section: s.Name}
	switch s.Name {
	case "name":
		later := slices.ContainsFunc(b.Sections[i+1:], func(o wasm.Section) bool { return o.ID != wasm.SectionCustom })
		if later {
			f.add(ruleMisplacedCustom, 20, p, func() string { return "name before other sections" })
		}
	case "dylink.0", "dylink":
		if i > 0 {
			f.add(ruleMisplacedCustom, 20, p, func() string { return s.Name + " is not the first section" })
		}
	}
}

// A purpose says what a custom section is for, as far as it matters here.
type purpose int

const (
	unknown purpose = iota
	known           // its text may be of interest
	opaque          // types and numbers only, or names
	debugging
	debugText // debug information with paths and names in it
)

func purposeOf(name string) purpose {
	switch name {
	case ".debug_str", ".debug_line", ".debug_line_str":
		return debugText
	case "name", "linking", "component-name", "target_features", "dylink", "dylink.0", "build_id":
		return opaque
	}
	if knownSections[name] {
		return known
	}
	for _, p := range knownPrefixes {
		if strings.HasPrefix(name, p.prefix) {
			return p.purpose
		}
	}
	return unknown
}

// knownSections are those of the specifications, tool conventions, compilers and
// hosts that put custom sections into modules.
var knownSections = map[string]bool{
	"producers": true, "sourceMappingURL": true, "external_debug_info": true, "package-docs": true, "authors": true, "description": true,
	"licenses": true, "source": true, "homepage": true, "revision": true, "version": true, "__wasm_bindgen_unstable": true,
	"go:buildid": true, "go.buildid": true, "go.version": true, "emscripten_metadata": true, "wasmer_metadata": true, "javy_source": true,
	"runtime_version": true, "runtime_apis": true, "contractspecv0": true, "contractenvmetav0": true, "contractmetav0": true,
	"cw_migrate_version": true, "wizer.initialized": true, ".llvmbc": true, ".llvmcmd": true, "wasi-virt": true, "rustc": true,
	"manifest": true, "dylib": true, "webc": true, "interface-types": true, "wasm-interface-types": true, "wit-component-encoding": true,
}

var knownPrefixes = []struct {
	prefix  string
	purpose purpose
}{
	{".debug_", debugging},
	{"reloc.", opaque},
	{"metadata.code.", opaque},
	{"component-type", opaque}, // a component, of which no code is part
	{"llvm.func_attr.", opaque},
	{"__llvm_", opaque},
	{"icp:", known},
	{"name.", opaque},
	{"pgo", opaque},
}

// custom looks at one custom section.
func (w *walker) custom(b *wasm.Binary, s wasm.Section) {
	contents := b.Bytes(s.Body, s.Size)
	p := Place{Offset: s.Offset, Section: s.Name}
	bytes := func() string { return fmt.Sprintf("%s, %d bytes", s.Name, s.Size) }
	if s.Name == precompiled.SectionName {
		w.wasmEdge(s, contents)
		return
	}
	switch s.Name {
	case "name":
		w.add(ruleNames, 0, p, bytes)
	case "sourceMappingURL":
		w.sourceMap(p, contents)
	case "external_debug_info":
		w.add(ruleDebugInfo, 10, p, bytes)
	}
	switch purposeOf(s.Name) {
	case opaque:
	case debugging:
		w.add(ruleDebugInfo, 10, p, bytes)
	case debugText:
		w.add(ruleDebugInfo, 10, p, bytes)
		w.contents(s, contents, false)
	case known:
		w.contents(s, contents, true)
	case unknown:
		w.unknown(s, contents)
		w.contents(s, contents, true)
	}
}

// contents looks at the bytes of a custom section as if they were data.
func (w *walker) contents(s wasm.Section, b []byte, all bool) {
	sc := w.scanner
	sc.section = s.Name
	sc.span = text.At(s.Body, b)
	if all {
		sc.binary()
		sc.entropy()
	}
	sc.text()
	sc.finish()
}

// sourceMap reports the URL of a source map, a name in LEB128 form.
func (f *Findings) sourceMap(p Place, b []byte) {
	n, skip := binary.Uvarint(b[:min(len(b), 5)])
	url := ""
	if skip > 0 && n <= uint64(len(b)-skip) {
		url = string(b[skip : skip+int(n)])
	}
	score := 5
	if strings.Contains(url, "://") || strings.HasPrefix(url, "/") {
		score = 10
	}
	if strings.HasPrefix(url, "data:") {
		url = url[:min(len(url), 40)]
	}
	f.add(ruleSourceMap, score, p, func() string { return url })
}

// unknown reports a section of unknown purpose, with the entropy of its first
// windows.
func (f *Findings) unknown(s wasm.Section, b []byte) {
	const large = 64 << 10
	score := 5
	if s.Size >= large {
		score = 25
	}
	sample := b[:min(len(b), 64<<10)]
	f.add(ruleUnknownCustom, score, Place{Offset: s.Offset, Section: s.Name}, func() string {
		if len(sample) == 0 {
			return fmt.Sprintf("%q, empty", s.Name)
		}
		return fmt.Sprintf("%q, %d bytes, %.1f bits per byte", s.Name, s.Size, sampleEntropy(sample))
	})
}

func sampleEntropy(b []byte) float64 {
	if len(b) > 1<<15 {
		b = b[:1<<15]
	}
	return randomness(b)
}

// sizes compares functions, code and data.
func (f *Findings) sizes(b *wasm.Binary) {
	const huge, much = 128 << 10, 1 << 20
	m := b.Module
	for i, body := range m.Code {
		if body.Size < huge || 10*body.Size <= 3*m.CodeSize {
			continue
		}
		fn := uint32(m.Imported() + i)
		f.add(ruleHugeFunction, 20, Place{Offset: body.Offset, Section: "code", Function: &fn}, func() string {
			return fmt.Sprintf("function %d has %d of %d bytes of code", fn, body.Size, m.CodeSize)
		})
	}
	if m.DataSize >= much && m.DataSize >= 10*m.CodeSize {
		f.add(ruleMostlyData, 10, Place{Offset: sectionOffset(b, wasm.SectionData), Section: "data"}, func() string {
			return fmt.Sprintf("%d bytes of data, %d of code", m.DataSize, m.CodeSize)
		})
	}
}

// memories looks at the memories of a module.
func (f *Findings) memories(b *wasm.Binary) {
	m := b.Module
	imported := 0
	for _, im := range m.Imports {
		if im.Kind == wasm.ExternMemory {
			at := Place{Offset: sectionOffset(b, wasm.SectionImport), Section: "import"}
			f.add(ruleMemoryImported, 5, at, func() string { return im.Module + "." + im.Name })
			imported++
		}
	}
	p := Place{Offset: sectionOffset(b, wasm.SectionImport), Section: "import"}
	for i, mem := range m.Memories {
		if i >= imported {
			p = Place{Offset: sectionOffset(b, wasm.SectionMemory), Section: "memory"}
		}
		if !mem.HasMax {
			f.add(ruleMemoryUnbounded, 5, p, func() string { return fmt.Sprintf("memory %d: %v", i, mem) })
		}
		if mem.Shared {
			f.add(ruleMemoryShared, 5, p, func() string { return fmt.Sprintf("memory %d: %v", i, mem) })
		}
	}
	if n := len(m.Memories); n > 1 {
		f.add(ruleMemories, 10, p, func() string { return fmt.Sprintf("%d memories", n) })
	}
}

// exposed looks at what others can change: tables and variables.
func (f *Findings) exposed(b *wasm.Binary) {
	m := b.Module
	out := Place{Offset: sectionOffset(b, wasm.SectionExport), Section: "export"}
	for _, ex := range m.Exports {
		switch {
		case ex.Kind == wasm.ExternTable:
			f.add(ruleTableExposed, 10, out, func() string { return "exported as " + ex.Name })
		case ex.Kind == wasm.ExternGlobal && int64(ex.Index) < int64(len(m.Globals)) && m.Globals[ex.Index].Mutable:
			if f.isStackPointer(m, ex) {
				f.add(ruleStackPointer, 15, out, func() string { return "exported as " + ex.Name })
				continue
			}
			f.add(ruleGlobalExposed, 10, out, func() string { return "exported as " + ex.Name })
		}
	}
	in := Place{Offset: sectionOffset(b, wasm.SectionImport), Section: "import"}
	for _, im := range m.Imports {
		if im.Kind == wasm.ExternTable {
			f.add(ruleTableExposed, 10, in, func() string { return "imported as " + im.Module + "." + im.Name })
		}
	}
}

func (f *Findings) isStackPointer(m *wasm.Module, ex wasm.Export) bool {
	return ex.Name == "__stack_pointer" || m.Names.Global(ex.Index) == "__stack_pointer"
}

// stack finds the stack of a program that LLVM compiled: its pointer is the first
// variable and begins at the top, a multiple of 16.
func (f *Findings) stack(b *wasm.Binary) {
	const least = 1024
	m := b.Module
	imported := len(m.Globals) - len(m.Inits)
	if len(m.Inits) == 0 || imported > 0 || !m.Globals[0].Mutable || m.Globals[0].Type != wasm.I32 {
		return
	}
	if name := m.Names.Global(0); name != "" && name != "__stack_pointer" {
		return
	}
	top := m.Inits[0].Value
	if top.Kind != wasm.ConstNumber || uint32(top.Value) < least || top.Value%16 != 0 {
		return
	}
	first, end, any := uint32(0), uint32(0), false
	for _, d := range m.Data {
		if d.Mode != wasm.SegmentActive || d.Memory != 0 || d.Init.Kind != wasm.ConstNumber {
			continue
		}
		at := uint32(d.Init.Value)
		if !any || at < first {
			first = at
		}
		end, any = max(end, at+uint32(d.Size)), true
	}
	if !any || uint32(top.Value) < end {
		return // no data, or the stack is below it
	}
	f.add(ruleStackUnguarded, 20, Place{Offset: sectionOffset(b, wasm.SectionGlobal), Section: "global"}, func() string {
		return fmt.Sprintf("data from %d to %d, stack down from %d", first, end, uint32(top.Value))
	})
}
