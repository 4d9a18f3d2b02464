package pclntab

import (
	"encoding/binary"
	"fmt"
)

// What records of functions list (internal/abi, symtab.go).
const (
	treeIndex  = 2 // of the tables by program counter: the entry of the inline tree
	treeData   = 3 // of the function's data: the inline tree
	maxData    = 255
	noData     = ^uint32(0)
	maxEntries = 1 << 20
)

// Inlined calls visit for each function that was inlined into another: with the
// index of the function that now has its instructions, and the name of the one
// that was inlined, as often as it was. That one need not be a function of its
// own any more.
//
// The error is ErrDamaged or ErrLimit if not all of them could be read; what was
// visited before remains true.
func (t *Table) Inlined(visit func(host uint32, name string)) error {
	if t.version.entry != wordSize && t.gofunc == 0 {
		return fmt.Errorf("%w: inline trees not found", ErrDamaged)
	}
	names := t.nameReader()
	// Functions share few tables by program counter and no trees, so that all of
	// them together are a small part of the program: a thirteenth of memory in
	// real ones. What has more to read than memory has bytes is no compiler's work.
	budget := len(t.image.bytes) + 1<<16
	for i, f := range t.funcs {
		tree, n, err := t.tree(i, &budget)
		if err != nil {
			return fmt.Errorf("function %d, %.100q: %w", f.Index, f.Name, err)
		}
		for k := range n {
			name, err := names.at(uint64(t.image.u32(tree + k*t.version.inline + t.version.name)))
			if err != nil {
				return fmt.Errorf("function %d, %.100q: inline tree, entry %d: %w", f.Index, f.Name, k, err)
			}
			visit(f.Index, name)
		}
	}
	return nil
}

// tree gives the place of a function's inline tree and its number of entries, 0
// without one. The budget is of bytes. The table by program counter leaves out no entry: of 4,484 trees
// of real programs each goes on for as many until other data begins.
func (t *Table) tree(i int, budget *int) (at, n int, err error) {
	address, index := t.lists(i)
	if address == 0 || index == 0 {
		return 0, 0, nil
	}
	at, ok := t.image.offset(address)
	if !ok {
		return 0, 0, fmt.Errorf("%w: inline tree at address %#x", ErrDamaged, address)
	}
	if n, err = t.greatest(index, budget); err != nil {
		return 0, 0, err
	}
	n++ // the last index
	if n > (len(t.image.bytes)-at)/t.version.inline {
		return 0, 0, fmt.Errorf("%w: no room for an inline tree of %d entries", ErrDamaged, n)
	}
	if *budget -= n * t.version.inline; *budget < 0 {
		return 0, 0, fmt.Errorf("%w: inline trees", ErrLimit)
	}
	return at, n, nil
}

// dataList gives the place of the list of a function's data and its length.
func (t *Table) dataList(i int) (at, n int) {
	fixed := t.records.start + int(t.infos[i]) + t.version.fixed
	tables := t.tables(i)
	if tables > maxData || fixed > len(t.image.bytes) {
		return 0, 0
	}
	at = fixed + 4*int(tables)
	if t.version.entry == wordSize { // pointers
		at += (wordSize - int((t.image.base+uint64(at))%wordSize)) % wordSize
	}
	return at, int(t.image.bytes[fixed-1])
}

// tables is the number of a function's tables by program counter, which stands
// behind six words and the entry.
func (t *Table) tables(i int) uint32 {
	return t.image.u32(t.records.start + int(t.infos[i]) + t.version.entry + 6*4)
}

// lists gives the address of the inline tree in the lists after a function's
// record, and the offset of the table that says which instruction belongs to
// which entry of it; 0 stands for none.
func (t *Table) lists(i int) (tree uint64, index uint32) {
	data, n := t.dataList(i)
	if t.tables(i) <= treeIndex || n <= treeData {
		return 0, 0
	}
	index = t.image.u32(t.records.start + int(t.infos[i]) + t.version.fixed + 4*treeIndex)
	if t.version.entry == wordSize {
		tree, _ = t.image.word(data + wordSize*treeData)
		return tree, index
	}
	if off := t.image.u32(data + 4*treeData); off != noData {
		tree = t.gofunc + uint64(off)
	}
	return tree, index
}

// greatest goes through a table by program counter: pairs of varints, the
// difference of the value in zigzag form and that of the counter. It ends with
// a difference of 0 that is not the first. The value begins with -1.
func (t *Table) greatest(off uint32, budget *int) (int, error) {
	if int(off) >= t.pcs.end-t.pcs.start {
		return 0, fmt.Errorf("%w: table by program counter at %#x", ErrDamaged, off)
	}
	p := t.image.bytes[t.pcs.start+int(off) : t.pcs.end]
	value, most := int32(-1), int32(-1)
	for first := true; ; first = false {
		if *budget--; *budget < 0 {
			return 0, fmt.Errorf("%w: tables by program counter", ErrLimit)
		}
		delta, n := binary.Uvarint(p)
		if n <= 0 || n > binary.MaxVarintLen32 {
			return 0, fmt.Errorf("%w: table by program counter at %#x", ErrDamaged, off)
		}
		p = p[n:]
		if delta == 0 && !first {
			break
		}
		value += int32(-(uint32(delta) & 1) ^ uint32(delta)>>1)
		if most = max(most, value); most > maxEntries {
			return 0, fmt.Errorf("%w: inline tree of %d entries", ErrLimit, most)
		}
		if _, n = binary.Uvarint(p); n <= 0 || n > binary.MaxVarintLen32 {
			return 0, fmt.Errorf("%w: table by program counter at %#x", ErrDamaged, off)
		}
		p = p[n:]
	}
	return int(most), nil
}

// Words of runtime.moduledata: the second is the address of the names, and the
// address that data of functions count from stands behind a number of others
// that differs by version.
var dataWords = map[string][]int{"1.18": {38}, "1.20": {40, 38}}

// treesTried is how many functions with an inline tree have to be in order for
// an address to count as the one that their offsets are from.
const treesTried = 64

// findTrees finds the runtime's description of the program, which begins with
// the address of the table and that of its names, and in it where inline trees
// are.
func (t *Table) findTrees() {
	candidates := dataWords[t.version.since]
	if len(candidates) == 0 {
		return // Go 1.16 has pointers in the records
	}
	names := t.image.base + uint64(t.names.start)
	for at := 0; at+2*wordSize <= len(t.image.bytes); at += wordSize {
		if binary.LittleEndian.Uint64(t.image.bytes[at:]) != t.header ||
			binary.LittleEndian.Uint64(t.image.bytes[at+wordSize:]) != names {
			continue
		}
		for _, word := range candidates {
			t.gofunc, _ = t.image.word(at + wordSize*word)
			if t.treesFit() {
				return
			}
		}
	}
	t.gofunc = 0
}

// treesFit reports whether the first inline trees have names in them, and there
// is one at all or no function has any.
func (t *Table) treesFit() bool {
	if t.gofunc == 0 {
		return false
	}
	names := t.nameReader()
	tried := 0
	budget := len(t.image.bytes)
	for i := range t.funcs {
		tree, n, err := t.tree(i, &budget)
		if err != nil {
			return false
		}
		for k := range n {
			if _, err := names.at(uint64(t.image.u32(tree + k*t.version.inline + t.version.name))); err != nil {
				return false
			}
		}
		if n > 0 {
			if tried++; tried == treesTried {
				break
			}
		}
	}
	return true
}
