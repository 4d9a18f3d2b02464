package wit

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A Party is one whom a change may break.
type Party string

// The parties. A consumer calls what is exported, or what a package declares; a
// host provides what is imported.
const (
	Consumer Party = "consumer"
	Host     Party = "host"
)

// A Bump is what a change demands of the next version.
type Bump string

// The bumps, smallest first. BumpPatch is for what nobody has to notice,
// BumpMinor for what is offered anew, BumpMajor for what breaks somebody.
const (
	BumpNone  Bump = "none"
	BumpPatch Bump = "patch"
	BumpMinor Bump = "minor"
	BumpMajor Bump = "major"
)

var bumps = []Bump{BumpNone, BumpPatch, BumpMinor, BumpMajor}

func larger(a, b Bump) Bump { return bumps[max(slices.Index(bumps, a), slices.Index(bumps, b))] }

// A Change is one difference between two versions.
type Change struct {
	// Kind is what changed and how: "import", "export", "interface", "world",
	// "function" or "type", a dash, and "added", "removed", "changed" or, of
	// imports and exports, "version"; or "package-renamed", "docs-changed".
	Kind string `json:"kind"`

	// Path is where, without versions: "wasi:http/types.fields.append".
	Path string `json:"path"`

	// Text says it in a sentence that follows the path.
	Text string `json:"text"`

	Old string `json:"old,omitempty"` // as WIT, of what is short enough
	New string `json:"new,omitempty"`

	// Unstable is set for what is behind a gate @unstable in both versions or
	// in the one that has it: it may change in any version, and demands nothing.
	Unstable bool `json:"unstable,omitempty"`

	Breaks []Party `json:"breaks"`
	Bump   Bump    `json:"bump"`
}

// A Comparison is what Compare finds.
type Comparison struct {
	Changes []Change `json:"changes"`

	// Bump is the largest that a change demands. Compatible is whether the new
	// version can take the place of the old one: it is not BumpMajor.
	Bump       Bump `json:"bump"`
	Compatible bool `json:"compatible"`

	// Required is the lowest version that may follow the old one with these
	// changes, and Enough whether the new one is as high as that. Both are zero
	// unless both versions are known, as those of components are not.
	Required string `json:"required,omitempty"`
	Enough   bool   `json:"enough,omitempty"`
}

// Compare says what changed from one version of a component or WIT package to
// another, and whom it breaks; docs/spec/wit.md has the rules. Versions of
// packages make no difference as long as they are compatible. More than
// MaxChanges, or types that take too long to compare, are ErrLimit, and a
// document in which one name stands for two things is ErrNotWIT.
func Compare(older, newer *Document) (*Comparison, error) {
	for _, d := range []*Document{older, newer} {
		if err := checkNames(d); err != nil {
			return nil, err
		}
	}
	c := &comparer{old: newBook(older), new: newBook(newer), pairs: map[[2]*TypeDef]bool{}}
	c.component = isComponent(older) && isComponent(newer)
	c.compare()
	if c.left < -maxSteps {
		return nil, fmt.Errorf("%w: types that take more than %d steps to compare", ErrLimit, maxSteps)
	}
	if len(c.out) > MaxChanges {
		return nil, fmt.Errorf("%w: more than %d changes", ErrLimit, MaxChanges)
	}
	r := &Comparison{Changes: merged(c.out), Bump: BumpNone}
	for _, ch := range r.Changes {
		r.Bump = larger(r.Bump, ch.Bump)
	}
	r.Compatible = r.Bump != BumpMajor
	r.required(older.Package.Name.Version, newer.Package.Name.Version)
	return r, nil
}

// merged sorts changes by path and makes one of those that say the same: an
// interface that is imported and exported is compared for both.
func merged(all []Change) []Change {
	slices.SortStableFunc(all, func(a, b Change) int {
		return cmp.Or(strings.Compare(a.Path, b.Path), strings.Compare(a.Kind, b.Kind), strings.Compare(a.Text, b.Text))
	})
	out := []Change{}
	for _, ch := range all {
		n := len(out) - 1
		if n < 0 || out[n].Path != ch.Path || out[n].Kind != ch.Kind || out[n].Text != ch.Text {
			out = append(out, ch)
			continue
		}
		last := &out[n]
		last.Breaks = append(slices.Clone(last.Breaks), ch.Breaks...)
		slices.Sort(last.Breaks)
		last.Breaks = slices.Compact(last.Breaks)
		last.Bump = larger(last.Bump, ch.Bump)
	}
	return out
}

