package verify

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sigstore/sigstore-go/pkg/fulcio/certificate"
	"github.com/sigstore/sigstore-go/pkg/root"
	sigverify "github.com/sigstore/sigstore-go/pkg/verify"
)

// byCertificate verifies a bundle whose key a certificate vouches for.
func (v *Verifier) byCertificate(e *entity, what signed, p *Proof) (*sigverify.VerificationResult, error) {
	if len(v.roots) == 0 {
		return nil, errors.New("it is signed with a certificate, and no trusted root has authorities for those")
	}
	cert := e.certificate()
	sum := sha256.Sum256(cert.Raw)
	p.Certificate = &Certificate{NotBefore: cert.NotBefore, NotAfter: cert.NotAfter, SHA256: hex.EncodeToString(sum[:])}
	s, err := certificate.SummarizeCertificate(cert)
	if err != nil {
		return nil, fmt.Errorf("its certificate, of %.200q: %w", cert.Subject, err)
	}
	p.Certificate.Identity, p.Certificate.Issuer, p.Certificate.Claims = s.SubjectAlternativeName, s.Issuer, s.Extensions

	var causes []error
	for i := range v.roots {
		result, err := v.roots[i].verify(e, what)
		if err == nil {
			return result, nil
		}
		causes = append(causes, fmt.Errorf("%w%s", err, v.roots[i].why(e)))
		if err := e.fresh(); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("certificate of %.200q by issuer %.200q, good %s: %w",
		s.SubjectAlternativeName, s.Issuer, period(cert.NotBefore, cert.NotAfter), errors.Join(causes...))
}

// verify checks a bundle by the authorities of one root. Identities are left to
// signing/trust.
func (m *material) verify(e *entity, what signed) (*sigverify.VerificationResult, error) {
	options := e.options(true)
	if len(m.ct) > 0 {
		options = append(options, sigverify.WithSignedCertificateTimestamps(1))
	}
	with, err := sigverify.NewVerifier(m, options...)
	if err != nil {
		return nil, err
	}
	return with.Verify(e, sigverify.NewPolicy(what.policy(), sigverify.WithoutIdentitiesUnsafe()))
}

// why looks for what sigstore-go's errors do not tell of a certificate: the times
// at which it was used, and which of those in its chain was not good then. It is
// asked only of what was refused, and nothing is believed by it.
func (m *material) why(e *entity) string {
	var why []string
	stamps, _, err := sigverify.VerifySignedTimestamp(e, m)
	if err != nil {
		return ""
	}
	var at []time.Time
	for _, s := range stamps {
		at = append(at, s.Time)
	}
	for _, entry := range e.entries {
		if entry.HasInclusionPromise() {
			at = append(at, entry.IntegratedTime())
		}
	}
	if len(at) == 0 {
		why = append(why, "no trusted clock says when it was signed")
	}
	cert := e.certificate()
	for _, t := range at {
		if t.Before(cert.NotBefore) {
			why = append(why, fmt.Sprintf("it was signed at %s, before the certificate was good", stamp(t)))
		} else if t.After(cert.NotAfter) {
			why = append(why, fmt.Sprintf("it was signed at %s, after the certificate had expired", stamp(t)))
		} else {
			why = append(why, m.chains(cert, e.intermediates, t)...)
		}
	}
	if len(why) == 0 {
		return ""
	}
	return " (" + strings.Join(why, "; ") + ")"
}

// chains says why no authority of the root vouches for a certificate at a time.
func (m *material) chains(cert *x509.Certificate, intermediates []*x509.Certificate, at time.Time) (why []string) {
	for _, a := range m.fulcio {
		if f, ok := a.(*root.FulcioCertificateAuthority); ok {
			with := *f
			with.Intermediates = append(append([]*x509.Certificate{}, f.Intermediates...), intermediates...)
			a = &with
		}
		if _, err := a.Verify(cert, at); err != nil {
			why = append(why, fmt.Sprintf("at %s: %v", stamp(at), err))
		} else {
			return nil
		}
	}
	return why
}

// within reports whether a time is in a period, whose ends may be open.
func within(t, from, to time.Time) bool {
	return (from.IsZero() || !t.Before(from)) && (to.IsZero() || !t.After(to))
}

// period is a period for people.
func period(from, to time.Time) string {
	var parts []string
	if !from.IsZero() {
		parts = append(parts, "from "+stamp(from))
	}
	if !to.IsZero() {
		parts = append(parts, "until "+stamp(to))
	}
	if len(parts) == 0 {
		return "always"
	}
	return strings.Join(parts, " ")
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
