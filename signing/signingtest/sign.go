package signingtest

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"testing"
	"time"

	"github.com/digitorus/timestamp"
	"github.com/opencontainers/go-digest"
	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	protodsse "github.com/sigstore/protobuf-specs/gen/pb-go/dsse"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/wreg-project/wreg/signing"
	"github.com/wreg-project/wreg/signing/key"
)

// A Signing says how one signature is made. The zero value is a good keyless one,
// of somebody@example.com by Issuer, stamped at Now and in the log of version 2.
type Signing struct {
	Identity   string         // a URI, or else an e-mail address
	Issuer     string         // zero: Issuer
	Extensions map[int]string // more of Fulcio's, by the last number of the object identifier: 12 is sourceRepositoryURI

	Key *key.Private // signs instead of a certified key

	NotBefore, NotAfter time.Time // of the certificate; zero: a minute before, and nine after Now
	Stamped             time.Time // zero: Now
	LogTime             time.Time // of version 1; zero: Now

	NoStamp, NoLog, NoSCT bool // parts that are missing
	ForgeStamp, ForgeSCT  bool // parts that somebody else signs
	LogV1                 bool // an entry of version 1, which promises and, but for cosign's older form, is proven
	Chain                 bool // the intermediate certificate goes with the certificate
}

func (g Signing) withDefaults() Signing {
	set := func(t *time.Time, d time.Time) {
		if t.IsZero() {
			*t = d
		}
	}
	if g.Identity == "" {
		g.Identity = "somebody@example.com"
	}
	if g.Issuer == "" {
		g.Issuer = Issuer
	}
	set(&g.NotBefore, minutes(-1))
	set(&g.NotAfter, minutes(9))
	set(&g.Stamped, Now)
	set(&g.LogTime, Now)
	return g
}

