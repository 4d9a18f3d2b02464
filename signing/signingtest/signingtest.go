// Package signingtest is a Sigstore in memory, for tests: an authority for
// certificates, a certificate transparency log, a timestamp authority, and a
// transparency log that speaks as Rekor does in version 1 and 2. The cryptography
// is real, nothing uses a network, and the clock stands still.
//
// A [Signing] says how one signature differs from a good one: when it was stamped,
// which part is missing. What is made can be taken apart and forged further.
// [Sigstore.Serve] is for programs that ask services themselves.
package signingtest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"math/big"
	"testing"
	"time"

	"github.com/sigstore/sigstore-go/pkg/root"
)

// Now is what the clocks of a Sigstore show.
var Now = time.Date(2024, 5, 1, 12, 0, 0, 0, time.UTC)

// Config says how a Sigstore differs from a good one. The zero value is good.
type Config struct {
	IntermediateNotAfter time.Time // of the authority that signs certificates; zero: a year from Now
	RootOnly             bool      // the trusted root does not have the intermediate certificate
	NoCT                 bool      // there is no certificate transparency log
	AuthorityUntil       time.Time // the end of the authority's time as one, in the trusted root; zero: none
	StamperUntil         time.Time // the same of the timestamp authority
	LogFrom, LogUntil    time.Time // the life of the log's key; zero: a year before and after Now
}

// A Sigstore vouches. Its methods are safe for concurrent use.
type Sigstore struct {
	config       Config
	root         *x509.Certificate
	intermediate *x509.Certificate
	stamper      *x509.Certificate
	signs        *ecdsa.PrivateKey // certificates, as the intermediate authority
	stamps       *ecdsa.PrivateKey
	log          *ecdsa.PrivateKey
	ct           *ecdsa.PrivateKey
}

// Names of what a Sigstore is made of.
const (
	LogURL     = "https://rekor.example.com"
	StamperURL = "https://tsa.example.com"
	Issuer     = "https://issuer.example.com"
)

// New makes a Sigstore with keys of its own.
func New(t testing.TB, c Config) *Sigstore {
	t.Helper()
	year := 365 * 24 * time.Hour
	if c.IntermediateNotAfter.IsZero() {
		c.IntermediateNotAfter = Now.Add(year)
	}
	if c.LogFrom.IsZero() {
		c.LogFrom = Now.Add(-year)
	}
	if c.LogUntil.IsZero() {
		c.LogUntil = Now.Add(year)
	}
	s := &Sigstore{config: c, signs: newKey(t), stamps: newKey(t), log: newKey(t), ct: newKey(t)}
	rootKey := newKey(t)
	authority := func(name string, until time.Time) *x509.Certificate {
		return &x509.Certificate{
			SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: Now.Add(-year), NotAfter: until,
			KeyUsage: x509.KeyUsageCertSign, BasicConstraintsValid: true, IsCA: true,
		}
	}
	template := authority("root", Now.Add(100*year))
	s.root = certify(t, template, template, &rootKey.PublicKey, rootKey)
	s.intermediate = certify(t, authority("intermediate", c.IntermediateNotAfter), s.root, &s.signs.PublicKey, rootKey)
	s.stamper = certify(t, &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "timestamps"}, NotBefore: Now.Add(-year),
		NotAfter: Now.Add(100 * year), // what makes timestamps puts the time of the test into them as well
		KeyUsage: x509.KeyUsageDigitalSignature,
		ExtraExtensions: []pkix.Extension{ // extended key usage of timestamps, and critical (RFC 3161, section 2.3)
			{Id: []int{2, 5, 29, 37}, Critical: true, Value: der(t, [][]int{{1, 3, 6, 1, 5, 5, 7, 3, 8}})},
		},
	}, s.root, &s.stamps.PublicKey, rootKey)
	return s
}

// Root is what trusts the Sigstore.
func (s *Sigstore) Root(t testing.TB) *root.TrustedRoot {
	t.Helper()
	authority := &root.FulcioCertificateAuthority{Root: s.root, ValidityPeriodEnd: s.config.AuthorityUntil}
	if !s.config.RootOnly {
		authority.Intermediates = []*x509.Certificate{s.intermediate}
	}
	ct := map[string]*root.TransparencyLog{}
	if !s.config.NoCT {
		id := keyID(t, s.ct)
		ct[hex.EncodeToString(id)] = &root.TransparencyLog{
			ID: id, PublicKey: s.ct.Public(), HashFunc: crypto.SHA256, SignatureHashFunc: crypto.SHA256,
		}
	}
	id := keyID(t, s.log)
	logs := map[string]*root.TransparencyLog{hex.EncodeToString(id): {
		BaseURL: LogURL, ID: id, PublicKey: s.log.Public(), HashFunc: crypto.SHA256, SignatureHashFunc: crypto.SHA256,
		ValidityPeriodStart: s.config.LogFrom, ValidityPeriodEnd: s.config.LogUntil,
	}}
	stamper := &root.SigstoreTimestampingAuthority{Root: s.root, Leaf: s.stamper, URI: StamperURL, ValidityPeriodEnd: s.config.StamperUntil}
	r, err := root.NewTrustedRoot(root.TrustedRootMediaType01, []root.CertificateAuthority{authority}, ct,
		[]root.TimestampingAuthority{stamper}, logs)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// keyID is the ID of a log: the SHA-256 of its key.
func keyID(t testing.TB, k *ecdsa.PrivateKey) []byte {
	t.Helper()
	text, err := x509.MarshalPKIXPublicKey(k.Public())
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(text)
	return sum[:]
}

func certify(t testing.TB, template, parent *x509.Certificate, k crypto.PublicKey, by *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	text, err := x509.CreateCertificate(rand.Reader, template, parent, k, by)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(text)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
