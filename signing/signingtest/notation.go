package signingtest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"maps"
	"math/big"
	"slices"
	"testing"
	"time"

	"github.com/digitorus/timestamp"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/wreg-project/wreg/signing"
)

// A Notary signs as Notation does, with a certificate of an authority that was made
// for it.
type Notary struct {
	Chain []*x509.Certificate // of the signer, of an authority between, of the root
	key   crypto.Signer
}

// A NotaryConfig says how a Notary differs from a good one, whose certificate is of
// "CN=release,O=Acme,ST=WA,C=US" and good for a day before and after Now.
type NotaryConfig struct {
	Key                    crypto.Signer // ECDSA on P-256 if nil
	NotBefore, NotAfter    time.Time     // of the signer's certificate
	IntermediateNotAfter   time.Time
	Subject                pkix.Name
	Usage                  x509.KeyUsage
	ExtendedUsage          []x509.ExtKeyUsage
	Authority, CriticalOID bool // the signer's certificate is of an authority; has an extension that nobody knows
}

// NewNotary makes a Notary.
func NewNotary(t testing.TB, c NotaryConfig) *Notary {
	t.Helper()
	day := 24 * time.Hour
	n := &Notary{key: c.Key}
	if n.key == nil {
		n.key = newKey(t)
	}
	orTime := func(at, other time.Time) time.Time {
		if at.IsZero() {
			return other
		}
		return at
	}
	if c.Subject.CommonName == "" {
		c.Subject = pkix.Name{CommonName: "release", Organization: []string{"Acme"}, Province: []string{"WA"}, Country: []string{"US"}}
	}
	if c.Usage == 0 {
		c.Usage = x509.KeyUsageDigitalSignature
	}
	authority := func(name string, until time.Time) *x509.Certificate {
		return &x509.Certificate{
			SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name, Organization: []string{"Acme"}}, NotBefore: Now.Add(-365 * day),
			NotAfter: until, KeyUsage: x509.KeyUsageCertSign, BasicConstraintsValid: true, IsCA: true,
		}
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: c.Subject, NotBefore: orTime(c.NotBefore, Now.Add(-day)), NotAfter: orTime(c.NotAfter, Now.Add(day)),
		KeyUsage: c.Usage, ExtKeyUsage: c.ExtendedUsage, BasicConstraintsValid: true, IsCA: c.Authority,
	}
	if c.CriticalOID {
		leaf.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 99999, 1}, Critical: true, Value: der(t, "x")}}
	}
	rootKey, between := newKey(t), newKey(t)
	template := authority("Acme Root", Now.Add(3650*day))
	top := certify(t, template, template, rootKey.Public(), rootKey)
	middle := certify(t, authority("Acme Signing", orTime(c.IntermediateNotAfter, Now.Add(365*day))), top, between.Public(), rootKey)
	own := certify(t, leaf, middle, n.key.Public(), between)
	n.Chain = []*x509.Certificate{own, middle, top}
	return n
}

// A NotationSigning says how one signature differs from a good one, which is a JWS of
// Target, of the scheme "notary.x509", signed Now.
type NotationSigning struct {
	Target  ocispec.Descriptor
	Payload []byte // in place of one about Target
	COSE    bool

	Time, Expiry time.Time
	Scheme       string
	Algorithm    string         // in place of the key's
	Attributes   map[string]any // protected, in addition or in place; a nil one is left out
	Critical     []string       // in place of the right ones

	// Stamp makes a timestamp token of the signature, nil for none.
	Stamp func(sig []byte) []byte
	Chain []*x509.Certificate // in place of the notary's
}

