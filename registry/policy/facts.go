package policy

// Facts are all that rules can ask about, under the names of the JSON tags: in
// CEL pkg.repository, report.imports, and so on. (package is a reserved word
// there.) Eval looks at one file of a package at a time.
type Facts struct {
	Package   Package        `json:"pkg"`
	Principal PrincipalFacts `json:"principal"`
	Action    Action         `json:"action"`

	// File is the file that the rules are asked about. It is empty for a package
	// without WebAssembly, about which they are asked once.
	File File `json:"file"`

	// Report and Capabilities are what inspection found in the file, nil if it was
	// not inspected. A rule that reads them is left out if File.Wasm is false, and
	// counts as violated if it is true.
	Report       *Report       `json:"report,omitempty"`
	Capabilities *Capabilities `json:"capabilities,omitempty"`

	// Previous is the version before this one; nil if nobody looked for it, so that
	// a rule that reads it counts as violated.
	Previous *Previous `json:"previous,omitempty"`

	// SBOM is what the file was made of, Licenses under which terms, and
	// Vulnerabilities what advisories say about that; nil if nobody looked, so that a
	// rule that reads them counts as violated. As rules about the report, those about
	// these are left out if File.Wasm is false.
	SBOM            *SBOM           `json:"sbom,omitempty"`
	Licenses        *Licenses       `json:"licenses,omitempty"`
	Vulnerabilities []Vulnerability `json:"vulnerabilities,omitzero"`

	// Signatures are what verified signatures prove of the manifest, Attestations what
	// verified attestations say of it, RefusedSignatures what proves nothing, and
	// Publisher who of the signers stands for the package: the name of a key or the
	// identity of a certificate, "" if nobody does. SignatureFacts makes all of them. If
	// Signatures is nil, nobody looked, and a rule that reads any of these counts as
	// violated.
	Signatures        []Signature        `json:"signatures,omitzero"`
	Attestations      []Attestation      `json:"attestations,omitzero"`
	RefusedSignatures []RefusedSignature `json:"refusedSignatures,omitzero"`
	Publisher         string             `json:"publisher,omitempty"`

	// Unknown are facts that could not be found out, and why: a rule that reads one
	// of them counts as violated. Keys are names of facts such as "previous" or
	// "previous.capabilities", and cover what is below them. "vulnerabilities.kev" and
	// "vulnerabilities.epss" are for who has no list of those, and concern only rules
	// that ask for these fields.
	Unknown map[string]string `json:"unknown,omitempty"`
}

// Package is the manifest.
type Package struct {
	Repository   string            `json:"repository"`   // "team/tools/app"
	Namespace    string            `json:"namespace"`    // "team/tools", "" for a repository without a slash
	Name         string            `json:"name"`         // "app"
	Version      string            `json:"version"`      // the greatest tag that is a semantic version, without "v" and with "+"; else ""
	Tags         []string          `json:"tags"`         // that the manifest has or is to get
	Digest       string            `json:"digest"`       // of the manifest
	MediaType    string            `json:"mediaType"`    // of the manifest
	ArtifactType string            `json:"artifactType"` // its own, or else that of its config
	Annotations  map[string]string `json:"annotations"`  // of the manifest
	Size         int64             `json:"size"`         // bytes of all layers and the config
	Referrer     bool              `json:"referrer"`     // whether it has a subject
}

// PrincipalFacts are who asks. They are unknown for pulls, whose verdict is the
// same for everybody.
type PrincipalFacts struct {
	Name      string `json:"name"`      // of the user, "" for an anonymous caller
	Anonymous bool   `json:"anonymous"` // whether nobody is known to ask
}

// Facts gives what rules can ask about p.
func (p Principal) Facts() PrincipalFacts {
	return PrincipalFacts{Name: p.Name, Anonymous: p.Anonymous()}
}

// File is one file of a package.
type File struct {
	Path      string `json:"path"`      // its name, or in a layer that is an archive the path
	Layer     string `json:"layer"`     // digest of the layer it is in
	MediaType string `json:"mediaType"` // of that layer
	Size      int64  `json:"size"`      // bytes
	Wasm      bool   `json:"wasm"`      // whether it begins like WebAssembly, or says that it is
}

