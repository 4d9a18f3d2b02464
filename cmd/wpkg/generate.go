package main

import (
	"fmt"
	"path"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/wreg-project/wreg/inspect"
	"github.com/wreg-project/wreg/internal/durable"
	"github.com/wreg-project/wreg/internal/term"
	"github.com/wreg-project/wreg/registry/policy"
)

// Values of --format of generate.
const (
	formPolicy  = "policy"
	formModYAML = "mod.yaml"
)

func (t *tool) generateCommand() *cli.Command {
	var form, name, out string
	return &cli.Command{
		Name:      "generate",
		Usage:     "write a policy that pins what a binary does today",
		ArgsUsage: "FILE|REF",
		Description: `The policy names what the binary imports, exports and may do, and bounds its size
with a margin of a tenth. It passes itself; audit then tells when a later build
does more. --format mod.yaml writes Modsurfer's form.

   wpkg generate app.wasm -o app.policy.yaml
   wpkg audit dist/app.wasm -p app.policy.yaml`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "format", Value: formPolicy, Usage: "write this `FORM`: policy or mod.yaml", Destination: &form},
			&cli.StringFlag{Name: "name", Usage: "the `NAME` of the policy; by default that of the file or package", Destination: &name},
			&cli.StringFlag{Name: "o", Usage: "write to this `FILE`", Destination: &out, TakesFile: true},
		},
		Action: func(c *cli.Context) error {
			if err := arguments(c, 1, 1); err != nil {
				return err
			}
			if form != formPolicy && form != formModYAML {
				return usagef("generate: --format %s: it is policy or mod.yaml", term.Clean(form))
			}
			f, err := t.load(c.Context, c.Args().First())
			if err != nil {
				return err
			}
			if name == "" {
				name = policyName(f)
			}
			text, err := f.generate(form, name)
			if err != nil {
				return err
			}
			if out != "" {
				return durable.WriteFile(out, text, 0o644)
			}
			_, err = t.out.Write(text)
			return err
		},
	}
}

func (f *wasmFile) generate(form, name string) ([]byte, error) {
	rep, err := f.inspect(inspect.Options{})
	if err != nil {
		return nil, err
	}
	r, c := policy.ReportFacts(rep), policy.CapabilityFacts(rep)
	var text []byte
	if form == formModYAML {
		if rep.Kind == inspect.KindModule {
			if err := r.HashExports(f.data); err != nil {
				return nil, fmt.Errorf("%s: %w", f.name, err)
			}
		}
		text, err = policy.GenerateCheckfile(&r)
	} else {
		text, err = policy.Generate(name, &r, &c)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.name, err)
	}
	return text, nil
}

// policyName makes a name for a policy out of that of a file or package: lower
// case letters, digits and hyphens.
func policyName(f *wasmFile) string {
	base := strings.TrimSuffix(filepath.Base(f.name), ".wasm")
	if f.from != nil {
		base = path.Base(f.from.ref.Repository)
	}
	name := strings.Trim(strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', '0' <= r && r <= '9':
			return r
		case 'A' <= r && r <= 'Z':
			return r - 'A' + 'a'
		}
		return '-'
	}, base), "-")
	if name == "" || name == "." {
		return "generated"
	}
	return name
}
