package ingest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/wreg-project/wreg/registry"
	"github.com/wreg-project/wreg/registry/policy"
	"github.com/wreg-project/wreg/storage/meta"
)

// followEvery is how often a server looks whether others changed policies or
// advisories.
const followEvery = time.Second

// follow sees changes of policies, advisories and trusted material, by whichever
// server, and has the verdicts on what is stored made anew.
func (s *Service) follow(ctx context.Context) {
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	done := int64(-1)    // the revision that verdicts were last enqueued for
	matched := int64(-1) // the revision of advisories that a rescan was last enqueued for
	trusted := ""        // the version of what is trusted that signatures were last verified again for
	for {
		if err := s.followOnce(ctx, &done); err != nil && ctx.Err() == nil {
			s.log.LogAttrs(ctx, slog.LevelWarn, "policies not read, the last ones stay in force", slog.Any("err", err))
		}
		if err := s.followAdvisories(ctx, &matched); err != nil && ctx.Err() == nil {
			s.log.LogAttrs(ctx, slog.LevelWarn, "advisories not read, trying again", slog.Any("err", err))
		}
		if err := s.followTrust(ctx, &trusted); err != nil && ctx.Err() == nil {
			s.log.LogAttrs(ctx, slog.LevelWarn, "signatures not read, trying again", slog.Any("err", err))
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-s.changed:
		}
	}
}

func (s *Service) followOnce(ctx context.Context, done *int64) error {
	r, err := s.policies.load(ctx)
	if err != nil || r.revision == *done {
		return err
	}
	stale, err := s.meta.StaleVerdicts(ctx, r.revision, meta.ManifestKey{}, 1)
	if err != nil {
		return err
	}
	if len(stale) > 0 {
		err = s.meta.Update(ctx, func(ctx context.Context, tx meta.Tx) error {
			_, err := tx.Enqueue(ctx, meta.NewJob{Kind: JobVerdicts, Due: s.now().UTC()})
			return err
		})
	}
	if err == nil {
		*done = r.revision
	}
	return err
}

// verdictBatch is how many manifests are judged again in one transaction.
const verdictBatch = 64

// verdicts does a job of kind verdicts: everything stored whose verdict is of an
// older revision is judged again for pulls. When it is cut off it goes on where
// it was, for what it judged is stale no more.
func (s *Service) verdicts(ctx context.Context, _ meta.Job) error {
	var after meta.ManifestKey
	for {
		r, err := s.policies.load(ctx)
		if err != nil {
			return err
		}
		keys, err := s.meta.StaleVerdicts(ctx, r.revision, after, verdictBatch)
		if err != nil {
			return err
		}
		if len(keys) == 0 {
			return nil
		}
		if err := s.judgeAgain(ctx, r, keys); err != nil && !errors.Is(err, registry.ErrOutdated) {
			return err
		} else if err != nil {
			after = meta.ManifestKey{} // everything is stale again
			continue
		}
		after = keys[len(keys)-1]
	}
}

// judged is a verdict to be stored.
type judged struct {
	key        meta.ManifestKey
	verdict    meta.Verdict
	advisories int64    // their revision, -1 if they had no part in it
	subject    *subject // with the signatures that it was judged by
}

// judgeAgain stores verdicts of r on the manifests of keys.
func (s *Service) judgeAgain(ctx context.Context, r *rules, keys []meta.ManifestKey) error {
	var list []judged
	for _, k := range keys {
		if err := ctx.Err(); err != nil {
			return err
		}
		j, err := s.pullVerdict(ctx, r, k)
		if absent(err) {
			continue // deleted since
		}
		if err != nil {
			return fmt.Errorf("judge %s: %w", key(k), err)
		}
		list = append(list, j)
	}
	return s.meta.Update(ctx, func(ctx context.Context, tx meta.Tx) error {
		revision, err := tx.PolicyRevision(ctx)
		if err != nil {
			return err
		}
		if revision != r.revision {
			return registry.ErrOutdated
		}
		if revision, err = tx.AdvisoryRevision(ctx); err != nil {
			return err
		}
		for _, j := range list {
			if j.advisories >= 0 && j.advisories != revision {
				return registry.ErrOutdated
			}
			if err := s.replaceVerdict(ctx, tx, j); err != nil {
				return err
			}
		}
		return nil
	})
}

// pullVerdict judges one stored manifest. What was never analysed is, if a rule
// reads what that brings.
func (s *Service) pullVerdict(ctx context.Context, r *rules, k meta.ManifestKey) (judged, error) {
	j := judged{key: k, advisories: -1}
	m, err := s.meta.Manifest(ctx, k.Repo, k.Digest)
	if err != nil {
		return j, err
	}
	sub, err := s.read(ctx, m)
	if err != nil {
		return j, err
	}
	if r.needs(k.Repo, policy.Pull).Wasm() {
		if sub.files, err = s.files(ctx, sub, true, false); err != nil {
			return j, err
		}
	}
	result, err := s.judge(ctx, r, sub, policy.PrincipalFacts{}, policy.Pull)
	if err != nil {
		return j, err
	}
	if sub.materials != nil {
		j.advisories = sub.materials.revision
	}
	j.subject = sub
	j.verdict, err = verdict(result, r.revision)
	return j, err
}

// replaceVerdict stores a verdict, and has the index follow if it is another.
func (s *Service) replaceVerdict(ctx context.Context, tx meta.Tx, j judged) error {
	m, err := tx.Manifest(ctx, j.key.Repo, j.key.Digest)
	if absent(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := s.signaturesCurrent(ctx, tx, j.subject); err != nil {
		return err
	}
	if err := s.setVerdict(ctx, tx, m, j.verdict); err != nil {
		return err
	}
	if m.Verdict == j.verdict.State {
		return nil
	}
	if s.o.Signer != nil {
		return s.scanAgain(ctx, tx, j.key.Repo, j.key.Digest) // what it says of the verdict is signed
	}
	return s.enqueue(ctx, tx, JobIndex, j.key, payload{})
}
