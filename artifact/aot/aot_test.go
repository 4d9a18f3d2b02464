package aot_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content/memory"
	"oras.land/oras-go/v2/errdef"

	"github.com/wreg-project/wreg/artifact"
	"github.com/wreg-project/wreg/artifact/aot"
	"github.com/wreg-project/wreg/artifact/variant"
)

// subject is the manifest of the package that all code here is of.
var subject = ocispec.Descriptor{MediaType: artifact.MediaTypeManifest, Digest: digest.FromString("{}"), Size: 2}

// sample is code that compresses, in part.
func sample() []byte {
	rng := rand.New(rand.NewPCG(1, 2))
	code := bytes.Repeat([]byte("\x7fELF native code "), 2<<10)
	for i := range 10 << 10 {
		code[i] = byte(rng.Uint32())
	}
	return code
}

func configOf(code []byte) *aot.Config {
	return &aot.Config{
		Source:   aot.Source{Digest: digest.FromString("wasm"), Size: 4},
		Compiler: aot.By{Runtime: aot.Runtime, Version: "39.0.1", Engine: "cranelift", Tier: aot.Optimising, Profile: aot.Profile},
		Target:   aot.Made{Platform: "linux/amd64/v3", Triple: "x86_64-unknown-linux-gnu", ISAFlags: []string{"has_avx2"}},
		CompatID: digest.FromString("engine").String(),
		Output:   aot.Source{Digest: digest.FromBytes(code), Size: int64(len(code))},
		Builder:  &aot.Builder{ID: "https://example.com/compiler", Platform: "linux/amd64"},
	}
}

func layerFile(t *testing.T) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "layer"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// packed packs code into a store of its own.
func packed(t *testing.T, c *aot.Config, code []byte) (*artifact.Package, *memory.Store) {
	t.Helper()
	p, err := aot.Pack(t.Context(), subject, c, bytes.NewReader(code), layerFile(t))
	if err != nil {
		t.Fatalf("Pack = %v", err)
	}
	store := memory.New()
	if err := store.Push(t.Context(), subject, strings.NewReader("{}")); err != nil {
		t.Fatal(err)
	}
	if err := p.Push(t.Context(), store); err != nil {
		t.Fatalf("Push = %v", err)
	}
	return p, store
}

// The digest is a promise: another release that makes another one of the same
// code would fill registries with copies. An update of Go that compresses in
// another way may change it, and is worth a note to operators.
func TestPackIsReproducible(t *testing.T) {
	const want = "sha256:1cb4f912a6016260a380fbf3cb4afd1c234bd2234fabad8717defe572f3e123b"
	code := sample()
	for range 2 {
		p, _ := packed(t, configOf(code), code)
		if got := p.Manifest.Digest; got != want {
			t.Fatalf("Pack gave %s, want %s:\n%s", got, want, p.ManifestJSON)
		}
	}
}

func TestWhatWasPackedIsRead(t *testing.T) {
	for _, runtime := range []string{"wasmtime", "wamr"} {
		t.Run(runtime, func(t *testing.T) {
			code := sample()
			c := configOf(code)
			c.Compiler.Runtime = runtime
			p, store := packed(t, c, code)
			v, err := aot.Read(t.Context(), store, p.Manifest, aot.Expected{Subject: subject.Digest, Source: c.Source.Digest})
			if err != nil {
				t.Fatalf("Read = %v", err)
			}
			if diff := gocmp.Diff(c, &v.Config); diff != "" {
				t.Errorf("the config differs (-packed +read):\n%s", diff)
			}
			want := variant.Candidate{
				Digest: p.Manifest.Digest.String(), Runtime: runtime, Version: "39.0.1",
				Target:  variant.Target{OS: "linux", Arch: "amd64", Level: "v3"},
				Profile: aot.Profile, CompatID: c.CompatID, Source: c.Source.Digest.String(),
			}
			if diff := gocmp.Diff(want, v.Candidate); diff != "" {
				t.Errorf("the candidate differs (-want +got):\n%s", diff)
			}
			if v.Subject.Digest != subject.Digest || v.Layer.MediaType != aot.CodeType(runtime)+"+gzip" || v.Layer.Size >= int64(len(code)) {
				t.Errorf("Read = subject %s, layer %+v; want %s and a smaller layer", v.Subject.Digest, v.Layer, subject.Digest)
			}
			var got bytes.Buffer
			if err := v.WriteCode(t.Context(), store, &got); err != nil || !bytes.Equal(got.Bytes(), code) {
				t.Errorf("WriteCode = %d bytes, %v; want the %d that were packed", got.Len(), err, len(code))
			}
			list, ignored := aot.List([]ocispec.Descriptor{p.Manifest})
			if len(list) != 1 || len(ignored) != 0 || list[0].Candidate != want {
				t.Errorf("List = %+v, %+v; want %+v", list, ignored, want)
			}
		})
	}
}

