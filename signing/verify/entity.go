package verify

import (
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/tlog"
	sigverify "github.com/sigstore/sigstore-go/pkg/verify"
)

// Bounds of what one bundle may bring beside its statement. What real ones have is
// far below. They hold before the parsers of those parts see them, some of which
// recurse, or make a tree of what they read.
const (
	maxProofs      = 8        // log entries, and timestamps
	maxChain       = 8        // certificates
	maxCertificate = 32 << 10 // bytes
	maxTimestamp   = 32 << 10
	maxEntry       = 128 << 10 // of the body of a log entry
	maxCheckpoint  = 16 << 10
	maxPath        = 64 // hashes of a proof of inclusion: the tree would have 2^64 leaves
)

// An entity is a bundle as sigstore-go verifies it. Unlike a bundle.Bundle it has
// parsed its parts once; it believes the intermediate certificates of chains,
// in every version, as far as a trusted root vouches for them; and it has no
// entries of logs that nobody trusts: they prove nothing, and take nothing away.
type entity struct {
	*bundle.Bundle
	leaf          []byte // DER; nil if a key signed
	content       sigverify.VerificationContent
	intermediates []*x509.Certificate
	signature     sigverify.SignatureContent
	entries       []*tlog.Entry
}

func newEntity(b *protobundle.Bundle, logs map[string]*root.TransparencyLog) (*entity, error) {
	m := b.GetVerificationMaterial()
	if err := bounds(m); err != nil {
		return nil, err
	}
	if m != nil {
		m.TlogEntries = trusted(m.GetTlogEntries(), logs)
	}
	for _, s := range b.GetDsseEnvelope().GetSignatures() {
		s.Keyid = "" // a hint without a form of its own, by which sigstore-go would pass over keys
	}
	e := &entity{}
	var err error
	// Chains are taken apart here, so that they need not be allowed there.
	if e.leaf, e.intermediates, err = chain(m); err != nil {
		return nil, err
	}
	if e.Bundle, err = bundle.NewBundle(b); err != nil {
		return nil, fmt.Errorf("the bundle cannot be read: %w", err)
	}
	if e.entries, err = e.Bundle.TlogEntries(); err != nil {
		return nil, fmt.Errorf("log entry: %w", err)
	}
	if e.signature, err = e.Bundle.SignatureContent(); err != nil {
		return nil, err
	}
	if err := e.fresh(); err != nil {
		return nil, err
	}
	return e, e.entriesAreSound()
}

// fresh reads the certificate anew: sigstore-go changes it while it verifies.
func (e *entity) fresh() (err error) {
	if e.content, err = e.Bundle.VerificationContent(); err != nil {
		return fmt.Errorf("who signed it cannot be read: %w", err)
	}
	return nil
}

func (e *entity) certificate() *x509.Certificate { return e.content.Certificate() }

// VerificationContent, SignatureContent and TlogEntries implement
// sigverify.SignedEntity in place of the bundle's.
func (e *entity) VerificationContent() (sigverify.VerificationContent, error) {
	if len(e.intermediates) == 0 {
		return e.content, nil
	}
	return chained{e.content, e.intermediates}, nil
}

func (e *entity) SignatureContent() (sigverify.SignatureContent, error) { return e.signature, nil }
func (e *entity) TlogEntries() ([]*tlog.Entry, error)                   { return e.entries, nil }

// chained is a certificate with those that lead to its root.
type chained struct {
	sigverify.VerificationContent
	list []*x509.Certificate
}

func (c chained) Intermediates() []*x509.Certificate { return c.list }

// bounds refuses what has more of something than is read.
func bounds(m *protobundle.VerificationMaterial) error {
	entries, stamps := m.GetTlogEntries(), m.GetTimestampVerificationData().GetRfc3161Timestamps()
	certs := m.GetX509CertificateChain().GetCertificates()
	checks := []limit{
		{"log entries", len(entries), maxProofs},
		{"timestamps", len(stamps), maxProofs},
		{"certificates", len(certs), maxChain},
		{"bytes of certificate", len(m.GetCertificate().GetRawBytes()), maxCertificate},
	}
	for _, c := range certs {
		checks = append(checks, limit{"bytes of certificate", len(c.GetRawBytes()), maxCertificate})
	}
	for _, t := range stamps {
		checks = append(checks, limit{"bytes of timestamp", len(t.GetSignedTimestamp()), maxTimestamp})
	}
	for _, e := range entries {
		checks = append(checks,
			limit{"bytes of log entry", len(e.GetCanonicalizedBody()), maxEntry},
			limit{"bytes of checkpoint", len(e.GetInclusionProof().GetCheckpoint().GetEnvelope()), maxCheckpoint},
			limit{"hashes of a proof of inclusion", len(e.GetInclusionProof().GetHashes()), maxPath})
	}
	for _, c := range checks {
		if c.got > c.most {
			return fmt.Errorf("%d %s; at most %d are read", c.got, c.what, c.most)
		}
	}
	return nil
}

