package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/errdef"

	"github.com/wreg-project/wreg/artifact/ref"
	"github.com/wreg-project/wreg/signing"
)

// Signatures reads what hangs on the manifests of t, for signing.Find. A registry
// that cannot be asked is an error there and never an empty list.
func Signatures(t Target) signing.Source { return signed{t} }

// signed is a Target as a signing.Source.
type signed struct{ t Target }

// Referrers implements signing.Source.
func (s signed) Referrers(ctx context.Context, d digest.Digest, limit int) ([]ocispec.Descriptor, error) {
	if l, ok := s.t.(*Layout); ok { // which would compare media type and size of the subject too
		list, err := l.Predecessors(ctx, ocispec.Descriptor{Digest: d})
		return list[:min(limit, len(list))], err
	}
	enough := errors.New("enough")
	var list []ocispec.Descriptor
	err := s.t.Referrers(ctx, ocispec.Descriptor{Digest: d}, "", func(page []ocispec.Descriptor) error {
		list = append(list, page[:min(limit-len(list), len(page))]...)
		if len(list) == limit {
			return enough
		}
		return nil
	})
	if errors.Is(err, enough) {
		err = nil
	}
	return list, sourceError(err)
}

// Manifest implements signing.Source.
func (s signed) Manifest(ctx context.Context, reference string, limit int64) ([]byte, digest.Digest, error) {
	d, err := s.t.Resolve(ctx, reference)
	if err != nil {
		return nil, "", sourceError(err)
	}
	content, err := ReadAll(ctx, s.t, d, limit)
	return content, d.Digest, sourceError(err)
}

// Blob implements signing.Source.
func (s signed) Blob(ctx context.Context, d ocispec.Descriptor, limit int64) ([]byte, error) {
	if _, err := ref.ParseDigest(d.Digest.String()); err != nil { // it is of a manifest that anybody may have written
		return nil, fmt.Errorf("%w: %w", signing.ErrNotFound, err)
	}
	d.MediaType = "" // which might be that of a manifest
	content, err := ReadAll(ctx, s.t, d, limit)
	if errors.Is(err, ErrAnswer) || errors.Is(err, ErrDigest) { // it is no blob of that size
		return nil, fmt.Errorf("%w: %w", signing.ErrFormat, err)
	}
	return content, sourceError(err)
}

// sourceError gives errors of this package those of package signing.
func sourceError(err error) error {
	switch {
	case errors.Is(err, ErrNotFound):
		return fmt.Errorf("%w: %w", signing.ErrNotFound, err)
	case errors.Is(err, ErrTooLarge):
		return fmt.Errorf("%w: %w", signing.ErrLimit, err)
	}
	return err
}

// Attach hangs a bundle on subject and returns the referrer. The subject need not
// be there: a registry holds referrers of what comes later (OCI distribution
// specification 1.1, "Pushing Manifests with Subject"). What t has already is not
// sent again.
func Attach(ctx context.Context, t Target, subject ocispec.Descriptor, bundle []byte, predicateType string) (ocispec.Descriptor, error) {
	manifest, layer, err := signing.Attachment(subject, bundle, predicateType)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	d := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.FromBytes(manifest), Size: int64(len(manifest))}
	for _, one := range []struct {
		d       ocispec.Descriptor
		content []byte
	}{
		{bare(ocispec.DescriptorEmptyJSON), ocispec.DescriptorEmptyJSON.Data},
		{layer, bundle},
		{d, manifest},
	} {
		if err := pushOnce(ctx, t, one.d, one.content); err != nil {
			return d, fmt.Errorf("signature of %s: %w", subject.Digest, err)
		}
	}
	d.ArtifactType = signing.MediaTypeBundle
	return d, nil
}

// pushOnce stores content unless it is there.
func pushOnce(ctx context.Context, t Target, d ocispec.Descriptor, content []byte) error {
	there, err := t.Exists(ctx, d)
	if err != nil || there {
		return err
	}
	err = t.Push(ctx, d, bytes.NewReader(content))
	if errors.Is(err, errdef.ErrAlreadyExists) { // by somebody else, since
		return nil
	}
	return err
}
