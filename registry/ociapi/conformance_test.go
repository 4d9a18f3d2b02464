package ociapi_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/registry"
	"github.com/wreg-project/wreg/registry/policy"
	"github.com/wreg-project/wreg/storage/meta"
)

// A clause is a requirement of the specification. Its name begins with the
// end-point, and docs/spec/conformance.md says which sentence it holds us to.
type clause struct {
	name  string
	check func(e *env, repo string)
}

// clauses lists every test of the specification.
var clauses = slices.Concat(baseClauses, pullClauses, blobPushClauses, manifestPushClauses, listClauses, deleteClauses, errorClauses)

// TestConformance holds the registry to the distribution specification, clause
// by clause, on every database and on both kinds of blob store.
func TestConformance(t *testing.T) {
	for _, s := range allStores {
		t.Run(s.name, func(t *testing.T) {
			shared := start(t, s, setup{})
			for i, c := range clauses {
				t.Run(c.name, func(t *testing.T) {
					e := *shared
					e.TB = t
					c.check(&e, fmt.Sprintf("conformance/clause-%d", i))
				})
			}
		})
	}
}

// The table in docs/spec names exactly the tests there are.
func TestConformanceTable(t *testing.T) {
	doc, err := os.ReadFile(filepath.Join("..", "..", "docs", "spec", "conformance.md"))
	if err != nil {
		t.Fatal(err)
	}
	var listed []string
	for _, m := range regexp.MustCompile("`((?:end-[0-9]+[a-z]?|code|catalog|http)/[^`]+)`").FindAllSubmatch(doc, -1) {
		listed = append(listed, string(m[1]))
	}
	var have []string
	for _, c := range clauses {
		have = append(have, c.name)
	}
	slices.Sort(listed)
	slices.Sort(have)
	if diff := cmp.Diff(slices.Compact(have), slices.Compact(listed)); diff != "" {
		t.Errorf("docs/spec/conformance.md lists other tests than there are (-tests +table):\n%s", diff)
	}
	if len(slices.Compact(have)) != len(clauses) {
		t.Errorf("two clauses have the same name")
	}
}

var baseClauses = []clause{
	{"end-1/GET says that this is a registry", func(e *env, _ string) {
		for _, path := range []string{"/v2/", "/v2"} {
			r := e.status(e.do("GET", path, nil), 200)
			e.header(r, "Docker-Distribution-API-Version", "registry/2.0")
			e.status(e.do("HEAD", path, nil), 200)
		}
	}},
	{"end-1/GET asks an unknown caller to log in", func(e *env, _ string) {
		closed := start(e, e.stores, setup{access: &policy.Access{}})
		r := closed.do("GET", "/v2/", nil)
		e.refused(r, 401, "UNAUTHORIZED")
		e.header(r, "Docker-Distribution-API-Version", "registry/2.0")
		if got := r.header.Get("WWW-Authenticate"); !strings.HasPrefix(got, "Basic realm=") {
			e.Fatalf("WWW-Authenticate is %q, want a Basic challenge", got)
		}
	}},
}

var pullClauses = []clause{
	{"end-2/GET returns the blob with its length and digest", func(e *env, repo string) {
		content := []byte("a blob of " + repo)
		d := e.pushBlob(repo, content)
		r := e.status(e.do("GET", "/v2/"+repo+"/blobs/"+d.String(), nil), 200)
		e.bytes(r, content)
		e.header(r, "Content-Length", strconv.Itoa(len(content)))
		e.header(r, "Content-Type", octets)
		e.header(r, "Docker-Content-Digest", d.String())
		e.header(r, "ETag", `"`+d.String()+`"`)
		e.header(r, "Accept-Ranges", "bytes")
	}},
	{"end-2/HEAD has the length and digest and no body", func(e *env, repo string) {
		content := []byte("a blob of " + repo)
		d := e.pushBlob(repo, content)
		r := e.status(e.do("HEAD", "/v2/"+repo+"/blobs/"+d.String(), nil), 200)
		e.bytes(r, nil)
		e.header(r, "Content-Length", strconv.Itoa(len(content)))
		e.header(r, "Docker-Content-Digest", d.String())
	}},
	{"end-2/an absent blob is 404", func(e *env, repo string) {
		e.pushBlob(repo, []byte(repo))
		absent := digest.FromString("absent").String()
		e.refused(e.do("GET", "/v2/"+repo+"/blobs/"+absent, nil), 404, "BLOB_UNKNOWN")
		e.bytes(e.status(e.do("HEAD", "/v2/"+repo+"/blobs/"+absent, nil), 404), nil)
	}},
	{"end-2/a blob of another repository is 404", func(e *env, repo string) {
		d := e.pushBlob(repo+"/other", []byte(repo))
		e.pushBlob(repo, []byte("something else in "+repo))
		e.refused(e.do("GET", "/v2/"+repo+"/blobs/"+d.String(), nil), 404, "BLOB_UNKNOWN")
	}},
	{"end-2/the empty blob can be pulled", func(e *env, repo string) {
		for _, alg := range []digest.Algorithm{digest.SHA256, digest.SHA512} {
			d := alg.FromBytes(nil)
			e.pushBlobAs(repo, nil, d)
			for _, method := range []string{"GET", "HEAD"} {
				r := e.status(e.do(method, "/v2/"+repo+"/blobs/"+d.String(), nil), 200)
				e.header(r, "Content-Length", "0")
				e.bytes(r, nil)
			}
		}
	}},
	{"end-2/a Range is answered with that part", func(e *env, repo string) {
		content := []byte("0123456789")
		path := "/v2/" + repo + "/blobs/" + e.pushBlob(repo, content).String()
		for header, want := range map[string]string{
			"bytes=2-4": "2-4", "bytes=0-0": "0-0", "bytes=7-": "7-9", "bytes=-3": "7-9", "bytes=8-100": "8-9", "bytes=-100": "0-9",
			"Bytes = 1-1": "1-1",
		} {
			r := e.status(e.do("GET", path, nil, "Range", header), 206)
			first, last, _ := strings.Cut(want, "-")
			from, _ := strconv.Atoi(first)
			to, _ := strconv.Atoi(last)
			e.bytes(r, content[from:to+1])
			e.header(r, "Content-Range", "bytes "+want+"/10")
			e.header(r, "Content-Length", strconv.Itoa(to-from+1))
		}
	}},
	{"end-2/a Range without any of the bytes is 416", func(e *env, repo string) {
		path := "/v2/" + repo + "/blobs/" + e.pushBlob(repo, []byte("0123456789")).String()
		for _, header := range []string{
			"bytes=10-", "bytes=10-20", "bytes=5-2", "bytes=-0", "bytes=", "bytes=-", "bytes=a-b", "bytes=1-b", "bytes=+1-2",
			"bytes=99999999999999999999-", "bytes=0x1-2", "bytes=--1",
		} {
			r := e.do("GET", path, nil, "Range", header)
			e.refused(r, 416, "SIZE_INVALID")
			e.header(r, "Content-Range", "bytes */10")
		}
		empty := "/v2/" + repo + "/blobs/" + e.pushBlob(repo, []byte{}).String()
		e.status(e.do("GET", empty, nil, "Range", "bytes=0-"), 416)
		e.status(e.do("GET", empty, nil, "Range", "bytes=-1"), 416)
	}},
	{"end-2/several ranges or another unit get the whole blob", func(e *env, repo string) {
		path := "/v2/" + repo + "/blobs/" + e.pushBlob(repo, []byte("0123456789")).String()
		for _, header := range []string{"bytes=0-1,3-4", "lines=1-2", "nonsense"} {
			e.bytes(e.status(e.do("GET", path, nil, "Range", header), 200), []byte("0123456789"))
		}
	}},
	{"end-2/a client that has the blob gets 304", func(e *env, repo string) {
		d := e.pushBlob(repo, []byte("0123456789"))
		path := "/v2/" + repo + "/blobs/" + d.String()
		for _, header := range []string{`"` + d.String() + `"`, `W/"` + d.String() + `"`, `"x", "` + d.String() + `"`, "*"} {
			r := e.status(e.do("GET", path, nil, "If-None-Match", header), 304)
			e.bytes(r, nil)
			e.header(r, "ETag", `"`+d.String()+`"`)
		}
		e.status(e.do("GET", path, nil, "If-None-Match", `"other"`), 200)
		e.status(e.do("GET", path, nil, "If-Match", `"other"`), 412)
		e.status(e.do("GET", path, nil, "If-Match", `"`+d.String()+`"`), 200)
		e.status(e.do("GET", path, nil, "Range", "bytes=1-2", "If-Range", `"`+d.String()+`"`), 206)
		e.status(e.do("GET", path, nil, "Range", "bytes=1-2", "If-Range", `"other"`), 200)
	}},
	{"end-3/GET returns the manifest byte for byte with its type", func(e *env, repo string) {
		m := e.image(repo, "a")
		spaced := append([]byte(" \n\t"), append(m, "\n\n "...)...)
		e.pushManifest(repo, "spaced", ociManifest, spaced)
		d := digest.FromBytes(spaced)
		for _, ref := range []string{"spaced", d.String()} {
			r := e.status(e.do("GET", "/v2/"+repo+"/manifests/"+ref, nil), 200)
			e.bytes(r, spaced)
			e.header(r, "Content-Type", ociManifest)
			e.header(r, "Docker-Content-Digest", d.String())
			e.header(r, "ETag", `"`+d.String()+`"`)
		}
	}},
	{"end-3/HEAD has type, length and digest and no body", func(e *env, repo string) {
		m := e.tagged(repo, "a")
		for _, ref := range []string{"a", digest.FromBytes(m).String()} {
			r := e.status(e.do("HEAD", "/v2/"+repo+"/manifests/"+ref, nil), 200)
			e.bytes(r, nil)
			e.header(r, "Content-Length", strconv.Itoa(len(m)))
			e.header(r, "Content-Type", ociManifest)
			e.header(r, "Docker-Content-Digest", digest.FromBytes(m).String())
		}
	}},
	{"end-3/the manifest is served whatever Accept says", func(e *env, repo string) {
		m := e.tagged(repo, "a")
		for _, accept := range []string{"", "*/*", ociManifest, ociIndex, "text/html", ";;;"} {
			r := e.status(e.do("GET", "/v2/"+repo+"/manifests/a", nil, "Accept", accept), 200)
			e.bytes(r, m)
		}
	}},
	{"end-3/an absent tag or digest is 404", func(e *env, repo string) {
		e.tagged(repo, "a")
		for _, ref := range []string{"absent", digest.FromString("absent").String(), digest.SHA512.FromString("absent").String()} {
			e.refused(e.do("GET", "/v2/"+repo+"/manifests/"+ref, nil), 404, "MANIFEST_UNKNOWN")
			e.bytes(e.status(e.do("HEAD", "/v2/"+repo+"/manifests/"+ref, nil), 404), nil)
		}
	}},
	{"end-3/what cannot be a tag is 404 and a malformed digest is 400", func(e *env, repo string) {
		e.tagged(repo, "a")
		e.refused(e.do("GET", "/v2/"+repo+"/manifests/.INVALID", nil), 404, "MANIFEST_UNKNOWN")
		e.refused(e.do("GET", "/v2/"+repo+"/manifests/"+strings.Repeat("t", 129), nil), 404, "MANIFEST_UNKNOWN")
		e.refused(e.do("GET", "/v2/"+repo+"/manifests/sha256:baddigeststring", nil), 400, "DIGEST_INVALID")
	}},
	{"end-3/a client that has the manifest gets 304", func(e *env, repo string) {
		d := digest.FromBytes(e.tagged(repo, "a")).String()
		e.status(e.do("GET", "/v2/"+repo+"/manifests/a", nil, "If-None-Match", `"`+d+`"`), 304)
		e.status(e.do("HEAD", "/v2/"+repo+"/manifests/a", nil, "If-None-Match", `"`+d+`"`), 304)
		e.status(e.do("GET", "/v2/"+repo+"/manifests/a", nil, "If-None-Match", `"sha256:0"`), 200)
	}},
}

