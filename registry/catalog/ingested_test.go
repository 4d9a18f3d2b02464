package catalog

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wreg-project/wreg/inspect"
	"github.com/wreg-project/wreg/inspect/diff"
	"github.com/wreg-project/wreg/registry/catalog/wire"
)

const hosts = "registry/policy/testdata/hosts/"

// component makes a component that imports and exports empty instances.
func component(imports, exports []string) []byte {
	section := func(id byte, body []byte) []byte { return append([]byte{id, byte(len(body))}, body...) }
	b := append([]byte("\x00asm\x0d\x00\x01\x00"), section(7, []byte{1, 0x42, 0})...)
	if len(imports) > 0 {
		body := []byte{byte(len(imports))}
		for _, name := range imports {
			body = append(append(append(body, 0, byte(len(name))), name...), 5, 0)
		}
		b = append(b, section(10, body)...)
	}
	if len(exports) > 0 {
		b = append(b, section(5, []byte{1, 1, 0})...)
		body := []byte{byte(len(exports))}
		for _, name := range exports {
			body = append(append(append(body, 0, byte(len(name))), name...), 5, byte(len(imports)), 0)
		}
		b = append(b, section(11, body)...)
	}
	return b
}

// module makes a core module with a function of 61 instructions for each of
// operators, which are instructions of two numbers.
func module(operators ...byte) []byte {
	sized := func(id byte, body []byte) []byte {
		return append([]byte{id, byte(len(body)) | 0x80, byte(len(body) >> 7)}, body...)
	}
	types := []byte{byte(len(operators))}
	code := []byte{byte(len(operators))}
	for _, op := range operators {
		types = append(types, 0)
		body := []byte{0}
		for range 15 {
			body = append(body, 0x20, 0, 0x41, 7, op, 0x1a) // local.get 0, i32.const 7, op, drop
		}
		body = append(body, 0x0b)
		code = append(append(code, byte(len(body))), body...)
	}
	b := append([]byte("\x00asm\x01\x00\x00\x00"), sized(1, []byte{1, 0x60, 1, 0x7f, 0})...)
	b = append(b, sized(3, types)...)
	return append(b, sized(10, code)...)
}

// stocked is a catalog with packages in it.
func stocked(tb testing.TB) *env {
	e := start(tb, nil).as("ann")
	e.push("public/command", wasm(tb, hosts+"command.wasm"), map[string]string{"org.opencontainers.image.description": "A command."}, "1.0.0")
	e.push("public/command", wasm(tb, hosts+"command-socket.wasm"), nil, "1.1.0")
	e.push("team/filter", wasm(tb, hosts+"filter.wasm"), nil, "1.0.0")
	e.push("team/filter", wasm(tb, hosts+"filter-calls.wasm"), nil, "1.1.0")
	e.push("team/greet", component([]string{"demo:log/sink@0.3.1"}, []string{"demo:app/greet@1.2.3"}), nil, "1.0.0")
	e.push("team/log", component([]string{"demo:app/greet@1.1.0"}, []string{"demo:log/sink@0.3.4"}), nil, "0.1.0")
	e.push("team/log", component(nil, []string{"demo:log/sink@0.4.0"}), nil, "0.2.0")
	e.push("public/app", component([]string{"demo:app/greet@1.0.0", "wasi:cli/stdout@0.2.0"}, nil), nil, "1.0.0")
	e.push("team/code", module(0x6a, 0x6b, 0x6c), nil, "1.0.0")
	e.push("team/code", module(0x6a, 0x6b, 0x71), nil, "1.1.0")
	e.push("public/code", module(0x6c, 0x72), nil, "1.0.0")
	e.push("team/data", []byte("no wasm"), nil, "1.0.0")
	e.settled()
	return e
}

func packagesOf(hits []wire.Hit) []string {
	names := []string{}
	for _, h := range hits {
		names = append(names, h.Package+"@"+h.Version)
	}
	slices.Sort(names)
	return names
}

