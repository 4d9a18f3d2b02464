package wasm

import (
	"fmt"
	"unicode/utf8"
)

// A reader walks through bytes held in memory. Its first error sticks: from
// then on every read gives zero and every count is 0, so loops end, and callers
// check err once at the end of what they read.
type reader struct {
	buf    []byte
	off    int   // into buf; at its end after an error, so that reads need not look at err
	base   int64 // offset of buf in the file
	doing  string
	entry  int // of the vector being read, -1 outside of one
	budget *budget
	used   Features // that what was read needs, where only the encoding shows it
	err    error

	// passing is whether what is read is thrown away again.
	passing bool

	// text is buf as a string, made for the first name: names share it, and a
	// section of thousands of them is one allocation.
	text string
}

// A budget is what one decode may still keep in memory, shared by all readers
// of a file.
type budget struct {
	items int   // at most MaxItems
	bytes int64 // left
}

// newBudget is the budget of a file of size bytes.
func newBudget(size int64) *budget { return &budget{bytes: KeptPerByte*size + KeptAnyway} }

// spent is whether a limit of the file is what made a decode fail.
func (b *budget) spent() bool { return b.items > MaxItems || b.bytes < 0 }

// fail records the first error, at the byte at (an index into buf).
func (r *reader) fail(at int, err error) {
	if r.err != nil {
		return
	}
	doing := r.doing
	if r.entry >= 0 {
		doing = fmt.Sprintf("%s, entry %d", doing, r.entry)
	}
	r.err = &Error{Offset: r.base + int64(at), Doing: doing, Err: err}
	r.off = len(r.buf)
}

func (r *reader) left() int { return len(r.buf) - r.off }

func (r *reader) more() bool { return r.err == nil && r.off < len(r.buf) }

func (r *reader) u8() byte {
	if r.off < len(r.buf) {
		b := r.buf[r.off]
		r.off++
		return b
	}
	r.short()
	return 0
}

// short fails for want of another byte.
func (r *reader) short() { r.fail(len(r.buf), ErrTruncated) }

func (r *reader) peek() byte {
	if r.off < len(r.buf) {
		return r.buf[r.off]
	}
	r.short()
	return 0
}

// code fails on a byte that is none of the codes the format knows here; the
// byte has been read already.
func (r *reader) code(what string, b byte) {
	r.fail(r.off-1, codeError(uint64(b), what))
}

// u32 reads an unsigned number of 32 bits; nearly all take one byte.
func (r *reader) u32() uint32 {
	if r.off < len(r.buf) && r.buf[r.off] < 0x80 {
		r.off++
		return uint32(r.buf[r.off-1])
	}
	return uint32(r.uleb(32))
}

// uleb reads an unsigned LEB128 number of the given width. The representation
// may be padded up to the longest one the width allows, as the core
// specification says in "Integers" of its binary format.
func (r *reader) uleb(bits int) uint64 {
	var v uint64
	for i, b := range r.buf[r.off:] {
		shift := 7 * i
		if shift >= bits {
			break
		}
		v |= uint64(b&0x7f) << shift
		if b&0x80 != 0 {
			continue
		}
		if left := bits - shift; left < 7 && b>>left != 0 {
			r.fail(r.off, ErrTooLarge)
			return 0
		}
		r.off += i + 1
		return v
	}
	r.endless(bits)
	return 0
}

// sleb reads a signed LEB128 number of the given width, 33 for heap types and
// 32 or 64 for constants.
func (r *reader) sleb(bits int) int64 {
	var v int64
	for i, b := range r.buf[r.off:] {
		shift := 7 * i
		if shift >= bits {
			break
		}
		v |= int64(b&0x7f) << shift
		if b&0x80 != 0 {
			continue
		}
		if left := bits - shift; left < 7 {
			// The bits above the width must repeat the sign.
			if rest := int8(b<<1) >> left; rest != 0 && rest != -1 {
				r.fail(r.off, ErrTooLarge)
				return 0
			}
		}
		if shift+7 < 64 && b&0x40 != 0 {
			v |= -1 << (shift + 7)
		}
		r.off += i + 1
		return v
	}
	r.endless(bits)
	return 0
}