var blobPushClauses = []clause{
	{"end-4a/POST opens an upload", func(e *env, repo string) {
		r := e.status(e.do("POST", "/v2/"+repo+"/blobs/uploads/", nil), 202)
		location := r.header.Get("Location")
		if !strings.HasPrefix(location, "/v2/"+repo+"/blobs/uploads/") || strings.Contains(location, "?") {
			e.Fatalf("Location is %q, want a path below the repository's uploads without a query", location)
		}
		other := e.begin(repo)
		if other == location {
			e.Fatalf("two uploads have the same Location %q", location)
		}
	}},
	{"end-4a/POST then PUT stores the blob and says where", func(e *env, repo string) {
		content := []byte("monolithic " + repo)
		d := digest.FromBytes(content)
		r := e.pushBlobAs(repo, content, d)
		e.header(r, "Docker-Content-Digest", d.String())
		e.bytes(e.status(e.do("GET", r.header.Get("Location"), nil), 200), content)
	}},
	{"end-4b/POST with digest stores the blob", func(e *env, repo string) {
		for _, alg := range []digest.Algorithm{digest.SHA256, digest.SHA512} {
			content := []byte(alg.String() + " single " + repo)
			d := alg.FromBytes(content)
			r := e.status(e.do("POST", "/v2/"+repo+"/blobs/uploads/?digest="+d.String(), content, "Content-Type", octets), 201)
			e.header(r, "Docker-Content-Digest", d.String())
			e.bytes(e.status(e.do("GET", r.header.Get("Location"), nil), 200), content)
		}
	}},
	{"end-4b/POST with the digest of nothing stores the empty blob", func(e *env, repo string) {
		for _, alg := range []digest.Algorithm{digest.SHA256, digest.SHA512} {
			d := alg.FromBytes(nil)
			r := e.status(e.do("POST", "/v2/"+repo+"/blobs/uploads/?digest="+d.String(), nil, "Content-Type", octets), 201)
			e.header(r, "Docker-Content-Digest", d.String())
			e.bytes(e.status(e.do("GET", r.header.Get("Location"), nil), 200), nil)
		}
	}},
	{"end-4b/POST with a wrong or malformed digest is 400", func(e *env, repo string) {
		wrong := digest.FromString("something else").String()
		for _, d := range []string{wrong, "sha256:baddigest", "", "md5:d41d8cd98f00b204e9800998ecf8427e"} {
			e.refused(e.do("POST", "/v2/"+repo+"/blobs/uploads/?digest="+d, []byte(repo)), 400, "DIGEST_INVALID")
		}
		e.status(e.do("HEAD", "/v2/"+repo+"/blobs/"+wrong, nil), 404)
	}},
	{"end-4c/digest-algorithm is honoured", func(e *env, repo string) {
		content := []byte("announced " + repo)
		d := digest.SHA512.FromBytes(content)
		r := e.status(e.do("POST", "/v2/"+repo+"/blobs/uploads/?digest-algorithm=sha512", nil), 202)
		location := r.header.Get("Location")
		e.status(e.do("PATCH", location, content), 202)
		e.status(e.do("PUT", location+"?digest="+d.String(), nil), 201)
		e.header(e.status(e.do("HEAD", "/v2/"+repo+"/blobs/"+d.String(), nil), 200), "Docker-Content-Digest", d.String())
	}},
	{"end-4c/an unsupported digest-algorithm is 400", func(e *env, repo string) {
		e.refused(e.do("POST", "/v2/"+repo+"/blobs/uploads/?digest-algorithm=md5", nil), 400, "DIGEST_INVALID")
	}},
	{"end-5/chunks in order make the blob", func(e *env, repo string) {
		content := []byte("0123456789abcdefghij")
		location := e.begin(repo)
		for i := 0; i < len(content); i += 5 {
			r := e.status(e.do("PATCH", location, content[i:i+5], "Content-Type", octets,
				"Content-Range", fmt.Sprintf("%d-%d", i, i+4)), 202)
			e.header(r, "Range", fmt.Sprintf("0-%d", i+4))
			location = r.header.Get("Location")
		}
		d := digest.FromBytes(content)
		r := e.status(e.do("PUT", location+"?digest="+d.String(), nil), 201)
		e.bytes(e.status(e.do("GET", r.header.Get("Location"), nil), 200), content)
	}},
	{"end-5/a stream without Content-Range makes the blob", func(e *env, repo string) {
		content := []byte("streamed " + repo)
		location := e.begin(repo)
		r := e.status(e.send("PATCH", location, io.MultiReader(strings.NewReader(string(content))), "Content-Type", octets), 202)
		e.header(r, "Range", fmt.Sprintf("0-%d", len(content)-1))
		d := digest.SHA512.FromBytes(content)
		e.status(e.do("PUT", r.header.Get("Location")+"?digest="+d.String(), nil), 201)
		e.bytes(e.status(e.do("GET", "/v2/"+repo+"/blobs/"+d.String(), nil), 200), content)
	}},
	{"end-5/a chunk out of order is 416 and changes nothing", func(e *env, repo string) {
		content := []byte("0123456789")
		location := e.begin(repo)
		for _, bad := range []string{"5-9", "1-5"} {
			r := e.do("PATCH", location, content[:5], "Content-Range", bad)
			e.refused(r, 416, "BLOB_UPLOAD_INVALID")
			e.header(r, "Location", location)
			e.header(r, "Range", "0-0")
		}
		e.status(e.do("PATCH", location, content[:5], "Content-Range", "0-4"), 202)
		for _, bad := range []string{"0-4", "6-9", "4-8"} {
			r := e.do("PATCH", location, content[5:], "Content-Range", bad)
			e.refused(r, 416, "BLOB_UPLOAD_INVALID")
			e.header(r, "Range", "0-4")
		}
		e.header(e.status(e.do("GET", location, nil), 204), "Range", "0-4")
		e.status(e.do("PATCH", location, content[5:], "Content-Range", "5-9"), 202)
		e.status(e.do("PUT", location+"?digest="+digest.FromBytes(content).String(), nil), 201)
	}},
	{"end-5/a malformed Content-Range is 416", func(e *env, repo string) {
		location := e.begin(repo)
		for _, bad := range []string{"bytes 0-4/5", "0", "-", "0-", "-4", "4-0", "a-b", "0-99999999999999999999", "0-4-5", "0-4/5"} {
			e.header(e.status(e.do("PATCH", location, []byte("01234"), "Content-Range", bad), 416), "Location", location)
		}
	}},
	{"end-5/Content-Length and Content-Range have to agree", func(e *env, repo string) {
		location := e.begin(repo)
		e.refused(e.do("PATCH", location, []byte("0123456789"), "Content-Range", "0-4"), 400, "SIZE_INVALID")
		e.header(e.status(e.do("GET", location, nil), 204), "Range", "0-0")
	}},
	{"end-6/PUT may bring the last chunk", func(e *env, repo string) {
		content := []byte("0123456789")
		d := digest.FromBytes(content).String()
		location := e.begin(repo)
		e.status(e.do("PATCH", location, content[:6], "Content-Range", "0-5"), 202)
		e.header(e.do("PUT", location+"?digest="+d, content[:4], "Content-Range", "0-3"), "Range", "0-5")
		e.status(e.do("PUT", location+"?digest="+d, content[:4], "Content-Range", "0-3"), 416)
		e.status(e.do("PUT", location+"?digest="+d, content[6:], "Content-Range", "6-9"), 201)
		e.bytes(e.status(e.do("GET", "/v2/"+repo+"/blobs/"+d, nil), 200), content)
	}},
	{"end-6/a digest that does not match is 400", func(e *env, repo string) {
		for _, alg := range []digest.Algorithm{digest.SHA256, digest.SHA512} {
			d := alg.FromString("other content").String()
			e.refused(e.do("PUT", e.begin(repo)+"?digest="+d, []byte("content")), 400, "DIGEST_INVALID")
			location := e.begin(repo)
			e.status(e.do("PATCH", location, []byte("content")), 202)
			e.refused(e.do("PUT", location+"?digest="+d, nil), 400, "DIGEST_INVALID")
			e.status(e.do("HEAD", "/v2/"+repo+"/blobs/"+d, nil), 404)
		}
	}},
	{"end-6/PUT without a digest, or with one of an unknown algorithm, is 400", func(e *env, repo string) {
		location := e.begin(repo)
		for _, query := range []string{"", "?digest=", "?digest=sha256:short", "?digest=md5:d41d8cd98f00b204e9800998ecf8427e"} {
			e.refused(e.do("PUT", location+query, []byte("content")), 400, "DIGEST_INVALID")
		}
	}},
	{"end-6/the same blob can be pushed again, to any repository", func(e *env, repo string) {
		content := []byte("twice " + repo)
		d := e.pushBlob(repo, content)
		e.pushBlob(repo, content)
		e.pushBlob(repo+"/other", content)
		e.bytes(e.status(e.do("GET", "/v2/"+repo+"/other/blobs/"+d.String(), nil), 200), content)
		// Knowing the digest is not having the bytes.
		e.refused(e.do("PUT", e.begin(repo+"/third")+"?digest="+d.String(), []byte("twice "+repo[1:]+".")), 400, "DIGEST_INVALID")
		e.status(e.do("HEAD", "/v2/"+repo+"/third/blobs/"+d.String(), nil), 404)
	}},
	{"end-11/mount with from takes the blob over", func(e *env, repo string) {
		content := []byte("mounted " + repo)
		d := e.pushBlob(repo+"/from", content)
		r := e.status(e.do("POST", "/v2/"+repo+"/blobs/uploads/?mount="+d.String()+"&from="+repo+"/from", nil), 201)
		e.header(r, "Docker-Content-Digest", d.String())
		e.bytes(e.status(e.do("GET", r.header.Get("Location"), nil), 200), content)
	}},
	{"end-11/mount without from finds the blob", func(e *env, repo string) {
		content := []byte("found " + repo)
		d := e.pushBlob(repo+"/from", content)
		r := e.status(e.do("POST", "/v2/"+repo+"/blobs/uploads/?mount="+d.String(), nil), 201)
		e.bytes(e.status(e.do("GET", r.header.Get("Location"), nil), 200), content)
	}},
	{"end-11/a mount that fails becomes an upload", func(e *env, repo string) {
		content := []byte("not there " + repo)
		d := digest.FromBytes(content).String()
		e.pushBlob(repo+"/from", []byte("something else"))
		for _, query := range []string{
			"mount=" + d + "&from=" + repo + "/from", "mount=" + d + "&from=" + repo + "/absent", "mount=" + d,
			"mount=" + d + "&from=../..", "mount=garbage", "mount=",
		} {
			r := e.status(e.do("POST", "/v2/"+repo+"/blobs/uploads/?"+query, nil), 202)
			e.status(e.do("DELETE", r.header.Get("Location"), nil), 204)
		}
		r := e.status(e.do("POST", "/v2/"+repo+"/blobs/uploads/?mount="+d+"&from="+repo+"/from", nil), 202)
		e.status(e.do("PUT", r.header.Get("Location")+"?digest="+d, content), 201)
	}},
	{"end-11/who may not push may not mount", func(e *env, _ string) {
		closed := start(e, e.stores, setup{access: &policy.Access{AnonymousPull: []string{"*"}}, auth: users{}})
		ann := closed.as("ann:secret")
		d := ann.pushBlob("public/x", []byte("open"))
		ann.status(ann.do("POST", "/v2/mine/blobs/uploads/?mount="+d.String(), nil), 201)
		closed.refused(closed.do("POST", "/v2/theirs/blobs/uploads/?mount="+d.String(), nil), 401, "UNAUTHORIZED")
		ann.refused(ann.do("GET", "/v2/theirs/blobs/"+d.String(), nil), 404, "NAME_UNKNOWN")
	}},
	{"end-13/GET says what an upload has received", func(e *env, repo string) {
		location := e.begin(repo)
		r := e.status(e.do("GET", location, nil), 204)
		e.header(r, "Range", "0-0")
		e.header(r, "Location", location)
		e.status(e.do("PATCH", location, []byte("01234")), 202)
		e.header(e.status(e.do("GET", location, nil), 204), "Range", "0-4")
	}},
	{"end-13/an upload that is not there is 404", func(e *env, repo string) {
		path := "/v2/" + repo + "/blobs/uploads/nonsense"
		e.refused(e.do("GET", path, nil), 404, "BLOB_UPLOAD_UNKNOWN")
		e.refused(e.do("PATCH", path, []byte("x")), 404, "BLOB_UPLOAD_UNKNOWN")
		e.refused(e.do("PATCH", path, []byte("x"), "Content-Range", "nonsense"), 404, "BLOB_UPLOAD_UNKNOWN")
		e.refused(e.do("PUT", path+"?digest="+digest.FromString("x").String(), []byte("x")), 404, "BLOB_UPLOAD_UNKNOWN")
		e.refused(e.do("DELETE", path, nil), 404, "BLOB_UPLOAD_UNKNOWN")
		elsewhere := strings.Replace(e.begin(repo), repo, repo+"/other", 1)
		e.refused(e.do("GET", elsewhere, nil), 404, "BLOB_UPLOAD_UNKNOWN")
	}},
	{"end-14/DELETE ends an upload", func(e *env, repo string) {
		own := start(e, e.stores, setup{})
		location := own.begin(repo)
		own.status(own.do("PATCH", location, []byte("01234")), 202)
		own.status(own.do("DELETE", location, nil), 204)
		own.refused(own.do("GET", location, nil), 404, "BLOB_UPLOAD_UNKNOWN")
		own.nothingKept()
	}},
}

