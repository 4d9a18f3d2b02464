package ingest

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/artifact"
	"github.com/wreg-project/wreg/registry"
	"github.com/wreg-project/wreg/sbom"
	"github.com/wreg-project/wreg/sbom/cyclonedx"
	"github.com/wreg-project/wreg/sbom/evidence"
	"github.com/wreg-project/wreg/sbom/spdx"
	"github.com/wreg-project/wreg/sbom/version"
	"github.com/wreg-project/wreg/sbom/vuln"
	"github.com/wreg-project/wreg/storage/blob"
	"github.com/wreg-project/wreg/storage/meta"
)

// Values of registry.AnnotationDerived for bills of materials.
const (
	derivedSBOM      = "sbom"
	derivedCycloneDX = "cyclonedx"
	derivedSPDX      = "spdx"
)

// sbomStage reads the bills of materials of all files, and makes of them what is
// kept with the manifest: three referrers, and the components of each layer.
func (s *Service) sbomStage(ctx context.Context, r *ingestion) error {
	own := newBundle(s, r, derivedSBOM, sbom.MediaType)
	cdx := newBundle(s, r, derivedCycloneDX, cyclonedx.MediaTypeJSON)
	spd := newBundle(s, r, derivedSPDX, spdx.MediaTypeJSON)
	layers := map[digest.Digest]*componentSet{}
	for _, f := range r.sub.files {
		if f.Bill == "" {
			continue
		}
		d, err := s.document(ctx, f)
		if err != nil {
			return err
		}
		if layers[f.layer.Digest] == nil {
			layers[f.layer.Digest] = &componentSet{}
		}
		layers[f.layer.Digest].add(d)
		own.add(f, ".sbom.json", sbom.MediaType, f.Bill, f.BillSize, func(ctx context.Context) (io.ReadCloser, error) {
			text, err := s.bill(ctx, f)
			return io.NopCloser(bytes.NewReader(text)), err
		})
		r.sub.nameBill(d, f)
		if err := errors.Join(
			cdx.write(f, ".cdx.json", func(w io.Writer) error { return cyclonedx.Write(w, d, cyclonedx.Options{}) }),
			spd.write(f, ".spdx.json", func(w io.Writer) error { return spdx.Write(w, d, spdx.Options{}) }),
		); err != nil {
			return fmt.Errorf("bill of materials of %s: %w", f.Digest, err)
		}
	}
	for d, set := range layers {
		if d != r.sub.Digest { // a manifest that is Wasm itself is no blob
			r.components = append(r.components, s.components(ctx, d, set))
		}
	}
	for _, b := range []*bundle{own, cdx, spd} {
		if len(b.Layers) > 0 {
			r.derived = append(r.derived, b.Derived)
		}
	}
	return nil
}

// nameBill writes into the bill of materials of a file what it is called where it
// is published: the repository, which is the package, and of several files also
// the one. The version is that of the package, or else what the file says. Tags
// have no part in it, since they move.
func (s *subject) nameBill(d *sbom.Document, f file) {
	d.Subject.Name = s.Repo
	bills := 0
	for _, o := range s.files {
		if o.Bill != "" {
			bills++
		}
	}
	if bills > 1 && f.name != "" {
		d.Subject.Name += "/" + f.name
	}
	if v := evidence.Clean(s.Annotations[artifact.AnnotationVersion], evidence.MaxVersion); v != "" {
		d.Subject.Version = v
	}
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

// A componentSet are the components of the files of one layer, each once.
type componentSet struct {
	seen map[coordinateKey]bool
	list []meta.Coordinate
}

type coordinateKey struct{ ecosystem, name, version, class, part string }

func (c *componentSet) add(d *sbom.Document) {
	if c.seen == nil {
		c.seen = map[coordinateKey]bool{}
	}
	for _, one := range d.All() {
		co := coordinate(one)
		k := coordinateKey{co.Ecosystem, co.Name, co.Version, co.Class, co.Part}
		if !c.seen[k] {
			c.seen[k] = true
			c.list = append(c.list, co)
		}
	}
}

// classes are those of components, the surest first.
var classes = []string{string(evidence.Proven), string(evidence.Inferred), string(evidence.Named)}

// components are the rows of a layer. Of more than there is room for the surest
// are kept.
func (s *Service) components(ctx context.Context, layer digest.Digest, c *componentSet) meta.FileComponents {
	slices.SortFunc(c.list, func(a, b meta.Coordinate) int {
		return cmp.Or(
			cmp.Compare(slices.Index(classes, a.Class), slices.Index(classes, b.Class)), cmp.Compare(a.Ecosystem, b.Ecosystem),
			cmp.Compare(a.Name, b.Name), cmp.Compare(a.Version, b.Version), cmp.Compare(a.Part, b.Part),
		)
	})
	if n := len(c.list) - meta.MaxFileComponents; n > 0 {
		s.log.LogAttrs(ctx, slog.LevelWarn, "not all components of a layer are kept",
			slog.String("digest", layer.String()), slog.Int("omitted", n))
		c.list = c.list[:meta.MaxFileComponents]
	}
	return meta.FileComponents{Digest: layer, Version: Version, Components: c.list}
}

// coordinate is a component as the database has it.
func coordinate(c *evidence.Component) meta.Coordinate {
	p := vuln.PackageOf(*c)
	key, _ := version.Key(p.Ecosystem, c.Version)
	return meta.Coordinate{
		Ecosystem: string(p.Ecosystem), Name: p.Name, Version: c.Version, Class: string(c.Class), Part: c.Part, Key: key,
	}
}

// putComponents stores the components of layers that have no list of this version.
func putComponents(ctx context.Context, tx meta.Tx, layers []meta.FileComponents) error {
	for _, l := range layers {
		old, err := tx.FileComponents(ctx, l.Digest)
		if err == nil && old.Version == l.Version {
			continue
		}
		if err != nil && !absent(err) {
			return err
		}
		if err := tx.PutComponents(ctx, l); err != nil {
			return fmt.Errorf("components of %s: %w", l.Digest, err)
		}
	}
	return nil
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
