package load

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// Check reads keys back from a registry that nothing else writes to, and
// returns what is wrong: values that the ledger does not allow, content that
// does not match its digest, tags and manifests whose graph is not complete,
// listings that do not say what is there. What it saw, it settles in the
// ledger. Before it, [Ledger.Stop] tells the ledger about the crash.
func Check(ctx context.Context, c *Client, keys []Key) []string {
	k := &checker{client: c, blobs: map[Key]bool{}, manifests: map[Key]*seen{}, found: map[Key]string{}}
	for _, key := range keys {
		k.key(ctx, key)
	}
	k.listings(ctx, keys)
	if len(k.wrong) == 0 {
		for key, value := range k.found {
			c.Ledger.Settle(key, value)
		}
	}
	return k.wrong
}

type checker struct {
	client    *Client
	blobs     map[Key]bool  // whether it is there and right
	manifests map[Key]*seen // likewise, nil if not
	found     map[Key]string
	wrong     []string
}

// seen is a manifest that was read, or what a tag led to.
type seen struct {
	digest    digest.Digest
	Config    *v1.Descriptor  `json:"config"`
	Layers    []v1.Descriptor `json:"layers"`
	Manifests []v1.Descriptor `json:"manifests"`
	Subject   *v1.Descriptor  `json:"subject"`
}

func (k *checker) problem(format string, args ...any) {
	if len(k.wrong) < 20 {
		k.wrong = append(k.wrong, fmt.Sprintf(format, args...))
	}
}

func (k *checker) key(ctx context.Context, key Key) {
	value := Absent
	switch key.Kind {
	case Blob:
		if k.blob(ctx, key, false) {
			value = key.Name
		}
	case Manifest, Tag:
		if m := k.manifest(ctx, key, false); m != nil {
			value = string(m.digest)
			k.graph(ctx, key, m)
		}
	}
	k.found[key] = value
	if allowed := k.client.Ledger.Allowed(key); !slices.Contains(allowed, value) {
		k.problem("%s is %s, want %s", key, name(value), strings.Join(names(allowed), " or "))
	}
}

func name(value string) string {
	if value == Absent {
		return "absent"
	}
	return value
}

func names(values []string) []string {
	all := make([]string, len(values))
	for i, v := range values {
		all[i] = name(v)
	}
	return all
}

// get reads key; false means that it is absent.
func (k *checker) get(ctx context.Context, key Key) (response, bool) {
	kind := "/manifests/"
	if key.Kind == Blob {
		kind = "/blobs/"
	}
	path := "/v2/" + key.Repo + kind + key.Name
	got, err := k.client.do(ctx, request{method: http.MethodGet, path: path, want: []int{http.StatusOK, http.StatusNotFound}})
	if err != nil {
		k.problem("GET %s: %v (%d %.200s)", path, err, got.status, got.body)
		return got, false
	}
	return got, got.status == http.StatusOK
}

// blob reports whether a blob is served; with needed its absence is a problem.
func (k *checker) blob(ctx context.Context, key Key, needed bool) bool {
	there, known := k.blobs[key]
	if !known {
		var got response
		got, there = k.get(ctx, key)
		if d := digest.Digest(key.Name); there && d.Algorithm().FromBytes(got.body) != d {
			k.problem("%s is served with other content: %d bytes of digest %s", key, len(got.body), d.Algorithm().FromBytes(got.body))
		}
		k.blobs[key] = there
	}
	if needed && !there {
		k.problem("%s is missing", key)
	}
	return there
}

// manifest reads a manifest by digest or tag, nil if it is absent.
func (k *checker) manifest(ctx context.Context, key Key, needed bool) *seen {
	m, known := k.manifests[key]
	if !known {
		if got, there := k.get(ctx, key); there {
			m = k.parse(key, got)
		}
		k.manifests[key] = m
	}
	if needed && m == nil {
		k.problem("%s is missing", key)
	}
	return m
}

func (k *checker) parse(key Key, got response) *seen {
	m := &seen{digest: digest.FromBytes(got.body)}
	if key.Kind == Manifest && key.Name != string(m.digest) {
		k.problem("%s is served with other content: %d bytes of digest %s", key, len(got.body), m.digest)
	}
	if d := got.header.Get("Docker-Content-Digest"); d != string(m.digest) {
		k.problem("%s: Docker-Content-Digest is %q, the content's is %s", key, d, m.digest)
	}
	if err := json.Unmarshal(got.body, m); err != nil {
		k.problem("%s: %v", key, err)
	}
	return m
}

