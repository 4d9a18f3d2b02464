package vuln

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wreg-project/wreg/sbom/evidence"
)

func TestParse(t *testing.T) {
	tests := []struct {
		name string
		in   string
		want Advisory
	}{
		{
			name: "a Go record with symbols and releases that the proxy does not know",
			in: `{"id":"GO-1","modified":"0001-01-01T00:00:00Z","aliases":["CVE-2","CVE-1","CVE-1","GO-1"],"summary":"S","affected":[{
				"package":{"ecosystem":"Go","name":"example.com/m"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"}]}],
				"ecosystem_specific":{"imports":[{"path":"example.com/m/p","symbols":["T.F"],"goos":["windows"]}],
				"custom_ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"1.9.0"}]}]}}],
				"references":[{"type":"FIX","url":"https://example.com/1"},{"type":"WEB","url":"javascript:alert(1)"}]}`,
			want: Advisory{
				ID: "GO-1", Aliases: []string{"CVE-1", "CVE-2"}, Summary: "S", References: []string{"https://example.com/1"},
				Affected: []Affected{{
					Package: Package{evidence.Go, "example.com/m"},
					Ranges:  []Range{{Type: "SEMVER", Events: []Event{{Introduced: "0"}}}},
					Custom:  []Range{{Type: "ECOSYSTEM", Events: []Event{{Introduced: "0"}, {Fixed: "1.9.0"}}}},
					Imports: []Import{{Path: "example.com/m/p", Symbols: []string{"T.F"}, GOOS: []string{"windows"}}},
				}},
			},
		},
		{
			name: "a RustSec record that is informational, with functions and a vector",
			in: `{"id":"RUSTSEC-1","modified":"2025-01-02T03:04:05Z","withdrawn":"2025-02-02T00:00:00Z","severity":[],"details":"First line.\nSecond.",
				"affected":[{"package":{"ecosystem":"crates.io","name":"c"},"versions":[],"ranges":[{"type":"SEMVER","events":[{"introduced":"0.0.0-0"}]}],
				"ecosystem_specific":{"affects":{"arch":["x86"],"os":["windows"],"functions":["c::f"]},"affected_functions":null},
				"database_specific":{"categories":[],"cvss":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H","informational":"unsound"}}]}`,
			want: Advisory{
				ID: "RUSTSEC-1", Summary: "First line.", Informational: "unsound",
				Modified: time.Date(2025, 1, 2, 3, 4, 5, 0, time.UTC), Withdrawn: time.Date(2025, 2, 2, 0, 0, 0, 0, time.UTC),
				Severity: Severity{Critical, 9.8, "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"},
				Affected: []Affected{{
					Package: Package{evidence.Cargo, "c"}, Ranges: []Range{{Type: "SEMVER", Events: []Event{{Introduced: "0.0.0-0"}}}},
					Functions: []string{"c::f"}, OS: []string{"windows"}, Arch: []string{"x86"},
				}},
			},
		},
		{
			name: "a record of GitHub with a word for its severity, and a name to normalise",
			in: `{"id":"GHSA-1","affected":[{"package":{"ecosystem":"PyPI","name":"Zope.Interface"},"versions":["1.0"]}],
				"database_specific":{"severity":"MODERATE"}}`,
			want: Advisory{
				ID: "GHSA-1", Severity: Severity{Rating: Medium},
				Affected: []Affected{{Package: Package{evidence.PyPI, "zope-interface"}, Versions: []string{"1.0"}}},
			},
		},
		{
			name: "a vector of CVSS 4.0 that is graver than one of 3.0",
			in: `{"id":"X-1","severity":[{"type":"CVSS_V3","score":"CVSS:3.0/AV:L/AC:H/PR:H/UI:R/S:U/C:L/I:N/A:N"},
				{"type":"CVSS_V4","score":"CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:H/SI:H/SA:H"},{"type":"CVSS_V2","score":"AV:N"}]}`,
			want: Advisory{ID: "X-1", Severity: Severity{Critical, 10, "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:H/SI:H/SA:H"}},
		},
		{
			name: "commits of a repository beside a package",
			in: `{"id":"OSV-1","affected":[{"package":{"ecosystem":"OSS-Fuzz","name":"LibTIFF"},"versions":["v4.5.0"],
				"ranges":[{"type":"GIT","repo":"https://Example.com/tiff.git/","events":[{"introduced":"aaaaaaaa"},{"fixed":"bbbbbbbb"}]}]}]}`,
			want: Advisory{ID: "OSV-1", Affected: []Affected{
				{
					Package: Package{Git, "example.com/tiff"},
					Ranges: []Range{{
						Type: "GIT", Repo: "https://Example.com/tiff.git/",
						Events: []Event{{Introduced: "aaaaaaaa"}, {Fixed: "bbbbbbbb"}},
					}},
				},
				{Package: Package{evidence.Generic, "libtiff"}, Versions: []string{"v4.5.0"}},
			}},
		},
		{
			name: "what cannot be in a binary, and hostile names, are left out",
			in: `{"id":"X-2","aliases":["<script>","CVE-1"],"summary":"a\u0007b\tc","affected":[
				{"package":{"ecosystem":"Debian:12","name":"openssl"}},{"package":{"ecosystem":"npm","name":"a\u0000b"}},
				{"package":{"ecosystem":"npm","name":""}},{"package":{"ecosystem":"npm","name":"ok"},"ecosystem_specific":{"imports":"no list"},"database_specific":[]}]}`,
			want: Advisory{
				ID: "X-2", Aliases: []string{"CVE-1"}, Summary: "a\ufffdb c",
				Affected: []Affected{{Package: Package{evidence.NPM, "ok"}}},
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Parse([]byte(tt.in))
			if err != nil {
				t.Fatalf("Parse(%s) gives %v", tt.in, err)
			}
			if len(got.SHA256) != 64 {
				t.Errorf("Parse gives the digest %q; want one of SHA-256", got.SHA256)
			}
			got.SHA256 = ""
			if len(got.Aliases) == 0 {
				got.Aliases = nil
			}
			got.Related = nil
			if diff := cmp.Diff(tt.want, *got); diff != "" {
				t.Errorf("Parse (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	tests := []struct {
		name string
		in   string
		want error
	}{
		{"nothing", "", ErrRecord},
		{"no object", "[]", ErrRecord},
		{"no id", "{}", ErrRecord},
		{"an id with markup", `{"id":"<b>"}`, ErrRecord},
		{"an id that is a path", `{"id":"../../x"}`, ErrRecord},
		{"a date that is none", `{"id":"A","modified":"yesterday"}`, ErrRecord},
		{"a deep nest", `{"id":"A","affected":` + strings.Repeat("[", 100_000), ErrRecord},
		{"more objects than any record has", `{"id":"A","affected":[` + strings.Repeat("{},", maxObjects) + `{}]}`, ErrLimit},
		{"more empty entries than any record has", `{"id":"A","affected":[` + strings.Repeat("null,", maxCommas) + `null]}`, ErrLimit},
		{"more bytes than any record has", `{"id":"A","summary":"` + strings.Repeat("x", MaxRecord) + `"}`, ErrLimit},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got, err := Parse([]byte(tt.in)); !errors.Is(err, tt.want) {
				t.Errorf("Parse(%.60q) = %v, %v; want %v", tt.in, got, err, tt.want)
			}
		})
	}
}

// What is read is bounded and clean, and comes back from its compact form.
func FuzzParse(f *testing.F) {
	seeds, err := filepath.Glob("testdata/osv/*.json")
	if err != nil || len(seeds) < 5 {
		f.Fatalf("testdata/osv has %d records, %v; want 5 at least", len(seeds), err)
	}
	for _, name := range seeds {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data, "1.2.3")
	}
	f.Fuzz(func(t *testing.T, data []byte, v string) {
		a, err := Parse(data)
		if err != nil {
			if !errors.Is(err, ErrRecord) && !errors.Is(err, ErrLimit) {
				t.Fatalf("Parse(%q) gives %v", data, err)
			}
			return
		}
		if !identifier(a.ID) || len(a.Summary) > maxSummary || len(a.References) > maxReferences {
			t.Fatalf("Parse(%q) = %+v", data, a)
		}
		db := &DB{}
		db.Put(a)
		for _, affected := range a.Affected {
			if !text(affected.Name) {
				t.Fatalf("Parse(%q) keeps the name %q", data, affected.Name)
			}
			c := evidence.Component{Ecosystem: affected.Ecosystem, Name: affected.Name, Version: v, Class: evidence.Proven}
			res, err := Match(t.Context(), []evidence.Component{c}, db)
			if err != nil || len(res.Findings)+len(res.Possible) > 1 {
				t.Fatalf("Match(%+v) with one advisory = %+v, %v", c, res, err)
			}
			if len(res.Findings) == 1 && !a.Withdrawn.IsZero() {
				t.Fatalf("Match(%+v) finds %s, which is withdrawn", c, a.ID)
			}
		}
	})
}
