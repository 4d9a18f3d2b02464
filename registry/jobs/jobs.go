// Package jobs does the durable work that a write leaves behind.
//
// A job is enqueued in the transaction that makes it necessary ([meta.JobWriter])
// and is done at least once after that: by any server over the same database,
// also after a crash. A [Runner] leases jobs, runs their handlers a bounded
// number at a time, prolongs the leases while they run, and tries again what
// failed, later and later, until it becomes a dead letter for a person to look
// at. Handlers have to be safe to repeat.
package jobs

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wreg-project/wreg/storage/meta"
)

// A Handler does one job. An error has it tried again, see [Permanent]; a panic
// counts as one. A handler that ended the job itself, in the transaction of its
// work by FinishJob with the holder that j names, returns ErrFinished. ctx ends
// when the server has no more time or somebody else has taken the job over: what
// the handler writes then should change nothing.
type Handler func(ctx context.Context, j meta.Job) error

// ErrFinished says that a handler ended its job itself.
var ErrFinished = errors.New("the job is finished")

// Defaults of Options.
const (
	DefaultWorkers     = 2
	DefaultLease       = time.Minute
	DefaultPoll        = time.Second
	DefaultMaxAttempts = 8
	DefaultGrace       = 10 * time.Second
	DefaultBackoff     = time.Second
	DefaultMaxBackoff  = 10 * time.Minute
)

// Options of New. DB is required, the zero value of the rest is the default.
type Options struct {
	DB    meta.DB
	Log   *slog.Logger     // nil discards
	Clock func() time.Time // nil is time.Now

	Workers     int           // jobs at a time
	Lease       time.Duration // after which a job whose server died is taken over; prolonged at every third of it
	Poll        time.Duration // between looks for jobs that other servers enqueued, or that have become due
	Alone       bool          // no other server does these jobs: what is leased at the start was left behind, and is due
	MaxAttempts int           // after which a job is a dead letter
	Grace       time.Duration // what running jobs get to finish when the Runner is to end

	// A job that failed n times waits for a random time up to Backoff × 2ⁿ⁻¹, at
	// most MaxBackoff.
	Backoff, MaxBackoff time.Duration
}

// A Runner runs jobs. Its methods are safe for concurrent use.
type Runner struct {
	db     meta.DB
	log    *slog.Logger
	now    func() time.Time
	opts   Options
	holder string // names this Runner in leases

	handlers map[string]Handler
	urgent   []string // kinds, in the order in which they were given
	idle     []string // kinds that wait until nothing urgent is due

	wake    chan struct{}
	workers atomic.Int32

	stopping atomic.Bool // takes no more jobs

	mu      sync.Mutex
	running map[int64]*leased
	counts  map[string]Count
}

// leased is a job that this Runner holds.
type leased struct {
	meta.Job
	cancel context.CancelCauseFunc // of the handler

	// Under the Runner's lock:
	until time.Time // the end of the lease
	lost  bool      // somebody else may have it
}

// A Count says how often jobs of a kind ended, since the Runner was made.
type Count struct {
	Done   int64 // succeeded
	Failed int64 // attempts that failed
	Buried int64 // became dead letters
}

// New makes a Runner that does nothing before Run.
func New(o Options) *Runner {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	o.Workers = orDefault(o.Workers, DefaultWorkers)
	o.Lease = orDefault(o.Lease, DefaultLease)
	o.Poll = orDefault(o.Poll, DefaultPoll)
	o.MaxAttempts = orDefault(o.MaxAttempts, DefaultMaxAttempts)
	o.Grace = orDefault(o.Grace, DefaultGrace)
	o.Backoff = orDefault(o.Backoff, DefaultBackoff)
	o.MaxBackoff = orDefault(o.MaxBackoff, DefaultMaxBackoff)
	return &Runner{
		db: o.DB, log: o.Log, now: o.Clock, opts: o, holder: rand.Text(),
		handlers: map[string]Handler{}, running: map[int64]*leased{}, counts: map[string]Count{},
		wake: make(chan struct{}, 1),
	}
}

