package signing

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// A Source reads one repository: through the API of a registry, or in the storage
// of a server.
type Source interface {
	// Referrers lists the manifests whose subject is d, at most limit. There may be
	// none.
	Referrers(ctx context.Context, d digest.Digest, limit int) ([]ocispec.Descriptor, error)
	// Manifest reads the manifest of a tag or digest of at most limit bytes. The
	// error of one that there is not is ErrNotFound.
	Manifest(ctx context.Context, reference string, limit int64) (content []byte, d digest.Digest, err error)
	// Blob reads a blob of at most limit bytes and checks its digest. The error of
	// one that there is not is ErrNotFound, and of one that is not as d says,
	// ErrFormat.
	Blob(ctx context.Context, d ocispec.Descriptor, limit int64) ([]byte, error)
}

// ErrNotFound is of what a Source does not have.
var ErrNotFound = errors.New("not found")

// Bounds of Find.
const (
	maxReferrers = 1000    // of one manifest, of any type
	maxManifest  = 4 << 20 // bytes
)

// Find lists the signatures and attestations that hang on the manifest subject, in
// the order of bundles, cosign's tags and Notation's referrers, each as the source
// lists them. It returns at most MaxFound with MaxFoundSum bytes; what is left out
// then, and what cannot be read, is there with a Problem. The error is that of a
// source that cannot be asked.
func Find(ctx context.Context, src Source, subject digest.Digest) ([]Found, error) {
	f := finder{ctx: ctx, src: src, subject: subject}
	if err := f.referrers(); err != nil {
		return nil, fmt.Errorf("signatures of %s: %w", subject, err)
	}
	for _, suffix := range CosignSuffixes() {
		if err := f.tag(suffix); err != nil {
			return nil, fmt.Errorf("signatures of %s: %w", subject, err)
		}
	}
	order := []Form{FormBundle, FormCosign, FormNotation}
	slices.SortStableFunc(f.found, func(a, b Found) int { return slices.Index(order, a.Form) - slices.Index(order, b.Form) })
	return f.found, nil
}

// CosignSuffixes are those of the tags of CosignTag.
func CosignSuffixes() []string { return []string{".sig", ".att"} }

// CosignTag is the tag under which cosign keeps signatures (".sig") or
// attestations (".att") in its older form.
func CosignTag(subject digest.Digest, suffix string) string {
	return subject.Algorithm().String() + "-" + subject.Encoded() + suffix
}

// CosignSubject is the manifest that a tag of CosignTag is about, "" of any other tag.
func CosignSubject(tag string) digest.Digest {
	for _, suffix := range CosignSuffixes() {
		if name, ok := strings.CutSuffix(tag, suffix); ok {
			d := digest.Digest(strings.Replace(name, "-", ":", 1))
			if d.Validate() == nil {
				return d
			}
		}
	}
	return ""
}

// IsBundle reports whether a media type or artifact type is that of a Sigstore
// bundle, of whichever version.
func IsBundle(mediaType string) bool {
	return strings.HasPrefix(mediaType, "application/vnd.dev.sigstore.bundle")
}

// IsCosign reports whether a media type is that of a signature or attestation in
// cosign's older form.
func IsCosign(mediaType string) bool {
	return mediaType == MediaTypeSimpleSigning || mediaType == MediaTypeDSSE
}

type finder struct {
	ctx     context.Context
	src     Source
	subject digest.Digest
	found   []Found
	sum     int64 // bytes
	full    bool
	target  *ocispec.Descriptor // of subject, once it was asked for
}

// referrers looks through those with an artifact type of signatures, and those
// without one that tells, whose layers may.
func (f *finder) referrers() error {
	list, err := f.src.Referrers(f.ctx, f.subject, maxReferrers)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	for _, r := range list {
		switch t := r.ArtifactType; {
		case IsBundle(t), t == "", t == ocispec.MediaTypeEmptyJSON, t == ocispec.MediaTypeImageConfig:
			err = f.manifest(FormBundle, r.Digest.String(), r.Digest)
		case t == MediaTypeNotation:
			err = f.manifest(FormNotation, r.Digest.String(), r.Digest)
		}
		if err != nil || f.full {
			return err
		}
	}
	return nil
}

func (f *finder) tag(suffix string) error {
	if f.full {
		return nil
	}
	return f.manifest(FormCosign, CosignTag(f.subject, suffix), "")
}

