package ingest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/registry/ingest"
	"github.com/wreg-project/wreg/registry/jobs"
	"github.com/wreg-project/wreg/registry/search"
	"github.com/wreg-project/wreg/storage/blob/mem"
	"github.com/wreg-project/wreg/storage/meta"
)

// found are the repositories that a search finds.
func (e *env) found(query string) []string {
	e.Helper()
	q, err := search.Parse(query)
	if err != nil {
		e.Fatalf("Parse(%q) = %v", query, err)
	}
	r, err := search.Search(e.Context(), e.db, search.Request{Query: q, Visibility: meta.Visibility{Everything: true}, Sort: search.SortName})
	if err != nil {
		e.Fatalf("Search(%q) = %v", query, err)
	}
	var repos []string
	for _, h := range r.Hits {
		repos = append(repos, h.Repo)
	}
	return repos
}

// ingestedOnce checks that a package of one module is inspected, reported and
// indexed, and that all of it happened once.
func (e *env) ingestedOnce(repo string, d digest.Digest) {
	e.Helper()
	m, err := e.db.Manifest(e.Context(), repo, d)
	if err != nil || m.Ingested != ingest.Version {
		e.Errorf("Manifest() = %+v, %v; want it ingested", m, err)
	}
	refs, err := e.db.Referrers(e.Context(), repo, d, typeReport, meta.Page{})
	if err != nil || len(refs) != 1 {
		e.Errorf("Referrers() = %+v, %v; want one report", refs, err)
	}
	all, err := e.db.Referrers(e.Context(), repo, d, "", meta.Page{})
	if err != nil || len(all) != 4 {
		e.Errorf("Referrers() of any type = %+v, %v; want the report and three bills of materials", all, err)
	}
	if diff := cmp.Diff([]string{"push", "tag", "ingested"}, e.events(repo)); diff != "" {
		e.Errorf("events (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{repo}, e.found("")); diff != "" {
		e.Errorf("found (-want +got):\n%s", diff)
	}
	if left, err := e.db.Jobs(e.Context(), meta.JobFilter{}, 0, 10); err != nil || len(left) != 0 {
		e.Errorf("Jobs() = %+v, %v; want none", left, err)
	}
}

// A faultyDB fails one Update, before or after it was written.
type faultyDB struct {
	meta.DB
	countdown atomic.Int64 // until the one that fails; negative for none
	after     bool
	failed    atomic.Bool
}

var errCrash = errors.New("crashed")

func (f *faultyDB) Update(ctx context.Context, fn func(context.Context, meta.Tx) error) error {
	wrote := false
	if f.countdown.Load() > 0 {
		if !f.after && f.countdown.Load() == 1 {
			// What polls in vain is not counted: it would make the count depend on time.
			err := f.DB.Update(ctx, func(ctx context.Context, tx meta.Tx) error {
				t := &countingTx{Tx: tx, wrote: &wrote}
				if err := fn(ctx, t); err != nil {
					return err
				}
				if wrote {
					return errCrash
				}
				return nil
			})
			if wrote && errors.Is(err, errCrash) {
				f.countdown.Add(-1)
				f.failed.Store(true)
			}
			return err
		}
		err := f.DB.Update(ctx, func(ctx context.Context, tx meta.Tx) error { return fn(ctx, &countingTx{Tx: tx, wrote: &wrote}) })
		if err == nil && wrote && f.countdown.Add(-1) == 0 {
			f.failed.Store(true)
			return errCrash
		}
		return err
	}
	return f.DB.Update(ctx, fn)
}

// countingTx notes the writes of ingestion.
type countingTx struct {
	meta.Tx
	wrote *bool
}

func (t *countingTx) PutAnalysis(ctx context.Context, a meta.Analysis) error {
	*t.wrote = true
	return t.Tx.PutAnalysis(ctx, a)
}

func (t *countingTx) LinkBlob(ctx context.Context, repo string, b meta.Blob) error {
	*t.wrote = true
	return t.Tx.LinkBlob(ctx, repo, b)
}

func (t *countingTx) PutManifest(ctx context.Context, m meta.NewManifest) (bool, error) {
	*t.wrote = true
	return t.Tx.PutManifest(ctx, m)
}

func (t *countingTx) SetIngested(ctx context.Context, repo string, d digest.Digest, version int) error {
	*t.wrote = true
	return t.Tx.SetIngested(ctx, repo, d, version)
}

func (t *countingTx) FinishJob(ctx context.Context, id int64, holder string, now time.Time) error {
	*t.wrote = true
	return t.Tx.FinishJob(ctx, id, holder, now)
}

func (t *countingTx) RetryJob(ctx context.Context, id int64, holder string, due time.Time, reason string) error {
	*t.wrote = true
	return t.Tx.RetryJob(ctx, id, holder, due, reason)
}

func (t *countingTx) Lease(ctx context.Context, kinds []string, n int, holder string, now, until time.Time) ([]meta.Job, error) {
	list, err := t.Tx.Lease(ctx, kinds, n, holder, now, until)
	*t.wrote = *t.wrote || len(list) > 0
	return list, err
}

func TestAFaultAtAnyWriteIsMadeGoodAndNothingHappensTwice(t *testing.T) {
	quick := jobs.Options{Workers: 1, Lease: 300 * time.Millisecond, Poll: 20 * time.Millisecond, Backoff: time.Millisecond}
	for _, after := range []bool{false, true} {
		for write := 1; ; write++ {
			db := &faultyDB{DB: openSQLite(t), after: after}
			blobs := mem.New()
			e := newEnv(t, setup{db: db, blobs: blobs, stopped: true, options: ingest.Options{Jobs: quick}})
			d := e.as("alice").push("team/app", "1.0.0", layer{typeWasm, harmless, "app.wasm"})
			db.countdown.Store(int64(write))
			e.start()
			e.wait()
			e.halt()
			failed := db.failed.Load()
			t.Run(fmt.Sprintf("write %d, after it was written: %v", write, after), func(t *testing.T) {
				(&env{TB: t, db: e.db}).ingestedOnce("team/app", d)
			})
			if t.Failed() || !failed {
				if write < 5 {
					t.Errorf("there are %d writes, want more", write)
				}
				break
			}
		}
	}
}

func TestIngestingAgainChangesNothing(t *testing.T) {
	e := newEnv(t, setup{})
	d := e.as("alice").push("team/app", "1.0.0", layer{typeWasm, component(t), "app.wasm"})
	e.wait()
	e.ingestedOnce("team/app", d)
	for range 2 {
		if n, err := e.svc.Reindex(t.Context(), "team/app", d); err != nil || n != 1 {
			t.Fatalf("Reindex() = %d, %v; want 1", n, err)
		}
		e.wait()
		e.ingestedOnce("team/app", d)
	}
	if n, err := e.svc.Reindex(t.Context(), "", ""); err != nil || n != 5 { // the report and the bills of materials are four
		t.Errorf("Reindex() of everything = %d, %v; want 5", n, err)
	}
	e.wait()
	e.ingestedOnce("team/app", d)
	if _, err := e.svc.Reindex(t.Context(), "team/app", digest.FromString("nothing")); !errors.Is(err, meta.ErrNotFound) {
		t.Errorf("Reindex() of nothing = %v, want ErrNotFound", err)
	}
}

func TestAStartIngestsWhatNoPipelineHas(t *testing.T) {
	e := newEnv(t, setup{stopped: true})
	alice := e.as("alice")
	var ds []digest.Digest
	for i := range 3 {
		ds = append(ds, alice.push(fmt.Sprintf("team/app%d", i), "1.0.0", layer{typeWasm, harmless, ""}))
	}
	all, err := e.db.Jobs(t.Context(), meta.JobFilter{}, 0, 10)
	if err != nil || len(all) != 3 {
		t.Fatalf("Jobs() = %+v, %v; want 3", all, err)
	}
	e.update(func(ctx context.Context, tx meta.Tx) error { // as after a rebuild of the database
		for _, j := range all {
			if err := tx.DropJob(ctx, j.ID); err != nil {
				return err
			}
		}
		return nil
	})
	e.start()
	for i, d := range ds {
		for deadline := time.Now().Add(20 * time.Second); ; <-time.After(time.Millisecond) {
			m, err := e.db.Manifest(t.Context(), fmt.Sprintf("team/app%d", i), d)
			if err != nil || time.Now().After(deadline) {
				t.Fatalf("Manifest() = %+v, %v; want it ingested", m, err)
			}
			if m.Ingested == ingest.Version {
				break
			}
		}
	}
	e.wait()
}

func TestAModuleIsAnalysedOnceWhoeverPushesIt(t *testing.T) {
	e := newEnv(t, setup{})
	alice := e.as("alice")
	for _, repo := range []string{"a/app", "b/app", "b/other"} {
		alice.push(repo, "1.0.0", layer{typeWasm, component(t), ""})
	}
	e.wait()
	if diff := cmp.Diff([]string{"a/app", "b/app", "b/other"}, e.found("kind:component")); diff != "" {
		t.Errorf("found (-want +got):\n%s", diff)
	}
	const blobs = 2 // the component and the config
	if got := e.svc.Stats().Analyses; got != blobs {
		t.Errorf("%d analyses, want %d", got, blobs)
	}
}

func TestSearchesFollowTags(t *testing.T) {
	e := newEnv(t, setup{})
	alice := e.as("alice")
	listing := func(d digest.Digest) search.Listing {
		t.Helper()
		doc, err := e.db.Document(t.Context(), "team/app", d)
		if err != nil {
			t.Fatalf("Document() = %v", err)
		}
		var l search.Listing
		if err := json.Unmarshal(doc.Body, &l); err != nil {
			t.Fatal(err)
		}
		return l
	}
	latest := func(want ...bool) {
		t.Helper()
		e.wait()
		for i, c := range [][]byte{harmless, opensSockets, module("env.a")} {
			m := alice.pack("team/app", layer{typeWasm, c, ""})
			d := digest.FromBytes(m.text(t))
			if i < len(want) {
				if got := listing(d).Latest; got != want[i] {
					t.Errorf("latest of version %d = %v, want %v", i, got, want[i])
				}
			}
		}
	}
	first := alice.push("team/app", "1.0.0", layer{typeWasm, harmless, ""})
	latest(true)
	second := alice.push("team/app", "1.1.0", layer{typeWasm, opensSockets, ""})
	latest(false, true)
	alice.push("team/app", "2.0.0-rc.1", layer{typeWasm, module("env.a"), ""})
	latest(false, true, false)
	m := alice.pack("team/app", layer{typeWasm, harmless, ""})
	r, _ := alice.put("team/app", "stable", m)
	alice.want(r, http.StatusCreated)
	e.wait()
	if diff := cmp.Diff([]string{"1.0.0", "stable"}, listing(first).Tags); diff != "" {
		t.Errorf("tags (-want +got):\n%s", diff)
	}
	alice.push("team/app", "stable", layer{typeWasm, opensSockets, ""})
	e.wait()
	if diff := cmp.Diff([]string{"1.0.0"}, listing(first).Tags); diff != "" {
		t.Errorf("tags after the tag moved on (-want +got):\n%s", diff)
	}
	e.update(func(ctx context.Context, tx meta.Tx) error {
		if err := tx.SetNotice(ctx, "team/app", "1.1.0", meta.Notice{State: meta.NoticeYanked}); err != nil {
			return err
		}
		return e.svc.Changed(ctx, tx, "team/app", []digest.Digest{second})
	})
	latest(true, false, false)
	alice.want(alice.do(http.MethodDelete, "/v2/team/app/manifests/1.0.0", nil), http.StatusAccepted)
	latest(false, false, false)
	alice.want(alice.do(http.MethodDelete, "/v2/team/app/manifests/"+first.String(), nil), http.StatusAccepted)
	e.wait()
	if _, err := e.db.Document(t.Context(), "team/app", first); !errors.Is(err, meta.ErrNotFound) {
		t.Errorf("Document() of what was deleted = %v, want ErrNotFound", err)
	}
}

func TestWhatHoldsNoWasmIsIngestedAndNotIndexed(t *testing.T) {
	e := newEnv(t, setup{})
	alice := e.as("alice")
	chart := gzipOf(t, tarOf(t, map[string][]byte{"Chart.yaml": []byte("name: x")}))
	d := alice.push("team/chart", "1.0.0", layer{"application/vnd.cncf.helm.chart.content.v1.tar+gzip", chart, ""})
	alice.want(alice.do(http.MethodPut, "/v2/team/odd/manifests/1.0.0", []byte("anything"), "Content-Type", "text/plain"), http.StatusCreated)
	child := alice.push("team/idx", "a", layer{typeWasm, harmless, ""})
	m, err := e.db.Manifest(t.Context(), "team/idx", child)
	if err != nil {
		t.Fatal(err)
	}
	index := fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":%q,"manifests":[{"mediaType":%q,"digest":%q,"size":%d}]}`,
		typeIndex, typeManifest, child, len(m.Content))
	alice.want(alice.do(http.MethodPut, "/v2/team/idx/manifests/1.0.0", index, "Content-Type", typeIndex), http.StatusCreated)
	e.wait()
	for repo, d := range map[string]digest.Digest{
		"team/chart": d, "team/odd": digest.FromString("anything"), "team/idx": digest.FromBytes(index),
	} {
		m, err := e.db.Manifest(t.Context(), repo, d)
		if err != nil || m.Ingested != ingest.Version {
			t.Errorf("Manifest(%s) = %+v, %v; want it ingested", repo, m, err)
		}
	}
	if diff := cmp.Diff([]string{"team/idx"}, e.found("")); diff != "" {
		t.Errorf("found (-want +got):\n%s", diff)
	}
}

