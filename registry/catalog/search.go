package catalog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/registry/catalog/wire"
	"github.com/wreg-project/wreg/registry/search"
)

func (a *API) getSearch(ctx context.Context, q *request) (answer, error) {
	parsed, err := search.Parse(q.text("q"))
	if err != nil {
		return answer{}, queryProblem(err, "q")
	}
	got, err := search.Search(ctx, a.Meta, search.Request{
		Query: parsed, Visibility: q.sees, Sort: search.Sort(q.text("sort")), Ascending: q.text("order") == "asc",
		Descending: q.text("order") == "desc",
		Cursor:     q.text("cursor"), Limit: q.limit(), Facets: q.words("facets"), Explain: q.text("explain") == "true",
	})
	if err != nil {
		return answer{}, queryProblem(err, "cursor")
	}
	list := wire.SearchResult{Count: int64(got.Count), CountIsLeast: got.CountIsLeast}
	list.Next = got.Next
	list.Items = []wire.Hit{}
	for _, h := range got.Hits { // with why each was found
		hit, err := wireHit(h)
		if err != nil {
			return answer{}, err
		}
		list.Items = append(list.Items, hit)
	}
	for _, f := range got.Facets {
		facet := wire.Facet{Name: f.Operator, Values: []wire.FacetValue{}}
		for _, v := range f.Values {
			facet.Values = append(facet.Values, wire.FacetValue{Value: v.Value, Count: int64(v.Count), CountIsLeast: v.CountIsLeast})
		}
		list.Facets = append(list.Facets, facet)
	}
	for _, s := range got.Plan {
		list.Plan = append(list.Plan, wire.Step{
			Clause: s.Clause, How: s.How, Terms: int64(s.Terms), Count: int64(s.Count), CountIsLeast: s.CountIsLeast,
		})
	}
	return found(list)
}

// queryProblem tells where a query is wrong.
func queryProblem(err error, parameter string) error {
	var syntax *search.SyntaxError
	switch {
	case errors.As(err, &syntax):
		return &wire.Problem{
			Code: wire.CodeInvalidQuery, Parameter: parameter, Detail: syntax.Message, Hint: syntax.Hint, Line: 1, Column: syntax.Column,
		}
	case errors.Is(err, search.ErrCursor):
		return invalidCursor()
	}
	return fmt.Errorf("search: %w", err)
}

func wireHit(h search.Hit) (wire.Hit, error) {
	hit, err := wireListing(h.Repo, h.Digest, h.Body)
	if err != nil {
		return hit, err
	}
	hit.Size, hit.Updated, hit.Downloads = h.Size, h.Updated.UTC(), h.Pulls
	for _, m := range h.Why {
		match := wire.Match{Clause: m.Clause, Terms: m.Terms}
		if match.Terms == nil {
			match.Terms = []string{}
		}
		hit.Why = append(hit.Why, match)
	}
	return hit, nil
}

// wireHits are what a query of our own found, all of it for the same reason.
func wireHits(hits []search.Hit) ([]wire.Hit, error) {
	list := []wire.Hit{}
	for _, h := range hits {
		hit, err := wireHit(h)
		if err != nil {
			return nil, err
		}
		hit.Why = nil
		list = append(list, hit)
	}
	return list, nil
}

func wireListing(repo string, d digest.Digest, body json.RawMessage) (wire.Hit, error) {
	var l search.Listing
	if err := json.Unmarshal(body, &l); err != nil {
		return wire.Hit{}, fmt.Errorf("document of %s in %s: %w", d, repo, err)
	}
	hit := wire.Hit{
		Package: wire.PackageName(repo), Repository: repo, Digest: d, Tags: notNil(l.Tags), Version: l.Version, Latest: l.Latest,
		Notice: wire.NoticeState(l.Notice), Verdict: wire.Verdict(or(l.Verdict, string(wire.VerdictNone))),
		Title: l.Title, Description: l.Description, Licenses: l.License,
		Kind: l.Kind, WASI: l.WASI, Target: l.Target, Language: l.Language, Toolchain: l.Toolchain, Host: l.Host,
		Files: l.Files, Capabilities: notNil(l.Capabilities), Hidden: l.Hidden, Signals: l.Signals, Problem: l.Problem,
	}
	hit.SBOM, hit.Vulnerabilities = wireMaterials(l.Materials)
	return hit, nil
}

// notNil is a list that is [] and not null in JSON.
func notNil(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}
