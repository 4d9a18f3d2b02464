// Package catalog serves what a registry knows about its packages by HTTP, below
// /api/v1: packages and versions, search, reports, relations, policies and what
// they decided, jobs, events. Package wire has the form of its JSON, and
// docs/spec/api.md tells users about it.
//
// operations.go is the table of everything that can be asked; the router, the
// checks of parameters and the OpenAPI document all follow from it. The files
// beside it hold the handlers by what they are about. Handlers get a request
// whose parameters are of the documented form and whose caller may make it, and
// return an answer or an error; ServeHTTP alone turns errors into problems.
//
// Every list, search and count is of what the caller may see.
package catalog

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/wreg-project/wreg/internal/httpx"
	"github.com/wreg-project/wreg/registry/advisories"
	"github.com/wreg-project/wreg/registry/auth"
	"github.com/wreg-project/wreg/registry/catalog/wire"
	"github.com/wreg-project/wreg/registry/ingest"
	"github.com/wreg-project/wreg/registry/instance"
	"github.com/wreg-project/wreg/registry/policy"
	"github.com/wreg-project/wreg/registry/trust"
	"github.com/wreg-project/wreg/sbom/vuln"
	"github.com/wreg-project/wreg/storage/meta"
)

// Defaults of Options.
const (
	DefaultTimeout    = 30 * time.Second
	DefaultMaxHeavy   = 4
	DefaultMaxStreams = 64
)

// Options of New. Meta is required; the zero Access lets nobody in who has not
// logged in.
type Options struct {
	Meta   meta.DB
	Ingest *ingest.Service // nil if nothing is ever ingested
	Access policy.Access
	Auth   auth.Authenticator // nil takes every caller for anonymous
	Log    *slog.Logger       // nil discards
	Clock  func() time.Time   // nil is time.Now

	// Advisories are those that versions are compared with; nil is those of Meta.
	Advisories vuln.Source

	// Trust is what signatures are verified against, nil if none are, and Keys gives
	// the public keys by which the installation signs, and did, from memory; nil for
	// none.
	Trust *trust.Trust
	Keys  func() []instance.Key

	// Likelihood gives what is known of how vulnerabilities are used; nil if nothing
	// is. It answers from memory.
	Likelihood func() advisories.Likelihood

	// Timeout is how long an answer may take to be found; 0 is 30 s. Streams of
	// events have none.
	Timeout time.Duration

	// MaxHeavy is how many requests that cost much may run at the same time:
	// audits, diffs, trees. 0 is 4.
	MaxHeavy int

	// MaxStreams is how many streams of events may be open; 0 is 64.
	MaxStreams int
}

// An API is the handler of everything below /api/v1. It bounds what it reads;
// deadlines of connections are the server's business.
type API struct {
	Options
	routes  []*operation
	origin  *http.CrossOriginProtection
	heavy   chan struct{}
	streams chan struct{}
	leasers chan struct{}
	waiters waiters // of the leasers, those who wait

	closing context.Context // ends at Close
	close   context.CancelFunc
	mu      sync.Mutex
	closed  bool
	open    sync.WaitGroup // streams; none is added once closed
}

// New makes an API. The caller ends it by Close.
func New(o Options) *API {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Advisories == nil {
		o.Advisories = advisories.New(o.Meta, advisories.Options{})
	}
	if o.Likelihood == nil {
		o.Likelihood = func() advisories.Likelihood { return advisories.Likelihood{} }
	}
	if o.Timeout <= 0 {
		o.Timeout = DefaultTimeout
	}
	if o.MaxHeavy <= 0 {
		o.MaxHeavy = DefaultMaxHeavy
	}
	if o.MaxStreams <= 0 {
		o.MaxStreams = DefaultMaxStreams
	}
	a := &API{
		Options: o, routes: operations(), origin: http.NewCrossOriginProtection(),
		heavy: make(chan struct{}, o.MaxHeavy), streams: make(chan struct{}, o.MaxStreams),
		leasers: make(chan struct{}, maxLeasers),
	}
	a.closing, a.close = context.WithCancel(context.Background())
	return a
}

// Close ends the streams of events, which would hold up the end of a server
// otherwise, and returns once they have ended. Streams asked for later are
// refused; everything else is still answered.
func (a *API) Close() {
	a.mu.Lock()
	a.closed = true
	a.mu.Unlock()
	a.close()
	a.open.Wait()
}

// begin counts a stream, unless the API is closed. It is ended by open.Done.
func (a *API) begin() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.closed {
		a.open.Add(1)
	}
	return !a.closed
}

