// Package policy decides who may do what, and which packages may be served. It
// is pure: a question goes in, an answer with its reason comes out, and nothing
// is read or written.
//
// [Access] answers for a principal and an action. For a package, [Parse] reads
// policies, YAML files of named rules over typed [Facts], in CEL or as a checkfile
// of Modsurfer; [Compile] makes a [Set] of them, once; and [Set.Eval] gives a
// [Result] for the facts of one file. Expressions are typed, bounded in their cost
// and can neither do I/O nor ask what time it is, so that the same facts give the
// same answer. A rule that cannot be evaluated counts as violated. The language is
// described in docs/spec/policy.md.
package policy

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// A Policy is one file of rules. Parse makes it.
type Policy struct {
	// Name is that of the file, "" if it has none: whoever stores it names it.
	Name        string `json:"name,omitempty"`
	Description string `json:"description,omitempty"`

	// Mode, Severity and Scope are those of rules that say nothing else.
	Mode     Mode     `json:"mode"`
	Severity Severity `json:"severity"`
	Scope    Scope    `json:"scope"`

	// Lists are lists of texts that expressions can name: lists.allowed.
	Lists map[string][]string `json:"lists,omitempty"`

	// Rules are those of our own format; they are empty for a checkfile.
	Rules []Rule `json:"rules,omitempty"`

	// Checkfile is set if the source was a mod.yaml.
	Checkfile *Checkfile `json:"checkfile,omitempty"`
}

