// Package verify says what signatures prove.
//
// A [Verifier] holds what is trusted: Sigstore trusted roots, public keys, or
// both. [Verifier.Verify] checks one [signing.Found] and gives a [Proof]: who
// signed, what they said, when, and what a transparency log knows of it. Whether
// that is enough is for signing/trust to say: a proof of the wrong person is a
// proof. Nothing here reads a clock or a network: a proof that holds only for a
// time says for which. docs/spec/signing.md has the rules.
package verify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/opencontainers/go-digest"
	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	"github.com/sigstore/sigstore-go/pkg/fulcio/certificate"
	"github.com/sigstore/sigstore-go/pkg/root"
	sigverify "github.com/sigstore/sigstore-go/pkg/verify"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/wreg-project/wreg/signing"
	"github.com/wreg-project/wreg/signing/key"
	"github.com/wreg-project/wreg/signing/notation"
)

// MaxKeys bounds the keys of Material.
const MaxKeys = 256

// ErrRefused is of a signature that proves nothing: it is broken, about something
// else, or by nobody that the material knows.
var ErrRefused = errors.New("signature refused")

// A Key is a trusted public key and what it is called. Two keys are the same if
// their IDs are: a name is for people.
type Key struct {
	Name string
	*key.Public

	// NotBefore and NotAfter bound when the key signed, if they are not zero. Only
	// what a trusted clock dates counts then: whoever has got hold of a key that is
	// no longer good can sign without a timestamp, or strip it.
	NotBefore, NotAfter time.Time
}

// Material is what verification rests on. Root may be nil, and then no certificate
// is believed. If it is a root.TrustedMaterialCollection, each of its members
// believes certificates by its own rules: those of an authority whose root has
// certificate transparency logs have to be in one, whatever the others say. Clocks
// and logs are shared.
type Material struct {
	Root     root.TrustedMaterial
	Keys     []Key
	Notation notation.Roots // of Notation's signatures, which the clocks of Root may date too
}

// A Proof is what a signature proves.
type Proof struct {
	Form     signing.Form  `json:"form"`
	Manifest digest.Digest `json:"manifest"` // that carries the signature

	// PredicateType says what was signed: signing.PredicateSignature of a signature
	// and no more, else the type of Predicate, which is its JSON.
	PredicateType string          `json:"predicateType"`
	Predicate     json.RawMessage `json:"-"`

	Key         *SignedByKey `json:"key,omitempty"`         // of who signed, or
	Certificate *Certificate `json:"certificate,omitempty"` // of whom

	Times []Time `json:"times,omitempty"` // by which it was signed, each by a trusted clock, in their order
	Log   *Log   `json:"log,omitempty"`   // nil if no trusted log is known to have it

	// Valid is when the proof holds, nil for ever: a signature of Notation may expire,
	// and one that no trusted clock dates is good while its certificates are. See Good.
	Valid *Period `json:"valid,omitempty"`
}

// A Period is a time from when until when; zero is an open end.
type Period struct {
	From  time.Time `json:"from,omitzero"`
	Until time.Time `json:"until,omitzero"`
}

// Good is nil if the proof holds at a time, else it says when it does.
func (p *Proof) Good(at time.Time) error {
	if p.Valid == nil || within(at, p.Valid.From, p.Valid.Until) {
		return nil
	}
	why := "it has expired, or no trusted clock dates it and its certificates have"
	return fmt.Errorf("it is good %s, and it is %s: %s", period(p.Valid.From, p.Valid.Until), stamp(at), why)
}

// SignedByKey names a key.
type SignedByKey struct {
	ID   string `json:"id"`             // SHA-256 of its SubjectPublicKeyInfo, hexadecimal
	Name string `json:"name,omitempty"` // in the material
}

