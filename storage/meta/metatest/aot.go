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

// native asks for code of the manifest with that text, due n seconds after start.
func native(repo, text, target string, n int) meta.NewAOTJob {
	return meta.NewAOTJob{
		Repo: repo, Subject: sum(text), Source: sum("wasm of " + text), Size: 7, Target: target, Runtime: "wasmtime", Profile: "p", Due: at(n),
	}
}

// ask enqueues AOT jobs and returns their ids, and which of them wait now.
func (f *fixture) ask(jobs ...meta.NewAOTJob) (ids []int64, added []bool) {
	f.Helper()
	f.update(func(ctx context.Context, tx meta.Tx) error {
		ids, added = nil, nil
		for _, j := range jobs {
			id, ok, err := tx.EnqueueAOT(ctx, j)
			if err != nil {
				return err
			}
			ids, added = append(ids, id), append(added, ok)
		}
		return nil
	})
	return ids, added
}

// canDo is the query of a worker for these targets.
func canDo(targets ...string) meta.AOTQuery {
	return meta.AOTQuery{Runtime: "wasmtime", Profile: "p", Targets: targets}
}

// leaseAOT leases for ten seconds at second now; ok tells whether there was a job.
func (f *fixture) leaseAOT(token string, now int, targets ...string) (j meta.AOTJob, ok bool) {
	f.Helper()
	due, err := f.db.AOTDue(f.Context(), canDo(targets...), at(now))
	if err != nil {
		f.Fatalf("AOTDue(%q) = %v", targets, err)
	}
	err = f.db.Update(f.Context(), func(ctx context.Context, tx meta.Tx) (err error) {
		l := meta.AOTLease{Token: token, Principal: "ann", Worker: "w", Until: at(now + 10)}
		j, err = tx.LeaseAOT(ctx, canDo(targets...), l, at(now))
		return err
	})
	if due != (err == nil) {
		f.Errorf("AOTDue(%q) = %v, and LeaseAOT() = %v", targets, due, err)
	}
	if err != nil {
		fails(f, "LeaseAOT("+token+")", err, meta.ErrNotFound)
	}
	return j, err == nil
}

func finishAOT(token, result string, now int) step {
	return func(ctx context.Context, tx meta.Tx) error { return tx.FinishAOT(ctx, token, sum(result), at(now)) }
}

func retryAOT(token string, due int, reason string, now int) step {
	return func(ctx context.Context, tx meta.Tx) error { return tx.RetryAOT(ctx, token, at(due), reason, at(now)) }
}

func failAOT(token, reason string, now int) step {
	return func(ctx context.Context, tx meta.Tx) error { return tx.FailAOT(ctx, token, reason, at(now)) }
}

func extendAOT(token string, now, until int) step {
	return func(ctx context.Context, tx meta.Tx) error { return tx.ExtendAOT(ctx, token, at(now), at(until)) }
}

// wantAOT compares a job, but for when it was enqueued and written.
func (f *fixture) wantAOT(id int64, expect meta.AOTJob) {
	f.Helper()
	got, err := f.db.AOTJob(f.Context(), id)
	if err != nil {
		f.Fatalf("AOTJob(%d) = %v", id, err)
	}
	expect.ID = id
	if diff := cmp.Diff(expect, got, cmpopts.IgnoreFields(meta.AOTJob{}, "Created", "Updated")); diff != "" {
		f.Errorf("AOTJob(%d): want -, got +\n%s", id, diff)
	}
}

func (f *fixture) aotIDs(filter meta.AOTFilter, after int64, limit int) (ids []int64) {
	f.Helper()
	jobs, err := f.db.AOTJobs(f.Context(), filter, after, limit)
	if err != nil {
		f.Fatalf("AOTJobs(%v) = %v", filter, err)
	}
	for _, j := range jobs {
		ids = append(ids, j.ID)
	}
	return ids
}