func orDefault[T int | time.Duration](v, standard T) T {
	if v <= 0 {
		return standard
	}
	return v
}

// Handle has jobs of a kind done by h. All kinds are known before Run.
func (r *Runner) Handle(kind string, h Handler) {
	r.handlers[kind] = h
	r.urgent = append(r.urgent, kind)
}

// HandleIdle is Handle for work that waits until no other job is due.
func (r *Runner) HandleIdle(kind string, h Handler) {
	r.handlers[kind] = h
	r.idle = append(r.idle, kind)
}

// Wake says that there may be a job. It never blocks.
func (r *Runner) Wake() {
	select {
	case r.wake <- struct{}{}:
	default: // somebody has said so already
	}
}

// Counts gives the counts of every kind that ended something.
func (r *Runner) Counts() map[string]Count {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make(map[string]Count, len(r.counts))
	for kind, c := range r.counts {
		all[kind] = c
	}
	return all
}

// Running is how many jobs this Runner does now.
func (r *Runner) Running() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.running)
}

func (r *Runner) count(kind string, add func(*Count)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.counts[kind]
	add(&c)
	r.counts[kind] = c
}

// Run does jobs until ctx ends. Then it takes no more, lets those that run
// finish for as long as Options.Grace says, gives back what is left, and returns
// once nothing of it runs any more.
func (r *Runner) Run(ctx context.Context) {
	if r.opts.Alone {
		r.inherit(ctx)
	}
	handlers, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	defer stop(nil)
	var workers, heartbeat sync.WaitGroup
	beating, end := context.WithCancel(context.WithoutCancel(ctx)) // also while handlers come to their end
	heartbeat.Go(func() { r.heartbeat(beating) })

	unfollow := context.AfterFunc(ctx, func() { r.stopping.Store(true) })
	defer unfollow()
	r.dispatch(ctx, func(j meta.Job) { workers.Go(func() { r.work(handlers, j) }) })

	late := time.AfterFunc(r.opts.Grace, func() { stop(errStopped) })
	workers.Wait()
	late.Stop()
	end()
	heartbeat.Wait()
}

// inherit makes due what a server before this one had begun, and did not come to
// give back. A job that was begun more than once may be what ended it: that one's
// lease runs out by itself, and the server has its time until then.
func (r *Runner) inherit(ctx context.Context) {
	var left int64
	err := r.db.Update(ctx, func(ctx context.Context, tx meta.Tx) (err error) {
		left, err = tx.EndLeases(ctx, 1)
		return err
	})
	switch {
	case err != nil:
		r.log.LogAttrs(ctx, slog.LevelWarn, "jobs left by a server before wait for the end of their leases", slog.Any("err", err))
	case left > 0:
		r.log.LogAttrs(ctx, slog.LevelInfo, "jobs left by a server before are done anew", slog.Int64("jobs", left))
	}
}

var errStopped = errors.New("the server stopped")

// dispatch starts workers as there are jobs for them, until ctx ends. A worker
// goes on by itself while there are more.
func (r *Runner) dispatch(ctx context.Context, start func(meta.Job)) {
	poll := time.NewTicker(r.opts.Poll)
	defer poll.Stop()
	for ctx.Err() == nil {
		for _, j := range r.lease(ctx, r.opts.Workers-int(r.workers.Load())) {
			r.workers.Add(1)
			start(j)
		}
		select {
		case <-ctx.Done():
		case <-r.wake:
		case <-poll.C:
		}
	}
}