func TestPackRefuses(t *testing.T) {
	code := []byte("code")
	tests := []struct {
		name   string
		change func(*aot.Config)
		code   string
		want   error
	}{
		{name: "code that is longer", code: "code+", want: artifact.ErrContent},
		{name: "code that is cut", code: "cod", want: artifact.ErrContent},
		{name: "other code", code: "coda", want: artifact.ErrContent},
		{name: "a config without a source", change: func(c *aot.Config) { c.Source.Digest = "" }, code: "code", want: aot.ErrForm},
		{name: "code of half a gigabyte", change: func(c *aot.Config) { c.Output.Size = aot.MaxOutput + 1 }, code: "code", want: aot.ErrForm},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := configOf(code)
			if tt.change != nil {
				tt.change(c)
			}
			p, err := aot.Pack(t.Context(), subject, c, strings.NewReader(tt.code), layerFile(t))
			if !errors.Is(err, tt.want) {
				t.Errorf("Pack = %v, %v; want %v", p, err, tt.want)
			}
		})
	}
}

func TestConfigsAreChecked(t *testing.T) {
	long := strings.Repeat("x", 600)
	tests := []struct {
		name   string
		change func(*aot.Config)
	}{
		{"a source with a digest of another algorithm", func(c *aot.Config) { c.Source.Digest = "md5:d41d8cd98f00b204e9800998ecf8427e" }},
		{"an empty source", func(c *aot.Config) { c.Source.Size = 0 }},
		{"no output", func(c *aot.Config) { c.Output = aot.Source{} }},
		{"an output of less than nothing", func(c *aot.Config) { c.Output.Size = -1 }},
		{"a runtime that is a path", func(c *aot.Config) { c.Compiler.Runtime = "../x" }},
		{"no runtime", func(c *aot.Config) { c.Compiler.Runtime = "" }},
		{"no version", func(c *aot.Config) { c.Compiler.Version = "" }},
		{"a version that clears the screen", func(c *aot.Config) { c.Compiler.Version = "39\x1b[2J" }},
		{"a long version", func(c *aot.Config) { c.Compiler.Version = long }},
		{"a long engine", func(c *aot.Config) { c.Compiler.Engine = long }},
		{"no tier", func(c *aot.Config) { c.Compiler.Tier = "" }},
		{"an unknown tier", func(c *aot.Config) { c.Compiler.Tier = "turbo" }},
		{"no profile", func(c *aot.Config) { c.Compiler.Profile = "" }},
		{"many flags", func(c *aot.Config) { c.Compiler.Flags = make([]string, 1000) }},
		{"a long flag", func(c *aot.Config) { c.Compiler.Flags = []string{long} }},
		{"an unknown platform", func(c *aot.Config) { c.Target.Platform = "linux/amd64/v9" }},
		{"a platform in another spelling", func(c *aot.Config) { c.Target.Platform = "linux/amd64" }},
		{"a long triple", func(c *aot.Config) { c.Target.Triple = long }},
		{"a flag of the processor that is no text", func(c *aot.Config) { c.Target.ISAFlags = []string{"\x00"} }},
		{"no compat id", func(c *aot.Config) { c.CompatID = "" }},
		{"a compat id that is no digest", func(c *aot.Config) { c.CompatID = "39" }},
		{"a builder without a name", func(c *aot.Config) { c.Builder.ID = "" }},
		{"a builder with a long name", func(c *aot.Config) { c.Builder.ID = long }},
		{"a long compat id of another runtime", func(c *aot.Config) { c.Compiler.Runtime, c.CompatID = "wamr", long }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := configOf([]byte("code"))
			if err := c.Check(); err != nil {
				t.Fatalf("Check of a good config = %v", err)
			}
			tt.change(c)
			if err := c.Check(); !errors.Is(err, aot.ErrForm) {
				t.Errorf("Check(%+v) = %v; want %v", c, err, aot.ErrForm)
			}
		})
	}
}

