package client

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/wreg-project/wreg/artifact/ref"
)

// localTLS speaks TLS to a port of this machine that wants it. Loopback hosts
// get plain HTTP, to which a server with a certificate answers 400.
type localTLS struct {
	base http.RoundTripper

	mu    sync.Mutex
	wants map[string]bool // by host:port, of those that were probed
}

func (t *localTLS) RoundTrip(req *http.Request) (*http.Response, error) {
	host := req.URL.Host
	if req.URL.Scheme != "http" || !ref.IsLoopback(host) {
		return t.base.RoundTrip(req)
	}
	t.mu.Lock()
	wants := t.wants[host]
	t.mu.Unlock()
	if wants {
		return t.secure(req, overTLS(req))
	}
	resp, err := t.base.RoundTrip(req)
	if err != nil || resp.StatusCode != http.StatusBadRequest || !t.probe(req.Context(), host) {
		return resp, err
	}
	again := overTLS(req)
	if req.Body != nil && req.Body != http.NoBody {
		if req.GetBody == nil {
			return resp, nil
		}
		if again.Body, err = req.GetBody(); err != nil {
			return nil, errors.Join(err, resp.Body.Close())
		}
	}
	resp.Body.Close()
	return t.secure(req, again)
}

// secure sends again, which is req over TLS, and answers as if to req: it is the
// same port of this machine, and credentials are only sent to whom was asked.
func (t *localTLS) secure(req, again *http.Request) (*http.Response, error) {
	resp, err := t.base.RoundTrip(again)
	if err == nil {
		resp.Request = req
	}
	return resp, err
}

// overTLS is req with another scheme.
func overTLS(req *http.Request) *http.Request {
	again := req.Clone(req.Context())
	again.URL.Scheme = "https"
	return again
}

// probe asks a host once whether it speaks TLS. A certificate that is not
// trusted is one too: the request then fails with the reason.
func (t *localTLS) probe(ctx context.Context, host string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if wants, ok := t.wants[host]; ok {
		return wants
	}
	if _, _, err := net.SplitHostPort(host); err != nil {
		return false // port 80, which is not for TLS
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	conn, err := new(tls.Dialer).DialContext(ctx, "tcp", host)
	if err == nil {
		conn.Close()
	}
	var untrusted *tls.CertificateVerificationError
	if t.wants == nil {
		t.wants = map[string]bool{}
	}
	t.wants[host] = err == nil || errors.As(err, &untrusted)
	return t.wants[host]
}