func TestSearchIsOfWhatMayBeRead(t *testing.T) {
	e := stocked(t)
	tests := []struct {
		name, user, query string
		want              []string
	}{
		{"all of it", "ann", "wasi:wasip1", []string{"public:command@1.0.0", "public:command@1.1.0"}},
		{"what is public", "", "kind:module", []string{"public:code@1.0.0", "public:command@1.0.0", "public:command@1.1.0"}},
		{"nothing of others", "", "ns:team", []string{}},
		{"by what it imports", "ann", "imports:wasi_snapshot_preview1/sock_connect", []string{"public:command@1.1.0"}},
		{"by what it exports", "ann", "exports:demo:app/greet", []string{"team:greet@1.0.0"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := *e.as(tt.user)
			e.TB = t
			got := get[wire.SearchResult](&e, "/search?facets=kind,wasi&explain=true&q="+url.QueryEscape(tt.query))
			if d := cmp.Diff(tt.want, packagesOf(got.Items)); d != "" || got.Count != int64(len(tt.want)) {
				t.Errorf("search for %s counts %d (-want +got):\n%s", tt.query, got.Count, d)
			}
			for _, f := range got.Facets {
				for _, v := range f.Values {
					if v.Count > int64(len(tt.want)) {
						t.Errorf("search for %s: facet %s counts %d of %q", tt.query, f.Name, v.Count, v.Value)
					}
				}
			}
			if len(got.Plan) == 0 {
				t.Errorf("search for %s has no plan", tt.query)
			}
		})
	}
	p := e.refused(e.do("GET", "/search?q=kind:module+languag:rust", nil), wire.CodeInvalidQuery)
	if p.Column != 13 || !strings.Contains(p.Hint, "lang") {
		t.Errorf("problem of a query = %+v, want column 13 and a hint", p)
	}
	if got := all[wire.Hit](e, "/search?q=name:filter&sort=name", 1); len(got) != 2 {
		t.Errorf("search in pages of one finds %d, want 2", len(got))
	}
}

func TestVersionTellsWhatWasFound(t *testing.T) {
	e := stocked(t)
	v := get[wire.VersionInfo](e, "/packages/public:command/versions/1.1.0")
	if !v.Ingested || len(v.Files) != 1 {
		t.Fatalf("version = %+v, want it ingested, with a file", v)
	}
	f := v.Files[0]
	if f.Name != "app.wasm" || f.Kind != "module" || f.WASI != "wasip1" || !slices.Contains(f.Imports, "wasi_snapshot_preview1") ||
		!slices.Contains(f.Capabilities, "net-outbound") || f.Report == "" || f.Layer != f.Digest {
		t.Errorf("file = %+v, want a module that opens sockets", f)
	}
	data := get[wire.VersionInfo](e, "/packages/team:data/versions/1.0.0")
	if len(data.Files) != 1 || data.Files[0].Kind != "" || !data.Files[0].Analysed || data.Files[0].Size != 7 {
		t.Errorf("files without Wasm = %+v, want the layer", data.Files)
	}
}

func TestReportIsStreamed(t *testing.T) {
	e := stocked(t)
	r := e.status(e.do("GET", "/packages/public:command/versions/1.1.0/report", nil), 200)
	var rep inspect.Report
	if err := json.Unmarshal(r.body, &rep); err != nil || rep.Kind != inspect.KindModule || !rep.Complete {
		t.Errorf("report %.200s: %v", r.body, err)
	}
	if r.header.Get("Content-Type") != wire.MediaTypeReport {
		t.Errorf("report has type %q", r.header.Get("Content-Type"))
	}
	if got := e.do("GET", "/packages/public:command/versions/1.1.0/report", nil, "If-None-Match", r.header.Get("ETag")); got.status != 304 {
		t.Errorf("the same report again = %d, want 304", got.status)
	}
	plain := e.status(e.do("GET", "/packages/public:command/versions/1.1.0/report", nil, "Accept", "application/json"), 200)
	if plain.header.Get("Content-Type") != wire.MediaTypeJSON || string(plain.body) != string(r.body) {
		t.Errorf("report as JSON has type %q and %d bytes, want %d", plain.header.Get("Content-Type"), len(plain.body), len(r.body))
	}
	file := get[wire.VersionInfo](e, "/packages/public:command/versions/1.1.0").Files[0].Digest.String()
	e.status(e.do("GET", "/packages/public:command/versions/1.1.0/report?file="+file, nil), 200)
	e.refused(e.do("GET", "/packages/public:command/versions/1.0.0/report?file="+file, nil), wire.CodeNotAnalysed)
	e.refused(e.do("GET", "/packages/team:data/versions/1.0.0/report", nil), wire.CodeNotAnalysed)
}

