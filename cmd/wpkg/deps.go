package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	"github.com/urfave/cli/v2"

	"github.com/wreg-project/wreg/inspect"
	"github.com/wreg-project/wreg/inspect/capability"
	"github.com/wreg-project/wreg/internal/term"
	"github.com/wreg-project/wreg/registry/catalog/wire"
	"github.com/wreg-project/wreg/registry/client"
)

func (t *tool) depsCommand() *cli.Command {
	var missing bool
	return &cli.Command{
		Name:      "deps",
		Usage:     "show what Wasm imports, and which packages offer it",
		ArgsUsage: "FILE|REF",
		Description: `A tree: the interfaces that a component imports, or the modules that a core module
imports from; below each the packages of the registry that export it, and what
these need in turn. What hosts provide is marked. Of a FILE, the default registry
is asked who exports what it needs.

   wpkg deps demo:app
   wpkg deps app.wasm --registry registry.example.com
   wpkg deps demo:app --missing`,
		Flags: []cli.Flag{
			&cli.BoolFlag{
				Name: "missing", Destination: &missing, DisableDefaultText: true,
				Usage: "end with status 3 if no host and no package offers something",
			},
		},
		Action: func(c *cli.Context) error {
			if err := arguments(c, 1, 1); err != nil {
				return err
			}
			name, d, err := t.dependencies(c.Context, c.Args().First())
			if err != nil {
				return err
			}
			if err := t.printDependencies(name, d); err != nil {
				return err
			}
			if missing && slices.ContainsFunc(d.Imports, unmet) {
				return errFinding
			}
			return nil
		},
	}
}

// unmet reports whether nobody offers an import.
func unmet(d wire.Dependency) bool { return !d.Host && len(d.Providers) == 0 }

// dependencies are those of what arg names, with its name for people.
func (t *tool) dependencies(ctx context.Context, arg string) (string, *wire.Dependencies, error) {
	if isFile(arg) || client.IsLayout(arg) || strings.HasPrefix(arg, "oci-layout:") {
		d, err := t.fileDependencies(ctx, arg)
		return arg, d, err
	}
	at, err := t.cataloged(ctx, arg)
	if err != nil {
		return "", nil, err
	}
	if err := at.latest(ctx); err != nil {
		return "", nil, err
	}
	d, err := at.Dependencies(ctx, at.repo, at.version)
	if err != nil {
		return "", nil, fmt.Errorf("deps %s: %w", at.ref, err)
	}
	return at.repo + "@" + at.version, d, nil
}

// maxInterfaces bounds how many imports of a file the registry is asked about.
const maxInterfaces = 500

// fileDependencies asks the default registry about each import of a file.
func (t *tool) fileDependencies(ctx context.Context, arg string) (*wire.Dependencies, error) {
	f, err := t.load(ctx, arg)
	if err != nil {
		return nil, err
	}
	rep, err := f.inspect(inspect.Options{})
	if err != nil {
		return nil, err
	}
	c, err := t.catalog()
	if err != nil {
		return nil, err
	}
	out := &wire.Dependencies{Package: f.name, Digest: digest.FromBytes(f.data), Imports: importedInterfaces(rep)}
	for i := range out.Imports {
		if i == maxInterfaces {
			out.Truncated = true
			break
		}
		if err := askExporters(ctx, c, &out.Imports[i]); err != nil {
			return nil, fmt.Errorf("deps %s: %w", f.name, err)
		}
	}
	return out, nil
}

// importedInterfaces are what rep needs of others: the interfaces that a component
// imports, or the modules that a core module imports from.
func importedInterfaces(rep *inspect.Report) []wire.Dependency {
	var out []wire.Dependency
	seen := map[string]int{}
	for _, im := range rep.Imports {
		if im.Module == "" && im.Kind == "type" {
			continue // it needs nobody
		}
		name := im.Module
		if name == "" {
			name = im.Name
		}
		host := strings.HasPrefix(name, "wasi:") || capability.Lookup(im.Module, im.Name).Known()
		at, ok := seen[name]
		if !ok {
			at = len(out)
			seen[name] = at
			out = append(out, wire.Dependency{Interface: name, Host: host, Providers: []wire.Provider{}})
		}
		out[at].Host = out[at].Host && host // one name that no host has is enough
	}
	return out
}

// askExporters fills in who exports an import. What a core module calls the module
// that it imports from, without a namespace, names no package.
func askExporters(ctx context.Context, c *client.Catalog, d *wire.Dependency) error {
	if !strings.Contains(d.Interface, ":") {
		return nil
	}
	use, err := c.Interface(ctx, d.Interface)
	if errors.Is(err, client.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, h := range use.Exporters.Items {
		d.Providers = append(d.Providers, wire.Provider{Package: h.Package, Version: hitVersion(h), Digest: h.Digest, Exports: d.Interface})
	}
	d.More = use.Exporters.CountIsLeast || use.Exporters.Count > int64(len(use.Exporters.Items))
	return nil
}

func (t *tool) printDependencies(name string, d *wire.Dependencies) error {
	if t.structured() {
		return t.emitValue(d)
	}
	fmt.Fprintln(t.out, term.Clean(name))
	p := &treePrinter{tool: t}
	p.imports(d.Imports, "")
	if len(d.Imports) == 0 {
		fmt.Fprintln(t.out, "└─ it imports nothing")
	}
	if d.Truncated {
		fmt.Fprintln(t.out, "… the tree is larger; this is its top")
	}
	return nil
}

// A treePrinter draws dependencies.
type treePrinter struct{ *tool }

func (p *treePrinter) imports(list []wire.Dependency, indent string) {
	for i, d := range list {
		line, below := branch(indent, i == len(list)-1)
		note := ""
		switch {
		case d.Host:
			note = "  (the host)"
		case len(d.Providers) == 0:
			note = "  (nobody here)"
		}
		fmt.Fprintf(p.out, "%s%s%s\n", line, term.Clean(d.Interface), note)
		p.providers(d, below)
	}
}

func (p *treePrinter) providers(d wire.Dependency, indent string) {
	for i, by := range d.Providers {
		line, below := branch(indent, i == len(d.Providers)-1 && !d.More)
		name := strings.ReplaceAll(by.Package, ":", "/") + "@" + by.Version
		if by.Version == "" {
			name = strings.ReplaceAll(by.Package, ":", "/") + "@" + shortDigest(by.Digest.String())
		}
		if by.Exports != d.Interface {
			name += "  exports " + by.Exports
		}
		if by.Seen {
			name += "  (above)"
		}
		fmt.Fprintf(p.out, "%s%s\n", line, term.Clean(name))
		p.imports(by.Imports, below)
	}
	if d.More {
		line, _ := branch(indent, true)
		fmt.Fprintf(p.out, "%s… wpkg search 'exports:%s' shows all\n", line, term.Clean(d.Interface))
	}
}

// branch is the beginning of a line of a tree, and of those below it.
func branch(indent string, last bool) (line, below string) {
	if last {
		return indent + "└─ ", indent + "   "
	}
	return indent + "├─ ", indent + "│  "
}