// forged pushes code as somebody does who keeps to no rules, and gives the
// descriptor of its manifest.
func forged(t *testing.T, store blobs, change func(*ocispec.Manifest, *aot.Config), layer []byte) ocispec.Descriptor {
	t.Helper()
	code := sample()
	c := configOf(code)
	if layer == nil {
		layer = zipped(t, code)
	}
	l := describe(aot.CodeType(aot.Runtime)+"+gzip", layer)
	m := ocispec.Manifest{
		MediaType: artifact.MediaTypeManifest, ArtifactType: aot.ArtifactType(aot.Runtime), Subject: &subject,
		Layers: []ocispec.Descriptor{l}, Annotations: c.Annotations(),
	}
	m.SchemaVersion = 2
	m.Config.MediaType = aot.MediaTypeConfig
	change(&m, c)
	config := mustJSON(t, c)
	m.Config = describe(m.Config.MediaType, config)
	text := mustJSON(t, m)
	d := describe(artifact.MediaTypeManifest, text)
	store[l.Digest], store[m.Config.Digest], store[d.Digest] = layer, config, text
	return d
}

func zipped(t *testing.T, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	if _, err := z.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func mustJSON(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func describe(mediaType string, b []byte) ocispec.Descriptor {
	return ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(b), Size: int64(len(b))}
}

// blobs is a registry that keeps to no rules either.
type blobs map[digest.Digest][]byte

func (b blobs) Fetch(_ context.Context, d ocispec.Descriptor) (io.ReadCloser, error) {
	if content, ok := b[d.Digest]; ok {
		return io.NopCloser(bytes.NewReader(content)), nil
	}
	return nil, fmt.Errorf("%s: %w", d.Digest, errdef.ErrNotFound)
}

func TestReadRefuses(t *testing.T) {
	type (
		m = *ocispec.Manifest
		c = *aot.Config
	)
	tests := []struct {
		name   string
		change func(m, c)
		listed func(*ocispec.Descriptor)
		want   error
	}{
		{name: "an index", change: func(m m, _ c) { m.MediaType = ocispec.MediaTypeImageIndex }, want: aot.ErrForm},
		{name: "another schema", change: func(m m, _ c) { m.SchemaVersion = 1 }, want: aot.ErrForm},
		{name: "the artifact type of a package", change: func(m m, _ c) { m.ArtifactType = artifact.MediaTypeConfig }, want: aot.ErrForm},
		{name: "the artifact type of another runtime", change: func(m m, _ c) { m.ArtifactType = aot.ArtifactType("wamr") }, want: aot.ErrForm},
		{
			name: "the artifact type and the layer of another runtime", want: aot.ErrForm,
			change: func(m m, _ c) { m.ArtifactType, m.Layers[0].MediaType = aot.ArtifactType("wamr"), aot.CodeType("wamr") },
		},
		{name: "another config", change: func(m m, _ c) { m.Config.MediaType = "application/json" }, want: aot.ErrForm},
		{name: "no layer", change: func(m m, _ c) { m.Layers = nil }, want: aot.ErrForm},
		{name: "two layers", change: func(m m, _ c) { m.Layers = append(m.Layers, m.Layers[0]) }, want: aot.ErrForm},
		{name: "code in a layer of WebAssembly", change: func(m m, _ c) { m.Layers[0].MediaType = artifact.MediaTypeWasm }, want: aot.ErrForm},
		{name: "a layer elsewhere", change: func(m m, _ c) { m.Layers[0].URLs = []string{"https://example.com"} }, want: aot.ErrForm},
		{name: "a layer without a digest", change: func(m m, _ c) { m.Layers[0].Digest = "sha256:" }, want: aot.ErrForm},
		{name: "a layer of an unknown algorithm", change: func(m m, _ c) { m.Layers[0].Digest = "crc32:00000000" }, want: aot.ErrForm},
		{name: "a layer much larger than its code", change: func(m m, _ c) { m.Layers[0].Size = 1 << 40 }, want: aot.ErrForm},
		{name: "a layer of no size", change: func(m m, _ c) { m.Layers[0].Size = -1 }, want: aot.ErrForm},
		{name: "a plain layer that is not the code", change: func(m m, _ c) { m.Layers[0].MediaType = aot.MediaTypeCode }, want: aot.ErrForm},
		{name: "no subject", change: func(m m, _ c) { m.Subject = nil }, want: aot.ErrForm},
		{
			name: "another subject", want: aot.ErrSource,
			change: func(m m, _ c) {
				m.Subject = &ocispec.Descriptor{MediaType: artifact.MediaTypeManifest, Digest: digest.FromString("other"), Size: 5}
			},
		},
		{
			name: "another source, in all places", want: aot.ErrSource,
			change: func(m m, c c) { c.Source.Digest = digest.FromString("other"); m.Annotations = c.Annotations() },
		},
		{name: "another source, in the config alone", change: func(_ m, c c) { c.Source.Digest = digest.FromString("other") }, want: aot.ErrForm},
		{name: "another version in the config", change: func(_ m, c c) { c.Compiler.Version = "39.0.2" }, want: aot.ErrForm},
		{name: "another compat id in the config", change: func(_ m, c c) { c.CompatID = digest.FromString("x").String() }, want: aot.ErrForm},
		{name: "a tier that is missing in the manifest", change: func(m m, _ c) { delete(m.Annotations, aot.AnnotationTier) }, want: aot.ErrForm},
		{name: "no annotations", change: func(m m, _ c) { m.Annotations = nil }, want: aot.ErrForm},
		{name: "a config that is not valid", change: func(_ m, c c) { c.Builder.ID = "" }, want: aot.ErrForm},
		{name: "code of more than the limit", change: func(_ m, c c) { c.Output.Size = aot.MaxOutput + 1 }, want: aot.ErrForm},
		{
			name: "a config that is too large", want: artifact.ErrTooLarge,
			change: func(_ m, c c) { c.Compiler.Flags = []string{strings.Repeat("x", 70<<10)} },
		},
		{
			name: "a manifest that is too large", want: artifact.ErrTooLarge,
			change: func(m m, _ c) { m.Annotations["x"] = strings.Repeat("x", 70<<10) },
		},
		{name: "listed as another artifact type", listed: func(d *ocispec.Descriptor) { d.ArtifactType = aot.ArtifactType("wamr") }, want: aot.ErrForm},
		{
			name: "listed for another platform", want: aot.ErrForm,
			listed: func(d *ocispec.Descriptor) {
				d.Annotations = configOf(sample()).Annotations()
				d.Annotations[aot.AnnotationPlatform] = "linux/amd64/v1"
			},
		},
		{name: "listed with another size", listed: func(d *ocispec.Descriptor) { d.Size++ }, want: artifact.ErrContent},
		{name: "listed with less than no size", listed: func(d *ocispec.Descriptor) { d.Size = -1 }, want: artifact.ErrContent},
		{name: "listed with no digest", listed: func(d *ocispec.Descriptor) { d.Digest = "x" }, want: aot.ErrForm},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			store := blobs{}
			change := tt.change
			if change == nil {
				change = func(m, c) {}
			}
			d := forged(t, store, change, nil)
			if tt.listed != nil {
				tt.listed(&d)
			}
			v, err := aot.Read(t.Context(), store, d, aot.Expected{Subject: subject.Digest, Source: digest.FromString("wasm")})
			if !errors.Is(err, tt.want) || v != nil {
				t.Errorf("Read = %+v, %v; want %v", v, err, tt.want)
			}
		})
	}
}

