package sqlmeta

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"math"
	"math/bits"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/wreg-project/wreg/storage/meta"
)

// valueKey is the key of a row of document_values.
func valueKey(column int, segment uint32) int64 { return int64(column)<<32 | int64(segment) }

// A zone says between what the values of a segment lie. It may be wider than
// they are.
type zone struct {
	key             int64
	lowest, highest int64
}

func (z zone) segment() uint32 { return uint32(z.key) }

// zones lists those of a column, in order of segment.
func (r reader) zones(ctx context.Context, column int) ([]zone, error) {
	var out []zone
	err := each(ctx, r.q, "value_zones", args(valueKey(column, 0), valueKey(column, math.MaxUint32)), func(rows *sql.Rows) error {
		var z zone
		if err := rows.Scan(&z.key, &z.lowest, &z.highest); err != nil {
			return r.q.fail("value_zones", err)
		}
		out = append(out, z)
		return nil
	})
	slices.SortFunc(out, func(a, b zone) int { return cmp.Compare(a.key, b.key) })
	return out, err
}

// zoneChunk is how many rows of values are read at a time, of some 25 KB each.
const zoneChunk = 16

// eachValues calls f for the rows of values of the zones, some of them at a time
// in order of zs and within those in any order, as long as next says to go on. A
// row is good until f returns.
func (r reader) eachValues(ctx context.Context, zs []zone, next func([]zone) []zone, f func(zone, valuesRow)) error {
	for size := 4; ; size = zoneChunk { // the first few may be enough
		if zs = next(zs); len(zs) == 0 {
			return nil
		}
		chunk := zs[:min(size, len(zs))]
		zs = zs[len(chunk):]
		byKey := make(map[int64]zone, len(chunk))
		keys := make([]int64, len(chunk))
		for i, z := range chunk {
			keys[i], byKey[z.key] = z.key, z
		}
		err := inChunks(keys, zoneChunk, nil, func(params []any) error {
			return each(ctx, r.q, "values", params, func(rows *sql.Rows) error {
				var (
					key, lowest int64
					numbers     sql.RawBytes
				)
				if err := rows.Scan(&key, &lowest, &numbers); err != nil {
					return r.q.fail("values", err)
				}
				row, err := decodeValues(lowest, numbers)
				if err != nil {
					return fmt.Errorf("column %d of segment %d: %w", key>>32, uint32(key), err)
				}
				f(byKey[key], row)
				return nil
			})
		})
		if err != nil {
			return err
		}
	}
}

// eachNumber calls f for the numbers of a segment that are in words, in order.
func eachNumber(words []uint64, segment uint32, f func(number, index uint32)) {
	from := int(segment) * segmentWords
	if from >= len(words) {
		return
	}
	for i, w := range words[from:][:segmentWords] {
		for ; w != 0; w &= w - 1 {
			index := uint32(i*64 + bits.TrailingZeros64(w))
			f(segment*segmentSize+index, index)
		}
	}
}

func empty(words []uint64, segment uint32) bool {
	from := int(segment) * segmentWords
	return from >= len(words) || !slices.ContainsFunc(words[from:][:segmentWords], func(w uint64) bool { return w != 0 })
}

// InRange implements meta.Documents.
func (r reader) InRange(ctx context.Context, c meta.Column, low, high int64, within *roaring.Bitmap) (*roaring.Bitmap, error) {
	column, err := columnIndex(c)
	if err != nil {
		return nil, err
	}
	out := roaring.New()
	if low > high {
		return out, nil
	}
	if within != nil && within.GetCardinality() <= fewDocuments {
		err := r.eachValue(ctx, column, within, func(number uint32, v int64) {
			if low <= v && v <= high {
				out.Add(number)
			}
		})
		return out, err
	}
	if within == nil {
		if within, err = r.AllDocuments(ctx); err != nil {
			return nil, err
		}
	}
	changed, err := r.changes(ctx)
	if err != nil {
		return nil, err
	}
	zs, err := r.zones(ctx, column)
	if err != nil {
		return nil, err
	}
	words := padded(roaring.AndNot(within, changed.numbers))
	result := make([]uint64, len(words))
	zs = slices.DeleteFunc(zs, func(z zone) bool {
		if z.highest < low || z.lowest > high || empty(words, z.segment()) {
			return true
		}
		if low <= z.lowest && z.highest <= high {
			from := int(z.segment()) * segmentWords
			copy(result[from:from+segmentWords], words[from:])
			return true
		}
		return false
	})
	all := func(zs []zone) []zone { return zs }
	err = r.eachValues(ctx, zs, all, func(z zone, row valuesRow) {
		from := int(z.segment()) * segmentWords
		row.between(low, high, words[from:from+segmentWords], result[from:from+segmentWords])
	})
	if err != nil {
		return nil, err
	}
	out = roaring.FromDense(result, true)
	for i := range changed.list {
		d := &changed.list[i]
		if v := d.values[column]; d.present && low <= v && v <= high && within.Contains(d.number) {
			out.Add(d.number)
		}
	}
	return out, nil
}

