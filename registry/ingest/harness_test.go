package ingest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/internal/testenv"
	"github.com/wreg-project/wreg/registry"
	"github.com/wreg-project/wreg/registry/auth"
	"github.com/wreg-project/wreg/registry/ingest"
	"github.com/wreg-project/wreg/registry/ociapi"
	"github.com/wreg-project/wreg/registry/policy"
	"github.com/wreg-project/wreg/storage/blob"
	"github.com/wreg-project/wreg/storage/blob/mem"
	"github.com/wreg-project/wreg/storage/meta"
	"github.com/wreg-project/wreg/storage/meta/postgres"
	"github.com/wreg-project/wreg/storage/meta/sqlite"
)

// Media types that the tests push.
const (
	typeManifest = "application/vnd.oci.image.manifest.v1+json"
	typeIndex    = "application/vnd.oci.image.index.v1+json"
	typeConfig   = "application/vnd.wasm.config.v0+json"
	typeWasm     = "application/wasm"
	typeTarGzip  = "application/vnd.oci.image.layer.v1.tar+gzip"
	typeReport   = "application/vnd.wreg.report.v1+json"
	octets       = "application/octet-stream"
)

func openSQLite(tb testing.TB) meta.DB {
	db, err := sqlite.Open(tb.Context(), filepath.Join(tb.TempDir(), "wreg.db"), sqlite.Options{Migrate: true})
	if err != nil {
		tb.Fatal(err)
	}
	return db
}

func openPostgres(tb testing.TB) meta.DB {
	db, err := postgres.Open(tb.Context(), testenv.Postgres(tb), postgres.Options{Migrate: true})
	if err != nil {
		tb.Fatal(err)
	}
	return db
}

// setup is how a registry under test differs from the default.
type setup struct {
	options ingest.Options
	db      meta.DB    // a new SQLite file by default
	blobs   blob.Store // in memory by default
	stopped bool       // jobs are not done until start
	sparse  bool
}

// env is a registry with ingestion, served by HTTP. "alice", "bob" and "carol"
// may do what users may, and carol approves; "worker" and "worker2" make native
// code.
type env struct {
	testing.TB
	db    meta.DB
	blobs blob.Store
	svc   *ingest.Service
	reg   *registry.Registry
	url   string
	user  string

	stop context.CancelFunc
	done sync.WaitGroup
}

// names takes everyone by the name they give.
type names struct{}

func (names) Authenticate(r *http.Request) (policy.Principal, error) {
	name, _, _ := r.BasicAuth()
	return policy.Principal{Name: name}, nil
}

func (names) Challenge() string { return `Basic realm="test"` }

var _ auth.Authenticator = names{}

func newEnv(tb testing.TB, c setup) *env {
	tb.Helper()
	e := &env{TB: tb, db: c.db, blobs: c.blobs, user: "alice"}
	if e.db == nil {
		e.db = openSQLite(tb)
	}
	if e.blobs == nil {
		e.blobs = mem.New()
	}
	access := policy.Access{Approvers: []string{"carol"}, Workers: []string{"worker", "worker2"}, AnonymousPull: []string{"*"}}
	o := c.options
	o.AOT.Restricted = access.Worker
	o.Meta, o.Blobs, o.Producer = e.db, e.blobs, "this-registry"
	var err error
	if e.svc, err = ingest.New(tb.Context(), o); err != nil {
		tb.Fatal(err)
	}
	e.reg = registry.New(registry.Options{
		Blobs: e.blobs, Meta: e.svc.Watch(e.db), Admit: e.svc, Guarded: e.svc.Guarded, PullsJudged: e.svc.PullsJudged,
		TagsMoved: e.svc.TagsMoved, ManifestGone: e.svc.ManifestGone, Sparse: c.sparse,
	})
	srv := httptest.NewServer(ociapi.New(ociapi.Options{
		Registry: e.reg, Auth: names{}, Access: access, MayPush: e.svc.MayPushAOT,
	}))
	e.url = srv.URL
	if !c.stopped {
		e.start()
	}
	tb.Cleanup(func() {
		srv.Close()
		e.halt()
		e.svc.Close()
		if err := e.reg.Close(); err != nil {
			tb.Errorf("Close() = %v", err)
		}
		if c.db == nil {
			if err := e.db.Close(); err != nil {
				tb.Errorf("Close() of the database = %v", err)
			}
		}
	})
	return e
}

