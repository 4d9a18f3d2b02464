// Package key holds the keys that sign and verify packages: ECDSA on P-256, P-384
// and P-521, Ed25519, and RSA from 2048 bits on.
//
// A [Private] key signs; where its bytes are, in a file, a token or a service,
// does not matter here. A [Public] one is known by its ID, the SHA-256 of its
// SubjectPublicKeyInfo (RFC 5280, section 4.1), which is also what bundles hint
// at it by. signing/keyref opens what people name keys by.
package key

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	"github.com/sigstore/sigstore-go/pkg/sign"
	"github.com/sigstore/sigstore/pkg/signature"
)

// Errors to test for.
var (
	// ErrFormat is of bytes that are no key in PEM, or one of a kind that does not
	// sign packages.
	ErrFormat = errors.New("not a key that can be used")
	// ErrEncrypted is of a private key that needs a pass phrase.
	ErrEncrypted = errors.New("the key is encrypted")
	// ErrAlgorithm is of an algorithm that Generate has no keys of.
	ErrAlgorithm = errors.New("unknown algorithm")
)

// MaxPEM bounds a key's text, in bytes.
const MaxPEM = 64 << 10

// minRSA is the least size of an RSA key, in bits (NIST SP 800-131A).
const minRSA = 2048

// A Public key verifies.
type Public struct {
	Key crypto.PublicKey // *ecdsa.PublicKey, ed25519.PublicKey or *rsa.PublicKey

	der    []byte
	sum    [sha256.Size]byte
	detail signature.AlgorithmDetails
}

// NewPublic checks that pub is of a kind that signs packages. The error is
// ErrFormat.
func NewPublic(pub crypto.PublicKey) (*Public, error) {
	switch k := pub.(type) {
	case *ecdsa.PublicKey:
		if k.Curve != elliptic.P256() && k.Curve != elliptic.P384() && k.Curve != elliptic.P521() {
			return nil, fmt.Errorf("%w: its curve is %s", ErrFormat, k.Curve.Params().Name)
		}
	case ed25519.PublicKey:
	case *rsa.PublicKey:
		if n := k.N.BitLen(); n < minRSA {
			return nil, fmt.Errorf("%w: RSA of %d bits; it takes %d", ErrFormat, n, minRSA)
		}
	default:
		return nil, fmt.Errorf("%w: it is %T", ErrFormat, pub)
	}
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	detail, err := signature.GetDefaultAlgorithmDetails(pub)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	return &Public{Key: pub, der: der, sum: sha256.Sum256(der), detail: detail}, nil
}

// ParsePublic reads a public key in PEM, or the key of a certificate in PEM. The
// error is ErrFormat.
func ParsePublic(text []byte) (*Public, error) {
	block, err := decode(text)
	if err != nil {
		return nil, err
	}
	switch block.Type {
	case "PUBLIC KEY":
		pub, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrFormat, err)
		}
		return NewPublic(pub)
	case "RSA PUBLIC KEY":
		pub, err := x509.ParsePKCS1PublicKey(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrFormat, err)
		}
		return NewPublic(pub)
	case "CERTIFICATE":
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrFormat, err)
		}
		return NewPublic(cert.PublicKey)
	}
	return nil, fmt.Errorf("%w: PEM of type %.40q where a public key should be", ErrFormat, block.Type)
}

func decode(text []byte) (*pem.Block, error) {
	if len(text) > MaxPEM {
		return nil, fmt.Errorf("%w: %d bytes", ErrFormat, len(text))
	}
	block, rest := pem.Decode(text)
	if block != nil && block.Type == "EC PARAMETERS" { // as openssl ecparam -genkey writes it in front
		block, rest = pem.Decode(rest)
	}
	switch {
	case block == nil:
		return nil, fmt.Errorf("%w: no PEM", ErrFormat)
	case len(bytes.TrimSpace(rest)) > 0:
		return nil, fmt.Errorf("%w: there is more behind the first block of PEM", ErrFormat)
	}
	return block, nil
}

// ID is the SHA-256 of the key, in hexadecimal.
func (p *Public) ID() string { return hex.EncodeToString(p.sum[:]) }

// Hint is what bundles name the key by: the same hash in base64, as cosign has it.
func (p *Public) Hint() string { return base64.StdEncoding.EncodeToString(p.sum[:]) }

// PEM is the key as a SubjectPublicKeyInfo.
func (p *Public) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: p.der})
}

// Algorithm is a short name for people: "ECDSA P-256", "Ed25519", "RSA 3072".
func (p *Public) Algorithm() string {
	switch k := p.Key.(type) {
	case *ecdsa.PublicKey:
		return "ECDSA " + k.Curve.Params().Name
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA %d", k.N.BitLen())
	}
	return "Ed25519"
}

// Verifier checks signatures of the key, with the hash that belongs to it: SHA-256,
// SHA-384 for P-384 and SHA-512 for P-521.
func (p *Public) Verifier() (signature.Verifier, error) {
	return signature.LoadVerifier(p.Key, p.detail.GetHashType())
}

