package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/registry/remote/auth"

	"github.com/wreg-project/wreg/signing"
)

// maxAppends is how often a tag that others change meanwhile is tried.
const maxAppends = 10

// ErrConflict says that somebody else kept changing what was to be changed.
var ErrConflict = errors.New("it changes all the time")

// AttachCosign adds a signature of the manifest subject in cosign's older form,
// beside those that others keep under the same tag: payload with the signature in
// annotations. It returns the manifest of the tag.
func AttachCosign(ctx context.Context, t Target, subject digest.Digest, payload []byte, annotations map[string]string) (ocispec.Descriptor, error) {
	layer := ocispec.Descriptor{
		MediaType: signing.MediaTypeSimpleSigning, Digest: digest.FromBytes(payload), Size: int64(len(payload)),
	}
	if err := pushOnce(ctx, t, layer, payload); err != nil {
		return ocispec.Descriptor{}, fmt.Errorf("signature of %s: %w", subject, err)
	}
	layer.Annotations = annotations
	return addLayers(ctx, t, signing.CosignTag(subject, ".sig"), []ocispec.Descriptor{layer})
}

// addLayers makes the manifest under a tag of cosign have all layers of add, whose
// blobs are there. It writes on the condition that nobody wrote before, and reads
// again what it wrote, for not every registry knows conditions.
func addLayers(ctx context.Context, t Target, tag string, add []ocispec.Descriptor) (ocispec.Descriptor, error) {
	for range maxAppends {
		d, m, err := cosignManifest(ctx, t, tag)
		if err != nil {
			return d, fmt.Errorf("tag %s: %w", tag, err)
		}
		missing := slices.DeleteFunc(slices.Clone(add), func(l ocispec.Descriptor) bool {
			return slices.ContainsFunc(m.Layers, func(o ocispec.Descriptor) bool { return sameLayer(o, l) })
		})
		if len(missing) == 0 {
			return d, nil
		}
		m.Layers = append(m.Layers, missing...)
		if err := putLayers(ctx, t, tag, d.Digest, m); err != nil {
			return d, fmt.Errorf("tag %s: %w", tag, err)
		}
	}
	return ocispec.Descriptor{}, fmt.Errorf("tag %s: %w", tag, ErrConflict)
}

// sameLayer reports whether two layers are one signature: several have the same
// payload.
func sameLayer(a, b ocispec.Descriptor) bool {
	return a.Digest == b.Digest && a.Annotations[signing.AnnotationSignature] == b.Annotations[signing.AnnotationSignature]
}

// cosignManifest reads the manifest of a tag, an empty one if there is none.
func cosignManifest(ctx context.Context, t Target, tag string) (ocispec.Descriptor, ocispec.Manifest, error) {
	var m ocispec.Manifest
	d, err := t.Resolve(ctx, tag)
	if errors.Is(err, ErrNotFound) {
		return ocispec.Descriptor{}, m, nil
	}
	if err != nil {
		return d, m, err
	}
	text, err := ReadAll(ctx, t, d, MaxManifest)
	if err != nil {
		return d, m, err
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return d, m, fmt.Errorf("%w: %w", ErrAnswer, err)
	}
	return bare(d), m, nil
}

// putLayers writes m under tag with a config that lists its layers, as cosign
// does, if the tag points to old still, "" for nothing.
func putLayers(ctx context.Context, t Target, tag string, old digest.Digest, m ocispec.Manifest) error {
	image := ocispec.Image{RootFS: ocispec.RootFS{Type: "layers"}}
	for _, l := range m.Layers {
		image.RootFS.DiffIDs = append(image.RootFS.DiffIDs, l.Digest)
	}
	config, err := json.Marshal(image)
	if err != nil {
		return err
	}
	m.Versioned, m.MediaType = specs.Versioned{SchemaVersion: 2}, ocispec.MediaTypeImageManifest
	m.Config = ocispec.Descriptor{MediaType: ocispec.MediaTypeImageConfig, Digest: digest.FromBytes(config), Size: int64(len(config))}
	if err := pushOnce(ctx, t, m.Config, config); err != nil {
		return err
	}
	text, err := json.Marshal(m)
	if err != nil {
		return err
	}
	d := ocispec.Descriptor{MediaType: m.MediaType, Digest: digest.FromBytes(text), Size: int64(len(text))}
	if repo, ok := t.(*Repository); ok {
		return repo.putIf(ctx, d, text, tag, old)
	}
	if err := pushOnce(ctx, t, d, text); err != nil {
		return err
	}
	return t.Tag(ctx, d, tag)
}

// putIf stores a manifest under a tag if that points to old still, "" for nothing
// (RFC 9110, section 13). That it does not is no error: the caller reads again. A
// registry that knows no conditions stores it.
func (r *Repository) putIf(ctx context.Context, d ocispec.Descriptor, content []byte, tag string, old digest.Digest) error {
	ctx = auth.AppendRepositoryScope(ctx, r.Reference, auth.ActionPull, auth.ActionPush)
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, r.url("manifests/"+tag), bytes.NewReader(content))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", d.MediaType)
	if old == "" {
		req.Header.Set("If-None-Match", "*")
	} else {
		req.Header.Set("If-Match", `"`+old.String()+`"`)
	}
	resp, err := r.client.auth.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusCreated, http.StatusOK, http.StatusNoContent, http.StatusPreconditionFailed:
		return nil
	}
	return answer(resp)
}
