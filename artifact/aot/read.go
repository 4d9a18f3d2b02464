package aot

import (
	"bufio"
	"compress/flate"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"

	"github.com/wreg-project/wreg/artifact"
	"github.com/wreg-project/wreg/artifact/ref"
	"github.com/wreg-project/wreg/artifact/variant"
	"github.com/wreg-project/wreg/internal/strictjson"
)

// Bounds of what is read before the code, in bytes and in JSON.
const (
	maxManifest = 64 << 10
	maxConfig   = 64 << 10
)

var jsonLimits = strictjson.Limits{Depth: 8, Objects: 64}

// ErrSource is of native code that was made of something else than the package at
// hand, or hangs on another.
var ErrSource = errors.New("native code of another package")

// Expected says what native code has to be of. Neither field may be empty for
// code that is to be loaded; what is only shown need not be compared.
type Expected struct {
	Subject digest.Digest // the package's manifest, "" for any
	Source  digest.Digest // the package's layer of WebAssembly, "" for any
}

// A Variant is native code as its manifest and config describe it, both of which
// agree.
type Variant struct {
	Manifest ocispec.Descriptor // with artifact type and annotations
	Subject  ocispec.Descriptor
	Layer    ocispec.Descriptor
	Config   Config
	variant.Candidate
}

// Read reads the manifest and the config of native code, and holds them against
// each other, against what the descriptor says (which may come from a list of
// referrers) and against what is expected. It reads no code; [Variant.WriteCode]
// does.
//
// What is not as [Pack] makes it is ErrForm, what was made of something else
// ErrSource, content that differs from its descriptor artifact.ErrContent and
// what is larger than its bound artifact.ErrTooLarge.
func Read(ctx context.Context, src content.Fetcher, manifest ocispec.Descriptor, want Expected) (*Variant, error) {
	var m ocispec.Manifest
	if err := fetchJSON(ctx, src, manifest, maxManifest, &m); err != nil {
		return nil, fmt.Errorf("manifest %w", err)
	}
	v, err := readManifest(manifest, &m)
	if err == nil {
		err = want.subject(v.Subject.Digest)
	}
	if err != nil {
		return nil, fmt.Errorf("manifest %s: %w", manifest.Digest, err)
	}
	if err := fetchJSON(ctx, src, m.Config, maxConfig, &v.Config); err != nil {
		return nil, fmt.Errorf("config %w", err)
	}
	if err := v.checkConfig(want); err != nil {
		return nil, fmt.Errorf("manifest %s: %w", manifest.Digest, err)
	}
	return v, nil
}

// fetchJSON reads a small blob. Its errors begin with the digest.
func fetchJSON(ctx context.Context, src content.Fetcher, d ocispec.Descriptor, limit int64, v any) error {
	if _, err := ref.ParseDigest(d.Digest.String()); err != nil {
		return fmt.Errorf("%w: %w", ErrForm, err)
	}
	if d.Size > limit {
		return fmt.Errorf("%s: %w: %d bytes, and at most %d are read", d.Digest, artifact.ErrTooLarge, d.Size, limit)
	}
	data, err := content.FetchAll(ctx, src, d)
	if err != nil {
		return fmt.Errorf("%s: %w", d.Digest, contentError(err))
	}
	if err := jsonLimits.Decode(data, v); err != nil {
		return fmt.Errorf("%s: %w: %w", d.Digest, ErrForm, err)
	}
	return nil
}

// contentError makes artifact.ErrContent of what says the same of bytes.
func contentError(err error) error {
	for _, e := range []error{
		content.ErrMismatchedDigest, content.ErrTrailingData, content.ErrInvalidDescriptorSize, io.ErrUnexpectedEOF, io.EOF, gzip.ErrChecksum,
		gzip.ErrHeader,
	} {
		if errors.Is(err, e) {
			return fmt.Errorf("%w: %w", artifact.ErrContent, err)
		}
	}
	if _, corrupt := errors.AsType[flate.CorruptInputError](err); corrupt {
		return fmt.Errorf("%w: %w", artifact.ErrContent, err)
	}
	return err
}

// CheckManifest is ErrForm for a manifest that does not have the form that Pack
// makes. It looks into neither the config nor the code.
func CheckManifest(manifest []byte) error {
	if len(manifest) > maxManifest {
		return fmt.Errorf("%w: %d bytes, and at most %d are read", ErrForm, len(manifest), maxManifest)
	}
	var m ocispec.Manifest
	if err := jsonLimits.Decode(manifest, &m); err != nil {
		return fmt.Errorf("%w: %w", ErrForm, err)
	}
	_, err := readManifest(ocispec.Descriptor{}, &m)
	return err
}

