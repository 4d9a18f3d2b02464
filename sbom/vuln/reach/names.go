package reach

import (
	"fmt"
	"slices"
	"strings"

	"github.com/wreg-project/wreg/inspect/pclntab"
	"github.com/wreg-project/wreg/inspect/symbol"
	"github.com/wreg-project/wreg/sbom/evidence"
)

// names are those of a module's functions by package. Functions are nodes: their
// indices, or in a pruned table what stands at that place of index.
type names struct {
	packages []packageNames // sorted by name
	texts    []string
	begin    []uint32 // of each name, and one more: where its nodes begin in hosts
	hosts    []uint32 // the functions of a name and those into which one was inlined, sorted
	of       []int32  // of each node: its name, or nameless
	index    []uint32 // nil if nodes are indices

	// demangle makes of a name what people read; nil if that was done. To demangle
	// one takes longer than to tell its crate, and few are asked for.
	demangle func(string) string
}

const nameless = -1

// packageNames are the names of a package, first up to end. What has no package
// is under "".
type packageNames struct {
	name       string
	first, end int32
}

func (x *names) nodes() int { return len(x.of) }

// text is a name as people read it. Of one that is too long the middle is left
// out.
func (x *names) text(name int32) string {
	s := x.texts[name]
	if x.demangle != nil {
		s = x.demangle(s)
	}
	if len(s) <= maxKept {
		return s
	}
	return s[:maxKept/2] + s[len(s)-maxKept/2:]
}

// maxKept is the length of a name in bytes from which on its middle is left out.
// The two ends are what is shown of it, and what is compared.
const maxKept = 512

// shown is the name of a node fit to be shown.
func (x *names) shown(node uint32) string {
	if name := x.of[node]; name != nameless {
		if s := evidence.Clean(x.text(name), maxText); s != "" {
			return s
		}
	}
	index := node
	if x.index != nil {
		index = x.index[node]
	}
	return fmt.Sprintf("func[%d]", index)
}

// pkg gives the names of a package.
func (x *names) pkg(name string) packageNames {
	i, ok := slices.BinarySearchFunc(x.packages, name, func(p packageNames, name string) int { return strings.Compare(p.name, name) })
	if !ok || name == "" {
		return packageNames{}
	}
	return x.packages[i]
}

// A gatherer puts names together, in any order of packages.
type gatherer struct {
	of    []int32
	texts []string
	in    []int32 // of each name: the number of its package
	pkgs  map[string]int32
	sites []site // besides of
}

// A site is where the function of a name was inlined.
type site struct {
	name int32
	host uint32
}

func newGatherer(nodes int) *gatherer {
	return &gatherer{of: slices.Repeat([]int32{nameless}, nodes), pkgs: map[string]int32{}}
}

// add gives a name its number.
func (g *gatherer) add(text, pkg string) int32 {
	p, ok := g.pkgs[pkg]
	if !ok {
		p = int32(len(g.pkgs))
		g.pkgs[strings.Clone(pkg)] = p
	}
	g.texts = append(g.texts, text)
	g.in = append(g.in, p)
	return int32(len(g.texts) - 1)
}

// names sorts names by package; within one they keep their order.
func (g *gatherer) names() names {
	x := names{texts: make([]string, len(g.texts)), of: g.of}
	sorted := make([]packageNames, 0, len(g.pkgs))
	for pkg, i := range g.pkgs {
		sorted = append(sorted, packageNames{name: pkg, first: i})
	}
	slices.SortFunc(sorted, func(a, b packageNames) int { return strings.Compare(a.name, b.name) })
	size := make([]int32, len(sorted))
	for _, p := range g.in {
		size[p]++
	}
	next := make([]int32, len(sorted)) // of each package: the next number of a name
	n := int32(0)
	for i, p := range sorted {
		next[p.first] = n
		sorted[i].first, sorted[i].end = n, n+size[p.first]
		n += size[p.first]
	}
	x.packages = sorted
	number := make([]int32, len(g.texts))
	for i, p := range g.in {
		number[i] = next[p]
		x.texts[next[p]] = g.texts[i]
		next[p]++
	}
	for n, name := range x.of {
		if name != nameless {
			x.of[n] = number[name]
		}
	}
	for i := range g.sites {
		g.sites[i].name = number[g.sites[i].name]
	}
	x.place(g.sites)
	return x
}

