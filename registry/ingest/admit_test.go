package ingest_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/registry/ingest"
	"github.com/wreg-project/wreg/registry/policy"
	"github.com/wreg-project/wreg/storage/blob"
	"github.com/wreg-project/wreg/storage/blob/mem"
	"github.com/wreg-project/wreg/storage/meta"
)

// noNetwork is the policy of that name that comes with wreg.
func noNetwork(tb testing.TB) string {
	for _, p := range policy.Ready() {
		if p.Name == "no-network" {
			return string(p.Source)
		}
	}
	tb.Fatal("there is no policy no-network")
	return ""
}

var (
	opensSockets = module("wasi_snapshot_preview1.sock_accept", "wasi_snapshot_preview1.sock_send")
	harmless     = module("wasi_snapshot_preview1.clock_time_get")
)

func TestAPackageThatAPolicyRefusesCannotBePulled(t *testing.T) {
	e := newEnv(t, setup{})
	e.policy("no-network", noNetwork(t))
	alice, bob, carol, nobody := e.as("alice"), e.as("bob"), e.as("carol"), e.as("")

	m := alice.pack("team/app", layer{typeWasm, opensSockets, "app.wasm"})
	file := m.Layers[0].Digest
	for _, ref := range []string{"1.0.0", ""} {
		r, _ := alice.put("team/app", ref, m)
		got := alice.refused(r, http.StatusForbidden, "DENIED")
		for _, want := range []string{"no-network/network", "net-inbound", "app.wasm"} {
			if !strings.Contains(got.Message, want) {
				t.Errorf("message %q, want it to name %q", got.Message, want)
			}
		}
		violations, _ := got.Detail["violations"].([]any)
		if len(violations) == 0 {
			t.Errorf("detail = %v, want the violations", got.Detail)
		}
	}
	d := digest.FromBytes(m.text(t))
	alice.want(alice.get("team/app", "1.0.0"), http.StatusNotFound)
	alice.want(carol.get("team/app", d.String()), http.StatusNotFound)
	for c, status := range map[*caller]int{alice: 200, bob: 404, carol: 200, nobody: 404} {
		c.want(c.getBlob("team/app", file), status)
	}

	ctx, all := t.Context(), meta.Visibility{Everything: true}
	decisions, err := e.db.Decisions(ctx, all, meta.DecisionFilter{}, 0, 10)
	if err != nil || len(decisions) != 2 || decisions[1].Outcome != meta.VerdictDeny || decisions[1].Principal != "alice" ||
		cmp.Diff([]string{"1.0.0"}, decisions[1].Tags) != "" {
		t.Errorf("Decisions() = %+v, %v; want one for the tag and one without", decisions, err)
	}
	q, err := e.db.Quarantined(ctx, "team/app", d, time.Now())
	if err != nil || q.Uploader != "alice" || len(q.Blobs) != 2 || time.Until(q.Until) < 6*24*time.Hour {
		t.Errorf("Quarantined() = %+v, %v", q, err)
	}
	files, analysed, err := e.svc.Files(ctx, "team/app", d)
	if err != nil || len(files) != 1 || files[0].Capabilities.Reachable == nil {
		t.Fatalf("Files() of what was refused = %+v, %v, %v; want its report", files, analysed, err)
	}
	body, err := e.svc.OpenReport(ctx, "team/app", files[0])
	if err != nil {
		t.Fatalf("OpenReport() = %v", err)
	}
	report, err := io.ReadAll(body)
	if err != nil || digest.FromBytes(report) != files[0].Full {
		t.Errorf("report of %d bytes, %v; want %s", len(report), err, files[0].Full)
	}
	if diff := cmp.Diff([]string{"refused", "refused"}, e.events("team/app")); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestAClientThatRepeatsARefusedPushFillsNoDatabase(t *testing.T) {
	e := newEnv(t, setup{})
	e.policy("no-network", noNetwork(t))
	alice := e.as("alice")
	m := alice.pack("team/app", layer{typeWasm, opensSockets, ""})
	for range 5 {
		r, _ := alice.put("team/app", "1.0.0", m)
		alice.refused(r, http.StatusForbidden, "DENIED")
	}
	decisions, err := e.db.Decisions(t.Context(), meta.Visibility{Everything: true}, meta.DecisionFilter{}, 0, 10)
	if err != nil || len(decisions) != 1 {
		t.Errorf("Decisions() = %+v, %v; want one", decisions, err)
	}
}

func TestAnApprovedDigestIsAcceptedWhenItIsPushedAgain(t *testing.T) {
	tests := []struct {
		name   string
		rule   string
		status int
	}{
		{"of every rule", "", http.StatusCreated},
		{"of the rule that it violates", "no-network/network", http.StatusCreated},
		{"of another rule", "no-network/detours", http.StatusForbidden},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := newEnv(t, setup{})
			e.policy("no-network", noNetwork(t))
			alice, bob := e.as("alice"), e.as("bob")
			m := alice.pack("team/app", layer{typeWasm, opensSockets, ""})
			r, d := alice.put("team/app", "1.0.0", m)
			alice.refused(r, http.StatusForbidden, "DENIED")
			e.update(func(ctx context.Context, tx meta.Tx) error {
				return tx.PutApproval(ctx, meta.Approval{
					Repo: "team/app", Digest: d, Rule: tt.rule, By: "carol", Reason: "it is a server", Time: time.Now(),
				})
			})
			r, _ = alice.put("team/app", "1.0.0", m)
			alice.want(r, tt.status)
			if tt.status != http.StatusCreated {
				return
			}
			e.wait()
			alice.want(bob.get("team/app", "1.0.0"), http.StatusOK)
			alice.want(bob.getBlob("team/app", m.Layers[0].Digest), http.StatusOK)
			if _, err := e.db.Quarantined(t.Context(), "team/app", d, time.Now()); err == nil {
				t.Error("it is still in quarantine")
			}
			last, err := e.db.Decisions(t.Context(), meta.Visibility{Everything: true}, meta.DecisionFilter{}, 0, 1)
			if err != nil || len(last) != 1 || last[0].Outcome != meta.VerdictAllow ||
				!strings.Contains(string(last[0].Violations), `"approved":true`) {
				t.Errorf("Decisions() = %+v, %v; want it allowed, with what was approved", last, err)
			}
		})
	}
}

