package policy

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// sampleFacts are those of a module of middle size with everything known.
func sampleFacts() *Facts {
	f := &Facts{
		Package: Package{
			Repository: "prod/tools/app", Namespace: "prod/tools", Name: "app", Version: "1.2.3", Tags: []string{"1.2.3", "latest"},
			Digest:    "sha256:00",
			MediaType: "application/vnd.oci.image.manifest.v1+json", Annotations: map[string]string{"team": "a"}, Size: 3_000_000,
		},
		Principal: PrincipalFacts{Name: "ann"}, Action: Push,
		File: File{Path: "app.wasm", MediaType: "application/wasm", Size: 3_000_000, Wasm: true},
		Report: &Report{
			Kind: "module", Size: 3_000_000, Valid: true, WASI: "wasip1", Language: "Rust", Languages: []string{"Rust"},
			Hosts:    []string{"WASI preview 1"},
			Features: []string{"bulk-memory", "sign-extension"}, ImportModules: []string{"env", "wasi_snapshot_preview1"},
			Memories: []Memory{{Min: 1 << 20, Max: 1 << 30, Bounded: true}, {Min: 1 << 20, Max: 1<<63 - 1}},
			Signals:  []Signal{{ID: "secret-jwt", Severity: "medium", Score: 50, Count: 1}, {ID: "names", Severity: "info"}}, RiskScore: 50,
			Functions: 2000, Instructions: 300_000, MaxComplexity: 240, CustomSections: []string{"name", "producers"},
		},
		Capabilities: &Capabilities{
			Declared: []string{"stdio", "clock", "net-outbound", "random"}, Reachable: []string{"stdio", "clock", "net-outbound"},
			Program: []string{"stdio", "net-outbound"}, Unknown: []string{"env.launch"},
		},
		Previous: &Previous{
			Exists: true, Version: "1.2.2", Report: Report{Valid: true, Size: 2_900_000},
			Capabilities: Capabilities{Declared: []string{"stdio", "clock"}, Reachable: []string{"stdio", "clock"}},
		},
		SBOM: &SBOM{
			Components: []Component{
				{PURL: "pkg:cargo/log@0.4.20", Ecosystem: "cargo", Name: "log", Version: "0.4.20", Class: "proven", Licenses: []string{"MIT"}},
				{PURL: "pkg:cargo/serde", Ecosystem: "cargo", Name: "serde", Class: "inferred", Licenses: []string{}},
				{PURL: "pkg:cargo/time@0.1.45", Ecosystem: "cargo", Name: "time", Version: "0.1.45", Class: "proven", Licenses: []string{"GPL-3.0-only"}},
			},
			Publisher: true, NotFound: []string{}, NotDeclared: []string{"pkg:cargo/time@0.1.45"}, OtherVersion: []string{},
		},
		Licenses: &Licenses{
			Declared: "MIT", Expressions: []string{"GPL-3.0-only", "MIT"}, IDs: []string{"GPL-3.0-only", "MIT"},
			Families: []string{"permissive", "strong-copyleft"}, Missing: []string{}, Other: []string{},
		},
		Vulnerabilities: []Vulnerability{
			{
				ID: "RUSTSEC-2020-0071", Aliases: []string{"CVE-2020-26235"}, PURL: "pkg:cargo/time@0.1.45", Name: "time", Version: "0.1.45",
				Severity: 6.2, Rating: "medium", Reach: "unknown", Fixed: []string{"0.2.23"}, EPSS: 0.01,
			},
			{
				ID: "RUSTSEC-2026-0001", Aliases: []string{"CVE-2026-1"}, PURL: "pkg:cargo/log@0.4.20", Name: "log", Version: "0.4.20",
				Severity: 9.8, Rating: "critical", Reach: "reachable", Reachable: true, Fixed: []string{}, KEV: true,
				VEX: "not_affected", Justification: "inline_mitigations_already_exist",
			},
		},
	}
	for i := range 60 {
		f.Report.Imports = append(f.Report.Imports, Import{
			Module: "wasi_snapshot_preview1", Name: fmt.Sprintf("fd_%d", i), Kind: "func", Type: "(func (param i32 i32) (result i32))",
		})
	}
	f.Report.Imports = append(f.Report.Imports, Import{Module: "env", Name: "launch", Kind: "func", Type: "(func)"})
	for i := range 40 {
		f.Report.Exports = append(f.Report.Exports, Export{Name: fmt.Sprintf("run_%d", i), Kind: "func", Type: "(func)"})
	}
	f.Report.ImportCount, f.Report.ExportCount = len(f.Report.Imports), len(f.Report.Exports)
	return f
}

