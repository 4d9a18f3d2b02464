package sqlmeta

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/artifact/ref"
	"github.com/wreg-project/wreg/storage/meta"
)

func (r reader) Tag(ctx context.Context, repo, name string) (meta.Tag, error) {
	var (
		d       string
		updated int64
	)
	found, err := one(ctx, r.q, "tag", args(repo, name), &d, &updated)
	if err != nil {
		return meta.Tag{}, err
	}
	if !found {
		return meta.Tag{}, notFound(ctx, r.q, repo, name)
	}
	return meta.Tag{Name: name, Digest: digest.Digest(d), Updated: fromMicros(updated)}, nil
}

func (r reader) Tags(ctx context.Context, repo string, p meta.Page) ([]string, error) {
	names, err := list[string](ctx, r.q, "tags", repo, p.After, limit(p))
	if err == nil && len(names) == 0 {
		err = known(ctx, r.q, repo)
	}
	return names, err
}

func (r reader) Releases(ctx context.Context, repo string, most int) ([]meta.Tag, error) {
	var tags []meta.Tag
	err := each(ctx, r.q, "releases", args(repo, int64(most)), func(rows *sql.Rows) error {
		var (
			t       meta.Tag
			updated int64
		)
		if err := rows.Scan(&t.Name, (*string)(&t.Digest), &updated); err != nil {
			return r.q.fail("releases", err)
		}
		t.Updated = fromMicros(updated)
		tags = append(tags, t)
		return nil
	})
	if err == nil && len(tags) == 0 {
		err = known(ctx, r.q, repo)
	}
	return tags, err
}

// release is the version of a tag that is a release in a form that sorts as
// versions do, "" for other tags. A version's numbers have up to 20 digits.
func release(tag string) string {
	v, ok := ref.VersionOf(tag)
	if !ok || v.Prerelease() != "" {
		return ""
	}
	return fmt.Sprintf("%020d.%020d.%020d", v.Major(), v.Minor(), v.Patch())
}

func (r reader) ManifestTags(ctx context.Context, repo string, d digest.Digest) ([]string, error) {
	names, err := list[string](ctx, r.q, "manifest_tags", repo, string(d))
	if err == nil && len(names) == 0 {
		err = known(ctx, r.q, repo)
	}
	return names, err
}

func (r reader) Tombstone(ctx context.Context, repo, name string) (digest.Digest, error) {
	var d string
	found, err := one(ctx, r.q, "tombstone", args(repo, name), &d)
	if err != nil {
		return "", err
	}
	if !found {
		return "", missing(repo, "tombstone of "+name) // also where the repository is gone: it may never have been
	}
	return digest.Digest(d), nil
}

func (t *tx) PutTag(ctx context.Context, repo, name string, d digest.Digest, at time.Time) error {
	repoID, err := t.repositoryID(ctx, repo)
	if err != nil {
		return err
	}
	manifest, err := t.manifestID(ctx, repoID, repo, d)
	if err != nil {
		return err
	}
	inserted, err := t.exec(ctx, "insert_tag", repoID, name, manifest, micros(at), release(name))
	if err != nil {
		return err
	}
	if inserted == 0 {
		if _, err := t.exec(ctx, "move_tag", repoID, name, manifest, micros(at)); err != nil {
			return err
		}
	}
	if err := t.touch(ctx, repoID, inserted, micros(at)); err != nil {
		return err
	}
	t.record(meta.Record{Op: meta.OpPutTag, Repo: repo, Tag: name, Digest: d, Time: stored(at)})
	return nil
}

func (t *tx) DeleteTag(ctx context.Context, repo, name string, tombstone bool, at time.Time) error {
	tag, err := t.Tag(ctx, repo, name)
	if err != nil {
		return err
	}
	repoID, err := t.repositoryID(ctx, repo)
	if err != nil {
		return err
	}
	if _, err := t.exec(ctx, "delete_tag", repoID, name); err != nil {
		return err
	}
	if err := t.touch(ctx, repoID, -1, micros(at)); err != nil {
		return err
	}
	if tombstone {
		if _, err := t.exec(ctx, "put_tombstone", repo, name, string(tag.Digest), micros(at)); err != nil {
			return err
		}
	}
	t.record(meta.Record{Op: meta.OpDeleteTag, Repo: repo, Tag: name, Tombstone: tombstone, Time: stored(at)})
	return nil
}
