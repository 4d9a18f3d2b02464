package verify_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/sigstore/sigstore-go/pkg/root"

	"github.com/wreg-project/wreg/signing"
	"github.com/wreg-project/wreg/signing/key"
	"github.com/wreg-project/wreg/signing/signingtest"
	"github.com/wreg-project/wreg/signing/verify"
)

// app is the manifest that is signed in the tests.
var app = digest.FromString("app")

func newVerifier(t testing.TB, r root.TrustedMaterial, keys ...verify.Key) *verify.Verifier {
	t.Helper()
	v, err := verify.New(verify.Material{Root: r, Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestCertificates(t *testing.T) {
	const sbom = "https://cyclonedx.org/bom"
	tests := []struct {
		name   string
		config signingtest.Config
		sign   signingtest.Signing
		want   string // clocks and log
	}{
		{name: "a timestamp, and Rekor's version 2", want: "timestamp-authority, log 1 proven"},
		{name: "a timestamp, and no log", sign: signingtest.Signing{NoLog: true}, want: "timestamp-authority"},
		{
			name: "Rekor's version 1, and no timestamp", sign: signingtest.Signing{LogV1: true, NoStamp: true},
			want: "log, log 1001 proven",
		},
		{name: "Rekor's version 1, and a timestamp", sign: signingtest.Signing{LogV1: true}, want: "log, timestamp-authority, log 1001 proven"},
		{
			name: "a timestamp of a stranger, and Rekor's version 1", sign: signingtest.Signing{LogV1: true, ForgeStamp: true},
			want: "log, log 1001 proven",
		},
		{
			name:   "a chain, for a root without the intermediate authority",
			config: signingtest.Config{RootOnly: true}, sign: signingtest.Signing{Chain: true},
			want: "timestamp-authority, log 1 proven",
		},
		{
			name:   "no certificate transparency, for a root without",
			config: signingtest.Config{NoCT: true}, want: "timestamp-authority, log 1 proven",
		},
		{
			name: "a workflow",
			sign: signingtest.Signing{
				Identity:   "https://github.com/acme/app/.github/workflows/release.yml@refs/tags/v1",
				Extensions: map[int]string{12: "https://github.com/acme/app"},
			},
			want: "timestamp-authority, log 1 proven",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := signingtest.New(t, tt.config)
			v := newVerifier(t, s.Root(t))
			statement := signingtest.Statement(t, app, sbom, map[string]any{"components": []any{}})
			p, err := v.Verify(t.Context(), app, signingtest.Found(t, app, s.Bundle(t, tt.sign, statement)))
			if err != nil {
				t.Fatalf("Verify = %v", err)
			}
			if got := summary(p); got != tt.want {
				t.Errorf("Verify has %q, want %q", got, tt.want)
			}
			if p.PredicateType != sbom || string(p.Predicate) != `{"components":[]}` {
				t.Errorf("Verify = predicate %s of type %s, want the one that was signed", p.Predicate, p.PredicateType)
			}
			identity := tt.sign.Identity
			if identity == "" {
				identity = "somebody@example.com"
			}
			if c := p.Certificate; p.Key != nil || c.Identity != identity || c.Issuer != signingtest.Issuer ||
				c.Claims.SourceRepositoryURI != tt.sign.Extensions[12] {
				t.Errorf("Verify = certificate %+v, want one of %s", c, identity)
			}
		})
	}
}

// summary is the clocks and the log of a proof.
func summary(p *verify.Proof) string {
	text := ""
	for _, at := range p.Times {
		if text != "" {
			text += ", "
		}
		text += at.Source
		if !at.Time.Equal(signingtest.Now) {
			text += " at " + at.Time.Format(time.RFC3339)
		}
	}
	if p.Log != nil {
		if text != "" {
			text += ", "
		}
		text += fmt.Sprintf("log %d", p.Log.Index)
		if p.Log.Proven {
			text += " proven"
		}
	}
	return text
}

func TestCosignForms(t *testing.T) {
	s, k := signingtest.New(t, signingtest.Config{}), generate(t, key.P256)
	v := newVerifier(t, s.Root(t), verify.Key{Name: "release", Public: k.Public})
	tests := []struct {
		name string
		sign signingtest.Signing
		want string // clocks and log
	}{
		{name: "a certificate in the log", sign: signingtest.Signing{NoStamp: true}, want: "log, log 1001"},
		{name: "a certificate with a timestamp", sign: signingtest.Signing{NoLog: true}, want: "timestamp-authority"},
		{name: "a certificate with both", want: "log, timestamp-authority, log 1001"},
		{name: "a key", sign: signingtest.Signing{Key: k, NoLog: true, NoStamp: true}},
		{name: "a key in the log", sign: signingtest.Signing{Key: k, NoStamp: true}, want: "log, log 1001"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			statement := signingtest.Statement(t, app, "https://cyclonedx.org/bom", struct{}{})
			for want, f := range map[string]signing.Found{
				signing.PredicateSignature:  s.CosignSignature(t, tt.sign, app),
				"https://cyclonedx.org/bom": s.CosignAttestation(t, tt.sign, app, statement),
			} {
				p, err := v.Verify(t.Context(), app, f)
				if err != nil {
					t.Fatalf("Verify of %s = %v", f.Type, err)
				}
				if got := summary(p); got != tt.want || p.PredicateType != want || (p.Key != nil) != (tt.sign.Key != nil) {
					t.Errorf("Verify of %s = %q, %+v; want %q of type %s", f.Type, got, p, tt.want, want)
				}
			}
		})
	}
}

// A certificate of cosign's older form comes with its chain, which a root without
// the intermediate authority needs.
func TestCosignChains(t *testing.T) {
	s := signingtest.New(t, signingtest.Config{RootOnly: true})
	if _, err := newVerifier(t, s.Root(t)).Verify(t.Context(), app, s.CosignSignature(t, signingtest.Signing{}, app)); err != nil {
		t.Errorf("Verify = %v, want the chain to be used", err)
	}
}

// Rules of a log or a timestamp can only be kept if proofs do not have what was
// stripped.
func TestKeysWithAndWithoutVouchers(t *testing.T) {
	s, k := signingtest.New(t, signingtest.Config{}), generate(t, key.P256)
	v := newVerifier(t, s.Root(t), verify.Key{Name: "release", Public: k.Public})
	tests := []struct {
		name string
		sign signingtest.Signing
		want string
	}{
		{name: "all", want: "timestamp-authority, log 1 proven"},
		{name: "the log stripped", sign: signingtest.Signing{NoLog: true}, want: "timestamp-authority"},
		{name: "the timestamp stripped", sign: signingtest.Signing{NoStamp: true}, want: "log 1 proven"},
		{name: "both stripped", sign: signingtest.Signing{NoLog: true, NoStamp: true}},
		{name: "a timestamp of a stranger", sign: signingtest.Signing{ForgeStamp: true}, want: "log 1 proven"},
		{name: "version 1 of the log", sign: signingtest.Signing{LogV1: true, NoStamp: true}, want: "log, log 1001 proven"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.sign.Key = k
			p, err := v.Verify(t.Context(), app, s.Sign(t, tt.sign, app))
			if err != nil {
				t.Fatalf("Verify = %v", err)
			}
			if got := summary(p); got != tt.want || p.Key == nil || p.Key.ID != k.ID() {
				t.Errorf("Verify = %q, %+v; want %q by the key", got, p.Key, tt.want)
			}
		})
	}
}

