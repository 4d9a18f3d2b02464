package ingest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/internal/version"
	"github.com/wreg-project/wreg/registry"
	"github.com/wreg-project/wreg/registry/policy"
	"github.com/wreg-project/wreg/sbom/cyclonedx"
	"github.com/wreg-project/wreg/signing"
	"github.com/wreg-project/wreg/signing/attest"
	"github.com/wreg-project/wreg/storage/meta"
)

// An Attestation is a statement about a manifest that the installation signs.
type Attestation string

// The attestations.
const (
	AttestVSA             Attestation = "vsa"             // that policy lets it be stored and served
	AttestSBOM            Attestation = "sbom"            // the bills of materials of its files
	AttestVulnerabilities Attestation = "vulnerabilities" // what advisories say of these
	AttestCapabilities    Attestation = "capabilities"    // what inspection found in its files
)

// Attestations are all of them.
func Attestations() []Attestation {
	return []Attestation{AttestVSA, AttestSBOM, AttestVulnerabilities, AttestCapabilities}
}

// derivedAttestation begins the values of registry.AnnotationDerived for
// attestations.
const derivedAttestation = "attestation-"

// maxAttestedBills bounds the files of one manifest whose bills of materials are
// attested: each is a referrer of its own, since one predicate is one bill.
const maxAttestedBills = 16

// Words that a summary has for how a manifest was admitted.
const (
	levelAdmitted = "WREG_ADMITTED"
	levelWarned   = "WREG_ADMITTED_WITH_WARNINGS"
)

// programURI names the program in what it attests.
const programURI = "https://wreg.dev/wreg"

// attestStage signs what was found out about a package. The same findings give the
// same bytes: the times in them are those of the push and of what it was compared
// with, never of the clock.
func (s *Service) attestStage(ctx context.Context, r *ingestion) error {
	if !r.sub.isPackage() {
		return nil
	}
	before, err := s.attested(ctx, s.meta, r.sub.Repo, r.sub.Digest)
	if err != nil {
		return err
	}
	if !s.o.AttestTagged && r.sub.signatures.tagsAlone() {
		for kind := range before {
			r.derived = append(r.derived, s.derivedAttestation(r, kind))
		}
		return nil
	}
	if s.o.Signer == nil {
		return nil
	}
	for _, a := range s.o.Attest {
		if r.scanOnly() && a.followsFromBytes() && before[derivedAttestation+string(a)] != nil {
			continue
		}
		list, err := s.attest(ctx, r, a)
		if err != nil {
			return fmt.Errorf("%s: %w", a, err)
		}
		r.derived = append(r.derived, list...)
	}
	return nil
}

// followsFromBytes reports whether an attestation stays as it is as long as the
// package does.
func (a Attestation) followsFromBytes() bool { return a == AttestCapabilities || a == AttestSBOM }

// tagsAlone reports whether what hangs on a manifest is in the form of cosign's tags
// and nothing is a bundle. Whether any of it was verified does not matter: cosign's
// users have keys of their own.
func (s *signatures) tagsAlone() bool {
	has := func(form signing.Form) bool {
		return slices.ContainsFunc(s.rows, func(r meta.Signature) bool { return r.Form == string(form) })
	}
	return has(signing.FormCosign) && !has(signing.FormBundle)
}

// attested are the manifests of the attestations of this installation that hang on
// d, by the value of registry.AnnotationDerived.
func (s *Service) attested(ctx context.Context, db meta.Reader, repo string, d digest.Digest) (map[string][]digest.Digest, error) {
	list := map[string][]digest.Digest{}
	err := s.eachBundle(ctx, db, repo, d, func(r meta.Referrer, own bool) {
		if kind := r.Annotations[registry.AnnotationDerived]; own && strings.HasPrefix(kind, derivedAttestation) {
			list[kind] = append(list[kind], r.Digest)
		}
	})
	return list, err
}

// bundlePage is how many referrers are listed at a time: others may hang any number
// of them on a manifest.
const bundlePage = 500

// eachBundle calls f for every bundle that hangs on d, and says whether this
// installation made it.
func (s *Service) eachBundle(ctx context.Context, db meta.Reader, repo string, d digest.Digest, f func(r meta.Referrer, own bool)) error {
	for page := (meta.Page{Limit: bundlePage}); ; {
		all, err := db.Referrers(ctx, repo, d, signing.MediaTypeBundle, page)
		if err != nil && !absent(err) {
			return fmt.Errorf("bundles of %s in %s: %w", d, repo, err)
		}
		for _, r := range all {
			f(r, r.Annotations[registry.AnnotationProducer] == s.o.Producer)
		}
		if len(all) < page.Limit {
			return nil
		}
		page.After = all[len(all)-1].Digest.String()
	}
}

