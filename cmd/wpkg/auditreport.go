package main

import (
	"fmt"
	"slices"

	"github.com/wreg-project/wreg/internal/term"
	"github.com/wreg-project/wreg/registry/policy"
)

// An auditReport is what policies say of everything that was looked at.
type auditReport struct {
	rules []auditedRule // all that were asked, in the order of policies and rules
	items []audited
	fails threshold

	passed int // targets beyond items that a registry looked at and that pass
}

// An auditedRule is a rule as a report describes it.
type auditedRule struct {
	policy, rule string
	description  string
	mode         policy.Mode
	severity     policy.Severity
}

func (r auditedRule) id() string { return r.policy + "/" + r.rule }

// Outcomes of what was audited.
const (
	auditPass  = "pass"
	auditWarn  = "warn"  // a rule is violated, and the threshold lets it pass
	auditFail  = "fail"  // a rule is violated that makes the audit fail
	auditError = "error" // it could not be looked at
)

// An audited is one binary or package, and what policies say of it.
type audited struct {
	Name    string   `json:"name"` // the file or reference
	Package string   `json:"package,omitempty"`
	Version string   `json:"version,omitempty"`
	Digest  string   `json:"digest,omitempty"` // of the manifest; of a file, of its content
	Tags    []string `json:"tags,omitempty"`
	Size    int64    `json:"size,omitempty"` // bytes of the Wasm; 0 if it was not read here

	Outcome    string             `json:"outcome"`
	Violations []policy.Violation `json:"violations"`
	Error      string             `json:"error,omitempty"`

	file bool  // Name is a path on disk
	err  error // of which Error is the text
}

// failed is a target that could not be looked at.
func (a audited) failed(err error) audited {
	a.err, a.Error = err, message(err)
	return a
}

// A threshold says which violations make an audit fail.
type threshold struct {
	name string
	mode policy.Mode     // this one and stricter ones; "" for severities
	at   policy.Severity // this one and worse ones
}

var (
	modesByStrictness = []policy.Mode{policy.Audit, policy.Warn, policy.Enforce}
	severitiesByRank  = []policy.Severity{policy.Info, policy.Low, policy.Medium, policy.High, policy.Critical}
)

// neverFails is the threshold that nothing reaches.
const neverFails = "never"

// thresholdOf reads --fail-on: a mode, a severity, or never.
func thresholdOf(s string) (threshold, error) {
	switch {
	case s == neverFails:
		return threshold{name: s}, nil
	case slices.Contains(modesByStrictness, policy.Mode(s)):
		return threshold{name: s, mode: policy.Mode(s)}, nil
	case slices.Contains(severitiesByRank, policy.Severity(s)):
		return threshold{name: s, at: policy.Severity(s)}, nil
	}
	return threshold{}, &usageError{
		text: "--fail-on " + term.Clean(s) + ": there is no such threshold",
		hint: "it is a mode (enforce, warn, audit), a severity (critical, high, medium, low, info) or never",
	}
}

// reached reports whether v makes an audit fail.
func (t threshold) reached(v policy.Violation) bool {
	switch {
	case v.Approved:
		return false
	case t.mode != "":
		return slices.Index(modesByStrictness, v.Mode) >= slices.Index(modesByStrictness, t.mode)
	case t.at != "":
		return slices.Index(severitiesByRank, v.Severity) >= slices.Index(severitiesByRank, t.at)
	}
	return false
}

// add takes in what was found out about one target.
func (r *auditReport) add(a audited) {
	if a.Violations == nil {
		a.Violations = []policy.Violation{}
	}
	switch {
	case a.Error != "":
		a.Outcome = auditError
	case slices.ContainsFunc(a.Violations, r.fails.reached):
		a.Outcome = auditFail
	case len(a.Violations) > 0:
		a.Outcome = auditWarn
	default:
		a.Outcome = auditPass
	}
	r.items = append(r.items, a)
}

// count is how many targets have an outcome.
func (r *auditReport) count(outcome string) (n int) {
	if outcome == auditPass {
		n = r.passed
	}
	for _, a := range r.items {
		if a.Outcome == outcome {
			n++
		}
	}
	return n
}

// rows are the report as a table: a row for each violation, and one for what has
// none.
func (r *auditReport) rows() [][]string {
	rows := [][]string{{"OUTCOME", "SEVERITY", "NAME", "RULE", "MESSAGE", "FACT"}}
	for _, a := range r.items {
		switch {
		case a.Error != "":
			rows = append(rows, []string{a.Outcome, "", a.Name, "", clip(a.Error, maxMessageCell)})
		case len(a.Violations) == 0:
			rows = append(rows, []string{a.Outcome, "", a.Name})
		}
		for _, v := range a.Violations {
			outcome := auditWarn
			if r.fails.reached(v) {
				outcome = auditFail
			}
			rows = append(rows, []string{outcome, string(v.Severity), a.Name, v.ID(), clip(inFile(v), maxMessageCell), clip(v.Fact, maxFactCell)})
		}
	}
	return rows
}

// What a table shows of long texts, in characters. Other formats have all.
const (
	maxMessageCell = 140
	maxFactCell    = 60
)

// clip cuts s to n characters.
func clip(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}

// inFile is the message of a violation with the file of the package that it is
// about.
func inFile(v policy.Violation) string {
	if v.File == "" {
		return v.Message
	}
	return v.Message + " in " + v.File
}

// hints say what can be done about the violations, each once.
func (r *auditReport) hints() (list []string) {
	for _, a := range r.items {
		for _, v := range a.Violations {
			if v.Hint != "" && !v.Approved && !slices.Contains(list, v.Hint) {
				list = append(list, v.Hint)
			}
		}
	}
	return list
}

// summary counts the outcomes in words.
func (r *auditReport) summary() string {
	s := plural(len(r.items)+r.passed, "target") + ":"
	for i, outcome := range []string{auditPass, auditWarn, auditFail, auditError} {
		n := r.count(outcome)
		if n == 0 && i > 0 {
			continue
		}
		if i > 0 {
			s += ","
		}
		s += fmt.Sprintf(" %d %s", n, outcome)
	}
	return s
}
