package wire

import (
	"encoding/json"

	"github.com/opencontainers/go-digest"
)

// Dependencies are what a version imports, and who in this registry offers it.
type Dependencies struct {
	Package string        `json:"package"`
	Digest  digest.Digest `json:"digest"`
	Imports []Dependency  `json:"imports"`

	// Truncated is whether parts of the tree are left out: it is bounded in depth
	// and in size.
	Truncated bool `json:"truncated,omitempty"`
}

// A Dependency is an import.
type Dependency struct {
	// Interface is "wasi:http/types@0.2.0", or the name of a module of imports.
	Interface string `json:"interface"`

	// Host is whether hosts provide it: an interface of WASI, or a module of
	// imports that known hosts have.
	Host bool `json:"host,omitempty"`

	// Providers are versions in this registry that export it, the newest of each
	// package; More is whether there are others.
	Providers []Provider `json:"providers"`
	More      bool       `json:"more,omitempty"`
}

// A Provider is a version that exports an interface.
type Provider struct {
	Package string        `json:"package"`
	Version string        `json:"version,omitempty"`
	Digest  digest.Digest `json:"digest"`

	// Exports is the name it exports, which may be of another compatible version.
	Exports string `json:"exports"`

	// Imports are what it needs in turn. They are absent where the tree ends, and
	// where the provider stands further up in it already, which Seen tells.
	Imports []Dependency `json:"imports,omitempty"`
	Seen    bool         `json:"seen,omitempty"`
}

// A Dependent is a version that imports what a package exports.
type Dependent struct {
	Hit

	// Interfaces are those it imports of what the package exports.
	Interfaces []string `json:"interfaces"`
}

// A Diff is the difference of two versions, file by file.
type Diff struct {
	From VersionRef `json:"from"`
	To   VersionRef `json:"to"`

	// Equal is whether both have the same files.
	Equal bool       `json:"equal"`
	Files []FileDiff `json:"files"`
}

// A VersionRef names a version.
type VersionRef struct {
	Package string        `json:"package"`
	Tag     string        `json:"tag,omitempty"`
	Digest  digest.Digest `json:"digest"`
}

// A FileDiff is the difference of two files with the same name, or of the only
// ones. One that came or went has no From or no To.
type FileDiff struct {
	Name string        `json:"name,omitempty"`
	From digest.Digest `json:"from,omitempty"`
	To   digest.Digest `json:"to,omitempty"`

	// Changes is what inspect/diff.Diff marshals to. It is absent if a side has no
	// report, or both are the same file.
	Changes json.RawMessage `json:"changes,omitempty"`
}

// A Function is one of a file's.
type Function struct {
	// File is the digest of the file it is in.
	File digest.Digest `json:"file"`

	// Module counts the core modules of the file from zero, Index the functions of
	// the module as Wasm does, imports first.
	Module int   `json:"module"`
	Index  int64 `json:"index"`

	Name string `json:"name,omitempty"`

	// Size of its body in bytes.
	Size         int64 `json:"size"`
	Instructions int64 `json:"instructions"`
	Complexity   int64 `json:"complexity"`

	// Hash is of its normalised instructions: the same for the same code at another
	// place. /functions/{hash} tells who else has it.
	Hash string `json:"hash"`
}
