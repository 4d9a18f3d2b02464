package catalog

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wreg-project/wreg/registry/catalog/wire"
)

// Whoever may not read a package learns nothing of it, as in the registry's other
// API.
func TestWhoLearnsWhat(t *testing.T) {
	e := start(t, nil)
	e.push("public/app", []byte("a"), nil, "1.0.0")
	e.push("team/app", []byte("b"), nil, "1.0.0")
	tests := []struct {
		name   string
		user   string
		method string
		path   string
		body   any
		want   wire.Code // "" for success
	}{
		{"anybody gets the document", "", "GET", "/openapi.json", nil, ""},
		{"anybody lists what is public", "", "GET", "/packages", nil, ""},
		{"anybody reads what is public", "", "GET", "/packages/public:app", nil, ""},
		{"what is public and absent is not found", "", "GET", "/packages/public:none", nil, wire.CodeNotFound},
		{"anybody is asked to log in for what is not public", "", "GET", "/packages/team:app", nil, wire.CodeUnauthenticated},
		{"the same where there is nothing", "", "GET", "/packages/team:none", nil, wire.CodeUnauthenticated},
		{"whoever logged in reads it", "ann", "GET", "/packages/team:app", nil, ""},
		{"whoever logged in is told that there is nothing", "ann", "GET", "/packages/team:none", nil, wire.CodeNotFound},
		{"anybody may not yank", "", "POST", "/packages/public:app/versions/1.0.0/yank", wire.NoticeRequest{}, wire.CodeUnauthenticated},
		{"whoever may push may yank", "ann", "POST", "/packages/public:app/versions/1.0.0/yank", wire.NoticeRequest{}, ""},
		{"policies are for administrators", "ann", "GET", "/policies", nil, wire.CodeForbidden},
		{"anybody is asked to log in for policies", "", "GET", "/policies", nil, wire.CodeUnauthenticated},
		{"anybody gets the keys of the installation", "", "GET", "/keys", nil, ""},
		{"who is trusted is for administrators", "ann", "GET", "/trust", nil, wire.CodeForbidden},
		{"anybody is asked to log in for it", "", "GET", "/trust", nil, wire.CodeUnauthenticated},
		{"whoever approves may not change it", "boss", "PUT", "/trust/key", wire.TrustRequest{Kind: "key", Content: "x"}, wire.CodeForbidden},
		{"nor remove anything", "boss", "DELETE", "/trust/key", nil, wire.CodeForbidden},
		{"anybody reads signatures of what is public", "", "GET", "/packages/public:app/versions/1.0.0/signatures", nil, ""},
		{"and is asked to log in for others", "", "GET", "/packages/team:app/versions/1.0.0/signatures", nil, wire.CodeUnauthenticated},
		{"an administrator sees policies", "root", "GET", "/policies", nil, ""},
		{"jobs are for administrators", "boss", "GET", "/jobs", nil, wire.CodeForbidden},
		{"an administrator sees jobs", "root", "GET", "/jobs", nil, ""},
		{"decisions name people and are not for anybody", "", "GET", "/decisions", nil, wire.CodeUnauthenticated},
		{"those of a public version too", "", "GET", "/packages/public:app/versions/1.0.0/decisions", nil, wire.CodeUnauthenticated},
		{"whoever logged in sees decisions", "ann", "GET", "/decisions", nil, ""},
		{"whoever logged in may not approve", "ann", "POST", "/approvals", approval("team:app"), wire.CodeForbidden},
		{"an approver may", "boss", "POST", "/approvals", approval("team:app"), ""},
		{"a diff needs both sides to be readable", "", "GET", "/diff?from=public:app@1.0.0&to=team:app@1.0.0", nil, wire.CodeUnauthenticated},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := *e.as(tt.user)
			e.TB = t
			r := e.do(tt.method, tt.path, tt.body)
			if tt.want == "" {
				if r.status > 299 {
					t.Fatalf("%s = %d, want success\n%s", r.call, r.status, r.body)
				}
				return
			}
			e.refused(r, tt.want)
			if challenge := r.header.Get("WWW-Authenticate"); (challenge != "") != (r.status == 401) {
				t.Errorf("%s = %d with challenge %q", r.call, r.status, challenge)
			}
		})
	}
}

func approval(pkg string) wire.ApprovalRequest {
	return wire.ApprovalRequest{Package: pkg, Digest: "sha256:" + wire64, Reason: "we know it"}
}

