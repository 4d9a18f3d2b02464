package ingest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/wreg-project/wreg/artifact/aot"
	"github.com/wreg-project/wreg/registry"
	"github.com/wreg-project/wreg/registry/ingest"
	"github.com/wreg-project/wreg/registry/policy"
	"github.com/wreg-project/wreg/signing"
	"github.com/wreg-project/wreg/signing/attest"
	"github.com/wreg-project/wreg/signing/key"
	"github.com/wreg-project/wreg/storage/blob/mem"
	"github.com/wreg-project/wreg/storage/meta"
)

// A clock is moved by hand.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func rules(tb testing.TB, texts ...string) []ingest.AOTRule {
	tb.Helper()
	list, err := ingest.ParseAOTRules(texts)
	if err != nil {
		tb.Fatalf("ParseAOTRules(%q) = %v", texts, err)
	}
	return list
}

// pushPackage stores a canonical package of one module.
func (c *caller) pushPackage(repo, tag string, wasm []byte) digest.Digest {
	c.Helper()
	m := c.pack(repo, layer{typeWasm, wasm, ""})
	m.Config.MediaType = typeConfig
	r, d := c.put(repo, tag, m)
	c.want(r, http.StatusCreated)
	return d
}

// aotJobs are the jobs of a manifest, "target state" each.
func (e *env) aotJobs(repo string, d digest.Digest) []string {
	e.Helper()
	jobs, err := e.db.AOTJobsOf(e.Context(), repo, d)
	if err != nil {
		e.Fatal(err)
	}
	var list []string
	for _, j := range jobs {
		list = append(list, j.Target+" "+[]string{"queued", "leased", "done", "failed"}[j.State])
	}
	return list
}

func (e *env) wantAOT(when, repo string, d digest.Digest, want ...string) {
	e.Helper()
	if diff := cmp.Diff(want, e.aotJobs(repo, d)); diff != "" {
		e.Errorf("native code %s (-want +got):\n%s", when, diff)
	}
}

const engineID = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// lease takes a job as a worker, or fails the test.
func (e *env) lease(principal string, targets ...string) meta.AOTJob {
	e.Helper()
	j, err := e.tryLease(principal, 0, targets...)
	if err != nil {
		e.Fatalf("LeaseAOT(%s, %q) = %v", principal, targets, err)
	}
	return j
}

func (e *env) tryLease(principal string, wait time.Duration, targets ...string) (meta.AOTJob, error) {
	w := meta.AOTWorker{
		AOTWorkerKey: meta.AOTWorkerKey{Principal: principal, Name: "w"}, Runtime: aot.Runtime, Version: "39.0.1", Profile: aot.Profile,
	}
	for _, t := range targets {
		w.Offers = append(w.Offers, meta.AOTOffer{Target: t, CompatID: engineID})
	}
	return e.svc.LeaseAOT(e.Context(), w, wait)
}

func principal(name string) policy.Principal { return policy.Principal{Name: name} }

// made is native code of a job, as an honest worker makes it.
func made(j meta.AOTJob) (*aot.Config, []byte) {
	code := []byte("native code of " + j.Source.String() + " for " + j.Target)
	return &aot.Config{
		Source:   aot.Source{Digest: j.Source, Size: j.Size},
		Compiler: aot.By{Runtime: j.Runtime, Version: "39.0.1", Engine: "cranelift", Tier: aot.Optimising, Profile: j.Profile},
		Target:   aot.Made{Platform: j.Target}, CompatID: engineID,
		Output:  aot.Source{Digest: digest.FromBytes(code), Size: int64(len(code))},
		Builder: &aot.Builder{ID: "https://example.com/worker", Platform: "linux/amd64"},
	}, code
}

// pushCode packs and pushes native code, and returns what was said to its manifest.
func (c *caller) pushCode(repo string, subject digest.Digest, config *aot.Config, code []byte) (reply, digest.Digest) {
	c.Helper()
	file, err := os.Create(filepath.Join(c.TempDir(), "layer"))
	if err != nil {
		c.Fatal(err)
	}
	defer file.Close()
	about := ocispec.Descriptor{MediaType: typeManifest, Digest: subject, Size: 2}
	p, err := aot.Pack(c.Context(), about, config, bytes.NewReader(code), file)
	if err != nil {
		c.Fatalf("Pack = %v", err)
	}
	for _, b := range p.Blobs {
		body := b.Open()
		content, err := io.ReadAll(body)
		if err != nil {
			c.Fatal(err)
		}
		body.Close()
		c.pushBlob(repo, content)
	}
	d := p.Manifest.Digest
	return c.do(http.MethodPut, "/v2/"+repo+"/manifests/"+d.String(), p.ManifestJSON, "Content-Type", typeManifest), d
}

// code pushes what an honest worker makes.
func (c *caller) code(j meta.AOTJob) digest.Digest {
	c.Helper()
	config, code := made(j)
	r, d := c.pushCode(j.Repo, j.Subject, config, code)
	c.want(r, http.StatusCreated)
	return d
}

// nativeTerms are the terms about native code of a document.
func (e *env) nativeTerms(repo string, d digest.Digest) (list []string) {
	e.Helper()
	doc, err := e.db.Document(e.Context(), repo, d)
	if err != nil {
		e.Fatal(err)
	}
	for _, t := range doc.Terms {
		if strings.HasPrefix(t, "aot:") {
			list = append(list, t)
		}
	}
	return list
}

