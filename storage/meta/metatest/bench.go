package metatest

import (
	"context"
	"fmt"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/storage/meta"
)

// benchTags is how many tags the repository of the benchmarks has.
const benchTags = 100_000

// Benchmark measures the operations that have a budget, in a repository of
// 100,000 tags. open makes one empty database.
func Benchmark(b *testing.B, open func(b *testing.B) meta.DB) {
	db := open(b)
	b.Cleanup(func() {
		if err := db.Close(); err != nil {
			b.Errorf("Close() = %v", err)
		}
	})
	fill(b, db)
	ctx := b.Context()
	run := func(name string, f func(b *testing.B)) {
		b.Run(name, func(b *testing.B) {
			defer measureCPU(b)()
			f(b)
		})
	}
	run("TaggedManifest", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			if _, err := db.TaggedManifest(ctx, "bench", tagName(i*7919%benchTags)); err != nil {
				b.Fatal(err)
			}
		}
	})
	run("Tags page of 100", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			got, err := db.Tags(ctx, "bench", meta.Page{After: tagName(i * 7919 % (benchTags - 200)), Limit: 100})
			if err != nil || len(got) != 100 {
				b.Fatalf("Tags() = %d names, %v", len(got), err)
			}
		}
	})
	run("Blob", func(b *testing.B) {
		for b.Loop() {
			if _, err := db.Blob(ctx, "bench", sum("layer")); err != nil {
				b.Fatal(err)
			}
		}
	})
	run("BlobSizes of two", func(b *testing.B) {
		ds := []digest.Digest{sum("layer"), sum("config")}
		for b.Loop() {
			if _, err := db.BlobSizes(ctx, "bench", ds); err != nil {
				b.Fatal(err)
			}
		}
	})
	pushed := 0
	push := func() error {
		pushed++
		return db.Update(ctx, pushing("new", pushed))
	}
	run("PutManifest and PutTag", func(b *testing.B) {
		for b.Loop() {
			if err := push(); err != nil {
				b.Fatal(err)
			}
		}
	})
	run("PutManifest and PutTag by eight writers", func(b *testing.B) {
		next := make(chan int)
		go func() {
			defer close(next)
			for range b.N {
				pushed++
				next <- pushed
			}
		}()
		done := make(chan error)
		b.ResetTimer()
		for range 8 {
			go func() {
				var first error
				for n := range next {
					if err := db.Update(ctx, pushing("group", n)); err != nil && first == nil {
						first = err
					}
				}
				done <- first
			}()
		}
		for range 8 {
			if err := <-done; err != nil {
				b.Error(err)
			}
		}
	})
}

func tagName(i int) string { return fmt.Sprintf("%d.%d.%d", i/10_000, i/100%100, i%100) }

// pushing stores a manifest of usual size with two pins, and tags it.
func pushing(prefix string, i int) func(context.Context, meta.Tx) error {
	m := manifest("bench", fmt.Sprintf("%s %d %500s", prefix, i, "a manifest"))
	m.Blobs = []digest.Digest{sum("layer"), sum("config")}
	tag := fmt.Sprintf("%s-%d", prefix, i)
	return func(ctx context.Context, tx meta.Tx) error {
		held, err := tx.BlobSizes(ctx, "bench", m.Blobs)
		if err != nil || len(held) < len(m.Blobs) {
			return fmt.Errorf("held are %v: %w", held, err)
		}
		if _, err := tx.PutManifest(ctx, m); err != nil {
			return err
		}
		return tx.PutTag(ctx, "bench", tag, m.Digest, start)
	}
}

func fill(b *testing.B, db meta.DB) {
	for from := 0; from < benchTags; from += 1000 {
		err := db.Update(b.Context(), func(ctx context.Context, tx meta.Tx) error {
			for _, text := range []string{"layer", "config"} {
				if err := tx.LinkBlob(ctx, "bench", blob(text)); err != nil {
					return err
				}
			}
			for i := from; i < from+1000; i++ {
				m := manifest("bench", fmt.Sprintf("%d %500s", i, "a manifest"))
				m.Blobs = []digest.Digest{sum("layer"), sum("config")}
				if _, err := tx.PutManifest(ctx, m); err != nil {
					return err
				}
				if err := tx.PutTag(ctx, "bench", tagName(i), m.Digest, at(i)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}