var manifestPushClauses = []clause{
	{"end-7a/PUT by tag stores the manifest and says where", func(e *env, repo string) {
		m := e.image(repo, "a")
		r := e.pushManifest(repo, "latest", ociManifest, m)
		d := digest.FromBytes(m)
		e.header(r, "Docker-Content-Digest", d.String())
		e.bytes(e.status(e.do("GET", r.header.Get("Location"), nil), 200), m)
		e.status(e.do("GET", "/v2/"+repo+"/manifests/latest", nil), 200)
	}},
	{"end-7a/PUT by digest stores the manifest under it", func(e *env, repo string) {
		m := e.image(repo, "a")
		for _, alg := range []digest.Algorithm{digest.SHA256, digest.SHA512} {
			d := alg.FromBytes(m).String()
			r := e.pushManifest(repo, d, ociManifest, m)
			e.header(r, "Docker-Content-Digest", d)
			e.header(r, "Location", "/v2/"+repo+"/manifests/"+d)
			e.bytes(e.status(e.do("GET", "/v2/"+repo+"/manifests/"+d, nil), 200), m)
		}
	}},
	{"end-7a/PUT by a digest that does not match is 400", func(e *env, repo string) {
		m := e.image(repo, "a")
		e.refused(e.putManifest(repo, digest.FromString("other").String(), ociManifest, m), 400, "DIGEST_INVALID")
		e.refused(e.putManifest(repo, "sha256:baddigeststring", ociManifest, m), 400, "DIGEST_INVALID")
		e.refused(e.putManifest(repo, "md5:d41d8cd98f00b204e9800998ecf8427e", ociManifest, m), 400, "DIGEST_INVALID")
	}},
	{"end-7a/a tag moves to what is pushed last", func(e *env, repo string) {
		e.pushManifest(repo, "latest", ociManifest, e.image(repo, "one"))
		two := e.image(repo, "two")
		e.pushManifest(repo, "latest", ociManifest, two)
		e.bytes(e.do("GET", "/v2/"+repo+"/manifests/latest", nil), two)
	}},
	{"end-7a/a manifest of 4 MiB is accepted and a larger one is 413", func(e *env, repo string) {
		config := []byte(`{}`)
		e.pushBlob(repo, config)
		c := descOf(ociConfig, config)
		large := manifest{MediaType: ociManifest, Config: &c, Annotations: map[string]string{}}
		for i := range 390 {
			large.Annotations[fmt.Sprintf("large-annotation-%d", i)] = strings.Repeat("A", 10_000)
		}
		content := large.encode()
		content = append(content, strings.Repeat(" ", registry.DefaultMaxManifest-len(content))...)
		e.pushManifest(repo, "large", ociManifest, content)
		e.bytes(e.status(e.do("GET", "/v2/"+repo+"/manifests/large", nil), 200), content)
		e.refused(e.putManifest(repo, "larger", ociManifest, append(content, ' ')), 413, "MANIFEST_INVALID")
		streamed := io.MultiReader(strings.NewReader(string(content)), strings.NewReader(" "))
		r := e.send("PUT", "/v2/"+repo+"/manifests/larger", streamed, "Content-Type", ociManifest)
		e.refused(r, 413, "MANIFEST_INVALID")
	}},
	{"end-7a/a manifest whose length is not announced is stored", func(e *env, repo string) {
		m := e.image(repo, "streamed")
		unsized := io.MultiReader(strings.NewReader(string(m)))
		e.status(e.send("PUT", "/v2/"+repo+"/manifests/a", unsized, "Content-Type", ociManifest), 201)
		r := e.status(e.do("GET", "/v2/"+repo+"/manifests/a", nil), 200)
		e.header(r, "Content-Length", strconv.Itoa(len(m)))
		e.bytes(r, m)
	}},
	{"end-7a/missing blobs are named, each in an error of its own", func(e *env, repo string) {
		config, layer, here := descOf(ociConfig, []byte("no config")), descOf(ociLayer, []byte("no layer")), []byte("here")
		e.pushBlob(repo, here)
		m := manifest{MediaType: ociManifest, Config: &config, Layers: []desc{layer, descOf(ociLayer, here)}}
		details := e.refused(e.putManifest(repo, "a", ociManifest, m.encode()), 400, "MANIFEST_BLOB_UNKNOWN")
		want := []any{map[string]any{"digest": config.Digest.String()}, map[string]any{"digest": layer.Digest.String()}}
		if diff := cmp.Diff(want, details); diff != "" {
			e.Fatalf("details of the errors (-want +got):\n%s", diff)
		}
		e.status(e.do("GET", "/v2/"+repo+"/manifests/a", nil), 404)
	}},
	{"end-7a/missing children of an index are named", func(e *env, repo string) {
		here := e.tagged(repo, "here")
		absent := descOf(ociManifest, []byte("absent"))
		m := manifest{MediaType: ociIndex, Manifests: []desc{descOf(ociManifest, here), absent}}
		details := e.refused(e.putManifest(repo, "index", ociIndex, m.encode()), 400, "MANIFEST_BLOB_UNKNOWN")
		if diff := cmp.Diff([]any{map[string]any{"digest": absent.Digest.String()}}, details); diff != "" {
			e.Fatalf("details of the errors (-want +got):\n%s", diff)
		}
	}},
	{"end-7a/a sparse registry accepts both", func(e *env, repo string) {
		sparse := start(e, e.stores, setup{registry: registry.Options{Sparse: true}})
		config := descOf(ociConfig, []byte("absent"))
		m := manifest{MediaType: ociManifest, Config: &config}.encode()
		sparse.pushManifest(repo, "sparse", ociManifest, m)
		index := manifest{MediaType: ociIndex, Manifests: []desc{descOf(ociManifest, []byte("absent"))}}.encode()
		sparse.pushManifest(repo, "sparse-index", ociIndex, index)
		e.bytes(sparse.do("GET", "/v2/"+repo+"/manifests/sparse-index", nil), index)
	}},
	{"end-7a/an index, an index of indexes and an empty index are stored", func(e *env, repo string) {
		one := e.tagged(repo, "one")
		index := manifest{MediaType: ociIndex, Manifests: []desc{descOf(ociManifest, one)}}.encode()
		e.pushManifest(repo, digest.FromBytes(index).String(), ociIndex, index)
		nested := manifest{MediaType: ociIndex, Manifests: []desc{descOf(ociIndex, index)}}.encode()
		e.pushManifest(repo, "nested", ociIndex, nested)
		empty := []byte(`{"schemaVersion":2,"mediaType":"` + ociIndex + `","manifests":[]}`)
		e.pushManifest(repo, "empty", ociIndex, empty)
		e.header(e.status(e.do("GET", "/v2/"+repo+"/manifests/nested", nil), 200), "Content-Type", ociIndex)
	}},
	{"end-7a/artifacts, images without layers and unknown fields are stored", func(e *env, repo string) {
		e.pushBlob(repo, []byte("{}"))
		empty := descOf("application/vnd.oci.empty.v1+json", []byte("{}"))
		artifact := manifest{MediaType: ociManifest, ArtifactType: "application/vnd.example", Config: &empty, Layers: []desc{empty}}
		e.pushManifest(repo, "artifact", ociManifest, artifact.encode())
		d := string(empty.Digest)
		e.pushManifest(repo, "no-layers", ociManifest, []byte(`{"schemaVersion":2,"mediaType":"`+ociManifest+
			`","config":{"mediaType":"`+ociConfig+`","digest":"`+d+`","size":2,"data":"e30="},"layers":[],"org.example":{"deep":[[{}]]}}`))
	}},
	{"end-7a/non-distributable layers need not be there", func(e *env, repo string) {
		e.pushBlob(repo, []byte("{}"))
		config := descOf(ociConfig, []byte("{}"))
		foreign := descOf("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", []byte("elsewhere"))
		foreign.URLs = []string{"https://store.example.com/x"}
		docker := descOf("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", []byte("elsewhere too"))
		docker.URLs = foreign.URLs
		m := manifest{MediaType: ociManifest, Config: &config, Layers: []desc{foreign, docker}}
		e.pushManifest(repo, "foreign", ociManifest, m.encode())
		docker.URLs = nil
		m.Layers = []desc{docker}
		e.refused(e.putManifest(repo, "foreign", ociManifest, m.encode()), 400, "MANIFEST_BLOB_UNKNOWN")
	}},
	{"end-7a/Docker manifests and lists are stored", func(e *env, repo string) {
		const schema2 = "application/vnd.docker.distribution.manifest.v2+json"
		const list = "application/vnd.docker.distribution.manifest.list.v2+json"
		config := descOf("application/vnd.docker.container.image.v1+json", []byte("{}"))
		e.pushBlob(repo, []byte("{}"))
		m := manifest{MediaType: schema2, Config: &config}.encode()
		e.pushManifest(repo, "docker", schema2, m)
		l := manifest{MediaType: list, Manifests: []desc{descOf(schema2, m)}}.encode()
		e.pushManifest(repo, "list", list, l)
		e.header(e.status(e.do("GET", "/v2/"+repo+"/manifests/list", nil), 200), "Content-Type", list)
	}},
	{"end-7a/unknown media types are stored faithfully", func(e *env, repo string) {
		for i, content := range []string{"not JSON at all\x00\xff", "{", "[]", `{"config":"text"}`, ""} {
			tag := fmt.Sprintf("opaque-%d", i)
			e.pushManifest(repo, tag, "application/vnd.example.unknown+json", []byte(content))
			r := e.status(e.do("GET", "/v2/"+repo+"/manifests/"+tag, nil), 200)
			e.bytes(r, []byte(content))
			e.header(r, "Content-Type", "application/vnd.example.unknown+json")
		}
		absent := manifest{Layers: []desc{descOf(ociLayer, []byte("absent"))}}.encode()
		e.refused(e.putManifest(repo, "refs", "application/vnd.example.unknown+json", absent), 400, "MANIFEST_BLOB_UNKNOWN")
	}},
	{"end-7a/mediaType and Content-Type have to agree", func(e *env, repo string) {
		m := e.image(repo, "a")
		e.refused(e.putManifest(repo, "a", ociIndex, m), 400, "MANIFEST_INVALID")
		e.refused(e.putManifest(repo, "a", "application/json", m), 400, "MANIFEST_INVALID")
		e.refused(e.putManifest(repo, "a", "nonsense", m), 400, "MANIFEST_INVALID")
		e.pushManifest(repo, "a", ociManifest+"; charset=utf-8", m)
		e.header(e.do("GET", "/v2/"+repo+"/manifests/a", nil), "Content-Type", ociManifest)
		e.status(e.do("PUT", "/v2/"+repo+"/manifests/b", m), 201)
		e.header(e.do("GET", "/v2/"+repo+"/manifests/b", nil), "Content-Type", ociManifest)
	}},
	{"end-7a/a subject is answered with OCI-Subject, there or not", func(e *env, repo string) {
		subject := descOf(ociManifest, []byte("absent "+repo))
		e.header(e.refer(repo, subject, "application/vnd.example.sig", "one"), "OCI-Subject", subject.Digest.String())
		e.header(e.pushManifest(repo, "plain", ociManifest, e.image(repo, "plain")), "OCI-Subject", "")
	}},
	{"end-7b/tag parameters are all written and named in OCI-Tag", func(e *env, repo string) {
		m := e.image(repo, "a")
		for _, alg := range []digest.Algorithm{digest.SHA256, digest.SHA512} {
			d := alg.FromBytes(m).String()
			one, two := "one-"+alg.String(), "two-"+alg.String()
			r := e.pushManifest(repo, d+"?tag="+one+"&tag="+two+"&tag="+one, ociManifest, m)
			if diff := cmp.Diff([]string{one, two}, r.header.Values("OCI-Tag")); diff != "" {
				e.Fatalf("OCI-Tag (-want +got):\n%s", diff)
			}
			for _, tag := range []string{one, two} {
				e.header(e.status(e.do("HEAD", "/v2/"+repo+"/manifests/"+tag, nil), 200), "Docker-Content-Digest", d)
			}
		}
	}},
	{"end-7b/one tag that is refused refuses all", func(e *env, repo string) {
		e.tagged(repo, "1.0.0")
		m := e.image(repo, "other")
		d := digest.FromBytes(m).String()
		e.refused(e.putManifest(repo, d+"?tag=new&tag=1.0.0", ociManifest, m), 403, "DENIED")
		e.refused(e.putManifest(repo, d+"?tag=new&tag=.bad", ociManifest, m), 400, "TAG_INVALID")
		e.refused(e.putManifest(repo, d+"?tag=new"+strings.Repeat("&tag=x", 100), ociManifest, m), 414, "TAG_INVALID")
		e.status(e.do("HEAD", "/v2/"+repo+"/manifests/new", nil), 404)
		e.status(e.do("HEAD", "/v2/"+repo+"/manifests/"+d, nil), 404)
	}},
}

