package registry

import (
	"context"
	"errors"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/registry/policy"
	"github.com/wreg-project/wreg/storage/meta"
)

// DeleteTag removes a tag; what it pointed to stays. An immutable version
// leaves a tombstone, so that it can come back only as what it was.
func (r *Registry) DeleteTag(ctx context.Context, repo, tag string, c Condition, by policy.Principal) error {
	err := r.meta.Update(ctx, func(ctx context.Context, tx meta.Tx) error {
		t, err := tx.Tag(ctx, repo, tag)
		if err != nil {
			return unknown(err, ManifestUnknown, repo, "tag", tag)
		}
		if err := c.check(tag, t.Digest); err != nil {
			return err
		}
		if err := tx.DeleteTag(ctx, repo, tag, Immutable(tag), r.now().UTC()); err != nil {
			return err
		}
		if err := r.follow(ctx, tx, repo, []TagMoved{{Tag: tag, From: t.Digest}}); err != nil {
			return err
		}
		return r.event(ctx, tx, EventDelete, repo, t.Digest, tag, by)
	})
	if err != nil {
		return refused(err, "delete tag %s of %s", tag, repo)
	}
	return nil
}

// DeleteManifest removes a manifest together with the tags that point to it, of
// which immutable versions leave tombstones as well.
func (r *Registry) DeleteManifest(ctx context.Context, repo string, d digest.Digest, by policy.Principal) error {
	err := r.meta.Update(ctx, func(ctx context.Context, tx meta.Tx) error {
		m, err := tx.Manifest(ctx, repo, d)
		if err != nil {
			return unknown(err, ManifestUnknown, repo, "digest", d.String())
		}
		tags, err := tx.ManifestTags(ctx, repo, d)
		if err != nil {
			return unknown(err, ManifestUnknown, repo, "digest", d.String())
		}
		moved := make([]TagMoved, 0, len(tags))
		for _, tag := range tags {
			moved = append(moved, TagMoved{Tag: tag, From: d})
			if !Immutable(tag) {
				continue // falls with the manifest
			}
			if err := tx.DeleteTag(ctx, repo, tag, true, r.now().UTC()); err != nil {
				return err
			}
		}
		if _, err := tx.DeleteManifest(ctx, repo, d); err != nil {
			return unknown(err, ManifestUnknown, repo, "digest", d.String())
		}
		if err := r.follow(ctx, tx, repo, moved); err != nil {
			return err
		}
		if err := r.gone(ctx, tx, m); err != nil {
			return err
		}
		return r.event(ctx, tx, EventDelete, repo, d, "", by)
	})
	if err != nil {
		return refused(err, "delete manifest %s of %s", d, repo)
	}
	return nil
}

// DeleteBlob makes repo hold d no longer; a collection removes the bytes once
// nobody holds them. While a manifest of the repository needs the blob this is
// UNSUPPORTED, since it would break what a tag promises.
func (r *Registry) DeleteBlob(ctx context.Context, repo string, d digest.Digest) error {
	err := r.meta.Update(ctx, func(ctx context.Context, tx meta.Tx) error {
		err := tx.UnlinkBlob(ctx, repo, d)
		if errors.Is(err, meta.ErrPinned) {
			return &Error{
				Code:    Unsupported,
				Message: "a manifest of this repository needs the blob: delete the manifest first",
				Detail:  fields{"name": repo, "digest": d},
				Err:     ErrInUse,
			}
		}
		if err != nil {
			return unknown(err, BlobUnknown, repo, "digest", d.String())
		}
		return nil
	})
	if err != nil {
		return refused(err, "delete blob %s of %s", d, repo)
	}
	return nil
}