// limit is one bound and what there is.
type limit struct {
	what      string
	got, most int
}

// trusted is the entries of trusted logs.
func trusted(entries []*protorekor.TransparencyLogEntry, logs map[string]*root.TransparencyLog) []*protorekor.TransparencyLogEntry {
	var list []*protorekor.TransparencyLogEntry
	for _, e := range entries {
		if logs[hex.EncodeToString(e.GetLogId().GetKeyId())] != nil {
			list = append(list, e)
		}
	}
	return list
}

// chain reads a chain of certificates and leaves the first in the bundle. It skips
// roots: those that count are trusted already.
func chain(m *protobundle.VerificationMaterial) (leaf []byte, intermediates []*x509.Certificate, err error) {
	list := m.GetX509CertificateChain().GetCertificates()
	if len(list) == 0 {
		return m.GetCertificate().GetRawBytes(), nil, nil
	}
	for i, c := range list[1:] {
		cert, err := x509.ParseCertificate(c.GetRawBytes())
		switch {
		case err != nil:
			return nil, nil, fmt.Errorf("certificate %d of the chain: %w", i+1, err)
		case !cert.IsCA:
			return nil, nil, fmt.Errorf("certificate %d of the chain, of %s, is of no authority", i+1, cert.Subject)
		case string(cert.RawIssuer) != string(cert.RawSubject):
			intermediates = append(intermediates, cert)
		}
	}
	m.Content = &protobundle.VerificationMaterial_Certificate{Certificate: list[0]}
	return list[0].GetRawBytes(), intermediates, nil
}

// entriesAreSound refuses log entries of which sigstore-go would let more pass
// than it verified.
func (e *entity) entriesAreSound() error {
	seen := map[string]bool{}
	for _, entry := range e.entries {
		if seen[entry.LogKeyID()] { // one that does not verify could hide behind one that does
			return fmt.Errorf("two entries of log %x; one was expected", entry.LogKeyID())
		}
		seen[entry.LogKeyID()] = true
		proof := entry.TransparencyLogEntry().GetInclusionProof()
		origin, size, v1 := checkpoint(proof.GetCheckpoint().GetEnvelope())
		switch {
		case !v1:
		case entry.IsRekorV2():
			// The checkpoint decides how inclusion is verified, and the entry whether it is
			// compared with the signature: mixed, it would not be.
			return fmt.Errorf("an entry of Rekor's version 2 with a checkpoint of version 1, of %.80q", origin)
		case size != strconv.FormatInt(proof.GetTreeSize(), 10):
			// The path would still lead to the root, but from another index.
			return fmt.Errorf("a proof of inclusion in a tree of %d entries, and the log signed one of %.20s", proof.GetTreeSize(), size)
		}
	}
	return nil
}

// checkpoint reads the origin and size of a checkpoint of Rekor's version 1, whose
// origin ends with the number of a tree.
func checkpoint(envelope string) (origin, size string, v1 bool) {
	lines := strings.SplitN(envelope, "\n", 3)
	if len(lines) < 3 {
		return "", "", false
	}
	i := strings.LastIndex(lines[0], " - ")
	if i < 0 || strings.Trim(lines[0][i+3:], "0123456789") != "" || i+3 == len(lines[0]) {
		return "", "", false
	}
	return lines[0], lines[1], true
}

// log is where in the first log the verified entity is. A log is believed only
// within the life of its key, as far as any clock tells.
func (e *entity) log(logs map[string]*root.TransparencyLog, at []Time) (*Log, error) {
	var first *Log
	for _, entry := range e.entries {
		id := hex.EncodeToString([]byte(entry.LogKeyID()))
		log := logs[id]
		for _, t := range at {
			if !within(t.Time, log.ValidityPeriodStart, log.ValidityPeriodEnd) {
				return nil, fmt.Errorf("the key of log %s is good %s, and it was signed at %s", name(log.BaseURL, id),
					period(log.ValidityPeriodStart, log.ValidityPeriodEnd), stamp(t.Time))
			}
		}
		if first == nil {
			first = &Log{ID: id, URL: log.BaseURL, Index: entry.LogIndex(), Proven: entry.HasInclusionProof()}
			proof := entry.TransparencyLogEntry().GetInclusionProof()
			if _, _, v1 := checkpoint(proof.GetCheckpoint().GetEnvelope()); v1 && !entry.HasInclusionPromise() {
				first.Index = proof.GetLogIndex() // nothing covers the index over all trees, but that in the tree is proven
			}
		}
	}
	return first, nil
}

func name(url, id string) string {
	if url != "" {
		return url
	}
	return id
}

var errNoSignature = errors.New("it has no signature")
