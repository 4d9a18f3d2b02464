package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/url"
	"path"
	"path/filepath"
	"strings"

	"github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"

	"github.com/wreg-project/wreg/internal/version"
	"github.com/wreg-project/wreg/registry/policy"
)

// sarifInformation is where people read about the results.
const sarifInformation = "https://github.com/wreg-project/wreg/blob/main/docs/spec/audit.md"

// writeSARIF writes the report as SARIF 2.1.0, the format of code scanning. What
// we put where is written in docs/spec/audit.md.
func (r *auditReport) writeSARIF(w io.Writer) error {
	run := sarif.NewRunWithInformationURI("wpkg", sarifInformation)
	run.Tool.Driver.WithVersion(version.Get().Version)
	for _, rule := range r.rules {
		run.Tool.Driver.AddRule(sarifRule(rule))
	}
	invocation := sarif.NewInvocation().WithExecutionSuccessful(r.count(auditError) == 0)
	for i, a := range r.items {
		location := sarifLocation(a, i)
		run.AddArtifact(sarifArtifact(a))
		if a.Error != "" {
			invocation.AddToolExecutionNotification(sarif.NewNotification().WithLevel("error").
				WithMessage(sarif.NewTextMessage(a.Error)).AddLocation(location))
			continue
		}
		for _, v := range a.Violations {
			run.AddResult(r.sarifResult(run, a, v, location))
		}
	}
	run.AddInvocation(invocation)
	doc := sarif.NewReport()
	doc.AddRun(run)
	return doc.PrettyWrite(w)
}

func sarifRule(rule auditedRule) *sarif.ReportingDescriptor {
	text := rule.description
	if text == "" {
		text = "Rule " + rule.rule + " of policy " + rule.policy
	}
	properties := sarif.NewPropertyBag().WithTags([]string{"security", "webassembly"})
	// GitHub sorts and gates by this number, which it takes for one of CVSS.
	properties.Add("security-severity", securitySeverity[rule.severity])
	properties.Add("precision", "high")
	properties.Add("mode", string(rule.mode))
	properties.Add("severity", string(rule.severity))
	return sarif.NewReportingDescriptor().WithID(rule.id()).WithName(rule.id()).
		WithShortDescription(sarif.NewMultiformatMessageString().WithText(text)).
		WithFullDescription(sarif.NewMultiformatMessageString().WithText(text)).
		WithHelp(sarif.NewMultiformatMessageString().WithText(text)).
		WithHelpURI(sarifInformation).
		WithDefaultConfiguration(sarif.NewReportingConfiguration().WithLevel(modeLevels[rule.mode])).
		WithProperties(properties)
}

// securitySeverity has numbers in the middle of GitHub's ranges.
var securitySeverity = map[policy.Severity]string{
	policy.Info: "0.0", policy.Low: "2.0", policy.Medium: "5.5", policy.High: "8.0", policy.Critical: "9.5",
}

// modeLevels says how loud a violation is by what the rule leads to.
var modeLevels = map[policy.Mode]string{policy.Enforce: "error", policy.Warn: "warning", policy.Audit: "note"}

// sarifResult is one violation. Rules that are not in the list, as those of a
// registry that audits by itself, are added to it.
func (r *auditReport) sarifResult(run *sarif.Run, a audited, v policy.Violation, at *sarif.Location) *sarif.Result {
	index := -1
	for i, rule := range run.Tool.Driver.Rules {
		if *rule.ID == v.ID() {
			index = i
		}
	}
	if index < 0 {
		index = len(run.Tool.Driver.Rules)
		run.Tool.Driver.AddRule(sarifRule(auditedRule{policy: v.Policy, rule: v.Rule, mode: v.Mode, severity: v.Severity}))
	}
	level := modeLevels[v.Mode]
	if r.fails.reached(v) {
		level = "error"
	}
	text := inFile(v)
	if v.Fact != "" && !strings.Contains(text, v.Fact) {
		text += " (" + v.Fact + ")"
	}
	properties := sarif.NewPropertyBag()
	properties.Add("mode", string(v.Mode))
	properties.Add("severity", string(v.Severity))
	if v.Fact != "" {
		properties.Add("fact", v.Fact)
	}
	if v.Error {
		properties.Add("error", true)
	}
	// Without a fingerprint of ours, GitHub would take lines of the binary for it,
	// and every build would raise the same alert anew.
	print := sha256.Sum256([]byte(v.ID() + "\x00" + sarifURI(a) + "\x00" + v.File))
	fingerprint := hex.EncodeToString(print[:8])
	return sarif.NewResult().WithRuleID(v.ID()).WithRuleIndex(index).WithLevel(level).
		WithMessage(sarif.NewTextMessage(text)).
		WithLocations([]*sarif.Location{at}).
		WithPartialFingerprints(map[string]string{"wregViolation/v1": fingerprint, "primaryLocationLineHash": fingerprint + ":1"}).
		WithProperties(properties)
}

func sarifLocation(a audited, artifact int) *sarif.Location {
	// GitHub shows only results with a line.
	region := sarif.NewRegion().WithStartLine(1)
	place := sarif.NewPhysicalLocation().WithRegion(region).
		WithArtifactLocation(sarif.NewSimpleArtifactLocation(sarifURI(a)).WithIndex(artifact))
	location := sarif.NewLocationWithPhysicalLocation(place)
	if a.Package != "" {
		name := a.Package
		if a.Version != "" {
			name += "@" + a.Version
		}
		location.AddLogicalLocation(sarif.NewLogicalLocation().WithFullyQualifiedName(name).WithKind("package"))
	}
	return location
}

func sarifArtifact(a audited) *sarif.Artifact {
	artifact := sarif.NewArtifact().WithLocation(sarif.NewSimpleArtifactLocation(sarifURI(a)))
	if a.file {
		artifact.WithMimeType("application/wasm")
		if algorithm, hash, ok := strings.Cut(a.Digest, ":"); ok && algorithm == "sha256" {
			artifact.WithHashes(map[string]string{"sha-256": hash})
		}
	}
	if a.Size > 0 {
		artifact.WithLength(int(a.Size))
	}
	return artifact
}

// sarifURI is where a target lies: a path with slashes, as code scanning wants it
// relative to the repository, or for a package its reference as oci://host/path.
func sarifURI(a audited) string {
	if a.file {
		name := filepath.ToSlash(filepath.Clean(a.Name))
		if path.IsAbs(name) {
			return (&url.URL{Scheme: "file", Path: name}).String()
		}
		return (&url.URL{Path: name}).String()
	}
	if layout, ok := strings.CutPrefix(a.Name, "oci-layout:"); ok {
		return fmt.Sprintf("oci-layout:%s", (&url.URL{Path: filepath.ToSlash(layout)}).EscapedPath())
	}
	return "oci://" + a.Name
}