// A Certificate is one of Fulcio's, or of an authority that works like it; or in a
// proof of the form signing.FormNotation, one of any authority.
type Certificate struct {
	// Identity is the subject alternative name, an e-mail address or a URI, and Issuer
	// that of the OpenID Connect token. Of Notation, Identity is the subject in the form
	// of RFC 4514, and Issuer IssuerX509 with the subject of the root.
	Identity  string                 `json:"identity"`
	Issuer    string                 `json:"issuer"`
	Claims    certificate.Extensions `json:"claims"` // of the token, as Fulcio's extensions have them
	NotBefore time.Time              `json:"notBefore"`
	NotAfter  time.Time              `json:"notAfter"`
	SHA256    string                 `json:"sha256"` // of the certificate, hexadecimal
}

// IssuerX509 begins the issuers of certificates of Notation's signatures. No OpenID
// Connect issuer has a name like that.
const IssuerX509 = "x509:"

// A Time is a statement of a trusted clock.
type Time struct {
	Source string    `json:"source"` // "timestamp-authority", "log" or "signing-authority"
	URI    string    `json:"uri,omitempty"`
	Time   time.Time `json:"time"`
}

// A Log says where in a transparency log the signature is.
type Log struct {
	ID    string `json:"id"` // of the log, hexadecimal
	URL   string `json:"url,omitempty"`
	Index int64  `json:"index"`
	// Proven tells a proof of inclusion from a log's signed promise to include,
	// which is all that cosign's older form has.
	Proven bool `json:"proven"`
}

// A Verifier verifies. Its methods are safe for concurrent use.
type Verifier struct {
	keys   []Key
	byHint map[string][]Key
	shared material   // the clocks and logs of all roots
	roots  []material // each with authorities for certificates

	notation *notation.Verifier
}

// New makes a Verifier. It reads the material once: a root that changes needs a
// new one. The error is signing.ErrLimit.
func New(m Material) (*Verifier, error) {
	if len(m.Keys) > MaxKeys {
		return nil, fmt.Errorf("%d keys: %w of %d", len(m.Keys), signing.ErrLimit, MaxKeys)
	}
	v := &Verifier{keys: slices.Clone(m.Keys), byHint: map[string][]Key{}}
	for _, k := range m.Keys {
		v.byHint[k.Hint()] = append(v.byHint[k.Hint()], k)
		v.byHint[k.ID()] = append(v.byHint[k.ID()], k)
	}
	v.shared, v.roots = read(m.Root)
	var err error
	if v.notation, err = notation.NewVerifier(m.Notation, v.shared.stamper); err != nil {
		return nil, fmt.Errorf("%w: %w", signing.ErrLimit, err)
	}
	return v, nil
}

// Verify checks what was found on the manifest whose digest is subject. Every
// error but that of ctx is ErrRefused and says for people what was expected and
// what there is.
func (v *Verifier) Verify(ctx context.Context, subject digest.Digest, f signing.Found) (p *Proof, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	// The parsers of many others see hostile bytes here. One that panics has not
	// verified anything, and must not take a server down.
	defer func() {
		if r := recover(); r != nil {
			p, err = nil, fmt.Errorf("%w: its bytes made a reader of them panic: %v", ErrRefused, r)
		}
	}()
	if p, err = v.verify(subject, f); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	return p, nil
}

func (v *Verifier) verify(subject digest.Digest, f signing.Found) (*Proof, error) {
	if f.Problem != "" {
		return nil, errors.New(f.Problem)
	}
	if len(f.Content) > signing.MaxBundle {
		return nil, fmt.Errorf("it has %d bytes, and at most %d are read", len(f.Content), signing.MaxBundle)
	}
	if err := subject.Validate(); err != nil {
		return nil, fmt.Errorf("what it should be about is no digest: %.80q: %w", string(subject), err)
	}
	switch {
	case f.Form == signing.FormBundle:
		return v.bundle(subject, f)
	case f.Form == signing.FormCosign && f.Type == signing.MediaTypeDSSE:
		return v.cosignAttestation(subject, f)
	case f.Form == signing.FormCosign:
		return v.cosignSignature(subject, f)
	case f.Form == signing.FormNotation:
		return v.notary(subject, f)
	default:
		return nil, fmt.Errorf("signatures of the form %.40q are not verified", string(f.Form))
	}
}

