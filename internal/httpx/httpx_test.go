package httpx

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/wreg-project/wreg/internal/testenv"
)

// logBuffer collects JSON lines of a log.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func logTo(b *logBuffer) *slog.Logger {
	return slog.New(slog.NewJSONHandler(b, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func hello(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }

func TestRequestID(t *testing.T) {
	tests := []struct {
		name string
		in   []string
		keep bool
	}{
		{name: "a plain one is kept", in: []string{"Abc-1_2.3"}, keep: true},
		{name: "none makes one"},
		{name: "one with a line break is replaced", in: []string{"a\nb"}},
		{name: "a long one is replaced", in: []string{strings.Repeat("a", maxID+1)}},
		{name: "two are replaced", in: []string{"a", "b"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var inside string
			h := Wrap(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { inside = RequestID(r.Context()) }),
				Options{Log: slog.New(slog.DiscardHandler)})
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.Header["X-Request-Id"] = tt.in
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			got := w.Header().Get("X-Request-Id")
			if got == "" || got != inside || tt.keep != (len(tt.in) > 0 && got == tt.in[0]) {
				t.Errorf("request id of %q = %q (in the context %q), want kept %v", tt.in, got, inside, tt.keep)
			}
		})
	}
}

func TestPanics(t *testing.T) {
	tests := []struct {
		name   string
		h      http.HandlerFunc
		status int // 0: the connection is cut
		logged bool
	}{
		{name: "a panic is a 500", h: func(http.ResponseWriter, *http.Request) { panic("boom") }, status: 500, logged: true},
		{
			name: "a panic after the header cuts the connection",
			h: func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Length", "10")
				hello(w, nil)
				panic("boom")
			},
			logged: true,
		},
		{name: "ErrAbortHandler passes", h: func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var log logBuffer
			srv := httptest.NewServer(Wrap(tt.h, Options{Log: logTo(&log)}))
			resp, err := get(t, srv.Client(), srv.URL+"/v2/x/")
			srv.Close()
			switch {
			case tt.status == 0 && err == nil:
				t.Errorf("GET = %d %q, want a cut connection", resp.status, resp.body)
			case tt.status != 0 && (err != nil || resp.status != tt.status || !json.Valid([]byte(resp.body))):
				t.Errorf("GET = %d %q, %v; want %d in JSON", resp.status, resp.body, err, tt.status)
			}
			if strings.Contains(resp.body, "boom") {
				t.Errorf("the client was told %q", resp.body)
			}
			if got := strings.Contains(log.String(), `"level":"ERROR","msg":"handler panicked","panic":"boom"`); got != tt.logged {
				t.Errorf("panic logged %v, want %v: %s", got, tt.logged, log.String())
			}
			if !strings.Contains(log.String(), `"msg":"request"`) {
				t.Errorf("the request is not in the log: %s", log.String())
			}
		})
	}
}

type answer struct {
	status int
	body   string
	header http.Header
}

func get(t *testing.T, c *http.Client, url string) (answer, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return do(t, c, req)
}

func do(t *testing.T, c *http.Client, req *http.Request) (answer, error) {
	t.Helper()
	resp, err := c.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, string(body), resp.Header}, err
}

func TestLoopbackHost(t *testing.T) {
	tests := []struct {
		host string
		want bool
	}{
		{"localhost", true},
		{"LOCALHOST:5080", true},
		{"127.0.0.1:5080", true},
		{"127.1.2.3", true},
		{"[::1]", true},
		{"[::1]:80", true},
		{"[::ffff:127.0.0.1]:80", true},
		{"", false},
		{"::1", false},
		{"[127.0.0.1]", false},
		{"evil.example", false},
		{"localhost.evil.example", false},
		{"127.0.0.1.nip.io:5080", false},
		{"127.0.0.1:80:80", false},
		{"10.0.0.1", false},
		{"localhost:", false},
		{"0.0.0.0", false},
		{"[::]", false},
		{"localhost:80@evil.example", false},
	}
	h := Wrap(http.HandlerFunc(hello), Options{Log: slog.New(slog.DiscardHandler), LoopbackHost: true})
	for _, tt := range tests {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Host = tt.host
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if got := w.Code == http.StatusOK; got != tt.want || !got && w.Code != http.StatusMisdirectedRequest {
			t.Errorf("GET / with Host %q = %d, want accepted %v", tt.host, w.Code, tt.want)
		}
	}
}

func TestCrossOriginWritesAreRefused(t *testing.T) {
	tests := []struct {
		name   string
		method string
		header map[string]string
		want   int
	}{
		{"a client that is no browser may write", "PUT", nil, 200},
		{"a page of ours may write", "POST", map[string]string{"Sec-Fetch-Site": "same-origin"}, 200},
		{"a page of others may not write", "POST", map[string]string{"Sec-Fetch-Site": "cross-site"}, 403},
		{"an old browser's foreign page may not write", "PUT", map[string]string{"Origin": "http://evil.example"}, 403},
		{"a link from elsewhere works", "GET", map[string]string{"Sec-Fetch-Site": "cross-site"}, 200},
	}
	h := Wrap(http.HandlerFunc(hello), Options{Log: slog.New(slog.DiscardHandler)})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest(tt.method, "http://registry.example/v2/a/blobs/uploads/", nil)
			for k, v := range tt.header {
				r.Header.Set(k, v)
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != tt.want {
				t.Errorf("%s with %v = %d, want %d", tt.method, tt.header, w.Code, tt.want)
			}
			if w.Header().Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("%s with %v sends CORS headers %v, want none", tt.method, tt.header, w.Header())
			}
		})
	}
}

