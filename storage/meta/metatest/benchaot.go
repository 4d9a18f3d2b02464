package metatest

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/wreg-project/wreg/storage/meta"
)

// Jobs that wait during the benchmarks of native code: one namespace has nearly
// all of them, and others a few.
const (
	benchAOT      = 100_000
	benchAOTNoisy = 24_000 // manifests of the noisy namespace
	benchAOTCalm  = 1000   // namespaces with one manifest each
)

var benchAOTTargets = []string{"linux/amd64/v1", "linux/amd64/v3", "linux/arm64", "pulley64"}

// BenchmarkAOT measures the queue of native code with 100,000 jobs that wait. open
// makes one empty database.
func BenchmarkAOT(b *testing.B, open func(b *testing.B) meta.DB) {
	db := open(b)
	b.Cleanup(func() {
		if err := db.Close(); err != nil {
			b.Errorf("Close() = %v", err)
		}
	})
	fillAOT(b, db)
	run := func(name string, f func(b *testing.B)) {
		b.Run(name, func(b *testing.B) {
			defer measureCPU(b)()
			f(b)
		})
	}
	n := 0
	run("LeaseAOT and RetryAOT among 100,000", func(b *testing.B) {
		for b.Loop() {
			n++
			benchUpdate(b, db, func(ctx context.Context, tx meta.Tx) error {
				l := meta.AOTLease{Token: fmt.Sprint("t", n), Principal: "p", Worker: "w", Until: at(n + 60)}
				if _, err := tx.LeaseAOT(ctx, canDo(benchAOTTargets...), l, at(n)); err != nil {
					return err
				}
				return tx.RetryAOT(ctx, l.Token, at(n), "", at(n))
			})
		}
	})
	run("AOTDue where nothing is due", func(b *testing.B) {
		for b.Loop() {
			if due, err := db.AOTDue(b.Context(), canDo(benchAOTTargets...), at(-1)); due || err != nil {
				b.Fatalf("AOTDue() = %v, %v", due, err)
			}
		}
	})
	for name, most := range map[string]int{"AOTCounts of 100,000": 0, "AOTCounts of 100,000, up to 1,000": 1000} {
		run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := db.AOTCounts(b.Context(), most); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	run("ForgetAOT among 100,000", func(b *testing.B) {
		for b.Loop() {
			benchUpdate(b, db, func(ctx context.Context, tx meta.Tx) error { return tx.ForgetAOT(ctx, at(0)) })
		}
	})
	run("AOTJobs, the failed among 100,000", func(b *testing.B) {
		for b.Loop() {
			list, err := db.AOTJobs(b.Context(), meta.AOTFilter{States: []meta.AOTState{meta.AOTFailed}}, 0, 100)
			if err != nil || len(list) > 0 {
				b.Fatal(len(list), err)
			}
		}
	})
	run("AOTJobs of one repository among 100,000", func(b *testing.B) {
		for b.Loop() {
			list, err := db.AOTJobs(b.Context(), meta.AOTFilter{Repo: "calm7/app"}, 0, 100)
			if err != nil || len(list) != len(benchAOTTargets) {
				b.Fatal(len(list), err)
			}
		}
	})
	wantTurns(b, db)
	waitLater(b, db)
	run("LeaseAOT and RetryAOT beside 10,000 namespaces that wait for later", func(b *testing.B) {
		for b.Loop() {
			n++
			benchUpdate(b, db, func(ctx context.Context, tx meta.Tx) error {
				l := meta.AOTLease{Token: fmt.Sprint("t", n), Principal: "p", Worker: "w", Until: at(n + 60)}
				if _, err := tx.LeaseAOT(ctx, canDo("later"), l, at(1)); err != nil {
					return err
				}
				return tx.RetryAOT(ctx, l.Token, at(1), "", at(1))
			})
		}
	})
}

// waitLater fills a queue with namespaces that are all in front of the one with a
// job that is due.
func waitLater(b *testing.B, db meta.DB) {
	b.Helper()
	for part := range 10 {
		benchUpdate(b, db, func(ctx context.Context, tx meta.Tx) error {
			for i := range 1000 {
				repo := fmt.Sprintf("later%d-%d/app", part, i)
				if _, err := tx.PutManifest(ctx, manifest(repo, "1")); err != nil {
					return err
				}
				if _, _, err := tx.EnqueueAOT(ctx, native(repo, "1", "later", 1<<20)); err != nil {
					return err
				}
			}
			_, _, err := tx.EnqueueAOT(ctx, native("noisy/app", "1", "later", 0))
			return err
		})
	}
}

// wantTurns fails unless each of the calm namespaces is served before the noisy one
// is served a second time.
func wantTurns(b *testing.B, db meta.DB) {
	b.Helper()
	served := map[string]int{}
	undo := errors.New("undone")
	err := db.Update(b.Context(), func(ctx context.Context, tx meta.Tx) error {
		for i := range benchAOTCalm {
			l := meta.AOTLease{Token: fmt.Sprint("turn", i), Until: at(1 << 30)}
			j, err := tx.LeaseAOT(ctx, canDo(benchAOTTargets[:1]...), l, at(1<<29))
			if err != nil {
				return err
			}
			served[j.Repo]++
		}
		return undo
	})
	if !errors.Is(err, undo) || served["noisy/app"] > 1 || len(served) != benchAOTCalm {
		b.Errorf("LeaseAOT() %d times = jobs of %d repositories, %d of them of the noisy one, %v", benchAOTCalm, len(served), served["noisy/app"], err)
	}
}

func fillAOT(b *testing.B, db meta.DB) {
	b.Helper()
	const batch = 1000
	for from := 0; from < benchAOTNoisy+benchAOTCalm; from += batch {
		benchUpdate(b, db, func(ctx context.Context, tx meta.Tx) error {
			for i := from; i < from+batch; i++ {
				repo, text := "noisy/app", fmt.Sprint(i)
				if i >= benchAOTNoisy {
					repo = fmt.Sprintf("calm%d/app", i-benchAOTNoisy)
				}
				if _, err := tx.PutManifest(ctx, manifest(repo, text)); err != nil {
					return err
				}
				for _, target := range benchAOTTargets {
					if _, _, err := tx.EnqueueAOT(ctx, native(repo, text, target, 0)); err != nil {
						return err
					}
				}
			}
			return nil
		})
	}
	if n := (benchAOTNoisy + benchAOTCalm) * len(benchAOTTargets); n != benchAOT {
		b.Fatalf("%d jobs, want %d", n, benchAOT)
	}
}