func TestLifeOfKeys(t *testing.T) {
	s, k := signingtest.New(t, signingtest.Config{}), generate(t, key.P256)
	hour := time.Hour
	tests := []struct {
		name     string
		from, to time.Time
		sign     signingtest.Signing
		want     string // of the error
	}{
		{name: "within", from: signingtest.Now.Add(-hour), to: signingtest.Now.Add(hour)},
		{
			name: "after", to: signingtest.Now.Add(-hour),
			want: "the key is good until 2024-05-01T11:00:00Z, and it was signed at 2024-05-01T12:00:00Z",
		},
		{
			name: "before", from: signingtest.Now.Add(hour),
			want: "the key is good from 2024-05-01T13:00:00Z, and it was signed at 2024-05-01T12:00:00Z",
		},
		{
			name: "nobody knows", to: signingtest.Now.Add(hour), sign: signingtest.Signing{NoStamp: true},
			want: "the key is good until 2024-05-01T13:00:00Z only, and no trusted clock says when this was signed",
		},
		{
			name: "the log's clock knows", to: signingtest.Now.Add(-hour), sign: signingtest.Signing{NoStamp: true, LogV1: true},
			want: "the key is good until 2024-05-01T11:00:00Z, and it was signed at 2024-05-01T12:00:00Z",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := newVerifier(t, s.Root(t), verify.Key{Name: "release", Public: k.Public, NotBefore: tt.from, NotAfter: tt.to})
			tt.sign.Key = k
			_, err := v.Verify(t.Context(), app, s.Sign(t, tt.sign, app))
			if tt.want == "" && err != nil || tt.want != "" && (!errors.Is(err, verify.ErrRefused) || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("Verify = %v, want %q", err, tt.want)
			}
		})
	}
}

