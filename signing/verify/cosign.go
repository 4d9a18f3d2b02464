package verify

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/opencontainers/go-digest"
	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	protodsse "github.com/sigstore/protobuf-specs/gen/pb-go/dsse"
	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	"github.com/sigstore/sigstore-go/pkg/bundle"
	sigverify "github.com/sigstore/sigstore-go/pkg/verify"

	"github.com/wreg-project/wreg/signing"
)

// What cosign's older form keeps in annotations of a layer (cosign,
// specs/SIGNATURE_SPEC.md).
const (
	annotationSignature   = "dev.cosignproject.cosign/signature"
	annotationCertificate = "dev.sigstore.cosign/certificate"
	annotationChain       = "dev.sigstore.cosign/chain"
	annotationBundle      = "dev.sigstore.cosign/bundle"
	annotationTimestamp   = "dev.sigstore.cosign/rfc3161timestamp"
)

// maxChain bounds the certificates of a chain.
const maxChain = 8

// mediaTypeV01 is that of the bundles that cosign's parts are put together to: the
// one which has chains and logs that promise.
const mediaTypeV01 = "application/vnd.dev.sigstore.bundle+json;version=0.1"

// cosignSignature checks a signature of cosign's older form: of a payload that
// names the manifest.
func (v *Verifier) cosignSignature(subject digest.Digest, f signing.Found) (*Proof, error) {
	if err := shallow(f.Content); err != nil {
		return nil, refused(err)
	}
	var payload struct {
		Critical struct {
			Type  string `json:"type"`
			Image struct {
				Digest digest.Digest `json:"docker-manifest-digest"`
			} `json:"image"`
		} `json:"critical"`
	}
	if err := json.Unmarshal(f.Content, &payload); err != nil {
		return nil, refused(fmt.Errorf("the payload cannot be read: %w", err))
	}
	if got := payload.Critical.Image.Digest; got != subject {
		return nil, refused(fmt.Errorf("it signs %.80q, and %s was expected", got, subject))
	}
	sig, err := base64.StdEncoding.DecodeString(f.Annotations[annotationSignature])
	if err != nil || len(sig) == 0 {
		return nil, refused(fmt.Errorf("the annotation %s has no signature in base64", annotationSignature))
	}
	sum := digest.SHA256.FromBytes(f.Content)
	raw, err := hex.DecodeString(sum.Encoded())
	if err != nil {
		return nil, refused(err)
	}
	content := &protobundle.Bundle_MessageSignature{MessageSignature: &protocommon.MessageSignature{
		MessageDigest: &protocommon.HashOutput{Algorithm: protocommon.HashAlgorithm_SHA2_256, Digest: raw}, Signature: sig,
	}}
	b, err := assemble(f, &protobundle.Bundle{Content: content})
	if err != nil {
		return nil, refused(err)
	}
	payloadOf := func() sigverify.ArtifactPolicyOption { return sigverify.WithArtifact(bytes.NewReader(f.Content)) }
	return v.check(b, payloadOf, f)
}

// cosignAttestation checks an attestation of cosign's older form: a DSSE envelope.
func (v *Verifier) cosignAttestation(subject digest.Digest, f signing.Found) (*Proof, error) {
	if err := shallow(f.Content); err != nil {
		return nil, refused(err)
	}
	var e struct {
		PayloadType string `json:"payloadType"`
		Payload     []byte `json:"payload"`
		Signatures  []struct {
			KeyID string `json:"keyid"`
			Sig   []byte `json:"sig"`
		} `json:"signatures"`
	}
	if err := json.Unmarshal(f.Content, &e); err != nil {
		return nil, refused(fmt.Errorf("the envelope cannot be read: %w", err))
	}
	if len(e.Signatures) != 1 {
		return nil, refused(fmt.Errorf("the envelope has %d signatures, and one was expected", len(e.Signatures)))
	}
	content := &protobundle.Bundle_DsseEnvelope{DsseEnvelope: &protodsse.Envelope{
		Payload: e.Payload, PayloadType: e.PayloadType,
		Signatures: []*protodsse.Signature{{Sig: e.Signatures[0].Sig, Keyid: e.Signatures[0].KeyID}},
	}}
	b, err := assemble(f, &protobundle.Bundle{Content: content})
	if err != nil {
		return nil, refused(err)
	}
	what, err := manifest(subject)
	if err != nil {
		return nil, err
	}
	return v.check(b, what, f)
}

