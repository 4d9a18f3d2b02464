package wasm

import "strconv"

// primitives names the primitive component types by their codes.
var primitives = map[byte]string{
	0x7f: "bool", 0x7e: "s8", 0x7d: "u8", 0x7c: "s16", 0x7b: "u16", 0x7a: "s32", 0x79: "u32", 0x78: "s64", 0x77: "u64",
	0x76: "f32", 0x75: "f64", 0x74: "char", 0x73: "string", 0x64: "error-context",
}

// String gives the type as the component text format writes it, with the
// definitions it refers to in their places: "(func (param "a" string) (result
// u32))". A type that is not known is "_"; very deep or long ones end in an
// ellipsis. The type of a core module lists its imports and exports. Types of
// instances and components are "", as they are told by their exports.
func (t *TypeDef) String() string {
	if t == nil || t.Op == TypeComponent || t.Op == TypeInstance {
		return ""
	}
	var b text
	b.typeDef(t, 0)
	return b.String()
}

func (b *text) ref(t TypeRef, depth int) {
	switch {
	case !t.Set:
		b.add("_")
	case t.Prim != 0:
		b.add(primitives[t.Prim])
	case t.Def == nil:
		b.add("_")
	default:
		b.typeDef(t.Def, depth+1)
	}
}

func (b *text) typeDef(t *TypeDef, depth int) {
	// Types share their parts, so only the text's bound keeps this from taking
	// exponential time.
	if b.full || depth > MaxTypeNesting {
		b.add("…")
		return
	}
	if p := primitives[t.Op]; p != "" {
		b.add(p)
		return
	}
	if t.Op == TypeModule {
		b.module(t.Module)
		return
	}
	b.add("(", constructors[t.Op])
	switch t.Op {
	case TypeFunc, TypeAsyncFunc:
		b.labelled("param", t, depth)
		if t.Result.Set {
			b.add(" (result ")
			b.ref(t.Result, depth)
			b.add(")")
		}
	case TypeRecord:
		b.labelled("field", t, depth)
	case TypeVariant:
		b.labelled("case", t, depth)
	case TypeFlags, TypeEnum:
		for i := 0; i < len(t.Labels) && !b.full; i++ {
			b.add(" ", strconv.Quote(t.Labels[i]))
		}
	case TypeResult:
		if t.Args[0].Set {
			b.add(" ")
			b.ref(t.Args[0], depth)
		}
		if t.Args[1].Set {
			b.add(" (error ")
			b.ref(t.Args[1], depth)
			b.add(")")
		}
	default:
		b.args(t, depth)
	}
	if t.Op == TypeFixedList {
		b.add(" ", strconv.FormatUint(uint64(t.Len), 10))
	}
	b.add(")")
}

func (b *text) module(m *Module) {
	b.add("(core module")
	for i := 0; i < len(m.Imports) && !b.full; i++ {
		im := m.Imports[i]
		b.add(" (import ", strconv.Quote(im.Module), " ", strconv.Quote(im.Name), " ", m.ImportType(im), ")")
	}
	for i := 0; i < len(m.Exports) && !b.full; i++ {
		b.add(" (export ", strconv.Quote(m.Exports[i].Name), " ", m.ExportType(m.Exports[i]), ")")
	}
	b.add(")")
}

func (b *text) args(t *TypeDef, depth int) {
	for i := 0; i < len(t.Args) && !b.full; i++ {
		if t.Args[i].Set {
			b.add(" ")
			b.ref(t.Args[i], depth)
		}
	}
}

func (b *text) labelled(word string, t *TypeDef, depth int) {
	for i := 0; i < len(t.Labels) && !b.full; i++ {
		b.add(" (", word, " ", strconv.Quote(t.Labels[i]))
		if i < len(t.Args) && t.Args[i].Set {
			b.add(" ")
			b.ref(t.Args[i], depth)
		}
		b.add(")")
	}
}

var constructors = map[byte]string{
	TypeFunc: "func", TypeAsyncFunc: "func async", TypeRecord: "record", TypeVariant: "variant", TypeFlags: "flags",
	TypeEnum: "enum", TypeTuple: "tuple", TypeList: "list", TypeFixedList: "list", TypeOption: "option", TypeResult: "result",
	TypeMap: "map", TypeStream: "stream", TypeFuture: "future", TypeOwn: "own", TypeBorrow: "borrow", TypeResource: "resource",
	TypeInstance: "instance", TypeComponent: "component",
}
