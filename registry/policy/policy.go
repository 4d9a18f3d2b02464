// Package policy decides who may do what. It is pure: a question goes in, an
// answer with its reason comes out, and nothing is read or written.
package policy

import "strings"

// A Principal is who asks.
type Principal struct {
	Name string // "" for an anonymous caller
}

// Anonymous reports whether nobody is known to ask.
func (p Principal) Anonymous() bool { return p.Name == "" }

// An Action is what somebody wants to do in a repository.
type Action string

// The actions of the registry.
const (
	Pull   Action = "pull"
	Push   Action = "push"
	Delete Action = "delete"
)

// Access is the access an installation grants. The zero value denies everything
// to everyone but authenticated principals, who may do everything.
type Access struct {
	// Open grants everything to everyone: a server without authentication, which
	// listens on loopback only.
	Open bool
	// AnonymousPull lists the namespaces that anyone may read; "*" means all.
	AnonymousPull []string
}

// A Decision is an answer.
type Decision struct {
	Allowed bool
	Reason  string // for the caller, in one sentence; empty when allowed
}

// May answers whether p may do a in repo.
func (c Access) May(p Principal, a Action, repo string) Decision {
	switch {
	case c.Open, !p.Anonymous():
		return Decision{Allowed: true}
	case a == Pull && c.publicRepo(repo):
		return Decision{Allowed: true}
	case a == Pull:
		return Decision{Reason: "anonymous callers may not read this namespace: log in"}
	default:
		return Decision{Reason: "anonymous callers may not write: log in"}
	}
}

// Namespaces says what p may see in listings: everything, or these namespaces.
func (c Access) Namespaces(p Principal) (everything bool, namespaces []string) {
	if c.Open || !p.Anonymous() {
		return true, nil
	}
	for _, ns := range c.AnonymousPull {
		if ns == "*" {
			return true, nil
		}
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
