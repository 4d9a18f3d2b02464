//go:build corpus

package corpus_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"

	"github.com/google/go-cmp/cmp"

	"github.com/wreg-project/wreg/inspect"
	"github.com/wreg-project/wreg/inspect/origin"
	"github.com/wreg-project/wreg/test/corpus"
)

// summary is what a golden file keeps of a report: enough to see that one part
// of the inspector reads a file otherwise than before, and short enough to be
// read by a person.
type summary struct {
	Kind         inspect.Kind     `json:"kind"`
	WASI         inspect.WASI     `json:"wasi"`
	Languages    []string         `json:"languages"`
	Toolchains   []string         `json:"toolchains"`
	Hosts        []string         `json:"hosts"`
	Conflicts    int              `json:"conflicts,omitempty"`
	Requires     []string         `json:"requires"` // features
	Imports      map[string]int   `json:"imports"`  // by kind
	Exports      map[string]int   `json:"exports"`
	Modules      int              `json:"modules"`
	Functions    int              `json:"functions"` // defined, of all modules
	Dead         int              `json:"deadFunctions"`
	Capabilities []string         `json:"capabilities"`
	Unresolved   int              `json:"unresolvedImports"`
	Sections     map[string]int64 `json:"sections"` // bytes by name
	Packages     []string         `json:"packages"` // the largest
	Signals      []string         `json:"signals"`
	Strings      int              `json:"strings"`
	WIT          []string         `json:"wit,omitempty"` // interfaces and worlds
	Problems     int              `json:"problems"`
}

func summarise(rep *inspect.Report) summary {
	s := summary{
		Kind: rep.Kind, WASI: rep.WASI, Requires: rep.Requires, Conflicts: len(rep.Origin.Conflicts),
		Languages: names(rep.Origin.Languages), Toolchains: names(rep.Origin.Toolchains), Hosts: names(rep.Origin.Hosts),
		Imports: map[string]int{}, Exports: map[string]int{}, Sections: map[string]int64{},
		Unresolved: len(rep.Capabilities.Unresolved), Problems: len(rep.Problems),
	}
	for _, im := range rep.Imports {
		s.Imports[im.Kind]++
	}
	for _, ex := range rep.Exports {
		s.Exports[ex.Kind]++
	}
	for _, c := range rep.Sections {
		s.Sections[c.Name] += c.Size
	}
	for _, c := range rep.Capabilities.Capabilities {
		text := fmt.Sprintf("%s, %v, %v", c.ID, c.Level, c.Origin)
		if c.Possible {
			text += ", possible"
		}
		if len(c.Access) > 0 {
			text += ": " + strings.Join(c.Access, " ")
		}
		s.Capabilities = append(s.Capabilities, text)
	}
	for _, g := range rep.Signals.Signals {
		s.Signals = append(s.Signals, fmt.Sprintf("%s %s ×%d", g.Severity, g.ID, g.Count))
	}
	s.Strings = rep.Strings.Total
	if rep.WIT != nil {
		s.WIT = slices.Clone(rep.WIT.Interfaces)
		for _, w := range rep.WIT.Worlds {
			s.WIT = append(s.WIT, fmt.Sprintf("world %s", w.Name))
		}
	}
	s.modules(rep)
	return s
}

func (s *summary) modules(rep *inspect.Report) {
	packages := map[string]int64{}
	for _, m := range rep.CoreModules() {
		s.Modules++
		s.Functions += m.Functions
		s.Dead += m.Code.Graph.Dead
		for _, p := range m.Code.Sizes.Packages {
			packages[p.Name] += p.Bytes
		}
	}
	type sized struct {
		name  string
		bytes int64
	}
	var list []sized
	for name, bytes := range packages {
		list = append(list, sized{name, bytes})
	}
	slices.SortFunc(list, func(a, b sized) int {
		if a.bytes != b.bytes {
			return int(min(1, max(-1, b.bytes-a.bytes)))
		}
		return strings.Compare(a.name, b.name)
	})
	for _, p := range list[:min(8, len(list))] {
		s.Packages = append(s.Packages, fmt.Sprintf("%s %d", p.name, p.bytes))
	}
}

func names(list []origin.Finding) []string {
	var names []string
	for _, f := range list {
		names = append(names, strings.TrimSpace(f.Name+" "+f.Version))
	}
	return names
}

// Every real binary gives a report, and that is what the golden file says.
// UPDATE=1 rewrites them; the difference is to be read.
func TestGolden(t *testing.T) {
	dir, entries, err := corpus.Fetched()
	if err != nil {
		t.Fatal(err)
	}
	v := &verdicts{}
	for _, e := range entries {
		t.Run(e.File, func(t *testing.T) {
			rep := inspectFile(t, filepath.Join(dir, e.File))
			v.judge(e, rep)
			golden(t, strings.TrimSuffix(e.File, ".wasm")+".json", summarise(rep))
		})
	}
	v.report(t)
}

func inspectFile(t *testing.T, path string) *inspect.Report {
	t.Helper()
	bin, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	rep, err := inspect.Inspect(bin, inspect.Options{})
	if err != nil {
		t.Fatalf("Inspect(%s) = %v", path, err)
	}
	return rep
}

