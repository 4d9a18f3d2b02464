//go:build corpus

package sbom

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wreg-project/wreg/sbom/evidence"
	"github.com/wreg-project/wreg/test/corpus"
)

// A truth is what a binary contains, by identity, with versions.
type truth struct {
	all, runtime map[identity][]string
}

func readTruth(t *testing.T, path string) truth {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	out := truth{map[identity][]string{}, map[identity][]string{}}
	for line := range strings.Lines(string(text)) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(f) != 4 {
			t.Fatalf("%s: line %q has %d columns, want 4", path, line, len(f))
		}
		id := identify(&evidence.Component{Ecosystem: evidence.Ecosystem(f[0]), Name: f[1]})
		out.all[id] = append(out.all[id], f[2])
		if f[3] == "runtime" {
			out.runtime[id] = append(out.runtime[id], f[2])
		}
	}
	return out
}

// A score counts names and versions against a truth.
type score struct {
	proven, right       int // proven components with a version, and those the truth has
	inferred, rightName int
	runtime             int      // in the truth
	byProof, byAll      int      // of those, found proven, and found proven or inferred
	wrong               []string // package URLs that the truth has not
	missing             []string // names that are part of the program and were not found
}

func (tr truth) score(d *Document, e evidence.Ecosystem) score {
	var s score
	found := map[identity]evidence.Class{}
	for _, c := range d.All() {
		if c.Ecosystem != e || c.Main || c.Part != "" || c.Class == evidence.Named {
			continue
		}
		id := identify(c)
		versions, known := tr.all[id]
		switch {
		case c.Class == evidence.Inferred:
			s.inferred++
			if known {
				s.rightName++
			}
		case slices.Contains(versions, c.Version), slices.Contains(versions, "*"):
			s.proven, s.right = s.proven+1, s.right+1
		default:
			s.proven++
			s.wrong = append(s.wrong, c.PURL())
		}
		if found[id] != evidence.Proven {
			found[id] = c.Class
		}
	}
	for id := range tr.runtime {
		s.runtime++
		if found[id] != "" {
			s.byAll++
		} else {
			s.missing = append(s.missing, id.name)
		}
		if found[id] == evidence.Proven {
			s.byProof++
		}
	}
	slices.Sort(s.missing)
	return s
}

func ratio(a, b int) float64 {
	if b == 0 {
		return 1
	}
	return float64(a) / float64(b)
}

// The real binaries whose contents are known give these scores at least. Run with
// -v for the table.
func TestTruth(t *testing.T) {
	tests := []struct {
		name      string
		ecosystem evidence.Ecosystem
		partial   bool // the truth does not have all, so precision is not known
		proof     float64
		all       float64
		complete  bool
	}{
		{name: "esbuild", ecosystem: evidence.Go, proof: 1, all: 1, complete: true},
		{name: "hcl2json", ecosystem: evidence.Go, proof: 1, all: 1, complete: true},
		{name: "html-rewriter", ecosystem: evidence.Cargo, proof: 0.25, all: 0.4},
		{name: "parquet-0.7.2", ecosystem: evidence.Cargo, proof: 0.3, all: 0.5},
		{name: "sharp-libvips", ecosystem: evidence.Generic, proof: 0.2, all: 0.2},
		{name: "php-8.4", ecosystem: evidence.Generic, partial: true, proof: 1, all: 1},
		{name: "sqlite3", ecosystem: evidence.Generic, proof: 1, all: 1},
	}
	dir, _, err := corpus.Fetched()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%-15s %-8s %7s %9s %7s %9s %9s", "file", "", "proven", "precision", "recall", "precision", "recall")
	t.Logf("%-15s %-8s %7s %9s %7s %9s %9s", "", "", "", "proven", "proven", "inferred", "both")
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			file, err := os.ReadFile(filepath.Join(dir, tt.name+".wasm"))
			if err != nil {
				t.Fatal(err)
			}
			d := extract(t, file)
			s := readTruth(t, filepath.Join("testdata", "truth", tt.name+".tsv")).score(d, tt.ecosystem)
			proof, all := ratio(s.byProof, s.runtime), ratio(s.byAll, s.runtime)
			t.Logf("%-15s %-8s %7d %9.3f %7.3f %9.3f %9.3f", tt.name, tt.ecosystem, s.proven, ratio(s.right, s.proven), proof,
				ratio(s.rightName, s.inferred), all)
			if !tt.partial && ratio(s.right, s.proven) < 0.99 {
				t.Errorf("precision of proven components = %d of %d, want .99; the truth has not %v", s.right, s.proven, s.wrong)
			}
			if !tt.partial && ratio(s.rightName, s.inferred) < 0.97 {
				t.Errorf("precision of inferred names = %d of %d, want .97", s.rightName, s.inferred)
			}
			if proof < tt.proof || all < tt.all {
				t.Errorf("recall = %.3f proven, %.3f with inferred; want %.3f, %.3f", proof, all, tt.proof, tt.all)
			}
			whole := func(c Completeness) bool { return c.Ecosystem == tt.ecosystem && c.Complete }
			if got := slices.ContainsFunc(d.Root.Completeness, whole); got != tt.complete {
				t.Errorf("%s complete = %t, want %t", tt.ecosystem, got, tt.complete)
			}
		})
	}
}

// Every file of the corpus gives the same bytes twice, and all its evidence lies
// in the file.
func TestCorpusIsDeterministic(t *testing.T) {
	dir, entries, err := corpus.Fetched()
	if err != nil {
		t.Fatal(err)
	}
	var bytesRead int64
	start := time.Now()
	for _, e := range entries {
		file, err := os.ReadFile(filepath.Join(dir, e.File))
		if err != nil {
			t.Fatal(err)
		}
		var last []byte
		for range 2 {
			d := extract(t, file)
			text, err := json.Marshal(d)
			if err != nil {
				t.Fatal(err)
			}
			if last != nil && !bytes.Equal(last, text) {
				t.Errorf("documents of %s differ between two runs", e.File)
			}
			last = text
			bytesRead += int64(len(file))
			for u, c := range d.All() {
				for _, ev := range c.Evidence {
					if ev.Offset >= int64(len(file)) || ev.Offset < 0 && ev.Method != evidence.Dependency {
						t.Errorf("%s, unit %q: evidence of %s is at %d", e.File, u.Path, c.Name, ev.Offset)
					}
				}
			}
		}
	}
	t.Logf("%d files, %.0f MB/s", len(entries), float64(bytesRead)/1e6/time.Since(start).Seconds())
}
