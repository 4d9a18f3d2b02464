package verify_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/signing"
	"github.com/wreg-project/wreg/signing/key"
	"github.com/wreg-project/wreg/signing/verify"
)

// signed is a signature of d by k.
func signed(t testing.TB, k *key.Private, d digest.Digest) signing.Found {
	t.Helper()
	text, err := signing.Sign(t.Context(), signing.Statement{
		Subject: []signing.Subject{signing.SubjectOf("example/app", d)}, PredicateType: signing.PredicateSignature,
	}, k)
	if err != nil {
		t.Fatal(err)
	}
	return signing.Found{Form: signing.FormBundle, Subject: d, Content: text}
}

func generate(t testing.TB, algorithm string) *key.Private {
	t.Helper()
	k, err := key.Generate(algorithm)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestKeys(t *testing.T) {
	d, other := digest.FromString("manifest"), digest.FromString("other")
	for _, algorithm := range []string{key.P256, key.P384, key.Ed25519, key.RSA3072} {
		t.Run(algorithm, func(t *testing.T) {
			k, stranger := generate(t, algorithm), generate(t, algorithm)
			v, err := verify.New(verify.Material{Keys: []verify.Key{{Name: "release", Public: k.Public}}})
			if err != nil {
				t.Fatal(err)
			}
			f := signed(t, k, d)
			p, err := v.Verify(t.Context(), d, f)
			if err != nil {
				t.Fatalf("Verify = %v", err)
			}
			if p.Key == nil || p.Key.Name != "release" || p.Key.ID != k.ID() || p.PredicateType != signing.PredicateSignature {
				t.Errorf("Verify = %+v, want a signature by release", p)
			}
			if _, err := v.Verify(t.Context(), other, f); !errors.Is(err, verify.ErrRefused) {
				t.Errorf("Verify of another digest = %v, want ErrRefused", err)
			}
			if _, err := v.Verify(t.Context(), d, signed(t, stranger, d)); !errors.Is(err, verify.ErrRefused) {
				t.Errorf("Verify of another key's signature = %v, want ErrRefused", err)
			}
		})
	}
}

// simple is a signature in cosign's older form.
func simple(t testing.TB, k *key.Private, d digest.Digest) signing.Found {
	t.Helper()
	return keySigned(t, k, d, fmt.Sprintf(`{"critical":{"identity":{"docker-reference":""},"image":{"docker-manifest-digest":%q},`+
		`"type":"cosign container image signature"},"optional":null}`, d))
}

// keySigned is a payload in cosign's older form.
func keySigned(t testing.TB, k *key.Private, d digest.Digest, payload string) signing.Found {
	t.Helper()
	sig, _, err := k.SignData(t.Context(), []byte(payload))
	if err != nil {
		t.Fatal(err)
	}
	return signing.Found{
		Form: signing.FormCosign, Type: signing.MediaTypeSimpleSigning, Subject: d, Content: []byte(payload),
		Annotations: map[string]string{"dev.cosignproject.cosign/signature": base64.StdEncoding.EncodeToString(sig)},
	}
}

func TestCosignSignatures(t *testing.T) {
	d, other := digest.FromString("manifest"), digest.FromString("other")
	for _, algorithm := range []string{key.P256, key.Ed25519, key.RSA3072} {
		t.Run(algorithm, func(t *testing.T) {
			k, stranger := generate(t, algorithm), generate(t, key.P256)
			v := newVerifier(t, nil, verify.Key{Name: "stranger", Public: stranger.Public}, verify.Key{Name: "release", Public: k.Public})
			f := simple(t, k, d)
			p, err := v.Verify(t.Context(), d, f)
			if err != nil || p.Key == nil || p.Key.Name != "release" || p.PredicateType != signing.PredicateSignature {
				t.Errorf("Verify = %+v, %v; want a signature by release", p, err)
			}
			if _, err := v.Verify(t.Context(), other, f); !errors.Is(err, verify.ErrRefused) {
				t.Errorf("Verify of another digest = %v, want ErrRefused", err)
			}
			f.Content = bytes.Replace(f.Content, []byte("null"), []byte(`"x"`), 1)
			if _, err := v.Verify(t.Context(), d, f); !errors.Is(err, verify.ErrRefused) {
				t.Errorf("Verify of a changed payload = %v, want ErrRefused", err)
			}
		})
	}
}
