package metatest

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wreg-project/wreg/storage/meta"
)

// benchJobs is how many jobs wait during the benchmarks: as many as versions
// that a registry may hold, all of which are inspected again after an upgrade.
const benchJobs = 1_000_000

// BenchmarkJobs measures the queue, empty and with 1,000,000 jobs that wait.
// open makes one empty database.
func BenchmarkJobs(b *testing.B, open func(b *testing.B) meta.DB) {
	db := open(b)
	b.Cleanup(func() {
		if err := db.Close(); err != nil {
			b.Errorf("Close() = %v", err)
		}
	})
	run := func(name string, f func(b *testing.B)) {
		b.Run(name, func(b *testing.B) {
			defer measureCPU(b)()
			f(b)
		})
	}
	run("1,000 jobs enqueued, leased and finished", func(b *testing.B) {
		for b.Loop() {
			thousandJobs(b, db)
		}
	})
	fillJobs(b, db)
	run("Enqueue among 1,000,000", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			benchUpdate(b, db, func(ctx context.Context, tx meta.Tx) error {
				_, err := tx.Enqueue(ctx, benchJob(fmt.Sprint("one more ", i), i))
				return err
			})
		}
	})
	run("Lease and FinishJob among 1,000,000", func(b *testing.B) {
		for b.Loop() {
			benchUpdate(b, db, func(ctx context.Context, tx meta.Tx) error {
				jobs, err := tx.Lease(ctx, []string{"ingest", "other"}, 1, "h", at(benchJobs), at(benchJobs+60))
				if err != nil || len(jobs) != 1 {
					return fmt.Errorf("leased %d: %w", len(jobs), err)
				}
				return tx.FinishJob(ctx, jobs[0].ID, "h", at(benchJobs))
			})
		}
	})
	run("JobCounts of 1,000,000", func(b *testing.B) {
		for b.Loop() {
			if _, err := db.JobCounts(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	})
	run("Jobs, the dead among 1,000,000", func(b *testing.B) {
		for b.Loop() {
			if _, err := db.Jobs(b.Context(), meta.JobFilter{States: []meta.JobState{meta.JobDead}}, 0, 100); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func benchJob(key string, due int) meta.NewJob {
	return meta.NewJob{Kind: "ingest", Key: "team/app@" + key, Repo: "team/app", Due: at(due)}
}

func benchUpdate(b *testing.B, db meta.DB, fn func(context.Context, meta.Tx) error) {
	if err := db.Update(b.Context(), fn); err != nil {
		b.Fatal(err)
	}
}

// thousandJobs passes jobs through the queue as a server does: each is enqueued
// in an update of its own, and eight workers finish one in the update that
// leases the next.
func thousandJobs(b *testing.B, db meta.DB) {
	const n, workers = 1000, 8
	each := func(work func(worker int) error) {
		var wg sync.WaitGroup
		for w := range workers {
			wg.Go(func() {
				if err := work(w); err != nil {
					b.Error(err)
				}
			})
		}
		wg.Wait()
	}
	var enqueued, finished atomic.Int64
	each(func(int) error {
		for i := enqueued.Add(1); i <= n; i = enqueued.Add(1) {
			err := db.Update(b.Context(), func(ctx context.Context, tx meta.Tx) error {
				_, err := tx.Enqueue(ctx, benchJob(fmt.Sprint(i), int(i)))
				return err
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	each(func(w int) error {
		holder, now := fmt.Sprint("worker ", w), at(n)
		var has []meta.Job
		for first := true; first || len(has) > 0; first = false {
			var next []meta.Job
			err := db.Update(b.Context(), func(ctx context.Context, tx meta.Tx) (err error) {
				for _, j := range has {
					if err := tx.FinishJob(ctx, j.ID, holder, now); err != nil {
						return err
					}
				}
				next, err = tx.Lease(ctx, []string{"ingest"}, 1, holder, now, now.Add(time.Minute))
				return err
			})
			if err != nil {
				return err
			}
			finished.Add(int64(len(has)))
			has = next
		}
		return nil
	})
	if finished.Load() != n {
		b.Fatalf("%d jobs were finished, want %d", finished.Load(), n)
	}
}

func fillJobs(b *testing.B, db meta.DB) {
	for from := 0; from < benchJobs; from += 10_000 {
		benchUpdate(b, db, func(ctx context.Context, tx meta.Tx) error {
			for i := from; i < from+10_000; i++ {
				// The order of keys is not that of due times.
				if _, err := tx.Enqueue(ctx, benchJob(string(sum(fmt.Sprint(i))), i*7919%benchJobs)); err != nil {
					return err
				}
			}
			return nil
		})
	}
}