func TestFunctionsAreFoundAgain(t *testing.T) {
	e := stocked(t)
	path := "/packages/team:code/versions/1.0.0/functions"
	whole := get[wire.List[wire.Function]](e, path)
	if len(whole.Items) != 3 || whole.Next != "" || whole.Items[2].Index != 2 || whole.Items[0].Instructions != 61 {
		t.Fatalf("functions = %+v, want three on one page", whole)
	}
	for _, n := range []int{1, 2, 3} {
		if d := cmp.Diff(whole.Items, all[wire.Function](e, path, n)); d != "" {
			t.Errorf("functions in pages of %d (-want +got):\n%s", n, d)
		}
	}
	for _, hash := range []string{whole.Items[0].Hash, whole.Items[0].Hash[:16]} {
		uses := get[wire.List[wire.Hit]](e, "/functions/"+hash)
		if d := cmp.Diff([]string{"team:code@1.0.0", "team:code@1.1.0"}, packagesOf(uses.Items)); d != "" {
			t.Errorf("versions with function %s (-want +got):\n%s", hash, d)
		}
	}
	third := whole.Items[2].Hash
	if d := cmp.Diff([]string{"public:code@1.0.0"}, packagesOf(all[wire.Hit](e.as(""), "/functions/"+third, 1))); d != "" {
		t.Errorf("public versions with function %s (-want +got):\n%s", third, d)
	}
	e.refused(e.do("GET", "/functions/xyz", nil), wire.CodeBadRequest)
}

