package catalog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/artifact/ref"
	"github.com/wreg-project/wreg/registry/catalog/wire"
	"github.com/wreg-project/wreg/registry/policy"
	"github.com/wreg-project/wreg/storage/meta"
)

// verdicts are the words for states, in their order.
var verdicts = []wire.Verdict{
	meta.VerdictNone: wire.VerdictNone, meta.VerdictAllow: wire.VerdictAllow, meta.VerdictWarn: wire.VerdictWarn,
	meta.VerdictDeny: wire.VerdictDeny,
}

func verdictOf(s meta.VerdictState) wire.Verdict {
	if s < 0 || int(s) >= len(verdicts) {
		return wire.VerdictNone
	}
	return verdicts[s]
}

// violationsOf reads violations as they are stored; what cannot be read is left
// out, being of another time.
func violationsOf(raw json.RawMessage) []wire.Violation {
	list := []wire.Violation{}
	if len(raw) > 0 && json.Unmarshal(raw, &list) != nil || list == nil {
		return []wire.Violation{}
	}
	return list
}

// listDecisions lists those of a version, if the path names one, or of everything
// that the caller may see.
func (a *API) listDecisions(ctx context.Context, q *request) (answer, error) {
	var before int64
	if _, err := q.after(&before); err != nil {
		return answer{}, err
	}
	f := meta.DecisionFilter{Repo: q.repo, Digest: digest.Digest(q.text("digest"))}
	if name := q.text("package"); name != "" {
		f.Repo, _ = wire.Repository(name) // checked
	}
	if q.version != (registryRef{}) {
		var err error
		if f.Digest, err = a.digestOf(ctx, q.repo, q.version); err != nil {
			return answer{}, err
		}
	}
	for state, word := range verdicts {
		if string(word) == q.text("outcome") {
			f.Outcome = meta.VerdictState(state)
		}
	}
	rows, err := a.Meta.Decisions(ctx, q.sees, f, before, q.limit()+1)
	if err != nil {
		return answer{}, fmt.Errorf("decisions: %w", err)
	}
	list := wire.List[wire.Decision]{Items: []wire.Decision{}}
	for i, d := range rows {
		if i == q.limit() {
			if list.Next, err = q.next(rows[i-1].ID); err != nil {
				return answer{}, err
			}
			break
		}
		list.Items = append(list.Items, wire.Decision{
			ID: d.ID, Time: d.Time.UTC(), Package: wire.PackageName(d.Repo), Repository: d.Repo, Digest: d.Digest, Tags: notNil(d.Tags),
			Action: d.Action, Principal: d.Principal, Outcome: verdictOf(d.Outcome), Revision: d.Revision, Violations: violationsOf(d.Violations),
		})
	}
	return found(list)
}

func (a *API) listQuarantine(ctx context.Context, q *request) (answer, error) {
	var after meta.ManifestKey
	if _, err := q.after(&after); err != nil {
		return answer{}, err
	}
	rows, err := a.Meta.Quarantine(ctx, q.sees, after, q.limit()+1, a.Clock())
	if err != nil {
		return answer{}, fmt.Errorf("quarantine: %w", err)
	}
	list := wire.List[wire.Quarantine]{Items: []wire.Quarantine{}}
	for i, k := range rows {
		if i == q.limit() {
			if list.Next, err = q.next(meta.ManifestKey{Repo: rows[i-1].Repo, Digest: rows[i-1].Digest}); err != nil {
				return answer{}, err
			}
			break
		}
		list.Items = append(list.Items, wire.Quarantine{
			Package: wire.PackageName(k.Repo), Repository: k.Repo, Digest: k.Digest, MediaType: k.MediaType, Tags: notNil(k.Tags),
			Uploader: k.Uploader, Decision: k.Decision, Created: k.Created.UTC(), Until: k.Until.UTC(),
		})
	}
	return found(list)
}

