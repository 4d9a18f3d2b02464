package keyless

import (
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// unsigned is a token with claims, and a signature that nobody made.
func unsigned(claims string) string {
	enc := base64.RawURLEncoding.EncodeToString
	return enc([]byte(`{"alg":"RS256"}`)) + "." + enc([]byte(claims)) + "." + enc([]byte("a signature"))
}

func TestGiven(t *testing.T) {
	jwt := unsigned(`{"exp":4102444800}`)
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	t.Setenv("KEYLESS_TEST_TOKEN", jwt+"\n")
	t.Setenv("KEYLESS_TEST_EMPTY", "")
	tests := []struct {
		name, value, want, err string
	}{
		{name: "the token itself", value: jwt, want: jwt},
		{name: "a variable", value: "env://KEYLESS_TEST_TOKEN", want: jwt},
		{name: "an empty variable", value: "env://KEYLESS_TEST_EMPTY", err: "the variable KEYLESS_TEST_EMPTY is not set"},
		{name: "a file", value: write("token", jwt+"\n"), want: jwt},
		{name: "no file", value: filepath.Join(dir, "absent"), err: "no such file"},
		{name: "a file that is too large", value: write("large", strings.Repeat("x", maxToken+1)), err: "more than 16384 bytes"},
		{name: "standard input", value: "-", want: jwt},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := given{tt.value, strings.NewReader(jwt + "\r\n")}.Token(t.Context(), "sigstore")
			if got != tt.want || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("Given(%.40q).Token() = %.40q, %v; want %.40q, error with %q", tt.value, got, err, tt.want, tt.err)
			}
		})
	}
}

// Tokens are good for minutes, and whoever signs for longer has them renewed.
func TestATokenIsAskedForAgainOnceItExpires(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	expiring := func(in time.Duration) string { return unsigned(fmt.Sprintf(`{"exp":%d}`, time.Now().Add(in).Unix())) }
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := &Signer{o: Options{Tokens: Given(file), Audience: DefaultAudience}}
	for _, step := range []struct {
		name, text, err string
	}{
		{name: "the first", text: expiring(time.Hour)},
		{name: "one that is not needed yet", text: "no token"},
		{name: "one beside one that expires", text: expiring(2 * time.Hour)},
		{name: "one that was not renewed in time", text: expiring(-time.Second), err: "it expired at"},
		{name: "one that came late", text: expiring(time.Hour)},
	} {
		write(step.text)
		if strings.HasPrefix(step.name, "one beside") || step.err != "" {
			s.token.expires = time.Now().Add(spare - time.Second)
		}
		err := s.Ready(t.Context())
		if (err == nil) != (step.err == "") || err != nil && !strings.Contains(err.Error(), step.err) {
			t.Errorf("Ready() with %s = %v, want an error with %q", step.name, err, step.err)
		}
		if err == nil && step.text != "no token" && s.token.raw != step.text {
			t.Errorf("Ready() with %s left another token", step.name)
		}
	}
	once := given{"-", strings.NewReader("a token\n")}
	if _, err := once.Token(t.Context(), "sigstore"); err != nil {
		t.Errorf("Token() of standard input = %v", err)
	}
	if _, err := once.Token(t.Context(), "sigstore"); err == nil || !strings.Contains(err.Error(), "nothing is left on standard input") {
		t.Errorf("Token() of standard input, again = %v, want that nothing is left", err)
	}
}

// What looks like a token, or could have been one, is in no error.
func TestErrorsShowNoToken(t *testing.T) {
	jwt := unsigned(`{"sub":"` + strings.Repeat("secret", 40) + `"`)
	for _, value := range []string{jwt, strings.ReplaceAll(jwt, ".", ":"), jwt[:len(jwt)-40]} {
		raw, err := Given(value).Token(t.Context(), "sigstore")
		if err == nil {
			_, err = parseToken(raw)
		}
		if err == nil || strings.Contains(err.Error(), value[20:60]) {
			t.Errorf("the error of the token %q is %v, want one without it", value, err)
		}
	}
}

func TestParseToken(t *testing.T) {
	tests := []struct {
		name, raw string
		want      time.Time
		err       string
	}{
		{name: "whole seconds", raw: unsigned(`{"exp":1700000000}`), want: time.Unix(1700000000, 0)},
		{name: "a fraction of a second", raw: unsigned(`{"exp":1700000000.9}`), want: time.Unix(1700000000, 0)},
		{name: "no expiry", raw: unsigned(`{}`), err: "no time of expiry"},
		{name: "an expiry out of this world", raw: unsigned(`{"exp":1e300}`), err: "no time of expiry"},
		{name: "an expiry that is text", raw: unsigned(`{"exp":"secret"}`), err: "not JSON with an expiry"},
		{name: "one part", raw: "secret", err: "1 parts"},
		{name: "no base64", raw: "a.%%.c", err: "second part"},
		{name: "too long", raw: strings.Repeat("secret", maxToken), err: "at most 16384 are sent"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseToken(tt.raw)
			if tt.err != "" {
				if _, ok := errors.AsType[*Error](err); !ok || !strings.Contains(err.Error(), tt.err) || strings.Contains(err.Error(), "secret") {
					t.Fatalf("parseToken(%.60q) = %v, want an Error with %q and without the token", tt.raw, err, tt.err)
				}
				return
			}
			if err != nil || !got.expires.Equal(tt.want) || got.raw != tt.raw {
				t.Errorf("parseToken(%.60q) = %v, %v; want expiry %v", tt.raw, got.expires, err, tt.want)
			}
		})
	}
}

// What is read as a token has three parts and a time to come or gone by, and
// errors have a bound whatever was given.
func FuzzParseToken(f *testing.F) {
	f.Add(unsigned(`{"exp":1700000000}`))
	f.Add(unsigned(`{"exp":-1}`))
	f.Add("eyJ.eyJ.x")
	f.Fuzz(func(t *testing.T, raw string) {
		got, err := parseToken(raw)
		if err != nil {
			if len(err.Error()) > maxError+100 {
				t.Fatalf("parseToken(%q) has an error of %d bytes", raw, len(err.Error()))
			}
			return
		}
		if strings.Count(raw, ".") != 2 || got.expires.Year() < 1970 || got.raw != raw {
			t.Fatalf("parseToken(%q) = %+v", raw, got)
		}
	})
}
