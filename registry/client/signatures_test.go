package client

import (
	"errors"
	"net/http"
	"path/filepath"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/wreg-project/wreg/signing"
)

// A signature is there before what it is of, in a registry with fallback tags and
// in a layout, and is found when it is there and when it is not.
func TestAttachedBeforeItsSubject(t *testing.T) {
	ctx := t.Context()
	src, root, _, _ := family(t)
	layout, err := CreateLayout(ctx, filepath.Join(t.TempDir(), "layout"))
	if err != nil {
		t.Fatal(err)
	}
	for _, dst := range []Target{repository(t, newClient(Options{}), serve(t, distributionHandler(t)), "team/a"), layout} {
		for range 2 { // the second time everything is there
			d, err := Attach(ctx, dst, root, []byte(`{"a":1}`), signing.PredicateSignature)
			if err != nil {
				t.Fatalf("Attach to %s: %v", dst, err)
			}
			found, err := signing.Find(ctx, Signatures(dst), root.Digest)
			if err != nil || len(found) != 1 || found[0].Manifest != d.Digest || string(found[0].Content) != `{"a":1}` {
				t.Errorf("Find in %s = %+v, %v; want the bundle in %s", dst, found, err, d.Digest)
			}
			if _, err := Copy(ctx, src, "1.0.0", dst, CopyOptions{Tags: []string{"1.0.0"}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	again, err := OpenLayout(ctx, layout.dir)
	if err != nil {
		t.Fatal(err)
	}
	if found, err := signing.Find(ctx, Signatures(again), root.Digest); err != nil || len(found) != 1 {
		t.Errorf("Find in the layout that is opened again = %+v, %v; want one bundle", found, err)
	}
}

// What a registry does not tell is not taken for what there is not.
func TestSignaturesTellAbsentFromUnknown(t *testing.T) {
	ctx, d := t.Context(), digest.FromString("app")
	for status, absent := range map[int]bool{http.StatusNotFound: true, http.StatusForbidden: false, http.StatusNotImplemented: false} {
		host := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
		src := Signatures(repository(t, newClient(Options{}), host, "team/a"))
		if _, _, err := src.Manifest(ctx, "1.0.0", 100); errors.Is(err, signing.ErrNotFound) != absent || err == nil {
			t.Errorf("after %d, Manifest = %v; want ErrNotFound: %t", status, err, absent)
		}
		if _, err := src.Blob(ctx, ocispec.Descriptor{Digest: d, Size: 3}, 100); errors.Is(err, signing.ErrNotFound) != absent || err == nil {
			t.Errorf("after %d, Blob = %v; want ErrNotFound: %t", status, err, absent)
		}
		if found, err := signing.Find(ctx, src, d); (err == nil) != absent {
			t.Errorf("after %d, Find = %v, %v; want an error: %t", status, found, err, !absent)
		}
	}
	src := Signatures(repository(t, newClient(Options{}), "127.0.0.1:1", "team/a"))
	if _, err := src.Blob(ctx, ocispec.Descriptor{Digest: d, Size: 101}, 100); !errors.Is(err, signing.ErrLimit) {
		t.Errorf("Blob of 101 bytes with a limit of 100 = %v, want ErrLimit", err)
	}
	if _, err := src.Blob(ctx, ocispec.Descriptor{Digest: "sha256:../../x", Size: 1}, 100); !errors.Is(err, signing.ErrNotFound) {
		t.Errorf("Blob with a digest that is none = %v, want ErrNotFound", err)
	}
}
