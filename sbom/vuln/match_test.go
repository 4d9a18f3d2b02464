package vuln

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wreg-project/wreg/sbom/evidence"
	"github.com/wreg-project/wreg/sbom/version"
)

// span of one range in events: "i=0 f=1.2 l=1.5 m=2" are introduced, fixed, last
// affected and limit.
func events(kind, s string) Range {
	r := Range{Type: kind}
	for e := range strings.FieldsSeq(s) {
		v := e[2:]
		switch e[0] {
		case 'i':
			r.Events = append(r.Events, Event{Introduced: v})
		case 'f':
			r.Events = append(r.Events, Event{Fixed: v})
		case 'l':
			r.Events = append(r.Events, Event{LastAffected: v})
		case 'm':
			r.Events = append(r.Events, Event{Limit: v})
		}
	}
	return r
}

func TestVersions(t *testing.T) {
	tests := []struct {
		name   string
		eco    evidence.Ecosystem
		kind   string
		events string
		list   string
		yes    string
		no     string
		maybe  string
	}{
		{name: "everything", eco: evidence.Cargo, kind: "SEMVER", events: "i=0", yes: "0.0.0-0 1.0.0 what-ever"},
		{
			name: "everything, as RustSec writes it", eco: evidence.Cargo, kind: "SEMVER", events: "i=0.0.0-0", yes: "0.0.0-0 1.0.0",
			maybe: "main",
		},
		{
			name: "up to a fix", eco: evidence.Cargo, kind: "SEMVER", events: "i=0 f=1.2.0", yes: "1.1.9 1.2.0-rc.1",
			no: "1.2.0 2.0.0", maybe: "git",
		},
		{
			name: "several stretches in any order", eco: evidence.NPM, kind: "SEMVER", events: "f=2.5.0 i=2.0.0 i=0 f=1.2.0",
			yes: "1.1.0 2.0.0 2.4.9", no: "1.2.0 1.9.9 2.5.0",
		},
		{
			name: "the last one affected", eco: evidence.PyPI, kind: "ECOSYSTEM", events: "i=1.0 l=1.5", yes: "1.0 1.5 1.5.0",
			no: "0.9 1.5.post1 1.6",
		},
		{name: "a limit", eco: evidence.PyPI, kind: "ECOSYSTEM", events: "i=0 m=2.0", yes: "1.9", no: "2.0 3.0"},
		{name: "no limit by a star", eco: evidence.PyPI, kind: "ECOSYSTEM", events: "i=1.0 m=*", yes: "9.0", no: "0.9"},
		{name: "of two limits the higher one", eco: evidence.PyPI, kind: "ECOSYSTEM", events: "i=0 m=2.0 m=3.0", yes: "2.5", no: "3.0"},
		{
			name: "a fix and a new start at one version", eco: evidence.Cargo, kind: "SEMVER", events: "i=0 f=1.0.0 i=1.0.0 f=1.1.0",
			yes: "0.9.0 1.0.0", no: "1.1.0",
		},
		{
			name: "stretches of Go's releases", eco: evidence.Go, kind: "SEMVER", events: "i=0 f=1.20.10 i=1.21.0-0 f=1.21.3",
			yes: "go1.20.9 1.21rc2 go1.21.2 1.18.5 v1.18.5", no: "go1.20.10 1.20.11 go1.21.3 1.22.0", maybe: "(devel)",
		},
		{
			name: "pseudo-versions", eco: evidence.Go, kind: "SEMVER", events: "i=0 f=0.0.0-20220412211240-33da011f77ad",
			yes: "v0.0.0-20220319134239-a9b59b0215f8", no: "v0.0.0-20220412211240-33da011f77ad v0.1.0",
		},
		{
			name: "Bitnami's many stretches", eco: evidence.Generic, kind: "SEMVER",
			events: "i=3.0.0 f=3.39.4 i=3.40.0 f=3.41.2 i=3.42.0 l=3.42.1",
			yes:    "3.39.0 3.41.0 3.42.1", no: "3.39.4 3.41.2 3.42.2",
		},
		{
			name: "OpenSSL's letters", eco: evidence.Generic, kind: "ECOSYSTEM", events: "i=1.1.1 f=1.1.1u", yes: "1.1.1 1.1.1t",
			no: "1.1.1u 1.1.0l",
		},
		{name: "a list alone", eco: evidence.Generic, list: "v4.5.0 4.5.1", yes: "4.5.0 v4.5.1", no: "4.5.2"},
		{
			name: "a list beside a range", eco: evidence.PyPI, kind: "ECOSYSTEM", events: "i=2.0 f=2.1", list: "1.0",
			yes: "1.0 1.0.0 2.0", no: "1.1",
		},
		{name: "neither says that it may be", eco: evidence.NPM, maybe: "1.0.0"},
		{
			name: "events that cannot be read say that it may be", eco: evidence.Cargo, kind: "SEMVER", events: "i=zero f=1.0.0",
			maybe: "0.5.0",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := Affected{Package: Package{tt.eco, "p"}, Versions: strings.Fields(tt.list)}
			if tt.kind != "" {
				a.Ranges = []Range{events(tt.kind, tt.events)}
			}
			for list, want := range map[string]string{tt.yes: "yes", tt.no: "no", tt.maybe: "maybe"} {
				for v := range strings.FieldsSeq(list) {
					got := "no"
					if verdict := a.version(v); verdict.affected && verdict.reason == "" {
						got = "yes"
					} else if verdict.affected {
						got = "maybe"
					}
					if got != want {
						t.Errorf("%s with %q: %s; want %s", v, tt.events+" "+tt.list, got, want)
					}
				}
			}
			intervals, whole := a.Intervals()
			for v := range strings.FieldsSeq(tt.yes + " " + tt.no) {
				key, ok := version.Key(tt.eco, v)
				if !ok || !whole {
					continue
				}
				in := false
				for _, i := range intervals {
					in = in || i.Contains(key)
				}
				if want := strings.Contains(" "+tt.yes+" ", " "+v+" "); in != want {
					t.Errorf("Intervals contain the key of %s: %v; want %v", v, in, want)
				}
			}
		})
	}
}