const wire64 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func TestListingsShowWhatMayBeRead(t *testing.T) {
	e := start(t, nil)
	for _, repo := range []string{"public/a", "public/b", "publicity/c", "team/d"} {
		e.push(repo, []byte(repo), nil, "1.0.0")
	}
	names := func(e *env) (list []string) {
		for _, p := range all[wire.Package](e, "/packages", 1) {
			list = append(list, p.Name)
		}
		return list
	}
	if diff := cmp.Diff([]string{"public:a", "public:b"}, names(e)); diff != "" {
		t.Errorf("packages of an anonymous caller (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"public:a", "public:b", "publicity:c", "team:d"}, names(e.as("ann"))); diff != "" {
		t.Errorf("packages of ann (-want +got):\n%s", diff)
	}
}

func TestRefusals(t *testing.T) {
	e := start(t, nil).as("root")
	e.push("team/app", []byte("a"), nil, "1.0.0")
	const yank = "/packages/team:app/versions/1.0.0/yank"
	big := `{"reason":"` + strings.Repeat("x", smallBody) + `"}`
	tests := []struct {
		name    string
		method  string
		path    string
		body    any
		headers []string
		want    wire.Code
		at      int64 // of Offset; -1 for none
	}{
		{"an address that is none", "GET", "/nothing", nil, nil, wire.CodeNotFound, -1},
		{"the address of a folder", "GET", "/packages/", nil, nil, wire.CodeNotFound, -1},
		{"a method that an address has not", "DELETE", "/packages", nil, nil, wire.CodeMethod, -1},
		{"the method of a longer path", "GET", yank, nil, nil, wire.CodeMethod, -1},
		{"words before parameters", "PUT", "/policies/dry-run", wire.PolicyRequest{}, nil, wire.CodeMethod, -1},
		{"a parameter that is none", "GET", "/packages?limt=3", nil, nil, wire.CodeBadRequest, -1},
		{"a parameter that comes twice", "GET", "/packages?limit=3&limit=4", nil, nil, wire.CodeBadRequest, -1},
		{"a limit that is no number", "GET", "/packages?limit=ten", nil, nil, wire.CodeBadRequest, -1},
		{"a limit of nothing", "GET", "/packages?limit=0", nil, nil, wire.CodeBadRequest, -1},
		{"a limit beyond all limits", "GET", "/packages?limit=1001", nil, nil, wire.CodeBadRequest, -1},
		{"a number with a plus", "GET", "/packages?limit=%2B3", nil, nil, wire.CodeBadRequest, -1},
		{"more facets than are counted", "GET", "/search?facets=is,is,is,is,is,is,is,is,is", nil, nil, wire.CodeBadRequest, -1},
		{"half a number", "POST", "/audit", `{"policy":"x","limit":1.5}`, nil, wire.CodeBadRequest, 25},
		{"a number in another spelling", "POST", "/audit", `{"policy":"x","limit":1e1}`, nil, wire.CodeInvalidPolicy, -1},
		{"a number beyond all limits", "POST", "/audit", `{"policy":"x","limit":1e30}`, nil, wire.CodeBadRequest, 26},
		{"a zero byte", "GET", "/interfaces?prefix=a%00", nil, nil, wire.CodeBadRequest, -1},
		{"no UTF-8", "GET", "/interfaces?prefix=%ff", nil, nil, wire.CodeBadRequest, -1},
		{"a semicolon", "GET", "/packages?limit=3;cursor=", nil, nil, wire.CodeBadRequest, -1},
		{"a name that no package has", "GET", "/packages/Team:app", nil, nil, wire.CodeBadRequest, -1},
		{"a version that is none", "GET", "/packages/team:app/versions/a%20b", nil, nil, wire.CodeBadRequest, -1},
		{"a digest cut short", "GET", "/packages/team:app/versions/sha256:abc", nil, nil, wire.CodeBadRequest, -1},
		{"a cursor made up", "GET", "/packages?cursor=AAAA", nil, nil, wire.CodeInvalidCursor, -1},
		{"a media type that we have not", "GET", "/packages", nil, []string{"Accept", "text/html"}, wire.CodeNotAcceptable, -1},
		{"a media type of no weight", "GET", "/packages", nil, []string{"Accept", "application/json;q=0, text/html"}, wire.CodeNotAcceptable, -1},
		{"a body that is not JSON by its type", "POST", yank, "{}", []string{"Content-Type", "text/plain"}, wire.CodeMediaType, -1},
		{"a body of another charset", "POST", yank, "{}", []string{"Content-Type", "application/json; charset=latin1"}, wire.CodeMediaType, -1},
		{"a body that is too large", "POST", yank, big, nil, wire.CodeTooLarge, -1},
		{"a page of another origin", "POST", yank, "{}", []string{"Origin", "https://evil.example"}, wire.CodeCrossOrigin, -1},
		{"the same by what browsers say", "POST", yank, "{}", []string{"Sec-Fetch-Site", "cross-site"}, wire.CodeCrossOrigin, -1},
		{"no body", "POST", yank, "", nil, wire.CodeBadRequest, 0},
		{"half a body", "POST", yank, `{"reason":`, nil, wire.CodeBadRequest, 10},
		{"a field that is none", "POST", yank, `{"raison":""}`, nil, wire.CodeBadRequest, 9},
		{"a field in other letters", "POST", yank, `{"Reason":""}`, nil, wire.CodeBadRequest, 9},
		{"a field that comes twice", "POST", yank, `{"reason":"","reason":""}`, nil, wire.CodeBadRequest, 21},
		{"null", "POST", yank, `{"reason":null}`, nil, wire.CodeBadRequest, 14},
		{"a number where a text belongs", "POST", yank, `{"reason":1}`, nil, wire.CodeBadRequest, 11},
		{"an object where a text belongs", "POST", yank, `{"reason":{}}`, nil, wire.CodeBadRequest, 11},
		{"an array around it", "POST", yank, `[{}]`, nil, wire.CodeBadRequest, 1},
		{"a second value", "POST", yank, `{}{}`, nil, wire.CodeBadRequest, 3},
		{"a zero byte in a text", "POST", yank, `{"reason":"\u0000"}`, nil, wire.CodeBadRequest, 18},
		{"bytes that are no UTF-8", "POST", yank, "{\"reason\":\"\xff\"}", nil, wire.CodeBadRequest, 11},
		{"a text that is too long", "POST", yank, `{"reason":"` + strings.Repeat("é", 1001) + `"}`, nil, wire.CodeBadRequest, 2014},
		{"a body where none belongs", "POST", "/jobs/999999999/retry", "{}", nil, wire.CodeBadRequest, -1},
		{"a job that is not there", "POST", "/jobs/999999999/retry", nil, nil, wire.CodeNotFound, -1},
		{"a policy that is none", "PUT", "/policies/x", wire.PolicyRequest{Source: "rules: 7"}, nil, wire.CodeInvalidPolicy, -1},
		{"a range that is none", "GET", "/packages/team:app/resolve?range=banana", nil, nil, wire.CodeInvalidRange, -1},
		{"a range without a version", "GET", "/packages/team:app/resolve?range=^2", nil, nil, wire.CodeNotFound, -1},
		{"one side of a diff", "GET", "/diff?from=team:app@1.0.0", nil, nil, wire.CodeBadRequest, -1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := *e
			e.TB = t
			p := e.refused(e.do(tt.method, tt.path, tt.body, tt.headers...), tt.want)
			switch {
			case tt.at < 0 && p.Offset != nil:
				t.Errorf("%s %s: offset %d, want none", tt.method, tt.path, *p.Offset)
			case tt.at >= 0 && (p.Offset == nil || *p.Offset != tt.at):
				t.Errorf("%s %s: problem %+v, want offset %d", tt.method, tt.path, p, tt.at)
			}
		})
	}
}