func TestRulesOfNativeCode(t *testing.T) {
	for _, tt := range []struct{ name, rule, problem string }{
		{name: "one of each", rule: "prod/** = linux/amd64/v3"},
		{name: "several of each", rule: "prod/*:v* staging/app=linux/amd64 linux/arm64\tpulley64"},
		{name: "nothing between", rule: "prod/* linux/amd64/v3", problem: "no = between"},
		{name: "no pattern", rule: "= linux/amd64/v3", problem: "no pattern"},
		{name: "no target", rule: "prod/* =", problem: "no target"},
		{name: "a target that is none", rule: "prod/* = linux/mips", problem: "linux/mips"},
		{name: "a name with a capital", rule: "Prod/* = pulley64", problem: `character like "P"`},
		{name: "a tag with a slash", rule: "prod:a/b = pulley64", problem: `character like "/"`},
		{name: "no repository", rule: ":v1 = pulley64", problem: "missing"},
		{name: "no tag", rule: "prod: = pulley64", problem: "missing"},
		{name: "a slash at the end", rule: "prod/ = pulley64", problem: "ends with a slash"},
		{name: "too long", rule: strings.Repeat("x", 401) + " = pulley64", problem: "longer than"},
		{name: "too many patterns", rule: strings.Repeat("x ", 51) + " = pulley64", problem: "51 patterns"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ingest.ParseAOTRule(tt.rule)
			if tt.problem == "" && err != nil || tt.problem != "" && (err == nil || !strings.Contains(err.Error(), tt.problem)) {
				t.Errorf("ParseAOTRule(%.60q) = %v, want %q", tt.rule, err, tt.problem)
			}
		})
	}
	if _, err := ingest.ParseAOTRules(make([]string, 101)); err == nil {
		t.Error("ParseAOTRules() of 101 = nil, want an error")
	}
}

func TestRulesAskForNativeCodeOfWhatTheyMatch(t *testing.T) {
	e := newEnv(t, setup{options: ingest.Options{AOT: ingest.AOT{Rules: rules(t,
		"prod/*:v* = linux/amd64/v3 linux/arm64", "prod/app = pulley64 linux/arm64", "**/deep:latest = pulley64")}}})
	alice := e.as("alice")
	d := alice.pushPackage("prod/app", "v1", module())
	other := alice.pushPackage("prod/other", "latest", module("a.b"))
	deep := alice.pushPackage("x/y/deep", "latest", module())
	image := alice.push("prod/image", "v1", layer{typeWasm, module(), ""}) // an image, no package
	e.wait()
	e.wantAOT("of both rules, each target once", "prod/app", d, "linux/amd64/v3 queued", "linux/arm64 queued", "pulley64 queued")
	e.wantAOT("of a tag that matches nothing", "prod/other", other)
	e.wantAOT("below", "x/y/deep", deep, "pulley64 queued")
	e.wantAOT("of an image", "prod/image", image)

	// A tag that comes later, and one that goes.
	m := alice.pack("prod/other", layer{typeWasm, module("a.b"), ""})
	m.Config.MediaType = typeConfig
	r, _ := alice.put("prod/other", "v2", m)
	alice.want(r, http.StatusCreated)
	e.wait()
	e.wantAOT("once a tag matches", "prod/other", other, "linux/amd64/v3 queued", "linux/arm64 queued")
	alice.want(alice.do(http.MethodDelete, "/v2/prod/other/manifests/v2", nil), http.StatusAccepted)
	e.wait()
	e.wantAOT("once the tag is gone", "prod/other", other)

	// What policy denies is not compiled.
	e.policy("no", "rules:\n  - name: never\n    require: report.size < 3\n    message: too large\n    actions: [pull]\n")
	e.verdict("prod/app", d, meta.VerdictDeny)
	e.wantAOT("once policy denies it", "prod/app", d)
}

func TestRulesThatChangeAreFollowed(t *testing.T) {
	db := openSQLite(t)
	t.Cleanup(func() { db.Close() })
	var d, asked digest.Digest
	steps := []struct {
		rules []string
		want  []string
	}{
		{nil, nil},
		{[]string{"prod/** = linux/arm64 pulley64"}, []string{"linux/arm64 queued", "pulley64 queued"}},
		{[]string{"prod/** = pulley64 linux/amd64/v1"}, []string{"linux/amd64/v1 queued", "pulley64 queued"}},
		{nil, nil},
	}
	blobs := mem.New()
	for i, step := range steps {
		t.Run(fmt.Sprint("step ", i), func(t *testing.T) {
			e := newEnv(t, setup{db: db, blobs: blobs, options: ingest.Options{AOT: ingest.AOT{Rules: rules(t, step.rules...)}}})
			if i == 0 {
				d = e.as("alice").pushPackage("prod/app", "1", module())
				asked = e.as("alice").pushPackage("prod/asked", "x", module("a.b"))
				e.wait()
				m, err := e.db.Manifest(t.Context(), "prod/asked", asked)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := e.svc.RequestAOT(t.Context(), m, []string{"linux/arm64"}, false, principal("bob")); err != nil {
					t.Fatalf("RequestAOT() = %v", err)
				}
			}
			e.followed()
			e.wantAOT(fmt.Sprint("by the rules of step ", i), "prod/app", d, step.want...)
			if jobs := e.aotJobs("prod/asked", asked); !slices.Contains(jobs, "linux/arm64 queued") {
				t.Errorf("native code that somebody asked for = %q, want linux/arm64 queued", jobs)
			}
		})
	}
}

