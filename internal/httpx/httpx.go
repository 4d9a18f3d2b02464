// Package httpx is what every HTTP request of wreg passes on its way to a
// handler: limits and deadlines, a request id, the access log, recovery from
// panics, and the checks that keep web pages of others away from a server
// without passwords.
//
// Wrap puts the layers around a handler, NewServer makes the server for them.
// A response still reaches the kernel by sendfile: the only wrapper around the
// ResponseWriter passes ReadFrom, Flush and everything else on.
package httpx

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strconv"
	"strings"
	"time"
)

// Options of Wrap.
type Options struct {
	Log *slog.Logger // required

	// MaxConcurrent is how many requests may run at the same time; zero is no
	// bound. Exempt requests neither count nor wait.
	MaxConcurrent int

	// Exempt reports requests that are answered even under load and logged at
	// DEBUG only: health checks. It may be nil.
	Exempt func(*http.Request) bool

	// StallTimeout is how long a body may make no progress in either direction
	// before the connection is cut; zero is for ever.
	StallTimeout time.Duration

	// LoopbackHost refuses requests whose Host is not a name of this machine's
	// loopback, which is what a web page gets that had its own name resolved to
	// 127.0.0.1. For servers without authentication on a loopback address.
	LoopbackHost bool

	// Observe is told of every request after its answer. It may be nil.
	Observe func(Record)

	// Begin is told of every request before it is handled. It may be nil.
	Begin func(*http.Request)
}

// Record is what is known of a request once it is answered.
type Record struct {
	Request  *http.Request
	Status   int           // 499 if the client was gone before there was one
	Sent     int64         // bytes of the response's body
	Received int64         // bytes of the request's body that were read
	Duration time.Duration // until the handler returned
}

// StatusClientGone is logged for requests whose client left without an answer.
const StatusClientGone = 499

// Wrap puts the layers around h.
func Wrap(h http.Handler, o Options) http.Handler {
	h = refuseCrossOrigin(h)
	if o.LoopbackHost {
		h = requireLoopbackHost(h)
	}
	if o.MaxConcurrent > 0 {
		h = limit(h, o.MaxConcurrent, o.Exempt)
	}
	return &outer{next: h, Options: o}
}

// outer is the first layer: everything that needs the wrapped response.
type outer struct {
	next http.Handler
	Options
}

func (o *outer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	id := requestID(r)
	r = r.WithContext(context.WithValue(r.Context(), idKey{}, id))
	body := &requestBody{ReadCloser: r.Body, rolling: rolling{w: w, stall: o.StallTimeout}}
	if r.Body != nil && r.Body != http.NoBody {
		r.Body = body // r is a copy by now
	}
	resp := &response{ResponseWriter: w, rolling: rolling{w: w, stall: o.StallTimeout}}
	if r.ProtoMajor == 1 {
		// A deadline of the request before may have passed meanwhile, and one has to
		// hold when the server itself reads the rest of a body that no handler wanted.
		// HTTP/2 has deadlines for each stream, which end it even if nobody waits.
		resp.moveWrite()
		if r.Body == body {
			body.moveRead()
		}
	}
	header := w.Header()
	header["X-Request-Id"] = []string{id}
	setSecurity(header)
	if o.Begin != nil {
		o.Begin(r)
	}
	defer func() {
		p := recover()
		if p != nil && p != http.ErrAbortHandler { //nolint:errorlint // net/http compares it this way as well
			o.Log.LogAttrs(r.Context(), slog.LevelError, "handler panicked",
				slog.Any("panic", p), slog.String("path", r.URL.Path), slog.String("stack", string(debug.Stack())))
			if resp.status == 0 {
				refuse(resp, r, http.StatusInternalServerError, "UNKNOWN", "the server made a mistake; its log has request "+id)
				p = nil
			} else {
				p = http.ErrAbortHandler // half an answer is out: cut it, so that nobody takes it for the whole
			}
		}
		o.finish(r, resp, body.received, time.Since(start))
		if p != nil {
			panic(p)
		}
	}()
	o.next.ServeHTTP(resp, r)
}

func (o *outer) finish(r *http.Request, resp *response, received int64, took time.Duration) {
	status := resp.status
	switch {
	case status == 0 && r.Context().Err() != nil:
		status = StatusClientGone
	case status == 0:
		status = http.StatusOK
	}
	if o.Observe != nil {
		o.Observe(Record{Request: r, Status: status, Sent: resp.sent, Received: received, Duration: took})
	}
	level := slog.LevelInfo
	if o.Exempt != nil && o.Exempt(r) {
		level = slog.LevelDebug
	}
	if !o.Log.Enabled(r.Context(), level) {
		return
	}
	o.Log.LogAttrs(r.Context(), level, "request",
		slog.String("method", r.Method), slog.String("path", r.URL.Path), slog.Int("status", status),
		slog.Int64("sent", resp.sent), slog.Int64("received", received), slog.Duration("took", took),
		slog.String("remote", r.RemoteAddr), slog.String("agent", clip(r.UserAgent())))
}

// setSecurity is right for content that others pushed: a browser neither
// guesses its type nor runs it. Pages loosen the policy for themselves.
func setSecurity(h http.Header) {
	h["X-Content-Type-Options"] = nosniff
	h["Content-Security-Policy"] = sandbox
	h["Referrer-Policy"] = noReferrer
}

var (
	nosniff    = []string{"nosniff"}
	sandbox    = []string{"default-src 'none'; frame-ancestors 'none'; sandbox"}
	noReferrer = []string{"no-referrer"}
)

// requireLoopbackHost answers 421 to a Host that is no name of loopback.
func requireLoopbackHost(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !loopbackHost(r.Host) {
			refuse(w, r, http.StatusMisdirectedRequest, "DENIED",
				"a server without authentication answers only to localhost, 127.0.0.1 and [::1]; the request was for another host")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// loopbackHost reads the value of a Host header, with or without a port.
func loopbackHost(host string) bool {
	name := host
	if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.HasSuffix(host, "]") {
		if _, err := strconv.ParseUint(host[i+1:], 10, 16); err != nil {
			return false
		}
		name = host[:i]
	}
	if strings.EqualFold(name, "localhost") {
		return true
	}
	bracketed := strings.HasPrefix(name, "[") && strings.HasSuffix(name, "]")
	if bracketed {
		name = name[1 : len(name)-1]
	}
	ip, err := netip.ParseAddr(name)
	return err == nil && ip.IsLoopback() && ip.Is6() == bracketed && ip.Zone() == ""
}

// refuseCrossOrigin keeps pages of other origins from writing through a
// visitor's browser. Clients that are no browsers send neither of the headers
// it looks at.
func refuseCrossOrigin(next http.Handler) http.Handler {
	p := http.NewCrossOriginProtection()
	p.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		refuse(w, r, http.StatusForbidden, "DENIED", "writes from pages of another origin are refused")
	}))
	return p.Handler(next)
}

// limit answers 503 while n requests are running.
func limit(next http.Handler, n int, exempt func(*http.Request) bool) http.Handler {
	slots := make(chan struct{}, n)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if exempt != nil && exempt(r) {
			next.ServeHTTP(w, r)
			return
		}
		select {
		case slots <- struct{}{}:
			defer func() { <-slots }()
			next.ServeHTTP(w, r)
		default:
			w.Header().Set("Retry-After", "1")
			refuse(w, r, http.StatusServiceUnavailable, "TOOMANYREQUESTS", "the server is busy, try again in a second")
		}
	})
}

func clip(s string) string {
	if len(s) > 120 {
		return s[:120] + "…"
	}
	return s
}
