package search

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/wreg-project/wreg/sbom/evidence"
	"github.com/wreg-project/wreg/sbom/version"
	"github.com/wreg-project/wreg/storage/meta"
)

func TestParseRefuses(t *testing.T) {
	tests := []struct {
		query  string
		column int
		says   string
		hint   string
	}{
		{query: "capabilty:net", column: 1, says: `no operator "capabilty"`, hint: "did you mean capability:?"},
		{query: "ok lagnuage:rust", column: 4, says: `no operator "lagnuage"`, hint: "quote it"},
		{query: "language:rust", column: 1, says: `no operator "language"`, hint: "did you mean lang:?"},
		{query: "import:env", column: 1, says: "no operator", hint: "did you mean imports:?"},
		{query: "LANG:rust imprts:x", column: 11, says: `no operator "imprts"`, hint: "did you mean imports:?"},
		{query: "hidden:x", column: 1, says: "no operator", hint: "did you mean hidden-capability:?"},
		{query: "zzzzzzzz:x", column: 1, says: "no operator", hint: `"zzzzzzzz:…"`},
		{query: "lang:", column: 6, says: "lang: needs a value", hint: "for example lang:word"},
		{query: "size: <1MB", column: 6, says: "size: needs a value right behind it", hint: "size:<1MB"},
		{query: "imports:", column: 9, says: "needs a value", hint: "imports:wasi:http/types"},
		{query: "function: x", column: 10, says: "needs a value", hint: "function:sha256:"},
		{query: `ü "abc`, column: 3, says: "quote is not closed"},
		{query: `""`, column: 1, says: "nothing stands between the quotes"},
		{query: `lang:"rust"go`, column: 12, says: "a space is missing behind the quote"},
		{query: `lang:ru"st"`, column: 8, says: "a space is missing here", hint: "goes in quotes"},
		{query: "a(b)", column: 2, says: "a space is missing here"},
		{query: "(a b", column: 1, says: "this parenthesis is not closed"},
		{query: "a) b", column: 2, says: "without an opening one"},
		{query: "()", column: 2, says: "something to look for is missing"},
		{query: "a OR", column: 5, says: "something to look for is missing"},
		{query: "OR a", column: 1, says: "something to look for is missing", hint: `quote "OR"`},
		{query: "a OR OR b", column: 6, says: "something to look for is missing"},
		{query: "- a", column: 1, says: "nothing stands behind the negation"},
		{query: "a -", column: 3, says: "nothing stands behind the negation"},
		{query: "-(a", column: 2, says: "this parenthesis is not closed"},
		{query: "NOT", column: 1, says: "nothing stands behind the negation"},
		{query: "imports:wasi:*/types", column: 14, says: "* stands only at the end", hint: "quote"},
		{query: "lang:*", column: 6, says: "* alone matches everything"},
		{query: "a*", column: 1, says: "one character before * matches too much"},
		{query: "...", column: 1, says: "there is no word in this"},
		{query: "name:--", column: 6, says: "there is no word in this"},
		{query: "size:big", column: 6, says: `"big" is no number`, hint: "number of bytes"},
		{query: "size:<-1", column: 6, says: "is no number"},
		{query: "size:1..2..3", column: 6, says: "is no number"},
		{query: "size:9999999999GB", column: 6, says: "is no number"},
		{query: "size:2MB..1MB", column: 6, says: "end comes before its beginning"},
		{query: "size:..", column: 6, says: "a range without ends"},
		{query: "size:", column: 6, says: "needs a value"},
		{query: "pulls:1KB", column: 7, says: "is no number"},
		{query: "pulls:>1.5", column: 7, says: "is no number"},
		{query: "updated:yesterday", column: 9, says: "is no date", hint: "2026-01-31"},
		{query: "updated:2026-13-01", column: 9, says: "is no date"},
		{query: "digest:abc", column: 8, says: "a sha256 digest has 64 digits, this has 3", hint: "end it with *"},
		{query: "digest:md5:abcd*", column: 8, says: "is no digest"},
		{query: "digest:ab*", column: 8, says: "so few digits"},
		{query: "layer:sha256:" + strings.Repeat("a", 65), column: 7, says: "has 64 digits, this has 65"},
		{query: "function:sha256:abc", column: 10, says: "no hash of a function", hint: "32 hexadecimal digits"},
		{query: "dep:", column: 5, says: "needs a value", hint: "dep:pkg:cargo/serde@<1.0.200"},
		{query: "dep:pkg:maven/org.x/y", column: 5, says: `type "maven"`, hint: "cargo, golang"},
		{query: "dep:pkg:maven/org.x/y*", column: 5, says: `type "maven"`},
		{query: "dep:pkg:cargo", column: 5, says: "a package URL without a name"},
		{query: "x dep:pkg:cargo/serde@", column: 23, says: "a version is missing"},
		{query: "dep:pkg:cargo/serde@<one", column: 5, says: `"<one" is no range of versions`, hint: ">=1,<2"},
		{query: "dep:serde@<!", column: 5, says: "is no range of versions"},
		{query: "dep:a*b", column: 6, says: "* stands only at the end"},
		{query: "cve:CVE-2024-1", column: 1, says: "no operator", hint: "did you mean vuln:?"},
		{query: "a\x00", column: 2, says: "control character"},
		{query: "é\xff", column: 2, says: "not valid UTF-8"},
		{query: strings.Repeat("a ", 1001), column: 2001, says: "longer than 2000 bytes"},
		{query: strings.Repeat("a ", 65), column: 129, says: "more than 64 things"},
		{query: strings.Repeat("-", 17) + "a", column: 17, says: "more than 16 parentheses"},
		{query: strings.Repeat("(", 17) + "a", column: 17, says: "more than 16 parentheses"},
		{query: strings.Repeat("a-b-", 40), column: 1, says: ""},
		{query: "lang:" + strings.Repeat("x", 601), column: 6, says: "more than 600 bytes"},
		{query: "lang:" + strings.Repeat("x", 200) + "*", column: 6, says: "a beginning of more than 145 bytes"},
	}
	for _, tt := range tests {
		t.Run(tt.query[:min(len(tt.query), 40)], func(t *testing.T) {
			_, err := Parse(tt.query)
			if tt.says == "" {
				if err != nil {
					t.Fatalf("Parse(%q) = %v", tt.query, err)
				}
				return
			}
			e, ok := errors.AsType[*SyntaxError](err)
			if !ok {
				t.Fatalf("Parse(%q) = %v, want a *SyntaxError", tt.query, err)
			}
			if e.Column != tt.column || !strings.Contains(e.Message, tt.says) || !strings.Contains(e.Hint, tt.hint) {
				t.Errorf("Parse(%q) = column %d, %q, %q; want column %d, %q, %q", tt.query, e.Column, e.Message, e.Hint, tt.column, tt.says, tt.hint)
			}
			if !strings.Contains(err.Error(), e.Message) || !strings.Contains(err.Error(), e.Hint) {
				t.Errorf("Error() = %q, want message and hint in it", err)
			}
		})
	}
}