// eachValue calls f for those documents of a small set that there are.
func (r reader) eachValue(ctx context.Context, column int, of *roaring.Bitmap, f func(number uint32, v int64)) error {
	return inChunks(distinct(of.ToArray()), 128, nil, func(params []any) error {
		return each(ctx, r.q, "values_by_number", params, func(rows *sql.Rows) error {
			var number, updated, size, pulls int64
			if err := rows.Scan(&number, &updated, &size, &pulls); err != nil {
				return r.q.fail("values_by_number", err)
			}
			f(uint32(number), columns(updated, size, pulls)[column])
			return nil
		})
	})
}

// A podium keeps the first of the positions it is shown.
type podium struct {
	places  []meta.Position // in order
	limit   int
	after   *meta.Position
	compare func(a, b meta.Position) int
}

func (p *podium) show(pos meta.Position) {
	if p.after != nil && p.compare(pos, *p.after) <= 0 {
		return
	}
	if p.full() && !p.worse(pos) {
		return
	}
	i, again := slices.BinarySearchFunc(p.places, pos, p.compare)
	if again {
		return
	}
	p.places = slices.Insert(p.places[:min(len(p.places), p.limit-1)], min(i, p.limit-1), pos)
}

func (p *podium) full() bool { return len(p.places) >= p.limit }

// worse reports whether the last place of a full podium is worse than pos.
func (p *podium) worse(pos meta.Position) bool {
	return p.limit > 0 && p.compare(p.places[p.limit-1], pos) > 0
}

func byValue(a, b meta.Position) int {
	return cmp.Or(cmp.Compare(a.Value, b.Value), cmp.Compare(a.Number, b.Number))
}

func byValueDown(a, b meta.Position) int {
	return cmp.Or(cmp.Compare(b.Value, a.Value), cmp.Compare(a.Number, b.Number))
}

// TopDocuments implements meta.Documents.
func (r reader) TopDocuments(
	ctx context.Context, c meta.Column, ascending bool, within *roaring.Bitmap, after *meta.Position, limit int,
) (meta.Top, error) {
	limit = max(limit, 0)
	if c == meta.ColumnName {
		return r.topByName(ctx, ascending, within, after, limit)
	}
	column, err := columnIndex(c)
	if err != nil {
		return meta.Top{}, err
	}
	p := podium{limit: limit, after: after, compare: byValueDown}
	if ascending {
		p.compare = byValue
	}
	if within == nil {
		if within, err = r.AllDocuments(ctx); err != nil {
			return meta.Top{}, err
		}
	}
	if within.GetCardinality() <= fewDocuments {
		err := r.eachValue(ctx, column, within, func(number uint32, v int64) { p.show(meta.Position{Number: number, Value: v}) })
		return meta.Top{Positions: p.places}, err
	}
	err = r.topByValue(ctx, column, ascending, within, &p)
	return meta.Top{Positions: p.places}, err
}

// topByValue looks at the leaders of each segment first, which is mostly all it
// takes, then at the segments in whose rest there may be more, the most promising
// first, until no value can come in among the first any more.
func (r reader) topByValue(ctx context.Context, column int, ascending bool, within *roaring.Bitmap, p *podium) error {
	changed, err := r.changes(ctx)
	if err != nil {
		return err
	}
	for i := range changed.list {
		if d := &changed.list[i]; d.present && within.Contains(d.number) {
			p.show(meta.Position{Number: d.number, Value: d.values[column]})
		}
	}
	words := padded(roaring.AndNot(within, changed.numbers))
	rests, err := r.leaders(ctx, column, ascending, words, p)
	if err != nil {
		return err
	}
	slices.SortStableFunc(rests, func(a, b rest) int { return p.compare(a.behind, b.behind) })
	next := func(rests []rest) []rest {
		for len(rests) > 0 && p.after != nil && p.compare(rests[0].last, *p.after) <= 0 {
			rests = rests[1:] // all of it was on earlier pages
		}
		if len(rests) > 0 && p.full() && !p.worse(rests[0].behind) {
			return nil
		}
		return rests
	}
	zs := make([]zone, len(rests))
	for i := range rests {
		zs[i] = rests[i].zone
	}
	return r.eachValues(ctx, zs, func(zs []zone) []zone {
		rests = next(rests[len(rests)-len(zs):])
		return zs[len(zs)-len(rests):]
	}, func(z zone, row valuesRow) {
		eachNumber(words, z.segment(), func(number, index uint32) { p.show(meta.Position{Number: number, Value: row.at(index)}) })
	})
}

