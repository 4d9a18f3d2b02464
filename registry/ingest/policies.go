package ingest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/registry/policy"
	"github.com/wreg-project/wreg/storage/meta"
)

// rules are the policies of one revision, compiled.
type rules struct {
	revision int64
	set      *policy.Set
	names    []string // "name@version" of what set was made from

	sum     digest.Digest // of the policies as they were written
	changed time.Time     // when the last of them was

	// broken are policies that this version of the program cannot compile. What
	// they are about is refused: a rule that is not understood may be the one that
	// matters.
	broken []brokenPolicy
}

type brokenPolicy struct {
	name  string
	scope policy.Scope
	known bool // scope could be read
	err   error
}

// about reports whether the policy may have had something to say about a in repo.
func (b *brokenPolicy) about(repo string, a policy.Action) bool {
	if !b.known {
		return true
	}
	return b.scope.Contains(repo, a)
}

// enforces reports whether a push to repo has to be judged before it is stored.
func (r *rules) enforces(repo string) bool {
	return r.enforcesAny(repo, policy.Push, policy.Tag, policy.Pull)
}

func (r *rules) enforcesAny(repo string, actions ...policy.Action) bool {
	for _, a := range actions {
		if r.set.Enforces(repo, a) || slices.ContainsFunc(r.broken, func(b brokenPolicy) bool { return b.about(repo, a) }) {
			return true
		}
	}
	return false
}

// needs are the facts that rules about any of the actions in repo read.
func (r *rules) needs(repo string, actions ...policy.Action) policy.Needs {
	var n policy.Needs
	for _, a := range actions {
		one := r.set.Needs(repo, a)
		n.Report = n.Report || one.Report
		n.Capabilities = n.Capabilities || one.Capabilities
		n.Previous = n.Previous || one.Previous
		n.SBOM = n.SBOM || one.SBOM
		n.Licenses = n.Licenses || one.Licenses
		n.Vulnerabilities = n.Vulnerabilities || one.Vulnerabilities
		n.Hashes = n.Hashes || one.Hashes
		n.Signatures = n.Signatures || one.Signatures
	}
	return n
}

// eval asks all rules about the facts of one manifest.
func (r *rules) eval(ctx context.Context, facts []*policy.Facts) policy.Result {
	result := policy.Result{Outcome: policy.Allowed, Violations: []policy.Violation{}}
	for _, f := range facts {
		result.Merge(r.set.Eval(ctx, f))
	}
	for _, b := range r.broken {
		if f := facts[0]; b.about(f.Package.Repository, f.Action) {
			result.Merge(policy.Result{Outcome: policy.Denied, Rules: 1, Violations: []policy.Violation{{
				Policy: b.name, Rule: "policy", Mode: policy.Enforce, Severity: policy.Critical, Error: true,
				Message: "the policy cannot be compiled any more, so that nothing passes it: " + b.err.Error(),
			}}})
		}
	}
	result.Violations = distinct(result.Violations)
	return result
}

// distinct drops what several files of a package have in common.
func distinct(vs []policy.Violation) []policy.Violation {
	type key struct{ id, file, message string }
	seen := map[key]bool{}
	return slices.DeleteFunc(vs, func(v policy.Violation) bool {
		k := key{v.ID(), v.File, v.Message}
		was := seen[k]
		seen[k] = true
		return was
	})
}

// policies holds the rules of the newest revision that was seen.
type policies struct {
	meta    meta.DB
	log     *slog.Logger
	loading sync.Mutex
	current atomic.Pointer[rules]
}

// last are the rules as they were last seen, for questions that cannot wait.
func (p *policies) last() *rules { return p.current.Load() }

// load gives the rules of the current revision, in one query unless that is new.
func (p *policies) load(ctx context.Context) (*rules, error) {
	revision, err := p.meta.PolicyRevision(ctx)
	if err != nil {
		return nil, fmt.Errorf("revision of the policies: %w", err)
	}
	if r := p.last(); r != nil && r.revision == revision {
		return r, nil
	}
	p.loading.Lock()
	defer p.loading.Unlock()
	// The revision is read first: policies that are newer than it belong to one
	// that is seen with the next question.
	if revision, err = p.meta.PolicyRevision(ctx); err != nil {
		return nil, fmt.Errorf("revision of the policies: %w", err)
	}
	last := p.last()
	if last != nil && last.revision == revision {
		return last, nil
	}
	stored, err := p.meta.Policies(ctx)
	if err != nil {
		return nil, fmt.Errorf("policies: %w", err)
	}
	next := compile(stored, last)
	next.revision = revision
	for _, b := range next.broken {
		p.log.LogAttrs(ctx, slog.LevelError, "policy does not compile, all that it is about is refused",
			slog.String("policy", b.name), slog.Any("err", b.err))
	}
	p.current.Store(next)
	return next, nil
}

