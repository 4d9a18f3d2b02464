// Package sqlmeta is the part that the drivers of package meta share: all of
// meta.DB over database/sql.
//
// The statements are in queries/*.sql, in the SQL that SQLite and PostgreSQL
// have in common. A driver brings the connections, the migrations and a Config;
// everything else, from the group commit to the dump, is here. Read commit.go
// first: it holds the promises that are easy to break.
package sqlmeta

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"time"

	"github.com/wreg-project/wreg/storage/meta"
)

// Config describes an open database with its schema in place.
type Config struct {
	// Read answers readers. Write runs the writer's transactions and may be the
	// same pool; beginning a transaction on it takes the write lock, or Begin does.
	Read, Write *sql.DB

	// Begin runs first in each of the writer's transactions, "" for nothing.
	Begin string

	// Rewrite turns a statement with parameters ?1, ?2 into the database's own
	// form, nil for no change.
	Rewrite func(statement string) string

	// Local is set if statements run inside this process and end soon. They are
	// then not interrupted by a cancelled context, only not begun: watching it
	// costs more than most of them.
	Local bool

	// Timeout bounds each member of a group and each commit; zero is 30 seconds.
	Timeout time.Duration

	// Wrap adds to errors of the database what an operator has to know; nil for
	// no change.
	Wrap func(error) error

	// Lost reports whether an error means that the connection is gone; nil for
	// never. Reads are then tried again on another one.
	Lost func(error) bool

	// Check is the database's own integrity check.
	Check func(ctx context.Context, db *sql.DB) error

	// Close releases what the driver holds beside the pools, which are closed
	// before it; nil for nothing.
	Close func() error
}

// DB implements meta.DB.
type DB struct {
	reader
	cfg       Config
	read      *handle
	write     *handle
	committer *committer
}

var _ meta.DB = (*DB)(nil)

// New prepares the statements and starts the committer. It owns the pools of
// cfg from then on, also when it fails.
func New(ctx context.Context, cfg Config) (*DB, error) {
	if cfg.Timeout == 0 {
		cfg.Timeout = 30 * time.Second
	}
	if cfg.Lost == nil {
		cfg.Lost = func(error) bool { return false }
	}
	if cfg.Wrap == nil {
		cfg.Wrap = func(err error) error { return err }
	}
	db := &DB{cfg: cfg}
	var err error
	if db.read, err = newHandle(ctx, cfg.Read, cfg.Rewrite); err == nil {
		db.write = db.read
		if cfg.Write != cfg.Read {
			db.write, err = newHandle(ctx, cfg.Write, cfg.Rewrite)
		}
	}
	if err != nil {
		_ = db.release() // the statement is the error to report
		return nil, cfg.Wrap(err)
	}
	db.reader = reader{q: pool{db}}
	db.committer = newCommitter(db)
	return db, nil
}

// Close waits for the running group, answers what is still queued with
// meta.ErrClosed, and closes the database.
func (db *DB) Close() error {
	if !db.committer.close() {
		return nil
	}
	return db.release()
}

func (db *DB) release() error {
	err := db.cfg.Read.Close()
	if db.cfg.Write != db.cfg.Read {
		if e := db.cfg.Write.Close(); err == nil {
			err = e
		}
	}
	if db.cfg.Close != nil {
		if e := db.cfg.Close(); err == nil {
			err = e
		}
	}
	return err
}

// Ping reports whether the database answers.
func (db *DB) Ping(ctx context.Context) error {
	if db.committer.closed() {
		return meta.ErrClosed
	}
	var written, done int64
	_, err := one(ctx, db.q, "journal_sequence", nil, &written, &done)
	return err
}

// Check runs the database's own check, then compares the counters that this
// package keeps with what they count.
func (db *DB) Check(ctx context.Context) error {
	if err := db.cfg.Check(ctx, db.cfg.Read); err != nil {
		return db.cfg.Wrap(err)
	}
	var repo string
	wrong, err := one(ctx, db.q, "miscounted", nil, &repo)
	if err != nil {
		return err
	}
	if wrong {
		return fmt.Errorf("%w: the tags of repository %s are miscounted", meta.ErrDamaged, repo)
	}
	return nil
}

// maxTries is how often a read is sent. A restarted server leaves several dead
// connections in the pool; those that idled for long are found out without it.
const maxTries = 4

// pool runs statements on any connection, each in a transaction of its own.
type pool struct{ db *DB }

func (p pool) query(ctx context.Context, name string, params ...any) (*sql.Rows, error) {
	if p.db.committer.closed() {
		return nil, meta.ErrClosed
	}
	ctx, err := p.db.statementContext(ctx)
	if err != nil {
		return nil, err
	}
	for try := 1; ; try++ {
		rows, err := p.db.read.stmt(name).QueryContext(ctx, params...)
		if err == nil {
			return rows, nil
		}
		if try == maxTries || ctx.Err() != nil || !p.db.cfg.Lost(err) {
			return nil, p.fail(name, err)
		}
	}
}

func (p pool) fail(name string, err error) error {
	return fmt.Errorf("%s: %w", name, p.db.cfg.Wrap(err))
}

// statementContext is ctx, without its cancellation if statements are short.
func (db *DB) statementContext(ctx context.Context) (context.Context, error) {
	if !db.cfg.Local {
		return ctx, nil
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return context.WithoutCancel(ctx), nil
}

// reader implements meta.Reader for the readers and for the writer.
type reader struct{ q querier }

// Times are stored as microseconds since 1970.
func micros(t time.Time) int64     { return t.UnixMicro() }
func fromMicros(u int64) time.Time { return time.UnixMicro(u).UTC() }

// stored is t as it comes back from the database.
func stored(t time.Time) time.Time { return fromMicros(micros(t)) }

// limit is how many rows a page may have, as a parameter of LIMIT.
func limit(p meta.Page) int64 {
	if p.Limit < 1 {
		return math.MaxInt64
	}
	return int64(p.Limit)
}
