package verify_test

import (
	"crypto/x509"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/wreg-project/wreg/signing"
	"github.com/wreg-project/wreg/signing/notation"
	"github.com/wreg-project/wreg/signing/signingtest"
	"github.com/wreg-project/wreg/signing/verify"
)

// A signature of Notation is a proof like any other; the clocks of Sigstore's roots
// date it too.
func TestNotation(t *testing.T) {
	s, n := signingtest.New(t, signingtest.Config{}), signingtest.NewNotary(t, signingtest.NotaryConfig{})
	v, err := verify.New(verify.Material{Root: s.Root(t), Notation: notation.Roots{CA: n.Chain[2:], Authority: n.Chain[2:]}})
	if err != nil {
		t.Fatal(err)
	}
	leaf := n.Chain[0]
	want := func(valid *verify.Period, times ...verify.Time) *verify.Proof {
		return &verify.Proof{
			Form: signing.FormNotation, Manifest: "sha256:carrier", PredicateType: signing.PredicateSignature, Times: times, Valid: valid,
			Certificate: &verify.Certificate{
				Identity: "CN=release,O=Acme,ST=WA,C=US", Issuer: "x509:CN=Acme Root,O=Acme", NotBefore: leaf.NotBefore, NotAfter: leaf.NotAfter,
				SHA256: digest.FromBytes(leaf.Raw).Encoded(),
			},
		}
	}
	stamp := func(sig []byte) []byte { return s.Token(t, sig, signingtest.Now) }
	tests := []struct {
		name string
		sign signingtest.NotationSigning
		want *verify.Proof
	}{
		{name: "undated", want: want(&verify.Period{From: leaf.NotBefore, Until: leaf.NotAfter})},
		{
			name: "dated by a clock of Sigstore", sign: signingtest.NotationSigning{Stamp: stamp},
			want: want(nil, verify.Time{Source: "timestamp-authority", URI: signingtest.StamperURL, Time: signingtest.Now}),
		},
		{
			name: "dated by a signing authority, with an expiry",
			sign: signingtest.NotationSigning{Scheme: notation.SchemeAuthority, Expiry: signingtest.Now.Add(time.Hour)},
			want: want(&verify.Period{Until: signingtest.Now.Add(time.Hour)}, verify.Time{Source: "signing-authority", Time: signingtest.Now}),
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.sign.Target = ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: app, Size: 3}
			f := n.Sign(t, tt.sign)
			f.Manifest = "sha256:carrier"
			p, err := v.Verify(t.Context(), app, f)
			if err != nil {
				t.Fatalf("Verify = %v", err)
			}
			if d := cmp.Diff(tt.want, p); d != "" {
				t.Errorf("Verify differs (-want +got):\n%s", d)
			}
			f.Target = ocispec.Descriptor{} // the manifest is not there yet
			if _, err := v.Verify(t.Context(), app, f); err != nil {
				t.Errorf("Verify without a manifest = %v", err)
			}
			refuses(t, v, digest.FromString("other"), f)
		})
	}
	nobody := newVerifier(t, s.Root(t))
	f := n.Sign(t, signingtest.NotationSigning{Target: ocispec.Descriptor{Digest: app}})
	_, err = nobody.Verify(t.Context(), app, f)
	for _, want := range []string{"signature refused", `in the name of "CN=release,O=Acme,ST=WA,C=US"`, "nobody is trusted"} {
		if !errors.Is(err, verify.ErrRefused) || !strings.Contains(err.Error(), want) {
			t.Errorf("Verify without roots = %v, want ErrRefused with %q", err, want)
		}
	}
	if _, err := verify.New(verify.Material{Notation: notation.Roots{CA: make([]*x509.Certificate, notation.MaxRoots+1)}}); !errors.Is(err, signing.ErrLimit) {
		t.Errorf("New with %d roots = %v, want ErrLimit", notation.MaxRoots+1, err)
	}
}

func TestGood(t *testing.T) {
	now := signingtest.Now
	tests := []struct {
		name  string
		valid *verify.Period
		want  string // of the error
	}{
		{name: "for ever"},
		{name: "in its time", valid: &verify.Period{From: now.Add(-1), Until: now.Add(1)}},
		{name: "in its first and last moment", valid: &verify.Period{From: now, Until: now}},
		{name: "without a beginning", valid: &verify.Period{Until: now}},
		{name: "too early", valid: &verify.Period{From: now.Add(time.Second)}, want: "it is good from 2024-05-01T12:00:01Z, and it is 2024-05-01T12:00:00Z"},
		{name: "too late", valid: &verify.Period{Until: now.Add(-time.Second)}, want: "it is good until 2024-05-01T11:59:59Z"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := (&verify.Proof{Valid: tt.valid}).Good(now)
			if tt.want == "" != (err == nil) || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Good = %v, want %q", err, tt.want)
			}
		})
	}
}
