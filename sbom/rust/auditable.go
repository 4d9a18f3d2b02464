package rust

import (
	"bytes"
	"compress/zlib"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/wreg-project/wreg/inspect/wasm"
	"github.com/wreg-project/wreg/sbom/evidence"
)

// Names of the section in which cargo-auditable puts the list, and in which its
// first releases put it.
const (
	sectionList       = ".dep-v0"
	sectionListLegacy = ".rust-deps-v0"
)

// What a list may have. Real ones have a few hundred packages, some ten
// dependencies each, and compress five to one.
const (
	// MaxList is the most bytes that an embedded list may have unpacked.
	MaxList = 8 << 20

	// maxRatio bounds what a list unpacks to by its own size: a file may hold
	// many modules, each with a list.
	maxRatio = 32

	maxPackages     = evidence.MaxComponents
	maxDependencies = 1 << 18 // of all packages together
)

// Errors of ReadAuditable, usually wrapped; test with [errors.Is].
var (
	ErrNoList = errors.New("no list of cargo-auditable")
	ErrLimit  = errors.New("more than a list may have")
	ErrGraph  = errors.New("not a graph of dependencies")
)

// An Auditable is the list of packages that cargo-auditable has embedded: every
// one that took part in the build, complete.
type Auditable struct {
	Section string // its name
	Offset  int64  // of the contents, bytes from the start of the file

	Packages []Package
}

// A Package is one package of an embedded list (cargo-auditable, "auditable
// schema").
type Package struct {
	Name    string `json:"name"`
	Version string `json:"version"`

	// Source is "crates.io", "git", "local", or whatever else cargo-auditable
	// writes of other registries.
	Source string `json:"source"`

	// Kind is "build" of what only the build ran, such as procedural macros;
	// otherwise "runtime" or "".
	Kind string `json:"kind"`

	// Dependencies are indices into the list.
	Dependencies []int `json:"dependencies"`

	Root bool `json:"root"` // it is the program itself
}

// Build reports whether only the build needed the package, so that nothing of it
// is in the program.
func (p *Package) Build() bool { return p.Kind == "build" }

// component is the package as Extract adds it.
func (p *Package) component() evidence.Component {
	c := evidence.Component{Ecosystem: evidence.Cargo, Name: p.Name, Version: p.Version, Class: evidence.Proven, Main: p.Root}
	if p.Source != "crates.io" && p.Source != "CratesIo" {
		c.Source = p.Source
	}
	return c
}

// ReadAuditable gives the list that cargo-auditable has embedded in b itself,
// ErrNoList if there is none. One that unpacks to more than MaxList bytes or has
// too many entries is ErrLimit, and one whose dependencies lead nowhere or in a
// circle is ErrGraph.
func ReadAuditable(b *wasm.Binary) (*Auditable, error) {
	for _, name := range [...]string{sectionList, sectionListLegacy} {
		for _, s := range b.Sections {
			if s.ID != wasm.SectionCustom || s.Name != name {
				continue
			}
			list, err := readList(b.Bytes(s.Body, s.Size))
			if err != nil {
				return nil, fmt.Errorf("section %s at byte %d: %w", s.Name, s.Body, err)
			}
			return &Auditable{Section: s.Name, Offset: s.Body, Packages: list}, nil
		}
	}
	return nil, ErrNoList
}

// readList reads the contents of a section: JSON, packed by zlib.
func readList(packed []byte) ([]Package, error) {
	z, err := zlib.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("unpack: %w", err)
	}
	defer z.Close()
	room := min(MaxList, int64(len(packed))*maxRatio)
	text := &io.LimitedReader{R: z, N: room + 1}
	list, err := decodeList(json.NewDecoder(text))
	if text.N <= 0 {
		return nil, fmt.Errorf("%d bytes: %w", room, ErrLimit)
	}
	if err != nil {
		return nil, err
	}
	return list, checkGraph(list)
}

