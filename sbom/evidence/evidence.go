// Package evidence is the vocabulary of a bill of materials that is read from a
// binary: what a component is, and which bytes say so.
//
// A package for each ecosystem (sbom/golang, sbom/rust, …) looks at one core
// module and adds what it finds to a [Collector], which cleans, merges and
// bounds it. Package sbom puts the modules of a file together. Nothing here is
// guessed silently: each find has the place in the file, the method by which it
// was found, and how sure that method is.
package evidence

// An Ecosystem is where a component's name means something: the type of its
// package URL (purl specification, "Package-URL Type Definitions").
type Ecosystem string

// The ecosystems.
const (
	Cargo    Ecosystem = "cargo"
	Go       Ecosystem = "golang"
	NPM      Ecosystem = "npm"
	PyPI     Ecosystem = "pypi"
	Gem      Ecosystem = "gem"
	Hackage  Ecosystem = "hackage"
	NuGet    Ecosystem = "nuget"
	Composer Ecosystem = "composer"
	Generic  Ecosystem = "generic" // C and C++ libraries, interpreters, engines
	WIT      Ecosystem = "wit"     // packages of interfaces; written as generic in package URLs
)

// A Class says what is known of a component. Formats and matching keep the
// classes apart.
type Class string

// The classes, the surest first.
const (
	// Proven components have left bytes of their own in the binary.
	Proven Class = "proven"

	// Inferred components are those that a proven component at its exact version
	// needs in the build, with what others that are certain ask of it: no byte of
	// theirs was found. They have a Requirement instead of a Version.
	Inferred Class = "inferred"

	// Named components are known by name alone: by symbols or by literals of
	// their source.
	Named Class = "named"
)

// A Method is the kind of evidence.
type Method string

// The methods.
const (
	Auditable   Method = "auditable"   // the list that cargo-auditable embeds
	BuildInfo   Method = "buildinfo"   // the module list of Go's linker
	SourcePath  Method = "source-path" // a path of the source in a panic message or debug information
	Symbol      Method = "symbol"      // the name of a function
	Literal     Method = "literal"     // texts that only this component's source has
	Banner      Method = "banner"      // a version text, licence banner or user agent
	SourceID    Method = "source-id"   // an identifier of the exact source, as SQLite's
	Manifest    Method = "manifest"    // a package's own metadata: assembly table, dist-info, package.json
	FileSystem  Method = "file-system" // a path of an embedded file system
	Link        Method = "link"        // what the linker says it needs: dylink.0
	Interface   Method = "interface"   // imports and exports of WIT interfaces
	Producer    Method = "producers"   // the producers section
	Dependency  Method = "dependency"  // required by another component
	Declaration Method = "declaration" // an SBOM of the publisher
)

// A Component is one thing that a binary was made of.
type Component struct {
	Ecosystem Ecosystem `json:"ecosystem"`

	// Name is the full name in the ecosystem, "golang.org/x/net", "@scope/name".
	Name string `json:"name"`

	// Version is exact and as the ecosystem writes it, with the v of Go; "" if it
	// is not known.
	Version string `json:"version,omitempty"`

	Class Class `json:"class"`

	// Requirement is the requirement on the version of an inferred component, as
	// the ecosystem writes it ("^1.0.3"), and RequiredBy who has it.
	Requirement string   `json:"requirement,omitempty"`
	RequiredBy  []string `json:"requiredBy,omitempty"` // package URLs, sorted

	// Part is set of what came inside something else and has its own releases
	// nowhere: "std" of the copies of crates in Rust's standard library,
	// "runtime" of what an interpreter brings. Advisories about the component
	// need not be true of it.
	Part string `json:"part,omitempty"`

	// Main is true of the module or crate that the binary is.
	Main bool `json:"main,omitempty"`

	Checksum string   `json:"checksum,omitempty"` // as the ecosystem writes it: "h1:…" of Go
	Commit   string   `json:"commit,omitempty"`   // of the source, hexadecimal, maybe abbreviated
	Source   string   `json:"source,omitempty"`   // where the source comes from if it is not the ecosystem's registry
	Replaces string   `json:"replaces,omitempty"` // the "module@version" that a replace line put this one in the place of
	Licenses []string `json:"licenses,omitempty"` // SPDX expressions, each as one source states it

	Evidence []Evidence `json:"evidence"`
}

// An Evidence is one place in the file that shows a component.
type Evidence struct {
	Method  Method `json:"method"`
	Section string `json:"section,omitempty"` // "data", "name", ".dep-v0", …
	Offset  int64  `json:"offset"`            // bytes from the start of the file; -1 if it is no place of the file

	// Text is what stands there, cleaned and cut to MaxText bytes.
	Text string `json:"text,omitempty"`

	// Confidence is how sure the method is, above 0 and at most 1.
	Confidence float64 `json:"confidence"`
}

// Confidence is that of the best evidence.
func (c Component) Confidence() float64 {
	best := 0.0
	for _, e := range c.Evidence {
		best = max(best, e.Confidence)
	}
	return best
}

// A Completeness says whether a list has everything of one ecosystem that is in
// a binary, and why or why not.
type Completeness struct {
	Ecosystem Ecosystem `json:"ecosystem"`
	Complete  bool      `json:"complete"`
	Reason    string    `json:"reason"` // for people, one sentence without a full stop
}
