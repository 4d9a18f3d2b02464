package registry

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/storage/meta"
)

// How downloads are counted.
const (
	downloadFlush = 5 * time.Second  // how long a count waits in memory
	downloadGrace = 10 * time.Second // how long Close tries to write the last ones
	downloadBatch = 200              // counts in one transaction, which pushes wait for
	maxDownloads  = 100_000          // manifests counted at once, times days
)

// downloads counts in memory and writes the counts every few seconds, so that a
// pull costs no transaction. A crash loses those of the last seconds: they are
// for orientation, and nobody was promised one.
type downloads struct {
	db  meta.DB
	now func() time.Time
	log *slog.Logger

	mu     sync.Mutex
	counts map[download]int64
	missed int64 // not counted, as there was no room

	stop, done chan struct{}
	stuck      bool // the last attempt to write failed; of the writing goroutine
}

// A download is what is counted together.
type download struct {
	repo   string
	digest digest.Digest
	day    int64 // since 1970, in UTC
}

func newDownloads(o Options) *downloads {
	d := &downloads{
		db: o.Meta, now: o.Clock, log: o.Log, counts: map[download]int64{},
		stop: make(chan struct{}), done: make(chan struct{}),
	}
	go d.run()
	return d
}

// CountDownload counts that a manifest was sent to a client. It waits for no
// disk: the count is in the database seconds later, or once the registry is
// closed. If the server crashes before, it is lost.
func (r *Registry) CountDownload(m meta.Manifest) {
	r.downloads.add(download{m.Repo, m.Digest, r.now().Unix() / secondsPerDay}, 1)
}

const secondsPerDay = 24 * 60 * 60

func (d *downloads) add(key download, n int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, known := d.counts[key]; !known && len(d.counts) >= maxDownloads {
		d.missed += n
		return
	}
	d.counts[key] += n
}

// run writes the counts until close.
func (d *downloads) run() {
	defer close(d.done)
	tick := time.NewTicker(downloadFlush)
	defer tick.Stop()
	for {
		select {
		case <-d.stop:
			return
		case <-tick.C:
		}
		ctx, cancel := context.WithTimeout(context.Background(), downloadGrace)
		err := d.flush(ctx)
		cancel()
		switch {
		case err != nil && !d.stuck:
			d.log.LogAttrs(ctx, slog.LevelWarn, "download counts are not written, trying again", slog.Any("err", err))
		case err == nil && d.stuck:
			d.log.LogAttrs(ctx, slog.LevelInfo, "download counts are written again")
		}
		d.stuck = err != nil
	}
}

// close writes what is left. That it cannot is no reason for a server to end in
// failure.
func (d *downloads) close() {
	close(d.stop)
	<-d.done
	ctx, cancel := context.WithTimeout(context.Background(), downloadGrace)
	defer cancel()
	if err := d.flush(ctx); err != nil {
		d.log.LogAttrs(ctx, slog.LevelWarn, "the last download counts are lost", slog.Any("err", err))
	}
}

// flush writes the counts of this moment. Those that it cannot write are kept.
func (d *downloads) flush(ctx context.Context) error {
	rest, missed := d.take()
	if missed > 0 {
		d.log.LogAttrs(ctx, slog.LevelWarn, "downloads not counted: too many manifests at once", slog.Int64("downloads", missed))
	}
	for len(rest) > 0 {
		batch := rest[:min(downloadBatch, len(rest))]
		var begun atomic.Bool
		err := d.db.Update(ctx, func(ctx context.Context, tx meta.Tx) error {
			begun.Store(true)
			return tx.AddDownloads(ctx, batch)
		})
		if err != nil {
			if ctx.Err() != nil && begun.Load() {
				rest = rest[len(batch):] // it may have been written all the same: better not counted than twice
			}
			d.giveBack(rest)
			return fmt.Errorf("write download counts: %w", err)
		}
		rest = rest[len(batch):]
	}
	return nil
}

// take empties the counts.
func (d *downloads) take() (all []meta.Download, missed int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.counts) == 0 {
		return nil, 0
	}
	all = make([]meta.Download, 0, len(d.counts))
	for k, n := range d.counts {
		all = append(all, meta.Download{Repo: k.repo, Digest: k.digest, Day: time.Unix(k.day*secondsPerDay, 0).UTC(), Count: n})
	}
	missed, d.missed = d.missed, 0
	d.counts = map[download]int64{} // and lets go of what a busy moment needed
	return all, missed
}

func (d *downloads) giveBack(rest []meta.Download) {
	for _, c := range rest {
		d.add(download{c.Repo, c.Digest, c.Day.Unix() / secondsPerDay}, c.Count)
	}
}
