// Package verify says what signatures prove.
//
// A [Verifier] holds what is trusted: a Sigstore trusted root, public keys, or
// both. [Verifier.Verify] checks one [signing.Found] and gives a [Proof]: who
// signed, what they said, when, and what a transparency log knows of it. Whether
// that is enough is for signing/trust to say: a proof of the wrong person is a
// proof. Nothing here reads a clock or a network.
package verify

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/fulcio/certificate"
	"github.com/sigstore/sigstore-go/pkg/root"
	sigverify "github.com/sigstore/sigstore-go/pkg/verify"

	"github.com/wreg-project/wreg/signing"
	"github.com/wreg-project/wreg/signing/key"
)

// Bounds of what is trusted, and of what one bundle may bring.
const (
	MaxKeys   = 256
	maxProofs = 8 // log entries, and timestamps
	maxDepth  = 64
)

// ErrRefused is of a signature that proves nothing: it is broken, about something
// else, or by nobody that the material knows.
var ErrRefused = errors.New("signature refused")

// A Key is a trusted public key and what it is called.
type Key struct {
	Name string
	*key.Public
}

// Material is what verification rests on. Root may be nil, and then no certificate
// is believed.
type Material struct {
	Root root.TrustedMaterial
	Keys []Key
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

	Times []Time `json:"times,omitempty"` // by which it was signed, each by a trusted clock
	Log   *Log   `json:"log,omitempty"`   // nil if no trusted log is known to have it
}

// SignedByKey names a key.
type SignedByKey struct {
	ID   string `json:"id"`             // SHA-256 of its SubjectPublicKeyInfo, hexadecimal
	Name string `json:"name,omitempty"` // in the material
}

// A Certificate is one of Fulcio's, or of an authority that works like it.
type Certificate struct {
	Identity  string                 `json:"identity"` // subject alternative name: an e-mail address or a URI
	Issuer    string                 `json:"issuer"`   // of the OpenID Connect token
	Claims    certificate.Extensions `json:"claims"`   // of the token, as Fulcio's extensions have them
	NotBefore time.Time              `json:"notBefore"`
	NotAfter  time.Time              `json:"notAfter"`
	SHA256    string                 `json:"sha256"` // of the certificate, hexadecimal
}

// A Time is a statement of a trusted clock.
type Time struct {
	Source string    `json:"source"` // "timestamp-authority" or "log"
	URI    string    `json:"uri,omitempty"`
	Time   time.Time `json:"time"`
}

// A Log says where in a transparency log the signature is.
type Log struct {
	ID    string `json:"id"` // of the log, hexadecimal
	URL   string `json:"url,omitempty"`
	Index int64  `json:"index"`
}

// A Verifier verifies. Its methods are safe for concurrent use.
type Verifier struct {
	material Material
	root     root.TrustedMaterial // never nil
	byHint   map[string][]Key
	cert     [2]*sigverify.Verifier // of certificates, without and with a log
}

// New makes a Verifier.
func New(m Material) (*Verifier, error) {
	if len(m.Keys) > MaxKeys {
		return nil, fmt.Errorf("%d keys: %w of %d", len(m.Keys), signing.ErrLimit, MaxKeys)
	}
	v := &Verifier{material: m, root: m.Root, byHint: map[string][]Key{}}
	if v.root == nil {
		v.root = &root.BaseTrustedMaterial{}
	}
	for _, k := range m.Keys {
		v.byHint[k.Hint()] = append(v.byHint[k.Hint()], k)
		v.byHint[k.ID()] = append(v.byHint[k.ID()], k)
	}
	for i := range v.cert {
		options := []sigverify.VerifierOption{sigverify.WithObserverTimestamps(1), sigverify.WithoutStatementPredicate()}
		if len(v.root.CTLogs()) > 0 {
			options = append(options, sigverify.WithSignedCertificateTimestamps(1))
		}
		if i == 1 {
			options = append(options, sigverify.WithTransparencyLog(1))
		}
		var err error
		if v.cert[i], err = sigverify.NewVerifier(v.root, options...); err != nil {
			return nil, fmt.Errorf("trusted root: %w", err)
		}
	}
	return v, nil
}

