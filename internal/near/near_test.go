package near

import (
	"strings"
	"testing"
)

func TestNearest(t *testing.T) {
	words := []string{"release", "issuer", "log", "timestamp"}
	tests := []struct{ name, word, want string }{
		{"a letter left out", "relese", "release"},
		{"two neighbours swapped", "isseur", "issuer"},
		{"another case", "LOG", "log"},
		{"nothing like it", "predicate", ""},
		{"a short word has to be very like", "leg", "log"},
		{"a very long word", strings.Repeat("log", 100), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := Nearest(tt.word, words); got != tt.want {
				t.Errorf("Nearest(%q) = %q, want %q", tt.word, got, tt.want)
			}
		})
	}
}

func TestDistance(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"abc", "abc", 0}, {"abc", "ab", 1}, {"abc", "acb", 1}, {"abc", "xyz", 3}, {"", "abc", 3}} {
		if got := Distance(tt.a, tt.b); got != tt.want {
			t.Errorf("Distance(%q, %q) = %d, want %d", tt.a, tt.b, got, tt.want)
		}
	}
}
