package scan_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wreg-project/wreg/inspect/wasm"
	"github.com/wreg-project/wreg/sbom"
	"github.com/wreg-project/wreg/sbom/vuln"
	"github.com/wreg-project/wreg/sbom/vuln/reach"
	"github.com/wreg-project/wreg/sbom/vuln/scan"
)

// module is a core module with one data segment, and a name section that calls
// its only function name unless that is "". The function is exported if exported
// is set.
func module(text, name string, exported bool) []byte {
	section := func(id byte, body []byte) []byte { return append([]byte{id, byte(len(body))}, body...) }
	b := []byte("\x00asm\x01\x00\x00\x00")
	b = append(b, section(1, []byte{1, 0x60, 0, 0})...) // type: no parameters, no results
	b = append(b, section(3, []byte{1, 0})...)          // one function
	b = append(b, section(5, []byte{1, 0, 1})...)       // one memory
	if exported {
		b = append(b, section(7, []byte{1, 1, 'f', 0, 0})...) // export "f"
	}
	b = append(b, section(10, []byte{1, 2, 0, 0x0b})...) // its body is empty
	b = append(b, section(11, append([]byte{1, 0, 0x41, 0, 0x0b, byte(len(text))}, text...))...)
	if name != "" {
		names := append([]byte{1, 0, byte(len(name))}, name...)
		sub := append([]byte{1, byte(len(names))}, names...)
		b = append(b, section(0, append([]byte("\x04name"), sub...))...)
	}
	return b
}

const (
	path = "/r/registry/src/index.crates.io-6f17d22bba15001f/time-0.1.40/src/a.rs"

	now = "_ZN4time3now17h0123456789abcdefE" // time::now

	// record is an advisory about time, with a place for what is affected.
	record = `{"id":"RUSTSEC-0000-0001","aliases":["CVE-0000-0001"],"modified":"2026-01-01T00:00:00Z",
"severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H"}],
"affected":[{"package":{"ecosystem":"crates.io","name":"time"},"ecosystem_specific":{"affects":{"functions":[%s]}},
"ranges":[{"type":"SEMVER","events":[{"introduced":"0.0.0-0"},{"fixed":"%s"}]}]}]}`
)

func TestScan(t *testing.T) {
	type found struct {
		ID    string
		Level reach.Level
	}
	tests := []struct {
		name       string
		file       []byte
		functions  string // affected, as JSON
		fixed      string
		want       []found
		vulnerable bool // cannot be ruled out
	}{
		{name: "a version with the fix has no finding", file: module(path, "", false), fixed: "0.1.40"},
		{
			name: "a crate whose source path is there is linked, and no more is known without names", file: module(path, "", false),
			fixed: "0.2.23", want: []found{{"RUSTSEC-0000-0001", reach.Linked}}, vulnerable: true,
		},
		{
			name: "an affected function that is exported is reachable", file: module(path, now, true),
			functions: `"time::now"`, fixed: "0.2.23", want: []found{{"RUSTSEC-0000-0001", reach.Reachable}}, vulnerable: true,
		},
		{
			name: "one that nothing calls is linked", file: module(path, now, false),
			functions: `"time::now"`, fixed: "0.2.23", want: []found{{"RUSTSEC-0000-0001", reach.SymbolLinked}}, vulnerable: true,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b, err := wasm.Parse(tt.file)
			if err != nil {
				t.Fatal(err)
			}
			d, err := sbom.Extract(b, sbom.Options{})
			if err != nil {
				t.Fatal(err)
			}
			a, err := vuln.Parse(fmt.Appendf(nil, record, tt.functions, tt.fixed))
			if err != nil {
				t.Fatal(err)
			}
			var db vuln.DB
			db.Put(a)
			r, err := scan.Scan(t.Context(), d, scan.CodeOf(b), &db)
			if err != nil {
				t.Fatal(err)
			}
			var got []found
			for _, f := range r.Findings {
				got = append(got, found{f.ID, f.Reach.Level})
				if f.RuledOut() == tt.vulnerable {
					t.Errorf("RuledOut() = %t of %+v, want %t", f.RuledOut(), f.Reach, !tt.vulnerable)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("Scan: findings (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRate(t *testing.T) {
	r := &scan.Report{Findings: []scan.Finding{{Finding: vuln.Finding{ID: "RUSTSEC-0000-0001", Aliases: []string{"CVE-0000-0001"}}}}}
	r.Rate(map[string]vuln.EPSS{"CVE-0000-0001": {Probability: 0.5}}, map[string]vuln.KEV{"CVE-0000-0002": {Added: "2026-01-01"}})
	if e := r.Findings[0].EPSS; e == nil || e.Probability != 0.5 {
		t.Errorf("EPSS = %+v, want a probability of 0.5", e)
	}
	if k := r.Findings[0].KEV; k != nil {
		t.Errorf("KEV = %+v of another vulnerability, want none", k)
	}
}
