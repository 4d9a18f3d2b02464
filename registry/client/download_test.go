package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content/memory"
)

// file serves b under any path, with Range, and counts the requests.
func file(b []byte, n *atomic.Int64, ranges bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		n.Add(1)
		if !ranges {
			r.Header.Del("Range")
		}
		w.Header().Set("Content-Type", "application/octet-stream")
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(b))
	}
}

func TestFetchGoesOnWhereItWasCut(t *testing.T) {
	for _, ranges := range []bool{true, false} {
		t.Run(fmt.Sprintf("from a registry with ranges %t", ranges), func(t *testing.T) {
			b := randomBytes(8 << 20)
			d := describe("application/wasm", b)
			var n atomic.Int64
			cut := &cutter{addr: serve(t, file(b, &n, ranges)), limit: 2 << 20}
			cut.cuts.Store(3)
			r := repository(t, newClient(Options{}), cut.serve(t), "a")
			rc, err := r.Fetch(t.Context(), d)
			if err != nil {
				t.Fatal(err)
			}
			defer rc.Close()
			got, err := io.ReadAll(rc)
			if err != nil || !bytes.Equal(got, b) {
				t.Fatalf("read %d of %d bytes: %v", len(got), len(b), err)
			}
			if cut.done.Load() != 3 || n.Load() != 4 {
				t.Errorf("%d cuts and %d requests, want 3 and 4", cut.done.Load(), n.Load())
			}
		})
	}
}

func TestFetchGivesUp(t *testing.T) {
	b := randomBytes(1 << 20)
	d := describe("application/wasm", b)
	var n atomic.Int64
	cut := &cutter{addr: serve(t, file(b, &n, false)), limit: 100 << 10}
	cut.cuts.Store(1000)
	rc, err := repository(t, newClient(Options{}), cut.serve(t), "a").Fetch(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	defer rc.Close()
	if _, err := io.Copy(io.Discard, rc); !errors.Is(err, errBroken) {
		t.Errorf("read: %v, want that the connection was lost", err)
	}
	if n.Load() > 10 {
		t.Errorf("%d requests", n.Load())
	}
}

func TestFetchEndsAStall(t *testing.T) {
	b := randomBytes(1 << 20)
	d := describe("application/wasm", b)
	var n atomic.Int64
	host := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1) > 1 {
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(b))
			return
		}
		w.Header().Set("Content-Length", fmt.Sprint(len(b)))
		w.Write(b[:1000])
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}))
	rc, err := repository(t, newClient(Options{Stall: 50 * time.Millisecond}), host, "a").Fetch(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	defer rc.Close()
	got, err := io.ReadAll(rc)
	if err != nil || !bytes.Equal(got, b) {
		t.Fatalf("read %d bytes: %v", len(got), err)
	}
}

func TestAServerThatDoesNotAnswerIsAskedOnceAndToldOf(t *testing.T) {
	b := randomBytes(100)
	d := describe("application/wasm", b)
	for name, ask := range map[string]func(context.Context, *Repository) error{
		"Resolve": func(ctx context.Context, r *Repository) error { _, err := r.Resolve(ctx, "1.0.0"); return err },
		"Fetch":   func(ctx context.Context, r *Repository) error { _, err := r.Fetch(ctx, d); return err },
		"Push":    func(ctx context.Context, r *Repository) error { return r.Push(ctx, d, bytes.NewReader(b)) },
	} {
		t.Run(name, func(t *testing.T) {
			var asked atomic.Int64
			host := serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				asked.Add(1)
				<-r.Context().Done()
			}))
			told := make(chan string, 100)
			c := newClient(Options{Silence: 120 * time.Millisecond, Slow: func(host string, silence time.Duration) {
				told <- fmt.Sprint(host, " ", silence)
			}})
			if err := ask(t.Context(), repository(t, c, host, "a")); !errors.Is(err, ErrSilent) || !strings.Contains(err.Error(), host) {
				t.Errorf("%s of a server that is silent = %v, want %v of %s", name, err, ErrSilent, host)
			}
			if asked.Load() != 1 {
				t.Errorf("it was asked %d times, want once", asked.Load())
			}
			if got, want := <-told, host+" 120ms"; got != want {
				t.Errorf("told of %s, want %s", got, want)
			}
		})
	}
}

