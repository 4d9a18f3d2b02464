package catalog

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/wreg-project/wreg/artifact"
	"github.com/wreg-project/wreg/artifact/aot"
	"github.com/wreg-project/wreg/artifact/variant"
	"github.com/wreg-project/wreg/registry/catalog/wire"
	"github.com/wreg-project/wreg/registry/ingest"
	"github.com/wreg-project/wreg/registry/policy"
	"github.com/wreg-project/wreg/storage/meta"
)

// Bounds of what is asked for.
const (
	maxTargets  = 16   // of a request
	maxVariants = 100  // that are read for one answer
	maxCounted  = 1000 // jobs of one target and state

	maxLeasers     = 256 // requests for a job at the same time
	maxLeasersEach = 64  // of them that wait, of one principal
	leaserPause    = 10  // seconds for whoever is one too many
)

// waiters counts who waits for something, by principal: none can take all places.
type waiters struct {
	mu sync.Mutex
	n  map[string]int
}

// take takes a place of a principal, or refuses at once.
func (w *waiters) take(principal string) (release func(), err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.n[principal] >= maxLeasersEach {
		return nil, &wire.Problem{
			Code: wire.CodeTooManyRequests, Detail: fmt.Sprintf("%d workers of yours wait for a job already", maxLeasersEach),
			Hint: "ask again later, or without waiting; a worker needs to ask for one job at a time", RetryAfter: leaserPause,
		}
	}
	if w.n == nil {
		w.n = map[string]int{}
	}
	w.n[principal]++
	return func() { w.leave(principal) }, nil
}

func (w *waiters) leave(principal string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.n[principal]--; w.n[principal] == 0 {
		delete(w.n, principal)
	}
}

// aotStates are the words for states, in their order.
var aotStates = []wire.AOTState{
	meta.AOTQueued: wire.AOTQueued, meta.AOTLeased: wire.AOTLeased, meta.AOTDone: wire.AOTDone, meta.AOTFailed: wire.AOTFailed,
}

func wireAOTJob(j meta.AOTJob) wire.AOTJob {
	w := wire.AOTJob{
		ID: j.ID, Package: wire.PackageName(j.Repo), Repository: j.Repo, Digest: j.Subject, Source: j.Source, SourceSize: j.Size,
		Target: j.Target, Runtime: j.Runtime, Profile: j.Profile, State: aotStates[j.State], Requester: j.Requester, Attempts: j.Attempts,
		Failure: j.Failure, Worker: j.Lease.Worker, Result: j.Result, Due: j.Due.UTC(), Created: j.Created.UTC(), Updated: j.Updated.UTC(),
	}
	if j.State == meta.AOTLeased {
		w.Until = j.Lease.Until.UTC()
	}
	return w
}

func wireAOTJobs(jobs []meta.AOTJob) []wire.AOTJob {
	list := make([]wire.AOTJob, len(jobs))
	for i, j := range jobs {
		list[i] = wireAOTJob(j)
	}
	return list
}

// errNoIngest is of a server that ingests nothing.
var errNoIngest = &wire.Problem{Code: wire.CodeConflict, Detail: "this server makes no native code"}

// targets checks what somebody asks for, or offers, and writes it as it is
// compared.
func targets(n int, at func(int) string) ([]string, error) {
	bad := func(detail, hint string) error {
		return &wire.Problem{Code: wire.CodeInvalidTarget, Detail: "targets: " + detail, Hint: hint}
	}
	if n == 0 || n > maxTargets {
		return nil, bad(fmt.Sprintf("there are %d, and one to %d are taken", n, maxTargets), "")
	}
	list := make([]string, n)
	for i := range n {
		t, err := variant.Parse(at(i))
		if err != nil {
			return nil, bad(fmt.Sprintf("%q is none that is known", clip(at(i))), "linux/amd64/v1, v2 or v3, linux/arm64, pulley64")
		}
		if list[i] = t.String(); slices.Contains(list[:i], list[i]) {
			return nil, bad(list[i]+" is there twice", "")
		}
	}
	return list, nil
}