// yieldToTag removes the attestations of d in the transaction that gives it a first
// signature by a tag of cosign, unless other bundles hang on it: cosign verifies what
// it signed at once. The job that follows knows more, and sees to the rest.
func (s *Service) yieldToTag(ctx context.Context, tx meta.Tx, repo string, d digest.Digest) error {
	if s.o.AttestTagged {
		return nil
	}
	var mine []digest.Digest
	foreign := false
	err := s.eachBundle(ctx, tx, repo, d, func(r meta.Referrer, own bool) {
		switch {
		case !own:
			foreign = true
		case strings.HasPrefix(r.Annotations[registry.AnnotationDerived], derivedAttestation):
			mine = append(mine, r.Digest)
		}
	})
	if err != nil || foreign {
		return err
	}
	for _, o := range mine {
		if _, err := tx.DeleteManifest(ctx, repo, o); err != nil {
			return fmt.Errorf("attestation %s of %s in %s: %w", o, d, repo, err)
		}
	}
	return nil
}

// isPackage reports whether a manifest is more than what is said about another.
func (s *subject) isPackage() bool {
	return s.Subject == "" && !slices.ContainsFunc(s.Layers, func(l registry.Descriptor) bool { return signing.IsCosign(l.MediaType) })
}

func (s *Service) attest(ctx context.Context, r *ingestion, a Attestation) ([]registry.Derived, error) {
	switch a {
	case AttestVSA:
		return s.attestOne(ctx, r, a, s.summary)
	case AttestVulnerabilities:
		return s.attestOne(ctx, r, a, s.scanRecord)
	case AttestCapabilities:
		return s.attestOne(ctx, r, a, s.capabilities)
	case AttestSBOM:
		return s.attestBills(ctx, r)
	}
	return nil, fmt.Errorf("there is no attestation of this name") // the configuration was checked
}

// attestOne signs a statement. One that there is no more is taken back.
func (s *Service) attestOne(
	ctx context.Context, r *ingestion, a Attestation, make func(context.Context, *ingestion) (*signing.Statement, error),
) ([]registry.Derived, error) {
	st, err := make(ctx, r)
	if err != nil && !errors.Is(err, signing.ErrLimit) {
		return nil, err
	}
	d, err := s.signed(ctx, r, string(a), st, err)
	return []registry.Derived{d}, err
}

// attestBills signs the bill of materials of each file.
func (s *Service) attestBills(ctx context.Context, r *ingestion) ([]registry.Derived, error) {
	var list []registry.Derived
	for _, f := range r.sub.files {
		if f.Bill == "" || len(list) == maxAttestedBills {
			continue
		}
		doc, err := r.sub.documents.get(ctx, s, f)
		if err != nil {
			return nil, err
		}
		st, err := attest.CycloneDX(r.sub.named(doc, f), cyclonedx.Options{}, r.sub.about())
		if err != nil && !errors.Is(err, signing.ErrLimit) {
			return nil, fmt.Errorf("%s: %w", f.Digest, err)
		}
		kind := string(AttestSBOM)
		if len(list) > 0 {
			kind += "-" + strconv.Itoa(len(list)+1)
		}
		d, err := s.signed(ctx, r, kind, &st, err)
		if err != nil {
			return nil, err
		}
		list = append(list, d)
	}
	return list, nil
}

// about is what statements about the manifest are about.
func (s *subject) about() signing.Subject { return signing.SubjectOf(s.Repo, s.Digest) }

// signed makes the referrer of a statement. Without one, or if beyond says that it
// is too large, it is a Derived that takes back the one before.
func (s *Service) signed(ctx context.Context, r *ingestion, kind string, st *signing.Statement, beyond error) (registry.Derived, error) {
	d := s.derivedAttestation(r, derivedAttestation+kind)
	if beyond == nil && st == nil {
		return d, nil
	}
	var text []byte
	if beyond == nil {
		text, beyond = signing.Sign(ctx, *st, s.o.Signer())
	}
	if errors.Is(beyond, signing.ErrLimit) {
		s.log.LogAttrs(ctx, slog.LevelWarn, "attestation left out, it is too large", slog.String("repo", r.sub.Repo),
			slog.String("digest", r.sub.Digest.String()), slog.String("attestation", kind), slog.Any("err", beyond))
		return d, nil
	}
	if beyond != nil {
		return d, beyond
	}
	d.Annotations = map[string]string{signing.AnnotationContent: "dsse-envelope", signing.AnnotationPredicate: st.PredicateType}
	d.Layers = []registry.DerivedLayer{{
		Descriptor: registry.Descriptor{MediaType: signing.MediaTypeBundle, Digest: digest.FromBytes(text), Size: int64(len(text))},
		Open:       func(context.Context) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(text)), nil },
	}}
	return d, nil
}

