package ingest

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/wreg-project/wreg/artifact"
	"github.com/wreg-project/wreg/artifact/aot"
	"github.com/wreg-project/wreg/registry"
	"github.com/wreg-project/wreg/registry/attached/stored"
	"github.com/wreg-project/wreg/registry/policy"
	"github.com/wreg-project/wreg/signing"
	"github.com/wreg-project/wreg/signing/attest"
	"github.com/wreg-project/wreg/storage/meta"
)

// AOT says what native code is made, and how workers are dealt with. The zero
// value makes none but what people ask for.
type AOT struct {
	Rules       []AOTRule
	Compilers   []string      // names of keys or identities of certificates; see ErrUnattested
	Lease       time.Duration // 2 minutes
	MaxTime     time.Duration // of a lease that is prolonged, 90 minutes
	MaxAttempts int           // 5

	// Restricted reports whether a principal may push nothing but what comes of a job
	// that was leased to it; nil restricts nobody. It answers from memory.
	Restricted func(policy.Principal) bool
}

// Defaults of AOT.
const (
	DefaultAOTLease       = 2 * time.Minute
	DefaultAOTMaxTime     = 90 * time.Minute
	DefaultAOTMaxAttempts = 5
)

// Bounds of leases and workers.
const (
	MaxAOTWait     = 30 * time.Second // for a job
	aotPoll        = time.Second      // how often others are asked for jobs that another server enqueued
	aotBackoff     = 30 * time.Second // after the first failure, twice as long after each other
	aotMaxBackoff  = time.Hour
	aotExpired     = 100       // leases that are taken back at a time
	aotForget      = time.Hour // how long a worker is remembered that says nothing
	maxAOTRefusals = 16        // jobs of denied manifests that one call removes
)

func (o *AOT) defaults() {
	o.Lease = orDefault(o.Lease, DefaultAOTLease)
	o.MaxTime = orDefault(o.MaxTime, DefaultAOTMaxTime)
	if o.MaxAttempts <= 0 {
		o.MaxAttempts = DefaultAOTMaxAttempts
	}
	if o.Restricted == nil {
		o.Restricted = func(policy.Principal) bool { return false }
	}
}

// Errors of results, beside meta.ErrConflict and meta.ErrNotFound. Each is wrapped
// with what is wrong.
var (
	// ErrResult is of a manifest that is not what the job asked for.
	ErrResult = errors.New("not the result of this job")
	// ErrUnattested is of native code that none of AOT.Compilers has signed the
	// provenance of.
	ErrUnattested = errors.New("no trusted compiler attests it")
)

// A bell wakes everybody who waits for it. The zero bell is ready.
type bell struct {
	mu sync.Mutex
	c  chan struct{}
}

// wait gives a channel that is closed at the next ring.
func (b *bell) wait() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.c == nil {
		b.c = make(chan struct{})
	}
	return b.c
}

func (b *bell) ring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.c != nil {
		close(b.c)
		b.c = nil
	}
}

// AOTResults counts what became of jobs to make native code, on this server.
type AOTResults struct {
	Done    int64 // results that were taken
	Refused int64 // results that were not what was asked for
	Retried int64 // attempts that failed and are repeated
	Failed  int64 // jobs that were given up
	Expired int64 // leases that ran out
}

type aotResults struct{ done, refused, retried, failed, expired atomic.Int64 }

// AOTResults tells what was counted.
func (s *Service) AOTResults() AOTResults {
	r := &s.results
	return AOTResults{
		Done: r.done.Load(), Refused: r.refused.Load(), Retried: r.retried.Load(), Failed: r.failed.Load(), Expired: r.expired.Load(),
	}
}

