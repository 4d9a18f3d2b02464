package main

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"slices"
	"strconv"
	"strings"

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
	run := newSARIFRun(version.Get().Version, scanInformation)
	rules := map[string]int{}
	whole := true
	for i, s := range items {
		at := audited{Name: s.Name, Digest: s.Digest, Size: s.Size, file: s.target.file}
		if at.file && s.SHA256 != "" {
			at.Digest = "sha256:" + s.SHA256
		}
		location := sarifLocation(at, i)
		run.Artifacts = append(run.Artifacts, sarifArtifact(at))
		if s.Error != "" {
			whole = false
			run.failed(s.Error, location)
			continue
		}
		for _, f := range slices.Concat(s.Findings, s.Stated) {
			index, ok := rules[f.ID]
			if !ok {
				index = run.rule(vulnerabilityRule(f.Finding))
				rules[f.ID] = index
			}
			run.Results = append(run.Results, vulnerabilityResult(f, index, at, location))
		}
	}
	run.Invocations[0].ExecutionSuccessful = whole
	return run.write(w)
}

func vulnerabilityRule(f scan.Finding) sarifRule {
	text := f.Summary
	if text == "" {
		text = "Vulnerability " + f.ID
	}
	score := f.Severity.Score
	if score == 0 {
		score = middle[f.Severity.Rating]
	}
	help := scanInformation
	if len(f.References) > 0 && strings.HasPrefix(f.References[0], "https://") {
		help = f.References[0]
	}
	return sarifRule{
		ID: f.ID, Name: f.ID,
		ShortDescription: sarifText{text}, FullDescription: sarifText{text}, Help: sarifText{text},
		HelpURI:              help,
		DefaultConfiguration: sarifLevel{vulnerabilityLevel(scanFinding{Finding: f})},
		Properties: map[string]any{
			"tags":              append([]string{"security", "vulnerability", "webassembly"}, f.Aliases...),
			"security-severity": strconv.FormatFloat(score, 'f', 1, 64),
			"precision":         "high",
		},
	}
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

func vulnerabilityResult(f scanFinding, rule int, at audited, location sarifPlace) sarifFound {
	text := f.Name + " " + f.Version + ": " + codeOf(f)
	if f.Reach.Reason != "" {
		text += ", " + f.Reach.Reason
	}
	if len(f.Fixed) > 0 {
		text += ". Fixed in " + strings.Join(f.Fixed, ", ")
	}
	properties := map[string]any{"purl": f.PURL, "reach": f.Reach.Level.String()}
	if f.Unit != "" {
		properties["unit"] = f.Unit
	}
	if f.Reach.Level == reach.Reachable {
		properties["path"] = f.Reach.Path
	}
	// Not by version: a finding stays the same one until it is fixed.
	print := sha256.Sum256([]byte(f.ID + "\x00" + f.Name + "\x00" + f.Unit + "\x00" + sarifURI(at)))
	fingerprint := hex.EncodeToString(print[:8])
	result := sarifFound{
		RuleID: f.ID, RuleIndex: rule, Level: vulnerabilityLevel(f), Message: sarifText{text}, Locations: []sarifPlace{location},
		PartialFingerprints: map[string]string{"wregVulnerability/v1": fingerprint, "primaryLocationLineHash": fingerprint + ":1"},
		Properties:          properties,
	}
	if s := f.Statement; s.dismisses() {
		why := cmp.Or(s.Text, string(s.Justification), s.status())
		result.Suppressions = []sarifSuppression{{"external", "accepted", s.status() + " by " + s.by() + ": " + why}}
	}
	return result
}