// notary checks a signature of Notation.
func (v *Verifier) notary(subject digest.Digest, f signing.Found) (*Proof, error) {
	target := f.Target
	target.Digest = subject
	n, err := v.notation.Verify(f.Type, f.Content, target)
	if err != nil {
		return nil, err
	}
	p := &Proof{
		Form: f.Form, Manifest: f.Manifest, PredicateType: signing.PredicateSignature,
		Certificate: &Certificate{
			Identity: n.Signer, Issuer: IssuerX509 + n.Root, NotBefore: n.NotBefore, NotAfter: n.NotAfter, SHA256: n.Certificate,
		},
	}
	if !n.Dated.IsZero() {
		source := "timestamp-authority"
		if n.Scheme == notation.SchemeAuthority {
			source = "signing-authority"
		}
		p.Times = []Time{{Source: source, URI: n.Clock, Time: n.Dated}}
	}
	if !n.From.IsZero() || !n.Until.IsZero() {
		p.Valid = &Period{From: n.From, Until: n.Until}
	}
	return p, nil
}

// bundle checks a Sigstore bundle, of version 0.1 to 0.3.
func (v *Verifier) bundle(subject digest.Digest, f signing.Found) (*Proof, error) {
	if err := shallow(f.Content, maxValues); err != nil {
		return nil, fmt.Errorf("the bundle cannot be read: %w", err)
	}
	b := &protobundle.Bundle{}
	if err := protojson.Unmarshal(f.Content, b); err != nil {
		return nil, fmt.Errorf("the bundle cannot be read: %w", err)
	}
	if b.GetMessageSignature() != nil {
		return nil, errors.New("it signs bytes, and a statement about the manifest was expected")
	}
	return v.statement(subject, b, f)
}

// statement checks a bundle that signs a statement about subject.
func (v *Verifier) statement(subject digest.Digest, b *protobundle.Bundle, f signing.Found) (*Proof, error) {
	st, err := readStatement(b.GetDsseEnvelope(), subject)
	if err != nil {
		return nil, err
	}
	what, err := manifest(subject)
	if err != nil {
		return nil, err
	}
	p, err := v.check(b, signed{message: st.message, policy: what}, f)
	if err != nil {
		return nil, err
	}
	p.PredicateType, p.Predicate = st.PredicateType, st.Predicate
	return p, nil
}

// signed is what a signature is to be of.
type signed struct {
	message []byte                                // the bytes that are signed
	policy  func() sigverify.ArtifactPolicyOption // made anew for each use, for it may read
}

// check verifies a bundle of what.
func (v *Verifier) check(b *protobundle.Bundle, what signed, f signing.Found) (*Proof, error) {
	e, err := newEntity(b, v.shared.logs)
	if err != nil {
		return nil, err
	}
	p := &Proof{Form: f.Form, Manifest: f.Manifest}
	var result *sigverify.VerificationResult
	if e.certificate() != nil {
		result, err = v.byCertificate(e, what, p)
	} else {
		result, err = v.byKey(e, what, p)
	}
	if err != nil {
		return nil, err
	}
	p.Times = times(result.VerifiedTimestamps)
	p.Log, err = e.log(v.shared.logs, p.Times)
	return p, err
}

// options of sigstore-go: that all log entries are verified, and that there is a
// time if dated says so.
func (e *entity) options(dated bool) []sigverify.VerifierOption {
	options := []sigverify.VerifierOption{sigverify.WithoutStatementPredicate(), sigverify.WithNoObserverTimestamps()}
	if dated {
		options[1] = sigverify.WithObserverTimestamps(1)
	}
	if n := len(e.entries); n > 0 { // each of another log, so that n verified ones are all
		options = append(options, sigverify.WithTransparencyLog(n))
	}
	return options
}

func times(list []sigverify.TimestampVerificationResult) []Time {
	var out []Time
	for _, t := range list {
		source := "log"
		if t.Type == "TimestampAuthority" {
			source = "timestamp-authority"
		}
		out = append(out, Time{Source: source, URI: t.URI, Time: t.Timestamp.UTC()})
	}
	slices.SortStableFunc(out, func(a, b Time) int { return a.Time.Compare(b.Time) })
	return out
}
