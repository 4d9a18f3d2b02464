package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/wreg-project/wreg/inspect"
	"github.com/wreg-project/wreg/inspect/wasm"
	"github.com/wreg-project/wreg/internal/term"
)

func (t *tool) inspectCommand() *cli.Command {
	return &cli.Command{
		Name:      "inspect",
		Usage:     "say what a Wasm file or package is",
		ArgsUsage: "FILE|REF",
		Description: `Shows kind, size, imports, exports, producers and sections. With --output json
it is the whole report, whose form docs/spec/report.md describes.`,
		Action: func(c *cli.Context) error {
			if err := arguments(c, 1, 1); err != nil {
				return err
			}
			f, err := t.load(c.Context, c.Args().First())
			if err != nil {
				return err
			}
			rep, err := inspect.Describe(bytes.NewReader(f.data), int64(len(f.data)))
			if err != nil {
				return wasmError(fmt.Errorf("%s: %w", f.name, err), f.name)
			}
			return t.show(f.name, rep, [2]string{"digest", f.digest})
		},
	}
}

// show writes a report, to a person with more lines about the file.
func (t *tool) show(name string, rep *inspect.Report, more ...[2]string) error {
	if t.structured() {
		return t.emitValue(rep)
	}
	return printReport(t.out, name, rep, more, term.Colour(t.out))
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

// printReport shows a report to a person.
func printReport(w io.Writer, name string, rep *inspect.Report, more [][2]string, colour bool) error {
	facts := [][]string{{"name", name}}
	add := func(k, v string) {
		if v != "" {
			facts = append(facts, []string{k, v})
		}
	}
	for _, m := range more {
		add(m[0], m[1])
	}
	add("kind", string(rep.Kind))
	add("size", fmt.Sprintf("%s (%d bytes)", sizeText(rep.Size), rep.Size))
	add("wasi", string(rep.WASI))
	add("module", rep.Metadata.Name)
	add("version", rep.Metadata.Version)
	add("description", rep.Metadata.Description)
	add("authors", rep.Metadata.Authors)
	add("licenses", rep.Metadata.Licenses)
	add("source", rep.Metadata.Source)
	add("homepage", rep.Metadata.Homepage)
	add("revision", rep.Metadata.Revision)
	if c := rep.Component; c != nil {
		add("package", c.Package)
		add("world", c.Target)
	}
	if m := rep.Module; m != nil {
		add("functions", fmt.Sprintf("%d (%d imported)", m.Functions, m.Imported))
		add("code", sizeText(m.CodeSize))
		add("data", sizeText(m.DataSize))
	}
	add("features", strings.Join(rep.Features, " "))
	if err := term.Table(w, facts); err != nil {
		return err
	}
	parts := []part{{"Imports", importRows(rep)}, {"Exports", exportRows(rep)}}
	if c := rep.Component; c != nil && rep.Kind == inspect.KindWITPackage { // whose exports have names that say nothing
		parts = []part{{"Worlds", nameRows(c.Worlds)}, {"Interfaces", nameRows(c.Interfaces)}}
	}
	parts = append(parts, part{"Producers", producerRows(rep)}, part{"Sections", sectionRows(rep)}, part{"Problems", problemRows(rep)})
	for _, part := range parts {
		if len(part.rows) == 0 {
			continue
		}
		if _, err := fmt.Fprintf(w, "\n%s (%d)\n", term.Paint(colour, term.Bold, part.title), len(part.rows)); err != nil {
			return err
		}
		if err := term.Table(w, indent(part.rows)); err != nil {
			return err
		}
	}
	return nil
}

// A part of a report is a list under a title.
type part struct {
	title string
	rows  [][]string
}

func nameRows(names []string) (rows [][]string) {
	for _, n := range names {
		rows = append(rows, []string{n})
	}
	return rows
}

func indent(rows [][]string) [][]string {
	for _, r := range rows {
		r[0] = "  " + r[0]
	}
	return rows
}

func importRows(rep *inspect.Report) (rows [][]string) {
	for _, i := range rep.Imports {
		name := i.Name
		if i.Module != "" {
			name = i.Module + " " + i.Name
		}
		rows = append(rows, []string{name, i.Kind, i.Type})
	}
	return rows
}

func exportRows(rep *inspect.Report) (rows [][]string) {
	for _, e := range rep.Exports {
		rows = append(rows, []string{e.Name, e.Kind, e.Type})
	}
	return rows
}

func producerRows(rep *inspect.Report) (rows [][]string) {
	for _, p := range rep.Producers {
		rows = append(rows, []string{p.Field, p.Name, p.Version})
	}
	return rows
}

func sectionRows(rep *inspect.Report) (rows [][]string) {
	for _, s := range rep.Sections {
		name := s.Name
		if s.Custom {
			name = "custom " + strconv.Quote(s.Name)
		}
		rows = append(rows, []string{name, fmt.Sprintf("at %#x", s.Offset), sizeText(s.Size)})
	}
	return rows
}

func problemRows(rep *inspect.Report) (rows [][]string) {
	for _, p := range rep.Problems {
		rows = append(rows, []string{fmt.Sprint(p)})
	}
	return rows
}

func sizeText(n int64) string { return term.Bytes(n) }