var listClauses = []clause{
	{"end-8a/GET lists all tags in byte order", func(e *env, repo string) {
		m := e.image(repo, "a")
		for _, tag := range []string{"b", "a", "C", "_x", "1.0.0", "a.b", "a-b"} {
			e.pushManifest(repo, tag, ociManifest, m)
		}
		r := e.status(e.do("GET", "/v2/"+repo+"/tags/list", nil), 200)
		e.header(r, "Content-Type", "application/json")
		e.header(r, "Link", "")
		e.tagsAre(r, repo, "1.0.0", "C", "_x", "a", "a-b", "a.b", "b")
	}},
	{"end-8a/a repository without tags has an empty list", func(e *env, repo string) {
		e.pushBlob(repo, []byte(repo))
		r := e.status(e.do("GET", "/v2/"+repo+"/tags/list", nil), 200)
		e.bytes(r, []byte(`{"name":"`+repo+`","tags":[]}`))
	}},
	{"end-8a/an unknown repository is 404", func(e *env, repo string) {
		for _, query := range []string{"", "?n=0", "?n=1", "?last=a"} {
			e.refused(e.do("GET", "/v2/"+repo+"/tags/list"+query, nil), 404, "NAME_UNKNOWN")
		}
	}},
	{"end-8a/a yanked tag is not listed, and pulled by name as ever", func(e *env, repo string) {
		e.tagged(repo, "1.0.0")
		yanked := e.tagged(repo, "1.0.1")
		err := e.db.Update(e.Context(), func(ctx context.Context, tx meta.Tx) error {
			return tx.SetNotice(ctx, repo, "1.0.1", meta.Notice{State: meta.NoticeYanked, Reason: "leaks keys", Time: time.Now()})
		})
		if err != nil {
			e.Fatalf("SetNotice() = %v", err)
		}
		e.tagsAre(e.do("GET", "/v2/"+repo+"/tags/list", nil), repo, "1.0.0")
		r := e.status(e.do("GET", "/v2/"+repo+"/tags/list?n=1", nil), 200)
		e.tagsAre(r, repo, "1.0.0")
		e.header(r, "Link", "")
		e.bytes(e.status(e.do("GET", "/v2/"+repo+"/manifests/1.0.1", nil), 200), yanked)
	}},
	{"end-8b/n limits the list and Link leads to the rest", func(e *env, repo string) {
		m := e.image(repo, "a")
		for _, tag := range []string{"v1", "v2", "v3", "v4", "v5"} {
			e.pushManifest(repo, tag, ociManifest, m)
		}
		next, pages := "/v2/"+repo+"/tags/list?n=2", [][]string{{"v1", "v2"}, {"v3", "v4"}, {"v5"}}
		for i, want := range pages {
			r := e.status(e.do("GET", next, nil), 200)
			e.tagsAre(r, repo, want...)
			next = nextPage(r)
			if (next != "") != (i < len(pages)-1) {
				e.Fatalf("%s: Link is %q on page %d of %d", r.call, r.header.Get("Link"), i+1, len(pages))
			}
		}
		e.header(e.do("GET", "/v2/"+repo+"/tags/list?n=5", nil), "Link", "")
		e.tagsAre(e.do("GET", "/v2/"+repo+"/tags/list?n=1000000000000", nil), repo, "v1", "v2", "v3", "v4", "v5")
	}},
	{"end-8b/last begins behind a tag, there or not", func(e *env, repo string) {
		m := e.image(repo, "a")
		for _, tag := range []string{"v1", "v2", "v3"} {
			e.pushManifest(repo, tag, ociManifest, m)
		}
		e.tagsAre(e.do("GET", "/v2/"+repo+"/tags/list?last=v1", nil), repo, "v2", "v3")
		e.tagsAre(e.do("GET", "/v2/"+repo+"/tags/list?last=v1a&n=1", nil), repo, "v2")
		e.tagsAre(e.do("GET", "/v2/"+repo+"/tags/list?last=v3", nil), repo)
	}},
	{"end-8b/n=0 gives an empty list without Link", func(e *env, repo string) {
		e.tagged(repo, "a")
		r := e.status(e.do("GET", "/v2/"+repo+"/tags/list?n=0", nil), 200)
		e.header(r, "Link", "")
		e.tagsAre(r, repo)
	}},
	{"end-8b/a bad n or last is 400", func(e *env, repo string) {
		e.tagged(repo, "a")
		for _, query := range []string{"n=-1", "n=", "n=x", "n=1.5", "n=99999999999999999999", "last=%00", "last=%ff", "last=" + strings.Repeat("a", 256)} {
			e.refused(e.do("GET", "/v2/"+repo+"/tags/list?"+query, nil), 400, "PAGINATION_NUMBER_INVALID")
		}
	}},
	{"end-12a/GET lists who refers to a digest", func(e *env, repo string) {
		subject := descOf(ociManifest, e.tagged(repo, "a"))
		e.refer(repo, subject, "application/vnd.example.sig", "one")
		e.refer(repo, subject, "", "two")
		r := e.referrers(repo, subject.Digest, "")
		e.header(r, "OCI-Filters-Applied", "")
		got := e.index(r)
		if len(got) != 2 {
			e.Fatalf("%s lists %d manifests, want 2: %s", r.call, len(got), r.body)
		}
		for _, d := range got {
			want := ociConfig
			if d.Annotations["name"] == "one" {
				want = "application/vnd.example.sig"
			}
			m := e.status(e.do("GET", "/v2/"+repo+"/manifests/"+d.Digest.String(), nil), 200)
			if d.ArtifactType != want || d.MediaType != ociManifest || d.Size != int64(len(m.body)) {
				e.Errorf("%s lists %+v, want artifactType %s, mediaType %s, size %d", r.call, d, want, ociManifest, len(m.body))
			}
		}
	}},
	{"end-12a/an index may refer too", func(e *env, repo string) {
		subject := descOf(ociManifest, e.tagged(repo, "a"))
		index := manifest{MediaType: ociIndex, Subject: &subject, Manifests: []desc{subject}, Annotations: map[string]string{"k": "v"}}.encode()
		e.pushManifest(repo, digest.FromBytes(index).String(), ociIndex, index)
		want := descOf(ociIndex, index)
		want.Annotations = map[string]string{"k": "v"}
		if diff := cmp.Diff([]desc{want}, e.index(e.referrers(repo, subject.Digest, ""))); diff != "" {
			e.Fatalf("referrers (-want +got):\n%s", diff)
		}
	}},
	{"end-12a/nobody, an absent subject and an absent repository are an empty list", func(e *env, repo string) {
		absent := digest.FromString("absent")
		for _, d := range []digest.Digest{absent, digest.SHA512.FromString("absent")} {
			r := e.referrers(repo, d, "")
			e.bytes(r, []byte(`{"schemaVersion":2,"mediaType":"`+ociIndex+`","manifests":[]}`))
		}
		e.tagged(repo, "a")
		if got := e.index(e.referrers(repo, absent, "?artifactType=none")); len(got) != 0 {
			e.Fatalf("referrers of an absent subject are %v, want none", got)
		}
	}},
	{"end-12a/a malformed digest is 400", func(e *env, repo string) {
		for _, d := range []string{"sha256:bad", "latest", "md5:d41d8cd98f00b204e9800998ecf8427e"} {
			e.refused(e.do("GET", "/v2/"+repo+"/referrers/"+d, nil), 400, "DIGEST_INVALID")
		}
		e.refused(e.do("GET", "/v2/"+repo+"/referrers/"+digest.FromString("x").String()+"?last=bad", nil), 400, "DIGEST_INVALID")
	}},
	{"end-12a/referrers pushed before their subject are listed", func(e *env, repo string) {
		m := e.image(repo, "late")
		e.refer(repo, descOf(ociManifest, m), "application/vnd.example.sig", "early")
		e.pushManifest(repo, "late", ociManifest, m)
		if got := e.index(e.referrers(repo, digest.FromBytes(m), "")); len(got) != 1 {
			e.Fatalf("referrers are %v, want one", got)
		}
	}},
	{"end-12a/a long list has a Link to the rest", func(e *env, repo string) {
		subject := descOf(ociManifest, []byte("subject of many"))
		want := map[digest.Digest]bool{}
		for i := range 6 { // a megabyte each, and a page is cut at four
			r := e.refer(repo, subject, "application/vnd.example.sig", strings.Repeat("A", 1<<20)+strconv.Itoa(i))
			want[digest.Digest(r.header.Get("Docker-Content-Digest"))] = true
		}
		pages, next := 0, "/v2/"+repo+"/referrers/"+subject.Digest.String()+"?artifactType=application/vnd.example.sig"
		for ; next != ""; pages++ {
			r := e.status(e.do("GET", next, nil), 200)
			e.header(r, "OCI-Filters-Applied", "artifactType")
			for _, d := range e.index(r) {
				if !want[d.Digest] {
					e.Fatalf("%s lists %s, which is not expected, or again", r.call, d.Digest)
				}
				delete(want, d.Digest)
			}
			next = nextPage(r)
		}
		if pages < 2 || len(want) != 0 {
			e.Fatalf("%d pages left out %d referrers, want several pages and none", pages, len(want))
		}
	}},
	{"end-12b/artifactType filters, and the answer says so", func(e *env, repo string) {
		subject := descOf(ociManifest, []byte("subject"))
		e.refer(repo, subject, "application/vnd.example.sig+json", "one")
		e.refer(repo, subject, "application/vnd.example.sbom", "two")
		for _, query := range []string{"application/vnd.example.sig%2Bjson", "application/vnd.example.sig+json"} {
			r := e.referrers(repo, subject.Digest, "?artifactType="+query)
			e.header(r, "OCI-Filters-Applied", "artifactType")
			got := e.index(r)
			if len(got) != 1 || got[0].ArtifactType != "application/vnd.example.sig+json" {
				e.Fatalf("%s lists %v, want the one signature", r.call, got)
			}
		}
		r := e.referrers(repo, subject.Digest, "?artifactType=%00%ff")
		if got := e.index(r); len(got) != 0 {
			e.Fatalf("%s lists %v, want none", r.call, got)
		}
	}},
	{"catalog/lists repositories with paging", func(e *env, _ string) {
		own := start(e, e.stores, setup{})
		for _, repo := range []string{"b/x", "a", "c"} {
			own.pushBlob(repo, []byte(repo))
		}
		e.bytes(own.status(own.do("GET", "/v2/_catalog", nil), 200), []byte(`{"repositories":["a","b/x","c"]}`))
		r := own.status(own.do("GET", "/v2/_catalog?n=2", nil), 200)
		e.bytes(r, []byte(`{"repositories":["a","b/x"]}`))
		r = own.status(own.do("GET", nextPage(r), nil), 200)
		e.bytes(r, []byte(`{"repositories":["c"]}`))
		e.header(r, "Link", "")
		e.bytes(own.do("GET", "/v2/_catalog?n=0", nil), []byte(`{"repositories":[]}`))
		own.refused(own.do("GET", "/v2/_catalog?n=-1", nil), 400, "PAGINATION_NUMBER_INVALID")
	}},
	{"catalog/lists only what the caller may see", func(e *env, _ string) {
		own := start(e, e.stores, setup{access: &policy.Access{AnonymousPull: []string{"public"}}, auth: users{}})
		ann := own.as("ann:secret")
		for _, repo := range []string{"public/x", "private/x", "publicity"} {
			ann.pushBlob(repo, []byte(repo))
		}
		e.bytes(own.status(own.do("GET", "/v2/_catalog", nil), 200), []byte(`{"repositories":["public/x"]}`))
		e.bytes(ann.status(ann.do("GET", "/v2/_catalog", nil), 200), []byte(`{"repositories":["private/x","public/x","publicity"]}`))
	}},
}

