package cyclonedx

import (
	"bytes"
	"cmp"
	"encoding/xml"
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

// Read reads the components that a CycloneDX file of any version declares, JSON
// or XML, as one list in the document's root: each has evidence of the method
// "declaration" and is proven in so far as it has a version, unless the file is
// one of ours and says otherwise. Components that are no software and those
// without a usable name are left out.
//
// Only what is wanted is decoded, by types of our own: other people's files have
// odd values in fields that do not matter here, and those of cyclonedx-go are an
// order of magnitude larger in memory.
func Read(r io.Reader, l Limits) (*sbom.Document, error) {
	data, l, err := l.ReadAll(r)
	if err != nil {
		return nil, err
	}
	var b bom
	switch declared.First(data) {
	case '{':
		err = b.fromJSON(data, l)
	case '<':
		err = b.fromXML(data, l)
	default:
		err = fmt.Errorf("%w: neither JSON nor XML", ErrFormat)
	}
	if err != nil {
		return nil, fmt.Errorf("read CycloneDX: %w", err)
	}
	return b.document(), nil
}

func (b *bom) fromJSON(data []byte, l Limits) error {
	if err := l.DecodeJSON(data, b); err != nil {
		return err
	}
	if b.BOMFormat != "CycloneDX" {
		return fmt.Errorf("%w: bomFormat is %.32q", ErrFormat, b.BOMFormat)
	}
	return nil
}

func (b *bom) fromXML(data []byte, l Limits) error {
	d := xml.NewTokenDecoder(&boundedXML{d: xml.NewDecoder(bytes.NewReader(data)), limits: l})
	if err := d.Decode(b); err != nil {
		return fmt.Errorf("%w: %w", ErrFormat, err)
	}
	if !strings.HasPrefix(b.XMLName.Space, "http://cyclonedx.org/schema/bom/") {
		return fmt.Errorf("%w: name space %.64q", ErrFormat, b.XMLName.Space)
	}
	return nil
}

// A boundedXML counts elements on their way to a decoder.
type boundedXML struct {
	d               *xml.Decoder
	limits          Limits
	depth, elements int
}

// Token implements xml.TokenReader.
func (b *boundedXML) Token() (xml.Token, error) {
	t, err := b.d.RawToken()
	if err != nil {
		return t, err
	}
	switch t := t.(type) {
	case xml.StartElement:
		b.depth++
		b.elements += 1 + len(t.Attr)/4
	case xml.EndElement:
		b.depth--
	}
	if b.depth > b.limits.MaxDepth || b.elements > b.limits.MaxObjects {
		return nil, fmt.Errorf("byte %d: %w: more than %d elements or %d deep",
			b.d.InputOffset(), ErrLimit, b.limits.MaxObjects, b.limits.MaxDepth)
	}
	return t, nil
}

// The parts of a file that are read. Names are those of JSON and XML. Lists that
// may be long are of pointers, as growing them is cheap then: what is null in a
// file is nil.
type (
	bom struct {
		XMLName   xml.Name `json:"-" xml:"bom"`
		BOMFormat string   `json:"bomFormat" xml:"-"`
		Metadata  struct {
			Component component `json:"component" xml:"component"`
		} `json:"metadata" xml:"metadata"`
		Components   []*component  `json:"components" xml:"components>component"`
		Dependencies []*dependency `json:"dependencies" xml:"dependencies>dependency"`
	}

	component struct {
		BOMRef     string       `json:"bom-ref" xml:"bom-ref,attr"`
		Type       string       `json:"type" xml:"type,attr"`
		Group      string       `json:"group" xml:"group"`
		Name       string       `json:"name" xml:"name"`
		Version    string       `json:"version" xml:"version"`
		PURL       string       `json:"purl" xml:"purl"`
		Hashes     []hash       `json:"hashes" xml:"hashes>hash"`
		Properties []property   `json:"properties" xml:"properties>property"`
		Components []*component `json:"components" xml:"components>component"`

		Choices  []choice     `json:"licenses" xml:"-"`
		Licenses *licensesXML `json:"-" xml:"licenses"`
	}

	licensesXML struct {
		Licenses    []license `xml:"license"`
		Expressions []string  `xml:"expression"`
	}

	choice struct {
		License    license `json:"license"`
		Expression string  `json:"expression"`
	}

	license struct {
		ID   string `json:"id" xml:"id"`
		Name string `json:"name" xml:"name"`
	}

	hash struct {
		Algorithm string `json:"alg" xml:"alg,attr"`
		Content   string `json:"content" xml:",chardata"`
	}

	property struct {
		Name  string `json:"name" xml:"name,attr"`
		Value string `json:"value" xml:",chardata"`
	}

	dependency struct {
		Ref       string       `json:"ref" xml:"ref,attr"`
		DependsOn []string     `json:"dependsOn" xml:"-"`
		Nested    []dependency `json:"-" xml:"dependency"`
	}
)

// document puts together what was decoded.
func (b *bom) document() *sbom.Document {
	m := &b.Metadata.Component
	sum := ""
	for _, h := range m.Hashes {
		if h.Algorithm == "SHA-256" {
			sum = h.Content
		}
	}
	entries := func(yield func(declared.Entry) bool) {
		_ = each(m.Components, yield) && each(b.Components, yield)
	}
	return declared.Document(declared.Subject(m.Name, m.Version, m.property(propKind), sum), entries, b.relations)
}

// each gives the software of a list and of what is nested in it, until yield has
// enough. The decoder has bounded the depth.
func each(list []*component, yield func(declared.Entry) bool) bool {
	for _, c := range list {
		if c == nil {
			continue
		}
		if slices.Contains(software, c.Type) && !yield(c.entry()) || !each(c.Components, yield) {
			return false
		}
	}
	return true
}

// software are the types of components that are listed; "" is of files that do
// without, against the schema.
var software = []string{"", "application", "framework", "library", "platform", "operating-system"}

func (c *component) entry() declared.Entry {
	e := declared.Entry{
		Ref: c.BOMRef, PURL: c.PURL, Group: c.Group, Name: c.Name, Version: c.Version,
		Checksum: c.property(propChecksum), Ecosystem: evidence.Ecosystem(c.property(propEcosystem)),
		Part: c.property(propPart), Requirement: c.property(propRequirement), Class: evidence.Class(c.property(propClass)),
	}
	e.PURL = cmp.Or(e.PURL, c.property(propPURL))
	for _, l := range c.Choices {
		e.Licenses = append(e.Licenses, cmp.Or(l.Expression, l.License.ID, l.License.Name))
	}
	if c.Licenses != nil {
		for _, l := range c.Licenses.Licenses {
			e.Licenses = append(e.Licenses, cmp.Or(l.ID, l.Name))
		}
		e.Licenses = append(e.Licenses, c.Licenses.Expressions...)
	}
	return e
}

// property is the value of the first property of the name.
func (c *component) property(name string) string {
	for _, p := range c.Properties {
		if p.Name == name {
			return strings.TrimSpace(p.Value)
		}
	}
	return ""
}

// relations gives the edges of the dependency graph. It may have cycles.
func (b *bom) relations(yield func(declared.Relation) bool) {
	for _, d := range b.Dependencies {
		if d == nil {
			continue
		}
		for _, to := range d.DependsOn {
			if !yield(declared.Relation{From: d.Ref, To: to}) {
				return
			}
		}
		for _, to := range d.Nested {
			if !yield(declared.Relation{From: d.Ref, To: to.Ref}) {
				return
			}
		}
	}
}