// outline writes a query as it was understood.
func outline(n node) string {
	list := func(word string, parts []node) string {
		var s []string
		for _, p := range parts {
			s = append(s, outline(p))
		}
		return "(" + word + " " + strings.Join(s, " ") + ")"
	}
	switch n := n.(type) {
	case *allOf:
		return list("and", n.parts)
	case *anyOf:
		return list("or", n.parts)
	case *notOf:
		return "(not " + outline(n.part) + ")"
	case *versionsNode:
		var s []string
		for _, r := range n.ranges {
			s = append(s, string(r.ecosystem)+" "+r.name)
		}
		return "versions of " + strings.Join(s, "|")
	case *termNode:
		s := strings.Join(n.terms, "+")
		if n.any {
			s = strings.Join(n.terms, "|")
		}
		if n.begins {
			s += "…"
		}
		return s
	case *rangeNode:
		return n.op.name
	case *functionNode:
		return "function"
	}
	return "nothing"
}

func TestParseUnderstands(t *testing.T) {
	tests := []struct{ query, want string }{
		{"", "nothing"},
		{"  ", "nothing"},
		{"a b", "(and text:a text:b)"},
		{"a OR b c OR d", "(or text:a (and text:b text:c) text:d)"},
		{"a AND b", "(and text:a text:b)"},
		{"a AND NOT b", "(and text:a (not text:b))"},
		{"(a OR b) c", "(and (or text:a text:b) text:c)"},
		{"((a))", "text:a"},
		{"-(a b)", "(not (and text:a text:b))"},
		{"--a", "(not (not text:a))"},
		{"-lang:rust", "(not lang:rust)"},
		{"or", "text:or"},
		{"ORder", "text:order"},
		{`"OR"`, "text:or"},
		{"well-known", "text:known+text:well"},
		{`"well-known"`, "text:well-known"},
		{`"Two words"`, "text:two+text:words"},
		{"fooBar2", "text:bar2+text:foo"},
		{"C++", "text:c++"},
		{"naïve ＷＡＳＭ", "(and text:naïve text:wasm)"},
		{`lang:"Rust"`, "lang:rust"},
		{`lang:"ru*"`, "lang:ru*"},
		{"lang:ru*", "lang:ru…"},
		{`tool:"Go  cmd/compile"`, "tool:go-cmd/compile"},
		{"ns:team", "within:team"},
		{"declared:net", "capability:net"},
		{"imports:wasi:http/types", "imports:wasi:http/types"},
		{"imports:wasi:http/*", "imports:wasi:http/*"},
		{"imports:wasi:*", "imports:wasi:*"},
		{"imports:wasi*", "imports:wasi…"},
		{"Imports:ENV/Abort", "imports:env/abort"},
		{"digest:sha256:" + strings.Repeat("AB", 32), "digest:sha256:" + strings.Repeat("ab", 16)},
		{"digest:" + strings.Repeat("ab", 20) + "*", "digest:sha256:" + strings.Repeat("ab", 16)},
		{"digest:abcd*", "digest:sha256:abcd…"},
		{"size:<1MB", "size"},
		{"function:sha256:0123456789ABCDEF0123456789abcdef", "function"},
		{"signed:true", "signed:true"},
		{"dep:serde", "dep:serde"},
		{"dep:@scope/name", "dep:@scope/name"},
		{"dep:pkg:cargo/serde", "dep:pkg:cargo/serde"},
		{"dep:PKG:Cargo/Serde@1.0.190", "dep:pkg:cargo/serde@1.0.190"},
		{"dep:pkg:npm/%40scope/name@1.0.0", "dep:pkg:npm/@scope/name@1.0.0"},
		{"dep:pkg:npm/@scope/name", "dep:pkg:npm/@scope/name"},
		{"dep:pkg:pypi/Zope.Interface", "dep:pkg:pypi/zope-interface"},
		{"dep:pkg:golang/golang.org/x/net@0.1.0?type=module#html", "dep:pkg:golang/golang.org/x/net@0.1.0|dep:pkg:golang/golang.org/x/net@v0.1.0"},
		{
			"dep:pkg:golang/golang.org/x/net@v20.1.0%2Bincompatible",
			"dep:pkg:golang/golang.org/x/net@20.1.0+incompatible|dep:pkg:golang/golang.org/x/net@v20.1.0+incompatible",
		},
		{"dep:pkg:cargo/*", "dep:pkg:cargo/*"},
		{"dep:pkg:cargo/serde_*", "dep:pkg:cargo/serde_…"},
		{"dep:pkg:cargo/serde@1.0*", "dep:pkg:cargo/serde@1.0…"},
		{"dep:pkg:cargo/serde@<1.0.200", "versions of cargo serde"},
		{"dep:pkg:cargo/serde@>=1,<2", "versions of cargo serde"},
		{`dep:"pkg:cargo/serde@>=1 <2 || ^3"`, "versions of cargo serde"},
		{"dep:pkg:cargo/serde@1.*", "versions of cargo serde"},
		{"dep:pkg:npm/%40scope/name@^1", "versions of npm @scope/name"},
		{"dep:pkg:generic/wasi/http@<0.3", "versions of generic wasi/http|wit wasi:http"},
		{"dep:serde@^1.0", "versions of cargo serde|golang serde|npm serde|pypi serde|gem serde|hackage serde|nuget serde|composer serde|generic serde|wit serde"},
		{"a\tb\nc", "(and text:a text:b text:c)"},
	}
	for _, tt := range tests {
		t.Run(tt.query, func(t *testing.T) {
			q, err := Parse(tt.query)
			if err != nil {
				t.Fatalf("Parse(%q) = %v", tt.query, err)
			}
			if got := outline(q.root); got != tt.want {
				t.Errorf("Parse(%q) = %s, want %s", tt.query, got, tt.want)
			}
			if q.String() != tt.query {
				t.Errorf("String() = %q, want %q", q, tt.query)
			}
		})
	}
}

