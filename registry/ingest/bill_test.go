package ingest

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/inspect/wasm"
	"github.com/wreg-project/wreg/sbom"
	"github.com/wreg-project/wreg/sbom/evidence"
)

func TestWhatABillOfMaterialsCannotBeIsAFindingAndLosesNothing(t *testing.T) {
	a := newTestAnalyser(t, DefaultLimits)
	file, err := os.ReadFile("../../inspect/testdata/app.component.wasm")
	if err != nil {
		t.Fatal(err)
	}
	b, err := wasm.Parse(file)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name    string
		before  int64 // bytes of the bills of earlier files
		binary  *wasm.Binary
		problem string
		symbols string
	}{
		{name: "a usual file has a bill and symbols", binary: b},
		{name: "one that is too much for the layer", before: maxBills, binary: b, problem: "not looked at any further"},
		{name: "a panic", binary: nil, problem: errPanicked.Error()},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, f, m := &analysis{bills: tt.before}, Finding{Digest: digest.FromBytes(file)}, made{report: []byte("{}")}
			a.bill(t.Context(), r, &f, &m, tt.binary)
			if !strings.Contains(f.BillProblem, tt.problem) || (f.BillProblem == "") != (tt.problem == "") {
				t.Errorf("bill(): problem %q, want %q", f.BillProblem, tt.problem)
			}
			if has := tt.problem == ""; (f.Bill != "") != has || (m.bill != nil) != has || (f.Symbols != "") != has || (m.symbols != nil) != has {
				t.Errorf("bill() = %+v with %d and %d bytes; want both: %v", f, len(m.bill), len(m.symbols), has)
			}
			if string(m.report) != "{}" {
				t.Errorf("bill() left the report %q", m.report)
			}
		})
	}
}

func TestABillOfMaterialsIsBounded(t *testing.T) {
	long := strings.Repeat("x", maxBill/4)
	components := make([]evidence.Component, 5)
	for i := range components {
		components[i] = evidence.Component{Name: long}
	}
	for n, want := range map[int]bool{1: true, 5: false} {
		d := &sbom.Document{Root: &sbom.Unit{Components: components[:n]}}
		if text, err := encodeBill(d); errors.Is(err, errLimit) == want || (text != nil) != want {
			t.Errorf("encodeBill() of %d names of %d bytes = %d bytes, %v; want it written: %v", n, len(long), len(text), err, want)
		}
	}
	// What grows when it is written is bounded as well.
	quotes := &sbom.Document{Root: &sbom.Unit{Components: []evidence.Component{{Name: strings.Repeat("\x01", maxBill/2)}}}}
	if text, err := encodeBill(quotes); !errors.Is(err, errLimit) || text != nil {
		t.Errorf("encodeBill() of characters that are escaped = %d bytes, %v; want errLimit", len(text), err)
	}
}
