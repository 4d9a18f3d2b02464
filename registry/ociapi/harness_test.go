package ociapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/internal/testenv"
	"github.com/wreg-project/wreg/registry"
	"github.com/wreg-project/wreg/registry/auth"
	"github.com/wreg-project/wreg/registry/ociapi"
	"github.com/wreg-project/wreg/registry/policy"
	"github.com/wreg-project/wreg/storage/blob"
	"github.com/wreg-project/wreg/storage/blob/fs"
	"github.com/wreg-project/wreg/storage/blob/mem"
	"github.com/wreg-project/wreg/storage/meta"
	"github.com/wreg-project/wreg/storage/meta/postgres"
	"github.com/wreg-project/wreg/storage/meta/sqlite"
)

// Media types that the tests push.
const (
	ociManifest = "application/vnd.oci.image.manifest.v1+json"
	ociIndex    = "application/vnd.oci.image.index.v1+json"
	ociConfig   = "application/vnd.oci.image.config.v1+json"
	ociLayer    = "application/vnd.oci.image.layer.v1.tar"
	octets      = "application/octet-stream"
)

// stores opens databases and blob stores for the tests; the conformance tests
// run on each of them.
type stores struct {
	name  string
	meta  func(testing.TB) meta.DB
	blobs func(testing.TB) (s blob.Store, dir string)
}

var (
	sqliteOnMem = stores{"sqlite and mem", openSQLite, openMem}
	sqliteOnFS  = stores{"sqlite and fs", openSQLite, openFS}
	allStores   = []stores{sqliteOnMem, sqliteOnFS, {"postgres and fs", openPostgres, openFS}}
)

func openPostgres(tb testing.TB) meta.DB {
	db, err := postgres.Open(tb.Context(), testenv.Postgres(tb), postgres.Options{Migrate: true})
	if err != nil {
		tb.Fatal(err)
	}
	return db
}

func openSQLite(tb testing.TB) meta.DB {
	db, err := sqlite.Open(tb.Context(), filepath.Join(tb.TempDir(), "wreg.db"), sqlite.Options{Migrate: true})
	if err != nil {
		tb.Fatal(err)
	}
	return db
}

func openMem(testing.TB) (blob.Store, string) { return mem.New(), "" }

func openFS(tb testing.TB) (blob.Store, string) {
	dir := tb.TempDir()
	s, err := fs.Open(dir, fs.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { s.Close() })
	return s, dir
}

// setup is how a registry under test differs from the default, which is open to
// everyone.
type setup struct {
	registry registry.Options
	access   *policy.Access
	auth     auth.Authenticator
	wrap     func(blob.Store) blob.Store
}

// env is a running registry.
type env struct {
	testing.TB
	url   string
	reg   *registry.Registry
	db    meta.DB
	blobs blob.Store
	dir   string // of the blobs, "" if they are not files
	user  string // "name:password" of requests, "" for none

	stores stores // what it runs on
}

var errWrongPassword = fmt.Errorf("test: %w", auth.ErrCredentials)