// decodeList reads the object of the list one package at a time, so that the
// bounds hold before memory is used.
func decodeList(d *json.Decoder) ([]Package, error) {
	if err := expect(d, '{'); err != nil {
		return nil, err
	}
	var list []Package
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, fmt.Errorf("read the list: %w", err)
		}
		if key != "packages" || list != nil {
			var other json.RawMessage
			if err := d.Decode(&other); err != nil {
				return nil, fmt.Errorf("read the list: %w", err)
			}
			continue
		}
		if list, err = decodePackages(d); err != nil {
			return nil, err
		}
	}
	return list, expect(d, '}')
}

func decodePackages(d *json.Decoder) ([]Package, error) {
	if err := expect(d, '['); err != nil {
		return nil, err
	}
	list, dependencies := []Package{}, 0
	for d.More() {
		if len(list) == maxPackages {
			return nil, fmt.Errorf("%d packages: %w", maxPackages, ErrLimit)
		}
		var p Package
		if err := d.Decode(&p); err != nil {
			return nil, fmt.Errorf("read package %d: %w", len(list), err)
		}
		if dependencies += len(p.Dependencies); dependencies > maxDependencies {
			return nil, fmt.Errorf("%d dependencies: %w", maxDependencies, ErrLimit)
		}
		list = append(list, p)
	}
	return list, expect(d, ']')
}

func expect(d *json.Decoder, want json.Delim) error {
	got, err := d.Token()
	if err != nil {
		return fmt.Errorf("read the list: %w", err)
	}
	if got != want {
		return fmt.Errorf("read the list: %.40q instead of %q", fmt.Sprint(got), want)
	}
	return nil
}

// checkGraph makes sure that the dependencies are packages of the list and lead
// in no circle: packages that nothing depends on are taken off until none is left.
func checkGraph(list []Package) error {
	dependents := make([]int, len(list))
	for i := range list {
		for _, to := range list[i].Dependencies {
			if to < 0 || to >= len(list) {
				return fmt.Errorf("package %d depends on number %d of %d: %w", i, to, len(list), ErrGraph)
			}
			dependents[to]++
		}
	}
	var free []int
	for i, n := range dependents {
		if n == 0 {
			free = append(free, i)
		}
	}
	taken := 0
	for ; len(free) > 0; taken++ {
		i := free[len(free)-1]
		free = free[:len(free)-1]
		for _, to := range list[i].Dependencies {
			if dependents[to]--; dependents[to] == 0 {
				free = append(free, to)
			}
		}
	}
	if taken < len(list) {
		return fmt.Errorf("%d of %d packages depend on themselves: %w", len(list)-taken, len(list), ErrGraph)
	}
	return nil
}

// addList adds the packages of an embedded list that are in the program, and
// reports whether there is one.
func addList(b *wasm.Binary, c *evidence.Collector) bool {
	list, err := ReadAuditable(b)
	if err != nil {
		return false
	}
	for i := range list.Packages {
		p := &list.Packages[i]
		if p.Build() {
			continue
		}
		found := p.component()
		found.Evidence = []evidence.Evidence{{
			Method: evidence.Auditable, Section: list.Section, Offset: list.Offset,
			Text: p.Name + " " + p.Version, Confidence: sureList,
		}}
		c.Add(found)
	}
	return true
}

// An Edge says that one crate depends on another. The components have what tells
// them apart, ecosystem, name, version and class, and no evidence.
type Edge struct{ From, To evidence.Component }

// Edges gives the dependencies between the packages of the embedded list that are
// in the program, in the list's order; none if there is no list or it cannot be
// read.
func Edges(b *wasm.Binary) []Edge {
	list, err := ReadAuditable(b)
	if err != nil {
		return nil
	}
	var edges []Edge
	for i := range list.Packages {
		from := &list.Packages[i]
		for _, n := range from.Dependencies {
			if to := &list.Packages[n]; !from.Build() && !to.Build() {
				edges = append(edges, Edge{identity(from), identity(to)})
			}
		}
	}
	return edges
}

func identity(p *Package) evidence.Component {
	return evidence.Component{Ecosystem: evidence.Cargo, Name: p.Name, Version: p.Version, Class: evidence.Proven}
}
