package sqlmeta

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/storage/meta"
)

// AOTJob implements meta.AOTJobs.
func (r reader) AOTJob(ctx context.Context, id int64) (meta.AOTJob, error) {
	return r.oneAOT(ctx, fmt.Sprintf("AOT job %d", id), "aot_job", id)
}

// AOTLease implements meta.AOTJobs.
func (r reader) AOTLease(ctx context.Context, token string) (meta.AOTJob, error) {
	if checkAOT(token) != nil {
		return meta.AOTJob{}, fmt.Errorf("%w: no token of a lease", meta.ErrNotFound)
	}
	return r.oneAOT(ctx, fmt.Sprintf("AOT lease %.40q", token), "aot_lease", token)
}

func (r reader) oneAOT(ctx context.Context, what, statement string, params ...any) (meta.AOTJob, error) {
	jobs, err := r.aotJobs(ctx, statement, params...)
	if err != nil {
		return meta.AOTJob{}, err
	}
	if len(jobs) == 0 {
		return meta.AOTJob{}, fmt.Errorf("%w: %s", meta.ErrNotFound, what)
	}
	return jobs[0], nil
}

// AOTJobs implements meta.AOTJobs. Each filter has an index in which the jobs of a
// state come in order of id.
func (r reader) AOTJobs(ctx context.Context, f meta.AOTFilter, after int64, limit int) ([]meta.AOTJob, error) {
	var out []meta.AOTJob
	for _, s := range []meta.AOTState{meta.AOTQueued, meta.AOTLeased, meta.AOTDone, meta.AOTFailed} {
		if len(f.States) > 0 && !slices.Contains(f.States, s) {
			continue
		}
		name, params := "aot_jobs_in", args(int64(s), after, rowLimit(limit))
		switch {
		case f.Repo != "":
			name, params = "aot_jobs_of_repository", append(params, f.Repo, f.Target)
		case f.Target != "":
			name, params = "aot_jobs_for_target", append(params, f.Target)
		}
		jobs, err := r.aotJobs(ctx, name, params...)
		if err != nil {
			return nil, err
		}
		out = append(out, jobs...)
	}
	slices.SortFunc(out, func(a, b meta.AOTJob) int { return cmp.Compare(a.ID, b.ID) })
	if limit > 0 && len(out) > limit {
		out = out[:limit]
	}
	return out, nil
}

// AOTJobsOf implements meta.AOTJobs.
func (r reader) AOTJobsOf(ctx context.Context, repo string, d digest.Digest) ([]meta.AOTJob, error) {
	return r.aotJobs(ctx, "aot_jobs_of", repo, string(d))
}

// AOTExpired implements meta.AOTJobs.
func (r reader) AOTExpired(ctx context.Context, now time.Time, limit int) ([]meta.AOTJob, error) {
	return r.aotJobs(ctx, "aot_expired", micros(now), rowLimit(limit))
}

// aotJobs runs a statement that lists whole rows.
func (r reader) aotJobs(ctx context.Context, name string, params ...any) ([]meta.AOTJob, error) {
	var out []meta.AOTJob
	err := each(ctx, r.q, name, params, func(rows *sql.Rows) error {
		var j meta.AOTJob
		err := rows.Scan(&j.ID, &j.Repo, (*string)(&j.Subject), (*string)(&j.Source), &j.Size, &j.Target, &j.Runtime, &j.Profile, &j.Requester,
			when{&j.Due}, &j.State, &j.Attempts, &j.Lease.Token, &j.Lease.Principal, &j.Lease.Worker, optional{&j.Lease.Since}, optional{&j.Lease.Until}, &j.Failure,
			(*string)(&j.Result), when{&j.Created}, when{&j.Updated})
		if err != nil {
			return r.q.fail(name, err)
		}
		out = append(out, j)
		return nil
	})
	return out, err
}

// AOTLeasedTo implements meta.AOTJobs.
func (r reader) AOTLeasedTo(ctx context.Context, principal, repo string, now time.Time) (bool, error) {
	return one(ctx, r.q, "aot_leased_to", args(principal, repo, micros(now)), new(int64))
}

