package origin

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestScannerFindsEveryPlace(t *testing.T) {
	tests := []struct {
		name     string
		patterns []string
		data     string
		want     []string
	}{
		{"nothing in nothing", []string{"abcdefgh"}, "", nil},
		{"a pattern alone", []string{"abcdefgh"}, "abcdefgh", []string{"0@0"}},
		{"at the end", []string{"abcdefgh"}, "xxxxxxxxxxxxxxxabcdefgh", []string{"0@15"}},
		{"cut short", []string{"abcdefgh"}, "xxxxxxxxxxxxxxxabcdefg", nil},
		{"overlapping itself", []string{"aaaaaaaa"}, "aaaaaaaaaa", []string{"0@0", "0@1", "0@2"}},
		{"two that begin alike", []string{"abcdefgh", "abcdefghij"}, "zabcdefghijk", []string{"0@1", "1@1"}},
		{"one longer than what is left", []string{"abcdefgh12345678"}, "abcdefgh1234567", nil},
		{"two that overlap", []string{"abcdefgh", "efghijkl"}, "abcdefghijkl", []string{"0@0", "1@4"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := NewScanner(tt.patterns...)
			if err != nil {
				t.Fatalf("NewScanner(%q): %v", tt.patterns, err)
			}
			var got []string
			s.Scan([]byte(tt.data), func(p, off int) bool {
				got = append(got, fmt.Sprintf("%d@%d", p, off))
				return true
			})
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Fatalf("Scan(%q) for %q (-want +got):\n%s", tt.data, tt.patterns, d)
			}
		})
	}
}

func TestScannerRefusesShortPatterns(t *testing.T) {
	if s, err := NewScanner("long enough", "short"); err == nil {
		t.Fatalf("NewScanner with a pattern of 5 bytes = %v, want an error", s)
	}
}

// First agrees with a search for one pattern after the other.
func FuzzScanner(f *testing.F) {
	seeds := []string{"", "abcdefgh", "aaaaaaaaaaaaaaaa", "/rustc/0123456789/rustc/", "abcdefghefghijkl"}
	for _, s := range seeds {
		f.Add([]byte(s), "abcdefgh", "aaaaaaaa", "efghijkl12")
	}
	f.Fuzz(func(t *testing.T, data []byte, a, b, c string) {
		patterns := []string{a, b, c}
		s, err := NewScanner(patterns...)
		if err != nil {
			return
		}
		var want []int
		for _, p := range patterns {
			want = append(want, bytes.Index(data, []byte(p)))
		}
		if d := cmp.Diff(want, s.First(data)); d != "" {
			t.Fatalf("First(%q) for %q (-want +got):\n%s", data, patterns, d)
		}
	})
}

func BenchmarkScanner(b *testing.B) {
	data := make([]byte, 8<<20)
	text := "static text of the kind that data segments hold: /usr/src/app/lib.rs, panicked at; "
	for i := range data {
		switch {
		case i&0x3fff < 0x1000: // a quarter of zeros, as .bss and tables have
		case i&0x3fff < 0x2000:
			data[i] = byte(i * 2654435761 >> 13)
		default:
			data[i] = text[i%len(text)]
		}
	}
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		things().scanner.First(data)
	}
}
