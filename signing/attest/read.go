package attest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/wreg-project/wreg/sbom"
	"github.com/wreg-project/wreg/sbom/cyclonedx"
	"github.com/wreg-project/wreg/sbom/spdx"
	"github.com/wreg-project/wreg/sbom/vuln/vex"
	"github.com/wreg-project/wreg/signing"
)

// A View is a predicate as this package understands it. Of a type that it does not
// know all are nil. A CycloneDX predicate has a bill of materials, and statements
// about vulnerabilities as well if it makes any.
type View struct {
	SBOM         *sbom.Document
	VEX          *vex.Document
	Provenance   *Provenance
	Scan         *Scan
	Summary      *Summary
	Capabilities *Capabilities
	Promotion    *Promotion
}

// Read reads a predicate. That it can be read says nothing of its truth: whose word
// it is, is for the signature to tell. Errors are ErrFormat and signing.ErrLimit.
func Read(predicateType string, raw []byte) (*View, error) {
	if len(raw) > MaxPredicate {
		return nil, tooLarge(predicateType, len(raw))
	}
	switch known(predicateType) {
	case TypeCycloneDX:
		return readCycloneDX(raw)
	case TypeSPDX:
		return readSPDX(raw)
	case TypeOpenVEX:
		return readVEX(raw)
	case TypeProvenance:
		p, err := readTyped[Provenance](predicateType, raw)
		return &View{Provenance: p}, err
	case TypeVuln:
		s, err := readTyped[Scan](predicateType, raw)
		return &View{Scan: s}, err
	case TypeSummary:
		s, err := readTyped[Summary](predicateType, raw)
		return &View{Summary: s}, err
	case TypeCapabilities:
		c, err := readTyped[Capabilities](predicateType, raw)
		return &View{Capabilities: c}, err
	case TypePromotion:
		p, err := readTyped[Promotion](predicateType, raw)
		return &View{Promotion: p}, err
	}
	var any map[string]json.RawMessage
	if err := decode(predicateType, raw, &any); err != nil {
		return nil, err
	}
	if !object(raw) {
		return nil, fmt.Errorf("%s: %w: it is no JSON object", Name(predicateType), ErrFormat)
	}
	return &View{}, nil
}

// readTyped reads a predicate of which we have a type, and holds it to its rules.
func readTyped[T any, P interface {
	*T
	check() error
}](predicateType string, raw []byte,
) (*T, error) {
	var v T
	if err := decode(predicateType, raw, &v); err != nil {
		return nil, err
	}
	return &v, P(&v).check()
}

func readCycloneDX(raw []byte) (*View, error) {
	var v View
	if !object(raw) {
		return nil, fmt.Errorf("cyclonedx: %w: it is no JSON object", ErrFormat)
	}
	var err error
	if v.SBOM, err = cyclonedx.Read(bytes.NewReader(raw), cyclonedx.Limits{}); err != nil {
		return nil, document("cyclonedx", err, cyclonedx.ErrLimit)
	}
	if bytes.Contains(raw, []byte(`"vulnerabilities"`)) {
		if v.VEX, err = vex.Read(raw); err != nil {
			return nil, document("cyclonedx", err, vex.ErrLimit)
		}
		if len(v.VEX.Statements) == 0 {
			v.VEX = nil
		}
	}
	return &v, nil
}

// readSPDX reads a document. cosign writes one that it is given as "spdx" as a
// text, which may be tag-value or JSON.
func readSPDX(raw []byte) (*View, error) {
	text := raw
	if !object(raw) {
		var s string
		if err := decode(TypeSPDX, raw, &s); err != nil {
			return nil, err
		}
		text = []byte(s)
	}
	d, err := spdx.Read(bytes.NewReader(text), spdx.Limits{})
	if err != nil {
		return nil, document("spdx", err, spdx.ErrLimit)
	}
	return &View{SBOM: d}, nil
}

func readVEX(raw []byte) (*View, error) {
	d, err := vex.Read(raw)
	if err != nil {
		return nil, document("openvex", err, vex.ErrLimit)
	}
	return &View{VEX: d}, nil
}

// document makes the error of a reader of documents one of ours.
func document(name string, err, limit error) error {
	if errors.Is(err, limit) {
		return fmt.Errorf("%s: %w: %w", name, signing.ErrLimit, err)
	}
	return fmt.Errorf("%s: %w: %w", name, ErrFormat, err)
}
