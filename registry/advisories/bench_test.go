package advisories_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/registry/advisories"
	"github.com/wreg-project/wreg/sbom/evidence"
	"github.com/wreg-project/wreg/sbom/version"
	"github.com/wreg-project/wreg/sbom/vuln"
	"github.com/wreg-project/wreg/storage/meta"
)

var databases = map[string]func(testing.TB) meta.DB{"SQLite": openSQLite, "PostgreSQL": openPostgres}

// What BenchmarkNewAdvisory stores: 100,000 versions of 5,000 crates, fifty in a
// file, of which some are in ten thousand more files.
const (
	benchCrates   = 5_000
	benchVersions = 20
	benchPerFile  = 50
	benchFiles    = 10_000
)

func benchCrate(i int) meta.Coordinate {
	v := fmt.Sprintf("1.%d.%d", i%benchVersions, i/benchVersions%3)
	key, _ := version.Key(evidence.Cargo, v)
	return meta.Coordinate{Ecosystem: "cargo", Name: fmt.Sprint("crate-", i/benchVersions), Version: v, Class: "proven", Key: key}
}

func fillBench(b *testing.B, db meta.DB) {
	b.Helper()
	const all = benchCrates * benchVersions / benchPerFile
	for from := 0; from < all+benchFiles; from += 500 {
		update(b, db, func(ctx context.Context, tx meta.Tx) error {
			for i := from; i < from+500; i++ {
				f := meta.FileComponents{Digest: digest.FromString(fmt.Sprint(i)), Version: 1}
				for n := range benchPerFile {
					at := i*benchPerFile + n
					if i >= all { // the same few crates are in most files
						at = (i*7+n)*31%(benchCrates/10) + n%10
					}
					f.Components = append(f.Components, benchCrate(at%(benchCrates*benchVersions)))
				}
				if err := tx.PutComponents(ctx, f); err != nil {
					return err
				}
			}
			return nil
		})
	}
}

// BenchmarkNewAdvisory measures from the moment at which an advisory is in the
// database to the list of files to scan again, beside 100,000 stored versions in
// 12,000 files. It fails above 100 ms.
func BenchmarkNewAdvisory(b *testing.B) {
	for name, open := range databases {
		b.Run(name, func(b *testing.B) {
			db := open(b)
			fillBench(b, db)
			s := advisories.New(db, advisories.Options{})
			for what, crate := range map[string]string{"few files have": "crate-3000", "most files have": "crate-7"} {
				put(b, db, "feed", record("RUSTSEC-"+crate, crate, "1.15.0"))
				at, err := db.AdvisoryRevision(b.Context())
				if err != nil {
					b.Fatal(err)
				}
				b.Run("about a crate that "+what, func(b *testing.B) {
					files := 0
					for b.Loop() {
						p := advisories.Position{Target: at, Since: at - 1}
						for done := false; !done; {
							batch, err := s.Affected(b.Context(), p, 1000)
							if err != nil {
								b.Fatal(err)
							}
							p, done, files = batch.Next, batch.Done, files+len(batch.Files)
						}
					}
					per := float64(b.Elapsed().Milliseconds()) / float64(b.N)
					b.ReportMetric(float64(files)/float64(b.N), "files/op")
					if files == 0 || per > 100 {
						b.Errorf("%d files in %.1f ms, want some within 100", files/b.N, per)
					}
				})
			}
		})
	}
}

// BenchmarkImport measures imports of the Go and RustSec databases, the first one
// and one of the same again.
func BenchmarkImport(b *testing.B) {
	for name, open := range databases {
		for _, file := range []string{"go.zip", "crates.io.zip"} {
			b.Run(name+" "+file, func(b *testing.B) {
				for b.Loop() {
					b.StopTimer()
					im := advisories.Importer{DB: open(b)}
					b.StartTimer()
					loaded, err := im.Import(b.Context(), advisories.Load{Source: file, Path: osv + file})
					if err != nil || loaded.Changed < 1000 {
						b.Fatalf("Import() = %+v, %v", loaded, err)
					}
				}
			})
			b.Run(name+" "+file+" again", func(b *testing.B) {
				im := advisories.Importer{DB: open(b)}
				if _, err := im.Import(b.Context(), advisories.Load{Source: file, Path: osv + file}); err != nil {
					b.Fatal(err)
				}
				for b.Loop() {
					loaded, err := im.Import(b.Context(), advisories.Load{Source: file, Path: osv + file})
					if err != nil || loaded.Changed > 0 {
						b.Fatalf("Import() = %+v, %v", loaded, err)
					}
				}
			})
		}
	}
}

// BenchmarkStored measures what a scan asks of the database, with and without
// parsed records.
func BenchmarkStored(b *testing.B) {
	db := openSQLite(b)
	im := advisories.Importer{DB: db}
	if _, err := im.Import(b.Context(), advisories.Load{Source: "go", Path: osv + "go.zip"}); err != nil {
		b.Fatal(err)
	}
	packages := []vuln.Package{{Ecosystem: evidence.Go, Name: "stdlib"}, {Ecosystem: evidence.Go, Name: "golang.org/x/net"}}
	for name, cache := range map[string]int64{"parsed": 0, "not parsed": 1} {
		b.Run(name, func(b *testing.B) {
			s := advisories.New(db, advisories.Options{Cache: cache})
			for b.Loop() {
				list, err := s.Advisories(b.Context(), packages)
				if err != nil || len(list) < 100 {
					text, _ := json.Marshal(list)
					b.Fatalf("Advisories() = %.200s, %v", text, err)
				}
			}
		})
	}
}
