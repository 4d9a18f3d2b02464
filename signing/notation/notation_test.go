package notation_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/signing/notation"
	"github.com/wreg-project/wreg/signing/signingtest"
)

var (
	app     = digest.FromString("app")
	payload = []byte(`{"targetArtifact":{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"` + app.String() + `","size":3}}`)
	from    = time.Date(2022, 1, 1, 0, 0, 0, 0, time.UTC)
)

// protected are the protected headers of COSE that notation-core-go v1.3.0 (Apache
// 2.0) has in signature/cose/testdata/conformance.json: signed at 1661321924, good
// until 1661408324.
const protected = "A80138250283781C696F2E636E63662E6E6F746172792E7369676E696E67536368656D6575696F2E636E63662E6E6F746172792E6578" +
	"706972796E7369676E6564437269744B65793103782B6170706C69636174696F6E2F766E642E636E63662E6E6F746172792E7061796C6F61642E7631" +
	"2B6A736F6E6A7369676E65644B6579316C7369676E656456616C7565316E7369676E6564437269744B657931707369676E65644372697456616C7565" +
	"3175696F2E636E63662E6E6F746172792E657870697279C11A63071444781A696F2E636E63662E6E6F746172792E7369676E696E6754696D65C11A63" +
	"05C2C4781C696F2E636E63662E6E6F746172792E7369676E696E67536368656D656B6E6F746172792E78353039"

