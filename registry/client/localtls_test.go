package client

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"oras.land/oras-go/v2/registry/remote/auth"
)

// A registry with a certificate on this machine is spoken to over TLS, though
// loopback hosts get plain HTTP at first.
func TestLoopbackWithACertificate(t *testing.T) {
	u := newUploads()
	s := httptest.NewTLSServer(u)
	t.Cleanup(s.Close)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	host := strings.TrimPrefix(s.URL, "https://")
	b := randomBytes(1000)
	d := describe("application/wasm", b)

	trusting := newClient(Options{Transport: s.Client().Transport})
	if err := repository(t, trusting, host, "a").Push(t.Context(), d, bytes.NewReader(b)); err != nil {
		t.Fatalf("Push: %v", err)
	}
	if !bytes.Equal(u.blobs[d.Digest], b) {
		t.Errorf("%d bytes stored, want %d", len(u.blobs[d.Digest]), len(b))
	}

	err := repository(t, newClient(Options{}), host, "a").Push(t.Context(), d, bytes.NewReader(b))
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); !ok {
		t.Errorf("Push to an unknown authority: %v, want a CertificateVerificationError", err)
	}
}

// A plain server that answers 400 is asked over TLS once, and not again.
func TestLoopbackThatRefusesStaysPlain(t *testing.T) {
	asked := 0
	host := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked++
		w.WriteHeader(http.StatusBadRequest)
	}))
	c := newClient(Options{})
	for range 3 {
		if err := c.Ping(t.Context(), host); err == nil || !strings.Contains(err.Error(), "400") {
			t.Errorf("Ping: %v, want the 400", err)
		}
	}
	if asked != 3 {
		t.Errorf("%d requests, want 3", asked)
	}
}

// Credentials are sent over TLS to the port that was asked, and not in the clear
// before.
func TestLoopbackWithACertificateGetsCredentials(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if name, password, ok := r.BasicAuth(); !ok || name != "alice" || password != "secret" {
			w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	t.Cleanup(s.Close)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	host := strings.TrimPrefix(s.URL, "https://")
	for password, want := range map[string]bool{"secret": true, "guess": false} {
		c := newClient(Options{
			Transport:  s.Client().Transport,
			Credential: auth.StaticCredential(host, auth.Credential{Username: "alice", Password: password}),
		})
		for range 2 { // the second knows already that it takes TLS
			if err := c.Ping(t.Context(), host); (err == nil) != want {
				t.Errorf("Ping with password %q: %v, want it to succeed: %t", password, err, want)
			}
		}
	}
}
