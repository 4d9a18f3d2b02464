package search

import (
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/inspect"
	"github.com/wreg-project/wreg/storage/meta"
)

// Source is what a document is made of: one manifest without a subject, whose
// files hold Wasm.
type Source struct {
	Repo         string
	Digest       digest.Digest
	MediaType    string
	ArtifactType string
	Annotations  map[string]string
	Files        []File
	Materials
	State
}

// A File is one Wasm binary of a package.
type File struct {
	Path   string        // inside a layer that is an archive, else ""
	Digest digest.Digest // of the layer
	Size   int64         // bytes
	Report *inspect.Report
	// Problem says why there is no report: the binary is not valid.
	Problem string
}

// State is what changes about a manifest after it was pushed.
type State struct {
	Tags    []Tag
	Latest  bool // one of Tags is the package's latest version
	Verdict meta.VerdictState
	Updated time.Time // when it was pushed
	Pulls   int64

	// Variants are the targets for which native code lies beside the package, of
	// wpkg's own runtime and by a compiler that the registry trusts.
	Variants []string
}

// A Tag is a name of the manifest, with what people say about it.
type Tag struct {
	Name   string
	Notice meta.NoticeState
}

// A Listing is the body of a document: what a list of packages shows.
type Listing struct {
	Name         string   `json:"name"`              // "ns:name", of deeper repositories "a:b:c"
	Version      string   `json:"version,omitempty"` // the greatest of its tags that is a semantic version, "+" restored
	Tags         []string `json:"tags"`              // at most MaxListed, greatest version first
	Latest       bool     `json:"latest,omitempty"`
	Notice       string   `json:"notice,omitempty"`  // "deprecated" or "yanked", of Version
	Verdict      string   `json:"verdict,omitempty"` // "allow", "warn" or "deny"
	Title        string   `json:"title,omitempty"`
	Description  string   `json:"description,omitempty"`
	License      string   `json:"license,omitempty"`
	Kind         string   `json:"kind,omitempty"` // of the largest file
	WASI         string   `json:"wasi,omitempty"`
	Target       string   `json:"target,omitempty"`
	Language     string   `json:"language,omitempty"`
	Toolchain    string   `json:"toolchain,omitempty"`
	Host         string   `json:"host,omitempty"`
	Size         int64    `json:"size"`  // bytes of all files
	Files        int      `json:"files"` // that hold Wasm
	Capabilities []string `json:"capabilities"`
	Hidden       []string `json:"hidden,omitempty"` // capabilities the code reaches without declaring them
	Signals      []string `json:"signals,omitempty"`
	Problem      string   `json:"problem,omitempty"` // why the binary is not valid

	// Truncated says that inspection found more than is indexed, TagsTruncated
	// that there are more tags.
	Truncated     bool `json:"truncated,omitempty"`
	TagsTruncated bool `json:"tagsTruncated,omitempty"`

	Materials *ListedMaterials `json:"materials,omitempty"` // nil if nothing is known of them
}

// MaxListed bounds the lists of a Listing.
const MaxListed = 16
