// Package stored gives packages attached and signing what this server has stored.
package stored

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/errdef"

	"github.com/wreg-project/wreg/storage/blob"
	"github.com/wreg-project/wreg/storage/meta"
)

// A Repository is an attached.Source over one repository of a server. Manifests
// that policy does not let be served are left out: nobody could read what they
// say.
type Repository struct {
	Meta  meta.DB
	Blobs blob.Store
	Name  string
}

// page is how many referrers are listed at a time; each has the annotations of its
// manifest.
const page = 16

// Referrers implements attached.Source.
func (r Repository) Referrers(
	ctx context.Context, d ocispec.Descriptor, artifactType string, fn func([]ocispec.Descriptor) error,
) error {
	after := ""
	for {
		batch, err := r.Meta.Referrers(ctx, r.Name, d.Digest, artifactType, meta.Page{After: after, Limit: page})
		if absent(err) {
			return nil
		}
		if err != nil {
			return err
		}
		list := make([]ocispec.Descriptor, 0, len(batch))
		for _, b := range batch {
			list = append(list, ocispec.Descriptor{
				MediaType: b.MediaType, Digest: b.Digest, Size: b.Size, ArtifactType: b.ArtifactType, Annotations: b.Annotations,
			})
		}
		if err := fn(list); err != nil || len(batch) < page {
			return err
		}
		after = batch[len(batch)-1].Digest.String()
	}
}

// Fetch implements attached.Source.
func (r Repository) Fetch(ctx context.Context, d ocispec.Descriptor) (io.ReadCloser, error) {
	m, err := r.Meta.Manifest(ctx, r.Name, d.Digest)
	switch {
	case err == nil && m.Verdict == meta.VerdictDeny:
		return nil, fmt.Errorf("%w: manifest %s is not served", errdef.ErrNotFound, d.Digest)
	case err == nil:
		return io.NopCloser(bytes.NewReader(m.Content)), nil
	case !absent(err):
		return nil, err
	}
	b, err := r.Meta.Blob(ctx, r.Name, d.Digest)
	if absent(err) {
		return nil, fmt.Errorf("%w: %s in %s", errdef.ErrNotFound, d.Digest, r.Name)
	}
	if err != nil {
		return nil, err
	}
	body, err := r.Blobs.Open(ctx, blob.Key{Digest: b.Digest, Generation: b.Generation}, 0, d.Size+1)
	if err != nil {
		return nil, fmt.Errorf("blob %s of %s: %w", d.Digest, r.Name, err)
	}
	return body, nil
}

func absent(err error) bool {
	return errors.Is(err, meta.ErrNotFound) || errors.Is(err, meta.ErrRepository)
}
