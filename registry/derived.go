package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"strconv"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/registry/policy"
	"github.com/wreg-project/wreg/storage/meta"
)

// Annotations of manifests that a registry makes about others. Only a registry
// writes them with its own name, which is what tells its word from a client's.
const (
	AnnotationProducer = "io.wreg.producer" // which installation made it
	AnnotationDerived  = "io.wreg.derived"  // what it is, "report"; clients do not copy what can be made again
	AnnotationOmitted  = "io.wreg.omitted"  // of how many files it says nothing, because there were too many
)

// The empty config of an artifact, as the image specification gives it.
const (
	typeEmpty    = "application/vnd.oci.empty.v1+json"
	emptyContent = "{}"
)

// Derived is something that this installation found out about a manifest. It
// becomes a manifest that refers to it, the same one for the same content. One
// without layers takes back what was derived before.
type Derived struct {
	Repo         string
	Subject      meta.Manifest
	ArtifactType string
	Producer     string            // this installation
	Kind         string            // AnnotationDerived
	Annotations  map[string]string // beside those of this package; may be nil
	Layers       []DerivedLayer
	Omitted      int // AnnotationOmitted, unless it is 0
	Version      int // of the pipeline: it needs no ingestion of its own
}

// DerivedLayer is a blob of a Derived. Open is called unless the repository holds
// it already.
type DerivedLayer struct {
	Descriptor
	Open func(ctx context.Context) (io.ReadCloser, error)
}

// derivedManifest is an image manifest with its fields in the order in which the
// specification lists them.
type derivedManifest struct {
	SchemaVersion int                 `json:"schemaVersion"`
	MediaType     string              `json:"mediaType"`
	ArtifactType  string              `json:"artifactType"`
	Config        derivedDescriptor   `json:"config"`
	Layers        []derivedDescriptor `json:"layers"`
	Subject       derivedDescriptor   `json:"subject"`
	Annotations   map[string]string   `json:"annotations"`
}

type derivedDescriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      digest.Digest     `json:"digest"`
	Size        int64             `json:"size"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// manifest is d as a manifest, byte for byte the same each time.
func (d Derived) manifest() ([]byte, error) {
	m := derivedManifest{
		SchemaVersion: 2, MediaType: typeOCIManifest, ArtifactType: d.ArtifactType,
		Config:  derivedDescriptor{MediaType: typeEmpty, Digest: digest.FromString(emptyContent), Size: int64(len(emptyContent))},
		Layers:  []derivedDescriptor{},
		Subject: derivedDescriptor{MediaType: d.Subject.MediaType, Digest: d.Subject.Digest, Size: int64(len(d.Subject.Content))},
		Annotations: map[string]string{
			AnnotationProducer: d.Producer, AnnotationDerived: d.Kind,
		},
	}
	maps.Copy(m.Annotations, d.Annotations)
	if d.Omitted > 0 {
		m.Annotations[AnnotationOmitted] = strconv.Itoa(d.Omitted)
	}
	for _, l := range d.Layers {
		m.Layers = append(m.Layers, derivedDescriptor(l.Descriptor))
	}
	return json.Marshal(m)
}

// A written is a Derived as it is stored.
type written struct {
	Derived
	sum     digest.Digest
	content []byte
}

// PutDerived stores all of ds, which have one subject, in place of what this
// installation derived of the same types before: in one transaction, once their
// blobs are durable. Their digests are returned in the same order, "" of one that
// takes something back. meta.ErrNotFound says that the subject is gone.
func (r *Registry) PutDerived(ctx context.Context, ds ...Derived) ([]digest.Digest, error) {
	sums := make([]digest.Digest, len(ds))
	var missing []written
	for i, d := range ds {
		if d.Repo != ds[0].Repo || d.Subject.Digest != ds[0].Subject.Digest {
			return nil, fmt.Errorf("%s of %s in %s: not derived of %s in %s", d.Kind, d.Subject.Digest, d.Repo, ds[0].Subject.Digest, ds[0].Repo)
		}
		if len(d.Layers) == 0 {
			if is, err := r.isDerived(ctx, d); err != nil {
				return nil, d.wrap(err)
			} else if is {
				missing = append(missing, written{Derived: d})
			}
			continue
		}
		content, err := d.manifest()
		if err != nil {
			return nil, d.wrap(err)
		}
		sums[i] = digest.FromBytes(content)
		if _, err := r.meta.Manifest(ctx, d.Repo, sums[i]); absent(err) {
			missing = append(missing, written{d, sums[i], content})
		} else if err != nil {
			return nil, d.wrap(err)
		}
	}
	if len(missing) == 0 {
		return sums, nil
	}
	if err := r.putDerived(ctx, missing); err != nil {
		return nil, err
	}
	return sums, nil
}

func (d *Derived) wrap(err error) error {
	return fmt.Errorf("%s of %s in %s: %w", d.Kind, d.Subject.Digest, d.Repo, err)
}

// putDerived makes the blobs of ws durable and stores them. The last check and the
// pins are one transaction: a blob that a collection takes meanwhile is stored
// again.
func (r *Registry) putDerived(ctx context.Context, ws []written) (err error) {
	empty := DerivedLayer{
		Descriptor: Descriptor{Digest: digest.FromString(emptyContent)},
		Open: func(context.Context) (io.ReadCloser, error) {
			return io.NopCloser(bytes.NewReader([]byte(emptyContent))), nil
		},
	}
	for range maxAdmissions {
		for _, w := range ws {
			if len(w.Layers) == 0 {
				continue
			}
			for _, l := range append([]DerivedLayer{empty}, w.Layers...) {
				if err := r.putDerivedLayer(ctx, w.Repo, l); err != nil {
					return w.wrap(err)
				}
			}
		}
		err = r.meta.Update(ctx, func(ctx context.Context, tx meta.Tx) error {
			for _, w := range ws {
				if err := r.storeDerived(ctx, tx, w); err != nil {
					return w.wrap(err)
				}
			}
			return nil
		})
		var incomplete Errors
		if !errors.As(err, &incomplete) {
			break
		}
	}
	return err
}

// putDerivedLayer makes the bytes of a layer durable. What some repository holds
// already is only linked, in the transaction.
func (r *Registry) putDerivedLayer(ctx context.Context, repo string, l DerivedLayer) error {
	b, err := r.meta.FindBlob(ctx, l.Digest)
	if err == nil && b.State == meta.BlobLive || err != nil && !absent(err) {
		return err
	}
	body, err := l.Open(ctx)
	if err != nil {
		return err
	}
	defer body.Close()
	return r.PushBlob(ctx, repo, l.Digest, body, -1, policy.Principal{})
}

// storeDerived writes d in the transaction of PutDerived.
func (r *Registry) storeDerived(ctx context.Context, tx meta.Tx, d written) error {
	if _, err := tx.Manifest(ctx, d.Repo, d.Subject.Digest); err != nil {
		return err
	}
	if len(d.Layers) == 0 {
		return r.dropDerived(ctx, tx, d.Derived, "")
	}
	refs, err := parseManifest(typeOCIManifest, d.content)
	if err != nil {
		return err
	}
	if err := r.linkLive(ctx, tx, d.Repo, digests(refs.blobs)); err != nil {
		return err
	}
	if err := r.dropDerived(ctx, tx, d.Derived, d.sum); err != nil {
		return err
	}
	if _, err := tx.PutManifest(ctx, meta.NewManifest{
		Manifest: meta.Manifest{
			Repo: d.Repo, Digest: d.sum, MediaType: typeOCIManifest, Content: d.content, Created: r.now().UTC(),
		},
		ArtifactType: d.ArtifactType, Annotations: refs.annotations, Subject: d.Subject.Digest, Blobs: digests(refs.blobs),
	}); err != nil {
		return err
	}
	return tx.SetIngested(ctx, d.Repo, d.sum, d.Version)
}

// linkLive makes repo hold blobs that some repository holds. Those that none does
// are missing parts.
func (r *Registry) linkLive(ctx context.Context, tx meta.Tx, repo string, ds []digest.Digest) error {
	stored, err := tx.BlobSizes(ctx, repo, ds)
	if err != nil {
		return err
	}
	var missing []digest.Digest
	for _, d := range ds {
		if holds(stored, d) {
			continue
		}
		b, err := tx.FindBlob(ctx, d)
		switch {
		case absent(err) || err == nil && b.State != meta.BlobLive:
			missing = append(missing, d)
		case err != nil:
			return err
		default:
			b.Since, b.Uploader = r.now().UTC(), ""
			if err := tx.LinkBlob(ctx, repo, b); err != nil {
				return err
			}
		}
	}
	return missingParts("blob", missing)
}

// dropDerived removes what this installation derived before.
func (r *Registry) dropDerived(ctx context.Context, tx meta.Tx, d Derived, except digest.Digest) error {
	old, err := derivedBefore(ctx, tx, d)
	if err != nil {
		return err
	}
	for _, o := range old {
		if o == except {
			continue
		}
		if _, err := tx.DeleteManifest(ctx, d.Repo, o); err != nil {
			return err
		}
	}
	return nil
}

// isDerived reports whether there is something to take back.
func (r *Registry) isDerived(ctx context.Context, d Derived) (bool, error) {
	old, err := derivedBefore(ctx, r.meta, d)
	return len(old) > 0, err
}

// derivedPage is how many referrers of a type are listed at a time: others may hang
// any number of them on a manifest.
const derivedPage = 500

// derivedBefore are the manifests that this installation derived of the type of d.
func derivedBefore(ctx context.Context, db meta.Reader, d Derived) ([]digest.Digest, error) {
	var list []digest.Digest
	for page := (meta.Page{Limit: derivedPage}); ; {
		all, err := db.Referrers(ctx, d.Repo, d.Subject.Digest, d.ArtifactType, page)
		if err != nil && !absent(err) {
			return nil, err
		}
		for _, o := range all {
			if o.Annotations[AnnotationProducer] == d.Producer && o.Annotations[AnnotationDerived] == d.Kind {
				list = append(list, o.Digest)
			}
		}
		if len(all) < page.Limit {
			return list, nil
		}
		page.After = all[len(all)-1].Digest.String()
	}
}
