package stored

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/wreg-project/wreg/signing"
	"github.com/wreg-project/wreg/storage/blob"
	"github.com/wreg-project/wreg/storage/meta"
)

// Annotations of what an installation derives; see package registry, which has
// them as AnnotationProducer and AnnotationDerived.
const (
	annotationProducer = "io.wreg.producer"
	annotationDerived  = "io.wreg.derived"
)

// Signatures are a signing.Source over one repository of a server. As in a
// Repository, what policy does not let be served is left out. So is what Producer,
// this installation, derived: it follows from what is found here, and is no
// reason for it.
type Signatures struct {
	Meta     meta.Reader
	Blobs    blob.Store
	Name     string
	Producer string
}

var _ signing.Source = Signatures{}

// Referrers implements signing.Source.
func (s Signatures) Referrers(ctx context.Context, d digest.Digest, limit int) ([]ocispec.Descriptor, error) {
	var list []ocispec.Descriptor
	after := ""
	for {
		batch, err := s.Meta.Referrers(ctx, s.Name, d, "", meta.Page{After: after, Limit: page})
		if absent(err) {
			return list, nil
		}
		if err != nil {
			return nil, err
		}
		for _, b := range batch {
			if b.Annotations[annotationProducer] == s.Producer && b.Annotations[annotationDerived] != "" {
				continue
			}
			if len(list) == limit {
				return list, nil
			}
			list = append(list, ocispec.Descriptor{
				MediaType: b.MediaType, Digest: b.Digest, Size: b.Size, ArtifactType: b.ArtifactType, Annotations: b.Annotations,
			})
		}
		if len(batch) < page {
			return list, nil
		}
		after = batch[len(batch)-1].Digest.String()
	}
}

// Manifest implements signing.Source.
func (s Signatures) Manifest(ctx context.Context, reference string, limit int64) ([]byte, digest.Digest, error) {
	var m meta.Manifest
	d, err := digest.Parse(reference)
	if err == nil {
		m, err = s.Meta.Manifest(ctx, s.Name, d)
	} else {
		m, err = s.Meta.TaggedManifest(ctx, s.Name, reference)
	}
	switch {
	case absent(err):
		return nil, "", fmt.Errorf("manifest %s of %s: %w", reference, s.Name, signing.ErrNotFound)
	case err != nil:
		return nil, "", fmt.Errorf("manifest %s of %s: %w", reference, s.Name, err)
	case m.Verdict == meta.VerdictDeny:
		return nil, "", fmt.Errorf("manifest %s of %s is not served: %w", reference, s.Name, signing.ErrNotFound)
	case int64(len(m.Content)) > limit:
		return nil, "", fmt.Errorf("manifest %s of %s has %d bytes: %w of %d", reference, s.Name, len(m.Content), signing.ErrLimit, limit)
	}
	return m.Content, m.Digest, nil
}

// Blob implements signing.Source.
func (s Signatures) Blob(ctx context.Context, d ocispec.Descriptor, limit int64) ([]byte, error) {
	b, err := s.Meta.Blob(ctx, s.Name, d.Digest)
	if absent(err) {
		return nil, fmt.Errorf("blob %s of %s: %w", d.Digest, s.Name, signing.ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("blob %s of %s: %w", d.Digest, s.Name, err)
	}
	if b.Size > limit {
		return nil, fmt.Errorf("blob %s of %s has %d bytes: %w of %d", d.Digest, s.Name, b.Size, signing.ErrLimit, limit)
	}
	body, err := s.Blobs.Open(ctx, blob.Key{Digest: b.Digest, Generation: b.Generation}, 0, -1)
	if errors.Is(err, blob.ErrNotFound) {
		return nil, fmt.Errorf("blob %s of %s: %w", d.Digest, s.Name, signing.ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("blob %s of %s: %w", d.Digest, s.Name, err)
	}
	defer body.Close()
	var text bytes.Buffer
	if _, err := io.Copy(&text, io.LimitReader(body, limit+1)); err != nil {
		return nil, fmt.Errorf("blob %s of %s: %w", d.Digest, s.Name, err)
	}
	if d.Digest.Algorithm().FromBytes(text.Bytes()) != d.Digest {
		return nil, fmt.Errorf("blob %s of %s: its bytes are others: %w", d.Digest, s.Name, signing.ErrNotFound)
	}
	return text.Bytes(), nil
}
