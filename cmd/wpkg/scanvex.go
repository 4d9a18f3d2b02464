package main

import (
	"cmp"
	"context"
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
	Source        string            `json:"source"` // the file, or the digest of the document

	// Attached says that the document is attached to the package: whoever may push
	// there made it.
	Attached bool `json:"attached,omitempty"`

	believed bool // what it states counts
}

// dismisses reports whether a finding does not count by the statement.
func (s *statement) dismisses() bool {
	return s != nil && s.believed && s.harmless()
}

// harmless reports whether the statement is that nothing is to be feared.
func (s *statement) harmless() bool { return s.Status == vex.NotAffected || s.Status == vex.Fixed }

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
type statements struct {
	docs []*vexDocument

	// attached says that what is attached to packages counts as well.
	attached bool
}

// vexAttached is the --vex of what is attached to packages.
const vexAttached = "attached"

// readStatements reads VEX documents from files.
func readStatements(files []string) (*statements, error) {
	s := &statements{}
	for _, file := range files {
		if file == vexAttached {
			s.attached = true
			continue
		}
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

// apply gives the findings in a binary with what is stated about them: by the
// documents that the user named, and where those say nothing, by what is attached
// to the package. Statements may name the binary by products and digests.
func (s *statements) apply(products, digests []string, found []scan.Finding, more *attached.Attachments) []scanFinding {
	asked := make([]vex.Finding, len(found))
	for i, f := range found {
		asked[i] = vex.Finding{IDs: f.Names(), Products: products, SHA256: digests, Component: f.PURL}
	}
	own, theirs := statedBy(asked, s.docs), statedBy(asked, attachedVEX(more))
	out := make([]scanFinding, len(found))
	for i, f := range found {
		out[i].Finding = f
		switch {
		case own[i] != nil:
			out[i].Statement, own[i].believed = own[i], true
		case theirs[i] != nil:
			out[i].Statement, theirs[i].believed, theirs[i].Attached = theirs[i], s.attached, true
		}
		if own[i] == nil {
			s.miss(f)
		}
	}
	return out
}

// statedBy gives for each finding the statement that holds for it, nil without
// one.
func statedBy(asked []vex.Finding, docs []*vexDocument) []*statement {
	list := make([]*vex.Document, len(docs))
	from := map[*vex.Statement]*vexDocument{}
	for i, d := range docs {
		list[i] = d.Document
		for j := range d.Statements {
			from[&d.Statements[j]] = d
		}
	}
	out := make([]*statement, len(asked))
	for i, st := range vex.Apply(asked, list...) {
		if st == nil {
			continue
		}
		d := from[st]
		d.used = true
		out[i] = &statement{Status: st.Status, Justification: st.Justification, Text: st.Text, Author: d.Author, Source: d.source}
	}
	return out
}

// attachedVEX are the VEX documents of a package that can be read.
func attachedVEX(a *attached.Attachments) (docs []*vexDocument) {
	if a == nil {
		return nil
	}
	for _, v := range a.VEX {
		if v.Document != nil {
			docs = append(docs, &vexDocument{Document: v.Document, source: v.Blob.String()})
		}
	}
	return docs
}

// attached reads what publishers attached to the package that a binary is of, nil
// for a file. That it cannot be read is no reason not to scan: without it there
// is more to find and not less.
func (t *tool) attached(ctx context.Context, f *wasmFile) (*attached.Attachments, error) {
	if f.from == nil {
		return nil, nil
	}
	a, err := attached.Read(ctx, f.from, f.from.desc, attached.Limits{})
	if err != nil {
		if ctx.Err() != nil {
			return nil, err
		}
		t.warn("%s: what is attached to it cannot be read: %s", f.name, message(err))
		return nil, nil
	}
	for _, p := range a.Problems() {
		t.warn("%s: attached %s: %s", f.name, cmp.Or(p.Blob, p.Referrer), p.Text)
	}
	if a.Omitted != "" {
		t.warn("%s: %s", f.name, a.Omitted)
	}
	return a, nil
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

func (s *scanned) digests() []string { return digestsOf(s.SHA256, s.Digest) }

// digestsOf are those that statements may name a binary by: of the file, and of the
// manifest of its package, which is "" if there is none.
func digestsOf(file, manifest string) []string {
	out := []string{file}
	if sum, ok := strings.CutPrefix(manifest, "sha256:"); ok {
		out = append(out, sum)
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
