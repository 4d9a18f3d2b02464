package catalog

import (
	"bytes"
	"compress/zlib"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/registry"
	"github.com/wreg-project/wreg/registry/catalog/wire"
	"github.com/wreg-project/wreg/registry/policy"
	"github.com/wreg-project/wreg/sbom"
	"github.com/wreg-project/wreg/sbom/cyclonedx"
	"github.com/wreg-project/wreg/sbom/spdx"
	"github.com/wreg-project/wreg/sbom/vuln"
	"github.com/wreg-project/wreg/signing"
	"github.com/wreg-project/wreg/signing/attest"
	"github.com/wreg-project/wreg/storage/meta"
)

// crates makes a core module with the list of dependencies that cargo-auditable
// embeds: names and versions in turn.
func crates(tb testing.TB, list ...string) []byte {
	tb.Helper()
	type entry struct {
		Name    string `json:"name"`
		Version string `json:"version"`
		Source  string `json:"source"`
		Root    bool   `json:"root,omitempty"`
	}
	entries := []entry{{Name: "app", Version: "1.0.0", Source: "local", Root: true}}
	for i := 0; i+1 < len(list); i += 2 {
		entries = append(entries, entry{Name: list[i], Version: list[i+1], Source: "crates.io"})
	}
	text, err := json.Marshal(map[string]any{"packages": entries})
	if err != nil {
		tb.Fatal(err)
	}
	var packed bytes.Buffer
	w := zlib.NewWriter(&packed)
	if _, err := w.Write(text); err != nil {
		tb.Fatal(err)
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	body := append([]byte("\x07.dep-v0"), packed.Bytes()...)
	head := []byte{0, byte(len(body)) | 0x80, byte(len(body) >> 7)}
	return slices.Concat([]byte("\x00asm\x01\x00\x00\x00"), head, body)
}

// advise stores records of advisories about crates: id, alias, crate and the
// version with a fix in turn.
func (e *env) advise(records ...[4]string) {
	e.Helper()
	var rows []meta.NewAdvisory
	for _, r := range records {
		text := fmt.Sprintf(`{"id":%q,"aliases":[%q],"modified":"2026-05-01T00:00:00Z","published":"2026-04-01T00:00:00Z","summary":"It breaks.",`+
			`"affected":[{"package":{"ecosystem":"crates.io","name":%q},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":%q}]}],`+
			`"database_specific":{"cvss":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}}]}`, r[0], r[1], r[2], r[3])
		a, err := vuln.Parse([]byte(text))
		if err != nil {
			e.Fatal(err)
		}
		body, err := json.Marshal(a)
		if err != nil {
			e.Fatal(err)
		}
		row := meta.NewAdvisory{Digest: digest.FromString(text), Advisory: meta.Advisory{
			ID: a.ID, Modified: a.Modified, Aliases: a.Aliases, Body: body,
		}}
		for _, p := range a.Packages() {
			row.Packages = append(row.Packages, meta.EcosystemPackage{Ecosystem: string(p.Ecosystem), Name: p.Name})
		}
		rows = append(rows, row)
	}
	err := e.api.Meta.Update(e.Context(), func(ctx context.Context, tx meta.Tx) error {
		if _, err := tx.PutAdvisories(ctx, "https://feeds.example/secret.zip", rows); err != nil {
			return err
		}
		return tx.PutFeed(ctx, meta.Feed{
			Source: "https://feeds.example/secret.zip", Advisories: int64(len(rows)), Imported: e.api.Clock(), Attempted: e.api.Clock(),
			Error: "a secret problem",
		})
	})
	if err != nil {
		e.Fatal(err)
	}
}

// attach pushes a document as a referrer of a manifest.
func (e *env) attach(repo string, subject digest.Digest, mediaType, text string) {
	e.Helper()
	m, err := e.db.Manifest(e.Context(), repo, subject)
	if err != nil {
		e.Fatal(err)
	}
	for _, content := range []string{"{}", text} {
		d := digest.FromString(content)
		if err := e.reg.PushBlob(e.Context(), repo, d, strings.NewReader(content), int64(len(content)), policy.Principal{}); err != nil {
			e.Fatal(err)
		}
	}
	content := fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"artifactType":%q,`+
		`"config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":%q,"size":2},`+
		`"layers":[{"mediaType":%q,"digest":%q,"size":%d}],"subject":{"mediaType":%q,"digest":%q,"size":%d}}`,
		ociManifest, mediaType, digest.FromString("{}"), mediaType, digest.FromString(text), len(text), m.MediaType, subject, len(m.Content))
	_, err = e.reg.PushManifest(e.Context(), registry.ManifestPush{
		Repo: repo, Digest: digest.FromString(content), ContentType: ociManifest, Content: []byte(content), Caller: policy.Principal{Name: "pusher"},
	})
	if err != nil {
		e.Fatal(err)
	}
}

// advised is a catalog with packages of crates, of which some have
// vulnerabilities: public/app, and team/app and team/old, which not all may read.
func advised(tb testing.TB) *env {
	e := start(tb, nil).as("ann")
	e.advise(
		[4]string{"RUSTSEC-2026-0001", "CVE-2026-1", "serde", "1.0.200"}, [4]string{"RUSTSEC-2026-0002", "CVE-2026-2", "hyper", "1.2.0"},
		[4]string{"RUSTSEC-2026-0003", "CVE-2026-3", "tokio", "1.0.0"},
	)
	e.push("public/app", crates(tb, "serde", "1.0.190", "http", "0.2.11"), nil, "1.0.0")
	e.push("public/app", crates(tb, "serde", "1.0.210"), nil, "1.1.0")
	e.push("team/app", crates(tb, "serde", "1.0.190", "hyper", "1.0.0"), nil, "1.0.0")
	e.push("team/old", crates(tb, "serde", "1.0.100"), nil, "0.1.0")
	e.push("team/data", []byte("no wasm"), nil, "1.0.0")
	e.settled()
	return e
}

func TestBillsOfMaterialsInEveryForm(t *testing.T) {
	e := advised(t)
	path := "/packages/public:app/versions/1.0.0/sbom"
	tests := []struct {
		name, query, accept string
		mediaType, has      string
	}{
		{"our own", "", "", sbom.MediaType, `"schemaVersion":1`},
		{"our own by name", "?format=wreg", "", sbom.MediaType, `"schemaVersion":1`},
		{"our own as JSON", "", "application/json", wire.MediaTypeJSON, `"schemaVersion":1`},
		{"CycloneDX by type", "", cyclonedx.MediaTypeJSON, cyclonedx.MediaTypeJSON, `"specVersion": "1.6"`},
		{"CycloneDX by name", "?format=cyclonedx-1.7-json", "", cyclonedx.MediaTypeJSON, `"specVersion": "1.7"`},
		{"CycloneDX in XML", "?format=cyclonedx-xml", "", cyclonedx.MediaTypeXML, "<bom "},
		{"SPDX by type", "", spdx.MediaTypeJSON, spdx.MediaTypeJSON, `"SPDX-2.3"`},
		{"SPDX with tags", "?format=spdx-tag", "", spdx.MediaTypeTagValue, "SPDXVersion: SPDX-2.3"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := *e
			e.TB = t
			var headers []string
			if tt.accept != "" {
				headers = []string{"Accept", tt.accept}
			}
			r := e.status(e.do("GET", path+tt.query, nil, headers...), 200)
			body := string(r.body)
			if got := r.header.Get("Content-Type"); got != tt.mediaType || !strings.Contains(body, tt.has) || !strings.Contains(body, "1.0.190") {
				t.Errorf("%s is of type %q, want %q with %q and serde:\n%.300s", r.call, got, tt.mediaType, tt.has, body)
			}
			again := e.do("GET", path+tt.query, nil, append(headers, "If-None-Match", r.header.Get("ETag"))...)
			if again.status != 304 {
				t.Errorf("%s again = %d, want 304", r.call, again.status)
			}
		})
	}
	e.refused(e.do("GET", path, nil, "Accept", "text/html"), wire.CodeNotAcceptable)
	e.refused(e.do("GET", path+"?format=xlsx", nil), wire.CodeBadRequest)
	e.refused(e.do("GET", path+"?file="+digest.FromString("none").String(), nil), wire.CodeNotAnalysed)
	e.refused(e.do("GET", "/packages/team:data/versions/1.0.0/sbom", nil), wire.CodeNotAnalysed)
}

const openVEX = `{"@context":"https://openvex.dev/ns/v0.2.0","@id":"https://example.com/1","author":"ann","timestamp":"2026-05-02T00:00:00Z",
"version":1,"statements":[{"vulnerability":{"name":"CVE-2026-2"},"products":[{"@id":"pkg:oci/app@%s"}],"status":"not_affected",
"justification":"vulnerable_code_not_in_execute_path"}]}`

const declaredBill = `{"bomFormat":"CycloneDX","specVersion":"1.6","components":[
{"type":"library","name":"tokio","version":"0.9.0","purl":"pkg:cargo/tokio@0.9.0"},
{"type":"library","name":"serde","version":"1.0.190","purl":"pkg:cargo/serde@1.0.190"},
{"type":"library","name":"hyper","version":"1.5.0","purl":"pkg:cargo/hyper@1.5.0"}]}`

func TestVulnerabilitiesWithWhatIsAttached(t *testing.T) {
	e := advised(t)
	path := "/packages/team:app/versions/1.0.0"
	subject := get[wire.VersionInfo](e, path).Digest
	e.attach("team/app", subject, "application/vnd.openvex+json", fmt.Sprintf(openVEX, subject))
	e.attach("team/app", subject, cyclonedx.MediaTypeJSON, declaredBill)
	e.settled()
	got := get[wire.VulnerabilityReport](e, path+"/vulnerabilities")
	if len(got.Files) != 1 || len(got.Problems) != 0 || got.Truncated {
		t.Fatalf("vulnerabilities = %+v, want those of one file", got)
	}
	name := func(list []wire.Vulnerability) (out []string) {
		for _, v := range list {
			status := ""
			if v.VEX != nil {
				status = " " + v.VEX.Status
			}
			out = append(out, v.ID+" "+v.Aliases[0]+" "+v.PURL+" "+v.Reachable+" fixed in "+strings.Join(v.Fixed, ",")+status)
		}
		slices.Sort(out)
		return out
	}
	want := []string{
		"RUSTSEC-2026-0001 CVE-2026-1 pkg:cargo/serde@1.0.190 unknown fixed in 1.0.200",
		"RUSTSEC-2026-0002 CVE-2026-2 pkg:cargo/hyper@1.0.0 unknown fixed in 1.2.0 not_affected",
	}
	if d := cmp.Diff(want, name(got.Files[0].Findings)); d != "" {
		t.Errorf("findings of the file (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]string{"RUSTSEC-2026-0003 CVE-2026-3 pkg:cargo/tokio@0.9.0 unknown fixed in 1.0.0"}, name(got.Declared)); d != "" {
		t.Errorf("findings of what is declared besides (-want +got):\n%s", d)
	}
	if none := get[wire.VulnerabilityReport](e, path+"/vulnerabilities?reachable=true"); len(none.Files[0].Findings) != 0 {
		t.Errorf("reachable vulnerabilities = %+v, want none: nothing is known of their code", none.Files[0].Findings)
	}
	if all := get[wire.VulnerabilityReport](e, path+"/vulnerabilities?reachable=unknown,false"); len(all.Files[0].Findings) != 2 {
		t.Errorf("vulnerabilities that may be reachable = %+v, want two", all.Files[0].Findings)
	}
	if grave := get[wire.VulnerabilityReport](e, path+"/vulnerabilities?severity=critical"); len(grave.Files[0].Findings) != 2 {
		t.Errorf("critical vulnerabilities = %+v, want two", grave.Files[0].Findings)
	}
	diff := get[wire.SBOMDifference](e, path+"/sbom/difference")
	if !diff.Published || len(diff.NotFound) != 1 || diff.NotFound[0].PURL != "pkg:cargo/tokio@0.9.0" || diff.NotFound[0].Class != "declared" {
		t.Errorf("difference = %+v, want tokio not found", diff)
	}
	versions := []wire.VersionDifference{{Ecosystem: "cargo", Name: "hyper", Declared: []string{"1.5.0"}, Found: []string{"1.0.0"}}}
	if d := cmp.Diff(versions, diff.Versions); d != "" {
		t.Errorf("versions that differ (-want +got):\n%s", d)
	}
	info := get[wire.VersionInfo](e, path)
	if info.SBOM == nil || !info.SBOM.Published || info.SBOM.Components != 4 || info.Vulnerabilities.Critical != 2 {
		t.Errorf("summary of the version = %+v, %+v; want four components and two vulnerabilities without the one that VEX rules out",
			info.SBOM, info.Vulnerabilities)
	}
	if none := get[wire.SBOMDifference](e, "/packages/public:app/versions/1.0.0/sbom/difference"); none.Published || len(none.NotFound) != 0 {
		t.Errorf("difference to nothing = %+v, want it empty", none)
	}
	e.refused(e.do("GET", "/packages/team:data/versions/1.0.0/vulnerabilities", nil), wire.CodeNotAnalysed)
	e.refused(e.do("GET", path+"/vulnerabilities?severity=awful", nil), wire.CodeBadRequest)
}

func TestAdvisoriesAndComponentsAreOfWhatMayBeRead(t *testing.T) {
	e := advised(t)
	uses := func(e *env, path string, n int) (out []string) {
		for _, u := range all[wire.AdvisoryUse](e, path, n) {
			out = append(out, u.Package+" "+strings.Join(u.Tags, ",")+" "+u.Findings[0].Component.PURL+" "+u.Findings[0].Level)
		}
		slices.Sort(out)
		return out
	}
	components := func(e *env, purl string, n int) (out []string) {
		for _, u := range all[wire.ComponentUse](e, "/components?purl="+url.QueryEscape(purl), n) {
			for _, c := range u.Components {
				out = append(out, u.Package+" "+strings.Join(u.Tags, ",")+" "+c.PURL)
			}
		}
		slices.Sort(out)
		return out
	}
	count := func(e *env, name string) int64 { return get[wire.Advisory](e, "/advisories/"+name).Users.Count }
	search := func(e *env, query string) int64 {
		return get[wire.SearchResult](e, "/search?q="+url.QueryEscape(query)).Count
	}
	tests := []struct {
		name, user string
		serde      []string // uses of RUSTSEC-2026-0001
		below      []string // components serde@<1.0.200
		counts     [2]int64 // of CVE-2026-1 and CVE-2026-2
	}{
		{
			"everything", "ann",
			[]string{
				"public:app 1.0.0 pkg:cargo/serde@1.0.190 unknown", "team:app 1.0.0 pkg:cargo/serde@1.0.190 unknown",
				"team:old 0.1.0 pkg:cargo/serde@1.0.100 unknown",
			},
			[]string{
				"public:app 1.0.0 pkg:cargo/serde@1.0.190", "team:app 1.0.0 pkg:cargo/serde@1.0.190", "team:old 0.1.0 pkg:cargo/serde@1.0.100",
			},
			[2]int64{3, 1},
		},
		{
			"what is public", "",
			[]string{"public:app 1.0.0 pkg:cargo/serde@1.0.190 unknown"},
			[]string{"public:app 1.0.0 pkg:cargo/serde@1.0.190"},
			[2]int64{1, 0},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := e.as(tt.user)
			e.TB = t
			for _, name := range []string{"RUSTSEC-2026-0001", "CVE-2026-1"} {
				for _, n := range []int{1, 2, 10} {
					if d := cmp.Diff(tt.serde, uses(e, "/advisories/"+name+"/packages", n)); d != "" {
						t.Errorf("packages with %s in pages of %d (-want +got):\n%s", name, n, d)
					}
				}
			}
			for _, n := range []int{1, 2, 10} {
				if d := cmp.Diff(tt.below, components(e, "pkg:cargo/serde@<1.0.200", n)); d != "" {
					t.Errorf("packages with old serde in pages of %d (-want +got):\n%s", n, d)
				}
			}
			for _, purl := range []string{"serde", "pkg:cargo/serde"} {
				if got := len(components(e, purl, 10)); got != len(tt.below)+1 {
					t.Errorf("packages with %s: %d, want %d", purl, got, len(tt.below)+1)
				}
			}
			for i, name := range []string{"CVE-2026-1", "CVE-2026-2"} {
				if got := count(e, name); got != tt.counts[i] {
					t.Errorf("advisory %s counts %d versions, want %d", name, got, tt.counts[i])
				}
				if got := search(e, "vuln:"+name); got != tt.counts[i] {
					t.Errorf("vuln:%s finds %d versions, want %d", name, got, tt.counts[i])
				}
			}
			if got := search(e, "dep:pkg:cargo/serde@<1.0.200"); got != tt.counts[0] {
				t.Errorf("dep: finds %d versions with old serde, want %d", got, tt.counts[0])
			}
		})
	}
	t.Run("what nobody may read is as what is not there", func(t *testing.T) {
		e := e.as("")
		e.TB = t
		for _, path := range []string{"/advisories/CVE-2026-2/packages", "/components?purl=hyper", "/components?purl=pkg:cargo/hyper@*"} {
			hidden := e.status(e.do("GET", path, nil), 200)
			if got := strings.TrimSpace(string(hidden.body)); got != `{"items":[]}` {
				t.Errorf("GET %s = %s, want an empty list without a next", path, got)
			}
		}
		for _, of := range []string{"/sbom", "/sbom/difference", "/vulnerabilities"} {
			e.refused(e.do("GET", "/packages/team:app/versions/1.0.0"+of, nil), wire.CodeUnauthenticated)
		}
		plan := get[wire.SearchResult](e, "/search?explain=true&q="+url.QueryEscape("dep:pkg:cargo/hyper@>0"))
		if plan.Count != 0 || len(plan.Plan) != 1 || plan.Plan[0].Terms != 0 || plan.Plan[0].Count != 0 {
			t.Errorf("plan of a search for what is hidden = %+v, want it to count nothing", plan.Plan)
		}
	})
	e.refused(e.do("GET", "/advisories/CVE-1999-1", nil), wire.CodeNotFound)
	e.refused(e.do("GET", "/advisories/CVE-1999-1/packages", nil), wire.CodeNotFound)
	e.refused(e.do("GET", "/components?purl=pkg:maven/a", nil), wire.CodeInvalidQuery)
	e.refused(e.do("GET", "/components", nil), wire.CodeBadRequest)
	if got := all[wire.ComponentUse](e, "/components?purl=serde&class=declared", 10); len(got) != 0 {
		t.Errorf("declared components = %+v, want none", got)
	}
}

// What a publisher's bill has is a component of the version that it is attached
// to.
func TestDeclaredComponentsAreThoseOfTheirVersion(t *testing.T) {
	e := advised(t)
	subject := get[wire.VersionInfo](e, "/packages/team:app/versions/1.0.0").Digest
	e.attach("team/app", subject, cyclonedx.MediaTypeJSON, declaredBill)
	e.settled()
	got := all[wire.ComponentUse](e, "/components?purl=pkg:cargo/tokio", 10)
	if len(got) != 1 || got[0].Digest != subject || got[0].Package != "team:app" || got[0].Components[0].Class != "declared" ||
		!slices.Equal(got[0].Tags, []string{"1.0.0"}) {
		t.Errorf("users of tokio = %+v, want team:app, which declares it", got)
	}
	if found := get[wire.SearchResult](e, "/search?q=dep:tokio@0.9.0"); found.Count != 1 || found.Items[0].Digest != subject {
		t.Errorf("search for tokio = %+v, want team:app", found)
	}
	if hidden := all[wire.ComponentUse](e.as(""), "/components?purl=pkg:cargo/tokio", 10); len(hidden) != 0 {
		t.Errorf("an anonymous caller is told of %+v", hidden)
	}
}

// attest hangs a statement about a manifest that the key release signed on subject.
func (e *env) attest(repo string, about, subject digest.Digest, predicateType, predicate string) {
	e.Helper()
	text, err := signing.Sign(e.Context(), signing.Statement{
		Subject: []signing.Subject{signing.SubjectOf("app", about)}, PredicateType: predicateType, Predicate: json.RawMessage(predicate),
	}, e.release)
	if err != nil {
		e.Fatal(err)
	}
	e.attach(repo, subject, signing.MediaTypeBundle, string(text))
}

// What is attested by a key that is trusted counts, with who that was; where the same
// bundle hangs on another version it is listed and counts for nothing.
func TestAttestedDocumentsAreShownWithWhoAttestsThem(t *testing.T) {
	e := advised(t)
	version := func(pkg string) digest.Digest {
		return get[wire.VersionInfo](e, "/packages/"+pkg+"/versions/1.0.0").Digest
	}
	e.push("team/other", crates(t, "http", "0.2.11"), nil, "1.0.0")
	e.settled()
	subject, other := version("team:app"), version("team:other")
	e.attest("team/app", subject, subject, attest.TypeOpenVEX, fmt.Sprintf(openVEX, subject))
	e.attest("team/app", subject, subject, attest.TypeCycloneDX, declaredBill)
	e.attest("team/other", subject, other, attest.TypeCycloneDX, declaredBill)
	e.settled()

	path := "/packages/team:app/versions/1.0.0"
	got := get[wire.VulnerabilityReport](e, path+"/vulnerabilities")
	var by []string
	for _, v := range got.Files[0].Findings {
		if v.VEX != nil {
			by = append(by, v.Aliases[0]+" "+v.VEX.Status+" by "+v.VEX.AttestedBy)
		}
	}
	if d := cmp.Diff([]string{"CVE-2026-2 not_affected by release"}, by); d != "" {
		t.Errorf("statements (-want +got):\n%s", d)
	}
	if len(got.Declared) != 1 || got.Declared[0].ID != "RUSTSEC-2026-0003" || len(got.Problems) != 0 {
		t.Errorf("findings of what is declared = %+v, problems %q; want one about tokio", got.Declared, got.Problems)
	}
	documents := func(list []wire.PublishedDocument) (out []string) {
		for _, d := range list {
			out = append(out, fmt.Sprintf("%s %s attested %t by %s, problem %t", d.Kind, d.Type, d.Attested, d.AttestedBy, d.Problem != ""))
		}
		slices.Sort(out)
		return out
	}
	want := []string{
		"sbom https://cyclonedx.org/bom attested true by release, problem false", "vex https://openvex.dev/ns attested true by release, problem false",
	}
	if d := cmp.Diff(want, documents(got.Documents)); d != "" {
		t.Errorf("documents (-want +got):\n%s", d)
	}
	diff := get[wire.SBOMDifference](e, path+"/sbom/difference")
	if d := cmp.Diff(want[:1], documents(diff.Documents)); d != "" || !diff.Published {
		t.Errorf("documents of the difference, published %t (-want +got):\n%s", diff.Published, d)
	}

	diff = get[wire.SBOMDifference](e, "/packages/team:other/versions/1.0.0/sbom/difference")
	want = []string{"sbom https://cyclonedx.org/bom attested true by , problem true"}
	if d := cmp.Diff(want, documents(diff.Documents)); d != "" || diff.Published || len(diff.Problems) != 1 {
		t.Errorf("documents of the other version, published %t, problems %q (-want +got):\n%s", diff.Published, diff.Problems, d)
	}
	for _, call := range []string{"/components?purl=pkg:cargo/tokio", "/advisories/RUSTSEC-2026-0003/packages"} {
		var users []string
		for _, u := range all[wire.AdvisoryUse](e, call, 10) {
			users = append(users, u.Package+" "+strings.Join(u.Tags, ","))
		}
		if d := cmp.Diff([]string{"team:app 1.0.0"}, users); d != "" {
			t.Errorf("GET %s (-want +got):\n%s", call, d)
		}
	}
}

func TestRecordsAndFeeds(t *testing.T) {
	e := advised(t)
	got := get[wire.Advisory](e, "/advisories/CVE-2026-1")
	if got.ID != "RUSTSEC-2026-0001" || !slices.Equal(got.Aliases, []string{"CVE-2026-1"}) || got.Severity.Rating != "critical" ||
		len(got.Affected) != 1 || got.Affected[0].Name != "serde" || got.Affected[0].Ranges[0].Events[1].Fixed != "1.0.200" {
		t.Errorf("advisory = %+v, want the record about serde", got)
	}
	for user, sees := range map[string]bool{"": false, "ann": false, "root": true} {
		feeds := get[wire.FeedList](e.as(user), "/advisories")
		if len(feeds.Items) != 1 || feeds.Behind || feeds.Items[0].Advisories != 3 || !feeds.Items[0].Failed || feeds.Items[0].Imported.IsZero() {
			t.Fatalf("feeds for %q = %+v, want one with three advisories", user, feeds)
		}
		if f := feeds.Items[0]; (f.Source != "") != sees || (f.Problem != "") != sees {
			t.Errorf("feeds for %q show %q and %q, want them shown: %t", user, f.Source, f.Problem, sees)
		}
	}
}
