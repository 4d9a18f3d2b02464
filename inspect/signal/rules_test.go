package signal

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// document writes docs/spec/signals.md.
func document() string {
	var b strings.Builder
	b.WriteString(`# Signals

A signal points at something in a binary that deserves a second look. It is never a verdict:
each has innocent reasons, and a file without any may be hostile. 
This page is written by the tests of package inspect/signal from its list of rules
(` + "`UPDATE=1 go test ./inspect/signal`" + `);
ids are stable, scores are not.

The score of a find says on a scale of 0 to 100 how much it would interest a person who has to
decide whether to trust the file; the score of a signal is that of its highest find. The severity
follows from the score: **high** from 75, **medium** from 45, **low** from 20, **info** below.
Each signal counts its finds exactly and keeps the ` + fmt.Sprint(MaxFinds) + ` with the highest
scores, each with its offset in the file, and its section, data segment, function and nested module
where there is one. Secrets are masked in the evidence.

| id | what it says | at most | why, and what else it may be |
|---|---|---|---|
`)
	for _, r := range Rules() {
		fmt.Fprintf(&b, "| `%s` | %s | %d, %s | %s |\n", r.ID, r.Title, r.Most, r.severity(r.Most), strings.ReplaceAll(r.Why, "|", `\|`))
	}
	b.WriteString(`
## Inventories

They stand beside the signals and score nothing by themselves.

- ` + "`endpoints`" + `: URLs without passwords and queries, hosts, addresses and e-mail addresses in the text of data
  segments and custom sections. Occurrences are counted exactly;
  of each kind the first ` + fmt.Sprint(MaxEndpoints) + ` different values are kept.
- ` + "`algorithms`" + `: ciphers, hashes and checksums whose tables of constants are in the data,
  or of whose constants enough are in the instructions of one function.

`)
	b.WriteString("| algorithm | constants in one function |\n|---|---|\n")
	for _, a := range algorithms {
		need := "not looked for"
		if a.need > 0 {
			need = fmt.Sprintf("%d or more different ones", a.need)
		}
		fmt.Fprintf(&b, "| %s | %s |\n", a.name, need)
	}
	b.WriteString("\n## Interpreters\n\n| interpreter | marks asked for | marks |\n|---|---|---|\n")
	for _, in := range interpreters {
		var marks []string
		for _, m := range in.marks {
			marks = append(marks, fmt.Sprintf("`%+q`", m))
		}
		fmt.Fprintf(&b, "| %s | %d | %s |\n", in.name, in.need, strings.Join(marks, ", "))
	}
	return b.String()
}

func TestDocument(t *testing.T) {
	const file = "../../docs/spec/signals.md"
	want := document()
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Fatalf("%s is not what the rules say (UPDATE=1 rewrites it), want -, got +:\n%s", file, diff)
	}
}

func TestRules(t *testing.T) {
	id := regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`)
	seen := map[string]bool{}
	for i, r := range Rules() {
		if !id.MatchString(r.ID) || seen[r.ID] {
			t.Errorf("rule %d has the id %q, want a new one of lower-case words", i, r.ID)
		}
		seen[r.ID] = true
		if r.Title == "" || r.Why == "" || r.Most < 0 || r.Most > 100 {
			t.Errorf("rule %s is %+v, want a title, a reason and a score", r.ID, r)
		}
	}
}

func TestSeverity(t *testing.T) {
	for score, want := range map[int]Severity{0: Info, 19: Info, 20: Low, 44: Low, 45: Medium, 74: Medium, 75: High, 100: High} {
		if got := (Rule{}).severity(score); got != want {
			t.Errorf("severity(%d) = %q, want %q", score, got, want)
		}
	}
}
