package catalog

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/wreg-project/wreg/registry/auth"
	"github.com/wreg-project/wreg/registry/catalog/wire"
	"github.com/wreg-project/wreg/registry/policy"
	"github.com/wreg-project/wreg/storage/meta"
)

// problems gives status and title of each code. A status of 400 says that the
// request is not of the documented form, 422 that it is, and still cannot be
// understood.
var problems = map[wire.Code]struct {
	status int
	title  string
}{
	wire.CodeBadRequest:      {http.StatusBadRequest, "The request is not of the documented form"},
	wire.CodeUnauthenticated: {http.StatusUnauthorized, "Log in first"},
	wire.CodeForbidden:       {http.StatusForbidden, "You may not do this"},
	wire.CodeCrossOrigin:     {http.StatusForbidden, "Writes from other origins are refused"},
	wire.CodeNotFound:        {http.StatusNotFound, "Not found"},
	wire.CodeMethod:          {http.StatusMethodNotAllowed, "The address has no such method"},
	wire.CodeNotAcceptable:   {http.StatusNotAcceptable, "No form of the answer is acceptable"},
	wire.CodeConflict:        {http.StatusConflict, "Not in the state that this needs"},
	wire.CodePrecondition:    {http.StatusPreconditionFailed, "The precondition does not hold"},
	wire.CodeTooLarge:        {http.StatusRequestEntityTooLarge, "The body is too large"},
	wire.CodeMediaType:       {http.StatusUnsupportedMediaType, "The body has to be JSON"},
	wire.CodeInvalidCursor:   {http.StatusUnprocessableEntity, "The cursor is not of this listing"},
	wire.CodeInvalidQuery:    {http.StatusUnprocessableEntity, "The query cannot be read"},
	wire.CodeInvalidPolicy:   {http.StatusUnprocessableEntity, "The policy cannot be read"},
	wire.CodeInvalidRange:    {http.StatusUnprocessableEntity, "The range of versions cannot be read"},
	wire.CodeInvalidResult:   {http.StatusUnprocessableEntity, "This is not the result of the job"},
	wire.CodeInvalidTarget:   {http.StatusUnprocessableEntity, "These are no targets of native code"},
	wire.CodeNotAnalysed:     {http.StatusNotFound, "There is no report"},
	wire.CodeTooManyRequests: {http.StatusTooManyRequests, "Too many requests at once"},
	wire.CodeMisdirected:     {http.StatusMisdirectedRequest, "The request was for another host"},
	wire.CodeInternal:        {http.StatusInternalServerError, "The server has a problem of its own"},
	wire.CodeUnavailable:     {http.StatusServiceUnavailable, "The server cannot answer now"},
}

// typeBase is where the codes are described.
const typeBase = "https://wreg.dev/problems/"

// problemOf says of err what the caller may know. Of the server's own trouble
// that is nothing.
func problemOf(err error) *wire.Problem {
	p := &wire.Problem{Code: wire.CodeInternal, Detail: "the server's log describes it under the id of this request"}
	var given *wire.Problem
	var method *methodError
	var large *http.MaxBytesError
	var faults policy.Errors
	switch {
	case errors.As(err, &faults):
		p = policyProblem(faults)
	case errors.Is(err, policy.ErrTooLarge):
		p = &wire.Problem{Code: wire.CodeInvalidPolicy, Detail: err.Error()}
	case errors.As(err, &given):
		copied := *given
		p = &copied
	case errors.As(err, &method):
		p = &wire.Problem{Code: wire.CodeMethod, Detail: "methods here are " + strings.Join(method.allow, ", ")}
	case errors.As(err, &large):
		p = &wire.Problem{Code: wire.CodeTooLarge, Detail: "the body has more than " + strconv.FormatInt(large.Limit, 10) + " bytes"}
	case errors.Is(err, auth.ErrCredentials):
		p = &wire.Problem{Code: wire.CodeUnauthenticated, Detail: "the credentials sent are wrong"}
	case errors.Is(err, meta.ErrNotFound), errors.Is(err, meta.ErrRepository):
		p = &wire.Problem{Code: wire.CodeNotFound, Detail: "it is not here, or not any more"}
	case errors.Is(err, meta.ErrConflict):
		p = &wire.Problem{Code: wire.CodeConflict, Detail: "somebody else changed it or is at it", Hint: "look at it again"}
	case errors.Is(err, meta.ErrClosed), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		p = &wire.Problem{Code: wire.CodeUnavailable, Detail: "the request was ended before its answer", Hint: "try again"}
	}
	known := problems[p.Code]
	p.Type, p.Title, p.Status = typeBase+string(p.Code), known.title, known.status
	return p
}

// writeProblem sends p.
func (a *API) writeProblem(w http.ResponseWriter, r *http.Request, p *wire.Problem, err error) {
	p.Request = requestID(r)
	h := w.Header()
	var method *methodError
	switch {
	case errors.As(err, &method):
		h.Set("Allow", strings.Join(method.allow, ", "))
	case p.Status == http.StatusUnauthorized:
		h.Set("WWW-Authenticate", a.challenge())
	case p.Status == http.StatusServiceUnavailable || p.Status == http.StatusTooManyRequests:
		h.Set("Retry-After", strconv.Itoa(max(p.RetryAfter, 1)))
	}
	body, merr := json.Marshal(p)
	if merr != nil {
		body = []byte(`{"status":` + strconv.Itoa(p.Status) + `}`) // cannot be: texts and numbers
	}
	h.Set("Content-Type", wire.MediaTypeProblem)
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(p.Status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // a client that is gone needs no error
	}
}

func (a *API) challenge() string {
	if a.Auth == nil {
		return `Basic realm="wreg"`
	}
	return a.Auth.Challenge()
}
