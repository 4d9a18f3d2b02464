package capability

import (
	_ "embed"
	"fmt"
	"strings"
	"sync"
)

//go:embed table.txt
var tableText string

// A Grant is a capability with ways of access.
type Grant struct {
	ID     ID
	Access []string
}

// A role is given to an import whose meaning depends on its arguments and on
// what else is imported.
type role byte

const (
	roleNone       role = iota
	roleOpen            // opens a file by name
	roleRead            // reads from a descriptor
	roleList            // lists the directory of a descriptor
	roleWrite           // writes to a descriptor
	roleResize          // changes size, times or allocation of a descriptor
	roleDescriptor      // asks for or changes the state of a descriptor, or closes it
	roleSocket          // makes a socket
	roleSend            // sends to a descriptor that is a socket
	roleReceive         // receives from one
)

var roleNames = map[string]role{
	"@open": roleOpen, "@read": roleRead, "@list": roleList, "@write": roleWrite, "@resize": roleResize,
	"@descriptor": roleDescriptor, "@socket": roleSocket, "@send": roleSend, "@receive": roleReceive,
}

// A Meaning is what the table says of an import.
type Meaning struct {
	// Host is the family of hosts that provide the import, as "WASI 0.1"; empty
	// if no entry matches.
	Host string

	// Grants are the capabilities the import gives by itself, none for plumbing.
	Grants []Grant

	role role
}

// Known says whether the table has an entry for the import.
func (m Meaning) Known() bool { return m.Host != "" }

// Depends says that what the import gives depends on its arguments and on what
// else is imported; Grants is then empty.
func (m Meaning) Depends() bool { return m.role != roleNone }

// A family is the block of the table for one or several import modules.
type family struct {
	names    map[string]Meaning
	patterns []pattern
	like     string
}

type pattern struct {
	glob    string
	meaning Meaning
}

type table struct {
	exact map[string][]*family
	globs []struct {
		glob string
		fam  *family
	}
	doc []docLine
}

// A docLine is a line of the table as documentation needs it.
type docLine struct {
	host    string
	modules []string
	meaning Meaning
	names   []string
}

var loaded = sync.OnceValue(func() *table {
	t, err := parseTable(tableText)
	if err != nil {
		panic(err) // the table is part of the program, and a test reads it
	}
	return t
})

// parseTable reads the format that table.txt describes.
func parseTable(text string) (*table, error) {
	t := &table{exact: map[string][]*family{}}
	var host string
	var modules []string
	var fam *family
	for i, line := range strings.Split(text, "\n") {
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0] == "#" {
			continue
		}
		fail := func(problem string) error {
			return fmt.Errorf("table line %d: %s: %q", i+1, problem, line)
		}
		switch {
		case fields[0] == "host":
			host = strings.Join(fields[1:], " ")
		case fields[0] == "module":
			fam, modules = &family{names: map[string]Meaning{}}, fields[1:]
			t.add(modules, fam)
		case fam == nil || len(fields) < 2:
			return nil, fail("incomplete")
		case fields[0] == "like":
			fam.like = fields[1]
		default:
			m, err := parseMeaning(fields[0])
			if err != nil {
				return nil, fail(err.Error())
			}
			m.Host = host
			fam.add(fields[1:], m)
			t.doc = append(t.doc, docLine{host, modules, m, fields[1:]})
		}
	}
	return t, nil
}

func parseMeaning(s string) (Meaning, error) {
	if s == "-" {
		return Meaning{}, nil
	}
	if s == jsTable {
		return Meaning{role: roleJS}, nil
	}
	if r, ok := roleNames[s]; ok {
		return Meaning{role: r}, nil
	}
	var m Meaning
	for _, part := range strings.Split(s, "+") {
		id, access, _ := strings.Cut(part, ":")
		g := Grant{ID: ID(id)}
		if access != "" {
			g.Access = strings.Split(access, ",")
		}
		if _, ok := index[g.ID]; !ok {
			return Meaning{}, fmt.Errorf("unknown capability %q", id)
		}
		m.Grants = append(m.Grants, g)
	}
	return m, nil
}

// jsTable stands in the table for the names of JavaScript interfaces; roleJS
// never leaves this file.
const (
	jsTable = "@js"
	roleJS  = roleReceive + 1
)

