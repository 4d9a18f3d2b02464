package reach

import (
	"slices"
	"strings"

	"github.com/wreg-project/wreg/inspect/pclntab"
	"github.com/wreg-project/wreg/inspect/symbol"
	"github.com/wreg-project/wreg/sbom/evidence"
)

// An index is the named functions of a module by package.
type index struct {
	entries []entry
	byName  map[string][]int32 // of a package: its entries
	main    string

	// Of names as they stand in a name section: what people read, of a name and
	// of a function.
	text  func(string) string
	names func(uint32) string
}

// An entry is a function, or one that was inlined into a function.
type entry struct {
	host uint32 // the function that has its code
	name string // without package in Go, mangled in Rust
}

// names lists the functions of the module.
func (a *Analysis) names() *index {
	x := &index{byName: map[string][]int32{}, main: a.opts.Main}
	if a.table != nil {
		a.goNames(x)
		return x
	}
	a.rustNames(x)
	return x
}

func (x *index) add(pkg string, e entry) {
	x.byName[pkg] = append(x.byName[pkg], int32(len(x.entries)))
	x.entries = append(x.entries, e)
}

func (a *Analysis) goNames(x *index) {
	for f := range a.table.Funcs() {
		if s := pclntab.Parse(f.Name); s.Package != "" {
			x.add(s.Package, entry{f.Index, s.Name})
		}
	}
	// One function is inlined at many places, into few others, and names are
	// taken apart once.
	type site struct {
		host uint32
		name string
	}
	seen, parsed := map[site]bool{}, map[string]pclntab.Symbol{}
	err := a.table.Inlined(func(host uint32, name string) {
		if seen[site{host, name}] {
			return
		}
		seen[site{host, name}] = true
		s, ok := parsed[name]
		if !ok {
			s = pclntab.Parse(name)
			parsed[name] = s
		}
		if s.Package != "" {
			x.add(s.Package, entry{host, s.Name})
		}
	})
	if a.whole = err == nil; !a.whole {
		a.hint = evidence.Clean(err.Error(), maxText)
	}
}

// rustNames takes the names of Rust functions. The index is of crates, and has
// names as they stand in the file: to demangle one takes longer than to tell its
// crate, and few are asked for.
func (a *Analysis) rustNames(x *index) {
	names := &a.b.Module.Names
	var tally symbol.Tally
	for _, name := range names.Funcs() {
		tally.Add(name)
	}
	c := tally.Context()
	for f, name := range names.Funcs() {
		if crate := c.Package(name); crate != "" {
			x.add(crate, entry{f, name})
		}
	}
	x.text = func(name string) string { return c.Parse(name).Text }
	x.names = func(f uint32) string { return x.text(names.Func(f)) }
}

func (x *index) shown(f uint32) string {
	if x.names == nil {
		return ""
	}
	return x.names(f)
}

// A finding is what the index has for a query.
type finding struct {
	linked  int      // functions of the package
	targets []uint32 // affected ones, or where they were inlined, sorted
	symbols []string // of the query
}

func (x *index) find(q Query) finding {
	list := x.byName[q.Package]
	match := goMatches
	switch {
	case q.Ecosystem == evidence.Cargo:
		list = x.byName[strings.ReplaceAll(q.Package, "-", "_")]
		match = func(name, symbol string) bool { return rustMatches(x.text(name), symbol) }
	case x.main != "" && q.Package == x.main:
		list = x.byName["main"]
	}
	f := finding{linked: len(list)}
	if len(q.Symbols) == 0 {
		for _, i := range list {
			f.targets = append(f.targets, x.entries[i].host)
		}
	}
	for _, s := range q.Symbols {
		n := len(f.targets)
		for _, i := range list {
			if match(x.entries[i].name, s) {
				f.targets = append(f.targets, x.entries[i].host)
			}
		}
		if len(f.targets) > n {
			f.symbols = append(f.symbols, evidence.Clean(s, maxText))
		}
	}
	slices.Sort(f.targets)
	f.targets = slices.Compact(f.targets)
	return f
}

// goMatches reports whether a function has code of the symbol of an advisory: it
// is the function itself, one of the function literals in it, or what calls it
// as a function value.
func goMatches(name, symbol string) bool {
	rest, ok := strings.CutPrefix(name, symbol)
	if !ok || symbol == "" {
		return false
	}
	switch {
	case rest == "":
		return true
	case rest[0] == '.':
		return pclntab.IsInner(rest[1:])
	}
	return rest[0] == '-' // "-fm", "-range1"
}

// rustMatches reports whether a path of a function is that of an advisory.
// Advisories name functions by the path by which users import them, which is
// mostly not that of the module they are in, so the crate and the last name
// must be the same and, if the advisory has a type or module before that, it
// must occur in the function's path.
func rustMatches(path, symbol string) bool {
	want := rustParts(symbol)
	have := rustParts(path)
	if len(want) < 2 || len(have) == 0 || have[len(have)-1] != want[len(want)-1] {
		// A literal in a function ends with {{closure}}.
		for len(have) > 0 && strings.HasPrefix(have[len(have)-1], "{") {
			have = have[:len(have)-1]
		}
		if len(want) < 2 || len(have) == 0 || have[len(have)-1] != want[len(want)-1] {
			return false
		}
	}
	return len(want) == 2 || slices.Contains(have[:len(have)-1], want[len(want)-2])
}

// rustParts cuts a path at its colons, without type arguments and what stands
// around a type: "<a::B<T> as c::D>::e" is a, B, c, D, e.
func rustParts(path string) []string {
	return strings.FieldsFunc(strings.ReplaceAll(path, " as ", "::"), func(r rune) bool {
		return strings.ContainsRune(":<>&*(), ", r)
	})
}