func record1(t *testing.T, s string) *Advisory {
	t.Helper()
	a, err := Parse([]byte(s))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestMatch(t *testing.T) {
	db := &DB{}
	for _, s := range []string{
		`{"id":"RUSTSEC-1","aliases":["CVE-1","GHSA-1"],"affected":[{"package":{"ecosystem":"crates.io","name":"a"},
			"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"1.5.0"}]}]}]}`,
		`{"id":"GHSA-1","aliases":["CVE-1"],"summary":"From GitHub","database_specific":{"severity":"HIGH"},"affected":[
			{"package":{"ecosystem":"crates.io","name":"a"},"ranges":[{"type":"SEMVER","events":[{"introduced":"1.0.0"},{"fixed":"1.5.1"}]}]}]}`,
		`{"id":"RUSTSEC-2","affected":[{"package":{"ecosystem":"crates.io","name":"a"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"}]}],
			"database_specific":{"informational":"unmaintained"}}]}`,
		`{"id":"RUSTSEC-3","withdrawn":"2024-01-01T00:00:00Z","affected":[{"package":{"ecosystem":"crates.io","name":"a"},
			"ranges":[{"type":"SEMVER","events":[{"introduced":"0"}]}]}]}`,
		`{"id":"RUSTSEC-4","affected":[{"package":{"ecosystem":"crates.io","name":"w"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"}]}],
			"ecosystem_specific":{"affects":{"os":["windows"],"arch":[],"functions":[]}}}]}`,
		`{"id":"GO-1","affected":[{"package":{"ecosystem":"Go","name":"example.com/m"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"}]}],
			"ecosystem_specific":{"custom_ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"1.9.0"}]}]}}]}`,
		`{"id":"OSV-1","affected":[{"ranges":[{"type":"GIT","repo":"https://example.com/lib","events":[{"introduced":"0123456789abcdef"},{"fixed":"fedcba9876543210"}]}]}]}`,
	} {
		db.Put(record1(t, s))
	}
	proven := func(eco evidence.Ecosystem, name, v string) evidence.Component {
		return evidence.Component{Ecosystem: eco, Name: name, Version: v, Class: evidence.Proven}
	}
	tests := []struct {
		name     string
		c        evidence.Component
		present  string // ids
		possible string // ids with reasons
	}{
		{name: "aliases are one finding", c: proven(evidence.Cargo, "a",
			"1.4.0"), present: "RUSTSEC-1+CVE-1+GHSA-1>1.5.0,1.5.1 RUSTSEC-2!unmaintained"},
		{name: "databases may differ on the fix", c: proven(evidence.Cargo, "a",
			"1.5.0"), present: "GHSA-1+CVE-1>1.5.1 RUSTSEC-2!unmaintained"},
		{name: "a name of another ecosystem", c: proven(evidence.NPM, "a", "1.4.0")},
		{name: "std's copy", c: evidence.Component{
			Ecosystem: evidence.Cargo, Name: "a", Version: "1.4.0",
			Class: evidence.Proven, Part: "std",
		}},
		{
			name:     "what an interpreter brings",
			c:        evidence.Component{Ecosystem: evidence.Cargo, Name: "a", Version: "1.6.0", Class: evidence.Proven, Part: "runtime"},
			possible: "RUSTSEC-2:" + reasonRuntime,
		},
		{
			name:     "an inferred component",
			c:        evidence.Component{Ecosystem: evidence.Cargo, Name: "a", Requirement: "^1.5", Class: evidence.Inferred},
			possible: "GHSA-1:" + reasonInferred + " RUSTSEC-2:" + reasonInferred,
		},
		{name: "a component known by its name", c: evidence.Component{Ecosystem: evidence.Cargo, Name: "a", Class: evidence.Named}},
		{name: "a component without a version", c: proven(evidence.Cargo, "a", "")},
		{
			name: "a branch instead of a version", c: proven(evidence.Cargo, "a", "main"), present: "RUSTSEC-2!unmaintained",
			possible: "RUSTSEC-1:" + reasonVersion,
		},
		{name: "another operating system", c: proven(evidence.Cargo, "w", "1.0.0"), possible: "RUSTSEC-4:" + reasonTarget},
		{name: "before a release that the proxy does not know", c: proven(evidence.Go, "example.com/m",
			"v0.0.0-20200101000000-abcdefabcdef"), present: "GO-1"},
		{name: "after one", c: proven(evidence.Go, "example.com/m", "v1.9.0"), possible: "GO-1:" + reasonCustom},
		{
			name:    "the commit that brought it in",
			c:       evidence.Component{Ecosystem: evidence.Generic, Name: "lib", Commit: "0123456", Source: "https://example.com/lib.git", Class: evidence.Proven},
			present: "OSV-1",
		},
		{
			name: "the commit that fixed it",
			c:    evidence.Component{Ecosystem: evidence.Generic, Name: "lib", Commit: "fedcba9876", Source: "https://example.com/lib", Class: evidence.Proven},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			res, err := Match(t.Context(), []evidence.Component{{Ecosystem: "x", Name: "y", Version: "1"}, tt.c}, db)
			if err != nil {
				t.Fatal(err)
			}
			var present, possible []string
			for _, f := range res.Findings {
				s := strings.Join(f.Names(), "+")
				if len(f.Fixed) > 0 {
					s += ">" + strings.Join(f.Fixed, ",")
				}
				if f.Informational != "" {
					s += "!" + f.Informational
				}
				present = append(present, s)
				if f.Component != 1 || f.PURL != tt.c.PURL() || len(f.Affected) == 0 || f.Reason != "" {
					t.Errorf("finding %+v is not of component 1, %s", f, tt.c.PURL())
				}
			}
			for _, f := range res.Possible {
				possible = append(possible, f.ID+":"+f.Reason)
			}
			if got := strings.Join(present, " "); got != tt.present {
				t.Errorf("Match(%+v) finds %q; want %q", tt.c, got, tt.present)
			}
			if got := strings.Join(possible, " "); got != tt.possible {
				t.Errorf("Match(%+v) may find %q; want %q", tt.c, got, tt.possible)
			}
		})
	}
}

