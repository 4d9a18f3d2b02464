package sqlmeta

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/storage/meta"
)

func (r reader) Analysis(ctx context.Context, d digest.Digest, version int) (meta.Analysis, error) {
	a := meta.Analysis{Digest: d, Version: version}
	found, err := one(ctx, r.q, "analysis", args(string(d), int64(version)), (*[]byte)(&a.Facts), when{&a.Created})
	if err == nil && !found {
		err = fmt.Errorf("%w: analysis of %s by version %d", meta.ErrNotFound, d, version)
	}
	if err != nil {
		return meta.Analysis{}, err
	}
	return a, nil
}

func (t *tx) PutAnalysis(ctx context.Context, a meta.Analysis) error {
	_, err := t.exec(ctx, "put_analysis", string(a.Digest), int64(a.Version), notNil(a.Facts), micros(a.Created))
	return err
}

// forgetBatch bounds how long the writer is busy with what can wait.
const forgetBatch = 1000

func (t *tx) ForgetAnalyses(ctx context.Context, below int) (int64, error) {
	return t.exec(ctx, "forget_analyses", int64(below), int64(forgetBatch))
}

func (r reader) Verdict(ctx context.Context, repo string, d digest.Digest) (meta.Verdict, error) {
	var v meta.Verdict
	found, err := one(ctx, r.q, "verdict", args(repo, string(d)), &v.State, &v.Revision, (*[]byte)(&v.Reasons))
	if err == nil && !found {
		err = notFound(ctx, r.q, repo, string(d))
	}
	if err != nil {
		return meta.Verdict{}, err
	}
	if len(v.Reasons) == 0 {
		v.Reasons = nil
	}
	return v, nil
}

func (r reader) BlobAdmitted(ctx context.Context, repo string, d digest.Digest) (bool, error) {
	return one(ctx, r.q, "blob_admitted", args(repo, string(d)), new(int64))
}

func (r reader) StaleVerdicts(ctx context.Context, revision int64, after meta.ManifestKey, limit int) ([]meta.ManifestKey, error) {
	return r.below(ctx, "stale_in", "stale_behind", revision, after, limit)
}

func (r reader) Unindexed(ctx context.Context, version int, after meta.ManifestKey, limit int) ([]meta.ManifestKey, error) {
	return r.below(ctx, "unindexed_in", "unindexed_behind", int64(version), after, limit)
}

// below lists manifests that have a number below bound: with the statement in
// the rest of the repository of after, with behind those that follow.
func (r reader) below(
	ctx context.Context, in, behind string, bound int64, after meta.ManifestKey, limit int,
) ([]meta.ManifestKey, error) {
	var out []meta.ManifestKey
	ds, err := list[digest.Digest](ctx, r.q, in, after.Repo, string(after.Digest), bound, rowLimit(limit))
	if err != nil {
		return nil, err
	}
	for _, d := range ds {
		out = append(out, meta.ManifestKey{Repo: after.Repo, Digest: d})
	}
	if limit > 0 {
		if limit -= len(ds); limit == 0 {
			return out, nil
		}
	}
	err = each(ctx, r.q, behind, args(after.Repo, bound, rowLimit(limit)), func(rows *sql.Rows) error {
		var k meta.ManifestKey
		if err := rows.Scan(&k.Repo, (*string)(&k.Digest)); err != nil {
			return r.q.fail(behind, err)
		}
		out = append(out, k)
		return nil
	})
	return out, err
}

func (t *tx) SetVerdict(ctx context.Context, repo string, d digest.Digest, v meta.Verdict) error {
	return t.setManifest(ctx, "set_verdict", repo, d, int64(v.State), v.Revision, notNil(v.Reasons))
}

func (t *tx) SetIngested(ctx context.Context, repo string, d digest.Digest, version int) error {
	return t.setManifest(ctx, "set_ingested", repo, d, int64(version))
}

// setManifest runs a statement that changes one manifest.
func (t *tx) setManifest(ctx context.Context, name, repo string, d digest.Digest, params ...any) error {
	changed, err := t.exec(ctx, name, append(args(repo, string(d)), params...)...)
	if err == nil && changed == 0 {
		err = missing(repo, string(d))
	}
	return err
}
