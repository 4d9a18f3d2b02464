package postgres

import (
	"testing"

	"github.com/wreg-project/wreg/internal/testenv"
	"github.com/wreg-project/wreg/storage/meta"
	"github.com/wreg-project/wreg/storage/meta/metatest"
)

func TestContract(t *testing.T) {
	metatest.Run(t, func(t *testing.T) meta.DB {
		db, err := Open(t.Context(), testenv.Postgres(t), Options{Migrate: true})
		if err != nil {
			t.Fatal(err)
		}
		return db
	})
}

func TestFaults(t *testing.T) {
	metatest.RunFaults(t, func(t *testing.T, faults *metatest.Faults) meta.DB {
		db, err := Open(t.Context(), testenv.Postgres(t), Options{Migrate: true, wrap: faults.Wrap})
		if err != nil {
			t.Fatal(err)
		}
		return db
	})
}

func BenchmarkPostgres(b *testing.B) {
	metatest.Benchmark(b, func(b *testing.B) meta.DB {
		db, err := Open(b.Context(), testenv.Postgres(b), Options{Migrate: true})
		if err != nil {
			b.Fatal(err)
		}
		return db
	})
}

func BenchmarkPostgresJobs(b *testing.B) {
	metatest.BenchmarkJobs(b, func(b *testing.B) meta.DB {
		db, err := Open(b.Context(), testenv.Postgres(b), Options{Migrate: true})
		if err != nil {
			b.Fatal(err)
		}
		return db
	})
}

func BenchmarkPostgresAOT(b *testing.B) {
	metatest.BenchmarkAOT(b, func(b *testing.B) meta.DB {
		db, err := Open(b.Context(), testenv.Postgres(b), Options{Migrate: true})
		if err != nil {
			b.Fatal(err)
		}
		return db
	})
}

func BenchmarkPostgresComponents(b *testing.B) {
	metatest.BenchmarkComponents(b, func(b *testing.B) meta.DB {
		db, err := Open(b.Context(), testenv.Postgres(b), Options{Migrate: true})
		if err != nil {
			b.Fatal(err)
		}
		return db
	})
}
