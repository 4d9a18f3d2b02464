package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"github.com/wreg-project/wreg/artifact/build"
	"github.com/wreg-project/wreg/artifact/build/golang"
)

// builders are the kinds of projects that can be built.
func builders() []build.Builder { return []build.Builder{golang.Builder{}} }

// built is what build made.
type built struct {
	Path    string `json:"path"`
	Builder string `json:"builder"`
	Size    int64  `json:"size"` // bytes

	Provenance string `json:"provenance,omitempty"` // the file
}

func (t *tool) buildCommand() *cli.Command {
	var o build.Options
	var provenance string
	return &cli.Command{
		Name:      "build",
		Usage:     "build a project into a Wasm file",
		ArgsUsage: "[DIR] [-o FILE]",
		Description: `Builds the Go command in DIR, by default the current folder, for wasip1. The same
source and compiler give the same bytes. The file is named after the folder
unless -o says otherwise.

--provenance writes how the file was built as SLSA provenance, version 1: options,
compiler, modules with their hashes, and in GitHub Actions and GitLab the source and
the run. wpkg attest signs it once the package is pushed.`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "o", Usage: "write this `FILE`", Destination: &o.Output},
			&cli.BoolFlag{Name: "reactor", Usage: "a module whose exports are called, without a start function", Destination: &o.Reactor},
			&cli.BoolFlag{Name: "strip", Usage: "leave out names and debug information", Destination: &o.Strip},
			&cli.StringFlag{Name: "provenance", Usage: "write how it was built to this `FILE`", Destination: &provenance, TakesFile: true},
		},
		Action: func(c *cli.Context) error {
			if err := arguments(c, 0, 1); err != nil {
				return err
			}
			o.Dir = c.Args().First()
			if o.Dir == "" {
				o.Dir = "."
			}
			return t.build(c, o, provenance)
		},
	}
}

func (t *tool) build(c *cli.Context, o build.Options, provenance string) error {
	b, err := build.Detect(builders(), o.Dir)
	if err != nil {
		return err
	}
	if o.Output == "" {
		abs, err := filepath.Abs(o.Dir)
		if err != nil {
			return err
		}
		o.Output = filepath.Base(abs) + ".wasm"
	}
	var run buildRun
	if provenance != "" {
		if run, err = startRun(); err != nil {
			return err
		}
	}
	if err := b.Build(c.Context, o); err != nil {
		return err
	}
	if provenance != "" {
		if err := run.write(provenance, o, b.Name()); err != nil {
			return err
		}
	}
	fi, err := os.Stat(o.Output)
	if err != nil {
		return fmt.Errorf("build %s: %w", o.Dir, err)
	}
	out := built{Path: o.Output, Builder: b.Name(), Size: fi.Size(), Provenance: provenance}
	return t.emit(out, [][]string{{"FILE", "SIZE", "BUILDER"}, {out.Path, sizeText(out.Size), out.Builder}})
}