func (t *table) add(modules []string, fam *family) {
	for _, m := range modules {
		if strings.Contains(m, "*") {
			t.globs = append(t.globs, struct {
				glob string
				fam  *family
			}{m, fam})
			continue
		}
		t.exact[m] = append(t.exact[m], fam)
	}
}

func (f *family) add(names []string, m Meaning) {
	for _, n := range names {
		if strings.Contains(n, "*") {
			f.patterns = append(f.patterns, pattern{n, m})
		} else if _, ok := f.names[n]; !ok {
			f.names[n] = m
		}
	}
}

// Lookup says what the import of a function means by its names alone. For an
// import of a component the module is the interface, "wasi:cli/exit@0.2.0".
func Lookup(module, name string) Meaning {
	t := loaded()
	module, name = normalise(module, name)
	if strings.HasPrefix(module, "[export]") || plumbing(name) {
		return Meaning{Host: componentHost}
	}
	m, _ := t.lookup(module, name)
	if m.role == roleJS {
		host := m.Host
		m, _ = t.lookup(jsTable, jsName(name))
		m.Host = host
	}
	return m
}

const componentHost = "Components themselves"

// normalise takes off what names carry besides the interface and function: the
// version of a package, the prefixes of the encodings of core names that
// component tools know, and the type that an old one of them wrote after the
// name.
func normalise(module, name string) (string, string) {
	module = strings.TrimPrefix(module, "cm32p2|")
	if strings.Contains(module, ":") {
		module, _, _ = strings.Cut(module, "@")
	}
	name, _, _ = strings.Cut(name, ": func(")
	for _, p := range []string{"[async-lower]", "[async]"} {
		name = strings.TrimPrefix(name, p)
	}
	return module, name
}

// plumbing recognises the built-in functions of the component model among the
// imports of a core module: they hand values over, and reach nothing outside.
func plumbing(name string) bool {
	if len(name) == 0 || name[0] != '[' {
		return false
	}
	for _, p := range []string{"[method]", "[static]", "[constructor]", "[thread."} {
		if strings.HasPrefix(name, p) {
			return false
		}
	}
	return true
}

func (t *table) lookup(module, name string) (Meaning, bool) {
	fams := t.exact[module]
	for _, f := range fams {
		if m, ok := f.names[name]; ok {
			return m, true
		}
	}
	for _, f := range fams {
		if m, ok := f.match(name); ok {
			return m, true
		}
	}
	for _, f := range fams {
		if f.like != "" {
			return t.lookup(f.like, name)
		}
	}
	for _, g := range t.globs {
		if !globMatch(g.glob, module) {
			continue
		}
		if m, ok := g.fam.names[name]; ok {
			return m, true
		}
		if m, ok := g.fam.match(name); ok {
			return m, true
		}
	}
	return Meaning{}, false
}

func (f *family) match(name string) (Meaning, bool) {
	for _, p := range f.patterns {
		if globMatch(p.glob, name) {
			return p.meaning, true
		}
	}
	return Meaning{}, false
}

// globMatch matches s against a pattern in which "*" stands for any text. It
// takes time proportional to the product of the lengths at worst; patterns are
// those of the table.
func globMatch(pattern, s string) bool {
	head, rest, star := strings.Cut(pattern, "*")
	if !strings.HasPrefix(s, head) || !star && s != head {
		return false
	}
	s = s[len(head):]
	for star {
		var part string
		part, rest, star = strings.Cut(rest, "*")
		if !star {
			return strings.HasSuffix(s, part)
		}
		i := strings.Index(s, part)
		if i < 0 {
			return false
		}
		s = s[i+len(part):]
	}
	return true
}

// jsName gives the name of the JavaScript interface behind an import of
// wasm-bindgen: "fetch" of "__wbg_fetch_0f3a8c1e2b4d5f60". A name that was not
// made by that scheme is left as it is.
func jsName(name string) string {
	s, ok := strings.CutPrefix(name, "__wbg_")
	if !ok {
		return name
	}
	if i := strings.LastIndexByte(s, '_'); i > 0 && len(s)-i == 17 && isHex(s[i+1:]) {
		s = s[:i]
	}
	return s
}

func isHex(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
