package main

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/wreg-project/wreg/inspect/wasm"
	"github.com/wreg-project/wreg/internal/durable"
	"github.com/wreg-project/wreg/internal/term"
	"github.com/wreg-project/wreg/sbom"
	"github.com/wreg-project/wreg/sbom/cyclonedx"
	"github.com/wreg-project/wreg/sbom/evidence"
	"github.com/wreg-project/wreg/sbom/spdx"
)

func (t *tool) sbomCommand() *cli.Command {
	var form, out, with string
	var explain, similar bool
	return &cli.Command{
		Name:      "sbom",
		Usage:     "list what was compiled into a Wasm file or package",
		ArgsUsage: "FILE|REF",
		Description: `Derives a bill of materials from the binary alone: libraries, crates, modules and
packages with their versions, where in the file each was found, and how complete
the list can be. Nothing is run and no network is used, but to fetch a package.

What is proven left bytes of its own in the file. What is inferred is required by
something proven, and what is only named has no version.

With --format it is written as a document: ` + strings.Join(sbomFormNames(), ", ") + `.
With --output json or yaml it is our own form, which docs/spec/sbom.md describes.

With --compare it is held against what the publisher declares: a bill of materials
in CycloneDX or SPDX, in a file or attached to the package.

With --similar the registry, if it is a wreg, is asked which of its packages share
functions with this one. That is no proof of a component, and stands beside the
bill of materials, not in it.

   wpkg sbom app.wasm --explain
   wpkg sbom demo:app@1.2.0 --format cyclonedx-json -o app.cdx.json
   wpkg sbom demo:app@1.2.0 --compare attached
   wpkg sbom demo:app@1.2.0 --similar`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "format", Usage: "write a document of this `FORM`", Destination: &form},
			&cli.StringFlag{Name: "o", Usage: "write the document to `FILE` instead of standard output", Destination: &out},
			&cli.StringFlag{Name: "compare", Usage: "compare with the declaration in `FILE`, or with those attached", Destination: &with, TakesFile: true},
			&cli.BoolFlag{Name: "explain", Usage: "show every piece of evidence with its place in the file", Destination: &explain, DisableDefaultText: true},
			&cli.BoolFlag{Name: "similar", Usage: "ask the registry which packages share functions", Destination: &similar, DisableDefaultText: true},
		},
		Action: func(c *cli.Context) error {
			if err := arguments(c, 1, 1); err != nil {
				return err
			}
			write, ok := sbomForms[form]
			switch {
			case form != "" && !ok:
				return usagef("--format %s: it is one of %s", term.Clean(form), strings.Join(sbomFormNames(), ", "))
			case form == "" && out != "":
				return &usageError{text: "-o needs the form of the document", hint: "--format cyclonedx-json"}
			case with != "" && (form != "" || explain):
				return usagef("--compare does not go with --format and --explain")
			case similar && (form != "" || explain || with != ""):
				return usagef("--similar does not go with --format, --explain and --compare")
			case similar && isFile(c.Args().First()):
				return usagef("--similar needs a package of a registry: %s is a file", term.Clean(c.Args().First()))
			}
			f, err := t.load(c.Context, c.Args().First())
			if err != nil {
				return err
			}
			d, err := f.sbom()
			if err != nil {
				return err
			}
			switch {
			case similar:
				return t.similarSBOM(c.Context, c.Args().First(), d)
			case with != "":
				return t.compareSBOM(c.Context, f, d, with)
			case form != "":
				return t.writeDocument(d, write, out)
			case t.structured():
				return t.emitValue(d)
			case explain:
				return term.Table(t.out, explainRows(d))
			}
			return t.printSBOM(d)
		},
	}
}

// sbomForms are the documents that can be written.
var sbomForms = map[string]func(io.Writer, *sbom.Document) error{
	"cyclonedx-json":     cycloneDX(cyclonedx.V1_6, cyclonedx.JSON),
	"cyclonedx-xml":      cycloneDX(cyclonedx.V1_6, cyclonedx.XML),
	"cyclonedx-1.7-json": cycloneDX(cyclonedx.V1_7, cyclonedx.JSON),
	"cyclonedx-1.7-xml":  cycloneDX(cyclonedx.V1_7, cyclonedx.XML),
	"spdx-json":          spdxForm(spdx.JSON),
	"spdx-tag":           spdxForm(spdx.TagValue),
}

func cycloneDX(v cyclonedx.Version, f cyclonedx.Format) func(io.Writer, *sbom.Document) error {
	return func(w io.Writer, d *sbom.Document) error {
		return cyclonedx.Write(w, d, cyclonedx.Options{Version: v, Format: f})
	}
}

