package spdx

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/wreg-project/wreg/sbom"
	"github.com/wreg-project/wreg/sbom/evidence"
	"github.com/wreg-project/wreg/sbom/internal/declared"
)

// Limits bound what Read takes; a zero field is its default.
type Limits = declared.Limits

// Errors of Read, wrapped with the place in the input.
var (
	ErrLimit  = declared.ErrLimit
	ErrFormat = declared.ErrFormat
)

// Read reads the packages that an SPDX 2 file declares, JSON or tag-value, as
// one list in the document's root: each has evidence of the method "declaration"
// and is proven in so far as it has a version, unless the file is one of ours
// and says otherwise. The package that the file describes is the subject; tools,
// plain files and packages without a usable name are left out.
//
// Only what is wanted is decoded, by types of our own: the readers of
// tools-golang panic on a null among the packages and take time in the square of
// a long text.
func Read(r io.Reader, l Limits) (*sbom.Document, error) {
	data, l, err := l.ReadAll(r)
	if err != nil {
		return nil, err
	}
	var d document
	if declared.First(data) == '{' {
		err = l.DecodeJSON(data, &d)
		d.Packages = slices.DeleteFunc(d.Packages, func(p *pkg) bool { return p == nil })
		d.Relationships = slices.DeleteFunc(d.Relationships, func(r *relationship) bool { return r == nil })
	} else {
		err = d.fromTagValue(string(data), l)
	}
	if err == nil && !strings.HasPrefix(d.Version, "SPDX-2.") {
		err = fmt.Errorf("%w: version is %.32q, want SPDX-2", ErrFormat, d.Version)
	}
	if err != nil {
		return nil, fmt.Errorf("read SPDX: %w", err)
	}
	return d.sbom(), nil
}

// The parts of a file that are read. Lists that may be long are of pointers, as
// growing them is cheap then.
type (
	document struct {
		Version       string          `json:"spdxVersion"`
		Describes     []string        `json:"documentDescribes"`
		Packages      []*pkg          `json:"packages"`
		Relationships []*relationship `json:"relationships"`
	}

	pkg struct {
		ID        string        `json:"SPDXID"`
		Name      string        `json:"name"`
		Version   string        `json:"versionInfo"`
		Declared  string        `json:"licenseDeclared"`
		Concluded string        `json:"licenseConcluded"`
		Comment   string        `json:"comment"`
		Purpose   string        `json:"primaryPackagePurpose"`
		External  []externalRef `json:"externalRefs"`
		Checksums []checksum    `json:"checksums"`
	}

	externalRef struct {
		Type    string `json:"referenceType"`
		Locator string `json:"referenceLocator"`
	}

	checksum struct {
		Algorithm string `json:"algorithm"`
		Value     string `json:"checksumValue"`
	}

	relationship struct {
		From string `json:"spdxElementId"`
		Kind string `json:"relationshipType"`
		To   string `json:"relatedSpdxElement"`
	}
)

// sbom puts together what was decoded.
func (d *document) sbom() *sbom.Document {
	described, left := d.outside()
	subject := sbom.Subject{}
	for _, p := range d.Packages {
		if p.ID == described && described != "" {
			subject = p.subject()
			left[p.ID] = true
		}
	}
	entries := func(yield func(declared.Entry) bool) {
		for _, p := range d.Packages {
			if p.Purpose != "FILE" && !left[p.ID] && !yield(p.entry()) {
				return
			}
		}
	}
	return declared.Document(subject, entries, d.relations)
}

// outside tells what is no component: the one package that the file describes,
// "" if it describes several, and tools.
func (d *document) outside() (subject string, left map[string]bool) {
	left = map[string]bool{}
	described := slices.Clone(d.Describes)
	for _, r := range d.Relationships {
		switch r.Kind {
		case "DESCRIBES":
			described = append(described, r.To)
		case "DESCRIBED_BY":
			described = append(described, r.From)
		case "BUILD_TOOL_OF", "DEV_TOOL_OF", "TEST_TOOL_OF":
			left[r.From] = true
		}
	}
	slices.Sort(described)
	if described = slices.Compact(described); len(described) == 1 {
		subject = described[0]
	}
	return subject, left
}

func (p *pkg) subject() sbom.Subject {
	sum := ""
	for _, c := range p.Checksums {
		if c.Algorithm == "SHA256" {
			sum = c.Value
		}
	}
	return declared.Subject(p.Name, p.Version, p.line(lineKind), sum)
}