// place lists the nodes of each name.
func (x *names) place(sites []site) {
	x.begin = make([]uint32, len(x.texts)+1)
	count := 0
	each := func(visit func(name int32, host uint32)) {
		for n, name := range x.of {
			if name != nameless {
				visit(name, uint32(n))
			}
		}
		for _, s := range sites {
			visit(s.name, s.host)
		}
	}
	each(func(name int32, _ uint32) { x.begin[name+1]++; count++ })
	for i := range x.texts {
		x.begin[i+1] += x.begin[i]
	}
	x.hosts = make([]uint32, count)
	next := slices.Clone(x.begin)
	each(func(name int32, host uint32) {
		x.hosts[next[name]] = host
		next[name]++
	})
	for i := range x.texts {
		slices.Sort(x.hosts[x.begin[i]:x.begin[i+1]])
	}
}

// goNames takes the names of the table of functions. One function is inlined at
// many places, into few others.
func (a *Analysis) goNames() {
	g := newGatherer(len(a.b.Module.Functions))
	known := map[string]int32{}
	intern := func(name string) int32 {
		i, ok := known[name]
		if !ok {
			i = g.add(name, pclntab.Parse(name).Package)
			known[name] = i
		}
		return i
	}
	for f := range a.pcln.Funcs() {
		g.of[f.Index] = intern(f.Name)
	}
	last := make([]uint32, len(g.texts)) // of a name: the function that it was last in, plus one
	err := a.pcln.Inlined(func(host uint32, text string) {
		name := intern(text)
		if int(name) == len(last) {
			last = append(last, 0)
		}
		if last[name] != host+1 && g.of[host] != name {
			last[name] = host + 1
			g.sites = append(g.sites, site{name, host})
		}
	})
	if a.table.whole = err == nil; !a.table.whole {
		a.table.hint = evidence.Clean(err.Error(), maxText)
	}
	a.table.names = g.names()
}

// rustNames takes those of the name section, by crate.
func (a *Analysis) rustNames() {
	section := &a.b.Module.Names
	var tally symbol.Tally
	for _, name := range section.Funcs() {
		tally.Add(name)
	}
	c := tally.Context()
	g := newGatherer(len(a.b.Module.Functions))
	for f, name := range section.Funcs() {
		if int(f) >= len(g.of) {
			continue
		}
		crate := ""
		if mayBeRust(c.Scheme(name)) {
			crate = c.Package(name)
		}
		g.of[f] = g.add(name, crate)
	}
	a.table.names = g.names()
	a.table.names.demangle = func(name string) string { return c.Parse(name).Text }
}

// mayBeRust reports whether a function of Rust may have a name of a scheme. In C++,
// paths look the same once they are demangled.
func mayBeRust(s symbol.Scheme) bool {
	return s == symbol.RustV0 || s == symbol.RustLegacy || s == symbol.CPlusPlus || s == symbol.Unknown
}

// prune keeps the nodes listed, which get new numbers.
func (x *names) prune(nodes, number []uint32) names {
	g := newGatherer(len(nodes))
	index := make([]uint32, len(nodes))
	for i, n := range nodes {
		index[i] = n
		if x.index != nil {
			index[i] = x.index[n]
		}
	}
	for _, p := range x.packages {
		known := map[string]int32{}
		for name := p.first; name < p.end; name++ {
			x.move(g, name, p.name, known, number, nodes)
		}
	}
	small := g.names()
	small.index = index
	return small
}

