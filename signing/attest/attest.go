// Package attest makes and reads attestations: in-toto statements whose predicates
// say something of a package.
//
// Each predicate has a constructor that gives a [signing.Statement] for
// [signing.Sign]: [CycloneDX], [SPDX] and [OpenVEX] of documents, and the method
// Statement of [Provenance], [Scan], [Summary], [Capabilities] and [Promotion]. [Of] takes one
// that somebody else wrote, and holds it against its format. [Read] goes the other
// way, for predicates whose signature was verified. Nothing here reads a clock:
// the same values give the same bytes.
//
// docs/spec/attestations.md is the manual.
package attest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/wreg-project/wreg/internal/strictjson"
	"github.com/wreg-project/wreg/signing"
)

// Types of predicates.
const (
	TypeProvenance   = "https://slsa.dev/provenance/v1"
	TypeCycloneDX    = "https://cyclonedx.org/bom"
	TypeSPDX         = "https://spdx.dev/Document"
	TypeVuln         = "https://cosign.sigstore.dev/attestation/vuln/v1"
	TypeOpenVEX      = "https://openvex.dev/ns"
	TypeSummary      = "https://slsa.dev/verification_summary/v1"
	TypeCapabilities = "https://wreg.dev/capabilities/v1"
	TypePromotion    = "https://wreg.dev/promotion/v1"
)

// ProgramURI names wreg and wpkg where a predicate says which program found
// something out.
const ProgramURI = "https://wreg.dev"

// Bounds of a predicate.
const (
	MaxPredicate = signing.MaxBundle/2 - 64<<10 // bytes; the statement around it has room for the rest
	maxDepth     = 128
	maxObjects   = 1 << 17
	maxSubjects  = 64
)

// ErrFormat is of what is no predicate of its type, or no statement. What is larger
// than this package reads is signing.ErrLimit.
var ErrFormat = errors.New("not a valid attestation")

// A name is what people call a type of predicate.
type name struct {
	short, uri string
	versions   bool     // "/v…" behind the URI is a version of the same
	also       []string // what cosign calls it
}

// names is the one table of short names. cosign's slsaprovenance is version 0.2 of
// the predicate, which nobody writes any more; here it is version 1.
var names = []name{
	{short: "slsaprovenance", uri: TypeProvenance, also: []string{"slsaprovenance1"}},
	{short: "slsaprovenance02", uri: "https://slsa.dev/provenance/v0.2"},
	{short: "cyclonedx", uri: TypeCycloneDX, versions: true},
	{short: "spdx", uri: TypeSPDX, versions: true, also: []string{"spdxjson"}},
	{short: "vuln", uri: TypeVuln},
	{short: "openvex", uri: TypeOpenVEX, versions: true},
	{short: "vsa", uri: TypeSummary},
	{short: "capabilities", uri: TypeCapabilities},
	{short: "promotion", uri: TypePromotion},
}

// Name is the short name of a type of predicate, or the type itself if it has
// none. Versions that some tools add, "https://spdx.dev/Document/v2.3", have the
// name of the rest.
func Name(predicateType string) string {
	for _, n := range names {
		if n.is(predicateType) {
			return n.short
		}
	}
	return predicateType
}

// Type is the type of predicate that has a short name, ours or cosign's. A URI is
// its own type. The error says which names there are.
func Type(name string) (string, error) {
	for _, n := range names {
		if n.short == name || slices.Contains(n.also, name) {
			return n.uri, nil
		}
	}
	if u, err := url.Parse(name); err == nil && u.IsAbs() && (u.Host != "" || u.Opaque != "") {
		return name, nil
	}
	return "", fmt.Errorf("%.80q is neither a type of attestation (%s) nor a URI", name, strings.Join(Names(), ", "))
}

// Names are the short names.
func Names() []string {
	list := make([]string, len(names))
	for i, n := range names {
		list[i] = n.short
	}
	return list
}

