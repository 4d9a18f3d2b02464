package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/registry/remote/errcode"

	"github.com/wreg-project/wreg/signing"
)

// along copies what hangs on the package, on the manifests that it lists as an
// index, and on what hangs there.
func (c *copier) along(ctx context.Context, src Target, out *Copied) error {
	type node struct {
		ocispec.Descriptor
		part bool // of the package, and no referrer
	}
	seen := map[digest.Digest]bool{c.root.Digest: true}
	next := []node{{c.root, true}}
	add := func(n node) error {
		if seen[n.Digest] {
			return nil
		}
		seen[n.Digest] = true
		next = append(next, n)
		if len(seen) > MaxReferrers {
			return fmt.Errorf("referrers of %s: %w: more than %d", c.root.Digest, ErrTooLarge, MaxReferrers)
		}
		return nil
	}
	for len(next) > 0 {
		d := next[0]
		next = next[1:]
		if err := eachChild(ctx, src, d.Descriptor, func(child ocispec.Descriptor) error { return add(node{child, d.part}) }); err != nil {
			return err
		}
		if d.part && c.opts.Signatures {
			if err := c.cosignTags(ctx, src, d.Digest, out); err != nil {
				return err
			}
		}
		refs, err := ReferrersOf(ctx, src, d.Descriptor, "")
		if err != nil {
			return fmt.Errorf("referrers of %s: %w", d.Digest, err)
		}
		for _, r := range refs {
			if seen[r.Digest] {
				continue
			}
			copied, err := c.referrer(ctx, src, d.Digest, r, out)
			if err != nil {
				return fmt.Errorf("referrer %s: %w", r.Digest, err)
			}
			if !copied {
				seen[r.Digest] = true
			} else if err := add(node{r, false}); err != nil {
				return err
			}
		}
	}
	return nil
}

// referrer copies one referrer of subject if it is asked for.
func (c *copier) referrer(ctx context.Context, src Target, subject digest.Digest, r ocispec.Descriptor, out *Copied) (copied bool, err error) {
	if r, err = described(ctx, src, r); err != nil {
		return false, err
	}
	if !c.opts.Referrers && !isSignature(r) {
		return false, nil
	}
	if IsDerived(r) && !c.opts.Derived {
		out.LeftOut = append(out.LeftOut, r)
		return false, nil
	}
	err = c.hang(ctx, func() error { return c.copyGraph(ctx, bare(r), subject) })
	if IsDerived(r) && denied(err) {
		out.LeftOut = append(out.LeftOut, r)
		return false, nil
	}
	if err != nil {
		return false, err
	}
	out.Referrers = append(out.Referrers, r)
	return true, nil
}

// described is a referrer with artifact type and annotations, which its manifest
// tells where the listing does not: some registries list the type of the config.
func described(ctx context.Context, src Target, r ocispec.Descriptor) (ocispec.Descriptor, error) {
	switch r.ArtifactType {
	case "", ocispec.MediaTypeEmptyJSON, ocispec.MediaTypeImageConfig:
	default:
		if r.Annotations != nil {
			return r, nil
		}
	}
	text, err := ReadAll(ctx, src, r, MaxManifest)
	if err != nil {
		return r, err
	}
	var m ocispec.Manifest
	if err := json.Unmarshal(text, &m); err != nil {
		return r, fmt.Errorf("%w: %w", ErrAnswer, err)
	}
	r.Annotations = m.Annotations
	switch {
	case m.ArtifactType != "":
		r.ArtifactType = m.ArtifactType
	case len(m.Layers) > 0 && signing.IsBundle(m.Layers[0].MediaType):
		r.ArtifactType = m.Layers[0].MediaType
	case m.Config.MediaType != "":
		r.ArtifactType = m.Config.MediaType
	}
	return r, nil
}

// isSignature reports whether a referrer is a signature or an attestation.
func isSignature(r ocispec.Descriptor) bool {
	return signing.IsBundle(r.ArtifactType) || r.ArtifactType == signing.MediaTypeNotation
}

// denied reports whether a registry refused something because of what it is.
func denied(err error) bool {
	answer, ok := errors.AsType[*errcode.ErrorResponse](err)
	return ok && answer.StatusCode == http.StatusForbidden && slices.ContainsFunc(answer.Errors, func(e errcode.Error) bool {
		return e.Code == errcode.ErrorCodeDenied
	})
}

// cosignTags copies what cosign keeps under tags of the manifest d.
func (c *copier) cosignTags(ctx context.Context, src Target, d digest.Digest, out *Copied) error {
	for _, suffix := range signing.CosignSuffixes() {
		tag := signing.CosignTag(d, suffix)
		from, err := src.Resolve(ctx, tag)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err == nil {
			err = c.cosignTag(ctx, bare(from), tag)
		}
		if err != nil {
			return fmt.Errorf("tag %s: %w", tag, err)
		}
		out.Tags = append(out.Tags, tag)
	}
	return nil
}

// cosignTag copies the manifest from under its tag. If the goal has another one,
// it gets the layers that it lacks.
func (c *copier) cosignTag(ctx context.Context, from ocispec.Descriptor, tag string) error {
	have, err := c.dst.Resolve(ctx, tag)
	switch {
	case err == nil && have.Digest == from.Digest:
		return nil
	case err != nil && !errors.Is(err, ErrNotFound):
		return err
	case err != nil:
		if err := c.copyGraph(ctx, from, ""); err != nil {
			return err
		}
		return c.dst.Tag(ctx, from, tag)
	}
	text, err := ReadAll(ctx, c.src, from, MaxManifest)
	if err != nil {
		return err
	}
	var m ocispec.Manifest
	if err := json.Unmarshal(text, &m); err != nil {
		return fmt.Errorf("%w: %w", ErrAnswer, err)
	}
	for _, l := range m.Layers {
		if err := c.copyGraph(ctx, bare(l), ""); err != nil {
			return err
		}
	}
	_, err = addLayers(ctx, c.dst, tag, m.Layers)
	return err
}
