package client

import (
	"context"
	"errors"
	"fmt"
	"io"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/errdef"
)

// Errors of this package, always wrapped; test with [errors.Is]. What a registry
// answered is an *errcode.ErrorResponse of oras-go in the same chain.
var (
	ErrNotFound = errdef.ErrNotFound
	// ErrDigest says that content is not what its descriptor promises.
	ErrDigest = errors.New("content does not match its digest")
	// ErrTooLarge says that an answer has more than its bound.
	ErrTooLarge = errors.New("answer is too large")
	// ErrAnswer says that a registry's answer makes no sense.
	ErrAnswer = errors.New("invalid answer")
	// ErrStalled says that a connection moved no byte for Options.Stall.
	ErrStalled = errors.New("no progress")
	// ErrSilent says that a server took a request and did not begin to answer it
	// for Options.Silence. It is not asked again.
	ErrSilent = errors.New("no answer")
)

// Target is one repository: of a registry or in an OCI layout. All methods are
// safe for concurrent use.
type Target interface {
	// Fetch opens the content of d. What comes out has d's digest: the last bytes
	// of anything else are held back, and ErrDigest returned. The reader is an
	// [io.Seeker]; reading from the middle is not verified.
	// Push stores content; Exists asks for it.
	content.Storage
	// Resolve returns the manifest that a tag or digest names.
	Resolve(ctx context.Context, reference string) (ocispec.Descriptor, error)
	// Tag points a tag at d, a manifest that is stored.
	Tag(ctx context.Context, d ocispec.Descriptor, tag string) error
	// Untag removes a tag and leaves its manifest.
	Untag(ctx context.Context, tag string) error
	// Tags calls fn with the tags that sort after last, page by page.
	Tags(ctx context.Context, last string, fn func([]string) error) error
	// Referrers calls fn with manifests whose subject is d, page by page; an
	// empty artifactType means all.
	Referrers(ctx context.Context, d ocispec.Descriptor, artifactType string, fn func([]ocispec.Descriptor) error) error
	// Delete removes a manifest.
	Delete(ctx context.Context, d ocispec.Descriptor) error
	// String names the target as a command takes it.
	String() string
}

// ReadAll reads all of d, verified. More than limit bytes is ErrTooLarge before
// anything is read.
func ReadAll(ctx context.Context, t content.Fetcher, d ocispec.Descriptor, limit int64) ([]byte, error) {
	if d.Size < 0 || d.Size > limit {
		return nil, fmt.Errorf("%s: %w: %d bytes, more than %d", d.Digest, ErrTooLarge, d.Size, limit)
	}
	rc, err := t.Fetch(ctx, d)
	if err != nil {
		return nil, err
	}
	defer rc.Close()
	b, err := content.ReadAll(rc, d)
	if err != nil && (errors.Is(err, content.ErrMismatchedDigest) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, content.ErrTrailingData)) {
		return nil, fmt.Errorf("%s: %w: %w", d.Digest, ErrDigest, err)
	}
	return b, err
}

// TagsOf lists all tags of t.
func TagsOf(ctx context.Context, t Target) ([]string, error) {
	var all []string
	err := t.Tags(ctx, "", func(page []string) error {
		all = append(all, page...)
		return nil
	})
	return all, err
}

// ReferrersOf lists the manifests whose subject is d.
func ReferrersOf(ctx context.Context, t Target, d ocispec.Descriptor, artifactType string) ([]ocispec.Descriptor, error) {
	var all []ocispec.Descriptor
	err := t.Referrers(ctx, d, artifactType, func(page []ocispec.Descriptor) error {
		if all = append(all, page...); len(all) > MaxReferrers {
			return fmt.Errorf("referrers of %s: %w: more than %d", d.Digest, ErrTooLarge, MaxReferrers)
		}
		return nil
	})
	return all, err
}

// The manifest media types of OCI, Docker and the retired artifact manifest.
const (
	dockerManifest     = "application/vnd.docker.distribution.manifest.v2+json"
	dockerManifestList = "application/vnd.docker.distribution.manifest.list.v2+json"
	ociArtifact        = "application/vnd.oci.artifact.manifest.v1+json"
)

// IsManifest reports whether d describes a manifest or an index.
func IsManifest(d ocispec.Descriptor) bool {
	switch d.MediaType {
	case ocispec.MediaTypeImageManifest, ocispec.MediaTypeImageIndex, dockerManifest, dockerManifestList, ociArtifact:
		return true
	}
	return false
}