// postLease gives a worker a job, or nothing after a while.
func (a *API) postLease(ctx context.Context, q *request) (answer, error) {
	if a.Ingest == nil {
		return answer{}, errNoIngest
	}
	release, err := take(a.leasers, "workers wait for a job")
	if err != nil {
		return answer{}, err
	}
	defer release()
	body := q.body.(*wire.AOTLeaseRequest)
	if body.WaitSeconds > 0 {
		leave, err := a.waiters.take(q.caller.Name)
		if err != nil {
			return answer{}, err
		}
		defer leave()
	}
	names, err := targets(len(body.Targets), func(i int) string { return body.Targets[i].Target })
	if err != nil {
		return answer{}, err
	}
	w := meta.AOTWorker{
		AOTWorkerKey: meta.AOTWorkerKey{Principal: q.caller.Name, Name: body.Worker}, Runtime: body.Runtime, Version: body.Version,
		Profile: body.Profile,
	}
	for i, name := range names {
		w.Offers = append(w.Offers, meta.AOTOffer{Target: name, CompatID: body.Targets[i].CompatID})
	}
	if len(w.Name) > meta.MaxAOTText {
		return answer{}, tooLong(w.Name)
	}
	for _, o := range w.Offers {
		if len(o.CompatID) > meta.MaxAOTText {
			return answer{}, tooLong(o.CompatID)
		}
	}
	waiting, stop := a.waiting(q.http.Context(), ctx)
	defer stop()
	j, err := a.Ingest.LeaseAOT(waiting, w, time.Duration(body.WaitSeconds)*time.Second)
	switch {
	case errors.Is(err, meta.ErrNotFound):
		return answer{status: http.StatusNoContent}, nil
	case errors.Is(err, meta.ErrConflict):
		return answer{}, &wire.Problem{
			Code: wire.CodeConflict, Detail: "there are too many workers", Hint: "those that say nothing are forgotten after an hour",
		}
	case err != nil:
		return answer{}, fmt.Errorf("lease native code: %w", err)
	}
	return found(a.wireLease(j))
}

func tooLong(text string) error {
	return &wire.Problem{Code: wire.CodeInvalidTarget, Detail: fmt.Sprintf("%q is longer than %d bytes", clip(text), meta.MaxAOTText)}
}

// waiting is a context for a long wait: it ends with the request, with the API, and
// a moment before the time that an answer may take.
func (a *API) waiting(request, bounded context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(request)
	stops := []func() bool{context.AfterFunc(a.closing, cancel)}
	if end, ok := bounded.Deadline(); ok {
		t := time.AfterFunc(time.Until(end)-time.Second, cancel)
		stops = append(stops, t.Stop)
	}
	return ctx, func() {
		for _, stop := range stops {
			stop()
		}
		cancel()
	}
}

func (a *API) wireLease(j meta.AOTJob) wire.AOTLease {
	return wire.AOTLease{
		Lease: j.Lease.Token, Deadline: j.Lease.Until.UTC(), Seconds: max(int(j.Lease.Until.Sub(a.Clock()).Seconds()), 0), Job: wireAOTJob(j),
	}
}

// leaseProblem says of what a worker did with a lease why it could not.
func leaseProblem(err error) error {
	switch {
	case errors.Is(err, meta.ErrConflict):
		return &wire.Problem{
			Code: wire.CodeConflict, Detail: "this lease is not yours, or not any more",
			Hint: "drop what was made, and ask for another job: somebody else may be at this one",
		}
	case errors.Is(err, ingest.ErrResult), errors.Is(err, ingest.ErrUnattested):
		return &wire.Problem{
			Code: wire.CodeInvalidResult, Detail: clipLong(err.Error()),
			Hint: "the job is still leased to you: push what it asks for, or say that it failed",
		}
	}
	return err
}

// clipLong bounds an explanation, which quotes what others wrote.
func clipLong(s string) string {
	if len(s) > 600 {
		return s[:600] + "…"
	}
	return s
}

func (a *API) putLease(ctx context.Context, q *request) (answer, error) {
	if a.Ingest == nil {
		return answer{}, errNoIngest
	}
	j, err := a.Ingest.ExtendAOT(ctx, q.path["lease"], q.caller)
	if err != nil {
		return answer{}, leaseProblem(err)
	}
	return found(a.wireLease(j))
}

func (a *API) deleteLease(ctx context.Context, q *request) (answer, error) {
	if a.Ingest == nil {
		return answer{}, errNoIngest
	}
	if err := a.Ingest.ReleaseAOT(ctx, q.path["lease"], q.caller); err != nil {
		return answer{}, leaseProblem(err)
	}
	return answer{status: http.StatusNoContent}, nil
}

func (a *API) postResult(ctx context.Context, q *request) (answer, error) {
	if a.Ingest == nil {
		return answer{}, errNoIngest
	}
	j, err := a.Ingest.FinishAOT(ctx, q.path["lease"], q.body.(*wire.AOTResult).Digest, q.caller)
	if err != nil {
		return answer{}, leaseProblem(err)
	}
	return found(wireAOTJob(j))
}

