package catalog

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/wreg-project/wreg/registry"
	"github.com/wreg-project/wreg/registry/auth"
	"github.com/wreg-project/wreg/registry/catalog/wire"
	"github.com/wreg-project/wreg/registry/ingest"
	"github.com/wreg-project/wreg/registry/policy"
	"github.com/wreg-project/wreg/signing/key"
	"github.com/wreg-project/wreg/signing/verify"
	"github.com/wreg-project/wreg/storage/blob/mem"
	"github.com/wreg-project/wreg/storage/meta"
	"github.com/wreg-project/wreg/storage/meta/sqlite"
)

// env is a running catalog over a real registry. Whatever it answers is held
// against the OpenAPI document.
type env struct {
	testing.TB
	url     string
	user    string // "" for anonymous; passwords are names
	api     *API
	db      meta.DB
	reg     *registry.Registry
	release *key.Private
}

// passwords knows everybody by a password that is the name.
type passwords struct{}

func (passwords) Authenticate(r *http.Request) (policy.Principal, error) {
	name, password, ok := r.BasicAuth()
	if !ok {
		return policy.Principal{}, nil
	}
	if name != password {
		return policy.Principal{}, fmt.Errorf("test: %w", auth.ErrCredentials)
	}
	return policy.Principal{Name: name}, nil
}

func (passwords) Challenge() string { return `Basic realm="test"` }

// start runs a catalog over SQLite. In it "public" is readable by all, root is an
// administrator and boss an approver. Signatures are believed if made by the key
// that env has as release.
func start(tb testing.TB, change func(*Options)) *env {
	tb.Helper()
	db, err := sqlite.Open(tb.Context(), filepath.Join(tb.TempDir(), "wreg.db"), sqlite.Options{Migrate: true})
	if err != nil {
		tb.Fatal(err)
	}
	blobs := mem.New()
	release, err := key.Generate(key.P256)
	if err != nil {
		tb.Fatal(err)
	}
	verifier, err := verify.New(verify.Material{Keys: []verify.Key{{Name: "release", Public: release.Public}}})
	if err != nil {
		tb.Fatal(err)
	}
	svc, err := ingest.New(tb.Context(), ingest.Options{
		Meta: db, Blobs: blobs, Producer: "test", Trust: func() ingest.Trusted { return ingest.Trusted{Verifier: verifier, Version: "1"} },
	})
	if err != nil {
		tb.Fatal(err)
	}
	watched := svc.Watch(db)
	reg := registry.New(registry.Options{
		Meta: watched, Blobs: blobs, MutableVersions: true, Admit: svc, Guarded: svc.Guarded, TagsMoved: svc.TagsMoved,
	})
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { svc.Run(ctx, reg) })
	o := Options{
		Meta: watched, Ingest: svc, Auth: passwords{}, Access: policy.Access{
			AnonymousPull: []string{"public"}, Admins: []string{"root"},
			Approvers: []string{"boss"},
		},
	}
	if change != nil {
		change(&o)
	}
	api := New(o)
	srv := httptest.NewServer(api)
	tb.Cleanup(func() {
		api.Close()
		srv.Close()
		stop()
		running.Wait()
		svc.Close()
		if err := errors.Join(reg.Close(), db.Close()); err != nil {
			tb.Errorf("Close() = %v", err)
		}
	})
	return &env{TB: tb, url: srv.URL, api: api, db: db, reg: reg, release: release}
}

// as is e for another user.
func (e *env) as(user string) *env {
	other := *e
	other.user = user
	return &other
}

// reply is an answer with its body read.
type reply struct {
	call   string
	status int
	header http.Header
	body   []byte
}

// do sends a request; a body that is no text is sent as JSON. Headers are names
// and values in turn. The answer is held against the document.
func (e *env) do(method, path string, body any, headers ...string) reply {
	e.Helper()
	var content io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		content = strings.NewReader(b)
	default:
		data, err := json.Marshal(b)
		if err != nil {
			e.Fatal(err)
		}
		content = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(e.Context(), method, e.url+wire.Base+path, content)
	if err != nil {
		e.Fatalf("%s %s: %v", method, path, err)
	}
	if content != nil {
		req.Header.Set("Content-Type", wire.MediaTypeJSON)
	}
	if e.user != "" {
		req.SetBasicAuth(e.user, e.user)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		e.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		e.Fatalf("%s %s: reading the answer: %v", method, path, err)
	}
	r := reply{method + " " + path, resp.StatusCode, resp.Header, data}
	e.documented(method, req.URL, r)
	return r
}

