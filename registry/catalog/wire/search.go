package wire

import (
	"time"

	"github.com/opencontainers/go-digest"
)

// A SearchResult is one page of what a query finds.
type SearchResult struct {
	List[Hit]

	// Count is how many there are in all, "10k+" being CountIsLeast with 10000.
	Count        int64 `json:"count"`
	CountIsLeast bool  `json:"countIsLeast,omitempty"`

	// Facets are the most frequent values among all that is found, for those that
	// were asked for.
	Facets []Facet `json:"facets,omitempty"`

	// Plan is how the query was answered, if that was asked for.
	Plan []Step `json:"plan,omitempty"`
}

// A Hit is a version that a query finds.
type Hit struct {
	Package    string        `json:"package"`
	Repository string        `json:"repository"`
	Digest     digest.Digest `json:"digest"`

	// Tags are the first of those that name it, the highest versions first; Version
	// is the highest semantic version among them.
	Tags    []string `json:"tags"`
	Version string   `json:"version,omitempty"`

	// Latest is whether it is the package's latest version.
	Latest bool `json:"latest,omitempty"`

	// Notice is what people say about Version.
	Notice  NoticeState `json:"notice,omitempty"`
	Verdict Verdict     `json:"verdict"`

	Title       string `json:"title,omitempty"`
	Description string `json:"description,omitempty"`
	Licenses    string `json:"licenses,omitempty"`

	// Kind, WASI, Target, Language, Toolchain and Host are those of its largest file.
	Kind      string `json:"kind,omitempty"`
	WASI      string `json:"wasi,omitempty"`
	Target    string `json:"target,omitempty"`
	Language  string `json:"language,omitempty"`
	Toolchain string `json:"toolchain,omitempty"`
	Host      string `json:"host,omitempty"`

	// Size in bytes of all its files that hold Wasm, which Files counts.
	Size  int64 `json:"size"`
	Files int   `json:"files"`

	// Capabilities are what the files may do to the world around them, Hidden those
	// of them that only an adapter in a component declares.
	Capabilities []string `json:"capabilities"`
	Hidden       []string `json:"hidden,omitempty"`

	// Signals are what deserves a second look.
	Signals []string `json:"signals,omitempty"`

	// Problem says why a file is no valid WebAssembly.
	Problem string `json:"problem,omitempty"`

	// SBOM and Vulnerabilities are absent as long as nothing is known of them.
	SBOM            *SBOMSummary         `json:"sbom,omitempty"`
	Vulnerabilities *VulnerabilityCounts `json:"vulnerabilities,omitempty"`

	Updated   time.Time `json:"updated"`
	Downloads int64     `json:"downloads"`

	// Why are the parts of the query that it answers, of a search.
	Why []Match `json:"why,omitempty"`
}

// A Match says by what a hit answers a part of the query.
type Match struct {
	// Clause is that part as it was written, "imports:wasi:sockets/*".
	Clause string `json:"clause"`

	// Terms are what it met, at most a few; none for what is met by absence.
	Terms []string `json:"terms"`
}

// A Facet counts the values of one property.
type Facet struct {
	Name   string       `json:"name"`
	Values []FacetValue `json:"values"`
}

// A FacetValue is a value and how many of the versions found have it, as Count of
// a SearchResult is.
type FacetValue struct {
	Value        string `json:"value"`
	Count        int64  `json:"count"`
	CountIsLeast bool   `json:"countIsLeast,omitempty"`
}

// A Step is one part of how a query was answered. Counts are of what the caller
// may see.
type Step struct {
	Clause       string `json:"clause"`
	How          string `json:"how"` // "terms", "range", "and", "or", "not" or another word
	Terms        int64  `json:"terms,omitempty"`
	Count        int64  `json:"count"`
	CountIsLeast bool   `json:"countIsLeast,omitempty"`
}

// An Interface is a name that packages export or import: "wasi:http/types@0.2.0",
// or the name of a module of imports.
type Interface struct {
	Name string `json:"name"`

	// Exporters and Importers count versions.
	Exporters int64 `json:"exporters"`
	Importers int64 `json:"importers"`
}

// InterfaceUse says which versions offer and need an interface: the first page of
// each, and searches for the rest.
type InterfaceUse struct {
	Name      string `json:"name"`
	Exporters Users  `json:"exporters"`
	Importers Users  `json:"importers"`
}

// Users are the versions of a kind.
type Users struct {
	Items        []Hit `json:"items"`
	Count        int64 `json:"count"`
	CountIsLeast bool  `json:"countIsLeast,omitempty"`

	// Query finds them all by search.
	Query string `json:"query"`
}

// A Similar is a version that shares functions with another.
type Similar struct {
	Hit

	// Layer and Other are the blobs that share most, of the version asked about and
	// of this one.
	Layer digest.Digest `json:"layer"`
	Other digest.Digest `json:"other"`

	// Shared counts the functions that both have, of Sample of Other that were
	// compared. Functions counts all that Other has.
	Shared    int `json:"shared"`
	Sample    int `json:"sample"`
	Functions int `json:"functions"`
}