// compile makes rules of the stored policies, or takes those of last if they
// were made of the same ones.
func compile(stored []meta.Policy, last *rules) *rules {
	r := &rules{}
	sum := digest.SHA256.Digester()
	for _, s := range stored {
		r.names = append(r.names, fmt.Sprintf("%s@%d", s.Name, s.Version))
		fmt.Fprintf(sum.Hash(), "%s@%d %d\n%s", s.Name, s.Version, len(s.Source), s.Source)
		if s.Created.After(r.changed) {
			r.changed = s.Created
		}
	}
	r.sum = sum.Digest()
	if last != nil && slices.Equal(r.names, last.names) {
		r.set, r.broken = last.set, last.broken
		return r
	}
	var good []*policy.Policy
	for _, s := range stored {
		p, err := policy.Parse([]byte(s.Source))
		if err != nil {
			r.broken = append(r.broken, brokenPolicy{name: s.Name, err: err})
			continue
		}
		p.Name = s.Name
		if _, err := policy.Compile(p); err != nil {
			r.broken = append(r.broken, brokenPolicy{name: s.Name, scope: p.Scope, known: true, err: err})
			continue
		}
		good = append(good, p)
	}
	set, err := policy.Compile(good...)
	if err != nil { // each of them compiles, and names are unique in the database
		r.broken = append(r.broken, brokenPolicy{name: "all", err: err})
		set, _ = policy.Compile()
	}
	r.set = set
	return r
}

// Policies are those in force, compiled. Stored policies that do not compile any
// more are not among them; see PolicyErrors.
func (s *Service) Policies(ctx context.Context) (*policy.Set, error) {
	r, err := s.policies.load(ctx)
	if err != nil {
		return nil, err
	}
	return r.set, nil
}

// PolicyErrors tells of stored policies that do not compile any more, by name.
// What they are about is refused until somebody mends or deletes them.
func (s *Service) PolicyErrors(ctx context.Context) (map[string]error, error) {
	r, err := s.policies.load(ctx)
	if err != nil {
		return nil, err
	}
	errs := map[string]error{}
	for _, b := range r.broken {
		errs[b.name] = b.err
	}
	return errs, nil
}

// Guarded reports whether policies are enforced in repo, so that its blobs are
// not shown before a manifest that names them was admitted. It answers from
// memory; other servers' changes of policies are seen within a second.
func (s *Service) Guarded(repo string) bool { return s.policies.last().enforces(repo) }

// PullsJudged reports whether policies are enforced on pulls from repo. It
// answers from memory as Guarded does.
func (s *Service) PullsJudged(repo string) bool {
	return s.policies.last().enforcesAny(repo, policy.Pull)
}

// approvals reports of a rule's ID whether somebody lets d pass in spite of it.
func approvals(ctx context.Context, db meta.Reader, sub *subject) (func(id string) bool, error) {
	list, err := db.Approvals(ctx, meta.Visibility{Everything: true}, sub.Repo, sub.Digest)
	if err != nil {
		return nil, fmt.Errorf("approvals of %s in %s: %w", sub.Digest, sub.Repo, err)
	}
	return func(id string) bool {
		return slices.ContainsFunc(list, func(a meta.Approval) bool { return a.Rule == "" || a.Rule == id })
	}, nil
}

// judge says what rules make of sub when by does the actions, in one result.
func (s *Service) judge(
	ctx context.Context, r *rules, sub *subject, by policy.PrincipalFacts, actions ...policy.Action,
) (policy.Result, error) {
	total := policy.Result{Outcome: policy.Allowed, Violations: []policy.Violation{}}
	for _, a := range actions {
		facts, err := s.facts(ctx, sub, a, by, r.needs(sub.Repo, a))
		if err != nil {
			return total, err
		}
		total.Merge(r.eval(ctx, facts))
	}
	total.Violations = distinct(total.Violations)
	if len(total.Violations) == 0 {
		return total, nil
	}
	approved, err := approvals(ctx, s.meta, sub)
	if err != nil {
		return total, err
	}
	total.Lift(approved)
	return total, nil
}

// verdict turns the result about pulls into what is stored with the manifest.
func verdict(r policy.Result, revision int64) (meta.Verdict, error) {
	v := meta.Verdict{Revision: revision, State: state(r.Outcome)}
	if r.Rules == 0 {
		v.State = meta.VerdictNone
	}
	if len(r.Violations) == 0 {
		return v, nil
	}
	reasons, err := json.Marshal(r.Violations)
	if err != nil {
		return v, fmt.Errorf("reasons of a verdict: %w", err)
	}
	v.Reasons = reasons
	return v, nil
}

func state(o policy.Outcome) meta.VerdictState {
	switch o {
	case policy.Denied:
		return meta.VerdictDeny
	case policy.Warned:
		return meta.VerdictWarn
	default:
		return meta.VerdictAllow
	}
}

// absent reports whether err says that a row or its repository is not there.
func absent(err error) bool {
	return errors.Is(err, meta.ErrNotFound) || errors.Is(err, meta.ErrRepository)
}

// key names a manifest in jobs, "team/app@sha256:…".
func key(k meta.ManifestKey) string { return k.Repo + "@" + k.Digest.String() }

// parseKey is the reverse of key. A repository's name has no "@".
func parseKey(s string) meta.ManifestKey {
	repo, d, _ := strings.Cut(s, "@")
	return meta.ManifestKey{Repo: repo, Digest: digest.Digest(d)}
}
