package policy

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wreg-project/wreg/inspect"
)

// Each field of a checkfile, and each place where we differ from Modsurfer.
func TestCheckfile(t *testing.T) {
	hash := strings.Repeat("ab", 32)
	module := func() *Report {
		return &Report{
			Kind: "module", Valid: true, Size: 4_000_000, WASI: "none", MaxComplexity: 500, ImportModules: []string{"env"},
			Imports: []Import{
				{Module: "env", Name: "log", Kind: "func", Type: "(func (param i32 i32))"},
				{Module: "env", Name: "memory", Kind: "memory", Type: "(memory 1)"},
			},
			Exports: []Export{
				{Name: "run", Kind: "func", Type: "(func (param i64 (ref null 3)) (result funcref))", Hash: hash},
				{Name: "memory", Kind: "memory", Type: "(memory 1)"},
			},
			Hashed: true,
		}
	}
	component := func() *Report {
		return &Report{
			Kind: "component", Valid: true, WASI: "wasip2", ImportModules: []string{"wasi:cli/stdout@0.2.0", "host"},
			Imports: []Import{{Name: "wasi:cli/stdout@0.2.0", Kind: "instance"}, {Name: "host", Kind: "func", Type: "(func (param a u32))"}},
			Exports: []Export{{Name: "wasi:cli/run@0.2.0", Kind: "instance"}},
		}
	}
	tests := []struct {
		name   string
		check  string
		report *Report
		fails  map[string]CheckFail
	}{
		{"nothing is asked", "{}", module(), nil},
		{"nothing is asked, by null", "", module(), nil},

		{"WASI is allowed", "{allow_wasi: true}", component(), nil},
		{"no WASI is there", "{allow_wasi: false}", module(), nil},
		{
			"WASI of components counts", "{allow_wasi: false}", component(),
			map[string]CheckFail{"allow_wasi": {"true", "false", 10, ClassABI}},
		},
		{
			"so does its first snapshot", "{allow_wasi: false}", with(module(), func(r *Report) { r.ImportModules = []string{"wasi_unstable"} }),
			map[string]CheckFail{"allow_wasi": {"true", "false", 10, ClassABI}},
		},
		{
			"and its threads", "{allow_wasi: false}", with(module(), func(r *Report) { r.ImportModules = []string{"wasi"} }),
			map[string]CheckFail{"allow_wasi": {"true", "false", 10, ClassABI}},
		},

		{"all functions are included", "{imports: {include: [{namespace: env, name: log, params: [I32, I32], results: []}]}}", module(), nil},
		{"a name without a namespace means all", "{imports: {include: [log]}}", module(), nil},
		{
			"an empty list includes nothing", "{imports: {include: []}}", module(),
			map[string]CheckFail{"imports.include.env::log": {"included", "excluded", 10, ClassABI}},
		},
		{
			"another namespace", "{imports: {include: [{namespace: host, name: log}]}}", module(),
			map[string]CheckFail{"imports.include.env::log": {"included", "excluded", 10, ClassABI}},
		},
		{
			"other types", "{imports: {include: [{namespace: env, name: log, params: [I32], results: [I64]}]}}", module(),
			map[string]CheckFail{
				"imports.include.env::log.params":  {"[i32, i32]", "[i32]", 8, ClassABI},
				"imports.include.env::log.results": {"[]", "[i64]", 8, ClassABI},
			},
		},
		{"one of two types fits", "{imports: {include: [{name: log, params: [I32]}, {name: log, params: [I32, I32]}]}}", module(), nil},
		{
			"excluded by name alone", "{imports: {exclude: [log]}}", module(),
			map[string]CheckFail{"imports.exclude.log": {"included", "excluded", 5, ClassABI}},
		},
		{
			"excluded whatever its kind", "{imports: {exclude: [{namespace: env, name: memory}]}}", module(),
			map[string]CheckFail{"imports.exclude.env::memory": {"included", "excluded", 5, ClassABI}},
		},
		{"excluded elsewhere", "{imports: {exclude: [{namespace: host, name: log}]}}", module(), nil},
		{
			"a namespace that is missing", "{imports: {namespace: {include: [env, host]}}}", module(),
			map[string]CheckFail{"imports.namespace.include.host": {"excluded", "included", 8, ClassABI}},
		},
		{
			"a function of a namespace that is missing", "{imports: {namespace: {include: [{name: env, functions: [log, warn]}]}}}", module(),
			map[string]CheckFail{"imports.namespace.include.env::warn": {"excluded", "included", 8, ClassABI}},
		},
		{
			"a function of a namespace with other types",
			"{imports: {namespace: {include: [{name: env, functions: [{name: log, params: []}]}]}}}", module(),
			map[string]CheckFail{"imports.namespace.include.env::log.params": {"[i32, i32]", "[]", 8, ClassABI}},
		},
		{
			"an excluded namespace is so as a whole", "{imports: {namespace: {exclude: [{name: env, functions: [warn]}]}}}", module(),
			map[string]CheckFail{"imports.namespace.exclude.env": {"included", "excluded", 10, ClassABI}},
		},

		{"one function is exported", "{exports: {max: 1}}", module(), nil},
		{
			"more than none", "{exports: {max: 0}}", module(),
			map[string]CheckFail{"exports.max": {"1", "<= 0", 10, ClassSecurity}},
		},
		{
			"exports with types and hash",
			"{exports: {include: [memory, {name: run, params: [I64, (ref null 3)], results: [FuncRef], hash: " + hash + "}]}}",
			module(), nil,
		},
		{
			"an export that is missing", "{exports: {include: [_start]}}", module(),
			map[string]CheckFail{"exports.include._start": {"excluded", "included", 10, ClassABI}},
		},
		{
			"an export of another kind", "{exports: {include: [{name: memory, params: []}]}}", module(),
			map[string]CheckFail{"exports.include.memory.params": {"memory (memory 1)", "[]", 8, ClassABI}},
		},
		{
			"another hash",
			"{exports: {include: [{name: run, hash: " + strings.Repeat("00", 32) + "}, {name: memory, hash: " + hash + "}]}}", module(),
			map[string]CheckFail{
				"exports.hash.run":    {hash, strings.Repeat("00", 32), 7, ClassABI},
				"exports.hash.memory": {"<NONE>", hash, 7, ClassABI},
			},
		},
		{
			"an export that is excluded", "{exports: {exclude: [run, main]}}", module(),
			map[string]CheckFail{"exports.exclude.run": {"included", "excluded", 5, ClassABI}},
		},

		{"a size that fits", "{size: {max: 4MB}}", module(), nil},
		{
			"a size that does not", "{size: {max: 1MB}}", module(),
			map[string]CheckFail{"size.max": {"4000000", "<= 1000000", 4, ClassResource}},
		},
		{"a size as a number", "{size: {max: 4000000}}", module(), nil},
		{"medium complexity", "{complexity: {max_risk: medium}}", module(), nil},
		{"high complexity is any", "{complexity: {max_risk: high}}", with(module(), func(r *Report) { r.MaxComplexity = 1 << 40 }), nil},
		{
			"low complexity", "{complexity: {max_risk: low}}", module(),
			map[string]CheckFail{"complexity.max_risk": {"medium", "<= low", 5, ClassResource}},
		},
		{
			"a score, which Modsurfer does not know", "{complexity: {max_score: 499}}", module(),
			map[string]CheckFail{"complexity.max_score": {"500", "<= 499", 1, ClassResource}},
		},

		{"interfaces by name", "{imports: {include: ['wasi:cli/stdout@0.2.0', host]}}", component(), nil},
		{"interfaces without their version", "{imports: {include: ['wasi:cli/stdout', host]}}", component(), nil},
		{
			"interfaces by their package",
			"{imports: {include: [{namespace: 'wasi:cli', name: stdout}, host], namespace: {include: ['wasi:cli']}}}", component(),
			nil,
		},
		{
			"an interface that is not included", "{imports: {include: [host]}}", component(),
			map[string]CheckFail{"imports.include.wasi:cli/stdout@0.2.0": {"included", "excluded", 10, ClassABI}},
		},
		{
			"a package that is excluded", "{imports: {namespace: {exclude: ['wasi:cli']}}}", component(),
			map[string]CheckFail{"imports.namespace.exclude.wasi:cli": {"included", "excluded", 10, ClassABI}},
		},
		{"exported interfaces", "{exports: {max: 1, include: ['wasi:cli/run'], exclude: ['wasi:http/incoming-handler']}}", component(), nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := Parse([]byte("validate: " + tt.check))
			if err != nil {
				t.Fatal(err)
			}
			got := p.Checkfile.Check(tt.report)
			if tt.fails == nil {
				tt.fails = map[string]CheckFail{}
			}
			if d := cmp.Diff(CheckReport{Fails: tt.fails}, got); d != "" || got.OK() != (len(tt.fails) == 0) {
				t.Errorf("Check of %s (-want +got):\n%s", tt.check, d)
			}
			for path := range got.Fails {
				if !slices.Contains(families, family(path)) {
					t.Errorf("family(%q) = %q, want one of %q", path, family(path), families)
				}
			}
		})
	}
}

