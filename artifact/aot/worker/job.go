package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/wreg-project/wreg/artifact/aot"
	"github.com/wreg-project/wreg/artifact/aot/provenance"
	"github.com/wreg-project/wreg/artifact/ref"
	"github.com/wreg-project/wreg/artifact/variant"
	"github.com/wreg-project/wreg/registry/catalog/wire"
	"github.com/wreg-project/wreg/registry/client"
	"github.com/wreg-project/wreg/signing/attest"
)

// Why the work on a job ends before it is done.
var (
	errLost  = errors.New("the job is not ours any more")
	errEnded = errors.New("the worker ends")
)

// maxReason bounds why a job failed, in bytes. The registry takes 4096.
const maxReason = 4000

// job is one that is leased.
type job struct {
	*Worker
	lease wire.AOTLease
	until time.Time // the lease holds, by our own clock
}

// do works on a job and tells what became of it.
func (w *Worker) do(ctx context.Context, l *wire.AOTLease) {
	began := time.Now()
	w.tell(Event{Kind: Leased, Job: &l.Job})
	j := &job{Worker: w, lease: *l}
	j.hold(l)

	// The end of the worker ends the work later, see keep.
	work, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	kept := make(chan struct{})
	go func() {
		defer close(kept)
		j.keep(ctx, work, stop)
	}()
	e := j.work(work)
	stop(nil)
	<-kept
	e.Job, e.Took = &l.Job, time.Since(began)
	if e.Kind == Released {
		// What is given back late is given back all the same: by the end of the lease.
		giving, done := context.WithTimeout(context.WithoutCancel(ctx), answer/3)
		defer done()
		if err := w.o.Jobs.ReleaseAOT(giving, l.Lease); err != nil {
			e.Kind, e.Err = Lost, err
		}
	}
	w.tell(e)
}

// hold notes for how long the job is ours. The registry's clock may be another, so
// the seconds count that it says are left.
func (j *job) hold(l *wire.AOTLease) {
	j.until = time.Now().Add(time.Duration(l.Seconds) * time.Second)
}

// keep prolongs the lease until the work ends, and ends the work if that is of no
// use any more, or the worker ends and the time to drain is over.
func (j *job) keep(ctx, work context.Context, stop context.CancelCauseFunc) {
	ending := ctx.Done()
	var drained <-chan time.Time
	for {
		// At a third of what is left there is time for two more attempts.
		beat := time.NewTimer(time.Until(j.until) / 3)
		select {
		case <-work.Done():
			beat.Stop()
			return
		case <-ending:
			ending, drained = nil, time.After(max(j.o.Drain, 0))
		case <-drained:
			stop(errEnded)
		case <-beat.C:
			if err := j.extend(work); err != nil {
				stop(err)
			}
		}
		beat.Stop()
	}
}

// extend prolongs the lease. The error says that it is lost; an attempt that may be
// repeated is none.
func (j *job) extend(ctx context.Context) error {
	asking, done := context.WithDeadline(ctx, j.until)
	defer done()
	l, err := j.o.Jobs.ExtendAOT(asking, j.lease.Lease)
	switch {
	case err == nil:
		j.hold(l)
	case ctx.Err() != nil:
	case isConflict(err), time.Until(j.until) < minPause:
		return fmt.Errorf("%w: %w", errLost, err)
	}
	return nil
}

// work does the job and reports it to the registry.
func (j *job) work(ctx context.Context) Event {
	made, err := j.make(ctx)
	if err == nil {
		err = j.insist(ctx, func(ctx context.Context) error {
			_, err := j.o.Jobs.FinishAOT(ctx, j.lease.Lease, made.Result)
			return err
		})
	}
	e := Event{Kind: Done, Made: made}
	if err == nil {
		return e
	}
	if e.Kind, e.Err = j.ended(ctx, err); e.Kind != Failed {
		return e
	}
	e.Why = why(err)
	reason := j.reason(err)
	err = j.insist(ctx, func(ctx context.Context) error { return j.o.Jobs.FailAOT(ctx, j.lease.Lease, e.Why, reason) })
	if err != nil {
		e.Kind, _ = j.ended(ctx, err)
		if e.Kind == Failed {
			e.Kind, e.Err = Lost, fmt.Errorf("%w; the registry could not be told: %s", e.Err, j.o.Describe(err))
		}
	}
	return e
}

// ended says what becomes of a job whose work ended by err.
func (j *job) ended(ctx context.Context, err error) (Kind, error) {
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, errEnded):
		return Released, nil
	case cause != nil:
		return Lost, cause
	case isConflict(err):
		return Lost, fmt.Errorf("%w: %w", errLost, err)
	}
	return Failed, err
}

// isConflict reports whether the registry said that a lease is not ours.
func isConflict(err error) bool {
	said, ok := errors.AsType[*client.CatalogError](err)
	return ok && said.Code == wire.CodeConflict
}

// insist repeats fn while the registry is away, for as long as ctx lasts.
func (j *job) insist(ctx context.Context, fn func(context.Context) error) error {
	for pause := minPause; ; pause = min(2*pause, maxPause) {
		err := fn(ctx)
		if err == nil {
			j.tellBack()
		}
		if err == nil || ctx.Err() != nil || !client.Away(err) {
			return err
		}
		j.tellAway(err)
		sleep(ctx, jitter(pause))
	}
}

// why is the kind of failure that err is to the registry.
func why(err error) string {
	for _, k := range []struct {
		err  error
		kind string
	}{
		{aot.ErrInput, "input"}, {aot.ErrLimit, "limit"}, {aot.ErrUnsupported, "unsupported"}, {aot.ErrCrashed, "crash"},
	} {
		if errors.Is(err, k.err) {
			return k.kind
		}
	}
	return "other"
}

