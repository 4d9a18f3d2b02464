package attest

import (
	"fmt"
	"slices"

	"github.com/wreg-project/wreg/inspect"
	"github.com/wreg-project/wreg/inspect/capability"
	"github.com/wreg-project/wreg/signing"
)

// Bounds of what Capabilities say of one binary; Binary.Omitted counts the rest.
const (
	MaxBinaries = 64   // of a package
	maxListed   = 1000 // imports, exports, and names that nobody knows
	maxSmall    = 64   // memories, languages, toolchains, features
	maxText     = 512  // bytes of one name
)

// CapabilitiesVersion is the version of the JSON form of Capabilities. It grows, and
// with it the type of the predicate, when a field changes its meaning or goes.
const CapabilitiesVersion = 1

// Capabilities say what an inspector found in the binaries of a package: what they
// are, what they need, and what they may do.
type Capabilities struct {
	SchemaVersion int       `json:"schemaVersion"` // CapabilitiesVersion
	Inspector     Inspector `json:"inspector"`
	Binaries      []Binary  `json:"binaries"`
}

// An Inspector is the program that looked.
type Inspector struct {
	URI     string `json:"uri"`
	Version string `json:"version"`
}

// A Binary is one WebAssembly binary. Lists are never null.
type Binary struct {
	Name   string            `json:"name,omitempty"` // of the file in the package
	Digest map[string]string `json:"digest"`         // of the file, hexadecimal by algorithm
	Size   int64             `json:"size"`           // bytes

	Kind inspect.Kind `json:"kind"`
	WASI inspect.WASI `json:"wasi"`

	// World is the world that a component fits if that follows from its imports and
	// exports, "wasi:cli/command@0.2.0".
	World string `json:"world,omitempty"`

	// Package is that of a WIT package.
	Package string `json:"package,omitempty"`

	// Imports and Exports are sorted names: of components as they are,
	// "wasi:cli/stdout@0.2.0"; imports of modules with the module in front,
	// "wasi_snapshot_preview1.fd_write".
	Imports []string `json:"imports"`
	Exports []string `json:"exports"`

	// Capabilities are what it may do, each with how far that is from being used.
	Capabilities []Capability `json:"capabilities"`

	// Unresolved are imports whose meaning the inspector does not know.
	Unresolved []string `json:"unresolved"`

	// Requires are the features beyond WebAssembly 1.0 that a host must have.
	Requires []string `json:"requires"`

	// Memories are the linear memories of all core modules in it.
	Memories []inspect.Memory `json:"memories"`

	CodeSize int64 `json:"codeSize"` // bytes, of all core modules
	DataSize int64 `json:"dataSize"` // bytes, likewise

	Languages  []string `json:"languages"`  // that it was compiled from, the likeliest first
	Toolchains []Tool   `json:"toolchains"` // likewise

	// Omitted counts by the names of lists what they lack, because there is too much.
	Omitted map[string]int `json:"omitted,omitempty"`
}

// A Capability is one thing that a binary may do.
type Capability struct {
	ID       capability.ID       `json:"id"`
	Level    capability.Level    `json:"level"`              // "declared", "adapted" or "reachable"
	Severity capability.Severity `json:"severity"`           // "harmless", "notable" or "sensitive"
	Origin   capability.Origin   `json:"origin"`             // "runtime" or "program"
	Possible bool                `json:"possible,omitempty"` // only with arguments that the code does not show
	Access   []string            `json:"access"`             // "read", "write"; [] if the imports do not tell
}

// A Tool took part in a build, as the traces in the binary tell.
type Tool struct {
	Name    string `json:"name"`
	Version string `json:"version,omitempty"`
}

// BinaryOf sums up a report of inspect.Inspect. Digest is that of the file, and name
// what the package calls it, if anything.
func BinaryOf(rep *inspect.Report, name string, digest map[string]string) Binary {
	b := Binary{
		Name: cut(name), Digest: digest, Size: rep.Size, Kind: rep.Kind, WASI: rep.WASI,
		Imports: []string{}, Exports: []string{}, Capabilities: []Capability{}, Unresolved: []string{},
		Memories: []inspect.Memory{}, Languages: []string{}, Toolchains: []Tool{},
	}
	b.names(rep)
	b.Requires = b.list("requires", rep.Requires, maxSmall)
	b.modules(rep)
	b.capabilities(rep.Capabilities)
	b.origin(rep)
	return b
}

