package signing_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/wreg-project/wreg/signing"
)

// A liar is a Source that answers whatever it likes.
type liar struct {
	listing  []byte // of referrers, in JSON
	referrer []byte // each of them
	tagged   []byte // the manifest of each tag
	subject  []byte
	blob     []byte // each
}

func (l liar) Referrers(context.Context, digest.Digest, int) ([]ocispec.Descriptor, error) {
	var list []ocispec.Descriptor
	if err := json.Unmarshal(l.listing, &list); err != nil {
		return nil, fmt.Errorf("%w: %w", signing.ErrNotFound, err)
	}
	return list, nil
}

func (l liar) Manifest(_ context.Context, reference string, limit int64) ([]byte, digest.Digest, error) {
	text := l.referrer
	switch {
	case strings.HasSuffix(reference, ".sig"), strings.HasSuffix(reference, ".att"):
		text = l.tagged
	case reference == fuzzed.String():
		text = l.subject
	}
	switch {
	case len(text) == 0:
		return nil, "", fmt.Errorf("manifest %s: %w", reference, signing.ErrNotFound)
	case int64(len(text)) > limit:
		return nil, "", fmt.Errorf("manifest %s: %w", reference, signing.ErrLimit)
	}
	return text, digest.Digest(reference), nil
}

func (l liar) Blob(_ context.Context, d ocispec.Descriptor, limit int64) ([]byte, error) {
	if int64(len(l.blob)) > limit {
		return nil, fmt.Errorf("blob %s: %w", d.Digest, signing.ErrLimit)
	}
	return l.blob, nil
}

// fuzzed is what everything hangs on.
var fuzzed = digest.FromString("app")

// hanging is a manifest with layers of each type.
func hanging(f *testing.F, size int64, mediaTypes ...string) []byte {
	f.Helper()
	m := ocispec.Manifest{
		MediaType: ocispec.MediaTypeImageManifest, Config: ocispec.DescriptorEmptyJSON,
		Subject: &ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: fuzzed, Size: 3},
	}
	for _, t := range mediaTypes {
		m.Layers = append(m.Layers, ocispec.Descriptor{
			MediaType: t, Digest: digest.FromString(t), Size: size, Annotations: map[string]string{signing.AnnotationSignature: "c2ln"},
		})
	}
	text, err := json.Marshal(m)
	if err != nil {
		f.Fatal(err)
	}
	return text
}

// Whatever a source answers, what is found is within the bounds, hangs on the
// subject, and has content or a problem.
func FuzzFind(f *testing.F) {
	subject := hanging(f, 3)
	for _, artifactType := range []string{signing.MediaTypeBundle, signing.MediaTypeNotation, ocispec.MediaTypeEmptyJSON, ""} {
		listing, err := json.Marshal([]ocispec.Descriptor{
			{MediaType: ocispec.MediaTypeImageManifest, ArtifactType: artifactType, Digest: digest.FromString("a"), Size: 3},
			{MediaType: ocispec.MediaTypeImageManifest, ArtifactType: artifactType, Digest: digest.FromString("b"), Size: 3},
		})
		if err != nil {
			f.Fatal(err)
		}
		layers := []string{signing.MediaTypeBundle, "application/jose+json", "application/cose", "application/vnd.dev.sigstore.bundle+json;version=0.1"}
		tagged := hanging(f, 2, signing.MediaTypeSimpleSigning, signing.MediaTypeDSSE, "text/plain")
		f.Add(listing, hanging(f, 2, layers...), tagged, subject, []byte("{}"))
		f.Add(listing, hanging(f, 9<<20, layers...), tagged, []byte("{"), []byte("{}"))
		f.Add(listing, hanging(f, -1, slices.Repeat(layers, 20)...), tagged, []byte{}, []byte{})
	}
	f.Fuzz(func(t *testing.T, listing, referrer, tagged, subject, blob []byte) {
		found, err := signing.Find(t.Context(), liar{listing, referrer, tagged, subject, blob}, fuzzed)
		if err != nil {
			t.Fatalf("Find = %v; want what cannot be read to be a problem of it", err)
		}
		if len(found) > signing.MaxFound+1 { // one says that there are more
			t.Fatalf("Find = %d signatures, want at most %d", len(found), signing.MaxFound+1)
		}
		sum := 0
		for _, one := range found {
			sum += len(one.Content)
			notation := one.Form == signing.FormNotation
			switch {
			case one.Subject != fuzzed:
				t.Fatalf("Find = %+v, want one of %s", one, fuzzed)
			case one.Content != nil && one.Problem != "", one.Content == nil && one.Problem == "" && len(blob) > 0:
				t.Fatalf("Find = %d bytes and the problem %q, want one of them", len(one.Content), one.Problem)
			case one.Target.Digest != "" && (!notation || one.Target.Digest != fuzzed || one.Target.Size != int64(len(subject))):
				t.Fatalf("Find = the target %+v, want %s of %d bytes, of Notation only", one.Target, fuzzed, len(subject))
			}
		}
		if sum > signing.MaxFoundSum {
			t.Fatalf("Find = %d bytes, want at most %d", sum, signing.MaxFoundSum)
		}
		order := []signing.Form{signing.FormBundle, signing.FormCosign, signing.FormNotation}
		if !slices.IsSortedFunc(found, func(a, b signing.Found) int { return slices.Index(order, a.Form) - slices.Index(order, b.Form) }) {
			t.Fatalf("Find = %+v, want them by form", found)
		}
	})
}
