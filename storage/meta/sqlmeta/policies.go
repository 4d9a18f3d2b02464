package sqlmeta

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/storage/meta"
)

func (r reader) PolicyRevision(ctx context.Context) (int64, error) {
	var revision int64
	_, err := one(ctx, r.q, "policy_revision", nil, &revision)
	return revision, err
}

func (r reader) Policies(ctx context.Context) ([]meta.Policy, error) {
	return r.policies(ctx, "policies", nil)
}

func (r reader) PolicyVersions(ctx context.Context, name string) ([]meta.Policy, error) {
	return r.policies(ctx, "policy_versions", args(name))
}

func (r reader) policies(ctx context.Context, query string, params []any) ([]meta.Policy, error) {
	var out []meta.Policy
	err := each(ctx, r.q, query, params, func(rows *sql.Rows) error {
		var p meta.Policy
		if err := scanPolicy(rows, &p); err != nil {
			return r.q.fail(query, err)
		}
		out = append(out, p)
		return nil
	})
	return out, err
}

func scanPolicy(rows *sql.Rows, p *meta.Policy) error {
	return rows.Scan(&p.Name, &p.Version, &p.Revision, &p.Source, &p.Author, when{&p.Created}, flag{&p.Deleted})
}

// flag scans a number as a truth value.
type flag struct{ b *bool }

func (f flag) Scan(src any) error {
	n, ok := src.(int64)
	if !ok {
		return fmt.Errorf("a flag is stored as %T", src)
	}
	*f.b = n != 0
	return nil
}

