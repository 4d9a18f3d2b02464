package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/wreg-project/wreg/artifact"
	"github.com/wreg-project/wreg/artifact/aot"
	"github.com/wreg-project/wreg/artifact/aot/cache"
	"github.com/wreg-project/wreg/artifact/aot/provenance"
	"github.com/wreg-project/wreg/artifact/aot/wasmtime"
	"github.com/wreg-project/wreg/artifact/aot/wasmtime/wire"
	"github.com/wreg-project/wreg/artifact/ref"
	"github.com/wreg-project/wreg/registry/client"
	"github.com/wreg-project/wreg/signing"
	"github.com/wreg-project/wreg/signing/attest"
	"github.com/wreg-project/wreg/signing/key"
	"github.com/wreg-project/wreg/signing/trust"
	"github.com/wreg-project/wreg/signing/verify"
	"github.com/wreg-project/wreg/test/testenv"
)

// A forgery is native code beside a package, and what is wrong with it.
type forgery struct {
	config *aot.Config
	code   []byte
	on     ocispec.Descriptor // what it hangs on
	by     string             // who attests it; "" is nobody

	// attested is what the provenance is of: the same, unless changed.
	attested func(manifest *digest.Digest, c *aot.Config)
	// layer is what is sent in place of the compressed code.
	layer func([]byte) []byte
}

// A codeWorld is a package in a layout, with the keys of who may attest.
type codeWorld struct {
	program *program
	native  *native
	keys    map[string]*key.Private
	good    forgery
	ids     *wire.IDs
	other   digest.Digest
	sibling ocispec.Descriptor // another package with the same WebAssembly
}

