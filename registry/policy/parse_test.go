package policy

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/wreg-project/wreg/internal/yamldoc"
)

func TestParse(t *testing.T) {
	got, err := Parse([]byte(`
name: ours
description: What we want.
mode: warn
scope:
  repositories: ["prod/**", "!prod/trial/*"]
  actions: [push, tag]
lists:
  allowed: [env, "wasi:*/*"]
rules:
  - name: first
    require: report.valid
  - name: second
    description: Second.
    deny: imports("env")
    message: it imports {{report.importModules}}
    mode: enforce
    severity: critical
    actions: [pull]
`))
	if err != nil {
		t.Fatal(err)
	}
	want := &Policy{
		Name: "ours", Description: "What we want.", Mode: Warn, Severity: Medium,
		Scope: Scope{Repositories: []string{"prod/**", "!prod/trial/*"}, Actions: []Action{Push, Tag}},
		Lists: map[string][]string{"allowed": {"env", "wasi:*/*"}},
		Rules: []Rule{
			{Name: "first", Require: "report.valid", Mode: Warn, Severity: Medium, Actions: []Action{Push, Tag}},
			{
				Name: "second", Description: "Second.", Deny: `imports("env")`, Message: "it imports {{report.importModules}}",
				Mode: Enforce, Severity: Critical, Actions: []Action{Pull},
			},
		},
	}
	if d := cmp.Diff(want, got, cmpopts.IgnoreUnexported(Rule{})); d != "" {
		t.Errorf("Parse (-want +got):\n%s", d)
	}
}