// lease takes at most n due jobs. When the database fails it takes none: the next
// poll tries again.
func (r *Runner) lease(ctx context.Context, n int) []meta.Job {
	if n <= 0 || r.stopping.Load() {
		return nil
	}
	// Cut off in the middle, it could leave leases that nobody knows of.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancel()
	var jobs []meta.Job
	err := r.db.Update(ctx, func(ctx context.Context, tx meta.Tx) (err error) {
		jobs, err = r.leaseIn(ctx, tx, n)
		return err
	})
	if err != nil {
		r.log.LogAttrs(ctx, slog.LevelWarn, "jobs not leased, trying again", slog.Any("err", err))
		return nil // a lease that was written all the same runs out
	}
	return jobs
}

// leaseIn takes at most n due jobs, idle ones only where nothing else is due.
func (r *Runner) leaseIn(ctx context.Context, tx meta.Tx, n int) ([]meta.Job, error) {
	var jobs []meta.Job
	now := r.now().UTC()
	for _, kinds := range [][]string{r.urgent, r.idle} {
		if len(kinds) == 0 || len(jobs) == n {
			continue
		}
		more, err := tx.Lease(ctx, kinds, n-len(jobs), r.holder, now, now.Add(r.opts.Lease))
		if err != nil {
			return nil, err
		}
		jobs = append(jobs, more...)
	}
	return jobs, nil
}

// work does j, and then whatever else is due.
func (r *Runner) work(handlers context.Context, j meta.Job) {
	defer func() {
		r.workers.Add(-1)
		r.Wake() // for what came after the last look, when there was no worker free
	}()
	for next := []meta.Job{j}; len(next) > 0; {
		next = r.one(handlers, next[0])
	}
}

// one does one job, notes how it ended, and takes another one in the same
// transaction.
func (r *Runner) one(handlers context.Context, j meta.Job) []meta.Job {
	ctx, cancel := context.WithCancelCause(handlers)
	defer cancel(nil)
	l := &leased{Job: j, cancel: cancel, until: j.Until}
	r.mu.Lock()
	r.running[j.ID] = l
	r.mu.Unlock()
	err := r.attempt(ctx, j)
	stopped := errors.Is(context.Cause(ctx), errStopped)
	r.mu.Lock()
	lost := l.lost
	delete(r.running, j.ID)
	r.mu.Unlock()
	switch {
	case errors.Is(err, ErrFinished):
		r.count(j.Kind, func(c *Count) { c.Done++ })
		r.log.LogAttrs(ctx, slog.LevelDebug, "job done", attrs(j)...)
	case !lost:
		return r.settle(context.WithoutCancel(ctx), j, err, stopped)
	}
	return r.lease(ctx, 1)
}

// errAttempts is what a job is buried for whose every attempt ended with the
// server itself: running it again would end the next one.
var errAttempts = errors.New("no attempt came to an end: each time the server was gone before")

func (r *Runner) attempt(ctx context.Context, j meta.Job) (err error) {
	if j.Attempts > r.opts.MaxAttempts {
		return Permanent(errAttempts)
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
			r.log.LogAttrs(ctx, slog.LevelError, "job panicked", append(attrs(j), slog.Any("err", err),
				slog.String("stack", string(debug.Stack())))...)
		}
	}()
	return r.handlers[j.Kind](ctx, j)
}

// settleTimeout is what a database gets to take the end of a job. If it is too
// slow the lease runs out, and the job is done once more.
const settleTimeout = 30 * time.Second