func with(r *Report, change func(*Report)) *Report {
	change(r)
	return r
}

// What a checkfile cannot be answered for is a failure.
func TestCheckfileThatCannotBeAnswered(t *testing.T) {
	hash := strings.Repeat("0", 64)
	tests := []struct {
		name, check string
		report      Report
		want        string
	}{
		{"a broken file", "{size: {max: 1MB}}", Report{Problem: "cut off"}, "not valid WebAssembly: cut off"},
		{"a URL in place of conditions", "{url: 'https://example.org/mod.yaml'}", Report{Valid: true}, "only the address of another one"},
		{
			"hashes that were not made", "{exports: {include: [{name: a, hash: " + hash + "}]}}",
			Report{Valid: true},
			"hashes of exported functions are not known",
		},
		{
			"imports that are cut", "{imports: {exclude: [a]}}",
			Report{Valid: true, Truncated: []string{"imports"}},
			"the list of imports is too long",
		},
		{"exports that are cut", "{exports: {max: 3}}", Report{Valid: true, Truncated: []string{"exports"}}, "the list of exports is too long"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := Parse([]byte("validate: " + tt.check))
			if err != nil {
				t.Fatal(err)
			}
			if got := p.Checkfile.Check(&tt.report); got.OK() || !strings.Contains(got.Error, tt.want) {
				t.Errorf("Check = %+v, want the error %q", got, tt.want)
			}
			p.Name = "p"
			s, err := Compile(p)
			if p.Checkfile.URL != "" {
				if err == nil {
					t.Error("Compile of a checkfile with a URL does not fail")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			f := sampleFacts()
			f.Report = &tt.report
			r := s.Eval(t.Context(), f)
			checkResult(t, r)
			if r.Outcome != Denied || len(r.Violations) != 1 || !r.Violations[0].Error || r.Violations[0].Rule != "checkfile" {
				t.Errorf("Eval = %+v, want one violation by error", r)
			}
		})
	}
	other := &Report{Valid: true, Truncated: []string{"exports"}}
	p, err := Parse([]byte("validate: {imports: {exclude: [a]}}"))
	if err != nil {
		t.Fatal(err)
	}
	if got := p.Checkfile.Check(other); !got.OK() {
		t.Errorf("Check of imports with exports that are cut = %+v, want ok", got)
	}
}

func TestCheckfileErrors(t *testing.T) {
	tests := []struct{ name, source, want string }{
		{
			"an unknown key", "validate:\n  wasi: false\n",
			`2:3: unknown key "wasi" (known are url, allow_wasi, imports, exports, size, complexity)`,
		},
		{"a key beside validate", "validate: {}\nrules: []\n", `2:1: unknown key "rules"`},
		{"a misspelt key", "validate:\n  imports:\n    inclde: []\n", `3:5: unknown key "inclde" (did you mean include?)`},
		{"a type that is none", "validate: {imports: {include: [{name: a, params: [int]}]}}\n", `1:51: "int" is no type of values`},
		{"a function without a name", "validate: {imports: {include: [{params: []}]}}\n", "1:32: the function has no name"},
		{"a hash on an import", "validate: {imports: {include: [{name: a, hash: x}]}}\n", `1:42: unknown key "hash"`},
		{"a hash that is none", "validate: {exports: {include: [{name: a, hash: x}]}}\n", "1:48: a hash is 64 hexadecimal digits"},
		{"a size that is none", "validate: {size: {max: big}}\n", `1:24: "big" is no size like 4MB`},
		{"a risk that is none", "validate: {complexity: {max_risk: hihg}}\n", `1:35: unknown word "hihg" (did you mean high?)`},
		{"complexity of nothing", "validate: {complexity: {}}\n", "1:24: complexity has either max_risk or max_score"},
		{"a URL that is none", "validate: {url: 'file:///etc/passwd'}\n", "1:17: this has to be an http or https URL"},
		{"a maximum below zero", "validate: {exports: {max: -1}}\n", "1:27: this has to be a whole number"},
		{"words for a flag", "validate: {allow_wasi: maybe}\n", "1:24: this has to be true or false"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse([]byte(tt.source))
			if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("Parse(%q) = %v, want %s", tt.source, err, tt.want)
			}
		})
	}
}

