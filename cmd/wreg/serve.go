package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/wreg-project/wreg/internal/config"
	"github.com/wreg-project/wreg/internal/httpx"
	"github.com/wreg-project/wreg/internal/obs"
	"github.com/wreg-project/wreg/internal/version"
	"github.com/wreg-project/wreg/registry"
	"github.com/wreg-project/wreg/registry/advisories"
	"github.com/wreg-project/wreg/registry/auth"
	"github.com/wreg-project/wreg/registry/catalog"
	"github.com/wreg-project/wreg/registry/ingest"
	"github.com/wreg-project/wreg/registry/instance"
	"github.com/wreg-project/wreg/registry/policy"
	"github.com/wreg-project/wreg/registry/trust"
	"github.com/wreg-project/wreg/storage/gc"
	"github.com/wreg-project/wreg/storage/meta"
)

// closeGrace is what the last steps of a shutdown get, each: they write little.
const closeGrace = 5 * time.Second

func serveCommand() *cli.Command {
	return &cli.Command{
		Name:  "serve",
		Usage: "run the registry",
		Description: "Serves on 127.0.0.1:5080 and keeps everything in ./wreg-data if nothing else is said.\n" +
			"Every flag is also a variable and a key of the YAML file; docs/ops/configuration.md explains them.",
		Flags: configFlags(true),
		Action: func(c *cli.Context) error {
			cfg, log, err := load(c)
			if err != nil {
				return err
			}
			return serve(c.Context, cfg, log)
		},
	}
}

// server is a running registry and what belongs to it.
type server struct {
	cfg      config.Config
	log      *slog.Logger
	stores   *stores
	journal  *gc.Journaler
	meta     meta.DB // the database, watched by the journal and by the workers
	ingest   *ingest.Service
	feeds    *advisories.Refresher
	keys     *instance.Ring // by which the installation signs
	trust    *trust.Trust   // what signatures are verified against
	catalog  *catalog.API   // made with the handler
	registry *registry.Registry
	auth     auth.Authenticator // nil without authentication
	access   policy.Access
	metrics  *obs.Metrics // nil if off
	tracer   *obs.Tracer  // nil if off

	draining atomic.Bool
}

// serve runs until ctx ends or something fails that it cannot do without. It
// listens first, so that clients wait instead of being refused while it opens
// the storage, and an address in use changes nothing.
func serve(ctx context.Context, cfg config.Config, log *slog.Logger) (err error) {
	began := time.Now()
	main, side, err := listen(ctx, cfg)
	if err != nil {
		return err
	}
	defer closeAll(main, side) // no harm once the servers have closed them
	s, err := open(ctx, cfg, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close(ctx)) }()

	front, err := s.front()
	if err != nil {
		return err
	}
	s.announce(main.Addr(), time.Since(began))
	return s.run(ctx, front, main, side)
}

// listen takes the addresses. Side is nil without one for metrics.
func listen(ctx context.Context, cfg config.Config) (main, side net.Listener, err error) {
	var lc net.ListenConfig
	if main, err = lc.Listen(ctx, "tcp", cfg.Listen); err != nil {
		return nil, nil, err
	}
	if l := cfg.Metrics.Listen; l != "" && l != "off" {
		if side, err = lc.Listen(ctx, "tcp", l); err != nil {
			closeAll(main, nil)
			return nil, nil, fmt.Errorf("metrics: %w", err)
		}
	}
	return main, side, nil
}

func closeAll(listeners ...net.Listener) {
	for _, l := range listeners {
		if l != nil {
			_ = l.Close() // nothing was accepted, or it is closed already
		}
	}
}

