package client

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/opencontainers/go-digest"
	"oras.land/oras-go/v2/registry/remote/errcode"
)

// uploads is the upload side of a registry that keeps what it got of a broken
// PATCH, and notes each request.
type uploads struct {
	turn     sync.Mutex // of requests on sessions
	mu       sync.Mutex
	sessions map[string][]byte
	blobs    map[digest.Digest][]byte
	log      []string
	next     int

	forget    bool // answer 404 to the first status request and drop the session
	noPatch   bool
	failFirst int // answers 503 to that many requests on sessions
	minChunk  string
}

func newUploads() *uploads {
	return &uploads{sessions: map[string][]byte{}, blobs: map[digest.Digest][]byte{}}
}

func (u *uploads) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, id, _ := strings.Cut(r.URL.Path, "/blobs/uploads/")
	u.mu.Lock()
	line := r.Method
	if cr := r.Header.Get("Content-Range"); cr != "" {
		line += " " + cr
	}
	u.log = append(u.log, line)
	fail := id != "" && r.Method != http.MethodGet && u.failFirst > 0
	if fail {
		u.failFirst--
	}
	u.mu.Unlock()
	switch {
	case fail:
		w.WriteHeader(http.StatusServiceUnavailable)
	case r.Method == http.MethodHead:
		u.head(w, r)
	case r.Method == http.MethodPost:
		u.mu.Lock()
		u.next++
		id := strconv.Itoa(u.next)
		u.sessions[id] = nil
		u.mu.Unlock()
		if u.minChunk != "" {
			w.Header().Set("OCI-Chunk-Min-Length", u.minChunk)
		}
		w.Header().Set("Location", "/v2/a/blobs/uploads/"+id)
		w.WriteHeader(http.StatusAccepted)
	default:
		u.session(w, r, id)
	}
}

func (u *uploads) head(w http.ResponseWriter, r *http.Request) {
	u.mu.Lock()
	defer u.mu.Unlock()
	b, ok := u.blobs[digest.Digest(r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:])]
	if !ok {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
}

func (u *uploads) session(w http.ResponseWriter, r *http.Request, id string) {
	u.turn.Lock() // a status waits until the broken request before it is over
	defer u.turn.Unlock()
	var body bytes.Buffer
	_, readErr := io.Copy(&body, r.Body)
	u.mu.Lock()
	defer u.mu.Unlock()
	b, ok := u.sessions[id]
	if r.Method == http.MethodGet && u.forget {
		u.forget = false
		delete(u.sessions, id)
		ok = false
	}
	switch {
	case !ok:
		w.WriteHeader(http.StatusNotFound)
		return
	case r.Method == http.MethodPatch && u.noPatch:
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	case r.Method == http.MethodPatch && !strings.HasPrefix(r.Header.Get("Content-Range"), fmt.Sprintf("%d-", len(b))):
		w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
		return
	}
	b = append(b, body.Bytes()...)
	u.sessions[id] = b
	if readErr != nil {
		return // nobody is there to be told
	}
	w.Header().Set("Location", "/v2/a/blobs/uploads/"+id)
	w.Header().Set("Range", fmt.Sprintf("0-%d", max(len(b)-1, 0)))
	switch r.Method {
	case http.MethodGet:
		w.WriteHeader(http.StatusNoContent)
	case http.MethodPatch:
		w.WriteHeader(http.StatusAccepted)
	case http.MethodPut:
		want := digest.Digest(r.URL.Query().Get("digest"))
		if digest.FromBytes(b) != want {
			w.WriteHeader(http.StatusBadRequest)
			io.WriteString(w, `{"errors":[{"code":"DIGEST_INVALID","message":"no"}]}`)
			return
		}
		delete(u.sessions, id)
		u.blobs[want] = b
		w.WriteHeader(http.StatusCreated)
	}
}

const chunk = 64 << 10

