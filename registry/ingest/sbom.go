package ingest

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/artifact"
	"github.com/wreg-project/wreg/registry"
	"github.com/wreg-project/wreg/sbom"
	"github.com/wreg-project/wreg/sbom/cyclonedx"
	"github.com/wreg-project/wreg/sbom/evidence"
	"github.com/wreg-project/wreg/sbom/spdx"
	"github.com/wreg-project/wreg/sbom/vuln/scan"
	"github.com/wreg-project/wreg/storage/blob"
	"github.com/wreg-project/wreg/storage/meta"
)

// Values of registry.AnnotationDerived for bills of materials.
const (
	derivedSBOM      = "sbom"
	derivedCycloneDX = "cyclonedx"
	derivedSPDX      = "spdx"
)

// sbomStage writes the bills of materials of all files as referrers: our own with
// the symbols of the files, CycloneDX and SPDX.
func (s *Service) sbomStage(ctx context.Context, r *ingestion) error {
	own := newBundle(s, r, derivedSBOM, sbom.MediaType)
	cdx := newBundle(s, r, derivedCycloneDX, cyclonedx.MediaTypeJSON)
	spd := newBundle(s, r, derivedSPDX, spdx.MediaTypeJSON)
	for _, f := range r.sub.files {
		if f.Bill == "" {
			continue
		}
		own.add(f, ".sbom.json", sbom.MediaType, f.Bill, f.BillSize, func(ctx context.Context) (io.ReadCloser, error) {
			text, err := s.bill(ctx, f)
			return io.NopCloser(bytes.NewReader(text)), err
		})
		if f.Symbols != "" {
			own.add(f, ".symbols.zst", scan.MediaTypeSymbols, f.Symbols, f.SymbolsSize, func(ctx context.Context) (io.ReadCloser, error) {
				text, err := s.symbols(ctx, f)
				return io.NopCloser(bytes.NewReader(text)), err
			})
		}
		d, err := r.sub.documents.get(ctx, s, f)
		if err != nil {
			return err
		}
		d = r.sub.named(d, f)
		if err := errors.Join(
			cdx.write(f, ".cdx.json", func(w io.Writer) error { return cyclonedx.Write(w, d, cyclonedx.Options{}) }),
			spd.write(f, ".spdx.json", func(w io.Writer) error { return spdx.Write(w, d, spdx.Options{}) }),
		); err != nil {
			return fmt.Errorf("bill of materials of %s: %w", f.Digest, err)
		}
	}
	for _, b := range []*bundle{own, cdx, spd} {
		if len(b.Layers) > 0 {
			r.derived = append(r.derived, b.Derived)
		}
	}
	return nil
}

// named is the bill of materials of a file with what it is called where it is
// published: the repository, which is the package, and of several files also the
// one. The version is that of the package, or else what the file says. Tags have
// no part in it, since they move.
func (s *subject) named(d *sbom.Document, f file) *sbom.Document {
	named := *d
	named.Subject.Name = s.Repo
	bills := 0
	for _, o := range s.files {
		if o.Bill != "" {
			bills++
		}
	}
	if bills > 1 && f.name != "" {
		named.Subject.Name += "/" + f.name
	}
	if v := evidence.Clean(s.Annotations[artifact.AnnotationVersion], evidence.MaxVersion); v != "" {
		named.Subject.Version = v
	}
	return &named
}

// bill is the bill of materials of a file as JSON. The name of the package is not
// in it.
func (s *Service) bill(ctx context.Context, f file) ([]byte, error) {
	text, err := s.kept(ctx, f, f.Bill, f.BillSize, func(m made) []byte { return m.bill })
	if err != nil {
		return nil, fmt.Errorf("bill of materials of %s: %w", f.Digest, err)
	}
	return text, nil
}

// symbols are those of a file as scan.ReadSymbols takes them.
func (s *Service) symbols(ctx context.Context, f file) ([]byte, error) {
	text, err := s.kept(ctx, f, f.Symbols, f.SymbolsSize, func(m made) []byte { return m.symbols })
	if err != nil {
		return nil, fmt.Errorf("symbols of %s: %w", f.Digest, err)
	}
	return text, nil
}

// document is the bill of materials of a file.
func (s *Service) document(ctx context.Context, f file) (*sbom.Document, error) {
	text, err := s.bill(ctx, f)
	if err != nil {
		return nil, err
	}
	d := &sbom.Document{Root: &sbom.Unit{}}
	if err := json.Unmarshal(text, d); err != nil {
		return nil, fmt.Errorf("bill of materials of %s: %w", f.Digest, err)
	}
	return d, nil
}

