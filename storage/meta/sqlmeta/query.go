package sqlmeta

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
	"regexp"
	"strings"
)

//go:embed queries/*.sql
var queryFiles embed.FS

// queries are the statements by name, with SQLite's ?1 for parameters.
var queries = mustParse(queryFiles)

// mustParse reads every statement of the embedded files. Each begins with a
// line "-- name: x" and ends before the next one.
func mustParse(files fs.FS) map[string]string {
	names, err := fs.Glob(files, "queries/*.sql")
	if err != nil || len(names) == 0 {
		panic("sqlmeta: no embedded queries")
	}
	out := map[string]string{}
	for _, file := range names {
		text, err := fs.ReadFile(files, file)
		if err != nil {
			panic("sqlmeta: " + err.Error())
		}
		for _, part := range strings.Split("\n"+string(text), "\n-- name: ")[1:] {
			name, body, _ := strings.Cut(part, "\n")
			body = strings.TrimSuffix(strings.TrimSpace(body), ";")
			if _, twice := out[name]; twice || body == "" {
				panic("sqlmeta: " + file + ": statement " + name + " is empty or named twice")
			}
			out[name] = body
		}
	}
	return out
}

var parameter = regexp.MustCompile(`\?(\d+)`)

// Dollar rewrites the parameters ?1, ?2 of a statement to $1, $2.
func Dollar(statement string) string {
	return parameter.ReplaceAllString(statement, `$$$1`)
}

// A handle is a pool of connections with every statement prepared; package sql
// prepares them again on each connection that runs them.
type handle struct {
	db    *sql.DB
	stmts map[string]*sql.Stmt
}

func newHandle(ctx context.Context, db *sql.DB, rewrite func(string) string) (*handle, error) {
	h := &handle{db: db, stmts: make(map[string]*sql.Stmt, len(queries))}
	for name, text := range queries {
		if rewrite != nil {
			text = rewrite(text)
		}
		stmt, err := db.PrepareContext(ctx, text)
		if err != nil {
			return nil, fmt.Errorf("prepare %s: %w", name, err)
		}
		h.stmts[name] = stmt
	}
	return h, nil
}

// stmt returns a statement of the queries folder. Asking for one that is not
// there is a mistake of this package.
func (h *handle) stmt(name string) *sql.Stmt {
	s, ok := h.stmts[name]
	if !ok {
		panic("sqlmeta: no statement named " + name)
	}
	return s
}

// A querier runs named statements: the pool of readers, a snapshot, or the
// transaction of a writer.
type querier interface {
	query(ctx context.Context, name string, params ...any) (*sql.Rows, error)
	// fail wraps what a statement or its rows failed with.
	fail(name string, err error) error
}

// args keeps the parameters apart from what is scanned into.
func args(a ...any) []any { return a }

// one runs a statement of at most one row and reports whether there was one.
func one(ctx context.Context, q querier, name string, params []any, dest ...any) (bool, error) {
	rows, err := q.query(ctx, name, params...)
	if err != nil {
		return false, err
	}
	defer rows.Close()
	found := rows.Next()
	if found {
		if err := rows.Scan(dest...); err != nil {
			return false, q.fail(name, err)
		}
	}
	if err := rows.Close(); err != nil {
		return false, q.fail(name, err)
	}
	if err := rows.Err(); err != nil {
		return false, q.fail(name, err)
	}
	return found, nil
}

// each runs a statement and calls scan for every row. An error of scan is
// returned as it is.
func each(ctx context.Context, q querier, name string, params []any, scan func(*sql.Rows) error) error {
	rows, err := q.query(ctx, name, params...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return q.fail(name, err)
	}
	return nil
}

// list collects a statement of one text column.
func list[S ~string](ctx context.Context, q querier, name string, params ...any) ([]S, error) {
	var out []S
	err := each(ctx, q, name, params, func(rows *sql.Rows) error {
		var s string
		if err := rows.Scan(&s); err != nil {
			return q.fail(name, err)
		}
		out = append(out, S(s))
		return nil
	})
	return out, err
}