func TestPushMovesABlob(t *testing.T) {
	tests := []struct {
		name string
		size int
		set  func(*uploads)
		want []string // requests
	}{
		{name: "a small one by POST and PUT", size: 100, want: []string{"POST", "PUT"}},
		{name: "an empty one", size: 0, want: []string{"POST", "PUT"}},
		{name: "one of a chunk's size by POST and PUT", size: chunk, want: []string{"POST", "PUT"}},
		{
			name: "a larger one in pieces", size: 2*chunk + 10,
			want: []string{"POST", "PATCH 0-65535", "PATCH 65536-131071", "PATCH 131072-131081", "PUT"},
		},
		{
			name: "in pieces as large as the registry asks for", size: 2*chunk + 10, set: func(u *uploads) { u.minChunk = "100000" },
			want: []string{"POST", "PATCH 0-99999", "PATCH 100000-131081", "PUT"},
		},
		{
			name: "whole where PATCH is refused", size: 2 * chunk, set: func(u *uploads) { u.noPatch = true },
			want: []string{"POST", "PATCH 0-65535", "POST", "PUT"},
		},
		{
			name: "past an overloaded registry", size: chunk + 1, set: func(u *uploads) { u.failFirst = 2 },
			// Status says "0-0", which may be none or one byte: first it is taken
			// for none, then for nothing to go on with.
			want: []string{
				"POST", "PATCH 0-65535", "GET", "PATCH 0-65535", "GET", "HEAD", "POST", "PATCH 0-65535", "PATCH 65536-65536", "PUT",
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			u := newUploads()
			if tt.set != nil {
				tt.set(u)
			}
			r := repository(t, newClient(Options{Chunk: chunk}), serve(t, u), "a")
			b := randomBytes(tt.size)
			d := describe("application/wasm", b)
			if err := r.Push(t.Context(), d, bytes.NewReader(b)); err != nil {
				t.Fatalf("Push: %v\n%s", err, strings.Join(u.log, "\n"))
			}
			if !bytes.Equal(u.blobs[d.Digest], b) {
				t.Errorf("the registry has %d bytes of other content, want %d", len(u.blobs[d.Digest]), len(b))
			}
			if got, want := strings.Join(u.log, ", "), strings.Join(tt.want, ", "); got != want {
				t.Errorf("requests\ngot  %s\nwant %s", got, want)
			}
		})
	}
}

// A connection that breaks in the middle of a PATCH costs what was in flight:
// the next PATCH begins behind what the registry has.
func TestPushGoesOnWhereItWasCut(t *testing.T) {
	u := newUploads()
	cut := &cutter{addr: serve(t, u), up: true, limit: 3 << 20}
	cut.cuts.Store(2)
	r := repository(t, newClient(Options{Chunk: 8 << 20}), cut.serve(t), "a")
	b := randomBytes(12 << 20)
	d := describe("application/wasm", b)
	if err := r.Push(t.Context(), d, bytes.NewReader(b)); err != nil {
		t.Fatalf("Push: %v\n%s", err, strings.Join(u.log, "\n"))
	}
	if !bytes.Equal(u.blobs[d.Digest], b) {
		t.Error("the registry has other content")
	}
	if cut.done.Load() != 2 {
		t.Errorf("%d connections were cut, want 2", cut.done.Load())
	}
	posts, resumed := 0, 0
	for _, line := range u.log {
		switch {
		case line == "POST":
			posts++
		case strings.HasPrefix(line, "PATCH ") && !strings.HasPrefix(line, "PATCH 0-") && !strings.HasPrefix(line, "PATCH 8388608-"):
			resumed++
		}
	}
	if posts != 1 || resumed < 1 {
		t.Errorf("%d sessions, %d resumed pieces; want 1 and some\n%s", posts, resumed, strings.Join(u.log, "\n"))
	}
}

func TestPushBeginsAnewWhenTheSessionIsGone(t *testing.T) {
	u := newUploads()
	u.failFirst, u.forget = 1, true
	r := repository(t, newClient(Options{Chunk: chunk}), serve(t, u), "a")
	b := randomBytes(chunk + 5)
	d := describe("application/wasm", b)
	if err := r.Push(t.Context(), d, bytes.NewReader(b)); err != nil {
		t.Fatalf("Push: %v\n%s", err, strings.Join(u.log, "\n"))
	}
	if !bytes.Equal(u.blobs[d.Digest], b) {
		t.Error("the registry has other content")
	}
}

