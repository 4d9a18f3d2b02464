package policy

import (
	"context"
	"slices"
	"strings"
	"testing"

	"cel.dev/cel-go/common/types"
)

func TestFunctions(t *testing.T) {
	f := &Facts{
		Package: Package{Version: "1.2.3", Annotations: map[string]string{"team": "a/b"}},
		Report: &Report{
			Kind: "module", Imports: []Import{
				{Module: "env", Name: "log", Kind: "func", Type: "(func (param i32))"},
				{Module: "env", Name: "memory", Kind: "memory", Type: "(memory 1 2)"},
				{Name: "wasi:http/types@0.2.0", Kind: "instance"},
			},
			Exports: []Export{{Name: "_start", Kind: "func", Type: "(func)"}, {Name: "wasi:cli/run@0.2.0", Kind: "instance"}},
		},
		Capabilities: &Capabilities{Reachable: []string{"clock", "stdio"}},
	}
	sample := sampleFacts()
	f.SBOM, f.Licenses, f.Vulnerabilities = sample.SBOM, sample.Licenses, sample.Vulnerabilities
	tests := []struct{ expr, want string }{
		{`glob("a/b", "a/*")`, "true"},
		{`glob(pkg.annotations["team"], "a/**")`, "true"},
		{`imports("env")`, "true"},
		{`imports("env.log")`, "true"},
		{`imports("env.lo")`, "false"},
		{`imports("wasi:http/types")`, "true"},
		{`imports("wasi:http/*@0.2.*")`, "true"},
		{`imports("wasi:http/types@0.3.0")`, "false"},
		{`exports("_start")`, "true"},
		{`exports("wasi:cli/run")`, "true"},
		{`exports("wasi:cli/ru")`, "false"},
		{`report.imports.named("wasi:*/*")`, "true"},
		{`report.imports.filter(i, i.kind == "func").named("env.memory")`, "false"},
		{`report.imports.filter(i, i.kind == "func").signatures()`, "env.log (func (param i32))"},
		{`report.imports.signatures()`, "env.log (func (param i32)), env.memory (memory 1 2), wasi:http/types@0.2.0 instance"},
		{`report.exports.signatures()`, "_start (func), wasi:cli/run@0.2.0 instance"},
		{`["a", "b"].without(["b", "c"])`, "a"},
		{`["a", "b"].common(["b", "c"])`, "b"},
		{`["a", "b"].without(["a", "b"])`, "none"},
		{`["a"].within(["a", "b"])`, "true"},
		{`["a", "c"].within(["a", "b"])`, "false"},
		{`[].within(["a"])`, "true"},
		{`["a", "c"].overlaps(["a", "b"])`, "true"},
		{`["c"].overlaps(["a", "b"])`, "false"},
		{`["wasi:cli/run@0.2.0", "env"].matching(["wasi:cli/*"])`, "wasi:cli/run@0.2.0"},
		{`["wasi:cli/run@0.2.0", "env"].except(["wasi:cli/run"])`, "env"},
		{`["a@b"].matching(["a"])`, "none"},
		{`report.imports.map(i, i.module).without(["env", ""])`, "none"},
		{`capabilities.reachable.without(["stdio"])`, "clock"},
		{`parseSize("4MB")`, "4000000"},
		{`parseSize("4 MiB")`, "4194304"},
		{`parseSize("1.5k")`, "1500"},
		{`semver.compare(pkg.version, "1.10.0")`, "-1"},
		{`semver.compare("1.2.3", "v1.2.3")`, "0"},
		{`semver.compare("1.2.3", "1.2.3-rc.1")`, "1"},
		{`semver.within(pkg.version, ">=1.2, <2")`, "true"},
		{`semver.within(pkg.version, "^2")`, "false"},
		{`semver.valid(pkg.version)`, "true"},
		{`semver.valid("latest")`, "false"},
		{`version.compare("cargo", "1.0.9", "1.0.10")`, "-1"},
		{`version.compare("golang", "go1.21rc2", "1.21")`, "-1"},
		{`version.compare("pypi", "1.0", "1.0.0")`, "0"},
		{`version.compare("generic", "1.1.1t", "1.1.1")`, "1"},
		{`version.within("cargo", "1.0.190", "<1.0.200")`, "true"},
		{`version.within("golang", "v0.1.0", ">=0.2 || =0.1.0")`, "true"},
		{`version.within("npm", "2.0.0", "^1")`, "false"},
		{`sbom.components.filter(c, c.version != "" && version.within(c.ecosystem, c.version, "<0.2")).map(c, c.purl)`, "pkg:cargo/time@0.1.45"},
		{`"MIT OR GPL-3.0-only".satisfies(["permissive"])`, "true"},
		{`"MIT AND GPL-3.0-only".satisfies(["permissive"])`, "false"},
		{`"GPL-3.0-only".satisfies(["GPL-2.0-or-later"])`, "true"},
		{`"see LICENSE".satisfies(["MIT", "permissive"])`, "false"},
		{`"".satisfies(["MIT"])`, "false"},
		{`licenses.satisfies(["MIT"])`, "false"},
		{`licenses.satisfies(["permissive", "GPL-3.0-only"])`, "true"},
		{`licenses.beyond(["MIT"])`, "GPL-3.0-only"},
		{`sbom.components.filter(c, !c.licenses.all(l, l.satisfies(["permissive"]))).map(c, c.name)`, "time"},
		{`vulnerabilities.vexed().map(v, v.id)`, "RUSTSEC-2020-0071"},
		{`vulnerabilities.filter(v, v.kev).vexed().size()`, "0"},
		{`vulnerabilities.filter(v, v.atLeast("high")).map(v, v.id)`, "RUSTSEC-2026-0001"},
		{`vulnerabilities.exists(v, v.atLeast("medium") && !v.reachable && !v.ruledOut)`, "true"},
		{`vulnerabilities.exists(v, "CVE-2020-26235" in v.aliases)`, "true"},
		{`vulnerabilities[0].severity > 7.0`, "false"},
		{`size(report.imports)`, "3"},
		{`{"a": [1, 2], "b": []}`, `{"a": [1, 2], "b": []}`},
	}
	for _, tt := range tests {
		t.Run(tt.expr, func(t *testing.T) {
			e, errs := compileExpr(tt.expr, nil, nil)
			if len(errs) > 0 {
				t.Fatal(errs)
			}
			v, err := e.eval(context.Background(), &activation{f: f})
			if err != nil {
				t.Fatal(err)
			}
			if got := tell(v, 1000); got != tt.want {
				t.Errorf("%s = %s, want %s", tt.expr, got, tt.want)
			}
		})
	}
}

