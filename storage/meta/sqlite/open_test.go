package sqlite

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/storage/meta"
	"github.com/wreg-project/wreg/storage/meta/sqlmeta"
)

// made returns the path of a database with one repository, closed.
func made(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "odd name?#%20.db")
	db, err := Open(t.Context(), path, Options{Migrate: true})
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(t.Context(), func(ctx context.Context, tx meta.Tx) error {
		return tx.LinkBlob(ctx, "r", meta.Blob{Digest: digest.Digest("sha256:" + strings.Repeat("a", 64))})
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// statement runs SQL beside the driver.
func statement(t *testing.T, path, sql string) {
	t.Helper()
	db, err := openPool(path, 1, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func TestOpen(t *testing.T) {
	overwrite := func(offset int64, text string) func(*testing.T, string) {
		return func(t *testing.T, path string) {
			f, err := os.OpenFile(path, os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if _, err := f.WriteAt([]byte(text), offset); err != nil {
				t.Fatal(err)
			}
		}
	}
	tests := []struct {
		name    string
		prepare func(t *testing.T, path string)
		options Options
		err     error
		text    string // in the error
	}{
		{name: "a current database opens without migrating", prepare: func(*testing.T, string) {}},
		{name: "a missing database is not made without migrating", prepare: func(t *testing.T, path string) {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}, err: meta.ErrSchema, text: "run 'wreg migrate'"},
		{name: "an empty file is not migrated unasked", prepare: func(t *testing.T, path string) {
			if err := os.Truncate(path, 0); err != nil {
				t.Fatal(err)
			}
		}, err: meta.ErrSchema, text: "0001_registry is pending"},
		{name: "a database of a newer program is refused", prepare: func(t *testing.T, path string) {
			statement(t, path, "INSERT INTO schema_migrations VALUES (9999, 'of the future')")
		}, options: Options{Migrate: true}, err: meta.ErrSchema, text: "it has version 9999"},
		{
			name: "a file that is no database is refused", prepare: overwrite(0, "this is not a database"),
			err: meta.ErrDamaged, text: "wreg rebuild",
		},
		{
			name: "a damaged schema is refused", prepare: overwrite(100, strings.Repeat("\xff", 2000)),
			err: meta.ErrDamaged, text: "odd name?#%20.db",
		},
		{name: "a database that is open elsewhere is refused", prepare: func(t *testing.T, path string) {
			db, err := Open(t.Context(), path, Options{})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := db.Close(); err != nil {
					t.Error(err)
				}
			})
		}, options: Options{Migrate: true}, err: meta.ErrLocked},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := made(t)
			tt.prepare(t, path)
			db, err := Open(t.Context(), path, tt.options)
			if err == nil {
				defer db.Close()
			}
			if !errors.Is(err, tt.err) || err != nil && !strings.Contains(err.Error(), tt.text) {
				t.Errorf("Open() = %v, want %v with %q", err, tt.err, tt.text)
			}
		})
	}
}

func TestOpenAgain(t *testing.T) {
	path := made(t)
	for range 2 { // the first Close gave the lock back
		db, err := Open(t.Context(), path, Options{})
		if err != nil {
			t.Fatal(err)
		}
		names, err := db.Repositories(t.Context(), meta.Visibility{Everything: true}, meta.Page{})
		if diff := cmp.Diff([]string{"r"}, names); err != nil || diff != "" {
			t.Errorf("Repositories() = %v, %v, want [r]", names, err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); got != 0o600 {
		t.Errorf("the file has mode %o, want 600", got)
	}
}

func TestPending(t *testing.T) {
	path := filepath.Join(t.TempDir(), "meta.db")
	all, err := sqlmeta.Migrations(files)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range [][]string{sqlmeta.Names(all), nil} {
		got, err := Pending(t.Context(), path)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("Pending() = %v, %v, want %v", got, err, want)
		}
		if _, err := os.Stat(path); want != nil && !errors.Is(err, os.ErrNotExist) {
			t.Errorf("Pending() made the file: %v", err)
		}
		db, err := Open(t.Context(), path, Options{Migrate: true})
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCheckFindsDamage(t *testing.T) {
	for _, sql := range []string{
		"UPDATE repositories SET tags = 7",
		"DELETE FROM blobs",
	} {
		path := made(t)
		statement(t, path, sql)
		db, err := Open(t.Context(), path, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Check(t.Context()); !errors.Is(err, meta.ErrDamaged) {
			t.Errorf("Check() after %q = %v, want %v", sql, err, meta.ErrDamaged)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// A full disk says so, keeps what is there, and is no trouble once there is room.
func TestFull(t *testing.T) {
	path := made(t)
	db, err := Open(t.Context(), path, Options{pages: 60})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	put := func(repo string, size int) error {
		return db.Update(t.Context(), func(ctx context.Context, tx meta.Tx) error {
			_, err := tx.PutManifest(ctx, meta.NewManifest{Manifest: meta.Manifest{
				Repo: repo, Digest: "sha256:m", Content: make([]byte, size),
			}})
			return err
		})
	}
	if err := put("big", 1<<20); err == nil || !strings.Contains(err.Error(), "no space left to write "+path) {
		t.Fatalf("Update() of more than fits = %v, want it to say that there is no space", err)
	}
	if err := put("small", 10); err != nil {
		t.Fatalf("Update() of what fits = %v", err)
	}
	names, err := db.Repositories(t.Context(), meta.Visibility{Everything: true}, meta.Page{})
	if diff := cmp.Diff([]string{"r", "small"}, names); err != nil || diff != "" {
		t.Errorf("Repositories() = %v, %v, want [r small]", names, err)
	}
}
