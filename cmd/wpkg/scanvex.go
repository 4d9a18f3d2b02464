package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	packageurl "github.com/package-url/packageurl-go"

	"github.com/wreg-project/wreg/registry/attached"
	"github.com/wreg-project/wreg/sbom"
	"github.com/wreg-project/wreg/sbom/vuln/scan"
	"github.com/wreg-project/wreg/sbom/vuln/vex"
)

// A statement is what a VEX document says of a finding.
type statement struct {
	Status        vex.Status        `json:"status"`
	Justification vex.Justification `json:"justification,omitempty"`
	Text          string            `json:"text,omitempty"`
	Author        string            `json:"author,omitempty"`
	Source        string            `json:"source"` // the file, or the referrer's digest
}

// dismisses reports whether a finding does not count by the statement.
func (s *statement) dismisses() bool {
	return s != nil && (s.Status == vex.NotAffected || s.Status == vex.Fixed)
}

// status is the status in words.
func (s *statement) status() string { return strings.ReplaceAll(string(s.Status), "_", " ") }

// by says who made the statement.
func (s *statement) by() string { return cmp.Or(s.Author, s.Source) }

// A vexDocument is a VEX document and where it is from.
type vexDocument struct {
	*vex.Document
	source string

	// missed is a vulnerability that was found and is stated about other products
	// only, which is how most documents fail.
	missed string
	used   bool
}

// statements are VEX documents.
type statements struct{ docs []*vexDocument }

