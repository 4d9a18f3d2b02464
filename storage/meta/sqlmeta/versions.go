package sqlmeta

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/storage/meta"
)

func (r reader) Version(ctx context.Context, repo, tag string) (meta.Version, error) {
	found, err := r.versions(ctx, "version", repo, tag)
	if err != nil {
		return meta.Version{}, err
	}
	if len(found) == 0 {
		return meta.Version{}, notFound(ctx, r.q, repo, tag)
	}
	return found[0], nil
}

func (r reader) Versions(ctx context.Context, repo string, p meta.Page) ([]meta.Version, error) {
	out, err := r.versions(ctx, "versions", repo, p.After, limit(p))
	if err == nil && len(out) == 0 {
		err = known(ctx, r.q, repo)
	}
	return out, err
}

func (r reader) versions(ctx context.Context, query, repo string, params ...any) ([]meta.Version, error) {
	var out []meta.Version
	err := each(ctx, r.q, query, append(args(repo), params...), func(rows *sql.Rows) error {
		var (
			v           meta.Version
			annotations string
		)
		err := rows.Scan(&v.Name, (*string)(&v.Digest), when{&v.Updated}, &v.MediaType, &v.ArtifactType, (*string)(&v.Subject),
			&annotations, &v.Size, when{&v.Created}, (*int)(&v.Verdict), &v.Ingested,
			(*int)(&v.Notice.State), &v.Notice.Reason, &v.Notice.By, optional{&v.Notice.Time}, &v.Downloads)
		if err != nil {
			return r.q.fail(query, err)
		}
		if v.Annotations, err = decodeAnnotations(annotations); err != nil {
			return fmt.Errorf("annotations of %s in %s: %w", v.Digest, repo, err)
		}
		out = append(out, v)
		return nil
	})
	return out, err
}

func (r reader) TagNotices(ctx context.Context, repo string, p meta.Page) ([]meta.TagNotice, error) {
	var out []meta.TagNotice
	err := each(ctx, r.q, "tag_notices", args(repo, p.After, limit(p)), func(rows *sql.Rows) error {
		var n meta.TagNotice
		if err := rows.Scan(&n.Tag, (*int)(&n.Notice)); err != nil {
			return r.q.fail("tag_notices", err)
		}
		out = append(out, n)
		return nil
	})
	if err == nil && len(out) == 0 {
		err = known(ctx, r.q, repo)
	}
	return out, err
}

// optional scans a time that is the zero time if nothing is there.
type optional struct{ t *time.Time }

func (o optional) Scan(src any) error {
	if src == int64(0) {
		*o.t = time.Time{}
		return nil
	}
	return when(o).Scan(src)
}

func (t *tx) SetNotice(ctx context.Context, repo, tag string, n meta.Notice) error {
	switch n.State {
	case meta.NoticeNone:
		n = meta.Notice{}
	case meta.NoticeDeprecated, meta.NoticeYanked:
	default:
		return fmt.Errorf("notice of %s in %s: there is no state %d", tag, repo, n.State)
	}
	if err := checkText("notice", n.Reason, n.By); err != nil {
		return err
	}
	repoID, err := t.repositoryID(ctx, repo)
	if err != nil {
		return err
	}
	var at int64
	if !n.Time.IsZero() {
		at, n.Time = micros(n.Time), stored(n.Time)
	}
	changed, err := t.exec(ctx, "set_notice", repoID, tag, int64(n.State), n.Reason, n.By, at)
	if err != nil {
		return err
	}
	if changed == 0 {
		return missing(repo, tag)
	}
	t.record(meta.Record{Op: meta.OpSetNotice, Repo: repo, Tag: tag, Notice: &n})
	return nil
}

func (r reader) Downloads(ctx context.Context, repo string, d digest.Digest, from time.Time) ([]meta.Download, error) {
	query, params := "downloads", args(repo, micros(dayOf(from)))
	if d != "" {
		query, params = "downloads_of_digest", append(params, string(d))
	}
	var out []meta.Download
	err := each(ctx, r.q, query, params, func(rows *sql.Rows) error {
		count := meta.Download{Repo: repo}
		if err := rows.Scan((*string)(&count.Digest), when{&count.Day}, &count.Count); err != nil {
			return r.q.fail(query, err)
		}
		out = append(out, count)
		return nil
	})
	if err == nil && len(out) == 0 {
		err = known(ctx, r.q, repo)
	}
	return out, err
}

func (t *tx) AddDownloads(ctx context.Context, ds []meta.Download) error {
	for _, d := range ds {
		if d.Count < 0 {
			return fmt.Errorf("downloads of %s in %s: %d is no count", d.Digest, d.Repo, d.Count)
		}
		var id int64
		found, err := one(ctx, t, "find_manifest", args(d.Repo, string(d.Digest)), &id)
		if err != nil {
			return err
		}
		if !found || d.Count == 0 {
			continue
		}
		if _, err := t.exec(ctx, "add_downloads", id, micros(dayOf(d.Day)), d.Count); err != nil {
			return err
		}
		if _, err := t.exec(ctx, "add_download_total", id, d.Count); err != nil {
			return err
		}
		if err := t.addPulls(ctx, id, d.Count); err != nil {
			return err
		}
	}
	return nil
}

// dayOf is the midnight before t, in UTC.
func dayOf(t time.Time) time.Time {
	y, m, d := t.UTC().Date()
	return time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
}