func tarOf(tb testing.TB, files map[string][]byte) []byte {
	tb.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for name, content := range files {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content))}); err != nil {
			tb.Fatal(err)
		}
		if _, err := w.Write(content); err != nil {
			tb.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

func gzipOf(tb testing.TB, content []byte) []byte {
	tb.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(content); err != nil {
		tb.Fatal(err)
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

func zstdOf(tb testing.TB, content []byte) []byte {
	tb.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		tb.Fatal(err)
	}
	defer w.Close()
	return w.EncodeAll(content, nil)
}

func TestWhateverALayerSaysItIsPolicySeesItsWasm(t *testing.T) {
	archive := tarOf(t, map[string][]byte{"etc/motd": []byte("hello"), "bin/app.wasm": opensSockets})
	tests := []struct {
		name    string
		layers  []layer
		message string
	}{
		{"raw Wasm as octets", []layer{{octets, opensSockets, ""}}, "no-network/network"},
		{"raw Wasm as a picture", []layer{{"image/png", opensSockets, "cat.png"}}, "cat.png"},
		{"in a tar layer", []layer{{"application/vnd.oci.image.layer.v1.tar", archive, ""}}, "bin/app.wasm"},
		{"in a compressed layer", []layer{{typeTarGzip, gzipOf(t, archive), ""}}, "bin/app.wasm"},
		{"in a layer of zstd", []layer{{"application/vnd.oci.image.layer.v1.tar+zstd", zstdOf(t, archive), ""}}, "bin/app.wasm"},
		{"in a layer that names another compression", []layer{{typeTarGzip, zstdOf(t, archive), ""}}, "bin/app.wasm"},
		{"compressed without an archive", []layer{{octets, gzipOf(t, opensSockets), ""}}, "no-network/network"},
		{
			"in an archive in an archive",
			[]layer{{octets, tarOf(t, map[string][]byte{"inner.tgz": gzipOf(t, archive)}), ""}},
			"inner.tgz!/bin/app.wasm",
		},
		{"behind a harmless module", []layer{{typeWasm, harmless, ""}, {"text/plain", opensSockets, "notes.txt"}}, "notes.txt"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := newEnv(t, setup{})
			e.policy("no-network", noNetwork(t))
			alice := e.as("alice")
			r, _ := alice.put("team/app", "1.0.0", alice.pack("team/app", tt.layers...))
			if got := alice.refused(r, http.StatusForbidden, "DENIED"); !strings.Contains(got.Message, tt.message) {
				t.Errorf("message %q, want it to name %q", got.Message, tt.message)
			}
		})
	}
}

func TestWasmIsSeenWhereverAManifestCanHoldIt(t *testing.T) {
	t.Run("as its config", func(t *testing.T) {
		e := newEnv(t, setup{})
		e.policy("no-network", noNetwork(t))
		alice := e.as("alice")
		m := alice.pack("team/app")
		alice.pushBlob("team/app", opensSockets)
		m.Config = layer{octets, opensSockets, ""}.descriptor()
		r, _ := alice.put("team/app", "1.0.0", m)
		alice.refused(r, http.StatusForbidden, "DENIED")
	})
	t.Run("as the manifest itself", func(t *testing.T) {
		e := newEnv(t, setup{})
		e.policy("no-network", noNetwork(t))
		alice := e.as("alice")
		r := alice.do(http.MethodPut, "/v2/team/app/manifests/1.0.0", opensSockets, "Content-Type", typeWasm)
		alice.refused(r, http.StatusForbidden, "DENIED")
	})
}

func TestWhatIsHarmlessPasses(t *testing.T) {
	e := newEnv(t, setup{})
	e.policy("no-network", noNetwork(t))
	alice, bob := e.as("alice"), e.as("bob")
	alice.push("team/app", "1.0.0", layer{typeWasm, harmless, ""})
	text := layer{"text/markdown", []byte("# Hello"), "README.md"}
	alice.push("team/docs", "1.0.0", text)
	e.wait()
	alice.want(bob.get("team/app", "1.0.0"), http.StatusOK)
	alice.want(bob.getBlob("team/app", digest.FromBytes(harmless)), http.StatusOK)
	alice.want(bob.getBlob("team/docs", text.descriptor().Digest), http.StatusOK)
}

func TestBlobsOfNoAdmittedManifestAreTheirUploadersAlone(t *testing.T) {
	e := newEnv(t, setup{})
	alice, bob, carol, nobody := e.as("alice"), e.as("bob"), e.as("carol"), e.as("")
	d := alice.pushBlob("team/app", opensSockets)
	alice.want(bob.getBlob("team/app", d), http.StatusOK) // nothing is enforced yet
	e.policy("no-network", noNetwork(t))
	e.follow("team/app")
	for c, status := range map[*caller]int{alice: 200, bob: 404, carol: 404, nobody: 404} {
		c.want(c.getBlob("team/app", d), status)
	}
	mount := "/v2/elsewhere/blobs/uploads/?mount=" + d.String()
	for _, query := range []string{"&from=team/app", ""} {
		alice.want(bob.do(http.MethodPost, mount+query, nil), http.StatusAccepted) // an upload instead
	}
	alice.want(bob.getBlob("elsewhere", d), http.StatusNotFound)
	alice.want(alice.do(http.MethodPost, mount+"&from=team/app", nil), http.StatusCreated)
}

// follow waits until the registry knows that repo is guarded.
func (e *env) follow(repo string) {
	e.Helper()
	for deadline := time.Now().Add(10 * time.Second); !e.svc.Guarded(repo); <-time.After(time.Millisecond) {
		if time.Now().After(deadline) {
			e.Fatalf("Guarded(%s) = false", repo)
		}
	}
}

func TestBrokenWasmIsRefused(t *testing.T) {
	broken := append(bytes.Clone(harmless[:len(harmless)-3]), 0xff, 0xff, 0x0b)
	tests := []struct {
		name   string
		layer  layer
		reason string
	}{
		{"a text", layer{typeWasm, []byte("(module)"), "app.wat"}, "WebAssembly text"},
		{"something else", layer{typeWasm, []byte("\x89PNG and more"), ""}, "not a WebAssembly binary"},
		{"an empty layer", layer{typeWasm, nil, ""}, "unexpected end"},
		{"a module cut short", layer{typeWasm, harmless[:len(harmless)-4], "app.wasm"}, "unexpected end"},
		{"a module with an instruction that there is not", layer{typeWasm, broken, ""}, "illegal opcode"},
		{"another known type", layer{"application/vnd.wasm.content.layer.v1+wasm", []byte("no"), ""}, "not a WebAssembly binary"},
		{"a compressed module", layer{typeWasm, gzipOf(t, harmless), ""}, "not a WebAssembly binary"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := newEnv(t, setup{})
			alice := e.as("alice")
			r, _ := alice.put("team/app", "1.0.0", alice.pack("team/app", tt.layer))
			got := alice.refused(r, http.StatusBadRequest, "MANIFEST_INVALID")
			for _, want := range []string{tt.reason, "byte", ingest.SettingBrokenWasm, tt.layer.title} {
				if !strings.Contains(got.Message, want) {
					t.Errorf("message %q, want it to name %q", got.Message, want)
				}
			}
			if got.Detail["offset"] == nil || got.Detail["digest"] != tt.layer.descriptor().Digest.String() {
				t.Errorf("detail = %v, want digest and offset", got.Detail)
			}

			lenient := newEnv(t, setup{options: ingest.Options{StoreBroken: true}})
			d := lenient.as("alice").push("team/app", "1.0.0", tt.layer)
			lenient.wait()
			files, _, err := lenient.svc.Files(t.Context(), "team/app", d)
			if err != nil || len(files) == 0 || files[0].Report.Valid || !strings.Contains(files[0].Report.Problem, tt.reason) {
				t.Errorf("Files() = %+v, %v; want what is wrong", files, err)
			}
		})
	}
}