// readManifest holds a manifest against its descriptor and the form that Pack
// makes.
func readManifest(d ocispec.Descriptor, m *ocispec.Manifest) (*Variant, error) {
	runtime, ok := RuntimeOf(m.ArtifactType)
	switch {
	case m.MediaType != artifact.MediaTypeManifest || m.SchemaVersion != 2:
		return nil, fmt.Errorf("%w: media type %.100q, schema version %d", ErrForm, m.MediaType, m.SchemaVersion)
	case !ok:
		return nil, fmt.Errorf("%w: the artifact type is %.100q", ErrForm, m.ArtifactType)
	case d.ArtifactType != "" && d.ArtifactType != m.ArtifactType:
		return nil, fmt.Errorf("%w: it was listed as %.100q, and is %s", ErrForm, d.ArtifactType, m.ArtifactType)
	case m.Config.MediaType != MediaTypeConfig:
		return nil, fmt.Errorf("%w: the config is %.100q", ErrForm, m.Config.MediaType)
	case len(m.Layers) != 1:
		return nil, fmt.Errorf("%w: %d layers; there is one", ErrForm, len(m.Layers))
	case strings.TrimSuffix(m.Layers[0].MediaType, gzipSuffix) != CodeType(runtime):
		return nil, fmt.Errorf("%w: the layer is %.100q, and code for %s is %s", ErrForm, m.Layers[0].MediaType, runtime, CodeType(runtime))
	case len(m.Layers[0].URLs) != 0:
		return nil, fmt.Errorf("%w: the layer is elsewhere", ErrForm)
	case m.Subject == nil:
		return nil, fmt.Errorf("%w: it hangs on no package", ErrForm)
	}
	for _, d := range []ocispec.Descriptor{m.Layers[0], *m.Subject} {
		if _, err := ref.ParseDigest(d.Digest.String()); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrForm, err)
		}
	}
	if len(d.Annotations) > 0 {
		if err := sameAnnotations("the list", d.Annotations, "the manifest", m.Annotations); err != nil {
			return nil, err
		}
	}
	c, err := fromAnnotations(d.Digest, m.Annotations)
	if err != nil {
		return nil, err
	}
	if c.Runtime != runtime {
		return nil, fmt.Errorf("%w: the artifact type is %s, and the annotations are about %s", ErrForm, m.ArtifactType, c.Runtime)
	}
	d.ArtifactType, d.Annotations = m.ArtifactType, m.Annotations
	return &Variant{Manifest: d, Subject: *m.Subject, Layer: m.Layers[0], Candidate: c}, nil
}

// checkConfig holds the config against the manifest.
func (v *Variant) checkConfig(want Expected) error {
	c := &v.Config
	if err := c.Check(); err != nil {
		return err
	}
	if err := sameAnnotations("the manifest", v.Manifest.Annotations, "the config", c.Annotations()); err != nil {
		return err
	}
	if want.Source != "" && c.Source.Digest != want.Source {
		return fmt.Errorf("%w: it was made of %s, and the package has %s", ErrSource, c.Source.Digest, want.Source)
	}
	if v.compressed() {
		// Deflate stores what it cannot compress with 5 bytes for each 64 KiB.
		if most := c.Output.Size + c.Output.Size>>10 + 1<<10; v.Layer.Size <= 0 || v.Layer.Size > most {
			return fmt.Errorf("%w: a layer of %d bytes for %d bytes of code", ErrForm, v.Layer.Size, c.Output.Size)
		}
	} else if v.Layer.Size != c.Output.Size || v.Layer.Digest != c.Output.Digest {
		return fmt.Errorf("%w: the layer is not the code that the config describes", ErrForm)
	}
	return nil
}

func (v *Variant) compressed() bool { return strings.HasSuffix(v.Layer.MediaType, gzipSuffix) }

func (w Expected) subject(d digest.Digest) error {
	if w.Subject != "" && d != w.Subject {
		return fmt.Errorf("%w: it hangs on %s, and the package is %s", ErrSource, d, w.Subject)
	}
	return nil
}

// sameAnnotations compares the annotations of this package.
func sameAnnotations(of string, a map[string]string, other string, b map[string]string) error {
	for _, name := range []string{
		AnnotationRuntime, AnnotationRuntimeVersion, AnnotationPlatform, AnnotationProfile, AnnotationCompatID, AnnotationSource, AnnotationTier,
	} {
		if a[name] != b[name] {
			return fmt.Errorf("%w: %s: %s says %.100q, and %s %.100q", ErrForm, name, of, a[name], other, b[name])
		}
	}
	return nil
}

// WriteCode writes the code to w, not compressed. What w has may be used only if
// the error is nil: the digests are known at the end. No more than the size in the
// config, and so than MaxOutput bytes, is ever written. Code that is not as the
// manifest and the config say is artifact.ErrContent.
func (v *Variant) WriteCode(ctx context.Context, src content.Fetcher, w io.Writer) error {
	if err := v.writeCode(ctx, src, w); err != nil {
		return fmt.Errorf("layer %s: %w", v.Layer.Digest, err)
	}
	return nil
}

func (v *Variant) writeCode(ctx context.Context, src content.Fetcher, w io.Writer) error {
	body, err := src.Fetch(ctx, v.Layer)
	if err != nil {
		return err
	}
	defer body.Close()
	verified := content.NewVerifyReader(&withContext{ctx, body}, v.Layer)
	in := bufio.NewReader(verified)
	if err := v.expand(in, w); err != nil {
		return contentError(err)
	}
	// What is behind the code would be in the layer's digest and in nothing else.
	if _, err := in.ReadByte(); err == nil {
		return fmt.Errorf("%w: there is more behind the code", artifact.ErrContent)
	} else if !errors.Is(err, io.EOF) {
		return contentError(err)
	}
	return contentError(verified.Verify())
}

// expand writes the code that in holds, compressed or not.
func (v *Variant) expand(in *bufio.Reader, w io.Writer) error {
	var r io.Reader = in
	if v.compressed() {
		z, err := gzip.NewReader(in)
		if err != nil {
			return err
		}
		z.Multistream(false)
		r = z
	}
	want := v.Config.Output
	h := want.Digest.Algorithm().Hash()
	if _, err := io.CopyN(io.MultiWriter(h, w), r, want.Size); err != nil {
		return err
	}
	// The last read also compares the checksum that a compressed layer ends with.
	if n, err := io.CopyN(io.Discard, r, 1); n != 0 {
		return fmt.Errorf("%w: more than the %d bytes of code that the config says", artifact.ErrContent, want.Size)
	} else if !errors.Is(err, io.EOF) {
		return err
	}
	if got := digest.NewDigest(want.Digest.Algorithm(), h); got != want.Digest {
		return fmt.Errorf("%w: the code has digest %s, and the config says %s", artifact.ErrContent, got, want.Digest)
	}
	return nil
}