// open opens the storage, repairs what an interruption left, and makes the
// registry over it.
func open(ctx context.Context, cfg config.Config, log *slog.Logger) (_ *server, err error) {
	s := &server{cfg: cfg, log: log, access: policy.Access{
		Open: cfg.Open(), AnonymousPull: cfg.Auth.AnonymousPull, Admins: cfg.Auth.Admins, Approvers: cfg.Auth.Approvers,
		Workers: cfg.Auth.Workers,
	}}
	if !cfg.Open() {
		if s.auth, err = auth.OpenHTPasswd(cfg.Auth.HTPasswd, auth.Options{Log: log}); err != nil {
			return nil, fmt.Errorf("auth.htpasswd: %w", err)
		}
	}
	if s.tracer, err = obs.NewTracer(ctx, os.Environ()); err != nil {
		return nil, err
	}
	if s.stores, err = openStores(ctx, cfg); err != nil {
		return nil, err
	}
	repaired, err := gc.Repair(ctx, s.stores.meta, s.stores.blobs)
	if err != nil {
		return nil, errors.Join(err, s.stores.Close())
	}
	if repaired.Any() {
		log.WarnContext(ctx, "repaired what an interruption left", slog.Any("repaired", repaired))
	}
	s.journal = gc.NewJournaler(s.stores.meta, s.stores.blobs, gc.JournalOptions{Log: log})
	journaled := s.journal.Watch(s.stores.meta)
	if s.feeds, err = openAdvisories(cfg, journaled, log); err != nil {
		return nil, errors.Join(err, s.stores.Close())
	}
	s.keys, err = instance.Open(ctx, s.stores.blobs, instance.Options{Configured: instance.Configured(cfg.Signing.Key)})
	if err != nil {
		return nil, errors.Join(err, s.stores.Close())
	}
	s.trust, err = trust.Open(ctx, trust.Options{
		Roots: cfg.Trust.Roots, Keys: cfg.Trust.Keys, Policy: cfg.Trust.Policy, Meta: journaled, Own: s.ownKeys, Log: log,
	})
	if err != nil {
		return nil, errors.Join(err, s.stores.Close())
	}
	if s.ingest, err = s.openIngest(ctx, journaled); err != nil {
		return nil, errors.Join(err, s.stores.Close())
	}
	s.meta = s.ingest.Watch(journaled)
	s.ingest.Runner().Handle(advisories.RefreshJob, s.feeds.Handle)
	s.registry = registry.New(registry.Options{
		Blobs: s.stores.blobs, Meta: s.meta, Log: log,
		MaxManifest: int64(cfg.Limits.MaxManifest), MaxBlob: int64(cfg.Limits.MaxBlob),
		UploadExpiry: cfg.Limits.UploadExpiry, MaxUploads: cfg.Limits.MaxUploads,
		MutableVersions: cfg.Registry.ImmutableTags == "none", Sparse: cfg.Registry.Sparse,
		Admit: s.ingest, Guarded: s.ingest.Guarded, PullsJudged: s.ingest.PullsJudged, TagsMoved: s.ingest.TagsMoved,
		ManifestGone: s.ingest.ManifestGone,
	})
	if cfg.Metrics.Listen != "off" {
		s.metrics = s.newMetrics()
	}
	return s, nil
}

func (s *server) newMetrics() *obs.Metrics {
	m := obs.NewMetrics()
	m.Gauge("wreg_uploads_open", "Blob uploads that are open.", func() float64 { return float64(s.registry.OpenUploads()) })
	lag := func(value func(gc.Lag) float64) func() float64 {
		return func() float64 {
			ctx, cancel := context.WithTimeout(context.Background(), closeGrace)
			defer cancel()
			l, err := s.journal.Lag(ctx)
			if err != nil {
				s.log.Warn("journal lag unknown", slog.Any("err", err))
				return -1
			}
			return value(l)
		}
	}
	m.Gauge("wreg_journal_lag_seconds", "Age of the oldest change that is not in the journal yet; -1 if unknown.",
		lag(func(l gc.Lag) float64 { return l.Oldest.Seconds() }))
	m.Gauge("wreg_journal_lag_entries", "Changes that are not in the journal yet; -1 if unknown.",
		lag(func(l gc.Lag) float64 { return float64(l.Written - l.Done) }))
	s.ingestMetrics(m)
	s.advisoryMetrics(m)
	return m
}

// front makes the main HTTP server.
func (s *server) front() (*httpx.Server, error) {
	h, err := s.handler()
	if err != nil {
		return nil, err
	}
	o := s.serverOptions()
	if s.cfg.TLS.Cert != "" {
		if o.Certificate, err = httpx.LoadCertificate(s.cfg.TLS.Cert, s.cfg.TLS.Key, s.log); err != nil {
			return nil, err
		}
	}
	return httpx.NewServer(h, o), nil
}

