package jobs_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wreg-project/wreg/internal/testenv"
	"github.com/wreg-project/wreg/registry/jobs"
	"github.com/wreg-project/wreg/storage/meta"
	"github.com/wreg-project/wreg/storage/meta/postgres"
	"github.com/wreg-project/wreg/storage/meta/sqlite"
)

// queue is a database with a Runner over it.
type queue struct {
	testing.TB
	db     meta.DB
	runner *jobs.Runner
	stop   context.CancelFunc
	done   chan struct{}
}

func openSQLite(tb testing.TB) meta.DB {
	db, err := sqlite.Open(tb.Context(), filepath.Join(tb.TempDir(), "wreg.db"), sqlite.Options{Migrate: true})
	if err != nil {
		tb.Fatal(err)
	}
	return db
}

func openPostgres(tb testing.TB) meta.DB {
	db, err := postgres.Open(tb.Context(), testenv.Postgres(tb), postgres.Options{Migrate: true})
	if err != nil {
		tb.Fatal(err)
	}
	return db
}

func newQueue(tb testing.TB, db meta.DB, o jobs.Options) *queue {
	o.DB = db
	return &queue{TB: tb, db: db, runner: jobs.New(o)}
}

func (q *queue) start() {
	ctx, cancel := context.WithCancel(context.Background())
	q.stop, q.done = cancel, make(chan struct{})
	go func() {
		defer close(q.done)
		q.runner.Run(ctx)
	}()
}

func (q *queue) end() {
	q.stop()
	<-q.done
}

func (q *queue) close() {
	if err := q.db.Close(); err != nil {
		q.Errorf("Close() = %v", err)
	}
}

func (q *queue) update(db meta.DB, fn func(context.Context, meta.Tx) error) {
	q.Helper()
	if err := db.Update(context.Background(), fn); err != nil {
		q.Fatalf("Update() = %v", err)
	}
}

func (q *queue) enqueue(db meta.DB, kind string, keys ...string) {
	q.Helper()
	q.update(db, func(ctx context.Context, tx meta.Tx) error {
		for _, key := range keys {
			if _, err := tx.Enqueue(ctx, meta.NewJob{Kind: kind, Key: key, Due: time.Now()}); err != nil {
				return err
			}
		}
		return nil
	})
}

// only is the one job that there is.
func (q *queue) only() meta.Job {
	q.Helper()
	all, err := q.db.Jobs(context.Background(), meta.JobFilter{}, 0, 10)
	if err != nil || len(all) != 1 {
		q.Fatalf("Jobs() = %+v, %v; want one", all, err)
	}
	return all[0]
}

func (q *queue) none() {
	q.Helper()
	if all, err := q.db.Jobs(context.Background(), meta.JobFilter{}, 0, 10); err != nil || len(all) != 0 {
		q.Fatalf("Jobs() = %+v, %v; want none", all, err)
	}
}

var errBroken = errors.New("broken")

// keys collects what handlers were called with.
type keys struct {
	mu   sync.Mutex
	list []string
}

func (k *keys) add(j meta.Job) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.list = append(k.list, j.Key)
	return len(k.list)
}

func (k *keys) get() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return append([]string(nil), k.list...)
}

func TestJobsAreDoneOnceAndGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, openSQLite(t), jobs.Options{Workers: 1})
		defer q.close()
		var did keys
		q.runner.Handle("work", func(_ context.Context, j meta.Job) error { did.add(j); return nil })
		q.enqueue(q.db, "work", "a", "b", "a")
		q.enqueue(q.db, "other", "not ours")
		q.start()
		pause(time.Second)
		q.end()
		if diff := cmp.Diff([]string{"a", "b"}, did.get()); diff != "" {
			t.Errorf("handled (-want +got):\n%s", diff)
		}
		if j := q.only(); j.Key != "not ours" || j.Attempts != 0 {
			t.Errorf("left is %+v, want the job of another kind", j)
		}
		if got, want := q.runner.Counts()["work"], (jobs.Count{Done: 2}); got != want {
			t.Errorf("Counts() = %+v, want %+v", got, want)
		}
	})
}

