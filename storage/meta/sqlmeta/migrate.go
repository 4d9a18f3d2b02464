package sqlmeta

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/wreg-project/wreg/storage/meta"
)

// A Migration is a numbered file of a driver's migrations folder.
type Migration struct {
	Version int // counts from one
	Name    string
	SQL     string
}

// Migrations reads migrations/NNNN_name.sql from a driver's embedded files. The
// numbers count from one without a gap.
func Migrations(files fs.FS) ([]Migration, error) {
	names, err := fs.Glob(files, "migrations/*.sql") // sorted
	if err != nil {
		return nil, err
	}
	out := make([]Migration, 0, len(names))
	for i, file := range names {
		name := strings.TrimSuffix(strings.TrimPrefix(file, "migrations/"), ".sql")
		digits, _, _ := strings.Cut(name, "_")
		version, err := strconv.Atoi(digits)
		if err != nil || version != i+1 {
			return nil, fmt.Errorf("migration %s: want number %d", file, i+1)
		}
		text, err := fs.ReadFile(files, file)
		if err != nil {
			return nil, err
		}
		out = append(out, Migration{Version: version, Name: name, SQL: string(text)})
	}
	if len(out) == 0 {
		return nil, errors.New("no migrations")
	}
	return out, nil
}

// Migrator brings a database to the schema of the program.
type Migrator struct {
	Files fs.FS  // holds the folder migrations
	Lock  string // statement that keeps other programs from migrating until the transaction ends, "" for none
	// Exists is a query that yields a row if the database has the table
	// schema_migrations.
	Exists string
}

const createMigrations = `CREATE TABLE schema_migrations (version BIGINT PRIMARY KEY, name TEXT NOT NULL)`

// Pending returns the migrations that the database lacks. A database from a
// newer program is meta.ErrSchema.
func (m Migrator) Pending(ctx context.Context, db *sql.DB) ([]Migration, error) {
	tx, err := db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, err
	}
	defer func() { _ = tx.Rollback() }() // it wrote nothing
	pending, _, err := m.pending(ctx, tx)
	return pending, err
}

func (m Migrator) pending(ctx context.Context, tx *sql.Tx) (pending []Migration, version int, err error) {
	all, err := Migrations(m.Files)
	if err != nil {
		return nil, 0, err
	}
	version, err = m.version(ctx, tx)
	if err != nil {
		return nil, 0, err
	}
	if version > len(all) {
		return nil, 0, fmt.Errorf("%w: it has version %d, this program knows %d; run a newer wreg", meta.ErrSchema, version, len(all))
	}
	return all[version:], version, nil
}

// version is the last migration applied, or -1 turned to 0 where there is no
// table of them yet.
func (m Migrator) version(ctx context.Context, tx *sql.Tx) (int, error) {
	var version int
	err := tx.QueryRowContext(ctx, m.Exists).Scan(new(any))
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	if err == nil {
		err = tx.QueryRowContext(ctx, `SELECT COALESCE(max(version), 0) FROM schema_migrations`).Scan(&version)
	}
	return version, err
}

// Migrate applies what is pending in one transaction, in which all of it or
// nothing happens, and returns what it applied.
func (m Migrator) Migrate(ctx context.Context, db *sql.DB) ([]Migration, error) {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return nil, err
	}
	defer func() { _ = tx.Rollback() }() // after the commit there is nothing to do
	if m.Lock != "" {
		if _, err := tx.ExecContext(ctx, m.Lock); err != nil {
			return nil, err
		}
	}
	pending, version, err := m.pending(ctx, tx)
	if err != nil || len(pending) == 0 {
		return nil, err
	}
	if version == 0 {
		if _, err := tx.ExecContext(ctx, createMigrations); err != nil {
			return nil, err
		}
	}
	for _, p := range pending {
		if err := p.apply(ctx, tx); err != nil {
			return nil, fmt.Errorf("migration %s: %w", p.Name, err)
		}
	}
	if err := tx.Commit(); err != nil {
		return nil, err
	}
	return pending, nil
}

func (p Migration) apply(ctx context.Context, tx *sql.Tx) error {
	if _, err := tx.ExecContext(ctx, p.SQL); err != nil {
		return err
	}
	// The name is that of an embedded file and holds no quote.
	_, err := tx.ExecContext(ctx, fmt.Sprintf(`INSERT INTO schema_migrations (version, name) VALUES (%d, '%s')`, p.Version, p.Name))
	return err
}

// Ensure migrates the database if it may, and otherwise fails with
// meta.ErrSchema when something is pending.
func (m Migrator) Ensure(ctx context.Context, db *sql.DB, may bool) error {
	pending, err := m.Pending(ctx, db)
	if err != nil || len(pending) == 0 {
		return err
	}
	if !may {
		return fmt.Errorf("%w: migration %s is pending; run 'wreg migrate'", meta.ErrSchema, pending[0].Name)
	}
	_, err = m.Migrate(ctx, db)
	return err
}

// Names are the names of migrations.
func Names(ms []Migration) []string {
	var out []string
	for _, m := range ms {
		out = append(out, m.Name)
	}
	return out
}
