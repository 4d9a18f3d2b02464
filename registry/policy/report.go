package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"slices"

	"github.com/wreg-project/wreg/inspect"
	"github.com/wreg-project/wreg/inspect/capability"
	"github.com/wreg-project/wreg/inspect/origin"
	"github.com/wreg-project/wreg/inspect/wasm"
)

// Bounds on the lists of facts. The largest modules known have some hundred
// imports; one database has 75,000 exports, whose list is cut.
const (
	maxList     = 10_000  // entries
	maxListText = 1 << 20 // bytes in one list
	maxText     = 1 << 10 // bytes of one text of the metadata, and of a problem
)

// ReportFacts takes from rep what rules can use. Lists that are cut are named in
// Truncated.
func ReportFacts(rep *inspect.Report) Report {
	r := Report{
		Kind: string(rep.Kind), Size: rep.Size, Valid: rep.Complete, WASI: string(rep.WASI),
		ImportCount: len(rep.Imports), ExportCount: len(rep.Exports),
	}
	if !rep.Complete {
		r.Problem = "the file was described, but not validated"
	}
	r.declarations(rep)
	r.origin(rep.Origin)
	r.code(rep)
	r.signals(rep)
	r.metadata(rep.Metadata)
	return r
}

// BrokenReport is that of a file of size bytes that inspection refused with err.
// Rules that ask for more than valid, problem and size count as violated.
func BrokenReport(size int64, err error) Report {
	r := Report{Size: size, WASI: string(inspect.WASINone)}
	r.Problem, _ = cut(clean(err.Error()), maxText)
	r.metadata(inspect.Metadata{})
	return r
}

// A budget is what is left of maxListText for one list.
type budget struct{ entries, text int }

func newBudget() budget { return budget{maxList, maxListText} }

// take reports whether another entry with these texts fits.
func (b *budget) take(texts ...string) bool {
	b.entries--
	for _, s := range texts {
		b.text -= len(s)
	}
	return b.entries >= 0 && b.text >= 0
}

func (r *Report) truncate(list string) { r.Truncated = append(r.Truncated, list) }

// list copies texts as far as they fit.
func (r *Report) list(name string, texts []string) []string {
	b := newBudget()
	list := make([]string, 0, min(len(texts), maxList))
	for _, s := range texts {
		if !b.take(s) {
			r.truncate(name)
			break
		}
		list = append(list, s)
	}
	return list
}

func (r *Report) declarations(rep *inspect.Report) {
	b := newBudget()
	r.Imports = make([]Import, 0, min(len(rep.Imports), maxList))
	for _, im := range rep.Imports {
		if !b.take(im.Module, im.Name, im.Type) {
			r.truncate("imports")
			break
		}
		r.Imports = append(r.Imports, Import(im))
	}
	b = newBudget()
	r.Exports = make([]Export, 0, min(len(rep.Exports), maxList))
	for _, ex := range rep.Exports {
		if !b.take(ex.Name, ex.Type) {
			r.truncate("exports")
			break
		}
		r.Exports = append(r.Exports, Export{Name: ex.Name, Kind: ex.Kind, Type: ex.Type})
	}
	r.ImportModules, r.Interfaces = []string{}, Interfaces{Imports: []string{}, Exports: []string{}}
	switch {
	case rep.Module != nil:
		r.ImportModules = r.list("importModules", rep.Module.Imports)
	case rep.Component != nil:
		c := rep.Component
		r.Target, _ = cut(c.Target, maxText)
		r.ImportModules = r.list("importModules", c.Imports)
		r.Interfaces.Imports = r.list("interfaces.imports", c.Imports)
		r.Interfaces.Exports = r.list("interfaces.exports", c.Exports)
	}
	r.Features = r.list("features", rep.Requires)
	var custom []string
	for _, s := range rep.Sections {
		if s.Custom {
			custom = append(custom, s.Name)
		}
	}
	slices.Sort(custom)
	r.CustomSections = r.list("customSections", slices.Compact(custom))
}