func TestWhatThisProcessEnqueuesIsBegunAtOnce(t *testing.T) {
	tests := []struct {
		name    string
		watched bool
		most    time.Duration
	}{
		{"through the watched database", true, 0},
		{"by somebody else, at the next poll", false, time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := newQueue(t, openSQLite(t), jobs.Options{})
				defer q.close()
				db := q.db
				if tt.watched {
					db = q.runner.Watch(db)
				}
				begun := make(chan time.Time, 1)
				q.runner.Handle("work", func(context.Context, meta.Job) error { begun <- time.Now(); return nil })
				q.start()
				pause(300 * time.Millisecond) // between two polls
				at := time.Now()
				q.enqueue(db, "work", "a")
				if got := (<-begun).Sub(at); got > tt.most || !tt.watched && got == 0 {
					t.Errorf("begun after %s, want at most %s", got, tt.most)
				}
				q.end()
			})
		})
	}
}

func TestFailuresAreTriedAgainLaterAndLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, openSQLite(t), jobs.Options{MaxAttempts: 5, Backoff: time.Minute, MaxBackoff: 3 * time.Minute})
		defer q.close()
		var did keys
		q.runner.Handle("work", func(_ context.Context, j meta.Job) error {
			if did.add(j) < 5 {
				return fmt.Errorf("attempt %d: %w", j.Attempts, errBroken)
			}
			return nil
		})
		q.enqueue(q.db, "work", "a")
		q.start()
		most := []time.Duration{time.Minute, 2 * time.Minute, 3 * time.Minute, 3 * time.Minute}
		for i, limit := range most {
			for len(did.get()) < i+1 {
				pause(100 * time.Millisecond)
			}
			synctest.Wait()
			j := q.only()
			if j.State != meta.JobWaiting || j.Attempts != i+1 || j.Failure != fmt.Sprintf("attempt %d: broken", i+1) {
				t.Fatalf("after failure %d the job is %+v", i+1, j)
			}
			if wait := j.Due.Sub(j.Updated); wait <= 0 || wait > limit {
				t.Errorf("after failure %d it waits %s, want at most %s", i+1, wait, limit)
			}
		}
		pause(4 * time.Minute)
		q.none()
		q.end()
		if got, want := q.runner.Counts()["work"], (jobs.Count{Done: 1, Failed: 4}); got != want {
			t.Errorf("Counts() = %+v, want %+v", got, want)
		}
	})
}

func TestDeadLetters(t *testing.T) {
	tests := []struct {
		name     string
		fail     func() error
		attempts int
		reason   string
	}{
		{"a job that fails each time", func() error { return errBroken }, 3, "broken"},
		{"a job that panics each time", func() error { panic("too deep") }, 3, "panic: too deep"},
		{"an error that nothing would mend", func() error { return jobs.Permanent(errBroken) }, 1, "broken"},
		{"an endless reason", func() error { return errors.New(strings.Repeat("x", 5000)) }, 3, strings.Repeat("x", 2000) + "…"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := newQueue(t, openSQLite(t), jobs.Options{MaxAttempts: 3, Backoff: time.Millisecond})
				defer q.close()
				var mended atomic.Bool
				q.runner.Handle("work", func(context.Context, meta.Job) error {
					if mended.Load() {
						return nil
					}
					return tt.fail()
				})
				db := q.runner.Watch(q.db)
				q.enqueue(db, "work", "a")
				q.start()
				pause(time.Minute)
				j := q.only()
				if j.State != meta.JobDead || j.Attempts != tt.attempts || j.Failure != tt.reason {
					t.Fatalf("the job is %+v, want it dead after %d attempts because of %q", j, tt.attempts, tt.reason)
				}
				if got := q.runner.Counts()["work"]; got.Buried != 1 || got.Failed != int64(tt.attempts) {
					t.Errorf("Counts() = %+v, want %d failures and 1 buried", got, tt.attempts)
				}

				mended.Store(true)
				q.update(db, func(ctx context.Context, tx meta.Tx) error { return tx.ReviveJob(ctx, j.ID, time.Now()) })
				synctest.Wait()
				q.none()
				q.end()
			})
		})
	}
}

