package ociapi_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/registry"
	"github.com/wreg-project/wreg/registry/ociapi"
	"github.com/wreg-project/wreg/registry/policy"
	"github.com/wreg-project/wreg/storage/blob"
)

// dial opens a raw connection, for requests that no client library sends.
func (e *env) dial() net.Conn {
	e.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(e.url, "http://"))
	if err != nil {
		e.Fatal(err)
	}
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		e.Fatal(err)
	}
	return c
}

// eventually polls until ok, or fails with what.
func (e *env) eventually(what string, ok func() bool) {
	e.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			e.Fatalf("after 20 s still not: %s", what)
		}
	}
}

func TestVanishingClientKeepsChunkAndLosesPost(t *testing.T) {
	for _, s := range []stores{sqliteOnMem, sqliteOnFS} {
		t.Run(s.name, func(t *testing.T) {
			e := start(t, s, setup{})
			location := e.begin("a/b")
			c := e.dial()
			fmt.Fprintf(c, "PATCH %s HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\nContent-Range: 0-999\r\n\r\n0123456789", location)
			e.eventually("the upload has ten bytes", func() bool {
				return e.do("GET", location, nil).header.Get("Range") == "0-9"
			})
			c.Close()
			// Once the broken request has ended the client goes on where it was cut.
			e.eventually("the rest is accepted", func() bool {
				return e.do("PATCH", location, []byte("abcde"), "Content-Range", "10-14").status == 202
			})
			d := digest.FromString("0123456789abcde").String()
			e.status(e.do("PUT", location+"?digest="+d, nil), 201)
			e.bytes(e.do("GET", "/v2/a/b/blobs/"+d, nil), []byte("0123456789abcde"))
			e.status(e.do("DELETE", "/v2/a/b/blobs/"+d, nil), 202)

			c = e.dial()
			d = digest.FromString("0123456789").String()
			fmt.Fprintf(c, "POST /v2/a/b/blobs/uploads/?digest=%s HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n0123456789", d)
			if half, ok := c.(*net.TCPConn); ok {
				half.CloseWrite()
			}
			line, err := bufio.NewReader(c).ReadString('\n')
			if err != nil || !strings.Contains(line, " 400 ") {
				t.Errorf("a POST cut in its body is answered %q, %v, want 400", line, err)
			}
			c.Close()
			e.status(e.do("HEAD", "/v2/a/b/blobs/"+d, nil), 404)
			e.noTemporaryFiles()
			if n := e.reg.OpenUploads(); n != 0 {
				t.Errorf("%d uploads are open, want none", n)
			}
		})
	}
}

func TestTruncatedManifestIsNotStored(t *testing.T) {
	e := start(t, sqliteOnMem, setup{})
	m := e.image("a", "x")
	c := e.dial()
	fmt.Fprintf(c, "PUT /v2/a/manifests/x HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s", ociManifest, len(m)+10, m)
	c.(*net.TCPConn).CloseWrite()
	line, err := bufio.NewReader(c).ReadString('\n')
	if err != nil || !strings.Contains(line, " 400 ") {
		t.Errorf("a PUT cut in its body is answered %q, %v, want 400", line, err)
	}
	c.Close()
	e.refused(e.do("GET", "/v2/a/manifests/x", nil), 404, "MANIFEST_UNKNOWN")
}

func TestRefusedContentLeavesNothing(t *testing.T) {
	wrong := digest.FromString("other").String()
	content := []byte("content")
	attempts := []struct {
		name string
		try  func(e *env)
	}{
		{"a single POST with a wrong digest", func(e *env) {
			e.refused(e.do("POST", "/v2/a/blobs/uploads/?digest="+wrong, content), 400, "DIGEST_INVALID")
		}},
		{"a PUT with a wrong digest", func(e *env) {
			e.refused(e.do("PUT", e.begin("a")+"?digest="+wrong, content), 400, "DIGEST_INVALID")
		}},
		{"a PUT with a wrong digest of the other algorithm", func(e *env) {
			location := e.begin("a")
			e.status(e.do("PATCH", location, content), 202)
			e.refused(e.do("PUT", location+"?digest="+digest.SHA512.FromString("other").String(), nil), 400, "DIGEST_INVALID")
		}},
		{"a blob above the limit, announced", func(e *env) {
			e.refused(e.do("POST", "/v2/a/blobs/uploads/?digest="+wrong, make([]byte, 2000)), 413, "SIZE_INVALID")
		}},
		{"a blob above the limit, streamed", func(e *env) {
			body := io.MultiReader(strings.NewReader(strings.Repeat("x", 1500)))
			e.refused(e.send("PATCH", e.begin("a"), body), 413, "SIZE_INVALID")
		}},
		{"a blob above the limit in chunks", func(e *env) {
			location := e.begin("a")
			e.status(e.do("PATCH", location, make([]byte, 900)), 202)
			e.refused(e.do("PATCH", location, make([]byte, 900), "Content-Range", "900-1799"), 413, "SIZE_INVALID")
		}},
		{"a cancelled upload", func(e *env) {
			location := e.begin("a")
			e.status(e.do("PATCH", location, content), 202)
			e.status(e.do("DELETE", location, nil), 204)
		}},
		{"a manifest by a wrong digest", func(e *env) {
			e.refused(e.putManifest("a", wrong, "application/vnd.example", content), 400, "DIGEST_INVALID")
		}},
	}
	for _, s := range []stores{sqliteOnMem, sqliteOnFS} {
		for _, a := range attempts {
			t.Run(s.name+"/"+a.name, func(t *testing.T) {
				e := start(t, s, setup{registry: registry.Options{MaxBlob: 1000}})
				a.try(e)
				e.nothingKept()
				if names, err := e.db.Manifests(t.Context(), "a", metaPage); err == nil && len(names) != 0 {
					t.Errorf("manifests %v are stored, want none", names)
				}
			})
		}
	}
}