// move adds what is kept of a name to g.
func (x *names) move(g *gatherer, name int32, pkg string, known map[string]int32, number, nodes []uint32) {
	to := int32(nameless)
	for _, n := range x.hosts[x.begin[name]:x.begin[name+1]] {
		k := number[n]
		if int(k) >= len(nodes) || nodes[k] != n {
			continue
		}
		if to == nameless {
			text := x.text(name)
			i, ok := known[text]
			if !ok {
				i = g.add(text, pkg)
				known[text] = i
			}
			to = i
		}
		if x.of[n] == name {
			g.of[k] = to
		} else {
			g.sites = append(g.sites, site{to, k})
		}
	}
}

// A finding is what the table has for a query.
type finding struct {
	linked  int      // functions of the package
	targets []uint32 // affected ones, or where they were inlined, sorted
	symbols []string // of the query
}

func (t *Table) find(q Query) finding {
	x := &t.names
	p := x.pkg(q.Package)
	text := func(name int32) string { return pclntab.Parse(x.texts[name]).Name }
	match := goSymbol
	switch {
	case q.Ecosystem == evidence.Cargo:
		p = x.pkg(strings.ReplaceAll(q.Package, "-", "_"))
		text, match = x.text, rustSymbol
	case t.main != "" && q.Package == t.main:
		p = x.pkg("main")
	}
	f := finding{linked: int(x.begin[p.end] - x.begin[p.first])}
	if len(q.Symbols) == 0 {
		f.targets = slices.Clone(x.hosts[x.begin[p.first]:x.begin[p.end]])
	} else if f.linked > 0 {
		f.match(x, p, text, q.Symbols, match)
	}
	slices.Sort(f.targets)
	f.targets = slices.Compact(f.targets)
	return f
}

// match adds the symbols that are in a package, and the functions that have code
// of theirs.
func (f *finding) match(x *names, p packageNames, text func(int32) string, symbols []string, match func(string) func(string) bool) {
	tests := make([]func(string) bool, len(symbols))
	for i, s := range symbols {
		tests[i] = match(s)
	}
	found := make([]bool, len(symbols))
	for name := p.first; name < p.end; name++ {
		s, hit := text(name), false
		for i, is := range tests {
			if is(s) {
				found[i], hit = true, true
			}
		}
		if hit {
			f.targets = append(f.targets, x.hosts[x.begin[name]:x.begin[name+1]]...)
		}
	}
	for i, s := range symbols {
		if found[i] {
			f.symbols = append(f.symbols, evidence.Clean(s, maxText))
		}
	}
}

// goSymbol gives goMatches for a symbol.
func goSymbol(symbol string) func(string) bool {
	return func(name string) bool { return goMatches(name, symbol) }
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

// rustSymbol gives what tells whether a path of a function is that of an advisory.
// Advisories name functions by the path by which users import them, which is
// mostly not that of the module they are in, so the crate and the last name must
// be the same and, if the advisory has a type or module before that, it must occur
// in the function's path.
func rustSymbol(symbol string) func(path string) bool {
	want := rustParts(symbol)
	if len(want) < 2 {
		return func(string) bool { return false }
	}
	last := want[len(want)-1]
	return func(path string) bool {
		if !strings.Contains(path, last) {
			return false
		}
		have := rustParts(path)
		if have[len(have)-1] != last {
			// A literal in a function ends with {{closure}}.
			for len(have) > 0 && strings.HasPrefix(have[len(have)-1], "{") {
				have = have[:len(have)-1]
			}
			if len(have) == 0 || have[len(have)-1] != last {
				return false
			}
		}
		return len(want) == 2 || slices.Contains(have[:len(have)-1], want[len(want)-2])
	}
}

// rustParts cuts a path at its colons, without type arguments and what stands
// around a type: "<a::B<T> as c::D>::e" is a, B, c, D, e.
func rustParts(path string) []string {
	return strings.FieldsFunc(strings.ReplaceAll(path, " as ", "::"), func(r rune) bool {
		return strings.ContainsRune(":<>&*(), ", r)
	})
}
