// Package sqlite keeps metadata in an SQLite file: the database of a single
// server. It is in WAL mode and every commit is synced before it is answered.
//
// A file beside it, with .lock behind the name, is locked while the database is
// open, so that no second server writes to it. Reading it with other tools
// meanwhile is safe.
package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"embed"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	sqlite "modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/wreg-project/wreg/storage/meta"
	"github.com/wreg-project/wreg/storage/meta/sqlmeta"
)

//go:embed migrations/*.sql
var files embed.FS

var migrator = sqlmeta.Migrator{
	Files:  files,
	Exists: `SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'schema_migrations'`,
}

// Options of Open; the zero value serves a current database.
type Options struct {
	// Migrate lets Open make the database and bring its schema up to date.
	// Without it, anything pending is meta.ErrSchema.
	Migrate bool

	// Readers is how many connections read in parallel; zero is twice the
	// number of CPUs, at least four.
	Readers int

	// Timeout bounds each update; zero is 30 seconds.
	Timeout time.Duration

	// wrap comes between package sql and SQLite, for tests that make it fail.
	wrap func(driver.Connector) driver.Connector

	// pages bounds the size of the file, for tests of a full disk; zero does not.
	pages int
}

// Page caches, in KiB. The operating system caches the file as well.
const (
	readerCache = 2 << 10
	writerCache = 8 << 10
)

// Open opens the database at path; its folder exists. It fails with
// meta.ErrLocked while another process has it open, with meta.ErrSchema if its
// schema is not this program's, and with meta.ErrDamaged if it is no database.
func Open(ctx context.Context, path string, o Options) (meta.DB, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	unlock, err := lock(path + ".lock")
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	db, err := open(ctx, path, o, unlock)
	if err != nil {
		_ = unlock() // the reason for not opening is the error to report
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return db, nil
}

func open(ctx context.Context, path string, o Options, unlock func() error) (meta.DB, error) {
	wrapped := func(err error) error { return explain(path, err) }
	if err := create(path, o.Migrate); err != nil {
		return nil, err
	}
	write, err := openPool(path, 1, "_txlock=immediate&_pragma=journal_mode(WAL)"+
		"&_pragma=synchronous(FULL)&_pragma=foreign_keys(1)"+
		"&_pragma=wal_autocheckpoint(4000)&_pragma=journal_size_limit(67108864)"+cacheSize(writerCache)+maxPages(o), o.wrap)
	if err != nil {
		return nil, err
	}
	if err := migrator.Ensure(ctx, write, o.Migrate); err != nil {
		_ = write.Close() // the migration is the error to report
		return nil, wrapped(err)
	}
	read, err := openPool(path, readers(o), "_pragma=query_only(1)"+cacheSize(readerCache), o.wrap)
	if err != nil {
		_ = write.Close() // the second pool is the error to report
		return nil, err
	}
	return sqlmeta.New(ctx, sqlmeta.Config{
		Read: read, Write: write, Local: true, Timeout: o.Timeout, Wrap: wrapped, Check: check, Close: unlock,
	})
}

// Pending names the migrations that the database at path lacks: all of them if
// there is none. It changes nothing and needs no lock.
func Pending(ctx context.Context, path string) ([]string, error) {
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		all, err := sqlmeta.Migrations(files)
		return sqlmeta.Names(all), err
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	db, err := openPool(path, 1, "_pragma=query_only(1)", nil)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	pending, err := migrator.Pending(ctx, db)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, explain(path, err))
	}
	return sqlmeta.Names(pending), nil
}

func readers(o Options) int {
	if o.Readers > 0 {
		return o.Readers
	}
	return max(4, 2*runtime.NumCPU())
}

func cacheSize(kib int) string { return fmt.Sprintf("&_pragma=cache_size(-%d)", kib) }

func maxPages(o Options) string {
	if o.pages == 0 {
		return ""
	}
	return fmt.Sprintf("&_pragma=max_page_count(%d)", o.pages)
}

// openPool makes a pool of at most n connections, which stay open.
func openPool(path string, n int, params string, wrap func(driver.Connector) driver.Connector) (*sql.DB, error) {
	uri := url.URL{Scheme: "file", Path: slashed(path), RawQuery: "_dqs=0&_error_rc=1&_pragma=busy_timeout(5000)&" + params}
	var c driver.Connector
	c, err := sqlite.NewConnector(uri.String())
	if err != nil {
		return nil, err
	}
	if wrap != nil {
		c = wrap(c)
	}
	db := sql.OpenDB(c)
	db.SetMaxOpenConns(n)
	db.SetMaxIdleConns(n)
	return db, nil
}

// slashed is an absolute path as a file URI has it, also with a drive letter.
func slashed(path string) string {
	path = filepath.ToSlash(path)
	if !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	return path
}

// create makes the file, empty and for its owner's eyes, if it is not there. Its
// name is durable when create returns.
func create(path string, may bool) error {
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if !may {
		return fmt.Errorf("%w: there is no database yet; run 'wreg migrate'", meta.ErrSchema)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

func syncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = f.Sync()
	if e := f.Close(); err == nil {
		err = e
	}
	return err
}

// explain names the file in what an operator has to act on.
func explain(path string, err error) error {
	e, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		return err
	}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return fmt.Errorf("%w: %s: %w; restore a backup, or move the file away and run 'wreg rebuild'", meta.ErrDamaged, path, err)
	case sqlite3.SQLITE_FULL:
		return fmt.Errorf("no space left to write %s: %w", path, err)
	case sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY:
		return fmt.Errorf("%s: %w", path, err)
	case sqlite3.SQLITE_BUSY:
		return fmt.Errorf("%w: %s: %w", meta.ErrLocked, path, err)
	}
	return err
}

// check runs SQLite's integrity check and that of the foreign keys.
func check(ctx context.Context, db *sql.DB) error {
	var result string
	if err := db.QueryRowContext(ctx, `PRAGMA integrity_check(1)`).Scan(&result); err != nil {
		return err
	}
	if result != "ok" {
		return fmt.Errorf("%w: %s", meta.ErrDamaged, result)
	}
	var table string
	err := db.QueryRowContext(ctx, `SELECT "table" FROM pragma_foreign_key_check LIMIT 1`).Scan(&table)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err == nil {
		err = fmt.Errorf("%w: a row of %s refers to one that is gone", meta.ErrDamaged, table)
	}
	return err
}
