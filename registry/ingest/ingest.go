// Package ingest finds out what is in a package, keeps it, and decides by policy
// what may be stored and served.
//
// A [Service] has two sides. Before a push, [Service.Admit] judges it, at once and
// without any queue: it refuses broken Wasm, and where policies are enforced it
// makes just those analyses whose facts their rules read. After a push a job
// takes the manifest through the stages that pipeline.go lists; it is enqueued in
// the push's transaction, so that nothing is stored and never inspected, and
// repeating it changes nothing. What was found out before a verdict is not found
// out again behind it: results are kept by the digest of the blob.
//
// Only what is found out here feeds index and policy. The report is an ordinary
// referrer as well, for clients; what clients push in its form is stored and not
// believed.
package ingest

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/registry"
	"github.com/wreg-project/wreg/registry/advisories"
	"github.com/wreg-project/wreg/registry/jobs"
	"github.com/wreg-project/wreg/signing"
	"github.com/wreg-project/wreg/storage/blob"
	"github.com/wreg-project/wreg/storage/meta"
)

// Version is that of the pipeline: of the facts that it finds, of the report and
// of the documents it makes. A greater one has everything ingested again.
const Version = 3

// Options of New. Meta, Blobs and Producer are required, the zero value of the
// rest is the default.
type Options struct {
	Meta     meta.DB
	Blobs    blob.Store
	Producer string // names this installation in what it derives; see Producer
	Log      *slog.Logger
	Clock    func() time.Time

	Limits Limits // DefaultLimits
	Memory int64  // bytes that analyses may take at the same time, 512 MiB

	// StoreBroken stores a manifest whose layers say that they are Wasm and are
	// not. Policies, if any, see what is wrong with them.
	StoreBroken bool

	AdmitTimeout  time.Duration // of a judgement before a push; 2 minutes
	Quarantine    time.Duration // of what was refused; 7 days
	KeepDecisions time.Duration // 90 days
	KeepEvents    time.Duration // 7 days
	MaxEvents     int64         // however young; 1,000,000
	MaxFunctions  int64         // entries of the index of functions; 20,000,000

	// Trust gives what signatures are verified against. It is called for each package
	// and answers from memory; nil trusts nobody.
	Trust func() Trusted

	// Signer gives the key by which attestations of this installation are signed,
	// and Attest says which are made; without a signer there are none.
	Signer func() signing.Signer
	Attest []Attestation

	// AttestTagged has them made of all packages. Without it those have none that are
	// signed by cosign's tags and by no bundle: cosign does not read its tags where
	// any bundle hangs, and attestations are bundles.
	AttestTagged bool

	// Likelihood gives what is known of how vulnerabilities are used, for policies;
	// nil if nothing is. It is called for each package and answers from memory.
	Likelihood func() advisories.Likelihood

	AOT AOT // native code that workers make

	Jobs jobs.Options // of the workers; DB, Log and Clock are set here
}

// Defaults of Options.
const (
	DefaultMemory        = 512 << 20
	DefaultAdmitTimeout  = 2 * time.Minute
	DefaultQuarantine    = 7 * 24 * time.Hour
	DefaultKeepDecisions = 90 * 24 * time.Hour
	DefaultKeepEvents    = 7 * 24 * time.Hour
	DefaultMaxEvents     = 1_000_000
	DefaultMaxFunctions  = 20_000_000
)

func (o *Options) defaults() {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Limits == (Limits{}) {
		o.Limits = DefaultLimits
	}
	if o.Likelihood == nil {
		o.Likelihood = func() advisories.Likelihood { return advisories.Likelihood{} }
	}
	if o.Trust == nil {
		o.Trust = func() Trusted { return trustNobody }
	}
	o.Memory = orDefault(o.Memory, DefaultMemory)
	o.AdmitTimeout = orDefault(o.AdmitTimeout, DefaultAdmitTimeout)
	o.Quarantine = orDefault(o.Quarantine, DefaultQuarantine)
	o.KeepDecisions = orDefault(o.KeepDecisions, DefaultKeepDecisions)
	o.KeepEvents = orDefault(o.KeepEvents, DefaultKeepEvents)
	o.MaxEvents = orDefault(o.MaxEvents, DefaultMaxEvents)
	o.AOT.defaults()
	o.MaxFunctions = orDefault(o.MaxFunctions, DefaultMaxFunctions)
}

func orDefault[T int64 | time.Duration](v, standard T) T {
	if v <= 0 {
		return standard
	}
	return v
}

// A Service ingests. Its methods are safe for concurrent use.
type Service struct {
	o          Options
	meta       meta.DB
	log        *slog.Logger
	now        func() time.Time
	policies   policies
	analyser   *analyser
	proofs     proofs
	advisories *advisories.Source
	runner     *jobs.Runner
	reg        *registry.Registry // set by Run

	changed chan struct{} // policies or advisories may have changed
	queued  bell          // rung when native code was asked for
	results aotResults
}

