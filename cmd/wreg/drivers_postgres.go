package main

import (
	"context"

	"github.com/wreg-project/wreg/internal/config"
	"github.com/wreg-project/wreg/storage/meta"
	"github.com/wreg-project/wreg/storage/meta/postgres"
)

func openPostgres(ctx context.Context, address config.DSN) (meta.DB, error) {
	return postgres.Open(ctx, string(address), postgres.Options{Migrate: true})
}
