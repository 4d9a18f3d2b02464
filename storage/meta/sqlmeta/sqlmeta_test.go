package sqlmeta

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/wreg-project/wreg/storage/meta"
)

func TestDollar(t *testing.T) {
	got := Dollar("a = ?1 AND b = ?10 OR ?1 = ''")
	if want := "a = $1 AND b = $10 OR $1 = ''"; got != want {
		t.Errorf("Dollar() = %q, want %q", got, want)
	}
}

func TestQueriesAreRead(t *testing.T) {
	if len(queries) < 40 {
		t.Errorf("%d statements, want all of queries/*.sql", len(queries))
	}
	for name, text := range queries {
		if strings.Contains(text, ";") || strings.Contains(text, "-- name") {
			t.Errorf("statement %s = %q, want a single one", name, text)
		}
	}
}

func TestMigrations(t *testing.T) {
	tests := []struct {
		name  string
		files []string
		want  []string
		err   string
	}{
		{name: "in order", files: []string{"0002_b.sql", "0001_a.sql"}, want: []string{"0001_a", "0002_b"}},
		{name: "a gap", files: []string{"0001_a.sql", "0003_c.sql"}, err: "0003_c.sql: want number 2"},
		{name: "a number twice", files: []string{"0001_a.sql", "0001_b.sql"}, err: "0001_b.sql: want number 2"},
		{name: "no number", files: []string{"a.sql"}, err: "want number 1"},
		{name: "none", err: "no migrations"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			files := fstest.MapFS{}
			for _, name := range tt.files {
				files["migrations/"+name] = &fstest.MapFile{Data: []byte("SELECT 1")}
			}
			got, err := Migrations(files)
			if (err != nil) != (tt.err != "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Fatalf("Migrations(%v) = %v, want %q", tt.files, err, tt.err)
			}
			if diff := cmp.Diff(tt.want, Names(got)); diff != "" {
				t.Errorf("Migrations(%v): want -, got +\n%s", tt.files, diff)
			}
		})
	}
}

func TestSpansAreOrderedAndApart(t *testing.T) {
	got := spans(meta.Visibility{Namespaces: []string{"b/c", "b", "a", "b", "b-x", ""}})
	want := []span{{"a", "a\x01"}, {"a/", "a0"}, {"b", "b\x01"}, {"b-x", "b-x\x01"}, {"b-x/", "b-x0"}, {"b/", "b0"}}
	if len(got) != len(want) {
		t.Fatalf("spans() = %q, want %q", got, want)
	}
	for i := range got {
		if got[i] != want[i] {
			t.Errorf("spans()[%d] = %q, want %q", i, got[i], want[i])
		}
	}
}