// Sign makes a signature.
func (n *Notary) Sign(t testing.TB, s NotationSigning) signing.Found {
	t.Helper()
	if s.Time.IsZero() {
		s.Time = Now
	}
	if s.Scheme == "" {
		s.Scheme = "notary.x509"
	}
	if s.Chain == nil {
		s.Chain = n.Chain
	}
	if s.Payload == nil {
		var err error
		if s.Payload, err = json.Marshal(map[string]any{"targetArtifact": s.Target}); err != nil {
			t.Fatal(err)
		}
	}
	f := signing.Found{Form: signing.FormNotation, Subject: s.Target.Digest, Target: s.Target, Type: "application/jose+json"}
	if s.COSE {
		f.Type, f.Content = "application/cose", n.cose(t, s)
		return f
	}
	f.Content = n.jws(t, s)
	return f
}

// attributes are the protected ones that both forms have, and which are critical.
func (s NotationSigning) attributes() (all map[string]any, critical []string) {
	all = map[string]any{"io.cncf.notary.signingScheme": s.Scheme, "io.cncf.notary.signingTime": s.Time}
	critical = []string{"io.cncf.notary.signingScheme"}
	if s.Scheme != "notary.x509" {
		delete(all, "io.cncf.notary.signingTime")
		all["io.cncf.notary.authenticSigningTime"] = s.Time
		critical = append(critical, "io.cncf.notary.authenticSigningTime")
	}
	if !s.Expiry.IsZero() {
		all["io.cncf.notary.expiry"] = s.Expiry
		critical = append(critical, "io.cncf.notary.expiry")
	}
	for name, value := range s.Attributes {
		if all[name] = value; value == nil {
			delete(all, name)
		}
	}
	if s.Critical != nil {
		critical = s.Critical
	}
	return all, critical
}

func (s NotationSigning) ders() (list [][]byte) {
	for _, c := range s.Chain {
		list = append(list, c.Raw)
	}
	return list
}

func (n *Notary) jws(t testing.TB, s NotationSigning) []byte {
	t.Helper()
	header, critical := s.attributes()
	header["crit"], header["cty"], header["alg"] = critical, "application/vnd.cncf.notary.payload.v1+json", s.Algorithm
	if s.Algorithm == "" {
		header["alg"], _ = n.algorithm()
	}
	protected, err := json.Marshal(header)
	if err != nil {
		t.Fatal(err)
	}
	b64 := base64.RawURLEncoding.EncodeToString
	sig := n.sign(t, []byte(b64(protected)+"."+b64(s.Payload)))
	open := map[string]any{"x5c": s.ders(), "io.cncf.notary.signingAgent": "test/1.0"}
	if s.Stamp != nil {
		open["io.cncf.notary.timestampSignature"] = s.Stamp(sig)
	}
	text, err := json.Marshal(map[string]any{"payload": b64(s.Payload), "protected": b64(protected), "header": open, "signature": b64(sig)})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func (n *Notary) cose(t testing.TB, s NotationSigning) []byte {
	t.Helper()
	attributes, critical := s.attributes()
	numbers := map[string]int64{"ES256": -7, "ES384": -35, "ES512": -36, "PS256": -37, "PS384": -38, "PS512": -39}
	name, _ := n.algorithm()
	if s.Algorithm != "" {
		name = s.Algorithm
	}
	var list []any
	for _, c := range critical {
		list = append(list, c)
	}
	header := map[any]any{int64(1): numbers[name], int64(2): list, int64(3): "application/vnd.cncf.notary.payload.v1+json"}
	for name, value := range attributes {
		header[name] = value
	}
	protected := cbor(nil, header)
	sig := n.sign(t, cbor(nil, []any{"Signature1", protected, []byte{}, s.Payload}))
	var chain []any
	for _, c := range s.ders() {
		chain = append(chain, c)
	}
	open := map[any]any{int64(33): chain, "io.cncf.notary.signingAgent": "test/1.0"}
	if s.Stamp != nil {
		open["io.cncf.notary.timestampSignature"] = s.Stamp(sig)
	}
	return append([]byte{0xd2}, cbor(nil, []any{protected, open, s.Payload, sig})...)
}

// algorithm is what the notary's key signs by.
func (n *Notary) algorithm() (string, crypto.Hash) {
	switch k := n.key.Public().(type) {
	case *rsa.PublicKey:
		switch k.Size() {
		case 384:
			return "PS384", crypto.SHA384
		case 512:
			return "PS512", crypto.SHA512
		}
		return "PS256", crypto.SHA256
	case *ecdsa.PublicKey:
		switch k.Params().BitSize {
		case 384:
			return "ES384", crypto.SHA384
		case 521:
			return "ES512", crypto.SHA512
		}
	}
	return "ES256", crypto.SHA256
}

// sign signs a message, with ECDSA as two numbers of the same length.
func (n *Notary) sign(t testing.TB, message []byte) []byte {
	t.Helper()
	_, hash := n.algorithm()
	w := hash.New()
	w.Write(message)
	var options crypto.SignerOpts = hash
	if _, ok := n.key.(*rsa.PrivateKey); ok {
		options = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: hash}
	}
	sig, err := n.key.Sign(rand.Reader, w.Sum(nil), options)
	if err != nil {
		t.Fatal(err)
	}
	if k, ok := n.key.(*ecdsa.PrivateKey); ok {
		var pair struct{ R, S *big.Int }
		if _, err := asn1.Unmarshal(sig, &pair); err != nil {
			t.Fatal(err)
		}
		size := (k.Params().BitSize + 7) / 8
		sig = append(pair.R.FillBytes(make([]byte, size)), pair.S.FillBytes(make([]byte, size))...)
	}
	return sig
}

