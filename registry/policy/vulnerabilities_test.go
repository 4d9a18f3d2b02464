package policy

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wreg-project/wreg/sbom/vuln"
	"github.com/wreg-project/wreg/sbom/vuln/reach"
	"github.com/wreg-project/wreg/sbom/vuln/scan"
	"github.com/wreg-project/wreg/sbom/vuln/vex"
)

// finding is one about golang.org/x/net.
func finding(id string, r reach.Result, change ...func(*scan.Finding)) scan.Finding {
	f := scan.Finding{Finding: vuln.Finding{
		ID: id, PURL: "pkg:golang/golang.org/x/net@v0.1.0", Name: "golang.org/x/net", Version: "v0.1.0",
	}, Reach: r}
	for _, c := range change {
		c(&f)
	}
	return f
}

func TestVulnerabilityFacts(t *testing.T) {
	grave := func(f *scan.Finding) {
		f.Aliases, f.Fixed = []string{"CVE-2023-1", "GHSA-x"}, []string{"v0.2.0"}
		f.Severity = vuln.Severity{Rating: vuln.Critical, Score: 9.8}
		f.EPSS, f.KEV = &vuln.EPSS{Probability: 0.5}, &vuln.KEV{Added: "2026-01-02"}
		f.Summary = "a hole\x1b"
	}
	derived := &scan.Report{
		Findings: []scan.Finding{
			finding("GO-1", reach.Result{Level: reach.Reachable, Reason: "a way leads there"}, grave),
			finding("GO-2", reach.Result{Level: reach.Linked, Conclusive: true}),
			finding("GO-3", reach.Result{}, func(f *scan.Finding) { f.Informational, f.Unit = "unmaintained", "module[0]" }),
		},
		Possible: []scan.Finding{finding("GO-9", reach.Result{})},
	}
	declared := &scan.Report{Findings: []scan.Finding{
		finding("GO-1", reach.Result{}),
		finding("GO-4", reach.Result{}, func(f *scan.Finding) { f.PURL = "pkg:golang/b@v1" }),
	}}
	says := func(findings []scan.Finding) []*vex.Statement {
		list := make([]*vex.Statement, len(findings))
		for i, f := range findings {
			switch f.ID {
			case "GO-1":
				list[i] = &vex.Statement{Status: vex.NotAffected, Justification: vex.CodeNotInPath}
			case "GO-2":
				list[i] = &vex.Statement{Status: vex.Affected}
			}
		}
		return list
	}
	base := Vulnerability{
		PURL: "pkg:golang/golang.org/x/net@v0.1.0", Name: "golang.org/x/net", Version: "v0.1.0", Rating: "unknown", Reach: "unknown",
		Aliases: []string{}, Fixed: []string{},
	}
	one, two, three, four := base, base, base, base
	one.ID, one.Aliases, one.Fixed, one.Severity, one.Rating = "GO-1", []string{"CVE-2023-1", "GHSA-x"}, []string{"v0.2.0"}, 9.8, "critical"
	one.EPSS, one.KEV, one.Summary, one.Reach, one.Reachable, one.Why = 0.5, true, "a hole\ufffd", "reachable", true, "a way leads there"
	one.VEX, one.Justification = "not_affected", "vulnerable_code_not_in_execute_path"
	two.ID, two.Reach, two.RuledOut, two.VEX = "GO-2", "linked", true, "affected"
	three.ID, three.Unit, three.Informational = "GO-3", "module[0]", "unmaintained"
	four.ID, four.PURL, four.Declared = "GO-4", "pkg:golang/b@v1", true

	tests := []struct {
		name string
		s    Scanned
		want []Vulnerability
	}{
		{"nothing was found", Scanned{Derived: &scan.Report{}}, []Vulnerability{}},
		{
			"findings of which two are stated about",
			Scanned{Derived: derived, Stated: says},
			[]Vulnerability{one, two, three},
		},
		{
			"what is declared counts where the file does not have it",
			Scanned{Derived: &scan.Report{Findings: derived.Findings[2:]}, Declared: &scan.Report{Findings: declared.Findings[1:]}},
			[]Vulnerability{three, four},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := VulnerabilityFacts(tt.s)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("VulnerabilityFacts (-want +got)\n%s", d)
			}
		})
	}
	got, err := VulnerabilityFacts(Scanned{Derived: derived, Declared: declared})
	if err != nil || len(got) != 4 || got[0].Declared || got[3].ID != "GO-4" {
		t.Errorf("VulnerabilityFacts of both = %+v, %v; want GO-1 once, of the file", got, err)
	}
}

func TestVulnerabilityFactsAreBounded(t *testing.T) {
	long := finding("GO-1", reach.Result{Reason: strings.Repeat("x", 1<<20)}, func(f *scan.Finding) {
		f.Summary = strings.Repeat("y", 1<<20)
		for i := range 1000 {
			f.Aliases, f.Fixed = append(f.Aliases, fmt.Sprint(i)), append(f.Fixed, fmt.Sprint(i))
		}
	})
	got, err := VulnerabilityFacts(Scanned{Derived: &scan.Report{Findings: []scan.Finding{long}}})
	if err != nil {
		t.Fatal(err)
	}
	v := got[0]
	if len(v.Aliases) != maxAliases || len(v.Fixed) != maxFixed || len(v.Summary) > maxText || len(v.Why) > maxText {
		t.Errorf("%d aliases, %d fixed, %d and %d bytes", len(v.Aliases), len(v.Fixed), len(v.Summary), len(v.Why))
	}
	many := make([]scan.Finding, maxList+1)
	if got, err := VulnerabilityFacts(Scanned{Derived: &scan.Report{Findings: many}}); !errors.Is(err, ErrVulnerabilities) || got != nil {
		t.Errorf("VulnerabilityFacts of %d = %d, %v; want nil, %v", len(many), len(got), err, ErrVulnerabilities)
	}
}
