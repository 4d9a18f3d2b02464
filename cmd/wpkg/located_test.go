package main

import (
	"errors"
	"strings"
	"testing"
)

func TestAPlaceInATextIsShown(t *testing.T) {
	long := strings.Repeat("x", 300)
	tests := []struct {
		name  string
		marks []mark
		want  string
	}{
		{"at its beginning", []mark{{line: "langg:rust", column: 1}}, "  langg:rust\n  ^\n"},
		{"behind letters that take more than a byte", []mark{{line: "häß lich:x", column: 5}}, "  häß lich:x\n      ^\n"},
		{"behind its end", []mark{{line: "a (", column: 99}}, "  a (\n     ^\n"},
		{"a line without a column", []mark{{line: "size: >"}}, "  size: >\n"},
		{"no line", []mark{{heading: "p.yaml: no rules"}}, "p.yaml: no rules\n"},
		{"what a terminal would obey", []mark{{line: "a\x1b[2J b", column: 7}}, "  a\uFFFD[2J b\n        ^\n"},
		{"two places", []mark{{"1:1: a", "x", 1}, {"2:1: b", "y", 1}}, "1:1: a\n  x\n  ^\n2:1: b\n  y\n  ^\n"},
		{
			"far into a long line",
			[]mark{{line: long, column: 200}},
			"  …" + strings.Repeat("x", 100) + "…\n  " + strings.Repeat(" ", 75) + "^\n",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var b strings.Builder
			(&located{error: errors.New("bad"), marks: tt.marks}).point(&b, false)
			if b.String() != tt.want {
				t.Errorf("point wrote\n%s\nwant\n%s", b.String(), tt.want)
			}
		})
	}
}

func TestManyPlacesAreCut(t *testing.T) {
	var b strings.Builder
	(&located{error: errors.New("bad"), marks: make([]mark, maxMarks+5)}).point(&b, false)
	if got, want := b.String(), "… and 5 more\n"; got != want {
		t.Errorf("point wrote %q, want %q", got, want)
	}
}

// Whatever the text and place, a caret stands under a character of what is shown
// or just behind it.
func FuzzExcerpt(f *testing.F) {
	f.Add("langg:rust", 1)
	f.Add(strings.Repeat("日", 500), 400)
	f.Add("\x1b[2J\r\n", -3)
	f.Fuzz(func(t *testing.T, line string, column int) {
		got, at := excerpt(line, column)
		n := len([]rune(got))
		if n > maxExcerpt+2 || at > n+1 || column > 0 && at < 1 {
			t.Errorf("excerpt(%q, %d) = %q (%d characters), %d", line, column, got, n, at)
		}
	})
}

func TestLineOf(t *testing.T) {
	const text = "a\nb\r\n\nd"
	for n, want := range map[int]string{-1: "", 0: "", 1: "a", 2: "b\r", 3: "", 4: "d", 5: ""} {
		if got := lineOf(text, n); got != want {
			t.Errorf("lineOf(%q, %d) = %q, want %q", text, n, got, want)
		}
	}
}
