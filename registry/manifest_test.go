package registry

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/wreg-project/wreg/artifact/ref"
)

// What parseManifest accepts has a type, digests that can be looked up, and no
// more references than the bound.
func FuzzParseManifest(f *testing.F) {
	f.Add(typeOCIManifest, []byte(`{"schemaVersion":2}`))
	f.Fuzz(func(t *testing.T, contentType string, content []byte) {
		refs, err := parseManifest(contentType, content)
		if err != nil {
			return
		}
		if refs.mediaType == "" || !Printable(refs.mediaType) || !Printable(refs.artifactType) {
			t.Fatalf("parseManifest(%q, %q) has mediaType %q, artifactType %q", contentType, content, refs.mediaType, refs.artifactType)
		}
		all := append(append(refs.blobs, refs.foreign...), refs.manifests...)
		if len(all) > maxDescriptors {
			t.Fatalf("parseManifest(%q, …) has %d references", contentType, len(all))
		}
		if refs.subject != "" {
			all = append(all, descriptor{digest: refs.subject})
		}
		for _, d := range all {
			if _, err := ref.ParseDigest(d.digest.String()); err != nil || d.size < 0 {
				t.Fatalf("parseManifest(%q, %q) refers to %q of %d bytes", contentType, content, d.digest, d.size)
			}
		}
	})
}

// A corpus that is not there would pass unnoticed.
func TestSeedsOfManifests(t *testing.T) {
	seeds, err := filepath.Glob(filepath.Join("testdata", "fuzz", "FuzzParseManifest", "*"))
	if err != nil || len(seeds) != 12 {
		t.Errorf("FuzzParseManifest has %d seeds, %v, want 12", len(seeds), err)
	}
	for _, s := range seeds {
		if info, err := os.Stat(s); err != nil || info.Size() == 0 {
			t.Errorf("seed %s: %v", s, err)
		}
	}
}
