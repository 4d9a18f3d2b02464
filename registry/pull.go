package registry

import (
	"context"
	"fmt"
	"io"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/storage/blob"
	"github.com/wreg-project/wreg/storage/meta"
)

// A Reference names a manifest by exactly one of its fields.
type Reference struct {
	Tag    string
	Digest digest.Digest
}

// String gives the field that is set.
func (r Reference) String() string {
	if r.Tag != "" {
		return r.Tag
	}
	return r.Digest.String()
}

// Blob describes a blob that repo holds, in one query. BLOB_UNKNOWN if it does
// not hold d, or if by may not see it: in a guarded repository that is asked in
// a second one.
func (r *Registry) Blob(ctx context.Context, repo string, d digest.Digest, by Caller) (meta.Blob, error) {
	b, err := r.meta.Blob(ctx, repo, d)
	if err == nil {
		err = r.checkGuard(ctx, r.meta, repo, b, by)
	}
	if err != nil {
		return meta.Blob{}, unknown(err, BlobUnknown, repo, "digest", d.String())
	}
	return b, nil
}

// OpenBlob reads n bytes of b from byte off on, or more: the caller bounds what
// it copies, and closes the reader, which is an *os.File where blobs are local
// files.
func (r *Registry) OpenBlob(ctx context.Context, b meta.Blob, off, n int64) (io.ReadCloser, error) {
	key := blob.Key{Digest: b.Digest, Generation: b.Generation}
	body, err := r.blobs.Open(ctx, key, off, n)
	if err != nil {
		return nil, fmt.Errorf("blob %s is known but cannot be read: %w", key, err)
	}
	return body, nil
}

// Manifest returns the manifest that ref names, in one query. One that policy
// does not let be served is DENIED, with the reasons.
func (r *Registry) Manifest(ctx context.Context, repo string, ref Reference) (meta.Manifest, error) {
	if ref.Tag != "" {
		m, err := r.meta.TaggedManifest(ctx, repo, ref.Tag)
		if err != nil {
			return meta.Manifest{}, unknown(err, ManifestUnknown, repo, "tag", ref.Tag)
		}
		return m, r.checkVerdict(ctx, m)
	}
	m, err := r.meta.Manifest(ctx, repo, ref.Digest)
	if err != nil {
		return meta.Manifest{}, unknown(err, ManifestUnknown, repo, "digest", ref.Digest.String())
	}
	return m, r.checkVerdict(ctx, m)
}
