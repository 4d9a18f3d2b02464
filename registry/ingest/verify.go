package ingest

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/registry"
	"github.com/wreg-project/wreg/registry/attached"
	"github.com/wreg-project/wreg/registry/attached/stored"
	"github.com/wreg-project/wreg/registry/policy"
	"github.com/wreg-project/wreg/signing"
	"github.com/wreg-project/wreg/signing/verify"
	"github.com/wreg-project/wreg/storage/meta"
)

// Trusted is what signatures are held against.
type Trusted struct {
	Verifier *verify.Verifier

	// Version tells one Trusted from another. It is not "".
	Version string

	// Publisher says who of those whose signatures were verified stands for a manifest
	// of repo, "" if nobody does. If it is nil, that is the first trusted key that
	// signed it: a certificate can be had by anybody.
	Publisher func(ctx context.Context, repo string, subject digest.Digest, proofs []*verify.Proof) (string, error)
}

func (t Trusted) publisher(ctx context.Context, sub *subject, proofs []*verify.Proof) (string, error) {
	if t.Publisher != nil {
		return t.Publisher(ctx, sub.Repo, sub.Digest, proofs)
	}
	for _, p := range proofs {
		if p.PredicateType == signing.PredicateSignature && p.Key != nil {
			return p.Key.Name, nil
		}
	}
	return "", nil
}

// trustNobody is what is trusted where nothing else is said.
var trustNobody = func() Trusted {
	v, err := verify.New(verify.Material{})
	if err != nil {
		panic("ingest: a verifier that trusts nobody: " + err.Error()) // it has nothing to be wrong about
	}
	return Trusted{Verifier: v, Version: "nobody"}
}()

// signatures are what hangs on a manifest and says that it is a signature or
// attestation, verified or refused.
type signatures struct {
	trusted  Trusted // that they were verified against
	carriers string  // see carriers
	rows     []meta.Signature

	attested []attached.Attestation // documents among them
}

// verifyStage finds out who signed the manifest, and what they say of it.
func (s *Service) verifyStage(ctx context.Context, r *ingestion) error { return s.verify(ctx, r.sub) }

// verify sets sub.signatures, unless that was done before. The manifest itself
// need not be stored: signatures may come first.
func (s *Service) verify(ctx context.Context, sub *subject) error {
	if sub.signatures != nil {
		return nil
	}
	trusted := s.o.Trust()
	list := &signatures{trusted: trusted}
	var err error
	// What hangs on it is listed first: what comes later is seen when what follows is
	// written.
	if list.carriers, err = s.carriers(ctx, s.meta, sub.Repo, sub.Digest); err != nil {
		return err
	}
	from := stored.Signatures{Meta: s.meta, Blobs: s.o.Blobs, Name: sub.Repo, Producer: s.o.Producer}
	found, err := signing.Find(ctx, from, sub.Digest)
	if err != nil {
		return fmt.Errorf("%s: %w", sub.Repo, err)
	}
	known, err := s.verified(ctx, sub, trusted.Version)
	if err != nil {
		return err
	}
	for _, f := range found[:min(len(found), meta.MaxSignatures)] {
		row, err := s.verifyOne(ctx, trusted, sub.Digest, f, known)
		if err != nil {
			return err
		}
		list.rows = append(list.rows, row)
	}
	if list.attested, err = from.Attested(ctx, trusted.Verifier, sub.Digest, found, list.rows); err != nil {
		return fmt.Errorf("%s: %w", sub.Repo, err)
	}
	sub.signatures = list
	return nil
}

// signatureFacts adds what is known of signatures to what policies are asked about.
func (s *Service) signatureFacts(ctx context.Context, sub *subject, to *policy.Facts) error {
	if err := s.verify(ctx, sub); err != nil {
		return err
	}
	var all policy.Signed
	for _, row := range sub.signatures.rows {
		if !row.Verified() {
			all.Refused = append(all.Refused, policy.RefusedSignature{Form: row.Form, Problem: row.Problem})
			continue
		}
		p := &verify.Proof{Predicate: row.Predicate}
		if err := json.Unmarshal(row.Proof, p); err != nil {
			return fmt.Errorf("proof of %s in %s: %w", row.Carrier, sub.Repo, err)
		}
		if err := p.Good(s.now()); err != nil { // it was when it was verified, or will be
			all.Refused = append(all.Refused, policy.RefusedSignature{Form: row.Form, Problem: printable(err.Error())})
			continue
		}
		all.Proofs = append(all.Proofs, p)
	}
	var err error
	if all.Publisher, err = sub.signatures.trusted.publisher(ctx, sub, all.Proofs); err != nil {
		return fmt.Errorf("publisher of %s in %s: %w", sub.Digest, sub.Repo, err)
	}
	return to.SignatureFacts(all)
}

// place is where a bundle lies.
type place struct{ carrier, layer digest.Digest }

