// Package strictjson decodes JSON of strangers: what would cost more than its bytes
// are worth is refused before it is decoded, and so is what two tools would read
// differently.
package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
)

// Errors of Decode, wrapped with the place.
var (
	ErrLimit  = errors.New("over a limit")
	ErrFormat = errors.New("not usable JSON")
)

// Limits bound a text. There is no default.
type Limits struct {
	Depth   int // of nesting
	Objects int // in all; of values in lists there may be twice as many, of members eight times
}

// maxKeys bounds the keys of one JSON object. The formats know a few dozen.
const maxKeys = 1024

// Decode decodes a whole text into v. It fails with ErrLimit before a decoder is
// asked if that would cost more than the bytes are worth: `[{},{},…]` grows a
// hundredfold. What names a key twice is ErrFormat: of two lists of components the
// decoder of Go would mix one, and another tool take the other. Keys that differ
// in case alone are the same to that decoder, and so they are here.
func (l Limits) Decode(data []byte, v any) error {
	c := checker{limits: l, seed: maphash.MakeSeed()}
	if err := c.check(data); err != nil {
		return err
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("%w: %w", ErrFormat, err)
	}
	return nil
}

// A checker holds JSON against limits in one pass, without building anything. What
// is not JSON is left to the decoder.
type checker struct {
	limits  Limits
	seed    maphash.Seed
	objects int
	commas  [2]int // in lists, in objects
	open    []container
}

// A container is an object or list that has not ended.
type container struct {
	object bool
	key    bool     // a text would be the next key
	keys   []uint64 // hashes of those so far
	many   map[uint64]bool
}

// few is up to how many keys a list is searched faster than a map.
const few = 32

func (c *checker) check(data []byte) error {
	for i := 0; i < len(data); i++ {
		var err error
		switch b := data[i]; b {
		case '"':
			end := endOfText(data, i)
			err = c.text(data[i:end])
			i = end - 1
		case '{', '[':
			err = c.begin(b == '{')
		case '}', ']':
			if len(c.open) > 0 {
				c.open = c.open[:len(c.open)-1]
			}
		case ',':
			err = c.next()
		}
		if err != nil {
			return fmt.Errorf("byte %d: %w", i, err)
		}
	}
	return nil
}

// endOfText is the place behind the text that begins at i.
func endOfText(data []byte, i int) int {
	for i++; i < len(data); i++ {
		switch data[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(data)
}

// What a file may have for each object that it may have. Anything in a list may
// become an element of whatever is expected there, even if it is a number.
const (
	elementsPerObject = 2
	membersPerObject  = 8
)

// next goes on to the next element of a list or member of an object.
func (c *checker) next() error {
	if len(c.open) == 0 {
		return nil
	}
	at := &c.open[len(c.open)-1]
	at.key = at.object
	kind, most := 0, elementsPerObject*c.limits.Objects
	if at.object {
		kind, most = 1, membersPerObject*c.limits.Objects
	}
	if c.commas[kind]++; c.commas[kind] > most {
		return fmt.Errorf("%w: more than %d values in lists or in objects", ErrLimit, most)
	}
	return nil
}

func (c *checker) begin(object bool) error {
	if len(c.open) == c.limits.Depth {
		return fmt.Errorf("%w: more than %d deep", ErrLimit, c.limits.Depth)
	}
	if object {
		c.objects++
	}
	if c.objects > c.limits.Objects {
		return fmt.Errorf("%w: more than %d objects", ErrLimit, c.limits.Objects)
	}
	if n := len(c.open); n < cap(c.open) {
		c.open = c.open[:n+1] // with room for keys
		c.open[n] = container{object: object, key: object, keys: c.open[n].keys[:0]}
		return nil
	}
	c.open = append(c.open, container{object: object, key: object})
	return nil
}

// text takes a text in its quotes, which may be a key.
func (c *checker) text(quoted []byte) error {
	if len(c.open) == 0 || !c.open[len(c.open)-1].key {
		return nil
	}
	at := &c.open[len(c.open)-1]
	at.key = false
	key := quoted
	if bytes.IndexByte(quoted, '\\') >= 0 {
		var plain string
		if json.Unmarshal(quoted, &plain) == nil {
			key = fmt.Appendf(nil, `"%s"`, plain)
		}
	}
	if h := maphash.Bytes(c.seed, bytes.ToLower(key)); !at.add(h) {
		return fmt.Errorf("%w: the key %.40q is there twice", ErrFormat, bytes.Trim(key, `"`))
	}
	if len(at.keys)+len(at.many) > maxKeys {
		return fmt.Errorf("%w: more than %d keys in an object", ErrLimit, maxKeys)
	}
	return nil
}

// add notes a key and reports whether it is new.
func (c *container) add(h uint64) bool {
	if slices.Contains(c.keys, h) || c.many[h] {
		return false
	}
	if len(c.keys) < few {
		c.keys = append(c.keys, h)
		return true
	}
	if c.many == nil {
		c.many = map[uint64]bool{}
	}
	c.many[h] = true
	return true
}
