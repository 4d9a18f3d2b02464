//go:build api

// Package api holds the catalog API against its OpenAPI document: schemathesis
// makes valid and invalid requests of it, for every operation, and checks that
// each answer is one that the document has, and none a fault of the server.
//
// `make api` runs it; test/setup.sh installs schemathesis. A failure prints the
// request as a curl command and the seed with which it is found again:
// SCHEMATHESIS_SEED=… make api.
package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/internal/httpx"
	"github.com/wreg-project/wreg/registry"
	"github.com/wreg-project/wreg/registry/auth"
	"github.com/wreg-project/wreg/registry/catalog"
	"github.com/wreg-project/wreg/registry/catalog/wire"
	"github.com/wreg-project/wreg/registry/ingest"
	"github.com/wreg-project/wreg/registry/policy"
	"github.com/wreg-project/wreg/storage/blob/mem"
	"github.com/wreg-project/wreg/storage/meta"
	"github.com/wreg-project/wreg/storage/meta/sqlite"
)

const root = "../.."

// Requests made up from the document alone mostly meet the checks of parameters;
// those about packages that are there meet the handlers as well.
func TestDocument(t *testing.T) {
	program := filepath.Join(root, ".cache", "schemathesis", "bin", "schemathesis")
	if _, err := os.Stat(program); err != nil {
		t.Fatalf("%v: ./test/setup.sh installs it", err)
	}
	tests := []struct {
		name   string
		change func(document map[string]any)
		args   []string
	}{
		{"requests made of the document alone", brief, []string{"--phases", "coverage,fuzzing", "--max-examples", "30"}},
		{"requests about packages that are there", stocked, []string{
			"--phases", "fuzzing,stateful", "--mode", "positive", "--max-examples", "50", "--include-path-regex",
			"package|diff|search|interfaces|functions",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			url := serve(t)
			args := append([]string{
				"--config-file", "schemathesis.toml", "run", changed(t, tt.change), "--url", url, "--auth", "root:root", "--workers", "1",
				"--no-color", "--exclude-path", wire.Base + "/events", // a stream has no end
			}, tt.args...)
			if seed := os.Getenv("SCHEMATHESIS_SEED"); seed != "" {
				args = append(args, "--seed", seed)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, program, args...)
			out, err := cmd.CombinedOutput()
			t.Logf("%s", out)
			if err != nil {
				t.Errorf("schemathesis %s: %v", strings.Join(args, " "), err)
			}
			if !bytes.Contains(out, []byte("Test cases:")) {
				t.Error("schemathesis does not say how many requests it made")
			}
		})
	}
}

// brief leaves out that workers may wait for a job: half a minute for each request
// is more than a test has.
func brief(document map[string]any) {
	body := document["components"].(map[string]any)["schemas"].(map[string]any)["AOTLeaseRequest"].(map[string]any)
	delete(body["properties"].(map[string]any), "waitSeconds")
	post := document["paths"].(map[string]any)[wire.Base+"/aot/leases"].(map[string]any)["post"].(map[string]any)
	content := post["requestBody"].(map[string]any)["content"].(map[string]any)[wire.MediaTypeJSON].(map[string]any)
	delete(content["example"].(map[string]any), "waitSeconds")
}

// changed writes the document with a change to a file, and gives its path.
func changed(t *testing.T, change func(map[string]any)) string {
	data, err := os.ReadFile(filepath.Join(root, "docs", "spec", "openapi.json"))
	if err != nil {
		t.Fatal(err)
	}
	var doc map[string]any
	if err := json.Unmarshal(data, &doc); err != nil {
		t.Fatal(err)
	}
	change(doc)
	if data, err = json.Marshal(doc); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "openapi.json")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// there is what parameters have to be to be about something that serve pushes.
var there = map[string][]string{
	"path package":   {"demo:command", "demo:app", "team:words", "team:http", "team:text"},
	"path version":   {"1.0.0", "1.1.0", "latest", "1.2.3", "0.1.0", "0.2.12"},
	"path interface": {"wasi_snapshot_preview1", "wasi:http/types@0.2.12", "demo:app/greet@1.2.3"},
	"path hash":      {"0123456789abcdef"},
	"query from":     {"demo:command@1.0.0", "demo:command@latest", "team:text@1.0.0", "demo:app@1.2.3"},
	"query to":       {"demo:command@1.1.0", "demo:app@1.2.3", "team:http@0.2.12"},
	"query q":        {"", "kind:module", "-is:latest", "wasi:wasip1 size:<1MB", "exports:wasi:http/* OR lang:c", "hello"},
	"query range":    {"*", "^1", "~1.1.0", ">=1 <2", "9"},
}

// stocked leaves only values of there to choose from.
func stocked(doc map[string]any) {
	for _, item := range doc["paths"].(map[string]any) {
		for _, op := range item.(map[string]any) {
			params, _ := op.(map[string]any)["parameters"].([]any)
			for _, p := range params {
				param := p.(map[string]any)
				if values := there[fmt.Sprint(param["in"], " ", param["name"])]; values != nil && param["schema"].(map[string]any)["format"] != "date" {
					param["schema"] = map[string]any{"type": "string", "enum": values}
				}
			}
		}
	}
}

// byName takes everyone by a password that is the name.
type byName struct{}

