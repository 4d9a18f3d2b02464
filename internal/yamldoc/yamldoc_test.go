package yamldoc

import (
	"errors"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// read reads a document with one key of each kind.
func read(source string) error {
	d, root, err := Open([]byte(source), 1000)
	if err != nil {
		return err
	}
	d.Mapping(
		root,
		Field{"text", func(n *yaml.Node) { d.Text(n) }},
		Field{"name", func(n *yaml.Node) { d.Name(n) }},
		Field{"flag", func(n *yaml.Node) { d.Bool(n) }},
		Field{"count", func(n *yaml.Node) { d.Number(n) }},
		Field{"word", func(n *yaml.Node) { OneOf(d, n, "required", "optional") }},
		Field{"list", func(n *yaml.Node) { d.In = "list"; d.Texts(n, 2); d.In = "" }},
	)
	return d.Err()
}

func TestErrors(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"all of it", "text: a b\nname: a-b\nflag: true\ncount: 3\nword: optional\nlist: [a]\n", ""},
		{"nothing", "", "1:1: the file is empty"},
		{"only a comment", "# nothing\n", "1:1: the file is empty"},
		{"not YAML", "a: [", "1:1: YAML: did not find expected node content"},
		{"not UTF-8", "\xff", "1:1: the file is not text in UTF-8"},
		{"two documents", "text: a\n---\ntext: b\n", "2:1: a second document in one file"},
		{"an unknown key", "txet: a", `1:1: unknown key "txet" (did you mean text?)`},
		{"an unknown key like nothing", "zzzzzz: a", `1:1: unknown key "zzzzzz" (known are text, name, flag, count, word, list)`},
		{"a key twice", "text: a\ntext: b", "2:1: text is there twice"},
		{"an anchor", "text: &a b", "1:7: anchors and aliases are not supported"},
		{"a text that is a number to YAML", "text: 1.0", "1:7: 1.0 is no text to YAML (put it in quotes)"},
		{"a wrong word", "word: optionel", `1:7: unknown word "optionel" (did you mean optional?)`},
		{"too many items", "list: [a, b, c]", "1:7: list: 3 items are more than 2"},
		{"a list where there is one text", "list: a", "1:7: list: this has to be a list"},
		{"no flag", "flag: maybe", "1:7: this has to be true or false"},
		{"no number", "count: -1", "1:8: this has to be a whole number from 0 to 4294967295"},
		{"no name", "name: A", `1:7: "A" is no name (lower-case letters, digits, and between them . _ -, at most 63)`},
		{"a control character", "word: \"\\e[31m\"", "1:7: unknown word \"\ufffd[31m\" (known are required, optional)"},
		{"two faults", "flag: 1\ncount: x", "1:7: this has to be true or false\n2:8: this has to be a whole number from 0 to 4294967295"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := ""
			if err := read(tt.in); err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("read(%q) = %q, want %q", tt.in, got, tt.want)
			}
		})
	}
	if err := read(strings.Repeat("#", 1001)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("read of 1001 bytes = %v, want ErrTooLarge", err)
	}
	if err := read(strings.Repeat("x: 1\n", 100)); strings.Count(err.Error(), "\n") != MaxFound-1 {
		t.Errorf("read of a hundred faults = %v, want %d of them", err, MaxFound)
	}
}
