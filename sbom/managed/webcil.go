package managed

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/wreg-project/wreg/internal/lazy"
	"github.com/wreg-project/wreg/sbom/evidence"
)

// maxReferences bounds the assemblies that one may refer to.
const maxReferences = 4096

// webcil adds the assembly that a data segment holds, if it holds one, and those
// it refers to. Webcil (docs/design/mono/webcil.md of dotnet/runtime) is a header
// and the sections of a PE file; what is faulty ends the reading.
func webcil(segment []byte, offset int64, c *evidence.Collector) {
	if len(segment) < 28 || string(segment[:4]) != "WbIL" {
		return
	}
	a, ok := readAssembly(segment)
	if !ok {
		return
	}
	main := evidence.Component{
		Ecosystem: evidence.NuGet, Name: a.name, Class: evidence.Proven, Main: true,
		Evidence: []evidence.Evidence{{
			Method: evidence.Manifest, Section: "data", Offset: offset + int64(a.offset),
			Text: fmt.Sprintf("%s, Version=%s, %s", a.name, a.version, a.informational), Confidence: sureAssembly,
		}},
	}
	// The version of an assembly is one of its interface, and is mostly not that of
	// its package.
	main.Version, main.Commit = packageVersion(a.informational)
	c.Add(main)
	for _, r := range a.references {
		if runtimeOnly[r.name] {
			continue
		}
		c.Add(evidence.Component{
			Ecosystem: evidence.NuGet, Name: r.name, Class: evidence.Inferred, Requirement: r.version, RequiredBy: []string{main.PURL()},
			Evidence: []evidence.Evidence{{
				Method: evidence.Manifest, Section: "data", Offset: offset + int64(r.offset),
				Text: fmt.Sprintf("%s, Version=%s", r.name, r.version), Confidence: sureReference,
			}},
		})
	}
}

// runtimeOnly has the assemblies that come with the runtime and are in no
// package.
var runtimeOnly = map[string]bool{"System.Private.CoreLib": true, "mscorlib": true, "netstandard": true}

var (
	semantic = lazy.Regexp(`^\d+\.\d+(?:\.\d+){0,2}(?:-[0-9A-Za-z.-]+)?$`)
	revision = lazy.Regexp(`^[0-9a-f]{40}$`)
)

// packageVersion splits an informational version, "10.0.12+95017c71…", as .NET's
// build writes it. One of another form says nothing sure.
func packageVersion(informational string) (version, commit string) {
	version, build, _ := strings.Cut(informational, "+")
	if !semantic().MatchString(version) {
		return "", ""
	}
	if revision().MatchString(build) {
		commit = build
	}
	return version, commit
}

// An assembly is what the metadata says of one.
type assembly struct {
	reference
	informational string // of AssemblyInformationalVersionAttribute, "" without one
	references    []reference
}

type reference struct {
	name, version string
	offset        int // of its row, in the segment
}

// readAssembly finds the metadata in a webcil file and reads its tables.
func readAssembly(file []byte) (a assembly, ok bool) {
	r := reader{b: file}
	header := 28
	if r.u16(4) > 0 {
		header = 32 // version 1 adds the base of a table
	}
	sections, cli := r.u16(8), r.u32(12)
	if r.bad || sections > 16 {
		return a, false
	}
	// at gives the place in the file of an address, which some section holds.
	at := func(address uint32) int {
		for i := range sections {
			s := header + 16*i
			start, size, raw := r.u32(s+4), r.u32(s+8), r.u32(s+12)
			if !r.bad && address >= start && address-start < size {
				return int(int64(raw) + int64(address-start))
			}
		}
		r.bad = true
		return 0
	}
	h := at(cli)
	root, size := at(r.u32(h+8)), int(r.u32(h+12))
	if r.bad || root > len(file) || size > len(file)-root {
		return a, false
	}
	m, ok := readMetadata(file[root : root+size])
	if !ok {
		return a, false
	}
	a, ok = m.assembly()
	a.offset += root
	for i := range a.references {
		a.references[i].offset += root
	}
	return a, ok
}

// A reader reads numbers at offsets; after one outside it is bad and gives zeros.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) span(at, n int) []byte {
	if at < 0 || n < 0 || at > len(r.b)-n {
		r.bad = true
		return make([]byte, 8)[:min(max(n, 0), 8)]
	}
	return r.b[at : at+n]
}

func (r *reader) u16(at int) int    { return int(binary.LittleEndian.Uint16(r.span(at, 2))) }
func (r *reader) u32(at int) uint32 { return binary.LittleEndian.Uint32(r.span(at, 4)) }
func (r *reader) u64(at int) uint64 { return binary.LittleEndian.Uint64(r.span(at, 8)) }
