package ingest

import (
	"context"
	"fmt"
	"slices"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/artifact/aot"
	"github.com/wreg-project/wreg/registry"
	"github.com/wreg-project/wreg/registry/advisories"
	"github.com/wreg-project/wreg/registry/attached"
	"github.com/wreg-project/wreg/signing"
	"github.com/wreg-project/wreg/storage/meta"
)

// followAdvisories enqueues a rescan if not everything stored was compared with all
// advisories. done is the revision that the last one was enqueued for.
func (s *Service) followAdvisories(ctx context.Context, done *int64) error {
	revision, err := s.meta.AdvisoryRevision(ctx)
	if err != nil || revision == *done {
		return err
	}
	matched, err := s.meta.MatchedRevision(ctx)
	if err != nil {
		return err
	}
	if matched < revision {
		err = s.meta.Update(ctx, func(ctx context.Context, tx meta.Tx) error {
			_, err := tx.Enqueue(ctx, meta.NewJob{Kind: advisories.RescanJob, Key: advisories.RescanKey, Due: s.now().UTC()})
			return err
		})
	}
	if err == nil {
		*done = revision
	}
	return err
}

// Bounds of one step of a rescan.
const (
	rescanFiles = 100 // blobs
	rescanPins  = 500 // manifests that are enqueued in one transaction
)

// rescan does a job of kind rescan: it has every manifest scanned again that pins a
// blob which changed advisories may be about. Once they are enqueued, that the
// advisories were matched is noted: the jobs do not get lost. When it is cut off it
// begins again, and enqueues nothing twice.
func (s *Service) rescan(ctx context.Context, _ meta.Job) error {
	var at advisories.Position
	for {
		b, err := s.advisories.Affected(ctx, at, rescanFiles)
		if err != nil {
			return err
		}
		for _, d := range b.Files {
			if err := s.enqueuePins(ctx, d); err != nil {
				return fmt.Errorf("manifests with %s: %w", d, err)
			}
		}
		if at = b.Next; b.Done {
			return s.advisories.Matched(ctx, at)
		}
	}
}

// enqueuePins has all manifests scanned that need d. Of the bill of materials of a
// publisher that is the manifest that attaches it, whose subject follows.
func (s *Service) enqueuePins(ctx context.Context, d digest.Digest) error {
	var after meta.ManifestKey
	for {
		keys, err := s.meta.BlobPins(ctx, d, after, rescanPins)
		if err != nil || len(keys) == 0 {
			return err
		}
		err = s.meta.Update(ctx, func(ctx context.Context, tx meta.Tx) error {
			for _, k := range keys {
				if err := s.enqueue(ctx, tx, JobScan, k, payload{}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil || len(keys) < rescanPins {
			return err
		}
		after = keys[len(keys)-1]
	}
}

// attachedChanged has the subject of a follow if a attaches, or attached, something
// that is looked at when its subject is: native code has it described again, and
// signatures and documents have it scanned.
func (s *Service) attachedChanged(ctx context.Context, tx meta.Tx, a registry.Admission) error {
	if a.Annotations[registry.AnnotationProducer] == s.o.Producer {
		return nil
	}
	if _, ok := aot.RuntimeOf(a.ArtifactType); ok && a.Subject != "" {
		if err := s.Changed(ctx, tx, a.Repo, []digest.Digest{a.Subject}); err != nil {
			return err
		}
	}
	types := make([]string, len(a.Layers))
	for i, l := range a.Layers {
		types[i] = l.MediaType
	}
	if a.Subject != "" && (attached.Concerns(a.ArtifactType, types...) || carriesSignatures(a.ArtifactType, types)) {
		return s.scanAgain(ctx, tx, a.Repo, a.Subject)
	}
	if a.Subject != "" || !slices.ContainsFunc(types, signing.IsCosign) {
		return nil
	}
	tags, err := tx.ManifestTags(ctx, a.Repo, a.Digest)
	if absent(err) {
		return nil // what becomes of its tags, TagsMoved is told
	}
	if err != nil {
		return err
	}
	for _, tag := range tags {
		if d := signing.CosignSubject(tag); d != "" {
			if err := s.scanAgain(ctx, tx, a.Repo, d); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Service) scanAgain(ctx context.Context, tx meta.Tx, repo string, d digest.Digest) error {
	return s.enqueue(ctx, tx, JobScan, meta.ManifestKey{Repo: repo, Digest: d}, payload{})
}

// ManifestGone has the subject of a deleted manifest follow, in the transaction
// that deletes it.
func (s *Service) ManifestGone(ctx context.Context, tx meta.Tx, a registry.Admission) error {
	return s.attachedChanged(ctx, tx, a)
}