// assemble adds who vouches for the signature, from the annotations of its layer.
func assemble(f signing.Found, b *protobundle.Bundle) (*bundle.Bundle, error) {
	b.MediaType = mediaTypeV01
	b.VerificationMaterial = &protobundle.VerificationMaterial{}
	m := b.VerificationMaterial
	if text := f.Annotations[annotationCertificate]; text != "" {
		certs, err := certificates(text + "\n" + f.Annotations[annotationChain])
		if err != nil {
			return nil, err
		}
		m.Content = &protobundle.VerificationMaterial_X509CertificateChain{
			X509CertificateChain: &protocommon.X509CertificateChain{Certificates: certs},
		}
	} else {
		m.Content = &protobundle.VerificationMaterial_PublicKey{PublicKey: &protocommon.PublicKeyIdentifier{}}
	}
	if err := promise(m, f.Annotations[annotationBundle]); err != nil {
		return nil, err
	}
	if err := timestamp(m, f.Annotations[annotationTimestamp]); err != nil {
		return nil, err
	}
	return bundle.NewBundle(b)
}

// certificates reads a chain in PEM without its root, which the trusted root has.
func certificates(text string) (list []*protocommon.X509Certificate, err error) {
	for rest := []byte(text); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return list, nil
		}
		if len(list) == maxChain {
			return nil, fmt.Errorf("the chain has more than %d certificates", maxChain)
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d: %w", len(list), err)
		}
		if len(list) > 0 && bytes.Equal(c.RawIssuer, c.RawSubject) {
			continue
		}
		list = append(list, &protocommon.X509Certificate{RawBytes: block.Bytes})
	}
}

// promise adds the entry of a log of version 1, which promises to include it.
func promise(m *protobundle.VerificationMaterial, text string) error {
	if text == "" {
		return nil
	}
	var r struct {
		Signed  []byte `json:"SignedEntryTimestamp"`
		Payload struct {
			Body  []byte `json:"body"`
			Time  int64  `json:"integratedTime"`
			Index int64  `json:"logIndex"`
			Log   string `json:"logID"`
		} `json:"Payload"`
	}
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		return fmt.Errorf("annotation %s: %w", annotationBundle, err)
	}
	id, err := hex.DecodeString(r.Payload.Log)
	if err != nil {
		return fmt.Errorf("annotation %s: log: %w", annotationBundle, err)
	}
	var kind struct {
		Kind    string `json:"kind"`
		Version string `json:"apiVersion"`
	}
	if err := json.Unmarshal(r.Payload.Body, &kind); err != nil {
		return fmt.Errorf("annotation %s: body: %w", annotationBundle, err)
	}
	m.TlogEntries = []*protorekor.TransparencyLogEntry{{
		LogIndex: r.Payload.Index, LogId: &protocommon.LogId{KeyId: id}, IntegratedTime: r.Payload.Time,
		KindVersion:      &protorekor.KindVersion{Kind: kind.Kind, Version: kind.Version},
		InclusionPromise: &protorekor.InclusionPromise{SignedEntryTimestamp: r.Signed}, CanonicalizedBody: r.Payload.Body,
	}}
	return nil
}

// timestamp adds what a timestamp authority signed (RFC 3161).
func timestamp(m *protobundle.VerificationMaterial, text string) error {
	if text == "" {
		return nil
	}
	var r struct{ SignedRFC3161Timestamp []byte }
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		return fmt.Errorf("annotation %s: %w", annotationTimestamp, err)
	}
	if len(r.SignedRFC3161Timestamp) == 0 {
		return errors.New("annotation " + annotationTimestamp + " has no timestamp")
	}
	m.TimestampVerificationData = &protobundle.TimestampVerificationData{
		Rfc3161Timestamps: []*protocommon.RFC3161SignedTimestamp{{SignedTimestamp: r.SignedRFC3161Timestamp}},
	}
	return nil
}
