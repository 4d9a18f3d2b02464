package wit

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/wreg-project/wreg/inspect/wasm"
)

// FromBinary decodes what b says in WIT. The comments and the worlds of core
// modules lie in custom sections, which only a binary of [wasm.Parse] has.
//
//   - Of a WIT package, that package. Both encodings are known: a component type
//     for each interface and world, and the one for all of before 2024.
//   - Of a component, a package root:component whose one world is called root:
//     a component does not tell the name of its world. Imports and exports that
//     a world cannot have (core modules, values) are left out.
//   - Of a core module with component-type sections, the worlds these tell.
//
// Packages that are referred to are nested; of them the binary tells only what
// it uses. A module without such a section is ErrNoWIT, an interface that WIT
// cannot express ErrNotWIT. Comments and gates come from the section
// package-docs; what is wrong with that is told in the second result, one
// sentence each, and hides nothing but comments.
func FromBinary(b *wasm.Binary) (*Document, []string, error) {
	return fromBinary(b, math.MaxInt64)
}

// fromBinary is FromBinary with a bound of the memory that the document takes, in
// bytes. What needs more is ErrLimit.
func fromBinary(b *wasm.Binary, room int64) (*Document, []string, error) {
	d := newDecoder(b.Size, room)
	var err error
	switch {
	case b.Kind == wasm.KindModule:
		err = d.module(b)
	case isPackage(b.Component):
		err = d.packageOf(b.Component)
	default:
		err = d.component(b.Component)
	}
	if err != nil {
		return nil, nil, err
	}
	doc, err := d.finish()
	if err != nil {
		return nil, nil, err
	}
	problems := inject(doc.Package, b)
	group(doc)
	return doc, problems, nil
}

// isPackage recognises a WIT package: nothing is imported, nothing could run,
// and all exports are component types.
func isPackage(c *wasm.Component) bool {
	if len(c.Imports) > 0 || len(c.Exports) == 0 || len(c.Modules) > 0 || len(c.Components) > 0 || len(c.Canons) > 0 {
		return false
	}
	for _, e := range c.Exports {
		if e.Sort != wasm.SortType || e.Type == nil || e.Type.Op != wasm.TypeComponent || len(e.Type.Scope.Exports) == 0 {
			return false
		}
	}
	return true
}

// A decoder makes packages of component types.
type decoder struct {
	left     int   // entries that may still be made
	room     int64 // bytes of memory that they may still take
	main     *Package
	packages []*Package // all, in the order of their first mention
	byName   map[PackageName]*Package
	ifaces   map[Path]*owner
	worlds   map[Path]bool

	// named tells where an entry of an index space has its name.
	named map[*wasm.TypeDef]*typeName
	memo  map[localType]*Type
}

// A localType is a type as it is written in one interface or world.
type localType struct {
	def *wasm.TypeDef
	in  *owner
}

// A typeName is where a type has its name.
type typeName struct {
	in   *owner
	name string
}

// An owner is the interface or world that types are named in. The path is that
// of a named interface, with its package; others cannot be referred to.
type owner struct {
	path  Path
	pkg   *Package
	iface *Interface
	world *World
	types map[string]*TypeDef
	funcs map[string]bool
	used  map[typeName]string // types of others by the names they have here
	names map[string]bool
}

func newDecoder(size, room int64) *decoder {
	return &decoder{
		left:   int(min(MaxItems, 4096+size/4)),
		room:   room,
		byName: map[PackageName]*Package{},
		ifaces: map[Path]*owner{},
		worlds: map[Path]bool{},
		named:  map[*wasm.TypeDef]*typeName{},
		memo:   map[localType]*Type{},
	}
}

// notWIT is an ErrNotWIT with a reason.
func notWIT(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrNotWIT, fmt.Sprintf(format, args...))
}