// Each API has its own form of errors, also where its handler is not asked.
func TestRefusalsSpeakTheAPI(t *testing.T) {
	h := Wrap(http.HandlerFunc(hello), Options{Log: slog.New(slog.DiscardHandler), LoopbackHost: true})
	tests := []struct{ path, mediaType, code string }{
		{"/v2/x/", "application/json", `"code":"DENIED"`},
		{"/api/v1/packages", "application/problem+json", `"code":"misdirected"`},
		{"/", "text/plain; charset=utf-8", "another host"},
	}
	for _, tt := range tests {
		r := httptest.NewRequest(http.MethodGet, tt.path, nil)
		r.Host = "evil.example"
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != http.StatusMisdirectedRequest || w.Header().Get("Content-Type") != tt.mediaType || !strings.Contains(w.Body.String(),
			tt.code) {
			t.Errorf("GET %s = %d %s %s, want 421 of type %s with %s", tt.path, w.Code, w.Header().Get("Content-Type"), w.Body, tt.mediaType,
				tt.code)
		}
	}
}

func TestLimitAnswersWhenBusy(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	h := Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v2/slow" {
			entered <- struct{}{}
			<-leave
		}
		hello(w, r)
	}), Options{
		Log: slog.New(slog.DiscardHandler), MaxConcurrent: 1,
		Exempt: func(r *http.Request) bool { return r.URL.Path == "/healthz" },
	})
	serve := func(path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		return w
	}
	slow := make(chan int)
	go func() { slow <- serve("/v2/slow").Code }()
	<-entered
	if w := serve("/v2/fast"); w.Code != 503 || w.Header().Get("Retry-After") == "" || !strings.Contains(w.Body.String(), "TOOMANYREQUESTS") {
		t.Errorf("GET /v2/fast beside a running request = %d %v %s; want 503, Retry-After, TOOMANYREQUESTS", w.Code, w.Header(), w.Body)
	}
	if w := serve("/healthz"); w.Code != 200 {
		t.Errorf("GET /healthz beside a running request = %d, want 200", w.Code)
	}
	close(leave)
	if code := <-slow; code != 200 {
		t.Errorf("GET /v2/slow = %d, want 200", code)
	}
	if w := serve("/v2/fast"); w.Code != 200 {
		t.Errorf("GET /v2/fast afterwards = %d, want 200", w.Code)
	}
}

// fileWriter is a response that notes what it could send by sendfile.
type fileWriter struct {
	*httptest.ResponseRecorder
	fromFile int64
}

func (w *fileWriter) ReadFrom(r io.Reader) (int64, error) {
	src := r
	if l, ok := r.(*io.LimitedReader); ok {
		src = l.R
	}
	n, err := io.Copy(w.ResponseRecorder, r)
	if _, ok := src.(syscall.Conn); ok {
		w.fromFile += n
	}
	return n, err
}

// net uses sendfile for what has a file descriptor, alone or in one
// LimitedReader. That the kernel is asked for it in fact is tested by strace in cmd/wreg.
func TestFilesReachTheServerAsFiles(t *testing.T) {
	const size = 2*chunk + 17
	path := filepath.Join(t.TempDir(), "blob")
	if err := os.WriteFile(path, bytes.Repeat([]byte{'x'}, size), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		copy func(io.Writer, *os.File) (int64, error)
		want int64
	}{
		{"a whole file", func(w io.Writer, f *os.File) (int64, error) { return io.Copy(w, f) }, size},
		{"a part of a file", func(w io.Writer, f *os.File) (int64, error) { return io.CopyN(w, f, chunk+5) }, chunk + 5},
		{"exactly a chunk", func(w io.Writer, f *os.File) (int64, error) { return io.CopyN(w, f, chunk) }, chunk},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = f.Close() }()
			var rec Record
			h := Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if n, err := tt.copy(w, f); n != tt.want || err != nil {
					t.Errorf("copy = %d, %v; want %d", n, err, tt.want)
				}
			}), Options{Log: slog.New(slog.DiscardHandler), StallTimeout: time.Minute, Observe: func(r Record) { rec = r }})
			w := &fileWriter{ResponseRecorder: httptest.NewRecorder()}
			h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
			if w.fromFile != tt.want || int64(w.Body.Len()) != tt.want || rec.Sent != tt.want || rec.Status != 200 {
				t.Errorf("sent %d bytes as a file, %d in all, recorded %d with %d; want %d with 200",
					w.fromFile, w.Body.Len(), rec.Sent, rec.Status, tt.want)
			}
		})
	}
}