// names takes what the binary imports and exports.
func (b *Binary) names(rep *inspect.Report) {
	for _, im := range rep.Imports {
		if im.Module != "" {
			im.Name = im.Module + "." + im.Name
		}
		b.Imports = append(b.Imports, im.Name)
	}
	for _, ex := range rep.Exports {
		b.Exports = append(b.Exports, ex.Name)
	}
	if c := rep.Component; c != nil {
		b.World, b.Package = cut(c.Target), cut(c.Package)
		b.Imports, b.Exports = c.Imports, c.Exports
		b.lack("imports", rep.Missing("component.imports"))
		b.lack("exports", rep.Missing("component.exports"))
	} else {
		b.lack("imports", rep.Missing("imports"))
		b.lack("exports", rep.Missing("exports"))
	}
	b.Imports = b.list("imports", sorted(b.Imports), maxListed)
	b.Exports = b.list("exports", sorted(b.Exports), maxListed)
}

// sorted gives a sorted copy without repetitions.
func sorted(list []string) []string { return slices.Compact(slices.Sorted(slices.Values(list))) }

// modules takes what the core modules have.
func (b *Binary) modules(rep *inspect.Report) {
	for _, m := range rep.CoreModules() {
		b.CodeSize += m.CodeSize
		b.DataSize += m.DataSize
		b.Memories = append(b.Memories, m.Memories...)
	}
	if n := len(b.Memories) - maxSmall; n > 0 {
		b.lack("memories", n)
		b.Memories = b.Memories[:maxSmall]
	}
	b.lack("memories", rep.Missing("memories"))
}

func (b *Binary) capabilities(r *capability.Result) {
	if r == nil {
		return
	}
	for _, c := range r.Capabilities {
		b.Capabilities = append(b.Capabilities, Capability{
			ID: c.ID, Level: c.Level, Severity: c.Severity, Origin: c.Origin, Possible: c.Possible, Access: slices.Clone(c.Access),
		})
	}
	b.Unresolved = b.list("unresolved", sorted(r.Unresolved), maxListed)
}

func (b *Binary) origin(rep *inspect.Report) {
	if rep.Origin == nil {
		return
	}
	var languages []string
	for _, f := range rep.Origin.Languages {
		if !slices.Contains(languages, f.Name) {
			languages = append(languages, f.Name)
		}
	}
	b.Languages = b.list("languages", languages, maxSmall)
	for _, f := range rep.Origin.Toolchains {
		if len(b.Toolchains) == maxSmall {
			b.lack("toolchains", len(rep.Origin.Toolchains)-maxSmall)
			return
		}
		b.Toolchains = append(b.Toolchains, Tool{Name: cut(f.Name), Version: cut(f.Version)})
	}
}

// list takes at most n texts of a list that goes by a name.
func (b *Binary) list(name string, texts []string, n int) []string {
	b.lack(name, len(texts)-n)
	out := make([]string, 0, min(n, len(texts)))
	for _, s := range texts[:min(n, len(texts))] {
		out = append(out, cut(s))
	}
	return out
}

// lack notes that a list has n entries less than there are.
func (b *Binary) lack(name string, n int) {
	if n <= 0 {
		return
	}
	if b.Omitted == nil {
		b.Omitted = map[string]int{}
	}
	b.Omitted[name] += n
}

// cut shortens a text to maxText bytes, with "…" in the place of the rest.
func cut(s string) string {
	if len(s) <= maxText {
		return s
	}
	n := maxText - len("…")
	for n > 0 && s[n]&0xc0 == 0x80 { // within a code point
		n--
	}
	return s[:n] + "…"
}

// Statement is the statement of the capabilities.
func (c *Capabilities) Statement(subjects ...signing.Subject) (signing.Statement, error) {
	out := *c
	out.SchemaVersion = CapabilitiesVersion
	if err := out.check(); err != nil {
		return signing.Statement{}, err
	}
	return statement(TypeCapabilities, out, subjects)
}

func (c *Capabilities) check() error {
	switch {
	case c.SchemaVersion != CapabilitiesVersion:
		return fmt.Errorf("capabilities: %w: schemaVersion is %d; %d is known", ErrFormat, c.SchemaVersion, CapabilitiesVersion)
	case c.Inspector.URI == "":
		return fmt.Errorf("capabilities: %w: inspector.uri is missing", ErrFormat)
	case len(c.Binaries) == 0 || len(c.Binaries) > MaxBinaries:
		return fmt.Errorf("capabilities: %w: %d binaries; it takes 1 to %d", ErrFormat, len(c.Binaries), MaxBinaries)
	}
	for i, b := range c.Binaries {
		if len(b.Digest) == 0 {
			return fmt.Errorf("capabilities: %w: binaries[%d] has no digest", ErrFormat, i)
		}
		if err := checkDigests(b.Digest); err != nil {
			return fmt.Errorf("capabilities: %w: binaries[%d]: %w", ErrFormat, i, err)
		}
		switch b.Kind {
		case inspect.KindModule, inspect.KindComponent, inspect.KindWITPackage:
		default:
			return fmt.Errorf("capabilities: %w: binaries[%d] has the kind %.40q", ErrFormat, i, b.Kind)
		}
	}
	return nil
}
