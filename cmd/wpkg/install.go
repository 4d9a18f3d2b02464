package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/wreg-project/wreg/artifact/run"
	"github.com/wreg-project/wreg/inspect/capability"
	"github.com/wreg-project/wreg/internal/term"
)

// installedView is a command as it is shown.
type installedView struct {
	Command   string   `json:"command"`
	Reference string   `json:"reference"`
	Manifest  string   `json:"manifest,omitempty"`
	Grants    []string `json:"grants"`
	Path      string   `json:"path"`
}

func installedOf(c *run.Command) installedView {
	return installedView{c.Name, c.Reference, c.Manifest.String(), c.Grants.Lines(), c.Link}
}

func (v installedView) rows() [][]string {
	return [][]string{{"COMMAND", "PACKAGE", "GRANTS", "PATH"}, {v.Command, v.Reference, strings.Join(v.Grants, "; "), v.Path}}
}

// installFlags are the flags of install.
type installFlags struct {
	grants   grantFlags
	programs programFlags
	as, bin  string
	yes      bool
	replace  bool
}

func (t *tool) installCommand() *cli.Command {
	var f installFlags
	return &cli.Command{
		Name:      "install",
		Usage:     "make a command of a package",
		ArgsUsage: "FILE|REF",
		Description: `Compiles a WASI command for this machine and puts it on the PATH, where it starts
like a native program. What it is granted is decided now, shown, and recorded: it
gets nothing else later. Folders are those of today, whatever the current one is
when the command is called.

   wpkg install demo:hello@1.2.0
   wpkg install --dir .:/data:ro demo:grep@^2 --as wgrep
   wpkg installed`,
		Flags: append(append(f.grants.flags(), f.programs.flags()...),
			&cli.StringFlag{Name: "as", Usage: "call the command `NAME`; by default as the package is called", Destination: &f.as},
			&cli.StringFlag{Name: "bin", Usage: "put it into this `FOLDER`; by default ~/.local/bin", Destination: &f.bin, EnvVars: []string{"XDG_BIN_HOME"}},
			&cli.BoolFlag{Name: "yes", Aliases: []string{"y"}, Usage: "do not ask", Destination: &f.yes, DisableDefaultText: true},
			&cli.BoolFlag{Name: "replace", Usage: "replace the installed command of this name", Destination: &f.replace, DisableDefaultText: true},
		),
		Action: func(c *cli.Context) error {
			if err := arguments(c, 1, 1); err != nil {
				return err
			}
			return t.install(c.Context, c.Args().First(), &f)
		},
	}
}

func (t *tool) install(ctx context.Context, arg string, f *installFlags) error {
	grants, err := f.grants.grants()
	if err != nil {
		return err
	}
	commands, err := run.OpenCommands()
	if err != nil {
		return err
	}
	p, err := t.program(ctx, arg, &f.programs)
	if err != nil {
		return err
	}
	name := f.as
	if name == "" {
		name = p.called
	}
	if err := run.CheckCommand(name); err != nil {
		return &usageError{text: err.Error(), hint: "--as gives it another name"}
	}
	if _, err := commands.Get(name); !errors.Is(err, run.ErrNoCommand) && !f.replace {
		return &hinted{fmt.Errorf("%s is installed already", name), "--replace replaces it; --as gives this one another name; wpkg upgrade renews it"}
	}
	link, err := t.linkOf(f.bin, name, p.engine.Path)
	if err != nil {
		return err
	}
	if err := t.agree(p, name, grants, f.yes); err != nil {
		return err
	}
	asked := arg
	if isFile(arg) {
		if asked, err = filepath.Abs(arg); err != nil {
			return err
		}
	}
	cmd := &run.Command{Name: name, Asked: asked, Grants: *grants, Link: link}
	if err := p.install(ctx, commands, cmd); err != nil {
		return err
	}
	if !onPath(filepath.Dir(link)) {
		fmt.Fprintf(t.err, "hint: %s is not on the PATH: export PATH=%s:$PATH\n", filepath.Dir(link), filepath.Dir(link))
	}
	v := installedOf(cmd)
	return t.emit(v, v.rows())
}