func TestWasmThatOnlyItsBytesTellOfIsStoredBroken(t *testing.T) {
	e := newEnv(t, setup{})
	alice := e.as("alice")
	alice.push("team/app", "1.0.0", layer{octets, harmless[:len(harmless)-4], ""})
	alice.push("team/img", "1.0.0", layer{typeTarGzip, []byte("no gzip"), ""})
	e.wait()
}

func TestWhatIsTooLargeToInspectPassesNoRuleThatAsksForItsContent(t *testing.T) {
	limits := ingest.DefaultLimits
	limits.MaxModule = 100
	e := newEnv(t, setup{options: ingest.Options{Limits: limits}})
	alice := e.as("alice")
	large := layer{typeWasm, component(t), "large.wasm"}
	alice.push("free/app", "1.0.0", large)
	e.wait()
	e.policy("no-network", noNetwork(t))
	r, _ := alice.put("team/app", "1.0.0", alice.pack("team/app", large))
	got := alice.refused(r, http.StatusForbidden, "DENIED")
	if !strings.Contains(got.Message, "cannot be inspected") || !strings.Contains(got.Message, "100") {
		t.Errorf("message %q, want it to say that the file is too large", got.Message)
	}
}

func TestRulesAboutThePackageAloneNeedNoInspection(t *testing.T) {
	blobs := &gatedStore{Store: mem.New()}
	e := newEnv(t, setup{blobs: blobs, stopped: true, options: ingest.Options{StoreBroken: true}})
	e.policy("tags", "name: tags\nrules:\n- name: latest\n  deny: '\"latest\" in pkg.tags'\n  message: no latest\n")
	alice := e.as("alice")
	alice.push("team/app", "1.0.0", layer{typeWasm, harmless, ""})
	r, _ := alice.put("team/app", "latest", alice.pack("team/app", layer{typeWasm, harmless, ""}))
	alice.refused(r, http.StatusForbidden, "DENIED")
	if got := blobs.opened(); got != 0 {
		t.Errorf("%d blobs were read, want none", got)
	}
	last, err := e.db.Decisions(t.Context(), meta.Visibility{Everything: true}, meta.DecisionFilter{}, 0, 1)
	if err != nil || len(last) != 1 || last[0].Action != "tag" {
		t.Errorf("Decisions() = %+v, %v; want one about the tag", last, err)
	}
	alice.want(alice.get("team/app", "1.0.0"), http.StatusOK)
}

