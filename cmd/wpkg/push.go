package main

import (
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/wreg-project/wreg/artifact/ref"
)

func (t *tool) pushCommand() *cli.Command {
	var o packFlags
	var by signerFlags
	return &cli.Command{
		Name:      "push",
		Usage:     "push a Wasm file as a package",
		ArgsUsage: "REF FILE...",
		Description: `Packs FILE and stores it as REF: host/path:tag, path:tag in the default
registry, or namespace:name@version. Without a tag, the tag is the version that
--version or the file states, else latest.

A package holds one Wasm file. Several files become several packages below REF,
each under its file's name: push demo/tools:1.0.0 a.wasm b.wasm makes
demo/tools/a:1.0.0 and demo/tools/b:1.0.0.

With --sign it is signed as wpkg sign does. The signature is stored before the
package is, so that a registry which takes only what is signed takes it.`,
		Flags: slices.Concat(o.flags(), []cli.Flag{
			&cli.BoolFlag{Name: "sign", Usage: "sign what is pushed", Category: "signing", Destination: &o.sign, DisableDefaultText: true},
		}, by.flags()),
		Action: func(c *cli.Context) error {
			if err := arguments(c, 2, -1); err != nil {
				return err
			}
			to, err := t.reference(c.Context, c.Args().First())
			if err != nil {
				return err
			}
			files := c.Args().Tail()
			if to, err = destination(to, c.Args().First(), o.version, len(files)); err != nil {
				return err
			}
			ps, err := publications(to, files)
			if err != nil {
				return err
			}
			if !o.sign {
				if by.given() {
					return &usageError{text: "push: it says with what to sign, and not to sign", hint: "--sign"}
				}
				return t.publish(c.Context, ps, o, nil)
			}
			a, err := t.author(c.Context, by)
			if err != nil {
				return err
			}
			return t.publish(c.Context, ps, o, a)
		},
	}
}

// destination checks that something can be pushed to the reference that arg was
// read as.
func destination(to ref.Reference, arg, version string, files int) (ref.Reference, error) {
	identifier := to.Range != ""
	switch {
	case to.Digest != "":
		return to, &usageError{text: fmt.Sprintf("push: %s: a digest comes of what is pushed", arg), hint: "name a tag: " + to.WithTag("1.0.0").String()}
	case identifier && to.Range != "*":
		return to, usagef("push: %s: a range names many versions; push one", arg)
	case identifier && version == "" && !strings.Contains(arg, "@"):
		return to, &usageError{text: fmt.Sprintf("push: %s: which version?", arg), hint: fmt.Sprintf("wpkg push %s@1.0.0 FILE", arg)}
	case files > 1 && isIdentifier(arg):
		ns, _, _ := strings.Cut(arg, ":")
		return to, &usageError{
			text: fmt.Sprintf("push: %s names one package, and there are %d files", arg, files),
			hint: fmt.Sprintf("a package of each: wpkg push oci:%s:VERSION FILE...", ns),
		}
	}
	if identifier {
		tag, err := ref.TagOf(version)
		if err != nil {
			return to, usagef("push: --version: %v", err)
		}
		return to.WithTag(tag), nil
	}
	return to, nil
}

// isIdentifier reports whether arg is namespace:name with or without a version.
func isIdentifier(arg string) bool {
	name, _, _ := strings.Cut(arg, "@")
	r, err := ref.Parse(name, ref.Defaults{Registry: builtinRegistry})
	return err == nil && r.Range != ""
}

// publications says where each file goes.
func publications(to ref.Reference, files []string) ([]publication, error) {
	if len(files) == 1 {
		return []publication{{file: files[0], to: to}}, nil
	}
	if to.Layout != "" {
		return nil, &usageError{text: "push: a layout has one name for a version, and there are several files", hint: "give each file a layout of its own"}
	}
	seen := map[string]string{}
	var out []publication
	for _, f := range files {
		one := to
		one.Repository = path.Join(to.Repository, strings.TrimSuffix(filepath.Base(f), ".wasm"))
		if err := ref.CheckName(one.Repository); err != nil {
			return nil, &usageError{text: fmt.Sprintf("push: %s: its name makes no package: %v", f, err), hint: "push it by itself, under a name that you choose"}
		}
		if other, twice := seen[one.Repository]; twice {
			return nil, usagef("push: %s and %s would be the same package", other, f)
		}
		seen[one.Repository] = f
		out = append(out, publication{file: f, to: one})
	}
	return out, nil
}
