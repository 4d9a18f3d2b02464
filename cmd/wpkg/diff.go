package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/wreg-project/wreg/inspect"
	"github.com/wreg-project/wreg/inspect/capability"
	"github.com/wreg-project/wreg/inspect/diff"
	"github.com/wreg-project/wreg/inspect/wit"
	"github.com/wreg-project/wreg/internal/term"
)

func (t *tool) diffCommand() *cli.Command {
	var markdown, gate bool
	return &cli.Command{
		Name:      "diff",
		Usage:     "say what changed from one Wasm file or package to another",
		ArgsUsage: "OLD NEW",
		Description: `Compares the reports of both: interface, capabilities, WIT, size by section and
package, functions by their normalised hashes, features and signals. --markdown
is for pull requests.`,
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "markdown", Usage: "print Markdown", Destination: &markdown, DisableDefaultText: true},
			&cli.BoolFlag{Name: "exit-code", Usage: "end with status 3 if there is a difference", Destination: &gate, DisableDefaultText: true},
		},
		Action: func(c *cli.Context) error {
			if err := arguments(c, 2, 2); err != nil {
				return err
			}
			if markdown && t.structured() {
				return usagef("--markdown and --output %s: one of them", t.format)
			}
			var reps [2]*inspect.Report
			var files [2]string
			for i := range reps {
				f, err := t.load(c.Context, c.Args().Get(i))
				if err != nil {
					return err
				}
				if reps[i], err = f.inspect(inspect.Options{Functions: true, Strings: -1}); err != nil {
					return err
				}
				files[i] = f.name
			}
			d := diff.Compare(reps[0], reps[1])
			if err := t.showDiff(files, d, markdown); err != nil {
				return err
			}
			if gate && !d.Equal {
				return errFinding
			}
			return nil
		},
	}
}

func (t *tool) showDiff(files [2]string, d *diff.Diff, markdown bool) error {
	if t.structured() {
		return t.emitValue(d)
	}
	p := &diffPrinter{w: t.out, markdown: markdown, colour: term.Colour(t.out)}
	p.print(files, d)
	return p.err
}

// A diffPrinter writes a diff as text or as Markdown.
type diffPrinter struct {
	w        io.Writer
	markdown bool
	colour   bool
	err      error
}

func (p *diffPrinter) write(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format, args...)
	}
}

// A change is one line: '+' for what came, '-' for what went, '~' for what is
// another now.
type change struct {
	sign  byte
	cells []string
}

func (p *diffPrinter) print(files [2]string, d *diff.Diff) {
	if p.markdown {
		p.write("### %s → %s\n\n", markdownText(files[0]), markdownText(files[1]))
	} else {
		p.write("%s → %s\n", term.Clean(files[0]), term.Clean(files[1]))
	}
	if d.Equal {
		p.write("No difference.\n")
		return
	}
	p.part("What it is", whatChanges(d))
	p.part("Capabilities", capabilityChanges(d.Capabilities))
	if d.WIT != nil {
		p.part("WIT: "+witVerdict(d.WIT), witChanges(d.WIT))
	}
	p.part("Imports", externChanges(d.Imports))
	p.part("Exports", externChanges(d.Exports))
	p.part("Signals", signalChanges(d.Signals))
	p.part("Size by section", deltaChanges(d.Size.Sections, 12))
	p.part("Size by package", deltaChanges(d.Size.Packages, 12))
	p.part("Functions", functionChanges(d.Functions))
}

func (p *diffPrinter) part(title string, changes []change) {
	if len(changes) == 0 {
		return
	}
	if p.markdown {
		p.write("**%s**\n\n```diff\n", title)
	} else {
		p.write("\n%s\n", term.Paint(p.colour, term.Bold, title))
	}
	var rows [][]string
	for _, c := range changes {
		rows = append(rows, append([]string{string(c.sign)}, c.cells...))
	}
	var b strings.Builder
	_ = term.Table(&b, rows) // a builder takes everything
	for i, line := range strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n") {
		switch {
		case p.markdown:
			// GitHub and others colour by the sign; '!' is what changed.
			line = strings.ReplaceAll(line, "```", "'''")
			if changes[i].sign == '~' {
				line = "!" + line[1:]
			}
		default:
			line = "  " + term.Paint(p.colour, signStyles[changes[i].sign], line)
		}
		p.write("%s\n", line)
	}
	if p.markdown {
		p.write("```\n\n")
	}
}

