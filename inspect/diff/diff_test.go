package diff

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wreg-project/wreg/inspect"
	"github.com/wreg-project/wreg/inspect/capability"
	"github.com/wreg-project/wreg/inspect/code"
	"github.com/wreg-project/wreg/inspect/signal"
)

// report inspects a binary of another package's test data.
func report(t *testing.T, path ...string) *inspect.Report {
	t.Helper()
	file, err := os.ReadFile(filepath.Join(append([]string{".."}, path...)...))
	if err != nil {
		t.Fatal(err)
	}
	rep, err := inspect.Inspect(file, inspect.Options{Functions: true})
	if err != nil {
		t.Fatal(err)
	}
	return rep
}

func TestABinaryIsEqualToItself(t *testing.T) {
	for _, path := range [][]string{
		{"testdata", "app.component.wasm"}, {"code", "testdata", "metrics.wasm"}, {"wit", "testdata", "wasi-cli@0.2.12.wasm"},
	} {
		if d := Compare(report(t, path...), report(t, path...)); !d.Equal {
			t.Errorf("Compare(%v, itself) = %+v, want it equal", path, d)
		}
	}
}

// A report that was written and read again compares like the first one: reports
// are stored.
func TestStoredReportsCompareLikeFreshOnes(t *testing.T) {
	fresh := report(t, "code", "testdata", "metrics.wasm")
	var b bytes.Buffer
	if err := fresh.WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	var stored inspect.Report
	if err := json.Unmarshal(b.Bytes(), &stored); err != nil {
		t.Fatal(err)
	}
	other := report(t, "code", "testdata", "graph.wasm")
	if diff := cmp.Diff(Compare(fresh, other), Compare(&stored, other)); diff != "" {
		t.Errorf("Compare of the stored report (-fresh +stored):\n%s", diff)
	}
}

func TestInterfaceOfPackagesThatFollowEachOther(t *testing.T) {
	d := Compare(report(t, "wit", "testdata", "wasi-cli@0.2.12.wasm"), report(t, "wit", "testdata", "wasi-cli@0.3.0.wasm"))
	if d.Equal || d.WIT == nil || d.WIT.Compatible || len(d.WIT.Changes) == 0 {
		t.Errorf("Compare(wasi:cli@0.2.12, 0.3.0).WIT = %+v, want changes that break", d.WIT)
	}
}

// base is a report of a module, to be changed by each test.
func base() *inspect.Report {
	return &inspect.Report{
		Kind: inspect.KindModule, WASI: inspect.WASIP1, Size: 1000, Complete: true,
		Analysis: inspect.Analysis{
			Requires: []string{"bulk-memory"},
			Capabilities: &capability.Result{Capabilities: []capability.Capability{
				{ID: capability.Clock, Level: capability.Reachable},
				{ID: capability.FilesRead, Severity: capability.Notable, Level: capability.Declared, Access: []string{"read"}},
			}},
			Signals: &signal.Result{Signals: []signal.Signal{{ID: "url", Severity: signal.Info, Title: "URLs", Count: 2}}},
		},
		Imports: []inspect.Import{
			{Module: "m", Name: "f", Kind: "func", Type: "(func)"},
			{Module: "m", Name: "g", Kind: "func", Type: "(func (param i32))"},
		},
		Exports:  []inspect.Export{{Name: "run", Kind: "func", Type: "(func)"}},
		Sections: []inspect.Section{{Name: "code", Size: 600}, {Name: "data", Size: 300}},
		Module: &inspect.Module{Code: &inspect.Code{Sizes: code.Sizes{
			Packages: []code.PackageSize{{Name: "core", Bytes: 500}, {Name: "", Bytes: 100}},
		}}},
		Functions: []*code.FunctionTable{{
			First: 2,
			Functions: []code.Function{
				{Bytes: 10, Exact: code.Hash{1}, Normal: code.Hash{1}},
				{Bytes: 20, Exact: code.Hash{2}, Normal: code.Hash{2}},
				{Bytes: 30, Exact: code.Hash{3}, Normal: code.Hash{3}},
			},
			Names: []string{"one", "two", "three"},
		}},
	}
}