// AOTDue implements meta.AOTJobs.
func (r reader) AOTDue(ctx context.Context, q meta.AOTQuery, now time.Time) (bool, error) {
	if err := checkQuery(q); err != nil {
		return false, err
	}
	for _, target := range q.Targets {
		due, err := one(ctx, r.q, "aot_due", args(q.Runtime, target, q.Profile, micros(now)), new(int64))
		if due || err != nil {
			return due, err
		}
	}
	return false, nil
}

func checkQuery(q meta.AOTQuery) error {
	if len(q.Targets) > meta.MaxAOTOffers {
		return fmt.Errorf("%d targets are more than %d", len(q.Targets), meta.MaxAOTOffers)
	}
	return checkAOT(append([]string{q.Runtime, q.Profile}, q.Targets...)...)
}

// AOTCounts implements meta.AOTJobs.
func (r reader) AOTCounts(ctx context.Context, most int) ([]meta.AOTCount, error) {
	var out []meta.AOTCount
	err := each(ctx, r.q, "aot_counts", args(rowLimit(most)), func(rows *sql.Rows) error {
		var (
			runtime, target string
			state           meta.AOTState
			n               int
			oldest          time.Time
		)
		if err := rows.Scan(&runtime, &target, &state, &n, when{&oldest}); err != nil {
			return r.q.fail("aot_counts", err)
		}
		if last := len(out) - 1; last < 0 || out[last].Runtime != runtime || out[last].Target != target {
			out = append(out, meta.AOTCount{Runtime: runtime, Target: target})
		}
		c := &out[len(out)-1]
		switch state {
		case meta.AOTQueued:
			c.Queued, c.Oldest = n, oldest
		case meta.AOTLeased:
			c.Leased = n
		case meta.AOTFailed:
			c.Failed = n
		case meta.AOTDone: // not counted
		}
		return nil
	})
	return out, err
}

// AOTRules implements meta.AOTJobs.
func (r reader) AOTRules(ctx context.Context) (string, error) {
	var text string
	_, err := one(ctx, r.q, "aot_rules", nil, &text)
	return text, err
}

// AOTWorkers implements meta.AOTJobs.
func (r reader) AOTWorkers(ctx context.Context, after meta.AOTWorkerKey, limit int) ([]meta.AOTWorker, error) {
	var out []meta.AOTWorker
	err := each(ctx, r.q, "aot_workers", args(after.Principal, after.Name, rowLimit(limit)), func(rows *sql.Rows) error {
		var (
			w      meta.AOTWorker
			offers []byte
		)
		if err := rows.Scan(&w.Principal, &w.Name, &w.Runtime, &w.Version, &w.Profile, &offers, when{&w.Seen}); err != nil {
			return r.q.fail("aot_workers", err)
		}
		if err := json.Unmarshal(offers, &w.Offers); err != nil {
			return fmt.Errorf("targets of worker %s of %s: %w", w.Name, w.Principal, err)
		}
		out = append(out, w)
		return nil
	})
	return out, err
}

// EnqueueAOT implements meta.AOTWriter.
func (t *tx) EnqueueAOT(ctx context.Context, j meta.NewAOTJob) (int64, bool, error) {
	id, added, err := t.enqueueAOT(ctx, j)
	if err != nil {
		return 0, false, fmt.Errorf("AOT job of %s in %s for %.60q: %w", j.Subject, j.Repo, j.Target, err)
	}
	return id, added, nil
}