// compiled makes a set of one rule.
func oneRule(t testing.TB, r Rule) *Set {
	t.Helper()
	if r.Name == "" {
		r.Name = "r"
	}
	if r.Mode == "" {
		r.Mode = Enforce
	}
	s, err := Compile(&Policy{Name: "p", Lists: map[string][]string{"few": {"stdio", "clock"}}, Rules: []Rule{r}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// checkResult holds what is true of every result.
func checkResult(t *testing.T, r Result) {
	t.Helper()
	if len(r.Violations) > MaxViolations {
		t.Fatalf("%d violations, want at most %d", len(r.Violations), MaxViolations)
	}
	if denied := len(r.Denials()) > 0; denied != (r.Outcome == Denied) {
		t.Fatalf("outcome %s with %d denials", r.Outcome, len(r.Denials()))
	}
	for _, v := range r.Violations {
		if v.Message == "" || len(v.Message) > MaxMessage || len(v.Fact) > MaxFact || strings.ContainsAny(v.Message+v.Fact, "\x1b\n\r") {
			t.Fatalf("violation %+v: want a message and fact that are short and printable", v)
		}
	}
}

// A violation names the fact that broke the rule, and its value.
func TestViolationsNameTheFact(t *testing.T) {
	tests := []struct{ name, require, deny, fact string }{
		{"a number", "report.size < 1000", "", "report.size: 3000000"},
		{"the operand of && that is false", "report.valid && report.size < 1000", "", "report.size: 3000000"},
		{"both operands of ||", `report.kind == "component" || report.size < 1000`, "", `report.kind: "module"; report.size: 3000000`},
		{
			"both operands of && that is denied", "", `report.kind == "module" && report.size > 1000`,
			`report.kind: "module"; report.size: 3000000`,
		},
		{"below a negation", `!(report.wasi == "wasip1")`, "", `report.wasi: "wasip1"`},
		{"a flag", "", "report.valid", "report.valid: true"},
		{"two facts", "report.size <= previous.report.size", "", "report.size: 3000000; previous.report.size: 2900000"},
		{
			"the branch that was taken", `report.kind == "module" ? report.size < 10 : report.valid`, "",
			`report.kind: "module"; report.size: 3000000`,
		},
		{
			"the entry of a list that breaks all", "report.memories.all(m, m.bounded)", "",
			`report.memories has {"min":1048576,"max":9223372036854775807,"bounded":false,"shared":false,"memory64":false}`,
		},
		{
			"the entry that breaks all by the second operand",
			`report.imports.all(i, i.module == "env" || i.name.startsWith("fd_") && i.name != "fd_7")`, "",
			`report.imports has "wasi_snapshot_preview1" "fd_7" (func (param i32 i32) (result i32))`,
		},
		{"the text that breaks all", `report.importModules.all(m, m != "env")`, "", `report.importModules has "env"`},
		{"the entry that exists", "", `report.imports.exists(i, i.module == "env")`, `report.imports has "env" "launch" (func)`},
		{"the list where nothing exists", `report.signals.exists(s, s.id == "x")`, "", "report.signals: ["},
		{
			"what lists have in common", "", `capabilities.reachable.overlaps(["net-outbound", "net-inbound"])`,
			`capabilities.reachable has ["net-outbound"]`,
		},
		{"what is too much", "capabilities.reachable.within(lists.few)", "", `capabilities.reachable has ["net-outbound"]`},
		{"what is missing", "lists.few.within(capabilities.program)", "", `capabilities.program lacks ["clock"]`},
		{"what is new", "capabilities.reachable.within(previous.capabilities.reachable)", "", `capabilities.reachable has ["net-outbound"]`},
		{"what is left over", `report.importModules.except(["wasi_*"]) == []`, "", `report.importModules has ["env"]`},
		{"what a filter leaves over", `report.signals.filter(s, s.score > 10).size() == 0`, "", `report.signals has [`},
		{
			"the component that exists", "", `sbom.components.exists(c, c.name == "time" && c.class == "proven")`,
			`sbom.components has "pkg:cargo/time@0.1.45" proven`,
		},
		{
			"the vulnerability that statements leave", "", `vulnerabilities.vexed().exists(v, v.severity > 5.0)`,
			`vulnerabilities has "RUSTSEC-2020-0071" "pkg:cargo/time@0.1.45" medium, unknown`,
		},
		{
			"the vulnerability that exists", "", `vulnerabilities.exists(v, v.atLeast("high"))`,
			`vulnerabilities has "RUSTSEC-2026-0001" "pkg:cargo/log@0.4.20" critical, reachable`,
		},
		{"the licences that are too much", `licenses.beyond(["MIT"]) == []`, "", `licenses has ["GPL-3.0-only"]`},
		{
			"the licences as a whole", `licenses.satisfies(["MIT"])`, "",
			`licenses has ["GPL-3.0-only"]`,
		},
		{"the import that a pattern names", "", `imports("env.*")`, `report.imports has "env" "launch" (func)`},
		{"an entry of a map", `pkg.annotations["team"] == "b"`, "", `pkg.annotations: {"team": "a"}`},
		{"a version", `semver.compare(pkg.version, "2.0.0") >= 0`, "", `pkg.version: "1.2.3"`},
		{"nothing if no fact is in it", "1 > 2", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := oneRule(t, Rule{Require: tt.require, Deny: tt.deny}).Eval(t.Context(), sampleFacts())
			checkResult(t, r)
			if len(r.Violations) != 1 || r.Outcome != Denied {
				t.Fatalf("Eval = %+v, want one violation", r)
			}
			v := r.Violations[0]
			if v.Error || !strings.HasPrefix(v.Fact, tt.fact) || tt.fact == "" && v.Fact != "" {
				t.Errorf("fact of %s%s = %s (%s), want %s", tt.require, tt.deny, v.Fact, v.Message, tt.fact)
			}
		})
	}
}

func TestMessages(t *testing.T) {
	tests := []struct{ name, message, want string }{
		{"plain", "too large", "too large"},
		{"a number", "it has {{report.size}} bytes", "it has 3000000 bytes"},
		{"a text", "it is a {{report.kind}}", "it is a module"},
		{"a list", "it can {{capabilities.reachable}}.", "it can stdio, clock, net-outbound."},
		{"an empty list", "new: {{capabilities.reachable.without(capabilities.declared)}}", "new: none"},
		{"an error", "team {{pkg.annotations['x']}}", "team (no such key: x)"},
		{"two lines", "one\n  two", "one two"},
		{"its own words", "", "it does not hold that false && true"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := oneRule(t, Rule{Require: "false\n  && true", Message: tt.message}).Eval(t.Context(), sampleFacts())
			if len(r.Violations) != 1 || r.Violations[0].Message != tt.want {
				t.Errorf("Eval = %+v, want the message %q", r.Violations, tt.want)
			}
		})
	}
}

// A rule that cannot be evaluated is violated, and says why: it never passes
// because something is not known.
func TestRulesThatCannotBeEvaluatedDeny(t *testing.T) {
	tests := []struct {
		name   string
		rule   Rule
		change func(*Facts)
		want   string
	}{
		{"a missing key", Rule{Require: `pkg.annotations["x"] == "y"`}, nil, "no such key: x"},
		{"a deny that fails", Rule{Deny: `pkg.annotations["x"] == "y"`}, nil, "no such key: x"},
		{"a division by zero", Rule{Require: "1 / (report.size - report.size) == 1"}, nil, "division by zero"},
		{"an index that is not there", Rule{Deny: "report.imports[1000].name == ''"}, nil, "index out of bounds"},
		{
			"a file that was not inspected",
			Rule{Deny: "report.size > 10"},
			func(f *Facts) { f.Report = nil }, "report is not known: the file was not inspected",
		},
		{
			"capabilities of a file that was not inspected",
			Rule{Deny: `capabilities.reachable.overlaps(["x"])`},
			func(f *Facts) { f.Capabilities = nil }, "capabilities is not known: the file was not inspected",
		},
		{
			"a previous version that nobody looked for",
			Rule{Require: "!previous.exists"},
			func(f *Facts) { f.Previous = nil }, "previous is not known: nobody looked",
		},
		{
			"a fact that is said to be unknown",
			Rule{Require: "!previous.exists || previous.capabilities.reachable == []"},
			func(f *Facts) {
				f.Previous.Exists = false
				f.Unknown = map[string]string{"previous.capabilities": "it is\nlost"}
			},
			"previous.capabilities is not known: it is\ufffdlost",
		},
		{
			"a broken file",
			Rule{Deny: `imports("env")`},
			func(f *Facts) { r := BrokenReport(10, fmt.Errorf("byte 9: cut off")); f.Report = &r },
			"is not valid WebAssembly: byte 9: cut off",
		},
		{
			"capabilities of a broken file",
			Rule{Require: "capabilities.reachable == []"},
			func(f *Facts) { r := BrokenReport(10, fmt.Errorf("byte 9: cut off")); f.Report = &r },
			"is not valid WebAssembly: byte 9: cut off",
		},
		{
			"a list that is cut",
			Rule{Deny: `report.exports.exists(e, e.name == "run_9999")`},
			func(f *Facts) { f.Report.Truncated = []string{"exports"} }, "report.exports is not known: the list is too long",
		},
		{
			"a list that is cut, by a function",
			Rule{Deny: `exports("x")`},
			func(f *Facts) { f.Report.Truncated = []string{"exports"} }, "report.exports is not known: the list is too long",
		},
		{
			"a report as a whole with a list that is cut",
			Rule{Deny: `[report].size() > 1`},
			func(f *Facts) { f.Report.Truncated = []string{"metadata"} }, "report.metadata is not known",
		},
		{
			"a list of the previous version that is cut",
			Rule{Require: "capabilities.unknown.within(previous.capabilities.unknown)"},
			func(f *Facts) { f.Previous.Capabilities.Truncated = true }, "previous.capabilities.unknown is not known",
		},
		{
			"hashes that were not made",
			Rule{Deny: `report.exports.exists(e, e.hash == "00")`},
			nil,
			"report.hashed is not known: the hashes of exported functions were not made",
		},
		{
			"hashes of the previous version",
			Rule{Require: `report.exports.all(e, previous.report.exports[0].hash != e.name)`},
			func(f *Facts) { f.Report.Hashed = true }, "previous.report.hashed is not known",
		},
		{
			"a bill of materials that nobody made",
			Rule{Require: "sbom.complete"},
			func(f *Facts) { f.SBOM = nil }, "sbom is not known: nobody looked for what is in the file",
		},
		{
			"licences that nobody looked for",
			Rule{Require: "!licenses.unknown"},
			func(f *Facts) { f.Licenses = nil }, "licenses is not known: nobody looked",
		},
		{
			"advisories that nobody looked for",
			Rule{Deny: "vulnerabilities.exists(v, v.reachable)"},
			func(f *Facts) { f.Vulnerabilities = nil }, "vulnerabilities is not known: nobody looked for advisories",
		},
		{
			"advisories that could not be looked for",
			Rule{Require: "vulnerabilities == []"},
			func(f *Facts) {
				f.Vulnerabilities, f.Unknown = nil, map[string]string{"vulnerabilities": "there is no database"}
			},
			"vulnerabilities is not known: there is no database",
		},
		{
			"components that are cut",
			Rule{Deny: `sbom.components.exists(c, c.name == "x")`},
			func(f *Facts) { f.SBOM.Truncated = []string{"components"} }, "sbom.components is not known: the list is too long",
		},
		{
			"licences that are cut",
			Rule{Require: `licenses.ids.within(["MIT"])`},
			func(f *Facts) { f.Licenses.Truncated = []string{"ids"} }, "licenses.ids is not known: the list is too long",
		},
		{
			"no list of exploited vulnerabilities",
			Rule{Deny: "vulnerabilities.exists(v, v.kev)"},
			func(f *Facts) { f.Unknown = map[string]string{"vulnerabilities.kev": "there is no list"} },
			"vulnerabilities.kev is not known: there is no list",
		},
		{
			"too much work",
			Rule{Require: `report.imports.all(i, !i.name.contains(i.type))`},
			func(f *Facts) {
				for i := range f.Report.Imports {
					f.Report.Imports[i].Name, f.Report.Imports[i].Type = strings.Repeat("a", 10_000), strings.Repeat("a", 999)+"b"
				}
			},
			"it takes more than 1000000 steps",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := sampleFacts()
			if tt.change != nil {
				tt.change(f)
			}
			r := oneRule(t, tt.rule).Eval(t.Context(), f)
			checkResult(t, r)
			if r.Outcome != Denied || len(r.Violations) != 1 || !r.Violations[0].Error || !strings.Contains(r.Violations[0].Message, tt.want) {
				t.Errorf("Eval = %+v, want one violation by error with %q", r, tt.want)
			}
		})
	}
}