var deleteClauses = []clause{
	{"end-9/DELETE of a tag removes the tag alone", func(e *env, repo string) {
		m := e.tagged(repo, "a")
		e.status(e.do("DELETE", "/v2/"+repo+"/manifests/a", nil), 202)
		e.refused(e.do("GET", "/v2/"+repo+"/manifests/a", nil), 404, "MANIFEST_UNKNOWN")
		e.status(e.do("GET", "/v2/"+repo+"/manifests/"+digest.FromBytes(m).String(), nil), 200)
		e.refused(e.do("DELETE", "/v2/"+repo+"/manifests/a", nil), 404, "MANIFEST_UNKNOWN")
	}},
	{"end-9/DELETE of a digest removes the manifest and its tags", func(e *env, repo string) {
		m := e.tagged(repo, "a")
		e.pushManifest(repo, "b", ociManifest, m)
		d := digest.FromBytes(m).String()
		e.status(e.do("DELETE", "/v2/"+repo+"/manifests/"+d, nil), 202)
		for _, ref := range []string{"a", "b", d} {
			e.refused(e.do("GET", "/v2/"+repo+"/manifests/"+ref, nil), 404, "MANIFEST_UNKNOWN")
		}
		e.tagsAre(e.do("GET", "/v2/"+repo+"/tags/list", nil), repo)
		e.refused(e.do("DELETE", "/v2/"+repo+"/manifests/"+d, nil), 404, "MANIFEST_UNKNOWN")
	}},
	{"end-9/a deleted referrer is listed no more", func(e *env, repo string) {
		subject := descOf(ociManifest, []byte("subject"))
		d := e.refer(repo, subject, "application/vnd.example.sig", "one").header.Get("Docker-Content-Digest")
		e.status(e.do("DELETE", "/v2/"+repo+"/manifests/"+d, nil), 202)
		if got := e.index(e.referrers(repo, subject.Digest, "")); len(got) != 0 {
			e.Fatalf("referrers are %v, want none", got)
		}
	}},
	{"end-9/what is not there is 404", func(e *env, repo string) {
		e.refused(e.do("DELETE", "/v2/"+repo+"/manifests/a", nil), 404, "NAME_UNKNOWN")
		e.refused(e.do("DELETE", "/v2/"+repo+"/manifests/"+digest.FromString("x").String(), nil), 404, "NAME_UNKNOWN")
		e.pushBlob(repo, []byte(repo))
		e.refused(e.do("DELETE", "/v2/"+repo+"/manifests/a", nil), 404, "MANIFEST_UNKNOWN")
	}},
	{"end-10/DELETE removes a blob", func(e *env, repo string) {
		d := e.pushBlob(repo, []byte(repo)).String()
		e.status(e.do("DELETE", "/v2/"+repo+"/blobs/"+d, nil), 202)
		e.refused(e.do("GET", "/v2/"+repo+"/blobs/"+d, nil), 404, "BLOB_UNKNOWN")
		e.status(e.do("HEAD", "/v2/"+repo+"/blobs/"+d, nil), 404)
		e.refused(e.do("DELETE", "/v2/"+repo+"/blobs/"+d, nil), 404, "BLOB_UNKNOWN")
	}},
	{"end-10/another repository keeps its blob", func(e *env, repo string) {
		d := e.pushBlob(repo, []byte(repo)).String()
		e.pushBlob(repo+"/other", []byte(repo))
		e.status(e.do("DELETE", "/v2/"+repo+"/blobs/"+d, nil), 202)
		e.status(e.do("GET", "/v2/"+repo+"/other/blobs/"+d, nil), 200)
	}},
	{"end-10/a blob that a manifest needs stays, with 405", func(e *env, repo string) {
		m := e.tagged(repo, "a")
		d := digest.FromString("layer of a").String()
		r := e.do("DELETE", "/v2/"+repo+"/blobs/"+d, nil)
		e.refused(r, 405, "UNSUPPORTED")
		e.header(r, "Allow", "GET, HEAD")
		e.status(e.do("GET", "/v2/"+repo+"/blobs/"+d, nil), 200)
		e.status(e.do("DELETE", "/v2/"+repo+"/manifests/"+digest.FromBytes(m).String(), nil), 202)
		e.status(e.do("DELETE", "/v2/"+repo+"/blobs/"+d, nil), 202)
	}},
	{"end-10/a blob that two manifests need goes after both", func(e *env, repo string) {
		empty := []byte(`{}`)
		d := e.pushBlob(repo, empty).String()
		c := descOf("application/vnd.oci.empty.v1+json", empty)
		var manifests []string
		for _, name := range []string{"a", "b"} {
			m := manifest{
				MediaType: ociManifest, ArtifactType: "text/x-note", Config: &c, Layers: []desc{c},
				Annotations: map[string]string{"name": name},
			}.encode()
			e.pushManifest(repo, name, ociManifest, m)
			manifests = append(manifests, digest.FromBytes(m).String())
		}
		for _, m := range manifests {
			e.refused(e.do("DELETE", "/v2/"+repo+"/blobs/"+d, nil), 405, "UNSUPPORTED")
			e.status(e.do("DELETE", "/v2/"+repo+"/manifests/"+m, nil), 202)
		}
		e.status(e.do("DELETE", "/v2/"+repo+"/blobs/"+d, nil), 202)
		e.status(e.do("HEAD", "/v2/"+repo+"/blobs/"+d, nil), 404)
	}},
	{"end-10/a deleted blob can be pushed again", func(e *env, repo string) {
		d := e.pushBlob(repo, []byte(repo)).String()
		e.status(e.do("DELETE", "/v2/"+repo+"/blobs/"+d, nil), 202)
		e.pushBlob(repo, []byte(repo))
		e.bytes(e.status(e.do("GET", "/v2/"+repo+"/blobs/"+d, nil), 200), []byte(repo))
	}},
}