// Sizes in bytes of the entries of the result, with what finds them again and
// what a Summary has of them.
const (
	sizeExtern    = 720 // of a world
	sizeInterface = 400
	sizeTypeDef   = 480
	sizeFunc      = 280
	sizeUse       = 400
	sizePart      = 80 // a field, a case, a parameter
	sizeType      = 180
)

// spend counts one entry of the result, of so many bytes.
func (d *decoder) spend(size int64) error {
	d.left--
	return d.charge(size)
}

// charge takes room for what belongs to an entry.
func (d *decoder) charge(size int64) error {
	if d.room -= size; d.left < 0 || d.room < 0 {
		return fmt.Errorf("%w: more types and functions than the file could tell apart", ErrLimit)
	}
	return nil
}

// module reads the component-type sections of a core module.
func (d *decoder) module(b *wasm.Binary) error {
	found := 0
	for _, s := range b.Sections {
		if s.ID != 0 || !strings.HasPrefix(s.Name, "component-type") {
			continue
		}
		if found++; found > maxSections {
			return fmt.Errorf("%w: more than %d component-type sections", ErrLimit, maxSections)
		}
		if err := d.section(b.Bytes(s.Body, s.Size)); err != nil {
			var at *wasm.Error
			if errors.As(err, &at) {
				at.Offset += s.Body
			}
			return fmt.Errorf("section %s: %w", s.Name, err)
		}
	}
	if found == 0 {
		return ErrNoWIT
	}
	return nil
}

func (d *decoder) section(content []byte) error {
	b, err := wasm.Parse(content)
	if err != nil {
		return err
	}
	if b.Kind != wasm.KindComponent || !isPackage(b.Component) {
		return notWIT("not a world in the form of a component")
	}
	return d.packageOf(b.Component)
}

// packageOf reads a WIT package. Every export is a component type, which
// imports the interfaces that are used and exports one of the package, or all
// of them.
func (d *decoder) packageOf(c *wasm.Component) error {
	for _, e := range c.Exports {
		for _, inner := range e.Type.Scope.Exports {
			p, err := fullName(inner)
			if err != nil {
				return err
			}
			if d.main == nil {
				d.main = d.pkg(p.Package)
			}
		}
		if err := d.packageItem(e.Type.Scope); err != nil {
			return fmt.Errorf("%s: %w", e.Name, err)
		}
	}
	return nil
}

func (d *decoder) packageItem(s *wasm.Scope) error {
	for _, im := range s.Imports {
		if im.Sort != wasm.SortInstance {
			return notWIT("import of %s %q", im.Sort, im.Name)
		}
		if _, err := d.byPath(im, im.Name); err != nil {
			return err
		}
	}
	for _, ex := range s.Exports {
		p, err := fullName(ex)
		switch {
		case err != nil:
			return err
		case ex.Sort == wasm.SortInstance:
			_, err = d.byPath(ex, ex.Name)
		case ex.Sort == wasm.SortComponent && ex.Type != nil && ex.Type.Scope != nil && !d.worlds[p]:
			d.worlds[p] = true
			err = d.world(d.pkg(p.Package), p.Name, ex.Type.Scope)
		default:
			err = notWIT("export of %s", ex.Sort)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", ex.Name, err)
		}
	}
	return nil
}

// component reads the world of a component.
func (d *decoder) component(c *wasm.Component) error {
	d.main = d.pkg(PackageName{Namespace: "root", Name: "component"})
	return d.world(d.main, "root", &c.Scope)
}

// pkg finds or makes a package.
func (d *decoder) pkg(n PackageName) *Package {
	p := d.byName[n]
	if p == nil {
		p = &Package{Name: n}
		d.byName[n] = p
		d.packages = append(d.packages, p)
	}
	return p
}

// fullName splits "ns:pkg/name@version". A version cut down to its compatible
// part is completed by its suffix, or by zeros.
func fullName(e wasm.ComponentExtern) (Path, error) { return splitName(e.Name, e.VersionSuffix) }

