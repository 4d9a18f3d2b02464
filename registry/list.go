package registry

import (
	"context"
	"fmt"
	"math"

	"github.com/wreg-project/wreg/storage/meta"
)

// All is the limit of a listing that leaves nothing out.
const All = -1

// Tags lists at most limit tags of repo that sort after the given name, in byte
// order, and whether more follow. NAME_UNKNOWN if there is no such repository.
func (r *Registry) Tags(ctx context.Context, repo, after string, limit int) (tags []string, more bool, err error) {
	if limit == 0 {
		if _, err := r.meta.Repository(ctx, repo); err != nil {
			return nil, false, unknown(err, NameUnknown, repo, "name", repo)
		}
		return nil, false, nil
	}
	tags, err = r.meta.Tags(ctx, repo, page(after, limit))
	if err != nil {
		return nil, false, unknown(err, NameUnknown, repo, "name", repo)
	}
	tags, more = cut(tags, limit)
	return tags, more, nil
}

// Repositories lists at most limit names that v may see and that sort after the
// given one, in byte order, and whether more follow.
func (r *Registry) Repositories(ctx context.Context, v meta.Visibility, after string, limit int) (names []string, more bool, err error) {
	if limit == 0 {
		return nil, false, nil
	}
	names, err = r.meta.Repositories(ctx, v, page(after, limit))
	if err != nil {
		return nil, false, fmt.Errorf("list repositories: %w", err)
	}
	names, more = cut(names, limit)
	return names, more, nil
}

// page asks for one entry above limit, which tells whether more follow.
func page(after string, limit int) meta.Page {
	if limit < 0 || limit == math.MaxInt {
		return meta.Page{After: after}
	}
	return meta.Page{After: after, Limit: limit + 1}
}

func cut[T any](all []T, limit int) ([]T, bool) {
	if limit < 0 || len(all) <= limit {
		return all, false
	}
	return all[:limit], true
}
