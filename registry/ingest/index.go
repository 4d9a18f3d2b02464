package ingest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/inspect"
	"github.com/wreg-project/wreg/registry/jobs"
	"github.com/wreg-project/wreg/registry/search"
	"github.com/wreg-project/wreg/signing"
	"github.com/wreg-project/wreg/signing/attest"
	"github.com/wreg-project/wreg/storage/meta"
)

// Bounds on what one document is made of: an image may hold hundreds of modules.
const (
	maxDescribed      = 64       // files
	maxDescribedBytes = 64 << 20 // of their reports, as JSON
)

// indexStage makes the document of a manifest that holds Wasm and refers to no
// other, and has those follow whose place as the latest version it takes.
func (s *Service) indexStage(ctx context.Context, r *ingestion) error {
	describe := s.describe
	if r.scanOnly() {
		describe = s.redescribed
	}
	d, err := describe(ctx, r.sub, r.verdict.State, r.manifest)
	if err != nil {
		return err
	}
	r.document = d
	return s.settleLatest(ctx, r.sub.Repo, r.sub.Digest)
}

// describe makes a document, nil for a manifest that has none.
func (s *Service) describe(ctx context.Context, sub *subject, verdict meta.VerdictState, m meta.Manifest) (*meta.Document, error) {
	if sub.Subject != "" {
		return nil, nil
	}
	src := search.Source{
		Repo: sub.Repo, Digest: sub.Digest, MediaType: sub.MediaType, ArtifactType: sub.ArtifactType, Annotations: sub.Annotations,
	}
	bytes := int64(0)
	for _, f := range sub.files {
		if !f.Wasm && f.index >= 0 || len(src.Files) == maxDescribed || bytes > maxDescribedBytes {
			continue
		}
		one := search.File{Path: f.Path, Digest: f.layer.Digest, Size: f.Size, Problem: f.Report.Problem}
		if f.Full != "" {
			var err error
			if one.Report, err = s.whole(ctx, sub.Repo, f); err != nil {
				return nil, err
			}
			bytes += f.FullSize
		}
		src.Files = append(src.Files, one)
	}
	if len(src.Files) == 0 {
		return nil, nil
	}
	var err error
	if src.Materials, err = s.materialTerms(ctx, sub); err != nil {
		return nil, err
	}
	if src.State, err = s.state(ctx, sub, verdict, m); err != nil {
		return nil, err
	}
	d := search.Describe(src)
	return &d, nil
}

// redescribed is the document of a manifest of which only the materials and the
// verdict may have changed.
func (s *Service) redescribed(ctx context.Context, sub *subject, verdict meta.VerdictState, m meta.Manifest) (*meta.Document, error) {
	doc, err := s.meta.Document(ctx, sub.Repo, sub.Digest)
	if absent(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("document of %s in %s: %w", sub.Digest, sub.Repo, err)
	}
	st, err := s.state(ctx, sub, verdict, m)
	if err != nil {
		return nil, err
	}
	materials, err := s.materialTerms(ctx, sub)
	if err != nil {
		return nil, err
	}
	if doc, err = search.Update(doc, st); err == nil {
		doc, err = search.UpdateMaterials(doc, materials)
	}
	if err != nil {
		return nil, fmt.Errorf("document of %s in %s: %w", sub.Digest, sub.Repo, err)
	}
	return &doc, nil
}

// materialTerms are what a package is made of and who vouches for it, as searches
// find them.
func (s *Service) materialTerms(ctx context.Context, sub *subject) (search.Materials, error) {
	m := sub.materials.terms()
	if err := s.verify(ctx, sub); err != nil {
		return m, err
	}
	for _, row := range sub.signatures.rows {
		switch {
		case !row.Verified():
		case row.PredicateType != signing.PredicateSignature:
			m.Attested = append(m.Attested, attest.Name(row.PredicateType), row.PredicateType)
		default:
			for _, name := range []string{row.KeyName, row.KeyID, row.Identity} {
				if name != "" {
					m.Signers = append(m.Signers, name)
				}
			}
		}
	}
	return m, nil
}

// state is what changes about a manifest after its push.
func (s *Service) state(ctx context.Context, sub *subject, verdict meta.VerdictState, m meta.Manifest) (search.State, error) {
	st := search.State{Verdict: verdict, Updated: m.Created}
	for _, tag := range sub.tags {
		v, err := s.meta.Version(ctx, sub.Repo, tag)
		if absent(err) {
			continue // moved or deleted since, which has it described again
		}
		if err != nil {
			return st, fmt.Errorf("tag %s of %s: %w", tag, sub.Repo, err)
		}
		st.Tags = append(st.Tags, search.Tag{Name: tag, Notice: v.Notice.State})
	}
	var err error
	if st.Variants, err = s.variants(ctx, sub); err != nil {
		return st, err
	}
	latest, _, err := s.latest(ctx, sub.Repo)
	st.Latest = latest != "" && latest == sub.Digest
	return st, err
}