func splitName(s, suffix string) (Path, error) {
	p, ok := parsePath(s)
	v := p.Package.Version
	switch {
	case v == "" || validVersion(v):
	case suffix != "":
		p.Package.Version += suffix
	default:
		p.Package.Version += strings.Repeat(".0", max(0, 2-strings.Count(v, ".")))
	}
	v = p.Package.Version
	if !ok || !kebab(p.Package.Namespace) || !kebab(p.Package.Name) || !kebab(p.Name) || v != "" && !validVersion(v) ||
		strings.HasSuffix(s, "@") {
		return Path{}, notWIT("%q is not the full name of an interface", s)
	}
	return p, nil
}

// world reads a component type, or a component, as a world.
func (d *decoder) world(pkg *Package, name string, s *wasm.Scope) error {
	w := &World{Name: name}
	pkg.Worlds = append(pkg.Worlds, w)
	o := &owner{pkg: pkg, world: w}
	// The room for all of them has to be there before they are.
	if int64(len(s.Imports)+len(s.Exports)) > d.room/sizeExtern {
		return d.charge(math.MaxInt64)
	}
	w.Imports, w.Exports = make([]Extern, 0, len(s.Imports)), make([]Extern, 0, len(s.Exports))
	for _, im := range s.Imports {
		if im.Sort == wasm.SortType {
			if err := d.typeDef(o, im); err != nil {
				return fmt.Errorf("import %s: %w", im.Name, err)
			}
			continue
		}
		if err := d.extern(o, im, &w.Imports); err != nil {
			return fmt.Errorf("import %s: %w", im.Name, err)
		}
	}
	w.Imports = functionsLast(w.Imports)
	for _, ex := range s.Exports {
		if ex.Sort == wasm.SortType {
			return notWIT("export of a type %q", ex.Name)
		}
		if err := d.extern(o, ex, &w.Exports); err != nil {
			return fmt.Errorf("export %s: %w", ex.Name, err)
		}
	}
	if len(w.Exports) == 0 {
		w.Exports = nil
	}
	return nil
}

// extern reads a function or an instance that a world imports or exports.
func (d *decoder) extern(o *owner, e wasm.ComponentExtern, to *[]Extern) error {
	if err := d.spend(sizeExtern); err != nil {
		return err
	}
	x := Extern{Meta: Meta{ExternalID: e.ExternalID}}
	switch e.Sort {
	case wasm.SortFunc:
		f, err := d.function(o, e)
		if err != nil {
			return err
		}
		if f.Kind != FuncFree {
			if to == &o.world.Exports {
				return notWIT("function of a resource")
			}
			return o.attach(f, e.Name)
		}
		x.Name, x.Func, x.Meta = f.Name, f, Meta{}
	case wasm.SortInstance:
		full := e.Name
		if e.Implements != "" {
			full, x.Name = e.Implements, e.Name
		} else if kebab(e.Name) {
			return d.inline(o, e, x, to)
		}
		i, err := d.byPath(e, full)
		if err != nil {
			return err
		}
		x.Path = i.from(o.pkg)
	default:
		return nil // no part of a world
	}
	*to = append(*to, x)
	return nil
}

// inline reads an instance with a plain name as an interface in its place.
func (d *decoder) inline(o *owner, e wasm.ComponentExtern, x Extern, to *[]Extern) error {
	x.Name, x.Interface = e.Name, &Interface{}
	i := &owner{pkg: o.pkg, iface: x.Interface}
	*to = append(*to, x)
	return d.instance(i, e)
}

// from is the path to a named interface from a package.
func (o *owner) from(pkg *Package) Path {
	if o.pkg == pkg {
		return Path{Name: o.path.Name}
	}
	return o.path
}

