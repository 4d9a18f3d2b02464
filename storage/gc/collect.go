package gc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/storage/blob"
	"github.com/wreg-project/wreg/storage/meta"
)

// How long things without a use live.
const (
	// DefaultGrace is how long a blob that no manifest needs stays in its
	// repository: the time between the push of a layer and of its manifest.
	// Bytes without a row stay as long.
	DefaultGrace = time.Hour
	// referrerLife is how long a referrer waits for its subject.
	referrerLife = 7 * 24 * time.Hour
	// condemnedLife is how long a blob is condemned before it is deleted, at
	// least: longer than any request that saw it live may last.
	condemnedLife = time.Hour
)

// CollectOptions are the settings of [Collect]. The zero value is ready for
// use, but for the journal.
type CollectOptions struct {
	// DryRun counts what would happen and changes nothing.
	DryRun bool
	// Grace is the age up to which unused blobs are left alone; zero means
	// DefaultGrace. It has to be longer than the longest push takes from its
	// first layer to its manifest.
	Grace time.Duration
	// UntaggedOlderThan removes manifests of at least this age that have no
	// tag, no subject and are in no index. Zero keeps them.
	UntaggedOlderThan time.Duration
	// Journal is flushed before bytes are deleted, that no database rebuilt
	// from it relies on them. Nil leaves the journal to others.
	Journal *Journaler
	// Now is the time by which ages are measured. Zero means the present.
	Now time.Time
}

// An Amount is a number of blobs and their bytes.
type Amount struct {
	Count int   `json:"count"`
	Bytes int64 `json:"bytes"`
}

func (a *Amount) add(bytes int64) {
	a.Count++
	a.Bytes += bytes
}

// A Collected says what [Collect] did, or would do.
type Collected struct {
	DryRun    bool   `json:"dryRun"`
	Expired   int    `json:"expired"`   // refused manifests whose quarantine is over, removed
	Untagged  int    `json:"untagged"`  // manifests removed
	Referrers int    `json:"referrers"` // manifests removed, their subject being absent
	Unlinked  int    `json:"unlinked"`  // blobs removed from a repository
	Condemned Amount `json:"condemned"` // blobs no longer served, in no repository
	Deleted   Amount `json:"deleted"`   // blobs whose bytes are gone
	Orphans   Amount `json:"orphans"`   // bytes without a row, gone
	Skipped   int    `json:"skipped"`   // changed by somebody else in the meantime
}

// Collect removes what nothing needs: referrers whose subject is long absent,
// blobs that no manifest of their repository needs, blobs in no repository,
// and bytes without a row. Every manifest of a repository is a root, tagged or
// not, unless opts.UntaggedOlderThan says otherwise; so is one that was refused
// until its quarantine is over.
//
// A blob is condemned by one run and deleted by one at least an hour later.
// Collect may be ended at any point; the next run goes on. It runs while no
// server writes to the storage, and fails with ErrBehind before it touches
// anything if db is not the database that wrote the store's journal.
func Collect(ctx context.Context, db meta.DB, store blob.Store, opts CollectOptions) (Collected, error) {
	opts.Grace = orDefault(opts.Grace, DefaultGrace)
	if opts.Now.IsZero() {
		opts.Now = time.Now()
	}
	if err := CheckBehind(ctx, db, store); err != nil {
		return Collected{}, err
	}
	if opts.DryRun {
		return dryRun(ctx, db, store, opts)
	}
	var result Collected
	m := &marker{read: db, update: db.Update, opts: opts, result: &result}
	if err := m.run(ctx); err != nil {
		return result, err
	}
	if opts.Journal != nil {
		if err := opts.Journal.Flush(ctx); err != nil {
			return result, err
		}
	}
	var err error
	if result.Deleted.Count, result.Deleted.Bytes, err = finishDeletions(ctx, db, store); err != nil {
		return result, err
	}
	err = deleteOrphans(ctx, db, store, opts.Now.Add(-opts.Grace), func(i blob.Info) { result.Orphans.add(i.Size) })
	return result, err
}

var errDryRun = errors.New("dry run")

// dryRun does everything in one transaction that it then gives up, so that its
// numbers are those of a run.
func dryRun(ctx context.Context, db meta.DB, store blob.Store, opts CollectOptions) (Collected, error) {
	var result Collected
	err := db.Update(ctx, func(ctx context.Context, tx meta.Tx) error {
		result = Collected{DryRun: true}
		inTx := func(ctx context.Context, fn func(context.Context, meta.Tx) error) error { return fn(ctx, tx) }
		m := &marker{read: tx, update: inTx, opts: opts, result: &result}
		if err := m.run(ctx); err != nil {
			return err
		}
		if err := m.countDeleted(ctx); err != nil {
			return err
		}
		return errDryRun
	})
	if !errors.Is(err, errDryRun) {
		return result, fmt.Errorf("dry run: %w", err)
	}
	err = eachOrphan(ctx, db, store, opts.Now.Add(-opts.Grace), func(i blob.Info) error {
		result.Orphans.add(i.Size)
		return nil
	})
	return result, err
}

