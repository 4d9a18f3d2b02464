package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wreg-project/wreg/inspect"
	"github.com/wreg-project/wreg/inspect/capability"
)

func TestReportFactsOfAModule(t *testing.T) {
	r, c := inspected(t, "testdata/hosts/command.wasm")
	file, err := os.ReadFile("testdata/hosts/command.wasm")
	if err != nil {
		t.Fatal(err)
	}
	for _, ex := range r.Exports {
		if (ex.Kind == "func") != (len(ex.Hash) == 64) {
			t.Errorf("hash of export %s %s = %q, want 64 digits for functions and nothing else", ex.Kind, ex.Name, ex.Hash)
		}
	}
	for i := range r.Exports {
		r.Exports[i].Hash = ""
	}
	want := &Report{
		Kind: "module", Size: int64(len(file)), Valid: true, WASI: "wasip1",
		Language: r.Language, Languages: r.Languages, Toolchains: r.Toolchains,
		Hosts: []string{"WASI preview 1", "command"}, Features: []string{},
		Imports: []Import{
			{Module: "wasi_snapshot_preview1", Name: "fd_write", Kind: "func", Type: "(func (param i32 i32 i32 i32) (result i32))"},
			{Module: "wasi_snapshot_preview1", Name: "proc_exit", Kind: "func", Type: "(func (param i32))"},
		},
		Exports:     []Export{{Name: "memory", Kind: "memory", Type: "(memory 2)"}, {Name: "_start", Kind: "func", Type: "(func)"}},
		ImportCount: 2, ExportCount: 2, ImportModules: []string{"wasi_snapshot_preview1"},
		Interfaces: Interfaces{Imports: []string{}, Exports: []string{}},
		Memories:   []Memory{{Min: 2 << 16, Max: math.MaxInt64}},
		Functions:  1, Instructions: r.Instructions, MaxComplexity: 1, CodeSize: r.CodeSize, DataSize: r.DataSize,
		RiskScore: r.RiskScore, Signals: r.Signals, CustomSections: []string{}, Hashed: true,
	}
	if d := cmp.Diff(want, r); d != "" {
		t.Errorf("ReportFacts (-want +got):\n%s", d)
	}
	if want := []string{"stdio", "exit"}; !slices.Equal(c.Reachable, want) || !slices.Equal(c.Declared, want) || len(c.Unknown) > 0 {
		t.Errorf("CapabilityFacts = %+v, want %q reachable", c, want)
	}
}

func TestReportFactsOfAComponent(t *testing.T) {
	r, c := inspected(t, "../../inspect/testdata/app.component.wasm")
	if r.Kind != "component" || len(r.Interfaces.Imports) == 0 || len(r.Interfaces.Exports) == 0 ||
		!slices.Equal(r.ImportModules, r.Interfaces.Imports) {
		t.Errorf("ReportFacts = %+v, want a component with interfaces", r)
	}
	if len(c.Unknown) == 0 || c.Truncated {
		t.Errorf("CapabilityFacts = %+v, want unknown imports", c)
	}
	text, err := json.Marshal(r)
	if err != nil || strings.Contains(string(text), "null") {
		t.Errorf("the facts in JSON are %s, %v, want lists that are never null", text, err)
	}
}

// A description alone is no proof of validity.
func TestReportFactsOfADescription(t *testing.T) {
	f, err := os.Open("testdata/hosts/command.wasm")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	rep, err := inspect.Describe(f, 207)
	if err != nil {
		t.Fatal(err)
	}
	if r := ReportFacts(rep); r.Valid || r.Problem == "" {
		t.Errorf("ReportFacts of a description = valid %v, problem %q, want not valid", r.Valid, r.Problem)
	}
	if c := CapabilityFacts(rep); c.Declared == nil || len(c.Declared) > 0 {
		t.Errorf("CapabilityFacts of a description = %+v, want empty lists", c)
	}
}

