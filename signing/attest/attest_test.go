package attest

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	provenancev1 "github.com/in-toto/attestation/go/predicates/provenance/v1"
	vsav1 "github.com/in-toto/attestation/go/predicates/vsa/v1"
	statementv1 "github.com/in-toto/attestation/go/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/wreg-project/wreg/inspect"
	"github.com/wreg-project/wreg/inspect/wasm"
	"github.com/wreg-project/wreg/sbom"
	"github.com/wreg-project/wreg/sbom/cyclonedx"
	"github.com/wreg-project/wreg/sbom/spdx"
	"github.com/wreg-project/wreg/sbom/vuln"
	"github.com/wreg-project/wreg/sbom/vuln/scan"
	"github.com/wreg-project/wreg/sbom/vuln/vex"
	"github.com/wreg-project/wreg/signing"
)

var (
	subject = signing.Subject{Name: "example.org/app", Digest: map[string]string{"sha256": strings.Repeat("ab", 32)}}
	commit  = map[string]string{"gitCommit": strings.Repeat("c1", 20)}
	noon    = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
)

func provenance() *Provenance {
	return &Provenance{
		BuildDefinition: BuildDefinition{
			BuildType: "https://example.org/build/v1", ExternalParameters: map[string]any{"ref": "refs/tags/v1", "targets": []any{"a<b"}},
			InternalParameters: map[string]any{"runner": "x"},
			ResolvedDependencies: []Resource{
				{Name: "toolchain", URI: "pkg:generic/rust@1.92.0", Annotations: map[string]any{"key": "value"}},
				{URI: "git+https://example.org/repo@refs/tags/v1", Digest: commit, MediaType: "text/plain", Content: []byte("some")},
			},
		},
		RunDetails: RunDetails{
			Builder:    Builder{ID: "https://example.org/builder", Version: map[string]string{"wpkg": "1.0.0"}},
			Metadata:   BuildMetadata{InvocationID: "https://example.org/run/1", StartedOn: noon, FinishedOn: noon.Add(time.Minute)},
			Byproducts: []Resource{{Name: "log", DownloadLocation: "https://example.org/log"}},
		},
	}
}

func summary() *Summary {
	return &Summary{
		Verifier: Verifier{ID: "https://wreg.example.org", Version: map[string]string{"wreg": "1.0.0"}}, TimeVerified: noon,
		ResourceURI: "example.org/app", Policy: Resource{URI: "https://wreg.example.org/policy", Digest: subject.Digest},
		InputAttestations:  []Resource{{URI: "oci://example.org/app", Digest: subject.Digest}},
		VerificationResult: Passed, VerifiedLevels: []string{"WREG_ADMITTED"}, DependencyLevels: map[string]Count{"SLSA_BUILD_LEVEL_1": 2},
		SLSAVersion: "1.0",
	}
}