// whole is the whole report of a file.
func (s *Service) whole(ctx context.Context, repo string, f file) (*inspect.Report, error) {
	if f.made.whole != nil {
		return f.made.whole, nil
	}
	if rep := s.analyser.remembered(f.layer.Digest, f.index); rep != nil {
		return rep, nil
	}
	body, err := s.OpenReport(ctx, repo, File{Layer: f.layer.Digest, Full: f.Full})
	if err != nil {
		return nil, err
	}
	defer body.Close()
	text, err := io.ReadAll(io.LimitReader(body, f.FullSize+1))
	if err != nil {
		return nil, fmt.Errorf("report %s: %w", f.Full, err)
	}
	var rep inspect.Report
	if err := json.Unmarshal(text, &rep); err != nil {
		return nil, fmt.Errorf("report %s: %w", f.Full, err)
	}
	return &rep, nil
}

// putDocument stores a document, or removes that of a manifest that has none.
func (s *Service) putDocument(ctx context.Context, tx meta.Tx, sub *subject, d *meta.Document) error {
	if d == nil {
		return tx.DeleteDocument(ctx, sub.Repo, sub.Digest)
	}
	return tx.PutDocument(ctx, *d)
}

// latest gives what the greatest released versions of repo point to that are not
// yanked: the latest one, and the one that would be without it; "" for none.
func (s *Service) latest(ctx context.Context, repo string) (first, second digest.Digest, err error) {
	tags, err := s.meta.Releases(ctx, repo, 2)
	if err != nil && !absent(err) {
		return "", "", fmt.Errorf("releases of %s: %w", repo, err)
	}
	if len(tags) > 0 {
		first = tags[0].Digest
	}
	if len(tags) > 1 {
		second = tags[1].Digest
	}
	return first, second, nil
}

// settleLatest has the documents of the two greatest versions described again
// that say the wrong thing about being the latest. That of except is about to be.
func (s *Service) settleLatest(ctx context.Context, repo string, except digest.Digest) error {
	first, second, err := s.latest(ctx, repo)
	if err != nil {
		return err
	}
	var wrong []digest.Digest
	for _, d := range []digest.Digest{first, second} {
		if d == "" || d == except {
			continue
		}
		doc, err := s.meta.Document(ctx, repo, d)
		if errors.Is(err, meta.ErrNotFound) || errors.Is(err, meta.ErrRepository) {
			continue // not indexed yet: it will say the right thing
		}
		if err != nil {
			return fmt.Errorf("document of %s in %s: %w", d, repo, err)
		}
		var l search.Listing
		if err := json.Unmarshal(doc.Body, &l); err != nil {
			return fmt.Errorf("document of %s in %s: %w", d, repo, err)
		}
		if l.Latest != (d == first) {
			wrong = append(wrong, d)
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	return s.meta.Update(ctx, func(ctx context.Context, tx meta.Tx) error { return s.Changed(ctx, tx, repo, wrong) })
}

// reindexOne does a job of kind index.
func (s *Service) reindexOne(ctx context.Context, j meta.Job) error {
	k := parseKey(j.Key)
	m, err := s.meta.Manifest(ctx, k.Repo, k.Digest)
	if err != nil && !absent(err) {
		return err
	}
	if err == nil && m.Ingested >= Version { // else its own job does it
		if err := s.redescribe(ctx, m); err != nil && !absent(err) {
			return err
		}
		if err := s.rewant(ctx, m); err != nil && !absent(err) {
			return err
		}
	}
	return s.settleLatest(ctx, k.Repo, "")
}

// redescribe stores the document of a manifest with its state of now. One that
// has none needs none: nothing in it changed.
func (s *Service) redescribe(ctx context.Context, m meta.Manifest) error {
	doc, err := s.meta.Document(ctx, m.Repo, m.Digest)
	if err != nil {
		return err
	}
	sub, err := s.read(ctx, m)
	if err != nil {
		return jobs.Permanent(err)
	}
	st, err := s.state(ctx, sub, m.Verdict, m)
	if err != nil {
		return err
	}
	if doc, err = search.Update(doc, st); err != nil {
		return fmt.Errorf("document of %s in %s: %w", m.Digest, m.Repo, err)
	}
	return s.meta.Update(ctx, func(ctx context.Context, tx meta.Tx) error { return tx.PutDocument(ctx, doc) })
}