// An updateFunc runs fn in a transaction, like meta.DB's Update.
type updateFunc func(ctx context.Context, fn func(context.Context, meta.Tx) error) error

// A marker changes rows only.
type marker struct {
	read   meta.Reader
	update updateFunc
	opts   CollectOptions
	result *Collected
}

func (m *marker) run(ctx context.Context) error {
	if err := m.expireQuarantine(ctx); err != nil {
		return fmt.Errorf("expire quarantine: %w", err)
	}
	if m.opts.UntaggedOlderThan > 0 {
		before := m.opts.Now.Add(-m.opts.UntaggedOlderThan)
		if err := m.deleteManifests(ctx, m.read.UntaggedManifests, before, &m.result.Untagged); err != nil {
			return fmt.Errorf("delete untagged manifests: %w", err)
		}
	}
	before := m.opts.Now.Add(-referrerLife)
	if err := m.deleteManifests(ctx, m.read.OrphanReferrers, before, &m.result.Referrers); err != nil {
		return fmt.Errorf("delete referrers without a subject: %w", err)
	}
	if err := m.unlink(ctx); err != nil {
		return fmt.Errorf("unlink unused blobs: %w", err)
	}
	if err := m.condemn(ctx); err != nil {
		return fmt.Errorf("condemn blobs: %w", err)
	}
	if err := m.markDeleted(ctx); err != nil {
		return fmt.Errorf("delete condemned blobs: %w", err)
	}
	return nil
}

// A listing is how package meta lists digests of repositories, in order of
// both.
type listing func(ctx context.Context, before time.Time, yield func(string, digest.Digest) error) error

// held is a digest in a repository.
type held struct {
	repo   string
	digest digest.Digest
}

func (h held) after(o held) bool {
	return h.repo > o.repo || h.repo == o.repo && h.digest > o.digest
}

// batches gives do what l lists, in batches.
func (l listing) batches(ctx context.Context, before time.Time, do func([]held) error) error {
	var last held
	return inBatches(
		func(yield func(held) error) error {
			return l(ctx, before, func(repo string, d digest.Digest) error { return yield(held{repo, d}) })
		},
		func(h held) bool { return h.after(last) },
		func(batch []held) error {
			last = batch[len(batch)-1]
			return do(batch)
		})
}

// deleteManifests deletes what l lists until it lists nothing more: without an
// index its children may have no use, without a referrer its own referrers.
func (m *marker) deleteManifests(ctx context.Context, l listing, before time.Time, count *int) error {
	for {
		deleted := 0
		err := l.batches(ctx, before, func(batch []held) error {
			return m.apply(ctx, batch, func(ctx context.Context, tx meta.Tx, h held) error {
				_, err := tx.DeleteManifest(ctx, h.repo, h.digest)
				return err
			}, func(held) { deleted++ })
		})
		*count += deleted
		if err != nil || deleted == 0 {
			return err
		}
	}
}

// expireQuarantine gives up the blobs of manifests that were refused long ago.
func (m *marker) expireQuarantine(ctx context.Context) error {
	return m.update(ctx, func(ctx context.Context, tx meta.Tx) error {
		var noDecision time.Time // is that old: they are the server's to forget
		n, err := tx.ExpireQuarantine(ctx, m.opts.Now, noDecision)
		m.result.Expired = int(n)
		return err
	})
}

func (m *marker) unlink(ctx context.Context) error {
	unused := listing(m.read.UnusedBlobs)
	return unused.batches(ctx, m.opts.Now.Add(-m.opts.Grace), func(batch []held) error {
		return m.apply(ctx, batch, func(ctx context.Context, tx meta.Tx, h held) error {
			return tx.UnlinkBlob(ctx, h.repo, h.digest)
		}, func(held) { m.result.Unlinked++ })
	})
}

// apply runs change for each of batch and counts those skipped.
func (m *marker) apply(
	ctx context.Context, batch []held, change func(context.Context, meta.Tx, held) error, done func(held),
) error {
	skipped, err := applyAll(ctx, m.update, batch, change, done)
	m.result.Skipped += skipped
	return err
}

