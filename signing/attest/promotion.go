package attest

import (
	"fmt"
	"time"

	"github.com/wreg-project/wreg/signing"
)

// PromotionVersion is the version of the predicate TypePromotion.
const PromotionVersion = 1

// A Promotion says that somebody approved of a package being taken over from one
// repository into another: the predicate TypePromotion. Who that was, the signature
// says.
type Promotion struct {
	// SchemaVersion grows, and the URI with it, when a field changes its meaning.
	SchemaVersion int `json:"schemaVersion"`

	// From and To are the two places of the package.
	From Place `json:"from"`
	To   Place `json:"to"`

	// Digest of the manifest, by algorithm in hexadecimal digits: that of the subject.
	Digest map[string]string `json:"digest"`

	// ApprovedOn is the time by the approver's clock. A trusted clock's is with the
	// signature.
	ApprovedOn time.Time `json:"approvedOn"`

	// Approver is the SHA-256 of the approver's public key in hexadecimal digits. It is
	// absent where a certificate says who signed.
	Approver string `json:"approver,omitempty"`

	// Policy is what the approver's trust policy made of the package. It is absent if
	// none was about it.
	Policy *PromotionPolicy `json:"policy,omitempty"`
}

// A Place is where a package lies.
type Place struct {
	// Registry is a host, with a port if it has one.
	Registry   string `json:"registry"`
	Repository string `json:"repository"`

	// Tag is absent if the package was named by its digest.
	Tag string `json:"tag,omitempty"`
}

// A PromotionPolicy is the answer of a trust policy.
type PromotionPolicy struct {
	// Version is a hash over the policy and the files that it names, in hexadecimal
	// digits.
	Version string `json:"version"`

	// Result is "PASSED", Reason why in one sentence.
	Result string `json:"result"`
	Reason string `json:"reason,omitempty"`
}

// Statement is the statement of the promotion. The error of one that lacks something
// is ErrFormat.
func (p *Promotion) Statement(subjects ...signing.Subject) (signing.Statement, error) {
	p.SchemaVersion = PromotionVersion
	if err := p.check(); err != nil {
		return signing.Statement{}, err
	}
	return statement(TypePromotion, p, subjects)
}

func (p *Promotion) check() error {
	wrong := func(format string, args ...any) error {
		return fmt.Errorf("promotion: %w: %s", ErrFormat, fmt.Sprintf(format, args...))
	}
	switch {
	case p.SchemaVersion != PromotionVersion:
		return wrong("schemaVersion is %d, not %d", p.SchemaVersion, PromotionVersion)
	case p.From.Registry == "" || p.From.Repository == "":
		return wrong("from lacks its registry or repository")
	case p.To.Registry == "" || p.To.Repository == "":
		return wrong("to lacks its registry or repository")
	case len(p.Digest) == 0:
		return wrong("digest is missing")
	case p.ApprovedOn.IsZero():
		return wrong("approvedOn is missing")
	case p.Policy != nil && (p.Policy.Version == "" || p.Policy.Result != Passed && p.Policy.Result != Failed):
		return wrong("policy lacks its version, or its result is neither %s nor %s", Passed, Failed)
	}
	if err := checkDigests(p.Digest); err != nil {
		return wrong("digest: %v", err)
	}
	return nil
}
