package advisories_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wreg-project/wreg/registry/advisories"
	"github.com/wreg-project/wreg/sbom/vuln"
	"github.com/wreg-project/wreg/sbom/vuln/scan"
	"github.com/wreg-project/wreg/storage/meta"
)

const (
	scores = "#model\ncve,epss,percentile\nCVE-2026-0001,0.5,0.9\n"
	known  = `{"vulnerabilities":[{"cveID":"CVE-2026-0001","dateAdded":"2026-01-02","knownRansomwareCampaignUse":"Known"}]}`
)

// due is when the import of a feed is due.
func due(t *testing.T, db meta.DB, source string) time.Time {
	t.Helper()
	list, err := db.Jobs(t.Context(), meta.JobFilter{}, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, j := range list {
		if j.Kind == advisories.RefreshJob && j.Key == source {
			return j.Due
		}
	}
	t.Fatalf("no job imports %s: %+v", source, list)
	return time.Time{}
}

func TestHandle(t *testing.T) {
	path := filepath.Join(t.TempDir(), "all.zip")
	absent := filepath.Join(t.TempDir(), "absent.zip")
	write(t, path, feed(t, record("X-1", "time", "0.2.0")))
	db := openSQLite(t)
	r := advisories.NewRefresher(advisories.RefreshOptions{
		DB: db, Feeds: []advisories.Address{{Source: path}, {Source: absent}}, Interval: 10 * time.Hour,
		Fetcher: advisories.Fetcher{Dir: t.TempDir()}, Clock: func() time.Time { return now },
	})
	tests := []struct {
		name, source string
		from, to     time.Duration // until the next import
		failed       bool
	}{
		{name: "a feed is imported again after about the interval", source: path, from: 9 * time.Hour, to: 11 * time.Hour},
		{name: "one that failed, soon", source: absent, from: 9 * time.Minute, to: 11 * time.Minute, failed: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := r.Handle(t.Context(), meta.Job{NewJob: meta.NewJob{Kind: advisories.RefreshJob, Key: tt.source}}); err != nil {
				t.Fatal(err)
			}
			if next := due(t, db, tt.source).Sub(now); next < tt.from || next > tt.to {
				t.Errorf("the next import is due in %s, want %s to %s", next, tt.from, tt.to)
			}
			s, err := advisories.ReadStatus(t.Context(), db)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range s.Feeds {
				if f.Source == tt.source && (f.Error != "") != tt.failed {
					t.Errorf("the feed is %+v, failed is to be %t", f, tt.failed)
				}
				if f.Source == tt.source && f.Stale(now.Add(time.Hour), 2*time.Hour) != tt.failed {
					t.Errorf("Stale() = %t, want %t", !tt.failed, tt.failed)
				}
			}
		})
	}
	before, err := db.JobCounts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Handle(t.Context(), meta.Job{NewJob: meta.NewJob{Kind: advisories.RefreshJob, Key: "not configured any more"}}); err != nil {
		t.Fatal(err)
	}
	after, err := db.JobCounts(t.Context())
	if err != nil || after[advisories.RefreshJob] != before[advisories.RefreshJob] {
		t.Errorf("a feed that is not configured leaves jobs %+v, %v; want %+v", after, err, before)
	}
}

// running is a Refresher that runs until the test ends.
func running(t *testing.T, o advisories.RefreshOptions) *advisories.Refresher {
	t.Helper()
	r := advisories.NewRefresher(o)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	return r
}

// eventually waits until something holds, which a server does in the background.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(30 * time.Second)
	for !holds() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("not after 30 seconds: %s", what)
		}
	}
}

