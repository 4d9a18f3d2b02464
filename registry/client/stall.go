package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"sync"
	"time"
)

// stallTransport ends requests that stand still, in either direction, and those
// that are not answered.
type stallTransport struct {
	base    http.RoundTripper
	after   time.Duration
	silence time.Duration                         // between a request and the beginning of its answer
	slow    func(host string, most time.Duration) // told of it before, if not nil
}

// patience is the part of the silence after which somebody is told of it.
const patience = 12

func (t *stallTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(req.Context())
	w := &watch{ctx: ctx, cancel: cancel, after: t.after}
	w.timer = time.AfterFunc(t.after, func() { cancel(fmt.Errorf("%w for %s", ErrStalled, t.after)) })
	w.timer.Stop()
	a := &silence{transport: t, host: req.URL.Host, cancel: cancel}
	req = req.WithContext(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteRequest: a.asked}))
	if req.Body != nil && req.Body != http.NoBody {
		req.Body = &watchedUpload{ReadCloser: req.Body, w: w}
	}
	resp, err := t.base.RoundTrip(req)
	a.end()
	w.timer.Stop()
	if err != nil {
		err = w.explain(err)
		cancel(nil)
		return nil, err
	}
	resp.Body = &watchedAnswer{ReadCloser: resp.Body, w: w}
	return resp, nil
}

// silence is the time between a request and the beginning of its answer.
type silence struct {
	transport *stallTransport
	host      string
	cancel    context.CancelCauseFunc

	mu         sync.Mutex
	over       bool
	slow, most *time.Timer
}

// asked begins it, anew when a request is sent over another connection.
func (s *silence) asked(sent httptrace.WroteRequestInfo) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over || sent.Err != nil { // an answer may come before all was sent
		return
	}
	s.stop()
	t := s.transport
	s.most = time.AfterFunc(t.silence, func() { s.cancel(fmt.Errorf("%w: %s did not begin to for %s", ErrSilent, s.host, t.silence)) })
	if t.slow != nil {
		s.slow = time.AfterFunc(t.silence/patience, func() { t.slow(s.host, t.silence) })
	}
}

func (s *silence) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	s.stop()
}

func (s *silence) stop() {
	for _, t := range []*time.Timer{s.slow, s.most} {
		if t != nil {
			t.Stop()
		}
	}
}

// watch cancels a request when its timer runs out.
type watch struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	timer  *time.Timer
	after  time.Duration
}

// explain says that err came of a stall or of silence, if it did.
func (w *watch) explain(err error) error {
	if cause := context.Cause(w.ctx); errors.Is(cause, ErrStalled) || errors.Is(cause, ErrSilent) {
		return cause
	}
	return err
}

// watchedAnswer has the timer run while a Read waits, not while its reader is
// busy with something else.
type watchedAnswer struct {
	io.ReadCloser
	w *watch
}

func (a *watchedAnswer) Read(p []byte) (int, error) {
	a.w.timer.Reset(a.w.after)
	n, err := a.ReadCloser.Read(p)
	a.w.timer.Stop()
	if err != nil && err != io.EOF { //nolint:errorlint // readers return it bare
		err = a.w.explain(err)
	}
	return n, err
}

func (a *watchedAnswer) Close() error {
	err := a.ReadCloser.Close()
	a.w.timer.Stop()
	a.w.cancel(nil)
	return err
}

// watchedUpload has the timer run between two Reads, while the transport writes
// what the first one gave it.
type watchedUpload struct {
	io.ReadCloser
	w *watch
}

func (u *watchedUpload) Read(p []byte) (int, error) {
	u.w.timer.Stop()
	n, err := u.ReadCloser.Read(p)
	if err == nil {
		u.w.timer.Reset(u.w.after)
	}
	return n, err
}

func (u *watchedUpload) Close() error {
	u.w.timer.Stop()
	return u.ReadCloser.Close()
}
