package ingest

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/registry"
	"github.com/wreg-project/wreg/registry/policy"
	"github.com/wreg-project/wreg/signing"
	"github.com/wreg-project/wreg/storage/meta"
)

// SettingBrokenWasm names the setting behind Options.StoreBroken, for messages.
const SettingBrokenWasm = "registry.broken_wasm"

// payload is what the job behind a push knows about it.
type payload struct {
	Principal string   `json:"principal,omitempty"`
	Tags      []string `json:"tags,omitempty"`
	Action    string   `json:"action,omitempty"` // "push" or "tag"; "" if it was judged before
}

// A push is one judgement.
type push struct {
	s      *Service
	sub    *subject
	rules  *rules
	stored *meta.Manifest // nil if the repository does not hold it

	enforced bool          // judged now, and not behind the push
	result   policy.Result // about the push itself
	verdict  meta.Verdict  // about pulls from now on
}

// Admit implements registry.Admitter.
func (s *Service) Admit(ctx context.Context, a registry.Admission) (registry.Admitted, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.o.AdmitTimeout)
	defer cancel()
	p, err := s.push(ctx, a)
	if err != nil {
		return registry.Admitted{}, err
	}
	if err := p.forged(); err != nil {
		return registry.Admitted{}, err
	}
	if err := s.checkWorker(ctx, a); err != nil {
		return registry.Admitted{}, err
	}
	if err := p.inspect(ctx); err != nil {
		return registry.Admitted{}, err
	}
	count := &s.analyser.stats
	if p.enforced {
		if err := p.judge(ctx); err != nil {
			return registry.Admitted{}, err
		}
		if p.result.Outcome == policy.Denied {
			count.refused.Add(1)
			return registry.Admitted{}, p.refuse(ctx)
		}
	}
	count.admitted.Add(1)
	return registry.Admitted{Commit: p.commit}, nil
}

// push reads what is there before.
func (s *Service) push(ctx context.Context, a registry.Admission) (*push, error) {
	r, err := s.policies.load(ctx)
	if err != nil {
		return nil, err
	}
	p := &push{s: s, rules: r, enforced: r.enforces(a.Repo), sub: &subject{Admission: a, tags: slices.Clone(a.Tags)}}
	m, err := s.meta.Manifest(ctx, a.Repo, a.Digest)
	if absent(err) {
		return p, nil
	}
	if err != nil {
		return nil, fmt.Errorf("manifest %s of %s: %w", a.Digest, a.Repo, err)
	}
	p.stored = &m
	tags, err := s.meta.ManifestTags(ctx, a.Repo, a.Digest)
	if err != nil {
		return nil, fmt.Errorf("tags of %s in %s: %w", a.Digest, a.Repo, err)
	}
	for _, tag := range tags {
		if !slices.Contains(p.sub.tags, tag) {
			p.sub.tags = append(p.sub.tags, tag)
		}
	}
	return p, nil
}

// forged refuses a manifest that says it was made by this installation: what is
// replaced and believed by that name has to be ours.
func (p *push) forged() error {
	if p.stored != nil || p.sub.Annotations[registry.AnnotationProducer] != p.s.o.Producer {
		return nil
	}
	return &registry.Error{
		Code: registry.Denied,
		Message: "the annotation " + registry.AnnotationProducer + " names this registry, which alone writes it: " +
			"leave it out, or let the registry make its own",
		Detail: map[string]any{"name": p.sub.Repo, "digest": p.sub.Digest},
	}
}

// inspect finds the files that the rules ask about, and refuses layers that say
// they are Wasm and are not.
func (p *push) inspect(ctx context.Context) error {
	all := p.enforced && p.rules.needs(p.sub.Repo, policy.Push, policy.Tag, policy.Pull).Wasm()
	strict := !p.s.o.StoreBroken && p.stored == nil && p.sub.claimsAny()
	if !all && !strict {
		return nil
	}
	files, err := p.s.files(ctx, p.sub, all, false)
	if err != nil {
		return fmt.Errorf("inspect %s for %s: %w", p.sub.Digest, p.sub.Repo, err)
	}
	if all {
		p.sub.files = files
	}
	if strict {
		return p.broken(files)
	}
	return nil
}

// broken is MANIFEST_INVALID for the first layer that says it is Wasm and is
// not. One that was not looked at gets the benefit of the doubt, unless a policy
// says otherwise.
func (p *push) broken(files []file) error {
	for _, f := range files {
		if f.Report.Valid || f.Path != "" || f.Digest == "" || f.index > 0 || f.Report.Problem == errPanicked.Error() || !p.sub.claims(f.layer) {
			continue
		}
		detail := map[string]any{
			"digest": f.layer.Digest, "mediaType": f.layer.MediaType, "reason": f.Report.Problem,
			"setting": SettingBrokenWasm, "value": "refuse",
		}
		if f.Offset >= 0 {
			detail["offset"] = f.Offset
		}
		p.s.analyser.stats.broken.Add(1)
		what := "the layer " + f.layer.Digest.String()
		if f.name != "" {
			what += " (" + f.name + ")"
		}
		return &registry.Error{
			Code: registry.ManifestInvalid,
			Message: what + " says it is WebAssembly and is not valid: " + f.Report.Problem +
				". Build it again or give it another media type (" + SettingBrokenWasm + " is refuse)",
			Detail: detail,
		}
	}
	return nil
}