// Report is what inspection found in one file: the parts of an inspect.Report
// that rules can use, in bounded size. ReportFacts makes it, and storage keeps it
// as JSON.
type Report struct {
	Kind    string `json:"kind"`    // "module", "component", "wit-package"; "" if the file cannot be read
	Size    int64  `json:"size"`    // bytes
	Valid   bool   `json:"valid"`   // whether it is valid WebAssembly
	Problem string `json:"problem"` // if it is not, why and at which offset

	WASI       string   `json:"wasi"`       // "none", "wasip1", "wasip2", "wasip3"
	Target     string   `json:"target"`     // world that a component fits, "wasi:cli/command@0.2.0"
	Language   string   `json:"language"`   // the likeliest, "" if unknown
	Languages  []string `json:"languages"`  // likeliest first
	Toolchains []string `json:"toolchains"` // "rustc 1.98.1", likeliest first
	Hosts      []string `json:"hosts"`      // "Proxy-Wasm", "WASI preview 1", likeliest first
	Features   []string `json:"features"`   // beyond WebAssembly 1.0 that a host must have: "simd", "threads"

	Imports     []Import `json:"imports"`     // in the order of the file
	Exports     []Export `json:"exports"`     // in the order of the file
	ImportCount int      `json:"importCount"` // exact, also if the list is cut
	ExportCount int      `json:"exportCount"` // exact, also if the list is cut

	ImportModules []string   `json:"importModules"` // modules that a core module imports from, or names that a component imports
	Interfaces    Interfaces `json:"interfaces"`    // of a component, with versions: "wasi:http/types@0.2.0"

	Memories []Memory `json:"memories"` // of all core modules
	Start    bool     `json:"start"`    // a start function runs at instantiation

	Functions     int64 `json:"functions"`     // defined in all core modules
	Instructions  int64 `json:"instructions"`  // of them
	MaxComplexity int64 `json:"maxComplexity"` // McCabe's number of the most complex function
	CodeSize      int64 `json:"codeSize"`      // bytes
	DataSize      int64 `json:"dataSize"`      // bytes

	RiskScore int64    `json:"riskScore"` // the highest score of a signal, 0 to 100
	Signals   []Signal `json:"signals"`   // by falling score

	CustomSections []string `json:"customSections"` // names, sorted, each once
	Metadata       Metadata `json:"metadata"`       // what authors and tools wrote into the file; nothing proves it

	// Hashed says that HashExports was called; a rule that reads hashes otherwise
	// counts as violated.
	Hashed bool `json:"hashed,omitempty" cel:"-"`

	// Truncated names the lists above that are cut. A rule that reads one counts as
	// violated.
	Truncated []string `json:"truncated,omitempty" cel:"-"`
}

// Import is something that a file needs of its host.
type Import struct {
	Module string `json:"module"` // "" for components
	Name   string `json:"name"`   // of the function, memory and so on, or of the interface
	Kind   string `json:"kind"`   // "func", "memory", "table", "global", "tag"; of components "instance", "func", "type", …
	Type   string `json:"type"`   // "(func (param i32 i32) (result i32))"
}

// Export is something that a file offers.
type Export struct {
	Name string `json:"name"`           // as the host calls it
	Kind string `json:"kind"`           // as that of imports
	Type string `json:"type"`           // as that of imports
	Hash string `json:"hash,omitempty"` // SHA-256 in hexadecimal digits of a function's entry in the code section, its size included
}

// Interfaces are the names of the interfaces of a component.
type Interfaces struct {
	Imports []string `json:"imports"` // sorted
	Exports []string `json:"exports"` // sorted
}

// Memory is a linear memory.
type Memory struct {
	Min      int64 `json:"min"`      // bytes
	Max      int64 `json:"max"`      // bytes; the greatest integer if there is no maximum
	Bounded  bool  `json:"bounded"`  // whether there is a maximum
	Shared   bool  `json:"shared"`   // between threads
	Memory64 bool  `json:"memory64"` // with addresses of 64 bits
}

// Signal is something that deserves a second look; docs/spec/signals.md lists
// the ids.
type Signal struct {
	ID       string `json:"id"`       // "secret-aws-key", see signals.md
	Severity string `json:"severity"` // "info", "low", "medium", "high"
	Score    int64  `json:"score"`    // 0 to 100
	Count    int64  `json:"count"`    // of places
}

