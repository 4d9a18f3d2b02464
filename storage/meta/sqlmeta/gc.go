package sqlmeta

import (
	"context"
	"time"

	"github.com/opencontainers/go-digest"
)

func (r reader) UntaggedManifests(ctx context.Context, before time.Time, yield func(repo string, d digest.Digest) error) error {
	return r.perRepository(ctx, "untagged_manifests", before, yield)
}

func (r reader) ManifestReferences(ctx context.Context, repo string, d digest.Digest) (blobs, manifests []digest.Digest, err error) {
	if blobs, err = list[digest.Digest](ctx, r.q, "manifest_pins", repo, string(d)); err != nil {
		return nil, nil, err
	}
	manifests, err = list[digest.Digest](ctx, r.q, "manifest_names", repo, string(d))
	return blobs, manifests, err
}
