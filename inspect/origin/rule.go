package origin

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/wreg-project/wreg/inspect/symbol"
)

// A Rule says what some observations speak for.
//
// Observations are written as in "import env emscripten_*": a kind, and a
// pattern in which "*" stands for anything. The kinds are "import MODULE NAME"
// (of a component, the import's name stands for the module), "export NAME",
// "section NAME" of a custom section, "symbol NAME" of the name section,
// "scheme NAME" for a share of the symbols, "data STRING" exactly so, and
// "shape NAME" for one of the named shapes.
type Rule struct {
	ID   string
	All  []string // each must be there
	Any  []string // at least Min of them, one if Min is 0
	Min  int
	None []string // none may be there

	// Version is whether a version follows one of the strings.
	Version bool

	Says []Claim

	// Why is the reason, a sentence.
	Why string
}

// A Claim is what a rule says, and how much it weighs.
type Claim struct {
	Name   string
	Role   Role
	Weight float64 // the chance that the rule alone is right

	// Main is whether the language is that of a program most of whose code is
	// its own: an interpreter with a few libraries in other languages.
	Main bool

	subject subject
}

// Subject is "language", "toolchain" or "host".
func (c Claim) Subject() string { return c.subject.String() }

type subject uint8

const (
	language subject = iota
	toolchain
	host
)

func (s subject) String() string { return [...]string{"language", "toolchain", "host"}[s] }

func lang(name string, weight float64) Claim {
	return Claim{Name: name, Role: RoleCompiled, Weight: weight, subject: language}
}

func mainLang(name string, weight float64) Claim {
	c := lang(name, weight)
	c.Main = true
	return c
}

func guest(name string, weight float64) Claim {
	return Claim{Name: name, Role: RoleInterpreted, Weight: weight, subject: language}
}

func tool(role Role, name string, weight float64) Claim {
	return Claim{Name: name, Role: role, Weight: weight, subject: toolchain}
}

func abi(name string, weight float64) Claim {
	return Claim{Name: name, Role: RoleABI, Weight: weight, subject: host}
}

func formOf(name string, weight float64) Claim {
	return Claim{Name: name, Role: RoleForm, Weight: weight, subject: host}
}

// Rules gives the table of rules, in the order in which evidence is listed.
func Rules() []Rule { return slices.Clone(rules) }

// ruleOrder is the place of a rule in the table; what the producers section
// says comes first.
func ruleOrder(id string) int {
	i, ok := things().rules[id]
	if !ok {
		return -1
	}
	return i
}

// A thing is something that can be observed, by its index in the list of things.
type thing struct {
	kind Kind
	text string // as rules write it
}

// index finds the things that a file shows.
type index struct {
	list  []thing
	byRef map[string]int
	rules map[string]int // by id
	needs []needs        // of the rules, in their order

	imports, exports, sections, symbols names

	schemes map[symbol.Scheme][]int
	shapes  map[string]int

	strings []string // what the scanner looks for
	data    []int    // the thing of each of the strings
	scanner *Scanner
}

// needs are the things that a rule asks for. A hostile component holds many
// modules, and every rule is held against each: looking things up by their text
// would cost more than reading them.
type needs struct{ all, any, none []int }

// things is made from the rules when it is first asked for: programs that
// inspect nothing should not pay for it at their start.
var things = sync.OnceValue(func() *index { return newIndex(rules) })

func newIndex(rules []Rule) *index {
	x := &index{
		byRef: map[string]int{}, rules: map[string]int{}, schemes: map[symbol.Scheme][]int{}, shapes: map[string]int{},
	}
	for i, r := range rules {
		if _, twice := x.rules[r.ID]; twice {
			panic(fmt.Sprintf("two rules %q", r.ID))
		}
		x.rules[r.ID] = i
		x.needs = append(x.needs, needs{x.addAll(r.All), x.addAll(r.Any), x.addAll(r.None)})
	}
	scanner, err := NewScanner(x.strings...)
	if err != nil {
		panic(fmt.Sprintf("strings of the rules: %v", err))
	}
	x.scanner = scanner
	return x
}

func (x *index) addAll(refs []string) (list []int) {
	for _, ref := range refs {
		x.add(ref)
		list = append(list, x.byRef[ref])
	}
	return list
}

