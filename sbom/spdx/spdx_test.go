package spdx

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
	spdxjson "github.com/spdx/tools-golang/json"
	"github.com/spdx/tools-golang/spdx/v2/v2_3"
	"github.com/spdx/tools-golang/tagvalue"

	"github.com/wreg-project/wreg/sbom"
	"github.com/wreg-project/wreg/sbom/evidence"
	"github.com/wreg-project/wreg/test/schema"
)

const digest = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// rich is a component with a nested module, and components of each kind.
func rich() *sbom.Document {
	proof := func(m evidence.Method) []evidence.Evidence {
		return []evidence.Evidence{{Method: m, Section: "data", Offset: 300, Text: "src/lib.rs", Confidence: 0.99}}
	}
	return &sbom.Document{
		Subject: sbom.Subject{
			Name: "acme:tool", Version: "1.2.3", Kind: "component", SHA256: digest, Size: 4096,
			Metadata: sbom.Metadata{Authors: "A. Uthor", Description: "A\ntool.", Licenses: "MIT/Apache-2.0", Source: "https://example.com/tool"},
		},
		Root: &sbom.Unit{
			Kind: "component", Size: 4096,
			Components: []evidence.Component{
				{Ecosystem: evidence.WIT, Name: "wasi:io", Version: "0.2.0", Class: evidence.Proven, Evidence: proof(evidence.Interface)},
			},
			Units: []*sbom.Unit{{
				Path: "module[0]", Kind: "module", Offset: 100, Size: 3000,
				Components: []evidence.Component{
					{
						Ecosystem: evidence.Cargo, Name: "serde", Version: "1.0.200", Class: evidence.Proven, Main: true,
						Licenses: []string{"MIT OR Apache-2.0"}, Evidence: proof(evidence.SourcePath),
					},
					{
						Ecosystem: evidence.Cargo, Name: "serde_core", Class: evidence.Inferred, Requirement: "^1.0.200",
						RequiredBy: []string{"pkg:cargo/serde@1.0.200"}, Evidence: []evidence.Evidence{{Method: evidence.Dependency, Offset: -1, Confidence: 0.9}},
					},
					{Ecosystem: evidence.Cargo, Name: "hashbrown", Version: "0.15.0", Class: evidence.Proven, Part: "std", Evidence: proof(evidence.SourcePath)},
					{Ecosystem: evidence.Cargo, Name: "memchr", Class: evidence.Named, Evidence: proof(evidence.Symbol), Licenses: []string{"see LICENSE"}},
					{
						Ecosystem: evidence.Go, Name: "golang.org/x/net", Version: "v0.1.0", Class: evidence.Proven, Licenses: []string{"LicenseRef-go"},
						Commit: "0123abc", Source: "https://go.googlesource.com/net", Evidence: proof(evidence.BuildInfo),
					},
					{Ecosystem: evidence.Generic, Name: "libc.so", Class: evidence.Named, Evidence: proof(evidence.Link)},
				},
				Edges:        []sbom.Edge{{From: 0, To: 1}, {From: 0, To: 3}, {From: 3, To: 0}},
				Tools:        []sbom.Tool{{Name: "rustc", Version: "1.84.0", Role: "processed-by"}},
				Completeness: []sbom.Completeness{{Ecosystem: evidence.Cargo, Reason: "Crates that cannot panic leave no path."}},
			}},
		},
	}
}

