package ingest

import (
	"context"
	"fmt"
	"slices"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/wreg-project/wreg/artifact"
	"github.com/wreg-project/wreg/registry"
	"github.com/wreg-project/wreg/registry/advisories"
	"github.com/wreg-project/wreg/registry/attached"
	"github.com/wreg-project/wreg/registry/attached/stored"
	"github.com/wreg-project/wreg/registry/policy"
	"github.com/wreg-project/wreg/registry/search"
	"github.com/wreg-project/wreg/sbom"
	"github.com/wreg-project/wreg/sbom/evidence"
	"github.com/wreg-project/wreg/sbom/vuln"
	"github.com/wreg-project/wreg/sbom/vuln/reach"
	"github.com/wreg-project/wreg/sbom/vuln/scan"
	"github.com/wreg-project/wreg/sbom/vuln/vex"
	"github.com/wreg-project/wreg/storage/meta"
)

// materials are what a manifest is made of and what is known to be wrong with it:
// by the bytes of its files, by what its publisher attached, and by the advisories
// of one revision.
type materials struct {
	revision int64 // of the advisories
	blobs    []scannedBlob
	files    []fileMaterials // beside those of the subject
	attached *attached.Attachments
	declared *sbom.Document // nil if the publisher attached no bill of materials
	diff     *sbom.Difference

	// uncompared says why diff is empty although there is something declared.
	uncompared string

	// declaredReport is about declared, nil without it.
	declaredReport *scan.Report
	unlisted       unlisted
}

// scannedBlob are the rows of a layer, or of a bill of materials of the publisher.
type scannedBlob struct {
	digest digest.Digest
	result *advisories.Result
}

// fileMaterials are the facts about one file. Without a bill of materials there
// are none, and problem says why.
type fileMaterials struct {
	problem         string
	sbom            *policy.SBOM
	licenses        *policy.Licenses
	vulnerabilities []policy.Vulnerability
	beyond          string // why there are no vulnerabilities

	report *scan.Report // what advisories say; nil unless it is attested
}

// unlisted says of which lists about vulnerabilities in use there is none.
type unlisted struct{ epss, kev bool }

// scanStage finds out what the files are made of and what advisories say about
// that.
func (s *Service) scanStage(ctx context.Context, r *ingestion) error { return s.find(ctx, r.sub) }

// find sets sub.materials, unless that was done before.
func (s *Service) find(ctx context.Context, sub *subject) error {
	if sub.materials != nil {
		return nil
	}
	m := &materials{files: make([]fileMaterials, len(sub.files))}
	var err error
	// The revision is read first: what is newer than it is seen when what follows is
	// written.
	if m.revision, err = s.meta.AdvisoryRevision(ctx); err != nil {
		return fmt.Errorf("revision of the advisories: %w", err)
	}
	if m.attached, err = s.attachments(ctx, sub); err != nil {
		return err
	}
	if err := s.scanDeclared(ctx, m); err != nil {
		return err
	}
	if m.declared != nil {
		if err := s.compare(ctx, sub, m); err != nil {
			return err
		}
	}
	likelihood := s.o.Likelihood()
	m.unlisted = unlisted{epss: likelihood.EPSS == nil, kev: likelihood.KEV == nil}
	for first := 0; first < len(sub.files); {
		end := first + 1
		for end < len(sub.files) && sub.files[end].layer.Digest == sub.files[first].layer.Digest {
			end++
		}
		if err := s.scanLayer(ctx, sub, m, likelihood, first, end); err != nil {
			return fmt.Errorf("scan %s: %w", sub.files[first].layer.Digest, err)
		}
		first = end
	}
	sub.materials = m
	return nil
}

// Attachments are what publishers attached to a manifest, or attest of it as far as
// their signatures are trusted now.
func (s *Service) Attachments(ctx context.Context, m meta.Manifest) (*attached.Attachments, error) {
	sub, err := s.read(ctx, m)
	if err != nil {
		return nil, err
	}
	return s.attachments(ctx, sub)
}

func (s *Service) attachments(ctx context.Context, sub *subject) (*attached.Attachments, error) {
	if err := s.verify(ctx, sub); err != nil {
		return nil, err
	}
	from := stored.Repository{Meta: s.meta, Blobs: s.o.Blobs, Name: sub.Repo}
	about := ocispec.Descriptor{MediaType: sub.MediaType, Digest: sub.Digest, Size: int64(len(sub.Content))}
	a, err := attached.Read(ctx, from, about, attached.Limits{}, sub.signatures.attested...)
	if err != nil {
		return nil, fmt.Errorf("what is attached to %s in %s: %w", sub.Digest, sub.Repo, err)
	}
	return a, nil
}