func TestAJobThatEndsItsServerIsBuriedWithoutRunning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, openSQLite(t), jobs.Options{MaxAttempts: 3})
		defer q.close()
		q.enqueue(q.db, "work", "a")
		for range 3 { // servers that die with it
			q.update(q.db, func(ctx context.Context, tx meta.Tx) error {
				now := time.Now()
				leased, err := tx.Lease(ctx, []string{"work"}, 1, "dead", now, now.Add(time.Second))
				if err == nil && len(leased) != 1 {
					err = fmt.Errorf("Lease() = %+v", leased)
				}
				return err
			})
			pause(2 * time.Second)
		}
		q.runner.Handle("work", func(context.Context, meta.Job) error { t.Error("it ran"); return nil })
		q.start()
		pause(time.Second)
		if j := q.only(); j.State != meta.JobDead || !strings.Contains(j.Failure, "no attempt came to an end") {
			t.Errorf("the job is %+v, want it dead", j)
		}
		q.end()
	})
}

func TestALeaseOutlivesItsServerByItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, openSQLite(t), jobs.Options{Lease: time.Minute})
		defer q.close()
		q.enqueue(q.db, "work", "a")
		began := time.Now()
		q.update(q.db, func(ctx context.Context, tx meta.Tx) error {
			_, err := tx.Lease(ctx, []string{"work"}, 1, "killed", began, began.Add(time.Minute))
			return err
		})
		took := make(chan time.Duration, 1)
		q.runner.Handle("work", func(context.Context, meta.Job) error { took <- time.Since(began); return nil })
		q.start()
		if got := <-took; got < time.Minute || got > time.Minute+time.Second {
			t.Errorf("taken over after %s, want a minute", got)
		}
		q.end()
		q.none()
	})
}

func TestAServerAloneTakesOverAtOnceWhatWasBegunOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, openSQLite(t), jobs.Options{Lease: time.Minute, Alone: true})
		defer q.close()
		q.enqueue(q.db, "work", "twice", "once")
		began := time.Now()
		lease := func(n int, until time.Time) {
			q.update(q.db, func(ctx context.Context, tx meta.Tx) error {
				_, err := tx.Lease(ctx, []string{"work"}, n, "killed", time.Now(), until)
				return err
			})
		}
		lease(1, began.Add(-time.Second)) // has run out
		lease(2, began.Add(time.Minute))
		took := make(chan string, 2)
		q.runner.Handle("work", func(_ context.Context, j meta.Job) error {
			took <- fmt.Sprintf("%s after %s", j.Key, time.Since(began).Truncate(time.Minute))
			return nil
		})
		q.start()
		for _, want := range []string{"once after 0s", "twice after 1m0s"} {
			if got := <-took; got != want {
				t.Errorf("taken over: %s, want %s", got, want)
			}
		}
		q.end()
		q.none()
	})
}

func TestALongJobKeepsItsLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, openSQLite(t), jobs.Options{Lease: 30 * time.Second})
		defer q.close()
		other := jobs.New(jobs.Options{DB: q.db, Lease: 30 * time.Second})
		var runs atomic.Int32
		handler := func(context.Context, meta.Job) error {
			runs.Add(1)
			pause(5 * time.Minute)
			return nil
		}
		q.runner.Handle("work", handler)
		other.Handle("work", handler)
		q.enqueue(q.db, "work", "a")
		q.start()
		ctx, cancel := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		wg.Go(func() { other.Run(ctx) })
		pause(6 * time.Minute)
		q.end()
		cancel()
		wg.Wait()
		if got := runs.Load(); got != 1 {
			t.Errorf("it ran %d times, want once", got)
		}
		q.none()
	})
}

func TestALostLeaseStopsTheHandlerAndChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, openSQLite(t), jobs.Options{Lease: 30 * time.Second})
		defer q.close()
		stopped := make(chan struct{})
		q.runner.Handle("work", func(ctx context.Context, _ meta.Job) error {
			<-ctx.Done()
			close(stopped)
			return nil
		})
		q.enqueue(q.db, "work", "a")
		q.start()
		pause(time.Second)
		q.update(q.db, func(ctx context.Context, tx meta.Tx) error { // as if our clock had stood still
			later := time.Now().Add(time.Minute)
			leased, err := tx.Lease(ctx, []string{"work"}, 1, "other", later, later.Add(time.Hour))
			if err == nil && len(leased) != 1 {
				err = fmt.Errorf("Lease() = %+v", leased)
			}
			return err
		})
		<-stopped
		q.end()
		if j := q.only(); j.Holder != "other" || j.State != meta.JobLeased {
			t.Errorf("the job is %+v, want it leased by the other", j)
		}
	})
}