// Metadata is what authors and tools wrote into the file; nothing proves it.
type Metadata struct {
	Name        string `json:"name"`        // of the module
	Authors     string `json:"authors"`     // as they wrote it
	Description string `json:"description"` // of the package
	Licenses    string `json:"licenses"`    // an SPDX expression, unchecked
	Source      string `json:"source"`      // URL
	Homepage    string `json:"homepage"`    // URL
	Revision    string `json:"revision"`    // of the source
	Version     string `json:"version"`     // of the package
}

// Capabilities are what a file may do to the world around it, by the ids of
// docs/spec/capabilities.md.
type Capabilities struct {
	Declared  []string `json:"declared"`  // all that its imports give it
	Reachable []string `json:"reachable"` // those its code can come to
	Hidden    []string `json:"hidden"`    // those that a component has for an adapter alone, whose word it is
	Program   []string `json:"program"`   // of those reachable, the ones that the program asks for, and not its language's runtime
	Unknown   []string `json:"unknown"`   // imports whose meaning is not known, as "module.name"

	// Truncated says that Unknown is cut; a rule that reads it counts as violated.
	Truncated bool `json:"truncated,omitempty" cel:"-"`
}

// Previous is the version before: the greatest semantic version in the repository
// that is less than this one, not yanked, and, if this one is no prerelease, not
// one either. Where Report or Capabilities cannot be had, "previous.report" or
// "previous.capabilities" belongs into Facts.Unknown.
type Previous struct {
	Exists       bool         `json:"exists"`       // whether there is one
	Version      string       `json:"version"`      // as that of pkg
	Digest       string       `json:"digest"`       // of its manifest
	Report       Report       `json:"report"`       // of its file of the same path, or of its only file, and else unknown
	Capabilities Capabilities `json:"capabilities"` // of all its files together
}

// An SBOM is what a file was made of: what its bytes tell, and what the publisher
// of the package says. SBOMFacts makes it.
type SBOM struct {
	Components []Component `json:"components"` // of all modules of the file, by ecosystem, name and version
	Complete   bool        `json:"complete"`   // whether the bytes tell of every component, as those of Go programs and of cargo-auditable do
	Publisher  bool        `json:"publisher"`  // whether the publisher attached a bill of materials, or attested one

	NotFound     []string `json:"notFound"`     // package URLs of what the publisher declares and is certainly not in the file
	NotDeclared  []string `json:"notDeclared"`  // of what is proven to be in the file, and not declared under any version
	OtherVersion []string `json:"otherVersion"` // without versions, of what is in the file in other versions than those declared

	// Truncated names the lists above that are cut. A rule that reads one counts as
	// violated.
	Truncated []string `json:"truncated,omitempty" cel:"-"`
}

// A Component is one package or library in a file.
type Component struct {
	PURL      string   `json:"purl"`      // package URL: "pkg:cargo/serde@1.0.190"
	Ecosystem string   `json:"ecosystem"` // "cargo", "golang", "npm", "pypi", "gem", "hackage", "nuget", "composer", "generic", "wit"
	Name      string   `json:"name"`      // as its ecosystem writes it
	Version   string   `json:"version"`   // as its ecosystem writes it, "" if it is not known
	Class     string   `json:"class"`     // "proven", "inferred" and "named" of what the bytes tell, "declared" of what only the publisher does
	Part      string   `json:"part"`      // "std" of what came inside Rust's standard library, "runtime" of what an interpreter brings
	Licenses  []string `json:"licenses"`  // SPDX expressions, all of which hold, as the binary or the publisher states them; at most 4
}

// Licenses are the terms of a package and of what is in it, as far as somebody
// states them. LicenseFacts makes it.
type Licenses struct {
	Declared    string   `json:"declared"`    // SPDX expression of the package: the annotation's, else that of the file's metadata; normalised
	Expressions []string `json:"expressions"` // of the package and of components, normalised, sorted, each once
	IDs         []string `json:"ids"`         // of all licences in them, each with its exception: "GPL-2.0-only WITH Classpath-exception-2.0"
	Families    []string `json:"families"`    // of these: "public-domain", "permissive", "weak-copyleft", "strong-copyleft", "network", …
	Missing     []string `json:"missing"`     // package URLs of proven and declared components of which nobody states a licence
	Other       []string `json:"other"`       // what is stated as a licence, and is no SPDX expression
	Unknown     bool     `json:"unknown"`     // whether the package states no licence, or something stands in other

	// Truncated names the lists above that are cut. A rule that reads one counts as
	// violated.
	Truncated []string `json:"truncated,omitempty" cel:"-"`
}

