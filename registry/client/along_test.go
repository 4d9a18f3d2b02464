package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content/memory"
	"oras.land/oras-go/v2/registry/remote/errcode"

	"github.com/wreg-project/wreg/signing"
)

// recorder passes requests on and notes to what manifests are put. Those that
// refuse names are answered by it.
type recorder struct {
	inner  http.Handler
	refuse func(r *recorder, path string, m ocispec.Manifest) (status int)

	mu  sync.Mutex
	put []string // tags and digests
}

func (rec *recorder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if _, reference, ok := strings.Cut(r.URL.Path, "/manifests/"); ok && r.Method == http.MethodPut {
		text, err := io.ReadAll(r.Body)
		var m ocispec.Manifest
		if err != nil || json.Unmarshal(text, &m) != nil {
			http.Error(w, "no manifest", http.StatusBadRequest)
			return
		}
		r.Body = io.NopCloser(strings.NewReader(string(text)))
		rec.mu.Lock()
		status := 0
		if rec.refuse != nil {
			status = rec.refuse(rec, reference, m)
		}
		if status == 0 {
			rec.put = append(rec.put, reference)
		}
		rec.mu.Unlock()
		if status != 0 {
			w.WriteHeader(status)
			fmt.Fprintf(w, `{"errors":[{"code":"DENIED","message":"refused"}]}`)
			return
		}
	}
	rec.inner.ServeHTTP(w, r)
}

// before fails the test unless a was put before b.
func (rec *recorder) before(t *testing.T, a, b string) {
	t.Helper()
	if i, j := slices.Index(rec.put, a), slices.Index(rec.put, b); i < 0 || j < 0 || i > j {
		t.Errorf("manifests were put to %q; want %s before %s", rec.put, a, b)
	}
}

// signedFamily is family with a bundle, and with cosign's tag.
func signedFamily(t *testing.T) (src memoryTarget, root, bundle ocispec.Descriptor) {
	t.Helper()
	src, root, _, _ = family(t)
	bundle, err := Attach(t.Context(), src, root, []byte(`{"bundle":1}`), signing.PredicateSignature)
	if err != nil {
		t.Fatal(err)
	}
	bundle.Annotations = map[string]string{signing.AnnotationPredicate: signing.PredicateSignature}
	src.refs[root.Digest] = append(src.refs[root.Digest], bundle)
	layerOf(t, src, root, "payload", "first")
	return src, root, bundle
}

// layerOf gives root a signature in cosign's older form.
func layerOf(t *testing.T, dst Target, root ocispec.Descriptor, payload, signature string) {
	t.Helper()
	if _, err := AttachCosign(t.Context(), dst, root.Digest, []byte(payload), map[string]string{signing.AnnotationSignature: signature}); err != nil {
		t.Fatal(err)
	}
}

// cosignSignatures are those under cosign's tag of root.
func cosignSignatures(t *testing.T, src Target, root ocispec.Descriptor) []string {
	t.Helper()
	_, m, err := cosignManifest(t.Context(), src, signing.CosignTag(root.Digest, ".sig"))
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, l := range m.Layers {
		out = append(out, l.Annotations[signing.AnnotationSignature])
	}
	return out
}

