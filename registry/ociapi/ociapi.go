// Package ociapi serves package registry by HTTP as the OCI distribution
// specification says, version 1.1 and the draft after it. docs/spec/conformance.md
// maps each of its clauses to the test that holds us to it.
//
// route.go reads a URL into a call; reader.go, writer.go, deleter.go and
// lister.go serve calls by what they do; ranges.go and condition.go read the
// headers. Handlers return errors, and ServeHTTP alone turns them into a
// status, a code and a log line.
package ociapi

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/wreg-project/wreg/registry"
	"github.com/wreg-project/wreg/registry/auth"
	"github.com/wreg-project/wreg/registry/policy"
)

// Options of New. Registry is required; the zero Access lets nobody in who has
// not logged in.
type Options struct {
	Registry *registry.Registry
	Access   policy.Access
	Auth     auth.Authenticator // nil takes every caller for anonymous
	Log      *slog.Logger       // nil discards

	// MayPush reports whether somebody may push to a repository whom Access does not
	// let: a worker where a job is leased to it. nil lets nobody. What is pushed is
	// judged by the Registry's Admitter.
	MayPush func(ctx context.Context, p policy.Principal, repo string) (bool, error)
}

// New serves everything below /v2/. It bounds what it reads; deadlines are the
// server's business, since only the server sees how a connection moves.
func New(o Options) http.Handler {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &api{reg: o.Registry, access: o.Access, auth: o.Auth, log: o.Log, mayPush: o.MayPush}
}

type api struct {
	reg    *registry.Registry
	access policy.Access
	auth   auth.Authenticator
	log    *slog.Logger

	mayPush func(context.Context, policy.Principal, string) (bool, error)
}

// ServeHTTP is the one place where an error becomes a status, wire codes and a
// log line; the handlers only return it.
func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header()["Docker-Distribution-Api-Version"] = apiVersion
	c, err := a.admit(r)
	if err == nil {
		err = c.serve(a, w, r, c)
	}
	if err == nil {
		return
	}
	status := statusOf(err)
	level := slog.LevelDebug
	if status >= http.StatusInternalServerError {
		level = slog.LevelError
	}
	a.log.LogAttrs(r.Context(), level, "request failed", slog.String("endpoint", c.end), slog.String("repo", c.repo),
		slog.String("principal", c.caller.Name), slog.Int("status", status), slog.Any("err", err))
	a.writeError(w, r, status, err)
}

var apiVersion = []string{"registry/2.0"}

// admit reads the request into a call and makes sure that its caller may make
// it.
func (a *api) admit(r *http.Request) (call, error) {
	var caller policy.Principal
	if a.auth != nil {
		var err error
		if caller, err = a.auth.Authenticate(r); err != nil {
			return call{}, err
		}
	}
	c, err := parse(r.Method, r.URL.Path)
	c.caller = caller
	if err != nil {
		return c, err
	}
	return c, a.authorise(r.Context(), c)
}

// authorise applies the rule that whoever may not read a repository cannot tell
// it from one that does not exist: an anonymous caller is asked to log in either
// way, an authenticated one is told that there is none.
func (a *api) authorise(ctx context.Context, c call) error {
	if c.repo == "" {
		everything, namespaces := a.access.Namespaces(c.caller)
		switch {
		case a.access.Open, !c.caller.Anonymous():
		case c.end == endCatalog && (everything || len(namespaces) > 0):
		default: // end-1 too: clients learn there that logging in is possible
			return unauthorised("log in first")
		}
		return nil
	}
	d := a.access.May(c.caller, c.action, c.repo)
	if !d.Allowed && c.action == policy.Push && a.mayPush != nil {
		var err error
		if d.Allowed, err = a.mayPush(ctx, c.caller, c.repo); err != nil {
			return fmt.Errorf("may %s push to %s: %w", c.caller.Name, c.repo, err)
		}
	}
	switch {
	case d.Allowed:
		return nil
	case c.caller.Anonymous():
		return unauthorised(d.Reason)
	case c.action != policy.Pull && a.mayRead(c.caller, c.repo):
		return &registry.Error{Code: registry.Denied, Message: d.Reason, Detail: map[string]any{"name": c.repo, "action": c.action}}
	default:
		return registry.UnknownName(c.repo)
	}
}

func (a *api) mayRead(p policy.Principal, repo string) bool {
	return a.access.May(p, policy.Pull, repo).Allowed
}

func unauthorised(reason string) error {
	return &registry.Error{Code: registry.Unauthorized, Message: "authentication required: " + reason}
}
