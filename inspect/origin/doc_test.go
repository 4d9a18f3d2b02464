package origin

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const docFile = "../../docs/spec/origin.md"

// The table of rules in the documentation is the table of the code. UPDATE=1
// writes it.
func TestDocumentationListsTheRules(t *testing.T) {
	const begin, end = "<!-- rules -->\n", "<!-- end of rules -->\n"
	text, err := os.ReadFile(docFile)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), begin)
	got, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no lines %q and %q", docFile, begin, end)
	}
	want := ruleTable()
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(docFile, []byte(before+begin+want+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Fatalf("%s is not up to date, UPDATE=1 writes it (-want +got):\n%s", docFile, d)
	}
}

func ruleTable() string {
	var b strings.Builder
	for _, r := range Rules() {
		fmt.Fprintf(&b, "### %s\n\n%s\n\n", r.ID, r.Why)
		list(&b, "All of", r.All)
		if r.Min > 1 {
			list(&b, fmt.Sprintf("At least %d of", r.Min), r.Any)
		} else {
			list(&b, "Any of", r.Any)
		}
		list(&b, "None of", r.None)
		var says []string
		for _, c := range r.Says {
			says = append(says, fmt.Sprintf("%s %s (%s, %.2f)", c.Subject(), c.Name, c.Role, c.Weight))
		}
		fmt.Fprintf(&b, "- Says: %s.\n\n", strings.Join(says, "; "))
	}
	return b.String()
}

func list(b *strings.Builder, head string, refs []string) {
	if len(refs) == 0 {
		return
	}
	var quoted []string
	for _, r := range refs {
		q := strings.Trim(fmt.Sprintf("%+q", r), `"`)
		if strings.Contains(q, "`") {
			quoted = append(quoted, "`` "+q+" ``")
		} else {
			quoted = append(quoted, "`"+q+"`")
		}
	}
	fmt.Fprintf(b, "- %s: %s\n", head, strings.Join(quoted, ", "))
}
