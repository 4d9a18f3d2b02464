package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/url"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/wreg-project/wreg/internal/version"
	"github.com/wreg-project/wreg/registry/policy"
)

// sarifInformation is where people read about the results.
const sarifInformation = "https://github.com/wreg-project/wreg/blob/main/docs/spec/audit.md"

// writeSARIF writes the report as SARIF 2.1.0, the format of code scanning. What
// we put where is written in docs/spec/audit.md.
func (r *auditReport) writeSARIF(w io.Writer) error {
	run := newSARIFRun(version.Get().Version, sarifInformation)
	for _, rule := range r.rules {
		run.rule(policyRule(rule))
	}
	run.Invocations[0].ExecutionSuccessful = r.count(auditError) == 0
	for i, a := range r.items {
		at := sarifLocation(a, i)
		run.Artifacts = append(run.Artifacts, sarifArtifact(a))
		if a.Error != "" {
			run.failed(a.Error, at)
			continue
		}
		for _, v := range a.Violations {
			run.Results = append(run.Results, r.sarifResult(run, a, v, at))
		}
	}
	return run.write(w)
}

func policyRule(rule auditedRule) sarifRule {
	text := rule.description
	if text == "" {
		text = "Rule " + rule.rule + " of policy " + rule.policy
	}
	return sarifRule{
		ID: rule.id(), Name: rule.id(),
		ShortDescription: sarifText{text}, FullDescription: sarifText{text}, Help: sarifText{text},
		HelpURI:              sarifInformation,
		DefaultConfiguration: sarifLevel{modeLevels[rule.mode]},
		Properties: map[string]any{
			"tags": []string{"security", "webassembly"},
			// GitHub sorts and gates by this number, which it takes for one of CVSS.
			"security-severity": securitySeverity[rule.severity],
			"precision":         "high",
			"mode":              rule.mode,
			"severity":          rule.severity,
		},
	}
}

// securitySeverity has numbers in the middle of GitHub's ranges.
var securitySeverity = map[policy.Severity]string{
	policy.Info: "0.0", policy.Low: "2.0", policy.Medium: "5.5", policy.High: "8.0", policy.Critical: "9.5",
}

// modeLevels says how loud a violation is by what the rule leads to.
var modeLevels = map[policy.Mode]string{policy.Enforce: "error", policy.Warn: "warning", policy.Audit: "note"}

// sarifResult is one violation. Rules that are not in the list, as those of a
// registry that audits by itself, are added to it.
func (r *auditReport) sarifResult(run *sarifRun, a audited, v policy.Violation, at sarifPlace) sarifFound {
	index := slices.IndexFunc(run.Tool.Driver.Rules, func(rule sarifRule) bool { return rule.ID == v.ID() })
	if index < 0 {
		index = run.rule(policyRule(auditedRule{policy: v.Policy, rule: v.Rule, mode: v.Mode, severity: v.Severity}))
	}
	level := modeLevels[v.Mode]
	if r.fails.reached(v) {
		level = "error"
	}
	text := inFile(v)
	if v.Fact != "" && !strings.Contains(text, v.Fact) {
		text += " (" + v.Fact + ")"
	}
	properties := map[string]any{"mode": v.Mode, "severity": v.Severity}
	if v.Fact != "" {
		properties["fact"] = v.Fact
	}
	if v.Error {
		properties["error"] = true
	}
	// Without a fingerprint of ours, GitHub would take lines of the binary for it,
	// and every build would raise the same alert anew.
	print := sha256.Sum256([]byte(v.ID() + "\x00" + sarifURI(a) + "\x00" + v.File))
	fingerprint := hex.EncodeToString(print[:8])
	return sarifFound{
		RuleID: v.ID(), RuleIndex: index, Level: level, Message: sarifText{text}, Locations: []sarifPlace{at},
		PartialFingerprints: map[string]string{"wregViolation/v1": fingerprint, "primaryLocationLineHash": fingerprint + ":1"},
		Properties:          properties,
	}
}

// sarifLocation is the place of a target that has an index in the list of
// artifacts.
func sarifLocation(a audited, artifact int) sarifPlace {
	place := sarifPlace{Physical: sarifPhysical{
		ArtifactLocation: sarifFileLocation{sarifURI(a), &artifact},
		Region:           sarifRegion{StartLine: 1}, // GitHub shows only results with a line
	}}
	if a.Package != "" {
		name := a.Package
		if a.Version != "" {
			name += "@" + a.Version
		}
		place.Logical = []sarifLogical{{FullyQualifiedName: name, Kind: "package"}}
	}
	return place
}

func sarifArtifact(a audited) sarifFile {
	file := sarifFile{Location: sarifFileLocation{URI: sarifURI(a)}, Length: a.Size}
	if a.file {
		file.MIMEType = "application/wasm"
		if hash, ok := strings.CutPrefix(a.Digest, "sha256:"); ok {
			file.Hashes = map[string]string{"sha-256": hash}
		}
	}
	return file
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
