// Package db is the file form of what sbom/crates knows of the crates of
// crates.io: which versions there are, and which other crates each of them
// needs in builds for Wasm, always or with which features.
//
// A file is the magic number, a table of texts, and blocks of crates:
//
//	file    = magic texts:blob count:uvarint { first:uvarint block:blob }
//	blob    = length:uvarint raw:uvarint deflated bytes
//	texts   = crates:list words:list                    (raw)
//	list    = count:uvarint { length:uvarint bytes }
//	block   = { crate }                                 (raw)
//	crate   = records:uvarint { record } versions:uvarint { length:uvarint bytes record:uvarint }
//	record  = edges:uvarint { edge } features:uvarint { feature }
//	edge    = flags:uvarint name:word requirement:word [ as:word ] [ platforms:uvarint ] [ features:words ]
//	feature = name:word enables:words
//	words   = count:uvarint { word }
//	word    = number:uvarint
//
// The crates of the table are those that the file describes, sorted and in lower
// case with underscores for hyphens; the words are all other texts, to which
// records refer by number, as versions do to the records of their crate. The
// flags of an edge say which of the fields in brackets follow. A block has 32
// crates, the last one what is left, and begins with the number of its first.
// Only the table and the blocks that somebody asks for are ever inflated.
package db

import (
	"bytes"
	"cmp"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
)

const magic = "wreg crates 2\n"

// What a file may make its reader allocate.
const (
	maxFile  = 64 << 20
	maxRaw   = 64 << 20 // bytes of all blobs together, inflated
	maxRatio = 1032     // of inflated to deflated bytes; more is impossible in DEFLATE
	perBlock = 32       // crates
)

// ErrCorrupt is the error of everything that is no such file.
var ErrCorrupt = errors.New("corrupt crates database")

// A Crate is all versions of a crate that there are.
type Crate struct {
	Name     string // with underscores for hyphens
	Versions []Version
	Records  []Record
}

// A Version is one release.
type Version struct {
	Number string // semantic version without build metadata
	Record int    // what it needs, an index into Records of the crate
}

// A Record is what one or more versions of a crate need.
type Record struct {
	Edges    []Edge
	Features []Feature // sorted by name; those that have a part in what is needed
}

// An Edge is a normal dependency.
type Edge struct {
	Name        string // as the registry writes it
	Requirement string // as Cargo writes it: "^1.0.3"
	As          string // what the crate calls it, if that is not its name
	Optional    bool   // only there if a feature turns it on
	Default     bool   // with its default features
	Features    []string
	Platforms   Platforms // on which it is there
}

// Alias is the name under which features refer to the dependency.
func (e *Edge) Alias() string { return cmp.Or(e.As, e.Name) }

// A Feature turns on others, or dependencies, in the form of a manifest: "std",
// "dep:serde", "serde/std", "serde?/std".
type Feature struct {
	Name    string
	Enables []string
}

// Platforms is a set of Rust's targets for Wasm.
type Platforms uint8

// The targets, with what differs from them in name alone.
const (
	Unknown    Platforms = 1 << iota // wasm32-unknown-unknown
	WASIp1                           // wasm32-wasip1, wasm32-wasi, wasm32-wasip1-threads
	WASIp2                           // wasm32-wasip2
	Emscripten                       // wasm32-unknown-emscripten

	AllPlatforms = Unknown | WASIp1 | WASIp2 | Emscripten
)

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
	crates, words []string
	number        map[string]uint64
}

func newTable(crates []Crate) *table {
	t := &table{number: map[string]uint64{}}
	uses := map[string]int{}
	for _, c := range crates {
		t.crates = append(t.crates, c.Name)
		for i := range c.Records {
			for word := range c.Records[i].words {
				uses[word]++
			}
		}
	}
	// Frequent words get the small numbers, which take fewer bytes.
	t.words = slices.SortedFunc(maps.Keys(uses), func(a, b string) int {
		return cmp.Or(cmp.Compare(uses[b], uses[a]), strings.Compare(a, b))
	})
	for i, w := range t.words {
		t.number[w] = uint64(i)
	}
	return t
}

// words gives every text of a record.
func (r *Record) words(yield func(string) bool) {
	for i := range r.Edges {
		e := &r.Edges[i]
		for _, w := range append([]string{e.Name, e.Requirement, e.As}, e.Features...) {
			if !yield(w) {
				return
			}
		}
	}
	for _, f := range r.Features {
		for _, w := range append([]string{f.Name}, f.Enables...) {
			if !yield(w) {
				return
			}
		}
	}
}

