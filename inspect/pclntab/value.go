package pclntab

import (
	"encoding/binary"
	"iter"
)

// Value gives the function that a number in code or data stands for: as the
// program counter of its first block, which is what function values hold, or as
// the address of a word that holds one, which is what function values are.
func (t *Table) Value(v uint64) (index uint32, ok bool) {
	if f, ok := t.entry(v); ok {
		return f, true
	}
	at, ok := t.image.offset(v)
	if !ok || v%wordSize != 0 {
		return 0, false
	}
	w, ok := t.image.word(at)
	if !ok {
		return 0, false
	}
	return t.entry(w)
}

// Held gives the functions whose program counter stands in data: those of
// function values, of the method tables of interfaces, of variables, maps and
// initialisers. A function may come several times, and a number that only looks
// like a program counter counts.
func (t *Table) Held() iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		for b := t.image.bytes; len(b) >= wordSize; b = b[wordSize:] {
			if f, ok := t.entry(binary.LittleEndian.Uint64(b)); ok && !yield(f) {
				return
			}
		}
	}
}

// entry gives the function that begins at a program counter.
func (t *Table) entry(pc uint64) (uint32, bool) {
	f := pc>>blockBits - funcBase
	if pc&(1<<blockBits-1) != 0 || f > uint64(t.last-t.first) {
		return 0, false
	}
	return t.first + uint32(f), true
}