// followed returns once everything was held against the rules.
func (e *env) followed() {
	e.Helper()
	deadline := time.After(30 * time.Second)
	for {
		text, err := e.db.AOTRules(e.Context())
		if err != nil {
			e.Fatal(err)
		}
		if text == e.svc.AOTRules() {
			break
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-deadline:
			e.Fatal("the rules are not followed")
		}
	}
	e.wait()
}

func TestNativeCodeIsMadeByTwoDatabases(t *testing.T) {
	for name, open := range map[string]func(testing.TB) meta.DB{"SQLite": openSQLite, "PostgreSQL": openPostgres} {
		t.Run(name, func(t *testing.T) {
			db := open(t)
			t.Cleanup(func() {
				if err := db.Close(); err != nil {
					t.Errorf("Close() = %v", err)
				}
			})
			e := newEnv(t, setup{db: db, options: ingest.Options{AOT: ingest.AOT{Rules: rules(t, "prod/** = linux/amd64/v3 pulley64")}}})
			d := e.as("alice").pushPackage("prod/app", "1", module())
			e.wait()
			j := e.lease("worker", "linux/amd64/v3")
			if j.Repo != "prod/app" || j.Subject != d || j.Source != digest.FromBytes(module()) || j.Size != int64(len(module())) {
				t.Fatalf("LeaseAOT() = %+v, want the layer of %s", j, d)
			}
			if _, err := e.tryLease("worker2", 0, "linux/amd64/v3"); !errors.Is(err, meta.ErrNotFound) {
				t.Errorf("LeaseAOT() of a second worker = %v, want %v", err, meta.ErrNotFound)
			}
			result := e.as("worker").code(j)
			done, err := e.svc.FinishAOT(t.Context(), j.Lease.Token, result, principal("worker"))
			if err != nil || done.State != meta.AOTDone || done.Result != result {
				t.Fatalf("FinishAOT() = %+v, %v", done, err)
			}
			e.wait()
			e.wantAOT("in the end", "prod/app", d, "linux/amd64/v3 done", "pulley64 queued")
			if diff := cmp.Diff([]string{"aot:linux/amd64/v3"}, e.nativeTerms("prod/app", d)); diff != "" {
				t.Errorf("terms of the document (-want +got):\n%s", diff)
			}
			e.wantFound("by its target", "aot:linux/amd64/v3", "prod/app")
			e.wantFound("by the beginning of its target", "aot:linux/*", "prod/app")
			if kinds := e.events("prod/app"); !slices.Contains(kinds, registry.EventVariant) {
				t.Errorf("events = %q, want one of native code", kinds)
			}
			if got, want := e.svc.AOTResults(), (ingest.AOTResults{Done: 1}); got != want {
				t.Errorf("AOTResults() = %+v, want %+v", got, want)
			}

			// Whoever deletes the code gets it made again, as the rule wants it.
			e.as("alice").want(e.as("alice").do(http.MethodDelete, "/v2/prod/app/manifests/"+result.String(), nil), http.StatusAccepted)
			e.wait()
			e.wantAOT("without the code", "prod/app", d, "linux/amd64/v3 queued", "pulley64 queued")
			if got := e.nativeTerms("prod/app", d); got != nil {
				t.Errorf("terms without the code = %q, want none", got)
			}
		})
	}
}