// scanDeclared looks at the publisher's bills of materials: each by itself, since
// each is a blob, and all together.
func (s *Service) scanDeclared(ctx context.Context, m *materials) error {
	seen := map[digest.Digest]bool{}
	for _, b := range m.attached.SBOMs {
		if b.Document == nil || seen[b.Blob] {
			continue
		}
		seen[b.Blob] = true
		result, err := advisories.Scan(ctx, s.advisories, []advisories.File{{Document: b.Document, Declared: true}}, s.now().UTC())
		if err != nil {
			return fmt.Errorf("bill of materials %s: %w", b.Blob, err)
		}
		m.blobs = append(m.blobs, scannedBlob{b.Blob, result})
	}
	if m.declared = m.attached.Declared(); m.declared == nil {
		return nil
	}
	result, err := advisories.Scan(ctx, s.advisories, []advisories.File{{Document: m.declared, Declared: true}}, s.now().UTC())
	if err != nil {
		return fmt.Errorf("what the publisher declares: %w", err)
	}
	m.declaredReport = result.Reports[0]
	return nil
}

// compare holds what is declared against what is in all files together. Of a file
// that is not looked at nothing can be said to be missing.
func (s *Service) compare(ctx context.Context, sub *subject, m *materials) error {
	m.diff = &sbom.Difference{}
	all := &sbom.Document{Root: &sbom.Unit{}}
	size := int64(0)
	for _, f := range sub.files {
		if f.Bill == "" {
			m.uncompared = "what is declared is not compared, because a file of the package has no bill of materials: " + f.noBill()
			return nil
		}
		if size += f.BillSize; size > maxBills {
			m.uncompared = fmt.Sprintf("what is declared is not compared: the bills of materials have more than %d bytes", maxBills)
			return nil
		}
		d, err := sub.documents.get(ctx, s, f)
		if err != nil {
			return err
		}
		all.Root.Units = append(all.Root.Units, d.Root)
	}
	m.diff = sbom.Compare(all, m.declared)
	return nil
}

// scanLayer looks at the files from first to before end, which are those of one
// layer.
func (s *Service) scanLayer(ctx context.Context, sub *subject, m *materials, likelihood advisories.Likelihood, first, end int) error {
	var (
		list []advisories.File
		at   []int // in sub.files
		code = &codes{ctx: ctx, s: s}
	)
	for i := first; i < end; i++ {
		f := sub.files[i]
		if f.Bill == "" {
			m.files[i].problem = f.noBill()
			continue
		}
		d, err := sub.documents.get(ctx, s, f)
		if err != nil {
			return err
		}
		list, at = append(list, advisories.File{Document: d, Code: &lazyCode{of: code, file: f}}), append(at, i)
	}
	result, err := advisories.Scan(ctx, s.advisories, list, s.now().UTC())
	if err == nil {
		err = code.err
	}
	if err != nil {
		return err
	}
	if d := sub.files[first].layer.Digest; d != sub.Digest && len(list) > 0 { // a manifest that is Wasm itself is no blob
		m.blobs = append(m.blobs, scannedBlob{d, result})
	}
	for n, i := range at {
		likelihood.Rate(result.Reports[n])
		m.files[i] = m.file(sub, sub.files[i], list[n].Document, result.Reports[n])
		if s.o.Signer != nil {
			m.files[i].report = result.Reports[n]
		}
	}
	result.Reports = nil
	return nil
}

// noBill says why there is no bill of materials of a file.
func (f *file) noBill() string {
	switch {
	case f.BillProblem != "":
		return f.BillProblem
	case !f.Report.Valid:
		return "the file is not valid WebAssembly: " + f.Report.Problem
	default:
		return "it was not looked for"
	}
}

// file makes the facts about a file.
func (m *materials) file(sub *subject, f file, d *sbom.Document, report *scan.Report) (out fileMaterials) {
	out.sbom = policy.SBOMFacts(d, m.declared, m.diff)
	out.licenses = policy.LicenseFacts(sub.Annotations[artifact.AnnotationLicenses], d, out.sbom)
	about := attached.Subject{Manifest: sub.Digest, Repository: sub.Repo, Tags: sub.tags}
	var err error
	out.vulnerabilities, err = policy.VulnerabilityFacts(policy.Scanned{
		Derived: report, Declared: m.declaredReport,
		Stated: func(fs []scan.Finding) []*vex.Statement { return m.attached.Statements(about, d, fs) },
	})
	if err != nil {
		out.beyond = err.Error()
	}
	return out
}

