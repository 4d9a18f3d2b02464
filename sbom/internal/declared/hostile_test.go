package declared_test

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/wreg-project/wreg/sbom"
	"github.com/wreg-project/wreg/sbom/cyclonedx"
	"github.com/wreg-project/wreg/sbom/evidence"
	"github.com/wreg-project/wreg/sbom/internal/declared"
	"github.com/wreg-project/wreg/sbom/spdx"
)

// maxAllocated is how many bytes reading any of these files may allocate, freed ones
// included. The dearest is a list of half a million elements that are none.
const maxAllocated = 192 << 20

// Whatever is in a file, its components are bounded in number and in length, and so
// is the memory that reading it takes.
func TestHostileFiles(t *testing.T) {
	const (
		mega = 1 << 20
		cdx  = `{"bomFormat":"CycloneDX","components":[`
		xml  = `<bom xmlns="http://cyclonedx.org/schema/bom/1.6">`
		tag  = "SPDXVersion: SPDX-2.3\n"
		js   = `{"spdxVersion":"SPDX-2.3","packages":[`
	)
	many := func(head, item, separator, tail string, n int) string {
		var b strings.Builder
		b.WriteString(head)
		for i := range n {
			if i > 0 {
				b.WriteString(separator)
			}
			b.WriteString(strings.ReplaceAll(item, "#", fmt.Sprint(i)))
		}
		return b.String() + tail
	}
	long := strings.Repeat("a", mega)
	tests := []struct {
		name       string
		read       func(io.Reader, declared.Limits) (*sbom.Document, error)
		in         string
		components int
		err        error
	}{
		{"a name of a megabyte", cyclonedx.Read, cdx + `{"name":"` + long + `"}]}`, 0, nil},
		{"a version of a megabyte", cyclonedx.Read, cdx + `{"name":"a","version":"` + long + `"}]}`, 0, nil},
		{"a package URL of a megabyte", cyclonedx.Read, cdx + `{"name":"a","purl":"pkg:cargo/` + long + `"}]}`, 1, nil},
		{"a licence of a megabyte", cyclonedx.Read, cdx + `{"name":"a","licenses":[{"expression":"(` + long + `"}]}]}`, 1, nil},
		{"a group of a megabyte", cyclonedx.Read, cdx + `{"name":"a","group":"` + long + `"}]}`, 0, nil},
		{
			"a subject of a megabyte", cyclonedx.Read,
			`{"bomFormat":"CycloneDX","metadata":{"component":{"name":"` + long + `"}}}`, 0, nil,
		},
		{"100,000 components", cyclonedx.Read, many(cdx, `{"name":"n#","version":"1"}`, ",", "]}", 100_000), evidence.MaxComponents, nil},
		{
			"one component 50,000 times", cyclonedx.Read,
			many(cdx, `{"name":"n","licenses":[{"expression":"LicenseRef-#"}]}`, ",", "]}", 50_000), 1, nil,
		},
		{"100,000 properties", cyclonedx.Read, many(cdx+`{"name":"a","properties":[`, `{"name":"p#"}`, ",", "]}]}", 100_000), 1, nil},
		{
			"100,000 dependencies in a cycle", cyclonedx.Read,
			many(cdx+`{"name":"a","bom-ref":"r"}],"dependencies":[`, `{"ref":"r","dependsOn":["r","r","r"]}`, ",", "]}", 100_000), 1, nil,
		},
		{"components in components", cyclonedx.Read, strings.Repeat(`{"bomFormat":"CycloneDX","components":[`, mega/40), 0, declared.ErrLimit},
		{"empty components", cyclonedx.Read, many(cdx, "{}", ",", "]}", 260_000), 0, nil},
		{"nulls for components", cyclonedx.Read, many(cdx, "null", ",", "]}", 500_000), 0, nil},
		{"numbers for components", cyclonedx.Read, many(cdx, "0", ",", "]}", 500_000), 0, declared.ErrFormat},
		{"texts for components", cyclonedx.Read, many(cdx, `""`, ",", "]}", mega), 0, declared.ErrLimit},
		{"lists for components", cyclonedx.Read, many(cdx, "[]", ",", "]}", mega), 0, declared.ErrLimit},
		{"a key twice", cyclonedx.Read, cdx + `{"name":"a"}],"components":[]}`, 0, declared.ErrFormat},
		{"262,144 keys", cyclonedx.Read, many("{", `"k#":0`, ",", "}", mega/4), 0, declared.ErrLimit},
		{
			"an entity in an entity", cyclonedx.Read,
			`<!DOCTYPE b [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>` + xml + "&b;</bom>", 0, declared.ErrFormat,
		},
		{
			"an entity for a name", cyclonedx.Read,
			`<!DOCTYPE b [<!ENTITY a SYSTEM "file:///etc/passwd">]>` + xml +
				"<components><component><name>&a;</name></component></components></bom>", 0, declared.ErrFormat,
		},
		{"elements in elements", cyclonedx.Read, xml + strings.Repeat("<components><component>", mega/20), 0, declared.ErrLimit},
		{"262,144 attributes", cyclonedx.Read, many(xml+"<component ", `a#=""`, " ", "/></bom>", mega/4), 0, nil},
		{
			"a name of a megabyte in XML", cyclonedx.Read,
			xml + "<components><component><name>" + long + "</name></component></components></bom>", 0, nil,
		},
		{
			"100,000 components in XML", cyclonedx.Read,
			many(xml+"<components>", "<component><name>n#</name></component>", "", "</components></bom>", 100_000), evidence.MaxComponents, nil,
		},
		{"100,000 packages", spdx.Read, many(js, `{"name":"n#","versionInfo":"1"}`, ",", "]}", 100_000), evidence.MaxComponents, nil},
		{"a comment of a megabyte", spdx.Read, js + `{"name":"a","comment":"` + strings.Repeat(`\n`, mega/2) + `"}]}`, 1, nil},
		{
			"100,000 relations in a cycle", spdx.Read,
			many(js+`{"name":"a","SPDXID":"r"}],"relationships":[`,
				`{"spdxElementId":"r","relationshipType":"DEPENDS_ON","relatedSpdxElement":"r"}`, ",", "]}", 100_000), 1, nil,
		},
		{"a key of a package twice", spdx.Read, js + `{"name":"a","name":"b"}]}`, 0, declared.ErrFormat},
		{"100,000 packages of tags", spdx.Read, many(tag, "PackageName: n#\n", "", "", 100_000), evidence.MaxComponents, nil},
		{"a tag of a megabyte", spdx.Read, tag + "PackageName: " + long + "\n", 0, nil},
		{"a text of a megabyte", spdx.Read, tag + "PackageName: a\nPackageComment: <text>" + strings.Repeat("\n", mega) + "</text>\n", 1, nil},
		{"200,000 references of a package", spdx.Read, many(tag+"PackageName: a\n", "ExternalRef: X purl p#\n", "", "", 200_000), 1, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			d, err := tt.read(strings.NewReader(tt.in), declared.Limits{})
			runtime.ReadMemStats(&after)
			if !errors.Is(err, tt.err) {
				t.Fatalf("Read(%.60q) = %v; want %v", tt.in, err, tt.err)
			}
			if took := after.TotalAlloc - before.TotalAlloc; took > maxAllocated {
				t.Errorf("Read of %d bytes allocates %d; want at most %d", len(tt.in), took, maxAllocated)
			}
			if err != nil {
				return
			}
			if n := len(d.Root.Components); n != tt.components {
				t.Errorf("Read(%.60q) has %d components; want %d", tt.in, n, tt.components)
			}
			if cut := len(d.Root.Completeness) > 0; cut != (tt.components == evidence.MaxComponents) {
				t.Errorf("Read(%.60q) says %v of its completeness", tt.in, d.Root.Completeness)
			}
			if len(d.Subject.Name) > evidence.MaxName {
				t.Errorf("the subject has a name of %d bytes", len(d.Subject.Name))
			}
			for _, c := range d.All() {
				if len(c.Name) > evidence.MaxName || len(c.Version) > evidence.MaxVersion || len(c.Licenses) > 64 {
					t.Errorf("a component has %d bytes of name, %d of version, %d licences", len(c.Name), len(c.Version), len(c.Licenses))
				}
			}
		})
	}
}
