// Package pclntab reads the table of functions that Go's runtime keeps in linear
// memory: which functions a program has, and which others were inlined into
// them.
//
// The runtime needs the table for stack traces and the garbage collector, so
// the linker's flags -s and -w, which take away the name section, leave it where
// it is. Its names are those of the source, "net/http.(*Client).Do", where the
// name section has underscores for most of their punctuation.
//
// On Wasm a program counter is not an address: its low 16 bits are a block
// within a function, the rest is 0x1000 more than the index of the function
// among the defined ones (cmd/link/internal/wasm, assignAddress). The entries of
// the table are such program counters in older versions and, without the block,
// indices in newer ones.
//
// [Read] understands the tables of Go 1.16 and later, with pointers of eight
// bytes, as GOARCH=wasm has. TinyGo has no such table.
package pclntab

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/wreg-project/wreg/inspect/wasm"
)

// Errors of this package, usually wrapped; test with [errors.Is].
var (
	// ErrNone says that a module has no table: it was not made by Go's own
	// linker, or by one before 1.16.
	ErrNone = errors.New("no table of Go functions")

	// ErrDamaged says that a table contradicts itself or the module.
	ErrDamaged = errors.New("damaged table of Go functions")

	// ErrLimit says that a table makes more work than its size is good for, or
	// that memory is too sparse to be put together.
	ErrLimit = errors.New("table of Go functions exceeds a limit")
)

// MaxName is the longest name in bytes. Those of generic functions have the
// structure of their type arguments in them.
const MaxName = 64 << 10

// A Func is a function of a table.
type Func struct {
	Index uint32 // in the index space of the module, imports counted
	Name  string // as the linker has it; see Parse
}

// A Table is the functions of one Go program. It is safe for concurrent use. It
// keeps a copy of the memory that the module's data segments fill, which is a
// little more than their size, and no part of the file.
type Table struct {
	version format
	image   image
	header  uint64 // address
	first   uint32 // index of the first defined function
	last    uint32 // and of the last one
	funcs   []Func
	infos   []uint32 // of each of funcs: the offset of its record from the table of functions

	names, pcs, records region
	text                string // of names
	gofunc              uint64 // address that the offsets of inline trees count from, 0 if it was not found
}

// A region is a part of memory, as offsets in the image.
type region struct{ start, end int }

// Read finds the table of the core module b, which must come from [wasm.Parse].
// It allocates about as much as the module has data, and something for each
// function.
func Read(b *wasm.Binary) (*Table, error) {
	if b.Module == nil {
		return nil, ErrNone
	}
	if !hasMagic(b) {
		return nil, ErrNone
	}
	img, err := newImage(b)
	if err != nil {
		return nil, err
	}
	// A program that reads such tables holds their magic numbers, too. The real
	// one is the one that fits; without it the first reason is given.
	var first error
	for at, f := range img.headers() {
		t := &Table{version: f, image: img, header: img.base + uint64(at), first: uint32(b.Module.Imported())}
		t.last = t.first + uint32(b.Module.Defined) - 1
		err := t.read(at, b.Module)
		if err == nil {
			t.findTrees()
			return t, nil
		}
		if first == nil {
			first = fmt.Errorf("at address %#x: %w", t.header, err)
		}
	}
	if first == nil {
		first = ErrNone
	}
	return nil, first
}

// Funcs gives the functions by their index.
func (t *Table) Funcs() iter.Seq[Func] { return slices.Values(t.funcs) }

// Len is the number of functions.
func (t *Table) Len() int { return len(t.funcs) }

// Name gives the name of a function of the module, "" if the table has none.
func (t *Table) Name(index uint32) string {
	i, found := slices.BinarySearchFunc(t.funcs, index, func(f Func, index uint32) int { return int(f.Index) - int(index) })
	if !found {
		return ""
	}
	return t.funcs[i].Name
}

// Version is the first version of Go that wrote tables in this format: "1.16",
// "1.18" or "1.20".
func (t *Table) Version() string { return t.version.since }

// Address is where the table begins in memory.
func (t *Table) Address() uint64 { return t.header }

// Packages lists the import paths of the packages that have a function in the
// program, sorted. Those of which everything was inlined are not among them; see
// [Table.Inlined].
func (t *Table) Packages() []string {
	seen := map[string]bool{}
	for _, f := range t.funcs {
		if p := Parse(f.Name).Package; p != "" {
			seen[p] = true
		}
	}
	list := make([]string, 0, len(seen))
	for p := range seen {
		list = append(list, p)
	}
	slices.Sort(list)
	return list
}

// A format is one layout of the table. Sizes and offsets are in bytes.
type format struct {
	magic  uint32
	since  string
	header int // of the words after the first eight bytes: see read
	entry  int // of an address in the list of functions and in records
	fixed  int // of a record, without its lists
	inline int // of an entry of an inline tree
	name   int // offset of the name in one
}

var formats = []format{
	{magic: 0xfffffff1, since: "1.20", header: 8, entry: 4, fixed: 44, inline: 16, name: 4},
	{magic: 0xfffffff0, since: "1.18", header: 8, entry: 4, fixed: 40, inline: 20, name: 12},
	{magic: 0xfffffffa, since: "1.16", header: 7, entry: 8, fixed: 44, inline: 20, name: 12},
}

// begin gives the first eight bytes: two of zero stand before the sizes of an
// instruction and a word.
func (f format) begin() []byte {
	return []byte{byte(f.magic), byte(f.magic >> 8), byte(f.magic >> 16), byte(f.magic >> 24), 0, 0, minLC, wordSize}
}

