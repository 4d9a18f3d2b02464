package catalog

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wreg-project/wreg/registry/catalog/wire"
)

const smallPolicy = `name: small
rules:
  - name: size
    require: report.size < 1000
    message: no more than 1000 bytes
`

func TestPoliciesAreKeptInVersions(t *testing.T) {
	e := start(t, nil).as("root")
	one := read[wire.Policy](e, "PUT", "/policies/small", wire.PolicyRequest{Source: smallPolicy})
	if one.Version != 1 || one.Author != "root" || one.Source != smallPolicy || one.Created.IsZero() {
		t.Errorf("PUT = %+v, want version 1 of root", one)
	}
	again := read[wire.Policy](e, "PUT", "/policies/small", wire.PolicyRequest{Source: smallPolicy})
	if diff := cmp.Diff(one, again); diff != "" {
		t.Errorf("PUT of the same source (-first +second):\n%s", diff)
	}
	changed := strings.ReplaceAll(smallPolicy, "1000", "2000")
	two := read[wire.Policy](e, "PUT", "/policies/small", wire.PolicyRequest{Source: changed})
	if two.Version != 2 || two.Revision <= one.Revision {
		t.Errorf("PUT of another source = version %d, revision %d, want 2 and more than %d", two.Version, two.Revision, one.Revision)
	}
	if got := get[wire.Policy](e, "/policies/small"); got.Source != changed {
		t.Errorf("GET = %q, want the second", got.Source)
	}
	read[wire.Policy](e, "PUT", "/policies/other", wire.PolicyRequest{Source: strings.Replace(smallPolicy, "name: small\n", "", 1)})
	for _, n := range []int{1, 10} {
		var names []string
		for _, p := range all[wire.Policy](e, "/policies", n) {
			names = append(names, p.Name)
		}
		if diff := cmp.Diff([]string{"other", "small"}, names); diff != "" {
			t.Errorf("policies in pages of %d (-want +got):\n%s", n, diff)
		}
	}
	e.status(e.do("DELETE", "/policies/small", nil), 204)
	e.refused(e.do("GET", "/policies/small", nil), wire.CodeNotFound)
	e.refused(e.do("DELETE", "/policies/small", nil), wire.CodeNotFound)
	for _, n := range []int{1, 10} {
		versions := all[wire.Policy](e, "/policies/small/versions", n)
		if len(versions) != 3 || !versions[0].Deleted || versions[0].Source != "" || versions[2].Source != smallPolicy {
			t.Errorf("versions in pages of %d = %+v, want the deletion and two sources", n, versions)
		}
	}
	e.refused(e.do("GET", "/policies/none/versions", nil), wire.CodeNotFound)
}

func TestPoliciesAreOverwrittenKnowingly(t *testing.T) {
	e := start(t, nil).as("root")
	put := func(source string, headers ...string) reply {
		return e.do("PUT", "/policies/small", wire.PolicyRequest{Source: source}, headers...)
	}
	changed := strings.ReplaceAll(smallPolicy, "1000", "2000")
	e.refused(put(smallPolicy, "If-Match", `"x"`), wire.CodePrecondition)
	e.refused(put(smallPolicy, "If-Match", "*"), wire.CodePrecondition)
	tag := e.status(put(smallPolicy, "If-None-Match", "*"), 200).header.Get("ETag")
	if got := e.do("GET", "/policies/small", nil).header.Get("ETag"); got != tag {
		t.Errorf("ETag of GET is %s, of PUT %s", got, tag)
	}
	e.refused(put(changed, "If-None-Match", "*"), wire.CodePrecondition)
	e.refused(put(changed, "If-Match", `"x"`), wire.CodePrecondition)
	e.refused(put(changed, "If-Match", "W/"+tag), wire.CodePrecondition)
	second := e.status(put(changed, "If-Match", tag), 200).header.Get("ETag")
	e.refused(put(smallPolicy, "If-Match", tag), wire.CodePrecondition)
	e.refused(e.do("DELETE", "/policies/small", nil, "If-Match", tag), wire.CodePrecondition)
	e.status(e.do("DELETE", "/policies/small", nil, "If-Match", second), 204)
}

func TestPoliciesAreCheckedBeforeTheyAreStored(t *testing.T) {
	e := start(t, nil).as("root")
	tests := []struct {
		name         string
		source       string
		line, column int
	}{
		{"no YAML", "name: [", 0, 0},
		{"another name than its own", smallPolicy, 0, 0},
		{"a rule that does not compile", "rules:\n  - name: size\n    require: report.sise < 1\n", 3, 14},
		{"a rule without a condition", "rules:\n  - name: size\n", 2, 5},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := *e
			e.TB = t
			p := e.refused(e.do("PUT", "/policies/test", wire.PolicyRequest{Source: tt.source}), wire.CodeInvalidPolicy)
			if tt.line > 0 && (p.Line != tt.line || p.Column < tt.column) || p.Detail == "" {
				t.Errorf("problem %+v, want line %d and column %d or behind", p, tt.line, tt.column)
			}
			e.refused(e.do("GET", "/policies/test", nil), wire.CodeNotFound)
		})
	}
}

func TestApprovals(t *testing.T) {
	e := start(t, nil).as("boss")
	body := approval("team:app")
	body.Rule = "no-network/sockets"
	made := read[wire.Approval](e, "POST", "/approvals", body)
	if made.By != "boss" || made.Rule != body.Rule || made.Repository != "team/app" || made.Reason != body.Reason {
		t.Errorf("POST = %+v, want an approval of boss", made)
	}
	read[wire.Approval](e, "POST", "/approvals", approval("team:app"))
	read[wire.Approval](e, "POST", "/approvals", approval("team:other"))
	for _, n := range []int{1, 2, 10} {
		if got := all[wire.Approval](e, "/approvals", n); len(got) != 3 || got[0].Repository != "team/other" {
			t.Errorf("approvals in pages of %d = %+v, want three, the newest first", n, got)
		}
	}
	if got := all[wire.Approval](e, "/approvals?package=team:app", 10); len(got) != 2 {
		t.Errorf("approvals in team/app = %+v, want two", got)
	}
	query := "/approvals?package=team:app&digest=" + body.Digest.String() + "&rule=no-network/sockets"
	e.status(e.do("DELETE", query, nil), 204)
	e.refused(e.do("DELETE", query, nil), wire.CodeNotFound)
	if got := all[wire.Approval](e.as("ann"), "/approvals?package=team:app", 10); len(got) != 1 || got[0].Rule != "" {
		t.Errorf("approvals in team/app = %+v, want that of every rule", got)
	}
}
