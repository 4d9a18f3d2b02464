package verify

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/opencontainers/go-digest"
	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	protodsse "github.com/sigstore/protobuf-specs/gen/pb-go/dsse"
	sigverify "github.com/sigstore/sigstore-go/pkg/verify"

	"github.com/wreg-project/wreg/signing"
)

// statementV01 is the version that cosign's older form has.
const statementV01 = "https://in-toto.io/Statement/v0.1"

// Bounds of a statement.
const (
	maxSubjects      = 1024
	maxSubjectText   = 256 << 10 // bytes of JSON
	maxPredicateType = 1 << 10
)

// statement is an in-toto statement.
type statement struct {
	Type          string          `json:"_type"`
	Subject       json.RawMessage `json:"subject"`
	PredicateType string          `json:"predicateType"`
	Predicate     json.RawMessage `json:"predicate"`

	message []byte // that is signed: DSSE's pre-authentication encoding
}

// readStatement reads the statement of an envelope, which nobody has verified yet,
// and checks that it is about subject.
func readStatement(e *protodsse.Envelope, subject digest.Digest) (*statement, error) {
	if e == nil {
		return nil, errors.New("it has no statement")
	}
	if e.GetPayloadType() != signing.PayloadType {
		return nil, fmt.Errorf("it signs a payload of type %.80q, and %s was expected", e.GetPayloadType(), signing.PayloadType)
	}
	if n := len(e.GetSignatures()); n != 1 {
		return nil, fmt.Errorf("the envelope has %d signatures, and one was expected", n)
	}
	if err := shallow(e.GetPayload(), 0); err != nil {
		return nil, fmt.Errorf("statement: %w", err)
	}
	st := &statement{message: dsse.PAE(e.GetPayloadType(), e.GetPayload())}
	if err := json.Unmarshal(e.GetPayload(), st); err != nil {
		return nil, fmt.Errorf("statement: %w", err)
	}
	switch {
	case st.Type != signing.StatementType && st.Type != statementV01:
		return nil, fmt.Errorf("the statement is of type %.80q, and %s was expected", st.Type, signing.StatementType)
	case st.PredicateType == "":
		return nil, errors.New("the statement has no predicateType")
	case len(st.PredicateType) > maxPredicateType:
		return nil, fmt.Errorf("the predicateType has %d bytes; at most %d are read", len(st.PredicateType), maxPredicateType)
	}
	return st, st.about(subject)
}

// about checks that a statement has subject among its subjects.
func (st *statement) about(subject digest.Digest) error {
	if len(st.Subject) > maxSubjectText {
		return fmt.Errorf("subjects of %d bytes; at most %d are read", len(st.Subject), maxSubjectText)
	}
	var list []signing.Subject
	if err := json.Unmarshal(st.Subject, &list); err != nil {
		return fmt.Errorf("subjects of the statement: %w", err)
	}
	if len(list) > maxSubjects {
		return fmt.Errorf("%d subjects; at most %d are read", len(list), maxSubjects)
	}
	algorithm := subject.Algorithm().String()
	var others []string
	for _, s := range list {
		got := s.Digest[algorithm]
		if strings.EqualFold(got, subject.Encoded()) {
			return nil
		}
		if len(others) < 3 {
			if got == "" {
				got = "without one of " + algorithm
			}
			others = append(others, fmt.Sprintf("%.140q", got))
		}
	}
	return fmt.Errorf("it is about %d other things (%s), and %s was expected", len(list), strings.Join(others, ", "), subject)
}

// manifest is the manifest with the digest.
func manifest(d digest.Digest) (func() sigverify.ArtifactPolicyOption, error) {
	sum, err := hex.DecodeString(d.Encoded())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", d, err)
	}
	return func() sigverify.ArtifactPolicyOption {
		return sigverify.WithArtifactDigest(d.Algorithm().String(), sum)
	}, nil
}
