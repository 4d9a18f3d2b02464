// Package worker makes the native code that a registry asks for: it leases jobs,
// compiles them, pushes the code with an attestation of how it was made, and
// reports what became of them. docs/ops/aot.md describes the part of the registry.
//
// A worker keeps nothing: one that is killed leaves leases, which run out, and jobs
// that another worker takes.
package worker

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/artifact/aot"
	"github.com/wreg-project/wreg/registry/catalog/wire"
	"github.com/wreg-project/wreg/registry/client"
	"github.com/wreg-project/wreg/signing"
)

// DefaultDrain is that of Options.
const DefaultDrain = 30 * time.Second

// How long a worker waits, and for what.
const (
	longPoll = 20 * time.Second // for a job; proxies end what says nothing for 30
	answer   = 30 * time.Second // for the answer to anything else, on top of longPoll
	minPause = time.Second      // before a registry is asked again that is away, twice as long each time
	maxPause = time.Minute
)

// Jobs is where jobs come from, and who is told of them: a *client.Catalog.
type Jobs interface {
	LeaseAOT(ctx context.Context, r wire.AOTLeaseRequest) (*wire.AOTLease, error)
	ExtendAOT(ctx context.Context, lease string) (*wire.AOTLease, error)
	FinishAOT(ctx context.Context, lease string, result digest.Digest) (*wire.AOTJob, error)
	FailAOT(ctx context.Context, lease, kind, reason string) error
	ReleaseAOT(ctx context.Context, lease string) error
}

// Options say what a worker does, and for whom. The first five have to be set.
type Options struct {
	Jobs       Jobs
	Repository func(name string) (client.Target, error) // of the registry that has the jobs
	Compiler   aot.Compiler                             // whose configs name a builder
	Sign       func(context.Context, signing.Statement) ([]byte, error)

	// Ready is asked before each job whether Sign will be able to; an error ends the
	// worker, before it takes a job that it could not finish. Nil is always.
	Ready func(context.Context) error

	// Offer is what the worker says of itself. How long to wait is set here.
	Offer wire.AOTLeaseRequest

	// Concurrency is how many jobs are worked on at a time; 0 is one.
	Concurrency int
	// Once ends the worker when there is no job, or the registry is away.
	Once bool
	// Drain is how long a job may still take once the worker is to end; then it is
	// given back. 0 is DefaultDrain, less than that gives it back at once.
	Drain time.Duration

	// Tell hears what happens, one call at a time. Nil is nobody.
	Tell func(Event)
	// Describe words an error for the registry, which shows it to those who see the
	// package. Nil takes its text.
	Describe func(error) string
}

// A Kind of Event.
type Kind string

// What happens to a worker, and to a job.
const (
	Away Kind = "away" // the registry does not answer, or gives no job now; it is asked again and again
	Back Kind = "back" // it does

	Leased   Kind = "leased"
	Done     Kind = "done"
	Failed   Kind = "failed"   // the registry was told why, and decides whether it is tried again
	Released Kind = "released" // given back, because the worker ends
	Lost     Kind = "lost"     // it is somebody else's by now, or the registry could not be told
)

// An Event is something that happened.
type Event struct {
	Kind Kind
	Job  *wire.AOTJob  // nil for Away and Back
	Took time.Duration // since the job was leased
	Err  error         // of Away, Failed and Lost
	Why  string        // of Failed: the kind that the registry was told, "input", "limit" …
	Made               // of Done, and of the others as far as it came
}

// Made is native code.
type Made struct {
	Config      *aot.Config
	Result      digest.Digest // of its manifest
	Attestation digest.Digest // of the manifest with what was signed of it
}

// ErrFailed is of a worker that ran Once and could not make all that was asked for.
var ErrFailed = errors.New("not everything could be made")

// A Worker is made by New and runs once.
type Worker struct {
	o      Options
	asking chan struct{} // holds one while a job is asked for

	mu     sync.Mutex // of Tell and of these
	away   bool
	failed int
}

