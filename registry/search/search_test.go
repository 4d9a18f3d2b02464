package search

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/artifact"
	"github.com/wreg-project/wreg/inspect"
	"github.com/wreg-project/wreg/inspect/capability"
	"github.com/wreg-project/wreg/inspect/origin"
	"github.com/wreg-project/wreg/inspect/signal"
	"github.com/wreg-project/wreg/internal/testenv"
	"github.com/wreg-project/wreg/sbom/evidence"
	"github.com/wreg-project/wreg/sbom/version"
	"github.com/wreg-project/wreg/sbom/vuln"
	"github.com/wreg-project/wreg/sbom/vuln/reach"
	"github.com/wreg-project/wreg/storage/meta"
	"github.com/wreg-project/wreg/storage/meta/postgres"
	"github.com/wreg-project/wreg/storage/meta/sqlite"
)

var everything = meta.Visibility{Everything: true}

func open(tb testing.TB) meta.DB {
	tb.Helper()
	db, err := sqlite.Open(tb.Context(), filepath.Join(tb.TempDir(), "meta.db"), sqlite.Options{Migrate: true})
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

func sum(text string) digest.Digest {
	h := sha256.Sum256([]byte(text))
	return digest.NewDigestFromEncoded(digest.SHA256, hex.EncodeToString(h[:]))
}

// index stores documents with their manifests and pulls.
func index(tb testing.TB, db meta.DB, docs ...meta.Document) {
	tb.Helper()
	err := db.Update(tb.Context(), func(ctx context.Context, tx meta.Tx) error {
		for _, d := range docs {
			m := meta.NewManifest{Manifest: meta.Manifest{Repo: d.Repo, Digest: d.Digest, MediaType: "x", Content: []byte("x"), Created: d.Updated}}
			if _, err := tx.PutManifest(ctx, m); err != nil {
				return err
			}
			if err := tx.PutDocument(ctx, d); err != nil {
				return err
			}
			if err := tx.AddDownloads(ctx, []meta.Download{{Repo: d.Repo, Digest: d.Digest, Day: d.Updated, Count: d.Pulls}}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
}

func day(n int) time.Time { return time.Date(2026, 1, n, 12, 0, 0, 0, time.UTC) }

// The packages of the tests, by repository.
func packages() []Source {
	module := func(size int64, lang string, imports ...inspect.Import) *inspect.Report {
		return &inspect.Report{
			Kind: inspect.KindModule, Size: size, WASI: inspect.WASIP1, Imports: imports, Exports: []inspect.Export{{Name: "_start", Kind: "func"}},
			Sections: []inspect.Section{{Name: "name", Custom: true}, {Name: "code"}},
			Analysis: inspect.Analysis{
				Requires: []string{"simd", "bulk-memory"},
				Origin: &origin.Origin{
					Languages: []origin.Finding{{Name: lang}}, Toolchains: []origin.Finding{{Name: "Go cmd/compile", Version: "1.26"}},
					Hosts: []origin.Finding{{Name: "WASI 0.1"}},
				},
				Capabilities: &capability.Result{Capabilities: []capability.Capability{
					{ID: capability.Clock, Level: capability.Reachable}, {ID: capability.FilesRead, Level: capability.Declared},
				}},
			},
		}
	}
	proxy := &inspect.Report{
		Kind: inspect.KindComponent, Size: 3000, WASI: inspect.WASIP2,
		Imports: []inspect.Import{{Name: "wasi:sockets/tcp@0.2.0", Kind: "instance"}, {Name: "wasi:http/types@0.2.3", Kind: "instance"}},
		Exports: []inspect.Export{{Name: "wasi:http/incoming-handler@0.2.3", Kind: "instance"}},
		Component: &inspect.Component{
			Target: "wasi:http/proxy@0.2.3", Exports: []string{"wasi:http/incoming-handler@0.2.3"},
		},
		Metadata: inspect.Metadata{Licenses: "Apache-2.0 WITH LLVM-exception OR MIT", Authors: "Ada Lovelace <ada@example.com>"},
		Analysis: inspect.Analysis{
			Origin: &origin.Origin{Languages: []origin.Finding{{Name: "Rust"}}},
			Capabilities: &capability.Result{Capabilities: []capability.Capability{
				{ID: capability.NetOutbound, Level: capability.Reachable}, {ID: capability.Environment, Level: capability.Adapted},
			}},
			Signals: &signal.Result{Signals: []signal.Signal{{ID: "entropy"}}},
		},
	}
	fd := inspect.Import{Module: "wasi_snapshot_preview1", Name: "fd_write", Kind: "func"}
	return []Source{
		{
			Repo: "team/http-proxy", Digest: sum("proxy"), Files: []File{{Digest: sum("proxy.wasm"), Size: 3000, Report: proxy}},
			Annotations: map[string]string{artifact.AnnotationDescription: "Forwards requests between servers"},
			State: State{
				Tags: []Tag{{Name: "1.2.0"}, {Name: "v1.0.0", Notice: meta.NoticeYanked}}, Latest: true, Updated: day(3), Pulls: 5,
				Verdict: meta.VerdictWarn,
			},
			Materials: Materials{
				Derived: true, Published: true,
				Components: []Component{
					{Ecosystem: evidence.Cargo, Name: "serde", Version: "1.0.190", Licenses: []string{"MIT OR Apache-2.0 WITH LLVM-exception"}},
					{Ecosystem: evidence.Cargo, Name: "serde", Version: "1.0.190"},
					{Ecosystem: evidence.Cargo, Name: "http", Version: "0.2.11"},
					{Ecosystem: evidence.WIT, Name: "wasi:http", Version: "0.2.3"},
					{Ecosystem: evidence.NPM, Name: "@scope/name", Version: "2.0.0-rc.1", Licenses: []string{"see LICENSE"}},
				},
				Findings: []Finding{
					{Names: []string{"RUSTSEC-2024-0001", "CVE-2024-1"}, Rating: vuln.High, Reach: reach.Present},
					{Names: []string{"RUSTSEC-2024-0001", "CVE-2024-1"}, Rating: vuln.Medium, Reach: reach.Reachable},
					{Names: []string{"RUSTSEC-2024-0002"}, Informational: "unmaintained"},
				},
				Signers:  []string{"Release-2026", "https://github.com/acme/app/.github/workflows/release.yml@refs/tags/v1"},
				Attested: []string{"slsaprovenance", "https://slsa.dev/provenance/v1"},
			},
		},
		{
			Repo: "team/tools/jq", Digest: sum("jq"), Files: []File{{Digest: sum("jq.wasm"), Size: 900_000, Report: module(900_000, "C", fd)}},
			Annotations: map[string]string{artifact.AnnotationTitle: "jq", artifact.AnnotationDescription: "Command-line JSON processor; no proxy"},
			State:       State{Tags: []Tag{{Name: "1.7.1"}}, Latest: true, Updated: day(5), Pulls: 50},
		},
		{
			Repo: "team/tools/jq", Digest: sum("jq old"), Files: []File{{Digest: sum("jq-old.wasm"), Size: 800_000, Report: module(800_000, "C", fd)}},
			State: State{Tags: []Tag{{Name: "1.6.0-rc.1"}}, Updated: day(1), Pulls: 500},
		},
		{
			Repo: "other/gofmt", Digest: sum("gofmt"),
			Files: []File{{Digest: sum("gofmt.wasm"), Size: 5_000_000, Report: module(5_000_000, "Go", fd, inspect.Import{Module: "env", Name: "Abort"})}},
			State: State{Updated: day(2)},
			Materials: Materials{
				Derived: true, Complete: true,
				Components: []Component{
					{Ecosystem: evidence.Go, Name: "stdlib", Version: "1.26.0"},
					{Ecosystem: evidence.Go, Name: "github.com/BurntSushi/toml", Version: "v1.3.0"},
					{Ecosystem: evidence.Go, Name: "serde", Version: "v1.0.0"},
				},
				Findings: []Finding{
					{Names: []string{"GO-2024-1"}, Reach: reach.Linked, RuledOut: true},
					{Names: []string{"GO-2024-2"}, Rating: vuln.Low, Reach: reach.Unknown},
				},
			},
		},
		{
			Repo: "broken", Digest: sum("broken"), Files: []File{{Digest: sum("broken.wasm"), Size: 10, Problem: "no magic"}},
			State: State{Tags: []Tag{{Name: "latest"}}, Updated: day(4), Verdict: meta.VerdictDeny},
		},
	}
}

func filled(tb testing.TB) meta.DB {
	tb.Helper()
	db := open(tb)
	for _, s := range packages() {
		index(tb, db, Describe(s))
		compose(tb, db, string(s.Digest), s.Components)
	}
	return db
}

// compose notes components as those of a file.
func compose(tb testing.TB, db meta.DB, file string, list []Component) {
	tb.Helper()
	f := meta.FileComponents{Digest: sum(file), Version: 1}
	for _, c := range list {
		key, _ := version.Key(c.Ecosystem, c.Version)
		f.Components = append(f.Components, meta.Coordinate{
			Ecosystem: string(c.Ecosystem), Name: vuln.Name(c.Ecosystem, c.Name), Version: c.Version, Class: "proven", Key: key,
		})
	}
	if err := db.Update(tb.Context(), func(ctx context.Context, tx meta.Tx) error { return tx.PutComponents(ctx, f) }); err != nil {
		tb.Fatal(err)
	}
}

// found are the packages found, with their version.
func found(res Result) []string {
	out := []string{}
	for _, h := range res.Hits {
		var l Listing
		if err := json.Unmarshal(h.Body, &l); err != nil {
			panic(err)
		}
		out = append(out, strings.TrimSuffix(h.Repo[strings.LastIndexByte(h.Repo, '/')+1:]+" "+l.Version, " "))
	}
	return out
}

func mustParse(tb testing.TB, q string) *Query {
	tb.Helper()
	query, err := Parse(q)
	if err != nil {
		tb.Fatalf("Parse(%q) = %v", q, err)
	}
	return query
}

func TestSearchFinds(t *testing.T) {
	db := filled(t)
	all := []string{"broken", "gofmt", "http-proxy 1.2.0", "jq 1.6.0-rc.1", "jq 1.7.1"}
	tests := []struct {
		query string
		want  []string
	}{
		{"", all},
		{"proxy", []string{"http-proxy 1.2.0", "jq 1.7.1"}},
		{"name:proxy", []string{"http-proxy 1.2.0"}},
		{"Forwards REQUESTS", []string{"http-proxy 1.2.0"}},
		{`"requests forwards"`, []string{"http-proxy 1.2.0"}},
		{"forw*", []string{"http-proxy 1.2.0"}},
		{`"http-proxy"`, []string{"http-proxy 1.2.0"}},
		{"commandLine", []string{"jq 1.7.1"}},
		{"lang:rust", []string{"http-proxy 1.2.0"}},
		{"lang:RUST OR lang:go", []string{"gofmt", "http-proxy 1.2.0"}},
		{"imports:wasi:http/types", []string{"http-proxy 1.2.0"}},
		{"imports:wasi:http/types@0.2.3", []string{"http-proxy 1.2.0"}},
		{"imports:wasi:http/types@0.2.4", []string{}},
		{"imports:wasi:http/types@0.2*", []string{"http-proxy 1.2.0"}},
		{"imports:wasi:sockets/*", []string{"http-proxy 1.2.0"}},
		{"imports:wasi:sock*", []string{"http-proxy 1.2.0"}},
		{"imports:wasi:*", []string{"http-proxy 1.2.0"}},
		{"imports:wasi_snapshot_preview1", []string{"gofmt", "jq 1.6.0-rc.1", "jq 1.7.1"}},
		{"imports:wasi_snapshot_preview1/fd_write", []string{"gofmt", "jq 1.6.0-rc.1", "jq 1.7.1"}},
		{"imports:env/*", []string{"gofmt"}},
		{"imports:env/abort", []string{"gofmt"}},
		{"exports:wasi:http/incoming-handler", []string{"http-proxy 1.2.0"}},
		{"exports:_start -lang:go", []string{"jq 1.6.0-rc.1", "jq 1.7.1"}},
		{"interface:wasi:http/types@0.2.3", []string{"http-proxy 1.2.0"}},
		{"interface:env", []string{"gofmt"}},
		{"target:wasi:http/proxy", []string{"http-proxy 1.2.0"}},
		{"capability:net", []string{"http-proxy 1.2.0"}},
		{"capability:net-outbound", []string{"http-proxy 1.2.0"}},
		{"capability:files", []string{"gofmt", "jq 1.6.0-rc.1", "jq 1.7.1"}},
		{"declared:files-read", []string{"gofmt", "jq 1.6.0-rc.1", "jq 1.7.1"}},
		{"reachable:files", []string{}},
		{"reachable:clock", []string{"gofmt", "jq 1.6.0-rc.1", "jq 1.7.1"}},
		{"hidden-capability:environment", []string{"http-proxy 1.2.0"}},
		{"feature:simd", []string{"gofmt", "jq 1.6.0-rc.1", "jq 1.7.1"}},
		{`tool:"Go cmd/compile"`, []string{"gofmt", "jq 1.6.0-rc.1", "jq 1.7.1"}},
		{"tool:go-cmd/compile@1.26", []string{"gofmt", "jq 1.6.0-rc.1", "jq 1.7.1"}},
		{`host:"wasi 0.1"`, []string{"gofmt", "jq 1.6.0-rc.1", "jq 1.7.1"}},
		{"kind:component", []string{"http-proxy 1.2.0"}},
		{"wasi:wasip1 wasi:wasip2", []string{}},
		{"signal:entropy", []string{"http-proxy 1.2.0"}},
		{"section:name", []string{"gofmt", "jq 1.6.0-rc.1", "jq 1.7.1"}},
		{"section:code", []string{}},
		{"license:mit", []string{"http-proxy 1.2.0"}},
		{"license:apache*", []string{"http-proxy 1.2.0"}},
		{"author:lovelace", []string{"http-proxy 1.2.0"}},
		{"repo:team/tools/jq", []string{"jq 1.6.0-rc.1", "jq 1.7.1"}},
		{"repo:team", []string{}},
		{"ns:team", []string{"http-proxy 1.2.0", "jq 1.6.0-rc.1", "jq 1.7.1"}},
		{"ns:team/tools", []string{"jq 1.6.0-rc.1", "jq 1.7.1"}},
		{"version:1.7.1", []string{"jq 1.7.1"}},
		{"version:1.*", []string{"http-proxy 1.2.0", "jq 1.6.0-rc.1", "jq 1.7.1"}},
		{"tag:latest", []string{"broken"}},
		{"is:latest", []string{"http-proxy 1.2.0", "jq 1.7.1"}},
		{"is:yanked", []string{"http-proxy 1.2.0"}},
		{"is:prerelease", []string{"jq 1.6.0-rc.1"}},
		{"is:untagged", []string{"gofmt"}},
		{"is:invalid", []string{"broken"}},
		{"verdict:deny OR verdict:warn", []string{"broken", "http-proxy 1.2.0"}},
		{"digest:" + string(sum("jq")), []string{"jq 1.7.1"}},
		{"digest:" + string(sum("jq"))[:20] + "*", []string{"jq 1.7.1"}},
		{"layer:" + strings.TrimPrefix(string(sum("jq-old.wasm")), "sha256:"), []string{"jq 1.6.0-rc.1"}},
		{"size:<1MB", []string{"broken", "http-proxy 1.2.0", "jq 1.6.0-rc.1", "jq 1.7.1"}},
		{"size:3000", []string{"http-proxy 1.2.0"}},
		{"size:>=800KB size:<=0.9MB", []string{"jq 1.6.0-rc.1", "jq 1.7.1"}},
		{"size:1KB..4KiB", []string{"http-proxy 1.2.0"}},
		{"size:..10B", []string{"broken"}},
		{"pulls:>49", []string{"jq 1.6.0-rc.1", "jq 1.7.1"}},
		{"updated:2026-01-03", []string{"http-proxy 1.2.0"}},
		{"updated:>2026-01-03", []string{"broken", "jq 1.7.1"}},
		{"updated:<2026-01-02", []string{"jq 1.6.0-rc.1"}},
		{"updated:2026-01-01..2026-01-02", []string{"gofmt", "jq 1.6.0-rc.1"}},
		{"updated:>=2026-01-05T12:00:00Z", []string{"jq 1.7.1"}},
		{"updated:2026", all},
		{"updated:<2026-01", []string{}},
		{"signed:true", []string{"http-proxy 1.2.0"}},
		{"signed:false signed:true", []string{}},
		{"-signed:true -signed:false", []string{}},
		{"signed-by:release-2026", []string{"http-proxy 1.2.0"}},
		{"signed-by:release", []string{}},
		{"signed-by:https://github.com/acme/*", []string{"http-proxy 1.2.0"}},
		{"attested:slsaprovenance", []string{"http-proxy 1.2.0"}},
		{"attested:https://slsa.dev/provenance/v1", []string{"http-proxy 1.2.0"}},
		{"attested:cyclonedx", []string{}},
		{"dep:serde", []string{"gofmt", "http-proxy 1.2.0"}},
		{"dep:pkg:cargo/serde", []string{"http-proxy 1.2.0"}},
		{"dep:pkg:cargo/SERDE@1.0.190", []string{"http-proxy 1.2.0"}},
		{"dep:serde@1.0.0", []string{"gofmt"}},
		{"dep:pkg:cargo/serde@1.0.191", []string{}},
		{"dep:pkg:cargo/serde@<1.0.200", []string{"http-proxy 1.2.0"}},
		{"dep:pkg:cargo/serde@<1.0.190", []string{}},
		{"dep:pkg:cargo/serde@>=1,<2", []string{"http-proxy 1.2.0"}},
		{"dep:pkg:cargo/serde@!=1.0.190", []string{}},
		{"dep:serde@^1.0", []string{"gofmt", "http-proxy 1.2.0"}},
		{"dep:serde@>1.0.0", []string{"http-proxy 1.2.0"}},
		{"-dep:serde@*", []string{"broken", "jq 1.6.0-rc.1", "jq 1.7.1"}},
		{"dep:pkg:cargo/*", []string{"http-proxy 1.2.0"}},
		{"dep:pkg:cargo/ser*", []string{"http-proxy 1.2.0"}},
		{"dep:pkg:cargo/serde@1.0*", []string{"http-proxy 1.2.0"}},
		{"dep:pkg:npm/%40scope/name@<2", []string{"http-proxy 1.2.0"}},
		{"dep:pkg:npm/@scope/name@2.0.0-rc.1", []string{"http-proxy 1.2.0"}},
		{"dep:pkg:generic/wasi/http@0.2.*", []string{"http-proxy 1.2.0"}},
		{"dep:wasi:http", []string{"http-proxy 1.2.0"}},
		{"dep:pkg:golang/stdlib@<1.26.1", []string{"gofmt"}},
		{"dep:pkg:golang/stdlib@1.26.0", []string{"gofmt"}},
		{"dep:pkg:golang/github.com/burntsushi/toml", []string{"gofmt"}},
		{"dep:pkg:golang/github.com/BurntSushi/toml@>1.2", []string{"gofmt"}},
		{"dep:nothing@>0", []string{}},
		{"dep-license:mit", []string{"http-proxy 1.2.0"}},
		{"dep-license:apache-2.0", []string{"http-proxy 1.2.0"}},
		{`dep-license:"see LICENSE"`, []string{"http-proxy 1.2.0"}},
		{"sbom:derived", []string{"gofmt", "http-proxy 1.2.0"}},
		{"sbom:publisher", []string{"http-proxy 1.2.0"}},
		{"sbom:complete", []string{"gofmt"}},
		{"vuln:cve-2024-1", []string{"http-proxy 1.2.0"}},
		{"vuln:RUSTSEC-2024-0002", []string{"http-proxy 1.2.0"}},
		{"vuln:GO-*", []string{"gofmt"}},
		{"vuln-severity:high", []string{"http-proxy 1.2.0"}},
		{"vuln-severity:unknown OR vuln-severity:low", []string{"gofmt"}},
		{"vuln-reachable:true", []string{"http-proxy 1.2.0"}},
		{"vuln-reachable:false vuln-reachable:unknown", []string{"gofmt"}},
		{"NOT (lang:c OR lang:go) -is:invalid", []string{"http-proxy 1.2.0"}},
		{"(lang:c size:<850KB) OR kind:component", []string{"http-proxy 1.2.0", "jq 1.6.0-rc.1"}},
		{"-(lang:c size:<850KB)", []string{"broken", "gofmt", "http-proxy 1.2.0", "jq 1.7.1"}},
		{"lang:c AND NOT is:latest", []string{"jq 1.6.0-rc.1"}},
		{"nothing", []string{}},
	}
	for _, tt := range tests {
		t.Run(tt.query, func(t *testing.T) {
			res, err := Search(t.Context(), db, Request{Query: mustParse(t, tt.query), Visibility: everything})
			if err != nil {
				t.Fatalf("Search(%q) = %v", tt.query, err)
			}
			got := found(res)
			slices.Sort(got)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("Search(%q): want -, got +\n%s", tt.query, diff)
			}
			if res.Count != len(tt.want) {
				t.Errorf("Search(%q) counts %d, want %d", tt.query, res.Count, len(tt.want))
			}
		})
	}
}

func TestSearchByRelevancePutsNamesFirst(t *testing.T) {
	db := open(t)
	put := func(repo, description string, pulls int64, latest bool) {
		s := Source{
			Repo: repo, Digest: sum(repo + description), Annotations: map[string]string{artifact.AnnotationDescription: description},
			State: State{Updated: day(1), Pulls: pulls, Latest: latest},
		}
		index(t, db, Describe(s))
	}
	put("a/unlike", "an http proxy", 1000, true)
	put("a/proxy-cache", "for http", 900, false)
	put("a/http-proxy-extra", "", 1, true)
	put("a/http-proxy-extra", "old", 500, false)
	put("a/http-proxy", "old", 100, false)
	put("a/http-proxy", "", 1, true)
	put("a/proxy-mirror", "for http", 5, true)
	want := []string{"http-proxy", "http-proxy", "http-proxy-extra", "http-proxy-extra", "proxy-mirror", "proxy-cache", "unlike"}
	for _, q := range []string{"http proxy", "http-proxy", `"http" "proxy"`} {
		res, err := Search(t.Context(), db, Request{Query: mustParse(t, q), Visibility: everything})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, found(res)); diff != "" {
			t.Errorf("Search(%q): want -, got +\n%s", q, diff)
		}
		if res.Hits[0].Pulls != 1 || res.Hits[1].Pulls != 100 {
			t.Errorf("Search(%q) begins with pulls %d, %d; want the latest version first", q, res.Hits[0].Pulls, res.Hits[1].Pulls)
		}
	}
}

func TestFacetsCountWhatIsFound(t *testing.T) {
	db := filled(t)
	tests := []struct {
		query string
		v     meta.Visibility
		want  []Facet
	}{
		{"", everything, []Facet{
			{"lang", []FacetValue{{"c", 2, false}, {"go", 1, false}, {"rust", 1, false}}},
			{"is", []FacetValue{
				{"latest", 2, false}, {"invalid", 1, false}, {"prerelease", 1, false}, {"untagged", 1, false}, {"yanked", 1, false},
			}},
		}},
		{"lang:c", everything, []Facet{
			{"lang", []FacetValue{{"c", 2, false}}}, {"is", []FacetValue{{"latest", 1, false}, {"prerelease", 1, false}}},
		}},
		{"", meta.Visibility{Namespaces: []string{"other"}}, []Facet{
			{"lang", []FacetValue{{"go", 1, false}}}, {"is", []FacetValue{{"untagged", 1, false}}},
		}},
		{"nothing", everything, []Facet{{"lang", []FacetValue{}}, {"is", []FacetValue{}}}},
	}
	for _, tt := range tests {
		res, err := Search(t.Context(), db, Request{Query: mustParse(t, tt.query), Visibility: tt.v, Facets: []string{"lang", "is"}})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tt.want, res.Facets); diff != "" {
			t.Errorf("facets of Search(%q, %+v): want -, got +\n%s", tt.query, tt.v, diff)
		}
	}
}

func TestCountsEndAtTenThousand(t *testing.T) {
	if n, least := capped(MaxCount); n != MaxCount || least {
		t.Errorf("capped(%d) = %d, %t; want it exact", MaxCount, n, least)
	}
	if n, least := capped(MaxCount + 1); n != MaxCount || !least {
		t.Errorf("capped(%d) = %d, %t; want at least %d", MaxCount+1, n, least, MaxCount)
	}
}

func TestSearchRefuses(t *testing.T) {
	db := filled(t)
	many := make([]string, MaxFacets+1)
	for i := range many {
		many[i] = "lang"
	}
	page, err := Search(t.Context(), db, Request{Visibility: everything, Limit: 1})
	if err != nil || page.Next == "" {
		t.Fatalf("Search() = next %q, %v; want a cursor", page.Next, err)
	}
	tests := []struct {
		name string
		req  Request
		want error
	}{
		{"a facet that is none", Request{Facets: []string{"text"}}, ErrFacet},
		{"an unknown facet", Request{Facets: []string{"colour"}}, ErrFacet},
		{"many facets", Request{Facets: many}, ErrFacet},
		{"an unknown order", Request{Sort: "colour"}, ErrSort},
		{"a cursor of no search", Request{Cursor: "abc"}, ErrCursor},
		{"a cursor that is no text", Request{Cursor: "***"}, ErrCursor},
		{"a long cursor", Request{Cursor: strings.Repeat("A", MaxCursor+1)}, ErrCursor},
		{"a cursor cut short", Request{Cursor: page.Next[:len(page.Next)-2]}, ErrCursor},
		{"a cursor of another query", Request{Cursor: page.Next, Query: mustParse(t, "jq")}, ErrCursor},
		{"a cursor of another order", Request{Cursor: page.Next, Sort: SortSize}, ErrCursor},
		{"a cursor of the other direction", Request{Cursor: page.Next, Sort: SortPulls, Ascending: true}, ErrCursor},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.req.Visibility = everything
			if _, err := Search(t.Context(), db, tt.req); !errors.Is(err, tt.want) {
				t.Errorf("Search(%+v) = %v, want %v", tt.req, err, tt.want)
			}
		})
	}
	if _, err := Search(t.Context(), db, Request{Visibility: everything, Cursor: page.Next}); err != nil {
		t.Errorf("Search() with its own cursor = %v", err)
	}
}