var errorClauses = []clause{
	{"code/errors are JSON of the specification's form", func(e *env, repo string) {
		r := e.do("GET", "/v2/"+repo+"/manifests/a", nil)
		var body map[string][]map[string]any
		if err := json.Unmarshal(r.body, &body); err != nil || len(body) != 1 || len(body["errors"]) != 1 {
			e.Fatalf("body %s is not an object with errors alone: %v", r.body, err)
		}
		for _, key := range []string{"code", "message", "detail"} {
			if body["errors"][0][key] == nil {
				e.Errorf("error %s lacks %s", r.body, key)
			}
		}
		e.header(r, "Content-Length", strconv.Itoa(len(r.body)))
	}},
	{"code/NAME_UNKNOWN for a repository that is not there", func(e *env, repo string) {
		e.refused(e.do("GET", "/v2/"+repo+"/manifests/a", nil), 404, "NAME_UNKNOWN")
		e.refused(e.do("GET", "/v2/"+repo+"/blobs/"+digest.FromString("x").String(), nil), 404, "NAME_UNKNOWN")
	}},
	{"code/NAME_INVALID for what is no name", func(e *env, _ string) {
		for _, name := range []string{"UPPER", "a//b", "-a", "a-", "a..b", "a___b", "%20", "a%00b", strings.Repeat("a", 256)} {
			e.refused(e.do("GET", "/v2/"+name+"/tags/list", nil), 400, "NAME_INVALID")
			e.refused(e.do("POST", "/v2/"+name+"/blobs/uploads/", nil), 400, "NAME_INVALID")
		}
	}},
	{"code/UNAUTHORIZED and DENIED", func(e *env, repo string) {
		own := start(e, e.stores, setup{access: &policy.Access{AnonymousPull: []string{"public"}}, auth: users{}})
		own.as("ann:secret").tagged("public/x", "a")
		own.status(own.do("GET", "/v2/public/x/manifests/a", nil), 200)
		for _, path := range []string{"/v2/private/x/manifests/a", "/v2/" + repo + "/manifests/absent", "/v2/"} {
			own.refused(own.do("GET", path, nil), 401, "UNAUTHORIZED")
		}
		own.refused(own.do("DELETE", "/v2/public/x/manifests/a", nil), 401, "UNAUTHORIZED")
		wrong := own.as("ann:wrong")
		r := wrong.do("GET", "/v2/public/x/manifests/a", nil)
		wrong.refused(r, 401, "UNAUTHORIZED")
		e.header(r, "WWW-Authenticate", users{}.Challenge())
	}},
	{"code/UNSUPPORTED for a method that is not", func(e *env, repo string) {
		d := digest.FromString("x").String()
		for call, allow := range map[string]string{
			"POST /v2/":                               "GET, HEAD",
			"DELETE /v2/_catalog":                     "GET, HEAD",
			"POST /v2/" + repo + "/tags/list":         "GET, HEAD",
			"PUT /v2/" + repo + "/blobs/" + d:         "GET, HEAD, DELETE",
			"POST /v2/" + repo + "/manifests/a":       "GET, HEAD, PUT, DELETE",
			"GET /v2/" + repo + "/blobs/uploads/":     "POST",
			"POST /v2/" + repo + "/blobs/uploads/abc": "PATCH, PUT, GET, HEAD, DELETE",
			"DELETE /v2/" + repo + "/referrers/" + d:  "GET, HEAD",
			"BREW /v2/" + repo + "/manifests/a":       "GET, HEAD, PUT, DELETE",
		} {
			method, path, _ := strings.Cut(call, " ")
			r := e.do(method, path, nil)
			e.refused(r, 405, "UNSUPPORTED")
			e.header(r, "Allow", allow)
		}
	}},
	{"code/TOOMANYREQUESTS when too many uploads are open", func(e *env, repo string) {
		own := start(e, e.stores, setup{registry: registry.Options{MaxUploads: 2}})
		first := own.begin(repo)
		own.begin(repo)
		r := own.do("POST", "/v2/"+repo+"/blobs/uploads/", nil)
		own.refused(r, 429, "TOOMANYREQUESTS")
		if r.header.Get("Retry-After") == "" {
			e.Error("429 without Retry-After")
		}
		own.status(own.do("DELETE", first, nil), 204)
		own.begin(repo)
	}},
	{"http/a path that is no end-point is 404", func(e *env, repo string) {
		for _, path := range []string{"/v2/x", "/v2/" + repo, "/v2/" + repo + "/tags", "/v2/" + repo + "/nothing/x", "/v3/", "/v2/" + repo + "/uploads/x"} {
			e.refused(e.do("GET", path, nil), 404, "NAME_UNKNOWN")
		}
	}},
	{"http/names may contain the words of end-points", func(e *env, repo string) {
		for _, name := range []string{repo + "/blobs", repo + "/manifests/tags/list", repo + "/blobs/uploads", "tags/list", "uploads"} {
			m := e.tagged(name, "a")
			e.bytes(e.status(e.do("GET", "/v2/"+name+"/manifests/a", nil), 200), m)
			e.tagsAre(e.do("GET", "/v2/"+name+"/tags/list", nil), name, "a")
		}
	}},
}

