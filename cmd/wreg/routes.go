package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/internal/httpx"
	"github.com/wreg-project/wreg/internal/version"
	"github.com/wreg-project/wreg/registry/catalog"
	"github.com/wreg-project/wreg/registry/ociapi"
	"github.com/wreg-project/wreg/storage/blob"
	"github.com/wreg-project/wreg/web"
)

// handler is everything that the main address serves. The APIs have paths that
// only they understand, so they are asked before the ServeMux, which would clean
// them.
func (s *server) handler() (http.Handler, error) {
	api := ociapi.New(ociapi.Options{Registry: s.registry, Access: s.access, Auth: s.auth, Log: s.log, MayPush: s.ingest.MayPushAOT})
	s.catalog = catalog.New(catalog.Options{
		Meta: s.meta, Ingest: s.ingest, Access: s.access, Auth: s.auth, Log: s.log, Likelihood: s.feeds.Likelihood,
		Trust: s.trust, Keys: s.keys.Keys,
	})
	o := web.Options{Source: pages{meta: s.stores.meta, auth: s.auth, access: s.access}, Log: s.log, Version: version.Get().Version}
	if s.auth != nil {
		o.Challenge = s.auth.Challenge()
	}
	site, err := web.New(o)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	s.health(mux)
	if s.metrics != nil && s.cfg.Metrics.Listen == "" {
		mux.Handle("GET /metrics", s.metrics.Handler())
	}
	mux.HandleFunc("GET /.well-known/wasm-pkg/registry.json", wellKnown)
	mux.Handle("/", site)
	all := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch p := r.URL.Path; {
		case p == "/v2" || strings.HasPrefix(p, "/v2/"):
			api.ServeHTTP(w, r)
		case p == "/api" || strings.HasPrefix(p, "/api/"):
			s.catalog.ServeHTTP(w, r)
		default:
			mux.ServeHTTP(w, r)
		}
	})
	wrap := httpx.Options{
		Log: s.log, MaxConcurrent: s.cfg.Limits.MaxConcurrent, Exempt: health, StallTimeout: s.cfg.Limits.StallTimeout,
		LoopbackHost: s.cfg.Open() && s.cfg.Loopback(),
	}
	if s.metrics != nil {
		wrap.Begin, wrap.Observe = s.metrics.Begin, s.metrics.Observe
	}
	return s.tracer.Wrap(httpx.Wrap(all, wrap)), nil
}

// sideHandler is what the address for metrics serves.
func (s *server) sideHandler() http.Handler {
	mux := http.NewServeMux()
	s.health(mux)
	mux.Handle("GET /metrics", s.metrics.Handler())
	return httpx.Wrap(mux, httpx.Options{
		Log: s.log, MaxConcurrent: s.cfg.Limits.MaxConcurrent, StallTimeout: s.cfg.Limits.StallTimeout,
		Exempt: func(*http.Request) bool { return true },
	})
}

// health reports the paths that have to answer under load.
func health(r *http.Request) bool {
	switch r.URL.Path {
	case "/healthz", "/readyz", "/metrics":
		return true
	}
	return false
}

func (s *server) health(mux *http.ServeMux) {
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		_, _ = io.WriteString(w, "ok\n") // a prober that is gone needs no answer
	})
	mux.HandleFunc("GET /readyz", s.ready)
}

// probeTimeout is what a database or storage gets to prove that it answers.
const probeTimeout = 2 * time.Second

// ready answers 200 if requests would be served, else 503 with the part that is
// in the way.
func (s *server) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), probeTimeout)
	defer cancel()
	state := map[string]string{"database": "ok", "storage": "ok", "server": "ok"}
	status := http.StatusOK
	wrong := func(part, word string, err error) {
		state[part], status = word, http.StatusServiceUnavailable
		if err != nil {
			s.log.LogAttrs(r.Context(), slog.LevelError, "not ready", slog.String("part", part), slog.Any("err", err))
		}
	}
	if s.draining.Load() {
		wrong("server", "shutting down", nil)
	}
	if err := s.stores.meta.Ping(ctx); err != nil {
		wrong("database", "failing", err)
	}
	if err := probe(ctx, s.stores.blobs); err != nil {
		wrong("storage", "failing", err)
	}
	w.Header().Set("Cache-Control", "no-store")
	writeJSON(w, status, state)
}

// probe asks the storage about a blob that it may have or not.
func probe(ctx context.Context, store blob.Store) error {
	_, err := store.Stat(ctx, blob.Key{Digest: digest.FromBytes(nil)})
	if errors.Is(err, blob.ErrNotFound) {
		return nil
	}
	return err
}

// wellKnown tells the Wasm package tools to speak OCI to the host they asked,
// with package ns:name in repository ns/name.
func wellKnown(w http.ResponseWriter, r *http.Request) {
	writeJSON(w, http.StatusOK, map[string]any{
		"preferredProtocol": "oci",
		"oci":               map[string]string{"registry": r.Host, "namespacePrefix": ""},
	})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // maps of texts; or the client is gone
}