// maxSteps bounds the types that one Compare looks at.
const maxSteps = 1_000_000

func isComponent(d *Document) bool {
	return d.Package.Name == PackageName{Namespace: "root", Name: "component"}
}

// A direction is how a world has an interface.
type direction int

const (
	imported direction = 1 << iota
	exported
	declared // by a package
)

// A comparer collects changes.
type comparer struct {
	old, new  *book
	component bool
	out       []Change
	pairs     map[[2]*TypeDef]bool // of definitions, whether they are equal all through; true while they are compared
	left      int
	types     map[typeKey]direction // who exchanges a type, of both documents
}

// A typeKey is a type by its name, without the version of its package.
type typeKey struct{ scope, name string }

func (c *comparer) add(ch Change) {
	if len(c.out) > MaxChanges {
		return
	}
	if ch.Breaks == nil {
		ch.Breaks = []Party{}
	}
	switch {
	case ch.Unstable:
		ch.Bump = BumpPatch
	case len(ch.Breaks) > 0:
		ch.Bump = BumpMajor
	case ch.Bump == "":
		ch.Bump = BumpPatch
	}
	c.out = append(c.out, ch)
}

// parties lists whom a change of what is exchanged in these directions breaks.
func (d direction) parties() []Party {
	var p []Party
	if d&(exported|declared) != 0 {
		p = append(p, Consumer)
	}
	if d&(imported|declared) != 0 {
		p = append(p, Host)
	}
	return p
}

func (c *comparer) compare() {
	was, is := c.old.doc.Package, c.new.doc.Package
	if was.Name.Unversioned() != is.Name.Unversioned() {
		c.add(Change{
			Kind: "package-renamed", Path: was.Name.Unversioned(), Text: "is now called " + is.Name.Unversioned(),
			Breaks: []Party{Consumer, Host},
		})
	}
	c.types = map[typeKey]direction{}
	oldDirs, newDirs := c.directions(c.old), c.directions(c.new)
	if !c.component {
		c.interfaces(was, is, oldDirs, newDirs)
	}
	c.worlds(was, is)
	if c.component {
		return
	}
	if len(c.out) == 0 && !sameText(was, is) {
		c.add(Change{Kind: "docs-changed", Path: was.Name.Unversioned(), Text: "has other comments, gates or order of items"})
	}
}

// sameText compares packages as they are printed, without their versions.
func sameText(a, b *Package) bool {
	text := func(p *Package) string {
		q := *p
		q.Name.Version = ""
		s, err := Print(&Document{Package: &q})
		if err != nil {
			return ""
		}
		return s
	}
	return text(a) == text(b)
}

// key is a path without version.
func key(p Path) string {
	return Path{Package: PackageName{p.Package.Namespace, p.Package.Name, ""}, Name: p.Name}.String()
}

// directions finds how each interface is exchanged, and in c.types how each type
// is: a type goes wherever an interface goes that uses it.
func (c *comparer) directions(b *book) map[string]direction {
	dirs := map[string]direction{}
	pkg := b.doc.Package
	if !c.component {
		for _, i := range pkg.Interfaces {
			dirs[key(Path{pkg.Name, i.Name})] |= declared
		}
	}
	for _, w := range pkg.Worlds {
		for n, externs := range [][]Extern{w.Imports, w.Exports} {
			d := imported << n
			for _, e := range externs {
				switch {
				case e.Func != nil:
				case e.Interface != nil:
					c.markUses(b, inline(pkg.Name, e.Interface), d)
				default:
					dirs[key(e.Path.full(pkg.Name))] |= d
				}
			}
			s := newScope(pkg.Name, w.Uses, w.Types)
			s.path = Path{pkg.Name, w.Name}
			for _, e := range externs {
				if e.Func != nil {
					c.markFunc(b, s, e.Func, d)
				}
			}
		}
	}
	for _, s := range b.scopes {
		if d := dirs[key(s.path)]; d != 0 {
			for name := range s.types {
				c.mark(b, s, name, d)
			}
			c.markUses(b, s, d)
		}
	}
	return dirs
}

