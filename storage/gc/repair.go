package gc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/wreg-project/wreg/storage/blob"
	"github.com/wreg-project/wreg/storage/meta"
)

// A Repaired says what [Repair] found and finished.
type Repaired struct {
	Uploads     int   `json:"uploads"`     // interrupted ones, removed
	UploadBytes int64 `json:"uploadBytes"` //
	Deletions   int   `json:"deletions"`   // of blobs, finished
	DeletedSize int64 `json:"deletedSize"` // bytes of these
}

// Any reports whether there was anything to repair.
func (r Repaired) Any() bool { return r != Repaired{} }

// LogValue gives the counts as attributes.
func (r Repaired) LogValue() slog.Value {
	return slog.GroupValue(
		slog.Int("uploads", r.Uploads), slog.Int64("upload_bytes", r.UploadBytes),
		slog.Int("deletions", r.Deletions), slog.Int64("deleted_bytes", r.DeletedSize))
}

// Repair finishes what a crash interrupted: it removes the remains of uploads
// and completes deletions of blobs that were decided. It is called once at
// start, before the first write, and fails with ErrBehind if db is not the
// database that wrote the store's journal. It reads every blob row, which takes
// about a second for a million of them.
func Repair(ctx context.Context, db meta.DB, store blob.Store) (Repaired, error) {
	var r Repaired
	if err := CheckBehind(ctx, db, store); err != nil {
		return r, err
	}
	removed, bytes, err := store.Sweep(ctx)
	if err != nil {
		return r, fmt.Errorf("sweep uploads: %w", err)
	}
	r.Uploads, r.UploadBytes = removed, bytes
	r.Deletions, r.DeletedSize, err = finishDeletions(ctx, db, store)
	return r, err
}

// scanBatch bounds how many rows are in memory between reading and writing.
const scanBatch = 16 << 10

// errBatchFull ends a listing of which more is to come.
var errBatchFull = errors.New("batch is full")

// inBatches calls list again and again, gathers up to scanBatch of the items
// that take wants and gives them to do, outside of list. take also has to
// refuse what an earlier batch had.
func inBatches[T any](list func(yield func(T) error) error, take func(T) bool, do func([]T) error) error {
	batch := make([]T, 0, 64)
	for {
		batch = batch[:0]
		err := list(func(item T) error {
			if !take(item) {
				return nil
			}
			if batch = append(batch, item); len(batch) == scanBatch {
				return errBatchFull
			}
			return nil
		})
		if err != nil && !errors.Is(err, errBatchFull) {
			return err
		}
		if len(batch) > 0 {
			if err := do(batch); err != nil {
				return err
			}
		}
		if err == nil {
			return nil
		}
	}
}

// blobBatches gives do the blob rows that want accepts, in order of digest.
func blobBatches(ctx context.Context, r meta.Blobs, want func(meta.Blob) bool, do func([]meta.Blob) error) error {
	var last meta.Blob
	return inBatches(
		func(yield func(meta.Blob) error) error { return r.AllBlobs(ctx, yield) },
		func(b meta.Blob) bool { return b.Digest > last.Digest && want(b) },
		func(batch []meta.Blob) error {
			last = batch[len(batch)-1]
			return do(batch)
		})
}

// finishDeletions removes the bytes of every blob in state BlobDeleted, then
// its row.
func finishDeletions(ctx context.Context, db meta.DB, store blob.Store) (n int, bytes int64, err error) {
	deleted := func(b meta.Blob) bool { return b.State == meta.BlobDeleted }
	err = blobBatches(ctx, db, deleted, func(batch []meta.Blob) error {
		for _, b := range batch {
			if err := store.Delete(ctx, keyOf(b)); err != nil {
				return fmt.Errorf("delete bytes of %s: %w", b.Digest, err)
			}
		}
		done, _, err := setStates(ctx, db.Update, batch, meta.BlobDeleted, meta.BlobDeleted, time.Now())
		n += done.Count
		bytes += done.Bytes
		return err
	})
	return n, bytes, err
}

func keyOf(b meta.Blob) blob.Key { return blob.Key{Digest: b.Digest, Generation: b.Generation} }
