package sqlmeta

import (
	"context"
	"database/sql"
	"fmt"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/wreg-project/wreg/storage/meta"
)

// A change is a row of document_changes.
type change struct {
	number  int64
	folding bool
	packed  []byte
	present int64
	values  [columnCount]int64
	terms   []byte
}

// The columns, as indexes of values.
const (
	updatedColumn = iota
	sizeColumn
	pullsColumn
	columnCount
)

func columnIndex(c meta.Column) (int, error) {
	switch c {
	case meta.ColumnUpdated:
		return updatedColumn, nil
	case meta.ColumnSize:
		return sizeColumn, nil
	case meta.ColumnPulls:
		return pullsColumn, nil
	default:
		return 0, fmt.Errorf("no column %q of numbers", c)
	}
}

// columns are the values of a document's row. Times are indexed in seconds, which
// halves what is packed of them.
func columns(updated, size, pulls int64) [columnCount]int64 {
	const second = 1_000_000
	seconds := updated / second
	if updated%second < 0 {
		seconds--
	}
	return [...]int64{seconds, size, pulls}
}

// A changed is a change as readers need it. Lists are ascending.
type changed struct {
	number  uint32
	folding bool
	present bool
	values  [columnCount]int64
	terms   []int64 // it has now, none if it is deleted
	packed  []int64 // it is packed with now
}

// decode works out how a document is packed while a fold is at position.
func (c *change) decode(position int64) (changed, error) {
	d := changed{number: uint32(c.number), folding: c.folding, present: c.present != 0, values: c.values}
	var err error
	if d.terms, err = decodeIDs(c.terms); err != nil {
		return d, err
	}
	if d.packed, err = decodeIDs(c.packed); err != nil {
		return d, err
	}
	if d.folding {
		// What lies behind the fold is as it is now, the rest as it was.
		now, _ := slices.BinarySearch(d.terms, position)
		was, _ := slices.BinarySearch(d.packed, position)
		d.packed = slices.Concat(d.terms[:now], d.packed[was:])
	}
	return d, nil
}

// changes are all documents that are not packed as they are.
type changes struct {
	position int64 // of the fold
	list     []changed
	numbers  *roaring.Bitmap
}

func loadChanges(ctx context.Context, q querier) (*changes, error) {
	position, err := foldPosition(ctx, q)
	if err != nil {
		return nil, err
	}
	all := &changes{position: position, numbers: roaring.New()}
	var c change
	var folding, updated, size, pulls int64
	err = each(ctx, q, "changes", nil, func(rows *sql.Rows) error {
		var packed, terms sql.RawBytes
		if err := rows.Scan(&c.number, &folding, &packed, &c.present, &updated, &size, &pulls, &terms); err != nil {
			return q.fail("changes", err)
		}
		c.folding, c.packed, c.terms, c.values = folding != 0, packed, terms, columns(updated, size, pulls)
		d, err := c.decode(position)
		if err != nil {
			return fmt.Errorf("changes of document %d: %w", c.number, err)
		}
		all.list = append(all.list, d)
		all.numbers.Add(d.number)
		return nil
	})
	return all, err
}

// having adds to b the changed documents that have any of the terms, which are
// ascending.
func (c *changes) having(ids []int64, b *roaring.Bitmap) {
	for i := range c.list {
		if overlap(ids, c.list[i].terms) {
			b.Add(c.list[i].number)
		}
	}
}

// ReadDocuments implements meta.Documents.
func (r reader) ReadDocuments(ctx context.Context, fn func(meta.Documents) error) error {
	p, ok := r.q.(pool)
	if !ok {
		return fn(r) // one state already
	}
	if p.db.committer.closed() {
		return meta.ErrClosed
	}
	ctx, err := p.db.statementContext(ctx)
	if err != nil {
		return err
	}
	sqltx, err := p.db.beginRead(ctx)
	if err != nil {
		return fmt.Errorf("read documents: %w", p.db.cfg.Wrap(err))
	}
	defer func() { _ = sqltx.Rollback() }() // it wrote nothing
	return fn(reader{q: &documentSnapshot{snapshot: snapshot{p.db, sqltx}}})
}

// beginRead begins a read-only transaction that sees one state.
func (db *DB) beginRead(ctx context.Context) (*sql.Tx, error) {
	for try := 1; ; try++ {
		sqltx, err := db.cfg.Read.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
		if err == nil || try == maxTries || ctx.Err() != nil || !db.cfg.Lost(err) {
			return sqltx, err
		}
	}
}

// A documentSnapshot is a snapshot that keeps what every question about
// documents reads.
type documentSnapshot struct {
	snapshot
	loaded *changes
	terms  map[string]knownTerm
}

// changes are those of the state that r reads.
func (r reader) changes(ctx context.Context) (*changes, error) {
	s, ok := r.q.(*documentSnapshot)
	if !ok {
		return loadChanges(ctx, r.q)
	}
	if s.loaded == nil {
		var err error
		if s.loaded, err = loadChanges(ctx, r.q); err != nil {
			return nil, err
		}
	}
	return s.loaded, nil
}
