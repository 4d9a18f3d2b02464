// Package wit reads the interfaces of components: worlds, interfaces and types
// as WIT, the interface language of the component model.
//
// FromBinary decodes them from a WIT package in its binary form, from a
// component and from a core module that is yet to become one; Parse reads WIT
// text and Print writes it, so that Parse(Print(d)) is d. Summarize gives what a
// report shows, and Compare says what changed between two versions and whom
// that breaks. All of it is a function of its input, bounded by limits.go.
//
// The model is that of the text: types are referred to by the names they have
// in their interface, and a type of another interface is there by a use. WIT.md
// and Binary.md mean the documents of the component model's specification.
package wit

import "strings"

// A Document is a package and the packages it refers to, as one WIT text has
// them: those are nested, and hold only what is referred to if the document was
// decoded.
type Document struct {
	Package *Package
	Nested  []*Package
}

// A PackageName is "namespace:name@version". Version is a semantic version, or
// empty. The zero value is the name of no package.
type PackageName struct {
	Namespace string
	Name      string
	Version   string
}

// Unversioned is "namespace:name".
func (n PackageName) Unversioned() string { return n.Namespace + ":" + n.Name }

func (n PackageName) String() string {
	if n == (PackageName{}) {
		return ""
	}
	if n.Version == "" {
		return n.Unversioned()
	}
	return n.Unversioned() + "@" + n.Version
}

// A Package is a set of interfaces and worlds under one name. One that was
// parsed from text may be without name.
type Package struct {
	Name       PackageName
	Docs       string
	Uses       []TopUse
	Interfaces []*Interface
	Worlds     []*World
}

// A TopUse gives an interface or world another name in a file.
type TopUse struct {
	Meta
	Path Path
	As   string // empty if it keeps its name
}

// Meta is what may be said about anything that has a name.
type Meta struct {
	// Docs is the text of the comment, of lines parted by newlines; see
	// "Comments" of WIT.md.
	Docs string

	// Since and Deprecated are versions, Unstable the name of a feature; each
	// is empty where the text has no such gate ("Feature Gates" of WIT.md).
	Since      string
	Unstable   string
	Deprecated string

	// ExternalID says what the name means outside ("name attributes" of
	// Binary.md).
	ExternalID string
}

// gates is Meta without docs, comparable for what stands in one use.
func (m Meta) gates() Meta {
	m.Docs = ""
	return m
}

// A Path names an interface or world. Without Package it is one of the same
// package.
type Path struct {
	Package PackageName
	Name    string
}

// String is "ns:pkg/name@1.2.3", or "name" within a package.
func (p Path) String() string {
	if p.Package == (PackageName{}) {
		return p.Name
	}
	s := p.Package.Unversioned() + "/" + p.Name
	if p.Package.Version != "" {
		s += "@" + p.Package.Version
	}
	return s
}

// parsePath reads what String gives. It does not check the names.
func parsePath(s string) (Path, bool) {
	path, version, _ := strings.Cut(s, "@")
	pkg, name, ok := strings.Cut(path, "/")
	if !ok {
		return Path{Name: path}, version == ""
	}
	ns, pkg, ok := strings.Cut(pkg, ":")
	return Path{Package: PackageName{Namespace: ns, Name: pkg, Version: version}, Name: name}, ok
}

// An Interface is a set of types and functions. One that stands in a world has
// no name of its own.
type Interface struct {
	Name string
	Meta
	Uses  []Use
	Types []*TypeDef
	Funcs []*Func // without those of resources
}

// A Use takes types from another interface.
type Use struct {
	Meta  // of all the types, without docs
	Path  Path
	Names []UseName
}

// A UseName is a type that is used. As is empty if it keeps its name.
type UseName struct {
	Name string
	As   string
}

// local is the name the type has where it is used.
func (u UseName) local() string {
	if u.As != "" {
		return u.As
	}
	return u.Name
}

// A World is what a component imports and exports.
type World struct {
	Name string
	Meta
	Includes []Include
	Uses     []Use
	Types    []*TypeDef

	// Imports and Exports: of the imports, interfaces come first and functions
	// after them, as their types must be known by then.
	Imports []Extern
	Exports []Extern
}

