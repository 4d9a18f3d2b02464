package sqlmeta

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/wreg-project/wreg/storage/meta"
)

// segmentSize is how many document numbers share a row of postings: as bits they
// take 960 bytes, which with its key is what SQLite keeps in one place.
const (
	segmentSize  = 7680
	segmentWords = segmentSize / 64
	segmentBytes = segmentSize / 8
)

func segmentOf(number uint32) uint32 { return number / segmentSize }

// errPacked says that a packed row is not what this package writes.
var errPacked = errors.New("a packed row of the index is damaged")

// A list of terms is stored as the differences between its ascending ids, each
// as a varint.
func encodeIDs(ids []int64) []byte {
	buf := make([]byte, 0, 2*len(ids)+8)
	last := int64(0)
	for _, id := range ids {
		buf = binary.AppendUvarint(buf, uint64(id-last))
		last = id
	}
	return buf
}

// An idReader goes through such a list. Behind its end, or where it is damaged,
// id is greater than any.
type idReader struct {
	buf  []byte
	id   int64
	last uint64
	err  error
}

func (r *idReader) next() {
	if len(r.buf) == 0 {
		r.id = math.MaxInt64
		return
	}
	d, n := binary.Uvarint(r.buf)
	if n <= 0 || d >= math.MaxInt64-r.last {
		r.id, r.err = math.MaxInt64, fmt.Errorf("%w: its list of terms", errPacked)
		return
	}
	r.last += d
	r.id, r.buf = int64(r.last), r.buf[n:]
}

func decodeIDs(buf []byte) ([]int64, error) {
	ids := make([]int64, 0, len(buf)*3/4+1)
	r := idReader{buf: buf}
	for r.next(); r.id < math.MaxInt64; r.next() {
		ids = append(ids, r.id)
	}
	return ids, r.err
}

// overlap reports whether two sorted lists have something in common. The second
// is the long one.
func overlap(few, many []int64) bool {
	for _, id := range few {
		i, found := slices.BinarySearch(many, id)
		if found {
			return true
		}
		many = many[i:]
	}
	return false
}

// A numbers row holds which numbers of a segment have a term: as 16-bit numbers
// in ascending order if they are fewer than half of segmentBytes, else as bits.

// A segmentSet is such a row unpacked.
type segmentSet [segmentWords]uint64

func (s *segmentSet) set(i uint32)   { s[i/64] |= 1 << (i % 64) }
func (s *segmentSet) clear(i uint32) { s[i/64] &^= 1 << (i % 64) }

// encode gives nil for the empty set.
func (s *segmentSet) encode() []byte {
	n := 0
	for _, w := range s {
		n += bits.OnesCount64(w)
	}
	switch {
	case n == 0:
		return nil
	case 2*n < segmentBytes:
		buf := make([]byte, 0, 2*n)
		for i, w := range s {
			for ; w != 0; w &= w - 1 {
				buf = binary.LittleEndian.AppendUint16(buf, uint16(i*64+bits.TrailingZeros64(w)))
			}
		}
		return buf
	}
	buf := make([]byte, 0, segmentBytes)
	for _, w := range s {
		buf = binary.LittleEndian.AppendUint64(buf, w)
	}
	return buf
}

func checkNumbers(buf []byte) error {
	if len(buf) == 0 || len(buf) > segmentBytes || len(buf)%2 != 0 {
		return fmt.Errorf("%w: %d bytes of numbers", errPacked, len(buf))
	}
	if len(buf) == segmentBytes {
		return nil
	}
	for i := 0; i < len(buf); i += 2 {
		if binary.LittleEndian.Uint16(buf[i:]) >= segmentSize {
			return fmt.Errorf("%w: a number beyond its segment", errPacked)
		}
	}
	return nil
}

func (s *segmentSet) decode(buf []byte) error {
	if err := checkNumbers(buf); err != nil {
		return err
	}
	if len(buf) == segmentBytes {
		for i := range s {
			s[i] = binary.LittleEndian.Uint64(buf[8*i:])
		}
		return nil
	}
	*s = segmentSet{}
	for i := 0; i < len(buf); i += 2 {
		s.set(uint32(binary.LittleEndian.Uint16(buf[i:])))
	}
	return nil
}

// A gatherer adds rows up to one set. As long as they are few it keeps numbers,
// then a bit for each.
type gatherer struct {
	few   []uint32
	words []uint64 // nil as long as few is used
}

const gatherFew = 4096

func (g *gatherer) add(segment uint32, buf []byte) error {
	if err := checkNumbers(buf); err != nil {
		return err
	}
	if len(buf) == segmentBytes || g.words != nil || len(g.few)+len(buf)/2 > gatherFew {
		return g.addWords(segment, buf)
	}
	for i := 0; i < len(buf); i += 2 {
		g.few = append(g.few, segment*segmentSize+uint32(binary.LittleEndian.Uint16(buf[i:])))
	}
	return nil
}

