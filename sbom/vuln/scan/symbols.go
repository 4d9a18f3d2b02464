package scan

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/klauspost/compress/zstd"

	"github.com/wreg-project/wreg/sbom"
	"github.com/wreg-project/wreg/sbom/vuln/reach"
)

// MediaTypeSymbols identifies what [Binary.Symbols] writes.
const MediaTypeSymbols = "application/vnd.wreg.symbols.v1+zstd"

// MaxSymbols is how large symbols may be when uncompressed, in bytes. Of a file
// with more, modules are left out from the one on that is too much, and answers
// about them are Unknown.
const MaxSymbols = 16 << 20

// ErrSymbols says that a text is not what [Binary.Symbols] wrote. Test with
// [errors.Is].
var ErrSymbols = errors.New("not a table of symbols")

// magic begins the uncompressed text; its last byte is the version.
const magic = "wregsym\x01"

// Symbols are the Code of a binary that is not there any more. They do not
// change, and are safe for concurrent use.
type Symbols struct {
	tables map[place]*reach.Table
}

// Symbols writes what is needed to answer all queries about the units of d, the
// document that was made of the binary, for [ReadSymbols]. The same binary gives
// the same bytes, docs/spec/symbols.md says which. What it allocates
// grows with the data, names, functions and calls of the modules with functions of
// Go or Rust: in all as much as the file for real Go, four times that where most of
// the file is names.
func (c *Binary) Symbols(d *sbom.Document) ([]byte, error) {
	text := []byte(magic)
	done := map[place]bool{}
	for u := range d.Units() {
		m := c.module(u)
		if m == nil || done[placeOf(u)] {
			continue
		}
		done[placeOf(u)] = true
		a := c.analyses[m]
		if a == nil {
			a = analyse(m, u) // which is not kept: there may be thousands
		}
		table, err := a.Table().AppendBinary(nil)
		if err != nil {
			return nil, fmt.Errorf("functions of %q: %w", u.Path, err)
		}
		if len(text)+len(table)+3*binary.MaxVarintLen64 > MaxSymbols {
			break
		}
		text = binary.AppendUvarint(text, uint64(u.Offset))
		text = binary.AppendUvarint(text, uint64(u.Size))
		text = binary.AppendUvarint(text, uint64(len(table)))
		text = append(text, table...)
	}
	return encoder().EncodeAll(text, nil), nil
}

// ReadSymbols reads what Symbols wrote. Anything else is ErrSymbols.
func ReadSymbols(text []byte) (*Symbols, error) {
	b, err := decoder().DecodeAll(text, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSymbols, err)
	}
	if len(b) < len(magic) || string(b[:len(magic)]) != magic {
		return nil, fmt.Errorf("%w: it does not begin as one", ErrSymbols)
	}
	s := &Symbols{tables: map[place]*reach.Table{}}
	for b = b[len(magic):]; len(b) > 0; {
		if b, err = s.read(b); err != nil {
			return nil, fmt.Errorf("%w: module %d: %w", ErrSymbols, len(s.tables), err)
		}
	}
	return s, nil
}

// read reads a table and gives what is after it.
func (s *Symbols) read(b []byte) ([]byte, error) {
	var words [3]uint64
	for i := range words {
		n := 0
		if words[i], n = binary.Uvarint(b); n <= 0 || words[i] >= 1<<63 {
			return nil, errors.New("no number")
		}
		b = b[n:]
	}
	at := place{int64(words[0]), int64(words[1])}
	if words[2] > uint64(len(b)) {
		return nil, errors.New("cut short")
	}
	if s.tables[at] != nil {
		return nil, errors.New("there are two tables of the module")
	}
	t, err := reach.ReadTable(b[:words[2]])
	if err != nil {
		return nil, err
	}
	s.tables[at] = t
	return b[words[2]:], nil
}

// Query implements Code.
func (s *Symbols) Query(u *sbom.Unit, queries []reach.Query) []reach.Result {
	t := s.tables[placeOf(u)]
	if t == nil {
		return unknown(queries)
	}
	return t.Query(queries)
}

// The coders are made once and shared: neither call of theirs keeps a state.
var (
	encoder = sync.OnceValue(func() *zstd.Encoder {
		e, err := zstd.NewWriter(nil,
			zstd.WithEncoderLevel(zstd.SpeedBetterCompression), zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true))
		if err != nil {
			panic(err) // the options are constant
		}
		return e
	})
	decoder = sync.OnceValue(func() *zstd.Decoder {
		d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(MaxSymbols), zstd.WithDecodeAllCapLimit(false))
		if err != nil {
			panic(err)
		}
		return d
	})
)