const (
	wordSize = 8
	minLC    = 1 // the least size of an instruction, which on Wasm means nothing

	funcBase  = 0x1000 // of the first defined function in program counters
	blockBits = 16
)

// read reads the table at an offset of the image: its header, which after eight
// bytes has the number of functions, that of files, from Go 1.18 on the address
// of the code, and offsets of the parts from the header.
func (t *Table) read(at int, m *wasm.Module) error {
	words := make([]uint64, t.version.header)
	for i := range words {
		w, ok := t.image.word(at + wordSize*(i+1))
		if !ok {
			return fmt.Errorf("%w: no room for the header", ErrDamaged)
		}
		words[i] = w
	}
	n := words[0]
	if n == 0 || n > uint64(m.Defined) {
		return fmt.Errorf("%w: %d functions, while the module defines %d", ErrDamaged, n, m.Defined)
	}
	parts := words[t.version.header-5:] // names, units, files, programs of counters, functions
	left := uint64(len(t.image.bytes) - at)
	for i, off := range parts {
		if off > left || i > 0 && off < parts[i-1] {
			return fmt.Errorf("%w: part %d is at %#x", ErrDamaged, i, off)
		}
	}
	t.names = region{at + int(parts[0]), at + int(parts[1])}
	t.pcs = region{at + int(parts[3]), at + int(parts[4])}
	t.records = region{at + int(parts[4]), len(t.image.bytes)}
	t.text = string(t.image.bytes[t.names.start:t.names.end])
	return t.list(int(n), m)
}

// list reads the list of functions: for each its entry and the offset of its
// record.
func (t *Table) list(n int, m *wasm.Module) error {
	size := t.version.entry
	if n > (t.records.end-t.records.start)/(2*size) {
		return fmt.Errorf("%w: no room for %d functions", ErrDamaged, n)
	}
	t.funcs = make([]Func, 0, n)
	t.infos = make([]uint32, 0, n)
	names := t.nameReader()
	in := indices{shifted: t.shifted(n), narrow: size < wordSize}
	for i := range n {
		at := t.records.start + 2*size*i
		index, err := in.next(t.image.entry(at, size))
		if err != nil {
			return fmt.Errorf("function %d: %w", i, err)
		}
		if index >= uint64(m.Defined) {
			return fmt.Errorf("%w: function %d has index %d, while the module defines %d", ErrDamaged, i, index, m.Defined)
		}
		record := t.image.entry(at+size, size)
		if record > uint64(t.records.end-t.records.start-t.version.fixed) {
			return fmt.Errorf("%w: function %d has its record at %#x", ErrDamaged, i, record)
		}
		// The name is the field after the entry.
		name, err := names.at(uint64(t.image.u32(t.records.start + int(record) + size)))
		if err != nil {
			return fmt.Errorf("function %d: %w", i, err)
		}
		t.funcs = append(t.funcs, Func{Index: t.first + uint32(index), Name: name})
		t.infos = append(t.infos, uint32(record))
	}
	return nil
}

// shifted reports whether entries are program counters and not indices: then none
// has a block. Of one function alone nobody can tell, but for the first version,
// in which entries have eight bytes.
func (t *Table) shifted(n int) bool {
	for i := range n {
		if e := t.image.entry(t.records.start+2*t.version.entry*i, t.version.entry); e&(1<<blockBits-1) != 0 {
			return false
		}
	}
	return true
}

// indices turns entries into indices among the defined functions.
type indices struct {
	shifted bool
	narrow  bool   // entries of 32 bits, which program counters overflow from 61,440 functions on
	base    uint64 // of the first function, 0 where entries count from there
	begun   bool
	last    uint64 // index, with the base
}

func (in *indices) next(entry uint64) (uint64, error) {
	index := entry
	if in.shifted {
		index = entry >> blockBits
	}
	if !in.begun && index >= funcBase {
		in.base = funcBase
	}
	if in.shifted && in.narrow {
		const around = 1 << (32 - blockBits)
		if index += in.last &^ (around - 1); in.begun && index <= in.last {
			index += around
		}
	}
	if in.begun && index <= in.last {
		return 0, fmt.Errorf("%w: not in order", ErrDamaged)
	}
	in.last, in.begun = index, true
	return index - in.base, nil
}

// names reads names by their offset. A name begins where the one before it
// ends, so that no byte belongs to two: names of hostile tables are no longer
// together than the table.
type names struct {
	all   string
	known map[uint64]string
}

func (t *Table) nameReader() *names {
	return &names{all: t.text, known: map[uint64]string{}}
}

func (n *names) at(off uint64) (string, error) {
	if s, ok := n.known[off]; ok {
		return s, nil
	}
	if off >= uint64(len(n.all)) || off > 0 && n.all[off-1] != 0 {
		return "", fmt.Errorf("%w: no name begins at %#x", ErrDamaged, off)
	}
	rest := n.all[off:min(uint64(len(n.all)), off+MaxName+1)]
	end := strings.IndexByte(rest, 0)
	if end < 0 {
		return "", fmt.Errorf("%w: the name at %#x has no end", ErrDamaged, off)
	}
	n.known[off] = rest[:end]
	return rest[:end], nil
}

// headers gives the offsets of all that looks like the begin of a table.
func (m image) headers() iter.Seq2[int, format] {
	return func(yield func(int, format) bool) {
		for _, f := range formats {
			for at, tries := 0, 0; tries < maxHeaders; tries++ {
				i := bytes.Index(m.bytes[at:], f.begin())
				if i < 0 {
					break
				}
				at += i
				if (m.base+uint64(at))%wordSize == 0 && !yield(at, f) {
					return
				}
				at++
			}
		}
	}
}

// maxHeaders bounds how often a module may hold the begin of a table.
const maxHeaders = 16