// documented checks that the document has r among the answers of its operation.
func (e *env) documented(method string, u *url.URL, r reply) {
	e.Helper()
	q := &request{http: &http.Request{Method: method, URL: u}}
	if e.api.route(q) != nil {
		e.schema(r, "#/components/schemas/Problem")
		return
	}
	at := "#/paths/" + pointer(wire.Base+q.op.path) + "/" + strings.ToLower(q.op.method) + "/responses/" + strconv.Itoa(r.status)
	answer, ok := documentAt(e, at).(map[string]any)
	if !ok {
		e.Errorf("%s = %d, which the document does not have\n%s", r.call, r.status, clip(string(r.body)))
		return
	}
	if ref, ok := answer["$ref"].(string); ok {
		at = ref
		answer = documentAt(e, ref).(map[string]any)
	}
	content, ok := answer["content"].(map[string]any)
	if !ok || method == http.MethodHead {
		if len(r.body) > 0 {
			e.Errorf("%s = %d with %d bytes, and the document has no content there", r.call, r.status, len(r.body))
		}
		return
	}
	mediaType, _, _ := strings.Cut(r.header.Get("Content-Type"), ";")
	if content[mediaType] == nil {
		e.Errorf("%s = %d of type %q, which the document does not have", r.call, r.status, mediaType)
		return
	}
	if strings.HasSuffix(mediaType, "json") {
		e.schema(r, at+"/content/"+pointer(mediaType)+"/schema")
	}
}

func pointer(s string) string {
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(s)
}

var parsed = sync.OnceValues(func() (any, error) { return jsonschema.UnmarshalJSON(bytes.NewReader(document)) })

// documentAt is what a pointer means in the document, nil for nothing.
func documentAt(tb testing.TB, at string) any {
	v, err := parsed()
	if err != nil {
		tb.Fatal(err)
	}
	for part := range strings.SplitSeq(strings.TrimPrefix(at, "#/"), "/") {
		m, _ := v.(map[string]any)
		v = m[strings.NewReplacer("~1", "/", "~0", "~").Replace(part)]
	}
	return v
}

