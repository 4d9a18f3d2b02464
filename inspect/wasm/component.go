package wasm

import (
	"fmt"
	"sync"
)

// A Component is what a component declares. Everything that the file defines is
// there, and where it comes from, whether the component is valid or not; what
// an invalid one refers to without having it is nil or [OriginUnknown].
type Component struct {
	Scope

	// Modules are the core modules and Components the components inside it, in
	// the order of the file.
	Modules    []*Binary
	Components []*Binary

	// The index spaces of the core, whole. The names of exports, arguments and
	// aliases lead from the imports of a nested module to what satisfies them:
	// the Args of its CoreInstance name another core instance, whose export is
	// that of a module again or, in an inline one, an entry of CoreFuncs, which
	// a Canon may have lowered from one of Functions, and so on.
	CoreModules   []Origin
	CoreInstances []CoreInstance
	CoreFuncs     []Origin
	CoreTables    []Origin
	CoreMemories  []Origin
	CoreGlobals   []Origin
	CoreTags      []Origin

	// Functions, InstanceDefs and ComponentDefs say of each entry of Funcs,
	// Instances and ComponentTypes where it comes from.
	Functions     []Origin
	InstanceDefs  []Instance
	ComponentDefs []Origin

	Canons []Canon

	// Start is the start definition, nil without one.
	Start *Start

	verdict *verdict
}

// A Start is the start definition of a component: the function that runs when
// it is instantiated, with what it is given and how many values it gives.
type Start struct {
	Func    uint32   // in Functions
	Args    []uint32 // in the index space of values
	Results uint32
}

// A verdict is what reading the components of a file tells about its validity.
type verdict struct {
	fault    *Error // the first violation of a rule of validation
	features Features
}

// A Scope is the inside of a component, a component type or an instance type:
// what it imports and exports, and the index spaces they refer to.
type Scope struct {
	Imports []ComponentExtern
	Exports []ComponentExtern

	// Types, Funcs, Values, ComponentTypes and Instances are index spaces; of
	// the last four, by the types of the entries. The scope of an instance that
	// was imported or instantiated has none of them, only Exports.
	Types          []*TypeDef
	Funcs          []*TypeDef
	Values         []*TypeDef
	ComponentTypes []*TypeDef
	Instances      []*TypeDef

	outer *Scope
	in    *enclosure // while the scope is read
	ident *Scope     // the scope that this one is a copy of
	names *nameIndex // of Exports
}

// A nameIndex finds exports by their names. It is made when first needed, as a
// file may hold as many aliases as exports.
type nameIndex struct {
	once sync.Once
	at   map[string]int
}

// Export finds the export of that name.
func (s *Scope) Export(name string) (*ComponentExtern, bool) {
	if s == nil {
		return nil, false
	}
	if len(s.Exports) <= fewNames || s.names == nil {
		for i := range s.Exports {
			if s.Exports[i].Name == name {
				return &s.Exports[i], true
			}
		}
		return nil, false
	}
	s.names.once.Do(func() {
		s.names.at = make(map[string]int, len(s.Exports))
		for i := range s.Exports {
			s.names.at[s.Exports[i].Name] = i
		}
	})
	i, ok := s.names.at[name]
	if !ok {
		return nil, false
	}
	return &s.Exports[i], true
}

// fewNames is how many names are looked through one by one.
const fewNames = 8

// id is what the resources that the scope binds know it by.
func (s *Scope) id() *Scope {
	if s.ident != nil {
		return s.ident
	}
	return s
}

// outward is the scope n levels out, nil beyond the outermost one.
func (s *Scope) outward(n uint32) *Scope {
	for ; n > 0 && s != nil; n-- {
		s = s.outer
	}
	return s
}

// define adds a definition to the index space of its sort, if that is one of the
// scope's.
func (s *Scope) define(sort Sort, def *TypeDef) {
	if space := s.space(sort); space != nil {
		*space = append(*space, def)
	}
}

// space is the index space of a sort, nil for those of the core.
func (s *Scope) space(sort Sort) *[]*TypeDef {
	switch sort {
	case SortType:
		return &s.Types
	case SortFunc:
		return &s.Funcs
	case SortValue:
		return &s.Values
	case SortComponent:
		return &s.ComponentTypes
	case SortInstance:
		return &s.Instances
	case SortModule:
		if s.in != nil {
			return &s.in.modules
		}
	case SortCore:
	}
	return nil
}

// entry gives entry i of the index space of a sort, nil if there is none.
func (s *Scope) entry(sort Sort, i uint32) *TypeDef {
	if s == nil {
		return nil
	}
	space := s.space(sort)
	if space == nil || int64(i) >= int64(len(*space)) {
		return nil
	}
	return (*space)[i]
}

// A Sort says what a component imports, exports or aliases; the values are
// those of the format.
type Sort byte

// The sorts of a component. SortModule is the core sort that may be imported
// and exported; it is written with a prefix in the file.
const (
	SortCore      Sort = 0x00
	SortFunc      Sort = 0x01
	SortValue     Sort = 0x02
	SortType      Sort = 0x03
	SortComponent Sort = 0x04
	SortInstance  Sort = 0x05
	SortModule    Sort = 0x11
)

