// Package postgres keeps metadata in a PostgreSQL database, which several
// servers may share. PostgreSQL 14 or later.
//
// Writers of all servers take one advisory lock for each group of updates, so
// that there is one order of writes: the order of the journal's sequences is
// the order of commits, and what an update read stays true until it commits.
package postgres

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"embed"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/wreg-project/wreg/storage/meta"
	"github.com/wreg-project/wreg/storage/meta/sqlmeta"
)

//go:embed migrations/*.sql
var files embed.FS

// The advisory locks: of whoever writes, and of whoever migrates. The numbers
// say "wreg" in ASCII, with a count behind.
const (
	lockWriter   = `SELECT pg_advisory_xact_lock(8607053330914476033)`
	lockMigrator = `SELECT pg_advisory_xact_lock(8607053330914476034)`
)

var migrator = sqlmeta.Migrator{
	Files: files,
	Lock:  lockMigrator,
	// Not by to_regclass: it may answer from before the lock was waited for.
	Exists: `SELECT 1 FROM pg_catalog.pg_tables WHERE schemaname = current_schema() AND tablename = 'schema_migrations'`,
}

// Options of Open; the zero value serves a current database.
type Options struct {
	// Migrate lets Open make the schema or bring it up to date. Without it,
	// anything pending is meta.ErrSchema.
	Migrate bool

	// Readers is how many connections read in parallel; zero is 16. Writing
	// takes one more.
	Readers int

	// Timeout bounds each update, waiting for other servers included; zero is
	// 30 seconds.
	Timeout time.Duration

	// wrap comes between package sql and pgx, for tests that make it fail.
	wrap func(driver.Connector) driver.Connector
}

// Open opens the database that dsn describes, a URL or keywords and values, as
// libpq understands them. It fails with meta.ErrSchema if the schema is not
// this program's.
func Open(ctx context.Context, dsn string, o Options) (meta.DB, error) {
	cfg, err := parse(dsn)
	if err != nil {
		return nil, err
	}
	write := openPool(cfg, 1, o.wrap)
	if err := migrator.Ensure(ctx, write, o.Migrate); err != nil {
		_ = write.Close() // the migration is the error to report
		return nil, fmt.Errorf("open database: %w", explain(err))
	}
	readers := o.Readers
	if readers < 1 {
		readers = 16
	}
	db, err := sqlmeta.New(ctx, sqlmeta.Config{
		Read: openPool(cfg, readers, o.wrap), Write: write, Begin: lockWriter, Rewrite: sqlmeta.Dollar,
		Timeout: o.Timeout, Wrap: explain, Lost: lost, Check: check,
	})
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	return db, nil
}

// Pending names the migrations that the database lacks. It changes nothing.
func Pending(ctx context.Context, dsn string) ([]string, error) {
	cfg, err := parse(dsn)
	if err != nil {
		return nil, err
	}
	db := openPool(cfg, 1, nil)
	defer db.Close()
	pending, err := migrator.Pending(ctx, db)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", explain(err))
	}
	return sqlmeta.Names(pending), nil
}

func parse(dsn string) (*pgx.ConnConfig, error) {
	cfg, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, fmt.Errorf("database address: %w", err) // pgx leaves the password out
	}
	if cfg.RuntimeParams["application_name"] == "" {
		cfg.RuntimeParams["application_name"] = "wreg"
	}
	if cfg.RuntimeParams["plan_cache_mode"] == "" {
		// Every statement is prepared and has one good plan. Planning one with a
		// hundred parameters anew takes longer than running it.
		cfg.RuntimeParams["plan_cache_mode"] = "force_generic_plan"
	}
	return cfg, nil
}

// durable undoes a synchronous_commit=off of the server's configuration: a
// write is acknowledged when it is on disk. Stronger settings stay.
const durable = `SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'`

// openPool makes a pool of at most n connections. It connects to nothing yet.
func openPool(cfg *pgx.ConnConfig, n int, wrap func(driver.Connector) driver.Connector) *sql.DB {
	c := stdlib.GetConnector(*cfg, stdlib.OptionAfterConnect(func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, durable)
		return err
	}))
	if wrap != nil {
		c = wrap(c)
	}
	db := sql.OpenDB(c)
	db.SetMaxOpenConns(n)
	db.SetMaxIdleConns(n)
	db.SetConnMaxIdleTime(10 * time.Minute)
	return db
}

// explain marks what PostgreSQL itself calls corrupted (class XX).
func explain(err error) error {
	e, ok := errors.AsType[*pgconn.PgError](err)
	if ok && (e.Code == "XX001" || e.Code == "XX002") {
		return fmt.Errorf("%w: %w; restore a backup, or make a new database and run 'wreg rebuild'", meta.ErrDamaged, err)
	}
	return err
}

// lost reports whether the connection ended: closed under us, or by the server
// as it shut down (class 57P).
func lost(err error) bool {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return strings.HasPrefix(e.Code, "57P")
	}
	return errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, syscall.ECONNRESET) ||
		errors.Is(err, syscall.EPIPE) || errors.Is(err, driver.ErrBadConn)
}

// check reads and hashes every stored manifest, which fails where a page or a
// compressed value is damaged. Indexes are checked by the server's own
// pg_amcheck.
func check(ctx context.Context, db *sql.DB) error {
	var d string
	err := db.QueryRowContext(ctx, `SELECT digest FROM manifests WHERE digest <> CASE
		WHEN starts_with(digest, 'sha512:') THEN 'sha512:' || encode(sha512(content), 'hex')
		ELSE 'sha256:' || encode(sha256(content), 'hex') END LIMIT 1`).Scan(&d)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err == nil {
		err = fmt.Errorf("%w: the content of manifest %s is another", meta.ErrDamaged, d)
	}
	return err
}