// facts adds what is known of the file at an index to what policies are asked
// about.
func (m *materials) facts(i int, to *policy.Facts) {
	f := &m.files[i]
	unknown := map[string]string{}
	for fact, why := range to.Unknown {
		unknown[fact] = why
	}
	if f.problem != "" {
		for _, fact := range []string{"sbom", "licenses", "vulnerabilities"} {
			unknown[fact] = f.problem
		}
	}
	if f.beyond != "" {
		unknown["vulnerabilities"] = f.beyond
	}
	if m.uncompared != "" {
		for _, fact := range []string{"sbom.notFound", "sbom.notDeclared", "sbom.otherVersion"} {
			unknown[fact] = m.uncompared
		}
	}
	if m.unlisted.epss {
		unknown["vulnerabilities.epss"] = "this registry has no scores of FIRST"
	}
	if m.unlisted.kev {
		unknown["vulnerabilities.kev"] = "this registry does not have CISA's list"
	}
	to.SBOM, to.Licenses, to.Vulnerabilities = f.sbom, f.licenses, f.vulnerabilities
	if len(unknown) > 0 {
		to.Unknown = unknown
	}
}

// put stores the rows of all blobs, if the advisories are still those that were
// asked.
func (m *materials) put(ctx context.Context, tx meta.Tx) error {
	revision, err := tx.AdvisoryRevision(ctx)
	if err != nil {
		return err
	}
	if revision != m.revision {
		return fmt.Errorf("advisories are at revision %d, not %d: %w", revision, m.revision, registry.ErrOutdated)
	}
	for _, b := range m.blobs {
		if err := b.put(ctx, tx); err != nil {
			return fmt.Errorf("components of %s: %w", b.digest, err)
		}
	}
	return nil
}

func (b scannedBlob) put(ctx context.Context, tx meta.Tx) error {
	old, err := tx.FileComponents(ctx, b.digest)
	if err != nil && !absent(err) {
		return err
	}
	if err != nil || old.Version != Version {
		if err := tx.PutComponents(ctx, meta.FileComponents{Digest: b.digest, Version: Version, Components: b.result.Components}); err != nil {
			return err
		}
	}
	return tx.PutFindings(ctx, b.digest, "", b.result.Findings)
}

// codes reads the symbols of files, those of one at a time.
type codes struct {
	ctx  context.Context
	s    *Service
	last *lazyCode
	code scan.Code
	err  error // the first that there was
}

// A lazyCode is the Code of a file whose symbols are read once a finding asks for
// them.
type lazyCode struct {
	of   *codes
	file file
}

// Query implements scan.Code.
func (l *lazyCode) Query(u *sbom.Unit, queries []reach.Query) []reach.Result {
	c := l.of
	if c.last != l {
		c.last, c.code = l, nil
		c.code = c.read(l.file)
	}
	return c.code.Query(u, queries)
}

func (c *codes) read(f file) scan.Code {
	if f.Symbols == "" {
		return noCode("what the file is made of could not be kept: " + f.SymbolsProblem)
	}
	text, err := c.s.symbols(c.ctx, f)
	if err == nil {
		var symbols *scan.Symbols
		if symbols, err = scan.ReadSymbols(text); err == nil {
			return symbols
		}
		err = fmt.Errorf("symbols of %s: %w", f.Digest, err)
	}
	if c.err == nil {
		c.err = err
	}
	return noCode("the functions of the file cannot be read")
}

// noCode answers that nothing is known, for the reason that it is.
type noCode string

// Query implements scan.Code.
func (n noCode) Query(_ *sbom.Unit, queries []reach.Query) []reach.Result {
	return slices.Repeat([]reach.Result{{Reason: string(n)}}, len(queries))
}

// terms are the materials as searches find them. Statements of the publisher that
// rule a finding out count.
func (m *materials) terms() search.Materials {
	out := search.Materials{Complete: true, Published: m.declared != nil}
	var declared []search.Component
	for i := range m.files {
		f := &m.files[i]
		if f.sbom == nil {
			out.Complete = false
			continue
		}
		out.Derived = true
		out.Complete = out.Complete && f.sbom.Complete
		for _, c := range f.sbom.Components {
			one := search.Component{Ecosystem: evidence.Ecosystem(c.Ecosystem), Name: c.Name, Version: c.Version, Licenses: c.Licenses}
			switch {
			case c.Class == policy.ClassDeclared:
				declared = append(declared, one)
			case c.Class == string(evidence.Proven):
				out.Components = append(out.Components, one)
			}
		}
		for _, v := range f.vulnerabilities {
			if status := vex.Status(v.VEX); status != vex.NotAffected && status != vex.Fixed {
				out.Findings = append(out.Findings, finding(v))
			}
		}
	}
	out.Components = append(out.Components, declared...)
	return out
}

func finding(v policy.Vulnerability) search.Finding {
	f := search.Finding{Names: append([]string{v.ID}, v.Aliases...), RuledOut: v.RuledOut, Informational: v.Informational}
	if v.Rating != "unknown" {
		f.Rating = vuln.Rating(v.Rating)
	}
	if err := f.Reach.UnmarshalText([]byte(v.Reach)); err != nil {
		f.Reach = reach.Unknown
	}
	return f
}
