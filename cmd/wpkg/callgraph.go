package main

import (
	"github.com/urfave/cli/v2"

	"github.com/wreg-project/wreg/inspect"
	"github.com/wreg-project/wreg/inspect/code"
	"github.com/wreg-project/wreg/internal/term"
)

func (t *tool) callgraphCommand() *cli.Command {
	var format, by string
	var module int
	return &cli.Command{
		Name:      "callgraph",
		Usage:     "draw which functions of a module call which",
		ArgsUsage: "FILE|REF",
		Description: `Writes the graph as DOT for Graphviz, as JSON or as an SVG picture to standard
output. Graphs of more functions than fit into a picture are drawn by package,
unless --by function says otherwise.`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "format", Usage: "write `FORMAT`: dot, json or svg", Value: "dot", Destination: &format},
			&cli.StringFlag{Name: "by", Usage: "a box is a `UNIT`: function, package, or auto for whichever fits", Value: "auto", Destination: &by},
			&cli.IntFlag{
				Name: "module", Usage: "of a component, draw core module `N`, counted from 0; by default the largest", Value: -1,
				Destination: &module, DefaultText: "largest",
			},
		},
		Action: func(c *cli.Context) error {
			if err := arguments(c, 1, 1); err != nil {
				return err
			}
			grouping, ok := map[string]code.Grouping{"auto": code.GroupAuto, "function": code.GroupFunctions, "package": code.GroupPackages}[by]
			if !ok {
				return usagef("--by %s: it is auto, function or package", term.Clean(by))
			}
			if format != "dot" && format != "json" && format != "svg" {
				return usagef("--format %s: it is dot, json or svg", term.Clean(format))
			}
			f, err := t.load(c.Context, c.Args().First())
			if err != nil {
				return err
			}
			g, err := inspect.CallGraph(f.data, module, grouping)
			if err != nil {
				return f.fault(err)
			}
			var out []byte
			switch format {
			case "dot":
				out = g.AppendDOT(nil)
			case "svg":
				out = g.AppendSVG(nil)
			default:
				return t.emitJSON(g)
			}
			_, err = t.out.Write(out)
			return err
		},
	}
}
