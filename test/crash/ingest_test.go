//go:build crash

package crash

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/wreg-project/wreg/inspect"
	"github.com/wreg-project/wreg/registry"
	"github.com/wreg-project/wreg/registry/ingest"
	"github.com/wreg-project/wreg/storage/meta"
	"github.com/wreg-project/wreg/storage/meta/postgres"
	"github.com/wreg-project/wreg/storage/meta/sqlite"
	"github.com/wreg-project/wreg/test/crash/load"
	"github.com/wreg-project/wreg/test/crash/server"
)

// idleLimit is how long a server may take to ingest what many lives before it
// have left, the leases of the last one included.
const idleLimit = 3 * time.Minute

// idle waits until the server has nothing left to ingest.
func idle(ctx context.Context, s *server.Server) error {
	ctx, cancel := context.WithTimeout(ctx, idleLimit)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		left, err := jobsLeft(ctx, s.Base)
		if err != nil || left == 0 {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("after %s there still are %d jobs", idleLimit, left)
		}
	}
}

// jobsLeft sums up the jobs that wait or are leased, as the metrics have them. A
// dead one is an error: nothing that these tests push may fail for good.
func jobsLeft(ctx context.Context, base string) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/metrics", http.NoBody)
	if err != nil {
		return 0, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("GET /metrics = %s", resp.Status)
	}
	left, known := 0, false
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		known = known || strings.Contains(lines.Text(), "wreg_jobs") // also without any
		sample, ok := strings.CutPrefix(lines.Text(), "wreg_jobs{")
		if !ok {
			continue
		}
		labels, value, _ := strings.Cut(sample, "} ")
		n, err := strconv.Atoi(value)
		if err != nil {
			return 0, fmt.Errorf("GET /metrics: %q: %w", lines.Text(), err)
		}
		if n > 0 && strings.Contains(labels, `state="dead"`) {
			return 0, fmt.Errorf("a job failed for good: %s", lines.Text())
		}
		left += n
	}
	if !known {
		return 0, errors.New("GET /metrics says nothing of jobs")
	}
	return left, nil
}

// wantIngested looks into the database of a server that was idle when it was
// stopped: every manifest is ingested, each package has one report and one
// document, and was announced once.
func (c *crasher) wantIngested(t *testing.T, round int) {
	t.Helper()
	db, err := c.open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	i := &ingestion{db: db}
	if i.announced, err = i.announcements(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, key := range c.ledger.Keys() {
		if allowed := c.ledger.Allowed(key); key.Kind == load.Manifest && len(allowed) == 1 && allowed[0] != load.Absent {
			if err := i.manifest(t.Context(), key.Repo, digest.Digest(key.Name)); err != nil {
				i.problem("%s: %v", key, err)
			}
		}
	}
	if err := i.whole(t.Context()); err != nil {
		i.problem("%v", err)
	}
	if i.packages == 0 {
		i.problem("there is no package at all")
	}
	for _, w := range i.wrong {
		t.Errorf("round %d: after the server was idle: %s", round, w)
	}
	c.packages = i.packages
}

func (c *crasher) open(ctx context.Context) (meta.DB, error) {
	if c.options.Database != "" {
		return postgres.Open(ctx, c.options.Database, postgres.Options{})
	}
	return sqlite.Open(ctx, filepath.Join(c.options.Data, "wreg.db"), sqlite.Options{})
}

// An ingestion is what a database says of what was ingested.
type ingestion struct {
	db        meta.DB
	announced map[meta.ManifestKey]bool
	packages  int // acknowledged images that refer to nothing
	wrong     []string
}

func (i *ingestion) problem(format string, args ...any) {
	if len(i.wrong) < 20 {
		i.wrong = append(i.wrong, fmt.Sprintf(format, args...))
	}
}

// manifest checks one that was acknowledged and not deleted.
func (i *ingestion) manifest(ctx context.Context, repo string, d digest.Digest) error {
	m, err := i.db.Manifest(ctx, repo, d)
	if err != nil {
		return err
	}
	var image v1.Manifest
	if err := json.Unmarshal(m.Content, &image); err != nil {
		return err
	}
	reports, err := i.db.Referrers(ctx, repo, d, inspect.MediaType, meta.Page{})
	if err != nil {
		return err
	}
	if want := len(image.Layers); len(reports) != min(want, 1) {
		i.problem("%s@%s with %d layers has %d reports, want %d", repo, d, want, len(reports), min(want, 1))
	}
	_, err = i.db.Document(ctx, repo, d)
	isPackage := len(image.Layers) > 0 && image.Subject == nil
	if isPackage {
		i.packages++
		if !i.announced[meta.ManifestKey{Repo: repo, Digest: d}] {
			i.problem("%s@%s was never announced as ingested", repo, d)
		}
		return err
	}
	if !errors.Is(err, meta.ErrNotFound) {
		return fmt.Errorf("its document: %w, want %w", err, meta.ErrNotFound)
	}
	return nil
}

// whole checks what is there for what should not be.
func (i *ingestion) whole(ctx context.Context) error {
	left, err := i.db.JobCounts(ctx)
	if err != nil {
		return err
	}
	if len(left) > 0 {
		i.problem("there are jobs: %v", left)
	}
	undone, err := i.db.Unindexed(ctx, ingest.Version, meta.ManifestKey{}, 10)
	if err != nil {
		return err
	}
	if len(undone) > 0 {
		i.problem("manifests are not ingested: %v", undone)
	}
	documents, err := i.db.AllDocuments(ctx)
	if err != nil {
		return err
	}
	for _, id := range documents.ToArray() {
		d, err := i.db.DocumentsByID(ctx, []uint32{id})
		if err != nil || len(d) != 1 {
			return fmt.Errorf("document %d: %d rows, %w", id, len(d), err)
		}
		if _, err := i.db.Manifest(ctx, d[0].Repo, d[0].Digest); err != nil {
			i.problem("document %d is of no manifest: %v", id, err)
		}
	}
	return nil
}

// announcements are the manifests that were announced as ingested, of those that
// were not deleted since. What was done before a crash is not done again behind
// it: none was announced twice.
func (i *ingestion) announcements(ctx context.Context) (map[meta.ManifestKey]bool, error) {
	seen := map[meta.ManifestKey]bool{}
	for after := int64(0); ; {
		events, err := i.db.EventsAfter(ctx, meta.Visibility{Everything: true}, after, 1000)
		if err != nil || len(events) == 0 {
			return seen, err
		}
		for _, e := range events {
			after = e.ID
			k := meta.ManifestKey{Repo: e.Repo, Digest: e.Digest}
			switch {
			case e.Kind == registry.EventIngested && seen[k]:
				i.problem("%v was announced twice", k)
			case e.Kind == registry.EventIngested:
				seen[k] = true
			case e.Kind == registry.EventDelete && e.Tag == "":
				delete(seen, k)
			}
		}
	}
}