// A Private key signs. It is a Keypair of sigstore-go and a signing.Signer. Its
// methods are safe for concurrent use if the signer's are.
type Private struct {
	*Public
	signer crypto.Signer
}

// NewPrivate makes a key of what signs: a key in memory, or in a token or service.
// The error is ErrFormat.
func NewPrivate(s crypto.Signer) (*Private, error) {
	pub, err := NewPublic(s.Public())
	if err != nil {
		return nil, err
	}
	return &Private{Public: pub, signer: s}, nil
}

// Algorithms of Generate.
const (
	P256    = "ecdsa-p256"
	P384    = "ecdsa-p384"
	Ed25519 = "ed25519"
	RSA3072 = "rsa-3072"
)

// Algorithms are those of Generate; the first is what to take if nothing speaks for
// another.
func Algorithms() []string { return []string{P256, P384, Ed25519, RSA3072} }

// Generate makes a new key. The error is ErrAlgorithm.
func Generate(algorithm string) (*Private, error) {
	var s crypto.Signer
	var err error
	switch algorithm {
	case P256:
		s, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case P384:
		s, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case Ed25519:
		_, s, err = ed25519.GenerateKey(rand.Reader)
	case RSA3072:
		s, err = rsa.GenerateKey(rand.Reader, 3072)
	default:
		return nil, fmt.Errorf("%.40q: %w: there are %s", algorithm, ErrAlgorithm, strings.Join(Algorithms(), ", "))
	}
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	return NewPrivate(s)
}

// ParsePrivate reads a private key in PEM that is not encrypted: PKCS #8, SEC 1
// or PKCS #1. The errors are ErrEncrypted and ErrFormat.
func ParsePrivate(text []byte) (*Private, error) {
	block, err := decode(text)
	if err != nil {
		return nil, err
	}
	var k any
	switch block.Type {
	case "PRIVATE KEY":
		k, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		k, err = x509.ParseECPrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		if block.Headers["DEK-Info"] != "" {
			return nil, ErrEncrypted
		}
		k, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "ENCRYPTED SIGSTORE PRIVATE KEY", "ENCRYPTED COSIGN PRIVATE KEY", "ENCRYPTED PRIVATE KEY":
		return nil, ErrEncrypted
	default:
		return nil, fmt.Errorf("%w: PEM of type %.40q where a private key should be", ErrFormat, block.Type)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	s, ok := k.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("%w: it is %T", ErrFormat, k)
	}
	return NewPrivate(s)
}

// MarshalPKCS8 is the key in PEM, unencrypted. It fails if the key is not in
// memory.
func (p *Private) MarshalPKCS8() ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(p.signer)
	if err != nil {
		return nil, fmt.Errorf("write the key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// Options implements signing.Signer: nobody vouches for the key.
func (p *Private) Options(context.Context) (sign.Keypair, sign.BundleOptions, error) {
	return p, sign.BundleOptions{}, nil
}

// GetHashAlgorithm implements sign.Keypair, as the methods below do.
func (p *Private) GetHashAlgorithm() protocommon.HashAlgorithm { return p.detail.GetProtoHashType() }

// GetSigningAlgorithm names algorithm and hash.
func (p *Private) GetSigningAlgorithm() protocommon.PublicKeyDetails {
	return p.detail.GetSignatureAlgorithm()
}

// GetHint is Hint.
func (p *Private) GetHint() []byte { return []byte(p.Hint()) }

// GetKeyAlgorithm is how Fulcio calls the algorithm.
func (p *Private) GetKeyAlgorithm() string {
	switch p.Key.(type) {
	case *ecdsa.PublicKey:
		return "ECDSA"
	case *rsa.PublicKey:
		return "RSA"
	}
	return "ED25519"
}

// GetPublicKey gives the public half.
func (p *Private) GetPublicKey() crypto.PublicKey { return p.Key }

// GetPublicKeyPem is PEM.
func (p *Private) GetPublicKeyPem() (string, error) { return string(p.PEM()), nil }

// SignData signs data and gives the signature and what was signed: the hash, but
// for Ed25519 the data. A key in memory gives the same signature for the same data,
// by RFC 6979 if it is of ECDSA, so that no weak source of randomness betrays it and
// what is signed twice is stored once. RSA signs with PKCS #1 v1.5.
func (p *Private) SignData(_ context.Context, data []byte) (sig, signed []byte, err error) {
	h := p.detail.GetHashType()
	signed = data
	if h != crypto.Hash(0) {
		w := h.New()
		w.Write(data)
		signed = w.Sum(nil)
	}
	random := rand.Reader
	if _, ok := p.signer.(*ecdsa.PrivateKey); ok {
		random = nil
	}
	if sig, err = p.signer.Sign(random, signed, h); err != nil {
		return nil, nil, fmt.Errorf("sign with key %.16s…: %w", p.ID(), err)
	}
	return sig, signed, nil
}
