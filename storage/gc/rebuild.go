package gc

import (
	"context"
	"errors"
	"fmt"

	"github.com/wreg-project/wreg/storage/blob"
	"github.com/wreg-project/wreg/storage/meta"
)

// RebuildOptions are the settings of [Rebuild].
type RebuildOptions struct {
	// AllowGap goes on where journal entries are missing, and leaves out later
	// entries that cannot be applied without them.
	AllowGap bool
	// CheckBlobs looks for the bytes of every live blob afterwards.
	CheckBlobs bool
	// Report hears of everything that is not as it should be. Nil means nobody.
	Report func(Finding)
}

// A Rebuilt says what [Rebuild] did.
type Rebuilt struct {
	Snapshot        string `json:"snapshot,omitempty"` // the object loaded
	SnapshotEntries int64  `json:"snapshotSequence"`   // the last entry it includes
	Objects         int    `json:"journalObjects"`     // read
	Entries         int    `json:"journalEntries"`     // replayed
	Sequence        int64  `json:"sequence"`           // the last entry of the database now
	Gaps            []Gap  `json:"gaps,omitempty"`
	Skipped         int    `json:"skippedEntries"` // behind a gap, not applicable
	Blobs           int    `json:"blobs"`          // live ones, counted if checked
	MissingBlobs    int    `json:"missingBlobs"`
}

// A Gap is a range of missing journal entries.
type Gap struct {
	From int64 `json:"from"`         // the first one missing
	To   int64 `json:"to,omitempty"` // the last one missing; zero if that is not known, at the end
}

func (g Gap) String() string {
	switch g.To {
	case 0:
		return fmt.Sprintf("entries from %d on", g.From)
	case g.From:
		return fmt.Sprintf("entry %d", g.From)
	}
	return fmt.Sprintf("entries %d to %d", g.From, g.To)
}

// Rebuild fills the empty database db from the newest intact snapshot in store
// and the journal after it.
//
// A damaged object at the end of the journal is reported and ends the replay
// before it; it is moved below "damaged/". Entries missing before that are ErrGap, unless opts.AllowGap is
// set. A store without journal and snapshot is ErrNothing, a database with rows
// meta.ErrNotEmpty. After an error the database is not to be used.
func Rebuild(ctx context.Context, store blob.Store, db meta.DB, opts RebuildOptions) (Rebuilt, error) {
	if opts.Report == nil {
		opts.Report = func(Finding) {}
	}
	r := &rebuilder{store: store, db: db, opts: opts}
	if err := r.run(ctx); err != nil {
		return r.result, fmt.Errorf("rebuild: %w", err)
	}
	return r.result, nil
}

type rebuilder struct {
	store  blob.Store
	db     meta.DB
	opts   RebuildOptions
	result Rebuilt
	faulty []namedObject // whose entries are lost
}

func (r *rebuilder) run(ctx context.Context) error {
	if err := isEmpty(ctx, r.db); err != nil {
		return err
	}
	snapshots, err := listObjects(ctx, r.store, snapshotDir)
	if err != nil {
		return err
	}
	journal, err := listObjects(ctx, r.store, journalDir)
	if err != nil {
		return err
	}
	if len(snapshots) == 0 && len(journal) == 0 {
		return ErrNothing
	}
	if err := r.load(ctx, snapshots); err != nil {
		return err
	}
	if err := walkJournal(ctx, r.store, journal, r.result.Sequence, r); err != nil {
		return err
	}
	if err := r.setAside(ctx); err != nil {
		return err
	}
	// All of it is journaled already. The next object says that it follows.
	if err := r.db.JournalDone(ctx, r.result.Sequence); err != nil {
		return fmt.Errorf("mark journal written to %d: %w", r.result.Sequence, err)
	}
	if !r.opts.CheckBlobs {
		return nil
	}
	return r.checkBlobs(ctx)
}

// setAside moves damaged objects out of the journal, which goes on where it
// could be read: the next entries have the numbers of those lost.
func (r *rebuilder) setAside(ctx context.Context) error {
	for _, o := range r.faulty {
		if err := move(ctx, r.store, o.name, damagedDir+"/"+o.name); err != nil {
			return fmt.Errorf("set %s aside: %w", o.name, err)
		}
	}
	return nil
}

func move(ctx context.Context, store blob.Objects, from, to string) error {
	in, err := store.OpenObject(ctx, from)
	if err != nil {
		return err
	}
	defer in.Close()
	if err := store.PutObject(ctx, to, in); err != nil {
		return err
	}
	return store.DeleteObject(ctx, from)
}

func isEmpty(ctx context.Context, db meta.DB) error {
	written, _, err := db.JournalSequence(ctx)
	if err != nil {
		return fmt.Errorf("read journal sequence: %w", err)
	}
	if written != 0 {
		return fmt.Errorf("%w: its journal ends at entry %d", meta.ErrNotEmpty, written)
	}
	return nil
}

// load fills the database from the newest intact snapshot, if there is one.
func (r *rebuilder) load(ctx context.Context, snapshots []namedObject) error {
	o, err := newestIntact(ctx, r.store, snapshots, r.opts.Report)
	if err != nil || o.name == "" {
		return err
	}
	dump, closer, err := openSnapshot(ctx, r.store, o)
	if err != nil {
		return err
	}
	defer closer.Close()
	h, err := r.db.Load(ctx, dump)
	if err != nil {
		return fmt.Errorf("load %s: %w", o.name, err)
	}
	r.result.Snapshot = o.name
	r.result.SnapshotEntries = h.Sequence
	r.result.Sequence = h.Sequence
	return nil
}

