package notation

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	_ "crypto/sha256" // algorithms of signatures
	_ "crypto/sha512"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"

	"github.com/digitorus/timestamp"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/sigstore/sigstore-go/pkg/root"
)

// MaxRoots bounds the certificates of each kind in Roots, and in one file.
const MaxRoots = 32

// Roots are whom signatures are believed by, as Notation's trust stores have them:
// certificates of authorities, or of signers themselves. What they certified is
// believed, whatever they are certified by.
type Roots struct {
	CA        []*x509.Certificate // of SchemeX509: the store "ca"
	Authority []*x509.Certificate // of SchemeAuthority: the store "signingAuthority"
	TSA       []*x509.Certificate // of timestamp authorities: the store "tsa"
}

// ParseCertificates reads certificates in PEM, 1 to MaxRoots of them.
func ParseCertificates(text []byte) ([]*x509.Certificate, error) {
	var list []*x509.Certificate
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("a %.40s, where certificates were expected", block.Type)
		}
		if len(list) == MaxRoots {
			return nil, fmt.Errorf("more than %d certificates", MaxRoots)
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d: %w", len(list), err)
		}
		list = append(list, cert)
	}
	if len(list) == 0 {
		return nil, errors.New("no certificate in PEM")
	}
	return list, nil
}

// A Verifier verifies. Its methods are safe for concurrent use.
type Verifier struct {
	pools  map[string]*x509.CertPool // by scheme; none where nobody is trusted
	clocks []root.TimestampingAuthority
}

// NewVerifier makes a Verifier. Beside the timestamp authorities of r those of
// clocks are believed.
func NewVerifier(r Roots, clocks []root.TimestampingAuthority) (*Verifier, error) {
	v := &Verifier{pools: map[string]*x509.CertPool{}, clocks: slices.Clone(clocks)}
	for _, part := range []struct {
		name, scheme string
		certs        []*x509.Certificate
	}{{"authorities", SchemeX509, r.CA}, {"signing authorities", SchemeAuthority, r.Authority}, {"timestamp authorities", "", r.TSA}} {
		if n := len(part.certs); n > MaxRoots {
			return nil, fmt.Errorf("%d certificates of %s, and at most %d are taken", n, part.name, MaxRoots)
		}
		if len(part.certs) == 0 || part.scheme == "" {
			continue
		}
		v.pools[part.scheme] = x509.NewCertPool()
		for _, cert := range part.certs {
			v.pools[part.scheme].AddCert(cert)
		}
	}
	for _, cert := range r.TSA {
		v.clocks = append(v.clocks, &root.SigstoreTimestampingAuthority{Root: cert})
	}
	return v, nil
}

// A Proof is what a signature proves.
type Proof struct {
	Signature
	Root string // subject of the certificate in Roots that vouches for the signer

	// Dated is when it was signed by a trusted clock, that of a timestamp authority or
	// of the signing authority itself; zero if none says. Clock is the URI of the
	// former, if it has one.
	Dated time.Time
	Clock string

	// From and Until bound when the proof holds; zero is without a bound. What
	// no trusted clock dates holds while its whole chain is good. What has an expiry
	// holds until then.
	From, Until time.Time
}

// Verify checks an envelope and that it is about target: that it names its digest,
// and its size and media type if target has them.
func (v *Verifier) Verify(mediaType string, content []byte, target ocispec.Descriptor) (*Proof, error) {
	e, err := parse(mediaType, content)
	if err != nil {
		return nil, err
	}
	if err := e.about(target); err != nil {
		return nil, err
	}
	p := &Proof{Signature: *e.says(), Until: e.end}
	who := fmt.Sprintf("a Notation signature in the name of %.200q, whose certificate is by %.200q, of %s", p.Signer, p.Issuer, stamp(p.Time))
	pool := v.pools[e.scheme]
	switch err := e.sound(); {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", who, err)
	case pool == nil:
		return nil, fmt.Errorf("%s, and nobody is trusted for the scheme %s", who, e.scheme)
	}
	if err := v.holds(e, pool, p); err != nil {
		return nil, fmt.Errorf("%s: %w", who, err)
	}
	return p, nil
}

