package advisories_test

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/internal/testenv"
	"github.com/wreg-project/wreg/sbom"
	"github.com/wreg-project/wreg/sbom/evidence"
	"github.com/wreg-project/wreg/sbom/vuln"
	"github.com/wreg-project/wreg/storage/meta"
	"github.com/wreg-project/wreg/storage/meta/postgres"
	"github.com/wreg-project/wreg/storage/meta/sqlite"
)

var now = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

func openSQLite(tb testing.TB) meta.DB {
	tb.Helper()
	db, err := sqlite.Open(tb.Context(), filepath.Join(tb.TempDir(), "wreg.db"), sqlite.Options{Migrate: true})
	return opened(tb, db, err)
}

func openPostgres(tb testing.TB) meta.DB {
	tb.Helper()
	db, err := postgres.Open(tb.Context(), testenv.Postgres(tb), postgres.Options{Migrate: true})
	return opened(tb, db, err)
}

func opened(tb testing.TB, db meta.DB, err error) meta.DB {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := db.Close(); err != nil {
			tb.Errorf("Close() = %v", err)
		}
	})
	return db
}

func update(tb testing.TB, db meta.DB, fn func(context.Context, meta.Tx) error) {
	tb.Helper()
	if err := db.Update(tb.Context(), fn); err != nil {
		tb.Fatal(err)
	}
}

// record is an advisory of RustSec about versions of a crate below fixed.
func record(id, crate, fixed string, aliases ...string) string {
	names, err := json.Marshal(aliases)
	if err != nil {
		panic(err)
	}
	return fmt.Sprintf(`{"id":%q,"aliases":%s,"modified":"2026-01-01T00:00:00Z",
"severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H"}],
"affected":[{"package":{"ecosystem":"crates.io","name":%q},
"ranges":[{"type":"SEMVER","events":[{"introduced":"0.0.0-0"},{"fixed":%q}]}]}]}`, id, names, crate, fixed)
}

// put stores records as a feed has them.
func put(tb testing.TB, db meta.DB, feed string, records ...string) {
	tb.Helper()
	var batch []meta.NewAdvisory
	for _, r := range records {
		a, err := vuln.Parse([]byte(r))
		if err != nil {
			tb.Fatal(err)
		}
		body, err := json.Marshal(a)
		if err != nil {
			tb.Fatal(err)
		}
		n := meta.NewAdvisory{Advisory: meta.Advisory{
			ID: a.ID, Modified: a.Modified, Withdrawn: a.Withdrawn, Aliases: a.Aliases, Body: body,
		}, Digest: digest.FromString(r)}
		for _, p := range a.Packages() {
			n.Packages = append(n.Packages, meta.EcosystemPackage{Ecosystem: string(p.Ecosystem), Name: p.Name})
		}
		batch = append(batch, n)
	}
	update(tb, db, func(ctx context.Context, tx meta.Tx) error {
		_, err := tx.PutAdvisories(ctx, feed, batch)
		return err
	})
}

// document is a bill of materials of one unit.
func document(components ...evidence.Component) *sbom.Document {
	return &sbom.Document{Root: &sbom.Unit{Kind: "module", Components: components}}
}

func crate(name, version string) evidence.Component {
	return evidence.Component{Ecosystem: evidence.Cargo, Name: name, Version: version, Class: evidence.Proven}
}
