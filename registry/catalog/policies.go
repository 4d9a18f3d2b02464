package catalog

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/wreg-project/wreg/registry/catalog/wire"
	"github.com/wreg-project/wreg/registry/policy"
	"github.com/wreg-project/wreg/storage/meta"
)

// maxSources bounds the sources on one page of policies, in bytes.
const maxSources = 4 << 20

func wirePolicy(p meta.Policy) wire.Policy {
	return wire.Policy{
		Name: p.Name, Version: p.Version, Revision: p.Revision, Source: p.Source, Author: p.Author, Created: p.Created.UTC(), Deleted: p.Deleted,
	}
}

// listPolicies lists what is in force: few, and in order of their names.
func (a *API) listPolicies(ctx context.Context, q *request) (answer, error) {
	var after string
	if _, err := q.after(&after); err != nil {
		return answer{}, err
	}
	all, err := a.Meta.Policies(ctx)
	if err != nil {
		return answer{}, fmt.Errorf("policies: %w", err)
	}
	all = slices.DeleteFunc(all, func(p meta.Policy) bool { return p.Name <= after })
	list, last := policyPage(all, q.limit())
	if last >= 0 {
		if list.Next, err = q.next(all[last].Name); err != nil {
			return answer{}, err
		}
	}
	return found(list)
}

// policyPage takes the first policies, and gives the index of the last one if
// more follow, else -1.
func policyPage(all []meta.Policy, limit int) (list wire.List[wire.Policy], last int) {
	list.Items = []wire.Policy{}
	size := 0
	for i, p := range all {
		size += len(p.Source)
		if i > 0 && (i == limit || size > maxSources) {
			return list, i - 1
		}
		list.Items = append(list.Items, wirePolicy(p))
	}
	return list, -1
}

func (a *API) getPolicy(ctx context.Context, q *request) (answer, error) {
	p, err := currentPolicy(ctx, a.Meta, q.path["name"])
	if err != nil {
		return answer{}, err
	}
	return found(wirePolicy(p))
}

// currentPolicy is the version of a policy that is in force.
func currentPolicy(ctx context.Context, r meta.PolicyReader, name string) (meta.Policy, error) {
	all, err := r.PolicyVersions(ctx, name)
	if err != nil && !errors.Is(err, meta.ErrNotFound) {
		return meta.Policy{}, fmt.Errorf("policy %s: %w", name, err)
	}
	if len(all) == 0 || all[0].Deleted {
		return meta.Policy{}, noPolicy(name)
	}
	return all[0], nil
}

func noPolicy(name string) error {
	return &wire.Problem{Code: wire.CodeNotFound, Detail: "there is no policy " + name, Hint: "GET " + wire.Base + "/policies lists them"}
}

func (a *API) listPolicyVersions(ctx context.Context, q *request) (answer, error) {
	var before int64
	if _, err := q.after(&before); err != nil {
		return answer{}, err
	}
	all, err := a.Meta.PolicyVersions(ctx, q.path["name"])
	if err != nil && !errors.Is(err, meta.ErrNotFound) {
		return answer{}, fmt.Errorf("versions of policy %s: %w", q.path["name"], err)
	}
	if len(all) == 0 {
		return answer{}, noPolicy(q.path["name"])
	}
	if before > 0 {
		all = slices.DeleteFunc(all, func(p meta.Policy) bool { return p.Version >= before })
	}
	list, last := policyPage(all, q.limit())
	if last >= 0 {
		if list.Next, err = q.next(all[last].Version); err != nil {
			return answer{}, err
		}
	}
	return found(list)
}

// putPolicy stores a policy that compiles, also beside all others.
func (a *API) putPolicy(ctx context.Context, q *request) (answer, error) {
	name, source := q.path["name"], q.body.(*wire.PolicyRequest).Source
	if err := checkPolicy(name, source); err != nil {
		return answer{}, err
	}
	var stored meta.Policy
	err := a.Meta.Update(ctx, func(ctx context.Context, tx meta.Tx) error {
		if err := precondition(ctx, tx, q, name); err != nil {
			return err
		}
		var err error
		stored, err = tx.PutPolicy(ctx, meta.Policy{Name: name, Source: source, Author: q.caller.Name, Created: a.Clock()})
		return err
	})
	if err != nil {
		return answer{}, fmt.Errorf("store policy %s: %w", name, err)
	}
	return found(wirePolicy(stored))
}

// checkPolicy makes sure that a policy can be used under a name.
func checkPolicy(name, source string) error {
	p, err := policy.Parse([]byte(source))
	if err != nil {
		return err
	}
	if p.Name != "" && p.Name != name {
		return &wire.Problem{
			Code: wire.CodeInvalidPolicy, Detail: fmt.Sprintf("it calls itself %q and is to be stored as %q", clip(p.Name), name),
			Hint: "store it under its own name, or leave the name out of it",
		}
	}
	p.Name = name
	_, err = policy.Compile(p)
	return err
}

// precondition holds If-Match and If-None-Match against the policy in force.
func precondition(ctx context.Context, r meta.PolicyReader, q *request, name string) error {
	match, none := q.http.Header["If-Match"], q.http.Header["If-None-Match"]
	if len(match) == 0 && len(none) == 0 {
		return nil
	}
	tag := "" // no entity tag of ours, and what is not there has none
	p, err := currentPolicy(ctx, r, name)
	var problem *wire.Problem
	switch {
	case err == nil:
		if tag, err = etagOf(wirePolicy(p)); err != nil {
			return err
		}
	case !errors.As(err, &problem):
		return err
	}
	exists := tag != ""
	if len(match) > 0 && (!exists || !listed(match, tag, false)) || exists && listed(none, tag, true) {
		return &wire.Problem{
			Code: wire.CodePrecondition, Detail: "the policy is not what If-Match or If-None-Match asks for",
			Hint: "GET it again",
		}
	}
	return nil
}

func (a *API) deletePolicy(ctx context.Context, q *request) (answer, error) {
	name := q.path["name"]
	err := a.Meta.Update(ctx, func(ctx context.Context, tx meta.Tx) error {
		if err := precondition(ctx, tx, q, name); err != nil {
			return err
		}
		return tx.DeletePolicy(ctx, name, q.caller.Name, a.Clock())
	})
	if errors.Is(err, meta.ErrNotFound) {
		return answer{}, noPolicy(name)
	}
	if err != nil {
		return answer{}, fmt.Errorf("delete policy %s: %w", name, err)
	}
	return answer{status: http.StatusNoContent}, nil
}

// policyProblem tells where a policy is wrong.
func policyProblem(errs policy.Errors) *wire.Problem {
	p := &wire.Problem{Code: wire.CodeInvalidPolicy, Detail: "it cannot be read"}
	if len(errs) == 0 {
		return p
	}
	first := errs[0]
	p.Line, p.Column, p.Hint = first.Line, first.Column, first.Hint
	if p.Detail = first.Msg; first.Rule != "" {
		p.Detail = "rule " + first.Rule + ": " + first.Msg
	}
	if n := len(errs) - 1; n > 0 {
		var more []string
		for _, e := range errs[1:min(len(errs), maxFaults)] {
			more = append(more, e.Error())
		}
		p.Detail += fmt.Sprintf("; and %d more: %s", n, strings.Join(more, "; "))
	}
	return p
}

// maxFaults is how many faults of a policy a problem tells.
const maxFaults = 10
