package wire

import (
	"encoding/json"
	"time"

	"github.com/opencontainers/go-digest"
)

// Signatures are what hangs on a version and says that it is a signature or an
// attestation, as it was verified against what the registry trusts.
type Signatures struct {
	Digest digest.Digest `json:"digest"` // of the manifest

	// Material is the version of what it was verified against. It is absent if nothing
	// hangs on the version, or it was not ingested yet.
	Material string `json:"material,omitempty"`

	// Publisher is who of those that signed stands for the version: the name of a key,
	// or the identity of a certificate. It is absent if nobody does.
	Publisher string `json:"publisher,omitempty"`

	Signatures   []Signature        `json:"signatures"`
	Attestations []Attestation      `json:"attestations"`
	Refused      []RefusedSignature `json:"refused"`
}

// A Signature is one that was verified.
type Signature struct {
	// Form is how it is stored: "bundle", or "cosign" for tags sha256-….sig.
	Form string `json:"form"`

	// Manifest is the one that carries it.
	Manifest digest.Digest `json:"manifest"`

	// Key is the name of the key that made it, and KeyID the SHA-256 of that in
	// hexadecimal digits; or else Identity is that of a certificate, for which Issuer
	// vouches.
	Key      string `json:"key,omitempty"`
	KeyID    string `json:"keyId,omitempty"`
	Identity string `json:"identity,omitempty"`
	Issuer   string `json:"issuer,omitempty"`

	// Logged is whether a trusted transparency log has it.
	Logged bool `json:"logged"`

	// Time is when a trusted clock first saw it. It is absent if none did.
	Time time.Time `json:"time,omitzero"`

	// Proof is all that was verified. docs/spec/signing.md describes it.
	Proof json.RawMessage `json:"proof"`
}

// An Attestation is one that was verified, with what it says.
type Attestation struct {
	Signature

	PredicateType string `json:"predicateType"`

	// Type is a short name of PredicateType: "slsaprovenance", "cyclonedx". It is that
	// itself if it has none.
	Type string `json:"type"`

	// Size of the predicate in bytes.
	Size int64 `json:"size"`

	// Predicate is there if it is asked for and no longer than 64 KiB. The manifest
	// has it in any case.
	Predicate json.RawMessage `json:"predicate,omitempty"`
}

// A RefusedSignature proves nothing.
type RefusedSignature struct {
	Form     string        `json:"form"`
	Manifest digest.Digest `json:"manifest,omitempty"`
	Problem  string        `json:"problem"`
}

// KeyList are the public keys by which the installation signs, and did.
type KeyList struct {
	Items []InstallationKey `json:"items"`
}

// An InstallationKey is a public key of the installation.
type InstallationKey struct {
	// ID is the SHA-256 of the key's SubjectPublicKeyInfo in hexadecimal digits.
	ID        string    `json:"id"`
	Algorithm string    `json:"algorithm"`
	PEM       string    `json:"pem"`
	Created   time.Time `json:"created"`

	// NotAfter is when the last signature was made by it. It is absent of a key that is
	// in use.
	NotAfter time.Time `json:"notAfter,omitzero"`

	// JWK is the key as RFC 7517 has it.
	JWK json.RawMessage `json:"jwk"`
}

// Trust is what signatures are verified against.
type Trust struct {
	// Version is a hash of all of it.
	Version string       `json:"version"`
	Items   []TrustEntry `json:"items"`
}

// A TrustEntry is a key or root.
type TrustEntry struct {
	Name string `json:"name"`
	Kind string `json:"kind"` // "key" or "root"

	// Origin is who answers for it: "config", "api" or "instance". Only entries of the
	// API can be changed here.
	Origin string `json:"origin"`

	// ID is the SHA-256 of a key's SubjectPublicKeyInfo, or of a root's text, in
	// hexadecimal digits.
	ID        string    `json:"id"`
	Algorithm string    `json:"algorithm,omitempty"` // of a key
	Content   string    `json:"content"`             // PEM or JSON
	NotBefore time.Time `json:"notBefore,omitzero"`
	NotAfter  time.Time `json:"notAfter,omitzero"`
	Author    string    `json:"author,omitempty"`
	Created   time.Time `json:"created,omitzero"`
}

// A TrustRequest adds a key or root.
type TrustRequest struct {
	// Kind is "key" or "root".
	Kind string `json:"kind" jsonschema:"enum=key,enum=root"`

	// Content is a public key in PEM, or a Sigstore trusted root in JSON.
	Content string `json:"content" jsonschema:"minLength=1,maxLength=1048576"`

	// NotBefore and NotAfter bound when the key signed what is believed, as RFC 3339
	// has times. Only what a trusted clock dates is believed then.
	NotBefore string `json:"notBefore,omitempty" jsonschema:"maxLength=64"`
	NotAfter  string `json:"notAfter,omitempty" jsonschema:"maxLength=64"`
}
