package main

import (
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/wreg-project/wreg/inspect"
	"github.com/wreg-project/wreg/inspect/signal"
	"github.com/wreg-project/wreg/inspect/wasm"
	"github.com/wreg-project/wreg/internal/term"
)

func (t *tool) inspectCommand() *cli.Command {
	var view string
	return &cli.Command{
		Name:      "inspect",
		Usage:     "say what a Wasm file or package is, and what it may do",
		ArgsUsage: "FILE|REF",
		Description: `Validates and analyses the binary, and shows a summary of one screen, or with
--view one part of the report in full:
` + strings.Join(viewNames(), ", ") + `.
With --output json or yaml it is the whole report, whose form docs/spec/report.md
describes, or with --view that part of it.`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "view", Usage: "show this `PART` of the report", Destination: &view},
		},
		Action: func(c *cli.Context) error {
			if err := arguments(c, 1, 1); err != nil {
				return err
			}
			v, err := viewOf(view)
			if err != nil {
				return err
			}
			f, err := t.load(c.Context, c.Args().First())
			if err != nil {
				return err
			}
			rep, err := f.inspect(inspect.Options{Strings: v.strings, Functions: v.functions || view == "" && t.structured()})
			if err != nil {
				return err
			}
			switch {
			case t.format == formatJSON && view == "":
				return rep.WriteJSON(t.out)
			case t.structured():
				return t.emitValue(v.value(rep))
			case view == "":
				return printSummary(t.out, f, rep, term.Colour(t.out))
			}
			return term.Table(t.out, v.rows(rep))
		},
	}
}

// minMemory is what a report of a small file may take before garbage is collected
// more eagerly, in bytes.
const minMemory = 24 << 20

// inspect reports on the file in full. Errors name it.
func (f *wasmFile) inspect(o inspect.Options) (*inspect.Report, error) {
	rep, err := f.analyse(o)
	if err != nil {
		return nil, f.fault(err)
	}
	return rep, nil
}

func (f *wasmFile) analyse(o inspect.Options) (*inspect.Report, error) {
	// The file is by far the largest thing in memory, and stays. Left alone, the
	// collector would let as much garbage gather as there is memory in use.
	debug.SetGCPercent(50)
	debug.SetMemoryLimit(max(minMemory, 3*int64(len(f.data))))
	return inspect.Inspect(f.data, o)
}

// fault is err, which reading the file gave, with its name. Of native code it
// says whose.
func (f *wasmFile) fault(err error) error {
	if found, ok := signal.Precompiled(f.data); ok {
		what := signal.Merge(found).Signals[0].Finds[0].Evidence
		return &hinted{fmt.Errorf("%s: %s, not WebAssembly", f.name, what), "publish the .wasm that it was made from"}
	}
	return wasmError(fmt.Errorf("%s: %w", f.name, err), f.name)
}

// wasmError says of a file that is no WebAssembly at all just that, without the
// place; of one that is broken, where.
func wasmError(err error, name string) error {
	for _, plain := range []error{wasm.ErrMagic, wasm.ErrPrecompiled, wasm.ErrText} {
		if errors.Is(err, plain) {
			return fmt.Errorf("%s: %w", name, plain)
		}
	}
	return err
}

// A view is one part of a report.
type view struct {
	name      string
	strings   int  // how many the report has to list
	functions bool // whether it has to list all functions
	value     func(*inspect.Report) any
	rows      func(*inspect.Report) [][]string
}

func viewNames() (names []string) {
	for _, v := range views {
		names = append(names, v.name)
	}
	return names
}

// viewOf finds a view by its name; that without a name is the whole report.
func viewOf(name string) (view, error) {
	if name == "" {
		return view{value: func(rep *inspect.Report) any { return rep }}, nil
	}
	i := slices.IndexFunc(views, func(v view) bool { return v.name == name })
	if i < 0 {
		return view{}, &usageError{
			text: "--view " + term.Clean(name) + ": there is no such view", hint: "it is one of " + strings.Join(viewNames(), ", "),
		}
	}
	return views[i], nil
}