// about holds the payload against what it has to be about.
func (e *envelope) about(target ocispec.Descriptor) error {
	switch got := e.target; {
	case got.Digest != target.Digest:
		return fmt.Errorf("it is about %s, and %s was expected", got.Digest, target.Digest)
	case target.Size > 0 && got.Size != target.Size:
		return fmt.Errorf("it is about %d bytes, and %s has %d", got.Size, target.Digest, target.Size)
	case target.MediaType != "" && got.MediaType != target.MediaType:
		return fmt.Errorf("it is about a %.120q, and %s is a %.120q", got.MediaType, target.Digest, target.MediaType)
	}
	return nil
}

// sound checks the attributes, of which all that are critical have to be known
// (signature-specification.md, "Signed attributes").
func (e *envelope) sound() error {
	critical := []string{attributeScheme}
	switch e.scheme {
	case SchemeX509:
		if e.signed.IsZero() || e.has[attributeAuthentic] {
			return fmt.Errorf("a signature of the scheme %s has a signingTime, and no authenticSigningTime", e.scheme)
		}
	case SchemeAuthority:
		critical = append(critical, attributeAuthentic)
		if e.authentic.IsZero() || e.has[attributeSigned] {
			return fmt.Errorf("a signature of the scheme %s has an authenticSigningTime, and no signingTime", e.scheme)
		}
	default:
		return fmt.Errorf("the scheme %.80q is not known", e.scheme)
	}
	if e.has[attributeExpiry] {
		critical = append(critical, attributeExpiry)
		if at := e.says().Time; !e.end.After(at) {
			return fmt.Errorf("it expires at %s, and was signed at %s", stamp(e.end), stamp(at))
		}
	}
	if e.has[attributePlugin] {
		return errors.New("only a plugin of Notation's verifies it")
	}
	known := slices.Concat([]string{attributeSigned}, e.own, critical)
	for _, c := range e.critical {
		if !slices.Contains(known, c) || !e.has[c] {
			return fmt.Errorf("the critical attribute %.80q is not known, or not there", c)
		}
	}
	for _, c := range critical {
		if !slices.Contains(e.critical, c) {
			return fmt.Errorf("the attribute %s is not critical", c)
		}
	}
	return nil
}

// holds checks signature, times and certificates of an envelope that is sound.
func (v *Verifier) holds(e *envelope, pool *x509.CertPool, p *Proof) error {
	if err := usage(e.certs[0]); err != nil {
		return err
	}
	if err := e.verify(e.certs[0].PublicKey); err != nil {
		return err
	}
	at := []time.Time{p.Time}
	if e.scheme == SchemeAuthority {
		p.Dated = e.authentic
	} else if t, accuracy := v.stamped(e); t != nil {
		p.Dated, p.Clock = t.Time.UTC(), t.URI
		at = []time.Time{p.Dated.Add(-accuracy), p.Dated.Add(accuracy)}
	}
	for _, t := range at {
		chain, err := e.leadTo(pool, t)
		if err != nil {
			return fmt.Errorf("at %s: %w", stamp(t), err)
		}
		p.Root = name(chain[len(chain)-1].RawSubject)
		if p.Dated.IsZero() {
			from, until := life(chain)
			p.From = from
			if p.Until.IsZero() || until.Before(p.Until) {
				p.Until = until
			}
		}
	}
	return nil
}

// usage checks that a certificate is for signatures
// (signature-specification.md, "Certificate requirements").
func usage(cert *x509.Certificate) error {
	excluded := []x509.ExtKeyUsage{
		x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageEmailProtection, x509.ExtKeyUsageTimeStamping,
		x509.ExtKeyUsageOCSPSigning,
	}
	switch {
	case cert.IsCA:
		return errors.New("the certificate is of an authority, and a signer's was expected")
	case cert.KeyUsage != x509.KeyUsageDigitalSignature:
		return errors.New("the certificate is not for digital signatures, or for more")
	case slices.ContainsFunc(cert.ExtKeyUsage, func(u x509.ExtKeyUsage) bool { return slices.Contains(excluded, u) }):
		return errors.New("the certificate is for something else than the signing of code")
	}
	return nil
}