// refer pushes an artifact about subject and returns the answer.
func (e *env) refer(repo string, subject desc, artifactType, name string) reply {
	e.Helper()
	config := []byte("{}")
	e.pushBlob(repo, config)
	c := descOf(ociConfig, config)
	m := manifest{
		MediaType: ociManifest, ArtifactType: artifactType, Config: &c, Subject: &subject, Annotations: map[string]string{"name": name},
	}.encode()
	return e.pushManifest(repo, digest.FromBytes(m).String(), ociManifest, m)
}

func (e *env) referrers(repo string, d digest.Digest, query string) reply {
	e.Helper()
	r := e.status(e.do("GET", "/v2/"+repo+"/referrers/"+d.String()+query, nil), 200)
	e.header(r, "Content-Type", ociIndex)
	return r
}

func (e *env) index(r reply) []desc {
	e.Helper()
	var m manifest
	if err := json.Unmarshal(r.body, &m); err != nil || m.MediaType != ociIndex || m.SchemaVersion != 2 {
		e.Fatalf("%s: body %q is no index: %v", clip(r.call), clip(string(r.body)), err)
	}
	return m.Manifests
}

func (e *env) tagsAre(r reply, name string, want ...string) {
	e.Helper()
	var got struct {
		Name string
		Tags []string
	}
	if err := json.Unmarshal(r.body, &got); err != nil || r.status != 200 {
		e.Fatalf("%s = %d, body %q: %v", clip(r.call), r.status, clip(string(r.body)), err)
	}
	if got.Name != name || !slices.Equal(got.Tags, want) {
		e.Fatalf("%s lists %s %q, want %s %q", clip(r.call), got.Name, got.Tags, name, want)
	}
}

// nextPage is the path that Link leads to, "" if there is none.
func nextPage(r reply) string {
	next, _ := strings.CutSuffix(strings.TrimPrefix(r.header.Get("Link"), "<"), `>; rel="next"`)
	return next
}

// users is an authenticator that knows ann, whose password is secret.
type users struct{}

func (users) Challenge() string { return `Basic realm="test"` }

func (users) Authenticate(r *http.Request) (policy.Principal, error) {
	name, password, ok := r.BasicAuth()
	if !ok {
		return policy.Principal{}, nil
	}
	if password != "secret" {
		return policy.Principal{}, errWrongPassword
	}
	return policy.Principal{Name: name}, nil
}
