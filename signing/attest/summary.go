package attest

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/wreg-project/wreg/signing"
)

// Results of a Summary.
const (
	Passed = "PASSED"
	Failed = "FAILED"
)

// A Summary says that somebody verified an artifact, by which policy, and how it
// came out (SLSA verification summary attestation, version 1).
type Summary struct {
	Verifier           Verifier         `json:"verifier"`
	TimeVerified       time.Time        `json:"timeVerified,omitzero"`
	ResourceURI        string           `json:"resourceUri"` // where the artifact is to be had from
	Policy             Resource         `json:"policy"`
	InputAttestations  []Resource       `json:"inputAttestations,omitempty"`
	VerificationResult string           `json:"verificationResult"` // Passed or Failed
	VerifiedLevels     []string         `json:"verifiedLevels"`     // SLSA_… or words of the verifier's own
	DependencyLevels   map[string]Count `json:"dependencyLevels,omitempty"`
	SLSAVersion        string           `json:"slsaVersion,omitempty"`
}

// A Verifier is who verified. Version is of SLSA 1.1 on; readers that are built on
// in-toto's types and take no unknown field refuse what has it.
type Verifier struct {
	ID      string            `json:"id"` // URI
	Version map[string]string `json:"version,omitempty"`
}

// A Count is how many dependencies are of a level. SLSA writes it as a number, and
// tools built on protocol buffers as a text: both are read.
type Count uint64

// UnmarshalJSON implements json.Unmarshaler.
func (c *Count) UnmarshalJSON(text []byte) error {
	n, err := strconv.ParseUint(strings.Trim(string(text), `"`), 10, 64)
	if err != nil {
		return fmt.Errorf("%.40q is no count of dependencies", text)
	}
	*c = Count(n)
	return nil
}

// Statement is the statement of the summary. The error of one that lacks what SLSA
// requires is ErrFormat.
func (s *Summary) Statement(subjects ...signing.Subject) (signing.Statement, error) {
	if err := s.complete(); err != nil {
		return signing.Statement{}, err
	}
	return statement(TypeSummary, s, subjects)
}

// complete demands of what is written here all that any version of SLSA requires.
func (s *Summary) complete() error {
	switch {
	case s.TimeVerified.IsZero():
		return fmt.Errorf("vsa: %w: timeVerified is missing", ErrFormat)
	case s.Policy.URI == "":
		return fmt.Errorf("vsa: %w: policy.uri is missing", ErrFormat)
	case len(s.VerifiedLevels) == 0:
		return fmt.Errorf("vsa: %w: verifiedLevels is missing", ErrFormat)
	}
	for i, a := range s.InputAttestations {
		if len(a.Digest) == 0 {
			return fmt.Errorf("vsa: %w: inputAttestations[%d] has no digest", ErrFormat, i)
		}
	}
	return s.check()
}

// check demands what every summary has.
func (s *Summary) check() error {
	switch {
	case s.Verifier.ID == "":
		return fmt.Errorf("vsa: %w: verifier.id is missing", ErrFormat)
	case s.ResourceURI == "":
		return fmt.Errorf("vsa: %w: resourceUri is missing", ErrFormat)
	case s.VerificationResult != Passed && s.VerificationResult != Failed:
		return fmt.Errorf("vsa: %w: verificationResult is %.40q, neither %s nor %s", ErrFormat, s.VerificationResult, Passed, Failed)
	}
	if err := s.Policy.check(); err != nil {
		return fmt.Errorf("vsa: %w: policy: %w", ErrFormat, err)
	}
	if err := checkResources(s.InputAttestations); err != nil {
		return fmt.Errorf("vsa: %w: inputAttestations%w", ErrFormat, err)
	}
	return nil
}
