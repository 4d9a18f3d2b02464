package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/urfave/cli/v2"

	"github.com/wreg-project/wreg/artifact/ref"
	"github.com/wreg-project/wreg/internal/config"
	"github.com/wreg-project/wreg/internal/obs"
	"github.com/wreg-project/wreg/registry/ingest"
	"github.com/wreg-project/wreg/registry/instance"
	"github.com/wreg-project/wreg/registry/jobs"
	"github.com/wreg-project/wreg/signing"
	"github.com/wreg-project/wreg/storage/meta"
)

// openIngest makes what inspects, verifies and judges packages, as the
// configuration says.
func (s *server) openIngest(ctx context.Context, db meta.DB) (*ingest.Service, error) {
	cfg, blobs := s.cfg, s.stores.blobs
	producer, err := ingest.Producer(ctx, blobs)
	if err != nil {
		return nil, err
	}
	limits := ingest.DefaultLimits
	limits.MaxModule, limits.MaxUnpacked = int64(cfg.Ingest.MaxModule), int64(cfg.Ingest.MaxUnpacked)
	signer, attest, tagged := attestations(cfg.Signing, s.keys)
	rules, err := ingest.ParseAOTRules(cfg.AOT.Rules)
	if err != nil {
		return nil, fmt.Errorf("aot.rules: %w", err)
	}
	return ingest.New(ctx, ingest.Options{
		Signer: signer, Attest: attest, AttestTagged: tagged, Trust: func() ingest.Trusted {
			m := s.trust.Current()
			return ingest.Trusted{Verifier: m.Verifier(), Version: m.Version(), Publisher: m.Publisher}
		},
		Meta: db, Blobs: blobs, Producer: producer, Log: s.log,
		Limits: limits, Memory: int64(cfg.Ingest.Memory), StoreBroken: cfg.Registry.BrokenWasm == "store",
		AdmitTimeout: cfg.Ingest.AdmitTimeout, Quarantine: days(cfg.Ingest.QuarantineDays),
		KeepDecisions: days(cfg.Ingest.DecisionDays), KeepEvents: days(cfg.Ingest.EventDays),
		MaxFunctions: int64(cfg.Ingest.FunctionEntries), Likelihood: s.feeds.Likelihood,
		AOT: ingest.AOT{
			Rules: rules, Compilers: cfg.AOT.Compilers, Lease: cfg.AOT.Lease, MaxTime: cfg.AOT.MaxTime,
			MaxAttempts: cfg.AOT.MaxAttempts, Restricted: s.access.Worker,
		},
		Jobs: jobs.Options{
			Workers: cfg.Ingest.Workers, Lease: cfg.Ingest.Lease, MaxAttempts: cfg.Ingest.MaxAttempts, Grace: closeGrace,
			Alone: !cfg.Database.Postgres(), // which one process has for itself
		},
	})
}

// attestations says who signs which, and whether of packages that are signed by
// cosign's tags alone as well.
func attestations(cfg config.Signing, keys *instance.Ring) (signer func() signing.Signer, list []ingest.Attestation, tagged bool) {
	if slices.Contains(cfg.Attest, config.AttestNone) || len(cfg.Attest) == 0 {
		return nil, nil, false
	}
	signer = func() signing.Signer { return keys.Signer() }
	if slices.Contains(cfg.Attest, config.AttestAuto) {
		return signer, ingest.Attestations(), false
	}
	for _, a := range cfg.Attest {
		list = append(list, ingest.Attestation(a))
	}
	return signer, list, true
}

func days(n int) time.Duration { return time.Duration(n) * 24 * time.Hour }

