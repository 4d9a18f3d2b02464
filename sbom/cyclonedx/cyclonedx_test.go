package cyclonedx

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/wreg-project/wreg/sbom"
	"github.com/wreg-project/wreg/sbom/evidence"
	"github.com/wreg-project/wreg/test/schema"
)

const digest = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// document is a component with a nested module, and components of each kind.
func document() *sbom.Document {
	return &sbom.Document{
		SchemaVersion: sbom.SchemaVersion, MediaType: sbom.MediaType,
		Subject: sbom.Subject{
			Name: "acme:tool", Version: "1.2.3", Kind: "component", SHA256: digest, Size: 4096,
			Metadata: sbom.Metadata{
				Authors: "A. Uthor", Description: "A tool.", Licenses: "MIT/Apache-2.0", Source: "https://example.com/acme/tool",
				Homepage: "not an address", Revision: "0123abc",
			},
		},
		Root: &sbom.Unit{
			Kind: "component", Size: 4096,
			Components: []evidence.Component{{
				Ecosystem: evidence.WIT, Name: "wasi:io", Version: "0.2.0", Class: evidence.Proven,
				Evidence: []evidence.Evidence{{Method: evidence.Interface, Section: "import", Offset: 20, Confidence: 1}},
			}},
			Tools: []sbom.Tool{{Name: "wit-component", Version: "0.230.0", Role: "processed-by"}},
			Completeness: []sbom.Completeness{
				{Ecosystem: evidence.WIT, Complete: true, Reason: "The imports of a component are all named."},
			},
			Units: []*sbom.Unit{{
				Path: "module[0]", Kind: "module", Name: "main", Offset: 100, Size: 3000,
				Components:   crates(),
				Edges:        []sbom.Edge{{From: 0, To: 1}, {From: 0, To: 3}, {From: 3, To: 0}},
				Tools:        []sbom.Tool{{Name: "rustc", Version: "1.84.0", Role: "processed-by"}, {Name: "Rust", Role: "language"}},
				Completeness: []sbom.Completeness{{Ecosystem: evidence.Cargo, Reason: "Crates that cannot panic leave no path."}},
			}},
		},
	}
}

func crates() []evidence.Component {
	return []evidence.Component{
		{
			Ecosystem: evidence.Cargo, Name: "serde", Version: "1.0.200", Class: evidence.Proven, Licenses: []string{"MIT OR Apache-2.0"},
			Checksum: "abc", Evidence: []evidence.Evidence{
				{Method: evidence.SourcePath, Section: "data", Offset: 300, Text: "registry/src/x/serde-1.0.200/src/lib.rs", Confidence: 0.99},
				{Method: evidence.Symbol, Section: "name", Offset: 900, Text: "_ZN5serde", Confidence: 0.4},
			},
		},
		{
			Ecosystem: evidence.Cargo, Name: "serde_core", Class: evidence.Inferred, Requirement: "^1.0.200",
			RequiredBy: []string{"pkg:cargo/serde@1.0.200"},
			Evidence:   []evidence.Evidence{{Method: evidence.Dependency, Offset: -1, Confidence: 0.9}},
		},
		{
			Ecosystem: evidence.Cargo, Name: "hashbrown", Version: "0.15.0", Class: evidence.Proven, Part: "std",
			Evidence: []evidence.Evidence{{Method: evidence.SourcePath, Section: "data", Offset: 400, Confidence: 0.99}},
		},
		{
			Ecosystem: evidence.Cargo, Name: "memchr", Class: evidence.Named,
			Evidence: []evidence.Evidence{{Method: evidence.Symbol, Section: "name", Offset: 950, Text: "memchr::find", Confidence: 0.3}},
		},
		{
			Ecosystem: evidence.NPM, Name: "@scope/pkg", Version: "2.0.0", Class: evidence.Proven, Licenses: []string{"see LICENSE"},
			Evidence: []evidence.Evidence{{Method: evidence.FileSystem, Section: "data", Offset: 1000, Confidence: 0.8}},
		},
		{
			Ecosystem: evidence.Go, Name: "golang.org/x/net", Version: "v0.1.0", Class: evidence.Proven, Main: true,
			Commit: "0123abc", Source: "https://go.googlesource.com/net", Replaces: "example.com/net@v0.0.1",
			Evidence: []evidence.Evidence{{Method: evidence.BuildInfo, Section: "data", Offset: 1100, Confidence: 1}},
		},
		{
			Ecosystem: evidence.Generic, Name: "libc.so", Class: evidence.Named, Source: "here & there",
			Evidence: []evidence.Evidence{{Method: evidence.Link, Section: "dylink.0", Offset: 8, Confidence: 1}},
		},
	}
}

