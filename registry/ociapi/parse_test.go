package ociapi

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/artifact/ref"
)

func TestParse(t *testing.T) {
	d := digest.FromString("x")
	tests := []struct {
		name, method, path string
		want               call
	}{
		{"the base", "GET", "/v2/", call{end: "end-1"}},
		{"a blob", "GET", "/v2/a/blobs/" + d.String(), call{end: "end-2", repo: "a", digest: d}},
		{"a name with slashes", "HEAD", "/v2/a/b/c/manifests/x", call{end: "end-3", repo: "a/b/c"}},
		{"an upload to begin", "POST", "/v2/a/blobs/uploads/", call{end: "end-4", repo: "a"}},
		{"the same without its slash", "POST", "/v2/a/b/blobs/uploads", call{end: "end-4", repo: "a/b"}},
		{"an upload", "PATCH", "/v2/a/blobs/uploads/ID", call{end: "end-5", repo: "a", upload: "ID"}},
		{"an upload of a name with the words", "PUT", "/v2/a/blobs/uploads/blobs/uploads/ID", call{end: "end-6", repo: "a/blobs/uploads", upload: "ID"}},
		{"tags", "GET", "/v2/tags/list/tags/list", call{end: "end-8", repo: "tags/list"}},
		{"referrers", "GET", "/v2/a/referrers/" + d.String(), call{end: "end-12", repo: "a", digest: d}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parse(tt.method, tt.path)
			if err != nil {
				t.Fatalf("parse(%s, %s) = %v", tt.method, tt.path, err)
			}
			if got.end != tt.want.end || got.repo != tt.want.repo || got.digest != tt.want.digest || got.upload != tt.want.upload {
				t.Errorf("parse(%s, %s) = %+v, want %+v", tt.method, tt.path, got, tt.want)
			}
			if got.serve == nil || got.action == "" {
				t.Errorf("parse(%s, %s) has no handler or action", tt.method, tt.path)
			}
		})
	}
}

// What parse accepts has a handler and names that package ref accepts.
func FuzzParse(f *testing.F) {
	f.Add("GET", "/v2/a/manifests/b")
	f.Fuzz(func(t *testing.T, method, path string) {
		c, err := parse(method, path)
		if err != nil {
			if status := statusOf(err); status < 400 || status >= 500 {
				t.Fatalf("parse(%q, %q) = %v, which is status %d", method, path, err, status)
			}
			return
		}
		if c.serve == nil || c.end == "" || !strings.HasPrefix(path, "/v2") {
			t.Fatalf("parse(%q, %q) = %+v", method, path, c)
		}
		if c.repo != "" && ref.CheckName(c.repo) != nil {
			t.Fatalf("parse(%q, %q) names the repository %q", method, path, c.repo)
		}
		if c.ref.Tag != "" && ref.CheckTag(c.ref.Tag) != nil {
			t.Fatalf("parse(%q, %q) names the tag %q", method, path, c.ref.Tag)
		}
		for _, d := range []digest.Digest{c.digest, c.ref.Digest} {
			if _, err := ref.ParseDigest(d.String()); d != "" && err != nil {
				t.Fatalf("parse(%q, %q) names the digest %q", method, path, d)
			}
		}
	})
}

// A span lies within its body and is not empty.
func FuzzParseRange(f *testing.F) {
	f.Add("bytes=0-1", int64(10))
	f.Fuzz(func(t *testing.T, header string, size int64) {
		if size < 0 {
			return
		}
		s, ok, err := parseRange(header, size)
		if err != nil && ok {
			t.Fatalf("parseRange(%q, %d) = %+v, true, %v", header, size, s, err)
		}
		if ok && (s.off < 0 || s.n <= 0 || s.n > size || s.off > size-s.n) {
			t.Fatalf("parseRange(%q, %d) = %+v, which is not within", header, size, s)
		}
	})
}

// A chunk's range has at least one byte, a length, and reads as it is written.
func FuzzParseContentRange(f *testing.F) {
	f.Add("0-1")
	f.Fuzz(func(t *testing.T, header string) {
		start, end, err := parseContentRange(header)
		if err != nil {
			return
		}
		if start < 0 || end < start || end-start+1 <= 0 {
			t.Fatalf("parseContentRange(%q) = %d, %d", header, start, end)
		}
	})
}

// Whatever a client sends as entity tags, the list is bounded.
func FuzzEntityTags(f *testing.F) {
	f.Add(`"a", W/"b", *`, true)
	f.Fuzz(func(t *testing.T, header string, weak bool) {
		list, _ := entityTags([]string{header}, weak)
		if list == nil || len(list) > maxTags {
			t.Fatalf("entityTags(%q) has %d digests", header, len(list))
		}
		fresh(http.Header{"If-None-Match": {header}}, digest.FromString("x"))
	})
}

// A corpus that is not there would pass unnoticed.
func TestSeeds(t *testing.T) {
	for target, want := range map[string]int{"FuzzParse": 14, "FuzzParseRange": 14, "FuzzParseContentRange": 9, "FuzzEntityTags": 7} {
		seeds, err := filepath.Glob(filepath.Join("testdata", "fuzz", target, "*"))
		if err != nil || len(seeds) != want {
			t.Errorf("%s has %d seeds, %v, want %d", target, len(seeds), err, want)
		}
	}
}
