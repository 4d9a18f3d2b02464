package catalog

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"

	"github.com/wreg-project/wreg/registry/catalog/wire"
	"github.com/wreg-project/wreg/storage/meta"
)

// jobStates are the words for states, in their order.
var jobStates = []wire.JobState{meta.JobWaiting: wire.JobWaiting, meta.JobLeased: wire.JobLeased, meta.JobDead: wire.JobDead}

func wireJob(j meta.Job) wire.Job {
	w := wire.Job{
		ID: j.ID, Kind: j.Kind, Key: j.Key, Repository: j.Repo, State: jobStates[j.State], Attempts: j.Attempts, Failure: j.Failure,
		Due: j.Due.UTC(), Created: j.Created.UTC(), Updated: j.Updated.UTC(),
	}
	if j.State == meta.JobLeased {
		w.Until = j.Until.UTC()
	}
	return w
}

func (a *API) listJobs(ctx context.Context, q *request) (answer, error) {
	var after int64
	if _, err := q.after(&after); err != nil {
		return answer{}, err
	}
	f := meta.JobFilter{Kind: q.text("kind")}
	if state := slices.Index(jobStates, wire.JobState(q.text("state"))); state >= 0 {
		f.States = []meta.JobState{meta.JobState(state)}
	}
	rows, err := a.Meta.Jobs(ctx, f, after, q.limit()+1)
	if err != nil {
		return answer{}, fmt.Errorf("jobs: %w", err)
	}
	list := wire.JobList{List: wire.List[wire.Job]{Items: []wire.Job{}}}
	for i, j := range rows {
		if i == q.limit() {
			if list.Next, err = q.next(rows[i-1].ID); err != nil {
				return answer{}, err
			}
			break
		}
		list.Items = append(list.Items, wireJob(j))
	}
	if list.Counts, err = a.jobCounts(ctx); err != nil {
		return answer{}, err
	}
	return found(list)
}

func (a *API) jobCounts(ctx context.Context) ([]wire.JobCount, error) {
	counts, err := a.Meta.JobCounts(ctx)
	if err != nil {
		return nil, fmt.Errorf("count jobs: %w", err)
	}
	list := []wire.JobCount{}
	for _, kind := range slices.Sorted(maps.Keys(counts)) {
		c := counts[kind]
		list = append(list, wire.JobCount{Kind: kind, Waiting: c.Waiting, Leased: c.Leased, Dead: c.Dead, Oldest: c.Oldest.UTC()})
	}
	return list, nil
}

// retryJob and dropJob are refused while somebody is at the job.
func (a *API) retryJob(ctx context.Context, q *request) (answer, error) {
	id := q.id()
	var job meta.Job
	err := a.Meta.Update(ctx, func(ctx context.Context, tx meta.Tx) error {
		if err := tx.ReviveJob(ctx, id, a.Clock()); err != nil {
			return err
		}
		var err error
		job, err = tx.Job(ctx, id)
		return err
	})
	if err != nil {
		return answer{}, jobProblem(id, "retry", err)
	}
	return found(wireJob(job))
}

func (a *API) dropJob(ctx context.Context, q *request) (answer, error) {
	id := q.id()
	err := a.Meta.Update(ctx, func(ctx context.Context, tx meta.Tx) error { return tx.DropJob(ctx, id) })
	if err != nil {
		return answer{}, jobProblem(id, "drop", err)
	}
	return answer{status: http.StatusNoContent}, nil
}

// id is the parameter of the path, which is checked.
func (q *request) id() int64 {
	n, _ := strconv.ParseInt(q.path["id"], 10, 64)
	return n
}

func jobProblem(id int64, what string, err error) error {
	switch {
	case errors.Is(err, meta.ErrNotFound):
		return &wire.Problem{
			Code: wire.CodeNotFound, Detail: fmt.Sprintf("there is no job %d", id), Hint: "a job that is done is gone; GET " + wire.Base +
				"/jobs lists the others",
		}
	case errors.Is(err, meta.ErrConflict):
		return &wire.Problem{Code: wire.CodeConflict, Detail: fmt.Sprintf("job %d is being worked on", id), Hint: "wait until its lease runs out"}
	}
	return fmt.Errorf("%s job %d: %w", what, id, err)
}

// postReindex makes jobs for what is stored.
func (a *API) postReindex(ctx context.Context, q *request) (answer, error) {
	body := q.body.(*wire.ReindexRequest)
	if body.Package == "" && body.Digest != "" {
		return answer{}, &wire.Problem{Code: wire.CodeConflict, Detail: "a digest is of a package", Hint: "name the package too"}
	}
	repo, _ := wire.Repository(body.Package) // checked, or ""
	if a.Ingest == nil {
		return answer{}, &wire.Problem{Code: wire.CodeConflict, Detail: "this server ingests nothing"}
	}
	if body.Digest != "" {
		if _, err := a.digestOf(ctx, repo, registryRef{digest: body.Digest}); err != nil {
			return answer{}, err
		}
	}
	n, err := a.Ingest.Reindex(ctx, repo, body.Digest)
	if err != nil {
		return answer{}, a.missing(repo, "", fmt.Errorf("reindex: %w", err))
	}
	return answer{status: http.StatusAccepted, body: wire.Reindexed{Enqueued: n}}, nil
}
