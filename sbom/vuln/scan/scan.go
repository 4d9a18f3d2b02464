// Package scan puts together what a binary is made of, which advisories hold for
// that, and how close each comes to the code that runs.
//
// [Scan] is the one way by which wpkg and wreg come to findings. It takes what
// was read already, a bill of materials and the [Code] of its binary, so that
// neither is made twice, and asks a [vuln.Source] once for each unit.
package scan

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/wreg-project/wreg/sbom"
	"github.com/wreg-project/wreg/sbom/evidence"
	"github.com/wreg-project/wreg/sbom/vuln"
	"github.com/wreg-project/wreg/sbom/vuln/reach"
)

// A Report is what a scan found, in order: the gravest first, then the closest
// to the code that runs, then by id.
type Report struct {
	// Findings are of proven components at versions that an advisory names.
	Findings []Finding `json:"findings"`

	// Possible findings would be true if something were that is not known.
	Possible []Finding `json:"possible"`
}

// A Finding is one vulnerability of one component, with how close it comes.
type Finding struct {
	vuln.Finding

	// Unit is the path of the module in the binary that has the component, "" of
	// the outermost one; see [sbom.Unit].
	Unit string `json:"unit,omitempty"`

	Reach reach.Result `json:"reach"`
}

// RuledOut reports whether it is certain that no affected code can run.
func (f Finding) RuledOut() bool { return f.Reach.Conclusive && f.Reach.Level < reach.Reachable }

// A Code answers how close to the code that runs the affected code of a unit of
// a document is: that of a parsed binary, or what was kept of one.
type Code interface {
	// Query answers queries about the module that u is, in their order. A unit that
	// it does not have is no error: the answers are Unknown and say why.
	Query(u *sbom.Unit, queries []reach.Query) []reach.Result
}

// Scan matches d, made of the binary of which code knows, with the advisories of
// src. Without code, as of a list that somebody declares, nothing is known of what
// can be reached. Errors are those of src.
func Scan(ctx context.Context, d *sbom.Document, code Code, src vuln.Source) (*Report, error) {
	r := &Report{Findings: []Finding{}, Possible: []Finding{}}
	for u := range d.Units() {
		if len(u.Components) == 0 {
			continue
		}
		result, err := vuln.Match(ctx, u.Components, src)
		if err != nil {
			return nil, fmt.Errorf("advisories for %s: %w", cmp.Or(u.Path, "the binary"), err)
		}
		for _, f := range result.Findings {
			r.Findings = append(r.Findings, Finding{Finding: f, Unit: u.Path, Reach: reachOf(u, code, f)})
		}
		for _, f := range result.Possible {
			r.Possible = append(r.Possible, Finding{Finding: f, Unit: u.Path, Reach: reach.Result{Reason: f.Reason}})
		}
	}
	slices.SortStableFunc(r.Findings, compare)
	slices.SortStableFunc(r.Possible, compare)
	return r, nil
}

// reachOf is how close a finding in u comes.
func reachOf(u *sbom.Unit, code Code, f vuln.Finding) reach.Result {
	c := u.Components[f.Component]
	if code == nil {
		return linked(c, reach.Result{Reason: "the binary is not known"})
	}
	queries := queriesOf(c, f.Affected)
	if len(queries) == 0 {
		return linked(c, reach.Result{Reason: "the advisory does not say which code is affected"})
	}
	return linked(c, reach.Join(code.Query(u, queries)...))
}

func compare(a, b Finding) int {
	return cmp.Or(
		cmp.Compare(b.Severity.Score, a.Severity.Score), cmp.Compare(gravity(b.Severity.Rating), gravity(a.Severity.Rating)),
		cmp.Compare(b.Reach.Level, a.Reach.Level), strings.Compare(a.ID, b.ID),
		strings.Compare(a.Unit, b.Unit), strings.Compare(a.PURL, b.PURL),
	)
}

func gravity(r vuln.Rating) int {
	return slices.Index([]vuln.Rating{vuln.None, vuln.Low, vuln.Medium, vuln.High, vuln.Critical}, r)
}

// linked raises the level of what left a path of its source in the binary: that
// only code that is there can do.
func linked(c evidence.Component, r reach.Result) reach.Result {
	bySource := slices.ContainsFunc(c.Evidence, func(e evidence.Evidence) bool { return e.Method == evidence.SourcePath })
	if r.Level < reach.Linked && !r.Conclusive && bySource {
		r.Level = reach.Linked
	}
	return r
}

// queriesOf asks for the code that an advisory says is affected, each package with
// the systems on which it is; those of a crate were looked at by the match. Of
// several advisories about the same vulnerability those that name code count.
func queriesOf(c evidence.Component, affected []vuln.Affected) (queries []reach.Query) {
	for _, a := range affected {
		for _, im := range a.Imports {
			queries = append(queries, reach.Query{
				Ecosystem: c.Ecosystem, Package: im.Path, Symbols: im.Symbols, OS: im.GOOS, Arch: im.GOARCH,
			})
		}
		if len(a.Functions) > 0 {
			queries = append(queries, reach.Query{Ecosystem: c.Ecosystem, Package: c.Name, Symbols: a.Functions})
		}
	}
	if len(queries) == 0 && c.Ecosystem == evidence.Cargo {
		queries = append(queries, reach.Query{Ecosystem: c.Ecosystem, Package: c.Name})
	}
	return queries
}

// Rate writes what is known of how vulnerabilities are used to the findings, by
// the names of FIRST's and CISA's lists: their CVEs. Either may be nil.
func (r *Report) Rate(epss map[string]vuln.EPSS, kev map[string]vuln.KEV) {
	for _, list := range [][]Finding{r.Findings, r.Possible} {
		one := vuln.Result{Findings: make([]vuln.Finding, 1)}
		for i := range list {
			one.Findings[0] = list[i].Finding
			one.Rate(epss, kev)
			list[i].Finding = one.Findings[0]
		}
	}
}
