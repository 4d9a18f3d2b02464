package keyless

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// A Login is how a person says who they are: at the web page of an OpenID Connect
// issuer. Either the issuer sends their browser back to this process ([Login.Browser]),
// or they type a code there, from whichever machine they like ([Login.Device]).
type Login struct {
	// Issuer is its URL: see the function Issuer.
	Issuer string
	// ClientID is what the issuer knows the program by: "sigstore" by default. It
	// is the audience of the token.
	ClientID string
	// Tell shows the person a line: where to go, which code to type.
	Tell func(line string)
	// Open shows the person a page, and may be nil. If it cannot, the line that was
	// told is enough.
	Open func(url string) error
	// Wait is how long the person has: five minutes by default.
	Wait time.Duration
}

const (
	personTime = 5 * time.Minute
	// pollMost bounds how rarely an issuer may want to be asked, in seconds.
	pollMost = 60
)

// Browser is the authorization code flow (OpenID Connect Core, section 3.1) with
// PKCE (RFC 7636), back to a port of the loopback interface (RFC 8252, section 7.3).
func (l Login) Browser() TokenSource { return sourceFunc(l.browser) }

// Device is the device authorization grant (RFC 8628), for machines without a
// browser.
func (l Login) Device() TokenSource { return sourceFunc(l.device) }

// A session is a login under way.
type session struct {
	Login
	provider *oidc.Provider
	config   oauth2.Config
	verifier string // of PKCE
}

// begin asks the issuer where things are, and gives the context of requests to it.
func (l Login) begin(ctx context.Context) (*session, context.Context, error) {
	if err := confidential(l.Issuer); err != nil {
		return nil, nil, l.fail(err)
	}
	if l.ClientID == "" {
		l.ClientID = DefaultAudience
	}
	if l.Wait <= 0 {
		l.Wait = personTime
	}
	ctx = oidc.ClientContext(ctx, &http.Client{Timeout: defaultTimeout, Transport: &transport{ctx: ctx, doing: "login at " + l.Issuer, raw: true}})
	p, err := oidc.NewProvider(ctx, l.Issuer)
	if err != nil {
		return nil, nil, l.fail(err)
	}
	for _, address := range []string{p.Endpoint().AuthURL, p.Endpoint().TokenURL, p.Endpoint().DeviceAuthURL} {
		if err := confidential(address); err != nil && address != "" {
			return nil, nil, l.fail(err)
		}
	}
	s := &session{Login: l, provider: p, verifier: oauth2.GenerateVerifier()}
	s.config = oauth2.Config{ClientID: l.ClientID, Endpoint: p.Endpoint(), Scopes: []string{oidc.ScopeOpenID, "email"}}
	s.config.Endpoint.AuthStyle = oauth2.AuthStyleInParams // there is no secret, and trying both styles uses a code up
	return s, ctx, nil
}

func (l Login) fail(err error) error {
	e := &Error{Doing: "login at " + l.Issuer, Err: err}
	switch refused, ok := errors.AsType[*oauth2.RetrieveError](err); {
	case errors.Is(err, context.DeadlineExceeded):
		e.Hint = "log in before the time is up, or give a token with --identity-token"
	case ok && refused.ErrorCode != "": // its own text has all that was answered
		e.Err = errors.New(refused.ErrorCode)
		if refused.ErrorDescription != "" {
			e.Err = fmt.Errorf("%s: %s", refused.ErrorCode, refused.ErrorDescription)
		}
	case ok:
		e.Err = fmt.Errorf("the issuer answered %s", refused.Response.Status)
	}
	return e
}

