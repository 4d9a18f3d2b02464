// Package search finds packages by what their binaries are and do.
//
// [Describe] turns reports and metadata into a document of package meta: terms
// that can be looked for, numbers to sort by, and what a listing shows. [Parse]
// reads the query language, which docs/spec/search.md describes, and [Search]
// answers a query from the inverted index, for a caller who sees no more than a
// [meta.Visibility] lets them. It knows no SQL and no HTTP.
package search

import (
	"encoding/json"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/storage/meta"
)

// MaxCount is how far documents are counted. Beyond it a count says "at least".
const MaxCount = 10_000

// Bounds of a request.
const (
	DefaultLimit = 20
	MaxLimit     = 100
	MaxFacets    = 8   // facets of one request
	FacetValues  = 20  // values of one facet
	MaxCursor    = 400 // bytes of a cursor
)

// A Sort is an order of hits.
type Sort string

// The orders. All are descending unless the request says ascending, but for
// SortName, which ascends, and SortRelevance, which has one direction only.
const (
	// SortRelevance puts those first whose name has all words of the query, then
	// those whose name has some, and of equals the latest versions, then the most
	// pulled. It is the default.
	SortRelevance Sort = "relevance"
	SortUpdated   Sort = "updated"
	SortSize      Sort = "size"
	SortPulls     Sort = "pulls"
	SortName      Sort = "name"
)

// Request is one search.
type Request struct {
	Query      *Query // nil for everything
	Visibility meta.Visibility
	Sort       Sort
	Ascending  bool // turns SortUpdated, SortSize and SortPulls round
	Descending bool // turns SortName round
	Cursor     string
	Limit      int      // hits of a page; 0 is DefaultLimit, and more than MaxLimit is MaxLimit
	Facets     []string // operators whose values are counted over all hits: [FacetOperators]
	Explain    bool     // fill in Result.Plan
}

// Result is a page of hits.
type Result struct {
	Hits []Hit
	// Count is how many there are on all pages, exact up to MaxCount. If
	// CountIsLeast, there are more.
	Count        int
	CountIsLeast bool
	Facets       []Facet
	// Next is the cursor of the next page, "" at the end. A page sorted by name
	// may be shorter than its limit without being the last.
	Next string
	Plan []Step // how the query was answered, if asked for
}

// Hit is one document.
type Hit struct {
	Repo    string
	Digest  digest.Digest
	Size    int64 // bytes of its Wasm
	Updated time.Time
	Pulls   int64
	Body    json.RawMessage // a [Listing]
	Why     []Match
}

// A Match says which part of the query a hit answers, and by what.
type Match struct {
	Clause string `json:"clause"` // as it was written: "imports:wasi:sockets/*"
	// Terms of the document that it matched, at most a few; of a range, the value;
	// none for a clause that is satisfied by what the document lacks.
	Terms []string `json:"terms,omitempty"`
}

// Facet counts hits by the values of an operator.
type Facet struct {
	Operator string       `json:"operator"`
	Values   []FacetValue `json:"values"` // most first
}

// FacetValue is one value of a facet. Count is exact up to MaxCount.
type FacetValue struct {
	Value        string `json:"value"`
	Count        int    `json:"count"`
	CountIsLeast bool   `json:"countIsLeast,omitempty"`
}

// A Step is one part of a plan. Counts are of documents that the caller may see.
type Step struct {
	Clause       string `json:"clause"`
	How          string `json:"how"` // "terms", "range", "and", "or", "not", …
	Terms        int    `json:"terms,omitempty"`
	Count        int    `json:"count"`
	CountIsLeast bool   `json:"countIsLeast,omitempty"`
}
