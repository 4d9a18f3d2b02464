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
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content/memory"
)

// memoryTarget is a source with referrers.
type memoryTarget struct {
	*memory.Store
	refs map[digest.Digest][]ocispec.Descriptor
}

func (m memoryTarget) Untag(context.Context, string) error { return errors.ErrUnsupported }

func (m memoryTarget) Delete(context.Context, ocispec.Descriptor) error { return errors.ErrUnsupported }

func (m memoryTarget) Tags(context.Context, string, func([]string) error) error {
	return errors.ErrUnsupported
}
func (m memoryTarget) String() string { return "memory" }
func (m memoryTarget) Referrers(_ context.Context, d ocispec.Descriptor, _ string, fn func([]ocispec.Descriptor) error) error {
	return fn(m.refs[d.Digest])
}

// family is a package with a signature, a signature of the signature, and two
// derived referrers.
func family(t *testing.T) (src memoryTarget, root ocispec.Descriptor, kept, derived []ocispec.Descriptor) {
	t.Helper()
	m := memoryTarget{Store: memory.New(), refs: map[digest.Digest][]ocispec.Descriptor{}}
	root = pkg(t, m.Store, randomBytes(100000), nil, "", nil)
	refer := func(to ocispec.Descriptor, content, artifactType string, annotations map[string]string) ocispec.Descriptor {
		d := pkg(t, m.Store, []byte(content), &to, artifactType, annotations)
		d.ArtifactType, d.Annotations = artifactType, annotations
		m.refs[to.Digest] = append(m.refs[to.Digest], d)
		return d
	}
	sig := refer(root, "signature", "application/vnd.example.signature", nil)
	counter := refer(sig, "countersignature", "application/vnd.example.signature", nil)
	report := refer(root, "report", "application/vnd.wreg.report.v1+json", nil)
	sbom := refer(root, "sbom", "application/vnd.cyclonedx+json", map[string]string{"io.wreg.derived": "sbom"})
	if err := m.Tag(t.Context(), root, "1.0.0"); err != nil {
		t.Fatal(err)
	}
	return m, root, []ocispec.Descriptor{sig, counter}, []ocispec.Descriptor{report, sbom}
}

func digests(ds []ocispec.Descriptor) []string {
	var out []string
	for _, d := range ds {
		out = append(out, d.Digest.String())
	}
	slices.Sort(out)
	return out
}

// A package goes with its referrers from memory to a registry without the
// referrers API, to a layout, to another registry, and nothing of it is lost.
func TestCopyKeepsReferrers(t *testing.T) {
	ctx := t.Context()
	src, root, kept, derived := family(t)
	c := newClient(Options{})
	host := serve(t, distributionHandler(t))
	layout, err := CreateLayout(ctx, filepath.Join(t.TempDir(), "layout"))
	if err != nil {
		t.Fatal(err)
	}
	stations := []Target{
		src, repository(t, c, host, "team/a"), layout, repository(t, c, serve(t, distributionHandler(t)), "team/b"),
		repository(t, c, host, "team/other"),
	}
	for i, dst := range stations[1:] {
		from := stations[i]
		got, err := Copy(ctx, from, "1.0.0", dst, CopyOptions{Tags: []string{"1.0.0", "latest"}, Referrers: true})
		if err != nil {
			t.Fatalf("Copy from %s to %s: %v", from, dst, err)
		}
		if diff := cmp.Diff(digests(kept), digests(got.Referrers)); diff != "" {
			t.Errorf("referrers copied from %s (-want +got):\n%s", from, diff)
		}
		if i == 0 {
			if diff := cmp.Diff(digests(derived), digests(got.LeftOut)); diff != "" {
				t.Errorf("left out (-want +got):\n%s", diff)
			}
		}
		for _, tag := range []string{"1.0.0", "latest"} {
			if d, err := dst.Resolve(ctx, tag); err != nil || d.Digest != root.Digest {
				t.Errorf("%s of %s is %s, %v; want %s", tag, dst, d.Digest, err, root.Digest)
			}
		}
		sigs, err := ReferrersOf(ctx, dst, root, "application/vnd.example.signature")
		if err != nil || len(sigs) != 1 || sigs[0].Digest != kept[0].Digest {
			t.Errorf("signatures in %s: %v, %v; want %s", dst, digests(sigs), err, kept[0].Digest)
		}
	}
}

func TestCopyMountsWithinARegistry(t *testing.T) {
	ctx := t.Context()
	src, _, _, _ := family(t)
	var patches, posts []string
	inner := distributionHandler(t)
	host := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			posts = append(posts, r.URL.RequestURI())
		}
		if r.Method == http.MethodPatch || r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/blobs/") {
			patches = append(patches, r.URL.Path)
		}
		inner.ServeHTTP(w, r)
	}))
	c := newClient(Options{})
	a, b := repository(t, c, host, "team/a"), repository(t, c, host, "team/b")
	first, err := Copy(ctx, src, "1.0.0", a, CopyOptions{Tags: []string{"1.0.0"}, Concurrency: 1})
	if err != nil {
		t.Fatal(err)
	}
	posts, patches = nil, nil
	second, err := Copy(ctx, a, "1.0.0", b, CopyOptions{Tags: []string{"1.0.0"}, Concurrency: 1})
	if err != nil {
		t.Fatal(err)
	}
	if len(patches) != 0 || len(posts) != 2 || !strings.Contains(posts[0], "from=team%2Fa") {
		t.Errorf("uploads %q, posts %q; want no upload and two mounts", patches, posts)
	}
	if first.Moved < 100000 || second.Moved > 2000 || second.Present < 100000 {
		t.Errorf("moved %d then %d bytes, present %d; want all, then the manifest alone", first.Moved, second.Moved, second.Present)
	}
}

