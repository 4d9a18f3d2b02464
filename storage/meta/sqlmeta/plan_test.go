package sqlmeta_test

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	_ "modernc.org/sqlite"

	"github.com/wreg-project/wreg/internal/testenv"
	"github.com/wreg-project/wreg/storage/meta/postgres"
	"github.com/wreg-project/wreg/storage/meta/sqlite"
	"github.com/wreg-project/wreg/storage/meta/sqlmeta"
)

// aotPlans are the statements about native code that run often, or that list, with
// the index by which each finds its rows in the order in which it returns them.
var aotPlans = []struct{ statement, index string }{
	{"aot_jobs_in", "aot_jobs_by_state"},
	{"aot_jobs_for_target", "aot_jobs_by_target"},
	{"aot_jobs_of_repository", "aot_jobs_by_repository"},
	{"aot_expired", "aot_jobs_leased"},
	{"aot_leased_to", "aot_jobs_leased_to"},
	{"aot_due", "aot_jobs_due"},
	{"aot_wake", "aot_queues_later"},
	{"aot_turn", "aot_queues_next"},
	{"aot_next", "aot_jobs_queued"},
	{"aot_sleep", "aot_jobs_queued"},
	{"aot_take_turn", "aot_queues_by_turn"},
	{"aot_queue", "aot_queues_by_turn"},
}

var parameter = regexp.MustCompile(`\?\d+`)

// parameters counts those of a statement.
func parameters(statement string) int {
	all := parameter.FindAllString(statement, -1)
	slices.Sort(all)
	return len(slices.Compact(all))
}

// wantPlan fails if a plan does not use an index, reads a table from one end to the
// other, or sorts.
//
// A list has to begin a page at page, and not to read all pages before.
func wantPlan(t *testing.T, statement, plan, index, whole, sorts, page string) {
	t.Helper()
	if strings.HasPrefix(statement, "aot_jobs_") && !strings.Contains(plan, page) {
		t.Errorf("plan of %s does not begin a page by %q:\n%s", statement, page, plan)
	}
	by := regexp.MustCompile(`\b` + index + `\b`)
	if !by.MatchString(plan) || strings.Contains(plan, whole) || strings.Contains(plan, sorts) {
		t.Errorf("plan of %s has no %s, or %q, or %q:\n%s", statement, index, whole, sorts, plan)
	}
}

// wantSteps fails unless the plan of aot_counts goes by an index from each kind of jobs
// to the next, and to the jobs of a kind: otherwise it reads all of them.
func wantSteps(t *testing.T, plan string, steps ...string) {
	t.Helper()
	for _, step := range steps {
		if !strings.Contains(plan, step) {
			t.Errorf("plan of aot_counts does not step by %q:\n%s", step, plan)
		}
	}
}

// emptySQLite is a database with our tables and no rows.
func emptySQLite(t *testing.T) *sql.DB {
	t.Helper()
	path := filepath.Join(t.TempDir(), "meta.db")
	db, err := sqlite.Open(t.Context(), path, sqlite.Options{Migrate: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	raw, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = raw.Close() })
	return raw
}

func TestNativeCodeIsFoundByIndexesInSQLite(t *testing.T) {
	raw := emptySQLite(t)
	for _, tt := range aotPlans {
		t.Run(tt.statement, func(t *testing.T) {
			plan := sqlitePlan(t, raw, sqlmeta.Statement(tt.statement))
			wantPlan(t, tt.statement, plan, tt.index, "SCAN ", "TEMP B-TREE", "state=? AND id>?)")
		})
	}
	wantSteps(t, sqlitePlan(t, raw, sqlmeta.Statement("aot_counts")), "aot_jobs_open ((runtime,target,state,created)>(?,?,?,?))",
		"aot_jobs_open (runtime=? AND target=? AND state=?)")
}

func sqlitePlan(t *testing.T, db *sql.DB, statement string) string {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+statement, make([]any, parameters(statement))...)
	if err != nil {
		t.Fatalf("explain %s: %v", statement, err)
	}
	defer rows.Close()
	var plan strings.Builder
	for rows.Next() {
		var id, parent, unused int
		var detail string
		if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
			t.Fatal(err)
		}
		plan.WriteString(detail + "\n")
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return plan.String()
}

// fillJobs makes 50,000 jobs of 10,000 manifests in 2,000 repositories, of which few
// are not done, and their queues: enough for a planner to choose as it would later.
const fillJobs = `
INSERT INTO repositories (name, created, updated) SELECT 'n' || i || '/app', 0, 0 FROM generate_series(1, 2000) i;
INSERT INTO manifests (repository, digest, media_type, artifact_type, annotations, size, blobs, children, created, content)
SELECT r.id, 'sha256:' || i, '', '', '', 0, '', '', 0, '' FROM repositories r, generate_series(1, 5) i;
INSERT INTO aot_jobs (manifest, repository, namespace, source, size, target, runtime, profile, requester, state, due, attempts, principal, worker,
                      since, until, failure, created, updated)
SELECT m.id, m.repository, 'n' || m.repository, '', 0, 't' || i, 'wasmtime', 'p', '', CASE WHEN m.id % 20 < 4 THEN m.id % 20 ELSE 2 END, m.id, 0,
       'ann', 'w', 0, m.id, '', m.id, 0
FROM manifests m, generate_series(1, 5) i;
INSERT INTO aot_queues (runtime, target, profile, namespace, turn, due)
SELECT 'wasmtime', 't' || i, 'p', 'n' || r.id, r.id, CASE WHEN r.id % 2 = 0 THEN 0 ELSE r.id END FROM repositories r, generate_series(1, 5) i;
ANALYZE repositories; ANALYZE manifests; ANALYZE aot_jobs; ANALYZE aot_queues`

