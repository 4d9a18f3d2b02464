package sqlite

import (
	"path/filepath"
	"testing"

	"github.com/wreg-project/wreg/storage/meta"
	"github.com/wreg-project/wreg/storage/meta/metatest"
)

func TestContract(t *testing.T) {
	metatest.Run(t, func(t *testing.T) meta.DB {
		db, err := Open(t.Context(), filepath.Join(t.TempDir(), "meta.db"), Options{Migrate: true})
		if err != nil {
			t.Fatal(err)
		}
		return db
	})
}

func TestFaults(t *testing.T) {
	metatest.RunFaults(t, func(t *testing.T, faults *metatest.Faults) meta.DB {
		db, err := Open(t.Context(), filepath.Join(t.TempDir(), "meta.db"), Options{Migrate: true, wrap: faults.Wrap})
		if err != nil {
			t.Fatal(err)
		}
		return db
	})
}

func BenchmarkSQLite(b *testing.B) {
	metatest.Benchmark(b, func(b *testing.B) meta.DB {
		db, err := Open(b.Context(), filepath.Join(b.TempDir(), "meta.db"), Options{Migrate: true})
		if err != nil {
			b.Fatal(err)
		}
		return db
	})
}

func BenchmarkSQLiteJobs(b *testing.B) {
	metatest.BenchmarkJobs(b, func(b *testing.B) meta.DB {
		db, err := Open(b.Context(), filepath.Join(b.TempDir(), "meta.db"), Options{Migrate: true})
		if err != nil {
			b.Fatal(err)
		}
		return db
	})
}

func BenchmarkSQLiteAOT(b *testing.B) {
	metatest.BenchmarkAOT(b, func(b *testing.B) meta.DB {
		db, err := Open(b.Context(), filepath.Join(b.TempDir(), "meta.db"), Options{Migrate: true})
		if err != nil {
			b.Fatal(err)
		}
		return db
	})
}

func BenchmarkSQLiteComponents(b *testing.B) {
	metatest.BenchmarkComponents(b, func(b *testing.B) meta.DB {
		db, err := Open(b.Context(), filepath.Join(b.TempDir(), "meta.db"), Options{Migrate: true})
		if err != nil {
			b.Fatal(err)
		}
		return db
	})
}
