package gc

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"

	"github.com/wreg-project/wreg/storage/blob"
	"github.com/wreg-project/wreg/storage/meta"
)

// JournalOptions are the settings of a [Journaler]. The zero value is ready
// for use.
type JournalOptions struct {
	// Delay is how long a Journaler waits after Notify, that one object takes
	// in many entries. Zero means 500 ms.
	Delay time.Duration
	// Poll is how often it asks for entries of which nobody told it, such as
	// those of another process. Zero means 500 ms: one short query.
	Poll time.Duration
	// MaxEntries and MaxBytes end an object; the entry that passes MaxBytes is
	// its last. Zero means 4096 entries and 4 MiB.
	MaxEntries int
	MaxBytes   int
	// Log hears when journaling begins to fail and when it works again. Nil
	// means nobody.
	Log *slog.Logger
}

// journalPage bounds how many entries are read from the database at once: an
// entry with a manifest of 4 MiB has close to 6 MiB.
const journalPage = 8

// Bounds of the wait after a failure. It doubles from the first to the second.
const (
	minBackoff = 100 * time.Millisecond
	maxBackoff = 30 * time.Second
)

// A Journaler copies the entries of a database's outbox, in order, to objects
// beside the blobs, and has the database forget them. A crash between the two
// makes it write the same entries again, as do Journalers of several servers
// over one database; replaying an entry twice changes nothing. Its methods are
// safe for concurrent use.
type Journaler struct {
	db    meta.Outbox
	store blob.Objects
	opts  JournalOptions
	wake  chan struct{}
	turn  chan struct{} // whoever put the token in may write

	known atomic.Bool // CheckBehind has passed
}

// NewJournaler returns a Journaler for db that writes to store. It does nothing
// before Run or Flush.
func NewJournaler(db meta.Outbox, store blob.Objects, opts JournalOptions) *Journaler {
	opts.Delay = orDefault(opts.Delay, 500*time.Millisecond)
	opts.Poll = orDefault(opts.Poll, 500*time.Millisecond)
	opts.MaxEntries = orDefault(opts.MaxEntries, 4096)
	opts.MaxBytes = orDefault(opts.MaxBytes, 4<<20)
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	return &Journaler{
		db: db, store: store, opts: opts,
		wake: make(chan struct{}, 1), turn: make(chan struct{}, 1),
	}
}

func orDefault[T int | int64 | float64 | time.Duration](v, standard T) T {
	if v <= 0 {
		return standard
	}
	return v
}

// Notify says that there are new entries. It never blocks.
func (j *Journaler) Notify() {
	select {
	case j.wake <- struct{}{}:
	default:
	}
}

// Watch returns db with an Update that calls Notify once it has written.
func (j *Journaler) Watch(db meta.DB) meta.DB { return watched{DB: db, journal: j} }

type watched struct {
	meta.DB
	journal *Journaler
}

func (w watched) Update(ctx context.Context, fn func(context.Context, meta.Tx) error) error {
	err := w.DB.Update(ctx, fn)
	if err == nil || ctx.Err() != nil { // cancelled, it may have been written all the same
		w.journal.Notify()
	}
	return err
}

// Run journals until ctx ends, and returns nil then. It survives every failure
// of storage and database, waiting longer after each, except ErrBehind, which
// it returns at once. What is written while Run ends is for Flush.
func (j *Journaler) Run(ctx context.Context) error {
	poll := time.NewTicker(j.opts.Poll)
	defer poll.Stop()
	var failures int
	for {
		err := j.Flush(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, ErrBehind):
			return err
		case err != nil:
			j.failed(ctx, err, failures)
			failures++
			wait(ctx, backoff(failures))
			continue
		case failures > 0:
			j.opts.Log.LogAttrs(ctx, slog.LevelInfo, "journal is written again", slog.Int("failures", failures))
			failures = 0
		}
		select {
		case <-j.wake:
			wait(ctx, j.opts.Delay)
		case <-poll.C:
		case <-ctx.Done():
		}
	}
}

// failed logs the first failure of a row; the others say the same.
func (j *Journaler) failed(ctx context.Context, err error, failures int) {
	level := slog.LevelDebug
	if failures == 0 {
		level = slog.LevelWarn
	}
	j.opts.Log.LogAttrs(ctx, level, "journal is not written", slog.Any("err", err))
}

// backoff is between half and all of a wait that doubles with each failure.
func backoff(failures int) time.Duration {
	d := maxBackoff
	if failures < 10 {
		d = min(minBackoff<<(failures-1), maxBackoff)
	}
	return d/2 + rand.N(d/2)
}

