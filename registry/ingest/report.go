package ingest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/inspect"
	"github.com/wreg-project/wreg/registry"
	"github.com/wreg-project/wreg/registry/policy"
	"github.com/wreg-project/wreg/sbom"
	"github.com/wreg-project/wreg/sbom/vuln/scan"
	"github.com/wreg-project/wreg/storage/blob"
	"github.com/wreg-project/wreg/storage/meta"
)

// derivedReport is the value of registry.AnnotationDerived for reports.
const derivedReport = "report"

// maxReported bounds the files whose reports are layers of one referrer.
const maxReported = 1000

// Annotations of the layers of a report: which file it is about.
const (
	AnnotationFile  = "io.wreg.file"  // digest of the file
	AnnotationLayer = "io.wreg.layer" // digest of the layer it is in
)

// reportStage stores all that is derived as referrers of the manifest, in one
// transaction: the reports of all files and their bills of materials, unless only
// what is said about the manifest changed, and what the installation attests.
func (s *Service) reportStage(ctx context.Context, r *ingestion) error {
	ds := r.derived
	if !r.scanOnly() {
		b := newBundle(s, r, derivedReport, inspect.MediaType)
		for _, f := range r.sub.files {
			if f.Full != "" {
				b.add(f, ".report.json", inspect.MediaType, f.Full, f.FullSize, func(ctx context.Context) (io.ReadCloser, error) {
					return s.report(ctx, r.sub.Repo, f)
				})
			}
		}
		if len(b.Layers) > 0 {
			ds = append([]registry.Derived{b.Derived}, ds...)
		}
	}
	if len(ds) == 0 {
		return nil
	}
	_, err := s.reg.PutDerived(ctx, ds...)
	return err
}

// report gives the whole report of a file, from memory or made again.
func (s *Service) report(ctx context.Context, repo string, f file) (io.ReadCloser, error) {
	if f.made.report != nil {
		return io.NopCloser(bytes.NewReader(f.made.report)), nil
	}
	text, err := s.again(ctx, repo, f.layer.Digest, f.index)
	if err != nil {
		return nil, err
	}
	return io.NopCloser(bytes.NewReader(text)), nil
}

// again is the report of the file that is one of the findings in a layer.
func (s *Service) again(ctx context.Context, repo string, layer digest.Digest, index int) ([]byte, error) {
	b, err := s.meta.Blob(ctx, repo, layer)
	if err != nil {
		return nil, fmt.Errorf("blob %s of %s: %w", layer, repo, err)
	}
	a, err := s.analyser.full(ctx, b, false)
	if err != nil {
		return nil, err
	}
	if index < 0 || index >= len(a.made) || a.made[index].report == nil {
		return nil, fmt.Errorf("%w: report of a file in %s", meta.ErrNotFound, layer)
	}
	return a.made[index].report, nil
}

// A File is a Wasm file of a manifest, or something in its layers that could not
// be looked at.
type File struct {
	Name         string        // the title of its layer, the path in it, or both; may be ""
	Layer        digest.Digest // the blob it is in
	MediaType    string        // of the layer
	Path         string        // within the layer if that is an archive, else ""
	Digest       digest.Digest // of the file itself; "" if it could not be read
	Size         int64         // bytes
	Report       policy.Report
	Capabilities policy.Capabilities
	Full         digest.Digest // of the whole report, "" if there is none
	FullSize     int64         // bytes
	Bill         digest.Digest // of the bill of materials, "" if there is none; see OpenSBOM
	BillSize     int64         // bytes
	BillProblem  string        // why there is none of a valid file

	index   int
	subject *subject
}

// stored reads a manifest that repo holds, or that it holds in quarantine, with
// what is known of its files; analysed is false if some layer was never looked
// at. It looks at none itself.
func (s *Service) stored(ctx context.Context, repo string, d digest.Digest) (sub *subject, analysed bool, err error) {
	m, err := s.meta.Manifest(ctx, repo, d)
	if absent(err) {
		q, qerr := s.meta.Quarantined(ctx, repo, d, s.now().UTC())
		if qerr != nil {
			return nil, false, err
		}
		m, err = meta.Manifest{Repo: repo, Digest: d, MediaType: q.MediaType, Content: q.Content, Created: q.Created}, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("manifest %s of %s: %w", d, repo, err)
	}
	if sub, err = s.read(ctx, m); err != nil {
		return nil, false, err
	}
	analysed = true
	for _, b := range sub.blobs() {
		if _, err := s.meta.Blob(ctx, repo, b.Digest); absent(err) {
			continue
		} else if err != nil {
			return nil, false, err
		}
		found, err := s.analyser.stored(ctx, b.Digest)
		if err != nil {
			return nil, false, err
		}
		if found == nil {
			analysed = false
		} else {
			sub.files = sub.in(b, found, sub.files)
		}
	}
	return sub, analysed, nil
}

