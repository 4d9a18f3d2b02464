package licence

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/github/go-spdx/v2/spdxexp"
	"github.com/google/go-cmp/cmp"
)

func TestNormalise(t *testing.T) {
	tests := []struct {
		name, in, want string
		err            error
	}{
		{"one licence", "MIT", "MIT", nil},
		{"any case", "mit or apache-2.0", "MIT OR Apache-2.0", nil},
		{"the slash of old crates", "MIT/Apache-2.0", "MIT OR Apache-2.0", nil},
		{"needless parentheses", "((MIT) OR (ISC AND (BSD-3-Clause)))", "MIT OR ISC AND BSD-3-Clause", nil},
		{"needed parentheses", "MIT AND (ISC OR Zlib)", "MIT AND (ISC OR Zlib)", nil},
		{"an exception", "apache-2.0 with llvm-exception", "Apache-2.0 WITH LLVM-exception", nil},
		{"a deprecated GNU licence", "GPL-2.0", "GPL-2.0-only", nil},
		{"a deprecated GNU licence and later", "LGPL-2.1+", "LGPL-2.1-or-later", nil},
		{"a licence and later", "apache-1.1+", "Apache-1.1+", nil},
		{"a reference", "LicenseRef-ours.1", "LicenseRef-ours.1", nil},
		{"a reference to another document", "DocumentRef-d:LicenseRef-x", "DocumentRef-d:LicenseRef-x", nil},

		{"nothing", "", "", ErrSyntax},
		{"free text", "see LICENSE", "", ErrUnknown},
		{"an operator first", "AND MIT", "", ErrSyntax},
		{"an operator last", "MIT OR", "", ErrSyntax},
		{"two licences without an operator", "MIT ISC", "", ErrSyntax},
		{"an open parenthesis", "(MIT", "", ErrSyntax},
		{"a closing parenthesis", "MIT)", "", ErrSyntax},
		{"an unknown exception", "MIT WITH luck", "", ErrUnknown},
		{"a reference with markup", "LicenseRef-<b>", "", ErrUnknown},
		{"a licence that asserts nothing", "NOASSERTION", "", ErrUnknown},
		{"too many bytes", strings.Repeat(" ", MaxLength) + "MIT", "", ErrLimit},
		{"too many parentheses", strings.Repeat("(", MaxDepth+1) + "MIT" + strings.Repeat(")", MaxDepth+1), "", ErrLimit},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Normalise(tt.in)
			if got != tt.want || !errors.Is(err, tt.err) {
				t.Errorf("Normalise(%q) = %q, %v; want %q, %v", tt.in, got, err, tt.want, tt.err)
			}
		})
	}
}

// satisfies reports whether a user who accepts only the allowed licences may use
// something under the expression.
func satisfies(allowed []string, expression string) (bool, error) {
	e, err := Parse(expression)
	if err != nil {
		return false, err
	}
	a, err := Allow(allowed)
	if err != nil {
		return false, err
	}
	return a.Satisfy(e), nil
}

func TestSatisfies(t *testing.T) {
	choices := "(MIT OR ISC)" + strings.Repeat(" AND (MIT OR ISC)", 60)
	tests := []struct {
		name    string
		allowed []string
		expr    string
		want    bool
	}{
		{"the licence itself", []string{"MIT"}, "MIT", true},
		{"another licence", []string{"MIT"}, "ISC", false},
		{"nothing is allowed", nil, "MIT", false},
		{"one side of a choice", []string{"Apache-2.0"}, "MIT OR Apache-2.0", true},
		{"one side of both", []string{"Apache-2.0"}, "MIT AND Apache-2.0", false},
		{"both", []string{"Apache-2.0", "MIT"}, "MIT AND Apache-2.0", true},
		{"a later version", []string{"Apache-1.0+"}, "Apache-2.0", true},
		{"the choice of a later version", []string{"GPL-3.0-only"}, "GPL-2.0-or-later", true},
		{"no later version", []string{"GPL-3.0-only"}, "GPL-2.0-only", false},
		{"an exception that is not allowed", []string{"GPL-2.0-only"}, "GPL-2.0-only WITH Classpath-exception-2.0", false},
		{"an exception that is allowed", []string{"GPL-2.0-only WITH Classpath-exception-2.0"}, "GPL-2.0 WITH Classpath-exception-2.0", true},
		{"a family", []string{"permissive"}, "MIT AND (BSD-2-Clause OR GPL-3.0-only)", true},
		{"not the family", []string{"permissive"}, "MIT AND GPL-3.0-only", false},
		{"a reference", []string{"LicenseRef-ours"}, "LicenseRef-ours", true},
		{"sixty choices", []string{"ISC"}, choices, true},
		{"sixty choices of nothing allowed", []string{"Zlib"}, choices, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := satisfies(tt.allowed, tt.expr)
			if got != tt.want || err != nil {
				t.Errorf("satisfies(%q, %.80q) = %t, %v; want %t, nil", tt.allowed, tt.expr, got, err, tt.want)
			}
		})
	}
	for _, bad := range []string{"MIT OR ISC", "nobody's", ""} {
		if ok, err := satisfies([]string{bad}, "MIT"); err == nil {
			t.Errorf("satisfies([%q], \"MIT\") = %t, nil; want an error: the allowed entry is not one licence", bad, ok)
		}
	}
}