// Statement is one about d.
func Statement(t testing.TB, d digest.Digest, predicateType string, predicate any) []byte {
	t.Helper()
	text, err := json.Marshal(signing.Statement{
		Type: signing.StatementType, Subject: []signing.Subject{signing.SubjectOf("example/app", d)},
		PredicateType: predicateType, Predicate: predicate,
	})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// Sign makes a signature of the manifest d, in a bundle.
func (s *Sigstore) Sign(t testing.TB, g Signing, d digest.Digest) signing.Found {
	t.Helper()
	return Found(t, d, s.Bundle(t, g, Statement(t, d, signing.PredicateSignature, struct{}{})))
}

// Found is a bundle as it is found on d.
func Found(t testing.TB, d digest.Digest, b *protobundle.Bundle) signing.Found {
	t.Helper()
	text, err := protojson.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	return signing.Found{
		Form: signing.FormBundle, Subject: d, Manifest: digest.FromString("carrier"), Layer: digest.FromBytes(text),
		Type: signing.MediaTypeBundle, Content: text,
	}
}

// Bundle signs a statement.
func (s *Sigstore) Bundle(t testing.TB, g Signing, statement []byte) *protobundle.Bundle {
	t.Helper()
	p := s.sign(t, g, dsse.PAE(signing.PayloadType, statement))
	p.payload = statement
	b := &protobundle.Bundle{
		MediaType: signing.MediaTypeBundle,
		Content: &protobundle.Bundle_DsseEnvelope{DsseEnvelope: &protodsse.Envelope{
			Payload: statement, PayloadType: signing.PayloadType, Signatures: []*protodsse.Signature{{Sig: p.sig}},
		}},
		VerificationMaterial: p.material(),
	}
	if !p.NoLog {
		b.VerificationMaterial.TlogEntries = append(b.VerificationMaterial.TlogEntries, s.entry(t, p))
	}
	return b
}

// CosignSignature makes a signature of d in cosign's older form.
func (s *Sigstore) CosignSignature(t testing.TB, g Signing, d digest.Digest) signing.Found {
	t.Helper()
	payload := fmt.Sprintf(`{"critical":{"identity":{"docker-reference":""},"image":{"docker-manifest-digest":%q},`+
		`"type":"cosign container image signature"},"optional":null}`, d)
	p := s.sign(t, g, []byte(payload))
	f := signing.Found{
		Form: signing.FormCosign, Type: signing.MediaTypeSimpleSigning, Subject: d, Manifest: digest.FromString("carrier"),
		Content:     []byte(payload),
		Annotations: s.annotations(t, p),
	}
	f.Annotations[signing.AnnotationSignature] = base64.StdEncoding.EncodeToString(p.sig)
	return f
}

// CosignAttestation signs a statement about d in cosign's older form.
func (s *Sigstore) CosignAttestation(t testing.TB, g Signing, d digest.Digest, statement []byte) signing.Found {
	t.Helper()
	p := s.sign(t, g, dsse.PAE(signing.PayloadType, statement))
	p.payload = statement
	text, err := json.Marshal(map[string]any{
		"payloadType": signing.PayloadType, "payload": statement, "signatures": []any{map[string]any{"keyid": "", "sig": p.sig}},
	})
	if err != nil {
		t.Fatal(err)
	}
	f := signing.Found{
		Form: signing.FormCosign, Type: signing.MediaTypeDSSE, Subject: d, Manifest: digest.FromString("carrier"), Content: text,
		Annotations: s.annotations(t, p),
	}
	f.Annotations[signing.AnnotationSignature] = ""
	return f
}

// annotations are those of a layer in cosign's older form.
func (s *Sigstore) annotations(t testing.TB, p *part) map[string]string {
	t.Helper()
	a := map[string]string{}
	if p.cert != nil {
		a["dev.sigstore.cosign/certificate"] = string(encode(p.cert.Raw))
		a["dev.sigstore.cosign/chain"] = string(encode(s.intermediate.Raw)) + string(encode(s.root.Raw))
	}
	if !p.NoLog {
		p.LogV1 = true
		e := s.entry(t, p)
		a["dev.sigstore.cosign/bundle"] = text(t, map[string]any{
			"SignedEntryTimestamp": e.GetInclusionPromise().GetSignedEntryTimestamp(),
			"Payload": map[string]any{
				"body": e.GetCanonicalizedBody(), "integratedTime": e.GetIntegratedTime(), "logIndex": e.GetLogIndex(),
				"logID": hex.EncodeToString(e.GetLogId().GetKeyId()),
			},
		})
	}
	if p.stamp != nil {
		a["dev.sigstore.cosign/rfc3161timestamp"] = text(t, map[string]any{"SignedRFC3161Timestamp": p.stamp})
	}
	return a
}

func text(t testing.TB, v any) string {
	t.Helper()
	out, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// part is a signature and who vouches for it.
type part struct {
	Signing
	message, payload []byte // payload of an envelope, or nil
	sig, stamp       []byte
	cert             *x509.Certificate // or
	public           *key.Public
	chain            []*x509.Certificate
}

func (s *Sigstore) sign(t testing.TB, g Signing, message []byte) *part {
	t.Helper()
	p := &part{Signing: g.withDefaults(), message: message}
	if p.Key != nil {
		sig, _, err := p.Key.SignData(context.Background(), message)
		if err != nil {
			t.Fatal(err)
		}
		p.sig, p.public = sig, p.Key.Public
	} else {
		k := newKey(t)
		sum := sha256.Sum256(message)
		sig, err := ecdsa.SignASN1(rand.Reader, k, sum[:])
		if err != nil {
			t.Fatal(err)
		}
		p.sig, p.cert = sig, s.leaf(t, p.Signing, &k.PublicKey)
		if p.Chain {
			p.chain = []*x509.Certificate{s.intermediate}
		}
	}
	if !p.NoStamp {
		p.stamp = s.Stamp(t, p.sig, p.Stamped)
		if p.ForgeStamp {
			p.stamp = New(t, Config{}).Stamp(t, p.sig, p.Stamped)
		}
	}
	return p
}

// Stamp is a timestamp of a signature (RFC 3161).
func (s *Sigstore) Stamp(t testing.TB, sig []byte, at time.Time) []byte {
	t.Helper()
	sum := sha256.Sum256(sig)
	return s.stamp(t, sum[:], at)
}

// stamp is a timestamp of what has a hash.
func (s *Sigstore) stamp(t testing.TB, sum []byte, at time.Time) []byte {
	t.Helper()
	ts := timestamp.Timestamp{
		HashAlgorithm: crypto.SHA256, HashedMessage: sum, Time: at, Policy: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 2},
	}
	out, err := ts.CreateResponseWithOpts(s.stamper, s.stamps, crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// material is who vouches, as a bundle has it, without the log.
func (p *part) material() *protobundle.VerificationMaterial {
	m := &protobundle.VerificationMaterial{}
	switch {
	case p.public != nil:
		m.Content = &protobundle.VerificationMaterial_PublicKey{PublicKey: &protocommon.PublicKeyIdentifier{Hint: p.public.Hint()}}
	case p.chain != nil:
		list := []*protocommon.X509Certificate{{RawBytes: p.cert.Raw}}
		for _, c := range p.chain {
			list = append(list, &protocommon.X509Certificate{RawBytes: c.Raw})
		}
		m.Content = &protobundle.VerificationMaterial_X509CertificateChain{
			X509CertificateChain: &protocommon.X509CertificateChain{Certificates: list},
		}
	default:
		m.Content = &protobundle.VerificationMaterial_Certificate{Certificate: &protocommon.X509Certificate{RawBytes: p.cert.Raw}}
	}
	if p.stamp != nil {
		m.TimestampVerificationData = &protobundle.TimestampVerificationData{
			Rfc3161Timestamps: []*protocommon.RFC3161SignedTimestamp{{SignedTimestamp: p.stamp}},
		}
	}
	return m
}

// verifier is the certificate or public key in PEM.
func (p *part) verifier() []byte {
	if p.public != nil {
		return bytes.Clone(p.public.PEM())
	}
	return encode(p.cert.Raw)
}

func encode(cert []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})
}
