package main

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wreg-project/wreg/inspect"
	"github.com/wreg-project/wreg/registry/catalog/wire"
	"github.com/wreg-project/wreg/registry/client"
)

func TestCountsAreCut(t *testing.T) {
	tests := []struct {
		n     int64
		least bool
		want  string
	}{{0, false, "0"}, {9999, false, "9999"}, {10000, false, "10000"}, {10000, true, "10k+"}, {1234, true, "1234+"}, {7, true, "7+"}}
	for _, tt := range tests {
		if got := countText(tt.n, tt.least); got != tt.want {
			t.Errorf("countText(%d, %t) = %q, want %q", tt.n, tt.least, got, tt.want)
		}
	}
}

func TestASearchIsATable(t *testing.T) {
	at := time.Date(2026, 11, 20, 23, 59, 0, 0, time.FixedZone("east", 3600))
	res := &wire.SearchResult{
		Count: 10000, CountIsLeast: true,
		List: wire.List[wire.Hit]{Next: "abc", Items: []wire.Hit{
			{
				Package: "demo:app", Repository: "demo/app", Tags: []string{"1.2.0", "latest"}, Version: "1.2.0", Language: "rust", Size: 2048,
				Capabilities: []string{"stdio", "clock", "random", "environment", "exit"}, Updated: at,
				Why: []wire.Match{{Clause: "lang:rust", Terms: []string{"lang:rust"}}, {Clause: "imports:wasi:*", Terms: []string{"wasi:cli/run"}}},
			},
			{Package: "a:b:c", Repository: "a/b/c", Digest: "sha256:0123456789abcdef0123", Notice: wire.NoticeYanked, Verdict: wire.VerdictDeny},
		}},
	}
	var b strings.Builder
	if err := (&tool{out: &b}).part(searchRows(res, true)); err != nil {
		t.Fatal(err)
	}
	want := `
NAME      VERSION              LANGUAGE  SIZE     CAPABILITIES                          UPDATED     NOTE                    WHY
demo/app  1.2.0                rust      2.0 KiB  stdio, clock, random, environment +1  2026-11-20                          lang:rust; imports:wasi:* by wasi:cli/run
a/b/c     sha256:0123456789ab            0 B                                                        yanked, policy refuses
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("searchRows (-want +got):\n%s", diff)
	}
	if got, want := foundText(res), "10k+ found; 2 are shown, --limit shows more, --cursor abc the next"; got != want {
		t.Errorf("foundText = %q, want %q", got, want)
	}
	res.Items = res.Items[:1]
	if head := searchRows(res, false)[0]; head[len(head)-1] != "UPDATED" {
		t.Errorf("a column without anything in it stays: %q", head)
	}
}

func TestDependenciesAreATree(t *testing.T) {
	d := &wire.Dependencies{Truncated: true, Imports: []wire.Dependency{
		{Interface: "wasi:cli/stdout@0.2.0", Host: true},
		{Interface: "demo:log/sink@1.0.0", More: true, Providers: []wire.Provider{
			{Package: "demo:logger", Version: "1.0.3", Exports: "demo:log/sink@1.0.3", Imports: []wire.Dependency{
				{Interface: "demo:disk/files", Providers: []wire.Provider{{Package: "demo:app", Version: "2.0.0", Exports: "demo:disk/files", Seen: true}}},
			}},
			{Package: "demo:other", Digest: "sha256:0123456789abcdef0123", Exports: "demo:log/sink@1.0.0"},
		}},
		{Interface: "env\x1b[2J"},
	}}
	var b strings.Builder
	if err := (&tool{out: &b, format: formatTable}).printDependencies("demo/app@2.0.0", d); err != nil {
		t.Fatal(err)
	}
	want := `demo/app@2.0.0
├─ wasi:cli/stdout@0.2.0  (the host)
├─ demo:log/sink@1.0.0
│  ├─ demo/logger@1.0.3  exports demo:log/sink@1.0.3
│  │  └─ demo:disk/files
│  │     └─ demo/app@2.0.0  (above)
│  ├─ demo/other@sha256:0123456789ab
│  └─ … wpkg search 'exports:demo:log/sink@1.0.0' shows all
` + "└─ env\uFFFD[2J  (nobody here)\n" + `… the tree is larger; this is its top
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("printDependencies (-want +got):\n%s", diff)
	}
}

func TestImportsOfAFile(t *testing.T) {
	rep := &inspect.Report{Imports: []inspect.Import{
		{Module: "wasi_snapshot_preview1", Name: "fd_write", Kind: "func"},
		{Module: "acme", Name: "log", Kind: "func"},
		{Module: "wasi_snapshot_preview1", Name: "fd_read", Kind: "func"},
		{Name: "wasi:http/types@0.2.0", Kind: "instance"},
		{Name: "demo:log/sink", Kind: "instance"},
		{Name: "level", Kind: "type"},
	}}
	none := []wire.Provider{}
	want := []wire.Dependency{
		{Interface: "wasi_snapshot_preview1", Host: true, Providers: none},
		{Interface: "acme", Providers: none},
		{Interface: "wasi:http/types@0.2.0", Host: true, Providers: none},
		{Interface: "demo:log/sink", Providers: none},
	}
	if diff := cmp.Diff(want, importedInterfaces(rep)); diff != "" {
		t.Errorf("importedInterfaces (-want +got):\n%s", diff)
	}
}

