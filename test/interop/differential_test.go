//go:build interop

package interop

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// A step is one request of the differential test, sent to wreg and to
// distribution's registry in the same order.
type step struct {
	name         string
	method, path string
	body         string
	header       map[string]string
	// differs is why wreg answers otherwise on purpose; "" where both have to
	// agree. A reason without a difference is an error too.
	differs string
}

const (
	manifestType = "application/vnd.oci.image.manifest.v1+json"
	indexType    = "application/vnd.oci.image.index.v1+json"
	repo         = "/v2/diff/package"
)

func sum(s string) string {
	h := sha256.Sum256([]byte(s))
	return "sha256:" + hex.EncodeToString(h[:])
}

func TestDifferencesToDistribution(t *testing.T) {
	ours, theirs := startWreg(t), startDistribution(t)
	for i, s := range steps() {
		got, want := s.send(t, ours), s.send(t, theirs)
		diff := difference(got, want)
		switch {
		case len(diff) > 0 && s.differs == "":
			t.Errorf("step %d, %s: wreg differs, and nothing says why:\n  %s", i, s.name, strings.Join(diff, "\n  "))
		case len(diff) == 0 && s.differs != "":
			t.Errorf("step %d, %s: no difference, but one is expected: %s", i, s.name, s.differs)
		case len(diff) > 0:
			t.Logf("wanted: %s: %s\n  %s", s.name, s.differs, strings.Join(diff, "\n  "))
		}
	}
}

// send runs the step. A path "upload:QUERY" goes to the Location of a new
// upload.
func (s step) send(t *testing.T, reg registry) answer {
	t.Helper()
	target := "http://" + reg.host + s.path
	if query, ok := strings.CutPrefix(s.path, "upload:"); ok {
		started := do(t, http.MethodPost, "http://"+reg.host+repo+"/blobs/uploads/", "", nil)
		base, err := url.Parse("http://" + reg.host)
		if err != nil {
			t.Fatal(err)
		}
		to, err := base.Parse(started.location)
		if err != nil {
			t.Fatal(err)
		}
		for pair := range strings.SplitSeq(query, "&") {
			if k, v, ok := strings.Cut(pair, "="); ok {
				q := to.Query()
				q.Set(k, v)
				to.RawQuery = q.Encode()
			}
		}
		target = to.String()
	}
	return do(t, s.method, target, s.body, s.header)
}

// answer is what is compared of a response.
type answer struct {
	status   int
	codes    []string // of the errors
	header   map[string]string
	body     string // of a success
	location string
}

