package verify

import (
	"bytes"
	"crypto/sha256"
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
	sigverify "github.com/sigstore/sigstore-go/pkg/verify"

	"github.com/wreg-project/wreg/signing"
)

// What cosign's older form keeps in annotations of a layer (cosign,
// specs/SIGNATURE_SPEC.md).
const (
	annotationCertificate = "dev.sigstore.cosign/certificate"
	annotationChain       = "dev.sigstore.cosign/chain"
	annotationBundle      = "dev.sigstore.cosign/bundle"
	annotationTimestamp   = "dev.sigstore.cosign/rfc3161timestamp"
)

// maxAnnotation bounds the bytes of one of those that is read.
const maxAnnotation = 256 << 10

// simpleSigning is the type of payload that cosign signs (containers/image,
// docs/containers-signature.5.md).
const simpleSigning = "cosign container image signature"

// mediaTypeV01 is that of the bundles that cosign's parts are put together to: the
// one which has chains and logs that promise.
const mediaTypeV01 = "application/vnd.dev.sigstore.bundle+json;version=0.1"

// cosignSignature checks a signature of cosign's older form: of a payload that
// names the manifest.
func (v *Verifier) cosignSignature(subject digest.Digest, f signing.Found) (*Proof, error) {
	if err := shallow(f.Content, maxValues); err != nil {
		return nil, fmt.Errorf("the payload cannot be read: %w", err)
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
		return nil, fmt.Errorf("the payload cannot be read: %w", err)
	}
	if got := payload.Critical.Type; got != simpleSigning {
		return nil, fmt.Errorf("its payload is of type %.80q, and %q was expected", got, simpleSigning)
	}
	if got := payload.Critical.Image.Digest; got != subject {
		return nil, fmt.Errorf("it is about %.140q, and %s was expected", string(got), subject)
	}
	sig, err := base64.StdEncoding.DecodeString(f.Annotations[signing.AnnotationSignature])
	if err != nil {
		return nil, fmt.Errorf("annotation %s: %w", signing.AnnotationSignature, err)
	}
	if len(sig) == 0 {
		return nil, fmt.Errorf("annotation %s: %w", signing.AnnotationSignature, errNoSignature)
	}
	sum := sha256.Sum256(f.Content)
	b := &protobundle.Bundle{Content: &protobundle.Bundle_MessageSignature{MessageSignature: &protocommon.MessageSignature{
		MessageDigest: &protocommon.HashOutput{Algorithm: protocommon.HashAlgorithm_SHA2_256, Digest: sum[:]}, Signature: sig,
	}}}
	if err := assemble(f, b); err != nil {
		return nil, err
	}
	p, err := v.check(b, signed{
		message: f.Content, policy: func() sigverify.ArtifactPolicyOption { return sigverify.WithArtifact(bytes.NewReader(f.Content)) },
	}, f)
	if err != nil {
		return nil, err
	}
	p.PredicateType = signing.PredicateSignature
	return p, nil
}

// cosignAttestation checks an attestation of cosign's older form: a DSSE envelope.
func (v *Verifier) cosignAttestation(subject digest.Digest, f signing.Found) (*Proof, error) {
	if err := shallow(f.Content, maxValues); err != nil {
		return nil, fmt.Errorf("the envelope cannot be read: %w", err)
	}
	var e struct {
		PayloadType string `json:"payloadType"`
		Payload     []byte `json:"payload"`
		Signatures  []struct {
			Sig []byte `json:"sig"`
		} `json:"signatures"`
	}
	if err := json.Unmarshal(f.Content, &e); err != nil {
		return nil, fmt.Errorf("the envelope cannot be read: %w", err)
	}
	envelope := &protodsse.Envelope{Payload: e.Payload, PayloadType: e.PayloadType}
	for _, s := range e.Signatures {
		envelope.Signatures = append(envelope.Signatures, &protodsse.Signature{Sig: s.Sig})
	}
	b := &protobundle.Bundle{Content: &protobundle.Bundle_DsseEnvelope{DsseEnvelope: envelope}}
	if err := assemble(f, b); err != nil {
		return nil, err
	}
	return v.statement(subject, b, f)
}

// assemble adds who vouches for the signature, from the annotations of its layer.
func assemble(f signing.Found, b *protobundle.Bundle) error {
	for _, name := range []string{annotationCertificate, annotationChain, annotationBundle, annotationTimestamp} {
		if n := len(f.Annotations[name]); n > maxAnnotation {
			return fmt.Errorf("annotation %s has %d bytes; at most %d are read", name, n, maxAnnotation)
		}
	}
	b.MediaType = mediaTypeV01
	m := &protobundle.VerificationMaterial{}
	b.VerificationMaterial = m
	if text := f.Annotations[annotationCertificate]; text != "" {
		certs := certificates(nil, text)
		if len(certs) == 0 {
			return fmt.Errorf("annotation %s has no certificate in PEM", annotationCertificate)
		}
		certs = certificates(certs, f.Annotations[annotationChain])
		m.Content = &protobundle.VerificationMaterial_X509CertificateChain{
			X509CertificateChain: &protocommon.X509CertificateChain{Certificates: certs},
		}
	} else {
		m.Content = &protobundle.VerificationMaterial_PublicKey{PublicKey: &protocommon.PublicKeyIdentifier{}}
	}
	if err := promise(m, f.Annotations[annotationBundle]); err != nil {
		return err
	}
	return timestamp(m, f.Annotations[annotationTimestamp])
}

// certificates adds those of a text in PEM, and at most so many that there are seen
// to be too many.
func certificates(to []*protocommon.X509Certificate, text string) []*protocommon.X509Certificate {
	for rest := []byte(text); len(to) <= maxChain; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		to = append(to, &protocommon.X509Certificate{RawBytes: block.Bytes})
	}
	return to
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
