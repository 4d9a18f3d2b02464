package vex

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/wreg-project/wreg/sbom/evidence"
	"github.com/wreg-project/wreg/sbom/internal/declared"
)

// Read reads an OpenVEX or CycloneDX document in JSON. Texts are cut and
// cleaned. A statement with a status or products that mean nothing is an error
// in OpenVEX; a vulnerability of CycloneDX without an analysis states nothing
// and is left out.
func Read(data []byte) (*Document, error) {
	if len(data) > MaxBytes {
		return nil, fmt.Errorf("%w: %d bytes, more than %d", ErrLimit, len(data), MaxBytes)
	}
	var head struct {
		Context   json.RawMessage `json:"@context"`
		BOMFormat string          `json:"bomFormat"`
	}
	limits := declared.Limits{MaxDepth: MaxDepth, MaxObjects: MaxObjects}
	if err := limits.DecodeJSON(data, &head); err != nil {
		if errors.Is(err, declared.ErrLimit) {
			return nil, fmt.Errorf("%w: %w", ErrLimit, err)
		}
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	var context string
	switch {
	case head.BOMFormat == "CycloneDX":
		return readCycloneDX(data)
	case json.Unmarshal(head.Context, &context) == nil && strings.HasPrefix(context, openVEX):
		return readOpenVEX(data)
	}
	return nil, fmt.Errorf("%w: neither OpenVEX nor CycloneDX", ErrFormat)
}

const openVEX = "https://openvex.dev/ns"

// The JSON of OpenVEX 0.2.0.
type (
	openDocument struct {
		Context    string           `json:"@context"`
		ID         string           `json:"@id"`
		Author     string           `json:"author"`
		Time       *time.Time       `json:"timestamp"`
		Updated    *time.Time       `json:"last_updated,omitempty"`
		Version    int              `json:"version"`
		Tooling    string           `json:"tooling,omitempty"`
		Statements []*openStatement `json:"statements"`
	}
	openStatement struct {
		Vulnerability openVulnerability `json:"vulnerability"`
		Time          *time.Time        `json:"timestamp,omitempty"`
		Updated       *time.Time        `json:"last_updated,omitempty"`
		Products      []*openProduct    `json:"products"`
		Status        Status            `json:"status"`
		Justification Justification     `json:"justification,omitempty"`
		Impact        string            `json:"impact_statement,omitempty"`
		Action        string            `json:"action_statement,omitempty"`
		Notes         string            `json:"status_notes,omitempty"`
	}
	openVulnerability struct {
		ID      string   `json:"@id,omitempty"`
		Name    string   `json:"name"`
		Aliases []string `json:"aliases,omitempty"`
	}
	openProduct struct {
		ID          string            `json:"@id,omitempty"`
		Hashes      map[string]string `json:"hashes,omitempty"`
		Identifiers map[string]string `json:"identifiers,omitempty"`
		Parts       []*openProduct    `json:"subcomponents,omitempty"`
	}
)

func readOpenVEX(data []byte) (*Document, error) {
	var o openDocument
	if err := json.Unmarshal(data, &o); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	d := &Document{ID: clean(o.ID), Author: clean(o.Author), Version: o.Version, Time: latest(o.Updated, o.Time)}
	for i, s := range o.Statements {
		if s == nil {
			return nil, fmt.Errorf("%w: statement %d is null", ErrFormat, i)
		}
		st := Statement{
			Vulnerability: clean(s.Vulnerability.Name), Status: s.Status, Justification: s.Justification,
			Text: clean(first(s.Impact, s.Action, s.Notes)), Time: latest(s.Updated, s.Time),
		}
		if st.Vulnerability == "" {
			st.Vulnerability = clean(s.Vulnerability.ID)
		}
		if st.Time.IsZero() {
			st.Time = d.Time
		}
		if err := st.check(); err != nil {
			return nil, fmt.Errorf("%w: statement %d: %w", ErrFormat, i, err)
		}
		for _, a := range s.Vulnerability.Aliases {
			st.Aliases = append(st.Aliases, clean(a))
		}
		for _, p := range s.Products {
			if p != nil {
				st.Products = append(st.Products, p.product(true))
			}
		}
		d.Statements = append(d.Statements, st)
	}
	return d, nil
}

func (s *Statement) check() error {
	switch s.Status {
	case NotAffected, Affected, Fixed, Investigating:
	default:
		return fmt.Errorf("status %.40q", s.Status)
	}
	switch s.Justification {
	case "", ComponentNotPresent, CodeNotPresent, CodeNotInPath, NotControlled, InlineMitigations:
	default:
		return fmt.Errorf("justification %.60q", s.Justification)
	}
	if s.Vulnerability == "" {
		return fmt.Errorf("no vulnerability")
	}
	return nil
}

// product reads a product; its parts have none of their own.
func (o *openProduct) product(whole bool) Product {
	p := Product{ID: clean(o.ID), PURL: clean(o.Identifiers["purl"]), SHA256: clean(o.Hashes["sha-256"])}
	if whole {
		for _, part := range o.Parts {
			if part != nil {
				p.Parts = append(p.Parts, part.product(false))
			}
		}
	}
	return p
}

// clean makes a text from outside fit to be kept.
func clean(s string) string { return evidence.Clean(s, maxText) }

func first(texts ...string) string {
	for _, s := range texts {
		if s != "" {
			return s
		}
	}
	return ""
}

// latest gives the first time there is, in UTC.
func latest(times ...*time.Time) time.Time {
	for _, t := range times {
		if t != nil && !t.IsZero() {
			return t.UTC()
		}
	}
	return time.Time{}
}