// Three databases name one vulnerability, and only the one that is read last joins
// the other two.
func TestAliasesJoinLate(t *testing.T) {
	db := &DB{}
	affected := `"affected":[{"package":{"ecosystem":"npm","name":"a"},"versions":["1.0.0"]}]}`
	db.Put(record1(t, `{"id":"A-1","aliases":["CVE-1"],`+affected))
	db.Put(record1(t, `{"id":"B-1","aliases":["CVE-2"],`+affected))
	db.Put(record1(t, `{"id":"C-1","aliases":["CVE-2","CVE-1"],`+affected))
	res, err := Match(t.Context(), []evidence.Component{{Ecosystem: evidence.NPM, Name: "a", Version: "1.0.0"}}, db)
	if err != nil || len(res.Findings) != 1 {
		t.Fatalf("Match finds %d, %v; want one", len(res.Findings), err)
	}
	if diff := cmp.Diff([]string{"A-1", "B-1", "C-1", "CVE-1", "CVE-2"}, res.Findings[0].Names()); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
}

func TestRate(t *testing.T) {
	res := Result{Findings: []Finding{{ID: "GO-1", Aliases: []string{"CVE-1", "CVE-2"}}, {ID: "GO-2"}}}
	epss, err := ReadEPSS(strings.NewReader("#model_version:v1\ncve,epss,percentile\nCVE-1,0.1,0.5\nCVE-2,0.7,0.9\n"))
	if err != nil {
		t.Fatal(err)
	}
	kev, err := ReadKEV(strings.NewReader(`{"vulnerabilities":[{"cveID":"CVE-1","dateAdded":"2024-01-02","knownRansomwareCampaignUse":"Known"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	res.Rate(epss, kev)
	want := []Finding{{ID: "GO-1", Aliases: []string{"CVE-1", "CVE-2"}, EPSS: &EPSS{0.7, 0.9}, KEV: &KEV{
		Added:      "2024-01-02",
		Ransomware: true,
	}}, {ID: "GO-2"}}
	if diff := cmp.Diff(want, res.Findings); diff != "" {
		t.Errorf("Rate (-want +got):\n%s", diff)
	}
}

func TestRatings(t *testing.T) {
	if !Critical.AtLeast(High) || High.AtLeast(Critical) || Rating("").AtLeast(None) || !Low.AtLeast(Low) {
		t.Error("ratings are not in their order")
	}
}
