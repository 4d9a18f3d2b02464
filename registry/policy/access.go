package policy

import (
	"slices"
	"strings"
)

// A Principal is who asks.
type Principal struct {
	Name string // "" for an anonymous caller
}

// Anonymous reports whether nobody is known to ask.
func (p Principal) Anonymous() bool { return p.Name == "" }

// An Action is what somebody wants to do in a repository, or to the installation.
type Action string

// The actions of the registry. Policies can be about the first four.
const (
	Push       Action = "push"       // write a manifest
	Tag        Action = "tag"        // name a stored manifest
	Pull       Action = "pull"       // read
	Promote    Action = "promote"    // copy a stored package to another namespace
	Delete     Action = "delete"     // remove
	Approve    Action = "approve"    // let a digest pass in spite of a policy
	Administer Action = "administer" // change policies, see to jobs, index again
	AOT        Action = "aot"        // take jobs to make native code, as a worker
)

// Access is the access an installation grants. The zero value denies everything
// to everyone but authenticated principals, who may do everything but approve,
// administer and compile.
type Access struct {
	// Open grants everything to everyone: a server without authentication, which
	// listens on loopback only.
	Open bool
	// AnonymousPull lists the namespaces that anyone may read; "*" means all.
	AnonymousPull []string
	// Admins are the names of the principals who may administer and approve.
	Admins []string
	// Approvers are the names of those who may approve.
	Approvers []string
	// Workers are the names of those who may compile. They may read everything and
	// write nothing else, unless they administer as well.
	Workers []string
}

// A Decision is an answer.
type Decision struct {
	Allowed bool
	Reason  string // for the caller, in one sentence; empty when allowed
}

// May answers whether p may do a in repo, which is "" for what is not about one.
func (c Access) May(p Principal, a Action, repo string) Decision {
	switch {
	case c.Open:
		return Decision{Allowed: true}
	case p.Anonymous():
		return c.anonymous(a, repo)
	case a == Administer && !c.admin(p):
		return Decision{Reason: "this needs an administrator: auth.admins does not name you"}
	case a == Approve && !c.admin(p) && !slices.Contains(c.Approvers, p.Name):
		return Decision{Reason: "this needs an approver: neither auth.approvers nor auth.admins names you"}
	case a == AOT && !c.admin(p) && !slices.Contains(c.Workers, p.Name):
		return Decision{Reason: "this needs a worker: neither auth.workers nor auth.admins names you"}
	case a != AOT && a != Pull && c.Worker(p):
		return Decision{Reason: "a worker only makes native code: auth.workers names you, and auth.admins does not"}
	}
	return Decision{Allowed: true}
}

// Worker reports whether p may do nothing but read and compile. What that brings
// may be pushed, and only where a job was leased to p: package ingest knows.
func (c Access) Worker(p Principal) bool {
	return !c.Open && !p.Anonymous() && slices.Contains(c.Workers, p.Name) && !c.admin(p)
}

func (c Access) admin(p Principal) bool { return slices.Contains(c.Admins, p.Name) }

func (c Access) anonymous(a Action, repo string) Decision {
	switch {
	case a == Pull && c.publicRepo(repo):
		return Decision{Allowed: true}
	case a == Pull:
		return Decision{Reason: "anonymous callers may not read this namespace: log in"}
	}
	return Decision{Reason: "anonymous callers may not write: log in"}
}

// Namespaces says what p may see in listings: everything, or these namespaces.
func (c Access) Namespaces(p Principal) (everything bool, namespaces []string) {
	if c.Open || !p.Anonymous() {
		return true, nil
	}
	if slices.Contains(c.AnonymousPull, "*") {
		return true, nil
	}
	return false, c.AnonymousPull
}

func (c Access) publicRepo(repo string) bool {
	for _, ns := range c.AnonymousPull {
		if ns == "*" || repo == ns || strings.HasPrefix(repo, ns+"/") {
			return true
		}
	}
	return false
}
