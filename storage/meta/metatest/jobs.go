package metatest

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/wreg-project/wreg/storage/meta"
)

// job is a job of kind "k", due n seconds after start.
func job(key string, n int) meta.NewJob {
	return meta.NewJob{Kind: "k", Key: key, Repo: "r", Payload: []byte(`{"a":1}`), Due: at(n)}
}

// enqueue adds jobs and returns their ids.
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

// lease leases at most n jobs of kind "k" at second now for ten seconds.
func (f *fixture) lease(n int, holder string, now int) (jobs []meta.Job) {
	f.Helper()
	f.update(func(ctx context.Context, tx meta.Tx) error {
		var err error
		jobs, err = tx.Lease(ctx, []string{"k"}, n, holder, at(now), at(now+10))
		return err
	})
	return jobs
}

// leased enqueues one job at second 0 and leases it to "h" from then on.
func (f *fixture) leased(key string) int64 {
	f.Helper()
	f.enqueue(job(key, 0))
	jobs := f.lease(1, "h", 0)
	if len(jobs) != 1 || jobs[0].Key != key {
		f.Fatalf("Lease(1) = %v, want %s", jobs, key)
	}
	return jobs[0].ID
}

// A step is one write about a job.
type step func(ctx context.Context, tx meta.Tx) error

func finish(id int64, holder string, now int) step {
	return func(ctx context.Context, tx meta.Tx) error { return tx.FinishJob(ctx, id, holder, at(now)) }
}

func retry(id int64, holder string, due int, reason string) step {
	return func(ctx context.Context, tx meta.Tx) error { return tx.RetryJob(ctx, id, holder, at(due), reason) }
}

func bury(id int64, holder, reason string) step {
	return func(ctx context.Context, tx meta.Tx) error { return tx.BuryJob(ctx, id, holder, at(1), reason) }
}

func extend(id int64, holder string, until int) step {
	return func(ctx context.Context, tx meta.Tx) error { return tx.ExtendLease(ctx, id, holder, at(until)) }
}

func revive(id int64, now int) step {
	return func(ctx context.Context, tx meta.Tx) error { return tx.ReviveJob(ctx, id, at(now)) }
}

func drop(id int64) step {
	return func(ctx context.Context, tx meta.Tx) error { return tx.DropJob(ctx, id) }
}

func keys(jobs []meta.Job) (out []string) {
	for _, j := range jobs {
		out = append(out, j.Key)
	}
	return out
}

// wantJob compares a job, but for when it was written.
func (f *fixture) wantJob(id int64, expect meta.Job) {
	f.Helper()
	got, err := f.db.Job(f.Context(), id)
	if err != nil {
		f.Fatalf("Job(%d) = %v", id, err)
	}
	expect.ID = id
	if diff := cmp.Diff(expect, got, cmpopts.IgnoreFields(meta.Job{}, "Created", "Updated")); diff != "" {
		f.Errorf("Job(%d): want -, got +\n%s", id, diff)
	}
}

func (f *fixture) wantNoJob(id int64) {
	f.Helper()
	_, err := f.db.Job(f.Context(), id)
	fails(f, fmt.Sprintf("Job(%d)", id), err, meta.ErrNotFound)
}

