package ingest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/storage/blob"
	"github.com/wreg-project/wreg/storage/meta"
)

// How often what is kept for a time is looked through, and the index packed.
const (
	keepEvery = 10 * time.Minute
	packEvery = 5 * time.Second
)

// keepHouse removes what was kept for long enough, and packs the index.
func (s *Service) keepHouse(ctx context.Context) {
	keep, pack := time.NewTicker(keepEvery), time.NewTicker(packEvery)
	defer keep.Stop()
	defer pack.Stop()
	s.forget(ctx)
	for {
		select {
		case <-ctx.Done():
			return
		case <-keep.C:
			s.forget(ctx)
		case <-pack.C:
			s.pack(ctx)
		}
	}
}

// forget removes quarantine, decisions, events, analyses, lists of components and
// workers whose time is over.
func (s *Service) forget(ctx context.Context) {
	now := s.now().UTC()
	tasks := []struct {
		what string
		do   func(ctx context.Context, tx meta.Tx) (int64, error)
	}{
		{"quarantine and decisions", func(ctx context.Context, tx meta.Tx) (int64, error) {
			return tx.ExpireQuarantine(ctx, now, now.Add(-s.o.KeepDecisions))
		}},
		{"events", func(ctx context.Context, tx meta.Tx) (int64, error) {
			return tx.ForgetEvents(ctx, now.Add(-s.o.KeepEvents), s.o.MaxEvents)
		}},
		{"analyses", func(ctx context.Context, tx meta.Tx) (int64, error) { return tx.ForgetAnalyses(ctx, Version) }},
		{"components", func(ctx context.Context, tx meta.Tx) (int64, error) { return tx.ForgetComponents(ctx, Version) }},
		{"workers", func(ctx context.Context, tx meta.Tx) (int64, error) { return 0, tx.ForgetAOT(ctx, now.Add(-aotForget)) }},
	}
	for _, t := range tasks {
		n, err := s.forgetAll(ctx, t.do)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			s.log.LogAttrs(ctx, slog.LevelWarn, "house not kept", slog.String("what", t.what), slog.Any("err", err))
		case n > 0:
			s.log.LogAttrs(ctx, slog.LevelInfo, "forgot what is over", slog.String("what", t.what), slog.Int64("rows", n))
		}
	}
}

// forgetAll calls forget in a transaction of its own until nothing more is
// forgotten: one call is bounded, as pushes wait for it.
func (s *Service) forgetAll(ctx context.Context, forget func(context.Context, meta.Tx) (int64, error)) (all int64, err error) {
	for n := int64(1); n > 0; all += n {
		err := s.meta.Update(ctx, func(ctx context.Context, tx meta.Tx) (err error) {
			n, err = forget(ctx, tx)
			return err
		})
		if err != nil {
			return all, err
		}
	}
	return all, nil
}

// pack packs the index until there is nothing to do, and keeps the index of
// functions within its bound.
func (s *Service) pack(ctx context.Context) {
	for _, work := range []func(context.Context, meta.Tx) (bool, error){
		func(ctx context.Context, tx meta.Tx) (bool, error) { return tx.PackDocuments(ctx) },
		func(ctx context.Context, tx meta.Tx) (bool, error) { return tx.BoundFunctions(ctx, s.o.MaxFunctions) },
	} {
		for more := true; more; {
			err := s.meta.Update(ctx, func(ctx context.Context, tx meta.Tx) (err error) {
				more, err = work(ctx, tx)
				return err
			})
			if ctx.Err() != nil {
				return
			}
			if err != nil {
				s.log.LogAttrs(ctx, slog.LevelWarn, "index not packed", slog.Any("err", err))
				break
			}
		}
	}
}

// Bounds of what is enqueued of old manifests: a batch at a time, once there is
// little left of the last one.
const (
	missingBatch = 500
	missingEvery = time.Second
)

