package attest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wreg-project/wreg/signing"
)

// chief is what a predicate says first. There is nothing of bills of materials and
// statements about vulnerabilities, which are read for what they list.
func chief(v *View) []string {
	switch {
	case v.Provenance != nil:
		list := []string{v.Provenance.RunDetails.Builder.ID, v.Provenance.BuildDefinition.BuildType}
		if s := v.Provenance.Source(); s != nil {
			list = append(list, s.URI, fmt.Sprint(s.Digest))
		}
		return list
	case v.Summary != nil:
		return append([]string{v.Summary.Verifier.ID, v.Summary.ResourceURI, v.Summary.Policy.URI, v.Summary.VerificationResult},
			v.Summary.VerifiedLevels...)
	case v.Scan != nil:
		return []string{v.Scan.Scanner.URI, v.Scan.Scanner.DB.URI}
	case v.Capabilities != nil:
		return []string{v.Capabilities.Inspector.URI}
	}
	return nil
}

// The examples of those who define a predicate read, and pass as predicates.
func TestReadTakesWhatOthersWrite(t *testing.T) {
	tests := []struct {
		name string // of the file and the type
		want []string
	}{
		{"slsaprovenance", []string{
			"https://github.com/actions/runner/github-hosted",
			"https://slsa-framework.github.io/github-actions-buildtypes/workflow/v1",
			"git+https://github.com/sigstore/sigstore-js@refs/heads/main",
			"map[gitCommit:f0b49a04e5a62250e0f60fb128004a73110fe311]",
		}},
		{"vuln", []string{"fakescanner.example.com/cosign-testing", ""}},
		{"vsa", []string{
			"https://example.com/publication_verifier", "https://example.com/example-1.2.3.tar.gz", "https://example.com/example_tarball.policy",
			"PASSED", "SLSA_BUILD_LEVEL_3",
		}},
		{"openvex", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			raw, err := os.ReadFile(filepath.Join("testdata", tt.name+".json"))
			if err != nil {
				t.Fatal(err)
			}
			predicateType, err := Type(tt.name)
			if err != nil {
				t.Fatal(err)
			}
			v, err := Read(predicateType, raw)
			if err != nil {
				t.Fatalf("Read(%s) = %v", tt.name, err)
			}
			if diff := cmp.Diff(tt.want, chief(v)); diff != "" {
				t.Errorf("Read(%s) says (-want +got):\n%s", tt.name, diff)
			}
			if tt.name == "openvex" && len(v.VEX.Statements) == 0 {
				t.Errorf("Read(%s) has no statements", tt.name)
			}
			if _, err := Of(predicateType, raw, subject); err != nil {
				t.Errorf("Of(%s) = %v", tt.name, err)
			}
		})
	}
}

// Types with a version of the format behind them, as some tools write them, and
// SPDX as a text, as cosign's type spdx has it, read as well.
func TestReadTakesVariants(t *testing.T) {
	quoted, err := json.Marshal("SPDXVersion: SPDX-2.3\nDataLicense: CC0-1.0\nSPDXID: SPDXRef-DOCUMENT\nDocumentName: a\n" +
		"DocumentNamespace: https://example.org/a\nPackageName: time\nSPDXID: SPDXRef-1\nPackageVersion: 0.1.40\n" +
		"ExternalRef: PACKAGE-MANAGER purl pkg:cargo/time@0.1.40\n")
	if err != nil {
		t.Fatal(err)
	}
	for predicateType, raw := range map[string]string{
		"https://spdx.dev/Document":         string(quoted),
		"https://spdx.dev/Document/v2.3":    string(quoted),
		"https://cyclonedx.org/bom/v1.4":    `{"bomFormat": "CycloneDX", "specVersion": "1.4", "components": [{"type": "library", "name": "time", "version": "0.1.40", "purl": "pkg:cargo/time@0.1.40"}]}`,
		"https://openvex.dev/ns/v0.2.0":     `{"@context": "https://openvex.dev/ns/v0.2.0", "author": "a", "statements": []}`,
		"https://example.org/anything/else": `{"a": [1, {"b": null}]}`,
	} {
		v, err := Read(predicateType, []byte(raw))
		if err != nil {
			t.Errorf("Read(%s, %s) = %v", predicateType, raw, err)
			continue
		}
		if v.SBOM != nil && (len(v.SBOM.Root.Components) != 1 || v.SBOM.Root.Components[0].PURL() != "pkg:cargo/time@0.1.40") {
			t.Errorf("Read(%s) has %+v; want time 0.1.40", predicateType, v.SBOM.Root.Components)
		}
	}
}

