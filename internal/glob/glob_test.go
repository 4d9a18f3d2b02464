package glob

import (
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestGlob(t *testing.T) {
	tests := []struct {
		name, text, pattern string
		want                bool
	}{
		{"the same text", "a/b", "a/b", true},
		{"a longer text", "a/bc", "a/b", false},
		{"a shorter text", "a/", "a/b", false},
		{"nothing for nothing", "", "", true},
		{"nothing for a star", "", "*", true},
		{"a star for a part", "team/app", "team/*", true},
		{"a star is no slash", "team/app/x", "team/*", false},
		{"a star in the middle", "sock_open_v2", "sock_*_v2", true},
		{"a star that has to give back", "aXbXc", "*X?", true},
		{"two stars cross slashes", "team/app/x", "team/**", true},
		{"two stars in the middle", "a/b/c/d", "a/**/d", true},
		{"two stars take nothing", "a//d", "a/**/d", true},
		{"two stars and one", "a/b/c.wasm", "**/*.wasm", true},
		{"a star behind two stars begins again", "a/x.b/y.c", "**/y*c", true},
		{"a question mark for one letter", "äb", "?b", true},
		{"a question mark is no slash", "/b", "?b", false},
		{"brackets are letters", "a[b]", "a[b]", true},
		{"dots are dots", "axb", "a.b", false},
		{"interfaces have slashes", "wasi:http/types@0.2.0", "wasi:*/*", true},
		{"a question mark is no part of a letter", "€", "*??", false},
		{"three stars are two and one", "a/b", "***", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := New()
			if got := m.Match(tt.text, tt.pattern); got != tt.want || m.Err() != nil {
				t.Errorf("Match(%q, %q) = %v, %v, want %v", tt.text, tt.pattern, got, m.Err(), tt.want)
			}
		})
	}
}

// Matching that would take very long ends, and says so.
func TestGlobGivesUp(t *testing.T) {
	m := New()
	got := m.Match(strings.Repeat("a", 1<<16), "**a*b")
	if got || m.Err() == nil {
		t.Errorf("glob of a hostile pattern = %v, %v, want false and an error", got, m.Err())
	}
}

// Patterns mean what the regular expressions mean that they stand for.
func FuzzGlob(f *testing.F) {
	for _, s := range [][2]string{
		{"", ""},
		{"a", "*"},
		{"team/app", "team/**"},
		{"wasi:cli/stdout@0.2.0", "wasi:*/*"},
		{"x/y.wasm", "**/*.wasm"},
		{"axbyc", "a?b*c"},
		{"a/b/a/c", "**a/*c"},
		{"€", "*??"},
		{"aaa/ab", "**a*b"},
		{"a.b", "a.b"},
	} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, text, pattern string) {
		if !utf8.ValidString(text) || !utf8.ValidString(pattern) || len(text)+len(pattern) > 500 {
			return
		}
		form := regexp.QuoteMeta(pattern)
		form = strings.ReplaceAll(form, `\*\*`, "\x00")
		form = strings.ReplaceAll(form, `\*`, `[^/]*`)
		form = strings.ReplaceAll(form, `\?`, `[^/]`)
		if strings.Contains(pattern, "\x00") {
			return
		}
		form = strings.ReplaceAll(form, "\x00", `.*`)
		m := New()
		got := m.Match(text, pattern)
		if want := regexp.MustCompile(`(?s)^` + form + `$`).MatchString(text); m.Err() == nil && got != want {
			t.Fatalf("Match(%q, %q) = %v, want %v", text, pattern, got, want)
		}
	})
}
