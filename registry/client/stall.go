package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// stallTransport ends requests that stand still, in either direction. Waiting
// for the first byte of an answer is the base transport's to bound.
type stallTransport struct {
	base  http.RoundTripper
	after time.Duration
}

func (t *stallTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(req.Context())
	w := &watch{ctx: ctx, cancel: cancel, after: t.after}
	w.timer = time.AfterFunc(t.after, func() { cancel(fmt.Errorf("%w for %s", ErrStalled, t.after)) })
	w.timer.Stop()
	req = req.WithContext(ctx)
	if req.Body != nil && req.Body != http.NoBody {
		req.Body = &watchedUpload{ReadCloser: req.Body, w: w}
	}
	resp, err := t.base.RoundTrip(req)
	w.timer.Stop()
	if err != nil {
		err = w.explain(err)
		cancel(nil)
		return nil, err
	}
	resp.Body = &watchedAnswer{ReadCloser: resp.Body, w: w}
	return resp, nil
}

// watch cancels a request when its timer runs out.
type watch struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	timer  *time.Timer
	after  time.Duration
}

// explain says that err came of a stall, if it did.
func (w *watch) explain(err error) error {
	if cause := context.Cause(w.ctx); errors.Is(cause, ErrStalled) {
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
