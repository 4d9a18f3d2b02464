package hostile

import (
	"fmt"
	"slices"
)

// IDs of sections of a module, in the order in which they stand.
const (
	secType     = 1
	secImport   = 2
	secFunction = 3
	secTable    = 4
	secMemory   = 5
	secTag      = 13
	secGlobal   = 6
	secExport   = 7
	secStart    = 8
	secElement  = 9
	secCount    = 12 // of data segments
	secCode     = 10
	secData     = 11
)

// leb is n in the variable-length encoding of the format.
func leb[T ~int | ~uint32 | ~uint64](n T) []byte {
	var b []byte
	for u := uint64(n); ; {
		if u < 0x80 {
			return append(b, byte(u))
		}
		b = append(b, byte(u)|0x80)
		u >>= 7
	}
}

// sleb is a signed number, such as a type index where a block type or a heap
// type may stand.
func sleb(n int) []byte {
	var b []byte
	for {
		low := byte(n) & 0x7f
		n >>= 7
		if n == 0 && low&0x40 == 0 || n == -1 && low&0x40 != 0 {
			return append(b, low)
		}
		b = append(b, low|0x80)
	}
}

func cat(parts ...[]byte) []byte { return slices.Concat(parts...) }

// str is a name: its length and its bytes.
func str(s string) []byte { return append(leb(len(s)), s...) }

// sized puts the length before the contents, as of a section or a body.
func sized(b []byte) []byte { return append(leb(len(b)), b...) }

func section(id byte, parts ...[]byte) []byte {
	return append([]byte{id}, sized(cat(parts...))...)
}

func custom(name string, parts ...[]byte) []byte {
	return section(0, append([][]byte{str(name)}, parts...)...)
}

// vec is a vector of entries: their number and they themselves.
func vec(entries ...[]byte) []byte { return append(leb(len(entries)), cat(entries...)...) }

// repeat is a vector of n entries.
func repeat(n int, entry func(i int) []byte) []byte {
	b := leb(n)
	for i := range n {
		b = append(b, entry(i)...)
	}
	return b
}

// fill is a vector of as many entries as make about size bytes.
func fill(size int, entry func(i int) []byte) []byte {
	entries, n := several(size, entry)
	return append(leb(n), entries...)
}

// several gives entries of about size bytes in all, at least one, and their number.
func several(size int, entry func(i int) []byte) (entries []byte, n int) {
	for n == 0 || len(entries) < size {
		entries = append(entries, entry(n)...)
		n++
	}
	return entries, n
}

// nest wraps b again and again, to about size bytes but at most 2,000 times: each
// time copies it, and no reader follows further.
func nest(b []byte, size int, wrap func([]byte) []byte) []byte {
	for range 2000 {
		if len(b) >= size {
			break
		}
		b = wrap(b)
	}
	return b
}

// always is an entry that is the same each time.
func always(b ...byte) func(int) []byte { return func(int) []byte { return b } }

func module(sections ...[]byte) []byte {
	return append([]byte("\x00asm\x01\x00\x00\x00"), cat(sections...)...)
}

func component(sections ...[]byte) []byte {
	return append([]byte("\x00asm\x0d\x00\x01\x00"), cat(sections...)...)
}

// Types of functions that most bombs need.
var (
	funcType   = []byte{0x60, 0, 0} // nothing in, nothing out
	oneType    = section(secType, vec(funcType))
	oneMemory  = section(secMemory, []byte{1, 0, 1})
	endOfBody  = []byte{0x0b}
	emptyBody  = []byte{2, 0, 0x0b}
	wideArity  = 1000 // parameters or results of one function type, the most that is allowed
	wideValues = slices.Repeat([]byte{0x7f}, wideArity)
)

// wide is a function type with 1,000 parameters or results, or both.
func wide(params, results bool) []byte {
	b := []byte{0x60}
	for _, set := range []bool{params, results} {
		if set {
			b = append(append(b, leb(wideArity)...), wideValues...)
		} else {
			b = append(b, 0)
		}
	}
	return b
}

// body is an entry of the code section, without locals.
func body(code ...[]byte) []byte { return sized(cat([]byte{0}, cat(code...), endOfBody)) }

// bodyOf is a module of one function without parameters and results.
func bodyOf(code ...[]byte) []byte {
	return module(oneType, section(secFunction, []byte{1, 0}), section(secCode, vec(body(code...))))
}

// functions is a module of functions without parameters and results.
func functions(n int, entry func(i int) []byte, others ...[]byte) []byte {
	return module(oneType, section(secFunction, repeat(n, always(0))), cat(others...), section(secCode, repeat(n, entry)))
}

// unique is a name that no other i has.
func unique(i int) string { return fmt.Sprintf("n%x", i) }
