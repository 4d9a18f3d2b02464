package main

import (
	"fmt"
	"io"

	"github.com/urfave/cli/v2"

	"github.com/wreg-project/wreg/inspect/wasm"
	"github.com/wreg-project/wreg/inspect/wit"
	"github.com/wreg-project/wreg/internal/term"
)

func (t *tool) witCommand() *cli.Command {
	return &cli.Command{
		Name:  "wit",
		Usage: "work with the interfaces of components",
		Subcommands: []*cli.Command{{
			Name:      "show",
			Usage:     "print the WIT of a component, a WIT package, or a core module that carries its world",
			ArgsUsage: "FILE|REF",
			Description: `The text can be read by every WIT tool. With --output json or yaml it is the
interface as a structure: world, imports, exports.`,
			Action: func(c *cli.Context) error {
				if err := arguments(c, 1, 1); err != nil {
					return err
				}
				f, err := t.load(c.Context, c.Args().First())
				if err != nil {
					return err
				}
				return t.witShow(f)
			},
		}},
	}
}

func (t *tool) witShow(f *wasmFile) error {
	b, err := wasm.Parse(f.data)
	if err != nil {
		return f.fault(err)
	}
	doc, notes, err := wit.FromBinary(b)
	if err != nil {
		return fmt.Errorf("%s: %w", f.name, err)
	}
	for _, n := range notes {
		fmt.Fprintf(t.err, "wpkg: %s: %s\n", f.name, term.Clean(n))
	}
	if t.structured() {
		return t.emitValue(doc.Summary())
	}
	text, err := wit.Print(doc)
	if err != nil {
		return fmt.Errorf("%s: %w", f.name, err)
	}
	_, err = io.WriteString(t.out, term.CleanLines(text))
	return err
}