func TestWrongResultsAreRefused(t *testing.T) {
	e := newEnv(t, setup{options: ingest.Options{AOT: ingest.AOT{Rules: rules(t, "prod/** = linux/amd64/v3")}}})
	alice, worker := e.as("alice"), e.as("worker")
	d := alice.pushPackage("prod/app", "1", module())
	other := alice.pushPackage("prod/app", "2", module("a.b"))
	foreign := alice.pushPackage("else/where", "1", module())
	e.wait()
	j := e.lease("worker", "linux/amd64/v3")
	if j.Subject != d {
		t.Fatalf("LeaseAOT() = %s, want the first, %s", j.Subject, d)
	}
	// Alice may push anything, and a worker's result may name what she pushed.
	elsewhere := j
	elsewhere.Repo, elsewhere.Subject = "else/where", foreign
	far := alice.code(elsewhere)
	push := func(subject digest.Digest, change func(*aot.Config)) digest.Digest {
		config, code := made(j)
		change(config)
		r, d := alice.pushCode("prod/app", subject, config, code)
		alice.want(r, http.StatusCreated)
		return d
	}
	lying, code := made(j)
	lying.Output.Digest = digest.FromString("other code")
	lying.Output.Size = int64(len(code))
	for _, tt := range []struct {
		name   string
		result digest.Digest
		why    string
	}{
		{"what is nowhere", digest.FromString("nothing"), "is not in prod/app"},
		{"what is in another repository", far, "is not in prod/app"},
		{"the package itself", d, "artifact type"},
		{"code of another package", push(other, func(*aot.Config) {}), "it hangs on " + other.String()},
		{"code for another target", push(d, func(c *aot.Config) { c.Target.Platform = "linux/amd64/v1" }), "it is for linux/amd64/v1"},
		{"code for another profile", push(d, func(c *aot.Config) { c.Compiler.Profile = "fast" }), "profile"},
		{"code for another runtime", push(d, func(c *aot.Config) { c.Compiler.Runtime = "wamr" }), "for wamr"},
		{"code of another version than the worker has", push(d, func(c *aot.Config) { c.Compiler.Version = "1.0.0" }), "version"},
		{"code that other engines load", push(d, func(c *aot.Config) { c.CompatID = digest.FromString("x").String() }), "compat id"},
		{"code of another layer", push(d, func(c *aot.Config) { c.Source.Digest = digest.FromString("x") }), "made of"},
		{"code of a layer of another size", push(d, func(c *aot.Config) { c.Source.Size++ }), "bytes"},
		{"code with another digest than it says", alice.rawCode(j, lying, code), "digest"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := e.svc.FinishAOT(t.Context(), j.Lease.Token, tt.result, principal("worker"))
			if !errors.Is(err, ingest.ErrResult) || !strings.Contains(err.Error(), tt.why) {
				t.Errorf("FinishAOT() = %v, want %v with %q", err, ingest.ErrResult, tt.why)
			}
		})
	}
	e.wait()
	e.wantAOT("after wrong results", "prod/app", d, "linux/amd64/v3 leased")
	if _, err := e.svc.FinishAOT(t.Context(), j.Lease.Token, worker.code(j), principal("worker2")); !errors.Is(err, meta.ErrConflict) {
		t.Errorf("FinishAOT() by another worker = %v, want %v", err, meta.ErrConflict)
	}
	if _, err := e.svc.FinishAOT(t.Context(), j.Lease.Token, worker.code(j), principal("worker")); err != nil {
		t.Errorf("FinishAOT() of the right one = %v", err)
	}
	if got := e.svc.AOTResults(); got.Refused != 12 || got.Done != 1 {
		t.Errorf("AOTResults() = %+v, want 12 refused and 1 done", got)
	}
}

// rawCode pushes code with a config that lies about it, which Pack would not make.
func (c *caller) rawCode(j meta.AOTJob, config *aot.Config, code []byte) digest.Digest {
	c.Helper()
	text, err := json.Marshal(config)
	if err != nil {
		c.Fatal(err)
	}
	packed := gzipOf(c, code)
	m := manifest{
		SchemaVersion: 2, MediaType: typeManifest, ArtifactType: aot.ArtifactType(j.Runtime),
		Config: layer{aot.MediaTypeConfig, text, ""}.descriptor(), Annotations: config.Annotations(),
		Layers:  []descriptor{layer{aot.MediaTypeCode + "+gzip", packed, ""}.descriptor()},
		Subject: &descriptor{typeManifest, j.Subject, 2, nil},
	}
	c.pushBlob(j.Repo, text)
	c.pushBlob(j.Repo, packed)
	r, d := c.put(j.Repo, "", m)
	c.want(r, http.StatusCreated)
	return d
}

// provenanceOf says of code that it was made of a layer.
func provenanceOf(source digest.Digest) attest.Provenance {
	return attest.Provenance{
		BuildDefinition: attest.BuildDefinition{
			BuildType: "https://wreg.dev/aot", ExternalParameters: map[string]any{},
			ResolvedDependencies: []attest.Resource{{Digest: map[string]string{"sha256": source.Encoded()}}},
		},
		RunDetails: attest.RunDetails{Builder: attest.Builder{ID: "https://example.com/worker"}},
	}
}

func TestResultsHaveToBeAttestedIfCompilersAreNamed(t *testing.T) {
	compiler, publisher := newKey(t), newKey(t)
	tr := trusting(t, map[string]*key.Private{"compiler": compiler, "publisher": publisher})
	e := newEnv(t, setup{options: ingest.Options{Trust: tr.get, AOT: ingest.AOT{
		Rules: rules(t, "prod/** = linux/amd64/v3"), Compilers: []string{"compiler"},
	}}})
	e.as("alice").pushPackage("prod/app", "1", module())
	e.wait()
	j := e.lease("worker", "linux/amd64/v3")
	worker := e.as("worker")
	result := worker.code(j)
	refused := func(why string) {
		t.Helper()
		_, err := e.svc.FinishAOT(t.Context(), j.Lease.Token, result, principal("worker"))
		if !errors.Is(err, ingest.ErrUnattested) || !strings.Contains(err.Error(), why) {
			t.Errorf("FinishAOT() = %v, want %v with %q", err, ingest.ErrUnattested, why)
		}
	}
	refused("nothing hangs on it")
	hang := func(k *key.Private, predicateType string, predicate any) {
		t.Helper()
		worker.hang("prod/app", result, bundle(t, k, result, predicateType, predicate))
	}
	hang(newKey(t), attest.TypeProvenance, provenanceOf(j.Source))
	refused("no") // a key that nobody trusts
	hang(publisher, attest.TypeProvenance, provenanceOf(j.Source))
	hang(compiler, signing.PredicateSignature, nil)
	hang(compiler, attest.TypeProvenance, provenanceOf(digest.FromString("something else")))
	refused("")
	hang(compiler, attest.TypeProvenance, provenanceOf(j.Source))
	if _, err := e.svc.FinishAOT(t.Context(), j.Lease.Token, result, principal("worker")); err != nil {
		t.Errorf("FinishAOT() of what the compiler attests = %v", err)
	}
}

