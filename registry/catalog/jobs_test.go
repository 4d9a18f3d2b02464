package catalog

import (
	"context"
	"testing"
	"time"

	"github.com/wreg-project/wreg/registry/catalog/wire"
	"github.com/wreg-project/wreg/storage/meta"
)

func TestJobs(t *testing.T) {
	e := start(t, nil).as("root")
	now := time.Now()
	var dead, leased int64
	err := e.db.Update(t.Context(), func(ctx context.Context, tx meta.Tx) error {
		for _, key := range []string{"a", "b", "c"} {
			if _, err := tx.Enqueue(ctx, meta.NewJob{Kind: "other", Key: key, Due: now.Add(-time.Hour)}); err != nil {
				return err
			}
		}
		jobs, err := tx.Lease(ctx, []string{"other"}, 2, "me", now, now.Add(time.Hour))
		if err != nil {
			return err
		}
		dead, leased = jobs[0].ID, jobs[1].ID
		return tx.BuryJob(ctx, dead, "me", now, "it is broken")
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{1, 2, 10} {
		if got := all[wire.Job](e, "/jobs?kind=other", n); len(got) != 3 {
			t.Errorf("jobs in pages of %d = %+v, want three", n, got)
		}
	}
	list := get[wire.JobList](e, "/jobs?state=dead")
	if len(list.Items) != 1 || list.Items[0].ID != dead || list.Items[0].Failure != "it is broken" || list.Items[0].State != wire.JobDead {
		t.Errorf("dead jobs = %+v, want job %d", list.Items, dead)
	}
	if len(list.Counts) != 1 || list.Counts[0].Kind != "other" || list.Counts[0].Waiting != 1 || list.Counts[0].Leased != 1 ||
		list.Counts[0].Dead != 1 {
		t.Errorf("counts = %+v, want one in each state", list.Counts)
	}
	path := func(id int64, more string) string { return "/jobs/" + itoa(id) + more }
	e.refused(e.do("POST", path(leased, "/retry"), nil), wire.CodeConflict)
	e.refused(e.do("DELETE", path(leased, ""), nil), wire.CodeConflict)
	if got := read[wire.Job](e, "POST", path(dead, "/retry"), nil); got.State != wire.JobWaiting || got.Attempts != 0 {
		t.Errorf("retried job = %+v, want it waiting", got)
	}
	e.status(e.do("DELETE", path(dead, ""), nil), 204)
	e.refused(e.do("DELETE", path(dead, ""), nil), wire.CodeNotFound)
	if got := get[wire.JobList](e, "/jobs"); len(got.Items) != 2 {
		t.Errorf("jobs = %+v, want the two that are left", got.Items)
	}
}
