// Package client reads and writes packages in registries and OCI layouts.
//
// A [Target] is one repository, wherever it lies: [Client.Repository] makes one
// over the network, [OpenLayout] and [CreateLayout] one in a folder. [Copy]
// moves packages between any two. Blobs travel in parallel, an interrupted
// transfer goes on where it stopped, and everything read is checked against its
// size and digest before anybody sees it.
//
// Nothing here trusts the other side: each answer has a bound, listings end,
// names are checked against the grammar of package ref, and a credential goes
// only to the host it is for.
package client

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"

	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/retry"

	"github.com/wreg-project/wreg/artifact/ref"
)

// Bounds on what a server may make us do.
const (
	// MaxManifest is the largest manifest accepted, in bytes; the specification
	// asks registries to take 4 MiB at least.
	MaxManifest = 4 << 20
	// MaxPages bounds each listing. With pages of 1,000 that is a million
	// entries.
	MaxPages = 1000
	// MaxReferrers bounds what one copy follows.
	MaxReferrers = 10000

	maxWellKnown = 64 << 10 // bytes of a registry.json
	pageSize     = 1000     // entries asked for in a listing
)

// Defaults of Options.
const (
	DefaultConcurrency = 4
	DefaultChunk       = 16 << 20
	defaultRetryWait   = 250 * time.Millisecond
	defaultStall       = time.Minute
	defaultSilence     = 2 * time.Minute // a server may hash a large blob before it answers
	maxRetries         = 4
)

// Options say how a Client behaves. The zero value is usable: no credentials,
// HTTPS except for loopback hosts.
type Options struct {
	// UserAgent is sent with each request.
	UserAgent string
	// Insecure speaks plain HTTP to every host. Loopback hosts always get it,
	// unless what answers there wants TLS.
	Insecure bool
	// Credential finds the credential of a host:port; nil means none.
	Credential auth.CredentialFunc
	// Transport sends requests; nil is a clone of the default transport.
	Transport http.RoundTripper
	// Chunk is the size in bytes up to which a blob is uploaded by one PUT, and
	// the size of the pieces of a larger one; 0 is DefaultChunk.
	Chunk int64
	// RetryWait is the pause before the first retry, doubled with each; 0 is a
	// quarter of a second.
	RetryWait time.Duration
	// Warn is told what a registry warns of, host and text, once for each answer
	// that says so; nil is nobody. It is called from many goroutines.
	Warn func(host, text string)
	// Stall ends a connection that has moved no byte for this long; the transfer
	// then goes on over another. 0 is a minute.
	Stall time.Duration
	// Silence is how long a server may take to begin its answer; 0 is two minutes.
	Silence time.Duration
	// Slow is told of a host that was asked and has not begun to answer after a
	// twelfth of Silence, and what that is; nil is nobody. It is called from many
	// goroutines.
	Slow func(host string, silence time.Duration)
}

// Client speaks to registries. It is safe for concurrent use, and remembers
// tokens and what registries say of themselves for as long as it lives.
type Client struct {
	opts Options
	// auth answers challenges, and repeats what failed for a passing reason. It
	// is for requests that can be repeated: all but those of an upload.
	auth *auth.Client
	// once is for uploads: a POST or PATCH that failed on the way may have been
	// done, so the uploader asks the server instead.
	once *auth.Client

	mu        sync.Mutex
	wellKnown map[string]mapping
}

// New makes a Client.
func New(o Options) *Client {
	if o.Chunk <= 0 {
		o.Chunk = DefaultChunk
	}
	if o.RetryWait <= 0 {
		o.RetryWait = defaultRetryWait
	}
	if o.Stall <= 0 {
		o.Stall = defaultStall
	}
	if o.Silence <= 0 {
		o.Silence = defaultSilence
	}
	if o.Transport == nil {
		o.Transport = newTransport()
	}
	o.Transport = &stallTransport{base: &localTLS{base: o.Transport}, after: o.Stall, silence: o.Silence, slow: o.Slow}
	c := &Client{opts: o, wellKnown: map[string]mapping{}}
	cache := auth.NewCache()
	header := http.Header{}
	if o.UserAgent != "" {
		header.Set("User-Agent", o.UserAgent)
	}
	c.auth = &auth.Client{
		Client:     &http.Client{Transport: &retry.Transport{Base: o.Transport, Policy: c.retryPolicy}},
		Header:     header,
		Credential: o.Credential,
		Cache:      cache,
		ClientID:   "wpkg",
	}
	once := *c.auth
	once.Client = &http.Client{Transport: o.Transport}
	c.once = &once
	return c
}

// newTransport is the default transport with bounds on connecting and on headers.
func newTransport() http.RoundTripper {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.DialContext = (&net.Dialer{Timeout: 15 * time.Second, KeepAlive: 30 * time.Second}).DialContext
	t.MaxResponseHeaderBytes = 64 << 10
	t.MaxIdleConnsPerHost = 2 * DefaultConcurrency
	return t
}

// retryPolicy repeats a request that can be repeated after a failure that may
// pass: a lost connection, 408, 429 and 5xx other than 501. A refused connection is
// final at once, and so is silence, which was waited for long enough.
func (c *Client) retryPolicy() retry.Policy {
	return &retry.GenericPolicy{
		Retryable: func(resp *http.Response, err error) (bool, error) {
			if err == nil && resp.StatusCode == http.StatusNotImplemented {
				return false, nil
			}
			return retry.DefaultPredicate(resp, err)
		},
		Backoff:  retry.ExponentialBackoff(c.opts.RetryWait, 2, 0.1),
		MaxWait:  10 * time.Second,
		MaxRetry: maxRetries,
	}
}

// plainHTTP reports whether host is spoken to without TLS at first.
func (c *Client) plainHTTP(host string) bool { return c.opts.Insecure || ref.IsLoopback(host) }

// wait pauses before the attempt-th retry of a transfer, doubling each time.
func (c *Client) wait(ctx context.Context, attempt int) error {
	d := retry.ExponentialBackoff(c.opts.RetryWait, 2, 0.1)(attempt, nil)
	t := time.NewTimer(min(d, 10*time.Second))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
