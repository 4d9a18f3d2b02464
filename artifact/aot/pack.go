package aot

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/wreg-project/wreg/artifact"
)

const gzipSuffix = "+gzip"

// A Layer keeps a compressed layer until it is sent. An empty *os.File is one.
type Layer interface {
	io.Writer
	io.ReaderAt
}

// Pack makes the artifact of native code that c describes: a referrer of subject,
// the manifest of the package whose WebAssembly c names as its source. Code is
// read once and lies compressed in layer, which has to be empty and stays the
// caller's: it is read whenever the package is sent. No more of it is in memory
// than a compressor needs.
//
// The same input gives the same digest. The error of a config that [Read] would
// refuse is ErrForm, that of code which is not as it says artifact.ErrContent.
func Pack(ctx context.Context, subject ocispec.Descriptor, c *Config, code io.Reader, layer Layer) (*artifact.Package, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	d, err := compress(ctx, c.Output, code, layer)
	if err != nil {
		return nil, fmt.Errorf("code for %s: %w", c.Target.Platform, err)
	}
	d.MediaType = CodeType(c.Compiler.Runtime) + gzipSuffix
	config := artifact.NewJSONBlob(MediaTypeConfig, c)
	m := ocispec.Manifest{
		ArtifactType: ArtifactType(c.Compiler.Runtime),
		Config:       config.Descriptor,
		Layers:       []ocispec.Descriptor{d},
		Subject:      &ocispec.Descriptor{MediaType: subject.MediaType, Digest: subject.Digest, Size: subject.Size},
		Annotations:  c.Annotations(),
	}
	return artifact.NewPackage(m, config, artifact.NewBlob(d, func() io.ReadCloser {
		return section{io.NewSectionReader(layer, 0, d.Size)}
	})), nil
}

// section is a reader of a file that somebody else closes.
type section struct{ *io.SectionReader }

func (section) Close() error { return nil }

// compress writes code compressed to w and describes what it wrote, without its
// media type.
func compress(ctx context.Context, want Source, code io.Reader, w io.Writer) (ocispec.Descriptor, error) {
	plain, packed := want.Digest.Algorithm().Hash(), &counter{hash: digest.SHA256.Digester()}
	z := gzip.NewWriter(io.MultiWriter(w, packed))
	n, err := io.Copy(io.MultiWriter(z, plain), io.LimitReader(&withContext{ctx, code}, want.Size+1))
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	if got := digest.NewDigest(want.Digest.Algorithm(), plain); n != want.Size || got != want.Digest {
		return ocispec.Descriptor{}, fmt.Errorf("%w: the code has %d bytes and digest %s; the config says %d and %s",
			artifact.ErrContent, n, got, want.Size, want.Digest)
	}
	return ocispec.Descriptor{Digest: packed.hash.Digest(), Size: packed.n}, nil
}

// counter hashes and counts what is written.
type counter struct {
	hash digest.Digester
	n    int64
}

func (c *counter) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	return c.hash.Hash().Write(p)
}

// withContext reads until ctx is done.
type withContext struct {
	ctx context.Context
	r   io.Reader
}

func (r *withContext) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}