// An Include adds all of another world, some names changed.
type Include struct {
	Meta
	Path  Path
	Names []UseName
}

// An Extern is an import or export of a world: a function, an interface that
// stands in place, or one by its path.
type Extern struct {
	Meta

	// Name is the plain name, empty if the path is the name. With both, the
	// interface of the path is imported under another name.
	Name      string
	Path      Path
	Interface *Interface
	Func      *Func
}

// String is the name it is imported or exported by.
func (e Extern) String() string {
	if e.Name != "" {
		return e.Name
	}
	return e.Path.String()
}

// A DefKind says what a type definition defines; the values are the keywords.
type DefKind string

// The kinds of type definitions. DefType gives another type a name.
const (
	DefRecord   DefKind = "record"
	DefVariant  DefKind = "variant"
	DefEnum     DefKind = "enum"
	DefFlags    DefKind = "flags"
	DefResource DefKind = "resource"
	DefType     DefKind = "type"
)

// A TypeDef is a type with a name.
type TypeDef struct {
	Name string
	Kind DefKind
	Meta
	Items []Item  // fields of a record, cases of a variant or enum, flags
	Type  *Type   // of DefType
	Funcs []*Func // of a resource
}

// An Item is a field, a case or a flag. Type is nil where there is none.
type Item struct {
	Name string
	Docs string
	Type *Type
}

// A FuncKind says how a function belongs to a resource.
type FuncKind string

// The kinds of functions.
const (
	FuncFree        FuncKind = ""
	FuncMethod      FuncKind = "method"
	FuncStatic      FuncKind = "static"
	FuncConstructor FuncKind = "constructor"
)

// A Func is a function. A method's self is not among the parameters. Result is
// nil if there is none, and for a constructor that returns its resource.
type Func struct {
	Name string // empty for a constructor
	Kind FuncKind
	Meta
	Async  bool
	Params []Param
	Result *Type
}

// A Param is a parameter.
type Param struct {
	Name string
	Type *Type
}

// A Kind says what a type is. Those of the built-in types are their keywords.
type Kind string

// Kinds of types that are not just keywords. KindName is a type by its name; of
// a resource, that stands for owning it.
const (
	KindName      Kind = "name"
	KindOwn       Kind = "own"
	KindBorrow    Kind = "borrow"
	KindList      Kind = "list"
	KindFixedList Kind = "fixed-list"
	KindMap       Kind = "map"
	KindTuple     Kind = "tuple"
	KindOption    Kind = "option"
	KindResult    Kind = "result"
	KindStream    Kind = "stream"
	KindFuture    Kind = "future"
)

// A Type is a type where it is used. Types are shared and must not be changed.
type Type struct {
	Kind Kind
	Name string // of KindName, KindOwn and KindBorrow

	// Args are the types it is made of. A result has two, either of them nil
	// if it is not there; a stream or future has one or none.
	Args []*Type
	Len  uint32 // of KindFixedList
}

// primitives are the built-in types without arguments.
var primitives = func() map[Kind]*Type {
	m := map[Kind]*Type{}
	for _, k := range []Kind{
		"bool", "s8", "u8", "s16", "u16", "s32", "u32", "s64", "u64", "f32", "f64", "char", "string", "error-context",
	} {
		m[k] = &Type{Kind: k}
	}
	return m
}()

// Interface finds an interface by the name it has in the package.
func (p *Package) Interface(name string) *Interface {
	for _, i := range p.Interfaces {
		if i.Name == name {
			return i
		}
	}
	return nil
}

// World finds a world by the name it has in the package.
func (p *Package) World(name string) *World {
	for _, w := range p.Worlds {
		if w.Name == name {
			return w
		}
	}
	return nil
}

// keywords are the words that name nothing unless they are escaped by "%"
// ("Keywords" of WIT.md, and the ones that tools escape although they need not).
var keywords = func() map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(`use type func u8 u16 u32 u64 s8 s16 s32 s64 f32 f64 float32 float64 char resource
		record flags variant enum bool string option result future stream list own borrow _ as from static interface tuple
		world import export package with include constructor error-context async map`) {
		m[w] = true
	}
	return m
}()