// The same rules hold of the same file when nothing is wrong with what they read.
func TestRulesNotTouchedByWhatIsUnknown(t *testing.T) {
	broken := BrokenReport(10, fmt.Errorf("cut off"))
	tests := []struct {
		name   string
		rule   Rule
		change func(*Facts)
	}{
		{"the size of a broken file", Rule{Require: "report.size == 10 && !report.valid"}, func(f *Facts) { f.Report = &broken }},
		{
			"the count of a list that is cut",
			Rule{Require: "report.exportCount == 40"},
			func(f *Facts) { f.Report.Truncated = []string{"exports"} },
		},
		{"other facts than the unknown one", Rule{Require: "previous.exists"}, func(f *Facts) {
			f.Unknown = map[string]string{"previous.capabilities": "lost"}
		}},
		{"a name that only begins like the unknown one", Rule{Require: "report.imports.size() == 61"}, func(f *Facts) {
			f.Report.Truncated = []string{"importModules"}
		}},
		{"hashes of this version alone", Rule{Require: `report.exports.all(e, e.hash == "") && previous.report.valid`}, func(f *Facts) {
			f.Report.Hashed = true
		}},
		{"vulnerabilities without the list of exploited ones", Rule{Require: "vulnerabilities.all(v, v.epss < 0.9)"}, func(f *Facts) {
			f.Unknown = map[string]string{"vulnerabilities.kev": "there is no list"}
		}},
		{"whether a bill of materials is whole, of which a list is cut", Rule{Require: "sbom.publisher"}, func(f *Facts) {
			f.SBOM.Truncated = []string{"components"}
		}},
		{"a package without WebAssembly, and its vulnerabilities", Rule{Deny: "vulnerabilities == [] || licenses.unknown"}, func(f *Facts) {
			f.Report, f.Capabilities, f.SBOM, f.Licenses, f.Vulnerabilities, f.File = nil, nil, nil, nil, nil, File{Path: "a.txt"}
		}},
		{"the report as a whole, without hashes", Rule{Require: `[report].size() == 1`}, func(*Facts) {}},
		{
			"a package without WebAssembly",
			Rule{Deny: "report.size == 0"},
			func(f *Facts) { f.Report, f.Capabilities, f.File = nil, nil, File{Path: "a.txt"} },
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := sampleFacts()
			tt.change(f)
			if r := oneRule(t, tt.rule).Eval(t.Context(), f); r.Outcome != Allowed || len(r.Violations) > 0 {
				t.Errorf("Eval = %+v, want allow", r)
			}
		})
	}
}