// bit is what a flag is stored as.
func bit(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

func (r reader) Approvals(ctx context.Context, v meta.Visibility, repo string, d digest.Digest) ([]meta.Approval, error) {
	type ranked struct {
		meta.Approval
		revision int64
	}
	var all []ranked
	for _, s := range spansOf(v, repo) {
		query, params := "approvals", args(s.low, s.high)
		if d != "" {
			query, params = "approvals_of_digest", append(params, string(d))
		}
		err := each(ctx, r.q, query, params, func(rows *sql.Rows) error {
			var a ranked
			if err := scanApproval(rows, &a.Approval, &a.revision); err != nil {
				return r.q.fail(query, err)
			}
			all = append(all, a)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	slices.SortFunc(all, func(a, b ranked) int { return cmp.Compare(b.revision, a.revision) })
	var out []meta.Approval
	for _, a := range all {
		out = append(out, a.Approval)
	}
	return out, nil
}

func scanApproval(rows *sql.Rows, a *meta.Approval, revision *int64) error {
	return rows.Scan(&a.Repo, (*string)(&a.Digest), &a.Rule, &a.By, &a.Reason, when{&a.Time}, revision)
}

// spansOf are the spans of v, within one repository unless that is "".
func spansOf(v meta.Visibility, repo string) []span {
	all := spans(v)
	if repo == "" {
		return all
	}
	for _, s := range all {
		if s.low <= repo && repo < s.high {
			return []span{{repo, repo + after}}
		}
	}
	return nil
}

func (t *tx) PutPolicy(ctx context.Context, p meta.Policy) (meta.Policy, error) {
	if err := checkText("policy", p.Name, p.Author, p.Source); err != nil {
		return meta.Policy{}, err
	}
	last, err := t.lastPolicy(ctx, p.Name)
	if err != nil {
		return meta.Policy{}, err
	}
	if last.Version > 0 && !last.Deleted && last.Source == p.Source {
		return last, nil
	}
	p.Version, p.Deleted, p.Created = last.Version+1, false, stored(p.Created)
	return t.nextPolicy(ctx, p)
}

func (t *tx) DeletePolicy(ctx context.Context, name, by string, at time.Time) error {
	if err := checkText("policy", name, by); err != nil {
		return err
	}
	last, err := t.lastPolicy(ctx, name)
	if err != nil {
		return err
	}
	if last.Version == 0 || last.Deleted {
		return fmt.Errorf("%w: policy %s", meta.ErrNotFound, name)
	}
	_, err = t.nextPolicy(ctx, meta.Policy{
		Name: name, Version: last.Version + 1, Author: by, Created: stored(at), Deleted: true,
	})
	return err
}

// lastPolicy is the last version of a policy, the zero value if there is none.
func (t *tx) lastPolicy(ctx context.Context, name string) (meta.Policy, error) {
	found, err := t.policies(ctx, "last_policy", args(name))
	if err != nil || len(found) == 0 {
		return meta.Policy{}, err
	}
	return found[0], nil
}

// nextPolicy writes a version under the next revision.
func (t *tx) nextPolicy(ctx context.Context, p meta.Policy) (meta.Policy, error) {
	last, err := t.PolicyRevision(ctx)
	if err != nil {
		return meta.Policy{}, err
	}
	p.Revision = last + 1
	return p, t.writePolicy(ctx, p)
}

// writePolicy writes a version as it is.
func (t *tx) writePolicy(ctx context.Context, p meta.Policy) error {
	deleted := int64(0)
	op := meta.OpPutPolicy
	if p.Deleted {
		deleted, op = 1, meta.OpDeletePolicy
	}
	_, err := t.exec(ctx, "insert_policy", p.Name, p.Version, p.Revision, p.Source, p.Author, micros(p.Created), deleted)
	if err != nil {
		return err
	}
	t.record(meta.Record{Op: op, Time: stored(p.Created), Revision: p.Revision, Policy: policyRecord(p)})
	return t.setRevision(ctx, p.Revision)
}

// setRevision makes the revision at least that.
func (t *tx) setRevision(ctx context.Context, revision int64) error {
	_, err := t.exec(ctx, "set_policy_revision", revision)
	return err
}

func policyRecord(p meta.Policy) *meta.PolicyRecord {
	return &meta.PolicyRecord{Name: p.Name, Version: p.Version, Source: p.Source, Author: p.Author, Deleted: p.Deleted}
}

func newPolicy(p *meta.PolicyRecord, revision int64, created time.Time) meta.Policy {
	return meta.Policy{
		Name: p.Name, Version: p.Version, Revision: revision, Source: p.Source, Author: p.Author, Created: created,
		Deleted: p.Deleted,
	}
}

func (t *tx) PutApproval(ctx context.Context, a meta.Approval) error {
	last, err := t.PolicyRevision(ctx)
	if err != nil {
		return err
	}
	return t.writeApproval(ctx, a, last+1)
}

func (t *tx) writeApproval(ctx context.Context, a meta.Approval, revision int64) error {
	if err := checkText("approval", a.Repo, string(a.Digest), a.Rule, a.By, a.Reason); err != nil {
		return err
	}
	_, err := t.exec(ctx, "put_approval", a.Repo, string(a.Digest), a.Rule, a.By, a.Reason, micros(a.Time), revision)
	if err != nil {
		return err
	}
	t.record(meta.Record{
		Op: meta.OpPutApproval, Repo: a.Repo, Digest: a.Digest, Time: stored(a.Time), Revision: revision, Approval: approvalRecord(a),
	})
	return t.setRevision(ctx, revision)
}

func approvalRecord(a meta.Approval) *meta.ApprovalRecord {
	return &meta.ApprovalRecord{Rule: a.Rule, By: a.By, Reason: a.Reason}
}

func newApproval(a *meta.ApprovalRecord, repo string, d digest.Digest, at time.Time) meta.Approval {
	return meta.Approval{Repo: repo, Digest: d, Rule: a.Rule, By: a.By, Reason: a.Reason, Time: at}
}

func (t *tx) DeleteApproval(ctx context.Context, repo string, d digest.Digest, rule string) error {
	last, err := t.PolicyRevision(ctx)
	if err != nil {
		return err
	}
	return t.removeApproval(ctx, repo, d, rule, last+1)
}

func (t *tx) removeApproval(ctx context.Context, repo string, d digest.Digest, rule string, revision int64) error {
	removed, err := t.exec(ctx, "delete_approval", repo, string(d), rule)
	if err != nil {
		return err
	}
	if removed == 0 {
		return missing(repo, fmt.Sprintf("approval of %s for rule %q", d, rule))
	}
	t.record(meta.Record{
		Op: meta.OpDeleteApproval, Repo: repo, Digest: d, Revision: revision, Approval: &meta.ApprovalRecord{Rule: rule},
	})
	return t.setRevision(ctx, revision)
}

// checkText refuses what PostgreSQL cannot store as text, so that both databases
// hold the same things.
func checkText(what string, texts ...string) error {
	for _, s := range texts {
		if strings.ContainsRune(s, 0) || !utf8.ValidString(s) {
			return fmt.Errorf("%s: %.40q is not UTF-8 text without zero bytes", what, s)
		}
	}
	return nil
}
