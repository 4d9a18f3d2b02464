package vex

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// The JSON of CycloneDX 1.4 to 1.7, as far as it is VEX.
type (
	cdxDocument struct {
		Serial   string `json:"serialNumber"`
		Version  int    `json:"version"`
		Metadata struct {
			Time      *time.Time    `json:"timestamp"`
			Component *cdxComponent `json:"component"`
		} `json:"metadata"`
		Components      []*cdxComponent     `json:"components"`
		Vulnerabilities []*cdxVulnerability `json:"vulnerabilities"`
	}
	cdxComponent struct {
		Ref    string `json:"bom-ref"`
		Type   string `json:"type"`
		PURL   string `json:"purl"`
		Hashes []struct {
			Algorithm string `json:"alg"`
			Content   string `json:"content"`
		} `json:"hashes"`
		Components []*cdxComponent `json:"components"`
	}
	cdxVulnerability struct {
		ID         string `json:"id"`
		References []struct {
			ID string `json:"id"`
		} `json:"references"`
		Updated  *time.Time `json:"updated"`
		Analysis *struct {
			State         string     `json:"state"`
			Justification string     `json:"justification"`
			Detail        string     `json:"detail"`
			LastUpdated   *time.Time `json:"lastUpdated"`
			FirstIssued   *time.Time `json:"firstIssued"`
		} `json:"analysis"`
		Affects []struct {
			Ref string `json:"ref"`
		} `json:"affects"`
	}
)

// What states and justifications of CycloneDX are in OpenVEX. The justifications
// it has no word for are left out; their text remains.
var (
	cdxStates = map[string]Status{
		"resolved": Fixed, "resolved_with_pedigree": Fixed, "exploitable": Affected, "in_triage": Investigating,
		"false_positive": NotAffected, "not_affected": NotAffected,
	}
	cdxJustifications = map[string]Justification{
		"code_not_present": CodeNotPresent, "code_not_reachable": CodeNotInPath,
		"protected_by_mitigating_control": InlineMitigations, "protected_at_runtime": InlineMitigations,
		"protected_by_compiler": InlineMitigations, "protected_at_perimeter": NotControlled,
	}
)

func readCycloneDX(data []byte) (*Document, error) {
	var o cdxDocument
	if err := json.Unmarshal(data, &o); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	d := &Document{ID: clean(o.Serial), Version: o.Version, Time: latest(o.Metadata.Time)}
	byRef := map[string]Product{}
	var subject *Product
	if c := o.Metadata.Component; c != nil {
		p := c.product()
		byRef[c.Ref] = p
		subject = p.identified()
		addParts(byRef, c.Components, subject)
	}
	addParts(byRef, o.Components, subject)
	for i, v := range o.Vulnerabilities {
		if v == nil || v.Analysis == nil || v.Analysis.State == "" {
			continue
		}
		s := Statement{
			Vulnerability: clean(v.ID), Status: cdxStates[v.Analysis.State],
			Text: clean(v.Analysis.Detail), Time: latest(v.Analysis.LastUpdated, v.Analysis.FirstIssued, v.Updated),
		}
		if s.Status == NotAffected {
			s.Justification = cdxJustifications[v.Analysis.Justification]
		}
		if s.Time.IsZero() {
			s.Time = d.Time
		}
		if err := s.check(); err != nil {
			return nil, fmt.Errorf("%w: vulnerability %d: %w", ErrFormat, i, err)
		}
		for _, r := range v.References {
			s.Aliases = append(s.Aliases, clean(r.ID))
		}
		for _, a := range v.Affects {
			s.Products = append(s.Products, affected(byRef, a.Ref))
		}
		d.Statements = append(d.Statements, s)
	}
	return d, nil
}

// addParts adds components and those within them. What a document states of a part
// of its subject holds for that part of that subject, and for no other program
// that has the same component. Where a document has no subject, or one that can't
// be known again, the application around a component is taken for it.
func addParts(byRef map[string]Product, list []*cdxComponent, of *Product) {
	for _, c := range list {
		if c == nil {
			continue
		}
		p := c.product()
		within := of
		if of == nil {
			byRef[c.Ref] = p
			if c.Type == "application" {
				within = p.identified()
			}
		} else {
			byRef[c.Ref] = Product{ID: of.ID, PURL: of.PURL, SHA256: of.SHA256, Parts: []Product{p}}
		}
		addParts(byRef, c.Components, within)
	}
}

// identified is p if it can be known again by more than a reference within the
// document.
func (p Product) identified() *Product {
	if p.PURL == "" && p.SHA256 == "" && !strings.HasPrefix(p.ID, "pkg:") {
		return nil
	}
	return &p
}

// affected finds what a reference means: one of this document, or by a BOM-Link
// ("urn:cdx:serial/version#ref") one of another, whose references mostly are
// package URLs.
func affected(byRef map[string]Product, ref string) Product {
	if p, ok := byRef[ref]; ok {
		return p
	}
	if strings.HasPrefix(ref, "urn:cdx:") {
		if _, r, ok := strings.Cut(ref, "#"); ok {
			ref = r
		}
	}
	return Product{ID: clean(ref)}
}

func (c *cdxComponent) product() Product {
	p := Product{ID: clean(c.Ref), PURL: clean(c.PURL)}
	for _, h := range c.Hashes {
		if h.Algorithm == "SHA-256" {
			p.SHA256 = clean(h.Content)
		}
	}
	return p
}