// Errors name the place in the file, of what is wrong in expressions too, and what
// may have been meant.
func TestErrorsNameThePlace(t *testing.T) {
	rule := "rules:\n  - name: a\n"
	tests := []struct{ name, source, want string }{
		{"an empty file", "", "1:1: the file is empty"},
		{"a comment alone", "# nothing\n", "1:1: the file is empty"},
		{"not YAML", "rules:\n  - {\n", "2:1: YAML: did not find expected node content"},
		{"not text", "rules: \xff\n", "1:1: the file is not text in UTF-8"},
		{"a list", "- a\n", "1:1: this has to be a mapping with keys"},
		{"two documents", "name: a\n---\nname: b\n", "2:1: a second document in one file"},
		{
			"an alias", "name: &a x\ndescription: *a\nrules: []\n",
			"1:7: anchors and aliases are not supported\n2:14: anchors and aliases are not supported",
		},
		{"no rules", "name: a\n", "1:1: a policy has rules, and this one has none"},
		{"an empty list of rules", "name: a\nrules: []\n", "2:8: a policy has rules, and this one has none"},
		{"an unknown key", "naem: a\n" + rule + "    require: 'true'\n", "1:1: unknown key \"naem\" (did you mean name?)"},
		{"a key twice", "name: a\nname: b\n" + rule + "    require: 'true'\n", "2:1: name is there twice"},
		{
			"a bad name", "name: Big Name\n" + rule + "    require: 'true'\n",
			`1:7: "Big Name" is no name (lower-case letters, digits, and between them . _ -, at most 63)`,
		},
		{"a word that is unknown", "mode: enfroce\n" + rule + "    require: 'true'\n", `1:7: unknown word "enfroce" (did you mean enforce?)`},
		{
			"an action that policies are not about", rule + "    require: 'true'\n    actions: [delete]\n",
			`4:15: rule a: unknown word "delete" (known are push, tag, pull, promote)` + "\n" +
				"4:14: rule a: a rule about no action does nothing (leave the key out for all actions)",
		},
		{"a number for a text", "name: 12\n" + rule + "    require: 'true'\n", "1:7: 12 is no text to YAML (put it in quotes)"},
		{
			"a pattern with capitals", "scope: {repositories: [Prod/**]}\n" + rule + "    require: 'true'\n",
			`1:23: pattern "Prod/**": no repository name has a character like "P" in it (patterns look like team/*, team/** and !team/trial/**)`,
		},
		{"a rule without a name", "rules:\n  - require: 'true'\n", "2:5: the rule has no name"},
		{"two rules of one name", rule + "    require: 'true'\n  - name: a\n    require: 'true'\n", "4:11: rule a: another rule has this name"},
		{"both conditions", rule + "    require: 'true'\n    deny: 'true'\n", "2:5: rule a: a rule has either require or deny"},
		{"no condition", rule + "    message: x\n", "2:5: rule a: a rule has either require or deny"},
		{
			"a variable that is unknown", rule + "    require: reprt.valid\n",
			"3:14: rule a: undeclared reference to 'reprt' (did you mean report?)",
		},
		{"a field that is unknown", rule + "    require: report.vlaid\n", "3:20: rule a: undefined field 'vlaid' (did you mean valid?)"},
		{
			"a field of an entry", rule + "    require: report.imports.all(i, i.modul == '')\n",
			"3:37: rule a: undefined field 'modul' (did you mean module?)",
		},
		{"in quotes", rule + "    require: \"report.vlaid\"\n", "3:21: rule a: undefined field 'vlaid' (did you mean valid?)"},
		{
			"behind an escape", rule + `    require: "report.kind == \"x\" && report.vlaid"` + "\n",
			"3:45: rule a: undefined field 'vlaid' (did you mean valid?)",
		},
		{
			"behind a doubled quote", rule + "    require: 'report.kind == ''x'' && report.vlaid'\n",
			"3:45: rule a: undefined field 'vlaid' (did you mean valid?)",
		},
		{
			"in a literal block", rule + "    require: |\n      report.valid &&\n      report.vlaid\n",
			"5:13: rule a: undefined field 'vlaid' (did you mean valid?)",
		},
		{
			"in a folded block", rule + "    require: >-\n      report.valid\n      && report.vlaid\n",
			"5:16: rule a: undefined field 'vlaid' (did you mean valid?)",
		},
		{
			"in a plain text of two lines", rule + "    require: report.valid\n      && report.vlaid\n",
			"4:16: rule a: undefined field 'vlaid' (did you mean valid?)",
		},
		{
			"in a message", rule + "    require: report.valid\n    message: it is {{report.knid}}\n",
			"4:28: rule a: undefined field 'knid' (did you mean kind?)",
		},
		{
			"in the second line of a message", rule + "    require: report.valid\n    message: |\n      it is\n      {{ report.knid }}\n",
			"6:16: rule a: undefined field 'knid' (did you mean kind?)",
		},
		{
			"a message that does not close", rule + "    require: report.valid\n    message: it is {{report.kind\n",
			"4:22: rule a: {{ without }}",
		},
		{
			"the reserved word", rule + "    require: package.name == 'a'\n",
			"3:14: rule a: reserved identifier: package (facts about the package are called pkg)",
		},
		{"no condition at all", rule + "    require: report.size\n", "3:14: rule a: the expression is of type int, and has to be bool"},
		{"half an expression", rule + "    require: report.valid &&\n", "3:29: rule a: unexpected end of the expression"},
		{
			"types that do not fit", rule + "    require: report.size > '4MB'\n",
			"3:26: rule a: found no matching overload for '_>_' applied to '(int, string)'",
		},
		{
			"a size that is none", rule + "    require: report.size < parseSize('4 bananas')\n",
			`3:38: rule a: parseSize: "4 bananas" is no size like 4MB or 512KiB`,
		},
		{
			"a range that is none", rule + "    require: semver.within(pkg.version, '>=x.y.z.w')\n",
			`3:41: rule a: semver.within: ">=x.y.z.w" is no range of versions`,
		},
		{"a regular expression that is none", rule + "    require: pkg.name.matches('(')\n", "3:31: rule a: invalid matches argument"},
		{"a fact that is made", rule + "    require: policy.Report{}.valid\n", "3:27: rule a: facts cannot be made: policy.Report{…}"},
		{
			"a list that is not there", "lists: {allowed: []}\n" + rule + "    require: report.features.within(lists.allwoed)\n",
			"4:42: rule a: the policy has no list called allwoed (did you mean allowed?)",
		},
		{
			"a loop in a loop", rule + "    require: report.imports.all(i, report.exports.exists(e, e.name == i.name))\n",
			"steps, more than 50000000 (a loop inside a loop over imports or exports: use imports(pattern), or functions on lists)",
		},
		{
			"a pull that depends on who asks", rule + "    require: principal.name == 'ann'\n",
			"3:14: rule a: the verdict about a pull is the same for everybody, " +
				"so that a rule about pulls cannot ask who it is (actions: [push, tag, promote])",
		},
		{
			"too deep", rule + "    require: " + strings.Repeat("(", 100) + "true" + strings.Repeat(")", 100) + "\n",
			"expression recursion limit exceeded: 40",
		},
		{
			"too long", rule + "    require: " + strings.Repeat("true && ", 600) + "true\n",
			"expression code point size exceeds limit: size: 4804, limit 4096",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := Parse([]byte(tt.source))
			if err == nil {
				if p.Name == "" {
					p.Name = "test"
				}
				_, err = Compile(p)
			}
			var errs Errors
			if !errors.As(err, &errs) || len(errs) == 0 {
				t.Fatalf("Parse and Compile of %q = %v, want Errors", tt.source, err)
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Parse and Compile of %q:\n got %v\nwant %s", tt.source, err, tt.want)
			}
		})
	}
}