// Verify checks what was found on the manifest whose digest is subject. Every
// error is ErrRefused and says for people what was expected and what there is.
func (v *Verifier) Verify(ctx context.Context, subject digest.Digest, f signing.Found) (*Proof, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if f.Problem != "" {
		return nil, fmt.Errorf("%w: %s", ErrRefused, f.Problem)
	}
	if len(f.Content) > signing.MaxBundle {
		return nil, fmt.Errorf("%w: %d bytes, and at most %d are read", ErrRefused, len(f.Content), signing.MaxBundle)
	}
	switch {
	case f.Form == signing.FormBundle:
		return v.bundle(subject, f)
	case f.Form == signing.FormCosign && f.Type == signing.MediaTypeDSSE:
		return v.cosignAttestation(subject, f)
	case f.Form == signing.FormCosign:
		return v.cosignSignature(subject, f)
	default:
		return nil, fmt.Errorf("%w: signatures of the form %s are not verified", ErrRefused, f.Form)
	}
}

func refused(err error) error { return fmt.Errorf("%w: %w", ErrRefused, err) }

// bundle checks a Sigstore bundle.
func (v *Verifier) bundle(subject digest.Digest, f signing.Found) (*Proof, error) {
	if err := shallow(f.Content); err != nil {
		return nil, refused(err)
	}
	var b bundle.Bundle
	if err := b.UnmarshalJSON(f.Content); err != nil {
		return nil, refused(fmt.Errorf("the bundle cannot be read: %w", err))
	}
	what, err := manifest(subject)
	if err != nil {
		return nil, err
	}
	return v.check(&b, what, f)
}

// check verifies a bundle of what.
func (v *Verifier) check(b *bundle.Bundle, what artifact, f signing.Found) (*Proof, error) {
	material := b.GetVerificationMaterial()
	if n := len(material.GetTlogEntries()); n > maxProofs {
		return nil, refused(fmt.Errorf("%d log entries; at most %d are read", n, maxProofs))
	}
	if n := len(material.GetTimestampVerificationData().GetRfc3161Timestamps()); n > maxProofs {
		return nil, refused(fmt.Errorf("%d timestamps; at most %d are read", n, maxProofs))
	}
	content, err := b.VerificationContent()
	if err != nil {
		return nil, refused(err)
	}
	p := &Proof{Form: f.Form, Manifest: f.Manifest, PredicateType: signing.PredicateSignature}
	var result *sigverify.VerificationResult
	if cert := content.Certificate(); cert != nil {
		sum := sha256.Sum256(cert.Raw)
		p.Certificate = &Certificate{NotBefore: cert.NotBefore, NotAfter: cert.NotAfter, SHA256: hex.EncodeToString(sum[:])}
		result, err = v.byCertificate(b, what, p)
	} else {
		result, err = v.byKey(b, what, p, content.PublicKey().Hint())
	}
	if err != nil {
		return nil, err
	}
	return p, p.read(b, result)
}

// byCertificate verifies a bundle whose key a certificate vouches for.
func (v *Verifier) byCertificate(
	b *bundle.Bundle, what artifact, p *Proof,
) (*sigverify.VerificationResult, error) {
	if len(v.root.FulcioCertificateAuthorities()) == 0 {
		return nil, refused(errors.New("it is signed with a certificate, and no trusted root has authorities for those"))
	}
	log, err := v.logOf(b)
	if err != nil {
		return nil, err
	}
	with := v.cert[0]
	if log != nil {
		with = v.cert[1]
	}
	result, err := with.Verify(b, sigverify.NewPolicy(what(), sigverify.WithoutIdentitiesUnsafe())) // identities are for signing/trust
	if err != nil {
		return nil, refused(err)
	}
	p.Log = log
	s := result.Signature.Certificate
	p.Certificate.Identity, p.Certificate.Issuer, p.Certificate.Claims = s.SubjectAlternativeName, s.Issuer, s.Extensions
	return result, nil
}