func TestSimilarPackages(t *testing.T) {
	e := stocked(t)
	similar := func(e *env, query string) (got []string) {
		for _, s := range get[wire.List[wire.Similar]](e, "/packages/"+query).Items {
			got = append(got, fmt.Sprintf("%s@%s %d of %d", s.Package, s.Version, s.Shared, s.Functions))
		}
		return got
	}
	if d := cmp.Diff([]string{"team:code@1.1.0 2 of 3", "public:code@1.0.0 1 of 2"}, similar(e, "team:code/versions/1.0.0/similar")); d != "" {
		t.Errorf("versions like team:code@1.0.0 (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]string{"team:code@1.1.0 2 of 3"}, similar(e, "team:code/versions/1.0.0/similar?limit=1")); d != "" {
		t.Errorf("the version most like team:code@1.0.0 (-want +got):\n%s", d)
	}
	if got := similar(e.as(""), "public:code/versions/1.0.0/similar"); len(got) != 0 {
		t.Errorf("an anonymous caller is told of %q", got)
	}
	if got := similar(e, "team:data/versions/1.0.0/similar"); len(got) != 0 {
		t.Errorf("versions like one without Wasm: %q, want none", got)
	}
}

func TestDiff(t *testing.T) {
	e := stocked(t)
	path := "/diff?from=public:command@1.0.0&to=public:command@1.1.0"
	got := get[wire.Diff](e, path)
	if got.Equal || len(got.Files) != 1 || got.From.Tag != "1.0.0" || got.To.Tag != "1.1.0" {
		t.Fatalf("diff = %+v", got)
	}
	var changes diff.Diff
	if err := json.Unmarshal(got.Files[0].Changes, &changes); err != nil || len(changes.Capabilities.Gained) == 0 {
		t.Errorf("changes %s: %v; want capabilities gained", got.Files[0].Changes, err)
	}
	for _, r := range []reply{
		e.do("GET", path+"&format=markdown", nil), e.do("GET", path, nil, "Accept", "text/markdown"),
	} {
		if r.status != 200 || r.header.Get("Content-Type") != "text/markdown; charset=utf-8" || !strings.Contains(string(r.body),
			"**Capabilities**") {
			t.Errorf("%s = %d of type %q\n%s", r.call, r.status, r.header.Get("Content-Type"), r.body)
		}
	}
	same := get[wire.Diff](e, "/diff?from=public:command@1.0.0&to=public:command@1.0.0")
	if !same.Equal || len(same.Files) != 1 || same.Files[0].Changes != nil {
		t.Errorf("diff of a version with itself = %+v, want it equal", same)
	}
	e.refused(e.do("GET", "/diff?from=public:command@1.0.0&to=public:command@9.9.9", nil), wire.CodeNotFound)
}

func TestInterfaces(t *testing.T) {
	e := stocked(t)
	list := all[wire.Interface](e, "/interfaces?prefix=demo:", 1)
	want := []wire.Interface{
		{Name: "demo:app/greet@1.0.0", Importers: 1},
		{Name: "demo:app/greet@1.1.0", Importers: 1},
		{Name: "demo:app/greet@1.2.3", Exporters: 1},
		{Name: "demo:log/sink@0.3.1", Importers: 1},
		{Name: "demo:log/sink@0.3.4", Exporters: 1},
		{Name: "demo:log/sink@0.4.0", Exporters: 1},
	}
	if d := cmp.Diff(want, list); d != "" {
		t.Errorf("interfaces of demo (-want +got):\n%s", d)
	}
	if d := cmp.Diff(want[:1], all[wire.Interface](e.as(""), "/interfaces?prefix=demo:", 10)); d != "" {
		t.Errorf("interfaces of demo for an anonymous caller (-want +got):\n%s", d)
	}
	for _, name := range []string{"demo:app/greet", "demo:app%2Fgreet", url.PathEscape("demo:app/greet")} {
		use := get[wire.InterfaceUse](e, "/interfaces/"+name)
		if use.Name != "demo:app/greet" || use.Exporters.Count != 1 || use.Importers.Count != 2 {
			t.Errorf("use of %s = %+v, want one exporter and two importers", name, use)
		}
		found := get[wire.SearchResult](e, "/search?q="+url.QueryEscape(use.Importers.Query))
		if found.Count != use.Importers.Count {
			t.Errorf("query %s finds %d, want %d", use.Importers.Query, found.Count, use.Importers.Count)
		}
	}
	if use := get[wire.InterfaceUse](e.as(""), "/interfaces/demo:app/greet"); use.Exporters.Count != 0 || use.Importers.Count != 1 {
		t.Errorf("use for an anonymous caller = %+v, want that of public packages", use)
	}
	odd := get[wire.InterfaceUse](e, "/interfaces/"+url.PathEscape(`a"b*(`))
	if odd.Exporters.Count != 0 || odd.Importers.Items == nil {
		t.Errorf("use of an odd name = %+v, want none", odd)
	}
}

func TestDependencies(t *testing.T) {
	e := stocked(t)
	tree := get[wire.Dependencies](e, "/packages/public:app/versions/1.0.0/dependencies")
	if len(tree.Imports) != 2 {
		t.Fatalf("imports = %+v, want two", tree.Imports)
	}
	greet, stdout := tree.Imports[0], tree.Imports[1]
	if !stdout.Host || stdout.Interface != "wasi:cli/stdout@0.2.0" || len(stdout.Providers) != 0 {
		t.Errorf("import of stdout = %+v, want it of the host", stdout)
	}
	if greet.Host || len(greet.Providers) != 1 || greet.Providers[0].Package != "team:greet" ||
		greet.Providers[0].Exports != "demo:app/greet@1.2.3" {
		t.Fatalf("import of greet = %+v, want team:greet in a compatible version", greet)
	}
	// Before version one only the last number may differ; and the package above
	// stands in the tree already.
	sink := greet.Providers[0].Imports
	if len(sink) != 1 || len(sink[0].Providers) != 1 || sink[0].Providers[0].Version != "0.1.0" ||
		sink[0].Providers[0].Exports != "demo:log/sink@0.3.4" {
		t.Fatalf("import of sink = %+v, want team:log@0.1.0", sink)
	}
	again := sink[0].Providers[0].Imports
	if len(again) != 1 || len(again[0].Providers) != 1 || !again[0].Providers[0].Seen || again[0].Providers[0].Imports != nil {
		t.Errorf("import of greet by log = %+v, want team:greet as seen", again)
	}
	flat := get[wire.Dependencies](e, "/packages/public:app/versions/1.0.0/dependencies?depth=1")
	if !flat.Truncated || flat.Imports[0].Providers[0].Imports != nil {
		t.Errorf("a tree of depth one = %+v, want it cut", flat)
	}
	anonymous := get[wire.Dependencies](e.as(""), "/packages/public:app/versions/1.0.0/dependencies")
	if len(anonymous.Imports) != 2 || len(anonymous.Imports[0].Providers) != 0 {
		t.Errorf("a tree for an anonymous caller = %+v, want no provider", anonymous)
	}

	dependents := all[wire.Dependent](e, "/packages/team:greet/dependents", 1)
	got := []string{}
	for _, d := range dependents {
		got = append(got, d.Package+" by "+strings.Join(d.Interfaces, ","))
	}
	slices.Sort(got)
	if d := cmp.Diff([]string{"public:app by demo:app/greet@1.2.3", "team:log by demo:app/greet@1.2.3"}, got); d != "" {
		t.Errorf("dependents of team:greet (-want +got):\n%s", d)
	}
}

const noNetwork = `name: no-network
rules:
  - name: sockets
    deny: capabilities.reachable.exists(c, c.startsWith("net-"))
    message: no sockets here
`

func TestAudit(t *testing.T) {
	e := stocked(t)
	audit := func(e *env, r wire.AuditRequest) (findings []wire.Finding, scanned int) {
		for range 100 {
			page := read[wire.AuditResult](e, "POST", "/audit", r)
			findings = append(findings, page.Items...)
			scanned += page.Scanned
			if page.Next == "" {
				return findings, scanned
			}
			r.Cursor = page.Next
		}
		t.Fatal("an audit has more than 100 pages")
		return nil, 0
	}
	for _, limit := range []int{0, 1, 3} {
		findings, scanned := audit(e, wire.AuditRequest{Policy: noNetwork, Limit: limit})
		if len(findings) != 1 || findings[0].Package != "public:command" || !slices.Contains(findings[0].Tags, "1.1.0") || scanned != 11 {
			t.Fatalf("findings of %d versions in pages of %d = %+v, want public:command@1.1.0 of 11", scanned, limit, findings)
		}
		v := findings[0].Violations
		if len(v) != 1 || v[0].Policy != "no-network" || v[0].Rule != "sockets" || v[0].Message != "no sockets here" ||
			findings[0].Outcome != wire.VerdictDeny {
			t.Errorf("finding = %+v", findings[0])
		}
	}
	// A scope is for admission; an audit asks everywhere.
	scoped := strings.Replace(noNetwork, "rules:", "scope: {repositories: [nowhere]}\nrules:", 1)
	if findings, _ := audit(e, wire.AuditRequest{Policy: scoped}); len(findings) != 1 {
		t.Errorf("findings of a policy with a scope = %+v, want one", findings)
	}
	if findings, scanned := audit(e, wire.AuditRequest{Policy: noNetwork, Query: "ns:team"}); len(findings) != 0 || scanned != 7 {
		t.Errorf("findings in team = %+v of %d, want none of 7", findings, scanned)
	}
	if _, scanned := audit(e.as(""), wire.AuditRequest{Policy: noNetwork}); scanned != 4 {
		t.Errorf("an anonymous caller audits %d versions, want those of public packages", scanned)
	}
	checkfile := "validate:\n  allow_wasi: false\n"
	if findings, _ := audit(e, wire.AuditRequest{Policy: checkfile, Query: "kind:module"}); len(findings) != 2 {
		t.Errorf("findings of a checkfile without WASI = %+v, want the two commands", findings)
	}
	p := e.refused(e.do("POST", "/audit", wire.AuditRequest{Policy: noNetwork, Query: "size:<"}), wire.CodeInvalidQuery)
	if p.Column == 0 || p.Parameter != "query" {
		t.Errorf("problem of the query = %+v, want a column", p)
	}
	e.refused(e.do("POST", "/audit", wire.AuditRequest{Policy: "rules: 1"}), wire.CodeInvalidPolicy)
	e.refused(e.do("POST", "/audit", wire.AuditRequest{Policy: noNetwork, Cursor: "AAAA"}), wire.CodeInvalidCursor)
	first := read[wire.AuditResult](e, "POST", "/audit", wire.AuditRequest{Policy: noNetwork, Limit: 1})
	e.refused(e.do("POST", "/audit", wire.AuditRequest{Policy: scoped, Cursor: first.Next}), wire.CodeInvalidCursor)
}

func TestDryRun(t *testing.T) {
	e := stocked(t).as("root")
	e.refused(e.as("ann").do("POST", "/policies/dry-run", wire.DryRunRequest{}), wire.CodeForbidden)
	dry := func(r wire.DryRunRequest) []wire.Finding {
		return read[wire.AuditResult](e, "POST", "/policies/dry-run", r).Items
	}
	if got := dry(wire.DryRunRequest{}); len(got) != 0 {
		t.Errorf("findings without policies = %+v, want none", got)
	}
	if got := dry(wire.DryRunRequest{Source: noNetwork}); len(got) != 1 || got[0].Package != "public:command" {
		t.Errorf("findings of a source = %+v, want public:command", got)
	}
	scoped := strings.Replace(noNetwork, "rules:", "scope: {repositories: [\"team/**\"]}\nrules:", 1)
	if got := dry(wire.DryRunRequest{Source: scoped}); len(got) != 0 {
		t.Errorf("findings of a policy about team = %+v, want none", got)
	}
	read[wire.Policy](e, "PUT", "/policies/no-network", wire.PolicyRequest{Source: noNetwork})
	e.settled()
	for _, r := range []wire.DryRunRequest{{Name: "no-network"}, {}, {Action: "push"}} {
		if got := dry(r); len(got) != 1 || got[0].Outcome != wire.VerdictDeny {
			t.Errorf("findings of %+v = %+v, want one", r, got)
		}
	}
	e.refused(e.do("POST", "/policies/dry-run", wire.DryRunRequest{Name: "none"}), wire.CodeNotFound)
	e.refused(e.do("POST", "/policies/dry-run", wire.DryRunRequest{Name: "a", Source: "b"}), wire.CodeInvalidPolicy)

	// What was approved is not refused.
	v := get[wire.VersionInfo](e, "/packages/public:command/versions/1.1.0")
	read[wire.Approval](e, "POST", "/approvals", wire.ApprovalRequest{
		Package: "public:command", Digest: v.Digest,
		Rule: "no-network/sockets", Reason: "ours",
	})
	if got := dry(wire.DryRunRequest{}); len(got) != 0 {
		t.Errorf("findings after an approval = %+v, want none", got)
	}
}

func TestRefusalsAreKept(t *testing.T) {
	e := stocked(t).as("root")
	read[wire.Policy](e, "PUT", "/policies/no-network", wire.PolicyRequest{Source: noNetwork})
	e.waitFor(func() bool {
		return get[wire.VersionInfo](e, "/packages/public:command/versions/1.1.0").Verdict == wire.VerdictDeny
	})
	v := get[wire.VersionInfo](e, "/packages/public:command/versions/1.1.0")
	if len(v.Reasons) != 1 || v.Reasons[0].Rule != "sockets" {
		t.Errorf("reasons = %+v, want the rule", v.Reasons)
	}
	d := e.refusedPush("team/new", wasm(t, hosts+"command-socket.wasm"), "1.0.0")
	decisions := all[wire.Decision](e, "/decisions?package=team:new", 1)
	if len(decisions) == 0 || decisions[0].Digest != d || decisions[0].Outcome != wire.VerdictDeny || decisions[0].Principal != "pusher" ||
		len(decisions[0].Violations) != 1 {
		t.Errorf("decisions = %+v, want the refusal", decisions)
	}
	if got := all[wire.Decision](e, "/decisions?outcome=deny&digest="+d.String(), 10); len(got) == 0 {
		t.Error("no refusal is found by its digest")
	}
	held := all[wire.Quarantine](e, "/quarantine", 1)
	if len(held) != 1 || held[0].Repository != "team/new" || held[0].Digest != d || held[0].Uploader != "pusher" || held[0].Decision == 0 {
		t.Errorf("quarantine = %+v, want team/new", held)
	}
	e.refused(e.do("GET", "/packages/team:new/versions/"+d.String(), nil), wire.CodeNotFound)
}

func TestReindex(t *testing.T) {
	e := stocked(t).as("root")
	if got := read[wire.Reindexed](e, "POST", "/reindex", wire.ReindexRequest{}); got.Enqueued < 9 {
		t.Errorf("reindex of everything = %+v, want 9 or more", got)
	}
	e.settled()
	if got := read[wire.Reindexed](e, "POST", "/reindex", wire.ReindexRequest{Package: "team:filter"}); got.Enqueued < 2 {
		t.Errorf("reindex of a package = %+v, want 2 or more", got)
	}
	e.refused(e.do("POST", "/reindex", wire.ReindexRequest{Package: "team:none"}), wire.CodeNotFound)
	e.refused(e.do("POST", "/reindex", wire.ReindexRequest{Digest: "sha256:" + wire64}), wire.CodeConflict)
}

// The index follows what people say about tags.
func TestNoticesAreFound(t *testing.T) {
	e := stocked(t)
	read[wire.VersionInfo](e, "POST", "/packages/team:filter/versions/1.1.0/yank", wire.NoticeRequest{Reason: "x"})
	e.settled()
	got := get[wire.SearchResult](e, "/search?q=is:yanked")
	if d := cmp.Diff([]string{"team:filter@1.1.0"}, packagesOf(got.Items)); d != "" {
		t.Errorf("what is yanked (-want +got):\n%s", d)
	}
	got = get[wire.SearchResult](e, "/search?q=is:latest+name:filter")
	if d := cmp.Diff([]string{"team:filter@1.0.0"}, packagesOf(got.Items)); d != "" {
		t.Errorf("what is latest (-want +got):\n%s", d)
	}
}