func (t *tx) enqueueAOT(ctx context.Context, j meta.NewAOTJob) (id int64, added bool, err error) {
	if err := checkAOT(j.Target, j.Runtime, j.Profile); err != nil {
		return 0, false, err
	}
	if err := checkText("requester", j.Requester); err != nil {
		return 0, false, err
	}
	repoID, err := t.repositoryID(ctx, j.Repo)
	if err != nil {
		return 0, false, err
	}
	manifest, err := t.manifestID(ctx, repoID, j.Repo, j.Subject)
	if err != nil {
		return 0, false, err
	}
	var state meta.AOTState
	found, err := one(ctx, t, "aot_id", args(manifest, j.Runtime, j.Target, j.Profile), &id, &state)
	if err != nil {
		return 0, false, err
	}
	if found && (state == meta.AOTQueued || state == meta.AOTLeased || !j.Again) {
		return id, false, nil
	}
	now := micros(time.Now())
	if found {
		_, err = t.exec(ctx, "enqueue_aot", id, micros(j.Due), j.Requester, now)
	} else {
		namespace, _, _ := strings.Cut(j.Repo, "/")
		_, err = one(ctx, t, "insert_aot", args(manifest, repoID, namespace, string(j.Source), j.Size, j.Target, j.Runtime, j.Profile, j.Requester,
			micros(j.Due), now), &id)
	}
	if err == nil {
		_, err = t.exec(ctx, "aot_queue", id)
	}
	return id, err == nil, err
}

// LeaseAOT implements meta.AOTWriter.
func (t *tx) LeaseAOT(ctx context.Context, q meta.AOTQuery, l meta.AOTLease, now time.Time) (meta.AOTJob, error) {
	err := errors.Join(checkQuery(q), checkAOT(l.Token, l.Worker), checkText("principal", l.Principal))
	if err != nil {
		return meta.AOTJob{}, fmt.Errorf("lease an AOT job: %w", err)
	}
	var next *turn
	for _, target := range q.Targets {
		one, err := t.aotTurn(ctx, q.Runtime, target, q.Profile, now)
		if err != nil {
			return meta.AOTJob{}, err
		}
		if one != nil && (next == nil || one.number < next.number) {
			next = one
		}
	}
	if next == nil {
		return meta.AOTJob{}, fmt.Errorf("%w: no AOT job is due", meta.ErrNotFound)
	}
	if _, err := t.exec(ctx, "aot_take_turn", q.Runtime, next.target, q.Profile, next.namespace); err != nil {
		return meta.AOTJob{}, err
	}
	if _, err := t.exec(ctx, "lease_aot", next.job, l.Token, l.Principal, l.Worker, micros(l.Until), micros(now)); err != nil {
		return meta.AOTJob{}, err
	}
	return t.AOTJob(ctx, next.job)
}

// A turn is that of a namespace in the queue of a target, with the job that is the
// next of it.
type turn struct {
	target, namespace string
	number, job       int64
}

// aotTurn says whose turn it is in the queue of a target, nil for nobody's. A
// namespace without a job that is due is looked at once, and then passed over until
// one is: however many wait for later, the next is found in few steps.
func (t *tx) aotTurn(ctx context.Context, runtime, target, profile string, now time.Time) (*turn, error) {
	queue := args(runtime, target, profile)
	if _, err := t.exec(ctx, "aot_wake", append(queue, micros(now))...); err != nil {
		return nil, err
	}
	for {
		next := &turn{target: target}
		found, err := one(ctx, t, "aot_turn", queue, &next.namespace, &next.number)
		if !found || err != nil {
			return nil, err
		}
		of := append(queue, next.namespace)
		if found, err = one(ctx, t, "aot_next", append(of, micros(now)), &next.job); found || err != nil {
			return next, err
		}
		if _, err := t.exec(ctx, "aot_sleep", of...); err != nil {
			return nil, err
		}
	}
}

// ExtendAOT implements meta.AOTWriter.
func (t *tx) ExtendAOT(ctx context.Context, token string, now, until time.Time) error {
	return t.byLease(ctx, "extend_aot", token, micros(until), micros(now))
}

// FinishAOT implements meta.AOTWriter.
func (t *tx) FinishAOT(ctx context.Context, token string, result digest.Digest, now time.Time) error {
	j, err := t.AOTLease(ctx, token)
	if err != nil {
		return notLeased(token)
	}
	repoID, err := t.repositoryID(ctx, j.Repo)
	if err != nil {
		return err
	}
	manifest, err := t.manifestID(ctx, repoID, j.Repo, result)
	if err != nil {
		return err
	}
	return t.byLease(ctx, "finish_aot", token, manifest, micros(now))
}