// A registry that takes only what is signed has to see signatures first.
func TestSignaturesGoBeforeThePackage(t *testing.T) {
	ctx := t.Context()
	src, root, bundle := signedFamily(t)
	for _, tags := range [][]string{{"1.0.0"}, nil} {
		rec := &recorder{inner: distributionHandler(t)}
		dst := repository(t, newClient(Options{}), serve(t, rec), "team/a")
		got, err := Copy(ctx, src, "1.0.0", dst, CopyOptions{Tags: tags, Signatures: true})
		if err != nil {
			t.Fatalf("Copy with tags %q: %v", tags, err)
		}
		if diff := cmp.Diff([]string{bundle.Digest.String()}, digests(got.Referrers)); diff != "" {
			t.Errorf("Copy took other referrers than the signature (-want +got):\n%s", diff)
		}
		last, sig := root.Digest.String(), signing.CosignTag(root.Digest, ".sig")
		if len(tags) > 0 {
			last = tags[0]
		}
		rec.before(t, bundle.Digest.String(), last)
		rec.before(t, sig, last)
		if rec.put[len(rec.put)-1] != last || len(tags) > 0 && slices.Contains(rec.put, root.Digest.String()) {
			t.Errorf("manifests were put to %q; want that of the package last, and once", rec.put)
		}
		if diff := cmp.Diff([]string{sig}, got.Tags); diff != "" {
			t.Errorf("cosign's tags (-want +got):\n%s", diff)
		}
		found, err := signing.Find(ctx, Signatures(dst), root.Digest)
		if err != nil || len(found) != 2 {
			t.Errorf("Find in the copy = %+v, %v; want the bundle and cosign's", found, err)
		}
	}
}

// Some registries refuse what refers to nothing, against the specification.
func TestARegistryThatWantsTheSubjectFirst(t *testing.T) {
	ctx := t.Context()
	src, root, bundle := signedFamily(t)
	for _, status := range []int{http.StatusBadRequest, http.StatusNotFound, http.StatusUnprocessableEntity} {
		rec := &recorder{inner: distributionHandler(t), refuse: func(r *recorder, _ string, m ocispec.Manifest) int {
			if m.Subject == nil || slices.Contains(r.put, m.Subject.Digest.String()) {
				return 0
			}
			return status
		}}
		dst := repository(t, newClient(Options{}), serve(t, rec), "team/a")
		got, err := Copy(ctx, src, "1.0.0", dst, CopyOptions{Tags: []string{"1.0.0"}, Signatures: true})
		if err != nil || len(got.Referrers) != 1 {
			t.Fatalf("after %d, Copy = %+v, %v; want it done in another order", status, got, err)
		}
		rec.before(t, root.Digest.String(), bundle.Digest.String())
		rec.before(t, bundle.Digest.String(), "1.0.0")
	}
}

// What ends before the tag leaves nothing that can be found.
func TestAFailureLeavesNoPackage(t *testing.T) {
	ctx := t.Context()
	src, root, _ := signedFamily(t)
	broken := errors.New("no key today")
	tests := []struct {
		name   string
		status int
		o      CopyOptions
	}{
		{name: "a signature that may not be there", status: http.StatusForbidden, o: CopyOptions{Signatures: true}},
		{name: "one that the registry never takes", status: http.StatusBadRequest, o: CopyOptions{Signatures: true}},
		{name: "nobody signs", o: CopyOptions{Before: func(context.Context) error { return broken }}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rec := &recorder{inner: distributionHandler(t), refuse: func(_ *recorder, _ string, m ocispec.Manifest) int {
				if m.Subject == nil {
					return 0
				}
				return tt.status
			}}
			dst := repository(t, newClient(Options{}), serve(t, rec), "team/a")
			tt.o.Tags = []string{"1.0.0"}
			_, err := Copy(ctx, src, "1.0.0", dst, tt.o)
			var answer *errcode.ErrorResponse
			refused := errors.As(err, &answer) && answer.StatusCode == tt.status
			if !refused && !errors.Is(err, broken) {
				t.Errorf("Copy = %v, want the refusal", err)
			}
			if _, err := dst.Resolve(ctx, "1.0.0"); !errors.Is(err, ErrNotFound) {
				t.Errorf("Resolve(1.0.0) = %v, want ErrNotFound", err)
			}
			if tt.status != http.StatusBadRequest && slices.Contains(rec.put, root.Digest.String()) {
				t.Errorf("manifests were put to %q; want none of the package", rec.put)
			}
		})
	}
}