func TestJSONThatTwoToolsReadDifferentlyIsRefused(t *testing.T) {
	store := blobs{}
	d := forged(t, store, func(*ocispec.Manifest, *aot.Config) {}, nil)
	twice := []byte(strings.Replace(string(store[d.Digest]), `"layers":`, `"Layers":[],"layers":`, 1))
	d = describe(artifact.MediaTypeManifest, twice)
	store[d.Digest] = twice
	if v, err := aot.Read(t.Context(), store, d, aot.Expected{}); !errors.Is(err, aot.ErrForm) {
		t.Errorf("Read(%s) = %+v, %v; want %v", twice, v, err, aot.ErrForm)
	}
}

func TestPlainLayersAreRead(t *testing.T) {
	store := blobs{}
	code := sample()
	d := forged(t, store, func(m *ocispec.Manifest, _ *aot.Config) { m.Layers[0].MediaType = aot.MediaTypeCode }, code)
	v, err := aot.Read(t.Context(), store, d, aot.Expected{Subject: subject.Digest})
	if err != nil {
		t.Fatalf("Read = %v", err)
	}
	var got bytes.Buffer
	if err := v.WriteCode(t.Context(), store, &got); err != nil || !bytes.Equal(got.Bytes(), code) {
		t.Errorf("WriteCode = %d bytes, %v; want %d", got.Len(), err, len(code))
	}
}

