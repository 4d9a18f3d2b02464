package keyless

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sigstore/sigstore-go/pkg/tuf"
)

// configText is a signing configuration with more or less in it.
func configText(parts string) string {
	return `{"mediaType":"application/vnd.dev.sigstore.signingconfig.v0.2+json",` + parts + `}`
}

const (
	fulcioPart = `"caUrls":[{"url":"https://fulcio.example.com","majorApiVersion":1,"validFor":{"start":"2026-01-01T00:00:00Z"}}]`
	tsaPart    = `"tsaUrls":[{"url":"https://tsa.example.com","majorApiVersion":1,"validFor":{"start":"2026-01-01T00:00:00Z"}}],` +
		`"tsaConfig":{"selector":"ANY"}`
	rekorPart = `"rekorTlogUrls":[{"url":"https://rekor.example.com","majorApiVersion":2,"validFor":{"start":"2026-01-01T00:00:00Z"}}],` +
		`"rekorTlogConfig":{"selector":"ANY"}`
)

func TestNew(t *testing.T) {
	tests := []struct{ name, text, err string }{
		{name: "every service", text: configText(fulcioPart + "," + tsaPart + "," + rekorPart)},
		{name: "no log", text: configText(fulcioPart + "," + tsaPart)},
		{name: "Rekor 1 alone, which gives times", text: configText(fulcioPart + "," + strings.Replace(rekorPart, `Version":2`, `Version":1`, 1))},
		{name: "Rekor 2 alone, which does not", text: configText(fulcioPart + "," + rekorPart), err: "no timestamp authority"},
		{name: "no certificate authority", text: configText(tsaPart), err: "certificate authority"},
		{
			name: "how to choose is not said", text: configText(fulcioPart + "," + strings.Replace(tsaPart, `,"tsaConfig":{"selector":"ANY"}`, "", 1)),
			err: "timestamp authority: invalid service selector",
		},
		{
			name: "an authority that has ended", err: "certificate authority",
			text: configText(strings.Replace(fulcioPart, `"start":`, `"end":"2026-01-02T00:00:00Z","start":`, 1) + "," + tsaPart),
		},
		{
			name: "an authority in the clear", err: "http://fulcio.example.com: services are asked by https",
			text: configText(strings.Replace(fulcioPart, "https", "http", 1) + "," + tsaPart),
		},
		{name: "an authority on this machine", text: configText(strings.Replace(fulcioPart, "https://fulcio.example.com", "http://127.0.0.1:5555", 1) + "," + tsaPart)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			name := filepath.Join(t.TempDir(), "signing_config.json")
			if err := os.WriteFile(name, []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			c, err := ReadConfig(name)
			if err != nil {
				t.Fatal(err)
			}
			_, err = New(Options{Config: c, Tokens: Given("unused")})
			if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("New(%s) = %v, want error with %q", tt.text, err, tt.err)
			}
		})
	}
}

func TestFilesThatCannotBeRead(t *testing.T) {
	name := filepath.Join(t.TempDir(), "file")
	for text, want := range map[string]string{
		"{": "file", `{"mediaType":"text/plain"}`: "media type", strings.Repeat(" ", maxConfig+1): "more than 4194304 bytes",
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadConfig(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ReadConfig(%.40q) = %v, want an error with %q", text, err, want)
		}
		if _, err := ReadRoot(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ReadRoot(%.40q) = %v, want an error with %q", text, err, want)
		}
	}
}

// A repository that is not there, or is not signed by the root that is built in, is
// believed nothing, and the error says what to do without one.
func TestPublicIsNotBelievedUnsigned(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"signed":{"_type":"root","version":99},"signatures":[]}`))
	}))
	defer server.Close()
	for _, base := range []string{server.URL, "http://127.0.0.1:1"} {
		_, _, err := fetch(tuf.DefaultOptions().WithContext(t.Context()).WithCachePath(t.TempDir()).WithRepositoryBaseURL(base))
		e, ok := errors.AsType[*Error](err)
		if !ok || !strings.Contains(e.Error(), base) || !strings.Contains(e.Hint, "--trusted-root") {
			t.Errorf("fetch(%s) = %v, want an Error with the address and a hint", base, err)
		}
	}
}
