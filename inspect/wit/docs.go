package wit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/wreg-project/wreg/inspect/wasm"
)

// inject adds the comments and gates that the section package-docs tells about
// a package, and says what is wrong with it.
//
// The section is what wit-component writes: a byte with the version, 0 or 1,
// and JSON in the shape of the package. Version 1 added the gates.
func inject(p *Package, b *wasm.Binary) []string {
	var problems []string
	found := false
	for _, s := range b.Sections {
		if s.ID != 0 || s.Name != "package-docs" {
			continue
		}
		if found {
			return append(problems, "a second section package-docs is ignored")
		}
		found = true
		if s.Size > MaxDocs {
			return append(problems, fmt.Sprintf("package-docs of %d bytes is ignored, more than %d", s.Size, MaxDocs))
		}
		content := b.Bytes(s.Body, s.Size)
		if len(content) == 0 {
			return append(problems, "package-docs is empty")
		}
		if content[0] > 1 {
			return append(problems, fmt.Sprintf("package-docs of version %d is ignored", content[0]))
		}
		d := &docsDecoder{dec: json.NewDecoder(bytes.NewReader(content[1:]))}
		d.pkg(p)
		if d.err != nil {
			problems = append(problems, "package-docs: "+d.err.Error())
		}
	}
	return problems
}

// A docsDecoder reads the JSON token by token and gives each text to what it is
// about at once, so that nothing is kept of what is about nothing. The first
// error ends it.
type docsDecoder struct {
	dec *json.Decoder
	err error
}

var errShape = errors.New("not in the shape of a package")

func (d *docsDecoder) token() json.Token {
	if d.err != nil {
		return nil
	}
	t, err := d.dec.Token()
	if err != nil {
		d.err = err
	}
	return t
}

// object reads an object, each value by a call with its key, which reads all of
// it.
func (d *docsDecoder) object(each func(key string)) {
	if d.token() != json.Delim('{') && d.err == nil {
		d.err = errShape
	}
	d.members(each)
}

// members reads what follows an opening brace.
func (d *docsDecoder) members(each func(key string)) {
	for d.err == nil && d.dec.More() {
		if key, ok := d.token().(string); ok {
			each(key)
		}
	}
	d.token()
}