func TestWriteCodeRefuses(t *testing.T) {
	code := sample()
	good := zipped(t, code)
	flip := func(b []byte, i int) []byte {
		b = bytes.Clone(b)
		b[i] ^= 1
		return b
	}
	tests := []struct {
		name  string
		layer []byte
		most  int // bytes that may be written
	}{
		{"other code of the same size", zipped(t, flip(code, 1000)), len(code)},
		{"more code", zipped(t, append(bytes.Clone(code), 0)), len(code)},
		{"a bomb", zipped(t, make([]byte, 4<<20)), len(code)},
		{"less code", zipped(t, code[:len(code)-1]), len(code) - 1},
		{"no gzip", []byte("code"), 0},
		{"nothing", []byte{}, 0},
		{"a cut file", good[:len(good)-9], len(code)},
		{"a broken checksum", flip(good, len(good)-6), len(code)},
		{"a broken block", flip(good, len(good)-200), len(code)},
		{"something behind it", append(bytes.Clone(good), "hidden"...), len(code)},
		{"another file behind it", append(bytes.Clone(good), zipped(t, []byte("x"))...), len(code)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			store := blobs{}
			d := forged(t, store, func(*ocispec.Manifest, *aot.Config) {}, tt.layer)
			v, err := aot.Read(t.Context(), store, d, aot.Expected{})
			if len(tt.layer) == 0 {
				if !errors.Is(err, aot.ErrForm) {
					t.Errorf("Read of an empty layer = %v; want %v", err, aot.ErrForm)
				}
				return
			}
			if err != nil {
				t.Fatalf("Read = %v", err)
			}
			var got bytes.Buffer
			if err := v.WriteCode(t.Context(), store, &got); !errors.Is(err, artifact.ErrContent) || got.Len() > tt.most {
				t.Errorf("WriteCode wrote %d bytes, %v; want at most %d and %v", got.Len(), err, tt.most, artifact.ErrContent)
			}
		})
	}
}

