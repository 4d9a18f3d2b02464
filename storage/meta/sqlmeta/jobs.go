package sqlmeta

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/wreg-project/wreg/storage/meta"
)

func (r reader) Job(ctx context.Context, id int64) (meta.Job, error) {
	jobs, err := r.jobs(ctx, "job", id)
	if err != nil {
		return meta.Job{}, err
	}
	if len(jobs) == 0 {
		return meta.Job{}, noJob(id)
	}
	return jobs[0], nil
}

func (r reader) Jobs(ctx context.Context, f meta.JobFilter, after int64, limit int) ([]meta.Job, error) {
	states := f.States
	if len(states) == 0 {
		states = []meta.JobState{meta.JobWaiting, meta.JobLeased, meta.JobDead}
	}
	if slices.Contains(states, meta.JobWaiting) {
		in := func(s meta.JobState) int64 {
			if slices.Contains(states, s) {
				return int64(s)
			}
			return int64(meta.JobWaiting)
		}
		return r.jobs(ctx, "jobs", after, f.Kind, int64(meta.JobWaiting), in(meta.JobLeased), in(meta.JobDead), rowLimit(limit))
	}
	var out []meta.Job
	for _, s := range []meta.JobState{meta.JobLeased, meta.JobDead} {
		if !slices.Contains(states, s) {
			continue
		}
		jobs, err := r.jobs(ctx, "jobs_begun", after, f.Kind, int64(s), rowLimit(limit))
		if err != nil {
			return nil, err
		}
		out = append(out, jobs...)
	}
	slices.SortFunc(out, func(a, b meta.Job) int { return cmp.Compare(a.ID, b.ID) })
	return firstN(out, limit), nil
}

// firstN is at most n of s; below one is no limit, as in a page.
func firstN[T any](s []T, n int) []T {
	if n > 0 && len(s) > n {
		return s[:n]
	}
	return s
}

func rowLimit(n int) int64 { return limit(meta.Page{Limit: n}) }

// jobs runs a statement that lists whole rows.
func (r reader) jobs(ctx context.Context, name string, params ...any) ([]meta.Job, error) {
	var out []meta.Job
	err := each(ctx, r.q, name, params, func(rows *sql.Rows) error {
		var (
			j     meta.Job
			until int64
		)
		if err := rows.Scan(&j.ID, &j.Kind, &j.Key, &j.Repo, &j.Payload, when{&j.Due}, &j.State, &j.Attempts,
			&j.Holder, &until, &j.Failure, when{&j.Created}, when{&j.Updated}); err != nil {
			return r.q.fail(name, err)
		}
		if len(j.Payload) == 0 {
			j.Payload = nil
		}
		if j.State == meta.JobLeased {
			j.Until = fromMicros(until)
		}
		out = append(out, j)
		return nil
	})
	return out, err
}

func (r reader) JobCounts(ctx context.Context) (map[string]meta.JobCount, error) {
	out := map[string]meta.JobCount{}
	err := each(ctx, r.q, "job_counts", nil, func(rows *sql.Rows) error {
		var (
			kind   string
			state  meta.JobState
			n      int
			oldest time.Time
		)
		if err := rows.Scan(&kind, &state, &n, when{&oldest}); err != nil {
			return r.q.fail("job_counts", err)
		}
		c := out[kind]
		switch state {
		case meta.JobWaiting:
			c.Waiting, c.Oldest = n, oldest
		case meta.JobLeased:
			c.Leased = n
		case meta.JobDead:
			c.Dead = n
		}
		out[kind] = c
		return nil
	})
	return out, err
}

func noJob(id int64) error { return fmt.Errorf("%w: job %d", meta.ErrNotFound, id) }

func (t *tx) Enqueue(ctx context.Context, j meta.NewJob) (int64, error) {
	var id int64
	_, err := one(ctx, t, "enqueue", args(j.Kind, j.Key, j.Repo, notNil(j.Payload), micros(j.Due), micros(time.Now())), &id)
	return id, err
}

func (t *tx) Lease(ctx context.Context, kinds []string, n int, holder string, now, until time.Time) ([]meta.Job, error) {
	if n < 1 {
		return nil, nil
	}
	var due []meta.Job
	for _, kind := range kinds {
		jobs, err := t.jobs(ctx, "jobs_due", kind, micros(now), int64(n))
		if err != nil {
			return nil, err
		}
		due = append(due, jobs...)
	}
	if len(kinds) > 1 {
		slices.SortFunc(due, func(a, b meta.Job) int {
			return cmp.Or(a.Due.Compare(b.Due), cmp.Compare(a.ID, b.ID))
		})
	}
	due = firstN(due, n)
	ids := make([]int64, 0, len(due))
	for i := range due {
		j := &due[i]
		j.State, j.Holder, j.Until, j.Updated = meta.JobLeased, holder, stored(until), stored(now)
		j.Attempts++
		ids = append(ids, j.ID)
	}
	return due, inBatches(ids, args(holder, micros(until), micros(now)), func(params []any) error {
		_, err := t.exec(ctx, "lease_jobs", params...)
		return err
	})
}

func (t *tx) EndLeases(ctx context.Context, attempts int) (int64, error) {
	return t.exec(ctx, "end_leases", int64(attempts), micros(time.Now()))
}

func (t *tx) ExtendLease(ctx context.Context, id int64, holder string, until time.Time) error {
	return t.asHolder(ctx, "extend_lease", id, holder, micros(until), micros(time.Now()))
}

func (t *tx) FinishJob(ctx context.Context, id int64, holder string, now time.Time) error {
	removed, err := t.exec(ctx, "finish_job", id, holder)
	if err != nil || removed > 0 {
		return err
	}
	return t.asHolder(ctx, "finish_again", id, holder, micros(now))
}

func (t *tx) RetryJob(ctx context.Context, id int64, holder string, due time.Time, reason string) error {
	return t.asHolder(ctx, "retry_job", id, holder, micros(due), storable(reason), micros(time.Now()))
}

func (t *tx) BuryJob(ctx context.Context, id int64, holder string, at time.Time, reason string) error {
	return t.asHolder(ctx, "bury_job", id, holder, micros(at), storable(reason))
}

// asHolder runs a statement that changes a job if holder has it.
func (t *tx) asHolder(ctx context.Context, name string, id int64, holder string, params ...any) error {
	changed, err := t.exec(ctx, name, append(args(id, holder), params...)...)
	if err == nil && changed == 0 {
		err = fmt.Errorf("%w: job %d is not leased to %s", meta.ErrConflict, id, holder)
	}
	return err
}

func (t *tx) ReviveJob(ctx context.Context, id int64, now time.Time) error {
	return t.unlessLeased(ctx, "revive_job", id, micros(now))
}

func (t *tx) DropJob(ctx context.Context, id int64) error {
	return t.unlessLeased(ctx, "drop_job", id)
}

// unlessLeased runs a statement that changes a job if nobody has it.
func (t *tx) unlessLeased(ctx context.Context, name string, id int64, params ...any) error {
	changed, err := t.exec(ctx, name, append(args(id), params...)...)
	if err != nil || changed > 0 {
		return err
	}
	j, err := t.Job(ctx, id)
	if err != nil {
		return err
	}
	return fmt.Errorf("%w: job %d is leased to %s", meta.ErrConflict, id, j.Holder)
}

// storable is text as PostgreSQL can store it: UTF-8 without zero bytes.
func storable(text string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
}
