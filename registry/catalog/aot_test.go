package catalog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/registry/remote/auth"

	"github.com/wreg-project/wreg/artifact"
	"github.com/wreg-project/wreg/artifact/aot"
	"github.com/wreg-project/wreg/registry"
	"github.com/wreg-project/wreg/registry/catalog/wire"
	"github.com/wreg-project/wreg/registry/client"
	"github.com/wreg-project/wreg/registry/policy"
	"github.com/wreg-project/wreg/storage/meta"
)

func withWorker(o *Options) { o.Access.Workers = []string{"worker"} }

// pushPackage stores a canonical package, and returns its digest.
func (e *env) pushPackage(repo, tag string, wasm []byte) digest.Digest {
	e.Helper()
	content := e.manifest(repo, wasm, nil)
	content = bytes.Replace(content, []byte("application/vnd.oci.image.config.v1+json"), []byte(artifact.MediaTypeConfig), 1)
	if err := e.pushManifest(repo, tag, content); err != nil {
		e.Fatalf("push %s:%s: %v", repo, tag, err)
	}
	return digest.FromBytes(content)
}

// pushCode stores native code of a job.
func (e *env) pushCode(j wire.AOTJob, target string) digest.Digest {
	e.Helper()
	code := []byte("native code")
	config := &aot.Config{
		Source:   aot.Source{Digest: j.Source, Size: j.SourceSize},
		Compiler: aot.By{Runtime: j.Runtime, Version: "39.0.1", Tier: aot.Optimising, Profile: j.Profile},
		Target:   aot.Made{Platform: target}, CompatID: digest.FromString("engine").String(),
		Output: aot.Source{Digest: digest.FromBytes(code), Size: int64(len(code))},
	}
	file, err := os.Create(filepath.Join(e.TempDir(), "layer"))
	if err != nil {
		e.Fatal(err)
	}
	defer file.Close()
	subject := ocispec.Descriptor{MediaType: ociManifest, Digest: j.Digest, Size: 2}
	p, err := aot.Pack(e.Context(), subject, config, bytes.NewReader(code), file)
	if err != nil {
		e.Fatal(err)
	}
	by := policy.Principal{Name: "worker"}
	for _, b := range p.Blobs {
		content, err := io.ReadAll(b.Open())
		if err != nil {
			e.Fatal(err)
		}
		d := b.Descriptor
		if err := e.reg.PushBlob(e.Context(), j.Repository, d.Digest, bytes.NewReader(content), d.Size, by); err != nil {
			e.Fatal(err)
		}
	}
	_, err = e.reg.PushManifest(e.Context(), registry.ManifestPush{
		Repo: j.Repository, ContentType: ociManifest, Content: p.ManifestJSON, Caller: by,
	})
	if err != nil {
		e.Fatal(err)
	}
	return p.Manifest.Digest
}

// client speaks to the API as a user.
func (e *env) client(user string) *client.Catalog {
	e.Helper()
	c, err := client.New(client.Options{Credential: func(context.Context, string) (auth.Credential, error) {
		return auth.Credential{Username: user, Password: user}, nil
	}}).Catalog(strings.TrimPrefix(e.url, "http://"))
	if err != nil {
		e.Fatal(err)
	}
	return c
}

func wantCode(t *testing.T, call string, err error, want wire.Code) {
	t.Helper()
	if p, ok := errors.AsType[*client.CatalogError](err); !ok || p.Code != want {
		t.Errorf("%s = %v, want code %s", call, err, want)
	}
}

var leaseRequest = wire.AOTLeaseRequest{
	Worker: "w", Runtime: aot.Runtime, Version: "39.0.1", Profile: aot.Profile, Targets: []wire.AOTOffer{{Target: "linux/amd64/v3"}},
}