func TestSignature(t *testing.T) {
	tests := []struct {
		text            string
		params, results []string
		ok              bool
	}{
		{"(func)", []string{}, []string{}, true},
		{"(func (param i32 i64))", []string{"i32", "i64"}, []string{}, true},
		{
			"(func (param (ref null (shared 3)) f32) (result v128 externref))",
			[]string{"(ref null (shared 3))", "f32"},
			[]string{"v128", "externref"},
			true,
		},
		{"(memory 1)", nil, nil, false},
		{"(func (param i32 …", nil, nil, false},
		{"(func (param a u32))", []string{"a", "u32"}, []string{}, true}, // of a component: no checkfile has such a type
		{"", nil, nil, false},
	}
	for _, tt := range tests {
		params, results, ok := signature(tt.text)
		if !slices.Equal(params, tt.params) || !slices.Equal(results, tt.results) || ok != tt.ok {
			t.Errorf("signature(%q) = %q, %q, %v, want %q, %q, %v", tt.text, params, results, ok, tt.params, tt.results, tt.ok)
		}
	}
}

// Both forms of generated policies let pass what they come from, and refuse what
// is another module, unless it does the same and less.
func TestGeneratedPoliciesPin(t *testing.T) {
	files := []string{
		"testdata/hosts/filter.wasm", "testdata/hosts/filter-calls.wasm", "testdata/hosts/filter-old.wasm", "testdata/hosts/filter-typed.wasm",
		"testdata/hosts/plugin.wasm", "testdata/hosts/plugin-net.wasm", "testdata/hosts/command.wasm", "testdata/hosts/command-socket.wasm",
		"../../inspect/testdata/app.component.wasm",
	}
	less := map[string]string{
		"testdata/hosts/filter-calls.wasm":   "testdata/hosts/filter.wasm",
		"testdata/hosts/plugin-net.wasm":     "testdata/hosts/plugin.wasm",
		"testdata/hosts/command-socket.wasm": "testdata/hosts/command.wasm",
	}
	reports, caps := map[string]*Report{}, map[string]*Capabilities{}
	for _, file := range files {
		reports[file], caps[file] = inspected(t, file)
	}
	for _, from := range files {
		t.Run(from, func(t *testing.T) {
			r := *reports[from]
			r.Exports = slices.Clone(r.Exports) // without hashes, so that what differs has to be in declarations
			for i := range r.Exports {
				r.Exports[i].Hash = ""
			}
			ours, err := Generate("pin", &r, caps[from])
			if err != nil {
				t.Fatal(err)
			}
			theirs, err := GenerateCheckfile(&r)
			if err != nil {
				t.Fatal(err)
			}
			for _, file := range files {
				for name, source := range map[string][]byte{"policy": ours, "checkfile": theirs} {
					got, want := judge(t, source, reports[file], caps[file]), file == from || file == less[from]
					if got.Outcome == Denied == want {
						t.Errorf("the %s generated from %s says of %s: %s %+v\n%s", name, from, file, got.Outcome, got.Violations, source)
					}
				}
			}
		})
	}
}

