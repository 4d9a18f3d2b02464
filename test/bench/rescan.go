package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/registry/advisories"
	"github.com/wreg-project/wreg/sbom/evidence"
	"github.com/wreg-project/wreg/sbom/version"
	"github.com/wreg-project/wreg/sbom/vuln"
	"github.com/wreg-project/wreg/storage/meta"
)

// What is stored when an advisory comes: components of each version of a package
// are drawn from so many crates in so many versions each, by Zipf's law.
const (
	rescanCrates   = 5_000
	rescanReleases = 20
	rescanPerFile  = 20
	rescanBudget   = 100.0 // ms by the clock
	rescanRounds   = 10
)

// A rescanRow is what one advisory in the database costs: matching it with what is
// stored, the first files whose findings have to be made anew, and the list of all.
type rescanRow struct {
	Database string  `json:"database"`
	About    string  `json:"about"`
	Stored   int     `json:"storedVersions"`
	Files    int     `json:"filesConcerned"`
	Match    float64 `json:"matchMilliseconds"` // median
	First    float64 `json:"firstThousandMilliseconds"`
	All      float64 `json:"allMilliseconds"`
	CPU      float64 `json:"cpuMilliseconds"` // of all: of this process, and of the database if that is another
	Budget   float64 `json:"budgetMilliseconds"`
}

// measureRescan fills each database and lets advisories come, one about a crate
// that is in most packages and one about a crate that is in few.
func measureRescan(ctx context.Context, o options, r *report) error {
	work, err := os.MkdirTemp("", "wreg-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	for _, name := range o.databases {
		if err := r.rescan(ctx, o, name, filepath.Join(work, name)); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func (r *report) rescan(ctx context.Context, o options, name, dir string) error {
	x, err := openIndexed(ctx, name, dir)
	if err != nil {
		return err
	}
	defer x.stop()
	if err := x.fillComponents(ctx, o.versions); err != nil {
		return err
	}
	src := advisories.New(x.db, advisories.Options{})
	for _, about := range []struct {
		name  string
		crate int
	}{{"a crate in most packages", 0}, {"a crate in some packages", 100}, {"a crate in few packages", rescanCrates - 1}} {
		row, err := x.rescanOne(ctx, src, about.crate)
		if err != nil {
			return err
		}
		row.About, row.Stored = about.name, o.versions
		fmt.Fprintf(os.Stderr, "%-10s %-28s %6d files  match %7.2f ms\n", name, about.name, row.Files, row.Match)
		r.Rescans = append(r.Rescans, row)
	}
	return nil
}

// fillComponents stores the components of n versions.
func (x *indexed) fillComponents(ctx context.Context, n int) error {
	const at = 500 // of an update
	rng, names := rand.New(rand.NewPCG(1, 0)), newZipf(rescanCrates, 1)
	for from := 0; from < n; from += at {
		err := x.db.Update(ctx, func(ctx context.Context, tx meta.Tx) error {
			for i := from; i < min(from+at, n); i++ {
				f := meta.FileComponents{Digest: digest.FromString(fmt.Sprint("file ", i)), Version: 1}
				for range rescanPerFile {
					f.Components = append(f.Components, rescanCrate(names.draw(rng), rng.IntN(rescanReleases)))
				}
				if err := tx.PutComponents(ctx, f); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		if from%10_000 == 0 {
			fmt.Fprintf(os.Stderr, "%-10s %7d versions\n", x.name, from)
		}
	}
	return nil
}

func rescanName(i int) string { return fmt.Sprint("crate-", i) }

func rescanCrate(i, release int) meta.Coordinate {
	v := fmt.Sprintf("1.%d.0", release)
	key, _ := version.Key(evidence.Cargo, v)
	return meta.Coordinate{
		Ecosystem: string(evidence.Cargo), Name: rescanName(i), Version: v, Class: string(evidence.Proven), Key: key,
	}
}

// rescanOne puts an advisory about half of the versions of a crate and lists the
// files that it concerns, again and again.
func (x *indexed) rescanOne(ctx context.Context, src *advisories.Source, crate int) (rescanRow, error) {
	row := rescanRow{Database: x.name, Budget: rescanBudget}
	advisory, err := x.putAdvisory(ctx, crate)
	if err != nil {
		return row, err
	}
	at, err := x.db.AdvisoryRevision(ctx)
	if err != nil {
		return row, err
	}
	var match, first, all []time.Duration
	for range rescanRounds {
		begin := time.Now()
		if _, err := advisories.Coordinates(ctx, x.db, advisory); err != nil {
			return row, err
		}
		match = append(match, time.Since(begin))
	}
	cpu, other := selfCPU(), x.cpu()
	for range rescanRounds {
		begin := time.Now()
		row.Files = 0
		for p, done := (advisories.Position{Target: at, Since: at - 1}), false; !done; {
			batch, err := src.Affected(ctx, p, 1000)
			if err != nil {
				return row, err
			}
			if row.Files == 0 {
				first = append(first, time.Since(begin))
			}
			p, done = batch.Next, batch.Done
			row.Files += len(batch.Files)
		}
		all = append(all, time.Since(begin))
	}
	row.CPU = ms(selfCPU()-cpu+x.cpu()-other) / rescanRounds
	row.Match, row.First, row.All = median(match), median(first), median(all)
	return row, nil
}

// median is that of at least one duration, in milliseconds.
func median(list []time.Duration) float64 {
	slices.Sort(list)
	return ms(list[len(list)/2])
}

func (x *indexed) putAdvisory(ctx context.Context, crate int) (*vuln.Advisory, error) {
	text := fmt.Appendf(nil, `{"id":"RUSTSEC-2026-%04d","modified":"2026-01-01T00:00:00Z",
"affected":[{"package":{"ecosystem":"crates.io","name":%q},"ranges":[{"type":"SEMVER","events":[{"introduced":"0.0.0-0"},{"fixed":"1.%d.0"}]}]}]}`, crate, rescanName(crate), rescanReleases/2)
	a, err := vuln.Parse(text)
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(a)
	if err != nil {
		return nil, err
	}
	n := meta.NewAdvisory{
		Advisory: meta.Advisory{ID: a.ID, Modified: a.Modified, Body: body}, Digest: digest.FromBytes(text),
	}
	for _, p := range a.Packages() {
		n.Packages = append(n.Packages, meta.EcosystemPackage{Ecosystem: string(p.Ecosystem), Name: p.Name})
	}
	return a, x.db.Update(ctx, func(ctx context.Context, tx meta.Tx) error {
		_, err := tx.PutAdvisories(ctx, "bench", []meta.NewAdvisory{n})
		return err
	})
}

func (r *report) printRescans(out io.Writer) {
	if len(r.Rescans) == 0 {
		return
	}
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "one new advisory about\tdatabase\tstored versions\tmatched ms\tfirst 1,000 files ms\tfiles\tall files ms\tCPU ms\tbudget\t")
	for _, w := range r.Rescans {
		fmt.Fprintf(t, "%s\t%s\t%d\t%.2f\t%.2f\t%d\t%.2f\t%.2f\tmatched and first %.0f ms %s\t\n", w.About, w.Database, w.Stored,
			w.Match, w.First, w.Files, w.All, w.CPU, w.Budget, metOr(max(w.Match, w.First) < w.Budget))
	}
	t.Flush()
	fmt.Fprintln(out)
}