func (a *API) postFailure(ctx context.Context, q *request) (answer, error) {
	if a.Ingest == nil {
		return answer{}, errNoIngest
	}
	body := q.body.(*wire.AOTFailure)
	final := body.Kind == "input" || body.Kind == "limit"
	if err := a.Ingest.FailAOT(ctx, q.path["lease"], body.Kind+": "+body.Reason, final, q.caller); err != nil {
		return answer{}, leaseProblem(err)
	}
	return answer{status: http.StatusNoContent}, nil
}

// listAOTJobs lists jobs of packages that the caller sees, which those who may ask
// do all of them.
func (a *API) listAOTJobs(ctx context.Context, q *request) (answer, error) {
	var after int64
	if _, err := q.after(&after); err != nil {
		return answer{}, err
	}
	var f meta.AOTFilter
	if name := q.text("package"); name != "" {
		f.Repo, _ = wire.Repository(name) // checked
	}
	if name := q.text("target"); name != "" {
		t, err := variant.Parse(name)
		if err != nil {
			return answer{}, &wire.Problem{Code: wire.CodeInvalidTarget, Parameter: "target", Detail: clipLong(err.Error())}
		}
		f.Target = t.String()
	}
	if state := slices.Index(aotStates, wire.AOTState(q.text("state"))); state >= 0 {
		f.States = []meta.AOTState{meta.AOTState(state)}
	}
	rows, err := a.Meta.AOTJobs(ctx, f, after, q.limit()+1)
	if err != nil {
		return answer{}, fmt.Errorf("jobs of native code: %w", err)
	}
	var list wire.AOTJobList
	if len(rows) > q.limit() {
		rows = rows[:q.limit()]
		if list.Next, err = q.next(rows[len(rows)-1].ID); err != nil {
			return answer{}, err
		}
	}
	list.Items = wireAOTJobs(rows)
	if list.Counts, err = a.aotCounts(ctx); err != nil {
		return answer{}, err
	}
	return found(list)
}

func (a *API) aotCounts(ctx context.Context) ([]wire.AOTCount, error) {
	counts, err := a.Meta.AOTCounts(ctx, maxCounted+1)
	if err != nil {
		return nil, fmt.Errorf("count jobs of native code: %w", err)
	}
	list := make([]wire.AOTCount, len(counts))
	for i, c := range counts {
		w := &list[i]
		w.Runtime, w.Target, w.CountIsLeast = c.Runtime, c.Target, max(c.Queued, c.Leased, c.Failed) > maxCounted
		w.Queued, w.Leased, w.Failed = min(c.Queued, maxCounted), min(c.Leased, maxCounted), min(c.Failed, maxCounted)
		if !c.Oldest.IsZero() {
			w.Oldest = c.Oldest.UTC()
		}
	}
	return list, nil
}

func (a *API) listAOTWorkers(ctx context.Context, q *request) (answer, error) {
	var after meta.AOTWorkerKey
	if _, err := q.after(&after); err != nil {
		return answer{}, err
	}
	rows, err := a.Meta.AOTWorkers(ctx, after, q.limit()+1)
	if err != nil {
		return answer{}, fmt.Errorf("workers: %w", err)
	}
	list := wire.List[wire.AOTWorker]{Items: []wire.AOTWorker{}}
	for i, w := range rows {
		if i == q.limit() {
			if list.Next, err = q.next(rows[i-1].AOTWorkerKey); err != nil {
				return answer{}, err
			}
			break
		}
		one := wire.AOTWorker{
			Name: w.Name, Principal: w.Principal, Runtime: w.Runtime, Version: w.Version, Profile: w.Profile, Targets: []wire.AOTTarget{},
			Seen: w.Seen.UTC(),
		}
		for _, o := range w.Offers {
			one.Targets = append(one.Targets, wire.AOTTarget(o))
		}
		list.Items = append(list.Items, one)
	}
	return found(list)
}

// postVariants asks for native code of a version.
func (a *API) postVariants(ctx context.Context, q *request) (answer, error) {
	if a.Ingest == nil {
		return answer{}, errNoIngest
	}
	body := q.body.(*wire.VariantRequest)
	names, err := targets(len(body.Targets), func(i int) string { return body.Targets[i] })
	if err != nil {
		return answer{}, err
	}
	m, err := a.manifest(ctx, q.repo, q.version)
	if err != nil {
		return answer{}, err
	}
	jobs, err := a.Ingest.RequestAOT(ctx, m, names, body.Again, q.caller)
	if errors.Is(err, ingest.ErrNotCompiled) {
		return answer{}, &wire.Problem{Code: wire.CodeConflict, Detail: clipLong(err.Error())}
	}
	if err != nil {
		return answer{}, a.missing(q.repo, q.version.String(), err)
	}
	return answer{status: http.StatusAccepted, body: wire.AOTJobs{Items: wireAOTJobs(jobs)}}, nil
}

