package artifact

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// A store is a registry's contents, which need not be what they are said to be.
type store map[digest.Digest][]byte

func (s store) Fetch(_ context.Context, d ocispec.Descriptor) (io.ReadCloser, error) {
	data, ok := s[d.Digest]
	if !ok {
		return nil, os.ErrNotExist
	}
	return io.NopCloser(bytes.NewReader(data)), nil
}

func (s store) add(mediaType string, data []byte) ocispec.Descriptor {
	d := ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(data), Size: int64(len(data))}
	s[d.Digest] = data
	return d
}

func (s store) addJSON(mediaType string, v any) ocispec.Descriptor {
	return s.add(mediaType, encode(v))
}

func (s store) manifest(config ocispec.Descriptor, layers ...ocispec.Descriptor) ocispec.Descriptor {
	m := ocispec.Manifest{MediaType: MediaTypeManifest, Config: config, Layers: layers}
	m.SchemaVersion = 2
	return s.addJSON(MediaTypeManifest, m)
}

func titled(d ocispec.Descriptor, title string) ocispec.Descriptor {
	d.Annotations = map[string]string{AnnotationTitle: title}
	return d
}

// An entry is a file of an image; link makes it a hard link.
type entry struct {
	name, data, link string
}

func tarOf(t *testing.T, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		h := &tar.Header{Typeflag: tar.TypeReg, Name: e.name, Mode: 0o644, Size: int64(len(e.data))}
		if e.link != "" {
			h.Typeflag, h.Linkname = tar.TypeLink, e.link
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, e.data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func gzipOf(t *testing.T, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func entrypoint(args ...string) ocispec.Image {
	return ocispec.Image{Config: ocispec.ImageConfig{Entrypoint: args}}
}

func TestUnpackTakesEveryForm(t *testing.T) {
	other := string(hello) + "\x00\x02\x01x"
	text := string(hello)
	tests := []struct {
		name string
		make func(t *testing.T, s store) ocispec.Descriptor
		file string
		want string
	}{
		{name: "the canonical form", file: "hello.wasm", want: text, make: func(_ *testing.T, s store) ocispec.Descriptor {
			return s.manifest(s.add(MediaTypeConfig, []byte("{}")), titled(s.add(MediaTypeWasm, hello), "hello.wasm"))
		}},
		{name: "the canonical form without a title", file: "module.wasm", want: text, make: func(_ *testing.T, s store) ocispec.Descriptor {
			return s.manifest(s.add(MediaTypeConfig, []byte("{}")), s.add(MediaTypeWasm, hello))
		}},
		{name: "wasm-to-oci", file: "policy.wasm", want: text, make: func(_ *testing.T, s store) ocispec.Descriptor {
			return s.manifest(s.add(MediaTypeLegacyConfig, []byte("{}")), titled(s.add(MediaTypeLegacyLayer, hello), "policy"))
		}},
		{name: "a layer and a config layer, for proxies", file: "filter.wasm", want: text, make: func(_ *testing.T, s store) ocispec.Descriptor {
			return s.manifest(s.add("application/vnd.unknown.config.v1+json", []byte("{}")),
				titled(s.add(MediaTypeModuleConfig, []byte(`{"type":"envoy_proxy"}`)), "runtime-config.json"),
				titled(s.add(MediaTypeModuleLayer, hello), "filter.wasm"))
		}},
		{name: "a shim's layer beside an image config", file: "module.wasm", want: text, make: func(_ *testing.T, s store) ocispec.Descriptor {
			return s.manifest(s.addJSON(MediaTypeImageConfig, entrypoint("/x.wasm")), s.add(MediaTypeShimLayer, hello))
		}},
		{name: "an image with plugin.wasm in a folder", file: "module.wasm", want: text, make: func(t *testing.T, s store) ocispec.Descriptor {
			layer := gzipOf(t, tarOf(t, entry{name: "README", data: "hi"}, entry{name: "a/plugin.wasm", data: text}))
			return s.manifest(s.add("application/vnd.unknown", []byte("no JSON")), s.add(MediaTypeImageLayer, layer))
		}},
		{name: "an entry point that names a function", file: "app.wasm", want: other, make: func(t *testing.T, s store) ocispec.Descriptor {
			layer := gzipOf(t, tarOf(t, entry{name: "./app.wasm", data: other}, entry{name: "plugin.wasm", data: text}))
			return s.manifest(s.addJSON(MediaTypeImageConfig, entrypoint("/app.wasm#run")), s.add(MediaTypeDockerLayer, layer))
		}},
		{name: "an entry point after plugin.wasm", file: "app.wasm", want: text, make: func(t *testing.T, s store) ocispec.Descriptor {
			layer := tarOf(t, entry{name: "plugin.wasm", data: other}, entry{name: "bin/app.wasm", data: text})
			return s.manifest(s.addJSON(MediaTypeImageConfig, entrypoint("/bin/app.wasm")), s.add(MediaTypeImageTar, layer))
		}},
		{name: "an entry point that links to another file", file: "app.wasm", want: other, make: func(t *testing.T, s store) ocispec.Descriptor {
			linked := entry{name: "app.wasm", link: "data"}
			layer := gzipOf(t, tarOf(t, entry{name: "data", data: other}, entry{name: "plugin.wasm", data: text}, linked))
			return s.manifest(s.addJSON(MediaTypeImageConfig, entrypoint("app.wasm")), s.add(MediaTypeImageLayer, layer))
		}},
		{name: "the uppermost layer that has the file", file: "app.wasm", want: text, make: func(t *testing.T, s store) ocispec.Descriptor {
			lower := gzipOf(t, tarOf(t, entry{name: "app.wasm", data: other}))
			upper := gzipOf(t, tarOf(t, entry{name: "app.wasm", data: text}))
			last := gzipOf(t, tarOf(t, entry{name: "etc/passwd", data: "root"}))
			return s.manifest(s.addJSON(MediaTypeImageConfig, entrypoint("/app.wasm")), s.add(MediaTypeImageLayer, lower),
				s.add(MediaTypeImageLayer, upper), s.add(MediaTypeImageLayer, last))
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, dir := store{}, t.TempDir()
			got, err := Unpack(t.Context(), s, tt.make(t, s), UnpackOptions{Path: dir})
			if err != nil {
				t.Fatalf("Unpack = %v", err)
			}
			data, err := os.ReadFile(filepath.Join(dir, tt.file))
			if err != nil || string(data) != tt.want || got.Path != filepath.Join(dir, tt.file) || got.Size != int64(len(data)) {
				t.Fatalf("Unpack = %+v, and the file holds %x, %v; want %x in %s", got, data, err, tt.want, tt.file)
			}
			if left, err := os.ReadDir(dir); len(left) != 1 {
				t.Errorf("the folder holds %v, %v; want one file", left, err)
			}
		})
	}
}

func TestUnpackUndoesPackAndView(t *testing.T) {
	p := pack(t, helloFile(), Options{})
	for _, p := range []*Package{p, view(t, p)} {
		s := store{}
		s[p.Manifest.Digest] = p.ManifestJSON
		for _, b := range p.Blobs {
			s[b.Descriptor.Digest] = readAll(t, b)
		}
		path := filepath.Join(t.TempDir(), "out", "x.bin")
		if _, err := Unpack(t.Context(), s, p.Manifest, UnpackOptions{Path: filepath.Dir(path) + "/"}); err != nil {
			t.Fatalf("Unpack to a new folder = %v", err)
		}
		if _, err := Unpack(t.Context(), s, p.Manifest, UnpackOptions{Path: path}); err != nil {
			t.Fatalf("Unpack to a file = %v", err)
		}
		for _, name := range []string{path, filepath.Join(filepath.Dir(path), "hello.wasm")} {
			if data, err := os.ReadFile(name); err != nil || !bytes.Equal(data, hello) {
				t.Errorf("%s holds %x, %v", name, data, err)
			}
		}
	}
}

// Whatever is wrong, the file that was there stays, and nothing else appears.
func TestUnpackRefuses(t *testing.T) {
	canonical := func(s store, layers ...ocispec.Descriptor) ocispec.Descriptor {
		return s.manifest(s.add(MediaTypeConfig, []byte("{}")), layers...)
	}
	title := func(name string) func(*testing.T, store) ocispec.Descriptor {
		return func(_ *testing.T, s store) ocispec.Descriptor {
			return canonical(s, titled(s.add(MediaTypeWasm, hello), name))
		}
	}
	image := func(t *testing.T, s store, data []byte) ocispec.Descriptor {
		t.Helper()
		return s.manifest(s.add(MediaTypeImageConfig, []byte("{}")), s.add(MediaTypeImageLayer, data))
	}
	tests := []struct {
		name string
		make func(t *testing.T, s store) ocispec.Descriptor
		err  error
	}{
		{name: "a title that leads up", make: title("../evil.wasm"), err: ErrName},
		{name: "an absolute title", make: title("/tmp/evil.wasm"), err: ErrName},
		{name: "a title with a backslash", make: title(`..\evil.wasm`), err: ErrName},
		{name: "a hidden file", make: title(".profile"), err: ErrName},
		{name: "a title that reads as a flag", make: title("-rf"), err: ErrName},
		{name: "a title with a line break", make: title("a\nb"), err: ErrName},
		{name: "a drive", make: title("C:evil"), err: ErrName},
		{name: "a very long title", make: title(strings.Repeat("a", 300)), err: ErrName},
		{name: "two layers of Wasm", err: ErrForm, make: func(_ *testing.T, s store) ocispec.Descriptor {
			return canonical(s, s.add(MediaTypeWasm, hello), s.add(MediaTypeShimLayer, hello))
		}},
		{name: "no layer of Wasm", err: ErrForm, make: func(_ *testing.T, s store) ocispec.Descriptor {
			return canonical(s, s.add("text/plain", hello))
		}},
		{name: "an index", err: ErrForm, make: func(_ *testing.T, s store) ocispec.Descriptor {
			return s.add(ocispec.MediaTypeImageIndex, []byte(`{"schemaVersion":2,"manifests":[{}]}`))
		}},
		{name: "a manifest that is no JSON", err: ErrForm, make: func(_ *testing.T, s store) ocispec.Descriptor {
			return s.add(MediaTypeManifest, []byte("hello"))
		}},
		{name: "a layer that is no Wasm", err: ErrForm, make: func(_ *testing.T, s store) ocispec.Descriptor {
			return canonical(s, s.add(MediaTypeWasm, []byte("#!/bin/sh\nrm -rf /\n")))
		}},
		{name: "other bytes than promised", err: ErrContent, make: func(_ *testing.T, s store) ocispec.Descriptor {
			d := s.add(MediaTypeWasm, hello)
			s[d.Digest] = bytes.Repeat([]byte{0}, len(hello))
			return canonical(s, d)
		}},
		{name: "fewer bytes than promised", err: ErrContent, make: func(_ *testing.T, s store) ocispec.Descriptor {
			d := s.add(MediaTypeWasm, hello)
			s[d.Digest] = hello[:20]
			return canonical(s, d)
		}},
		{name: "more bytes than promised", err: ErrContent, make: func(_ *testing.T, s store) ocispec.Descriptor {
			d := s.add(MediaTypeWasm, hello)
			s[d.Digest] = append(bytes.Clone(hello), 0)
			return canonical(s, d)
		}},
		{name: "a negative size", err: ErrContent, make: func(_ *testing.T, s store) ocispec.Descriptor {
			d := s.add(MediaTypeWasm, hello)
			d.Size = -1
			return canonical(s, d)
		}},
		{name: "an unknown digest algorithm", err: ErrContent, make: func(_ *testing.T, s store) ocispec.Descriptor {
			d := s.add(MediaTypeWasm, hello)
			d.Digest = "md5:00"
			return canonical(s, d)
		}},
		{name: "a layer beyond the bound", err: ErrTooLarge, make: func(_ *testing.T, s store) ocispec.Descriptor {
			d := s.add(MediaTypeWasm, hello)
			d.Size = maxInTest + 1
			return canonical(s, d)
		}},
		{name: "a layer that is absent", err: os.ErrNotExist, make: func(_ *testing.T, s store) ocispec.Descriptor {
			d := s.add(MediaTypeWasm, hello)
			delete(s, d.Digest)
			return canonical(s, d)
		}},
		{name: "an image without Wasm", err: ErrForm, make: func(t *testing.T, s store) ocispec.Descriptor {
			return image(t, s, gzipOf(t, tarOf(t, entry{name: "bin/sh", data: "x"})))
		}},
		{name: "an image layer that is no gzip", err: ErrForm, make: func(t *testing.T, s store) ocispec.Descriptor {
			return image(t, s, []byte("hello"))
		}},
		{name: "an image layer that is no tar", err: ErrForm, make: func(t *testing.T, s store) ocispec.Descriptor {
			return image(t, s, gzipOf(t, bytes.Repeat([]byte("hello"), 1000)))
		}},
		{name: "an image layer that is cut short", err: ErrContent, make: func(t *testing.T, s store) ocispec.Descriptor {
			whole := gzipOf(t, tarOf(t, entry{name: "plugin.wasm", data: string(hello)}))
			return image(t, s, whole[:len(whole)-30])
		}},
		{name: "a file in an image beyond the bound", err: ErrTooLarge, make: func(t *testing.T, s store) ocispec.Descriptor {
			return image(t, s, gzipOf(t, tarOf(t, entry{name: "plugin.wasm", data: strings.Repeat("x", maxInTest+1)})))
		}},
		{name: "a plugin that is a link to itself", err: ErrForm, make: func(t *testing.T, s store) ocispec.Descriptor {
			return image(t, s, gzipOf(t, tarOf(t, entry{name: "plugin.wasm", link: "plugin.wasm"})))
		}},
		{name: "an entry point that links in a circle", err: ErrForm, make: func(t *testing.T, s store) ocispec.Descriptor {
			layer := gzipOf(t, tarOf(t, entry{name: "a.wasm", link: "b.wasm"}, entry{name: "b.wasm", link: "a.wasm"}))
			return s.manifest(s.addJSON(MediaTypeImageConfig, entrypoint("/a.wasm")), s.add(MediaTypeImageLayer, layer))
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, top := store{}, t.TempDir()
			dir := filepath.Join(top, "in")
			if err := os.Mkdir(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "module.wasm"), []byte("before"), 0o600); err != nil {
				t.Fatal(err)
			}
			got, err := Unpack(t.Context(), s, tt.make(t, s), UnpackOptions{Path: dir, MaxSize: maxInTest})
			if got != nil || !errors.Is(err, tt.err) {
				t.Errorf("Unpack = %+v, %v; want %v", got, err, tt.err)
			}
			for _, folder := range []string{dir, top} {
				if left, err := os.ReadDir(folder); len(left) != 1 {
					t.Errorf("%s holds %v, %v; want what was there before", folder, left, err)
				}
			}
			if data, err := os.ReadFile(filepath.Join(dir, "module.wasm")); string(data) != "before" {
				t.Errorf("the file from before holds %q, %v", data, err)
			}
		})
	}
}

const maxInTest = 4096

// A gigabyte of zeros is a megabyte of gzip. The bound is lowered, since the
// test has to compress as much.
func TestUnpackStopsDecompressing(t *testing.T) {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "zeros", Size: 1 << 40}); err != nil {
		t.Fatal(err)
	}
	zeros := make([]byte, 1<<20)
	for range 10 {
		if _, err := w.Write(zeros); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	s := store{}
	m := s.manifest(s.add(MediaTypeImageConfig, []byte("{}")), s.add(MediaTypeImageLayer, b.Bytes()))
	o := UnpackOptions{Path: t.TempDir(), MaxSize: maxInTest, maxOther: 8 << 20}
	if _, err := Unpack(t.Context(), s, m, o); !errors.Is(err, ErrTooLarge) {
		t.Fatalf("Unpack of %d bytes of gzip = %v, want %v", b.Len(), err, ErrTooLarge)
	}
}

// A link where the file belongs is replaced, and what it points to stays.
func TestUnpackFollowsNoLink(t *testing.T) {
	dir := t.TempDir()
	victim := filepath.Join(t.TempDir(), "victim")
	if err := os.WriteFile(victim, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(victim, filepath.Join(dir, "module.wasm")); err != nil {
		t.Fatal(err)
	}
	s := store{}
	m := s.manifest(s.add(MediaTypeConfig, []byte("{}")), s.add(MediaTypeWasm, hello))
	if _, err := Unpack(t.Context(), s, m, UnpackOptions{Path: dir}); err != nil {
		t.Fatalf("Unpack = %v", err)
	}
	if data, err := os.ReadFile(victim); string(data) != "mine" {
		t.Errorf("the link's target holds %q, %v", data, err)
	}
	if data, err := os.ReadFile(filepath.Join(dir, "module.wasm")); !bytes.Equal(data, hello) {
		t.Errorf("the file holds %x, %v", data, err)
	}
}

// Any manifest and layer end in a file of the right name or in nothing.
func FuzzUnpack(f *testing.F) {
	list, err := os.ReadDir("testdata/fuzz/FuzzUnpack")
	if err != nil || len(list) < 8 {
		f.Fatalf("%d seeds, %v; want at least 8", len(list), err)
	}
	f.Fuzz(func(t *testing.T, mediaType, title string, config, layer []byte) {
		s, dir := store{}, t.TempDir()
		m := s.manifest(s.add(MediaTypeImageConfig, config), titled(s.add(mediaType, layer), title))
		got, err := Unpack(t.Context(), s, m, UnpackOptions{Path: dir, MaxSize: 1 << 16})
		left, rerr := os.ReadDir(dir)
		if rerr != nil {
			t.Fatal(rerr)
		}
		if err != nil && len(left) != 0 {
			t.Fatalf("Unpack = %v, and left %v", err, left)
		}
		if err == nil && (len(left) != 1 || filepath.Join(dir, left[0].Name()) != got.Path || !strings.HasSuffix(got.Path, ".wasm")) {
			t.Fatalf("Unpack = %+v, and the folder holds %v", got, left)
		}
	})
}

func TestManifestsAreRead(t *testing.T) {
	// A manifest as other tools write it: without mediaType, with fields of
	// their own.
	s := store{}
	wasm := s.add(MediaTypeLegacyLayer, hello)
	raw, err := json.Marshal(map[string]any{
		"schemaVersion": 2, "config": s.add(MediaTypeLegacyConfig, []byte("{}")), "layers": []any{wasm}, "extra": true,
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := Unpack(t.Context(), s, s.add(MediaTypeManifest, raw), UnpackOptions{Path: t.TempDir()})
	if err != nil || got.Layer.Digest != wasm.Digest || got.Size != int64(len(hello)) {
		t.Fatalf("Unpack = %+v, %v; want layer %s", got, err, wasm.Digest)
	}
}
