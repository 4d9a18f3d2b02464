package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/wreg-project/wreg/sbom"
	"github.com/wreg-project/wreg/sbom/evidence"
	"github.com/wreg-project/wreg/sbom/vuln"
	"github.com/wreg-project/wreg/sbom/vuln/reach"
	"github.com/wreg-project/wreg/sbom/vuln/scan"
	"github.com/wreg-project/wreg/sbom/vuln/vex"
	"github.com/wreg-project/wreg/test/schema"
)

var scanTime = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// scannedFile is a file with two modules that have the same component, and a
// finding for each of the given answers and statements, in turn in the one and
// the other.
func scannedFile(name, sha string, all ...scanFinding) scanned {
	component := func() []evidence.Component {
		return []evidence.Component{{
			Ecosystem: evidence.Go, Name: "golang.org/x/net", Version: "v0.1.0", Class: evidence.Proven,
			Evidence: []evidence.Evidence{{Method: evidence.BuildInfo, Confidence: 1}},
		}}
	}
	d := &sbom.Document{
		SchemaVersion: sbom.SchemaVersion, MediaType: sbom.MediaType,
		Subject: sbom.Subject{Name: name, Kind: "component", SHA256: sha, Size: 100},
		Root: &sbom.Unit{Kind: "component", Size: 100, Units: []*sbom.Unit{
			{Path: "module[0]", Kind: "module", Offset: 10, Size: 20, Components: component()},
			{Path: "module[1]", Kind: "module", Offset: 40, Size: 20, Components: component()},
		}},
	}
	for i := range all {
		f := &all[i]
		f.Unit, f.PURL, f.Name, f.Version = fmt.Sprintf("module[%d]", i%2), "pkg:golang/golang.org/x/net@v0.1.0", "golang.org/x/net", "v0.1.0"
	}
	s := scanned{Name: name, SHA256: sha, doc: d, all: all, products: []string{"pkg:generic/" + name + "?checksum=sha256:" + sha}}
	s.sort(false)
	return s
}

func found(id string, r reach.Result, st *statement) scanFinding {
	return scanFinding{
		Finding: scan.Finding{
			Finding: vuln.Finding{
				ID: id, Aliases: []string{"CVE-" + id}, Summary: "Something <b>is</b> wrong", Fixed: []string{"v0.2.0"},
				Severity:   vuln.Severity{Rating: vuln.High, Score: 7.5, Vector: "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H"},
				References: []string{"https://example.com/" + id}, Published: scanTime, EPSS: &vuln.EPSS{Probability: 0.25},
				Affected: []vuln.Affected{{Imports: []vuln.Import{{Path: "golang.org/x/net/http2", Symbols: []string{"Serve"}}}}},
			},
			Reach: r,
		},
		Statement: st,
	}
}

var (
	notThere  = reach.Result{Level: reach.Present, Conclusive: true, Reason: "no function of the package is in the binary"}
	notCalled = reach.Result{Level: reach.SymbolLinked, Conclusive: true, Reason: "nothing calls it"}
	called    = reach.Result{Level: reach.Reachable, Reason: "calls lead there", Path: []string{"main.main", "http2.Serve"}}
)

const (
	digestA = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	digestB = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
)

// validCycloneDX fails the test unless a document follows the official schema.
func validCycloneDX(t *testing.T, doc []byte) {
	t.Helper()
	s, err := schema.CycloneDX("1.6")
	if err != nil {
		t.Fatal(err)
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(doc))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Validate(value); err != nil {
		t.Errorf("the document breaks the schema: %#v", err)
	}
}