// A rest is what a segment has beside its leaders: behind one position, and up to
// another, in the order that is asked for.
type rest struct {
	zone
	behind, last meta.Position
}

// leaders shows those of all segments that have something of words, and returns
// the rests.
func (r reader) leaders(ctx context.Context, column int, ascending bool, words []uint64, p *podium) ([]rest, error) {
	var rests []rest
	err := each(ctx, r.q, "value_leaders", args(valueKey(column, 0), valueKey(column, math.MaxUint32)), func(rows *sql.Rows) error {
		var (
			z   zone
			buf sql.RawBytes
		)
		if err := rows.Scan(&z.key, &z.lowest, &z.highest, &buf); err != nil {
			return r.q.fail("value_leaders", err)
		}
		if empty(words, z.segment()) {
			return nil
		}
		rest := rest{z, meta.Position{Value: z.lowest}, meta.Position{Value: z.highest, Number: math.MaxUint32}}
		if !ascending {
			leaders, err := decodeLeaders(z.highest, buf)
			if err != nil {
				return fmt.Errorf("column %d of segment %d: %w", column, z.segment(), err)
			}
			rest.last = meta.Position{Value: z.lowest, Number: math.MaxUint32}
			rest.behind = showLeaders(leaders, z.segment(), words, p)
		}
		rests = append(rests, rest)
		return nil
	})
	return rests, err
}

// showLeaders returns the position of the last one.
func showLeaders(leaders []leader, segment uint32, words []uint64, p *podium) (last meta.Position) {
	for _, l := range leaders {
		number := segment*segmentSize + l.index
		last = meta.Position{Number: number, Value: l.value}
		if words[number/64]>>(number%64)&1 != 0 {
			p.show(last)
		}
	}
	return last
}

// Bounds of an order by name: up to how many documents are sorted, and through
// how many names of others a search goes.
const (
	sortedNames = 2048
	walkedNames = 8 << 10
)

func byName(a, b meta.Position) int {
	return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Number, b.Number))
}

// topByName sorts a small set, and for a large one walks along the index of
// names until it has met enough of it.
func (r reader) topByName(
	ctx context.Context, ascending bool, within *roaring.Bitmap, after *meta.Position, limit int,
) (meta.Top, error) {
	if within != nil && within.GetCardinality() <= sortedNames {
		p := podium{limit: limit, after: after, compare: byName}
		if !ascending {
			p.compare = func(a, b meta.Position) int { return byName(b, a) }
		}
		err := inChunks(distinct(within.ToArray()), 128, nil, func(params []any) error {
			return r.eachName(ctx, "names_by_number", params, p.show)
		})
		return meta.Top{Positions: p.places}, err
	}
	var top meta.Top
	at := meta.Position{Name: "", Number: 0}
	statement := "names_up"
	if !ascending {
		at, statement = meta.Position{Name: last, Number: math.MaxUint32}, "names_down"
	}
	if after != nil {
		at = *after
	}
	for walked, page := 0, 4*limit; len(top.Positions) < limit; page = min(2*page, 2048) {
		seen := 0
		err := r.eachName(ctx, statement, args(at.Name, int64(at.Number), int64(page)), func(pos meta.Position) {
			seen++
			at = pos
			if len(top.Positions) < limit && (within == nil || within.Contains(pos.Number)) {
				top.Positions = append(top.Positions, pos)
			}
		})
		if err != nil || seen < page {
			return top, err
		}
		if walked += seen; walked > walkedNames && len(top.Positions) < limit {
			top.Resume = &at
			return top, nil
		}
	}
	return top, nil
}

func (r reader) eachName(ctx context.Context, statement string, params []any, f func(meta.Position)) error {
	return each(ctx, r.q, statement, params, func(rows *sql.Rows) error {
		var (
			number int64
			name   string
		)
		if err := rows.Scan(&number, &name); err != nil {
			return r.q.fail(statement, err)
		}
		f(meta.Position{Number: uint32(number), Name: name})
		return nil
	})
}
