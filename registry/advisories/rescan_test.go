package advisories_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/registry/advisories"
	"github.com/wreg-project/wreg/sbom/evidence"
	"github.com/wreg-project/wreg/storage/meta"
)

// store scans a file and writes its rows, as ingestion does.
func store(t *testing.T, db meta.DB, name string, files ...advisories.File) {
	t.Helper()
	r, err := advisories.Scan(t.Context(), advisories.New(db, advisories.Options{}), files, now)
	if err != nil {
		t.Fatal(err)
	}
	d := digest.FromString(name)
	update(t, db, func(ctx context.Context, tx meta.Tx) error {
		if err := tx.PutComponents(ctx, meta.FileComponents{Digest: d, Version: 1, Components: r.Components}); err != nil {
			return err
		}
		return tx.PutFindings(ctx, d, "", r.Findings)
	})
}

// drain lists what a rescan lists, by name, and ends it. Each position goes through
// JSON, as it does between two steps of a job.
func drain(t *testing.T, s *advisories.Source, limit int, names []string) []string {
	t.Helper()
	var (
		p   advisories.Position
		out []string
	)
	for {
		b, err := s.Affected(t.Context(), p, limit)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range b.Files {
			out = append(out, names[slices.IndexFunc(names, func(n string) bool { return digest.FromString(n) == d })])
		}
		text, err := json.Marshal(b.Next)
		if err != nil {
			t.Fatal(err)
		}
		p = advisories.Position{}
		if err := json.Unmarshal(text, &p); err != nil {
			t.Fatal(err)
		}
		if b.Done {
			break
		}
	}
	if err := s.Matched(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func TestAffected(t *testing.T) {
	names := []string{"old", "new", "other", "declared", "inferred", "inside", "branch", "commit"}
	inferred := evidence.Component{Ecosystem: evidence.Cargo, Name: "time", Requirement: "^0.1", Class: evidence.Inferred}
	inside := crate("time", "0.1.40")
	inside.Part = "std"
	commit := crate("other", "1.0.0")
	commit.Commit, commit.Source = "0123456789abcdef", "https://example.org/time"
	fill := func(t *testing.T, db meta.DB) {
		t.Helper()
		for i, c := range []evidence.Component{
			crate("time", "0.1.40"), crate("time", "0.3.0"), crate("serde", "1.0.0"), crate("time", "0.1.40"), inferred, inside,
			crate("time", "main"), commit,
		} {
			store(t, db, names[i], advisories.File{Document: document(c), Declared: names[i] == "declared"})
		}
	}
	const listed = `{"id":"X-2","modified":"2026-01-01T00:00:00Z","affected":[{"package":{"ecosystem":"crates.io","name":"time"},
"versions":["main","9.9.9"]}]}`
	const git = `{"id":"X-3","modified":"2026-01-01T00:00:00Z","affected":[{
"ranges":[{"type":"GIT","repo":"https://example.org/time.git","events":[{"introduced":"0123456789abcdef"}]}]}]}`
	var many []string
	for i := range 20 {
		many = append(many, fmt.Sprintf(`"0.%d.40"`, i*2+1))
	}
	scattered := strings.Replace(listed, `"main","9.9.9"`, strings.Join(many, ","), 1)
	withdraw := func(r string) string {
		return strings.Replace(r, `"modified":"2026-01-01`, `"withdrawn":"2026-02-01T00:00:00Z","modified":"2026-02-01`, 1)
	}
	about := record("X-1", "time", "0.2.0", "CVE-1")
	tests := []struct {
		name          string
		before, after []string
		remove        []string
		want          []string
	}{
		{name: "nothing changed"},
		{name: "a new advisory concerns the versions before its fix", after: []string{about}, want: []string{"declared", "old"}},
		{name: "one about another package concerns nothing", after: []string{record("X-1", "tokio", "9.0.0")}},
		{name: "a list of versions may have one that has no place in the order", after: []string{listed}, want: []string{"branch"}},
		{name: "a list may be long", after: []string{scattered}, want: []string{"declared", "old"}},
		{name: "an advisory may name a commit", after: []string{git}, want: []string{"commit"}},
		{name: "what was known already is no change", before: []string{about}, after: []string{about}},
		{
			name: "one that is about fewer versions concerns those that it was about", before: []string{about},
			after: []string{strings.ReplaceAll(record("X-1", "time", "0.0.1"), "2026-01-01", "2026-01-02")}, want: []string{"declared", "old"},
		},
		{name: "withdrawn", before: []string{about}, after: []string{withdraw(about)}, want: []string{"declared", "old"}},
		{name: "removed", before: []string{about}, remove: []string{"X-1"}, want: []string{"declared", "old"}},
		{
			name: "one with a name in common concerns the findings of the other", before: []string{about},
			after: []string{record("X-9", "tokio", "9.0.0", "CVE-1")}, want: []string{"declared", "old"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			db := openSQLite(t)
			put(t, db, "feed", tt.before...)
			fill(t, db)
			s := advisories.New(db, advisories.Options{})
			drain(t, s, 100, names)
			put(t, db, "feed", tt.after...)
			update(t, db, func(ctx context.Context, tx meta.Tx) error {
				_, err := tx.RemoveAdvisories(ctx, "feed", tt.remove)
				return err
			})
			got := drain(t, s, 1, names)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("Affected() lists other files (-want +got):\n%s", diff)
			}
			if got := drain(t, s, 1, names); got != nil {
				t.Errorf("Affected() lists %q after all was matched", got)
			}
		})
	}
}

// Whatever changes, files that Affected does not list have the findings that a new
// scan gives them.
func TestAffectedListsEverythingThatChanges(t *testing.T) {
	const files, rounds = 30, 20
	for name, open := range map[string]func(testing.TB) meta.DB{"SQLite": openSQLite, "PostgreSQL": openPostgres} {
		t.Run(name, func(t *testing.T) {
			random := rand.New(rand.NewPCG(7, 11))
			db := open(t)
			s := advisories.New(db, advisories.Options{Cache: 2000})
			var names []string
			made := map[string]advisories.File{}
			for i := range files {
				var cs []evidence.Component
				for range 1 + random.IntN(4) {
					cs = append(cs, crate(fmt.Sprint("c", random.IntN(6)), fmt.Sprintf("%d.%d.0", random.IntN(3), random.IntN(10))))
				}
				names = append(names, fmt.Sprint("file ", i))
				made[names[i]] = advisories.File{Document: document(cs...)}
				store(t, db, names[i], made[names[i]])
			}
			for round := range rounds {
				change(t, db, random, round)
				for _, n := range drain(t, s, 1+random.IntN(8), names) {
					store(t, db, n, made[n])
				}
				for _, n := range names {
					want, err := advisories.Scan(t.Context(), s, []advisories.File{made[n]}, now)
					if err != nil {
						t.Fatal(err)
					}
					got, err := db.FileFindings(t.Context(), digest.FromString(n))
					if err != nil {
						t.Fatal(err)
					}
					if diff := cmp.Diff(want.Findings, got); diff != "" {
						t.Fatalf("round %d: findings of %s after a rescan (-scanned anew +stored):\n%s", round, n, diff)
					}
				}
			}
		})
	}
}

// change puts, withdraws and removes some advisories.
func change(t *testing.T, db meta.DB, random *rand.Rand, round int) {
	t.Helper()
	for range 1 + random.IntN(4) {
		id := fmt.Sprint("X-", random.IntN(12))
		if random.IntN(4) == 0 {
			update(t, db, func(ctx context.Context, tx meta.Tx) error {
				_, err := tx.RemoveAdvisories(ctx, "feed", []string{id})
				return err
			})
			continue
		}
		// A record keeps its alias: one that leaves a group and changes its versions at
		// once leaves the severity of the others to the next change.
		alias := "CVE-" + id[2:3]
		r := record(id, fmt.Sprint("c", random.IntN(6)), fmt.Sprintf("%d.%d.0", random.IntN(3), random.IntN(10)), alias)
		modified := fmt.Sprintf(`"modified":"20%02d-01-01`, 26+round)
		if random.IntN(5) == 0 {
			modified = `"withdrawn":"2026-02-01T00:00:00Z",` + modified
		}
		put(t, db, "feed", strings.Replace(r, `"modified":"2026-01-01`, modified, 1))
	}
}