// skip reads over one value.
func (d *docsDecoder) skip() {
	for depth := 0; ; {
		switch d.token() {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if depth == 0 || d.err != nil {
			return
		}
	}
}

// text reads a string or null.
func (d *docsDecoder) text() string {
	switch t := d.token().(type) {
	case string:
		return t
	case nil:
		return ""
	default:
		if d.err == nil {
			d.err = errShape
		}
		return ""
	}
}

// comment reads the text of a comment as comments can hold it.
func (d *docsDecoder) comment(to *string) {
	if text := d.text(); text != "" && to != nil {
		*to = cleanDocs(strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n"))
	}
}

func (d *docsDecoder) pkg(p *Package) {
	interfaces := map[string]*Interface{}
	for _, i := range p.Interfaces {
		interfaces[i.Name] = i
	}
	worlds := map[string]*World{}
	for _, w := range p.Worlds {
		worlds[w.Name] = w
	}
	d.object(func(key string) {
		switch key {
		case "docs":
			d.comment(&p.Docs)
		case "interfaces":
			d.object(func(name string) { d.iface(interfaces[name]) })
		case "worlds":
			d.object(func(name string) { d.world(p.Name, worlds[name]) })
		default:
			d.skip()
		}
	})
}

// A described is what may have comments, found by the names of the section.
type described struct {
	types map[string]*TypeDef
	uses  map[string]*Meta
	funcs map[string]*Meta
}

func describe(uses []Use, types []*TypeDef, funcs []*Func) described {
	s := described{types: map[string]*TypeDef{}, uses: map[string]*Meta{}, funcs: map[string]*Meta{}}
	for i := range uses {
		s.uses[uses[i].Names[0].local()] = &uses[i].Meta
	}
	for _, t := range types {
		s.types[t.Name] = t
		for _, f := range t.Funcs {
			if f.Kind == FuncConstructor {
				s.funcs["[constructor]"+t.Name] = &f.Meta
			} else {
				s.funcs["["+string(f.Kind)+"]"+t.Name+"."+f.Name] = &f.Meta
			}
		}
	}
	for _, f := range funcs {
		s.funcs[f.Name] = &f.Meta
	}
	return s
}

func (d *docsDecoder) iface(i *Interface) {
	if i == nil {
		d.skip()
		return
	}
	s := describe(i.Uses, i.Types, i.Funcs)
	d.object(func(key string) {
		if !d.meta(&i.Meta, key) && !d.described(s, key) {
			d.skip()
		}
	})
}

// meta reads the comment and the gates of something, if key is one of these.
func (d *docsDecoder) meta(m *Meta, key string) bool {
	switch key {
	case "docs":
		d.comment(&m.Docs)
	case "stability":
		d.stability(m)
	default:
		return false
	}
	return true
}

// described reads the maps of types and functions, if key is one of these.
func (d *docsDecoder) described(s described, key string) bool {
	switch key {
	case "types":
		d.object(func(name string) { d.typeDef(s, name) })
	case "funcs":
		d.object(func(name string) { d.function(s.funcs[name]) })
	default:
		return false
	}
	return true
}

func (d *docsDecoder) typeDef(s described, name string) {
	t, m := s.types[name], s.uses[name]
	if t != nil {
		m = &t.Meta
	}
	if m == nil {
		d.skip()
		return
	}
	d.object(func(key string) {
		switch {
		case key == "items" && t != nil:
			items := map[string]*Item{}
			for i := range t.Items {
				items[t.Items[i].Name] = &t.Items[i]
			}
			d.object(func(name string) {
				if i := items[name]; i != nil {
					d.comment(&i.Docs)
				} else {
					d.skip()
				}
			})
		case !d.meta(m, key):
			d.skip()
		}
	})
}

// function reads what is told of a function: in version 0, its comment alone.
func (d *docsDecoder) function(m *Meta) {
	if m == nil {
		d.skip()
		return
	}
	switch t := d.token().(type) {
	case string:
		m.Docs = cleanDocs(strings.Split(t, "\n"))
	case json.Delim:
		if t != '{' {
			d.err = errShape
		}
		d.members(func(key string) {
			if !d.meta(m, key) {
				d.skip()
			}
		})
	}
}

// stability reads {"stable": {"since": "1.2.3"}}, {"unstable": {"feature":
// "name"}}, either with "deprecated", or "unknown".
func (d *docsDecoder) stability(m *Meta) {
	if d.token() != json.Delim('{') {
		return
	}
	d.members(func(string) {
		d.object(func(key string) {
			v := d.text()
			switch {
			case key == "feature" && kebab(v):
				m.Unstable = v
			case key == "since" && validVersion(v):
				m.Since = v
			case key == "deprecated" && (validVersion(v) || v == ""):
				m.Deprecated = v
			case d.err == nil:
				d.err = fmt.Errorf("gate %s = %q", key, v)
			}
		})
	})
}

// world reads what is told of a world. What is imported and exported under one
// name stands in two maps; what is only exported, in the first.
func (d *docsDecoder) world(pkg PackageName, w *World) {
	if w == nil {
		d.skip()
		return
	}
	s := describe(w.Uses, w.Types, nil)
	imports, exports := externs(pkg, w.Imports), externs(pkg, w.Exports)
	either := func(name string) *Extern {
		if e := imports[name]; e != nil {
			return e
		}
		return exports[name]
	}
	d.object(func(key string) {
		switch key {
		case "interfaces":
			d.object(func(name string) { d.inline(either(name)) })
		case "interface_exports":
			d.object(func(name string) { d.inline(exports[name]) })
		case "funcs":
			d.object(func(name string) {
				if m := s.funcs[name]; m != nil {
					d.function(m)
				} else {
					d.function(either(name).function())
				}
			})
		case "func_exports":
			d.object(func(name string) { d.function(exports[name].function()) })
		case "interface_import_stability":
			d.object(func(name string) { d.gates(imports[name]) })
		case "interface_export_stability":
			d.object(func(name string) { d.gates(exports[name]) })
		case "interface_import_docs":
			d.object(func(name string) { d.comment(imports[name].docs()) })
		case "interface_export_docs":
			d.object(func(name string) { d.comment(exports[name].docs()) })
		default:
			if !d.meta(&w.Meta, key) && !d.described(s, key) {
				d.skip()
			}
		}
	})
}

// externs finds imports or exports by the names they have in the binary, where a
// path is always a full one.
func externs(pkg PackageName, all []Extern) map[string]*Extern {
	m := map[string]*Extern{}
	for i := range all {
		e := &all[i]
		if e.Name == "" && e.Path.Package == (PackageName{}) {
			m[Path{Package: pkg, Name: e.Path.Name}.String()] = e
		} else {
			m[e.String()] = e
		}
	}
	return m
}

func (e *Extern) function() *Meta {
	if e == nil || e.Func == nil {
		return nil
	}
	return &e.Func.Meta
}

func (e *Extern) docs() *string {
	if e == nil {
		return nil
	}
	return &e.Docs
}

func (d *docsDecoder) gates(e *Extern) {
	if e == nil {
		d.skip()
		return
	}
	d.stability(&e.Meta)
}

// inline reads what is told of an interface in its place, whose comment is that
// of the import or export.
func (d *docsDecoder) inline(e *Extern) {
	if e == nil || e.Interface == nil {
		d.skip()
		return
	}
	d.iface(e.Interface)
	if e.Interface.Docs != "" && e.Docs == "" {
		e.Docs = e.Interface.Docs
	}
	if e.gates() == (Meta{}) {
		g := e.Interface.gates()
		g.Docs = e.Docs
		e.Meta = g
	}
	e.Interface.Meta = Meta{}
}
