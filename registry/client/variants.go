package client

import (
	"context"
	"net/http"
	"net/url"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/registry/catalog/wire"
)

// Variants is the native code of a version, and what is being made of it.
func (c *Catalog) Variants(ctx context.Context, repo, version string) (*wire.VariantList, error) {
	return get[wire.VariantList](ctx, c, versionPath(repo, version)+"/variants", nil)
}

// RequestVariants asks for native code of a version, and again for what was made or
// failed before if again is set. It needs the right to push.
func (c *Catalog) RequestVariants(ctx context.Context, repo, version string, targets []string, again bool) ([]wire.AOTJob, error) {
	list, err := post[wire.AOTJobs](ctx, c, versionPath(repo, version)+"/variants", wire.VariantRequest{Targets: targets, Again: again})
	if err != nil {
		return nil, err
	}
	return list.Items, nil
}

// LeaseAOT takes a job to make native code, nil if there is none: the registry
// waits for one as long as r says, up to 30 seconds. It needs the rights of a
// worker.
func (c *Catalog) LeaseAOT(ctx context.Context, r wire.AOTLeaseRequest) (*wire.AOTLease, error) {
	l, err := post[wire.AOTLease](ctx, c, "/aot/leases", r)
	if err != nil || l.Lease == "" {
		return nil, err
	}
	return l, nil
}

// ExtendAOT says that the job of a lease is still worked on, and returns the lease
// with its new end. Here and below, a Problem with CodeConflict says that the job
// is somebody else's by now: what was made of it is to be dropped.
func (c *Catalog) ExtendAOT(ctx context.Context, lease string) (*wire.AOTLease, error) {
	var l wire.AOTLease
	if err := c.do(ctx, http.MethodPut, leasePath(lease), nil, nil, &l); err != nil {
		return nil, err
	}
	return &l, nil
}

// FinishAOT names the manifest that is the result of a job. It has to be pushed
// before, to the job's repository, and what attests it behind it. A Problem with
// CodeInvalidResult says what is wrong with it; the job stays leased then.
func (c *Catalog) FinishAOT(ctx context.Context, lease string, result digest.Digest) (*wire.AOTJob, error) {
	return post[wire.AOTJob](ctx, c, leasePath(lease)+"/result", wire.AOTResult{Digest: result})
}

// FailAOT gives a job back that failed; wire.AOTFailure has the kinds.
func (c *Catalog) FailAOT(ctx context.Context, lease, kind, reason string) error {
	return c.do(ctx, http.MethodPost, leasePath(lease)+"/failure", nil, wire.AOTFailure{Kind: kind, Reason: reason}, nil)
}

// ReleaseAOT gives a job back that nothing is wrong with.
func (c *Catalog) ReleaseAOT(ctx context.Context, lease string) error {
	return c.do(ctx, http.MethodDelete, leasePath(lease), nil, nil, nil)
}

// AOTJobs is one page of native code that was asked for; a state of "" is any.
func (c *Catalog) AOTJobs(ctx context.Context, state wire.AOTState, cursor string) (*wire.AOTJobList, error) {
	q := url.Values{}
	set(q, "state", string(state))
	set(q, "cursor", cursor)
	return get[wire.AOTJobList](ctx, c, "/aot/jobs", q)
}

// AOTWorkers calls fn with the workers that asked for jobs within the last hour,
// page by page.
func (c *Catalog) AOTWorkers(ctx context.Context, fn func([]wire.AOTWorker) error) error {
	return eachPage(ctx, c, "/aot/workers", nil, fn)
}

func leasePath(lease string) string { return "/aot/leases/" + url.PathEscape(lease) }
