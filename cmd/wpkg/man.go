package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

const manName = "man"

// manCommand prints the manual page, for packagers.
func (t *tool) manCommand() *cli.Command {
	return &cli.Command{
		Name:   manName,
		Usage:  "print the manual page",
		Hidden: true,
		Action: func(c *cli.Context) error {
			if err := arguments(c, 0, 0); err != nil {
				return err
			}
			_, err := fmt.Fprint(t.out, manualPage(c.App))
			return err
		},
	}
}

// manualPage is the page of section 1 for man(7). The parser's own needs a reader
// of Markdown, which is 0.3 ms and 210 KB of every start where the build tag
// urfave_cli_no_docs does not leave it out.
func manualPage(app *cli.App) string {
	var p manual
	p.line(".nh") // no hyphens: flags and references are to be copied
	p.line(".TH " + app.Name + " 1")
	p.section("NAME", app.Name+` \- `+roff(app.Usage))
	p.line(".SH SYNOPSIS")
	usage, about, _ := strings.Cut(app.UsageText, "\n\n")
	p.example(usage)
	p.section("DESCRIPTION", roff(about))
	p.line(".SH GLOBAL OPTIONS")
	p.flags(app.VisibleFlags())
	p.line(".SH COMMANDS")
	p.commands(app.Name, app.Commands)
	return p.String()
}

type manual struct{ strings.Builder }

func (p *manual) line(text string) { p.WriteString(text + "\n") }

func (p *manual) section(title, text string) {
	p.line(".SH " + title)
	p.line(text)
}

// example is text that is not filled.
func (p *manual) example(text string) {
	p.line(".EX")
	p.line(roff(text))
	p.line(".EE")
}

func (p *manual) commands(path string, list []*cli.Command) {
	for _, c := range list {
		if c.Hidden {
			continue
		}
		name := path + " " + c.Name
		p.line(".SS " + roff(strings.TrimSpace(name+" "+c.ArgsUsage)))
		p.line(roff(c.Usage))
		if c.Description != "" {
			p.line(".PP")
			p.line(roff(c.Description))
		}
		if c.UsageText != "" {
			p.line(".PP")
			p.example(c.UsageText)
		}
		p.flags(slices.DeleteFunc(c.VisibleFlags(), isCommon))
		p.commands(name, c.Subcommands)
	}
}

// isCommon reports whether every command has the flag.
func isCommon(f cli.Flag) bool {
	c, ok := f.(cli.CategorizableFlag)
	return ok && c.GetCategory() == commonCategory || slices.Equal(f.Names(), cli.HelpFlag.Names())
}

// flags are paragraphs with the flag in front. A word in backquotes in a flag's
// text is what its value is called.
func (p *manual) flags(list []cli.Flag) {
	for _, f := range list {
		var names []string
		for _, name := range f.Names() {
			if len(name) == 1 {
				names = append(names, `\fB\-`+name+`\fR`)
			} else {
				names = append(names, `\fB\-\-`+roff(name)+`\fR`)
			}
		}
		head, text := strings.Join(names, ", "), ""
		if d, ok := f.(cli.DocGenerationFlag); ok {
			text = d.GetUsage()
			if value := valueName(text); d.TakesValue() {
				head += ` \fI` + roff(value) + `\fR`
			}
			if text = strings.ReplaceAll(text, "`", ""); d.TakesValue() && d.GetValue() != "" {
				text += " (default: " + d.GetValue() + ")"
			}
		}
		p.line(".TP")
		p.line(head)
		p.line(roff(text))
	}
}

// valueName is what stands in backquotes in the text of a flag.
func valueName(usage string) string {
	if _, rest, ok := strings.Cut(usage, "`"); ok {
		if name, _, ok := strings.Cut(rest, "`"); ok {
			return name
		}
	}
	return "VALUE"
}

// roff writes text so that nothing of it is a request or an escape.
func roff(text string) string {
	lines := strings.Split(strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(strings.TrimSpace(text)), "\n")
	for i, line := range lines {
		if lines[i] = strings.TrimRight(line, " "); strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
			lines[i] = `\&` + lines[i]
		}
	}
	return strings.Join(lines, "\n")
}
