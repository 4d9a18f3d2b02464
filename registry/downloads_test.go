package registry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/storage/blob/mem"
	"github.com/wreg-project/wreg/storage/meta"
	"github.com/wreg-project/wreg/storage/meta/sqlite"
)

// counted is a registry over one manifest for each text.
type counted struct {
	*testing.T
	*Registry
	db    meta.DB
	fault atomic.Bool // makes every transaction fail
	now   time.Time
}

var errFault = errors.New("injected fault")

// failing is a database that fails when it is told to.
type failing struct {
	meta.DB
	fault *atomic.Bool
}

func (f failing) Update(ctx context.Context, fn func(context.Context, meta.Tx) error) error {
	if f.fault.Load() {
		return errFault
	}
	return f.DB.Update(ctx, fn)
}

func openCounted(t *testing.T, texts ...string) *counted {
	t.Helper()
	db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "wreg.db"), sqlite.Options{Migrate: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	err = db.Update(t.Context(), func(ctx context.Context, tx meta.Tx) error {
		for _, text := range texts {
			if _, err := tx.PutManifest(ctx, meta.NewManifest{Manifest: manifestOf(text)}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	c := &counted{T: t, db: db, now: time.Date(2026, 3, 4, 23, 59, 58, 0, time.UTC)}
	c.Registry = New(Options{Meta: failing{db, &c.fault}, Blobs: mem.New(), Clock: func() time.Time { return c.now }})
	return c
}

func manifestOf(text string) meta.Manifest {
	return meta.Manifest{Repo: "r", Digest: digest.FromString(text), Content: []byte(text)}
}

func (c *counted) wantDownloads(text string, byDay map[string]int64) {
	c.Helper()
	got, err := c.db.Downloads(c.Context(), "r", digest.FromString(text), time.Time{})
	if err != nil {
		c.Fatalf("Downloads(%s) = %v", text, err)
	}
	days := map[string]int64{}
	for _, d := range got {
		days[d.Day.Format(time.DateOnly)] += d.Count
	}
	if diff := cmp.Diff(byDay, days); diff != "" {
		c.Errorf("Downloads(%s): want -, got +\n%s", text, diff)
	}
}

func (c *counted) close() {
	c.Helper()
	if err := c.Close(); err != nil {
		c.Errorf("Close() = %v", err)
	}
}

func TestDownloadsAreWrittenByClose(t *testing.T) {
	c := openCounted(t, "m", "n")
	for range 3 {
		c.CountDownload(manifestOf("m"))
	}
	c.CountDownload(manifestOf("gone"))
	c.now = c.now.Add(3 * time.Second)
	c.CountDownload(manifestOf("m"))
	c.CountDownload(manifestOf("n"))
	c.wantDownloads("m", map[string]int64{})
	c.close()
	c.wantDownloads("m", map[string]int64{"2026-03-04": 3, "2026-03-05": 1})
	c.wantDownloads("n", map[string]int64{"2026-03-05": 1})
}

func TestDownloadsAreWrittenEveryFewSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := openCounted(t, "m")
		defer c.close()
		for n := range int64(3) {
			c.CountDownload(manifestOf("m"))
			time.Sleep(downloadFlush + time.Second)
			synctest.Wait()
			c.wantDownloads("m", map[string]int64{"2026-03-04": n + 1})
		}
	})
}

func TestDownloadsOfManyClientsAddUp(t *testing.T) {
	const clients, each = 8, 500
	c := openCounted(t, "m", "n")
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			for i := range each {
				c.CountDownload(manifestOf([]string{"m", "n"}[i%2]))
				if i%100 == 0 {
					if err := c.downloads.flush(t.Context()); err != nil {
						t.Errorf("flush() = %v", err)
					}
				}
			}
		})
	}
	wg.Wait()
	c.close()
	for _, text := range []string{"m", "n"} {
		c.wantDownloads(text, map[string]int64{"2026-03-04": clients * each / 2})
	}
}

// What cannot be written now is written later, once.
func TestDownloadsOutliveAFailingDatabase(t *testing.T) {
	var texts []string
	for i := range 2*downloadBatch + 10 {
		texts = append(texts, fmt.Sprint(i))
	}
	c := openCounted(t, texts...)
	count := func() {
		for _, text := range texts {
			c.CountDownload(manifestOf(text))
		}
	}
	count()
	c.fault.Store(true)
	if err := c.downloads.flush(t.Context()); !errors.Is(err, errFault) {
		t.Errorf("flush() = %v, want %v", err, errFault)
	}
	count()
	c.fault.Store(false)
	c.close()
	for _, text := range texts {
		c.wantDownloads(text, map[string]int64{"2026-03-04": 2})
	}
}

// A transaction that nobody waited for may have been written.
func TestDownloadsAreNotWrittenTwice(t *testing.T) {
	c := openCounted(t, "m")
	c.CountDownload(manifestOf("m"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.downloads.flush(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("flush() before anything is written = %v, want %v", err, context.Canceled)
	}
	if n := len(c.downloads.counts); n != 1 {
		t.Errorf("%d counts wait after an update that never began, want 1", n)
	}
	ctx, cancel = context.WithCancel(t.Context())
	c.downloads.db = leaving{c.db, cancel}
	if err := c.downloads.flush(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("flush() as the update is written = %v, want %v", err, context.Canceled)
	}
	c.downloads.db = c.db
	c.close()
	c.wantDownloads("m", map[string]int64{"2026-03-04": 1})
}

// leaving is a database whose caller leaves while it writes.
type leaving struct {
	meta.DB
	leave func()
}

func (l leaving) Update(ctx context.Context, fn func(context.Context, meta.Tx) error) error {
	err := l.DB.Update(context.WithoutCancel(ctx), fn)
	l.leave()
	return errors.Join(ctx.Err(), err)
}

func TestCloseSaysThatDownloadsAreLost(t *testing.T) {
	c := openCounted(t, "m")
	var log strings.Builder
	c.downloads.log = slog.New(slog.NewTextHandler(&log, nil))
	c.CountDownload(manifestOf("m"))
	c.fault.Store(true)
	c.close()
	if !strings.Contains(log.String(), "the last download counts are lost") || !strings.Contains(log.String(), errFault.Error()) {
		t.Errorf("Close() logged %q, want it to say that counts are lost to %v", log.String(), errFault)
	}
}

// The counts that wait are bounded, and those of known manifests go on.
func TestDownloadsAreBounded(t *testing.T) {
	c := openCounted(t, "m")
	c.CountDownload(manifestOf("m"))
	for i := range int64(2 * maxDownloads) {
		c.downloads.add(download{"r", "sha256:none", i}, 1)
	}
	c.CountDownload(manifestOf("m"))
	if n := len(c.downloads.counts); n != maxDownloads {
		t.Errorf("%d counts wait, want %d", n, maxDownloads)
	}
	if want := int64(maxDownloads + 1); c.downloads.missed != want {
		t.Errorf("%d downloads were missed, want %d", c.downloads.missed, want)
	}
	all, _ := c.downloads.take()
	var kept []meta.Download
	for _, d := range all {
		if d.Digest == manifestOf("m").Digest {
			kept = append(kept, d)
		}
	}
	c.downloads.giveBack(kept)
	c.close()
	c.wantDownloads("m", map[string]int64{"2026-03-04": 2})
}
