package term

import (
	"strings"
	"testing"
)

func TestClean(t *testing.T) {
	tests := []struct{ name, in, want, lines string }{
		{"plain text", "hello, wörld 日本", "hello, wörld 日本", "hello, wörld 日本"},
		{"an escape sequence", "\x1b[2Jgone", "\uFFFD[2Jgone", "\uFFFD[2Jgone"},
		{"line ends", "a\r\nb\tc", "a\uFFFD\uFFFDb\uFFFDc", "a\uFFFD\nb\tc"},
		{"text turned round", "a\u202eb", "a\uFFFDb", "a\uFFFDb"},
		{"no UTF-8", "a\xffb", "a\uFFFDb", "a\uFFFDb"},
		{"a C1 control", "a\u009bb", "a\uFFFDb", "a\uFFFDb"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := Clean(tt.in); got != tt.want {
				t.Errorf("Clean(%q) = %q, want %q", tt.in, got, tt.want)
			}
			if got := CleanLines(tt.in); got != tt.lines {
				t.Errorf("CleanLines(%q) = %q, want %q", tt.in, got, tt.lines)
			}
		})
	}
}

func TestTableLinesUp(t *testing.T) {
	var b strings.Builder
	if err := Table(&b, [][]string{{"NAME", "SIZE"}, {"wörld", "1 B"}, {"a\n", ""}}); err != nil {
		t.Fatal(err)
	}
	if want := "NAME   SIZE\nwörld  1 B\na\uFFFD\n"; b.String() != want {
		t.Errorf("Table wrote\n%s\nwant\n%s", b.String(), want)
	}
}

func TestBytes(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 1536: "1.5 KiB", 5 << 30: "5.0 GiB", 1<<63 - 1: "8.0 EiB"} {
		if got := Bytes(n); got != want {
			t.Errorf("Bytes(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestPaintWithoutColourIsPlain(t *testing.T) {
	if got := Paint(false, Red, "x"); got != "x" {
		t.Errorf("Paint = %q", got)
	}
	if got := Paint(true, Red, "x"); got != "\x1b[31mx\x1b[0m" {
		t.Errorf("Paint = %q", got)
	}
	t.Setenv("NO_COLOR", "1")
	if Colour(&strings.Builder{}) {
		t.Error("colour for a builder")
	}
}