// manifest adds what the layers of a manifest are.
func (f *finder) manifest(form Form, reference string, want digest.Digest) error {
	text, d, err := f.src.Manifest(f.ctx, reference, maxManifest)
	switch {
	case errors.Is(err, ErrNotFound):
		return nil
	case errors.Is(err, ErrLimit), errors.Is(err, ErrFormat):
		f.add(Found{Form: form, Subject: f.subject, Manifest: want, Problem: "its manifest cannot be read: " + err.Error()})
		return nil
	case err != nil:
		return err
	}
	var m ocispec.Manifest
	if err := json.Unmarshal(text, &m); err != nil {
		f.add(Found{Form: form, Subject: f.subject, Manifest: d, Problem: "its manifest cannot be read: " + err.Error()})
		return nil
	}
	if form != FormCosign && (m.Subject == nil || m.Subject.Digest != f.subject) {
		return nil // the listing was wrong about it
	}
	if form == FormNotation {
		if err := f.describe(); err != nil {
			return err
		}
	}
	for _, l := range m.Layers {
		if !of(form, l.MediaType) {
			continue
		}
		if err := f.layer(form, d, l); err != nil || f.full {
			return err
		}
	}
	return nil
}

// describe sets target. A subject that is not there yet, as where signatures are
// pushed first, has a digest only.
func (f *finder) describe() error {
	if f.target != nil {
		return nil
	}
	f.target = &ocispec.Descriptor{}
	text, d, err := f.src.Manifest(f.ctx, f.subject.String(), maxManifest)
	switch {
	case f.ctx.Err() == nil && unreadable(err):
		return nil
	case err != nil:
		return err
	case d != f.subject:
		return nil
	}
	var m struct {
		MediaType string `json:"mediaType"`
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return nil // whoever reads it will say so
	}
	*f.target = ocispec.Descriptor{MediaType: m.MediaType, Digest: d, Size: int64(len(text))}
	return nil
}

// of reports whether layers of a media type are signatures in a form.
func of(form Form, mediaType string) bool {
	switch form {
	case FormBundle:
		return IsBundle(mediaType)
	case FormCosign:
		return IsCosign(mediaType)
	case FormNotation: // which have one layer, JWS or COSE
	}
	return true
}

func (f *finder) layer(form Form, manifest digest.Digest, l ocispec.Descriptor) error {
	one := Found{Form: form, Subject: f.subject, Manifest: manifest, Layer: l.Digest, Type: l.MediaType, Annotations: l.Annotations}
	if form == FormNotation {
		one.Target = *f.target
	}
	switch {
	case l.Size < 0 || l.Size > MaxBundle:
		one.Problem = fmt.Sprintf("it has %d bytes, and at most %d are read", l.Size, MaxBundle)
	case f.sum+l.Size > MaxFoundSum:
		f.full = true
	case len(f.found) < MaxFound:
		var err error
		if one.Content, err = f.src.Blob(f.ctx, l, MaxBundle); err != nil {
			if f.ctx.Err() != nil || !unreadable(err) {
				return err
			}
			one.Problem = "its bytes cannot be read: " + err.Error()
		} else if n := int64(len(one.Content)); n != l.Size { // by which it was counted
			one.Content, one.Problem = nil, fmt.Sprintf("it has %d bytes, and its manifest says %d", n, l.Size)
		}
		f.sum += l.Size
	}
	f.add(one)
	return nil
}

// unreadable reports whether err is of one thing that hangs on the manifest, which
// anybody may have hung there, and not of the source.
func unreadable(err error) bool {
	return errors.Is(err, ErrNotFound) || errors.Is(err, ErrLimit) || errors.Is(err, ErrFormat)
}

// add adds one, or says with it that no more is looked at.
func (f *finder) add(one Found) {
	if f.full = f.full || len(f.found) == MaxFound; f.full {
		one.Content = nil
		one.Problem = fmt.Sprintf("more than %d signatures or %d bytes of them hang on the manifest: the rest is not looked at", MaxFound, MaxFoundSum)
	}
	f.found = append(f.found, one)
}

// Attachment is the manifest by which a bundle hangs on subject: a referrer with
// the bundle as its layer (Sigstore bundle specification, "OCI"; OCI image
// specification 1.1, "Guidelines for Artifact Usage"). Its bytes are the same for
// the same bundle.
func Attachment(subject ocispec.Descriptor, bundle []byte, predicateType string) (manifest []byte, layer ocispec.Descriptor, err error) {
	layer = ocispec.Descriptor{MediaType: MediaTypeBundle, Digest: digest.FromBytes(bundle), Size: int64(len(bundle))}
	m := ocispec.Manifest{
		MediaType: ocispec.MediaTypeImageManifest, ArtifactType: MediaTypeBundle, Config: ocispec.DescriptorEmptyJSON,
		Layers:  []ocispec.Descriptor{layer},
		Subject: &ocispec.Descriptor{MediaType: subject.MediaType, Digest: subject.Digest, Size: subject.Size},
		Annotations: map[string]string{
			AnnotationContent: "dsse-envelope", AnnotationPredicate: predicateType,
		},
	}
	m.SchemaVersion = 2
	m.Config.Data = nil
	if manifest, err = json.Marshal(m); err != nil {
		return nil, layer, fmt.Errorf("referrer of %s: %w", subject.Digest, err)
	}
	return manifest, layer, nil
}
