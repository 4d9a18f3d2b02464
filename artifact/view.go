package artifact

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/wreg-project/wreg/inspect"
)

// A View is a form other than the canonical one.
type View string

// OCIImage is a container image of platform wasi/wasm: one tar+gzip layer with
// the Wasm under its own name, which is the entry point, and, linked to it, as
// plugin.wasm, which is where proxies look.
const OCIImage View = "oci-image"

// Views lists the views that can be made.
func Views() []View { return []View{OCIImage} }

// Tag is the tag of the view of the version tagged canonical: "oci-image-1.2.3".
// It must not read as a semantic version. "1.2.3-oci-image" would be a
// prerelease, and clients that look for the newest version would pick it.
func (v View) Tag(canonical string) string { return string(v) + "-" + canonical }

// CanonicalTag is the tag of the package that tag is a view of; a tag that names
// no view is its own.
func CanonicalTag(tag string) string {
	for _, v := range Views() {
		if canonical, ok := strings.CutPrefix(tag, string(v)+"-"); ok {
			return canonical
		}
	}
	return tag
}

// View makes a view of the canonical package p, as a package that has p's
// manifest as its subject. The Wasm is read once more, and again when the view
// is pushed: the layer is compressed on the way and kept nowhere. A WIT package
// is refused with ErrForm, since no engine can run it.
func (p *Package) View(ctx context.Context, v View) (*Package, error) {
	if v != OCIImage {
		return nil, fmt.Errorf("%w: unknown view %q", ErrForm, v)
	}
	switch {
	case p.Report == nil:
		return nil, fmt.Errorf("%w: view %s of what is no Wasm", ErrForm, v)
	case p.Report.Kind == inspect.KindWITPackage:
		return nil, fmt.Errorf("%w: view %s of a WIT package, which nothing can run", ErrForm, v)
	}
	img := image{name: p.Title, wasm: p.wasm, modified: p.created}
	layer, diffID, err := img.describe(ctx)
	if err != nil {
		return nil, fmt.Errorf("compress %s: %w", p.Title, err)
	}
	created := p.created
	config := NewJSONBlob(MediaTypeImageConfig, ocispec.Image{
		Created:  &created,
		Platform: ocispec.Platform{Architecture: ArchitectureWasm, OS: "wasi"},
		Config:   ocispec.ImageConfig{Entrypoint: []string{"/" + p.Title}},
		RootFS:   ocispec.RootFS{Type: "layers", DiffIDs: []digest.Digest{diffID}},
		History:  []ocispec.History{{Created: &created, CreatedBy: "wpkg", Comment: "view of " + p.Manifest.Digest.String()}},
	})
	view := &Package{
		Blobs: []Blob{config, {Descriptor: layer, open: img.open}}, Report: p.Report, Title: p.Title, Version: p.Version,
		wasm: p.wasm, layer: layer, created: created,
	}
	a := map[string]string{AnnotationVariant: VariantCompat, AnnotationView: string(v)}
	if p.Version != "" {
		a[AnnotationVersion] = p.Version
	}
	subject := ocispec.Descriptor{MediaType: p.Manifest.MediaType, Digest: p.Manifest.Digest, Size: p.Manifest.Size}
	view.seal(ocispec.Manifest{
		Config: config.Descriptor, Layers: []ocispec.Descriptor{layer}, Subject: &subject, Annotations: a,
	})
	return view, nil
}

// pluginName is the file that proxies look for in an image.
const pluginName = "plugin.wasm"

// An image writes the layer of an OCIImage view. The same Wasm, name and time
// give the same bytes: the headers say nothing about this machine, and the
// compressor has one level and no time stamp.
type image struct {
	name     string
	wasm     File
	modified time.Time
}

// write writes the layer compressed to gz and plain to raw.
func (i image) write(ctx context.Context, gz, raw io.Writer) error {
	z, err := gzip.NewWriterLevel(gz, gzip.DefaultCompression)
	if err != nil {
		return err
	}
	if err := i.writeTar(ctx, io.MultiWriter(z, raw)); err != nil {
		return err
	}
	return z.Close()
}

func (i image) writeTar(ctx context.Context, w io.Writer) error {
	t := tar.NewWriter(w)
	header := tar.Header{
		Typeflag: tar.TypeReg, Name: pluginName, Mode: 0o755, Size: i.wasm.Size, ModTime: i.modified, Format: tar.FormatUSTAR,
	}
	if len(i.name) > 100 || !ascii(i.name) || i.wasm.Size > 8<<30-1 {
		header.Format = tar.FormatPAX // beyond what the plain header holds
	}
	if err := t.WriteHeader(&header); err != nil {
		return err
	}
	body := contextReader{ctx, io.NewSectionReader(i.wasm.Content, 0, i.wasm.Size)}
	if _, err := io.Copy(t, body); err != nil {
		return err
	}
	if i.name != pluginName {
		link := header
		link.Typeflag, link.Name, link.Linkname, link.Size = tar.TypeLink, i.name, pluginName, 0
		if err := t.WriteHeader(&link); err != nil {
			return err
		}
	}
	return t.Close()
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// describe writes the layer to nowhere and keeps its digests.
func (i image) describe(ctx context.Context) (layer ocispec.Descriptor, diffID digest.Digest, err error) {
	gz, raw := digest.SHA256.Digester(), digest.SHA256.Digester()
	var size counter
	if err := i.write(ctx, io.MultiWriter(gz.Hash(), &size), raw.Hash()); err != nil {
		return layer, "", err
	}
	return ocispec.Descriptor{MediaType: MediaTypeImageLayer, Digest: gz.Digest(), Size: int64(size)}, raw.Digest(), nil
}

type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

// open compresses the layer again while it is read.
func (i image) open() io.ReadCloser {
	r, w := io.Pipe()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.CloseWithError(i.write(ctx, w, io.Discard))
	}()
	return &imageReader{PipeReader: r, cancel: cancel, done: done}
}

// An imageReader owns the goroutine that compresses; Close waits for its end.
type imageReader struct {
	*io.PipeReader
	cancel context.CancelFunc
	done   chan struct{}
}

func (r *imageReader) Close() error {
	r.cancel()
	err := r.CloseWithError(errClosed)
	<-r.done
	return err
}

var errClosed = errors.New("reader of an image layer is closed")
