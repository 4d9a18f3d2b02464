// Package spdx writes a bill of materials as SPDX 2.3, JSON or tag-value, and
// reads those of others.
//
// The file, each module or component nested in it, and each find is a package.
// What is proven is CONTAINED and has its package URL as an external reference,
// by which scanners match it. What is inferred has neither version nor package
// URL, and the file DEPENDS_ON it. Evidence, completeness and what SPDX has no
// field for are in comments; lines "io.wreg:name=value" there are for programs
// and have the names of the properties that sbom/cyclonedx writes.
//
// The same document and options give the same bytes.
package spdx

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/google/uuid"
	spdxjson "github.com/spdx/tools-golang/json"
	"github.com/spdx/tools-golang/spdx/v2/common"
	"github.com/spdx/tools-golang/spdx/v2/v2_3"
	"github.com/spdx/tools-golang/tagvalue"

	"github.com/wreg-project/wreg/sbom"
)

// Media types (IANA).
const (
	MediaTypeJSON     = "application/spdx+json"
	MediaTypeTagValue = "text/spdx"
)

// A Format is an encoding.
type Format string

// The formats.
const (
	JSON     Format = "json"
	TagValue Format = "tag-value"
)

// Options say how a bill of materials is written.
type Options struct {
	Format Format // JSON if empty

	// ToolVersion is the version of wreg, kept among the creators.
	ToolVersion string

	// Created is the time of creation, to the second. SPDX wants one; if it is zero,
	// it is the start of 1970, so that the same binary gives the same bytes.
	Created time.Time
}

// ErrOption is an option that does not exist.
var ErrOption = errors.New("unknown format of SPDX")

var errNoRoot = errors.New("bill of materials without a root")

// Write writes the document.
func Write(w io.Writer, d *sbom.Document, o Options) error {
	doc, err := Build(d, o)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	switch o.Format {
	case JSON, "":
		err = spdxjson.Write(doc, &b, spdxjson.Indent("  "))
	case TagValue:
		err = tagvalue.Write(doc, &b)
	default:
		return fmt.Errorf("format %q: %w", o.Format, ErrOption)
	}
	if err != nil {
		return fmt.Errorf("encode SPDX: %w", err)
	}
	if _, err := w.Write(b.Bytes()); err != nil {
		return fmt.Errorf("write SPDX: %w", err)
	}
	return nil
}

// Build makes the SPDX document that [Write] writes.
func Build(d *sbom.Document, o Options) (*v2_3.Document, error) {
	if d.Root == nil {
		return nil, errNoRoot
	}
	namespace, err := namespace(d, o.ToolVersion)
	if err != nil {
		return nil, err
	}
	created := o.Created
	if created.IsZero() {
		created = time.Unix(0, 0)
	}
	b := builder{taken: map[string]int{}, doc: &v2_3.Document{
		SPDXVersion: v2_3.Version, DataLicense: v2_3.DataLicense, SPDXIdentifier: "DOCUMENT",
		DocumentName: orUnnamed(d.Subject.Name), DocumentNamespace: namespace,
		CreationInfo: &v2_3.CreationInfo{
			Created:  created.UTC().Format("2006-01-02T15:04:05Z"),
			Creators: []common.Creator{{CreatorType: "Tool", Creator: clean("wreg-" + orUnknown(o.ToolVersion))}},
		},
	}}
	if err := b.file(d); err != nil {
		return nil, err
	}
	return b.doc, nil
}

// namespace derives the document's own address from the subject, what is said of
// it and who says it: two documents with one address say the same.
func namespace(d *sbom.Document, tool string) (string, error) {
	h := sha256.New()
	if err := json.NewEncoder(h).Encode(d); err != nil {
		return "", fmt.Errorf("name space of the bill of materials: %w", err)
	}
	id := uuid.NewSHA1(uuid.NameSpaceURL, append(h.Sum([]byte(d.Subject.SHA256+"/"+tool+"/")), "/spdx"...))
	return "https://wreg.dev/spdx/" + id.String(), nil
}