// RequestAOT asks for native code of a manifest, for targets that package variant
// has written, and again for what was made or failed before if again is set. It
// returns the jobs for these targets, in their order. A package that is not
// compiled is ErrNotCompiled.
func (s *Service) RequestAOT(
	ctx context.Context, m meta.Manifest, targets []string, again bool, by policy.Principal,
) ([]meta.AOTJob, error) {
	sub, err := s.read(ctx, m)
	if err != nil {
		return nil, err
	}
	if m.Verdict == meta.VerdictDeny {
		return nil, fmt.Errorf("%w: policy does not let it be served", ErrNotCompiled)
	}
	if sub.files, err = s.files(ctx, sub, true, true); err != nil {
		return nil, err
	}
	source, err := aotSource(sub)
	if err != nil {
		return nil, err
	}
	var list []meta.AOTJob
	err = s.meta.Update(ctx, func(ctx context.Context, tx meta.Tx) error {
		list = nil
		for _, target := range targets {
			j := s.aotJob(sub, source, target)
			j.Requester, j.Again = by.Name, again
			id, _, err := tx.EnqueueAOT(ctx, j)
			if err != nil {
				return err
			}
			job, err := tx.AOTJob(ctx, id)
			if err != nil {
				return err
			}
			list = append(list, job)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	s.log.LogAttrs(ctx, slog.LevelInfo, "native code asked for", slog.String("repo", m.Repo), slog.String("digest", m.Digest.String()),
		slog.String("targets", strings.Join(targets, " ")), slog.String("principal", by.Name))
	return list, nil
}

// LeaseAOT hands a job to a worker, and waits for one if there is none: for at
// most MaxAOTWait, and no longer than until ctx ends. meta.ErrNotFound says that
// none came, meta.ErrConflict that there are too many workers. The worker is noted
// as being there in any case.
func (s *Service) LeaseAOT(ctx context.Context, w meta.AOTWorker, wait time.Duration) (meta.AOTJob, error) {
	q := meta.AOTQuery{Runtime: w.Runtime, Profile: w.Profile}
	for _, o := range w.Offers {
		q.Targets = append(q.Targets, o.Target)
	}
	over := time.NewTimer(min(wait, MaxAOTWait))
	defer over.Stop()
	poll := time.NewTicker(aotPoll)
	defer poll.Stop()
	for first := true; ; first = false {
		rung := s.queued.wait()
		worth, err := s.worthLeasing(ctx, q)
		if err != nil {
			return meta.AOTJob{}, err
		}
		if first || worth {
			j, err := s.leaseAOT(ctx, w, q)
			if !errors.Is(err, meta.ErrNotFound) {
				return j, err
			}
		}
		none := fmt.Errorf("%w: no job for %s", meta.ErrNotFound, strings.Join(q.Targets, ", "))
		if wait <= 0 {
			return meta.AOTJob{}, none
		}
		select {
		case <-ctx.Done():
			return meta.AOTJob{}, none
		case <-over.C:
			return meta.AOTJob{}, none
		case <-rung:
		case <-poll.C:
		}
	}
}

// worthLeasing reports whether a transaction may find a job: one is due, or a
// lease ran out.
func (s *Service) worthLeasing(ctx context.Context, q meta.AOTQuery) (bool, error) {
	now := s.now().UTC()
	due, err := s.meta.AOTDue(ctx, q, now)
	if err != nil || due {
		return due, err
	}
	expired, err := s.meta.AOTExpired(ctx, now, 1)
	return len(expired) > 0, err
}

func (s *Service) leaseAOT(ctx context.Context, w meta.AOTWorker, q meta.AOTQuery) (j meta.AOTJob, err error) {
	now := s.now().UTC()
	w.Seen = now
	var expired takenBack
	none := false // which has to be remembered in spite of it, that the worker was here
	err = s.meta.Update(ctx, func(ctx context.Context, tx meta.Tx) (err error) {
		none = false
		if expired, err = s.takeBack(ctx, tx, now); err != nil {
			return err
		}
		if err := tx.PutAOTWorker(ctx, w); err != nil {
			return err
		}
		j, err = s.leaseAllowed(ctx, tx, w, q, now)
		if errors.Is(err, meta.ErrNotFound) {
			none, err = true, nil
		}
		return err
	})
	if err != nil {
		return meta.AOTJob{}, err
	}
	s.tellExpired(ctx, expired)
	if none {
		return meta.AOTJob{}, meta.ErrNotFound
	}
	s.log.LogAttrs(ctx, slog.LevelInfo, "native code leased", s.aotAttrs(j)...)
	return j, nil
}

// leaseAllowed leases a job of a manifest that is served. What policy denies could
// not be pulled.
func (s *Service) leaseAllowed(ctx context.Context, tx meta.Tx, w meta.AOTWorker, q meta.AOTQuery, now time.Time) (meta.AOTJob, error) {
	for range maxAOTRefusals {
		l := meta.AOTLease{Token: rand.Text(), Principal: w.Principal, Worker: w.Name, Until: now.Add(s.o.AOT.Lease)}
		j, err := tx.LeaseAOT(ctx, q, l, now)
		if err != nil {
			return j, err
		}
		m, err := tx.Manifest(ctx, j.Repo, j.Subject)
		if err != nil || m.Verdict != meta.VerdictDeny {
			return j, err
		}
		if err := tx.FailAOT(ctx, l.Token, "policy does not let the package be served", now); err != nil {
			return j, err
		}
	}
	return meta.AOTJob{}, meta.ErrNotFound
}

// takenBack are jobs whose leases ran out, and which of them are given up.
type takenBack struct{ again, dead []meta.AOTJob }

// takeBack ends the leases that ran out.
func (s *Service) takeBack(ctx context.Context, tx meta.Tx, now time.Time) (list takenBack, err error) {
	expired, err := tx.AOTExpired(ctx, now, aotExpired)
	if err != nil {
		return list, err
	}
	for _, j := range expired {
		reason := "the worker was not heard of any more"
		if !now.Before(j.Lease.Since.Add(s.o.AOT.MaxTime)) {
			reason = fmt.Sprintf("the worker was at it for longer than %s", s.o.AOT.MaxTime)
		}
		dead, err := s.failed(ctx, tx, j, reason, false, now)
		if err != nil {
			return list, err
		}
		if dead {
			list.dead = append(list.dead, j)
		} else {
			list.again = append(list.again, j)
		}
	}
	return list, nil
}

func (s *Service) tellExpired(ctx context.Context, list takenBack) {
	for _, j := range slices.Concat(list.again, list.dead) {
		s.results.expired.Add(1)
		s.log.LogAttrs(ctx, slog.LevelWarn, "native code taken back, the lease ran out", s.aotAttrs(j)...)
	}
	s.results.retried.Add(int64(len(list.again)))
	s.results.failed.Add(int64(len(list.dead)))
}

// failed has a leased job tried again later, or gives it up, and reports which.
func (s *Service) failed(ctx context.Context, tx meta.Tx, j meta.AOTJob, reason string, final bool, now time.Time) (dead bool, err error) {
	if !final && j.Attempts < s.o.AOT.MaxAttempts {
		wait := min(aotBackoff<<min(max(j.Attempts-1, 0), 16), aotMaxBackoff)
		return false, tx.RetryAOT(ctx, j.Lease.Token, now.Add(wait), reason, now)
	}
	if err := tx.FailAOT(ctx, j.Lease.Token, reason, now); err != nil {
		return true, err
	}
	return true, s.tellVariant(ctx, tx, j, variantEvent{Target: j.Target, Runtime: j.Runtime, Failure: clipText(printable(reason))}, now)
}

// variantEvent is the detail of an event about native code.
type variantEvent struct {
	Target  string        `json:"target"`
	Runtime string        `json:"runtime"`
	Version string        `json:"version,omitempty"` // of the runtime
	Result  digest.Digest `json:"result,omitempty"`
	Failure string        `json:"failure,omitempty"` // why there is none
}

func (s *Service) tellVariant(ctx context.Context, tx meta.Tx, j meta.AOTJob, e variantEvent, now time.Time) error {
	detail, err := json.Marshal(e)
	if err != nil {
		return err
	}
	return tx.PutEvent(ctx, meta.Event{
		Time: now, Kind: registry.EventVariant, Repo: j.Repo, Digest: j.Subject, Actor: j.Lease.Principal, Detail: detail,
	})
}

func (s *Service) aotAttrs(j meta.AOTJob) []slog.Attr {
	return []slog.Attr{
		slog.Int64("job", j.ID), slog.String("repo", j.Repo), slog.String("digest", j.Subject.String()), slog.String("target", j.Target),
		slog.String("worker", j.Lease.Worker), slog.String("principal", j.Lease.Principal), slog.Int("attempt", j.Attempts),
	}
}

// leased is the job that by holds under a token. meta.ErrConflict if it does not.
func leased(ctx context.Context, db meta.Reader, token string, by policy.Principal) (meta.AOTJob, error) {
	j, err := db.AOTLease(ctx, token)
	if errors.Is(err, meta.ErrNotFound) || err == nil && (j.Lease.Principal != by.Name || j.State != meta.AOTLeased) {
		return j, fmt.Errorf("%w: nothing is leased to you by this name", meta.ErrConflict)
	}
	return j, err
}

// ExtendAOT prolongs a lease from now on, but not beyond AOT.MaxTime since its
// beginning, and returns the job with its new end. Here and below, meta.ErrConflict
// says that by does not hold the lease any more.
func (s *Service) ExtendAOT(ctx context.Context, token string, by policy.Principal) (j meta.AOTJob, err error) {
	now := s.now().UTC()
	err = s.meta.Update(ctx, func(ctx context.Context, tx meta.Tx) error {
		held, err := leased(ctx, tx, token, by)
		if err != nil {
			return err
		}
		last := held.Lease.Since.Add(s.o.AOT.MaxTime)
		if !now.Before(last) {
			return fmt.Errorf("%w: the job was leased to you for longer than %s", meta.ErrConflict, s.o.AOT.MaxTime)
		}
		until := now.Add(s.o.AOT.Lease)
		if until.After(last) {
			until = last
		}
		if err := tx.ExtendAOT(ctx, token, now, until); err != nil {
			return err
		}
		j, err = tx.AOTLease(ctx, token)
		return err
	})
	return j, err
}

// FailAOT gives a job back that failed: it is tried again later, a bounded number
// of times, unless final says that no repetition would mend it.
func (s *Service) FailAOT(ctx context.Context, token, reason string, final bool, by policy.Principal) error {
	now := s.now().UTC()
	var j meta.AOTJob
	var dead bool
	err := s.meta.Update(ctx, func(ctx context.Context, tx meta.Tx) (err error) {
		if j, err = leased(ctx, tx, token, by); err != nil {
			return err
		}
		dead, err = s.failed(ctx, tx, j, reason, final, now)
		return err
	})
	if err != nil {
		return err
	}
	attrs := append(s.aotAttrs(j), slog.Bool("given_up", dead), slog.String("err", clipText(reason)))
	s.log.LogAttrs(ctx, slog.LevelWarn, "native code not made", attrs...)
	if dead {
		s.results.failed.Add(1)
	} else {
		s.results.retried.Add(1)
	}
	return nil
}

// ReleaseAOT gives a job back that nothing is wrong with, for another worker to
// take at once.
func (s *Service) ReleaseAOT(ctx context.Context, token string, by policy.Principal) error {
	now := s.now().UTC()
	err := s.meta.Update(ctx, func(ctx context.Context, tx meta.Tx) error {
		if _, err := leased(ctx, tx, token, by); err != nil {
			return err
		}
		return tx.RetryAOT(ctx, token, now, "", now)
	})
	if err == nil {
		s.queued.ring()
	}
	return err
}

// FinishAOT takes a manifest as the result of a job, after a look at all of it:
// whether it is in the repository and what the job asked for, whether its code is
// as it says, and whether a trusted compiler attests it, if any is configured. A
// manifest that is not is ErrResult or ErrUnattested: nothing becomes of it then,
// and the job stays leased. Who did not hear the answer may say the same again.
func (s *Service) FinishAOT(ctx context.Context, token string, result digest.Digest, by policy.Principal) (meta.AOTJob, error) {
	j, err := s.finishAOT(ctx, token, result, by)
	if !errors.Is(err, meta.ErrConflict) {
		return j, err
	}
	done, doneErr := s.meta.AOTLease(ctx, token)
	if doneErr == nil && done.State == meta.AOTDone && done.Result == result && done.Lease.Principal == by.Name {
		return done, nil
	}
	return j, err
}

func (s *Service) finishAOT(ctx context.Context, token string, result digest.Digest, by policy.Principal) (meta.AOTJob, error) {
	j, err := leased(ctx, s.meta, token, by)
	if err != nil {
		return j, err
	}
	v, err := s.checkResult(ctx, j, result)
	if err != nil {
		if errors.Is(err, ErrResult) || errors.Is(err, ErrUnattested) {
			s.results.refused.Add(1)
			s.log.LogAttrs(ctx, slog.LevelWarn, "native code refused", append(s.aotAttrs(j), slog.Any("err", err))...)
		}
		return j, err
	}
	now := s.now().UTC()
	err = s.meta.Update(ctx, func(ctx context.Context, tx meta.Tx) error {
		if err := tx.FinishAOT(ctx, token, result, now); err != nil {
			return err
		}
		if err := s.Changed(ctx, tx, j.Repo, []digest.Digest{j.Subject}); err != nil {
			return err
		}
		e := variantEvent{Target: j.Target, Runtime: j.Runtime, Version: v.Config.Compiler.Version, Result: result}
		if err := s.tellVariant(ctx, tx, j, e, now); err != nil {
			return err
		}
		j, err = tx.AOTJob(ctx, j.ID)
		return err
	})
	if err != nil {
		return j, err
	}
	s.results.done.Add(1)
	s.log.LogAttrs(ctx, slog.LevelInfo, "native code made", append(s.aotAttrs(j), slog.String("result", result.String()))...)
	return j, nil
}

// checkResult holds a manifest against the job that it says it is the result of.
func (s *Service) checkResult(ctx context.Context, j meta.AOTJob, result digest.Digest) (*aot.Variant, error) {
	refuse := func(format string, args ...any) (*aot.Variant, error) {
		return nil, fmt.Errorf("%w: %s", ErrResult, fmt.Sprintf(format, args...))
	}
	m, err := s.meta.Manifest(ctx, j.Repo, result)
	if absent(err) {
		return refuse("manifest %s is not in %s; push it first", result, j.Repo)
	}
	if err != nil {
		return nil, err
	}
	if m.Verdict == meta.VerdictDeny {
		return refuse("policy does not let manifest %s be served", result)
	}
	v, err := s.ReadVariant(ctx, m, aot.Expected{Subject: j.Subject, Source: j.Source})
	if err != nil {
		return nil, wrongResult(err)
	}
	switch c := v.Config; {
	case c.Compiler.Runtime != j.Runtime:
		return refuse("it is for %s, and the job is for %s", c.Compiler.Runtime, j.Runtime)
	case c.Target.Platform != j.Target:
		return refuse("it is for %s, and the job is for %s", c.Target.Platform, j.Target)
	case c.Compiler.Profile != j.Profile:
		return refuse("its profile is %.60q, and the job's is %s", c.Compiler.Profile, j.Profile)
	case c.Source.Size != j.Size:
		return refuse("its source has %d bytes, and the package's layer %d", c.Source.Size, j.Size)
	}
	if err := s.asOffered(ctx, j, v); err != nil {
		return nil, err
	}
	from := stored.Repository{Meta: s.meta, Blobs: s.o.Blobs, Name: j.Repo}
	if err := v.WriteCode(ctx, from, io.Discard); err != nil {
		return nil, wrongResult(err)
	}
	return v, s.checkAttested(ctx, m, v)
}

// wrongResult makes ErrResult of what says that native code is not as it should
// be, and leaves what is the server's own trouble.
func wrongResult(err error) error {
	for _, wrong := range []error{aot.ErrForm, aot.ErrSource, artifact.ErrContent, artifact.ErrTooLarge} {
		if errors.Is(err, wrong) {
			return fmt.Errorf("%w: %w", ErrResult, err)
		}
	}
	return err
}

// asOffered holds code against what the worker said of itself: it would load
// nowhere that trusts what it says.
func (s *Service) asOffered(ctx context.Context, j meta.AOTJob, v *aot.Variant) error {
	workers, err := s.meta.AOTWorkers(ctx, meta.AOTWorkerKey{Principal: j.Lease.Principal}, 0)
	if err != nil {
		return err
	}
	for _, w := range workers {
		if w.Principal != j.Lease.Principal || w.Name != j.Lease.Worker {
			continue
		}
		if w.Version != v.Config.Compiler.Version {
			return fmt.Errorf("%w: it is of version %.60q, and the worker said that it has %s", ErrResult, v.Config.Compiler.Version, w.Version)
		}
		i := slices.IndexFunc(w.Offers, func(o meta.AOTOffer) bool { return o.Target == j.Target })
		if i >= 0 && w.Offers[i].CompatID != "" && w.Offers[i].CompatID != v.Config.CompatID {
			return fmt.Errorf("%w: its compat id is %.80q, and the worker said that it would be %s",
				ErrResult, v.Config.CompatID, w.Offers[i].CompatID)
		}
	}
	return nil
}

// ReadVariant reads the manifest and the config of native code.
func (s *Service) ReadVariant(ctx context.Context, m meta.Manifest, want aot.Expected) (*aot.Variant, error) {
	from := stored.Repository{Meta: s.meta, Blobs: s.o.Blobs, Name: m.Repo}
	d := ocispec.Descriptor{MediaType: m.MediaType, Digest: m.Digest, Size: int64(len(m.Content))}
	return aot.Read(ctx, from, d, want)
}

// checkAttested is ErrUnattested unless a trusted compiler attests v, or none is
// configured.
func (s *Service) checkAttested(ctx context.Context, m meta.Manifest, v *aot.Variant) error {
	if len(s.o.AOT.Compilers) == 0 {
		return nil
	}
	sub, err := s.read(ctx, m)
	if err != nil {
		return err
	}
	if err := s.verify(ctx, sub); err != nil {
		return err
	}
	if len(s.Attesters(sub.signatures.rows, v)) > 0 {
		return nil
	}
	why := "nothing hangs on it"
	for _, row := range sub.signatures.rows {
		switch {
		case !row.Verified():
			why = row.Problem
		case row.PredicateType != attest.TypeProvenance:
			why = "what hangs on it is no provenance"
		case !slices.ContainsFunc([]string{row.KeyName, row.Identity}, s.compiler):
			why = fmt.Sprintf("it is signed by %.80q, whom aot.compilers does not name", row.KeyName+row.Identity)
		default:
			why = "its provenance does not name " + v.Config.Source.Digest.String() + " as what it was made of"
		}
	}
	return fmt.Errorf("%w: manifest %s: %s", ErrUnattested, m.Digest, why)
}

func (s *Service) compiler(name string) bool {
	return name != "" && slices.Contains(s.o.AOT.Compilers, name)
}

// Attesters are those of AOT.Compilers who say that v was made of the source that
// it names, by the verified signatures of its manifest.
func (s *Service) Attesters(rows []meta.Signature, v *aot.Variant) (names []string) {
	for _, row := range rows {
		if !row.Verified() || row.PredicateType != attest.TypeProvenance || !madeOf(row.Predicate, v.Config.Source.Digest) {
			continue
		}
		for _, name := range []string{row.KeyName, row.Identity} {
			if s.compiler(name) && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
}

// madeOf reports whether a provenance names a digest among what was built from.
func madeOf(predicate json.RawMessage, d digest.Digest) bool {
	var p attest.Provenance
	if len(predicate) == 0 || json.Unmarshal(predicate, &p) != nil {
		return false
	}
	return slices.ContainsFunc(p.BuildDefinition.ResolvedDependencies, func(r attest.Resource) bool {
		return r.Digest[d.Algorithm().String()] == d.Encoded()
	})
}

// checkWorker is DENIED for a push by a worker that brings anything but native code
// of a job that it holds, or what hangs on such.
func (s *Service) checkWorker(ctx context.Context, a registry.Admission) error {
	if !s.o.AOT.Restricted(a.Caller) {
		return nil
	}
	deny := func(why string) error {
		return &registry.Error{
			Code: registry.Denied, Message: "a worker pushes nothing but native code of jobs that it has leased: " + why,
			Detail: map[string]any{"name": a.Repo, "digest": a.Digest},
		}
	}
	if len(a.Tags) > 0 {
		return deny("it has no tags")
	}
	subject := a.Subject
	if _, code := aot.RuntimeOf(a.ArtifactType); code {
		if err := aot.CheckManifest(a.Content); err != nil {
			return deny(clipText(printable(err.Error())))
		}
	} else {
		if !attestsOnly(a) {
			return deny("this is neither native code nor what attests it")
		}
		m, err := s.meta.Manifest(ctx, a.Repo, a.Subject)
		if absent(err) {
			return deny("push the code before what attests it")
		}
		if err != nil {
			return err
		}
		of, err := registry.ReadManifest(m)
		if err != nil {
			return err
		}
		if _, ok := aot.RuntimeOf(of.ArtifactType); !ok {
			return deny("this hangs on something else")
		}
		subject = of.Subject
	}
	list, err := s.meta.AOTJobsOf(ctx, a.Repo, subject)
	if err != nil {
		return err
	}
	now := s.now()
	for _, j := range list {
		if j.State == meta.AOTLeased && j.Lease.Principal == a.Caller.Name && !j.Lease.Until.Before(now) {
			return nil
		}
	}
	return deny("no job for " + string(subject) + " is leased to you")
}

// attestsOnly reports whether a push is an image manifest with a subject and nothing
// in it but one bundle. What else it could hold would be taken for something that
// whoever publishes the package says of it.
func attestsOnly(a registry.Admission) bool {
	return a.Subject != "" && a.MediaType == artifact.MediaTypeManifest && len(a.Layers) == 1 && signing.IsBundle(a.Layers[0].MediaType)
}

// MayPushAOT reports whether a worker may send blobs to a repository, and ask for
// manifests to be stored: a job there is leased to it.
func (s *Service) MayPushAOT(ctx context.Context, p policy.Principal, repo string) (bool, error) {
	if !s.o.AOT.Restricted(p) {
		return false, nil
	}
	return s.meta.AOTLeasedTo(ctx, p.Name, repo, s.now())
}