// hostile is a document whose texts are made to break the encodings, made by
// hand, for the extractors would not let them through.
func hostile() *sbom.Document {
	nasty := "\x00\x1b[31m</name><script>alert(1)</script>&amp;\"'\u202e\r\nname: x\xff" + strings.Repeat("A", 3000)
	d := document()
	s := &d.Subject
	s.Name, s.Version, s.SHA256 = strings.Repeat(nasty, 350), strings.Repeat(nasty, 350), nasty // a megabyte
	s.Metadata = sbom.Metadata{Authors: nasty, Description: nasty, Licenses: nasty, Source: "https://x/" + nasty, Homepage: nasty, Revision: nasty}
	for u := range d.Units() {
		u.Name, u.Path, u.Kind = nasty, nasty, nasty
		u.Tools = append(u.Tools, sbom.Tool{Name: nasty, Version: nasty, Role: nasty}, sbom.Tool{})
		u.Completeness = append(u.Completeness, sbom.Completeness{Ecosystem: evidence.Ecosystem(nasty), Reason: nasty})
		u.Edges = append(u.Edges, sbom.Edge{From: -1, To: 99}, sbom.Edge{From: 0, To: 0}, sbom.Edge{From: 0, To: 1}, sbom.Edge{From: 1})
		for _, class := range []evidence.Class{evidence.Proven, evidence.Inferred, evidence.Named, evidence.Class(nasty), ""} {
			bad := evidence.Component{
				Ecosystem: evidence.NPM, Name: nasty, Version: nasty, Class: class, Requirement: nasty, RequiredBy: []string{nasty},
				Part: nasty, Checksum: nasty, Commit: nasty, Source: nasty, Replaces: nasty, Licenses: []string{nasty, "MIT"},
				Evidence: []evidence.Evidence{{Method: evidence.Method(nasty), Section: nasty, Offset: 1 << 40, Text: nasty, Confidence: 7}},
			}
			u.Components = append(u.Components, bad, bad, evidence.Component{Ecosystem: evidence.WIT, Name: ":"}, evidence.Component{})
		}
	}
	return d
}

// empty is a module in which nothing was found.
func empty() *sbom.Document {
	return &sbom.Document{Subject: sbom.Subject{Kind: "module", SHA256: digest}, Root: &sbom.Unit{Kind: "module"}}
}

var documents = map[string]func() *sbom.Document{"rich": document, "hostile": hostile, "empty": empty}

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
	for _, version := range []Version{V1_6, V1_7} {
		schema := compile(t, version)
		for name, d := range documents {
			out := write(t, d(), Options{Version: version, ToolVersion: "v1.0.0", Created: time.Unix(1700000000, 0)})
			value, err := jsonschema.UnmarshalJSON(bytes.NewReader(out))
			if err != nil {
				t.Fatalf("%s, %s: %v", name, version, err)
			}
			if err := schema.Validate(value); err != nil {
				t.Errorf("%s, %s: %#v", name, version, err)
			}
			if len(out) > 4<<20 {
				t.Errorf("%s, %s: %d bytes; want the texts bounded", name, version, len(out))
			}
		}
	}
}