func TestRanges(t *testing.T) {
	tests := []struct {
		query     string
		low, high int64
	}{
		{"size:5", 5, 5},
		{"size:=5b", 5, 5},
		{"size:<1KB", lowest, 999},
		{"size:<=1KiB", lowest, 1024},
		{"size:>1.5MB", 1_500_001, highest},
		{"size:>=2g", 2_000_000_000, highest},
		{"size:1..2", 1, 2},
		{"size:..2", lowest, 2},
		{"size:1..", 1, highest},
		{"pulls:>100", 101, highest},
		{"updated:2026-01-31", 1769817600, 1769903999},
		{"updated:>2026-01-31", 1769904000, highest},
		{"updated:<2026", lowest, 1767225599},
		{"updated:2026-02", 1769904000, 1772323199},
		{"updated:<=2026-01-31t12:00:00z", lowest, 1769860800},
		{"updated:2025..2026-01", 1735689600, 1769903999},
	}
	for _, tt := range tests {
		q := mustParse(t, tt.query)
		n, ok := q.root.(*rangeNode)
		if !ok || n.low != tt.low || n.high != tt.high {
			t.Errorf("Parse(%q) = %+v, want from %d to %d", tt.query, q.root, tt.low, tt.high)
		}
	}
}

func TestTokens(t *testing.T) {
	tests := []struct {
		text string
		want []string // identifiers with their parts
	}{
		{"Hello, world!", []string{"hello = hello", "world = world"}},
		{"wasm-bindgen's", []string{"wasm-bindgen = bindgen wasm", "s = s"}},
		{"wasi:http/types@0.2.3.", []string{"wasi:http/types@0.2.3 = http types wasi"}},
		{"camelCaseHTTPServer", []string{"camelcasehttpserver = camel case httpserver"}},
		{"a-b", []string{"a-b = a-b"}},
		{"C++ and C#", []string{"c++ = c++", "and = and", "c# = c#"}},
		{"ﬁne Ｗide Σίσυφος", []string{"fine = fine", "wide = wide", "σίσυφος = σίσυφος"}},
		{"日本語 テスト", []string{"日本語 = 日本語", "テスト = テスト"}},
		{"bad\xffbytes", []string{"bad = bad", "bytes = bytes"}},
		{"--- … !", nil},
		{strings.Repeat("x", maxWord+1), []string{strings.Repeat("x", maxWord+1) + " = " + strings.Repeat("x", maxWord+1)}},
	}
	for _, tt := range tests {
		var got []string
		tokens(tt.text, func(whole string, parts []string) bool {
			got = append(got, whole+" = "+strings.Join(parts, " "))
			return true
		})
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("tokens(%q): want -, got +\n%s", tt.text, diff)
		}
	}
}

