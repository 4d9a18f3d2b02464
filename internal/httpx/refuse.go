package httpx

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
)

// refuse answers for a layer above the handlers: below /v2/ in the JSON of the
// distribution specification, below /api/ as a problem of RFC 9457, elsewhere in
// plain text. What stays unread of the request's body ends the connection.
func refuse(w http.ResponseWriter, r *http.Request, status int, code, message string) {
	body := []byte(message + "\n")
	kind := "text/plain; charset=utf-8"
	switch {
	case strings.HasPrefix(r.URL.Path, "/api/"):
		kind = "application/problem+json"
		body, _ = json.Marshal(problem{
			Type: "https://wreg.dev/problems/" + problemCode(status), Title: http.StatusText(status), Status: status, Detail: message,
			Code: problemCode(status), Request: RequestID(r.Context()),
		})
	case strings.HasPrefix(r.URL.Path, "/v2/"):
		kind = "application/json"
		type wire struct {
			Code    string `json:"code"`
			Message string `json:"message"`
		}
		body, _ = json.Marshal(map[string][]wire{"errors": {{code, message}}})
	}
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // the client is gone: nobody is left to tell
	}
}

// problem is the form of errors of the catalog, which package wire describes.
type problem struct {
	Type    string `json:"type"`
	Title   string `json:"title"`
	Status  int    `json:"status"`
	Detail  string `json:"detail"`
	Code    string `json:"code"`
	Request string `json:"request,omitempty"`
}

// problemCode is the catalog's code for a status of a layer above the handlers.
func problemCode(status int) string {
	switch status {
	case http.StatusForbidden:
		return "cross-origin"
	case http.StatusMisdirectedRequest:
		return "misdirected"
	case http.StatusServiceUnavailable:
		return "unavailable"
	default:
		return "internal"
	}
}