// An approvalPlace is where a page of approvals begins: behind this one.
type approvalPlace struct {
	Nanos  int64
	Repo   string
	Digest digest.Digest
	Rule   string
}

func placeOf(p meta.Approval) approvalPlace {
	return approvalPlace{p.Time.UnixNano(), p.Repo, p.Digest, p.Rule}
}

func (a *API) listApprovals(ctx context.Context, q *request) (answer, error) {
	var after approvalPlace
	more, err := q.after(&after)
	if err != nil {
		return answer{}, err
	}
	repo := ""
	if name := q.text("package"); name != "" {
		repo, _ = wire.Repository(name) // checked
	}
	rows, err := a.Meta.Approvals(ctx, q.sees, repo, digest.Digest(q.text("digest")))
	if err != nil {
		return answer{}, fmt.Errorf("approvals: %w", err)
	}
	list := wire.List[wire.Approval]{Items: []wire.Approval{}}
	for i, p := range rows {
		if more { // skip what the pages before had
			more = placeOf(p) != after
			continue
		}
		if len(list.Items) == q.limit() {
			if list.Next, err = q.next(placeOf(rows[i-1])); err != nil {
				return answer{}, err
			}
			break
		}
		list.Items = append(list.Items, wireApproval(p))
	}
	return found(list)
}

func wireApproval(p meta.Approval) wire.Approval {
	return wire.Approval{
		Package: wire.PackageName(p.Repo), Repository: p.Repo, Digest: p.Digest, Rule: p.Rule, By: p.By, Reason: p.Reason, Time: p.Time.UTC(),
	}
}

// postApproval approves a digest, also before anybody has pushed it. What is
// stored already is judged again, as with every change of the revision.
func (a *API) postApproval(ctx context.Context, q *request) (answer, error) {
	body := q.body.(*wire.ApprovalRequest)
	repo, d, err := target(body.Package, body.Digest)
	if err != nil {
		return answer{}, err
	}
	if err := a.may(q, policy.Approve, repo); err != nil {
		return answer{}, err
	}
	p := meta.Approval{Repo: repo, Digest: d, Rule: body.Rule, By: q.caller.Name, Reason: body.Reason, Time: a.Clock().UTC()}
	err = a.Meta.Update(ctx, func(ctx context.Context, tx meta.Tx) error { return tx.PutApproval(ctx, p) })
	if err != nil {
		return answer{}, fmt.Errorf("approve %s in %s: %w", d, repo, err)
	}
	return answer{status: http.StatusCreated, body: wireApproval(p)}, nil
}

// target reads the package and digest of a body.
func target(name string, d digest.Digest) (string, digest.Digest, error) {
	repo, err := wire.Repository(name)
	if err != nil {
		return "", "", &wire.Problem{Code: wire.CodeBadRequest, Parameter: "package", Detail: err.Error()}
	}
	if d, err = ref.ParseDigest(d.String()); err != nil {
		return "", "", &wire.Problem{Code: wire.CodeBadRequest, Parameter: "digest", Detail: err.Error()}
	}
	return repo, d, nil
}

func (a *API) deleteApproval(ctx context.Context, q *request) (answer, error) {
	repo, _ := wire.Repository(q.text("package")) // checked
	d := digest.Digest(q.text("digest"))
	if err := a.may(q, policy.Approve, repo); err != nil {
		return answer{}, err
	}
	err := a.Meta.Update(ctx, func(ctx context.Context, tx meta.Tx) error { return tx.DeleteApproval(ctx, repo, d, q.text("rule")) })
	if errors.Is(err, meta.ErrNotFound) || errors.Is(err, meta.ErrRepository) {
		return answer{}, &wire.Problem{Code: wire.CodeNotFound, Detail: "there is no such approval", Hint: "GET " + wire.Base +
			"/approvals lists them"}
	}
	if err != nil {
		return answer{}, fmt.Errorf("withdraw approval of %s in %s: %w", d, repo, err)
	}
	return answer{status: http.StatusNoContent}, nil
}