// A database that is rebuilt has no jobs: what is found follows from what is stored,
// whoever asked for the code or pushed it.
func TestNativeCodeIsFoundAfterARebuild(t *testing.T) {
	compiler := newKey(t)
	for _, tt := range []struct {
		name      string
		compilers []string
		attested  bool
		want      []string
	}{
		{name: "no compiler is named", want: []string{"aot:linux/amd64/v3", "aot:linux/arm64", "aot:pulley64"}},
		{name: "a compiler is named, who attests nothing", compilers: []string{"compiler"}},
		{
			name: "a compiler is named, who attests all of it", compilers: []string{"compiler"}, attested: true,
			want: []string{"aot:linux/amd64/v3", "aot:linux/arm64", "aot:pulley64"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := ingest.Options{Trust: trusting(t, map[string]*key.Private{"compiler": compiler}).get, AOT: ingest.AOT{
				Rules: rules(t, "prod/** = linux/amd64/v3"), Compilers: tt.compilers,
			}}
			before := newEnv(t, setup{options: o})
			alice := before.as("alice")
			d := alice.pushPackage("prod/app", "1", module())
			before.wait()
			m, err := before.db.Manifest(t.Context(), "prod/app", d)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := before.svc.RequestAOT(t.Context(), m, []string{"linux/arm64"}, false, principal("alice")); err != nil {
				t.Fatalf("RequestAOT() = %v", err)
			}
			attested := func(result digest.Digest, j meta.AOTJob) {
				if tt.attested {
					alice.hang("prod/app", result, bundle(t, compiler, result, attest.TypeProvenance, provenanceOf(j.Source)))
				}
			}
			var j meta.AOTJob
			for range 2 { // by the rule and by request
				j = before.lease("worker", "linux/amd64/v3", "linux/arm64")
				result := before.as("worker").code(j)
				attested(result, j)
				_, err := before.svc.FinishAOT(t.Context(), j.Lease.Token, result, principal("worker"))
				if unattested := len(tt.compilers) > 0 && !tt.attested; errors.Is(err, ingest.ErrUnattested) != unattested || err != nil && !unattested {
					t.Fatalf("FinishAOT() = %v, want it refused as not attested: %v", err, unattested)
				}
			}
			j.Target = "pulley64" // pushed by hand
			attested(alice.code(j), j)
			j.Target, j.Runtime = "linux/amd64/v1", "wamr" // for another runtime, in the same layout
			attested(alice.code(j), j)
			j.Runtime, j.Source = aot.Runtime, digest.FromString("another module")
			attested(alice.code(j), j)
			before.wait()
			if diff := cmp.Diff(tt.want, before.nativeTerms("prod/app", d)); diff != "" {
				t.Errorf("terms before the rebuild (-want +got):\n%s", diff)
			}

			var dump bytes.Buffer
			if err := before.db.Dump(t.Context(), &dump); err != nil {
				t.Fatal(err)
			}
			db := openSQLite(t)
			t.Cleanup(func() { _ = db.Close() })
			if _, err := db.Load(t.Context(), &dump); err != nil {
				t.Fatal(err)
			}
			o.AOT.Rules = nil
			e := newEnv(t, setup{db: db, blobs: before.blobs, options: o})
			e.ingested("prod/app", d)
			e.wantAOT("in a rebuilt database without rules", "prod/app", d)
			if diff := cmp.Diff(tt.want, e.nativeTerms("prod/app", d)); diff != "" {
				t.Errorf("terms after the rebuild (-want +got):\n%s", diff)
			}
		})
	}
}

// ingested returns once a manifest went through all stages, and no job is left.
func (e *env) ingested(repo string, d digest.Digest) {
	e.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; <-time.After(time.Millisecond) {
		m, err := e.db.Manifest(e.Context(), repo, d)
		if err != nil || time.Now().After(deadline) {
			e.Fatalf("Manifest() = %+v, %v; want it ingested", m, err)
		}
		if m.Ingested == ingest.Version {
			break
		}
	}
	e.wait()
}

