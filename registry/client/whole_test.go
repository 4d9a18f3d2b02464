package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
)

// forged is a Target in which the bytes of some digests are others.
type forged struct {
	Target
	bytes map[digest.Digest][]byte
}

func (f forged) Fetch(ctx context.Context, d ocispec.Descriptor) (io.ReadCloser, error) {
	if b, ok := f.bytes[d.Digest]; ok {
		return verify(inMemory{bytes.NewReader(b)}, d)
	}
	return f.Target.Fetch(ctx, d)
}

func TestWhole(t *testing.T) {
	src, root, _, _ := family(t)
	text, err := content.FetchAll(t.Context(), src, root)
	if err != nil {
		t.Fatal(err)
	}
	var m ocispec.Manifest
	if err := json.Unmarshal(text, &m); err != nil {
		t.Fatal(err)
	}
	index := put(t, src, ocispec.MediaTypeImageIndex, ocispec.Index{MediaType: ocispec.MediaTypeImageIndex, Manifests: []ocispec.Descriptor{root, root}})
	deep := index
	for range maxWholeDepth + 1 {
		deep = put(t, src, ocispec.MediaTypeImageIndex, ocispec.Index{MediaType: ocispec.MediaTypeImageIndex, Manifests: []ocispec.Descriptor{deep}})
	}
	all := root.Size + m.Config.Size + m.Layers[0].Size
	flip := func(d ocispec.Descriptor) map[digest.Digest][]byte {
		b, err := content.FetchAll(t.Context(), src, d)
		if err != nil {
			t.Fatal(err)
		}
		b = bytes.Clone(b)
		b[len(b)/2] ^= 1
		return map[digest.Digest][]byte{d.Digest: b}
	}
	tests := []struct {
		name  string
		of    ocispec.Descriptor
		blobs bool
		bytes map[digest.Digest][]byte
		want  int64
		err   error
	}{
		{name: "everything of a manifest", of: root, blobs: true, want: all},
		{name: "its manifest and config", of: root, want: root.Size + m.Config.Size},
		{name: "an index, each manifest once", of: index, blobs: true, want: index.Size + all},
		{name: "a changed manifest", of: root, bytes: flip(root), err: ErrDigest},
		{name: "a changed config", of: root, bytes: flip(m.Config), want: root.Size, err: ErrDigest},
		{name: "a changed layer", of: root, blobs: true, bytes: flip(m.Layers[0]), err: ErrDigest},
		{name: "a changed layer below an index", of: index, blobs: true, bytes: flip(m.Layers[0]), err: ErrDigest},
		{name: "a layer cut short", of: root, blobs: true, bytes: map[digest.Digest][]byte{m.Layers[0].Digest: nil}, err: ErrDigest},
		{name: "a layer that is not looked at", of: root, bytes: flip(m.Layers[0]), want: root.Size + m.Config.Size},
		{name: "indexes in each other", of: deep, err: ErrTooLarge},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n, err := Whole(t.Context(), forged{src, tt.bytes}, tt.of, tt.blobs)
			if !errors.Is(err, tt.err) || err == nil && n != tt.want {
				t.Errorf("Whole = %d, %v; want %d, %v", n, err, tt.want, tt.err)
			}
		})
	}
}

// put stores a document as a manifest.
func put(t *testing.T, to Target, mediaType string, v any) ocispec.Descriptor {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	d := content.NewDescriptorFromBytes(mediaType, text)
	if err := to.Push(t.Context(), d, bytes.NewReader(text)); err != nil {
		t.Fatal(err)
	}
	return d
}