func (t *table) encode() []byte {
	return appendList(appendList(nil, t.crates), t.words)
}

func appendList(b []byte, list []string) []byte {
	b = binary.AppendUvarint(b, uint64(len(list)))
	for _, s := range list {
		b = appendText(b, s)
	}
	return b
}

func (t *table) appendCrate(b []byte, c Crate) []byte {
	b = binary.AppendUvarint(b, uint64(len(c.Records)))
	for i := range c.Records {
		b = t.appendRecord(b, &c.Records[i])
	}
	b = binary.AppendUvarint(b, uint64(len(c.Versions)))
	for _, v := range c.Versions {
		b = binary.AppendUvarint(appendText(b, v.Number), uint64(v.Record))
	}
	return b
}

// The flags of an edge.
const (
	flagOptional = 1 << iota
	flagDefault
	flagAs
	flagPlatforms // it is not there on all of them
	flagFeatures
)

func (t *table) appendRecord(b []byte, r *Record) []byte {
	b = binary.AppendUvarint(b, uint64(len(r.Edges)))
	for i := range r.Edges {
		e := &r.Edges[i]
		flags := uint64(0)
		for i, set := range []bool{e.Optional, e.Default, e.As != "", e.Platforms != AllPlatforms, len(e.Features) > 0} {
			if set {
				flags |= 1 << i
			}
		}
		b = binary.AppendUvarint(b, flags)
		b = t.appendWord(t.appendWord(b, e.Name), e.Requirement)
		if flags&flagAs != 0 {
			b = t.appendWord(b, e.As)
		}
		if flags&flagPlatforms != 0 {
			b = binary.AppendUvarint(b, uint64(e.Platforms))
		}
		if flags&flagFeatures != 0 {
			b = t.appendWords(b, e.Features)
		}
	}
	b = binary.AppendUvarint(b, uint64(len(r.Features)))
	for _, f := range r.Features {
		b = t.appendWords(t.appendWord(b, f.Name), f.Enables)
	}
	return b
}

func (t *table) appendWord(b []byte, word string) []byte {
	return binary.AppendUvarint(b, t.number[word])
}

func (t *table) appendWords(b []byte, words []string) []byte {
	b = binary.AppendUvarint(b, uint64(len(words)))
	for _, w := range words {
		b = t.appendWord(b, w)
	}
	return b
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
	crates, words []string
	blocks        []block
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
	d := &DB{crates: t.list(), words: t.list()}
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
	c := Crate{Name: name, Records: make([]Record, r.count(2))}
	for i := range c.Records {
		c.Records[i] = d.record(r)
	}
	c.Versions = make([]Version, r.count(2))
	for i := range c.Versions {
		v := Version{Number: r.text()}
		if n := r.uvarint(); n < uint64(len(c.Records)) {
			v.Record = int(n)
		} else {
			r.fail("record")
		}
		c.Versions[i] = v
	}
	return c
}

func (d *DB) record(r *reader) Record {
	rec := Record{Edges: make([]Edge, r.count(3))}
	for i := range rec.Edges {
		rec.Edges[i] = d.edge(r)
	}
	rec.Features = make([]Feature, r.count(2))
	for i := range rec.Features {
		rec.Features[i] = Feature{Name: r.pick(d.words), Enables: r.picks(d.words)}
	}
	return rec
}

func (d *DB) edge(r *reader) Edge {
	flags := r.uvarint()
	e := Edge{
		Name: r.pick(d.words), Requirement: r.pick(d.words),
		Optional: flags&flagOptional != 0, Default: flags&flagDefault != 0, Platforms: AllPlatforms,
	}
	if flags&flagAs != 0 {
		e.As = r.pick(d.words)
	}
	if flags&flagPlatforms != 0 {
		e.Platforms = Platforms(r.uvarint()) & AllPlatforms
	}
	if flags&flagFeatures != 0 {
		e.Features = r.picks(d.words)
	}
	return e
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

func (r *reader) picks(list []string) []string {
	n := r.count(1)
	if n == 0 {
		return nil
	}
	picked := make([]string, n)
	for i := range picked {
		picked[i] = r.pick(list)
	}
	return picked
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