// A Vulnerability is what advisories say about one component at the version that
// is in the file. VulnerabilityFacts makes them.
type Vulnerability struct {
	ID            string   `json:"id"`            // in the ecosystem's own database, else GitHub's, else the CVE's: "GO-2023-1988"
	Aliases       []string `json:"aliases"`       // its other names, "CVE-2023-3978"; at most 32
	Summary       string   `json:"summary"`       // one line
	PURL          string   `json:"purl"`          // package URL of the component
	Name          string   `json:"name"`          // of the component
	Version       string   `json:"version"`       // of the component
	Unit          string   `json:"unit"`          // module of the file that has it, "" for the outermost
	Severity      float64  `json:"severity"`      // CVSS base score, 0 to 10; 0 also if there is none
	Rating        string   `json:"rating"`        // "critical", "high", "medium", "low", "none", or "unknown"
	Reach         string   `json:"reach"`         // "unknown", "present", "linked", "symbol-linked" or "reachable"
	Reachable     bool     `json:"reachable"`     // whether a way leads from outside to the code at fault
	RuledOut      bool     `json:"ruledOut"`      // whether it is certain that none of it can run
	Why           string   `json:"why"`           // what reach rests on, for people
	VEX           string   `json:"vex"`           // "not_affected", "affected", "fixed", "under_investigation"; "" if nobody states anything
	Justification string   `json:"justification"` // of "not_affected", as OpenVEX names it; may be missing
	Fixed         []string `json:"fixed"`         // nearest versions with a fix; at most 8
	EPSS          float64  `json:"epss"`          // likelihood, 0 to 1, that it is used within 30 days; 0 also if FIRST does not list it
	KEV           bool     `json:"kev"`           // whether CISA lists it as having been used
	Informational string   `json:"informational"` // "unmaintained", "unsound" or "notice" of what is no vulnerability in itself
	Declared      bool     `json:"declared"`      // whether only the publisher's bill of materials has the component
}

// A Signature is what a verified signature of the manifest proves.
type Signature struct {
	Form     string            `json:"form"`     // "bundle", or "cosign" for tags sha256-….sig
	Key      string            `json:"key"`      // name of the key that made it, "" if it is by a certificate
	KeyID    string            `json:"keyId"`    // SHA-256 of that key, in hexadecimal digits
	Identity string            `json:"identity"` // of the certificate: an e-mail address or a URI, "" if it is by a key
	Issuer   string            `json:"issuer"`   // of the identity, "https://token.actions.githubusercontent.com"
	Claims   map[string]string `json:"claims"`   // of the certificate, as Fulcio names them: "sourceRepositoryURI"
	Logged   bool              `json:"logged"`   // whether a transparency log that is trusted has it
	Time     string            `json:"time"`     // when a trusted clock first saw it, in UTC: "2026-03-04T05:06:07Z"; "" if none did
}

// An Attestation is what a verified attestation says of the manifest.
type Attestation struct {
	PredicateType string `json:"predicateType"` // what it is: "https://slsa.dev/provenance/v1"
	Predicate     any    `json:"predicate"`     // what it says, of any form

	Form     string            `json:"form"`     // as that of signatures; "cosign" for tags sha256-….att
	Key      string            `json:"key"`      // as that of signatures; "instance" of what this registry attests
	KeyID    string            `json:"keyId"`    // as that of signatures
	Identity string            `json:"identity"` // as that of signatures
	Issuer   string            `json:"issuer"`   // as that of signatures
	Claims   map[string]string `json:"claims"`   // as that of signatures
	Logged   bool              `json:"logged"`   // as that of signatures
	Time     string            `json:"time"`     // as that of signatures

	// Cut says that Predicate is too long or too deep to be kept; a rule that reads
	// predicates counts as violated.
	Cut bool `json:"cut,omitempty" cel:"-"`
}

// A RefusedSignature proves nothing.
type RefusedSignature struct {
	Form    string `json:"form"`    // as that of signatures, or "notation"
	Problem string `json:"problem"` // why, for people
}
