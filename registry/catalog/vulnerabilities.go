package catalog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/registry/advisories"
	"github.com/wreg-project/wreg/registry/attached"
	"github.com/wreg-project/wreg/registry/catalog/wire"
	"github.com/wreg-project/wreg/registry/search"
	"github.com/wreg-project/wreg/sbom"
	"github.com/wreg-project/wreg/sbom/vuln"
	"github.com/wreg-project/wreg/sbom/vuln/reach"
	"github.com/wreg-project/wreg/sbom/vuln/scan"
	"github.com/wreg-project/wreg/sbom/vuln/vex"
	"github.com/wreg-project/wreg/storage/meta"
)

// Bounds of one report of vulnerabilities.
const (
	maxVulnerabilities = 2000 // of all kinds
	maxReferences      = 16   // of one
)

// getVulnerabilities compares the bills of a version with the advisories of now.
func (a *API) getVulnerabilities(ctx context.Context, q *request) (answer, error) {
	m, err := a.manifest(ctx, q.repo, q.version)
	if err != nil {
		return answer{}, err
	}
	bills, more, err := a.bills(ctx, q, m.Digest, maxBills)
	if err != nil {
		return answer{}, err
	}
	at, err := a.attachments(ctx, q.repo, m)
	if err != nil {
		return answer{}, err
	}
	declared := at.Declared()
	if len(bills) == 0 && declared == nil {
		return answer{}, noBill(q, m.Digest)
	}
	v := &vulnerabilities{api: a, q: q, at: at, left: maxVulnerabilities, truncated: more, known: map[finding]bool{}}
	if v.subject, err = a.subjectOf(ctx, q, m.Digest); err != nil {
		return answer{}, err
	}
	out := wire.VulnerabilityReport{
		Package: wire.PackageName(q.repo), Digest: m.Digest, Files: []wire.FileVulnerabilities{}, Declared: []wire.Vulnerability{},
		Documents: publishedDocuments(at, true), Problems: problemsOf(at),
	}
	for _, b := range bills {
		one, err := v.file(ctx, b)
		if err != nil {
			return answer{}, err
		}
		out.Files = append(out.Files, one)
	}
	if declared != nil && q.text("file") == "" {
		if out.Declared, err = v.declared(ctx, declared); err != nil {
			return answer{}, err
		}
	}
	out.Truncated = v.truncated
	return found(out)
}

// subjectOf is how statements may name a version.
func (a *API) subjectOf(ctx context.Context, q *request, d digest.Digest) (attached.Subject, error) {
	tags, err := a.Meta.ManifestTags(ctx, q.repo, d)
	if err != nil {
		return attached.Subject{}, a.missing(q.repo, d.String(), err)
	}
	return attached.Subject{Manifest: d, Repository: q.http.Host + "/" + q.repo, Tags: tags}, nil
}

// vulnerabilities makes a report, of at most so many as are left.
type vulnerabilities struct {
	api       *API
	q         *request
	at        *attached.Attachments
	subject   attached.Subject
	left      int
	truncated bool
	known     map[finding]bool // what files have
}

// A finding tells findings of a version apart.
type finding struct{ id, name, version string }

// file lists the vulnerabilities of one file.
func (v *vulnerabilities) file(ctx context.Context, b bill) (wire.FileVulnerabilities, error) {
	one := wire.FileVulnerabilities{Name: b.file.Name, Digest: b.file.Digest}
	code, err := v.api.Ingest.Code(ctx, b.file)
	if err != nil && !errors.Is(err, meta.ErrNotFound) { // whose file is deleted: nothing is known of its code
		return one, fmt.Errorf("functions of %s in %s: %w", b.file.Digest, v.q.repo, err)
	}
	r, err := v.scan(ctx, advisories.File{Document: b.doc, Code: code})
	if err != nil {
		return one, err
	}
	for _, f := range r.Findings {
		v.known[finding{f.ID, f.Name, f.Version}] = true
	}
	one.Findings, one.Possible = v.list(b.doc, r.Findings), v.list(b.doc, r.Possible)
	return one, nil
}

// declared lists the vulnerabilities of what a publisher's bill has besides.
func (v *vulnerabilities) declared(ctx context.Context, d *sbom.Document) ([]wire.Vulnerability, error) {
	r, err := v.scan(ctx, advisories.File{Document: d, Declared: true})
	if err != nil {
		return nil, err
	}
	fs := slices.DeleteFunc(r.Findings, func(f scan.Finding) bool { return v.known[finding{f.ID, f.Name, f.Version}] })
	return v.list(d, fs), nil
}

// scan matches a bill with advisories as ingestion does.
func (v *vulnerabilities) scan(ctx context.Context, f advisories.File) (*scan.Report, error) {
	got, err := advisories.Scan(ctx, v.api.Advisories, []advisories.File{f}, v.api.Clock())
	if err != nil {
		return nil, fmt.Errorf("vulnerabilities of %s in %s: %w", v.subject.Manifest, v.q.repo, err)
	}
	r := got.Reports[0]
	v.api.Likelihood().Rate(r)
	return r, nil
}