// A body that stops moving ends the request; one that trickles does not.
func TestStall(t *testing.T) {
	const stall = 400 * time.Millisecond
	got := make(chan error, 1)
	srv := httptest.NewServer(Wrap(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, err := io.Copy(io.Discard, r.Body)
		got <- err
	}), Options{Log: slog.New(slog.DiscardHandler), StallTimeout: stall}))
	defer srv.Close()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := fmt.Fprint(conn, "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(stall / 4)
	defer tick.Stop()
	for range 12 { // three times the time allowed
		<-tick.C
		if _, err := conn.Write([]byte{'x'}); err != nil {
			t.Fatalf("write to a moving request: %v", err)
		}
	}
	select {
	case err := <-got:
		t.Fatalf("reading a moving body ended with %v", err)
	default:
	}
	select {
	case err := <-got:
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("reading a stalled body = %v, want os.ErrDeadlineExceeded", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("a stalled body is still waited for after 10 s")
	}
}

// A handler that takes longer than the stall timeout after it has read its body
// keeps its context.
func TestSlowHandlerKeepsItsContext(t *testing.T) {
	const stall = 20 * time.Millisecond
	srv := httptest.NewServer(Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			t.Errorf("read body: %v", err)
		}
		select {
		case <-r.Context().Done():
			t.Errorf("context ended with %v", context.Cause(r.Context()))
		case <-time.After(10 * stall):
		}
		hello(w, r)
	}), Options{Log: slog.New(slog.DiscardHandler), StallTimeout: stall}))
	defer srv.Close()
	for range 2 { // the second request meets the deadlines of the first
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, srv.URL, strings.NewReader("body"))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Expect", "100-continue")
		if a, err := do(t, srv.Client(), req); err != nil || a.status != 200 {
			t.Errorf("PUT = %d, %v; want 200", a.status, err)
		}
	}
}

func TestAccessLog(t *testing.T) {
	var log logBuffer
	srv := httptest.NewServer(Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusCreated)
		hello(w, r)
	}), Options{Log: logTo(&log), Exempt: func(r *http.Request) bool { return r.URL.Path == "/healthz" }}))
	for _, path := range []string{"/v2/a?secret=1", "/healthz"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, srv.URL+path, strings.NewReader("123"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := do(t, srv.Client(), req); err != nil {
			t.Fatal(err)
		}
	}
	srv.Close()
	for _, want := range []string{
		`"level":"INFO","msg":"request","method":"PUT","path":"/v2/a","status":201,"sent":5,"received":3`,
		`"level":"DEBUG","msg":"request","method":"PUT","path":"/healthz"`,
	} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("log lacks %s:\n%s", want, log.String())
		}
	}
	if strings.Contains(log.String(), "secret") {
		t.Errorf("the log shows a query:\n%s", log.String())
	}
}

func TestServerLifeOverTLS(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	first := testenv.WriteKeyPair(t, "first", certFile, keyFile)
	var log logBuffer
	cert, err := LoadCertificate(certFile, keyFile, logTo(&log))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	cert.now = func() time.Time { now = now.Add(2 * recheck); return now }
	s := NewServer(Wrap(http.HandlerFunc(hello), Options{Log: logTo(&log)}), ServerOptions{
		Log: logTo(&log), HeaderTimeout: time.Minute, IdleTimeout: time.Minute, MaxHeader: 1 << 16, Certificate: cert,
	})
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error)
	go func() { served <- s.Serve(l) }()

	expect := func(what string, want *x509.Certificate) {
		t.Helper()
		pool := x509.NewCertPool()
		pool.AddCert(want)
		c := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}}
		defer c.CloseIdleConnections()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+l.Addr().String(), nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := c.Do(req)
		if err != nil {
			t.Errorf("GET with %s: %v", what, err)
			return
		}
		_ = resp.Body.Close()
		if resp.ProtoMajor != 2 {
			t.Errorf("GET with %s spoke %s, want HTTP/2", what, resp.Proto)
		}
	}
	expect("the first certificate", first)
	if err := os.WriteFile(keyFile, []byte("no key"), 0o600); err != nil {
		t.Fatal(err)
	}
	expect("the first certificate, the new key being broken", first)
	expect("the first certificate, the new key still broken", first)
	if n := strings.Count(log.String(), "new certificate unusable"); n != 1 {
		t.Errorf("the broken key is in the log %d times, want once:\n%s", n, log.String())
	}
	if err := os.Remove(certFile); err != nil {
		t.Fatal(err)
	}
	expect("the first certificate, its file being gone", first)
	second := testenv.WriteKeyPair(t, "second", certFile, keyFile)
	expect("the second certificate", second)

	if err := s.Shutdown(t.Context()); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	if err := <-served; err != nil {
		t.Errorf("Serve = %v after Shutdown, want nil", err)
	}
}

func TestLoadCertificateNamesTheFiles(t *testing.T) {
	dir := t.TempDir()
	_, err := LoadCertificate(filepath.Join(dir, "absent.crt"), filepath.Join(dir, "absent.key"), slog.New(slog.DiscardHandler))
	if !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "absent") {
		t.Errorf("LoadCertificate(absent files) = %v, want ErrNotExist naming one", err)
	}
}