// The second copy of the same package moves nothing.
// A registry that judges manifests has to know under which tag each one comes.
func TestAManifestGoesOnceWithItsTag(t *testing.T) {
	tests := []struct {
		name string
		tags []string
		want []string
	}{
		{"one tag", []string{"1.0.0"}, []string{"/v2/a/manifests/1.0.0"}},
		{"two tags", []string{"1.0.0", "latest"}, []string{"/v2/a/manifests/1.0.0", "/v2/a/manifests/latest"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			src, root, _, _ := family(t)
			inner := distributionHandler(t)
			var mu sync.Mutex
			var got []string
			host := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/manifests/") {
					mu.Lock()
					got = append(got, r.URL.Path)
					mu.Unlock()
				}
				inner.ServeHTTP(w, r)
			}))
			dst := repository(t, newClient(Options{}), host, "a")
			out, err := Copy(t.Context(), src, "1.0.0", dst, CopyOptions{Tags: tt.tags})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("manifests were put to (-want +got):\n%s", diff)
			}
			if out.Moved <= 100000+root.Size || out.Present != 0 {
				t.Errorf("Copy moved %d bytes and found %d; the layer has 100000, the manifest %d", out.Moved, out.Present, root.Size)
			}
		})
	}
}

func TestCopyAgainMovesNothing(t *testing.T) {
	src, _, _, _ := family(t)
	r := repository(t, newClient(Options{}), serve(t, distributionHandler(t)), "team/a")
	for i, want := range []bool{true, false} {
		got, err := Copy(t.Context(), src, "1.0.0", r, CopyOptions{Tags: []string{"1.0.0"}})
		if err != nil {
			t.Fatal(err)
		}
		if (got.Moved > 0) != want {
			t.Errorf("copy %d moved %d bytes", i+1, got.Moved)
		}
	}
}

func TestCopyTakesTheReferrersOfAnIndexsManifests(t *testing.T) {
	ctx := t.Context()
	src, child, kept, _ := family(t)
	index := ocispec.Index{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex,
		Manifests: []ocispec.Descriptor{bare(child)},
	}
	b, err := json.Marshal(index)
	if err != nil {
		t.Fatal(err)
	}
	root := describe(ocispec.MediaTypeImageIndex, b)
	if err := src.Push(ctx, root, strings.NewReader(string(b))); err != nil {
		t.Fatal(err)
	}
	layout, err := CreateLayout(ctx, filepath.Join(t.TempDir(), "layout"))
	if err != nil {
		t.Fatal(err)
	}
	if err := src.Tag(ctx, root, "all"); err != nil {
		t.Fatal(err)
	}
	got, err := Copy(ctx, src, "all", layout, CopyOptions{Referrers: true})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(digests(kept), digests(got.Referrers)); diff != "" {
		t.Errorf("referrers (-want +got):\n%s", diff)
	}
}

func TestDeleteAndUntag(t *testing.T) {
	ctx := t.Context()
	src, root, _, _ := family(t)
	layout, err := CreateLayout(ctx, filepath.Join(t.TempDir(), "layout"))
	if err != nil {
		t.Fatal(err)
	}
	for _, dst := range []Target{repository(t, newClient(Options{}), serve(t, distributionHandler(t)), "team/a"), layout} {
		if _, err := Copy(ctx, src, "1.0.0", dst, CopyOptions{Tags: []string{"1.0.0", "latest"}}); err != nil {
			t.Fatal(err)
		}
		if err := dst.Untag(ctx, "latest"); err != nil {
			t.Errorf("Untag(latest) in %s: %v", dst, err)
		}
		if _, err := dst.Resolve(ctx, "latest"); !errors.Is(err, ErrNotFound) {
			t.Errorf("Resolve(latest) in %s: %v, want ErrNotFound", dst, err)
		}
		if err := dst.Untag(ctx, "latest"); !errors.Is(err, ErrNotFound) {
			t.Errorf("second Untag(latest) in %s: %v, want ErrNotFound", dst, err)
		}
		if err := dst.Delete(ctx, root); err != nil {
			t.Errorf("Delete in %s: %v", dst, err)
		}
		if _, err := dst.Resolve(ctx, "1.0.0"); !errors.Is(err, ErrNotFound) {
			t.Errorf("Resolve(1.0.0) in %s: %v, want ErrNotFound", dst, err)
		}
	}
}

