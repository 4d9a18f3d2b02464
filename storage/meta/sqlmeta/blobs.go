package sqlmeta

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/storage/meta"
)

// Listings that may be long are read a chunk at a time: no connection and no
// snapshot is held while the caller works on the rows.
const chunk = 500

func (r reader) Blob(ctx context.Context, repo string, d digest.Digest) (meta.Blob, error) {
	b := meta.Blob{Digest: d, State: meta.BlobLive}
	var since int64
	found, err := one(ctx, r.q, "blob", args(repo, string(d)), &b.Generation, &b.Size, &since, &b.Uploader)
	if err != nil {
		return meta.Blob{}, err
	}
	if !found {
		return meta.Blob{}, notFound(ctx, r.q, repo, string(d))
	}
	b.Since = fromMicros(since)
	return b, nil
}

func (r reader) FindBlob(ctx context.Context, d digest.Digest) (meta.Blob, error) {
	b := meta.Blob{Digest: d}
	var since int64
	found, err := one(ctx, r.q, "find_blob", args(string(d)), &b.Generation, &b.Size, &b.State, &since)
	if err != nil {
		return meta.Blob{}, err
	}
	if !found {
		return meta.Blob{}, fmt.Errorf("%w: blob %s", meta.ErrNotFound, d)
	}
	b.Since = fromMicros(since)
	return b, nil
}

func (r reader) BlobHolder(ctx context.Context, v meta.Visibility, d digest.Digest) (string, error) {
	for _, s := range spans(v) {
		var repo string
		found, err := one(ctx, r.q, "blob_holder", args(string(d), s.low, s.high), &repo)
		if err != nil || found {
			return repo, err
		}
	}
	return "", fmt.Errorf("%w: a repository that holds blob %s", meta.ErrNotFound, d)
}

func (r reader) BlobPins(ctx context.Context, d digest.Digest, after meta.ManifestKey, limit int) (out []meta.ManifestKey, err error) {
	err = each(ctx, r.q, "blob_pins", args(string(d), after.Repo, string(after.Digest), rowLimit(limit)), func(rows *sql.Rows) error {
		var k meta.ManifestKey
		if err := rows.Scan(&k.Repo, (*string)(&k.Digest)); err != nil {
			return r.q.fail("blob_pins", err)
		}
		out = append(out, k)
		return nil
	})
	return out, err
}

func (r reader) BlobSizes(ctx context.Context, repo string, ds []digest.Digest) (map[digest.Digest]int64, error) {
	sizes := make(map[digest.Digest]int64, len(ds))
	err := inBatches(ds, args(repo), func(params []any) error {
		return each(ctx, r.q, "blob_sizes", params, func(rows *sql.Rows) error {
			var (
				d    string
				size int64
			)
			if err := rows.Scan(&d, &size); err != nil {
				return r.q.fail("blob_sizes", err)
			}
			sizes[digest.Digest(d)] = size
			return nil
		})
	})
	return sizes, err
}

// batch is how many digests or ids a statement takes at once that takes several.
const batch = 4

// inBatches calls do with first and batch of items behind it, until each of them
// had its turn. The last batch is filled up with repetitions.
func inBatches[T digest.Digest | int64](items []T, first []any, do func(params []any) error) error {
	for len(items) > 0 {
		n := min(batch, len(items))
		params := make([]any, 0, len(first)+batch)
		params = append(params, first...)
		for i := range batch {
			params = append(params, param(items[min(i, n-1)]))
		}
		if err := do(params); err != nil {
			return err
		}
		items = items[n:]
	}
	return nil
}

// param is an item as drivers take it.
func param(item any) any {
	if d, ok := item.(digest.Digest); ok {
		return string(d)
	}
	return item
}

