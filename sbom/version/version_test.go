package version

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/Masterminds/semver/v3"

	"github.com/wreg-project/wreg/sbom/evidence"
)

// ladders are versions of each ecosystem in their order; those with spaces
// between are one and the same.
var ladders = []struct {
	name string
	eco  evidence.Ecosystem
	rows []string
}{
	{"the example of Semantic Versioning, clause 11", evidence.Cargo, []string{
		"0.0.0-0 0.0.0-00", "0.0.0-0.0", "0.0.0 0 0.0", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2",
		"1.0.0-beta.11", "1.0.0-rc.1", "1.0.0 1 1.0 v1.0.0 1.0.0+a 1.0.0+b-1.2", "1.0.1", "1.0.10", "1.2.0", "1.10.0", "2.0.0",
		"18446744073709551616.0.0", "18446744073709551617.0.0",
	}},
	{"npm with a v", evidence.NPM, []string{"v1.0.0-0", "v1.0.0-a.b-c", "1.0.0 v1.0.0"}},
	{"pseudo-versions of Go are where they were made", evidence.Go, []string{
		"v0.0.0-20191109021931-daa7c04131f5", "v0.0.0-20220101000000-000000000000", "v0.1.0", "v1.2.3-pre",
		"v1.2.3-pre.0.20220101000000-abcdefabcdef",
		"v1.2.3", "v1.2.4-0.20220101000000-abcdefabcdef", "v1.2.4 1.2.4 v1.2.4+incompatible", "v2.0.0+incompatible",
	}},
	{"releases of Go itself", evidence.Go, []string{
		"1.18.5 go1.18.5 v1.18.5", "go1.20 1.20 go1.20.0 1.20.0", "1.21.0-0", "go1.21beta1 1.21.0-beta.1", "go1.21rc2 1.21rc2 1.21.0-rc.2",
		"go1.21rc10", "go1.21.0 go1.21.0-corp", "go1.22.5 go1.22.5 1.22.5", "1.23.0",
	}},
	{"the order of PEP 440", evidence.PyPI, []string{
		"1.dev0 1.0.dev0 1.DEV", "1.0.dev456", "1.0a1.dev1", "1.0a1 1.0.alpha-1 1.0-a_1", "1.0a2.dev456", "1.0a12.dev456",
		"1.0a12", "1.0b1.dev456", "1.0b2",
		"1.0b2.post345.dev456", "1.0b2.post345", "1.0rc1.dev456", "1.0rc1 1.0c1 1.0-pre1 1.0preview1", "1.0 1 1.0.0 v1.0 0!1.0",
		"1.0+abc.5", "1.0+abc.7 1.0+abc-7 1.0+ABC_7",
		"1.0+5", "1.0+5.a", "1.0.post456.dev34", "1.0.post456 1.0-456 1.0.rev456 1.0r456", "1.0.15", "1.1.dev1", "1.1", "1.10", "1!0.1",
	}},
	{"gems", evidence.Gem, []string{
		"0.9", "1.0.a 1.a", "1.0.a.2", "1.0.b1 1.0.b.1 1.0.0.b.1.0", "1.0.pre.1 1.0-1", "1.0 1 1.0.0", "1.0.0.1", "1.0.1",
		"1.1.rc1 1.1.0.rc1", "1.1", "1.10",
	}},
	{"Haskell, where a zero more is later", evidence.Hackage, []string{"0.9", "1", "1.0 1.0-tag", "1.0.0", "1.0.1", "1.1", "1.10", "2"}},
	{"NuGet with four numbers", evidence.NuGet, []string{
		"1.0.0-alpha 1.0-ALPHA", "1.0.0-beta.2", "1.0.0-beta.10", "1 1.0 1.0.0 1.0.0.0 1.0.0+x", "1.0.0.1", "9.0.0.0", "10.0.12+95017c71",
	}},
	{"Composer's stabilities", evidence.Composer, []string{
		"1.0.0-dev", "1.0-alpha 1.0.0-a", "1.0.0-alpha2 1.0.0a2", "1.0.0-beta1-dev", "1.0.0-beta1", "1.0.0-beta1.1",
		"1.0.0-RC1 1.0.0-rc.1", "v1 1.0 1.0.0.0 1.0.0-stable",
		"1.0.0-p1 1.0.0-patch1", "1.0.0.1", "1.0.1", "2010.1.2",
	}},
	{"C libraries", evidence.Generic, []string{
		"0.9.8zh", "1.1.1-dev", "1.1.1-alpha1", "1.1.1-pre9 1.1.1pre9", "1.1.1rc1", "1.1.1 v1.1.1 1.1.1.0 1.1.1+dfsg", "1.1.1a",
		"1.1.1t", "1.1.1.1 1.1.1-1", "1.1.2",
		"3.14.0rc1 3.14rc1", "3.14.0", "3.14.2",
	}},
}

