package code

import (
	"testing"

	"github.com/wreg-project/wreg/inspect/wasm"
)

// A module has what its part of the file gives it, and more while there is some
// to spare.
func TestShareGrants(t *testing.T) {
	s := NewShare(1200, 1000)
	if s.records != 300 || s.spareRecords != 100 {
		t.Fatalf("a share of 1,200 bytes has %d for records and %d to spare, want 300 and 100", s.records, s.spareRecords)
	}
	for _, tt := range []struct {
		name                    string
		size, need, want, spare int64
	}{
		{"of what it does not need, all is its own", 100, 10, 30, 100},
		{"what it needs more is spared", 100, 70, 70, 60},
		{"until nothing is", 200, 500, 120, 0},
		{"and then it has its own", 500, 500, 150, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := s.grant(s.records, &s.spareRecords, tt.size, tt.need); got != tt.want || s.spareRecords != tt.spare {
				t.Errorf("grant(%d of 1000, need %d) = %d and leaves %d, want %d and %d", tt.size, tt.need, got, s.spareRecords, tt.want, tt.spare)
			}
		})
	}
	if s := NewShare(-5, 0); s.grant(s.graph, &s.spareGraph, 10, 10) != 0 {
		t.Error("a share of nothing gives something")
	}
}

// Many modules of dense code in one file do not have each what one has.
func TestModulesShare(t *testing.T) {
	bin := hostile(64 << 10)["empty functions"]
	const modules = 16
	s := usual(int64(modules * len(bin)))
	records := 0
	var first, last *Module
	for range modules {
		b, err := wasm.Parse(bin)
		if err != nil {
			t.Fatal(err)
		}
		last = s.NewBuilder(b).Finish()
		records += len(last.Functions)
		if first == nil {
			first = last
		}
	}
	if n := int64(records * bytesPerFunction); n > int64(modules*len(bin)+slack) {
		t.Errorf("%d modules of %d bytes have %d bytes of records", modules, len(bin), n)
	}
	if len(first.Functions) < len(last.Functions) || !last.Truncated() {
		t.Errorf("%d records of the first module and %d of the last, truncated %v", len(first.Functions), len(last.Functions), last.Truncated())
	}
}