var signStyles = map[byte]term.Style{'+': term.Green, '-': term.Red, '~': term.Yellow}

// markdownText keeps a name from being taken for markup.
func markdownText(s string) string { return "`" + strings.ReplaceAll(term.Clean(s), "`", "'") + "`" }

func whatChanges(d *diff.Diff) (list []change) {
	if d.Size.Old != d.Size.New {
		list = append(list, change{'~', []string{"size", sizeChange(d.Size.Old, d.Size.New)}})
	}
	for _, c := range []struct {
		what string
		diff.Change
	}{{"kind", d.Kind}, {"wasi", d.WASI}} {
		if c.Old != c.New {
			list = append(list, change{'~', []string{c.what, c.Old + " → " + c.New}})
		}
	}
	list = append(list, nameChanges("made by", d.Made)...)
	return append(list, nameChanges("needs", d.Features)...)
}

func nameChanges(what string, n diff.Names) (list []change) {
	for _, s := range n.Added {
		list = append(list, change{'+', []string{what, s}})
	}
	for _, s := range n.Removed {
		list = append(list, change{'-', []string{what, s}})
	}
	return list
}

func sizeChange(old, now int64) string {
	return fmt.Sprintf("%s → %s (%+d bytes)", sizeText(old), sizeText(now), now-old)
}

func capabilityChanges(c diff.Capabilities) (list []change) {
	line := func(sign byte, v diff.Capability, level string, access []string) change {
		return change{sign, []string{v.Severity.String(), capability.Describe(v.ID).Title, level, strings.Join(access, ", ")}}
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

func witChanges(c *wit.Comparison) (list []change) {
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
		list = append(list, change{sign, []string{v.Path, v.Text, breaks}})
	}
	return list
}

func externChanges(e diff.Externs) (list []change) {
	cells := func(v diff.Extern) []string {
		return []string{importedName(v.Module, v.Name), v.Kind, v.Type}
	}
	for _, v := range e.Added {
		list = append(list, change{'+', cells(v)})
	}
	for _, v := range e.Removed {
		list = append(list, change{'-', cells(v)})
	}
	for _, v := range e.Changed {
		list = append(list, change{'~', append(cells(v.Extern), "was "+v.OldType)})
	}
	return list
}

func signalChanges(s diff.Signals) (list []change) {
	count := func(v diff.Signal) string { return fmt.Sprintf("%d → %d", v.Old, v.New) }
	for _, v := range s.Gained {
		list = append(list, change{'+', []string{string(v.Severity), v.Title, count(v)}})
	}
	for _, v := range s.Lost {
		list = append(list, change{'-', []string{string(v.Severity), v.Title, count(v)}})
	}
	return list
}

func deltaChanges(deltas []diff.Delta, most int) (list []change) {
	for _, d := range deltas[:min(len(deltas), most)] {
		sign := byte('~')
		switch {
		case d.Old == 0:
			sign = '+'
		case d.New == 0:
			sign = '-'
		}
		list = append(list, change{sign, []string{packageName(d.Name), sizeChange(d.Old, d.New)}})
	}
	if more := len(deltas) - most; more > 0 {
		list = append(list, change{'~', []string{fmt.Sprintf("%d more", more)}})
	}
	return list
}

// functionChanges lists the largest of each sort.
func functionChanges(f diff.Functions) (list []change) {
	if f.Old == f.New && f.Exact == f.Old {
		return nil
	}
	const most = 10
	list = append(list, change{'~', []string{
		fmt.Sprintf("%d → %d, %d the same (%d to the byte)", f.Old, f.New, f.Same, f.Exact),
		fmt.Sprintf("%d added, %d removed, %d changed", f.AddedCount, f.RemovedCount, f.ChangedCount),
	}})
	name := func(s string, index uint32) string {
		if s == "" {
			return "func " + strconv.FormatUint(uint64(index), 10)
		}
		return s
	}
	for _, c := range f.Changed[:min(len(f.Changed), most)] {
		list = append(list, change{'~', []string{name(c.Name, c.NewIndex), sizeChange(int64(c.OldBytes), int64(c.NewBytes))}})
	}
	for _, c := range f.Added[:min(len(f.Added), most)] {
		list = append(list, change{'+', []string{name(c.Name, c.Index), sizeText(int64(c.Bytes))}})
	}
	for _, c := range f.Removed[:min(len(f.Removed), most)] {
		list = append(list, change{'-', []string{name(c.Name, c.Index), sizeText(int64(c.Bytes))}})
	}
	return list
}
