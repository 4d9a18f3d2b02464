package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/wreg-project/wreg/inspect"
	"github.com/wreg-project/wreg/inspect/diff"
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
	if markdown {
		return d.WriteMarkdown(t.out, files[0], files[1])
	}
	p := &diffPrinter{w: t.out, colour: term.Colour(t.out)}
	p.print(files, d)
	return p.err
}

// A diffPrinter writes a diff as text.
type diffPrinter struct {
	w      io.Writer
	colour bool
	err    error
}

func (p *diffPrinter) write(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format, args...)
	}
}

func (p *diffPrinter) print(files [2]string, d *diff.Diff) {
	p.write("%s → %s\n", term.Clean(files[0]), term.Clean(files[1]))
	if d.Equal {
		p.write("No difference.\n")
		return
	}
	for _, part := range d.Parts() {
		p.part(part)
	}
}

func (p *diffPrinter) part(part diff.Part) {
	p.write("\n%s\n", term.Paint(p.colour, term.Bold, part.Title))
	var b strings.Builder
	_ = term.Table(&b, part.Rows()) // a builder takes everything
	for i, line := range strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n") {
		p.write("  %s\n", term.Paint(p.colour, signStyles[part.Lines[i].Sign], line))
	}
}

var signStyles = map[byte]term.Style{'+': term.Green, '-': term.Red, '~': term.Yellow}