func (n name) is(predicateType string) bool {
	rest, ok := strings.CutPrefix(predicateType, n.uri)
	return ok && (rest == "" || n.versions && strings.HasPrefix(rest, "/v"))
}

// known is the type without a version, as the constants have it.
func known(predicateType string) string {
	for _, n := range names {
		if n.is(predicateType) {
			return n.uri
		}
	}
	return predicateType
}

// Of makes the statement of a predicate in JSON that was made elsewhere. It is held
// against the format of its type as [Read] does; of a type that this package does
// not know it has to be a JSON object.
func Of(predicateType string, predicate []byte, subjects ...signing.Subject) (signing.Statement, error) {
	_, err := Read(predicateType, predicate)
	if isStatement(predicate) {
		err = fmt.Errorf("%s: %w: it is a whole statement, and only its predicate is wanted", Name(predicateType), ErrFormat)
	}
	if err != nil {
		return signing.Statement{}, err
	}
	return statement(predicateType, json.RawMessage(predicate), subjects)
}

// isStatement reports whether what should be a predicate has a statement around it.
func isStatement(text []byte) bool {
	var whole struct {
		Type string `json:"_type"`
	}
	return len(text) <= MaxPredicate && json.Unmarshal(text, &whole) == nil && strings.HasPrefix(whole.Type, "https://in-toto.io/Statement/")
}

// statement puts a predicate, which marshals to JSON, into a statement.
func statement(predicateType string, predicate any, subjects []signing.Subject) (signing.Statement, error) {
	if err := checkSubjects(subjects); err != nil {
		return signing.Statement{}, err
	}
	raw, err := json.Marshal(predicate)
	if err != nil {
		return signing.Statement{}, fmt.Errorf("%s: %w: %w", Name(predicateType), ErrFormat, err)
	}
	if len(raw) > MaxPredicate {
		return signing.Statement{}, tooLarge(predicateType, len(raw))
	}
	return signing.Statement{
		Type: signing.StatementType, Subject: subjects, PredicateType: predicateType, Predicate: json.RawMessage(raw),
	}, nil
}

func tooLarge(predicateType string, n int) error {
	return fmt.Errorf("%s: %w: %d bytes, and at most %d are taken", Name(predicateType), signing.ErrLimit, n, MaxPredicate)
}

// checkSubjects holds subjects to in-toto's rules for statements: there is one, and
// each has a digest (in-toto attestation framework, version 1, "Statement").
func checkSubjects(subjects []signing.Subject) error {
	if len(subjects) == 0 || len(subjects) > maxSubjects {
		return fmt.Errorf("%w: %d subjects; a statement has 1 to %d", ErrFormat, len(subjects), maxSubjects)
	}
	for i, s := range subjects {
		if err := checkDigests(s.Digest); err != nil {
			return fmt.Errorf("%w: subject %d: %w", ErrFormat, i, err)
		}
		if len(s.Digest) == 0 {
			return fmt.Errorf("%w: subject %d has no digest", ErrFormat, i)
		}
	}
	return nil
}

// decode reads a predicate into v, within bounds.
func decode(predicateType string, raw []byte, v any) error {
	if len(raw) > MaxPredicate {
		return tooLarge(predicateType, len(raw))
	}
	err := strictjson.Limits{Depth: maxDepth, Objects: maxObjects}.Decode(raw, v)
	switch {
	case errors.Is(err, strictjson.ErrLimit):
		return fmt.Errorf("%s: %w: %w", Name(predicateType), signing.ErrLimit, err)
	case err != nil:
		return fmt.Errorf("%s: %w: %w", Name(predicateType), ErrFormat, err)
	}
	return nil
}

// object reports whether JSON is an object.
func object(raw []byte) bool {
	raw = bytes.TrimLeft(raw, " \t\r\n")
	return len(raw) > 0 && raw[0] == '{'
}