// The schema must refuse something, or the test above shows nothing.
func TestTheSchemaRefusesWhatIsWrong(t *testing.T) {
	out := bytes.Replace(write(t, document(), Options{}), []byte(`"library"`), []byte(`"librarian"`), 1)
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(out))
	if err != nil {
		t.Fatal(err)
	}
	if err := compile(t, V1_6).Validate(value); err == nil {
		t.Error("a component of type librarian is valid; want an error")
	}
}

// compile gives the official schema.
func compile(t *testing.T, version Version) *jsonschema.Schema {
	t.Helper()
	c, err := schema.CycloneDX(string(version))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestWriteIsDeterministic(t *testing.T) {
	for name, d := range documents {
		for _, o := range []Options{{}, {Version: V1_7}, {Format: XML}, {Version: V1_7, Format: XML}} {
			if a, b := write(t, d(), o), write(t, d(), o); !bytes.Equal(a, b) {
				t.Errorf("%s: Write(%+v) gives other bytes the second time", name, o)
			}
		}
	}
	a, _, err := Build(document(), Options{ToolVersion: "1"})
	if err != nil {
		t.Fatal(err)
	}
	b, _, err := Build(document(), Options{ToolVersion: "2"})
	if err != nil {
		t.Fatal(err)
	}
	if a.SerialNumber == b.SerialNumber {
		t.Errorf("two versions of the tool give the serial number %s; want two", a.SerialNumber)
	}
}

// cyclonedx-go reads both formats, and both say the same.
func TestCyclonedxGoReadsBothFormats(t *testing.T) {
	for name, d := range documents {
		for _, version := range []Version{V1_6, V1_7} {
			var j, x cdx.BOM
			decode(t, write(t, d(), Options{Version: version}), cdx.BOMFileFormatJSON, &j)
			decode(t, write(t, d(), Options{Version: version, Format: XML}), cdx.BOMFileFormatXML, &x)
			// These are of one encoding each.
			j.JSONSchema, j.BOMFormat = "", ""
			x.XMLName.Local, x.XMLName.Space, x.XMLNS = "", "", ""
			// It takes these for attributes; see repairOccurrences.
			place := cmpopts.IgnoreFields(cdx.EvidenceOccurrence{}, "Line", "Offset", "Symbol", "AdditionalContext")
			if diff := cmp.Diff(j, x, place); diff != "" {
				t.Errorf("%s, %s: JSON against XML:\n%.4000s", name, version, diff)
			}
			if j.SpecVersion.String() != string(version) {
				t.Errorf("%s: specVersion is %s; want %s", name, j.SpecVersion, version)
			}
		}
	}
}

func decode(t *testing.T, data []byte, format cdx.BOMFileFormat, bom *cdx.BOM) {
	t.Helper()
	if err := cdx.NewBOMDecoder(bytes.NewReader(data), format).Decode(bom); err != nil {
		t.Fatalf("cyclonedx-go: %v\n%.2000s", err, data)
	}
}

func TestOnlyProvenComponentsCanBeMatched(t *testing.T) {
	bom, refs, err := Build(document(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	seen := map[string]bool{}
	var walk func(list *[]cdx.Component)
	walk = func(list *[]cdx.Component) {
		if list == nil {
			return
		}
		for _, c := range *list {
			if seen[c.BOMRef] || c.BOMRef == "" {
				t.Errorf("bom-ref %q is not one of its own", c.BOMRef)
			}
			seen[c.BOMRef] = true
			if c.Type == cdx.ComponentTypeLibrary {
				got[c.Name+" "+c.Version] = c.PackageURL + " " + string(c.Scope)
			}
			walk(c.Components)
		}
	}
	walk(bom.Components)
	want := map[string]string{
		"io 0.2.0":                "pkg:generic/wasi/io@0.2.0 ",
		"serde 1.0.200":           "pkg:cargo/serde@1.0.200 ",
		"serde_core ":             " optional",
		"hashbrown 0.15.0":        " ",
		"memchr ":                 " ",
		"pkg 2.0.0":               "pkg:npm/%40scope/pkg@2.0.0 ",
		"golang.org/x/net v0.1.0": "pkg:golang/golang.org/x/net@v0.1.0?vcs_url=git%2Bhttps:%2F%2Fgo.googlesource.com%2Fnet%400123abc ",
		"libc.so ":                " ",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("package URL and scope of the components (-want +got):\n%s", diff)
	}
	if len(refs) != len(want) {
		t.Errorf("%d components have references; want %d", len(refs), len(want))
	}
}

func TestCompositionsSayHowCompleteAListIs(t *testing.T) {
	bom, _, err := Build(document(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range *bom.Compositions {
		got = append(got, string(c.Aggregate)+" "+string((*c.Assemblies)[0]))
	}
	want := []string{"complete wasm-e3b0c44298fc", "incomplete wasm-e3b0c44298fc/module[0]"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("compositions (-want +got):\n%s", diff)
	}
	cut := document()
	cut.Root.Omitted = 3
	bom, _, err = Build(cut, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got := (*bom.Compositions)[0].Aggregate; got != cdx.CompositionAggregateIncomplete {
		t.Errorf("with modules omitted the composition is %q; want incomplete", got)
	}
	bom, _, err = Build(empty(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got := (*bom.Compositions)[0].Aggregate; got != cdx.CompositionAggregateUnknown {
		t.Errorf("of an empty module the composition is %q; want unknown", got)
	}
}

func TestEvidenceSaysHowAndWhere(t *testing.T) {
	bom, _, err := Build(document(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	module := (*bom.Components)[1]
	serde := (*module.Components)[0]
	identity := (*serde.Evidence.Identity.Identities)[0]
	if identity.Field != cdx.EvidenceIdentityFieldTypePURL || *identity.Confidence != 0.99 || len(*identity.Methods) != 2 {
		t.Errorf("identity of serde is %+v; want purl at .99 by two methods", identity)
	}
	places := *serde.Evidence.Occurrences
	if places[0].Location != "module[0]:data" || *places[0].Offset != 300 || places[1].Symbol != "_ZN5serde" {
		t.Errorf("places of serde are %+v; want data at 300, then a symbol", places)
	}
	if inferred := (*module.Components)[1]; inferred.Evidence.Occurrences != nil {
		t.Errorf("the inferred %s has places %+v; want none", inferred.Name, *inferred.Evidence.Occurrences)
	}
}

func TestWriteRefusesUnknownOptions(t *testing.T) {
	for _, o := range []Options{{Version: "1.5"}, {Format: "yaml"}} {
		if err := Write(io.Discard, document(), o); !errors.Is(err, ErrOption) {
			t.Errorf("Write(%+v) = %v; want ErrOption", o, err)
		}
	}
	if err := Write(io.Discard, &sbom.Document{}, Options{}); !errors.Is(err, errNoRoot) {
		t.Errorf("Write of a document without a root = %v; want errNoRoot", err)
	}
	d := document()
	for u := d.Root; ; u = u.Units[0] {
		if u.Path = u.Path + "m"; len(u.Path) > maxUnits+2 {
			break
		}
		u.Units = []*sbom.Unit{{Path: u.Path}}
	}
	if err := Write(io.Discard, d, Options{}); !errors.Is(err, errNested) {
		t.Errorf("Write of %d nested modules = %v; want errNested", maxUnits+2, err)
	}
}

func TestXMLOccurrencesAreElements(t *testing.T) {
	out := string(write(t, document(), Options{Format: XML}))
	for _, want := range []string{"<offset>300</offset>", "<symbol>_ZN5serde</symbol>", "<additionalContext>registry/src/x/serde-1.0.200/src/lib.rs</"} {
		if !strings.Contains(out, want) {
			t.Errorf("the XML lacks %s", want)
		}
	}
	if strings.Contains(out, "<occurrence ") {
		t.Error("the XML has an occurrence with attributes; the schema allows none of those")
	}
}