func TestWorkersMakeWhatIsAskedFor(t *testing.T) {
	e := start(t, withWorker)
	d := e.pushPackage("team/app", "1.0.0", wasm(t, "inspect/testdata/app.component.wasm"))
	e.settled()
	alice, worker := e.client("alice"), e.client("worker")
	if l, err := worker.LeaseAOT(t.Context(), leaseRequest); l != nil || err != nil {
		t.Fatalf("LeaseAOT() without a job = %+v, %v, want nothing", l, err)
	}
	jobs, err := alice.RequestVariants(t.Context(), "team/app", "1.0.0", []string{"linux/amd64/v3", "pulley64"}, false)
	if err != nil || len(jobs) != 2 || jobs[0].State != wire.AOTQueued || jobs[0].Requester != "alice" || jobs[0].Digest != d {
		t.Fatalf("RequestVariants() = %+v, %v, want two that are queued for alice", jobs, err)
	}
	l, err := worker.LeaseAOT(t.Context(), leaseRequest)
	if err != nil || l == nil || l.Job.ID != jobs[0].ID || l.Job.State != wire.AOTLeased || l.Seconds < 60 {
		t.Fatalf("LeaseAOT() = %+v, %v, want the first job for a minute or longer", l, err)
	}
	if other, err := worker.LeaseAOT(t.Context(), leaseRequest); other != nil || err != nil {
		t.Errorf("LeaseAOT() of a second worker = %+v, %v, want nothing", other, err)
	}
	if again, err := worker.ExtendAOT(t.Context(), l.Lease); err != nil || again.Deadline.Before(l.Deadline) {
		t.Errorf("ExtendAOT() = %+v, %v, want a later end than %v", again, err, l.Deadline)
	}
	_, err = e.client("root").ExtendAOT(t.Context(), l.Lease)
	wantCode(t, "ExtendAOT() by another", err, wire.CodeConflict)
	_, err = worker.FinishAOT(t.Context(), l.Lease, e.pushCode(l.Job, "linux/amd64/v1"))
	wantCode(t, "FinishAOT() with code for another target", err, wire.CodeInvalidResult)
	result := e.pushCode(l.Job, "linux/amd64/v3")
	done, err := worker.FinishAOT(t.Context(), l.Lease, result)
	if err != nil || done.State != wire.AOTDone || done.Result != result {
		t.Fatalf("FinishAOT() = %+v, %v, want it done with %s", done, err, result)
	}
	if again, err := worker.FinishAOT(t.Context(), l.Lease, result); err != nil || again.State != wire.AOTDone || again.Result != result {
		t.Errorf("FinishAOT() by a worker that did not hear the answer = %+v, %v, want the same", again, err)
	}
	_, err = worker.FinishAOT(t.Context(), l.Lease, d)
	wantCode(t, "FinishAOT() with another manifest", err, wire.CodeConflict)
	_, err = e.client("root").FinishAOT(t.Context(), l.Lease, result)
	wantCode(t, "FinishAOT() by another", err, wire.CodeConflict)
	wantCode(t, "FailAOT() of what is done", worker.FailAOT(t.Context(), l.Lease, "other", "why"), wire.CodeConflict)

	list, err := alice.Variants(t.Context(), "team/app", "1.0.0")
	if err != nil || len(list.Items) != 2 || len(list.Jobs) != 2 || len(list.Refused) != 0 {
		t.Fatalf("Variants() = %+v, %v, want two of two jobs", list, err)
	}
	for _, v := range list.Items {
		if own := v.Digest == result; v.Made != own || v.Foreign == own || v.Size != int64(len("native code")) || v.Version != "39.0.1" {
			t.Errorf("Variants() has %+v, want only %s made by a job", v, result)
		}
	}
	var workers []wire.AOTWorker
	err = worker.AOTWorkers(t.Context(), func(page []wire.AOTWorker) error {
		workers = append(workers, page...)
		return nil
	})
	if err != nil || len(workers) != 1 || workers[0].Name != "w" || workers[0].Principal != "worker" {
		t.Errorf("AOTWorkers() = %+v, %v, want one", workers, err)
	}
	page, err := e.client("root").AOTJobs(t.Context(), wire.AOTQueued, "")
	if err != nil || len(page.Items) != 1 || page.Items[0].Target != "pulley64" || len(page.Counts) != 1 || page.Counts[0].Queued != 1 {
		t.Errorf("AOTJobs(queued) = %+v, %v, want the one for pulley64", page, err)
	}
	e.settled()
	found := get[wire.SearchResult](e.as("alice"), "/search?q=aot:linux/amd64/v3")
	if len(found.Items) != 1 {
		t.Errorf("found by aot:linux/amd64/v3 = %+v, want one", found.Items)
	}
}