func start(tb testing.TB, s stores, c setup) *env {
	tb.Helper()
	db := s.meta(tb)
	blobs, dir := s.blobs(tb)
	if c.wrap != nil {
		blobs = c.wrap(blobs)
	}
	c.registry.Meta, c.registry.Blobs = db, blobs
	reg := registry.New(c.registry)
	access := policy.Access{Open: true}
	if c.access != nil {
		access = *c.access
	}
	srv := httptest.NewServer(ociapi.New(ociapi.Options{Registry: reg, Access: access, Auth: c.auth}))
	tb.Cleanup(func() {
		srv.Close()
		if err := reg.Close(); err != nil {
			tb.Errorf("Close() = %v", err)
		}
		if err := db.Close(); err != nil {
			tb.Errorf("Close() of the database = %v", err)
		}
	})
	return &env{TB: tb, url: srv.URL, reg: reg, db: db, blobs: blobs, dir: dir, stores: s}
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

// do sends a request; headers are names and values in turn.
func (e *env) do(method, path string, body []byte, headers ...string) reply {
	e.Helper()
	var r io.Reader
	if body != nil {
		r = bytes.NewReader(body)
	}
	return e.send(method, path, r, headers...)
}

func (e *env) send(method, path string, body io.Reader, headers ...string) reply {
	e.Helper()
	req, err := http.NewRequestWithContext(context.Background(), method, e.url+path, body)
	if err != nil {
		e.Fatalf("%s %s: %v", method, path, err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	if name, password, ok := strings.Cut(e.user, ":"); ok {
		req.SetBasicAuth(name, password)
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		e.Fatalf("%s %s: %v", method, path, err)
	}
	defer res.Body.Close()
	content, err := io.ReadAll(res.Body)
	if err != nil {
		e.Fatalf("%s %s: reading the answer: %v", method, path, err)
	}
	return reply{method + " " + path, res.StatusCode, res.Header, content}
}

// status checks the status of r.
func (e *env) status(r reply, want int) reply {
	e.Helper()
	if r.status != want {
		e.Fatalf("%s = %d, want %d\n%s", clip(r.call), r.status, want, clip(string(r.body)))
	}
	return r
}

// refused checks that r is an error of the specification's form with the given
// status and code, and returns its details.
func (e *env) refused(r reply, status int, code string) []any {
	e.Helper()
	e.status(r, status)
	var body struct {
		Errors []struct {
			Code    string
			Message string
			Detail  any
		}
	}
	if err := json.Unmarshal(r.body, &body); err != nil || len(body.Errors) == 0 {
		e.Fatalf("%s: body %q is no list of errors: %v", clip(r.call), clip(string(r.body)), err)
	}
	e.header(r, "Content-Type", "application/json")
	var details []any
	for _, one := range body.Errors {
		if one.Code != code || one.Message == "" {
			e.Fatalf("%s: error %+v, want code %s and a message", clip(r.call), one, code)
		}
		details = append(details, one.Detail)
	}
	return details
}

// header checks one header of r.
func (e *env) header(r reply, name, want string) {
	e.Helper()
	if got := r.header.Get(name); got != want {
		e.Fatalf("%s: header %s is %q, want %q", clip(r.call), name, got, want)
	}
}

// bytes checks the body of r.
func (e *env) bytes(r reply, want []byte) {
	e.Helper()
	if !bytes.Equal(r.body, want) {
		e.Fatalf("%s: body of %d bytes %q, want %d bytes %q", clip(r.call), len(r.body), clip(string(r.body)), len(want), clip(string(want)))
	}
}

// pushBlob stores content in repo by POST and PUT.
func (e *env) pushBlob(repo string, content []byte) digest.Digest {
	e.Helper()
	d := digest.FromBytes(content)
	e.pushBlobAs(repo, content, d)
	return d
}

func (e *env) pushBlobAs(repo string, content []byte, d digest.Digest) reply {
	e.Helper()
	return e.status(e.do("PUT", e.begin(repo)+"?digest="+d.String(), content, "Content-Type", octets), 201)
}

// begin opens an upload and returns its location.
func (e *env) begin(repo string) string {
	e.Helper()
	r := e.status(e.do("POST", "/v2/"+repo+"/blobs/uploads/", nil), 202)
	return r.header.Get("Location")
}

// pushManifest stores a manifest under a tag or digest.
func (e *env) pushManifest(repo, ref, mediaType string, content []byte) reply {
	e.Helper()
	return e.status(e.putManifest(repo, ref, mediaType, content), 201)
}

func (e *env) putManifest(repo, ref, mediaType string, content []byte, headers ...string) reply {
	e.Helper()
	return e.do("PUT", "/v2/"+repo+"/manifests/"+ref, content, append([]string{"Content-Type", mediaType}, headers...)...)
}

// desc is a descriptor.
type desc struct {
	MediaType    string            `json:"mediaType"`
	Digest       digest.Digest     `json:"digest"`
	Size         int64             `json:"size"`
	URLs         []string          `json:"urls,omitempty"`
	ArtifactType string            `json:"artifactType,omitempty"`
	Annotations  map[string]string `json:"annotations,omitempty"`
}

func descOf(mediaType string, content []byte) desc {
	return desc{MediaType: mediaType, Digest: digest.FromBytes(content), Size: int64(len(content))}
}

// manifest is an image manifest or an index.
type manifest struct {
	SchemaVersion int               `json:"schemaVersion"`
	MediaType     string            `json:"mediaType,omitempty"`
	ArtifactType  string            `json:"artifactType,omitempty"`
	Config        *desc             `json:"config,omitempty"`
	Layers        []desc            `json:"layers,omitempty"`
	Manifests     []desc            `json:"manifests,omitempty"`
	Subject       *desc             `json:"subject,omitempty"`
	Annotations   map[string]string `json:"annotations,omitempty"`
}

func (m manifest) encode() []byte {
	if m.SchemaVersion == 0 {
		m.SchemaVersion = 2
	}
	content, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	return content
}

// image pushes config and layer of an image that name makes unique and returns
// its manifest, which is not pushed.
func (e *env) image(repo, name string) []byte {
	e.Helper()
	config, layer := []byte(`{"name":"`+name+`"}`), []byte("layer of "+name)
	e.pushBlob(repo, config)
	e.pushBlob(repo, layer)
	c := descOf(ociConfig, config)
	return manifest{MediaType: ociManifest, Config: &c, Layers: []desc{descOf(ociLayer, layer)}}.encode()
}

// tagged pushes an image under a tag.
func (e *env) tagged(repo, tag string) []byte {
	e.Helper()
	m := e.image(repo, tag)
	e.pushManifest(repo, tag, ociManifest, m)
	return m
}

// nothingKept checks that no blob, no upload and no temporary file is left.
func (e *env) nothingKept() {
	e.Helper()
	if n := e.reg.OpenUploads(); n != 0 {
		e.Errorf("%d uploads are open, want none", n)
	}
	err := e.blobs.List(e.Context(), func(i blob.Info) error { return fmt.Errorf("blob %s is stored", i.Key) })
	if err != nil {
		e.Errorf("%v, want none", err)
	}
	err = e.db.AllBlobs(e.Context(), func(b meta.Blob) error { return fmt.Errorf("the database has blob %s", b.Digest) })
	if err != nil {
		e.Errorf("%v, want none", err)
	}
	e.noTemporaryFiles()
}

func (e *env) noTemporaryFiles() {
	e.Helper()
	if e.dir == "" {
		return
	}
	left, err := os.ReadDir(filepath.Join(e.dir, "uploads"))
	if err != nil {
		e.Fatal(err)
	}
	for _, f := range left {
		e.Errorf("temporary file %s is left", f.Name())
	}
}

func clip(s string) string {
	if len(s) > 300 {
		return s[:300] + "…"
	}
	return s
}

// metaPage asks for everything.
var metaPage meta.Page
