package client

import (
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"
	"oras.land/oras-go/v2/content/memory"

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

// Many who copy one package into one layout and sign it alike do not get in each
// other's way: one finishes while another is about to write.
func TestManyWriteOneLayout(t *testing.T) {
	ctx := t.Context()
	src, root, _, _ := family(t)
	layout, err := CreateLayout(ctx, filepath.Join(t.TempDir(), "layout"))
	if err != nil {
		t.Fatal(err)
	}
	var all errgroup.Group
	for range 8 {
		all.Go(func() error {
			for n := range 20 {
				if _, err := Copy(ctx, src, "1.0.0", layout, CopyOptions{Tags: []string{"1.0.0"}}); err != nil {
					return err
				}
				if _, err := Attach(ctx, layout, root, fmt.Appendf(nil, `{"a":%d}`, n), signing.PredicateSignature); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := all.Wait(); err != nil {
		t.Errorf("Copy and Attach, eight at a time: %v", err)
	}
	if found, err := signing.Find(ctx, Signatures(layout), root.Digest); err != nil || len(found) != 20 {
		t.Errorf("Find = %d bundles, %v; want 20", len(found), err)
	}
	if half, err := filepath.Glob(filepath.Join(layout.ingest(), "*")); err != nil || len(half) > 0 {
		t.Errorf("Glob of unfinished files = %v, %v; want none", half, err)
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

func TestSignaturesErrors(t *testing.T) {
	ctx := t.Context()
	remote := repository(t, newClient(Options{}), serve(t, distributionHandler(t)), "team/a")
	root := pkg(t, memory.New(), randomBytes(1000), nil, "", nil)
	if _, err := Attach(ctx, remote, root, []byte(strings.Repeat("x", 100)), signing.PredicateSignature); err != nil {
		t.Fatal(err)
	}
	s := Signatures(remote)
	list, err := s.Referrers(ctx, root.Digest, 10)
	if err != nil || len(list) != 1 {
		t.Fatalf("Referrers = %v, %v; want one", list, err)
	}
	blob := func(size int64, text string, limit int64) error {
		_, err := s.Blob(ctx, ocispec.Descriptor{Digest: digest.FromString(text), Size: size}, limit)
		return err
	}
	manifest := func(reference string, limit int64) error {
		_, _, err := s.Manifest(ctx, reference, limit)
		return err
	}
	tests := []struct {
		name string
		got  error
		want error
	}{
		{name: "a blob that is as it should be", got: blob(100, strings.Repeat("x", 100), 100)},
		{name: "a blob beyond the limit", got: blob(100, strings.Repeat("x", 100), 99), want: signing.ErrLimit},
		{name: "a blob of another size than its descriptor says", got: blob(99, strings.Repeat("x", 100), 1000), want: signing.ErrFormat},
		{name: "a blob that is not there", got: blob(3, "abc", 1000), want: signing.ErrNotFound},
		{name: "a manifest by digest", got: manifest(list[0].Digest.String(), 1<<20)},
		{name: "a manifest beyond the limit", got: manifest(list[0].Digest.String(), 10), want: signing.ErrLimit},
		{name: "a tag that is not there", got: manifest("sha256-abc.sig", 1<<20), want: signing.ErrNotFound},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if !errors.Is(tt.got, tt.want) {
				t.Errorf("got %v, want %v", tt.got, tt.want)
			}
		})
	}
}

// A registry that is down has not said that there are no signatures.
func TestSignaturesOfARegistryThatFails(t *testing.T) {
	host := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }))
	remote := repository(t, newClient(Options{}), host, "team/a")
	if found, err := signing.Find(t.Context(), Signatures(remote), digest.FromString("app")); err == nil || errors.Is(err, signing.ErrNotFound) {
		t.Errorf("Find = %v, %v; want the registry's refusal", found, err)
	}
}

// A registry that answers with another manifest than it was asked for is found out.
func TestSignaturesChecksDigests(t *testing.T) {
	other := `{"schemaVersion":2}`
	host := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", ocispec.MediaTypeImageManifest)
		if _, err := w.Write([]byte(other)); err != nil {
			t.Error(err)
		}
	}))
	s := Signatures(repository(t, newClient(Options{}), host, "team/a"))
	if _, _, err := s.Manifest(t.Context(), digest.FromString("asked for").String(), 1<<20); err == nil {
		t.Errorf("Manifest = nil, want an error")
	}
}