// What ParseDependency finds in a list of components is what dep: finds, and what
// it asks the index for has it.
func TestParseDependency(t *testing.T) {
	coordinate := func(eco evidence.Ecosystem, name, v string) meta.Coordinate {
		key, _ := version.Key(eco, v)
		return meta.Coordinate{Ecosystem: string(eco), Name: name, Version: v, Class: "proven", Key: key}
	}
	stored := []meta.Coordinate{
		coordinate(evidence.Cargo, "serde", "1.0.190"), coordinate(evidence.Cargo, "serde", ""), coordinate(evidence.NPM, "serde", "2.0.0"),
		coordinate(evidence.Go, "golang.org/x/net", "v0.17.0"), coordinate(evidence.Cargo, "serde", "odd!"),
		coordinate(evidence.PyPI, "zope-interface", "6.0"), coordinate(evidence.WIT, "wasi:http", "0.2.0"),
	}
	tests := []struct {
		text string
		want []int // of stored
	}{
		{"serde", []int{0, 1, 2, 4}},
		{"pkg:cargo/serde", []int{0, 1, 4}},
		{"pkg:cargo/serde@1.0.190", []int{0}},
		{"pkg:cargo/serde@odd!", []int{4}},
		{"pkg:cargo/serde@<1.0.190", nil},
		{"pkg:cargo/serde@<=1.0.190", []int{0}},
		{"serde@>=1", []int{0, 2}},
		{"pkg:golang/golang.org/x/net@0.17.0", []int{3}},
		{"golang.org/x/net@<0.18", []int{3}},
		{"pkg:pypi/Zope.Interface@*", []int{5}},
		{"pkg:generic/wasi/http@0.2.*", []int{6}},
		{"pkg:npm/other", nil},
	}
	for _, tt := range tests {
		d, err := ParseDependency(tt.text)
		if err != nil {
			t.Errorf("ParseDependency(%q) = %v", tt.text, err)
			continue
		}
		var got []int
		for i, c := range stored {
			if slices.ContainsFunc(d.Stored(), func(r meta.PackageRange) bool { return holds(r, c) }) && d.Has(c) {
				got = append(got, i)
			}
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("ParseDependency(%q): want -, got +\n%s", tt.text, diff)
		}
	}
	for _, text := range []string{"", "  ", "pkg:maven/a", "pkg:cargo/", "a@", "pkg:cargo/a@<x", "a\x00", strings.Repeat("a", maxValue+1)} {
		if _, err := ParseDependency(text); err == nil {
			t.Errorf("ParseDependency(%q) succeeded", text)
		}
	}
}