// reason words err for the registry.
func (j *job) reason(err error) string {
	text := strings.ToValidUTF8(j.o.Describe(err), "")
	if len(text) > maxReason {
		text = strings.ToValidUTF8(text[:maxReason], "") + "…"
	}
	return text
}

// make compiles what the job names, in a private folder, and pushes the code and
// what attests it.
func (j *job) make(ctx context.Context) (Made, error) {
	target, err := j.check()
	if err != nil {
		return Made{}, err
	}
	repo, err := j.o.Repository(j.lease.Job.Repository)
	if err != nil {
		return Made{}, err
	}
	dir, err := os.MkdirTemp("", "wpkg-worker-")
	if err != nil {
		return Made{}, err
	}
	defer os.RemoveAll(dir)
	wasm, err := os.Create(filepath.Join(dir, "module.wasm"))
	if err != nil {
		return Made{}, err
	}
	defer wasm.Close()
	var subject ocispec.Descriptor
	err = j.insist(ctx, func(ctx context.Context) (err error) {
		subject, err = j.pull(ctx, repo, wasm)
		return err
	})
	if err != nil {
		return Made{}, fmt.Errorf("pull %s: %w", j.lease.Job.Digest, err)
	}
	code, err := os.Create(filepath.Join(dir, "code"))
	if err != nil {
		return Made{}, err
	}
	defer code.Close()
	began := time.Now()
	source := aot.Job{Wasm: wasm, Size: j.lease.Job.SourceSize, Digest: j.lease.Job.Source, Target: target}
	config, err := j.o.Compiler.Compile(ctx, source, code)
	if err != nil {
		return Made{}, err
	}
	return j.push(ctx, repo, subject, config, code, provenance.Run{StartedOn: began.UTC(), FinishedOn: time.Now().UTC()})
}

// check looks at a job before anything is done for it: it is the registry's word.
func (j *job) check() (variant.Target, error) {
	one := &j.lease.Job
	for _, d := range []digest.Digest{one.Digest, one.Source} {
		if _, err := ref.ParseDigest(d.String()); err != nil {
			return variant.Target{}, fmt.Errorf("the job: %w", err)
		}
	}
	if one.SourceSize < 0 || one.SourceSize > aot.MaxInput {
		return variant.Target{}, fmt.Errorf("%w: the layer has %d bytes, at most %d are compiled", aot.ErrLimit, one.SourceSize, aot.MaxInput)
	}
	offered := slices.ContainsFunc(j.o.Offer.Targets, func(o wire.AOTOffer) bool { return o.Target == one.Target })
	if !offered || one.Runtime != j.o.Offer.Runtime || one.Profile != j.o.Offer.Profile {
		return variant.Target{}, fmt.Errorf("%w: the job is for %.40q, %.40q, %.40q", aot.ErrUnsupported, one.Target, one.Runtime, one.Profile)
	}
	return variant.Parse(one.Target)
}

// pull writes the layer of the job to a file, and makes sure that it is one of the
// manifest that the code will refer to.
func (j *job) pull(ctx context.Context, repo client.Target, to *os.File) (ocispec.Descriptor, error) {
	one := &j.lease.Job
	subject, err := repo.Resolve(ctx, one.Digest.String())
	if err != nil {
		return subject, err
	}
	manifest, err := client.ReadAll(ctx, repo, subject, client.MaxManifest)
	if err != nil {
		return subject, err
	}
	var m ocispec.Manifest
	if err := json.Unmarshal(manifest, &m); err != nil {
		return subject, err
	}
	i := slices.IndexFunc(m.Layers, func(d ocispec.Descriptor) bool { return d.Digest == one.Source && d.Size == one.SourceSize })
	if i < 0 {
		return subject, fmt.Errorf("it has no layer %s of %d bytes", one.Source, one.SourceSize)
	}
	if _, err := to.Seek(0, io.SeekStart); err != nil {
		return subject, err
	}
	content, err := repo.Fetch(ctx, m.Layers[i])
	if err != nil {
		return subject, err
	}
	defer content.Close()
	_, err = io.Copy(to, content) // of that size and digest, or an error
	return subject, err
}

// push packs code and sends it, then what attests it: a registry takes that from a
// worker for code that it has.
func (j *job) push(
	ctx context.Context, repo client.Target, subject ocispec.Descriptor, config *aot.Config, code *os.File, r provenance.Run,
) (Made, error) {
	if _, err := code.Seek(0, io.SeekStart); err != nil {
		return Made{}, err
	}
	layer, err := os.Create(code.Name() + ".gz")
	if err != nil {
		return Made{}, err
	}
	defer layer.Close()
	p, err := aot.Pack(ctx, subject, config, code, layer)
	if err != nil {
		return Made{}, err
	}
	made := Made{Config: config, Result: p.Manifest.Digest}
	st, err := provenance.Statement(p.Manifest.Digest, config, r)
	if err != nil {
		return made, err
	}
	// What cannot be signed is not pushed.
	bundle, err := j.o.Sign(ctx, st)
	if err != nil {
		return made, fmt.Errorf("sign: %w", err)
	}
	err = j.insist(ctx, func(ctx context.Context) error {
		if _, err := client.Push(ctx, p, repo, client.CopyOptions{}); err != nil {
			return fmt.Errorf("push: %w", err)
		}
		at, err := client.Attach(ctx, repo, p.Manifest, bundle, attest.TypeProvenance)
		made.Attestation = at.Digest
		return err
	})
	return made, err
}
