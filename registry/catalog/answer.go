package catalog

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/wreg-project/wreg/registry/catalog/wire"
)

// An answer is what a handler found.
type answer struct {
	status int // 0 is 200
	body   any // marshalled as JSON; nil for none

	// Or text of a media type, or a stream of so many bytes, which is closed.
	mediaType string
	text      []byte
	stream    io.ReadCloser
	size      int64
	etag      string // of the stream, without quotes
}

// found is a page or thing that was asked for.
func found(body any) (answer, error) { return answer{body: body}, nil }

// write sends what a handler found, or 304 if the caller has it already.
func (a *API) write(w http.ResponseWriter, q *request, got answer) error {
	if got.stream != nil {
		defer func() { _ = got.stream.Close() }() // read only
	} else if err := got.render(); err != nil {
		return err
	}
	h := w.Header()
	h.Set("Cache-Control", "private, no-cache")
	h["Vary"] = []string{"Accept, Authorization"}
	if got.status == 0 {
		got.status = http.StatusOK
	}
	if got.status == http.StatusNoContent {
		w.WriteHeader(got.status)
		return nil
	}
	if q.op.method == http.MethodGet || q.op.matches {
		h.Set("ETag", `"`+got.etag+`"`)
	}
	if q.op.method == http.MethodGet && listed(q.http.Header["If-None-Match"], got.etag, true) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	h.Set("Content-Type", got.mediaType)
	h.Set("Content-Length", strconv.FormatInt(got.size, 10))
	w.WriteHeader(got.status)
	if q.http.Method == http.MethodHead {
		return nil
	}
	if got.stream == nil {
		_, _ = w.Write(got.text) // the client is gone: nobody is left to tell
		return nil
	}
	if n, err := io.Copy(w, got.stream); err != nil || n != got.size {
		panic(http.ErrAbortHandler) // the status is sent: cut, so that nobody takes this for the whole
	}
	return nil
}

// render makes bytes and their tag of the body.
func (got *answer) render() error {
	if got.body != nil {
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false) // nosniff is set, and the type is no page's
		if err := enc.Encode(got.body); err != nil {
			return fmt.Errorf("answer of type %T: %w", got.body, err)
		}
		got.text, got.mediaType = b.Bytes(), wire.MediaTypeJSON
	}
	got.size = int64(len(got.text))
	got.etag = tagOf(got.text)
	return nil
}

// tagOf is a strong entity tag of content, without quotes.
func tagOf(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:16])
}

// etagOf is the entity tag that an answer with this body has.
func etagOf(body any) (string, error) {
	got := answer{body: body}
	err := got.render()
	return got.etag, err
}

// listed reports whether entity tags of a header name tag, or are a star. Weak
// ones count only where RFC 9110 compares weakly.
func listed(values []string, tag string, weak bool) bool {
	for _, value := range values {
		for one := range strings.SplitSeq(value, ",") {
			one = strings.TrimSpace(one)
			if one == "*" {
				return true
			}
			bare, isWeak := strings.CutPrefix(one, "W/")
			if (weak || !isWeak) && bare == `"`+tag+`"` {
				return true
			}
		}
	}
	return false
}

// accept chooses among offers, the first being the default, by the Accept
// headers of the request. No suitable one is a problem.
func (q *request) accept(offers ...string) (string, error) {
	values := q.http.Header.Values("Accept")
	if len(offers) == 0 {
		return "", nil
	}
	if len(values) == 0 {
		return offers[0], nil
	}
	best, quality := "", 0.0
	for _, offer := range offers {
		if w := weigh(values, offer); w > quality {
			best, quality = offer, w
		}
	}
	if best == "" {
		return "", &wire.Problem{Code: wire.CodeNotAcceptable, Detail: "answers are " + strings.Join(offers, " or ")}
	}
	return best, nil
}

// weigh gives the quality that Accept headers give a media type: that of the most
// specific range which covers it, and 0 if none does.
func weigh(values []string, offer string) float64 {
	best, quality := -1, 0.0
	for _, value := range values {
		for item := range strings.SplitSeq(value, ",") {
			rng, params, err := mime.ParseMediaType(item)
			if err != nil && rng == "" {
				continue
			}
			specific := slices.Index([]string{"*/*", offer[:strings.IndexByte(offer, '/')] + "/*", offer}, rng)
			if specific < 0 || specific < best {
				continue
			}
			w := 1.0
			if s, ok := params["q"]; ok {
				if w, err = strconv.ParseFloat(s, 64); err != nil || w < 0 || w > 1 {
					continue
				}
			}
			best, quality = specific, w
		}
	}
	return quality
}
