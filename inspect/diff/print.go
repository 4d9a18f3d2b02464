package diff

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/wreg-project/wreg/inspect/capability"
	"github.com/wreg-project/wreg/inspect/wit"
	"github.com/wreg-project/wreg/internal/term"
)

// A Part is what a diff says about one thing, for people.
type Part struct {
	Title string
	Lines []Line
}

// A Line is one change. Its cells are text from the binaries, not yet fit for a
// terminal.
type Line struct {
	Sign  byte // '+' for what came, '-' for what went, '~' for what is another now
	Cells []string
}

// Parts gives d as it is shown to people; parts without a change are left out.
func (d *Diff) Parts() (parts []Part) {
	add := func(title string, lines []Line) {
		if len(lines) > 0 {
			parts = append(parts, Part{title, lines})
		}
	}
	add("What it is", d.what())
	add("Capabilities", d.Capabilities.lines())
	if d.WIT != nil {
		add("WIT: "+witVerdict(d.WIT), witLines(d.WIT))
	}
	add("Imports", d.Imports.lines())
	add("Exports", d.Exports.lines())
	add("Signals", d.Signals.lines())
	add("Size by section", deltaLines(d.Size.Sections))
	add("Size by package", deltaLines(d.Size.Packages))
	add("Functions", d.Functions.lines())
	return parts
}

// maxDeltas and maxBodies are how many lines people are shown of a list.
const (
	maxDeltas = 12
	maxBodies = 10
)

// WriteMarkdown writes d as Markdown for a pull request, with a heading that
// names both sides.
func (d *Diff) WriteMarkdown(w io.Writer, from, to string) error {
	if _, err := fmt.Fprintf(w, "### %s → %s\n\n", markdownText(from), markdownText(to)); err != nil {
		return err
	}
	if d.Equal {
		_, err := io.WriteString(w, "No difference.\n")
		return err
	}
	for _, p := range d.Parts() {
		if err := p.writeMarkdown(w); err != nil {
			return err
		}
	}
	return nil
}

// writeMarkdown writes a block that GitHub and others colour by the signs, in
// which '!' is what changed.
func (p Part) writeMarkdown(w io.Writer) error {
	var b strings.Builder
	_ = term.Table(&b, p.Rows()) // a builder takes everything
	if _, err := fmt.Fprintf(w, "**%s**\n\n```diff\n", p.Title); err != nil {
		return err
	}
	for i, line := range strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n") {
		line = strings.ReplaceAll(line, "```", "'''")
		if p.Lines[i].Sign == '~' {
			line = "!" + line[1:]
		}
		if _, err := io.WriteString(w, line+"\n"); err != nil {
			return err
		}
	}
	_, err := io.WriteString(w, "```\n\n")
	return err
}

// Rows gives the lines with their signs in front, as a table.
func (p Part) Rows() [][]string {
	rows := make([][]string, len(p.Lines))
	for i, l := range p.Lines {
		rows[i] = append([]string{string(l.Sign)}, l.Cells...)
	}
	return rows
}

// markdownText keeps a name from being taken for markup.
func markdownText(s string) string { return "`" + strings.ReplaceAll(term.Clean(s), "`", "'") + "`" }

func (d *Diff) what() (list []Line) {
	if d.Size.Old != d.Size.New {
		list = append(list, Line{'~', []string{"size", sizeChange(d.Size.Old, d.Size.New)}})
	}
	for _, c := range []struct {
		what string
		Change
	}{{"kind", d.Kind}, {"wasi", d.WASI}} {
		if c.Old != c.New {
			list = append(list, Line{'~', []string{c.what, c.Old + " → " + c.New}})
		}
	}
	if d.Truncated {
		list = append(list, Line{'~', []string{"lists", "cut: what seems to have come or gone may be on both sides"}})
	}
	list = append(list, nameLines("made by", d.Made)...)
	return append(list, nameLines("needs", d.Features)...)
}

func nameLines(what string, n Names) (list []Line) {
	for _, s := range n.Added {
		list = append(list, Line{'+', []string{what, s}})
	}
	for _, s := range n.Removed {
		list = append(list, Line{'-', []string{what, s}})
	}
	return list
}

func sizeChange(old, now int64) string {
	return fmt.Sprintf("%s → %s (%+d bytes)", term.Bytes(old), term.Bytes(now), now-old)
}