// graph follows a manifest to all that it needs.
func (k *checker) graph(ctx context.Context, from Key, m *seen) {
	before := len(k.wrong)
	if from.Kind == Tag {
		k.manifest(ctx, Key{Manifest, from.Repo, string(m.digest)}, true)
	}
	if m.Config != nil {
		k.blob(ctx, Key{Blob, from.Repo, string(m.Config.Digest)}, true)
	}
	for _, l := range m.Layers {
		k.blob(ctx, Key{Blob, from.Repo, string(l.Digest)}, true)
	}
	for _, d := range m.Manifests {
		child := Key{Manifest, from.Repo, string(d.Digest)}
		if c := k.manifest(ctx, child, true); c != nil {
			k.graph(ctx, child, c) // ends: a digest cannot contain itself
		}
	}
	if len(k.wrong) > before {
		k.problem("%s, digest %s, is not complete", from, m.digest)
	}
}

// listings compares tag lists and referrers with what the keys gave.
func (k *checker) listings(ctx context.Context, keys []Key) {
	type subject struct {
		repo   string
		digest digest.Digest
	}
	tags := map[string]map[string]bool{}
	referrers := map[subject]map[string]bool{}
	repos := map[string]bool{}
	for _, key := range keys {
		if m := k.manifests[key]; key.Kind == Manifest && m != nil && m.Subject != nil {
			s := subject{key.Repo, m.Subject.Digest}
			if referrers[s] == nil {
				referrers[s] = k.referrers(ctx, s.repo, s.digest)
			}
			if !referrers[s][key.Name] {
				k.problem("%s is not listed among the referrers of %s", key, s.digest)
			}
		}
		if key.Kind != Tag {
			continue
		}
		if !repos[key.Repo] {
			repos[key.Repo] = true
			tags[key.Repo] = k.tags(ctx, key.Repo)
		}
		if there := k.found[key] != Absent; there != tags[key.Repo][key.Name] {
			k.problem("%s: served %v, listed %v", key, there, tags[key.Repo][key.Name])
		}
	}
	for s, listed := range referrers {
		for d := range listed {
			k.manifest(ctx, Key{Manifest, s.repo, d}, true)
		}
	}
	for repo, listed := range tags {
		for t := range listed {
			if key := (Key{Tag, repo, t}); k.client.Ledger.Allowed(key)[0] == Absent && len(k.client.Ledger.Allowed(key)) == 1 {
				k.problem("%s is listed, but was never pushed or is deleted", key)
			}
		}
	}
}

// pages follows a listing over its pages, of which there are at most 1,000.
func (k *checker) pages(ctx context.Context, path string, each func([]byte) error) {
	for range 1000 {
		got, err := k.client.do(ctx, request{method: http.MethodGet, path: path, want: []int{http.StatusOK, http.StatusNotFound}})
		if err == nil && got.status == http.StatusOK {
			err = each(got.body)
		}
		if err != nil {
			k.problem("GET %s: %v", path, err)
			return
		}
		next, _, ok := strings.Cut(strings.TrimPrefix(got.header.Get("Link"), "<"), ">")
		if !ok {
			return
		}
		path = next
	}
	k.problem("GET %s: more than 1,000 pages", path)
}

func (k *checker) tags(ctx context.Context, repo string) map[string]bool {
	all := map[string]bool{}
	k.pages(ctx, "/v2/"+repo+"/tags/list", func(b []byte) error {
		var list struct {
			Tags []string `json:"tags"`
		}
		err := json.Unmarshal(b, &list)
		for _, t := range list.Tags {
			all[t] = true
		}
		return err
	})
	return all
}

func (k *checker) referrers(ctx context.Context, repo string, d digest.Digest) map[string]bool {
	all := map[string]bool{}
	k.pages(ctx, "/v2/"+repo+"/referrers/"+url.PathEscape(string(d)), func(b []byte) error {
		var list v1.Index
		err := json.Unmarshal(b, &list)
		for _, m := range list.Manifests {
			all[string(m.Digest)] = true
		}
		return err
	})
	return all
}
