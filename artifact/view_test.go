package artifact

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"testing"

	"github.com/Masterminds/semver/v3"
	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content/memory"
)

func view(t *testing.T, p *Package) *Package {
	t.Helper()
	v, err := p.View(t.Context(), OCIImage)
	if err != nil {
		t.Fatalf("View(%s) = %v", OCIImage, err)
	}
	return v
}

func readAll(t *testing.T, b Blob) []byte {
	t.Helper()
	r := b.Open()
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if got := digest.FromBytes(data); got != b.Descriptor.Digest || int64(len(data)) != b.Descriptor.Size {
		t.Fatalf("a blob of %d bytes, %s, is described as %d, %s", len(data), got, b.Descriptor.Size, b.Descriptor.Digest)
	}
	return data
}

func TestImageView(t *testing.T) {
	p := pack(t, helloFile(), Options{})
	v := view(t, p)
	var m ocispec.Manifest
	if err := json.Unmarshal(v.ManifestJSON, &m); err != nil {
		t.Fatal(err)
	}
	if m.Subject == nil || m.Subject.Digest != p.Manifest.Digest || m.Subject.Size != p.Manifest.Size ||
		m.Subject.MediaType != MediaTypeManifest {
		t.Errorf("subject is %+v, want %s", m.Subject, p.Manifest.Digest)
	}
	annotations := map[string]string{AnnotationVariant: VariantCompat, AnnotationView: "oci-image", AnnotationVersion: "1.2.3"}
	if diff := cmp.Diff(annotations, m.Annotations); diff != "" {
		t.Errorf("annotations (-want +got):\n%s", diff)
	}
	var c ocispec.Image
	if err := json.Unmarshal(readAll(t, v.Blobs[0]), &c); err != nil {
		t.Fatal(err)
	}
	if c.Architecture != "wasm" || c.OS != "wasi" || !cmp.Equal(c.Config.Entrypoint, []string{"/hello.wasm"}) {
		t.Errorf("config is %+v; want wasi/wasm that runs /hello.wasm", c)
	}
	for range 2 { // the layer is made again for each reading
		z, err := gzip.NewReader(bytes.NewReader(readAll(t, v.Blobs[1])))
		if err != nil {
			t.Fatal(err)
		}
		plain, err := io.ReadAll(z)
		if err != nil {
			t.Fatal(err)
		}
		if got := digest.FromBytes(plain); len(c.RootFS.DiffIDs) != 1 || got != c.RootFS.DiffIDs[0] || got != viewTar {
			t.Fatalf("the layer holds %s; config says %v, and want %s", got, c.RootFS.DiffIDs, viewTar)
		}
		checkTar(t, plain)
	}
}

func checkTar(t *testing.T, plain []byte) {
	t.Helper()
	r := tar.NewReader(bytes.NewReader(plain))
	h, err := r.Next()
	if err != nil || h.Name != "plugin.wasm" || h.Mode != 0o755 || h.Typeflag != tar.TypeReg {
		t.Fatalf("first entry is %+v, %v; want plugin.wasm, 0755", h, err)
	}
	if data, err := io.ReadAll(r); err != nil || !bytes.Equal(data, hello) {
		t.Fatalf("plugin.wasm holds %x, %v", data, err)
	}
	h, err = r.Next()
	if err != nil || h.Name != "hello.wasm" || h.Typeflag != tar.TypeLink || h.Linkname != "plugin.wasm" {
		t.Fatalf("second entry is %+v, %v; want hello.wasm, a link to plugin.wasm", h, err)
	}
	if h, err = r.Next(); !errors.Is(err, io.EOF) {
		t.Fatalf("third entry is %+v, %v; want none", h, err)
	}
}

func TestViewsArePushed(t *testing.T) {
	p := pack(t, helloFile(), Options{})
	dst := memory.New()
	for _, p := range []*Package{p, view(t, p)} {
		if err := p.Push(t.Context(), dst); err != nil {
			t.Fatalf("Push = %v", err)
		}
	}
	found, err := dst.Predecessors(t.Context(), p.Manifest)
	if err != nil || len(found) != 1 || found[0].Digest != view(t, p).Manifest.Digest {
		t.Fatalf("Predecessors = %v, %v; want the view", found, err)
	}
}

// A reader that is dropped half way ends its compressor: Close waits for it.
func TestViewBlobsCanBeDropped(t *testing.T) {
	big := append(append([]byte{}, hello...), 0, 0x84, 0x80, 0x80, 0x02, 3, 'p', 'a', 'd')
	big = append(big, make([]byte, 4<<20)...)
	p := pack(t, File{Name: "big.wasm", Content: bytes.NewReader(big), Size: int64(len(big))}, Options{})
	r := view(t, p).Blobs[1].Open()
	if _, err := r.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatalf("Close = %v", err)
	}
	if _, err := r.Read(make([]byte, 1)); !errors.Is(err, io.ErrClosedPipe) {
		t.Fatalf("Read after Close = %v, want %v", err, io.ErrClosedPipe)
	}
}

func TestViewTags(t *testing.T) {
	tag := OCIImage.Tag("1.2.3")
	if tag != "oci-image-1.2.3" || CanonicalTag(tag) != "1.2.3" || CanonicalTag("1.2.3") != "1.2.3" {
		t.Fatalf("the view of 1.2.3 is tagged %q, a view of %q; 1.2.3 is one of %q", tag, CanonicalTag(tag), CanonicalTag("1.2.3"))
	}
	if v, err := semver.NewVersion(tag); err == nil {
		t.Fatalf("%q reads as version %s: clients would take the view for a release", tag, v)
	}
}

func TestViewRefuses(t *testing.T) {
	wit := []byte("\x00asm\x0d\x00\x01\x00" +
		"\x07\x10\x01\x41\x02\x01\x42\x00\x04\x00\x05a:b/c\x05\x00" + "\x0b\x07\x01\x00\x01c\x03\x00\x00")
	p := pack(t, File{Name: "wit.wasm", Content: bytes.NewReader(wit), Size: int64(len(wit))}, Options{})
	if _, err := p.View(t.Context(), OCIImage); !errors.Is(err, ErrForm) {
		t.Errorf("view of a WIT package = %v, want %v", err, ErrForm)
	}
	if _, err := pack(t, helloFile(), Options{}).View(t.Context(), "zip"); !errors.Is(err, ErrForm) {
		t.Errorf("view zip = %v, want %v", err, ErrForm)
	}
}