// judge asks the rules about the push, and about pulls from then on.
func (p *push) judge(ctx context.Context) error {
	by := p.sub.Caller.Facts()
	actions := []policy.Action{policy.Push}
	if len(p.sub.Tags) > 0 {
		actions = append(actions, policy.Tag)
	}
	var err error
	if p.result, err = p.s.judge(ctx, p.rules, p.sub, by, actions...); err != nil {
		return err
	}
	pull, err := p.s.judge(ctx, p.rules, p.sub, policy.PrincipalFacts{}, policy.Pull)
	if err != nil {
		return err
	}
	p.verdict, err = verdict(pull, p.rules.revision)
	return err
}

// action is what the push is called in decisions: naming what is stored, or more.
func (p *push) action() policy.Action {
	if p.stored != nil {
		return policy.Tag
	}
	return policy.Push
}

func (p *push) decision() (meta.Decision, error) {
	violations, err := json.Marshal(p.result.Violations)
	if err != nil {
		return meta.Decision{}, fmt.Errorf("violations: %w", err)
	}
	return meta.Decision{
		Time: p.s.now().UTC(), Repo: p.sub.Repo, Digest: p.sub.Digest, Tags: p.sub.Tags, Action: string(p.action()),
		Principal: p.sub.Caller.Name, Outcome: state(p.result.Outcome), Revision: p.rules.revision, Violations: violations,
	}, nil
}

// commit writes what follows from an admitted push, in its transaction.
func (p *push) commit(ctx context.Context, tx meta.Tx, w registry.Written) error {
	revision, err := tx.PolicyRevision(ctx)
	if err != nil {
		return err
	}
	if revision != p.rules.revision {
		return fmt.Errorf("policies are at revision %d, not %d: %w", revision, p.rules.revision, registry.ErrOutdated)
	}
	if err := p.s.signaturesCurrent(ctx, tx, p.sub); err != nil {
		return err
	}
	if !w.Created && len(w.Moved) == 0 {
		return nil
	}
	job := payload{Principal: p.sub.Caller.Name, Tags: p.sub.Tags, Action: string(p.action())}
	if p.enforced {
		job = payload{}
		if err := tx.SetVerdict(ctx, p.sub.Repo, p.sub.Digest, p.verdict); err != nil {
			return err
		}
		if err := p.record(ctx, tx); err != nil {
			return err
		}
	}
	if w.Created {
		if err := tx.ReleaseQuarantine(ctx, p.sub.Repo, p.sub.Digest); err != nil {
			return err
		}
	}
	if err := p.s.enqueue(ctx, tx, JobIngest, meta.ManifestKey{Repo: p.sub.Repo, Digest: p.sub.Digest}, job); err != nil {
		return err
	}
	if err := p.yield(ctx, tx, w.Moved); err != nil {
		return err
	}
	return p.s.TagsMoved(ctx, tx, p.sub.Repo, w.Moved)
}

// yield has the attestations make way for signatures that come by tags of cosign.
func (p *push) yield(ctx context.Context, tx meta.Tx, moved []registry.TagMoved) error {
	if !slices.ContainsFunc(p.sub.Layers, func(l registry.Descriptor) bool { return signing.IsCosign(l.MediaType) }) {
		return nil
	}
	for _, t := range moved {
		if d := signing.CosignSubject(t.Tag); d != "" {
			if err := p.s.yieldToTag(ctx, tx, p.sub.Repo, d); err != nil {
				return err
			}
		}
	}
	return nil
}

// record keeps a decision that any rule had a part in.
func (p *push) record(ctx context.Context, tx meta.Tx) error {
	if p.result.Rules == 0 {
		return nil
	}
	d, err := p.decision()
	if err != nil {
		return err
	}
	_, err = tx.PutDecision(ctx, d)
	return err
}

// enqueue adds a job about a manifest.
func (s *Service) enqueue(ctx context.Context, tx meta.Tx, kind string, k meta.ManifestKey, p payload) error {
	text, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("payload of a job: %w", err)
	}
	_, err = tx.Enqueue(ctx, meta.NewJob{Kind: kind, Key: key(k), Repo: k.Repo, Payload: text, Due: s.now().UTC()})
	return err
}