func TestOrder(t *testing.T) {
	for _, tt := range ladders {
		t.Run(tt.name, func(t *testing.T) {
			type rung struct {
				v string
				n int
			}
			var all []rung
			for n, row := range tt.rows {
				for v := range strings.FieldsSeq(row) {
					all = append(all, rung{v, n})
				}
			}
			for _, a := range all {
				for _, b := range all {
					want := min(1, max(-1, a.n-b.n))
					got, err := Compare(tt.eco, a.v, b.v)
					if err != nil || got != want {
						t.Errorf("Compare(%s, %q, %q) = %d, %v; want %d", tt.eco, a.v, b.v, got, err, want)
					}
				}
			}
		})
	}
}

func TestNotVersions(t *testing.T) {
	long := strings.Repeat("1", MaxLen+1)
	tests := []struct {
		name string
		eco  evidence.Ecosystem
		in   []string
	}{
		{"cargo", evidence.Cargo, []string{
			"", " ", "x", "v", "1.2.3.4", "1.2.3-", "1.2.3+", "1.2.3-a..b", "1.2.3-é", "1.", "-1",
			"1.2.3 4", long,
		}},
		{"golang", evidence.Go, []string{
			"(devel)", "go", "devel go1.23-abc", "go1rc1", "go1.21rc", "v1.21rc2", "go1.21foo1",
			"go1.2.3.4", "v1.2.3-\x00",
		}},
		{"pypi", evidence.PyPI, []string{"main", "1.0-", "1.0+", "1..0", "1.0.x", "!1"}},
		{"gem", evidence.Gem, []string{"1" + strings.Repeat("a1", 120), "a", "1..0", "1.", "1_0", "1.0.é"}},
		{"hackage", evidence.Hackage, []string{"1.", "v1", "1.a", "1-"}},
		{"nuget", evidence.NuGet, []string{"1.2.3.4.5", "a"}},
		{"composer", evidence.Composer, []string{"dev-main", "1.2.3.4.5", "1.0-foo", "1.x-dev"}},
		{"generic", evidence.Generic, []string{"OpenSSL", "1 2", "1/2", "+1"}},
		{"an ecosystem without versions", "swift", []string{"1.0.0"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, in := range tt.in {
				if v, err := Parse(tt.eco, in); !errors.Is(err, ErrVersion) {
					t.Errorf("Parse(%s, %q) = %q, %v; want %v", tt.eco, in, v, err, ErrVersion)
				}
				if _, err := Compare(tt.eco, "1", in); !errors.Is(err, ErrVersion) {
					t.Errorf("Compare(%s, 1, %q) gives %v; want %v", tt.eco, in, err, ErrVersion)
				}
			}
		})
	}
}

