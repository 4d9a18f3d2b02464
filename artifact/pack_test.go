package artifact

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/content/memory"
	"oras.land/oras-go/v2/content/oci"

	"github.com/wreg-project/wreg/inspect/wasm"
)

// hello is a core module of WASI preview 1 that says who wrote it.
var hello = append([]byte("\x00asm\x01\x00\x00\x00"+
	"\x01\x08\x02\x60\x01\x7f\x00\x60\x00\x00"+
	"\x02\x24\x01\x16wasi_snapshot_preview1\x09proc_exit\x00\x00"+
	"\x03\x02\x01\x01"+
	"\x07\x0a\x01\x06_start\x00\x01"+
	"\x0a\x08\x01\x06\x00\x41\x00\x10\x00\x0b"+
	"\x00\x0c\x08licensesMIT"+
	"\x00\x15\x0bdescriptionSays hi. "), "\x00\x0d\x07version1.2.3"...)

func helloFile() File {
	return File{Name: "hello.wasm", Content: bytes.NewReader(hello), Size: int64(len(hello))}
}

func componentFile(t *testing.T) File {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "inspect", "testdata", "app.component.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	return File{Name: "app.wasm", Content: bytes.NewReader(data), Size: int64(len(data))}
}

func pack(t *testing.T, f File, o Options) *Package {
	t.Helper()
	p, err := Pack(t.Context(), []File{f}, o)
	if err != nil {
		t.Fatalf("Pack(%s, %+v) = %v", f.Name, o, err)
	}
	return p
}

// The digests are promises: whoever packs the same file gets the same package,
// today and with a later release.
func TestPackIsReproducible(t *testing.T) {
	tests := []struct {
		name     string
		file     File
		options  Options
		manifest digest.Digest
	}{
		{name: "a module", file: helloFile(), manifest: moduleManifest},
		{name: "a component", file: componentFile(t), options: Options{Version: "1.0.0+b.1"}, manifest: componentManifest},
		{
			name: "options", file: helloFile(), manifest: optionsManifest,
			options: Options{
				Name: "renamed", Version: "2.0.0", Created: time.Unix(1700000000, 999).In(time.FixedZone("x", 3600)), Author: "A <a@example.com>",
				Annotations: map[string]string{"b": "2", "a": "1", AnnotationLicenses: ""},
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for range 3 {
				p := pack(t, tt.file, tt.options)
				if p.Manifest.Digest != tt.manifest {
					t.Fatalf("Pack gave %s, want %s:\n%s", p.Manifest.Digest, tt.manifest, p.ManifestJSON)
				}
			}
		})
	}
}

// What the strict clients of the canonical form insist on.
func TestPackSuitsStrictClients(t *testing.T) {
	for _, f := range []File{helloFile(), componentFile(t)} {
		p := pack(t, f, Options{})
		dst := memory.New()
		if err := p.Push(t.Context(), dst); err != nil {
			t.Fatalf("Push(%s) = %v", f.Name, err)
		}
		data, err := content.FetchAll(t.Context(), dst, p.Manifest)
		if err != nil {
			t.Fatal(err)
		}
		var m ocispec.Manifest
		if err := json.Unmarshal(data, &m); err != nil {
			t.Fatal(err)
		}
		if m.MediaType != MediaTypeManifest || m.SchemaVersion != 2 || m.Config.MediaType != MediaTypeConfig ||
			len(m.Layers) != 1 || m.Layers[0].MediaType != MediaTypeWasm {
			t.Errorf("%s: the manifest is not canonical: %s", f.Name, data)
		}
		raw, err := content.FetchAll(t.Context(), dst, m.Config)
		if err != nil {
			t.Fatal(err)
		}
		var c Config
		if err := json.Unmarshal(raw, &c); err != nil {
			t.Fatalf("%s: config %s: %v", f.Name, raw, err)
		}
		if c.Architecture != ArchitectureWasm || (c.OS == OSWasip2) != (c.Component != nil) ||
			len(c.LayerDigests) != 1 || c.LayerDigests[0] != m.Layers[0].Digest || !bytes.Contains(raw, []byte(`"created":"1970-01-01T00:00:00Z"`)) {
			t.Errorf("%s: config is %s", f.Name, raw)
		}
		wasm, err := content.FetchAll(t.Context(), dst, m.Layers[0])
		if err != nil || int64(len(wasm)) != f.Size {
			t.Errorf("%s: the layer has %d bytes, %v; want %d", f.Name, len(wasm), err, f.Size)
		}
	}
}