// byPath reads an instance under the full name of an interface: what is new in
// it is added to the interface.
func (d *decoder) byPath(e wasm.ComponentExtern, full string) (*owner, error) {
	p, err := splitName(full, e.VersionSuffix)
	if err != nil {
		return nil, err
	}
	o := d.ifaces[p]
	if o == nil {
		if err := d.spend(sizeInterface); err != nil {
			return nil, err
		}
		pkg := d.pkg(p.Package)
		o = &owner{path: p, pkg: pkg, iface: &Interface{Name: p.Name}}
		d.ifaces[p] = o
		pkg.Interfaces = append(pkg.Interfaces, o.iface)
	}
	if err := d.instance(o, e); err != nil {
		return nil, fmt.Errorf("%s: %w", full, err)
	}
	return o, nil
}

// instance adds the types and functions of an instance to an interface.
func (d *decoder) instance(o *owner, e wasm.ComponentExtern) error {
	_, inst, err := d.lookup(e.Type)
	if err != nil {
		return err
	}
	if inst.Op != wasm.TypeInstance && inst.Op != wasm.TypeComponent || inst.Scope == nil {
		return notWIT("an instance whose type is not known")
	}
	for _, ex := range inst.Scope.Exports {
		if err := d.spend(0); err != nil {
			return err
		}
		switch ex.Sort {
		case wasm.SortType:
			err = d.typeDef(o, ex)
		case wasm.SortFunc:
			err = d.interfaceFunc(o, ex)
		default:
			err = notWIT("%s in an interface", ex.Sort)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", ex.Name, err)
		}
	}
	return nil
}

func (d *decoder) interfaceFunc(o *owner, e wasm.ComponentExtern) error {
	if o.funcs[e.Name] {
		return nil // told before, by another view of the interface
	}
	f, err := d.function(o, e)
	if err != nil {
		return err
	}
	if o.funcs == nil {
		o.funcs = map[string]bool{}
	}
	o.funcs[e.Name] = true
	if f.Kind != FuncFree {
		return o.attach(f, e.Name)
	}
	o.iface.Funcs = append(o.iface.Funcs, f)
	return nil
}

// attach adds a function to its resource.
func (o *owner) attach(f *Func, full string) error {
	name, _, _ := strings.Cut(full[strings.IndexByte(full, ']')+1:], ".")
	t := o.types[name]
	if t == nil || t.Kind != DefResource {
		return notWIT("function of a resource %q that is not there", name)
	}
	t.Funcs = append(t.Funcs, f)
	return nil
}

// take makes a name known in the interface or world.
func (o *owner) take(name string) {
	if o.names == nil {
		o.names = map[string]bool{}
	}
	o.names[name] = true
}

// typeDef reads a type with a name: a new one, another name for one of the same
// interface, or one of another interface.
func (d *decoder) typeDef(o *owner, e wasm.ComponentExtern) error {
	if !kebab(e.Name) {
		return notWIT("%q is no name", e.Name)
	}
	if e.Type == nil {
		return notWIT("a type that is not known")
	}
	if o.names[e.Name] {
		if d.named[e.Type] == nil {
			d.named[e.Type] = &typeName{o, e.Name}
		}
		return nil // told before, by another view of the interface
	}
	known, base, err := d.lookup(e.Type)
	if err != nil {
		return err
	}
	if err := d.charge(sizeTypeDef); err != nil {
		return err
	}
	o.take(e.Name)
	switch {
	case known != nil && known.in != o && known.in.path.Name == "":
		// A type of a world or of a nameless interface cannot be used elsewhere:
		// its definition is written once more.
		if base.Op == wasm.TypeResource {
			return notWIT("the resource belongs to something without name")
		}
		err = d.define(o, e, base)
	case known != nil && known.in != o:
		d.room -= sizeUse
		o.use(*known, e)
	case known != nil:
		t := &TypeDef{Name: e.Name, Kind: DefType, Type: &Type{Kind: KindName, Name: known.name}}
		o.add(t, e)
	default:
		err = d.define(o, e, base)
	}
	d.named[e.Type] = &typeName{o, e.Name}
	return err
}