func TestCompare(t *testing.T) {
	equal := Compare(base(), base())
	if !equal.Equal {
		t.Fatalf("Compare(base, base) = %+v, want it equal", equal)
	}
	tests := []struct {
		name   string
		change func(*inspect.Report)
		want   func(*Diff) // changes what base compared with itself gives
	}{
		{
			"an import of another type and one less",
			func(r *inspect.Report) {
				r.Imports = r.Imports[:1]
				r.Imports[0].Type = "(func (result i32))"
			},
			func(d *Diff) {
				f := Extern{"m", "f", "func", "(func (result i32))"}
				d.Imports.Changed = []ExternChange{{f, "(func)"}}
				d.Imports.Removed = []Extern{{"m", "g", "func", "(func (param i32))"}}
			},
		},
		{
			"a new export",
			func(r *inspect.Report) { r.Exports = append(r.Exports, inspect.Export{Name: "memory", Kind: "memory"}) },
			func(d *Diff) { d.Exports.Added = []Extern{{Name: "memory", Kind: "memory"}} },
		},
		{
			"a capability that can be reached now, and a new one",
			func(r *inspect.Report) {
				list := r.Capabilities.Capabilities
				list[1].Level = capability.Reachable
				r.Capabilities.Capabilities = append(list, capability.Capability{
					ID: capability.NetOutbound, Severity: capability.Sensitive, Level: capability.Reachable,
				})
			},
			func(d *Diff) {
				d.Capabilities.Changed = []Capability{{
					capability.FilesRead, capability.Notable, "declared", "reachable", []string{"read"}, []string{"read"},
				}}
				d.Capabilities.Gained = []Capability{{ID: capability.NetOutbound, Severity: capability.Sensitive, NewLevel: "reachable"}}
			},
		},
		{
			"a lost capability",
			func(r *inspect.Report) { r.Capabilities.Capabilities = r.Capabilities.Capabilities[1:] },
			func(d *Diff) { d.Capabilities.Lost = []Capability{{ID: capability.Clock, OldLevel: "reachable"}} },
		},
		{
			"more of a signal",
			func(r *inspect.Report) { r.Signals.Signals[0].Count = 5 },
			func(d *Diff) { d.Signals.Gained = []Signal{{"url", signal.Info, "URLs", 2, 5}} },
		},
		{
			"another feature",
			func(r *inspect.Report) { r.Requires = []string{"simd"} },
			func(d *Diff) { d.Features = Names{[]string{"simd"}, []string{"bulk-memory"}} },
		},
		{
			"sizes",
			func(r *inspect.Report) {
				r.Size, r.Sections[0].Size = 1200, 800
				r.Module.Code.Sizes.Packages[0] = code.PackageSize{Name: "alloc", Bytes: 700}
			},
			func(d *Diff) {
				d.Size.New = 1200
				d.Size.Sections = []Delta{{"code", 600, 800}}
				d.Size.Packages = []Delta{{"alloc", 0, 700}, {"core", 500, 0}}
			},
		},
		{
			"a relinked function, a changed, a new and a removed one",
			func(r *inspect.Report) {
				f := r.Functions[0]
				f.Functions[0].Exact = code.Hash{9}
				f.Functions[1] = code.Function{Bytes: 25, Exact: code.Hash{8}, Normal: code.Hash{8}}
				f.Functions[2] = code.Function{Bytes: 7, Exact: code.Hash{7}, Normal: code.Hash{7}}
				f.Names[2] = "four"
			},
			func(d *Diff) {
				d.Functions.Same, d.Functions.Exact = 1, 0
				d.Functions.AddedCount, d.Functions.RemovedCount, d.Functions.ChangedCount = 1, 1, 1
				d.Functions.Changed = []FunctionChange{{"two", 3, 3, 20, 25}}
				d.Functions.Added = []Function{{4, "four", 7}}
				d.Functions.Removed = []Function{{4, "three", 30}}
			},
		},
		{
			"a function that moved and lost its name",
			func(r *inspect.Report) {
				f := r.Functions[0]
				f.Functions[0], f.Functions[2] = f.Functions[2], f.Functions[0]
				f.Names = nil
			},
			func(*Diff) {},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			now := base()
			tt.change(now)
			want := Compare(base(), base())
			tt.want(want)
			want.Equal = cmp.Equal(want, equal)
			if diff := cmp.Diff(want, Compare(base(), now)); diff != "" {
				t.Errorf("Compare (-want +got):\n%s", diff)
			}
		})
	}
}

// However many functions differ, the lists are bounded and the counts exact.
func TestListsAreBounded(t *testing.T) {
	old, now := base(), base()
	now.Functions[0] = &code.FunctionTable{}
	for i := range 3 * MaxFunctions {
		h := code.Hash{0xff, byte(i), byte(i >> 8)}
		now.Functions[0].Functions = append(now.Functions[0].Functions, code.Function{Bytes: uint32(i), Exact: h, Normal: h})
	}
	d := Compare(old, now).Functions
	if d.AddedCount != 3*MaxFunctions || len(d.Added) != MaxFunctions || d.Added[0].Bytes != 3*MaxFunctions-1 {
		t.Errorf("Compare = %d added, %d listed, the first of %d bytes; want %d, %d and the largest first",
			d.AddedCount, len(d.Added), d.Added[0].Bytes, 3*MaxFunctions, MaxFunctions)
	}
}
