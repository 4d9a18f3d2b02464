package wire

import "strings"

// A Problem is an error of the API, as RFC 9457 has it. Branch on Code; the texts
// are for people.
type Problem struct {
	// Type is the address of what docs/spec/api.md says about Code.
	Type string `json:"type"`

	// Title is the same for every problem of a Code.
	Title string `json:"title"`

	// Status is the one of the answer.
	Status int `json:"status"`

	// Detail says what is wrong with this request.
	Detail string `json:"detail,omitempty"`

	// Code tells kinds of problems apart.
	Code Code `json:"code"`

	// Hint says what to do about it.
	Hint string `json:"hint,omitempty"`

	// RetryAfter is the header Retry-After, in seconds; 0 is none.
	RetryAfter int `json:"-"`

	// Request is the id of the request, which the server's log has too.
	Request string `json:"request,omitempty"`

	// Parameter is the one that is at fault.
	Parameter string `json:"parameter,omitempty"`

	// Line and Column say where in a query or a policy the fault is, from one on.
	Line   int `json:"line,omitempty"`
	Column int `json:"column,omitempty"`

	// Offset is the byte of the request's body where the fault is.
	Offset *int64 `json:"offset,omitempty"`
}

// A Code is a kind of problem.
type Code string

// The codes.
const (
	CodeBadRequest      Code = "bad-request"            // a parameter or body that is not of the documented form
	CodeUnauthenticated Code = "unauthenticated"        // log in first
	CodeForbidden       Code = "forbidden"              // the caller may read but not do this
	CodeCrossOrigin     Code = "cross-origin"           // a page of another origin tries to write
	CodeNotFound        Code = "not-found"              // there is none, or the caller may not know
	CodeMethod          Code = "method-not-allowed"     // the address has other methods
	CodeNotAcceptable   Code = "not-acceptable"         // no form of the answer suits Accept
	CodeConflict        Code = "conflict"               // not in the state that this needs
	CodePrecondition    Code = "precondition-failed"    // If-Match or If-None-Match does not hold
	CodeTooLarge        Code = "too-large"              // the body is longer than this takes
	CodeMediaType       Code = "unsupported-media-type" // a body has to be application/json
	CodeInvalidCursor   Code = "invalid-cursor"         // a cursor of another listing, or none of ours
	CodeInvalidQuery    Code = "invalid-query"          // the search query cannot be read
	CodeInvalidPolicy   Code = "invalid-policy"         // the policy cannot be read
	CodeInvalidRange    Code = "invalid-range"          // the range of versions cannot be read
	CodeInvalidResult   Code = "invalid-result"         // what a worker made is not what its job asks for
	CodeInvalidTarget   Code = "invalid-target"         // what native code is to be for is nothing that is known
	CodeNotAnalysed     Code = "not-analysed"           // there is no report, or not yet
	CodeTooManyRequests Code = "too-many-requests"      // too many of these at once
	CodeMisdirected     Code = "misdirected"            // a server without authentication was asked under another name than its own
	CodeInternal        Code = "internal"               // the server's own trouble; its log has more
	CodeUnavailable     Code = "unavailable"            // not now
)

// Codes lists all of them.
func Codes() []Code {
	return []Code{
		CodeBadRequest, CodeUnauthenticated, CodeForbidden, CodeCrossOrigin, CodeNotFound, CodeMethod, CodeNotAcceptable,
		CodeConflict, CodePrecondition, CodeTooLarge, CodeMediaType, CodeInvalidCursor, CodeInvalidQuery, CodeInvalidPolicy,
		CodeInvalidRange, CodeInvalidResult, CodeInvalidTarget, CodeNotAnalysed, CodeTooManyRequests, CodeMisdirected, CodeInternal,
		CodeUnavailable,
	}
}

// Error implements error: what is wrong, and what to do about it.
func (p *Problem) Error() string {
	var b strings.Builder
	b.WriteString(p.Title)
	if p.Detail != "" {
		b.WriteString(": ")
		b.WriteString(p.Detail)
	}
	if p.Hint != "" {
		b.WriteString(" (")
		b.WriteString(p.Hint)
		b.WriteString(")")
	}
	return b.String()
}