// A private root without certificate transparency must not excuse certificates of
// a public one, nor the public one ask it of the private.
func TestRootsAreApart(t *testing.T) {
	public, private := signingtest.New(t, signingtest.Config{}), signingtest.New(t, signingtest.Config{NoCT: true})
	v := newVerifier(t, root.TrustedMaterialCollection{public.Root(t), private.Root(t)})
	for name, s := range map[string]*signingtest.Sigstore{"public": public, "private": private} {
		if _, err := v.Verify(t.Context(), app, s.Sign(t, signingtest.Signing{}, app)); err != nil {
			t.Errorf("Verify by the %s root = %v", name, err)
		}
	}
	if p, err := v.Verify(t.Context(), app, public.Sign(t, signingtest.Signing{NoSCT: true}, app)); !errors.Is(err, verify.ErrRefused) {
		t.Errorf("Verify = %+v, %v; want ErrRefused without certificate transparency", p, err)
	}
}

// Several keys may carry one name, or one key several: its ID tells.
func TestHintsAreNotBelieved(t *testing.T) {
	s, k, other := signingtest.New(t, signingtest.Config{}), generate(t, key.P256), generate(t, key.Ed25519)
	v := newVerifier(t, nil, verify.Key{Name: "other", Public: other.Public}, verify.Key{Name: "release", Public: k.Public})
	statement := signingtest.Statement(t, app, signing.PredicateSignature, struct{}{})
	for _, hint := range []string{"", "nobody", k.ID(), k.Hint()} {
		b := s.Bundle(t, signingtest.Signing{Key: k, NoLog: true, NoStamp: true}, statement)
		b.GetVerificationMaterial().GetPublicKey().Hint = hint
		b.GetDsseEnvelope().GetSignatures()[0].Keyid = hint
		if p, err := v.Verify(t.Context(), app, signingtest.Found(t, app, b)); err != nil || p.Key.Name != "release" {
			t.Errorf("Verify with hint %q = %+v, %v; want release's", hint, p, err)
		}
	}
	b := s.Bundle(t, signingtest.Signing{Key: k, NoLog: true, NoStamp: true}, statement)
	b.GetVerificationMaterial().GetPublicKey().Hint = other.Hint()
	if p, err := v.Verify(t.Context(), app, signingtest.Found(t, app, b)); err == nil {
		t.Errorf("Verify with the hint of another key = %+v, want ErrRefused", p)
	}
}