func spdxForm(f spdx.Format) func(io.Writer, *sbom.Document) error {
	return func(w io.Writer, d *sbom.Document) error { return spdx.Write(w, d, spdx.Options{Format: f}) }
}

func sbomFormNames() []string {
	names := make([]string, 0, len(sbomForms))
	for name := range sbomForms {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// sbom derives the bill of materials of a file. Errors name it.
func (f *wasmFile) sbom() (*sbom.Document, error) {
	b, err := wasm.Parse(f.data)
	if err != nil {
		return nil, f.fault(err)
	}
	d, err := sbom.Extract(b, sbom.Options{Name: f.name})
	if err != nil {
		return nil, f.fault(err)
	}
	return d, nil
}

// writeDocument writes d to a file, whole or not at all, or to standard output.
func (t *tool) writeDocument(d *sbom.Document, write func(io.Writer, *sbom.Document) error, file string) error {
	if file == "" {
		return write(t.out, d)
	}
	var b bytes.Buffer
	if err := write(&b, d); err != nil {
		return err
	}
	return durable.WriteFile(file, b.Bytes(), 0o644)
}

// printSBOM shows a bill of materials to a person: what there is, unit by unit,
// and how much of the truth that is.
func (t *tool) printSBOM(d *sbom.Document) error {
	var b strings.Builder
	colour := term.Colour(t.out)
	total := 0
	for u := range d.Units() {
		if len(u.Components) == 0 && u.Path != "" {
			continue
		}
		total += len(u.Components)
		if u.Path != "" {
			fmt.Fprintf(&b, "\n%s\n", term.Paint(colour, term.Bold, term.Clean(unitName(u))))
		}
		if len(u.Components) > 0 {
			if err := term.Table(&b, componentRows(u)); err != nil {
				return err
			}
		}
		for _, tool := range u.Tools {
			fmt.Fprintf(&b, "built with %s\n", term.Clean(strings.TrimSpace(tool.Name+" "+tool.Version)))
		}
		for _, c := range u.Completeness {
			word := "incomplete"
			if c.Complete {
				word = "complete"
			}
			fmt.Fprintf(&b, "%s: %s (%s)\n", c.Ecosystem, word, term.Clean(c.Reason))
		}
	}
	if total == 0 {
		fmt.Fprintln(&b, "nothing in the binary tells what it was made of")
	}
	_, err := io.WriteString(t.out, strings.TrimPrefix(b.String(), "\n"))
	return err
}

// unitName is how a nested module or component is called.
func unitName(u *sbom.Unit) string {
	if u.Name == "" {
		return u.Path
	}
	return u.Path + " " + u.Name
}

func componentRows(u *sbom.Unit) [][]string {
	rows := [][]string{{"COMPONENT", "VERSION", "IS", "FOUND BY", "SURE"}}
	for _, c := range u.Components {
		rows = append(rows, []string{string(c.Ecosystem) + " " + c.Name, componentVersion(c), componentClass(c), componentMethods(c), confidence(c.Confidence())})
	}
	return rows
}

// componentVersion is the version of a component, or what is required of it.
func componentVersion(c evidence.Component) string {
	if c.Version == "" && c.Requirement != "" {
		return "(" + c.Requirement + ")"
	}
	return c.Version
}

func componentClass(c evidence.Component) string {
	if c.Part != "" {
		return string(c.Class) + ", of " + c.Part
	}
	return string(c.Class)
}

func componentMethods(c evidence.Component) string {
	var names []string
	for _, e := range c.Evidence {
		if !slices.Contains(names, string(e.Method)) {
			names = append(names, string(e.Method))
		}
	}
	return strings.Join(names, ", ")
}

func confidence(f float64) string { return strconv.Itoa(int(f*100+0.5)) + "%" }

// explainRows lists every piece of evidence.
func explainRows(d *sbom.Document) [][]string {
	rows := [][]string{{"COMPONENT", "IS", "FOUND BY", "SURE", "SECTION", "OFFSET", "TEXT"}}
	for u, c := range d.All() {
		name := c.PURL()
		if u.Path != "" {
			name = u.Path + " " + name
		}
		for _, e := range c.Evidence {
			offset := ""
			if e.Offset >= 0 {
				offset = fmt.Sprintf("%#x", e.Offset)
			}
			rows = append(rows, []string{name, componentClass(*c), string(e.Method), confidence(e.Confidence), e.Section, offset, e.Text})
		}
		for _, parent := range c.RequiredBy {
			rows = append(rows, []string{name, componentClass(*c), "required by", "", "", "", parent})
		}
	}
	return rows
}
