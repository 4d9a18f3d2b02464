package httpx

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
)

// refuse answers for a layer above the handlers: below /v2/ in the JSON of the
// distribution specification, elsewhere in plain text. What stays unread of the
// request's body ends the connection.
func refuse(w http.ResponseWriter, r *http.Request, status int, code, message string) {
	body := []byte(message + "\n")
	kind := "text/plain; charset=utf-8"
	if strings.HasPrefix(r.URL.Path, "/v2/") {
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