func TestLayoutIsNotMadeByReading(t *testing.T) {
	dir := t.TempDir()
	if _, err := OpenLayout(t.Context(), dir); !errors.Is(err, ErrNotFound) {
		t.Errorf("OpenLayout of an empty folder: %v, want ErrNotFound", err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) > 0 {
		t.Errorf("it left %q", left)
	}
	full := filepath.Dir(dir)
	if _, err := CreateLayout(t.Context(), full); err == nil {
		t.Error("CreateLayout in a folder with other files: no error")
	}
}

// pages serves an endless listing.
func pages(key, entry string) http.HandlerFunc {
	page, err := json.Marshal(map[string][]string{key: {entry}})
	if err != nil {
		panic(err)
	}
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", fmt.Sprintf("<%s?last=x>; rel=\"next\"", r.URL.Path))
		w.Write(page)
	}
}

func TestListingsAreBounded(t *testing.T) {
	hugeList := func(key string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, `{%q:["a"`, key)
			for range 10 << 10 {
				if _, err := io.WriteString(w, strings.Repeat(`,"aaaaaaa"`, 1000)); err != nil {
					return
				}
			}
			io.WriteString(w, "]}")
		}
	}
	tests := []struct {
		name    string
		handler http.HandlerFunc
		list    func(*Client, string) error
		want    string
	}{
		{"endless tags", pages("tags", "a"), listTags, "exceeded 1000 pages"},
		{"endless repositories", pages("repositories", "a"), listRepositories, "more than 1000 pages"},
		{"a page of tags without end", hugeList("tags"), listTags, "unexpected EOF"},
		{"a page of repositories without end", hugeList("repositories"), listRepositories, "unexpected EOF"},
		{"tags for a terminal", pages("tags", "\x1b[2Jgone"), listTags, "invalid answer: invalid tag"},
		{"repositories for a shell", pages("repositories", "../../x"), listRepositories, "invalid answer: invalid repository name"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.list(newClient(Options{}), serve(t, tt.handler))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q in it", err, tt.want)
			}
		})
	}
}

func listTags(c *Client, host string) error {
	r, err := c.Repository(host, "a")
	if err != nil {
		return err
	}
	_, err = TagsOf(context.Background(), r)
	return err
}

func listRepositories(c *Client, host string) error {
	return c.Repositories(context.Background(), host, "", func([]string) error { return nil })
}

func TestManifestIsBounded(t *testing.T) {
	d := digest.FromString("manifest")
	tests := []struct {
		name    string
		handler http.HandlerFunc
		want    error
	}{
		{
			"one that says it is huge",
			func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Length", "1099511627776")
				w.Header().Set("Content-Type", ocispec.MediaTypeImageManifest)
				w.Header().Set("Docker-Content-Digest", d.String())
			},
			ErrTooLarge,
		},
		{
			"one that is another",
			func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Length", "5")
				w.Header().Set("Content-Type", ocispec.MediaTypeImageManifest)
				w.Header().Set("Docker-Content-Digest", d.String())
				if r.Method == http.MethodGet {
					io.WriteString(w, "other")
				}
			},
			ErrDigest,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := repository(t, newClient(Options{}), serve(t, tt.handler), "a")
			d, err := r.Resolve(t.Context(), "1.0.0")
			var b []byte
			if err == nil {
				b, err = ReadAll(t.Context(), r, d, MaxManifest)
			}
			if !errors.Is(err, tt.want) || b != nil {
				t.Errorf("Resolve and ReadAll: %d bytes, %v; want %v", len(b), err, tt.want)
			}
		})
	}
}

func TestLocate(t *testing.T) {
	tests := []struct {
		name    string
		handler http.HandlerFunc
		host    string // "" is the one asked
		repo    string
		err     error
	}{
		{name: "a registry that says nothing", handler: http.NotFound, repo: "ns/name"},
		{
			name:    "another host with a prefix",
			handler: answers(`{"preferredProtocol":"oci","oci":{"registry":"example.org:5000","namespacePrefix":"team/"}}`),
			host:    "example.org:5000", repo: "team/ns/name",
		},
		{
			name:    "in the old form",
			handler: answers(`{"ociRegistry":"example.org","ociNamespacePrefix":"team/"}`),
			host:    "example.org", repo: "team/ns/name",
		},
		{name: "nothing of OCI", handler: answers(`{}`), repo: "ns/name"},
		{name: "nonsense", handler: answers(`[`), err: ErrAnswer},
		{name: "a host that is none", handler: answers(`{"oci":{"registry":"a/b@c"}}`), err: ErrAnswer},
		{name: "too much", handler: answers(strings.Repeat(" ", maxWellKnown) + "{}"), err: ErrTooLarge},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			asked := serve(t, tt.handler)
			if tt.host == "" {
				tt.host = asked
			}
			host, repo, err := newClient(Options{}).Locate(t.Context(), asked, "ns", "name")
			if !errors.Is(err, tt.err) {
				t.Fatalf("Locate: %v, want %v", err, tt.err)
			}
			if err == nil && (host != tt.host || repo != tt.repo) {
				t.Errorf("Locate = %s, %s; want %s, %s", host, repo, tt.host, tt.repo)
			}
		})
	}
}

func answers(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/.well-known/wasm-pkg/registry.json" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, body)
	}
}
