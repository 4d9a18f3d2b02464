package spdx

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wreg-project/wreg/sbom"
	"github.com/wreg-project/wreg/sbom/evidence"
)

// What is written is read again with identity, class and requirements.
func TestReadTakesWhatWriteWrites(t *testing.T) {
	want := map[string]bool{}
	for _, c := range rich().All() {
		want[line(c)] = true
	}
	for _, f := range []Format{JSON, TagValue} {
		d, err := Read(bytes.NewReader(write(t, rich(), Options{Format: f})), Limits{})
		if err != nil {
			t.Fatalf("Read of %s: %v", f, err)
		}
		if d.Subject.SHA256 != digest || d.Subject.Name != "acme:tool" || d.Subject.Kind != "component" {
			t.Errorf("Read of %s has the subject %+v", f, d.Subject)
		}
		got := map[string]bool{}
		for _, c := range d.All() {
			got[line(c)] = true
		}
		if diff := cmp.Diff(want, got); diff != "" || len(d.Root.Edges) != 3 {
			t.Errorf("Read of %s, %d edges (-want +got):\n%s", f, len(d.Root.Edges), diff)
		}
	}
}

func line(c *evidence.Component) string {
	return strings.Join([]string{string(c.Ecosystem), c.Name, c.Version, string(c.Class), c.Part, c.Requirement}, "|")
}

const othersJSON = `{"spdxVersion":"SPDX-2.2","SPDXID":"SPDXRef-DOCUMENT","documentDescribes":["SPDXRef-app"],
"packages":[null,{"SPDXID":"SPDXRef-app","name":"app","versionInfo":"1"},
{"SPDXID":"SPDXRef-a","name":"a","versionInfo":"1.0.0","licenseDeclared":"MIT","licenseConcluded":"NOASSERTION",
 "externalRefs":[{"referenceCategory":"PACKAGE_MANAGER","referenceType":"purl","referenceLocator":"pkg:npm/%40s/a@1.0.0"}]},
{"SPDXID":"SPDXRef-b","name":"b","versionInfo":"NOASSERTION"}],
"relationships":[{"spdxElementId":"SPDXRef-a","relationshipType":"RUNTIME_DEPENDENCY_OF","relatedSpdxElement":"SPDXRef-b"}]}`

const othersTag = `SPDXVersion: SPDX-2.2
SPDXID: SPDXRef-DOCUMENT
Creator: Robot: what
# a comment
DocumentComment: <text>PackageName: none
</text>
PackageName: app
SPDXID: SPDXRef-app
PackageVersion: 1
PackageName: a
SPDXID: SPDXRef-a
PackageVersion: 1.0.0
PackageLicenseDeclared: MIT
PackageComment: <text>one line</text>
ExternalRef: PACKAGE-MANAGER purl pkg:npm/%40s/a@1.0.0
PackageName: b
SPDXID: SPDXRef-b
FileName: ./x
SPDXID: SPDXRef-file
Relationship: SPDXRef-DOCUMENT DESCRIBES SPDXRef-app
Relationship: SPDXRef-a RUNTIME_DEPENDENCY_OF SPDXRef-b
`

func TestReadTakesFilesOfOthers(t *testing.T) {
	declared := []evidence.Evidence{{Method: evidence.Declaration, Offset: -1, Confidence: 1}}
	want := &sbom.Unit{
		Kind: "module",
		Components: []evidence.Component{
			{Ecosystem: evidence.Generic, Name: "b", Class: evidence.Named, Evidence: declared},
			{Ecosystem: evidence.NPM, Name: "@s/a", Version: "1.0.0", Class: evidence.Proven, Licenses: []string{"MIT"}, Evidence: declared},
		},
		Edges: []sbom.Edge{{From: 0, To: 1}},
		Tools: []sbom.Tool{}, Completeness: []sbom.Completeness{},
	}
	for name, in := range map[string]string{"JSON": othersJSON, "tag-value": othersTag, "tag-value of Windows": strings.ReplaceAll(othersTag, "\n", "\r\n")} {
		d, err := Read(strings.NewReader(in), Limits{})
		if err != nil {
			t.Fatalf("Read of %s: %v", name, err)
		}
		if diff := cmp.Diff(want, d.Root); diff != "" || d.Subject.Name != "app" {
			t.Errorf("Read of %s, subject %+v (-want +got):\n%s", name, d.Subject, diff)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	tests := []struct {
		name, in string
		limits   Limits
		want     error
	}{
		{"nothing", "", Limits{}, ErrFormat},
		{"CycloneDX", `{"bomFormat":"CycloneDX"}`, Limits{}, ErrFormat},
		{"SPDX 3", `{"spdxVersion":"SPDX-3.0"}`, Limits{}, ErrFormat},
		{"cut JSON", othersJSON[:100], Limits{}, ErrFormat},
		{"a line without a colon", "SPDXVersion: SPDX-2.3\nwhat", Limits{}, ErrFormat},
		{"a text without an end", "SPDXVersion: SPDX-2.3\nDocumentComment: <text>a\nb", Limits{}, ErrFormat},
		{"too many bytes", othersTag, Limits{MaxBytes: 100}, ErrLimit},
		{"too many tags", strings.Repeat("A: b\n", 1<<18+1), Limits{}, ErrLimit},
		{"too many empty lines", strings.Repeat("\n", 1<<18) + "A: b", Limits{}, ErrLimit},
		{"deep JSON", `{"packages":` + strings.Repeat("[", 1000), Limits{}, ErrLimit},
		{"many objects", `{"packages":[` + strings.Repeat("{},", 1<<18) + `{}]}`, Limits{}, ErrLimit},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if d, err := Read(strings.NewReader(tt.in), tt.limits); !errors.Is(err, tt.want) {
				t.Errorf("Read(%.60q) = %v, %v; want %v", tt.in, d, err, tt.want)
			}
		})
	}
}

// FuzzRead: what is read can be written in both formats, and is read again with
// as many components.
func FuzzRead(f *testing.F) {
	for _, format := range []Format{JSON, TagValue} {
		var b bytes.Buffer
		if err := Write(&b, rich(), Options{Format: format}); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes())
	}
	f.Add([]byte(othersJSON))
	f.Add([]byte(othersTag))
	f.Fuzz(func(t *testing.T, in []byte) {
		d, err := Read(bytes.NewReader(in), Limits{MaxBytes: 1 << 16})
		if err != nil {
			return
		}
		for _, format := range []Format{JSON, TagValue} {
			var b bytes.Buffer
			if err := Write(&b, d, Options{Format: format}); err != nil {
				t.Fatalf("Write of %+v: %v", d, err)
			}
			again, err := Read(&b, Limits{})
			if err != nil {
				t.Fatalf("Read of what Write wrote as %s: %v", format, err)
			}
			if got, want := len(again.Root.Components), len(d.Root.Components); got != want {
				t.Fatalf("as %s %d components come back; want %d", format, got, want)
			}
		}
	})
}