func TestEntityTags(t *testing.T) {
	e := start(t, nil).as("ann")
	e.push("team/app", []byte("a"), nil, "1.0.0")
	first := e.status(e.do("GET", "/packages", nil), 200)
	tag := first.header.Get("ETag")
	if len(tag) < 10 || tag[0] != '"' || first.header.Get("Cache-Control") != "private, no-cache" {
		t.Fatalf("GET /packages: ETag %q, Cache-Control %q", tag, first.header.Get("Cache-Control"))
	}
	for _, match := range []string{tag, "W/" + tag, `"x", ` + tag, "*"} {
		if r := e.do("GET", "/packages", nil, "If-None-Match", match); r.status != http.StatusNotModified || len(r.body) != 0 {
			t.Errorf("GET /packages with If-None-Match %s = %d of %d bytes, want 304 of none", match, r.status, len(r.body))
		}
	}
	e.push("team/other", []byte("b"), nil, "1.0.0")
	if r := e.do("GET", "/packages", nil, "If-None-Match", tag); r.status != http.StatusOK {
		t.Errorf("GET /packages after a change = %d, want 200", r.status)
	}
	head := e.status(e.do("HEAD", "/packages", nil), 200)
	if len(head.body) != 0 || head.header.Get("Content-Length") == "0" || head.header.Get("ETag") == "" {
		t.Errorf("HEAD /packages = %d bytes, header %v", len(head.body), head.header)
	}
}