func (o *owner) add(t *TypeDef, e wasm.ComponentExtern) {
	t.ExternalID = e.ExternalID
	if o.types == nil {
		o.types = map[string]*TypeDef{}
	}
	o.types[t.Name] = t
	if o.world != nil {
		o.world.Types = append(o.world.Types, t)
	} else {
		o.iface.Types = append(o.iface.Types, t)
	}
}

// use adds a type of another interface.
func (o *owner) use(of typeName, e wasm.ComponentExtern) {
	u := Use{Path: of.in.from(o.pkg), Names: []UseName{{Name: of.name}}}
	u.ExternalID = e.ExternalID
	if e.Name != of.name {
		u.Names[0].As = e.Name
	}
	if o.used == nil {
		o.used = map[typeName]string{}
	}
	if o.used[of] == "" {
		o.used[of] = e.Name
	}
	if o.world != nil {
		o.world.Uses = append(o.world.Uses, u)
	} else {
		o.iface.Uses = append(o.iface.Uses, u)
	}
}

// local gives the name that a type of another interface has in o, and adds a
// use if there is none: a component may refer to a type without naming it.
func (o *owner) local(of typeName) string {
	if n := o.used[of]; n != "" {
		return n
	}
	n := of.name
	for i := 2; o.names[n]; i++ {
		n = fmt.Sprintf("%s-%d", of.name, i)
	}
	o.take(n)
	o.use(of, wasm.ComponentExtern{Name: n})
	return n
}

// nominal are the types that are told apart by their names, and so exist only
// as definitions.
var nominal = map[byte]DefKind{
	wasm.TypeRecord: DefRecord, wasm.TypeVariant: DefVariant, wasm.TypeEnum: DefEnum, wasm.TypeFlags: DefFlags,
	wasm.TypeResource: DefResource,
}

// define writes the definition of a type.
func (d *decoder) define(o *owner, e wasm.ComponentExtern, base *wasm.TypeDef) error {
	t := &TypeDef{Name: e.Name, Kind: nominal[base.Op]}
	if t.Kind == "" {
		t.Kind = DefType
		var err error
		if t.Type, err = d.anonymous(o, base, 0); err != nil {
			return err
		}
		if base.Op == wasm.TypeOwn {
			// "type a = r" would be the resource itself, and not a handle.
			t.Type = &Type{Kind: KindOwn, Name: t.Type.Name}
		}
		o.add(t, e)
		return nil
	}
	// Others may refer to the definition itself and not to its name.
	if d.named[base] == nil {
		d.named[base] = &typeName{o, e.Name}
	}
	for i, label := range base.Labels {
		if err := d.spend(sizePart); err != nil {
			return err
		}
		item := Item{Name: label}
		if !kebab(label) {
			return notWIT("%q is no name", label)
		}
		if i < len(base.Args) && base.Args[i].Set {
			var err error
			if item.Type, err = d.ref(o, base.Args[i], 0); err != nil {
				return fmt.Errorf("%s: %w", label, err)
			}
		}
		t.Items = append(t.Items, item)
	}
	o.add(t, e)
	return nil
}

// function reads a function. Its name tells whether it belongs to a resource:
// "[method]r.f", "[static]r.f", "[constructor]r".
func (d *decoder) function(o *owner, e wasm.ComponentExtern) (*Func, error) {
	_, def, err := d.lookup(e.Type)
	if err != nil {
		return nil, err
	}
	if def.Op != wasm.TypeFunc && def.Op != wasm.TypeAsyncFunc {
		return nil, notWIT("a function whose type is not known")
	}
	if err := d.charge(sizeFunc); err != nil {
		return nil, err
	}
	f := &Func{Async: def.Op == wasm.TypeAsyncFunc, Meta: Meta{ExternalID: e.ExternalID}}
	resource := f.named(e.Name)
	if !kebab(f.Name) && f.Kind != FuncConstructor || f.Kind != FuncFree && !kebab(resource) {
		return nil, notWIT("%q is no name", e.Name)
	}
	for i, label := range def.Labels {
		if err := d.spend(sizePart); err != nil {
			return nil, err
		}
		if i == 0 && f.Kind == FuncMethod {
			continue
		}
		a := Param{Name: label}
		if !kebab(label) {
			return nil, notWIT("%q is no name", label)
		}
		if a.Type, err = d.ref(o, def.Args[i], 0); err != nil {
			return nil, fmt.Errorf("%s: %w", label, err)
		}
		f.Params = append(f.Params, a)
	}
	if def.Result.Set {
		if f.Result, err = d.ref(o, def.Result, 0); err != nil {
			return nil, fmt.Errorf("result: %w", err)
		}
	}
	if f.Kind == FuncConstructor && f.Result != nil && f.Result.Kind == KindName && f.Result.Name == resource {
		f.Result = nil
	}
	return f, nil
}

