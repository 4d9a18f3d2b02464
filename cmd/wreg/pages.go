package main

import (
	"context"
	"errors"
	"net/http"

	"github.com/wreg-project/wreg/artifact"
	"github.com/wreg-project/wreg/registry/auth"
	"github.com/wreg-project/wreg/registry/policy"
	"github.com/wreg-project/wreg/storage/meta"
	"github.com/wreg-project/wreg/web"
)

// pages shows the registry to package web.
type pages struct {
	meta   meta.Reader
	auth   auth.Authenticator // nil takes every caller for anonymous
	access policy.Access
}

// View implements web.Source.
func (p pages) View(r *http.Request) (web.View, error) {
	var caller policy.Principal
	if p.auth != nil {
		var err error
		caller, err = p.auth.Authenticate(r)
		if errors.Is(err, auth.ErrCredentials) {
			return nil, errors.Join(web.ErrCredentials, err)
		}
		if err != nil {
			return nil, err
		}
	}
	v := view{meta: p.meta, name: caller.Name}
	v.sees.Everything, v.sees.Namespaces = p.access.Namespaces(caller)
	return v, nil
}

type view struct {
	meta meta.Reader
	name string
	sees meta.Visibility
}

func (v view) Name() string { return v.name }

// Packages implements web.View. It asks for one more, which tells whether more
// follow.
func (v view) Packages(ctx context.Context, after string, limit int) ([]web.Package, bool, error) {
	rows, err := v.meta.Packages(ctx, v.sees, meta.Page{After: after, Limit: limit + 1})
	if err != nil {
		return nil, false, err
	}
	more := len(rows) > limit
	if more {
		rows = rows[:limit]
	}
	packages := make([]web.Package, len(rows))
	for i, row := range rows {
		// A view is pushed after its package, which is what the page names.
		latest := artifact.CanonicalTag(row.Latest.Name)
		packages[i] = web.Package{Name: row.Name, Tags: row.Tags, Latest: latest, Updated: row.Updated}
	}
	return packages, more, nil
}