// newestIntact reports the damaged snapshots above the one it returns, which
// has no name if all are damaged.
func newestIntact(
	ctx context.Context, store blob.Objects, snapshots []namedObject, report func(Finding),
) (namedObject, error) {
	for i := len(snapshots) - 1; i >= 0; i-- {
		_, err := verifySnapshot(ctx, store, snapshots[i])
		switch {
		case err == nil:
			return snapshots[i], nil
		case !errors.Is(err, ErrDamaged):
			return namedObject{}, err
		}
		report(Finding{Severity: SeverityError, Kind: KindSnapshot, Object: snapshots[i].name, Message: err.Error()})
	}
	return namedObject{}, nil
}

// A journalVisitor is told what walkJournal meets.
type journalVisitor interface {
	// intact is called for each readable object that has entries to come, in
	// order.
	intact(ctx context.Context, o namedObject) error
	// damaged is called for each object that cannot be read. Superseded ones
	// hold nothing that is not in other objects.
	damaged(o namedObject, cause error, superseded bool)
	// gap is called where entries are missing, after damaged for those objects
	// at the place that should hold them.
	gap(g Gap, faulty []namedObject) error
}

// walkJournal follows the journal from the first entry after seq on. It is the
// one place that knows how objects follow each other: by what their headers
// say, and overlapping where one was written twice.
func walkJournal(ctx context.Context, store blob.Objects, journal []namedObject, seq int64, v journalVisitor) error {
	type broken struct {
		namedObject
		cause error
	}
	var open []broken // of which it is not known yet whether they are missed
	settle := func(superseded bool) (faulty []namedObject) {
		for _, b := range open {
			v.damaged(b.namedObject, b.cause, superseded || b.last <= seq)
			faulty = append(faulty, b.namedObject)
		}
		open = nil
		return faulty
	}
	for _, o := range journal {
		if o.last <= seq {
			continue
		}
		s, err := readJournal(ctx, store, o, nil)
		if errors.Is(err, ErrDamaged) {
			open = append(open, broken{o, err})
			continue
		}
		if err != nil {
			return err
		}
		faulty := settle(s.after <= seq)
		if s.after > seq {
			if err := v.gap(Gap{From: seq + 1, To: s.after}, faulty); err != nil {
				return err
			}
		}
		if err := v.intact(ctx, o); err != nil {
			return err
		}
		seq = o.last
	}
	if faulty := settle(false); len(faulty) > 0 {
		return v.gap(Gap{From: seq + 1}, faulty)
	}
	return nil
}

func (r *rebuilder) intact(ctx context.Context, o namedObject) error {
	_, err := readJournal(ctx, r.store, o, func(e meta.Entry) error {
		if e.Sequence <= r.result.Sequence {
			return nil
		}
		return r.replay(ctx, e)
	})
	r.result.Objects++
	return err
}

func (r *rebuilder) replay(ctx context.Context, e meta.Entry) error {
	err := r.db.Replay(ctx, e)
	switch {
	case err == nil:
		r.result.Entries++
		r.result.Sequence = e.Sequence
		return nil
	case len(r.result.Gaps) > 0 && needsAnother(err):
		r.result.Skipped++
		r.opts.Report(Finding{
			Severity: SeverityError, Kind: KindJournal,
			Message: fmt.Sprintf("entry %d left out, it needs one that is missing: %v", e.Sequence, err),
		})
		return nil
	}
	return fmt.Errorf("replay entry %d: %w", e.Sequence, err)
}

// needsAnother reports whether an entry failed for the lack of a row.
func needsAnother(err error) bool {
	for _, target := range []error{
		meta.ErrNotFound, meta.ErrRepository, meta.ErrPinned, meta.ErrGeneration, meta.ErrConflict,
	} {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}

func (r *rebuilder) damaged(o namedObject, cause error, superseded bool) {
	f := Finding{Severity: SeverityError, Kind: KindJournal, Object: o.name, Message: cause.Error()}
	if superseded {
		f.Severity = SeverityWarning
	}
	r.opts.Report(f)
}

func (r *rebuilder) gap(g Gap, faulty []namedObject) error {
	r.result.Gaps = append(r.result.Gaps, g)
	r.faulty = append(r.faulty, faulty...)
	f := Finding{Severity: SeverityError, Kind: KindJournal, Message: g.String() + " are missing from the journal"}
	if len(faulty) > 0 {
		f.Object = faulty[0].name
	}
	r.opts.Report(f)
	if r.opts.AllowGap || g.To == 0 {
		return nil
	}
	return fmt.Errorf("%w: %s", ErrGap, g)
}

// checkBlobs reports live blobs without their bytes.
func (r *rebuilder) checkBlobs(ctx context.Context) error {
	return r.db.AllBlobs(ctx, func(b meta.Blob) error {
		if b.State != meta.BlobLive {
			return nil
		}
		r.result.Blobs++
		f, err := checkBytes(ctx, r.store, b)
		if err != nil {
			return err
		}
		if f != nil {
			r.result.MissingBlobs++
			r.opts.Report(*f)
		}
		return nil
	})
}