func TestRanges(t *testing.T) {
	tests := []struct {
		name  string
		eco   evidence.Ecosystem
		parse func(evidence.Ecosystem, string) (Range, error)
		in    string
		has   string
		not   string
	}{
		{"below", evidence.Cargo, ParseRange, "<1.0.200", "0.1.0 1.0.199 1.0.200-rc.1", "1.0.200 2.0.0 x"},
		{"at most", evidence.Cargo, ParseRange, "<= 1.2.3", "1.2.3 1.2.3+b", "1.2.4-0 1.2.4"},
		{"above and below", evidence.NPM, ParseRange, ">1,<2", "1.0.1 1.9.9", "1.0.0 2.0.0"},
		{"spaces between", evidence.NPM, ParseRange, ">= 1 < 2", "1.0.0", "0.9.9 2.0.0"},
		{"a version alone", evidence.Cargo, ParseRange, "1.2.3", "1.2.3", "1.2.4 1.2.3-a"},
		{"a requirement of cargo alone", evidence.Cargo, ParseRequirement, "1.2.3", "1.2.3 1.9.0", "1.2.2 2.0.0-rc.1 2.0.0"},
		{"a caret below 1", evidence.Cargo, ParseRequirement, "^0.2.3", "0.2.3 0.2.9", "0.3.0 0.2.2"},
		{"a caret below 0.1", evidence.Cargo, ParseRequirement, "0.0.3", "0.0.3", "0.0.4 0.0.2"},
		{"a caret with one number", evidence.Cargo, ParseRequirement, "0", "0.0.1 0.9.0", "1.0.0"},
		{"a caret with two zeros", evidence.Cargo, ParseRequirement, "0.0", "0.0.9", "0.1.0"},
		{"a tilde", evidence.Cargo, ParseRequirement, "~1.2.3", "1.2.3 1.2.9", "1.3.0 1.2.2"},
		{"a tilde with one number", evidence.Cargo, ParseRequirement, "~1", "1.0.0 1.9.0", "2.0.0"},
		{"exactly, in cargo", evidence.Cargo, ParseRequirement, "=1.2.3", "1.2.3", "1.2.4"},
		{"any", evidence.Cargo, ParseRequirement, "*", "0.0.0-0 99.0.0", "x"},
		{"a series", evidence.Cargo, ParseRequirement, "1.2.*", "1.2.0 1.2.9", "1.3.0 1.1.9"},
		{"alternatives of npm", evidence.NPM, ParseRequirement, "1.x || >=2.5.0 || 5.0.0", "1.9.0 2.5.0", "2.4.0 0.9.0"},
		{"a compatible release", evidence.PyPI, ParseRequirement, "~=2.2.1", "2.2.1 2.2.9", "2.3 2.2.0"},
		{"a series of Python", evidence.PyPI, ParseRequirement, "==1.1.*,!=1.1.5", "1.1 1.1.9", "1.2.dev0 1.1.5 1.1.5.0"},
		{"a pessimistic requirement", evidence.Gem, ParseRequirement, "~> 2.2", "2.2 2.9", "3.0 2.1 3.0.a"},
		{"pseudo-versions", evidence.Go, ParseRange, "<v0.0.0-20220101000000-000000000000", "v0.0.0-20211231000000-ffffffffffff", "v0.1.0"},
		{"nothing can hold", evidence.Go, ParseRange, "<1,>2", "", "v1.5.0 v0.5.0 v3.0.0"},
		{
			"a number of any length", evidence.Cargo, ParseRange, "^99999999999999999999.1", "99999999999999999999.2.0",
			"100000000000000000000.0.0",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, err := tt.parse(tt.eco, tt.in)
			if err != nil {
				t.Fatalf("parse(%s, %q) gives %v", tt.eco, tt.in, err)
			}
			for v := range strings.FieldsSeq(tt.has) {
				if !r.Contains(v) {
					t.Errorf("%q does not contain %q", tt.in, v)
				}
			}
			for v := range strings.FieldsSeq(tt.not) {
				if r.Contains(v) {
					t.Errorf("%q contains %q", tt.in, v)
				}
			}
		})
	}
}

func TestNotRanges(t *testing.T) {
	for _, in := range []string{
		"", "||", "<", "1 ||", ">=a", "^", "1.*.2", "~=1", "<1,,>", strings.Repeat("<1,", 400), strings.Repeat("<1 ", 65),
	} {
		if r, err := ParseRange(evidence.PyPI, in); !errors.Is(err, ErrRange) && !errors.Is(err, ErrVersion) {
			t.Errorf("ParseRange(pypi, %.20q) = %v, %v; want %v or %v", in, r.Intervals(), err, ErrRange, ErrVersion)
		}
	}
}

func TestOverlaps(t *testing.T) {
	tests := []struct {
		name string
		a, b string
		want bool
	}{
		{"a caret reaches into what is affected", "^1.0", "<1.5", true},
		{"a caret starts where the fix is", "^1.5", "<1.5", false},
		{"the last one counts", ">=1.5", "<=1.5", true},
		{"two of two stretches", "<1 || >3", ">2,<3 || >4", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, errA := ParseRequirement(evidence.Cargo, tt.a)
			b, errB := ParseRange(evidence.Cargo, tt.b)
			if got := a.Overlaps(b.Intervals()); got != tt.want || errA != nil || errB != nil {
				t.Errorf("%q overlaps %q = %v, %v, %v; want %v", tt.a, tt.b, got, errA, errB, tt.want)
			}
		})
	}
}

