package gc

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wreg-project/wreg/internal/testenv"
	"github.com/wreg-project/wreg/storage/blob"
	"github.com/wreg-project/wreg/storage/blob/mem"
	"github.com/wreg-project/wreg/storage/meta"
)

// outbox is a meta.Outbox without a database, for tests with a clock of their
// own.
type outbox struct {
	mu            sync.Mutex
	entries       []meta.Entry
	written, done int64
	queries       int
}

func (o *outbox) write() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.written++
	o.entries = append(o.entries, meta.Entry{Sequence: o.written, Time: time.Now(), Records: json.RawMessage(`[]`)})
}

func (o *outbox) JournalAfter(_ context.Context, seq int64, limit int) ([]meta.Entry, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.queries++
	var page []meta.Entry
	for _, e := range o.entries {
		if e.Sequence > seq && len(page) < limit {
			page = append(page, e)
		}
	}
	return page, nil
}

func (o *outbox) JournalDone(_ context.Context, seq int64) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.done = seq
	o.entries = slices.DeleteFunc(o.entries, func(e meta.Entry) bool { return e.Sequence <= seq })
	return nil
}

func (o *outbox) JournalSequence(context.Context) (written, done int64, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.queries++
	return o.written, o.done, nil
}

func (o *outbox) Replay(context.Context, meta.Entry) error { return errors.New("not a database") }

// start runs j until the test stops it; the error is Run's.
func run(ctx context.Context, j *Journaler) (stop func() error) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- j.Run(ctx) }()
	return func() error {
		cancel()
		return <-ended
	}
}

func TestJournalLagIsUnderASecond(t *testing.T) {
	tests := []struct {
		name   string
		notify bool
	}{
		{"when it is notified", true},
		{"when nobody notifies it", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				db := &outbox{}
				j := NewJournaler(db, mem.New(), JournalOptions{})
				stop := run(t.Context(), j)
				for i := range 50 {
					wait(t.Context(), time.Duration(i*37)*time.Millisecond)
					db.write()
					if tt.notify {
						j.Notify()
					}
					lag, err := j.Lag(t.Context())
					if err != nil || lag.Oldest > time.Second {
						t.Errorf("Lag() = %+v, %v; want at most a second", lag, err)
					}
				}
				wait(t.Context(), time.Second)
				if lag, err := j.Lag(t.Context()); err != nil || lag != (Lag{Written: 50, Done: 50}) {
					t.Errorf("Lag() after a second = %+v, %v; want none", lag, err)
				}
				if err := stop(); err != nil {
					t.Errorf("Run() = %v, want nil", err)
				}
			})
		})
	}
}

func TestLagTellsTheAgeOfTheOldestEntry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := &outbox{}
		j := NewJournaler(db, mem.New(), JournalOptions{})
		db.write()
		wait(t.Context(), 3*time.Second)
		db.write()
		want := Lag{Written: 2, Oldest: 3 * time.Second}
		if got, err := j.Lag(t.Context()); err != nil || got != want {
			t.Errorf("Lag() = %+v, %v; want %+v", got, err, want)
		}
	})
}

func TestIdleJournalerOnlyPolls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := &outbox{}
		store := faultyStore{mem.New(), &fault{}}
		j := NewJournaler(db, store, JournalOptions{})
		stop := run(t.Context(), j)
		wait(t.Context(), time.Minute)
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		if db.queries > 125 {
			t.Errorf("idle for a minute, Run asked the database %d times, want about two a second", db.queries)
		}
		if store.calls > 2 {
			t.Errorf("idle for a minute, Run called the store %d times, want 2 at its start", store.calls)
		}
	})
}

// countingStore counts attempts to write and fails while it is told to.
type countingStore struct {
	*mem.Store
	mu       sync.Mutex
	failing  bool
	attempts int
}

func (s *countingStore) fail(failing bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failing = failing
}

func (s *countingStore) puts() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.attempts
}

func (s *countingStore) ListObjects(ctx context.Context, dir string, yield func(string, int64) error) error {
	s.mu.Lock()
	s.attempts++
	failing := s.failing
	s.mu.Unlock()
	if failing {
		return errFault
	}
	return s.Store.ListObjects(ctx, dir, yield)
}