// A page of jobs costs the same however many there are.
func TestJobsOfNativeCodeAreCountedUpToABound(t *testing.T) {
	e := start(t, withWorker)
	d := e.pushPackage("team/app", "1.0.0", wasm(t, "inspect/testdata/app.component.wasm"))
	e.settled()
	ask := func(target string, n int) {
		err := e.db.Update(t.Context(), func(ctx context.Context, tx meta.Tx) error {
			for i := range n {
				_, _, err := tx.EnqueueAOT(ctx, meta.NewAOTJob{
					Repo: "team/app", Subject: d, Target: target, Runtime: "wasmtime", Profile: fmt.Sprint(i), Due: time.Now(),
				})
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	ask("linux/amd64/v3", 1001)
	ask("pulley64", 1000)
	page, err := e.client("root").AOTJobs(t.Context(), wire.AOTFailed, "")
	if err != nil || len(page.Items) != 0 {
		t.Fatalf("AOTJobs(failed) = %+v, %v, want none", page, err)
	}
	want := []wire.AOTCount{
		{Runtime: "wasmtime", Target: "linux/amd64/v3", Queued: 1000, CountIsLeast: true}, {Runtime: "wasmtime", Target: "pulley64", Queued: 1000},
	}
	if diff := cmp.Diff(want, page.Counts, cmpopts.IgnoreFields(wire.AOTCount{}, "Oldest")); diff != "" {
		t.Errorf("counts: want -, got +\n%s", diff)
	}
}

func TestJobsThatFailAreTriedAgainOrNot(t *testing.T) {
	e := start(t, withWorker)
	e.pushPackage("team/app", "1.0.0", wasm(t, "inspect/testdata/app.component.wasm"))
	e.settled()
	alice, worker := e.client("alice"), e.client("worker")
	if _, err := alice.RequestVariants(t.Context(), "team/app", "1.0.0", []string{"linux/amd64/v3"}, false); err != nil {
		t.Fatal(err)
	}
	l, err := worker.LeaseAOT(t.Context(), leaseRequest)
	if err != nil || l == nil {
		t.Fatalf("LeaseAOT() = %v, %v", l, err)
	}
	if err := worker.ReleaseAOT(t.Context(), l.Lease); err != nil {
		t.Errorf("ReleaseAOT() = %v", err)
	}
	wantCode(t, "ReleaseAOT() twice", worker.ReleaseAOT(t.Context(), l.Lease), wire.CodeConflict)
	if l, err = worker.LeaseAOT(t.Context(), leaseRequest); err != nil || l == nil || l.Job.Attempts != 2 {
		t.Fatalf("LeaseAOT() = %+v, %v, want the second attempt", l, err)
	}
	if err := worker.FailAOT(t.Context(), l.Lease, "input", "a memory of 64 bits"); err != nil {
		t.Errorf("FailAOT() = %v", err)
	}
	list, err := alice.Variants(t.Context(), "team/app", "1.0.0")
	if err != nil || len(list.Jobs) != 1 || list.Jobs[0].State != wire.AOTFailed || list.Jobs[0].Failure != "input: a memory of 64 bits" {
		t.Errorf("Variants() = %+v, %v, want the failed job", list, err)
	}
}

// One principal cannot hold all connections by which workers wait.
func TestWaitingForJobsIsBounded(t *testing.T) {
	e := start(t, withWorker)
	var leave func()
	for range maxLeasersEach {
		var err error
		if leave, err = e.api.waiters.take("worker"); err != nil {
			t.Fatalf("take(worker) = %v", err)
		}
	}
	waiting := leaseRequest
	waiting.WaitSeconds = 1
	ask := func(user string, body wire.AOTLeaseRequest) reply {
		return e.as(user).do(http.MethodPost, "/aot/leases", body)
	}
	r := ask("worker", waiting)
	e.refused(r, wire.CodeTooManyRequests)
	if got := r.header.Get("Retry-After"); r.status != http.StatusTooManyRequests || got != "10" {
		t.Errorf("%s beside %d others = %d, Retry-After %q; want 429 and 10", r.call, maxLeasersEach, r.status, got)
	}
	_, err := e.client("worker").LeaseAOT(t.Context(), waiting)
	if said, ok := errors.AsType[*client.CatalogError](err); !ok || said.RetryAfter != 10 || !client.Away(err) {
		t.Errorf("LeaseAOT() beside %d others = %v, want that it is asked again after 10 s", maxLeasersEach, err)
	}
	for name, r := range map[string]reply{
		"without waiting": ask("worker", leaseRequest), "as another principal": ask("root", waiting),
	} {
		if r.status != http.StatusNoContent {
			t.Errorf("%s %s = %d %s, want 204", r.call, name, r.status, r.body)
		}
	}
	leave()
	if r := ask("worker", waiting); r.status != http.StatusNoContent {
		t.Errorf("%s once one has left = %d %s, want 204", r.call, r.status, r.body)
	}
	if got := e.api.waiters.n; len(got) != 1 || got["worker"] != maxLeasersEach-1 {
		t.Errorf("who waits in the end = %v, want %d of worker", got, maxLeasersEach-1)
	}
}

func TestWhoMayMakeNativeCode(t *testing.T) {
	e := start(t, withWorker)
	e.pushPackage("public/app", "1", wasm(t, "inspect/testdata/app.component.wasm"))
	e.settled()
	ask, unknown := wire.VariantRequest{Targets: []string{"pulley64"}}, wire.VariantRequest{Targets: []string{"linux/mips"}}
	for _, tt := range []struct {
		user, method, path string
		body               any
		code               wire.Code // "" for success
	}{
		{"", http.MethodPost, "/aot/leases", leaseRequest, wire.CodeUnauthenticated},
		{"alice", http.MethodPost, "/aot/leases", leaseRequest, wire.CodeForbidden},
		{"alice", http.MethodGet, "/aot/jobs", nil, wire.CodeForbidden},
		{"alice", http.MethodGet, "/aot/workers", nil, wire.CodeForbidden},
		{"worker", http.MethodGet, "/aot/jobs", nil, ""},
		{"root", http.MethodGet, "/aot/workers", nil, ""},
		{"", http.MethodGet, "/packages/public:app/versions/1/variants", nil, ""},
		{"", http.MethodPost, "/packages/public:app/versions/1/variants", ask, wire.CodeUnauthenticated},
		{"worker", http.MethodPost, "/packages/public:app/versions/1/variants", ask, wire.CodeForbidden},
		{"worker", http.MethodPost, "/packages/public:app/versions/1/yank", wire.NoticeRequest{}, wire.CodeForbidden},
		{"alice", http.MethodPost, "/packages/public:app/versions/1/variants", ask, ""},
		{"alice", http.MethodPost, "/packages/public:app/versions/1/variants", unknown, wire.CodeInvalidTarget},
		{"alice", http.MethodPost, "/packages/public:app/versions/1/variants", wire.VariantRequest{Targets: []string{}}, wire.CodeInvalidTarget},
		{"alice", http.MethodPost, "/packages/public:app/versions/2/variants", ask, wire.CodeNotFound},
		{"worker", http.MethodPut, "/aot/leases/" + strings.Repeat("A", 26), nil, wire.CodeConflict},
		{"worker", http.MethodPut, "/aot/leases/none", nil, wire.CodeBadRequest},
	} {
		r := e.as(tt.user).do(tt.method, tt.path, tt.body)
		if tt.code != "" {
			e.refused(r, tt.code)
		} else if r.status > 299 {
			t.Errorf("%s by %q = %d %s, want success", r.call, tt.user, r.status, r.body)
		}
	}
}
