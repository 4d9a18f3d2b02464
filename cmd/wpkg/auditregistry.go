package main

import (
	"context"
	"fmt"

	"github.com/wreg-project/wreg/registry/catalog/wire"
	"github.com/wreg-project/wreg/registry/client"
	"github.com/wreg-project/wreg/registry/policy"
)

// auditPage is how many versions a registry looks at for one answer.
const auditPage = 500

// auditRegistry has the default registry look at what it stores. Only versions
// that violate a rule come back.
func (a *auditor) auditRegistry(ctx context.Context, query string) error {
	c, err := a.catalog()
	if err != nil {
		return err
	}
	found := map[string]int{} // by repository and digest: place in items
	var items []audited
	for i, s := range a.sources {
		req := wire.AuditRequest{Policy: string(s.text), Query: query, Limit: auditPage}
		err := a.pages(c, query, func(cursor string) (*wire.AuditResult, error) {
			req.Cursor = cursor
			return c.Audit(ctx, req)
		}, func(f wire.Finding) {
			key := f.Repository + "@" + f.Digest.String()
			at, ok := found[key]
			if !ok {
				at = len(items)
				found[key] = at
				items = append(items, auditedVersion(c.Host(), f))
			}
			items[at].Violations = append(items[at].Violations, violations(f.Violations, a.parsed[i].Name)...)
		})
		if err != nil {
			return fmt.Errorf("audit: %w", err)
		}
	}
	for _, item := range items {
		a.report.add(item)
	}
	a.report.passed = a.scanned - a.skipped - len(items)
	return nil
}

// pages calls fn with all findings of an audit, and counts what was looked at.
func (a *auditor) pages(c *client.Catalog, query string, ask func(cursor string) (*wire.AuditResult, error), fn func(wire.Finding)) error {
	scanned, skipped, cursor := 0, 0, ""
	for page := 0; page == 0 || cursor != ""; page++ {
		if page == client.MaxPages {
			return fmt.Errorf("%s: %w: more than %d pages", c.Host(), client.ErrTooLarge, client.MaxPages)
		}
		res, err := ask(cursor)
		if err != nil {
			return queryError(err, query)
		}
		for _, f := range res.Items {
			fn(f)
		}
		scanned, skipped, cursor = scanned+res.Scanned, skipped+res.Skipped, res.Next
	}
	a.scanned, a.skipped = max(a.scanned, scanned), max(a.skipped, skipped)
	return nil
}

// auditedVersion is a version of the registry host, without its violations.
func auditedVersion(host string, f wire.Finding) audited {
	out := audited{Name: host + "/" + f.Repository, Package: f.Package, Digest: f.Digest.String(), Tags: f.Tags}
	if len(f.Tags) == 0 {
		out.Name += "@" + out.Digest
		return out
	}
	out.Name += ":" + f.Tags[0]
	for _, tag := range f.Tags {
		if out.Version = versionOf(tag); out.Version != "" {
			out.Name = host + "/" + f.Repository + ":" + tag
			break
		}
	}
	return out
}

// violations are those of the wire. With a name they are all of the policy of that
// name: a registry does not know it if it is not in the text.
func violations(list []wire.Violation, name string) []policy.Violation {
	var out []policy.Violation
	for _, v := range list {
		p := policy.Violation{
			Policy: v.Policy, Rule: v.Rule, Mode: policy.Mode(v.Mode), Severity: policy.Severity(v.Severity),
			Message: v.Message, Fact: v.Fact, File: v.File, Hint: v.Hint, Error: v.Error, Approved: v.Approved,
		}
		if name != "" {
			p.Policy = name
		}
		out = append(out, p)
	}
	return out
}