// The order of keys is a total order by nature. What has to be shown is that it
// is the ecosystem's: semantic versions are compared with another implementation,
// and for the others the laws hold that every scheme here has.
func FuzzVersion(f *testing.F) {
	ecosystems := []evidence.Ecosystem{
		evidence.Cargo, evidence.Go, evidence.NPM, evidence.PyPI, evidence.Gem, evidence.Hackage,
		evidence.NuGet, evidence.Composer, evidence.Generic, evidence.WIT,
	}
	for _, l := range ladders {
		for i := 1; i < len(l.rows); i++ {
			f.Add(strings.Fields(l.rows[i-1])[0], strings.Fields(l.rows[i])[0])
		}
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		for _, eco := range ecosystems {
			ka, okA := Key(eco, a)
			kb, okB := Key(eco, b)
			if len(ka) > MaxKey || okA == (len(ka) == 0) {
				t.Fatalf("Key(%s, %q) has %d bytes", eco, a, len(ka))
			}
			if !okA || !okB {
				continue
			}
			got, err := Compare(eco, a, b)
			back, errBack := Compare(eco, b, a)
			if err != nil || errBack != nil || got != bytes.Compare(ka, kb) || got != -back {
				t.Fatalf("Compare(%s, %q, %q) = %d, %v, and %d, %v the other way round; keys say %d",
					eco, a, b, got, err, back, errBack, bytes.Compare(ka, kb))
			}
			if !bytes.Equal(ka, kb) && (bytes.HasPrefix(ka, kb) || bytes.HasPrefix(kb, ka)) {
				t.Fatalf("%s: the key of one of %q and %q is a prefix of the other's", eco, a, b)
			}
		}
		va, errA := semver.StrictNewVersion(a)
		vb, errB := semver.StrictNewVersion(b)
		if errA != nil || errB != nil || len(a) > MaxLen || len(b) > MaxLen {
			return
		}
		if got, err := Compare(evidence.Cargo, a, b); err != nil || got != va.Compare(vb) {
			t.Fatalf("Compare(cargo, %q, %q) = %d, %v; Masterminds/semver says %d", a, b, got, err, va.Compare(vb))
		}
	})
}

// What a range contains is in one of its intervals, and comparators say what they
// mean.
func FuzzRange(f *testing.F) {
	f.Add(">=1,<2", "1.5.0")
	f.Add("^0.2 || ~=3.1 || !=4", "0.2.9")
	f.Add("~> 2.2", "2.3")
	f.Add("1.*", "1.0")
	f.Fuzz(func(t *testing.T, in, v string) {
		for _, eco := range []evidence.Ecosystem{evidence.Cargo, evidence.PyPI, evidence.Gem, evidence.Generic} {
			r, err := ParseRange(eco, in)
			if err != nil {
				if !errors.Is(err, ErrRange) && !errors.Is(err, ErrVersion) {
					t.Fatalf("ParseRange(%s, %q) gives %v", eco, in, err)
				}
				continue
			}
			if len(r.Intervals()) > 2*maxComparators {
				t.Fatalf("%q has %d intervals", in, len(r.Intervals()))
			}
			key, ok := Key(eco, v)
			if !ok {
				continue
			}
			point := []Interval{{Lo: key, Hi: After(key)}}
			if r.Contains(v) != r.Overlaps(point) {
				t.Fatalf("%s: %q contains %q: %v; overlaps it: %v", eco, in, v, r.Contains(v), r.Overlaps(point))
			}
		}
	})
}

func BenchmarkKey(b *testing.B) {
	for _, tt := range []struct {
		eco evidence.Ecosystem
		v   string
	}{{evidence.Cargo, "1.0.200-rc.1"}, {evidence.Go, "v0.0.0-20220101000000-abcdefabcdef"}, {evidence.PyPI, "1.0.post456.dev34"}} {
		b.Run(string(tt.eco), func(b *testing.B) {
			for b.Loop() {
				if _, ok := Key(tt.eco, tt.v); !ok {
					b.Fatal(tt.v)
				}
			}
		})
	}
}