func (g *gatherer) addWords(segment uint32, buf []byte) error {
	if g.words == nil {
		g.words = []uint64{}
		for _, n := range g.few {
			g.room(segmentOf(n))
			g.words[n/64] |= 1 << (n % 64)
		}
		g.few = nil
	}
	g.room(segment)
	words := g.words[int(segment)*segmentWords:][:segmentWords]
	if len(buf) == segmentBytes {
		for i := range words {
			words[i] |= binary.LittleEndian.Uint64(buf[8*i:])
		}
		return nil
	}
	for i := 0; i < len(buf); i += 2 {
		n := binary.LittleEndian.Uint16(buf[i:])
		words[n/64] |= 1 << (n % 64)
	}
	return nil
}

// room makes words reach to the end of a segment.
func (g *gatherer) room(segment uint32) {
	if need := (int(segment) + 1) * segmentWords; need > len(g.words) {
		g.words = append(g.words, make([]uint64, need-len(g.words))...)
	}
}

func (g *gatherer) bitmap() *roaring.Bitmap {
	if g.words != nil {
		return roaring.FromDense(g.words, true)
	}
	b := roaring.New()
	b.AddMany(g.few)
	return b
}

// A values row holds one number for each document of a segment, as what it is
// above the lowest, in as many bits as the highest takes: the first byte says how
// many. The row ends in 8 zero bytes, so that a word can be read at any place.

// widest is how many bits can be read from one word wherever they begin in a
// byte; what takes more is stored in 64.
const widest = 57

func encodeValues(values *[segmentSize]int64) (lowest, highest int64, buf []byte) {
	lowest, highest = slices.Min(values[:]), slices.Max(values[:])
	width := bits.Len64(uint64(highest) - uint64(lowest))
	if width > widest {
		width = 64
	}
	buf = make([]byte, 1+segmentSize*width/8+8)
	buf[0] = byte(width)
	if width == 0 {
		return lowest, highest, buf
	}
	at := 0 // in bits
	for _, v := range values {
		d := uint64(v) - uint64(lowest)
		p := buf[1+at/8:]
		binary.LittleEndian.PutUint64(p, binary.LittleEndian.Uint64(p)|d<<(at%8))
		at += width
	}
	return lowest, highest, buf
}

// A valuesRow reads single values of a row.
type valuesRow struct {
	lowest int64
	width  int
	mask   uint64
	buf    []byte
}

func decodeValues(lowest int64, buf []byte) (valuesRow, error) {
	if len(buf) == 0 || buf[0] > 64 || len(buf) != 1+segmentSize*int(buf[0])/8+8 {
		return valuesRow{}, fmt.Errorf("%w: %d bytes of values", errPacked, len(buf))
	}
	width := int(buf[0])
	return valuesRow{lowest: lowest, width: width, mask: 1<<width - 1, buf: buf[1:]}, nil
}

func (r *valuesRow) at(i uint32) int64 {
	bit := int(i) * r.width
	return r.lowest + int64(binary.LittleEndian.Uint64(r.buf[bit/8:])>>(bit%8)&r.mask)
}

// between sets in result the bits of those documents of words whose value lies
// from low to high, which touch the range of the row's values.
func (r *valuesRow) between(low, high int64, words, result []uint64) {
	from, span := uint64(0), uint64(high)-uint64(max(low, r.lowest))
	if low > r.lowest {
		from = uint64(low) - uint64(r.lowest)
	}
	for i, w := range words {
		var found uint64
		for ; w != 0; w &= w - 1 {
			n := bits.TrailingZeros64(w)
			at := (i*64 + n) * r.width
			d := binary.LittleEndian.Uint64(r.buf[at/8:]) >> (at % 8) & r.mask
			if d-from <= span {
				found |= 1 << n
			}
		}
		result[i] = found
	}
}

// The leaders of a row are the documents of its greatest values, the greatest
// first and of equal ones the first number first: each as the two bytes of its
// place in the segment, and how much less its value is than the one before.

// maxLeaders is how many there are at most.
const maxLeaders = 128

// A leader is a document's place in its segment, with its value.
type leader struct {
	index uint32
	value int64
}

func encodeLeaders(values *[segmentSize]int64) []byte {
	p := podium{limit: maxLeaders, compare: byValueDown}
	for i, v := range values {
		p.show(meta.Position{Number: uint32(i), Value: v})
	}
	buf := make([]byte, 0, 4*maxLeaders)
	last := p.places[0].Value // the highest
	for _, l := range p.places {
		buf = binary.LittleEndian.AppendUint16(buf, uint16(l.Number))
		buf = binary.AppendUvarint(buf, uint64(last)-uint64(l.Value))
		last = l.Value
	}
	return buf
}

func decodeLeaders(highest int64, buf []byte) ([]leader, error) {
	leaders := make([]leader, 0, maxLeaders)
	last := highest
	for len(buf) > 0 {
		if len(buf) < 3 || len(leaders) == maxLeaders {
			return nil, fmt.Errorf("%w: its leaders", errPacked)
		}
		index := uint32(binary.LittleEndian.Uint16(buf))
		less, n := binary.Uvarint(buf[2:])
		if n <= 0 || index >= segmentSize {
			return nil, fmt.Errorf("%w: its leaders", errPacked)
		}
		last = int64(uint64(last) - less)
		leaders = append(leaders, leader{index, last})
		buf = buf[2+n:]
	}
	if len(leaders) == 0 {
		return nil, fmt.Errorf("%w: it has no leaders", errPacked)
	}
	return leaders, nil
}