// cbor writes what a COSE_Sign1 is made of, with shortest lengths and sorted keys.
func cbor(b []byte, v any) []byte {
	head := func(major byte, n uint64) {
		switch {
		case n < 24:
			b = append(b, major<<5|byte(n))
		case n < 1<<8:
			b = append(b, major<<5|24, byte(n))
		case n < 1<<16:
			b = binary.BigEndian.AppendUint16(append(b, major<<5|25), uint16(n))
		default:
			b = binary.BigEndian.AppendUint64(append(b, major<<5|27), n)
		}
	}
	switch v := v.(type) {
	case int64:
		if v < 0 {
			head(1, uint64(-1-v))
		} else {
			head(0, uint64(v))
		}
	case []byte:
		head(2, uint64(len(v)))
		b = append(b, v...)
	case string:
		head(3, uint64(len(v)))
		b = append(b, v...)
	case time.Time:
		head(6, 1)
		b = cbor(b, v.Unix())
	case []any:
		head(4, uint64(len(v)))
		for _, one := range v {
			b = cbor(b, one)
		}
	case map[any]any:
		head(5, uint64(len(v)))
		encoded := map[string]any{}
		for k, one := range v {
			encoded[string(cbor(nil, k))] = one
		}
		for _, k := range slices.Sorted(maps.Keys(encoded)) {
			b = cbor(append(b, k...), encoded[k])
		}
	}
	return b
}

// Token is a timestamp of a signature as Notation keeps it, without the response
// around it, and with the certificate of the authority.
func (s *Sigstore) Token(t testing.TB, sig []byte, at time.Time) []byte {
	t.Helper()
	sum := sha256.Sum256(sig)
	ts := timestamp.Timestamp{
		HashAlgorithm: crypto.SHA256, HashedMessage: sum[:], Time: at, Policy: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 2},
		AddTSACertificate: true, Accuracy: time.Second,
	}
	out, err := ts.CreateResponseWithOpts(s.stamper, s.stamps, crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	var response struct{ Status, Token asn1.RawValue }
	if _, err := asn1.Unmarshal(out, &response); err != nil {
		t.Fatal(err)
	}
	return response.Token.FullBytes
}

// StamperRoot is the certificate that vouches for the timestamp authority.
func (s *Sigstore) StamperRoot() *x509.Certificate { return s.root }