func certificate(t testing.TB) []byte {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "acme", Organization: []string{"Acme"}},
		NotBefore: from, NotAfter: from.AddDate(1, 0, 0),
	}
	text, err := x509.CreateCertificate(rand.Reader, template, template, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func jws(t testing.TB, header map[string]any, payload []byte, chain ...[]byte) []byte {
	t.Helper()
	text, err := json.Marshal(header)
	if err != nil {
		t.Fatal(err)
	}
	out, err := json.Marshal(map[string]any{
		"payload": base64.RawURLEncoding.EncodeToString(payload), "protected": base64.RawURLEncoding.EncodeToString(text),
		"header": map[string]any{"x5c": chain, "io.cncf.notary.signingAgent": "test/1.0"}, "signature": "c2ln",
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// head writes the type and length of a value of CBOR.
func head(major byte, n int) []byte {
	return binary.BigEndian.AppendUint32([]byte{major<<5 | 26}, uint32(n))
}

func value(major byte, content []byte) []byte { return append(head(major, len(content)), content...) }

// cose is a COSE_Sign1 with a chain of certificates.
func cose(t testing.TB, payload []byte, chain ...[]byte) []byte {
	t.Helper()
	header, err := hex.DecodeString(protected)
	if err != nil {
		t.Fatal(err)
	}
	certs := head(4, len(chain))
	for _, c := range chain {
		certs = append(certs, value(2, c)...)
	}
	open := append([]byte{0xa2, 0x18, 33}, certs...)
	open = append(open, value(3, []byte("io.cncf.notary.signingAgent"))...)
	open = append(open, value(3, []byte("test/1.0"))...)
	return bytes.Join([][]byte{{0xd2, 0x84}, value(2, header), open, value(2, payload), value(2, []byte("sig"))}, nil)
}

func TestParse(t *testing.T) {
	cert := certificate(t)
	header := map[string]any{
		"alg": "ES256", "cty": "application/vnd.cncf.notary.payload.v1+json", "io.cncf.notary.signingScheme": "notary.x509",
		"io.cncf.notary.signingTime": "2022-08-24T06:18:44Z", "io.cncf.notary.expiry": "2022-08-25T06:18:44Z",
	}
	want := &notation.Signature{
		Subject: app, Signer: "CN=acme,O=Acme", Issuer: "CN=acme,O=Acme", NotBefore: from, NotAfter: from.AddDate(1, 0, 0),
		Certificate: digest.FromBytes(cert).Encoded(), Scheme: "notary.x509", Agent: "test/1.0",
		Time: time.Unix(1661321924, 0).UTC(), Expiry: time.Unix(1661408324, 0).UTC(),
	}
	for mediaType, content := range map[string][]byte{
		notation.MediaTypeJWS: jws(t, header, payload, cert), notation.MediaTypeCOSE: cose(t, payload, cert),
	} {
		got, err := notation.Parse(mediaType, content)
		if err != nil {
			t.Errorf("Parse(%s) = %v", mediaType, err)
			continue
		}
		if d := cmp.Diff(want, got, cmpopts.EquateApproxTime(0)); d != "" {
			t.Errorf("Parse(%s) differs (-want +got):\n%s", mediaType, d)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	cert := certificate(t)
	header := map[string]any{"cty": "application/vnd.cncf.notary.payload.v1+json"}
	tests := []struct {
		name, mediaType string
		content         []byte
		want            string
	}{
		{name: "another type", mediaType: "text/plain", want: `an envelope of type "text/plain"`},
		{name: "no JSON", mediaType: notation.MediaTypeJWS, content: []byte("<"), want: "invalid character"},
		{name: "no CBOR", mediaType: notation.MediaTypeCOSE, want: "CBOR at byte 0: it ends early"},
		{name: "no certificate", mediaType: notation.MediaTypeJWS, content: jws(t, header, payload), want: "0 certificates, and 1 to 16"},
		{
			name: "a chain without end", mediaType: notation.MediaTypeCOSE, content: cose(t, payload, make([][]byte, 17)...),
			want: "17 certificates",
		},
		{
			name: "a certificate that is none", mediaType: notation.MediaTypeJWS, content: jws(t, header, payload, []byte("x")),
			want: "certificate 0: x509",
		},
		{name: "a payload of another type", mediaType: notation.MediaTypeJWS, content: jws(t, nil, payload, cert), want: `a payload of type ""`},
		{name: "a payload without digest", mediaType: notation.MediaTypeCOSE, content: cose(t, []byte("{}"), cert), want: `digest ""`},
		{
			name: "a list without end", mediaType: notation.MediaTypeCOSE, content: []byte{0x9b, 255, 255, 255, 255, 255, 255, 255, 255},
			want: "it ends early",
		},
		{
			name: "a string without end", mediaType: notation.MediaTypeCOSE, content: []byte{0x7b, 255, 255, 255, 255, 255, 255, 255, 255},
			want: "it ends early",
		},
		{name: "lists in lists", mediaType: notation.MediaTypeCOSE, content: bytes.Repeat([]byte{0x81}, 1000), want: "it nests deeper than 16"},
		{
			name: "many values", mediaType: notation.MediaTypeCOSE, content: append(head(4, 5000), make([]byte, 5000)...),
			want: "it has more than 4096 values",
		},
		{name: "a key twice", mediaType: notation.MediaTypeCOSE, content: []byte{0xa2, 1, 1, 1, 1}, want: "the key 1 twice"},
		{name: "a key that is a list", mediaType: notation.MediaTypeCOSE, content: []byte{0xa1, 0x80, 1}, want: "a key of type"},
		{name: "more behind", mediaType: notation.MediaTypeCOSE, content: []byte{1, 1}, want: "more behind the value"},
		{name: "huge", mediaType: notation.MediaTypeJWS, content: make([]byte, notation.MaxEnvelope+1), want: "at most 1048576 are read"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := notation.Parse(tt.mediaType, tt.content)
			if s != nil || !errors.Is(err, notation.ErrFormat) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Parse(%s) = %+v, %v; want ErrFormat with %q", tt.mediaType, s, err, tt.want)
			}
		})
	}
}

// seeds are envelopes by media type, with a timestamp each; testdata/ca.pem and
// tsa.pem are who vouches for them. UPDATE=1 makes them anew.
var seeds = map[string]string{notation.MediaTypeJWS: "testdata/envelope.jws", notation.MediaTypeCOSE: "testdata/envelope.cose"}

// believer trusts the seeds.
func believer(t testing.TB) *notation.Verifier {
	t.Helper()
	stored := func(name string) []*x509.Certificate {
		text, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		certs, err := notation.ParseCertificates(text)
		if err != nil {
			t.Fatal(err)
		}
		return certs
	}
	return newVerifier(t, notation.Roots{CA: stored("ca.pem"), TSA: stored("tsa.pem")})
}

func makeSeeds(t *testing.T) {
	t.Helper()
	n, s := signingtest.NewNotary(t, signingtest.NotaryConfig{}), signingtest.New(t, signingtest.Config{})
	stamp := func(sig []byte) []byte { return s.Token(t, sig, signingtest.Now) }
	files := map[string][]byte{}
	for mediaType, path := range seeds {
		files[path] = n.Sign(t, signingtest.NotationSigning{Target: target, COSE: mediaType == notation.MediaTypeCOSE, Stamp: stamp}).Content
	}
	for name, cert := range map[string]*x509.Certificate{"ca.pem": n.Chain[2], "tsa.pem": s.StamperRoot()} {
		files["testdata/"+name] = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})
	}
	for path, content := range files {
		if err := os.WriteFile(path, content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSeeds(t *testing.T) {
	if os.Getenv("UPDATE") != "" {
		makeSeeds(t)
	}
	v := believer(t)
	for mediaType, path := range seeds {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if p, err := v.Verify(mediaType, content, target); err != nil || !p.Dated.Equal(signingtest.Now) {
			t.Errorf("Verify of %s = %+v, %v; want one that is dated", path, p, err)
		}
	}
}

// What is read has a digest and a certificate, and is nothing that was cut short.
func FuzzParse(f *testing.F) {
	for mediaType, path := range seeds {
		content, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(mediaType == notation.MediaTypeCOSE, content)
	}
	f.Fuzz(func(t *testing.T, isCOSE bool, content []byte) {
		mediaType := notation.MediaTypeJWS
		if isCOSE {
			mediaType = notation.MediaTypeCOSE
		}
		s, err := notation.Parse(mediaType, content)
		switch {
		case err != nil && (s != nil || !errors.Is(err, notation.ErrFormat)):
			t.Fatalf("Parse = %+v, %v; want ErrFormat", s, err)
		case err == nil && (s.Subject.Validate() != nil || s.Certificate == ""):
			t.Fatalf("Parse = %+v, want a digest and a certificate", s)
		}
	})
}