// settle writes how a job ended: done, to be tried again, or dead. It takes
// another one unless the Runner is to end.
func (r *Runner) settle(ctx context.Context, j meta.Job, failure error, stopped bool) (next []meta.Job) {
	ctx, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	_, permanent := errors.AsType[*permanentError](failure)
	bury := failure != nil && !stopped && (permanent || j.Attempts >= r.opts.MaxAttempts)
	now := r.now().UTC()
	due := now
	if !stopped {
		due = now.Add(r.delay(j.Attempts))
	}
	err := r.db.Update(ctx, func(ctx context.Context, tx meta.Tx) (err error) {
		switch {
		case failure == nil:
			err = tx.FinishJob(ctx, j.ID, r.holder, now)
		case bury:
			err = tx.BuryJob(ctx, j.ID, r.holder, now, reason(failure))
		default:
			err = tx.RetryJob(ctx, j.ID, r.holder, due, reason(failure))
		}
		if next = nil; err == nil && !r.stopping.Load() {
			next, err = r.leaseIn(ctx, tx, 1)
		}
		return err
	})
	log := func(level slog.Level, message string, more ...slog.Attr) {
		r.log.LogAttrs(ctx, level, message, append(attrs(j), more...)...)
	}
	switch {
	case errors.Is(err, meta.ErrConflict), errors.Is(err, meta.ErrNotFound):
		log(slog.LevelWarn, "job was taken over before it ended")
		return nil
	case err != nil:
		log(slog.LevelWarn, "end of a job not written, it will be done again", slog.Any("err", err))
		return nil
	}
	r.count(j.Kind, func(c *Count) {
		switch {
		case failure == nil:
			c.Done++
		case bury:
			c.Failed++
			c.Buried++
		case !stopped:
			c.Failed++
		}
	})
	switch {
	case failure == nil:
		log(slog.LevelDebug, "job done")
	case bury:
		log(slog.LevelError, "job failed for good", slog.Any("err", failure))
	case stopped:
		log(slog.LevelInfo, "job given back")
	default:
		log(slog.LevelWarn, "job failed, trying again", slog.Any("err", failure), slog.Time("due", due))
	}
	return next
}

func attrs(j meta.Job) []slog.Attr {
	return []slog.Attr{slog.Int64("job", j.ID), slog.String("kind", j.Kind), slog.String("key", j.Key), slog.Int("attempt", j.Attempts)}
}

// maxReason bounds what is stored of a failure, in bytes.
const maxReason = 2000

func reason(err error) string {
	s := err.Error()
	if len(s) > maxReason {
		s = s[:maxReason] + "…"
	}
	return s
}

// heartbeat prolongs the leases of what runs, at every third of their time, so
// that two attempts may fail before one runs out.
func (r *Runner) heartbeat(ctx context.Context) {
	tick := time.NewTicker(max(r.opts.Lease/3, time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			r.extend(ctx)
		}
	}
}

// extend prolongs all leases in one transaction. A job whose lease is gone is
// stopped: somebody else does it.
func (r *Runner) extend(ctx context.Context) {
	r.mu.Lock()
	ids := make([]int64, 0, len(r.running))
	for id := range r.running {
		ids = append(ids, id)
	}
	r.mu.Unlock()
	if len(ids) == 0 {
		return
	}
	slices.Sort(ids)
	until := r.now().UTC().Add(r.opts.Lease)
	bounded, cancel := context.WithTimeout(ctx, r.opts.Lease/3)
	defer cancel()
	var lost []int64
	err := r.db.Update(bounded, func(ctx context.Context, tx meta.Tx) error {
		lost = nil
		for _, id := range ids {
			err := tx.ExtendLease(ctx, id, r.holder, until)
			if errors.Is(err, meta.ErrConflict) || errors.Is(err, meta.ErrNotFound) {
				lost = append(lost, id)
			} else if err != nil {
				return err
			}
		}
		return nil
	})
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		if ctx.Err() == nil {
			r.log.LogAttrs(ctx, slog.LevelWarn, "leases not prolonged", slog.Any("err", err))
		}
		for _, id := range ids {
			if l := r.running[id]; l != nil && !r.now().Before(l.until) {
				l.lose()
			}
		}
		return
	}
	for _, id := range ids {
		l := r.running[id]
		switch {
		case l == nil: // ended meanwhile, which is why it may be among the lost
		case slices.Contains(lost, id):
			l.lose()
		default:
			l.until = until
		}
	}
}

var errLost = errors.New("the lease of the job was lost")

// lose stops a job that is not ours any more. The caller holds the lock.
func (l *leased) lose() {
	l.lost = true
	l.cancel(errLost)
}