func TestFetchRefusesWhatIsNotPromised(t *testing.T) {
	b := randomBytes(100000)
	d := describe("application/wasm", b)
	altered := bytes.Clone(b)
	altered[99999] ^= 1
	tests := []struct {
		name    string
		handler http.HandlerFunc
		want    error
	}{
		{name: "other content", handler: file(altered, new(atomic.Int64), true), want: ErrDigest},
		{name: "a shorter blob", handler: file(b[:5000], new(atomic.Int64), true), want: ErrAnswer},
		{name: "a longer blob", handler: file(append(bytes.Clone(b), 1), new(atomic.Int64), true), want: ErrAnswer},
		{
			name: "more than it said, of unknown length",
			handler: func(w http.ResponseWriter, _ *http.Request) {
				w.(http.Flusher).Flush()
				for range 1000 {
					if _, err := w.Write(altered); err != nil {
						return
					}
				}
			},
			want: ErrDigest,
		},
		{name: "no blob", handler: http.NotFound, want: ErrNotFound},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := repository(t, newClient(Options{}), serve(t, tt.handler), "a")
			rc, err := r.Fetch(t.Context(), d)
			var got []byte
			if err == nil {
				defer rc.Close()
				got = make([]byte, len(b))
				var n int
				n, err = io.ReadFull(rc, got)
				got = got[:n]
			}
			if !errors.Is(err, tt.want) {
				t.Errorf("%v, want %v", err, tt.want)
			}
			if len(got) == len(b) {
				t.Error("all of the wrong content was handed out")
			}
		})
	}
}

// A copy that fails leaves neither a blob nor a part of one in the layout.
func TestLayoutKeepsNothingOfABrokenCopy(t *testing.T) {
	layer := randomBytes(1 << 20)
	m := memory.New()
	root := pkg(t, m, layer, nil, "", nil)
	manifest, err := ReadAll(t.Context(), m, root, MaxManifest)
	if err != nil {
		t.Fatal(err)
	}
	host := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.Contains(r.URL.Path, "/manifests/"):
			w.Header().Set("Content-Type", ocispec.MediaTypeImageManifest)
			w.Header().Set("Docker-Content-Digest", root.Digest.String())
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(manifest))
		default:
			w.Header().Set("Content-Length", fmt.Sprint(len(layer)))
			w.Write(layer[:len(layer)/2])
		}
	}))
	dir := filepath.Join(t.TempDir(), "layout")
	l, err := CreateLayout(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Copy(t.Context(), repository(t, newClient(Options{}), host, "a"), "1.0.0", l, CopyOptions{Tags: []string{"1.0.0"}})
	if err == nil {
		t.Fatal("Copy of half a blob: no error")
	}
	err = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() && filepath.Base(path) != "index.json" && filepath.Base(path) != "oci-layout" {
			t.Errorf("%s was left", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if tags, err := TagsOf(t.Context(), l); err != nil || len(tags) != 0 {
		t.Errorf("tags %q, %v; want none", tags, err)
	}
}

func TestSeekStopsVerifying(t *testing.T) {
	b := randomBytes(1000)
	v, err := verify(inMemory{bytes.NewReader(b)}, describe("x", b))
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []int64{0, 10, 0, 999, 1000, 500} {
		if n, err := v.Seek(at, io.SeekStart); n != at || err != nil {
			t.Fatalf("Seek(%d) = %d, %v", at, n, err)
		}
		if got, err := io.ReadAll(v); err != nil || !bytes.Equal(got, b[at:]) {
			t.Errorf("from %d: %d bytes, %v", at, len(got), err)
		}
	}
	if _, err := v.Seek(1001, io.SeekStart); err == nil {
		t.Error("Seek past the end: no error")
	}
}