// verified are the bundles that are stored with a proof by the same material.
// Refused ones are not among them, since what was missing may have come; nor is
// cosign's older form, where the layer is not all there is to a signature.
func (s *Service) verified(ctx context.Context, sub *subject, version string) (map[place]meta.Signature, error) {
	rows, of, err := s.meta.Signatures(ctx, sub.Repo, sub.Digest)
	if absent(err) || err == nil && of != version {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("signatures of %s in %s: %w", sub.Digest, sub.Repo, err)
	}
	known := map[place]meta.Signature{}
	for _, row := range rows {
		if row.Verified() && row.Form == string(signing.FormBundle) {
			known[place{row.Carrier, row.Layer}] = row
		}
	}
	return known, nil
}

// verifyOne verifies what was found, unless that was done before with the same
// material: by this server lately, or by any for what is stored.
func (s *Service) verifyOne(
	ctx context.Context, trusted Trusted, subject digest.Digest, f signing.Found, known map[place]meta.Signature,
) (meta.Signature, error) {
	if f.Problem != "" {
		return refusedRow(f, f.Problem), nil
	}
	k := verdictKey(trusted.Version, subject, f)
	if row, ok := s.proofs.get(k); ok {
		return row, nil
	}
	row, ok := known[place{f.Manifest, f.Layer}]
	if !ok {
		proof, err := trusted.Verifier.Verify(ctx, subject, f)
		if err != nil && !errors.Is(err, verify.ErrRefused) {
			return row, err
		}
		s.analyser.stats.verifications.Add(1)
		row = signatureRow(f, proof, err)
	}
	s.proofs.put(k, row)
	return row, nil
}

// signatureRow is what is kept of a proof, or of why there is none.
func signatureRow(f signing.Found, p *verify.Proof, err error) meta.Signature {
	if err != nil {
		return refusedRow(f, strings.TrimPrefix(err.Error(), verify.ErrRefused.Error()+": "))
	}
	row := meta.Signature{
		Carrier: f.Manifest, Layer: f.Layer, Form: string(f.Form), PredicateType: p.PredicateType, Logged: p.Log != nil,
	}
	if p.Key != nil {
		row.KeyID, row.KeyName = p.Key.ID, p.Key.Name
	}
	if p.Certificate != nil {
		row.Identity, row.Issuer = p.Certificate.Identity, p.Certificate.Issuer
	}
	if len(p.Times) > 0 {
		row.Time = p.Times[0].Time.UTC()
	}
	for _, text := range []string{row.PredicateType, row.KeyName, row.Identity, row.Issuer} {
		if !storable(text) || len(text) > meta.MaxSignatureText {
			return refusedRow(f, fmt.Sprintf("it says %.80q, which is too long or no text", text))
		}
	}
	if row.Proof, err = json.Marshal(p); err != nil || len(row.Proof) > meta.MaxProof {
		return refusedRow(f, fmt.Sprintf("what it proves takes %d bytes, and at most %d are kept", len(row.Proof), meta.MaxProof))
	}
	if p.PredicateType != signing.PredicateSignature {
		row.PredicateSize = int64(len(p.Predicate))
	}
	if row.PredicateSize > 0 && row.PredicateSize <= meta.MaxPredicate && storable(string(p.Predicate)) {
		row.Predicate = p.Predicate
	}
	return row
}

func refusedRow(f signing.Found, why string) meta.Signature {
	return meta.Signature{
		Carrier: f.Manifest, Layer: f.Layer, Form: string(f.Form), Problem: cmp.Or(printable(why), "it proves nothing"),
	}
}

// storable reports whether both databases take a text.
func storable(s string) bool { return utf8.ValidString(s) && !strings.Contains(s, "\x00") }

// printable is a text for people as the databases take it.
func printable(s string) string {
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "\ufffd"), "\x00", "\ufffd")
	if len(s) > meta.MaxSignatureText {
		s = strings.ToValidUTF8(s[:meta.MaxSignatureText-len("…")], "") + "…"
	}
	return s
}

// carriesSignatures reports whether a manifest with these media types of layers may
// be a referrer by which signatures hang on its subject.
func carriesSignatures(artifactType string, layers []string) bool {
	return artifactType == signing.MediaTypeNotation || slices.ContainsFunc(layers, signing.IsBundle)
}

// carriers names all that may carry signatures of d, so that a change is noticed.
func (s *Service) carriers(ctx context.Context, db meta.Reader, repo string, d digest.Digest) (string, error) {
	refs, err := db.Referrers(ctx, repo, d, "", meta.Page{Limit: maxCarriers})
	if err != nil && !absent(err) {
		return "", fmt.Errorf("referrers of %s in %s: %w", d, repo, err)
	}
	sum := sha256.New()
	for _, r := range refs {
		if r.Annotations[registry.AnnotationProducer] != s.o.Producer {
			fmt.Fprintln(sum, r.Digest)
		}
	}
	for _, suffix := range signing.CosignSuffixes() {
		tag := signing.CosignTag(d, suffix)
		t, err := db.Tag(ctx, repo, tag)
		if err != nil && !absent(err) {
			return "", fmt.Errorf("tag %s of %s: %w", tag, repo, err)
		}
		fmt.Fprintln(sum, t.Digest)
	}
	return string(sum.Sum(nil)), nil
}

