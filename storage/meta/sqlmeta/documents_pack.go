package sqlmeta

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
)

// Bounds of a fold.
const (
	foldFrom     = 256  // changes that make one worth its while
	foldMost     = 8192 // documents of one
	foldPostings = 4000 // what one step packs at least of them, if there is as much
	foldSegments = 4    // columns of how many segments one step packs
)

// PackDocuments implements meta.DocumentWriter. Each call is a step.
func (t *tx) PackDocuments(ctx context.Context) (bool, error) {
	position, err := foldPosition(ctx, t)
	if err != nil {
		return false, err
	}
	if position == 0 {
		begun, err := t.beginFold(ctx)
		if err != nil || !begun {
			return false, err
		}
	}
	c, err := loadChanges(ctx, t)
	if err != nil {
		return false, err
	}
	if position >= columnsFrom {
		position, err = t.foldColumns(ctx, c, position)
	} else {
		position, err = t.foldTerms(ctx, c, position)
	}
	if err != nil {
		return false, fmt.Errorf("pack documents: %w", err)
	}
	if _, err := t.exec(ctx, "set_fold_position", position); err != nil {
		return false, err
	}
	if position != 0 {
		return true, nil
	}
	return t.endFold(ctx, c)
}

func (t *tx) beginFold(ctx context.Context) (bool, error) {
	var n int64
	if _, err := one(ctx, t, "count_changes", nil, &n); err != nil || n < foldFrom {
		return false, err
	}
	_, err := t.exec(ctx, "begin_fold", int64(foldMost))
	return true, err
}

// endFold forgets what was packed, and terms that no document has any more. It
// reports whether there is enough for another fold.
func (t *tx) endFold(ctx context.Context, c *changes) (bool, error) {
	folded, err := t.exec(ctx, "end_fold")
	if err != nil {
		return false, err
	}
	used := map[int64]bool{}
	for i := range c.list {
		if d := &c.list[i]; !d.folding {
			for _, id := range d.terms {
				used[id] = true
			}
		}
	}
	unused, err := t.listIDs(ctx, "unused_terms", int64(len(used)+foldPostings))
	if err != nil {
		return false, err
	}
	unused = slices.DeleteFunc(unused, func(id int64) bool { return used[id] })
	clear(t.terms) // some of them are about to go
	err = inChunks(unused, 32, nil, func(params []any) error {
		_, err := t.exec(ctx, "delete_terms", params...)
		return err
	})
	return int64(len(c.list))-folded >= foldFrom, err
}

func (t *tx) listIDs(ctx context.Context, name string, params ...any) ([]int64, error) {
	var out []int64
	err := each(ctx, t, name, params, func(rows *sql.Rows) error {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return t.fail(name, err)
		}
		out = append(out, id)
		return nil
	})
	return out, err
}

// An edit says that a document got or lost a term.
type edit struct {
	term   int64
	number uint32
	lost   bool
}

// A place is a row of postings.
type place struct {
	term    int64
	segment uint32
}

func (e edit) place() place { return place{e.term, segmentOf(e.number)} }

func (a place) compare(b place) int {
	return cmp.Or(cmp.Compare(a.term, b.term), cmp.Compare(a.segment, b.segment))
}

// foldTerms packs terms from position on and returns where to go on.
func (t *tx) foldTerms(ctx context.Context, c *changes, position int64) (int64, error) {
	edits := collectEdits(c, position)
	next := int64(columnsFrom)
	if len(edits) > foldPostings {
		// Whole terms, so that one number says how far the fold is.
		end := foldPostings
		for end < len(edits) && edits[end].term == edits[end-1].term {
			end++
		}
		if edits = edits[:end]; end > 0 {
			next = edits[end-1].term + 1
		}
	}
	for len(edits) > 0 {
		n := editChunk(edits)
		if err := t.pack(ctx, edits[:n]); err != nil {
			return 0, err
		}
		edits = edits[n:]
	}
	return next, nil
}

// collectEdits lists what the fold has to do, in order of term and document. As
// position says what is done, none of it is behind that.
func collectEdits(c *changes, position int64) []edit {
	var edits []edit
	for i := range c.list {
		d := &c.list[i]
		if !d.folding {
			continue
		}
		for _, id := range subtract(d.terms, d.packed) {
			edits = append(edits, edit{term: id, number: d.number})
		}
		for _, id := range subtract(d.packed, d.terms) {
			edits = append(edits, edit{term: id, number: d.number, lost: true})
		}
	}
	edits = slices.DeleteFunc(edits, func(e edit) bool { return e.term < position })
	slices.SortFunc(edits, func(a, b edit) int { return cmp.Or(cmp.Compare(a.term, b.term), cmp.Compare(a.number, b.number)) })
	return edits
}

// editChunk is how many of the first edits concern no more terms than a
// statement takes.
func editChunk(edits []edit) int {
	terms := 1
	for i := 1; i < len(edits); i++ {
		if edits[i].term != edits[i-1].term {
			if terms++; terms > 16 {
				return i
			}
		}
	}
	return len(edits)
}

