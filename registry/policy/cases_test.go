package policy

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const casesPolicy = `
rules:
  - {name: small, require: report.size < 100, message: "it has {{report.size}} bytes"}
  - {name: tagged, require: '"team" in pkg.annotations', mode: warn}
`

func TestCases(t *testing.T) {
	p, err := Parse([]byte(casesPolicy))
	if err != nil {
		t.Fatal(err)
	}
	cases, err := ParseCases([]byte(`
facts:
  pkg: {annotations: {team: a}, tags: [latest]}
  report: {size: 50}
cases:
  - name: passes
    outcome: allow
    violations: []
  - name: common facts and its own
    facts: {report: {size: 500}}
    outcome: deny
    violations: [small]
    messages: ["it has 500 bytes", "report.size: 500"]
  - name: another outcome
    facts: {report: {size: 500}}
    outcome: allow
  - name: another rule and message
    facts: {report: {size: 500}}
    outcome: deny
    violations: [tagged]
    messages: [it has 7 bytes]
`))
	if err != nil {
		t.Fatal(err)
	}
	f := cases[0].Facts
	if f.Package.Repository != "example/app" || f.Action != Push || !f.File.Wasm || !f.Report.Valid || f.Previous == nil ||
		f.Package.Tags[0] != "latest" {
		t.Errorf("facts of the first case = %+v, want those of a push of a valid module", f)
	}
	results, err := Test(p, cases)
	if err != nil {
		t.Fatal(err)
	}
	var got [][]string
	for _, r := range results {
		if r.Passed != (len(r.Faults) == 0) {
			t.Errorf("case %s passed %v with faults %q", r.Case, r.Passed, r.Faults)
		}
		got = append(got, r.Faults)
	}
	said := "it says: policy policy/small: it has 500 bytes (report.size: 500)"
	want := [][]string{
		nil, nil,
		{"the outcome is deny, and was to be allow", said},
		{`violated are ["small"], and were to be ["tagged"]`, `no message or fact says "it has 7 bytes"`, said},
	}
	if d := cmp.Diff(want, got); d != "" || results.Passed() {
		t.Errorf("Test passed %v, faults (-want +got):\n%s", results.Passed(), d)
	}
	if _, err := Test(&Policy{Rules: []Rule{{Name: "a", Require: "x"}}}, nil); err == nil {
		t.Error("Test of a policy that does not compile does not fail")
	}
}

func TestCasesErrors(t *testing.T) {
	tests := []struct{ name, source, want string }{
		{"no cases", "cases: []\n", "1:1: there are no cases"},
		{"an unknown key", "case: []\n", `1:1: unknown key "case" (did you mean cases?)`},
		{"no name", "cases:\n  - outcome: deny\n", "2:5: the case has no name"},
		{"no outcome", "cases:\n  - name: a\n", `2:5: the case "a" has no outcome`},
		{"an unknown outcome", "cases:\n  - {name: a, outcome: alow}\n", `2:24: unknown word "alow" (did you mean allow?)`},
		{
			"an unknown fact", "cases:\n  - {name: a, outcome: deny, facts: {report: {sise: 3}}}\n",
			`2:5: case "a": there is no fact called sise (did you mean size?)`,
		},
		{
			"a fact of another type", "cases:\n  - {name: a, outcome: deny, facts: {report: {size: big}}}\n",
			`2:5: case "a": fact report.size cannot be a string`,
		},
		{"facts that are a list", "cases:\n  - {name: a, outcome: deny, facts: [3]}\n", "2:37: facts are a mapping"},
		{
			"an alias", "facts: &a {pkg: {name: x}}\ncases:\n  - {name: a, outcome: deny, facts: *a}\n",
			"1:8: anchors and aliases are not supported",
		},
		{
			"too deep",
			"facts: " + strings.Repeat("{a: ", 30) + "1" + strings.Repeat("}", 30) + "\ncases: [{name: a, outcome: deny}]\n",
			"more than 16 levels",
		},
		{
			"much in common",
			"facts: {pkg: {tags: [" + strings.Repeat("a,", 5000) + "]}}\ncases:\n" + strings.Repeat("  - {name: a, outcome: deny}\n", 400),
			"the facts of all cases together are more than 200000",
		},
		{
			"a date", "cases:\n  - {name: a, outcome: deny, facts: {pkg: {name: 2026-01-01}}}\n",
			"2:50: 2026-01-01 is no fact to YAML (put it in quotes)",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ParseCases([]byte(tt.source))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("ParseCases(%q) = %v, want %s", tt.source, err, tt.want)
			}
		})
	}
}

// Test files never break anything.
func FuzzParseCases(f *testing.F) {
	for _, r := range Ready() {
		f.Add(readFile(f, "testdata/ready/"+r.Name+".yaml"))
	}
	p, err := Parse([]byte(casesPolicy))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, source []byte) {
		cases, err := ParseCases(source)
		if err != nil {
			checkPlaces(t, source, err)
			return
		}
		results, err := Test(p, cases)
		if err != nil || len(results) != len(cases) {
			t.Fatalf("Test of %d cases = %d results, %v", len(cases), len(results), err)
		}
	})
}