func TestFailingStorageIsTriedAgainSlowerAndLogsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		db := &outbox{}
		store := &countingStore{Store: mem.New(), failing: true}
		j := NewJournaler(db, store, JournalOptions{Log: slog.New(slog.NewTextHandler(&log, nil))})
		stop := run(t.Context(), j)
		for range 600 {
			db.write()
			j.Notify()
			wait(t.Context(), time.Second)
		}
		synctest.Wait()
		if n := store.puts(); n < 15 || n > 60 {
			t.Errorf("in 10 minutes Run tried %d times, want about once in half a minute", n)
		}
		if n := strings.Count(log.String(), "level=WARN"); n != 1 {
			t.Errorf("Run logged %d warnings, want 1:\n%s", n, log.String())
		}
		store.fail(false)
		wait(t.Context(), maxBackoff+time.Second)
		synctest.Wait()
		if lag, err := j.Lag(t.Context()); err != nil || lag.Done != 600 {
			t.Errorf("Lag() after the storage came back = %+v, %v; want all 600 done", lag, err)
		}
		if n := strings.Count(log.String(), "level=INFO"); n != 1 {
			t.Errorf("Run logged its recovery %d times, want once:\n%s", n, log.String())
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestNotifyNeverBlocks(t *testing.T) {
	j := NewJournaler(&outbox{}, mem.New(), JournalOptions{})
	for range 1000 {
		j.Notify()
	}
}

func TestFlushHonoursItsContextWhileAnotherFlushRuns(t *testing.T) {
	j := NewJournaler(&outbox{}, mem.New(), JournalOptions{})
	j.turn <- struct{}{}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := j.Flush(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Flush() = %v, want %v", err, context.Canceled)
	}
}

func TestJournalObjectsAreBounded(t *testing.T) {
	tests := []struct {
		name    string
		opts    JournalOptions
		objects []int64 // their first entries
	}{
		{"by nothing in reach", JournalOptions{}, []int64{1}},
		{"by entries", JournalOptions{MaxEntries: 10}, []int64{1, 11, 21}},
		{"by bytes", JournalOptions{MaxBytes: 700}, []int64{1, 13, 25}},
		{"by an entry that is larger", JournalOptions{MaxBytes: 1}, sequences(1, 25)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			db := &outbox{}
			for range 25 {
				db.write()
			}
			for i := range db.entries {
				db.entries[i].Time = start
			}
			w := &world{t: t, store: mem.New()}
			if err := NewJournaler(db, w.store, tt.opts).Flush(t.Context()); err != nil {
				t.Fatalf("Flush() = %v", err)
			}
			var want []string
			for i, first := range tt.objects {
				last := int64(25)
				if i+1 < len(tt.objects) {
					last = tt.objects[i+1] - 1
				}
				want = append(want, fmt.Sprintf("journal/%020d-%020d", first, last))
			}
			if got := w.objects(journalDir); !slices.Equal(got, want) {
				t.Errorf("Flush() wrote %v, want %v", got, want)
			}
			if got := w.entries(); !slices.Equal(got, sequences(1, 25)) {
				t.Errorf("journal has entries %v, want 1 to 25", got)
			}
		})
	}
}

// What is written at the same time as the journal is in it once, in order.
func TestConcurrentWritersAreJournaledInOrder(t *testing.T) {
	const writers, each = 8, 20
	w := newWorld(t)
	j := w.journaler(JournalOptions{Delay: time.Millisecond, Poll: time.Millisecond, MaxEntries: 7})
	db := j.Watch(w.db)
	stop := run(t.Context(), j)
	var group sync.WaitGroup
	for i := range writers {
		group.Go(func() {
			for n := range each {
				m := manifestJSON{Name: fmt.Sprintf("%d of %d", n, i)}.make("team/app", start)
				err := db.Update(t.Context(), func(ctx context.Context, tx meta.Tx) error {
					if _, err := tx.PutManifest(ctx, m); err != nil {
						return err
					}
					return tx.PutTag(ctx, "team/app", fmt.Sprintf("t%d", i), m.Digest, start)
				})
				if err != nil {
					t.Errorf("Update() = %v", err)
				}
			}
		})
	}
	group.Wait()
	if err := stop(); err != nil {
		t.Fatalf("Run() = %v", err)
	}
	if err := j.Flush(t.Context()); err != nil {
		t.Fatalf("Flush() = %v", err)
	}
	if got, want := w.entries(), sequences(1, writers*each); !slices.Equal(got, want) {
		t.Errorf("journal has entries %v, want %v", got, want)
	}
	again, _, _, err := w.rebuilt(RebuildOptions{})
	if err != nil {
		t.Fatalf("Rebuild() = %v", err)
	}
	wantSameDump(t, dump(t, again.db), dump(t, w.db))
}

// Several servers may journal one database, in any interleaving.
func TestJournalersOfTwoServersLoseNothing(t *testing.T) {
	dsn := testenv.Postgres(t)
	w := newWorldOn(t, func(t testing.TB) meta.DB { return openPostgres(t, dsn) })
	w.empty = newPostgres
	var stops []func() error
	for i, db := range []meta.DB{w.db, openPostgres(t, dsn)} {
		j := NewJournaler(db, w.store, JournalOptions{Delay: time.Nanosecond, Poll: time.Millisecond, MaxEntries: 3 + i})
		stops = append(stops, run(t.Context(), j))
	}
	for i := range 100 {
		w.put("repo", manifestJSON{Name: fmt.Sprint(i), tag: "latest"})
	}
	for _, stop := range stops {
		if err := stop(); err != nil {
			t.Errorf("Run() = %v", err)
		}
	}
	w.flush()
	again, got, findings, err := w.rebuilt(RebuildOptions{})
	if err != nil || len(findings) > 0 || got.Sequence != 100 {
		t.Fatalf("Rebuild() = %+v, %v with %v, want all 100 entries", got, err, findings)
	}
	wantSameDump(t, dump(t, again.db), dump(t, w.db))
	w.wantSound()
}