func (p *pkg) entry() declared.Entry {
	e := declared.Entry{
		Ref: p.ID, Name: p.Name, Version: p.Version, PURL: p.line(linePURL), Checksum: p.line(lineChecksum),
		Ecosystem: evidence.Ecosystem(p.line(lineEcosystem)), Part: p.line(linePart), Requirement: p.line(lineRequirement),
		Class: evidence.Class(p.line(lineClass)),
	}
	if e.Version == noAssertion {
		e.Version = ""
	}
	for _, x := range p.External {
		if x.Type == "purl" {
			e.PURL = x.Locator
			break
		}
	}
	for _, l := range []string{p.Concluded, p.Declared} {
		if l != "" && l != noAssertion && l != "NONE" {
			e.Licenses = []string{l}
		}
	}
	return e
}

// line is the value of a line for programs in the comment.
func (p *pkg) line(name string) string {
	for l := range strings.Lines(p.Comment) {
		if value, ok := strings.CutPrefix(l, name+"="); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// relations gives the edges of the dependency graph. It may have cycles.
func (d *document) relations(yield func(declared.Relation) bool) {
	for _, r := range d.Relationships {
		var edge declared.Relation
		switch {
		case r.Kind == "DEPENDS_ON":
			edge = declared.Relation{From: r.From, To: r.To}
		case strings.HasSuffix(r.Kind, "DEPENDENCY_OF"): // also RUNTIME_DEPENDENCY_OF and its like
			edge = declared.Relation{From: r.To, To: r.From}
		default:
			continue
		}
		if !yield(edge) {
			return
		}
	}
}

// fromTagValue reads the lines of a tag-value file. Tags that are not wanted are
// passed over, with their texts.
func (d *document) fromTagValue(s string, l Limits) error {
	var p *pkg // in whose section we are
	for number := 1; s != ""; number++ {
		if number > l.MaxObjects {
			return fmt.Errorf("%w: more than %d tags", ErrLimit, l.MaxObjects)
		}
		var line string
		line, s, _ = strings.Cut(s, "\n")
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		tag, value, ok := strings.Cut(line, ":")
		if !ok {
			return fmt.Errorf("%w: tag %d, %.64q: no colon", ErrFormat, number, line)
		}
		value = strings.TrimSpace(value)
		if text, ok := strings.CutPrefix(value, "<text>"); ok {
			if value, s, ok = closeText(text, s); !ok {
				return fmt.Errorf("%w: tag %d, %.64q: its text has no end", ErrFormat, number, tag)
			}
		}
		p = d.tag(p, tag, value)
	}
	return nil
}

// closeText reads a text to its end, which is in its first line or in what
// follows, and skips the rest of the line.
func closeText(first, rest string) (text, after string, ok bool) {
	const end = "</text>"
	if text, _, ok = strings.Cut(first, end); ok {
		return text, rest, true
	}
	more, rest, ok := strings.Cut(rest, end)
	_, after, _ = strings.Cut(rest, "\n")
	return first + "\n" + more, after, ok
}

// tag takes one tag in and gives the package to which the following belong.
func (d *document) tag(p *pkg, tag, value string) *pkg {
	switch tag {
	case "SPDXVersion":
		d.Version = value
		return p
	case "PackageName":
		p = &pkg{Name: value}
		d.Packages = append(d.Packages, p)
		return p
	case "FileName", "SnippetSPDXID", "LicenseID":
		return nil
	case "Relationship":
		if f := strings.Fields(value); len(f) == 3 {
			d.Relationships = append(d.Relationships, &relationship{f[0], f[1], f[2]})
		}
		return p
	}
	if p != nil {
		p.tag(tag, value)
	}
	return p
}

func (p *pkg) tag(tag, value string) {
	switch tag {
	case "SPDXID":
		p.ID = cmp.Or(p.ID, value)
	case "PackageVersion":
		p.Version = value
	case "PackageLicenseDeclared":
		p.Declared = value
	case "PackageLicenseConcluded":
		p.Concluded = value
	case "PackageComment":
		p.Comment = value
	case "PrimaryPackagePurpose":
		p.Purpose = value
	case "ExternalRef":
		if f := strings.Fields(value); len(f) == 3 {
			p.External = append(p.External, externalRef{f[1], f[2]})
		}
	case "PackageChecksum":
		if algorithm, sum, ok := strings.Cut(value, ":"); ok {
			p.Checksums = append(p.Checksums, checksum{strings.TrimSpace(algorithm), strings.TrimSpace(sum)})
		}
	}
}
