package sbom

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wreg-project/wreg/sbom/evidence"
)

// part is a component of a document under test, proven unless it says otherwise.
func part(e evidence.Ecosystem, name, version string, change ...func(*evidence.Component)) evidence.Component {
	c := evidence.Component{Ecosystem: e, Name: name, Version: version, Class: evidence.Proven}
	for _, f := range change {
		f(&c)
	}
	return c
}

func document(all bool, list ...evidence.Component) *Document {
	u := &Unit{Components: list}
	for _, e := range []evidence.Ecosystem{evidence.Cargo, evidence.Go} {
		u.Completeness = append(u.Completeness, Completeness{Ecosystem: e, Complete: all, Reason: "as tested"})
	}
	return &Document{Root: u}
}

func inferred(c *evidence.Component) { c.Class, c.Requirement = evidence.Inferred, "^1" }
func named(c *evidence.Component)    { c.Class = evidence.Named }
func itself(c *evidence.Component)   { c.Main = true }
func ofStd(c *evidence.Component)    { c.Part = "std" }

func TestCompare(t *testing.T) {
	serde := part(evidence.Cargo, "serde", "1.0.200")
	tests := []struct {
		name              string
		derived, declared *Document
		want              Difference
	}{
		{name: "the same", derived: document(false, serde), declared: document(false, serde)},
		{
			name: "declared but not found, in a list that need not be whole", derived: document(false), declared: document(false, serde),
			want: Difference{NotFound: []NotFound{{Component: serde, Reason: "as tested"}}},
		},
		{
			name: "declared but not found, in a whole list", derived: document(true), declared: document(false, serde),
			want: Difference{NotFound: []NotFound{{Component: serde, Certain: true, Reason: "as tested"}}},
		},
		{
			name: "found but not declared", derived: document(false, serde), declared: document(false),
			want: Difference{NotDeclared: []evidence.Component{serde}},
		},
		{
			name:     "in other versions",
			derived:  document(false, serde, part(evidence.Cargo, "serde", "1.0.1")),
			declared: document(false, part(evidence.Cargo, "serde", "1.0.199")),
			want: Difference{Versions: []VersionDifference{{
				Ecosystem: evidence.Cargo, Name: "serde", Declared: []string{"1.0.199"}, Found: []string{"1.0.1", "1.0.200"},
			}}},
		},
		{
			name:    "one of several versions is enough",
			derived: document(false, serde), declared: document(false, serde, part(evidence.Cargo, "serde", "0.9.0")),
		},
		{
			name: "names and versions that tools write differently",
			derived: document(false,
				part(evidence.Go, "stdlib", "1.18.5"),
				part(evidence.Go, "a.b/c", "v1.0.0"),
				part(evidence.PyPI, "zope.interface", "5.0"),
				part(evidence.NuGet, "MudBlazor", "9.0.0"),
			),
			declared: document(false,
				part(evidence.Go, "std", "go1.18.5"),
				part(evidence.Go, "a.b/c", "1.0.0"),
				part(evidence.PyPI, "Zope_Interface", "5.0"),
				part(evidence.NuGet, "mudblazor", "9.0.0"),
			),
		},
		{
			name:     "what is inferred or only named confirms",
			derived:  document(false, part(evidence.Cargo, "serde", "", inferred), part(evidence.Cargo, "ring", "", named)),
			declared: document(false, serde, part(evidence.Cargo, "ring", "0.17.8")),
		},
		{
			name: "what is inferred, named, a part, an interface or the binary itself need not be declared",
			derived: document(false,
				part(evidence.Cargo, "a", "", inferred),
				part(evidence.Cargo, "b", "", named),
				part(evidence.Cargo, "hashbrown", "0.15.0", ofStd),
				part(evidence.WIT, "wasi:io", "0.2.0"),
				part(evidence.Go, "app", "", itself),
			),
			declared: document(false),
		},
		{
			name: "a main component that is declared", derived: document(true),
			declared: document(false, part(evidence.Go, "app", "v1.0.0", itself)),
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := Compare(tt.derived, tt.declared)
			want := tt.want
			want.NotFound = append([]NotFound{}, want.NotFound...)
			want.NotDeclared = append([]evidence.Component{}, want.NotDeclared...)
			want.Versions = append([]VersionDifference{}, want.Versions...)
			if d := cmp.Diff(&want, got); d != "" {
				t.Fatalf("Compare (-want +got):\n%s", d)
			}
			if none := len(want.NotFound)+len(want.NotDeclared)+len(want.Versions) == 0; got.Empty() != none {
				t.Fatalf("Empty() = %t, want %t", got.Empty(), none)
			}
		})
	}
}

// What was found in one unit of a file confirms a declaration of the whole, and a
// unit that was left out makes no certainty.
func TestCompareCountsUnitsTogether(t *testing.T) {
	serde := part(evidence.Cargo, "serde", "1.0.200")
	derived := document(true)
	derived.Root.Units = []*Unit{{Path: "module[0]", Components: []evidence.Component{serde}}}
	if got := Compare(derived, document(false, serde)); !got.Empty() {
		t.Fatalf("Compare with a find in a nested unit = %+v, want nothing", got)
	}
	derived.Root.Omitted = 1
	got := Compare(derived, document(false, part(evidence.Cargo, "ring", "0.17.8"), serde))
	if len(got.NotFound) != 1 || got.NotFound[0].Certain {
		t.Fatalf("Compare with a unit left out = %+v, want ring not found without certainty", got)
	}
}