func (c *comparer) markUses(b *book, s *scope, d direction) {
	for name := range s.uses {
		c.mark(b, s, name, d)
	}
}

func (c *comparer) markFunc(b *book, s *scope, f *Func, d direction) {
	for _, p := range f.Params {
		c.markType(b, s, p.Type, d, 0)
	}
	c.markType(b, s, f.Result, d, 0)
}

// mark notes that a type is exchanged, and with it all that it is made of.
func (c *comparer) mark(b *book, s *scope, name string, d direction) {
	def, ok := b.find(s, name)
	if !ok {
		return
	}
	k := typeKey{key(def.in.path), def.t.Name}
	if c.types[k]&d == d {
		return
	}
	c.types[k] |= d
	c.markType(b, def.in, def.t.Type, d, 0)
	for _, i := range def.t.Items {
		c.markType(b, def.in, i.Type, d, 0)
	}
}

func (c *comparer) markType(b *book, s *scope, t *Type, d direction, depth int) {
	if t == nil || depth > MaxTypeDepth || !c.step() {
		return
	}
	if t.Name != "" {
		c.mark(b, s, t.Name, d)
	}
	for _, a := range t.Args {
		c.markType(b, s, a, d, depth+1)
	}
}

// step counts a type that is looked at.
func (c *comparer) step() bool {
	c.left--
	return c.left >= -maxSteps
}

// interfaces compares those that a package declares.
func (c *comparer) interfaces(was, is *Package, oldDirs, newDirs map[string]direction) {
	for _, i := range was.Interfaces {
		p := Path{was.Name, i.Name}
		j := is.Interface(i.Name)
		if j == nil {
			c.add(Change{
				Kind: "interface-removed", Path: key(p), Text: "is no longer there", Breaks: []Party{Consumer, Host},
				Unstable: i.Unstable != "",
			})
			continue
		}
		c.iface(key(p), c.old.scopes[p], c.new.scopes[Path{is.Name, j.Name}], oldDirs[key(p)]|newDirs[key(p)])
	}
	for _, i := range is.Interfaces {
		if was.Interface(i.Name) == nil {
			c.add(Change{
				Kind: "interface-added", Path: key(Path{is.Name, i.Name}), Text: "is new", Bump: BumpMinor, Unstable: i.Unstable != "",
			})
		}
	}
}

func (c *comparer) worlds(was, is *Package) {
	for _, w := range was.Worlds {
		p := key(Path{was.Name, w.Name})
		v := is.World(w.Name)
		if v == nil {
			c.add(Change{
				Kind: "world-removed", Path: p, Text: "is no longer there", Breaks: []Party{Consumer, Host}, Unstable: w.Unstable != "",
			})
			continue
		}
		if c.component {
			p = ""
		}
		c.world(p, w, v)
	}
	for _, w := range is.Worlds {
		if was.World(w.Name) == nil {
			c.add(Change{
				Kind: "world-added", Path: key(Path{is.Name, w.Name}), Text: "is new", Bump: BumpMinor, Unstable: w.Unstable != "",
			})
		}
	}
}

// join puts a path together; a component's own world has none.
func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func (c *comparer) world(path string, was, is *World) {
	oldScope := newScope(c.old.doc.Package.Name, was.Uses, was.Types)
	newScope := newScope(c.new.doc.Package.Name, is.Uses, is.Types)
	oldScope.path, newScope.path = Path{oldScope.pkg, was.Name}, Path{newScope.pkg, is.Name}
	c.typesOf(path, oldScope, newScope, imported)
	c.resourceFuncs(path, oldScope, newScope, imported)
	w := worldPair{path: path, old: oldScope, new: newScope}
	c.externs(w, "import", was.Imports, is.Imports, imported)
	c.externs(w, "export", was.Exports, is.Exports, exported)
	for _, i := range is.Includes {
		if !slices.ContainsFunc(was.Includes, func(j Include) bool { return key(i.Path) == key(j.Path) }) {
			c.add(Change{Kind: "world-changed", Path: path, Text: "includes " + i.Path.String(), Breaks: []Party{Host}})
		}
	}
	for _, i := range was.Includes {
		if !slices.ContainsFunc(is.Includes, func(j Include) bool { return key(i.Path) == key(j.Path) }) {
			c.add(Change{Kind: "world-changed", Path: path, Text: "no longer includes " + i.Path.String(), Breaks: []Party{Consumer}})
		}
	}
}

