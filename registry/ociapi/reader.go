package ociapi

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/registry"
	"github.com/wreg-project/wreg/registry/policy"
)

// getBase serves end-1, GET /v2/: it tells clients that this is a registry, and
// whether they have to log in.
func (a *api) getBase(w http.ResponseWriter, r *http.Request, _ call) error {
	return writeJSON(w, r, "application/json", struct{}{})
}

// getBlob serves end-2, GET and HEAD /v2/<name>/blobs/<digest>.
func (a *api) getBlob(w http.ResponseWriter, r *http.Request, c call) error {
	b, err := a.reg.Blob(r.Context(), c.repo, c.digest, registry.Caller{
		Principal: c.caller, Approver: a.access.May(c.caller, policy.Approve, c.repo).Allowed,
	})
	if err != nil {
		return err
	}
	return serve(w, r, content{
		digest: c.digest, mediaType: "application/octet-stream", size: b.Size,
		open: func(s span) (io.ReadCloser, error) { return a.reg.OpenBlob(r.Context(), b, s.off, s.n) },
	})
}

// getManifest serves end-3, GET and HEAD /v2/<name>/manifests/<reference>. A
// manifest is sent as it was pushed, whatever the client says it accepts:
// converting it would change its digest, and refusing it helps nobody.
func (a *api) getManifest(w http.ResponseWriter, r *http.Request, c call) error {
	m, err := a.reg.Manifest(r.Context(), c.repo, c.ref)
	if err != nil {
		return err
	}
	warning, err := a.reg.Warning(r.Context(), m)
	if err != nil {
		return err
	}
	if warning != "" {
		w.Header().Set("Warning", warningHeader(warning))
	}
	return serve(w, r, content{
		digest: m.Digest, mediaType: m.MediaType, size: int64(len(m.Content)),
		open: func(s span) (io.ReadCloser, error) {
			if s.off == 0 { // and not for each part of it
				a.reg.CountDownload(m)
			}
			return io.NopCloser(bytes.NewReader(m.Content[s.off : s.off+s.n])), nil
		},
	})
}

// warningHeader gives a text the form in which the specification wants
// warnings: code 299, no agent, a quoted string without control characters, at
// most 4096 bytes in all.
func warningHeader(text string) string {
	var b strings.Builder
	b.WriteString(`299 - "`)
	for _, c := range []byte(text) {
		if b.Len() > 4000 {
			break
		}
		switch {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < ' ' || c > '~':
			b.WriteByte('?')
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// content is something that GET and HEAD are answered with.
type content struct {
	digest    digest.Digest
	mediaType string
	size      int64 // bytes
	open      func(span) (io.ReadCloser, error)
}

// serve answers GET and HEAD, conditional and for a range or not.
func serve(w http.ResponseWriter, r *http.Request, c content) error {
	h := w.Header()
	h["Docker-Content-Digest"] = []string{c.digest.String()}
	h["Etag"] = []string{etag(c.digest)}
	if err := checkMatch(r.Header, c.digest); err != nil {
		return err
	}
	if fresh(r.Header, c.digest) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	part, status := span{0, c.size}, http.StatusOK
	h["Accept-Ranges"] = acceptRanges
	if header := rangeWanted(r.Header, c.digest); header != "" {
		s, ok, err := parseRange(header, c.size)
		if err != nil {
			h.Set("Content-Range", fmt.Sprintf("bytes */%d", c.size))
			return err
		}
		if ok {
			part, status = s, http.StatusPartialContent
			h.Set("Content-Range", part.contentRange(c.size))
		}
	}
	// Type and length are set before anything is written: without them net/http
	// looks at the first bytes itself and cannot hand the file to the kernel.
	h["Content-Type"] = []string{c.mediaType}
	h["Content-Length"] = []string{strconv.FormatInt(part.n, 10)}
	if r.Method == http.MethodHead {
		w.WriteHeader(status)
		return nil
	}
	body, err := c.open(part)
	if err != nil {
		for _, name := range []string{"Content-Range", "Accept-Ranges", "Docker-Content-Digest", "Etag"} {
			h.Del(name)
		}
		return err
	}
	defer body.Close()
	w.WriteHeader(status)
	if _, err := io.CopyN(w, body, part.n); err != nil {
		panic(http.ErrAbortHandler) // the status is sent: cut the connection, so that no one takes this for the whole
	}
	return nil
}

var acceptRanges = []string{"bytes"}
