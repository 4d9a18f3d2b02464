package signingtest

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"net/url"
	"strings"
	"testing"
	"time"

	ct "github.com/google/certificate-transparency-go"
	cttls "github.com/google/certificate-transparency-go/tls"
	"github.com/google/certificate-transparency-go/x509util"
)

// leaf certifies the public key of a signing, with a timestamp of the certificate
// transparency log (RFC 6962, section 3.3).
func (s *Sigstore) leaf(t testing.TB, g Signing, k *ecdsa.PublicKey) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(3), NotBefore: g.NotBefore, NotAfter: g.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
	}
	if strings.Contains(g.Identity, "://") {
		u, err := url.Parse(g.Identity)
		if err != nil {
			t.Fatal(err)
		}
		template.URIs = []*url.URL{u}
	} else {
		template.EmailAddresses = []string{g.Identity}
	}
	extensions := map[int]string{8: g.Issuer} // of Fulcio's, by the last number of the object identifier
	for n, value := range g.Extensions {
		extensions[n] = value
	}
	for n := range 30 {
		if value, ok := extensions[n]; ok {
			template.ExtraExtensions = append(template.ExtraExtensions, pkix.Extension{
				Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1, n}, Value: der(t, value),
			})
		}
	}
	if g.NoSCT || s.config.NoCT {
		return certify(t, template, s.intermediate, k, s.signs)
	}
	// A log signs the certificate without its own timestamp, which comes last.
	before := certify(t, template, s.intermediate, k, s.signs)
	template.ExtraExtensions = append(template.ExtraExtensions, s.sct(t, before, g.ForgeSCT))
	return certify(t, template, s.intermediate, k, s.signs)
}

func (s *Sigstore) sct(t testing.TB, before *x509.Certificate, forge bool) pkix.Extension {
	t.Helper()
	sct := ct.SignedCertificateTimestamp{SCTVersion: ct.V1, Timestamp: uint64(before.NotBefore.UnixMilli())}
	copy(sct.LogID.KeyID[:], keyID(t, s.ct))
	input, err := ct.SerializeSCTSignatureInput(sct, ct.LogEntry{Leaf: ct.MerkleTreeLeaf{
		Version: ct.V1, LeafType: ct.TimestampedEntryLeafType,
		TimestampedEntry: &ct.TimestampedEntry{
			Timestamp: sct.Timestamp, EntryType: ct.PrecertLogEntryType,
			PrecertEntry: &ct.PreCert{
				IssuerKeyHash: sha256.Sum256(s.intermediate.RawSubjectPublicKeyInfo), TBSCertificate: before.RawTBSCertificate,
			},
		},
	}})
	if err != nil {
		t.Fatal(err)
	}
	by := s.ct
	if forge {
		by = newKey(t)
	}
	sig, err := cttls.CreateSignature(*by, cttls.SHA256, input)
	if err != nil {
		t.Fatal(err)
	}
	sct.Signature = ct.DigitallySigned(sig)
	list, err := x509util.MarshalSCTsIntoSCTList([]*ct.SignedCertificateTimestamp{&sct})
	if err != nil {
		t.Fatal(err)
	}
	text, err := cttls.Marshal(*list)
	if err != nil {
		t.Fatal(err)
	}
	return pkix.Extension{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11129, 2, 4, 2}, Value: der(t, text)}
}

// der is ASN.1: of a string, bytes, or a list of object identifiers as [][]int.
func der(t testing.TB, v any) []byte {
	t.Helper()
	if list, ok := v.([][]int); ok {
		var oids []asn1.ObjectIdentifier
		for _, oid := range list {
			oids = append(oids, oid)
		}
		v = oids
	}
	var text []byte
	var err error
	if s, ok := v.(string); ok {
		text, err = asn1.MarshalWithParams(s, "utf8")
	} else {
		text, err = asn1.Marshal(v)
	}
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// minutes is a time some minutes from Now.
func minutes(n int) time.Time { return Now.Add(time.Duration(n) * time.Minute) }