func TestWorkersPushNothingElse(t *testing.T) {
	e := newEnv(t, setup{options: ingest.Options{AOT: ingest.AOT{Rules: rules(t, "prod/** = linux/amd64/v3")}}})
	alice, worker := e.as("alice"), e.as("worker")
	d := alice.pushPackage("prod/app", "1", module())
	e.wait() // it is the first in the queue
	alice.pushPackage("prod/other", "1", module())
	e.wait()
	blob := []byte("x")
	upload := func(repo string) reply {
		return worker.do(http.MethodPost, "/v2/"+repo+"/blobs/uploads/?digest="+digest.FromBytes(blob).String(), blob, "Content-Type", octets)
	}
	worker.refused(upload("prod/app"), http.StatusForbidden, "DENIED")
	j := e.lease("worker", "linux/amd64/v3")
	if j.Repo != "prod/app" {
		t.Fatalf("LeaseAOT() = a job of %s, want prod/app", j.Repo)
	}
	worker.want(upload("prod/app"), http.StatusCreated)
	worker.refused(upload("prod/other"), http.StatusForbidden, "DENIED")
	config, code := made(j)
	result := worker.code(j)

	bundled := func(edit func(*ocispec.Manifest)) reply {
		m := ocispec.Manifest{
			Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: typeManifest, ArtifactType: aot.ArtifactType(aot.Runtime),
			Config: worker.blob("prod/app", ocispec.MediaTypeEmptyJSON, []byte("{}")), Subject: &ocispec.Descriptor{MediaType: typeManifest, Digest: d, Size: 2},
		}
		edit(&m)
		return worker.putJSON("prod/app", typeManifest, m)
	}
	hung := func(types ...string) func(*ocispec.Manifest) {
		return func(m *ocispec.Manifest) {
			for _, t := range types {
				m.Layers = append(m.Layers, worker.blob("prod/app", t, []byte("{}")))
			}
		}
	}
	tagged := worker.pack("prod/app")
	for name, r := range map[string]func() reply{
		"a package": func() reply { r, _ := worker.put("prod/app", "", tagged); return r },
		"a tag":     func() reply { r, _ := worker.put("prod/app", "mine", tagged); return r },
		"a tag for the code": func() reply {
			content := worker.get("prod/app", result.String()).body
			return worker.do(http.MethodPut, "/v2/prod/app/manifests/mine", content, "Content-Type", typeManifest)
		},
		"code of another":                 func() reply { r, _ := worker.pushCode("prod/app", digest.FromString("{}"), config, code); return r },
		"a deletion":                      func() reply { return worker.do(http.MethodDelete, "/v2/prod/app/manifests/"+d.String(), nil) },
		"a bundle on another":             func() reply { return worker.tryHang("prod/app", d) },
		"a bundle on nothing":             func() reply { return worker.tryHang("prod/app", digest.FromString("none")) },
		"a bundle on the package as code": func() reply { return bundled(hung(signing.MediaTypeBundle)) },
		"a bill of materials as code":     func() reply { return bundled(hung("application/vnd.cyclonedx+json")) },
		"code with a package in it":       func() reply { return bundled(hung(aot.MediaTypeCode, typeWasm)) },
		"a bundle on the code with a bill of materials": func() reply {
			return bundled(func(m *ocispec.Manifest) {
				m.ArtifactType, m.Subject.Digest = signing.MediaTypeBundle, result
				hung(signing.MediaTypeBundle, "application/vnd.cyclonedx+json")(m)
			})
		},
		"a signature by its artifact type alone": func() reply {
			return bundled(func(m *ocispec.Manifest) {
				m.ArtifactType, m.Subject.Digest = signing.MediaTypeNotation, result
				hung(typeWasm)(m)
			})
		},
		"an index that says it is code": func() reply {
			return worker.putJSON("prod/app", ocispec.MediaTypeImageIndex, ocispec.Index{
				Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex, ArtifactType: aot.ArtifactType(aot.Runtime),
				Manifests: []ocispec.Descriptor{{MediaType: typeManifest, Digest: result, Size: int64(len(worker.get("prod/app", result.String()).body))}},
				Subject:   &ocispec.Descriptor{MediaType: typeManifest, Digest: d, Size: 2},
			})
		},
		"a blob for another by mounting it": func() reply {
			return worker.do(http.MethodPost, "/v2/prod/other/blobs/uploads/?from=prod/app&mount="+digest.FromBytes(blob).String(), nil)
		},
	} {
		if r := r(); r.status != http.StatusForbidden {
			t.Errorf("%s: %s = %d %s, want 403", name, r.call, r.status, r.body)
		}
	}
	worker.want(worker.tryHang("prod/app", result), http.StatusCreated)
	if err := e.svc.FailAOT(t.Context(), j.Lease.Token, "why", true, principal("worker")); err != nil {
		t.Fatalf("FailAOT() = %v", err)
	}
	worker.refused(upload("prod/app"), http.StatusForbidden, "DENIED")
	worker.want(worker.get("prod/other", "1"), http.StatusOK)
}

// blob pushes a blob and describes it.
func (c *caller) blob(repo, mediaType string, content []byte) ocispec.Descriptor {
	c.Helper()
	c.pushBlob(repo, content)
	return ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(content), Size: int64(len(content))}
}

// putJSON pushes a manifest of any form by its digest.
func (c *caller) putJSON(repo, mediaType string, m any) reply {
	c.Helper()
	content, err := json.Marshal(m)
	if err != nil {
		c.Fatal(err)
	}
	return c.do(http.MethodPut, "/v2/"+repo+"/manifests/"+digest.FromBytes(content).String(), content, "Content-Type", mediaType)
}

// tryHang pushes something that looks like a bundle onto a manifest.
func (c *caller) tryHang(repo string, d digest.Digest) reply {
	c.Helper()
	about := ocispec.Descriptor{MediaType: typeManifest, Digest: d, Size: 1}
	content, _, err := signing.Attachment(about, []byte("{}"), signing.PredicateSignature)
	if err != nil {
		c.Fatal(err)
	}
	c.pushBlob(repo, []byte("{}"))
	return c.do(http.MethodPut, "/v2/"+repo+"/manifests/"+digest.FromBytes(content).String(), content, "Content-Type", typeManifest)
}

