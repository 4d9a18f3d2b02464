package search

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
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
	"github.com/wreg-project/wreg/storage/meta"
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
	}
	return db
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
		{"signed:true", []string{}},
		{"-signed:true", all},
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
