package signing_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

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

func TestSignIsBounded(t *testing.T) {
	k, err := key.Generate(key.P256)
	if err != nil {
		t.Fatal(err)
	}
	st := signing.Statement{PredicateType: "https://example.org/x", Predicate: strings.Repeat("x", signing.MaxBundle/2)}
	if _, err := signing.Sign(t.Context(), st, k); !errors.Is(err, signing.ErrLimit) {
		t.Errorf("Sign of a statement that is too large = %v, want ErrLimit", err)
	}
}
