package sqlmeta

import (
	"context"
	"slices"
	"time"

	"github.com/opencontainers/go-digest"
)

func (r reader) UntaggedManifests(ctx context.Context, before time.Time, yield func(repo string, d digest.Digest) error) error {
	return r.perRepository(ctx, "untagged_manifests", before, yield)
}

func (r reader) ManifestReferences(ctx context.Context, repo string, d digest.Digest) (blobs, manifests []digest.Digest, err error) {
	var (
		repoID, id    int64
		pinned, named string
	)
	found, err := one(ctx, r.q, "manifest_references", args(repo, string(d)), &repoID, &id, &pinned, &named)
	if !found || err != nil {
		return nil, nil, err
	}
	if blobs, err = r.referenced(ctx, "manifest_pins", repoID, id, splitDigests(pinned)); err != nil {
		return nil, nil, err
	}
	manifests, err = r.referenced(ctx, "manifest_names", repoID, id, splitDigests(named))
	return blobs, manifests, err
}

// referenced are those of ds, once each and in byte order, that the statement finds for
// a manifest.
func (r reader) referenced(ctx context.Context, name string, repoID, manifest int64, ds []digest.Digest) ([]digest.Digest, error) {
	var all []digest.Digest
	err := inBatches(ds, args(repoID, manifest), func(params []any) error {
		some, err := list[digest.Digest](ctx, r.q, name, params...)
		all = append(all, some...)
		return err
	})
	slices.Sort(all)
	return slices.Compact(all), err
}