// named splits the name of a function and gives the resource's.
func (f *Func) named(full string) string {
	kind, rest, _ := strings.Cut(strings.TrimPrefix(full, "["), "]")
	if !strings.HasPrefix(full, "[") {
		f.Name = full
		return ""
	}
	resource, name, _ := strings.Cut(rest, ".")
	switch FuncKind(kind) {
	case FuncMethod, FuncStatic, FuncConstructor:
		f.Kind, f.Name = FuncKind(kind), name
	default:
		f.Name = full // not a name
	}
	return resource
}

// ref reads a type where it is used.
func (d *decoder) ref(o *owner, r wasm.TypeRef, depth int) (*Type, error) {
	if !r.Set {
		return nil, nil //nolint:nilnil // no type is no error: "result<_, e>"
	}
	if r.Prim != 0 {
		return primitive(r.Prim)
	}
	known, base, err := d.lookup(r.Def)
	switch {
	case err != nil:
		return nil, err
	case known != nil && known.in == o:
		return &Type{Kind: KindName, Name: known.name}, nil
	case known != nil && known.in.path.Name != "":
		if o.used[*known] == "" {
			d.room -= sizeUse
		}
		return &Type{Kind: KindName, Name: o.local(*known)}, nil
	}
	return d.anonymous(o, base, depth)
}

// anonymous reads a type that has no name.
func (d *decoder) anonymous(o *owner, base *wasm.TypeDef, depth int) (*Type, error) {
	if depth >= MaxTypeDepth {
		return nil, fmt.Errorf("%w: types nested deeper than %d", ErrLimit, MaxTypeDepth)
	}
	key := localType{base, o}
	if t := d.memo[key]; t != nil {
		return t, nil
	}
	if err := d.spend(sizeType); err != nil {
		return nil, err
	}
	t, err := d.construct(o, base, depth)
	if err == nil {
		d.memo[key] = t
	}
	return t, err
}

// constructed are the types that are made of others in place.
var constructed = map[byte]Kind{
	wasm.TypeList: KindList, wasm.TypeFixedList: KindFixedList, wasm.TypeMap: KindMap, wasm.TypeTuple: KindTuple,
	wasm.TypeOption: KindOption, wasm.TypeResult: KindResult, wasm.TypeStream: KindStream, wasm.TypeFuture: KindFuture,
}

func (d *decoder) construct(o *owner, def *wasm.TypeDef, depth int) (*Type, error) {
	switch {
	case def.Op == wasm.TypeOwn || def.Op == wasm.TypeBorrow:
		return d.handle(o, def, depth)
	case constructed[def.Op] == "":
		if _, ok := nominal[def.Op]; ok {
			return nil, notWIT("a %s without name", nominal[def.Op])
		}
		return primitive(def.Op)
	}
	t := &Type{Kind: constructed[def.Op], Len: def.Len}
	for _, a := range def.Args {
		arg, err := d.ref(o, a, depth+1)
		if err != nil {
			return nil, err
		}
		t.Args = append(t.Args, arg)
	}
	if (t.Kind == KindStream || t.Kind == KindFuture) && len(t.Args) == 1 && t.Args[0] == nil {
		t.Args = nil
	}
	return t, nil
}