// New makes a worker that does nothing yet.
func New(o Options) *Worker {
	o.Concurrency = max(o.Concurrency, 1)
	if o.Drain == 0 {
		o.Drain = DefaultDrain
	}
	if o.Ready == nil {
		o.Ready = func(context.Context) error { return nil }
	}
	if o.Tell == nil {
		o.Tell = func(Event) {}
	}
	if o.Describe == nil {
		o.Describe = error.Error
	}
	o.Offer.WaitSeconds = int(longPoll / time.Second)
	if o.Once {
		o.Offer.WaitSeconds = 0
	}
	return &Worker{o: o, asking: make(chan struct{}, 1)}
}

// Run works until ctx ends, or with Options.Once until there is nothing to do, and
// returns when it holds no job any more. The error is of a registry that refuses
// the worker, or of Ready; with Once also of one that is away, or ErrFailed. The end
// of ctx is none.
func (w *Worker) Run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	errs := make(chan error, w.o.Concurrency)
	for range w.o.Concurrency {
		go func() {
			err := w.loop(ctx)
			if err != nil {
				stop() // the others would meet the same
			}
			errs <- err
		}()
	}
	var first error
	for range w.o.Concurrency {
		if err := <-errs; first == nil {
			first = err
		}
	}
	if first == nil && w.o.Once && w.failed > 0 {
		return fmt.Errorf("%w: %d failed", ErrFailed, w.failed)
	}
	return first
}

// loop does one job after the other.
func (w *Worker) loop(ctx context.Context) error {
	for {
		lease, err := w.next(ctx)
		if lease == nil || err != nil {
			return err
		}
		w.do(ctx, lease)
	}
}

// next asks for a job until there is one; nil says that the worker is to end. Loops
// do that one at a time: a registry bounds how many wait, and has one worker wait
// once, whatever its concurrency.
func (w *Worker) next(ctx context.Context) (*wire.AOTLease, error) {
	select {
	case w.asking <- struct{}{}:
		defer func() { <-w.asking }()
	case <-ctx.Done():
		return nil, nil
	}
	for pause := minPause; ctx.Err() == nil; {
		if err := w.o.Ready(ctx); err != nil {
			if ctx.Err() != nil {
				return nil, nil
			}
			return nil, fmt.Errorf("sign: %w", err)
		}
		asked := time.Now()
		lease, err := w.lease(ctx)
		switch {
		case err == nil && lease != nil:
			w.tellBack()
			return lease, nil
		case ctx.Err() != nil:
			return nil, nil
		case err != nil && (w.o.Once || !client.Away(err)):
			return nil, err
		case err != nil:
			w.tellAway(err)
			sleep(ctx, retryAfter(err)+jitter(pause))
			pause = min(2*pause, maxPause)
		case w.o.Once:
			return nil, nil
		default:
			w.tellBack()
			sleep(ctx, jitter(minPause-time.Since(asked))) // a registry that ends answers at once
			pause = minPause
		}
	}
	return nil, nil
}

// retryAfter is how long a registry asked to wait, maxPause at most.
func retryAfter(err error) time.Duration {
	if said, ok := errors.AsType[*client.CatalogError](err); ok {
		return min(time.Duration(said.RetryAfter)*time.Second, maxPause)
	}
	return 0
}

// lease asks for a job; nil is none.
func (w *Worker) lease(ctx context.Context) (*wire.AOTLease, error) {
	asking, stop := context.WithTimeout(ctx, longPoll+answer)
	defer stop()
	return w.o.Jobs.LeaseAOT(asking, w.o.Offer)
}

// tellAway says once that the registry is away.
func (w *Worker) tellAway(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.away {
		w.away = true
		w.o.Tell(Event{Kind: Away, Err: err})
	}
}

func (w *Worker) tellBack() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.away {
		w.away = false
		w.o.Tell(Event{Kind: Back})
	}
}

// tell reports what became of a job.
func (w *Worker) tell(e Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if e.Kind == Failed || e.Kind == Lost {
		w.failed++
	}
	w.o.Tell(e)
}

// jitter is a part of d by chance, between a half and all of it: workers that lost
// a registry together do not come back together.
func jitter(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return d/2 + rand.N(d/2+1)
}

// sleep waits, and no longer than until ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
