package testenv

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// Audience is whom the issuer's tokens are for, unless a claim says otherwise.
const Audience = "sigstore"

// An Issuer is an OpenID Connect issuer with discovery, keys, the authorization
// code flow with PKCE, in which every person agrees at once, and the device flow.
// It signs with RS256, which is all that cosign takes.
type Issuer struct {
	URL string

	// Claims are of the person who logs in. A test sets them before anyone does.
	Claims map[string]any
	// Pending is how often a device that asks is told to wait, Refuse the error
	// that it or a browser gets in the end, "" for a token.
	Pending int
	Refuse  string

	server *httptest.Server
	signer jose.Signer
	keys   jose.JSONWebKeySet

	mu    sync.Mutex
	codes map[string]login
}

// A login is one that waits for its token.
type login struct{ challenge, nonce, client string }

// StartIssuer starts one that ends with the test.
func StartIssuer(t testing.TB) *Issuer {
	t.Helper()
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	i := &Issuer{codes: map[string]login{}, Claims: map[string]any{"sub": "alice", "email": "alice@example.com", "email_verified": true}}
	i.keys.Keys = []jose.JSONWebKey{{Key: private.Public(), KeyID: "1", Algorithm: string(jose.RS256), Use: "sig"}}
	i.signer, err = jose.NewSigner(
		jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: private, KeyID: "1"}}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", i.discovery)
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) { reply(w, http.StatusOK, i.keys) })
	mux.HandleFunc("GET /auth", i.authorize)
	mux.HandleFunc("POST /device", i.device)
	mux.HandleFunc("POST /token", i.token)
	i.server = httptest.NewServer(mux)
	i.URL = i.server.URL
	t.Cleanup(i.Stop)
	return i
}

// Stop ends it before the test does.
func (i *Issuer) Stop() { i.server.Close() }

// Mint signs a token with claims over those of a person: of this issuer, for
// Audience, good for ten minutes from now on.
func (i *Issuer) Mint(t testing.TB, claims map[string]any) string {
	t.Helper()
	raw, err := i.mint(claims)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func (i *Issuer) mint(claims map[string]any) (string, error) {
	now := time.Now()
	all := map[string]any{"iss": i.URL, "aud": Audience, "iat": now.Unix(), "exp": now.Add(10 * time.Minute).Unix()}
	maps.Copy(all, i.Claims)
	maps.Copy(all, claims)
	return jwt.Signed(i.signer).Claims(all).Serialize()
}

// Read checks a token and returns its claims.
func (i *Issuer) Read(t testing.TB, raw string) map[string]any {
	t.Helper()
	token, err := jwt.ParseSigned(raw, []jose.SignatureAlgorithm{jose.RS256})
	claims := map[string]any{}
	if err == nil {
		err = token.Claims(i.keys.Keys[0], &claims)
	}
	if err != nil {
		t.Fatalf("token of %s: %v", i.URL, err)
	}
	return claims
}

func (i *Issuer) discovery(w http.ResponseWriter, _ *http.Request) {
	reply(w, http.StatusOK, map[string]any{
		"issuer": i.URL, "jwks_uri": i.URL + "/keys", "authorization_endpoint": i.URL + "/auth", "token_endpoint": i.URL + "/token",
		"device_authorization_endpoint": i.URL + "/device", "response_types_supported": []string{"code"},
		"subject_types_supported": []string{"public"}, "id_token_signing_alg_values_supported": []string{"RS256"},
		"code_challenge_methods_supported": []string{"S256"},
	})
}

// authorize sends the browser back with a code: the person agrees at once.
func (i *Issuer) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	back, err := url.Parse(q.Get("redirect_uri"))
	if err != nil || q.Get("response_type") != "code" || q.Get("code_challenge_method") != "S256" || q.Get("code_challenge") == "" {
		http.Error(w, "not an authorization request with PKCE", http.StatusBadRequest)
		return
	}
	answer := url.Values{"state": {q.Get("state")}}
	if i.Refuse != "" {
		answer.Set("error", i.Refuse)
	} else {
		answer.Set("code", i.keep(login{q.Get("code_challenge"), q.Get("nonce"), q.Get("client_id")}))
	}
	back.RawQuery = answer.Encode()
	http.Redirect(w, r, back.String(), http.StatusFound)
}

// device begins a device flow (RFC 8628, section 3.2).
func (i *Issuer) device(w http.ResponseWriter, r *http.Request) {
	code := i.keep(login{r.FormValue("code_challenge"), "", r.FormValue("client_id")})
	reply(w, http.StatusOK, map[string]any{
		"device_code": code, "user_code": "ABCD-EFGH", "verification_uri": i.URL + "/activate", "expires_in": 300, "interval": 1,
	})
}

func (i *Issuer) keep(l login) (code string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	code = rand.Text()
	i.codes[code] = l
	return code
}

// token gives a token for a code of either flow, once, to whom knows the verifier
// of its challenge (RFC 7636, section 4.6).
func (i *Issuer) token(w http.ResponseWriter, r *http.Request) {
	code, device := r.FormValue("code"), r.FormValue("grant_type") == "urn:ietf:params:oauth:grant-type:device_code"
	if device {
		code = r.FormValue("device_code")
	}
	i.mu.Lock()
	l, ok := i.codes[code]
	wait := device && i.Pending > 0
	if wait {
		i.Pending--
	} else {
		delete(i.codes, code)
	}
	i.mu.Unlock()
	sum := sha256.Sum256([]byte(r.FormValue("code_verifier")))
	switch {
	case !ok, l.challenge != base64.RawURLEncoding.EncodeToString(sum[:]):
		reply(w, http.StatusBadRequest, map[string]string{"error": "invalid_grant"})
		return
	case wait:
		reply(w, http.StatusBadRequest, map[string]string{"error": "authorization_pending"})
		return
	case device && i.Refuse != "":
		reply(w, http.StatusBadRequest, map[string]string{"error": i.Refuse})
		return
	}
	claims := map[string]any{"aud": l.client}
	if l.nonce != "" {
		claims["nonce"] = l.nonce
	}
	raw, err := i.mint(claims)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	reply(w, http.StatusOK, map[string]any{"access_token": "unused", "token_type": "Bearer", "expires_in": 600, "id_token": raw})
}

func reply(w http.ResponseWriter, status int, v any) {
	text, err := json.Marshal(v)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(text)
}