// endless fails on a number that does not end: within the bytes left, or within
// those its width allows.
func (r *reader) endless(bits int) {
	if r.left() < (bits+6)/7 {
		r.short()
		return
	}
	r.fail(r.off, ErrTooLong)
}

// bytes gives the next n bytes without copying them.
func (r *reader) bytes(n int) []byte {
	if r.err != nil {
		return nil
	}
	if n < 0 || n > r.left() {
		r.fail(r.off, ErrTruncated)
		return nil
	}
	b := r.buf[r.off : r.off+n]
	r.off += n
	return b
}

// name reads a vector of bytes that must be UTF-8.
func (r *reader) name() string {
	start := r.off
	n := r.u32()
	if int64(n) > int64(r.left()) {
		r.fail(start, ErrTruncated)
		return ""
	}
	if n > MaxName {
		r.fail(start, fmt.Errorf("%w: a name of %d bytes, more than %d", ErrLimit, n, MaxName))
		return ""
	}
	b := r.bytes(int(n))
	if !utf8.Valid(b) {
		r.fail(start, ErrUTF8)
		return ""
	}
	if len(b) == 0 {
		return ""
	}
	if r.text == "" {
		r.charge(len(r.buf))
		r.text = string(r.buf)
	}
	if r.err != nil {
		return ""
	}
	return r.text[r.off-int(n) : r.off]
}

// count reads the length of a vector whose entries have at least minSize bytes
// each. More entries than there are bytes for is ErrTruncated and more than max
// ErrLimit, so callers may allocate by it.
func (r *reader) count(minSize, maximum int) int {
	start := r.off
	n := int64(r.u32())
	if r.err != nil {
		return 0
	}
	if n*int64(minSize) > int64(r.left()) {
		r.fail(start, fmt.Errorf("%w: %d entries in %d bytes", ErrTruncated, n, r.left()))
		return 0
	}
	if n > int64(maximum) {
		r.fail(start, fmt.Errorf("%w: %d entries, more than %d", ErrLimit, n, maximum))
		return 0
	}
	return int(n)
}

// keep is count for entries that stay in memory; they draw on MaxItems and on
// the bytes that the decode may keep.
func (r *reader) keep(minSize, maximum int) int { return r.keepOf(minSize, maximum, costItem) }

// keepOf is keep for entries of which each takes cost bytes of memory.
func (r *reader) keepOf(minSize, maximum, cost int) int {
	start := r.off
	n := r.count(minSize, maximum)
	if r.err != nil {
		return 0
	}
	if r.budget.items += n; r.budget.items > MaxItems {
		r.fail(start, fmt.Errorf("%w: more than %d entries in the file", ErrLimit, MaxItems))
		return 0
	}
	r.charge(n * cost)
	if r.err != nil {
		return 0
	}
	return n
}

// charge takes n bytes from what the decode may keep.
func (r *reader) charge(n int) {
	if r.budget.bytes -= int64(n); r.budget.bytes < 0 {
		r.fail(r.off, fmt.Errorf("%w: what is read takes more than %d times the bytes of the file", ErrLimit, KeptPerByte))
	}
}

// each calls f for every entry of a vector, with its number in error messages.
func (r *reader) each(n int, f func(i int)) {
	outer := r.entry
	for i := 0; i < n && r.err == nil; i++ {
		r.entry = i
		f(i)
	}
	r.entry = outer
}

// end fails unless everything was read.
func (r *reader) end() {
	if r.err == nil && r.left() > 0 {
		r.entry = -1
		r.fail(r.off, fmt.Errorf("%w: %d bytes left over", ErrMismatch, r.left()))
	}
}

// codeError is ErrCode for a number that says what follows it.
func codeError(code uint64, what string) error {
	return fmt.Errorf("%w 0x%02x for %s", ErrCode, code, what)
}