func TestAManifestThatIsWasmItselfIsIngested(t *testing.T) {
	e := newEnv(t, setup{})
	alice := e.as("alice")
	alice.want(alice.do(http.MethodPut, "/v2/team/app/manifests/1.0.0", harmless, "Content-Type", typeWasm), http.StatusCreated)
	e.wait()
	e.ingestedOnce("team/app", digest.FromBytes(harmless))
}

func TestTheReportIsAReferrerThatAnyClientCanRead(t *testing.T) {
	e := newEnv(t, setup{})
	alice, bob := e.as("alice"), e.as("bob")
	two := layer{"application/vnd.oci.image.layer.v1.tar", tarOf(t, map[string][]byte{"a.wasm": harmless, "b.wasm": opensSockets}), ""}
	d := alice.push("team/app", "1.0.0", two)
	e.wait()
	refs, err := e.db.Referrers(t.Context(), "team/app", d, typeReport, meta.Page{})
	if err != nil || len(refs) != 1 {
		t.Fatalf("Referrers() = %+v, %v; want one", refs, err)
	}
	want := map[string]string{"io.wreg.producer": "this-registry", "io.wreg.derived": "report"}
	if diff := cmp.Diff(want, refs[0].Annotations); diff != "" {
		t.Errorf("annotations (-want +got):\n%s", diff)
	}
	files, analysed, err := e.svc.Files(t.Context(), "team/app", d)
	if err != nil || !analysed || len(files) != 2 {
		t.Fatalf("Files() = %+v, %v, %v; want two", files, analysed, err)
	}
	for _, f := range files {
		r := bob.want(bob.getBlob("team/app", f.Full), http.StatusOK)
		if int64(len(r.body)) != f.FullSize {
			t.Errorf("report of %s has %d bytes, want %d", f.Name, len(r.body), f.FullSize)
		}
		rep, release, err := e.svc.Inspect(t.Context(), "team/app", f)
		if err != nil || len(rep.Functions) != 1 {
			t.Fatalf("Inspect(%s) = %v; want the table of functions", f.Name, err)
		}
		release()
	}
	none := ingest.File{Layer: files[0].Layer, Digest: digest.FromString("none")}
	if _, _, err := e.svc.Inspect(t.Context(), "team/app", none); !errors.Is(err, meta.ErrNotFound) {
		t.Errorf("Inspect() of a file that is not there = %v, want ErrNotFound", err)
	}
}