var aotTests = []test{
	{"an AOT job goes through its states", func(f *fixture) {
		f.put(manifest("r", "m"), manifest("r", "code"))
		n := native("r", "m", "v3", 1)
		n.Requester = "bob"
		ids, _ := f.ask(n)
		f.wantAOT(ids[0], meta.AOTJob{NewAOTJob: n})
		if j, ok := f.leaseAOT("early", 0, "v3"); ok {
			f.Errorf("LeaseAOT() before it is due = %v", j)
		}
		leased := meta.AOTLease{Token: "t1", Principal: "ann", Worker: "w", Since: at(2), Until: at(12)}
		got, _ := f.leaseAOT("t1", 2, "v3")
		f.wantAOT(ids[0], meta.AOTJob{NewAOTJob: n, State: meta.AOTLeased, Attempts: 1, Lease: leased})
		stored, err := f.db.AOTLease(f.Context(), "t1")
		want(f, "AOTLease(t1)", stored, err, got)
		f.update(extendAOT("t1", 5, 30))
		f.update(retryAOT("t1", 20, "why\x00", 6))
		left := meta.AOTLease{Principal: "ann", Worker: "w"}
		n.Due = at(20)
		f.wantAOT(ids[0], meta.AOTJob{NewAOTJob: n, Attempts: 1, Lease: left, Failure: "why\uFFFD"})
		f.leaseAOT("t2", 20, "v3")
		f.update(finishAOT("t2", "code", 21))
		left.Token = "t2"
		f.wantAOT(ids[0], meta.AOTJob{NewAOTJob: n, State: meta.AOTDone, Attempts: 2, Lease: left, Result: sum("code")})
		if got.Created.IsZero() || got.Updated != at(2) {
			f.Errorf("LeaseAOT() = a job of %v, updated at %v, want now and %v", got.Created, got.Updated, at(2))
		}
	}},
	{"there is one AOT job for each manifest, target, runtime and profile", func(f *fixture) {
		f.put(manifest("r", "m"), manifest("r", "n"), manifest("s", "m"))
		a := native("r", "m", "v3", 0)
		other, profile, runtime := native("r", "m", "v1", 0), a, a
		profile.Profile, runtime.Runtime = "q", "wamr"
		ids, added := f.ask(a, a, other, profile, runtime, native("r", "n", "v3", 0), native("s", "m", "v3", 0))
		want(f, "added by EnqueueAOT()", added, nil, []bool{true, false, true, true, true, true, true})
		if ids[0] != ids[1] {
			f.Errorf("EnqueueAOT() twice = %d, %d, want the same", ids[0], ids[1])
		}
		of, err := f.db.AOTJobsOf(f.Context(), "r", sum("m"))
		if err != nil || len(of) != 4 {
			f.Errorf("AOTJobsOf(r, m) = %v, %v, want 4", of, err)
		}
		none, err := f.db.AOTJobsOf(f.Context(), "none", sum("m"))
		want(f, "AOTJobsOf() of no repository", none, err, nil)
	}},
	{"what is done or failed waits again only if it is asked for again, and keeps its result", func(f *fixture) {
		f.put(manifest("r", "m"), manifest("r", "n"), manifest("r", "code"))
		m, n := native("r", "m", "v3", 0), native("r", "n", "v3", 1)
		ids, _ := f.ask(m, n)
		f.leaseAOT("t1", 2, "v3")
		f.leaseAOT("t2", 2, "v3")
		m.Again = true
		_, added := f.ask(m)
		want(f, "added while it is leased", added, nil, []bool{false})
		f.update(finishAOT("t1", "code", 3))
		f.update(failAOT("t2", "why", 3))
		m.Again = false
		_, added = f.ask(m, n)
		want(f, "added once it is done or failed", added, nil, []bool{false, false})
		m.Again, n.Again, m.Due, n.Due = true, true, at(4), at(4)
		done, err := f.db.AOTLease(f.Context(), "t1")
		want(f, "result of AOTLease() by which it was finished", done.Result, err, sum("code"))
		f.failing("FinishAOT() of what is done", meta.ErrConflict, finishAOT("t1", "code", 4))
		again, added := f.ask(m, n)
		_, err = f.db.AOTLease(f.Context(), "t1")
		fails(f, "AOTLease() once it waits again", err, meta.ErrNotFound)
		want(f, "added again", added, nil, []bool{true, true})
		want(f, "ids", again, nil, ids)
		m.Again, n.Again = false, false
		left := meta.AOTLease{Principal: "ann", Worker: "w"}
		f.wantAOT(ids[0], meta.AOTJob{NewAOTJob: m, Lease: left, Result: sum("code")})
		f.wantAOT(ids[1], meta.AOTJob{NewAOTJob: n, Lease: left})
	}},
	{"namespaces take turns in the queue of a target, whatever the number of their jobs", func(f *fixture) {
		var jobs []meta.NewAOTJob
		for i := range 20 {
			name := fmt.Sprint(i)
			f.put(manifest("noisy/a", name), manifest("noisy/b", name))
			jobs = append(jobs, native("noisy/a", name, "v3", -50+i), native("noisy/b", name, "v3", -90+i))
		}
		f.put(manifest("calm/x", "1"), manifest("calm/x", "2"), manifest("solo", "1"))
		jobs = append(jobs, native("calm/x", "1", "v3", -2), native("calm/x", "2", "v3", -1), native("solo", "1", "v3", 0))
		f.ask(jobs...)
		var got []string
		for i := range 8 {
			j, _ := f.leaseAOT(fmt.Sprint("t", i), 1, "v3")
			got = append(got, fmt.Sprint(j.Repo, " ", j.Due.Sub(start).Seconds()))
		}
		want(f, "order of LeaseAOT()", got, nil, []string{
			"noisy/b -90", "calm/x -2", "solo 0", "noisy/b -89", "calm/x -1", "noisy/b -88", "noisy/b -87", "noisy/b -86",
		})
		// Who comes late waits for one turn of noisy's, and not for what it has queued.
		f.put(manifest("late", "1"))
		f.ask(native("late", "1", "v3", 0))
		got = nil
		for i := range 2 {
			j, _ := f.leaseAOT(fmt.Sprint("late", i), 1, "v3")
			got = append(got, j.Repo)
		}
		want(f, "repositories of LeaseAOT()", got, nil, []string{"noisy/b", "late"})
	}},
	{"a namespace that was forgotten comes back behind those that wait", func(f *fixture) {
		for _, repo := range []string{"sly", "a", "z"} {
			for i := range 3 {
				f.put(manifest(repo, fmt.Sprint(i)))
			}
		}
		f.ask(native("sly", "0", "v3", 0))
		for i := range 3 {
			f.ask(native("a", fmt.Sprint(i), "v3", i-9), native("z", fmt.Sprint(i), "v3", i-9))
		}
		var got []string
		for i := range 7 {
			j, _ := f.leaseAOT(fmt.Sprint("t", i), 1, "v3")
			got = append(got, j.Repo)
			if j.Repo == "sly" && i < 6 {
				// It has a job that is leased and none that waits, and asks for one once it
				// is not known any more.
				f.update(func(ctx context.Context, tx meta.Tx) error { return tx.ForgetAOT(ctx, at(0)) })
				f.ask(native("sly", fmt.Sprint(1+i/3), "v3", -20))
			}
		}
		want(f, "order of LeaseAOT()", got, nil, []string{"sly", "a", "z", "sly", "a", "z", "sly"})
	}},
	{"a namespace whose jobs wait for later is passed over until one is due", func(f *fixture) {
		f.put(manifest("later/a", "1"), manifest("later/a", "2"), manifest("now/a", "1"), manifest("now/a", "2"))
		f.ask(native("later/a", "1", "v3", 50), native("now/a", "1", "v3", 0), native("now/a", "2", "v3", 0))
		var got []string
		lease := func(now int) {
			j, ok := f.leaseAOT(fmt.Sprint("t", len(got)), now, "v3")
			got = append(got, fmt.Sprint(now, " ", j.Repo, " ", ok))
		}
		lease(1)
		lease(49)
		lease(49)
		f.ask(native("later/a", "2", "v3", 40)) // sooner than what waits
		lease(49)
		lease(49)
		f.update(retryAOT("t0", 45, "", 49))
		lease(49)
		lease(50)
		f.update(retryAOT("t1", 60, "", 50))
		lease(59)
		lease(60)
		want(f, "LeaseAOT()", got, nil, []string{
			"1 now/a true", "49 now/a true", "49  false", "49 later/a true", "49  false", "49 now/a true", "50 later/a true", "59  false",
			"60 now/a true",
		})
	}},
	{"the targets of a worker take turns as well, and others are left alone", func(f *fixture) {
		var jobs []meta.NewAOTJob
		for i := range 3 {
			name := fmt.Sprint(i)
			f.put(manifest("r", name))
			jobs = append(jobs, native("r", name, "v1", i-9), native("r", name, "v3", i-6), native("r", name, "arm", i-3))
		}
		f.ask(jobs...)
		var got []string
		for i := range 7 {
			if j, ok := f.leaseAOT(fmt.Sprint("t", i), 1, "v3", "v1"); ok {
				got = append(got, j.Target)
			}
		}
		want(f, "targets of LeaseAOT()", got, nil, []string{"v1", "v3", "v1", "v3", "v1", "v3"})
		q := canDo("arm")
		q.Profile = "other"
		due, err := f.db.AOTDue(f.Context(), q, at(1))
		want(f, "AOTDue() for another profile", due, err, false)
		q = canDo("arm")
		q.Runtime = "wamr"
		due, err = f.db.AOTDue(f.Context(), q, at(1))
		want(f, "AOTDue() for another runtime", due, err, false)
	}},
	{"a lease that ran out is listed, and is its holder's until it is taken back", func(f *fixture) {
		f.put(manifest("r", "m"), manifest("r", "n"))
		ids, _ := f.ask(native("r", "m", "v3", 0), native("r", "n", "v3", 0))
		f.leaseAOT("t1", 0, "v3") // until 10
		f.leaseAOT("t2", 1, "v3") // until 11
		expired := func(now, limit int) (out []int64) {
			jobs, err := f.db.AOTExpired(f.Context(), at(now), limit)
			if err != nil {
				f.Fatalf("AOTExpired(%d) = %v", now, err)
			}
			for _, j := range jobs {
				out = append(out, j.ID)
			}
			return out
		}
		want(f, "AOTExpired() at the end", expired(10, 9), nil, nil)
		want(f, "AOTExpired() after the end", expired(11, 9), nil, ids[:1])
		want(f, "AOTExpired() after both", expired(12, 9), nil, ids)
		want(f, "AOTExpired(), one", expired(12, 1), nil, ids[:1])
		f.update(extendAOT("t1", 12, 22))
		want(f, "AOTExpired() once one was prolonged", expired(12, 9), nil, ids[1:])
	}},
	{"who lost a lease can do nothing with the job any more", func(f *fixture) {
		f.put(manifest("r", "m"), manifest("r", "code"))
		ids, _ := f.ask(native("r", "m", "v3", 0))
		f.leaseAOT("old", 0, "v3")
		f.update(retryAOT("old", 0, "it ran out", 11))
		f.leaseAOT("new", 11, "v3")
		before, err := f.db.AOTJob(f.Context(), ids[0])
		if err != nil {
			f.Fatal(err)
		}
		for _, token := range []string{"old", "", "never", "\x00", strings.Repeat("x", meta.MaxAOTText+1)} {
			for call, s := range map[string]step{
				"ExtendAOT": extendAOT(token, 12, 99), "FinishAOT": finishAOT(token, "code", 12),
				"RetryAOT": retryAOT(token, 12, "why", 12), "FailAOT": failAOT(token, "why", 12),
			} {
				f.failing(fmt.Sprintf("%s(%.9q)", call, token), meta.ErrConflict, s)
			}
			_, err := f.db.AOTLease(f.Context(), token)
			fails(f, fmt.Sprintf("AOTLease(%.9q)", token), err, meta.ErrNotFound)
		}
		f.wantAOT(ids[0], before)
		f.failing("FinishAOT() with no such manifest", meta.ErrNotFound, finishAOT("new", "nothing", 12))
		f.wantAOT(ids[0], before)
	}},
	{"two workers never get the same AOT job", func(f *fixture) {
		const n = 24
		var jobs []meta.NewAOTJob
		for i := range n {
			repo := fmt.Sprint("r", i%3)
			f.put(manifest(repo, fmt.Sprint(i)))
			jobs = append(jobs, native(repo, fmt.Sprint(i), "v3", 0))
		}
		f.ask(jobs...)
		var (
			mu      sync.Mutex
			holders = map[int64]string{}
			group   sync.WaitGroup
		)
		for w := range 4 {
			group.Go(func() {
				for i := range n {
					token := fmt.Sprint(w, "-", i)
					err := f.db.Update(f.Context(), func(ctx context.Context, tx meta.Tx) error {
						j, err := tx.LeaseAOT(ctx, canDo("v3"), meta.AOTLease{Token: token, Until: at(10)}, at(1))
						if err != nil {
							return err
						}
						mu.Lock()
						defer mu.Unlock()
						if other, ok := holders[j.ID]; ok && other != token {
							f.Errorf("job %d is leased by %s and by %s", j.ID, other, token)
						}
						holders[j.ID] = token
						return nil
					})
					if err != nil {
						fails(f, "LeaseAOT("+token+")", err, meta.ErrNotFound)
						return
					}
				}
			})
		}
		group.Wait()
		want(f, "jobs that were leased", len(holders), nil, n)
	}},
	{"who holds a lease in a repository is known until it runs out", func(f *fixture) {
		f.put(manifest("a/b", "m"), manifest("a", "m"))
		f.ask(native("a/b", "m", "v3", 0))
		holds := func(principal, repo string, now int) bool {
			ok, err := f.db.AOTLeasedTo(f.Context(), principal, repo, at(now))
			if err != nil {
				f.Fatalf("AOTLeasedTo(%s, %s) = %v", principal, repo, err)
			}
			return ok
		}
		want(f, "AOTLeasedTo() before", holds("ann", "a/b", 0), nil, false)
		f.leaseAOT("t", 0, "v3")
		want(f, "AOTLeasedTo() during", holds("ann", "a/b", 10), nil, true)
		want(f, "AOTLeasedTo() of another repository", holds("ann", "a", 10), nil, false)
		want(f, "AOTLeasedTo() of another principal", holds("bob", "a/b", 10), nil, false)
		want(f, "AOTLeasedTo() after its end", holds("ann", "a/b", 11), nil, false)
		f.update(failAOT("t", "why", 1))
		want(f, "AOTLeasedTo() once it is given back", holds("ann", "a/b", 2), nil, false)
	}},
	{"AOT jobs go with their manifest, with their result and with the repository", func(f *fixture) {
		f.put(manifest("r", "m"), manifest("r", "n"), manifest("r", "o"), manifest("s", "m"), manifest("r", "code"))
		ids, _ := f.ask(native("r", "m", "v3", 0), native("r", "n", "v3", 1), native("r", "o", "v3", 2), native("s", "m", "v3", 0))
		f.leaseAOT("t", 0, "v3")
		f.update(finishAOT("t", "code", 1))
		remove := func(repo, text string) {
			f.update(func(ctx context.Context, tx meta.Tx) error {
				_, err := tx.DeleteManifest(ctx, repo, sum(text))
				return err
			})
		}
		remove("r", "n")
		want(f, "ids without the manifest", f.aotIDs(meta.AOTFilter{}, 0, 0), nil, []int64{ids[0], ids[2], ids[3]})
		remove("r", "code")
		want(f, "ids without the result", f.aotIDs(meta.AOTFilter{}, 0, 0), nil, []int64{ids[2], ids[3]})
		f.update(func(ctx context.Context, tx meta.Tx) error { return tx.DeleteRepository(ctx, "r") })
		want(f, "ids without the repository", f.aotIDs(meta.AOTFilter{}, 0, 0), nil, ids[3:])
	}},
	{"AOT jobs are listed by what they are about, in pages, and counted by target", func(f *fixture) {
		f.put(manifest("r", "m"), manifest("r", "n"), manifest("s", "m"), manifest("r", "code"), manifest("s", "code"))
		ids, _ := f.ask(native("r", "m", "v3", 0), native("r", "m", "v1", 1), native("r", "n", "v3", 2), native("s", "m", "v3", 3))
		f.leaseAOT("a", 5, "v3")
		f.leaseAOT("b", 5, "v3")
		f.leaseAOT("c", 5, "v3")
		f.update(failAOT("a", "why", 6))
		f.update(func(ctx context.Context, tx meta.Tx) error {
			j, err := tx.AOTLease(ctx, "b")
			if err != nil {
				return err
			}
			want(f, "repository of the second lease", j.Repo, nil, "s")
			return tx.FinishAOT(ctx, "b", sum("code"), at(6))
		})
		for _, tt := range []struct {
			name   string
			filter meta.AOTFilter
			after  int64
			limit  int
			want   []int64
		}{
			{"all", meta.AOTFilter{}, 0, 0, ids},
			{"two", meta.AOTFilter{}, 0, 2, ids[:2]},
			{"those behind", meta.AOTFilter{}, ids[1], 0, ids[2:]},
			{"of a repository", meta.AOTFilter{Repo: "r"}, 0, 0, ids[:3]},
			{"of a target", meta.AOTFilter{Target: "v1"}, 0, 0, ids[1:2]},
			{"of a repository and a target", meta.AOTFilter{Repo: "r", Target: "v3"}, 0, 0, []int64{ids[0], ids[2]}},
			{"of a repository and a target, behind one", meta.AOTFilter{Repo: "r", Target: "v3"}, ids[0], 1, ids[2:3]},
			{"of a target that failed or is done", meta.AOTFilter{Target: "v3", States: []meta.AOTState{meta.AOTDone, meta.AOTFailed}}, 0, 1, ids[:1]},
			{"of a repository, queued", meta.AOTFilter{Repo: "s", States: []meta.AOTState{meta.AOTQueued}}, 0, 0, nil},
			{"of no repository", meta.AOTFilter{Repo: "none"}, 0, 0, nil},
			{"queued", meta.AOTFilter{States: []meta.AOTState{meta.AOTQueued}}, 0, 0, ids[1:2]},
			{"leased or failed", meta.AOTFilter{States: []meta.AOTState{meta.AOTFailed, meta.AOTLeased}}, 0, 0, []int64{ids[0], ids[2]}},
			{"done", meta.AOTFilter{States: []meta.AOTState{meta.AOTDone}}, 0, 0, ids[3:]},
		} {
			want(f, "AOTJobs(), "+tt.name, f.aotIDs(tt.filter, tt.after, tt.limit), nil, tt.want)
		}
		queued, err := f.db.AOTJob(f.Context(), ids[1])
		if err != nil {
			f.Fatal(err)
		}
		counts, err := f.db.AOTCounts(f.Context(), 0)
		want(f, "AOTCounts()", counts, err, []meta.AOTCount{
			{Runtime: "wasmtime", Target: "v1", Queued: 1, Oldest: queued.Created},
			{Runtime: "wasmtime", Target: "v3", Leased: 1, Failed: 1},
		})
	}},
	{"AOT jobs are counted in full, or up to a bound for each runtime, target and state", func(f *fixture) {
		none, err := f.db.AOTCounts(f.Context(), 2)
		want(f, "AOTCounts() of none", none, err, nil)
		for i := range 4 {
			name := fmt.Sprint(i)
			f.put(manifest("r", name))
			wamr := native("r", name, "v3", i)
			wamr.Runtime = "wamr"
			f.ask(native("r", name, "v3", i), native("r", name, "arm", i), wamr)
		}
		f.leaseAOT("a", 5, "v3")
		f.leaseAOT("b", 5, "v3")
		f.leaseAOT("c", 5, "v3")
		f.update(failAOT("c", "why", 6))
		for most, expect := range map[int][]meta.AOTCount{
			0: {{Runtime: "wamr", Target: "v3", Queued: 4}, {Runtime: "wasmtime", Target: "arm", Queued: 4}, {
				Runtime: "wasmtime", Target: "v3", Queued: 1, Leased: 2, Failed: 1,
			}},
			2: {{Runtime: "wamr", Target: "v3", Queued: 2}, {Runtime: "wasmtime", Target: "arm", Queued: 2}, {
				Runtime: "wasmtime", Target: "v3", Queued: 1, Leased: 2, Failed: 1,
			}},
			1: {{Runtime: "wamr", Target: "v3", Queued: 1}, {Runtime: "wasmtime", Target: "arm", Queued: 1}, {
				Runtime: "wasmtime", Target: "v3", Queued: 1, Leased: 1, Failed: 1,
			}},
		} {
			got, err := f.db.AOTCounts(f.Context(), most)
			for i, c := range got {
				if c.Oldest.IsZero() {
					f.Errorf("AOTCounts(%d) = %+v; want when the oldest was asked for", most, c)
				}
				got[i].Oldest = time.Time{}
			}
			want(f, fmt.Sprintf("AOTCounts(%d)", most), got, err, expect)
		}
	}},
	{"a job that nobody began is dropped, and one that is leased or done is not", func(f *fixture) {
		f.put(manifest("r", "m"), manifest("r", "code"))
		ids, _ := f.ask(native("r", "m", "a", 0), native("r", "m", "b", 0), native("r", "m", "c", 0), native("r", "m", "d", 0))
		f.leaseAOT("t1", 1, "a")
		f.update(finishAOT("t1", "code", 1))
		f.leaseAOT("t2", 1, "b")
		f.leaseAOT("t3", 1, "c")
		f.update(failAOT("t3", "why", 1))
		for i, id := range ids {
			err := f.db.Update(f.Context(), func(ctx context.Context, tx meta.Tx) error { return tx.DropAOT(ctx, id) })
			if i < 2 {
				fails(f, fmt.Sprintf("DropAOT(%d)", id), err, meta.ErrConflict)
			} else if err != nil {
				f.Errorf("DropAOT(%d) = %v", id, err)
			}
		}
		want(f, "ids after DropAOT()", f.aotIDs(meta.AOTFilter{}, 0, 0), nil, ids[:2])
		f.failing("DropAOT() of no job", meta.ErrNotFound, func(ctx context.Context, tx meta.Tx) error { return tx.DropAOT(ctx, 99) })
	}},
	{"workers are listed in order, replaced, bounded, and forgotten", func(f *fixture) {
		worker := func(principal, name string, n int) meta.AOTWorker {
			return meta.AOTWorker{
				AOTWorkerKey: meta.AOTWorkerKey{Principal: principal, Name: name}, Runtime: "wasmtime", Version: "1.2.3", Profile: "p",
				Offers: []meta.AOTOffer{{Target: "v3", CompatID: "c"}, {Target: "v1"}}, Seen: at(n),
			}
		}
		put := func(ws ...meta.AOTWorker) {
			f.Helper()
			f.update(func(ctx context.Context, tx meta.Tx) error {
				for _, w := range ws {
					if err := tx.PutAOTWorker(ctx, w); err != nil {
						return err
					}
				}
				return nil
			})
		}
		a, b, c := worker("", "z", 1), worker("ann", "b", 2), worker("ann", "a", 3)
		put(a, b, c)
		got, err := f.db.AOTWorkers(f.Context(), meta.AOTWorkerKey{}, 0)
		want(f, "AOTWorkers()", got, err, []meta.AOTWorker{a, c, b})
		got, err = f.db.AOTWorkers(f.Context(), c.AOTWorkerKey, 5)
		want(f, "AOTWorkers() behind one", got, err, []meta.AOTWorker{b})
		b.Version, b.Offers, b.Seen = "2", nil, at(9)
		put(b)
		f.update(func(ctx context.Context, tx meta.Tx) error { return tx.ForgetAOT(ctx, at(3)) })
		got, err = f.db.AOTWorkers(f.Context(), meta.AOTWorkerKey{}, 0)
		want(f, "AOTWorkers() that were seen lately", got, err, []meta.AOTWorker{c, b})
		var many []meta.AOTWorker
		for i := range meta.MaxAOTWorkers - 2 {
			many = append(many, worker("many", fmt.Sprintf("%04d", i), 5))
		}
		put(many...)
		put(b)
		f.failing("PutAOTWorker() of one more", meta.ErrConflict, func(ctx context.Context, tx meta.Tx) error {
			return tx.PutAOTWorker(ctx, worker("one", "more", 1))
		})
	}},
	{"a queue that was emptied and forgotten takes jobs again", func(f *fixture) {
		f.put(manifest("r", "m"))
		ids, _ := f.ask(native("r", "m", "v3", 0))
		forget := func(ctx context.Context, tx meta.Tx) error { return tx.ForgetAOT(ctx, at(0)) }
		f.update(forget)
		if _, ok := f.leaseAOT("t1", 1, "v3"); !ok {
			f.Error("a queue with a job was forgotten")
		}
		f.update(forget)
		f.update(retryAOT("t1", 1, "why", 1))
		if _, ok := f.leaseAOT("t2", 1, "v3"); !ok {
			f.Error("a queue with a leased job was forgotten")
		}
		f.update(failAOT("t2", "why", 1))
		f.update(forget)
		again := native("r", "m", "v3", 0)
		again.Again = true
		f.ask(again)
		if _, ok := f.leaseAOT("t3", 1, "v3"); !ok {
			f.Error("a forgotten queue does not take what failed")
		}
		f.update(failAOT("t3", "why", 1))
		f.update(func(ctx context.Context, tx meta.Tx) error { return tx.DropAOT(ctx, ids[0]) })
		f.update(forget)
		f.ask(native("r", "m", "v3", 0))
		if _, ok := f.leaseAOT("t4", 1, "v3"); !ok {
			f.Error("a forgotten queue takes no jobs")
		}
	}},
	{"AOT jobs and workers beyond a bound are refused", func(f *fixture) {
		f.put(manifest("r", "m"))
		long := strings.Repeat("x", meta.MaxAOTText+1)
		for name, edit := range map[string]func(*meta.NewAOTJob){
			"a long target":         func(j *meta.NewAOTJob) { j.Target = long },
			"a zero byte":           func(j *meta.NewAOTJob) { j.Runtime = "a\x00" },
			"no UTF-8":              func(j *meta.NewAOTJob) { j.Profile = "\xff" },
			"no UTF-8 in who asked": func(j *meta.NewAOTJob) { j.Requester = "\xff" },
		} {
			j := native("r", "m", "v3", 0)
			edit(&j)
			err := f.db.Update(f.Context(), func(ctx context.Context, tx meta.Tx) error {
				_, _, err := tx.EnqueueAOT(ctx, j)
				return err
			})
			if err == nil {
				f.Errorf("EnqueueAOT() with %s = nil, want an error", name)
			}
		}
		want(f, "AOTJobs()", f.aotIDs(meta.AOTFilter{}, 0, 0), nil, nil)
		for name, edit := range map[string]func(*meta.AOTWorker){
			"a long name":       func(w *meta.AOTWorker) { w.Name = long },
			"a zero byte":       func(w *meta.AOTWorker) { w.Principal = "\x00" },
			"too many targets":  func(w *meta.AOTWorker) { w.Offers = make([]meta.AOTOffer, meta.MaxAOTOffers+1) },
			"a long compat id":  func(w *meta.AOTWorker) { w.Offers = []meta.AOTOffer{{CompatID: long}} },
			"no UTF-8 anywhere": func(w *meta.AOTWorker) { w.Version = "\xff" },
		} {
			var w meta.AOTWorker
			edit(&w)
			if err := f.db.Update(f.Context(), func(ctx context.Context, tx meta.Tx) error { return tx.PutAOTWorker(ctx, w) }); err == nil {
				f.Errorf("PutAOTWorker() with %s = nil, want an error", name)
			}
		}
		if _, err := f.db.AOTDue(f.Context(), canDo(make([]string, meta.MaxAOTOffers+1)...), at(1)); err == nil {
			f.Error("AOTDue() for too many targets = nil, want an error")
		}
		f.failing("EnqueueAOT() of no manifest", meta.ErrNotFound, func(ctx context.Context, tx meta.Tx) error {
			_, _, err := tx.EnqueueAOT(ctx, native("r", "none", "v3", 0))
			return err
		})
	}},
	{"a long reason is cut, not refused", func(f *fixture) {
		f.put(manifest("r", "m"))
		ids, _ := f.ask(native("r", "m", "v3", 0))
		f.leaseAOT("t", 1, "v3")
		f.update(failAOT("t", strings.Repeat("ä", meta.MaxAOTFailure), 2))
		j, err := f.db.AOTJob(f.Context(), ids[0])
		want(f, "failure", j.Failure, err, strings.Repeat("ä", meta.MaxAOTFailure/2))
	}},
	{"the rules that jobs were enqueued by are kept", func(f *fixture) {
		got, err := f.db.AOTRules(f.Context())
		want(f, "AOTRules() at first", got, err, "")
		f.update(func(ctx context.Context, tx meta.Tx) error { return tx.SetAOTRules(ctx, "x") })
		got, err = f.db.AOTRules(f.Context())
		want(f, "AOTRules()", got, err, "x")
	}},
	{"AOT jobs and workers are neither journaled nor dumped", func(f *fixture) {
		f.put(manifest("r", "m"))
		before, entries := f.dump(), sequences(f.entries())
		f.ask(native("r", "m", "v3", 0))
		f.leaseAOT("t", 1, "v3")
		f.update(func(ctx context.Context, tx meta.Tx) error { return tx.PutAOTWorker(ctx, meta.AOTWorker{Seen: at(1)}) })
		want(f, "sequences", sequences(f.entries()), nil, entries)
		want(f, "Dump()", f.dump(), nil, before)
	}},
}
