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
}

// A Hit is a version that a query finds.
type Hit struct {
	Package    string        `json:"package"`
	Repository string        `json:"repository"`
	Digest     digest.Digest `json:"digest"`
	Tags       []string      `json:"tags"`

	// Version is the highest semantic version among the tags.
	Version string `json:"version,omitempty"`
	Latest  bool   `json:"latest,omitempty"`

	Title       string `json:"title,omitempty"`
	Description string `json:"description,omitempty"`
	Licenses    string `json:"licenses,omitempty"`

	// Kinds, Languages, WASI and Capabilities are those of all its files.
	Kinds        []string `json:"kinds"`
	Languages    []string `json:"languages"`
	WASI         []string `json:"wasi"`
	Capabilities []string `json:"capabilities"`

	// Size in bytes of its Wasm.
	Size      int64       `json:"size"`
	Updated   time.Time   `json:"updated"`
	Downloads int64       `json:"downloads"`
	Verdict   Verdict     `json:"verdict"`
	Notice    NoticeState `json:"notice,omitempty"`

	// Why lists the words of the query that it was found by, with what they met.
	Why []string `json:"why"`
}

// A Facet counts the values of one property.
type Facet struct {
	Name   string       `json:"name"`
	Values []FacetValue `json:"values"`
}

// A FacetValue is a value and how many of the versions found have it.
type FacetValue struct {
	Value string `json:"value"`
	Count int64  `json:"count"`
}

// An Interface is a name that packages export or import: "wasi:http/types@0.2.0",
// or the name of a module of imports.
type Interface struct {
	Name      string `json:"name"`
	Exporters int64  `json:"exporters"`
	Importers int64  `json:"importers"`
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

// A FunctionUse is a version that contains a function.
type FunctionUse struct {
	Hit

	// Files are the digests of those of its files that have the function.
	Files []digest.Digest `json:"files"`
}

// A Similar is a version that shares functions with another.
type Similar struct {
	Hit

	// File and Other are the files that share most, of the version asked about and
	// of this one.
	File  digest.Digest `json:"file"`
	Other digest.Digest `json:"other"`

	// Shared counts the functions that both have, of Sample that were compared.
	// Functions counts all that Other has.
	Shared    int `json:"shared"`
	Sample    int `json:"sample"`
	Functions int `json:"functions"`
}
