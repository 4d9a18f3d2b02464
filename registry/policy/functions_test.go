package policy

import (
	"context"
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
	}}
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
	}
	for _, tt := range tests {
		t.Run(tt.expr, func(t *testing.T) {
			e, errs := compileExpr(tt.expr, nil, nil)
			if len(errs) > 0 {
				t.Fatal(errs)
			}
			v, err := e.eval(context.Background(), &activation{f: f})
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