func TestScanCycloneDX(t *testing.T) {
	// One finding of each kind, with the status that is read back from its analysis.
	var all []scanFinding
	want := map[string]vex.Status{}
	add := func(id string, r reach.Result, st *statement, read vex.Status) {
		all = append(all, found(id, r, st))
		want[id] = read
	}
	add("GO-1", notThere, nil, vex.NotAffected)
	add("GO-2", notCalled, nil, vex.NotAffected)
	add("GO-3", called, nil, vex.Investigating)
	add("GO-4", reach.Result{}, nil, vex.Investigating)
	for i, s := range []vex.Status{vex.NotAffected, vex.Affected, vex.Fixed, vex.Investigating} {
		add(fmt.Sprintf("GO-1%d", i), notThere, &statement{Status: s, Justification: vex.CodeNotInPath, Source: "vex.json"}, s)
	}
	for i, j := range []vex.Justification{"", vex.ComponentNotPresent, vex.CodeNotPresent, vex.NotControlled, vex.InlineMitigations} {
		add(fmt.Sprintf("GO-2%d", i), called, &statement{Status: vex.NotAffected, Justification: j, Source: "vex.json"}, vex.NotAffected)
	}
	bare := found("GO-30", called, nil)
	bare.Severity, bare.References, bare.Aliases, bare.Fixed, bare.Published = vuln.Severity{}, nil, nil, nil, time.Time{}
	all, want["GO-30"] = append(all, bare), vex.Investigating

	for _, several := range []bool{false, true} {
		items := []scanned{scannedFile("a.wasm", digestA, all...)}
		if several {
			items = append(items, scannedFile("b.wasm", digestB, found("GO-1", called, nil)), scannedFile("copy.wasm", digestA, all...))
		}
		var b, again bytes.Buffer
		if err := writeScanCycloneDX(&b, items, scanTime); err != nil {
			t.Fatal(err)
		}
		validCycloneDX(t, b.Bytes())
		if err := writeScanCycloneDX(&again, items, scanTime); err != nil || !bytes.Equal(b.Bytes(), again.Bytes()) {
			t.Errorf("several %t: other bytes the second time, %v", several, err)
		}
		d, err := vex.Read(b.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		var asked []vex.Finding
		for id := range want {
			asked = append(asked, vex.Finding{IDs: []string{id}, SHA256: []string{digestA}, Component: "pkg:golang/golang.org/x/net@v0.1.0"})
		}
		got := map[string]vex.Status{}
		for i, st := range vex.Apply(asked, d) {
			if st != nil {
				got[asked[i].IDs[0]] = st.Status
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("several %t: states that package vex reads (-want +got):\n%s", several, diff)
		}
		elsewhere := vex.Finding{IDs: []string{"GO-2"}, SHA256: []string{digestB}, Component: "pkg:golang/golang.org/x/net@v0.1.0"}
		if st := vex.Apply([]vex.Finding{elsewhere}, d)[0]; st != nil {
			t.Errorf("several %t: a statement about a.wasm holds for b.wasm: %+v", several, st)
		}
	}
}

func TestScanCycloneDXRefusesFilesWithOneReference(t *testing.T) {
	items := []scanned{scannedFile("a.wasm", digestA), scannedFile("b.wasm", digestA[:20]+digestB[20:])}
	var b bytes.Buffer
	if err := writeScanCycloneDX(&b, items, scanTime); err == nil || b.Len() > 0 {
		t.Errorf("writeScanCycloneDX of two files whose digests begin alike = %v and %d bytes, want an error", err, b.Len())
	}
}

func TestRuledOutStatements(t *testing.T) {
	affected := &statement{Status: vex.Affected}
	tests := []struct {
		name string
		all  []scanFinding
		want string // vulnerabilities and justifications
	}{
		{name: "code that is not there", all: []scanFinding{found("GO-1", notThere, nil)}, want: "GO-1 vulnerable_code_not_present"},
		{name: "code that nothing calls", all: []scanFinding{found("GO-1", notCalled, nil)}, want: "GO-1 vulnerable_code_not_in_execute_path"},
		{name: "code that may run", all: []scanFinding{found("GO-1", called, nil), found("GO-2", reach.Result{}, nil)}},
		{name: "one module rules it out and the other does not", all: []scanFinding{found("GO-1", notThere, nil), found("GO-1", called, nil)}},
		{
			name: "both modules rule it out, the weaker reason counts",
			all:  []scanFinding{found("GO-1", notThere, nil), found("GO-1", notCalled, nil)}, want: "GO-1 vulnerable_code_not_in_execute_path",
		},
		{name: "somebody says that it is affected all the same", all: []scanFinding{found("GO-1", notThere, affected)}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := scannedFile("a.wasm", digestA, tt.all...)
			var got []string
			for _, st := range s.ruledOutStatements() {
				got = append(got, st.Vulnerability+" "+string(st.Justification))
				p := st.Products[0]
				if p.SHA256 != digestA || p.PURL != "pkg:generic/a.wasm?checksum=sha256:"+digestA || p.Parts[0].PURL != "pkg:golang/golang.org/x/net@v0.1.0" {
					t.Errorf("the product is %+v", p)
				}
				if !strings.Contains(st.Text, "looked for golang.org/x/net/http2.Serve") {
					t.Errorf("the evidence is %q, want it to say what was looked for", st.Text)
				}
			}
			if got := strings.Join(got, ", "); got != tt.want {
				t.Errorf("statements = %q, want %q", got, tt.want)
			}
		})
	}
}
