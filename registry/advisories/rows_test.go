package advisories_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wreg-project/wreg/registry/advisories"
	"github.com/wreg-project/wreg/sbom"
	"github.com/wreg-project/wreg/sbom/evidence"
	"github.com/wreg-project/wreg/sbom/version"
	"github.com/wreg-project/wreg/sbom/vuln/reach"
	"github.com/wreg-project/wreg/storage/meta"
)

// answers is a Code that says the same of everything.
type answers reach.Result

func (a answers) Query(_ *sbom.Unit, queries []reach.Query) []reach.Result {
	return slices.Repeat([]reach.Result{reach.Result(a)}, len(queries))
}

func stored(t *testing.T, name, v, class string) meta.Coordinate {
	t.Helper()
	c := meta.Coordinate{Ecosystem: "cargo", Name: name, Version: v, Class: class}
	if class == "proven" || class == advisories.Declared {
		key, ok := version.Key(evidence.Cargo, v)
		if !ok {
			t.Fatalf("version %q has no key", v)
		}
		c.Key = key
	}
	return c
}

func TestScan(t *testing.T) {
	db := openSQLite(t)
	put(t, db, "feed",
		record("RUSTSEC-0000-0001", "time", "0.2.23", "CVE-0000-0001"), record("GHSA-x", "time", "0.2.30", "CVE-0000-0001"),
		record("RUSTSEC-0000-0002", "time", "0.1.0"), record("RUSTSEC-0000-0003", "serde", "2.0.0"))
	inferred := evidence.Component{Ecosystem: evidence.Cargo, Name: "serde", Requirement: "^1.0", Class: evidence.Inferred}
	named := evidence.Component{Ecosystem: evidence.Cargo, Name: "serde", Class: evidence.Named}
	git := crate("time", "0.2.24")
	git.Commit, git.Source = "0123456789", "git+https://example.org/Time.git"
	row := func(c meta.Coordinate, r meta.Reach, ruledOut bool) meta.Finding {
		return meta.Finding{Advisory: "RUSTSEC-0000-0001", Component: c, Reach: r, RuledOut: ruledOut, Severity: 75, FirstSeen: now}
	}
	tests := []struct {
		name       string
		files      []advisories.File
		components []meta.Coordinate
		findings   []meta.Finding
	}{
		{name: "nothing has no rows"},
		{
			name:       "advisories of several databases are one finding, by the id of the ecosystem's own",
			files:      []advisories.File{{Document: document(crate("time", "0.1.40"))}},
			components: []meta.Coordinate{stored(t, "time", "0.1.40", "proven")},
			findings:   []meta.Finding{row(stored(t, "time", "0.1.40", "proven"), meta.ReachUnknown, false)},
		},
		{
			name: "of several files the highest reach counts, and what one of them does not rule out is not",
			files: []advisories.File{
				{Document: document(crate("time", "0.1.40")), Code: answers{Level: reach.Present, Conclusive: true}},
				{Document: document(crate("time", "0.1.40")), Code: answers{Level: reach.Linked}},
			},
			components: []meta.Coordinate{stored(t, "time", "0.1.40", "proven")},
			findings:   []meta.Finding{row(stored(t, "time", "0.1.40", "proven"), meta.ReachLinked, false)},
		},
		{
			name: "what all of them rule out is",
			files: []advisories.File{
				{Document: document(crate("time", "0.1.40")), Code: answers{Level: reach.Present, Conclusive: true}},
				{Document: document(crate("time", "0.1.40")), Code: answers{Level: reach.SymbolLinked, Conclusive: true}},
			},
			components: []meta.Coordinate{stored(t, "time", "0.1.40", "proven")},
			findings:   []meta.Finding{row(stored(t, "time", "0.1.40", "proven"), meta.ReachSymbolLinked, true)},
		},
		{
			name:  "what is inferred or known by name has components without a key, and no findings",
			files: []advisories.File{{Document: document(inferred, named)}},
			components: []meta.Coordinate{
				{Ecosystem: "cargo", Name: "serde", Class: "named"}, {Ecosystem: "cargo", Name: "serde", Version: "^1.0", Class: "inferred"},
			},
		},
		{
			name: "what a publisher declares is apart",
			files: []advisories.File{
				{Document: document(crate("time", "0.1.40")), Declared: true}, {Document: document(crate("time", "0.3.0"))},
			},
			components: []meta.Coordinate{stored(t, "time", "0.1.40", "declared"), stored(t, "time", "0.3.0", "proven")},
			findings:   []meta.Finding{row(stored(t, "time", "0.1.40", "declared"), meta.ReachUnknown, false)},
		},
		{
			name:  "a commit stands beside the component",
			files: []advisories.File{{Document: document(git)}},
			components: []meta.Coordinate{
				stored(t, "time", "0.2.24", "proven"),
				{Ecosystem: "git", Name: "example.org/time", Version: "0123456789", Class: advisories.Commit},
			},
			findings: []meta.Finding{{
				Advisory: "GHSA-x", Component: stored(t, "time", "0.2.24", "proven"), Severity: 75, FirstSeen: now,
			}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, err := advisories.Scan(t.Context(), advisories.New(db, advisories.Options{}), tt.files, now)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.components, r.Components); diff != "" {
				t.Errorf("Scan: components (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.findings, r.Findings); diff != "" {
				t.Errorf("Scan: findings (-want +got):\n%s", diff)
			}
			if len(r.Reports) != len(tt.files) {
				t.Errorf("Scan: %d reports of %d files", len(r.Reports), len(tt.files))
			}
		})
	}
}
