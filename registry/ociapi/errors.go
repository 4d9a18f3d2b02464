package ociapi

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/wreg-project/wreg/registry"
	"github.com/wreg-project/wreg/registry/auth"
	"github.com/wreg-project/wreg/storage/meta"
)

// statuses are what the codes usually come with.
var statuses = map[registry.Code]int{
	registry.BlobUnknown:         http.StatusNotFound,
	registry.BlobUploadInvalid:   http.StatusBadRequest,
	registry.BlobUploadUnknown:   http.StatusNotFound,
	registry.DigestInvalid:       http.StatusBadRequest,
	registry.ManifestBlobUnknown: http.StatusBadRequest,
	registry.ManifestInvalid:     http.StatusBadRequest,
	registry.ManifestUnknown:     http.StatusNotFound,
	registry.NameInvalid:         http.StatusBadRequest,
	registry.NameUnknown:         http.StatusNotFound,
	registry.SizeInvalid:         http.StatusBadRequest,
	registry.Unauthorized:        http.StatusUnauthorized,
	registry.Denied:              http.StatusForbidden,
	registry.Unsupported:         http.StatusMethodNotAllowed,
	registry.TooManyRequests:     http.StatusTooManyRequests,
	registry.TagInvalid:          http.StatusBadRequest,
	registry.PageInvalid:         http.StatusBadRequest,
}

// errTooManyTags is the reason for 414.
var errTooManyTags = errors.New("too many tags in one request")

// methodError is 405 with the methods that would have been right.
type methodError struct{ allow []string }

func (e *methodError) Error() string {
	return "method not allowed, only " + strings.Join(e.allow, ", ")
}

func statusOf(err error) int {
	switch {
	case errors.Is(err, auth.ErrCredentials):
		return http.StatusUnauthorized
	case errors.Is(err, registry.ErrTooLarge):
		return http.StatusRequestEntityTooLarge
	case errors.Is(err, registry.ErrRange):
		return http.StatusRequestedRangeNotSatisfiable
	case errors.Is(err, registry.ErrPrecondition):
		return http.StatusPreconditionFailed
	case errors.Is(err, errTooManyTags):
		return http.StatusRequestURITooLong
	}
	var wrong *methodError
	if errors.As(err, &wrong) {
		return http.StatusMethodNotAllowed
	}
	var one *registry.Error
	if errors.As(err, &one) {
		if status, ok := statuses[one.Code]; ok {
			return status
		}
	}
	if errors.Is(err, meta.ErrClosed) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

// wireError is one entry of the specification's error body.
type wireError struct {
	Code    registry.Code `json:"code"`
	Message string        `json:"message"`
	Detail  any           `json:"detail,omitempty"`
}

// wireErrors says of err what the caller may know. Of the server's own trouble
// that is nothing.
func wireErrors(status int, err error) []wireError {
	var many registry.Errors
	if errors.As(err, &many) {
		all := make([]wireError, len(many))
		for i, e := range many {
			all[i] = wireError{e.Code, e.Message, e.Detail}
		}
		return all
	}
	var one *registry.Error
	var wrong *methodError
	switch {
	case errors.As(err, &one):
		return []wireError{{one.Code, one.Message, one.Detail}}
	case errors.As(err, &wrong):
		return []wireError{{registry.Unsupported, "the operation is unsupported here", map[string]any{"allow": wrong.allow}}}
	case errors.Is(err, auth.ErrCredentials):
		return []wireError{{registry.Unauthorized, "authentication required: the credentials sent are wrong", nil}}
	case status == http.StatusServiceUnavailable:
		return []wireError{{"UNAVAILABLE", "the registry cannot answer now: try again", nil}}
	default:
		return []wireError{{"UNKNOWN", "the registry has a problem of its own, which its log describes", nil}}
	}
}

// writeError sends the specification's error body.
func (a *api) writeError(w http.ResponseWriter, r *http.Request, status int, err error) {
	h := w.Header()
	var wrong *methodError
	switch {
	case errors.As(err, &wrong):
		h.Set("Allow", strings.Join(wrong.allow, ", "))
	case errors.Is(err, registry.ErrInUse):
		h.Set("Allow", "GET, HEAD")
	case status == http.StatusUnauthorized:
		h.Set("WWW-Authenticate", a.challenge())
	case status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests:
		h.Set("Retry-After", "5")
	}
	body, merr := json.Marshal(struct {
		Errors []wireError `json:"errors"`
	}{wireErrors(status, err)})
	if merr != nil { // a detail of a kind that JSON does not know
		body = []byte(`{"errors":[{"code":"UNKNOWN","message":"the error cannot be shown"}]}`)
	}
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // a client that is gone needs no error
	}
}

func (a *api) challenge() string {
	if a.auth == nil {
		return `Basic realm="wreg"`
	}
	return a.auth.Challenge()
}