// Whoever does not wait for the answer gets one that refuses.
func TestEvalEndsWithItsContext(t *testing.T) {
	for _, text := range []string{"report.valid", "report.imports.all(i, i.kind == 'func')"} {
		s := oneRule(t, Rule{Require: text})
		if r := s.Eval(t.Context(), sampleFacts()); r.Outcome != Allowed {
			t.Errorf("Eval of %s = %+v, want allow", text, r)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		r := s.Eval(ctx, sampleFacts())
		if r.Outcome != Denied || !r.Violations[0].Error || !strings.Contains(r.Violations[0].Message, errTimeout.Error()) {
			t.Errorf("Eval of %s with a context that is over = %+v, want deny by error", text, r)
		}
	}
	// A loop notices while it runs.
	e, errs := compileExpr("report.imports.all(i, i.kind == 'func')", nil, nil)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	f := sampleFacts()
	for len(f.Report.Imports) < 10*interruptEvery {
		f.Report.Imports = append(f.Report.Imports, f.Report.Imports...)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if ok, err := e.holds(ctx, &activation{f: f}); err == nil {
		t.Errorf("a loop with a context that is over = %v, want an error", ok)
	}
}

func TestModesAndMerging(t *testing.T) {
	rule := func(name string, m Mode) Rule { return Rule{Name: name, Require: "false", Mode: m} }
	eval := func(rules ...Rule) Result {
		s, err := Compile(&Policy{Name: "p", Rules: rules})
		if err != nil {
			t.Fatal(err)
		}
		return s.Eval(t.Context(), sampleFacts())
	}
	for _, tt := range []struct {
		name string
		got  Outcome
		want Outcome
	}{
		{"audit allows", eval(rule("a", Audit)).Outcome, Allowed},
		{"warn warns", eval(rule("a", Audit), rule("b", Warn)).Outcome, Warned},
		{"enforce denies", eval(rule("a", Warn), rule("b", Enforce)).Outcome, Denied},
		{"no rules allow", eval(Rule{Name: "a", Require: "true", Mode: Enforce}).Outcome, Allowed},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, tt.got, tt.want)
		}
	}
	r := eval(rule("a", Warn))
	r.Merge(eval(rule("b", Enforce)))
	if r.Outcome != Denied || r.Rules != 2 || len(r.Violations) != 2 {
		t.Errorf("Merge = %+v, want deny by two rules", r)
	}
	r.Lift(func(id string) bool { return id == "p/b" })
	if r.Outcome != Warned || !r.Violations[1].Approved || r.Violations[0].Approved || len(r.Denials()) != 0 {
		t.Errorf("Lift(p/b) = %+v, want a warning, and the second violation approved", r)
	}
	if got, want := r.Violations[1].Reason(), "policy p/b: it does not hold that false in app.wasm"; got != want {
		t.Errorf("Reason() = %q, want %q", got, want)
	}
}

