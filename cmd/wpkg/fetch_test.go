package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// believe makes the default transport trust a test server.
func believe(t *testing.T, s *httptest.Server) {
	t.Helper()
	before := http.DefaultTransport
	http.DefaultTransport = s.Client().Transport
	t.Cleanup(func() { http.DefaultTransport = before })
}

func TestFetchingTheURLOfACheckfile(t *testing.T) {
	const text = "validate:\n  allow_wasi: false\n"
	mux := http.NewServeMux()
	mux.HandleFunc("/mod.yaml", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, text) })
	mux.HandleFunc("/moved", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/mod.yaml", http.StatusFound) })
	mux.HandleFunc("/away", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "https://169.254.169.254/latest/meta-data", http.StatusFound)
	})
	mux.HandleFunc("/plain", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://"+r.Host+"/mod.yaml", http.StatusFound)
	})
	mux.HandleFunc("/round", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/round", http.StatusFound) })
	mux.HandleFunc("/long", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, strings.Repeat("#", maxPolicy+1)) })
	s := httptest.NewTLSServer(mux)
	t.Cleanup(s.Close)
	believe(t, s)
	right := fmt.Sprintf("%x", sha256.Sum256([]byte(text)))

	tests := []struct {
		name  string
		flags fetchFlags
		url   string
		is    error
		says  string // in the error; "" if there is none
	}{
		{"a pinned file", fetchFlags{right, true}, s.URL + "/mod.yaml", nil, ""},
		{"a pin with its algorithm, in capitals", fetchFlags{"sha256:" + strings.ToUpper(right), true}, s.URL + "/mod.yaml", nil, ""},
		{"a redirect on the same host", fetchFlags{right, true}, s.URL + "/moved", nil, ""},
		{"no pin", fetchFlags{"", true}, s.URL + "/mod.yaml", errUnpinned, "not pinned"},
		{"another content", fetchFlags{strings.Repeat("0", 64), true}, s.URL + "/mod.yaml", errPin, "it is " + right},
		{"a pin that is no hash", fetchFlags{"abc", true}, s.URL + "/mod.yaml", nil, "no SHA-256"},
		{"this machine without being told to", fetchFlags{right, false}, s.URL + "/mod.yaml", errAddress, "--url-local"},
		{"a redirect to another host", fetchFlags{right, true}, s.URL + "/away", errAddress, "169.254.169.254"},
		{"a redirect to plain HTTP", fetchFlags{right, true}, s.URL + "/plain", errAddress, "http://"},
		{"a redirect to itself", fetchFlags{right, true}, s.URL + "/round", errAddress, "on and on"},
		{"plain HTTP", fetchFlags{right, true}, "http://example.com/mod.yaml", errAddress, "https://"},
		{"a file", fetchFlags{right, true}, "file:///etc/passwd", errAddress, "https://"},
		{"an address with a password", fetchFlags{right, true}, "https://a:b@example.com/mod.yaml", errAddress, "https://"},
		{"nothing there", fetchFlags{right, true}, s.URL + "/none", nil, "404 Not Found"},
		{"more than a policy may have", fetchFlags{right, true}, s.URL + "/long", nil, "more than"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.flags.replace(t.Context(), policySource{name: "mod", from: "mod.yaml"}, tt.url)
			if tt.says == "" {
				if err != nil || string(got.text) != text || got.name != "mod" {
					t.Fatalf("replace(%s) = %q of %q, %v", tt.url, got.text, got.name, err)
				}
				return
			}
			if err == nil || tt.is != nil && !errors.Is(err, tt.is) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("replace(%s) gives %v, want %v with %q", tt.url, err, tt.is, tt.says)
			}
		})
	}
}

func TestPrivateAddressesAreRefused(t *testing.T) {
	tests := map[string]bool{
		"93.184.215.14:443": true, "[2606:2800:21f:cb07:6820:80da:af6b:8b2c]:443": true,
		"127.0.0.1:443": false, "[::1]:443": false, "10.1.2.3:443": false, "172.16.0.1:443": false, "192.168.1.1:443": false,
		"169.254.169.254:443": false, "100.64.0.1:443": false, "0.0.0.0:443": false, "[fd00::1]:443": false, "[fe80::1]:443": false,
		"[::ffff:127.0.0.1]:443": false, "224.0.0.1:443": false, "255.255.255.255:443": false,
		"[64:ff9b::7f00:1]:443": false, "[2002:7f00:1::]:443": false, "nonsense": false,
	}
	for address, want := range tests {
		if err := checkPublic(address); (err == nil) != want {
			t.Errorf("checkPublic(%s) = %v, want allowed %t", address, err, want)
		}
	}
}
