package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/artifact/ref"
	"github.com/wreg-project/wreg/registry/catalog/wire"
)

// ErrNoCatalog says that a registry has no catalog API: it is none of wreg.
var ErrNoCatalog = errors.New("the registry has no catalog")

// A CatalogError is what a catalog refused. One of something that is not there is
// ErrNotFound, too.
type CatalogError struct {
	Host string
	*wire.Problem
}

func (e *CatalogError) Error() string { return e.Host + ": " + e.Problem.Error() }

// Unwrap gives the Problem.
func (e *CatalogError) Unwrap() error { return e.Problem }

// Is reports whether e is ErrNotFound.
func (e *CatalogError) Is(target error) bool {
	return target == ErrNotFound && e.Status == http.StatusNotFound
}

// maxCatalogAnswer bounds an answer of the catalog API, in bytes. Pages have a
// thousand entries at most, and reports are streamed elsewhere.
const maxCatalogAnswer = 64 << 20

// maxRetryAfter is how long a registry may ask to wait, in seconds.
const maxRetryAfter = 3600

// A Catalog is the catalog API of one registry, /api/v1. Packages are named by
// their repositories ("ns/name") and versions by tag or digest. What the registry
// refuses is a *[CatalogError]. It is safe for concurrent use.
type Catalog struct {
	c    *Client
	host string
}

// Catalog is the catalog API of a registry. Nothing is asked of it yet.
func (c *Client) Catalog(host string) (*Catalog, error) {
	if err := ref.CheckHost(host); err != nil {
		return nil, err
	}
	return &Catalog{c: c, host: host}, nil
}

// Host is the registry's host:port.
func (c *Catalog) Host() string { return c.host }

// SearchOptions choose and order what a search finds.
type SearchOptions struct {
	Query   string   // in the language of docs/spec/search.md; "" finds everything
	Sort    string   // "updated", "size", "pulls" or "name"; "" is the registry's choice
	Order   string   // "asc" or "desc"; "" is what suits Sort
	Limit   int      // of the page; 0 is the registry's choice
	Cursor  string   // Next of the page before
	Facets  []string // properties to count the values of
	Explain bool     // ask for the plan, and for what each hit was found by
}

// Search is one page of what a query finds. A query that cannot be read is a
// Problem with CodeInvalidQuery and the column.
func (c *Catalog) Search(ctx context.Context, o SearchOptions) (*wire.SearchResult, error) {
	q := url.Values{"q": {o.Query}}
	set(q, "sort", o.Sort)
	set(q, "order", o.Order)
	set(q, "cursor", o.Cursor)
	set(q, "facets", strings.Join(o.Facets, ","))
	if o.Explain {
		q.Set("explain", "true")
	}
	if o.Limit > 0 {
		q.Set("limit", strconv.Itoa(o.Limit))
	}
	return get[wire.SearchResult](ctx, c, "/search", q)
}

// Package describes a package with its latest version.
func (c *Catalog) Package(ctx context.Context, repo string) (*wire.PackageInfo, error) {
	return get[wire.PackageInfo](ctx, c, packagePath(repo), nil)
}

// Versions calls fn with the tags of a package, page by page, yanked ones among
// them.
func (c *Catalog) Versions(ctx context.Context, repo string, fn func([]wire.Version) error) error {
	return eachPage(ctx, c, packagePath(repo)+"/versions", nil, fn)
}

// Version describes one version.
func (c *Catalog) Version(ctx context.Context, repo, version string) (*wire.VersionInfo, error) {
	return get[wire.VersionInfo](ctx, c, versionPath(repo, version), nil)
}

// Signatures says who signed a version and what is attested of it, as the registry
// has verified that.
func (c *Catalog) Signatures(ctx context.Context, repo, version string) (*wire.Signatures, error) {
	return get[wire.Signatures](ctx, c, versionPath(repo, version)+"/signatures", nil)
}

