// Package wire is what the catalog API says and hears, /api/v1: plain structs
// for its JSON, shared by server, client and pages.
//
// Field names are lowerCamelCase, times are RFC 3339 in UTC, sizes are bytes.
// Lists are never null. The OpenAPI document of the API is made of these types
// and their comments. Fields may be added within version 1; readers ignore those
// they do not know. Files are named after what they are about; names.go has how
// packages are written in addresses, problem.go the form of errors.
package wire

// Media types of answers.
const (
	MediaTypeJSON     = "application/json"
	MediaTypeProblem  = "application/problem+json"
	MediaTypeReport   = "application/vnd.wreg.report.v1+json"
	MediaTypeMarkdown = "text/markdown"
	MediaTypeEvents   = "text/event-stream"
)

// Base is where the API begins.
const Base = "/api/v1"

// A List is one page of a listing.
type List[T any] struct {
	// Items are the entries of this page.
	Items []T `json:"items"`

	// Next asks for the page after this one, as the parameter cursor. It is absent
	// at the end. It stands for a place in the order and not for a number of
	// entries, so what is added before it shifts nothing.
	Next string `json:"next,omitempty"`
}