// holds reports whether the index gives a coordinate for a range.
func holds(r meta.PackageRange, c meta.Coordinate) bool {
	return r.Ecosystem == c.Ecosystem && r.Name == c.Name && (len(c.Key) == 0 ||
		bytes.Compare(r.Low, c.Key) <= 0 && (len(r.High) == 0 || bytes.Compare(c.Key, r.High) < 0))
}

func TestLongTermsAreCutAndStayApart(t *testing.T) {
	long := strings.Repeat("é", 200)
	a, b := term("imports:", long+"a"), term("imports:", long+"b")
	for _, s := range []string{a, b} {
		if len(s) > maxTerm || !utf8.ValidString(s) || len(s) > meta.MaxTerm {
			t.Errorf("term() = %q of %d bytes, want valid UTF-8 of at most %d", s, len(s), maxTerm)
		}
	}
	if a == b {
		t.Errorf("two values of %d bytes have the term %q", len(long)+1, a)
	}
}

// FuzzParse: what is refused names a column within the query; what is understood
// is within bounds, and its terms can be stored.
func FuzzParse(f *testing.F) {
	for _, q := range seedQueries {
		f.Add(q)
	}
	f.Fuzz(func(t *testing.T, text string) {
		q, err := Parse(text)
		if err != nil {
			e, ok := errors.AsType[*SyntaxError](err)
			if !ok || e.Column < 1 || e.Column > utf8.RuneCountInString(text)+1 || e.Message == "" {
				t.Fatalf("Parse(%q) = %#v, want a *SyntaxError with a column in it", text, err)
			}
			return
		}
		clauses := 0
		walkNodes(q.root, 0, func(n node, depth int) {
			s := n.where()
			if s.from < 0 || s.from >= s.to || s.to > len(text) || depth > 3*MaxDepth+3 {
				t.Fatalf("Parse(%q) has a part at %+v, depth %d", text, s, depth)
			}
			switch n := n.(type) {
			case *allOf, *anyOf, *notOf:
			case *termNode:
				clauses++
				for _, term := range n.terms {
					if len(term) > meta.MaxTerm || !utf8.ValidString(term) || strings.IndexByte(term, 0) >= 0 {
						t.Fatalf("Parse(%q) looks for %q, which is no term", text, term)
					}
				}
			case *versionsNode:
				clauses++
				if len(n.ranges) == 0 {
					t.Fatalf("Parse(%q) looks for no range", text)
				}
				for _, r := range n.ranges {
					r.stored()
				}
			case *rangeNode:
				clauses++
				if n.low > n.high && n.low != n.high+1 {
					t.Fatalf("Parse(%q) looks from %d to %d", text, n.low, n.high)
				}
			default:
				clauses++
			}
		})
		if clauses > MaxClauses {
			t.Fatalf("Parse(%q) has %d clauses, want at most %d", text, clauses, MaxClauses)
		}
	})
}

