package advisories

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"

	"github.com/wreg-project/wreg/storage/meta"
)

// RefreshJob is the kind of the jobs that import a feed, whose source is their
// key: whichever server leases one does it, and leaves one for the next time.
const RefreshJob = "advisories"

// Times of a [Refresher].
const (
	DefaultInterval = 6 * time.Hour
	retryInterval   = 10 * time.Minute // after an import that failed, at most
	jitter          = 0.1              // of an interval, so that servers do not ask all at once
	askInterval     = time.Second      // between looks for what commands ask for
)

// RefreshOptions of [NewRefresher]. DB and Fetcher.Dir are required.
type RefreshOptions struct {
	DB       meta.DB
	Feeds    []Address
	EPSS     Address // zero for none
	KEV      Address // zero for none
	Interval time.Duration
	Fetcher  Fetcher
	Log      *slog.Logger     // nil discards
	Clock    func() time.Time // nil is time.Now
}

// A Refresher keeps the advisories of a server up to date: its Handle does the jobs
// RefreshJob, its Run does the rest. Its methods are safe for concurrent use.
type Refresher struct {
	RefreshOptions
	importer   Importer
	likelihood atomic.Pointer[Likelihood]
}

// NewRefresher makes a Refresher that does nothing yet.
func NewRefresher(o RefreshOptions) *Refresher {
	if o.Interval <= 0 {
		o.Interval = DefaultInterval
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	r := &Refresher{RefreshOptions: o, importer: Importer{DB: o.DB, Clock: o.Clock}}
	r.likelihood.Store(&Likelihood{})
	return r
}

// Likelihood is what is known now of how vulnerabilities are used. The caller does
// not change it.
func (r *Refresher) Likelihood() Likelihood { return *r.likelihood.Load() }

// Run enqueues the first import of each feed, keeps the files of EPSS and KEV up to
// date, and does what commands ask for, until ctx ends.
func (r *Refresher) Run(ctx context.Context) {
	if err := r.enqueue(ctx); err != nil {
		r.warn(ctx, "imports of advisories not enqueued", "", err)
	}
	rate := time.NewTimer(0)
	defer rate.Stop()
	ask := time.NewTicker(askInterval)
	defer ask.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-rate.C:
			rate.Reset(r.rate(ctx))
		case <-ask.C:
			if err := r.answerAll(ctx); err != nil {
				r.warn(ctx, "a command was not answered", "", err)
			}
		}
	}
}

func (r *Refresher) warn(ctx context.Context, message, source string, err error) {
	if !errors.Is(err, context.Canceled) || ctx.Err() == nil {
		r.Log.WarnContext(ctx, message, slog.String("source", source), slog.Any("err", err))
	}
}

// enqueue adds the jobs of the configured feeds: due now if they were never
// imported, else when their time is over.
func (r *Refresher) enqueue(ctx context.Context) error {
	if len(r.Feeds) == 0 {
		return nil
	}
	return r.DB.Update(ctx, func(ctx context.Context, tx meta.Tx) error {
		for _, a := range r.Feeds {
			f, err := feedOf(ctx, tx, a.Source)
			if err != nil {
				return err
			}
			due := r.Clock()
			if next := f.Attempted.Add(r.Interval); !f.Imported.IsZero() && f.Error == "" && next.After(due) {
				due = next
			}
			if _, err := tx.Enqueue(ctx, meta.NewJob{Kind: RefreshJob, Key: a.Source, Due: due}); err != nil {
				return err
			}
		}
		return nil
	})
}

// Handle does a job [RefreshJob]. What goes wrong with the feed is noted with it and
// tried again; only what is wrong with the database is an error.
func (r *Refresher) Handle(ctx context.Context, j meta.Job) error {
	i := slices.IndexFunc(r.Feeds, func(a Address) bool { return a.Source == j.Key })
	if i < 0 {
		return nil // not configured any more
	}
	next := r.spread(r.Interval)
	if err := r.refresh(ctx, r.Feeds[i]); err != nil {
		if ctx.Err() != nil {
			return ctx.Err() // the server ends; the next one begins anew
		}
		r.warn(ctx, "advisories not imported", j.Key, err)
		next = r.spread(min(retryInterval, r.Interval))
	}
	return r.DB.Update(ctx, func(ctx context.Context, tx meta.Tx) error {
		_, err := tx.Enqueue(ctx, meta.NewJob{Kind: RefreshJob, Key: j.Key, Due: r.Clock().Add(next)})
		return err
	})
}

// spread is a time near d.
func (r *Refresher) spread(d time.Duration) time.Duration {
	return d + time.Duration((2*rand.Float64()-1)*jitter*float64(d))
}

func (r *Refresher) refresh(ctx context.Context, a Address) error {
	began := time.Now()
	loaded, err := r.importer.From(ctx, &r.Fetcher, a, Load{})
	if err != nil {
		return err
	}
	r.Log.InfoContext(ctx, "advisories imported", slog.String("source", a.Source), slog.Int("advisories", loaded.Advisories),
		slog.Int("changed", loaded.Changed), slog.Int("removed", loaded.Removed), slog.Int("refused", loaded.Refused),
		slog.Duration("took", time.Since(began)))
	return nil
}

// From fetches the file of an address and imports it, with the Shrink and Progress
// of l. A file that could not be brought is noted with the feed.
func (im *Importer) From(ctx context.Context, f *Fetcher, a Address, l Load) (Loaded, error) {
	began := im.now()
	file, err := f.Fetch(ctx, a)
	if err != nil {
		return Loaded{Source: a.Source}, errors.Join(err, im.failed(ctx, a.Source, began, err))
	}
	l.Source, l.Path, l.ETag, l.Digest = a.Source, file.Path, file.ETag, file.Digest
	return im.Import(ctx, l)
}

// rate reads EPSS and KEV anew and returns when to do so again. What cannot be read
// leaves what was known.
func (r *Refresher) rate(ctx context.Context) time.Duration {
	next := r.spread(r.Interval)
	var paths [2]string
	for i, a := range []Address{r.EPSS, r.KEV} {
		if a == (Address{}) {
			continue
		}
		file, err := r.Fetcher.Fetch(ctx, a)
		if err != nil {
			r.warn(ctx, "likelihood of vulnerabilities not refreshed", a.Source, err)
			next = r.spread(min(retryInterval, r.Interval))
			// The last download is better than nothing, after a restart.
			file.Path = r.Fetcher.have(a)
		}
		paths[i] = file.Path
	}
	old := r.Likelihood()
	read, err := ReadLikelihood(paths[0], paths[1])
	if err != nil {
		r.warn(ctx, "likelihood of vulnerabilities not read", "", err)
		return next
	}
	if paths[0] == "" {
		read.EPSS = old.EPSS
	}
	if paths[1] == "" {
		read.KEV = old.KEV
	}
	r.likelihood.Store(&read)
	return next
}
