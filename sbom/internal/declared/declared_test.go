package declared

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
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

func TestDecodeJSON(t *testing.T) {
	l := Limits{MaxDepth: 3, MaxObjects: 4}
	wide := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `,"k%d":0`, i)
		}
		return "{" + b.String()[1:] + "}"
	}
	tests := []struct {
		name, in string
		limits   Limits
		want     error
	}{
		{"within all limits", `{"a":[{}]}`, l, nil},
		{"braces in texts", `{"a":"{{{{{{{{[[[[\"{{"}`, l, nil},
		{"one key in several objects", `[{"a":{"a":1}},{"a":2}]`, l, nil},
		{"a key that is a value as well", `{"a":"b","b":"a"}`, l, nil},
		{"too deep", `[[[[]]]]`, l, ErrLimit},
		{"too many objects", `[{},{},{},{},{}]`, l, ErrLimit},
		{"too many elements", `[` + strings.Repeat("0,", 9) + `0]`, l, ErrLimit},
		{"too many members", wide(34), l, ErrLimit},
		{"a key twice", `{"a":1,"b":{"a":1},"a":2}`, l, ErrFormat},
		{"a key twice behind an object", `{"b":{"c":1},"b":1}`, l, ErrFormat},
		{"a key twice, once escaped", `{"a":1,"\u0061":2}`, l, ErrFormat},
		{"a key twice in another case", `{"name":1,"Name":2}`, l, ErrFormat},
		{"the last of many keys twice", strings.Replace(wide(100), `"k98"`, `"k99"`, 1), Limits{}, ErrFormat},
		{"many keys", wide(maxKeys), Limits{}, nil},
		{"too many keys", wide(maxKeys + 1), Limits{}, ErrLimit},
		{"no end of a text", `{"a`, l, ErrFormat},
		{"too many ends", `}}]]`, l, ErrFormat},
		{"nothing", ``, l, ErrFormat},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var v any
			if err := tt.limits.DecodeJSON([]byte(tt.in), &v); !errors.Is(err, tt.want) {
				t.Errorf("DecodeJSON(%.80q) = %v; want %v", tt.in, err, tt.want)
			}
		})
	}
}

// What passes is what the decoder takes, and names no key of any object twice.
func FuzzDecodeJSON(f *testing.F) {
	for _, in := range []string{`{"a":[{}]}`, `{"a":1,"\u0061":2}`, `[{"b":{"c":1},"B":1}]`, `{"a":"\\\"","b":[1,"a",null]}`, `{"a`, `}}`} {
		f.Add([]byte(in))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		var v any
		if err := (Limits{}).DecodeJSON(in, &v); err != nil {
			if json.Valid(in) && !errors.Is(err, ErrFormat) && !errors.Is(err, ErrLimit) {
				t.Fatalf("DecodeJSON(%q) = %v", in, err)
			}
			return
		}
		if got, want := kept(v), written(t, in); got != want {
			t.Fatalf("DecodeJSON(%q) has %d keys, the text %d", in, got, want)
		}
	})
}

// kept counts the keys of all objects in v, of which a map has each once.
func kept(v any) (n int) {
	switch v := v.(type) {
	case map[string]any:
		n = len(v)
		for _, e := range v {
			n += kept(e)
		}
	case []any:
		for _, e := range v {
			n += kept(e)
		}
	}
	return n
}

// written counts the keys of all objects in a text.
func written(t *testing.T, in []byte) (n int) {
	d := json.NewDecoder(bytes.NewReader(in))
	var objects []bool // of what is open
	var key []bool     // whether the next token is one
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return n
		}
		if err != nil {
			t.Fatal(err)
		}
		last := len(key) - 1
		switch delim, _ := token.(json.Delim); {
		case delim == '}' || delim == ']':
			objects, key = objects[:last], key[:last]
			continue
		case last >= 0 && objects[last] && key[last]:
			n++
			key[last] = false
			continue
		case last >= 0:
			key[last] = true
		}
		if delim, ok := token.(json.Delim); ok {
			objects, key = append(objects, delim == '{'), append(key, true)
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
