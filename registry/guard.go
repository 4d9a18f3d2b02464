package registry

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/registry/policy"
	"github.com/wreg-project/wreg/storage/meta"
)

// A Caller is who asks for a blob, with what else they may do if that decides
// whether they see it.
type Caller struct {
	policy.Principal
	Approver bool // of the repository
}

// checkGuard is meta.ErrNotFound for a blob of a guarded repository that no
// admitted manifest names. Whoever uploaded it sees it, as clients look whether
// their upload is there, and approvers see what is in quarantine.
func (r *Registry) checkGuard(ctx context.Context, db meta.Reader, repo string, b meta.Blob, by Caller) error {
	if r.opts.Guarded == nil || !r.opts.Guarded(repo) {
		return nil
	}
	if !by.Anonymous() && b.Uploader == by.Name {
		return nil
	}
	ok, err := db.BlobAdmitted(ctx, repo, b.Digest)
	if err == nil && !ok && by.Approver {
		ok, err = db.QuarantineHolds(ctx, repo, b.Digest, r.now().UTC())
	}
	if err == nil && !ok {
		err = fmt.Errorf("%w: blob %s is in no admitted manifest", meta.ErrNotFound, b.Digest)
	}
	return err
}

// checkVerdict is DENIED for a manifest that policy does not let be served, and
// TOOMANYREQUESTS, upon which clients try again, for one that it has to judge
// first.
func (r *Registry) checkVerdict(ctx context.Context, m meta.Manifest) error {
	switch {
	case m.Verdict == meta.VerdictNone && m.Ingested == 0 && r.opts.PullsJudged != nil && r.opts.PullsJudged(m.Repo):
		return &Error{
			Code: TooManyRequests, Message: "policy has not judged this package yet: it is being inspected, try again in a moment",
			Detail: fields{"name": m.Repo, "digest": m.Digest},
		}
	case m.Verdict != meta.VerdictDeny:
		return nil
	}
	broken, err := r.violations(ctx, m, policy.Enforce)
	if err != nil {
		return err
	}
	return Refusal(m.Repo, m.Digest, "this package is not served any more", broken)
}

// Warning is what policy wants the caller to be told of a manifest that is
// served, "" for nothing.
func (r *Registry) Warning(ctx context.Context, m meta.Manifest) (string, error) {
	if m.Verdict != meta.VerdictWarn {
		return "", nil
	}
	broken, err := r.violations(ctx, m, policy.Warn)
	if err != nil || len(broken) == 0 {
		return "", err
	}
	text := broken[0].Reason()
	if more := len(broken) - 1; more > 0 {
		text += fmt.Sprintf(" (and %d more)", more)
	}
	return text, nil
}

// violations are the reasons of the verdict on m that count: those of rules in
// the given mode that nobody approved.
func (r *Registry) violations(ctx context.Context, m meta.Manifest, mode policy.Mode) ([]policy.Violation, error) {
	v, err := r.meta.Verdict(ctx, m.Repo, m.Digest)
	if absent(err) {
		return nil, unknown(err, ManifestUnknown, m.Repo, "digest", m.Digest.String()) // gone since
	}
	if err != nil {
		return nil, fmt.Errorf("verdict on %s of %s: %w", m.Digest, m.Repo, err)
	}
	var all, count []policy.Violation
	if len(v.Reasons) > 0 {
		if err := json.Unmarshal(v.Reasons, &all); err != nil {
			return nil, fmt.Errorf("verdict on %s of %s: %w", m.Digest, m.Repo, err)
		}
	}
	for _, violation := range all {
		if violation.Mode == mode && !violation.Approved {
			count = append(count, violation)
		}
	}
	return count, nil
}

// maxRefusals bounds the violations that one answer lists.
const maxRefusals = 20

// Refusal is the error of a manifest that policy refuses: the first violation
// is in its message, the others are in its detail.
func Refusal(repo string, d digest.Digest, what string, broken []policy.Violation) *Error {
	e := &Error{Code: Denied, Message: what, Detail: fields{"name": repo, "digest": d}}
	if len(broken) > 0 {
		e.Message += ": " + broken[0].Reason()
		e.Detail = fields{"name": repo, "digest": d, "violations": broken[:min(len(broken), maxRefusals)]}
	}
	return e
}