// filledPostgres is a database with our tables and the rows that a text inserts.
func filledPostgres(t *testing.T, fill string) *pgx.Conn {
	t.Helper()
	dsn := testenv.Postgres(t)
	db, err := postgres.Open(t.Context(), dsn, postgres.Options{Migrate: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	for _, text := range []string{fill, "SET plan_cache_mode = force_generic_plan"} { // as the driver has it
		if _, err := conn.Exec(t.Context(), text); err != nil {
			t.Fatalf("%.60s: %v", text, err)
		}
	}
	return conn
}

func TestNativeCodeIsFoundByIndexesInPostgreSQL(t *testing.T) {
	conn := filledPostgres(t, fillJobs)
	for _, tt := range aotPlans {
		t.Run(tt.statement, func(t *testing.T) {
			wantPlan(t, tt.statement, postgresPlan(t, conn, tt.statement), tt.index, "Seq Scan", "Sort", "ROW(state, id) > ROW(")
		})
	}
	wantSteps(t, postgresPlan(t, conn, "aot_counts"), "ROW(runtime, target, state, created) > ROW(",
		"(runtime = c.runtime) AND (target = c.target) AND (state = c.state)")
}

func postgresPlan(t *testing.T, conn *pgx.Conn, statement string) string {
	t.Helper()
	text := sqlmeta.Statement(statement)
	if _, err := conn.Exec(t.Context(), fmt.Sprintf("PREPARE plan_%s AS %s", statement, sqlmeta.Dollar(text))); err != nil {
		t.Fatalf("prepare %s: %v", text, err)
	}
	call := "EXPLAIN EXECUTE plan_" + statement
	if n := parameters(text); n > 0 {
		call += "(" + strings.TrimSuffix(strings.Repeat("NULL,", n), ",") + ")"
	}
	rows, err := conn.Query(t.Context(), call)
	if err != nil {
		t.Fatalf("%s: %v", call, err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatalf("%s: %v", call, err)
	}
	return strings.Join(lines, "\n")
}

// fillManifests makes 50,000 manifests in one repository, with three blobs each, and a
// fifth of them named by an index.
const fillManifests = `
INSERT INTO repositories (name, created, updated) VALUES ('r', 0, 0);
INSERT INTO manifests (repository, digest, media_type, artifact_type, annotations, size, blobs, children, created, content)
SELECT r.id, 'sha256:' || i, '', '', '', 0, '', '', 0, '' FROM repositories r, generate_series(1, 50000) i;
INSERT INTO manifest_blobs (repository, digest, manifest)
SELECT m.repository, b || CASE WHEN b = 'shared' THEN '' ELSE m.digest END, m.id FROM manifests m, unnest(ARRAY['config', 'layer', 'shared']) b;
INSERT INTO manifest_children (repository, digest, manifest) SELECT m.repository, m.digest, m.id - 1 FROM manifests m WHERE m.id % 5 = 0;
ANALYZE repositories; ANALYZE manifests; ANALYZE manifest_blobs; ANALYZE manifest_children`

// gcPlans are the statements about what manifests need that gc and fsck run for each
// manifest or page of them, with how each finds it in SQLite and in PostgreSQL.
var gcPlans = []struct{ statement, sqlite, postgres string }{
	{"manifest_pins", "manifest_blobs USING PRIMARY KEY (repository=? AND digest=? AND manifest=?)", "manifest_blobs_pkey"},
	{"manifest_names", "manifest_children USING PRIMARY KEY (repository=? AND digest=? AND manifest=?)", "manifest_children_pkey"},
	{"untagged_manifests", "c USING PRIMARY KEY (repository=? AND digest=?)", "manifest_children_pkey"},
}

// What one manifest needs is found without looking through its repository, and what none
// needs without doing so for each.
func TestWhatManifestsNeedIsFoundByIndexes(t *testing.T) {
	raw, conn := emptySQLite(t), filledPostgres(t, fillManifests)
	for _, tt := range gcPlans {
		t.Run(tt.statement, func(t *testing.T) {
			if plan := sqlitePlan(t, raw, sqlmeta.Statement(tt.statement)); !strings.Contains(plan, tt.sqlite) || strings.Contains(plan, "SCAN ") {
				t.Errorf("plan of %s in SQLite has no %s, or scans:\n%s", tt.statement, tt.sqlite, plan)
			}
			if plan := postgresPlan(t, conn, tt.statement); !strings.Contains(plan, tt.postgres) || strings.Contains(plan, "Seq Scan on manifest") {
				t.Errorf("plan of %s in PostgreSQL has no %s, or scans:\n%s", tt.statement, tt.postgres, plan)
			}
		})
	}
}