// install compiles a program, places the command's link and records the command,
// last, so that a link that cannot be placed leaves the command as it was.
func (p *program) install(ctx context.Context, commands *run.Commands, cmd *run.Command) error {
	if err := p.check(&cmd.Grants, ""); err != nil {
		return err
	}
	code, err := p.open(ctx)
	if err != nil {
		return err
	}
	defer code.Close()
	cmd.Reference, cmd.Manifest, cmd.Wasm, cmd.Program = p.name, p.Manifest, p.Wasm, p.Program
	cmd.Installed = time.Now().UTC()
	cmd.Run.Kind, cmd.Run.Target = p.Program.Kind, p.chosen.Entry.Key.Target.String()
	if err := ownLink(cmd.Link); err != nil {
		return err
	}
	if err := placeLink(p.engine.Path, cmd.Link); err != nil {
		return err
	}
	if err := commands.Put(cmd, code); err != nil {
		if _, none := commands.Get(cmd.Name); errors.Is(none, run.ErrNoCommand) {
			return errors.Join(err, os.Remove(cmd.Link))
		}
		return err
	}
	return nil
}

// agree shows what a command will be able to do and asks for consent.
func (t *tool) agree(p *program, name string, g *run.Grants, yes bool) error {
	fmt.Fprintf(t.err, "%s, from %s, will have:\n", name, term.Clean(p.name))
	for _, line := range g.Lines() {
		fmt.Fprintf(t.err, "  %s\n", term.Clean(line))
	}
	if lacks := p.Program.Lacking(g); len(lacks) > 0 {
		fmt.Fprintln(t.err, "it may ask for, and will not get:")
		for _, l := range lacks {
			fmt.Fprintf(t.err, "  to %s (%s)\n", l.What, l.Flag)
		}
	}
	if yes {
		return nil
	}
	return t.confirm("install it?")
}

// linkOf is the path of a command's link, where nothing may be but a link of ours.
func (t *tool) linkOf(bin, name, engine string) (string, error) {
	if bin == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", &hinted{err, "--bin names the folder"}
		}
		bin = filepath.Join(home, ".local", "bin")
	}
	link, err := filepath.Abs(filepath.Join(bin, name))
	if err != nil {
		return "", err
	}
	return link, ownLink(link)
}

// ownLink refuses a path at which something is that no install made.
func ownLink(link string) error {
	target, err := os.Readlink(link)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil || !strings.HasPrefix(filepath.Base(target), "wpkg-engine"):
		return &hinted{fmt.Errorf("%s is there already, and no command of wpkg's", link), "--as gives the command another name, --bin another folder"}
	}
	return nil
}

// placeLink makes a link, or replaces one, at once.
func placeLink(engine, link string) error {
	if err := os.MkdirAll(filepath.Dir(link), 0o755); err != nil {
		return err
	}
	fresh := link + ".wpkg-new"
	if err := os.Remove(fresh); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Symlink(engine, fresh); err != nil {
		return err
	}
	return os.Rename(fresh, link)
}

func onPath(dir string) bool {
	return slices.Contains(filepath.SplitList(os.Getenv("PATH")), dir)
}

func (t *tool) installedCommand() *cli.Command {
	return &cli.Command{
		Name:  "installed",
		Usage: "list the commands that were made of packages, with what they were granted",
		Action: func(c *cli.Context) error {
			if err := arguments(c, 0, 0); err != nil {
				return err
			}
			commands, err := run.OpenCommands()
			if err != nil {
				return err
			}
			list, damaged := commands.List()
			views := make([]installedView, 0, len(list))
			rows := [][]string{installedView{}.rows()[0]}
			for _, cmd := range list {
				v := installedOf(cmd)
				views, rows = append(views, v), append(rows, v.rows()[1])
			}
			return errors.Join(emitEach(t, views, rows), damaged)
		},
	}
}