func TestABeginningOfTooManyTermsIsRefused(t *testing.T) {
	db := open(t)
	d := Describe(Source{Repo: "a", Digest: sum("a"), State: State{Updated: day(1)}})
	for i := range MaxExpansion + 1 {
		d.Terms = append(d.Terms, fmt.Sprintf("imports:m/%05d", i))
	}
	index(t, db, d)
	_, err := Search(t.Context(), db, Request{Query: mustParse(t, "a imports:m*"), Visibility: everything})
	e, ok := errors.AsType[*SyntaxError](err)
	if !ok || e.Column != 3 || e.Hint == "" {
		t.Errorf("Search() = %v, want a *SyntaxError at column 3", err)
	}
	if _, err := Search(t.Context(), db, Request{Query: mustParse(t, "imports:m/001*"), Visibility: everything}); err != nil {
		t.Errorf("Search() of a longer beginning = %v", err)
	}
}

func TestPlanTellsHow(t *testing.T) {
	db := filled(t)
	req := Request{Query: mustParse(t, "size:<1MB (lang:rust OR imports:wasi*) -is:yanked"), Visibility: everything, Explain: true}
	res, err := Search(t.Context(), db, req)
	if err != nil {
		t.Fatal(err)
	}
	want := []Step{
		{Clause: "size:<1MB (lang:rust OR imports:wasi*) -is:yanked", How: "and", Count: 2},
		{Clause: "(lang:rust OR imports:wasi*)", How: "or", Count: 4},
		{Clause: "lang:rust", How: "terms", Terms: 1, Count: 1},
		{Clause: "imports:wasi*", How: "terms", Terms: 3, Count: 4},
		{Clause: "-is:yanked", How: "not", Count: 3},
		{Clause: "is:yanked", How: "terms", Terms: 1, Count: 1},
		{Clause: "size:<1MB", How: "range", Count: 2},
	}
	for i := range want { // a part in parentheses begins behind them
		want[i].Clause = strings.Trim(want[i].Clause, "()")
	}
	for i := range res.Plan {
		res.Plan[i].Clause = strings.Trim(res.Plan[i].Clause, "()")
	}
	if diff := cmp.Diff(want, res.Plan); diff != "" {
		t.Errorf("Plan: want -, got +\n%s", diff)
	}
}

