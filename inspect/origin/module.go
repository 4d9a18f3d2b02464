package origin

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/wreg-project/wreg/inspect/symbol"
	"github.com/wreg-project/wreg/inspect/wasm"
)

// IDs of the sections of a component that name what it imports and exports
// (component model, Binary.md, "Import and Export Definitions").
const (
	componentImports = 10
	componentExports = 11
)

// An observer holds what one module or component shows of the things that the
// rules ask for.
type observer struct {
	b        *wasm.Binary
	seen     []observation // by the index of the thing
	versions []version     // that strings in the data gave, in the order of the file
}

// An observation is how often a thing was seen, and the first time.
type observation struct {
	count  int
	what   string
	offset int64
}

// A version is one that follows a string in the data.
type version struct {
	thing  int
	text   string
	offset int64
}

// maxVersions bounds the different versions taken from one module. Code of
// several releases of a compiler is linked together now and then.
const maxVersions = 8

// see notes a thing. Where it is, is asked for the first one only.
func (o *observer) see(thing int, what string, offset func() int64) {
	s := &o.seen[thing]
	if s.count++; s.count == 1 {
		s.what, s.offset = clip(what), offset()
	}
}

func clip(s string) string {
	if len(s) <= maxWhat {
		return s
	}
	return strings.ToValidUTF8(s[:maxWhat-len("…")], "") + "…"
}

// observe starts with nothing seen. The table is used again for the next
// module: a hostile component holds thousands.
func (c *collector) observe(b *wasm.Binary) *observer {
	if c.seen == nil {
		c.seen = make([]observation, len(things().list))
	}
	clear(c.seen)
	return &observer{b: b, seen: c.seen}
}

// module looks at a core module.
func (c *collector) module(b *wasm.Binary) {
	o := c.observe(b)
	o.sections()
	o.imports()
	o.exports()
	o.symbols()
	o.data()
	o.shapes()
	c.apply(o)
}

// component looks at what a component itself has; its modules are apart.
func (c *collector) component(b *wasm.Binary) {
	o := c.observe(b)
	o.sections()
	for _, im := range b.Component.Imports {
		things().imports.match(im.Name, "", func(t int) {
			o.see(t, im.Name, func() int64 { return o.find(lebString(im.Name), componentImports) })
		})
	}
	for _, ex := range b.Component.Exports {
		things().exports.match("", ex.Name, func(t int) {
			o.see(t, ex.Name, func() int64 { return o.find(lebString(ex.Name), componentExports) })
		})
	}
	o.shapes()
	c.apply(o)
}

func (o *observer) sections() {
	for _, s := range o.b.Sections {
		if s.ID == wasm.SectionCustom {
			things().sections.match("", s.Name, func(t int) { o.see(t, s.Name, func() int64 { return s.Offset }) })
		}
	}
}

func (o *observer) imports() {
	for i := range o.b.Module.Imports {
		im := &o.b.Module.Imports[i]
		things().imports.match(im.Module, im.Name, func(t int) {
			o.see(t, im.Module+" "+im.Name, func() int64 { return o.importOffset(im) })
		})
	}
}

// importOffset finds the entry of an import by its bytes, or, in the compact
// form of the section, its name.
func (o *observer) importOffset(im *wasm.Import) int64 {
	if off := o.find(lebString(im.Module)+lebString(im.Name), wasm.SectionImport); off >= 0 {
		return off
	}
	return o.find(lebString(im.Name), wasm.SectionImport)
}

func (o *observer) exports() {
	for i := range o.b.Module.Exports {
		ex := &o.b.Module.Exports[i]
		things().exports.match("", ex.Name, func(t int) {
			o.see(t, ex.Name, func() int64 { return o.find(lebString(ex.Name), wasm.SectionExport) })
		})
	}
}

// lebString is a name as the binary format has it, after its length.
func lebString(s string) string {
	return string(binary.AppendUvarint(nil, uint64(len(s)))) + s
}

// find gives the place of some bytes in the sections of an id, -1 if they are
// not there: a length may be written in more bytes than it needs.
func (o *observer) find(entry string, id byte) int64 {
	for _, s := range o.b.Sections {
		if s.ID != id {
			continue
		}
		if i := bytes.Index(o.b.Bytes(s.Body, s.Size), []byte(entry)); i >= 0 {
			return s.Body + int64(i)
		}
	}
	return -1
}

// symbols tallies the names of functions.
func (o *observer) symbols() {
	var tally symbol.Tally
	first := map[symbol.Scheme]string{}
	at := func(name string) func() int64 {
		return func() int64 { return o.findCustom("name", lebString(name)) }
	}
	for _, name := range o.b.Module.Names.Funcs() {
		s := tally.Add(name)
		if _, ok := first[s]; !ok {
			first[s] = name
		}
		things().symbols.match("", name, func(t int) { o.see(t, name, at(name)) })
	}
	for scheme, list := range things().schemes {
		n, example := tally.Count(scheme), first[scheme]
		if example == "" || n*minShare < tally.Total() {
			continue
		}
		what := fmt.Sprintf("%d of %d names, as %s", n, tally.Total(), example)
		for _, t := range list {
			o.see(t, what, at(example))
		}
	}
}

// minShare is one over the share of the names of a module that must follow a
// scheme: a handful may be anything.
const minShare = 100

func (o *observer) findCustom(section, entry string) int64 {
	for _, s := range o.b.Sections {
		if s.ID != wasm.SectionCustom || s.Name != section {
			continue
		}
		if i := bytes.Index(o.b.Bytes(s.Body, s.Size), []byte(entry)); i >= 0 {
			return s.Body + int64(i)
		}
	}
	return -1
}

// data searches the data section, and the strings of debugging information, for
// all strings of the rules at once. The headers of segments are searched too:
// they are few bytes, and make no words.
func (o *observer) data() {
	for _, s := range o.b.Sections {
		if s.ID != wasm.SectionData && (s.ID != wasm.SectionCustom || s.Name != ".debug_str") {
			continue
		}
		body := o.b.Bytes(s.Body, s.Size)
		things().scanner.Scan(body, func(p, off int) bool {
			t := things().data[p]
			o.see(t, printable(things().list[t].text), func() int64 { return s.Body + int64(off) })
			o.version(t, body[off+len(things().strings[p]):], s.Body+int64(off))
			return true
		})
	}
}

// version takes the version from what follows a string.
func (o *observer) version(thing int, tail []byte, offset int64) {
	read := versions[things().list[thing].text]
	if read == nil || len(o.versions) >= maxVersions {
		return
	}
	text := read(tail[:min(len(tail), 80)])
	same := func(v version) bool { return v.thing == thing && v.text == text }
	if text == "" || slices.ContainsFunc(o.versions, same) {
		return
	}
	o.versions = append(o.versions, version{thing, text, offset})
}

// printable shows a string of the rules that holds bytes of UTF-16.
func printable(s string) string { return strings.ReplaceAll(s, "\x00", "") }

func (o *observer) shapes() {
	for name, t := range things().shapes {
		if what, off, ok := shapes[name](o.b); ok {
			o.see(t, what, func() int64 { return off })
		}
	}
}
