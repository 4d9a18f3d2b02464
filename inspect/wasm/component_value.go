package wasm

import (
	"fmt"
	"unicode/utf8"
)

// value reads the definition of a value: its type, its size in bytes, and what
// "Value Definitions" of Binary.md makes of values of that type.
func (d *componentDecoder) value(r *reader) {
	start := r.off
	d.use(FeatureCMValues)
	t := d.valType(r, &d.c.Scope)
	size := r.u32()
	body := r.base + int64(r.off)
	b := r.bytes(int(size))
	if r.err != nil {
		return
	}
	d.c.define(SortValue, t.def())
	d.c.in.values = append(d.c.in.values, false)
	if !d.sound(r) {
		return
	}
	v := valueReader{d: d, r: &reader{buf: b, base: body, doing: r.doing, entry: r.entry, budget: r.budget}}
	v.read(t.def())
	v.r.end()
	if v.r.err != nil {
		r.fail(start, v.r.err)
	}
	d.check(r, start, v.err)
}

// A valueReader steps over values. The depth of types bounds its recursion, and
// the steps that checks may take its time: values may be empty.
type valueReader struct {
	d   *componentDecoder
	r   *reader
	err error // a value that its type has not
}

func (v *valueReader) invalid(format string, args ...any) {
	if v.err == nil {
		v.err = fmt.Errorf("%w: %s", ErrType, fmt.Sprintf(format, args...))
	}
}

func (v *valueReader) read(t *TypeDef) {
	if t == nil || v.r.err != nil || !v.d.shared.step(1) {
		return
	}
	switch t.Op {
	case TypeRecord, TypeTuple:
		for _, a := range t.Args {
			v.read(a.def())
		}
	case TypeVariant:
		if i := v.index(len(t.Labels)); i >= 0 {
			v.read(t.Args[i].def())
		}
	case TypeEnum:
		v.index(len(t.Labels))
	case TypeFlags:
		v.r.bytes((len(t.Labels) + 7) / 8)
	case TypeOption:
		if v.r.flag("an option") {
			v.read(t.Args[0].def())
		}
	case TypeResult:
		i := 0
		if v.r.flag("a result") {
			i = 1
		}
		v.read(t.Args[i].def())
	case TypeList, TypeMap:
		for range v.r.count(1, MaxItems) {
			for _, a := range t.Args {
				v.read(a.def())
			}
		}
	case TypeFixedList:
		for i := uint32(0); i < t.Len && v.r.err == nil && v.d.shared.work >= 0; i++ {
			v.read(t.Args[0].def())
		}
	default:
		v.primitive(t)
	}
}

// index reads the number of a case, -1 if there are not that many.
func (v *valueReader) index(n int) int {
	i := v.r.u32()
	if int64(i) >= int64(n) {
		v.invalid("case %d of %d", i, n)
		return -1
	}
	return int(i)
}

func (v *valueReader) primitive(t *TypeDef) {
	r := v.r
	switch primitives[t.Op] {
	case "bool":
		r.flag("a boolean value")
	case "s8", "u8":
		r.u8()
	case "s16":
		if n := r.sleb(32); n < -1<<15 || n >= 1<<15 {
			v.invalid("%d is no s16", n)
		}
	case "u16":
		if n := r.u32(); n >= 1<<16 {
			v.invalid("%d is no u16", n)
		}
	case "s32":
		r.sleb(32)
	case "u32":
		r.u32()
	case "s64":
		r.sleb(64)
	case "u64":
		r.uleb(64)
	case "f32":
		r.bytes(4)
	case "f64":
		r.bytes(8)
	case "char":
		v.char()
	case "string":
		if !utf8.Valid(r.bytes(int(r.u32()))) {
			r.fail(r.off, ErrUTF8)
		}
	default:
		v.invalid("a value cannot be a %s", t.kind())
	}
}

// char reads one character in UTF-8.
func (v *valueReader) char() {
	if v.r.err != nil {
		return
	}
	c, n := utf8.DecodeRune(v.r.buf[v.r.off:])
	if c == utf8.RuneError && n <= 1 {
		v.r.fail(v.r.off, ErrUTF8)
		return
	}
	v.r.bytes(n)
}