func TestAWorkerThatDiesLosesItsJob(t *testing.T) {
	c := newClock()
	e := newEnv(t, setup{options: ingest.Options{Clock: c.Now, AOT: ingest.AOT{
		Rules: rules(t, "prod/** = linux/amd64/v3"), Lease: time.Minute, MaxAttempts: 3,
	}}})
	d := e.as("alice").pushPackage("prod/app", "1", module())
	e.wait()
	first := e.lease("worker", "linux/amd64/v3")
	c.add(50 * time.Second)
	j, err := e.svc.ExtendAOT(t.Context(), first.Lease.Token, principal("worker"))
	if err != nil || !j.Lease.Until.Equal(c.Now().Add(time.Minute)) {
		t.Fatalf("ExtendAOT() = until %v, %v; want a minute from now", j.Lease.Until, err)
	}
	if _, err := e.svc.ExtendAOT(t.Context(), first.Lease.Token, principal("worker2")); !errors.Is(err, meta.ErrConflict) {
		t.Errorf("ExtendAOT() by another = %v, want %v", err, meta.ErrConflict)
	}
	c.add(61 * time.Second)
	// It waits a while before it is tried again.
	if _, err := e.tryLease("worker2", 0, "linux/amd64/v3"); !errors.Is(err, meta.ErrNotFound) {
		t.Errorf("LeaseAOT() right behind the end = %v, want %v", err, meta.ErrNotFound)
	}
	for call, err := range map[string]error{
		"ExtendAOT": func() error {
			_, err := e.svc.ExtendAOT(t.Context(), first.Lease.Token, principal("worker"))
			return err
		}(),
		"FailAOT":    e.svc.FailAOT(t.Context(), first.Lease.Token, "why", false, principal("worker")),
		"ReleaseAOT": e.svc.ReleaseAOT(t.Context(), first.Lease.Token, principal("worker")),
		"FinishAOT": func() error {
			_, err := e.svc.FinishAOT(t.Context(), first.Lease.Token, d, principal("worker"))
			return err
		}(),
	} {
		if !errors.Is(err, meta.ErrConflict) {
			t.Errorf("%s() by who lost the lease = %v, want %v", call, err, meta.ErrConflict)
		}
	}
	c.add(30 * time.Second)
	second := e.lease("worker2", "linux/amd64/v3")
	if second.Attempts != 2 || !strings.Contains(second.Failure, "not heard of") {
		t.Errorf("LeaseAOT() = %+v, want the second attempt, and why", second)
	}
	if err := e.svc.FailAOT(t.Context(), second.Lease.Token, "crash: SIGABRT", false, principal("worker2")); err != nil {
		t.Fatalf("FailAOT() = %v", err)
	}
	c.add(time.Minute)
	third := e.lease("worker", "linux/amd64/v3")
	if err := e.svc.FailAOT(t.Context(), third.Lease.Token, "crash: SIGABRT", false, principal("worker")); err != nil {
		t.Fatalf("FailAOT() = %v", err)
	}
	e.wantAOT("after three attempts", "prod/app", d, "linux/amd64/v3 failed")
	want := ingest.AOTResults{Retried: 2, Failed: 1, Expired: 1}
	if got := e.svc.AOTResults(); got != want {
		t.Errorf("AOTResults() = %+v, want %+v", got, want)
	}

	// Somebody asks for it again.
	m, err := e.db.Manifest(t.Context(), "prod/app", d)
	if err != nil {
		t.Fatal(err)
	}
	jobs, err := e.svc.RequestAOT(t.Context(), m, []string{"linux/amd64/v3"}, true, principal("bob"))
	if err != nil || len(jobs) != 1 || jobs[0].State != meta.AOTQueued || jobs[0].Attempts != 0 {
		t.Errorf("RequestAOT() = %+v, %v, want it queued", jobs, err)
	}
	// What nothing is wrong with is given back, and taken at once.
	j = e.lease("worker", "linux/amd64/v3")
	if err := e.svc.ReleaseAOT(t.Context(), j.Lease.Token, principal("worker")); err != nil {
		t.Fatalf("ReleaseAOT() = %v", err)
	}
	j = e.lease("worker2", "linux/amd64/v3")
	if err := e.svc.FailAOT(t.Context(), j.Lease.Token, "input: no", true, principal("worker2")); err != nil {
		t.Fatalf("FailAOT() = %v", err)
	}
	e.wantAOT("that no repetition would mend", "prod/app", d, "linux/amd64/v3 failed")
}