func (l Login) browser(ctx context.Context, _ string) (string, error) {
	s, ctx, err := l.begin(ctx)
	if err != nil {
		return "", err
	}
	if s.config.Endpoint.AuthURL == "" {
		return "", l.fail(errors.New("the issuer has no page to log in at"))
	}
	ctx, cancel := context.WithTimeout(ctx, s.Wait)
	defer cancel()
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", l.fail(err)
	}
	s.config.RedirectURL = fmt.Sprintf("http://localhost:%d/auth/callback", listener.Addr().(*net.TCPAddr).Port)
	state, nonce := rand.Text(), rand.Text()
	back := make(chan answer, 1)
	server := &http.Server{Handler: callback(state, back), ReadHeaderTimeout: 5 * time.Second, MaxHeaderBytes: 64 << 10}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(listener) // ends with Shutdown or Close; that nobody answers is found out by waiting
	}()
	defer func() {
		stop, done := context.WithTimeout(context.WithoutCancel(ctx), time.Second) // the page that thanks is on its way
		defer done()
		if server.Shutdown(stop) != nil {
			_ = server.Close()
		}
		<-served
	}()

	page := s.config.AuthCodeURL(state, oidc.Nonce(nonce), oauth2.S256ChallengeOption(s.verifier))
	if s.Tell != nil {
		s.Tell("Log in with a browser at " + page)
	}
	if s.Open != nil {
		_ = s.Open(page) // the line is there
	}
	var got answer
	select {
	case <-ctx.Done():
		return "", l.fail(ctx.Err())
	case got = <-back:
	}
	if got.err != nil {
		return "", l.fail(got.err)
	}
	t, err := s.config.Exchange(ctx, got.code, oauth2.VerifierOption(s.verifier))
	if err != nil {
		return "", l.fail(err)
	}
	return s.check(ctx, t, nonce)
}

// An answer is what the browser came back with.
type answer struct {
	code string
	err  error
}

// callback takes the first answer to the request with state. Others who find the
// port are shown nothing.
func callback(state string, back chan<- answer) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		if r.URL.Path != "/auth/callback" || subtle.ConstantTimeCompare([]byte(q.Get("state")), []byte(state)) != 1 {
			http.NotFound(w, r)
			return
		}
		got, page := answer{code: q.Get("code")}, "You are logged in. This page can be closed.\n"
		if got.code == "" {
			got.err, page = errors.New("no code came back"), "The login was not successful. This page can be closed.\n"
			if e := q.Get("error"); e != "" {
				got.err = fmt.Errorf("%.100s %.300s", e, q.Get("error_description"))
			}
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		_, _ = w.Write([]byte(page))
		select {
		case back <- got:
		default: // it is not the first
		}
	})
}

func (l Login) device(ctx context.Context, _ string) (string, error) {
	s, ctx, err := l.begin(ctx)
	if err != nil {
		return "", err
	}
	if s.config.Endpoint.DeviceAuthURL == "" {
		return "", l.fail(errors.New("the issuer has no device flow"))
	}
	ctx, cancel := context.WithTimeout(ctx, s.Wait)
	defer cancel()
	d, err := s.config.DeviceAuth(ctx, oauth2.S256ChallengeOption(s.verifier))
	if err != nil {
		return "", l.fail(err)
	}
	if d.DeviceCode == "" || d.UserCode == "" || d.VerificationURI == "" {
		return "", l.fail(errors.New("the issuer gives no code"))
	}
	d.Interval = min(max(d.Interval, 0), pollMost) // 0 is five seconds
	if s.Tell != nil {
		s.Tell(fmt.Sprintf("Log in with a browser at %s and enter the code %s", d.VerificationURI, d.UserCode))
	}
	t, err := s.config.DeviceAccessToken(ctx, d, oauth2.VerifierOption(s.verifier))
	if err != nil {
		return "", l.fail(err)
	}
	return s.check(ctx, t, "")
}

// check takes the identity token and makes sure that it is of the issuer, for this
// client and, with a nonce, of this login.
func (s *session) check(ctx context.Context, t *oauth2.Token, nonce string) (string, error) {
	raw, ok := t.Extra("id_token").(string)
	if !ok {
		return "", s.fail(errors.New("the issuer gives no identity token"))
	}
	id, err := s.provider.Verifier(&oidc.Config{ClientID: s.ClientID}).Verify(ctx, raw)
	if err != nil {
		return "", s.fail(err)
	}
	if id.Nonce != nonce {
		return "", s.fail(errors.New("the identity token is of another login"))
	}
	return raw, nil
}
