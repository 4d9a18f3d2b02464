package policy

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wreg-project/wreg/sbom"
	"github.com/wreg-project/wreg/sbom/evidence"
)

// component is one of a document under test.
func component(e evidence.Ecosystem, name, version string, c evidence.Class, licences ...string) evidence.Component {
	return evidence.Component{Ecosystem: e, Name: name, Version: version, Class: c, Licenses: licences}
}

// madeOf is the document that of a Go module inside of a component.
func madeOf(whole bool, list ...evidence.Component) *sbom.Document {
	return &sbom.Document{Root: &sbom.Unit{
		Kind: "component", Completeness: []sbom.Completeness{{Ecosystem: evidence.WIT, Complete: true}},
		Units: []*sbom.Unit{{
			Path: "module[0]", Kind: "module", Components: list,
			Completeness: []sbom.Completeness{{Ecosystem: evidence.Go, Complete: whole}},
		}},
	}}
}

func TestSBOMFacts(t *testing.T) {
	main := component(evidence.Go, "example.org/app", "", evidence.Proven)
	main.Main = true
	net := component(evidence.Go, "golang.org/x/net", "v0.1.0", evidence.Proven)
	yaml := component(evidence.Go, "gopkg.in/yaml.v3", "v3.0.1", evidence.Proven, "mit", "NOASSERTION")
	inStd := component(evidence.Cargo, "hashbrown", "0.14.0", evidence.Proven)
	inStd.Part = "std"
	tests := []struct {
		name        string
		d, declared *sbom.Document
		diff        *sbom.Difference
		want        SBOM
	}{
		{
			name: "a whole list, that of nobody else", d: madeOf(true, main, yaml, net),
			want: SBOM{Complete: true, Components: []Component{
				{PURL: "pkg:golang/golang.org/x/net@v0.1.0", Ecosystem: "golang", Name: "golang.org/x/net", Version: "v0.1.0", Class: "proven"},
				{
					PURL: "pkg:golang/gopkg.in/yaml.v3@v3.0.1", Ecosystem: "golang", Name: "gopkg.in/yaml.v3", Version: "v3.0.1", Class: "proven",
					Licenses: []string{"MIT"},
				},
			}},
		},
		{
			name: "the publisher knows a licence, another version, and one that is not there",
			d:    madeOf(true, net, yaml),
			declared: madeOf(
				false, component(evidence.Go, "golang.org/x/net", "v0.1.0", evidence.Proven, "BSD-3-Clause"),
				component(evidence.Go, "gopkg.in/yaml.v3", "v3.0.0", evidence.Proven), component(evidence.Go, "example.org/gone", "v1.0.0", evidence.Proven),
			),
			want: SBOM{
				Complete: true, Publisher: true,
				Components: []Component{
					{PURL: "pkg:golang/example.org/gone@v1.0.0", Ecosystem: "golang", Name: "example.org/gone", Version: "v1.0.0", Class: "declared"},
					{
						PURL: "pkg:golang/golang.org/x/net@v0.1.0", Ecosystem: "golang", Name: "golang.org/x/net", Version: "v0.1.0", Class: "proven",
						Licenses: []string{"BSD-3-Clause"},
					},
					{PURL: "pkg:golang/gopkg.in/yaml.v3@v3.0.0", Ecosystem: "golang", Name: "gopkg.in/yaml.v3", Version: "v3.0.0", Class: "declared"},
					{
						PURL: "pkg:golang/gopkg.in/yaml.v3@v3.0.1", Ecosystem: "golang", Name: "gopkg.in/yaml.v3", Version: "v3.0.1", Class: "proven",
						Licenses: []string{"MIT"},
					},
				},
				NotFound: []string{"pkg:golang/example.org/gone@v1.0.0"}, OtherVersion: []string{"pkg:golang/gopkg.in/yaml.v3"},
			},
		},
		{
			name: "what is declared of another file is not missing in this one", d: madeOf(false), declared: madeOf(false, net),
			diff: &sbom.Difference{},
			want: SBOM{Publisher: true, Components: []Component{
				{PURL: "pkg:golang/golang.org/x/net@v0.1.0", Ecosystem: "golang", Name: "golang.org/x/net", Version: "v0.1.0", Class: "declared"},
			}},
		},
		{
			name: "a list that need not be whole proves nothing missing", d: madeOf(false, inStd), declared: madeOf(false, net),
			want: SBOM{Publisher: true, Components: []Component{
				{PURL: "pkg:cargo/hashbrown@0.14.0", Ecosystem: "cargo", Name: "hashbrown", Version: "0.14.0", Class: "proven", Part: "std"},
				{PURL: "pkg:golang/golang.org/x/net@v0.1.0", Ecosystem: "golang", Name: "golang.org/x/net", Version: "v0.1.0", Class: "declared"},
			}},
		},
		{
			name: "not declared at all", d: madeOf(false, net), declared: madeOf(false),
			want: SBOM{
				Publisher: true, NotDeclared: []string{"pkg:golang/golang.org/x/net@v0.1.0"},
				Components: []Component{
					{PURL: "pkg:golang/golang.org/x/net@v0.1.0", Ecosystem: "golang", Name: "golang.org/x/net", Version: "v0.1.0", Class: "proven"},
				},
			},
		},
		{
			name: "the same crate in two modules, proven in one",
			d: &sbom.Document{Root: &sbom.Unit{Units: []*sbom.Unit{
				{Components: []evidence.Component{component(evidence.Cargo, "log", "", evidence.Named)}},
				{Components: []evidence.Component{component(evidence.Cargo, "log", "", evidence.Inferred)}},
			}}},
			want: SBOM{Components: []Component{{PURL: "pkg:cargo/log", Ecosystem: "cargo", Name: "log", Class: "inferred"}}},
		},
		{
			name: "modules that were not looked at",
			d: &sbom.Document{Root: &sbom.Unit{
				Omitted: 1, Completeness: []sbom.Completeness{{Ecosystem: evidence.Go, Complete: true}},
			}},
			want: SBOM{},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := SBOMFacts(tt.d, tt.declared, tt.diff)
			fill(&tt.want.Components, &tt.want.NotFound, &tt.want.NotDeclared, &tt.want.OtherVersion)
			if d := cmp.Diff(&tt.want, got); d != "" {
				t.Errorf("SBOMFacts (-want +got)\n%s", d)
			}
		})
	}
}