type worldPair struct {
	path     string
	old, new *scope
}

// externs compares the imports or the exports of a world.
func (c *comparer) externs(w worldPair, word string, was, is []Extern, d direction) {
	pairs, gone, fresh := match(was, w.old.pkg, is, w.new.pkg)
	for _, e := range gone {
		ch := Change{
			Kind: word + "-removed", Path: e.path(w), Text: "is no longer " + word + "ed" + e.version(),
			Old: e.full(w.old.pkg), Unstable: e.unstable(),
		}
		if d == exported {
			ch.Breaks = []Party{Consumer}
		}
		c.add(ch)
	}
	for _, e := range fresh {
		ch := Change{
			Kind: word + "-added", Path: e.path(w), Text: "is " + word + "ed in addition" + e.version(),
			New: e.full(w.new.pkg), Unstable: e.unstable(),
		}
		if d == imported {
			ch.Breaks = []Party{Host}
		} else {
			ch.Bump = BumpMinor
		}
		c.add(ch)
	}
	for _, p := range pairs {
		c.extern(w, word, p[0], p[1], d)
	}
}

func (e Extern) unstable() bool {
	return e.Unstable != "" || e.Func != nil && e.Func.Unstable != ""
}

// version is " in version 1.2.3" if the path has one.
func (e Extern) version() string {
	if e.Path.Package.Version == "" {
		return ""
	}
	return " in version " + e.Path.Package.Version
}

// full is the name with the package.
func (e Extern) full(pkg PackageName) string {
	if e.Name != "" {
		return e.Name
	}
	return e.Path.full(pkg).String()
}

// path is where the change of an import or export is shown.
func (e Extern) path(w worldPair) string {
	n := e.Name
	if n == "" {
		n = key(e.Path.full(w.old.pkg))
	}
	if w.path == "" {
		return n
	}
	return w.path + " " + n
}

func (c *comparer) extern(w worldPair, word string, was, is Extern, d direction) {
	path := was.path(w)
	switch {
	case was.Func != nil && is.Func != nil:
		c.function(path, funcPair{was.Func, w.old, is.Func, w.new}, d)
		return
	case was.Interface != nil && is.Interface != nil:
		c.iface(path, inline(w.old.pkg, was.Interface), inline(w.new.pkg, is.Interface), d)
		return
	case was.Func != nil || is.Func != nil || was.Interface != nil || is.Interface != nil:
		c.add(Change{Kind: word + "-changed", Path: path, Text: "is something else", Breaks: d.parties()})
		return
	}
	from, to := was.Path.full(w.old.pkg), is.Path.full(w.new.pkg)
	if key(from) != key(to) {
		c.add(Change{
			Kind: word + "-changed", Path: path, Text: "is another interface", Old: from.String(), New: to.String(), Breaks: d.parties(),
		})
		return
	}
	own := from.Package.Unversioned() == w.old.pkg.Unversioned()
	if from.Package.Version != to.Package.Version && !own {
		c.add(Change{
			Kind: word + "-version", Path: path, Text: "is " + word + "ed in version " + to.Package.Version + " instead of " +
				from.Package.Version, Old: from.String(), New: to.String(),
		})
	}
	if a, b := c.old.scopes[from], c.new.scopes[to]; c.component && a != nil && b != nil {
		c.iface(key(from), a, b, d)
	}
}

