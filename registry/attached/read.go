package attached

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/errdef"

	"github.com/wreg-project/wreg/sbom/cyclonedx"
	"github.com/wreg-project/wreg/sbom/evidence"
	"github.com/wreg-project/wreg/sbom/spdx"
	"github.com/wreg-project/wreg/sbom/vuln/vex"
)

// maxManifest bounds a referrer's manifest in bytes. One of documents names a few
// layers; a larger one is something else.
const maxManifest = 256 << 10

// maxTitle bounds a title in bytes.
const maxTitle = 256

// Read reads what is attached to the manifest of subject, and then what is attested of
// it: the caller, who knows whom to believe, has verified that. Errors are those of
// the Source and of ctx; what a publisher did wrong is a Problem of the document.
func Read(ctx context.Context, src Source, subject ocispec.Descriptor, l Limits, attested ...Attestation) (*Attachments, error) {
	r := &reader{src: src, limits: l.defaults(), result: &Attachments{}, read: map[digest.Digest]*document{}}
	referrers, err := r.list(ctx, subject)
	if err != nil {
		return nil, fmt.Errorf("referrers of %s: %w", subject.Digest, err)
	}
	for _, d := range referrers {
		if err := r.referrer(ctx, d); err != nil {
			return nil, fmt.Errorf("referrer %s of %s: %w", d.Digest, subject.Digest, err)
		}
	}
	for _, a := range attested {
		r.attested(a)
	}
	return r.result, nil
}

// A reader reads the referrers of one manifest.
type reader struct {
	src    Source
	limits Limits
	result *Attachments

	documents int
	bytes     int64 // of documents
	read      map[digest.Digest]*document
}

// A document is what a blob was read as, with no place yet; several referrers may
// have it. Either may be nil.
type document struct {
	sbom *SBOM
	vex  *VEX
}

// broken is a document of a kind that cannot be read.
func broken(k kind, problem string) *document {
	switch k {
	case openVEX:
		return &document{vex: &VEX{Problem: problem}}
	case cycloneDX, spdxKind:
		return &document{sbom: &SBOM{Problem: problem}}
	case unknown:
	}
	return &document{}
}

// omit notes that something was not looked at. The first reason stays.
func (r *reader) omit(format string, args ...any) {
	r.result.Omitted = cmp.Or(r.result.Omitted, fmt.Sprintf(format, args...))
}

// errEnough ends a listing.
var errEnough = errors.New("enough")

// list gives the referrers to open, by digest.
func (r *reader) list(ctx context.Context, subject ocispec.Descriptor) ([]ocispec.Descriptor, error) {
	var all []ocispec.Descriptor
	listed := 0
	err := r.src.Referrers(ctx, subject, "", func(page []ocispec.Descriptor) error {
		for _, d := range page {
			if listed++; listed > r.limits.Listed {
				return errEnough
			}
			if !derived(d) {
				all = append(all, d)
			}
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return nil, err
	}
	if err != nil {
		r.omit("there are more than %d referrers", r.limits.Listed)
	}
	// Those that say what they are first, so that no crowd of others hides them.
	slices.SortFunc(all, func(a, b ocispec.Descriptor) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), strings.Compare(a.Digest.String(), b.Digest.String()))
	})
	if len(all) > r.limits.Referrers {
		r.omit("more than %d referrers may have documents", r.limits.Referrers)
		all = all[:r.limits.Referrers]
	}
	slices.SortFunc(all, func(a, b ocispec.Descriptor) int { return strings.Compare(a.Digest.String(), b.Digest.String()) })
	return slices.CompactFunc(all, func(a, b ocispec.Descriptor) bool { return a.Digest == b.Digest }), nil
}

// rank is 0 of a referrer whose artifact type tells what it is, else 1.
func rank(d ocispec.Descriptor) int {
	if Concerns(d.ArtifactType) {
		return 0
	}
	return 1
}

// A manifest is the part of an image or artifact manifest that is read.
type manifest struct {
	ArtifactType string  `json:"artifactType"`
	Layers       []layer `json:"layers"`
}

type layer struct {
	MediaType   string            `json:"mediaType"`
	Digest      digest.Digest     `json:"digest"`
	Size        int64             `json:"size"`
	Annotations map[string]string `json:"annotations"`
}

// referrer reads the documents of one referrer.
func (r *reader) referrer(ctx context.Context, d ocispec.Descriptor) error {
	m, problem, err := r.manifest(ctx, d)
	if err != nil {
		return err
	}
	if problem != "" {
		r.add(Place{Referrer: d.Digest, MediaType: clean(d.ArtifactType)}, broken(kindOf(d.ArtifactType), problem))
		return nil
	}
	artifactType := cmp.Or(m.ArtifactType, d.ArtifactType)
	for _, l := range m.Layers {
		mediaType := l.MediaType
		k := kindOf(mediaType)
		if k == unknown && l.MediaType != ocispec.MediaTypeEmptyJSON {
			// Many tools say what it is of the artifact alone.
			mediaType = artifactType
			k = kindOf(artifactType)
		}
		if k == unknown {
			continue
		}
		if r.documents++; r.documents > r.limits.Documents {
			r.omit("there are more than %d documents", r.limits.Documents)
			return nil
		}
		doc, err := r.document(ctx, l, k)
		if err != nil {
			return err
		}
		r.add(Place{
			Referrer: d.Digest, Blob: l.Digest, MediaType: clean(mediaType), Title: clean(l.Annotations[ocispec.AnnotationTitle]),
		}, doc)
	}
	return nil
}

