// Package db is the file form of what sbom/crates knows of the crates of
// crates.io: which versions there are, and which other crates each of them
// needs in every build for Wasm.
//
// A file is the magic number, a table of texts, and blocks of crates:
//
//	file    = magic texts:blob count:uvarint { first:uvarint block:blob }
//	blob    = length:uvarint raw:uvarint deflated bytes
//	texts   = crates:list names:list requirements:list  (raw)
//	list    = count:uvarint { length:uvarint bytes }
//	block   = { crate }                                 (raw)
//	crate   = records:uvarint { record } versions:uvarint { length:uvarint bytes record:uvarint }
//	record  = edges:uvarint { name:uvarint requirement:uvarint }
//
// The crates of the table are those that the file describes, sorted and in lower
// case with underscores for hyphens; names and requirements are those of the
// edges, which refer to them by number, as versions do to the records of their
// crate. A block has 16 crates, the last one what is left, and begins with the
// number of its first. Only the table and the blocks that somebody asks for are
// ever inflated.
package db

import (
	"bytes"
	"cmp"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
)

const magic = "wreg crates 1\n"

// What a file may make its reader allocate.
const (
	maxFile  = 64 << 20
	maxRaw   = 16 << 20 // bytes of all blobs together, inflated
	maxRatio = 1032     // of inflated to deflated bytes; more is impossible in DEFLATE
	perBlock = 16       // crates
)

// ErrCorrupt is the error of everything that is no such file.
var ErrCorrupt = errors.New("corrupt crates database")

// A Crate is all versions of a crate that there are.
type Crate struct {
	Name     string // with underscores for hyphens
	Versions []Version
}

// A Version is one release with what it needs.
type Version struct {
	Number string // semantic version without build metadata
	Edges  []Edge
}

// An Edge is a dependency that every build for Wasm has.
type Edge struct {
	Name        string // as the registry writes it
	Requirement string // as Cargo writes it: "^1.0.3"
}

// Key makes one of the spellings of a crate's name that Cargo takes for equal.
func Key(name string) string { return strings.ReplaceAll(strings.ToLower(name), "-", "_") }

// Encode writes the crates in the form that [Open] reads. The same crates, in
// any order, give the same bytes.
func Encode(w io.Writer, crates []Crate) error {
	crates = slices.Clone(crates)
	slices.SortFunc(crates, func(a, b Crate) int { return cmp.Compare(a.Name, b.Name) })
	t := newTable(crates)
	out := []byte(magic)
	out, err := appendBlob(out, t.encode())
	if err != nil {
		return err
	}
	out = binary.AppendUvarint(out, uint64(len(slices.Collect(slices.Chunk(crates, perBlock)))))
	first := 0
	for block := range slices.Chunk(crates, perBlock) {
		var raw []byte
		for _, c := range block {
			raw = t.appendCrate(raw, c)
		}
		out = binary.AppendUvarint(out, uint64(first))
		if out, err = appendBlob(out, raw); err != nil {
			return err
		}
		first += len(block)
	}
	if _, err = w.Write(out); err != nil {
		return fmt.Errorf("write crates database: %w", err)
	}
	return nil
}

// A table numbers the texts that crates share.
type table struct {
	crates, names, requirements []string
	name, requirement           map[string]uint64
}

func newTable(crates []Crate) *table {
	t := &table{name: map[string]uint64{}, requirement: map[string]uint64{}}
	names, requirements := map[string]bool{}, map[string]bool{}
	for _, c := range crates {
		t.crates = append(t.crates, c.Name)
		for _, v := range c.Versions {
			for _, e := range v.Edges {
				names[e.Name], requirements[e.Requirement] = true, true
			}
		}
	}
	number := func(set map[string]bool, numbers map[string]uint64) (list []string) {
		for s := range set {
			list = append(list, s)
		}
		slices.Sort(list)
		for i, s := range list {
			numbers[s] = uint64(i)
		}
		return list
	}
	t.names, t.requirements = number(names, t.name), number(requirements, t.requirement)
	return t
}

