//go:build corpus

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wreg-project/wreg/sbom/vuln"
	"github.com/wreg-project/wreg/sbom/vuln/reach"
	"github.com/wreg-project/wreg/test/corpus"
)

// corpusScanner scans real files with the advisories in test/data/osv.
func corpusScanner(t *testing.T) (s *scanner, file func(name string) target) {
	t.Helper()
	dir, entries, err := corpus.Fetched()
	if err != nil {
		t.Fatal(err)
	}
	db, stats, err := vuln.Load(t.Context(), "../../test/data/osv")
	if err != nil || stats.Refused > 0 {
		t.Fatalf("advisories: %v; %d refused: %v", err, stats.Refused, stats.Problems)
	}
	tool := &tool{out: io.Discard, err: io.Discard, format: formatCycloneDX}
	s = &scanner{matcher: &matcher{tool: tool, advisories: db, stated: &statements{}}, flags: &scanFlags{}, created: scanTime}
	return s, func(name string) target {
		if !slices.ContainsFunc(entries, func(e corpus.Entry) bool { return e.File == name+".wasm" }) {
			t.Fatalf("%s is not in the list of real binaries", name)
		}
		path := filepath.Join(dir, name+".wasm")
		return target{name: path, file: true, load: func(ctx context.Context) (*wasmFile, error) { return tool.load(ctx, path) }}
	}
}

// What a scan of real files finds, from the bytes on. The counts of Go and the ids
// were found by an independent program; sbom/vuln has those of binaries that are
// not in the corpus.
func TestCorpusFindings(t *testing.T) {
	tests := []struct {
		file string
		want string // of each component: findings that are no mere notices
		ids  string // some of those
	}{
		{file: "hcl2json", want: "golang.org/x/text@v0.21.0 1, stdlib@1.18.5 96", ids: "GO-2026-5970"},
		{file: "esbuild", want: "stdlib@1.26.5 8"},
		{file: "c2pa", want: "rsa@0.9.10 1", ids: "RUSTSEC-2023-0071"},
		{file: "parquet-0.7.2", want: "bytes@1.10.1 1, lz4_flex@0.11.5 1", ids: "RUSTSEC-2026-0041"},
		{file: "tailwind-oxide", want: "crossbeam-epoch@0.9.18 1", ids: "RUSTSEC-2026-0204"},
		{file: "html-rewriter", want: ""},
		{file: "jco-wasm-tools.core", want: ""}, // std's hashbrown is no finding
		{file: "pqc-kyber", want: ""},
		{file: "sqlite3", want: ""},
		{file: "pandoc-ghc", want: ""},
		{file: "sharp-libvips", want: ""},
	}
	s, file := corpusScanner(t)
	for _, tt := range tests {
		t.Run(tt.file, func(t *testing.T) {
			one, err := s.one(t.Context(), file(tt.file))
			if err != nil {
				t.Fatal(err)
			}
			counts, ids := map[string]int{}, map[string]bool{}
			for _, f := range one.Findings {
				if f.Informational == "" {
					counts[f.Name+"@"+f.Version]++
					ids[f.ID] = true
				}
			}
			var got []string
			for name, n := range counts {
				got = append(got, fmt.Sprintf("%s %d", name, n))
			}
			slices.Sort(got)
			if got := strings.Join(got, ", "); got != tt.want {
				t.Errorf("findings = %q, want %q", got, tt.want)
			}
			for id := range strings.FieldsSeq(tt.ids) {
				if !ids[id] {
					t.Errorf("%s is not among the findings", id)
				}
			}
		})
	}
}

// An anyPlatform source has advisories as if they were about all platforms.
type anyPlatform struct{ vuln.Source }

