package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/wreg-project/wreg/registry/client"
	"github.com/wreg-project/wreg/registry/policy"
	"github.com/wreg-project/wreg/signing"
)

// Parts of a signed package.
const (
	partLayer = iota
	partConfig
	partManifest
	partCarrier // the manifest that the signature's bundle is the layer of
	partBundle
	parts
)

// A signedPackage is what a registry has of one: the bytes of each part, and the
// digest under which it serves them.
type signedPackage struct {
	bytes  [parts][]byte
	digest [parts]digest.Digest
}

// changed is the package with other bytes of one part under the same digest: what a
// broken disk or a careless intruder does.
func (p signedPackage) changed(part int, b []byte) *signedPackage {
	p.bytes[part] = b
	return &p
}

// forged is the package with other bytes of one part, in which everything that
// names the part by its digest names the new one: what an intruder does who owns
// the registry and lacks the key.
func (p signedPackage) forged(part int, b []byte) *signedPackage {
	p.bytes[part] = b
	names := map[int]int{partLayer: partManifest, partConfig: partManifest, partManifest: partCarrier, partBundle: partCarrier}
	for {
		was := p.digest[part]
		p.digest[part] = digest.FromBytes(p.bytes[part])
		by, ok := names[part]
		if !ok {
			return &p
		}
		p.bytes[by] = bytes.ReplaceAll(p.bytes[by], []byte(was), []byte(p.digest[part]))
		part = by
	}
}

// ServeHTTP is a registry with nothing else in it.
func (p *signedPackage) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	endpoint, reference, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/v2/demo/hello/"), "/")
	if endpoint == "referrers" {
		list := ocispec.Index{MediaType: ocispec.MediaTypeImageIndex, Manifests: []ocispec.Descriptor{}}
		list.SchemaVersion = 2
		if reference == p.digest[partManifest].String() {
			list.Manifests = append(list.Manifests, ocispec.Descriptor{
				MediaType: ocispec.MediaTypeImageManifest, ArtifactType: signing.MediaTypeBundle,
				Digest: p.digest[partCarrier], Size: int64(len(p.bytes[partCarrier])),
			})
		}
		w.Header().Set("Content-Type", ocispec.MediaTypeImageIndex)
		json.NewEncoder(w).Encode(list)
		return
	}
	if reference == "1.0.0" {
		reference = p.digest[partManifest].String()
	}
	part := slices.Index(p.digest[:], digest.Digest(reference))
	if part < 0 || (endpoint == "manifests") != (part == partManifest || part == partCarrier) {
		http.NotFound(w, r)
		return
	}
	if endpoint == "manifests" {
		w.Header().Set("Content-Type", ocispec.MediaTypeImageManifest)
	}
	w.Header().Set("Docker-Content-Digest", reference)
	w.Write(p.bytes[part])
}

// pushSigned pushes and signs a package as a person does, and takes it apart.
func pushSigned(t *testing.T, wpkg func(args ...string) (int, string)) *signedPackage {
	t.Helper()
	host, _, err := startWreg(cleanup{t}, t.TempDir(), policy.Access{Open: true}, nil)
	if err != nil {
		t.Fatal(err)
	}
	module := "\x00asm\x01\x00\x00\x00\x00\x46\x04data" + strings.Repeat("a word of it ", 5)
	if err := os.WriteFile("hello.wasm", []byte(module), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"key", "generate", "-o", "release", "--no-password"},
		{"push", host + "/demo/hello:1.0.0", "hello.wasm", "--sign", "--key", "release.key"},
		{"trust", "init", "--key", "release.pub"},
	} {
		if status, out := wpkg(args...); status != exitOK {
			t.Fatalf("wpkg %s = %d: %s", strings.Join(args, " "), status, out)
		}
	}
	repo, err := client.New(client.Options{}).Repository(host, "demo/hello")
	if err != nil {
		t.Fatal(err)
	}
	p := &signedPackage{}
	read := func(part int, d ocispec.Descriptor) (m ocispec.Manifest) {
		text, err := client.ReadAll(t.Context(), repo, d, client.MaxManifest)
		if err != nil {
			t.Fatal(err)
		}
		p.bytes[part], p.digest[part] = text, d.Digest
		if client.IsManifest(d) {
			if err := json.Unmarshal(text, &m); err != nil {
				t.Fatal(err)
			}
		}
		return m
	}
	root, err := repo.Resolve(t.Context(), "1.0.0")
	if err != nil {
		t.Fatal(err)
	}
	m := read(partManifest, root)
	read(partConfig, m.Config)
	read(partLayer, m.Layers[0])
	hanging, err := client.ReferrersOf(t.Context(), repo, root, signing.MediaTypeBundle)
	if err != nil || len(hanging) != 1 {
		t.Fatalf("ReferrersOf = %v, %v; want the signature", hanging, err)
	}
	read(partBundle, read(partCarrier, hanging[0]).Layers[0])
	return p
}

