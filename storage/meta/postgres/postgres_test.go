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
