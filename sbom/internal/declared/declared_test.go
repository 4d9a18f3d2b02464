package declared

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wreg-project/wreg/sbom"
	"github.com/wreg-project/wreg/sbom/evidence"
)

func TestDocumentReadsEntries(t *testing.T) {
	tests := []struct {
		name string
		in   Entry
		want string // ecosystem, name, version, class
	}{
		{"a crate", Entry{PURL: "pkg:cargo/serde@1.0.200"}, "cargo serde 1.0.200 proven"},
		{"a scoped package", Entry{PURL: "pkg:npm/%40scope/name@2.0.0"}, "npm @scope/name 2.0.0 proven"},
		{"a Go module", Entry{PURL: "pkg:golang/golang.org/x/net@v0.1.0"}, "golang golang.org/x/net v0.1.0 proven"},
		{"an ecosystem of others", Entry{PURL: "pkg:maven/org.a/b@1"}, "maven org.a/b 1 proven"},
		{"a WIT package", Entry{PURL: "pkg:generic/wasi/io@0.2.0", Ecosystem: evidence.WIT}, "wit wasi:io 0.2.0 proven"},
		{"the version beside a package URL", Entry{PURL: "pkg:cargo/a", Version: "1.0.0"}, "cargo a 1.0.0 proven"},
		{"no version", Entry{PURL: "pkg:cargo/a"}, "cargo a  named"},
		{"no package URL", Entry{Group: "org", Name: "lib", Version: "1"}, "generic org/lib 1 proven"},
		{"a package URL that is none", Entry{PURL: "what", Name: "lib"}, "generic lib  named"},
		{"our class", Entry{PURL: "pkg:cargo/a", Class: evidence.Inferred}, "cargo a  inferred"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := Document(sbom.Subject{}, slices.Values([]Entry{tt.in}), slices.Values([]Relation(nil)))
			if n := len(d.Root.Components); n != 1 {
				t.Fatalf("Document(%+v) has %d components; want 1", tt.in, n)
			}
			c := d.Root.Components[0]
			if got := strings.Join([]string{string(c.Ecosystem), c.Name, c.Version, string(c.Class)}, " "); got != tt.want {
				t.Errorf("Document(%+v) has %q; want %q", tt.in, got, tt.want)
			}
		})
	}
}

func TestDocumentRelatesEntries(t *testing.T) {
	entries := []Entry{
		{Ref: "b", PURL: "pkg:cargo/b@1.0.0"},
		{Ref: "a", PURL: "pkg:cargo/a@1.0.0"},
		{Ref: "bad", Name: "with space"},
		{Ref: "a", PURL: "pkg:cargo/c@1.0.0"},
	}
	relations := []Relation{{"a", "b"}, {"b", "a"}, {"a", "b"}, {"a", "a"}, {"a", "bad"}, {"none", "a"}}
	d := Document(sbom.Subject{}, slices.Values(entries), slices.Values(relations))
	want := []sbom.Edge{{From: 0, To: 1}, {From: 1, To: 0}}
	if diff := cmp.Diff(want, d.Root.Edges); diff != "" || len(d.Root.Components) != 3 {
		t.Errorf("%d components, edges (-want +got):\n%s", len(d.Root.Components), diff)
	}
}

func TestDecodeJSONHoldsToTheLimits(t *testing.T) {
	l := Limits{MaxDepth: 3, MaxObjects: 4}
	for in, want := range map[string]error{
		`{"a":[{}]}`: nil, `[[[[]]]]`: ErrLimit, `[{},{},{},{},{}]`: ErrLimit, `{"a":1,"A":2}`: ErrFormat, `{"a`: ErrFormat,
	} {
		var v any
		if err := l.DecodeJSON([]byte(in), &v); !errors.Is(err, want) {
			t.Errorf("DecodeJSON(%s) = %v; want %v", in, err, want)
		}
	}
}

func TestReadAllStopsAtTheLimit(t *testing.T) {
	l := Limits{MaxBytes: 8}
	if _, _, err := l.ReadAll(strings.NewReader("123456789")); !errors.Is(err, ErrLimit) {
		t.Errorf("ReadAll of 9 bytes, limit 8: %v; want ErrLimit", err)
	}
	if got, _, err := l.ReadAll(strings.NewReader("\xef\xbb\xbfabc")); string(got) != "abc" || err != nil {
		t.Errorf("ReadAll = %q, %v; want \"abc\", nil", got, err)
	}
}
