package wire

import (
	"time"

	"github.com/opencontainers/go-digest"
)

// A Violation is a rule that does not hold.
type Violation struct {
	Policy   string `json:"policy"`
	Rule     string `json:"rule"`
	Mode     string `json:"mode"` // "enforce", "warn" or "audit"
	Severity string `json:"severity"`
	Message  string `json:"message"`

	// Fact is the one that broke the rule, as text.
	Fact string `json:"fact,omitempty"`

	// File is the path or digest of the file that the fact is of.
	File string `json:"file,omitempty"`

	// Hint is what can be done about it. It is absent if the message has to say.
	Hint string `json:"hint,omitempty"`

	// Error is whether the rule failed to evaluate, which counts as broken.
	Error bool `json:"error,omitempty"`

	// Approved is whether somebody let it pass.
	Approved bool `json:"approved,omitempty"`
}

// A Policy is one version of a policy.
type Policy struct {
	Name string `json:"name"`

	// Version counts the changes of this policy, Revision those of all.
	Version  int64 `json:"version"`
	Revision int64 `json:"revision"`

	// Source is its text. A version by which the policy was deleted has none.
	Source  string    `json:"source"`
	Author  string    `json:"author,omitempty"`
	Created time.Time `json:"created"`
	Deleted bool      `json:"deleted,omitempty"`
}

// A PolicyRequest stores a policy.
type PolicyRequest struct {
	// Source is YAML: a policy of ours, or Modsurfer's mod.yaml.
	Source string `json:"source" jsonschema:"minLength=1,maxLength=262144"`
}

// An AuditRequest asks what a policy says of stored versions.
type AuditRequest struct {
	// Policy is YAML: a policy of ours, or Modsurfer's mod.yaml. All its rules
	// count, whatever their mode and scope.
	Policy string `json:"policy" jsonschema:"minLength=1,maxLength=262144"`

	// Query chooses the versions, in the language of search; "" is all.
	Query string `json:"query,omitempty" jsonschema:"maxLength=2000"`

	// Cursor and Limit choose the page. Limit bounds the versions looked at, and
	// not the findings.
	Cursor string `json:"cursor,omitempty" jsonschema:"maxLength=2000"`
	Limit  int    `json:"limit,omitempty" jsonschema:"minimum=1,maximum=1000"`
}

// A DryRunRequest asks what a policy would refuse today.
type DryRunRequest struct {
	// Source is the text of a policy, Name one that is stored: one of the two.
	// Neither means all that are stored.
	Source string `json:"source,omitempty" jsonschema:"maxLength=262144"`
	Name   string `json:"name,omitempty" jsonschema:"maxLength=100"`

	// Action is what is to be judged; "" is pull.
	Action string `json:"action,omitempty" jsonschema:"enum=push,enum=tag,enum=pull,enum=promote"`

	// Query, Cursor and Limit are those of an AuditRequest.
	Query  string `json:"query,omitempty" jsonschema:"maxLength=2000"`
	Cursor string `json:"cursor,omitempty" jsonschema:"maxLength=2000"`
	Limit  int    `json:"limit,omitempty" jsonschema:"minimum=1,maximum=1000"`
}

// An AuditResult is one page of findings. A page without findings may still have
// a Next.
type AuditResult struct {
	List[Finding]

	// Scanned counts the versions that were looked at for this page, Skipped those
	// among them without facts: not analysed yet.
	Scanned int `json:"scanned"`
	Skipped int `json:"skipped"`
}

// A Finding is a version that breaks rules.
type Finding struct {
	Package    string        `json:"package"`
	Repository string        `json:"repository"`
	Digest     digest.Digest `json:"digest"`
	Tags       []string      `json:"tags"`

	// Outcome is what the rules in their modes make of it: "allow", "warn" or
	// "deny".
	Outcome    Verdict     `json:"outcome"`
	Violations []Violation `json:"violations"`
}

// A Decision is what policy said once.
type Decision struct {
	ID         int64         `json:"id"`
	Time       time.Time     `json:"time"`
	Package    string        `json:"package"`
	Repository string        `json:"repository"`
	Digest     digest.Digest `json:"digest"`
	Tags       []string      `json:"tags"`
	Action     string        `json:"action"`
	Principal  string        `json:"principal,omitempty"`
	Outcome    Verdict       `json:"outcome"`

	// Revision is that of the policies that decided.
	Revision   int64       `json:"revision"`
	Violations []Violation `json:"violations"`
}

// A Quarantine is a manifest that was refused and is kept for approvers.
type Quarantine struct {
	Package    string        `json:"package"`
	Repository string        `json:"repository"`
	Digest     digest.Digest `json:"digest"`
	MediaType  string        `json:"mediaType"`
	Tags       []string      `json:"tags"`
	Uploader   string        `json:"uploader,omitempty"`

	// Decision is the id of the one that refused it.
	Decision int64     `json:"decision"`
	Created  time.Time `json:"created"`
	Until    time.Time `json:"until"`
}

// An Approval lets a digest pass in spite of a rule.
type Approval struct {
	Package    string        `json:"package"`
	Repository string        `json:"repository"`
	Digest     digest.Digest `json:"digest"`

	// Rule is "policy/rule", "" for every rule.
	Rule   string    `json:"rule,omitempty"`
	By     string    `json:"by,omitempty"`
	Reason string    `json:"reason,omitempty"`
	Time   time.Time `json:"time"`
}

// An ApprovalRequest approves a digest.
type ApprovalRequest struct {
	Package string        `json:"package" jsonschema:"format=package"`
	Digest  digest.Digest `json:"digest"`

	// Rule is "policy/rule", "" for every rule.
	Rule string `json:"rule,omitempty" jsonschema:"maxLength=201"`

	// Reason is kept with the approval.
	Reason string `json:"reason" jsonschema:"minLength=1,maxLength=1000"`
}
