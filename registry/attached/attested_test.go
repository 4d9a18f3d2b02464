package attached

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/signing/attest"
)

func attestation(predicateType, predicate string) Attestation {
	return Attestation{
		Referrer: digest.FromString("carrier"), Blob: digest.FromString(predicate), PredicateType: predicateType, Predicate: []byte(predicate), By: "release",
	}
}

func TestReadAttested(t *testing.T) {
	refused := attestation(attest.TypeSPDX, "")
	refused.By, refused.Problem = "", "no key that is known made it"
	tests := []struct {
		name   string
		limits Limits
		in     []Attestation
		want   []string
	}{
		{name: "CycloneDX", in: []Attestation{attestation(attest.TypeCycloneDX, cdxText)}, want: []string{"sbom https://cyclonedx.org/bom pkg:cargo/serde@1.0.1"}},
		{
			name: "a type with its version", in: []Attestation{attestation(attest.TypeSPDX+"/v2.3", spdxText)},
			want: []string{"sbom https://spdx.dev/Document/v2.3 pkg:cargo/libc@0.2.1"},
		},
		{
			name: "SPDX as a text", in: []Attestation{attestation(attest.TypeSPDX, fmt.Sprintf("%q", spdxTag))},
			want: []string{"sbom https://spdx.dev/Document pkg:generic/zlib@1.3"},
		},
		{name: "OpenVEX", in: []Attestation{attestation(attest.TypeOpenVEX, vexText)}, want: []string{"vex https://openvex.dev/ns CVE-2026-1"}},
		{name: "CycloneDX that has statements alone", in: []Attestation{attestation(attest.TypeCycloneDX, cdxVEX)}, want: []string{"vex https://cyclonedx.org/bom CVE-2026-1"}},
		{
			name: "CycloneDX whose statements cannot be read", in: []Attestation{attestation(attest.TypeCycloneDX, cdxWrong)},
			want: []string{"sbom https://cyclonedx.org/bom", `vex https://cyclonedx.org/bom ! not a VEX document: vulnerability 0: status ""`},
		},
		{
			name: "no JSON object", in: []Attestation{attestation(attest.TypeCycloneDX, cdxXML)},
			want: []string{"sbom https://cyclonedx.org/bom ! the predicate is no JSON object"},
		},
		{name: "another predicate", in: []Attestation{attestation(attest.TypeProvenance, "{}"), attestation("", cdxText)}},
		{
			name: "one that was refused", in: []Attestation{refused},
			want: []string{"sbom https://spdx.dev/Document ! it is attested, and that is not verified: no key that is known made it"},
		},
		{
			name: "one that is too long", limits: Limits{Bytes: 10}, in: []Attestation{attestation(attest.TypeCycloneDX, cdxText)},
			want: []string{fmt.Sprintf("sbom https://cyclonedx.org/bom ! it has %d bytes; at most 10 are read", len(cdxText))},
		},
		{
			name: "too much together", limits: Limits{Total: int64(len(cdxText) + 1)},
			in: []Attestation{attestation(attest.TypeCycloneDX, cdxText), attestation(attest.TypeOpenVEX, vexText)},
			want: []string{
				"sbom https://cyclonedx.org/bom pkg:cargo/serde@1.0.1",
				fmt.Sprintf("vex https://openvex.dev/ns ! not read: with it the documents have more than %d bytes", len(cdxText)+1),
				fmt.Sprintf("omitted: the documents have more than %d bytes", len(cdxText)+1),
			},
		},
		{
			name: "too many", limits: Limits{Documents: 1}, in: []Attestation{attestation(attest.TypeOpenVEX, vexText), attestation(attest.TypeCycloneDX, cdxText)},
			want: []string{"vex https://openvex.dev/ns CVE-2026-1", "omitted: there are more than 1 documents"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Read(t.Context(), &store{}, subject, tt.limits, tt.in...)
			if err != nil {
				t.Fatalf("Read() = %v", err)
			}
			if diff := cmp.Diff(tt.want, summary(got)); diff != "" {
				t.Errorf("Read() (-want +got):\n%s", diff)
			}
			for _, s := range got.SBOMs {
				if !s.Attested || (s.By == "release") == strings.Contains(s.Problem, "not verified") {
					t.Errorf("%+v: want it attested, by release unless it was refused", s.Place)
				}
			}
		})
	}
}

// What is attached and what is attested have one bound, and are put together.
func TestAttachedAndAttestedTogether(t *testing.T) {
	s := &store{}
	s.attach("application/vnd.cyclonedx+json", nil, file{"application/vnd.cyclonedx+json", cdxText})
	a, err := Read(t.Context(), s, subject, Limits{}, attestation(attest.TypeSPDX, spdxText))
	if err != nil || a.SBOMs[0].Attested || len(a.Declared().Root.Components) != 2 {
		t.Errorf("Read() = %q, %v; want two components, those that are attached first", summary(a), err)
	}
	a, err = Read(t.Context(), s, subject, Limits{Documents: 1}, attestation(attest.TypeSPDX, spdxText))
	if err != nil || len(a.SBOMs) != 1 || a.Omitted == "" {
		t.Errorf("Read() of at most one document = %q, %v; want the attached one, and that there are more", summary(a), err)
	}
}

func TestPlaceOf(t *testing.T) {
	about := strings.Replace(vexText, "pkg:oci/app", "pkg:cargo/serde@1.0.1", 1)
	a, err := Read(t.Context(), &store{}, subject, Limits{}, attestation(attest.TypeOpenVEX, about))
	if err != nil {
		t.Fatal(err)
	}
	document := &a.VEX[0].Document.Statements[0]
	if at, ok := a.PlaceOf(document); !ok || at.By != "release" {
		t.Errorf("PlaceOf() = %+v, %t; want one by release", at, ok)
	}
	copied := *document
	if at, ok := a.PlaceOf(&copied); ok {
		t.Errorf("PlaceOf() of a statement of nobody = %+v, want none", at)
	}
}
