package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/wreg-project/wreg/inspect/wasm"
)

// A validity says whether one binary is valid.
type validity struct {
	Name     string   `json:"name"`
	Valid    bool     `json:"valid"`
	Requires []string `json:"requires"` // features beyond the first version of the specification

	// Error says what is wrong, and Offset where, in bytes from the start of the
	// file.
	Error  string `json:"error,omitempty"`
	Offset *int64 `json:"offset,omitempty"`
}

func (t *tool) validateCommand() *cli.Command {
	var checkfile string
	var fetch fetchFlags
	return &cli.Command{
		Name:      "validate",
		Usage:     "check that Wasm is valid, and say which features it needs; or hold it against a mod.yaml",
		ArgsUsage: "FILE|REF…",
		Description: `Checks modules and components, with everything nested in them, by the rules of
the WebAssembly 3.0 specification, the proposals after it and the component
model. The status is 1 if one of them is not valid.

With -c each is held against a checkfile in Modsurfer's form instead, with its
exit codes and its report as JSON: the status is 0 if all pass and 1 if one
fails. docs/spec/audit.md says where we differ. A url in the checkfile is followed
only if --url-sha256 pins what is there.

   wpkg validate app.wasm
   wpkg validate plugin.wasm -c mod.yaml --output json`,
		Flags: append(fetch.flags(),
			&cli.StringFlag{
				Name: "check", Aliases: []string{"c"}, Usage: "hold against this `FILE`, a mod.yaml",
				Destination: &checkfile, TakesFile: true,
			},
		),
		Action: func(c *cli.Context) error {
			if err := arguments(c, 1, -1); err != nil {
				return err
			}
			if checkfile != "" {
				return t.checkAll(c.Context, c.Args().Slice(), checkfile, &fetch)
			}
			var list []validity
			rows := [][]string{{"NAME", "VALID", "NEEDS"}}
			bad := 0
			for _, arg := range c.Args().Slice() {
				f, err := t.load(c.Context, arg)
				if err != nil {
					return err
				}
				v := f.validate()
				list = append(list, v)
				if v.Valid {
					rows = append(rows, []string{v.Name, "yes", strings.Join(v.Requires, " ")})
					continue
				}
				bad++
				rows = append(rows, []string{v.Name, "no", v.Error})
			}
			if err := emitEach(t, list, rows); err != nil {
				return err
			}
			if bad > 0 {
				return fmt.Errorf("%d of %d not valid", bad, len(list))
			}
			return nil
		},
	}
}

func (f *wasmFile) validate() validity {
	v := validity{Name: f.name, Requires: []string{}}
	b, err := wasm.Parse(f.data)
	if err == nil {
		var features wasm.Features
		if features, err = wasm.Validate(b); err == nil {
			v.Valid, v.Requires = true, append(v.Requires, features.List()...)
			return v
		}
	}
	v.Error = err.Error()
	if at, ok := errors.AsType[*wasm.Error](err); ok {
		v.Offset = &at.Offset
	}
	return v
}