var jobTests = []test{
	{"due jobs are leased in order of due time, and finished ones are gone", func(f *fixture) {
		var jobs []meta.NewJob
		for i := range 9 {
			jobs = append(jobs, job(fmt.Sprint(i), 10-i))
		}
		f.enqueue(jobs...)
		want(f, "keys of Lease(6) at 8 s", keys(f.lease(6, "h", 8)), nil, []string{"8", "7", "6", "5", "4", "3"})
		leased := f.lease(6, "other", 8)
		want(f, "keys of the second Lease(6)", keys(leased), nil, []string{"2"})
		f.update(finish(leased[0].ID, "other", 9))
		f.wantNoJob(leased[0].ID)
		counts, err := f.db.JobCounts(f.Context())
		want(f, "JobCounts()", counts, err, map[string]meta.JobCount{"k": {Waiting: 2, Leased: 6, Oldest: at(9)}})
	}},
	{"ended leases are of jobs that are due, whoever held them", func(f *fixture) {
		first := f.enqueue(job("a", 0), job("b", 1))
		f.lease(2, "h", 3)
		f.update(retry(first[1], "h", 4, "why"))
		f.lease(1, "other", 5) // b, for the second time
		f.enqueue(job("c", 6))
		var ended int64
		f.update(func(ctx context.Context, tx meta.Tx) (err error) { ended, err = tx.EndLeases(ctx, 1); return err })
		want(f, "EndLeases(1)", ended, nil, 1)
		f.update(extend(first[1], "other", 30)) // which was not ended
		want(f, "keys of Lease(9) at 6 s", keys(f.lease(9, "next", 6)), nil, []string{"a", "c"})
		f.wantJob(first[0], meta.Job{NewJob: job("a", 0), State: meta.JobLeased, Attempts: 2, Holder: "next", Until: at(16)})
		f.failing("FinishJob() by who lost the lease", meta.ErrConflict, finish(first[0], "h", 7))
	}},
	{"a leased job is returned as it is stored", func(f *fixture) {
		id := f.enqueue(job("a", 0))[0]
		leased := f.lease(1, "h", 3)
		got, err := f.db.Job(f.Context(), id)
		want(f, "Job()", got, err, leased[0])
		f.wantJob(id, meta.Job{NewJob: job("a", 0), State: meta.JobLeased, Attempts: 1, Holder: "h", Until: at(13)})
		if got.Updated != at(3) || time.Since(got.Created).Abs() > time.Hour {
			f.Errorf("Job() was created at %v and updated at %v, want now and %v", got.Created, got.Updated, at(3))
		}
	}},
	{"a lease is of the kinds asked for, as many as asked for", func(f *fixture) {
		jobs := []meta.NewJob{job("a", 0), job("b", 3), job("c", 4), job("d", 1), job("e", 2)}
		for i, kind := range []string{"x", "x", "x", "y", "z"} {
			jobs[i].Kind = kind
		}
		f.enqueue(jobs...)
		f.update(func(ctx context.Context, tx meta.Tx) error {
			for _, tt := range []struct {
				kinds []string
				n     int
				want  []string
			}{
				{nil, 5, nil},
				{[]string{"x", "y"}, 0, nil},
				{[]string{"x", "y"}, -1, nil},
				{[]string{"none"}, 5, nil},
				{[]string{"y", "x"}, 3, []string{"a", "d", "b"}},
				{[]string{"x", "y"}, 3, []string{"c"}},
			} {
				got, err := tx.Lease(ctx, tt.kinds, tt.n, "h", at(9), at(10))
				want(f, fmt.Sprintf("keys of Lease(%q, %d)", tt.kinds, tt.n), keys(got), err, tt.want)
			}
			return nil
		})
	}},
	{"a lease lasts until its end, and then the job is due again in its order", func(f *fixture) {
		id := f.leased("a") // until 10
		f.enqueue(job("earlier", -1), job("later", 1))
		f.update(extend(id, "h", 20))
		want(f, "keys of Lease() at the end", keys(f.lease(1, "x", 20)), nil, []string{"earlier"})
		got := f.lease(9, "x", 21)
		want(f, "keys of Lease() after the end", keys(got), nil, []string{"a", "later"})
		f.wantJob(id, meta.Job{NewJob: job("a", 0), State: meta.JobLeased, Attempts: 2, Holder: "x", Until: at(31)})
	}},
	{"who lost a lease can do nothing with the job any more", func(f *fixture) {
		id := f.leased("a")
		f.lease(1, "next", 11)
		before := meta.Job{NewJob: job("a", 0), State: meta.JobLeased, Attempts: 2, Holder: "next", Until: at(21)}
		for call, s := range map[string]step{
			"ExtendLease": extend(id, "h", 99), "FinishJob": finish(id, "h", 12),
			"RetryJob": retry(id, "h", 12, "why"), "BuryJob": bury(id, "h", "why"),
		} {
			f.failing(call+"() by who lost the lease", meta.ErrConflict, s)
			f.wantJob(id, before)
		}
		f.update(finish(id, "next", 12))
		for call, s := range map[string]step{
			"ExtendLease": extend(id, "next", 99), "FinishJob": finish(id, "next", 12),
			"RetryJob": retry(id, "next", 12, "why"), "BuryJob": bury(id, "next", "why"),
		} {
			f.failing(call+"() of a job that is gone", meta.ErrConflict, s)
		}
	}},
	{"a job that waits or is dead has no holder, not even the empty one", func(f *fixture) {
		waiting, dead := f.enqueue(job("w", 5))[0], f.leased("d")
		f.update(bury(dead, "h", "why"))
		for _, id := range []int64{waiting, dead} {
			for call, s := range map[string]step{
				"ExtendLease": extend(id, "", 99), "FinishJob": finish(id, "", 12),
				"RetryJob": retry(id, "", 12, "why"), "BuryJob": bury(id, "", "why"),
			} {
				f.failing(fmt.Sprintf("%s(%d) by nobody", call, id), meta.ErrConflict, s)
			}
		}
	}},
	{"a lease that ran out is still its holder's while nobody else took the job", func(f *fixture) {
		id := f.leased("a")
		f.update(extend(id, "h", 5)) // over long ago
		f.update(finish(id, "h", 99))
		f.wantNoJob(id)
	}},
	{"a waiting job that is enqueued again stays, due at the earlier time", func(f *fixture) {
		id := f.leased("a")
		f.update(retry(id, "h", 50, "broken"))
		again := job("a", 60)
		again.Payload, again.Repo = []byte(`{"b":2}`), "r/new"
		want(f, "id of Enqueue() for later", f.enqueue(again), nil, []int64{id})
		again.Due = at(50)
		f.wantJob(id, meta.Job{NewJob: again, Attempts: 1, Failure: "broken"})
		want(f, "id of Enqueue() for earlier", f.enqueue(job("a", 40)), nil, []int64{id})
		f.wantJob(id, meta.Job{NewJob: job("a", 40), Attempts: 1, Failure: "broken"})
	}},
	{"the same key of another kind is another job", func(f *fixture) {
		other := job("a", 0)
		other.Kind, other.Payload = "other", nil
		ids := f.enqueue(job("a", 0), other)
		f.wantJob(ids[0], meta.Job{NewJob: job("a", 0)})
		f.wantJob(ids[1], meta.Job{NewJob: other})
	}},
	{"a leased job that is enqueued again waits once it is finished", func(f *fixture) {
		id := f.leased("a")
		f.update(retry(id, "h", 1, "broken"))
		f.lease(1, "h", 1)
		want(f, "ids of Enqueue() while leased", f.enqueue(job("a", 7), job("a", 5), job("a", 6)), nil, []int64{id, id, id})
		f.wantJob(id, meta.Job{
			NewJob: job("a", 1), State: meta.JobLeased, Attempts: 2, Holder: "h", Until: at(11), Failure: "broken",
		})
		want(f, "keys of Lease() by another", keys(f.lease(1, "x", 9)), nil, nil)
		f.update(finish(id, "h", 2))
		f.wantJob(id, meta.Job{NewJob: job("a", 5)})
		f.lease(1, "x", 5)
		f.update(finish(id, "x", 6))
		f.wantNoJob(id)
	}},
	{"a leased job that is enqueued again and fails waits until the earlier time", func(f *fixture) {
		for key, due := range map[string][3]int{"sooner": {50, 40, 40}, "later": {50, 60, 50}} {
			id := f.leased(key)
			f.enqueue(job(key, due[1]))
			f.update(retry(id, "h", due[0], "broken"))
			f.wantJob(id, meta.Job{NewJob: job(key, due[2]), Attempts: 1, Failure: "broken"})
			f.lease(1, "x", 60)
			f.update(finish(id, "x", 60)) // what it was enqueued for is done
			f.wantNoJob(id)
		}
	}},
	{"a leased job that is enqueued again is not buried", func(f *fixture) {
		id := f.leased("a")
		f.enqueue(job("a", 4))
		f.update(bury(id, "h", "broken"))
		f.wantJob(id, meta.Job{NewJob: job("a", 4), Failure: "broken"})
	}},
	{"a new attempt does what the job was enqueued for during the last", func(f *fixture) {
		id := f.leased("a")
		f.enqueue(job("a", 2))
		f.lease(1, "x", 11)
		f.update(finish(id, "x", 12))
		f.wantNoJob(id)
	}},
	{"attempts are counted over retries, and the last failure kept", func(f *fixture) {
		id := f.leased("a")
		for n := range 3 {
			f.update(retry(id, "h", n, fmt.Sprint("failure ", n)))
			f.wantJob(id, meta.Job{NewJob: job("a", n), Attempts: n + 1, Failure: fmt.Sprint("failure ", n)})
			f.lease(1, "h", n)
		}
	}},
	{"a dead job is not leased, and waits when it is enqueued or revived", func(f *fixture) {
		id := f.leased("a")
		f.update(bury(id, "h", "broken"))
		f.wantJob(id, meta.Job{NewJob: job("a", 0), State: meta.JobDead, Attempts: 1, Failure: "broken"})
		want(f, "keys of Lease()", keys(f.lease(1, "x", 99)), nil, nil)
		f.enqueue(job("a", 33))
		f.wantJob(id, meta.Job{NewJob: job("a", 33), Failure: "broken"})
		f.lease(1, "h", 33)
		f.update(bury(id, "h", "broken again"))
		f.update(revive(id, 44))
		f.wantJob(id, meta.Job{NewJob: job("a", 44), Failure: "broken again"})
	}},
	{"only jobs that nobody holds are revived or dropped", func(f *fixture) {
		id := f.leased("a")
		f.failing("ReviveJob() of a leased job", meta.ErrConflict, revive(id, 99))
		f.failing("DropJob() of a leased job", meta.ErrConflict, drop(id))
		f.update(retry(id, "h", 50, "broken"))
		f.update(revive(id, 5))
		f.wantJob(id, meta.Job{NewJob: job("a", 5), Failure: "broken"})
		f.update(drop(id))
		f.wantNoJob(id)
		f.failing("ReviveJob() of a job that is gone", meta.ErrNotFound, revive(id, 5))
		f.failing("DropJob() of a job that is gone", meta.ErrNotFound, drop(id))
		dead := f.leased("b")
		f.update(bury(dead, "h", "broken"))
		f.update(drop(dead))
		f.wantNoJob(dead)
	}},
	{"the id of a job that is gone is not used again", func(f *fixture) {
		id := f.enqueue(job("a", 0))[0]
		f.update(drop(id))
		if next := f.enqueue(job("b", 0))[0]; next <= id {
			f.Errorf("Enqueue() = %d after the drop of %d, want a greater id", next, id)
		}
	}},
	{"jobs are listed by kind and state in order of id", func(f *fixture) {
		const n = 12
		byKey := map[string]meta.JobState{}
		for i := range n {
			j, state := job(fmt.Sprint(i), 0), meta.JobState(i/2%3)
			j.Kind = []string{"k", "other"}[i%2]
			if state == meta.JobWaiting {
				j.Due = at(50)
			}
			id := f.enqueue(j)[0]
			byKey[j.Key] = state
			if state == meta.JobWaiting {
				continue
			}
			// Those that wait from before are due later.
			f.update(func(ctx context.Context, tx meta.Tx) error {
				leased, err := tx.Lease(ctx, []string{j.Kind}, 1, "h", at(1), at(99))
				want(f, "keys of Lease(1)", keys(leased), err, []string{j.Key})
				if state == meta.JobDead {
					return tx.BuryJob(ctx, id, "h", at(1), "broken")
				}
				return nil
			})
		}
		for _, tt := range []struct {
			name   string
			filter meta.JobFilter
			want   func(i int, s meta.JobState) bool
		}{
			{"all", meta.JobFilter{}, func(int, meta.JobState) bool { return true }},
			{"a kind", meta.JobFilter{Kind: "k"}, func(i int, _ meta.JobState) bool { return i%2 == 0 }},
			{
				"waiting",
				meta.JobFilter{States: []meta.JobState{meta.JobWaiting}},
				func(_ int, s meta.JobState) bool { return s == meta.JobWaiting },
			},
			{
				"dead",
				meta.JobFilter{States: []meta.JobState{meta.JobDead}},
				func(_ int, s meta.JobState) bool { return s == meta.JobDead },
			},
			{
				"dead or leased",
				meta.JobFilter{States: []meta.JobState{meta.JobDead, meta.JobLeased}},
				func(_ int, s meta.JobState) bool { return s != meta.JobWaiting },
			},
			{
				"waiting or dead of a kind",
				meta.JobFilter{Kind: "other", States: []meta.JobState{meta.JobDead, meta.JobWaiting}},
				func(i int, s meta.JobState) bool { return i%2 == 1 && s != meta.JobLeased },
			},
			{
				"leased of a kind",
				meta.JobFilter{Kind: "other", States: []meta.JobState{meta.JobLeased}},
				func(i int, s meta.JobState) bool { return i%2 == 1 && s == meta.JobLeased },
			},
			{"no such kind", meta.JobFilter{Kind: "none"}, func(int, meta.JobState) bool { return false }},
		} {
			var expect, paged []string
			for i := range n {
				if key := fmt.Sprint(i); tt.want(i, byKey[key]) {
					expect = append(expect, key)
				}
			}
			all, err := f.db.Jobs(f.Context(), tt.filter, 0, 0)
			want(f, "keys of Jobs, "+tt.name, keys(all), err, expect)
			for after := int64(0); ; {
				page, err := f.db.Jobs(f.Context(), tt.filter, after, 2)
				if err != nil || len(page) > 2 {
					f.Fatalf("Jobs, %s, after %d = %d jobs, %v, want at most 2", tt.name, after, len(page), err)
				}
				if len(page) == 0 {
					break
				}
				paged = append(paged, keys(page)...)
				after = page[len(page)-1].ID
			}
			want(f, "keys of Jobs in pages, "+tt.name, paged, nil, expect)
		}
	}},
	{"counts are by kind and state, with the first due time of those that wait", func(f *fixture) {
		got, err := f.db.JobCounts(f.Context())
		want(f, "JobCounts() of none", got, err, map[string]meta.JobCount{})
		f.leased("leased")
		dead := f.leased("dead")
		f.update(bury(dead, "h", "broken"))
		other := job("x", -9)
		other.Kind = "other"
		f.enqueue(job("w", 7), job("v", 5), other)
		got, err = f.db.JobCounts(f.Context())
		want(f, "JobCounts()", got, err, map[string]meta.JobCount{
			"k": {Waiting: 2, Leased: 1, Dead: 1, Oldest: at(5)}, "other": {Waiting: 1, Oldest: at(-9)},
		})
	}},
	{"an update that fails leaves jobs as they were", func(f *fixture) {
		id := f.leased("a")
		for _, s := range []step{finish(id, "h", 1), retry(id, "h", 50, "x"), bury(id, "h", "x"), extend(id, "h", 50), func(
			ctx context.Context, tx meta.Tx,
		) error {
			_, err := tx.Enqueue(ctx, job("new", 0))
			return err
		}, func(ctx context.Context, tx meta.Tx) error {
			_, err := tx.Lease(ctx, []string{"k"}, 1, "x", at(11), at(12))
			return err
		}} {
			f.failing("Update()", errOwn, func(ctx context.Context, tx meta.Tx) error {
				if err := s(ctx, tx); err != nil {
					return err
				}
				return errOwn
			})
			f.wantJob(id, meta.Job{NewJob: job("a", 0), State: meta.JobLeased, Attempts: 1, Holder: "h", Until: at(10)})
		}
		all, err := f.db.Jobs(f.Context(), meta.JobFilter{}, 0, 0)
		want(f, "keys of Jobs()", keys(all), err, []string{"a"})
	}},
	{"a job is claimed with the results of the last in one update", func(f *fixture) {
		f.put(manifest("r", "m"))
		f.enqueue(job("a", 0), job("b", 1))
		first := f.lease(1, "h", 5)[0]
		f.update(func(ctx context.Context, tx meta.Tx) error {
			if err := tx.SetIngested(ctx, "r", sum("m"), 1); err != nil {
				return err
			}
			if err := tx.FinishJob(ctx, first.ID, "h", at(6)); err != nil {
				return err
			}
			next, err := tx.Lease(ctx, []string{"k"}, 1, "h", at(6), at(16))
			want(f, "keys of Lease() in the same update", keys(next), err, []string{"b"})
			return nil
		})
	}},
	{"ten workers take each job once", func(f *fixture) {
		const workers, n = 10, 200
		var jobs []meta.NewJob
		for i := range n {
			jobs = append(jobs, job(fmt.Sprint(i), i%7))
		}
		f.enqueue(jobs...)
		var mu sync.Mutex
		taken := map[string]int{}
		var wg sync.WaitGroup
		for w := range workers {
			wg.Go(func() {
				for {
					var got []meta.Job
					err := f.db.Update(f.Context(), func(ctx context.Context, tx meta.Tx) (err error) {
						got, err = tx.Lease(ctx, []string{"k"}, 3, fmt.Sprint("worker ", w), at(8), at(18))
						return err
					})
					if err != nil {
						f.Errorf("Update() = %v", err)
					}
					if len(got) == 0 {
						return
					}
					mu.Lock()
					for _, j := range got {
						taken[j.Key]++
					}
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		for i := range n {
			if got := taken[fmt.Sprint(i)]; got != 1 {
				f.Errorf("job %d was leased %d times, want once", i, got)
			}
		}
	}},
	{"whatever a worker failed with can be kept", func(f *fixture) {
		for reason, expect := range map[string]string{
			"a zero byte \x00.":           "a zero byte \uFFFD.",
			"no UTF-8 \xff.":              "no UTF-8 \uFFFD.",
			strings.Repeat("long ", 9999): strings.Repeat("long ", 9999),
		} {
			id := f.leased("a")
			f.update(retry(id, "h", 1, reason))
			f.wantJob(id, meta.Job{NewJob: job("a", 1), Attempts: 1, Failure: expect})
			f.lease(1, "h", 1)
			f.update(bury(id, "h", reason))
			f.wantJob(id, meta.Job{NewJob: job("a", 1), State: meta.JobDead, Attempts: 2, Failure: expect})
			f.update(drop(id))
		}
	}},
	{"jobs outlive what they are about", func(f *fixture) {
		f.tag("r", "v1", "m")
		id := f.enqueue(job("r@"+string(sum("m")), 0))[0]
		f.update(func(ctx context.Context, tx meta.Tx) error { return tx.DeleteRepository(ctx, "r") })
		f.wantJob(id, meta.Job{NewJob: job("r@"+string(sum("m")), 0)})
	}},
	{"jobs are neither journaled nor dumped", func(f *fixture) {
		empty := f.dump()
		id := f.leased("a")
		f.update(finish(id, "h", 1))
		f.leased("b")
		want(f, "sequences", sequences(f.entries()), nil, nil)
		want(f, "Dump()", f.dump(), nil, empty)
	}},
}