func TestWhyNamesTermsAndValues(t *testing.T) {
	db := filled(t)
	res, err := Search(t.Context(), db, Request{
		Query: mustParse(t, "(lang:c OR proxy) imports:wasi:sock* size:<1MB -signed:false updated:2026"), Visibility: everything,
	})
	if err != nil || len(res.Hits) != 1 {
		t.Fatalf("Search() = %d hits, %v; want one", len(res.Hits), err)
	}
	want := []Match{
		{Clause: "proxy", Terms: []string{"text:proxy"}},
		{Clause: "imports:wasi:sock*", Terms: []string{"imports:wasi:sockets/*"}},
		{Clause: "size:<1MB", Terms: []string{"size:3000"}},
		{Clause: "-signed:false"},
		{Clause: "updated:2026", Terms: []string{"updated:2026-01-03T12:00:00Z"}},
	}
	if diff := cmp.Diff(want, res.Hits[0].Why); diff != "" {
		t.Errorf("Why: want -, got +\n%s", diff)
	}
}

func TestFunctionsAreFound(t *testing.T) {
	db := filled(t)
	err := db.Update(t.Context(), func(ctx context.Context, tx meta.Tx) error {
		return errors.Join(
			tx.PutFunctions(ctx, sum("jq.wasm"), []uint64{0x0123456789abcdef, 7}, 2), tx.PutFunctions(ctx, sum("gofmt.wasm"), []uint64{7}, 1),
		)
	})
	if err != nil {
		t.Fatal(err)
	}
	for q, want := range map[string][]string{
		"function:sha256:0123456789abcdef0123456789abcdef":           {"jq 1.7.1"},
		"function:0000000000000007":                                  {"gofmt", "jq 1.7.1"},
		"function:0000000000000007 -function:0123456789abcdef":       {"gofmt"},
		"function:sha256:00000000000000080123456789abcdef OR broken": {"broken"},
	} {
		res, err := Search(t.Context(), db, Request{Query: mustParse(t, q), Visibility: everything})
		if err != nil {
			t.Fatal(err)
		}
		got := found(res)
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("Search(%q): want -, got +\n%s", q, diff)
		}
	}
}