func TestScopeActionsAndNeeds(t *testing.T) {
	p, err := Parse([]byte(`
scope: {repositories: ["prod/**"]}
rules:
  - {name: push-size, require: report.size < 10, actions: [push]}
  - {name: growth, require: previous.exists, actions: [promote], mode: warn}
  - {name: note, require: "pkg.name == 'x'", actions: [pull], message: "{{capabilities.reachable}}"}
`))
	if err != nil {
		t.Fatal(err)
	}
	p.Name = "p"
	check, err := Parse([]byte("validate: {exports: {include: [{name: a, hash: " + strings.Repeat("0", 64) + "}]}}"))
	if err != nil {
		t.Fatal(err)
	}
	check.Name, check.Scope = "check", Scope{Repositories: []string{"check/*"}, Actions: []Action{Tag}}
	hashes := &Policy{
		Name: "hashes", Scope: Scope{Repositories: []string{"hash/*"}},
		Rules: []Rule{{Name: "a", Mode: Enforce, Deny: `report.exports.exists(e, e.hash == "00")`}},
	}
	inside := &Policy{Name: "inside", Scope: Scope{Repositories: []string{"sbom/*"}}, Rules: []Rule{
		{Name: "a", Mode: Audit, Deny: "vulnerabilities.exists(v, v.kev)", Actions: []Action{Push}},
		{Name: "b", Mode: Audit, Deny: "sbom.complete", Message: "{{licenses.ids}}", Actions: []Action{Pull}},
	}}
	s, err := Compile(p, check, hashes, inside)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		repo     string
		action   Action
		enforces bool
		needs    Needs
	}{
		{"prod/app", Push, true, Needs{Report: true}},
		{"prod/app", Promote, false, Needs{Previous: true}},
		{"prod/app", Pull, true, Needs{Capabilities: true}},
		{"prod/app", Tag, false, Needs{}},
		{"team/app", Push, false, Needs{}},
		{"check/app", Tag, true, Needs{Report: true, Hashes: true}},
		{"check/app", Push, false, Needs{}},
		{"hash/app", Push, true, Needs{Report: true, Hashes: true}},
		{"sbom/app", Push, false, Needs{Vulnerabilities: true}},
		{"sbom/app", Pull, false, Needs{SBOM: true, Licenses: true}},
	}
	for _, tt := range tests {
		if got := s.Enforces(tt.repo, tt.action); got != tt.enforces {
			t.Errorf("Enforces(%s, %s) = %v, want %v", tt.repo, tt.action, got, tt.enforces)
		}
		if got := s.Needs(tt.repo, tt.action); got != tt.needs {
			t.Errorf("Needs(%s, %s) = %+v, want %+v", tt.repo, tt.action, got, tt.needs)
		}
	}
	f := sampleFacts()
	f.Package.Repository = "team/app"
	if r := s.Eval(t.Context(), f); r.Rules != 0 || r.Outcome != Allowed {
		t.Errorf("Eval out of scope = %+v, want no rules", r)
	}
}

