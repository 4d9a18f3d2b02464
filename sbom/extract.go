package sbom

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/wreg-project/wreg/inspect/origin"
	"github.com/wreg-project/wreg/inspect/wasm"
	"github.com/wreg-project/wreg/sbom/crates"
	"github.com/wreg-project/wreg/sbom/evidence"
	"github.com/wreg-project/wreg/sbom/golang"
	"github.com/wreg-project/wreg/sbom/managed"
	"github.com/wreg-project/wreg/sbom/native"
	"github.com/wreg-project/wreg/sbom/rust"
	"github.com/wreg-project/wreg/sbom/script"
)

// extractors are the packages that look at a core module, and at the custom
// sections of a component, in the order of their ecosystems. Each adds to the list
// what it finds and knows nothing of the others.
var extractors = []func(*wasm.Binary, *evidence.Collector){
	golang.Extract,
	managed.Extract,
	native.Extract,
	rust.Extract,
	script.Extract,
}

// What a hostile file may make of a document.
const (
	MaxUnits = 4096    // modules and components of a document; Unit.Omitted counts the rest
	MaxTotal = 1 << 16 // components of a document; a unit that is cut is complete for nothing
	MaxTools = 64      // of a unit
)

// ErrNotParsed is the error of Extract for a binary without its bytes.
var ErrNotParsed = errors.New("binary was not parsed from memory")

// Options say what a document cannot know from the file.
type Options struct {
	// Name and Version are those of the subject: of the package, or the file.
	// Without a version it is the one that the file's own metadata has.
	Name    string
	Version string

	// SHA256 is the hash of the file in hexadecimal, for who has it already; it is
	// computed if it is "".
	SHA256 string
}

// Extract derives the bill of materials of a file from its bytes. b must come from
// [wasm.Parse]; the error is ErrNotParsed otherwise. The same bytes and options
// give the same document, byte for byte in its JSON form.
func Extract(b *wasm.Binary, o Options) (*Document, error) {
	file := b.Bytes(b.Offset, b.Size)
	if file == nil {
		return nil, fmt.Errorf("bill of materials of %s: %w", o.Name, ErrNotParsed)
	}
	x := &extraction{units: MaxUnits, components: MaxTotal}
	d := &Document{SchemaVersion: SchemaVersion, MediaType: MediaType, Subject: subject(b, o), Root: x.tree(b)}
	if d.Subject.SHA256 == "" {
		sum := sha256.Sum256(file)
		d.Subject.SHA256 = hex.EncodeToString(sum[:])
	}
	return d, nil
}

// maxField bounds a text of the author in bytes.
const maxField = 4096

func subject(b *wasm.Binary, o Options) Subject {
	m := &b.Metadata
	s := Subject{
		Name: o.Name, Version: o.Version, SHA256: o.SHA256, Kind: kind(b), Size: b.Size,
		Metadata: Metadata{
			Authors: field(m.Authors), Description: field(m.Description), Licenses: field(m.Licenses),
			Source: field(m.Source), Homepage: field(m.Homepage), Revision: field(m.Revision),
		},
	}
	if s.Version == "" {
		s.Version = evidence.Clean(strings.TrimSpace(m.Version), evidence.MaxVersion)
	}
	return s
}

func field(s string) string { return evidence.Clean(strings.TrimSpace(s), maxField) }

// kind is the kind of a file.
func kind(b *wasm.Binary) string {
	if isPackage(b) {
		return "wit-package"
	}
	return b.Kind.String()
}

// An extraction is what is left of the bounds of one document.
type extraction struct {
	units, components int
}

// tree makes the units of b and of what is nested in it. Outer ones come first,
// so that a bound cuts what lies deepest; wasm.MaxNesting bounds the depth.
func (x *extraction) tree(b *wasm.Binary) *Unit {
	root := &Unit{}
	type task struct {
		b    *wasm.Binary
		unit *Unit
		top  bool
	}
	queue := []task{{b, root, true}}
	x.units--
	for len(queue) > 0 {
		t := queue[0]
		queue = queue[1:]
		x.fill(t.unit, t.b, t.top)
		if t.b.Component == nil {
			continue
		}
		for n, nested := range inside(t.b) {
			if x.units == 0 {
				t.unit.Omitted++
				continue
			}
			x.units--
			u := &Unit{Path: strings.TrimPrefix(t.unit.Path+"/"+n, "/")}
			t.unit.Units = append(t.unit.Units, u)
			queue = append(queue, task{nested, u, false})
		}
	}
	return root
}

