package signingtest

import (
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/digitorus/timestamp"
	trustroot "github.com/sigstore/protobuf-specs/gen/pb-go/trustroot/v1"
	tilespb "github.com/sigstore/rekor-tiles/v2/pkg/generated/protobuf"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore/pkg/signature"
	"google.golang.org/protobuf/encoding/protojson"
)

// Services are a Sigstore on the loopback interface.
type Services struct {
	URL           string
	SigningConfig string // file: Sigstore's signing configuration, version 0.2
	TrustedRoot   string // file: Sigstore's trusted root, version 0.1

	sigstore *Sigstore
	t        testing.TB
}

// Live is the Config of a Sigstore that Serve can serve: good now, and not only at
// Now.
func Live() Config {
	day := 24 * time.Hour
	return Config{IntermediateNotAfter: time.Now().Add(day), LogFrom: time.Now().Add(-day), LogUntil: time.Now().Add(day)}
}

// Serve answers as Fulcio, a timestamp authority and Rekor 2 do, until the test
// ends. Every token of issuer is believed, whoever signed it: its "email" is
// certified. The time is the real one.
func (s *Sigstore) Serve(t testing.TB, issuer string) *Services {
	t.Helper()
	v := &Services{sigstore: s, t: t}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/v2/signingCert", answer(http.StatusOK, "application/json", func(r *http.Request, body []byte) ([]byte, error) {
		return v.certificate(r.Header.Get("Authorization"), issuer, body)
	}))
	mux.HandleFunc("POST /api/v1/timestamp", answer(http.StatusCreated, "application/timestamp-reply", v.timestamp))
	mux.HandleFunc("POST /api/v2/log/entries", answer(http.StatusCreated, "application/json", v.entry))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	v.URL = server.URL

	at := func(url string, version uint32) []root.Service {
		return []root.Service{{URL: url, MajorAPIVersion: version, ValidityPeriodStart: time.Now().Add(-time.Hour), Operator: "test"}}
	}
	one := root.ServiceConfiguration{Selector: trustroot.ServiceSelector_ANY}
	config, err := root.NewSigningConfig(
		root.SigningConfigMediaType02, at(v.URL, 1), at(issuer, 1), at(v.URL, 2), one, at(v.URL+"/api/v1/timestamp", 1), one)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	v.SigningConfig, v.TrustedRoot = filepath.Join(dir, "signing_config.json"), filepath.Join(dir, "trusted_root.json")
	for name, doc := range map[string]json.Marshaler{v.SigningConfig: config, v.TrustedRoot: s.Root(t)} {
		text, err := doc.MarshalJSON()
		if err == nil {
			err = os.WriteFile(name, text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return v
}

// answer serves what fn makes of the body of a request; an error of it is of the
// request.
func answer(status int, mediaType string, fn func(r *http.Request, body []byte) ([]byte, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
		if err == nil {
			body, err = fn(r, body)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", mediaType)
		w.WriteHeader(status)
		_, _ = w.Write(body)
	}
}

// certificate answers as Fulcio does.
func (v *Services) certificate(authorization, issuer string, body []byte) ([]byte, error) {
	parts := strings.Split(strings.TrimPrefix(authorization, "Bearer "), ".")
	if len(parts) != 3 {
		return nil, errors.New("there is no token")
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return nil, err
	}
	var who struct {
		Issuer string `json:"iss"`
		Email  string `json:"email"`
	}
	if err := json.Unmarshal(text, &who); err != nil {
		return nil, err
	}
	if who.Issuer != issuer {
		return nil, fmt.Errorf("the token is of %s", who.Issuer)
	}
	var request struct {
		PublicKeyRequest struct {
			PublicKey struct {
				Content string `json:"content"`
			} `json:"publicKey"`
		} `json:"publicKeyRequest"`
	}
	if err := json.Unmarshal(body, &request); err != nil {
		return nil, err
	}
	block, _ := pem.Decode([]byte(request.PublicKeyRequest.PublicKey.Content))
	if block == nil {
		return nil, errors.New("there is no key")
	}
	public, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	k, ok := public.(*ecdsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("the key is a %T", public)
	}
	now := time.Now()
	leaf := v.sigstore.leaf(v.t, Signing{
		Identity: who.Email, Issuer: issuer, NotBefore: now.Add(-time.Minute), NotAfter: now.Add(9 * time.Minute),
	}, k)
	return json.Marshal(map[string]any{"signedCertificateEmbeddedSct": map[string]any{"chain": map[string]any{
		"certificates": []string{string(encode(leaf.Raw)), string(encode(v.sigstore.intermediate.Raw)), string(encode(v.sigstore.root.Raw))},
	}}})
}

// timestamp answers as a timestamp authority does (RFC 3161).
func (v *Services) timestamp(_ *http.Request, body []byte) ([]byte, error) {
	request, err := timestamp.ParseRequest(body)
	if err != nil {
		return nil, err
	}
	return v.sigstore.stamp(v.t, request.HashedMessage, time.Now()), nil
}

// entry answers as Rekor does in version 2.
func (v *Services) entry(_ *http.Request, body []byte) ([]byte, error) {
	var request tilespb.CreateEntryRequest
	if err := protojson.Unmarshal(body, &request); err != nil {
		return nil, err
	}
	record := request.GetHashedRekordRequestV002()
	if record == nil {
		return nil, errors.New("must be hashedrekord")
	}
	details, err := signature.GetAlgorithmDetails(record.GetSignature().GetVerifier().GetKeyDetails())
	if err != nil {
		return nil, err
	}
	text := hashed(v.t, details.GetProtoHashType(), record.GetDigest(), record.GetSignature())
	return protojson.Marshal(v.sigstore.include(v.t, text, hashedVersion(), false))
}