func (t *table) encode() (raw []byte) {
	for _, list := range [][]string{t.crates, t.names, t.requirements} {
		raw = binary.AppendUvarint(raw, uint64(len(list)))
		for _, s := range list {
			raw = appendText(raw, s)
		}
	}
	return raw
}

func (t *table) appendCrate(raw []byte, c Crate) []byte {
	var records [][]byte
	number := map[string]uint64{}
	var versions []byte
	for _, v := range c.Versions {
		record := binary.AppendUvarint(nil, uint64(len(v.Edges)))
		for _, e := range v.Edges {
			record = binary.AppendUvarint(record, t.name[e.Name])
			record = binary.AppendUvarint(record, t.requirement[e.Requirement])
		}
		n, ok := number[string(record)]
		if !ok {
			n = uint64(len(records))
			number[string(record)] = n
			records = append(records, record)
		}
		versions = binary.AppendUvarint(appendText(versions, v.Number), n)
	}
	raw = binary.AppendUvarint(raw, uint64(len(records)))
	raw = append(raw, bytes.Join(records, nil)...)
	raw = binary.AppendUvarint(raw, uint64(len(c.Versions)))
	return append(raw, versions...)
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendBlob(b, raw []byte) ([]byte, error) {
	var deflated bytes.Buffer
	w, err := flate.NewWriter(&deflated, flate.BestCompression)
	if err == nil {
		if _, err = w.Write(raw); err == nil {
			err = w.Close()
		}
	}
	if err != nil {
		return nil, fmt.Errorf("deflate %d bytes: %w", len(raw), err)
	}
	b = binary.AppendUvarint(b, uint64(deflated.Len()))
	b = binary.AppendUvarint(b, uint64(len(raw)))
	return append(b, deflated.Bytes()...), nil
}

// A DB is an open file. Its methods are safe for concurrent use.
type DB struct {
	crates, names, requirements []string
	blocks                      []block
}

type block struct{ decode func() ([]Crate, error) }

// Open reads the table of a file; the crates are decoded when they are asked
// for. It keeps data. The error is [ErrCorrupt].
func Open(data []byte) (*DB, error) {
	rest, ok := bytes.CutPrefix(data, []byte(magic))
	if !ok || len(data) > maxFile {
		return nil, fmt.Errorf("%w: no magic number, or over %d bytes", ErrCorrupt, maxFile)
	}
	r := &reader{buf: rest}
	texts := r.blob()
	if r.err != nil {
		return nil, r.err
	}
	raw, err := texts.inflate()
	if err != nil {
		return nil, err
	}
	t := &reader{buf: raw}
	d := &DB{crates: t.list(), names: t.list(), requirements: t.list()}
	if t.err != nil {
		return nil, t.err
	}
	n := r.count(3)
	for range n {
		first, b := r.uvarint(), r.blob()
		if r.err != nil {
			return nil, r.err
		}
		if first != uint64(len(d.blocks)*perBlock) || first >= uint64(len(d.crates)) {
			return nil, fmt.Errorf("%w: block %d begins with crate %d", ErrCorrupt, len(d.blocks), first)
		}
		d.blocks = append(d.blocks, block{sync.OnceValues(func() ([]Crate, error) { return d.decode(int(first), b) })})
	}
	if r.err != nil || len(d.blocks) != (len(d.crates)+perBlock-1)/perBlock {
		return nil, fmt.Errorf("%w: %d blocks for %d crates", ErrCorrupt, len(d.blocks), len(d.crates))
	}
	if !slices.IsSorted(d.crates) {
		return nil, fmt.Errorf("%w: names out of order", ErrCorrupt)
	}
	return d, nil
}

// Len is the number of crates.
func (d *DB) Len() int { return len(d.crates) }

// Crates decodes every crate, in the order of their names.
func (d *DB) Crates() ([]Crate, error) {
	var all []Crate
	for _, b := range d.blocks {
		crates, err := b.decode()
		if err != nil {
			return nil, err
		}
		all = append(all, crates...)
	}
	return all, nil
}

// Find gives the crate of a name, in whatever spelling. A name that is not in the
// file is no error and has no versions. The caller must not change what it gets.
func (d *DB) Find(name string) (Crate, error) {
	key := Key(name)
	i, ok := slices.BinarySearch(d.crates, key)
	if !ok {
		return Crate{Name: key}, nil
	}
	crates, err := d.blocks[i/perBlock].decode()
	if err != nil {
		return Crate{Name: key}, err
	}
	return crates[i%perBlock], nil
}

func (d *DB) decode(first int, b blob) ([]Crate, error) {
	raw, err := b.inflate()
	if err != nil {
		return nil, err
	}
	r := &reader{buf: raw}
	crates := make([]Crate, 0, perBlock)
	for _, name := range d.crates[first:min(first+perBlock, len(d.crates))] {
		crates = append(crates, d.crate(name, r))
		if r.err != nil {
			return nil, fmt.Errorf("crate %s: %w", name, r.err)
		}
	}
	return crates, nil
}

func (d *DB) crate(name string, r *reader) Crate {
	records := make([][]Edge, r.count(1))
	for i := range records {
		edges := make([]Edge, r.count(2))
		for k := range edges {
			edges[k] = Edge{Name: r.pick(d.names), Requirement: r.pick(d.requirements)}
		}
		records[i] = edges
	}
	c := Crate{Name: name, Versions: make([]Version, r.count(2))}
	for i := range c.Versions {
		v := Version{Number: r.text()}
		if n := r.uvarint(); n < uint64(len(records)) {
			v.Edges = records[n]
		} else {
			r.fail("record")
		}
		c.Versions[i] = v
	}
	return c
}

// A blob is deflated and says how long it is inflated.
type blob struct {
	deflated []byte
	raw      int
}

func (b blob) inflate() ([]byte, error) {
	raw := make([]byte, b.raw)
	if _, err := io.ReadFull(flate.NewReader(bytes.NewReader(b.deflated)), raw); err != nil {
		return nil, fmt.Errorf("%w: inflate %d bytes: %w", ErrCorrupt, b.raw, err)
	}
	return raw, nil
}

// A reader reads a file's numbers and texts. After an error, which sticks, it
// gives zeros.
type reader struct {
	buf []byte
	raw int // inflated bytes of the blobs so far
	err error
}

func (r *reader) fail(doing string) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: %s, %d bytes before the end", ErrCorrupt, doing, len(r.buf))
	}
	r.buf = nil
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.buf)
	if n <= 0 {
		r.fail("number")
		return 0
	}
	r.buf = r.buf[n:]
	return v
}

// count reads how many entries of at least size bytes follow. There are never
// more than the rest has room for, so that callers may allocate by it.
func (r *reader) count(size int) int {
	n := r.uvarint()
	if n > uint64(len(r.buf)/size) {
		r.fail("count")
		return 0
	}
	return int(n)
}

func (r *reader) text() string {
	n := r.count(1)
	s := string(r.buf[:n])
	r.buf = r.buf[n:]
	return s
}

func (r *reader) list() []string {
	list := make([]string, r.count(1))
	for i := range list {
		list[i] = r.text()
	}
	return list
}

func (r *reader) pick(list []string) string {
	n := r.uvarint()
	if n >= uint64(len(list)) {
		r.fail("text")
		return ""
	}
	return list[n]
}

func (r *reader) blob() blob {
	deflated, raw := r.uvarint(), r.uvarint()
	if deflated > uint64(len(r.buf)) || raw > uint64(maxRaw-r.raw) || raw > deflated*maxRatio {
		r.fail("blob")
		return blob{}
	}
	r.raw += int(raw)
	b := blob{deflated: r.buf[:deflated], raw: int(raw)}
	r.buf = r.buf[deflated:]
	return b
}
