package catalog

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode"

	"github.com/Masterminds/semver/v3"

	"github.com/wreg-project/wreg/registry/catalog/wire"
	"github.com/wreg-project/wreg/registry/search"
)

// listInterfaces lists names that something exports or imports, by name, with how
// many of the versions that the caller may see do. Names that only others use
// are left out.
func (a *API) listInterfaces(ctx context.Context, q *request) (answer, error) {
	var after search.Place
	if _, err := q.after(&after); err != nil {
		return answer{}, err
	}
	rows, next, err := search.Values(ctx, a.Meta, q.sees, "interface", q.text("prefix"), after, q.limit())
	switch {
	case errors.Is(err, search.ErrCursor):
		return answer{}, invalidCursor()
	case err != nil:
		return answer{}, fmt.Errorf("interfaces: %w", err)
	}
	list := wire.List[wire.Interface]{Items: []wire.Interface{}}
	for _, r := range rows {
		one := wire.Interface{Name: r.Value}
		if one.Exporters, err = search.Count(ctx, a.Meta, q.sees, "exports", r.Value); err == nil {
			one.Importers, err = search.Count(ctx, a.Meta, q.sees, "imports", r.Value)
		}
		if err != nil {
			return answer{}, fmt.Errorf("users of %s: %w", clip(r.Value), err)
		}
		list.Items = append(list.Items, one)
	}
	if next != (search.Place{}) {
		if list.Next, err = q.next(next); err != nil {
			return answer{}, err
		}
	}
	return found(list)
}

func (a *API) getInterface(ctx context.Context, q *request) (answer, error) {
	name := q.path["interface"]
	use := wire.InterfaceUse{Name: name}
	var err error
	if use.Exporters, err = a.users(ctx, q, "exports", name); err != nil {
		return answer{}, err
	}
	if use.Importers, err = a.users(ctx, q, "imports", name); err != nil {
		return answer{}, err
	}
	return found(use)
}

// users are the first versions that have a value of an operator, and how many
// there are.
func (a *API) users(ctx context.Context, q *request, operator, name string) (wire.Users, error) {
	users := wire.Users{Items: []wire.Hit{}}
	query, ok := clause(operator, name)
	if !ok {
		return users, nil
	}
	users.Query = query
	got, err := a.find(ctx, q, query, search.SortUpdated, "", q.limit())
	if err != nil {
		return users, err
	}
	users.Count, users.CountIsLeast = int64(got.Count), got.CountIsLeast
	users.Items, err = wireHits(got.Hits)
	return users, err
}

// find answers a query of our own with what the caller may see.
func (a *API) find(ctx context.Context, q *request, query string, order search.Sort, cursor string, limit int) (search.Result, error) {
	parsed, err := search.Parse(query)
	if err != nil {
		return search.Result{}, fmt.Errorf("query %s of our own: %w", query, err)
	}
	got, err := search.Search(ctx, a.Meta, search.Request{Query: parsed, Visibility: q.sees, Sort: order, Cursor: cursor, Limit: limit})
	switch {
	case errors.Is(err, search.ErrCursor):
		return got, invalidCursor()
	case err != nil:
		return got, fmt.Errorf("search for %s: %w", query, err)
	}
	return got, nil
}

// clause is a part of a query with a value from outside, or false if no query can
// ask for it: such a name is nobody's.
func clause(operator, value string) (string, bool) {
	const most = 500 // bytes
	bad := func(r rune) bool { return r == '"' || unicode.IsControl(r) }
	if len(value) > most || strings.TrimSpace(value) == "" || strings.IndexFunc(value, bad) >= 0 {
		return "", false
	}
	return operator + `:"` + value + `"`, true
}

// compatible is a part of a query for an interface in any version that may stand
// in for the one named: of the same major version, or, before the first, of the
// same minor one.
func compatible(operator, name string) (string, bool) {
	bare, version, ok := strings.Cut(name, "@")
	v, err := semver.StrictNewVersion(version)
	if !ok || err != nil || v.Prerelease() != "" || strings.ContainsFunc(bare,
		func(r rune) bool { return !strings.ContainsRune(interfaceRunes, r) }) {
		return clause(operator, name)
	}
	prefix := fmt.Sprintf("%s:%s@%d.", operator, bare, v.Major())
	switch {
	case v.Major() == 0 && v.Minor() == 0:
		return clause(operator, name)
	case v.Major() == 0:
		prefix += fmt.Sprintf("%d.", v.Minor())
	}
	return prefix + "*", true
}

// interfaceRunes are those of names of interfaces, which need no quotes.
const interfaceRunes = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-:/"