// Resolve finds the version that a range stands for.
func (c *Catalog) Resolve(ctx context.Context, repo, versions string) (*wire.Resolution, error) {
	return get[wire.Resolution](ctx, c, packagePath(repo)+"/resolve", url.Values{"range": {versions}})
}

// Dependencies are the imports of a version with who offers them.
func (c *Catalog) Dependencies(ctx context.Context, repo, version string) (*wire.Dependencies, error) {
	return get[wire.Dependencies](ctx, c, versionPath(repo, version)+"/dependencies", nil)
}

// Similar lists the versions that share the most functions with this one, of those
// that the caller may pull.
func (c *Catalog) Similar(ctx context.Context, repo, version string) ([]wire.Similar, error) {
	list, err := get[wire.List[wire.Similar]](ctx, c, versionPath(repo, version)+"/similar", nil)
	if err != nil {
		return nil, err
	}
	return list.Items, nil
}

// Interface says who exports and who imports an interface, by its name or by the
// name of a module of imports.
func (c *Catalog) Interface(ctx context.Context, name string) (*wire.InterfaceUse, error) {
	return get[wire.InterfaceUse](ctx, c, "/interfaces/"+url.PathEscape(name), nil)
}

// Downloads counts the pulls of a package by day.
func (c *Catalog) Downloads(ctx context.Context, repo string) (*wire.Downloads, error) {
	return get[wire.Downloads](ctx, c, packagePath(repo)+"/downloads", nil)
}

// A NoticeAction is what can be said about a version.
type NoticeAction string

// The actions.
const (
	Yank        NoticeAction = "yank"
	Unyank      NoticeAction = "unyank"
	Deprecate   NoticeAction = "deprecate"
	Undeprecate NoticeAction = "undeprecate"
)

// Notice says something about a tag, with a reason for those who use it.
func (c *Catalog) Notice(ctx context.Context, repo, tag string, a NoticeAction, reason string) error {
	return c.do(ctx, http.MethodPost, versionPath(repo, tag)+"/"+string(a), nil, wire.NoticeRequest{Reason: reason}, nil)
}

// Audit is one page of what a policy says of stored versions.
func (c *Catalog) Audit(ctx context.Context, r wire.AuditRequest) (*wire.AuditResult, error) {
	return post[wire.AuditResult](ctx, c, "/audit", r)
}

// DryRun is one page of what a policy would refuse today.
func (c *Catalog) DryRun(ctx context.Context, r wire.DryRunRequest) (*wire.AuditResult, error) {
	return post[wire.AuditResult](ctx, c, "/policies/dry-run", r)
}

// Policies calls fn with the policies in force, page by page.
func (c *Catalog) Policies(ctx context.Context, fn func([]wire.Policy) error) error {
	return eachPage(ctx, c, "/policies", nil, fn)
}

// Policy is the current version of a policy.
func (c *Catalog) Policy(ctx context.Context, name string) (*wire.Policy, error) {
	return get[wire.Policy](ctx, c, policyPath(name), nil)
}

// PolicyVersions calls fn with all versions of a policy, newest first, page by
// page.
func (c *Catalog) PolicyVersions(ctx context.Context, name string, fn func([]wire.Policy) error) error {
	return eachPage(ctx, c, policyPath(name)+"/versions", nil, fn)
}

// PutPolicy stores a new version of a policy. The same source again changes
// nothing. A source that cannot be read is a Problem with CodeInvalidPolicy,
// line and column.
func (c *Catalog) PutPolicy(ctx context.Context, name, source string) (*wire.Policy, error) {
	var p wire.Policy
	return &p, c.do(ctx, http.MethodPut, policyPath(name), nil, wire.PolicyRequest{Source: source}, &p)
}

// DeletePolicy ends a policy. Its versions stay.
func (c *Catalog) DeletePolicy(ctx context.Context, name string) error {
	return c.do(ctx, http.MethodDelete, policyPath(name), nil, nil, nil)
}

