// Package stream writes values as JSON a piece at a time.
//
// [encoding/json] holds the whole text before it writes any of it, in a buffer
// that doubles as it grows: of a report that may be many times the report
// itself. [Write] holds a few kilobytes, and gives the same JSON for the kinds of
// values that reports are made of: structs with their tags, lists, pointers,
// text and numbers. What is not among them goes through encoding/json in one
// piece, so it should be small.
package stream

import (
	"bytes"
	"encoding"
	"encoding/json"
	"io"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"
)

// A Writer is a value that writes its own JSON, as long as that may be.
type Writer interface {
	WriteJSON(w io.Writer) error
}

// size is how much is put together before it is written, in bytes.
const size = 16 << 10

// Write writes v, a struct or a pointer to one, as [json.Marshal] would, but for
// characters that only HTML minds, and a newline. A value in it that is a
// [Writer] and a pointer writes itself. Errors are those of w.
func Write(w io.Writer, v any) error {
	e := &encoder{w: w, buf: make([]byte, 0, size+utf8.UTFMax)}
	e.value(reflect.ValueOf(v))
	e.byte('\n')
	e.flush()
	return e.err
}

// An encoder is the state of one Write.
type encoder struct {
	w   io.Writer
	buf []byte
	err error
}

func (e *encoder) flush() {
	if e.err == nil && len(e.buf) > 0 {
		_, e.err = e.w.Write(e.buf)
	}
	e.buf = e.buf[:0]
}

// room makes room for n bytes, less than size.
func (e *encoder) room(n int) {
	if len(e.buf)+n > size {
		e.flush()
	}
}

func (e *encoder) byte(b byte) {
	e.room(1)
	e.buf = append(e.buf, b)
}

func (e *encoder) raw(s string) {
	for len(s) > 0 {
		e.room(1)
		n := min(len(s), size-len(e.buf))
		e.buf = append(e.buf, s[:n]...)
		s = s[n:]
	}
}

// maxEscaped is what one byte may become, in bytes: \u0000.
const maxEscaped = 6

// string writes a text in pieces that fit the buffer when escaped.
func (e *encoder) string(s string) {
	e.byte('"')
	for len(s) > 0 {
		n := min(len(s), size/maxEscaped/2)
		for n < len(s) && n > 0 && !utf8.RuneStart(s[n]) {
			n--
		}
		if n == 0 { // no text: where it is cut does not matter
			n = min(len(s), size/maxEscaped/2)
		}
		e.room(n * maxEscaped)
		e.buf = appendEscaped(e.buf, s[:n])
		s = s[n:]
	}
	e.byte('"')
}

func (e *encoder) value(v reflect.Value) {
	if e.err != nil {
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		e.raw(strconv.FormatBool(v.Bool()))
		return
	case reflect.Pointer:
		if v.IsNil() {
			e.raw("null")
			return
		}
		if own, ok := v.Interface().(Writer); ok {
			e.flush()
			if e.err == nil {
				e.err = own.WriteJSON(e.w)
			}
			return
		}
		if !marshals(v.Type().Elem()) {
			e.value(v.Elem())
			return
		}
	case reflect.Struct, reflect.Slice:
		if marshals(v.Type()) {
			break
		}
		if v.Kind() == reflect.Struct {
			e.structure(v)
			return
		}
		if !v.IsNil() && v.Type().Elem().Kind() != reflect.Uint8 {
			e.list(v)
			return
		}
	case reflect.String:
		if !marshals(v.Type()) {
			e.string(v.String())
			return
		}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		if !marshals(v.Type()) {
			e.room(20)
			e.buf = strconv.AppendInt(e.buf, v.Int(), 10)
			return
		}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		if !marshals(v.Type()) {
			e.room(20)
			e.buf = strconv.AppendUint(e.buf, v.Uint(), 10)
			return
		}
	default:
		// Whatever else there is, encoding/json knows.
	}
	e.other(v)
}

func (e *encoder) other(v reflect.Value) {
	var b bytes.Buffer
	j := json.NewEncoder(&b)
	j.SetEscapeHTML(false)
	if err := j.Encode(v.Interface()); err != nil {
		e.err = err
		return
	}
	e.raw(strings.TrimSuffix(b.String(), "\n"))
}

func (e *encoder) list(v reflect.Value) {
	e.byte('[')
	for i := range v.Len() {
		if i > 0 {
			e.byte(',')
		}
		e.value(v.Index(i))
	}
	e.byte(']')
}

func (e *encoder) structure(v reflect.Value) {
	e.byte('{')
	first := true
	for _, f := range fieldsOf(v.Type()) {
		x := v.FieldByIndex(f.index)
		if f.omitEmpty && isEmpty(x) {
			continue
		}
		if !first {
			e.byte(',')
		}
		first = false
		e.raw(f.key)
		e.value(x)
	}
	e.byte('}')
}

// isEmpty is what "omitempty" leaves out.
func isEmpty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Slice, reflect.Map, reflect.String, reflect.Array:
		return v.Len() == 0
	case reflect.Struct:
		return false
	default:
		return v.IsZero()
	}
}

// A field is one member of a struct's JSON.
type field struct {
	index     []int
	key       string // with its quotes and the colon
	omitEmpty bool
}

var known sync.Map // of reflect.Type to []field

// fieldsOf lists the fields of a struct, those of embedded structs in their
// place.
func fieldsOf(t reflect.Type) []field {
	if list, ok := known.Load(t); ok {
		return list.([]field)
	}
	var list []field
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && name == "" && f.Type.Kind() == reflect.Struct:
			for _, inner := range fieldsOf(f.Type) {
				inner.index = append([]int{i}, inner.index...)
				list = append(list, inner)
			}
			continue
		case !f.IsExported() || name == "-" && options == "":
			continue
		case name == "":
			name = f.Name
		}
		key := AppendString(nil, name)
		list = append(list, field{[]int{i}, string(key) + ":", options == "omitempty"})
	}
	known.Store(t, list)
	return list
}

// marshals is whether a type has a JSON form of its own.
func marshals(t reflect.Type) bool {
	return t.PkgPath() != "" && (t.Implements(marshaler) || t.Implements(textMarshaler))
}

var (
	marshaler     = reflect.TypeFor[json.Marshaler]()
	textMarshaler = reflect.TypeFor[encoding.TextMarshaler]()
)

// AppendString appends s as a JSON string; bytes that are not UTF-8 become the
// replacement character.
func AppendString(dst []byte, s string) []byte {
	return append(appendEscaped(append(dst, '"'), s), '"')
}

// appendEscaped appends s with the escapes of a JSON string.
func appendEscaped(dst []byte, s string) []byte {
	from := 0
	for i := 0; i < len(s); {
		b := s[i]
		if b >= ' ' && b < utf8.RuneSelf && b != '"' && b != '\\' {
			i++
			continue
		}
		size := 1
		if b >= utf8.RuneSelf {
			var r rune
			if r, size = utf8.DecodeRuneInString(s[i:]); r != utf8.RuneError || size > 1 {
				i += size
				continue
			}
		}
		dst = append(dst, s[from:i]...)
		switch b {
		case '"', '\\':
			dst = append(dst, '\\', b)
		case '\n':
			dst = append(dst, '\\', 'n')
		default:
			if b >= utf8.RuneSelf {
				dst = append(dst, `\ufffd`...)
				break
			}
			const digits = "0123456789abcdef"
			dst = append(dst, '\\', 'u', '0', '0', digits[b>>4], digits[b&15])
		}
		i += size
		from = i
	}
	return append(dst, s[from:]...)
}