// The short ways of Allowed give the answers of go-spdx: for every two licences of
// one name, in this version or later ones.
func TestAllowedKnowsVersionsAsTheLibraryDoes(t *testing.T) {
	names := map[string][]string{}
	for _, id := range lists().licences {
		for _, text := range []string{id, id + "+"} {
			if text, err := Normalise(text); err == nil && !slices.Contains(names[stem(text)], text) {
				names[stem(text)] = append(names[stem(text)], text)
			}
		}
	}
	pairs := 0
	for _, list := range names {
		if len(list) > 24 { // the many of Creative Commons, and of BSD
			list = list[:24]
		}
		for _, allowed := range list {
			for _, text := range list {
				pairs++
				want, err := spdxexp.Satisfies(text, []string{allowed})
				if got, fault := satisfies([]string{allowed}, text); got != want || err != nil || fault != nil {
					t.Errorf("satisfies([%s], %s) = %t, %v; want %t, %v", allowed, text, got, fault, want, err)
				}
			}
		}
	}
	if pairs < 1000 {
		t.Errorf("%d pairs; want thousands", pairs)
	}
}

// Two thousand components are weighed by ten licences.
func BenchmarkSatisfy(b *testing.B) {
	list := []string{"MIT", "Apache-2.0", "BSD-3-Clause", "ISC", "Zlib", "BSD-2-Clause", "Unicode-3.0", "0BSD", "CC0-1.0", "GPL-2.0-or-later"}
	a, err := Allow(list)
	if err != nil {
		b.Fatal(err)
	}
	e, err := Parse("(MIT OR Apache-2.0) AND GPL-3.0-only")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		for range 2000 {
			if !a.Satisfy(e) {
				b.Fatal("Satisfy = false")
			}
		}
	}
}

func TestFamilies(t *testing.T) {
	tests := []struct {
		expr string
		want []Family
	}{
		{"MIT", []Family{Permissive}},
		{"MIT-0", []Family{PublicDomain}},
		{"MITNFA", []Family{Unclassified}},
		{"0BSD OR AGPL-3.0-only AND LGPL-2.1+", []Family{PublicDomain, WeakCopyleft, Network}},
		{"BUSL-1.1", []Family{Restricted}},
		{"BSL-1.0", []Family{Permissive}},
		{"CC-BY-4.0 OR CC-BY-SA-4.0 OR CC-BY-NC-4.0", []Family{Permissive, StrongCopyleft, Restricted}},
		{"GPL-2.0-only WITH Classpath-exception-2.0", []Family{StrongCopyleft}},
		{"LicenseRef-x", []Family{Unclassified}},
	}
	for _, tt := range tests {
		e, err := Parse(tt.expr)
		if got := e.Families(); err != nil || !cmp.Equal(got, tt.want) {
			t.Errorf("Parse(%q).Families() = %v, %v; want %v", tt.expr, got, err, tt.want)
		}
	}
}

// Each prefix must be that of a licence of the list, or it says nothing.
func TestPrefixesAreOfTheList(t *testing.T) {
	used := map[Family]int{}
	for prefix, family := range prefixes {
		for _, id := range lists().licences {
			if strings.HasPrefix(id, prefix) && FamilyOf(id) == family {
				used[family]++
				prefix = ""
				break
			}
		}
		if prefix != "" {
			t.Errorf("prefix %q files no licence of the list under %q", prefix, family)
		}
	}
	if len(used) != len(All)-1 {
		t.Errorf("the table has %d families; want %d", len(used), len(All)-1)
	}
}

func TestJoin(t *testing.T) {
	got, all := Join([]string{"MIT/Apache-2.0", "what ever", "isc AND Zlib"})
	if want := "(MIT OR Apache-2.0) AND ISC AND Zlib"; got != want || all {
		t.Errorf("Join = %q, %t; want %q, false", got, all, want)
	}
	if got, all := Join(nil); got != "" || !all {
		t.Errorf("Join(nil) = %q, %t; want \"\", true", got, all)
	}
}

func TestLicences(t *testing.T) {
	e, err := Parse("MIT OR (ISC AND MIT) OR GPL-2.0 WITH Classpath-exception-2.0")
	want := []string{"GPL-2.0-only WITH Classpath-exception-2.0", "ISC", "MIT"}
	if diff := cmp.Diff(want, e.Licences()); err != nil || diff != "" {
		t.Errorf("Licences, %v (-want +got):\n%s", err, diff)
	}
}

// FuzzParse: the normal form of what parses parses to itself, and is satisfied
// by its own licences.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"MIT", "MIT/Apache-2.0", "(MIT OR ISC) AND Zlib", "GPL-2.0+ WITH Classpath-exception-2.0", "LicenseRef-x",
		"DocumentRef-a:LicenseRef-b", "((((", "MIT OR OR",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		e, err := Parse(s)
		if err != nil {
			return
		}
		again, err := Parse(e.String())
		if err != nil || again.String() != e.String() {
			t.Fatalf("%q is %q, which is read as %q, %v", s, e, again, err)
		}
		if ok, err := satisfies(e.Licences(), s); !ok || err != nil {
			t.Fatalf("satisfies(%q, %q) = %t, %v; want true, nil", e.Licences(), s, ok, err)
		}
	})
}