// RetryAOT implements meta.AOTWriter.
func (t *tx) RetryAOT(ctx context.Context, token string, due time.Time, reason string, now time.Time) error {
	if checkAOT(token) != nil {
		return notLeased(token)
	}
	var id int64
	found, err := one(ctx, t, "retry_aot", args(token, micros(due), aotFailure(reason), micros(now)), &id)
	if err == nil && !found {
		err = notLeased(token)
	}
	if err == nil {
		_, err = t.exec(ctx, "aot_queue", id)
	}
	return err
}

// FailAOT implements meta.AOTWriter.
func (t *tx) FailAOT(ctx context.Context, token, reason string, now time.Time) error {
	return t.byLease(ctx, "fail_aot", token, aotFailure(reason), micros(now))
}

func aotFailure(reason string) string {
	return storable(reason[:min(len(reason), meta.MaxAOTFailure)])
}

// byLease runs a statement that changes the job with a lease.
func (t *tx) byLease(ctx context.Context, name, token string, params ...any) error {
	if checkAOT(token) != nil {
		return notLeased(token)
	}
	changed, err := t.exec(ctx, name, append(args(token), params...)...)
	if err == nil && changed == 0 {
		err = notLeased(token)
	}
	return err
}

func notLeased(token string) error {
	return fmt.Errorf("%w: no AOT job is leased by %.40q", meta.ErrConflict, token)
}

// DropAOT implements meta.AOTWriter.
func (t *tx) DropAOT(ctx context.Context, id int64) error {
	changed, err := t.exec(ctx, "drop_aot", id)
	if err != nil || changed > 0 {
		return err
	}
	if _, err := t.AOTJob(ctx, id); err != nil {
		return err
	}
	return fmt.Errorf("%w: AOT job %d is leased or has a result", meta.ErrConflict, id)
}

// SetAOTRules implements meta.AOTWriter.
func (t *tx) SetAOTRules(ctx context.Context, text string) error {
	if err := checkText("AOT rules", text); err != nil {
		return err
	}
	_, err := t.exec(ctx, "set_aot_rules", text)
	return err
}

// PutAOTWorker implements meta.AOTWriter.
func (t *tx) PutAOTWorker(ctx context.Context, w meta.AOTWorker) error {
	if err := t.putAOTWorker(ctx, w); err != nil {
		return fmt.Errorf("worker %.60q of %.60q: %w", w.Name, w.Principal, err)
	}
	return nil
}

func (t *tx) putAOTWorker(ctx context.Context, w meta.AOTWorker) error {
	if err := checkText("principal", w.Principal); err != nil {
		return err
	}
	texts := []string{w.Name, w.Runtime, w.Version, w.Profile}
	for _, o := range w.Offers {
		texts = append(texts, o.Target, o.CompatID)
	}
	if err := checkAOT(texts...); err != nil {
		return err
	}
	if len(w.Offers) > meta.MaxAOTOffers {
		return fmt.Errorf("%d targets are more than %d", len(w.Offers), meta.MaxAOTOffers)
	}
	var others int64
	if _, err := one(ctx, t, "count_other_aot_workers", args(w.Principal, w.Name), &others); err != nil {
		return err
	}
	if others >= meta.MaxAOTWorkers {
		return fmt.Errorf("%w: there are %d workers already", meta.ErrConflict, others)
	}
	offers, err := json.Marshal(w.Offers)
	if err != nil {
		return err
	}
	_, err = t.exec(ctx, "put_aot_worker", w.Principal, w.Name, w.Runtime, w.Version, w.Profile, offers, micros(w.Seen))
	return err
}

// ForgetAOT implements meta.AOTWriter.
func (t *tx) ForgetAOT(ctx context.Context, before time.Time) error {
	if _, err := t.exec(ctx, "forget_aot_workers", micros(before)); err != nil {
		return err
	}
	_, err := t.exec(ctx, "forget_aot_queues")
	return err
}

// checkAOT refuses texts that are too long or that PostgreSQL cannot store.
func checkAOT(texts ...string) error {
	for _, s := range texts {
		if len(s) > meta.MaxAOTText {
			return fmt.Errorf("%.40q has %d bytes, more than %d", s, len(s), meta.MaxAOTText)
		}
	}
	return checkText("AOT", texts...)
}
