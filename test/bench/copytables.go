package main

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// The tables that an index needs, in an order that foreign keys allow, with the
// column that the database numbers.
var copiedTables = []struct{ name, numbered string }{
	{"repositories", "id"},
	{"manifests", "id"},
	{"downloads", ""},
	{"download_totals", ""},
	{"documents", "number"},
	{"terms", "id"},
	{"postings", ""},
	{"document_values", ""},
	{"document_changes", ""},
}

// copyTables fills a new PostgreSQL database with the rows of an SQLite one: both
// have the same tables, and a million documents come by COPY in minutes.
func copyTables(ctx context.Context, path, dsn string) error {
	from, err := sql.Open("sqlite", "file:"+path+"?_pragma=query_only(1)")
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer to.Close(ctx)
	if _, err := to.Exec(ctx, "TRUNCATE terms"); err != nil { // the migration has put one there
		return err
	}
	for _, t := range copiedTables {
		if err := copyTable(ctx, from, to, t.name); err != nil {
			return fmt.Errorf("copy %s: %w", t.name, err)
		}
		if t.numbered == "" {
			continue
		}
		statement := "SELECT setval(pg_get_serial_sequence('%[1]s', '%[2]s'), (SELECT max(%[2]s) FROM %[1]s))"
		if _, err := to.Exec(ctx, fmt.Sprintf(statement, t.name, t.numbered)); err != nil {
			return err
		}
	}
	_, err = to.Exec(ctx, "VACUUM ANALYZE")
	return err
}

func copyTable(ctx context.Context, from *sql.DB, to *pgx.Conn, table string) error {
	rows, err := from.QueryContext(ctx, "SELECT * FROM "+table)
	if err != nil {
		return err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return err
	}
	if _, err := to.CopyFrom(ctx, pgx.Identifier{table}, columns, newRowSource(rows, len(columns))); err != nil {
		return err
	}
	return rows.Err()
}

// A rowSource is a pgx.CopyFromSource of the rows of another database.
type rowSource struct {
	*sql.Rows
	values, into []any
}

func newRowSource(rows *sql.Rows, columns int) *rowSource {
	s := &rowSource{rows, make([]any, columns), make([]any, columns)}
	for i := range s.into {
		s.into[i] = &s.values[i]
	}
	return s
}

func (s *rowSource) Values() ([]any, error) {
	if err := s.Scan(s.into...); err != nil {
		return nil, err
	}
	for i, v := range s.values {
		if b, ok := v.([]byte); ok && b == nil {
			s.values[i] = []byte{} // empty, not absent
		}
	}
	return s.values, nil
}