// wait returns after d or when ctx ends.
func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// Flush journals the entries that are there when it begins. After an error
// those entries are still in the database.
func (j *Journaler) Flush(ctx context.Context) error {
	select {
	case j.turn <- struct{}{}:
		defer func() { <-j.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if !j.known.Load() {
		if err := CheckBehind(ctx, j.db, j.store); err != nil {
			return err
		}
		j.known.Store(true)
	}
	until, done, err := j.db.JournalSequence(ctx)
	if err != nil {
		return fmt.Errorf("read journal sequence: %w", err)
	}
	if done >= until {
		return nil
	}
	pages := &journalPages{db: j.db}
	for {
		more, err := j.writeObject(ctx, pages, until)
		if err != nil || !more {
			return err
		}
	}
}

// writeObject journals one batch of the entries that are not, and reports
// whether there may be more up to until.
//
// The database is asked twice for the last entry that is done. In between
// nobody else has had it forget entries, so the batch has all that follow.
func (j *Journaler) writeObject(ctx context.Context, pages *journalPages, until int64) (more bool, err error) {
	_, done, err := j.db.JournalSequence(ctx)
	if err != nil {
		return false, fmt.Errorf("read journal sequence: %w", err)
	}
	if done >= until {
		return false, nil
	}
	o, err := j.batch(ctx, pages, done)
	if err != nil {
		return false, err
	}
	_, again, err := j.db.JournalSequence(ctx)
	switch {
	case err != nil:
		return false, fmt.Errorf("read journal sequence: %w", err)
	case again != done:
		return true, nil // another server was faster
	case o.entries == 0:
		return false, nil // no entry has the numbers that remain
	}
	if err := o.frame.finish(); err != nil {
		return false, err
	}
	if err := j.store.PutObject(ctx, journalName(o.first, o.last), bytes.NewReader(o.buf.Bytes())); err != nil {
		return false, fmt.Errorf("write journal from %d to %d: %w", o.first, o.last, err)
	}
	if err := j.db.JournalDone(ctx, o.last); err != nil {
		return false, fmt.Errorf("mark journal written to %d: %w", o.last, err)
	}
	return true, nil
}

// batch makes an object of the entries after done.
func (j *Journaler) batch(ctx context.Context, pages *journalPages, done int64) (*journalObject, error) {
	if pages.last != done {
		pages.last, pages.page = done, nil
	}
	o, err := newJournalObject(done)
	if err != nil {
		return nil, err
	}
	for o.entries == 0 || o.entries < j.opts.MaxEntries && o.buf.Len() < j.opts.MaxBytes {
		e, ok, err := pages.next(ctx)
		if err != nil {
			return nil, err
		}
		if !ok {
			break
		}
		if err := o.add(e); err != nil {
			return nil, err
		}
	}
	return o, nil
}

// journalPages reads the outbox entry by entry.
type journalPages struct {
	db   meta.Outbox
	page []meta.Entry // what is left of the last page
	last int64        // the last entry given out
}

func (p *journalPages) next(ctx context.Context) (meta.Entry, bool, error) {
	if len(p.page) == 0 {
		page, err := p.db.JournalAfter(ctx, p.last, journalPage)
		if err != nil {
			return meta.Entry{}, false, fmt.Errorf("read journal after %d: %w", p.last, err)
		}
		if len(page) == 0 {
			return meta.Entry{}, false, nil
		}
		p.page = page
	}
	e := p.page[0]
	p.page[0] = meta.Entry{} // a large one need not wait for the page's end
	p.page = p.page[1:]
	p.last = e.Sequence
	return e, true, nil
}

// Lag is how far the journal is behind its database: what a loss of the
// database at this moment would lose.
type Lag struct {
	Written int64         // sequence of the last entry
	Done    int64         // sequence of the last entry that is journaled
	Oldest  time.Duration // age of the oldest entry that is not; zero for none
}

// Lag measures how far the journal is behind.
func (j *Journaler) Lag(ctx context.Context) (Lag, error) {
	written, done, err := j.db.JournalSequence(ctx)
	if err != nil {
		return Lag{}, fmt.Errorf("read journal sequence: %w", err)
	}
	lag := Lag{Written: written, Done: done}
	if done >= written {
		return lag, nil
	}
	oldest, err := j.db.JournalAfter(ctx, done, 1)
	if err != nil {
		return Lag{}, fmt.Errorf("read journal after %d: %w", done, err)
	}
	if len(oldest) > 0 {
		lag.Oldest = max(time.Since(oldest[0].Time), 0)
	}
	return lag, nil
}

// CheckBehind fails with ErrBehind if the store has journal entries or an
// intact snapshot from after db's last entry, as when the database was deleted
// or an old copy of it put back. Call it before the first write: what is
// written to such a database would share its sequences with what is lost.
func CheckBehind(ctx context.Context, db meta.Outbox, store blob.Objects) error {
	written, _, err := db.JournalSequence(ctx)
	if err != nil {
		return fmt.Errorf("read journal sequence: %w", err)
	}
	last, err := lastJournaled(ctx, store)
	if err != nil {
		return err
	}
	if last > written {
		return fmt.Errorf("%w: the database ends at entry %d, the journal at %d: run wreg rebuild", ErrBehind, written, last)
	}
	snapshots, err := listObjects(ctx, store, snapshotDir)
	if err != nil {
		return err
	}
	for _, o := range snapshots {
		if o.last <= written {
			continue
		}
		if _, err := verifySnapshot(ctx, store, o); err == nil {
			return fmt.Errorf("%w: the database ends at entry %d, %s is newer: run wreg rebuild", ErrBehind, written, o.name)
		} else if !errors.Is(err, ErrDamaged) {
			return err
		}
	}
	return nil
}

// lastJournaled is the last entry of the journal objects that are intact, zero
// if there is none. Damaged ones at the end are those before which a rebuild
// stops.
func lastJournaled(ctx context.Context, store blob.Objects) (int64, error) {
	objects, err := listObjects(ctx, store, journalDir)
	if err != nil {
		return 0, err
	}
	slices.SortStableFunc(objects, func(a, b namedObject) int { return cmp.Compare(b.last, a.last) })
	for _, o := range objects {
		_, err := readJournal(ctx, store, o, nil)
		switch {
		case err == nil:
			return o.last, nil
		case !errors.Is(err, ErrDamaged):
			return 0, err
		}
	}
	return 0, nil
}