// ServeHTTP is the one place where an error becomes a problem and a log line;
// the handlers only return it.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q := &request{http: r}
	err := a.serve(w, q)
	if err == nil {
		return
	}
	p := problemOf(err)
	level := slog.LevelDebug
	if p.Status >= http.StatusInternalServerError {
		level = slog.LevelError
		if r.Context().Err() != nil { // the client left: the error is of its doing
			level = slog.LevelDebug
		}
	}
	id := ""
	if q.op != nil {
		id = q.op.id
	}
	a.Log.LogAttrs(r.Context(), level, "request failed", slog.String("endpoint", id), slog.String("repo", q.repo),
		slog.String("principal", q.caller.Name), slog.Int("status", p.Status), slog.Any("err", err))
	a.writeProblem(w, r, p, err)
}

// serve finds out who asks for what, and answers.
func (a *API) serve(w http.ResponseWriter, q *request) error {
	err := a.identify(q)
	if err != nil {
		return err
	}
	if err := a.route(q); err != nil {
		return err
	}
	if err := a.origin.Check(q.http); err != nil {
		return &wire.Problem{Code: wire.CodeCrossOrigin, Detail: "pages of another origin may not write"}
	}
	if err := q.readPath(); err != nil {
		return err
	}
	if err := a.authorise(q); err != nil {
		return err
	}
	if err := q.readQuery(); err != nil {
		return err
	}
	if err := q.readBody(w); err != nil {
		return err
	}
	if q.op.heavy {
		release, err := take(a.heavy, "requests of this kind")
		if err != nil {
			return err
		}
		defer release()
	}
	if q.op.stream != nil {
		return q.op.stream(a, w, q)
	}
	ctx, cancel := context.WithTimeout(q.http.Context(), a.Timeout)
	defer cancel()
	if q.format, err = q.accept(q.op.offers()...); err != nil {
		return err
	}
	got, err := q.op.serve(a, ctx, q)
	if errors.Is(err, context.DeadlineExceeded) && q.http.Context().Err() == nil {
		return &wire.Problem{
			Code: wire.CodeUnavailable, Detail: "the answer took too long to find",
			Hint: "ask for less: a smaller limit, a narrower query",
		}
	}
	if err != nil {
		return err
	}
	return a.write(w, q, got)
}

// take takes one of a bounded number of places, or refuses at once.
func take(places chan struct{}, what string) (release func(), err error) {
	select {
	case places <- struct{}{}:
		return func() { <-places }, nil
	default:
		return nil, &wire.Problem{Code: wire.CodeTooManyRequests, Detail: "too many " + what + " at the same time", Hint: "try again in a second"}
	}
}

// identify authenticates the caller and says what it may see.
func (a *API) identify(q *request) error {
	if a.Auth != nil {
		var err error
		if q.caller, err = a.Auth.Authenticate(q.http); err != nil {
			return err
		}
	}
	q.sees.Everything, q.sees.Namespaces = a.Access.Namespaces(q.caller)
	return nil
}

// authorise applies the rule of the registry's other API: whoever may not read a
// repository cannot tell it from one that does not exist. An anonymous caller is
// asked to log in either way, an authenticated one is told that there is none.
func (a *API) authorise(q *request) error {
	switch op := q.op; {
	case op.public, a.Access.Open:
		return nil
	case op.named && q.caller.Anonymous():
		return unauthenticated("this is only for callers with a name")
	case q.repo != "":
		return a.may(q, op.action, q.repo)
	case op.action != policy.Pull:
		return a.may(q, op.action, "")
	case q.caller.Anonymous() && !q.sees.Everything && len(q.sees.Namespaces) == 0:
		return unauthenticated("anonymous callers may not read here")
	}
	return nil
}

// may asks whether the caller may do something in a repository, "" being the
// installation.
func (a *API) may(q *request, action policy.Action, repo string) error {
	d := a.Access.May(q.caller, action, repo)
	switch {
	case d.Allowed:
		return nil
	case q.caller.Anonymous():
		return unauthenticated(d.Reason)
	case repo == "" || action != policy.Pull && a.Access.May(q.caller, policy.Pull, repo).Allowed:
		return &wire.Problem{Code: wire.CodeForbidden, Detail: d.Reason}
	default:
		return noPackage(repo)
	}
}

func unauthenticated(reason string) error {
	return &wire.Problem{Code: wire.CodeUnauthenticated, Detail: reason, Hint: "send the name and password of an account"}
}

func noPackage(repo string) error {
	return &wire.Problem{
		Code: wire.CodeNotFound, Detail: "there is no package " + wire.PackageName(repo), Hint: "GET " + wire.Base + "/packages lists them",
	}
}

// requestID is the id that the log has of the request.
func requestID(r *http.Request) string { return httpx.RequestID(r.Context()) }