// byKey verifies a bundle that a trusted key signed: the one that is hinted at, or
// else any, for a hint is what the bundle's maker likes.
func (v *Verifier) byKey(
	b *bundle.Bundle, what artifact, p *Proof, hint string,
) (*sigverify.VerificationResult, error) {
	keys := v.byHint[hint]
	if len(keys) == 0 {
		keys = v.material.Keys
	}
	if len(keys) == 0 {
		return nil, refused(fmt.Errorf("it is signed with a key (hint %.80q), and no key is trusted", hint))
	}
	log, err := v.logOf(b)
	if err != nil {
		return nil, err
	}
	var last error
	for _, k := range keys {
		result, err := v.withKey(b, what, k, log != nil)
		if err == nil {
			p.Key, p.Log = &SignedByKey{ID: k.ID(), Name: k.Name}, log
			return result, nil
		}
		last = err
	}
	if len(keys) > 1 {
		return nil, refused(fmt.Errorf("none of %d trusted keys made it (hint %.80q); of the last one: %w", len(keys), hint, last))
	}
	return nil, refused(fmt.Errorf("key %s (%.16s…): %w", keys[0].Name, keys[0].ID(), last))
}

func (v *Verifier) withKey(
	b *bundle.Bundle, what artifact, k Key, logged bool,
) (*sigverify.VerificationResult, error) {
	verifier, err := k.Verifier()
	if err != nil {
		return nil, err
	}
	always := root.NewExpiringKey(verifier, time.Time{}, time.Time{})
	trusted := root.TrustedMaterialCollection{
		root.NewTrustedPublicKeyMaterial(func(string) (root.TimeConstrainedVerifier, error) { return always, nil }), v.root,
	}
	options := []sigverify.VerifierOption{sigverify.WithoutStatementPredicate()}
	stamped := len(b.GetVerificationMaterial().GetTimestampVerificationData().GetRfc3161Timestamps()) > 0
	if stamped && len(v.root.TimestampingAuthorities()) > 0 {
		options = append(options, sigverify.WithSignedTimestamps(1))
	} else {
		options = append(options, sigverify.WithNoObserverTimestamps())
	}
	if logged {
		options = append(options, sigverify.WithTransparencyLog(1))
	}
	with, err := sigverify.NewVerifier(trusted, options...)
	if err != nil {
		return nil, err
	}
	return with.Verify(b, sigverify.NewPolicy(what(), sigverify.WithKey()))
}

// An artifact says what a signature is to be of. It is asked anew for each key
// that is tried, for it may read.
type artifact func() sigverify.ArtifactPolicyOption

// manifest is the manifest with the digest.
func manifest(d digest.Digest) (artifact, error) {
	sum, err := hex.DecodeString(d.Encoded())
	if err != nil {
		return nil, refused(fmt.Errorf("%s: %w", d, err))
	}
	return func() sigverify.ArtifactPolicyOption {
		return sigverify.WithArtifactDigest(d.Algorithm().String(), sum)
	}, nil
}

// logOf is where in a log of the trusted root the bundle says that it is. Entries
// of logs that the root does not know prove nothing, and take nothing away.
func (v *Verifier) logOf(b *bundle.Bundle) (*Log, error) {
	entries, err := b.TlogEntries()
	if err != nil {
		return nil, refused(fmt.Errorf("log entry: %w", err))
	}
	logs := v.root.RekorLogs()
	for _, e := range entries {
		id := hex.EncodeToString([]byte(e.LogKeyID()))
		if log := logs[id]; log != nil {
			return &Log{ID: id, URL: log.BaseURL, Index: e.LogIndex()}, nil
		}
	}
	return nil, nil
}

// read takes what the verified bundle says into the proof.
func (p *Proof) read(b *bundle.Bundle, result *sigverify.VerificationResult) error {
	for _, t := range result.VerifiedTimestamps {
		source := "log"
		if t.Type == "TimestampAuthority" {
			source = "timestamp-authority"
		}
		p.Times = append(p.Times, Time{Source: source, URI: t.URI, Time: t.Timestamp.UTC()})
	}
	slices.SortFunc(p.Times, func(a, b Time) int { return a.Time.Compare(b.Time) })
	if result.Statement == nil {
		return nil
	}
	var st struct {
		PredicateType string          `json:"predicateType"`
		Predicate     json.RawMessage `json:"predicate"`
	}
	if err := json.Unmarshal(b.GetDsseEnvelope().GetPayload(), &st); err != nil {
		return refused(fmt.Errorf("statement: %w", err))
	}
	p.PredicateType, p.Predicate = st.PredicateType, st.Predicate
	return nil
}

// shallow refuses JSON that nests deeper than maxDepth, before readers that
// recurse see it.
func shallow(text []byte) error {
	depth, quoted := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			if depth++; depth > maxDepth {
				return fmt.Errorf("the JSON nests deeper than %d at byte %d", maxDepth, i)
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return nil
}