func TestPushGivesUp(t *testing.T) {
	tests := []struct {
		name    string
		handler http.HandlerFunc
		content io.Reader
		want    func(error) bool
		max     int // requests
	}{
		{
			name: "at once when it is not let in",
			handler: func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(http.StatusForbidden)
				io.WriteString(w, `{"errors":[{"code":"DENIED","message":"no","detail":"because"}]}`)
			},
			want: func(err error) bool {
				var e *errcode.ErrorResponse
				return errors.As(err, &e) && e.StatusCode == http.StatusForbidden && e.Errors[0].Detail == "because"
			},
			max: 1,
		},
		{
			name:    "after some attempts when the registry is down",
			handler: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) },
			want: func(err error) bool {
				var e *errcode.ErrorResponse
				return errors.As(err, &e) && e.StatusCode == http.StatusBadGateway
			},
			max: 1 + maxRetries,
		},
		{
			name: "when the registry loses each session",
			handler: func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodPost {
					w.Header().Set("Location", "/session")
					w.WriteHeader(http.StatusAccepted)
					return
				}
				if r.Method == http.MethodPatch && strings.HasPrefix(r.Header.Get("Content-Range"), "0-") {
					w.WriteHeader(http.StatusAccepted)
					return
				}
				w.WriteHeader(http.StatusNotFound)
			},
			want: func(err error) bool {
				var e *errcode.ErrorResponse
				return errors.As(err, &e) && e.StatusCode == http.StatusNotFound
			},
			max: 50,
		},
		{
			name: "when the session has no address",
			handler: func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(http.StatusAccepted)
			},
			want: func(err error) bool { return errors.Is(err, ErrAnswer) },
			max:  1,
		},
		{
			name: "when the registry stored something else",
			handler: func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Location", "/session")
				if r.Method == http.MethodPut {
					w.Header().Set("Docker-Content-Digest", digest.FromString("else").String())
					w.WriteHeader(http.StatusCreated)
					return
				}
				w.WriteHeader(http.StatusAccepted)
			},
			want: func(err error) bool { return errors.Is(err, ErrDigest) },
			max:  4,
		},
		{
			name:    "when the content ends early",
			handler: newUploads().ServeHTTP,
			content: bytes.NewReader(make([]byte, 10)),
			want:    func(err error) bool { return errors.Is(err, errSource) },
			max:     2,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var mu sync.Mutex
			n := 0
			host := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				mu.Lock()
				n++
				mu.Unlock()
				io.Copy(io.Discard, r.Body)
				tt.handler(w, r)
			}))
			b := randomBytes(2 * chunk)
			if tt.content == nil {
				tt.content = bytes.NewReader(b)
			} else {
				host = serve(t, newUploads())
			}
			err := repository(t, newClient(Options{Chunk: chunk}), host, "a").Push(t.Context(), describe("application/wasm", b), tt.content)
			if !tt.want(err) {
				t.Errorf("Push: %v", err)
			}
			if n > tt.max {
				t.Errorf("%d requests, want at most %d", n, tt.max)
			}
		})
	}
}

// A registry spoken to over TLS cannot have the content sent in the clear.
func TestSessionStaysOnTLS(t *testing.T) {
	u := &upload{repo: &Repository{}}
	if err := u.move("https://example.org/v2/a/blobs/uploads/", "http://example.org/v2/a/blobs/uploads/1"); !errors.Is(err, ErrAnswer) {
		t.Errorf("move from https to http: %v, want ErrAnswer", err)
	}
	if err := u.move("https://example.org/v2/a/blobs/uploads/", "/v2/a/blobs/uploads/1"); err != nil || u.at.Scheme != "https" {
		t.Errorf("move to a path: %v, %v", u.at, err)
	}
	for _, to := range []string{"file:///etc/passwd", "://", "gopher://x"} {
		if err := u.move("http://example.org/", to); !errors.Is(err, ErrAnswer) {
			t.Errorf("move to %q: %v, want ErrAnswer", to, err)
		}
	}
}

func TestMountFallsBackToUploading(t *testing.T) {
	u := newUploads() // answers POST with a session, whatever is asked
	r := repository(t, newClient(Options{}), serve(t, u), "a")
	b := randomBytes(1000)
	d := describe("application/wasm", b)
	err := r.Mount(t.Context(), d, "b", func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil })
	if err != nil {
		t.Fatalf("Mount: %v", err)
	}
	if got := strings.Join(u.log, ", "); got != "POST, PUT" || !bytes.Equal(u.blobs[d.Digest], b) {
		t.Errorf("requests %s, %d bytes stored; want POST, PUT and all", got, len(u.blobs[d.Digest]))
	}
}