// A Rule is one condition on facts.
type Rule struct {
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`

	// Exactly one of Require and Deny is set: a CEL expression that has to be
	// true, or one that must not be.
	Require string `json:"require,omitempty"`
	Deny    string `json:"deny,omitempty"`

	// Message is for whoever is refused. What stands in it between {{ and }} is a
	// CEL expression, whose value takes its place.
	Message string `json:"message,omitempty"`

	Mode     Mode     `json:"mode"`
	Severity Severity `json:"severity"`
	Actions  []Action `json:"actions"`

	pos positions
}

// A Mode says what a violated rule leads to.
type Mode string

// The modes.
const (
	Enforce Mode = "enforce" // the action is refused
	Warn    Mode = "warn"    // it is done, and the caller is told
	Audit   Mode = "audit"   // it is done, and only the decision tells
)

// A Severity says how bad a violation is. It changes nothing of what happens.
type Severity string

// The severities, from least to worst.
const (
	Info     Severity = "info"
	Low      Severity = "low"
	Medium   Severity = "medium"
	High     Severity = "high"
	Critical Severity = "critical"
)

// An Outcome is the answer to an action.
type Outcome string

// The outcomes, from best to worst.
const (
	Allowed Outcome = "allow"
	Warned  Outcome = "warn" // do it and tell the caller
	Denied  Outcome = "deny"
)

// A Violation is a rule that does not hold.
type Violation struct {
	Policy   string   `json:"policy"`
	Rule     string   `json:"rule"`
	Mode     Mode     `json:"mode"`
	Severity Severity `json:"severity"`
	Message  string   `json:"message"`

	// Fact is the fact that broke the rule with its value, printed and cut to
	// MaxFact bytes: `report.size: 5242880`. It is empty if no single one did.
	Fact string `json:"fact,omitempty"`

	// File is the path of the file it is about, "" for the package as a whole.
	File string `json:"file,omitempty"`

	// Hint is what the caller can do about it, "" if the rule itself has to say.
	Hint string `json:"hint,omitempty"`

	// Error says that the rule could not be evaluated, which counts as violated;
	// Message tells why.
	Error bool `json:"error,omitempty"`

	// Approved says that somebody let it pass, so that it has no effect.
	Approved bool `json:"approved,omitempty"`
}

// ID names the rule as approvals do, "policy/rule".
func (v Violation) ID() string { return v.Policy + "/" + v.Rule }

// Reason tells a caller in one sentence what was violated, by which fact.
func (v Violation) Reason() string {
	var b strings.Builder
	b.WriteString("policy " + v.ID() + ": " + v.Message)
	if v.Fact != "" && !strings.Contains(v.Message, v.Fact) {
		b.WriteString(" (" + v.Fact + ")")
	}
	if v.File != "" {
		b.WriteString(" in " + v.File)
	}
	if v.Hint != "" {
		b.WriteString(". " + v.Hint)
	}
	return b.String()
}

// A Result is what the rules of a set say. The zero value says nothing and
// allows.
type Result struct {
	Outcome Outcome `json:"outcome"`

	// Rules counts those that were asked; a rule that is out of scope, or about
	// Wasm where there is none, is not.
	Rules int `json:"rules"`

	// Violations are in the order of policies and rules. At most MaxViolations are
	// kept of one file.
	Violations []Violation `json:"violations"`
	Truncated  bool        `json:"truncated,omitempty"`
}

// Bounds on results.
const (
	MaxViolations = 100
	MaxFact       = 300 // bytes
	MaxMessage    = 800 // bytes
)

// Merge adds what was said about another file of the same package.
func (r *Result) Merge(o Result) {
	r.Rules += o.Rules
	r.Violations = append(r.Violations, o.Violations...)
	r.Truncated = r.Truncated || o.Truncated
	r.conclude()
}

// Lift marks the violations that approved says true of as approved, so that they
// count no more. It is asked with the ID of each.
func (r *Result) Lift(approved func(id string) bool) {
	for i := range r.Violations {
		if approved(r.Violations[i].ID()) {
			r.Violations[i].Approved = true
		}
	}
	r.conclude()
}

// Denials are the violations that refuse the action.
func (r *Result) Denials() []Violation {
	var list []Violation
	for _, v := range r.Violations {
		if v.Mode == Enforce && !v.Approved {
			list = append(list, v)
		}
	}
	return list
}

// conclude works out the outcome.
func (r *Result) conclude() {
	r.Outcome = Allowed
	for _, v := range r.Violations {
		switch {
		case v.Approved:
		case v.Mode == Enforce:
			r.Outcome = Denied
			return
		case v.Mode == Warn:
			r.Outcome = Warned
		}
	}
}

// Needs says which facts rules read, so that only those are found out.
type Needs struct {
	Report          bool // Facts.Report
	Capabilities    bool // Facts.Capabilities
	Previous        bool // Facts.Previous
	SBOM            bool // Facts.SBOM
	Licenses        bool // Facts.Licenses
	Vulnerabilities bool // Facts.Vulnerabilities
	Hashes          bool // Report.HashExports
	Signatures      bool // Facts.Signatures, Attestations, RefusedSignatures and Publisher
}

// Wasm reports whether files have to be inspected.
func (n Needs) Wasm() bool { return n.Report || n.Capabilities || n.Hashes || n.Documents() }

// Documents reports whether the bill of materials of each file is needed, for
// itself or for what is made of it.
func (n Needs) Documents() bool { return n.SBOM || n.Licenses || n.Vulnerabilities }

// An Error says what is wrong with a policy, and where.
type Error struct {
	Policy string // name, "" if it has none
	Rule   string // name, "" for the policy as a whole
	Line   int    // in the source, from 1; 0 if it is not known
	Column int    // in characters, from 1
	Msg    string
	Hint   string // what to write instead, "" if nothing suggests itself
}

// Error gives "12:7: rule no-network: undeclared reference to 'reprt' (did you mean report?)".
func (e *Error) Error() string {
	var b strings.Builder
	if e.Line > 0 {
		b.WriteString(strconv.Itoa(e.Line) + ":" + strconv.Itoa(e.Column) + ": ")
	}
	if e.Rule != "" {
		b.WriteString("rule " + e.Rule + ": ")
	}
	b.WriteString(e.Msg)
	if e.Hint != "" {
		fmt.Fprintf(&b, " (%s)", e.Hint)
	}
	return b.String()
}

// Errors are everything that is wrong with a policy, in the order of the source.
// Parse and Compile fail with it; use [errors.As].
type Errors []*Error

func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, err := range e {
		lines[i] = err.Error()
	}
	return strings.Join(lines, "\n")
}

// ErrTooLarge is a policy or test file beyond the bounds.
var ErrTooLarge = errors.New("too large for a policy")
