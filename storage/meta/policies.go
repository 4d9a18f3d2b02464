package meta

import (
	"context"
	"encoding/json"
	"time"

	"github.com/opencontainers/go-digest"
)

// PolicyReader reads policies, what they decided, and what people decided about
// that. The texts of policies and the violations are not looked into here.
// Repositories go by name and need not exist: what was refused may be the first
// that anyone pushed to one.
type PolicyReader interface {
	// PolicyRevision grows with every change of a policy or approval: a server
	// that compiled the policies of this revision has the current ones.
	PolicyRevision(ctx context.Context) (int64, error)
	// Policies are the current versions, by name; those deleted are absent.
	Policies(ctx context.Context) ([]Policy, error)
	// PolicyVersions are all versions of one policy, newest first.
	PolicyVersions(ctx context.Context, name string) ([]Policy, error)
	// Decisions lists decisions that v may see, newest first, with ids below
	// before unless that is zero. Here and below a limit under one is no limit.
	Decisions(ctx context.Context, v Visibility, f DecisionFilter, before int64, limit int) ([]Decision, error)
	// Approvals lists the approvals in force, newest first, that v may see; those
	// of one repository and of one digest if repo and d are not "".
	Approvals(ctx context.Context, v Visibility, repo string, d digest.Digest) ([]Approval, error)
	// Quarantined is the refused manifest, ErrNotFound if there is none or its
	// time is over.
	Quarantined(ctx context.Context, repo string, d digest.Digest, now time.Time) (Quarantine, error)
	// Quarantine lists what is held back and that v may see, in order of
	// (repo, digest), without contents.
	Quarantine(ctx context.Context, v Visibility, after ManifestKey, limit int, now time.Time) ([]Quarantine, error)
	// QuarantineHolds reports whether a manifest of repo whose time in quarantine is
	// not over pins d.
	QuarantineHolds(ctx context.Context, repo string, d digest.Digest, now time.Time) (bool, error)
}

// PolicyWriter writes them. Policies and approvals are journaled, as nothing
// else could bring them back, and come back with the versions and revisions
// they had. Decisions and quarantine are neither journaled nor dumped: a
// rebuilt database begins without them, and counts decisions from one.
type PolicyWriter interface {
	// PutPolicy stores a new version of a policy and returns it with its version
	// and revision, whatever p says of these. The source of the current version
	// again changes nothing, and returns that.
	PutPolicy(ctx context.Context, p Policy) (Policy, error)
	// DeletePolicy ends a policy: its last version says so, and the ones before
	// stay. A policy put under the name later counts on. ErrNotFound if there is
	// none.
	DeletePolicy(ctx context.Context, name, by string, at time.Time) error
	// PutDecision returns the id, which rises and is never used twice. d.ID is
	// ignored.
	PutDecision(ctx context.Context, d Decision) (int64, error)
	// PutApproval approves a digest in a repository, in place of an earlier
	// approval of the same rule. It stays until it is withdrawn, whatever becomes
	// of the repository.
	PutApproval(ctx context.Context, a Approval) error
	// DeleteApproval withdraws one. ErrNotFound if there is none.
	DeleteApproval(ctx context.Context, repo string, d digest.Digest, rule string) error
	// PutQuarantine holds a refused manifest and its blobs until q.Until, in place
	// of what was held of that digest before: no collection takes them until
	// ExpireQuarantine or ReleaseQuarantine let go of them. It ends with its
	// repository.
	PutQuarantine(ctx context.Context, q Quarantine) error
	// ReleaseQuarantine removes one; there may be none.
	ReleaseQuarantine(ctx context.Context, repo string, d digest.Digest) error
	// ExpireQuarantine removes what is in quarantine and whose time is over, and
	// decisions from the oldest to the first that is not older than the given
	// time, at most MaxForgotten of them. It returns how many of both there were.
	ExpireQuarantine(ctx context.Context, now, decisionsBefore time.Time) (int64, error)
}

// Policy is one version of a policy.
type Policy struct {
	Name     string
	Version  int64 // counts from one for each name
	Revision int64 // counts all changes of policies and approvals
	Source   string
	Author   string
	Created  time.Time
	Deleted  bool // by this version, which has no source
}

// Decision is what policy said once.
type Decision struct {
	ID         int64
	Time       time.Time
	Repo       string
	Digest     digest.Digest
	Tags       []string
	Action     string // of package policy: "push", "tag", "pull", "promote"
	Principal  string
	Outcome    VerdictState
	Revision   int64
	Violations json.RawMessage // a JSON array
}

// DecisionFilter chooses decisions; the zero value chooses all.
type DecisionFilter struct {
	Repo    string
	Digest  digest.Digest
	Outcome VerdictState // at least this bad
}

// Approval lets a digest pass in spite of a rule.
type Approval struct {
	Repo   string
	Digest digest.Digest
	Rule   string // "policy/rule", "" for every rule
	By     string
	Reason string
	Time   time.Time
}

// Quarantine is a manifest that was refused.
type Quarantine struct {
	Repo      string
	Digest    digest.Digest
	MediaType string
	Content   []byte
	Blobs     []digest.Digest
	Tags      []string
	Uploader  string
	Decision  int64 // id
	Created   time.Time
	Until     time.Time
}
