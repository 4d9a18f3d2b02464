package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/wreg-project/wreg/internal/term"
)

// A located error knows where in a text the fault is, and shows the place.
type located struct {
	error
	hint  string
	marks []mark
}

func (l *located) Unwrap() error { return l.error }

// A mark is a place in a text.
type mark struct {
	heading string // what is wrong there, "" if the error says so itself
	line    string
	column  int // in characters, from 1; 0 for the whole line
}

// Bounds of what is shown.
const (
	maxMarks   = 10
	maxExcerpt = 100 // characters of a line
)

// point writes the marked lines, a caret under each place.
func (l *located) point(w io.Writer, colour bool) {
	for i, m := range l.marks {
		if i == maxMarks {
			fmt.Fprintf(w, "… and %d more\n", len(l.marks)-i)
			return
		}
		if m.heading != "" {
			fmt.Fprintln(w, term.Clean(m.heading))
		}
		line, column := excerpt(m.line, m.column)
		if strings.TrimSpace(line) == "" {
			continue
		}
		fmt.Fprintf(w, "  %s\n", line)
		if column > 0 {
			fmt.Fprintf(w, "  %s%s\n", strings.Repeat(" ", column-1), term.Paint(colour, term.Bold, "^"))
		}
	}
}

// excerpt cuts a line to what fits around a column, and returns the column in what
// is left. A column beyond the line's end is the place behind it.
func excerpt(line string, column int) (string, int) {
	runes := []rune(term.Clean(strings.TrimRight(line, "\r\n")))
	column = min(column, len(runes)+1)
	from := 0
	if column > maxExcerpt*3/4 {
		from = column - maxExcerpt*3/4
	}
	to := min(len(runes), from+maxExcerpt)
	out := string(runes[from:to])
	if column > 0 {
		column -= from
	}
	if from > 0 {
		out = "…" + out
		column++
	}
	if to < len(runes) {
		out += "…"
	}
	return out, column
}

// lineOf is line n of a text, counted from 1.
func lineOf(text string, n int) string {
	if n < 1 {
		return ""
	}
	for range n - 1 {
		_, rest, ok := strings.Cut(text, "\n")
		if !ok {
			return ""
		}
		text = rest
	}
	line, _, _ := strings.Cut(text, "\n")
	return line
}