func newCodeWorld(t *testing.T) *codeWorld {
	t.Helper()
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	code, err := os.ReadFile("../../artifact/aot/wasmtime/testdata/module.cwasm") // for linux/amd64
	if err != nil {
		t.Fatal(err)
	}
	head, err := wasmtime.ReadCode(bytes.NewReader(code), int64(len(code)))
	if err != nil {
		t.Fatal(err)
	}
	wasm := []byte("\x00asm\x01\x00\x00\x00")
	w := &codeWorld{
		keys: map[string]*key.Private{}, other: digest.FromString("another"),
		ids: &wire.IDs{Host: "linux/amd64/v3", Targets: []wire.Support{
			{Target: "linux/amd64/v1", CompatID: idOf("v1"), FastID: idOf("fast v1")},
			{Target: "linux/amd64/v3", CompatID: head.CompatID, FastID: idOf("fast v3")},
			{Target: "pulley64", CompatID: head.CompatID, FastID: idOf("fast pulley")},
		}},
	}
	var keys []verify.Key
	for _, name := range []string{"compiler", "publisher", "stranger"} {
		k, err := key.Generate(key.P256)
		if err != nil {
			t.Fatal(err)
		}
		if w.keys[name] = k; name != "stranger" {
			keys = append(keys, verify.Key{Name: name, Public: k.Public})
		}
	}
	policy, err := trust.Parse([]byte("version: 1\ncompilers: [compiler]\n"), trust.Options{Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	layout, err := client.CreateLayout(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	push := func(author, tag string) ocispec.Descriptor {
		files := []artifact.File{{Name: "a.wasm", Content: bytes.NewReader(wasm), Size: int64(len(wasm))}}
		pkg, err := artifact.Pack(t.Context(), files, artifact.Options{Author: author})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := client.Push(t.Context(), pkg, layout, client.CopyOptions{Tags: []string{tag}}); err != nil {
			t.Fatal(err)
		}
		return pkg.Manifest
	}
	manifest := push("Ann", "1.0.0")
	w.sibling = push("Bert", "2.0.0")
	store, err := cache.Open(filepath.Join(t.TempDir(), "aot"))
	if err != nil {
		t.Fatal(err)
	}
	source := aot.Source{Digest: digest.FromBytes(wasm), Size: int64(len(wasm))}
	w.native = &native{selection: selection{Target: layout, ref: ref.Reference{Layout: dir}, desc: manifest}, policy: policy}
	w.program = &program{
		known: known{Manifest: manifest.Digest, Wasm: source}, name: "demo", tool: &tool{out: io.Discard, err: io.Discard, quiet: true},
		flags: &programFlags{}, store: store,
	}
	w.program.Program.Kind = head.Kind
	w.good = forgery{
		config: &aot.Config{
			Source:   source,
			Compiler: aot.By{Runtime: aot.Runtime, Version: "39.0.1", Tier: aot.Optimising, Profile: aot.Profile},
			Target:   aot.Made{Platform: "linux/amd64/v3"}, CompatID: head.CompatID,
			Output:  aot.Source{Digest: digest.FromBytes(code), Size: int64(len(code))},
			Builder: &aot.Builder{ID: "https://builder.example.com", Platform: "linux/amd64/v3"},
		},
		code: code, on: manifest, by: "compiler",
	}
	return w
}

func idOf(text string) string { return digest.FromString(text).String() }

// place puts a forgery beside the package and returns it as it is listed.
func (w *codeWorld) place(ctx context.Context, t *testing.T, f forgery) aot.Listed {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), "layer"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	pkg, err := aot.Pack(ctx, f.on, f.config, bytes.NewReader(f.code), file)
	if err != nil {
		t.Fatal(err)
	}
	target := w.native.Target
	if _, err := client.Push(ctx, pkg, target, client.CopyOptions{}); err != nil {
		t.Fatal(err)
	}
	if f.by != "" {
		manifest, c := pkg.Manifest.Digest, *f.config
		if f.attested != nil {
			f.attested(&manifest, &c)
		}
		st, err := provenance.Statement(manifest, &c, provenance.Run{})
		if err != nil {
			t.Fatal(err)
		}
		text, err := signing.Sign(ctx, st, w.keys[f.by])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := client.Attach(ctx, target, pkg.Manifest, text, attest.TypeProvenance); err != nil {
			t.Fatal(err)
		}
	}
	if f.layer != nil {
		path := filepath.Join(w.native.ref.Layout, "blobs", "sha256", pkg.Blobs[1].Descriptor.Digest.Encoded())
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, f.layer(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	l, err := aot.Describe(pkg.Manifest)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestNativeCodeIsTakenFromCompilersAlone(t *testing.T) {
	tests := []struct {
		name   string
		change func(w *codeWorld, f *forgery)
		want   []string // in the error; none is code that is taken
	}{
		{name: "code that a compiler attests"},
		{
			name: "nobody attests it", change: func(_ *codeWorld, f *forgery) { f.by = "" },
			want: []string{"attested (slsaprovenance) by compiler", "nothing attests it"},
		},
		{
			name: "a signer of whom the policy knows nothing", change: func(_ *codeWorld, f *forgery) { f.by = "stranger" },
			want: []string{"attested (slsaprovenance) by compiler", "refused"},
		},
		{
			name: "the publisher, who is no compiler", change: func(_ *codeWorld, f *forgery) { f.by = "publisher" },
			want: []string{"attested (slsaprovenance) by compiler", "that is key", "and this is key"},
		},
		{
			name: "the provenance of another manifest",
			change: func(w *codeWorld, f *forgery) {
				f.attested = func(manifest *digest.Digest, _ *aot.Config) { *manifest = w.other }
			},
			want: []string{"no compiler that the trust policy names vouches for it", "refused"},
		},
		{
			name: "the provenance of another layer",
			change: func(w *codeWorld, f *forgery) {
				f.attested = func(_ *digest.Digest, c *aot.Config) { c.Source.Digest = w.other }
			},
			want: []string{"the provenance is of other native code", "source is"},
		},
		{
			name: "the provenance of another version",
			change: func(_ *codeWorld, f *forgery) {
				f.attested = func(_ *digest.Digest, c *aot.Config) { c.Compiler.Version = "39.0.2" }
			},
			want: []string{`its version is "39.0.2", and the code has 39.0.1`},
		},
		{
			name: "the provenance of another profile",
			change: func(_ *codeWorld, f *forgery) {
				f.attested = func(_ *digest.Digest, c *aot.Config) { c.Compiler.Profile = "fuel" }
			},
			want: []string{`its profile is "fuel", and the code has wreg-v1`},
		},
		{
			name: "the provenance of other code",
			change: func(w *codeWorld, f *forgery) {
				f.attested = func(_ *digest.Digest, c *aot.Config) { c.Output.Digest = w.other }
			},
			want: []string{"byproducts has code"},
		},
		{
			name: "made of another layer", change: func(w *codeWorld, f *forgery) { f.config.Source.Digest = w.other },
			want: []string{"it was made of sha256:", "and the package has sha256:"},
		},
		{
			name:   "beside another package",
			change: func(w *codeWorld, f *forgery) { f.on = w.sibling },
			want:   []string{"it hangs on sha256:", "and the package is sha256:"},
		},
		{
			name: "a byte of the layer is another",
			change: func(_ *codeWorld, f *forgery) {
				f.layer = func(data []byte) []byte {
					data[len(data)/2] ^= 1
					return data
				}
			},
			want: []string{client.ErrDigest.Error()},
		},
		{
			name: "a layer that was cut",
			change: func(_ *codeWorld, f *forgery) {
				f.layer = func(data []byte) []byte { return data[:len(data)-1] }
			},
			want: []string{client.ErrDigest.Error()},
		},
		{
			name: "code for v3 that says it is for v1",
			change: func(_ *codeWorld, f *forgery) {
				f.config.Target.Platform, f.config.CompatID = "linux/amd64/v1", idOf("v1")
			},
			want: []string{"it says that it is code for amd64", "of " + idOf("v1") + ", and it is for amd64"},
		},
		{
			name: "code for a processor that says it is bytecode", change: func(_ *codeWorld, f *forgery) { f.config.Target.Platform = "pulley64" },
			want: []string{"it says that it is code for pulley64", "and it is for amd64"},
		},
		{
			name: "code of another tier", change: func(_ *codeWorld, f *forgery) { f.config.Compiler.Tier = aot.Fast },
			want: []string{"of " + idOf("fast v3") + ", and it is for amd64"},
		},
		{
			name: "a module for a component", change: func(w *codeWorld, _ *forgery) { w.program.Program.Kind = wire.Component },
			want: []string{"a component of", "a module of"},
		},
		{
			name: "no code of wasmtime at all",
			change: func(_ *codeWorld, f *forgery) {
				f.code = []byte("\x7fELF and nothing")
				f.config.Output = aot.Source{Digest: digest.FromBytes(f.code), Size: int64(len(f.code))}
			},
			want: []string{"not code of wasmtime"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newCodeWorld(t)
			f := w.good
			config := *f.config
			f.config = &config
			if tt.change != nil {
				tt.change(w, &f)
			}
			listed := w.place(t.Context(), t, f)
			e, err := w.program.take(t.Context(), w.native, listed, w.ids)
			if len(tt.want) == 0 {
				if err != nil || e.Vouched == nil || e.Vouched.By != "compiler" || e.Vouched.Manifest != listed.Descriptor.Digest {
					t.Fatalf("take = %+v, %v; want code that compiler vouched for", e, err)
				}
				return
			}
			if err == nil {
				t.Fatalf("take = %+v; want an error with %q", e, tt.want)
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("take: %v; want %q in it", err, want)
				}
			}
			if items, lerr := w.program.store.List(); lerr != nil || len(items) != 0 {
				t.Errorf("the cache has %d entries, %v; want none of what was refused", len(items), lerr)
			}
		})
	}
}

// What says that it was made of a package and is other code is found by whoever
// compiles again.
func TestCompilingAgainTellsOtherCode(t *testing.T) {
	path, err := testenv.Engine(t)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(wasmtime.Variable, path)
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	ids, err := wasmtime.IDs(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	w := newCodeWorld(t)
	f := w.good
	f.config.Compiler.Version, f.config.Target.Platform, f.by = ids.Wasmtime, "pulley64", ""
	w.place(t.Context(), t, f)
	var out bytes.Buffer
	tool := &tool{out: &out, err: io.Discard, quiet: true, format: formatTable}
	err = tool.reproduce(t.Context(), "oci-layout:"+w.native.ref.Layout+":1.0.0", nil, &trustFlags{})
	if want := "the code is " + f.config.Output.Digest.String() + ", and compiled here it is sha256:"; !errors.Is(err, errFinding) ||
		!strings.Contains(out.String(), want) {
		t.Errorf("reproduce = %v, with %q; want %v and %q in it", err, out.String(), errFinding, want)
	}
}

// A layer that says it is WebAssembly is that or nothing: code in it is not looked
// for, and a manifest of code is no package.
func TestCodeInTheWrongPlaceIsNotRun(t *testing.T) {
	w := newCodeWorld(t)
	t.Setenv(wasmtime.Variable, filepath.Join(t.TempDir(), "engine")) // which nothing gets as far as to start
	if err := os.WriteFile(os.Getenv(wasmtime.Variable), nil, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"XDG_CACHE_HOME", "XDG_CONFIG_HOME"} {
		t.Setenv(name, t.TempDir())
	}
	ctx, dir := t.Context(), w.native.ref.Layout
	d := ocispec.Descriptor{MediaType: artifact.MediaTypeWasm, Digest: digest.FromBytes(w.good.code), Size: int64(len(w.good.code))}
	config := artifact.NewJSONBlob(artifact.MediaTypeConfig, artifact.Config{OS: artifact.OSWasip1, Architecture: artifact.ArchitectureWasm})
	hidden := artifact.NewPackage(ocispec.Manifest{Config: config.Descriptor, Layers: []ocispec.Descriptor{d}}, config,
		artifact.NewBlob(d, func() io.ReadCloser { return io.NopCloser(bytes.NewReader(w.good.code)) }))
	if _, err := client.Push(ctx, hidden, w.native.Target, client.CopyOptions{Tags: []string{"hidden"}}); err != nil {
		t.Fatal(err)
	}
	listed := w.place(ctx, t, w.good)
	file := filepath.Join(t.TempDir(), "code.wasm")
	if err := os.WriteFile(file, w.good.code, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, arg, want, hint string }{
		{"a layer of WebAssembly that is code", "oci-layout:" + dir + ":hidden", "precompiled code (ELF), not WebAssembly", ""},
		{"a file that is code", file, "not WebAssembly", "wpkg loads no native code but what it made"},
		{
			"native code of another package", "oci-layout:" + dir + "@" + listed.Descriptor.Digest.String(),
			"it is native code for wasmtime linux/amd64/v3, and no package", "name the package that it was made of",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tool := &tool{out: io.Discard, err: io.Discard, quiet: true}
			_, err := tool.program(ctx, tt.arg, &programFlags{pull: pullMissing})
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(hint(err), tt.hint) {
				t.Errorf("program(%s) = %v, hint %q; want %q and %q in them", tt.arg, err, hint(err), tt.want, tt.hint)
			}
		})
	}
}
