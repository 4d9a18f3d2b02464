package registry

import (
	"context"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/registry/policy"
	"github.com/wreg-project/wreg/storage/meta"
)

// Kinds of events. Each is written in the transaction that it tells of.
const (
	EventPush     = "push"     // a manifest is new in its repository
	EventTag      = "tag"      // a tag points to another manifest than before, or is new
	EventDelete   = "delete"   // a tag, or with an empty tag a manifest, is gone
	EventIngested = "ingested" // what a manifest holds was inspected and can be found
	EventVerdict  = "verdict"  // policy thinks otherwise of a stored manifest than before
	EventRefused  = "refused"  // a push was refused by policy
	EventApproved = "approved" // somebody lets a digest pass in spite of a rule
	EventVariant  = "variant"  // a worker has made native code of a manifest, or cannot
)

// event puts one event, which is about tag unless that is "".
func (r *Registry) event(ctx context.Context, tx meta.Tx, kind, repo string, d digest.Digest, tag string, by policy.Principal) error {
	return tx.PutEvent(ctx, meta.Event{Time: r.now().UTC(), Kind: kind, Repo: repo, Digest: d, Tag: tag, Actor: by.Name})
}

// moved tells of tags that point to d now.
func (r *Registry) moved(ctx context.Context, tx meta.Tx, repo string, d digest.Digest, tags []TagMoved, by policy.Principal) error {
	for _, t := range tags {
		if err := r.event(ctx, tx, EventTag, repo, d, t.Tag, by); err != nil {
			return err
		}
	}
	return nil
}

// follow calls Options.TagsMoved.
func (r *Registry) follow(ctx context.Context, tx meta.Tx, repo string, tags []TagMoved) error {
	if r.opts.TagsMoved == nil || len(tags) == 0 {
		return nil
	}
	return r.opts.TagsMoved(ctx, tx, repo, tags)
}

// gone calls Options.ManifestGone.
func (r *Registry) gone(ctx context.Context, tx meta.Tx, m meta.Manifest) error {
	if r.opts.ManifestGone == nil {
		return nil
	}
	a, err := ReadManifest(m)
	if err != nil {
		return err // it was read when it was pushed
	}
	return r.opts.ManifestGone(ctx, tx, a)
}
