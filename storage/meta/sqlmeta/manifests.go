package sqlmeta

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/storage/meta"
)

func (r reader) Manifest(ctx context.Context, repo string, d digest.Digest) (meta.Manifest, error) {
	m := meta.Manifest{Repo: repo, Digest: d}
	var created int64
	found, err := one(ctx, r.q, "manifest", args(repo, string(d)), &m.MediaType, &m.Content, &created, &m.Verdict, &m.Ingested)
	if err != nil {
		return meta.Manifest{}, err
	}
	if !found {
		return meta.Manifest{}, notFound(ctx, r.q, repo, string(d))
	}
	m.Created = fromMicros(created)
	return m, nil
}

func (r reader) TaggedManifest(ctx context.Context, repo, tag string) (meta.Manifest, error) {
	m := meta.Manifest{Repo: repo}
	var created int64
	found, err := one(ctx, r.q, "tagged_manifest", args(repo, tag), (*string)(&m.Digest), &m.MediaType, &m.Content, &created,
		&m.Verdict, &m.Ingested)
	if err != nil {
		return meta.Manifest{}, err
	}
	if !found {
		return meta.Manifest{}, notFound(ctx, r.q, repo, tag)
	}
	m.Created = fromMicros(created)
	return m, nil
}

func (r reader) Manifests(ctx context.Context, repo string, p meta.Page) ([]digest.Digest, error) {
	ds, err := list[digest.Digest](ctx, r.q, "manifests", repo, p.After, limit(p))
	if err == nil && len(ds) == 0 {
		err = known(ctx, r.q, repo)
	}
	return ds, err
}

func (r reader) Referrers(
	ctx context.Context, repo string, d digest.Digest, artifactType string, p meta.Page,
) ([]meta.Referrer, error) {
	var out []meta.Referrer
	params := args(repo, string(d), artifactType, p.After, limit(p))
	err := each(ctx, r.q, "referrers", params, func(rows *sql.Rows) error {
		var (
			ref         meta.Referrer
			annotations string
		)
		if err := rows.Scan((*string)(&ref.Digest), &ref.MediaType, &ref.Size, &ref.ArtifactType, &annotations); err != nil {
			return r.q.fail("referrers", err)
		}
		var err error
		if ref.Annotations, err = decodeAnnotations(annotations); err != nil {
			return fmt.Errorf("annotations of %s in %s: %w", ref.Digest, repo, err)
		}
		out = append(out, ref)
		return nil
	})
	return out, err
}

func (r reader) MissingManifests(ctx context.Context, repo string, ds []digest.Digest) ([]digest.Digest, error) {
	return r.without(ctx, "held_manifests", repo, ds)
}

func (r reader) OrphanReferrers(ctx context.Context, before time.Time, yield func(repo string, d digest.Digest) error) error {
	return r.perRepository(ctx, "orphan_referrers", before, yield)
}

func (t *tx) manifestID(ctx context.Context, repoID int64, repo string, d digest.Digest) (int64, error) {
	if last := t.manifest; last.id != 0 && last.repo == repoID && last.digest == d {
		return last.id, nil
	}
	var id int64
	found, err := one(ctx, t, "manifest_id", args(repoID, string(d)), &id)
	if err != nil {
		return 0, err
	}
	if !found {
		return 0, missing(repo, string(d))
	}
	return id, nil
}