func TestAPolicyThatFailsRefuses(t *testing.T) {
	tests := []struct {
		name, source, message string
	}{
		{"when it is evaluated", "name: p\nrules:\n- name: r\n  require: pkg.annotations[\"team\"] == \"a\"\n", "p/r"},
		{"when it does not compile any more", "name: p\nrules:\n- name: r\n  require: pkg.nothing == 1\n", "cannot be compiled"},
		{"when it cannot be read any more", "][", "cannot be compiled"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := newEnv(t, setup{})
			e.update(func(ctx context.Context, tx meta.Tx) error {
				_, err := tx.PutPolicy(ctx, meta.Policy{Name: "p", Source: tt.source, Created: time.Now()})
				return err
			})
			alice := e.as("alice")
			r, _ := alice.put("team/app", "1.0.0", alice.pack("team/app", layer{typeWasm, harmless, ""}))
			if got := alice.refused(r, http.StatusForbidden, "DENIED"); !strings.Contains(got.Message, tt.message) {
				t.Errorf("message %q, want it to say %q", got.Message, tt.message)
			}
		})
	}
}

func TestOnlyWhatIsInScopeIsRefused(t *testing.T) {
	e := newEnv(t, setup{})
	e.policy("p", "name: p\nscope:\n  repositories: [prod/**]\nrules:\n- name: r\n  deny: pkg.name != \"\"\n")
	alice := e.as("alice")
	alice.push("dev/app", "1.0.0", layer{typeWasm, harmless, ""})
	r, _ := alice.put("prod/app", "1.0.0", alice.pack("prod/app", layer{typeWasm, harmless, ""}))
	alice.refused(r, http.StatusForbidden, "DENIED")
	if !e.svc.Guarded("prod/app") || e.svc.Guarded("dev/app") {
		t.Errorf("Guarded(prod/app), Guarded(dev/app) = %v, %v; want true, false", e.svc.Guarded("prod/app"), e.svc.Guarded("dev/app"))
	}
	e.wait()
}

