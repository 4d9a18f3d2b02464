package metatest

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/wreg-project/wreg/storage/meta"
)

// What the benchmarks of components store: versions of many packages, of which
// some are in most files and most in few, and one package with as many versions.
const (
	benchFiles    = 20_000
	benchPackages = 5_000
	benchVersions = 20 // of each package
	benchHuge     = 100_000
	benchPerFile  = 50
)

// BenchmarkComponents measures components, advisories and findings beside
// 100,000 stored versions of 5,000 packages and 100,000 of another, in 24,000
// files. open makes one empty database.
func BenchmarkComponents(b *testing.B, open func(b *testing.B) meta.DB) {
	db := open(b)
	b.Cleanup(func() {
		if err := db.Close(); err != nil {
			b.Errorf("Close() = %v", err)
		}
	})
	random := rand.New(rand.NewPCG(1, 2))
	fillComponents(b, db, random)
	run := func(name string, f func(b *testing.B)) {
		b.Run(name, func(b *testing.B) {
			defer measureCPU(b)()
			f(b)
		})
	}
	match := func(name string, ranges []meta.PackageRange, least int) {
		run("one advisory matched with "+name, func(b *testing.B) {
			for b.Loop() {
				matchAdvisory(b, db, ranges, least)
			}
		})
	}
	match("a package of twenty versions", []meta.PackageRange{allOf(benchName(3000))}, benchVersions)
	match("the ten packages that most files have", topTen(), 10*benchVersions)
	match("a thousandth of a package of 100,000 versions", []meta.PackageRange{benchRange(benchHuge - 100)}, 100)
	run("all 100,000 versions of a package", func(b *testing.B) {
		for b.Loop() {
			got, err := db.Coordinates(b.Context(), []meta.PackageRange{allOf("huge")}, "proven")
			if err != nil || len(got) != benchHuge {
				b.Fatalf("Coordinates(huge) = %d, %v", len(got), err)
			}
		}
	})
	run("twenty manifests that one may see with the package that most files have", func(b *testing.B) {
		ids := matchAdvisory(b, db, topTen()[:1], benchVersions)
		for b.Loop() {
			p, err := db.ComponentUses(b.Context(), meta.Visibility{Namespaces: []string{"team"}}, ids, meta.UsePosition{}, 20)
			if err != nil || len(p.Uses) != 20 {
				b.Fatalf("ComponentUses() = %d, %v", len(p.Uses), err)
			}
		}
	})
	run("AdvisoryRefs of a file's fifty packages", func(b *testing.B) {
		for b.Loop() {
			if _, err := db.AdvisoryRefs(b.Context(), packagesOf(benchFile(random))); err != nil {
				b.Fatal(err)
			}
		}
	})
	run("PutComponents of a file with fifty and PutFindings of four", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			cs := benchFile(random)
			benchUpdate(b, db, func(ctx context.Context, tx meta.Tx) error {
				if err := tx.PutComponents(ctx, componentsOf(fmt.Sprint("new ", i), 1, cs...)); err != nil {
					return err
				}
				var fs []meta.Finding
				for n, c := range cs[:4] {
					fs = append(fs, finding(fmt.Sprint("X-", n), c))
				}
				return tx.PutFindings(ctx, sum(fmt.Sprint("new ", i)), "", fs)
			})
		}
	})
	run("PutAdvisories of a hundred new ones", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			benchUpdate(b, db, func(ctx context.Context, tx meta.Tx) error {
				_, err := tx.PutAdvisories(ctx, "feed", benchAdvisories(fmt.Sprint("Y-", i, "-"), 100))
				return err
			})
		}
	})
}

// matchAdvisory finds the versions in the ranges, and the files of every fourth of
// them, whose ids it returns.
func matchAdvisory(b *testing.B, db meta.DB, ranges []meta.PackageRange, least int) (affected []int64) {
	found, err := db.Coordinates(b.Context(), ranges, "proven")
	if err != nil || len(found) < least {
		b.Fatalf("Coordinates() = %d, %v, want %d", len(found), err, least)
	}
	for i := 0; i < len(found); i += 4 {
		affected = append(affected, found[i].ID)
	}
	files, err := db.ComponentFiles(b.Context(), affected, 0, 500)
	if err != nil || len(files) == 0 {
		b.Fatalf("ComponentFiles() = %d, %v", len(files), err)
	}
	return affected
}

