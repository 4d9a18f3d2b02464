// Package cyclonedx writes a bill of materials as CycloneDX 1.6 or 1.7, JSON or
// XML, and reads those of others.
//
// What is written keeps what is proven apart from what is not. A proven
// component has a package URL and scanners may match it. An inferred one has
// neither a version nor a package URL and is of scope "optional": nothing of it
// was found in the binary. A named one has no package URL. All have
// evidence with methods, confidence and places, and property.go lists the
// properties that say the rest.
//
// The components of a file stand in a tree: what is nested in it is a component
// of type "file" with components of its own. Compositions say of each whether
// its list is complete. Compilers and other tools of the build are under
// formulation and not among the components, for they are not in the binary.
//
// The same document and options give the same bytes.
package cyclonedx

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/google/uuid"

	"github.com/wreg-project/wreg/sbom"
	"github.com/wreg-project/wreg/sbom/evidence"
)

// Media types (specification, "Media Types").
const (
	MediaTypeJSON = "application/vnd.cyclonedx+json"
	MediaTypeXML  = "application/vnd.cyclonedx+xml"
)

// A Version is a version of the specification.
type Version string

// The versions that are written.
const (
	V1_6 Version = "1.6"
	V1_7 Version = "1.7"
)

// A Format is an encoding.
type Format string

// The formats.
const (
	JSON Format = "json"
	XML  Format = "xml"
)

// Options say how a bill of materials is written.
type Options struct {
	Version Version // V1_6 if empty, which more tools read
	Format  Format  // JSON if empty

	// ToolVersion is the version of wreg, kept under metadata.tools.
	ToolVersion string

	// Created is the time of metadata.timestamp, to the second. There is none if it
	// is zero, so that the same binary gives the same bytes at any time.
	Created time.Time
}

// ErrOption is an option that does not exist.
var ErrOption = errors.New("unknown version or format of CycloneDX")

var errNoRoot = errors.New("bill of materials without a root")

// Write writes the document.
func Write(w io.Writer, d *sbom.Document, o Options) error {
	bom, _, err := Build(d, o)
	if err != nil {
		return err
	}
	return Encode(w, bom, o.Format)
}

// Encode writes a bill of materials that [Build] made.
func Encode(w io.Writer, bom *cdx.BOM, f Format) error {
	format := cdx.BOMFileFormatJSON
	switch f {
	case XML:
		format = cdx.BOMFileFormatXML
	case JSON, "":
	default:
		return fmt.Errorf("format %q: %w", f, ErrOption)
	}
	var b bytes.Buffer
	if err := cdx.NewBOMEncoder(&b, format).SetPretty(true).Encode(bom); err != nil {
		return fmt.Errorf("encode CycloneDX: %w", err)
	}
	data := b.Bytes()
	if f == XML {
		data = repairOccurrences(data)
	}
	if _, err := w.Write(data); err != nil {
		return fmt.Errorf("write CycloneDX: %w", err)
	}
	return nil
}

// Refs are the bom-refs of the components of a document, by their place in it, for what else a bill of
// materials is to say of them, as vulnerabilities.
type Refs map[*evidence.Component]string

// Build makes the bill of materials that [Write] writes.
func Build(d *sbom.Document, o Options) (*cdx.BOM, Refs, error) {
	b := builder{bom: cdx.NewBOM(), refs: Refs{}, taken: map[string]int{}}
	switch o.Version {
	case V1_6, "":
		b.bom.SpecVersion = cdx.SpecVersion1_6
		b.bom.JSONSchema = "http://cyclonedx.org/schema/bom-1.6.schema.json"
		b.bom.XMLNS = "http://cyclonedx.org/schema/bom/1.6"
	case V1_7:
	default:
		return nil, nil, fmt.Errorf("version %q: %w", o.Version, ErrOption)
	}
	if d.Root == nil {
		return nil, nil, errNoRoot
	}
	serial, err := serialNumber(d, o.ToolVersion)
	if err != nil {
		return nil, nil, err
	}
	b.bom.SerialNumber = serial
	b.bom.Metadata = metadata(o)
	if err := b.file(d); err != nil {
		return nil, nil, err
	}
	return b.bom, b.refs, nil
}

// serialNumber derives the number from the subject, what is said of it and who
// says it: two files with one number say the same.
func serialNumber(d *sbom.Document, tool string) (string, error) {
	h := sha256.New()
	if err := json.NewEncoder(h).Encode(d); err != nil {
		return "", fmt.Errorf("serial number of the bill of materials: %w", err)
	}
	name := fmt.Sprintf("https://wreg.dev/sbom/%s/%s/%s", d.Subject.SHA256, tool, hex.EncodeToString(h.Sum(nil)))
	return uuid.NewSHA1(uuid.NameSpaceURL, []byte(name)).URN(), nil
}

func metadata(o Options) *cdx.Metadata {
	m := &cdx.Metadata{
		// Everything is found in the finished binary (specification,
		// metadata.lifecycles).
		Lifecycles: &[]cdx.Lifecycle{{Phase: cdx.LifecyclePhasePostBuild}},
		Tools: &cdx.ToolsChoice{Components: &[]cdx.Component{{
			Type: cdx.ComponentTypeApplication, Name: "wreg", Version: cleanVersion(o.ToolVersion),
		}}},
	}
	if !o.Created.IsZero() {
		m.Timestamp = o.Created.UTC().Format("2006-01-02T15:04:05Z")
	}
	return m
}