func (r *Report) origin(o *origin.Origin) {
	if o == nil {
		o = &origin.Origin{}
	}
	names := func(list []origin.Finding, version bool) (names []string) {
		for _, f := range list {
			name := f.Name
			if version && f.Version != "" {
				name += " " + f.Version
			}
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
		return names
	}
	r.Languages = r.list("languages", names(o.Languages, false))
	r.Toolchains = r.list("toolchains", names(o.Toolchains, true))
	r.Hosts = r.list("hosts", names(o.Hosts, false))
	if len(r.Languages) > 0 {
		r.Language = r.Languages[0]
	}
}

func (r *Report) code(rep *inspect.Report) {
	r.Memories = []Memory{}
	for _, m := range rep.CoreModules() {
		r.Start = r.Start || m.Start != nil
		r.Functions += int64(m.Functions)
		r.CodeSize += m.CodeSize
		r.DataSize += m.DataSize
		if m.Code != nil {
			r.Instructions += m.Code.Totals.Instructions
			r.MaxComplexity = max(r.MaxComplexity, int64(m.Code.Complexity.Max))
		}
		for _, mem := range m.Memories {
			if len(r.Memories) == maxList {
				r.truncate("memories")
				return
			}
			r.Memories = append(r.Memories, memory(mem))
		}
	}
}

func memory(m inspect.Memory) Memory {
	d := Memory{Min: inBytes(m.Min, m.PageSize), Max: math.MaxInt64, Shared: m.Shared, Memory64: m.Memory64}
	if m.Max != nil {
		d.Max, d.Bounded = inBytes(*m.Max, m.PageSize), true
	}
	return d
}

// inBytes is the size of pages, or the greatest integer if that is less.
func inBytes(pages, size uint64) int64 {
	high, low := bits.Mul64(pages, size)
	if high != 0 || low > math.MaxInt64 {
		return math.MaxInt64
	}
	return int64(low)
}

func (r *Report) signals(rep *inspect.Report) {
	r.Signals = []Signal{}
	if rep.Signals == nil {
		return
	}
	for _, s := range rep.Signals.Signals {
		r.Signals = append(r.Signals, Signal{ID: s.ID, Severity: string(s.Severity), Score: int64(s.Score), Count: int64(s.Count)})
		r.RiskScore = max(r.RiskScore, int64(s.Score))
	}
}

func (r *Report) metadata(m inspect.Metadata) {
	r.Metadata = Metadata{
		Name: m.Name, Authors: m.Authors, Description: m.Description, Licenses: m.Licenses,
		Source: m.Source, Homepage: m.Homepage, Revision: m.Revision, Version: m.Version,
	}
	var wasCut bool
	for _, s := range []*string{
		&r.Metadata.Name, &r.Metadata.Authors, &r.Metadata.Description, &r.Metadata.Licenses,
		&r.Metadata.Source, &r.Metadata.Homepage, &r.Metadata.Revision, &r.Metadata.Version,
	} {
		var c bool
		*s, c = cut(*s, maxText)
		wasCut = wasCut || c
	}
	if wasCut {
		r.truncate("metadata")
	}
}

// CapabilityFacts takes from rep what rules can use of its capabilities.
func CapabilityFacts(rep *inspect.Report) Capabilities {
	c := Capabilities{Declared: []string{}, Reachable: []string{}, Hidden: []string{}, Program: []string{}, Unknown: []string{}}
	if rep.Capabilities == nil {
		return c
	}
	for _, f := range rep.Capabilities.Capabilities {
		id := string(f.ID)
		c.Declared = append(c.Declared, id)
		switch f.Level {
		case capability.Reachable:
			c.Reachable = append(c.Reachable, id)
			if f.Origin == capability.Program {
				c.Program = append(c.Program, id)
			}
		case capability.Adapted:
			c.Hidden = append(c.Hidden, id)
		case capability.Declared:
		}
	}
	b := newBudget()
	for _, name := range rep.Capabilities.Unresolved {
		if !b.take(name) {
			c.Truncated = true
			break
		}
		c.Unknown = append(c.Unknown, name)
	}
	c.Truncated = c.Truncated || len(rep.Capabilities.Unresolved) >= capability.MaxUnresolved
	return c
}

// HashExports fills in the hashes of exported functions of file, of which r is the
// report. Only checkfiles that name hashes need them. Components export no
// functions of a module, and have none.
func (r *Report) HashExports(file []byte) error {
	if r.Kind != string(inspect.KindModule) {
		r.Hashed = r.Kind != ""
		return nil
	}
	b, err := wasm.Parse(file)
	if err != nil {
		return fmt.Errorf("hash exported functions: %w", err)
	}
	m := b.Module
	if m == nil || len(m.Exports) != r.ExportCount {
		return errors.New("hash exported functions: the report is of another file")
	}
	sums := map[uint32]string{}
	for i := range r.Exports {
		ex := m.Exports[i]
		at := int64(ex.Index) - int64(m.Imported())
		if ex.Kind != wasm.ExternFunc || at < 0 || at >= int64(len(m.Code)) {
			continue
		}
		sum, ok := sums[ex.Index]
		if !ok {
			sum = hashEntry(file, m.Code[at])
			sums[ex.Index] = sum
		}
		r.Exports[i].Hash = sum
	}
	r.Hashed = true
	return nil
}

// hashEntry hashes an entry of the code section, with the size that stands before
// the body as it is encoded in the file. What stands before the size is the end of
// another body or of the count of bodies, neither of which has its highest bit set.
func hashEntry(file []byte, body wasm.Body) string {
	start := body.Offset - 1
	for body.Offset-start < 5 && start > 0 && file[start-1]&0x80 != 0 {
		start--
	}
	sum := sha256.Sum256(file[start : body.Offset+body.Size])
	return hex.EncodeToString(sum[:])
}