// list are those findings about a document that the caller asks for.
func (v *vulnerabilities) list(d *sbom.Document, fs []scan.Finding) []wire.Vulnerability {
	list := []wire.Vulnerability{}
	statements := v.at.Statements(v.subject, d, fs)
	for i, f := range fs {
		if !v.wanted(f) {
			continue
		}
		if v.left == 0 {
			v.truncated = true
			break
		}
		v.left--
		list = append(list, v.wire(f, statements[i]))
	}
	return list
}

// wanted reports whether the parameters choose a finding.
func (v *vulnerabilities) wanted(f scan.Finding) bool {
	if least := v.q.text("severity"); least != "" && !f.Severity.Rating.AtLeast(vuln.Rating(least)) {
		return false
	}
	reachable := v.q.words("reachable")
	return len(reachable) == 0 || slices.Contains(reachable, search.ReachName(f.Reach.Level, f.RuledOut()))
}

func (v *vulnerabilities) wire(f scan.Finding, s *vex.Statement) wire.Vulnerability {
	w := wire.Vulnerability{
		ID: f.ID, Aliases: notNil(f.Aliases), PURL: f.PURL, Name: f.Name, Version: f.Version, Requirement: f.Requirement, Unit: f.Unit,
		Summary: f.Summary, Severity: wireSeverity(f.Severity), Informational: f.Informational, Fixed: notNil(f.Fixed),
		References: f.References[:min(len(f.References), maxReferences)], Published: f.Published, Modified: f.Modified, Reason: f.Reason,
		Reachable: search.ReachName(f.Reach.Level, f.RuledOut()), Reach: wireReach(f.Reach),
	}
	if s != nil {
		w.VEX = &wire.VEXStatement{Status: string(s.Status), Justification: string(s.Justification), Text: s.Text, Time: s.Time}
		if at, ok := v.at.PlaceOf(s); ok {
			w.VEX.AttestedBy = at.By
		}
	}
	if f.EPSS != nil {
		w.EPSS = &wire.EPSS{Probability: f.EPSS.Probability, Percentile: f.EPSS.Percentile}
	}
	if f.KEV != nil {
		w.KEV = &wire.KEV{Added: f.KEV.Added, Due: f.KEV.Due, Ransomware: f.KEV.Ransomware}
	}
	return w
}

func wireSeverity(s vuln.Severity) wire.Severity {
	return wire.Severity{Rating: string(s.Rating), Score: s.Score, Vector: s.Vector}
}

func wireReach(r reach.Result) wire.Reach {
	return wire.Reach{
		Level: r.Level.String(), Conclusive: r.Conclusive, Dynamic: r.Dynamic, Symbols: r.Symbols, Functions: r.Functions, Path: r.Path,
		Omitted: r.Omitted, Reason: r.Reason,
	}
}

// wireMaterials is what a listing says of the materials of a version.
func wireMaterials(l *search.ListedMaterials) (*wire.SBOMSummary, *wire.VulnerabilityCounts) {
	if l == nil {
		return nil, nil
	}
	counts := wire.VulnerabilityCounts(l.Vulnerabilities)
	return &wire.SBOMSummary{Components: l.Components, Complete: l.Complete, Published: l.Published}, &counts
}

// materials sums up what is known of the materials of a manifest, from the index.
func (a *API) materials(ctx context.Context, repo string, d digest.Digest) (*wire.SBOMSummary, *wire.VulnerabilityCounts, error) {
	doc, err := a.Meta.Document(ctx, repo, d)
	if errors.Is(err, meta.ErrNotFound) || errors.Is(err, meta.ErrRepository) {
		return nil, nil, nil
	}
	var l search.Listing
	if err == nil {
		err = json.Unmarshal(doc.Body, &l)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("document of %s in %s: %w", d, repo, err)
	}
	bill, counts := wireMaterials(l.Materials)
	return bill, counts, nil
}

// maxNamed bounds the records that have one name: one for each database.
const maxNamed = 16

// named are the records of an advisory's name, the one with it as its id first.
func (a *API) named(ctx context.Context, q *request) ([]meta.Advisory, error) {
	name := q.path["advisory"]
	rows, err := a.Meta.AdvisoriesNamed(ctx, name, maxNamed)
	if err != nil {
		return nil, fmt.Errorf("advisory %s: %w", clip(name), err)
	}
	if len(rows) == 0 {
		return nil, &wire.Problem{
			Code: wire.CodeNotFound, Detail: "there is no advisory " + clip(name), Hint: "names are written as their database does, in capitals mostly",
		}
	}
	slices.SortStableFunc(rows, func(x, y meta.Advisory) int {
		switch {
		case x.ID == name && y.ID != name:
			return -1
		case y.ID == name && x.ID != name:
			return 1
		}
		return strings.Compare(x.ID, y.ID)
	})
	return rows, nil
}
