// Package declared makes a [sbom.Document] of the entries of somebody else's
// bill of materials, whatever format it had.
//
// Nothing in such a file is trusted: the readers bound its bytes, depth and
// counts by [Limits] before they decode it, and names and versions pass through
// an evidence.Collector, which refuses what cannot be one.
package declared

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"

	packageurl "github.com/package-url/packageurl-go"

	"github.com/wreg-project/wreg/internal/strictjson"
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

func (l Limits) defaults() Limits {
	l.MaxBytes = cmp.Or(l.MaxBytes, 16<<20)
	l.MaxDepth = cmp.Or(l.MaxDepth, 256)
	l.MaxObjects = cmp.Or(l.MaxObjects, 1<<18)
	return l
}

// ReadAll reads the file whole, without a byte order mark, or fails with
// ErrLimit. It gives the limits with their defaults.
func (l Limits) ReadAll(r io.Reader) ([]byte, Limits, error) {
	l = l.defaults()
	data, err := io.ReadAll(io.LimitReader(r, l.MaxBytes+1))
	if err != nil {
		return nil, l, fmt.Errorf("read bill of materials: %w", err)
	}
	if int64(len(data)) > l.MaxBytes {
		return nil, l, fmt.Errorf("%w: more than %d bytes", ErrLimit, l.MaxBytes)
	}
	return bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")), l, nil
}

// DecodeJSON decodes a whole file into v, as package strictjson does within the
// limits.
func (l Limits) DecodeJSON(data []byte, v any) error {
	l = l.defaults()
	err := strictjson.Limits{Depth: l.MaxDepth, Objects: l.MaxObjects}.Decode(data, v)
	switch {
	case errors.Is(err, strictjson.ErrLimit):
		return fmt.Errorf("%w: %w", ErrLimit, err)
	case err != nil:
		return fmt.Errorf("%w: %w", ErrFormat, err)
	}
	return nil
}

// First is the first byte of a file that is no white space, 0 if there is none: it
// tells JSON and XML from each other and from text.
func First(data []byte) byte {
	if data = bytes.TrimLeft(data, " \t\r\n"); len(data) > 0 {
		return data[0]
	}
	return 0
}

// An Entry is one package that a bill of materials lists.
type Entry struct {
	Ref                  string // by which the file's relations name it
	PURL                 string
	Group, Name, Version string
	Licenses             []string // as stated; those that are no SPDX expression are left out
	Checksum             string

	// What only our own files say. A Class that nobody could declare is found from the
	// version.
	Ecosystem   evidence.Ecosystem
	Class       evidence.Class
	Part        string
	Requirement string
}

// A Relation says that the entry From requires the entry To.
type Relation struct{ From, To string }

// Document puts entries together. Those without a usable name are left out, and
// so are relations of such. The same package listed twice is one component.
func Document(subject sbom.Subject, entries iter.Seq[Entry], relations iter.Seq[Relation]) *sbom.Document {
	var c evidence.Collector
	byRef := map[string]identity{}
	for e := range entries {
		found := e.component()
		c.Add(found)
		if _, taken := byRef[e.Ref]; e.Ref != "" && !taken {
			byRef[e.Ref] = identity{found.Ecosystem, found.Name, found.Version, found.Class, found.Part}
		}
	}
	list := c.Components()
	completeness := []sbom.Completeness{}
	if c.Full() {
		for _, found := range list {
			c.State(sbom.Completeness{Ecosystem: found.Ecosystem}) // for the reason it gets
		}
		completeness = c.Stated()
	}
	return &sbom.Document{
		SchemaVersion: sbom.SchemaVersion, MediaType: sbom.MediaType, Subject: subject,
		Root: &sbom.Unit{
			Kind: cmp.Or(subject.Kind, "module"), Components: list, Edges: edges(list, byRef, relations),
			Tools: []sbom.Tool{}, Completeness: completeness,
		},
	}
}

// Subject is what a bill of materials says that it is about. The kind is that of
// our own files, and sha256 a digest of the file in hexadecimal; what they cannot
// be is left out.
func Subject(name, version, kind, sha256 string) sbom.Subject {
	s := sbom.Subject{Name: evidence.Clean(name, evidence.MaxName), Version: evidence.Clean(version, evidence.MaxVersion)}
	if slices.Contains([]string{"module", "component", "wit-package"}, kind) {
		s.Kind = kind
	}
	sha256 = strings.ToLower(strings.TrimSpace(sha256))
	if sum, err := hex.DecodeString(sha256); err == nil && len(sum) == 32 {
		s.SHA256 = sha256
	}
	return s
}

// An identity tells a component from all others.
type identity struct {
	ecosystem     evidence.Ecosystem
	name, version string
	class         evidence.Class
	part          string
}

// in is the place of the component in a sorted list.
func (i identity) in(list []evidence.Component) (int, bool) {
	c := evidence.Component{Ecosystem: i.ecosystem, Name: i.name, Version: i.version, Class: i.class, Part: i.part}
	return slices.BinarySearchFunc(list, c, evidence.Compare)
}

// edges are the relations as places in the list, sorted and once each.
func edges(list []evidence.Component, byRef map[string]identity, relations iter.Seq[Relation]) []sbom.Edge {
	var all []sbom.Edge
	for r := range relations {
		from, ok := byRef[r.From]
		to, ok2 := byRef[r.To]
		if !ok || !ok2 {
			continue
		}
		i, found := from.in(list)
		j, found2 := to.in(list)
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
	if c.Class != evidence.Inferred && c.Class != evidence.Named {
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