// maxCarriers is more than signing.Find looks at.
const maxCarriers = 1200

// signaturesCurrent is registry.ErrOutdated if the signatures of sub, or what they were
// verified against, are not those any more by which sub was judged.
func (s *Service) signaturesCurrent(ctx context.Context, tx meta.Tx, sub *subject) error {
	if sub.signatures == nil {
		return nil
	}
	if v := s.o.Trust().Version; v != sub.signatures.trusted.Version {
		return fmt.Errorf("what is trusted is of version %s, not %s: %w", v, sub.signatures.trusted.Version, registry.ErrOutdated)
	}
	now, err := s.carriers(ctx, tx, sub.Repo, sub.Digest)
	if err == nil && now != sub.signatures.carriers {
		err = fmt.Errorf("other signatures hang on %s: %w", sub.Digest, registry.ErrOutdated)
	}
	return err
}

// putSignatures stores what was verified.
func (s *Service) putSignatures(ctx context.Context, tx meta.Tx, sub *subject) error {
	if err := s.signaturesCurrent(ctx, tx, sub); err != nil {
		return err
	}
	return tx.PutSignatures(ctx, sub.Repo, sub.Digest, sub.signatures.trusted.Version, sub.signatures.rows)
}

// followTrust has verified again what was by other material than is trusted now.
// done is the version that this was last enqueued for.
func (s *Service) followTrust(ctx context.Context, done *string) error {
	version := s.o.Trust().Version
	if version == *done {
		return nil
	}
	stale, err := s.meta.StaleSignatures(ctx, version, meta.ManifestKey{}, 1)
	if err != nil {
		return err
	}
	if len(stale) > 0 {
		err = s.meta.Update(ctx, func(ctx context.Context, tx meta.Tx) error {
			_, err := tx.Enqueue(ctx, meta.NewJob{Kind: JobVerify, Due: s.now().UTC()})
			return err
		})
	}
	if err == nil {
		*done = version
	}
	return err
}

// verifyBatch is how many manifests are enqueued in one transaction.
const verifyBatch = 500

// verifyAgain does a job of kind verify: everything with signatures that were held
// against other material is scanned again, which verifies them, and judges and
// describes the manifest by that.
func (s *Service) verifyAgain(ctx context.Context, _ meta.Job) error {
	version := s.o.Trust().Version
	var after meta.ManifestKey
	for {
		keys, err := s.meta.StaleSignatures(ctx, version, after, verifyBatch)
		if err != nil || len(keys) == 0 {
			return err
		}
		err = s.meta.Update(ctx, func(ctx context.Context, tx meta.Tx) error {
			for _, k := range keys {
				if err := s.scanAgain(ctx, tx, k.Repo, k.Digest); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		after = keys[len(keys)-1]
	}
}

// maxProofs bounds the memory of proofs, in bytes.
const maxProofs = 16 << 20

// proofs are the rows of what was verified or refused lately: a push is judged
// before it is stored and ingested behind that.
type proofs struct {
	mu     sync.Mutex
	rows   map[[sha256.Size]byte]meta.Signature
	bytes  int
	former map[[sha256.Size]byte]meta.Signature
}

// verdictKey is of all that a verification rests on.
func verdictKey(version string, subject digest.Digest, f signing.Found) [sha256.Size]byte {
	h := sha256.New()
	for _, text := range []string{version, string(subject), string(f.Form), string(f.Manifest), string(f.Layer), f.Type} {
		fmt.Fprintf(h, "%d:%s", len(text), text)
	}
	for _, name := range slices.Sorted(maps.Keys(f.Annotations)) {
		fmt.Fprintf(h, "%d:%s%d:%s", len(name), name, len(f.Annotations[name]), f.Annotations[name])
	}
	return [sha256.Size]byte(h.Sum(nil))
}

func (p *proofs) get(k [sha256.Size]byte) (meta.Signature, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	row, ok := p.rows[k]
	if !ok {
		row, ok = p.former[k]
	}
	return row, ok
}

// put keeps a row. Once half the room is taken a new half is begun, and the one
// before the last is forgotten.
func (p *proofs) put(k [sha256.Size]byte, row meta.Signature) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.rows == nil || p.bytes > maxProofs/2 {
		p.former, p.rows, p.bytes = p.rows, map[[sha256.Size]byte]meta.Signature{}, 0
	}
	p.rows[k] = row
	p.bytes += 1024 + len(row.Proof) + len(row.Predicate) + len(row.Problem) + len(row.Identity)
}