// DecisionFilter chooses decisions; the zero value chooses all.
type DecisionFilter struct {
	Repo    string        // only those about this repository
	Digest  digest.Digest // only those about this manifest
	Outcome wire.Verdict  // only outcomes as bad as this, or worse
}

// Decisions is one page of what policies decided, newest first.
func (c *Catalog) Decisions(ctx context.Context, f DecisionFilter, limit int, cursor string) (*wire.List[wire.Decision], error) {
	q := url.Values{"limit": {strconv.Itoa(limit)}}
	if f.Repo != "" {
		q.Set("package", wire.PackageName(f.Repo))
	}
	set(q, "digest", f.Digest.String())
	set(q, "outcome", string(f.Outcome))
	set(q, "cursor", cursor)
	return get[wire.List[wire.Decision]](ctx, c, "/decisions", q)
}

// Quarantine calls fn with what was refused and is kept, page by page.
func (c *Catalog) Quarantine(ctx context.Context, fn func([]wire.Quarantine) error) error {
	return eachPage(ctx, c, "/quarantine", nil, fn)
}

// Approvals calls fn with the approvals in force, page by page; with a repository
// only with those in it.
func (c *Catalog) Approvals(ctx context.Context, repo string, fn func([]wire.Approval) error) error {
	q := url.Values{}
	if repo != "" {
		q.Set("package", wire.PackageName(repo))
	}
	return eachPage(ctx, c, "/approvals", q, fn)
}

// Approve lets a digest pass in spite of a rule, "policy/rule", or with "" of
// every rule.
func (c *Catalog) Approve(ctx context.Context, repo string, d digest.Digest, rule, reason string) (*wire.Approval, error) {
	return post[wire.Approval](ctx, c, "/approvals", wire.ApprovalRequest{
		Package: wire.PackageName(repo), Digest: d, Rule: rule, Reason: reason,
	})
}

// Withdraw ends an approval.
func (c *Catalog) Withdraw(ctx context.Context, repo string, d digest.Digest, rule string) error {
	q := url.Values{"package": {wire.PackageName(repo)}, "digest": {d.String()}, "rule": {rule}}
	return c.do(ctx, http.MethodDelete, "/approvals", q, nil, nil)
}

// Jobs is one page of jobs, those of a state unless that is "", with counts of
// all.
func (c *Catalog) Jobs(ctx context.Context, state wire.JobState, cursor string) (*wire.JobList, error) {
	q := url.Values{}
	set(q, "state", string(state))
	set(q, "cursor", cursor)
	return get[wire.JobList](ctx, c, "/jobs", q)
}

// RetryJob lets a dead or waiting job be done now.
func (c *Catalog) RetryJob(ctx context.Context, id int64) error {
	return c.do(ctx, http.MethodPost, jobPath(id)+"/retry", nil, nil, nil)
}

// DropJob removes a dead or waiting job.
func (c *Catalog) DropJob(ctx context.Context, id int64) error {
	return c.do(ctx, http.MethodDelete, jobPath(id), nil, nil, nil)
}

// Reindex has packages inspected and indexed again: one manifest, a package, or
// with neither everything.
func (c *Catalog) Reindex(ctx context.Context, repo string, d digest.Digest) (*wire.Reindexed, error) {
	r := wire.ReindexRequest{Digest: d}
	if repo != "" {
		r.Package = wire.PackageName(repo)
	}
	return post[wire.Reindexed](ctx, c, "/reindex", r)
}

func packagePath(repo string) string { return "/packages/" + url.PathEscape(wire.PackageName(repo)) }

func versionPath(repo, version string) string {
	return packagePath(repo) + "/versions/" + url.PathEscape(version)
}

func policyPath(name string) string { return "/policies/" + url.PathEscape(name) }

func jobPath(id int64) string { return "/jobs/" + strconv.FormatInt(id, 10) }

