// Package auth finds out who asks: it turns the credentials of a request into a
// policy.Principal. What that principal may do is package policy's question.
package auth

import (
	"errors"
	"net/http"

	"github.com/wreg-project/wreg/registry/policy"
)

// An Authenticator knows the senders of requests. Its methods are safe for
// concurrent use.
type Authenticator interface {
	// Authenticate returns the principal that r's credentials prove, an anonymous
	// one if it has none. Wrong or unreadable credentials are ErrCredentials.
	Authenticate(r *http.Request) (policy.Principal, error)

	// Challenge is the WWW-Authenticate header that asks for credentials.
	Challenge() string
}

// ErrCredentials says that a request's credentials prove nothing. It does not
// say whether the name or the password is wrong.
var ErrCredentials = errors.New("wrong credentials")