// enqueueMissing enqueues, when a server starts, what no pipeline of this version
// has ingested: after an upgrade, a rebuild of the database, or Reindex.
func (s *Service) enqueueMissing(ctx context.Context) {
	tick := time.NewTicker(missingEvery)
	defer tick.Stop()
	var after meta.ManifestKey
	for {
		more, err := s.enqueueBatch(ctx, &after)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			s.log.LogAttrs(ctx, slog.LevelWarn, "manifests to ingest not enqueued, trying again", slog.Any("err", err))
		case !more:
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// enqueueBatch reports whether there may be more to enqueue.
func (s *Service) enqueueBatch(ctx context.Context, after *meta.ManifestKey) (bool, error) {
	counts, err := s.meta.JobCounts(ctx)
	if err != nil {
		return true, err
	}
	if counts[JobReingest].Waiting > missingBatch/2 {
		return true, nil
	}
	keys, err := s.meta.Unindexed(ctx, Version, *after, missingBatch)
	if err != nil || len(keys) == 0 {
		return err != nil, err
	}
	err = s.meta.Update(ctx, func(ctx context.Context, tx meta.Tx) error {
		for _, k := range keys {
			if err := s.enqueue(ctx, tx, JobReingest, k, payload{}); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		*after = keys[len(keys)-1]
	}
	return true, err
}

// Reindex enqueues ingestion of what repo holds, or of everything if repo is "",
// of one manifest if d is not "", and returns how many jobs that are. Layers that
// were analysed are not analysed again.
func (s *Service) Reindex(ctx context.Context, repo string, d digest.Digest) (int, error) {
	return Reindex(ctx, s.meta, repo, d)
}

// Reindex is the method of that name on a database that no server uses: the next
// one that starts does the jobs.
func Reindex(ctx context.Context, db meta.DB, repo string, d digest.Digest) (int, error) {
	if d != "" {
		if _, err := db.Manifest(ctx, repo, d); err != nil {
			return 0, fmt.Errorf("manifest %s of %s: %w", d, repo, err)
		}
		return 1, enqueueAll(ctx, db, repo, []digest.Digest{d})
	}
	if repo != "" {
		return reindexRepo(ctx, db, repo)
	}
	n := 0
	for page := (meta.Page{Limit: missingBatch}); ; {
		repos, err := db.Repositories(ctx, meta.Visibility{Everything: true}, page)
		if err != nil || len(repos) == 0 {
			return n, err
		}
		for _, r := range repos {
			one, err := reindexRepo(ctx, db, r)
			if n += one; err != nil && !absent(err) {
				return n, err
			}
		}
		page.After = repos[len(repos)-1]
	}
}

func reindexRepo(ctx context.Context, db meta.DB, repo string) (int, error) {
	n := 0
	for page := (meta.Page{Limit: missingBatch}); ; {
		ds, err := db.Manifests(ctx, repo, page)
		if err != nil {
			return n, fmt.Errorf("manifests of %s: %w", repo, err)
		}
		if err := enqueueAll(ctx, db, repo, ds); err != nil {
			return n, err
		}
		n += len(ds)
		if len(ds) < page.Limit {
			return n, nil
		}
		page.After = ds[len(ds)-1].String()
	}
}

func enqueueAll(ctx context.Context, db meta.DB, repo string, ds []digest.Digest) error {
	if len(ds) == 0 {
		return nil
	}
	return db.Update(ctx, func(ctx context.Context, tx meta.Tx) error {
		for _, d := range ds {
			k := meta.ManifestKey{Repo: repo, Digest: d}
			if _, err := tx.Enqueue(ctx, meta.NewJob{Kind: JobReingest, Key: key(k), Repo: repo, Due: time.Now().UTC()}); err != nil {
				return err
			}
		}
		return nil
	})
}

// producerObject is where an installation keeps its name, beside the blobs, so
// that all its servers share it and a lost database does not change it.
const producerObject = "instance/id"

// maxProducer bounds the object, in bytes.
const maxProducer = 100

// Producer is the name of this installation, made when it is first asked for.
func Producer(ctx context.Context, objects blob.Objects) (string, error) {
	body, err := objects.OpenObject(ctx, producerObject)
	if errors.Is(err, blob.ErrNotFound) {
		id := strings.ToLower(rand.Text())
		if err := objects.PutObject(ctx, producerObject, strings.NewReader(id+"\n")); err != nil {
			return "", fmt.Errorf("name of the installation: %w", err)
		}
		return Producer(ctx, objects) // what another server may have written in the same moment
	}
	if err != nil {
		return "", fmt.Errorf("name of the installation: %w", err)
	}
	defer body.Close()
	text, err := io.ReadAll(io.LimitReader(body, maxProducer))
	id := strings.TrimSpace(string(text))
	if err == nil && id == "" {
		err = errors.New("it is empty")
	}
	if err != nil {
		return "", fmt.Errorf("name of the installation in %s: %w", producerObject, err)
	}
	return id, nil
}
