package capability

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const docFile = "../../docs/spec/capabilities.md"

// The part of the documentation that the table of imports determines is held
// against it.
func TestDocumentation(t *testing.T) {
	file, err := os.ReadFile(docFile)
	if err != nil {
		t.Fatal(err)
	}
	const mark = "UPDATE=1 -->\n"
	head, got, ok := strings.Cut(string(file), mark)
	if !ok {
		t.Fatalf("%s: no line that ends in %q", docFile, mark)
	}
	want := document()
	if got == want {
		return
	}
	if os.Getenv("UPDATE") == "" {
		t.Fatalf("%s (-want +got)\n%s", docFile, cmp.Diff(want, got))
	}
	if err := os.WriteFile(docFile, []byte(head+mark+want), 0o644); err != nil {
		t.Fatal(err)
	}
}

// document lists the capabilities, and for each host what gives them.
func document() string {
	var b strings.Builder
	b.WriteString("\n| id | severity | lets a module | that is |\n| --- | --- | --- | --- |\n")
	for _, i := range All() {
		fmt.Fprintf(&b, "| `%s` | %v | %s | %s |\n", i.ID, i.Severity, i.Title, i.Meaning)
	}
	b.WriteString("\n## Imports\n\n`*` stands for any text, and the first line that matches counts, exact names before others. " +
		"Versions of\ninterfaces are left out.\n")
	host := ""
	for _, d := range loaded().doc {
		if d.host != host {
			host = d.host
			fmt.Fprintf(&b, "\n### %s\n\n| modules | imports | give |\n| --- | --- | --- |\n", host)
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", quoted(d.modules), quoted(d.names), gives(d.meaning))
	}
	return b.String()
}

func quoted(words []string) string {
	words = slices.Clone(words)
	for i, w := range words {
		words[i] = "`" + strings.ReplaceAll(w, "|", `\|`) + "`"
	}
	return strings.Join(words, " ")
}

// gives says what a line of the table means.
func gives(m Meaning) string {
	switch m.role {
	case roleNone:
	case roleJS:
		return "by the name of the JavaScript interface, below"
	case roleOpen:
		return "`files-read`, `files-write` (rules 4 and 5)"
	case roleRead:
		return "`stdio`, `files-read` (rules 1 to 4)"
	case roleList:
		return "`files-read`: listing"
	case roleWrite:
		return "`stdio`, `files-write` (rules 1 to 4)"
	case roleResize:
		return "`files-write`, if the module opens files"
	case roleDescriptor:
		return "`stdio`, possible: state"
	case roleSocket:
		return "`net-outbound`, possible, if no other import says what sockets are for"
	case roleSend:
		return "`net-outbound`, or `net-inbound` if the module only accepts connections: send"
	case roleReceive:
		return "`net-inbound`: receive"
	}
	if len(m.Grants) == 0 {
		return "nothing by themselves"
	}
	var list []string
	for _, g := range m.Grants {
		s := "`" + string(g.ID) + "`"
		if len(g.Access) > 0 {
			s += ": " + strings.Join(g.Access, ", ")
		}
		list = append(list, s)
	}
	return strings.Join(list, "; ")
}