func golden(t *testing.T, name string, got summary) {
	t.Helper()
	text, err := json.MarshalIndent(got, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	text = append(text, '\n')
	path := filepath.Join("testdata", name)
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(path, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(text)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

// A golden file of a binary that is not listed any more would never be read.
func TestNoGoldenIsLeftOver(t *testing.T) {
	entries, err := corpus.List()
	if err != nil {
		t.Fatal(err)
	}
	var want, got []string
	for _, e := range entries {
		if e.Packaged() {
			want = append(want, strings.TrimSuffix(e.File, ".wasm")+".json")
		}
	}
	files, err := filepath.Glob(filepath.Join("testdata", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		got = append(got, filepath.Base(f))
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("golden files (-want +got):\n%s", diff)
	}
}

// verdicts compares reports with the evidence column of the list, which was
// gathered by other means.
type verdicts struct {
	files, languages, toolchains int
	wrong                        bytes.Buffer
}

// enough is the share of the files that has to be right.
const enough = 0.95

func (v *verdicts) judge(e corpus.Entry, rep *inspect.Report) {
	v.files++
	truth := read(e.Evidence)
	var languages, tools []string
	for _, f := range rep.Origin.Languages {
		if f.Role == origin.RoleCompiled {
			languages = append(languages, f.Name)
		}
	}
	tools = names(rep.Origin.Toolchains)
	if truth.languagesAre(languages) {
		v.languages++
	} else {
		fmt.Fprintf(&v.wrong, "%s\tlanguage\t%s\t%s\t\n", e.File, strings.Join(languages, ", "), e.Evidence)
	}
	if missing := truth.toolsMissing(tools); len(missing) == 0 {
		v.toolchains++
	} else {
		fmt.Fprintf(&v.wrong, "%s\ttoolchain\twithout %s\t%s\t\n", e.File, strings.Join(missing, ", "), e.Evidence)
	}
}

func (v *verdicts) report(t *testing.T) {
	t.Helper()
	var table bytes.Buffer
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "right by the evidence of the list\tfiles\tof\tshare\t")
	for _, r := range []struct {
		what  string
		right int
	}{{"language", v.languages}, {"toolchain", v.toolchains}} {
		share := float64(r.right) / float64(v.files)
		fmt.Fprintf(w, "%s\t%d\t%d\t%.1f %%\t\n", r.what, r.right, v.files, 100*share)
		if !(share >= enough) { // of no files, too
			t.Errorf("%s is right for %d of %d files, want at least %.0f %%", r.what, r.right, v.files, 100*enough)
		}
	}
	if v.wrong.Len() > 0 {
		fmt.Fprint(w, "\nfile\twhat\tthe report\tthe list\t\n", v.wrong.String())
	}
	w.Flush()
	t.Log("\n" + table.String())
}

// A truth is what the evidence of the list says.
type truth struct {
	tools []string // each is in the report by its name and, where known, the beginning of its version

	// Each set has a language of the report, and the first language of the
	// report is in one of them.
	languages [][]string
}

// read takes the words of the evidence column apart: "rustc 1.98.1 (48a229cea
// 2026-09-01); walrus 0.26.1", or a sentence that begins with the toolchain.
func read(evidence string) truth {
	var t truth
	for item := range strings.SplitSeq(evidence, "; ") {
		name, version, _ := strings.Cut(item, " ")
		version, _, _ = strings.Cut(version, " ")
		switch {
		case strings.HasPrefix(item, "Go cmd/compile "):
			t.add("Go "+strings.TrimPrefix(item, "Go "), "Go")
		case strings.HasPrefix(item, "Emscripten"):
			t.add("Emscripten", "C", "C++")
		case strings.HasPrefix(item, "AssemblyScript"):
			t.add("AssemblyScript", "AssemblyScript")
		case strings.HasPrefix(item, ".NET webcil"):
			t.add(".NET webcil", "C#")
		case strings.HasPrefix(item, "GHC"):
			t.add("GHC", "Haskell")
		case strings.HasPrefix(item, "Rust (panic paths"):
			t.add("rustc", "Rust")
		case name == "TinyGo":
			t.add(name+" "+version, "Go")
		case name == "rustc":
			t.add(name+" "+version, "Rust")
		case name == "clang":
			t.add(name+" "+version, "C", "C++", "Swift", "Zig")
		default:
			t.tools = append(t.tools, name+" "+version)
		}
	}
	return t
}

func (t *truth) add(tool string, languages ...string) {
	t.tools = append(t.tools, tool)
	t.languages = append(t.languages, languages)
}

func (t *truth) languagesAre(got []string) bool {
	first := len(t.languages) == 0
	for _, set := range t.languages {
		if !slices.ContainsFunc(got, func(l string) bool { return slices.Contains(set, l) }) {
			return false
		}
		first = first || slices.Contains(set, got[0])
	}
	return first && len(got) > 0
}

func (t *truth) toolsMissing(got []string) []string {
	var missing []string
	for _, want := range t.tools {
		if !slices.ContainsFunc(got, func(g string) bool { return strings.HasPrefix(g, want) }) {
			missing = append(missing, want)
		}
	}
	return missing
}

func TestEvidenceIsRead(t *testing.T) {
	tests := []struct {
		name, evidence string
		want           truth
	}{
		{
			"tools with versions", "clang 18.1.2 (https://github.com/llvm/llvm-project); rustc 1.92.0 (ded5c06cf 2025-12-08); walrus 0.23.3",
			truth{
				tools:     []string{"clang 18.1.2", "rustc 1.92.0", "walrus 0.23.3"},
				languages: [][]string{{"C", "C++", "Swift", "Zig"}, {"Rust"}},
			},
		},
		{"a sentence", "Emscripten (dylink/GOT imports), no producers", truth{[]string{"Emscripten"}, [][]string{{"C", "C++"}}}},
		{"two words", "Go cmd/compile go1.26.5", truth{[]string{"Go cmd/compile go1.26.5"}, [][]string{{"Go"}}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, read(tt.evidence), cmp.AllowUnexported(truth{})); diff != "" {
				t.Errorf("read(%q) (-want +got):\n%s", tt.evidence, diff)
			}
		})
	}
}
