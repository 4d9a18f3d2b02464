// Package declared makes a [sbom.Document] of the entries of somebody else's
// bill of materials, whatever format it had.
//
// Nothing in such a file is trusted: the readers bound its bytes, depth and
// counts by [Limits] before they decode it, and names and versions pass through
// an evidence.Collector, which refuses what cannot be one.
package declared

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	packageurl "github.com/package-url/packageurl-go"

	"github.com/wreg-project/wreg/sbom"
	"github.com/wreg-project/wreg/sbom/evidence"
	"github.com/wreg-project/wreg/sbom/licence"
)

// Errors of the readers, wrapped with the place.
var (
	ErrLimit  = errors.New("bill of materials beyond a limit")
	ErrFormat = errors.New("not a bill of materials of this format")
)

// Limits bound what a reader takes. A zero field is its default.
type Limits struct {
	MaxBytes   int64 // of the file; default 16 MiB
	MaxDepth   int   // of nesting; default 256
	MaxObjects int   // JSON objects, XML elements or lines of tag-value; default 262,144
}

// Defaults fills the fields that are zero.
func (l Limits) Defaults() Limits {
	l.MaxBytes = cmp.Or(l.MaxBytes, 16<<20)
	l.MaxDepth = cmp.Or(l.MaxDepth, 256)
	l.MaxObjects = cmp.Or(l.MaxObjects, 1<<18)
	return l
}

// ReadAll reads the file whole, without a byte order mark, or fails with
// ErrLimit.
func (l Limits) ReadAll(r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, l.MaxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read bill of materials: %w", err)
	}
	if int64(len(data)) > l.MaxBytes {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrLimit, l.MaxBytes)
	}
	if len(data) >= 3 && string(data[:3]) == "\xef\xbb\xbf" {
		data = data[3:]
	}
	return data, nil
}

// CheckJSON refuses what would cost a decoder more than its bytes are worth:
// `[{},{},…]` grows a hundredfold. What is not JSON is left to the decoder.
func (l Limits) CheckJSON(data []byte) error {
	depth, objects, values, quoted := 0, 0, 0, false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			if depth++; depth > l.MaxDepth {
				return fmt.Errorf("byte %d: %w: more than %d deep", i, ErrLimit, l.MaxDepth)
			}
			if c == '{' {
				objects++
			}
		case c == '}' || c == ']':
			depth--
		case c == ',':
			values++
		}
		if objects > l.MaxObjects || values > 8*l.MaxObjects {
			return fmt.Errorf("byte %d: %w: more than %d objects or %d values", i, ErrLimit, l.MaxObjects, 8*l.MaxObjects)
		}
	}
	return nil
}

// An Entry is one package that a bill of materials lists.
type Entry struct {
	Ref                  string // by which the file's relations name it
	PURL                 string
	Group, Name, Version string
	Licenses             []string // as stated; those that are no SPDX expression are left out
	Checksum             string

	// What only our own files say. An empty Class is found from the version.
	Ecosystem   evidence.Ecosystem
	Class       evidence.Class
	Part        string
	Requirement string
}

// A Relation says that the entry From requires the entry To.
type Relation struct{ From, To string }

// Document puts entries together. Those without a usable name are left out, and
// so are relations of such. The same package listed twice is one component.
func Document(subject sbom.Subject, entries []Entry, relations []Relation) *sbom.Document {
	var c evidence.Collector
	byRef := make(map[string]evidence.Component, len(entries))
	for _, e := range entries {
		found := e.component()
		c.Add(found)
		if _, taken := byRef[e.Ref]; e.Ref != "" && !taken {
			byRef[e.Ref] = found
		}
	}
	list := c.Components()
	kind := cmp.Or(subject.Kind, "module")
	return &sbom.Document{
		SchemaVersion: sbom.SchemaVersion, MediaType: sbom.MediaType, Subject: subject,
		Root: &sbom.Unit{Kind: kind, Components: list, Edges: edges(list, byRef, relations), Tools: []sbom.Tool{}},
	}
}

// edges are the relations as places in the list, sorted and once each.
func edges(list []evidence.Component, byRef map[string]evidence.Component, relations []Relation) []sbom.Edge {
	var all []sbom.Edge
	for _, r := range relations {
		from, ok := byRef[r.From]
		to, ok2 := byRef[r.To]
		if !ok || !ok2 {
			continue
		}
		i, found := slices.BinarySearchFunc(list, from, evidence.Compare)
		j, found2 := slices.BinarySearchFunc(list, to, evidence.Compare)
		if found && found2 && i != j {
			all = append(all, sbom.Edge{From: i, To: j})
		}
	}
	slices.SortFunc(all, func(a, b sbom.Edge) int { return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To)) })
	return slices.Compact(all)
}

// maxPURL bounds a package URL in bytes; a longer one is not read.
const maxPURL = 4096

// component is the entry in our terms: the package URL counts where there is
// one, for it is the part of an entry that scanners agree on.
func (e Entry) component() evidence.Component {
	c := evidence.Component{
		Ecosystem: cmp.Or(e.Ecosystem, evidence.Generic), Name: e.Name, Version: e.Version, Class: e.Class,
		Part: e.Part, Requirement: e.Requirement, Checksum: e.Checksum,
		Evidence: []evidence.Evidence{{Method: evidence.Declaration, Offset: -1, Confidence: 1}},
	}
	if e.Group != "" {
		c.Name = e.Group + "/" + e.Name
	}
	identify(&c, e)
	if c.Class == "" {
		c.Class = evidence.Proven
		if c.Version == "" {
			c.Class = evidence.Named
		}
	}
	for _, l := range e.Licenses {
		if expression, err := licence.Normalise(l); err == nil {
			c.Licenses = append(c.Licenses, expression)
		}
	}
	return c
}

// identify sets what the package URL says of the component.
func identify(c *evidence.Component, e Entry) {
	if e.PURL == "" || len(e.PURL) > maxPURL {
		return
	}
	p, err := packageurl.FromString(e.PURL)
	if err != nil {
		return
	}
	c.Ecosystem = cmp.Or(e.Ecosystem, evidence.Ecosystem(p.Type))
	c.Version = cmp.Or(p.Version, e.Version)
	c.Name = p.Name
	if p.Namespace != "" {
		separator := "/"
		if c.Ecosystem == evidence.WIT {
			separator = ":"
		}
		c.Name = p.Namespace + separator + p.Name
	}
	source := strings.TrimPrefix(p.Qualifiers.Map()["vcs_url"], "git+")
	if at := strings.LastIndexByte(source, '@'); at >= 0 {
		c.Source, c.Commit = source[:at], source[at+1:]
	}
}