// getVariants lists the native code of a version.
func (a *API) getVariants(ctx context.Context, q *request) (answer, error) {
	d, err := a.digestOf(ctx, q.repo, q.version)
	if err != nil {
		return answer{}, err
	}
	jobs, err := a.Meta.AOTJobsOf(ctx, q.repo, d)
	if err != nil {
		return answer{}, fmt.Errorf("native code of %s in %s: %w", d, q.repo, err)
	}
	list := wire.VariantList{Digest: d, Items: []wire.Variant{}, Refused: []wire.RefusedVariant{}, Jobs: wireAOTJobs(jobs)}
	if q.caller.Anonymous() && !a.Access.Open {
		for i := range list.Jobs { // as in events, who has done what is only for those who have a name
			list.Jobs[i].Requester, list.Jobs[i].Worker = "", ""
		}
	}
	if a.Ingest == nil {
		return found(list)
	}
	for page := (meta.Page{Limit: maxVariants}); ; {
		refs, err := a.Meta.Referrers(ctx, q.repo, d, "", page)
		if err != nil {
			return answer{}, fmt.Errorf("referrers of %s in %s: %w", d, q.repo, err)
		}
		for _, r := range refs {
			if _, ok := aot.RuntimeOf(r.ArtifactType); !ok || len(list.Items)+len(list.Refused) == maxVariants {
				continue
			}
			if err := a.addVariant(ctx, q, &list, jobs, r); err != nil {
				return answer{}, err
			}
		}
		if len(refs) < page.Limit || len(list.Items)+len(list.Refused) == maxVariants {
			return found(list)
		}
		page.After = refs[len(refs)-1].Digest.String()
	}
}

// addVariant reads one referrer.
func (a *API) addVariant(ctx context.Context, q *request, list *wire.VariantList, jobs []meta.AOTJob, r meta.Referrer) error {
	m, err := a.Meta.Manifest(ctx, q.repo, r.Digest)
	if errors.Is(err, meta.ErrNotFound) {
		return nil // deleted since
	}
	if err != nil {
		return err
	}
	if m.Verdict == meta.VerdictDeny && !a.Access.May(q.caller, policy.Approve, q.repo).Allowed {
		return nil // nobody could pull it
	}
	v, err := a.Ingest.ReadVariant(ctx, m, aot.Expected{Subject: list.Digest})
	if wrongVariant(err) {
		list.Refused = append(list.Refused, wire.RefusedVariant{Digest: r.Digest, Problem: clipLong(err.Error())})
		return nil
	}
	if err != nil {
		return fmt.Errorf("native code of %s: %w", q.repo, err)
	}
	rows, _, err := a.Meta.Signatures(ctx, q.repo, r.Digest)
	if err != nil && !errors.Is(err, meta.ErrNotFound) {
		return fmt.Errorf("signatures of %s in %s: %w", r.Digest, q.repo, err)
	}
	c := v.Config
	w := wire.Variant{
		Digest: r.Digest, Target: c.Target.Platform, Runtime: c.Compiler.Runtime, Version: c.Compiler.Version, Profile: c.Compiler.Profile,
		CompatID: c.CompatID, Tier: string(c.Compiler.Tier), Source: c.Source.Digest, Size: c.Output.Size, Compressed: v.Layer.Size,
		Made: slices.ContainsFunc(jobs, func(j meta.AOTJob) bool { return j.Result == r.Digest }), Attested: notNil(a.Ingest.Attesters(rows, v)),
	}
	if c.Builder != nil {
		w.Builder, w.Emulated = c.Builder.ID, c.Builder.Emulated
	}
	w.Foreign = !w.Made && len(w.Attested) == 0
	list.Items = append(list.Items, w)
	return nil
}

// wrongVariant reports whether native code is at fault and not the server.
func wrongVariant(err error) bool {
	for _, wrong := range []error{aot.ErrForm, aot.ErrSource, artifact.ErrContent, artifact.ErrTooLarge} {
		if errors.Is(err, wrong) {
			return true
		}
	}
	return false
}