// Kinds of jobs.
const (
	JobIngest   = "ingest"   // take a manifest through all stages; key "repo@digest"
	JobReingest = "reingest" // the same, for what was stored before; when nothing else is due
	JobIndex    = "index"    // describe a manifest anew after its tags changed; key "repo@digest"
	JobVerify   = "verify"   // have verified again what was by other trusted material; key ""
	JobVerdicts = "verdicts" // judge what is stored after policies changed; key ""
	JobAOT      = "aot"      // hold what is stored against the rules of native code after those changed; key ""
	JobScan     = "scan"     // scan, judge and describe a manifest anew; when nothing else is due; key "repo@digest"
)

// New makes a Service and compiles the policies. It does nothing but answer
// before Run; the caller ends it by Close.
func New(ctx context.Context, o Options) (*Service, error) {
	o.defaults()
	o.Jobs.DB, o.Jobs.Log, o.Jobs.Clock = o.Meta, o.Log, o.Clock
	s := &Service{o: o, log: o.Log, now: o.Clock, runner: jobs.New(o.Jobs), changed: make(chan struct{}, 1)}
	s.meta = s.Watch(o.Meta)
	o.Meta = s.meta
	s.analyser = newAnalyser(o)
	s.advisories = advisories.New(s.meta, advisories.Options{})
	s.policies = policies{meta: s.meta, log: o.Log}
	if _, err := s.policies.load(ctx); err != nil {
		s.analyser.close()
		return nil, fmt.Errorf("policies: %w", err)
	}
	s.runner.Handle(JobIngest, s.ingest)
	s.runner.Handle(JobIndex, s.reindexOne)
	s.runner.Handle(JobVerdicts, s.verdicts)
	s.runner.Handle(JobVerify, s.verifyAgain)
	s.runner.Handle(JobAOT, s.aotAgain)
	s.runner.Handle(advisories.RescanJob, s.rescan)
	s.runner.HandleIdle(JobReingest, s.ingest)
	s.runner.HandleIdle(JobScan, s.ingest)
	return s, nil
}

// Close ends the analyses that are under way. Run has to have returned.
func (s *Service) Close() { s.analyser.close() }

// Runner is what does the jobs, for its counts.
func (s *Service) Runner() *jobs.Runner { return s.runner }

// Run does jobs, follows policies and advisories and keeps house until ctx ends, and returns
// once nothing of it runs any more. What it derives it stores by reg.
func (s *Service) Run(ctx context.Context, reg *registry.Registry) {
	s.reg = reg
	var parts sync.WaitGroup
	parts.Go(func() { s.runner.Run(ctx) })
	parts.Go(func() { s.follow(ctx) })
	parts.Go(func() { s.keepHouse(ctx) })
	parts.Go(func() { s.enqueueMissing(ctx) })
	parts.Go(func() { s.followAOT(ctx) })
	parts.Wait()
}

// Watch returns db with an Update that wakes the workers once jobs were enqueued,
// and looks at policies and advisories once they or an approval changed. Whoever
// writes to the database besides the Service should do it by that.
func (s *Service) Watch(db meta.DB) meta.DB {
	return watched{DB: s.runner.Watch(db), changed: s.changed, queued: &s.queued}
}

type watched struct {
	meta.DB
	changed chan<- struct{}
	queued  *bell
}

// Update implements meta.DB.
func (w watched) Update(ctx context.Context, fn func(context.Context, meta.Tx) error) error {
	var changed, queued bool
	err := w.DB.Update(ctx, func(ctx context.Context, tx meta.Tx) error {
		changed, queued = false, false
		return fn(ctx, &watchedTx{Tx: tx, changed: &changed, queued: &queued})
	})
	if err == nil && queued {
		w.queued.ring()
	}
	if err == nil && changed {
		select {
		case w.changed <- struct{}{}:
		default:
		}
	}
	return err
}

type watchedTx struct {
	meta.Tx
	changed *bool
	queued  *bool // native code was asked for
}

func (t *watchedTx) PutPolicy(ctx context.Context, p meta.Policy) (meta.Policy, error) {
	*t.changed = true
	return t.Tx.PutPolicy(ctx, p)
}

func (t *watchedTx) DeletePolicy(ctx context.Context, name, by string, at time.Time) error {
	*t.changed = true
	return t.Tx.DeletePolicy(ctx, name, by, at)
}

func (t *watchedTx) PutAdvisories(ctx context.Context, source string, as []meta.NewAdvisory) (int, error) {
	*t.changed = true
	return t.Tx.PutAdvisories(ctx, source, as)
}

func (t *watchedTx) RemoveAdvisories(ctx context.Context, source string, ids []string) (int, error) {
	*t.changed = true
	return t.Tx.RemoveAdvisories(ctx, source, ids)
}

func (t *watchedTx) EnqueueAOT(ctx context.Context, j meta.NewAOTJob) (int64, bool, error) {
	id, added, err := t.Tx.EnqueueAOT(ctx, j)
	if added {
		*t.queued = true
	}
	return id, added, err
}

func (t *watchedTx) PutApproval(ctx context.Context, a meta.Approval) error {
	*t.changed = true
	return t.Tx.PutApproval(ctx, a)
}

func (t *watchedTx) DeleteApproval(ctx context.Context, repo string, d digest.Digest, rule string) error {
	*t.changed = true
	return t.Tx.DeleteApproval(ctx, repo, d, rule)
}
