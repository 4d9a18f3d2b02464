package jobs

import (
	"context"
	"time"

	"github.com/wreg-project/wreg/storage/meta"
)

// Watch returns db with an Update that wakes the Runner once a transaction has
// enqueued or revived a job, so that it is begun at once and not at the next
// poll.
func (r *Runner) Watch(db meta.DB) meta.DB { return watched{DB: db, runner: r} }

type watched struct {
	meta.DB
	runner *Runner
}

// Update implements meta.DB.
func (w watched) Update(ctx context.Context, fn func(context.Context, meta.Tx) error) error {
	var enqueued bool
	err := w.DB.Update(ctx, func(ctx context.Context, tx meta.Tx) error {
		enqueued = false
		return fn(ctx, &watchedTx{Tx: tx, enqueued: &enqueued})
	})
	if err == nil && enqueued {
		w.runner.Wake()
	}
	return err
}

type watchedTx struct {
	meta.Tx
	enqueued *bool
}

func (t *watchedTx) Enqueue(ctx context.Context, j meta.NewJob) (int64, error) {
	*t.enqueued = true
	return t.Tx.Enqueue(ctx, j)
}

// ReviveJob implements meta.JobWriter.
func (t *watchedTx) ReviveJob(ctx context.Context, id int64, now time.Time) error {
	*t.enqueued = true
	return t.Tx.ReviveJob(ctx, id, now)
}