func (t *tool) uninstallCommand() *cli.Command {
	return &cli.Command{
		Name:      "uninstall",
		Usage:     "remove a command that install made",
		ArgsUsage: "NAME...",
		Action: func(c *cli.Context) error {
			if err := arguments(c, 1, -1); err != nil {
				return err
			}
			commands, err := run.OpenCommands()
			if err != nil {
				return err
			}
			for _, name := range c.Args().Slice() {
				if err := t.uninstall(commands, name); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

func (t *tool) uninstall(commands *run.Commands, name string) error {
	cmd, err := commands.Get(name)
	if errors.Is(err, run.ErrNoCommand) {
		return &hinted{err, "wpkg installed lists those that are"}
	}
	if err != nil {
		return err
	}
	if filepath.Base(cmd.Link) == name && ownLink(cmd.Link) == nil {
		if err := os.Remove(cmd.Link); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return commands.Remove(cmd)
}

// upgradeFlags are the flags of upgrade.
type upgradeFlags struct {
	programs programFlags
	yes      bool
}

func (t *tool) upgradeCommand() *cli.Command {
	var f upgradeFlags
	f.programs.pull = pullAlways
	return &cli.Command{
		Name:      "upgrade",
		Usage:     "renew installed commands from their packages",
		ArgsUsage: "[NAME...]",
		Description: `Asks the registry again for what each command was installed from, a range or a
tag, verifies and compiles it, and puts it in the place of the old one. Grants stay
as they are. A version that may do more than the one before is installed only after
you agree. Without a NAME, all commands are renewed.`,
		Flags: append(f.programs.trust.flags(),
			&cli.BoolFlag{Name: "yes", Aliases: []string{"y"}, Usage: "do not ask", Destination: &f.yes, DisableDefaultText: true}),
		Action: func(c *cli.Context) error {
			f.programs.pull = pullAlways
			commands, err := run.OpenCommands()
			if err != nil {
				return err
			}
			list, err := commands.List()
			if names := c.Args().Slice(); len(names) > 0 {
				list, err = nil, nil
				for _, name := range names {
					cmd, err := commands.Get(name)
					if err != nil {
						return &hinted{err, "wpkg installed lists those that are"}
					}
					list = append(list, cmd)
				}
			}
			if err != nil {
				return err
			}
			return t.upgrade(c.Context, commands, list, &f)
		},
	}
}

func (t *tool) upgrade(ctx context.Context, commands *run.Commands, list []*run.Command, f *upgradeFlags) error {
	views := make([]installedView, 0, len(list))
	rows := [][]string{installedView{}.rows()[0]}
	for _, cmd := range list {
		p, err := t.program(ctx, cmd.Asked, &f.programs)
		if err != nil {
			return fmt.Errorf("upgrade %s: %w", cmd.Name, err)
		}
		if more := newNeeds(cmd.Program.Needs, p.Program.Needs); len(more) > 0 {
			fmt.Fprintf(t.err, "%s can come to ask for more than %s did: %s\n", term.Clean(p.name), term.Clean(cmd.Reference), strings.Join(more, ", "))
			if err := t.agree(p, cmd.Name, &cmd.Grants, f.yes); err != nil {
				return fmt.Errorf("upgrade %s: %w", cmd.Name, err)
			}
		}
		if err := p.install(ctx, commands, cmd); err != nil {
			return fmt.Errorf("upgrade %s: %w", cmd.Name, err)
		}
		v := installedOf(cmd)
		views, rows = append(views, v), append(rows, v.rows()[1])
	}
	return emitEach(t, views, rows)
}

// newNeeds are the capabilities that a new version has and the old one had not.
func newNeeds(before, after []capability.ID) []string {
	var list []string
	for _, id := range after {
		if !slices.Contains(before, id) {
			list = append(list, string(id))
		}
	}
	return list
}
