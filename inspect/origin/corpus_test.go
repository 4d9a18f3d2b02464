//go:build corpus

package origin

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wreg-project/wreg/test/corpus"
)

// The real files of the corpus that are here give what testdata/corpus.txt
// says; every file that is here must be in it.
func TestCorpus(t *testing.T) {
	want := expectations(t)
	if len(want) < 37 {
		t.Fatalf("testdata/corpus.txt has %d files, want at least 37", len(want))
	}
	dir, entries, err := corpus.Fetched()
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		name := e.File
		t.Run(name, func(t *testing.T) {
			bin, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			o := detectBytes(t, bin)
			got := [3]string{summary(o.Languages), summary(o.Toolchains), summary(o.Hosts)}
			if d := cmp.Diff(want[name], got); d != "" {
				t.Fatalf("%s (-want +got):\n%s", name, d)
			}
			if len(o.Conflicts) > 0 {
				t.Fatalf("conflicts of %s = %+v, want none", name, o.Conflicts)
			}
		})
	}
}

func summary(list []Finding) string { return strings.Join(titles(list), "; ") }

// expectations reads four tab-separated fields a line: file, languages,
// toolchains, hosts.
func expectations(t *testing.T) map[string][3]string {
	t.Helper()
	text, err := os.ReadFile("testdata/corpus.txt")
	if err != nil {
		t.Fatal(err)
	}
	m := map[string][3]string{}
	for i, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		f := strings.Split(line, "\t")
		if len(f) != 4 {
			t.Fatalf("testdata/corpus.txt:%d: %d fields, want 4", i+1, len(f))
		}
		m[f[0]] = [3]string(f[1:])
	}
	return m
}