// TagsMoved has the index follow in the transaction that moves or deletes tags, and
// what is signed by cosign's tags be verified again.
func (s *Service) TagsMoved(ctx context.Context, tx meta.Tx, repo string, moved []registry.TagMoved) error {
	var ds []digest.Digest
	for _, t := range moved {
		if t.From != "" {
			ds = append(ds, t.From)
		}
		if d := signing.CosignSubject(t.Tag); d != "" {
			if err := s.scanAgain(ctx, tx, repo, d); err != nil {
				return err
			}
		}
	}
	return s.Changed(ctx, tx, repo, ds)
}

// Changed has the index follow in the transaction that changes what people say
// about tags of repo, which point to ds.
func (s *Service) Changed(ctx context.Context, tx meta.Tx, repo string, ds []digest.Digest) error {
	seen := map[digest.Digest]bool{}
	for _, d := range ds {
		if seen[d] {
			continue
		}
		seen[d] = true
		if err := s.enqueue(ctx, tx, JobIndex, meta.ManifestKey{Repo: repo, Digest: d}, payload{}); err != nil {
			return err
		}
	}
	return nil
}

// refuse keeps what was refused and why, in a transaction of its own, and
// returns the refusal. Nothing can be pulled of it; approvers find the bytes in
// quarantine.
func (p *push) refuse(ctx context.Context) error {
	// No job comes after a refusal: what was found is stored now.
	if len(p.sub.files) > 0 {
		if _, err := p.s.files(ctx, p.sub, true, true); err != nil {
			return fmt.Errorf("inspect %s for %s: %w", p.sub.Digest, p.sub.Repo, err)
		}
	}
	now := p.s.now().UTC()
	err := p.s.meta.Update(ctx, func(ctx context.Context, tx meta.Tx) error {
		again, err := p.refusedBefore(ctx, tx)
		if err != nil || again {
			return err
		}
		d, err := p.decision()
		if err != nil {
			return err
		}
		id, err := tx.PutDecision(ctx, d)
		if err != nil {
			return err
		}
		if err := p.tell(ctx, tx, id); err != nil || p.stored != nil {
			return err // what is stored already is not taken away by a push
		}
		if _, err := tx.Repository(ctx, p.sub.Repo); absent(err) {
			return nil // nor was there ever a blob
		} else if err != nil {
			return err
		}
		return tx.PutQuarantine(ctx, meta.Quarantine{
			Repo: p.sub.Repo, Digest: p.sub.Digest, MediaType: p.sub.MediaType, Content: p.sub.Content, Blobs: p.held(),
			Tags: p.sub.Tags, Uploader: p.sub.Caller.Name, Decision: id, Created: now, Until: now.Add(p.s.o.Quarantine),
		})
	})
	if err != nil {
		return fmt.Errorf("refuse %s in %s: %w", p.sub.Digest, p.sub.Repo, err)
	}
	return registry.Refusal(p.sub.Repo, p.sub.Digest, "policy refuses this package", p.result.Denials())
}

// held are the blobs of the manifest that the repository has.
func (p *push) held() []digest.Digest {
	var ds []digest.Digest
	for _, b := range p.sub.blobs() {
		if !slices.Contains(p.sub.Absent, b.Digest) {
			ds = append(ds, b.Digest)
		}
	}
	return ds
}

// refusedBefore reports whether the same caller was refused the same by the same
// policies: a client in a loop fills no database.
func (p *push) refusedBefore(ctx context.Context, tx meta.Tx) (bool, error) {
	last, err := tx.Decisions(ctx, meta.Visibility{Everything: true}, meta.DecisionFilter{Repo: p.sub.Repo, Digest: p.sub.Digest}, 0, 1)
	if err != nil || len(last) == 0 {
		return false, err
	}
	d := last[0]
	if d.Outcome != meta.VerdictDeny || d.Revision != p.rules.revision || d.Principal != p.sub.Caller.Name ||
		!slices.Equal(d.Tags, p.sub.Tags) {
		return false, nil
	}
	if p.stored != nil {
		return true, nil
	}
	_, err = tx.Quarantined(ctx, p.sub.Repo, p.sub.Digest, p.s.now().UTC())
	if absent(err) {
		return false, nil
	}
	return err == nil, err
}

// tell writes the event of a refusal.
func (p *push) tell(ctx context.Context, tx meta.Tx, decision int64) error {
	var rules []string
	for _, v := range p.result.Denials() {
		if !slices.Contains(rules, v.ID()) {
			rules = append(rules, v.ID())
		}
	}
	detail, err := json.Marshal(map[string]any{"decision": decision, "rules": rules[:min(len(rules), 20)]})
	if err != nil {
		return err
	}
	tag := ""
	if len(p.sub.Tags) > 0 {
		tag = p.sub.Tags[0]
	}
	return tx.PutEvent(ctx, meta.Event{
		Time: p.s.now().UTC(), Kind: registry.EventRefused, Repo: p.sub.Repo, Digest: p.sub.Digest, Tag: tag,
		Actor: p.sub.Caller.Name, Detail: detail,
	})
}
