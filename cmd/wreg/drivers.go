package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/wreg-project/wreg/internal/config"
	"github.com/wreg-project/wreg/internal/durable"
	"github.com/wreg-project/wreg/storage/blob"
	blobfs "github.com/wreg-project/wreg/storage/blob/fs"
	"github.com/wreg-project/wreg/storage/blob/mem"
	"github.com/wreg-project/wreg/storage/meta"
	"github.com/wreg-project/wreg/storage/meta/postgres"
	"github.com/wreg-project/wreg/storage/meta/sqlite"
)

// dirMode is for folders that hold packages of others than the user we run as.
const dirMode fs.FileMode = 0o700

// stores are the two halves of what a server keeps.
type stores struct {
	meta  meta.DB
	blobs blob.Store
	close []func() error // in the order of opening
}

// Close closes both, the database first: its last writes name bytes.
func (s *stores) Close() error {
	var errs []error
	for i := len(s.close) - 1; i >= 0; i-- {
		errs = append(errs, s.close[i]())
	}
	s.close = nil
	return errors.Join(errs...)
}

// openStores opens the storage and then the database that cfg names, making
// what is missing and bringing the database's schema up to date.
func openStores(ctx context.Context, cfg config.Config) (*stores, error) {
	s := &stores{}
	if err := s.openBlobs(ctx, cfg.Storage, cfg.Data); err != nil {
		return nil, err
	}
	db, err := openMeta(ctx, cfg.Database)
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	s.meta = db
	s.close = append(s.close, db.Close)
	return s, nil
}

func (s *stores) openBlobs(ctx context.Context, address config.DSN, data string) error {
	switch scheme := address.Scheme(); {
	case scheme == "mem":
		s.blobs = mem.New()
		return nil
	case scheme == "fs":
		store, err := blobfs.Open(address.Rest(), blobfs.Options{})
		if err != nil {
			return err
		}
		s.blobs = store
		s.close = append(s.close, store.Close)
		return nil
	case strings.HasPrefix(scheme, "distribution+"):
		return s.openDistribution(ctx, address, data)
	}
	return fmt.Errorf("storage %s: unknown kind", address) // config has checked it
}

// openAsIs opens a database that is there, and changes nothing in it.
func openAsIs(ctx context.Context, address config.DSN) (meta.DB, error) {
	if address.Postgres() {
		return postgres.Open(ctx, string(address), postgres.Options{})
	}
	return sqlite.Open(ctx, address.SQLite(), sqlite.Options{})
}

// openMeta opens the database, SQLite in a file or PostgreSQL.
func openMeta(ctx context.Context, address config.DSN) (meta.DB, error) {
	if address.Postgres() {
		return postgres.Open(ctx, string(address), postgres.Options{Migrate: true})
	}
	if err := durable.MkdirAll(filepath.Dir(address.SQLite()), dirMode); err != nil {
		return nil, fmt.Errorf("folder of the database: %w", err)
	}
	return sqlite.Open(ctx, address.SQLite(), sqlite.Options{Migrate: true})
}