// The same facts give the same answer, and are not changed by it.
func TestEvalIsPure(t *testing.T) {
	var ps []*Policy
	for _, r := range Ready() {
		p, err := Parse(r.Source)
		if err != nil {
			t.Fatal(err)
		}
		ps = append(ps, p)
	}
	s, err := Compile(ps...)
	if err != nil {
		t.Fatal(err)
	}
	f := sampleFacts()
	first := s.Eval(t.Context(), f)
	if len(first.Violations) < 4 {
		t.Fatalf("Eval of the ready set = %+v, want violations", first)
	}
	if d := cmp.Diff(sampleFacts(), f); d != "" {
		t.Errorf("Eval changed the facts:\n%s", d)
	}
	done := make(chan Result)
	for range 4 {
		go func() { done <- s.Eval(context.Background(), sampleFacts()) }()
	}
	for range 4 {
		if d := cmp.Diff(first, <-done); d != "" {
			t.Errorf("Eval again (-first +again):\n%s", d)
		}
	}
}

// Facts survive being stored.
func TestFactsAreJSON(t *testing.T) {
	text, err := json.Marshal(sampleFacts())
	if err != nil {
		t.Fatal(err)
	}
	var back Facts
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(sampleFacts(), &back); d != "" {
		t.Errorf("facts after JSON:\n%s", d)
	}
}