// A registry writes its own reports and refuses those that say they are its.
func TestDerivedThatTheGoalRefusesIsLeftOut(t *testing.T) {
	src, _, kept, derived := family(t)
	rec := &recorder{inner: distributionHandler(t), refuse: func(_ *recorder, _ string, m ocispec.Manifest) int {
		if m.Annotations["io.wreg.derived"] != "" {
			return http.StatusForbidden
		}
		return 0
	}}
	dst := repository(t, newClient(Options{}), serve(t, rec), "team/a")
	got, err := Copy(t.Context(), src, "1.0.0", dst, CopyOptions{Tags: []string{"1.0.0"}, Referrers: true, Derived: true})
	if err != nil {
		t.Fatalf("Copy = %v, want what is refused left out", err)
	}
	if diff := cmp.Diff(digests(derived[1:]), digests(got.LeftOut)); diff != "" {
		t.Errorf("left out (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(digests(append(slices.Clone(kept), derived[0])), digests(got.Referrers)); diff != "" {
		t.Errorf("copied (-want +got):\n%s", diff)
	}
}

// Some registries list referrers by the type of their config, without annotations.
func TestReferrersAreKnownByTheirManifests(t *testing.T) {
	ctx := t.Context()
	src, root, bundle := signedFamily(t)
	for i := range src.refs[root.Digest] {
		r := &src.refs[root.Digest][i]
		r.ArtifactType, r.Annotations = ocispec.MediaTypeEmptyJSON, nil
	}
	dst := repository(t, newClient(Options{}), serve(t, distributionHandler(t)), "team/a")
	got, err := Copy(ctx, src, "1.0.0", dst, CopyOptions{Tags: []string{"1.0.0"}, Signatures: true})
	if diff := cmp.Diff([]string{bundle.Digest.String()}, digests(got.Referrers)); err != nil || diff != "" {
		t.Errorf("Copy = %v; signatures (-want +got):\n%s", err, diff)
	}
	got, err = Copy(ctx, src, "1.0.0", dst, CopyOptions{Tags: []string{"1.0.0"}, Referrers: true})
	if err != nil || len(got.LeftOut) != 2 {
		t.Errorf("Copy left out %v, %v; want the two that are derived", digests(got.LeftOut), err)
	}
}

// A copy adds signatures to those that the goal has, and never takes any away.
func TestCosignTagsAreMerged(t *testing.T) {
	ctx := t.Context()
	src, root, _ := signedFamily(t)
	layout, err := CreateLayout(ctx, filepath.Join(t.TempDir(), "layout"))
	if err != nil {
		t.Fatal(err)
	}
	for _, dst := range []Target{repository(t, newClient(Options{}), serve(t, distributionHandler(t)), "team/a"), layout} {
		layerOf(t, dst, root, "payload", "second") // of the same payload
		layerOf(t, dst, root, "payload", "second") // is there
		layerOf(t, dst, root, "other payload", "third")
		for range 2 {
			if _, err := Copy(ctx, src, "1.0.0", dst, CopyOptions{Tags: []string{"1.0.0"}, Signatures: true}); err != nil {
				t.Fatalf("Copy to %s: %v", dst, err)
			}
			if diff := cmp.Diff([]string{"second", "third", "first"}, cosignSignatures(t, dst, root)); diff != "" {
				t.Errorf("signatures in %s (-want +got):\n%s", dst, diff)
			}
		}
	}
}

// A registry whose tag never is what was written ends the attempts.
func TestATagThatAlwaysChanges(t *testing.T) {
	inner := distributionHandler(t)
	host := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, ".sig") {
			w.WriteHeader(http.StatusPreconditionFailed)
			return
		}
		inner.ServeHTTP(w, r)
	}))
	root := pkg(t, memory.New(), randomBytes(1000), nil, "", nil)
	_, err := AttachCosign(t.Context(), repository(t, newClient(Options{}), host, "a"), root.Digest, []byte("p"), nil)
	if !errors.Is(err, ErrConflict) {
		t.Errorf("AttachCosign = %v, want ErrConflict", err)
	}
}