func (e *env) start() {
	ctx, stop := context.WithCancel(context.Background())
	e.stop = stop
	e.done.Go(func() { e.svc.Run(ctx, e.reg) })
}

func (e *env) halt() {
	if e.stop != nil {
		e.stop()
		e.done.Wait()
		e.stop = nil
	}
}

// as is e for another user, "" for nobody.
func (e *env) as(user string) *caller { return &caller{e, user} }

type caller struct {
	*env
	name string
}

// reply is an answer with its body read.
type reply struct {
	call   string
	status int
	header http.Header
	body   []byte
}

func (c *caller) do(method, path string, body []byte, headers ...string) reply {
	c.Helper()
	req, err := http.NewRequestWithContext(context.Background(), method, c.url+path, bytes.NewReader(body))
	if err != nil {
		c.Fatalf("%s %s: %v", method, path, err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	if c.name != "" {
		req.SetBasicAuth(c.name, "")
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		c.Fatalf("%s %s: %v", method, path, err)
	}
	defer res.Body.Close()
	content, err := io.ReadAll(res.Body)
	if err != nil {
		c.Fatalf("%s %s: reading the answer: %v", method, path, err)
	}
	return reply{method + " " + path, res.StatusCode, res.Header, content}
}

func (c *caller) want(r reply, status int) reply {
	c.Helper()
	if r.status != status {
		c.Fatalf("%s = %d, want %d\n%s", r.call, r.status, status, r.body)
	}
	return r
}

// wireError is one error of an answer.
type wireError struct {
	Code    string
	Message string
	Detail  map[string]any
}

// refused checks that r is an error with the given status and code.
func (c *caller) refused(r reply, status int, code string) wireError {
	c.Helper()
	c.want(r, status)
	var body struct{ Errors []wireError }
	if err := json.Unmarshal(r.body, &body); err != nil || len(body.Errors) != 1 || body.Errors[0].Code != code {
		c.Fatalf("%s: %s, %v; want one error %s", r.call, r.body, err, code)
	}
	return body.Errors[0]
}

func (c *caller) pushBlob(repo string, content []byte) digest.Digest {
	c.Helper()
	d := digest.FromBytes(content)
	c.want(c.do(http.MethodPost, "/v2/"+repo+"/blobs/uploads/?digest="+d.String(), content, "Content-Type", octets), http.StatusCreated)
	return d
}

func (c *caller) getBlob(repo string, d digest.Digest) reply {
	return c.do(http.MethodGet, "/v2/"+repo+"/blobs/"+d.String(), nil)
}

func (c *caller) get(repo, ref string) reply {
	return c.do(http.MethodGet, "/v2/"+repo+"/manifests/"+ref, nil)
}

// layer is a blob with what a manifest says about it.
type layer struct {
	mediaType string
	content   []byte
	title     string
}

type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      digest.Digest     `json:"digest"`
	Size        int               `json:"size"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

type manifest struct {
	SchemaVersion int               `json:"schemaVersion"`
	MediaType     string            `json:"mediaType"`
	ArtifactType  string            `json:"artifactType,omitempty"`
	Config        descriptor        `json:"config"`
	Layers        []descriptor      `json:"layers"`
	Subject       *descriptor       `json:"subject,omitempty"`
	Annotations   map[string]string `json:"annotations,omitempty"`
}

func (l layer) descriptor() descriptor {
	d := descriptor{MediaType: l.mediaType, Digest: digest.FromBytes(l.content), Size: len(l.content)}
	if l.title != "" {
		d.Annotations = map[string]string{"org.opencontainers.image.title": l.title}
	}
	return d
}

// pack uploads layers and gives a manifest of them.
func (c *caller) pack(repo string, layers ...layer) manifest {
	c.Helper()
	config := layer{"application/vnd.oci.image.config.v1+json", []byte("{}"), ""}
	c.pushBlob(repo, config.content)
	m := manifest{SchemaVersion: 2, MediaType: typeManifest, Config: config.descriptor(), Layers: []descriptor{}}
	for _, l := range layers {
		c.pushBlob(repo, l.content)
		m.Layers = append(m.Layers, l.descriptor())
	}
	return m
}

func (m manifest) text(tb testing.TB) []byte {
	tb.Helper()
	text, err := json.Marshal(m)
	if err != nil {
		tb.Fatal(err)
	}
	return text
}

// put pushes a manifest by a tag, or by its digest if that is "".
func (c *caller) put(repo, tag string, m manifest) (reply, digest.Digest) {
	c.Helper()
	text := m.text(c)
	d := digest.FromBytes(text)
	if tag == "" {
		tag = d.String()
	}
	return c.do(http.MethodPut, "/v2/"+repo+"/manifests/"+tag, text, "Content-Type", m.MediaType), d
}

// push stores a package of layers.
func (c *caller) push(repo, tag string, layers ...layer) digest.Digest {
	c.Helper()
	r, d := c.put(repo, tag, c.pack(repo, layers...))
	c.want(r, http.StatusCreated)
	return d
}

// wait returns once no job is waiting or running, and fails if one is dead.
func (e *env) wait() {
	e.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		all, err := e.db.Jobs(context.Background(), meta.JobFilter{}, 0, 1000)
		if err != nil {
			e.Fatal(err)
		}
		if len(all) == 0 {
			return
		}
		for _, j := range all {
			if j.State == meta.JobDead || time.Now().After(deadline) {
				e.Fatalf("job %+v", j)
			}
		}
		<-time.After(5 * time.Millisecond)
	}
}

// policy stores a policy, as of now.
func (e *env) policy(name, source string) {
	e.Helper()
	if _, err := policy.Parse([]byte(source)); err != nil {
		e.Fatalf("Parse(%s) = %v", name, err)
	}
	e.update(func(ctx context.Context, tx meta.Tx) error {
		_, err := tx.PutPolicy(ctx, meta.Policy{Name: name, Source: source, Author: "root", Created: time.Now().UTC()})
		return err
	})
}

func (e *env) update(fn func(context.Context, meta.Tx) error) {
	e.Helper()
	if err := e.svc.Watch(e.db).Update(context.Background(), fn); err != nil {
		e.Fatalf("Update() = %v", err)
	}
}

// events are the kinds of what happened to a repository, in order.
func (e *env) events(repo string) []string {
	e.Helper()
	all, err := e.db.EventsAfter(context.Background(), meta.Visibility{Everything: true}, 0, 1000)
	if err != nil {
		e.Fatal(err)
	}
	var kinds []string
	for _, ev := range all {
		if ev.Repo == repo {
			kinds = append(kinds, ev.Kind)
		}
	}
	return kinds
}

// component is a real component; sockets and pure are real modules.
func component(tb testing.TB) []byte {
	return readFile(tb, "../../inspect/testdata/app.component.wasm")
}

func readFile(tb testing.TB, name string) []byte {
	tb.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// module assembles a module that imports functions () -> () by their names,
// "module.name", and has a code section of one empty function.
func module(imports ...string) []byte {
	b := []byte("\x00asm\x01\x00\x00\x00")
	section := func(id byte, body []byte) { b = append(append(append(b, id), leb(len(body))...), body...) }
	section(1, []byte{1, 0x60, 0, 0}) // type () -> ()
	if len(imports) > 0 {
		body := leb(len(imports))
		for _, im := range imports {
			mod, name, _ := strings.Cut(im, ".")
			body = append(append(body, leb(len(mod))...), mod...)
			body = append(append(body, leb(len(name))...), name...)
			body = append(body, 0, 0)
		}
		section(2, body)
	}
	section(3, []byte{1, 0})
	calls := []byte{0} // no locals
	for i := range imports {
		calls = append(append(calls, 0x10), leb(i)...)
	}
	calls = append(calls, 0x0b)
	section(7, append([]byte{1, 6}, append([]byte("_start"), append([]byte{0}, leb(len(imports))...)...)...))
	section(10, append([]byte{1}, append(leb(len(calls)), calls...)...))
	return b
}

func leb(n int) []byte {
	var b []byte
	for {
		c := byte(n & 0x7f)
		if n >>= 7; n == 0 {
			return append(b, c)
		}
		b = append(b, c|0x80)
	}
}
