package cyclonedx

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wreg-project/wreg/sbom"
	"github.com/wreg-project/wreg/sbom/evidence"
)

// What is written is read again with identity, class and requirements.
func TestReadTakesWhatWriteWrites(t *testing.T) {
	var want []string
	for _, c := range document().All() {
		want = append(want, line(c))
	}
	for _, o := range []Options{{}, {Version: V1_7}, {Format: XML}, {Version: V1_7, Format: XML}} {
		d, err := Read(bytes.NewReader(write(t, document(), o)), Limits{})
		if err != nil {
			t.Fatalf("Read of %+v: %v", o, err)
		}
		if d.Subject.SHA256 != digest || d.Subject.Name != "acme:tool" || d.Subject.Kind != "component" {
			t.Errorf("Read of %+v has the subject %+v", o, d.Subject)
		}
		got := map[string]bool{}
		for _, c := range d.All() {
			got[line(c)] = true
		}
		for _, w := range want {
			if !got[w] {
				t.Errorf("Read of %+v lacks %q; it has %v", o, w, got)
			}
		}
		if len(got) != len(want) || len(d.Root.Edges) != 3 {
			t.Errorf("Read of %+v has %d components and %d edges; want %d and 3", o, len(got), len(d.Root.Edges), len(want))
		}
	}
}

func line(c *evidence.Component) string {
	return strings.Join([]string{string(c.Ecosystem), c.Name, c.Version, string(c.Class), c.Part, c.Requirement}, "|")
}

const others = `{"bomFormat":"CycloneDX","specVersion":"1.4","version":1,
"metadata":{"component":{"type":"application","name":"app","version":"1","hashes":[{"alg":"SHA-256","content":"XX"}]}},
"components":[
 {"type":"library","bom-ref":"a","group":"@s","name":"a","version":"1.0.0","purl":"pkg:npm/%40s/a@1.0.0",
  "licenses":[{"license":{"id":"MIT"}},{"license":{"name":"odd"}}],
  "components":[{"type":"library","bom-ref":"b","name":"b","version":"2","purl":"pkg:cargo/b@2.0.0","licenses":[{"expression":"MIT/ISC"}]}]},
 {"type":"file","name":"README"},{"type":"library","name":""},{"type":"library","name":"nover","purl":"pkg:cargo/nover"}],
"dependencies":[{"ref":"a","dependsOn":["b","gone"]},{"ref":"b","dependsOn":["a"]}]}`

const othersXML = `<?xml version="1.0"?><bom xmlns="http://cyclonedx.org/schema/bom/1.4" version="1">
<metadata><component type="application"><name>app</name><version>1</version></component></metadata>
<components><component type="library" bom-ref="a"><group>@s</group><name>a</name><version>1.0.0</version>
<licenses><license><id>MIT</id></license><license><name>odd</name></license></licenses><purl>pkg:npm/%40s/a@1.0.0</purl>
<components><component type="library" bom-ref="b"><name>b</name><version>2</version>
<licenses><expression>MIT/ISC</expression></licenses><purl>pkg:cargo/b@2.0.0</purl></component></components></component>
<component type="file"><name>README</name></component><component type="library"><name/></component>
<component type="library"><name>nover</name><purl>pkg:cargo/nover</purl></component></components>
<dependencies><dependency ref="a"><dependency ref="b"/><dependency ref="gone"/></dependency>
<dependency ref="b"><dependency ref="a"/></dependency></dependencies></bom>`