// inside gives the modules and components of a component with their places in its
// path.
func inside(b *wasm.Binary) func(func(string, *wasm.Binary) bool) {
	return func(yield func(string, *wasm.Binary) bool) {
		for i, m := range b.Component.Modules {
			if !yield(fmt.Sprintf("module[%d]", i), m) {
				return
			}
		}
		for i, c := range b.Component.Components {
			if !yield(fmt.Sprintf("component[%d]", i), c) {
				return
			}
		}
	}
}

// fill looks at one module or component. What a module in a component imports is
// what the component gives it, so only that of a module by itself is listed.
func (x *extraction) fill(u *Unit, b *wasm.Binary, top bool) {
	u.Kind, u.Name = b.Kind.String(), evidence.Clean(b.Metadata.Name, evidence.MaxName)
	u.Offset, u.Size = b.Offset, b.Size
	c := &evidence.Collector{}
	var from *origin.Origin
	if b.Module != nil {
		from = origin.Detect(b)
	}
	for _, extract := range extractors {
		extract(b, c)
	}
	if b.Component != nil || top {
		interfaces(b, c)
	}
	u.Components = infer(b, c.Components())
	cut := c.Full() || len(u.Components) > x.components
	u.Components = u.Components[:min(len(u.Components), x.components)]
	x.components -= len(u.Components)
	u.Edges = edges(u.Components, rust.Edges(b))
	u.Tools = tools(b, from)
	u.Completeness = completeness(u.Components, c.Stated(), from, cut)
}

// infer adds the crates that those of a list need. A list of cargo-auditable has
// them already.
func infer(b *wasm.Binary, list []evidence.Component) []evidence.Component {
	if slices.ContainsFunc(list, auditable) {
		return list
	}
	more := crates.Infer(list, crates.PlatformsOf(b))
	if len(more) == 0 {
		return list
	}
	list = append(list, more...)
	slices.SortFunc(list, evidence.Compare)
	return list
}

// auditable reports whether a component comes from a list of all crates.
func auditable(c evidence.Component) bool {
	return slices.ContainsFunc(c.Evidence, func(e evidence.Evidence) bool { return e.Method == evidence.Auditable })
}

// edges are the dependencies that components name by package URL, and those that
// a list of cargo-auditable states.
func edges(components []evidence.Component, stated []rust.Edge) []Edge {
	var list []Edge
	at := byPURL(components)
	add := func(by string, to int) {
		for _, from := range at[by] {
			if from != to {
				list = append(list, Edge{From: from, To: to})
			}
		}
	}
	for to, c := range components {
		for _, by := range c.RequiredBy {
			add(by, to)
		}
	}
	for _, e := range stated {
		for _, to := range at[e.To.PURL()] {
			add(e.From.PURL(), to)
		}
	}
	slices.SortFunc(list, Edge.compare)
	return slices.Compact(list)
}

// byPURL gives the indices of what is proven or inferred. Copies that have no
// releases of their own require nothing that is known.
func byPURL(components []evidence.Component) map[string][]int {
	at := make(map[string][]int, len(components))
	for i, c := range components {
		if c.Part == "" && c.Class != evidence.Named {
			purl := c.PURL()
			at[purl] = append(at[purl], i)
		}
	}
	return at
}

// lebString is a name as the binary format has it, after its length.
func lebString(s string) []byte {
	return append(binary.AppendUvarint(nil, uint64(len(s))), s...)
}

// search finds entries of a kind of section one after the other.
type search struct {
	b       *wasm.Binary
	id      byte
	section int
	from    int
}

// next gives the offset in the file of an entry with a name, looking from the one
// before on, so that all of a list take one pass; -1 if it is not there.
func (s *search) next(name string) int64 {
	want := lebString(name)
	for i := s.section; i < len(s.b.Sections); i++ {
		sec := s.b.Sections[i]
		if sec.ID != s.id {
			continue
		}
		from := 0
		if i == s.section {
			from = s.from
		}
		if at := bytes.Index(s.b.Bytes(sec.Body, sec.Size)[from:], want); at >= 0 {
			s.section, s.from = i, from+at+len(want)
			return sec.Body + int64(from+at)
		}
	}
	s.section = len(s.b.Sections) // an entry in another form; stop looking
	return -1
}
