// Package notation reads and verifies signatures of Notation (Notary Project
// specifications, version 1: signature-specification.md, signature-envelope-jws.md
// and signature-envelope-cose.md), which other registries keep as referrers.
//
// A [Signature] is what somebody wrote. A [Verifier] says what is proved of it by the
// certificates of [Roots]: who signed which manifest, and when that holds. Nothing
// here reads a clock or a network, so that nothing here knows what was revoked.
package notation

import (
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Media types of envelopes.
const (
	MediaTypeJWS  = "application/jose+json"
	MediaTypeCOSE = "application/cose"
)

// MaxEnvelope bounds an envelope, in bytes. Notation itself reads 4 MiB; real ones
// have a chain of certificates and some hundred bytes.
const MaxEnvelope = 1 << 20

// Bounds of what is in an envelope.
const (
	maxChain       = 16       // certificates
	maxCertificate = 32 << 10 // bytes of one
	maxTimestamp   = 32 << 10 // bytes
	maxAttributes  = 64
)

// payloadType is that of what is signed.
const payloadType = "application/vnd.cncf.notary.payload.v1+json"

// Signing schemes (signing-scheme.md).
const (
	SchemeX509      = "notary.x509"
	SchemeAuthority = "notary.x509.signingAuthority"
)

// Names of attributes.
const (
	attributeScheme    = "io.cncf.notary.signingScheme"
	attributeSigned    = "io.cncf.notary.signingTime"
	attributeAuthentic = "io.cncf.notary.authenticSigningTime"
	attributeExpiry    = "io.cncf.notary.expiry"
	attributePlugin    = "io.cncf.notary.verificationPlugin"
	attributeAgent     = "io.cncf.notary.signingAgent"       // not protected
	attributeTimestamp = "io.cncf.notary.timestampSignature" // likewise
)

// ErrFormat is of bytes that are no envelope.
var ErrFormat = errors.New("not a Notation signature")

// A Signature is what an envelope says, unverified.
type Signature struct {
	Subject     digest.Digest // the manifest that is signed
	Signer      string        // subject of the certificate, in the form of RFC 4514
	Issuer      string        // of the certificate, likewise
	Certificate string        // SHA-256 of the certificate, hexadecimal
	NotBefore   time.Time     // of the certificate
	NotAfter    time.Time
	Scheme      string    // SchemeX509 or SchemeAuthority
	Time        time.Time // of signing, by the signer's clock, or the authority's
	Expiry      time.Time // zero if there is none
	Agent       string    // that signed, as it calls itself
}

// envelope is what JWS and COSE have in common.
type envelope struct {
	contentType            string
	algorithm              string // as JWS calls it
	scheme, agent          string
	signed, authentic, end time.Time
	critical               []string
	has                    map[string]bool // protected attributes by name
	own                    []string        // those that the form itself knows, and may be critical
	payload                []byte
	chain                  [][]byte

	message   []byte // that is signed
	signature []byte
	timestamp []byte // over signature (RFC 3161), nil if there is none

	target ocispec.Descriptor  // of payload
	certs  []*x509.Certificate // of chain
}

// parse reads an envelope. The error is ErrFormat.
func parse(mediaType string, content []byte) (*envelope, error) {
	if len(content) > MaxEnvelope {
		return nil, fmt.Errorf("%w: it has %d bytes, and at most %d are read", ErrFormat, len(content), MaxEnvelope)
	}
	var e *envelope
	var err error
	switch mediaType {
	case MediaTypeJWS:
		e, err = parseJWS(content)
	case MediaTypeCOSE:
		e, err = parseCOSE(content)
	default:
		err = fmt.Errorf("an envelope of type %.80q", mediaType)
	}
	if err == nil {
		err = e.open()
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	return e, nil
}

// open reads payload and certificates.
func (e *envelope) open() error {
	if e.contentType != payloadType {
		return fmt.Errorf("a payload of type %.80q, and %s was expected", e.contentType, payloadType)
	}
	var payload struct {
		Target ocispec.Descriptor `json:"targetArtifact"`
	}
	if err := json.Unmarshal(e.payload, &payload); err != nil {
		return fmt.Errorf("payload: %w", err)
	}
	e.target = payload.Target
	if err := e.target.Digest.Validate(); err != nil {
		return fmt.Errorf("payload: digest %.80q: %w", string(e.target.Digest), err)
	}
	if n := len(e.chain); n == 0 || n > maxChain {
		return fmt.Errorf("%d certificates, and 1 to %d were expected", n, maxChain)
	}
	if n := len(e.timestamp); n > maxTimestamp {
		return fmt.Errorf("a timestamp of %d bytes, and at most %d are read", n, maxTimestamp)
	}
	for i, text := range e.chain {
		if n := len(text); n > maxCertificate {
			return fmt.Errorf("certificate %d has %d bytes, and at most %d are read", i, n, maxCertificate)
		}
		cert, err := x509.ParseCertificate(text)
		if err != nil {
			return fmt.Errorf("certificate %d: %w", i, err)
		}
		e.certs = append(e.certs, cert)
	}
	return nil
}

func (e *envelope) says() *Signature {
	cert := e.certs[0]
	sum := sha256.Sum256(cert.Raw)
	s := &Signature{
		Subject: e.target.Digest, Signer: name(cert.RawSubject), Issuer: name(cert.RawIssuer),
		Certificate: hex.EncodeToString(sum[:]), NotBefore: cert.NotBefore, NotAfter: cert.NotAfter,
		Scheme: e.scheme, Time: e.signed, Expiry: e.end, Agent: e.agent,
	}
	if s.Time.IsZero() {
		s.Time = e.authentic
	}
	return s
}

// name is a distinguished name in the form of RFC 4514. Unlike pkix.Name's it has
// every attribute, twice if it is there twice.
func name(raw []byte) string {
	var rdn pkix.RDNSequence
	if rest, err := asn1.Unmarshal(raw, &rdn); err != nil || len(rest) > 0 {
		return "" // which x509.ParseCertificate lets no certificate have
	}
	return rdn.String()
}

// parseJWS reads the JSON serialization of a JWS (RFC 7515, section 7.2.2).
func parseJWS(content []byte) (*envelope, error) {
	var outer struct {
		Payload   string `json:"payload"`
		Protected string `json:"protected"`
		Signature string `json:"signature"`
		Header    struct {
			Chain     [][]byte `json:"x5c"`
			Agent     string   `json:"io.cncf.notary.signingAgent"`
			Timestamp []byte   `json:"io.cncf.notary.timestampSignature"`
		} `json:"header"`
	}
	if err := json.Unmarshal(content, &outer); err != nil {
		return nil, err
	}
	e := &envelope{
		agent: outer.Header.Agent, chain: outer.Header.Chain, timestamp: outer.Header.Timestamp,
		message: []byte(outer.Protected + "." + outer.Payload), // RFC 7515, section 5.1
	}
	text, err := base64.RawURLEncoding.DecodeString(outer.Protected)
	if err != nil {
		return nil, fmt.Errorf("protected header: %w", err)
	}
	if err := e.protectedJSON(text); err != nil {
		return nil, fmt.Errorf("protected header: %w", err)
	}
	if e.payload, err = base64.RawURLEncoding.DecodeString(outer.Payload); err != nil {
		return nil, fmt.Errorf("payload: %w", err)
	}
	if e.signature, err = base64.RawURLEncoding.DecodeString(outer.Signature); err != nil {
		return nil, fmt.Errorf("signature: %w", err)
	}
	return e, nil
}

// protectedJSON reads the protected header of a JWS. Its names are told apart by
// case, as those of a struct's fields are not.
func (e *envelope) protectedJSON(text []byte) error {
	var header map[string]json.RawMessage
	if err := json.Unmarshal(text, &header); err != nil {
		return err
	}
	fields := []struct {
		name string
		to   any
	}{
		{"alg", &e.algorithm},
		{"cty", &e.contentType},
		{"crit", &e.critical},
		{attributeScheme, &e.scheme},
		{attributeSigned, &e.signed},
		{attributeAuthentic, &e.authentic},
		{attributeExpiry, &e.end},
	}
	for _, f := range fields {
		value, ok := header[f.name]
		if !ok {
			continue
		}
		if err := json.Unmarshal(value, f.to); err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
		if t, ok := f.to.(*time.Time); ok {
			if t.IsZero() { // of null, too: no time is another thing
				return fmt.Errorf("%s: no time", f.name)
			}
			*t = t.UTC()
		}
	}
	return e.attributes(func(yield func(string) bool) {
		for name := range header {
			if !yield(name) {
				return
			}
		}
	})
}

// attributes notes which there are.
func (e *envelope) attributes(names func(func(string) bool)) error {
	e.has = map[string]bool{}
	for name := range names {
		if e.has[name] = true; len(e.has) > maxAttributes {
			return fmt.Errorf("more than %d attributes", maxAttributes)
		}
	}
	if n := len(e.critical); n > maxAttributes {
		return fmt.Errorf("%d critical attributes, and at most %d are read", n, maxAttributes)
	}
	return nil
}
