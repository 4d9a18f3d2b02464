package signing_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/sigstore/sigstore-go/pkg/sign"

	"github.com/wreg-project/wreg/signing"
	"github.com/wreg-project/wreg/signing/key"
)

// What a server signs again after a crash is what it has stored.
func TestSignIsTheSameEachTime(t *testing.T) {
	for _, algorithm := range []string{key.P256, key.P384, key.Ed25519} {
		t.Run(algorithm, func(t *testing.T) {
			k, err := key.Generate(algorithm)
			if err != nil {
				t.Fatal(err)
			}
			st := signing.Statement{
				Subject:       []signing.Subject{signing.SubjectOf("team/app", digest.FromString("app"))},
				PredicateType: "https://example.org/x", Predicate: map[string]int{"b": 1, "a": 2},
			}
			first, err := signing.Sign(t.Context(), st, k)
			if err != nil {
				t.Fatal(err)
			}
			again, err := signing.Sign(t.Context(), st, k)
			if err != nil || !bytes.Equal(first, again) {
				t.Errorf("Sign = %s, %v; want what it was before:\n%s", again, err, first)
			}
			if bytes.ContainsAny(first, " \n") {
				t.Errorf("Sign = %s; want no spaces, which differ between builds", first)
			}
		})
	}
}

var about = []signing.Subject{signing.SubjectOf("", digest.FromString("app"))}

// What nobody could hold against anything is not signed.
func TestSignRefusesStatementsAboutNothing(t *testing.T) {
	k, err := key.Generate(key.P256)
	if err != nil {
		t.Fatal(err)
	}
	for name, st := range map[string]signing.Statement{
		"no predicate type":  {Subject: about},
		"no subject":         {PredicateType: signing.PredicateSignature},
		"no digest":          {PredicateType: signing.PredicateSignature, Subject: []signing.Subject{{Name: "app"}}},
		"half a digest":      {PredicateType: signing.PredicateSignature, Subject: []signing.Subject{{Digest: map[string]string{"sha256": "abcd"}}}},
		"another's digest":   {PredicateType: signing.PredicateSignature, Subject: []signing.Subject{{Digest: map[string]string{"crc": "abcd"}}}},
		"one of two is good": {PredicateType: signing.PredicateSignature, Subject: append(about[:1:1], signing.Subject{})},
	} {
		if got, err := signing.Sign(t.Context(), st, k); !errors.Is(err, signing.ErrFormat) {
			t.Errorf("Sign of a statement with %s = %s, %v; want ErrFormat", name, got, err)
		}
	}
}

func TestSignFailsWithItsSigner(t *testing.T) {
	gone := errors.New("the token is gone")
	st := signing.Statement{Subject: about, PredicateType: signing.PredicateSignature}
	if got, err := signing.Sign(t.Context(), st, signerFunc(func() error { return gone })); !errors.Is(err, gone) {
		t.Errorf("Sign by a signer that fails = %s, %v; want its error", got, err)
	}
}

type signerFunc func() error

func (f signerFunc) Options(context.Context) (sign.Keypair, sign.BundleOptions, error) {
	return nil, sign.BundleOptions{}, f()
}

func TestSignIsBounded(t *testing.T) {
	k, err := key.Generate(key.P256)
	if err != nil {
		t.Fatal(err)
	}
	st := signing.Statement{Subject: about, PredicateType: "https://example.org/x", Predicate: strings.Repeat("x", signing.MaxBundle/2)}
	if _, err := signing.Sign(t.Context(), st, k); !errors.Is(err, signing.ErrLimit) {
		t.Errorf("Sign of a statement that is too large = %v, want ErrLimit", err)
	}
}
