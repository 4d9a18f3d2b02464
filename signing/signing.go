// Package signing says what signatures and attestations of packages are, and how
// they hang on what they are about.
//
// What is signed is always an in-toto statement about the digest of a manifest,
// in a Sigstore bundle (version 0.3): a signature proper is a statement without a
// predicate, an attestation one with. A bundle is the layer of a referrer of the
// manifest. [Find] collects what hangs on a manifest, in every form that other
// tools write, and believes none of it; signing/verify says what a [Found]
// proves, and signing/trust whether that is enough. signing/key and
// signing/keyless make signers, signing/attest the statements.
package signing

import (
	"errors"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Media types and predicates.
const (
	MediaTypeBundle        = "application/vnd.dev.sigstore.bundle.v0.3+json"    // Sigstore bundle format, version 0.3
	MediaTypeSimpleSigning = "application/vnd.dev.cosign.simplesigning.v1+json" // cosign's older form: layers of the tag sha256-….sig
	MediaTypeDSSE          = "application/vnd.dsse.envelope.v1+json"            // likewise, of the tag sha256-….att
	MediaTypeNotation      = "application/vnd.cncf.notary.signature"            // artifact type of Notation's signatures
	PayloadType            = "application/vnd.in-toto+json"                     // of DSSE envelopes
	PredicateSignature     = "https://sigstore.dev/cosign/sign/v1"              // of a statement that is a signature and no more
	StatementType          = "https://in-toto.io/Statement/v1"                  // in-toto attestation framework, version 1
	AnnotationContent      = "dev.sigstore.bundle.content"                      // of a referrer: "dsse-envelope"
	AnnotationPredicate    = "dev.sigstore.bundle.predicateType"                // of a referrer: for people, and never believed
)

// Bounds of what is read of others.
const (
	MaxBundle   = 8 << 20 // bytes of one bundle, envelope or payload
	MaxFound    = 64      // signatures and attestations of one manifest that are looked at
	MaxFoundSum = 32 << 20
)

// Errors to test for.
var (
	// ErrLimit is of input that is larger than this package reads.
	ErrLimit = errors.New("over a limit")
	// ErrFormat is of what is no signature of any form that is known.
	ErrFormat = errors.New("not a signature")
)

// A Form is how a signature is stored.
type Form string

// The forms.
const (
	FormBundle   Form = "bundle"   // a Sigstore bundle as a referrer
	FormCosign   Form = "cosign"   // cosign's tags sha256-….sig and .att
	FormNotation Form = "notation" // a JWS or COSE envelope of Notation as a referrer
)

// A Found is something that hangs on a manifest and says it is a signature or an
// attestation. Nothing of it was checked.
type Found struct {
	Form     Form
	Subject  digest.Digest // the manifest that it hangs on
	Manifest digest.Digest // that carries it
	Layer    digest.Digest // of Content
	Type     string        // media type of Content

	// Content are the bytes: a bundle, an envelope, or the payload that a signature
	// in Annotations is of. It is nil if Problem says why it could not be read.
	Content     []byte
	Annotations map[string]string // of the layer

	// Target is Subject with its size and media type, which signatures of Notation
	// name too: zero of other forms, and where the source does not have it yet.
	Target  ocispec.Descriptor
	Problem string // for people
}

// A Statement is what a DSSE envelope says, as in-toto defines it. Predicate is
// its own JSON.
type Statement struct {
	Type          string    `json:"_type"`
	Subject       []Subject `json:"subject"`
	PredicateType string    `json:"predicateType"`
	Predicate     any       `json:"predicate"`
}

// A Subject is what a statement is about: a manifest.
type Subject struct {
	Name   string            `json:"name,omitempty"`
	Digest map[string]string `json:"digest"` // hexadecimal by algorithm
}

// SubjectOf is the subject that a manifest is.
func SubjectOf(name string, d digest.Digest) Subject {
	return Subject{Name: name, Digest: map[string]string{d.Algorithm().String(): d.Encoded()}}
}
