package search

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/wreg-project/wreg/artifact"
	"github.com/wreg-project/wreg/inspect"
	"github.com/wreg-project/wreg/inspect/code"
	"github.com/wreg-project/wreg/sbom/evidence"
	"github.com/wreg-project/wreg/sbom/vuln"
	"github.com/wreg-project/wreg/sbom/vuln/reach"
	"github.com/wreg-project/wreg/storage/meta"
)

func listing(t *testing.T, d meta.Document) Listing {
	t.Helper()
	var l Listing
	if err := json.Unmarshal(d.Body, &l); err != nil {
		t.Fatal(err)
	}
	return l
}

func TestDescribeListsAPackage(t *testing.T) {
	d := Describe(packages()[0])
	want := Listing{
		Name: "team:http-proxy", Version: "1.2.0", Tags: []string{"1.2.0", "v1.0.0"}, Latest: true, Verdict: "warn",
		Description: "Forwards requests between servers", License: "Apache-2.0 WITH LLVM-exception OR MIT", Kind: "component", WASI: "wasip2",
		Target: "wasi:http/proxy@0.2.3", Language: "Rust", Size: 3000, Files: 1, Capabilities: []string{"net-outbound", "environment"},
		Hidden: []string{"environment"}, Signals: []string{"entropy"},
		Materials: &ListedMaterials{Components: 4, Published: true, Vulnerabilities: VulnerabilityCounts{High: 1, Reachable: 1}},
	}
	if diff := cmp.Diff(want, listing(t, d)); diff != "" {
		t.Errorf("Describe(): want -, got +\n%s", diff)
	}
	if d.Size != 3000 || d.Pulls != 5 || !d.Updated.Equal(day(3)) {
		t.Errorf("Describe() = size %d, pulls %d, updated %v", d.Size, d.Pulls, d.Updated)
	}
}

// What Update makes of a document is what Describe would have made of the new
// state.
func TestUpdateIsDescribeWithAnotherState(t *testing.T) {
	states := []State{
		{},
		{Tags: []Tag{{Name: "2.0.0-rc.1"}, {Name: "dev", Notice: meta.NoticeDeprecated}}, Updated: day(9), Verdict: meta.VerdictDeny},
		{Tags: []Tag{{Name: "1.0.0_linux"}}, Latest: true, Pulls: 3, Verdict: meta.VerdictAllow},
	}
	for _, s := range packages() {
		before := Describe(s)
		for _, state := range states {
			s.State = state
			got, err := Update(before, state)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(Describe(s), got); diff != "" {
				t.Errorf("Update(%s, %+v): want -, got +\n%s", s.Repo, state, diff)
			}
		}
	}
	if _, err := Update(meta.Document{Body: []byte("[]")}, State{}); err == nil {
		t.Error("Update() of a body that is no listing succeeded")
	}
}

// What UpdateMaterials makes of a document is what Describe would have made of the
// new materials, whatever was there before.
func TestUpdateMaterialsIsDescribeWithOtherMaterials(t *testing.T) {
	var many Materials
	many.Derived = true
	for i := range maxDependencies {
		many.Components = append(many.Components, Component{Ecosystem: evidence.NPM, Name: fmt.Sprint("c", i), Version: "1.0.0"})
	}
	for _, s := range packages() {
		for _, first := range []Materials{{}, many, s.Materials} {
			s.Materials = first
			before := Describe(s)
			for _, other := range append(packages(), Source{Materials: many}) {
				s.Materials = other.Materials
				got, err := UpdateMaterials(before, other.Materials)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(Describe(s), got); diff != "" {
					t.Errorf("UpdateMaterials(%s, those of %s): want -, got +\n%s", s.Repo, other.Repo, diff)
				}
			}
		}
	}
	if _, err := UpdateMaterials(meta.Document{Body: []byte("[]")}, Materials{}); err == nil {
		t.Error("UpdateMaterials() of a body that is no listing succeeded")
	}
}

// A Go program with a thousand modules is indexed whole, and what does not fit is
// counted.
func TestMaterialsHaveRoomForLargePrograms(t *testing.T) {
	modules := func(n int) Materials {
		m := Materials{Derived: true, Complete: true}
		for i := range n {
			m.Components = append(m.Components, Component{Ecosystem: evidence.Go, Name: fmt.Sprint("example.com/m", i), Version: "v1.2.3"})
		}
		return m
	}
	tests := []struct {
		name    string
		modules int
		whole   bool
	}{{"a thousand modules", 1000, true}, {"two thousand", 2000, false}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := Describe(Source{Repo: "a", Digest: sum("a"), Materials: modules(tt.modules)})
			m := listing(t, d).Materials
			if m == nil || m.Components != tt.modules || m.Truncated == tt.whole || slices.Contains(d.Terms, "is:truncated") == tt.whole {
				t.Errorf("Describe() of %d modules lists %+v with %d terms, want all of them: %t", tt.modules, m, len(d.Terms), tt.whole)
			}
		})
	}
}