// A page is the same again after something was added before it.
func TestCursorsAreStable(t *testing.T) {
	e := start(t, nil).as("ann")
	for _, tag := range []string{"1.0.0", "1.2.0", "1.4.0", "1.6.0"} {
		e.push("team/app", []byte(tag), nil, tag)
	}
	for _, repo := range []string{"team/b", "team/c", "team/e"} {
		e.push(repo, []byte(repo), nil, "1.0.0")
	}
	second := func(path string) []byte {
		t.Helper()
		page := get[wire.List[wire.Version]](e, path+"?limit=2")
		return e.status(e.do("GET", path+"?limit=2&cursor="+page.Next, nil), 200).body
	}
	first := get[wire.List[wire.Version]](e, "/packages/team:app/versions?limit=2")
	versions := e.do("GET", "/packages/team:app/versions?limit=2&cursor="+first.Next, nil).body
	packages := get[wire.List[wire.Package]](e, "/packages?limit=2")
	rest := e.do("GET", "/packages?limit=2&cursor="+packages.Next, nil).body
	e.push("team/app", []byte("1.5.0"), nil, "1.5.0")
	e.push("team/aa", []byte("aa"), nil, "1.0.0")
	if again := e.do("GET", "/packages/team:app/versions?limit=2&cursor="+first.Next, nil).body; string(again) != string(versions) {
		t.Errorf("second page of versions after a push before it:\n%s\nwant\n%s", again, versions)
	}
	if again := e.do("GET", "/packages?limit=2&cursor="+packages.Next, nil).body; string(again) != string(rest) {
		t.Errorf("second page of packages after a push before it:\n%s\nwant\n%s", again, rest)
	}
	if string(second("/packages/team:app/versions")) == string(versions) {
		t.Error("the pages from the start do not have the new version")
	}
	e.refused(e.do("GET", "/packages/team:b/versions?cursor="+first.Next, nil), wire.CodeInvalidCursor)
	e.refused(e.do("GET", "/packages?cursor="+first.Next, nil), wire.CodeInvalidCursor)
}