func TestWhatIsEnqueuedWhileItRunsIsDoneOnceMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, openSQLite(t), jobs.Options{})
		defer q.close()
		var did keys
		q.runner.Handle("work", func(_ context.Context, j meta.Job) error {
			did.add(j)
			pause(10 * time.Second)
			return nil
		})
		q.enqueue(q.db, "work", "a")
		q.start()
		pause(5 * time.Second)
		q.enqueue(q.db, "work", "a")
		pause(30 * time.Second)
		q.end()
		if got := did.get(); len(got) != 2 {
			t.Errorf("handled %v, want it twice", got)
		}
		q.none()
	})
}

func TestIdleWorkWaitsForUrgentWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, openSQLite(t), jobs.Options{Workers: 1})
		defer q.close()
		var did keys
		handler := func(_ context.Context, j meta.Job) error { did.add(j); return nil }
		q.runner.HandleIdle("sweep", handler)
		q.runner.Handle("work", handler)
		q.enqueue(q.db, "sweep", "old")
		pause(time.Second)
		q.enqueue(q.db, "work", "a", "b")
		q.start()
		pause(time.Second)
		q.end()
		if diff := cmp.Diff([]string{"a", "b", "old"}, did.get()); diff != "" {
			t.Errorf("handled (-want +got):\n%s", diff)
		}
	})
}

func TestStopping(t *testing.T) {
	tests := []struct {
		name  string
		takes time.Duration
		left  bool
	}{
		{"lets a job finish that needs less than the grace", 5 * time.Second, false},
		{"gives a job back at once that needs more", time.Hour, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := newQueue(t, openSQLite(t), jobs.Options{Workers: 1, MaxAttempts: 1, Grace: 10 * time.Second})
				defer q.close()
				q.runner.Handle("work", func(ctx context.Context, _ meta.Job) error {
					select {
					case <-time.After(tt.takes):
						return nil
					case <-ctx.Done():
						return ctx.Err()
					}
				})
				q.enqueue(q.db, "work", "a")
				q.start()
				pause(time.Second)
				asked := time.Now()
				q.end()
				if took := time.Since(asked); took > 10*time.Second {
					t.Errorf("Run returned %s after it was asked to, want at most the grace", took)
				}
				if !tt.left {
					q.none()
					return
				}
				if j := q.only(); j.State != meta.JobWaiting || j.Due.After(time.Now()) {
					t.Errorf("the job is %+v, want it due", j)
				}
			})
		})
	}
}

// A thousand jobs take less than five seconds, or on a machine that is busy with
// something else, no longer than it takes to enqueue them one by one, five times
// over.
func TestAThousandJobsTakeLessThanFiveSeconds(t *testing.T) {
	for name, open := range map[string]func(testing.TB) meta.DB{"on SQLite": openSQLite, "on PostgreSQL": openPostgres} {
		t.Run(name, func(t *testing.T) {
			q := newQueue(t, open(t), jobs.Options{})
			defer q.close()
			const n = 1000
			var did atomic.Int32
			all := make(chan struct{})
			q.runner.Handle("work", func(context.Context, meta.Job) error {
				if did.Add(1) == n {
					close(all)
				}
				return nil
			})
			began := time.Now()
			for i := range n {
				q.enqueue(q.db, "work", fmt.Sprint(i))
			}
			most := max(5*time.Second, 5*time.Since(began))
			began = time.Now()
			q.start()
			<-all
			took := time.Since(began)
			q.end()
			q.none()
			t.Logf("%d jobs took %s", n, took)
			if took > most {
				t.Errorf("%d jobs took %s, want at most %s", n, took, most)
			}
		})
	}
}

// pause lets the time of a synctest bubble pass.
func pause(d time.Duration) { <-time.After(d) }