func (byName) Authenticate(r *http.Request) (policy.Principal, error) {
	name, password, ok := r.BasicAuth()
	if !ok {
		return policy.Principal{}, nil
	}
	if name != password {
		return policy.Principal{}, fmt.Errorf("test: %w", auth.ErrCredentials)
	}
	return policy.Principal{Name: name}, nil
}

func (byName) Challenge() string { return `Basic realm="test"` }

// faults fails the test for what the server logs as its own.
type faults struct {
	slog.Handler
	t *testing.T
}

func (f faults) Handle(_ context.Context, r slog.Record) error {
	if r.Level >= slog.LevelError {
		var b strings.Builder
		_ = slog.NewTextHandler(&b, nil).Handle(context.Background(), r) // a builder takes everything
		f.t.Errorf("the server logs %s", b.String())
	}
	return nil
}

func (f faults) WithAttrs([]slog.Attr) slog.Handler { return f }
func (f faults) WithGroup(string) slog.Handler      { return f }

// serve runs a registry with packages in it.
func serve(t *testing.T) string {
	db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "wreg.db"), sqlite.Options{Migrate: true})
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(faults{slog.DiscardHandler, t})
	blobs := mem.New()
	svc, err := ingest.New(t.Context(), ingest.Options{Meta: db, Blobs: blobs, Producer: "test", Log: log})
	if err != nil {
		t.Fatal(err)
	}
	watched := svc.Watch(db)
	reg := registry.New(registry.Options{
		Meta: watched, Blobs: blobs, Admit: svc, Guarded: svc.Guarded, TagsMoved: svc.TagsMoved, Log: log,
	})
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { svc.Run(ctx, reg) })
	api := catalog.New(catalog.Options{
		Meta: watched, Ingest: svc, Auth: byName{}, Access: policy.Access{AnonymousPull: []string{"demo"}, Admins: []string{"root"}}, Log: log,
	})
	srv := httptest.NewServer(httpx.Wrap(api, httpx.Options{Log: log}))
	t.Cleanup(func() {
		api.Close()
		srv.Close()
		stop()
		running.Wait()
		svc.Close()
		if err := errors.Join(reg.Close(), db.Close()); err != nil {
			t.Errorf("Close() = %v", err)
		}
	})
	fill(t, reg)
	settle(t, db)
	return srv.URL
}

// fill pushes packages, see there.
func fill(t *testing.T, reg *registry.Registry) {
	for _, p := range []struct{ repo, tag, file string }{
		{"demo/command", "1.0.0", "registry/policy/testdata/hosts/command.wasm"},
		{"demo/command", "1.1.0", "registry/policy/testdata/hosts/command-socket.wasm"},
		{"demo/command", "2.0.0-rc.1", "registry/policy/testdata/hosts/command-unstable.wasm"},
		{"demo/command", "latest", "registry/policy/testdata/hosts/command.wasm"},
		{"demo/app", "1.2.3", "inspect/testdata/app.component.wasm"},
		{"team/words", "0.1.0", "inspect/wit/testdata/component.wasm"},
		{"team/http", "0.2.12", "inspect/wit/testdata/wasi-http@0.2.12.wasm"},
		{"team/text", "1.0.0", "LICENSE"},
	} {
		content, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(p.file)))
		if err != nil {
			t.Fatal(err)
		}
		push(t, reg, p.repo, p.tag, filepath.Base(p.file), content)
	}
}

func push(t *testing.T, reg *registry.Registry, repo, tag, title string, layer []byte) {
	by := policy.Principal{Name: "ann"}
	type desc struct {
		MediaType   string            `json:"mediaType"`
		Digest      digest.Digest     `json:"digest"`
		Size        int               `json:"size"`
		Annotations map[string]string `json:"annotations,omitempty"`
	}
	mediaType := "application/octet-stream"
	if bytes.HasPrefix(layer, []byte("\x00asm")) {
		mediaType = "application/wasm"
	}
	config := []byte("{}")
	const manifest = "application/vnd.oci.image.manifest.v1+json"
	content, err := json.Marshal(map[string]any{
		"schemaVersion": 2, "mediaType": manifest, "annotations": map[string]string{"io.wreg.readme": "# " + repo},
		"config": desc{"application/vnd.oci.image.config.v1+json", digest.FromBytes(config), len(config), nil},
		"layers": []desc{{mediaType, digest.FromBytes(layer), len(layer), map[string]string{"org.opencontainers.image.title": title}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range [][]byte{config, layer} {
		if err := reg.PushBlob(t.Context(), repo, digest.FromBytes(b), bytes.NewReader(b), int64(len(b)), by); err != nil {
			t.Fatalf("push a blob of %s: %v", repo, err)
		}
	}
	_, err = reg.PushManifest(t.Context(), registry.ManifestPush{
		Repo: repo, Tags: []string{tag}, ContentType: manifest,
		Content: content, Caller: by,
	})
	if err != nil {
		t.Fatalf("push %s:%s: %v", repo, tag, err)
	}
}

// settle waits until what was pushed is ingested.
func settle(t *testing.T, db meta.DB) {
	timeout := time.After(time.Minute)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		jobs, err := db.Jobs(t.Context(), meta.JobFilter{}, 0, 1)
		switch {
		case err != nil:
			t.Fatal(err)
		case len(jobs) == 0:
			return
		}
		select {
		case <-tick.C:
		case <-timeout:
			t.Fatalf("job %+v is not done after a minute", jobs[0])
		}
	}
}