func (a anyPlatform) Advisories(ctx context.Context, packages []vuln.Package) ([]*vuln.Advisory, error) {
	list, err := a.Source.Advisories(ctx, packages)
	for i, adv := range list {
		c := *adv
		c.Affected = slices.Clone(adv.Affected)
		for j := range c.Affected {
			c.Affected[j].Imports = slices.Clone(c.Affected[j].Imports)
			for k := range c.Affected[j].Imports {
				c.Affected[j].Imports[k].GOOS, c.Affected[j].Imports[k].GOARCH = nil, nil
			}
		}
		list[i] = &c
	}
	return list, err
}

// Of the advisories about the versions in a Go program, how many are about a
// package that is linked, about a function that is, and about one that can be
// called. An independent program that looked for names, on whatever platform, counted
// 96, 12 and 3 in the standard library of hcl2json, and 8, 6 and 1 in esbuild's. So
// do we but for one: it took the file os/exec.go for the package os/exec, which is
// not linked (GO-2025-3956). What is about Windows alone we rule out besides.
func TestCorpusTriage(t *testing.T) {
	tests := []struct {
		file, component                          string
		everywhere                               bool
		present, linked, symbolLinked, reachable int
	}{
		{"hcl2json", "stdlib", true, 96, 11, 3, 3},
		{"hcl2json", "stdlib", false, 96, 6, 2, 2},
		{"hcl2json", "golang.org/x/text", false, 1, 1, 1, 1},
		{"esbuild", "stdlib", true, 8, 6, 1, 1},
		{"esbuild", "stdlib", false, 8, 6, 1, 1},
	}
	s, file := corpusScanner(t)
	db := s.advisories
	for _, tt := range tests {
		s.advisories = db
		if tt.everywhere {
			s.advisories = anyPlatform{db}
		}
		one, err := s.one(t.Context(), file(tt.file))
		if err != nil {
			t.Fatal(err)
		}
		got := map[reach.Level]int{}
		for _, f := range one.Findings {
			if f.Name != tt.component {
				continue
			}
			for l := reach.Present; l <= f.Reach.Level; l++ {
				got[l]++
			}
		}
		want := map[reach.Level]int{
			reach.Present: tt.present, reach.Linked: tt.linked, reach.SymbolLinked: tt.symbolLinked, reach.Reachable: tt.reachable,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s, %s, on all platforms %t: findings by level (-want +got):\n%s", tt.file, tt.component, tt.everywhere, diff)
		}
	}
}

// Texts in real files that look like a component and are none: the version of
// Emscripten in a file system, one that an error message of libvips names, GHC's in
// a message of its runtime, and the crates inside Rust's standard library.
func TestCorpusFalsePositives(t *testing.T) {
	tests := []struct{ file, not string }{
		{"jco-wasm-tools.core", "pkg:cargo/hashbrown@0.15.0"},
		{"sharp-libvips", "pkg:generic/libtiff@4.5.1"},
		{"sharp-libvips", "pkg:generic/tiff@4.5.1"},
		{"pandoc-ghc", "pkg:generic/ghc@6.10.2"},
	}
	s, file := corpusScanner(t)
	for _, tt := range tests {
		one, err := s.one(t.Context(), file(tt.file))
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range one.doc.All() {
			if c.Part == "" && (c.PURL() == tt.not || c.Version == "3.1.40") {
				t.Errorf("%s: %s is a component, by %+v", tt.file, c.PURL(), c.Evidence)
			}
		}
	}
}

// A bill of materials of several real files with their vulnerabilities follows
// the official schema.
func TestCorpusScanCycloneDX(t *testing.T) {
	s, file := corpusScanner(t)
	var items []scanned
	for _, name := range []string{"hcl2json", "esbuild", "c2pa", "parquet-0.7.2", "fastly-starlingmonkey", "sharp-libvips"} {
		one, err := s.one(t.Context(), file(name))
		if err != nil {
			t.Fatal(err)
		}
		items = append(items, one)
	}
	var b bytes.Buffer
	if err := writeScanCycloneDX(&b, items, scanTime); err != nil {
		t.Fatal(err)
	}
	validCycloneDX(t, b.Bytes())
}
