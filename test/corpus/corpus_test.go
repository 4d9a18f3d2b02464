package corpus

import (
	"strings"
	"testing"
)

func TestListIsWhole(t *testing.T) {
	entries, err := List()
	if err != nil {
		t.Fatal(err)
	}
	packaged := 0
	for _, e := range entries {
		if e.Packaged() {
			packaged++
		}
	}
	if len(entries) != 48 || packaged != 37 {
		t.Errorf("List() gave %d entries, %d of them packaged; want 48 and 37", len(entries), packaged)
	}
}

func TestParseRefuses(t *testing.T) {
	const sum = "e16c6997e2eaa89575c0dd1f305074be629c3f4d87246244d37fd19debc8a285"
	line := func(fields ...string) string { return strings.Join(fields, "\t") + "\n" }
	const header = "file\tpackage\n"
	good := line("a.wasm", "a@1.0.0", "a.wasm", "8", sum, "by hand", "core module", "MIT")
	tests := []struct {
		name, text, want string
	}{
		{"a line that is cut short", line("a.wasm", "a@1.0.0"), "corpus.tsv:2: 2 columns, want 8"},
		{"a file of no size", line("a.wasm", "a@1.0.0", "a.wasm", "0", sum, "", "", ""), `size "0" is not between`},
		{"a file beyond the bound", line("a.wasm", "a@1.0.0", "a.wasm", "999999999999", sum, "", "", ""), "is not between"},
		{"a hash that is cut short", line("a.wasm", "a@1.0.0", "a.wasm", "8", sum[:62], "", "", ""), "is no SHA-256"},
		{"a name that leaves the folder", line("../a.wasm", "a@1.0.0", "a.wasm", "8", sum, "", "", ""), "is no file name"},
		{"a file listed twice", good + good, "corpus.tsv:3: a.wasm is listed twice"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := parse(header + tt.text)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("parse(%q) = %v, want an error with %q", tt.text, err, tt.want)
			}
		})
	}
	if entries, err := parse(header + good); err != nil || len(entries) != 1 {
		t.Errorf("parse(%q) = %v, %v; want one entry", good, entries, err)
	}
}