func TestAPackageIsAPage(t *testing.T) {
	at := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	version := wire.Version{Tag: "1.0.0", Created: at, Downloads: 3, Digest: "sha256:aa", Latest: true, Verdict: wire.VerdictAllow}
	old := wire.Version{
		Tag: "0.9.0", Created: at, Digest: "sha256:bb", Notice: &wire.Notice{State: wire.NoticeYanked, Reason: "broken", By: "ann"},
	}
	p := packageView{
		PackageInfo: &wire.PackageInfo{
			Package: wire.Package{Repository: "demo/app", Latest: "1.0.0", Updated: at}, Created: at,
			LatestVersion: &wire.VersionInfo{
				Version: wire.Version{Metadata: wire.Metadata{Description: "Says hello.", Licenses: "MIT"}},
				Files: []wire.File{{
					Analysed: true, Kind: "component", Size: 4096, WASI: "wasip2", Language: "rust", Functions: 12,
					Capabilities: []string{"stdio"}, Imports: []string{"wasi:cli/stdout@0.2.0"},
				}},
			},
		},
		Versions: []wire.Version{old, version}, Downloads: 3,
	}
	sortVersions(p.Versions)
	var b strings.Builder
	if err := (&tool{out: &b}).printPackage("127.0.0.1:5080", p); err != nil {
		t.Fatal(err)
	}
	want := `name          demo/app
registry      127.0.0.1:5080
latest        1.0.0
description   Says hello.
licenses      MIT
kind          component, 4.0 KiB, wasip2, 12 functions
made from     rust
capabilities  stdio
imports       wasi:cli/stdout@0.2.0
downloads     3
created       2026-11-20
updated       2026-11-20

TAG             PUSHED      DOWNLOADS  POLICY  NOTICE                DIGEST
1.0.0 (latest)  2026-11-20  3          passes                        sha256:aa
0.9.0           2026-11-20  0                  yanked: broken (ann)  sha256:bb
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("printPackage (-want +got):\n%s", diff)
	}
}

// What a catalog refuses is told once, with its hint apart and the place shown.
func TestRefusalsOfACatalog(t *testing.T) {
	refuse := func(status int, p wire.Problem) error {
		p.Status = status
		return &client.CatalogError{Host: "h:1", Problem: &p}
	}
	tests := []struct {
		name string
		err  error
		want string
	}{
		{
			"a query with a fault",
			queryError(refuse(400, wire.Problem{
				Code: wire.CodeInvalidQuery, Title: "Invalid query", Detail: "there is no field langg", Hint: "did you mean lang?", Column: 5,
			}), "net langg:rust"),
			"wpkg: there is no field langg\n  net langg:rust\n      ^\nhint: did you mean lang?\n",
		},
		{
			"another problem than one of the query",
			queryError(refuse(404, wire.Problem{Code: wire.CodeNotFound, Title: "Not found", Detail: "no package demo:app"}), "net"),
			"wpkg: h:1: no package demo:app\n",
		},
		{
			"nobody is logged in",
			refuse(401, wire.Problem{Code: wire.CodeUnauthenticated, Title: "Log in first"}),
			"wpkg: h:1: log in first (401 Unauthorized)\nhint: wpkg login h:1\n",
		},
		{
			"text that a terminal would obey",
			refuse(403, wire.Problem{Code: wire.CodeForbidden, Detail: "\x1b[2Jno", Hint: "\x1b[2Jask"}),
			"wpkg: h:1: \uFFFD[2Jno (403 Forbidden)\nhint: \uFFFD[2Jask\n",
		},
		{
			"a registry without one", errors.Join(client.ErrNoCatalog),
			"wpkg: the registry has no catalog\nhint: search, info, deps and policies need a wreg; --registry names one\n",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var b strings.Builder
			(&tool{err: &b}).complain(tt.err)
			if diff := cmp.Diff(tt.want, b.String()); diff != "" {
				t.Errorf("complain (-want +got):\n%s", diff)
			}
		})
	}
}

func TestExclusionsAreNoFlags(t *testing.T) {
	app := (&tool{}).app()
	tests := []struct {
		name string
		in   []string
		want []string
	}{
		{
			"a condition that must not hold",
			[]string{"wpkg", "search", "a", "-lang:rust", "--limit", "3"},
			[]string{"wpkg", "search", "--limit", "3", "--", "a", "-lang:rust"},
		},
		{
			"a field that is called like a flag",
			[]string{"wpkg", "search", "-n:3", "x"},
			[]string{"wpkg", "search", "-n:3", "--", "x"},
		},
		{
			"a flag with a value with a colon",
			[]string{"wpkg", "search", "-registry=h:1", "x"},
			[]string{"wpkg", "search", "-registry=h:1", "--", "x"},
		},
		{
			"a long flag with a colon",
			[]string{"wpkg", "search", "--lang:rust"},
			[]string{"wpkg", "search", "--lang:rust", "--"},
		},
		{
			"the same for another command",
			[]string{"wpkg", "list", "-lang:rust"},
			[]string{"wpkg", "list", "-lang:rust", "--"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := arrange(app, tt.in)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("arrange (-want +got):\n%s", diff)
			}
		})
	}
	if _, err := arrange(app, []string{"wpkg", "search", "x", "--limit"}); err == nil {
		t.Error("arrange of a flag without its value is no error")
	}
}