func TestPushesAreJudgedOnPostgreSQLAsWell(t *testing.T) {
	db := openPostgres(t)
	defer func() {
		if err := db.Close(); err != nil {
			t.Errorf("Close() = %v", err)
		}
	}()
	t.Run("on PostgreSQL", func(t *testing.T) {
		e := newEnv(t, setup{db: db})
		alice, bob := e.as("alice"), e.as("bob")
		before := alice.push("team/old", "1.0.0", layer{typeWasm, opensSockets, ""})
		e.wait()
		e.ingestedOnce("team/old", before)
		e.policy("no-network", noNetwork(t))
		e.verdict("team/old", before, meta.VerdictDeny)
		alice.refused(bob.get("team/old", "1.0.0"), http.StatusForbidden, "DENIED")
		m := alice.pack("team/app", layer{typeWasm, opensSockets, ""})
		r, d := alice.put("team/app", "1.0.0", m)
		alice.refused(r, http.StatusForbidden, "DENIED")
		alice.want(bob.getBlob("team/app", m.Layers[0].Digest), http.StatusNotFound)
		e.update(func(ctx context.Context, tx meta.Tx) error {
			return tx.PutApproval(ctx, meta.Approval{Repo: "team/app", Digest: d, By: "carol", Time: time.Now()})
		})
		r, _ = alice.put("team/app", "1.0.0", m)
		alice.want(r, http.StatusCreated)
		e.wait()
		alice.want(bob.get("team/app", "1.0.0"), http.StatusOK)
		if diff := cmp.Diff([]string{"team/app", "team/old"}, e.found("")); diff != "" {
			t.Errorf("found (-want +got):\n%s", diff)
		}
	})
}