// schema holds the body of r against a schema of the document.
func (e *env) schema(r reply, at string) {
	e.Helper()
	doc, err := parsed()
	if err != nil {
		e.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("openapi.json", doc); err != nil {
		e.Fatal(err)
	}
	s, err := c.Compile("openapi.json" + strings.ReplaceAll(at, "{", "%7B"))
	if err != nil {
		e.Fatalf("schema %s: %v", at, err)
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(r.body))
	if err == nil {
		err = s.Validate(v)
	}
	if err != nil {
		e.Errorf("%s = %d, not as documented at %s: %v\n%s", r.call, r.status, at, err, clip(string(r.body)))
	}
}

// status checks the status of r.
func (e *env) status(r reply, want int) reply {
	e.Helper()
	if r.status != want {
		e.Fatalf("%s = %d, want %d\n%s", r.call, r.status, want, r.body)
	}
	return r
}

// refused checks that r is a problem of this code, and returns it.
func (e *env) refused(r reply, code wire.Code) wire.Problem {
	e.Helper()
	var p wire.Problem
	if err := json.Unmarshal(r.body, &p); err != nil {
		e.Fatalf("%s = %d %s, which is no problem: %v", r.call, r.status, r.body, err)
	}
	if p.Code != code || p.Status != r.status || r.status != problems[code].status || p.Title == "" ||
		r.header.Get("Content-Type") != wire.MediaTypeProblem {
		e.Fatalf("%s = %d %s, want code %s", r.call, r.status, r.body, code)
	}
	return p
}

// read sends a request and reads the JSON of its answer, which is a success.
func read[T any](e *env, method, path string, body any, headers ...string) T {
	e.Helper()
	r := e.do(method, path, body, headers...)
	if r.status < 200 || r.status > 299 {
		e.Fatalf("%s = %d, want success\n%s", r.call, r.status, r.body)
	}
	var v T
	if err := json.Unmarshal(r.body, &v); err != nil {
		e.Fatalf("%s: %v\n%s", r.call, err, r.body)
	}
	return v
}

func get[T any](e *env, path string, headers ...string) T {
	e.Helper()
	return read[T](e, http.MethodGet, path, nil, headers...)
}

// all reads every page of a listing, with pages of n entries.
func all[T any](e *env, path string, n int) (items []T) {
	e.Helper()
	separator := "?"
	if strings.Contains(path, "?") {
		separator = "&"
	}
	cursor := ""
	for range 1000 {
		page := get[wire.List[T]](e, path+separator+"limit="+strconv.Itoa(n)+"&cursor="+cursor)
		if len(page.Items) > n {
			e.Fatalf("%s: a page of %d has %d entries", path, n, len(page.Items))
		}
		items = append(items, page.Items...)
		if page.Next == "" {
			return items
		}
		cursor = page.Next
	}
	e.Fatalf("%s: no end after 1000 pages", path)
	return nil
}

const ociManifest = "application/vnd.oci.image.manifest.v1+json"

// push stores a manifest with one layer under tags, and returns its digest.
func (e *env) push(repo string, layer []byte, annotations map[string]string, tags ...string) digest.Digest {
	e.Helper()
	content := e.manifest(repo, layer, annotations)
	for _, tag := range tags {
		if err := e.pushManifest(repo, tag, content); err != nil {
			e.Fatalf("push %s:%s: %v", repo, tag, err)
		}
	}
	return digest.FromBytes(content)
}

// refusedPush pushes what policy refuses.
func (e *env) refusedPush(repo string, layer []byte, tag string) digest.Digest {
	e.Helper()
	content := e.manifest(repo, layer, nil)
	var refused *registry.Error
	if err := e.pushManifest(repo, tag, content); !errors.As(err, &refused) || refused.Code != registry.Denied {
		e.Fatalf("push %s:%s = %v, want it denied", repo, tag, err)
	}
	return digest.FromBytes(content)
}

// manifest pushes what a manifest names, and makes it.
func (e *env) manifest(repo string, layer []byte, annotations map[string]string) []byte {
	e.Helper()
	config := []byte("{}")
	mediaType := "application/octet-stream"
	if bytes.HasPrefix(layer, []byte("\x00asm")) {
		mediaType = "application/wasm"
	}
	for _, content := range [][]byte{config, layer} {
		by := policy.Principal{Name: "pusher"}
		if err := e.reg.PushBlob(e.Context(), repo, digest.FromBytes(content), bytes.NewReader(content), int64(len(content)), by); err != nil {
			e.Fatalf("push a blob to %s: %v", repo, err)
		}
	}
	type desc struct {
		MediaType   string            `json:"mediaType"`
		Digest      digest.Digest     `json:"digest"`
		Size        int               `json:"size"`
		Annotations map[string]string `json:"annotations,omitempty"`
	}
	content, err := json.Marshal(map[string]any{
		"schemaVersion": 2, "mediaType": ociManifest, "annotations": annotations,
		"config": desc{"application/vnd.oci.image.config.v1+json", digest.FromBytes(config), len(config), nil},
		"layers": []desc{{mediaType, digest.FromBytes(layer), len(layer), map[string]string{"org.opencontainers.image.title": "app.wasm"}}},
	})
	if err != nil {
		e.Fatal(err)
	}
	return content
}

func (e *env) pushManifest(repo, tag string, content []byte) error {
	_, err := e.reg.PushManifest(e.Context(), registry.ManifestPush{
		Repo: repo, Tags: []string{tag}, ContentType: ociManifest, Content: content, Caller: policy.Principal{Name: "pusher"},
	})
	return err
}

// wasm is a binary of the tests of other packages.
func wasm(tb testing.TB, file string) []byte {
	tb.Helper()
	content, err := os.ReadFile(filepath.Join("..", "..", filepath.FromSlash(file)))
	if err != nil {
		tb.Fatal(err)
	}
	return content
}

// settled waits until everything that was pushed is ingested.
func (e *env) settled() {
	e.Helper()
	e.waitFor(func() bool {
		jobs, err := e.db.Jobs(e.Context(), meta.JobFilter{}, 0, 1)
		if err != nil {
			e.Fatal(err)
		}
		return len(jobs) == 0
	})
}

// waitFor waits for what happens in the background.
func (e *env) waitFor(done func() bool) {
	e.Helper()
	timeout := time.After(time.Minute)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-timeout:
			e.Fatal("it has not happened after a minute")
		}
	}
}
