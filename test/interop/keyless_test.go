//go:build interop

package interop

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/signing"
	"github.com/wreg-project/wreg/signing/keyless"
	"github.com/wreg-project/wreg/signing/verify"
	"github.com/wreg-project/wreg/test/testenv"
)

// startSigstore runs Sigstore's services.
func startSigstore(t *testing.T) *testenv.Sigstore {
	t.Helper()
	client(t, "fulcio")
	return testenv.StartSigstore(t, filepath.Join(top, ".cache", "clients"))
}

// keylessSigner signs as whom the token names.
func keylessSigner(t *testing.T, s *testenv.Sigstore, token string) *keyless.Signer {
	t.Helper()
	config, err := keyless.ReadConfig(s.SigningConfig)
	if err != nil {
		t.Fatal(err)
	}
	root, err := keyless.ReadRoot(s.TrustedRoot)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := keyless.New(keyless.Options{Config: config, Root: root, Tokens: keyless.Given(token)})
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

func TestKeylessSignaturesVerifyWithoutTheServices(t *testing.T) {
	s := startSigstore(t)
	subject := digest.FromString("a manifest")
	st := signing.Statement{PredicateType: signing.PredicateSignature, Subject: []signing.Subject{signing.SubjectOf("", subject)}}
	jobs := s.Workflows.Claims
	tests := []struct {
		name, token      string
		identity, issuer string
		repository       string // of the certificate's claims
	}{
		{name: "of a person", token: s.Issuer.Mint(t, nil), identity: "alice@example.com", issuer: s.Issuer.URL},
		{
			name: "of a workflow", token: s.Workflows.Mint(t, nil), identity: testenv.Identity(jobs), issuer: s.Workflows.URL,
			repository: "https://github.com/acme/app",
		},
	}
	bundles := make([][]byte, len(tests))
	for i, tt := range tests {
		var err error
		if bundles[i], err = signing.Sign(t.Context(), st, keylessSigner(t, s, tt.token)); err != nil {
			t.Fatalf("Sign(%s) = %v", tt.name, err)
		}
	}
	s.Stop()
	root, err := keyless.ReadRoot(s.TrustedRoot)
	if err != nil {
		t.Fatal(err)
	}
	v, err := verify.New(verify.Material{Root: root})
	if err != nil {
		t.Fatal(err)
	}
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			found := signing.Found{Form: signing.FormBundle, Subject: subject, Type: signing.MediaTypeBundle, Content: bundles[i]}
			p, err := v.Verify(t.Context(), subject, found)
			if err != nil {
				t.Fatal(err)
			}
			c := p.Certificate
			if c == nil || c.Identity != tt.identity || c.Issuer != tt.issuer || c.Claims.SourceRepositoryURI != tt.repository {
				t.Errorf("Verify() has the certificate %+v; want %s of %s, repository %q", c, tt.identity, tt.issuer, tt.repository)
			}
			if p.Log == nil || p.Log.URL != s.Rekor || len(p.Times) != 1 || p.Times[0].Source != "timestamp-authority" {
				t.Errorf("Verify() has log %+v and times %+v; want an entry of %s and one timestamp", p.Log, p.Times, s.Rekor)
			}
			if _, err := v.Verify(t.Context(), digest.FromString("another manifest"), found); err == nil {
				t.Error("Verify(another manifest) = nil, want an error")
			}
		})
	}
}

// What the services refuse is told with what to do about it, and without the token.
func TestKeylessRefusalsSayWhy(t *testing.T) {
	s := startSigstore(t)
	st := signing.Statement{
		PredicateType: signing.PredicateSignature, Subject: []signing.Subject{signing.SubjectOf("", digest.FromString("a manifest"))},
	}
	if _, err := signing.Sign(t.Context(), st, keylessSigner(t, s, s.Issuer.Mint(t, nil))); err != nil {
		t.Fatalf("Sign(with a good token) = %v", err)
	}
	stranger := testenv.StartIssuer(t)
	tests := []struct{ name, token, want string }{
		{name: "an issuer that the authority does not know", token: stranger.Mint(t, nil), want: "certificate of " + s.Fulcio},
		{name: "another audience", token: s.Issuer.Mint(t, map[string]any{"aud": "example"}), want: "certificate of " + s.Fulcio},
		{name: "an expired token", token: s.Issuer.Mint(t, map[string]any{"exp": 1700000000}), want: "it expired at 2023-11-14T22:13:20Z"},
		{name: "an address that is not verified", token: s.Issuer.Mint(t, map[string]any{"email_verified": false}), want: "certificate of " + s.Fulcio},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := signing.Sign(t.Context(), st, keylessSigner(t, s, tt.token))
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), tt.token) {
				t.Errorf("Sign() = %v, want an error with %q and without the token", err, tt.want)
			}
		})
	}
}