// fill makes empty lists of what a table leaves out.
func fill(components *[]Component, lists ...*[]string) {
	if *components == nil {
		*components = []Component{}
	}
	for i := range *components {
		lists = append(lists, &(*components)[i].Licenses)
	}
	for _, l := range lists {
		if *l == nil {
			*l = []string{}
		}
	}
}

func TestSBOMFactsAreBounded(t *testing.T) {
	many := make([]evidence.Component, maxList+1)
	for i := range many {
		many[i] = component(evidence.Cargo, fmt.Sprintf("crate-%05d", i), "1.0.0", evidence.Proven)
	}
	long := make([]evidence.Component, 9000)
	for i := range long {
		long[i] = component(evidence.Generic, fmt.Sprintf("%0500d", i), "1", evidence.Proven)
	}
	some := component(evidence.Cargo, "a", "1.0.0", evidence.Proven, "MIT", "ISC", "Zlib", "Apache-2.0 OR MIT", "BSD-2-Clause", "mit")
	odd := component(evidence.Cargo, "b", "1.0.0", evidence.Proven, "MIT", "ISC", "Zlib", "as is", "my\x1bown", strings.Repeat("x", 2*maxText))
	for name, list := range map[string][]evidence.Component{"many": many, "long": long} {
		s := SBOMFacts(madeOf(true, list...), madeOf(false), nil)
		if d := cmp.Diff([]string{"components", "notDeclared"}, s.Truncated); d != "" || len(s.Components) > maxList {
			t.Errorf("SBOMFacts of %s: %d components, truncated (-want +got)\n%s", name, len(s.Components), d)
		}
		l := LicenseFacts("MIT", nil, s)
		if d := cmp.Diff([]string{"missing", "expressions", "ids", "families", "other", "unknown"}, l.Truncated); d != "" {
			t.Errorf("LicenseFacts of %s: truncated (-want +got)\n%s", name, d)
		}
	}
	got := SBOMFacts(madeOf(true, some, odd), nil, nil).Components
	if d := cmp.Diff([]string{"Apache-2.0 OR MIT", "BSD-2-Clause", "ISC", "MIT AND Zlib"}, got[0].Licenses); d != "" {
		t.Errorf("licences of a component with five (-want +got)\n%s", d)
	}
	rest := got[1].Licenses[maxComponentLicences-1]
	if len(got[1].Licenses) != maxComponentLicences || len(rest) > maxText || !strings.HasPrefix(rest, "as is, my\ufffdown, x") {
		t.Errorf("licences of a component with odd ones = %.200q", got[1].Licenses)
	}
}

