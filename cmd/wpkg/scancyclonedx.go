package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/google/uuid"

	"github.com/wreg-project/wreg/internal/version"
	"github.com/wreg-project/wreg/sbom/cyclonedx"
	"github.com/wreg-project/wreg/sbom/evidence"
	"github.com/wreg-project/wreg/sbom/vuln"
	"github.com/wreg-project/wreg/sbom/vuln/vex"
)

// writeScanCycloneDX writes the bill of materials of what was scanned with the
// findings as its vulnerabilities, those too that are ruled out or stated not to
// matter: their analysis says so. Several binaries make one bill, in which each
// is a component; one that could not be read is an error, since a bill without it
// would say that nothing is wrong with it.
func writeScanCycloneDX(w io.Writer, items []scanned, created time.Time) error {
	m := cdxMerger{seen: map[string]string{}}
	for i := range items {
		if items[i].err != nil {
			return fmt.Errorf("no bill of materials without all of it: %w", items[i].err)
		}
		if err := m.add(&items[i], created, len(items) > 1); err != nil {
			return fmt.Errorf("%s: %w", items[i].Name, err)
		}
	}
	// The number of the bill of materials alone would stand for other contents.
	m.bom.SerialNumber = ""
	var b bytes.Buffer
	if err := cyclonedx.Encode(&b, m.bom, cyclonedx.JSON); err != nil {
		return err
	}
	m.bom.SerialNumber = uuid.NewSHA1(uuid.NameSpaceURL, b.Bytes()).URN()
	return cyclonedx.Encode(w, m.bom, cyclonedx.JSON)
}

// A cdxMerger makes one bill of materials of those of several files.
type cdxMerger struct {
	bom  *cdx.BOM
	seen map[string]string // SHA-256 of the files by their references
}

// errSameReference is of two files whose digests begin alike, which only happens
// on purpose.
var errSameReference = errors.New("another file has the same reference in the bill of materials")

// add adds a file, as the subject of the bill or as one of its components.
func (m *cdxMerger) add(s *scanned, created time.Time, several bool) error {
	bom, refs, err := cyclonedx.Build(s.doc, cyclonedx.Options{ToolVersion: version.Get().Version, Created: created})
	if err != nil {
		return err
	}
	subject := bom.Metadata.Component
	vulnerabilities := s.vulnerabilities(subject.BOMRef, refs)
	join(&bom.Components, s.declaredComponents(subject.BOMRef))
	switch at, again := m.seen[subject.BOMRef]; {
	case again && at != s.SHA256:
		return errSameReference
	case again: // a copy has the same in it
		return nil
	}
	m.seen[subject.BOMRef] = s.SHA256
	if several {
		subject.Components, bom.Metadata.Component = bom.Components, nil
		bom.Components = &[]cdx.Component{*subject}
	}
	bom.Vulnerabilities = &vulnerabilities
	if m.bom == nil {
		m.bom = bom
		return nil
	}
	join(&m.bom.Components, bom.Components)
	join(&m.bom.Dependencies, bom.Dependencies)
	join(&m.bom.Compositions, bom.Compositions)
	join(&m.bom.Formulation, bom.Formulation)
	join(&m.bom.Vulnerabilities, bom.Vulnerabilities)
	return nil
}

// join appends a list that may not be there.
func join[T any](to **[]T, list *[]T) {
	switch {
	case list == nil:
	case *to == nil:
		*to = list
	default:
		**to = append(**to, *list...)
	}
}

// vulnerabilities are the findings in the order of the scan.
func (s *scanned) vulnerabilities(subject string, refs cyclonedx.Refs) []cdx.Vulnerability {
	places := map[string][]evidence.Component{}
	for u := range s.doc.Units() {
		places[u.Path] = u.Components
	}
	out := make([]cdx.Vulnerability, 0, len(s.all))
	for _, f := range s.all {
		ref := declaredRef(subject, f)
		if !f.Declared {
			ref = refs[&places[f.Unit][f.Component]]
		}
		out = append(out, vulnerabilityOf(f, ref))
	}
	return out
}

// declaredRef is the reference of a component that only the publisher declares.
func declaredRef(subject string, f scanFinding) string { return subject + "#declared/" + f.PURL }

// declaredComponents are those with findings that only the publisher declares.
func (s *scanned) declaredComponents(subject string) *[]cdx.Component {
	var out []cdx.Component
	seen := map[string]bool{}
	for _, f := range s.all {
		ref := declaredRef(subject, f)
		if !f.Declared || seen[ref] {
			continue
		}
		seen[ref] = true
		out = append(out, cdx.Component{
			BOMRef: ref, Type: cdx.ComponentTypeLibrary, Name: f.Name, Version: f.Version, PackageURL: f.PURL,
			Properties: &[]cdx.Property{{Name: "io.wreg:class", Value: "declared"}},
		})
	}
	if len(out) == 0 {
		return nil
	}
	return &out
}