// ingestMetrics adds what jobs and judgements are counted by.
func (s *server) ingestMetrics(m *obs.Metrics) {
	// Two metrics of one scrape share a count, which reads every waiting job.
	var (
		mu   sync.Mutex
		last map[string]meta.JobCount
		at   time.Time
	)
	counts := func() map[string]meta.JobCount {
		mu.Lock()
		defer mu.Unlock()
		if time.Since(at) < 100*time.Millisecond {
			return last
		}
		ctx, cancel := context.WithTimeout(context.Background(), closeGrace)
		defer cancel()
		all, err := s.stores.meta.JobCounts(ctx)
		if err != nil {
			s.log.Warn("jobs not counted", slog.Any("err", err))
		}
		last, at = all, time.Now()
		return last
	}
	m.Gauges("wreg_jobs", "Jobs by kind and state; of all servers over this database.", []string{"kind", "state"}, func() (list []obs.Sample) {
		for kind, c := range counts() {
			list = append(list, obs.Sample{Labels: []string{kind, "waiting"}, Value: float64(c.Waiting)},
				obs.Sample{Labels: []string{kind, "leased"}, Value: float64(c.Leased)},
				obs.Sample{Labels: []string{kind, "dead"}, Value: float64(c.Dead)})
		}
		return list
	})
	m.Gauges("wreg_jobs_oldest_seconds", "Time since the job that waits longest became due.", []string{"kind"}, func() (list []obs.Sample) {
		for kind, c := range counts() {
			if !c.Oldest.IsZero() {
				list = append(list, obs.Sample{Labels: []string{kind}, Value: max(time.Since(c.Oldest).Seconds(), 0)})
			}
		}
		return list
	})
	m.Counters("wreg_jobs_total", "Attempts at jobs by their outcome; buried ones have failed for good.", []string{"kind", "outcome"},
		func() (list []obs.Sample) {
			for kind, c := range s.ingest.Runner().Counts() {
				list = append(list, obs.Sample{Labels: []string{kind, "done"}, Value: float64(c.Done)},
					obs.Sample{Labels: []string{kind, "failed"}, Value: float64(c.Failed)},
					obs.Sample{Labels: []string{kind, "buried"}, Value: float64(c.Buried)})
			}
			return list
		})
	s.aotMetrics(m)
	m.Gauge("wreg_jobs_running", "Jobs that this server does now.", func() float64 { return float64(s.ingest.Runner().Running()) })
	m.Counters("wreg_admissions_total", "Pushes judged, by what became of them.", []string{"outcome"}, func() []obs.Sample {
		c := s.ingest.Stats()
		return []obs.Sample{
			{Labels: []string{"admitted"}, Value: float64(c.Admitted)},
			{Labels: []string{"refused"}, Value: float64(c.Refused)},
			{Labels: []string{"broken"}, Value: float64(c.Broken)},
		}
	})
	m.Counter("wreg_verifications_total", "Signatures and attestations verified, those refused too.",
		func() float64 { return float64(s.ingest.Stats().Verifications) })
	m.Counter("wreg_analyses_total", "Blobs looked through for WebAssembly.", func() float64 { return float64(s.ingest.Stats().Analyses) })
	m.Counter("wreg_analysed_bytes_total", "Bytes of the blobs looked through.",
		func() float64 { return float64(s.ingest.Stats().AnalysedBytes) })
	m.Counter("wreg_analysis_seconds_total", "Time spent on looking through blobs.",
		func() float64 { return s.ingest.Stats().AnalysisTime.Seconds() })
}

func reindexCommand() *cli.Command {
	return &cli.Command{
		Name:  "reindex",
		Usage: "have stored packages inspected and indexed again",
		Description: "Run it while the server is stopped: its next start does the work, in the background and after\n" +
			"what is pushed meanwhile. Layers that this version has inspected are not inspected again.",
		Flags: append(configFlags(false), outputFlag(),
			&cli.StringFlag{Name: "repo", Usage: "only what this repository holds", Value: ""},
			&cli.StringFlag{Name: "digest", Usage: "only this manifest of the repository", Value: ""}),
		Action: func(c *cli.Context) error {
			repo, d, err := reindexTarget(c.String("repo"), c.String("digest"))
			if err != nil {
				return &usageError{"reindex ", err}
			}
			return offline(c, func(ctx context.Context, s *stores, asJSON bool, _ *slog.Logger) error {
				n, err := ingest.Reindex(ctx, s.meta, repo, d)
				if err != nil {
					return err
				}
				if asJSON {
					return encode(c.App.Writer, map[string]int{"jobs": n})
				}
				_, err = fmt.Fprintf(c.App.Writer, "%d packages will be ingested by the next start of the server\n", n)
				return err
			})
		},
	}
}

// reindexTarget checks what reindex is to be about.
func reindexTarget(repo, d string) (string, digest.Digest, error) {
	switch {
	case repo == "" && d == "":
		return "", "", nil
	case repo == "":
		return "", "", errors.New("--digest needs --repo")
	}
	if err := ref.CheckName(repo); err != nil {
		return "", "", fmt.Errorf("--repo: %w", err)
	}
	if d == "" {
		return repo, "", nil
	}
	parsed, err := ref.ParseDigest(d)
	if err != nil {
		return "", "", fmt.Errorf("--digest: %w", err)
	}
	return repo, parsed, nil
}