func set(q url.Values, name, value string) {
	if value != "" {
		q.Set(name, value)
	}
}

func get[T any](ctx context.Context, c *Catalog, path string, q url.Values) (*T, error) {
	v := new(T)
	if err := c.do(ctx, http.MethodGet, path, q, nil, v); err != nil {
		return nil, err
	}
	return v, nil
}

func post[T any](ctx context.Context, c *Catalog, path string, body any) (*T, error) {
	v := new(T)
	if err := c.do(ctx, http.MethodPost, path, nil, body, v); err != nil {
		return nil, err
	}
	return v, nil
}

// eachPage calls fn with each page of a listing.
func eachPage[T any](ctx context.Context, c *Catalog, path string, q url.Values, fn func([]T) error) error {
	cursor := ""
	for range MaxPages {
		with := url.Values{"limit": {strconv.Itoa(pageSize)}}
		for k, v := range q {
			with[k] = v
		}
		set(with, "cursor", cursor)
		page, err := get[wire.List[T]](ctx, c, path, with)
		if err != nil {
			return err
		}
		if err := fn(page.Items); err != nil {
			return err
		}
		if page.Next == "" {
			return nil
		}
		if page.Next == cursor {
			return fmt.Errorf("%s%s: %w: a page is its own next one", c.host, path, ErrAnswer)
		}
		cursor = page.Next
	}
	return fmt.Errorf("%s%s: %w: more than %d pages", c.host, path, ErrTooLarge, MaxPages)
}

// do asks the API once. A body is sent as JSON; an answer is read into v unless
// that is nil.
func (c *Catalog) do(ctx context.Context, method, path string, q url.Values, body, v any) error {
	at := scheme(c.c.plainHTTP(c.host)) + "://" + c.host + wire.Base + path
	if len(q) > 0 {
		at += "?" + q.Encode()
	}
	var content io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		content = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, at, content)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", wire.MediaTypeJSON+", "+wire.MediaTypeProblem)
	if body != nil {
		req.Header.Set("Content-Type", wire.MediaTypeJSON)
	}
	resp, err := c.c.auth.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return c.refusal(resp)
	}
	if v == nil || resp.StatusCode == http.StatusNoContent {
		return nil
	}
	if mediaType(resp) != wire.MediaTypeJSON {
		return fmt.Errorf("%s: %w", c.host, ErrNoCatalog) // a page for every path
	}
	return c.read(resp, v)
}

// read decodes an answer.
func (c *Catalog) read(resp *http.Response, v any) error {
	limited := &io.LimitedReader{R: resp.Body, N: maxCatalogAnswer}
	err := json.NewDecoder(limited).Decode(v)
	switch {
	case err != nil && limited.N <= 0:
		return fmt.Errorf("%s: %w: more than %d bytes", resp.Request.URL.Path, ErrTooLarge, maxCatalogAnswer)
	case err != nil:
		return fmt.Errorf("%s: %w: %w", resp.Request.URL.Path, ErrAnswer, err)
	}
	return nil
}

// refusal is the error of an answer that is no success.
func (c *Catalog) refusal(resp *http.Response) error {
	p := &wire.Problem{}
	isProblem := mediaType(resp) == wire.MediaTypeProblem &&
		json.NewDecoder(io.LimitReader(resp.Body, 64<<10)).Decode(p) == nil
	if !isProblem {
		if resp.StatusCode == http.StatusNotFound {
			return fmt.Errorf("%s: %w", c.host, ErrNoCatalog)
		}
		p = &wire.Problem{Title: http.StatusText(resp.StatusCode)}
	}
	p.Status = resp.StatusCode
	if seconds, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil {
		p.RetryAfter = min(max(seconds, 0), maxRetryAfter)
	}
	return &CatalogError{Host: c.host, Problem: p}
}

func mediaType(resp *http.Response) string {
	t, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil {
		return ""
	}
	return t
}