// No expression that compiles runs for long, whatever it is. The bound in time is
// far above what the cost allows, for machines that are busy.
func FuzzEval(f *testing.F) {
	for _, r := range Ready() {
		p, err := Parse(r.Source)
		if err != nil {
			f.Fatal(err)
		}
		for _, rule := range p.Rules {
			f.Add(rule.Require + rule.Deny)
		}
	}
	for _, s := range []string{
		`report.imports.all(i, report.signals.exists(s, s.id == i.name))`, `pkg.name.matches("(a|a)*b")`, `imports("**a*b")`,
		`report.imports.map(i, i.name).map(n, n + n).size() > 3`, `["a"].matching(["**a*"]) == []`, `pkg.annotations.all(k, k in ["a"])`,
		`vulnerabilities.vexed().exists(v, v.atLeast("high") && v.epss > 0.1 && "CVE-1" in v.aliases)`, `licenses.satisfies(["permissive"])`,
		`sbom.components.all(c, c.licenses.all(l, l.satisfies(lists.few)))`, `version.within(sbom.components[0].ecosystem, "1", "<2 || >=3")`,
		`semver.within(pkg.version, ">=1 || <3, !=2")`, `has(report.metadata.name) ? true : 1 / 0 == 1`, `[[[1]]].map(x, x) == [[[2]]]`,
		`duration("1h") < duration("2h")`, `timestamp("2026-01-01T00:00:00Z").getFullYear() == 2026`, `type(report) == type(previous.report)`,
	} {
		f.Add(s)
	}
	facts := sampleFacts()
	f.Fuzz(func(t *testing.T, text string) {
		p := &Policy{Name: "fuzz", Rules: []Rule{{Name: "r", Require: text, Mode: Enforce, Message: "{{report.size}}"}}}
		begun := time.Now()
		s, err := Compile(p)
		if err != nil {
			checkPlaces(t, []byte(text), err)
			return
		}
		r := s.Eval(t.Context(), facts)
		if took := time.Since(begun); took > 20*time.Second {
			t.Fatalf("%s took %s", text, took)
		}
		checkResult(t, r)
	})
}

// Twenty rules of the kinds that people write, over a module of 61 imports.
func BenchmarkEval20Rules(b *testing.B) {
	rules := []string{
		`report.valid`, `report.size < parseSize("50MB")`, `report.kind in ["module", "component"]`, `report.wasi != "none"`,
		`!capabilities.reachable.overlaps(["process-spawn", "dynamic-code"])`,
		`capabilities.declared.within(["stdio", "clock", "random", "net-outbound"])`,
		`!previous.exists || report.size < previous.report.size * 2`, `report.memories.all(m, m.min < parseSize("256MiB"))`,
		`!imports("wasi:sockets/*")`, `!imports("env.evil_*")`, `exports("run_39")`, `report.imports.all(i, i.kind == "func")`,
		`report.importModules.except(["env", "wasi_*"]) == []`, `report.maxComplexity < 1000`, `report.riskScore < 80`,
		`!report.signals.exists(s, s.severity == "high")`, `semver.valid(pkg.version) && semver.compare(pkg.version, "1.0.0") >= 0`,
		`glob(pkg.repository, "prod/**")`, `principal.name != ""`, `pkg.annotations["team"] in ["a", "b", "c"]`,
	}
	p := &Policy{Name: "p"}
	for i, text := range rules {
		p.Rules = append(p.Rules, Rule{Name: fmt.Sprintf("r%d", i), Require: text, Mode: Enforce, Actions: []Action{Push}})
	}
	s, err := Compile(p)
	if err != nil {
		b.Fatal(err)
	}
	f := sampleFacts()
	b.ReportAllocs()
	for b.Loop() {
		if r := s.Eval(b.Context(), f); r.Outcome != Allowed || r.Rules != 20 {
			b.Fatalf("Eval = %+v, want all of 20 rules to hold", r)
		}
	}
}