// A worker that hangs says every minute that it is at work.
func TestAWorkerThatNeverEndsLosesItsJob(t *testing.T) {
	c := newClock()
	e := newEnv(t, setup{options: ingest.Options{Clock: c.Now, AOT: ingest.AOT{
		Rules: rules(t, "prod/** = linux/amd64/v3"), Lease: time.Minute, MaxTime: 150 * time.Second,
	}}})
	e.as("alice").pushPackage("prod/app", "1", module())
	e.wait()
	first := e.lease("worker", "linux/amd64/v3")
	end := c.Now().Add(150 * time.Second)
	for _, tt := range []struct {
		wait  time.Duration
		until time.Duration // of the lease, from its beginning; 0 for a refusal
	}{{50 * time.Second, 110 * time.Second}, {50 * time.Second, 150 * time.Second}, {49 * time.Second, 150 * time.Second}, {time.Second, 0}} {
		c.add(tt.wait)
		j, err := e.svc.ExtendAOT(t.Context(), first.Lease.Token, principal("worker"))
		if tt.until == 0 && !errors.Is(err, meta.ErrConflict) {
			t.Errorf("ExtendAOT() at the end = until %v, %v; want %v", j.Lease.Until, err, meta.ErrConflict)
		}
		if want := first.Lease.Since.Add(tt.until); tt.until > 0 && (err != nil || !j.Lease.Until.Equal(want)) {
			t.Errorf("ExtendAOT() = until %v, %v; want %v", j.Lease.Until, err, want)
		}
	}
	c.add(end.Sub(c.Now()) + time.Second)
	if _, err := e.tryLease("worker2", 0, "linux/amd64/v3"); !errors.Is(err, meta.ErrNotFound) {
		t.Errorf("LeaseAOT() right behind the end = %v, want %v", err, meta.ErrNotFound)
	}
	c.add(30 * time.Second)
	second := e.lease("worker2", "linux/amd64/v3")
	if want := "the worker was at it for longer than 2m30s"; second.Attempts != 2 || second.Failure != want {
		t.Errorf("LeaseAOT() = attempt %d after %q, want 2 after %q", second.Attempts, second.Failure, want)
	}
}

// The answer to a worker's last call may be lost.
func TestAResultIsToldTwice(t *testing.T) {
	e := newEnv(t, setup{options: ingest.Options{AOT: ingest.AOT{Rules: rules(t, "prod/** = linux/amd64/v3")}}})
	d := e.as("alice").pushPackage("prod/app", "1", module())
	e.wait()
	j := e.lease("worker", "linux/amd64/v3")
	result := e.as("worker").code(j)
	for range 2 {
		done, err := e.svc.FinishAOT(t.Context(), j.Lease.Token, result, principal("worker"))
		if err != nil || done.State != meta.AOTDone || done.Result != result {
			t.Fatalf("FinishAOT() = %+v, %v; want it done with %s", done, err, result)
		}
	}
	if got, want := e.svc.AOTResults(), (ingest.AOTResults{Done: 1}); got != want {
		t.Errorf("AOTResults() = %+v, want %+v", got, want)
	}
	for name, call := range map[string]func() error{
		"FinishAOT() with another": func() error {
			_, err := e.svc.FinishAOT(t.Context(), j.Lease.Token, d, principal("worker"))
			return err
		},
		"FinishAOT() by another": func() error {
			_, err := e.svc.FinishAOT(t.Context(), j.Lease.Token, result, principal("worker2"))
			return err
		},
		"ExtendAOT": func() error {
			_, err := e.svc.ExtendAOT(t.Context(), j.Lease.Token, principal("worker"))
			return err
		},
		"ReleaseAOT": func() error { return e.svc.ReleaseAOT(t.Context(), j.Lease.Token, principal("worker")) },
	} {
		if err := call(); !errors.Is(err, meta.ErrConflict) {
			t.Errorf("%s of what is done = %v, want %v", name, err, meta.ErrConflict)
		}
	}
}

func TestWorkersWaitForJobs(t *testing.T) {
	e := newEnv(t, setup{options: ingest.Options{AOT: ingest.AOT{Rules: rules(t, "prod/** = linux/amd64/v3")}}})
	type got struct {
		j   meta.AOTJob
		err error
	}
	first, second := make(chan got, 1), make(chan got, 1)
	for _, c := range []chan got{first, second} {
		go func() {
			j, err := e.tryLease("worker", 30*time.Second, "linux/amd64/v3")
			c <- got{j, err}
		}()
	}
	a := e.as("alice").pushPackage("prod/a", "1", module())
	b := e.as("alice").pushPackage("prod/b", "1", module("a.b"))
	var leased []digest.Digest
	for _, c := range []chan got{first, second} {
		g := <-c
		if g.err != nil {
			t.Fatalf("LeaseAOT() = %v", g.err)
		}
		leased = append(leased, g.j.Subject)
	}
	if !slices.Contains(leased, a) || !slices.Contains(leased, b) {
		t.Errorf("LeaseAOT() of two workers = %v, want %s and %s", leased, a, b)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w := meta.AOTWorker{Runtime: aot.Runtime, Profile: aot.Profile, Offers: []meta.AOTOffer{{Target: "pulley64"}}}
	if _, err := e.svc.LeaseAOT(ctx, w, time.Minute); err == nil {
		t.Error("LeaseAOT() of a caller who left = nil, want an error")
	}
}

func TestWhatIsNotCompiled(t *testing.T) {
	e := newEnv(t, setup{})
	alice := e.as("alice")
	image := alice.push("r", "image", layer{typeWasm, module(), ""})
	two := alice.pack("r", layer{typeWasm, module(), ""}, layer{typeWasm, module("a.b"), ""})
	two.Config.MediaType = typeConfig
	r, both := alice.put("r", "two", two)
	alice.want(r, http.StatusCreated)
	e.wait()
	for name, d := range map[string]digest.Digest{"an image": image, "two layers": both} {
		m, err := e.db.Manifest(t.Context(), "r", d)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := e.svc.RequestAOT(t.Context(), m, []string{"pulley64"}, false, principal("bob")); !errors.Is(err, ingest.ErrNotCompiled) {
			t.Errorf("RequestAOT() of %s = %v, want %v", name, err, ingest.ErrNotCompiled)
		}
	}
}