// hostile is a document whose texts are made to break out of a line or a text.
func hostile() *sbom.Document {
	nasty := "\x00\x1b[31m</text>\r\nRelationship: SPDXRef-DOCUMENT DESCRIBES SPDXRef-evil\n<text><script>" + strings.Repeat("A", 3000) + "\xff"
	d := rich()
	d.Subject = sbom.Subject{
		Name: strings.Repeat(nasty, 350), Version: strings.Repeat(nasty, 350), Kind: nasty, SHA256: nasty, // a megabyte
		Metadata: sbom.Metadata{
			Authors: nasty, Description: nasty, Licenses: nasty, Source: "https://x/" + nasty, Homepage: "https://x/<text>" + nasty, Revision: nasty,
		},
	}
	for u := range d.Units() {
		u.Name, u.Path, u.Kind = nasty, nasty, nasty
		u.Tools = append(u.Tools, sbom.Tool{Name: nasty, Version: nasty, Role: nasty}, sbom.Tool{})
		u.Completeness = append(u.Completeness, sbom.Completeness{Ecosystem: evidence.Ecosystem(nasty), Reason: nasty})
		u.Edges = append(u.Edges, sbom.Edge{From: -1, To: 99}, sbom.Edge{}, sbom.Edge{From: 0, To: 1})
		for _, class := range []evidence.Class{evidence.Proven, evidence.Inferred, evidence.Named, evidence.Class(nasty), ""} {
			bad := evidence.Component{
				Ecosystem: evidence.NPM, Name: nasty, Version: nasty, Class: class, Requirement: nasty, RequiredBy: []string{nasty},
				Part: nasty, Checksum: nasty, Commit: nasty, Source: "https://x/" + nasty, Replaces: nasty, Licenses: []string{nasty, "DocumentRef-x:LicenseRef-y"},
				Evidence: []evidence.Evidence{{Method: evidence.Method(nasty), Section: nasty, Offset: 1 << 40, Text: nasty, Confidence: 7}},
			}
			short := evidence.Component{Ecosystem: evidence.Cargo, Name: "<text>", Version: "</text>", Class: class, Licenses: []string{"DocumentRef-x:LicenseRef-y"}}
			u.Components = append(u.Components, bad, bad, short, evidence.Component{Name: "\n"}, evidence.Component{})
		}
	}
	return d
}

// empty is a module in which nothing was found.
func empty() *sbom.Document {
	return &sbom.Document{Subject: sbom.Subject{Kind: "module", SHA256: digest}, Root: &sbom.Unit{Kind: "module"}}
}

var documents = map[string]func() *sbom.Document{"rich": rich, "hostile": hostile, "empty": empty}

// write is the file of a document.
func write(t *testing.T, d *sbom.Document, o Options) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, d, o); err != nil {
		t.Fatalf("Write(%+v): %v", o, err)
	}
	return b.Bytes()
}

func TestWriteFollowsTheOfficialSchema(t *testing.T) {
	schema := compile(t)
	for name, d := range documents {
		out := write(t, d(), Options{ToolVersion: "v1.0.0", Created: time.Unix(1700000000, 0)})
		if err := schema.Validate(value(t, out)); err != nil {
			t.Errorf("%s: %#v", name, err)
		}
		if len(out) > 4<<20 {
			t.Errorf("%s: %d bytes; want the texts bounded", name, len(out))
		}
	}
	wrong := bytes.Replace(write(t, rich(), Options{}), []byte("CONTAINS"), []byte("SWALLOWS"), 1)
	if err := schema.Validate(value(t, wrong)); err == nil {
		t.Error("a relationship SWALLOWS is valid; want an error")
	}
}