func TestCapabilityGrowthIsHeldAgainstTheVersionBefore(t *testing.T) {
	e := newEnv(t, setup{})
	for _, p := range policy.Ready() {
		if p.Name == "capability-growth" {
			e.policy(p.Name, string(p.Source))
		}
	}
	alice := e.as("alice")
	push := func(tag string, content []byte) reply {
		r, _ := alice.put("team/app", tag, alice.pack("team/app", layer{typeWasm, content, ""}))
		return r
	}
	alice.want(push("1.0.0", harmless), http.StatusCreated)
	alice.want(push("1.0.1", harmless), http.StatusCreated)
	got := alice.refused(push("1.1.0", opensSockets), http.StatusForbidden, "DENIED")
	if !strings.Contains(got.Message, "1.0.1 could not do this") {
		t.Errorf("message %q, want it to name the version before", got.Message)
	}
	alice.want(push("0.1.0", opensSockets), http.StatusCreated) // nothing is before it
	e.wait()
}

func TestAPushIsJudgedByThePoliciesThatHoldWhenItIsWritten(t *testing.T) {
	blobs := &gatedStore{Store: mem.New()}
	e := newEnv(t, setup{blobs: blobs, stopped: true})
	alice := e.as("alice")
	m := alice.pack("team/app", layer{typeWasm, opensSockets, ""})
	blobs.close()
	answer := make(chan reply)
	go func() {
		r, _ := alice.put("team/app", "1.0.0", m)
		answer <- r
	}()
	blobs.waitOpened()
	e.policy("no-network", noNetwork(t)) // while the layer is being looked at
	blobs.open()
	alice.refused(<-answer, http.StatusForbidden, "DENIED")
}

