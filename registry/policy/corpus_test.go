//go:build corpus

package policy

import (
	"encoding/json"
	"path/filepath"
	"testing"

	"github.com/wreg-project/wreg/test/corpus"
)

// The real files of the corpus have facts of a size that a database takes, and
// pass the policies that are generated from them. One has more exports than are
// kept, which pins nothing and breaks whoever asks.
func TestCorpus(t *testing.T) {
	dir, entries, err := corpus.Fetched()
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		t.Run(e.File, func(t *testing.T) {
			r, c := inspected(t, filepath.Join(dir, e.File))
			text, err := json.Marshal(r)
			if err != nil || len(text) > 2<<20 {
				t.Errorf("the facts have %d bytes, %v, want at most 2 MiB", len(text), err)
			}
			ours, err := Generate("pin", r, c)
			if cut := len(r.Truncated) > 0; cut != (e.File == "duckdb-eh.wasm") || cut != (err != nil) {
				t.Fatalf("cut are %q, and Generate = %v", r.Truncated, err)
			} else if cut {
				if got := judge(t, []byte("name: pin\nrules: [{name: a, deny: exports('x')}]"), r, c); got.Outcome != Denied {
					t.Errorf("a rule over a list that is cut = %+v, want deny", got)
				}
				return
			}
			theirs, err := GenerateCheckfile(r)
			if err != nil {
				t.Fatal(err)
			}
			for _, source := range [][]byte{ours, theirs} {
				if got := judge(t, source, r, c); got.Outcome != Allowed {
					t.Errorf("a generated policy says of what it comes from: %s %+v", got.Outcome, got.Violations)
				}
			}
			t.Logf("%d bytes of facts, %d imports, %d exports, complexity %s", len(text), r.ImportCount, r.ExportCount, Risk(r.MaxComplexity))
		})
	}
}