func value(t *testing.T, data []byte) any {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func compile(t *testing.T) *jsonschema.Schema {
	t.Helper()
	c, err := schema.SPDX()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestWriteIsDeterministic(t *testing.T) {
	for name, d := range documents {
		for _, f := range []Format{JSON, TagValue} {
			if a, b := write(t, d(), Options{Format: f}), write(t, d(), Options{Format: f}); !bytes.Equal(a, b) {
				t.Errorf("%s as %s: other bytes the second time", name, f)
			}
		}
	}
}

// tools-golang reads both formats, and both have the same packages and
// relations, also of a document that tries to add some.
func TestToolsGolangReadsBothFormats(t *testing.T) {
	for name, d := range documents {
		var j, v v2_3.Document
		if err := spdxjson.ReadInto(bytes.NewReader(write(t, d(), Options{})), &j); err != nil {
			t.Fatalf("%s: tools-golang of JSON: %v", name, err)
		}
		if err := tagvalue.ReadInto(bytes.NewReader(write(t, d(), Options{Format: TagValue})), &v); err != nil {
			t.Fatalf("%s: tools-golang of tag-value: %v", name, err)
		}
		if diff := cmp.Diff(summary(&j), summary(&v)); diff != "" || len(j.Packages) == 0 {
			t.Errorf("%s: JSON against tag-value:\n%.3000s", name, diff)
		}
		for _, r := range v.Relationships {
			if r.RefB.ElementRefID == "evil" {
				t.Errorf("%s: a text became a relationship", name)
			}
		}
	}
}

// summary is what both formats keep: the order of packages is the format's.
func summary(d *v2_3.Document) map[string]string {
	m := map[string]string{"": d.DocumentNamespace + d.DocumentName}
	for _, p := range d.Packages {
		s := p.PackageName + "|" + p.PackageVersion + "|" + p.PackageLicenseDeclared + "|" + p.PackageComment
		for _, x := range p.PackageExternalReferences {
			s += "|" + x.Locator
		}
		m[string(p.PackageSPDXIdentifier)] = s
	}
	for _, r := range d.Relationships {
		m[string(r.RefA.ElementRefID)+" "+r.Relationship+" "+string(r.RefB.ElementRefID)] = r.RelationshipComment
	}
	return m
}

func TestOnlyProvenPackagesCanBeMatched(t *testing.T) {
	d, err := Build(rich(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	relation := map[string]string{}
	for _, r := range d.Relationships {
		if r.Relationship != "DEPENDS_ON" || strings.HasPrefix(string(r.RefA.ElementRefID), "unit-") {
			relation[string(r.RefB.ElementRefID)] = r.Relationship
		}
	}
	got := map[string]string{}
	for _, p := range d.Packages {
		if p.PrimaryPackagePurpose != "LIBRARY" {
			continue
		}
		s := relation[string(p.PackageSPDXIdentifier)]
		for _, x := range p.PackageExternalReferences {
			s += " " + x.Locator
		}
		got[p.PackageName+" "+p.PackageVersion] = s
	}
	want := map[string]string{
		"wasi:io 0.2.0":           "CONTAINS pkg:generic/wasi/io@0.2.0",
		"serde 1.0.200":           "GENERATED_FROM pkg:cargo/serde@1.0.200",
		"serde_core ":             "DEPENDS_ON",
		"hashbrown 0.15.0":        "CONTAINS",
		"memchr ":                 "CONTAINS",
		"golang.org/x/net v0.1.0": "CONTAINS pkg:golang/golang.org/x/net@v0.1.0?vcs_url=git%2Bhttps:%2F%2Fgo.googlesource.com%2Fnet%400123abc",
		"libc.so ":                "DYNAMIC_LINK",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("relation and package URL (-want +got):\n%s", diff)
	}
	if want := "module[0]: Completeness of cargo: incomplete. Crates that cannot panic leave no path."; d.DocumentComment != want {
		t.Errorf("the document's comment is %q; want %q", d.DocumentComment, want)
	}
	if len(d.OtherLicenses) != 1 || d.OtherLicenses[0].LicenseIdentifier != "LicenseRef-go" {
		t.Errorf("licences of its own are %+v; want LicenseRef-go", d.OtherLicenses)
	}
}

func TestWriteRefuses(t *testing.T) {
	if err := Write(io.Discard, rich(), Options{Format: "yaml"}); !errors.Is(err, ErrOption) {
		t.Errorf("Write as yaml = %v; want ErrOption", err)
	}
	if err := Write(io.Discard, &sbom.Document{}, Options{}); !errors.Is(err, errNoRoot) {
		t.Errorf("Write of a document without a root = %v; want errNoRoot", err)
	}
	d := empty()
	for u, n := d.Root, 0; n <= maxUnits+1; u, n = u.Units[0], n+1 {
		u.Units = []*sbom.Unit{{}}
	}
	if err := Write(io.Discard, d, Options{}); !errors.Is(err, errNested) {
		t.Errorf("Write of %d nested modules = %v; want errNested", maxUnits+1, err)
	}
}
