package catalog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/registry/catalog/wire"
	"github.com/wreg-project/wreg/registry/policy"
	"github.com/wreg-project/wreg/registry/search"
	"github.com/wreg-project/wreg/storage/meta"
)

// Bounds of one page of an audit.
const (
	auditLimit = 200              // versions, if nothing is said
	auditBatch = search.MaxLimit  // versions found at once
	auditTime  = 10 * time.Second // after which a page ends where it is
)

// An audit holds stored versions against policies, page by page.
type audit struct {
	api    *API
	q      *request
	set    *policy.Set
	action policy.Action

	query   string
	cursor  string // of the request
	limit   int
	listing string // names what the cursor is of

	lift    bool // approvals count
	verdict bool // only what is refused or warned of is a finding
}

// postAudit asks all rules of a policy, whatever they are about.
func (a *API) postAudit(ctx context.Context, q *request) (answer, error) {
	body := q.body.(*wire.AuditRequest)
	p, err := policy.Parse([]byte(body.Policy))
	if err != nil {
		return answer{}, err
	}
	set, err := policy.Compile(everywhere(p))
	if err != nil {
		return answer{}, err
	}
	return a.audit(ctx, &audit{
		api: a, q: q, set: set, action: policy.Pull, query: body.Query, cursor: body.Cursor, limit: body.Limit,
		listing: "audit." + tagOf([]byte(body.Policy+"\x00"+body.Query)),
	})
}

// everywhere makes all rules of a policy be about every pull.
func everywhere(p *policy.Policy) *policy.Policy {
	if p.Name == "" {
		p.Name = "audit"
	}
	p.Scope = policy.Scope{}
	for i := range p.Rules {
		p.Rules[i].Actions = []policy.Action{policy.Pull}
	}
	return p
}

// postDryRun asks the rules that are about an action, and tells what they would
// refuse or warn of.
func (a *API) postDryRun(ctx context.Context, q *request) (answer, error) {
	body := q.body.(*wire.DryRunRequest)
	set, err := a.dryRunSet(ctx, body)
	if err != nil {
		return answer{}, err
	}
	return a.audit(ctx, &audit{
		api: a, q: q, set: set, action: policy.Action(or(body.Action, string(policy.Pull))), query: body.Query, cursor: body.Cursor,
		limit:   body.Limit,
		listing: "dryrun." + tagOf([]byte(body.Source+"\x00"+body.Name+"\x00"+body.Action+"\x00"+body.Query)), lift: true, verdict: true,
	})
}

// dryRunSet compiles the policy that a body holds or names, or all in force.
func (a *API) dryRunSet(ctx context.Context, body *wire.DryRunRequest) (*policy.Set, error) {
	name, source := body.Name, body.Source
	switch {
	case name != "" && source != "":
		return nil, &wire.Problem{
			Code: wire.CodeInvalidPolicy, Detail: "both source and name are given",
			Hint: "give one of them, or neither for all policies in force",
		}
	case name == "" && source == "":
		return a.inForce(ctx)
	case source == "":
		stored, err := currentPolicy(ctx, a.Meta, name)
		if err != nil {
			return nil, err
		}
		source = stored.Source
	}
	p, err := policy.Parse([]byte(source))
	if err != nil {
		return nil, err
	}
	if p.Name == "" {
		p.Name = or(name, "dry-run")
	}
	return policy.Compile(p)
}

func (a *API) inForce(ctx context.Context) (*policy.Set, error) {
	if a.Ingest == nil {
		return policy.Compile()
	}
	set, err := a.Ingest.Policies(ctx)
	if err != nil {
		return nil, fmt.Errorf("policies in force: %w", err)
	}
	return set, nil
}

// audit looks at versions until the page is full or time is over. Versions are in
// order of their names, which holds while others are pushed.
func (a *API) audit(ctx context.Context, u *audit) (answer, error) {
	parsed, err := search.Parse(u.query)
	if err != nil {
		return answer{}, queryProblem(err, "query")
	}
	if u.limit == 0 {
		u.limit = auditLimit
	}
	var from string
	if _, err := readCursor(u.cursor, u.listing, &from); err != nil {
		return answer{}, err
	}
	result := wire.AuditResult{List: wire.List[wire.Finding]{Items: []wire.Finding{}}}
	began := a.Clock()
	for {
		got, err := search.Search(ctx, a.Meta, search.Request{
			Query: parsed, Visibility: u.q.sees, Sort: search.SortName, Cursor: from, Limit: min(u.limit-result.Scanned, auditBatch),
		})
		if err != nil {
			return answer{}, queryProblem(err, "query")
		}
		for _, h := range got.Hits {
			if err := u.look(ctx, h, &result); err != nil {
				return answer{}, err
			}
		}
		if from = got.Next; from == "" {
			return found(result)
		}
		if result.Scanned >= u.limit || a.Clock().Sub(began) > auditTime {
			result.Next, err = makeCursor(u.listing, from)
			return answer{body: result}, err
		}
	}
}

// look holds one version against the rules.
func (u *audit) look(ctx context.Context, h search.Hit, result *wire.AuditResult) error {
	result.Scanned++
	got, err := u.judge(ctx, h.Repo, h.Digest)
	if errors.Is(err, meta.ErrNotFound) || errors.Is(err, meta.ErrRepository) {
		result.Skipped++ // gone meanwhile, or not analysed yet
		return nil
	}
	if err != nil {
		return fmt.Errorf("audit %s in %s: %w", h.Digest, h.Repo, err)
	}
	if len(got.Violations) == 0 || u.verdict && got.Outcome == policy.Allowed {
		return nil
	}
	hit, err := wireHit(h)
	if err != nil {
		return err
	}
	result.Items = append(result.Items, wire.Finding{
		Package: hit.Package, Repository: hit.Repository, Digest: hit.Digest, Tags: hit.Tags,
		Outcome: wire.Verdict(got.Outcome), Violations: wireViolations(got.Violations),
	})
	return nil
}

func (u *audit) judge(ctx context.Context, repo string, d digest.Digest) (policy.Result, error) {
	all := policy.Result{Outcome: policy.Allowed}
	if u.api.Ingest == nil {
		return all, meta.ErrNotFound
	}
	facts, err := u.api.Ingest.Facts(ctx, repo, d, u.action, u.set.Needs(repo, u.action))
	if err != nil {
		return all, err
	}
	for _, f := range facts {
		all.Merge(u.set.Eval(ctx, f))
	}
	if !u.lift || len(all.Violations) == 0 {
		return all, ctx.Err() // what was not asked in time counts as violated, and is not true
	}
	approvals, err := u.api.Meta.Approvals(ctx, meta.Visibility{Everything: true}, repo, d)
	if err != nil {
		return all, err
	}
	all.Lift(func(id string) bool {
		for _, p := range approvals {
			if p.Rule == "" || p.Rule == id {
				return true
			}
		}
		return false
	})
	return all, ctx.Err()
}

// maxViolations is how many a finding tells.
const maxViolations = 50

func wireViolations(vs []policy.Violation) []wire.Violation {
	list := []wire.Violation{}
	for _, v := range vs[:min(len(vs), maxViolations)] {
		list = append(list, wire.Violation{
			Policy: v.Policy, Rule: v.Rule, Mode: string(v.Mode), Severity: string(v.Severity), Message: v.Message, Fact: v.Fact, File: v.File,
			Hint: v.Hint, Error: v.Error, Approved: v.Approved,
		})
	}
	return list
}
