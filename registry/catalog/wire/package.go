package wire

import (
	"time"

	"github.com/opencontainers/go-digest"
)

// A Package is a repository with versions of something.
type Package struct {
	// Name is "ns:name", as addresses have it.
	Name string `json:"name"`

	// Repository is "ns/name", as OCI clients have it.
	Repository string `json:"repository"`

	// Latest is the tag of the highest semantic version that is neither a
	// prerelease nor yanked. It is absent if there is none.
	Latest string `json:"latest,omitempty"`

	// Tags counts all tags.
	Tags int `json:"tags"`

	// Updated is when a tag was written last.
	Updated time.Time `json:"updated,omitzero"`
}

// A PackageInfo is a package with its latest version.
type PackageInfo struct {
	Package

	// Created is when something was pushed into the repository first.
	Created time.Time `json:"created"`

	// LatestVersion describes Latest.
	LatestVersion *VersionInfo `json:"latestVersion,omitempty"`
}

// A Verdict is what policy makes of a version when it is pulled.
type Verdict string

// The verdicts, from best to worst. None means that no policy was asked.
const (
	VerdictNone  Verdict = "none"
	VerdictAllow Verdict = "allow"
	VerdictWarn  Verdict = "warn"
	VerdictDeny  Verdict = "deny"
)

// A NoticeState is what people say about a version.
type NoticeState string

// The states. A yanked version is in no list of tags and chosen by no range; who
// names it gets it.
const (
	NoticeDeprecated NoticeState = "deprecated"
	NoticeYanked     NoticeState = "yanked"
)

// A Notice is what somebody said about a version.
type Notice struct {
	State  NoticeState `json:"state"`
	Reason string      `json:"reason,omitempty"`

	// By is who said so. Callers who have not logged in are not told.
	By   string    `json:"by,omitempty"`
	Time time.Time `json:"time,omitzero"`
}

// A Version is one tag of a package.
type Version struct {
	Package    string `json:"package"`
	Repository string `json:"repository"`

	// Tag is absent for a version that was asked for by digest and has no tag.
	Tag string `json:"tag,omitempty"`

	// Version is the semantic version that Tag stands for, with "+" where the tag
	// has "_". It is absent if it stands for none.
	Version string `json:"version,omitempty"`

	Prerelease bool `json:"prerelease,omitempty"`

	// Latest is whether this is the package's latest version.
	Latest bool `json:"latest,omitempty"`

	Digest       digest.Digest `json:"digest"`
	MediaType    string        `json:"mediaType"`
	ArtifactType string        `json:"artifactType,omitempty"`

	// Size of the manifest in bytes.
	Size int64 `json:"size"`

	// Created is when the manifest was pushed, Updated when the tag was written
	// last.
	Created time.Time `json:"created"`
	Updated time.Time `json:"updated,omitzero"`

	Verdict Verdict `json:"verdict"`

	// Ingested is whether the version has been inspected and indexed.
	Ingested bool `json:"ingested"`

	// Downloads counts pulls of the manifest, under any name.
	Downloads int64 `json:"downloads"`

	Notice *Notice `json:"notice,omitempty"`
	Metadata
}

// Metadata is what a version's author says about it, from the annotations of the
// manifest, else from the sections of its binary.
type Metadata struct {
	Title         string `json:"title,omitempty"`
	Description   string `json:"description,omitempty"`
	Licenses      string `json:"licenses,omitempty"` // an SPDX expression, unchecked
	Authors       string `json:"authors,omitempty"`
	Source        string `json:"source,omitempty"`
	Homepage      string `json:"homepage,omitempty"`
	Documentation string `json:"documentation,omitempty"`
	Revision      string `json:"revision,omitempty"`
}

// A VersionInfo is everything a page shows of a version.
type VersionInfo struct {
	Version

	// Tags are all that name this digest, yanked ones aside.
	Tags []string `json:"tags"`

	// Subject is the manifest that this one is about.
	Subject digest.Digest `json:"subject,omitempty"`

	Annotations map[string]string `json:"annotations"`

	// Readme is Markdown, from the annotation io.wreg.readme. It is the author's:
	// whoever shows it cleans it first.
	Readme string `json:"readme,omitempty"`

	// Files are what the version is made of.
	Files []File `json:"files"`

	// SBOM and Vulnerabilities are absent as long as nothing is known of them, and
	// of what refers to another version.
	SBOM            *SBOMSummary         `json:"sbom,omitempty"`
	Vulnerabilities *VulnerabilityCounts `json:"vulnerabilities,omitempty"`

	// Reasons are the rules behind Verdict.
	Reasons []Violation `json:"reasons"`
}

// A File is a Wasm file of a version, or a layer in which there is none.
type File struct {
	// Name is the title of its layer, its path in an archive, or both. It is absent
	// if it has none.
	Name string `json:"name,omitempty"`

	// Digest is of the file itself, Layer of the blob it is in: the same one unless
	// that is an archive. Digest is absent if the file could not be read.
	Digest    digest.Digest `json:"digest,omitempty"`
	Layer     digest.Digest `json:"layer"`
	MediaType string        `json:"mediaType,omitempty"` // of the layer

	// Size in bytes.
	Size int64 `json:"size"`

	// Analysed is whether the registry has looked into it.
	Analysed bool `json:"analysed"`

	// Report is the digest of its inspection report. It is absent if there is none.
	Report digest.Digest `json:"report,omitempty"`

	// Kind is "module", "component" or "wit-package".
	Kind string `json:"kind,omitempty"`

	// Problem says why it is no valid WebAssembly.
	Problem string `json:"problem,omitempty"`

	Language   string   `json:"language,omitempty"`
	Toolchains []string `json:"toolchains,omitempty"`

	// WASI is "none", "wasip1", "wasip2" or "wasip3"; Host is what it was made for.
	WASI string `json:"wasi,omitempty"`
	Host string `json:"host,omitempty"`

	// Target is the world that a component fits.
	Target string `json:"target,omitempty"`

	// Capabilities are what it may do to the world around it.
	Capabilities []string `json:"capabilities,omitempty"`

	// Imports and Exports are the interfaces of a component; of a module, the
	// modules it imports from and the names it exports. They may be cut.
	Imports []string `json:"imports,omitempty"`
	Exports []string `json:"exports,omitempty"`

	// Functions counts those that are defined.
	Functions int64 `json:"functions,omitempty"`
}

// A Resolution is what a range stands for.
type Resolution struct {
	Range   string  `json:"range"`
	Version Version `json:"version"`
}

// A NoticeRequest yanks or deprecates a version, or takes that back.
type NoticeRequest struct {
	// Reason is for those who use the version.
	Reason string `json:"reason,omitempty" jsonschema:"maxLength=1000"`
}

// Downloads are counts of pulls by day.
type Downloads struct {
	Package string `json:"package"`

	// Total counts those of the days listed.
	Total int64         `json:"total"`
	Days  []DownloadDay `json:"days"`
}

// A DownloadDay counts the pulls of one day. Days without any are left out.
type DownloadDay struct {
	Day   string `json:"day" jsonschema:"format=date"` // in UTC
	Count int64  `json:"count"`
}