// A bill of materials that states something of vulnerabilities is both.
func TestReadCycloneDXWithStatements(t *testing.T) {
	v, err := Read(TypeCycloneDX, []byte(`{"bomFormat": "CycloneDX", "specVersion": "1.6",
		"components": [{"type": "library", "bom-ref": "time", "name": "time", "version": "0.1.40", "purl": "pkg:cargo/time@0.1.40"}],
		"vulnerabilities": [{"id": "CVE-2026-1", "analysis": {"state": "resolved"}, "affects": [{"ref": "time"}]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	if len(v.SBOM.Root.Components) != 1 || v.VEX == nil || len(v.VEX.Statements) != 1 {
		t.Errorf("Read = %+v; want one component and one statement", v)
	}
}

func TestReadRefuses(t *testing.T) {
	whole := func(replace ...string) string { // a summary with something else in it
		return strings.NewReplacer(replace...).Replace(`{"verifier": {"id": "v"}, "resourceUri": "r", "policy": {"uri": "p"}, "verificationResult": "PASSED"}`)
	}
	build := func(replace ...string) string {
		return strings.NewReplacer(replace...).Replace(
			`{"buildDefinition": {"buildType": "b", "externalParameters": {"a": 1}, "resolvedDependencies": [{"uri": "u"}]}, "runDetails": {"builder": {"id": "i"}}}`)
	}
	tests := []struct {
		name, kind, in string
		want           error
		text           string
	}{
		{"a summary whose result is a word of its own", "vsa", whole("PASSED", "FINE"), ErrFormat, `"FINE"`},
		{"a summary with two results", "vsa", whole(`"policy"`, `"VerificationResult": "FAILED", "policy"`), ErrFormat, "twice"},
		{"a summary by nobody", "vsa", whole(`"v"`, `""`), ErrFormat, "verifier.id"},
		{"a summary of nothing", "vsa", whole(`"r"`, `""`), ErrFormat, "resourceUri"},
		{"a summary without a policy", "vsa", whole(`"uri": "p"`, ``), ErrFormat, "policy"},
		{"a summary with counts that are none", "vsa", whole(`"policy"`, `"dependencyLevels": {"a": "-1"}, "policy"`), ErrFormat, "no count"},
		{"provenance without a type", "slsaprovenance", build(`"b"`, `""`), ErrFormat, "buildType"},
		{"provenance without parameters", "slsaprovenance", build(`"a": 1`, ``), ErrFormat, "externalParameters"},
		{"provenance without a builder", "slsaprovenance", build(`"i"`, `""`), ErrFormat, "builder.id"},
		{"provenance with a dependency that is nothing", "slsaprovenance", build(`"uri": "u"`, ``), ErrFormat, "resolvedDependencies[0]"},
		{"provenance with a digest that is none", "slsaprovenance", build(`"uri": "u"`, `"digest": {"sha256": "abc"}`), ErrFormat, "32 bytes"},
		{"a scan without times", "vuln", `{"scanner": {"result": {}}}`, ErrFormat, "scanStartedOn"},
		{"capabilities of another version", "capabilities", `{"schemaVersion": 2}`, ErrFormat, "schemaVersion"},
		{"capabilities of no binary", "capabilities", `{"schemaVersion": 1, "inspector": {"uri": "u"}, "binaries": []}`, ErrFormat, "0 binaries"},
		{
			"capabilities of a binary without a digest", "capabilities",
			`{"schemaVersion": 1, "inspector": {"uri": "u"}, "binaries": [{"kind": "module"}]}`, ErrFormat, "digest",
		},
		{
			"capabilities of a kind that is none", "capabilities",
			`{"schemaVersion": 1, "inspector": {"uri": "u"}, "binaries": [{"kind": "image", "digest": {"x": "y"}}]}`, ErrFormat, `"image"`,
		},
		{
			"a level that is none", "capabilities",
			`{"schemaVersion": 1, "inspector": {"uri": "u"}, "binaries": [{"capabilities": [{"level": "maybe"}]}]}`, ErrFormat, "maybe",
		},
		{"CycloneDX in XML", "cyclonedx", `<bom xmlns="http://cyclonedx.org/schema/bom/1.6"/>`, ErrFormat, "no JSON object"},
		{"SPDX that is another document", "spdx", `{"bomFormat": "CycloneDX"}`, ErrFormat, ""},
		{"a status that is none", "openvex", `{"@context": "https://openvex.dev/ns", "statements": [{"status": "fine"}]}`, ErrFormat, `"fine"`},
		{"a list", "https://example.org/x", `[1]`, ErrFormat, ""},
		{"nothing at all", "https://example.org/x", `null`, ErrFormat, "no JSON object"},
		{"no JSON", "https://example.org/x", `{`, ErrFormat, ""},
		{"deep nesting", "https://example.org/x", `{"a":` + strings.Repeat("[", 200) + strings.Repeat("]", 200) + `}`, signing.ErrLimit, "deep"},
		{"too many objects", "slsaprovenance", `{"a":[` + strings.Repeat("{},", maxObjects) + `{}]}`, signing.ErrLimit, "objects"},
		{"deep nesting of VEX", "openvex", `{"a":` + strings.Repeat("[", 200) + strings.Repeat("]", 200) + `}`, signing.ErrLimit, "deep"},
		{"too many bytes", "spdx", strings.Repeat(" ", MaxPredicate+1), signing.ErrLimit, "bytes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			predicateType, err := Type(tt.kind)
			if err != nil {
				t.Fatal(err)
			}
			v, err := Read(predicateType, []byte(tt.in))
			if !errors.Is(err, tt.want) || !strings.Contains(fmt.Sprint(err), tt.text) {
				t.Errorf("Read(%s, %.100s) = %+v, %v; want %v with %q", tt.kind, tt.in, v, err, tt.want, tt.text)
			}
		})
	}
}

func TestOfRefuses(t *testing.T) {
	tests := []struct {
		name     string
		in       string
		subjects []signing.Subject
	}{
		{"a whole statement", `{"_type": "https://in-toto.io/Statement/v1"}`, []signing.Subject{subject}},
		{"no subject", `{}`, nil},
		{"a subject without a digest", `{}`, []signing.Subject{{Name: "a"}}},
		{"a subject with a digest that is none", `{}`, []signing.Subject{{Digest: map[string]string{"sha256": "zz"}}}},
		{"too many subjects", `{}`, make([]signing.Subject, maxSubjects+1)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if st, err := Of("https://example.org/x", []byte(tt.in), tt.subjects...); !errors.Is(err, ErrFormat) {
				t.Errorf("Of(%s) = %+v, %v; want ErrFormat", tt.in, st, err)
			}
		})
	}
}

// What SLSA and cosign require is required of what is made here.
func TestStatementsRefuseWhatLacksSomething(t *testing.T) {
	for name, change := range map[string]func(*Summary){
		"timeVerified":   func(s *Summary) { s.TimeVerified = time.Time{} },
		"policy.uri":     func(s *Summary) { s.Policy.URI = "" },
		"verifiedLevels": func(s *Summary) { s.VerifiedLevels = nil },
		"no digest":      func(s *Summary) { s.InputAttestations[0].Digest = nil },
	} {
		s := summary()
		change(s)
		if _, err := s.Statement(subject); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), name) {
			t.Errorf("Statement of a summary with a change of %s = %v; want ErrFormat that says so", name, err)
		}
	}
	if _, err := (&Scan{Metadata: ScanTimes{Started: noon, Finished: noon}}).Statement(subject); !errors.Is(err, ErrFormat) {
		t.Errorf("Statement of a scan without a result = %v; want ErrFormat", err)
	}
}

func TestNames(t *testing.T) {
	for _, name := range Names() {
		uri, err := Type(name)
		if err != nil || Name(uri) != name {
			t.Errorf("Type(%q) = %q, %v, and Name of that %q", name, uri, err, Name(uri))
		}
	}
	for in, want := range map[string]string{
		"slsaprovenance1": TypeProvenance, "spdxjson": TypeSPDX, "https://example.org/x/v1": "https://example.org/x/v1",
	} {
		if got, err := Type(in); got != want || err != nil {
			t.Errorf("Type(%q) = %q, %v; want %q", in, got, err, want)
		}
	}
	for _, in := range []string{"", "sbom", "example.org/x", "https://"} {
		if got, err := Type(in); err == nil {
			t.Errorf("Type(%q) = %q; want an error", in, got)
		}
	}
	for in, want := range map[string]string{
		"https://spdx.dev/Document/v2.3": "spdx", "https://slsa.dev/provenance/v0.2": "slsaprovenance02",
		"https://slsa.dev/provenance/v1.1": "https://slsa.dev/provenance/v1.1", signing.PredicateSignature: signing.PredicateSignature,
	} {
		if got := Name(in); got != want {
			t.Errorf("Name(%q) = %q; want %q", in, got, want)
		}
	}
}

// What reads is small enough, and what is known of it reads the same when written
// again.
func FuzzRead(f *testing.F) {
	seeds := 0
	for i, name := range Names() {
		if raw, err := os.ReadFile(filepath.Join("testdata", name+".json")); err == nil {
			f.Add(i, raw)
			seeds++
		}
		f.Add(i, []byte(`{}`))
	}
	if seeds != 4 {
		f.Fatalf("%d seeds; want 4", seeds)
	}
	f.Fuzz(func(t *testing.T, kind int, raw []byte) {
		predicateType, err := Type(Names()[uint(kind)%uint(len(names))])
		if err != nil {
			t.Fatal(err)
		}
		v, err := Read(predicateType, raw)
		if err != nil {
			if !errors.Is(err, ErrFormat) && !errors.Is(err, signing.ErrLimit) {
				t.Fatalf("Read(%s, %q) = %v; want ErrFormat or ErrLimit", predicateType, raw, err)
			}
			return
		}
		st, err := Of(predicateType, raw, subject)
		if err != nil {
			return // it is a whole statement, or grows too large by escapes
		}
		text, err := json.Marshal(st)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Read(predicateType, predicate(t, text))
		if err != nil || !cmp.Equal(chief(again), chief(v)) {
			t.Fatalf("%s %q reads as %v, and again as %v, %v", predicateType, raw, v, again, err)
		}
		if bytes.Contains(text, []byte("\n")) {
			t.Fatalf("the statement of %q has lines: %q", raw, text)
		}
	})
}