func benchName(i int) string { return fmt.Sprintf("package-%d", i) }

func benchCoordinate(name string, version int) meta.Coordinate {
	return meta.Coordinate{
		Ecosystem: "cargo", Name: name, Version: fmt.Sprintf("%d.%d.%d", version/100, version/10%10, version%10), Class: "proven",
		Key: binary.BigEndian.AppendUint32(nil, uint32(version)),
	}
}

func benchRange(low uint32) meta.PackageRange {
	p := allOf("huge")
	p.Low = binary.BigEndian.AppendUint32(nil, low)
	return p
}

func topTen() (out []meta.PackageRange) {
	for i := range 10 {
		out = append(out, allOf(benchName(i)))
	}
	return out
}

// benchFile is the list of a file: the lower the number of a package, the more
// files have it.
func benchFile(random *rand.Rand) (out []meta.Coordinate) {
	for range benchPerFile {
		x := random.Float64()
		out = append(out, benchCoordinate(benchName(int(x*x*x*x*benchPackages)), random.IntN(benchVersions)))
	}
	return out
}

func packagesOf(cs []meta.Coordinate) (out []meta.EcosystemPackage) {
	for _, c := range cs {
		out = append(out, meta.EcosystemPackage{Ecosystem: c.Ecosystem, Name: c.Name})
	}
	return out
}

func benchAdvisories(prefix string, n int) (out []meta.NewAdvisory) {
	for i := range n {
		out = append(out, advisory(fmt.Sprint(prefix, i), i, benchName(i*7%benchPackages), benchName(i*13%benchPackages)))
	}
	return out
}

func fillComponents(b *testing.B, db meta.DB, random *rand.Rand) {
	var lists [][]meta.Coordinate
	var rest []meta.Coordinate
	for i := range benchPackages * benchVersions {
		rest = append(rest, benchCoordinate(benchName(i/benchVersions), i%benchVersions))
	}
	for i := range benchHuge {
		rest = append(rest, benchCoordinate("huge", i))
	}
	for ; len(rest) > 0; rest = rest[benchPerFile:] {
		lists = append(lists, rest[:benchPerFile])
	}
	for range benchFiles {
		lists = append(lists, benchFile(random))
	}
	const batch = 500
	for from := 0; from < len(lists); from += batch {
		benchUpdate(b, db, func(ctx context.Context, tx meta.Tx) error {
			for i := from; i < min(from+batch, len(lists)); i++ {
				if err := putBenchFile(ctx, tx, fmt.Sprint(i), i, lists[i]); err != nil {
					return err
				}
			}
			return nil
		})
	}
	for from := range 20 {
		benchUpdate(b, db, func(ctx context.Context, tx meta.Tx) error {
			prefix := fmt.Sprintf("X-%d-", from)
			if from == 0 {
				prefix = "X-"
			}
			_, err := tx.PutAdvisories(ctx, "feed", benchAdvisories(prefix, meta.MaxAdvisoryBatch))
			return err
		})
	}
}

// putBenchFile stores a list, and a manifest that pins its file: every fourth in
// a namespace that few may see.
func putBenchFile(ctx context.Context, tx meta.Tx, text string, i int, cs []meta.Coordinate) error {
	repo := fmt.Sprintf("%s/app-%d", []string{"team", "other", "third", "last"}[i%4], i%1000)
	if err := tx.LinkBlob(ctx, repo, blob(text)); err != nil {
		return err
	}
	m := manifest(repo, "manifest of "+text)
	m.Blobs = append(m.Blobs, sum(text))
	if _, err := tx.PutManifest(ctx, m); err != nil {
		return err
	}
	return tx.PutComponents(ctx, componentsOf(text, 1, cs...))
}