func judge(t *testing.T, source []byte, r *Report, c *Capabilities) Result {
	t.Helper()
	p, err := Parse(source)
	if err != nil {
		t.Fatalf("%v\n%s", err, source)
	}
	p.Name = "pin"
	s, err := Compile(p)
	if err != nil {
		t.Fatalf("%v\n%s", err, source)
	}
	f := &Facts{Package: Package{Repository: "a"}, Action: Push, File: File{Wasm: true}, Report: r, Capabilities: c, Previous: &Previous{}}
	res := s.Eval(t.Context(), f)
	checkResult(t, res)
	return res
}

// Each thing that is pinned breaks a rule of its own when it changes.
func TestGeneratedPolicyNamesWhatChanged(t *testing.T) {
	base := func() *Facts {
		f := sampleFacts()
		for i := range f.Report.Exports {
			f.Report.Exports[i].Type = "(func)"
		}
		return f
	}
	f := base()
	source, err := Generate("pin", f.Report, f.Capabilities)
	if err != nil {
		t.Fatal(err)
	}
	p, err := Parse(source)
	if err != nil {
		t.Fatal(err)
	}
	s, err := Compile(p)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name    string
		change  func(*Facts)
		rule    string // "" for none
		message string
	}{
		{"nothing", func(*Facts) {}, "", ""},
		{"a tenth in size", func(f *Facts) { f.Report.Size += f.Report.Size / 10 }, "", ""},
		{"a fifth in size", func(f *Facts) { f.Report.Size += f.Report.Size / 5 }, "size", "it has 3600000 bytes"},
		{"fewer imports", func(f *Facts) { f.Report.Imports = f.Report.Imports[1:] }, "", ""},
		{"the kind", func(f *Facts) { f.Report.Kind = "component" }, "kind", "it is a component, and was a module"},
		{"a new import", func(f *Facts) { f.Report.Imports[0].Name = "fd_x" }, "imports", "wasi_snapshot_preview1.fd_x (func"},
		{
			"the type of an import", func(f *Facts) { f.Report.Imports[60].Type = "(func (param i32))" }, "imports",
			"env.launch (func (param i32))",
		},
		{"a new export", func(f *Facts) {
			f.Report.Exports = append(f.Report.Exports, Export{Name: "x", Kind: "func", Type: "(func)"})
		}, "new-exports", "x (func)"},
		{"an export that is gone", func(f *Facts) { f.Report.Exports = f.Report.Exports[1:] }, "exports", "run_0 (func)"},
		{
			"a new capability", func(f *Facts) { f.Capabilities.Declared = append(f.Capabilities.Declared, "secrets") },
			"capabilities", "secrets",
		},
		{
			"a capability that is used now", func(f *Facts) { f.Capabilities.Reachable = append(f.Capabilities.Reachable, "random") },
			"capabilities", "random",
		},
		{"a new feature", func(f *Facts) { f.Report.Features = append(f.Report.Features, "simd") }, "features", "simd"},
		{"a new signal", func(f *Facts) { f.Report.Signals = append(f.Report.Signals, Signal{ID: "miner"}) }, "signals", "miner"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := base()
			tt.change(f)
			r := s.Eval(t.Context(), f)
			checkResult(t, r)
			var rules []string
			for _, v := range r.Violations {
				rules = append(rules, v.Rule)
				if !strings.Contains(v.Message, tt.message) {
					t.Errorf("message %q, want %q in it", v.Message, tt.message)
				}
			}
			if got := strings.Join(rules, " "); got != tt.rule {
				t.Errorf("violated are %q, want %q", got, tt.rule)
			}
		})
	}
}

