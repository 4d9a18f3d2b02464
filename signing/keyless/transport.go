package keyless

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

const (
	maxAnswer = 1 << 20 // bytes of an answer of a service
	tries     = 3       // of a request that a service is too busy for
	firstWait = 500 * time.Millisecond
)

// A transport sends the requests of one signature to a service: under the context
// of the signature, which the requests of the library behind do not have, again
// when the service is busy, and with errors that say what the service said.
type transport struct {
	ctx   context.Context // of the signature: one transport serves one
	doing string
	hint  func(status int) string // may be nil
	raw   bool                    // statuses other than of a busy service are for the caller
	base  http.RoundTripper       // http.DefaultTransport if nil
}

func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(req.Context())
	defer cancel()
	defer context.AfterFunc(t.ctx, cancel)()
	wait := firstWait
	for try := 1; ; try++ {
		resp, err := t.once(req.Clone(ctx))
		if err == nil || try == tries || !busy(err) || req.GetBody == nil {
			return resp, err
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil, &Error{Doing: t.doing, Err: fmt.Errorf("%w (%w)", context.Cause(ctx), err)}
		case <-timer.C:
		}
		wait *= 2
		if req.Body, err = req.GetBody(); err != nil {
			return nil, &Error{Doing: t.doing, Err: err}
		}
	}
}

// once sends a request and reads the whole answer, so that nothing depends on the
// context any more.
func (t *transport) once(req *http.Request) (*http.Response, error) {
	base := t.base
	if base == nil {
		base = http.DefaultTransport
	}
	resp, err := base.RoundTrip(req)
	if err != nil {
		return nil, &Error{Doing: t.doing, Err: err}
	}
	defer resp.Body.Close()
	text, err := readAll(resp.Body)
	if err != nil {
		return nil, &Error{Doing: t.doing, Err: err}
	}
	if status := (&statusError{resp.StatusCode, said(text)}); status.status >= 400 && (!t.raw || busy(status)) {
		e := &Error{Doing: t.doing, Err: status}
		if t.hint != nil {
			e.Hint = t.hint(resp.StatusCode)
		}
		return nil, e
	}
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(text)), int64(len(text))
	return resp, nil
}

// readAll reads at most maxAnswer bytes.
func readAll(r io.Reader) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxAnswer+1))
	if err == nil && len(text) > maxAnswer {
		err = fmt.Errorf("the answer has more than %d bytes", maxAnswer)
	}
	return text, err
}

// A statusError is an answer that is none.
type statusError struct {
	status int
	said   string
}

func (e *statusError) Error() string {
	return strings.TrimSuffix(fmt.Sprintf("%d %s: %s", e.status, http.StatusText(e.status), e.said), ": ")
}

// busy reports whether the service may answer another time.
func busy(err error) bool {
	var e *statusError
	return errors.As(err, &e) && (e.status == http.StatusTooManyRequests || e.status >= 500)
}

// said is what an answer has to say: the message of Google's and Sigstore's JSON,
// or the first line.
func said(text []byte) string {
	var answer struct {
		Message string `json:"message"`
	}
	if json.Unmarshal(text, &answer) == nil && answer.Message != "" {
		text = []byte(answer.Message)
	}
	line, _, _ := strings.Cut(strings.TrimSpace(string(text)), "\n")
	return line[:min(len(line), maxError)]
}
