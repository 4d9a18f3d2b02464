package wasm

import (
	"fmt"
	"unicode/utf8"
)

// A reader walks through bytes held in memory. Its first error sticks: from
// then on every read gives zero and every count is 0, so loops end, and callers
// check err once at the end of what they read.
type reader struct {
	buf   []byte
	off   int   // into buf
	base  int64 // offset of buf in the file
	doing string
	entry int // of the vector being read, -1 outside of one
	items *int
	err   error
}

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
}

func (r *reader) left() int { return len(r.buf) - r.off }

func (r *reader) more() bool { return r.err == nil && r.off < len(r.buf) }

func (r *reader) u8() byte {
	if r.err != nil {
		return 0
	}
	if r.off >= len(r.buf) {
		r.fail(r.off, ErrTruncated)
		return 0
	}
	b := r.buf[r.off]
	r.off++
	return b
}

func (r *reader) peek() byte {
	if r.err != nil {
		return 0
	}
	if r.off >= len(r.buf) {
		r.fail(r.off, ErrTruncated)
		return 0
	}
	return r.buf[r.off]
}

// code fails on a byte that is none of the codes the format knows here; the
// byte has been read already.
func (r *reader) code(what string, b byte) {
	r.fail(r.off-1, fmt.Errorf("%w 0x%02x for %s", ErrCode, b, what))
}

func (r *reader) u32() uint32 { return uint32(r.uleb(32)) }

// uleb reads an unsigned LEB128 number of the given width. The representation
// may be padded up to the longest one the width allows, as the core
// specification says in "Integers" of its binary format.
func (r *reader) uleb(bits int) uint64 {
	start := r.off
	var v uint64
	for shift := 0; shift < bits; shift += 7 {
		b := r.u8()
		if r.err != nil {
			return 0
		}
		v |= uint64(b&0x7f) << shift
		if b&0x80 == 0 {
			if left := bits - shift; left < 7 && b>>left != 0 {
				break
			}
			return v
		}
	}
	r.fail(start, ErrTooLong)
	return 0
}

// sleb reads a signed LEB128 number of the given width, 33 for heap types and
// 32 or 64 for constants.
func (r *reader) sleb(bits int) int64 {
	start := r.off
	var v int64
	for shift := 0; shift < bits; shift += 7 {
		b := r.u8()
		if r.err != nil {
			return 0
		}
		v |= int64(b&0x7f) << shift
		if b&0x80 != 0 {
			continue
		}
		if left := bits - shift; left < 7 {
			// The bits above the width must repeat the sign.
			rest := int8(b<<1) >> left
			if rest != 0 && rest != -1 {
				break
			}
		}
		if shift+7 < 64 && b&0x40 != 0 {
			v |= -1 << (shift + 7)
		}
		return v
	}
	r.fail(start, ErrTooLong)
	return 0
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
	return string(b)
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

// keep is count for entries that stay in memory; they draw on MaxItems.
func (r *reader) keep(minSize, maximum int) int {
	start := r.off
	n := r.count(minSize, maximum)
	r.draw(start, n)
	if r.err != nil {
		return 0
	}
	return n
}

func (r *reader) draw(at, n int) {
	if *r.items += n; *r.items > MaxItems {
		r.fail(at, fmt.Errorf("%w: more than %d entries in the file", ErrLimit, MaxItems))
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
