package wasm

import (
	"encoding/binary"
	"os"
	"testing"
)

// appendSigned is the shortest signed LEB128 form of v.
func appendSigned(b []byte, v int64) []byte {
	for {
		low := byte(v & 0x7f)
		v >>= 7
		if v == 0 && low&0x40 == 0 || v == -1 && low&0x40 != 0 {
			return append(b, low)
		}
		b = append(b, low|0x80)
	}
}

// What is accepted as a number fits its width and, written again in its
// shortest form, is no longer than what was read and reads as the same.
func FuzzIntegers(f *testing.F) {
	list, err := os.ReadDir("testdata/fuzz/FuzzIntegers")
	if err != nil || len(list) < 8 {
		f.Fatalf("%d seeds, %v; want at least 8", len(list), err)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		for _, bits := range []int{32, 33, 64} {
			r := newReader(in)
			v := r.uleb(bits)
			if r.err == nil {
				again := newReader(binary.AppendUvarint(nil, v))
				if got := again.uleb(bits); again.err != nil || got != v || len(again.buf) > r.off || bits < 64 && v>>bits != 0 {
					t.Fatalf("% x reads as %d in %d bits, and again as %d, %v", in, v, bits, got, again.err)
				}
			}
			r = newReader(in)
			s := r.sleb(bits)
			if r.err == nil {
				again := newReader(appendSigned(nil, s))
				if got := again.sleb(bits); again.err != nil || got != s || len(again.buf) > r.off || s>>(bits-1) != 0 && s>>(bits-1) != -1 {
					t.Fatalf("% x reads as %d in %d bits with sign, and again as %d, %v", in, s, bits, got, again.err)
				}
			}
		}
	})
}