func TestReadTakesFilesOfOthers(t *testing.T) {
	declared := []evidence.Evidence{{Method: evidence.Declaration, Offset: -1, Confidence: 1}}
	want := &sbom.Unit{
		Kind: "module",
		Components: []evidence.Component{
			{Ecosystem: evidence.Cargo, Name: "b", Version: "2.0.0", Class: evidence.Proven, Licenses: []string{"MIT OR ISC"}, Evidence: declared},
			{Ecosystem: evidence.Cargo, Name: "nover", Class: evidence.Named, Evidence: declared},
			{Ecosystem: evidence.NPM, Name: "@s/a", Version: "1.0.0", Class: evidence.Proven, Licenses: []string{"MIT"}, Evidence: declared},
		},
		Edges: []sbom.Edge{{From: 0, To: 2}, {From: 2, To: 0}},
		Tools: []sbom.Tool{}, Completeness: []sbom.Completeness{},
	}
	for name, in := range map[string]string{"JSON": others, "XML": othersXML} {
		d, err := Read(strings.NewReader(in), Limits{})
		if err != nil {
			t.Fatalf("Read of %s: %v", name, err)
		}
		if diff := cmp.Diff(want, d.Root); diff != "" || d.Subject.Name != "app" || d.Subject.SHA256 != "" {
			t.Errorf("Read of %s, subject %+v (-want +got):\n%s", name, d.Subject, diff)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	deepJSON := `{"bomFormat":"CycloneDX","components":` + strings.Repeat(`[{"components":`, 1000)
	deepXML := `<bom xmlns="http://cyclonedx.org/schema/bom/1.6">` + strings.Repeat(`<components><component>`, 1000)
	tests := []struct {
		name, in string
		limits   Limits
		want     error
	}{
		{"nothing", "", Limits{}, ErrFormat},
		{"text", "SPDXVersion: SPDX-2.3", Limits{}, ErrFormat},
		{"other JSON", `{"spdxVersion":"SPDX-2.3"}`, Limits{}, ErrFormat},
		{"other XML", `<html></html>`, Limits{}, ErrFormat},
		{"cut JSON", others[:200], Limits{}, ErrFormat},
		{"cut XML", othersXML[:200], Limits{}, ErrFormat},
		{"too many bytes", others, Limits{MaxBytes: 100}, ErrLimit},
		{"deep JSON", deepJSON, Limits{}, ErrLimit},
		{"deep XML", deepXML, Limits{}, ErrLimit},
		{"many objects", `{"components":[` + strings.Repeat("{},", 1<<18) + `{}]}`, Limits{}, ErrLimit},
		{"many elements", deepXML[:49] + strings.Repeat("<a/>", 1<<18), Limits{}, ErrLimit},
		{"an entity that grows", `<!DOCTYPE b [<!ENTITY a "aaaa">]><bom xmlns="http://cyclonedx.org/schema/bom/1.6">&a;</bom>`, Limits{}, ErrFormat},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if d, err := Read(strings.NewReader(tt.in), tt.limits); !errors.Is(err, tt.want) {
				t.Errorf("Read(%.60q) = %v, %v; want %v", tt.in, d, err, tt.want)
			}
		})
	}
}

// A graph that is one great cycle, and components that all have one reference.
func TestReadTakesCycles(t *testing.T) {
	var b strings.Builder
	const n = 2000
	for i := range n {
		fmt.Fprintf(&b, `{"ref":"r%d","dependsOn":["r%d","r%d"]},`, i, (i+1)%n, i)
	}
	in := `{"bomFormat":"CycloneDX","components":[`
	for i := range n {
		in += fmt.Sprintf(`{"type":"library","bom-ref":"r%d","name":"n","version":"%d"},`, i, i)
	}
	in = strings.TrimSuffix(in, ",") + `],"dependencies":[` + strings.TrimSuffix(b.String(), ",") + `]}`
	d, err := Read(strings.NewReader(in), Limits{})
	if err != nil || len(d.Root.Components) != n || len(d.Root.Edges) != n {
		t.Fatalf("Read: %v; want no error, %d components and as many edges", err, n)
	}
}

// FuzzRead: what is read can be written in every format, and is read again with
// as many components.
func FuzzRead(f *testing.F) {
	for _, o := range []Options{{}, {Version: V1_7}, {Format: XML}, {Version: V1_7, Format: XML}} {
		var b bytes.Buffer
		if err := Write(&b, document(), o); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes())
	}
	f.Add([]byte(others))
	f.Add([]byte(othersXML))
	f.Fuzz(func(t *testing.T, in []byte) {
		d, err := Read(bytes.NewReader(in), Limits{MaxBytes: 1 << 16})
		if err != nil {
			return
		}
		for _, format := range []Format{JSON, XML} {
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