func TestVersionsAreInOrder(t *testing.T) {
	e := start(t, nil).as("ann")
	tags := []string{"1.10.0", "1.2.0", "1.2.0_build", "latest", "2.0.0-rc.1", "2.0.0-rc.2", "v1.9.0", "1.2", "oci-image-1.10.0"}
	for _, tag := range tags {
		e.push("team/app", []byte(tag), nil, tag)
	}
	want := []string{"1.10.0", "v1.9.0", "1.2.0_build", "1.2.0", "2.0.0-rc.2", "2.0.0-rc.1", "1.2", "latest", "oci-image-1.10.0"}
	for _, n := range []int{1, 2, 100} {
		var got []string
		for _, v := range all[wire.Version](e, "/packages/team:app/versions", n) {
			got = append(got, v.Tag)
			if v.Latest != (v.Tag == "1.10.0") {
				t.Errorf("latest of %s is %v", v.Tag, v.Latest)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("versions in pages of %d (-want +got):\n%s", n, diff)
		}
	}
	v := get[wire.VersionInfo](e, "/packages/team:app/versions/1.2.0_build")
	if v.Version.Version != "1.2.0+build" || v.Prerelease {
		t.Errorf("version of 1.2.0_build is %+v", v.Version)
	}
}

func TestYankingAndDeprecating(t *testing.T) {
	e := start(t, nil).as("ann")
	e.push("public/app", []byte("1"), nil, "1.0.0")
	d := e.push("public/app", []byte("2"), nil, "1.1.0", "also")
	resolved := func() string {
		return get[wire.Resolution](e, "/packages/public:app/resolve?range=^1").Version.Tag
	}
	if got := resolved(); got != "1.1.0" {
		t.Fatalf("^1 is %s, want 1.1.0", got)
	}
	v := read[wire.VersionInfo](e, "POST", "/packages/public:app/versions/1.1.0/yank", wire.NoticeRequest{Reason: "it leaks"})
	if n := v.Notice; n == nil || n.State != wire.NoticeYanked || n.Reason != "it leaks" || n.By != "ann" || n.Time.IsZero() {
		t.Errorf("notice after yank: %+v", v.Notice)
	}
	if got := resolved(); got != "1.0.0" {
		t.Errorf("^1 without 1.1.0 is %s, want 1.0.0", got)
	}
	p := get[wire.PackageInfo](e, "/packages/public:app")
	if p.Latest != "1.0.0" || p.LatestVersion == nil || p.LatestVersion.Tag != "1.0.0" {
		t.Errorf("latest of a package without 1.1.0 is %q", p.Latest)
	}
	if list := all[wire.Package](e, "/packages", 10); len(list) != 1 || list[0].Latest != "1.0.0" {
		t.Errorf("packages without 1.1.0: %+v", list)
	}
	var tags []string
	for _, v := range all[wire.Version](e, "/packages/public:app/versions", 10) {
		tags = append(tags, v.Tag)
	}
	if !slices.Contains(tags, "1.1.0") {
		t.Errorf("versions are %q, want yanked ones too", tags)
	}
	anonymous := get[wire.VersionInfo](e.as(""), "/packages/public:app/versions/1.1.0")
	if anonymous.Notice == nil || anonymous.Notice.By != "" || anonymous.Notice.Reason != "it leaks" {
		t.Errorf("notice for an anonymous caller: %+v, want one without a name", anonymous.Notice)
	}

	// Taking back what nobody said changes nothing.
	v = read[wire.VersionInfo](e, "POST", "/packages/public:app/versions/1.1.0/undeprecate", wire.NoticeRequest{})
	if v.Notice == nil || v.Notice.State != wire.NoticeYanked {
		t.Errorf("notice after undeprecate: %+v, want the yank", v.Notice)
	}
	v = read[wire.VersionInfo](e, "POST", "/packages/public:app/versions/1.1.0/unyank", wire.NoticeRequest{})
	if v.Notice != nil || resolved() != "1.1.0" {
		t.Errorf("notice after unyank: %+v, and ^1 is %s", v.Notice, resolved())
	}

	// A digest stands for all its tags.
	read[wire.VersionInfo](e, "POST", "/packages/public:app/versions/"+d.String()+"/deprecate", wire.NoticeRequest{Reason: "old"})
	for _, tag := range []string{"1.1.0", "also"} {
		if v := get[wire.VersionInfo](e, "/packages/public:app/versions/"+tag); v.Notice == nil || v.Notice.State != wire.NoticeDeprecated {
			t.Errorf("notice of %s: %+v, want it deprecated", tag, v.Notice)
		}
	}
	if got := resolved(); got != "1.1.0" {
		t.Errorf("^1 with 1.1.0 deprecated is %s, want 1.1.0 still", got)
	}
	e.refused(e.do("POST", "/packages/public:app/versions/3.0.0/yank", wire.NoticeRequest{}), wire.CodeNotFound)
}

func TestMetadataComesFromAnnotations(t *testing.T) {
	e := start(t, nil).as("ann")
	d := e.push("team/app", []byte("1"), map[string]string{
		"org.opencontainers.image.description": "Says hello.", "org.opencontainers.image.licenses": "MIT",
		"org.opencontainers.image.source": "https://example.com/src", "org.opencontainers.image.documentation": "https://example.com/doc",
		"io.wreg.readme": "# Hello", "other": "x",
	}, "1.0.0", "stable")
	for _, version := range []string{"1.0.0", "stable", d.String()} {
		v := get[wire.VersionInfo](e, "/packages/team:app/versions/"+version)
		want := wire.Metadata{
			Description: "Says hello.", Licenses: "MIT", Source: "https://example.com/src", Documentation: "https://example.com/doc",
		}
		if diff := cmp.Diff(want, v.Metadata); diff != "" || v.Readme != "# Hello" || v.Annotations["other"] != "x" || v.Digest != d {
			t.Errorf("version %s: readme %q, annotations %q, digest %s, metadata (-want +got):\n%s", version, v.Readme, v.Annotations,
				v.Digest, diff)
		}
		if diff := cmp.Diff([]string{"1.0.0", "stable"}, v.Tags); diff != "" {
			t.Errorf("tags of version %s (-want +got):\n%s", version, diff)
		}
	}
	if v := get[wire.VersionInfo](e, "/packages/team:app/versions/"+d.String()); v.Tag != "1.0.0" {
		t.Errorf("the digest is shown as tag %q, want 1.0.0, its version", v.Tag)
	}
}