// No file makes Parse work for long, or take much memory.
func TestParseIsBounded(t *testing.T) {
	bomb := "a: &a [x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c < 'k'; c++ {
		p := string(c - 1)
		bomb += string(c) + ": &" + string(c) + " [" + strings.Repeat("*"+p+",", 9) + "*" + p + "]\n"
	}
	tests := []struct{ name, source string }{
		{"a bomb of aliases", bomb},
		{"a merge of aliases", "a: &a {x: 1}\nb: {<<: *a}\n"},
		{"brackets", strings.Repeat("[", 100_000)},
		{"braces", strings.Repeat("{a: ", 50_000)},
		{"indentation", strings.Repeat("- ", 100_000)},
		{"many rules", "rules:\n" + strings.Repeat("  - {name: a, require: 'true'}\n", 5000)},
		{"many errors", "rules:\n" + strings.Repeat("  - {naem: a}\n", 199)},
		{"many keys", strings.Repeat("k: 1\n", 50_000)},
		{"a long text", "name: a\ndescription: " + strings.Repeat("x", 100_000) + "\nrules: []\n"},
		{"many patterns", "scope: {repositories: [" + strings.Repeat("a,", 1000) + "]}\n"},
		{"many lists", "lists:\n" + strings.Repeat("  l: []\n", 100)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := Parse([]byte(tt.source))
			if err == nil {
				t.Fatalf("Parse = %+v, want an error", p)
			}
			if n := strings.Count(err.Error(), "\n"); n > yamldoc.MaxFound {
				t.Errorf("Parse gives %d errors, want at most %d", n, yamldoc.MaxFound)
			}
		})
	}
	if _, err := Parse(make([]byte, maxSource+1)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("Parse of %d bytes = %v, want ErrTooLarge", maxSource+1, err)
	}
}

func TestCompileChecksNames(t *testing.T) {
	p := func(name string) *Policy { return &Policy{Name: name, Rules: []Rule{{Name: "a", Require: "true"}}} }
	for _, tt := range []struct {
		name string
		ps   []*Policy
		want string
	}{
		{"two of one name", []*Policy{p("a"), p("a")}, "another policy has this name"},
		{"no name", []*Policy{p("")}, `"" is no name for a policy`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := Compile(tt.ps...); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Compile = %v, want an error with %q", err, tt.want)
			}
		})
	}
}

// What is read never breaks anything, and what compiles is evaluated within its
// bounds.
func FuzzParse(f *testing.F) {
	for _, r := range Ready() {
		f.Add(r.Source)
	}
	for _, name := range []string{"proxy-wasm", "extism", "wasi-command"} {
		source, err := os.ReadFile("testdata/hosts/" + name + ".mod.yaml")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(source)
	}
	f.Add([]byte("rules:\n  - name: a\n    require: |\n      report.x\n"))
	f.Add([]byte("rules:\n  - name: a\n    require: \"a\\u00e4\\n b\"\n    message: '{{ x }}'\n"))
	facts := sampleFacts()
	f.Fuzz(func(t *testing.T, source []byte) {
		p, err := Parse(source)
		if err == nil {
			p.Name = "fuzz"
			var s *Set
			if s, err = Compile(p); err == nil {
				checkResult(t, s.Eval(t.Context(), facts))
				return
			}
		}
		checkPlaces(t, source, err)
	})
}

// checkPlaces holds the places of errors against the source.
func checkPlaces(t *testing.T, source []byte, err error) {
	t.Helper()
	var errs Errors
	if errors.Is(err, ErrTooLarge) {
		return
	}
	if !errors.As(err, &errs) {
		t.Fatalf("error %v (%T), want Errors", err, err)
	}
	lines := strings.Split(string(source), "\n")
	for _, e := range errs {
		if e.Line < 0 || e.Line > len(lines)+1 || e.Column < 0 || e.Line > 0 && e.Column > len(source)+2 {
			t.Fatalf("error at %d:%d of a file of %d lines: %v", e.Line, e.Column, len(lines), e)
		}
	}
}