func TestRunRatesFindings(t *testing.T) {
	var broken atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if broken.Load() {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		w.Header().Set("ETag", `"1"`)
		if strings.HasSuffix(r.URL.Path, ".csv") {
			fmt.Fprint(w, scores)
		} else {
			fmt.Fprint(w, known)
		}
	}))
	defer server.Close()
	options := advisories.RefreshOptions{
		DB: openSQLite(t), EPSS: advisories.Address{Source: server.URL + "/epss.csv"}, KEV: advisories.Address{Source: server.URL + "/kev.json"},
		Fetcher: advisories.Fetcher{Dir: t.TempDir(), Client: server.Client()},
	}
	for _, name := range []string{"what the servers have is used", "what they had, when they fail"} {
		t.Run(name, func(t *testing.T) {
			r := running(t, options)
			eventually(t, "EPSS and KEV are read", func() bool { return len(r.Likelihood().EPSS)+len(r.Likelihood().KEV) == 2 })
			report := &scan.Report{Findings: []scan.Finding{{Finding: vuln.Finding{ID: "X-1", Aliases: []string{"CVE-2026-0001"}}}}}
			r.Likelihood().Rate(report)
			f := report.Findings[0]
			if f.EPSS == nil || f.EPSS.Probability != 0.5 || f.KEV == nil || !f.KEV.Ransomware {
				t.Errorf("Rate() gave %+v and %+v, want 0.5 and ransomware", f.EPSS, f.KEV)
			}
		})
		broken.Store(true)
	}
}

func TestRunEnqueuesFeedsAtTheirTime(t *testing.T) {
	db := openSQLite(t)
	fresh, failed, unknown := "https://example.org/fresh.zip", "https://example.org/failed.zip", "https://example.org/unknown.zip"
	update(t, db, func(ctx context.Context, tx meta.Tx) error {
		if err := tx.PutFeed(ctx, meta.Feed{Source: fresh, Attempted: now.Add(-time.Hour), Imported: now.Add(-time.Hour)}); err != nil {
			return err
		}
		return tx.PutFeed(ctx, meta.Feed{Source: failed, Attempted: now.Add(-time.Hour), Imported: now.Add(-2 * time.Hour), Error: "no route"})
	})
	running(t, advisories.RefreshOptions{
		DB: db, Feeds: []advisories.Address{{Source: fresh}, {Source: failed}, {Source: unknown}}, Interval: 6 * time.Hour,
		Fetcher: advisories.Fetcher{Dir: t.TempDir()}, Clock: func() time.Time { return now },
	})
	eventually(t, "jobs are enqueued", func() bool {
		counts, err := db.JobCounts(t.Context())
		return err == nil && counts[advisories.RefreshJob].Waiting == 3
	})
	for source, want := range map[string]time.Time{fresh: now.Add(5 * time.Hour), failed: now, unknown: now} {
		if got := due(t, db, source); !got.Equal(want) {
			t.Errorf("%s is due at %v, want %v", source, got, want)
		}
	}
}

func TestAsk(t *testing.T) {
	dir, path := t.TempDir(), filepath.Join(t.TempDir(), "all.zip")
	write(t, path, feed(t, record("X-1", "time", "0.2.0")))
	running(t, advisories.RefreshOptions{DB: openSQLite(t), Fetcher: advisories.Fetcher{Dir: dir}})
	a, err := advisories.Ask(t.Context(), dir, advisories.Request{Import: []string{path, path + ".none"}}, nil)
	if err != nil || a.Error != "" || len(a.Loaded) != 2 || len(a.Status.Feeds) != 2 {
		t.Fatalf("Ask() = %+v, %v; want two imports and two feeds", a, err)
	}
	if a.Loaded[0].Changed != 1 || a.Loaded[0].Error != "" || a.Loaded[1].Error == "" {
		t.Errorf("Ask() = %+v, want a change and an error", a.Loaded)
	}
	a, err = advisories.Ask(t.Context(), dir, advisories.Request{Import: []string{"ftp://x"}}, nil)
	if err != nil || !strings.Contains(a.Error, "feeds are at https") {
		t.Errorf("Ask() for nonsense = %+v, %v; want an error in the answer", a, err)
	}
}