func (c Capabilities) lines() (list []Line) {
	line := func(sign byte, v Capability, level string, access []string) Line {
		return Line{sign, []string{v.Severity.String(), capability.Describe(v.ID).Title, level, strings.Join(access, ", ")}}
	}
	for _, v := range c.Gained {
		list = append(list, line('+', v, v.NewLevel, v.NewAccess))
	}
	for _, v := range c.Lost {
		list = append(list, line('-', v, v.OldLevel, v.OldAccess))
	}
	for _, v := range c.Changed {
		level := v.NewLevel
		if v.OldLevel != v.NewLevel {
			level = v.OldLevel + " → " + v.NewLevel
		}
		list = append(list, line('~', v, level, v.NewAccess))
	}
	return list
}

// witVerdict says what the changes of an interface mean for its version.
func witVerdict(c *wit.Comparison) string {
	verdict := "compatible"
	if !c.Compatible {
		verdict = "breaking"
	}
	verdict += ", a " + string(c.Bump) + " version"
	switch {
	case c.Required != "" && !c.Enough:
		verdict += ": the next one must be " + c.Required + " or higher"
	case c.Required != "":
		verdict += ", and it is one"
	}
	return verdict
}

func witLines(c *wit.Comparison) (list []Line) {
	for _, v := range c.Changes {
		sign := byte('~')
		switch {
		case strings.HasSuffix(v.Kind, "-added"):
			sign = '+'
		case strings.HasSuffix(v.Kind, "-removed"):
			sign = '-'
		}
		breaks := ""
		for i, p := range v.Breaks {
			breaks += []string{"breaks ", " and "}[min(i, 1)] + string(p) + "s"
		}
		list = append(list, Line{sign, []string{v.Path, v.Text, breaks}})
	}
	return list
}

func (e Externs) lines() (list []Line) {
	cells := func(v Extern) []string {
		return []string{strings.TrimPrefix(v.Module+" "+v.Name, " "), v.Kind, v.Type}
	}
	for _, v := range e.Added {
		list = append(list, Line{'+', cells(v)})
	}
	for _, v := range e.Removed {
		list = append(list, Line{'-', cells(v)})
	}
	for _, v := range e.Changed {
		list = append(list, Line{'~', append(cells(v.Extern), "was "+v.OldType)})
	}
	return list
}

func (s Signals) lines() (list []Line) {
	count := func(v Signal) string { return fmt.Sprintf("%d → %d", v.Old, v.New) }
	for _, v := range s.Gained {
		list = append(list, Line{'+', []string{string(v.Severity), v.Title, count(v)}})
	}
	for _, v := range s.Lost {
		list = append(list, Line{'-', []string{string(v.Severity), v.Title, count(v)}})
	}
	return list
}

func deltaLines(deltas []Delta) (list []Line) {
	for _, d := range deltas[:min(len(deltas), maxDeltas)] {
		sign := byte('~')
		switch {
		case d.Old == 0:
			sign = '+'
		case d.New == 0:
			sign = '-'
		}
		list = append(list, Line{sign, []string{named(d.Name), sizeChange(d.Old, d.New)}})
	}
	if more := len(deltas) - maxDeltas; more > 0 {
		list = append(list, Line{'~', []string{fmt.Sprintf("%d more", more)}})
	}
	return list
}

// functionChanges lists the largest of each sort.
func (f Functions) lines() (list []Line) {
	if f.Old == f.New && f.Exact == f.Old {
		return nil
	}
	list = append(list, Line{'~', []string{
		fmt.Sprintf("%d → %d, %d the same (%d to the byte)", f.Old, f.New, f.Same, f.Exact),
		fmt.Sprintf("%d added, %d removed, %d changed", f.AddedCount, f.RemovedCount, f.ChangedCount),
	}})
	name := func(s string, index uint32) string {
		if s == "" {
			return "func " + strconv.FormatUint(uint64(index), 10)
		}
		return s
	}
	for _, c := range f.Changed[:min(len(f.Changed), maxBodies)] {
		list = append(list, Line{'~', []string{name(c.Name, c.NewIndex), sizeChange(int64(c.OldBytes), int64(c.NewBytes))}})
	}
	for _, c := range f.Added[:min(len(f.Added), maxBodies)] {
		list = append(list, Line{'+', []string{name(c.Name, c.Index), term.Bytes(int64(c.Bytes))}})
	}
	for _, c := range f.Removed[:min(len(f.Removed), maxBodies)] {
		list = append(list, Line{'-', []string{name(c.Name, c.Index), term.Bytes(int64(c.Bytes))}})
	}
	return list
}

// named stands in for what has no name.
func named(s string) string {
	if s == "" {
		return "(not named)"
	}
	return s
}