// What a refusal costs: the ready set, with messages and facts.
func BenchmarkEvalReadySet(b *testing.B) {
	var ps []*Policy
	for _, r := range Ready() {
		p, err := Parse(r.Source)
		if err != nil {
			b.Fatal(err)
		}
		ps = append(ps, p)
	}
	s, err := Compile(ps...)
	if err != nil {
		b.Fatal(err)
	}
	f := sampleFacts()
	b.ReportAllocs()
	for b.Loop() {
		if r := s.Eval(b.Context(), f); r.Outcome != Denied {
			b.Fatalf("Eval = %+v, want deny", r)
		}
	}
}

// largeFacts are those of a file with n components and a tenth of that of
// vulnerabilities.
func largeFacts(n int) *Facts {
	f := sampleFacts()
	f.SBOM.Components, f.Vulnerabilities = nil, nil
	for i := range n {
		name := fmt.Sprintf("crate-%d", i)
		c := Component{
			PURL: "pkg:cargo/" + name + "@1.0.190", Ecosystem: "cargo", Name: name, Version: "1.0.190", Class: "proven",
			Licenses: []string{"MIT OR Apache-2.0"},
		}
		f.SBOM.Components = append(f.SBOM.Components, c)
		if i%10 == 0 {
			f.Vulnerabilities = append(f.Vulnerabilities, Vulnerability{
				ID: fmt.Sprintf("RUSTSEC-2026-%04d", i), PURL: c.PURL, Name: name, Version: c.Version, Severity: 9.8, Rating: "critical",
				Reach: "present", RuledOut: true, Aliases: []string{fmt.Sprintf("CVE-2026-%d", i)}, Fixed: []string{"1.0.200"},
			})
		}
	}
	f.Licenses.Expressions = []string{"Apache-2.0 OR MIT"}
	return f
}

// insideRules are what people ask about what is in a file, all of which hold of
// largeFacts.
var insideRules = []string{
	`!sbom.components.exists(c, c.purl.startsWith("pkg:cargo/openssl"))`,
	`!sbom.components.exists(c, c.name == "serde" && version.within(c.ecosystem, c.version, "<1.0.200"))`,
	`sbom.components.all(c, c.class != "proven" || version.within(c.ecosystem, c.version, "<1.0.200"))`,
	`sbom.components.all(c, c.licenses.all(l, l.satisfies(["MIT", "Apache-2.0", "BSD-3-Clause", "ISC", "Zlib"])))`,
	`sbom.components.map(c, c.purl).matching(["pkg:npm/**", "pkg:pypi/**"]) == []`,
	`licenses.satisfies(["permissive"])`,
	`!vulnerabilities.vexed().exists(v, v.atLeast("critical") && !v.ruledOut)`,
	`!vulnerabilities.exists(v, v.kev || v.epss > 0.5)`,
	`vulnerabilities.all(v, v.aliases.all(a, a.startsWith("CVE-")) && v.fixed.size() > 0)`,
	`vulnerabilities.vexed().filter(v, v.severity >= 7.0).all(v, v.aliases.exists(a, a.startsWith("CVE-")))`,
}

// A file with thousands of components can be asked about: no rule that people write
// comes near the bounds of its cost.
func TestRulesOverThousandsOfComponents(t *testing.T) {
	f := largeFacts(2000)
	for _, text := range insideRules {
		r := oneRule(t, Rule{Require: text}).Eval(t.Context(), f)
		if r.Outcome != Allowed {
			t.Errorf("Eval of %s = %+v, want allow", text, r.Violations)
		}
	}
}

// Ten rules about what is in a file of 2,000 components with 200 vulnerabilities.
func BenchmarkEvalComponents(b *testing.B) {
	f := largeFacts(2000)
	for _, text := range insideRules {
		s := oneRule(b, Rule{Require: text})
		b.Run(text, func(b *testing.B) {
			for b.Loop() {
				if r := s.Eval(b.Context(), f); r.Outcome != Allowed {
					b.Fatal(r)
				}
			}
		})
	}
}