// What functions cannot answer is an error, and no answer.
func TestFunctionsFail(t *testing.T) {
	f := &Facts{Package: Package{
		Version: "latest", Name: strings.Repeat("*", maxGlob+1), Repository: "**a*b", Digest: strings.Repeat("a", 1<<14),
	}, Vulnerabilities: []Vulnerability{{}}}
	lists := map[string][]string{"many": slices.Repeat([]string{"MIT"}, maxAllowed+1)}
	tests := []struct{ expr, want string }{
		{`semver.compare(pkg.version, "1.0.0") == 0`, `"latest" is no semantic version`},
		{`semver.within("1.0.0", pkg.version)`, `"latest" is no range of versions`},
		{`semver.within(pkg.digest, "1")`, "longer than a version"},
		{`semver.within("1.0.0", pkg.digest)`, "longer than a range"},
		{`parseSize(pkg.version) > 0`, `"latest" is no size`},
		{`glob("a", pkg.name)`, "a pattern of more than 512 bytes"},
		{`["a"].matching([pkg.name]) == []`, "a pattern of more than 512 bytes"},
		{`glob(pkg.digest, pkg.repository)`, "too much text to match"},
		{`[pkg.digest].except([pkg.repository]) == []`, "too much text to match"},
		{`pkg.annotations["x"] == ""`, "no such key"},
		{`version.within("cargo", "", "<1")`, `"" is no version of cargo`},
		{`version.within("cargo", "1.0.0", pkg.version)`, `"latest" is no range of versions of cargo`},
		{`version.compare("cargo", "1.0.0", pkg.version) == 0`, `"latest" is no version of cargo`},
		{`version.compare(pkg.version, "1", "2") == 0`, `"latest" is no ecosystem: they are cargo, golang, npm`},
		{`version.within("cargo", pkg.digest, "<1")`, "is no version of cargo"},
		{`"MIT".satisfies([pkg.version])`, `allowed licence "latest"`},
		{`licenses.satisfies([pkg.version])`, `allowed licence "latest"`},
		{`licenses.beyond(lists.many) == []`, "more than 1000 licences are allowed"},
		{`vulnerabilities[0].atLeast(pkg.version)`, `"latest" is no rating: they are low, medium, high, critical`},
	}
	for _, tt := range tests {
		t.Run(tt.expr, func(t *testing.T) {
			e, errs := compileExpr(tt.expr, nil, lists)
			if len(errs) > 0 {
				t.Fatal(errs)
			}
			v, err := e.eval(context.Background(), &activation{f: f, lists: celLists(lists)})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%s = %v, %v, want an error with %q", tt.expr, v, err, tt.want)
			}
		})
	}
}

func TestParseSize(t *testing.T) {
	tests := []struct {
		text string
		want int64 // -1 for an error
	}{
		{"0", 0},
		{"512", 512},
		{"512B", 512},
		{"4kb", 4000},
		{"4KiB", 4096},
		{"1.5 MB", 1500000},
		{"2G", 2e9},
		{"1TiB", 1 << 40},
		{"", -1},
		{"MB", -1},
		{"-1", -1},
		{"4XB", -1},
		{"1e3", -1},
		{"0x10", -1},
		{"9223372036854775807", 1<<63 - 1},
		{"9223372036854775808", -1},
		{"9999999TB", -1},
		{"1..2MB", -1},
		{"99999999999999999999", -1},
		{"4611686018427387904.0k", -1},
		{"NaN", -1},
		{"Inf", -1},
	}
	for _, tt := range tests {
		got, err := ParseSize(tt.text)
		if err != nil {
			got = -1
		}
		if got != tt.want {
			t.Errorf("ParseSize(%q) = %d, %v, want %d", tt.text, got, err, tt.want)
		}
	}
}

// What is printed is bounded and can do nothing to a terminal.
func TestPrintedValuesAreHarmless(t *testing.T) {
	evil := types.String("\x1b[2J\u202e\nx" + strings.Repeat("y", 1000))
	for _, s := range []string{show(evil, 100), tell(evil, 100), show(listOf([]string{string(evil), "b"}), 100)} {
		if len(s) > 100 || strings.ContainsAny(s, "\x1b\u202e\n") {
			t.Errorf("printed %q of %d bytes, want at most 100 without control characters", s, len(s))
		}
	}
}