// leadTo gives certificates from that of the signer to one in pool, all good at a
// time; of several such lists that which is good longest.
func (e *envelope) leadTo(pool *x509.CertPool, at time.Time) ([]*x509.Certificate, error) {
	between := x509.NewCertPool()
	for _, cert := range e.certs[1:] {
		between.AddCert(cert)
	}
	chains, err := e.certs[0].Verify(x509.VerifyOptions{
		Roots: pool, Intermediates: between, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	if err != nil {
		return nil, err
	}
	return slices.MaxFunc(chains, func(a, b []*x509.Certificate) int {
		_, i := life(a)
		_, j := life(b)
		return i.Compare(j)
	}), nil
}

// life is when all certificates of a chain are good.
func life(chain []*x509.Certificate) (from, until time.Time) {
	from, until = chain[0].NotBefore, chain[0].NotAfter
	for _, cert := range chain[1:] {
		if cert.NotBefore.After(from) {
			from = cert.NotBefore
		}
		if cert.NotAfter.Before(until) {
			until = cert.NotAfter
		}
	}
	return from, until
}

// stamped gives the time of the countersignature and its accuracy, if a trusted
// authority made it. One by another authority is as good as none: whoever has the
// envelope could have left it out.
func (v *Verifier) stamped(e *envelope) (*root.Timestamp, time.Duration) {
	if len(e.timestamp) == 0 {
		return nil, 0
	}
	// Envelopes have the token alone, and authorities answer with it in a response
	// (RFC 3161, section 2.4.2), whose status 0 is that it was granted.
	response, err := asn1.Marshal(struct {
		Status struct{ Status int }
		Token  asn1.RawValue
	}{Token: asn1.RawValue{FullBytes: e.timestamp}})
	if err != nil {
		return nil, 0
	}
	for _, clock := range v.clocks {
		t, err := clock.Verify(response, e.signature)
		if err != nil {
			continue
		}
		token, err := timestamp.Parse(e.timestamp)
		if err != nil {
			continue
		}
		return t, token.Accuracy
	}
	return nil, 0
}

// verify checks the signature, whose algorithm follows from the key
// (signature-specification.md, "Algorithm selection").
func (e *envelope) verify(public crypto.PublicKey) error {
	want, hash, err := algorithm(public)
	switch {
	case err != nil:
		return err
	case e.algorithm != want:
		return fmt.Errorf("it is signed by the algorithm %.40q, and the certificate's key signs by %s", e.algorithm, want)
	}
	w := hash.New()
	w.Write(e.message)
	sum, ok := w.Sum(nil), false
	switch k := public.(type) {
	case *rsa.PublicKey:
		ok = rsa.VerifyPSS(k, hash, sum, e.signature, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}) == nil
	case *ecdsa.PublicKey: // two numbers of the same length (RFC 7518, section 3.4; RFC 9053, section 2.1)
		n := (k.Params().BitSize + 7) / 8
		ok = len(e.signature) == 2*n &&
			ecdsa.Verify(k, sum, new(big.Int).SetBytes(e.signature[:n]), new(big.Int).SetBytes(e.signature[n:]))
	}
	if !ok {
		return errors.New("the certificate's key did not sign this")
	}
	return nil
}

// algorithm is what a key signs by, as JWS calls it.
func algorithm(public crypto.PublicKey) (string, crypto.Hash, error) {
	kind, size := fmt.Sprintf("%T", public), 0
	switch k := public.(type) {
	case *rsa.PublicKey:
		kind, size = "RSA", k.N.BitLen()
	case *ecdsa.PublicKey:
		kind, size = "ECDSA", k.Params().BitSize
	}
	switch fmt.Sprint(kind, size) {
	case "RSA2048":
		return "PS256", crypto.SHA256, nil
	case "RSA3072":
		return "PS384", crypto.SHA384, nil
	case "RSA4096":
		return "PS512", crypto.SHA512, nil
	case "ECDSA256":
		return "ES256", crypto.SHA256, nil
	case "ECDSA384":
		return "ES384", crypto.SHA384, nil
	case "ECDSA521":
		return "ES512", crypto.SHA512, nil
	}
	return "", 0, fmt.Errorf("a key of %d bits (%s) makes no Notation signatures", size, kind)
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