// meanwhile lets another journaler work while the first has read a batch.
type meanwhile struct {
	meta.DB
	do func()
}

func (d meanwhile) JournalAfter(ctx context.Context, seq int64, limit int) ([]meta.Entry, error) {
	page, err := d.DB.JournalAfter(ctx, seq, limit)
	d.do()
	return page, err
}

func TestASlowerJournalerWritesNothingTwice(t *testing.T) {
	w := newWorld(t)
	w.populate()
	db := meanwhile{w.db, func() {
		if _, done, err := w.db.JournalSequence(t.Context()); err != nil || done > 0 {
			return
		}
		w.push("repo", "tag", "more")
		w.flush()
	}}
	if err := NewJournaler(db, w.store, JournalOptions{}).Flush(t.Context()); err != nil {
		t.Fatalf("Flush() = %v", err)
	}
	if got, want := w.entries(), sequences(1, 17); !slices.Equal(got, want) {
		t.Errorf("journal has entries %v, want %v", got, want)
	}
}

// At whichever call a process that journals is killed, the next one completes
// the journal.
func TestJournalSurvivesAKillAtEveryCall(t *testing.T) {
	for _, late := range []bool{false, true} {
		for at := 1; ; at++ {
			w := newWorld(t)
			w.populate()
			f := &fault{at: at, late: late}
			err := NewJournaler(faultyDB{w.db, f}, faultyStore{w.store, f}, JournalOptions{MaxEntries: 4}).Flush(t.Context())
			if !f.fired() {
				if err != nil || at < 10 {
					t.Fatalf("Flush() without a fault = %v after %d calls", err, at)
				}
				break
			}
			w.push("team/app", "next", "after the kill")
			w.flush()
			again, got, findings, err := w.rebuilt(RebuildOptions{})
			if err != nil || len(findings) > 0 {
				t.Fatalf("killed at call %d (late %t), Rebuild() = %+v, %v with %v", at, late, got, err, findings)
			}
			wantSameDump(t, dump(t, again.db), dump(t, w.db))
		}
	}
}

func TestNewDatabaseCannotOverwriteTheJournal(t *testing.T) {
	tests := []struct {
		name    string
		history func(w *world)
	}{
		{"of a journal", func(w *world) { w.flush() }},
		{"of a snapshot", func(w *world) { w.snapshot() }},
		{"whose last object is damaged", func(w *world) {
			names := w.journalOneByOne()
			w.truncate(names[len(names)-1])
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.populate()
			tt.history(w)
			before := w.readAll()

			other := newWorld(t)
			other.store = w.store
			other.push("another", "history", "layer")
			calls := map[string]func() error{
				"Run":     func() error { return other.journaler(JournalOptions{}).Run(t.Context()) },
				"Flush":   func() error { return other.journaler(JournalOptions{}).Flush(t.Context()) },
				"Repair":  func() error { _, err := Repair(t.Context(), other.db, w.store); return err },
				"Collect": func() error { _, err := Collect(t.Context(), other.db, w.store, CollectOptions{}); return err },
			}
			for name, call := range calls {
				if err := call(); !errors.Is(err, ErrBehind) {
					t.Errorf("%s with another database = %v, want %v", name, err, ErrBehind)
				}
			}
			if after := w.readAll(); !slices.Equal(after, before) {
				t.Error("the objects have changed")
			}
		})
	}
}

// readAll gives the names and contents of all objects.
func (w *world) readAll() []string {
	w.t.Helper()
	var all []string
	for _, dir := range []string{journalDir, snapshotDir} {
		for _, name := range w.objects(dir) {
			all = append(all, name, string(w.readObject(name)))
		}
	}
	return all
}

func TestWatchNotifiesAfterAnUpdate(t *testing.T) {
	w := newWorld(t)
	j := w.journaler(JournalOptions{})
	db := j.Watch(w.db)
	err := db.Update(t.Context(), func(context.Context, meta.Tx) error { return errFault })
	if !errors.Is(err, errFault) || len(j.wake) != 0 {
		t.Errorf("Update() that fails = %v and notifies %d times, want %v and none", err, len(j.wake), errFault)
	}
	err = db.Update(t.Context(), func(ctx context.Context, tx meta.Tx) error {
		return tx.LinkBlob(ctx, "repo", meta.Blob{Digest: blob.Key{}.Digest, Since: start})
	})
	if err != nil || len(j.wake) != 1 {
		t.Errorf("Update() = %v and notifies %d times, want once", err, len(j.wake))
	}
}