// without returns those of ds, once each and in their order, that the statement
// does not find in repo.
func (r reader) without(ctx context.Context, name, repo string, ds []digest.Digest) ([]digest.Digest, error) {
	held := make(map[digest.Digest]bool, len(ds))
	err := inBatches(ds, args(repo), func(params []any) error {
		found, err := list[digest.Digest](ctx, r.q, name, params...)
		for _, d := range found {
			held[d] = true
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	var out []digest.Digest
	for _, d := range ds {
		if !held[d] {
			held[d] = true
			out = append(out, d)
		}
	}
	return out, nil
}

func (r reader) AllBlobs(ctx context.Context, yield func(meta.Blob) error) error {
	return r.eachBlob(ctx, "blobs", yield)
}

func (r reader) UnheldBlobs(ctx context.Context, yield func(meta.Blob) error) error {
	return r.eachBlob(ctx, "unheld_blobs", yield)
}

func (r reader) eachBlob(ctx context.Context, name string, yield func(meta.Blob) error) error {
	var last digest.Digest
	for {
		var found []meta.Blob
		err := each(ctx, r.q, name, args(string(last), int64(chunk)), func(rows *sql.Rows) error {
			b, err := scanBlob(rows)
			if err != nil {
				return r.q.fail(name, err)
			}
			found = append(found, b)
			return nil
		})
		if err != nil {
			return err
		}
		for _, b := range found {
			if err := yield(b); err != nil {
				return err
			}
			last = b.Digest
		}
		if len(found) < chunk {
			return nil
		}
	}
}

func scanBlob(rows *sql.Rows) (meta.Blob, error) {
	var (
		b     meta.Blob
		since int64
	)
	err := rows.Scan((*string)(&b.Digest), &b.Generation, &b.Size, &b.State, &since)
	b.Since = fromMicros(since)
	return b, err
}

func (r reader) UnusedBlobs(ctx context.Context, before time.Time, yield func(repo string, d digest.Digest) error) error {
	return r.perRepository(ctx, "unused_blobs", before, yield)
}

// perRepository calls yield for the digests that a statement lists of each
// repository, in order of repository and digest.
func (r reader) perRepository(
	ctx context.Context, name string, before time.Time, yield func(repo string, d digest.Digest) error,
) error {
	page := meta.Page{Limit: chunk}
	for {
		repos, err := r.Repositories(ctx, meta.Visibility{Everything: true}, page)
		if err != nil {
			return err
		}
		for _, repo := range repos {
			if err := r.inRepository(ctx, name, repo, before, yield); err != nil {
				return err
			}
			page.After = repo
		}
		if len(repos) < chunk {
			return nil
		}
	}
}

func (r reader) inRepository(
	ctx context.Context, name, repo string, before time.Time, yield func(repo string, d digest.Digest) error,
) error {
	var last digest.Digest
	for {
		found, err := list[digest.Digest](ctx, r.q, name, repo, string(last), micros(before), int64(chunk))
		if err != nil {
			return err
		}
		for _, d := range found {
			if err := yield(repo, d); err != nil {
				return err
			}
			last = d
		}
		if len(found) < chunk {
			return nil
		}
	}
}

func (t *tx) LinkBlob(ctx context.Context, repo string, b meta.Blob) error {
	known := meta.Blob{State: meta.BlobLive}
	found, err := one(ctx, t, "find_blob", args(string(b.Digest)), &known.Generation, new(int64), &known.State, new(int64))
	if err != nil {
		return err
	}
	switch {
	case !found, known.State == meta.BlobCondemned && b.Generation >= known.Generation,
		known.State == meta.BlobDeleted && b.Generation > known.Generation:
		if _, err := t.exec(ctx, "put_blob", string(b.Digest), b.Generation, b.Size, int64(meta.BlobLive), micros(b.Since)); err != nil {
			return err
		}
	case known.State != meta.BlobLive:
		return fmt.Errorf("%w: blob %s has generation %d, not %d", meta.ErrGeneration, b.Digest, known.Generation, b.Generation)
	}
	repoID, err := t.ensureRepository(ctx, repo, b.Since)
	if err != nil {
		return err
	}
	if _, err := t.exec(ctx, "link_blob", repoID, string(b.Digest), micros(b.Since), b.Uploader); err != nil {
		return err
	}
	t.record(meta.Record{
		Op: meta.OpLinkBlob, Repo: repo, Digest: b.Digest, Generation: b.Generation, Size: b.Size, Time: stored(b.Since),
		Uploader: b.Uploader,
	})
	return nil
}

func (t *tx) UnlinkBlob(ctx context.Context, repo string, d digest.Digest) error {
	repoID, err := t.repositoryID(ctx, repo)
	if err != nil {
		return err
	}
	pinned, err := one(ctx, t, "blob_pinned", args(repoID, string(d)), new(int64))
	if err != nil {
		return err
	}
	if !pinned {
		if pinned, err = one(ctx, t, "blob_quarantined", args(repo, string(d)), new(int64)); err != nil {
			return err
		}
	}
	if pinned {
		return fmt.Errorf("%w: %s in %s", meta.ErrPinned, d, repo)
	}
	removed, err := t.exec(ctx, "unlink_blob", repoID, string(d))
	if err != nil {
		return err
	}
	if removed == 0 {
		return missing(repo, string(d))
	}
	t.record(meta.Record{Op: meta.OpUnlinkBlob, Repo: repo, Digest: d})
	return nil
}

func (t *tx) SetBlobState(ctx context.Context, d digest.Digest, generation int64, from, to meta.BlobState, at time.Time) error {
	removes := from == meta.BlobDeleted && to == meta.BlobDeleted
	if !removes && (from == meta.BlobDeleted || to != from+1) {
		return fmt.Errorf("%w: blob %s cannot go from state %d to %d", meta.ErrConflict, d, from, to)
	}
	if from == meta.BlobLive {
		held, err := one(ctx, t, "blob_held", args(string(d)), new(int64))
		if err != nil {
			return err
		}
		if held {
			return fmt.Errorf("%w: blob %s is held by a repository", meta.ErrConflict, d)
		}
	}
	var changed int64
	var err error
	if removes {
		changed, err = t.exec(ctx, "delete_blob", string(d), generation, int64(from))
		if err == nil && changed > 0 {
			if err = t.dropFunctions(ctx, d); err == nil {
				err = t.dropComponentFile(ctx, d)
			}
		}
	} else {
		changed, err = t.exec(ctx, "set_blob_state", string(d), generation, int64(from), int64(to), micros(at))
	}
	if err != nil {
		return err
	}
	if changed == 0 {
		return fmt.Errorf("%w: blob %s is not in state %d at generation %d", meta.ErrConflict, d, from, generation)
	}
	t.record(meta.Record{Op: meta.OpBlobState, Digest: d, Generation: generation, From: from, To: to, Time: stored(at)})
	return nil
}
