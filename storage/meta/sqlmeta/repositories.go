package sqlmeta

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/storage/meta"
)

func (r reader) Repository(ctx context.Context, name string) (meta.Repository, error) {
	var created int64
	found, err := one(ctx, r.q, "repository", args(name), &created)
	if err != nil {
		return meta.Repository{}, err
	}
	if !found {
		return meta.Repository{}, absent(name)
	}
	return meta.Repository{Name: name, Created: fromMicros(created)}, nil
}

func (r reader) Repositories(ctx context.Context, v meta.Visibility, p meta.Page) ([]string, error) {
	var out []string
	err := pageSpans(v, p, func(s span, limit int64) (int, error) {
		names, err := list[string](ctx, r.q, "repositories", s.low, s.high, limit)
		out = append(out, names...)
		return len(names), err
	})
	return out, err
}

func (r reader) Packages(ctx context.Context, v meta.Visibility, p meta.Page) ([]meta.Package, error) {
	var out []meta.Package
	err := pageSpans(v, p, func(s span, limit int64) (int, error) {
		before := len(out)
		err := each(ctx, r.q, "packages", args(s.low, s.high, limit), func(rows *sql.Rows) error {
			var (
				p               meta.Package
				d               string
				updated, tagged int64
			)
			if err := rows.Scan(&p.Name, &p.Tags, &updated, &p.Latest.Name, &d, &tagged); err != nil {
				return r.q.fail("packages", err)
			}
			p.Updated = fromMicros(updated)
			if p.Latest.Name != "" {
				p.Latest.Digest, p.Latest.Updated = digest.Digest(d), fromMicros(tagged)
			}
			out = append(out, p)
			return nil
		})
		return len(out) - before, err
	})
	return out, err
}

// A span is the names from low to before high, in byte order.
type span struct{ low, high string }

// Names have no byte below '-', which makes after the next string behind a name
// as far as names are concerned, and none above 'z'.
const (
	after = "\x01"
	last  = "\U0010ffff"
)

// spans are the parts of all names that v may see: ordered, without overlap.
func spans(v meta.Visibility) []span {
	if v.Everything {
		return []span{{"", last}}
	}
	var all []span
	for _, ns := range v.Namespaces {
		if ns != "" {
			all = append(all, span{ns, ns + after}, span{ns + "/", ns + "0"}) // '0' follows '/'
		}
	}
	slices.SortFunc(all, func(a, b span) int {
		if a.low != b.low {
			if a.low < b.low {
				return -1
			}
			return 1
		}
		return 0
	})
	out := all[:0]
	for _, s := range all {
		// Spans of names nest or are apart, so what begins inside ends inside.
		if n := len(out); n == 0 || s.low >= out[n-1].high {
			out = append(out, s)
		}
	}
	return out
}

// pageSpans calls fetch for each visible span behind p.After until the page is
// full; fetch says how many rows it found.
func pageSpans(v meta.Visibility, p meta.Page, fetch func(s span, limit int64) (int, error)) error {
	left := limit(p)
	for _, s := range spans(v) {
		if p.After != "" {
			s.low = max(s.low, p.After+after)
		}
		if s.low >= s.high {
			continue
		}
		n, err := fetch(s, left)
		if err != nil {
			return err
		}
		if left -= int64(n); left <= 0 {
			return nil
		}
	}
	return nil
}

func (t *tx) Packages(ctx context.Context, v meta.Visibility, p meta.Page) ([]meta.Package, error) {
	if err := t.flush(ctx); err != nil {
		return nil, err
	}
	return t.reader.Packages(ctx, v, p)
}

// known returns nil if the repository exists, else meta.ErrRepository.
func known(ctx context.Context, q querier, name string) error {
	_, err := repositoryID(ctx, q, name)
	return err
}

func repositoryID(ctx context.Context, q querier, name string) (int64, error) {
	var id int64
	found, err := one(ctx, q, "repository_id", args(name), &id)
	if err != nil {
		return 0, err
	}
	if !found {
		return 0, absent(name)
	}
	return id, nil
}

func absent(repo string) error { return fmt.Errorf("%w: %s", meta.ErrRepository, repo) }

// notFound is meta.ErrRepository if the repository is what is missing, else
// meta.ErrNotFound.
func notFound(ctx context.Context, q querier, repo, what string) error {
	if err := known(ctx, q, repo); err != nil {
		return err
	}
	return missing(repo, what)
}

func missing(repo, what string) error {
	return fmt.Errorf("%w: %s in %s", meta.ErrNotFound, what, repo)
}

// repositoryID is the id of a repository, looked up once.
func (t *tx) repositoryID(ctx context.Context, name string) (int64, error) {
	if id, ok := t.ids[name]; ok {
		return id, nil
	}
	id, err := repositoryID(ctx, t, name)
	if err == nil {
		t.remember(name, id)
	}
	return id, err
}

// maxRemembered bounds what a transaction keeps in memory of repositories, which
// Load may write by the million.
const maxRemembered = 1000

func (t *tx) remember(repo string, id int64) {
	if t.ids == nil || len(t.ids) >= maxRemembered {
		t.ids = map[string]int64{}
	}
	t.ids[repo] = id
}

// ensureRepository returns the id of a repository, which it makes if need be.
func (t *tx) ensureRepository(ctx context.Context, name string, at time.Time) (int64, error) {
	id, err := t.repositoryID(ctx, name)
	if !errors.Is(err, meta.ErrRepository) {
		return id, err
	}
	if _, err := one(ctx, t, "insert_repository", args(name, micros(at)), &id); err != nil {
		return 0, err
	}
	t.remember(name, id)
	return id, nil
}

// A touch changes what the row of a repository says about its contents.
type touch struct{ tags, at int64 }

// unchanged, given to touch, leaves the time of the last write as it is.
const unchanged = math.MinInt64

// touch adds to the number of tags and notes the time of a write. That is
// written once for all that an update does, by flush.
func (t *tx) touch(ctx context.Context, repo, tags, at int64) error {
	if t.touched == nil {
		t.touched = map[int64]touch{}
	}
	sum, again := t.touched[repo]
	if !again {
		sum.at = unchanged
	}
	t.touched[repo] = touch{sum.tags + tags, max(sum.at, at)}
	if len(t.touched) < maxRemembered {
		return nil
	}
	return t.flush(ctx)
}

func (t *tx) flush(ctx context.Context) error {
	for repo, sum := range t.touched {
		if _, err := t.exec(ctx, "touch_repository", repo, sum.tags, sum.at); err != nil {
			return err
		}
	}
	clear(t.touched)
	return nil
}

func (t *tx) DeleteRepository(ctx context.Context, name string) error {
	id, err := t.repositoryID(ctx, name)
	if err != nil {
		return err
	}
	if err := t.dropDocuments(ctx, id); err != nil {
		return err
	}
	if _, err := t.exec(ctx, "delete_repository", id); err != nil {
		return err
	}
	if _, err := t.exec(ctx, "delete_quarantine_of_repository", name); err != nil {
		return err
	}
	delete(t.ids, name)
	t.manifest.id = 0
	delete(t.touched, id) // the id may be used again
	t.record(meta.Record{Op: meta.OpDeleteRepository, Repo: name})
	return nil
}
