package wasm

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"sort"
	"unicode/utf8"
)

// Names are the names of the name section of a module, of what has one. They
// are what a tool wrote there and need not be unique. A look-up that finds
// nothing gives "". The zero value has no names.
//
// Names stay in the file until they are asked for: what is kept is where each
// entry begins.
type Names struct {
	buf  []byte // the section
	maps [nameMaps]nameMap
}

// Subsections of the name section: appendix "Name Section" of the core
// specification, and the proposals for what it does not have yet.
const (
	nameModule = iota
	nameFunc
	nameLocal
	nameLabel
	nameType
	nameTable
	nameMemory
	nameGlobal
	nameElem
	nameData
	nameField
	nameTag
	nameMaps
)

// A nameMap lists where the entries of one subsection begin in the section, in
// ascending order of their indices.
type nameMap []uint32

// Func gives the name of function i.
func (n *Names) Func(i uint32) string { return n.lookup(nameFunc, i) }

// Type gives the name of type i.
func (n *Names) Type(i uint32) string { return n.lookup(nameType, i) }

// Table gives the name of table i.
func (n *Names) Table(i uint32) string { return n.lookup(nameTable, i) }

// Memory gives the name of memory i.
func (n *Names) Memory(i uint32) string { return n.lookup(nameMemory, i) }

// Global gives the name of global i.
func (n *Names) Global(i uint32) string { return n.lookup(nameGlobal, i) }

// Elem gives the name of element segment i.
func (n *Names) Elem(i uint32) string { return n.lookup(nameElem, i) }

// Data gives the name of data segment i.
func (n *Names) Data(i uint32) string { return n.lookup(nameData, i) }

// Tag gives the name of tag i.
func (n *Names) Tag(i uint32) string { return n.lookup(nameTag, i) }

// Local gives the name of local i of function f; parameters come first.
func (n *Names) Local(f, i uint32) string { return find(n.Locals(f), i) }

// Label gives the name of label i of function f.
func (n *Names) Label(f, i uint32) string { return find(n.inner(nameLabel, f), i) }

// Field gives the name of field i of type t.
func (n *Names) Field(t, i uint32) string { return find(n.inner(nameField, t), i) }

// Locals gives the named locals of function f with their indices.
func (n *Names) Locals(f uint32) iter.Seq2[uint32, string] { return n.inner(nameLocal, f) }

// Funcs gives the named functions with their indices, in ascending order.
func (n *Names) Funcs() iter.Seq2[uint32, string] {
	return func(yield func(uint32, string) bool) {
		for _, off := range n.maps[nameFunc] {
			if i, r := n.entry(off); !yield(i, string(r.nameBytes())) {
				return
			}
		}
	}
}

// CountFuncs is the number of functions that have a name.
func (n *Names) CountFuncs() int { return len(n.maps[nameFunc]) }

func find(names iter.Seq2[uint32, string], i uint32) string {
	for j, name := range names {
		if j == i {
			return name
		}
	}
	return ""
}

// entry gives the index of the entry at off and a reader of what follows it.
func (n *Names) entry(off uint32) (uint32, *reader) {
	r := &reader{buf: n.buf, off: int(off), entry: -1}
	return r.u32(), r
}

// at finds the entry with index i, whose reader is nil if there is none.
func (n *Names) at(kind int, i uint32) *reader {
	m := n.maps[kind]
	// Tools name all functions or none, so entry i mostly has index i.
	if int64(i) < int64(len(m)) {
		if j, r := n.entry(m[i]); j == i {
			return r
		}
	}
	k := sort.Search(len(m), func(k int) bool { j, _ := n.entry(m[k]); return j >= i })
	if k == len(m) {
		return nil
	}
	if j, r := n.entry(m[k]); j == i {
		return r
	}
	return nil
}

func (n *Names) lookup(kind int, i uint32) string {
	if r := n.at(kind, i); r != nil {
		return string(r.nameBytes())
	}
	return ""
}

// inner gives the entries of the map inside entry i of a map of maps.
func (n *Names) inner(kind int, i uint32) iter.Seq2[uint32, string] {
	return func(yield func(uint32, string) bool) {
		r := n.at(kind, i)
		if r == nil {
			return
		}
		for range r.u32() {
			j, name := r.u32(), r.nameBytes()
			if r.err != nil || !yield(j, string(name)) {
				return
			}
		}
	}
}

// nameBytes is name without a copy.
func (r *reader) nameBytes() []byte {
	start := r.off
	n := r.u32()
	switch {
	case int64(n) > int64(r.left()):
		r.fail(start, ErrTruncated)
		return nil
	case n > MaxName:
		r.fail(start, fmt.Errorf("%w: a name of %d bytes, more than %d", ErrLimit, n, MaxName))
		return nil
	}
	b := r.bytes(int(n))
	if !utf8.Valid(b) {
		r.fail(start, ErrUTF8)
		return nil
	}
	return b
}

// read fills n from a name section. Its error is the first one; a subsection that
// is broken leaves the others.
func (n *Names) read(r *reader) error {
	n.buf = r.buf
	var first error
	for r.more() && !r.budget.spent() {
		start := r.off
		id, size := r.u8(), int64(r.u32())
		if size > int64(r.left()) {
			r.fail(start, fmt.Errorf("%w: subsection of %d bytes, %d left", ErrTruncated, size, r.left()))
			break
		}
		end := r.off + int(size)
		sub := *r
		sub.buf = r.buf[:end]
		if id != nameModule && id < nameMaps {
			n.maps[id] = sub.nameMap(n, id)
			sub.end()
		}
		if first == nil {
			first = sub.err
		}
		r.off = end
	}
	if first == nil {
		first = r.err
	}
	return first
}

func (r *reader) nameMap(n *Names, id byte) nameMap {
	count := r.keepOf(2, MaxFunctions, costName)
	m := make(nameMap, 0, count)
	sorted, last := true, int64(-1)
	r.each(count, func(int) {
		m = append(m, uint32(r.off))
		i := int64(r.u32())
		sorted = sorted && i > last
		last = i
		if id != nameLocal && id != nameLabel && id != nameField {
			r.nameBytes()
			return
		}
		for range r.count(2, MaxFunctions) {
			r.u32()
			r.nameBytes()
		}
	})
	if r.err != nil {
		return nil
	}
	if !sorted {
		// The specification wants ascending and unique indices. Names that
		// break this are still worth having.
		index := func(off uint32) uint32 { i, _ := n.entry(off); return i }
		slices.SortStableFunc(m, func(a, b uint32) int { return int(index(a)) - int(index(b)) })
		m = slices.CompactFunc(m, func(a, b uint32) bool { return index(a) == index(b) })
	}
	return m
}

// names reads the name section of a module in memory; a second one is left
// alone.
func (d *decoder) names(b *Binary, s Section) error {
	if d.file == nil || b.Module == nil || b.Module.Names.buf != nil {
		return nil
	}
	r, err := d.reader("custom section "+s.Name, s)
	if err != nil {
		return err
	}
	err = b.Module.Names.read(r)
	var at *Error
	if errors.As(err, &at) && !d.budget.spent() {
		b.problem(at)
		return nil
	}
	return err
}
