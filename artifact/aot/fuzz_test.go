package aot_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/wreg-project/wreg/artifact"
	"github.com/wreg-project/wreg/artifact/aot"
	"github.com/wreg-project/wreg/artifact/variant"
)

// A config that Read accepts says what the manifest says, is within its bounds,
// and could have been packed.
func FuzzRead(f *testing.F) {
	code := []byte("code")
	good, err := json.Marshal(configOf(code))
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range [][]byte{
		good, []byte(`{}`), bytes.Replace(good, []byte(`"size":4`), []byte(`"size":536870913`), 1),
		bytes.Replace(good, []byte(`"output"`), []byte(`"Output":null,"output"`), 1),
	} {
		f.Add(seed, "linux/amd64/v3", "39.0.1")
	}
	f.Fuzz(func(t *testing.T, config []byte, platform, version string) {
		store := blobs{}
		l := describe(aot.MediaTypeCode, code)
		m := ocispec.Manifest{
			MediaType: artifact.MediaTypeManifest, ArtifactType: aot.ArtifactType(aot.Runtime), Subject: &subject,
			Config: describe(aot.MediaTypeConfig, config), Layers: []ocispec.Descriptor{l}, Annotations: configOf(code).Annotations(),
		}
		m.SchemaVersion = 2
		m.Annotations[aot.AnnotationPlatform], m.Annotations[aot.AnnotationRuntimeVersion] = platform, version
		text := mustJSON(t, m)
		d := describe(artifact.MediaTypeManifest, text)
		store[l.Digest], store[m.Config.Digest], store[d.Digest] = code, config, text
		v, err := aot.Read(t.Context(), store, d, aot.Expected{})
		if err != nil {
			return
		}
		c, err := v.Config.Candidate(d.Digest)
		if err != nil || c != v.Candidate {
			t.Fatalf("the config %s says %+v, %v, and the manifest %+v", config, c, err, v.Candidate)
		}
		if len(config) > 64<<10 || v.Config.Output.Size > aot.MaxOutput || len(version) > 64 {
			t.Fatalf("Read = %+v of %d bytes; it is beyond the bounds", v.Config, len(config))
		}
		if _, err := aot.Pack(t.Context(), subject, &v.Config, bytes.NewReader(code), &memoryLayer{}); err != nil {
			t.Fatalf("Pack(%+v) = %v; it was read", v.Config, err)
		}
	})
}

// memoryLayer is a layer that nobody sends.
type memoryLayer struct{ bytes.Buffer }

func (m *memoryLayer) ReadAt(p []byte, off int64) (int, error) {
	return bytes.NewReader(m.Bytes()).ReadAt(p, off)
}

// What is listed can be printed, and is the same when it is listed again.
func FuzzList(f *testing.F) {
	c := configOf([]byte("code"))
	a := c.Annotations()
	f.Add(aot.ArtifactType(aot.Runtime), string(subject.Digest), a[aot.AnnotationRuntime], a[aot.AnnotationRuntimeVersion],
		a[aot.AnnotationPlatform], a[aot.AnnotationProfile], a[aot.AnnotationCompatID], a[aot.AnnotationSource], a[aot.AnnotationTier])
	f.Add(aot.ArtifactType("wamr"), string(subject.Digest), "wamr", "2.4.1", "linux/arm64", "", "", a[aot.AnnotationSource], "fast")
	f.Add("application/vnd.wreg.aot..v1", "sha512:", "", "", "pulley64", "", "", "", "")
	f.Fuzz(func(t *testing.T, artifactType, d, runtime, version, platform, profile, compat, source, tier string) {
		in := ocispec.Descriptor{ArtifactType: artifactType, Annotations: map[string]string{
			aot.AnnotationRuntime: runtime, aot.AnnotationRuntimeVersion: version, aot.AnnotationPlatform: platform,
			aot.AnnotationProfile: profile, aot.AnnotationCompatID: compat, aot.AnnotationSource: source, aot.AnnotationTier: tier,
		}}
		in.Digest = digest.Digest(d)
		list, ignored := aot.List([]ocispec.Descriptor{in, in})
		if len(list) > 1 || len(ignored) > 1 || len(list)+len(ignored) > 1 {
			t.Fatalf("List of one thing twice = %+v, %+v", list, ignored)
		}
		for _, l := range list {
			for _, s := range []string{l.Digest, l.Runtime, l.Version, l.Target.String(), l.Profile, l.CompatID, l.Source} {
				if len(s) > 150 || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) {
					t.Fatalf("List gives %q, which no terminal should see", s)
				}
			}
			if got, err := variant.Parse(l.Target.String()); err != nil || got != l.Target {
				t.Fatalf("Parse(%s) = %v, %v; want what was listed", l.Target, got, err)
			}
			again, err := aot.Describe(l.Descriptor)
			if diff := gocmp.Diff(l, again); err != nil || diff != "" {
				t.Fatalf("Describe of what was listed = %v:\n%s", err, diff)
			}
		}
	})
}
