package notation_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/wreg-project/wreg/signing/notation"
	"github.com/wreg-project/wreg/signing/signingtest"
)

var target = ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: app, Size: 3}

const (
	day  = 24 * time.Hour
	year = 365 * day
)

func newVerifier(t testing.TB, r notation.Roots) *notation.Verifier {
	t.Helper()
	v, err := notation.NewVerifier(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func ecKey(t testing.TB, c elliptic.Curve) crypto.Signer {
	t.Helper()
	k, err := ecdsa.GenerateKey(c, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func rsaKey(t testing.TB, bits int) crypto.Signer {
	t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// Every algorithm, in both forms.
func TestVerify(t *testing.T) {
	keys := map[string]crypto.Signer{
		"ECDSA on P-256": ecKey(t, elliptic.P256()), "ECDSA on P-384": ecKey(t, elliptic.P384()), "ECDSA on P-521": ecKey(t, elliptic.P521()),
		"RSA of 2048 bits": rsaKey(t, 2048), "RSA of 3072 bits": rsaKey(t, 3072), "RSA of 4096 bits": rsaKey(t, 4096),
	}
	for name, k := range keys {
		n := signingtest.NewNotary(t, signingtest.NotaryConfig{Key: k})
		v := newVerifier(t, notation.Roots{CA: n.Chain[2:]})
		for _, cose := range []bool{false, true} {
			f := n.Sign(t, signingtest.NotationSigning{Target: target, COSE: cose})
			p, err := v.Verify(f.Type, f.Content, target)
			if err != nil {
				t.Errorf("%s: Verify(%s) = %v", name, f.Type, err)
				continue
			}
			leaf := n.Chain[0]
			if p.Signer != "CN=release,O=Acme,ST=WA,C=US" || p.Root != "CN=Acme Root,O=Acme" || p.Subject != app || !p.Dated.IsZero() ||
				!p.From.Equal(leaf.NotBefore) || !p.Until.Equal(leaf.NotAfter) {
				t.Errorf("%s: Verify(%s) = %+v; want the signer, the root and the life of the certificate", name, f.Type, p)
			}
		}
	}
}

// What dates a signature, and until when it holds.
func TestVerifyDates(t *testing.T) {
	n := signingtest.NewNotary(t, signingtest.NotaryConfig{})
	short := signingtest.NewNotary(t, signingtest.NotaryConfig{IntermediateNotAfter: signingtest.Now.Add(time.Hour)})
	s := signingtest.New(t, signingtest.Config{})
	other := signingtest.New(t, signingtest.Config{})
	stamped := func(by *signingtest.Sigstore, at time.Time) func([]byte) []byte {
		return func(sig []byte) []byte { return by.Token(t, sig, at) }
	}
	now, leaf := signingtest.Now, n.Chain[0]
	tests := []struct {
		name  string
		by    *signingtest.Notary
		sign  signingtest.NotationSigning
		store bool // the store signingAuthority has the root
		dated time.Time
		from  time.Time
		until time.Time
		err   string
	}{
		{name: "undated, it holds while the certificate does", by: n, from: leaf.NotBefore, until: leaf.NotAfter},
		{
			name: "undated, and a certificate between ends sooner", by: short, from: short.Chain[0].NotBefore, until: short.Chain[1].NotAfter,
		},
		{
			name: "undated, with an expiry", by: n, sign: signingtest.NotationSigning{Expiry: now.Add(time.Hour)},
			from: leaf.NotBefore, until: now.Add(time.Hour),
		},
		{
			name: "undated, with an expiry behind the certificate", by: n, sign: signingtest.NotationSigning{Expiry: now.Add(year)},
			from: leaf.NotBefore, until: leaf.NotAfter,
		},
		{name: "dated by a timestamp authority, it holds for ever", by: n, sign: signingtest.NotationSigning{Stamp: stamped(s, now)}, dated: now},
		{
			name: "dated, with an expiry", by: n, sign: signingtest.NotationSigning{Stamp: stamped(s, now), Expiry: now.Add(year)},
			dated: now, until: now.Add(year),
		},
		{
			name: "dated after the certificate", by: n, sign: signingtest.NotationSigning{Stamp: stamped(s, now.Add(2*day))},
			err: "at 2024-05-03T11:59:59Z: x509: certificate has expired",
		},
		{
			name: "dated in the last second, which accuracy leaves open", by: n,
			sign: signingtest.NotationSigning{Stamp: stamped(s, leaf.NotAfter)}, err: "certificate has expired",
		},
		{
			name: "dated by an authority that nobody trusts", by: n, sign: signingtest.NotationSigning{Stamp: stamped(other, now)},
			from: leaf.NotBefore, until: leaf.NotAfter,
		},
		{
			name: "a timestamp of another signature", by: n,
			sign: signingtest.NotationSigning{Stamp: func([]byte) []byte { return s.Token(t, []byte("other"), now) }},
			from: leaf.NotBefore, until: leaf.NotAfter,
		},
		{
			name: "a timestamp that is none", by: n, sign: signingtest.NotationSigning{Stamp: func([]byte) []byte { return []byte("\x30\x80") }},
			from: leaf.NotBefore, until: leaf.NotAfter,
		},
		{
			name: "dated by the signing authority", by: n, sign: signingtest.NotationSigning{Scheme: notation.SchemeAuthority}, store: true, dated: now,
		},
		{
			name: "dated by a signing authority after the certificate", by: n, store: true,
			sign: signingtest.NotationSigning{Scheme: notation.SchemeAuthority, Time: now.Add(2 * day)}, err: "certificate has expired",
		},
		{
			name: "an authority of the other scheme", by: n, sign: signingtest.NotationSigning{Scheme: notation.SchemeAuthority},
			err: "nobody is trusted for the scheme notary.x509.signingAuthority",
		},
		{name: "the other way round", by: n, store: true, err: "nobody is trusted for the scheme notary.x509"},
		{name: "signed after the certificate", by: n, sign: signingtest.NotationSigning{Time: now.Add(2 * day)}, err: "certificate has expired"},
		{name: "signed before the certificate", by: n, sign: signingtest.NotationSigning{Time: now.Add(-2 * day)}, err: "is not yet valid"},
		{
			name: "signed after a certificate between", by: short, sign: signingtest.NotationSigning{Time: now.Add(2 * time.Hour)},
			err: "certificate has expired",
		},
		{
			name: "it expires when it is signed", by: n, sign: signingtest.NotationSigning{Expiry: now},
			err: "it expires at 2024-05-01T12:00:00Z, and was signed at 2024-05-01T12:00:00Z",
		},
	}
	for _, tt := range tests {
		for _, tt.sign.COSE = range []bool{false, true} {
			t.Run(fmt.Sprint(tt.name, ", COSE ", tt.sign.COSE), func(t *testing.T) {
				r := notation.Roots{CA: tt.by.Chain[2:], TSA: []*x509.Certificate{s.StamperRoot()}}
				if tt.store {
					r = notation.Roots{Authority: tt.by.Chain[2:]}
				}
				tt.sign.Target = target
				f := tt.by.Sign(t, tt.sign)
				p, err := newVerifier(t, r).Verify(f.Type, f.Content, target)
				if tt.err != "" {
					refuses(t, p, err, tt.err)
					return
				}
				if err != nil {
					t.Fatalf("Verify = %v", err)
				}
				if !p.Dated.Equal(tt.dated) || !p.From.Equal(tt.from) || !p.Until.Equal(tt.until) {
					t.Errorf("Verify: dated %s, from %s until %s; want %s, %s, %s", p.Dated, p.From, p.Until, tt.dated, tt.from, tt.until)
				}
			})
		}
	}
}

func refuses(t *testing.T, p *notation.Proof, err error, want string) {
	t.Helper()
	if p != nil || err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("Verify = %+v, %v; want an error with %q", p, err, want)
	}
}

func TestVerifyRefuses(t *testing.T) {
	n, other := signingtest.NewNotary(t, signingtest.NotaryConfig{}), signingtest.NewNotary(t, signingtest.NotaryConfig{})
	with := func(c signingtest.NotaryConfig) *signingtest.Notary { return signingtest.NewNotary(t, c) }
	attribute := func(name string, value any) signingtest.NotationSigning {
		return signingtest.NotationSigning{Attributes: map[string]any{name: value}}
	}
	another := target
	another.Digest = digest.FromString("another")
	bigger, index := target, target
	bigger.Size, index.MediaType = 4, ocispec.MediaTypeImageIndex
	const scheme = "io.cncf.notary.signingScheme"
	tests := []struct {
		name string
		by   *signingtest.Notary // n if nil
		sign signingtest.NotationSigning
		want string
	}{
		{name: "another digest", sign: signingtest.NotationSigning{Target: another}, want: "and " + app.String() + " was expected"},
		{name: "another size", sign: signingtest.NotationSigning{Target: bigger}, want: "it is about 4 bytes, and " + app.String() + " has 3"},
		{name: "another media type", sign: signingtest.NotationSigning{Target: index}, want: `it is about a "application/vnd.oci.image.index.v1+json"`},
		{name: "another root", by: other, want: "x509: certificate signed by unknown authority"},
		{
			name: "a certificate without the one between", sign: signingtest.NotationSigning{Chain: n.Chain[:1]},
			want: "x509: certificate signed by unknown authority",
		},
		{name: "the certificate of somebody else", sign: signingtest.NotationSigning{Chain: other.Chain}, want: "the certificate's key did not sign this"},
		{name: "no algorithm", sign: signingtest.NotationSigning{Algorithm: "none"}, want: "the certificate's key signs by ES256"},
		{name: "an algorithm of another key", sign: signingtest.NotationSigning{Algorithm: "ES384"}, want: "the certificate's key signs by ES256"},
		{name: "an algorithm of another kind of key", sign: signingtest.NotationSigning{Algorithm: "PS256"}, want: "and the certificate's key signs by ES256"},
		{
			name: "an attribute that is critical and not known",
			sign: signingtest.NotationSigning{Attributes: map[string]any{"com.example.x": "1"}, Critical: []string{scheme, "com.example.x"}},
			want: `the critical attribute "com.example.x" is not known`,
		},
		{
			name: "a critical attribute that is not there", sign: signingtest.NotationSigning{Critical: []string{scheme, "io.cncf.notary.expiry"}},
			want: `the critical attribute "io.cncf.notary.expiry" is not known, or not there`,
		},
		{name: "a scheme that is not critical", sign: signingtest.NotationSigning{Critical: []string{}}, want: "signingScheme is not critical"},
		{
			name: "an expiry that is not critical",
			sign: signingtest.NotationSigning{Expiry: signingtest.Now.Add(time.Hour), Critical: []string{scheme}}, want: "expiry is not critical",
		},
		{name: "an expiry that is no time", sign: attribute("io.cncf.notary.expiry", "tomorrow"), want: "io.cncf.notary.expiry"},
		{name: "another scheme", sign: attribute(scheme, "notary.x510"), want: `the scheme "notary.x510" is not known`},
		{name: "no scheme", sign: attribute(scheme, nil), want: `the scheme "" is not known`},
		{name: "no time", sign: attribute("io.cncf.notary.signingTime", nil), want: "has a signingTime"},
		{name: "two times", sign: attribute("io.cncf.notary.authenticSigningTime", signingtest.Now), want: "no authenticSigningTime"},
		{name: "a plugin", sign: attribute("io.cncf.notary.verificationPlugin", "x"), want: "only a plugin"},
		{name: "the certificate of an authority", by: with(signingtest.NotaryConfig{Authority: true}), want: "is of an authority"},
		{
			name: "a certificate for servers", by: with(signingtest.NotaryConfig{ExtendedUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}),
			want: "for something else than the signing of code",
		},
		{
			name: "a certificate that encrypts too", want: "not for digital signatures, or for more",
			by: with(signingtest.NotaryConfig{Usage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment}),
		},
		{
			name: "an extension that nobody knows", by: with(signingtest.NotaryConfig{CriticalOID: true}), want: "unhandled critical extension",
		},
		{name: "a short RSA key", by: with(signingtest.NotaryConfig{Key: rsaKey(t, 1024)}), want: "a key of 1024 bits (RSA)"},
		{name: "no payload", sign: signingtest.NotationSigning{Payload: []byte("{}")}, want: `digest ""`},
		{name: "a payload with bytes that are none", sign: signingtest.NotationSigning{Payload: []byte("\xff")}, want: "payload: invalid character"},
	}
	for _, tt := range tests {
		for _, tt.sign.COSE = range []bool{false, true} {
			t.Run(fmt.Sprint(tt.name, ", COSE ", tt.sign.COSE), func(t *testing.T) {
				roots := notation.Roots{CA: n.Chain[2:]}
				by := n
				if tt.by != nil {
					by = tt.by
					if by != other {
						roots.CA = by.Chain[2:]
					}
				}
				if tt.sign.Target.Digest == "" {
					tt.sign.Target = target
				}
				f := by.Sign(t, tt.sign)
				p, err := newVerifier(t, roots).Verify(f.Type, f.Content, target)
				refuses(t, p, err, tt.want)
			})
		}
	}
}

// A key of a kind that Notation does not sign with.
func TestVerifyRefusesEd25519(t *testing.T) {
	_, k, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	n := signingtest.NewNotary(t, signingtest.NotaryConfig{})
	template := &x509.Certificate{
		SerialNumber: n.Chain[0].SerialNumber, Subject: pkix.Name{CommonName: "ed"}, NotBefore: n.Chain[0].NotBefore, NotAfter: n.Chain[0].NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature,
	}
	text, err := x509.CreateCertificate(rand.Reader, template, template, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(text)
	if err != nil {
		t.Fatal(err)
	}
	f := n.Sign(t, signingtest.NotationSigning{Target: target, Chain: []*x509.Certificate{cert}})
	p, err := newVerifier(t, notation.Roots{CA: []*x509.Certificate{cert}}).Verify(f.Type, f.Content, target)
	refuses(t, p, err, "a key of 0 bits (ed25519.PublicKey) makes no Notation signatures")
}

// Of a good envelope that is cut short, or has a bit turned, at any place, what still
// verifies says the same as before.
func TestVerifyTampered(t *testing.T) {
	n := signingtest.NewNotary(t, signingtest.NotaryConfig{})
	v := newVerifier(t, notation.Roots{CA: n.Chain[2:]})
	for _, cose := range []bool{false, true} {
		f := n.Sign(t, signingtest.NotationSigning{Target: target, COSE: cose, Expiry: signingtest.Now.Add(time.Hour)})
		want, err := v.Verify(f.Type, f.Content, target)
		if err != nil {
			t.Fatal(err)
		}
		refused := 0
		for i := range f.Content {
			for _, changed := range [][]byte{f.Content[:i], flip(f.Content, i)} {
				p, err := v.Verify(f.Type, changed, target)
				if err != nil {
					refused++
					continue
				}
				p.Agent = want.Agent // which nothing signs
				if d := cmp.Diff(want, p); d != "" {
					t.Fatalf("Verify of an envelope that was changed at byte %d (-want +got):\n%s", i, d)
				}
			}
		}
		if all := 2 * len(f.Content); refused < all*9/10 {
			t.Errorf("%s: %d of %d changes were refused, want at least nine of ten", f.Type, refused, all)
		}
	}
}

func flip(content []byte, i int) []byte {
	changed := bytes.Clone(content)
	changed[i] ^= 1
	return changed
}

// A signer's own certificate may be trusted, and one between: so Notation has it.
func TestVerifyRoots(t *testing.T) {
	n := signingtest.NewNotary(t, signingtest.NotaryConfig{})
	f := n.Sign(t, signingtest.NotationSigning{Target: target})
	for i, want := range []string{"CN=release,O=Acme,ST=WA,C=US", "CN=Acme Signing,O=Acme", "CN=Acme Root,O=Acme"} {
		p, err := newVerifier(t, notation.Roots{CA: n.Chain[i : i+1]}).Verify(f.Type, f.Content, target)
		if err != nil || p.Root != want {
			t.Errorf("Verify by certificate %d = %+v, %v; want the root %s", i, p, err, want)
		}
	}
	if _, err := newVerifier(t, notation.Roots{}).Verify(f.Type, f.Content, target); err == nil || !strings.Contains(err.Error(), "nobody is trusted") {
		t.Errorf("Verify without roots = %v, want that nobody is trusted", err)
	}
	if _, err := notation.NewVerifier(notation.Roots{TSA: make([]*x509.Certificate, notation.MaxRoots+1)}, nil); err == nil {
		t.Errorf("NewVerifier with %d certificates = nil, want an error", notation.MaxRoots+1)
	}
}

func TestParseCertificates(t *testing.T) {
	n := signingtest.NewNotary(t, signingtest.NotaryConfig{})
	one := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: n.Chain[0].Raw})
	tests := []struct {
		name string
		in   []byte
		want int
		err  string
	}{
		{name: "one", in: one, want: 1},
		{name: "two, and text between", in: bytes.Join([][]byte{one, one}, []byte("# root\n")), want: 2},
		{name: "none", in: []byte("x"), err: "no certificate in PEM"},
		{name: "a key", in: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY"}), err: "a PRIVATE KEY, where certificates"},
		{name: "bytes that are none", in: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")}), err: "certificate 0: x509"},
		{name: "too many", in: bytes.Repeat(one, notation.MaxRoots+1), err: "more than 32 certificates"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := notation.ParseCertificates(tt.in)
			if len(got) != tt.want || tt.err == "" != (err == nil) || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("ParseCertificates = %d certificates, %v; want %d, %q", len(got), err, tt.want, tt.err)
			}
		})
	}
}

func TestParseSubject(t *testing.T) {
	tests := []struct {
		name, in string
		want     notation.Subject
		err      string
	}{
		{name: "as Notation's policies have it", in: "x509.subject: C=US, S=WA, O=acme", want: notation.Subject{"C": "US", "ST": "WA", "O": "acme"}},
		{name: "escapes", in: `CN=a\,b\=\2Bc\ `, want: notation.Subject{"CN": "a,b=+c "}},
		{name: "an equals sign in a value", in: "CN=a=b", want: notation.Subject{"CN": "a=b"}},
		{name: "a type by number", in: "1.2.840.113549.1.9.1=#0c01", want: notation.Subject{"1.2.840.113549.1.9.1": "#0c01"}},
		{name: "spaces around", in: "cn =  a b  , o= c", want: notation.Subject{"CN": "a b", "O": "c"}},
		{name: "nothing", in: "", err: `"" is not TYPE=VALUE`},
		{name: "no value", in: "CN=", err: "CN has no value"},
		{name: "no type", in: "=x", err: "is not TYPE=VALUE"},
		{name: "a type twice", in: "CN=a,CN=b", err: "CN is there twice"},
		{name: "a state twice", in: "S=a,ST=b", err: "ST is there twice"},
		{name: "two attributes in a part", in: "CN=a+O=b", err: `'+' is to be written \+`},
		{name: "a comma behind", in: "CN=a,", err: "is not TYPE=VALUE"},
		{name: "a backslash behind", in: `CN=a\`, err: "a backslash at its end"},
		{name: "a long one", in: "CN=" + strings.Repeat("a", 4096), err: "a subject of 4099 bytes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := notation.ParseSubject(tt.in)
			if !cmp.Equal(got, tt.want) || tt.err == "" != (err == nil) || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("ParseSubject(%q) = %v, %v; want %v, %q", tt.in, got, err, tt.want, tt.err)
			}
		})
	}
}

// What the name of a certificate says reads back as what it was made of.
func FuzzParseSubject(f *testing.F) {
	f.Add("x509.subject: C=US, ST=WA, O=acme", "a,b+c")
	f.Add(`CN=a\,b\=\2Bc\ `, ` #"\<>; `)
	f.Fuzz(func(t *testing.T, text, value string) {
		if s, err := notation.ParseSubject(text); err == nil && s.Within(s) != nil {
			t.Fatalf("ParseSubject(%q) = %v, which is not within itself", text, s)
		}
		if value == "" || !utf8.ValidString(value) {
			return // no certificate has such a name
		}
		name := pkix.Name{CommonName: value, Organization: []string{"o"}}.ToRDNSequence().String()
		s, err := notation.ParseSubject(name)
		if err == nil && (s["CN"] != value || s["O"] != "o" || len(s) != 2) {
			t.Fatalf("ParseSubject(%q) = %v, want CN %q", name, s, value)
		}
	})
}

// What is proved is about the manifest, in the name of the one who signed.
func FuzzVerify(f *testing.F) {
	v := believer(f)
	for mediaType, path := range seeds {
		content, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(mediaType == notation.MediaTypeCOSE, content)
	}
	f.Fuzz(func(t *testing.T, cose bool, content []byte) {
		mediaType := notation.MediaTypeJWS
		if cose {
			mediaType = notation.MediaTypeCOSE
		}
		p, err := v.Verify(mediaType, content, target)
		if err == nil && (p.Subject != app || p.Signer != "CN=release,O=Acme,ST=WA,C=US" || p.Root != "CN=Acme Root,O=Acme" || !p.Time.Equal(signingtest.Now)) {
			text, _ := json.Marshal(p)
			t.Fatalf("Verify = %s, which nobody signed", text)
		}
	})
}
