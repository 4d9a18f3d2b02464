package client

import (
	"bytes"
	"context"
	"fmt"
	"io"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/wreg-project/wreg/artifact"
)

// packed reads the parts of a package that was packed here.
type packed struct{ p *artifact.Package }

func (p packed) Exists(_ context.Context, d ocispec.Descriptor) (bool, error) {
	_, err := p.find(d)
	return err == nil, nil
}

func (p packed) Fetch(_ context.Context, d ocispec.Descriptor) (io.ReadCloser, error) {
	open, err := p.find(d)
	if err != nil {
		return nil, err
	}
	return verify(&reopened{open: open, ReadCloser: open()}, d)
}

func (p packed) find(d ocispec.Descriptor) (func() io.ReadCloser, error) {
	if d.Digest == p.p.Manifest.Digest {
		return func() io.ReadCloser { return inMemory{bytes.NewReader(p.p.ManifestJSON)} }, nil
	}
	for _, b := range p.p.Blobs {
		if b.Descriptor.Digest == d.Digest {
			return b.Open, nil
		}
	}
	return nil, fmt.Errorf("%s: %w in the package", d.Digest, ErrNotFound)
}

// reopened seeks in content by opening it again: a layer that is compressed on
// the way has no other means.
type reopened struct {
	open func() io.ReadCloser
	io.ReadCloser
}

func (r *reopened) Seek(offset int64, whence int) (int64, error) {
	if s, ok := r.ReadCloser.(io.Seeker); ok {
		return s.Seek(offset, whence)
	}
	if whence != io.SeekStart {
		return 0, fmt.Errorf("seek from %d: it seeks from its start only", whence)
	}
	if err := r.Close(); err != nil {
		return 0, err
	}
	r.ReadCloser = r.open()
	return io.CopyN(io.Discard, r.ReadCloser, offset)
}
