package main

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"

	"github.com/wreg-project/wreg/internal/version"
	"github.com/wreg-project/wreg/sbom/vuln"
	"github.com/wreg-project/wreg/sbom/vuln/reach"
	"github.com/wreg-project/wreg/sbom/vuln/scan"
)

// scanInformation is where people read about the results.
const scanInformation = "https://github.com/wreg-project/wreg/blob/main/docs/spec/advisories.md"

// writeScanSARIF writes findings as SARIF 2.1.0: a rule for each vulnerability, a
// result for each component that has it. What a statement says not to matter is a
// result that is suppressed.
func writeScanSARIF(w io.Writer, items []scanned) error {
	run := sarif.NewRunWithInformationURI("wpkg", scanInformation)
	run.Tool.Driver.WithVersion(version.Get().Version)
	rules := map[string]int{}
	whole := true
	invocation := sarif.NewInvocation()
	for i, s := range items {
		at := audited{Name: s.Name, Digest: s.Digest, Size: s.Size, file: s.target.file}
		if at.file && s.SHA256 != "" {
			at.Digest = "sha256:" + s.SHA256
		}
		location := sarifLocation(at, i)
		run.AddArtifact(sarifArtifact(at))
		if s.Error != "" {
			whole = false
			invocation.AddToolExecutionNotification(sarif.NewNotification().WithLevel("error").
				WithMessage(sarif.NewTextMessage(s.Error)).AddLocation(location))
			continue
		}
		for _, f := range slices.Concat(s.Findings, s.Stated) {
			index, ok := rules[f.ID]
			if !ok {
				index = len(rules)
				rules[f.ID] = index
				run.Tool.Driver.AddRule(vulnerabilityRule(f.Finding))
			}
			run.AddResult(vulnerabilityResult(f, index, at, location))
		}
	}
	run.AddInvocation(invocation.WithExecutionSuccessful(whole))
	doc := sarif.NewReport()
	doc.AddRun(run)
	return doc.PrettyWrite(w)
}

func vulnerabilityRule(f scan.Finding) *sarif.ReportingDescriptor {
	text := f.Summary
	if text == "" {
		text = "Vulnerability " + f.ID
	}
	properties := sarif.NewPropertyBag().WithTags(append([]string{"security", "vulnerability", "webassembly"}, f.Aliases...))
	score := f.Severity.Score
	if score == 0 {
		score = middle[f.Severity.Rating]
	}
	properties.Add("security-severity", strconv.FormatFloat(score, 'f', 1, 64))
	properties.Add("precision", "high")
	help := scanInformation
	if len(f.References) > 0 && strings.HasPrefix(f.References[0], "https://") {
		help = f.References[0]
	}
	return sarif.NewReportingDescriptor().WithID(f.ID).WithName(f.ID).
		WithShortDescription(sarif.NewMultiformatMessageString().WithText(text)).
		WithFullDescription(sarif.NewMultiformatMessageString().WithText(text)).
		WithHelp(sarif.NewMultiformatMessageString().WithText(text)).
		WithHelpURI(help).
		WithDefaultConfiguration(sarif.NewReportingConfiguration().WithLevel(vulnerabilityLevel(scanFinding{Finding: f}))).
		WithProperties(properties)
}

// middle has a number for what has a rating and no score.
var middle = map[vuln.Rating]float64{vuln.Low: 2, vuln.Medium: 5.5, vuln.High: 8, vuln.Critical: 9.5}

// vulnerabilityLevel says how loud a finding is: what cannot run is a note.
func vulnerabilityLevel(f scanFinding) string {
	switch {
	case f.Informational != "" || f.ruledOut():
		return "note"
	case f.Severity.Rating.AtLeast(vuln.High) || f.KEV != nil:
		return "error"
	}
	return "warning"
}

func vulnerabilityResult(f scanFinding, rule int, at audited, location *sarif.Location) *sarif.Result {
	text := f.Name + " " + f.Version + ": " + codeOf(f)
	if f.Reach.Reason != "" {
		text += ", " + f.Reach.Reason
	}
	if len(f.Fixed) > 0 {
		text += ". Fixed in " + strings.Join(f.Fixed, ", ")
	}
	properties := sarif.NewPropertyBag()
	properties.Add("purl", f.PURL)
	properties.Add("reach", f.Reach.Level.String())
	if f.Unit != "" {
		properties.Add("unit", f.Unit)
	}
	if f.Reach.Level == reach.Reachable {
		properties.Add("path", f.Reach.Path)
	}
	// Not by version: a finding stays the same one until it is fixed.
	print := sha256.Sum256([]byte(f.ID + "\x00" + f.Name + "\x00" + f.Unit + "\x00" + sarifURI(at)))
	fingerprint := hex.EncodeToString(print[:8])
	result := sarif.NewResult().WithRuleID(f.ID).WithRuleIndex(rule).WithLevel(vulnerabilityLevel(f)).
		WithMessage(sarif.NewTextMessage(text)).
		WithLocations([]*sarif.Location{location}).
		WithPartialFingerprints(map[string]string{"wregVulnerability/v1": fingerprint, "primaryLocationLineHash": fingerprint + ":1"}).
		WithProperties(properties)
	if s := f.Statement; s.dismisses() {
		why := cmp.Or(s.Text, string(s.Justification), s.status())
		result.AddSuppression(sarif.NewSuppression().WithKind("external").WithStatus("accepted").
			WithJustification(s.status() + " by " + s.by() + ": " + why))
	}
	return result
}