func app(t *testing.T) []byte {
	t.Helper()
	file, err := os.ReadFile(filepath.Join("..", "..", "inspect", "testdata", "app.component.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func materials(t *testing.T) *sbom.Document {
	t.Helper()
	b, err := wasm.Parse(app(t))
	if err != nil {
		t.Fatal(err)
	}
	d, err := sbom.Extract(b, sbom.Options{Name: "app", Version: "1.0.0"})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func capabilities(t *testing.T) *Capabilities {
	t.Helper()
	rep, err := inspect.Inspect(app(t), inspect.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return &Capabilities{
		Inspector: Inspector{URI: "https://wreg.dev/wreg", Version: "1.0.0"}, Binaries: []Binary{BinaryOf(rep, "app.wasm", subject.Digest)},
	}
}

func scanned(t *testing.T) *Scan {
	t.Helper()
	s := &Scan{
		Scanner:  Scanner{URI: "https://wreg.dev/wreg", Version: "1.0.0", DB: ScanDB{URI: "https://osv.dev", Version: "7", LastUpdate: noon}},
		Metadata: ScanTimes{Started: noon, Finished: noon},
	}
	found := scan.Finding{Finding: vuln.Finding{ID: "GO-2024-0001", Name: "example.org/mod", Version: "1.0.0"}}
	if err := s.SetResult(ScanResult{Files: []ScannedFile{{
		Name: "app.wasm", Digest: subject.Digest, Report: scan.Report{Findings: []scan.Finding{found}},
	}}}); err != nil {
		t.Fatal(err)
	}
	return s
}

func statements(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := vex.Write(&b, &vex.Document{Author: "someone", Time: noon, Statements: []vex.Statement{{
		Vulnerability: "CVE-2024-1", Products: []vex.Product{{ID: "pkg:cargo/a@1.0.0", PURL: "pkg:cargo/a@1.0.0"}},
		Status: vex.NotAffected, Justification: vex.CodeNotPresent,
	}}}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Every statement that is made here keeps in-toto's rules, is the same each time,
// and its predicate reads as what it was made of.
func TestStatementsReadBack(t *testing.T) {
	tests := []struct {
		name string // also the short name of the type
		make func() (signing.Statement, error)
		has  func(*View) bool
	}{
		{"slsaprovenance", func() (signing.Statement, error) { return provenance().Statement(subject) }, func(v *View) bool {
			return cmp.Equal(v.Provenance, provenance())
		}},
		{"vsa", func() (signing.Statement, error) { return summary().Statement(subject) }, func(v *View) bool {
			return cmp.Equal(v.Summary, summary())
		}},
		{"capabilities", func() (signing.Statement, error) { return capabilities(t).Statement(subject) }, func(v *View) bool {
			want := capabilities(t)
			want.SchemaVersion = CapabilitiesVersion
			return cmp.Equal(v.Capabilities, want)
		}},
		{"vuln", func() (signing.Statement, error) { return scanned(t).Statement(subject) }, func(v *View) bool {
			return v.Scan.Metadata.Started.Equal(noon) && bytes.Contains(v.Scan.Scanner.Result, []byte(`"GO-2024-0001"`))
		}},
		{"cyclonedx", func() (signing.Statement, error) { return CycloneDX(materials(t), cyclonedx.Options{}, subject) }, hasMaterials},
		{"spdx", func() (signing.Statement, error) { return SPDX(materials(t), spdx.Options{}, subject) }, hasMaterials},
		{"openvex", func() (signing.Statement, error) { return Of(TypeOpenVEX, statements(t), subject) }, func(v *View) bool {
			return len(v.VEX.Statements) == 1 && v.VEX.Statements[0].Vulnerability == "CVE-2024-1"
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			first, second := marshal(t, tt.make), marshal(t, tt.make)
			if !bytes.Equal(first, second) {
				t.Errorf("two statements of the same differ:\n%s\n%s", first, second)
			}
			var official statementv1.Statement
			if err := protojson.Unmarshal(first, &official); err != nil {
				t.Fatalf("in-toto cannot read %s: %v", first, err)
			}
			if err := official.Validate(); err != nil {
				t.Errorf("in-toto says of %s: %v", first, err)
			}
			if got := Name(official.GetPredicateType()); got != tt.name {
				t.Errorf("Name(%q) = %q; want %q", official.GetPredicateType(), got, tt.name)
			}
			view, err := Read(official.GetPredicateType(), predicate(t, first))
			if err != nil {
				t.Fatalf("Read(%s) = %v", first, err)
			}
			if !tt.has(view) {
				t.Errorf("Read(%s) = %+v; want what was written", first, view)
			}
		})
	}
}

func hasMaterials(v *View) bool {
	return v.SBOM.Subject.Name == "app" && len(v.SBOM.Root.Components) > 0
}

func marshal(t *testing.T, make func() (signing.Statement, error)) []byte {
	t.Helper()
	st, err := make()
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(st)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func predicate(t *testing.T, statement []byte) []byte {
	t.Helper()
	var st struct {
		Predicate json.RawMessage `json:"predicate"`
	}
	if err := json.Unmarshal(statement, &st); err != nil {
		t.Fatal(err)
	}
	return st.Predicate
}

// The official readers know every field that we write, and take it as valid.
func TestOfficialTypesReadOurs(t *testing.T) {
	tests := []struct {
		name string
		make func() (signing.Statement, error)
		into interface {
			proto.Message
		}
	}{
		{"provenance", func() (signing.Statement, error) { return provenance().Statement(subject) }, &provenancev1.Provenance{}},
		{"summary of SLSA 1.0", func() (signing.Statement, error) {
			s := summary()
			s.Verifier.Version = nil // they do not know it
			return s.Statement(subject)
		}, &vsav1.VerificationSummary{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			text := predicate(t, marshal(t, tt.make))
			if err := protojson.Unmarshal(text, tt.into); err != nil { // an unknown field is an error
				t.Fatalf("protojson.Unmarshal(%s) = %v", text, err)
			}
			if v, ok := tt.into.(interface{ Validate() error }); ok {
				if err := v.Validate(); err != nil {
					t.Errorf("Validate(%s) = %v", text, err)
				}
			}
			back, err := protojson.Marshal(tt.into)
			if err != nil {
				t.Fatal(err)
			}
			var st struct{ PredicateType string }
			if err := json.Unmarshal(marshal(t, tt.make), &st); err != nil {
				t.Fatal(err)
			}
			want, err := Read(st.PredicateType, text)
			if err != nil {
				t.Fatalf("Read(%s) = %v", text, err)
			}
			got, err := Read(st.PredicateType, back)
			if err != nil {
				t.Fatalf("Read(%s) = %v", back, err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("what in-toto writes (-ours +in-toto's):\n%s", diff)
			}
		})
	}
}