func (t *tx) PutManifest(ctx context.Context, m meta.NewManifest) (bool, error) {
	if strings.ContainsRune(m.MediaType, 0) || strings.ContainsRune(m.ArtifactType, 0) {
		// PostgreSQL cannot store it, and both databases hold the same things.
		return false, fmt.Errorf("manifest %s: a zero byte in its media type or artifact type", m.Digest)
	}
	annotations, err := encodeAnnotations(m.Annotations)
	if err != nil {
		return false, fmt.Errorf("manifest %s: %w", m.Digest, err)
	}
	repoID, err := t.ensureRepository(ctx, m.Repo, m.Created)
	if err != nil {
		return false, err
	}
	var id int64
	created, err := one(ctx, t, "insert_manifest", args(repoID, string(m.Digest), m.MediaType, m.ArtifactType,
		nullable(m.Subject), annotations, int64(len(m.Content)), joinDigests(m.Blobs), joinDigests(m.Manifests),
		micros(m.Created), notNil(m.Content)), &id)
	if err != nil || !created {
		return false, err
	}
	if err := t.forEach(ctx, "pin_blobs", repoID, m.Blobs, id); err != nil {
		return false, err
	}
	if err := t.forEach(ctx, "insert_children", repoID, m.Manifests, id); err != nil {
		return false, err
	}
	t.manifest.repo, t.manifest.digest, t.manifest.id = repoID, m.Digest, id
	if err := t.touch(ctx, repoID, 0, micros(m.Created)); err != nil {
		return false, err
	}
	t.record(meta.Record{
		Op: meta.OpPutManifest, Repo: m.Repo, Digest: m.Digest, Time: stored(m.Created), Manifest: &meta.ManifestRecord{
			MediaType: m.MediaType, ArtifactType: m.ArtifactType, Content: m.Content, Annotations: m.Annotations,
			Subject: m.Subject, Blobs: m.Blobs, Manifests: m.Manifests,
		},
	})
	return true, nil
}

func (t *tx) DeleteManifest(ctx context.Context, repo string, d digest.Digest) ([]string, error) {
	repoID, err := t.repositoryID(ctx, repo)
	if err != nil {
		return nil, err
	}
	var (
		id               int64
		blobs, manifests string
	)
	found, err := one(ctx, t, "manifest_lists", args(repoID, string(d)), &id, &blobs, &manifests)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, missing(repo, string(d))
	}
	if err := t.forEach(ctx, "unpin_blobs", repoID, splitDigests(blobs), id); err != nil {
		return nil, err
	}
	if err := t.forEach(ctx, "delete_children", repoID, splitDigests(manifests), id); err != nil {
		return nil, err
	}
	tags, err := t.ManifestTags(ctx, repo, d)
	if err != nil {
		return nil, err
	}
	if err := t.dropDocument(ctx, id); err != nil {
		return nil, err
	}
	if _, err := t.exec(ctx, "delete_manifest", id); err != nil { // its tags go with it
		return nil, err
	}
	if len(tags) > 0 {
		if err := t.touch(ctx, repoID, -int64(len(tags)), unchanged); err != nil {
			return nil, err
		}
	}
	t.manifest.id = 0
	t.record(meta.Record{Op: meta.OpDeleteManifest, Repo: repo, Digest: d})
	return tags, nil
}

// forEach runs a statement on (repository, manifest, digests…).
func (t *tx) forEach(ctx context.Context, name string, repoID int64, ds []digest.Digest, manifest int64) error {
	return inBatches(ds, args(repoID, manifest), func(params []any) error {
		_, err := t.exec(ctx, name, params...)
		return err
	})
}

// joinDigests is how a list of digests is stored; splitDigests reads it.
func joinDigests(ds []digest.Digest) string {
	var b strings.Builder
	for i, d := range ds {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(string(d))
	}
	return b.String()
}

func splitDigests(text string) []digest.Digest {
	var ds []digest.Digest
	for s := range strings.FieldsSeq(text) {
		ds = append(ds, digest.Digest(s))
	}
	return ds
}

func nullable(d digest.Digest) any {
	if d == "" {
		return nil
	}
	return string(d)
}

// notNil keeps empty content from being stored as NULL.
func notNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// encodeAnnotations gives the keys in order, so that equal maps are equal text.
func encodeAnnotations(a map[string]string) (string, error) {
	if len(a) == 0 {
		return "", nil
	}
	text, err := json.Marshal(a)
	return string(text), err
}

func decodeAnnotations(text string) (map[string]string, error) {
	if text == "" {
		return nil, nil
	}
	var a map[string]string
	err := json.Unmarshal([]byte(text), &a)
	return a, err
}