func do(t *testing.T, method, target, body string, header map[string]string) answer {
	t.Helper()
	req, err := http.NewRequest(method, target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range header {
		req.Header.Set(k, v)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	a := answer{status: resp.StatusCode, header: map[string]string{}, location: resp.Header.Get("Location")}
	for _, k := range []string{"Docker-Content-Digest", "Content-Type", "Content-Range", "Range", "Link", "Accept-Ranges", "Etag"} {
		if v := resp.Header.Get(k); v != "" {
			a.header[k] = v
		}
	}
	if resp.StatusCode < 400 {
		a.body = string(b)
		return a
	}
	var e struct {
		Errors []struct{ Code string }
	}
	if json.Unmarshal(bytes.TrimSpace(b), &e) == nil {
		for _, one := range e.Errors {
			a.codes = append(a.codes, one.Code)
		}
	}
	return a
}

// difference compares everything that a client can build upon.
func difference(ours, theirs answer) []string {
	var diff []string
	add := func(what string, a, b any) {
		if fmt.Sprint(a) != fmt.Sprint(b) {
			diff = append(diff, fmt.Sprintf("%s: wreg %v, distribution %v", what, a, b))
		}
	}
	add("status", ours.status, theirs.status)
	add("codes", ours.codes, theirs.codes)
	add("Location", ours.location != "", theirs.location != "")
	keys := map[string]bool{}
	for k := range maps.Keys(ours.header) {
		keys[k] = true
	}
	for k := range maps.Keys(theirs.header) {
		keys[k] = true
	}
	for _, k := range slices.Sorted(maps.Keys(keys)) {
		if ours.status == theirs.status && ours.status < 400 {
			add(k, plainType(ours.header[k]), plainType(theirs.header[k]))
		}
	}
	if ours.status == theirs.status {
		add("body", strings.TrimSpace(ours.body), strings.TrimSpace(theirs.body))
	}
	return diff
}

// plainType leaves a charset out.
func plainType(v string) string {
	v, _, _ = strings.Cut(v, "; charset")
	return v
}

func steps() []step {
	const config, layer, absent = "{}", "a layer of bytes", "sha256:0000000000000000000000000000000000000000000000000000000000000000"
	image := func(annotation string) string {
		return fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":%q,"size":%d},`+
			`"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":%q,"size":%d}],"annotations":{"a":%q}}`,
			manifestType, sum(config), len(config), sum(layer), len(layer), annotation)
	}
	one := image("1")
	index := fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"manifests":[{"mediaType":%q,"digest":%q,"size":%d}]}`, indexType, manifestType, sum(one), len(one))
	oci := map[string]string{"Content-Type": manifestType}
	accept := map[string]string{"Accept": manifestType}
	return []step{
		{name: "the version check", method: "GET", path: "/v2/"},
		{name: "tags of an unknown repository", method: "GET", path: repo + "/tags/list"},
		{name: "a manifest of an unknown repository", method: "GET", path: repo + "/manifests/1.0.0", differs: "wkg takes NAME_UNKNOWN for a missing package; the specification allows either"},
		{name: "a blob of an unknown repository", method: "GET", path: repo + "/blobs/" + absent, differs: "the repository is what is unknown"},
		{name: "a bad name", method: "GET", path: "/v2/UPPER/tags/list", differs: "a name that can't exist is the caller's mistake, and is told what is wrong"},
		{name: "push a config", method: "PUT", path: "upload:digest=" + sum(config), body: config},
		{name: "push a layer", method: "PUT", path: "upload:digest=" + sum(layer), body: layer},
		{name: "push a layer again", method: "PUT", path: "upload:digest=" + sum(layer), body: layer},
		{name: "push with a wrong digest", method: "PUT", path: "upload:digest=" + absent, body: layer},
		{name: "push with no digest", method: "PUT", path: "upload:", body: layer},
		{name: "push with an unknown algorithm", method: "PUT", path: "upload:digest=md5:d41d8cd98f00b204e9800998ecf8427e", body: layer},
		{name: "a chunk", method: "PATCH", path: "upload:", body: layer, header: map[string]string{"Content-Range": "0-15"}},
		{name: "a chunk out of order", method: "PATCH", path: "upload:", body: layer, header: map[string]string{"Content-Range": "5-20"}, differs: "the 416 says where to go on; the specification gives BLOB_UPLOAD_INVALID"},
		{name: "a chunk of another length", method: "PATCH", path: "upload:", body: layer, header: map[string]string{"Content-Range": "0-9"}},
		{name: "a streamed chunk", method: "PATCH", path: "upload:", body: layer},
		{name: "the status of an upload", method: "GET", path: "upload:"},
		{name: "cancel an upload", method: "DELETE", path: "upload:"},
		{name: "HEAD of a blob", method: "HEAD", path: repo + "/blobs/" + sum(layer)},
		{name: "GET of a blob", method: "GET", path: repo + "/blobs/" + sum(layer)},
		{name: "a part of a blob", method: "GET", path: repo + "/blobs/" + sum(layer), header: map[string]string{"Range": "bytes=2-5"}},
		{name: "the end of a blob", method: "GET", path: repo + "/blobs/" + sum(layer), header: map[string]string{"Range": "bytes=-4"}},
		{name: "a part past the end", method: "GET", path: repo + "/blobs/" + sum(layer), header: map[string]string{"Range": "bytes=99-"}, differs: "every error has a body that says why"},
		{name: "an absent blob", method: "GET", path: repo + "/blobs/" + absent},
		{name: "a blob by a bad digest", method: "GET", path: repo + "/blobs/sha256:zz"},
		{name: "mount", method: "POST", path: "/v2/diff/other/blobs/uploads/?mount=" + sum(layer) + "&from=diff/package"},
		{name: "mount what is absent", method: "POST", path: "/v2/diff/other/blobs/uploads/?mount=" + absent + "&from=diff/package"},
		{name: "mount without from", method: "POST", path: "/v2/diff/third/blobs/uploads/?mount=" + sum(layer), differs: "the specification lets a registry find the blob itself"},
		{name: "a single POST", method: "POST", path: "/v2/diff/fourth/blobs/uploads/?digest=" + sum(layer), body: layer, header: map[string]string{"Content-Type": "application/octet-stream"}, differs: "one request is enough for a blob that is in its body"},
		{name: "push a manifest", method: "PUT", path: repo + "/manifests/1.0.0", body: one, header: oci, differs: "the answer to a push carries the ETag for the next conditional push"},
		{name: "push it again", method: "PUT", path: repo + "/manifests/1.0.0", body: one, header: oci, differs: "the answer to a push carries the ETag for the next conditional push"},
		{name: "push another under the same version", method: "PUT", path: repo + "/manifests/1.0.0", body: image("2"), header: oci, differs: "full versions are immutable"},
		{name: "push a manifest by digest", method: "PUT", path: repo + "/manifests/" + sum(image("3")), body: image("3"), header: oci, differs: "the answer to a push carries the ETag for the next conditional push"},
		{name: "push a manifest by a wrong digest", method: "PUT", path: repo + "/manifests/" + absent, body: image("4"), header: oci},
		{name: "push under a bad tag", method: "PUT", path: repo + "/manifests/.bad", body: one, header: oci, differs: "a tag that can't exist is the caller's mistake, and is told what is wrong"},
		{name: "push no JSON", method: "PUT", path: repo + "/manifests/bad", body: "not JSON", header: oci},
		{name: "push a manifest of absent blobs", method: "PUT", path: repo + "/manifests/bad", body: strings.ReplaceAll(one, sum(layer), absent), header: oci},
		{name: "push an index", method: "PUT", path: repo + "/manifests/index", body: index, header: map[string]string{"Content-Type": indexType}, differs: "the answer to a push carries the ETag for the next conditional push"},
		{name: "push an index of absent manifests", method: "PUT", path: repo + "/manifests/bad", body: strings.ReplaceAll(index, sum(one), absent), header: map[string]string{"Content-Type": indexType}},
		{name: "push another type than the body says", method: "PUT", path: repo + "/manifests/bad", body: one, header: map[string]string{"Content-Type": indexType}},
		{name: "GET a manifest by tag", method: "GET", path: repo + "/manifests/1.0.0", header: accept, differs: "the version did not move there, and manifests have ranges"},
		{name: "GET a manifest by digest", method: "GET", path: repo + "/manifests/" + sum(one), header: accept, differs: "manifests have ranges"},
		{name: "HEAD a manifest", method: "HEAD", path: repo + "/manifests/1.0.0", header: accept, differs: "the version did not move there, and manifests have ranges"},
		{name: "GET without Accept", method: "GET", path: repo + "/manifests/1.0.0", differs: "a client that accepts anything gets what there is"},
		{name: "GET an absent tag", method: "GET", path: repo + "/manifests/absent", header: accept},
		{name: "GET an absent digest", method: "GET", path: repo + "/manifests/" + absent, header: accept},
		{name: "conditional GET", method: "GET", path: repo + "/manifests/1.0.0", header: map[string]string{"Accept": manifestType, "If-None-Match": `"` + sum(one) + `"`}, differs: "the version did not move there, so the client's copy is current"},
		{name: "tags", method: "GET", path: repo + "/tags/list"},
		{name: "a page of tags", method: "GET", path: repo + "/tags/list?n=1"},
		{name: "the next page of tags", method: "GET", path: repo + "/tags/list?n=1&last=1.0.0", differs: "the last page has no next one"},
		{name: "a page of a bad length", method: "GET", path: repo + "/tags/list?n=x"},
		{name: "a page of no length", method: "GET", path: repo + "/tags/list?n=0"},
		{name: "the catalogue", method: "GET", path: "/v2/_catalog", differs: "mounts and single POSTs made repositories here"},
		{name: "a page of the catalogue", method: "GET", path: "/v2/_catalog?n=1", differs: "mounts and single POSTs made repositories here"},
		{name: "referrers", method: "GET", path: repo + "/referrers/" + sum(one), differs: "distribution has no referrers API"},
		{name: "a method that is not allowed", method: "POST", path: repo + "/tags/list", differs: "every error has a body that says why"},
		{name: "delete a tag", method: "DELETE", path: repo + "/manifests/index"},
		{name: "delete an absent tag", method: "DELETE", path: repo + "/manifests/absent"},
		{name: "delete a manifest", method: "DELETE", path: repo + "/manifests/" + sum(image("3"))},
		{name: "delete it again", method: "DELETE", path: repo + "/manifests/" + sum(image("3"))},
		{name: "delete a blob that a manifest needs", method: "DELETE", path: repo + "/blobs/" + sum(layer), differs: "a manifest's blobs stay while it does"},
		{name: "delete an absent blob", method: "DELETE", path: repo + "/blobs/" + absent},
	}
}