// A range of more versions than a query may stand for is refused with its place.
func TestRangesAreBounded(t *testing.T) {
	db := filled(t)
	var many []Component
	for i := range MaxExpansion + 1 {
		many = append(many, Component{Ecosystem: evidence.Cargo, Name: "often", Version: fmt.Sprintf("1.0.%d", i)})
	}
	compose(t, db, "often", many)
	if _, err := Search(t.Context(), db, Request{Query: mustParse(t, "jq dep:pkg:cargo/often@>1.0.0"), Visibility: everything}); err != nil {
		t.Errorf("Search() of %d versions = %v", MaxExpansion, err)
	}
	_, err := Search(t.Context(), db, Request{Query: mustParse(t, "jq dep:pkg:cargo/often@>=1.0.0"), Visibility: everything})
	e, ok := errors.AsType[*SyntaxError](err)
	if !ok || e.Column != 4 || !strings.Contains(e.Message, "more than 1000 versions") {
		t.Errorf("Search() of %d versions = %v, want a *SyntaxError at column 4", MaxExpansion+1, err)
	}
}

func TestValuesAreListed(t *testing.T) {
	db := filled(t)
	team := meta.Visibility{Namespaces: []string{"team"}}
	tests := []struct {
		v          meta.Visibility
		op, prefix string
		want       []Value
	}{
		{everything, "lang", "", []Value{{"c", 2}, {"go", 1}, {"rust", 1}}},
		{team, "lang", "", []Value{{"c", 2}, {"rust", 1}}},
		{everything, "interface", "wasi", []Value{
			{"wasi:http/incoming-handler@0.2.3", 1}, {"wasi:http/types@0.2.3", 1}, {"wasi:sockets/tcp@0.2.0", 1}, {"wasi_snapshot_preview1", 3},
		}},
		{team, "interface", "WASI_", []Value{{"wasi_snapshot_preview1", 2}}},
		{team, "interface", "env", nil},
		{everything, "ns", "team/", []Value{{"team/http-proxy", 1}, {"team/tools", 2}, {"team/tools/jq", 2}}},
	}
	for _, tt := range tests {
		for _, limit := range []int{1, 2, 10} {
			var got []Value
			for next := (Place{}); ; {
				list, after, err := Values(t.Context(), db, tt.v, tt.op, tt.prefix, next, limit)
				if err != nil || len(list) > limit {
					t.Fatalf("Values(%s, %q) = %d of %d, %v", tt.op, tt.prefix, len(list), limit, err)
				}
				got = append(got, list...)
				if next = after; next == (Place{}) {
					break
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("Values(%+v, %s, %q), %d at a time: want -, got +\n%s", tt.v, tt.op, tt.prefix, limit, diff)
			}
		}
	}
	for _, op := range []string{"size", "function", "colour"} {
		if _, _, err := Values(t.Context(), db, everything, op, "", Place{}, 1); !errors.Is(err, ErrFacet) {
			t.Errorf("Values(%s) = %v, want ErrFacet", op, err)
		}
		if _, err := Count(t.Context(), db, everything, op, "1"); !errors.Is(err, ErrFacet) {
			t.Errorf("Count(%s) = %v, want ErrFacet", op, err)
		}
	}
	if n, err := Count(t.Context(), db, team, "exports", "_START"); err != nil || n != 2 {
		t.Errorf("Count(exports, _START) = %d, %v; want 2", n, err)
	}
}

// A page that ends on values of packages that the caller may not see tells where to go
// on without naming one: the place is handed to the caller.
func TestThePlaceOfAPageNamesNothingHidden(t *testing.T) {
	for name, open := range map[string]func(testing.TB) meta.DB{"sqlite": open, "postgres": openPostgres} {
		t.Run(name, func(t *testing.T) {
			db := open(t)
			hidden := meta.Document{Repo: "secret/app", Digest: sum("hidden"), Updated: day(1), Body: []byte("{}")}
			for i := range 2*maxListed + 10 {
				hidden.Terms = append(hidden.Terms, fmt.Sprintf("interface:hidden:name-%05d/run", i))
			}
			shown := meta.Document{
				Repo: "team/app", Digest: sum("shown"), Updated: day(1), Body: []byte("{}"), Terms: []string{"interface:a:a/a", "interface:z:z/z", "within:team"},
			}
			index(t, db, hidden, shown)
			var got []Value
			pages := 0
			for next := (Place{}); ; pages++ {
				list, after, err := Values(t.Context(), db, meta.Visibility{Namespaces: []string{"team"}}, "interface", "", next, 10)
				if err != nil {
					t.Fatalf("Values(%+v) = %v", next, err)
				}
				got = append(got, list...)
				if next = after; next == (Place{}) {
					break
				}
				if strings.Contains(fmt.Sprint(next), "hidden") {
					t.Fatalf("page %d ends at %+v, which names what the caller may not see", pages, next)
				}
			}
			if diff := cmp.Diff([]Value{{"a:a/a", 1}, {"z:z/z", 1}}, got); diff != "" || pages < 2 {
				t.Errorf("Values() on %d pages (-want +got):\n%s", pages, diff)
			}
		})
	}
}

func openPostgres(tb testing.TB) meta.DB {
	tb.Helper()
	db, err := postgres.Open(tb.Context(), testenv.Postgres(tb), postgres.Options{Migrate: true})
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

func TestAPlaceThatNoPageEndedAt(t *testing.T) {
	db := filled(t)
	for _, skip := range []int{-1, maxSkip + 1} {
		if list, _, err := Values(t.Context(), db, everything, "lang", "", Place{Skip: skip}, 1); !errors.Is(err, ErrCursor) {
			t.Errorf("Values() behind %d others = %v, %v; want ErrCursor", skip, list, err)
		}
	}
	list, next, err := Values(t.Context(), db, everything, "lang", "", Place{Skip: maxSkip}, 1)
	if err != nil || len(list) != 0 || next != (Place{}) {
		t.Errorf("Values() behind more than there are = %v, %+v, %v; want the end", list, next, err)
	}
}
