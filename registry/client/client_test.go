package client

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry/handlers"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/inmemory"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/sirupsen/logrus"
	"oras.land/oras-go/v2/content/memory"
)

// newClient retries without much waiting.
func newClient(o Options) *Client {
	o.RetryWait = time.Millisecond
	o.UserAgent = "wpkg/test"
	return New(o)
}

// distributionHandler is distribution's registry, in memory. It has no referrers
// API.
func distributionHandler(t *testing.T) http.Handler {
	t.Helper()
	config := &configuration.Configuration{}
	config.Storage = configuration.Storage{
		"inmemory": configuration.Parameters{}, "delete": configuration.Parameters{"enabled": true},
		"maintenance": configuration.Parameters{"uploadpurging": map[any]any{"enabled": false}},
	}
	config.Catalog.MaxEntries = 1000
	config.HTTP.Secret = "test"
	config.Log.Level = "panic"
	config.Log.AccessLog.Disabled = true
	logrus.SetOutput(io.Discard)
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	return handlers.NewApp(ctx, config)
}

func serve(t *testing.T, h http.Handler) (host string) {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

// cutter is a TCP proxy in front of addr that breaks the first cuts connections
// which carry more than limit bytes in one direction.
type cutter struct {
	addr  string
	up    bool // count what the client sends, not what it receives
	limit int64
	cuts  atomic.Int64
	done  atomic.Int64 // connections broken
}

func (c *cutter) serve(t *testing.T) (host string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	t.Cleanup(func() {
		l.Close()
		running.Wait()
	})
	running.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", c.addr)
			if err != nil {
				in.Close()
				continue
			}
			stop := sync.OnceFunc(func() {
				in.Close()
				out.Close()
			})
			context.AfterFunc(t.Context(), stop)
			running.Go(func() { c.copy(out, in, c.up, stop) })
			running.Go(func() { c.copy(in, out, !c.up, stop) })
		}
	})
	return l.Addr().String()
}

func (c *cutter) copy(dst io.Writer, src io.Reader, counted bool, stop func()) {
	defer stop()
	if counted {
		if n, err := io.CopyN(dst, src, c.limit); err != nil || n < c.limit {
			return
		}
		if c.cuts.Add(-1) >= 0 {
			c.done.Add(1)
			return
		}
	}
	io.Copy(dst, src)
}

// randomBytes are n bytes that no compression touches.
func randomBytes(n int) []byte {
	r := rand.NewChaCha8([32]byte{1})
	b := make([]byte, n)
	r.Read(b)
	return b
}

func describe(mediaType string, b []byte) ocispec.Descriptor {
	return ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(b), Size: int64(len(b))}
}

// pkg puts a package with one layer into m and returns its manifest.
func pkg(t *testing.T, m *memory.Store, layer []byte, subject *ocispec.Descriptor, artifactType string,
	annotations map[string]string,
) ocispec.Descriptor {
	t.Helper()
	put := func(d ocispec.Descriptor, b []byte) ocispec.Descriptor {
		there, err := m.Exists(t.Context(), d)
		if err == nil && !there {
			err = m.Push(t.Context(), d, bytes.NewReader(b))
		}
		if err != nil {
			t.Fatalf("put %s: %v", d.Digest, err)
		}
		return d
	}
	config := []byte(`{"architecture":"wasm"}`)
	manifest := ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest, ArtifactType: artifactType,
		Config:  put(describe("application/vnd.wasm.config.v0+json", config), config),
		Layers:  []ocispec.Descriptor{put(describe("application/wasm", layer), layer)},
		Subject: subject, Annotations: annotations,
	}
	b, err := json.Marshal(manifest)
	if err != nil {
		t.Fatal(err)
	}
	return put(describe(ocispec.MediaTypeImageManifest, b), b)
}

func repository(t *testing.T, c *Client, host, name string) *Repository {
	t.Helper()
	r, err := c.Repository(host, name)
	if err != nil {
		t.Fatal(err)
	}
	return r
}