func walkNodes(n node, depth int, f func(node, int)) {
	if n == nil {
		return
	}
	f(n, depth)
	switch n := n.(type) {
	case *allOf:
		for _, p := range n.parts {
			walkNodes(p, depth+1, f)
		}
	case *anyOf:
		for _, p := range n.parts {
			walkNodes(p, depth+1, f)
		}
	case *notOf:
		walkNodes(n.part, depth+1, f)
	}
}

var seedQueries = []string{
	"", "http proxy", `"quoted words"`, "name:jq lang:rust", "imports:wasi:sockets/* exports:wasi:http/incoming-handler@0.2.3",
	"capability:net size:<1MB -signed:true feature:simd updated:>2026-01-01",
	"function:sha256:0123456789abcdef0123456789abcdef", "(a OR b) -(c d)", "NOT a AND b", "size:1KB..2MiB pulls:..5",
	"digest:sha256:0123456789abcdef*", `tool:"Go cmd/compile"`, "lang:", "((", "-", "a*b", `"`, "size:>", "OR", "é:ü",
	"dep:pkg:cargo/serde@>=1,<2 vuln:CVE-2024-1234", "dep:pkg:npm/%40a/b@1.*", `dep:"pkg:pypi/x@~=1.2 || <1"`, "dep:@a/b@1", "dep:x@",
}

func TestSeedsAreKept(t *testing.T) {
	kept, err := filepath.Glob(filepath.Join("testdata", "fuzz", "FuzzParse", "*"))
	if err != nil || len(kept) < 10 {
		t.Errorf("%d seeds of FuzzParse in testdata, %v; want 10 or more", len(kept), err)
	}
	for _, name := range kept {
		b, err := os.ReadFile(name)
		if err != nil || !strings.HasPrefix(string(b), "go test fuzz v1\nstring(") {
			t.Errorf("%s holds %.40q, %v; want a seed", name, b, err)
		}
	}
}