func TestInvalidManifests(t *testing.T) {
	e := start(t, sqliteOnMem, setup{})
	e.pushBlob("a", []byte("{}"))
	config := fmt.Sprintf(`{"mediaType":%q,"digest":%q,"size":2}`, ociConfig, digest.FromString("{}"))
	deep := strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000)
	many := strings.Repeat(config+",", 10_001) + config
	tests := []struct{ name, mediaType, content string }{
		{"no JSON", ociManifest, "\x00\xff"},
		{"nothing", ociManifest, ""},
		{"null", ociManifest, "null"},
		{"an array", ociManifest, "[]"},
		{"cut short", ociManifest, `{"schemaVersion":2,"config":` + config},
		{"more behind it", ociManifest, `{"schemaVersion":2,"config":` + config + `}{}`},
		{"another schemaVersion", ociManifest, `{"schemaVersion":1,"config":` + config + `}`},
		{"schemaVersion is a text", ociManifest, `{"schemaVersion":"2","config":` + config + `}`},
		{"schemaVersion is a fraction", ociManifest, `{"schemaVersion":2.5,"config":` + config + `}`},
		{"no config", ociManifest, `{"schemaVersion":2,"layers":[]}`},
		{"config is null", ociManifest, `{"schemaVersion":2,"config":null}`},
		{"config is a list", ociManifest, `{"schemaVersion":2,"config":[]}`},
		{"a name twice", ociManifest, `{"schemaVersion":2,"config":` + config + `,"config":` + config + `}`},
		{"a name twice in a descriptor", ociManifest, `{"schemaVersion":2,"config":` + strings.Replace(config, "{", `{"size":2,`, 1) + `}`},
		{"another case of a name", ociManifest, `{"schemaVersion":2,"Config":` + config + `}`},
		{"a manifest that is an index too", ociManifest, `{"schemaVersion":2,"config":` + config + `,"manifests":[` + config + `]}`},
		{"an index that is a manifest too", ociIndex, `{"schemaVersion":2,"manifests":[],"config":` + config + `}`},
		{"a size that is not the blob's", ociManifest, `{"schemaVersion":2,"config":` + strings.Replace(config, ":2}", ":3}", 1) + `}`},
		{"a negative size", ociManifest, `{"schemaVersion":2,"config":` + strings.Replace(config, ":2}", ":-1}", 1) + `}`},
		{"no size", ociManifest, `{"schemaVersion":2,"config":` + strings.Replace(config, `,"size":2`, "", 1) + `}`},
		{"a huge size", ociManifest, `{"schemaVersion":2,"config":` + strings.Replace(config, ":2}", ":99999999999999999999}", 1) + `}`},
		{"a digest of another algorithm", ociManifest, `{"schemaVersion":2,"config":{"digest":"md5:d41d8cd98f00b204e9800998ecf8427e","size":2}}`},
		{"no digest", ociManifest, `{"schemaVersion":2,"config":{"size":2}}`},
		{"a subject without digest", ociManifest, `{"schemaVersion":2,"config":` + config + `,"subject":{}}`},
		{"annotations that are no texts", ociManifest, `{"schemaVersion":2,"config":` + config + `,"annotations":{"a":1}}`},
		{"an artifactType with a zero byte", ociManifest, `{"schemaVersion":2,"artifactType":"a\u0000","config":` + config + `}`},
		{"null in layers", ociManifest, `{"schemaVersion":2,"config":` + config + `,"layers":[null]}`},
		{"nested without end", ociManifest, `{"schemaVersion":2,"config":` + config + `,"x":` + deep + `}`},
		{"more descriptors than anybody needs", ociIndex, `{"schemaVersion":2,"manifests":[` + many + `]}`},
		{"no type at all", "", `{"schemaVersion":2}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			x := *e
			x.TB = t
			for _, detail := range x.refused(x.putManifest("a", "x", tt.mediaType, []byte(tt.content)), 400, "MANIFEST_INVALID") {
				if text := fmt.Sprint(detail); len(text) > 500 {
					t.Errorf("a detail of %d bytes: %s…", len(text), text[:200])
				}
			}
			x.status(x.do("GET", "/v2/a/manifests/x", nil), 404)
		})
	}
}

// Whatever is sent, the answer is the specification's and the server goes on.
func TestGarbageEverywhere(t *testing.T) {
	garbage := []string{
		"", "x", "..", "../..", "%2e%2e", "%2F", "%00", "%ff%fe", "sha256:", "sha256:" + strings.Repeat("0", 63), "sha256:" + strings.Repeat("G", 64),
		"SHA256:" + strings.Repeat("0", 64), "sha256:" + strings.Repeat("0", 1000), "sha512:" + strings.Repeat("0", 64), ":", "-1", "0x10",
		"9999999999999999999999", "%3Cscript%3E", strings.Repeat("a", 5000), "a%20b", "%F0%9F%92%A9", "*", "%22", "'", "%0d%0aX-Evil:%201",
	}
	e := start(t, sqliteOnMem, setup{})
	e.tagged("a", "x")
	d := digest.FromString("layer of x").String()
	for _, g := range garbage {
		paths := []string{
			"/v2/" + g, "/v2/" + g + "/tags/list", "/v2/" + g + "/manifests/x", "/v2/a/manifests/" + g, "/v2/a/blobs/" + g, "/v2/a/referrers/" + g,
			"/v2/a/blobs/uploads/" + g, "/v2/a/blobs/uploads/?digest=" + g, "/v2/a/blobs/uploads/?mount=" + g + "&from=" + g,
			"/v2/a/blobs/uploads/?digest-algorithm=" + g, "/v2/a/tags/list?n=" + g, "/v2/a/tags/list?last=" + g, "/v2/_catalog?n=" + g + "&last=" + g,
			"/v2/a/referrers/" + d + "?artifactType=" + g + "&last=" + g, "/v2/a/manifests/" + d + "?tag=" + g,
		}
		for _, path := range paths {
			for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"} {
				if strings.Contains(path, "/x") && method == "DELETE" {
					continue
				}
				r := e.do(method, path, []byte("garbage"), "Content-Type", "application/vnd.example")
				if r.status >= 500 {
					t.Errorf("%s = %d, want no server error", clip(r.call), r.status)
				}
				if r.header.Get("X-Evil") != "" {
					t.Errorf("%s: a header was injected", clip(r.call))
				}
			}
		}
		if strings.Contains(g, "%") {
			continue // no header value
		}
		for _, name := range []string{"Range", "If-Range", "If-Match", "If-None-Match", "Content-Range", "Content-Type", "Accept", "Authorization"} {
			for _, call := range []string{"GET /v2/a/blobs/" + d, "PUT /v2/a/manifests/y", "PATCH " + e.begin("a")} {
				method, path, _ := strings.Cut(call, " ")
				if r := e.do(method, path, []byte("garbage"), name, g); r.status >= 500 {
					t.Errorf("%s with %s: %s = %d, want no server error", clip(r.call), name, clip(g), r.status)
				}
			}
		}
	}
	e.status(e.do("GET", "/v2/a/manifests/x", nil), 200)
}

// An upload belongs to who began it, in the repository where it was begun.
func TestUploadOfAnotherPrincipal(t *testing.T) {
	e := start(t, sqliteOnMem, setup{access: &policy.Access{}, auth: users{}})
	ann, bob := e.as("ann:secret"), e.as("bob:secret")
	location := ann.begin("a")
	for _, method := range []string{"GET", "PATCH", "PUT", "DELETE"} {
		bob.refused(bob.do(method, location+"?digest="+digest.FromString("x").String(), []byte("x")), 404, "BLOB_UPLOAD_UNKNOWN")
	}
	ann.status(ann.do("GET", location, nil), 204)
}

// Two requests cannot write to one upload at the same time; the second is told
// what has arrived.
func TestConcurrentChunksOfOneUpload(t *testing.T) {
	e := start(t, sqliteOnMem, setup{})
	location := e.begin("a")
	body, pipe := io.Pipe()
	var wg sync.WaitGroup
	wg.Go(func() {
		if r := e.send("PATCH", location, body); r.status != 202 {
			t.Errorf("%s = %d, want 202", r.call, r.status)
		}
	})
	pipe.Write([]byte("01234"))
	e.eventually("five bytes have arrived", func() bool { return e.do("GET", location, nil).header.Get("Range") == "0-4" })
	for _, method := range []string{"PATCH", "PUT", "DELETE"} {
		r := e.do(method, location+"?digest="+digest.FromString("x").String(), []byte("56789"))
		e.refused(r, 416, "BLOB_UPLOAD_INVALID")
	}
	pipe.Close()
	wg.Wait()
	e.status(e.do("PUT", location+"?digest="+digest.FromString("01234").String(), nil), 201)
}

// A store that fails is a clean 500 that tells the client nothing about it.
func TestFailingStore(t *testing.T) {
	e := start(t, sqliteOnMem, setup{wrap: func(s blob.Store) blob.Store { return &failing{s} }})
	for name, try := range map[string]func() reply{
		"POST": func() reply {
			return e.do("POST", "/v2/a/blobs/uploads/?digest="+digest.FromString("x").String(), []byte("x"))
		},
		"PATCH": func() reply { return e.do("PATCH", e.begin("a"), []byte("x")) },
		"PUT":   func() reply { return e.do("PUT", e.begin("a")+"?digest="+digest.FromString("x").String(), []byte("x")) },
	} {
		r := try()
		e.refused(r, 500, "UNKNOWN")
		if strings.Contains(string(r.body), "no space") {
			t.Errorf("%s shows the client the store's error: %s", name, r.body)
		}
	}
}

type failing struct{ blob.Store }

func (f *failing) Create(ctx context.Context, alg digest.Algorithm) (blob.Upload, error) {
	u, err := f.Store.Create(ctx, alg)
	return &failingUpload{u}, err
}

type failingUpload struct{ blob.Upload }

func (*failingUpload) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

// A blob that breaks while it is sent must not look whole.
func TestBrokenReadCutsTheConnection(t *testing.T) {
	e := start(t, sqliteOnMem, setup{wrap: func(s blob.Store) blob.Store { return &halving{s} }})
	d := e.pushBlob("a", []byte(strings.Repeat("x", 100_000)))
	res, err := http.Get(e.url + "/v2/a/blobs/" + d.String())
	if err != nil {
		return // cut before the header was out is as good
	}
	defer res.Body.Close()
	if n, err := io.Copy(io.Discard, res.Body); err == nil {
		t.Errorf("reading the blob gave %d bytes and no error, want an error", n)
	}
}

// halving gives half of what is asked for.
type halving struct{ blob.Store }

func (h *halving) Open(ctx context.Context, k blob.Key, off, n int64) (io.ReadCloser, error) {
	r, err := h.Store.Open(ctx, k, off, n)
	if err != nil {
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{io.LimitReader(r, n/2), r}, nil
}

// A local file has to reach the ResponseWriter as a file, or the kernel cannot
// send it.
func TestBlobReachesTheWriterAsFile(t *testing.T) {
	e := start(t, sqliteOnFS, setup{})
	d := e.pushBlob("a", []byte(strings.Repeat("x", 100_000)))
	h := ociapi.New(ociapi.Options{Registry: e.reg, Access: policy.Access{Open: true}})
	for header, want := range map[string]int64{"": 100_000, "bytes=500-999": 500} {
		w := &readerFrom{ResponseRecorder: httptest.NewRecorder()}
		r := httptest.NewRequest("GET", "/v2/a/blobs/"+d.String(), nil)
		if header != "" {
			r.Header.Set("Range", header)
		}
		h.ServeHTTP(w, r)
		limited, ok := w.src.(*io.LimitedReader)
		if !ok {
			t.Fatalf("Range %q: the writer was given a %T, want an *io.LimitedReader", header, w.src)
		}
		if _, ok := limited.R.(*os.File); !ok || w.n != want {
			t.Errorf("Range %q: the writer was given %d bytes of a %T, want %d of an *os.File", header, w.n, limited.R, want)
		}
	}
}

type readerFrom struct {
	*httptest.ResponseRecorder
	src io.Reader
	n   int64
}

func (r *readerFrom) ReadFrom(src io.Reader) (int64, error) {
	r.src = src
	n, err := io.Copy(r.ResponseRecorder, src)
	r.n += n
	return n, err
}
