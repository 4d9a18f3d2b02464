package sqlmeta

import (
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAFileSetReadsAsItWasWritten(t *testing.T) {
	for _, tt := range []struct {
		name  string
		step  uint32 // between the places that are set
		bytes int    // of the row
	}{
		{"one place", fileSegment, 2},
		{"few places, as numbers", 100, 2 * 21},
		{"the most places that are numbers", 17, 2 * 121},
		{"as many places as bits take", 16, fileBytes},
		{"every place", 1, fileBytes},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var (
				s, back fileSet
				want    []uint32
			)
			for i := uint32(0); i < fileSegment; i += tt.step {
				s.set(i)
				want = append(want, i)
			}
			row := s.encode()
			if len(row) != tt.bytes {
				t.Errorf("encode() = %d bytes, want %d", len(row), tt.bytes)
			}
			if err := back.decode(row); err != nil {
				t.Fatalf("decode(% x) = %v", row, err)
			}
			if diff := cmp.Diff(want, slices.Collect(back.all())); diff != "" {
				t.Errorf("all(): want -, got +\n%s", diff)
			}
			for _, i := range want {
				back.clear(i)
			}
			if row := back.encode(); row != nil {
				t.Errorf("encode() of the empty set = % x, want nil", row)
			}
		})
	}
}

func TestADamagedFileSetIsRefused(t *testing.T) {
	for name, row := range map[string][]byte{
		"no bytes": {}, "half a number": {1}, "a number beyond the segment": {0, 8}, "too long": make([]byte, fileBytes+2),
	} {
		if err := new(fileSet).decode(row); !errors.Is(err, errPacked) {
			t.Errorf("decode() of %s = %v, want %v", name, err, errPacked)
		}
	}
}
