package registry

import (
	"context"
	"fmt"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/storage/meta"
)

// Bounds of one page of referrers. An entry carries its manifest's
// annotations, which may be as large as a manifest, so entries are fetched few
// at a time and a page ends at either bound.
const (
	referrersPage  = 1000
	referrersBytes = 4 << 20
	referrersBatch = 16
)

// Referrers lists manifests of repo whose subject is d, ordered by digest and
// beginning after the given one, and whether more follow. An empty
// artifactType means any. A repository or subject that is absent has none.
func (r *Registry) Referrers(ctx context.Context, repo string, d digest.Digest, artifactType string, after digest.Digest) (
	list []meta.Referrer, more bool, err error,
) {
	bytes := 0
	for {
		batch, err := r.meta.Referrers(ctx, repo, d, artifactType, meta.Page{After: after.String(), Limit: referrersBatch})
		if err != nil && !absent(err) {
			return nil, false, fmt.Errorf("referrers of %s in %s: %w", d, repo, err)
		}
		for _, e := range batch {
			if size := weight(e); len(list) > 0 && (bytes+size > referrersBytes || len(list) == referrersPage) {
				return list, true, nil
			}
			bytes += weight(e)
			list = append(list, e)
		}
		if len(batch) < referrersBatch {
			return list, false, nil
		}
		after = batch[len(batch)-1].Digest
	}
}

// weight estimates the bytes of e in a listing.
func weight(e meta.Referrer) int {
	n := 256 + len(e.MediaType) + len(e.ArtifactType)
	for k, v := range e.Annotations {
		n += len(k) + len(v) + 8
	}
	return n
}