// Files lists the Wasm files of a manifest that repo holds, or that was refused
// and is in quarantine, in the order of its layers. Those of layers that were not
// analysed yet are absent, and analysed is false.
func (s *Service) Files(ctx context.Context, repo string, d digest.Digest) (files []File, analysed bool, err error) {
	sub, analysed, err := s.stored(ctx, repo, d)
	if err != nil {
		return nil, false, err
	}
	for _, f := range sub.files {
		one := File{
			Name: f.name, Layer: f.layer.Digest, MediaType: f.layer.MediaType, Path: f.Path, Digest: f.Digest, Size: f.Size,
			Report: f.Report, Full: f.Full, FullSize: f.FullSize,
			Bill: f.Bill, BillSize: f.BillSize, BillProblem: f.BillProblem, index: f.index, subject: sub,
		}
		if f.Capabilities != nil {
			one.Capabilities = *f.Capabilities
		}
		files = append(files, one)
	}
	return files, analysed, nil
}

// OpenReport reads the inspection report of a file that Files gave, JSON of
// f.FullSize bytes; one that is not stored is made again. The caller closes it.
// meta.ErrNotFound if there is none.
func (s *Service) OpenReport(ctx context.Context, repo string, f File) (io.ReadCloser, error) {
	if f.Full == "" {
		return nil, fmt.Errorf("%w: report of a file in %s", meta.ErrNotFound, f.Layer)
	}
	b, err := s.meta.Blob(ctx, repo, f.Full)
	if err == nil {
		body, err := s.o.Blobs.Open(ctx, blob.Key{Digest: b.Digest, Generation: b.Generation}, 0, -1)
		if err == nil || !errors.Is(err, blob.ErrNotFound) {
			return body, err
		}
	} else if !absent(err) {
		return nil, fmt.Errorf("report %s in %s: %w", f.Full, repo, err)
	}
	found, err := s.analyser.stored(ctx, f.Layer)
	if err != nil {
		return nil, err
	}
	if found == nil {
		return nil, fmt.Errorf("%w: report of a file in %s", meta.ErrNotFound, f.Layer)
	}
	for i, one := range found.Files {
		if one.Full == f.Full {
			text, err := s.again(ctx, repo, f.Layer, i)
			return io.NopCloser(bytes.NewReader(text)), err
		}
	}
	return nil, fmt.Errorf("%w: report of a file in %s", meta.ErrNotFound, f.Layer)
}

// SBOM reads the bill of materials of a file that Files gave, with the name that
// the file has in the package; one that is not stored is made again.
// meta.ErrNotFound if there is none.
func (s *Service) SBOM(ctx context.Context, f File) (*sbom.Document, error) {
	if f.Bill == "" || f.subject == nil {
		return nil, fmt.Errorf("%w: bill of materials of a file in %s", meta.ErrNotFound, f.Layer)
	}
	one := file{
		Finding: Finding{Digest: f.Digest, Bill: f.Bill, BillSize: f.BillSize}, name: f.Name, index: f.index,
		layer: registry.Descriptor{Digest: f.Layer},
	}
	d, err := s.document(ctx, one)
	if err != nil {
		return nil, err
	}
	return f.subject.named(d, one), nil
}

// Code answers for the functions of a file that Files gave, from what is kept of
// them; what is not stored is made again. meta.ErrNotFound if there is nothing.
func (s *Service) Code(ctx context.Context, f File) (scan.Code, error) {
	if f.subject != nil {
		for _, one := range f.subject.files {
			if one.layer.Digest == f.Layer && one.index == f.index {
				c := &codes{ctx: ctx, s: s}
				code := c.read(one)
				return code, c.err
			}
		}
	}
	return nil, fmt.Errorf("%w: functions of a file in %s", meta.ErrNotFound, f.Layer)
}

// Facts gives what policies are asked about when a manifest is subject to an
// action, one for each file, or one without a file if it holds no Wasm, with the
// facts that needs names. meta.ErrNotFound if it is not there, or not analysed
// yet.
func (s *Service) Facts(
	ctx context.Context, repo string, d digest.Digest, action policy.Action, needs policy.Needs,
) ([]*policy.Facts, error) {
	sub, analysed, err := s.stored(ctx, repo, d)
	if err != nil {
		return nil, err
	}
	if !analysed {
		return nil, fmt.Errorf("%w: %s of %s is not analysed yet", meta.ErrNotFound, d, repo)
	}
	return s.facts(ctx, sub, action, policy.PrincipalFacts{}, needs)
}

// Inspect inspects a file that Files gave again, for the tables of functions that
// the stored report leaves out. The caller calls release once it has dropped the
// report, for memory is bounded; it is nil with an error.
func (s *Service) Inspect(ctx context.Context, repo string, f File) (rep *inspect.Report, release func(), err error) {
	b, err := s.meta.Blob(ctx, repo, f.Layer)
	if err != nil {
		return nil, nil, fmt.Errorf("blob %s of %s: %w", f.Layer, repo, err)
	}
	return s.analyser.inspectOne(ctx, b, f.Digest)
}