// readStatements reads VEX documents from files.
func readStatements(files []string) (*statements, error) {
	s := &statements{}
	for _, file := range files {
		data, err := readVEX(file)
		if err != nil {
			return nil, err
		}
		d, err := vex.Read(data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		s.docs = append(s.docs, &vexDocument{Document: d, source: file})
	}
	return s, nil
}

// readVEX reads a file, up to one byte more than package vex takes, so that it is
// package vex that says how many those are.
func readVEX(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, vex.MaxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return data, nil
}

// apply gives the findings in a binary with what is stated about them.
func (s *statements) apply(in *scanned, found []scan.Finding) []scanFinding {
	asked := make([]vex.Finding, len(found))
	for i, f := range found {
		asked[i] = vex.Finding{IDs: f.Names(), Products: in.products, SHA256: in.digests(), Component: f.PURL}
	}
	docs := make([]*vex.Document, len(s.docs))
	from := map[*vex.Statement]*vexDocument{}
	for i, d := range s.docs {
		docs[i] = d.Document
		for j := range d.Statements {
			from[&d.Statements[j]] = d
		}
	}
	out := make([]scanFinding, len(found))
	for i, st := range vex.Apply(asked, docs...) {
		out[i].Finding = found[i]
		if st == nil {
			s.miss(found[i])
			continue
		}
		d := from[st]
		d.used = true
		out[i].Statement = &statement{
			Status: st.Status, Justification: st.Justification, Text: st.Text, Author: d.Author, Source: d.source,
		}
	}
	return out
}

// miss notes documents that state something of a vulnerability, but not of where
// it was found.
func (s *statements) miss(f scan.Finding) {
	for _, d := range s.docs {
		if d.missed != "" || d.used {
			continue
		}
		for i := range d.Statements {
			st := &d.Statements[i]
			if id := slices.IndexFunc(f.Names(), func(id string) bool { return id == st.Vulnerability || slices.Contains(st.Aliases, id) }); id >= 0 {
				d.missed = f.Names()[id]
				break
			}
		}
	}
}

// warn says which documents are about other products.
func (s *statements) warn(t *tool) {
	for _, d := range s.docs {
		if d.missed != "" && !d.used {
			t.warn("%s: what it states of %s and others is about none of what was scanned; products are known by "+
				"the file's SHA-256 or a package URL", d.source, d.missed)
		}
	}
}

// productsOf gives the package URLs that a statement may name a binary by: as a
// file with its checksum, as a package of a registry, and as the modules that it
// is the program of. The first is the most exact one.
func productsOf(f *wasmFile, d *sbom.Document) []string {
	sum := packageurl.Qualifiers{{Key: "checksum", Value: "sha256:" + d.Subject.SHA256}}
	file := packageurl.NewPackageURL("generic", "", filepath.Base(f.name), d.Subject.Version, sum, "").ToString()
	var out []string
	if f.from != nil {
		out = f.from.subject().PURLs()
	}
	out = append(out, file)
	for _, c := range d.All() {
		if c.Main {
			out = append(out, c.PURL())
		}
	}
	return out
}

// subject is the package as statements may name it.
func (s *selection) subject() attached.Subject {
	out := attached.Subject{Manifest: s.desc.Digest, Repository: strings.TrimPrefix(s.ref.Host+"/"+s.ref.Repository, "/")}
	if s.tag != "" {
		out.Tags = []string{s.tag}
	}
	return out
}

// digests are those that statements may name a binary by: of the file, and of the
// manifest of its package.
func (s *scanned) digests() []string {
	out := []string{s.SHA256}
	if manifest, ok := strings.CutPrefix(s.Digest, "sha256:"); ok {
		out = append(out, manifest)
	}
	return out
}

// writeOpenVEX states, for who scans these binaries elsewhere, what cannot be
// exploited in them because the affected code cannot run, and how that is known.
// What may run is for people to judge, so nothing is stated about it.
func (s *scanner) writeOpenVEX(w io.Writer, items []scanned) error {
	d := &vex.Document{Author: s.flags.author, Time: s.created}
	for _, one := range items {
		d.Statements = append(d.Statements, one.ruledOutStatements()...)
	}
	if len(d.Statements) == 0 {
		s.warn("nothing is ruled out, so the document states nothing")
	}
	return vex.Write(w, d)
}

// ruledOutStatements are about the findings that are ruled out in all modules that
// have the component: a statement cannot tell them apart.
func (s *scanned) ruledOutStatements() []vex.Statement {
	type key struct{ id, purl string }
	var order []key
	groups := map[key][]scanFinding{}
	for _, f := range s.all {
		k := key{f.ID, f.PURL}
		if groups[k] == nil {
			order = append(order, k)
		}
		groups[k] = append(groups[k], f)
	}
	var out []vex.Statement
	for _, k := range order {
		if slices.ContainsFunc(groups[k], func(f scanFinding) bool { return !f.ruledOut() }) {
			continue
		}
		out = append(out, s.ruledOutStatement(groups[k]))
	}
	return out
}

func (s *scanned) ruledOutStatement(group []scanFinding) vex.Statement {
	f := group[0]
	st := vex.Statement{
		Vulnerability: f.ID, Aliases: f.Aliases, Status: vex.NotAffected, Justification: vex.CodeNotPresent,
		Products: []vex.Product{{
			ID: s.products[0], PURL: s.products[0], SHA256: s.SHA256, Parts: []vex.Product{{ID: f.PURL, PURL: f.PURL}},
		}},
	}
	var reasons []string
	for _, f := range group {
		if j, _ := vex.RuledOut(f.Reach); j == vex.CodeNotInPath { // the weaker of the two holds for all
			st.Justification = j
		}
		if reason := ruledOutReason(f.Finding); !slices.Contains(reasons, reason) {
			reasons = append(reasons, reason)
		}
	}
	st.Text = strings.Join(reasons[:min(len(reasons), maxReasons)], "; ")
	return st
}

// Bounds of the evidence in a statement.
const (
	maxReasons = 8
	maxLooked  = 12
)

// ruledOutReason says how it is known that affected code cannot run.
func ruledOutReason(f scan.Finding) string {
	text := f.Reach.Reason
	if f.Unit != "" {
		text = f.Unit + ": " + text
	}
	var looked []string
	for _, a := range f.Affected {
		for _, im := range a.Imports {
			if len(im.Symbols) == 0 {
				looked = append(looked, im.Path)
			}
			for _, symbol := range im.Symbols {
				looked = append(looked, im.Path+"."+symbol)
			}
		}
		looked = append(looked, a.Functions...)
	}
	looked = slices.Compact(slices.Sorted(slices.Values(looked)))
	if n := len(looked); n > maxLooked {
		looked = append(looked[:maxLooked], fmt.Sprintf("%d more", n-maxLooked))
	}
	if len(looked) > 0 {
		text += "; looked for " + strings.Join(looked, ", ")
	}
	return text
}