// osvSource is where the record of an id can be read: OSV has all of them.
func osvSource(id string) *cdx.Source {
	return &cdx.Source{Name: "OSV", URL: "https://osv.dev/vulnerability/" + id}
}

func vulnerabilityOf(f scanFinding, ref string) cdx.Vulnerability {
	v := cdx.Vulnerability{
		ID: f.ID, Source: osvSource(f.ID), Description: f.Summary, Published: dateTime(f.Published), Updated: dateTime(f.Modified),
		Analysis: analysisOf(f),
	}
	var references []cdx.VulnerabilityReference
	for _, alias := range f.Aliases {
		references = append(references, cdx.VulnerabilityReference{ID: alias, Source: osvSource(alias)})
	}
	if len(references) > 0 {
		v.References = &references
	}
	if r, ok := ratingOf(f.Severity); ok {
		v.Ratings = &[]cdx.VulnerabilityRating{r}
	}
	var advisories []cdx.Advisory
	for _, address := range f.References {
		advisories = append(advisories, cdx.Advisory{URL: address})
	}
	if len(advisories) > 0 {
		v.Advisories = &advisories
	}
	if len(f.Fixed) > 0 {
		v.Recommendation = "Update to " + strings.Join(f.Fixed, ", ") + "."
	}
	status := cdx.VulnerabilityStatusAffected
	if v.Analysis.State == cdx.IASNotAffected || v.Analysis.State == cdx.IASResolved {
		status = cdx.VulnerabilityStatusNotAffected
	}
	v.Affects = &[]cdx.Affects{{Ref: ref, Range: &[]cdx.AffectedVersions{{Version: f.Version, Status: status}}}}
	v.Properties = findingProperties(f)
	return v
}

// findingProperties say what CycloneDX has no field for.
func findingProperties(f scanFinding) *[]cdx.Property {
	list := []cdx.Property{{Name: "io.wreg:reach", Value: f.Reach.Level.String()}}
	add := func(name, value string) { list = append(list, cdx.Property{Name: "io.wreg:" + name, Value: value}) }
	if len(f.Reach.Path) > 0 {
		add("reach-path", strings.Join(f.Reach.Path, " > "))
	}
	if f.Informational != "" {
		add("informational", f.Informational)
	}
	if f.EPSS != nil {
		add("epss", strconv.FormatFloat(f.EPSS.Probability, 'f', -1, 64))
	}
	if f.KEV != nil {
		add("kev", f.KEV.Added)
	}
	return &list
}

func dateTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// ratingOf is the severity, false if it is not known.
func ratingOf(s vuln.Severity) (cdx.VulnerabilityRating, bool) {
	r := cdx.VulnerabilityRating{Severity: cdx.Severity(cmp.Or(s.Rating, "unknown")), Vector: s.Vector}
	if s.Vector != "" {
		r.Score = &s.Score
	}
	for prefix, method := range map[string]cdx.ScoringMethod{
		"CVSS:3.0/": cdx.ScoringMethodCVSSv3, "CVSS:3.1/": cdx.ScoringMethodCVSSv31, "CVSS:4.0/": cdx.ScoringMethodCVSSv4,
	} {
		if strings.HasPrefix(s.Vector, prefix) {
			r.Method = method
		}
	}
	return r, s != vuln.Severity{}
}

// States and justifications of OpenVEX in CycloneDX.
var (
	cdxStates = map[vex.Status]cdx.ImpactAnalysisState{
		vex.NotAffected: cdx.IASNotAffected, vex.Fixed: cdx.IASResolved, vex.Affected: cdx.IASExploitable, vex.Investigating: cdx.IASInTriage,
	}
	cdxJustifications = map[vex.Justification]cdx.ImpactAnalysisJustification{
		vex.ComponentNotPresent: cdx.IAJCodeNotPresent, vex.CodeNotPresent: cdx.IAJCodeNotPresent, vex.CodeNotInPath: cdx.IAJCodeNotReachable,
		vex.InlineMitigations: cdx.IAJProtectedByMitigatingControl, vex.NotControlled: cdx.IAJProtectedAtPerimeter,
	}
)

// analysisOf says what is known: by a statement, else by the code. What nobody has
// judged is in triage.
func analysisOf(f scanFinding) *cdx.VulnerabilityAnalysis {
	if s := f.Statement; s != nil {
		a := &cdx.VulnerabilityAnalysis{State: cdxStates[s.Status], Detail: cmp.Or(s.Text, "stated by "+s.by())}
		if s.Status == vex.NotAffected {
			a.Justification = cdxJustifications[s.Justification]
		}
		return a
	}
	if j, ok := vex.RuledOut(f.Reach); ok {
		return &cdx.VulnerabilityAnalysis{
			State: cdx.IASNotAffected, Justification: cdxJustifications[j], Detail: ruledOutReason(f.Finding),
		}
	}
	return &cdx.VulnerabilityAnalysis{State: cdx.IASInTriage, Detail: f.Reach.Level.String() + ": " + f.Reach.Reason}
}