// A writer that is full is no fault of the content.
func TestWriteCodePassesOnWhatTheWriterSays(t *testing.T) {
	code := sample()
	p, store := packed(t, configOf(code), code)
	v, err := aot.Read(t.Context(), store, p.Manifest, aot.Expected{})
	if err != nil {
		t.Fatal(err)
	}
	full := errors.New("no space left")
	if err := v.WriteCode(t.Context(), store, failing{full}); !errors.Is(err, full) || errors.Is(err, artifact.ErrContent) {
		t.Errorf("WriteCode = %v; want %v", err, full)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

func TestListTakesWhatItCanRead(t *testing.T) {
	c := configOf([]byte("code"))
	good := ocispec.Descriptor{
		MediaType: artifact.MediaTypeManifest, Digest: digest.FromString("a"), Size: 1, ArtifactType: aot.ArtifactType(aot.Runtime),
		Annotations: c.Annotations(),
	}
	bare := good
	bare.Digest, bare.Annotations = digest.FromString("b"), nil
	odd := good
	odd.Digest, odd.ArtifactType = digest.FromString("c"), aot.ArtifactType("wamr")
	none := good
	none.Digest = "../../etc/passwd"
	sbom := ocispec.Descriptor{Digest: digest.FromString("d"), ArtifactType: "application/spdx+json"}
	list, ignored := aot.List([]ocispec.Descriptor{sbom, good, bare, good, odd, none})
	if len(list) != 1 || list[0].Descriptor.Digest != good.Digest {
		t.Errorf("List = %+v; want %s alone, once", list, good.Digest)
	}
	var got []digest.Digest
	for _, i := range ignored {
		got = append(got, i.Descriptor.Digest)
		if !errors.Is(i.Err, aot.ErrForm) {
			t.Errorf("List ignores %s: %v; want %v", i.Descriptor.Digest, i.Err, aot.ErrForm)
		}
	}
	if diff := gocmp.Diff([]digest.Digest{bare.Digest, odd.Digest, none.Digest}, got); diff != "" {
		t.Errorf("List ignores (-want +got):\n%s", diff)
	}
	if got := aot.Candidates(list); len(got) != 1 || got[0].Digest != good.Digest.String() {
		t.Errorf("Candidates = %+v; want that of %s", got, good.Digest)
	}
}

func TestListIsBounded(t *testing.T) {
	many := make([]ocispec.Descriptor, aot.MaxListed+1)
	list, ignored := aot.List(many)
	if len(list) != 0 || len(ignored) != 1 || !strings.Contains(ignored[0].Err.Error(), "1001 referrers") {
		t.Errorf("List of %d = %d, %v; want one note that there are more", len(many), len(list), ignored)
	}
}

func TestRuntimeOf(t *testing.T) {
	for in, want := range map[string]string{
		"application/vnd.wreg.aot.wasmtime.v1":    "wasmtime",
		"application/vnd.wreg.aot.wamr.v1":        "wamr",
		"application/vnd.wreg.aot..v1":            "",
		"application/vnd.wreg.aot.v1":             "",
		"application/vnd.wreg.aot.a/b.v1":         "",
		"application/vnd.wreg.aot.wasmtime.v2":    "",
		"application/vnd.wreg.aot.config.v1+json": "",
		"application/wasm":                        "",
		"":                                        "",
	} {
		if got, ok := aot.RuntimeOf(in); ok != (want != "") || ok && got != want {
			t.Errorf("RuntimeOf(%q) = %q, %v; want %q", in, got, ok, want)
		}
	}
}