// Whatever is in a package, its document fits the bounds of the index.
func TestDescribeIsBounded(t *testing.T) {
	rep := &inspect.Report{Kind: inspect.KindModule}
	for i := range 5_000 {
		long := strings.Repeat("é", i%400)
		rep.Imports = append(rep.Imports, inspect.Import{Module: fmt.Sprintf("module%d%s", i, long), Name: "\x00\x07 a b" + long})
		rep.Exports = append(rep.Exports, inspect.Export{Name: fmt.Sprint(strings.Repeat("a:", i%50), i)})
		rep.Sections = append(rep.Sections, inspect.Section{Name: fmt.Sprint("s", i), Custom: true})
	}
	var words strings.Builder
	for i := range 30_000 {
		fmt.Fprintf(&words, "word%d ", i)
	}
	s := Source{Repo: "a/" + strings.Repeat("b/", 120) + "c", Digest: sum("x"), Annotations: map[string]string{
		artifact.AnnotationDescription: words.String(), artifact.AnnotationTitle: "\xff" + strings.Repeat("t", 5000),
		artifact.AnnotationLicenses: words.String(), artifact.AnnotationAuthors: words.String(),
	}}
	for i := range 1000 {
		s.Files = append(s.Files, File{Digest: sum(fmt.Sprint(i)), Size: 1, Report: rep})
		s.Tags = append(s.Tags, Tag{Name: fmt.Sprintf("%d.0.0", i)})
		if i == 3 {
			rep = &inspect.Report{}
		}
	}
	s.Derived, s.Published = true, true
	for i := range 20_000 {
		s.Components = append(s.Components, Component{
			Ecosystem: evidence.Cargo, Name: fmt.Sprint("\x00\u202e c", i, strings.Repeat("n", i%600)), Version: strings.Repeat("9", i%300),
			Licenses: []string{fmt.Sprint("LicenseRef-", i), strings.Repeat("(", 5000)},
		})
		s.Findings = append(s.Findings, Finding{
			Names: []string{fmt.Sprint("X-", i), strings.Repeat("é", i%500)}, Rating: vuln.Rating(fmt.Sprint("r", i)), Reach: reach.Level(i),
		})
	}
	d := Describe(s)
	if len(d.Terms) > meta.MaxTerms {
		t.Errorf("Describe() gives %d terms, want at most %d", len(d.Terms), meta.MaxTerms)
	}
	for _, term := range d.Terms {
		if term == "" || len(term) > meta.MaxTerm || !utf8.ValidString(term) || strings.IndexByte(term, 0) >= 0 {
			t.Errorf("Describe() gives the term %q", term)
		}
	}
	if !slices.Contains(d.Terms, "is:truncated") {
		t.Error("Describe() does not say that something is left out")
	}
	const most = 8 << 10
	if len(d.Body) > most {
		t.Errorf("Describe() gives a body of %d bytes, want at most %d", len(d.Body), most)
	}
	db := open(t)
	index(t, db, d)
}

func TestDescribeRealBinaries(t *testing.T) {
	file := filepath.Join("..", "..", "inspect", "testdata", "app.component.wasm")
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	rep, err := inspect.Inspect(b, inspect.Options{Functions: true})
	if err != nil {
		t.Fatal(err)
	}
	d := Describe(Source{Repo: "a", Digest: sum("a"), Files: []File{{Digest: sum("b"), Size: rep.Size, Report: rep}}})
	for _, want := range []string{"kind:component", "exports:demo:app/greet", "interface:demo:app/greet@1.2.3", "feature:component-model"} {
		if !slices.Contains(d.Terms, want) {
			t.Errorf("Describe(%s) = %q, want %q in it", file, d.Terms, want)
		}
	}
}

func TestFunctionsTakesTheLeastHashesOfLongFunctions(t *testing.T) {
	table := &code.FunctionTable{}
	add := func(instructions uint32, hash uint64) {
		f := code.Function{Instructions: instructions}
		binary.BigEndian.PutUint64(f.Normal[:8], hash)
		table.Functions = append(table.Functions, f)
	}
	add(MinInstructions-1, 1)
	add(MinInstructions, 9)
	add(100, 3)
	add(100, 3)
	rep := &inspect.Report{Functions: []*code.FunctionTable{table, {}}}
	hashes, total := Functions(rep)
	if diff := cmp.Diff([]uint64{3, 9}, hashes); diff != "" || total != 3 {
		t.Errorf("Functions() counts %d, want 3; want -, got +\n%s", total, diff)
	}
	for i := range uint64(MaxFunctions) {
		add(100, 1_000_000-i)
	}
	hashes, total = Functions(rep)
	if len(hashes) != MaxFunctions || hashes[0] != 3 || hashes[2] != 1_000_001-MaxFunctions || total != MaxFunctions+3 {
		t.Errorf("Functions() = %d hashes from %d, %d of %d", len(hashes), hashes[0], hashes[2], total)
	}
}

// Every operator of the table is in its documentation, with its kind of value.
func TestOperatorsAreDocumented(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "spec", "search.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range operators {
		if !strings.Contains(string(page), "`"+o.name+":") {
			t.Errorf("docs/spec/search.md does not mention %s:", o.name)
		}
	}
}
