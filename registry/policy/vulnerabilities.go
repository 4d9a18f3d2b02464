package policy

import (
	"errors"
	"fmt"
	"slices"

	"github.com/wreg-project/wreg/sbom/vuln/reach"
	"github.com/wreg-project/wreg/sbom/vuln/scan"
	"github.com/wreg-project/wreg/sbom/vuln/vex"
)

// Bounds on what is told of one vulnerability.
const (
	maxAliases = 32
	maxFixed   = 8
)

// ErrVulnerabilities is of a file with more vulnerabilities than rules can be asked
// about.
var ErrVulnerabilities = errors.New("more vulnerabilities than policies are asked about")

// Scanned is what was found out about the vulnerabilities of one file.
type Scanned struct {
	// Derived are the findings about what the file itself tells, and Declared those
	// about the publisher's bill of materials, nil without one.
	Derived, Declared *scan.Report

	// Stated gives for each finding the statement that holds for it, nil without one:
	// vex.Apply, with what is known of the package. It may be nil.
	Stated func([]scan.Finding) []*vex.Statement
}

// VulnerabilityFacts takes from what was found what rules can use: findings in
// their order, first those about the file itself, then those that only the
// publisher's list has. Possible findings are left out. It is never nil without an
// error, which is ErrVulnerabilities: the caller then notes it in Facts.Unknown, or
// leaves the facts nil.
func VulnerabilityFacts(s Scanned) ([]Vulnerability, error) {
	findings, declared := s.findings()
	if len(findings) > maxList {
		return nil, fmt.Errorf("%w: %d, at most %d", ErrVulnerabilities, len(findings), maxList)
	}
	stated := make([]*vex.Statement, len(findings))
	if s.Stated != nil {
		copy(stated, s.Stated(findings))
	}
	list := make([]Vulnerability, len(findings))
	for i := range findings {
		list[i] = vulnerability(&findings[i])
		list[i].Declared = i >= declared
		if st := stated[i]; st != nil {
			list[i].VEX, list[i].Justification = string(st.Status), string(st.Justification)
		}
	}
	return list, nil
}

// findings puts both lists together; those from the second on are declared alone.
func (s Scanned) findings() (list []scan.Finding, declared int) {
	known := map[[2]string]bool{}
	if s.Derived != nil {
		list = slices.Clone(s.Derived.Findings)
		for i := range list {
			known[[2]string{list[i].ID, list[i].PURL}] = true
		}
	}
	declared = len(list)
	if s.Declared != nil {
		for _, f := range s.Declared.Findings {
			if !known[[2]string{f.ID, f.PURL}] {
				list = append(list, f)
			}
		}
	}
	return list, declared
}

// unrated is the rating of what nobody rated.
const unrated = "unknown"

func vulnerability(f *scan.Finding) Vulnerability {
	v := Vulnerability{
		ID: f.ID, Aliases: first(f.Aliases, maxAliases), PURL: f.PURL, Name: f.Name, Version: f.Version, Unit: f.Unit,
		Severity: f.Severity.Score, Rating: string(f.Severity.Rating), Reach: f.Reach.Level.String(),
		Reachable: f.Reach.Level == reach.Reachable, RuledOut: f.RuledOut(), Fixed: first(f.Fixed, maxFixed),
		KEV: f.KEV != nil, Informational: f.Informational,
	}
	v.Summary, _ = cut(clean(f.Summary), maxText)
	v.Why, _ = cut(clean(f.Reach.Reason), maxText)
	if v.Rating == "" {
		v.Rating = unrated
	}
	if f.EPSS != nil {
		v.EPSS = f.EPSS.Probability
	}
	return v
}

// first copies at most n texts, and never gives nil.
func first(texts []string, n int) []string {
	return append([]string{}, texts[:min(len(texts), n)]...)
}