// Nothing of a package that is signed can be another byte: pull and verify under a
// trust policy refuse it, whether the registry serves it under the old digest or
// gives everything new ones.
func TestTamperedPackagesNeverVerify(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	t.Setenv("HOME", dir)
	t.Setenv("XDG_CONFIG_HOME", dir)
	wpkg := func(args ...string) (int, string) {
		var out, errOut bytes.Buffer
		status := execute(t.Context(), append([]string{"wpkg", "--quiet"}, args...), strings.NewReader(""), &out, &errOut)
		return status, out.String() + errOut.String()
	}
	good := pushSigned(t, wpkg)
	var served atomic.Pointer[signedPackage]
	host := start(cleanup{t}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { served.Load().ServeHTTP(w, r) }))
	at, file := host+"/demo/hello:1.0.0", filepath.Join(dir, "out.wasm")
	pull, verify := []string{"pull", at, "-o", file}, []string{"verify", at, "--output", "json"}

	served.Store(good)
	status, text := wpkg(pull...)
	if status != exitOK {
		t.Fatalf("wpkg pull of what was signed = %d: %s", status, text)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	status, text = wpkg(verify...)
	if status != exitOK {
		t.Fatalf("wpkg verify of what was signed = %d: %s", status, text)
	}
	want := result(t, text)

	tests := []struct {
		name            string
		part            int
		changed, forged int // exit statuses of the two ways to serve it; -1 depends on the byte
		step            int // from one byte that is changed to the next
	}{
		{"layer", partLayer, exitFailure, exitFinding, 1},
		{"config", partConfig, exitFailure, exitFinding, 1},
		{"manifest", partManifest, exitFailure, exitFinding, 1},
		{"bundle", partBundle, exitFinding, -1, 1},
		{"manifest of the signature, most of which is not signed", partCarrier, exitFailure, -1, 5},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			same := 0
			for i := 0; i < len(good.bytes[tt.part]); i += tt.step {
				b := bytes.Clone(good.bytes[tt.part])
				b[i] ^= 1 << (i % 8)
				args := [][]string{pull, verify}[i%2]
				try := func(p *signedPackage) (int, string) {
					served.Store(p)
					status, text := wpkg(args...)
					if _, err := os.Lstat(file); err == nil && status != exitOK {
						t.Fatalf("byte %d: wpkg %s = %d, and the file is there: %s", i, args[0], status, text)
					}
					return status, text
				}
				if status, text := try(good.changed(tt.part, b)); status != tt.changed {
					t.Fatalf("byte %d under the same digest: wpkg %s = %d, want %d: %s", i, args[0], status, tt.changed, text)
				}
				args = verify
				status, text := try(good.forged(tt.part, b))
				switch {
				case tt.forged >= 0 && status != tt.forged:
					t.Fatalf("byte %d under another digest: wpkg %s = %d, want %d: %s", i, args[0], status, tt.forged, text)
				case tt.forged < 0 && status == exitOK:
					// What is signed is the statement in the bundle, not the JSON around it.
					same++
					if d := cmp.Diff(want, result(t, text)); d != "" {
						t.Fatalf("byte %d under another digest: wpkg verify finds something else (-want +got):\n%s", i, d)
					}
				}
			}
			if n := len(good.bytes[tt.part]); tt.part == partBundle && (n < 500 || same > n/10) {
				t.Errorf("%d of %d changed bundles said the same as before, of which nearly all should say nothing", same, n)
			}
		})
	}
}

// result is what wpkg verify says, without the digest of the signature's manifest.
func result(t *testing.T, text string) map[string]any {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("wpkg verify printed %q: %v", text, err)
	}
	for _, rule := range v["rules"].([]any) {
		for _, by := range rule.(map[string]any)["by"].([]any) {
			delete(by.(map[string]any), "manifest")
		}
	}
	return v
}