// add gives an observation its index. The table is ours, so a mistake in it is
// a panic at the start of the first test.
func (x *index) add(ref string) {
	if _, ok := x.byRef[ref]; ok {
		return
	}
	n := len(x.list)
	kind, text, ok := strings.Cut(ref, " ")
	x.byRef[ref] = n
	switch {
	case !ok || text == "":
		panic(fmt.Sprintf("observation %q", ref))
	case kind == "import":
		module, name, ok := strings.Cut(text, " ")
		if !ok {
			panic(fmt.Sprintf("observation %q has no name", ref))
		}
		x.list = append(x.list, thing{KindImport, text})
		x.imports.add(module, name, n)
	case kind == "export":
		x.list = append(x.list, thing{KindExport, text})
		x.exports.add("", text, n)
	case kind == "section":
		x.list = append(x.list, thing{KindSection, text})
		x.sections.add("", text, n)
	case kind == "symbol":
		x.list = append(x.list, thing{KindSymbol, text})
		x.symbols.add("", text, n)
	case kind == "scheme":
		var s symbol.Scheme
		if err := s.UnmarshalText([]byte(text)); err != nil {
			panic(err)
		}
		x.list = append(x.list, thing{KindSymbol, text})
		x.schemes[s] = append(x.schemes[s], n)
	case kind == "data":
		x.list = append(x.list, thing{KindData, text})
		x.strings = append(x.strings, text)
		x.data = append(x.data, n)
	case kind == "shape":
		if shapes[text] == nil {
			panic(fmt.Sprintf("no shape %q", text))
		}
		x.list = append(x.list, thing{KindShape, text})
		x.shapes[text] = n
	default:
		panic(fmt.Sprintf("observation %q is of no known kind", ref))
	}
}

// names matches pairs of a module and a name against patterns. Large modules
// have 100,000 names, so patterns lie by the byte that they begin with.
type names struct {
	exact map[[2]string][]int
	globs [256][]pattern
	any   []pattern // beginning with "*"
}

type pattern struct {
	module, name string
	thing        int
}

// key is what the patterns are told apart by: the module, or, of exports,
// sections and symbols, which have none, the name.
func (p pattern) key() string {
	if p.module != "" {
		return p.module
	}
	return p.name
}

func (n *names) add(module, name string, thing int) {
	p := pattern{module, name, thing}
	switch k := p.key(); {
	case !strings.Contains(module+name, "*"):
		if n.exact == nil {
			n.exact = map[[2]string][]int{}
		}
		pair := [2]string{module, name}
		n.exact[pair] = append(n.exact[pair], thing)
	case k[0] == '*':
		n.any = append(n.any, p)
	default:
		n.globs[k[0]] = append(n.globs[k[0]], p)
	}
}

func (n *names) match(module, name string, see func(thing int)) {
	for _, t := range n.exact[[2]string{module, name}] {
		see(t)
	}
	k := pattern{module: module, name: name}.key()
	if k == "" {
		return
	}
	for _, list := range [...][]pattern{n.globs[k[0]], n.any} {
		for i := range list {
			if p := &list[i]; glob(p.module, module) && glob(p.name, name) {
				see(p.thing)
			}
		}
	}
}

// glob reports whether s fits a pattern in which "*" stands for any string.
func glob(pattern, s string) bool {
	head, rest, star := strings.Cut(pattern, "*")
	if !star {
		return pattern == s
	}
	if !strings.HasPrefix(s, head) {
		return false
	}
	s = s[len(head):]
	for {
		part, more, star := strings.Cut(rest, "*")
		if !star {
			return strings.HasSuffix(s, part)
		}
		i := strings.Index(s, part)
		if i < 0 {
			return false
		}
		s, rest = s[i+len(part):], more
	}
}

// apply holds the rules against what was observed.
func (c *collector) apply(o *observer) {
	size := int64(1)
	if o.b.Module != nil {
		size = o.b.Module.CodeSize
	}
	c.producers(o, size)
	for i := range rules {
		r := &rules[i]
		evidence, ok := o.test(i)
		if !ok {
			continue
		}
		for _, cl := range r.Says {
			if cl.subject == host && c.inner {
				continue // the component around it gives it what it wants
			}
			versioned := false
			for _, v := range o.versions {
				if r.Version && cl.subject == toolchain && things().needs[i].uses(v.thing) {
					at := Evidence{Rule: r.ID, Kind: KindData, What: things().list[v.thing].text + v.text, Offset: v.offset}
					c.add(cl, v.text, r.ID, size, at)
					versioned = true
				}
			}
			if !versioned {
				c.add(cl, "", r.ID, size, evidence...)
			}
		}
	}
	c.conflict(o)
}

// test reports whether rule i holds, and on what.
func (o *observer) test(i int) (evidence []Evidence, ok bool) {
	r, n := &rules[i], &things().needs[i]
	if !o.holds(r, n) {
		return nil, false
	}
	for _, list := range [...][]int{n.all, n.any} {
		for _, t := range list {
			if s := &o.seen[t]; s.count > 0 && len(evidence) < MaxEvidence {
				evidence = append(evidence, Evidence{Rule: r.ID, Kind: things().list[t].kind, What: s.what, Offset: s.offset})
			}
		}
	}
	return evidence, true
}

func (o *observer) holds(r *Rule, n *needs) bool {
	for _, t := range n.none {
		if o.seen[t].count > 0 {
			return false
		}
	}
	for _, t := range n.all {
		if o.seen[t].count == 0 {
			return false
		}
	}
	some := 0
	for _, t := range n.any {
		if o.seen[t].count > 0 {
			some++
		}
	}
	return len(n.any) == 0 || some >= max(r.Min, 1)
}

// uses reports whether the rule may rest on a thing.
func (n *needs) uses(thing int) bool {
	return slices.Contains(n.all, thing) || slices.Contains(n.any, thing)
}
