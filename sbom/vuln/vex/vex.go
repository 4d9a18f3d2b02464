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
	"time"

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
	MaxDepth   = 64      // of its nesting
	MaxObjects = 1 << 17 // objects in it
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