// With hashes, a checkfile breaks when the code of an exported function changes.
func TestGeneratedCheckfileWithHashes(t *testing.T) {
	r, _ := inspected(t, "testdata/hosts/plugin.wasm")
	source, err := GenerateCheckfile(r)
	if err != nil {
		t.Fatal(err)
	}
	p, err := Parse(source)
	if err != nil {
		t.Fatal(err)
	}
	if got := p.Checkfile.Check(r); !got.OK() {
		t.Errorf("Check of the module it comes from = %+v", got)
	}
	for i := range r.Exports {
		if r.Exports[i].Name == "handle" {
			r.Exports[i].Hash = strings.Repeat("0", 64)
		}
	}
	if got := slices.Collect(maps.Keys(p.Checkfile.Check(r).Fails)); !slices.Equal(got, []string{"exports.hash.handle"}) {
		t.Errorf("Check of changed code fails %q, want exports.hash.handle", got)
	}
}

func TestGenerateRefuses(t *testing.T) {
	caps := &Capabilities{}
	broken := BrokenReport(3, os.ErrInvalid)
	tests := []struct {
		name   string
		policy string
		r      *Report
		c      *Capabilities
		want   string
	}{
		{"a broken file", "p", &broken, caps, "not valid WebAssembly"},
		{"a list that is cut", "p", &Report{Valid: true, Truncated: []string{"imports"}}, caps, "the list of imports is cut"},
		{"capabilities that are cut", "p", &Report{Valid: true}, &Capabilities{Truncated: true}, "unknown imports is cut"},
		{"a type that is cut", "p", &Report{Valid: true, Imports: []Import{{Name: "a", Type: "…"}}}, caps, "the type of import a is cut"},
		{"a bad name", "P p", &Report{Valid: true}, caps, `"P p" is no name`},
		{
			"a name that is longer than a policy holds", "p",
			&Report{Valid: true, Exports: []Export{{Name: strings.Repeat("a", 10_000)}}}, caps, "no policy",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got, err := Generate(tt.policy, tt.r, tt.c); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Generate = %s, %v, want an error with %q", got, err, tt.want)
			}
		})
	}
	if _, err := GenerateCheckfile(&broken); err == nil {
		t.Error("GenerateCheckfile of a broken file does not fail")
	}
}

