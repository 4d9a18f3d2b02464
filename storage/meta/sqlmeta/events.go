package sqlmeta

import (
	"cmp"
	"context"
	"database/sql"
	"slices"
	"time"

	"github.com/wreg-project/wreg/storage/meta"
)

func (r reader) EventsAfter(ctx context.Context, v meta.Visibility, after int64, max int) ([]meta.Event, error) {
	limit := limit(meta.Page{Limit: max})
	var out []meta.Event
	for _, s := range spans(v) { // each may have the first ones
		err := each(ctx, r.q, "events_after", args(after, s.low, s.high, limit), func(rows *sql.Rows) error {
			var e meta.Event
			err := rows.Scan(&e.ID, when{&e.Time}, &e.Kind, &e.Repo, (*string)(&e.Digest), &e.Tag, &e.Actor, (*document)(&e.Detail))
			if err != nil {
				return r.q.fail("events_after", err)
			}
			out = append(out, e)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	slices.SortFunc(out, func(a, b meta.Event) int { return cmp.Compare(a.ID, b.ID) })
	return out[:min(int64(len(out)), limit)], nil
}

func (r reader) LastEvent(ctx context.Context) (int64, error) {
	var last int64
	_, err := one(ctx, r.q, "last_event", nil, &last)
	return last, err
}

func (t *tx) PutEvent(ctx context.Context, e meta.Event) error {
	if err := checkText("event", e.Kind, e.Repo, string(e.Digest), e.Tag, e.Actor); err != nil {
		return err
	}
	_, err := t.exec(ctx, "insert_event", micros(e.Time), e.Kind, e.Repo, string(e.Digest), e.Tag, e.Actor, notNil(e.Detail))
	return err
}

func (t *tx) ForgetEvents(ctx context.Context, before time.Time, keep int64) (int64, error) {
	return t.forget(ctx, eventLog, before, keep)
}
