package verify_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/wreg-project/wreg/signing"
	"github.com/wreg-project/wreg/signing/key"
	"github.com/wreg-project/wreg/signing/signingtest"
	"github.com/wreg-project/wreg/signing/verify"
)

// Verification is to take at most 2 ms of CPU with a certificate and all that
// vouches for it, and 0.3 ms with a key.
func BenchmarkVerify(b *testing.B) {
	v, all := samples(b)
	for name, f := range all {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := v.Verify(b.Context(), app, f); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// An attestation as large as is signed.
func BenchmarkVerifyLarge(b *testing.B) {
	s, k := signingtest.New(b, signingtest.Config{}), generate(b, key.P256)
	v := newVerifier(b, s.Root(b), verify.Key{Name: "release", Public: k.Public})
	large := map[string]any{"components": strings.Repeat("x", signing.MaxBundle/2)}
	statement := signingtest.Statement(b, app, "https://cyclonedx.org/bom", large)
	f := signingtest.Found(b, app, s.Bundle(b, signingtest.Signing{Key: k, NoLog: true, NoStamp: true}, statement))
	b.ReportAllocs()
	b.SetBytes(int64(len(f.Content)))
	for b.Loop() {
		if _, err := v.Verify(b.Context(), app, f); err != nil {
			b.Fatal(err)
		}
	}
}

// The worst that a bundle without a good hint can ask for.
func BenchmarkVerifyByAnyOfManyKeys(b *testing.B) {
	s, k := signingtest.New(b, signingtest.Config{}), generate(b, key.P256)
	var keys []verify.Key
	for i := range verify.MaxKeys {
		keys = append(keys, verify.Key{Name: fmt.Sprint(i), Public: generate(b, []string{key.P256, key.Ed25519}[i%2]).Public})
	}
	v := newVerifier(b, s.Root(b), keys...)
	f := s.Sign(b, signingtest.Signing{Key: k, NoLog: true, NoStamp: true}, app)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Verify(b.Context(), app, f); err == nil {
			b.Fatal("a stranger's signature was accepted")
		}
	}
}

// A large bundle without a hint is not hashed for each of many keys.
func TestManyKeysAndLargeBundles(t *testing.T) {
	s, k := signingtest.New(t, signingtest.Config{}), generate(t, key.Ed25519)
	var keys []verify.Key
	for i := range 100 {
		keys = append(keys, verify.Key{Name: fmt.Sprint(i), Public: generate(t, key.Ed25519).Public})
	}
	statement := signingtest.Statement(t, app, "p", strings.Repeat("x", signing.MaxBundle/2))
	f := signingtest.Found(t, app, s.Bundle(t, signingtest.Signing{Key: k, NoLog: true, NoStamp: true}, statement))
	start := time.Now()
	refuses(t, newVerifier(t, nil, keys...), app, f, "it is too large to try all 100")
	if d := time.Since(start); d > 10*time.Second { // about 0.3 s; without a bound, 3 s, and more with longer ones
		t.Errorf("Verify took %v", d)
	}
}