// match pairs imports or exports of two worlds: those of one name, else those of
// one interface in compatible versions.
func match(was []Extern, oldPkg PackageName, is []Extern, newPkg PackageName) (pairs [][2]Extern, gone, fresh []Extern) {
	full := func(e Extern, pkg PackageName) Path {
		if e.Name != "" {
			return Path{Name: e.Name}
		}
		return e.Path.full(pkg)
	}
	names := []func(p Path, pkg PackageName) string{
		func(p Path, _ PackageName) string { return p.String() },
		func(p Path, pkg PackageName) string {
			// The package itself is compared with whatever version comes next.
			if p.Package.Unversioned() == pkg.Unversioned() {
				p.Package.Version = ""
			}
			p.Package.Version = track(p.Package.Version)
			return p.String()
		},
	}
	oldLeft, newLeft := slices.Clone(was), slices.Clone(is)
	for _, name := range names {
		at := map[string]int{}
		for i, e := range newLeft {
			at[name(full(e, newPkg), newPkg)] = i
		}
		taken := map[int]bool{}
		var rest []Extern
		for _, e := range oldLeft {
			i, ok := at[name(full(e, oldPkg), oldPkg)]
			if !ok || taken[i] {
				rest = append(rest, e)
				continue
			}
			taken[i] = true
			pairs = append(pairs, [2]Extern{e, newLeft[i]})
		}
		var others []Extern
		for i, e := range newLeft {
			if !taken[i] {
				others = append(others, e)
			}
		}
		oldLeft, newLeft = rest, others
	}
	return pairs, oldLeft, newLeft
}

// track is the part of a version that compatible versions share ("canonical
// interface names" of Explainer.md): "1", "0.2", "0.0.3", and all of a
// pre-release.
func track(v string) string {
	core, _, _ := strings.Cut(v, "+")
	n := strings.Split(core, ".")
	switch {
	case strings.Contains(core, "-") || len(n) != 3:
		return core
	case n[0] != "0":
		return n[0]
	case n[1] != "0":
		return n[0] + "." + n[1]
	default:
		return core
	}
}

// iface compares two versions of an interface.
func (c *comparer) iface(path string, was, is *scope, d direction) {
	c.typesOf(path, was, is, d)
	c.resourceFuncs(path, was, is, d)
	for _, f := range was.iface.Funcs {
		p := join(path, f.Name)
		if g := is.funcs[f.Name]; g != nil {
			c.function(p, funcPair{f, was, g, is}, d)
		} else {
			c.removed(p, f, d)
		}
	}
	for _, f := range is.iface.Funcs {
		if was.funcs[f.Name] == nil {
			c.added(join(path, f.Name), f, d)
		}
	}
}

// resourceFuncs compares the functions of the resources that both have.
func (c *comparer) resourceFuncs(path string, was, is *scope, d direction) {
	for _, name := range union(was.types, is.types) {
		t, u := was.types[name], is.types[name]
		if t == nil || u == nil {
			continue
		}
		for _, f := range t.Funcs {
			at := name + "." + f.label()
			if g := is.funcs[at]; g != nil {
				c.function(join(path, at), funcPair{f, was, g, is}, d)
			} else {
				c.removed(join(path, at), f, d)
			}
		}
		for _, f := range u.Funcs {
			if at := name + "." + f.label(); was.funcs[at] == nil {
				c.added(join(path, at), f, d)
			}
		}
	}
}

// removed tells of a function that is gone: who called it misses it, and who
// provided it need not.
func (c *comparer) removed(path string, f *Func, d direction) {
	ch := Change{Kind: "function-removed", Path: path, Text: "is no longer there", Old: f.String(), Unstable: f.Unstable != ""}
	if d&(exported|declared) != 0 {
		ch.Breaks = []Party{Consumer}
	}
	c.add(ch)
}

// added tells of a new function: who provides the interface to us must provide
// it as well.
func (c *comparer) added(path string, f *Func, d direction) {
	ch := Change{Kind: "function-added", Path: path, Text: "is new", New: f.String(), Bump: BumpMinor, Unstable: f.Unstable != ""}
	if d&imported != 0 {
		ch.Breaks = []Party{Host}
	}
	c.add(ch)
}

// String gives the type of the function as WIT text: "func(a: u8) -> string".
func (f *Func) String() string {
	p := &printer{max: maxTypeText}
	if f.Kind == FuncStatic {
		p.add("static ")
	}
	p.signature(f)
	if p.full {
		p.b.WriteString("…")
	}
	return p.b.String()
}

type funcPair struct {
	was     *Func
	wasIn   *scope
	is      *Func
	isScope *scope
}