// manifest reads the manifest of a referrer, or tells what is wrong with it.
func (r *reader) manifest(ctx context.Context, d ocispec.Descriptor) (*manifest, string, error) {
	data, problem, err := r.fetch(ctx, d, maxManifest)
	if problem != "" || err != nil {
		return nil, problem, err
	}
	m := &manifest{}
	if err := json.Unmarshal(data, m); err != nil {
		return nil, "the manifest cannot be read: " + clean(err.Error()), nil
	}
	return m, "", nil
}

// document reads a layer.
func (r *reader) document(ctx context.Context, l layer, k kind) (*document, error) {
	if doc := r.read[l.Digest]; doc != nil {
		return doc, nil
	}
	left := r.limits.Total - r.bytes
	if left < min(max(l.Size, 1), r.limits.Bytes) {
		r.omit("the documents have more than %d bytes", r.limits.Total)
		return broken(k, fmt.Sprintf("not read: with it the documents have more than %d bytes", r.limits.Total)), nil
	}
	data, problem, err := r.fetch(ctx, ocispec.Descriptor{MediaType: l.MediaType, Digest: l.Digest, Size: l.Size}, min(left, r.limits.Bytes))
	if err != nil {
		return nil, err
	}
	r.bytes += int64(len(data))
	doc := broken(k, problem)
	if problem == "" {
		doc = decode(data, k)
	}
	r.read[l.Digest] = doc
	return doc, nil
}

// add puts a document where it belongs.
func (r *reader) add(at Place, d *document) {
	if d.sbom != nil {
		r.result.SBOMs = append(r.result.SBOMs, SBOM{Place: at, Document: d.sbom.Document, Problem: d.sbom.Problem})
	}
	if d.vex != nil {
		r.result.VEX = append(r.result.VEX, VEX{Place: at, Document: d.vex.Document, Problem: d.vex.Problem})
	}
}

// fetch reads all of d if it has at most limit bytes and is there, else it tells
// what is wrong with it.
func (r *reader) fetch(ctx context.Context, d ocispec.Descriptor, limit int64) (data []byte, problem string, err error) {
	switch {
	case d.Digest.Validate() != nil:
		return nil, fmt.Sprintf("%.80q is no digest", d.Digest.String()), nil
	case d.Size < 0 || d.Size > limit:
		return nil, fmt.Sprintf("it has %d bytes; at most %d are read", d.Size, limit), nil
	}
	body, err := r.src.Fetch(ctx, d)
	if errors.Is(err, errdef.ErrNotFound) {
		return nil, fmt.Sprintf("%s is not there", d.Digest), nil
	}
	if err != nil {
		return nil, "", err
	}
	defer body.Close()
	data, err = io.ReadAll(io.LimitReader(body, d.Size+1))
	switch {
	case err != nil:
		return nil, "", err
	case int64(len(data)) != d.Size || d.Digest.Algorithm().FromBytes(data) != d.Digest:
		return nil, fmt.Sprintf("the content of %s has another size or digest", d.Digest), nil
	}
	return data, "", nil
}

// decode reads a document.
func decode(data []byte, k kind) *document {
	switch k {
	case openVEX:
		d, err := vex.Read(data)
		if err != nil {
			return broken(k, clean(err.Error()))
		}
		return &document{vex: &VEX{Document: d}}
	case spdxKind:
		d, err := spdx.Read(bytes.NewReader(data), spdx.Limits{})
		if err != nil {
			return broken(k, clean(err.Error()))
		}
		return &document{sbom: &SBOM{Document: d}}
	case cycloneDX:
		return decodeCycloneDX(data)
	case unknown:
	}
	return &document{}
}

// decodeCycloneDX reads a file that may be a bill of materials, a list of
// statements, or both. Without any statement it is the first; without any
// component beside its statements it is the second alone.
func decodeCycloneDX(data []byte) *document {
	d, err := cyclonedx.Read(bytes.NewReader(data), cyclonedx.Limits{})
	if err != nil {
		return broken(cycloneDX, clean(err.Error()))
	}
	both := &document{sbom: &SBOM{Document: d}}
	if !bytes.Contains(data, []byte(`"vulnerabilities"`)) {
		return both
	}
	v, err := vex.Read(data)
	switch {
	case err != nil:
		both.vex = &VEX{Problem: clean(err.Error())}
	case len(v.Statements) > 0:
		both.vex = &VEX{Document: v}
		if len(d.Root.Components) == 0 {
			both.sbom = nil
		}
	}
	return both
}

// clean makes a text from outside fit to be kept.
func clean(s string) string { return evidence.Clean(s, maxTitle) }
