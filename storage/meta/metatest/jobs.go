package metatest

import (
	"context"
	"fmt"
	"time"

	"github.com/wreg-project/wreg/storage/meta"
)

// job is a job of kind "k", due n seconds after start.
func job(key string, n int) meta.NewJob {
	return meta.NewJob{Kind: "k", Key: key, Repo: "r", Payload: []byte(`{"a":1}`), Due: at(n)}
}

func (f *fixture) enqueue(jobs ...meta.NewJob) (ids []int64) {
	f.Helper()
	f.update(func(ctx context.Context, tx meta.Tx) error {
		ids = nil
		for _, j := range jobs {
			id, err := tx.Enqueue(ctx, j)
			if err != nil {
				return err
			}
			ids = append(ids, id)
		}
		return nil
	})
	return ids
}

// lease leases n jobs of kind "k" at a time until ten seconds later.
func (f *fixture) lease(n int, holder string, now time.Time) (jobs []meta.Job) {
	f.Helper()
	f.update(func(ctx context.Context, tx meta.Tx) error {
		var err error
		jobs, err = tx.Lease(ctx, []string{"k"}, n, holder, now, now.Add(10*time.Second))
		return err
	})
	return jobs
}

func keys(jobs []meta.Job) (out []string) {
	for _, j := range jobs {
		out = append(out, j.Key)
	}
	return out
}

var jobTests = []test{
	{"due jobs are leased in order of due time, and finished ones are gone", func(f *fixture) {
		var jobs []meta.NewJob
		for i := range 9 {
			jobs = append(jobs, job(fmt.Sprint(i), 10-i))
		}
		f.enqueue(jobs...)
		want(f, "keys of Lease(6) at 8 s", keys(f.lease(6, "h", at(8))), nil, []string{"8", "7", "6", "5", "4", "3"})
		leased := f.lease(6, "other", at(8))
		want(f, "keys of the second Lease(6)", keys(leased), nil, []string{"2"})
		f.update(func(ctx context.Context, tx meta.Tx) error { return tx.FinishJob(ctx, leased[0].ID, "other", at(9)) })
		_, err := f.db.Job(f.Context(), leased[0].ID)
		fails(f, "Job() of a finished one", err, meta.ErrNotFound)
		counts, err := f.db.JobCounts(f.Context())
		want(f, "JobCounts()", counts, err, map[string]meta.JobCount{"k": {Waiting: 2, Leased: 6, Oldest: at(9)}})
	}},
}
