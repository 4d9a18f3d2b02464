package ingest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/wreg-project/wreg/registry"
	"github.com/wreg-project/wreg/registry/jobs"
	"github.com/wreg-project/wreg/registry/policy"
	"github.com/wreg-project/wreg/storage/meta"
)

// stages are what every manifest goes through after its push, in this order. A
// stage finds something out, or stores something that is the same each time, and
// leaves the rest to the transaction at the end, which commit is. A crash between
// two of them has the job begin again: what the first ones found is there.
var stages = []stage{
	{"inspect", (*Service).inspectStage, true}, // the Wasm in the layers, whatever their media types
	{"sbom", (*Service).sbomStage, false},      // what the files were made of, in the forms that are kept
	{"verify", (*Service).verifyStage, true},   // who signed it, and what they attest
	{"scan", (*Service).scanStage, true},       // what advisories and the publisher say of that
	{"policy", (*Service).policyStage, true},   // what rules make of the push, and of pulls from now on
	{"aot", (*Service).aotStage, true},         // which native code the rules want of it
	{"attest", (*Service).attestStage, true},   // what of this the installation signs
	{"report", (*Service).reportStage, true},   // all that is derived, as referrers
	{"index", (*Service).indexStage, true},     // the document that searches find
}

type stage struct {
	name string
	run  func(s *Service, ctx context.Context, r *ingestion) error
	scan bool // part of a job of kind scan as well
}

// An ingestion is one manifest on its way through the stages.
type ingestion struct {
	job      meta.Job
	push     payload
	manifest meta.Manifest
	sub      *subject

	derived  []registry.Derived // beside the report
	rules    *rules
	verdict  meta.Verdict
	decision *meta.Decision // nil if no rule had anything to say, or it was said before
	native   []meta.NewAOTJob
	document *meta.Document // nil for what has no document
}

// maxOutdated is how often a manifest is judged again within one job because
// policies or advisories changed.
const maxOutdated = 3

// scanOnly reports whether nothing but what is said about the manifest changed.
func (r *ingestion) scanOnly() bool { return r.job.Kind == JobScan }

// ingest does one job of the kinds ingest, reingest and scan.
func (s *Service) ingest(ctx context.Context, j meta.Job) error {
	var err error
	for range maxOutdated {
		if err = s.ingestOnce(ctx, j); !errors.Is(err, registry.ErrOutdated) {
			break
		}
	}
	return err
}

func (s *Service) ingestOnce(ctx context.Context, j meta.Job) error {
	r := &ingestion{job: j}
	if len(j.Payload) > 0 {
		if err := json.Unmarshal(j.Payload, &r.push); err != nil {
			return jobs.Permanent(fmt.Errorf("payload: %w", err))
		}
	}
	k := parseKey(j.Key)
	m, err := s.meta.Manifest(ctx, k.Repo, k.Digest)
	if absent(err) {
		return nil // deleted since: there is nothing to do
	}
	if err != nil {
		return err
	}
	r.manifest = m
	if r.scanOnly() && m.Ingested < Version {
		return nil // its own job does it
	}
	for _, st := range stages {
		if r.scanOnly() && !st.scan {
			continue
		}
		began := time.Now()
		if err := st.run(s, ctx, r); err != nil {
			if absent(err) && s.isGone(ctx, k) {
				return nil
			}
			return fmt.Errorf("%s: %w", st.name, err)
		}
		s.log.LogAttrs(ctx, slog.LevelDebug, "stage done", slog.String("stage", st.name), slog.String("repo", k.Repo),
			slog.String("digest", k.Digest.String()), slog.Duration("took", time.Since(began)))
	}
	return s.commit(ctx, r)
}

func (s *Service) isGone(ctx context.Context, k meta.ManifestKey) bool {
	_, err := s.meta.Manifest(ctx, k.Repo, k.Digest)
	return absent(err)
}

// inspectStage reads the manifest and looks through its blobs.
func (s *Service) inspectStage(ctx context.Context, r *ingestion) (err error) {
	if r.sub, err = s.read(ctx, r.manifest); err != nil {
		return jobs.Permanent(err) // it was read when it was pushed
	}
	r.sub.files, err = s.files(ctx, r.sub, true, true)
	return err
}

// policyStage judges pulls, and the push if that was not judged before it.
func (s *Service) policyStage(ctx context.Context, r *ingestion) (err error) {
	if r.rules, err = s.policies.load(ctx); err != nil {
		return err
	}
	pull, err := s.judge(ctx, r.rules, r.sub, policy.PrincipalFacts{}, policy.Pull)
	if err != nil {
		return err
	}
	if r.verdict, err = verdict(pull, r.rules.revision); err != nil {
		return err
	}
	if r.push.Action == "" || r.manifest.Ingested >= Version && r.push.Action == string(policy.Push) {
		return nil
	}
	actions := []policy.Action{policy.Push}
	if len(r.push.Tags) > 0 {
		actions = append(actions, policy.Tag)
	}
	by := policy.Principal{Name: r.push.Principal}
	result, err := s.judge(ctx, r.rules, r.sub, by.Facts(), actions...)
	if err != nil || result.Rules == 0 {
		return err
	}
	violations, err := json.Marshal(result.Violations)
	if err != nil {
		return fmt.Errorf("violations: %w", err)
	}
	r.decision = &meta.Decision{
		Repo: r.sub.Repo, Digest: r.sub.Digest, Tags: r.push.Tags, Action: r.push.Action, Principal: by.Name,
		Outcome: state(result.Outcome), Revision: r.rules.revision, Violations: violations,
	}
	return nil
}