// pack edits the rows of a few terms.
func (t *tx) pack(ctx context.Context, edits []edit) error {
	rows, err := t.readPostings(ctx, edits)
	if err != nil {
		return err
	}
	counts := map[int64]int64{}
	for _, e := range edits {
		index := e.number % segmentSize
		row := rows[e.place()]
		if row == nil {
			row = &segmentSet{}
			rows[e.place()] = row
		}
		if e.lost {
			row.clear(index)
			counts[e.term]--
		} else {
			row.set(index)
			counts[e.term]++
		}
	}
	if err := t.writePostings(ctx, rows); err != nil {
		return err
	}
	return t.writeCounts(ctx, counts)
}

// readPostings reads the rows that edits concern, which are of at most 16 terms.
func (t *tx) readPostings(ctx context.Context, edits []edit) (map[place]*segmentSet, error) {
	wanted := map[place]bool{}
	var terms, segments []int64
	for _, e := range edits {
		wanted[e.place()] = true
		terms, segments = append(terms, e.term), append(segments, int64(segmentOf(e.number)))
	}
	slices.Sort(segments)
	terms, segments = slices.Compact(terms), slices.Compact(segments)
	rows := make(map[place]*segmentSet, len(wanted))
	err := inChunks(segments, 16, padIDs(terms, 16), func(params []any) error {
		return each(ctx, t, "postings_of", params, func(r *sql.Rows) error {
			var (
				p       place
				segment int64
				numbers sql.RawBytes
			)
			if err := r.Scan(&p.term, &segment, &numbers); err != nil {
				return t.fail("postings_of", err)
			}
			p.segment = uint32(segment)
			if !wanted[p] {
				return nil
			}
			rows[p] = &segmentSet{}
			if err := rows[p].decode(numbers); err != nil {
				return fmt.Errorf("term %d, segment %d: %w", p.term, segment, err)
			}
			return nil
		})
	})
	return rows, err
}

// padIDs fills a list up to n parameters by repetitions.
func padIDs(ids []int64, n int) []any {
	params := make([]any, n)
	for i := range params {
		params[i] = ids[min(i, len(ids)-1)]
	}
	return params
}

func (t *tx) writePostings(ctx context.Context, rows map[place]*segmentSet) error {
	places := make([]place, 0, len(rows))
	for p := range rows {
		places = append(places, p)
	}
	slices.SortFunc(places, place.compare)
	const many = 16 // rows of put_postings
	var params []any
	for _, p := range places {
		numbers := rows[p].encode()
		if numbers == nil {
			if _, err := t.exec(ctx, "delete_posting", p.term, int64(p.segment)); err != nil {
				return err
			}
			continue
		}
		params = append(params, p.term, int64(p.segment), numbers)
		if len(params) == 3*many {
			if _, err := t.exec(ctx, "put_postings", params...); err != nil {
				return err
			}
			params = params[:0]
		}
	}
	for row := range slices.Chunk(params, 3) {
		if _, err := t.exec(ctx, "put_posting", row...); err != nil {
			return err
		}
	}
	return nil
}

// writeCounts adds to how many packed documents terms have.
func (t *tx) writeCounts(ctx context.Context, counts map[int64]int64) error {
	const many = 16 // rows of count_terms
	params := make([]any, 0, 2*many)
	for _, id := range slices.Sorted(maps.Keys(counts)) {
		params = append(params, id, counts[id])
	}
	for len(params) < 2*many {
		params = append(params, int64(-1), int64(0)) // no term has this id
	}
	_, err := t.exec(ctx, "count_terms", params...)
	return err
}

// foldColumns packs the values of some segments and returns where to go on, 0
// behind the last.
func (t *tx) foldColumns(ctx context.Context, c *changes, position int64) (int64, error) {
	bySegment := map[uint32][]*changed{}
	for i := range c.list {
		d := &c.list[i]
		if segment := segmentOf(d.number); d.folding && d.present && int64(segment) >= position-columnsFrom {
			bySegment[segment] = append(bySegment[segment], d)
		}
	}
	segments := slices.Sorted(maps.Keys(bySegment))
	for i, segment := range segments {
		if i == foldSegments {
			return columnsFrom + int64(segment), nil
		}
		for column := range columnCount {
			if err := t.packValues(ctx, column, segment, bySegment[segment]); err != nil {
				return 0, err
			}
		}
	}
	return 0, nil
}

func (t *tx) packValues(ctx context.Context, column int, segment uint32, ds []*changed) error {
	key := valueKey(column, segment)
	var (
		values [segmentSize]int64
		found  bool
		edited bool
	)
	err := each(ctx, t, "values", padIDs([]int64{key}, zoneChunk), func(rows *sql.Rows) error {
		var (
			lowest  int64
			numbers sql.RawBytes
		)
		if err := rows.Scan(new(int64), &lowest, &numbers); err != nil {
			return t.fail("values", err)
		}
		row, err := decodeValues(lowest, numbers)
		if err != nil {
			return fmt.Errorf("column %d of segment %d: %w", column, segment, err)
		}
		for i := range values {
			values[i] = row.at(uint32(i))
		}
		found = true
		return nil
	})
	if err != nil {
		return err
	}
	if !found { // what is not there must not widen the zone
		for i := range values {
			values[i] = ds[0].values[column]
		}
	}
	for _, d := range ds {
		v := &values[d.number%segmentSize]
		edited = edited || *v != d.values[column]
		*v = d.values[column]
	}
	if found && !edited {
		return nil
	}
	lowest, highest, numbers := encodeValues(&values)
	_, err = t.exec(ctx, "put_values", key, lowest, highest, numbers)
	return err
}