// Whatever a module calls its imports and exports, the policies generated from it
// are read back and let it pass.
func FuzzGenerate(f *testing.F) {
	for _, s := range []string{
		"log", "", "a b", "\x00", "- x", "{{", "null", "1e3", "'\"\\", "é\u202e", "wasi:cli/run@0.2.0", "*a", "&a", "!x", "a: b",
	} {
		f.Add("env", s, s, "(func (param i32))")
	}
	f.Fuzz(func(t *testing.T, module, name, export, typ string) {
		rep := &inspect.Report{
			Complete: true, Kind: inspect.KindModule, WASI: inspect.WASINone, Size: 100, Module: &inspect.Module{Imports: []string{module}},
			Imports: []inspect.Import{{Module: module, Name: name, Kind: "func", Type: typ}},
			Exports: []inspect.Export{{Name: export, Kind: "func", Type: typ}},
		}
		r, c := ReportFacts(rep), Capabilities{}
		ours, err := Generate("pin", &r, &c)
		if err != nil {
			return // too long, or cut
		}
		theirs, err := GenerateCheckfile(&r)
		if err != nil {
			return // types that checkfiles have no words for
		}
		for _, source := range [][]byte{ours, theirs} {
			p, err := Parse(source)
			if err != nil {
				t.Fatalf("%v\n%s", err, source)
			}
			p.Name = "pin"
			s, err := Compile(p)
			if err != nil {
				t.Fatalf("%v\n%s", err, source)
			}
			facts := &Facts{Action: Push, File: File{Wasm: true}, Report: &r, Capabilities: &c}
			if got := s.Eval(t.Context(), facts); got.Outcome != Allowed {
				t.Fatalf("Eval of the module it comes from = %+v\n%s", got, source)
			}
		}
	})
}
