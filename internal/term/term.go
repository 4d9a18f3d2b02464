// Package term writes for people: tables whose columns line up, colour where a
// terminal shows it, and text from outside without the control characters that
// a terminal would obey.
package term

import (
	"fmt"
	"io"
	"os"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/term"
)

// IsTerminal reports whether w or r is a terminal.
func IsTerminal(f any) bool {
	file, ok := f.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// Colour reports whether colour may be written to w: it is a terminal, and
// neither NO_COLOR is set (https://no-color.org) nor TERM dumb.
func Colour(w io.Writer) bool {
	return os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && IsTerminal(w)
}

// A Style is a colour of text.
type Style string

// Styles, as SGR parameters.
const (
	Bold   Style = "1"
	Dim    Style = "2"
	Red    Style = "31"
	Green  Style = "32"
	Yellow Style = "33"
)

// Paint gives s in style st if colour is on.
func Paint(colour bool, st Style, s string) string {
	if !colour {
		return s
	}
	return "\x1b[" + string(st) + "m" + s + "\x1b[0m"
}

// Clean replaces what a terminal would obey instead of show: control and format
// characters, line ends among them, and bytes that are no UTF-8.
func Clean(s string) string { return clean(s, false) }

// CleanLines is Clean that keeps line ends and tabs.
func CleanLines(s string) string { return clean(s, true) }

func clean(s string, lines bool) string {
	return strings.Map(func(r rune) rune {
		switch {
		case lines && (r == '\n' || r == '\t'):
			return r
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r), r == utf8.RuneError, r == '\u2028', r == '\u2029':
			return utf8.RuneError
		}
		return r
	}, s)
}

// Table writes rows with their columns under each other, two spaces apart. The
// first row is the heading; no trailing spaces are written. Cells are cleaned.
func Table(w io.Writer, rows [][]string) error {
	var widths []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(Clean(cell)))
		}
	}
	var b strings.Builder
	for _, row := range rows {
		line := ""
		for i, cell := range row {
			cell = Clean(cell)
			line += cell + strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)+2)
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// Bytes gives n bytes in the largest binary unit that leaves a number of at
// least one: "512 B", "1.5 KiB".
func Bytes(n int64) string {
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	v, unit := float64(n), 0
	for v >= 1024 && unit < 6 {
		v /= 1024
		unit++
	}
	return fmt.Sprintf("%.1f %ciB", v, "_KMGTPE"[unit])
}

// ReadPassword reads a line from the terminal f without showing it.
func ReadPassword(f *os.File) (string, error) {
	b, err := term.ReadPassword(int(f.Fd()))
	return string(b), err
}