func (c *comparer) function(path string, p funcPair, d direction) {
	same := p.was.Kind == p.is.Kind && p.was.Async == p.is.Async && len(p.was.Params) == len(p.is.Params) &&
		c.equal(p.was.Result, p.wasIn, p.is.Result, p.isScope, 0)
	for i := 0; same && i < len(p.was.Params); i++ {
		a, b := p.was.Params[i], p.is.Params[i]
		same = a.Name == b.Name && c.equal(a.Type, p.wasIn, b.Type, p.isScope, 0)
	}
	if same {
		return
	}
	was, is := p.was.String(), p.is.String()
	text := "was " + was + ", is " + is
	if was == is {
		text = "has types that are other ones now"
	}
	c.add(Change{
		Kind: "function-changed", Path: path, Text: text, Old: was, New: is, Breaks: d.parties(),
		Unstable: p.was.Unstable != "" && p.is.Unstable != "",
	})
}

// union lists the keys of both maps, sorted.
func union(a, b map[string]*TypeDef) []string {
	var names []string
	for n := range a {
		names = append(names, n)
	}
	for n := range b {
		if a[n] == nil {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	return names
}

// typesOf compares the types that have a name, those that are used among them.
func (c *comparer) typesOf(path string, was, is *scope, d direction) {
	for _, name := range union(was.types, is.types) {
		t, u := was.types[name], is.types[name]
		k := typeKey{key(was.path), name}
		dir := c.types[k] | d
		at := join(path, name)
		switch {
		case t == nil && is.types[name] != nil && hasUse(was, name):
			c.usedOrDefined(at, was, is, name, dir)
		case t == nil:
			c.add(Change{Kind: "type-added", Path: at, Text: "is new", Bump: bumpOf(d), Unstable: u.Unstable != ""})
		case u == nil && hasUse(is, name):
			c.usedOrDefined(at, was, is, name, dir)
		case u == nil:
			ch := Change{Kind: "type-removed", Path: at, Text: "is no longer there", Unstable: t.Unstable != ""}
			if d&(exported|declared) != 0 {
				ch.Breaks = d.parties()
			}
			c.add(ch)
		default:
			c.typeDef(at, definition{was, t}, definition{is, u}, dir)
		}
	}
	for name := range was.uses {
		if is.types[name] == nil && !hasUse(is, name) && d&(exported|declared) != 0 {
			c.add(Change{Kind: "type-removed", Path: join(path, name), Text: "is no longer used here", Breaks: d.parties()})
		}
	}
}

// bumpOf is the bump for a new type: one of an import is offered to nobody.
func bumpOf(d direction) Bump {
	if d&(exported|declared) != 0 {
		return BumpMinor
	}
	return BumpPatch
}

func hasUse(s *scope, name string) bool {
	_, ok := s.uses[name]
	return ok
}

// usedOrDefined compares a type that one version defines and the other uses.
func (c *comparer) usedOrDefined(path string, was, is *scope, name string, d direction) {
	n := &Type{Kind: KindName, Name: name}
	if !c.deep(n, was, n, is, 0) {
		c.add(Change{Kind: "type-changed", Path: path, Text: "comes from elsewhere and is another type", Breaks: d.parties()})
	}
}

// typeDef compares two definitions of one name. Structure is all that counts:
// what a record's fields are, not how they are called elsewhere.
func (c *comparer) typeDef(path string, was, is definition, d direction) {
	t, u := was.t, is.t
	unstable := t.Unstable != "" && u.Unstable != ""
	if t.Kind != u.Kind && (t.Kind == DefResource || u.Kind == DefResource || t.Kind != DefType && u.Kind != DefType) {
		c.add(Change{
			Kind: "type-changed", Path: path, Text: "was " + t.is() + ", is " + u.is(), Breaks: d.parties(), Unstable: unstable,
		})
		return
	}
	if t.Kind == DefType || u.Kind == DefType {
		n := &Type{Kind: KindName, Name: t.Name}
		if (t.Kind != u.Kind || !c.equal(t.Type, was.in, u.Type, is.in, 0)) && !c.deep(n, was.in, n, is.in, 0) {
			c.add(Change{
				Kind: "type-changed", Path: path, Text: "was " + t.is() + ", is " + u.is(), Old: t.is(), New: u.is(), Breaks: d.parties(),
				Unstable: unstable,
			})
		}
		return
	}
	c.items(path, was, is, d, unstable)
}

// is tells what a type definition defines.
func (t *TypeDef) is() string {
	if t.Kind == DefType {
		return t.Type.String()
	}
	if t.Kind == DefEnum {
		return "an enum"
	}
	return "a " + string(t.Kind)
}

// items compares fields, cases or flags. All of them count, and so does their
// order: values are laid out by it.
func (c *comparer) items(path string, was, is definition, d direction, unstable bool) {
	word := map[DefKind]string{DefRecord: "field", DefVariant: "case", DefEnum: "case", DefFlags: "flag"}[was.t.Kind]
	change := func(name, text, before, after string) {
		c.add(Change{
			Kind: "type-changed", Path: join(path, name), Text: text, Old: before, New: after, Breaks: d.parties(), Unstable: unstable,
		})
	}
	olds, news := itemsByName(was.t), itemsByName(is.t)
	found := false
	for _, i := range was.t.Items {
		j, ok := news[i.Name]
		switch {
		case !ok:
			change(i.Name, word+" is no longer there", i.text(), "")
			found = true
		case !c.equal(i.Type, was.in, j.Type, is.in, 0):
			change(i.Name, word+" was "+i.text()+", is "+j.text(), i.text(), j.text())
			found = true
		}
	}
	for _, j := range is.t.Items {
		if _, ok := olds[j.Name]; !ok {
			change(j.Name, word+" is new", "", j.text())
			found = true
		}
	}
	if !found && !slices.EqualFunc(was.t.Items, is.t.Items, func(a, b Item) bool { return a.Name == b.Name }) {
		c.add(Change{
			Kind: "type-changed", Path: path, Text: "has its " + word + "s in another order", Breaks: d.parties(), Unstable: unstable,
		})
	}
}

func itemsByName(t *TypeDef) map[string]Item {
	m := map[string]Item{}
	for _, i := range t.Items {
		m[i.Name] = i
	}
	return m
}

func (i Item) text() string {
	if i.Type == nil {
		return "without a type"
	}
	return i.Type.String()
}

// equal compares types as they are used. Two names of one definition are equal
// even if that changed, as that is told where it is defined.
func (c *comparer) equal(a *Type, as *scope, b *Type, bs *scope, depth int) bool {
	return c.types2(a, as, b, bs, depth, false)
}

// deep compares all that the types are made of.
func (c *comparer) deep(a *Type, as *scope, b *Type, bs *scope, depth int) bool {
	return c.types2(a, as, b, bs, depth, true)
}

func (c *comparer) types2(a *Type, as *scope, b *Type, bs *scope, depth int, deep bool) bool {
	if a == nil || b == nil {
		return a == b
	}
	if depth > 2*MaxTypeDepth || !c.step() {
		return false
	}
	if a.Name != "" || b.Name != "" {
		return c.names(a, as, b, bs, depth, deep)
	}
	if a.Kind != b.Kind || a.Len != b.Len || len(a.Args) != len(b.Args) {
		return false
	}
	for i := range a.Args {
		if !c.types2(a.Args[i], as, b.Args[i], bs, depth+1, deep) {
			return false
		}
	}
	return true
}

// names compares types at least one of which is a name or a handle.
func (c *comparer) names(a *Type, as *scope, b *Type, bs *scope, depth int, deep bool) bool {
	if (a.Kind == KindBorrow) != (b.Kind == KindBorrow) {
		return false
	}
	x, xok := c.old.named(as, a)
	y, yok := c.new.named(bs, b)
	switch {
	case a.Name != "" && b.Name != "" && (!xok || !yok):
		// One that the documents do not tell: it is its name.
		return xok == yok && unknown(as, a.Name) == unknown(bs, b.Name)
	case a.Name != "" && !xok || b.Name != "" && !yok:
		return false
	case xok && yok && x.t.Kind == DefResource && y.t.Kind == DefResource:
		return sameOrigin(x, y)
	case xok && yok && !deep && sameOrigin(x, y) && c.told(x, y):
		return true
	case xok && yok:
		return c.definitions(x, y, depth)
	case xok && x.t.Kind == DefType:
		return c.types2(x.t.Type, x.in, b, bs, depth+1, deep)
	case yok && y.t.Kind == DefType:
		return c.types2(a, as, y.t.Type, y.in, depth+1, deep)
	}
	return false
}

// definitions compares all that two definitions are made of, each pair once:
// types may share their parts many times over.
func (c *comparer) definitions(x, y definition, depth int) bool {
	pair := [2]*TypeDef{x.t, y.t}
	same, ok := c.pairs[pair]
	if ok {
		return same
	}
	c.pairs[pair] = true
	switch {
	case x.t.Kind == DefType && y.t.Kind == DefType:
		same = c.types2(x.t.Type, x.in, y.t.Type, y.in, depth+1, true)
	case x.t.Kind != y.t.Kind:
		same = false
	default:
		same = slices.EqualFunc(x.t.Items, y.t.Items, func(i, j Item) bool {
			return i.Name == j.Name && c.types2(i.Type, x.in, j.Type, y.in, depth+1, true)
		})
	}
	c.pairs[pair] = same
	return same
}

// named finds the definition if t is a name or a handle.
func (b *book) named(s *scope, t *Type) (definition, bool) {
	if t.Name == "" {
		return definition{}, false
	}
	return b.find(s, t.Name)
}

// sameOrigin reports whether two definitions have the same name in the same
// place, versions aside.
func sameOrigin(x, y definition) bool {
	return x.t.Name == y.t.Name && key(x.in.path) == key(y.in.path)
}

// told reports whether a change of the definition is told on its own: those of
// the package itself are, and all of a component.
func (c *comparer) told(x, y definition) bool {
	return c.component || x.in.pkg == c.old.doc.Package.Name && y.in.pkg == c.new.doc.Package.Name
}

// unknown is what is known of a type that is not in the document.
func unknown(s *scope, name string) string {
	if u, ok := s.uses[name]; ok {
		return key(u.path.full(s.pkg)) + "." + u.name
	}
	return name
}

// required fills in what the versions say about the bump.
func (r *Comparison) required(was, is string) {
	if !validVersion(was) || !validVersion(is) {
		return
	}
	r.Required = next(was, r.Bump)
	r.Enough = compareVersions(is, r.Required) >= 0
}

// next is the lowest version after v with a bump. Before 1.0.0 the first number
// that is not zero counts as the major one, and what is after it as the rest.
func next(v string, b Bump) string {
	core, _, _ := strings.Cut(v, "+")
	core, pre, _ := strings.Cut(core, "-")
	var n [3]uint64
	for i, s := range strings.SplitN(core, ".", 3) {
		n[i], _ = strconv.ParseUint(s, 10, 64)
	}
	major, minor := 0, 1
	switch {
	case n[0] == 0 && n[1] == 0:
		major, minor = 2, 2
	case n[0] == 0:
		major, minor = 1, 2
	}
	at := 2
	switch {
	case b == BumpNone:
		return v
	case pre != "":
		// A pre-release promises nothing about the release it precedes.
		return v
	case b == BumpMajor:
		at = major
	case b == BumpMinor:
		at = minor
	}
	n[at]++
	for i := at + 1; i < 3; i++ {
		n[i] = 0
	}
	return fmt.Sprintf("%d.%d.%d", n[0], n[1], n[2])
}

// compareVersions orders versions as Semantic Versioning 2.0.0, clause 11, does.
func compareVersions(a, b string) int {
	a, _, _ = strings.Cut(a, "+")
	b, _, _ = strings.Cut(b, "+")
	aCore, aPre, _ := strings.Cut(a, "-")
	bCore, bPre, _ := strings.Cut(b, "-")
	if n := compareParts(aCore, bCore); n != 0 {
		return n
	}
	switch {
	case aPre == bPre:
		return 0
	case aPre == "":
		return 1
	case bPre == "":
		return -1
	}
	return compareParts(aPre, bPre)
}

// compareParts orders identifiers joined by dots: numbers as such and before
// words, and fewer before more.
func compareParts(a, b string) int {
	as, bs := strings.Split(a, "."), strings.Split(b, ".")
	return slices.CompareFunc(as, bs, func(x, y string) int {
		switch xn, yn := isNumber(x), isNumber(y); {
		case xn && yn && len(x) != len(y):
			return len(x) - len(y)
		case xn != yn && xn:
			return -1
		case xn != yn:
			return 1
		}
		return strings.Compare(x, y)
	})
}