// kept gives what was made of a file and is stored under d: from memory, from its
// blob, or made again from the layer if that is gone.
func (s *Service) kept(ctx context.Context, f file, d digest.Digest, size int64, of func(made) []byte) ([]byte, error) {
	if text := of(f.made); text != nil {
		return text, nil
	}
	if text := s.analyser.held(f.layer.Digest).of(f.index, of); text != nil {
		return text, nil
	}
	text, err := s.blob(ctx, d, size)
	if !absent(err) && !errors.Is(err, blob.ErrNotFound) {
		return text, err
	}
	b, err := s.live(ctx, f.layer.Digest)
	if err != nil {
		return nil, err
	}
	a, err := s.analyser.full(ctx, b, false)
	if err != nil {
		return nil, err
	}
	if text := a.of(f.index, of); text != nil {
		return text, nil
	}
	return nil, fmt.Errorf("%w: file %d in %s", meta.ErrNotFound, f.index, f.layer.Digest)
}

// of is something that was made of a file, nil if there is none or a is nil.
func (a *analysis) of(index int, of func(made) []byte) []byte {
	if a == nil || index < 0 || index >= len(a.made) {
		return nil
	}
	return of(a.made[index])
}

// live describes a blob that is there, whichever repositories hold it.
func (s *Service) live(ctx context.Context, d digest.Digest) (meta.Blob, error) {
	b, err := s.meta.FindBlob(ctx, d)
	if err == nil && b.State != meta.BlobLive {
		err = fmt.Errorf("%w: it is to be deleted", meta.ErrNotFound)
	}
	if err != nil {
		return b, fmt.Errorf("blob %s: %w", d, err)
	}
	return b, nil
}

// blob reads a blob of a known size, whichever repositories hold it.
func (s *Service) blob(ctx context.Context, d digest.Digest, size int64) ([]byte, error) {
	b, err := s.live(ctx, d)
	if err != nil {
		return nil, err
	}
	body, err := s.o.Blobs.Open(ctx, blob.Key{Digest: d, Generation: b.Generation}, 0, -1)
	if err != nil {
		return nil, fmt.Errorf("blob %s: %w", d, err)
	}
	defer body.Close()
	text := make([]byte, size)
	if _, err := io.ReadFull(body, text); err != nil {
		return nil, fmt.Errorf("blob %s: %w", d, err)
	}
	return text, nil
}

// documents are the bills of materials of a manifest as far as they are held in
// memory. The zero value holds none yet.
type documents struct {
	held  map[digest.Digest]*sbom.Document
	bytes int64 // of their JSON forms
}

// get gives that of a file, which nobody may change.
func (d *documents) get(ctx context.Context, s *Service, f file) (*sbom.Document, error) {
	if held := d.held[f.Bill]; held != nil {
		return held, nil
	}
	doc, err := s.document(ctx, f)
	if err == nil && d.bytes+f.BillSize <= maxBills {
		if d.held == nil {
			d.held = map[digest.Digest]*sbom.Document{}
		}
		d.held[f.Bill] = doc
		d.bytes += f.BillSize
	}
	return doc, err
}

// maxBundle bounds what is written for one referrer and not kept elsewhere, in
// bytes.
const maxBundle = 32 << 20

// A bundle is a referrer with a layer for each of the files, as many as it may
// have.
type bundle struct {
	registry.Derived
	bytes int64 // written
	seen  map[digest.Digest]bool
}

func newBundle(s *Service, r *ingestion, kind, mediaType string) *bundle {
	return &bundle{seen: map[digest.Digest]bool{}, Derived: registry.Derived{
		Repo: r.sub.Repo, Subject: r.manifest, ArtifactType: mediaType, Producer: s.o.Producer, Kind: kind, Version: Version,
	}}
}

// add adds a layer about f. The title says what it is by its suffix.
func (b *bundle) add(
	f file, suffix, mediaType string, d digest.Digest, size int64, open func(context.Context) (io.ReadCloser, error),
) {
	if b.seen[d] {
		return
	}
	b.seen[d] = true
	if len(b.Layers) >= maxReported {
		b.Omitted++
		return
	}
	b.Layers = append(b.Layers, registry.DerivedLayer{Open: open, Descriptor: registry.Descriptor{
		MediaType: mediaType, Digest: d, Size: size, Annotations: map[string]string{
			artifact.AnnotationTitle: cmp.Or(f.name, "module.wasm") + suffix,
			AnnotationFile:           f.Digest.String(), AnnotationLayer: f.layer.Digest.String(),
		},
	}})
}

// write adds a layer that is made now, if there is room for it.
func (b *bundle) write(f file, suffix string, write func(io.Writer) error) error {
	if len(b.Layers) >= maxReported || b.bytes >= maxBundle {
		b.Omitted++
		return nil
	}
	var text bytes.Buffer
	if err := write(&text); err != nil {
		return err
	}
	if b.bytes += int64(text.Len()); b.bytes > maxBundle {
		b.Omitted++
		return nil
	}
	content := bytes.Clone(text.Bytes())
	b.add(f, suffix, b.ArtifactType, digest.FromBytes(content), int64(len(content)), func(context.Context) (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(content)), nil
	})
	return nil
}
