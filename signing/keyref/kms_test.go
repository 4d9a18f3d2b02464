//go:build kms

package keyref

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// vault answers as the transit engine of HashiCorp's Vault does, for one key. It
// stands in for the protocol alone: no real Vault, and none of the clouds' services,
// is part of any test.
func vault(t *testing.T) *httptest.Server {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(k.Public())
	if err != nil {
		t.Fatal(err)
	}
	answer := func(w http.ResponseWriter, data map[string]any) {
		if err := json.NewEncoder(w).Encode(map[string]any{"data": data}); err != nil {
			t.Error(err)
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/transit/keys/release", func(w http.ResponseWriter, _ *http.Request) {
		text := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
		answer(w, map[string]any{"type": "ecdsa-p256", "latest_version": 1, "keys": map[string]any{"1": map[string]any{"public_key": text}}})
	})
	sign := func(w http.ResponseWriter, r *http.Request) {
		var in struct {
			Input string `json:"input"`
		}
		err := json.NewDecoder(r.Body).Decode(&in)
		hash, err2 := base64.StdEncoding.DecodeString(in.Input)
		if err != nil || err2 != nil || r.Header.Get("X-Vault-Token") != "a token" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		sig, err := ecdsa.SignASN1(rand.Reader, k, hash)
		if err != nil {
			t.Error(err)
		}
		answer(w, map[string]any{"signature": "vault:v1:" + base64.StdEncoding.EncodeToString(sig)})
	}
	for _, method := range []string{"PUT", "POST"} {
		mux.HandleFunc(method+" /v1/transit/sign/release", sign)
		mux.HandleFunc(method+" /v1/transit/sign/release/{hash}", sign)
	}
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	t.Setenv("VAULT_ADDR", s.URL)
	t.Setenv("VAULT_TOKEN", "a token")
	return s
}

func TestVault(t *testing.T) {
	s := vault(t)
	k, err := Open(t.Context(), "hashivault://release", Options{})
	if err != nil || k.Algorithm() != "ECDSA P-256" {
		t.Fatalf("Open(hashivault://release) = %v, %v; want a key of ECDSA P-256", k, err)
	}
	sig, _, err := k.SignData(t.Context(), []byte("data"))
	if err != nil {
		t.Fatal(err)
	}
	pub, err := Public(t.Context(), "hashivault://release")
	if err != nil || pub.ID() != k.ID() {
		t.Fatalf("Public(hashivault://release) = %v, %v; want %s", pub, err, k.ID())
	}
	v, err := pub.Verifier()
	if err != nil {
		t.Fatal(err)
	}
	if err := v.VerifySignature(strings.NewReader(string(sig)), strings.NewReader("data")); err != nil {
		t.Errorf("the signature does not verify: %v", err)
	}
	if k, err := Open(t.Context(), "hashivault://absent", Options{}); err == nil || !strings.Contains(err.Error(), "hashivault://absent") {
		t.Errorf("Open of an absent key = %v, %v; want an error that names it", k, err)
	}
	s.Close()
	if _, _, err := k.SignData(t.Context(), []byte("data")); err == nil {
		t.Error("SignData goes well while the service is gone")
	}
}
