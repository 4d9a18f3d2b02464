package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Bounds of Whole.
const (
	maxWholeDepth     = 4    // of indexes in each other
	maxWholeManifests = 1000 // in all
)

// Whole reads the manifest or index root of t and everything that it consists of,
// manifests of an index, configs and layers, and holds each against its digest. It
// returns how many bytes that were. With blobs unset it reads manifests and
// configs only. The error of the first thing that is something else is ErrDigest;
// one that nests or lists more than packages do is ErrTooLarge.
func Whole(ctx context.Context, t Target, root ocispec.Descriptor, blobs bool) (int64, error) {
	w := &whole{t: t, blobs: blobs, seen: map[digest.Digest]bool{}}
	err := w.manifest(ctx, root, 0)
	return w.read, err
}

type whole struct {
	t         Target
	blobs     bool
	seen      map[digest.Digest]bool
	manifests int
	read      int64
}

func (w *whole) manifest(ctx context.Context, d ocispec.Descriptor, depth int) error {
	if w.seen[d.Digest] {
		return nil
	}
	w.seen[d.Digest] = true
	if w.manifests++; depth > maxWholeDepth || w.manifests > maxWholeManifests {
		return fmt.Errorf("manifest %s: %w: more than %d manifests, or %d in each other", d.Digest, ErrTooLarge, maxWholeManifests, maxWholeDepth)
	}
	text, err := ReadAll(ctx, w.t, d, MaxManifest)
	if err != nil {
		return fmt.Errorf("manifest %s: %w", d.Digest, err)
	}
	w.read += d.Size
	var m struct {
		Config    *ocispec.Descriptor  `json:"config"`
		Layers    []ocispec.Descriptor `json:"layers"`
		Manifests []ocispec.Descriptor `json:"manifests"`
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return fmt.Errorf("manifest %s: %w: %w", d.Digest, ErrAnswer, err)
	}
	for _, child := range m.Manifests {
		if err := w.manifest(ctx, child, depth+1); err != nil {
			return err
		}
	}
	if m.Config != nil {
		if err := w.blob(ctx, "config", *m.Config); err != nil {
			return err
		}
	}
	if !w.blobs {
		return nil
	}
	for _, l := range m.Layers {
		if err := w.blob(ctx, "layer", l); err != nil {
			return err
		}
	}
	return nil
}

// blob reads a blob to its end, where Fetch says whether it is the right one.
func (w *whole) blob(ctx context.Context, what string, d ocispec.Descriptor) error {
	if w.seen[d.Digest] {
		return nil
	}
	w.seen[d.Digest] = true
	rc, err := w.t.Fetch(ctx, d)
	if err != nil {
		return fmt.Errorf("%s %s: %w", what, d.Digest, err)
	}
	n, err := io.Copy(io.Discard, rc)
	w.read += n
	if err = errors.Join(err, rc.Close()); err != nil {
		return fmt.Errorf("%s %s: %w", what, d.Digest, err)
	}
	return nil
}
