// Package notation reads signatures of Notation (Notary Project specifications,
// version 1: signature-envelope-jws.md and signature-envelope-cose.md), which other
// registries keep as referrers, so that they can be shown.
//
// It verifies nothing: what [Parse] gives is what somebody wrote.
package notation

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/opencontainers/go-digest"
)

// Media types of envelopes.
const (
	MediaTypeJWS  = "application/jose+json"
	MediaTypeCOSE = "application/cose"
)

// MaxEnvelope bounds an envelope, in bytes. Notation itself reads 4 MiB; real ones
// have a chain of certificates and some hundred bytes.
const MaxEnvelope = 1 << 20

// payloadType is that of what is signed.
const payloadType = "application/vnd.cncf.notary.payload.v1+json"

// maxChain bounds the certificates of a signature.
const maxChain = 16

// ErrFormat is of bytes that are no envelope.
var ErrFormat = errors.New("not a Notation signature")

// A Signature is what an envelope says, unverified.
type Signature struct {
	Subject     digest.Digest // the manifest that is signed
	Signer      string        // subject of the certificate
	Issuer      string        // of the certificate
	Certificate string        // SHA-256 of the certificate, hexadecimal
	NotBefore   time.Time     // of the certificate
	NotAfter    time.Time
	Scheme      string    // "notary.x509", or with an authority "notary.x509.signingAuthority"
	Time        time.Time // of signing, by the signer's clock
	Expiry      time.Time // zero if there is none
	Agent       string    // that signed, as it calls itself
}

// envelope is what JWS and COSE have in common.
type envelope struct {
	contentType            string
	scheme, agent          string
	signed, authentic, end time.Time
	payload                []byte
	chain                  [][]byte
}

// Parse reads an envelope. The error is ErrFormat.
func Parse(mediaType string, content []byte) (*Signature, error) {
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
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	s, err := e.signature()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	return s, nil
}

func (e *envelope) signature() (*Signature, error) {
	if e.contentType != payloadType {
		return nil, fmt.Errorf("a payload of type %.80q, and %s was expected", e.contentType, payloadType)
	}
	var payload struct {
		Target struct {
			Digest digest.Digest `json:"digest"`
		} `json:"targetArtifact"`
	}
	if err := json.Unmarshal(e.payload, &payload); err != nil {
		return nil, fmt.Errorf("payload: %w", err)
	}
	if err := payload.Target.Digest.Validate(); err != nil {
		return nil, fmt.Errorf("payload: digest %.80q: %w", string(payload.Target.Digest), err)
	}
	if n := len(e.chain); n == 0 || n > maxChain {
		return nil, fmt.Errorf("%d certificates, and 1 to %d were expected", n, maxChain)
	}
	cert, err := x509.ParseCertificate(e.chain[0])
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	sum := sha256.Sum256(cert.Raw)
	s := &Signature{
		Subject: payload.Target.Digest, Signer: cert.Subject.String(), Issuer: cert.Issuer.String(),
		Certificate: hex.EncodeToString(sum[:]), NotBefore: cert.NotBefore, NotAfter: cert.NotAfter,
		Scheme: e.scheme, Time: e.signed, Expiry: e.end, Agent: e.agent,
	}
	if s.Time.IsZero() {
		s.Time = e.authentic
	}
	return s, nil
}

// parseJWS reads the JSON serialization of a JWS (RFC 7515, section 7.2.2).
func parseJWS(content []byte) (*envelope, error) {
	var outer struct {
		Payload   string `json:"payload"`
		Protected string `json:"protected"`
		Header    struct {
			Chain [][]byte `json:"x5c"`
			Agent string   `json:"io.cncf.notary.signingAgent"`
		} `json:"header"`
	}
	if err := json.Unmarshal(content, &outer); err != nil {
		return nil, err
	}
	text, err := base64.RawURLEncoding.DecodeString(outer.Protected)
	if err != nil {
		return nil, fmt.Errorf("protected header: %w", err)
	}
	var header struct {
		ContentType string    `json:"cty"`
		Scheme      string    `json:"io.cncf.notary.signingScheme"`
		Signed      time.Time `json:"io.cncf.notary.signingTime"`
		Authentic   time.Time `json:"io.cncf.notary.authenticSigningTime"`
		End         time.Time `json:"io.cncf.notary.expiry"`
	}
	if err := json.Unmarshal(text, &header); err != nil {
		return nil, fmt.Errorf("protected header: %w", err)
	}
	payload, err := base64.RawURLEncoding.DecodeString(outer.Payload)
	if err != nil {
		return nil, fmt.Errorf("payload: %w", err)
	}
	return &envelope{
		contentType: header.ContentType, scheme: header.Scheme, agent: outer.Header.Agent, payload: payload, chain: outer.Header.Chain,
		signed: header.Signed.UTC(), authentic: header.Authentic.UTC(), end: header.End.UTC(),
	}, nil
}

// Labels of COSE headers (RFC 9052, section 3.1; RFC 9360, section 2).
const (
	labelContentType = int64(3)
	labelChain       = int64(33)
	tagSign1         = 18
)

// parseCOSE reads a COSE_Sign1 (RFC 9052, section 4.2).
func parseCOSE(content []byte) (*envelope, error) {
	v, err := decode(content)
	if err != nil {
		return nil, err
	}
	if t, ok := v.(tagged); ok && t.number == tagSign1 {
		v = t.value
	}
	list, ok := v.([]any)
	if !ok || len(list) != 4 {
		return nil, errors.New("it is no COSE_Sign1")
	}
	raw, ok1 := list[0].([]byte)
	open, ok2 := list[1].(map[any]any)
	payload, ok3 := list[2].([]byte)
	if !ok1 || !ok2 || !ok3 {
		return nil, errors.New("it is no COSE_Sign1")
	}
	v, err = decode(raw)
	if err != nil {
		return nil, fmt.Errorf("protected header: %w", err)
	}
	header, ok := v.(map[any]any)
	if !ok {
		return nil, errors.New("the protected header is no map")
	}
	e := &envelope{
		payload: payload, signed: moment(header["io.cncf.notary.signingTime"]),
		authentic: moment(header["io.cncf.notary.authenticSigningTime"]), end: moment(header["io.cncf.notary.expiry"]),
	}
	e.contentType, _ = header[labelContentType].(string)
	e.scheme, _ = header["io.cncf.notary.signingScheme"].(string)
	e.agent, _ = open["io.cncf.notary.signingAgent"].(string)
	switch chain := open[labelChain].(type) {
	case []byte:
		e.chain = [][]byte{chain}
	case []any:
		for _, c := range chain {
			if cert, ok := c.([]byte); ok {
				e.chain = append(e.chain, cert)
			}
		}
	}
	return e, nil
}

// moment is a time as CBOR has it: seconds since 1970 with tag 1 (RFC 8949,
// section 3.4.2).
func moment(v any) time.Time {
	t, ok := v.(tagged)
	if !ok || t.number != 1 {
		return time.Time{}
	}
	n, ok := t.value.(int64)
	if !ok {
		return time.Time{}
	}
	return time.Unix(n, 0).UTC()
}
