package keyless_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/wreg-project/wreg/signing/keyless"
	"github.com/wreg-project/wreg/test/testenv"
)

// visit does what a browser does with a page, in which the person agrees.
func visit(t *testing.T, page string) (string, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, page, nil)
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return string(text), err
}

func TestBrowserLogin(t *testing.T) {
	tests := []struct {
		name   string
		refuse string
		browse func(t *testing.T, page string) error
		wait   time.Duration
		want   string // the e-mail address is in the token then
		err    string
	}{
		{
			name: "a person who agrees",
			browse: func(t *testing.T, page string) error {
				text, err := visit(t, page)
				if !strings.Contains(text, "You are logged in") {
					t.Errorf("the page after the login says %q", text)
				}
				return err
			},
			want: "alice@example.com",
		},
		{
			name: "a person who does not", refuse: "access_denied", err: "access_denied",
			browse: func(t *testing.T, page string) error { _, err := visit(t, page); return err },
		},
		{
			name: "somebody else who finds the port first", want: "alice@example.com",
			browse: func(t *testing.T, page string) error {
				u, err := url.Parse(page)
				if err != nil {
					return err
				}
				forged := u.Query().Get("redirect_uri") + "?code=forged&state=forged"
				if text, err := visit(t, forged); err != nil || !strings.Contains(text, "404") {
					t.Errorf("a forged answer is answered %q, %v; want 404", text, err)
				}
				_, err = visit(t, page)
				return err
			},
		},
		{
			name: "a page without PKCE's challenge of this login", err: "invalid_grant",
			browse: func(t *testing.T, page string) error {
				_, err := visit(t, regexp.MustCompile(`code_challenge=[^&]*`).ReplaceAllString(page, "code_challenge=of-another"))
				return err
			},
		},
		{
			name: "a page with the nonce of another login", err: "of another login",
			browse: func(t *testing.T, page string) error {
				_, err := visit(t, regexp.MustCompile(`nonce=[^&]*`).ReplaceAllString(page, "nonce=another"))
				return err
			},
		},
		{name: "nobody", wait: 50 * time.Millisecond, err: "deadline exceeded", browse: func(*testing.T, string) error { return nil }},
		{name: "no browser, and the line is read", want: "alice@example.com", browse: nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			issuer := testenv.StartIssuer(t)
			issuer.Refuse = tt.refuse
			told := make(chan string, 1)
			l := keyless.Login{Issuer: issuer.URL, Wait: tt.wait, Tell: func(line string) { told <- line }}
			if tt.browse != nil {
				l.Open = func(page string) error { return tt.browse(t, page) }
			} else {
				l.Open = func(string) error {
					line := <-told
					_, err := visit(t, line[strings.Index(line, "http"):])
					return errors.Join(err, errors.New("there is no browser"))
				}
			}
			token, err := l.Browser().Token(t.Context(), keyless.DefaultAudience)
			checkToken(t, issuer, token, err, tt.want, tt.err)
		})
	}
}

// checkToken compares by what the issuer says of the token.
func checkToken(t *testing.T, issuer *testenv.Issuer, token string, err error, want, wantErr string) {
	t.Helper()
	if wantErr != "" {
		if _, ok := errors.AsType[*keyless.Error](err); !ok || !strings.Contains(err.Error(), wantErr) || !strings.Contains(err.Error(), issuer.URL) {
			t.Errorf("Token() = %v, want an Error with %q and the issuer %s", err, wantErr, issuer.URL)
		}
		return
	}
	if err != nil {
		t.Fatalf("Token() = %v", err)
	}
	claims := issuer.Read(t, token)
	if claims["email"] != want || claims["aud"] != keyless.DefaultAudience {
		t.Errorf("Token() has the claims %v, want the e-mail address %s for %s", claims, want, keyless.DefaultAudience)
	}
}

func TestDeviceLogin(t *testing.T) {
	tests := []struct {
		name      string
		pending   int
		refuse    string
		wait      time.Duration
		want, err string
	}{
		{name: "a person who takes a moment", pending: 1, want: "alice@example.com"},
		{name: "a person who does not agree", refuse: "access_denied", err: "access_denied"},
		{name: "a code that is too old", refuse: "expired_token", err: "expired_token"},
		{name: "nobody", pending: 1000, wait: 50 * time.Millisecond, err: "deadline exceeded"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			issuer := testenv.StartIssuer(t)
			issuer.Pending, issuer.Refuse = tt.pending, tt.refuse
			var told string
			l := keyless.Login{Issuer: issuer.URL, Wait: tt.wait, Tell: func(line string) { told = line }}
			token, err := l.Device().Token(t.Context(), keyless.DefaultAudience)
			checkToken(t, issuer, token, err, tt.want, tt.err)
			if !strings.Contains(told, issuer.URL+"/activate") || !strings.Contains(told, "ABCD-EFGH") {
				t.Errorf("the person is told %q, want the page and the code", told)
			}
		})
	}
}

func TestLoginIsRefused(t *testing.T) {
	issuer := testenv.StartIssuer(t)
	gone := testenv.StartIssuer(t)
	gone.Stop()
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	tests := []struct {
		name, issuer, want string
		ctx                context.Context
	}{
		{name: "an issuer in the clear elsewhere", issuer: "http://issuer.example.com", want: "asked by https"},
		{name: "no URL", issuer: "issuer", want: "asked by https"},
		{name: "an issuer that is gone", issuer: gone.URL, want: "connection refused"},
		{name: "an issuer with another name", issuer: issuer.URL + "/", want: "issuer"},
		{name: "a login that is called off", issuer: issuer.URL, want: "context canceled", ctx: canceled},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ctx := tt.ctx
			if ctx == nil {
				ctx = t.Context()
			}
			l := keyless.Login{Issuer: tt.issuer}
			for name, src := range map[string]keyless.TokenSource{"Browser": l.Browser(), "Device": l.Device()} {
				if _, err := src.Token(ctx, "sigstore"); err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("%s().Token() at %s = %v, want an error with %q", name, tt.issuer, err, tt.want)
				}
			}
		})
	}
}