// A gatedStore counts what is read, and while it is closed lets nobody read.
type gatedStore struct {
	blob.Store
	gate  chan struct{}
	reads chan struct{}
	n     int
}

func (g *gatedStore) close() { g.gate, g.reads = make(chan struct{}), make(chan struct{}, 100) }

func (g *gatedStore) open() { close(g.gate) }

func (g *gatedStore) waitOpened() { <-g.reads }

func (g *gatedStore) opened() int { return g.n }

func (g *gatedStore) Open(ctx context.Context, k blob.Key, off, n int64) (io.ReadCloser, error) {
	g.n++
	if g.gate != nil {
		g.reads <- struct{}{}
		select {
		case <-g.gate:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return g.Store.Open(ctx, k, off, n)
}

func TestAClientThatHangsUpDoesNotCancelTheVerdict(t *testing.T) {
	blobs := &gatedStore{Store: mem.New()}
	e := newEnv(t, setup{blobs: blobs})
	e.policy("no-network", noNetwork(t))
	alice := e.as("alice")
	m := alice.pack("team/app", layer{typeWasm, opensSockets, ""})
	blobs.close()
	ctx, hangUp := context.WithCancel(t.Context())
	gone := make(chan error)
	go func() {
		text := m.text(t)
		req, err := http.NewRequestWithContext(ctx, http.MethodPut, e.url+"/v2/team/app/manifests/1.0.0", bytes.NewReader(text))
		if err != nil {
			gone <- err
			return
		}
		req.Header.Set("Content-Type", m.MediaType)
		req.SetBasicAuth("alice", "")
		res, err := http.DefaultClient.Do(req)
		if err == nil {
			res.Body.Close()
		}
		gone <- err
	}()
	blobs.waitOpened()
	hangUp()
	if err := <-gone; err == nil {
		t.Fatal("the push was answered before it could be")
	}
	blobs.open()
	for deadline := time.Now().Add(10 * time.Second); ; <-time.After(time.Millisecond) {
		decisions, err := e.db.Decisions(t.Context(), meta.Visibility{Everything: true}, meta.DecisionFilter{}, 0, 10)
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("Decisions() = %+v, %v; want the verdict", decisions, err)
		}
		if len(decisions) == 1 {
			break
		}
	}
	before := blobs.opened()
	r, _ := alice.put("team/app", "1.0.0", m)
	alice.refused(r, http.StatusForbidden, "DENIED")
	if got := blobs.opened() - before; got != 0 {
		t.Errorf("the second try read %d blobs, want the first one's result", got)
	}
}

func TestAClientCannotWriteInTheNameOfTheRegistry(t *testing.T) {
	e := newEnv(t, setup{})
	alice := e.as("alice")
	d := alice.push("team/app", "1.0.0", layer{typeWasm, harmless, ""})
	e.wait()
	lie := layer{typeReport, []byte(`{"kind":"component"}`), "report.json"}
	m := alice.pack("team/app", lie)
	m.ArtifactType = typeReport
	subject, err := e.db.Manifest(t.Context(), "team/app", d)
	if err != nil {
		t.Fatal(err)
	}
	m.Subject = &descriptor{MediaType: typeManifest, Digest: d, Size: len(subject.Content)}
	m.Annotations = map[string]string{"io.wreg.producer": "this-registry", "io.wreg.derived": "report"}
	r, _ := alice.put("team/app", "", m)
	alice.refused(r, http.StatusForbidden, "DENIED")

	m.Annotations = map[string]string{"io.wreg.producer": "another-registry"}
	r, foreign := alice.put("team/app", "", m)
	alice.want(r, http.StatusCreated)
	if _, err := e.svc.Reindex(t.Context(), "team/app", d); err != nil {
		t.Fatal(err)
	}
	e.wait()
	alice.want(alice.get("team/app", foreign.String()), http.StatusOK)
	files, _, err := e.svc.Files(t.Context(), "team/app", d)
	if err != nil || len(files) != 1 || files[0].Report.Kind != "module" {
		t.Errorf("Files() = %+v, %v; want what the registry found itself", files, err)
	}
	ours := alice.get("team/app", d.String()) // what the registry made can be pushed back as it is
	alice.want(ours, http.StatusOK)
	refs, err := e.db.Referrers(t.Context(), "team/app", d, typeReport, meta.Page{})
	if err != nil || len(refs) != 2 {
		t.Fatalf("Referrers() = %+v, %v; want ours and the foreign one", refs, err)
	}
	for _, ref := range refs {
		text := alice.want(alice.get("team/app", ref.Digest.String()), http.StatusOK).body
		again := alice.do(http.MethodPut, "/v2/team/app/manifests/"+ref.Digest.String(), text, "Content-Type", typeManifest)
		alice.want(again, http.StatusCreated)
	}
}

func TestPullsArePolicedToo(t *testing.T) {
	e := newEnv(t, setup{})
	alice, bob := e.as("alice"), e.as("bob")
	d := alice.push("team/app", "1.0.0", layer{typeWasm, opensSockets, "app.wasm"})
	alice.push("team/ok", "1.0.0", layer{typeWasm, harmless, ""})
	e.wait()
	alice.want(bob.get("team/app", "1.0.0"), http.StatusOK)

	e.policy("no-network", noNetwork(t))
	e.verdict("team/app", d, meta.VerdictDeny)
	for _, r := range []reply{bob.get("team/app", "1.0.0"), alice.get("team/app", d.String())} {
		if got := alice.refused(r, http.StatusForbidden, "DENIED"); !strings.Contains(got.Message, "no-network/network") {
			t.Errorf("message %q, want the rule", got.Message)
		}
	}
	alice.want(bob.do(http.MethodHead, "/v2/team/app/manifests/1.0.0", nil), http.StatusForbidden)
	alice.want(bob.getBlob("team/app", digest.FromBytes(opensSockets)), http.StatusNotFound)
	alice.want(bob.get("team/ok", "1.0.0"), http.StatusOK)
	alice.want(bob.getBlob("team/ok", digest.FromBytes(harmless)), http.StatusOK)

	warn := strings.Replace(noNetwork(t), "severity: high", "severity: high\nmode: warn", 1)
	e.policy("no-network", warn)
	e.verdict("team/app", d, meta.VerdictWarn)
	r := alice.want(bob.get("team/app", "1.0.0"), http.StatusOK)
	if got := r.header.Get("Warning"); !strings.HasPrefix(got, `299 - "policy no-network/network: `) || !strings.HasSuffix(got, `"`) {
		t.Errorf("Warning = %q, want the rule", got)
	}

	e.update(func(ctx context.Context, tx meta.Tx) error {
		return tx.DeletePolicy(ctx, "no-network", "root", time.Now())
	})
	e.verdict("team/app", d, meta.VerdictNone)
	r = alice.want(bob.get("team/app", "1.0.0"), http.StatusOK)
	if got := r.header.Get("Warning"); got != "" {
		t.Errorf("Warning = %q, want none", got)
	}
	want := []string{"push", "tag", "ingested", "verdict", "verdict", "verdict"}
	if diff := cmp.Diff(want, e.events("team/app")); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

// A rebuilt database has policies and manifests, and no verdicts.
func TestWhatARebuildBroughtBackIsServedOnceItIsJudged(t *testing.T) {
	before := newEnv(t, setup{stopped: true})
	d := before.as("alice").push("team/app", "1.0.0", layer{typeWasm, opensSockets, "app.wasm"})
	ok := before.as("alice").push("team/ok", "1.0.0", layer{typeWasm, harmless, ""})
	before.policy("no-network", noNetwork(t))
	var dump bytes.Buffer
	if err := before.db.Dump(t.Context(), &dump); err != nil {
		t.Fatal(err)
	}
	db := openSQLite(t)
	t.Cleanup(func() { _ = db.Close() })
	if _, err := db.Load(t.Context(), &dump); err != nil {
		t.Fatal(err)
	}

	e := newEnv(t, setup{db: db, blobs: before.blobs, stopped: true})
	bob := e.as("bob")
	bob.refused(bob.get("team/app", "1.0.0"), http.StatusTooManyRequests, "TOOMANYREQUESTS")
	bob.refused(bob.get("team/ok", ok.String()), http.StatusTooManyRequests, "TOOMANYREQUESTS")
	e.start()
	e.verdict("team/app", d, meta.VerdictDeny)
	e.verdict("team/ok", ok, meta.VerdictAllow)
	bob.refused(bob.get("team/app", "1.0.0"), http.StatusForbidden, "DENIED")
	bob.want(bob.get("team/ok", "1.0.0"), http.StatusOK)
}

// verdict waits until policy says so of a manifest, and no job is left.
func (e *env) verdict(repo string, d digest.Digest, want meta.VerdictState) {
	e.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; <-time.After(time.Millisecond) {
		m, err := e.db.Manifest(e.Context(), repo, d)
		if err != nil || time.Now().After(deadline) {
			e.Fatalf("Manifest() = %+v, %v; want verdict %d", m, err, want)
		}
		if m.Verdict == want {
			break
		}
	}
	e.wait()
}

func TestARuleThatOnlyWarnsOrAuditsHoldsUpNoPush(t *testing.T) {
	blobs := &gatedStore{Store: mem.New()}
	e := newEnv(t, setup{blobs: blobs, stopped: true, options: ingest.Options{StoreBroken: true}})
	e.policy("p", "name: p\nmode: audit\nscope: {actions: [push]}\nrules:\n- name: r\n  deny: '\"net-inbound\" in capabilities.reachable'\n")
	alice := e.as("alice")
	alice.push("team/app", "1.0.0", layer{typeWasm, opensSockets, ""})
	if got := blobs.opened(); got != 0 {
		t.Errorf("%d blobs were read before the push was answered, want none", got)
	}
	e.start()
	e.wait()
	all, err := e.db.Decisions(t.Context(), meta.Visibility{Everything: true}, meta.DecisionFilter{}, 0, 10)
	if err != nil || len(all) != 1 || all[0].Outcome != meta.VerdictAllow || all[0].Principal != "alice" {
		t.Fatalf("Decisions() = %+v, %v; want one by alice", all, err)
	}
	var vs []policy.Violation
	if err := json.Unmarshal(all[0].Violations, &vs); err != nil || len(vs) != 1 || vs[0].ID() != "p/r" {
		t.Errorf("violations = %s, %v; want p/r", all[0].Violations, err)
	}
}
