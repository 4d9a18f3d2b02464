package sqlmeta

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/wreg-project/wreg/storage/meta"
)

// TrustRevision implements meta.TrustReader.
func (r reader) TrustRevision(ctx context.Context) (int64, error) {
	var revision int64
	_, err := one(ctx, r.q, "trust_revision", nil, &revision)
	return revision, err
}

// TrustEntries implements meta.TrustReader.
func (r reader) TrustEntries(ctx context.Context) ([]meta.TrustEntry, error) {
	var out []meta.TrustEntry
	err := each(ctx, r.q, "trust_entries", nil, func(rows *sql.Rows) error {
		var e meta.TrustEntry
		if err := scanTrust(rows, &e); err != nil {
			return r.q.fail("trust_entries", err)
		}
		out = append(out, e)
		return nil
	})
	return out, err
}

func scanTrust(rows *sql.Rows, e *meta.TrustEntry) error {
	return rows.Scan(&e.Name, &e.Kind, &e.Content, optional{&e.NotBefore}, optional{&e.NotAfter}, &e.Author, when{&e.Created})
}

// PutTrust implements meta.TrustWriter.
func (t *tx) PutTrust(ctx context.Context, e meta.TrustEntry) error {
	if err := checkTrust(e); err != nil {
		return fmt.Errorf("trust entry %.60q: %w", e.Name, err)
	}
	var others int64
	if _, err := one(ctx, t, "count_other_trust", args(e.Name), &others); err != nil {
		return err
	}
	if others >= meta.MaxTrustEntries {
		return fmt.Errorf("trust entry %s: %w: there are %d already", e.Name, meta.ErrConflict, others)
	}
	e.NotBefore, e.NotAfter, e.Created = storedOrZero(e.NotBefore), storedOrZero(e.NotAfter), stored(e.Created)
	_, err := t.exec(ctx, "put_trust", e.Name, e.Kind, e.Content, microsOrZero(e.NotBefore), microsOrZero(e.NotAfter), e.Author, micros(e.Created))
	if err != nil {
		return err
	}
	t.record(meta.Record{Op: meta.OpPutTrust, Trust: &e})
	return t.raiseTrustRevision(ctx)
}

func checkTrust(e meta.TrustEntry) error {
	switch {
	case e.Name == "" || len(e.Name) > meta.MaxTrustName || len(e.Kind) > meta.MaxTrustName:
		return fmt.Errorf("a name of %d bytes, and a kind of %d", len(e.Name), len(e.Kind))
	case len(e.Content) > meta.MaxTrustContent:
		return fmt.Errorf("%d bytes are more than %d", len(e.Content), meta.MaxTrustContent)
	}
	return checkText("its texts", e.Name, e.Kind, e.Content, e.Author)
}

// microsOrZero is a time that may be the zero time, as optional reads it.
func microsOrZero(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return micros(t)
}

func storedOrZero(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return stored(t)
}

// DeleteTrust implements meta.TrustWriter.
func (t *tx) DeleteTrust(ctx context.Context, name string) error {
	removed, err := t.exec(ctx, "delete_trust", name)
	if err != nil {
		return err
	}
	if removed == 0 {
		return fmt.Errorf("%w: trust entry %.60q", meta.ErrNotFound, name)
	}
	t.record(meta.Record{Op: meta.OpDeleteTrust, Trust: &meta.TrustEntry{Name: name}})
	return t.raiseTrustRevision(ctx)
}

func (t *tx) raiseTrustRevision(ctx context.Context) error {
	_, err := t.exec(ctx, "raise_trust_revision")
	return err
}
