package catalog

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/registry/catalog/wire"
	"github.com/wreg-project/wreg/registry/search"
	"github.com/wreg-project/wreg/storage/meta"
)

// Bounds on what is read of the index of functions.
const (
	maxCommon  = 500 // blobs that may share a function which still tells something
	maxOverlap = 200 // blobs that are ranked
)

// listFunctionUses lists the versions that contain a function, newest first.
func (a *API) listFunctionUses(ctx context.Context, q *request) (answer, error) {
	var from string
	if _, err := q.after(&from); err != nil {
		return answer{}, err
	}
	got, err := a.find(ctx, q, "function:"+q.path["hash"], search.SortUpdated, from, q.limit())
	if err != nil {
		return answer{}, err
	}
	var list wire.List[wire.Hit]
	if list.Items, err = wireHits(got.Hits); err != nil {
		return answer{}, err
	}
	if got.Next != "" {
		if list.Next, err = q.next(got.Next); err != nil {
			return answer{}, err
		}
	}
	return found(list)
}

// listSimilar ranks versions by the functions that one of their blobs shares with
// one of this version's.
func (a *API) listSimilar(ctx context.Context, q *request) (answer, error) {
	d, err := a.digestOf(ctx, q.repo, q.version)
	if err != nil {
		return answer{}, err
	}
	files, _, err := a.filesOf(ctx, q.repo, d)
	if err != nil {
		return answer{}, err
	}
	best := map[meta.ManifestKey]wire.Similar{}
	for _, layer := range layersOf(files) {
		overlaps, err := a.Meta.SimilarLayers(ctx, layer, maxCommon, maxOverlap)
		if errors.Is(err, meta.ErrNotFound) {
			continue // it has no functions, or none that are noted
		}
		if err != nil {
			return answer{}, fmt.Errorf("blobs like %s: %w", layer, err)
		}
		for _, o := range overlaps {
			if err := a.similar(ctx, q, best, layer, o); err != nil {
				return answer{}, err
			}
		}
	}
	delete(best, meta.ManifestKey{Repo: q.repo, Digest: d})
	list := wire.List[wire.Similar]{Items: []wire.Similar{}}
	for _, s := range best {
		list.Items = append(list.Items, s)
	}
	slices.SortFunc(list.Items, func(a, b wire.Similar) int {
		return cmp.Or(cmp.Compare(b.Shared, a.Shared), cmp.Compare(a.Repository, b.Repository), cmp.Compare(a.Digest, b.Digest))
	})
	list.Items = list.Items[:min(len(list.Items), q.limit())]
	return found(list)
}

// similar adds the versions with a blob that shares functions, if no other of
// their blobs shares more.
func (a *API) similar(ctx context.Context, q *request, best map[meta.ManifestKey]wire.Similar, layer digest.Digest,
	o meta.LayerOverlap,
) error {
	got, err := a.find(ctx, q, "layer:"+o.Digest.String(), search.SortUpdated, "", q.limit()+1)
	if err != nil {
		return err
	}
	hits, err := wireHits(got.Hits)
	for _, hit := range hits {
		key := meta.ManifestKey{Repo: hit.Repository, Digest: hit.Digest}
		if have, ok := best[key]; !ok || have.Shared < o.Shared {
			best[key] = wire.Similar{Hit: hit, Layer: layer, Other: o.Digest, Shared: o.Shared, Sample: o.Sample, Functions: o.Total}
		}
	}
	return err
}
