package signing_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/wreg-project/wreg/signing"
)

// repository is a Source in memory.
type repository struct {
	referrers []ocispec.Descriptor
	manifests map[string][]byte // by digest and tag
	blobs     map[digest.Digest][]byte
	err       error // of all methods
}

func (r *repository) Referrers(_ context.Context, _ digest.Digest, limit int) ([]ocispec.Descriptor, error) {
	return r.referrers[:min(limit, len(r.referrers))], r.err
}

func (r *repository) Manifest(_ context.Context, reference string, _ int64) ([]byte, digest.Digest, error) {
	text, ok := r.manifests[reference]
	if r.err != nil || !ok {
		return nil, "", cmpOr(r.err, fmt.Errorf("manifest %s: %w", reference, signing.ErrNotFound))
	}
	return text, digest.FromBytes(text), nil
}

func (r *repository) Blob(_ context.Context, d ocispec.Descriptor, _ int64) ([]byte, error) {
	text, ok := r.blobs[d.Digest]
	if r.err != nil || !ok {
		return nil, cmpOr(r.err, fmt.Errorf("blob %s: %w", d.Digest, signing.ErrNotFound))
	}
	return text, nil
}

func cmpOr(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

func (r *repository) put(m ocispec.Manifest, artifactType string) digest.Digest {
	text, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	d := digest.FromBytes(text)
	r.manifests[d.String()] = text
	r.referrers = append(r.referrers, ocispec.Descriptor{
		MediaType: ocispec.MediaTypeImageManifest, ArtifactType: artifactType, Digest: d, Size: int64(len(text)),
	})
	return d
}

func (r *repository) blob(mediaType, content string) ocispec.Descriptor {
	d := digest.FromString(content)
	r.blobs[d] = []byte(content)
	return ocispec.Descriptor{MediaType: mediaType, Digest: d, Size: int64(len(content))}
}

func newRepository() *repository {
	return &repository{manifests: map[string][]byte{}, blobs: map[digest.Digest][]byte{}}
}

func TestFind(t *testing.T) {
	subject, other := digest.FromString("app"), digest.FromString("other app")
	about := func(d digest.Digest) *ocispec.Descriptor {
		return &ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: d, Size: 3}
	}
	tests := []struct {
		name string
		make func(r *repository)
		want []string // form, content or problem
	}{
		{name: "nothing hangs on it", make: func(*repository) {}},
		{
			name: "a bundle",
			make: func(r *repository) {
				l := r.blob(signing.MediaTypeBundle, "{1}")
				r.put(ocispec.Manifest{Subject: about(subject), Layers: []ocispec.Descriptor{l}}, signing.MediaTypeBundle)
			},
			want: []string{"bundle {1}"},
		},
		{
			name: "a bundle that a registry lists by the type of its config",
			make: func(r *repository) {
				l := r.blob(signing.MediaTypeBundle, "{1}")
				r.put(ocispec.Manifest{Subject: about(subject), Layers: []ocispec.Descriptor{l}}, ocispec.MediaTypeEmptyJSON)
			},
			want: []string{"bundle {1}"},
		},
		{
			name: "a referrer of something else that the registry mixes in",
			make: func(r *repository) {
				l := r.blob(signing.MediaTypeBundle, "{1}")
				r.put(ocispec.Manifest{Subject: about(other), Layers: []ocispec.Descriptor{l}}, signing.MediaTypeBundle)
			},
		},
		{
			name: "cosign's tags, and Notation behind them",
			make: func(r *repository) {
				r.put(ocispec.Manifest{Subject: about(subject), Layers: []ocispec.Descriptor{r.blob("application/jose+json", "jws")}}, signing.MediaTypeNotation)
				for suffix, mediaType := range map[string]string{".sig": signing.MediaTypeSimpleSigning, ".att": signing.MediaTypeDSSE} {
					text, err := json.Marshal(ocispec.Manifest{Layers: []ocispec.Descriptor{r.blob(mediaType, suffix)}})
					if err != nil {
						t.Fatal(err)
					}
					r.manifests[signing.CosignTag(subject, suffix)] = text
				}
			},
			want: []string{"cosign .sig", "cosign .att", "notation jws"},
		},
		{
			name: "a layer that is not there",
			make: func(r *repository) {
				l := r.blob(signing.MediaTypeBundle, "{1}")
				delete(r.blobs, l.Digest)
				r.put(ocispec.Manifest{Subject: about(subject), Layers: []ocispec.Descriptor{l}}, signing.MediaTypeBundle)
			},
			want: []string{"bundle its bytes cannot be read: blob " + digest.FromString("{1}").String() + ": not found"},
		},
		{
			name: "a layer that is too large is not asked for",
			make: func(r *repository) {
				l := ocispec.Descriptor{MediaType: signing.MediaTypeBundle, Digest: digest.FromString("x"), Size: signing.MaxBundle + 1}
				r.put(ocispec.Manifest{Subject: about(subject), Layers: []ocispec.Descriptor{l}}, signing.MediaTypeBundle)
			},
			want: []string{fmt.Sprintf("bundle it has %d bytes, and at most %d are read", signing.MaxBundle+1, signing.MaxBundle)},
		},
		{
			name: "a layer of another size than its manifest says, by which it is counted",
			make: func(r *repository) {
				l := r.blob(signing.MediaTypeBundle, "{1}")
				l.Size = 1
				r.put(ocispec.Manifest{Subject: about(subject), Layers: []ocispec.Descriptor{l}}, signing.MediaTypeBundle)
			},
			want: []string{"bundle it has 3 bytes, and its manifest says 1"},
		},
		{
			name: "a manifest that is no JSON",
			make: func(r *repository) {
				d := r.put(ocispec.Manifest{Subject: about(subject)}, signing.MediaTypeBundle)
				r.manifests[d.String()] = []byte("<html>")
			},
			want: []string{"bundle its manifest cannot be read: invalid character '<' looking for beginning of value"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRepository()
			tt.make(r)
			found, err := signing.Find(t.Context(), r, subject)
			if err != nil {
				t.Fatalf("Find = %v", err)
			}
			var got []string
			for _, f := range found {
				got = append(got, string(f.Form)+" "+string(f.Content)+f.Problem)
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("Find differs (-want +got):\n%s", d)
			}
		})
	}
}

