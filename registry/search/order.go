package search

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"strings"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/wreg-project/wreg/storage/meta"
)

// Errors of a request that are not about its query; test with [errors.Is].
var (
	ErrCursor = errors.New("not a cursor of this search")
	ErrFacet  = errors.New("not a facet")
	ErrSort   = errors.New("not an order")
)

// An order of hits with a place in it.
type order struct {
	column    meta.Column
	ascending bool
	ranked    bool   // by relevance: by tiers first
	stamp     uint32 // of the search that a cursor belongs to
	limit     int
	tier      int            // of after
	after     *meta.Position // nil for the start
}

func newOrder(req Request) (*order, error) {
	o := &order{ascending: req.Ascending, limit: req.Limit}
	if o.limit <= 0 {
		o.limit = DefaultLimit
	}
	o.limit = min(o.limit, MaxLimit)
	switch req.Sort {
	case "", SortRelevance:
		o.column, o.ranked, o.ascending = meta.ColumnPulls, true, false
	case SortUpdated:
		o.column = meta.ColumnUpdated
	case SortSize:
		o.column = meta.ColumnSize
	case SortPulls:
		o.column = meta.ColumnPulls
	case SortName:
		o.column, o.ascending = meta.ColumnName, !req.Descending
	default:
		return nil, fmt.Errorf("%w: %q is none of relevance, updated, size, pulls, name", ErrSort, cut(string(req.Sort)))
	}
	h := fnv.New32a()
	fmt.Fprintf(h, "%s %t %t %s", o.column, o.ascending, o.ranked, req.Query)
	o.stamp = h.Sum32()
	return o, o.read(req.Cursor)
}

// A cursor is the last position of a page: a version, the stamp, the tier, the
// number, and the value or the name.
const cursorVersion = 1

func (o *order) cursor(p rankedPosition) string {
	buf := []byte{cursorVersion}
	buf = binary.BigEndian.AppendUint32(buf, o.stamp)
	buf = append(buf, byte(p.tier))
	buf = binary.AppendUvarint(buf, uint64(p.Number))
	if o.column == meta.ColumnName {
		buf = append(buf, p.Name...)
	} else {
		buf = binary.AppendVarint(buf, p.Value)
	}
	return base64.RawURLEncoding.EncodeToString(buf)
}

func (o *order) read(cursor string) error {
	if cursor == "" {
		return nil
	}
	if len(cursor) > MaxCursor {
		return ErrCursor
	}
	buf, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || len(buf) < 6 || buf[0] != cursorVersion || binary.BigEndian.Uint32(buf[1:]) != o.stamp || int(buf[5]) >= tiers {
		return ErrCursor
	}
	o.tier = int(buf[5])
	number, n := binary.Uvarint(buf[6:])
	if n <= 0 || number > 1<<32-1 {
		return ErrCursor
	}
	buf = buf[6+n:]
	p := meta.Position{Number: uint32(number)}
	if o.column == meta.ColumnName {
		p.Name = string(buf)
		if strings.ToValidUTF8(p.Name, "") != p.Name || strings.IndexByte(p.Name, 0) >= 0 {
			return ErrCursor
		}
	} else if p.Value, n = binary.Varint(buf); n != len(buf) {
		return ErrCursor
	}
	o.after = &p
	return nil
}

// A ranked position is one in a tier.
type rankedPosition struct {
	tier int
	meta.Position
}

// page gives the positions of one page, and the cursor of the next.
func (o *order) page(e *engine, found *roaring.Bitmap) ([]rankedPosition, string, error) {
	sets := []*roaring.Bitmap{found}
	if o.ranked {
		var err error
		if sets, err = e.tiers(found); err != nil {
			return nil, "", err
		}
	}
	var out []rankedPosition
	after := o.after
	// One more than the page has says whether there is a next one.
	for tier := o.tier; tier < len(sets) && len(out) <= o.limit; tier++ {
		top, err := e.docs.TopDocuments(e.ctx, o.column, o.ascending, sets[tier], after, o.limit+1-len(out))
		if err != nil {
			return nil, "", err
		}
		for _, p := range top.Positions {
			out = append(out, rankedPosition{tier, p})
		}
		if top.Resume != nil {
			return out, o.cursor(rankedPosition{tier, *top.Resume}), nil
		}
		after = nil
	}
	if len(out) <= o.limit {
		return out, "", nil
	}
	out = out[:o.limit]
	return out, o.cursor(out[o.limit-1]), nil
}

// tiers is how many sets an order by relevance has.
const tiers = 8

// tiers divides hits by how well the name answers the words of the query, and
// each of these by whether it is a latest version.
func (e *engine) tiers(found *roaring.Bitmap) ([]*roaring.Bitmap, error) {
	latest, err := e.docs.Postings(e.ctx, []string{"is:latest"})
	if err != nil {
		return nil, err
	}
	exact, all, some, err := e.named(found)
	if err != nil {
		return nil, err
	}
	var sets []*roaring.Bitmap
	rest := found.Clone()
	for _, named := range []*roaring.Bitmap{exact, all, some, found} {
		set := roaring.And(rest, named)
		rest.AndNot(set)
		sets = append(sets, roaring.And(set, latest), roaring.AndNot(set, latest))
	}
	return sets, nil
}

// named are the hits whose name is what the query looks for, has all of its
// words, or has some.
func (e *engine) named(found *roaring.Bitmap) (exact, all, some *roaring.Bitmap, err error) {
	exact, all, some = roaring.New(), roaring.New(), roaring.New()
	words, whole := e.words()
	if len(words) == 0 || found.IsEmpty() {
		return exact, all, some, nil
	}
	exact, err = e.docs.Postings(e.ctx, []string{term("named:", strings.Join(whole, "-")), term("named:", strings.Join(whole, "_"))})
	if err != nil {
		return nil, nil, nil, err
	}
	for i, w := range words {
		b, err := e.docs.Postings(e.ctx, []string{term("name:", w)})
		if err != nil {
			return nil, nil, nil, err
		}
		some.Or(b)
		if i == 0 {
			all = b
		} else {
			all.And(b)
		}
	}
	return exact, all, some, nil
}

// maxRanked bounds the words that an order by relevance looks at.
const maxRanked = 8

// words are those that every hit has to have, and the identifiers they are of in
// the order of the query.
func (e *engine) words() (words, whole []string) {
	if e.q == nil || e.q.root == nil {
		return nil, nil
	}
	parts := []node{e.q.root}
	if all, ok := e.q.root.(*allOf); ok {
		parts = all.parts
	}
	for _, part := range parts {
		if t, ok := part.(*termNode); ok && (t.op.name == "text" || t.op.name == "name") {
			words, whole = append(words, t.words...), append(whole, t.whole...)
		}
	}
	return words[:min(len(words), maxRanked)], whole[:min(len(whole), maxRanked)]
}