// handle reads "own<r>", which is written "r" except as a definition of its own,
// and "borrow<r>".
func (d *decoder) handle(o *owner, base *wasm.TypeDef, depth int) (*Type, error) {
	r, err := d.ref(o, base.Args[0], depth+1)
	if err != nil {
		return nil, err
	}
	if r == nil || r.Kind != KindName {
		return nil, notWIT("a handle of what is no resource")
	}
	if base.Op == wasm.TypeBorrow {
		return &Type{Kind: KindBorrow, Name: r.Name}, nil
	}
	return r, nil
}

// primitive gives a built-in type by its code.
func primitive(code byte) (*Type, error) {
	def := wasm.TypeDef{Op: code}
	if t := primitives[Kind(def.String())]; t != nil {
		return t, nil
	}
	return nil, notWIT("type 0x%02x", code)
}

// lookup finds the name of a type, following what an entry is another name for,
// or else the definition this ends at.
func (d *decoder) lookup(t *wasm.TypeDef) (*typeName, *wasm.TypeDef, error) {
	var found *typeName
	for range maxNames {
		switch {
		case t == nil:
			return nil, nil, notWIT("a type that is not known")
		case found == nil:
			found = d.named[t]
		}
		if t.Of == nil {
			return found, t, nil
		}
		t = t.Of
	}
	return nil, nil, fmt.Errorf("%w: more than %d names for one type", ErrLimit, maxNames)
}

// finish puts the document together: packages that others use come first.
func (d *decoder) finish() (*Document, error) {
	doc := &Document{Package: d.main}
	needs := map[*Package][]*Package{}
	for _, p := range d.packages {
		for _, path := range references(p) {
			if q := d.byName[path.Package]; q != nil && q != p {
				needs[p] = append(needs[p], q)
			}
		}
	}
	done := map[*Package]bool{d.main: true}
	var visit func(p *Package, depth int) error
	visit = func(p *Package, depth int) error {
		if depth > maxPackages {
			return fmt.Errorf("%w: packages that use each other deeper than %d", ErrLimit, maxPackages)
		}
		if done[p] {
			return nil
		}
		done[p] = true
		for _, q := range needs[p] {
			if err := visit(q, depth+1); err != nil {
				return err
			}
		}
		doc.Nested = append(doc.Nested, p)
		return nil
	}
	for _, p := range d.packages {
		if err := visit(p, 0); err != nil {
			return nil, err
		}
	}
	return doc, nil
}

// references lists the paths that a package names, in order.
func references(p *Package) []Path {
	var all []Path
	uses := func(uses []Use) {
		for _, u := range uses {
			all = append(all, u.Path)
		}
	}
	for _, i := range p.Interfaces {
		uses(i.Uses)
	}
	for _, w := range p.Worlds {
		uses(w.Uses)
		for _, e := range slices.Concat(w.Imports, w.Exports) {
			if e.Interface != nil {
				uses(e.Interface.Uses)
			} else if e.Func == nil {
				all = append(all, e.Path)
			}
		}
	}
	return all
}

// group puts uses of one interface that follow each other together.
func group(doc *Document) {
	for _, p := range append([]*Package{doc.Package}, doc.Nested...) {
		for _, i := range p.Interfaces {
			i.Uses = grouped(i.Uses)
		}
		for _, w := range p.Worlds {
			w.Uses = grouped(w.Uses)
			for _, e := range slices.Concat(w.Imports, w.Exports) {
				if e.Interface != nil {
					e.Interface.Uses = grouped(e.Interface.Uses)
				}
			}
		}
	}
}

func grouped(uses []Use) []Use {
	var out []Use
	for _, u := range uses {
		if n := len(out); n > 0 && out[n-1].Path == u.Path && out[n-1].Meta == u.Meta {
			out[n-1].Names = append(out[n-1].Names, u.Names...)
		} else {
			out = append(out, u)
		}
	}
	return out
}