func TestLicenseFacts(t *testing.T) {
	named := madeOf(false)
	named.Subject.Metadata.Licenses = "apache-2.0"
	inStd := component(evidence.Cargo, "hashbrown", "0.14.0", evidence.Proven)
	inStd.Part = "std"
	tests := []struct {
		name       string
		annotation string
		d          *sbom.Document
		want       Licenses
	}{
		{
			name: "the annotation counts before the metadata", annotation: " mit or GPL-2.0+ ", d: named,
			want: Licenses{
				Declared: "MIT OR GPL-2.0-or-later", Expressions: []string{"MIT OR GPL-2.0-or-later"}, IDs: []string{"GPL-2.0-or-later", "MIT"},
				Families: []string{"permissive", "strong-copyleft"},
			},
		},
		{
			name: "the metadata counts without an annotation", d: named,
			want: Licenses{
				Declared: "Apache-2.0", Expressions: []string{"Apache-2.0"}, IDs: []string{"Apache-2.0"}, Families: []string{"permissive"},
			},
		},
		{name: "nobody states anything", d: madeOf(false), want: Licenses{Unknown: true}},
		{
			name: "what is no expression is not known", annotation: "Apache 2", d: madeOf(false),
			want: Licenses{Other: []string{"Apache 2"}, Unknown: true},
		},
		{
			name: "components count, and those without a licence are missing", annotation: "MIT",
			d: madeOf(
				false, component(evidence.Go, "a", "v1", evidence.Proven, "MPL-2.0", "mit"), component(evidence.Go, "b", "v1", evidence.Proven),
				component(evidence.Go, "c", "", evidence.Inferred), inStd, component(evidence.WIT, "wasi:cli", "0.2.0", evidence.Proven),
				component(evidence.Go, "d", "v1", evidence.Proven, "see LICENSE"),
			),
			want: Licenses{
				Declared: "MIT", Expressions: []string{"MIT", "MPL-2.0"}, IDs: []string{"MIT", "MPL-2.0"},
				Families: []string{"permissive", "weak-copyleft"}, Missing: []string{"pkg:golang/b@v1"}, Other: []string{"see LICENSE"}, Unknown: true,
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := LicenseFacts(tt.annotation, tt.d, SBOMFacts(tt.d, nil, nil))
			fill(new([]Component), &tt.want.Expressions, &tt.want.IDs, &tt.want.Families, &tt.want.Missing, &tt.want.Other)
			if d := cmp.Diff(&tt.want, got); d != "" {
				t.Errorf("LicenseFacts(%q) (-want +got)\n%s", tt.annotation, d)
			}
		})
	}
}
