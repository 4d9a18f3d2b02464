package sqlmeta

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"github.com/wreg-project/wreg/storage/meta"
)

// record appends to the journal row of the transaction.
func (t *tx) record(r meta.Record) {
	if !t.unlogged {
		t.records = append(t.records, r)
	}
}

// journal writes the row. Its sequence follows the last row's, or where none is
// left what JournalDone was told: since writers come one after the other,
// sequences have no gaps, rise in order of commit, and are not reused when
// entries are forgotten.
func (t *tx) journal() error {
	if len(t.records) == 0 {
		return nil
	}
	records, err := json.Marshal(t.records)
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	_, err = t.exec(t.ctx, "insert_entry", micros(time.Now()), records)
	return err
}

// JournalAfter implements meta.Outbox.
func (db *DB) JournalAfter(ctx context.Context, seq int64, limit int) ([]meta.Entry, error) {
	var out []meta.Entry
	err := each(ctx, db.q, "journal_after", args(seq, int64(limit)), func(rows *sql.Rows) error {
		var (
			e    meta.Entry
			time int64
		)
		if err := rows.Scan(&e.Sequence, &time, (*[]byte)(&e.Records)); err != nil {
			return db.q.fail("journal_after", err)
		}
		e.Time = fromMicros(time)
		out = append(out, e)
		return nil
	})
	return out, err
}

// JournalDone implements meta.Outbox.
func (db *DB) JournalDone(ctx context.Context, seq int64) error {
	return db.committer.update(ctx, func(ctx context.Context, t *tx) error {
		written, done, err := journalSequence(ctx, t)
		if err != nil || seq <= done {
			return err
		}
		if seq > written {
			return fmt.Errorf("%w: journal entry %d is not written, the last is %d", meta.ErrConflict, seq, written)
		}
		if _, err := t.exec(ctx, "delete_entries", seq); err != nil {
			return err
		}
		return t.setDone(ctx, seq)
	})
}

// JournalSequence implements meta.Outbox.
func (db *DB) JournalSequence(ctx context.Context) (written, done int64, err error) {
	return journalSequence(ctx, db.q)
}

func journalSequence(ctx context.Context, q querier) (written, done int64, err error) {
	_, err = one(ctx, q, "journal_sequence", nil, &written, &done)
	return written, done, err
}

// Replay implements meta.Outbox.
func (db *DB) Replay(ctx context.Context, e meta.Entry) error {
	var records []meta.Record
	if err := json.Unmarshal(e.Records, &records); err != nil {
		return fmt.Errorf("journal entry %d: %w", e.Sequence, err)
	}
	return db.committer.update(ctx, func(ctx context.Context, t *tx) error {
		t.unlogged = true
		written, _, err := journalSequence(ctx, t)
		if err != nil || e.Sequence <= written {
			return err
		}
		pending, err := one(ctx, t, "has_entries", nil, new(int64))
		if err != nil {
			return err
		}
		if pending {
			return fmt.Errorf("%w: journal entry %d cannot follow entries of this database", meta.ErrConflict, e.Sequence)
		}
		for i, r := range records {
			if err := t.apply(ctx, r); err != nil {
				return fmt.Errorf("journal entry %d, record %d (%s): %w", e.Sequence, i, r.Op, err)
			}
		}
		return t.setDone(ctx, e.Sequence)
	})
}

// setDone makes seq the last entry that is stored beside the blobs. Without
// entries in the outbox it is thereby the last one written.
func (t *tx) setDone(ctx context.Context, seq int64) error {
	_, err := t.exec(ctx, "set_journal_done", seq)
	return err
}

// apply does what the method that left the record did.
func (t *tx) apply(ctx context.Context, r meta.Record) error {
	switch r.Op {
	case meta.OpPutManifest:
		if r.Manifest == nil {
			return fmt.Errorf("it holds no manifest")
		}
		_, err := t.PutManifest(ctx, newManifest(r.Repo, r))
		return err
	case meta.OpDeleteManifest:
		_, err := t.DeleteManifest(ctx, r.Repo, r.Digest)
		return err
	case meta.OpPutTag:
		return t.PutTag(ctx, r.Repo, r.Tag, r.Digest, r.Time)
	case meta.OpDeleteTag:
		return t.DeleteTag(ctx, r.Repo, r.Tag, r.Tombstone, r.Time)
	case meta.OpLinkBlob:
		return t.LinkBlob(ctx, r.Repo, meta.Blob{
			Digest: r.Digest, Generation: r.Generation, Size: r.Size, Since: r.Time, Uploader: r.Uploader,
		})
	case meta.OpUnlinkBlob:
		return t.UnlinkBlob(ctx, r.Repo, r.Digest)
	case meta.OpBlobState:
		return t.SetBlobState(ctx, r.Digest, r.Generation, r.From, r.To, r.Time)
	case meta.OpDeleteRepository:
		return t.DeleteRepository(ctx, r.Repo)
	case meta.OpSetNotice:
		if r.Notice == nil {
			return fmt.Errorf("it holds no notice")
		}
		return t.SetNotice(ctx, r.Repo, r.Tag, *r.Notice)
	case meta.OpPutPolicy, meta.OpDeletePolicy:
		if r.Policy == nil {
			return fmt.Errorf("it holds no policy")
		}
		return t.writePolicy(ctx, newPolicy(r.Policy, r.Revision, r.Time))
	case meta.OpPutApproval, meta.OpDeleteApproval:
		if r.Approval == nil {
			return fmt.Errorf("it holds no approval")
		}
		if r.Op == meta.OpDeleteApproval {
			return t.removeApproval(ctx, r.Repo, r.Digest, r.Approval.Rule, r.Revision)
		}
		return t.writeApproval(ctx, newApproval(r.Approval, r.Repo, r.Digest, r.Time), r.Revision)
	case meta.OpPutTrust, meta.OpDeleteTrust:
		if r.Trust == nil {
			return fmt.Errorf("it holds no trust entry")
		}
		if r.Op == meta.OpDeleteTrust {
			return t.DeleteTrust(ctx, r.Trust.Name)
		}
		return t.PutTrust(ctx, *r.Trust)
	}
	return fmt.Errorf("no such operation")
}

func newManifest(repo string, r meta.Record) meta.NewManifest {
	m := r.Manifest
	return meta.NewManifest{
		Manifest:     meta.Manifest{Repo: repo, Digest: r.Digest, MediaType: m.MediaType, Content: m.Content, Created: r.Time},
		ArtifactType: m.ArtifactType, Annotations: m.Annotations, Subject: m.Subject, Blobs: m.Blobs, Manifests: m.Manifests,
	}
}