// derivedAttestation is an attestation without content, which takes back the one
// before.
func (s *Service) derivedAttestation(r *ingestion, kind string) registry.Derived {
	return registry.Derived{
		Repo: r.sub.Repo, Subject: r.manifest, ArtifactType: signing.MediaTypeBundle, Producer: s.o.Producer, Kind: kind, Version: Version,
	}
}

// pushed is when the manifest was stored, in whole seconds.
func (r *ingestion) pushed() time.Time { return r.manifest.Created.UTC().Truncate(time.Second) }

// summary says that policy admitted the package. Where no rule is about it nothing
// was verified, and where one denies that it be served there is nothing to sign.
func (s *Service) summary(_ context.Context, r *ingestion) (*signing.Statement, error) {
	if !r.rules.about(r.sub.Repo) || r.verdict.State == meta.VerdictDeny ||
		r.decision != nil && r.decision.Outcome == meta.VerdictDeny {
		return nil, nil
	}
	level := levelAdmitted
	if r.verdict.State == meta.VerdictWarn || r.decision != nil && r.decision.Outcome == meta.VerdictWarn {
		level = levelWarned
	}
	at := r.pushed()
	if changed := r.rules.changed.UTC().Truncate(time.Second); changed.After(at) {
		at = changed
	}
	v := attest.Summary{
		Verifier: attest.Verifier{ID: s.urn()}, TimeVerified: at, ResourceURI: r.sub.Repo,
		Policy:             attest.Resource{URI: s.urn() + ":policies", Digest: digests(r.rules.sum)},
		VerificationResult: attest.Passed, VerifiedLevels: []string{level},
	}
	for _, row := range r.sub.signatures.rows {
		if row.Verified() && !slices.ContainsFunc(v.InputAttestations, func(o attest.Resource) bool {
			return o.Digest[row.Carrier.Algorithm().String()] == row.Carrier.Encoded()
		}) {
			v.InputAttestations = append(v.InputAttestations, attest.Resource{Digest: digests(row.Carrier)})
		}
	}
	st, err := v.Statement(r.sub.about())
	return &st, err
}

// urn names the installation.
func (s *Service) urn() string { return "urn:wreg:" + s.o.Producer }

// digests is a digest as in-toto writes it.
func digests(d digest.Digest) map[string]string {
	return map[string]string{d.Algorithm().String(): d.Encoded()}
}

// scanRecord says what advisories say about the files, unless there are none to
// ask.
func (s *Service) scanRecord(ctx context.Context, r *ingestion) (*signing.Statement, error) {
	m := r.sub.materials
	if m.revision == 0 {
		return nil, nil
	}
	var result attest.ScanResult
	for i, f := range r.sub.files {
		if report := m.files[i].report; report != nil {
			result.Files = append(result.Files, attest.ScannedFile{Name: f.name, Digest: digests(f.Digest), Report: *report})
		}
	}
	if len(result.Files) == 0 {
		return nil, nil
	}
	feeds, err := s.meta.Feeds(ctx)
	if err != nil {
		return nil, fmt.Errorf("feeds of advisories: %w", err)
	}
	record := attest.Scan{Scanner: attest.Scanner{
		URI: programURI, Version: version.Get().Version, DB: attest.ScanDB{URI: s.urn() + ":advisories", Version: strconv.FormatInt(m.revision, 10)},
	}}
	at := r.pushed()
	for _, f := range feeds {
		if f.Newest.After(record.Scanner.DB.LastUpdate) {
			record.Scanner.DB.LastUpdate = f.Newest.UTC().Truncate(time.Second)
		}
		if imported := f.Imported.UTC().Truncate(time.Second); imported.After(at) {
			at = imported
		}
	}
	record.Metadata = attest.ScanTimes{Started: at, Finished: at}
	if err := record.SetResult(result); err != nil {
		return nil, err
	}
	st, err := record.Statement(r.sub.about())
	return &st, err
}

// capabilities says what inspection found in the files.
func (s *Service) capabilities(ctx context.Context, r *ingestion) (*signing.Statement, error) {
	c := attest.Capabilities{Inspector: attest.Inspector{URI: programURI, Version: version.Get().Version}}
	for _, f := range r.sub.files {
		if f.Full == "" || !f.Report.Valid || len(c.Binaries) == attest.MaxBinaries {
			continue
		}
		rep, err := s.whole(ctx, r.sub.Repo, f)
		if err != nil {
			return nil, err
		}
		c.Binaries = append(c.Binaries, attest.BinaryOf(rep, f.name, digests(f.Digest)))
	}
	if len(c.Binaries) == 0 {
		return nil, nil
	}
	st, err := c.Statement(r.sub.about())
	return &st, err
}

// about reports whether any rule is about what is done with a package of repo.
func (r *rules) about(repo string) bool {
	return slices.ContainsFunc([]policy.Action{policy.Push, policy.Tag, policy.Pull}, func(a policy.Action) bool {
		return r.set.About(repo, a)
	})
}
