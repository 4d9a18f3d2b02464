package vuln

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"sort"
	"strings"
)

// An index file is, with all numbers little-endian:
//
//	magic      "wreg adv", then the version of the format as 8 bytes
//	table      u64, the offset of the table
//	entries    u64, how many packages it has
//	advisories u64, how many there are
//	bodies     the advisories in JSON
//	names      for each package, sorted: its key, and where its advisories are
//	table      for each package, where its entry in names is: u64 offset, u32 size
//
// The key of a package is its ecosystem, a byte 0 and its name.
const (
	indexMagic  = "wreg adv\x01\x00\x00\x00\x00\x00\x00\x00"
	indexHeader = len(indexMagic) + 24
	tableRow    = 12
	placeSize   = 12 // of one place of an advisory: u64 offset, u32 size
)

// ErrIndex is of a file that is no index, or one of another version, or one that
// was cut or changed.
var ErrIndex = errors.New("not an index of advisories")

// A place is where something is in an index.
type place struct {
	offset uint64
	size   uint32
}

func (p place) append(b []byte) []byte {
	return binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint64(b, p.offset), p.size)
}

func placeAt(b []byte) place {
	return place{binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint32(b[8:])}
}

func (p Package) key() string { return string(p.Ecosystem) + "\x00" + p.Name }

// WriteIndex writes advisories as an index, for OpenIndex.
func WriteIndex(w io.Writer, all []*Advisory) error {
	bodies := map[string][]byte{} // places by package key
	at := uint64(indexHeader)
	var body []byte
	for _, a := range all {
		data, err := json.Marshal(a)
		if err != nil {
			return fmt.Errorf("advisory %s: %w", a.ID, err)
		}
		p := place{at, uint32(len(data))}
		for _, pkg := range a.Packages() {
			bodies[pkg.key()] = p.append(bodies[pkg.key()])
		}
		body, at = append(body, data...), at+uint64(len(data))
	}
	keys := make([]string, 0, len(bodies))
	for k := range bodies {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	var names, table []byte
	for _, k := range keys {
		start := len(names)
		names = binary.LittleEndian.AppendUint16(names, uint16(len(k)))
		names = append(append(names, k...), bodies[k]...)
		if len(names)-start > maxEntry {
			return fmt.Errorf("%d advisories of %q: %w", len(bodies[k])/placeSize, k, ErrLimit)
		}
		table = place{at + uint64(start), uint32(len(names) - start)}.append(table)
	}
	out := bufio.NewWriter(w)
	head := binary.LittleEndian.AppendUint64([]byte(indexMagic), at+uint64(len(names)))
	head = binary.LittleEndian.AppendUint64(head, uint64(len(keys)))
	head = binary.LittleEndian.AppendUint64(head, uint64(len(all)))
	for _, part := range [][]byte{head, body, names, table} {
		if _, err := out.Write(part); err != nil {
			return err
		}
	}
	return out.Flush()
}

// An Index is a Source in a file: a look-up reads the advisories of the packages
// that it is asked for and nothing else. Its methods are safe for concurrent use if
// ReadAt is.
type Index struct {
	r          io.ReaderAt
	size       int64
	table      uint64
	entries    int
	advisories int
}

// OpenIndex opens what WriteIndex wrote. It reads only the head; what is wrong in
// the rest shows when it is read. The error is ErrIndex.
func OpenIndex(r io.ReaderAt, size int64) (*Index, error) {
	head := make([]byte, indexHeader)
	if _, err := r.ReadAt(head, 0); err != nil || string(head[:len(indexMagic)]) != indexMagic {
		return nil, ErrIndex
	}
	numbers := head[len(indexMagic):]
	table, entries := binary.LittleEndian.Uint64(numbers), binary.LittleEndian.Uint64(numbers[8:])
	room := uint64(size) - table
	if table > uint64(size) || room%tableRow != 0 || entries != room/tableRow {
		return nil, fmt.Errorf("table of %d packages at %d of %d bytes: %w", entries, table, size, ErrIndex)
	}
	advisories := binary.LittleEndian.Uint64(numbers[16:]) & (1<<31 - 1)
	return &Index{r: r, size: size, table: table, entries: int(entries), advisories: int(advisories)}, nil
}

// Len is how many advisories there are, withdrawn ones too.
func (x *Index) Len() int { return x.advisories }

// maxEntry is how long the entry of a package may be, in bytes: 100,000 advisories.
const maxEntry = 100_000*placeSize + maxText + 64

// read gives the bytes at a place, of which there may be most.
func (x *Index) read(p place, most int) ([]byte, error) {
	if int64(p.size) > int64(most) || p.offset > uint64(x.size) || uint64(p.size) > uint64(x.size)-p.offset {
		return nil, fmt.Errorf("%d bytes at %d: %w", p.size, p.offset, ErrIndex)
	}
	data := make([]byte, p.size)
	if _, err := x.r.ReadAt(data, int64(p.offset)); err != nil {
		return nil, fmt.Errorf("advisories at %d: %w", p.offset, err)
	}
	return data, nil
}

// entry gives the key of a package by its number, and its places.
func (x *Index) entry(n int) (key string, places []byte, err error) {
	row, err := x.read(place{x.table + uint64(n)*tableRow, tableRow}, tableRow)
	if err != nil {
		return "", nil, err
	}
	data, err := x.read(placeAt(row), maxEntry)
	if err != nil {
		return "", nil, err
	}
	if len(data) < 2 {
		return "", nil, fmt.Errorf("entry %d: %w", n, ErrIndex)
	}
	size := int(binary.LittleEndian.Uint16(data))
	if data = data[2:]; size > len(data) || (len(data)-size)%placeSize != 0 {
		return "", nil, fmt.Errorf("entry %d: %w", n, ErrIndex)
	}
	return string(data[:size]), data[size:], nil
}

// Advisories implements Source. The error is ErrIndex or that of the reader.
func (x *Index) Advisories(ctx context.Context, packages []Package) ([]*Advisory, error) {
	var list []*Advisory
	seen := map[uint64]bool{}
	for _, p := range packages {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		places, err := x.find(p.key())
		if err != nil {
			return nil, err
		}
		for ; len(places) > 0; places = places[placeSize:] {
			at := placeAt(places)
			if seen[at.offset] {
				continue
			}
			seen[at.offset] = true
			a, err := x.advisory(at)
			if err != nil {
				return nil, err
			}
			list = append(list, a)
		}
	}
	return list, nil
}

// find gives the places of a package's advisories.
func (x *Index) find(key string) ([]byte, error) {
	var failed error
	n, found := sort.Find(x.entries, func(i int) int {
		k, _, err := x.entry(i)
		if err != nil && failed == nil {
			failed = err
		}
		return strings.Compare(key, k)
	})
	if failed != nil || !found {
		return nil, failed
	}
	_, places, err := x.entry(n)
	return places, err
}

func (x *Index) advisory(at place) (*Advisory, error) {
	data, err := x.read(at, MaxRecord)
	if err != nil {
		return nil, err
	}
	a := &Advisory{}
	if err := bounded(data); err != nil {
		return nil, fmt.Errorf("advisory at %d: %w: %w", at.offset, ErrIndex, err)
	}
	if err := json.Unmarshal(data, a); err != nil {
		return nil, fmt.Errorf("advisory at %d: %w: %w", at.offset, ErrIndex, err)
	}
	return a, nil
}