func (m *marker) condemn(ctx context.Context) error {
	var last digest.Digest
	return inBatches(
		func(yield func(meta.Blob) error) error { return m.read.UnheldBlobs(ctx, yield) },
		func(b meta.Blob) bool { return b.Digest > last },
		func(batch []meta.Blob) error {
			last = batch[len(batch)-1].Digest
			return m.setStates(ctx, batch, meta.BlobLive, meta.BlobCondemned, &m.result.Condemned)
		})
}

func (m *marker) markDeleted(ctx context.Context) error {
	before := m.opts.Now.Add(-condemnedLife)
	due := func(b meta.Blob) bool { return b.State == meta.BlobCondemned && !b.Since.After(before) }
	return blobBatches(ctx, m.read, due, func(batch []meta.Blob) error {
		var ignored Amount // finishDeletions counts them, with those of earlier runs
		return m.setStates(ctx, batch, meta.BlobCondemned, meta.BlobDeleted, &ignored)
	})
}

// countDeleted counts what finishDeletions would have to do.
func (m *marker) countDeleted(ctx context.Context) error {
	return m.read.AllBlobs(ctx, func(b meta.Blob) error {
		if b.State == meta.BlobDeleted {
			m.result.Deleted.add(b.Size)
		}
		return nil
	})
}

func (m *marker) setStates(ctx context.Context, blobs []meta.Blob, from, to meta.BlobState, count *Amount) error {
	done, skipped, err := setStates(ctx, m.update, blobs, from, to, m.opts.Now)
	count.Count += done.Count
	count.Bytes += done.Bytes
	m.result.Skipped += skipped
	return err
}

// setStates moves blobs from one state to the next and leaves out those that
// are no longer in the first.
func setStates(
	ctx context.Context, update updateFunc, blobs []meta.Blob, from, to meta.BlobState, at time.Time,
) (done Amount, skipped int, err error) {
	skipped, err = applyAll(ctx, update, blobs, func(ctx context.Context, tx meta.Tx, b meta.Blob) error {
		return tx.SetBlobState(ctx, b.Digest, b.Generation, from, to, at)
	}, func(b meta.Blob) { done.add(b.Size) })
	return done, skipped, err
}

// writeBatch bounds the changes in one transaction.
const writeBatch = 256

// applyAll runs change for every item, many in one transaction, and done for
// each that was committed. Items that are no longer as they were when they
// were listed are skipped.
func applyAll[T any](
	ctx context.Context, update updateFunc, items []T, change func(context.Context, meta.Tx, T) error, done func(T),
) (skipped int, err error) {
	for chunk := range slices.Chunk(items, writeBatch) {
		err := applyChunk(ctx, update, chunk, change)
		if err == nil {
			for _, item := range chunk {
				done(item)
			}
			continue
		}
		if !needsAnother(err) {
			return skipped, err
		}
		for _, item := range chunk {
			err := applyChunk(ctx, update, []T{item}, change)
			switch {
			case err == nil:
				done(item)
			case needsAnother(err):
				skipped++
			default:
				return skipped, err
			}
		}
	}
	return skipped, nil
}

func applyChunk[T any](
	ctx context.Context, update updateFunc, chunk []T, change func(context.Context, meta.Tx, T) error,
) error {
	return update(ctx, func(ctx context.Context, tx meta.Tx) error {
		for _, item := range chunk {
			if err := change(ctx, tx, item); err != nil {
				return err
			}
		}
		return nil
	})
}

// eachOrphan calls yield for the stored blobs, last modified before the given
// time, that no row describes: neither the digest nor this generation of it.
func eachOrphan(ctx context.Context, rows meta.Blobs, store blob.Store, before time.Time, yield func(blob.Info) error) error {
	return store.List(ctx, func(i blob.Info) error {
		if !i.Modified.Before(before) {
			return nil
		}
		orphan, err := isOrphan(ctx, rows, i.Key)
		if err != nil || !orphan {
			return err
		}
		return yield(i)
	})
}

func isOrphan(ctx context.Context, rows meta.Blobs, k blob.Key) (bool, error) {
	b, err := rows.FindBlob(ctx, k.Digest)
	if errors.Is(err, meta.ErrNotFound) {
		return true, nil
	}
	return err == nil && b.Generation != k.Generation, err
}

// deleteOrphans deletes what eachOrphan finds, unless the database was never
// written to: then it is the database that is missing, not the use of the
// bytes.
func deleteOrphans(ctx context.Context, db meta.DB, store blob.Store, before time.Time, done func(blob.Info)) error {
	if written, _, err := db.JournalSequence(ctx); err != nil || written == 0 {
		return err
	}
	return eachOrphan(ctx, db, store, before, func(i blob.Info) error {
		if err := store.Delete(ctx, i.Key); err != nil {
			return fmt.Errorf("delete bytes without a row %s: %w", i.Key, err)
		}
		done(i)
		return nil
	})
}
