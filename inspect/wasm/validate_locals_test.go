package wasm

import (
	"slices"
	"testing"
)

// Setting a range is setting its indices one by one, whether or not it ends
// with a word.
func TestSetRangeSetsEachIndex(t *testing.T) {
	const n = 200
	for from := range uint32(n) {
		for to := from; to <= n; to++ {
			got, want := newIndexSet(n), newIndexSet(n)
			got.setRange(from, to)
			for i := from; i < to; i++ {
				want.set(i)
			}
			if !slices.Equal(got, want) {
				t.Fatalf("setRange(%d, %d) = %x, want %x", from, to, got, want)
			}
		}
	}
}