// Whoever may push can hang any number of signatures on a manifest.
func TestFindIsBounded(t *testing.T) {
	subject := digest.FromString("app")
	hung := func(r *repository, layers ...ocispec.Descriptor) digest.Digest {
		return r.put(ocispec.Manifest{Subject: &ocispec.Descriptor{Digest: subject}, Layers: layers}, signing.MediaTypeBundle)
	}
	large := ocispec.Descriptor{MediaType: signing.MediaTypeBundle, Digest: digest.FromString("x"), Size: signing.MaxBundle + 1}
	tests := []struct {
		name string
		make func(r *repository)
	}{
		{name: "in many referrers", make: func(r *repository) {
			for i := range 3 * signing.MaxFound {
				hung(r, r.blob(signing.MediaTypeBundle, fmt.Sprint(i)))
			}
		}},
		{name: "in one referrer, too large to be read", make: func(r *repository) { hung(r, slices.Repeat([]ocispec.Descriptor{large}, 3*signing.MaxFound)...) }},
		{name: "in manifests that cannot be read", make: func(r *repository) {
			for i := range 3 * signing.MaxFound {
				r.manifests[hung(r, r.blob(signing.MediaTypeBundle, fmt.Sprint(i))).String()] = []byte("<html>")
			}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRepository()
			tt.make(r)
			found, err := signing.Find(t.Context(), r, subject)
			if err != nil {
				t.Fatal(err)
			}
			if n := len(found); n != signing.MaxFound+1 || !strings.Contains(found[n-1].Problem, "the rest is not looked at") {
				t.Errorf("Find = %d entries, the last with problem %q; want %d and one that says there are more", n, found[n-1].Problem, signing.MaxFound)
			}
		})
	}
}

// A signature of Notation comes with what it has to be about.
func TestFindDescribesTheTarget(t *testing.T) {
	r := newRepository()
	text := []byte(`{"mediaType":"application/vnd.oci.image.manifest.v1+json","layers":[]}`)
	subject := digest.FromBytes(text)
	r.put(ocispec.Manifest{
		Subject: &ocispec.Descriptor{Digest: subject}, Layers: []ocispec.Descriptor{r.blob("application/jose+json", "jws")},
	}, signing.MediaTypeNotation)
	for _, want := range []ocispec.Descriptor{
		{}, // not there yet
		{MediaType: ocispec.MediaTypeImageManifest, Digest: subject, Size: int64(len(text))},
	} {
		found, err := signing.Find(t.Context(), r, subject)
		if err != nil || len(found) != 1 || !cmp.Equal(found[0].Target, want) {
			t.Errorf("Find = %+v, %v; want one with target %+v", found, err, want)
		}
		r.manifests[subject.String()] = text
	}
}

// A registry that answers with errors has not said that there are no signatures.
func TestFindFailsWithItsSource(t *testing.T) {
	broken := errors.New("503")
	if _, err := signing.Find(t.Context(), &repository{err: broken}, digest.FromString("app")); !errors.Is(err, broken) {
		t.Errorf("Find = %v, want the error of the source", err)
	}
}

func TestAttachment(t *testing.T) {
	subject := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.FromString("app"), Size: 3}
	text, layer, err := signing.Attachment(subject, []byte("{}"), signing.PredicateSignature)
	if err != nil {
		t.Fatal(err)
	}
	r := newRepository()
	d := digest.FromBytes(text)
	r.manifests[d.String()], r.blobs[layer.Digest] = text, []byte("{}")
	r.referrers = []ocispec.Descriptor{{ArtifactType: signing.MediaTypeBundle, Digest: d}}
	found, err := signing.Find(t.Context(), r, subject.Digest)
	if err != nil || len(found) != 1 || string(found[0].Content) != "{}" || found[0].Manifest != d {
		t.Errorf("Find = %+v, %v; want the attached bundle", found, err)
	}
	again, _, err := signing.Attachment(subject, []byte("{}"), signing.PredicateSignature)
	if err != nil || !slices.Equal(again, text) {
		t.Errorf("Attachment = %s, %v; want the same bytes as before:\n%s", again, err, text)
	}
}
