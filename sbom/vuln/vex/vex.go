// Package vex reads and writes what people and tools say about vulnerabilities
// of products: statements of the Vulnerability Exploitability eXchange.
//
// [Read] takes OpenVEX 0.2.0 documents and the vulnerabilities of CycloneDX
// ones, [Apply] finds the statement that holds for a finding, [Write] writes
// OpenVEX, and [RuledOut] turns an answer of package reach into what may be
// stated. The package reads the formats by itself: the library of OpenVEX brings
// YAML, CSAF and protocol buffers into the binary.
package vex

import (
	"errors"
	"slices"
	"strings"
	"time"

	packageurl "github.com/package-url/packageurl-go"

	"github.com/wreg-project/wreg/sbom/vuln/reach"
)

// Errors of reading, usually wrapped; test with [errors.Is].
var (
	ErrFormat = errors.New("not a VEX document")
	ErrLimit  = errors.New("VEX document exceeds a limit")
)

// What a document may have at most.
const (
	MaxBytes   = 8 << 20 // of a file
	MaxObjects = 1 << 17 // objects and lists in it, and elements of those
	maxText    = 4096    // bytes kept of a text
)

// A Status is what a statement says of products.
type Status string

// The statuses of OpenVEX.
const (
	NotAffected   Status = "not_affected"
	Affected      Status = "affected"
	Fixed         Status = "fixed"
	Investigating Status = "under_investigation"
)

// A Justification says why products are not affected.
type Justification string

// The justifications of OpenVEX.
const (
	ComponentNotPresent Justification = "component_not_present"
	CodeNotPresent      Justification = "vulnerable_code_not_present"
	CodeNotInPath       Justification = "vulnerable_code_not_in_execute_path"
	NotControlled       Justification = "vulnerable_code_cannot_be_controlled_by_adversary"
	InlineMitigations   Justification = "inline_mitigations_already_exist"
)

// A Document is a list of statements by one author.
type Document struct {
	ID         string
	Author     string
	Version    int
	Time       time.Time // of the last change
	Statements []Statement
}

// A Statement says something of products and one vulnerability.
type Statement struct {
	Vulnerability string   // its main name
	Aliases       []string // other names
	Products      []Product
	Status        Status
	Justification Justification // of NotAffected, may be missing
	Text          string        // why not affected, or what to do
	Time          time.Time     // that of the document if it has none
}

// A Product is a file, package or image that a statement is about.
type Product struct {
	ID     string // an IRI; often a package URL
	PURL   string
	SHA256 string // hexadecimal

	// Parts restrict a statement to components of the product, if there are any.
	Parts []Product
}

// A Finding is a vulnerability that was found in something.
type Finding struct {
	IDs       []string // of the vulnerability, aliases included
	Products  []string // package URLs of what it was found in: the file, the package
	SHA256    []string // of the same: the file, the manifest; hexadecimal
	Component string   // package URL of the component that has it
}

// Apply gives for each finding the statement that holds for it, the latest of
// those that match, nil without one. Of statements of one time the last counts,
// in the order of the documents. A statement about the component itself, as its
// own author makes them, matches as one about the product does.
func Apply(findings []Finding, docs ...*Document) []*Statement {
	byID := map[string][]*Statement{}
	for _, d := range docs {
		for i := range d.Statements {
			s := &d.Statements[i]
			for _, id := range slices.Compact(slices.Sorted(slices.Values(append([]string{s.Vulnerability}, s.Aliases...)))) {
				byID[id] = append(byID[id], s)
			}
		}
	}
	found := make([]*Statement, len(findings))
	for i, f := range findings {
		for _, id := range f.IDs {
			for _, s := range byID[id] {
				if (found[i] == nil || !s.Time.Before(found[i].Time)) && s.about(f) {
					found[i] = s
				}
			}
		}
	}
	return found
}

// about reports whether a product of the statement is that of the finding.
func (s *Statement) about(f Finding) bool {
	return slices.ContainsFunc(s.Products, func(p Product) bool {
		if p.is(f.Component) {
			return true
		}
		same := slices.ContainsFunc(f.SHA256, p.has) || slices.ContainsFunc(f.Products, p.is)
		return same && (len(p.Parts) == 0 || slices.ContainsFunc(p.Parts, func(c Product) bool { return c.is(f.Component) }))
	})
}

// has reports whether the product has a digest: as its hash, or as the version in
// its name ("example.org/app@sha256:…", "pkg:oci/app@sha256%3A…"), whatever else
// the name says, since a copy elsewhere is the same.
func (p Product) has(sha256 string) bool {
	if sha256 == "" {
		return false
	}
	if p.SHA256 != "" {
		return strings.EqualFold(p.SHA256, sha256)
	}
	for _, s := range [...]string{p.PURL, p.ID} {
		s, _, _ = strings.Cut(s, "?")
		at := strings.LastIndexByte(s, '@')
		version := strings.ToLower(s[at+1:])
		for _, algorithm := range [...]string{"sha256:", "sha256%3a"} {
			if hex, ok := strings.CutPrefix(version, algorithm); ok && at > 0 && strings.EqualFold(hex, sha256) {
				return true
			}
		}
	}
	return false
}

// is reports whether the product is what a package URL names. One without a
// version stands for all versions, and qualifiers that it has must be the same.
func (p Product) is(purl string) bool {
	if purl == "" {
		return false
	}
	for _, s := range [...]string{p.PURL, p.ID} {
		if s != "" && (s == purl || strings.HasPrefix(s, "pkg:") && purlMatches(s, purl)) {
			return true
		}
	}
	return false
}

func purlMatches(pattern, purl string) bool {
	a, err := packageurl.FromString(pattern)
	if err != nil {
		return false
	}
	b, err := packageurl.FromString(purl)
	if err != nil || a.Type != b.Type || a.Namespace != b.Namespace || a.Name != b.Name ||
		a.Version != "" && a.Version != b.Version || a.Subpath != "" && a.Subpath != b.Subpath {
		return false
	}
	have := b.Qualifiers.Map()
	for k, v := range a.Qualifiers.Map() {
		if have[k] != v {
			return false
		}
	}
	return true
}

// RuledOut gives the justification of a statement that a product is not affected,
// if the answer of package reach rules that out for certain.
func RuledOut(r reach.Result) (Justification, bool) {
	switch {
	case !r.Conclusive:
		return "", false
	case r.Level == reach.Present, r.Level == reach.Linked:
		return CodeNotPresent, true
	case r.Level == reach.SymbolLinked:
		return CodeNotInPath, true
	}
	return "", false
}