func (s *server) serverOptions() httpx.ServerOptions {
	l := s.cfg.Limits
	return httpx.ServerOptions{Log: s.log, HeaderTimeout: l.HeaderTimeout, IdleTimeout: l.IdleTimeout, MaxHeader: int(l.MaxHeader)}
}

// announce says what runs where.
func (s *server) announce(address net.Addr, took time.Duration) {
	if s.cfg.Open() {
		s.log.Warn("running without authentication: whoever reaches the server may do everything")
	}
	s.log.Info("serving", slog.String("address", address.String()), slog.Bool("tls", s.cfg.TLS.Cert != ""),
		slog.Any("database", s.cfg.Database), slog.Any("storage", s.cfg.Storage),
		slog.String("version", version.Get().Version), slog.Duration("took", took))
}

// run serves until ctx ends or a part fails, then lets running requests finish.
// It returns once nothing of it runs any more.
func (s *server) run(asked context.Context, front *httpx.Server, main, side net.Listener) error {
	ctx, fail := context.WithCancelCause(asked)
	defer fail(nil)
	// The background work ends after the last request, not with it.
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	var parts, workers sync.WaitGroup
	part := func(wg *sync.WaitGroup, name string, run func() error) {
		wg.Go(func() {
			if err := run(); err != nil {
				fail(fmt.Errorf("%s: %w", name, err))
			}
		})
	}
	part(&workers, "journal", func() error { return s.journal.Run(background) })
	part(&workers, "snapshots", func() error {
		gc.RunSnapshots(background, s.stores.meta, s.stores.blobs, gc.SnapshotOptions{Log: s.log})
		return nil
	})
	part(&workers, "ingest", func() error {
		s.ingest.Run(background, s.registry)
		return nil
	})
	part(&workers, "instance key", func() error {
		s.followKeys(background)
		return nil
	})
	part(&workers, "trust", func() error {
		s.trust.Run(background)
		return nil
	})
	part(&workers, "advisories", func() error {
		s.feeds.Run(background)
		return nil
	})
	part(&parts, "serve", func() error { return front.Serve(main) })
	var metrics *httpx.Server
	if side != nil {
		metrics = httpx.NewServer(s.sideHandler(), s.serverOptions())
		part(&workers, "serve metrics", func() error { return metrics.Serve(side) })
	}

	<-ctx.Done()
	failure := context.Cause(ctx)
	if asked.Err() != nil {
		failure = nil // we were asked to end
	}
	s.shutdown(ctx, front)
	parts.Wait()
	stop()
	if metrics != nil {
		s.end(ctx, closeGrace, "metrics still served", metrics.Shutdown)
	}
	workers.Wait()
	return failure
}

// shutdown stops accepting and waits for running requests.
func (s *server) shutdown(ctx context.Context, front *httpx.Server) {
	s.draining.Store(true)
	s.catalog.Close() // streams of events would not end by themselves
	s.log.InfoContext(ctx, "shutting down", slog.Duration("grace", s.cfg.ShutdownGrace), slog.Int("uploads", s.registry.OpenUploads()))
	s.end(ctx, s.cfg.ShutdownGrace, "requests cut off", front.Shutdown)
}

// end runs the last step of something, for at most the given time, and logs
// what went wrong.
func (s *server) end(ctx context.Context, grace time.Duration, wrong string, step func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	if err := step(ctx); err != nil {
		s.log.WarnContext(ctx, wrong, slog.Any("err", err))
	}
}

// close ends what open began. Nothing is served any more.
func (s *server) close(ctx context.Context) error {
	s.ingest.Close()
	err := s.registry.Close()
	s.end(ctx, closeGrace, "journal not flushed, the next start does it", s.journal.Flush)
	s.end(ctx, closeGrace, "traces not sent", s.tracer.Close)
	if err = errors.Join(err, s.stores.Close()); err == nil {
		s.log.InfoContext(ctx, "stopped")
	}
	return err
}
