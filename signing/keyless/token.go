package keyless

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// A TokenSource has identity tokens: JSON Web Tokens of OpenID Connect, signed by
// an issuer that the certificate authority knows.
type TokenSource interface {
	// Token gives a token for an audience. It may ask a person, and then takes as
	// long as they do.
	Token(ctx context.Context, audience string) (string, error)
}

// maxToken bounds a token, in bytes: it goes into a header.
const maxToken = 16 << 10

// Given is the token that a person gives: the token itself, env://NAME for a
// variable of the environment, or else the name of a file, - for standard input.
// A file is read each time that a token is wanted.
func Given(value string) TokenSource { return given{value, os.Stdin} }

type given struct {
	value string
	stdin io.Reader
}

func (g given) Token(context.Context, string) (string, error) {
	if name, ok := strings.CutPrefix(g.value, "env://"); ok {
		if v := strings.TrimSpace(os.Getenv(name)); v != "" {
			return v, nil
		}
		return "", &Error{Doing: "identity token", Err: fmt.Errorf("the variable %s is not set", name)}
	}
	if looksLikeToken(g.value) {
		return g.value, nil
	}
	if g.value == "-" {
		text, err := readToken("standard input", g.stdin)
		if err == nil && text == "" {
			err = &Error{
				Doing: "identity token", Err: errors.New("nothing is left on standard input"),
				Hint: "for more than one token is good for, name a file that is renewed",
			}
		}
		return text, err
	}
	return tokenFile(g.value)
}

// looksLikeToken reports whether s is what tokens look like, so that it is never
// taken for the name of a file, which an error would show: three parts, of which
// the first is JSON in base64.
func looksLikeToken(s string) bool {
	header, rest, _ := strings.Cut(s, ".")
	text, err := base64.RawURLEncoding.DecodeString(header)
	return err == nil && strings.HasPrefix(string(text), "{") && strings.Contains(rest, ".")
}

// tokenFile reads a token from a file.
func tokenFile(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		if cause := errors.Unwrap(err); cause != nil && len(name) > 200 { // which may be what somebody made of a token
			err = cause
		}
		return "", &Error{Doing: "identity token", Err: err, Hint: "it is a token, env://NAME or the name of a file"}
	}
	defer f.Close()
	return readToken(name, f)
}

func readToken(from string, r io.Reader) (string, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxToken+1))
	if err != nil {
		return "", &Error{Doing: "identity token", Err: fmt.Errorf("%s: %w", from, err)}
	}
	if len(text) > maxToken {
		return "", &Error{Doing: "identity token", Err: fmt.Errorf("%s has more than %d bytes", from, maxToken)}
	}
	return strings.TrimSpace(string(text)), nil
}

// A token is one with what is read of it before it is sent. Whether it is true is
// for the certificate authority to check.
type token struct {
	raw     string
	expires time.Time
}

func (t token) good(at time.Time) bool { return t.raw != "" && at.Before(t.expires) }

// parseToken reads the claims of a token (RFC 7519, section 3).
func parseToken(raw string) (token, error) {
	fail := func(err error) (token, error) {
		return token{}, &Error{Doing: "identity token", Err: err, Hint: "it is a JSON Web Token of an OpenID Connect issuer"}
	}
	if len(raw) > maxToken {
		return fail(fmt.Errorf("it has %d bytes, and at most %d are sent", len(raw), maxToken))
	}
	parts := strings.Split(raw, ".")
	if len(parts) != 3 {
		return fail(fmt.Errorf("it has %d parts between dots instead of 3", len(parts)))
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return fail(fmt.Errorf("its second part: %w", err))
	}
	var claims struct {
		Expires float64 `json:"exp"`
	}
	if err := json.Unmarshal(text, &claims); err != nil {
		return fail(errors.New("its second part is not JSON with an expiry")) // the cause quotes the token
	}
	if claims.Expires <= 0 || claims.Expires > 1<<40 {
		return fail(errors.New("it has no time of expiry"))
	}
	return token{raw, time.Unix(int64(claims.Expires), 0)}, nil
}
