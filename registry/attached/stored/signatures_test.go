package stored_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/wreg-project/wreg/registry"
	"github.com/wreg-project/wreg/registry/attached/stored"
	"github.com/wreg-project/wreg/signing"
	"github.com/wreg-project/wreg/storage/blob"
	"github.com/wreg-project/wreg/storage/meta"
)

func (e *env) signatures() stored.Signatures {
	return stored.Signatures{Meta: e.db, Blobs: e.repo.Blobs, Name: e.repo.Name, Producer: "here"}
}

// find gives the contents of what is found, or why they cannot be read.
func (e *env) find(subject digest.Digest) []string {
	e.Helper()
	found, err := signing.Find(e.Context(), e.signatures(), subject)
	if err != nil {
		e.Fatalf("Find() = %v", err)
	}
	var list []string
	for _, f := range found {
		list = append(list, string(f.Form)+" "+string(f.Content)+f.Problem)
	}
	return list
}

// Signatures are found before the manifest that they are about, behind many other
// referrers and by cosign's tags; those that policy holds back are not.
func TestSignatures(t *testing.T) {
	e := open(t)
	subject := digest.FromString("not pushed yet")
	for i := range 40 {
		e.push(subject, "application/vnd.cyclonedx+json", bom(i))
	}
	denied := e.push(subject, signing.MediaTypeBundle, "{1}")
	e.push(subject, signing.MediaTypeBundle, "{2}")
	legacy := e.push("", signing.MediaTypeSimpleSigning, "{3}")
	err := e.db.Update(e.Context(), func(ctx context.Context, tx meta.Tx) error {
		if err := tx.PutTag(ctx, e.repo.Name, signing.CosignTag(subject, ".sig"), legacy, time.Now()); err != nil {
			return err
		}
		return tx.SetVerdict(ctx, e.repo.Name, denied, meta.Verdict{State: meta.VerdictDeny})
	})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := e.find(subject), []string{"bundle {2}", "cosign {3}"}; !slices.Equal(got, want) {
		t.Errorf("found %q, want %q", got, want)
	}
	if got := e.find(digest.FromString("other")); len(got) > 0 {
		t.Errorf("found %q of another manifest", got)
	}
}

// What this installation derived is no reason for what it derives; what another
// one did is like anybody's.
func TestSignaturesLeaveOutWhatWasDerivedHere(t *testing.T) {
	e := open(t)
	m, err := e.db.Manifest(e.Context(), e.repo.Name, e.push("", "application/vnd.example", "package"))
	if err != nil {
		t.Fatal(err)
	}
	for _, producer := range []string{"here", "elsewhere"} {
		l := registry.DerivedLayer{Descriptor: registry.Descriptor{MediaType: signing.MediaTypeBundle, Digest: digest.FromString("{}"), Size: 2}}
		_, err := e.reg.PutDerived(e.Context(), registry.Derived{
			Repo: e.repo.Name, Subject: m, ArtifactType: signing.MediaTypeBundle, Producer: producer, Kind: "vsa",
			Layers: []registry.DerivedLayer{l},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	found, err := signing.Find(e.Context(), e.signatures(), m.Digest)
	if err != nil || len(found) != 1 {
		t.Fatalf("Find() = %+v, %v; want one", found, err)
	}
	text, _, err := e.signatures().Manifest(e.Context(), found[0].Manifest.String(), 1<<20)
	if err != nil || !strings.Contains(string(text), "elsewhere") {
		t.Errorf("found %s, %v; want what is derived elsewhere", text, err)
	}
}

func TestSignaturesAreBounded(t *testing.T) {
	e := open(t)
	d := e.push("", "application/vnd.example", "12345")
	s := e.signatures()
	layer := ocispec.Descriptor{Digest: digest.FromString("12345")}
	if text, err := s.Blob(t.Context(), layer, 5); err != nil || string(text) != "12345" {
		t.Errorf("Blob() = %q, %v; want 12345", text, err)
	}
	if _, err := s.Blob(t.Context(), layer, 4); !errors.Is(err, signing.ErrLimit) {
		t.Errorf("Blob() of five bytes with a limit of four = %v, want ErrLimit", err)
	}
	if _, _, err := s.Manifest(t.Context(), d.String(), 10); !errors.Is(err, signing.ErrLimit) {
		t.Errorf("Manifest() with a limit of ten bytes = %v, want ErrLimit", err)
	}
	if _, _, err := s.Manifest(t.Context(), "no-such-tag", 10); !errors.Is(err, signing.ErrNotFound) {
		t.Errorf("Manifest() of no tag = %v, want ErrNotFound", err)
	}
	b, err := e.db.Blob(t.Context(), e.repo.Name, layer.Digest)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.repo.Blobs.Delete(t.Context(), blob.Key{Digest: b.Digest, Generation: b.Generation}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Blob(t.Context(), layer, 5); !errors.Is(err, signing.ErrNotFound) {
		t.Errorf("Blob() whose bytes are gone = %v, want ErrNotFound", err)
	}
}
