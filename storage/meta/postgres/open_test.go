package postgres

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/internal/testenv"
	"github.com/wreg-project/wreg/storage/meta"
)

// execute runs SQL beside the driver.
func execute(t *testing.T, dsn, sql string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func open(t *testing.T, dsn string, o Options) meta.DB {
	t.Helper()
	db, err := Open(t.Context(), dsn, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func TestServersThatStartTogetherMigrateOnce(t *testing.T) {
	dsn := testenv.Postgres(t)
	if _, err := Open(t.Context(), dsn, Options{}); !errors.Is(err, meta.ErrSchema) {
		t.Errorf("Open() of an empty database without migrating = %v, want %v", err, meta.ErrSchema)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			db, err := Open(t.Context(), dsn, Options{Migrate: true})
			if err != nil {
				t.Errorf("Open() = %v", err)
				return
			}
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	pending, err := Pending(t.Context(), dsn)
	if diff := cmp.Diff([]string(nil), pending); err != nil || diff != "" {
		t.Errorf("Pending() = %v, %v, want none", pending, err)
	}
	execute(t, dsn, "INSERT INTO schema_migrations VALUES (9999, 'of the future')")
	_, err = Open(t.Context(), dsn, Options{Migrate: true})
	if !errors.Is(err, meta.ErrSchema) || !strings.Contains(err.Error(), "9999") {
		t.Errorf("Open() of a newer database = %v, want %v with 9999", err, meta.ErrSchema)
	}
}

// Two servers on one database count in turn: no update is lost, and the journal
// is in order of commit.
func TestTwoServersWriteInOneOrder(t *testing.T) {
	const each = 25
	dsn := testenv.Postgres(t)
	servers := []meta.DB{open(t, dsn, Options{Migrate: true}), open(t, dsn, Options{})}
	d := digest.Digest("sha256:" + strings.Repeat("a", 64))
	var wg sync.WaitGroup
	for _, db := range servers {
		for range 4 {
			wg.Go(func() {
				for range each {
					err := db.Update(t.Context(), func(ctx context.Context, tx meta.Tx) error {
						b, err := tx.FindBlob(ctx, d)
						if errors.Is(err, meta.ErrNotFound) {
							return tx.LinkBlob(ctx, "r", meta.Blob{Digest: d})
						}
						if err != nil {
							return err
						}
						// Around the life of a blob, a generation further.
						if err := tx.UnlinkBlob(ctx, "r", d); err != nil {
							return err
						}
						for to := meta.BlobCondemned; to <= meta.BlobDeleted; to++ {
							if err := tx.SetBlobState(ctx, d, b.Generation, to-1, to, b.Since); err != nil {
								return err
							}
						}
						b.Generation++
						return tx.LinkBlob(ctx, "r", b)
					})
					if err != nil {
						t.Errorf("Update() = %v", err)
					}
				}
			})
		}
	}
	wg.Wait()
	b, err := servers[0].FindBlob(t.Context(), d)
	if want := int64(2*4*each - 1); err != nil || b.Generation != want {
		t.Errorf("FindBlob() = %+v, %v, want generation %d", b, err, want)
	}
	copied := open(t, testenv.Postgres(t), Options{Migrate: true})
	entries, err := servers[1].JournalAfter(t.Context(), 0, 1000)
	if err != nil || len(entries) != 2*4*each {
		t.Fatalf("JournalAfter() = %d entries, %v, want %d", len(entries), err, 2*4*each)
	}
	for _, e := range entries {
		if err := copied.Replay(t.Context(), e); err != nil {
			t.Fatalf("Replay(%d) = %v: the journal is not in order of commit", e.Sequence, err)
		}
	}
}

func TestAWriteIsOnDiskWhereTheServerWouldNotWait(t *testing.T) {
	dsn := testenv.Postgres(t)
	cfg, err := parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	for configured, want := range map[string]string{"off": "on", "remote_apply": "remote_apply"} {
		cfg.RuntimeParams["synchronous_commit"] = configured
		db := openPool(cfg, 1, nil)
		var got string
		err := db.QueryRowContext(t.Context(), "SHOW synchronous_commit").Scan(&got)
		if err != nil || got != want {
			t.Errorf("synchronous_commit = %s, %v where the server has %s, want %s", got, err, configured, want)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
}

// A server that ends the connections of a running database is no trouble.
func TestConnectionsThatBreakAreMadeAgain(t *testing.T) {
	dsn := testenv.Postgres(t)
	db := open(t, dsn, Options{Migrate: true})
	link := func(ctx context.Context, tx meta.Tx) error {
		return tx.LinkBlob(ctx, "r", meta.Blob{Digest: digest.Digest("sha256:" + strings.Repeat("a", 64))})
	}
	broken := false
	err := db.Update(t.Context(), func(ctx context.Context, tx meta.Tx) error {
		if !broken { // with the transaction under way
			broken = true
			execute(t, dsn, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
				WHERE application_name = 'wreg' AND pid <> pg_backend_pid()`)
		}
		return link(ctx, tx)
	})
	if err != nil {
		t.Fatalf("Update() whose connection broke once = %v", err)
	}
	if _, err := db.Repository(t.Context(), "r"); err != nil {
		t.Errorf("Repository() = %v", err)
	}
}

func TestCheckFindsDamage(t *testing.T) {
	dsn := testenv.Postgres(t)
	db := open(t, dsn, Options{Migrate: true})
	err := db.Update(t.Context(), func(ctx context.Context, tx meta.Tx) error {
		content := []byte("content")
		_, err := tx.PutManifest(ctx, meta.NewManifest{Manifest: meta.Manifest{Repo: "r", Digest: digest.FromBytes(content), Content: content}})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Check(t.Context()); err != nil {
		t.Errorf("Check() = %v", err)
	}
	execute(t, dsn, "UPDATE manifests SET content = 'CONTENT'")
	if err := db.Check(t.Context()); !errors.Is(err, meta.ErrDamaged) {
		t.Errorf("Check() with another content = %v, want %v", err, meta.ErrDamaged)
	}
}