func TestPackDescribes(t *testing.T) {
	p := pack(t, componentFile(t), Options{})
	var c Config
	data, err := io.ReadAll(p.Blobs[0].Open())
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &c); err != nil {
		t.Fatal(err)
	}
	want := &ConfigComponent{Imports: []string{"log"}, Exports: []string{"demo:app/greet@1.2.3", "ping"}}
	if diff := cmp.Diff(want, c.Component); diff != "" || c.OS != OSWasip2 {
		t.Errorf("config of os %s, component (-want +got):\n%s", c.OS, diff)
	}
	p = pack(t, helloFile(), Options{Annotations: map[string]string{AnnotationURL: "https://example.com/", AnnotationDescription: ""}})
	annotations := map[string]string{AnnotationVersion: "1.2.3", AnnotationLicenses: "MIT", AnnotationURL: "https://example.com/"}
	if diff := cmp.Diff(annotations, p.Manifest.Annotations); diff != "" {
		t.Errorf("annotations (-want +got):\n%s", diff)
	}
	if p.Title != "hello.wasm" || p.Version != "1.2.3" || p.Report.WASI != "wasip1" {
		t.Errorf("title %q, version %q, WASI %q; want hello.wasm, 1.2.3, wasip1", p.Title, p.Version, p.Report.WASI)
	}
}

// A section may be longer than a registry takes a manifest.
func TestPackLeavesLongMetadataOut(t *testing.T) {
	long := append(bytes.Clone(hello), 0, 0x88, 0x80, 0x40, 7)
	long = append(append(long, "authors"...), bytes.Repeat([]byte{'a'}, 1<<20)...)
	p := pack(t, File{Name: "a.wasm", Content: bytes.NewReader(long), Size: int64(len(long))}, Options{})
	if got := len(p.ManifestJSON) + int(p.Blobs[0].Descriptor.Size); got > 4096 || len(p.Report.Metadata.Authors) != 1<<20 {
		t.Fatalf("manifest and config have %d bytes, and the report names %d bytes of authors; want few, and all",
			got, len(p.Report.Metadata.Authors))
	}
}

func TestPackRefuses(t *testing.T) {
	file := func(name, text string) File {
		return File{Name: name, Content: bytes.NewReader([]byte(text)), Size: int64(len(text))}
	}
	tests := []struct {
		name  string
		files []File
		o     Options
		err   error
	}{
		{name: "no file", err: ErrFiles},
		{name: "a second file, which clients refuse", files: []File{helloFile(), file("README.md", "# hi")}, err: ErrFiles},
		{name: "what is no Wasm", files: []File{file("a.wasm", "#!/bin/sh")}, err: wasm.ErrMagic},
		{name: "precompiled code", files: []File{file("a.cwasm", "\x7fELF\x02\x01\x01\x00")}, err: wasm.ErrPrecompiled},
		{name: "a name that is a path", files: []File{helloFile()}, o: Options{Name: "../hello"}, err: ErrName},
		{
			name:  "a file that is shorter than said",
			files: []File{{Name: "a.wasm", Content: bytes.NewReader(hello), Size: int64(len(hello)) + 1}}, err: wasm.ErrTruncated,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := Pack(t.Context(), tt.files, tt.o)
			if p != nil || !errors.Is(err, tt.err) {
				t.Fatalf("Pack = %v, %v; want %v", p, err, tt.err)
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Pack(ctx, []File{helloFile()}, Options{}); !errors.Is(err, context.Canceled) {
		t.Fatalf("Pack with a cancelled context = %v, want %v", err, context.Canceled)
	}
}

// A pusher counts what is sent.
type pusher struct {
	*oci.Store
	pushed []string
}

func (p *pusher) Push(ctx context.Context, d ocispec.Descriptor, r io.Reader) error {
	p.pushed = append(p.pushed, d.MediaType)
	return p.Store.Push(ctx, d, r)
}

func TestPushSendsTheManifestLastAndNothingTwice(t *testing.T) {
	store, err := oci.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	dst := &pusher{Store: store}
	p := pack(t, helloFile(), Options{})
	for range 2 {
		if err := p.Push(t.Context(), dst); err != nil {
			t.Fatalf("Push = %v", err)
		}
	}
	if diff := cmp.Diff([]string{MediaTypeConfig, MediaTypeWasm, MediaTypeManifest}, dst.pushed); diff != "" {
		t.Fatalf("pushed (-want +got):\n%s", diff)
	}
}
