package notation

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// Bounds of CBOR.
const (
	maxDepth = 16
	maxItems = 4096
)

// tagged is a value with a tag.
type tagged struct {
	number uint64
	value  any
}

// decode reads one value of CBOR (RFC 8949) and nothing behind it: int64, []byte,
// string, []any, map[any]any with keys of int64 and string, tagged, bool and nil.
// Lengths are definite, as deterministic encoding has them.
func decode(text []byte) (any, error) {
	r := &reader{text: text}
	v, err := r.value(0)
	if err == nil && r.off != len(text) {
		err = errors.New("more behind the value")
	}
	if err != nil {
		return nil, fmt.Errorf("CBOR at byte %d: %w", r.off, err)
	}
	return v, nil
}

type reader struct {
	text  []byte
	off   int
	items int
}

var errShort = errors.New("it ends early")

// Major types (RFC 8949, section 3.1).
const (
	majorUint = iota
	majorNegative
	majorBytes
	majorText
	majorArray
	majorMap
	majorTag
	majorSimple
)

func (r *reader) value(depth int) (any, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("it nests deeper than %d", maxDepth)
	}
	if r.items++; r.items > maxItems {
		return nil, fmt.Errorf("it has more than %d values", maxItems)
	}
	major, n, err := r.head()
	if err != nil {
		return nil, err
	}
	switch major {
	case majorUint, majorNegative:
		if n > math.MaxInt64 {
			return nil, errors.New("an integer of more than 63 bits")
		}
		if major == majorNegative {
			return -1 - int64(n), nil
		}
		return int64(n), nil
	case majorBytes, majorText:
		if n > uint64(len(r.text)-r.off) {
			return nil, errShort
		}
		s := r.text[r.off : r.off+int(n)]
		r.off += int(n)
		if major == majorText {
			return string(s), nil
		}
		return s, nil
	case majorArray:
		return r.array(n, depth)
	case majorMap:
		return r.pairs(n, depth)
	case majorTag:
		v, err := r.value(depth + 1)
		return tagged{n, v}, err
	}
	return simple(n)
}

// head reads the major type of a value and its argument.
func (r *reader) head() (major int, n uint64, err error) {
	if r.off == len(r.text) {
		return 0, 0, errShort
	}
	b := r.text[r.off]
	r.off++
	major, low := int(b>>5), b&31
	if low < 24 {
		return major, uint64(low), nil
	}
	if low > 27 {
		return 0, 0, fmt.Errorf("a length of kind %d", low)
	}
	size := 1 << (low - 24)
	if len(r.text)-r.off < size {
		return 0, 0, errShort
	}
	var wide [8]byte
	copy(wide[8-size:], r.text[r.off:])
	r.off += size
	return major, binary.BigEndian.Uint64(wide[:]), nil
}

// array reads n values, for which there have to be as many bytes.
func (r *reader) array(n uint64, depth int) ([]any, error) {
	if n > uint64(len(r.text)-r.off) {
		return nil, errShort
	}
	var list []any
	for range n {
		v, err := r.value(depth + 1)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, nil
}

func (r *reader) pairs(n uint64, depth int) (map[any]any, error) {
	if n > uint64(len(r.text)-r.off)/2 {
		return nil, errShort
	}
	m := map[any]any{}
	for range n {
		k, err := r.value(depth + 1)
		if err != nil {
			return nil, err
		}
		switch k.(type) {
		case int64, string:
		default:
			return nil, fmt.Errorf("a key of type %T", k)
		}
		if _, ok := m[k]; ok {
			return nil, fmt.Errorf("the key %.40s twice", fmt.Sprint(k))
		}
		if m[k], err = r.value(depth + 1); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// simple is one of the simple values.
func simple(n uint64) (any, error) {
	switch n {
	case 20:
		return false, nil
	case 21:
		return true, nil
	case 22, 23:
		return nil, nil
	}
	return nil, fmt.Errorf("a simple value or float %d", n)
}