// commit writes what the stages found out, and ends the job with it: done once,
// it is not done again.
func (s *Service) commit(ctx context.Context, r *ingestion) error {
	now := s.now().UTC()
	k := meta.ManifestKey{Repo: r.sub.Repo, Digest: r.sub.Digest}
	err := s.meta.Update(ctx, func(ctx context.Context, tx meta.Tx) error {
		m, err := tx.Manifest(ctx, k.Repo, k.Digest)
		if absent(err) {
			return s.finish(ctx, tx, r.job) // its document went with it
		}
		if err != nil {
			return err
		}
		revision, err := tx.PolicyRevision(ctx)
		if err != nil {
			return err
		}
		if revision != r.rules.revision {
			return fmt.Errorf("policies are at revision %d, not %d: %w", revision, r.rules.revision, registry.ErrOutdated)
		}
		if err := s.setVerdict(ctx, tx, m, r.verdict); err != nil {
			return err
		}
		if r.decision != nil {
			r.decision.Time = now
			if _, err := tx.PutDecision(ctx, *r.decision); err != nil {
				return err
			}
		}
		if err := r.sub.materials.put(ctx, tx); err != nil {
			return err
		}
		if err := s.putSignatures(ctx, tx, r.sub); err != nil {
			return err
		}
		if err := s.putWanted(ctx, tx, r.sub, r.native); err != nil {
			return err
		}
		if err := s.putDocument(ctx, tx, r.sub, r.document); err != nil {
			return err
		}
		if m.Ingested < Version {
			if err := tx.SetIngested(ctx, k.Repo, k.Digest, Version); err != nil {
				return err
			}
			if err := s.tellIngested(ctx, tx, r, now); err != nil {
				return err
			}
		}
		if m.Ingested < Version || r.scanOnly() {
			if err := s.attachedChanged(ctx, tx, r.sub.Admission); err != nil {
				return err
			}
		}
		return s.finish(ctx, tx, r.job)
	})
	if err != nil {
		return err
	}
	return jobs.ErrFinished
}

// finish ends a job in the transaction of its work.
func (s *Service) finish(ctx context.Context, tx meta.Tx, j meta.Job) error {
	return tx.FinishJob(ctx, j.ID, j.Holder, s.now().UTC())
}

// ingested is the detail of the event.
type ingested struct {
	Files   int    `json:"files"` // that hold Wasm
	Verdict string `json:"verdict,omitempty"`
}

func (s *Service) tellIngested(ctx context.Context, tx meta.Tx, r *ingestion, now time.Time) error {
	detail, err := json.Marshal(ingested{Files: len(r.sub.files), Verdict: verdictName(r.verdict.State)})
	if err != nil {
		return err
	}
	return tx.PutEvent(ctx, meta.Event{
		Time: now, Kind: registry.EventIngested, Repo: r.sub.Repo, Digest: r.sub.Digest, Actor: r.push.Principal, Detail: detail,
	})
}

// setVerdict stores a verdict on m, with an event if it makes a difference to
// those who pull.
func (s *Service) setVerdict(ctx context.Context, tx meta.Tx, m meta.Manifest, v meta.Verdict) error {
	if err := tx.SetVerdict(ctx, m.Repo, m.Digest, v); err != nil {
		return err
	}
	plain := func(s meta.VerdictState) bool { return s == meta.VerdictNone || s == meta.VerdictAllow }
	if v.State == m.Verdict || plain(v.State) && plain(m.Verdict) {
		return nil
	}
	a, err := registry.ReadManifest(m)
	if err != nil {
		return err
	}
	if err := s.attachedChanged(ctx, tx, a); err != nil {
		return err
	}
	detail, err := json.Marshal(map[string]string{"from": verdictName(m.Verdict), "to": verdictName(v.State)})
	if err != nil {
		return err
	}
	return tx.PutEvent(ctx, meta.Event{
		Time: s.now().UTC(), Kind: registry.EventVerdict, Repo: m.Repo, Digest: m.Digest, Detail: detail,
	})
}

func verdictName(s meta.VerdictState) string {
	switch s {
	case meta.VerdictAllow:
		return string(policy.Allowed)
	case meta.VerdictWarn:
		return string(policy.Warned)
	case meta.VerdictDeny:
		return string(policy.Denied)
	default:
		return ""
	}
}