// However much a module has, its facts are bounded, and say so.
func TestFactsAreBounded(t *testing.T) {
	rep := &inspect.Report{Complete: true, Kind: inspect.KindModule, Module: &inspect.Module{}}
	rep.Metadata.Authors = strings.Repeat("a", 5000)
	for i := range 2 * maxList {
		name := fmt.Sprint("f", i)
		rep.Imports = append(rep.Imports, inspect.Import{Module: name, Name: name, Kind: "func", Type: "(func)"})
		rep.Exports = append(rep.Exports, inspect.Export{Name: name, Kind: "func"})
		rep.Module.Imports = append(rep.Module.Imports, strings.Repeat(name, 100))
		rep.Module.Memories = append(rep.Module.Memories, inspect.Memory{Min: 1, PageSize: 1})
		rep.Sections = append(rep.Sections, inspect.Section{Name: name, Custom: true})
	}
	r := ReportFacts(rep)
	want := []string{"imports", "exports", "importModules", "customSections", "memories", "metadata"}
	if !slices.Equal(r.Truncated, want) {
		t.Errorf("Truncated = %q, want %q", r.Truncated, want)
	}
	if len(r.Imports) != maxList || r.ImportCount != 2*maxList || len(r.Exports) != maxList || r.ExportCount != 2*maxList {
		t.Errorf("%d of %d imports, %d of %d exports, want %d of %d",
			len(r.Imports), r.ImportCount, len(r.Exports), r.ExportCount, maxList, 2*maxList)
	}
	text, err := json.Marshal(r)
	if err != nil || len(text) > 5<<20 {
		t.Errorf("the facts in JSON have %d bytes, %v, want at most 5 MiB", len(text), err)
	}
	if got := inBytes(math.MaxUint64, 1<<16); got != math.MaxInt64 {
		t.Errorf("inBytes of too many pages = %d, want the greatest integer", got)
	}
	rep.Capabilities = &capability.Result{Unresolved: make([]string, capability.MaxUnresolved)}
	if c := CapabilityFacts(rep); !c.Truncated {
		t.Error("CapabilityFacts with as many unknown imports as can be listed is not cut")
	}
}

func TestBrokenReport(t *testing.T) {
	r := BrokenReport(12, errors.New("code section, function 3: "+strings.Repeat("\x1b", 5000)))
	if r.Valid || r.Size != 12 || !strings.HasPrefix(r.Problem, "code section, function 3: ") ||
		len(r.Problem) > maxText || strings.Contains(r.Problem, "\x1b") {
		t.Errorf("BrokenReport = %+v", r)
	}
}

// The hash is that of the function which is exported, however many imports stand
// before it, and takes in the size as it is encoded.
func TestHashExports(t *testing.T) {
	// Two imported functions, two of its own: f is exported as "a" and "b", g as "c".
	file, err := hex.DecodeString(strings.Join([]string{
		"0061736d01000000", "0104" + "01600000", // type () -> ()
		"0211" + "02" + "03656e76" + "0178" + "0000" + "03656e76" + "0179" + "0000", // env.x, env.y
		"0303" + "02" + "0000",
		"070d" + "03" + "0161" + "0002" + "0162" + "0002" + "0163" + "0003",
		"0a0d" + "02" + "8280808000" + "000b" + "0400" + "01" + "010b",
	}, ""))
	if err != nil {
		t.Fatal(err)
	}
	rep, err := inspect.Inspect(file, inspect.Options{Strings: -1})
	if err != nil {
		t.Fatal(err)
	}
	r := ReportFacts(rep)
	if err := r.HashExports(file); err != nil {
		t.Fatal(err)
	}
	sum := func(s string) string {
		b, err := hex.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		h := sha256.Sum256(b)
		return hex.EncodeToString(h[:])
	}
	f, g := sum("8280808000000b"), sum("040001010b")
	for i, want := range []string{f, f, g} {
		if r.Exports[i].Hash != want {
			t.Errorf("hash of %s = %s, want %s", r.Exports[i].Name, r.Exports[i].Hash, want)
		}
	}
	other := ReportFacts(rep)
	other.ExportCount++
	if err := other.HashExports(file); err == nil || other.Hashed {
		t.Error("HashExports with a report of another file does not fail")
	}
	if err := other.HashExports(file[:20]); err == nil || other.Hashed {
		t.Error("HashExports of a broken file does not fail")
	}
}
