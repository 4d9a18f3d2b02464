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
	foldMost     = 4096 // documents of one
	foldPostings = 8000 // what one step packs of them, and the rest of its last term
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
	if position >= columnsFrom {
		position, err = t.foldColumns(ctx, position)
	} else {
		position, err = t.foldTerms(ctx, position)
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
	return t.endFold(ctx)
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
func (t *tx) endFold(ctx context.Context) (bool, error) {
	if _, err := t.exec(ctx, "end_fold"); err != nil {
		return false, err
	}
	c, err := loadChanges(ctx, t)
	if err != nil {
		return false, err
	}
	used := map[int64]bool{}
	for i := range c.list {
		for _, id := range c.list[i].terms {
			used[id] = true
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
	return len(c.list) >= foldFrom, err
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
func (t *tx) foldTerms(ctx context.Context, position int64) (int64, error) {
	c := editCollector{from: position, ceiling: columnsFrom - 1}
	err := each(ctx, t, "folding_terms", nil, func(rows *sql.Rows) error {
		var (
			number        int64
			packed, terms sql.RawBytes
		)
		if err := rows.Scan(&number, &packed, &terms); err != nil {
			return t.fail("folding_terms", err)
		}
		if err := c.collect(uint32(number), packed, terms); err != nil {
			return fmt.Errorf("changes of document %d: %w", number, err)
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	c.trim()
	for edits := c.edits; len(edits) > 0; {
		n := editChunk(edits)
		if err := t.pack(ctx, edits[:n]); err != nil {
			return 0, err
		}
		edits = edits[n:]
	}
	return c.ceiling + 1, nil
}

// An editCollector finds the first edits of a fold, in order of term: as many as
// a step takes, and all that concern the same terms.
type editCollector struct {
	from, ceiling int64 // terms that are looked at
	edits         []edit
}

// collect adds what a document got and lost since it was packed.
func (c *editCollector) collect(number uint32, packed, terms []byte) error {
	was, is := idReader{buf: packed}, idReader{buf: terms}
	was.next()
	is.next()
	for min(was.id, is.id) <= c.ceiling && was.err == nil && is.err == nil {
		e := edit{term: min(was.id, is.id), number: number, lost: was.id < is.id}
		if was.id != is.id && e.term >= c.from {
			c.edits = append(c.edits, e)
		}
		if was.id == e.term {
			was.next()
		}
		if is.id == e.term {
			is.next()
		}
	}
	if len(c.edits) > 4*foldPostings {
		c.trim()
	}
	return cmp.Or(was.err, is.err)
}

// trim sorts the edits, and leaves those of the last terms for another step if
// they are too many.
func (c *editCollector) trim() {
	slices.SortFunc(c.edits, func(a, b edit) int { return cmp.Or(cmp.Compare(a.term, b.term), cmp.Compare(a.number, b.number)) })
	if len(c.edits) <= foldPostings {
		return
	}
	end := foldPostings
	for end < len(c.edits) && c.edits[end].term == c.edits[end-1].term {
		end++
	}
	if end < len(c.edits) {
		c.ceiling, c.edits = c.edits[end-1].term, c.edits[:end]
	}
}

// packedTerms is how many terms the statements of a fold take at once.
const packedTerms = 48

// editChunk is how many of the first edits concern no more terms than a
// statement takes.
func editChunk(edits []edit) int {
	terms := 1
	for i := 1; i < len(edits); i++ {
		if edits[i].term != edits[i-1].term {
			if terms++; terms > packedTerms {
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

// readPostings reads the rows that edits concern, which are of at most
// packedTerms terms.
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
	err := inChunks(segments, 16, padIDs(terms, packedTerms), func(params []any) error {
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
	var params []any // of rows
	for _, p := range places {
		if numbers := rows[p].encode(); numbers != nil {
			params = append(params, p.term, int64(p.segment), numbers)
		} else if _, err := t.exec(ctx, "delete_posting", p.term, int64(p.segment)); err != nil {
			return err
		}
	}
	for _, s := range []struct {
		name string
		rows int
	}{{"put_postings", 48}, {"put_some_postings", 8}, {"put_posting", 1}} {
		for len(params) >= 3*s.rows {
			if _, err := t.exec(ctx, s.name, params[:3*s.rows]...); err != nil {
				return err
			}
			params = params[3*s.rows:]
		}
	}
	return nil
}

// writeCounts adds to how many packed documents terms have.
func (t *tx) writeCounts(ctx context.Context, counts map[int64]int64) error {
	params := make([]any, 0, 2*packedTerms)
	for _, id := range slices.Sorted(maps.Keys(counts)) {
		params = append(params, id, counts[id])
	}
	for len(params) < 2*packedTerms {
		params = append(params, int64(-1), int64(0)) // no term has this id
	}
	_, err := t.exec(ctx, "count_terms", params...)
	return err
}

// A valued document is one with its values.
type valued struct {
	number uint32
	values [columnCount]int64
}

// foldColumns packs the values of some segments and returns where to go on, 0
// behind the last.
func (t *tx) foldColumns(ctx context.Context, position int64) (int64, error) {
	bySegment := map[uint32][]valued{}
	err := each(ctx, t, "folding_values", args((position-columnsFrom)*segmentSize), func(rows *sql.Rows) error {
		var number, updated, size, pulls int64
		if err := rows.Scan(&number, &updated, &size, &pulls); err != nil {
			return t.fail("folding_values", err)
		}
		segment := segmentOf(uint32(number))
		bySegment[segment] = append(bySegment[segment], valued{uint32(number), columns(updated, size, pulls)})
		return nil
	})
	if err != nil {
		return 0, err
	}
	for i, segment := range slices.Sorted(maps.Keys(bySegment)) {
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

func (t *tx) packValues(ctx context.Context, column int, segment uint32, ds []valued) error {
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
	if !found { // what is not there must not lead
		least := ds[0].values[column]
		for _, d := range ds {
			least = min(least, d.values[column])
		}
		for i := range values {
			values[i] = least
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
	_, err = t.exec(ctx, "put_values", key, lowest, highest, encodeLeaders(&values), numbers)
	return err
}
