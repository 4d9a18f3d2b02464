//go:build corpus && unix

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/storage/meta"
	"github.com/wreg-project/wreg/storage/meta/sqlite"
	"github.com/wreg-project/wreg/test/corpus"
)

// A package that is pushed before an import has the findings of one that is pushed
// after it: those of hcl2json, of which 97 advisories speak.
func TestPushAndImportEndAlikeInEitherOrder(t *testing.T) {
	dir, err := corpus.Dir()
	if err != nil {
		t.Fatal(err)
	}
	module, err := os.ReadFile(filepath.Join(dir, "hcl2json.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	feed, err := filepath.Abs("../../test/data/osv/go.zip")
	if err != nil {
		t.Fatal(err)
	}
	d := digest.FromBytes(module)
	var all [2][]meta.Finding
	for order := range all {
		data := t.TempDir()
		p := start(t, data)
		steps := []func(){
			func() {
				p.push("demo/hcl2json", "1.0.0", string(module))
				settle(t, p)
			},
			func() {
				if stdout, stderr, code := wreg(t, "advisories", "import", "--data", data, feed); code != 0 {
					t.Fatalf("wreg advisories import ended with %d\n%s%s", code, stdout, stderr)
				}
				settle(t, p)
			},
		}
		steps[order]()
		steps[1-order]()
		p.stop()
		db, err := sqlite.Open(t.Context(), filepath.Join(data, "wreg.db"), sqlite.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if all[order], err = db.FileFindings(t.Context(), d); err != nil {
			t.Fatal(err)
		}
		matched, err := db.MatchedRevision(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if revision, err := db.AdvisoryRevision(t.Context()); err != nil || revision != matched {
			t.Errorf("AdvisoryRevision() = %d, %v; the matched one is %d", revision, err, matched)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	count := map[string]int{}
	for _, f := range all[0] {
		count["all"]++
		count[fmt.Sprintf("reach %d, ruled out %t", f.Reach, f.RuledOut)]++
	}
	t.Logf("findings: %v", count)
	if len(all[0]) < 90 {
		t.Errorf("%d findings of a package that was pushed before the import, want some 97", len(all[0]))
	}
	if diff := cmp.Diff(all[0], all[1], cmpopts.IgnoreFields(meta.Finding{}, "FirstSeen")); diff != "" {
		t.Errorf("findings (-push first +import first):\n%s", diff)
	}
}

// settle waits until a server has no jobs and everything was compared with all
// advisories.
func settle(t *testing.T, p *process) {
	t.Helper()
	limit, tick := time.After(2*patience), time.NewTicker(50*time.Millisecond)
	defer tick.Stop()
	for {
		metrics := p.want(200, "GET", "/metrics", nil).body
		if idle(metrics) {
			return
		}
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("jobs still run:\n%s", metrics)
		}
	}
}

// idle reports whether no job waits or runs, by the metrics of a server.
func idle(metrics string) bool {
	busy := regexp.MustCompile(`(?m)^(wreg_jobs\{kind="(ingest|scan|index|rescan|verdicts)",state="(waiting|leased)"\}|wreg_jobs_running|` +
		`wreg_advisory_changes_waiting) [1-9]`)
	return !busy.MatchString(metrics)
}