func (s Sort) String() string {
	switch s {
	case SortFunc:
		return "func"
	case SortValue:
		return "value"
	case SortType:
		return "type"
	case SortComponent:
		return "component"
	case SortInstance:
		return "instance"
	case SortModule:
		return "core module"
	default:
		return "core"
	}
}

// A ComponentExtern is an import or export of a component.
type ComponentExtern struct {
	Name string
	Sort Sort

	attributes byte // those that the name has, by the bits of their codes

	// Implements names the interface that an instance of another name has, and
	// ExternalID is what the name means outside ("name attributes" of
	// Binary.md). VersionSuffix completes a version cut down to its
	// compatible part.
	Implements    string
	VersionSuffix string
	ExternalID    string

	// Type is the type of it, nil if it is not known.
	Type *TypeDef
}

const (
	attrImplements = 1 << iota
	attrVersionSuffix
	attrExternalID
)

// A TypeDef is an entry of a component's type index space, or the type of an
// entry of another one.
type TypeDef struct {
	Op byte // one of the Type codes

	flags typeFlags
	depth uint8  // levels of types inside it
	Len   uint32 // of a list of fixed length

	// Labels are the names of parameters, fields, cases or flags; Args the
	// types that belong to them, or the arguments of list, option and so on.
	Labels []string
	Args   []TypeRef
	Result TypeRef // of a function

	Scope  *Scope  // of component and instance types; of resources, see bound
	Module *Module // of core module types, by its imports and exports

	// Of is the type that this entry is another name for, if an import or export
	// with the bound "eq" made it. The rest is a copy of it. Of a resource, it
	// leads to the one TypeDef that is the resource.
	Of *TypeDef

	root *TypeDef // of a resource with another name: the resource
	abi  abi      // of value types
	size uint32   // of everything inside, written out
}

type typeFlags byte

const (
	flagBorrow   typeFlags = 1 << iota // has a borrow in it
	flagPointer                        // is, in part, kept in memory where it is passed
	flagVaries                         // has resources or named types in it
	flagImported                       // a resource that its scope imports
	flagLocal                          // a resource that is defined right here, with a representation
	flagBinds                          // a scope to which resources belong
	flagRep64                          // a resource represented by an i64
)

// Resource gives the TypeDef that stands for the resource that t names, nil if t
// names no resource. Two types are the same resource if that is the same.
func (t *TypeDef) Resource() *TypeDef {
	switch {
	case t == nil || t.Op != TypeResource:
		return nil
	case t.root != nil:
		return t.root
	}
	return t
}

// bound is the scope that a resource belongs to: the one that imports or defines
// it.
func (t *TypeDef) bound() *Scope { return t.Scope }

// rename gives a new entry of an index space that is equal to t, which may be
// nil: two entries with names of their own remain apart.
func (d *componentDecoder) rename(r *reader, at int, t *TypeDef) *TypeDef {
	if r.charge(costTypeDef); t == nil || r.err != nil {
		return nil
	}
	if t.depth >= MaxTypeDepth {
		r.fail(at, fmt.Errorf("%w: a type of more than %d levels or names", ErrLimit, MaxTypeDepth))
		return nil
	}
	n := *t
	n.Of, n.root = t, t.Resource()
	n.flags |= flagVaries
	n.depth++
	return &n
}

// Codes of component types, as in the format. A TypeDef of a primitive type has
// the code of the primitive.
const (
	TypeResource   = 0x3f
	TypeFunc       = 0x40
	TypeComponent  = 0x41
	TypeInstance   = 0x42
	TypeAsyncFunc  = 0x43
	TypeModule     = 0x50
	TypeMap        = 0x63
	TypeFuture     = 0x65
	TypeStream     = 0x66
	TypeFixedList  = 0x67
	TypeBorrow     = 0x68
	TypeOwn        = 0x69
	TypeResult     = 0x6a
	TypeOption     = 0x6b
	TypeEnum       = 0x6d
	TypeFlags      = 0x6e
	TypeTuple      = 0x6f
	TypeList       = 0x70
	TypeVariant    = 0x71
	TypeRecord     = 0x72
	primErrContext = 0x64
	primString     = 0x73
	primChar       = 0x74
	primBool       = 0x7f
)

func primitive(b byte) bool { return b >= primString && b <= primBool || b == primErrContext }

// isValue is whether a type with that code is one of values.
func isValue(op byte) bool { return op >= TypeMap }

func isFunc(op byte) bool { return op == TypeFunc || op == TypeAsyncFunc }

// A TypeRef refers to a type: a primitive by its code, or another entry of the
// index space the referring type lies in. The zero value is no type, as of a
// function without result.
type TypeRef struct {
	Def  *TypeDef // nil for a primitive, and for a type that is not known
	Prim byte
	Set  bool // whether there is a type
}

// code is the code of the type that is referred to, 0 if it is not known.
func (t TypeRef) code() byte {
	if t.Def != nil {
		return t.Def.Op
	}
	return t.Prim
}

// def gives the type that is referred to as a TypeDef.
func (t TypeRef) def() *TypeDef {
	if t.Def == nil && t.Prim != 0 {
		return primitiveDefs[t.Prim]
	}
	return t.Def
}
