package sqlmeta

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/storage/meta"
)

func (r reader) Decisions(
	ctx context.Context, v meta.Visibility, f meta.DecisionFilter, before int64, max int,
) ([]meta.Decision, error) {
	if before == 0 {
		before = math.MaxInt64
	}
	limit := limit(meta.Page{Limit: max})
	var out []meta.Decision
	// The newest of each span are more than enough: which of them are the newest
	// of all shows only once they are there.
	for _, s := range spansOf(v, f.Repo) {
		query, params := "decisions", args(before, int64(f.Outcome), s.low, s.high)
		switch {
		case f.Digest != "":
			query, params = "decisions_of_digest", append(params, string(f.Digest))
		case f.Repo != "":
			query, params = "decisions_of_repository", params[:3]
		}
		err := each(ctx, r.q, query, append(params, limit), func(rows *sql.Rows) error {
			d, err := scanDecision(rows)
			if err != nil {
				return r.q.fail(query, err)
			}
			out = append(out, d)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	slices.SortFunc(out, func(a, b meta.Decision) int { return cmp.Compare(b.ID, a.ID) })
	return out[:min(int64(len(out)), limit)], nil
}

func scanDecision(rows *sql.Rows) (meta.Decision, error) {
	var d meta.Decision
	err := rows.Scan(&d.ID, when{&d.Time}, &d.Repo, (*string)(&d.Digest), (*words)(&d.Tags), &d.Action, &d.Principal,
		(*int)(&d.Outcome), &d.Revision, (*document)(&d.Violations))
	return d, err
}

// words scans a list as joinWords makes it, document JSON that may be missing.
type (
	words    []string
	document json.RawMessage
)

func (w *words) Scan(src any) error {
	text, ok := src.(string)
	if !ok {
		return fmt.Errorf("a list is stored as %T", src)
	}
	*w = nil
	for s := range strings.FieldsSeq(text) {
		*w = append(*w, s)
	}
	return nil
}

func (d *document) Scan(src any) error {
	b, ok := src.([]byte)
	if !ok {
		return fmt.Errorf("a document is stored as %T", src)
	}
	*d = nil
	if len(b) > 0 {
		*d = slices.Clone(b)
	}
	return nil
}

func (t *tx) PutDecision(ctx context.Context, d meta.Decision) (int64, error) {
	tags := strings.Join(d.Tags, " ")
	if err := checkText("decision", d.Repo, string(d.Digest), tags, d.Action, d.Principal); err != nil {
		return 0, err
	}
	var id int64
	_, err := one(ctx, t, "insert_decision", args(micros(d.Time), d.Repo, string(d.Digest), tags, d.Action, d.Principal,
		int64(d.Outcome), d.Revision, notNil(d.Violations)), &id)
	return id, err
}

func (r reader) Quarantined(ctx context.Context, repo string, d digest.Digest, now time.Time) (meta.Quarantine, error) {
	q := meta.Quarantine{Repo: repo, Digest: d}
	found, err := one(ctx, r.q, "quarantined", args(repo, string(d), micros(now)), &q.MediaType, (*digests)(&q.Blobs),
		(*words)(&q.Tags), &q.Uploader, &q.Decision, when{&q.Created}, when{&q.Until}, &q.Content)
	if err != nil {
		return meta.Quarantine{}, err
	}
	if !found {
		return meta.Quarantine{}, missing(repo, "quarantined manifest "+string(d))
	}
	return q, nil
}

func (r reader) Quarantine(
	ctx context.Context, v meta.Visibility, after meta.ManifestKey, max int, now time.Time,
) ([]meta.Quarantine, error) {
	left := limit(meta.Page{Limit: max})
	var out []meta.Quarantine
	for _, s := range spans(v) {
		params := args(s.low, s.high, after.Repo, string(after.Digest), micros(now), left)
		err := each(ctx, r.q, "quarantine", params, func(rows *sql.Rows) error {
			var q meta.Quarantine
			err := rows.Scan(&q.Repo, (*string)(&q.Digest), &q.MediaType, (*digests)(&q.Blobs), (*words)(&q.Tags), &q.Uploader,
				&q.Decision, when{&q.Created}, when{&q.Until})
			if err != nil {
				return r.q.fail("quarantine", err)
			}
			out = append(out, q)
			left--
			return nil
		})
		if err != nil || left == 0 {
			return out, err
		}
	}
	return out, nil
}

func (r reader) QuarantineHolds(ctx context.Context, repo string, d digest.Digest, now time.Time) (bool, error) {
	return one(ctx, r.q, "quarantine_holds", args(repo, string(d), micros(now)), new(int64))
}

func (t *tx) PutQuarantine(ctx context.Context, q meta.Quarantine) error {
	tags := strings.Join(q.Tags, " ")
	if err := checkText("quarantine", q.Repo, string(q.Digest), q.MediaType, joinDigests(q.Blobs), tags, q.Uploader); err != nil {
		return err
	}
	if err := t.ReleaseQuarantine(ctx, q.Repo, q.Digest); err != nil {
		return err
	}
	_, err := t.exec(ctx, "insert_quarantine", q.Repo, string(q.Digest), q.MediaType, joinDigests(q.Blobs), tags, q.Uploader,
		q.Decision, micros(q.Created), micros(q.Until), notNil(q.Content))
	if err != nil {
		return err
	}
	return inBatches(q.Blobs, args(q.Repo, string(q.Digest)), func(params []any) error {
		_, err := t.exec(ctx, "insert_quarantine_blobs", params...)
		return err
	})
}

func (t *tx) ReleaseQuarantine(ctx context.Context, repo string, d digest.Digest) error {
	_, err := t.exec(ctx, "delete_quarantine", repo, string(d)) // its blobs go with it
	return err
}

func (t *tx) ExpireQuarantine(ctx context.Context, now, decisionsBefore time.Time) (int64, error) {
	removed, err := t.exec(ctx, "expire_quarantine", micros(now))
	if err != nil {
		return 0, err
	}
	n, err := t.forget(ctx, decisionLog, decisionsBefore, math.MaxInt64)
	return removed + n, err
}

// A history is a table of numbered rows of which the oldest are forgotten. The
// names are those of its statements.
type history struct{ last, setLast, oldest, first, remove string }

var (
	decisionLog = history{"last_decision", "set_last_decision", "oldest_decision", "first_decision_since", "delete_decisions"}
	eventLog    = history{"last_event", "set_last_event", "oldest_event", "first_event_since", "delete_events"}
)

// forget removes rows from the beginning up to the first that is not older than
// before, and as many more as keep asks for, within a bound. Numbers are not given
// out again, even if no row is left.
func (t *tx) forget(ctx context.Context, h history, before time.Time, keep int64) (int64, error) {
	var last int64
	if _, err := one(ctx, t, h.last, nil, &last); err != nil {
		return 0, err
	}
	first := last + 1
	if _, err := one(ctx, t, h.first, args(micros(before)), &first); err != nil {
		return 0, err
	}
	if keep < last {
		first = max(first, last-keep+1)
	}
	oldest := first
	if _, err := one(ctx, t, h.oldest, nil, &oldest); err != nil {
		return 0, err
	}
	first = min(first, oldest+meta.MaxForgotten) // there are no gaps
	removed, err := t.exec(ctx, h.remove, first)
	if err != nil || removed == 0 {
		return 0, err
	}
	_, err = t.exec(ctx, h.setLast, last)
	return removed, err
}
