package cosign

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"testing"

	"github.com/sigstore/cosign/v2/pkg/cosign"
)

func newKey(t *testing.T) crypto.Signer {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func pkcs8(t *testing.T, k crypto.Signer) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func same(t *testing.T, got, want crypto.PublicKey) {
	t.Helper()
	if k, ok := want.(interface{ Equal(crypto.PublicKey) bool }); !ok || !k.Equal(got) {
		t.Fatalf("the key is %v, want %v", got, want)
	}
}

// What is encrypted here opens in cosign's own library, and in ours again.
func TestEncryptIsReadByCosign(t *testing.T) {
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range []crypto.Signer{newKey(t), ed} {
		text, err := Encrypt(pkcs8(t, k), []byte("open sesame"))
		if err != nil || !Is(text) {
			t.Fatalf("Encrypt(%T) = %q, %v", k, text, err)
		}
		theirs, err := cosign.LoadPrivateKey(text, []byte("open sesame"), nil)
		if err != nil {
			t.Fatalf("cosign.LoadPrivateKey of an encrypted %T: %v", k, err)
		}
		pub, err := theirs.PublicKey()
		if err != nil {
			t.Fatal(err)
		}
		same(t, pub, k.Public())
		ours, err := Decrypt(text, []byte("open sesame"))
		if err != nil {
			t.Fatalf("Decrypt(Encrypt(%T)) = %v", k, err)
		}
		same(t, ours.Public(), k.Public())
	}
}

func TestDecryptReadsWhatCosignMakes(t *testing.T) {
	theirs, err := cosign.GenerateKeyPair(func(bool) ([]byte, error) { return []byte("open sesame"), nil })
	if err != nil {
		t.Fatal(err)
	}
	k, err := Decrypt(theirs.PrivateBytes, []byte("open sesame"))
	if err != nil {
		t.Fatalf("Decrypt(cosign.GenerateKeyPair()) = %v", err)
	}
	pub, err := cosign.PemToECDSAKey(theirs.PublicBytes)
	if err != nil {
		t.Fatal(err)
	}
	same(t, k.Public(), pub)
	if k, err := Decrypt(theirs.PrivateBytes, nil); !errors.Is(err, ErrPass) {
		t.Fatalf("Decrypt without the pass phrase = %v, %v; want ErrPass", k, err)
	}
}

// One flipped bit anywhere in what was encrypted, and the key does not open.
func TestDecryptRefusesADamagedKey(t *testing.T) {
	text, err := Encrypt(pkcs8(t, newKey(t)), nil)
	if err != nil {
		t.Fatal(err)
	}
	for at := 60; at < len(text)-60; at += len(text) / 3 {
		bad := append([]byte(nil), text...)
		bad[at] ^= 1
		if k, err := Decrypt(bad, nil); err == nil {
			t.Errorf("Decrypt with byte %d flipped = %v; want an error", at, k)
		}
	}
}
