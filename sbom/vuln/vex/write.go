package vex

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Write writes a document in OpenVEX 0.2.0. The same statements give the same
// bytes, in whatever order they come; without an ID the document gets one that
// is a digest of its contents.
func Write(w io.Writer, d *Document) error {
	at := d.Time.UTC().Truncate(time.Second)
	o := openDocument{
		Context: openVEX + "/v0.2.0", ID: d.ID, Author: d.Author, Time: &at, Version: max(d.Version, 1), Statements: []*openStatement{},
	}
	for _, s := range d.Statements {
		if err := s.check(); err != nil {
			return fmt.Errorf("statement about %.60q: %w", s.Vulnerability, err)
		}
		o.Statements = append(o.Statements, s.open(d.Time))
	}
	slices.SortStableFunc(o.Statements, func(a, b *openStatement) int {
		return cmp.Or(strings.Compare(a.Vulnerability.Name, b.Vulnerability.Name), slices.CompareFunc(a.Products, b.Products, compareProducts),
			cmp.Compare(a.Status, b.Status), cmp.Compare(a.Justification, b.Justification), cmp.Compare(a.Impact, b.Impact))
	})
	if o.ID == "" {
		body, err := encode(o)
		if err != nil {
			return err
		}
		o.ID = fmt.Sprintf("https://openvex.dev/docs/public/vex-%x", sha256.Sum256(body))
	}
	body, err := encode(o)
	if err != nil {
		return err
	}
	_, err = w.Write(body)
	return err
}

func encode(o openDocument) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(o); err != nil {
		return nil, fmt.Errorf("VEX document: %w", err)
	}
	return b.Bytes(), nil
}

func compareProducts(a, b *openProduct) int {
	return cmp.Or(strings.Compare(a.ID, b.ID), strings.Compare(a.Identifiers["purl"], b.Identifiers["purl"]),
		strings.Compare(a.Hashes["sha-256"], b.Hashes["sha-256"]), slices.CompareFunc(a.Parts, b.Parts, compareProducts))
}

// open gives the statement in JSON, with a time of its own if that is not the
// document's.
func (s *Statement) open(of time.Time) *openStatement {
	o := &openStatement{
		Vulnerability: openVulnerability{Name: s.Vulnerability, Aliases: slices.Sorted(slices.Values(s.Aliases))},
		Status:        s.Status, Justification: s.Justification,
	}
	switch s.Status {
	case NotAffected:
		o.Impact = s.Text
	case Affected:
		o.Action = cmp.Or(s.Text, "No action statement provided") // OpenVEX requires one
	default:
		o.Notes = s.Text
	}
	if !s.Time.IsZero() && !s.Time.Equal(of) {
		at := s.Time.UTC().Truncate(time.Second)
		o.Time = &at
	}
	for _, p := range s.Products {
		o.Products = append(o.Products, p.open())
	}
	slices.SortFunc(o.Products, compareProducts)
	return o
}

func (p Product) open() *openProduct {
	o := &openProduct{ID: p.ID}
	if p.PURL != "" {
		o.Identifiers = map[string]string{"purl": p.PURL}
	}
	if p.SHA256 != "" {
		o.Hashes = map[string]string{"sha-256": p.SHA256}
	}
	for _, part := range p.Parts {
		o.Parts = append(o.Parts, part.open())
	}
	slices.SortFunc(o.Parts, compareProducts)
	return o
}
